//! Nodes: pages on which entries stand one behind the other, in the order of their ids.
//!
//! Behind the head of a page stand how many bytes are used, how many entries there ever were and
//! how many are left, the id that the first was given, and the last id. Then the names of the
//! first entry's fields, and the entries: `flags | milliseconds since the entry before | number |
//! fields`. What the flags tell is left out: the same millisecond, the number that comes next, the
//! names of the first entry. An entry that is long stands in an object of its own.
//!
//! Not here: which entries stand where (entries.rs).

use super::fields::{
    Fields, Text, Texts, VARINT_BYTES_MAX, Written, read_varint, text_end, varint,
};
use super::id::Id;
use crate::bytes;
use crate::keyspace::Keyspace;
use crate::object::ObjectId;
use crate::packed::Item;
use crate::record::PAGE_HEAD_BYTES;

const USED_AT: usize = PAGE_HEAD_BYTES;
const FIRST_AT: usize = USED_AT + 6;
const LAST_AT: usize = FIRST_AT + 16;
pub(super) const START: usize = LAST_AT + 16;

/// What an entry's first byte says: names are those of the first entry; it stands in an object;
/// its time is that of the entry before; its number is the next one, or zero at another time.
const SAME_FIELDS: u8 = 1;
const APART: u8 = 1 << 1;
const SAME_MS: u8 = 1 << 2;
const NEXT_SEQ: u8 = 1 << 3;

const OBJECT_BYTES: usize = size_of::<ObjectId>();

/// A node, as its page says.
#[derive(Clone, Copy)]
pub(super) struct Node<'a> {
    /// What is used of the page behind its head.
    pub(super) bytes: &'a [u8],
    /// Entries that it ever had, and those that are left.
    pub(super) begun: usize,
    pub(super) live: usize,
    /// The id that its first entry had when it was made, by which it is found.
    pub(super) first: Id,
    /// The id of the last entry that is left.
    pub(super) last: Id,
}

/// What belongs to an entry.
#[derive(Clone, Copy)]
pub(super) enum Body<'a> {
    /// Values of the fields that the node names.
    Values(&'a [u8]),
    /// A number of fields, then names and values.
    Pairs(&'a [u8]),
    /// The same in an object.
    Apart(ObjectId),
}

#[derive(Clone, Copy)]
pub(super) struct Entry<'a> {
    pub(super) start: usize,
    /// Where its body begins.
    pub(super) body_at: usize,
    pub(super) end: usize,
    pub(super) id: Id,
    /// The id of the entry before.
    pub(super) previous: Id,
    pub(super) body: Body<'a>,
}

/// The flags of an entry and its id, as they stand in front of its body.
#[derive(Clone, Copy)]
pub(super) struct Head {
    bytes: [u8; 1 + 2 * VARINT_BYTES_MAX],
    len: usize,
}

impl Head {
    pub(super) fn new(body: &Body<'_>, previous: Id, id: Id) -> Head {
        let mut flags = match body {
            Body::Values(_) => SAME_FIELDS,
            Body::Pairs(_) => 0,
            Body::Apart(_) => APART,
        };
        let mut head = Head { bytes: [0; _], len: 1 };
        let is_same = id.ms == previous.ms;
        if is_same {
            flags |= SAME_MS;
        } else {
            head.push(id.ms - previous.ms);
        }
        let is_next = id.seq == if is_same { previous.seq.wrapping_add(1) } else { 0 };
        if is_next {
            flags |= NEXT_SEQ;
        } else {
            head.push(if is_same { id.seq - previous.seq } else { id.seq });
        }
        bytes::copy(&mut head.bytes, &[flags]);
        head
    }

    fn push(&mut self, number: u64) {
        let (part, len) = varint(number);
        bytes::write_at(&mut self.bytes, self.len, part.get(..len).unwrap_or_default());
        self.len += len;
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

impl<'a> Node<'a> {
    #[inline]
    pub(super) fn read(cell: &'a [u8]) -> Option<Node<'a>> {
        let head = cell.get(USED_AT..START)?;
        let short = |at: usize| {
            let bytes = head.get(at..).and_then(<[u8]>::first_chunk);
            bytes.map_or(0, |bytes| usize::from(u16::from_le_bytes(*bytes)))
        };
        let id = |at: usize| {
            let bytes = head.get(at - USED_AT..).and_then(<[u8]>::first_chunk);
            bytes.map_or(Id::MIN, |bytes| Id::from_bytes(*bytes))
        };
        Some(Node {
            bytes: cell.get(START..START + short(0))?,
            begun: short(2),
            live: short(4),
            first: id(FIRST_AT),
            last: id(LAST_AT),
        })
    }

    /// Writes all of it but the entries.
    pub(super) fn write(&self, cell: &mut [u8], used: usize) {
        for (position, number) in [used, self.begun, self.live].into_iter().enumerate() {
            bytes::write_at(cell, USED_AT + 2 * position, &(number as u16).to_le_bytes());
        }
        bytes::write_at(cell, FIRST_AT, &self.first.to_bytes());
        bytes::write_at(cell, LAST_AT, &self.last.to_bytes());
    }

    /// The names of the first entry's fields, and how many there are.
    pub(super) fn names(&self) -> (usize, Texts<'a>) {
        Texts::counted(self.bytes.into())
    }

    /// Whether these are the names of an entry's fields.
    pub(super) fn has_names(&self, texts: &[&[u8]]) -> bool {
        let (count, mut names) = self.names();
        let mut given = texts.iter().step_by(2);
        2 * count == texts.len()
            && given.all(|text| {
                let is_it = |name: Text<'_>| {
                    name.show(|name| name.as_slice().is_some_and(|name| name == *text))
                };
                names.next().is_some_and(is_it)
            })
    }

    /// The entries, in order.
    #[inline]
    pub(super) fn entries(&self) -> Entries<'a> {
        let (names, len) = read_varint(self.bytes).unwrap_or_default();
        let names = names as usize;
        let at = (0..names).try_fold(len, |at, _| text_end(self.bytes, at));
        let at = at.unwrap_or(self.bytes.len());
        Entries { bytes: self.bytes, at, previous: self.first, names }
    }

    /// The entry of an id.
    pub(super) fn find(&self, id: Id) -> Option<Entry<'a>> {
        self.entries().find(|entry| entry.id >= id).filter(|entry| entry.id == id)
    }
}

/// The entries of a node from one on.
#[derive(Clone, Copy)]
pub(super) struct Entries<'a> {
    bytes: &'a [u8],
    pub(super) at: usize,
    pub(super) previous: Id,
    names: usize,
}

impl<'a> Iterator for Entries<'a> {
    type Item = Entry<'a>;

    #[inline]
    fn next(&mut self) -> Option<Entry<'a>> {
        let (start, previous) = (self.at, self.previous);
        let flags = *self.bytes.get(start)?;
        let mut at = start + 1;
        let mut number = || {
            let (number, len) = read_varint(self.bytes.get(at..)?)?;
            at += len;
            Some(number)
        };
        let is_same = flags & SAME_MS != 0;
        let ms = if is_same { previous.ms } else { previous.ms.wrapping_add(number()?) };
        let seq = match (flags & NEXT_SEQ != 0, is_same) {
            (true, true) => previous.seq.wrapping_add(1),
            (true, false) => 0,
            (false, true) => previous.seq.wrapping_add(number()?),
            (false, false) => number()?,
        };
        let body_at = at;
        let (body, end) = if flags & APART != 0 {
            let number = self.bytes.get(at..)?.first_chunk()?;
            (Body::Apart(ObjectId(u32::from_le_bytes(*number))), at + OBJECT_BYTES)
        } else if flags & SAME_FIELDS != 0 {
            let end = (0..self.names).try_fold(at, |at, _| text_end(self.bytes, at))?;
            (Body::Values(self.bytes.get(at..end)?), end)
        } else {
            let (count, len) = read_varint(self.bytes.get(at..)?)?;
            let mut texts = 0..count.checked_mul(2)?;
            let end = texts.try_fold(at + len, |at, _| text_end(self.bytes, at))?;
            (Body::Pairs(self.bytes.get(at..end)?), end)
        };
        let id = Id { ms, seq };
        (self.at, self.previous) = (end, id);
        Some(Entry { start, body_at, end, id, previous, body })
    }
}

impl Keyspace {
    /// The fields of an entry of a node.
    pub(super) fn fields_of<'a>(&'a self, node: &Node<'a>, entry: &Entry<'a>) -> Fields<'a> {
        let (left, texts) = match entry.body {
            Body::Values(bytes) => {
                let (left, names) = node.names();
                return Fields { names: Some(names), texts: Texts::new(bytes.into()), left };
            }
            Body::Pairs(bytes) => Texts::counted(bytes.into()),
            Body::Apart(id) => Texts::counted(self.text(Item::Apart(id))),
        };
        Fields { names: None, texts, left }
    }
}

/// Bytes of strings, one behind the other.
pub(super) fn texts_len<'a>(texts: impl Iterator<Item = &'a &'a [u8]>) -> usize {
    texts.map(|text| Written::new(text).len()).sum()
}

/// Writes strings one behind the other, and returns the place behind them.
pub(super) fn write_texts<'a>(
    target: &mut [u8],
    at: usize,
    texts: impl Iterator<Item = &'a &'a [u8]>,
) -> usize {
    texts.fold(at, |at, text| Written::new(text).write(target, at))
}

/// Writes a number at a place, and returns the place behind it.
pub(super) fn write_count(target: &mut [u8], at: usize, count: usize) -> usize {
    let (number, len) = varint(count as u64);
    bytes::write_at(target, at, number.get(..len).unwrap_or_default());
    at + len
}

/// Reads bytes as a node, for the fuzz target `records`: entries end within them.
#[cfg(fuzzing)]
pub(crate) fn decode(cell: &[u8]) {
    let Some(node) = Node::read(cell) else { return };
    for entry in node.entries() {
        assert!(entry.start < entry.body_at && entry.body_at <= entry.end);
        assert!(entry.end <= node.bytes.len());
        if let Body::Values(bytes) | Body::Pairs(bytes) = entry.body {
            Texts::new(bytes.into()).for_each(|text| text.show(|_| ()));
        }
    }
}
