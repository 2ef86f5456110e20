//! Groups and consumers: how they come and go, and which entries they are given.
//!
//! Invariant: a group counts its consumers and what is pending, a consumer what it owns; see
//! ledger.rs for what is stored.
//!
//! Not here: what commands mean (read.rs, claim.rs, rows.rs).

use core::cmp::Ordering;

use super::entries::Stream;
use super::id::Id;
use super::ledger::{
    CONSUMER, CONSUMER_BYTES, Consumer, GROUP, Group, NUMBER_MAX, OWNED, PENDING, Pending, STATE,
    UNKNOWN_READ, consumer_key, entry_key, group_key, id_in, prefix, state_key,
};
use crate::arena::SEGMENT_BYTES;
use crate::bytes;
use crate::error::{Error, Result};
use crate::keyspace::{Cx, Keyspace};
use crate::limits::STREAM_NAME_BYTES_MAX;
use crate::object::ObjectId;

/// Bytes that an entry which becomes pending may take.
const PENDING_BYTES: usize = 64;

/// A group under its name.
#[derive(Clone, Copy)]
pub(super) struct Named<'a> {
    pub(super) name: &'a [u8],
    pub(super) group: Group,
}

impl Keyspace {
    /// The group of a name.
    pub(super) fn group<'n>(&self, stream: &Stream, name: &'n [u8]) -> Option<Named<'n>> {
        if name.len() > STREAM_NAME_BYTES_MAX {
            return None;
        }
        let value = self.map_get(stream.members, group_key(name).as_bytes())?;
        Some(Named { name, group: Group::read(value) })
    }

    /// Writes a group that is there.
    pub(super) fn save_group(&mut self, stream: &Stream, named: &Named<'_>) {
        let key = group_key(named.name);
        let bytes = named.group.to_bytes();
        self.map_change(stream.members, key.as_bytes(), |value| bytes::copy(value, &bytes));
    }

    /// The number of the consumer of a name.
    pub(super) fn consumer(&self, stream: &Stream, group: &Group, name: &[u8]) -> Option<u64> {
        if name.len() > STREAM_NAME_BYTES_MAX {
            return None;
        }
        let key = consumer_key(group.number, name);
        let number = self.map_get(stream.members, key.as_bytes())?;
        number.first_chunk().map(|number| u64::from_le_bytes(*number))
    }

    /// A consumer, and its name.
    pub(super) fn state(
        &self,
        stream: &Stream,
        group: &Group,
        consumer: u64,
    ) -> Option<(Consumer, &[u8])> {
        let value = self.map_get(stream.members, &state_key(group.number, consumer))?;
        Some((Consumer::read(value), value.get(CONSUMER_BYTES..)?))
    }

    fn change_state(
        &mut self,
        stream: &Stream,
        group: &Group,
        consumer: u64,
        change: impl FnOnce(&mut Consumer),
    ) {
        self.map_change(stream.members, &state_key(group.number, consumer), |value| {
            let mut state = Consumer::read(value);
            change(&mut state);
            bytes::copy(value, &state.to_bytes());
        });
    }

    /// Notes that a consumer asked for something.
    pub(super) fn see(&mut self, stream: &Stream, group: &Group, consumer: u64, now: i64) {
        self.change_state(stream, group, consumer, |state| state.seen = now);
    }

    /// How an entry is pending in a group, if it is.
    pub(super) fn pending(&self, stream: &Stream, group: &Group, id: Id) -> Option<Pending> {
        Pending::read(self.map_get(stream.pending, &entry_key(PENDING, group.number, id))?)
    }

    /// Shows every group, in the order of their names.
    pub(super) fn each_group(&self, stream: &Stream, show: &mut dyn FnMut(&[u8], &Group)) {
        self.each_item(stream.members, &[GROUP], &[], &mut |name, value| {
            show(name, &Group::read(value));
            true
        });
    }

    /// Shows every consumer of a group with its number, in the order of their names.
    pub(super) fn each_consumer(
        &self,
        stream: &Stream,
        group: &Group,
        show: &mut dyn FnMut(&[u8], u64, &Consumer),
    ) {
        self.each_item(stream.members, &prefix(CONSUMER, group.number), &[], &mut |name, value| {
            let number = value.first_chunk().map_or(0, |number| u64::from_le_bytes(*number));
            if let Some((state, _)) = self.state(stream, group, number) {
                show(name, number, &state);
            }
            true
        });
    }

    /// Shows what is pending in a group, from an id on, until `show` says that it is enough.
    pub(super) fn each_pending(
        &self,
        stream: &Stream,
        group: &Group,
        start: Id,
        show: &mut dyn FnMut(Id, &Pending) -> bool,
    ) {
        let prefix = prefix(PENDING, group.number);
        self.each_item(stream.pending, &prefix, &start.to_bytes(), &mut |id, value| match id
            .first_chunk()
            .zip(Pending::read(value))
        {
            Some((id, pending)) => show(Id::from_bytes(*id), &pending),
            None => false,
        });
    }

    /// The first entry that is pending in a group, from an id on.
    pub(super) fn next_pending(&self, stream: &Stream, group: &Group, start: Id) -> Option<Id> {
        let mut next = None;
        self.each_pending(stream, group, start, &mut |id, _| {
            next = Some(id);
            false
        });
        next
    }

    /// The same for the ids of those that a consumer owns.
    pub(super) fn each_owned(
        &self,
        stream: &Stream,
        consumer: u64,
        start: Id,
        show: &mut dyn FnMut(Id) -> bool,
    ) {
        let prefix = prefix(OWNED, consumer);
        self.each_item(stream.pending, &prefix, &start.to_bytes(), &mut |id, _| {
            id.first_chunk().is_some_and(|id| show(Id::from_bytes(*id)))
        });
    }

    /// Shows the items whose keys have a front, from one on: the rest of the key, and the value.
    fn each_item(
        &self,
        map: ObjectId,
        front: &[u8],
        start: &[u8],
        show: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) {
        let mut first = [0; 32];
        bytes::copy(&mut first, front);
        bytes::write_at(&mut first, front.len(), start);
        let first = first.get(..front.len() + start.len()).unwrap_or_default();
        let mut cursor = self.map_seek(map, first);
        while let Some((key, value)) = self.map_item(map, &cursor)
            && let Some(rest) = key.strip_prefix(front)
            && show(rest, value)
        {
            self.map_advance(map, &mut cursor);
        }
    }

    /// The last entry that is pending in a group.
    pub(super) fn last_pending(&self, stream: &Stream, group: &Group) -> Option<Id> {
        let key = self.map_last(stream.pending, &entry_key(PENDING, group.number, Id::MAX))?;
        id_in(key.as_bytes(), &prefix(PENDING, group.number))
    }

    /// Takes an entry off what is pending. Whether it was. The group is still to be saved.
    pub(super) fn acknowledge(&mut self, stream: &Stream, named: &mut Named<'_>, id: Id) -> bool {
        let key = entry_key(PENDING, named.group.number, id);
        let Some(pending) = self.map_take(stream.pending, &key, Pending::read).flatten() else {
            return false;
        };
        self.map_remove(stream.pending, &entry_key(OWNED, pending.consumer, id));
        self.change_state(stream, &named.group, pending.consumer, |state| state.pending -= 1);
        named.group.pending -= 1;
        true
    }

    /// Takes a consumer out of its group, with what it owns. How much that was.
    pub(super) fn remove_consumer(
        &mut self,
        stream: &Stream,
        named: &mut Named<'_>,
        name: &[u8],
    ) -> Option<u64> {
        let group = named.group;
        let number = self.consumer(stream, &group, name)?;
        let (state, _) = self.state(stream, &group, number)?;
        let mut next = Some(Id::MIN);
        while let Some(start) = next {
            next = None;
            self.each_owned(stream, number, start, &mut |id| {
                next = Some(id);
                false
            });
            if let Some(id) = next {
                self.map_remove(stream.pending, &entry_key(PENDING, group.number, id));
                self.map_remove(stream.pending, &entry_key(OWNED, number, id));
            }
        }
        self.map_remove(stream.members, consumer_key(group.number, name).as_bytes());
        self.map_remove(stream.members, &state_key(group.number, number));
        named.group.pending -= state.pending;
        named.group.consumers -= 1;
        self.save_group(stream, named);
        Some(state.pending)
    }

    /// Takes a group out with all that belongs to it.
    pub(super) fn remove_group(&mut self, stream: &Stream, named: &Named<'_>) {
        let group = named.group;
        let states = prefix(STATE, group.number);
        loop {
            let mut owner = None;
            self.each_item(stream.members, &states, &[], &mut |rest, _| {
                let mut number = [0; 8];
                bytes::write_at(&mut number, 2, rest);
                owner = Some(u64::from_be_bytes(number));
                false
            });
            let Some(owner) = owner else { break };
            self.map_remove_all(stream.pending, &prefix(OWNED, owner));
            self.map_remove(stream.members, &state_key(group.number, owner));
        }
        self.map_remove_all(stream.members, &prefix(CONSUMER, group.number));
        self.map_remove_all(stream.pending, &prefix(PENDING, group.number));
        self.map_remove(stream.members, group_key(named.name).as_bytes());
    }
}

impl Cx<'_> {
    /// The next number of a group or a consumer.
    fn next_number(&mut self, stream: &mut Stream) -> Result<u64> {
        if stream.meta.numbers == NUMBER_MAX {
            return Err(Error::OutOfMemory);
        }
        stream.meta.numbers += 1;
        self.keys.save(stream);
        Ok(stream.meta.numbers)
    }

    /// Adds a group, which is not there.
    pub(super) fn add_group<'n>(
        &mut self,
        stream: &mut Stream,
        name: &'n [u8],
        last: Id,
        entries_read: i64,
    ) -> Result<Named<'n>> {
        if name.len() > STREAM_NAME_BYTES_MAX {
            return Err(Error::NameTooLong);
        }
        self.make_group_maps(stream)?;
        let number = self.next_number(stream)?;
        let group = Group { number, last, entries_read, ..Group::default() };
        let key = group_key(name);
        self.map_put(&mut stream.found, stream.members, key.as_bytes(), &group.to_bytes())?;
        Ok(Named { name, group })
    }

    /// Adds a consumer, which is not there. Its number.
    pub(super) fn add_consumer(
        &mut self,
        stream: &mut Stream,
        named: &mut Named<'_>,
        name: &[u8],
        seen: i64,
    ) -> Result<u64> {
        if name.len() > STREAM_NAME_BYTES_MAX {
            return Err(Error::NameTooLong);
        }
        let number = self.next_number(stream)?;
        let group = named.group.number;
        let mut state = [0; CONSUMER_BYTES + STREAM_NAME_BYTES_MAX];
        bytes::copy(&mut state, &Consumer { seen, pending: 0 }.to_bytes());
        bytes::write_at(&mut state, CONSUMER_BYTES, name);
        let state = state.get(..CONSUMER_BYTES + name.len()).unwrap_or_default();
        let state_key = state_key(group, number);
        self.map_put(&mut stream.found, stream.members, &state_key, state)?;
        let key = consumer_key(group, name);
        let number_bytes = number.to_le_bytes();
        let put = self.map_put(&mut stream.found, stream.members, key.as_bytes(), &number_bytes);
        if put.is_err() {
            self.keys.map_remove(stream.members, &state_key);
        }
        put?;
        named.group.consumers += 1;
        self.keys.save_group(stream, named);
        Ok(number)
    }

    /// Makes room for so many entries to become pending before the first of them does.
    pub(super) fn reserve_pending(&mut self, stream: &mut Stream, count: usize) -> Result<()> {
        let pages = count.saturating_mul(PENDING_BYTES) / SEGMENT_BYTES;
        if pages == 0 {
            return Ok(());
        }
        self.pinning(&mut stream.found, |cx| cx.make_room(&mut [], 0, pages))
    }

    /// Gives an entry to a consumer, from another if that had it. How many more the consumer has
    /// then, which is still to be noted with it; and the group to be saved.
    pub(super) fn give(
        &mut self,
        stream: &mut Stream,
        named: &mut Named<'_>,
        id: Id,
        pending: Pending,
    ) -> Result<u64> {
        let owned = entry_key(OWNED, pending.consumer, id);
        let is_moved = self.map_put(&mut stream.found, stream.pending, &owned, &[])?;
        let (value, len) = pending.write();
        let value = value.get(..len).unwrap_or_default();
        let key = entry_key(PENDING, named.group.number, id);
        let old = self.map_replace(&mut stream.found, stream.pending, &key, value, Pending::read);
        if old.is_err() && is_moved {
            self.keys.map_remove(stream.pending, &owned);
        }
        let old = old?.flatten();
        if !is_moved {
            return Ok(0);
        }
        match old {
            Some(old) => self.keys.disown(stream, &named.group, old.consumer, id),
            None => named.group.pending += 1,
        }
        Ok(1)
    }
}

impl Keyspace {
    /// Takes an entry from a consumer.
    fn disown(&mut self, stream: &Stream, group: &Group, consumer: u64, id: Id) {
        self.map_remove(stream.pending, &entry_key(OWNED, consumer, id));
        self.change_state(stream, group, consumer, |state| state.pending -= 1);
    }

    /// Notes that a consumer has so many entries more, and saves its group.
    pub(super) fn save_given(
        &mut self,
        stream: &Stream,
        named: &Named<'_>,
        consumer: u64,
        count: u64,
    ) {
        if count > 0 {
            self.change_state(stream, &named.group, consumer, |state| state.pending += count);
        }
        self.save_group(stream, named);
    }
}

/// What is known of how far a group is: see Redis's `streamEstimateDistanceFromFirstEverEntry`.
impl Keyspace {
    /// How many entries were ever added up to an id, or `None` where that cannot be told.
    pub(super) fn entries_up_to(&self, stream: &Stream, id: Id) -> Option<i64> {
        let meta = &stream.meta;
        let added = meta.added as i64;
        let (len, _) = self.stream_len(stream);
        if added == 0 {
            return Some(0);
        }
        if id == meta.last || len == 0 && id < meta.last {
            return Some(added);
        }
        let (first, _) = self.ends(stream).unwrap_or_default();
        if id > meta.last || meta.max_deleted != Id::MIN && meta.max_deleted >= first {
            return None;
        }
        let before_first = added.wrapping_sub(len as i64);
        match id.cmp(&first) {
            Ordering::Less => Some(before_first),
            Ordering::Equal => Some(before_first.wrapping_add(1)),
            Ordering::Greater => None,
        }
    }

    /// Whether entries from an id on may have been deleted by XDEL.
    pub(super) fn has_gaps_from(&self, stream: &Stream, start: Id) -> bool {
        let deleted = stream.meta.max_deleted;
        deleted != Id::MIN
            && start <= deleted
            && self.ends(stream).is_some_and(|(first, _)| first <= deleted)
    }

    /// How many entries a group has not been given yet, if that can be told.
    pub(super) fn lag(&self, stream: &Stream, group: &Group) -> Option<i64> {
        let added = stream.meta.added as i64;
        if added == 0 {
            return Some(0);
        }
        let is_counted =
            group.entries_read != UNKNOWN_READ && !self.has_gaps_from(stream, group.last);
        let read = if is_counted {
            Some(group.entries_read)
        } else {
            self.entries_up_to(stream, group.last)
        };
        read.map(|read| added.wrapping_sub(read))
    }
}
