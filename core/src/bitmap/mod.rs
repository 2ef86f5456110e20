//! Bitmaps: strings as rows of bits, the first bit being the highest of the first byte. SETBIT,
//! GETBIT, BITCOUNT, BITPOS; their rows, and that of BITOP.
//!
//! Invariant: no more of a string is read than the answer needs, and none of it is copied: bytes
//! are counted and searched run by run, where they are.
//!
//! Not here: what several bitmaps make together (operation.rs), integers of any width (field.rs).

pub(crate) mod field;
mod operation;
mod run;

use crate::command::{Args, Arity, DENYOOM, FAST, Group, Keys, READ, Spec, WRITE, docs, word};
use crate::error::{Error, Result};
use crate::keyspace::Cx;
use crate::limits::VALUE_BYTES_MAX;
use crate::num::{integer, parse_integer};
use crate::reply::Reply;
use crate::value::Value;

/// What the ends of a range of a bitmap count.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum BitUnit {
    /// BYTE: eight bits at a time.
    #[default]
    Byte,
    /// BIT.
    Bit,
}

/// A part of a bitmap. Negative ends count from the end of the string; no last one means that end.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[allow(missing_docs, reason = "explained above")]
pub struct BitRange {
    pub first: i64,
    pub last: Option<i64>,
    pub unit: BitUnit,
}

/// The bits from the first to the last, both included, of a string that has them.
#[derive(Clone, Copy)]
struct Span {
    first: u64,
    last: u64,
}

impl BitRange {
    /// What it is of a string of so many bytes: nothing if that has no bits there.
    fn span(&self, len: usize) -> Option<Span> {
        let unit_bits = if self.unit == BitUnit::Bit { 1 } else { 8 };
        let count = (len as i64).saturating_mul(8 / unit_bits);
        let position = |at: i64| if at < 0 { at.saturating_add(count).max(0) } else { at };
        let first = position(self.first);
        let last = position(self.last.unwrap_or(i64::MAX)).min(count - 1);
        (first <= last).then(|| Span {
            first: (first * unit_bits) as u64,
            last: (last * unit_bits + unit_bits - 1) as u64,
        })
    }
}

/// The byte that has a bit, and where in it the bit is.
fn place(offset: u64) -> (usize, u8) {
    ((offset / 8) as usize, 0x80 >> (offset % 8))
}

/// A byte of a string; zero behind its end.
fn byte_at(value: Option<Value<'_>>, at: usize) -> u8 {
    let part = value.filter(|value| at < value.len()).map(|value| value.range(at, 1));
    part.and_then(|part| part.parts().next()?.first().copied()).unwrap_or(0)
}

impl Cx<'_> {
    /// SETBIT: gives a bit of a string a value; the string gets as long as it must be. The value
    /// that the bit had.
    ///
    /// ```
    /// use ferrite_engine::{BitRange, Keyspace, Options};
    ///
    /// let mut keys = Keyspace::new(&Options::default())?;
    /// assert!(!keys.at(1).set_bit(b"seen", 1_000_000, true)?);
    /// assert!(keys.at(1).get_bit(b"seen", 1_000_000)?);
    /// assert_eq!(keys.at(1).bit_count(b"seen", &BitRange::default())?, 1);
    /// # Ok::<(), ferrite_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::BitOffset`] beyond the longest string, [`Error::WrongType`],
    /// [`Error::OutOfMemory`].
    pub fn set_bit(&mut self, key: &[u8], offset: u64, is_set: bool) -> Result<bool> {
        if offset / 8 >= VALUE_BYTES_MAX as u64 {
            return Err(Error::BitOffset);
        }
        let hash = self.keys.hash(key);
        let found = self.find_string(key, hash)?;
        let value = self.value_of(found);
        let (at, bit) = place(offset);
        let (len, old) = (value.map_or(0, |value| value.len()), byte_at(value, at));
        let new = if is_set { old | bit } else { old & !bit };
        if new != old || at >= len {
            self.write_range(key, hash, found, at as u64, &[new])?;
        }
        Ok(old & bit != 0)
    }

    /// GETBIT: a bit of a string; zero behind its end.
    pub fn get_bit(&mut self, key: &[u8], offset: u64) -> Result<bool> {
        let found = self.read_string(key)?;
        let (at, bit) = place(offset);
        Ok(byte_at(self.value_of(found), at) & bit != 0)
    }

    /// BITCOUNT: how many bits of a part of a string are one.
    pub fn bit_count(&mut self, key: &[u8], range: &BitRange) -> Result<u64> {
        let found = self.read_string(key)?;
        let Some(value) = self.value_of(found) else { return Ok(0) };
        // Redis looks at two negative ends before it counts them from the end.
        if range.first < 0 && range.last.is_some_and(|last| last < range.first) {
            return Ok(0);
        }
        Ok(range.span(value.len()).map_or(0, |span| run::count(&value, span)))
    }

    /// BITPOS: where in a part of a string the first bit of a kind is. Behind a string without a
    /// range's end there are zeros for ever.
    pub fn bit_pos(&mut self, key: &[u8], is_set: bool, range: &BitRange) -> Result<Option<u64>> {
        let found = self.read_string(key)?;
        let Some(value) = self.value_of(found) else {
            return Ok(if is_set { None } else { Some(0) });
        };
        let Some(span) = range.span(value.len()) else { return Ok(None) };
        let behind = (!is_set && range.last.is_none()).then_some(8 * value.len() as u64);
        Ok(run::find(&value, span, is_set).or(behind))
    }
}

/// What the rows share.
const READ_ROW: Spec = Spec {
    name: "getbit",
    arity: Arity::Exactly(3),
    keys: Keys::FIRST,
    flags: READ | FAST,
    group: Group::Bitmap,
    since: docs("2.2.0"),
    syntax: docs("key offset"),
    summary: docs("Returns a bit of a string."),
    run: getbit,
};
const WRITE_ROW: Spec = Spec { flags: WRITE | DENYOOM, ..READ_ROW };

pub(crate) const COMMANDS: &[Spec] = &[
    Spec {
        name: "bitcount",
        arity: Arity::AtLeast(2),
        flags: READ,
        since: docs("2.6.0"),
        syntax: docs("key [start end [BYTE | BIT]]"),
        summary: docs("Counts the ones among the bits of a string."),
        run: bitcount,
        ..READ_ROW
    },
    Spec {
        name: "bitop",
        arity: Arity::AtLeast(4),
        keys: Keys { first: 2, last: -1, step: 1 },
        since: docs("2.6.0"),
        syntax: docs("<AND | OR | XOR | NOT> destkey key [key ...]"),
        summary: docs("Combines the bits of strings, and stores the result."),
        run: operation::bitop,
        ..WRITE_ROW
    },
    Spec {
        name: "bitpos",
        arity: Arity::AtLeast(3),
        flags: READ,
        since: docs("2.8.7"),
        syntax: docs("key bit [start [end [BYTE | BIT]]]"),
        summary: docs("Finds the first zero, or the first one, among the bits of a string."),
        run: bitpos,
        ..READ_ROW
    },
    READ_ROW,
    Spec {
        name: "setbit",
        arity: Arity::Exactly(4),
        syntax: docs("key offset value"),
        summary: docs("Sets or clears a bit of a string. Creates the key if it is not there."),
        run: setbit,
        ..WRITE_ROW
    },
];

/// Reads the offset of a bit, which is within the longest string.
fn parse_offset(text: &[u8]) -> Result<u64> {
    offset_of(parse_integer(text))
}

fn offset_of(offset: Option<i64>) -> Result<u64> {
    let offset = offset.and_then(|offset| u64::try_from(offset).ok());
    offset.filter(|offset| offset / 8 < VALUE_BYTES_MAX as u64).ok_or(Error::BitOffset)
}

fn parse_unit(text: &[u8]) -> Result<BitUnit> {
    match word(text, &["byte", "bit"]) {
        0 => Ok(BitUnit::Byte),
        1 => Ok(BitUnit::Bit),
        _ => Err(Error::Syntax),
    }
}

fn setbit(cx: &mut Cx<'_>, args: &mut Args<'_>, reply: &mut dyn Reply) -> Result<()> {
    let (key, offset) = (args.required(), parse_offset(args.required())?);
    let is_set = match parse_integer(args.required()) {
        Some(0) => false,
        Some(1) => true,
        _ => return Err(Error::NotABit),
    };
    reply.integer(cx.set_bit(key, offset, is_set)?.into());
    Ok(())
}

fn getbit(cx: &mut Cx<'_>, args: &mut Args<'_>, reply: &mut dyn Reply) -> Result<()> {
    let (key, offset) = (args.required(), parse_offset(args.required())?);
    reply.integer(cx.get_bit(key, offset)?.into());
    Ok(())
}

fn bitcount(cx: &mut Cx<'_>, args: &mut Args<'_>, reply: &mut dyn Reply) -> Result<()> {
    let key = args.required();
    let range = match *args.as_slice() {
        [] => Ok(BitRange::default()),
        [first, last] => parse_range(first, last, None),
        [first, last, unit] => parse_range(first, last, Some(unit)),
        _ => Err(Error::Syntax),
    };
    // As in Redis, who asks for a key that is not there may have written any range.
    let count = match range {
        Err(error) if cx.find_string(key, cx.keys.hash(key))?.is_some() => return Err(error),
        Err(_) => 0,
        Ok(range) => cx.bit_count(key, &range)?,
    };
    reply.integer(count as i64);
    Ok(())
}

/// Reads both ends of a range, and its unit last.
fn parse_range(first: &[u8], last: &[u8], unit: Option<&[u8]>) -> Result<BitRange> {
    let (first, last) = (integer(first)?, Some(integer(last)?));
    // Redis does not come to look at the unit of two such ends.
    if first < 0 && last.is_some_and(|last| last < first) {
        return Ok(BitRange { first, last, unit: BitUnit::Byte });
    }
    Ok(BitRange { first, last, unit: unit.map_or(Ok(BitUnit::Byte), parse_unit)? })
}

fn bitpos(cx: &mut Cx<'_>, args: &mut Args<'_>, reply: &mut dyn Reply) -> Result<()> {
    let (key, bit) = (args.required(), integer(args.required())?);
    if bit != 0 && bit != 1 {
        return Err(Error::NoSuchBit);
    }
    let range = match *args.as_slice() {
        [] => Ok(BitRange::default()),
        [first] => integer(first).map(|first| BitRange { first, last: None, unit: BitUnit::Byte }),
        [first, last] => ends(first, last, BitUnit::Byte),
        // The unit is looked at before the last end.
        [first, last, unit] => integer(first).and_then(|_| ends(first, last, parse_unit(unit)?)),
        _ => Err(Error::Syntax),
    };
    let at = match range {
        Err(error) if cx.find_string(key, cx.keys.hash(key))?.is_some() => return Err(error),
        Err(_) => cx.bit_pos(key, bit == 1, &BitRange::default())?,
        Ok(range) => cx.bit_pos(key, bit == 1, &range)?,
    };
    reply.integer(at.map_or(-1, |at| at as i64));
    Ok(())
}

fn ends(first: &[u8], last: &[u8], unit: BitUnit) -> Result<BitRange> {
    Ok(BitRange { first: integer(first)?, last: Some(integer(last)?), unit })
}
