//! Streams in the command table, and what commands with subcommands have in common.

use super::range::{xrange, xread};
use super::{add, claim, info, manage, read};
use crate::command::{Args, Arity, DENYOOM, FAST, Group, Keys, READ, Spec, WRITE, docs, printed};
use crate::error::Error;
use crate::reply::Reply;

/// How much of a subcommand's name an error repeats.
const NAME_BYTES_MAX: usize = 128;

pub(crate) const COMMANDS: &[Spec] = &[
    Spec {
        name: "xack",
        arity: Arity::AtLeast(4),
        flags: WRITE | FAST,
        syntax: docs("key group id [id ...]"),
        summary: docs("Acknowledges entries that were given to a consumer of a group."),
        run: claim::xack,
        ..ROW
    },
    Spec {
        name: "xadd",
        arity: Arity::AtLeast(5),
        flags: WRITE | DENYOOM | FAST,
        syntax: docs(
            "key [NOMKSTREAM] [<MAXLEN | MINID> [= | ~] threshold [LIMIT count]] <* | id> field \
             value [field value ...]",
        ),
        summary: docs("Adds an entry to a stream, and trims it if told to."),
        run: add::xadd,
        ..ROW
    },
    Spec {
        name: "xautoclaim",
        arity: Arity::AtLeast(6),
        flags: WRITE | FAST,
        since: docs("6.2.0"),
        syntax: docs("key group consumer min-idle-time start [COUNT count] [JUSTID]"),
        summary: docs("Gives entries to a consumer that others had for too long."),
        run: claim::xautoclaim,
        ..ROW
    },
    Spec {
        name: "xclaim",
        arity: Arity::AtLeast(6),
        flags: WRITE | FAST,
        syntax: docs(
            "key group consumer min-idle-time id [id ...] [IDLE ms] [TIME unix-time-milliseconds] \
             [RETRYCOUNT count] [FORCE] [JUSTID] [LASTID lastid] [AHEAD]",
        ),
        summary: docs("Gives these entries to a consumer."),
        run: claim::xclaim,
        ..ROW
    },
    Spec {
        name: "xdel",
        arity: Arity::AtLeast(3),
        flags: WRITE | FAST,
        syntax: docs("key id [id ...]"),
        summary: docs("Deletes entries of a stream."),
        run: add::xdel,
        ..ROW
    },
    Spec {
        name: "xgroup",
        arity: Arity::AtLeast(2),
        keys: Keys { first: 2, last: 2, step: 1 },
        flags: WRITE | DENYOOM,
        syntax: docs(
            "CREATE key group <id | $> [MKSTREAM] [ENTRIESREAD entries-read] | SETID key group <id \
             | $> [ENTRIESREAD entries-read] | DESTROY key group | CREATECONSUMER key group \
             consumer | DELCONSUMER key group consumer | HELP",
        ),
        summary: docs("Makes, changes and removes groups of a stream, and their consumers."),
        run: manage::xgroup,
        ..ROW
    },
    Spec {
        name: "xinfo",
        arity: Arity::AtLeast(2),
        keys: Keys { first: 2, last: 2, step: 1 },
        syntax: docs("STREAM key [FULL [COUNT count]] | GROUPS key | CONSUMERS key group | HELP"),
        summary: docs("Returns what a stream, its groups and their consumers are like."),
        run: info::xinfo,
        ..ROW
    },
    Spec {
        name: "xlen",
        arity: Arity::Exactly(2),
        flags: READ | FAST,
        syntax: docs("key"),
        summary: docs("Returns how many entries a stream has."),
        run: |cx, args, reply| {
            reply.integer(cx.xlen(args.required())? as i64);
            Ok(())
        },
        ..ROW
    },
    Spec {
        name: "xpending",
        arity: Arity::AtLeast(3),
        syntax: docs("key group [[IDLE min-idle-time] start end count [consumer]]"),
        summary: docs("Returns which entries of a group are not acknowledged yet."),
        run: claim::xpending,
        ..ROW
    },
    Spec {
        name: "xrange",
        arity: Arity::AtLeast(4),
        syntax: docs("key start end [COUNT count]"),
        summary: docs("Returns the entries of a range of ids."),
        run: |cx, args, reply| xrange(cx, args, reply, false),
        ..ROW
    },
    Spec {
        name: "xread",
        arity: Arity::AtLeast(4),
        keys: Keys::BEHIND_STREAMS,
        syntax: docs("[COUNT count] [BLOCK milliseconds] STREAMS key [key ...] id [id ...]"),
        summary: docs("Returns the entries of streams that are behind the given ids."),
        run: xread,
        ..ROW
    },
    Spec {
        name: "xreadgroup",
        arity: Arity::AtLeast(7),
        keys: Keys::BEHIND_STREAMS,
        flags: WRITE,
        syntax: docs(
            "GROUP group consumer [COUNT count] [BLOCK milliseconds] [NOACK] STREAMS key [key ...] \
             id [id ...]",
        ),
        summary: docs("Gives new entries of streams to a consumer, or shows those it has."),
        run: read::xreadgroup,
        ..ROW
    },
    Spec {
        name: "xrevrange",
        arity: Arity::AtLeast(4),
        syntax: docs("key end start [COUNT count]"),
        summary: docs("Returns the entries of a range of ids, the last first."),
        run: |cx, args, reply| xrange(cx, args, reply, true),
        ..ROW
    },
    Spec {
        name: "xsetid",
        arity: Arity::AtLeast(3),
        flags: WRITE | DENYOOM | FAST,
        syntax: docs("key last-id [ENTRIESADDED entries-added] [MAXDELETEDID max-deleted-id]"),
        summary: docs("Sets the last id of a stream, and what it counts."),
        run: add::xsetid,
        ..ROW
    },
    Spec {
        name: "xtrim",
        arity: Arity::AtLeast(4),
        flags: WRITE,
        syntax: docs("key <MAXLEN | MINID> [= | ~] threshold [LIMIT count]"),
        summary: docs("Takes entries out at the front of a stream."),
        run: add::xtrim,
        ..ROW
    },
];

/// What most rows have.
const ROW: Spec = Spec {
    name: "",
    arity: Arity::AtLeast(2),
    keys: Keys::FIRST,
    flags: READ,
    group: Group::Stream,
    since: docs("5.0.0"),
    syntax: docs(""),
    summary: docs(""),
    run: |_, _, _| Err(Error::Syntax),
};

/// One of several commands behind one name.
pub(super) struct Subcommand {
    pub(super) name: &'static str,
    /// As errors name it.
    pub(super) full_name: &'static str,
    /// How many arguments it takes, both names included.
    pub(super) arity: Arity,
}

/// The number of a subcommand. One that is not there, or has another number of arguments, is
/// refused.
pub(super) fn subcommand(
    all: &[Subcommand],
    command: &str,
    name: &[u8],
    args: &Args<'_>,
    reply: &mut dyn Reply,
) -> Option<usize> {
    let is_named = |known: &Subcommand| name.eq_ignore_ascii_case(known.name.as_bytes());
    let found = all.iter().enumerate().find(|(_, known)| is_named(known));
    let Some((number, known)) = found else {
        let name = printed(name, NAME_BYTES_MAX);
        let parts = [b"ERR unknown subcommand '", name, b"'. Try ", command.as_bytes()];
        reply.error(&[parts[0], parts[1], parts[2], parts[3], b" HELP."]);
        return None;
    };
    if known.arity.allows(args.len() + 2) {
        return Some(number);
    }
    let parts = Error::WrongArity.parts(known.full_name);
    reply.error(&parts.map(str::as_bytes));
    None
}

/// The answer to arguments that a subcommand cannot have.
pub(super) fn refuse_syntax(command: &str, name: &[u8], reply: &mut dyn Reply) {
    reply.error(&[
        b"ERR unknown subcommand or wrong number of arguments for '",
        printed(name, NAME_BYTES_MAX),
        b"'. Try ",
        command.as_bytes(),
        b" HELP.",
    ]);
}

pub(super) fn refuse_missing_group(key: &[u8], group: &[u8], reply: &mut dyn Reply) {
    reply.error(&[
        b"NOGROUP No such consumer group '",
        printed(group, usize::MAX),
        b"' for key name '",
        printed(key, usize::MAX),
        b"'",
    ]);
}
