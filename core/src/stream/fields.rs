//! The strings of entries: names of fields and their values, one behind the other.
//!
//! A string is `length | bytes`, with a length of one byte up to 239, and of four behind a mark.
//! The text of an integer is a mark and the bytes of the number, if that is shorter.
//!
//! Not here: which strings belong to an entry (node.rs).

use crate::bytes;
use crate::num::{Digits, parse_integer};
use crate::reply::Reply;
use crate::value::{Source, Value};

/// What the first byte means when it is not the length: one of four bytes follows, or a number of
/// as many as it is above this.
const WIDE: u8 = 240;
const HEAD_BYTES_MAX: usize = 9;

/// Bytes of a number with seven bits a byte, at most.
pub(super) const VARINT_BYTES_MAX: usize = 10;

/// A string to be read.
#[derive(Clone, Copy)]
pub(crate) enum Text<'a> {
    /// It stands there as it is.
    Bytes(Value<'a>),
    /// The text of an integer.
    Number(i64),
}

impl Text<'_> {
    /// Shows its bytes.
    pub(crate) fn show<T>(&self, show: impl FnOnce(Value<'_>) -> T) -> T {
        match self {
            Text::Bytes(value) => show(*value),
            Text::Number(number) => show(Digits::new(*number).as_bytes().into()),
        }
    }

    pub(super) fn answer(&self, reply: &mut dyn Reply) {
        self.show(|value| reply.bulk(value));
    }
}

/// A string to be written.
#[derive(Clone, Copy)]
pub(super) struct Written<'a> {
    head: [u8; HEAD_BYTES_MAX],
    head_len: u8,
    rest: &'a [u8],
}

impl<'a> Written<'a> {
    pub(super) fn new(text: &'a [u8]) -> Written<'a> {
        let mut head = [0; HEAD_BYTES_MAX];
        let mut written = Written { head, head_len: 1, rest: text };
        if text.first().is_some_and(|&byte| byte == b'-' || byte.is_ascii_digit())
            && let Some(number) = parse_integer(text)
        {
            // One bit is for the sign.
            let bits = 65 - (number ^ number >> 63).leading_zeros();
            let len = bits.div_ceil(8) as u8;
            if usize::from(len) < text.len() {
                head = [WIDE + len; HEAD_BYTES_MAX];
                bytes::write_at(&mut head, 1, &number.to_le_bytes());
                return Written { head, head_len: 1 + len, rest: &[] };
            }
        }
        match u8::try_from(text.len()) {
            Ok(len) if len < WIDE => written.head = [len; HEAD_BYTES_MAX],
            _ => {
                head = [WIDE; HEAD_BYTES_MAX];
                bytes::write_at(&mut head, 1, &(text.len() as u32).to_le_bytes());
                (written.head, written.head_len) = (head, 5);
            }
        }
        written
    }

    pub(super) fn len(&self) -> usize {
        usize::from(self.head_len) + self.rest.len()
    }

    pub(super) fn head(&self) -> &[u8] {
        self.head.get(..self.head_len.into()).unwrap_or_default()
    }

    /// Writes it at a place in `target`, and returns the place behind it.
    pub(super) fn write(&self, target: &mut [u8], at: usize) -> usize {
        bytes::write_at(target, at, self.head());
        bytes::write_at(target, at + self.head().len(), self.rest);
        at + self.len()
    }
}

/// Where a string is: the bytes of its head, and those that follow; or the number that it is.
enum Shape {
    Bytes(usize, usize),
    Number(usize, i64),
}

impl Shape {
    fn read(head: &[u8]) -> Option<Shape> {
        let (&first, rest) = head.split_first()?;
        if first < WIDE {
            return Some(Shape::Bytes(1, first.into()));
        }
        if first == WIDE {
            let len = u32::from_le_bytes(*rest.first_chunk()?);
            return Some(Shape::Bytes(5, len as usize));
        }
        let len = usize::from(first - WIDE).min(8);
        let mut number = [0; 8];
        bytes::copy(&mut number, rest.get(..len)?);
        let unused = 64 - 8 * len as u32;
        Some(Shape::Number(1 + len, i64::from_le_bytes(number) << unused >> unused))
    }
}

/// Where the string ends that begins at a place.
#[inline]
pub(super) fn text_end(bytes: &[u8], at: usize) -> Option<usize> {
    match Shape::read(bytes.get(at..)?)? {
        Shape::Bytes(head, len) => (at + head).checked_add(len),
        Shape::Number(head, _) => Some(at + head),
    }
}

/// Strings one behind the other.
#[derive(Clone, Copy)]
pub(super) struct Texts<'a> {
    source: Value<'a>,
    at: usize,
}

impl<'a> Texts<'a> {
    pub(super) fn new(source: Value<'a>) -> Texts<'a> {
        Texts { source, at: 0 }
    }

    /// Those behind a number that stands at the front, and the number.
    pub(super) fn counted(source: Value<'a>) -> (usize, Texts<'a>) {
        let mut front = [0; VARINT_BYTES_MAX];
        gather(source.range(0, VARINT_BYTES_MAX), &mut front);
        let (count, len) = read_varint(&front).unwrap_or_default();
        (usize::try_from(count).unwrap_or_default(), Texts { source, at: len })
    }
}

impl<'a> Iterator for Texts<'a> {
    type Item = Text<'a>;

    #[inline]
    fn next(&mut self) -> Option<Text<'a>> {
        let shape = match self.source.as_slice() {
            Some(bytes) => Shape::read(bytes.get(self.at..)?)?,
            None => {
                let mut front = [0; HEAD_BYTES_MAX];
                let part = self.source.range(self.at, HEAD_BYTES_MAX);
                let len = gather(part, &mut front);
                Shape::read(front.get(..len)?)?
            }
        };
        Some(match shape {
            Shape::Bytes(head, len) => {
                let value = self.source.range(self.at + head, len);
                self.at += head + len;
                Text::Bytes(value)
            }
            Shape::Number(head, number) => {
                self.at += head;
                Text::Number(number)
            }
        })
    }
}

/// Copies a string that may stand on several pages. How long it is.
fn gather(value: Value<'_>, target: &mut [u8]) -> usize {
    value.parts().fold(0, |at, part| {
        bytes::write_at(target, at, part);
        at + part.len()
    })
}

/// The fields of an entry with their values: the names may stand elsewhere.
#[derive(Clone, Copy)]
pub(crate) struct Fields<'a> {
    pub(super) names: Option<Texts<'a>>,
    pub(super) texts: Texts<'a>,
    /// How many are still to come.
    pub(super) left: usize,
}

impl<'a> Iterator for Fields<'a> {
    type Item = (Text<'a>, Text<'a>);

    #[inline]
    fn next(&mut self) -> Option<(Text<'a>, Text<'a>)> {
        self.left = self.left.checked_sub(1)?;
        let name = match &mut self.names {
            Some(names) => names.next()?,
            None => self.texts.next()?,
        };
        Some((name, self.texts.next()?))
    }
}

/// All strings of an entry behind their number of pairs, as a source of bytes.
pub(super) struct EntrySource<'a> {
    texts: &'a [&'a [u8]],
    /// What is still to come of the string that is being written.
    head: [u8; VARINT_BYTES_MAX],
    head_at: usize,
    head_end: usize,
    rest: &'a [u8],
    left: usize,
}

impl<'a> EntrySource<'a> {
    pub(super) fn new(texts: &'a [&'a [u8]]) -> EntrySource<'a> {
        let (head, head_end) = varint((texts.len() / 2) as u64);
        let bytes: usize = texts.iter().map(|text| Written::new(text).len()).sum();
        EntrySource { texts, head, head_at: 0, head_end, rest: &[], left: head_end + bytes }
    }
}

impl Source for EntrySource<'_> {
    fn len(&self) -> usize {
        self.left
    }

    fn fill(&mut self, target: &mut [u8]) {
        let mut at = 0;
        while at < target.len() {
            let head = self.head.get(self.head_at..self.head_end).unwrap_or_default();
            let place = target.get_mut(at..).unwrap_or_default();
            if !head.is_empty() {
                let len = head.len().min(place.len());
                bytes::copy(place, head);
                self.head_at += len;
                at += len;
            } else if let Some((part, rest)) =
                self.rest.split_at_checked(self.rest.len().min(place.len()))
                && !part.is_empty()
            {
                bytes::copy(place, part);
                self.rest = rest;
                at += part.len();
            } else if let Some((text, texts)) = self.texts.split_first() {
                let written = Written::new(text);
                bytes::copy(&mut self.head, written.head());
                (self.head_at, self.head_end) = (0, written.head().len());
                (self.rest, self.texts) = (written.rest, texts);
            } else {
                break;
            }
        }
        self.left = self.left.saturating_sub(at);
    }
}

/// A number with seven bits a byte, the lowest first, and how many bytes it has.
pub(super) fn varint(number: u64) -> ([u8; VARINT_BYTES_MAX], usize) {
    let mut bytes = [0; VARINT_BYTES_MAX];
    let (mut rest, mut len) = (number, 0);
    for byte in &mut bytes {
        *byte = rest as u8 | 0x80;
        rest >>= 7;
        len += 1;
        if rest == 0 {
            *byte &= 0x7f;
            break;
        }
    }
    (bytes, len)
}

/// The number at the front of some bytes, and how many of them it has.
#[inline]
pub(super) fn read_varint(bytes: &[u8]) -> Option<(u64, usize)> {
    let first = *bytes.first()?;
    if first < 0x80 {
        return Some((first.into(), 1));
    }
    let mut number = 0;
    for (position, &byte) in bytes.iter().enumerate().take(VARINT_BYTES_MAX) {
        number |= u64::from(byte & 0x7f) << (7 * position as u32);
        if byte < 0x80 {
            return Some((number, position + 1));
        }
    }
    None
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, clippy::expect_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use alloc::vec;
    use alloc::vec::Vec;

    fn texts() -> Vec<Vec<u8>> {
        let mut texts = vec![b"".to_vec(), b"-0".to_vec(), b"007".to_vec(), b"name".to_vec()];
        texts.extend([239, 240, 241, 1_000, 70_000].map(|len| vec![b'x'; len]));
        for shift in 0..64 {
            for number in [1i64 << shift, (1i64 << shift).wrapping_sub(1)] {
                texts.push(number.to_string().into_bytes());
                texts.push(number.wrapping_neg().to_string().into_bytes());
            }
        }
        texts
    }

    #[test]
    fn strings_are_read_as_they_were_written() {
        for text in texts() {
            let mut target = vec![9; text.len() + 20];
            let end = Written::new(&text).write(&mut target, 3);
            assert_eq!(text_end(&target, 3), Some(end));
            assert!(end - 3 <= text.len() + 5);
            let mut read = Texts { source: target[..].into(), at: 3 };
            let same = |value: Value<'_>| value.parts().flatten().eq(&text);
            assert!(read.next().expect("a string").show(same));
            assert_eq!(read.at, end);
        }
    }

    #[test]
    fn a_source_gives_the_same_bytes_in_any_pieces() {
        let texts = texts();
        let texts: Vec<&[u8]> = texts.iter().map(Vec::as_slice).collect();
        let mut whole = vec![0; EntrySource::new(&texts).len()];
        EntrySource::new(&texts).fill(&mut whole);
        let (count, read) = Texts::counted(whole[..].into());
        assert_eq!((count, read.count()), (texts.len() / 2, texts.len()));
        for piece in [1, 7, 4_096] {
            let mut source = EntrySource::new(&texts);
            let mut pieces = vec![0; whole.len()];
            pieces.chunks_mut(piece).for_each(|piece| source.fill(piece));
            assert_eq!((pieces, source.len()), (whole.clone(), 0));
        }
    }

    #[test]
    fn numbers_of_any_length_come_back() {
        for number in (0..64).flat_map(|shift| [1u64 << shift, (1 << shift) - 1]) {
            let (bytes, len) = varint(number);
            assert_eq!(read_varint(&bytes), Some((number, len)));
            assert_eq!(read_varint(&bytes[..len - 1]), None);
        }
    }
}
