//! A segment of the arena: cells of one size.
//!
//! Not here: the lists of segments with room, and which segment is given up (mod.rs).

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ops::Range;

use crate::arena::{
    BLOCK_BYTES, Class, FULL, FULLNESS_LISTS, NO_HOLE, NO_SEGMENT, SEGMENT_BYTES, UNIT_BYTES,
};
use crate::bytes;
#[cfg(not(feature = "snapshot"))]
use crate::snapshot::Blocks;
use crate::snapshot::{Door, Mark, blocks};

pub(crate) struct Segment {
    /// None for an unused segment number. Of a length that the compiler knows: a cell is where its
    /// address says, and only whether it is whole has to be asked.
    pub(crate) bytes: Option<Box<[u8; SEGMENT_BYTES]>>,
    pub(crate) class: Class,
    pub(crate) list: u8,
    pub(crate) live_cells: u16,
    /// Cells handed out so far, freed ones included; those past it were never used.
    pub(crate) begun_cells: u16,
    /// First hole, as a unit in the segment. Each hole names the next in its bytes 1 and 2.
    pub(crate) hole: u16,
    pub(crate) previous: u32,
    pub(crate) next: u32,
    pub(crate) mark: Mark,
}

impl Segment {
    pub(crate) fn empty(mark: Mark) -> Segment {
        Segment {
            bytes: None,
            class: Class(0),
            list: FULL,
            live_cells: 0,
            begun_cells: 0,
            hole: NO_HOLE,
            previous: NO_SEGMENT,
            next: NO_SEGMENT,
            mark,
        }
    }

    #[inline(always)]
    pub(crate) fn bytes(&self) -> &[u8] {
        self.bytes.as_ref().map_or(&[], |bytes| bytes.as_slice())
    }

    #[inline(always)]
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        self.bytes.as_mut().map_or(&mut [], |bytes| bytes.as_mut_slice())
    }

    /// What is at a place is about to change.
    #[inline]
    pub(crate) fn prepare(&mut self, door: &mut Door, number: u32, place: Range<usize>) {
        let blocks = blocks(&(place.start / BLOCK_BYTES..place.end.div_ceil(BLOCK_BYTES)));
        if !door.is_open(&self.mark, blocks) {
            self.let_out(door, number, blocks);
        }
    }

    #[cfg(not(feature = "snapshot"))]
    pub(crate) fn let_out(&mut self, _: &mut Door, _: u32, _: Blocks) {}

    pub(crate) fn free_cells(&self) -> usize {
        self.class.cells_per_segment() - usize::from(self.live_cells)
    }

    /// The list this segment belongs in: by eighths of its cells in use, none when full.
    pub(crate) fn fitting_list(&self) -> u8 {
        let cells = self.class.cells_per_segment() as u32;
        let eighths = u32::from(self.live_cells) * FULLNESS_LISTS as u32;
        eighths.checked_div(cells).unwrap_or_default() as u8
    }

    /// The first unit of the cell that is handed out next.
    pub(crate) fn free_unit(&self) -> usize {
        match self.hole {
            NO_HOLE => usize::from(self.begun_cells) * self.class.bytes() / UNIT_BYTES,
            hole => hole.into(),
        }
    }

    pub(crate) fn take_cell(&mut self) -> Option<usize> {
        let unit = self.free_unit();
        if self.hole == NO_HOLE {
            self.begun_cells += 1;
        } else {
            let next = self.bytes().get(unit * UNIT_BYTES + 1..unit * UNIT_BYTES + 3)?;
            self.hole = u16::from_le_bytes(next.try_into().ok()?);
        }
        self.live_cells += 1;
        Some(unit)
    }

    pub(crate) fn return_cell(&mut self, unit: usize) {
        let next = self.hole.to_le_bytes();
        if let Some(cell) = self.bytes_mut().get_mut(unit * UNIT_BYTES..unit * UNIT_BYTES + 3) {
            bytes::copy(cell, &[0, next[0], next[1]]);
            self.hole = unit as u16;
            self.live_cells -= 1;
        }
    }
}

/// Bytes and zeros behind them for all of a segment, if the allocator has those.
pub(crate) fn whole(bytes: Vec<u8>) -> Option<Box<[u8; SEGMENT_BYTES]>> {
    let mut bytes = bytes;
    bytes.try_reserve_exact(SEGMENT_BYTES.saturating_sub(bytes.len())).ok()?;
    bytes.resize(SEGMENT_BYTES, 0);
    bytes.into_boxed_slice().try_into().ok()
}
