//! The hash of keys: SipHash-1-3 (Aumasson and Bernstein, 2012), seeded, so that nobody who does
//! not know the seed can choose keys that collide.
//!
//! Not here: hashing in pieces. A key is one run of bytes.

/// SipHash-1-3 under one pair of keys.
pub(crate) struct Hasher {
    /// The state before the first byte.
    start: [u64; 4],
}

impl Hasher {
    pub(crate) fn new(first: u64, second: u64) -> Hasher {
        // "somepseudorandomlygeneratedbytes".
        let start = [
            first ^ 0x736f_6d65_7073_6575,
            second ^ 0x646f_7261_6e64_6f6d,
            first ^ 0x6c79_6765_6e65_7261,
            second ^ 0x7465_6462_7974_6573,
        ];
        Hasher { start }
    }

    #[cfg_attr(not(target_arch = "wasm32"), inline(always))]
    pub(crate) fn hash(&self, bytes: &[u8]) -> u64 {
        let (words, rest) = bytes.as_chunks();
        let mut state = self.start;
        for &word in words {
            absorb(&mut state, u64::from_le_bytes(word));
        }
        // The last word ends in the length's low byte.
        let tail = rest.iter().rev().fold(0, |tail, &byte| tail << 8 | u64::from(byte));
        absorb(&mut state, tail | (bytes.len() as u64) << 56);
        state[2] ^= 0xff;
        for _ in 0..3 {
            round(&mut state);
        }
        let [a, b, c, d] = state;
        a ^ b ^ c ^ d
    }
}

#[cfg_attr(not(target_arch = "wasm32"), inline(always))]
fn absorb(state: &mut [u64; 4], word: u64) {
    state[3] ^= word;
    round(state);
    state[0] ^= word;
}

#[cfg_attr(not(target_arch = "wasm32"), inline(always))]
fn round([a, b, c, d]: &mut [u64; 4]) {
    *a = a.wrapping_add(*b);
    *c = c.wrapping_add(*d);
    *b = b.rotate_left(13) ^ *a;
    *d = d.rotate_left(16) ^ *c;
    *a = a.rotate_left(32).wrapping_add(*d);
    *c = c.wrapping_add(*b);
    *b = b.rotate_left(17) ^ *c;
    *d = d.rotate_left(21) ^ *a;
    *c = c.rotate_left(32);
}

#[cfg(test)]
mod tests {
    extern crate std;

    use core::hash::Hasher as _;
    use std::collections::hash_map::DefaultHasher;
    use std::vec::Vec;

    use super::*;

    /// The standard library's hasher is SipHash-1-3 under the keys zero and zero.
    #[test]
    fn hashes_are_those_of_the_standard_library() {
        for len in 0..=64u8 {
            let bytes: Vec<u8> = (0..len).map(|byte| byte.wrapping_mul(151)).collect();
            let mut expected = DefaultHasher::new();
            expected.write(&bytes);
            assert_eq!(Hasher::new(0, 0).hash(&bytes), expected.finish(), "{len} bytes");
        }
    }

    /// Under other keys, those of the reference implementation: keys 0 to 15, bytes from 0 up.
    #[test]
    fn keys_count_as_in_the_reference() {
        let hasher = Hasher::new(0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908);
        let check = |len: u8, expected: [u8; 8]| {
            let bytes: Vec<u8> = (0..len).collect();
            assert_eq!(hasher.hash(&bytes).to_le_bytes(), expected, "{len} bytes");
        };
        check(0, [0xdc, 0xc4, 0x0f, 0x05, 0x58, 0x01, 0xac, 0xab]);
        check(1, [0x93, 0xca, 0x57, 0x7d, 0xf3, 0x9b, 0xf4, 0xc9]);
        check(2, [0x4d, 0xd4, 0xc7, 0x4d, 0x02, 0x9b, 0xcb, 0x82]);
        check(3, [0xfb, 0xf7, 0xdd, 0xe7, 0xb8, 0x0a, 0xf8, 0x8b]);
    }
}
