//! The file of a checkpoint: a header, blocks, and a last block that says that it is whole.
//!
//! `header | block ... | last block`. A block is `kind (2) | database (2) | length (4) | checksum
//! (4) | bytes`; its checksum (CRC-32C) covers what stands before and behind it. All numbers have
//! their least byte first, whatever the machine. What the bytes of a keyspace mean is the engine's
//! affair, and has a version of its own in the header.
//!
//! Invariant: a file that was cut off, at whatever byte, is recognised: the last block is missing,
//! or is not the last. So is one that lost or repeats blocks: the last one counts them, and has a
//! checksum of their checksums.

use std::fmt;

use ferrite_engine::IMAGE_VERSION;

/// What a file begins with.
pub const MAGIC: [u8; 8] = *b"FERRITE\n";
/// The version of the file's own form.
pub const FORMAT_VERSION: u32 = 1;
/// Bytes of the header.
pub const HEADER_BYTES: usize = 64;
/// Bytes of a block before what it holds.
pub const BLOCK_HEAD_BYTES: usize = 12;
/// Bytes of what the last block holds.
pub const LAST_BYTES: usize = 40;

/// What a file says of itself first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// Its number: later ones have higher numbers.
    pub sequence: u64,
    /// The number of the full checkpoint that it goes with; its own, if it is full.
    pub base: u64,
    /// The number and the checksum of the one that it follows; zeros, if it is full.
    pub previous: (u64, u32),
    /// When it was begun, in milliseconds since the epoch.
    pub begun_ms: i64,
}

impl Header {
    /// Whether it holds everything, not only what changed.
    pub fn is_full(&self) -> bool {
        self.base == self.sequence
    }

    /// As it stands in the file.
    pub fn to_bytes(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = Vec::with_capacity(HEADER_BYTES);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
        bytes.extend_from_slice(&IMAGE_VERSION.to_le_bytes());
        for number in [self.sequence, self.base, self.previous.0] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(&self.begun_ms.to_le_bytes());
        bytes.extend_from_slice(&self.previous.1.to_le_bytes());
        bytes.resize(HEADER_BYTES - 4, 0);
        let checksum = crc32c::crc32c(&bytes);
        bytes.extend_from_slice(&checksum.to_le_bytes());
        let mut header = [0; HEADER_BYTES];
        header.copy_from_slice(&bytes);
        header
    }

    /// Reads it.
    ///
    /// # Errors
    /// Why it is none that can be read.
    pub fn read(bytes: &[u8; HEADER_BYTES]) -> Result<Header, Fault> {
        let word = |at: usize| u32::from_le_bytes(field(bytes, at));
        let number = |at: usize| u64::from_le_bytes(field(bytes, at));
        if bytes[..8] != MAGIC {
            return Err(Fault::NoCheckpoint);
        }
        // First of all: of a version that is not known, nothing else is.
        if word(8) != FORMAT_VERSION {
            return Err(Fault::FormatVersion(word(8)));
        }
        if crc32c::crc32c(&bytes[..HEADER_BYTES - 4]) != word(HEADER_BYTES - 4) {
            return Err(Fault::Checksum { at: 0 });
        }
        if word(12) != IMAGE_VERSION {
            return Err(Fault::ImageVersion(word(12)));
        }
        Ok(Header {
            sequence: number(16),
            base: number(24),
            previous: (number(32), word(48)),
            begun_ms: number(40).cast_signed(),
        })
    }
}

/// What a block holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u16)]
pub enum Kind {
    /// Pieces of a database's image.
    Pieces = 1,
    /// A part of what the server keeps beside keys.
    Extra = 2,
    /// What says that the file is whole.
    Last = 3,
    /// What came of a database before is void: its pieces that follow are all of it.
    Anew = 4,
}

/// The head of a block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BlockHead {
    /// What the block holds.
    pub kind: Kind,
    /// The database whose pieces they are.
    pub database: u16,
    /// Bytes behind the head.
    pub len: u32,
    /// The checksum.
    pub checksum: u32,
}

impl BlockHead {
    /// The head of a block of these bytes.
    pub fn of(kind: Kind, database: u16, bytes: &[u8]) -> BlockHead {
        let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let head = BlockHead { kind, database, len, checksum: 0 };
        BlockHead { checksum: head.checksum_with(bytes), ..head }
    }

    /// As it stands in the file.
    pub fn to_bytes(self) -> [u8; BLOCK_HEAD_BYTES] {
        let mut bytes = [0; BLOCK_HEAD_BYTES];
        bytes[..2].copy_from_slice(&(self.kind as u16).to_le_bytes());
        bytes[2..4].copy_from_slice(&self.database.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.len.to_le_bytes());
        bytes[8..].copy_from_slice(&self.checksum.to_le_bytes());
        bytes
    }

    /// Reads it. `None` if it is none.
    pub fn read(bytes: &[u8; BLOCK_HEAD_BYTES]) -> Option<BlockHead> {
        let all = [Kind::Pieces, Kind::Extra, Kind::Last, Kind::Anew];
        let kind = u16::from_le_bytes(field(bytes, 0));
        Some(BlockHead {
            kind: all.into_iter().find(|known| *known as u16 == kind)?,
            database: u16::from_le_bytes(field(bytes, 2)),
            len: u32::from_le_bytes(field(bytes, 4)),
            checksum: u32::from_le_bytes(field(bytes, 8)),
        })
    }

    /// Whether these are the bytes of the block.
    pub fn fits(&self, bytes: &[u8]) -> bool {
        self.checksum == self.checksum_with(bytes)
    }

    fn checksum_with(&self, bytes: &[u8]) -> u32 {
        let head = self.to_bytes();
        crc32c::crc32c_append(crc32c::crc32c(&head[..8]), bytes)
    }
}

/// What the last block holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Last {
    /// Up to where the log is part of the checkpoint.
    pub log_position: u64,
    /// Blocks before this one, and bytes in them.
    pub blocks: u64,
    /// See `blocks`.
    pub bytes: u64,
    /// When the file was complete, in milliseconds since the epoch.
    pub ended_ms: i64,
    /// The checksum of the blocks' checksums, and of the header.
    pub checksum: u32,
}

impl Last {
    /// Counts a block.
    pub fn count(&mut self, head: &BlockHead) {
        self.blocks += 1;
        self.bytes += u64::from(head.len);
        self.checksum = crc32c::crc32c_append(self.checksum, &head.checksum.to_le_bytes());
    }

    /// As it stands in the file.
    pub fn to_bytes(self) -> [u8; LAST_BYTES] {
        let mut bytes = [0; LAST_BYTES];
        let numbers = [self.log_position, self.blocks, self.bytes, self.ended_ms.cast_unsigned()];
        for (place, number) in bytes.chunks_exact_mut(8).zip(numbers) {
            place.copy_from_slice(&number.to_le_bytes());
        }
        bytes[32..36].copy_from_slice(&self.checksum.to_le_bytes());
        bytes
    }

    /// Reads it. `None` if it is none.
    pub fn read(bytes: &[u8]) -> Option<Last> {
        let bytes: &[u8; LAST_BYTES] = bytes.try_into().ok()?;
        let number = |at: usize| u64::from_le_bytes(field(bytes, at));
        Some(Last {
            log_position: number(0),
            blocks: number(8),
            bytes: number(16),
            ended_ms: number(24).cast_signed(),
            checksum: u32::from_le_bytes(field(bytes, 32)),
        })
    }
}

/// What is wrong with a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// It does not begin as checkpoints do.
    NoCheckpoint,
    /// Its form is of a version that this server does not know.
    FormatVersion(u32),
    /// So is what it says of keys.
    ImageVersion(u32),
    /// What stands at this place is not what was written.
    Checksum {
        /// The first byte of the block.
        at: u64,
    },
    /// It ends too early.
    CutOff {
        /// Where.
        at: u64,
    },
    /// There is something behind its end.
    TooLong {
        /// Where it ought to end.
        at: u64,
    },
    /// Its blocks are not those that were written.
    Blocks,
    /// It follows another checkpoint than the one before.
    Chain,
    /// Its number is not that of its name.
    Name,
    /// The engine does not take it.
    Image {
        /// Of which database.
        database: usize,
        /// Why.
        why: ferrite_engine::Broken,
    },
    /// It has keys of a database that is not configured.
    Databases(usize),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::NoCheckpoint => write!(f, "it is no checkpoint"),
            Fault::FormatVersion(version) => {
                write!(
                    f,
                    "it has version {version} of the format; this server knows {FORMAT_VERSION}"
                )
            }
            Fault::ImageVersion(version) => {
                write!(f, "it has version {version} of images; this server knows {IMAGE_VERSION}")
            }
            Fault::Checksum { at } => write!(f, "what stands at byte {at} has another checksum"),
            Fault::CutOff { at } => write!(f, "it is cut off at byte {at}"),
            Fault::TooLong { at } => write!(f, "it goes on behind its end at byte {at}"),
            Fault::Blocks => write!(f, "blocks are missing, or stand there twice"),
            Fault::Chain => write!(f, "it does not follow the checkpoint before it"),
            Fault::Name => write!(f, "it has another number than its name"),
            Fault::Image { database, why } => write!(f, "database {database}: {why}"),
            Fault::Databases(database) => write!(
                f,
                "it has keys of database {database}: give 'databases' at least {}",
                database + 1
            ),
        }
    }
}

fn field<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes.get(at..).and_then(<[u8]>::first_chunk).copied().unwrap_or([0; N])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let header = Header { sequence: 7, base: 5, previous: (6, 0xdead_beef), begun_ms: 1_234 };
        assert_eq!(Header::read(&header.to_bytes()), Ok(header));
        let head = BlockHead::of(Kind::Extra, 3, b"bytes");
        assert_eq!(BlockHead::read(&head.to_bytes()), Some(head));
        assert!(head.fits(b"bytes") && !head.fits(b"bytez"));
        let mut last = Last { log_position: 1 << 40, ended_ms: -1, ..Last::default() };
        last.count(&head);
        assert_eq!(Last::read(&last.to_bytes()), Some(last));
        assert_eq!(Last::read(b"short"), None);
    }

    #[test]
    fn another_version_is_named() {
        let header = Header { sequence: 1, base: 1, previous: (0, 0), begun_ms: 0 };
        let mut bytes = header.to_bytes();
        bytes[8] = 9;
        assert_eq!(Header::read(&bytes), Err(Fault::FormatVersion(9)));
        let mut bytes = header.to_bytes();
        bytes[12] = 9;
        assert_eq!(Header::read(&bytes), Err(Fault::Checksum { at: 0 }));
        let checksum = crc32c::crc32c(&bytes[..HEADER_BYTES - 4]);
        bytes[HEADER_BYTES - 4..].copy_from_slice(&checksum.to_le_bytes());
        assert_eq!(Header::read(&bytes), Err(Fault::ImageVersion(9)));
        bytes[0] = b'f';
        assert_eq!(Header::read(&bytes), Err(Fault::NoCheckpoint));
    }
}
