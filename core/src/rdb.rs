//! Values in the format of Redis's RDB files, as DUMP and RESTORE carry them.
//!
//! Read are all forms that Redis has written for the five types, up to version 12; written is the
//! plain one of each, which every Redis reads. Nothing of a payload is believed: lengths, counts
//! and orders are checked, and an element that stands there twice is an error.
//!
//! Source of the format: `rdb.c`, `listpack.c`, `ziplist.c` and `lzf_d.c` of Redis 7.
//!
//! Not here: the commands, and the frame of version and checksum (dump.rs).

use alloc::vec::Vec;

use crate::error::{Error, Result};
use crate::keyspace::{Cx, Millis};
use crate::limits::VALUE_BYTES_MAX;
use crate::num::Digits;
use crate::record::{Kind, NEVER};

/// The numbers of the forms that are written.
pub(crate) const STRING: u8 = 0;
pub(crate) const LIST: u8 = 1;
pub(crate) const SET: u8 = 2;
pub(crate) const HASH: u8 = 4;
pub(crate) const SORTED_SET: u8 = 5;
pub(crate) const HASH_WITH_DEADLINES: u8 = 24;
#[cfg(feature = "stream")]
pub(crate) const STREAM: u8 = 19;

/// How the elements of a value stand in a payload.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// One string.
    Text,
    /// A count, then as many elements: strings, with scores as text or as bytes, or deadlines.
    Plain,
    ScoreTexts,
    ScoreBytes,
    Deadlines,
    /// One string that holds all elements.
    Packed(Packing),
    /// The same, with a deadline behind each field and its value.
    PackedDeadlines,
    /// A count, then as many such strings; with a mark before each that says if it is one.
    Chunks(Packing),
    MarkedChunks,
    Integers,
    /// Nodes, then groups: read where streams are.
    #[cfg(feature = "stream")]
    Stream,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Packing {
    Listpack,
    Ziplist,
    Zipmap,
}

fn form_of(number: u8) -> Option<(Kind, Form)> {
    use Packing::{Listpack, Ziplist, Zipmap};
    Some(match number {
        STRING => (Kind::String, Form::Text),
        LIST => (Kind::List, Form::Plain),
        SET => (Kind::Set, Form::Plain),
        3 => (Kind::SortedSet, Form::ScoreTexts),
        HASH => (Kind::Hash, Form::Plain),
        SORTED_SET => (Kind::SortedSet, Form::ScoreBytes),
        9 => (Kind::Hash, Form::Packed(Zipmap)),
        10 => (Kind::List, Form::Packed(Ziplist)),
        11 => (Kind::Set, Form::Integers),
        12 => (Kind::SortedSet, Form::Packed(Ziplist)),
        13 => (Kind::Hash, Form::Packed(Ziplist)),
        14 => (Kind::List, Form::Chunks(Ziplist)),
        16 => (Kind::Hash, Form::Packed(Listpack)),
        17 => (Kind::SortedSet, Form::Packed(Listpack)),
        18 => (Kind::List, Form::MarkedChunks),
        20 => (Kind::Set, Form::Packed(Listpack)),
        #[cfg(feature = "stream")]
        15 | STREAM | 21 => (Kind::Stream, Form::Stream),
        HASH_WITH_DEADLINES => (Kind::Hash, Form::Deadlines),
        25 => (Kind::Hash, Form::PackedDeadlines),
        _ => return None,
    })
}

/// What is told of a value: one part after the other. A part is a string, an element, a member
/// with its score as text or as bytes, a field with its value and its deadline.
pub(crate) enum Part<'a> {
    Text(&'a [u8]),
    Scored(&'a [u8], Score<'a>),
    Field(&'a [u8], &'a [u8], Millis),
    /// So many bytes are needed to unpack what comes next. Lending them may move records: whoever
    /// holds one pins it.
    Loan(usize),
}

/// A score as it stands in a payload.
pub(crate) enum Score<'a> {
    Text(&'a [u8]),
    Bytes([u8; 8]),
}

type Show<'f> = &'f mut dyn FnMut(&mut Cx<'_>, Part<'_>) -> Result<()>;

/// What a payload that is not sound is answered with.
const BAD: Error = Error::BadPayload;

/// The type of the value in a payload.
pub(crate) fn kind_of(payload: &[u8]) -> Result<Kind> {
    payload.first().and_then(|&number| form_of(number)).map(|(kind, _)| kind).ok_or(BAD)
}

/// Shows the parts of the value in a payload, which has to be all of it.
pub(crate) fn read(cx: &mut Cx<'_>, payload: &[u8], show: Show<'_>) -> Result<()> {
    let (&number, rest) = payload.split_first().ok_or(BAD)?;
    let (kind, form) = form_of(number).ok_or(BAD)?;
    let mut reader = Reader { rest };
    let mut parts = Parts { kind, form, first: None, second: None, count: 0, show };
    match form {
        Form::Text => {
            let text = reader.text(&mut |bytes| (parts.show)(cx, Part::Loan(bytes)))?;
            parts.count = 1;
            (parts.show)(cx, Part::Text(text.as_slice()))?;
        }
        #[cfg(feature = "stream")]
        Form::Stream => return Err(BAD),
        Form::Packed(packing) => {
            let blob = reader.text(&mut |bytes| (parts.show)(cx, Part::Loan(bytes)))?;
            packing.each(blob.as_slice(), &mut |text| parts.take(cx, text))?;
        }
        Form::PackedDeadlines => {
            reader.take(8)?;
            let blob = reader.text(&mut |bytes| (parts.show)(cx, Part::Loan(bytes)))?;
            Packing::Listpack.each(blob.as_slice(), &mut |text| parts.take(cx, text))?;
        }
        Form::Integers => {
            let blob = reader.text(&mut |bytes| (parts.show)(cx, Part::Loan(bytes)))?;
            each_integer(blob.as_slice(), &mut |text| parts.take(cx, text))?;
        }
        Form::Chunks(_) | Form::MarkedChunks => {
            for _ in 0..reader.count()? {
                let mark = if form == Form::MarkedChunks { reader.count()? } else { 2 };
                let blob = reader.text(&mut |bytes| (parts.show)(cx, Part::Loan(bytes)))?;
                let packing =
                    if let Form::Chunks(packing) = form { packing } else { Packing::Listpack };
                let before = parts.count;
                match mark {
                    1 => parts.take(cx, blob.as_slice())?,
                    2 => packing.each(blob.as_slice(), &mut |text| parts.take(cx, text))?,
                    _ => return Err(BAD),
                }
                if parts.count == before {
                    return Err(BAD);
                }
            }
        }
        Form::Plain | Form::ScoreTexts | Form::ScoreBytes | Form::Deadlines => {
            read_plain(cx, &mut reader, kind, form, &mut parts)?;
        }
    }
    let is_whole = reader.rest.is_empty() && parts.first.is_none() && parts.count > 0;
    if is_whole { Ok(()) } else { Err(BAD) }
}

fn read_plain(
    cx: &mut Cx<'_>,
    reader: &mut Reader<'_>,
    kind: Kind,
    form: Form,
    parts: &mut Parts<'_>,
) -> Result<()> {
    let mut earliest = 0;
    if form == Form::Deadlines {
        earliest = Millis::from_le_bytes(reader.array()?);
    }
    for _ in 0..reader.count()? {
        let mut deadline = NEVER;
        if form == Form::Deadlines {
            let ahead = reader.count()?;
            if ahead > 0 {
                let ahead = Millis::try_from(ahead).map_err(|_| BAD)?;
                deadline = earliest.checked_add(ahead - 1).filter(|&at| at > 0).ok_or(BAD)?;
            }
        }
        let name = reader.text(&mut |bytes| (parts.show)(cx, Part::Loan(bytes)))?;
        parts.count += 1;
        match form {
            Form::ScoreBytes => {
                let score = Score::Bytes(reader.array()?);
                (parts.show)(cx, Part::Scored(name.as_slice(), score))?;
            }
            Form::ScoreTexts => {
                let score = reader.score_text()?;
                (parts.show)(cx, Part::Scored(name.as_slice(), Score::Text(score)))?;
            }
            _ if kind == Kind::Hash => {
                let held = name.unpacked_bytes();
                let mut lend = |bytes| (parts.show)(cx, Part::Loan(held + bytes));
                let value = reader.text(&mut lend)?;
                (parts.show)(cx, Part::Field(name.as_slice(), value.as_slice(), deadline))?;
            }
            _ => (parts.show)(cx, Part::Text(name.as_slice()))?,
        }
    }
    Ok(())
}

/// Makes parts of the strings that stand one behind the other in a packed form.
struct Parts<'f> {
    kind: Kind,
    form: Form,
    /// The strings of a part that are there already.
    first: Option<Vec<u8>>,
    second: Option<Vec<u8>>,
    count: usize,
    show: Show<'f>,
}

impl Parts<'_> {
    fn take(&mut self, cx: &mut Cx<'_>, text: &[u8]) -> Result<()> {
        if matches!(self.kind, Kind::List | Kind::Set) {
            self.count += 1;
            return (self.show)(cx, Part::Text(text));
        }
        let Some(first) = self.first.take() else {
            self.first = Some(copied(text)?);
            return Ok(());
        };
        if self.form != Form::PackedDeadlines {
            self.count += 1;
            return match self.kind {
                Kind::SortedSet => (self.show)(cx, Part::Scored(&first, Score::Text(text))),
                _ => (self.show)(cx, Part::Field(&first, text, NEVER)),
            };
        }
        let Some(second) = self.second.take() else {
            (self.first, self.second) = (Some(first), Some(copied(text)?));
            return Ok(());
        };
        self.count += 1;
        let deadline = crate::num::parse_integer(text).filter(|&at| at >= 0).ok_or(BAD)?;
        (self.show)(cx, Part::Field(&first, &second, deadline))
    }
}

fn copied(text: &[u8]) -> Result<Vec<u8>> {
    let mut copy = Vec::new();
    copy.try_reserve_exact(text.len()).map_err(|_| Error::OutOfMemory)?;
    copy.extend_from_slice(text);
    Ok(copy)
}

/// A string of a payload: as it stands there, a number's digits, or unpacked.
pub(crate) enum Text<'a> {
    Whole(&'a [u8]),
    Number(Digits),
    Unpacked(Vec<u8>),
}

impl Text<'_> {
    pub(crate) fn as_slice(&self) -> &[u8] {
        match self {
            Text::Whole(bytes) => bytes,
            Text::Number(digits) => digits.as_bytes(),
            Text::Unpacked(bytes) => bytes,
        }
    }

    fn unpacked_bytes(&self) -> usize {
        if let Text::Unpacked(bytes) = self { bytes.len() } else { 0 }
    }
}

/// A length, or the mark of a string that is stored in another way.
enum Length {
    Bytes(u64),
    Special(u8),
}

pub(crate) struct Reader<'a> {
    pub(crate) rest: &'a [u8],
}

impl<'a> Reader<'a> {
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

    fn length(&mut self) -> Result<Length> {
        let [first] = self.array()?;
        let low = first & 0x3f;
        Ok(match first >> 6 {
            0 => Length::Bytes(low.into()),
            1 => {
                let [second] = self.array()?;
                Length::Bytes(u64::from(low) << 8 | u64::from(second))
            }
            2 if first == 0x80 => Length::Bytes(u32::from_be_bytes(self.array()?).into()),
            2 if first == 0x81 => Length::Bytes(u64::from_be_bytes(self.array()?)),
            3 => Length::Special(low),
            _ => return Err(BAD),
        })
    }

    pub(crate) fn count(&mut self) -> Result<u64> {
        match self.length()? {
            Length::Bytes(count) => Ok(count),
            Length::Special(_) => Err(BAD),
        }
    }

    /// A length of something that stands in the payload.
    fn size(&mut self) -> Result<usize> {
        usize::try_from(self.count()?).map_err(|_| BAD)
    }

    /// A string; to unpack it may take so many bytes of the budget, which `lend` is asked for.
    pub(crate) fn text(&mut self, lend: &mut dyn FnMut(usize) -> Result<()>) -> Result<Text<'a>> {
        let number = match self.length()? {
            Length::Bytes(len) => {
                let len = usize::try_from(len).map_err(|_| BAD)?;
                return Ok(Text::Whole(self.take(len)?));
            }
            Length::Special(0) => i8::from_le_bytes(self.array()?).into(),
            Length::Special(1) => i16::from_le_bytes(self.array()?).into(),
            Length::Special(2) => i32::from_le_bytes(self.array()?).into(),
            Length::Special(3) => {
                let (packed_len, len) = (self.size()?, self.size()?);
                let packed = self.take(packed_len)?;
                // No three bytes stand for more than 264.
                if len > VALUE_BYTES_MAX || len / 264 > packed_len {
                    return Err(BAD);
                }
                lend(len)?;
                return Ok(Text::Unpacked(unpack(packed, len)?));
            }
            Length::Special(_) => return Err(BAD),
        };
        Ok(Text::Number(Digits::new(number)))
    }

    /// A score as text, with a byte for its length or for what has no digits.
    fn score_text(&mut self) -> Result<&'a [u8]> {
        match self.array()? {
            [253] => Ok(b"nan"),
            [254] => Ok(b"inf"),
            [255] => Ok(b"-inf"),
            [len] => self.take(len.into()),
        }
    }
}

/// LZF (Marc Lehmann), unpacked to just so many bytes.
fn unpack(packed: &[u8], len: usize) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    out.try_reserve_exact(len).map_err(|_| Error::OutOfMemory)?;
    let mut reader = Reader { rest: packed };
    while !reader.rest.is_empty() {
        let [control] = reader.array()?;
        if control < 32 {
            let run = reader.take(usize::from(control) + 1)?;
            if out.len() + run.len() > len {
                return Err(BAD);
            }
            out.extend_from_slice(run);
            continue;
        }
        let mut count = usize::from(control >> 5);
        if count == 7 {
            let [more] = reader.array()?;
            count += usize::from(more);
        }
        let [low] = reader.array()?;
        let back = (usize::from(control & 31) << 8 | usize::from(low)) + 1;
        let count = count + 2;
        let start = out.len().checked_sub(back).ok_or(BAD)?;
        if out.len() + count > len {
            return Err(BAD);
        }
        for position in start..start + count {
            let byte = out.get(position).copied().ok_or(BAD)?;
            out.push(byte);
        }
    }
    if out.len() == len { Ok(out) } else { Err(BAD) }
}

pub(crate) type Take<'f> = &'f mut dyn FnMut(&[u8]) -> Result<()>;

impl Packing {
    fn each(self, blob: &[u8], take: Take<'_>) -> Result<()> {
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
    let mut reader = Reader { rest: body };
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
fn check_back_length(reader: &mut Reader<'_>, before: usize) -> Result<()> {
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
    let mut reader = Reader { rest: body };
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
    let mut reader = Reader { rest: body };
    reader.take(1)?;
    let len = |reader: &mut Reader<'_>| -> Result<usize> {
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

fn each_integer(blob: &[u8], take: Take<'_>) -> Result<()> {
    let mut reader = Reader { rest: blob };
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

/// Writes a length.
pub(crate) fn put_length(out: &mut Vec<u8>, len: usize) {
    match len {
        0..=0x3f => out.push(len as u8),
        0x40..=0x3fff => out.extend_from_slice(&[0x40 | (len >> 8) as u8, len as u8]),
        _ => {
            // No string and no collection is longer than 32 bits can tell.
            out.push(0x80);
            out.extend_from_slice(&(len as u32).to_be_bytes());
        }
    }
}
