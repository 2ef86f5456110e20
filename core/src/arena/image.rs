//! Segments in a snapshot: out, and in again.
//!
//! Invariant: of a segment its class, the number of its cells and their bytes go out; which of them
//! are holes, how full it is and in which list it stands is found out anew when it comes in, from
//! the first bytes of its cells. So no image can break what the arena goes by.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ops::Range;

use crate::arena::{
    Addr, Arena, BLOCK_BYTES, CLASS_COUNT, Class, ClassState, NO_HOLE, NO_SEGMENT, SEGMENT_BYTES,
    Segment, UNITS_PER_SEGMENT, whole,
};
use crate::bytes;
use crate::record::{Head, PageHead};
use crate::snapshot::{Blocks, Broken, Door, Pages, Piece, Place};

/// Segments that addresses tell apart.
const SEGMENTS_MAX: usize = ((1_u64 << 32) / UNITS_PER_SEGMENT as u64) as usize;

impl Segment {
    /// Lets some blocks out, as far as they are still to be written.
    #[cold]
    #[inline(never)]
    pub(crate) fn let_out(&mut self, door: &mut Door, number: u32, blocks: Blocks) {
        let Segment { bytes, class, begun_cells, mark, .. } = self;
        let bytes = bytes.as_ref().map_or(&[][..], |bytes| bytes.as_slice());
        door.change(mark, blocks, *begun_cells, &mut put(bytes, *class, number));
    }
}

/// Writes a run of blocks of a segment that had so many cells of a class.
fn put(
    bytes: &[u8],
    class: Class,
    number: u32,
) -> impl FnMut(&mut dyn Pages, Range<usize>, u16) -> usize {
    move |pages, run, cells| {
        let len = usize::from(cells) * class.bytes();
        let (start, end) = (run.start * BLOCK_BYTES, (run.end * BLOCK_BYTES).min(len));
        let part = bytes.get(start..end).unwrap_or_default();
        if !part.is_empty() || cells == 0 {
            let start = if cells == 0 { 0 } else { start };
            let piece = Piece { place: Place::Segment, class: class.0, cells, number, start };
            pages.piece(&piece.head(part.len()), part);
        }
        part.len()
    }
}

impl Arena {
    /// Begins a snapshot of all segments.
    pub(crate) fn begin_snapshot(&mut self, is_full: bool, pages: Box<dyn Pages>) {
        self.door.begin(is_full, self.segments.len(), pages);
    }

    pub(crate) fn door(&mut self) -> &mut Door {
        &mut self.door
    }

    /// Writes the next segment of the snapshot; frees it, if nobody else needs it any more. Whether
    /// there was one.
    pub(crate) fn write_next(&mut self, frees: bool) -> bool {
        let Some(number) = self.door.next() else { return false };
        if let Some(segment) = self.segments.get_mut(number) {
            let Segment { bytes, class, begun_cells, mark, .. } = segment;
            let bytes = bytes.as_ref().map_or(&[][..], |bytes| bytes.as_slice());
            self.door.visit(mark, *begun_cells, &mut put(bytes, *class, number as u32));
            if frees && segment.bytes.take().is_some() {
                self.segment_count -= 1;
            }
        }
        true
    }

    /// How many segments there are, those included that are not in use.
    pub(crate) fn numbers(&self) -> usize {
        self.segments.len()
    }

    /// Makes the table of so many segments, for an image.
    pub(crate) fn reserve_image(&mut self, numbers: usize) -> Result<(), Broken> {
        if numbers > SEGMENTS_MAX {
            return Err(Broken("it has more segments than addresses reach"));
        }
        let more = numbers.saturating_sub(self.segments.len());
        self.segments.try_reserve_exact(more).map_err(|_| Broken::NO_MEMORY)
    }

    /// Takes a piece of a segment out of an image. If it has the room of a whole one, its memory
    /// may become that of the segment.
    pub(crate) fn restore(&mut self, piece: &Piece, bytes: Vec<u8>) -> Result<(), Broken> {
        let number = piece.number as usize;
        let class = Class(piece.class);
        let len = usize::from(piece.cells) * class.bytes();
        let end = piece.start + bytes.len();
        if number == 0 && piece.cells > 0 || number >= SEGMENTS_MAX {
            return Err(Broken("a segment has a number that is none"));
        }
        if usize::from(piece.class) >= CLASS_COUNT || len > SEGMENT_BYTES || end > len {
            return Err(Broken("a segment is larger than segments are"));
        }
        let mark = self.door.unchanged_mark();
        while self.segments.len() <= number {
            self.segments.try_reserve(1).map_err(|_| Broken::NO_MEMORY)?;
            self.segments.push(Segment::empty(mark));
        }
        let Some(segment) = self.segments.get_mut(number) else { return Ok(()) };
        if segment.class != class || usize::from(piece.cells) < usize::from(segment.begun_cells) {
            segment.bytes_mut().fill(0);
        }
        (segment.class, segment.begun_cells) = (class, piece.cells);
        if segment.bytes.is_none() && piece.start == 0 && bytes.capacity() >= SEGMENT_BYTES {
            segment.bytes = Some(whole(bytes).ok_or(Broken::NO_MEMORY)?);
            return Ok(());
        }
        if segment.bytes.is_none() && len > 0 {
            segment.bytes = Some(whole(Vec::new()).ok_or(Broken::NO_MEMORY)?);
        }
        bytes::write_at(segment.bytes_mut(), piece.start, &bytes);
        Ok(())
    }

    /// Finds out anew what there is to know of the segments of an image, of which there are so
    /// many. How many records are in them.
    pub(crate) fn settle_image(&mut self, numbers: usize) -> Result<usize, Broken> {
        let mut records = 0;
        self.segments.truncate(numbers);
        if self.segments.len() != numbers {
            return Err(Broken("a segment is missing"));
        }
        (self.segment_count, self.live_bytes, self.compactable_classes) = (0, 0, 0);
        (self.unused_number, self.classes) = (NO_SEGMENT, [ClassState::EMPTY; CLASS_COUNT]);
        for number in (1..self.segments.len() as u32).rev() {
            let Some(segment) = self.segments.get_mut(number as usize) else { break };
            records += segment.find_holes()?;
            if segment.live_cells == 0 {
                let next = self.unused_number;
                *segment = Segment { next, ..Segment::empty(segment.mark) };
                self.unused_number = number;
                continue;
            }
            let (class, free) = (segment.class, segment.free_cells());
            self.segment_count += 1;
            self.live_bytes += usize::from(segment.live_cells) * class.bytes();
            self.count_free(class, free as i32);
            self.relist(number);
        }
        Ok(records)
    }

    /// The record at an address that an image names, if there is one.
    pub(crate) fn record_at(&self, addr: Addr) -> Option<Head> {
        let segment = self.segments.get(addr.segment() as usize)?;
        let units = segment.class.bytes() / super::UNIT_BYTES;
        let cell = self.cell(addr);
        let head = Head::read(cell).filter(|_| addr.unit().is_multiple_of(units))?;
        (head.record_bytes() <= cell.len()).then_some(head)
    }
}

impl Segment {
    /// Finds the holes among the cells, and strings them together. How many records there are.
    fn find_holes(&mut self) -> Result<usize, Broken> {
        let mut records = 0;
        let size = self.class.bytes();
        let begun_bytes = usize::from(self.begun_cells) * size;
        (self.live_cells, self.hole, self.list) = (0, NO_HOLE, super::FULL);
        let mut unit = begun_bytes / super::UNIT_BYTES;
        let Some(begun) = self.bytes.as_mut().and_then(|bytes| bytes.get_mut(..begun_bytes)) else {
            return Ok(0);
        };
        for cell in begun.chunks_exact_mut(size).rev() {
            unit -= size / super::UNIT_BYTES;
            if cell.first() == Some(&0) {
                let next = self.hole.to_le_bytes();
                bytes::copy(cell, &[0, next[0], next[1]]);
                self.hole = unit as u16;
                continue;
            }
            let is_record = Head::read(cell).is_some_and(|head| head.record_bytes() <= size);
            if !is_record && PageHead::read(cell).is_none() {
                return Err(Broken("a cell holds neither a record nor a page"));
            }
            records += usize::from(is_record);
            self.live_cells += 1;
        }
        Ok(records)
    }
}
