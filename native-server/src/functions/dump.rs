//! FUNCTION DUMP and RESTORE: all libraries as one payload, in Redis's form.
//!
//! A payload is a record `function2` for each library, then two bytes of version and eight of
//! checksum. What stands in a record begins with `#!lua`, or with `#!wasm`, which Redis refuses by
//! the engine's name.

use ferrite_engine::crc64;

use crate::commands::Refusal;

/// Redis's mark of a record with a library.
const FUNCTION2: u8 = 245;

/// The version of what is written, which every Redis since 7.0 reads, and the newest that is read.
const VERSION: u16 = 10;
const VERSION_MAX: u16 = 12;

const BAD_PAYLOAD: &str = "ERR DUMP payload version or checksum are wrong";

/// All libraries as a payload.
pub fn write<'t>(texts: impl Iterator<Item = &'t [u8]>) -> Vec<u8> {
    let mut payload = Vec::new();
    for text in texts {
        payload.push(FUNCTION2);
        let len = text.len();
        match len {
            0..64 => payload.push(len as u8),
            64..16_384 => payload.extend_from_slice(&(0x4000 | len as u16).to_be_bytes()),
            _ => {
                payload.push(0x80);
                payload.extend_from_slice(&(len as u32).to_be_bytes());
            }
        }
        payload.extend_from_slice(text);
    }
    payload.extend_from_slice(&VERSION.to_le_bytes());
    let checksum = crc64(&payload);
    payload.extend_from_slice(&checksum.to_le_bytes());
    payload
}

/// What stands in a payload: the text of each library.
///
/// # Errors
/// If it is none.
pub fn read(payload: &[u8]) -> Result<Vec<Vec<u8>>, Refusal> {
    let (framed, sum) = payload.split_last_chunk::<8>().ok_or(BAD_PAYLOAD)?;
    let (mut rest, version) = framed.split_last_chunk::<2>().ok_or(BAD_PAYLOAD)?;
    let told = u64::from_le_bytes(*sum);
    if u16::from_le_bytes(*version) > VERSION_MAX || told != 0 && told != crc64(framed) {
        return Err(BAD_PAYLOAD.into());
    }
    let mut texts = Vec::new();
    while let Some((&mark, record)) = rest.split_first() {
        if mark != FUNCTION2 {
            return Err("ERR given type is not a function".into());
        }
        let (text, behind) = string(record).ok_or("ERR failed loading given functions payload")?;
        texts.push(text);
        rest = behind;
    }
    Ok(texts)
}

/// A string as RDB has it, and what stands behind it.
fn string(record: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let (len, rest) = length(record)?;
    match len {
        Length::Plain(len) => {
            let (text, rest) = rest.split_at_checked(len)?;
            Some((text.to_vec(), rest))
        }
        Length::Compressed => {
            let (Length::Plain(packed_len), rest) = length(rest)? else { return None };
            let (Length::Plain(len), rest) = length(rest)? else { return None };
            let (packed, rest) = rest.split_at_checked(packed_len)?;
            Some((expand(packed, len)?, rest))
        }
    }
}

enum Length {
    Plain(usize),
    Compressed,
}

fn length(bytes: &[u8]) -> Option<(Length, &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    match first >> 6 {
        0 => Some((Length::Plain(usize::from(first)), rest)),
        1 => {
            let (&second, rest) = rest.split_first()?;
            Some((Length::Plain(usize::from(first & 0x3f) << 8 | usize::from(second)), rest))
        }
        2 if first == 0x80 => {
            let (len, rest) = rest.split_first_chunk::<4>()?;
            Some((Length::Plain(u32::from_be_bytes(*len) as usize), rest))
        }
        _ if first == 0xc3 => Some((Length::Compressed, rest)),
        _ => None,
    }
}

/// Text of a library of Redis's is compressed with LZF: runs, and copies of what stands before.
fn expand(mut packed: &[u8], len: usize) -> Option<Vec<u8>> {
    /// No longer text is of interest: it is that of another engine.
    const EXPANDED_BYTES_MAX: usize = 16 << 20;
    let mut out = Vec::new();
    while let Some((&control, rest)) = packed.split_first() {
        let control = usize::from(control);
        if control < 32 {
            let (run, rest) = rest.split_at_checked(control + 1)?;
            out.extend_from_slice(run);
            packed = rest;
        } else {
            let (extra, rest) = match control >> 5 {
                7 => rest.split_first().map(|(&extra, rest)| (usize::from(extra), rest))?,
                _ => (0, rest),
            };
            let (&low, rest) = rest.split_first()?;
            let distance = (control & 0x1f) << 8 | usize::from(low);
            let start = out.len().checked_sub(distance + 1)?;
            for at in start..start + (control >> 5) + extra + 2 {
                out.push(*out.get(at)?);
            }
            packed = rest;
        }
        if out.len() > len.min(EXPANDED_BYTES_MAX) {
            return None;
        }
    }
    (out.len() == len).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_compressed_is_expanded() {
        // "abcabcabcd": a run of three, a copy of six from three before, a run of one.
        let packed = [2, b'a', b'b', b'c', 4 << 5, 2, 0, b'd'];
        assert_eq!(expand(&packed, 10).as_deref(), Some(&b"abcabcabcd"[..]));
        assert_eq!(expand(&packed, 9), None);
        assert_eq!(expand(&[32, 5], 3), None);
    }
}
