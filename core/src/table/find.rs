//! Finding entries: which bucket a name belongs to, and where in it its entry stands.
//!
//! Not here: walks over all entries (walk.rs), and how pages come and go (pages.rs).

use crate::arena::Arena;
use crate::bytes;
use crate::keyspace::{Found, Keyspace};
use crate::linear::Buckets;
use crate::object::{Object, Objects};
use crate::packed::{Entries, Entry, ITEM_BYTES_MAX, Item, find_short};
use crate::record::{Kind, PAGE_HEAD_BYTES, PAGE_VALUE_BYTES};
#[cfg(feature = "zset")]
use crate::table::Cursor;
use crate::table::pages::ENTRIES_START;
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

    /// What stands in a record.
    #[cfg_attr(not(target_arch = "wasm32"), inline)]
    fn stored(&self, found: &Found) -> &[u8] {
        found.head.stored(self.arena.bytes_from(found.addr))
    }

    /// The object of a large value.
    #[cfg_attr(not(target_arch = "wasm32"), inline)]
    pub(crate) fn large(&self, found: &Found) -> Option<&Object> {
        self.objects.get(self.object_of(found)?)
    }

    /// The bucket of a name, and the entries in it.
    #[cfg_attr(not(target_arch = "wasm32"), inline)]
    fn bucket(&self, found: &Found, name: Item<'_>) -> (usize, &[u8]) {
        let Some(object) = self.large(found) else { return (0, self.stored(found)) };
        let bucket = Buckets::new(object.pages as usize).of(self.hash_item(name));
        (bucket, page_entries(&self.arena, object, bucket))
    }

    /// The entry of this name among those of a bucket, and how many were passed over.
    #[cfg_attr(not(target_arch = "wasm32"), inline)]
    fn search<'a>(
        &self,
        kind: Kind,
        bucket: &'a [u8],
        name: Item<'_>,
    ) -> (Option<Entry<'a>>, usize) {
        let (mut from, mut passed) = (0, 0);
        if let Item::Here(name) = name
            && name.len() <= ITEM_BYTES_MAX
        {
            match find_short(kind, bucket, name, &mut passed) {
                Ok(None) => return (None, passed),
                Ok(Some(start)) => {
                    return (Entries::new(kind, bucket).from(start).next(), passed);
                }
                Err(place) => from = place,
            }
        }
        for entry in Entries::new(kind, bucket).from(from) {
            if self.is_same(entry.name, name) {
                return (Some(entry), passed);
            }
            passed += 1;
        }
        (None, passed)
    }

    /// The entry of this name, expired or not. A name from outside stands `Here`, however long.
    #[cfg_attr(not(target_arch = "wasm32"), inline)]
    pub(crate) fn find_entry(&self, found: &Found, name: Item<'_>) -> Option<Entry<'_>> {
        let (_, bytes) = self.bucket(found, name);
        self.search(found.head.kind(), bytes, name).0
    }

    /// Where the entry of this name is.
    #[cfg(feature = "zset")]
    pub(crate) fn cursor_of(&self, found: &Found, name: Item<'_>) -> Option<Cursor> {
        let (page, bytes) = self.bucket(found, name);
        let (entry, _) = self.search(found.head.kind(), bytes, name);
        Some(Cursor { page, start: entry?.start })
    }

    /// Writes other bytes over the end of an entry on a page.
    #[cfg(feature = "zset")]
    pub(crate) fn overwrite_entry(&mut self, found: &Found, spot: Spot, bytes: &[u8]) {
        let start = ENTRIES_START + spot.end - bytes.len();
        if let Some(object) = self.large(found) {
            let page = object.page(&self.arena, spot.page);
            bytes::write_at(self.arena.cell_mut(page), start, bytes);
        }
    }

    /// Where the entry of this name is, with what it was; or where it may be added.
    pub(crate) fn find_spot(&mut self, target: &Target<'_>, name: &[u8]) -> (Spot, Option<Old>) {
        let Some(found) = &target.found else { return Default::default() };
        let name = Item::Here(name);
        let (page, bytes) = self.bucket(found, name);
        let (entry, passed) = self.search(found.head.kind(), bytes, name);
        if let Some(entry) = entry {
            let (name, value) = (apart(entry.name), apart(entry.value));
            let old = Old { name, value, deadline: entry.deadline };
            return (Spot { page, start: entry.start, end: entry.end }, Some(old));
        }
        let end = bytes.len();
        if let Some(object) = self.object_of(found).and_then(|id| self.objects.get_mut(id)) {
            object.page_len_max = object.page_len_max.max(passed as u16 + 1);
        }
        (Spot { page, start: end, end }, None)
    }

    /// The string that an item is.
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
    #[cfg_attr(not(target_arch = "wasm32"), inline)]
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

/// The string that an item is.
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
#[cfg_attr(not(target_arch = "wasm32"), inline)]
pub(crate) fn page_entries<'a>(arena: &'a Arena, object: &Object, position: usize) -> &'a [u8] {
    let page = arena.bytes_from(object.page(arena, position));
    page.get(ENTRIES_START..ENTRIES_START + used(page)).unwrap_or_default()
}

/// Bytes of entries on a page.
#[cfg_attr(not(target_arch = "wasm32"), inline)]
pub(crate) fn used(page: &[u8]) -> usize {
    let bytes = page.get(PAGE_HEAD_BYTES..).and_then(<[u8]>::first_chunk);
    bytes.map_or(0, |bytes| u16::from_le_bytes(*bytes).into())
}
