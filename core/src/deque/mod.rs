//! Deques: how the elements of a list stand one behind the other, and the pages that hold many.
//!
//! An element is an item (packed.rs) with the item's length behind it, so a list can be walked
//! from both ends. The elements of a short list stand in its record, behind their number. Those of
//! a long one stand on pages that are linked with each other; on a page they are one run with free
//! space on both sides, so that pushing and popping at either end moves nothing.
//!
//! Not here: what commands do (list), and how pages come and go (pages.rs).

mod check;
mod pages;

use crate::arena::{Addr, Arena, PAGE_BYTES};
use crate::bytes;
use crate::keyspace::{Found, Keyspace};
use crate::object::ObjectId;
use crate::packed::{Item, Packed};
use crate::record::{Head, PAGE_HEAD_BYTES};

pub(crate) use self::pages::page_class;

/// What a page of a list says instead of its level in a directory.
pub(crate) const LINKED: u8 = 31;
/// Bytes in front of the elements in a record: how many there are.
pub(crate) const COUNT_BYTES: usize = 2;
/// Where the space for elements begins on a page.
const SPACE_START: usize = PAGE_HEAD_BYTES + 16;
/// Where a page says where its run is.
const RUN_START: usize = SPACE_START - 8;
/// One more element, in the word that says where a run is.
const ONE_MORE: u64 = 1 << 32;
/// Bytes of elements that a page has space for.
pub(crate) const SPACE_BYTES: usize = PAGE_BYTES - SPACE_START;

/// The last byte of an element with a long item: this, and the upper bits of the item's length.
/// The lower ones are in the byte before.
const WIDE: u8 = 252;

/// An end of a list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// Where the first element is.
    Left,
    /// Where the last is.
    Right,
}

impl Side {
    /// The other end.
    pub fn other(self) -> Side {
        if self == Side::Left { Side::Right } else { Side::Left }
    }
}

fn word(bytes: &[u8], at: usize) -> u64 {
    let bytes = bytes.get(at..).and_then(<[u8]>::first_chunk);
    bytes.map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// Bytes of the element with an item of so many.
#[inline]
pub(crate) fn element_bytes(item_bytes: usize) -> usize {
    item_bytes + if item_bytes < WIDE.into() { 1 } else { 2 }
}

/// Writes an element at a place in `target`, and returns the place behind it.
#[inline]
pub(crate) fn write_element(target: &mut [u8], at: usize, item: &Packed<'_>) -> usize {
    let end = item.write(target, at);
    let len = item.len();
    let [low, high] = (len as u16).to_le_bytes();
    if len < WIDE.into() {
        bytes::write_at(target, end, &[low]);
        return end + 1;
    }
    bytes::write_at(target, end, &[low, WIDE + high]);
    end + 2
}

/// The item of the element at a place, and the place behind the element.
#[inline]
pub(crate) fn element_at(cell: &[u8], at: usize) -> Option<(Item<'_>, usize)> {
    let rest = cell.get(at..)?;
    let (item, behind) = Item::read(rest)?;
    Some((item, at + element_bytes(rest.len() - behind.len())))
}

/// Where the element begins that ends at a place.
#[inline]
fn element_before(cell: &[u8], end: usize) -> Option<usize> {
    let (&last, before) = cell.get(..end)?.split_last()?;
    if last < WIDE {
        return end.checked_sub(usize::from(last) + 1);
    }
    let len = u16::from_le_bytes([*before.last()?, last - WIDE]);
    end.checked_sub(usize::from(len) + 2)
}

/// The element at an end of a run, and the place where the rest of the run then begins or ends.
#[inline]
fn element_of<'a>(cell: &'a [u8], block: &Block, side: Side) -> Option<(Item<'a>, usize)> {
    match side {
        Side::Left => element_at(cell, block.start),
        Side::Right => {
            let at = element_before(cell, block.end)?;
            Some((element_at(cell, at)?.0, at))
        }
    }
}

/// Shows the objects of the elements in some bytes that stand apart.
pub(crate) fn each_apart(elements: &[u8], show: &mut dyn FnMut(ObjectId)) {
    let mut at = 0;
    while let Some((item, end)) = element_at(elements, at) {
        if let Item::Apart(id) = item {
            show(id);
        }
        at = end;
    }
}

/// A run of elements: in a record, or on a page.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Block {
    pub(crate) previous: Addr,
    pub(crate) next: Addr,
    /// Where the run begins and ends in its cell.
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) count: usize,
    /// Elements that stand apart; not counted in a record.
    apart: usize,
}

impl Block {
    /// An empty run at one end of a page's space: it is going to grow towards `side`.
    fn empty(side: Side) -> Block {
        let at = if side == Side::Left { PAGE_BYTES } else { SPACE_START };
        Block { previous: Addr::NONE, next: Addr::NONE, start: at, end: at, count: 0, apart: 0 }
    }

    #[inline]
    pub(crate) fn of(cell: &[u8]) -> Block {
        match Head::read(cell) {
            Some(head) => Block::of_record(cell, &head),
            None => Block::of_page(cell),
        }
    }

    fn of_record(cell: &[u8], head: &Head) -> Block {
        let count = head.stored(cell).first_chunk().map_or(0, |count| u16::from_le_bytes(*count));
        Block {
            previous: Addr::NONE,
            next: Addr::NONE,
            start: head.stored_start() + COUNT_BYTES,
            end: head.record_bytes(),
            count: count.into(),
            apart: 0,
        }
    }

    #[inline]
    fn of_page(cell: &[u8]) -> Block {
        let links = cell.get(PAGE_HEAD_BYTES..SPACE_START).unwrap_or(&[0; 16]);
        let (neighbours, run) = (word(links, 0), word(links, 8));
        Block {
            previous: Addr(neighbours as u32),
            next: Addr((neighbours >> 32) as u32),
            start: run as usize & 0xffff,
            end: (run >> 16) as usize & 0xffff,
            count: (run >> 32) as usize & 0xffff,
            apart: (run >> 48) as usize,
        }
    }

    /// Writes it into its page.
    fn write(&self, cell: &mut [u8]) {
        let neighbours = u64::from(self.next.0) << 32 | u64::from(self.previous.0);
        bytes::write_at(cell, PAGE_HEAD_BYTES, &neighbours.to_le_bytes());
        self.write_run(cell);
    }

    /// The same, but for its neighbours.
    #[inline]
    fn write_run(&self, cell: &mut [u8]) {
        let high = (self.apart as u64) << 16 | self.count as u64;
        let run = high << 32 | (self.end as u64) << 16 | self.start as u64;
        let target = cell.get_mut(RUN_START..).and_then(<[u8]>::first_chunk_mut);
        if let Some(target) = target {
            *target = run.to_le_bytes();
        }
    }

    /// Bytes of its elements.
    pub(crate) fn bytes(&self) -> usize {
        self.end - self.start
    }

    /// Bytes of free space at one end of a page.
    fn space(&self, side: Side) -> usize {
        match side {
            Side::Left => self.start.saturating_sub(SPACE_START),
            Side::Right => PAGE_BYTES.saturating_sub(self.end),
        }
    }

    fn neighbour(&self, side: Side) -> Addr {
        if side == Side::Left { self.previous } else { self.next }
    }

    /// Where the element at a position begins: walked to from the nearer end.
    fn place_of(&self, cell: &[u8], position: usize) -> Option<usize> {
        if position <= self.count / 2 {
            (0..position).try_fold(self.start, |at, _| Some(element_at(cell, at)?.1))
        } else {
            (position..self.count).try_fold(self.end, |end, _| element_before(cell, end))
        }
    }

    /// Pushes an element, if there is space at that end of its page.
    #[inline]
    fn push(&mut self, cell: &mut [u8], side: Side, item: &Packed<'_>) -> bool {
        let len = element_bytes(item.len());
        if len > self.space(side) {
            return false;
        }
        let at = match side {
            Side::Left => {
                self.start -= len;
                self.start
            }
            Side::Right => {
                self.end += len;
                self.end - len
            }
        };
        write_element(cell, at, item);
        self.count += 1;
        self.apart += usize::from(item.is_apart());
        self.write_run(cell);
        true
    }

    /// Leaves out so many elements at one end, up to a place.
    #[inline]
    fn drop_to(&mut self, side: Side, place: usize, count: usize) {
        match side {
            Side::Left => self.start = place,
            Side::Right => self.end = place,
        }
        self.count -= count;
    }

    /// Gives the run another length at a place in it, where `old` bytes make way for `new` ones
    /// that the caller writes: there is space for them on the page. Where they begin.
    fn stretch(&mut self, cell: &mut [u8], at: usize, old: usize, new: usize) -> usize {
        let (left, right) = (at - self.start, self.end - at - old);
        let bytes = left + new + right;
        let may_keep_start = self.start + bytes <= PAGE_BYTES;
        let may_keep_end = self.end >= SPACE_START + bytes;
        let start = match (may_keep_start, may_keep_end) {
            (true, false) => self.start,
            (false, true) => self.end - bytes,
            (true, true) if right <= left => self.start,
            (true, true) => self.end - bytes,
            (false, false) => SPACE_START,
        };
        move_within(cell, self.start, start, left);
        move_within(cell, self.end - right, start + left + new, right);
        self.start = start;
        self.end = start + bytes;
        start + left
    }
}

fn move_within(cell: &mut [u8], from: usize, to: usize, len: usize) {
    if from != to && from + len <= cell.len() && to + len <= cell.len() {
        cell.copy_within(from..from + len, to);
    }
}

/// A place in a list: an element, and the page or the record it is in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spot {
    pub(crate) page: Addr,
    /// Where the element begins and ends in the cell.
    pub(crate) at: usize,
    pub(crate) end: usize,
    /// Elements before it in the run; pages before its own.
    pub(crate) position: usize,
    pages: usize,
}

/// The elements of a list from one of them on.
pub(crate) struct Elements<'a> {
    arena: &'a Arena,
    block: Block,
    cell: &'a [u8],
    /// Elements of the run that are still to come.
    left: usize,
    /// Where the walk comes from.
    from: Side,
}

impl<'a> Iterator for Elements<'a> {
    type Item = Item<'a>;

    #[inline]
    fn next(&mut self) -> Option<Item<'a>> {
        if self.left == 0 {
            let next = self.block.neighbour(self.from.other());
            self.cell = self.arena.cell(next);
            self.block = Block::of_page(self.cell);
            self.left = self.block.count;
            // There is no further page behind the last, and no cell then.
            self.left.checked_sub(1)?;
        }
        self.left -= 1;
        let (item, rest) = element_of(self.cell, &self.block, self.from)?;
        match self.from {
            Side::Left => self.block.start = rest,
            Side::Right => self.block.end = rest,
        }
        Some(item)
    }
}

/// A walk through a list that does not change, and whose pages do not move.
pub(crate) struct Walk {
    page: Addr,
    at: usize,
    left: usize,
}

impl Keyspace {
    /// The start of a walk.
    pub(crate) fn walk_list(&self, found: &Found) -> Walk {
        let page = self.end_page(found, Side::Left);
        let block = Block::of(self.arena.cell(page));
        Walk { page, at: block.start, left: block.count }
    }

    /// The next element of a walk.
    pub(crate) fn next_element(&self, walk: &mut Walk) -> Option<Item<'_>> {
        if walk.left == 0 {
            let cell = self.arena.cell(walk.page);
            let next = Head::read(cell).map_or(Block::of_page(cell).next, |_| Addr::NONE);
            let block = Block::of_page(self.arena.cell(next));
            *walk = Walk { page: next, at: block.start, left: block.count };
        }
        walk.left = walk.left.checked_sub(1)?;
        let (item, end) = element_at(self.arena.cell(walk.page), walk.at)?;
        walk.at = end;
        Some(item)
    }

    /// How many elements a list has.
    pub(crate) fn list_len(&self, found: &Found) -> usize {
        match self.large(found) {
            Some(object) => object.len,
            None => Block::of(self.arena.cell(found.addr)).count,
        }
    }

    /// The page at an end; a list's record if that is where its elements are.
    fn end_page(&self, found: &Found, side: Side) -> Addr {
        self.large(found).map_or(found.addr, |object| object.end_page(side))
    }

    /// Where the element at an index is. Pages are hopped over, from the nearer end.
    pub(crate) fn seek(&self, found: &Found, index: usize) -> Option<Spot> {
        let from_right = self.list_len(found).checked_sub(index + 1)?;
        let side = if index <= from_right { Side::Left } else { Side::Right };
        let mut page = self.end_page(found, side);
        let (mut skip, mut hops) = (index.min(from_right), 0);
        let mut block = Block::of(self.arena.cell(page));
        while skip >= block.count {
            skip -= block.count;
            page = block.neighbour(side.other());
            block = Block::of_page(self.arena.cell(page));
            hops += 1;
            if block.count == 0 {
                return None;
            }
        }
        let (mut position, mut pages) = (skip, hops);
        if side == Side::Right {
            position = block.count - 1 - skip;
            pages = self.large(found).map_or(0, |object| object.pages as usize - 1 - hops);
        }
        let cell = self.arena.cell(page);
        let at = block.place_of(cell, position)?;
        Some(Spot { page, at, end: element_at(cell, at)?.1, position, pages })
    }

    /// The elements from an index on, in the order in which a walk from `from` meets them.
    pub(crate) fn elements(&self, found: &Found, from: Side, index: usize) -> Elements<'_> {
        let spot = self.seek(found, index);
        let cell = spot.map_or(&[][..], |spot| self.arena.cell(spot.page));
        let mut block = Block::of(cell);
        let mut left = 0;
        if let Some(spot) = spot {
            match from {
                Side::Left => {
                    block.start = spot.at;
                    left = block.count - spot.position;
                }
                Side::Right => {
                    block.end = spot.end;
                    left = spot.position + 1;
                }
            }
        }
        Elements { arena: &self.arena, block, cell, left, from }
    }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, reason = "a test may fail")]
mod tests {
    use super::*;
    use crate::packed::ITEM_BYTES_MAX;
    use alloc::vec;

    #[test]
    fn elements_are_walked_from_both_ends() {
        let long = vec![7; ITEM_BYTES_MAX];
        let lens = [0, 1, 248, 249, 250, 251, 252, 253, 254, 255, 256, 257, 511, 512];
        let mut items: vec::Vec<_> = lens.iter().map(|&len| Item::Here(&long[..len])).collect();
        items.push(Item::Apart(ObjectId(70_000)));
        let mut bytes = [0; 8192];
        let mut ends = vec![0];
        for &item in &items {
            ends.push(write_element(&mut bytes, ends[ends.len() - 1], &Packed::new(item)));
        }
        for (number, &item) in items.iter().enumerate() {
            let (start, end) = (ends[number], ends[number + 1]);
            assert_eq!(element_at(&bytes, start), Some((item, end)));
            assert_eq!(element_before(&bytes, end), Some(start));
        }
        assert_eq!(element_before(&[9], 1), None);
        assert_eq!(element_before(&[WIDE], 1), None);
        assert_eq!(element_before(&[], 0), None);
    }

    #[test]
    fn a_run_gets_another_length_wherever_it_stands() {
        for start in [SPACE_START, SPACE_START + 40, PAGE_BYTES - 60] {
            for (at, old, new) in [(0, 0, 7), (20, 10, 0), (60, 0, 9), (30, 5, 2), (50, 10, 33)] {
                let mut cell: vec::Vec<u8> = (0..PAGE_BYTES).map(|at| at as u8).collect();
                let before = cell[start..start + 60].to_vec();
                let mut block = Block { start, end: start + 60, ..Block::of_page(&[]) };
                let place = block.stretch(&mut cell, start + at, old, new);
                assert_eq!(block.bytes(), 60 - old + new);
                assert!(block.start >= SPACE_START && block.end <= PAGE_BYTES);
                assert_eq!(cell[block.start..place], before[..at]);
                assert_eq!(cell[place + new..block.end], before[at + old..]);
            }
        }
    }
}
