//! From an element to the register it counts in, and from the registers to the number of elements.
//!
//! The estimator is Ertl's ("New cardinality estimation algorithms for HyperLogLog sketches",
//! 2017), in double precision and in the order in which Redis computes it, for the same answers.

use super::sketch::REGISTERS;

/// Bits of the hash that choose the register, and those of which the zeros are counted.
const INDEX_BITS: u32 = REGISTERS.trailing_zeros();
const COUNTED_BITS: u32 = u64::BITS - INDEX_BITS;

/// How many registers hold each number.
pub(super) type Histogram = [u32; 64];

/// The register of an element, and what it raises it to: the position of the lowest one among the
/// other bits of its hash.
pub(super) fn place(element: &[u8]) -> (usize, u8) {
    let hash = hash(element);
    let index = hash as usize % REGISTERS;
    let counted = hash >> INDEX_BITS | 1 << COUNTED_BITS;
    (index, counted.trailing_zeros() as u8 + 1)
}

/// MurmurHash64A with the seed that Redis gives it.
fn hash(element: &[u8]) -> u64 {
    const FACTOR: u64 = 0xc6a4_a793_5bd1_e995;
    const SEED: u64 = 0xadc8_3b19;
    let mut hash = SEED ^ (element.len() as u64).wrapping_mul(FACTOR);
    let (words, rest) = element.as_chunks();
    for word in words {
        let mut word = u64::from_le_bytes(*word).wrapping_mul(FACTOR);
        word ^= word >> 47;
        hash = (hash ^ word.wrapping_mul(FACTOR)).wrapping_mul(FACTOR);
    }
    if !rest.is_empty() {
        let word = rest.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
        hash = (hash ^ word).wrapping_mul(FACTOR);
    }
    hash = (hash ^ hash >> 47).wrapping_mul(FACTOR);
    hash ^ hash >> 47
}

/// How many elements there are, nearly.
pub(super) fn estimate(histogram: &Histogram) -> u64 {
    /// One over twice the natural logarithm of two.
    #[expect(clippy::excessive_precision, reason = "as it stands in the literature")]
    const ALPHA: f64 = 0.721_347_520_444_481_703_680;
    let count = REGISTERS as f64;
    let registers = |holding: u32| f64::from(histogram.get(holding as usize).copied().unwrap_or(0));
    let mut sum = count * tau((count - registers(COUNTED_BITS + 1)) / count);
    for holding in (1..=COUNTED_BITS).rev() {
        sum = 0.5 * (sum + registers(holding));
    }
    sum += count * sigma(registers(0) / count);
    let size = ALPHA * count * count / sum;
    // Registers that no element has raised so far: what C makes of infinity.
    if size.is_infinite() { 1 << 63 } else { rounded(size) }
}

/// The nearest integer, a half being rounded up.
fn rounded(number: f64) -> u64 {
    let whole = number as u64;
    if number - whole as f64 >= 0.5 { whole + 1 } else { whole }
}

/// What the registers that are zero add. Each step at least halves what the next one adds, so it
/// soon adds nothing.
fn sigma(share: f64) -> f64 {
    if share == 1.0 {
        return f64::INFINITY;
    }
    let (mut power, mut factor, mut sum) = (share, 1.0, share);
    loop {
        power *= power;
        let before = sum;
        sum += power * factor;
        factor += factor;
        if sum == before {
            return sum;
        }
    }
}

/// What the registers add that are as high as can be. It ends as `sigma` does.
fn tau(share: f64) -> f64 {
    if share == 0.0 || share == 1.0 {
        return 0.0;
    }
    let (mut root, mut factor, mut sum) = (share, 1.0, 1.0 - share);
    loop {
        root = libm::sqrt(root);
        let before = sum;
        factor *= 0.5;
        sum -= (1.0 - root) * (1.0 - root) * factor;
        if sum == before {
            return sum / 3.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::indexing_slicing, reason = "a test may panic")]
    fn the_estimate_is_near() {
        let mut registers = [0; REGISTERS];
        for number in 0..100_000u64 {
            let (index, count) = place(&number.to_le_bytes());
            registers[index] = count.max(registers[index]);
        }
        let mut histogram = [0; 64];
        registers.iter().for_each(|&count| histogram[usize::from(count)] += 1);
        let size = estimate(&histogram);
        assert!((98_000..102_000).contains(&size), "{size}");
        histogram = [0; 64];
        histogram[0] = REGISTERS as u32;
        assert_eq!(estimate(&histogram), 0);
    }
}
