//! Changes of lists: elements come and go, and a list moves from its record to pages and back.
//!
//! Invariant: a list of up to `LIST_PACKED_BYTES_MAX` bytes that was never longer is in its record;
//! one that has become half as long goes back there.
//!
//! Not here: what commands mean (mod.rs), and how elements stand on pages (deque).

use crate::arena::Class;
use crate::bytes;
use crate::deque::{
    Block, COUNT_BYTES, SPACE_BYTES, Side, element_at, element_bytes, page_class, write_element,
};
use crate::error::{Error, Result};
use crate::keyspace::Cx;
use crate::limits::{LIST_PACKED_BYTES_MAX, LIST_REPACKED_BYTES_MAX};
use crate::object::ObjectId;
use crate::packed::{ITEM_BYTES_MAX, Item, Packed};
use crate::record::{Kind, NEVER};
use crate::table::Target;
use crate::value::{TextBuffer, Value};
use crate::write::{Draft, text_cells};

/// What is pushed onto a list: strings; or one object that stands for a string, out of another.
#[derive(Clone, Copy)]
pub(super) struct Pushed<'a> {
    pub(super) values: &'a [&'a [u8]],
    pub(super) moved: Option<ObjectId>,
}

impl Pushed<'_> {
    fn element_bytes(&self, value: &[u8]) -> usize {
        let is_apart = self.moved.is_some() || value.len() > ITEM_BYTES_MAX;
        let item = if is_apart { Item::Apart(ObjectId::NONE) } else { Item::Here(value) };
        element_bytes(Packed::new(item).len())
    }

    fn bytes(&self) -> usize {
        self.values.iter().map(|value| self.element_bytes(value)).sum()
    }

    /// Pages to be added where one has so many free bytes.
    fn pages(&self, space: usize) -> usize {
        let (mut space, mut pages) = (space, 0);
        for value in self.values {
            let bytes = self.element_bytes(value);
            if bytes > space {
                pages += 1;
                space = SPACE_BYTES;
            }
            space -= bytes;
        }
        pages
    }

    /// The strings that need an object of their own.
    pub(super) fn texts(&self) -> impl Iterator<Item = &[u8]> {
        let are_new = self.moved.is_none();
        self.values.iter().copied().filter(move |text| are_new && text.len() > ITEM_BYTES_MAX)
    }
}

impl Cx<'_> {
    /// How a push is done: the bytes that the record then stores, if the list is packed; else how
    /// many pages it needs.
    fn plan(&self, target: &Target<'_>, side: Side, pushed: &Pushed<'_>) -> (Option<usize>, usize) {
        match &target.found {
            Some(found) if found.head.is_large() => {
                (None, pushed.pages(self.keys.end_space(found, side)))
            }
            found => {
                // One that is only being made may have nothing yet, not even the count.
                let old_len = found.map_or(0, |found| found.head.stored_len()).max(COUNT_BYTES);
                let len = old_len + pushed.bytes();
                if len <= LIST_PACKED_BYTES_MAX {
                    (Some(len), 0)
                } else {
                    (None, 1 + pushed.pages(SPACE_BYTES + COUNT_BYTES - old_len))
                }
            }
        }
    }

    /// Makes room for all that a push needs, objects included.
    pub(super) fn reserve(
        &mut self,
        target: &mut Target<'_>,
        side: Side,
        pushed: &Pushed<'_>,
    ) -> Result<()> {
        let (stored_len, pages) = self.plan(target, side, pushed);
        let deadline = target.found.map_or(NEVER, |found| found.head.deadline);
        let stored_len = stored_len.unwrap_or(size_of::<ObjectId>());
        let draft =
            Draft::of(target.key, target.hash, Kind::List, stored_len, deadline, target.found)?;
        let mut cells = Class::none_wanted();
        add_wanted(&mut cells, &draft.cells);
        add_wanted(&mut cells, &[(page_class(), pages)]);
        let mut objects = 1;
        for text in pushed.texts() {
            add_wanted(&mut cells, &text_cells(text.len())?);
            objects += 1;
        }
        match &mut target.found {
            Some(found) => {
                self.pinning(found, |cx| cx.make_room_for_keys(&mut cells, 0, 0, objects))
            }
            None => self.make_room_for_keys(&mut cells, 0, 1, objects).map(|_| ()),
        }
    }

    pub(super) fn add_elements(
        &mut self,
        target: &mut Target<'_>,
        side: Side,
        pushed: &Pushed<'_>,
    ) -> Result<()> {
        let (stored_len, pages) = self.plan(target, side, pushed);
        if let Some(len) = stored_len {
            return self.push_packed(target, side, pushed, len);
        }
        match &mut target.found {
            Some(found) if found.head.is_large() => {
                self.make_room_beside(found, &mut [(page_class(), pages)], 0, 0)?;
            }
            _ => self.unpack(target, side, pages)?,
        }
        let done = self.push_each(target, side, pushed);
        if done.is_err() {
            // A new list may have got its page, and no element.
            self.keep_packed(target);
        }
        done
    }

    fn push_each(
        &mut self,
        target: &mut Target<'_>,
        side: Side,
        pushed: &Pushed<'_>,
    ) -> Result<()> {
        for value in pushed.values {
            let item = self.item_of(target, pushed, value)?;
            let id = target.found.and_then(|found| self.keys.object_of(&found));
            let id = id.ok_or(Error::OutOfMemory)?;
            if self.keys.push_item(id, side, &Packed::new(item)).is_none() {
                if let (Item::Apart(id), None) = (item, pushed.moved) {
                    self.keys.release(id);
                }
                return Err(Error::OutOfMemory);
            }
        }
        if let Some(found) = &target.found {
            self.keys.note_use(found.place);
        }
        Ok(())
    }

    /// The item for a string that is pushed.
    fn item_of<'a>(
        &mut self,
        target: &mut Target<'_>,
        pushed: &Pushed<'_>,
        value: &'a [u8],
    ) -> Result<Item<'a>> {
        if let Some(id) = pushed.moved {
            return Ok(Item::Apart(id));
        }
        if value.len() <= ITEM_BYTES_MAX {
            return Ok(Item::Here(value));
        }
        self.add_text(&mut target.found, value).map(Item::Apart)
    }

    fn push_packed(
        &mut self,
        target: &mut Target<'_>,
        side: Side,
        pushed: &Pushed<'_>,
        len: usize,
    ) -> Result<()> {
        let mut buffer = [0; LIST_PACKED_BYTES_MAX];
        let (mut at, mut count) = (COUNT_BYTES, 0);
        let added = len - target.found.map_or(COUNT_BYTES, |found| found.head.stored_len());
        if let Some(found) = &target.found {
            let cell = self.keys.arena.cell(found.addr);
            let block = Block::of(cell);
            let old = bytes::part(cell, block.start..block.end);
            let place = if side == Side::Left { COUNT_BYTES + added } else { COUNT_BYTES };
            bytes::write_at(&mut buffer, place, old);
            count = block.count;
            if side == Side::Right {
                at += old.len();
            }
        }
        let start = at;
        for number in 0..pushed.values.len() {
            let last = pushed.values.len() - 1;
            let number = if side == Side::Left { last - number } else { number };
            let value = pushed.values.get(number).copied().unwrap_or_default();
            match self.item_of(target, pushed, value) {
                Ok(item) => at = write_element(&mut buffer, at, &Packed::new(item)),
                Err(error) => {
                    self.keys.release_each(bytes::part(&buffer, start..at));
                    return Err(error);
                }
            }
        }
        let count = (count + pushed.values.len()) as u16;
        bytes::copy(&mut buffer, &count.to_le_bytes());
        let done = self.put_packed(target, bytes::part(&buffer, 0..len));
        if done.is_err() && pushed.moved.is_none() {
            self.keys.release_each(bytes::part(&buffer, start..at));
        }
        done
    }

    /// Writes the record of a packed list.
    fn put_packed(&mut self, target: &mut Target<'_>, stored: &[u8]) -> Result<()> {
        let Target { key, hash, found, .. } = *target;
        let deadline = found.map_or(NEVER, |found| found.head.deadline);
        let draft = Draft::of(key, hash, Kind::List, stored.len(), deadline, found)?;
        self.replace_target(target, draft.keeping(), &mut { stored })
    }

    /// Writes the record again with what is left of its elements; none drops the key.
    pub(super) fn put_block(&mut self, target: &mut Target<'_>, block: &Block) -> Result<()> {
        let Some(found) = &target.found else { return Ok(()) };
        let mut buffer = [0; LIST_PACKED_BYTES_MAX];
        bytes::copy(&mut buffer, &(block.count as u16).to_le_bytes());
        let cell = self.keys.arena.cell(found.addr);
        let elements = bytes::part(cell, block.start..block.end);
        bytes::write_at(&mut buffer, COUNT_BYTES, elements);
        let len = COUNT_BYTES + elements.len();
        if block.count == 0 {
            self.drop_target(target);
            self.keys.settle();
            return Ok(());
        }
        self.put_packed(target, bytes::part(&buffer, 0..len))
    }

    /// Moves a list from its record, if it has one, to the first of so many pages that there is
    /// then room for.
    fn unpack(&mut self, target: &mut Target<'_>, side: Side, pages: usize) -> Result<()> {
        let Target { key, hash, found, .. } = *target;
        let deadline = found.map_or(NEVER, |found| found.head.deadline);
        let mut draft = Draft::of_object(key, hash, Kind::List, deadline, found)?.keeping();
        let [_, wanted, ..] = &mut draft.cells;
        *wanted = (page_class(), pages);
        self.prepare_target(target, &mut draft)?;
        let mut buffer = [0; LIST_PACKED_BYTES_MAX];
        let (mut len, mut count) = (0, 0);
        if let Some(found) = &draft.found {
            let cell = self.keys.arena.cell(found.addr);
            let block = Block::of(cell);
            let old = bytes::part(cell, block.start..block.end);
            bytes::copy(&mut buffer, old);
            (len, count) = (old.len(), block.count);
        }
        let id = self.keys.objects.add(Kind::List).ok_or(Error::OutOfMemory)?;
        let elements = bytes::part(&buffer, 0..len);
        let put = match self.keys.add_first_page(id, side, elements, count) {
            Some(()) => self.keys.put(&draft, &mut &id.0.to_le_bytes()[..]),
            None => Err(Error::OutOfMemory),
        };
        if put.is_err() {
            self.keys.forget_pages(id);
        }
        target.found = Some(put?);
        Ok(())
    }

    /// Drops a list without elements; packs one that has become short, if there is room.
    pub(super) fn keep_packed(&mut self, target: &mut Target<'_>) {
        let Some(found) = &target.found else { return };
        let Some(id) = self.keys.object_of(found) else { return };
        let Some(object) = self.keys.objects.get(id) else { return };
        if object.len == 0 {
            self.keys.release(id);
            self.drop_target(target);
            self.keys.settle();
            return;
        }
        let cell = self.keys.arena.cell(object.root);
        let block = Block::of(cell);
        if object.pages > 1 || block.bytes() > LIST_REPACKED_BYTES_MAX {
            return;
        }
        let mut buffer = [0; COUNT_BYTES + LIST_REPACKED_BYTES_MAX];
        bytes::copy(&mut buffer, &(block.count as u16).to_le_bytes());
        let elements = bytes::part(cell, block.start..block.end);
        bytes::write_at(&mut buffer, COUNT_BYTES, elements);
        let stored = bytes::part(&buffer, 0..COUNT_BYTES + elements.len());
        let deadline = found.head.deadline;
        let Target { key, hash, .. } = *target;
        let draft = Draft::of(key, hash, Kind::List, stored.len(), deadline, Some(*found));
        let Ok(draft) = draft else { return };
        if self.keys.has_room(&draft.cells)
            && let Ok(found) = self.replace(draft.keeping(), &mut { stored })
        {
            target.found = Some(found);
            self.keys.forget_pages(id);
        }
    }

    /// Takes elements off an end of a list that has so many, and shows each.
    pub(super) fn take_elements(
        &mut self,
        target: &mut Target<'_>,
        side: Side,
        count: usize,
        keeps_apart: bool,
        show: &mut dyn FnMut(Value<'_>),
    ) -> Result<()> {
        let Some(found) = target.found else { return Ok(()) };
        self.keys.note_use(found.place);
        match self.keys.object_of(&found) {
            Some(id) => {
                self.keys.pop_items(id, side, count, keeps_apart, show);
                self.keep_packed(target);
            }
            None => {
                let block = self.keys.pop_packed(&found, side, count, keeps_apart, show);
                self.put_block(target, &block)?;
            }
        }
        Ok(())
    }

    /// Puts a string at an index, in the place of the element there or before it.
    pub(super) fn edit(
        &mut self,
        target: &mut Target<'_>,
        index: usize,
        replaces: bool,
        value: &[u8],
    ) -> Result<()> {
        let pushed = Pushed { values: &[], moved: None };
        let item = self.item_of(target, &pushed, value)?;
        let done = self.splice_list(target, index, replaces, &Packed::new(item));
        let spare = match (&done, item) {
            (Ok(old), _) => *old,
            (Err(_), Item::Apart(id)) => Some(id),
            _ => None,
        };
        if let Some(id) = spare {
            self.keys.release(id);
        }
        done.map(|_| ())
    }

    /// Puts an item at an index. The object of the one that was there, if it stood apart.
    fn splice_list(
        &mut self,
        target: &mut Target<'_>,
        index: usize,
        replaces: bool,
        item: &Packed<'_>,
    ) -> Result<Option<ObjectId>> {
        let found = target.found.ok_or(Error::NoSuchKey)?;
        let spot = self.keys.seek(&found, index).ok_or(Error::IndexOutOfRange)?;
        let cell = self.keys.arena.cell(spot.page);
        let replaced = element_at(cell, spot.at).filter(|_| replaces);
        let old = if replaces { spot.end - spot.at } else { 0 };
        let gone = match replaced {
            Some((Item::Apart(id), _)) => Some(id),
            _ => None,
        };
        if !found.head.is_large() {
            let len = found.head.stored_len() - old + element_bytes(item.len());
            if len <= LIST_PACKED_BYTES_MAX {
                let mut buffer = [0; LIST_PACKED_BYTES_MAX];
                let start = found.head.stored_start();
                let count = Block::of(cell).count + usize::from(!replaces);
                bytes::copy(&mut buffer, bytes::part(cell, start..spot.at));
                bytes::copy(&mut buffer, &(count as u16).to_le_bytes());
                let end = write_element(&mut buffer, spot.at - start, item);
                let rest = bytes::part(cell, spot.at + old..found.head.record_bytes());
                bytes::write_at(&mut buffer, end, rest);
                self.put_packed(target, bytes::part(&buffer, 0..len))?;
                return Ok(gone);
            }
            self.unpack(target, Side::Right, 1)?;
        }
        let found = target.found.as_mut().ok_or(Error::NoSuchKey)?;
        let id = self.keys.object_of(found).ok_or(Error::NoSuchKey)?;
        let spot = self.keys.seek(found, index).ok_or(Error::IndexOutOfRange)?;
        if !self.keys.splice_item(id, &spot, old, item) {
            self.make_room_beside(found, &mut [(page_class(), 1)], 0, 0)?;
            let spot = self.keys.seek(found, index).ok_or(Error::IndexOutOfRange)?;
            self.keys.split_page(id, &spot, old, item).ok_or(Error::OutOfMemory)?;
        }
        Ok(gone)
    }

    /// Adds an element at the right.
    #[cfg(any(feature = "dump", feature = "sort"))]
    pub(crate) fn add_element(&mut self, target: &mut Target<'_>, text: &[u8]) -> Result<()> {
        let pushed = Pushed { values: &[text], moved: None };
        if pushed.texts().next().is_some() {
            self.reserve(target, Side::Right, &pushed)?;
        }
        self.add_elements(target, Side::Right, &pushed)
    }

    /// Shows every element of a list.
    #[cfg(any(feature = "dump", feature = "sort"))]
    pub(crate) fn each_element(
        &self,
        found: &crate::keyspace::Found,
        show: &mut dyn FnMut(Value<'_>),
    ) {
        let mut walk = self.keys.walk_list(found);
        while let Some(item) = self.keys.next_element(&mut walk) {
            show(self.keys.text(item));
        }
    }

    /// Fills a list of no key with the elements of a pinned one.
    pub(crate) fn copy_list(&mut self, pin: usize, copy: &mut Target<'_>) -> Result<()> {
        let found = self.keys.pinned(pin).ok_or(Error::NoSuchKey)?;
        let mut walk = self.keys.walk_list(&found);
        let pages = self.keys.large(&found).map_or(1, |object| object.pages as usize);
        let mut cells = Class::none_wanted();
        let mut objects = 1;
        // A page to spare: the first is there before the record that names its object.
        add_wanted(&mut cells, &[(page_class(), pages + 1)]);
        let record = Draft::of_object(copy.key, copy.hash, Kind::List, NEVER, None)?;
        add_wanted(&mut cells, &record.cells);
        while let Some(item) = self.keys.next_element(&mut walk) {
            if let Item::Apart(_) = item {
                add_wanted(&mut cells, &text_cells(self.keys.text(item).len())?);
                objects += 1;
            }
        }
        let target = copy.found.as_mut().ok_or(Error::NoSuchKey)?;
        self.pinning(target, |cx| cx.make_room_for_keys(&mut cells, 0, 0, objects))?;
        // From here on nothing moves.
        self.unpack(copy, Side::Right, pages)?;
        let found = self.keys.pinned(pin).ok_or(Error::NoSuchKey)?;
        let id = copy.found.and_then(|found| self.keys.object_of(&found));
        let id = id.ok_or(Error::NoSuchKey)?;
        let mut walk = self.keys.walk_list(&found);
        let mut text = TextBuffer::new();
        while let Some(item) = self.keys.next_element(&mut walk) {
            let is_apart = matches!(item, Item::Apart(_));
            let text = text.copy(self.keys.text(item))?;
            let item = if is_apart {
                Item::Apart(self.add_text(&mut copy.found, text)?)
            } else {
                Item::Here(text)
            };
            self.keys.push_item(id, Side::Right, &Packed::new(item)).ok_or(Error::OutOfMemory)?;
        }
        self.keep_packed(copy);
        Ok(())
    }
}

fn add_wanted(cells: &mut [(Class, usize)], wanted: &[(Class, usize)]) {
    for &(class, count) in wanted {
        if let Some((_, sum)) = cells.iter_mut().find(|(other, _)| *other == class) {
            *sum += count;
        }
    }
}
