//! The bytes of the log: segments, and the records in them.
//!
//! A segment is a file of fixed length that was made ready before it is needed. It begins with a
//! head: magic, version, block, salt. Behind it stand records, each at the start of a block, since
//! the disk is written in whole blocks. A record is what one write took: a head, then bytes of the
//! log. Positions count these bytes alone, from the first that was ever appended.
//!
//! Invariant: a record verifies in its own place only. The checksum covers the segment's salt,
//! which no other segment has, and the record's position; so what an older life of the file has
//! left behind is never taken for a record.
//! Invariant: a record says up to where the log was durable when it was made. What is missing
//! below that was lost; what is missing above was never acknowledged.

use std::fmt;

/// What every segment begins with.
pub const MAGIC: [u8; 8] = *b"FERRITEL";
/// The version of this format.
pub const VERSION: u32 = 1;
/// Bytes that a segment's head has; the rest of its block is empty.
pub const SEGMENT_HEAD_BYTES: usize = 40;
/// Bytes that stand before those of a record.
pub const RECORD_HEAD_BYTES: usize = 28;
/// Where records may begin, whatever the disk's blocks.
pub const BLOCK_BYTES_MIN: usize = 512;
/// The largest block that a head may name.
pub const BLOCK_BYTES_MAX: usize = 64 * 1024;
/// Most bytes of a record, its head included.
pub const RECORD_BYTES_MAX: usize = 1 << 20;

/// The next record goes on in the middle of what this one has begun.
pub const CONTINUES: u32 = 1;

/// The head of a segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SegmentHead {
    /// Records begin at multiples of this.
    pub block_bytes: u32,
    /// A number that no other segment has.
    pub salt: u64,
    /// Where its log began anew, behind a checkpoint of at least this position; without that the
    /// segment is worth nothing. 0 where it goes on from what was there.
    pub anew: u64,
}

/// Why a file is no segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BadHead {
    /// It does not begin as one.
    NoSegment,
    /// It was written by another version.
    Version(u32),
    /// Its checksum is wrong, or what it says is impossible.
    Damaged,
}

impl fmt::Display for BadHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BadHead::NoSegment => f.write_str("this is no segment of a log"),
            BadHead::Version(version) => {
                write!(f, "the log is of version {version}; this server reads version {VERSION}")
            }
            BadHead::Damaged => f.write_str("the head of the segment is damaged"),
        }
    }
}

fn number<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).copied().unwrap_or([0; N])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(number(bytes, at))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(number(bytes, at))
}

impl SegmentHead {
    /// Its bytes.
    pub fn bytes(&self) -> [u8; SEGMENT_HEAD_BYTES] {
        let mut bytes = [0; SEGMENT_HEAD_BYTES];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.block_bytes.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.salt.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.anew.to_le_bytes());
        let crc = crc32c::crc32c(&bytes[..32]);
        bytes[32..36].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads it.
    ///
    /// # Errors
    /// Why it is none.
    pub fn read(bytes: &[u8]) -> Result<SegmentHead, BadHead> {
        if bytes.get(..8) != Some(&MAGIC) {
            return Err(BadHead::NoSegment);
        }
        let covered = bytes.get(..32).ok_or(BadHead::Damaged)?;
        if crc32c::crc32c(covered) != u32_at(bytes, 32) {
            return Err(BadHead::Damaged);
        }
        // The checksum keeps its place in every version, or damage would look like another one.
        let version = u32_at(bytes, 8);
        if version != VERSION {
            return Err(BadHead::Version(version));
        }
        let head = SegmentHead {
            block_bytes: u32_at(bytes, 12),
            salt: u64_at(bytes, 16),
            anew: u64_at(bytes, 24),
        };
        let block = head.block_bytes as usize;
        let is_possible =
            block.is_power_of_two() && (BLOCK_BYTES_MIN..=BLOCK_BYTES_MAX).contains(&block);
        if is_possible { Ok(head) } else { Err(BadHead::Damaged) }
    }
}

/// The head of a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RecordHead {
    /// Bytes of the log that it holds.
    pub len: usize,
    /// The position of the first of them.
    pub position: u64,
    /// Up to where the log was durable when it was made.
    pub durable: u64,
    /// [`CONTINUES`], or nothing.
    pub flags: u32,
}

impl RecordHead {
    /// The position behind it.
    pub fn end(&self) -> u64 {
        self.position.saturating_add(self.len as u64)
    }

    /// Writes it in front of the bytes that already stand in `record`.
    pub fn write(&self, salt: u64, record: &mut [u8]) {
        let Some((head, payload)) = record.split_at_mut_checked(RECORD_HEAD_BYTES) else { return };
        head[..4].copy_from_slice(&(self.len as u32).to_le_bytes());
        head[8..16].copy_from_slice(&self.position.to_le_bytes());
        head[16..24].copy_from_slice(&self.durable.to_le_bytes());
        head[24..28].copy_from_slice(&self.flags.to_le_bytes());
        let crc = checksum(salt, head, payload.get(..self.len).unwrap_or_default());
        head[4..8].copy_from_slice(&crc.to_le_bytes());
    }

    /// The position that stands where a record's would, whether there is a record or not.
    pub fn claimed_position(bytes: &[u8]) -> u64 {
        u64_at(bytes, 8)
    }

    /// The same for the length.
    pub fn claimed_len(bytes: &[u8]) -> usize {
        u32_at(bytes, 0) as usize
    }

    /// Reads the record at the start of `bytes`; `None` if there is no whole one.
    pub fn read(salt: u64, bytes: &[u8]) -> Option<(RecordHead, &[u8])> {
        let (head, rest) = bytes.split_at_checked(RECORD_HEAD_BYTES)?;
        let record = RecordHead {
            len: usize::try_from(u32_at(head, 0)).ok()?,
            position: u64_at(head, 8),
            durable: u64_at(head, 16),
            flags: u32_at(head, 24),
        };
        let payload = rest.get(..record.len)?;
        let is_possible = record.flags & !CONTINUES == 0
            && record.durable <= record.position
            && record.len <= RECORD_BYTES_MAX - RECORD_HEAD_BYTES;
        // What is all zeros has never been written: most of what is looked at for nothing is.
        let is_whole = is_possible
            && (u32_at(head, 4) != 0 || record.len != 0)
            && checksum(salt, head, payload) == u32_at(head, 4);
        is_whole.then_some((record, payload))
    }
}

fn checksum(salt: u64, head: &[u8], payload: &[u8]) -> u32 {
    let crc = crc32c::crc32c(&salt.to_le_bytes());
    let crc = crc32c::crc32c_append(crc, head.get(..4).unwrap_or_default());
    let crc = crc32c::crc32c_append(crc, head.get(8..RECORD_HEAD_BYTES).unwrap_or_default());
    crc32c::crc32c_append(crc, payload)
}

const PREFIX: &str = "ferrite-";
const SUFFIX: &str = ".log";

/// The name of a segment's file.
pub fn segment_name(number: u64) -> String {
    format!("{PREFIX}{number:08}{SUFFIX}")
}

/// The number of the segment that a file of this name is.
pub fn segment_number(name: &str) -> Option<u64> {
    let digits = name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?;
    // Several names of one number would be several files.
    digits.parse().ok().filter(|number| segment_name(*number) == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_read_back_or_refused() {
        let head = SegmentHead { block_bytes: 512, salt: 77, anew: 5 };
        let bytes = head.bytes();
        assert_eq!(SegmentHead::read(&bytes), Ok(head));
        for at in 0..36 {
            let mut other = bytes;
            other[at] ^= 1;
            assert!(SegmentHead::read(&other).is_err(), "byte {at}");
        }
        let mut newer = bytes;
        newer[8] = 9;
        assert_eq!(SegmentHead::read(&newer), Err(BadHead::Damaged), "it may be no version at all");
        let checksum = crc32c::crc32c(&newer[..32]);
        newer[32..36].copy_from_slice(&checksum.to_le_bytes());
        assert_eq!(SegmentHead::read(&newer), Err(BadHead::Version(9)));
        assert_eq!(SegmentHead::read(b"FERR"), Err(BadHead::NoSegment));
    }

    #[test]
    fn a_record_verifies_in_its_own_place_only() {
        let head = RecordHead { len: 5, position: 100, durable: 90, flags: CONTINUES };
        let mut bytes = vec![0; RECORD_HEAD_BYTES];
        bytes.extend_from_slice(b"hello");
        head.write(7, &mut bytes);
        assert_eq!(RecordHead::read(7, &bytes), Some((head, &b"hello"[..])));
        assert_eq!(RecordHead::read(8, &bytes), None, "another segment's");
        for at in 0..bytes.len() {
            let mut other = bytes.clone();
            other[at] ^= 1;
            assert_eq!(RecordHead::read(7, &other), None, "byte {at}");
        }
        assert_eq!(RecordHead::read(7, &bytes[..bytes.len() - 1]), None);
        assert_eq!(RecordHead::read(7, &[0; 64]), None);
    }

    #[test]
    fn names_are_numbers() {
        assert_eq!(segment_number(&segment_name(12)), Some(12));
        assert_eq!(segment_number(&segment_name(u64::MAX)), Some(u64::MAX));
        for other in [
            "ferrite-1.log",
            "ferrite-000000001.log",
            "ferrite-+0000001.log",
            "ferrite-0000000x.log",
            "dump.rdb",
            "ferrite-00000001.log2",
        ] {
            assert_eq!(segment_number(other), None, "{other}");
        }
    }
}
