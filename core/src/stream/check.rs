//! Every invariant of streams, checked. For tests.

use super::entries::Stream;
use super::id::Id;
use super::ledger::{
    CONSUMER, Consumer, GROUP, Group, OWNED, PENDING, Pending, STATE, entry_key, id_in, prefix,
    state_key,
};
use super::node::{Body, Node};
use crate::arena::Addr;
use crate::index::Place;
use crate::keyspace::{Found, Keyspace};
use crate::limits::STREAM_NODE_ENTRIES_MAX;
use crate::object::{Object, ObjectId};
use crate::record::Kind;
use crate::validate::{Checked, Sum};

impl Keyspace {
    /// Checks the nodes of a stream, each for itself: what stands apart of them.
    pub(crate) fn validate_nodes(&self, object: &Object) -> Checked<Sum> {
        let mut sum = Sum::default();
        for position in 0..object.pages as usize {
            let cell = self.arena.cell(object.page(&self.arena, position));
            let node = Node::read(cell).ok_or("stream: a node is longer than its page")?;
            let (mut count, mut last) = (0, node.first);
            let mut end = node.entries().at;
            for entry in node.entries() {
                if entry.id < last || count > 0 && entry.id == last {
                    return Err("stream: entries are out of order");
                }
                if let Body::Apart(id) = entry.body {
                    sum.add(self.validate_object(id, Some(Kind::String))?);
                }
                let fields = self.fields_of(&node, &entry);
                if fields.left == 0 || fields.count() != fields.left {
                    return Err("stream: an entry lacks fields");
                }
                (count, last, end) = (count + 1, entry.id, entry.end);
            }
            if count == 0 || count != node.live || last != node.last || end != node.bytes.len() {
                return Err("stream: entries do not fill their node, or are not those it counts");
            }
            if node.begun > STREAM_NODE_ENTRIES_MAX || node.live > node.begun {
                return Err("stream: a node has too many entries");
            }
        }
        Ok(sum)
    }

    /// Checks that a stream is whole: the map finds the nodes, groups count what they have.
    pub(crate) fn validate_stream(&self, addr: Addr) -> Checked<()> {
        let head = self.head(addr).ok_or("stream: no record")?;
        let found = Found { place: Place::NOWHERE, addr, head };
        let stream = self.stream(found).ok_or("stream: a record without what belongs to it")?;
        let (len, nodes) = self.stream_len(&stream);
        let (mut seen_nodes, mut seen_len, mut last) = (0, 0, None);
        let mut counts = Counts::default();
        self.validate_map(stream.nodes, &mut |key, value| {
            let node = self.check_node_item(&stream, key, value, last)?;
            seen_nodes += 1;
            seen_len += node.live;
            last = Some(node.last);
            Ok(())
        })?;
        for map in [stream.members, stream.pending] {
            if map != ObjectId::NONE {
                self.validate_map(map, &mut |key, value| {
                    self.check_group_item(&stream, key, value, &mut counts)
                })?;
            }
        }
        if (seen_nodes, seen_len) != (nodes, len) {
            return Err("stream: a node is not found, or entries are not counted");
        }
        let tail = self.ends(&stream).map(|(_, last)| last);
        if tail != last || last > Some(stream.meta.last) || stream.meta.added < len as u64 {
            return Err("stream: the last node or the last id is off");
        }
        self.check_groups(&stream, &counts)
    }

    fn check_node_item(
        &self,
        stream: &Stream,
        key: &[u8],
        value: &[u8],
        last: Option<Id>,
    ) -> Checked<Node<'_>> {
        let position = value.first_chunk().map(|position| u32::from_le_bytes(*position));
        let node = position.and_then(|position| self.stream_node(stream, position));
        let node = node.ok_or("stream: the map leads to no node")?;
        if id_in(key, &[]) != Some(node.first) || last.is_some_and(|last| last >= node.first) {
            return Err("stream: nodes are out of order, or not where the map leads");
        }
        Ok(node)
    }

    fn check_group_item(
        &self,
        stream: &Stream,
        key: &[u8],
        value: &[u8],
        counts: &mut Counts,
    ) -> Checked<()> {
        let (&kind, rest) = key.split_first().ok_or("stream: an item without a key")?;
        let has = |map: ObjectId, key: &[u8]| self.map_get(map, key).is_some();
        let number = rest
            .first_chunk()
            .map_or(0, |&[a, b, c, d, e, f]| u64::from_be_bytes([0, 0, a, b, c, d, e, f]));
        let is_sound = match kind {
            GROUP => {
                let group = Group::read(value);
                counts.consumers += group.consumers;
                counts.pending += group.pending;
                true
            }
            CONSUMER => {
                counts.names += 1;
                let owner = value.first_chunk().map_or(0, |owner| u64::from_le_bytes(*owner));
                has(stream.members, &state_key(number, owner))
            }
            STATE => {
                counts.states += 1;
                counts.owned_told += Consumer::read(value).pending;
                true
            }
            PENDING => {
                counts.pending_seen += 1;
                let id = id_in(key, &prefix(PENDING, number));
                let pending = Pending::read(value);
                let both = id.zip(pending);
                both.is_some_and(|(id, pending)| {
                    has(stream.pending, &entry_key(OWNED, pending.consumer, id))
                })
            }
            OWNED => {
                counts.owned += 1;
                true
            }
            _ => false,
        };
        if is_sound { Ok(()) } else { Err("stream: an item that belongs to nothing") }
    }

    fn check_groups(&self, stream: &Stream, counts: &Counts) -> Checked<()> {
        let mut is_sound = counts.consumers == counts.names
            && counts.names == counts.states
            && counts.pending == counts.pending_seen
            && counts.pending_seen == counts.owned
            && counts.owned == counts.owned_told;
        self.each_group(stream, &mut |_, group| {
            let (mut pending, mut consumers) = (0, 0);
            self.each_pending(stream, group, Id::MIN, &mut |_, _| {
                pending += 1;
                true
            });
            self.each_consumer(stream, group, &mut |_, number, state| {
                let mut owned = 0;
                self.each_owned(stream, number, Id::MIN, &mut |_| {
                    owned += 1;
                    true
                });
                is_sound &= owned == state.pending;
                consumers += 1;
            });
            is_sound &= pending == group.pending && consumers == group.consumers;
        });
        if is_sound { Ok(()) } else { Err("stream: the counts of a group are off") }
    }
}

/// What the items of groups say, and how many of them there are.
#[derive(Default)]
struct Counts {
    consumers: u64,
    names: u64,
    states: u64,
    pending: u64,
    pending_seen: u64,
    owned: u64,
    owned_told: u64,
}
