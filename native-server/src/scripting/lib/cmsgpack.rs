//! `cmsgpack`: values in MessagePack.
//!
//! Not here: extension types, which Redis's library does not read either.

use mlua::{MultiValue, Table, Value};

use crate::limits::scripting::{PACKED_BYTES_MAX, UNPACKED_DEPTH_MAX, UNPACKED_MAX};
use crate::scripting::arguments::{Arguments, Refused};

/// Tables inside each other that are packed; what is deeper is nil.
const NESTING_MAX: usize = 16;

const MISSING: &str = "Missing bytes in input.";
const BAD: &str = "Bad data format in input.";

/// `cmsgpack.pack`.
pub fn pack(arguments: &Arguments<'_>) -> Result<MultiValue, Refused> {
    if arguments.count() == 0 {
        return Err("bad argument #0 to 'pack' (MessagePack pack needs input.)".into());
    }
    let mut out = Vec::new();
    for at in 0..arguments.count() {
        put(&mut out, arguments.get(at), 0)?;
    }
    let packed = arguments.lua.create_string(out).map_err(|why| why.to_string())?;
    Ok(MultiValue::from_iter([Value::String(packed)]))
}

fn put(out: &mut Vec<u8>, value: &Value, level: usize) -> Result<(), Refused> {
    if out.len() > PACKED_BYTES_MAX {
        return Err("what is packed is too long".into());
    }
    match value {
        Value::String(text) => put_bytes(out, &text.as_bytes()),
        Value::Boolean(is_true) => out.push(if *is_true { 0xc3 } else { 0xc2 }),
        Value::Integer(number) => put_integer(out, *number),
        // A zero with a sign is a whole number as well.
        Value::Number(number) if *number == 0.0 => put_integer(out, 0),
        Value::Number(number) => put_number(out, *number),
        Value::Table(table) if level < NESTING_MAX => put_table(out, table, level + 1)?,
        _ => out.push(0xc0),
    }
    Ok(())
}

/// A mark with the length in it, or one of those behind which it stands in one, two or four bytes.
fn put_head(out: &mut Vec<u8>, len: usize, (mark, short_max): (u8, usize), longer: [u8; 3]) {
    let [one, two, four] = longer;
    if len <= short_max {
        out.push(mark | len as u8);
    } else if one != 0 && len <= 0xff {
        out.extend_from_slice(&[one, len as u8]);
    } else if len <= 0xffff {
        out.push(two);
        out.extend_from_slice(&(len as u16).to_be_bytes());
    } else {
        out.push(four);
        out.extend_from_slice(&(len as u32).to_be_bytes());
    }
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_head(out, bytes.len(), (0xa0, 31), [0xd9, 0xda, 0xdb]);
    out.extend_from_slice(bytes);
}

fn put_integer(out: &mut Vec<u8>, number: i64) {
    let bytes = number.to_be_bytes();
    let [.., e, f, g, h] = bytes;
    match number {
        -32..=0x7f => out.push(h),
        0x80..=0xff => out.extend_from_slice(&[0xcc, h]),
        -0x80..=-33 => out.extend_from_slice(&[0xd0, h]),
        0x100..=0xffff => out.extend_from_slice(&[0xcd, g, h]),
        -0x8000..=-0x81 => out.extend_from_slice(&[0xd1, g, h]),
        0x1_0000..=0xffff_ffff => out.extend_from_slice(&[0xce, e, f, g, h]),
        -0x8000_0000..=-0x8001 => out.extend_from_slice(&[0xd2, e, f, g, h]),
        _ => {
            out.push(if number < 0 { 0xd3 } else { 0xcf });
            out.extend_from_slice(&bytes);
        }
    }
}

fn put_number(out: &mut Vec<u8>, number: f64) {
    if f64::from(number as f32) == number {
        out.push(0xca);
        out.extend_from_slice(&(number as f32).to_be_bytes());
    } else {
        out.push(0xcb);
        out.extend_from_slice(&number.to_be_bytes());
    }
}

fn put_table(out: &mut Vec<u8>, table: &Table, level: usize) -> Result<(), Refused> {
    let failed = |why: mlua::Error| why.to_string();
    let (mut count, mut greatest, mut is_array) = (0_usize, 0_i64, true);
    table
        .for_each(|key: Value, _: Value| {
            count += 1;
            match key {
                Value::Integer(number) if number > 0 && i32::try_from(number).is_ok() => {
                    greatest = greatest.max(number);
                }
                _ => is_array = false,
            }
            Ok(())
        })
        .map_err(failed)?;
    if is_array && greatest == count as i64 {
        put_head(out, count, (0x90, 15), [0, 0xdc, 0xdd]);
        for at in 1..=count {
            put(out, &table.raw_get(at).map_err(failed)?, level)?;
        }
        return Ok(());
    }
    put_head(out, count, (0x80, 15), [0, 0xde, 0xdf]);
    let mut outcome = Ok(());
    table
        .for_each(|key: Value, value: Value| {
            if outcome.is_ok() {
                outcome = put(out, &key, level).and_then(|()| put(out, &value, level));
            }
            Ok(())
        })
        .map_err(failed)?;
    outcome
}

/// Packed values, read one after the other.
struct Packed<'p, 'l> {
    arguments: &'p Arguments<'l>,
    rest: &'p [u8],
}

impl<'p> Packed<'p, '_> {
    fn take(&mut self, count: usize) -> Result<&'p [u8], Refused> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(MISSING)?;
        self.rest = rest;
        Ok(taken)
    }

    /// An unsigned integer of so many bytes.
    fn unsigned(&mut self, count: usize) -> Result<u64, Refused> {
        let bytes = self.take(count)?;
        Ok(bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    fn signed(&mut self, count: usize) -> Result<i64, Refused> {
        let unused = 64 - 8 * count as u32;
        Ok(((self.unsigned(count)? << unused) as i64) >> unused)
    }

    fn string(&mut self, len: usize) -> Result<Value, Refused> {
        let bytes = self.take(len)?;
        let text = self.arguments.lua.create_string(bytes).map_err(|why| why.to_string())?;
        Ok(Value::String(text))
    }

    fn value(&mut self, depth: usize) -> Result<Value, Refused> {
        if depth > UNPACKED_DEPTH_MAX {
            return Err("stack overflow (in function mp_decode_to_lua_type)".into());
        }
        let mark = self.unsigned(1).map_err(|_| MISSING)? as u8;
        let large = |number: u64| Value::Number(number as f64);
        Ok(match mark {
            0x00..=0x7f => Value::Integer(i64::from(mark)),
            0x80..=0x8f => self.map(usize::from(mark & 0xf), depth)?,
            0x90..=0x9f => self.array(usize::from(mark & 0xf), depth)?,
            0xa0..=0xbf => self.string(usize::from(mark & 0x1f))?,
            0xc0 => Value::Nil,
            0xc2 | 0xc3 => Value::Boolean(mark == 0xc3),
            0xc4..=0xc6 => {
                let len = self.unsigned(1 << (mark - 0xc4))?;
                self.string(len as usize)?
            }
            0xca => Value::Number(f64::from(f32::from_bits(self.unsigned(4)? as u32))),
            0xcb => Value::Number(f64::from_bits(self.unsigned(8)?)),
            0xcc..=0xcf => large(self.unsigned(1 << (mark - 0xcc))?),
            0xd0..=0xd3 => Value::Number(self.signed(1 << (mark - 0xd0))? as f64),
            0xd9..=0xdb => {
                let len = self.unsigned(1 << (mark - 0xd9))?;
                self.string(len as usize)?
            }
            0xdc | 0xdd => {
                let len = self.unsigned(2 << (mark - 0xdc))?;
                self.array(len as usize, depth)?
            }
            0xde | 0xdf => {
                let len = self.unsigned(2 << (mark - 0xde))?;
                self.map(len as usize, depth)?
            }
            0xe0..=0xff => Value::Integer(i64::from(mark as i8)),
            _ => return Err(BAD.into()),
        })
    }

    fn array(&mut self, len: usize, depth: usize) -> Result<Value, Refused> {
        let failed = |why: mlua::Error| why.to_string();
        let table = self.arguments.lua.create_table().map_err(failed)?;
        for at in 1..=len {
            let value = self.value(depth + 1)?;
            table.raw_set(at, value).map_err(failed)?;
        }
        Ok(Value::Table(table))
    }

    fn map(&mut self, len: usize, depth: usize) -> Result<Value, Refused> {
        let failed = |why: mlua::Error| why.to_string();
        let table = self.arguments.lua.create_table().map_err(failed)?;
        for _ in 0..len {
            let key = self.value(depth + 1)?;
            let value = self.value(depth + 1)?;
            match key {
                Value::Nil => return Err("table index is nil".into()),
                Value::Number(number) if number.is_nan() => {
                    return Err("table index is NaN".into());
                }
                key => table.raw_set(key, value).map_err(failed)?,
            }
        }
        Ok(Value::Table(table))
    }
}

/// `cmsgpack.unpack`: everything that is there.
pub fn unpack(arguments: &Arguments<'_>) -> Result<MultiValue, Refused> {
    let text = arguments.string(0)?;
    let text = text.as_bytes();
    let mut packed = Packed { arguments, rest: &text };
    let mut values = Vec::new();
    while !packed.rest.is_empty() {
        add(&mut values, packed.value(0)?)?;
    }
    Ok(MultiValue::from_vec(values))
}

fn add(values: &mut Vec<Value>, value: Value) -> Result<(), Refused> {
    if values.len() >= UNPACKED_MAX {
        return Err("stack overflow (in function mp_unpack)".into());
    }
    values.push(value);
    Ok(())
}

/// `cmsgpack.unpack_one` and `unpack_limit`: so many values, behind the place where the next is.
pub fn unpack_limit(arguments: &Arguments<'_>, has_limit: bool) -> Result<MultiValue, Refused> {
    let text = arguments.string(0)?;
    let text = text.as_bytes();
    let limit = if has_limit { arguments.integer(1)? } else { 1 };
    let offset = arguments.integer_or(1 + usize::from(has_limit), 0)?;
    let (limit, offset) = (limit as i32, offset as i32);
    let (Ok(count), Ok(start)) = (usize::try_from(limit), usize::try_from(offset)) else {
        return Err(format!(
            "Invalid request to unpack with offset of {offset} and limit of {limit}."
        ));
    };
    let Some(rest) = text.get(start..) else {
        let len = text.len();
        return Err(format!("Start offset {offset} greater than input length {len}."));
    };
    let mut packed = Packed { arguments, rest };
    // A limit of zero is none.
    let count = if count == 0 { usize::MAX } else { count };
    let mut values = vec![Value::Nil];
    while !packed.rest.is_empty() && values.len() <= count {
        add(&mut values, packed.value(0)?)?;
    }
    let place = match packed.rest {
        [] => -1,
        rest => (text.len() - rest.len()) as i64,
    };
    // Redis leaves no place where everything was asked for.
    if count == usize::MAX {
        values.remove(0);
    } else if let Some(first) = values.first_mut() {
        *first = Value::Integer(place);
    }
    Ok(MultiValue::from_vec(values))
}
