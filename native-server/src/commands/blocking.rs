//! Commands that wait until a list or a sorted set has something to give.
//!
//! Each is the engine's command that does not wait, tried now, and again whenever one of the keys
//! has changed (waiting.rs). In a transaction nobody waits: the reply is what it would be when the
//! time is up.

use std::sync::Arc;
use std::time::Duration;

use ferrite_engine::{
    Args, Arity, Cx, DENYOOM, FAST, Group, Keys, Millis, Reply, StreamRead, WRITE, docs, find,
    seconds_in_ms,
};

use crate::client::state;
use crate::commands::flags::{BLOCKING, NO_SCRIPT};
use crate::commands::{ROW, Result, ServerRun, ServerSpec};
use crate::context::Context;
use crate::news::Origin;
use crate::number;
use crate::resp::wire::Wire;
use crate::session::Blocked;
use crate::waiting::{Attempt, Ticket};

/// The last argument is a timeout, all before it are keys.
const KEYS_AND_TIMEOUT: Keys = Keys { first: 1, last: -2, step: 1 };

const POP_ROW: ServerSpec = ServerSpec {
    arity: Arity::AtLeast(3),
    keys: KEYS_AND_TIMEOUT,
    flags: WRITE | NO_SCRIPT | BLOCKING,
    group: Group::List,
    since: docs("2.0.0"),
    syntax: docs("key [key ...] timeout"),
    ..ROW
};

const MOVE_ROW: ServerSpec =
    ServerSpec { keys: Keys::FIRST_TWO, flags: WRITE | DENYOOM | NO_SCRIPT | BLOCKING, ..POP_ROW };

pub(crate) const COMMANDS: &[ServerSpec] = &[
    ServerSpec {
        name: "blmove",
        arity: Arity::Exactly(6),
        since: docs("6.2.0"),
        syntax: docs("source destination <LEFT | RIGHT> <LEFT | RIGHT> timeout"),
        summary: docs("Moves an element between lists, once there is one."),
        run: |cx, args| {
            wait_last(cx, args, "blmove", 1, |cx, args, wire| {
                try_engine(cx, "lmove", args.get(..4).unwrap_or_default(), wire)
            })
        },
        ..MOVE_ROW
    },
    ServerSpec {
        name: "blmpop",
        arity: Arity::AtLeast(5),
        keys: Keys::counted(2),
        flags: WRITE | BLOCKING,
        since: docs("7.0.0"),
        syntax: docs("timeout numkeys key [key ...] <LEFT | RIGHT> [COUNT count]"),
        summary: docs("Pops elements of the first list that has some, once there is one."),
        run: |cx, args| {
            wait_first(cx, args, "blmpop", |cx, args, wire| {
                try_engine(cx, "lmpop", args.get(1..).unwrap_or_default(), wire)
            })
        },
        ..POP_ROW
    },
    ServerSpec {
        name: "blpop",
        summary: docs("Pops the first element of a list, once there is one."),
        run: |cx, args| {
            wait_keys(cx, args, "blpop", |cx, args, wire| pop_one(cx, "lpop", args, wire))
        },
        ..POP_ROW
    },
    ServerSpec {
        name: "brpop",
        summary: docs("Pops the last element of a list, once there is one."),
        run: |cx, args| {
            wait_keys(cx, args, "brpop", |cx, args, wire| pop_one(cx, "rpop", args, wire))
        },
        ..POP_ROW
    },
    ServerSpec {
        name: "brpoplpush",
        arity: Arity::Exactly(4),
        since: docs("2.2.0"),
        syntax: docs("source destination timeout"),
        summary: docs(
            "Moves the last element of a list to the start of another, once there is one.",
        ),
        run: |cx, args| {
            wait_last(cx, args, "brpoplpush", 1, |cx, args, wire| {
                try_engine(cx, "rpoplpush", args.get(..2).unwrap_or_default(), wire)
            })
        },
        ..MOVE_ROW
    },
    ServerSpec {
        name: "bzmpop",
        arity: Arity::AtLeast(5),
        keys: Keys::counted(2),
        flags: WRITE | BLOCKING,
        group: Group::SortedSet,
        since: docs("7.0.0"),
        syntax: docs("timeout numkeys key [key ...] <MIN | MAX> [COUNT count]"),
        summary: docs("Pops members of the first sorted set that has some, once there is one."),
        run: |cx, args| {
            wait_first(cx, args, "bzmpop", |cx, args, wire| {
                try_engine(cx, "zmpop", args.get(1..).unwrap_or_default(), wire)
            })
        },
    },
    ServerSpec {
        name: "bzpopmax",
        flags: WRITE | FAST | NO_SCRIPT | BLOCKING,
        group: Group::SortedSet,
        since: docs("5.0.0"),
        summary: docs("Pops the member with the highest score, once there is one."),
        run: |cx, args| {
            wait_keys(cx, args, "bzpopmax", |cx, args, wire| pop_scored(cx, "zpopmax", args, wire))
        },
        ..POP_ROW
    },
    ServerSpec {
        name: "bzpopmin",
        flags: WRITE | FAST | NO_SCRIPT | BLOCKING,
        group: Group::SortedSet,
        since: docs("5.0.0"),
        summary: docs("Pops the member with the lowest score, once there is one."),
        run: |cx, args| {
            wait_keys(cx, args, "bzpopmin", |cx, args, wire| pop_scored(cx, "zpopmin", args, wire))
        },
        ..POP_ROW
    },
];

/// Commands whose rows are the engine's: they wait if their options say so.
pub(crate) const READS: &[(&str, ServerRun)] = &[
    ("xread", |cx, args| {
        read(cx, args, "xread", |cx, args, wire| try_engine(cx, "xread", args, wire))
    }),
    ("xreadgroup", |cx, args| {
        read(cx, args, "xreadgroup", |cx, args, wire| try_engine(cx, "xreadgroup", args, wire))
    }),
];

/// XREAD and XREADGROUP: they wait only if they are asked to.
fn read(
    cx: &mut Context<'_>,
    args: &mut Args<'_>,
    command: &'static str,
    attempt: Attempt,
) -> Result<()> {
    let arguments = args.as_slice();
    let request: Vec<&[u8]> =
        [command.as_bytes()].into_iter().chain(arguments.iter().copied()).collect();
    let StreamRead { block_ms, keys, ids } = StreamRead::parse(&request)?;
    let Some(block_ms) = block_ms else {
        let (origin, now_ms) =
            (Origin { command, client: cx.session.client.id, arguments }, cx.now_ms);
        let database = cx.held.get(cx.session.database);
        let wire = &mut cx.wire;
        if !database.with_origin(origin, now_ms, |cx| attempt(cx, arguments, wire))? {
            cx.wire.null_array();
        }
        return Ok(());
    };
    // What is new from now on: behind the last entry there is at this moment.
    let mut last_ids = Vec::new();
    for (key, id) in keys.iter().zip(ids) {
        let is_last = *id == b"$" && command == "xread";
        let last = if is_last { Some(cx.with(|cx| cx.xlast_id(key))?) } else { None };
        last_ids.push(last.map(|last| last.text()));
    }
    let mut resolved = arguments.to_vec();
    let start = resolved.len() - ids.len();
    for (argument, last) in resolved.iter_mut().skip(start).zip(&last_ids) {
        if let Some(last) = last {
            *argument = last.as_bytes();
        }
    }
    let timeout = u64::try_from(block_ms).ok().filter(|ms| *ms > 0).map(Duration::from_millis);
    wait(cx, command, keys, &resolved, timeout, attempt)
}

/// Runs a command of the engine. False, and nothing answered, if that has nothing to give.
fn try_engine(
    cx: &mut Cx<'_>,
    name: &str,
    arguments: &[&[u8]],
    wire: &mut Wire<'_>,
) -> Result<bool> {
    let mark = wire.out.len();
    if let Some(spec) = find(name.as_bytes()) {
        (spec.run)(cx, &mut Args::new(arguments), wire)?;
    }
    let is_nothing =
        matches!(wire.out.get(mark..), Some(b"$-1\r\n" | b"*-1\r\n" | b"_\r\n" | b"*0\r\n"));
    if is_nothing {
        wire.out.truncate(mark);
    }
    Ok(!is_nothing)
}

/// Pops from the first list that has an element; answers its key, then the element.
fn pop_one(cx: &mut Cx<'_>, name: &str, arguments: &[&[u8]], wire: &mut Wire<'_>) -> Result<bool> {
    let mark = wire.out.len();
    let (_timeout, keys) = arguments.split_last().unwrap_or((&&[][..], &[]));
    for key in keys {
        wire.array(2);
        wire.text(key);
        if try_engine(cx, name, &[key], wire)? {
            return Ok(true);
        }
        wire.out.truncate(mark);
    }
    Ok(false)
}

/// Pops from the first sorted set that has a member; answers its key, the member, its score.
fn pop_scored(
    cx: &mut Cx<'_>,
    name: &str,
    arguments: &[&[u8]],
    wire: &mut Wire<'_>,
) -> Result<bool> {
    let (_timeout, keys) = arguments.split_last().unwrap_or((&&[][..], &[]));
    for key in keys {
        let mut popped = Vec::new();
        if try_engine(cx, name, &[key], &mut Wire::new(&mut popped, wire.protocol))? {
            wire.array(3);
            wire.text(key);
            // Behind the header of its own array, which holds two.
            wire.out.extend_from_slice(popped.get(b"*2\r\n".len()..).unwrap_or_default());
            return Ok(true);
        }
    }
    Ok(false)
}

/// All arguments but the last, the timeout, are keys.
fn wait_keys(
    cx: &mut Context<'_>,
    args: &mut Args<'_>,
    command: &'static str,
    attempt: Attempt,
) -> Result<()> {
    let keys = args.len().saturating_sub(1);
    wait_last(cx, args, command, keys, attempt)
}

/// The timeout is the last argument, the first `keys` are waited for.
fn wait_last(
    cx: &mut Context<'_>,
    args: &mut Args<'_>,
    command: &'static str,
    keys: usize,
    attempt: Attempt,
) -> Result<()> {
    let arguments = args.as_slice();
    let timeout = timeout(arguments.last().copied().unwrap_or_default(), cx.now_ms)?;
    let keys = arguments.get(..keys).unwrap_or_default();
    wait(cx, command, keys, arguments, timeout, attempt)
}

/// The timeout comes first, then a number of keys, then these.
fn wait_first(
    cx: &mut Context<'_>,
    args: &mut Args<'_>,
    command: &'static str,
    attempt: Attempt,
) -> Result<()> {
    let arguments = args.as_slice();
    let timeout = timeout(args.required(), cx.now_ms)?;
    let count = number::integer(args.required()).and_then(|count| usize::try_from(count).ok());
    // A wrong count is refused by the command itself, when it is tried.
    let end = count.unwrap_or_default().saturating_add(2).min(arguments.len());
    let keys = arguments.get(2..end).unwrap_or_default();
    wait(cx, command, keys, arguments, timeout, attempt)
}

fn timeout(text: &[u8], now_ms: Millis) -> Result<Option<Duration>> {
    let ms = seconds_in_ms(text).ok_or("ERR timeout is not a float or out of range")?;
    let ms_left = u64::try_from(ms).map_err(|_| "ERR timeout is negative")?;
    // The moment when it is over has to be a number, too.
    now_ms.checked_add(ms).ok_or("ERR timeout is out of range")?;
    Ok((ms > 0).then_some(Duration::from_millis(ms_left)))
}

/// Tries a command, and lets it wait for its keys if it has nothing to answer.
pub fn wait(
    cx: &mut Context<'_>,
    command: &'static str,
    keys: &[&[u8]],
    arguments: &[&[u8]],
    timeout: Option<Duration>,
    attempt: Attempt,
) -> Result<()> {
    let (index, now_ms) = (cx.session.database, cx.now_ms);
    let database = cx.held.get(index);
    let wire = &mut cx.wire;
    let origin = Origin { command, client: cx.session.client.id, arguments };
    if database.with_origin(origin, now_ms, |cx| attempt(cx, arguments, wire))? {
        if !cx.is_in_exec {
            cx.serve_waiting(index);
        }
        return Ok(());
    }
    if cx.is_in_exec {
        match command {
            "blmove" | "brpoplpush" => cx.wire.null(),
            _ => cx.wire.null_array(),
        }
        return Ok(());
    }
    let owned = |texts: &[&[u8]]| texts.iter().map(|text| (*text).into()).collect();
    let client = Arc::clone(&cx.session.client);
    client.set(state::BLOCKED, true);
    let ticket = Ticket::new(
        client,
        index,
        owned(keys),
        owned(arguments),
        command,
        attempt,
        cx.session.protocol,
    );
    database.waiting.add(&ticket);
    // A time too far off to be told is as good as none.
    let until = timeout.and_then(|timeout| cx.instant().checked_add(timeout));
    cx.session.client.set(state::TIMED, until.is_some());
    cx.session.blocked = Some(Blocked { ticket, until, timeout: |wire| wire.null_array() });
    Ok(())
}
