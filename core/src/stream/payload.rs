//! Streams in the format of Redis's RDB files, as DUMP and RESTORE carry them.
//!
//! Written is the form of Redis 7.0 (number 19); read are that, the one before (15) and the one
//! after (21). A node is a listpack: how many entries there are, how many deleted ones are still
//! there, the names of the first one's fields, then the entries.
//!
//! Source of the format: `rdb.c` and `t_stream.c` of Redis 7.
//!
//! Not here: the frame (dump.rs), and what is common to all values (rdb.rs).

use alloc::vec::Vec;

use super::entries::Stream;
use super::fields::Text;
use super::id::{ID_BYTES, Id};
use super::ledger::{PENDING, Pending, UNKNOWN_READ, entry_key};
use super::node::{Body, Node};
use crate::bytes;
use crate::error::{Error, Result};
use crate::keyspace::{Cx, Found, Keyspace, Millis};
use crate::num::parse_integer;
use crate::rdb::{self, Put, Reader, each_of_listpack, put_number};
use crate::table::Target;
use crate::value::Value;

const DELETED: i64 = 1;
const SAME_FIELDS: i64 = 2;
/// Elements of an entry beside its strings: flags, two differences, and their number itself.
const ENTRY_ELEMENTS: i64 = 3;
/// A form that says what was deleted and added, and how far groups are; one that says when
/// consumers were active.
const FORM_WITH_COUNTS: u8 = 19;
const FORM_WITH_ACTIVITY: u8 = 21;
const BAD: Error = Error::BadPayload;

fn put_id(put: Put<'_>, id: Id) {
    put_number(put, id.ms);
    put_number(put, id.seq);
}

fn put_string(put: Put<'_>, text: &[u8]) {
    put_number(put, text.len() as u64);
    put(text);
}

/// What is written of listpacks, and how many elements that were.
struct Listpack<'f> {
    put: Put<'f>,
    elements: usize,
}

impl Listpack<'_> {
    fn integer(&mut self, number: i64) {
        let le = number.to_le_bytes();
        let low = le.first().copied().unwrap_or_default();
        let (head, len): (u8, usize) = match number {
            0..=127 => (low, 0),
            -4096..=4095 => {
                (self.put)(&[0xc0 | (number >> 8) as u8 & 0x1f, low]);
                return self.end(2);
            }
            -0x8000..=0x7fff => (0xf1, 2),
            -0x80_0000..=0x7f_ffff => (0xf2, 3),
            -0x8000_0000..=0x7fff_ffff => (0xf3, 4),
            _ => (0xf4, 8),
        };
        (self.put)(&[head]);
        (self.put)(le.get(..len).unwrap_or_default());
        self.end(1 + len);
    }

    fn text(&mut self, text: &Text<'_>) {
        match text {
            Text::Number(number) => self.integer(*number),
            Text::Bytes(value) => self.string(*value),
        }
    }

    fn string(&mut self, value: Value<'_>) {
        if let Some(number) = value.as_slice().and_then(parse_integer) {
            return self.integer(number);
        }
        let len = value.len();
        let [a, b, c, d] = (len as u32).to_le_bytes();
        let head: &[u8] = match len {
            0..64 => &[0x80 | a],
            64..4096 => &[0xe0 | b, a],
            _ => &[0xf0, a, b, c, d],
        };
        (self.put)(head);
        value.parts().for_each(|part| (self.put)(part));
        self.end(head.len() + len);
    }

    /// Behind an element stands its length, seven bits a byte, the highest first.
    fn end(&mut self, len: usize) {
        let count = rdb::back_length_bytes(len);
        for position in (0..count).rev() {
            let mark = if position + 1 < count { 0x80 } else { 0 };
            (self.put)(&[(len >> (7 * position)) as u8 & 0x7f | mark]);
        }
        self.elements += 1;
    }
}

impl Cx<'_> {
    /// Writes a stream, behind the number of its form.
    pub(crate) fn write_stream(&self, found: &Found, put: Put<'_>) {
        let Some(stream) = self.keys.stream(*found) else { return };
        let (len, nodes) = self.keys.stream_len(&stream);
        put_number(put, nodes as u64);
        let mut position = self.keys.node_from(&stream, Id::MIN);
        while let Some(node) = position.and_then(|at| self.keys.stream_node(&stream, at)) {
            put_string(put, &node.first.to_bytes());
            let (mut bytes, mut elements) = (0, 0);
            self.keys.write_node(&node, &mut |part| bytes += part.len(), &mut elements);
            let total = 4 + 2 + bytes + 1;
            put_number(put, total as u64);
            put(&(total as u32).to_le_bytes());
            put(&u16::try_from(elements).unwrap_or(u16::MAX).to_le_bytes());
            self.keys.write_node(&node, put, &mut elements);
            put(&[0xff]);
            position = node.first.next().and_then(|next| self.keys.node_from(&stream, next));
        }
        put_number(put, len as u64);
        put_id(put, stream.meta.last);
        put_id(put, self.keys.ends(&stream).map_or(Id::MIN, |(first, _)| first));
        put_id(put, stream.meta.max_deleted);
        put_number(put, stream.meta.added);
        let mut groups = 0;
        self.keys.each_group(&stream, &mut |_, _| groups += 1);
        put_number(put, groups);
        self.write_groups(&stream, put);
    }

    fn write_groups(&self, stream: &Stream, put: Put<'_>) {
        self.keys.each_group(stream, &mut |name, group| {
            put_string(put, name);
            put_id(put, group.last);
            put_number(put, group.entries_read as u64);
            put_number(put, group.pending);
            self.keys.each_pending(stream, group, Id::MIN, &mut |id, pending| {
                put(&id.to_bytes());
                put(&pending.time.to_le_bytes());
                put_number(put, pending.count);
                true
            });
            put_number(put, group.consumers);
            self.keys.each_consumer(stream, group, &mut |name, number, consumer| {
                put_string(put, name);
                put(&consumer.seen.to_le_bytes());
                put_number(put, consumer.pending);
                self.keys.each_owned(stream, number, Id::MIN, &mut |id| {
                    put(&id.to_bytes());
                    true
                });
            });
        });
    }
}

impl Keyspace {
    /// Writes the elements of a node, and counts them.
    fn write_node(&self, node: &Node<'_>, put: Put<'_>, elements: &mut usize) {
        let mut out = Listpack { put, elements: 0 };
        let (names, texts) = node.names();
        out.integer(node.live as i64);
        out.integer(0);
        out.integer(names as i64);
        texts.take(names).for_each(|name| out.text(&name));
        out.integer(0);
        for entry in node.entries() {
            let is_same = matches!(entry.body, Body::Values(_));
            let fields = self.fields_of(node, &entry);
            let count = fields.left as i64;
            out.integer(if is_same { SAME_FIELDS } else { 0 });
            out.integer(entry.id.ms.wrapping_sub(node.first.ms) as i64);
            out.integer(entry.id.seq.wrapping_sub(node.first.seq) as i64);
            if !is_same {
                out.integer(count);
            }
            for (name, value) in fields {
                if !is_same {
                    out.text(&name);
                }
                out.text(&value);
            }
            out.integer(ENTRY_ELEMENTS + if is_same { count } else { 2 * count + 1 });
        }
        *elements = out.elements;
    }
}

impl Cx<'_> {
    /// Fills a stream of no key with what a payload of this form has.
    pub(crate) fn read_stream_payload(
        &mut self,
        target: &mut Target<'_>,
        form: u8,
        reader: &mut Reader<'_>,
    ) -> Result<()> {
        let mut stream = self.make_stream(target)?;
        let read = self.read_all(&mut stream, form, reader);
        target.found = Some(stream.found);
        read
    }

    fn read_all(&mut self, stream: &mut Stream, form: u8, reader: &mut Reader<'_>) -> Result<()> {
        for _ in 0..reader.count()? {
            reader.mark();
            let first = self.payload_text(stream, reader)?;
            let first: &[u8; ID_BYTES] = first.as_slice(reader).try_into().map_err(|_| BAD)?;
            let first = Id::from_bytes(*first);
            let blob = self.payload_text(stream, reader)?;
            let mut node = NodeReader::new(first);
            each_of_listpack(blob.as_slice(reader), &mut |text| node.take(self, stream, text))?;
            node.finish()?;
        }
        let (len, _) = self.keys.stream_len(stream);
        let told = reader.count()?;
        let last = read_id(reader)?;
        if told != len as u64 || last < stream.meta.last {
            return Err(BAD);
        }
        stream.meta.last = last;
        if form >= FORM_WITH_COUNTS {
            // The first id is known.
            read_id(reader)?;
            stream.meta.max_deleted = read_id(reader)?;
            stream.meta.added = reader.count()?;
        }
        if stream.meta.added < told {
            return Err(BAD);
        }
        self.keys.save(stream);
        for _ in 0..reader.count()? {
            self.read_group_payload(stream, reader, form)?;
        }
        Ok(())
    }

    /// A string of a payload. Unpacking it may take room, and move the record of the stream.
    fn payload_text(&mut self, stream: &mut Stream, reader: &mut Reader<'_>) -> Result<rdb::Text> {
        let found = &mut stream.found;
        reader.text(&mut |bytes| self.pinning(found, |cx| cx.lend_bytes(bytes)))
    }

    fn read_group_payload(
        &mut self,
        stream: &mut Stream,
        reader: &mut Reader<'_>,
        form: u8,
    ) -> Result<()> {
        reader.mark();
        let name = self.payload_text(stream, reader)?;
        let last = read_id(reader)?;
        let entries_read = match form {
            FORM_WITH_COUNTS.. => reader.count()? as i64,
            _ => self.keys.entries_up_to(stream, last).unwrap_or(UNKNOWN_READ),
        };
        // It is needed longer than the window has it.
        let name = rdb::copied(name.as_slice(reader))?;
        if self.keys.group(stream, &name).is_some() || entries_read < UNKNOWN_READ {
            return Err(BAD);
        }
        let mut named = self.add_group(stream, &name, last, entries_read)?;
        // Whose an entry is stands behind all of them: until then it is nobody's.
        for _ in 0..reader.count()? {
            reader.mark();
            let id = Id::from_bytes(reader.array()?);
            let time = Millis::from_le_bytes(reader.array()?);
            let pending = Pending { consumer: 0, time, count: reader.count()? };
            let (value, len) = pending.write();
            let value = value.get(..len).ok_or(BAD)?;
            let key = entry_key(PENDING, named.group.number, id);
            if !self.map_put(&mut stream.found, stream.pending, &key, value)? {
                return Err(BAD);
            }
            named.group.pending += 1;
        }
        let mut owned = 0;
        for _ in 0..reader.count()? {
            reader.mark();
            let name = self.payload_text(stream, reader)?;
            let seen = Millis::from_le_bytes(reader.array()?);
            if form >= FORM_WITH_ACTIVITY {
                reader.array::<8>()?;
            }
            let name = name.as_slice(reader);
            if self.keys.consumer(stream, &named.group, name).is_some() {
                return Err(BAD);
            }
            let consumer = self.add_consumer(stream, &mut named, name, seen)?;
            let mut count = 0;
            for _ in 0..reader.count()? {
                reader.mark();
                let id = Id::from_bytes(reader.array()?);
                let pending = self.keys.pending(stream, &named.group, id);
                let pending = pending.filter(|pending| pending.consumer == 0).ok_or(BAD)?;
                self.give(stream, &mut named, id, Pending { consumer, ..pending })?;
                count += 1;
            }
            self.keys.save_given(stream, &named, consumer, count);
            owned += count;
        }
        self.keys.save_group(stream, &named);
        if owned == named.group.pending { Ok(()) } else { Err(BAD) }
    }
}

fn read_id(reader: &mut Reader<'_>) -> Result<Id> {
    Ok(Id { ms: reader.count()?, seq: reader.count()? })
}

/// What the next element of a node is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    Live,
    Deleted,
    Names,
    Name,
    Zero,
    Flags,
    Ms,
    Seq,
    Fields,
    Text,
    Elements,
}

/// Strings one behind the other, without a length.
#[derive(Default)]
struct Pile {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Pile {
    fn push(&mut self, text: &[u8]) -> Result<()> {
        self.bytes.try_reserve(text.len()).map_err(|_| Error::OutOfMemory)?;
        self.ends.try_reserve(1).map_err(|_| Error::OutOfMemory)?;
        self.bytes.extend_from_slice(text);
        self.ends.push(self.bytes.len());
        Ok(())
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    fn texts(&self) -> impl Iterator<Item = &[u8]> {
        let starts = core::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, &end)| bytes::part(&self.bytes, start..end))
    }
}

/// Reads a node, element by element, and adds its entries to a stream.
struct NodeReader {
    first: Id,
    next: Next,
    /// Entries that are still to come, and those of them that are deleted.
    live: i64,
    deleted: i64,
    names: Pile,
    /// What is still to come of names, or of strings of the entry.
    left: i64,
    flags: i64,
    id: Id,
    texts: Pile,
    begins_node: bool,
}

impl NodeReader {
    fn new(first: Id) -> NodeReader {
        NodeReader {
            first,
            next: Next::Live,
            live: 0,
            deleted: 0,
            names: Pile::default(),
            left: 0,
            flags: 0,
            id: first,
            texts: Pile::default(),
            begins_node: true,
        }
    }

    fn finish(&self) -> Result<()> {
        let is_done = self.next == Next::Flags && self.live == 0 && self.deleted == 0;
        if is_done && !self.begins_node { Ok(()) } else { Err(BAD) }
    }

    fn take(&mut self, cx: &mut Cx<'_>, stream: &mut Stream, text: &[u8]) -> Result<()> {
        if self.next == Next::Name || self.next == Next::Text {
            return self.take_text(text);
        }
        let number = parse_integer(text).ok_or(BAD)?;
        let is_same = self.flags & SAME_FIELDS != 0;
        self.next = match self.next {
            Next::Live => {
                self.live = number;
                Next::Deleted
            }
            Next::Deleted => {
                self.deleted = number;
                Next::Names
            }
            Next::Names => {
                self.left = number;
                if number > 0 { Next::Name } else { Next::Zero }
            }
            Next::Zero if number == 0 => Next::Flags,
            Next::Flags => {
                self.flags = number;
                Next::Ms
            }
            Next::Ms => {
                self.id.ms = self.first.ms.wrapping_add(number as u64);
                Next::Seq
            }
            Next::Seq => {
                self.id.seq = self.first.seq.wrapping_add(number as u64);
                self.left = self.names.ends.len() as i64;
                if is_same { Next::Text } else { Next::Fields }
            }
            Next::Fields => {
                self.left = number.checked_mul(2).ok_or(BAD)?;
                Next::Text
            }
            Next::Elements => {
                let texts = self.texts.ends.len() as i64;
                if number != ENTRY_ELEMENTS + texts + i64::from(!is_same) {
                    return Err(BAD);
                }
                self.add_entry(cx, stream)?;
                Next::Flags
            }
            _ => return Err(BAD),
        };
        let is_text = self.next == Next::Text || self.next == Next::Name;
        if is_text && self.left <= 0 { Err(BAD) } else { Ok(()) }
    }

    fn take_text(&mut self, text: &[u8]) -> Result<()> {
        let is_name = self.next == Next::Name;
        if is_name { &mut self.names } else { &mut self.texts }.push(text)?;
        self.left -= 1;
        if self.left == 0 {
            self.next = if is_name { Next::Zero } else { Next::Elements };
        }
        Ok(())
    }

    fn add_entry(&mut self, cx: &mut Cx<'_>, stream: &mut Stream) -> Result<()> {
        if self.flags & DELETED != 0 {
            self.deleted -= 1;
            self.texts.clear();
            return Ok(());
        }
        self.live -= 1;
        if self.id <= stream.meta.last {
            return Err(BAD);
        }
        let mut texts: Vec<&[u8]> = Vec::new();
        let names = self.names.ends.len();
        let wanted = names.saturating_add(self.texts.ends.len());
        texts.try_reserve_exact(wanted).map_err(|_| Error::OutOfMemory)?;
        if self.flags & SAME_FIELDS != 0 {
            let pairs = self.names.texts().zip(self.texts.texts());
            texts.extend(pairs.flat_map(|(name, value)| [name, value]));
        } else {
            texts.extend(self.texts.texts());
        }
        cx.append_entry(stream, self.id, &texts, self.begins_node)?;
        self.begins_node = false;
        self.texts.clear();
        Ok(())
    }
}
