//! `struct`: numbers and strings in the layouts of C, by a format.
//!
//! The letters: `b B h H l L T i I` integers (a number behind `i` and `I` is their size), `f d`
//! numbers with decimals, `s` a string with a zero behind it, `c` one of so many bytes (`c0`: of as
//! many as it has, or as the number before it says), `x` a byte of padding; `< > = !` say how.

use mlua::{MultiValue, Value};

use crate::limits::scripting::UNPACKED_MAX;
use crate::scripting::arguments::{Arguments, Refused};

/// Bytes of the longest integer.
const INTEGER_BYTES_MAX: usize = 32;
/// What `!` alone aligns to.
const ALIGNMENT_MAX: usize = 8;

/// A format, read from left to right.
struct Format<'f> {
    rest: &'f [u8],
    is_little: bool,
    alignment: usize,
}

/// An item of a format: its letter and its size.
struct Item {
    letter: u8,
    size: usize,
}

impl<'f> Format<'f> {
    fn new(text: &'f [u8]) -> Format<'f> {
        Format { rest: text, is_little: true, alignment: 1 }
    }

    fn number(&mut self, default: usize) -> Result<usize, Refused> {
        let digits = self.rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits == 0 {
            return Ok(default);
        }
        let (text, rest) = self.rest.split_at(digits);
        self.rest = rest;
        let number = text.iter().try_fold(0_i32, |number, digit| {
            number.checked_mul(10)?.checked_add(i32::from(digit - b'0'))
        });
        number.map(|number| number as usize).ok_or_else(|| "integral size overflow".into())
    }

    /// The next item that stands for bytes, or that is unknown.
    fn next(&mut self, arguments: &Arguments<'_>) -> Result<Option<Item>, Refused> {
        while let Some((&letter, rest)) = self.rest.split_first() {
            self.rest = rest;
            let size = match letter {
                b'b' | b'B' | b'x' => 1,
                b'h' | b'H' => 2,
                b'l' | b'L' | b'T' | b'd' => 8,
                b'f' => 4,
                b's' => 0,
                b'c' => self.number(1)?,
                b'i' | b'I' => {
                    let size = self.number(4)?;
                    if size > INTEGER_BYTES_MAX {
                        return Err(format!(
                            "integral size {size} is larger than limit of {INTEGER_BYTES_MAX}"
                        ));
                    }
                    size
                }
                b' ' => continue,
                b'>' | b'<' => {
                    self.is_little = letter == b'<';
                    continue;
                }
                b'!' => {
                    let alignment = self.number(ALIGNMENT_MAX)?;
                    if !alignment.is_power_of_two() {
                        return Err(format!("alignment {alignment} is not a power of 2"));
                    }
                    self.alignment = alignment;
                    continue;
                }
                // C's strings end at a zero.
                0 => return Ok(None),
                _ => {
                    let shown = String::from_utf8_lossy(&[letter]).into_owned();
                    return Err(arguments.refuse(0, &format!("invalid format option '{shown}'")));
                }
            };
            return Ok(Some(Item { letter, size }));
        }
        Ok(None)
    }

    /// Bytes that bring an item to a place where it may stand.
    fn padding(&self, at: usize, item: &Item) -> usize {
        let size = item.size.min(self.alignment);
        if size == 0 || item.letter == b'c' {
            return 0;
        }
        size.wrapping_sub(at & size.wrapping_sub(1)) & size.wrapping_sub(1)
    }
}

/// `struct.pack`.
pub fn pack(arguments: &Arguments<'_>) -> Result<MultiValue, Refused> {
    let text = arguments.string(0)?;
    let text = text.as_bytes();
    let mut format = Format::new(&text);
    let (mut out, mut at) = (Vec::new(), 0);
    while let Some(item) = format.next(arguments)? {
        out.resize(out.len() + format.padding(out.len(), &item), 0);
        match item.letter {
            b'x' => out.push(0),
            b's' | b'c' => {
                at += 1;
                let string = arguments.string(at)?;
                let bytes = string.as_bytes();
                let size = if item.size == 0 { bytes.len() } else { item.size };
                let bytes =
                    bytes.get(..size).ok_or_else(|| arguments.refuse(at, "string too short"))?;
                out.extend_from_slice(bytes);
                if item.letter == b's' {
                    out.push(0);
                }
            }
            letter => {
                at += 1;
                let number = arguments.number(at)?;
                put_number(&mut out, number, letter, item.size, format.is_little);
            }
        }
    }
    let packed = arguments.lua.create_string(out).map_err(|why| why.to_string())?;
    Ok(MultiValue::from_iter([Value::String(packed)]))
}

fn put_number(out: &mut Vec<u8>, number: f64, letter: u8, size: usize, is_little: bool) {
    let start = out.len();
    match letter {
        b'f' => out.extend_from_slice(&(number as f32).to_le_bytes()),
        b'd' => out.extend_from_slice(&number.to_le_bytes()),
        _ => {
            let integer = if number < 0.0 { number as i64 as u64 } else { wrapped(number) };
            let bytes = integer.to_le_bytes();
            out.extend((0..size).map(|at| bytes.get(at).copied().unwrap_or_default()));
        }
    }
    if !is_little && let Some(written) = out.get_mut(start..) {
        written.reverse();
    }
}

/// A number that is not negative as C's `unsigned long long`, also if it is too large.
fn wrapped(number: f64) -> u64 {
    // What does not fit is undefined in C; x86-64 leaves zero beyond 2^64.
    if number >= 18_446_744_073_709_551_616.0 { 0 } else { number as u64 }
}

/// `struct.unpack`.
pub fn unpack(arguments: &Arguments<'_>) -> Result<MultiValue, Refused> {
    let (text, data) = (arguments.string(0)?, arguments.string(1)?);
    let (text, data) = (text.as_bytes(), data.as_bytes());
    let position = arguments.integer_or(2, 1)?;
    let mut at = usize::try_from(position).ok().and_then(|position| position.checked_sub(1));
    let mut at = at.take().ok_or_else(|| arguments.refuse(2, "offset must be 1 or greater"))?;
    let mut format = Format::new(&text);
    let mut values: Vec<Value> = Vec::new();
    let too_short = || arguments.refuse(1, "data string too short");
    while let Some(item) = format.next(arguments)? {
        at = at.saturating_add(format.padding(at, &item));
        let mut bytes = slice(&data, at, item.size).ok_or_else(too_short)?;
        if values.len() >= UNPACKED_MAX {
            return Err("stack overflow (too many results)".into());
        }
        match item.letter {
            b'x' => {}
            b's' => {
                let rest = data.get(at..).unwrap_or_default();
                let end = rest.iter().position(|&byte| byte == 0);
                let end = end.ok_or("unfinished string in data")?;
                values.push(string(arguments, rest.get(..end).unwrap_or_default())?);
                bytes = rest.get(..=end).unwrap_or_default();
            }
            b'c' => {
                if item.size == 0 {
                    let size = match values.pop() {
                        Some(Value::Number(size)) => size as usize,
                        Some(Value::Integer(size)) => size as usize,
                        _ => return Err("format 'c0' needs a previous size".into()),
                    };
                    bytes = slice(&data, at, size).ok_or_else(too_short)?;
                }
                values.push(string(arguments, bytes)?);
            }
            letter => values.push(Value::Number(number(bytes, letter, format.is_little))),
        }
        at += bytes.len();
    }
    values.push(Value::Integer(at as i64 + 1));
    Ok(MultiValue::from_vec(values))
}

fn slice(data: &[u8], at: usize, size: usize) -> Option<&[u8]> {
    data.get(at..at.checked_add(size)?)
}

fn string(arguments: &Arguments<'_>, bytes: &[u8]) -> Result<Value, Refused> {
    arguments.lua.create_string(bytes).map(Value::String).map_err(|why| why.to_string())
}

fn number(bytes: &[u8], letter: u8, is_little: bool) -> f64 {
    let mut ordered = [0; INTEGER_BYTES_MAX];
    for (at, place) in ordered.iter_mut().enumerate().take(bytes.len()) {
        let from = if is_little { at } else { bytes.len() - 1 - at };
        *place = bytes.get(from).copied().unwrap_or_default();
    }
    let [a, b, c, d, e, f, g, h, ..] = ordered;
    let low = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
    match letter {
        b'f' => f64::from(f32::from_bits(low as u32)),
        b'd' => f64::from_bits(low),
        _ if letter.is_ascii_uppercase() => low as f64,
        _ if bytes.len() >= 8 => low as i64 as f64,
        _ => {
            let unused = 64 - 8 * bytes.len() as u32;
            let shifted = low.checked_shl(unused).unwrap_or_default() as i64;
            shifted.checked_shr(unused).unwrap_or_default() as f64
        }
    }
}

/// `struct.size`.
pub fn size(arguments: &Arguments<'_>) -> Result<MultiValue, Refused> {
    let text = arguments.string(0)?;
    let text = text.as_bytes();
    let (mut format, mut at) = (Format::new(&text), 0_usize);
    while let Some(item) = format.next(arguments)? {
        at = at.saturating_add(format.padding(at, &item));
        match item {
            Item { letter: b's', .. } => {
                return Err(arguments.refuse(0, "variable-size format in 'struct.size'"));
            }
            Item { letter: b'c', size: 0 } => {
                return Err(arguments.refuse(0, "variable-length format in 'struct.size'"));
            }
            Item { size, .. } => at = at.saturating_add(size),
        }
    }
    Ok(MultiValue::from_iter([Value::Integer(at as i64)]))
}
