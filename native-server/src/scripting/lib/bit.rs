//! `bit`: operations on the bits of numbers, as LuaBitOp has them.
//!
//! Invariant: numbers are taken modulo 2^32, and results are signed.

use mlua::{MultiValue, Value};

use crate::scripting::arguments::{Arguments, Refused};

/// What a number has in its lowest 32 bits, rounded as the sum with 1.5 times 2^52 is.
fn bits(arguments: &Arguments<'_>, at: usize) -> Result<u32, Refused> {
    let number = arguments.number(at)?;
    Ok((number + 6_755_399_441_055_744.0).to_bits() as u32)
}

fn signed(bits: u32) -> MultiValue {
    MultiValue::from_iter([Value::Integer(i64::from(bits as i32))])
}

/// What is done with one number.
pub fn unary(arguments: &Arguments<'_>, act: fn(u32) -> u32) -> Result<MultiValue, Refused> {
    Ok(signed(act(bits(arguments, 0)?)))
}

/// What is done with any number of numbers, one after the other.
pub fn fold(arguments: &Arguments<'_>, act: fn(u32, u32) -> u32) -> Result<MultiValue, Refused> {
    let mut folded = bits(arguments, 0)?;
    for at in 1..arguments.count() {
        folded = act(folded, bits(arguments, at)?);
    }
    Ok(signed(folded))
}

/// What is done with a number by so many places, of which 31 are the most.
pub fn shift(arguments: &Arguments<'_>, act: fn(u32, u32) -> u32) -> Result<MultiValue, Refused> {
    Ok(signed(act(bits(arguments, 0)?, bits(arguments, 1)? & 31)))
}

/// `tohex`: so many of the last digits, in capitals if the number is negative.
pub fn tohex(arguments: &Arguments<'_>) -> Result<MultiValue, Refused> {
    let number = bits(arguments, 0)?;
    let digits = match arguments.count() {
        0 | 1 => 8,
        _ => bits(arguments, 1)? as i32,
    };
    // The magnitude of the lowest number does not fit where LuaBitOp puts it.
    let count = digits.unsigned_abs().min(8) as usize;
    let text = if digits < 0 { format!("{number:08X}") } else { format!("{number:08x}") };
    let text = text.get(8 - count..).unwrap_or_default();
    let text = arguments.lua.create_string(text).map_err(|why| why.to_string())?;
    Ok(MultiValue::from_iter([Value::String(text)]))
}
