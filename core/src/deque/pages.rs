//! The pages of long lists: how elements get onto them and off, and how the pages stay filled.
//!
//! Invariants: no page is empty; a page knows its neighbours, how many elements it has, and how
//! many of them stand apart. A page names its object, but for those between the ends of a chain
//! that was cut off a list: they still name that; only their neighbours are told when they move.
//!
//! Not here: the memory for pages. The caller has made room.

use core::ops::Range;

use crate::arena::{Addr, Arena, Class, PAGE_BYTES};
use crate::bytes;
use crate::deque::{
    Block, LINKED, ONE_MORE, RUN_START, SPACE_BYTES, SPACE_START, Side, Spot, WIDE, each_apart,
    element_at, element_bytes, element_of, move_within, word, write_element,
};
use crate::keyspace::{Found, Keyspace};
use crate::limits::LIST_REPACKED_BYTES_MAX;
use crate::object::{Object, ObjectId};
use crate::packed::{Item, Packed, SHORT_BYTES_MAX};
use crate::record::{Kind, PageHead};
use crate::table::text_of;
use crate::value::Value;

/// Elements of one page, a bit each: the shortest take two bytes.
type Marks = [u64; PAGE_BYTES / 2 / 64];

impl Keyspace {
    /// Pushes an element onto the page at an end of a long list, if it is short and there is space.
    /// The length of the list then. (It does what `Block::push` does, on the page as it is.)
    #[inline]
    pub(crate) fn push_short(&mut self, id: ObjectId, side: Side, text: &[u8]) -> Option<usize> {
        let object = self.objects.get_mut(id)?;
        let cell = self.arena.cell_mut(object.end_page(side));
        let run = word(cell, RUN_START);
        let (start, end) = (run as usize & 0xffff, (run >> 16) as usize & 0xffff);
        let len = text.len() + 2;
        let (at, moved) = match side {
            Side::Left => (start.checked_sub(len)?, ONE_MORE.wrapping_sub(len as u64)),
            Side::Right => (end, ONE_MORE + (len << 16) as u64),
        };
        if text.len() > SHORT_BYTES_MAX || at < SPACE_START || at + len > PAGE_BYTES {
            return None;
        }
        let [first, middle @ .., last] = cell.get_mut(at..at + len)? else { return None };
        *first = text.len() as u8;
        *last = text.len() as u8 + 1;
        bytes::copy(middle, text);
        *cell.get_mut(RUN_START..)?.first_chunk_mut()? = run.wrapping_add(moved).to_le_bytes();
        object.len += 1;
        Some(object.len)
    }

    /// Takes one element off the page at an end of a long list, if it is short and the page stays.
    #[inline]
    pub(crate) fn pop_short(
        &mut self,
        id: ObjectId,
        side: Side,
        show: &mut dyn FnMut(usize, Value<'_>),
    ) -> Option<()> {
        let object = self.objects.get_mut(id)?;
        let cell = self.arena.cell_mut(object.end_page(side));
        let run = word(cell, RUN_START);
        let (start, end) = (run as usize & 0xffff, (run >> 16) as usize & 0xffff);
        let may_be_packed = object.pages == 1 && end - start <= LIST_REPACKED_BYTES_MAX;
        if (run >> 32) as u16 == 1 || may_be_packed {
            return None;
        }
        let at = match side {
            Side::Left => start,
            Side::Right => {
                let item_bytes = *cell.get(end - 1)?;
                end.checked_sub(usize::from(item_bytes) + 1).filter(|_| item_bytes < WIDE)?
            }
        };
        let text_len = usize::from(*cell.get(at)?);
        if text_len > SHORT_BYTES_MAX {
            return None;
        }
        show(1, cell.get(at + 1..at + 1 + text_len)?.into());
        let moved = match side {
            Side::Left => text_len as u64 + 2,
            Side::Right => ((text_len as u64 + 2) << 16).wrapping_neg(),
        };
        let run = run.wrapping_sub(ONE_MORE).wrapping_add(moved);
        *cell.get_mut(RUN_START..)?.first_chunk_mut()? = run.to_le_bytes();
        object.len -= 1;
        Some(())
    }

    /// Pushes an element onto a long list, on a new page if need be. `None` if the allocator
    /// refused that.
    pub(crate) fn push_item(&mut self, id: ObjectId, side: Side, item: &Packed<'_>) -> Option<()> {
        let Keyspace { arena, objects, .. } = self;
        let object = objects.get_mut(id)?;
        let cell = arena.cell_mut(object.end_page(side));
        if !Block::of_page(cell).push(cell, side, item) {
            let neighbour = object.end_page(side);
            let page = add_page(arena, object, id, neighbour, side)?;
            let cell = arena.cell_mut(page);
            Block::of_page(cell).push(cell, side, item);
        }
        object.len += 1;
        Some(())
    }

    /// Adds a page with these elements to a list that has none yet. It is going to grow towards
    /// `side`.
    pub(crate) fn add_first_page(
        &mut self,
        id: ObjectId,
        side: Side,
        elements: &[u8],
        count: usize,
    ) -> Option<()> {
        let Keyspace { arena, objects, .. } = self;
        let object = objects.get_mut(id)?;
        let page = add_page(arena, object, id, Addr::NONE, side)?;
        let cell = arena.cell_mut(page);
        let mut block = Block::of_page(cell);
        match side {
            Side::Left => block.start -= elements.len(),
            Side::Right => block.end += elements.len(),
        }
        bytes::write_at(cell, block.start, elements);
        block.count = count;
        each_apart(elements, &mut |_| block.apart += 1);
        block.write(cell);
        object.len = count;
        Some(())
    }

    /// Free bytes at an end of a long list, before it needs another page.
    pub(crate) fn end_space(&self, found: &Found, side: Side) -> usize {
        let cell = self.arena.cell(self.end_page(found, side));
        Block::of_page(cell).space(side)
    }

    /// Takes elements off an end of a long list, and shows each. What stood apart is buried, unless
    /// somebody else has it now.
    pub(crate) fn pop_items(
        &mut self,
        id: ObjectId,
        side: Side,
        count: usize,
        keeps_apart: bool,
        show: &mut dyn FnMut(Value<'_>),
    ) {
        let mut left = count;
        while left > 0 {
            let Some(page) = self.objects.get(id).map(|object| object.end_page(side)) else {
                break;
            };
            let mut block = Block::of_page(self.arena.cell(page));
            let taken = left.min(block.count);
            if taken == 0 {
                break;
            }
            left -= taken;
            self.take(page, &mut block, side, taken, keeps_apart, show);
            block.write_run(self.arena.cell_mut(page));
            if let Some(object) = self.objects.get_mut(id) {
                object.len -= taken;
                if block.count == 0 {
                    drop_page(&mut self.arena, object, page);
                }
            }
        }
    }

    /// The same for a list in its record. What is left: the caller writes the record.
    pub(crate) fn pop_packed(
        &mut self,
        found: &Found,
        side: Side,
        count: usize,
        keeps_apart: bool,
        show: &mut dyn FnMut(Value<'_>),
    ) -> Block {
        let mut block = Block::of(self.arena.cell(found.addr));
        self.take(found.addr, &mut block, side, count, keeps_apart, show);
        block
    }

    #[inline]
    fn take(
        &mut self,
        page: Addr,
        block: &mut Block,
        side: Side,
        count: usize,
        keeps_apart: bool,
        show: &mut dyn FnMut(Value<'_>),
    ) {
        let Keyspace { arena, objects, .. } = self;
        let cell = arena.cell(page);
        let mut has_buried = false;
        for _ in 0..count {
            let Some((item, rest)) = element_of(cell, block, side) else { break };
            show(text_of(arena, objects, item));
            block.drop_to(side, rest, 1);
            if let Item::Apart(id) = item {
                block.apart = block.apart.saturating_sub(1);
                if !keeps_apart {
                    objects.bury(id);
                    has_buried = true;
                }
            }
        }
        if has_buried {
            self.reap();
        }
    }

    /// Puts an item in the place of `old` bytes of elements on a page. False if there is no space.
    /// `change` is how many elements more there will be.
    pub(crate) fn splice_item(
        &mut self,
        id: ObjectId,
        spot: &Spot,
        old: usize,
        item: &Packed<'_>,
    ) -> bool {
        let Keyspace { arena, objects, .. } = self;
        let cell = arena.cell_mut(spot.page);
        let mut block = Block::of_page(cell);
        let new = element_bytes(item.len());
        if block.bytes() - old + new > SPACE_BYTES {
            return false;
        }
        let was_apart = old > 0 && matches!(element_at(cell, spot.at), Some((Item::Apart(_), _)));
        let at = block.stretch(cell, spot.at, old, new);
        write_element(cell, at, item);
        block.count += usize::from(old == 0);
        block.apart = block.apart + usize::from(item.is_apart()) - usize::from(was_apart);
        block.write(cell);
        if let Some(object) = objects.get_mut(id) {
            object.len += usize::from(old == 0);
        }
        self.keep_filled(id, spot.page);
        true
    }

    /// The same where there is no space: the elements behind the place go to a new page.
    /// `None` if the allocator refused that.
    pub(crate) fn split_page(
        &mut self,
        id: ObjectId,
        spot: &Spot,
        old: usize,
        item: &Packed<'_>,
    ) -> Option<()> {
        let Keyspace { arena, objects, .. } = &mut *self;
        let object = objects.get_mut(id)?;
        let page = add_page(arena, object, id, spot.page, Side::Right)?;
        let mut left = Block::of_page(arena.cell(spot.page));
        let mut right = Block::of_page(arena.cell(page));
        let (from, moving) = (spot.at + old, left.end - spot.at - old);
        let new = element_bytes(item.len());
        let stays = left.bytes() - moving - old + new <= SPACE_BYTES;
        let at = right.start + if stays { 0 } else { new };
        arena.copy_part((spot.page, from), (page, at), moving);
        right.end = at + moving;
        let moved = bytes::part(arena.cell(page), at..right.end);
        each_apart(moved, &mut |_| right.apart += 1);
        let replaced = bytes::part(arena.cell(spot.page), spot.at..from);
        each_apart(replaced, &mut |_| left.apart -= 1);
        left.apart -= right.apart;
        right.count = left.count - spot.position - usize::from(old > 0);
        left.count = spot.position;
        left.end = spot.at;
        object.len += usize::from(old == 0);
        let (target, block) = if stays { (spot.page, &mut left) } else { (page, &mut right) };
        let cell = arena.cell_mut(target);
        let at = if stays { block.stretch(cell, block.end, 0, new) } else { block.start };
        write_element(cell, at, item);
        block.count += 1;
        block.apart += usize::from(item.is_apart());
        left.write(arena.cell_mut(spot.page));
        right.write(arena.cell_mut(page));
        self.keep_filled(id, page);
        self.keep_filled(id, spot.page);
        Some(())
    }

    /// Drops a page without elements, or puts its elements together with those of a neighbour.
    fn keep_filled(&mut self, id: ObjectId, page: Addr) {
        let Block { count, previous, next, .. } = Block::of_page(self.arena.cell(page));
        if count == 0 {
            let Keyspace { arena, objects, .. } = self;
            if let Some(object) = objects.get_mut(id) {
                drop_page(arena, object, page);
            }
        } else if !self.merge_pages(id, previous, page) {
            self.merge_pages(id, page, next);
        }
    }

    /// Puts the elements of a page behind those of the one before, if there is space for them.
    fn merge_pages(&mut self, id: ObjectId, page: Addr, next: Addr) -> bool {
        let Keyspace { arena, objects, .. } = self;
        let Some(object) = objects.get_mut(id) else { return false };
        let (mut block, other) =
            (Block::of_page(arena.cell(page)), Block::of_page(arena.cell(next)));
        let moving = other.bytes();
        if page == Addr::NONE || next == Addr::NONE || block.bytes() + moving > SPACE_BYTES {
            return false;
        }
        let at = block.stretch(arena.cell_mut(page), block.end, 0, moving);
        arena.copy_part((next, other.start), (page, at), moving);
        block.count += other.count;
        block.apart += other.apart;
        block.write(arena.cell_mut(page));
        drop_page(arena, object, next);
        true
    }

    /// Drops all elements of a long list but those of a range, which is not empty.
    pub(crate) fn trim(&mut self, id: ObjectId, found: &Found, range: &Range<usize>) {
        let last = self.seek(found, range.end - 1);
        last.iter().for_each(|spot| self.cut(id, spot, Side::Right, range.end));
        let first = self.seek(found, range.start);
        first.iter().for_each(|spot| self.cut(id, spot, Side::Left, range.len()));
    }

    /// The same for a list in its record. What is left: the caller writes the record.
    pub(crate) fn trim_packed(&mut self, found: &Found, range: &Range<usize>) -> Block {
        let (first, last) = (self.seek(found, range.start), self.seek(found, range.end - 1));
        let Keyspace { arena, objects, .. } = self;
        let cell = arena.cell(found.addr);
        let mut block = Block::of(cell);
        if let (Some(first), Some(last)) = (first, last) {
            for gone in [block.start..first.at, last.end..block.end] {
                each_apart(bytes::part(cell, gone), &mut |id| objects.bury(id));
            }
            (block.start, block.end, block.count) = (first.at, last.end, range.len());
        }
        self.reap();
        block
    }

    /// Cuts a long list off at a place: what is on that side of the element goes, which leaves
    /// `len` of them.
    fn cut(&mut self, id: ObjectId, spot: &Spot, side: Side, len: usize) {
        let Keyspace { arena, objects, .. } = &mut *self;
        let cell = arena.cell_mut(spot.page);
        let mut block = Block::of_page(cell);
        let (range, count) = match side {
            Side::Left => (block.start..spot.at, spot.position),
            Side::Right => (spot.end..block.end, block.count - 1 - spot.position),
        };
        if block.apart > 0 {
            each_apart(bytes::part(cell, range), &mut |id| {
                objects.bury(id);
                block.apart -= 1;
            });
        }
        let beyond = block.neighbour(side);
        match side {
            Side::Left => (block.start, block.previous) = (spot.at, Addr::NONE),
            Side::Right => (block.end, block.next) = (spot.end, Addr::NONE),
        }
        block.count -= count;
        block.write(cell);
        let Some(object) = objects.get_mut(id) else { return };
        let end = object.end_page(side);
        object.set_end_page(side, spot.page);
        object.len = len;
        let pages = match side {
            Side::Left => spot.pages,
            Side::Right => object.pages as usize - 1 - spot.pages,
        };
        object.pages -= pages as u32;
        if beyond != Addr::NONE {
            let (first, last) = if side == Side::Left { (end, beyond) } else { (beyond, end) };
            self.bury_pages(first, last, pages as u32);
        }
        self.reap();
    }

    /// Has pages that were cut off a list taken apart step by step; at once where there is no
    /// memory for an object that would hold them until then.
    fn bury_pages(&mut self, first: Addr, last: Addr, pages: u32) {
        let Keyspace { arena, .. } = &mut *self;
        set_neighbour(arena, first, Side::Left, Addr::NONE);
        set_neighbour(arena, last, Side::Right, Addr::NONE);
        let may_add = self.objects.pages_for(1) == 0 || self.segments_left() > 0;
        let id = if may_add { self.objects.add(Kind::List) } else { None };
        let Keyspace { arena, objects, .. } = &mut *self;
        if let Some(id) = id
            && let Some(object) = objects.get_mut(id)
        {
            (object.root, object.last, object.pages) = (first, last, pages);
            name_owner(arena, first, id);
            name_owner(arena, last, id);
            self.release(id);
            return;
        }
        let mut page = first;
        while page != Addr::NONE {
            let block = Block::of_page(arena.cell(page));
            let elements = bytes::part(arena.cell(page), block.start..block.end);
            each_apart(elements, &mut |id| objects.bury(id));
            arena.free(page);
            page = block.next;
        }
    }

    /// Which elements of a run are this string, and how many.
    fn marked(&self, cell: &[u8], block: &Block, text: &[u8]) -> (Marks, usize) {
        let mut marks = Marks::default();
        let (mut at, mut count) = (block.start, 0);
        for position in 0..block.count {
            let Some((item, end)) = element_at(cell, at) else { break };
            at = end;
            if self.is_same(item, Item::Here(text))
                && let Some(word) = marks.get_mut(position / 64)
            {
                *word |= 1 << (position % 64);
                count += 1;
            }
        }
        (marks, count)
    }

    /// Takes those elements out of a page that are this string: so many at most, the ones
    /// towards `side` first. How many.
    pub(crate) fn remove_text(
        &mut self,
        page: Addr,
        side: Side,
        text: &[u8],
        max: usize,
    ) -> (Block, usize) {
        let cell = self.arena.cell(page);
        let mut block = Block::of(cell);
        let (marks, count) = self.marked(cell, &block, text);
        let removed = count.min(max);
        if removed == 0 {
            return (block, 0);
        }
        let chosen = match side {
            Side::Left => 0..removed,
            Side::Right => count - removed..count,
        };
        let Keyspace { arena, objects, .. } = self;
        let cell = arena.cell_mut(page);
        let (mut at, mut to, mut number) = (block.start, block.start, 0);
        for position in 0..block.count {
            let Some((item, end)) = element_at(cell, at) else { break };
            let is_marked =
                marks.get(position / 64).is_some_and(|word| word >> (position % 64) & 1 == 1);
            if is_marked && chosen.contains(&number) {
                if let Item::Apart(id) = item {
                    objects.bury(id);
                    block.apart = block.apart.saturating_sub(1);
                }
            } else {
                move_within(cell, at, to, end - at);
                to += end - at;
            }
            number += usize::from(is_marked);
            at = end;
        }
        block.end = to;
        block.count -= removed;
        (block, removed)
    }

    /// Takes elements out of a long list that are this string, so many at most, from `side` on.
    /// How many.
    pub(crate) fn remove_texts(
        &mut self,
        id: ObjectId,
        side: Side,
        text: &[u8],
        max: usize,
    ) -> usize {
        let mut removed = 0;
        let mut page = self.objects.get(id).map_or(Addr::NONE, |object| object.end_page(side));
        while page != Addr::NONE && removed < max {
            let (block, count) = self.remove_text(page, side, text, max - removed);
            let next = block.neighbour(side.other());
            if count > 0 {
                removed += count;
                block.write(self.arena.cell_mut(page));
                if let Some(object) = self.objects.get_mut(id) {
                    object.len -= count;
                }
                if block.count == 0 {
                    self.keep_filled(id, page);
                } else if side == Side::Left {
                    // Only with what the walk has behind it.
                    self.merge_pages(id, block.previous, page);
                } else {
                    self.merge_pages(id, page, block.next);
                }
            }
            page = next;
        }
        removed
    }

    /// Buries what stands apart of the elements at a place in a cell.
    pub(crate) fn bury_elements(&mut self, addr: Addr, place: Range<usize>) {
        let Keyspace { arena, objects, .. } = self;
        let elements = bytes::part(arena.cell(addr), place);
        each_apart(elements, &mut |id| objects.bury(id));
    }

    /// Lets go of what stands apart of these elements.
    pub(crate) fn release_each(&mut self, elements: &[u8]) {
        each_apart(elements, &mut |id| self.objects.bury(id));
        self.reap();
    }

    /// Frees the pages of a list and its number; its elements are in a record now.
    pub(crate) fn forget_pages(&mut self, id: ObjectId) {
        let Keyspace { arena, objects, .. } = self;
        if let Some(object) = objects.get_mut(id) {
            while object.root != Addr::NONE {
                let page = object.root;
                drop_page(arena, object, page);
            }
            objects.remove(id);
        }
    }

    /// A step of taking a list apart: a page, or some elements of one where objects hang on them.
    /// `None` if there is nothing left.
    pub(crate) fn reap_list(&mut self, id: ObjectId) -> Option<()> {
        const ELEMENTS: usize = 16;
        let Keyspace { arena, objects, .. } = self;
        let page = objects.get(id)?.last;
        let mut block = Block::of_page(arena.cell(page));
        if page == Addr::NONE {
            return None;
        }
        if block.apart > 0 {
            for _ in 0..block.count.min(ELEMENTS) {
                let cell = arena.cell(page);
                let (item, at) = element_of(cell, &block, Side::Right)?;
                if let Item::Apart(id) = item {
                    objects.bury(id);
                    block.apart -= 1;
                }
                block.end = at;
                block.count -= 1;
            }
            block.write(arena.cell_mut(page));
        }
        if block.apart == 0 {
            drop_page(arena, objects.get_mut(id)?, page);
            let last = objects.get(id)?.last;
            name_owner(arena, last, id);
        }
        Some(())
    }
}

impl Object {
    /// The page of a list at one of its ends.
    #[inline]
    pub(super) fn end_page(&self, side: Side) -> Addr {
        if side == Side::Left { self.root } else { self.last }
    }

    fn set_end_page(&mut self, side: Side, page: Addr) {
        match side {
            Side::Left => self.root = page,
            Side::Right => self.last = page,
        }
    }
}

/// The class of a page.
pub(crate) fn page_class() -> Class {
    Class::fitting(PAGE_BYTES)
}

/// Makes an empty page beside another of a list; its elements are going to grow away from that.
fn add_page(
    arena: &mut Arena,
    object: &mut Object,
    id: ObjectId,
    neighbour: Addr,
    side: Side,
) -> Option<Addr> {
    let page = arena.allocate(page_class())?;
    let beyond = Block::of_page(arena.cell(neighbour)).neighbour(side);
    let cell = arena.cell_mut(page);
    PageHead { object: id, level: LINKED, position: 0 }.write(cell);
    let block = Block::empty(side);
    block.write(cell);
    for (other, side) in [(neighbour, side), (beyond, side.other())] {
        join(arena, object, other, side, page);
        join(arena, object, page, side.other(), other);
    }
    object.pages += 1;
    Some(page)
}

/// Frees a page of a list and joins its neighbours.
fn drop_page(arena: &mut Arena, object: &mut Object, page: Addr) {
    let Block { previous, next, .. } = Block::of_page(arena.cell(page));
    join(arena, object, previous, Side::Right, next);
    join(arena, object, next, Side::Left, previous);
    object.pages -= 1;
    arena.free(page);
}

/// Notes what is on one side of a page; what is beside no page is at the end of the list.
fn join(arena: &mut Arena, object: &mut Object, page: Addr, side: Side, to: Addr) {
    if page == Addr::NONE {
        object.set_end_page(side.other(), to);
        return;
    }
    set_neighbour(arena, page, side, to);
}

fn set_neighbour(arena: &mut Arena, page: Addr, side: Side, to: Addr) {
    let cell = arena.cell_mut(page);
    let mut block = Block::of_page(cell);
    match side {
        Side::Left => block.previous = to,
        Side::Right => block.next = to,
    }
    block.write(cell);
}

/// Makes a page name its object.
fn name_owner(arena: &mut Arena, page: Addr, object: ObjectId) {
    PageHead { object, level: LINKED, position: 0 }.write(arena.cell_mut(page));
}

impl Keyspace {
    /// Tells the neighbours of a page of a list, or its object, that it was moved.
    pub(crate) fn rejoin(&mut self, object: ObjectId, page: Addr) {
        let Block { previous, next, .. } = Block::of_page(self.arena.cell(page));
        for (neighbour, side) in [(previous, Side::Right), (next, Side::Left)] {
            if neighbour != Addr::NONE {
                set_neighbour(&mut self.arena, neighbour, side, page);
            } else if let Some(object) = self.objects.get_mut(object) {
                object.set_end_page(side.other(), page);
            }
        }
    }
}
