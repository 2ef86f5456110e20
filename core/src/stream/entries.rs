//! The entries of a stream: how they are added, found, walked through, and taken out.
//!
//! A stream is an object with its nodes for pages, in any order. A map finds them by their first
//! ids; if there are groups, two more hold what is theirs (ledger.rs). Each map is the `tree` of
//! the object before. What belongs to the stream as a whole stands in its record, behind the
//! object's number.
//!
//! Invariant: no node is without entries; the ids of nodes and entries ascend; the tail is the last
//! node. A stream, unlike other collections, may be empty.
//!
//! Not here: what commands mean (rows.rs), and groups (group.rs).

use super::fields::{EntrySource, Fields};
use super::id::Id;
use super::map::root_class;
use super::node::{Body, Entry, Head, Node, START, texts_len, write_count, write_texts};
use crate::arena::{Addr, Class, PAGE_BYTES};
use crate::bytes;
use crate::error::{Error, Result};
use crate::keyspace::{Cx, Found, Keyspace};
use crate::limits::{STREAM_ENTRY_BYTES_MAX, STREAM_NODE_ENTRIES_MAX, VALUE_BYTES_MAX};
use crate::object::{ObjectId, directory_cells};
use crate::record::{Kind, NEVER, PageHead};
use crate::table::Target;
use crate::value::Source;
use crate::write::{Draft, text_cells};

/// A node that is made, or made larger, has this fraction of its bytes to grow into.
const SLACK_DIVISOR: usize = 4;

/// What belongs to a stream as a whole.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Meta {
    /// The last id that was given.
    pub(super) last: Id,
    /// The highest id of those that XDEL deleted.
    pub(super) max_deleted: Id,
    /// Entries that were ever added.
    pub(super) added: u64,
    /// Groups and consumers that there ever were.
    pub(super) numbers: u64,
    /// The position of the last node.
    tail: u32,
}

pub(crate) const META_BYTES: usize = 16 + 16 + 8 + 8 + 4;

impl Meta {
    fn read(bytes: &[u8]) -> Option<Meta> {
        let (last, rest) = bytes.split_first_chunk()?;
        let (max_deleted, rest) = rest.split_first_chunk()?;
        let (added, rest) = rest.split_first_chunk()?;
        let (numbers, rest) = rest.split_first_chunk()?;
        Some(Meta {
            last: Id::from_bytes(*last),
            max_deleted: Id::from_bytes(*max_deleted),
            added: u64::from_le_bytes(*added),
            numbers: u64::from_le_bytes(*numbers),
            tail: u32::from_le_bytes(*rest.first_chunk()?),
        })
    }

    fn to_bytes(self) -> [u8; META_BYTES] {
        let mut bytes = [0; META_BYTES];
        bytes::copy(&mut bytes, &self.last.to_bytes());
        bytes::write_at(&mut bytes, 16, &self.max_deleted.to_bytes());
        bytes::write_at(&mut bytes, 32, &self.added.to_le_bytes());
        bytes::write_at(&mut bytes, 40, &self.numbers.to_le_bytes());
        bytes::write_at(&mut bytes, 48, &self.tail.to_le_bytes());
        bytes
    }
}

/// A stream that is there.
#[derive(Clone, Copy)]
pub(crate) struct Stream {
    pub(super) found: Found,
    pub(super) id: ObjectId,
    /// Its maps: where the nodes are; groups and consumers; what is pending. A stream that never
    /// had a group has only the first.
    pub(super) nodes: ObjectId,
    pub(super) members: ObjectId,
    pub(super) pending: ObjectId,
    pub(super) meta: Meta,
}

/// Which entries a trim leaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Keep {
    /// So many of the last.
    Len(usize),
    /// Those from an id on.
    From(Id),
}

/// How a stream is trimmed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Trim {
    pub(super) keep: Keep,
    /// Whether only whole nodes go.
    pub(super) is_rough: bool,
    /// How many entries go at most; none for no limit.
    pub(super) limit: Option<usize>,
}

/// A part of a stream, and the way through it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Range {
    pub(super) start: Id,
    pub(super) end: Id,
    pub(super) count: usize,
    pub(super) is_reverse: bool,
}

impl Range {
    /// All from an id on.
    pub(super) fn from(start: Id, count: usize) -> Range {
        Range { start, end: Id::MAX, count, is_reverse: false }
    }

    pub(super) fn one(id: Id) -> Range {
        Range { start: id, end: id, count: 1, is_reverse: false }
    }
}

impl Keyspace {
    /// The stream of a record.
    pub(crate) fn stream(&self, found: Found) -> Option<Stream> {
        let stored = found.head.stored(self.arena.bytes_from(found.addr));
        let meta = Meta::read(stored.get(size_of::<ObjectId>()..)?)?;
        let id = self.object_of(&found)?;
        let tree = |id: ObjectId| self.objects.get(id).map_or(ObjectId::NONE, |object| object.tree);
        let nodes = tree(id);
        let members = tree(nodes);
        Some(Stream { found, id, nodes, members, pending: tree(members), meta })
    }

    /// Writes what belongs to the stream as a whole into its record.
    pub(super) fn save(&mut self, stream: &Stream) {
        let at = stream.found.head.stored_start() + size_of::<ObjectId>();
        let cell = self.arena.cell_mut(stream.found.addr);
        bytes::write_at(cell, at, &stream.meta.to_bytes());
    }

    /// How many entries a stream has, and on how many nodes.
    pub(super) fn stream_len(&self, stream: &Stream) -> (usize, usize) {
        self.objects.get(stream.id).map_or((0, 0), |object| (object.len, object.pages as usize))
    }

    fn node_page(&self, stream: &Stream, position: u32) -> Addr {
        let object = self.objects.get(stream.id).filter(|object| object.pages > position);
        object.map_or(Addr::NONE, |object| object.page(&self.arena, position as usize))
    }

    pub(super) fn stream_node(&self, stream: &Stream, position: u32) -> Option<Node<'_>> {
        Node::read(self.arena.cell(self.node_page(stream, position)))
    }

    /// The last node that begins with an id or before it.
    fn node_up_to(&self, stream: &Stream, id: Id) -> Option<u32> {
        let position = self.map_floor(stream.nodes, &id.to_bytes())?;
        Some(u32::from_le_bytes(*position.first_chunk()?))
    }

    /// The first node that begins with an id or behind it.
    pub(super) fn node_from(&self, stream: &Stream, id: Id) -> Option<u32> {
        let cursor = self.map_seek(stream.nodes, &id.to_bytes());
        let (_, position) = self.map_item(stream.nodes, &cursor)?;
        Some(u32::from_le_bytes(*position.first_chunk()?))
    }

    /// Shows the entries of a part of a stream. How many there are.
    pub(super) fn each_entry_of(
        &self,
        stream: &Stream,
        range: &Range,
        show: &mut dyn FnMut(Id, Fields<'_>),
    ) -> usize {
        let mut left = range.count;
        let mut step = |node: &Node<'_>, entry: &Entry<'_>| {
            let is_in = (range.start..=range.end).contains(&entry.id) && left > 0;
            if is_in {
                left -= 1;
                show(entry.id, self.fields_of(node, entry));
            }
            left > 0
        };
        if range.is_reverse {
            self.walk_back(stream, range, &mut step);
        } else {
            self.walk_on(stream, range, &mut step);
        }
        range.count - left
    }

    fn walk_on(
        &self,
        stream: &Stream,
        range: &Range,
        step: &mut dyn FnMut(&Node<'_>, &Entry<'_>) -> bool,
    ) {
        let first = self.node_up_to(stream, range.start);
        let mut position = first.or_else(|| self.node_from(stream, range.start));
        while let Some(node) = position.and_then(|position| self.stream_node(stream, position)) {
            for entry in node.entries() {
                if entry.id > range.end || !step(&node, &entry) {
                    return;
                }
            }
            position = node.first.next().and_then(|next| self.node_from(stream, next));
        }
    }

    fn walk_back(
        &self,
        stream: &Stream,
        range: &Range,
        step: &mut dyn FnMut(&Node<'_>, &Entry<'_>) -> bool,
    ) {
        let mut position = self.node_up_to(stream, range.end);
        while let Some(node) = position.and_then(|position| self.stream_node(stream, position)) {
            // Entries are read from the front: where each begins, with what is left from there.
            let mut places = [node.entries(); STREAM_NODE_ENTRIES_MAX];
            let (mut rest, mut count) = (node.entries(), 0);
            for place in &mut places {
                *place = rest;
                if rest.next().is_none() {
                    break;
                }
                count += 1;
            }
            for mut place in places.into_iter().take(count).rev() {
                let Some(entry) = place.next() else { return };
                if entry.id < range.start || !step(&node, &entry) {
                    return;
                }
            }
            position = node.first.previous().and_then(|before| self.node_up_to(stream, before));
        }
    }

    /// How many entries are in a part of a stream: whole nodes are only counted.
    pub(super) fn count_entries_of(&self, stream: &Stream, range: &Range) -> usize {
        let mut found = 0;
        let first = self.node_up_to(stream, range.start);
        let mut position = first.or_else(|| self.node_from(stream, range.start));
        while let Some(node) = position.and_then(|position| self.stream_node(stream, position)) {
            if node.first > range.end || found >= range.count {
                break;
            }
            let is_whole = node.first >= range.start && node.last <= range.end;
            let is_in = |entry: &Entry<'_>| (range.start..=range.end).contains(&entry.id);
            found += if is_whole { node.live } else { node.entries().filter(is_in).count() };
            position = node.first.next().and_then(|next| self.node_from(stream, next));
        }
        found.min(range.count)
    }

    /// Whether there is an entry of this id.
    pub(super) fn has_entry(&self, stream: &Stream, id: Id) -> bool {
        let node = self.node_up_to(stream, id).and_then(|at| self.stream_node(stream, at));
        node.is_some_and(|node| node.find(id).is_some())
    }

    /// The id of the first entry, and of the last.
    pub(super) fn ends(&self, stream: &Stream) -> Option<(Id, Id)> {
        let first = self.stream_node(stream, self.node_from(stream, Id::MIN)?)?;
        let last = self.stream_node(stream, stream.meta.tail)?;
        Some((first.entries().next()?.id, last.last))
    }
}

impl Cx<'_> {
    /// Finds a stream to read it.
    pub(super) fn read_stream(&mut self, key: &[u8]) -> Result<Option<Stream>> {
        Ok(self.read(key, Kind::Stream)?.and_then(|found| self.keys.stream(found)))
    }

    /// Finds a stream to change it.
    pub(super) fn change_stream(&mut self, key: &[u8]) -> Result<Option<Stream>> {
        let found = self.target(key, Kind::Stream)?.found;
        if let Some(found) = &found {
            self.keys.note_use(found.place);
            self.keys.reap();
        }
        Ok(found.and_then(|found| self.keys.stream(found)))
    }

    /// Makes an empty stream, which stays if nothing is added to it.
    pub(super) fn make_stream(&mut self, target: &mut Target<'_>) -> Result<Stream> {
        let Target { key, hash, kind, found } = *target;
        let deadline = found.map_or(NEVER, |found| found.head.deadline);
        let mut draft =
            Draft::of_object_with(key, hash, kind, META_BYTES, deadline, found)?.keeping();
        draft.objects = 2;
        let [_, root, _, nodes @ ..] = &mut draft.cells;
        *root = (root_class(), 1);
        *nodes = directory_cells(1);
        self.prepare_target(target, &mut draft)?;
        let [_, (class, _), ..] = draft.cells;
        let Keyspace { arena, objects, .. } = &mut *self.keys;
        let id = objects.add(kind).ok_or(Error::OutOfMemory)?;
        // To the directory and to whoever takes it apart a map is a string: pages without
        // references.
        let map = objects.add(Kind::String);
        let object = map.and_then(|map| objects.get_mut(map).zip(Some(map)));
        let is_grown = object.is_some_and(|(object, map)| object.grow(arena, map, 1).is_some());
        if let Some(object) = objects.get_mut(id) {
            object.tree = map.unwrap_or_default();
        }
        let root = map.and_then(|map| self.keys.add_map_root(map, class)).filter(|()| is_grown);
        if root.is_none() {
            self.keys.release(id);
            return Err(Error::OutOfMemory);
        }
        let mut stored = [0; size_of::<ObjectId>() + META_BYTES];
        bytes::copy(&mut stored, &id.0.to_le_bytes());
        let put = self.keys.put(&draft, &mut &stored[..]);
        if put.is_err() {
            self.keys.release(id);
        }
        let found = put?;
        target.found = Some(found);
        self.keys.stream(found).ok_or(Error::OutOfMemory)
    }

    /// Gives a stream the maps that groups need.
    pub(super) fn make_group_maps(&mut self, stream: &mut Stream) -> Result<()> {
        while stream.pending == ObjectId::NONE {
            let last = if stream.members == ObjectId::NONE { stream.nodes } else { stream.members };
            let [a, b, c] = directory_cells(1);
            let mut cells = [(root_class(), 1), a, b, c];
            self.make_room_beside(&mut stream.found, &mut cells, 1, 1)?;
            let [(class, _), ..] = cells;
            let Keyspace { arena, objects, .. } = &mut *self.keys;
            let map = objects.add(Kind::String).ok_or(Error::OutOfMemory)?;
            let object = objects.get_mut(map).ok_or(Error::OutOfMemory)?;
            let is_grown = object.grow(arena, map, 1).is_some();
            if self.keys.add_map_root(map, class).filter(|()| is_grown).is_none() {
                self.keys.release(map);
                return Err(Error::OutOfMemory);
            }
            let object = self.keys.objects.get_mut(last).ok_or(Error::OutOfMemory)?;
            object.tree = map;
            *(if last == stream.nodes { &mut stream.members } else { &mut stream.pending }) = map;
        }
        Ok(())
    }

    /// Adds an entry, whose id is above all others. A new node begins with it if it is to.
    pub(super) fn append_entry(
        &mut self,
        stream: &mut Stream,
        id: Id,
        texts: &[&[u8]],
        begins_node: bool,
    ) -> Result<()> {
        let mut source = EntrySource::new(texts);
        if source.len() <= STREAM_ENTRY_BYTES_MAX {
            return self.append_body(stream, id, texts, None, begins_node);
        }
        if source.len() > VALUE_BYTES_MAX {
            return Err(Error::EntryTooLong);
        }
        let mut cells = text_cells(source.len())?;
        self.make_room_beside(&mut stream.found, &mut cells, 2, 1)?;
        let (object, _) = self.keys.add_string(&mut source, &cells)?;
        let done = self.append_body(stream, id, texts, Some(object), begins_node);
        if done.is_err() {
            self.keys.release(object);
        }
        done
    }

    fn append_body(
        &mut self,
        stream: &mut Stream,
        id: Id,
        texts: &[&[u8]],
        apart: Option<ObjectId>,
        begins_node: bool,
    ) -> Result<()> {
        let node = self.keys.stream_node(stream, stream.meta.tail).filter(|_| !begins_node);
        let forms = self.keys.forms;
        let node = node.filter(|node| node.begun < forms.node_entries());
        let has_names = apart.is_none() && node.is_some_and(|node| node.has_names(texts));
        let body = match apart {
            Some(object) => Body::Apart(object),
            None if has_names => Body::Values(&[]),
            None => Body::Pairs(&[]),
        };
        let tail = node.map(|node| {
            let head = Head::new(&body, node.last, id);
            let len = head.as_bytes().len() + body_len(&body, texts);
            (head, node.bytes.len(), len)
        });
        let bytes_max = PAGE_BYTES.min(START + forms.node_bytes());
        match tail.filter(|(_, used, len)| START + used + len <= bytes_max) {
            Some((head, used, len)) => {
                self.widen_tail(stream, START + used + len)?;
                let addr = self.keys.node_page(stream, stream.meta.tail);
                let cell = self.keys.arena.cell_mut(addr);
                let at = START + used;
                bytes::write_at(cell, at, head.as_bytes());
                write_body(cell, at + head.as_bytes().len(), &body, texts);
                if let Some(node) = Node::read(cell) {
                    let (begun, live) = (node.begun + 1, node.live + 1);
                    Node { bytes: &[], begun, live, last: id, ..node }.write(cell, used + len);
                }
            }
            None => self.begin_node(stream, id, texts, apart)?,
        }
        if let Some(object) = self.keys.objects.get_mut(stream.id) {
            object.len += 1;
        }
        stream.meta.last = id;
        stream.meta.added += 1;
        self.keys.save(stream);
        Ok(())
    }

    /// Gives the last node a cell for so many bytes.
    fn widen_tail(&mut self, stream: &mut Stream, bytes: usize) -> Result<()> {
        let tail = stream.meta.tail;
        if bytes <= self.keys.arena.cell(self.keys.node_page(stream, tail)).len() {
            return Ok(());
        }
        let mut cells = [(node_class(bytes), 1)];
        self.make_room_beside(&mut stream.found, &mut cells, 1, 0)?;
        let [(class, _)] = cells;
        self.keys.move_node(stream, tail, class).ok_or(Error::OutOfMemory)
    }

    /// Makes a node of an entry, which is the last one then.
    fn begin_node(
        &mut self,
        stream: &mut Stream,
        id: Id,
        texts: &[&[u8]],
        apart: Option<ObjectId>,
    ) -> Result<()> {
        self.keys.narrow_node(stream, stream.meta.tail, 1);
        let body = apart.map_or(Body::Values(&[]), Body::Apart);
        let names = if apart.is_some() { &[] } else { texts };
        let head = Head::new(&body, id, id);
        let names_len = count_len(names.len() / 2) + texts_len(names.iter().step_by(2));
        let used = names_len + head.as_bytes().len() + body_len(&body, texts);
        let (_, position) = self.keys.stream_len(stream);
        let key = id.to_bytes();
        let position_bytes = (position as u32).to_le_bytes();
        self.map_put(&mut stream.found, stream.nodes, &key, &position_bytes)?;
        let made = self.add_node(stream, position, START + used);
        let Ok(addr) = made else {
            self.keys.map_remove(stream.nodes, &key);
            return made.map(|_| ());
        };
        let cell = self.keys.arena.cell_mut(addr);
        Node { bytes: &[], begun: 1, live: 1, first: id, last: id }.write(cell, used);
        let at = write_count(cell, START, names.len() / 2);
        let at = write_texts(cell, at, names.iter().step_by(2));
        bytes::write_at(cell, at, head.as_bytes());
        write_body(cell, at + head.as_bytes().len(), &body, texts);
        stream.meta.tail = position as u32;
        Ok(())
    }

    /// Adds a page at the end.
    fn add_node(&mut self, stream: &mut Stream, position: usize, bytes: usize) -> Result<Addr> {
        let object = self.keys.objects.get(stream.id).ok_or(Error::OutOfMemory)?;
        let [a, b, c] = object.cells_for(&self.keys.arena, position + 1);
        let mut cells = [(node_class(bytes), 1), a, b, c];
        self.make_room_beside(&mut stream.found, &mut cells, 1, 0)?;
        let [(class, _), ..] = cells;
        let Keyspace { arena, objects, .. } = &mut *self.keys;
        let object = objects.get_mut(stream.id).ok_or(Error::OutOfMemory)?;
        object.grow(arena, stream.id, position + 1).ok_or(Error::OutOfMemory)?;
        let addr = arena.allocate(class).ok_or(Error::OutOfMemory)?;
        let head = PageHead { object: stream.id, level: 0, position: position as u32 };
        head.write(arena.cell_mut(addr));
        object.push(arena, addr);
        Ok(addr)
    }
}

impl Keyspace {
    /// Gives a node another cell, which is large enough.
    fn move_node(&mut self, stream: &Stream, position: u32, class: Class) -> Option<()> {
        let old = self.node_page(stream, position);
        let to = self.arena.allocate(class)?;
        let len = START + Node::read(self.arena.cell(old))?.bytes.len();
        self.arena.copy_part((old, 0), (to, 0), len);
        let object = self.objects.get(stream.id)?;
        object.set(&mut self.arena, 0, position as usize, to);
        self.arena.free(old);
        Some(())
    }

    /// Gives a node that needs less than this fraction of its cell another, if there is one.
    fn narrow_node(&mut self, stream: &Stream, position: u32, divisor: usize) {
        let cell = self.arena.cell(self.node_page(stream, position));
        let Some(node) = Node::read(cell) else { return };
        let class = Class::fitting(START + node.bytes.len());
        if class.bytes() < cell.len() / divisor && self.has_room(&[(class, 1)]) {
            self.move_node(stream, position, class);
        }
    }

    /// Takes an entry out. Whether it was there.
    pub(super) fn remove_stream_entry(&mut self, stream: &mut Stream, id: Id) -> bool {
        let Some(position) = self.node_up_to(stream, id) else { return false };
        let Some(node) = self.stream_node(stream, position) else { return false };
        let Some(entry) = node.find(id) else { return false };
        if node.live == 1 {
            self.remove_node(stream, position);
            return true;
        }
        let last = if node.last == id { entry.previous } else { node.last };
        let Entry { start, end, previous, .. } = entry;
        self.cut_entries(stream, position, (start, end), previous, 1, last);
        true
    }

    /// Takes entries of a node out, of which so many bytes are; not all of them. The entry behind
    /// them has another before it then.
    fn cut_entries(
        &mut self,
        stream: &Stream,
        position: u32,
        (start, end): (usize, usize),
        previous: Id,
        count: usize,
        last: Id,
    ) {
        let Some(node) = self.stream_node(stream, position) else { return };
        let (begun, live, first) = (node.begun, node.live - count, node.first);
        let used = node.bytes.len();
        let mut entries = node.entries();
        let mut next = None;
        let mut apart = [ObjectId::NONE; STREAM_NODE_ENTRIES_MAX];
        let mut free = apart.iter_mut();
        for entry in entries.by_ref() {
            if entry.start >= end {
                next = Some((Head::new(&entry.body, previous, entry.id), entry.body_at));
                break;
            }
            if let (Body::Apart(id), true) = (entry.body, entry.start >= start)
                && let Some(place) = free.next()
            {
                *place = id;
            }
        }
        let addr = self.node_page(stream, position);
        let cell = self.arena.cell_mut(addr);
        let (mut new_used, mut rest_at) = (start, end);
        if let Some((head, body_at)) = &next {
            bytes::write_at(cell, START + start, head.as_bytes());
            new_used += head.as_bytes().len();
            rest_at = *body_at;
        }
        let rest = START + rest_at..START + used;
        if rest.end <= cell.len() {
            cell.copy_within(rest, START + new_used);
        }
        Node { bytes: &[], begun, live, first, last }.write(cell, new_used + used - rest_at);
        if let Some(object) = self.objects.get_mut(stream.id) {
            object.len -= count;
        }
        let names_objects = |id: &ObjectId| *id != ObjectId::NONE;
        apart.into_iter().filter(names_objects).for_each(|id| self.release(id));
        self.narrow_node(stream, position, 2);
    }

    /// Takes a node out with its entries.
    fn remove_node(&mut self, stream: &mut Stream, position: u32) {
        let addr = self.node_page(stream, position);
        let Some(node) = Node::read(self.arena.cell(addr)) else { return };
        let (first, live) = (node.first, node.live);
        self.bury_entries(addr);
        self.arena.free(addr);
        self.map_remove(stream.nodes, &first.to_bytes());
        let Some(object) = self.objects.get_mut(stream.id) else { return };
        object.len -= live;
        let last = object.pages - 1;
        if position != last {
            // The last page takes its place.
            let moved = object.page(&self.arena, last as usize);
            object.set(&mut self.arena, 0, position as usize, moved);
            let cell = self.arena.cell_mut(moved);
            PageHead { object: stream.id, level: 0, position }.write(cell);
            let first = Node::read(cell).map_or(Id::MIN, |node| node.first);
            self.map_change(stream.nodes, &first.to_bytes(), |value| {
                bytes::copy(value, &position.to_le_bytes());
            });
        }
        let Keyspace { arena, objects, .. } = self;
        if let Some(object) = objects.get_mut(stream.id) {
            object.pop(arena);
        }
        let tail = self.node_up_to(stream, Id::MAX);
        stream.meta.tail = tail.unwrap_or_default();
        self.save(stream);
    }

    /// Notes that nobody names the objects any more that entries of a node stand in.
    pub(crate) fn bury_entries(&mut self, addr: Addr) {
        let mut skipped = 0;
        loop {
            let node = Node::read(self.arena.cell(addr));
            let bodies = node.iter().flat_map(|node| node.entries()).map(|entry| entry.body);
            let mut apart = bodies.filter_map(|body| match body {
                Body::Apart(id) => Some(id),
                _ => None,
            });
            let Some(id) = apart.nth(skipped) else { return };
            self.objects.bury(id);
            skipped += 1;
        }
    }

    /// Takes entries out at the front. How many went.
    pub(super) fn trim_stream(&mut self, stream: &mut Stream, trim: &Trim) -> usize {
        let mut removed = 0;
        loop {
            let (len, _) = self.stream_len(stream);
            let Some(position) = self.node_from(stream, Id::MIN) else { return removed };
            let Some(node) = self.stream_node(stream, position) else { return removed };
            let live = node.live;
            if trim.limit.is_some_and(|limit| removed + live > limit) {
                return removed;
            }
            let goes = match trim.keep {
                Keep::Len(wanted) if len <= wanted => return removed,
                Keep::Len(wanted) => len - live >= wanted,
                Keep::From(id) => node.last < id,
            };
            if goes {
                self.remove_node(stream, position);
                removed += live;
                continue;
            }
            if trim.is_rough {
                return removed;
            }
            let mut count = 0;
            let mut entries = node.entries();
            let start = entries.at;
            let kept = entries.find(|entry| {
                let is_kept = match trim.keep {
                    Keep::Len(wanted) => len - count <= wanted,
                    Keep::From(id) => entry.id >= id,
                };
                count += usize::from(!is_kept);
                is_kept
            });
            let (first, last) = (node.first, node.last);
            if let Some(kept) = kept.map(|entry| entry.start).filter(|_| count > 0) {
                self.cut_entries(stream, position, (start, kept), first, count, last);
            }
            return removed + count;
        }
    }
}

/// The class of a node of so many bytes, with some to grow into.
fn node_class(bytes: usize) -> Class {
    Class::fitting((bytes + bytes / SLACK_DIVISOR).min(PAGE_BYTES))
}

fn count_len(count: usize) -> usize {
    write_count(&mut [], 0, count)
}

fn body_len(body: &Body<'_>, texts: &[&[u8]]) -> usize {
    match body {
        Body::Values(_) => texts_len(texts.iter().skip(1).step_by(2)),
        Body::Pairs(_) => count_len(texts.len() / 2) + texts_len(texts.iter()),
        Body::Apart(_) => size_of::<ObjectId>(),
    }
}

fn write_body(cell: &mut [u8], at: usize, body: &Body<'_>, texts: &[&[u8]]) {
    match body {
        Body::Values(_) => {
            write_texts(cell, at, texts.iter().skip(1).step_by(2));
        }
        Body::Pairs(_) => {
            let at = write_count(cell, at, texts.len() / 2);
            write_texts(cell, at, texts.iter());
        }
        Body::Apart(id) => bytes::write_at(cell, at, &id.0.to_le_bytes()),
    }
}
