//! An image: the pieces of a snapshot on their way to become a keyspace again.
//!
//! Invariant: whatever the pieces are, nothing panics, and a keyspace comes of them only if its
//! structure is whole: each page is there, each entry of the index names a record of its own, each
//! cell is a record or a page. What stands in records and pages is not read: that it is what was
//! written the host's checksums have to tell.

use alloc::vec::Vec;

use crate::arena::{Addr, Arena, SEGMENT_BYTES};
use crate::compress::Compression;
use crate::error::Error;
use crate::hasher::Hasher;
use crate::history::History;
use crate::index::Index;
use crate::index::image::IndexCounts;
use crate::keyspace::{Keyspace, Millis};
use crate::object::{ObjectId, Objects};
use crate::options::{Options, Policy};
use crate::random::Random;
use crate::snapshot::{Broken, Fields, Piece, Place, Snapshot};

/// The version of what images hold: another one for every change of how keys and values lie in
/// memory, or of what pieces say. Images of other versions cannot be read.
pub const IMAGE_VERSION: u32 = 2;

/// The pieces of one snapshot, and of those that followed it.
pub struct Image {
    arena: Arena,
    index: Index,
    objects: Objects,
    compression: Option<Compression>,
    begin: Option<Begin>,
    end: Option<End>,
}

/// Pieces on their way into an image, each in memory of its own: that of a segment is what the
/// segment will be made of. Several threads can prepare pieces, while one puts them in.
pub struct Prepared(Vec<(Piece, Vec<u8>)>);

impl Prepared {
    /// Of pieces, one behind the other, each with its head.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn of(pieces: &[u8]) -> Result<Prepared, Broken> {
        let (mut rest, mut prepared) = (pieces, Vec::new());
        while !rest.is_empty() {
            let (piece, bytes, behind) = Piece::read(rest)?;
            rest = behind;
            // What is most of a segment is worth the memory of all of it.
            let is_segment = piece.place == Place::Segment && bytes.len() > SEGMENT_BYTES / 2;
            let capacity = if is_segment { SEGMENT_BYTES } else { bytes.len() };
            let mut memory = Vec::new();
            memory.try_reserve_exact(capacity).map_err(|_| Broken::NO_MEMORY)?;
            memory.extend_from_slice(bytes);
            prepared.push((piece, memory));
        }
        Ok(Prepared(prepared))
    }
}

#[derive(Clone, Copy)]
struct Begin {
    secret: [u64; 3],
    random: u64,
    segments: usize,
    index: IndexCounts,
    object_pages: usize,
    dying: ObjectId,
}

#[derive(Clone, Copy)]
struct End {
    policy: Policy,
    clock: u8,
    noticed_clock: u8,
    inserted_since_tick: usize,
    noticed_at: [Millis; 256],
}

impl Default for Image {
    fn default() -> Image {
        Image::new()
    }
}

impl Image {
    /// Of no pieces yet.
    pub fn new() -> Image {
        Image {
            arena: Arena::new(0),
            index: Index::new(),
            objects: Objects::new(),
            compression: None,
            begin: None,
            end: None,
        }
    }

    /// Takes pieces, one behind the other, each with its head. All of a full snapshot come first,
    /// those of each that followed it behind.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn take(&mut self, pieces: &[u8]) -> Result<(), Broken> {
        self.place(Prepared::of(pieces)?)
    }

    /// Takes pieces that were prepared.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn place(&mut self, prepared: Prepared) -> Result<(), Broken> {
        for (piece, bytes) in prepared.0 {
            match piece.place {
                Place::Segment => self.arena.restore(&piece, bytes)?,
                Place::Index | Place::Overflow => self.index.restore(&piece, &bytes)?,
                Place::Objects => self.objects.restore(&piece, &bytes)?,
                Place::Begin => self.begin(&piece, &bytes)?,
                Place::Dictionary => {
                    self.compression = self.compression.take().or(Compression::wanted(true));
                    let compression = self.compression.as_mut();
                    let compression = compression.ok_or(Broken("its strings are compressed"))?;
                    compression.restore(piece.number, piece.class > 0, &bytes)?;
                }
                Place::End => self.end = Some(End::read(&bytes)?),
            }
        }
        Ok(())
    }

    fn begin(&mut self, piece: &Piece, bytes: &[u8]) -> Result<(), Broken> {
        let is_full = piece.number > 0;
        // Pieces of several structures come side by side, so others may have come already.
        if !is_full && self.begin.is_none() || is_full && self.begin.is_some() {
            return Err(Broken("it is not what follows the one before"));
        }
        let begin = Begin::read(bytes);
        if !is_full && self.begin.is_some_and(|before| before.secret != begin.secret) {
            return Err(Broken("it follows another one"));
        }
        self.arena.reserve_image(begin.segments)?;
        (self.begin, self.end, self.compression) = (Some(begin), None, None);
        Ok(())
    }

    /// The keyspace of the image, under other options than it may have had; a budget that it
    /// exceeds does not keep it from being opened ([`Cx::shrink`](crate::Cx::shrink)).
    ///
    /// # Errors
    /// What is wrong with the image, or with the options.
    pub fn open(mut self, options: &Options) -> Result<Keyspace, Broken> {
        const OPTIONS: Broken = Broken("the engine cannot work with these options");
        let begin = self.begin.ok_or(Broken("its beginning is missing"))?;
        let end = self.end.ok_or(Broken("its end is missing"))?;
        let mut keys = Keyspace::new(options).map_err(|_: Error| OPTIONS)?;
        let records = self.arena.settle_image(begin.segments)?;
        self.objects.settle_image(begin.object_pages, begin.dying)?;
        self.arena.set_segments_max(keys.segments_max());
        let (mut expires, mut expiring_hashes) = (0, 0);
        let Image { arena, index, compression, .. } = &mut self;
        let first_byte = |addr: Addr| arena.bytes_from(addr).first().copied().unwrap_or_default();
        index.settle_image(&begin.index, &first_byte, &mut |addr: Addr, is_volatile| {
            let head = arena.record_at(addr).ok_or(Broken("an entry names no record"))?;
            if head.is_volatile() != is_volatile {
                return Err(Broken("an entry and its record disagree on a deadline"));
            }
            expires += u64::from(is_volatile);
            expiring_hashes += usize::from(head.has_expiring_fields());
            if let Some(id) = head.dictionary() {
                let compression = compression.as_mut().filter(|known| known.has(id));
                compression.ok_or(Broken("a dictionary is missing"))?.count_in(id);
            }
            Ok(())
        })?;
        if records != begin.index.entries {
            return Err(Broken("a record is not in the index"));
        }
        keys.hasher = Hasher::new(begin.secret);
        keys.random = Random::new(begin.random);
        (keys.arena, keys.index, keys.objects) = (self.arena, self.index, self.objects);
        if let Some(compression) = &mut self.compression {
            compression.settle_image();
        }
        keys.compression = self.compression.or(keys.compression);
        keys.counters.expires = expires;
        keys.expiring_hashes = expiring_hashes;
        keys.snapshot = Snapshot::of_image();
        keys.set_ages(&end, options.policy);
        Ok(keys)
    }
}

impl Keyspace {
    /// What goes with the ages of keys. Under a policy that counts by other means they start anew.
    fn set_ages(&mut self, end: &End, policy: Policy) {
        self.clock = end.clock;
        self.noticed_clock = end.noticed_clock;
        self.noticed_at = end.noticed_at;
        self.inserted_since_tick = end.inserted_since_tick;
        self.policy = end.policy;
        self.history = History::new();
        if self.policy.learns() && policy.learns() {
            for bucket in 0..self.index.bucket_count() as u32 {
                let history = &mut self.history;
                self.index.visit(bucket, &mut |_, entry| history.meet(entry.age));
            }
            self.history.advance(self.clock, self.index.len());
        }
        self.set_policy(policy);
    }
}

impl Begin {
    fn read(bytes: &[u8]) -> Begin {
        let mut fields = Fields(bytes);
        Begin {
            secret: [fields.number(), fields.number(), fields.number()],
            random: fields.number(),
            segments: fields.count(),
            index: IndexCounts {
                buckets: fields.count(),
                overflow_buckets: fields.count(),
                entries: fields.count(),
                pages: fields.count(),
                overflow_pages: fields.count(),
            },
            object_pages: fields.count(),
            dying: ObjectId(fields.number() as u32),
        }
    }
}

impl End {
    fn read(bytes: &[u8]) -> Result<End, Broken> {
        let mut fields = Fields(bytes);
        let policy = Policy::ALL.get(usize::from(fields.byte()));
        let &(_, policy) = policy.ok_or(Broken("the policy is none"))?;
        let mut end = End {
            policy,
            clock: fields.byte(),
            noticed_clock: fields.byte(),
            inserted_since_tick: fields.count(),
            noticed_at: [0; 256],
        };
        end.noticed_at.iter_mut().for_each(|at| *at = fields.number() as i64);
        Ok(end)
    }
}
