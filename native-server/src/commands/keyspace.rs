//! Commands on whole databases, and on several: FLUSHALL, SWAPDB, MOVE, and COPY to another one.
//!
//! A value goes from one database to another as DUMP writes it: they share no memory.

use ferrite_engine::{
    Args, Arity, Cx, DENYOOM, Error, FAST, Group, Keys, Millis, Reply, Ttl, Value, WRITE, docs,
    find,
};

use crate::checkpoint::saver;
use crate::commands::connection::database;
use crate::commands::flags::ALL_DATABASES;
use crate::commands::{ROW, Result, ServerSpec};
use crate::context::Context;
use crate::database::Held;
use crate::news::Origin;
use crate::number;

pub(crate) const COMMANDS: &[ServerSpec] = &[
    ServerSpec {
        name: "copy",
        arity: Arity::AtLeast(3),
        keys: Keys::FIRST_TWO,
        flags: WRITE | DENYOOM | ALL_DATABASES,
        group: Group::Generic,
        since: docs("6.2.0"),
        syntax: docs("source destination [DB destination-db] [REPLACE]"),
        summary: docs("Gives a key the value of another."),
        run: copy,
    },
    ServerSpec {
        name: "flushall",
        arity: Arity::AtLeast(1),
        flags: WRITE | ALL_DATABASES,
        syntax: docs("[ASYNC | SYNC]"),
        summary: docs("Drops every key of every database."),
        run: flushall,
        ..ROW
    },
    ServerSpec {
        name: "move",
        arity: Arity::Exactly(3),
        keys: Keys::FIRST,
        flags: WRITE | FAST | ALL_DATABASES,
        group: Group::Generic,
        syntax: docs("key db"),
        summary: docs("Moves a key to another database."),
        run: move_,
        ..ROW
    },
    ServerSpec {
        name: "swapdb",
        arity: Arity::Exactly(3),
        flags: WRITE | FAST | ALL_DATABASES,
        since: docs("4.0.0"),
        syntax: docs("index1 index2"),
        summary: docs("Swaps two databases."),
        run: swapdb,
        ..ROW
    },
];

fn flushall(cx: &mut Context<'_>, args: &mut Args<'_>) -> Result<()> {
    let option = args.next().unwrap_or(b"sync");
    let is_known = option.eq_ignore_ascii_case(b"sync") || option.eq_ignore_ascii_case(b"async");
    if !is_known || args.len() > 0 {
        return Err(Error::Syntax.into());
    }
    let now_ms = cx.now_ms;
    let origin = Origin { command: "flushall", client: cx.session.client.id, ..Origin::default() };
    cx.held.take_all();
    for index in 0..cx.server.databases.count() {
        cx.held.get(index).with_origin(origin, now_ms, |cx| cx.flush());
        if !cx.is_in_exec {
            cx.serve_waiting(index);
        }
    }
    cx.server.news.tracking.invalidate_all();
    release(cx);
    saver::save_cleared(cx.server, cx.config, cx.is_in_exec);
    cx.wire.ok();
    Ok(())
}

/// Gives the locks back, unless a transaction needs them.
fn release(cx: &mut Context<'_>) {
    if !cx.is_in_exec {
        cx.held.release();
    }
}

fn swapdb(cx: &mut Context<'_>, args: &mut Args<'_>) -> Result<()> {
    let mut index = |which: &str| {
        let index = number::integer(args.required());
        index.ok_or_else(|| format!("ERR invalid {which} DB index"))
    };
    let (one, other) = (index("first")?, index("second")?);
    let outside = "ERR DB index is out of range";
    let (one, other) = (database(cx, one).ok_or(outside)?, database(cx, other).ok_or(outside)?);
    if one != other {
        cx.held.swap(one, other, cx.now_ms);
        if !cx.is_in_exec {
            cx.serve_waiting(one);
            cx.serve_waiting(other);
        }
        release(cx);
    }
    cx.wire.ok();
    Ok(())
}

/// Takes a reply as bytes: of DUMP the payload.
#[derive(Default)]
struct Payload(Option<Vec<u8>>);

impl Reply for Payload {
    fn bulk(&mut self, value: Value<'_>) {
        self.0 = Some(value.parts().flatten().copied().collect());
    }

    fn simple(&mut self, _: &'static str) {}
    fn integer(&mut self, _: i64) {}
    fn null(&mut self) {}
    fn array(&mut self, _: usize) {}
    fn error(&mut self, _: &[&[u8]]) {}
}

/// Runs a command of the engine; what it answers as a bulk string.
fn run(cx: &mut Cx<'_>, request: &[&[u8]]) -> Result<Option<Vec<u8>>> {
    let mut payload = Payload::default();
    if let Some((name, arguments)) = request.split_first()
        && let Some(spec) = find(name)
    {
        (spec.run)(cx, &mut Args::new(arguments), &mut payload)?;
    }
    Ok(payload.0)
}

/// Copies a value to another database. False if there is none, or none may go there.
pub(crate) fn transfer(
    held: &mut Held<'_>,
    origin: Origin<'_>,
    now_ms: Millis,
    (from, source): (usize, &[u8]),
    (to, destination): (usize, &[u8]),
    replaces: bool,
    is_move: bool,
) -> Result<bool> {
    let (source_database, target) = held.get_two(from, to);
    let Some(payload) = source_database.with(now_ms, |cx| run(cx, &[b"DUMP", source]))? else {
        if !is_move {
            source_database.news.notify(from, 'm', "keymiss", source);
        }
        return Ok(false);
    };
    if !replaces && target.with(now_ms, |cx| cx.is_there(destination)) {
        return Ok(false);
    }
    let deadline = match source_database.with(now_ms, |cx| cx.expire_time(source)) {
        Ttl::Left(deadline_ms) => deadline_ms.to_string(),
        Ttl::Forever | Ttl::Missing => "0".into(),
    };
    let mut restore = vec![&b"RESTORE"[..], destination, deadline.as_bytes(), &payload];
    restore.extend([&b"ABSTTL"[..], b"REPLACE"]);
    target.with_origin(origin, now_ms, |cx| run(cx, &restore))?;
    if is_move {
        source_database.with_origin(origin, now_ms, |cx| cx.del(source));
        target.news.notify(to, 'g', "move_to", destination);
    }
    Ok(true)
}

/// Serves those who were waiting for what has come to another database.
fn serve(cx: &mut Context<'_>, to: usize, is_there: &Result<bool>) {
    if matches!(is_there, Ok(true)) && !cx.is_in_exec {
        cx.serve_waiting(to);
    }
}

fn move_(cx: &mut Context<'_>, args: &mut Args<'_>) -> Result<()> {
    let (key, index) = (args.required(), args.required());
    let index = number::integer(index).ok_or(Error::NotAnInteger)?;
    let to = database(cx, index).ok_or("ERR DB index is out of range")?;
    let from = cx.session.database;
    if from == to {
        return Err(Error::SameObject.into());
    }
    let origin = Origin { command: "move", client: cx.session.client.id, ..Origin::default() };
    let is_moved = transfer(&mut cx.held, origin, cx.now_ms, (from, key), (to, key), false, true);
    serve(cx, to, &is_moved);
    release(cx);
    cx.wire.integer(is_moved?.into());
    Ok(())
}

fn copy(cx: &mut Context<'_>, args: &mut Args<'_>) -> Result<()> {
    let arguments = args.as_slice();
    let (source, destination) = (args.required(), args.required());
    let (mut to, mut replaces) = (cx.session.database, false);
    while let Some(option) = args.next() {
        if option.eq_ignore_ascii_case(b"replace") {
            replaces = true;
        } else if option.eq_ignore_ascii_case(b"db") {
            let index = number::integer(args.value()?).ok_or(Error::NotAnInteger)?;
            to = database(cx, index).ok_or(Error::OtherDatabase)?;
        } else {
            return Err(Error::Syntax.into());
        }
    }
    let from = cx.session.database;
    let origin = Origin { command: "copy", client: cx.session.client.id, arguments };
    let is_copied = if from == to {
        let now_ms = cx.now_ms;
        let database = cx.held.get(to);
        let is_copied =
            database.with_origin(origin, now_ms, |cx| cx.copy(source, destination, replaces))?;
        if !cx.is_in_exec {
            cx.serve_waiting(to);
        }
        is_copied
    } else {
        let (source, target) = ((from, source), (to, destination));
        // The arguments name keys of two databases.
        let origin = Origin { arguments: &[], ..origin };
        let is_copied = transfer(&mut cx.held, origin, cx.now_ms, source, target, replaces, false);
        serve(cx, to, &is_copied);
        release(cx);
        is_copied?
    };
    cx.wire.integer(is_copied.into());
    Ok(())
}
