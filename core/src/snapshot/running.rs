//! A snapshot that runs: how it begins, goes on, and ends.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::mem;

use crate::arena::{Arena, SEGMENT_BYTES};
use crate::compress::Compression;
use crate::index::Index;
use crate::keyspace::Keyspace;
use crate::limits::SNAPSHOT_LOOKS_MAX;
use crate::object::{ObjectId, Objects};
use crate::options::Policy;
use crate::snapshot::{Pages, Piece, Place};

/// How a keyspace stands with snapshots.
pub(crate) struct Snapshot {
    is_running: bool,
    /// Whether the last one was completed, and has all that did not change since.
    has_base: bool,
    /// Whether that cannot be said of the one that runs.
    has_lost_base: bool,
    /// What a snapshot that runs has still to write, where the keyspace was cleared meanwhile.
    frozen: Option<Box<Frozen>>,
}

struct Frozen {
    arena: Arena,
    index: Index,
    objects: Objects,
}

impl Snapshot {
    pub(crate) fn new() -> Snapshot {
        Snapshot { is_running: false, has_base: false, has_lost_base: false, frozen: None }
    }

    /// The keyspace is what an image says.
    pub(crate) fn of_image() -> Snapshot {
        Snapshot { has_base: true, ..Snapshot::new() }
    }
}

impl Keyspace {
    /// Begins a snapshot of this moment, whose pieces go to three sinks. One that is not full has
    /// what changed since the last one began, if there is a last one ([`Keyspace::has_base`]). One
    /// that runs already is given up.
    pub fn begin_snapshot(&mut self, is_full: bool, pages: &mut dyn FnMut() -> Box<dyn Pages>) {
        self.give_up_snapshot();
        let is_full = is_full || !self.snapshot.has_base;
        let begin = self.begin_fields();
        self.arena.begin_snapshot(is_full, pages());
        self.index.begin_snapshot(is_full, pages());
        self.objects.begin_snapshot(is_full, pages());
        self.snapshot = Snapshot { is_running: true, ..Snapshot::new() };
        let Some(pages) = self.arena.door().pages() else { return };
        pages.piece(&Piece::whole(Place::Begin, is_full.into()).head(begin.len()), &begin);
        if let Some(compression) = &self.compression {
            write_dictionaries(compression, pages);
        }
    }

    /// Whether the last snapshot was completed, so that the next need not be full.
    pub fn has_base(&self) -> bool {
        self.snapshot.has_base
    }

    /// How many changes of keys there were since the keyspace is in memory: one for each effect,
    /// whether somebody listens to them or not.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// The next snapshot is to be a full one.
    pub fn forget_base(&mut self) {
        (self.snapshot.has_base, self.snapshot.has_lost_base) = (false, true);
    }

    /// Whether a snapshot has still something to write.
    pub fn is_snapshot_running(&self) -> bool {
        self.snapshot.is_running
    }

    /// Writes some more of the snapshot that runs, about so many bytes. Whether there is more; if
    /// there is not, the sinks are gone.
    pub fn write_snapshot(&mut self, bytes_max: usize) -> bool {
        if !self.snapshot.is_running {
            return false;
        }
        let frees = self.snapshot.frozen.is_some();
        let Parts { arena, index, objects } = self.parts();
        let written = |arena: &mut Arena, index: &mut Index, objects: &mut Objects| {
            let doors = [arena.door(), index.door(), objects.door()];
            doors.iter().map(|door| door.written_bytes()).sum::<usize>()
        };
        let end = written(arena, index, objects) + bytes_max;
        for _ in 0..SNAPSHOT_LOOKS_MAX {
            if !arena.write_next(frees) && !index.write_next() && !objects.write_next() {
                self.finish_snapshot();
                return false;
            }
            if written(arena, index, objects) >= end {
                break;
            }
        }
        true
    }

    /// Ends a snapshot that runs before it is complete. The next one is full.
    pub fn give_up_snapshot(&mut self) {
        if mem::take(&mut self.snapshot.is_running) {
            self.snapshot.frozen = None;
            self.arena.door().give_up();
            self.index.door().give_up();
            self.objects.door().give_up();
        }
    }

    fn finish_snapshot(&mut self) {
        let end = self.end_fields();
        let has_base = !self.snapshot.has_lost_base;
        let Parts { arena, index, objects } = self.parts();
        if let Some(pages) = arena.door().pages() {
            pages.piece(&Piece::whole(Place::End, 0).head(end.len()), &end);
        }
        let sinks = [arena.door().finish(), index.door().finish(), objects.door().finish()];
        drop(sinks);
        self.snapshot = Snapshot { has_base, ..Snapshot::new() };
    }

    /// What the snapshot that runs is made of.
    fn parts(&mut self) -> Parts<'_> {
        match &mut self.snapshot.frozen {
            Some(frozen) => {
                let Frozen { arena, index, objects } = &mut **frozen;
                Parts { arena, index, objects }
            }
            None => {
                let Keyspace { arena, index, objects, .. } = self;
                Parts { arena, index, objects }
            }
        }
    }

    /// The keyspace is about to be cleared: what a snapshot has still to write is set aside.
    pub(crate) fn freeze(&mut self) {
        self.forget_base();
        if self.snapshot.is_running && self.snapshot.frozen.is_none() {
            self.snapshot.frozen = Some(Box::new(Frozen {
                arena: mem::replace(&mut self.arena, Arena::new(0)),
                index: mem::replace(&mut self.index, Index::new()),
                objects: mem::replace(&mut self.objects, Objects::new()),
            }));
        }
    }

    /// Gives some back of what was set aside, which is written for that. False if there is nothing.
    pub(crate) fn thaw(&mut self) -> bool {
        let is_frozen = self.snapshot.frozen.is_some();
        if is_frozen {
            self.write_snapshot(SEGMENT_BYTES);
        }
        is_frozen
    }

    /// Bytes held for what was set aside.
    pub(crate) fn frozen_bytes(&self) -> usize {
        self.snapshot.frozen.as_ref().map_or(0, |frozen| {
            let Frozen { arena, index, objects } = &**frozen;
            size_of::<Frozen>() + arena.held_bytes() + index.held_bytes() + objects.held_bytes()
        })
    }

    /// What there is once, as it is when a snapshot begins.
    fn begin_fields(&self) -> Vec<u8> {
        let counts = self.index.counts();
        let secret = self.hasher.secret();
        let numbers = [
            secret[0],
            secret[1],
            secret[2],
            self.random.state(),
            self.arena.numbers() as u64,
            counts.buckets as u64,
            counts.overflow_buckets as u64,
            counts.entries as u64,
            counts.pages as u64,
            counts.overflow_pages as u64,
            self.objects.page_count() as u64,
            self.objects.dying().unwrap_or(ObjectId::NONE).0.into(),
        ];
        numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
    }

    /// What there is once, as it is when a snapshot ends.
    fn end_fields(&self) -> Vec<u8> {
        let policy = Policy::ALL.iter().position(|(_, policy)| *policy == self.policy);
        let bytes = [policy.unwrap_or_default() as u8, self.clock, self.noticed_clock];
        let since = (self.inserted_since_tick as u64).to_le_bytes();
        let noticed = self.noticed_at.iter().flat_map(|at| at.to_le_bytes());
        bytes.into_iter().chain(since).chain(noticed).collect()
    }
}

struct Parts<'a> {
    arena: &'a mut Arena,
    index: &'a mut Index,
    objects: &'a mut Objects,
}

/// Writes what compressed strings need to be read.
fn write_dictionaries(compression: &Compression, pages: &mut dyn Pages) {
    for (id, is_current, bytes) in compression.in_use() {
        let piece =
            Piece { class: is_current.into(), ..Piece::whole(Place::Dictionary, id.into()) };
        pages.piece(&piece.head(bytes.len()), bytes);
    }
}
