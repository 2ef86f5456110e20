//! Counting and finding bits in the runs of bytes of a string, many at a time.

use crate::value::Value;

use super::Span;

/// Bytes that are looked at together: the compiler turns such a step into a few wide instructions.
const STEP_BYTES: usize = 64;

/// How many bits of a span are one.
pub(super) fn count(value: &Value<'_>, span: Span) -> u64 {
    let (first, last) = ((span.first / 8) as usize, (span.last / 8) as usize);
    let runs = value.range(first, last - first + 1);
    let all: u64 = runs.parts().map(ones).sum();
    // Of the bytes at both ends only some bits are within the span.
    let before = super::byte_at(Some(*value), first) & !(0xff >> (span.first % 8));
    let behind = super::byte_at(Some(*value), last) & (0x7f >> (span.last % 8));
    all - u64::from(before.count_ones() + behind.count_ones())
}

fn ones(run: &[u8]) -> u64 {
    let (words, rest) = run.as_chunks();
    let of_words: u64 =
        words.iter().map(|&word| u64::from(u64::from_le_bytes(word).count_ones())).sum();
    let of_rest: u32 = rest.iter().map(|byte| byte.count_ones()).sum();
    of_words + u64::from(of_rest)
}

/// The first bit of a span that is one, or zero.
pub(super) fn find(value: &Value<'_>, span: Span, is_set: bool) -> Option<u64> {
    let (first, last) = ((span.first / 8) as usize, (span.last / 8) as usize);
    // What all bits of no interest look like, in a byte.
    let dull = if is_set { 0 } else { 0xff };
    let head = (super::byte_at(Some(*value), first) ^ dull) & (0xff >> (span.first % 8));
    let found = if head != 0 {
        8 * first as u64 + u64::from(head.leading_zeros())
    } else {
        find_byte(&value.range(first + 1, last - first), dull).map(|(at, byte)| {
            8 * (first + 1 + at) as u64 + u64::from((byte ^ dull).leading_zeros())
        })?
    };
    Some(found).filter(|&at| at <= span.last)
}

/// The first byte that is not a certain one, and where it is.
fn find_byte(value: &Value<'_>, dull: u8) -> Option<(usize, u8)> {
    let mut before = 0;
    for run in value.parts().filter(|_| !value.is_empty()) {
        let (steps, _) = run.as_chunks::<STEP_BYTES>();
        let is_dull =
            |step: &&[u8; STEP_BYTES]| step.iter().fold(0, |any, byte| any | (byte ^ dull)) == 0;
        let skipped = STEP_BYTES * steps.iter().take_while(is_dull).count();
        let mut rest = run.iter().enumerate().skip(skipped);
        if let Some((at, byte)) = rest.find(|(_, byte)| **byte != dull) {
            return Some((before + at, *byte));
        }
        before += run.len();
    }
    None
}
