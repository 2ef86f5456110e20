//! The arena: every record and page the engine stores is a cell in here.
//!
//! A cell is a run of bytes in a segment of 16 KiB. All cells of one segment have the same size,
//! its class, so the hole a freed cell leaves fits the next cell of that class exactly. A segment
//! without live cells is given back and serves any class, or the index, next. Cells are named by
//! a number, never by a pointer, so that their owner may move them: emptying the emptiest segment
//! of a class into the holes of its fellows is all the compaction there is.
//!
//! Whoever changes a cell passes the door, where a snapshot that runs saves what it still needs.
//!
//! Invariants (`validate` checks them): the first byte of a live cell is not zero, that of a hole
//! is; a segment is in exactly one fullness list of its class if it has room, else in none.
//!
//! Not here: what a cell means, who refers to it, and the budget (room.rs asks before it lets
//! the arena grow).

use alloc::vec::Vec;

use crate::arena::segment::{Segment, whole};
use crate::bytes;
use crate::snapshot::{BLOCKS_PER_PAGE, Door};

#[cfg(feature = "snapshot")]
mod image;
mod segment;
#[cfg(feature = "supply")]
mod supply;
#[cfg(feature = "supply")]
pub use supply::SpareSegment;

/// Bytes of a segment. An index page has the same size, so either can take the other's place in
/// the allocator and nothing fragments.
pub(crate) const SEGMENT_BYTES: usize = 16 * 1024;

/// Largest cell of a record or page in everyday use; larger ones only carry huge keys or
/// directories.
pub(crate) const PAGE_BYTES: usize = SEGMENT_BYTES / 4;

/// Addresses count in units of this many bytes.
const UNIT_BYTES: usize = 4;
const UNITS_PER_SEGMENT: usize = SEGMENT_BYTES / UNIT_BYTES;
const BLOCK_BYTES: usize = SEGMENT_BYTES / BLOCKS_PER_PAGE;

/// Segments of a class with room are kept in lists by how full they are: new cells go to the
/// fullest, so that the emptiest run dry.
const FULLNESS_LISTS: usize = 8;
const NO_SEGMENT: u32 = 0;
const NO_HOLE: u16 = u16::MAX;
/// Values of `Segment::list` beyond the lists: a full segment, and one that is being emptied.
/// Nothing is handed out from either, and the holes of the latter count as nobody's.
const FULL: u8 = FULLNESS_LISTS as u8;
const DETACHED: u8 = FULL + 1;

/// A cell may take a hole that is larger than its class by this fraction of it.
const SUBSTITUTE_EXCESS_DIVISOR: usize = 4;

/// Segments that the table has room for from the start, 1 MiB of them: a database that is hardly
/// used takes hardly any memory. Then it doubles.
const FIRST_SEGMENTS_MAX: usize = (1 << 20) / SEGMENT_BYTES;

/// In wasm the table is made at once, since linear memory keeps every table that was outgrown.
const CAN_GROW: bool = !cfg!(target_arch = "wasm32");

/// Whether it is counted how much is handed out. At the edge there always is a budget, for which
/// values that are gone are taken apart in time: that needs no other bound.
pub(crate) const COUNTS_HANDED_OUT: bool = !cfg!(target_arch = "wasm32");

/// More holes than this fraction of the arena are wasteful. Pages of tables, which move from class
/// to class as they grow, leave many.
const WASTE_DIVISOR: usize = 20;

pub(crate) const CLASS_COUNT: usize = 93;

/// Sizes of small cells, which come in steps of a unit.
const SMALL_BYTES_MIN: usize = 12;
const SMALL_BYTES_MAX: usize = 128;

/// Cell sizes in bytes: steps of 4 to 128, then sizes that divide a segment with at most a
/// sixteenth lost to rounding up to 1 KiB, then every whole fraction of a segment.
const CLASS_SIZES: [u16; CLASS_COUNT] = class_sizes();

#[allow(clippy::indexing_slicing, reason = "evaluated by the compiler, which checks it")]
const fn class_sizes() -> [u16; CLASS_COUNT] {
    let mut sizes = [0; CLASS_COUNT];
    let mut count = 0;
    let mut size = SMALL_BYTES_MIN;
    while size <= SMALL_BYTES_MAX {
        sizes[count] = size as u16;
        count += 1;
        size += UNIT_BYTES;
    }
    let mut cells = 124;
    while cells >= 1 {
        sizes[count] = (SEGMENT_BYTES / cells / UNIT_BYTES * UNIT_BYTES) as u16;
        count += 1;
        cells -= if cells > 64 {
            4
        } else if cells > 32 {
            2
        } else {
            1
        };
    }
    assert!(count == CLASS_COUNT);
    sizes
}

/// The size class of a cell.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Class(u8);

impl Class {
    /// Every class, each with no cells wanted of it.
    pub(crate) fn none_wanted() -> [(Class, usize); CLASS_COUNT] {
        core::array::from_fn(|class| (Class(class as u8), 0))
    }

    /// The smallest class whose cells hold `bytes`, which is what a record or a page needs: the
    /// limits see to it that it is no more than a segment.
    pub(crate) fn fitting(bytes: usize) -> Class {
        let class = if bytes <= SMALL_BYTES_MAX {
            bytes.div_ceil(UNIT_BYTES).saturating_sub(SMALL_BYTES_MIN / UNIT_BYTES)
        } else {
            CLASS_SIZES.partition_point(|&size| usize::from(size) < bytes)
        };
        Class(class.min(CLASS_COUNT - 1) as u8)
    }

    pub(crate) fn number(self) -> usize {
        self.0.into()
    }

    /// Bytes of one cell.
    pub(crate) fn bytes(self) -> usize {
        CLASS_SIZES.get(usize::from(self.0)).map_or(SEGMENT_BYTES, |&size| size.into())
    }

    /// Cells in one segment.
    fn cells_per_segment(self) -> usize {
        // Of 32 bits, which processors divide in half the time.
        (SEGMENT_BYTES as u32).checked_div(self.bytes() as u32).unwrap_or(1) as usize
    }

    /// Segments that so many cells fill.
    fn segments_for(self, cells: usize) -> usize {
        let per_segment = self.cells_per_segment();
        (cells + per_segment - 1).checked_div(per_segment).unwrap_or_default()
    }
}

/// The address of a cell. Zero names no cell.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Addr(pub(crate) u32);

impl Addr {
    pub(crate) const NONE: Addr = Addr(0);

    fn new(segment: u32, unit: usize) -> Addr {
        Addr(segment * UNITS_PER_SEGMENT as u32 + unit as u32)
    }

    fn segment(self) -> u32 {
        self.0 / UNITS_PER_SEGMENT as u32
    }

    fn unit(self) -> usize {
        self.0 as usize % UNITS_PER_SEGMENT
    }
}

#[derive(Clone, Copy)]
struct ClassState {
    /// First segment of each fullness list.
    lists: [u32; FULLNESS_LISTS],
    /// Cells that can be handed out without a new segment.
    free_cells: u32,
}

impl ClassState {
    const EMPTY: ClassState = ClassState { lists: [NO_SEGMENT; FULLNESS_LISTS], free_cells: 0 };
}

pub(crate) struct Arena {
    /// Segment 0 is never used, so that address 0 can mean none.
    segments: Vec<Segment>,
    segments_max: usize,
    /// The first of the segment numbers that came back: each unused segment names the next.
    unused_number: u32,
    classes: [ClassState; CLASS_COUNT],
    /// Classes whose holes could take in all cells of one of their segments.
    compactable_classes: usize,
    segment_count: usize,
    live_bytes: usize,
    /// Bytes of all cells that were ever handed out, as far as a word can count them.
    handed_out_bytes: usize,
    door: Door,
    #[cfg(feature = "supply")]
    supply: Vec<SpareSegment>,
}

impl Arena {
    /// An empty arena, whose table will have room for `segments_max` once it is used.
    #[inline(never)]
    pub(crate) fn new(segments_max: usize) -> Arena {
        Arena {
            segments: Vec::new(),
            segments_max,
            unused_number: NO_SEGMENT,
            classes: [ClassState::EMPTY; CLASS_COUNT],
            compactable_classes: 0,
            segment_count: 0,
            live_bytes: 0,
            handed_out_bytes: 0,
            door: Door::new(),
            #[cfg(feature = "supply")]
            supply: Vec::new(),
        }
    }

    /// Another budget.
    pub(crate) fn set_segments_max(&mut self, segments_max: usize) {
        self.segments_max = segments_max;
    }

    /// Bytes held from the allocator.
    pub(crate) fn held_bytes(&self) -> usize {
        #[cfg(feature = "supply")]
        let spare_count = self.supply.len();
        #[cfg(not(feature = "supply"))]
        let spare_count = 0;
        (self.segment_count + spare_count) * SEGMENT_BYTES + self.table_bytes()
    }

    /// Bytes of that for the table of segments.
    fn table_bytes(&self) -> usize {
        self.segments.capacity() * size_of::<Segment>()
    }

    /// Bytes for the table of segments that are not held yet: the first segment brings it.
    pub(crate) fn due_bytes(&self) -> usize {
        ((self.segments_max + 1) * size_of::<Segment>()).saturating_sub(self.table_bytes())
    }

    /// Segments held from the allocator.
    pub(crate) fn segment_count(&self) -> usize {
        self.segment_count
    }

    /// Bytes of live cells, rounding included.
    pub(crate) fn live_bytes(&self) -> usize {
        self.live_bytes
    }

    /// Bytes of all cells that were ever handed out, where that is counted; it wraps.
    pub(crate) fn handed_out_bytes(&self) -> usize {
        self.handed_out_bytes
    }

    /// The class of a cell.
    pub(crate) fn class_of(&self, addr: Addr) -> Class {
        self.segments.get(addr.segment() as usize).map_or(Class(0), |segment| segment.class)
    }

    /// Whether holes are so great a part of the arena that filling them comes before taking more.
    pub(crate) fn is_wasteful(&self) -> bool {
        let bytes = self.segment_count * SEGMENT_BYTES;
        bytes - self.live_bytes > bytes / WASTE_DIVISOR
    }

    /// Segments an empty arena would need for all of `cells`.
    pub(crate) fn segments_for(cells: &[(Class, usize)]) -> usize {
        cells.iter().map(|&(class, count)| class.segments_for(count)).sum()
    }

    /// Segments the arena must still get before it can hand out all of `cells`, in which a class
    /// may stand several times.
    pub(crate) fn segments_missing(&self, cells: &[(Class, usize)]) -> usize {
        let mut missing = 0;
        for (position, &(class, count)) in cells.iter().enumerate() {
            if count == 0 {
                continue;
            }
            let mut before = 0;
            for &(other, count) in cells.iter().take(position) {
                if other == class {
                    before += count;
                }
            }
            let free = self.free_cells(class);
            if before + count <= free {
                continue;
            }
            let missing_for = |wanted: usize| class.segments_for(wanted.saturating_sub(free));
            missing += missing_for(before + count) - missing_for(before);
        }
        missing
    }

    /// Gives single cells whose class has no hole the class of the next larger holes, if they are
    /// not larger by more than a quarter. In a small budget with many sizes of value, a segment for
    /// each class would be most of the memory. Whether anything changed.
    pub(crate) fn substitute(&self, cells: &mut [(Class, usize)]) -> bool {
        let mut has_changed = false;
        for (class, count) in cells {
            let bytes_max = class.bytes() + class.bytes() / SUBSTITUTE_EXCESS_DIVISOR;
            let mut larger = *class;
            while *count == 1 && self.free_cells(*class) == 0 {
                larger.0 += 1;
                if usize::from(larger.0) == CLASS_COUNT || larger.bytes() > bytes_max {
                    break;
                }
                if self.free_cells(larger) > 0 {
                    *class = larger;
                    has_changed = true;
                }
            }
        }
        has_changed
    }

    /// Hands out a cell, zeroed in its first byte. `None` only when a new segment was needed and
    /// the allocator or the address space had none left.
    pub(crate) fn allocate(&mut self, class: Class) -> Option<Addr> {
        let number = match self.fullest_with_room(class) {
            Some(number) => number,
            None => self.add_segment(class)?,
        };
        let segment = self.segments.get_mut(number as usize)?;
        let start = segment.free_unit() * UNIT_BYTES;
        segment.prepare(&mut self.door, number, start..start + class.bytes());
        let unit = segment.take_cell()?;
        self.live_bytes += class.bytes();
        if COUNTS_HANDED_OUT {
            self.handed_out_bytes = self.handed_out_bytes.wrapping_add(class.bytes());
        }
        self.count_free(class, -1);
        self.relist(number);
        Some(Addr::new(number, unit))
    }

    /// Takes a cell back. Its segment is given up with its last cell.
    pub(crate) fn free(&mut self, addr: Addr) {
        let number = addr.segment();
        let Some(segment) = self.segments.get_mut(number as usize) else { return };
        let class = segment.class;
        let start = addr.unit() * UNIT_BYTES;
        segment.prepare(&mut self.door, number, start..start + class.bytes());
        segment.return_cell(addr.unit());
        self.live_bytes -= class.bytes();
        if segment.live_cells == 0 {
            self.remove_segment(number);
        } else if segment.list != DETACHED {
            self.count_free(class, 1);
            self.relist(number);
        }
    }

    /// The bytes of a cell, or none for an address that names no cell.
    #[inline]
    pub(crate) fn cell(&self, addr: Addr) -> &[u8] {
        let Some(segment) = self.segments.get(addr.segment() as usize) else { return &[] };
        let start = addr.unit() * UNIT_BYTES;
        segment.bytes().get(start..start + segment.class.bytes()).unwrap_or_default()
    }

    /// The bytes from the start of a cell to the end of its segment. Records know their length:
    /// who reads one need not ask for its class.
    #[inline]
    pub(crate) fn bytes_from(&self, addr: Addr) -> &[u8] {
        self.record(addr).unwrap_or_default()
    }

    /// The same where hot paths go, which leave at once if the address names no cell: the length
    /// of all others is known to the compiler.
    #[cfg_attr(not(target_arch = "wasm32"), inline(always))]
    #[cfg_attr(target_arch = "wasm32", inline)]
    pub(crate) fn record(&self, addr: Addr) -> Option<&[u8]> {
        let bytes = self.segments.get(addr.segment() as usize)?.bytes.as_deref()?;
        bytes.get(addr.unit() * UNIT_BYTES..)
    }

    /// The bytes of a cell, to be written.
    pub(crate) fn cell_mut(&mut self, addr: Addr) -> &mut [u8] {
        let Some(segment) = self.segments.get_mut(addr.segment() as usize) else { return &mut [] };
        let start = addr.unit() * UNIT_BYTES;
        let place = start..start + segment.class.bytes();
        segment.prepare(&mut self.door, addr.segment(), place.clone());
        segment.bytes_mut().get_mut(place).unwrap_or_default()
    }

    /// Copies the start of one cell over the start of another, in another segment: it has another
    /// class, or its own segment is being emptied.
    pub(crate) fn copy(&mut self, from: Addr, to: Addr, bytes: usize) {
        let pair = [from.segment() as usize, to.segment() as usize];
        if let Ok([source, target]) = self.segments.get_disjoint_mut(pair)
            && let Some(source) = source.bytes().get(from.unit() * UNIT_BYTES..)
            && let Some(source) = source.get(..bytes)
        {
            let start = to.unit() * UNIT_BYTES;
            target.prepare(&mut self.door, to.segment(), start..start + bytes);
            bytes::write_at(target.bytes_mut(), start, source);
        }
    }

    /// Copies a part of one cell to a place in another.
    pub(crate) fn copy_part(&mut self, from: (Addr, usize), to: (Addr, usize), len: usize) {
        let (source, target) = (from.0.segment() as usize, to.0.segment() as usize);
        let start = from.0.unit() * UNIT_BYTES + from.1;
        let to_start = to.0.unit() * UNIT_BYTES + to.1;
        if source == target {
            if let Some(segment) = self.segments.get_mut(source)
                && start.max(to_start) + len <= SEGMENT_BYTES
            {
                segment.prepare(&mut self.door, to.0.segment(), to_start..to_start + len);
                let bytes = segment.bytes_mut();
                if !bytes.is_empty() {
                    bytes.copy_within(start..start + len, to_start);
                }
            }
        } else if let Ok([source, target]) = self.segments.get_disjoint_mut([source, target])
            && let Some(source) = source.bytes().get(start..start + len)
            && to_start + len <= SEGMENT_BYTES
        {
            target.prepare(&mut self.door, to.0.segment(), to_start..to_start + len);
            bytes::write_at(target.bytes_mut(), to_start, source);
        }
    }

    /// Takes the emptiest segment that can be emptied out of its list, so that no new cell lands
    /// in it, and names its start. The caller moves each of its cells (`next_cell`) and frees it,
    /// which gives the segment up. `None` when no class has holes for a segment's worth of cells.
    pub(crate) fn detach_emptiest(&mut self) -> Option<Addr> {
        if self.compactable_classes == 0 {
            return None;
        }
        let mut best = None;
        for (class, state) in self.classes.iter().enumerate() {
            if (state.free_cells as usize) < Class(class as u8).cells_per_segment() {
                continue;
            }
            let filled = state.lists.iter().enumerate().find(|&(_, &first)| first != NO_SEGMENT);
            if let Some((list, &number)) = filled
                && best.is_none_or(|(least, _)| list < least)
            {
                best = Some((list, number));
            }
        }
        let (_, number) = best?;
        self.unlist(number);
        let segment = self.segments.get_mut(number as usize)?;
        segment.list = DETACHED;
        let (class, free) = (segment.class, segment.free_cells());
        self.count_free(class, -(free as i32));
        Some(Addr::new(number, 0))
    }

    /// The first live cell of a segment at or after `from`, which is the start of a cell.
    pub(crate) fn next_cell(&self, from: Addr) -> Option<(Addr, Class)> {
        let segment = self.segments.get(from.segment() as usize)?;
        let size = segment.class.bytes();
        let begun = usize::from(segment.begun_cells) * size;
        let mut start = from.unit() * UNIT_BYTES;
        while start < begun {
            if segment.bytes().get(start) != Some(&0) {
                return Some((Addr::new(from.segment(), start / UNIT_BYTES), segment.class));
            }
            start += size;
        }
        None
    }

    /// Checks the invariants of the file header; the message names the broken one.
    pub(crate) fn validate(&self) -> Result<(), &'static str> {
        let mut live_bytes = 0;
        let mut free_cells = [0u32; CLASS_COUNT];
        let mut held = 0;
        for (number, segment) in self.segments.iter().enumerate() {
            if segment.bytes.is_none() {
                continue;
            }
            held += 1;
            let size = segment.class.bytes();
            let begun = segment.bytes().chunks_exact(size).take(segment.begun_cells.into());
            let live = begun.filter(|cell| cell.first() != Some(&0)).count();
            if live != usize::from(segment.live_cells) || live == 0 {
                return Err("arena: a segment's count of live cells is off");
            }
            if segment.list != segment.fitting_list() {
                return Err("arena: a segment is in the wrong fullness list");
            }
            if segment.list != FULL && !self.is_listed(number as u32, segment) {
                return Err("arena: a segment is missing from its list");
            }
            live_bytes += live * size;
            if let Some(free) = free_cells.get_mut(usize::from(segment.class.0)) {
                *free += segment.free_cells() as u32;
            }
        }
        if held != self.segment_count || live_bytes != self.live_bytes {
            return Err("arena: byte accounting is off");
        }
        if self.classes.iter().zip(free_cells).any(|(state, free)| state.free_cells != free) {
            return Err("arena: a class's count of free cells is off");
        }
        Ok(())
    }

    fn is_listed(&self, number: u32, segment: &Segment) -> bool {
        let Some(state) = self.class(segment.class) else { return false };
        let mut at = state.lists.get(usize::from(segment.list)).copied().unwrap_or_default();
        while at != NO_SEGMENT && at != number {
            at = self.segments.get(at as usize).map_or(NO_SEGMENT, |segment| segment.next);
        }
        at == number
    }

    fn class(&self, class: Class) -> Option<&ClassState> {
        self.classes.get(usize::from(class.0))
    }

    fn free_cells(&self, class: Class) -> usize {
        self.class(class).map_or(0, |state| state.free_cells as usize)
    }

    fn fullest_with_room(&self, class: Class) -> Option<u32> {
        let lists = &self.class(class)?.lists;
        lists.iter().rev().copied().find(|&number| number != NO_SEGMENT)
    }

    fn count_free(&mut self, class: Class, change: i32) {
        let Some(state) = self.classes.get_mut(usize::from(class.0)) else { return };
        let per_segment = class.cells_per_segment() as u32;
        self.compactable_classes -= usize::from(state.free_cells >= per_segment);
        state.free_cells = state.free_cells.wrapping_add_signed(change);
        self.compactable_classes += usize::from(state.free_cells >= per_segment);
    }

    fn add_segment(&mut self, class: Class) -> Option<u32> {
        if self.segments.is_empty() {
            let most = if CAN_GROW { FIRST_SEGMENTS_MAX } else { usize::MAX };
            self.segments.try_reserve_exact(self.segments_max.min(most) + 1).ok()?;
            self.segments.push(Segment::empty(self.door.mark()));
        }
        let bytes = Some(self.new_bytes()?);
        let number = match self.unused_number {
            NO_SEGMENT => self.segments.len() as u32,
            number => number,
        };
        if self.unused_number == NO_SEGMENT {
            if self.segments.len() > self.segments_max {
                return None;
            }
            if CAN_GROW && self.segments.len() == self.segments.capacity() {
                // Never beyond what is counted as due from the start.
                let len = self.segments.len();
                self.segments.try_reserve_exact(len.min(self.segments_max + 1 - len)).ok()?;
            }
            // One at a time: to write the whole table would take milliseconds.
            self.segments.push(Segment::empty(self.door.mark()));
        }
        let slot = self.segments.get_mut(number as usize)?;
        self.unused_number = slot.next;
        slot.prepare(&mut self.door, number, 0..SEGMENT_BYTES);
        *slot = Segment { bytes, class, ..Segment::empty(slot.mark) };
        self.segment_count += 1;
        self.count_free(class, class.cells_per_segment() as i32);
        self.relist(number);
        Some(number)
    }

    #[cfg(not(feature = "supply"))]
    fn new_bytes(&mut self) -> Option<alloc::boxed::Box<[u8; SEGMENT_BYTES]>> {
        whole(Vec::new())
    }

    fn remove_segment(&mut self, number: u32) {
        self.unlist(number);
        let Some(segment) = self.segments.get_mut(number as usize) else { return };
        let (class, detached) = (segment.class, segment.list == DETACHED);
        // The last cell was not counted as free yet.
        let counted = class.cells_per_segment() as i32 - 1;
        segment.prepare(&mut self.door, number, 0..SEGMENT_BYTES);
        *segment = Segment { next: self.unused_number, ..Segment::empty(segment.mark) };
        self.unused_number = number;
        self.segment_count -= 1;
        if !detached {
            self.count_free(class, -counted);
        }
    }

    /// Puts a segment into the list that fits its fullness.
    fn relist(&mut self, number: u32) {
        let Some(segment) = self.segments.get(number as usize) else { return };
        let list = segment.fitting_list();
        if list == segment.list {
            return;
        }
        self.unlist(number);
        let Some(segment) = self.segments.get_mut(number as usize) else { return };
        segment.list = list;
        if list == FULL {
            return;
        }
        let class = usize::from(segment.class.0);
        let Some(state) = self.classes.get_mut(class) else { return };
        let Some(first) = state.lists.get_mut(usize::from(list)) else { return };
        segment.previous = NO_SEGMENT;
        segment.next = *first;
        *first = number;
        let next = segment.next;
        if next != NO_SEGMENT
            && let Some(next) = self.segments.get_mut(next as usize)
        {
            next.previous = number;
        }
    }

    fn unlist(&mut self, number: u32) {
        let Some(segment) = self.segments.get_mut(number as usize) else { return };
        let (list, class) = (usize::from(segment.list), usize::from(segment.class.0));
        let (previous, next) = (segment.previous, segment.next);
        if segment.list >= FULL {
            return;
        }
        segment.list = FULL;
        if previous != NO_SEGMENT {
            if let Some(previous) = self.segments.get_mut(previous as usize) {
                previous.next = next;
            }
        } else if let Some(state) = self.classes.get_mut(class)
            && let Some(first) = state.lists.get_mut(list)
        {
            *first = next;
        }
        if next != NO_SEGMENT
            && let Some(next) = self.segments.get_mut(next as usize)
        {
            next.previous = previous;
        }
    }
}
