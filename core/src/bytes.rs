//! Copies of bytes that cannot panic: the edge build carries no panic's message, nor the means to
//! print one.

/// Copies as much of `source` as `target` has room for.
#[inline]
pub(crate) fn copy(target: &mut [u8], source: &[u8]) {
    let len = target.len().min(source.len());
    if let (Some(target), Some(source)) = (target.get_mut(..len), source.get(..len)) {
        target.copy_from_slice(source);
    }
}

/// Writes `source` into `target` from `start` on, if there is room for it.
pub(crate) fn write_at(target: &mut [u8], start: usize, source: &[u8]) {
    if let Some(target) = target.get_mut(start..) {
        copy(target, source);
    }
}

/// Moves `len` bytes within `bytes`, which may overlap.
pub(crate) fn shift(bytes: &mut [u8], from: usize, to: usize, len: usize) {
    for step in 0..len {
        // From the end when they move up, so that none is overwritten before it is read.
        let offset = if to > from { len - 1 - step } else { step };
        let byte = bytes.get(from + offset).copied();
        if let (Some(byte), Some(target)) = (byte, bytes.get_mut(to + offset)) {
            *target = byte;
        }
    }
}
