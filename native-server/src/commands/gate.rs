//! MONITOR, CLIENT PAUSE and UNPAUSE, WAIT.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ferrite_engine::{Args, Arity, Error, Group, Reply, docs};

use crate::client::{signal, state};
use crate::commands::flags::{ADMIN, NO_SCRIPT};
use crate::commands::{ROW, Result, ServerSpec};
use crate::context::Context;
use crate::gate::Pause;
use crate::number;
use crate::session::Blocked;
use crate::waiting::Ticket;

const ADMIN_ROW: ServerSpec = ServerSpec { flags: ADMIN | NO_SCRIPT, ..ROW };

pub(crate) const COMMANDS: &[ServerSpec] = &[
    ServerSpec {
        name: "client|pause",
        arity: Arity::AtLeast(3),
        group: Group::Connection,
        since: docs("3.0.0"),
        syntax: docs("timeout [WRITE | ALL]"),
        summary: docs("Holds up the commands of all clients for so many milliseconds."),
        run: pause,
        ..ADMIN_ROW
    },
    ServerSpec {
        name: "client|unpause",
        arity: Arity::Exactly(2),
        group: Group::Connection,
        since: docs("6.2.0"),
        summary: docs("Lets all clients go on."),
        run: |cx, _| {
            cx.server.gate.resume();
            cx.server.clients.all().iter().for_each(|client| client.signal(signal::LOOK));
            cx.wire.ok();
            Ok(())
        },
        ..ADMIN_ROW
    },
    ServerSpec {
        name: "monitor",
        arity: Arity::Exactly(1),
        summary: docs("Shows every command that is run from now on."),
        run: |cx, _| {
            if cx.is_in_exec {
                return Err("ERR MONITOR isn't allowed for DENY BLOCKING client".into());
            }
            cx.session.client.set(state::MONITOR, true);
            cx.server.gate.add_monitor(&cx.session.client);
            cx.wire.ok();
            Ok(())
        },
        ..ADMIN_ROW
    },
    ServerSpec {
        name: "wait",
        arity: Arity::Exactly(3),
        flags: NO_SCRIPT,
        group: Group::Generic,
        since: docs("3.0.0"),
        syntax: docs("numreplicas timeout"),
        summary: docs("Waits until so many replicas have every write; there are none here."),
        run: wait,
        ..ROW
    },
];

fn pause(cx: &mut Context<'_>, args: &mut Args<'_>) -> Result<()> {
    let ms =
        number::integer(args.required()).ok_or("ERR timeout is not an integer or out of range")?;
    let ms = u64::try_from(ms).map_err(|_| "ERR timeout is negative")?;
    let is_for_writes = match args.next() {
        None => false,
        Some(word) if word.eq_ignore_ascii_case(b"all") => false,
        Some(word) if word.eq_ignore_ascii_case(b"write") => true,
        Some(_) => return Err("ERR CLIENT PAUSE mode must be WRITE or ALL".into()),
    };
    let until = Instant::now().checked_add(Duration::from_millis(ms));
    let until = until.ok_or("ERR timeout is out of range")?;
    cx.server.gate.pause(Pause { until, is_for_writes });
    cx.wire.ok();
    Ok(())
}

fn wait(cx: &mut Context<'_>, args: &mut Args<'_>) -> Result<()> {
    let replicas = number::integer(args.required()).ok_or(Error::NotAnInteger)?;
    let ms = number::integer(args.required());
    let ms = ms.ok_or("ERR timeout is not an integer or out of range")?;
    let ms = u64::try_from(ms).map_err(|_| "ERR timeout is negative")?;
    if replicas <= 0 || cx.is_in_exec {
        cx.wire.integer(0);
        return Ok(());
    }
    let client = Arc::clone(&cx.session.client);
    client.set(state::BLOCKED, true);
    let (database, protocol) = (cx.session.database, cx.session.protocol);
    let ticket =
        Ticket::new(client, database, vec![], vec![], "wait", |_, _, _| Ok(false), protocol);
    let until = (ms > 0).then(|| Instant::now().checked_add(Duration::from_millis(ms))).flatten();
    cx.session.client.set(state::TIMED, until.is_some());
    cx.session.blocked = Some(Blocked { ticket, until, timeout: |wire| wire.integer(0) });
    Ok(())
}
