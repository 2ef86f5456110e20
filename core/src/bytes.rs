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
