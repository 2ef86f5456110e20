//! How far the pages of a structure are with a snapshot, and with what changed since the last one.
//!
//! Pages are segments of the arena, pages of the index, pages of objects. Each is cut into sixteen
//! blocks, and has a mark: which of them a snapshot that runs has still to write, and which did not
//! change since the last one began. Whoever is about to change a page asks its door first, which
//! lets the bytes out that are still to be written. Nothing is done to pages when a snapshot
//! begins: the door's epoch moves on, and a mark of an older one is brought up to date when its
//! page is next changed, or when the snapshot comes by.
//!
//! Invariant: once a snapshot is complete, every mark is of its epoch.
//! Not here: what pages hold (the `image.rs` of each structure), and the order of a snapshot
//! (snapshot/mod.rs).

use alloc::boxed::Box;
use core::ops::Range;

use crate::snapshot::{Blocks, Pages, blocks};

const ALL: Blocks = Blocks::MAX;

/// How a page stands with a snapshot.
#[derive(Clone, Copy)]
pub(crate) struct Mark {
    epoch: u32,
    /// What the page held when the epoch began; of segments the number of cells.
    extent: u16,
    /// Blocks whose bytes of that time are still to be written.
    pending: Blocks,
    /// Blocks that did not change since.
    unchanged: Blocks,
}

/// Lets pages out to a snapshot.
pub(crate) struct Door {
    epoch: u32,
    /// Whether what did not change since the last snapshot is written as well.
    is_full: bool,
    pages: Option<Box<dyn Pages>>,
    /// The next page that the snapshot comes by, and the first that is none of its own.
    next: usize,
    end: usize,
    written_bytes: usize,
}

/// Writes a run of a page's blocks, of which it had such an extent.
pub(crate) type Put<'a> = &'a mut dyn FnMut(&mut dyn Pages, Range<usize>, u16) -> usize;

impl Door {
    pub(crate) fn new() -> Door {
        Door { epoch: 1, is_full: true, pages: None, next: 0, end: 0, written_bytes: 0 }
    }

    /// The mark of a page that is new.
    pub(crate) fn mark(&self) -> Mark {
        Mark { epoch: self.epoch, extent: 0, pending: 0, unchanged: 0 }
    }

    /// The mark of a page that is as the last snapshot has it.
    pub(crate) fn unchanged_mark(&self) -> Mark {
        Mark { unchanged: ALL, ..self.mark() }
    }

    /// Whether so many blocks of a page may change, and nobody need be told.
    #[inline]
    pub(crate) fn is_open(&self, mark: &Mark, blocks: Blocks) -> bool {
        mark.epoch == self.epoch && (mark.pending | mark.unchanged) & blocks == 0
    }

    /// Some blocks of a page are about to change.
    #[cold]
    #[inline(never)]
    pub(crate) fn change(&mut self, mark: &mut Mark, blocks: Blocks, extent: u16, put: Put<'_>) {
        self.arrive(mark, extent);
        self.write(mark, blocks, put);
        mark.unchanged &= !blocks;
    }

    /// The snapshot comes by: it writes what is still to be written of a page.
    pub(crate) fn visit(&mut self, mark: &mut Mark, extent: u16, put: Put<'_>) {
        self.arrive(mark, extent);
        self.write(mark, ALL, put);
    }

    /// Begins a snapshot of so many pages. One that is not full has what changed since the last.
    pub(crate) fn begin(&mut self, is_full: bool, pages: usize, to: Box<dyn Pages>) {
        self.epoch += 1;
        self.is_full = is_full;
        self.pages = Some(to);
        (self.next, self.end, self.written_bytes) = (0, pages, 0);
    }

    /// Ends a snapshot that was not completed: marks that it has left are void.
    pub(crate) fn give_up(&mut self) {
        self.pages = None;
        self.epoch += 1;
    }

    /// The next page that the snapshot comes by.
    pub(crate) fn next(&mut self) -> Option<usize> {
        if self.next >= self.end {
            return None;
        }
        self.next += 1;
        Some(self.next - 1)
    }

    /// The snapshot has all pages of the structure.
    pub(crate) fn finish(&mut self) -> Option<Box<dyn Pages>> {
        self.pages.take()
    }

    /// Bytes that the snapshot has let out so far.
    pub(crate) fn written_bytes(&self) -> usize {
        self.written_bytes
    }

    /// Where pages go while a snapshot runs.
    pub(crate) fn pages(&mut self) -> Option<&mut dyn Pages> {
        Some(&mut **self.pages.as_mut()?)
    }

    /// Brings the mark of a page up to date, which has not changed yet in this epoch.
    fn arrive(&self, mark: &mut Mark, extent: u16) {
        if mark.epoch == self.epoch {
            return;
        }
        let pending = if self.is_full { ALL } else { !mark.unchanged };
        let pending = if self.pages.is_some() { pending } else { 0 };
        *mark = Mark { epoch: self.epoch, extent, pending, unchanged: ALL };
    }

    fn write(&mut self, mark: &mut Mark, wanted: Blocks, put: Put<'_>) {
        let mut due = mark.pending & wanted;
        mark.pending &= !wanted;
        let Some(pages) = &mut self.pages else { return };
        while due != 0 {
            let first = due.trailing_zeros() as usize;
            let run = first..first + (due >> first).trailing_ones() as usize;
            due &= !blocks(&run);
            self.written_bytes += put(&mut **pages, run, mark.extent);
        }
    }
}
