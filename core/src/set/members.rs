//! SINTER, SUNION and SDIFF where few members are gone through: they stand side by side for the
//! time of the command, found by name.
//!
//! To look for each of them in every set takes the longer the longer packed sets are. So each set
//! that is packed is gone through once, and its members are looked for among those; only in a set
//! that has a table of its own it is the other way round.
//!
//! Not here: many members, what is stored in a table, and the edge, where the code would weigh more
//! than the time is worth: there each member is looked for in each set (mod.rs, none.rs).

use alloc::vec::Vec;
use core::ops::Range;

use crate::arena::PAGE_BYTES;
use crate::error::Result;
use crate::keyspace::{Cx, Keyspace};
use crate::limits::{COMBINED_MEMBERS_MAX, PACKED_BYTES_MAX};
use crate::packed::{Item, Packed};
use crate::record::Kind;
use crate::reply::Reply;
use crate::set::SetOperation;
use crate::table::Target;

/// Of more members than this, what becomes is hardly ever packed.
const PACKED_MEMBERS_MAX: usize = PACKED_BYTES_MAX / 2;

struct Member<'a> {
    name: Item<'a>,
    hash: u64,
    /// How many of the other sets have it.
    others: usize,
}

/// Answers with what becomes of sets, which are pinned. False, and no answer, if too many members
/// would have to be gone through; so with the others.
pub(super) fn answer(
    cx: &mut Cx<'_>,
    operation: SetOperation,
    sets: &Range<usize>,
    reply: &mut dyn Reply,
) -> bool {
    let members = Members::combined(cx, operation, sets, COMBINED_MEMBERS_MAX);
    let Some(members) = members else { return false };
    reply.set(members.wanted().count());
    members.wanted().for_each(|name| reply.bulk(members.keys.text(name)));
    true
}

/// How many members become of sets.
pub(super) fn count(
    cx: &mut Cx<'_>,
    operation: SetOperation,
    sets: &Range<usize>,
) -> Option<usize> {
    let members = Members::combined(cx, operation, sets, COMBINED_MEMBERS_MAX)?;
    Some(members.wanted().count())
}

/// Makes a collection of no key of what becomes of sets, if it can be packed.
pub(super) fn fill(
    cx: &mut Cx<'_>,
    operation: SetOperation,
    sets: &Range<usize>,
) -> Result<Option<Target<'static>>> {
    let (mut packed, mut len) = ([0; PACKED_BYTES_MAX], 0);
    {
        let members = Members::combined(cx, operation, sets, PACKED_MEMBERS_MAX);
        let Some(members) = members else { return Ok(None) };
        for name in members.wanted() {
            let item = Packed::new(name);
            if item.is_apart() || len + item.len() > packed.len() {
                return Ok(None);
            }
            len = item.write(&mut packed, len);
        }
    }
    let mut made = cx.float(Kind::Set)?;
    let written = cx.pack(&mut made, packed.get(..len).unwrap_or_default());
    if written.is_err() {
        cx.sink(&made);
    }
    written.map(|()| Some(made))
}

/// Members of sets, in the order they came, none twice.
struct Members<'a> {
    keys: &'a Keyspace,
    all: Vec<Member<'a>>,
    /// Where in `all` a member is, plus one, from the slot on that its hash names; or zero. They
    /// are a power of two, of which at least half are zero; none if no member is looked for.
    slots: Vec<u16>,
    /// How many of the other sets a member must be in.
    others_wanted: usize,
}

impl<'a> Members<'a> {
    /// What becomes of sets.
    fn combined(
        cx: &'a mut Cx<'_>,
        operation: SetOperation,
        sets: &Range<usize>,
        members_max: usize,
    ) -> Option<Members<'a>> {
        let first = sets.start + cx.walk(operation, sets, false).set;
        let walked = if operation == SetOperation::Union { sets.clone() } else { first..first + 1 };
        let size = |set| cx.keys.pinned(set).map_or(0, |found| cx.count_entries(&found));
        let count: usize = walked.clone().map(size).sum();
        if count > members_max {
            return None;
        }
        let others = sets.clone().filter(|set| !walked.contains(set));
        let is_packed =
            |set| cx.keys.pinned(set).is_some_and(|found| cx.keys.large(&found).is_none());
        // In the members of one set none comes again, and none of a large one is looked for.
        let is_searched = operation == SetOperation::Union || others.clone().any(is_packed);
        let slots = if is_searched { (2 * count).next_power_of_two() } else { 0 };
        let mut members = Members::new(cx, count, slots)?;
        walked.clone().for_each(|set| members.add(set));
        let mut left = members.all.len();
        for other in others {
            let found = members.mark(other);
            if operation == SetOperation::Intersection {
                left = found;
                members.others_wanted += 1;
            } else {
                left -= found;
            }
            if left == 0 {
                break;
            }
        }
        Some(members)
    }

    /// Those that all sets make together.
    fn wanted(&self) -> impl Iterator<Item = Item<'a>> {
        let is_wanted = |member: &&Member<'a>| member.others == self.others_wanted;
        self.all.iter().filter(is_wanted).map(|member| member.name)
    }

    /// Room for so many. `None` if there is no memory for them.
    fn new(cx: &'a mut Cx<'_>, count: usize, slots_len: usize) -> Option<Members<'a>> {
        let bytes = count * size_of::<Member<'_>>() + slots_len * size_of::<u16>();
        // Nothing is evicted for less than what other commands have on the stack.
        if bytes > PAGE_BYTES {
            cx.lend_bytes(bytes).ok()?;
        }
        let (mut all, mut slots) = (Vec::new(), Vec::new());
        all.try_reserve_exact(count).ok()?;
        slots.try_reserve_exact(slots_len).ok()?;
        slots.resize(slots_len, 0);
        Some(Members { keys: cx.keys, all, slots, others_wanted: 0 })
    }

    /// Adds the members of a set that are not there.
    fn add(&mut self, set: usize) {
        let Some(found) = &self.keys.pinned(set) else { return };
        for entry in self.keys.walk(found) {
            let hash = self.keys.hash_item(entry.name);
            let Err(free) = self.find(entry.name, hash) else { continue };
            self.all.push(Member { name: entry.name, hash, others: 0 });
            self.slots.get_mut(free).into_iter().for_each(|slot| *slot = self.all.len() as u16);
        }
    }

    /// Counts another set for those members that it has, and that are wanted so far. How many they
    /// are.
    fn mark(&mut self, set: usize) -> usize {
        let (before, mut marked) = (self.others_wanted, 0);
        let Some(found) = &self.keys.pinned(set) else { return 0 };
        if let Some(table) = self.keys.large(found) {
            for member in self.all.iter_mut().filter(|member| member.others == before) {
                let is_there = self.keys.has_hashed(table, member.name, member.hash);
                member.others += usize::from(is_there);
                marked += usize::from(is_there);
            }
            return marked;
        }
        for entry in self.keys.walk(found) {
            if let Ok(number) = self.find(entry.name, self.keys.hash_item(entry.name))
                && let Some(member) = self.all.get_mut(number).filter(|it| it.others == before)
            {
                member.others += 1;
                marked += 1;
            }
        }
        marked
    }

    /// Which member has this name, or which slot is free for it.
    fn find(&self, name: Item<'_>, hash: u64) -> Result<usize, usize> {
        let mask = self.slots.len().wrapping_sub(1);
        let mut at = hash as usize & mask;
        loop {
            let taken = self.slots.get(at).copied().unwrap_or_default();
            let number = usize::from(taken).wrapping_sub(1);
            let Some(member) = self.all.get(number) else { return Err(at) };
            if member.hash == hash && self.keys.is_same(member.name, name) {
                return Ok(number);
            }
            at = (at + 1) & mask;
        }
    }
}
