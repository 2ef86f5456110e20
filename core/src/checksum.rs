//! CRC-64 as Redis has it (Jones's polynomial, reflected): of payloads, and of whole RDB files.
//!
//! Eight bytes a step, through one table for each of them, since a file may have gigabytes.

/// The sum of what was shown so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Checksum(u64);

const POLYNOMIAL: u64 = 0xad93_d235_94c9_35a9_u64.reverse_bits();

type Table = [u64; 256];

/// What a byte does to the sum, with none to seven other bytes behind it.
static TABLES: [Table; 8] = tables();

#[allow(clippy::indexing_slicing, reason = "evaluated by the compiler, which checks it")]
const fn tables() -> [Table; 8] {
    let mut tables = [[0; 256]; 8];
    let mut byte = 0;
    while byte < 256 {
        let (mut sum, mut bit) = (byte as u64, 0);
        while bit < 8 {
            sum = sum >> 1 ^ if sum & 1 == 1 { POLYNOMIAL } else { 0 };
            bit += 1;
        }
        tables[0][byte] = sum;
        byte += 1;
    }
    let mut behind = 1;
    while behind < 8 {
        let mut byte = 0;
        while byte < 256 {
            let sum = tables[behind - 1][byte];
            tables[behind][byte] = sum >> 8 ^ tables[0][(sum & 0xff) as usize];
            byte += 1;
        }
        behind += 1;
    }
    tables
}

fn entry(table: &Table, byte: u8) -> u64 {
    table.get(usize::from(byte)).copied().unwrap_or_default()
}

impl Checksum {
    /// Takes more bytes in.
    pub fn add(&mut self, bytes: &[u8]) {
        let [t0, t1, t2, t3, t4, t5, t6, t7] = &TABLES;
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            let [a, b, c, d, e, f, g, h] = (self.0 ^ u64::from_le_bytes(*word)).to_le_bytes();
            let early = entry(t7, a) ^ entry(t6, b) ^ entry(t5, c) ^ entry(t4, d);
            self.0 = early ^ entry(t3, e) ^ entry(t2, f) ^ entry(t1, g) ^ entry(t0, h);
        }
        for &byte in rest {
            self.0 = self.0 >> 8 ^ entry(t0, self.0 as u8 ^ byte);
        }
    }

    /// The sum.
    pub fn sum(self) -> u64 {
        self.0
    }
}

/// The sum of some bytes.
pub fn checksum(bytes: &[u8]) -> u64 {
    let mut sum = Checksum::default();
    sum.add(bytes);
    sum.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_pieces_have_the_sum_of_the_whole() {
        // The check value of Redis's own test.
        assert_eq!(checksum(b"123456789"), 0xe9c6_d914_c4b8_d9ca);
        let bytes: alloc::vec::Vec<u8> = (0..=255).cycle().take(1000).collect();
        let bitwise = bytes.iter().fold(0, |sum, &byte| {
            (0..8).fold(sum ^ u64::from(byte), |sum: u64, _| {
                sum >> 1 ^ if sum & 1 == 1 { POLYNOMIAL } else { 0 }
            })
        });
        for piece in [1, 3, 7, 8, 9, 64, 1000] {
            let mut sum = Checksum::default();
            bytes.chunks(piece).for_each(|piece| sum.add(piece));
            assert_eq!(sum.sum(), bitwise, "in pieces of {piece}");
        }
    }
}
