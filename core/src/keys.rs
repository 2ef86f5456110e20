//! Keys of any type, and the keyspace as a whole.
//!
//! Not here: deadlines (expire.rs), and scans (scan.rs).

use crate::command::{Args, Arity, EDGE, FAST, Group, Keys, READ, Spec, WRITE, docs, word};
use crate::error::{Error, Result};
use crate::keyspace::{Cx, Found, Keyspace};
use crate::limits::EXPIRED_DRAWS_MAX;
use crate::reply::Reply;
use crate::scan::Filter;

impl Cx<'_> {
    /// DEL: drops a key. False if it was not there.
    pub fn del(&mut self, key: &[u8]) -> bool {
        let found = self.lookup(key, self.keys.hash(key));
        if let Some(found) = &found {
            self.remove(found);
            self.keys.settle();
        }
        found.is_some()
    }

    /// EXISTS: whether a key is there.
    pub fn exists(&mut self, key: &[u8]) -> bool {
        self.lookup_look(key).is_some()
    }

    /// TYPE: the name of the type of a key's value.
    pub fn type_name(&mut self, key: &[u8]) -> Option<&'static str> {
        self.lookup_look(key).map(|found| found.head.kind().name())
    }

    /// TOUCH: whether a key is there, which counts as a use.
    pub fn touch(&mut self, key: &[u8]) -> bool {
        self.lookup_read(key).is_some()
    }

    /// RANDOMKEY: one of the keys, each with the same chance.
    pub fn random_key(&mut self) -> Option<&[u8]> {
        let mut draws = 0;
        loop {
            let found = self.keys.random_found()?;
            if !self.is_past(found.head.deadline) {
                return Some(found.head.key(self.keys.arena.cell(found.addr)));
            }
            if self.keys.keeps_expired() {
                // It may be that none has not expired.
                draws += 1;
                if draws == EXPIRED_DRAWS_MAX {
                    return None;
                }
                continue;
            }
            self.expire(&found);
            self.keys.settle();
        }
    }

    /// FLUSHDB: drops every key.
    pub fn flush(&mut self) {
        self.keys.clear();
        self.emit(&["FLUSHDB".into()]);
    }
}

impl Keyspace {
    /// One of the keys, expired or not. A bucket and a position in it are drawn until a key is
    /// there, so that a full bucket gets no more of the chances than its keys deserve.
    fn random_found(&mut self) -> Option<Found> {
        let buckets = self.index.bucket_count();
        // More than any bucket holds: four times the mean, and some.
        let positions = self.len().checked_div(buckets)? * 4 + 16;
        while !self.is_empty() {
            let bucket = self.random.below(buckets) as u32;
            let position = self.random.below(positions);
            if let Some((place, _)) = self.index.nth(bucket, position) {
                return self.found(place);
            }
        }
        None
    }
}

/// What the rows of DEL and UNLINK share: neither makes anybody wait for memory to be given back.
const DEL_ROW: Spec = Spec {
    name: "del",
    arity: Arity::AtLeast(2),
    keys: Keys::ALL,
    flags: WRITE | EDGE,
    group: Group::Generic,
    since: docs("1.0.0"),
    syntax: docs("key [key ...]"),
    summary: docs("Drops keys, and returns how many were there."),
    run: |cx, args, reply| count_keys(args, reply, &mut |key| cx.del(key)),
};

pub(crate) const COMMANDS: &[Spec] = &[
    Spec {
        name: "dbsize",
        arity: Arity::Exactly(1),
        keys: Keys::NONE,
        flags: READ | FAST | EDGE,
        group: Group::Server,
        since: docs("1.0.0"),
        syntax: docs(""),
        summary: docs("Returns the number of keys."),
        run: dbsize,
    },
    DEL_ROW,
    Spec {
        name: "exists",
        arity: Arity::AtLeast(2),
        keys: Keys::ALL,
        flags: READ | FAST | EDGE,
        group: Group::Generic,
        since: docs("1.0.0"),
        syntax: docs("key [key ...]"),
        summary: docs("Returns how many of the keys are there."),
        run: |cx, args, reply| count_keys(args, reply, &mut |key| cx.exists(key)),
    },
    Spec {
        name: "flushdb",
        arity: Arity::AtLeast(1),
        keys: Keys::NONE,
        flags: WRITE | EDGE,
        group: Group::Server,
        since: docs("1.0.0"),
        syntax: docs("[ASYNC | SYNC]"),
        summary: docs("Drops every key."),
        run: flushdb,
    },
    Spec {
        name: "keys",
        arity: Arity::Exactly(2),
        keys: Keys::NONE,
        flags: READ | EDGE,
        group: Group::Generic,
        since: docs("1.0.0"),
        syntax: docs("pattern"),
        summary: docs("Returns all keys that match a pattern."),
        run: keys,
    },
    Spec {
        name: "ping",
        arity: Arity::AtLeast(1),
        keys: Keys::NONE,
        flags: FAST | EDGE,
        group: Group::Connection,
        since: docs("1.0.0"),
        syntax: docs("[message]"),
        summary: docs("Answers PONG, or the message."),
        run: ping,
    },
    Spec {
        name: "randomkey",
        arity: Arity::Exactly(1),
        keys: Keys::NONE,
        flags: READ | EDGE,
        group: Group::Generic,
        since: docs("1.0.0"),
        syntax: docs(""),
        summary: docs("Returns one of the keys, by chance."),
        run: randomkey,
    },
    Spec {
        name: "touch",
        arity: Arity::AtLeast(2),
        keys: Keys::ALL,
        flags: READ | FAST | EDGE,
        group: Group::Generic,
        since: docs("3.2.1"),
        syntax: docs("key [key ...]"),
        summary: docs("Counts as a use of the keys, and returns how many of them are there."),
        run: |cx, args, reply| count_keys(args, reply, &mut |key| cx.touch(key)),
    },
    Spec {
        name: "type",
        arity: Arity::Exactly(2),
        keys: Keys::FIRST,
        flags: READ | FAST | EDGE,
        group: Group::Generic,
        since: docs("1.0.0"),
        syntax: docs("key"),
        summary: docs("Returns the type of a key's value."),
        run: type_,
    },
    Spec { name: "unlink", flags: WRITE | FAST | EDGE, since: docs("4.0.0"), ..DEL_ROW },
];

fn dbsize(cx: &mut Cx<'_>, _: &mut Args<'_>, reply: &mut dyn Reply) -> Result<()> {
    reply.integer(cx.keys.len() as i64);
    Ok(())
}

/// DEL, EXISTS and TOUCH: how many of the keys it holds for.
fn count_keys(
    args: &mut Args<'_>,
    reply: &mut dyn Reply,
    holds: &mut dyn FnMut(&[u8]) -> bool,
) -> Result<()> {
    let mut count = 0;
    for key in args {
        count += i64::from(holds(key));
    }
    reply.integer(count);
    Ok(())
}

fn flushdb(cx: &mut Cx<'_>, args: &mut Args<'_>, reply: &mut dyn Reply) -> Result<()> {
    let is_known = args.next().is_none_or(|option| word(option, &["async", "sync"]) < 2);
    if !is_known || args.len() > 0 {
        return Err(Error::Syntax);
    }
    cx.flush();
    reply.simple("OK");
    Ok(())
}

fn keys(cx: &mut Cx<'_>, args: &mut Args<'_>, reply: &mut dyn Reply) -> Result<()> {
    let filter = Filter::matching(args.required());
    let buckets = cx.keys.index.bucket_count() as u32;
    // Once to count, since an array says its length first, and once to answer.
    let mut count = 0;
    (0..buckets).for_each(|bucket| cx.visit_bucket(bucket, &filter, &mut |_| count += 1));
    reply.array(count);
    (0..buckets)
        .for_each(|bucket| cx.visit_bucket(bucket, &filter, &mut |key| reply.bulk(key.into())));
    Ok(())
}

fn ping(_: &mut Cx<'_>, args: &mut Args<'_>, reply: &mut dyn Reply) -> Result<()> {
    match (args.next(), args.next()) {
        (None, _) => reply.simple("PONG"),
        (Some(message), None) => reply.bulk(message.into()),
        _ => return Err(Error::WrongArity),
    }
    Ok(())
}

fn randomkey(cx: &mut Cx<'_>, _: &mut Args<'_>, reply: &mut dyn Reply) -> Result<()> {
    match cx.random_key() {
        Some(key) => reply.bulk(key.into()),
        None => reply.null(),
    }
    Ok(())
}

fn type_(cx: &mut Cx<'_>, args: &mut Args<'_>, reply: &mut dyn Reply) -> Result<()> {
    reply.simple(cx.type_name(args.required()).unwrap_or("none"));
    Ok(())
}
