//! Finding entries: which bucket a name belongs to, and where in it its entry stands.
//!
//! Not here: walks over all entries (walk.rs), and how pages come and go (pages.rs).

use crate::arena::Arena;
use crate::bytes;
use crate::keyspace::{Found, Keyspace};
use crate::linear::Buckets;
use crate::object::{Object, Objects};
use crate::packed::{Entries, Entry, ITEM_BYTES_MAX, Item, SHORT_BYTES_MAX, find_short};
use crate::record::{Kind, PAGE_HEAD_BYTES, PAGE_VALUE_BYTES};
#[cfg(feature = "zset")]
use crate::table::Cursor;
use crate::table::pages::ENTRIES_START;
use crate::table::tags::{Rest, Tags, find_tagged, tag_of};
use crate::table::{Old, Spot, Target, apart};
use crate::value::Value;

impl Keyspace {
    /// The entries in a record, or on one of the pages.
    pub(crate) fn entries(&self, found: &Found, page: usize) -> Entries<'_> {
        let bytes = match self.large(found) {
            Some(object) => page_entries(&self.arena, object, page),
            None => self.stored(found),
        };
        Entries::new(found.head.kind(), bytes)
    }

    /// The entry that begins at a spot. How many bytes of a page are entries is not asked for.
    #[cfg(feature = "zset")]
    pub(crate) fn entry_at(&self, found: &Found, spot: &Spot) -> Option<Entry<'_>> {
        let bytes = match self.large(found) {
            Some(object) => {
                self.arena.bytes_from(object.page(&self.arena, spot.page)).get(ENTRIES_START..)?
            }
            None => self.stored(found),
        };
        Entries::new(found.head.kind(), bytes).from(spot.start).next()
    }

    /// What stands in a record.
    #[cfg_attr(not(target_arch = "wasm32"), inline(always))]
    fn stored(&self, found: &Found) -> &[u8] {
        found.head.stored(self.arena.bytes_from(found.addr))
    }

    /// The object of a large value.
    #[cfg_attr(not(target_arch = "wasm32"), inline(always))]
    pub(crate) fn large(&self, found: &Found) -> Option<&Object> {
        self.objects.get(self.object_of(found)?)
    }

    /// Where a name belongs, and what stands there.
    #[cfg_attr(not(target_arch = "wasm32"), inline(always))]
    fn bucket(&self, found: &Found, name: Item<'_>) -> Bucket<'_> {
        let kind = found.head.kind();
        let Some(object) = self.large(found) else {
            return Bucket { kind, page: 0, cell: &[], body: self.stored(found), tag: None };
        };
        self.bucket_of(object, kind, name)
    }

    /// The same of a large table.
    #[cfg_attr(not(target_arch = "wasm32"), inline(always))]
    pub(crate) fn bucket_of(&self, object: &Object, kind: Kind, name: Item<'_>) -> Bucket<'_> {
        self.bucket_hashed(object, kind, self.hash_item(name))
    }

    /// The same of a name with this hash.
    #[cfg_attr(not(target_arch = "wasm32"), inline(always))]
    fn bucket_hashed(&self, object: &Object, kind: Kind, hash: u64) -> Bucket<'_> {
        let page = Buckets::new(object.pages as usize).of(hash);
        let cell = self.arena.cell(object.page(&self.arena, page));
        let body = cell.get(ENTRIES_START..).unwrap_or_default();
        Bucket { kind, page, cell, body, tag: Some(tag_of(hash)) }
    }

    /// Where in a bucket the entry of this name begins, or how many there are.
    #[cfg_attr(not(target_arch = "wasm32"), inline(always))]
    fn search(&self, bucket: &Bucket<'_>, name: Item<'_>) -> Result<usize, usize> {
        let mut rest = Rest { start: 0, passed: 0, is_empty: false };
        if let Some(tag) = bucket.tag {
            match find_tagged(bucket.cell, tag, |start| self.is_at(bucket, start, name)) {
                Ok(start) => return Ok(start),
                Err(others) => rest = others,
            }
        }
        if rest.is_empty { Err(rest.passed) } else { self.search_on(bucket, name, rest) }
    }

    /// Whether the entry at a place has this name.
    #[cfg_attr(not(target_arch = "wasm32"), inline(always))]
    fn is_at(&self, bucket: &Bucket<'_>, start: usize, name: Item<'_>) -> bool {
        if let Item::Here(name) = name
            && let Some((&len, rest)) = bucket.body.get(start..).and_then(<[u8]>::split_first)
            && usize::from(len) == name.len()
            && len <= SHORT_BYTES_MAX as u8
        {
            return rest.get(..name.len()).is_some_and(|own| bytes::same(own, name));
        }
        self.is_at_any(bucket, start, name)
    }

    #[cold]
    #[inline(never)]
    fn is_at_any(&self, bucket: &Bucket<'_>, start: usize, name: Item<'_>) -> bool {
        let entry = bucket.entry(start);
        entry.is_some_and(|entry| self.is_same(entry.name, name))
    }

    /// The same, entry by entry, from where there are no tags.
    #[cfg_attr(not(target_arch = "wasm32"), inline(never))]
    fn search_on(&self, bucket: &Bucket<'_>, name: Item<'_>, rest: Rest) -> Result<usize, usize> {
        let (kind, entries) = (bucket.kind, bucket.entries());
        let Rest { start: mut at, mut passed, .. } = rest;
        if let Item::Here(name) = name
            && name.len() <= ITEM_BYTES_MAX
        {
            match find_short(kind, entries, name, &mut at, &mut passed) {
                Some(false) => return Err(passed),
                Some(true) => return Ok(at),
                None => {}
            }
        }
        for entry in Entries::new(kind, entries).from(at) {
            if self.is_same(entry.name, name) {
                return Ok(entry.start);
            }
            passed += 1;
        }
        Err(passed)
    }

    /// The entry of this name, expired or not. A name from outside stands `Here`, however long.
    #[cfg_attr(not(target_arch = "wasm32"), inline(always))]
    pub(crate) fn find_entry(&self, found: &Found, name: Item<'_>) -> Option<Entry<'_>> {
        let bucket = self.bucket(found, name);
        bucket.entry(self.search(&bucket, name).ok()?)
    }

    /// Whether a large set has a member with this hash.
    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) fn has_hashed(&self, object: &Object, member: Item<'_>, hash: u64) -> bool {
        let bucket = self.bucket_hashed(object, Kind::Set, hash);
        self.search(&bucket, member).is_ok()
    }

    /// Where the entry of this name is.
    #[cfg(feature = "zset")]
    pub(crate) fn cursor_of(&self, found: &Found, name: Item<'_>) -> Option<Cursor> {
        let bucket = self.bucket(found, name);
        let start = self.search(&bucket, name).ok()?;
        Some(Cursor { page: bucket.page, start })
    }

    /// Writes other bytes over the end of an entry.
    pub(crate) fn overwrite_entry(&mut self, found: &Found, spot: Spot, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let (addr, start) = match self.large(found) {
            Some(object) => (object.page(&self.arena, spot.page), ENTRIES_START),
            None => (found.addr, found.head.stored_start()),
        };
        bytes::write_at(self.arena.cell_mut(addr), start + spot.end - bytes.len(), bytes);
    }

    /// Where the entry of this name is, with what it was; or where it may be added.
    pub(crate) fn find_spot(&mut self, target: &Target<'_>, name: &[u8]) -> (Spot, Option<Old>) {
        let Some(found) = &target.found else { return Default::default() };
        let name = Item::Here(name);
        let bucket = self.bucket(found, name);
        let page = bucket.page;
        let mut spot = Spot { page, start: 0, end: 0, tag: bucket.tag };
        match self.search(&bucket, name) {
            Ok(start) => {
                let old = bucket.entry(start).map(|entry| {
                    (spot.start, spot.end) = (entry.start, entry.end);
                    let (name, value) = (apart(entry.name), apart(entry.value));
                    Old { name, value, deadline: entry.deadline }
                });
                (spot, old)
            }
            Err(passed) => {
                (spot.start, spot.end) = (bucket.entries().len(), bucket.entries().len());
                if let Some(object) = self.object_of(found).and_then(|id| self.objects.get_mut(id))
                {
                    object.page_len_max = object.page_len_max.max(passed as u16 + 1);
                }
                (spot, None)
            }
        }
    }

    /// The tags of packed entries.
    pub(super) fn tags_of(&self, found: &Option<Found>) -> Tags {
        let mut tags = Tags::new();
        if let Some(found) = found {
            self.entries(found, 0).for_each(|entry| {
                tags.push(tag_of(self.hash_item(entry.name)), entry.end - entry.start);
            });
        }
        tags
    }

    /// Whether the tags of a page are those of its first entries, the names of which may be gone.
    pub(crate) fn has_right_tags(&self, object: &Object, page: usize, has_names: bool) -> bool {
        let cell = self.arena.cell(object.page(&self.arena, page));
        let mut entries = Entries::new(object.kind.unwrap_or(Kind::Set), entries_of(cell));
        let tags = Tags::read(cell);
        let are_right = tags.pairs().all(|(tag, length)| {
            entries.next().is_some_and(|entry| {
                let is_its = !has_names || tag == tag_of(self.hash_item(entry.name));
                is_its && entry.end - entry.start == length.into()
            })
        });
        are_right && (tags.has_more() || entries.next().is_none())
    }

    /// The string that an item is.
    #[cfg_attr(not(target_arch = "wasm32"), inline)]
    pub(crate) fn text<'a>(&'a self, item: Item<'a>) -> Value<'a> {
        text_of(&self.arena, &self.objects, item)
    }

    pub(crate) fn is_same(&self, item: Item<'_>, other: Item<'_>) -> bool {
        match (item, other) {
            (Item::Here(a), Item::Here(b)) => bytes::same(a, b),
            _ => {
                let (a, b) = (self.text(item), self.text(other));
                a.len() == b.len() && a.parts().flatten().eq(b.parts().flatten())
            }
        }
    }

    /// The hash of a field or a member.
    #[cfg_attr(not(target_arch = "wasm32"), inline(always))]
    pub(crate) fn hash_item(&self, item: Item<'_>) -> u64 {
        match item {
            Item::Here(text) if text.len() <= ITEM_BYTES_MAX => self.hash(text),
            long => self.hash_long(long),
        }
    }

    /// A long one is hashed part by part, as it is stored.
    #[cold]
    fn hash_long(&self, item: Item<'_>) -> u64 {
        let on = |hash: u64, part: &[u8]| hash.rotate_left(17).wrapping_mul(5) ^ self.hash(part);
        match item {
            Item::Here(text) => text.chunks(PAGE_VALUE_BYTES).fold(0, on),
            Item::Apart(_) => self.text(item).parts().fold(0, on),
        }
    }
}

/// What memory delivers at once.
const CACHE_LINE_BYTES: usize = 64;

/// What stands where a name belongs.
pub(crate) struct Bucket<'a> {
    kind: Kind,
    page: usize,
    /// All of the page; nothing where entries are packed in their record.
    cell: &'a [u8],
    /// The entries, and on a page what is behind them. How many bytes they are, the page's head
    /// knows, which a lookup by tags leaves where it is in memory.
    body: &'a [u8],
    /// The tag of the name, on a page.
    tag: Option<u8>,
}

impl<'a> Bucket<'a> {
    /// The entry that begins at a place.
    #[cfg_attr(not(target_arch = "wasm32"), inline(always))]
    fn entry(&self, start: usize) -> Option<Entry<'a>> {
        Entries::new(self.kind, self.body).from(start).next()
    }

    /// Reads where its tags and the lengths of its entries are.
    pub(crate) fn glance_at_tags(&self) -> u32 {
        let byte_before = |distance: usize| {
            let at = self.cell.len().wrapping_sub(distance);
            self.cell.get(at).map_or(0, |&byte| u32::from(byte))
        };
        byte_before(1) ^ byte_before(1 + CACHE_LINE_BYTES)
    }

    /// Where the entry that may have the name begins, going by its tag.
    pub(crate) fn likely_start(&self) -> usize {
        let tag = self.tag.unwrap_or_default();
        find_tagged(self.cell, tag, |_| true).unwrap_or_default()
    }

    /// Reads where an entry is.
    pub(crate) fn glance_at_entry(&self, start: usize) -> u32 {
        self.body.get(start).copied().unwrap_or_default().into()
    }

    fn entries(&self) -> &'a [u8] {
        if self.tag.is_some() { entries_of(self.cell) } else { self.body }
    }
}

/// The string that an item is.
#[cfg_attr(not(target_arch = "wasm32"), inline)]
pub(crate) fn text_of<'a>(arena: &'a Arena, objects: &'a Objects, item: Item<'a>) -> Value<'a> {
    match item {
        Item::Here(bytes) => bytes.into(),
        Item::Apart(id) => match objects.get(id) {
            Some(object) => Value::paged(arena, object, false),
            None => Value::whole(&[], false),
        },
    }
}

/// The entries on a page; none where there is no page.
#[cfg_attr(not(target_arch = "wasm32"), inline(always))]
pub(crate) fn page_entries<'a>(arena: &'a Arena, object: &Object, position: usize) -> &'a [u8] {
    entries_of(arena.bytes_from(object.page(arena, position)))
}

#[cfg_attr(not(target_arch = "wasm32"), inline(always))]
fn entries_of(page: &[u8]) -> &[u8] {
    page.get(ENTRIES_START..ENTRIES_START + used(page)).unwrap_or_default()
}

/// Bytes of entries on a page.
#[cfg_attr(not(target_arch = "wasm32"), inline(always))]
pub(crate) fn used(page: &[u8]) -> usize {
    let bytes = page.get(PAGE_HEAD_BYTES..).and_then(<[u8]>::first_chunk);
    bytes.map_or(0, |bytes| u16::from_le_bytes(*bytes).into())
}
