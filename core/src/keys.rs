//! Keys of any type, and the keyspace as a whole.
//!
//! SCAN's guarantee: a key that is there from the first call to the last is returned, whatever
//! is inserted, deleted, evicted or moved in between; it may be returned more than once.

use crate::command::{Args, Arity, EDGE, FAST, Group, Keys, READ, Spec, WRITE, docs, word};
use crate::error::{Error, Result};
use crate::glob;
use crate::keyspace::Cx;
use crate::num::{Digits, parse_digits, parse_integer};
use crate::record::Head;
use crate::reply::Reply;

/// What a SCAN returns. The default is everything.
#[derive(Clone, Copy, Debug, Default)]
struct Filter<'a> {
    pattern: Option<&'a [u8]>,
    type_name: Option<&'a [u8]>,
}

/// Buckets that SCAN visits at most for each key it was asked for.
const SCAN_BUCKETS_PER_KEY: usize = 10;
const SCAN_COUNT_DEFAULT: usize = 10;

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

    /// FLUSHDB: drops every key.
    pub fn flush(&mut self) {
        self.keys.clear();
        self.emit(&["FLUSHDB".into()]);
    }

    /// Shows each key of a bucket that has not expired and passes the filter.
    fn visit_bucket(&self, bucket: u32, filter: &Filter<'_>, show: &mut dyn FnMut(&[u8])) {
        self.keys.index.visit(bucket, &mut |_, entry| {
            let cell = self.keys.arena.cell(entry.addr);
            let Some(head) = Head::read(cell) else { return };
            let key = head.key(cell);
            if !self.is_past(head.deadline) && filter.passes(&head, key) {
                show(key);
            }
        });
    }
}

impl Filter<'_> {
    fn passes(&self, head: &Head, key: &[u8]) -> bool {
        self.type_name.is_none_or(|name| name.eq_ignore_ascii_case(head.kind().name().as_bytes()))
            && self.pattern.is_none_or(|pattern| pattern == b"*" || glob::matches(pattern, key))
    }
}

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
    Spec {
        name: "del",
        arity: Arity::AtLeast(2),
        keys: Keys::ALL,
        flags: WRITE | EDGE,
        group: Group::Generic,
        since: docs("1.0.0"),
        syntax: docs("key [key ...]"),
        summary: docs("Drops keys, and returns how many were there."),
        run: |cx, args, reply| count_keys(args, reply, &mut |key| cx.del(key)),
    },
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
        name: "scan",
        arity: Arity::AtLeast(2),
        keys: Keys::NONE,
        flags: READ | EDGE,
        group: Group::Generic,
        since: docs("2.8.0"),
        syntax: docs("cursor [MATCH pattern] [COUNT count] [TYPE type]"),
        summary: docs("Returns some of the keys, and a cursor to go on with."),
        run: scan,
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
];

fn dbsize(cx: &mut Cx<'_>, _: &mut Args<'_>, reply: &mut dyn Reply) -> Result<()> {
    reply.integer(cx.keys.len() as i64);
    Ok(())
}

/// DEL and EXISTS: how many of the keys it holds for.
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
    let filter = Filter { pattern: Some(args.required()), type_name: None };
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

fn scan(cx: &mut Cx<'_>, args: &mut Args<'_>, reply: &mut dyn Reply) -> Result<()> {
    let start = parse_cursor(args.required())?;
    let (filter, count) = scan_options(args)?;
    // How far to go: the same steps are then taken once to count the keys, once to answer.
    let (mut cursor, mut steps, mut seen) = (start, 0, 0);
    loop {
        let (bucket, next) = cx.keys.index.scan_step(cursor);
        cursor = next;
        steps += 1;
        cx.visit_bucket(bucket, &Filter::default(), &mut |_| seen += 1);
        let is_enough = seen >= count || steps >= count.saturating_mul(SCAN_BUCKETS_PER_KEY);
        if cursor == 0 || is_enough {
            break;
        }
    }
    reply.array(2);
    reply.bulk(Digits::of_unsigned(cursor).as_bytes().into());
    let mut passed = 0;
    visit_steps(cx, start, steps, &filter, &mut |_| passed += 1);
    reply.array(passed);
    visit_steps(cx, start, steps, &filter, &mut |key| reply.bulk(key.into()));
    Ok(())
}

fn visit_steps(
    cx: &Cx<'_>,
    start: u64,
    steps: usize,
    filter: &Filter<'_>,
    visit: &mut dyn FnMut(&[u8]),
) {
    let mut cursor = start;
    for _ in 0..steps {
        let (bucket, next) = cx.keys.index.scan_step(cursor);
        cx.visit_bucket(bucket, filter, visit);
        cursor = next;
    }
}

fn scan_options<'a>(args: &mut Args<'a>) -> Result<(Filter<'a>, usize)> {
    let mut filter = Filter::default();
    let mut count = SCAN_COUNT_DEFAULT;
    while let Some(option) = args.next() {
        let word = word(option, &["count", "match", "type"]);
        let value = args.value()?;
        match word {
            0 => {
                let wanted = parse_integer(value).ok_or(Error::NotAnInteger)?;
                if wanted < 1 {
                    return Err(Error::Syntax);
                }
                count = usize::try_from(wanted).unwrap_or(usize::MAX);
            }
            1 => filter.pattern = Some(value),
            2 if filter.type_name.is_none() => filter.type_name = Some(value),
            _ => return Err(Error::Syntax),
        }
    }
    Ok((filter, count))
}

/// Reads a cursor as C's `strtoul` does, which is what Redis takes: a sign is allowed, and no
/// digits at all are zero.
fn parse_cursor(text: &[u8]) -> Result<u64> {
    let (is_negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    if digits.is_empty() && !text.is_empty() {
        return Err(Error::InvalidCursor);
    }
    let number = parse_digits(digits).ok_or(Error::InvalidCursor)?;
    Ok(if is_negative { number.wrapping_neg() } else { number })
}

fn type_(cx: &mut Cx<'_>, args: &mut Args<'_>, reply: &mut dyn Reply) -> Result<()> {
    reply.simple(cx.type_name(args.required()).unwrap_or("none"));
    Ok(())
}
