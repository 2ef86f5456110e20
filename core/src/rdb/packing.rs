//! The packed forms of values: listpacks, ziplists, zipmaps and arrays of integers, each in one run
//! of bytes. Nothing of them is believed: lengths and counts are checked.

use crate::error::{Error, Result};
use crate::num::Digits;

const BAD: Error = Error::BadPayload;

/// How elements stand in one string.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Packing {
    Listpack,
    Ziplist,
    Zipmap,
}

/// What is left of a run of bytes.
pub(crate) struct Bytes<'a> {
    pub(crate) rest: &'a [u8],
}

impl<'a> Bytes<'a> {
    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8]> {
        let (first, rest) = self.rest.split_at_checked(len).ok_or(BAD)?;
        self.rest = rest;
        Ok(first)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (first, rest) = self.rest.split_first_chunk().ok_or(BAD)?;
        self.rest = rest;
        Ok(*first)
    }
}

pub(crate) type Take<'f> = &'f mut dyn FnMut(&[u8]) -> Result<()>;

impl Packing {
    pub(crate) fn each(self, blob: &[u8], take: Take<'_>) -> Result<()> {
        match self {
            Packing::Listpack => each_of_listpack(blob, take),
            Packing::Ziplist => each_of_ziplist(blob, take),
            Packing::Zipmap => each_of_zipmap(blob, take),
        }
    }
}

/// What stands between the head of a packed list, of so many bytes, and its last byte; and the
/// count that the head tells in its last two.
fn packed_body(blob: &[u8], head_bytes: usize) -> Result<(&[u8], u16)> {
    let total = blob.first_chunk().map(|total| u32::from_le_bytes(*total)).ok_or(BAD)?;
    let (head, body) = blob.split_at_checked(head_bytes).ok_or(BAD)?;
    let count = head.last_chunk().map(|count| u16::from_le_bytes(*count)).ok_or(BAD)?;
    let (last, body) = body.split_last().ok_or(BAD)?;
    if total as usize != blob.len() || *last != 0xff {
        return Err(BAD);
    }
    Ok((body, count))
}

fn check_count(told: u16, seen: usize) -> Result<()> {
    // The highest number says that there are more than the head can tell.
    if told == u16::MAX || usize::from(told) == seen { Ok(()) } else { Err(BAD) }
}

fn take_number(number: i64, take: Take<'_>) -> Result<()> {
    take(Digits::new(number).as_bytes())
}

/// A signed number of so many bytes, the lowest first.
fn signed(bytes: &[u8]) -> i64 {
    let mut number = [0; 8];
    crate::bytes::copy(&mut number, bytes);
    let unused = 64 - 8 * bytes.len().clamp(1, 8) as u32;
    i64::from_le_bytes(number) << unused >> unused
}

pub(crate) fn each_of_listpack(blob: &[u8], take: Take<'_>) -> Result<()> {
    let (body, told) = packed_body(blob, 6)?;
    let mut reader = Bytes { rest: body };
    let mut seen = 0;
    while !reader.rest.is_empty() {
        let before = reader.rest.len();
        let [first] = reader.array()?;
        match first {
            0x00..=0x7f => take_number(first.into(), take)?,
            0x80..=0xbf => take(reader.take(usize::from(first & 0x3f))?)?,
            0xc0..=0xdf => {
                let [low] = reader.array()?;
                let number = i64::from(first & 0x1f) << 8 | i64::from(low);
                take_number(number << 51 >> 51, take)?;
            }
            0xe0..=0xef => {
                let [low] = reader.array()?;
                take(reader.take(usize::from(first & 0x0f) << 8 | usize::from(low))?)?;
            }
            0xf0 => {
                let len = u32::from_le_bytes(reader.array()?);
                take(reader.take(len as usize)?)?;
            }
            0xf1..=0xf4 => {
                let len = if first == 0xf4 { 8 } else { usize::from(first - 0xef) };
                take_number(signed(reader.take(len)?), take)?;
            }
            _ => return Err(BAD),
        }
        check_back_length(&mut reader, before)?;
        seen += 1;
    }
    check_count(told, seen)
}

/// Bytes of the length that stands behind a listpack's element of so many.
pub(crate) fn back_length_bytes(len: usize) -> usize {
    // As it is in Redis, the longest but for the first is one less than could be told.
    1 + [128, 16_383, 2_097_151, 268_435_455].iter().filter(|&&limit| len >= limit).count()
}

/// The length of a listpack's element stands behind it, seven bits a byte, the highest first.
fn check_back_length(reader: &mut Bytes<'_>, before: usize) -> Result<()> {
    let len = before - reader.rest.len();
    let bytes = back_length_bytes(len);
    let mut told = 0;
    for (position, &byte) in reader.take(bytes)?.iter().enumerate() {
        if (byte & 0x80 != 0) != (position > 0) {
            return Err(BAD);
        }
        told = told << 7 | usize::from(byte & 0x7f);
    }
    if told == len { Ok(()) } else { Err(BAD) }
}

fn each_of_ziplist(blob: &[u8], take: Take<'_>) -> Result<()> {
    let (body, told) = packed_body(blob, 10)?;
    let mut reader = Bytes { rest: body };
    let (mut seen, mut previous) = (0, 0);
    while !reader.rest.is_empty() {
        let before = reader.rest.len();
        let [first] = reader.array()?;
        let told = match first {
            0xfe => u32::from_le_bytes(reader.array()?) as usize,
            0xff => return Err(BAD),
            len => len.into(),
        };
        if told != previous {
            return Err(BAD);
        }
        let [first] = reader.array()?;
        match first {
            0x00..=0x3f => take(reader.take(first.into())?)?,
            0x40..=0x7f => {
                let [low] = reader.array()?;
                take(reader.take(usize::from(first & 0x3f) << 8 | usize::from(low))?)?;
            }
            0x80 => {
                let len = u32::from_be_bytes(reader.array()?);
                take(reader.take(len as usize)?)?;
            }
            0xc0 => take_number(signed(reader.take(2)?), take)?,
            0xd0 => take_number(signed(reader.take(4)?), take)?,
            0xe0 => take_number(signed(reader.take(8)?), take)?,
            0xf0 => take_number(signed(reader.take(3)?), take)?,
            0xfe => take_number(signed(reader.take(1)?), take)?,
            0xf1..=0xfd => take_number(i64::from(first & 0x0f) - 1, take)?,
            _ => return Err(BAD),
        }
        previous = before - reader.rest.len();
        seen += 1;
    }
    check_count(told, seen)
}

/// The oldest form of a hash: lengths of one byte, or of four behind 254; a value has some free
/// bytes behind it.
fn each_of_zipmap(blob: &[u8], take: Take<'_>) -> Result<()> {
    let (_, body) = blob.split_last().filter(|(last, _)| **last == 0xff).ok_or(BAD)?;
    let mut reader = Bytes { rest: body };
    reader.take(1)?;
    let len = |reader: &mut Bytes<'_>| -> Result<usize> {
        match reader.array()? {
            [254] => Ok(u32::from_le_bytes(reader.array()?) as usize),
            [255] => Err(BAD),
            [len] => Ok(len.into()),
        }
    };
    while !reader.rest.is_empty() {
        let name_len = len(&mut reader)?;
        take(reader.take(name_len)?)?;
        let value_len = len(&mut reader)?;
        let [free] = reader.array()?;
        take(reader.take(value_len)?)?;
        reader.take(free.into())?;
    }
    Ok(())
}

pub(crate) fn each_integer(blob: &[u8], take: Take<'_>) -> Result<()> {
    let mut reader = Bytes { rest: blob };
    let size = u32::from_le_bytes(reader.array()?) as usize;
    let count = u32::from_le_bytes(reader.array()?) as usize;
    if ![2, 4, 8].contains(&size) || size.checked_mul(count) != Some(reader.rest.len()) {
        return Err(BAD);
    }
    let mut previous = None;
    for bytes in reader.rest.chunks(size) {
        let number = signed(bytes);
        if previous.is_some_and(|previous| previous >= number) {
            return Err(BAD);
        }
        previous = Some(number);
        take_number(number, take)?;
    }
    Ok(())
}
