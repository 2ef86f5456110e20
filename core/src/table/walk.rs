//! Walks through a table: all entries in turn, random ones, samples.
//!
//! Not here: SCAN's cursors, which a table that changes does not disturb (scan.rs).

use alloc::vec::Vec;

use crate::error::Result;
use crate::keyspace::{Cx, Found, Keyspace};
use crate::packed::{Entry, Item};
use crate::table::{Spot, Target, apart};

/// Where a walk through a table is: good as long as the table does not change.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Cursor {
    pub(crate) page: usize,
    pub(crate) start: usize,
}

/// Draws after which a random choice takes what it finds: pages that lost nearly all they had.
const DRAWS_MAX: usize = 1000;

/// A sample of fewer than one in so many entries is drawn, not walked for.
const SAMPLE_DIVISOR: usize = 8;

impl Cx<'_> {
    /// The next entry of a walk that has not expired.
    pub(crate) fn next_entry(&self, found: &Found, cursor: &mut Cursor) -> Option<Entry<'_>> {
        loop {
            let entry = self.keys.next_entry(found, cursor)?;
            if !self.is_past(entry.deadline) {
                return Some(entry);
            }
        }
    }

    /// The entry of this name, if it has not expired.
    #[cfg_attr(not(target_arch = "wasm32"), inline(always))]
    pub(crate) fn live_entry(&self, found: &Found, name: Item<'_>) -> Option<Entry<'_>> {
        self.keys.find_entry(found, name).filter(|entry| !self.is_past(entry.deadline))
    }

    /// How many entries there are.
    pub(crate) fn count_entries(&self, found: &Found) -> usize {
        if let Some(object) = self.keys.large(found) {
            return object.len;
        }
        let entries = self.keys.entries(found, 0);
        entries.filter(|entry| !self.is_past(entry.deadline)).count()
    }

    /// Shows every entry that has not expired.
    pub(crate) fn each_entry(&self, found: &Found, show: &mut dyn FnMut(&Entry<'_>)) {
        for page in 0..self.keys.table_pages(found) {
            for entry in self.keys.entries(found, page) {
                if !self.is_past(entry.deadline) {
                    show(&entry);
                }
            }
        }
    }

    /// Any entry, each with the same chance: a random position on a random page, drawn again until
    /// there is an entry at it.
    pub(crate) fn random_entry(&mut self, found: &Found) -> Option<Cursor> {
        let (pages, positions) = match self.keys.large(found) {
            Some(object) => (object.pages as usize, object.page_len_max as usize),
            None => (1, self.keys.entries(found, 0).count()),
        };
        for _ in 0..DRAWS_MAX {
            let page = self.keys.random.below(pages);
            let position = self.keys.random.below(positions);
            let entry = self.keys.entries(found, page).nth(position);
            if let Some(entry) = entry.filter(|entry| !self.is_past(entry.deadline)) {
                return Some(Cursor { page, start: entry.start });
            }
        }
        let mut cursor = Cursor::default();
        let start = self.next_entry(found, &mut cursor)?.start;
        Some(Cursor { start, ..cursor })
    }

    /// Shows so many different entries, each choice with the same chance; all of them if there
    /// are no more. One walk through the table, unless only a few are wanted.
    pub(crate) fn sample(
        &mut self,
        found: &Found,
        count: usize,
        show: &mut dyn FnMut(&Keyspace, &Entry<'_>),
    ) {
        let mut found = *found;
        let size = self.count_entries(&found);
        if count < size / SAMPLE_DIVISOR && self.sample_few(&mut found, count, show) {
            return;
        }
        // Selection sampling: Knuth, The Art of Computer Programming, 3.4.2, algorithm S.
        let (mut left, mut wanted) = (size, count.min(size));
        let mut cursor = Cursor::default();
        while wanted > 0 {
            let chance = self.keys.random.below(left);
            let Some(entry) = self.next_entry(&found, &mut cursor) else { break };
            if chance < wanted {
                show(self.keys, &entry);
                wanted -= 1;
            }
            left -= 1;
        }
    }

    /// The same by drawing at random, and drawing again what was drawn before. False, and nothing
    /// shown, if there is no memory to note the draws.
    fn sample_few(
        &mut self,
        found: &mut Found,
        count: usize,
        show: &mut dyn FnMut(&Keyspace, &Entry<'_>),
    ) -> bool {
        let slots = 2 * count + 1;
        let bytes = slots * size_of::<Option<Cursor>>();
        let room = self.pinning(found, |cx| cx.lend_bytes(bytes));
        let mut drawn: Vec<Option<Cursor>> = Vec::new();
        if room.is_err() || drawn.try_reserve_exact(slots).is_err() {
            return false;
        }
        drawn.resize(slots, None);
        let mut left = count;
        while left > 0 {
            let Some(cursor) = self.random_entry(found) else { break };
            let mut slot = (cursor.page.wrapping_mul(31) + cursor.start) % slots;
            let is_new = loop {
                match drawn.get_mut(slot) {
                    Some(Some(other)) if *other == cursor => break false,
                    Some(free @ None) => {
                        *free = Some(cursor);
                        break true;
                    }
                    _ => slot = (slot + 1) % slots,
                }
            };
            if is_new && let Some(entry) = self.keys.next_entry(found, &mut { cursor }) {
                show(self.keys, &entry);
                left -= 1;
            }
        }
        true
    }

    /// Takes out the entry at which a walk is.
    pub(crate) fn remove_at(&mut self, target: &mut Target<'_>, at: Cursor) -> Result<()> {
        self.cut_at(target, at)?;
        self.settle_down(target);
        Ok(())
    }

    /// The same without settling down: the walk may go on at that place.
    pub(crate) fn cut_at(&mut self, target: &mut Target<'_>, at: Cursor) -> Result<()> {
        let Some(found) = &target.found else { return Ok(()) };
        let Some(entry) = self.keys.next_entry(found, &mut { at }) else { return Ok(()) };
        let Cursor { page, start } = at;
        let spot = Spot { page, start, end: entry.end, tag: None };
        let gone = [apart(entry.name), apart(entry.value)];
        self.take_out(target, spot, gone)
    }
}

impl Keyspace {
    /// All entries, expired or not.
    #[cfg(any(feature = "zset", not(target_arch = "wasm32")))]
    pub(crate) fn walk(&self, found: &Found) -> impl Iterator<Item = Entry<'_>> {
        let found = *found;
        (0..self.table_pages(&found)).flat_map(move |page| self.entries(&found, page))
    }

    /// The next entry of a walk. Its place is given from the start of the page.
    pub(crate) fn next_entry(&self, found: &Found, cursor: &mut Cursor) -> Option<Entry<'_>> {
        let pages = self.table_pages(found);
        while cursor.page < pages {
            let mut entries = self.entries(found, cursor.page).from(cursor.start);
            if let Some(entry) = entries.next() {
                cursor.start = entry.end;
                return Some(entry);
            }
            *cursor = Cursor { page: cursor.page + 1, start: 0 };
        }
        None
    }

    /// How many pages a table has; a record counts as one.
    pub(crate) fn table_pages(&self, found: &Found) -> usize {
        self.large(found).map_or(1, |object| object.pages as usize)
    }
}
