//! How the members of a sorted set are stored: a few packed in the key's record in their order,
//! more of them both in a table, which knows their scores, and in a tree, which knows their order.
//!
//! Invariant: table and tree have the same members with the same scores.
//!
//! Not here: the table (table/) and the tree (tree.rs) themselves, and what commands mean.

use core::mem;

use crate::bytes;
use crate::error::{Error, Result};
use crate::keyspace::{Cx, Found, Keyspace};
use crate::limits::PACKED_BYTES_MAX;
use crate::object::ObjectId;
use crate::packed::{Entries, Entry, ITEM_BYTES_MAX, Item, Packed, SCORE_BYTES};
#[cfg(feature = "dump")]
use crate::rdb::Score;
use crate::record::NEVER;
#[cfg(feature = "dump")]
use crate::score::{as_score, parse_score};
use crate::table::{Cursor, Old, Spot, Target};
use crate::tree::{Edge, score_of};
use crate::value::TextBuffer;
use crate::write::Draft;

/// Most bytes of entries that one record or one node holds.
pub(super) const RUN_BYTES_MAX: usize = 2048;
/// Most entries of them: none is shorter than nine bytes.
const RUN_ENTRIES_MAX: usize = 256;

/// A part of a sorted set: where it begins, and which way it goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slice {
    /// The rank of the member that is shown first, counted from the lowest score.
    pub(crate) first: usize,
    pub(crate) count: usize,
    pub(crate) is_reverse: bool,
}

impl Slice {
    pub(super) const NOTHING: Slice = Slice { first: 0, count: 0, is_reverse: false };

    /// The lowest of its ranks.
    pub(super) fn lowest(&self) -> usize {
        if self.is_reverse { (self.first + 1).saturating_sub(self.count) } else { self.first }
    }
}

/// Where a member is in what finds it by name, or where it may be added; and its score.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    spot: Spot,
    old: Option<Old>,
    pub(super) score: Option<f64>,
}

impl Keyspace {
    /// The tree of a large sorted set.
    pub(crate) fn tree_of(&self, found: &Found) -> Option<ObjectId> {
        self.large(found).map(|object| object.tree)
    }

    /// The score of a member.
    pub(crate) fn score_in(&self, found: &Found, member: Item<'_>) -> Option<f64> {
        self.find_entry(found, member).map(|entry| score_of(entry.value))
    }

    /// How many members come before a place.
    pub(crate) fn rank_of(&self, found: &Found, edge: &Edge<'_>) -> usize {
        if let Some(tree) = self.tree_of(found) {
            return self.tree_rank(tree, edge);
        }
        let mut rank = 0;
        for entry in self.entries(found, 0) {
            if !self.is_before(edge, rank, score_of(entry.value), entry.name) {
                break;
            }
            rank += 1;
        }
        rank
    }

    /// Shows every member in its order.
    #[cfg(feature = "sort")]
    pub(crate) fn each_member(&self, found: &Found, show: &mut dyn FnMut(crate::Value<'_>)) {
        let count = self.large(found).map_or(usize::MAX, |object| object.len);
        let slice = Slice { first: 0, count, is_reverse: false };
        self.members(found, &slice, &mut |member, _| show(self.text(member)));
    }

    /// Copies entries as they stand, from the member of a rank on: those that stand side by side.
    /// How many bytes they are.
    pub(super) fn copy_run(&self, found: &Found, rank: usize, run: &mut [u8]) -> usize {
        let entries = match self.tree_of(found) {
            Some(tree) => {
                let leaf = self.tree_leaf(tree, rank);
                leaf.entries.from(leaf.at)
            }
            None => {
                let mut entries = self.entries(found, 0);
                entries.by_ref().take(rank).for_each(drop);
                entries
            }
        };
        bytes::copy(run, entries.rest());
        entries.rest().len()
    }

    /// Shows the members of a slice, which is within the sorted set.
    pub(crate) fn members(
        &self,
        found: &Found,
        slice: &Slice,
        show: &mut dyn FnMut(Item<'_>, f64),
    ) {
        let Slice { first, mut count, is_reverse } = *slice;
        let Some(tree) = self.tree_of(found) else {
            let entries = self.entries(found, 0);
            if is_reverse {
                show_back(&entries, first, count, show);
            } else {
                show_on(entries.skip(first), &mut count, show);
            }
            return;
        };
        if count == 0 {
            return;
        }
        let mut leaf = self.tree_leaf(tree, first);
        if is_reverse {
            let mut last = first;
            loop {
                let shown = (last + 1 - leaf.rank).min(count);
                show_back(&leaf.entries, last - leaf.rank, shown, show);
                count -= shown;
                if count == 0 || leaf.rank == 0 {
                    return;
                }
                last = leaf.rank - 1;
                leaf = self.tree_leaf(tree, last);
            }
        }
        loop {
            show_on(leaf.entries.clone().from(leaf.at), &mut count, show);
            if count == 0 {
                return;
            }
            match self.next_leaf(tree, leaf) {
                Some(next) => leaf = next,
                None => return,
            }
        }
    }
}

/// Shows entries from the front, so many at most, which it takes off the count.
fn show_on<'a>(
    entries: impl Iterator<Item = Entry<'a>>,
    count: &mut usize,
    show: &mut dyn FnMut(Item<'_>, f64),
) {
    for entry in entries {
        if *count == 0 {
            return;
        }
        show(entry.name, score_of(entry.value));
        *count -= 1;
    }
}

/// Shows so many entries up to a position, the last one first.
fn show_back(
    entries: &Entries<'_>,
    last: usize,
    count: usize,
    show: &mut dyn FnMut(Item<'_>, f64),
) {
    let mut starts = [0; RUN_ENTRIES_MAX];
    let run = starts.iter_mut().zip(entries.clone()).take(last + 1);
    let found = run.map(|(start, entry)| *start = entry.start).count();
    let starts = starts.get(..found).unwrap_or_default();
    for &start in starts.iter().rev().take(count) {
        if let Some(entry) = entries.clone().from(start).next() {
            show(entry.name, score_of(entry.value));
        }
    }
}

impl Cx<'_> {
    /// Looks a member up, to give it a score.
    pub(crate) fn place(&mut self, target: &Target<'_>, member: &[u8]) -> Place {
        let (spot, old) = self.keys.find_spot(target, member);
        let score = old
            .and(target.found)
            .and_then(|found| self.keys.entry_at(&found, &spot).map(|entry| score_of(entry.value)));
        Place { spot, old, score }
    }

    /// Gives a member a score, in place of its old one if it has one.
    pub(crate) fn put_score(
        &mut self,
        target: &mut Target<'_>,
        member: &[u8],
        score: f64,
        place: &Place,
    ) -> Result<()> {
        let is_small = target.found.is_none_or(|found| !found.head.is_large());
        if is_small && self.pack_score(target, member, score, place)? {
            return Ok(());
        }
        let value = score.to_le_bytes();
        if place.score.is_none() {
            self.put_at(target, member, &value, NEVER, place.spot, None)?;
        }
        let mut found = target.found.ok_or(Error::OutOfMemory)?;
        let tree = self.keys.tree_of(&found).ok_or(Error::OutOfMemory)?;
        let name = self.keys.stored_name(&found, member, place);
        let inserted = self.tree_insert(&mut found, tree, score, name);
        target.found = Some(found);
        match (place.score, inserted) {
            (None, Err(_)) => {
                self.remove_entry(target, member)?;
            }
            (Some(old), Ok(())) => {
                self.keys.tree_remove(tree, old, name);
                self.keys.overwrite_entry(&found, place.spot, &value);
            }
            _ => {}
        }
        inserted
    }

    /// The same to a sorted set of no key, whose members are put in order in the end.
    pub(super) fn put_unordered(
        &mut self,
        target: &mut Target<'_>,
        member: &[u8],
        score: f64,
        place: &Place,
    ) -> Result<()> {
        let found = target.found.filter(|found| found.head.is_large());
        let Some(found) = found else { return self.put_score(target, member, score, place) };
        let value = score.to_le_bytes();
        if place.score.is_some() {
            self.keys.overwrite_entry(&found, place.spot, &value);
            return Ok(());
        }
        self.put_at(target, member, &value, NEVER, place.spot, None).map(|_| ())
    }

    /// Puts the members in order: a large sorted set gets a tree anew.
    pub(super) fn put_in_order(&mut self, target: &mut Target<'_>) -> Result<()> {
        let Some(mut found) = target.found.filter(|found| found.head.is_large()) else {
            return Ok(());
        };
        let made = self.make_tree(&mut found);
        target.found = Some(found);
        let tree = made?;
        let id = self.keys.object_of(&found);
        let Some(object) = id.and_then(|id| self.keys.objects.get_mut(id)) else { return Ok(()) };
        let old = mem::replace(&mut object.tree, tree);
        self.keys.release(old);
        let (mut cursor, mut text) = (Cursor::default(), TextBuffer::new());
        while let Some(entry) = self.keys.next_entry(&found, &mut cursor) {
            let score = score_of(entry.value);
            let name = match entry.name {
                Item::Here(name) => Item::Here(text.copy(name.into())?),
                Item::Apart(id) => Item::Apart(id),
            };
            let inserted = self.tree_insert(&mut found, tree, score, name);
            target.found = Some(found);
            inserted?;
        }
        Ok(())
    }

    /// Adds a member of a sorted set that is restored. False if it is there already.
    #[cfg(feature = "dump")]
    pub(crate) fn add_scored(
        &mut self,
        target: &mut Target<'_>,
        member: &[u8],
        score: Score<'_>,
    ) -> Result<bool> {
        let score = match score {
            Score::Text(text) => parse_score(text),
            Score::Bytes(bytes) => as_score(f64::from_le_bytes(bytes)),
        };
        let score = score.ok_or(Error::BadPayload)?;
        let place = self.place(target, member);
        if place.score.is_none() {
            self.put_score(target, member, score, &place)?;
        }
        Ok(place.score.is_none())
    }

    /// The same in a record. False if it would become too long: then it no longer is one.
    fn pack_score(
        &mut self,
        target: &mut Target<'_>,
        member: &[u8],
        score: f64,
        place: &Place,
    ) -> Result<bool> {
        let Spot { start, end, .. } = place.spot;
        let kept = place.old.and_then(|old| old.name);
        let shown = if member.len() > ITEM_BYTES_MAX { &[0; 4] } else { member };
        let added = Packed::new(Item::Here(shown)).len() + SCORE_BYTES;
        let old_len = target.found.map_or(0, |found| found.head.stored_len());
        if old_len - (end - start) + added > PACKED_BYTES_MAX {
            self.make_ordered(target)?;
            return Ok(false);
        }
        let made = match place.old {
            None => self.stand_apart(target, member)?,
            Some(_) => None,
        };
        let name = kept.or(made).map_or(Item::Here(member), Item::Apart);
        let value = score.to_le_bytes();
        let pieces = [Packed::new(name), Packed::raw(&value)];
        let mut at = 0;
        if let Some(found) = &target.found {
            let edge = Edge::Member(score, Item::Here(member));
            let mut entries = self.keys.entries(found, 0);
            let is_before = |entry: &Entry<'_>| {
                self.keys.is_before(&edge, 0, score_of(entry.value), entry.name)
            };
            while let Some(entry) = entries.next().filter(is_before) {
                at = entry.end;
            }
        }
        let cut = if place.old.is_some() { (start, end) } else { (at, at) };
        let done = self.rearrange(target, cut, at, &pieces);
        if let (Err(_), Some(id)) = (done, made) {
            self.keys.release(id);
        }
        done.map(|()| true)
    }

    /// Writes a record without a part of what it holds, and with `pieces` before a place in it.
    fn rearrange(
        &mut self,
        target: &mut Target<'_>,
        cut: (usize, usize),
        at: usize,
        pieces: &[Packed<'_>],
    ) -> Result<()> {
        let mut buffer = [0; PACKED_BYTES_MAX];
        let old = match &target.found {
            Some(found) => found.head.stored(self.keys.arena.cell(found.addr)),
            None => &[],
        };
        let mut len = 0;
        let keep = |buffer: &mut [u8], len: usize, start: usize, end: usize| {
            let part = old.get(start..end).unwrap_or_default();
            bytes::write_at(buffer, len, part);
            len + part.len()
        };
        // The place is before the part that goes, or behind it.
        let (before, behind) = (at.min(cut.0), at.max(cut.1));
        len = keep(&mut buffer, len, 0, before);
        if at > before {
            len = keep(&mut buffer, len, cut.1, at);
        }
        len = pieces.iter().fold(len, |at, piece| piece.write(&mut buffer, at));
        if behind > at {
            len = keep(&mut buffer, len, at, cut.0);
        }
        len = keep(&mut buffer, len, behind, old.len());
        let Target { key, hash, kind, found } = *target;
        let deadline = found.map_or(NEVER, |found| found.head.deadline);
        let draft = Draft::of(key, hash, kind, len, deadline, found)?.keeping();
        self.replace_target(target, draft, &mut buffer.get(..len).unwrap_or_default())
    }

    /// Gives packed members a table and a tree.
    fn make_ordered(&mut self, target: &mut Target<'_>) -> Result<()> {
        let mut found = target.found.ok_or(Error::OutOfMemory)?;
        let tree = self.make_tree(&mut found);
        target.found = Some(found);
        let tree = tree?;
        let made = self.make_table(target);
        let id = target.found.and_then(|found| self.keys.object_of(&found));
        match id.and_then(|id| self.keys.objects.get_mut(id)) {
            Some(object) if made.is_ok() => object.tree = tree,
            _ => self.keys.release(tree),
        }
        made
    }

    /// Takes a member out; the key goes with the last one. False if it was not there.
    pub(super) fn remove_member(
        &mut self,
        target: &mut Target<'_>,
        member: Item<'_>,
    ) -> Result<bool> {
        let Some(found) = target.found else { return Ok(false) };
        let Some(at) = self.keys.cursor_of(&found, member) else { return Ok(false) };
        if let Some(tree) = self.keys.tree_of(&found) {
            let entry = self.keys.next_entry(&found, &mut { at });
            let score = entry.map_or(0.0, |entry| score_of(entry.value));
            self.keys.tree_remove(tree, score, member);
        }
        self.remove_at(target, at)?;
        Ok(true)
    }

    /// Takes the member of a rank out.
    pub(super) fn remove_rank(&mut self, target: &mut Target<'_>, rank: usize) -> Result<()> {
        let Some(found) = target.found else { return Ok(()) };
        let (mut short, mut len, mut apart) = ([0; ITEM_BYTES_MAX], 0, None);
        let slice = Slice { first: rank, count: 1, is_reverse: false };
        self.keys.members(&found, &slice, &mut |name, _| match name {
            Item::Here(text) => {
                bytes::copy(&mut short, text);
                len = text.len();
            }
            Item::Apart(id) => apart = Some(id),
        });
        let name = Item::Here(short.get(..len).unwrap_or_default());
        self.remove_member(target, apart.map_or(name, Item::Apart)).map(|_| ())
    }
}

impl Keyspace {
    /// A member as the tree and the table name it: a long one by its object.
    fn stored_name<'a>(&self, found: &Found, member: &'a [u8], place: &Place) -> Item<'a> {
        let name = Item::Here(member);
        if member.len() <= ITEM_BYTES_MAX {
            return name;
        }
        if let Some(Old { name: Some(id), .. }) = place.old {
            return Item::Apart(id);
        }
        match self.find_entry(found, name).map(|entry| entry.name) {
            Some(Item::Apart(id)) => Item::Apart(id),
            _ => name,
        }
    }
}
