//! Copies of bytes that cannot panic: the edge build carries no panic's message, nor the means to
//! print one.

/// Copies as much of `source` as `target` has room for.
#[inline]
pub(crate) fn copy(target: &mut [u8], source: &[u8]) {
    for (target, source) in target.iter_mut().zip(source) {
        *target = *source;
    }
}

/// Writes `source` into `target` from `start` on, if there is room for it.
pub(crate) fn write_at(target: &mut [u8], start: usize, source: &[u8]) {
    if let Some(target) = target.get_mut(start..) {
        copy(target, source);
    }
}
