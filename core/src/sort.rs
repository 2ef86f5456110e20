//! SORT: the elements of a collection in another order, or what they stand for.
//!
//! The elements are copied before they are sorted, in memory that the budget allows for beside
//! what is stored.

use core::cmp::Ordering;
use core::ops::Range;

use alloc::vec::Vec;

use crate::command::{Args, Arity, DENYOOM, Group, Keys, READ, STORES, Spec, WRITE, docs, word};
use crate::error::{Error, Result};
use crate::keyspace::{Cx, Found};
use crate::num::parse_integer;
use crate::packed::Item;
use crate::record::{Kind, NEVER};
use crate::reply::Reply;
use crate::score::parse_double;
use crate::value::{TextBuffer, Value};

/// What SORT is asked for.
#[derive(Default)]
struct Plan<'a> {
    by: Option<&'a [u8]>,
    get: Vec<&'a [u8]>,
    offset: i64,
    count: Option<i64>,
    is_descending: bool,
    is_alphabetic: bool,
    store: Option<&'a [u8]>,
}

/// An element that is sorted, and what it is sorted by.
struct Row {
    text: Range<usize>,
    weight: Weight,
}

enum Weight {
    Number(f64),
    Text(Option<Range<usize>>),
    Itself,
}

/// The copies of the elements, and of the texts they are sorted by.
#[derive(Default)]
struct Rows {
    texts: Vec<u8>,
    rows: Vec<Row>,
}

impl Rows {
    fn text(&self, place: &Range<usize>) -> &[u8] {
        self.texts.get(place.clone()).unwrap_or_default()
    }

    fn add_text(&mut self, text: Value<'_>) -> Result<Range<usize>> {
        let start = self.texts.len();
        self.texts.try_reserve(text.len()).map_err(|_| Error::OutOfMemory)?;
        text.parts().for_each(|part| self.texts.extend_from_slice(part));
        Ok(start..self.texts.len())
    }

    fn compare(&self, a: &Row, b: &Row) -> Ordering {
        let texts = |a: &Row, b: &Row| self.text(&a.text).cmp(self.text(&b.text));
        match (&a.weight, &b.weight) {
            (Weight::Number(x), Weight::Number(y)) => {
                x.partial_cmp(y).unwrap_or(Ordering::Equal).then_with(|| texts(a, b))
            }
            (Weight::Text(x), Weight::Text(y)) => {
                let text = |place: &Option<Range<usize>>| place.as_ref().map(|at| self.text(at));
                text(x).cmp(&text(y))
            }
            _ => texts(a, b),
        }
    }
}

impl Cx<'_> {
    /// The elements of what is sorted, each with its weight.
    fn rows(&mut self, found: &mut Found, plan: &Plan<'_>, is_sorted: bool) -> Result<Rows> {
        let (mut count, mut bytes) = (0, 0);
        self.each_sortable(found, &mut |text| {
            count += 1;
            bytes += text.len();
            Ok(())
        })?;
        let rows_bytes = count * size_of::<Row>();
        self.pinning(found, |cx| cx.lend_bytes(rows_bytes + bytes))?;
        let mut rows = Rows::default();
        rows.texts.try_reserve_exact(bytes).map_err(|_| Error::OutOfMemory)?;
        rows.rows.try_reserve_exact(count).map_err(|_| Error::OutOfMemory)?;
        self.each_sortable(found, &mut |text| {
            let text = rows.add_text(text)?;
            rows.rows.push(Row { text, weight: Weight::Itself });
            Ok(())
        })?;
        if is_sorted {
            self.weigh(&mut rows, plan)?;
        }
        Ok(rows)
    }

    fn each_sortable(
        &self,
        found: &Found,
        show: &mut dyn FnMut(Value<'_>) -> Result<()>,
    ) -> Result<()> {
        let mut result = Ok(());
        let mut take = |text: Value<'_>| {
            if result.is_ok() {
                result = show(text);
            }
        };
        match found.head.kind() {
            Kind::List => self.each_element(found, &mut take),
            Kind::SortedSet => self.keys.each_member(found, &mut take),
            _ => self.each_entry(found, &mut |entry| take(self.keys.text(entry.name))),
        }
        result
    }

    /// What a stored list is, for whoever listens.
    fn emit_elements(&mut self, key: &[u8]) {
        let found = self.keys.locate(key, self.keys.hash(key));
        if let (Some(found), Some((keys, effects))) = (found, self.listener()) {
            let mut walk = keys.walk_list(&found);
            while let Some(element) = keys.next_element(&mut walk) {
                effects.effect(&["RPUSH".into(), key.into(), keys.text(element)]);
            }
        }
    }

    fn weigh(&mut self, rows: &mut Rows, plan: &Plan<'_>) -> Result<()> {
        let mut element = TextBuffer::new();
        let mut position = 0;
        while let Some(place) = rows.rows.get(position).map(|row| row.text.clone()) {
            let text = element.copy(rows.text(&place).into())?;
            let weight = match plan.by {
                Some(pattern) => self.stands_for(pattern, text)?,
                None if plan.is_alphabetic => return Ok(()),
                None => Some(text.into()),
            };
            let weight = if plan.is_alphabetic {
                let len = weight.map_or(0, |weight| weight.len());
                if rows.texts.capacity() - rows.texts.len() < len {
                    // Making room may take away what the pattern stands for: it is looked up again.
                    self.grow_texts(rows, len)?;
                    continue;
                }
                let place = weight.map(|weight| rows.add_text(weight)).transpose()?;
                Weight::Text(place)
            } else {
                let mut copy = TextBuffer::new();
                let number = match weight {
                    Some(weight) => parse_double(copy.copy(weight)?),
                    None => Some(0.0),
                };
                Weight::Number(number.ok_or(Error::NotADouble)?)
            };
            if let Some(row) = rows.rows.get_mut(position) {
                row.weight = weight;
            }
            position += 1;
        }
        Ok(())
    }

    /// Room for so many more bytes of texts, and then some.
    fn grow_texts(&mut self, rows: &mut Rows, bytes: usize) -> Result<()> {
        let (held, more) = (rows.texts.capacity(), bytes.max(rows.texts.capacity() / 2));
        // While they are copied, the texts are there twice.
        let rows_bytes = rows.rows.capacity() * size_of::<Row>();
        self.lend_bytes(rows_bytes + held + held + more)?;
        rows.texts.try_reserve_exact(more).map_err(|_| Error::OutOfMemory)
    }

    /// What a pattern of BY or GET stands for: the element itself, or the string of the key that it
    /// names with the element in place of its star; or a field of the hash there.
    fn stands_for(&mut self, pattern: &[u8], element: &[u8]) -> Result<Option<Value<'_>>> {
        let Some(star) = pattern.iter().position(|&byte| byte == b'*') else { return Ok(None) };
        let (before, rest) = pattern.split_at_checked(star).unwrap_or_default();
        let after = rest.get(1..).unwrap_or_default();
        let arrow = after.windows(2).position(|pair| pair == b"->");
        let arrow = arrow.filter(|&at| at + 2 < after.len());
        let (after, field) = match arrow.and_then(|at| after.split_at_checked(at)) {
            Some((after, field)) => (after, field.get(2..)),
            None => (after, None),
        };
        let mut key = Vec::new();
        let len = before.len() + element.len() + after.len();
        key.try_reserve_exact(len).map_err(|_| Error::OutOfMemory)?;
        [before, element, after].iter().for_each(|part| key.extend_from_slice(part));
        let Some(found) = self.lookup(&key, self.keys.hash(&key)) else {
            self.tell_missed(&key);
            return Ok(None);
        };
        Ok(match (found.head.kind(), field) {
            (Kind::String, None) => self.value_of(Some(found)),
            (Kind::Hash, Some(field)) => {
                let entry = self.live_entry(&found, Item::Here(field));
                entry.map(|entry| self.keys.text(entry.value))
            }
            _ => None,
        })
    }
}

pub(crate) const COMMANDS: &[Spec] = &[
    Spec {
        name: "sort",
        arity: Arity::AtLeast(2),
        keys: Keys::FIRST,
        flags: WRITE | DENYOOM | STORES,
        group: Group::Generic,
        since: docs("1.0.0"),
        syntax: docs(
            "key [BY pattern] [LIMIT offset count] [GET pattern [GET pattern ...]] [ASC | DESC] \
             [ALPHA] [STORE destination]",
        ),
        summary: docs("Sorts the elements of a list, a set or a sorted set."),
        run: |cx, args, reply| sort(cx, args, reply, true),
    },
    Spec {
        name: "sort_ro",
        arity: Arity::AtLeast(2),
        keys: Keys::FIRST,
        flags: READ,
        group: Group::Generic,
        since: docs("7.0.0"),
        syntax: docs(
            "key [BY pattern] [LIMIT offset count] [GET pattern [GET pattern ...]] [ASC | DESC] \
             [ALPHA]",
        ),
        summary: docs("Sorts the elements of a list, a set or a sorted set, and stores nothing."),
        run: |cx, args, reply| sort(cx, args, reply, false),
    },
];

fn plan<'a>(args: &mut Args<'a>, may_store: bool) -> Result<Plan<'a>> {
    let mut plan = Plan::default();
    while let Some(option) = args.next() {
        match word(option, &["asc", "desc", "alpha", "limit", "by", "get", "store"]) {
            0 => plan.is_descending = false,
            1 => plan.is_descending = true,
            2 => plan.is_alphabetic = true,
            3 => {
                let (offset, count) = (args.value()?, args.value()?);
                plan.offset = parse_integer(offset).ok_or(Error::NotAnInteger)?;
                plan.count = Some(parse_integer(count).ok_or(Error::NotAnInteger)?);
            }
            4 => plan.by = Some(args.value()?),
            5 => plan.get.push(args.value()?),
            6 if may_store => plan.store = Some(args.value()?),
            _ => return Err(Error::Syntax),
        }
    }
    Ok(plan)
}

fn sort(
    cx: &mut Cx<'_>,
    args: &mut Args<'_>,
    reply: &mut dyn Reply,
    may_store: bool,
) -> Result<()> {
    let key = args.required();
    let mut plan = plan(args, may_store)?;
    let found = cx.lookup_read(key);
    let is_sortable = |kind| matches!(kind, Kind::List | Kind::Set | Kind::SortedSet);
    if found.is_some_and(|found| !is_sortable(found.head.kind())) {
        return Err(Error::WrongType);
    }
    let mut is_sorted = plan.by.is_none_or(|pattern| pattern.contains(&b'*'));
    let is_set = found.is_some_and(|found| found.head.kind() == Kind::Set);
    if !is_sorted && is_set && plan.store.is_some() {
        // What is stored must not depend on how a set happens to lie: as Redis does.
        (plan.is_alphabetic, plan.by, is_sorted) = (true, None, true);
    }
    let mut rows = Rows::default();
    if let Some(mut found) = found {
        rows = cx.rows(&mut found, &plan, is_sorted)?;
    }
    let mut order: Vec<Row> = core::mem::take(&mut rows.rows);
    if is_sorted {
        order.sort_unstable_by(|a, b| rows.compare(a, b));
    }
    if plan.is_descending && (is_sorted || !is_set) {
        order.reverse();
    }
    let first = usize::try_from(plan.offset).unwrap_or(0).min(order.len());
    let wanted =
        plan.count.map_or(order.len(), |count| usize::try_from(count).unwrap_or(usize::MAX));
    let chosen = order.get(first..first + wanted.min(order.len() - first)).unwrap_or_default();
    match plan.store {
        Some(destination) => store(cx, destination, &rows, chosen, &plan, reply),
        None => {
            reply.array(chosen.len() * plan.get.len().max(1));
            each_result(cx, &rows, chosen, &plan, &mut |_, value| {
                match value {
                    Some(value) => reply.bulk(value),
                    None => reply.null(),
                }
                Ok(())
            })
        }
    }
}

/// Shows what each of the chosen elements is asked to be shown as. A value is given as a copy, so
/// that the keyspace may change meanwhile.
fn each_result(
    cx: &mut Cx<'_>,
    rows: &Rows,
    chosen: &[Row],
    plan: &Plan<'_>,
    show: &mut dyn FnMut(&mut Cx<'_>, Option<Value<'_>>) -> Result<()>,
) -> Result<()> {
    let mut copy = TextBuffer::new();
    for row in chosen {
        let element = rows.text(&row.text);
        if plan.get.is_empty() {
            show(cx, Some(element.into()))?;
        }
        for pattern in &plan.get {
            if *pattern == b"#" {
                show(cx, Some(element.into()))?;
                continue;
            }
            let is_there = match cx.stands_for(pattern, element)? {
                Some(value) => copy.copy(value).map(|_| true)?,
                None => false,
            };
            show(cx, is_there.then(|| copy.last().into()))?;
        }
    }
    Ok(())
}

fn store(
    cx: &mut Cx<'_>,
    destination: &[u8],
    rows: &Rows,
    chosen: &[Row],
    plan: &Plan<'_>,
    reply: &mut dyn Reply,
) -> Result<()> {
    let mut list = cx.float(Kind::List)?;
    let stored = each_result(cx, rows, chosen, plan, &mut |cx, value| {
        let value = value.and_then(|value| value.as_slice()).unwrap_or_default();
        cx.add_element(&mut list, value)
    });
    if let Err(error) = stored {
        cx.sink(&list);
        return Err(error);
    }
    // Of nothing in the place of nothing nobody is told.
    let changes = !chosen.is_empty() || cx.is_there(destination);
    cx.install(destination, list, NEVER)?;
    if changes {
        cx.emit(&["DEL".into(), destination.into()]);
        cx.emit_elements(destination);
    }
    cx.grow_index();
    reply.integer((chosen.len() * plan.get.len().max(1)) as i64);
    Ok(())
}
