//! BITFIELD: integers of one to 64 bits, anywhere in a string.
//!
//! Invariant: a field is read and written as one number of up to 72 bits, the nine bytes at most
//! that it touches.

use crate::bytes;
use crate::command::{Args, Arity, DENYOOM, FAST, Group, Keys, READ, Spec, WRITE, docs, word};
use crate::error::{Error, Result};
use crate::keyspace::Cx;
use crate::num::{integer, parse_integer};
use crate::reply::Reply;
use crate::value::Value;

use super::offset_of;

/// An integer in a string: where it begins, and how many bits it has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Field {
    is_signed: bool,
    bits: u32,
    offset: u64,
}

/// What becomes of a number that has more bits than its field.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Overflow {
    /// WRAP: its lowest bits are taken.
    #[default]
    Wrap,
    /// SAT: the nearest number is taken that the field can hold.
    Saturate,
    /// FAIL: the field stays as it is.
    Fail,
}

/// Bytes that a field touches at most.
const BYTES_MAX: usize = 9;
const BITS_MAX: u32 = 8 * BYTES_MAX as u32;

impl Field {
    /// A field of up to 64 bits, or 63 without a sign.
    ///
    /// # Errors
    /// [`Error::BitFieldType`], [`Error::BitOffset`].
    pub fn new(is_signed: bool, bits: u32, offset: u64) -> Result<Field> {
        if !(1..=if is_signed { 64 } else { 63 }).contains(&bits) {
            return Err(Error::BitFieldType);
        }
        let offset = offset_of(i64::try_from(offset).ok())?;
        Ok(Field { is_signed, bits, offset })
    }

    /// Reads a type such as `u8` or `i64`, then an offset in bits, or in fields after a `#`.
    fn parse(kind: &[u8], offset: &[u8]) -> Result<Field> {
        let (is_signed, width) = match kind {
            [b'i', width @ ..] => (true, width),
            [b'u', width @ ..] => (false, width),
            _ => return Err(Error::BitFieldType),
        };
        let width = width.split(|&byte| byte == 0).next().unwrap_or_default();
        let width = parse_integer(width).and_then(|width| u32::try_from(width).ok());
        let field = Field::new(is_signed, width.unwrap_or(0), 0)?;
        let offset = match offset {
            // A product beyond 64 bits wraps, as it does in Redis.
            [b'#', count @ ..] => {
                parse_integer(count).map(|count| count.wrapping_mul(field.bits.into()))
            }
            _ => parse_integer(offset),
        };
        Ok(Field { offset: offset_of(offset)?, ..field })
    }

    /// The first byte that it touches.
    fn start(&self) -> usize {
        (self.offset / 8) as usize
    }

    /// The bytes that it touches.
    fn len(&self) -> usize {
        ((self.offset % 8) as usize + self.bits as usize).div_ceil(8)
    }

    /// The bits behind it, of the bytes that are read.
    fn shift(&self) -> u32 {
        BITS_MAX - (self.offset % 8) as u32 - self.bits
    }

    fn mask(&self) -> u128 {
        (1 << self.bits) - 1
    }

    /// The field's value, given the bytes from its first on.
    fn value(&self, window: u128) -> i128 {
        let bits = window >> self.shift() & self.mask();
        self.with_sign(bits)
    }

    /// A number of as many bits: if there is a sign, the highest of them.
    fn with_sign(&self, bits: u128) -> i128 {
        let is_negative = self.is_signed && bits >> (self.bits - 1) != 0;
        bits as i128 - if is_negative { 1 << self.bits } else { 0 }
    }

    /// The least and the highest number that it holds.
    fn limits(&self) -> (i128, i128) {
        match self.is_signed {
            true => (-(1 << (self.bits - 1)), (1 << (self.bits - 1)) - 1),
            false => (0, (1 << self.bits) - 1),
        }
    }

    /// Whether a number is so low that what Redis computes from it overflows: it then takes it for
    /// one that is too high.
    fn is_far_below(&self, number: i64) -> bool {
        let (_, most) = self.limits();
        self.is_signed && self.bits < 64 && most - i128::from(number) > i64::MAX.into()
    }

    /// What the field holds instead of a number; nothing if it stays as it is.
    fn fit(&self, number: i128, overflow: Overflow) -> Option<i128> {
        let (least, most) = self.limits();
        match overflow {
            _ if (least..=most).contains(&number) => Some(number),
            Overflow::Wrap => Some(self.with_sign(number as u128 & self.mask())),
            Overflow::Saturate => Some(number.clamp(least, most)),
            Overflow::Fail => None,
        }
    }
}

/// The nine bytes of a string from a position on as one number, with zeros behind its end.
fn window(value: Option<Value<'_>>, start: usize) -> u128 {
    let mut bytes = [0; size_of::<u128>()];
    let mut at = bytes.len() - BYTES_MAX;
    let part = value.map(|value| value.range(start, BYTES_MAX)).filter(|part| !part.is_empty());
    for run in part.iter().flat_map(Value::parts) {
        bytes::write_at(&mut bytes, at, run);
        at += run.len();
    }
    u128::from_be_bytes(bytes)
}

impl Cx<'_> {
    /// BITFIELD GET: the value of a field.
    pub fn get_field(&mut self, key: &[u8], field: &Field) -> Result<i64> {
        let found = self.read_string(key)?;
        Ok(field.value(window(self.value_of(found), field.start())) as i64)
    }

    /// BITFIELD SET: gives a field a value. The one it had, or nothing if it stays as it is. The
    /// value of a field without a sign is taken for one without a sign as well.
    pub fn set_field(
        &mut self,
        key: &[u8],
        field: &Field,
        value: i64,
        overflow: Overflow,
    ) -> Result<Option<i64>> {
        let wanted = match overflow {
            Overflow::Saturate if field.is_far_below(value) => i128::MAX,
            _ if field.is_signed => value.into(),
            _ => (value as u64).into(),
        };
        let changed = self.change_field(key, field, overflow, &|_| wanted)?;
        Ok(changed.map(|(old, _)| old))
    }

    /// BITFIELD INCRBY: adds to a field. The sum, or nothing if it stays as it is.
    pub fn incr_field(
        &mut self,
        key: &[u8],
        field: &Field,
        change: i64,
        overflow: Overflow,
    ) -> Result<Option<i64>> {
        let changed = self.change_field(key, field, overflow, &|old| old + i128::from(change))?;
        Ok(changed.map(|(_, new)| new))
    }

    /// Gives a field another value. The old and the new one.
    fn change_field(
        &mut self,
        key: &[u8],
        field: &Field,
        overflow: Overflow,
        change: &dyn Fn(i128) -> i128,
    ) -> Result<Option<(i64, i64)>> {
        let hash = self.keys.hash(key);
        let found = self.find_string(key, hash)?;
        let value = self.value_of(found);
        let len = value.map_or(0, |value| value.len());
        let window = window(value, field.start());
        let old = field.value(window);
        let Some(new) = field.fit(change(old), overflow) else { return Ok(None) };
        if new != old || len < field.start() + field.len() {
            let kept = window & !(field.mask() << field.shift());
            let window = kept | (new as u128 & field.mask()) << field.shift();
            let bytes = window.to_be_bytes();
            let first = bytes.len() - BYTES_MAX;
            let touched = bytes::part(&bytes, first..first + field.len());
            self.write_range(key, hash, found, field.start() as u64, touched)?;
        }
        Ok(Some((old as i64, new as i64)))
    }

    /// Makes a string long enough for a byte.
    fn reach(&mut self, key: &[u8], byte: usize) -> Result<()> {
        let hash = self.keys.hash(key);
        let found = self.find_string(key, hash)?;
        if self.value_of(found).is_none_or(|value| value.len() <= byte) {
            self.write_range(key, hash, found, byte as u64, &[0])?;
        }
        Ok(())
    }
}

/// One of the operations of a request.
enum Operation {
    Get(Field),
    Set(Field, i64),
    Increment(Field, i64),
}

impl Operation {
    fn run(&self, cx: &mut Cx<'_>, key: &[u8], overflow: Overflow) -> Result<Option<i64>> {
        match self {
            Operation::Get(field) => cx.get_field(key, field).map(Some),
            Operation::Set(field, value) => cx.set_field(key, field, *value, overflow),
            Operation::Increment(field, change) => cx.incr_field(key, field, *change, overflow),
        }
    }
}

/// The operations of a request, and what they do on overflow.
#[derive(Clone)]
struct Operations<'a> {
    args: Args<'a>,
    overflow: Overflow,
}

impl Operations<'_> {
    fn next(&mut self) -> Result<Option<Operation>> {
        while let Some(name) = self.args.next() {
            let name = word(name, &["get", "set", "incrby", "overflow"]);
            let values = [2, 3, 3, 1].get(name).copied();
            if values.is_none_or(|values| self.args.len() < values) {
                return Err(Error::Syntax);
            }
            if name == 3 {
                self.overflow = match word(self.args.required(), &["wrap", "sat", "fail"]) {
                    0 => Overflow::Wrap,
                    1 => Overflow::Saturate,
                    2 => Overflow::Fail,
                    _ => return Err(Error::BitFieldOverflow),
                };
                continue;
            }
            let field = Field::parse(self.args.required(), self.args.required())?;
            return Ok(Some(match name {
                0 => Operation::Get(field),
                1 => Operation::Set(field, integer(self.args.required())?),
                _ => Operation::Increment(field, integer(self.args.required())?),
            }));
        }
        Ok(None)
    }
}

pub(crate) const COMMANDS: &[Spec] = &[
    Spec {
        name: "bitfield",
        arity: Arity::AtLeast(2),
        keys: Keys::FIRST,
        flags: WRITE | DENYOOM,
        group: Group::Bitmap,
        since: docs("3.2.0"),
        syntax: docs(
            "key [<GET encoding offset | [OVERFLOW <WRAP | SAT | FAIL>] \
             <SET encoding offset value | INCRBY encoding offset increment>> ...]",
        ),
        summary: docs("Reads, sets and adds to integers of any width within a string."),
        run: |cx, args, reply| bitfield(cx, args, reply, true),
    },
    Spec {
        name: "bitfield_ro",
        arity: Arity::AtLeast(2),
        keys: Keys::FIRST,
        flags: READ | FAST,
        group: Group::Bitmap,
        since: docs("6.0.0"),
        syntax: docs("key [GET encoding offset [GET encoding offset ...]]"),
        summary: docs("Reads integers of any width within a string."),
        run: |cx, args, reply| bitfield(cx, args, reply, false),
    },
];

/// BITFIELD and BITFIELD_RO. As in Redis the whole request is read first, and the string is made
/// long enough for all of it: by a single operation as it writes, so that this is one change.
fn bitfield(
    cx: &mut Cx<'_>,
    args: &mut Args<'_>,
    reply: &mut dyn Reply,
    may_write: bool,
) -> Result<()> {
    let key = args.required();
    let mut operations = Operations { args: args.clone(), overflow: Overflow::Wrap };
    let mut again = operations.clone();
    let (mut count, mut last_byte) = (0, None);
    while let Some(operation) = operations.next()? {
        count += 1;
        if let Operation::Set(field, _) | Operation::Increment(field, _) = operation {
            last_byte = last_byte.max(Some(field.start() + field.len() - 1));
        }
    }
    match last_byte {
        Some(_) if !may_write => return Err(Error::BitFieldReadOnly),
        Some(byte) if count > 1 => cx.reach(key, byte)?,
        Some(byte) => return alone(cx, key, byte, &mut again, reply),
        None => drop(cx.read_string(key)?),
    }
    reply.array(count);
    while let Some(operation) = again.next()? {
        match operation.run(cx, key, again.overflow) {
            Ok(Some(number)) => reply.integer(number),
            // The one error is that the index, as it grew, evicted the very key, and that there is
            // no memory for it any more: then nothing was stored either.
            Ok(None) | Err(_) => reply.null(),
        }
    }
    Ok(())
}

/// The same where one operation is all, which writes up to a byte.
fn alone(
    cx: &mut Cx<'_>,
    key: &[u8],
    byte: usize,
    operations: &mut Operations<'_>,
    reply: &mut dyn Reply,
) -> Result<()> {
    let Some(operation) = operations.next()? else { return Ok(()) };
    let number = operation.run(cx, key, operations.overflow)?;
    if number.is_none() {
        // The string gets as long all the same.
        cx.reach(key, byte)?;
    }
    reply.array(1);
    match number {
        Some(number) => reply.integer(number),
        None => reply.null(),
    }
    Ok(())
}
