//! Dictionaries, which are made of values that are stored.
//!
//! A dictionary is stretches of values as they were met, until it is full: for LZ4 that serves as
//! well as choosing among them by how often each run of bytes occurs (ARCHITECTURE.md). Two kinds
//! are left out: what the dictionary has already, and noise.
//!
//! A window is a dictionary with room for one text behind it; texts are compressed and expanded
//! there. So the text that was expanded last stands in its dictionary's window.
//!
//! Invariant: `records` counts the records that name the dictionary, which is not changed or let
//! go before that is zero. Not here: which values are looked at, and when (compress/mod.rs).

use alloc::vec::Vec;

use crate::arena::{PAGE_BYTES, SEGMENT_BYTES};
use crate::bytes;
use crate::compress::lz4;
use crate::limits::{LESSON_LOOKS_MAX, LESSON_STRETCH_BYTES};

const WINDOW_BYTES: usize = 2 * SEGMENT_BYTES;
/// Bytes of a dictionary at most: behind it is room for a text of a page.
const DICTIONARY_BYTES: usize = WINDOW_BYTES - PAGE_BYTES;
/// A stretch that becomes shorter than this part of it is one the dictionary has already.
const KNOWN_DIVISOR: usize = 4;
/// Bytes that are not ASCII are noise unless they become shorter by this part of them.
const NOISE_DIVISOR: usize = 16;

/// Segments that a dictionary takes while it is learnt or in use.
pub(crate) const DICTIONARY_SEGMENTS: usize =
    (WINDOW_BYTES + lz4::TABLE_LEN * size_of::<u16>()).div_ceil(SEGMENT_BYTES);

#[derive(Clone, Default)]
pub(crate) struct Dictionary {
    /// Empty for one that is not in use.
    window: Vec<u8>,
    /// Where the bytes of the dictionary stand; empty once nothing more is compressed with it.
    table: Vec<u16>,
    len: usize,
    /// Bytes of the text that was expanded last.
    text_len: usize,
    /// Stretches looked at so far.
    looks: usize,
    pub(crate) records: usize,
}

impl Dictionary {
    /// An empty one, to be learnt. `None` if the allocator refuses it.
    pub(crate) fn new() -> Option<Dictionary> {
        let mut dictionary = Dictionary::default();
        dictionary.window.try_reserve_exact(WINDOW_BYTES).ok()?;
        dictionary.window.resize(WINDOW_BYTES, 0);
        dictionary.table.try_reserve_exact(lz4::TABLE_LEN).ok()?;
        dictionary.table.resize(lz4::TABLE_LEN, 0);
        Some(dictionary)
    }

    /// Bytes held from the allocator.
    pub(crate) fn held_bytes(&self) -> usize {
        self.window.capacity() + self.table.capacity() * size_of::<u16>()
    }

    /// The bytes that texts are compressed with.
    #[cfg(feature = "snapshot")]
    pub(crate) fn bytes(&self) -> &[u8] {
        self.window.get(..self.len).unwrap_or_default()
    }

    /// One of such bytes; `compresses` says whether more is to be compressed with it.
    #[cfg(feature = "snapshot")]
    pub(crate) fn of_bytes(bytes: &[u8], compresses: bool) -> Option<Dictionary> {
        let mut dictionary = Dictionary::new().filter(|_| bytes.len() <= DICTIONARY_BYTES)?;
        bytes::copy(&mut dictionary.window, bytes);
        dictionary.len = bytes.len();
        if compresses {
            lz4::learn(bytes, 0, &mut dictionary.table);
        } else {
            dictionary.retire();
        }
        Some(dictionary)
    }

    pub(crate) fn is_free(&self) -> bool {
        self.window.is_empty()
    }

    /// Nothing more will be compressed with it.
    pub(crate) fn retire(&mut self) {
        self.table = Vec::new();
    }

    /// Learns from a value, of which a number drawn by lot says what stretch. Whether that was
    /// the last it needed.
    pub(crate) fn study(&mut self, value: &[u8], is_ascii: bool, draw: u64) -> bool {
        self.looks += 1;
        let spare = value.len().saturating_sub(LESSON_STRETCH_BYTES);
        let start = (draw % (spare as u64 + 1)) as usize;
        let room = (DICTIONARY_BYTES - self.len).min(LESSON_STRETCH_BYTES);
        let stretch = value.get(start..).unwrap_or_default();
        let stretch = stretch.get(..room).unwrap_or(stretch);
        let mut block = [0; LESSON_STRETCH_BYTES];
        let len = self.compress(stretch, &mut block).unwrap_or(stretch.len());
        let is_new = len > stretch.len() / KNOWN_DIVISOR;
        if is_new && (is_ascii || len < stretch.len() - stretch.len() / NOISE_DIVISOR) {
            // It stands behind the dictionary already.
            let end = self.len + stretch.len();
            lz4::learn(self.window.get(..end).unwrap_or_default(), self.len, &mut self.table);
            self.len = end;
        }
        self.looks >= LESSON_LOOKS_MAX || self.len == DICTIONARY_BYTES
    }

    /// Compresses a text of up to a page. The length of the block, if that fits.
    pub(crate) fn compress(&mut self, text: &[u8], block: &mut [u8]) -> Option<usize> {
        bytes::write_at(&mut self.window, self.len, text);
        let window = self.window.get(..self.len + text.len())?;
        lz4::compress(window, self.len, &self.table, block)
    }

    /// Expands a block. Whether it is one.
    pub(crate) fn expand(&mut self, block: &[u8]) -> bool {
        let len = lz4::expand(block, &mut self.window, self.len);
        self.text_len = len.unwrap_or_default();
        len.is_some()
    }

    /// The text that was expanded last; nothing else has been compressed since.
    pub(crate) fn text(&self) -> &[u8] {
        self.window.get(self.len..self.len + self.text_len).unwrap_or_default()
    }
}
