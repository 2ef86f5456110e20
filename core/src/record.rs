//! The bytes of a cell: the head of a record, and pages of large values.
//!
//! A record is `flags | key length | value length | deadline? | key | value`. Lengths take one
//! byte each when both fit, else two; a paged value's length takes four, and in place of the
//! value stands its directory, the addresses of its pages. A page is `flags | position | hash of
//! the owner's key | bytes`: with its owner's hash at hand it can be moved without asking anyone.
//!
//! Not here: where cells are (arena.rs) and what the bytes of a value mean.

use core::num::NonZeroU8;

use crate::arena::{Addr, PAGE_BYTES};
use crate::bytes;
use crate::keyspace::Millis;
use crate::limits::{KEY_BYTES_MAX, VALUE_BYTES_MAX};

/// What a cell holds: the low bits of its first byte. Zero is the arena's mark of a hole.
const KIND_MASK: u8 = 0b0000_0111;
const STRING: NonZeroU8 = NonZeroU8::MIN;
const PAGE: u8 = 7;

const WIDE: u8 = 1 << 3;
const VOLATILE: u8 = 1 << 4;
const ASCII: u8 = 1 << 5;
const PAGED: u8 = 1 << 6;

/// The deadline of a key that does not expire. No other is as early: they are all in the future.
pub(crate) const NEVER: Millis = 0;

const DEADLINE_BYTES: usize = 8;
const ADDR_BYTES: usize = 4;
const PAGE_HEAD_BYTES: usize = 12;

/// Bytes of a value that one page holds.
pub(crate) const PAGE_VALUE_BYTES: usize = PAGE_BYTES - PAGE_HEAD_BYTES;

/// The largest record must fit one cell, and a page's position its three bytes.
const _: () = {
    let pages = VALUE_BYTES_MAX.div_ceil(PAGE_VALUE_BYTES);
    let head = 1 + 2 + 4 + DEADLINE_BYTES;
    assert!(head + KEY_BYTES_MAX + pages * ADDR_BYTES <= crate::arena::SEGMENT_BYTES);
    assert!(pages < 1 << 24);
};

/// The head of a record: everything but the key and the value. It is small because the hot path
/// hands it around.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Head {
    /// When the key expires, or `NEVER`.
    pub(crate) deadline: Millis,
    value_len: u32,
    key_len: u16,
    key_start: u8,
    /// The first byte of the record.
    flags: NonZeroU8,
}

impl Head {
    /// The head of a record with these lengths, which are within the limits. It is in pages if it
    /// would be too long for one cell; that depends on the lengths alone (the deadline always
    /// counts), so that a new deadline never moves the value.
    pub(crate) fn new(key_len: usize, value_len: usize, deadline: Millis) -> Head {
        let record = 1 + 4 + DEADLINE_BYTES + key_len + value_len;
        let (flags, length_bytes) = if record > PAGE_BYTES && value_len > PAGE_VALUE_BYTES / 4 {
            (PAGED, 6)
        } else if key_len > u8::MAX.into() || value_len > u8::MAX.into() {
            (WIDE, 4)
        } else {
            (0, 2)
        };
        let (volatile, deadline_bytes) =
            if deadline == NEVER { (0, 0) } else { (VOLATILE, DEADLINE_BYTES) };
        Head {
            deadline,
            value_len: value_len as u32,
            key_len: key_len as u16,
            key_start: (1 + length_bytes + deadline_bytes) as u8,
            flags: STRING | flags | volatile,
        }
    }

    /// The same record with another deadline, or `NEVER`.
    pub(crate) fn with_deadline(&self, deadline: Millis) -> Head {
        let head = Head::new(self.key_len.into(), self.value_len(), deadline);
        head.with_ascii(self.is_ascii())
    }

    /// The same record whose value is ASCII, or not.
    pub(crate) fn with_ascii(self, is_ascii: bool) -> Head {
        let flag = if is_ascii { ASCII } else { 0 };
        let flags = NonZeroU8::new(self.flags.get() & !ASCII | flag).unwrap_or(STRING);
        Head { flags, ..self }
    }

    /// Whether the key expires.
    pub(crate) fn is_volatile(&self) -> bool {
        self.deadline != NEVER
    }

    pub(crate) fn value_len(&self) -> usize {
        self.value_len as usize
    }

    /// Whether no byte of the value is above 127.
    pub(crate) fn is_ascii(&self) -> bool {
        self.flags.get() & ASCII != 0
    }

    /// Whether the value is too long to stand in the record.
    pub(crate) fn is_paged(&self) -> bool {
        self.flags.get() & PAGED != 0
    }

    /// The name of the value's type, as TYPE says it.
    pub(crate) fn type_name(&self) -> &'static str {
        "string"
    }

    /// Bytes of the record's own cell.
    pub(crate) fn record_bytes(&self) -> usize {
        self.value_start() + self.stored_bytes()
    }

    /// Bytes of what stands after the key.
    fn stored_bytes(&self) -> usize {
        if self.is_paged() { self.pages() * ADDR_BYTES } else { self.value_len() }
    }

    /// Pages of the value: none if it stands in the record.
    pub(crate) fn pages(&self) -> usize {
        if self.is_paged() { self.value_len().div_ceil(PAGE_VALUE_BYTES) } else { 0 }
    }

    /// Pages of the value that are full.
    pub(crate) fn full_pages(&self) -> usize {
        if self.is_paged() { self.value_len() / PAGE_VALUE_BYTES } else { 0 }
    }

    /// Bytes of the value on its page at `position`.
    pub(crate) fn page_len(&self, position: usize) -> usize {
        self.value_len().saturating_sub(position * PAGE_VALUE_BYTES).min(PAGE_VALUE_BYTES)
    }

    pub(crate) fn key_start(&self) -> usize {
        self.key_start.into()
    }

    pub(crate) fn value_start(&self) -> usize {
        self.key_start() + usize::from(self.key_len)
    }

    /// Reads the head of a record. `None` for a page, a hole, or bytes that are no record.
    #[inline]
    pub(crate) fn read(cell: &[u8]) -> Option<Head> {
        let (&[flags, a, b, c, d, e, f], _) = cell.split_first_chunk()?;
        if flags & KIND_MASK != STRING.get() {
            return None;
        }
        let (key_len, value_len, length_bytes) = match flags & (PAGED | WIDE) {
            0 => (a.into(), b.into(), 2),
            WIDE => (u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d]).into(), 4),
            _ => (u16::from_le_bytes([a, b]), u32::from_le_bytes([c, d, e, f]), 6),
        };
        let mut key_start = 1 + length_bytes;
        let mut deadline = NEVER;
        if flags & VOLATILE != 0 {
            let bytes = cell.get(usize::from(key_start)..).and_then(<[u8]>::first_chunk)?;
            deadline = Millis::from_le_bytes(*bytes);
            key_start += DEADLINE_BYTES as u8;
        }
        Some(Head { deadline, value_len, key_len, key_start, flags: NonZeroU8::new(flags)? })
    }

    /// Writes the head of a record, up to its key.
    pub(crate) fn write(&self, cell: &mut [u8]) {
        let [a, b] = self.key_len.to_le_bytes();
        let [c, d, e, f] = self.value_len.to_le_bytes();
        let flags = self.flags.get();
        let lengths = match flags & (PAGED | WIDE) {
            0 => [flags, a, c, 0, 0, 0, 0],
            _ => [flags, a, b, c, d, e, f],
        };
        let deadline_bytes = if self.is_volatile() { DEADLINE_BYTES } else { 0 };
        let lengths_end = self.key_start() - deadline_bytes;
        bytes::write_at(cell, 0, lengths.get(..lengths_end).unwrap_or_default());
        if self.is_volatile() {
            bytes::write_at(cell, lengths_end, &self.deadline.to_le_bytes());
        }
    }

    /// Whether the record with this head, in `cell`, has this key.
    #[inline]
    pub(crate) fn has_key(&self, cell: &[u8], key: &[u8]) -> bool {
        usize::from(self.key_len) == key.len() && self.key(cell) == key
    }

    /// The key of a record with this head.
    pub(crate) fn key<'a>(&self, cell: &'a [u8]) -> &'a [u8] {
        cell.get(self.key_start()..self.value_start()).unwrap_or_default()
    }

    /// What stands after the key: the value, or the directory of its pages.
    pub(crate) fn stored<'a>(&self, cell: &'a [u8]) -> &'a [u8] {
        cell.get(self.value_start()..self.record_bytes()).unwrap_or_default()
    }

    /// The same, to be written.
    pub(crate) fn stored_mut<'a>(&self, cell: &'a mut [u8]) -> &'a mut [u8] {
        cell.get_mut(self.value_start()..self.record_bytes()).unwrap_or_default()
    }

    /// Writes the key of a record with this head.
    pub(crate) fn write_key(&self, cell: &mut [u8], key: &[u8]) {
        bytes::write_at(cell, self.key_start(), key);
    }

    /// The address of a page, from a directory.
    pub(crate) fn page_addr(directory: &[u8], position: usize) -> Addr {
        let bytes = directory.get(position * ADDR_BYTES..).and_then(<[u8]>::first_chunk);
        bytes.map_or(Addr::NONE, |bytes| Addr(u32::from_le_bytes(*bytes)))
    }

    /// Notes the address of a page in a directory.
    pub(crate) fn set_page_addr(directory: &mut [u8], position: usize, addr: Addr) {
        bytes::write_at(directory, position * ADDR_BYTES, &addr.0.to_le_bytes());
    }
}

/// The head of a page of a large value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct PageHead {
    pub(crate) position: usize,
    pub(crate) owner_hash: u64,
}

impl PageHead {
    /// Bytes of the cell for a page with `value_bytes` of its value.
    pub(crate) fn cell_bytes(value_bytes: usize) -> usize {
        PAGE_HEAD_BYTES + value_bytes
    }

    /// Reads the head of a page. `None` for anything else.
    pub(crate) fn read(cell: &[u8]) -> Option<PageHead> {
        let (&[flags, a, b, c], rest) = cell.split_first_chunk()?;
        if flags & KIND_MASK != PAGE {
            return None;
        }
        let position = u32::from_le_bytes([a, b, c, 0]) as usize;
        Some(PageHead { position, owner_hash: u64::from_le_bytes(*rest.first_chunk()?) })
    }

    pub(crate) fn write(self, cell: &mut [u8]) {
        let [a, b, c, _] = (self.position as u32).to_le_bytes();
        bytes::write_at(cell, 0, &[PAGE, a, b, c]);
        bytes::write_at(cell, 4, &self.owner_hash.to_le_bytes());
    }

    /// The bytes of a value that a page holds.
    pub(crate) fn value(cell: &[u8], len: usize) -> &[u8] {
        cell.get(PAGE_HEAD_BYTES..PAGE_HEAD_BYTES + len).unwrap_or_default()
    }

    /// The same, to be written.
    pub(crate) fn value_mut(cell: &mut [u8], len: usize) -> &mut [u8] {
        cell.get_mut(PAGE_HEAD_BYTES..PAGE_HEAD_BYTES + len).unwrap_or_default()
    }
}
