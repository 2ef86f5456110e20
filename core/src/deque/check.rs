//! Every invariant of lists, checked. For tests.

use crate::arena::{Addr, PAGE_BYTES};
use crate::deque::{Block, LINKED, SPACE_START, element_at, element_before};
use crate::keyspace::Keyspace;
use crate::object::ObjectId;
use crate::packed::{ITEM_BYTES_MAX, Item};
use crate::record::{Kind, PageHead};
use crate::validate::{Checked, Sum};

impl Keyspace {
    /// Checks the elements of a list in its record: what belongs to them.
    pub(crate) fn validate_packed_list(&self, cell: &[u8]) -> Checked<Sum> {
        let block = Block::of(cell);
        if block.count == 0 {
            return Err("list: a record without elements");
        }
        Ok(self.validate_run(cell, &block)?.0)
    }

    /// Checks the pages of a list, what belongs to them included.
    pub(crate) fn validate_pages(&self, id: ObjectId, is_whole: bool) -> Checked<Sum> {
        let object = self.objects.get(id).ok_or("list: a number of no object")?;
        let (mut page, mut previous) = (object.root, Addr::NONE);
        let (mut sum, mut len, mut pages) = (Sum::default(), 0, 0);
        while page != Addr::NONE {
            let cell = self.arena.cell(page);
            let head = PageHead::read(cell).filter(|head| head.level == LINKED);
            let head = head.ok_or("list: a link to what is no page")?;
            let block = Block::of_page(cell);
            let is_end = previous == Addr::NONE || block.next == Addr::NONE;
            if (is_whole || is_end) && head.object != id {
                return Err("list: a page names another object");
            }
            if block.previous != previous || block.count == 0 {
                return Err("list: a page is empty, or does not know its neighbour");
            }
            if block.start < SPACE_START || block.end > PAGE_BYTES {
                return Err("list: elements outside of a page");
            }
            let (apart, count) = self.validate_run(cell, &block)?;
            if count != block.apart {
                return Err("list: a page's count of what stands apart is off");
            }
            sum.add(apart);
            sum.cell_bytes += PAGE_BYTES;
            len += block.count;
            pages += 1;
            (previous, page) = (page, block.next);
        }
        if previous != object.last || pages != object.pages {
            return Err("list: the last page or the number of pages is off");
        }
        if is_whole && (len != object.len || len == 0) {
            return Err("list: the number of elements is off");
        }
        Ok(sum)
    }

    /// What stands apart of a run, and how many elements do.
    fn validate_run(&self, cell: &[u8], block: &Block) -> Checked<(Sum, usize)> {
        let (mut at, mut sum, mut apart) = (block.start, Sum::default(), 0);
        for _ in 0..block.count {
            let (item, end) = element_at(cell, at).ok_or("list: an element is cut off")?;
            if element_before(cell, end) != Some(at) {
                return Err("list: an element's length behind it is off");
            }
            if let Item::Apart(id) = item {
                sum.add(self.validate_object(id, Some(Kind::String))?);
                apart += 1;
            }
            let is_short = self.text(item).len() <= ITEM_BYTES_MAX;
            if is_short != matches!(item, Item::Here(_)) {
                return Err("list: an element that stands where it should not");
            }
            at = end;
        }
        if at == block.end { Ok((sum, apart)) } else { Err("list: a count of elements is off") }
    }
}
