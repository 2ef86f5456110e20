//! A small seeded generator (SplitMix64): a failing run is repeated from the seed that it prints.
//! Or a stream of bytes from elsewhere, which a fuzzer makes up.

use std::collections::VecDeque;

/// A stream of numbers that its seed, or its bytes, decide.
pub struct Random {
    state: u64,
    bytes: Option<VecDeque<u8>>,
}

impl Random {
    /// The stream of this seed.
    pub fn new(seed: u64) -> Random {
        Random { state: seed, bytes: None }
    }

    /// The stream that these bytes spell; zeros follow.
    pub fn from_bytes(bytes: &[u8]) -> Random {
        Random { state: 0, bytes: Some(bytes.iter().copied().collect()) }
    }

    /// Whether the bytes that it was made from are used up.
    pub fn is_spent(&self) -> bool {
        self.bytes.as_ref().is_some_and(VecDeque::is_empty)
    }

    /// Any number.
    pub fn number(&mut self) -> u64 {
        if self.bytes.is_some() {
            return self.spelt(usize::MAX);
        }
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which is at least 1.
    pub fn below(&mut self, bound: usize) -> usize {
        let number = if self.bytes.is_some() { self.spelt(bound) } else { self.number() };
        (number % bound as u64) as usize
    }

    /// True once in `times`.
    pub fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// One of the items.
    pub fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())]
    }

    /// The next bytes, no more of them than numbers below `bound` need.
    fn spelt(&mut self, bound: usize) -> u64 {
        let (mut number, mut reach) = (0, 1_u64);
        while let Some(byte) = self.bytes.as_mut().and_then(VecDeque::pop_front) {
            number = number << 8 | u64::from(byte);
            reach = reach.saturating_mul(256);
            if reach >= bound as u64 {
                break;
            }
        }
        number
    }
}
