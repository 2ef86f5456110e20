//! The memory that the host writes requests to: buffers that it was handed.
//!
//! Invariant: bytes are only ever read inside one of these buffers, through the one that owns
//! them. A pointer that the host makes up, or a length that runs over an end, finds nothing.

use alloc::vec::Vec;

use crate::limits::{BLOCK_BYTES, BUFFER_BYTES_MAX, BUFFERS_MAX};

/// What the host holds.
pub(crate) struct Buffers {
    held: Vec<Vec<u8>>,
}

impl Buffers {
    pub(crate) const fn new() -> Buffers {
        Buffers { held: Vec::new() }
    }

    /// Hands out a buffer of so many bytes, all zero. Its address, or zero if there is none.
    pub(crate) fn allocate(&mut self, len: usize) -> usize {
        let is_allowed = (1..=BUFFER_BYTES_MAX).contains(&len) && self.held.len() < BUFFERS_MAX;
        let mut bytes = Vec::new();
        if !is_allowed
            || bytes.try_reserve_exact(len.next_multiple_of(BLOCK_BYTES)).is_err()
            || self.held.try_reserve_exact(BUFFERS_MAX - self.held.len()).is_err()
        {
            return 0;
        }
        bytes.resize(len, 0);
        let address = address_of(&bytes);
        self.held.push(bytes);
        address
    }

    /// Takes a buffer back. Whether it was one.
    pub(crate) fn free(&mut self, address: usize) -> bool {
        let position = self.held.iter().position(|buffer| address_of(buffer) == address);
        if let Some(position) = position {
            self.held.swap_remove(position);
        }
        position.is_some()
    }

    /// The bytes from an address on, if all of them lie in one buffer. None at all need no buffer.
    pub(crate) fn bytes(&self, address: usize, len: usize) -> Option<&[u8]> {
        if len == 0 {
            return Some(&[]);
        }
        self.held.iter().find_map(|buffer| {
            let start = address.checked_sub(address_of(buffer))?;
            buffer.get(start..start.checked_add(len)?)
        })
    }
}

/// Where bytes lie, as the host names it.
pub(crate) fn address_of(bytes: &[u8]) -> usize {
    bytes.as_ptr().expose_provenance()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_lies_in_one_buffer_is_found() {
        let mut buffers = Buffers::new();
        let (first, second) = (buffers.allocate(8), buffers.allocate(4));
        let found = |address, len| buffers.bytes(address, len).map(<[u8]>::len);
        assert_eq!(found(first, 8), Some(8));
        assert_eq!(found(first + 3, 5), Some(5));
        assert_eq!(found(first + 8, 0), Some(0), "nothing is everywhere");
        for (address, len) in [
            (first, 9),
            (first + 8, 1),
            (first - 1, 2),
            (0, 1),
            (first, usize::MAX),
            (first + 1, usize::MAX),
            (usize::MAX, 1),
            (usize::MAX, usize::MAX),
        ] {
            assert_eq!(found(address, len), None, "{address} {len}");
        }
        assert!(buffers.free(second));
        assert!(!buffers.free(second), "once");
        assert!(!buffers.free(first + 1), "by its first byte only");
        assert_eq!(buffers.bytes(second, 4), None);
    }

    #[test]
    fn buffers_are_limited_in_number_and_in_length() {
        let mut buffers = Buffers::new();
        assert_eq!(buffers.allocate(0), 0);
        assert_eq!(buffers.allocate(BUFFER_BYTES_MAX + 1), 0);
        assert_eq!(buffers.allocate(usize::MAX), 0);
        for _ in 0..BUFFERS_MAX {
            assert_ne!(buffers.allocate(1), 0);
        }
        assert_eq!(buffers.allocate(1), 0);
    }
}
