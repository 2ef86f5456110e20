//! Scans: SCAN over the keys, HSCAN and its sisters over the entries of one.
//!
//! The guarantee: what is there from the first call to the last is returned, whatever is inserted,
//! deleted, evicted or moved in between; it may be returned more than once.

use alloc::vec::Vec;

use crate::command::{Args, Arity, EDGE, Group, Keys, READ, Spec, docs, word};
use crate::error::{Error, Result};
use crate::glob;
use crate::keyspace::Cx;
use crate::linear::Buckets;
use crate::num::{Digits, integer, parse_digits};
use crate::packed::{Entry, Item};
use crate::record::{Head, Kind};
use crate::reply::Reply;
use crate::value::Value;

/// What a scan returns. The default is everything.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Filter<'a> {
    pattern: Option<&'a [u8]>,
    type_name: Option<&'a [u8]>,
}

/// Buckets that a scan visits at most for each element it was asked for.
const BUCKETS_PER_ELEMENT: usize = 10;
const COUNT_DEFAULT: usize = 10;

impl<'a> Filter<'a> {
    /// Whatever matches a pattern.
    pub(crate) fn matching(pattern: &'a [u8]) -> Filter<'a> {
        Filter { pattern: Some(pattern), type_name: None }
    }

    fn passes_name(&self, name: &[u8]) -> bool {
        self.pattern.is_none_or(|pattern| pattern == b"*" || glob::matches(pattern, name))
    }

    fn passes_item(&self, cx: &Cx<'_>, name: Item<'_>) -> bool {
        if self.pattern.is_none() {
            return true;
        }
        let value = cx.keys.text(name);
        match value.as_slice() {
            Some(name) => self.passes_name(name),
            // Patterns are matched against one run of bytes.
            None => {
                let mut name = Vec::new();
                name.try_reserve_exact(value.len()).is_ok() && {
                    value.parts().for_each(|part| name.extend_from_slice(part));
                    self.passes_name(&name)
                }
            }
        }
    }

    fn passes(&self, head: &Head, key: &[u8]) -> bool {
        let is_named = |name: &[u8]| name.eq_ignore_ascii_case(head.kind().name().as_bytes());
        self.type_name.is_none_or(is_named) && self.passes_name(key)
    }
}

impl Cx<'_> {
    /// Shows each key of a bucket that has not expired and passes the filter.
    pub(crate) fn visit_bucket(
        &self,
        bucket: u32,
        filter: &Filter<'_>,
        show: &mut dyn FnMut(&[u8]),
    ) {
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

pub(crate) const COMMANDS: &[Spec] = &[Spec {
    name: "scan",
    arity: Arity::AtLeast(2),
    keys: Keys::NONE,
    flags: READ | EDGE,
    group: Group::Generic,
    since: docs("2.8.0"),
    syntax: docs("cursor [MATCH pattern] [COUNT count] [TYPE type]"),
    summary: docs("Returns some of the keys, and a cursor to go on with."),
    run: scan,
}];

fn scan(cx: &mut Cx<'_>, args: &mut Args<'_>, reply: &mut dyn Reply) -> Result<()> {
    let start = parse_cursor(args.required())?;
    let (filter, count) = options(args, &["count", "match", "type"])?;
    let buckets = cx.keys.index.buckets();
    answer(buckets, start, count, reply, &mut |bucket, passes_all, show| {
        let filter = if passes_all { Filter::default() } else { filter };
        cx.visit_bucket(bucket, &filter, &mut |key| show(&[key.into()]));
    });
    Ok(())
}

/// Hands on what an entry of a collection is shown as: its name, or its name and its value.
type Tell<'f> = &'f mut dyn FnMut(&Cx<'_>, &Entry<'_>, &mut dyn FnMut(&[Value<'_>]));

/// HSCAN, SSCAN and ZSCAN: `tell` is handed each entry with a place for what it stands for. Packed
/// entries come all at once.
pub(crate) fn scan_entries(
    cx: &mut Cx<'_>,
    args: &mut Args<'_>,
    reply: &mut dyn Reply,
    kind: Kind,
    tell: Tell<'_>,
) -> Result<()> {
    let key = args.required();
    let start = parse_cursor(args.required())?;
    let found = cx.read(key, kind)?;
    let Some(found) = found else {
        reply.array(2);
        reply.bulk("0".into());
        reply.array(0);
        return Ok(());
    };
    let (filter, count) = options(args, &["count", "match"])?;
    let buckets = Buckets::new(cx.keys.table_pages(&found));
    answer(buckets, start, count, reply, &mut |bucket, passes_all, show| {
        for entry in cx.keys.entries(&found, bucket as usize) {
            if !cx.is_past(entry.deadline) && (passes_all || filter.passes_item(cx, entry.name)) {
                tell(cx, &entry, show);
            }
        }
    });
    Ok(())
}

/// What shows the elements of a bucket: all of them, or those that pass the filter. An element is
/// one value, or several in a row.
type Visit<'f> = &'f mut dyn FnMut(u32, bool, &mut dyn FnMut(&[Value<'_>]));

/// Answers a scan: the next cursor, and the elements of the buckets up to there.
fn answer(buckets: Buckets, start: u64, count: usize, reply: &mut dyn Reply, visit: Visit<'_>) {
    // How far to go: the same steps are then taken once to count, once to answer.
    let (mut cursor, mut steps, mut seen) = (start, 0, 0);
    loop {
        let (bucket, next) = buckets.scan_step(cursor);
        cursor = next;
        steps += 1;
        visit(bucket, true, &mut |_| seen += 1);
        let is_enough = seen >= count || steps >= count.saturating_mul(BUCKETS_PER_ELEMENT);
        if cursor == 0 || is_enough {
            break;
        }
    }
    reply.array(2);
    reply.bulk(Digits::of_unsigned(cursor).as_bytes().into());
    let mut again = |show: &mut dyn FnMut(&[Value<'_>])| {
        let mut cursor = start;
        for _ in 0..steps {
            let (bucket, next) = buckets.scan_step(cursor);
            visit(bucket, false, show);
            cursor = next;
        }
    };
    let mut passed = 0;
    again(&mut |values| passed += values.len());
    reply.array(passed);
    again(&mut |values| values.iter().for_each(|value| reply.bulk(*value)));
}

/// Reads the options of a scan, of which it knows the given `words`.
fn options<'a>(args: &mut Args<'a>, words: &[&str]) -> Result<(Filter<'a>, usize)> {
    let mut filter = Filter::default();
    let mut count = COUNT_DEFAULT;
    while let Some(option) = args.next() {
        let word = word(option, words);
        let value = args.value()?;
        match word {
            0 => {
                let wanted = integer(value)?;
                if wanted < 1 {
                    return Err(Error::Syntax);
                }
                count = usize::try_from(wanted).unwrap_or(usize::MAX);
            }
            1 => filter.pattern = Some(value),
            2 if words.len() > 2 => filter.type_name = Some(value),
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
