//! The commands on lists.
//!
//! Not here: what they do (mod.rs).

use crate::command::{
    Args, Arity, DENYOOM, EDGE, FAST, Group, Keys, READ, Spec, WRITE, counted_keys, docs, word,
};
use crate::deque::Side;
use crate::error::{Error, Result};
use crate::keyspace::Cx;
use crate::list::Positions;
use crate::num::parse_integer;
use crate::reply::Reply;

/// What the rows of LPUSH and its sisters share.
const PUSH_ROW: Spec = Spec {
    name: "lpush",
    arity: Arity::AtLeast(3),
    keys: Keys::FIRST,
    flags: WRITE | DENYOOM | FAST | EDGE,
    group: Group::List,
    since: docs("1.0.0"),
    syntax: docs("key element [element ...]"),
    summary: docs("Adds elements at the left of a list. Creates the key if it is not there."),
    run: |cx, args, reply| push(args, reply, &mut |key, values| cx.lpush(key, values)),
};

/// What the rows of LPOP and RPOP share.
const POP_ROW: Spec = Spec {
    name: "lpop",
    arity: Arity::AtLeast(2),
    keys: Keys::FIRST,
    flags: WRITE | FAST | EDGE,
    group: Group::List,
    since: docs("1.0.0"),
    syntax: docs("key [count]"),
    summary: docs("Takes elements off the left of a list, and returns them."),
    run: |cx, args, reply| pop(cx, args, reply, Side::Left),
};

/// What the rows of LMOVE and RPOPLPUSH share.
const MOVE_ROW: Spec = Spec {
    name: "lmove",
    arity: Arity::Exactly(5),
    keys: Keys::FIRST_TWO,
    flags: WRITE | DENYOOM | EDGE,
    group: Group::List,
    since: docs("6.2.0"),
    syntax: docs("source destination <LEFT | RIGHT> <LEFT | RIGHT>"),
    summary: docs("Takes an element off a list, adds it to another, and returns it."),
    run: lmove,
};

pub(crate) const COMMANDS: &[Spec] = &[
    Spec {
        name: "lindex",
        arity: Arity::Exactly(3),
        keys: Keys::FIRST,
        flags: READ | EDGE,
        group: Group::List,
        since: docs("1.0.0"),
        syntax: docs("key index"),
        summary: docs("Returns the element of a list at an index."),
        run: lindex,
    },
    Spec {
        name: "linsert",
        arity: Arity::Exactly(5),
        keys: Keys::FIRST,
        flags: WRITE | DENYOOM | EDGE,
        group: Group::List,
        since: docs("2.2.0"),
        syntax: docs("key <BEFORE | AFTER> pivot element"),
        summary: docs("Adds an element to a list, before or after another."),
        run: linsert,
    },
    Spec {
        name: "llen",
        arity: Arity::Exactly(2),
        keys: Keys::FIRST,
        flags: READ | FAST | EDGE,
        group: Group::List,
        since: docs("1.0.0"),
        syntax: docs("key"),
        summary: docs("Returns how many elements a list has."),
        run: llen,
    },
    MOVE_ROW,
    Spec {
        name: "lmpop",
        arity: Arity::AtLeast(4),
        keys: Keys::counted(1),
        flags: WRITE | EDGE,
        group: Group::List,
        since: docs("7.0.0"),
        syntax: docs("numkeys key [key ...] <LEFT | RIGHT> [COUNT count]"),
        summary: docs("Takes elements off the first list that is there, and returns them."),
        run: lmpop,
    },
    POP_ROW,
    Spec {
        name: "lpos",
        arity: Arity::AtLeast(3),
        keys: Keys::FIRST,
        flags: READ | EDGE,
        group: Group::List,
        since: docs("6.0.6"),
        syntax: docs("key element [RANK rank] [COUNT num-matches] [MAXLEN len]"),
        summary: docs("Returns the indexes of elements of a list that equal one."),
        run: lpos,
    },
    PUSH_ROW,
    Spec {
        name: "lpushx",
        since: docs("2.2.0"),
        summary: docs("Adds elements at the left of a list, if it is there."),
        run: |cx, args, reply| push(args, reply, &mut |key, values| cx.lpushx(key, values)),
        ..PUSH_ROW
    },
    Spec {
        name: "lrange",
        arity: Arity::Exactly(4),
        keys: Keys::FIRST,
        flags: READ | EDGE,
        group: Group::List,
        since: docs("1.0.0"),
        syntax: docs("key start stop"),
        summary: docs("Returns the elements of a list between two indexes."),
        run: lrange,
    },
    Spec {
        name: "lrem",
        arity: Arity::Exactly(4),
        keys: Keys::FIRST,
        flags: WRITE | EDGE,
        group: Group::List,
        since: docs("1.0.0"),
        syntax: docs("key count element"),
        summary: docs("Takes elements out of a list that equal one, and returns how many."),
        run: lrem,
    },
    Spec {
        name: "lset",
        arity: Arity::Exactly(4),
        keys: Keys::FIRST,
        flags: WRITE | DENYOOM | EDGE,
        group: Group::List,
        since: docs("1.0.0"),
        syntax: docs("key index element"),
        summary: docs("Replaces the element of a list at an index."),
        run: lset,
    },
    Spec {
        name: "ltrim",
        arity: Arity::Exactly(4),
        keys: Keys::FIRST,
        flags: WRITE | EDGE,
        group: Group::List,
        since: docs("1.0.0"),
        syntax: docs("key start stop"),
        summary: docs("Drops the elements of a list that are not between two indexes."),
        run: ltrim,
    },
    Spec {
        name: "rpop",
        summary: docs("Takes elements off the right of a list, and returns them."),
        run: |cx, args, reply| pop(cx, args, reply, Side::Right),
        ..POP_ROW
    },
    Spec {
        name: "rpoplpush",
        arity: Arity::Exactly(3),
        since: docs("1.2.0"),
        syntax: docs("source destination"),
        summary: docs("Moves the last element of a list to the left of another, and returns it."),
        run: |cx, args, reply| {
            let (source, destination) = (args.required(), args.required());
            move_between(cx, reply, source, destination, (Side::Right, Side::Left))
        },
        ..MOVE_ROW
    },
    Spec {
        name: "rpush",
        summary: docs("Adds elements at the right of a list. Creates the key if it is not there."),
        run: |cx, args, reply| push(args, reply, &mut |key, values| cx.rpush(key, values)),
        ..PUSH_ROW
    },
    Spec {
        name: "rpushx",
        since: docs("2.2.0"),
        summary: docs("Adds elements at the right of a list, if it is there."),
        run: |cx, args, reply| push(args, reply, &mut |key, values| cx.rpushx(key, values)),
        ..PUSH_ROW
    },
];

type Push<'f> = &'f mut dyn FnMut(&[u8], &[&[u8]]) -> Result<usize>;

fn push(args: &mut Args<'_>, reply: &mut dyn Reply, push: Push<'_>) -> Result<()> {
    let key = args.required();
    reply.integer(push(key, args.as_slice())? as i64);
    Ok(())
}

fn pop(cx: &mut Cx<'_>, args: &mut Args<'_>, reply: &mut dyn Reply, side: Side) -> Result<()> {
    let key = args.required();
    let Some(count) = args.next() else {
        if cx.pop(key, side, 1, &mut |_, value| reply.bulk(value))?.is_none() {
            reply.null();
        }
        return Ok(());
    };
    if args.len() > 0 {
        return Err(Error::WrongArity);
    }
    let count = count_from(count, 0).ok_or(Error::NotPositive)?;
    pop_many(cx, key, side, count, &mut |_| {}, reply).map(|is_there| {
        if !is_there {
            reply.null_array();
        }
    })
}

/// Answers the elements that are popped as an array, behind what `begin` answers. False, and
/// nothing answered, if there is no such list.
fn pop_many(
    cx: &mut Cx<'_>,
    key: &[u8],
    side: Side,
    count: usize,
    begin: &mut dyn FnMut(&mut dyn Reply),
    reply: &mut dyn Reply,
) -> Result<bool> {
    let mut shown = 0;
    let popped = cx.pop(key, side, count, &mut |total, value| {
        if shown == 0 {
            begin(reply);
            reply.array(total);
        }
        shown += 1;
        reply.bulk(value);
    })?;
    if popped == Some(0) {
        reply.array(0);
    }
    Ok(popped.is_some())
}

/// A count of at least so many, if it is one.
fn count_from(text: &[u8], least: i64) -> Option<usize> {
    let count = parse_integer(text).filter(|&count| count >= least)?;
    Some(usize::try_from(count).unwrap_or(usize::MAX))
}

fn lindex(cx: &mut Cx<'_>, args: &mut Args<'_>, reply: &mut dyn Reply) -> Result<()> {
    let key = args.required();
    let index = parse_integer(args.required());
    // As in Redis the key is looked at before the number.
    if index.is_none() && cx.llen(key)? > 0 {
        return Err(Error::NotAnInteger);
    }
    match cx.lindex(key, index.unwrap_or_default())? {
        Some(value) => reply.bulk(value),
        None => reply.null(),
    }
    Ok(())
}

fn linsert(cx: &mut Cx<'_>, args: &mut Args<'_>, reply: &mut dyn Reply) -> Result<()> {
    let key = args.required();
    let side = match word(args.required(), &["before", "after"]) {
        0 => Side::Left,
        1 => Side::Right,
        _ => return Err(Error::Syntax),
    };
    let len = cx.linsert(key, side, args.required(), args.required())?;
    reply.integer(len.map_or(-1, |len| len as i64));
    Ok(())
}

fn llen(cx: &mut Cx<'_>, args: &mut Args<'_>, reply: &mut dyn Reply) -> Result<()> {
    reply.integer(cx.llen(args.required())? as i64);
    Ok(())
}

fn side(text: &[u8]) -> Result<Side> {
    match word(text, &["left", "right"]) {
        0 => Ok(Side::Left),
        1 => Ok(Side::Right),
        _ => Err(Error::Syntax),
    }
}

fn lmove(cx: &mut Cx<'_>, args: &mut Args<'_>, reply: &mut dyn Reply) -> Result<()> {
    let (source, destination) = (args.required(), args.required());
    let ends = (side(args.required())?, side(args.required())?);
    move_between(cx, reply, source, destination, ends)
}

fn move_between(
    cx: &mut Cx<'_>,
    reply: &mut dyn Reply,
    source: &[u8],
    destination: &[u8],
    ends: (Side, Side),
) -> Result<()> {
    if !cx.lmove(source, destination, ends, &mut |value| reply.bulk(value))? {
        reply.null();
    }
    Ok(())
}

fn lmpop(cx: &mut Cx<'_>, args: &mut Args<'_>, reply: &mut dyn Reply) -> Result<()> {
    let keys = counted_keys(args).map_err(|error| match error {
        Error::TooManyKeys => Error::Syntax,
        other => other,
    })?;
    let side = side(args.value()?)?;
    let mut count = 1;
    if let Some(option) = args.next() {
        let text = args.value()?;
        if word(option, &["count"]) > 0 {
            return Err(Error::Syntax);
        }
        count = count_from(text, 1).ok_or(Error::NoCount)?;
        if args.len() > 0 {
            return Err(Error::Syntax);
        }
    }
    for key in keys {
        let mut begin = |reply: &mut dyn Reply| {
            reply.array(2);
            reply.bulk(key.into());
        };
        if pop_many(cx, key, side, count, &mut begin, reply)? {
            return Ok(());
        }
    }
    reply.null_array();
    Ok(())
}

fn lpos(cx: &mut Cx<'_>, args: &mut Args<'_>, reply: &mut dyn Reply) -> Result<()> {
    let (key, value) = (args.required(), args.required());
    let mut wanted = Positions::default();
    let mut has_count = false;
    let limit = |text: &[u8]| parse_integer(text).filter(|&number| number >= 0);
    while let Some(option) = args.next() {
        let text = args.value()?;
        match word(option, &["rank", "count", "maxlen"]) {
            0 => {
                wanted.rank = parse_integer(text).ok_or(Error::NotAnInteger)?;
                if wanted.rank == 0 {
                    return Err(Error::ZeroRank);
                }
            }
            1 => {
                wanted.count = limit(text).ok_or(Error::NegativeCount)?;
                has_count = true;
            }
            2 => wanted.max_len = limit(text).ok_or(Error::NegativeMaxLen)?,
            _ => return Err(Error::Syntax),
        }
    }
    if !has_count {
        let mut found = None;
        cx.lpos(key, value, &wanted, &mut |index| found = Some(index))?;
        match found {
            Some(index) => reply.integer(index as i64),
            None => reply.null(),
        }
        return Ok(());
    }
    // Once to count, since an array says its length first, and once to answer.
    let mut count = 0;
    cx.lpos(key, value, &wanted, &mut |_| count += 1)?;
    reply.array(count);
    cx.lpos(key, value, &wanted, &mut |index| reply.integer(index as i64))
}

fn lrange(cx: &mut Cx<'_>, args: &mut Args<'_>, reply: &mut dyn Reply) -> Result<()> {
    let key = args.required();
    let start = parse_integer(args.required()).ok_or(Error::NotAnInteger)?;
    let stop = parse_integer(args.required()).ok_or(Error::NotAnInteger)?;
    let mut shown = 0;
    let count = cx.lrange(key, start, stop, &mut |total, value| {
        if shown == 0 {
            reply.array(total);
        }
        shown += 1;
        reply.bulk(value);
    })?;
    if count == 0 {
        reply.array(0);
    }
    Ok(())
}

fn lrem(cx: &mut Cx<'_>, args: &mut Args<'_>, reply: &mut dyn Reply) -> Result<()> {
    let key = args.required();
    let count = parse_integer(args.required()).ok_or(Error::NotAnInteger)?;
    reply.integer(cx.lrem(key, count, args.required())? as i64);
    Ok(())
}

fn lset(cx: &mut Cx<'_>, args: &mut Args<'_>, reply: &mut dyn Reply) -> Result<()> {
    let (key, index) = (args.required(), parse_integer(args.required()));
    // As in Redis the key is looked at before the number.
    if index.is_none() && cx.llen(key)? > 0 {
        return Err(Error::NotAnInteger);
    }
    cx.lset(key, index.unwrap_or_default(), args.required())?;
    reply.simple("OK");
    Ok(())
}

fn ltrim(cx: &mut Cx<'_>, args: &mut Args<'_>, reply: &mut dyn Reply) -> Result<()> {
    let key = args.required();
    let start = parse_integer(args.required()).ok_or(Error::NotAnInteger)?;
    let stop = parse_integer(args.required()).ok_or(Error::NotAnInteger)?;
    cx.ltrim(key, start, stop)?;
    reply.simple("OK");
    Ok(())
}
