//! Strings on their way in and out, without a copy in between.
//!
//! A large value is spread over pages, so what is read is a [`Value`]: a few runs of bytes; and
//! what is written comes from a [`Source`], which fills those runs one after the other.

use alloc::vec::Vec;

use crate::arena::Arena;
use crate::bytes;
use crate::error::{Error, Result};
use crate::object::Object;
use crate::packed::ITEM_BYTES_MAX;
use crate::record::{PAGE_HEAD_BYTES, PAGE_VALUE_BYTES};

/// A string to be read: one run of bytes, or several when it is stored in pages.
#[derive(Clone, Copy)]
pub struct Value<'a> {
    /// Where it begins in what is stored: not at zero for a part of a value in pages.
    start: usize,
    len: usize,
    is_ascii: bool,
    storage: Storage<'a>,
}

#[derive(Clone, Copy)]
enum Storage<'a> {
    Whole(&'a [u8]),
    Pages { arena: &'a Arena, object: &'a Object },
}

impl<'a> Value<'a> {
    /// A string that stands in one run of bytes.
    pub(crate) fn whole(bytes: &'a [u8], is_ascii: bool) -> Value<'a> {
        Value { start: 0, len: bytes.len(), is_ascii, storage: Storage::Whole(bytes) }
    }

    /// A string that stands in the pages of an object.
    pub(crate) fn paged(arena: &'a Arena, object: &'a Object, is_ascii: bool) -> Value<'a> {
        Value { start: 0, len: object.len, is_ascii, storage: Storage::Pages { arena, object } }
    }

    /// The bytes from `start` on, `len` of them if there are as many.
    pub fn range(&self, start: usize, len: usize) -> Value<'a> {
        let start = start.min(self.len);
        let len = len.min(self.len - start);
        match self.storage {
            Storage::Whole(bytes) => {
                let bytes = bytes.get(start..start + len).unwrap_or_default();
                Value { len, storage: Storage::Whole(bytes), ..*self }
            }
            Storage::Pages { .. } => Value { start: self.start + start, len, ..*self },
        }
    }

    /// Its length in bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether it is known to be ASCII: stored values know it, others do not say.
    pub fn is_ascii(&self) -> bool {
        self.is_ascii
    }

    /// All of it, if it is one run of bytes.
    pub fn as_slice(&self) -> Option<&'a [u8]> {
        match self.storage {
            Storage::Whole(bytes) => Some(bytes),
            Storage::Pages { .. } => None,
        }
    }

    /// Its runs of bytes, in order.
    pub fn parts(&self) -> Parts<'a> {
        Parts { value: *self, is_done: false }
    }
}

/// The runs of bytes of a [`Value`], in order.
pub struct Parts<'a> {
    /// What is still to come.
    value: Value<'a>,
    is_done: bool,
}

impl<'a> Iterator for Parts<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.is_done {
            return None;
        }
        let Value { start, len, storage, .. } = self.value;
        match storage {
            Storage::Whole(bytes) => {
                self.is_done = true;
                Some(bytes)
            }
            Storage::Pages { arena, object } => {
                let page = object.page(arena, start / PAGE_VALUE_BYTES);
                let skipped = start % PAGE_VALUE_BYTES;
                let part_len = len.min(PAGE_VALUE_BYTES - skipped);
                self.value.start += part_len;
                self.value.len -= part_len;
                self.is_done = self.value.len == 0;
                let from = PAGE_HEAD_BYTES + skipped;
                arena.cell(page).get(from..from + part_len)
            }
        }
    }
}

impl<'a> From<&'a [u8]> for Value<'a> {
    fn from(bytes: &'a [u8]) -> Value<'a> {
        Value::whole(bytes, false)
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Value<'a> {
        text.as_bytes().into()
    }
}

/// A string to be written. Its bytes are asked for once, in order.
pub trait Source {
    /// How many bytes are still to come.
    fn len(&self) -> usize;

    /// Whether none are.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Fills all of `target` with the next bytes; it never asks for more than `len` in all.
    fn fill(&mut self, target: &mut [u8]);

    /// The same; whether those bytes are ASCII. A source at hand is asked itself: what was only
    /// just written is slow to read.
    fn fill_scanned(&mut self, target: &mut [u8]) -> bool {
        self.fill(target);
        bytes::is_ascii(target)
    }
}

impl Source for &[u8] {
    #[inline]
    fn len(&self) -> usize {
        (**self).len()
    }

    #[inline]
    fn fill(&mut self, target: &mut [u8]) {
        if let Some((next, rest)) = self.split_at_checked(target.len()) {
            bytes::copy(target, next);
            *self = rest;
        }
    }

    #[inline]
    fn fill_scanned(&mut self, target: &mut [u8]) -> bool {
        let source = *self;
        self.fill(target);
        source.get(..target.len()).is_some_and(bytes::is_ascii)
    }
}

/// A place for a copy of a string, in one run of bytes: for short ones no memory is asked for.
pub(crate) struct TextBuffer {
    short: [u8; ITEM_BYTES_MAX],
    short_len: usize,
    /// Empty unless the string is a long one.
    long: Vec<u8>,
}

impl TextBuffer {
    pub(crate) fn new() -> TextBuffer {
        TextBuffer { short: [0; ITEM_BYTES_MAX], short_len: 0, long: Vec::new() }
    }

    /// Copies a string.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`] if a long one cannot be had twice for a moment.
    pub(crate) fn copy(&mut self, text: Value<'_>) -> Result<&[u8]> {
        self.long.clear();
        match text.as_slice().filter(|text| text.len() <= ITEM_BYTES_MAX) {
            Some(text) => {
                bytes::copy(&mut self.short, text);
                self.short_len = text.len();
            }
            None => {
                self.long.try_reserve_exact(text.len()).map_err(|_| Error::OutOfMemory)?;
                text.parts().for_each(|part| self.long.extend_from_slice(part));
            }
        }
        Ok(self.last())
    }

    /// The string that was copied last.
    pub(crate) fn last(&self) -> &[u8] {
        if self.long.is_empty() {
            return self.short.get(..self.short_len).unwrap_or_default();
        }
        &self.long
    }
}

/// So many zeros, then a string.
pub(crate) struct Padded<'a>(pub(crate) usize, pub(crate) &'a [u8]);

impl Source for Padded<'_> {
    fn len(&self) -> usize {
        self.0 + self.1.len()
    }

    fn fill(&mut self, target: &mut [u8]) {
        if let Some((zeros, rest)) = target.split_at_mut_checked(self.0.min(target.len())) {
            zeros.fill(0);
            self.0 -= zeros.len();
            self.1.fill(rest);
        }
    }
}

/// One string after the other.
pub(crate) struct Joined<'a>(pub(crate) &'a mut dyn Source, pub(crate) &'a mut dyn Source);

impl Source for Joined<'_> {
    fn len(&self) -> usize {
        self.0.len() + self.1.len()
    }

    fn fill(&mut self, target: &mut [u8]) {
        let middle = self.0.len().min(target.len());
        if let Some((first, second)) = target.split_at_mut_checked(middle) {
            self.0.fill(first);
            self.1.fill(second);
        }
    }
}
