//! Sets: SADD, SPOP, SINTER and their kin.
//!
//! Not here: how members are stored and found (table/), and SSCAN's cursor (scan.rs).

#[cfg_attr(target_arch = "wasm32", path = "none.rs")]
mod members;

use core::ops::Range;

use crate::arena::Addr;
use crate::command::{
    Args, Arity, DENYOOM, EDGE, FAST, Group, Keys, READ, Spec, WRITE, counted_keys, docs, word,
};
use crate::error::{Error, Result};
use crate::keyspace::{Cx, Found};
use crate::limits::UNION_SETS_SEARCHED_MAX;
use crate::num::{parse_count, parse_integer};
use crate::packed::Item;
use crate::random::draws;
use crate::record::{Kind, NEVER};
use crate::reply::Reply;
use crate::scan::scan_entries;
use crate::table::{Cursor, Target};
use crate::value::{TextBuffer, Value};

/// What becomes of several sets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SetOperation {
    /// SINTER: the members of all of them.
    Intersection,
    /// SUNION: the members of any.
    Union,
    /// SDIFF: the members of the first that are in none of the others.
    Difference,
}

impl Cx<'_> {
    /// SADD: adds members to a set. How many were not there.
    pub fn sadd<'b>(
        &mut self,
        key: &[u8],
        members: impl Iterator<Item = &'b [u8]> + Clone,
    ) -> Result<usize> {
        let mut target = self.target(key, Kind::Set)?;
        self.reserve_entries(&mut target, members.clone().map(|member| member.len() + 2).sum())?;
        let mut added = 0;
        for member in members {
            if self.put_entry(&mut target, member, &[], NEVER)? {
                added += 1;
                self.emit(&["SADD".into(), key.into(), member.into()]);
            }
        }
        self.grow_index();
        Ok(added)
    }

    /// SREM: takes members out of a set. How many were there.
    pub fn srem<'b>(
        &mut self,
        key: &[u8],
        members: impl Iterator<Item = &'b [u8]>,
    ) -> Result<usize> {
        let mut target = self.target(key, Kind::Set)?;
        let mut removed = 0;
        for member in members {
            if self.remove_entry(&mut target, member)? {
                removed += 1;
                self.emit(&["SREM".into(), key.into(), member.into()]);
            }
        }
        Ok(removed)
    }

    /// SISMEMBER: whether a set has a member.
    pub fn sismember(&mut self, key: &[u8], member: &[u8]) -> Result<bool> {
        let found = self.read(key, Kind::Set)?;
        Ok(found.is_some_and(|found| self.live_entry(&found, Item::Here(member)).is_some()))
    }

    /// SCARD: how many members a set has.
    pub fn scard(&mut self, key: &[u8]) -> Result<usize> {
        let found = self.read(key, Kind::Set)?;
        Ok(found.map_or(0, |found| self.count_entries(&found)))
    }

    /// SMEMBERS: shows every member of a set.
    pub fn smembers(&mut self, key: &[u8], show: &mut dyn FnMut(Value<'_>)) -> Result<()> {
        if let Some(found) = self.read(key, Kind::Set)? {
            self.each_entry(&found, &mut |entry| show(self.keys.text(entry.name)));
        }
        Ok(())
    }

    /// SMOVE: moves a member from one set to another. False if it was not in the first.
    pub fn smove(&mut self, from: &[u8], to: &[u8], member: &[u8]) -> Result<bool> {
        let source = self.target(from, Kind::Set)?;
        let Some(found) = source.found else { return Ok(false) };
        let mut target = self.target(to, Kind::Set)?;
        if self.live_entry(&found, Item::Here(member)).is_none() {
            return Ok(false);
        }
        if from == to {
            return Ok(true);
        }
        if self.put_entry(&mut target, member, &[], NEVER)? {
            self.emit(&["SADD".into(), to.into(), member.into()]);
        }
        // The other set may have been evicted for it.
        self.srem(from, [member].into_iter())?;
        self.grow_index();
        Ok(true)
    }

    /// SPOP: takes random members out of a set, each choice with the same chance; each is shown
    /// before it goes.
    pub fn spop(
        &mut self,
        key: &[u8],
        count: usize,
        show: &mut dyn FnMut(Value<'_>),
    ) -> Result<()> {
        let mut target = self.target(key, Kind::Set)?;
        for _ in 0..count {
            let Some(found) = target.found else { break };
            let Some(at) = self.random_entry(&found) else { break };
            let Some(entry) = self.keys.next_entry(&found, &mut { at }) else { break };
            show(self.keys.text(entry.name));
            if let Some((keys, effects)) = self.listener()
                && let Some(entry) = keys.next_entry(&found, &mut { at })
            {
                effects.effect(&["SREM".into(), key.into(), keys.text(entry.name)]);
            }
            self.remove_at(&mut target, at)?;
        }
        Ok(())
    }

    /// SINTER, SUNION, SDIFF: shows the members of what becomes of sets, which are pinned.
    fn combine(
        &self,
        operation: SetOperation,
        sets: &Range<usize>,
        show: &mut dyn FnMut(Value<'_>) -> bool,
    ) {
        let mut walk = self.walk(operation, sets, false);
        while let Some(member) = self.next_member(operation, sets, &mut walk) {
            if !show(self.keys.text(member)) {
                break;
            }
        }
    }

    /// SINTERSTORE, SUNIONSTORE, SDIFFSTORE: gives a key what becomes of sets. How many members
    /// that has; without any the key is gone.
    pub fn store_sets<'b>(
        &mut self,
        operation: SetOperation,
        destination: &[u8],
        keys: impl Iterator<Item = &'b [u8]>,
    ) -> Result<usize> {
        let sets = self.pin_sets(&mut keys.into_iter())?;
        let stored = self.fill(operation, &sets);
        self.keys.pins.truncate(sets.start);
        let result = stored?;
        let count = result.found.map_or(0, |found| self.count_entries(&found));
        // Of nothing in the place of nothing nobody is told.
        let changes = count > 0 || cfg!(feature = "effects") && self.is_there(destination);
        self.install(destination, result, NEVER)?;
        if changes {
            self.emit_set_members(destination);
        }
        self.grow_index();
        Ok(count)
    }

    /// What a stored set is, for whoever listens.
    fn emit_set_members(&mut self, key: &[u8]) {
        if !self.is_heard() {
            return;
        }
        let found = self.keys.locate(key, self.keys.hash(key));
        self.emit(&["DEL".into(), key.into()]);
        let mut cursor = Cursor::default();
        if let (Some(found), Some((keys, effects))) = (found, self.listener()) {
            while let Some(entry) = keys.next_entry(&found, &mut cursor) {
                effects.effect(&["SADD".into(), key.into(), keys.text(entry.name)]);
            }
        }
    }

    /// Pins sets, those that are missing as well: the range of their pins.
    fn pin_sets(&mut self, keys: &mut dyn Iterator<Item = &[u8]>) -> Result<Range<usize>> {
        let start = self.keys.pins.len();
        for key in keys {
            let found = match self.read(key, Kind::Set) {
                Ok(found) => found,
                Err(error) => {
                    self.keys.pins.truncate(start);
                    return Err(error);
                }
            };
            self.keys.pins.push(found.map_or(Addr::NONE, |found| found.addr));
        }
        Ok(start..self.keys.pins.len())
    }

    /// Makes a collection of no key of what becomes of sets.
    fn fill(&mut self, operation: SetOperation, sets: &Range<usize>) -> Result<Target<'static>> {
        if let Some(result) = members::fill(self, operation, sets)? {
            return Ok(result);
        }
        let mut result = self.float(Kind::Set)?;
        let mut walk = self.walk(operation, sets, true);
        let mut buffer = TextBuffer::new();
        while let Some(member) = self.next_member(operation, sets, &mut walk) {
            let member = buffer.copy(self.keys.text(member));
            let added = member.and_then(|member| self.put_entry(&mut result, member, &[], NEVER));
            if let Err(error) = added {
                self.sink(&result);
                return Err(error);
            }
        }
        Ok(result)
    }

    /// A walk through the sets that have to be gone through: for an intersection the smallest.
    fn walk(&self, operation: SetOperation, sets: &Range<usize>, repeats: bool) -> Walk {
        let size = |set: &usize| {
            self.keys.pinned(sets.start + set).map_or(0, |found| self.count_entries(&found))
        };
        let first = match operation {
            SetOperation::Intersection => (0..sets.len()).min_by_key(size).unwrap_or_default(),
            _ => 0,
        };
        Walk { set: first, cursor: Cursor::default(), repeats }
    }

    fn next_member(
        &self,
        operation: SetOperation,
        sets: &Range<usize>,
        walk: &mut Walk,
    ) -> Option<Item<'_>> {
        let has = |set: usize, member: Item<'_>| {
            let found = self.keys.pinned(sets.start + set);
            found.is_some_and(|found| self.keys.find_entry(&found, member).is_some())
        };
        while walk.set < sets.len() {
            let found = self.keys.pinned(sets.start + walk.set);
            let entry = found.and_then(|found| self.keys.next_entry(&found, &mut walk.cursor));
            let Some(entry) = entry else {
                if operation != SetOperation::Union {
                    break;
                }
                *walk = Walk { set: walk.set + 1, cursor: Cursor::default(), ..*walk };
                continue;
            };
            let member = entry.name;
            let is_wanted = match operation {
                SetOperation::Intersection => {
                    (0..sets.len()).all(|set| set == walk.set || has(set, member))
                }
                SetOperation::Union => walk.repeats || !(0..walk.set).any(|set| has(set, member)),
                SetOperation::Difference => !(1..sets.len()).any(|set| has(set, member)),
            };
            if is_wanted {
                return Some(member);
            }
        }
        None
    }
}

/// Where the making of a set out of others is.
struct Walk {
    set: usize,
    cursor: Cursor,
    /// Whether what a union was shown of one set may be shown again of another: it goes into a set,
    /// which minds that itself.
    repeats: bool,
}

/// What the rows of reading commands share, and those of writing ones.
const READ_ROW: Spec = Spec {
    name: "scard",
    arity: Arity::Exactly(2),
    keys: Keys::FIRST,
    flags: READ | FAST | EDGE,
    group: Group::Set,
    since: docs("1.0.0"),
    syntax: docs("key"),
    summary: docs("Returns the number of members of a set."),
    run: |cx, args, reply| {
        reply.integer(cx.scard(args.required())? as i64);
        Ok(())
    },
};
const WRITE_ROW: Spec = Spec { flags: WRITE | DENYOOM | FAST | EDGE, ..READ_ROW };

pub(crate) const COMMANDS: &[Spec] = &[
    Spec {
        name: "sadd",
        arity: Arity::AtLeast(3),
        syntax: docs("key member [member ...]"),
        summary: docs("Adds members to a set. Creates the key if it is not there."),
        run: |cx, args, reply| {
            let added = cx.sadd(args.required(), args.clone())?;
            reply.integer(added as i64);
            Ok(())
        },
        ..WRITE_ROW
    },
    READ_ROW,
    Spec {
        name: "sdiff",
        arity: Arity::AtLeast(2),
        keys: Keys::ALL,
        flags: READ | EDGE,
        syntax: docs("key [key ...]"),
        summary: docs("Returns the members of the first set that are in none of the others."),
        run: |cx, args, reply| combine(cx, args, reply, SetOperation::Difference),
        ..READ_ROW
    },
    Spec {
        name: "sdiffstore",
        arity: Arity::AtLeast(3),
        keys: Keys::ALL,
        flags: WRITE | DENYOOM | EDGE,
        syntax: docs("destination key [key ...]"),
        summary: docs("Stores what SDIFF returns."),
        run: |cx, args, reply| store(cx, args, reply, SetOperation::Difference),
        ..READ_ROW
    },
    Spec {
        name: "sinter",
        arity: Arity::AtLeast(2),
        keys: Keys::ALL,
        flags: READ | EDGE,
        syntax: docs("key [key ...]"),
        summary: docs("Returns the members that all sets have."),
        run: |cx, args, reply| combine(cx, args, reply, SetOperation::Intersection),
        ..READ_ROW
    },
    Spec {
        name: "sintercard",
        arity: Arity::AtLeast(3),
        keys: Keys::counted(1),
        flags: READ | EDGE,
        since: docs("7.0.0"),
        syntax: docs("numkeys key [key ...] [LIMIT limit]"),
        summary: docs("Returns how many members all sets have, up to a limit."),
        run: sintercard,
        ..READ_ROW
    },
    Spec {
        name: "sinterstore",
        arity: Arity::AtLeast(3),
        keys: Keys::ALL,
        flags: WRITE | DENYOOM | EDGE,
        syntax: docs("destination key [key ...]"),
        summary: docs("Stores what SINTER returns."),
        run: |cx, args, reply| store(cx, args, reply, SetOperation::Intersection),
        ..READ_ROW
    },
    Spec {
        name: "sismember",
        arity: Arity::Exactly(3),
        syntax: docs("key member"),
        summary: docs("Returns whether a set has a member."),
        run: |cx, args, reply| {
            reply.integer(cx.sismember(args.required(), args.required())?.into());
            Ok(())
        },
        ..READ_ROW
    },
    Spec {
        name: "smembers",
        flags: READ | EDGE,
        summary: docs("Returns all members of a set."),
        run: smembers,
        ..READ_ROW
    },
    Spec {
        name: "smismember",
        arity: Arity::AtLeast(3),
        since: docs("6.2.0"),
        syntax: docs("key member [member ...]"),
        summary: docs("Returns for each member whether a set has it."),
        run: smismember,
        ..READ_ROW
    },
    Spec {
        name: "smove",
        arity: Arity::Exactly(4),
        keys: Keys::FIRST_TWO,
        flags: WRITE | FAST | EDGE,
        syntax: docs("source destination member"),
        summary: docs("Moves a member from one set to another."),
        run: |cx, args, reply| {
            let (from, to, member) = (args.required(), args.required(), args.required());
            reply.integer(cx.smove(from, to, member)?.into());
            Ok(())
        },
        ..WRITE_ROW
    },
    Spec {
        name: "spop",
        arity: Arity::AtLeast(2),
        flags: WRITE | FAST | EDGE,
        syntax: docs("key [count]"),
        summary: docs("Takes random members out of a set and returns them."),
        run: spop,
        ..READ_ROW
    },
    Spec {
        name: "srandmember",
        arity: Arity::AtLeast(2),
        flags: READ | EDGE,
        syntax: docs("key [count]"),
        summary: docs("Returns random members of a set; with a negative count also repeatedly."),
        run: srandmember,
        ..READ_ROW
    },
    Spec {
        name: "srem",
        arity: Arity::AtLeast(3),
        flags: WRITE | FAST | EDGE,
        syntax: docs("key member [member ...]"),
        summary: docs("Takes members out of a set. Drops the key with the last one."),
        run: |cx, args, reply| {
            let removed = cx.srem(args.required(), args)?;
            reply.integer(removed as i64);
            Ok(())
        },
        ..READ_ROW
    },
    Spec {
        name: "sscan",
        arity: Arity::AtLeast(3),
        flags: READ | EDGE,
        since: docs("2.8.0"),
        syntax: docs("key cursor [MATCH pattern] [COUNT count]"),
        summary: docs("Returns some of the members, and a cursor to go on with."),
        run: |cx, args, reply| {
            scan_entries(cx, args, reply, Kind::Set, &mut |cx, entry, show| {
                show(&[cx.keys.text(entry.name)]);
            })
        },
        ..READ_ROW
    },
    Spec {
        name: "sunion",
        arity: Arity::AtLeast(2),
        keys: Keys::ALL,
        flags: READ | EDGE,
        syntax: docs("key [key ...]"),
        summary: docs("Returns the members that any of the sets has."),
        run: |cx, args, reply| combine(cx, args, reply, SetOperation::Union),
        ..READ_ROW
    },
    Spec {
        name: "sunionstore",
        arity: Arity::AtLeast(3),
        keys: Keys::ALL,
        flags: WRITE | DENYOOM | EDGE,
        syntax: docs("destination key [key ...]"),
        summary: docs("Stores what SUNION returns."),
        run: |cx, args, reply| store(cx, args, reply, SetOperation::Union),
        ..READ_ROW
    },
];

/// SINTER, SUNION and SDIFF.
fn combine(
    cx: &mut Cx<'_>,
    args: &mut Args<'_>,
    reply: &mut dyn Reply,
    operation: SetOperation,
) -> Result<()> {
    let sets = cx.pin_sets(args)?;
    if !members::answer(cx, operation, &sets, reply) {
        answer_many(cx, operation, &sets, reply);
    }
    cx.keys.pins.truncate(sets.start);
    Ok(())
}

/// Answers with what becomes of sets: once to count the members, once to show them.
fn answer_many(
    cx: &mut Cx<'_>,
    operation: SetOperation,
    sets: &Range<usize>,
    reply: &mut dyn Reply,
) {
    // To look for every member in all sets before its own takes the longer the more there are. So
    // the union is made as a set of no key, as long as there is memory for it.
    if operation == SetOperation::Union
        && sets.len() > UNION_SETS_SEARCHED_MAX
        && let Ok(union) = cx.fill(operation, sets)
    {
        show_members(cx, union.found, reply);
        cx.sink(&union);
        return;
    }
    let mut count = 0;
    cx.combine(operation, sets, &mut |_| {
        count += 1;
        true
    });
    reply.set(count);
    cx.combine(operation, sets, &mut |member| {
        reply.bulk(member);
        true
    });
}

fn store(
    cx: &mut Cx<'_>,
    args: &mut Args<'_>,
    reply: &mut dyn Reply,
    operation: SetOperation,
) -> Result<()> {
    let destination = args.required();
    reply.integer(cx.store_sets(operation, destination, args)? as i64);
    Ok(())
}

fn sintercard(cx: &mut Cx<'_>, args: &mut Args<'_>, reply: &mut dyn Reply) -> Result<()> {
    let mut keys = counted_keys(args)?;
    let mut limit = 0;
    while let Some(option) = args.next() {
        if word(option, &["limit"]) > 0 {
            return Err(Error::Syntax);
        }
        let number = parse_integer(args.value()?).filter(|&limit| limit >= 0);
        limit = number.ok_or(Error::NegativeLimit)?;
    }
    let sets = cx.pin_sets(&mut keys)?;
    let mut count = 0;
    if limit == 0
        && let Some(all) = members::count(cx, SetOperation::Intersection, &sets)
    {
        count = all as i64;
    } else {
        cx.combine(SetOperation::Intersection, &sets, &mut |_| {
            count += 1;
            count != limit
        });
    }
    cx.keys.pins.truncate(sets.start);
    reply.integer(count);
    Ok(())
}

fn smembers(cx: &mut Cx<'_>, args: &mut Args<'_>, reply: &mut dyn Reply) -> Result<()> {
    let found = cx.read(args.required(), Kind::Set)?;
    show_members(cx, found, reply);
    Ok(())
}

fn show_members(cx: &Cx<'_>, found: Option<Found>, reply: &mut dyn Reply) {
    reply.set(found.map_or(0, |found| cx.count_entries(&found)));
    if let Some(found) = found {
        cx.each_entry(&found, &mut |entry| reply.bulk(cx.keys.text(entry.name)));
    }
}

fn smismember(cx: &mut Cx<'_>, args: &mut Args<'_>, reply: &mut dyn Reply) -> Result<()> {
    let found = cx.read(args.required(), Kind::Set)?;
    reply.array(args.len());
    for member in args {
        let entry = found.and_then(|found| cx.live_entry(&found, Item::Here(member)));
        reply.integer(entry.is_some().into());
    }
    Ok(())
}

fn spop(cx: &mut Cx<'_>, args: &mut Args<'_>, reply: &mut dyn Reply) -> Result<()> {
    let (key, count) = (args.required(), args.next());
    if args.len() > 0 {
        return Err(Error::Syntax);
    }
    let wanted = match count {
        Some(count) => parse_count(count),
        None => Some(1),
    };
    let wanted = wanted.ok_or(Error::NotPositive)?;
    let found = cx.read(key, Kind::Set)?;
    let size = found.map_or(0, |found| cx.count_entries(&found));
    match count {
        Some(_) => reply.set(wanted.min(size)),
        None if size == 0 => reply.null(),
        None => {}
    }
    cx.spop(key, wanted.min(size), &mut |member| reply.bulk(member))
}

fn srandmember(cx: &mut Cx<'_>, args: &mut Args<'_>, reply: &mut dyn Reply) -> Result<()> {
    let (key, count) = (args.required(), args.next());
    if args.len() > 0 {
        return Err(Error::Syntax);
    }
    let count = match count {
        Some(count) => Some(parse_integer(count).ok_or(Error::NotAnInteger)?),
        None => None,
    };
    if count == Some(i64::MIN) {
        return Err(Error::OutOfRange);
    }
    let found = cx.read(key, Kind::Set)?;
    match (found, count) {
        (None, None) => reply.null(),
        (None, Some(_)) => reply.array(0),
        (Some(found), None) => show_random(cx, &found, reply),
        (Some(found), Some(count)) if count < 0 => {
            let count = draws(count)?;
            reply.array(count);
            (0..count).for_each(|_| show_random(cx, &found, reply));
        }
        (Some(found), Some(count)) => {
            let count = usize::try_from(count).unwrap_or(usize::MAX);
            let count = count.min(cx.count_entries(&found));
            reply.array(count);
            cx.sample(&found, count, &mut |keys, entry| reply.bulk(keys.text(entry.name)));
        }
    }
    Ok(())
}

fn show_random(cx: &mut Cx<'_>, found: &Found, reply: &mut dyn Reply) {
    let at = cx.random_entry(found);
    match at.and_then(|at| cx.keys.next_entry(found, &mut { at })) {
        Some(entry) => reply.bulk(cx.keys.text(entry.name)),
        None => reply.null(),
    }
}
