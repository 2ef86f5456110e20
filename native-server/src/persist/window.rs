//! A segment of the log that is read piece by piece.
//!
//! Invariant: what is shown from a place on has a whole record in it, unless the file ends before.

use std::io;

use crate::limits::LOG_READ_BYTES;
use crate::persist::format::RECORD_BYTES_MAX;
use crate::persist::manifest::Needs;

/// Where segments are read from.
pub trait Segments: Sync {
    /// Their numbers, in order.
    ///
    /// # Errors
    /// They cannot be told.
    fn list(&self) -> io::Result<Vec<u64>>;

    /// What was noted that a start needs of them, if that was done.
    ///
    /// # Errors
    /// It cannot be read.
    fn needs(&self) -> io::Result<Option<Needs>>;

    /// Reads from a place in a segment on. How many bytes; none behind its end.
    ///
    /// # Errors
    /// It cannot be read.
    fn read_at(&self, number: u64, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;

    /// Reads as much as there is. How many bytes.
    ///
    /// # Errors
    /// It cannot be read.
    fn fill(&self, number: u64, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.read_at(number, offset + filled as u64, rest) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(why) if why.kind() == io::ErrorKind::Interrupted => {}
                Err(why) => return Err(why),
            }
        }
        Ok(filled)
    }
}

/// See the module.
pub struct Window<'s, S> {
    source: &'s S,
    number: u64,
    /// Where in the segment the buffer begins, and how much of it is filled.
    start: u64,
    buffer: Vec<u8>,
    filled: usize,
    /// Whether the segment ends where the filled part does.
    is_end: bool,
}

impl<'s, S: Segments> Window<'s, S> {
    /// On the beginning of a segment, in the memory of `buffer`.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn new(source: &'s S, number: u64, mut buffer: Vec<u8>) -> io::Result<Window<'s, S>> {
        buffer.resize(LOG_READ_BYTES, 0);
        let mut window = Window { source, number, start: 0, buffer, filled: 0, is_end: false };
        window.fill()?;
        Ok(window)
    }

    fn fill(&mut self) -> io::Result<()> {
        let rest = self.buffer.get_mut(self.filled..).unwrap_or_default();
        let wanted = rest.len();
        let count = self.source.fill(self.number, self.start + self.filled as u64, rest)?;
        self.is_end = count < wanted;
        self.filled += count;
        Ok(())
    }

    /// Where in the buffer a place of the segment is.
    pub fn place(&self, offset: u64) -> usize {
        usize::try_from(offset.saturating_sub(self.start)).unwrap_or(usize::MAX)
    }

    /// What stands from a place on.
    pub fn bytes_from(&self, offset: u64) -> &[u8] {
        self.buffer.get(self.place(offset)..self.filled).unwrap_or_default()
    }

    /// Where in the segment it ends.
    pub fn end(&self) -> u64 {
        self.start + self.filled as u64
    }

    /// Whether a record that begins at a place may end behind the window.
    pub fn is_short_at(&self, offset: u64) -> bool {
        !self.is_end && self.bytes_from(offset).len() < RECORD_BYTES_MAX
    }

    /// Moves on to a place, in the memory of `buffer`. What the window was made of before.
    ///
    /// # Errors
    /// The segment cannot be read.
    pub fn advance(&mut self, offset: u64, mut buffer: Vec<u8>) -> io::Result<Vec<u8>> {
        buffer.resize(LOG_READ_BYTES, 0);
        let kept = self.bytes_from(offset);
        let len = kept.len();
        if let Some(place) = buffer.get_mut(..len) {
            place.copy_from_slice(kept);
        }
        (self.start, self.filled) = (offset, len);
        let before = std::mem::replace(&mut self.buffer, buffer);
        if !self.is_end {
            self.fill()?;
        }
        Ok(before)
    }

    /// The memory that it was made of.
    pub fn into_buffer(self) -> Vec<u8> {
        self.buffer
    }
}
