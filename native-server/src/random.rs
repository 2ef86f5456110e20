//! Random numbers for seeds and names, from what the standard library draws for its hash tables.

use std::hash::{BuildHasher, Hasher, RandomState};

/// A number that nobody can guess.
pub fn number() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// So many hexadecimal digits.
pub fn hexadecimal(digits: usize) -> String {
    let mut text = String::new();
    while text.len() < digits {
        text.push_str(&format!("{:016x}", number()));
    }
    text.truncate(digits);
    text
}
