//! The rows of sorted sets in the command table.
//!
//! Not here: what the rows run, beyond a line or two.

use crate::command::{Arity, DENYOOM, FAST, Group, Keys, READ, Spec, WRITE, docs};
use crate::record::Kind;
use crate::scan::scan_entries;
use crate::score::ScoreText;
use crate::tree::score_of;

use super::algebra::{Operation, combine, store, zintercard};
use super::range::{By, Form, zcount, zrange, zrangestore, zremrange};
use super::{reply_score, zadd, zmpop, zmscore, zpop, zrandmember, zrank};

/// What the rows share: of commands that look at a few members; that look at many; that write; that
/// may need memory.
const FAST_ROW: Spec = Spec {
    name: "zcard",
    arity: Arity::Exactly(2),
    keys: Keys::FIRST,
    flags: READ | FAST,
    group: Group::SortedSet,
    since: docs("1.2.0"),
    syntax: docs("key"),
    summary: docs("Returns the number of members of a sorted set."),
    run: |cx, args, reply| {
        reply.integer(cx.zcard(args.required())? as i64);
        Ok(())
    },
};
const READ_ROW: Spec = Spec { flags: READ, ..FAST_ROW };
const WRITE_ROW: Spec = Spec { flags: WRITE, ..FAST_ROW };
const GROW_ROW: Spec = Spec { flags: WRITE | DENYOOM, ..FAST_ROW };

pub(crate) const COMMANDS: &[Spec] = &[
    Spec {
        name: "zadd",
        arity: Arity::AtLeast(4),
        flags: WRITE | DENYOOM | FAST,
        syntax: docs("key [NX | XX] [GT | LT] [CH] [INCR] score member [score member ...]"),
        summary: docs("Gives members of a sorted set their scores. Creates the key if needed."),
        run: |cx, args, reply| zadd(cx, args, reply, false),
        ..GROW_ROW
    },
    FAST_ROW,
    Spec {
        name: "zcount",
        arity: Arity::Exactly(4),
        since: docs("2.0.0"),
        syntax: docs("key min max"),
        summary: docs("Returns how many members have a score in a range."),
        run: |cx, args, reply| zcount(cx, args, reply, By::Score),
        ..FAST_ROW
    },
    Spec {
        name: "zdiff",
        arity: Arity::AtLeast(3),
        keys: Keys::counted(1),
        since: docs("6.2.0"),
        syntax: docs("numkeys key [key ...] [WITHSCORES]"),
        summary: docs("Returns the members of the first sorted set that no other has."),
        run: |cx, args, reply| combine(cx, args, reply, Operation::Difference),
        ..READ_ROW
    },
    Spec {
        name: "zdiffstore",
        arity: Arity::AtLeast(4),
        keys: Keys::counted(2),
        since: docs("6.2.0"),
        syntax: docs("destination numkeys key [key ...]"),
        summary: docs("Stores what ZDIFF returns."),
        run: |cx, args, reply| store(cx, args, reply, Operation::Difference),
        ..GROW_ROW
    },
    Spec {
        name: "zincrby",
        arity: Arity::Exactly(4),
        flags: WRITE | DENYOOM | FAST,
        syntax: docs("key increment member"),
        summary: docs("Adds to the score of a member, which starts at zero."),
        run: |cx, args, reply| zadd(cx, args, reply, true),
        ..GROW_ROW
    },
    Spec {
        name: "zinter",
        arity: Arity::AtLeast(3),
        keys: Keys::counted(1),
        since: docs("6.2.0"),
        syntax: docs(
            "numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE <SUM | MIN | MAX>] \
             [WITHSCORES]",
        ),
        summary: docs("Returns the members that all sorted sets have."),
        run: |cx, args, reply| combine(cx, args, reply, Operation::Intersection),
        ..READ_ROW
    },
    Spec {
        name: "zintercard",
        arity: Arity::AtLeast(3),
        keys: Keys::counted(1),
        since: docs("7.0.0"),
        syntax: docs("numkeys key [key ...] [LIMIT limit]"),
        summary: docs("Returns how many members all sorted sets have, up to a limit."),
        run: zintercard,
        ..READ_ROW
    },
    Spec {
        name: "zinterstore",
        arity: Arity::AtLeast(4),
        keys: Keys::counted(2),
        since: docs("2.0.0"),
        syntax: docs(
            "destination numkeys key [key ...] [WEIGHTS weight [weight ...]] \
             [AGGREGATE <SUM | MIN | MAX>]",
        ),
        summary: docs("Stores what ZINTER returns."),
        run: |cx, args, reply| store(cx, args, reply, Operation::Intersection),
        ..GROW_ROW
    },
    Spec {
        name: "zlexcount",
        arity: Arity::Exactly(4),
        since: docs("2.8.9"),
        syntax: docs("key min max"),
        summary: docs("Returns how many members of one score are in a range of texts."),
        run: |cx, args, reply| zcount(cx, args, reply, By::Text),
        ..FAST_ROW
    },
    Spec {
        name: "zmpop",
        arity: Arity::AtLeast(4),
        keys: Keys::counted(1),
        since: docs("7.0.0"),
        syntax: docs("numkeys key [key ...] <MIN | MAX> [COUNT count]"),
        summary: docs("Takes members out of the first sorted set that has any."),
        run: zmpop,
        ..WRITE_ROW
    },
    Spec {
        name: "zmscore",
        arity: Arity::AtLeast(3),
        since: docs("6.2.0"),
        syntax: docs("key member [member ...]"),
        summary: docs("Returns the scores of members."),
        run: zmscore,
        ..FAST_ROW
    },
    Spec {
        name: "zpopmax",
        arity: Arity::AtLeast(2),
        flags: WRITE | FAST,
        since: docs("5.0.0"),
        syntax: docs("key [count]"),
        summary: docs("Takes the members with the highest scores out, and returns them."),
        run: |cx, args, reply| zpop(cx, args, reply, true),
        ..WRITE_ROW
    },
    Spec {
        name: "zpopmin",
        arity: Arity::AtLeast(2),
        flags: WRITE | FAST,
        since: docs("5.0.0"),
        syntax: docs("key [count]"),
        summary: docs("Takes the members with the lowest scores out, and returns them."),
        run: |cx, args, reply| zpop(cx, args, reply, false),
        ..WRITE_ROW
    },
    Spec {
        name: "zrandmember",
        arity: Arity::AtLeast(2),
        since: docs("6.2.0"),
        syntax: docs("key [count [WITHSCORES]]"),
        summary: docs("Returns random members; with a negative count also repeatedly."),
        run: zrandmember,
        ..READ_ROW
    },
    Spec {
        name: "zrange",
        arity: Arity::AtLeast(4),
        syntax: docs("key start stop [BYSCORE | BYLEX] [REV] [LIMIT offset count] [WITHSCORES]"),
        summary: docs("Returns the members in a range of ranks, scores or texts."),
        run: |cx, args, reply| zrange(cx, args, reply, Form::ANY),
        ..READ_ROW
    },
    Spec {
        name: "zrangebylex",
        arity: Arity::AtLeast(4),
        since: docs("2.8.9"),
        syntax: docs("key min max [LIMIT offset count]"),
        summary: docs("Returns the members of one score in a range of texts."),
        run: |cx, args, reply| zrange(cx, args, reply, Form::fixed(By::Text, false)),
        ..READ_ROW
    },
    Spec {
        name: "zrangebyscore",
        arity: Arity::AtLeast(4),
        since: docs("1.0.5"),
        syntax: docs("key min max [WITHSCORES] [LIMIT offset count]"),
        summary: docs("Returns the members in a range of scores."),
        run: |cx, args, reply| zrange(cx, args, reply, Form::fixed(By::Score, false)),
        ..READ_ROW
    },
    Spec {
        name: "zrangestore",
        arity: Arity::AtLeast(5),
        keys: Keys::FIRST_TWO,
        since: docs("6.2.0"),
        syntax: docs("dst src min max [BYSCORE | BYLEX] [REV] [LIMIT offset count]"),
        summary: docs("Stores what ZRANGE returns."),
        run: zrangestore,
        ..GROW_ROW
    },
    Spec {
        name: "zrank",
        arity: Arity::AtLeast(3),
        since: docs("2.0.0"),
        syntax: docs("key member [WITHSCORE]"),
        summary: docs("Returns how many members have a lower score than one."),
        run: |cx, args, reply| zrank(cx, args, reply, false),
        ..FAST_ROW
    },
    Spec {
        name: "zrem",
        arity: Arity::AtLeast(3),
        flags: WRITE | FAST,
        syntax: docs("key member [member ...]"),
        summary: docs("Takes members out of a sorted set, and returns how many were there."),
        run: |cx, args, reply| {
            let removed = cx.zrem(args.required(), args.clone())?;
            reply.integer(removed as i64);
            Ok(())
        },
        ..WRITE_ROW
    },
    Spec {
        name: "zremrangebylex",
        arity: Arity::Exactly(4),
        since: docs("2.8.9"),
        syntax: docs("key min max"),
        summary: docs("Takes the members of one score in a range of texts out."),
        run: |cx, args, reply| zremrange(cx, args, reply, By::Text),
        ..WRITE_ROW
    },
    Spec {
        name: "zremrangebyrank",
        arity: Arity::Exactly(4),
        since: docs("2.0.0"),
        syntax: docs("key start stop"),
        summary: docs("Takes the members in a range of ranks out."),
        run: |cx, args, reply| zremrange(cx, args, reply, By::Rank),
        ..WRITE_ROW
    },
    Spec {
        name: "zremrangebyscore",
        arity: Arity::Exactly(4),
        syntax: docs("key min max"),
        summary: docs("Takes the members in a range of scores out."),
        run: |cx, args, reply| zremrange(cx, args, reply, By::Score),
        ..WRITE_ROW
    },
    Spec {
        name: "zrevrange",
        arity: Arity::AtLeast(4),
        syntax: docs("key start stop [WITHSCORES]"),
        summary: docs("Returns the members in a range of ranks, from the highest score down."),
        run: |cx, args, reply| zrange(cx, args, reply, Form::fixed(By::Rank, true)),
        ..READ_ROW
    },
    Spec {
        name: "zrevrangebylex",
        arity: Arity::AtLeast(4),
        since: docs("2.8.9"),
        syntax: docs("key max min [LIMIT offset count]"),
        summary: docs("Returns the members of one score in a range of texts, from the last on."),
        run: |cx, args, reply| zrange(cx, args, reply, Form::fixed(By::Text, true)),
        ..READ_ROW
    },
    Spec {
        name: "zrevrangebyscore",
        arity: Arity::AtLeast(4),
        since: docs("2.2.0"),
        syntax: docs("key max min [WITHSCORES] [LIMIT offset count]"),
        summary: docs("Returns the members in a range of scores, from the highest down."),
        run: |cx, args, reply| zrange(cx, args, reply, Form::fixed(By::Score, true)),
        ..READ_ROW
    },
    Spec {
        name: "zrevrank",
        arity: Arity::AtLeast(3),
        since: docs("2.0.0"),
        syntax: docs("key member [WITHSCORE]"),
        summary: docs("Returns how many members have a higher score than one."),
        run: |cx, args, reply| zrank(cx, args, reply, true),
        ..FAST_ROW
    },
    Spec {
        name: "zscan",
        arity: Arity::AtLeast(3),
        since: docs("2.8.0"),
        syntax: docs("key cursor [MATCH pattern] [COUNT count]"),
        summary: docs("Returns some members and their scores, and a cursor to go on with."),
        run: |cx, args, reply| {
            scan_entries(cx, args, reply, Kind::SortedSet, &mut |cx, entry, show| {
                let score = ScoreText::new(score_of(entry.value));
                show(&[cx.keys.text(entry.name), score.as_bytes().into()]);
            })
        },
        ..READ_ROW
    },
    Spec {
        name: "zscore",
        arity: Arity::Exactly(3),
        syntax: docs("key member"),
        summary: docs("Returns the score of a member."),
        run: |cx, args, reply| {
            match cx.zscore(args.required(), args.required())? {
                Some(score) => reply_score(reply, score),
                None => reply.null(),
            }
            Ok(())
        },
        ..FAST_ROW
    },
    Spec {
        name: "zunion",
        arity: Arity::AtLeast(3),
        keys: Keys::counted(1),
        since: docs("6.2.0"),
        syntax: docs(
            "numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE <SUM | MIN | MAX>] \
             [WITHSCORES]",
        ),
        summary: docs("Returns the members of all sorted sets."),
        run: |cx, args, reply| combine(cx, args, reply, Operation::Union),
        ..READ_ROW
    },
    Spec {
        name: "zunionstore",
        arity: Arity::AtLeast(4),
        keys: Keys::counted(2),
        since: docs("2.0.0"),
        syntax: docs(
            "destination numkeys key [key ...] [WEIGHTS weight [weight ...]] \
             [AGGREGATE <SUM | MIN | MAX>]",
        ),
        summary: docs("Stores what ZUNION returns."),
        run: |cx, args, reply| store(cx, args, reply, Operation::Union),
        ..GROW_ROW
    },
];
