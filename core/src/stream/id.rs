//! Ids of entries: a time in milliseconds, and a number among the entries of that time.
//!
//! Their text is read as Redis reads it, C's `strtoull` included, which takes spaces and signs.

use crate::bytes;
use crate::error::{Error, Result};
use crate::num::{Digits, parse_digits, parse_integer};

/// Bytes of an id: both numbers with the highest byte first, so that their order is that of ids.
pub(crate) const ID_BYTES: usize = 16;
/// Longest text of an id: two numbers of 20 digits, and what stands between them.
const TEXT_BYTES_MAX: usize = 20 + 1 + 20;
/// Longest text that may be one.
const PARSED_BYTES_MAX: usize = 127;

/// The id of an entry of a stream.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Id {
    /// The time, in milliseconds since the Unix epoch.
    pub ms: u64,
    /// The number among the entries of that millisecond.
    pub seq: u64,
}

impl Id {
    /// The lowest, which no entry has.
    pub const MIN: Id = Id { ms: 0, seq: 0 };
    /// The highest.
    pub const MAX: Id = Id { ms: u64::MAX, seq: u64::MAX };

    /// The next higher one.
    pub fn next(self) -> Option<Id> {
        match self.seq.checked_add(1) {
            Some(seq) => Some(Id { seq, ..self }),
            None => Some(Id { ms: self.ms.checked_add(1)?, seq: 0 }),
        }
    }

    /// The next lower one.
    pub fn previous(self) -> Option<Id> {
        match self.seq.checked_sub(1) {
            Some(seq) => Some(Id { seq, ..self }),
            None => Some(Id { ms: self.ms.checked_sub(1)?, seq: u64::MAX }),
        }
    }

    /// Reads an id, of which the second number may be missing: then it is zero.
    ///
    /// # Errors
    /// [`Error::InvalidStreamId`], also for `-` and `+`.
    pub fn parse(text: &[u8]) -> Result<Id> {
        parse_strict(text, 0)
    }

    /// Its text.
    pub fn text(self) -> IdText {
        let mut text = IdText { bytes: [0; TEXT_BYTES_MAX], len: 0 };
        text.push(Digits::of_unsigned(self.ms).as_bytes());
        text.push(b"-");
        text.push(Digits::of_unsigned(self.seq).as_bytes());
        text
    }

    pub(crate) fn to_bytes(self) -> [u8; ID_BYTES] {
        (u128::from(self.ms) << 64 | u128::from(self.seq)).to_be_bytes()
    }

    pub(crate) fn from_bytes(bytes: [u8; ID_BYTES]) -> Id {
        let number = u128::from_be_bytes(bytes);
        Id { ms: (number >> 64) as u64, seq: number as u64 }
    }
}

/// The text of an id, without an allocation.
#[derive(Clone, Copy)]
pub struct IdText {
    bytes: [u8; TEXT_BYTES_MAX],
    len: usize,
}

impl IdText {
    /// An empty place for one.
    pub(super) const EMPTY: IdText = IdText { bytes: [0; TEXT_BYTES_MAX], len: 0 };

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    fn push(&mut self, part: &[u8]) {
        bytes::write_at(&mut self.bytes, self.len, part);
        self.len += part.len();
    }
}

/// The id that XADD is to give an entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NewId {
    /// `*`: of this moment.
    Next,
    /// `ms-*`: the next of that millisecond.
    NextOf(u64),
    /// This one.
    Exactly(Id),
}

impl NewId {
    pub(super) fn parse(text: &[u8]) -> Result<NewId> {
        if text == b"*" {
            return Ok(NewId::Next);
        }
        if let Some(ms) = text.strip_suffix(b"-*")
            && !ms.contains(&b'-')
            && text.len() <= PARSED_BYTES_MAX
        {
            return parse_number(ms).map(NewId::NextOf).ok_or(Error::InvalidStreamId);
        }
        Id::parse(text).map(NewId::Exactly)
    }
}

fn parse_strict(text: &[u8], missing_seq: u64) -> Result<Id> {
    if text.len() > PARSED_BYTES_MAX {
        return Err(Error::InvalidStreamId);
    }
    // To C a string ends with the first zero byte.
    let text = text.split(|&byte| byte == 0).next().unwrap_or_default();
    let parsed = match text.iter().position(|&byte| byte == b'-') {
        Some(at) => {
            let (ms, seq) = text.split_at_checked(at).unwrap_or_default();
            let seq = seq.split_first().map_or(&[][..], |(_, seq)| seq);
            parse_number(ms).zip(parse_number(seq))
        }
        None => parse_number(text).map(|ms| (ms, missing_seq)),
    };
    parsed.map(|(ms, seq)| Id { ms, seq }).ok_or(Error::InvalidStreamId)
}

/// The same, where `-` is the lowest id and `+` the highest.
pub(super) fn parse_edge(text: &[u8], missing_seq: u64) -> Result<Id> {
    match text {
        b"-" => Ok(Id::MIN),
        b"+" => Ok(Id::MAX),
        _ => parse_strict(text, missing_seq),
    }
}

/// Reads the start of a range, which may be left out of it by a bracket.
pub(super) fn parse_start(text: &[u8]) -> Result<Id> {
    match text.strip_prefix(b"(") {
        Some(text) if !text.is_empty() => Id::parse(text)?.next().ok_or(Error::InvalidStart),
        _ => parse_edge(text, 0),
    }
}

/// Reads the end of one.
pub(super) fn parse_end(text: &[u8]) -> Result<Id> {
    match text.strip_prefix(b"(") {
        Some(text) if !text.is_empty() => {
            parse_strict(text, u64::MAX)?.previous().ok_or(Error::InvalidEnd)
        }
        _ => parse_edge(text, u64::MAX),
    }
}

/// Reads a number as Redis's `string2ull` does.
fn parse_number(text: &[u8]) -> Option<u64> {
    if let Some(number) = parse_integer(text) {
        return u64::try_from(number).ok();
    }
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t'..=b'\r');
    let start = text.iter().position(|byte| !is_space(byte))?;
    let text = text.get(start..)?;
    let (is_negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        _ => (false, text),
    };
    if digits.is_empty() {
        return None;
    }
    let number = parse_digits(digits)?;
    Some(if is_negative { number.wrapping_neg() } else { number })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_as_redis_reads_them() {
        let id = |ms, seq| Ok(Id { ms, seq });
        assert_eq!(Id::parse(b"5"), id(5, 0));
        assert_eq!(Id::parse(b"5-7"), id(5, 7));
        assert_eq!(Id::parse(b"007- +3"), id(7, 3));
        assert_eq!(Id::parse(b"5--02"), id(5, 2u64.wrapping_neg()));
        assert_eq!(Id::parse(b"18446744073709551615-18446744073709551615"), Ok(Id::MAX));
        assert_eq!(Id::parse(b"5\0junk"), id(5, 0));
        for bad in ["", "-", "+", "-5", "5-", "a", "5-b", "5-*", "18446744073709551616", "5--2"] {
            assert_eq!(Id::parse(bad.as_bytes()), Err(Error::InvalidStreamId), "{bad:?}");
        }
        assert_eq!(NewId::parse(b"5-*"), Ok(NewId::NextOf(5)));
        assert_eq!(NewId::parse(b"-*"), Err(Error::InvalidStreamId));
        assert_eq!(parse_start(b"(5"), id(5, 1));
        assert_eq!(parse_end(b"(5"), id(5, u64::MAX - 1));
        assert_eq!(parse_start(b"(+"), Err(Error::InvalidStreamId));
        assert_eq!(parse_end(b"(0-0"), Err(Error::InvalidEnd));
    }

    #[test]
    fn the_order_of_bytes_is_that_of_ids() {
        let ids = [Id::MIN, Id { ms: 0, seq: 256 }, Id { ms: 1, seq: 0 }, Id { ms: 256, seq: 1 }];
        assert!(ids.is_sorted() && ids.map(Id::to_bytes).is_sorted());
        assert!(ids.iter().all(|&id| Id::from_bytes(id.to_bytes()) == id));
        assert_eq!(ids[2].previous().and_then(Id::next), Some(ids[2]));
        assert_eq!(Id::MAX.text().as_bytes(), b"18446744073709551615-18446744073709551615");
    }
}
