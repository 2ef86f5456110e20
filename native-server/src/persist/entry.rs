//! The entries of the log: what one change is in bytes.
//!
//! An entry is a count, then so many texts, each behind its length: an effect as the engine makes
//! it known. The count zero announces something else, by the byte behind it: the database that
//! the following effects belong to, a swap of two, or a command that concerns no key. Numbers are
//! seven bits a byte, the lowest first.
//!
//! Invariant: a unit, which is what was appended at once, begins with a database before its first
//! effect; so a unit can be read without those before it.

use std::fmt;

use ferrite_engine::{Effects, Value};

const DATABASE: u8 = 1;
const SWAP: u8 = 2;
const COMMAND: u8 = 3;

/// Writes effects behind what is in a buffer.
pub struct Writer<'b>(pub &'b mut Vec<u8>);

impl Effects for Writer<'_> {
    #[inline]
    fn effect(&mut self, arguments: &[Value<'_>]) {
        put_number(self.0, arguments.len());
        for argument in arguments {
            put_number(self.0, argument.len());
            match argument.as_slice() {
                Some(text) => self.0.extend_from_slice(text),
                None => argument.parts().for_each(|part| self.0.extend_from_slice(part)),
            }
        }
    }
}

/// The effects that follow belong to this database.
pub fn put_database(buffer: &mut Vec<u8>, number: usize) {
    buffer.extend_from_slice(&[0, DATABASE]);
    put_number(buffer, number);
}

/// Two databases have changed places.
pub fn put_swap(buffer: &mut Vec<u8>, one: usize, other: usize) {
    buffer.extend_from_slice(&[0, SWAP]);
    put_number(buffer, one);
    put_number(buffer, other);
}

/// A command that concerns no key.
pub fn put_command(buffer: &mut Vec<u8>, request: &[&[u8]]) {
    buffer.extend_from_slice(&[0, COMMAND]);
    put_number(buffer, request.len());
    for text in request {
        put_number(buffer, text.len());
        buffer.extend_from_slice(text);
    }
}

#[inline]
fn put_number(buffer: &mut Vec<u8>, mut number: usize) {
    while number >= 0x80 {
        buffer.push(number as u8 | 0x80);
        number >>= 7;
    }
    buffer.push(number as u8);
}

/// One entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Entry {
    /// A change of keys.
    Effect,
    /// See [`put_database`].
    Database(usize),
    /// See [`put_swap`].
    Swap(usize, usize),
    /// See [`put_command`].
    Command,
}

/// Bytes that are no entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NoEntry;

impl fmt::Display for NoEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("there is no entry that begins like this")
    }
}

/// Reads entries, one after the other.
pub struct Entries<'a> {
    rest: &'a [u8],
}

impl<'a> Entries<'a> {
    /// Of these bytes.
    pub fn new(bytes: &'a [u8]) -> Entries<'a> {
        Entries { rest: bytes }
    }

    /// How many bytes are left.
    pub fn left(&self) -> usize {
        self.rest.len()
    }

    /// The next entry; `None` behind the last. The texts of an effect, or of a command, go behind
    /// those that are in `texts`.
    ///
    /// # Errors
    /// What follows is none.
    #[inline]
    pub fn read(&mut self, texts: &mut Vec<&'a [u8]>) -> Result<Option<Entry>, NoEntry> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let count = self.number()?;
        if count > 0 {
            self.read_texts(count, texts)?;
            return Ok(Some(Entry::Effect));
        }
        let (&kind, rest) = self.rest.split_first().ok_or(NoEntry)?;
        self.rest = rest;
        match kind {
            DATABASE => Ok(Some(Entry::Database(self.number()?))),
            SWAP => Ok(Some(Entry::Swap(self.number()?, self.number()?))),
            COMMAND => {
                let count = self.number()?;
                self.read_texts(count, texts)?;
                Ok(Some(Entry::Command))
            }
            _ => Err(NoEntry),
        }
    }

    #[inline]
    fn read_texts(&mut self, count: usize, texts: &mut Vec<&'a [u8]>) -> Result<(), NoEntry> {
        for _ in 0..count {
            let len = self.number()?;
            let (text, rest) = self.rest.split_at_checked(len).ok_or(NoEntry)?;
            texts.push(text);
            self.rest = rest;
        }
        Ok(())
    }

    #[inline]
    fn number(&mut self) -> Result<usize, NoEntry> {
        let (mut number, mut shift) = (0_usize, 0);
        loop {
            let (&byte, rest) = self.rest.split_first().ok_or(NoEntry)?;
            self.rest = rest;
            number |= usize::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
            shift += 7;
            if shift >= usize::BITS {
                return Err(NoEntry);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_read_back() {
        let long = vec![b'x'; 300];
        let mut bytes = Vec::new();
        put_database(&mut bytes, 15);
        Writer(&mut bytes).effect(&["SET".into(), "key".into(), long.as_slice().into()]);
        put_swap(&mut bytes, 3, 200);
        put_command(&mut bytes, &[b"FUNCTION", b"FLUSH"]);
        let (mut entries, mut texts) = (Entries::new(&bytes), Vec::new());
        assert_eq!(entries.read(&mut texts), Ok(Some(Entry::Database(15))));
        assert_eq!(entries.read(&mut texts), Ok(Some(Entry::Effect)));
        assert_eq!(texts, [&b"SET"[..], b"key", &long]);
        assert_eq!(entries.read(&mut texts), Ok(Some(Entry::Swap(3, 200))));
        assert_eq!(entries.read(&mut texts), Ok(Some(Entry::Command)));
        assert_eq!(texts[3..], [&b"FUNCTION"[..], b"FLUSH"]);
        assert_eq!(entries.read(&mut texts), Ok(None));
    }

    #[test]
    fn whatever_the_bytes_reading_ends() {
        let mut bytes = Vec::new();
        put_database(&mut bytes, 1);
        Writer(&mut bytes).effect(&["DEL".into(), "k".into()]);
        for cut in 0..bytes.len() {
            let mut entries = Entries::new(&bytes[..cut]);
            while let Ok(Some(_)) = entries.read(&mut Vec::new()) {}
        }
        for bad in [&[0, 9][..], &[0x80; 20], &[1, 5, b'x'], &[0]] {
            assert_eq!(Entries::new(bad).read(&mut Vec::new()), Err(NoEntry), "{bad:?}");
        }
    }
}
