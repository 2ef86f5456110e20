//! The log as clients see it: WAITAOF and BGREWRITEAOF.

use std::time::Duration;

use ferrite_engine::{Args, Arity, Group, Reply, docs};

use crate::checkpoint::saver;
use crate::commands::flags::{ADMIN, BLOCKING, NO_SCRIPT};
use crate::commands::{ROW, Result, ServerSpec};
use crate::context::Context;
use crate::number;
use crate::session::LogWait;

pub(crate) const COMMANDS: &[ServerSpec] = &[
    ServerSpec {
        name: "bgrewriteaof",
        arity: Arity::Exactly(1),
        flags: ADMIN | NO_SCRIPT,
        summary: docs("Begins a checkpoint, behind which the log is cut off."),
        run: bgrewriteaof,
        ..ROW
    },
    ServerSpec {
        name: "waitaof",
        arity: Arity::Exactly(4),
        flags: NO_SCRIPT | BLOCKING,
        group: Group::Generic,
        since: docs("7.2.0"),
        syntax: docs("numlocal numreplicas timeout"),
        summary: docs("Waits until what this client has changed is durable."),
        run: waitaof,
        ..ROW
    },
];

fn bgrewriteaof(cx: &mut Context<'_>, _: &mut Args<'_>) -> Result<()> {
    cx.server.persistence.accept_directory();
    if cx.is_in_exec {
        saver::schedule(cx.server);
        cx.wire.simple("Background append only file rewriting scheduled");
        return Ok(());
    }
    cx.wire.simple(cx.server.persistence.rewrite_in_background(cx.server)?);
    Ok(())
}

fn waitaof(cx: &mut Context<'_>, args: &mut Args<'_>) -> Result<()> {
    let mut number = || number::integer(args.required());
    let range = "ERR value is out of range, value must between 0 and 1";
    let local = number().filter(|count| (0..=1).contains(count)).ok_or(range)?;
    let replicas = number().filter(|count| *count >= 0);
    let replicas = replicas.ok_or("ERR value is out of range, must be positive")?;
    let timeout = number().ok_or("ERR timeout is not an integer or out of range")?;
    let timeout = u64::try_from(timeout).map_err(|_| "ERR timeout is negative")?;
    let log = &cx.server.databases.log;
    if local > 0 && !log.is_on() {
        return Err(
            "ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.".into()
        );
    }
    let wait = LogWait {
        position: cx.session.logged_to.max(cx.held.logged_to),
        // Nobody replicates this server: whoever asks for that waits until the time is up.
        is_in_vain: replicas > 0,
        is_local: local > 0,
        until: (timeout > 0)
            .then(|| cx.instant().checked_add(Duration::from_millis(timeout)))
            .flatten(),
    };
    if wait.is_over(log) || cx.is_in_exec {
        wait.answer(log, &mut cx.wire);
    } else {
        log.hurry();
        cx.session.log_wait = Some(wait);
    }
    Ok(())
}
