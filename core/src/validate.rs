//! Every invariant of the engine, checked. For tests: it looks at every byte.
//!
//! Not here: what `Arena` and `Index` check of themselves.

use alloc::vec::Vec;

use crate::arena::Addr;
use crate::expire::earlier;
use crate::keyspace::{Keyspace, Millis};
use crate::linear::Buckets;
use crate::object::{Object, ObjectId};
use crate::packed::{Entries, Item};
use crate::record::{Head, Kind, NEVER, PageHead};
use crate::table::page_entries;
use crate::value::Value;

/// What the check of a part found: the bytes of its cells, how many objects it names.
#[derive(Clone, Copy, Default)]
pub(crate) struct Sum {
    pub(crate) cell_bytes: usize,
    pub(crate) objects: usize,
    /// When the first of its fields expires.
    pub(crate) deadline: Millis,
}

impl Sum {
    pub(crate) fn add(&mut self, other: Sum) {
        self.cell_bytes += other.cell_bytes;
        self.objects += other.objects;
        self.deadline = earlier(self.deadline, other.deadline);
    }
}

pub(crate) type Checked<T> = Result<T, &'static str>;

impl Keyspace {
    /// Checks every invariant of the engine; the message names the broken one. For tests: it
    /// looks at every byte.
    pub fn validate(&self) -> Checked<()> {
        self.arena.validate()?;
        self.index.validate(|addr| self.hash_of(addr))?;
        if self.used_bytes() as u64 > self.stats().maxmemory {
            return Err("keyspace: more memory is held than the budget");
        }
        if !self.pins.is_empty() {
            return Err("keyspace: a record is still pinned");
        }
        let (mut sum, mut expires, mut expiring_hashes) = (Sum::default(), 0, 0);
        let mut ages = Vec::new();
        let mut compression = self.compression.clone();
        for bucket in 0..self.index.bucket_count() as u32 {
            let entries = (0..).map_while(|position| self.index.nth(bucket, position));
            for (_, entry) in entries {
                let head = self.head(entry.addr).ok_or("keyspace: an entry without a record")?;
                if entry.is_volatile != head.is_volatile() {
                    return Err("keyspace: the index and a record disagree on a deadline");
                }
                expires += u64::from(entry.is_volatile);
                expiring_hashes += usize::from(head.has_expiring_fields());
                sum.add(self.validate_record(entry.addr, &head)?);
                self.validate_compressed(entry.addr, &head, &mut compression)?;
                if self.policy.learns() {
                    ages.push(entry.age);
                }
            }
        }
        for id in self.objects.all_dying() {
            sum.add(self.validate_object(id, None)?);
        }
        if sum.cell_bytes != self.arena.live_bytes() {
            return Err("keyspace: a cell belongs to nobody, or to two");
        }
        if sum.objects != self.objects.used_count() {
            return Err("keyspace: an object belongs to nobody, or to two");
        }
        if expires != self.counters.expires {
            return Err("keyspace: the count of deadlines is off");
        }
        if expiring_hashes != self.expiring_hashes {
            return Err("keyspace: the count of hashes whose fields expire is off");
        }
        compression.map_or(Ok(()), |compression| compression.validate())?;
        self.history.validate(&ages)
    }

    fn validate_record(&self, addr: Addr, head: &Head) -> Checked<Sum> {
        let cell = self.arena.cell(addr);
        if head.record_bytes() > cell.len() {
            return Err("keyspace: a record is longer than its cell");
        }
        let mut sum = Sum { cell_bytes: cell.len(), ..Sum::default() };
        if let Some(id) = head.object(cell) {
            let Some(object) = self.objects.get(id) else { return Err("keyspace: no such object") };
            sum.add(self.validate_object(id, Some(head.kind()))?);
            #[cfg(feature = "stream")]
            if head.kind() == Kind::Stream {
                self.validate_stream(addr)?;
            }
            let is_ascii =
                |object| Value::paged(&self.arena, object, true).parts().all(<[u8]>::is_ascii);
            if head.kind() == Kind::String && head.is_ascii() && !is_ascii(object) {
                return Err("keyspace: a value's ASCII flag is off");
            }
        } else if head.kind() == Kind::String {
            if !head.is_compressed() && head.is_ascii() != head.stored(cell).is_ascii() {
                return Err("keyspace: a value's ASCII flag is off");
            }
        } else if head.kind() == Kind::List {
            sum.add(self.validate_packed_list(cell)?);
        } else {
            let (entries, bytes) =
                self.validate_entries(head.kind(), head.stored(cell), |_| true)?;
            sum.add(entries.1);
            #[cfg(feature = "zset")]
            if head.kind() == Kind::SortedSet && !self.are_in_order(head.stored(cell)) {
                return Err("sorted set: packed members are out of order");
            }
            if entries.0 == 0 || bytes != head.stored_len() {
                return Err("table: packed entries do not fill their record");
            }
        }
        if sum.deadline != NEVER && !head.has_expiring_fields() {
            return Err("table: a field expires, and its record does not say so");
        }
        Ok(sum)
    }

    /// Checks an object whose owner says what kind it is; one that is taken apart has none.
    pub(crate) fn validate_object(&self, id: ObjectId, kind: Option<Kind>) -> Checked<Sum> {
        let object = self.objects.get(id).ok_or("keyspace: a number of no object")?;
        let mut sum = Sum { objects: 1, ..Sum::default() };
        let mut are_own = object.kind.is_some() && (kind.is_none() || kind == object.kind);
        if object.is_linked() && are_own {
            sum.add(self.validate_pages(id, kind.is_some())?);
            return Ok(sum);
        }
        let mut check = |level: u8, position: usize, addr: Addr| {
            let cell = self.arena.cell(addr);
            let page = PageHead { object: id, level, position: position as u32 };
            are_own &= PageHead::read(cell) == Some(page);
            sum.cell_bytes += cell.len();
        };
        object.nodes(&self.arena, &mut check);
        let pages = (0..object.pages as usize).map(|position| object.page(&self.arena, position));
        for (position, page) in pages.enumerate().filter(|&(_, page)| page != Addr::NONE) {
            check(0, position, page);
        }
        if !are_own {
            return Err("keyspace: an object's kind, or a page of its directory, is not its own");
        }
        if let Some(Kind::Hash | Kind::Set | Kind::SortedSet) = object.kind {
            sum.add(self.validate_table(object, kind.is_some())?);
        }
        #[cfg(feature = "stream")]
        if object.kind == Some(Kind::Stream) {
            sum.add(self.validate_nodes(object)?);
            if kind.is_some() {
                let mut map = object.tree;
                while let Some(object) = self.objects.get(map) {
                    sum.add(self.validate_object(map, Some(Kind::String))?);
                    map = object.tree;
                }
            }
        }
        #[cfg(feature = "zset")]
        if kind == Some(Kind::SortedSet) {
            sum.add(self.validate_object(object.tree, Some(Kind::String))?);
            self.validate_tree(object)?;
        }
        Ok(sum)
    }

    fn validate_table(&self, object: &Object, is_whole: bool) -> Checked<Sum> {
        let kind = object.kind.unwrap_or(Kind::Set);
        let buckets = Buckets::new(object.pages as usize);
        let (mut sum, mut len, mut bytes) = (Sum::default(), 0, 0);
        for page in 0..object.pages as usize {
            let entries = page_entries(&self.arena, object, page);
            let is_here = |item: Item<'_>| !is_whole || buckets.of(self.hash_item(item)) == page;
            let ((count, apart), read) = self.validate_entries(kind, entries, is_here)?;
            if read != entries.len() || count > object.page_len_max as usize {
                return Err("table: entries do not fill their page, or are too many");
            }
            if !self.has_right_tags(object, page, is_whole) {
                return Err("table: a page's tags are not those of its entries");
            }
            sum.add(apart);
            len += count;
            bytes += read;
        }
        if is_whole && (len != object.len || bytes != object.bytes || len == 0) {
            return Err("table: the counts of an object are off");
        }
        let is_known = object.deadline != NEVER && object.deadline <= sum.deadline;
        if is_whole && sum.deadline != NEVER && !object.is_swept() && !is_known {
            return Err("table: a field expires before the first that does");
        }
        Ok(sum)
    }

    /// The number of entries, what stands apart of them, and their bytes.
    fn validate_entries(
        &self,
        kind: Kind,
        bytes: &[u8],
        is_here: impl Fn(Item<'_>) -> bool,
    ) -> Checked<((usize, Sum), usize)> {
        let (mut count, mut end, mut sum) = (0, 0, Sum::default());
        for entry in Entries::new(kind, bytes) {
            (count, end) = (count + 1, entry.end);
            sum.deadline = earlier(sum.deadline, entry.deadline);
            if !is_here(entry.name) {
                return Err("table: an entry is on the wrong page");
            }
            for item in [entry.name, entry.value] {
                if let Item::Apart(id) = item {
                    sum.add(self.validate_object(id, Some(Kind::String))?);
                }
            }
        }
        Ok(((count, sum), end))
    }
}
