//! Compression, if it was asked for: strings that are not in use, stored as blocks of LZ4.
//!
//! Only what is in a record is compressed, with a dictionary made of the cache's own values. A hand
//! goes round the buckets, as eviction's does, and compresses strings that were not used for a
//! while: as upkeep of writes while little of the budget is left, and where a key would else be
//! evicted. It keeps a reserve, without which there would be no place for what it compresses. One
//! who reads a compressed string is shown it expanded; one that is in use again becomes plain, as
//! far as the reserve reaches. Whoever asks, the value is the plain one: no reply and no effect
//! tells how it is stored.
//!
//! A dictionary is made anew once in a while, since values change. Records name theirs; those that
//! no record names are let go, and when there is no place for another the hand compresses anew what
//! names an old one. Where compressing is in vain the hand tries less and less often.
//!
//! Invariants (`validate` checks them): a compressed record is a string in its record, its block
//! has the text that its ASCII flag says; a dictionary knows how many records name it.
//!
//! Not here: values in pages, and collections.

use crate::arena::{Addr, CLASS_COUNT, Class, PAGE_BYTES};
use crate::bytes;
use crate::compress::dictionary::{DICTIONARY_SEGMENTS, Dictionary};
use crate::index::{Entry, Place};
use crate::keyspace::{Cx, Found, Keyspace};
use crate::limits::{
    CLASS_RESTS_MAX, COMPRESSED_TEXT_BYTES_MIN, COMPRESSION_LOOKS_MAX, COMPRESSION_RESTS_MAX,
    COMPRESSIONS_PER_STEP, DICTIONARIES_MAX,
};
use crate::record::{Head, Kind};
#[cfg(feature = "snapshot")]
use crate::snapshot::Broken;
use crate::validate::Checked;
use crate::value::Value;

mod dictionary;
mod lz4;

#[cfg(fuzzing)]
pub(crate) use lz4::fuzz_expand;

/// Of the budget this part is the reserve, or so many segments; a quarter of that is kept by
/// eviction, if need be.
const RESERVE_DIVISOR: usize = 64;
const RESERVE_SEGMENTS_MIN: usize = 4;
const RESERVE_EVICTION_DIVISOR: usize = 4;
/// The first dictionary is made when so much of the budget is used.
const LESSON_DIVISOR: usize = 2;
/// A block is shorter than its text by this part of it, and its cell than the text's.
const GAIN_DIVISOR: usize = 8;
/// Texts compressed before the dictionary is made anew, at least; else twice as many as keys.
const RENEWAL_MIN: usize = 1 << 13;

/// The number of a dictionary.
pub(crate) type DictionaryId = u8;

#[derive(Clone)]
pub(crate) struct Compression {
    dictionaries: [Dictionary; DICTIONARIES_MAX],
    /// The one to compress with, and the one that is being learnt.
    current: Option<DictionaryId>,
    lesson: Option<DictionaryId>,
    /// Texts compressed since the current one was made.
    compressed: usize,
    /// The bucket to look at next.
    hand: u32,
    /// Steps to come that are left out.
    rest: Rest,
    /// Cells to come that are left out, by their class: most of one size are compressed already, or
    /// all in vain.
    class_rests: [Rest; CLASS_COUNT],
}

/// How much is left out of what was in vain lately.
#[derive(Clone, Copy, Default)]
struct Rest {
    left: u8,
    /// What will be left out if the next one is in vain as well.
    next: u8,
}

impl Rest {
    /// Whether this one is left out.
    fn skips(&mut self) -> bool {
        let skips = self.left > 0;
        self.left -= u8::from(skips);
        skips
    }

    fn note(&mut self, is_of_use: bool, max: u8) {
        self.next = if is_of_use { 0 } else { self.next.saturating_mul(2).max(1).min(max) };
        self.left = self.next;
    }
}

impl Compression {
    /// What compression has at first, if it is wanted. Builds without it have none of this.
    pub(crate) fn wanted(is_wanted: bool) -> Option<Compression> {
        if !cfg!(feature = "compression") || !is_wanted {
            return None;
        }
        Some(Compression {
            dictionaries: Default::default(),
            current: None,
            lesson: None,
            compressed: 0,
            hand: 0,
            rest: Rest::default(),
            class_rests: [Rest::default(); CLASS_COUNT],
        })
    }

    /// The dictionaries that records name or are compressed with: number, which of both, bytes.
    #[cfg(feature = "snapshot")]
    pub(crate) fn in_use(&self) -> impl Iterator<Item = (DictionaryId, bool, &[u8])> {
        let all = (0..).zip(&self.dictionaries);
        let in_use = all.filter(|&(id, it)| !it.is_free() && self.lesson != Some(id));
        in_use.map(|(id, dictionary)| (id, self.current == Some(id), dictionary.bytes()))
    }

    /// Whether there is a dictionary of this number.
    #[cfg(feature = "snapshot")]
    pub(crate) fn has(&self, id: DictionaryId) -> bool {
        self.dictionary(id).is_some_and(|dictionary| !dictionary.is_free())
    }

    /// Takes a dictionary out of an image.
    #[cfg(feature = "snapshot")]
    pub(crate) fn restore(
        &mut self,
        number: u32,
        is_current: bool,
        bytes: &[u8],
    ) -> Result<(), Broken> {
        const BROKEN: Broken = Broken("a dictionary is none");
        let id = number as DictionaryId;
        let place = self.dictionary_mut(id).ok_or(BROKEN)?;
        *place = Dictionary::of_bytes(bytes, is_current).ok_or(BROKEN)?;
        if is_current {
            self.current = Some(id);
        }
        Ok(())
    }

    /// Lets go of what no record of an image names.
    #[cfg(feature = "snapshot")]
    pub(crate) fn settle_image(&mut self) {
        (0..DICTIONARIES_MAX as DictionaryId).for_each(|id| self.let_go(id));
    }

    /// Bytes held from the allocator.
    pub(crate) fn held_bytes(&self) -> usize {
        self.dictionaries.iter().map(Dictionary::held_bytes).sum()
    }

    fn dictionary_mut(&mut self, id: DictionaryId) -> Option<&mut Dictionary> {
        self.dictionaries.get_mut(usize::from(id))
    }

    fn dictionary(&self, id: DictionaryId) -> Option<&Dictionary> {
        self.dictionaries.get(usize::from(id))
    }

    /// Counts a record that names this dictionary.
    pub(crate) fn count_in(&mut self, id: DictionaryId) {
        if let Some(dictionary) = self.dictionary_mut(id) {
            dictionary.records += 1;
        }
    }

    /// Counts a record no longer. The dictionary goes with the last, if it is an old one.
    pub(crate) fn count_out(&mut self, id: DictionaryId) {
        if let Some(dictionary) = self.dictionary_mut(id) {
            dictionary.records -= 1;
        }
        self.let_go(id);
    }

    fn let_go(&mut self, id: DictionaryId) {
        if self.current != Some(id)
            && self.lesson != Some(id)
            && let Some(dictionary) = self.dictionary_mut(id)
            && dictionary.records == 0
        {
            *dictionary = Dictionary::default();
        }
    }

    fn free_id(&self) -> Option<DictionaryId> {
        let id = self.dictionaries.iter().position(Dictionary::is_free);
        id.map(|id| id as DictionaryId)
    }

    /// Whether a dictionary is wanted, or a newer one.
    fn wants_lesson(&self, keys: usize) -> bool {
        self.lesson.is_none()
            && self.free_id().is_some()
            && (self.current.is_none() || self.compressed >= (2 * keys).max(RENEWAL_MIN))
    }

    /// Begins to learn a dictionary, for which there is memory.
    fn begin_lesson(&mut self) {
        let (Some(id), Some(dictionary)) = (self.free_id(), Dictionary::new()) else { return };
        if let Some(free) = self.dictionary_mut(id) {
            *free = dictionary;
            self.lesson = Some(id);
        }
    }

    /// Learns from a value. The last makes the dictionary the one to compress with.
    fn study(&mut self, value: &[u8], is_ascii: bool, draw: u64) {
        let Some(id) = self.lesson else { return };
        let lesson = self.dictionary_mut(id);
        if !lesson.is_none_or(|lesson| lesson.study(value, is_ascii, draw)) {
            return;
        }
        self.lesson = None;
        let old = self.current.replace(id);
        self.compressed = 0;
        self.rest = Rest::default();
        self.class_rests = [Rest::default(); CLASS_COUNT];
        if let Some(old) = old {
            if let Some(dictionary) = self.dictionary_mut(old) {
                dictionary.retire();
            }
            self.let_go(old);
        }
    }

    /// Whether a record may be compressed, as far as its dictionary goes: it has none; or an old
    /// one, and there is no place for another.
    fn may_change(&self, head: &Head) -> bool {
        let is_old = head.dictionary() != self.current;
        !head.is_compressed() || is_old && self.free_id().is_none()
    }

    /// Checks the invariants of the file header; all records were taken out of what is counted.
    pub(crate) fn validate(&self) -> Checked<()> {
        let is_known = |id: Option<DictionaryId>| {
            id.is_none_or(|id| self.dictionary(id).is_some_and(|it| !it.is_free()))
        };
        if !is_known(self.current) || !is_known(self.lesson) {
            return Err("compression: a dictionary in use is not there");
        }
        if self.dictionaries.iter().any(|dictionary| dictionary.records > 0) {
            return Err("compression: a dictionary's count of records is off");
        }
        Ok(())
    }

    /// Whether a cell of this class is left out.
    fn skips(&mut self, class: Class) -> bool {
        self.class_rests.get_mut(class.number()).is_some_and(Rest::skips)
    }

    fn note_look(&mut self, class: Class, is_of_use: bool) {
        if let Some(rest) = self.class_rests.get_mut(class.number()) {
            rest.note(is_of_use, CLASS_RESTS_MAX);
        }
    }
}

impl Keyspace {
    /// Expands the string of a compressed record, so that `value` shows it.
    pub(crate) fn expand(&mut self, found: &Found) {
        let Keyspace { arena, compression, .. } = self;
        if let (Some(compression), Some(id)) = (compression, found.head.dictionary())
            && let Some(dictionary) = compression.dictionary_mut(id)
        {
            dictionary.expand(found.head.stored(arena.bytes_from(found.addr)));
        }
    }

    /// The string of a compressed record, which was expanded last.
    pub(crate) fn expanded(&self, found: &Found) -> Value<'_> {
        let compression = self.compression.as_ref();
        let dictionary = found.head.dictionary().and_then(|id| compression?.dictionary(id));
        Value::whole(dictionary.map_or(&[], Dictionary::text), found.head.is_ascii())
    }

    /// Keys whose value is compressed.
    #[cfg(feature = "compression")]
    pub(crate) fn compressed_len(&self) -> usize {
        let dictionaries =
            self.compression.iter().flat_map(|compression| &compression.dictionaries);
        dictionaries.map(|dictionary| dictionary.records).sum()
    }

    /// Upkeep after a write: while little of the budget is left some strings are compressed; before
    /// that, a dictionary is made.
    pub(crate) fn compress_some(&mut self) -> bool {
        if !cfg!(feature = "compression") {
            return false;
        }
        let Some(compression) = &mut self.compression else { return false };
        if compression.rest.skips() {
            return false;
        }
        let left = self.segments_left();
        let is_learning = self.compression.as_ref().is_some_and(|it| it.lesson.is_some());
        let is_short = left < self.reserve();
        let wants = left < self.segments_max() / LESSON_DIVISOR && self.wants_lesson();
        if !is_short && !is_learning && !wants {
            return false;
        }
        let changed = self.compress_buckets(COMPRESSION_LOOKS_MAX, COMPRESSIONS_PER_STEP, false);
        if let Some(compression) = &mut self.compression {
            compression.rest.note(changed > 0, COMPRESSION_RESTS_MAX);
        }
        changed > 0
    }

    /// Where no key may go: compresses some strings, whether that was in vain lately or not.
    pub(crate) fn compress_rest(&mut self) -> bool {
        cfg!(feature = "compression")
            && self.compression.is_some()
            && self.compress_buckets(COMPRESSION_LOOKS_MAX, COMPRESSIONS_PER_STEP, false) > 0
    }

    /// The reserve, in segments.
    fn reserve(&self) -> usize {
        (self.segments_max() / RESERVE_DIVISOR).max(RESERVE_SEGMENTS_MIN)
    }

    /// Whether a key should go, so that there is a reserve for keys that come into use again.
    pub(crate) fn wants_reserve(&self) -> bool {
        cfg!(feature = "compression")
            && self.compression.as_ref().is_some_and(|it| it.current.is_some())
            && self.segments_left() < self.reserve() / RESERVE_EVICTION_DIVISOR
    }

    fn wants_lesson(&self) -> bool {
        self.compression.as_ref().is_some_and(|it| it.wants_lesson(self.len()))
    }

    /// Goes over the next buckets and compresses what may be, up to so many strings; while a
    /// dictionary is made, it learns from as many. How many strings it compressed, or learnt from.
    fn compress_buckets(&mut self, buckets_max: usize, wanted: usize, is_any_cold: bool) -> usize {
        if self.wants_lesson() && self.segments_left() >= DICTIONARY_SEGMENTS {
            self.compression.as_mut().map(Compression::begin_lesson);
        }
        let mut changed = 0;
        for _ in 0..buckets_max.min(self.index.bucket_count()) {
            let hand = self.compression.as_ref().map_or(0, |compression| compression.hand);
            let bucket = self.bucket_at(hand);
            let mut position = 0;
            while let Some((place, entry)) = self.index.nth(bucket, position) {
                position += 1;
                changed += usize::from(self.consider(place, &entry, is_any_cold));
            }
            if let Some(compression) = &mut self.compression {
                compression.hand = bucket + 1;
            }
            if changed >= wanted {
                break;
            }
        }
        changed
    }

    /// Learns from an entry, if a dictionary is made, or else compresses it if it may be. Whether
    /// anything came of it.
    fn consider(&mut self, place: Place, entry: &Entry, is_any_cold: bool) -> bool {
        let is_cold = is_any_cold || self.is_cold(entry.age);
        let class = self.arena.class_of(entry.addr);
        let Some(compression) = &mut self.compression else { return false };
        let is_learning = compression.lesson.is_some();
        if !is_learning && (!is_cold || !is_any_cold && compression.skips(class)) {
            return false;
        }
        let Some(head) = self.head(entry.addr) else { return false };
        let found = Found { place, addr: entry.addr, head };
        let is_candidate = head.kind() == Kind::String
            && !head.is_large()
            && (head.is_compressed() || head.stored_len() >= COMPRESSED_TEXT_BYTES_MIN)
            && !self.pins.contains(&entry.addr);
        let is_of_use = is_candidate
            && if is_learning {
                self.study(&found)
            } else {
                self.compress_record(&found).is_some()
            };
        if let Some(compression) = &mut self.compression {
            compression.note_look(class, is_of_use);
        }
        is_of_use
    }

    /// Learns from the value of a record, if it is plain.
    fn study(&mut self, found: &Found) -> bool {
        if found.head.is_compressed() {
            return false;
        }
        // Not from the keyspace's own dice, which nothing here may show in.
        let draw = self.hash_of(found.addr);
        let Keyspace { arena, compression, .. } = self;
        let value = found.head.stored(arena.bytes_from(found.addr));
        let Some(compression) = compression else { return false };
        compression.study(value, found.head.is_ascii(), draw);
        true
    }

    /// Compresses the string of a record, if it becomes shorter and there is room for that.
    fn compress_record(&mut self, found: &Found) -> Option<()> {
        if !self.compression.as_ref()?.may_change(&found.head) {
            return None;
        }
        let mut text = [0; PAGE_BYTES];
        let mut block = [0; PAGE_BYTES];
        self.expand(found);
        let plain = self.value(found).as_slice()?;
        let text_len = plain.len();
        bytes::copy(&mut text, plain);
        let text = text.get(..text_len)?;
        let compression = self.compression.as_mut()?;
        let id = compression.current?;
        let room = block.get_mut(..text_len - text_len / GAIN_DIVISOR)?;
        let len = compression.dictionary_mut(id)?.compress(text, room)?;
        let head = found.head.resized(found.head.key_len(), len).with_dictionary(Some(id));
        let cell_bytes = self.arena.cell(found.addr).len();
        let is_gain = Class::fitting(head.record_bytes()).bytes()
            <= cell_bytes - cell_bytes / GAIN_DIVISOR
            || found.head.is_compressed();
        if !is_gain || !self.restate(found, head, block.get(..len)?) {
            return None;
        }
        self.compression.as_mut()?.compressed += 1;
        Some(())
    }

    /// Checks a compressed record with a copy of all dictionaries, and counts it there no longer.
    pub(crate) fn validate_compressed(
        &self,
        addr: Addr,
        head: &Head,
        copy: &mut Option<Compression>,
    ) -> Checked<()> {
        let Some(id) = head.dictionary() else { return Ok(()) };
        let dictionary = copy.as_mut().and_then(|copy| copy.dictionary_mut(id));
        let dictionary = dictionary.filter(|dictionary| dictionary.records > 0);
        let dictionary = dictionary.ok_or("compression: a dictionary's count of records is off")?;
        dictionary.records -= 1;
        if !dictionary.expand(head.stored(self.arena.cell(addr))) {
            return Err("compression: what stands in a record is no block");
        }
        let text = dictionary.text();
        if text.is_ascii() != head.is_ascii() {
            return Err("compression: a value's ASCII flag is off");
        }
        if text.len() < COMPRESSED_TEXT_BYTES_MIN
            || Head::is_large_string(head.key_len(), text.len())
        {
            return Err("compression: a value that should not be compressed");
        }
        Ok(())
    }

    /// Gives a compressed record its plain form again, if there is room for that.
    fn make_plain(&mut self, found: &Found) -> Option<()> {
        let mut text = [0; PAGE_BYTES];
        self.expand(found);
        let plain = self.value(found).as_slice()?;
        let text_len = plain.len();
        bytes::copy(&mut text, plain);
        let head = found.head.with_dictionary(None).resized(found.head.key_len(), text_len);
        self.restate(found, head, text.get(..text_len)?).then_some(())
    }

    /// Writes the record of a key in another form, in a cell of its own. False if there is no room.
    fn restate(&mut self, found: &Found, head: Head, stored: &[u8]) -> bool {
        let class = Class::fitting(head.record_bytes());
        let wanted = [(class, 1)];
        if !(self.has_room(&wanted) || self.compact() && self.has_room(&wanted)) {
            return false;
        }
        // Making holes into segments may have moved it.
        let Some(from) = self.index.entry(found.place).map(|entry| entry.addr) else {
            return false;
        };
        let Some(to) = self.arena.allocate(class) else { return false };
        let starts = [(from, found.head.key_start()), (to, head.key_start())];
        self.arena.copy_part(starts[0], starts[1], head.key_len());
        let cell = self.arena.cell_mut(to);
        bytes::copy(head.stored_mut(cell), stored);
        head.write(cell);
        self.index.set_addr(found.place, to);
        self.arena.free(from);
        self.recount(found, &head);
        true
    }
}

impl Cx<'_> {
    /// Finds a compressed string to read it, and makes it plain if it is in use again.
    #[cold]
    pub(crate) fn read_compressed(&mut self, found: Found) -> Found {
        if self.keys.is_hot(found.place.age()) && self.keys.make_plain(&found).is_some() {
            return self.keys.found(found.place).unwrap_or(found);
        }
        found
    }

    /// Compresses strings, however lately they were used, in the next `buckets_max` buckets of
    /// about eight keys each, going round from call to call; at first it learns a dictionary from
    /// some hundred values. Without [`Options::compression`](crate::Options::compression) it does
    /// nothing. For hosts that know when nobody waits: the upkeep of writes compresses
    /// only while little of the budget is left, and only what is not in use. How many strings were
    /// compressed, or learnt from.
    #[cfg(feature = "compression")]
    pub fn compress(&mut self, buckets_max: usize) -> usize {
        match self.keys.compression {
            Some(_) => self.keys.compress_buckets(buckets_max, usize::MAX, true),
            None => 0,
        }
    }
}
