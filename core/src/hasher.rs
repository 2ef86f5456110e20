//! The hash of keys and members: a keyed folded multiply, the construction of wyhash (Wang Yi,
//! 2019) and foldhash (Orson Peters, 2024), over three secret words.
//!
//! Two strings collide if the two halves of a product do, one factor of which is unknown to whoever
//! has not seen the secret; so nobody who does not know the seed can choose strings that collide.
//! It is no cipher: hashes must not be shown to strangers, and nothing here shows them.
//!
//! Why not SipHash: see ARCHITECTURE.md, "A folded multiply for the hash".
//!
//! Not here: hashing in pieces. A key is one run of bytes.

/// The hash under one secret.
pub(crate) struct Hasher {
    secret: [u64; 3],
}

impl Hasher {
    pub(crate) fn new(secret: [u64; 3]) -> Hasher {
        Hasher { secret }
    }

    #[cfg(feature = "snapshot")]
    pub(crate) fn secret(&self) -> [u64; 3] {
        self.secret
    }

    #[inline(always)]
    pub(crate) fn hash(&self, bytes: &[u8]) -> u64 {
        let [first, second, third] = self.secret;
        let mut state = first;
        let mut rest = bytes;
        while let Some((block, behind)) = rest.split_first_chunk::<16>()
            && !behind.is_empty()
        {
            let (low, high) = halves(block);
            state = fold(low ^ second, high ^ state);
            rest = behind;
        }
        let (low, high) = last_words(rest);
        fold(fold(low ^ second, high ^ state) ^ third, second ^ bytes.len() as u64)
    }
}

/// The last bytes, sixteen at most, as two words. Which bytes stand where is told by the length
/// alone, which is hashed as well; last, so that no bytes can stand in for it.
#[inline(always)]
fn last_words(rest: &[u8]) -> (u64, u64) {
    if let (Some(low), Some(high)) = (rest.first_chunk(), rest.last_chunk()) {
        return (u64::from_le_bytes(*low), u64::from_le_bytes(*high));
    }
    if let (Some(low), Some(high)) = (rest.first_chunk(), rest.last_chunk()) {
        return (u32::from_le_bytes(*low).into(), u32::from_le_bytes(*high).into());
    }
    (rest.iter().fold(0, |word, &byte| word << 8 | u64::from(byte)), 0)
}

#[inline]
fn halves(block: &[u8; 16]) -> (u64, u64) {
    let both = u128::from_le_bytes(*block);
    (both as u64, (both >> 64) as u64)
}

/// The two halves of a product, one upon the other.
#[inline(always)]
fn fold(a: u64, b: u64) -> u64 {
    if cfg!(target_arch = "wasm32") {
        return fold_in_words(a, b);
    }
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

/// The same where no instruction gives more than 64 bits of a product, and the compiler's own
/// function for it multiplies all of both operands' 128 bits.
#[inline]
fn fold_in_words(a: u64, b: u64) -> u64 {
    let low = |word: u64| word & u64::from(u32::MAX);
    let first = low(a) * low(b);
    let second = (a >> 32) * low(b) + (first >> 32);
    let third = low(a) * (b >> 32) + low(second);
    let high = (a >> 32) * (b >> 32) + (second >> 32) + (third >> 32);
    (third << 32 | low(first)) ^ high
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, reason = "a test may panic")]
mod tests {
    extern crate std;

    use super::*;
    use std::collections::HashSet;
    use std::format;
    use std::string::String;
    use std::vec;
    use std::vec::Vec;

    const SECRET: [u64; 3] = [0x243f_6a88_85a3_08d3, 0x1319_8a2e_0370_7344, 0xa409_3822_299f_31d0];

    /// Strings as people make them, and as they do not.
    fn strings() -> Vec<Vec<u8>> {
        let mut strings: Vec<Vec<u8>> = (0..20_000)
            .flat_map(|i| [format!("user:{i}"), format!("/path/{i}/index.html?q={i:020}")])
            .map(String::into_bytes)
            .collect();
        strings.extend((0..200).map(|len| vec![0; len]));
        for len in [1, 3, 8, 15, 16, 17, 31, 32, 33, 64] {
            for bit in 0..8 * len {
                let mut string = vec![0; len];
                string[bit / 8] |= 1 << (bit % 8);
                strings.push(string);
            }
        }
        strings
    }

    #[test]
    fn strings_that_differ_have_hashes_that_differ() {
        let hasher = Hasher::new(SECRET);
        let strings = strings();
        let distinct: HashSet<&Vec<u8>> = strings.iter().collect();
        let hashes: HashSet<u64> = distinct.iter().map(|string| hasher.hash(string)).collect();
        assert_eq!(hashes.len(), distinct.len());
    }

    #[test]
    fn a_product_in_words_is_the_same() {
        let words = [0, 1, 3, u64::from(u32::MAX), 1 << 32, u64::MAX - 1, u64::MAX];
        for a in words.into_iter().chain(SECRET) {
            for b in words.into_iter().chain(SECRET) {
                let product = u128::from(a) * u128::from(b);
                assert_eq!(fold_in_words(a, b), product as u64 ^ (product >> 64) as u64);
            }
        }
    }

    /// Low bits choose the bucket, the highest eight are the tag: both have to be even.
    #[test]
    fn every_part_of_a_hash_is_even() {
        let hasher = Hasher::new(SECRET);
        let strings = strings();
        for shift in [0, 8, 16, 24, 56] {
            let mut counts = [0usize; 256];
            for string in &strings {
                counts[(hasher.hash(string) >> shift) as usize % 256] += 1;
            }
            let mean = strings.len() as f64 / 256.0;
            let chi_squared: f64 =
                counts.iter().map(|&count| (count as f64 - mean).powi(2) / mean).sum();
            // 255 degrees of freedom: above 360 one time in 50,000, were it chance.
            assert!(chi_squared < 360.0, "bits from {shift}: {chi_squared}");
        }
    }

    /// One bit of the string, or of the secret, changes about half the bits of the hash.
    #[test]
    fn one_bit_changes_half_of_the_hash() {
        for len in [1, 4, 8, 12, 16, 24, 40] {
            let string = vec![0x5a; len];
            let hash = Hasher::new(SECRET).hash(&string);
            let mut changed = 0;
            for bit in 0..8 * len {
                let mut other = string.clone();
                other[bit / 8] ^= 1 << (bit % 8);
                changed += (Hasher::new(SECRET).hash(&other) ^ hash).count_ones() as usize;
            }
            let mean = changed as f64 / (8 * len) as f64;
            assert!((26.0..38.0).contains(&mean), "{len} bytes: {mean} bits");
            let secret = [SECRET[0] ^ 1, SECRET[1], SECRET[2]];
            assert_ne!(Hasher::new(secret).hash(&string), hash);
        }
    }
}
