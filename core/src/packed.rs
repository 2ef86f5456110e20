//! Packed entries: how the elements of a collection stand one behind the other, in a record or on
//! a page.
//!
//! An item is `length | bytes`, with a length of one byte up to 250, and of two behind a mark up
//! to 512; a longer string stands apart, as an object whose number the item holds. The entry of a
//! set is an item; of a hash two, and the field's deadline before them if it has one; of a sorted
//! set an item and the eight bytes of its score.
//!
//! Not here: which entries stand where (table/, list.rs).

use crate::bytes;
use crate::keyspace::Millis;
use crate::object::ObjectId;
use crate::record::{Kind, NEVER};

/// Longest string that stands among its fellows.
pub(crate) const ITEM_BYTES_MAX: usize = 512;

/// What the first byte of an item means when it is not its length.
const WIDE: u8 = 251;
/// Longest string whose length takes one byte.
pub(crate) const SHORT_BYTES_MAX: usize = WIDE as usize - 1;
const APART: u8 = 252;
const DEADLINE: u8 = 253;

const DEADLINE_BYTES: usize = 8;
pub(crate) const SCORE_BYTES: usize = 8;

/// A string in a collection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Item<'a> {
    /// It stands here.
    Here(&'a [u8]),
    /// It is an object of its own.
    Apart(ObjectId),
}

impl<'a> Item<'a> {
    /// The item at the front of `bytes`, and what is behind it.
    #[inline]
    pub(crate) fn read(bytes: &'a [u8]) -> Option<(Item<'a>, &'a [u8])> {
        let (&first, rest) = bytes.split_first()?;
        if first < WIDE {
            let (item, rest) = rest.split_at_checked(first.into())?;
            return Some((Item::Here(item), rest));
        }
        if first == WIDE {
            let (len, rest) = rest.split_first_chunk()?;
            let (item, rest) = rest.split_at_checked(u16::from_le_bytes(*len).into())?;
            return Some((Item::Here(item), rest));
        }
        let (number, rest) = rest.split_first_chunk()?;
        Some((Item::Apart(ObjectId(u32::from_le_bytes(*number))), rest))
    }
}

/// Where the item ends that begins at a place.
#[cfg(feature = "zset")]
#[inline]
pub(crate) fn item_end(bytes: &[u8], at: usize) -> Option<usize> {
    let first = *bytes.get(at)?;
    if first < WIDE {
        return Some(at + 1 + usize::from(first));
    }
    let (_, rest) = Item::read(bytes.get(at..)?)?;
    Some(bytes.len() - rest.len())
}

/// What is written of an item: its length or mark, then its bytes.
#[derive(Clone, Copy)]
pub(crate) struct Packed<'a> {
    head: [u8; 5],
    head_len: u8,
    bytes: &'a [u8],
}

impl<'a> Packed<'a> {
    pub(crate) const NOTHING: Packed<'static> = Packed { head: [0; 5], head_len: 0, bytes: &[] };

    #[inline]
    pub(crate) fn new(item: Item<'a>) -> Packed<'a> {
        match item {
            Item::Here(bytes) => {
                let [a, b] = (bytes.len() as u16).to_le_bytes();
                if bytes.len() < WIDE.into() {
                    Packed { head: [a, 0, 0, 0, 0], head_len: 1, bytes }
                } else {
                    Packed { head: [WIDE, a, b, 0, 0], head_len: 3, bytes }
                }
            }
            Item::Apart(ObjectId(number)) => {
                let [a, b, c, d] = number.to_le_bytes();
                Packed { head: [APART, a, b, c, d], head_len: 5, bytes: &[] }
            }
        }
    }

    /// Bytes as they are, without a length.
    pub(crate) fn raw(bytes: &'a [u8]) -> Packed<'a> {
        Packed { bytes, ..Packed::NOTHING }
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        usize::from(self.head_len) + self.bytes.len()
    }

    /// Whether what it names stands elsewhere.
    pub(crate) fn is_apart(&self) -> bool {
        self.head.starts_with(&[APART]) && self.head_len > 1
    }

    /// Writes it at a place in `target`, and returns the place behind it.
    pub(crate) fn write(&self, target: &mut [u8], at: usize) -> usize {
        let [first, ..] = self.head;
        if self.head_len == 1
            && let Some(place) = target.get_mut(at)
        {
            *place = first;
        } else if let Some(head) = self.head.get(..self.head_len.into()) {
            bytes::write_at(target, at, head);
        }
        if !self.bytes.is_empty() {
            bytes::write_at(target, at + usize::from(self.head_len), self.bytes);
        }
        at + self.len()
    }
}

/// The mark and the deadline that stand before a field which expires.
pub(crate) fn deadline_prefix(deadline: Millis) -> [u8; 1 + DEADLINE_BYTES] {
    let mut prefix = [DEADLINE; 1 + DEADLINE_BYTES];
    bytes::write_at(&mut prefix, 1, &deadline.to_le_bytes());
    prefix
}

/// An element of a hash, a set or a sorted set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry<'a> {
    /// Where it stands among its fellows, in bytes.
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// When the field expires, or `NEVER`.
    pub(crate) deadline: Millis,
    /// The field or the member.
    pub(crate) name: Item<'a>,
    /// The value of a field; the eight bytes of a score; of a set's member nothing.
    pub(crate) value: Item<'a>,
}

/// The entries in some bytes, in order.
#[derive(Clone)]
pub(crate) struct Entries<'a> {
    kind: Kind,
    rest: &'a [u8],
    len: usize,
}

impl<'a> Entries<'a> {
    pub(crate) fn new(kind: Kind, bytes: &'a [u8]) -> Entries<'a> {
        Entries { kind, rest: bytes, len: bytes.len() }
    }

    /// The bytes of those that are still to come.
    #[cfg(feature = "zset")]
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Those from a place on at which one begins.
    pub(crate) fn from(self, start: usize) -> Entries<'a> {
        Entries { rest: self.rest.get(start..).unwrap_or_default(), ..self }
    }
}

/// Looks for the entry with a short name among those in `entries` from a place on, which moves to
/// where it is: what is not it is passed over with as little reading as can be, and counted.
/// Whether it is there; `None` where there stands an entry that is out of the ordinary, from which
/// to look on by other means.
#[cfg_attr(not(target_arch = "wasm32"), inline(always))]
pub(crate) fn find_short(
    kind: Kind,
    entries: &[u8],
    name: &[u8],
    at: &mut usize,
    passed: &mut usize,
) -> Option<bool> {
    let score_bytes = if kind == Kind::SortedSet { SCORE_BYTES } else { 0 };
    while let Some(&len) = entries.get(*at) {
        if len >= WIDE {
            return None;
        }
        let mut end = *at + 1 + usize::from(len);
        if usize::from(len) == name.len()
            && let Some(other) = entries.get(*at + 1..end)
            && bytes::same(other, name)
        {
            return Some(true);
        }
        if kind == Kind::Hash {
            let len = *entries.get(end).filter(|&&len| len < WIDE)?;
            end += 1 + usize::from(len);
        }
        *passed += 1;
        *at = end + score_bytes;
    }
    Some(false)
}

impl<'a> Iterator for Entries<'a> {
    type Item = Entry<'a>;

    #[cfg_attr(not(target_arch = "wasm32"), inline(always))]
    #[cfg_attr(target_arch = "wasm32", inline)]
    fn next(&mut self) -> Option<Entry<'a>> {
        let start = self.len - self.rest.len();
        let mut rest = self.rest;
        let mut deadline = NEVER;
        if self.kind == Kind::Hash && rest.first() == Some(&DEADLINE) {
            let (prefix, behind) = rest.split_first_chunk::<{ 1 + DEADLINE_BYTES }>()?;
            let [_, bytes @ ..] = *prefix;
            deadline = Millis::from_le_bytes(bytes);
            rest = behind;
        }
        let (name, behind) = Item::read(rest)?;
        let (value, rest) = match self.kind {
            Kind::Hash => Item::read(behind)?,
            Kind::SortedSet => {
                let (score, behind) = behind.split_at_checked(SCORE_BYTES)?;
                (Item::Here(score), behind)
            }
            _ => (Item::Here(&[]), behind),
        };
        self.rest = rest;
        Some(Entry { start, end: self.len - rest.len(), deadline, name, value })
    }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, clippy::expect_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn items_are_read_as_they_were_written() {
        let long = vec![7; ITEM_BYTES_MAX];
        let items =
            [Item::Here(b""), Item::Here(b"ab"), Item::Here(&long), Item::Apart(ObjectId(70_000))];
        for len in [0, 1, 249, 250, 251, 252, 253, 254, 255, 256, ITEM_BYTES_MAX] {
            let mut target = [9; 3 * ITEM_BYTES_MAX];
            let first = Packed::new(Item::Here(&long[..len]));
            let middle = first.write(&mut target, 0);
            assert_eq!(middle, first.len());
            for item in items {
                let end = Packed::new(item).write(&mut target, middle);
                let (read, rest) = Item::read(&target).expect("an item");
                assert_eq!(read, Item::Here(&long[..len]));
                let (read, rest) = Item::read(rest).expect("another");
                assert_eq!(read, item);
                assert_eq!(rest.len(), target.len() - end);
            }
        }
    }

    #[test]
    fn what_is_cut_off_is_no_entry() {
        let mut bytes = deadline_prefix(12).to_vec();
        bytes.extend(*b"\x01f\x02vv");
        let entry = Entries::new(Kind::Hash, &bytes).next().expect("an entry");
        assert_eq!((entry.deadline, entry.start, entry.end), (12, 0, bytes.len()));
        assert_eq!((entry.name, entry.value), (Item::Here(b"f"), Item::Here(b"vv")));
        for end in 0..bytes.len() {
            assert!(Entries::new(Kind::Hash, &bytes[..end]).next().is_none());
        }
    }
}
