//! Copies of bytes that cannot panic: the edge build carries no panic's message, nor the means to
//! print one.

use core::ops::Range;

/// Copies as much of `source` as `target` has room for.
#[inline]
pub(crate) fn copy(target: &mut [u8], source: &[u8]) {
    let len = target.len().min(source.len());
    if let (Some(target), Some(source)) = (target.get_mut(..len), source.get(..len)) {
        target.copy_from_slice(source);
    }
}

/// Whether no byte is above 127, eight at a time.
#[inline]
pub(crate) fn is_ascii(bytes: &[u8]) -> bool {
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    let (words, rest) = bytes.as_chunks();
    let any = words.iter().fold(0, |any, &word| any | u64::from_le_bytes(word));
    let rest = rest.iter().fold(0, |any, &byte| any | u64::from(byte));
    (any | rest) & HIGHS == 0
}

/// The highest bit of each byte of a word that is equal to one; of one above a true one it may be
/// wrong.
#[inline(always)]
pub(crate) fn equal_bytes(word: u64, byte: u8) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = ONES << 7;
    let differing = word ^ (ONES * u64::from(byte));
    differing.wrapping_sub(ONES) & !differing & HIGHS
}

/// Writes `source` into `target` from `start` on, if there is room for it.
#[inline]
pub(crate) fn write_at(target: &mut [u8], start: usize, source: &[u8]) {
    if let Some(target) = target.get_mut(start..) {
        copy(target, source);
    }
}

/// Whether two strings are the same. Short ones, which most are, are compared in place by their
/// first and last words, without a call.
#[inline(always)]
pub(crate) fn same(a: &[u8], b: &[u8]) -> bool {
    let len = b.len();
    if a.len() != len {
        return false;
    }
    if cfg!(target_arch = "wasm32") {
        return same_in_wasm(a, b);
    }
    match len {
        0 => true,
        1..4 => ends::<1>(a) == ends(b) && a.get(len / 2) == b.get(len / 2),
        4..8 => ends::<4>(a) == ends(b),
        8..=16 => ends::<8>(a) == ends(b),
        _ => a == b,
    }
}

/// The first bytes and the last ones.
#[inline(always)]
fn ends<const N: usize>(bytes: &[u8]) -> (Option<&[u8; N]>, Option<&[u8; N]>) {
    (bytes.first_chunk(), bytes.last_chunk())
}

/// The same in wasm, where the library, built to be small, compares byte by byte.
#[inline]
fn same_in_wasm(a: &[u8], b: &[u8]) -> bool {
    let words =
        |bytes| <[u8]>::as_chunks::<8>(bytes).0.iter().map(|word| u64::from_le_bytes(*word));
    if let (Some(a_first), Some(b_first), Some(a_last), Some(b_last)) =
        (a.first_chunk::<8>(), b.first_chunk::<8>(), a.last_chunk::<8>(), b.last_chunk::<8>())
    {
        return a_last == b_last && a_first == b_first && (a.len() <= 16 || words(a).eq(words(b)));
    }
    a.iter().zip(b).all(|(a, b)| a == b)
}

/// No bytes, where a record has some: apart, so that the way to those that are there is a branch.
/// A conditional move would have to wait for the head to come from memory, and the value's own
/// line would be asked for only then.
#[cold]
#[cfg_attr(not(target_arch = "wasm32"), inline(never))]
pub(crate) fn nothing<'a>() -> &'a [u8] {
    &[]
}

/// The bytes at a place, or none where there is no such place.
#[cfg_attr(target_arch = "wasm32", inline(never))]
#[cfg_attr(not(target_arch = "wasm32"), inline)]
pub(crate) fn part(bytes: &[u8], place: Range<usize>) -> &[u8] {
    bytes.get(place).unwrap_or_default()
}
