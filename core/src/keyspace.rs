//! The keyspace: the one face of the engine, and the only place where keys come and go.
//!
//! [`Keyspace`] owns the memory; [`Cx`] is the keyspace at one moment: what time it is, and where
//! effects go. All operations on keys are methods of `Cx`, cut by family into their own files.
//!
//! Invariants (`validate` checks them): every live cell of the arena is either a record that the
//! index finds by its key, or a page of exactly one object, or a node of its directory; an entry of
//! the index is volatile if and only if its record has a deadline.
//!
//! Not here: clocks, threads, I/O, and any text of a protocol.

use alloc::vec::Vec;

use crate::arena::{Addr, Arena, COUNTS_HANDED_OUT, PAGE_BYTES, SEGMENT_BYTES};
use crate::compress::Compression;
use crate::effects::{Cause, Effects};
use crate::error::{Error, Result};
#[cfg(any(feature = "hyperloglog", feature = "stream"))]
use crate::forms::Forms;
use crate::hasher::Hasher;
use crate::history::History;
use crate::index::{Index, Place};
use crate::limits::REAP_PAGES;
use crate::object::{ObjectId, Objects};
use crate::options::{Options, Policy};
use crate::random::Random;
use crate::record::{Head, Kind, Text, has_key};
#[cfg(feature = "snapshot")]
use crate::snapshot::Snapshot;
use crate::stats::Stats;
use crate::value::Value;

/// A point in time, or a span of it, in milliseconds. Points count from the Unix epoch.
pub type Millis = i64;

/// A cache of keys and their values under a memory budget.
///
/// ```
/// use ferrite_engine::{Keyspace, Options};
///
/// let mut keys = Keyspace::new(&Options::default())?;
/// let now = 1_700_000_000_000;
/// keys.at(now).set(b"greeting", b"hello", &Default::default())?;
/// let mut cx = keys.at(now);
/// let value = cx.get(b"greeting")?;
/// assert_eq!(value.and_then(|value| value.as_slice()), Some(&b"hello"[..]));
/// # Ok::<(), ferrite_engine::Error>(())
/// ```
pub struct Keyspace {
    pub(crate) arena: Arena,
    pub(crate) index: Index,
    pub(crate) objects: Objects,
    pub(crate) policy: Policy,
    pub(crate) random: Random,
    pub(crate) counters: Stats,
    /// Hashes whose fields may expire.
    pub(crate) expiring_hashes: usize,
    /// What the arena had handed out when something was last taken apart, or nothing was to be.
    reaped_at_bytes: usize,
    /// Moves on as keys are inserted; the age of an entry is its value at the last use.
    pub(crate) clock: u8,
    /// The last value of the clock that was noticed, and when each value was.
    pub(crate) noticed_clock: u8,
    pub(crate) noticed_at: [Millis; 256],
    /// Which of these stand for uses that were before the key came.
    #[cfg(feature = "dump")]
    pub(crate) backdated: [bool; 256],
    pub(crate) inserted_since_tick: usize,
    /// What policies that learn remember; empty for all others.
    pub(crate) history: History,
    /// None unless compression was asked for.
    pub(crate) compression: Option<Compression>,
    /// Buckets at which the next eviction and the next active expiry start.
    pub(crate) eviction_hand: u32,
    pub(crate) expiry_hand: u32,
    /// Records that must outlive the search for room; compaction keeps the addresses current.
    pub(crate) pins: Vec<Addr>,
    /// What the command that runs was lent of the budget, for buffers of its own.
    pub(crate) lent_bytes: usize,
    pub(crate) hasher: Hasher,
    #[cfg(any(feature = "hyperloglog", feature = "stream"))]
    pub(crate) forms: Forms,
    #[cfg(feature = "snapshot")]
    pub(crate) snapshot: Snapshot,
    #[cfg(feature = "snapshot")]
    pub(crate) changes: u64,
    /// Whether keys whose deadline has passed stay, though nobody finds them.
    #[cfg(feature = "effects")]
    keeps_expired: bool,
    max_memory_bytes: usize,
    host_bytes: usize,
}

/// A keyspace at one moment: the face of every operation on keys.
pub struct Cx<'a> {
    pub(crate) keys: &'a mut Keyspace,
    pub(crate) now: Millis,
    pub(crate) effects: Option<&'a mut dyn Effects>,
}

/// A key that is there.
#[derive(Clone, Copy)]
pub(crate) struct Found {
    pub(crate) place: Place,
    pub(crate) addr: Addr,
    pub(crate) head: Head,
}

impl Keyspace {
    /// An empty keyspace.
    ///
    /// # Errors
    /// [`Error::MemoryOutOfRange`] for a budget the engine cannot work in,
    /// [`Error::NoCompression`].
    pub fn new(options: &Options) -> Result<Keyspace> {
        options.validate()?;
        let max_memory_bytes =
            usize::try_from(options.max_memory_bytes).map_err(|_| Error::MemoryOutOfRange)?;
        let host_bytes = options.host_bytes as usize;
        let mut random = Random::new(options.seed);
        let hasher = Hasher::new([random.next(), random.next(), random.next()]);
        Ok(Keyspace {
            arena: Arena::new(max_memory_bytes / SEGMENT_BYTES),
            index: Index::new(),
            objects: Objects::new(),
            policy: options.policy,
            random,
            counters: Stats::default(),
            expiring_hashes: 0,
            reaped_at_bytes: 0,
            clock: 0,
            noticed_clock: 0,
            noticed_at: [0; 256],
            #[cfg(feature = "dump")]
            backdated: [false; 256],
            inserted_since_tick: 0,
            history: History::new(),
            compression: Compression::wanted(options.compression),
            eviction_hand: 0,
            expiry_hand: 0,
            pins: Vec::new(),
            lent_bytes: 0,
            hasher,
            #[cfg(any(feature = "hyperloglog", feature = "stream"))]
            forms: Forms::DEFAULT,
            #[cfg(feature = "snapshot")]
            snapshot: Snapshot::new(),
            #[cfg(feature = "snapshot")]
            changes: 0,
            #[cfg(feature = "effects")]
            keeps_expired: false,
            max_memory_bytes,
            host_bytes,
        })
    }

    /// The keyspace at the time `now`, with nobody listening to effects.
    pub fn at(&mut self, now: Millis) -> Cx<'_> {
        Cx { keys: self, now, effects: None }
    }

    /// Gives the keyspace another budget, of which the host holds so much. What is over a lower one
    /// stays until room is needed, or [`Cx::shrink`] takes it away.
    ///
    /// # Errors
    /// [`Error::MemoryOutOfRange`] for a budget the engine cannot work in.
    pub fn set_max_memory(&mut self, max_memory_bytes: u64, host_bytes: u64) -> Result<()> {
        Options { max_memory_bytes, ..Options::default() }.validate()?;
        let bytes = |bytes| usize::try_from(bytes).map_err(|_| Error::MemoryOutOfRange);
        self.max_memory_bytes = bytes(max_memory_bytes)?;
        self.host_bytes = bytes(host_bytes)?;
        self.arena.set_segments_max(self.max_memory_bytes / SEGMENT_BYTES);
        Ok(())
    }

    /// Keys and fields whose deadline has passed read as absent, but stay as long as this is so:
    /// for a host that lets nothing change for a while. Only commands that read may be run then.
    #[cfg(feature = "effects")]
    pub fn keep_expired(&mut self, keeps: bool) {
        self.keeps_expired = keeps;
    }

    #[cfg(feature = "effects")]
    pub(crate) fn keeps_expired(&self) -> bool {
        self.keeps_expired
    }

    #[cfg(not(feature = "effects"))]
    pub(crate) fn keeps_expired(&self) -> bool {
        false
    }

    /// Keys, those included that expired and were not yet noticed.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether there are no keys.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether there are keys, or fields of hashes, that expire. If not, reads do not depend on the
    /// time.
    #[inline]
    pub fn may_expire(&self) -> bool {
        self.counters.expires > 0 || self.expiring_hashes > 0
    }

    /// Figures of this moment.
    pub fn stats(&self) -> Stats {
        Stats {
            used_memory: self.used_bytes() as u64,
            used_memory_dataset: self.arena.live_bytes() as u64,
            maxmemory: self.max_memory_bytes as u64,
            keys: self.len() as u64,
            #[cfg(feature = "compression")]
            compressed_keys: self.compressed_len() as u64,
            ..self.counters
        }
    }

    /// Bytes held for everything.
    #[inline]
    pub(crate) fn used_bytes(&self) -> usize {
        #[cfg(feature = "snapshot")]
        let frozen_bytes = self.frozen_bytes();
        #[cfg(not(feature = "snapshot"))]
        let frozen_bytes = 0;
        size_of::<Keyspace>()
            + frozen_bytes
            + self.pins.capacity() * size_of::<Addr>()
            + self.host_bytes
            + self.arena.held_bytes()
            + self.index.held_bytes()
            + self.objects.held_bytes()
            + self.history.held_bytes()
            + self.compression.as_ref().map_or(0, Compression::held_bytes)
    }

    /// Whether no more is held than the budget allows.
    pub(crate) fn is_within_budget(&self) -> bool {
        self.used_bytes() <= self.max_memory_bytes
    }

    /// Segments or pages that the budget still allows to take from the allocator.
    pub(crate) fn segments_left(&self) -> usize {
        let used = self.used_bytes() + self.arena.due_bytes() + self.lent_bytes;
        self.max_memory_bytes.saturating_sub(used) / SEGMENT_BYTES
    }

    /// Segments or pages that fit the budget.
    pub(crate) fn segments_max(&self) -> usize {
        self.max_memory_bytes / SEGMENT_BYTES
    }

    /// Whether `segments` would fit the budget if every key were gone.
    pub(crate) fn could_ever_hold(&self, segments: usize) -> bool {
        #[cfg(feature = "snapshot")]
        let given_back = self.arena.segment_count() + self.frozen_bytes() / SEGMENT_BYTES;
        #[cfg(not(feature = "snapshot"))]
        let given_back = self.arena.segment_count();
        segments <= self.segments_left() + given_back
    }

    // At the edge one copy serves all crates, and the call is not to be measured.
    #[cfg_attr(not(target_arch = "wasm32"), inline(always))]
    #[cfg_attr(target_arch = "wasm32", inline(never))]
    pub(crate) fn hash(&self, key: &[u8]) -> u64 {
        self.hasher.hash(key)
    }

    #[cfg_attr(not(target_arch = "wasm32"), inline(always))]
    pub(crate) fn head(&self, addr: Addr) -> Option<Head> {
        Head::read(self.arena.record(addr)?)
    }

    pub(crate) fn hash_of(&self, addr: Addr) -> u64 {
        hash_record(&self.hasher, self.arena.bytes_from(addr))
    }

    /// Where the index has a key, expired or not.
    #[cfg_attr(not(target_arch = "wasm32"), inline(always))]
    #[cfg_attr(target_arch = "wasm32", inline(never))]
    pub(crate) fn locate(&self, key: &[u8], hash: u64) -> Option<Found> {
        let (place, addr) = self.locate_record(key, hash)?;
        Some(Found { place, addr, head: self.head(addr)? })
    }

    /// Where the index has a key, and where its record is.
    #[cfg_attr(not(target_arch = "wasm32"), inline(always))]
    #[cfg_attr(target_arch = "wasm32", inline(never))]
    pub(crate) fn locate_record(&self, key: &[u8], hash: u64) -> Option<(Place, Addr)> {
        let has_key = |addr| has_key(self.arena.record(addr)?, key).then_some(addr);
        self.index.find(hash, has_key)
    }

    /// The same, and where the string stands in the record if it is one as it is.
    #[inline(always)]
    pub(crate) fn locate_text(&self, key: &[u8], hash: u64) -> Option<(Place, Addr, Option<Text>)> {
        if cfg!(target_arch = "wasm32") {
            // At the edge another loop over buckets would weigh more than the time is worth.
            let (place, addr) = self.locate_record(key, hash)?;
            return Some((place, addr, self.text_at(addr, key.len())));
        }
        let text_of = |addr| Some((addr, Text::of_key(self.arena.record(addr)?, key)?));
        let (place, (addr, text)) = self.index.find(hash, text_of)?;
        Some((place, addr, text))
    }

    /// Where the index has the record at an address, if it does.
    pub(crate) fn place_of(&self, addr: Addr) -> Place {
        let bucket = self.index.bucket_of(self.hash_of(addr));
        let mut place = Place::NOWHERE;
        self.index.visit(bucket, &mut |at, entry| {
            if entry.addr == addr {
                place = at;
            }
        });
        place
    }

    /// A record that is pinned, to read from.
    pub(crate) fn pinned(&self, pin: usize) -> Option<Found> {
        let addr = *self.pins.get(pin)?;
        Some(Found { place: Place::NOWHERE, addr, head: self.head(addr)? })
    }

    pub(crate) fn found(&self, place: Place) -> Option<Found> {
        let addr = self.index.entry(place)?.addr;
        Some(Found { place, addr, head: self.head(addr)? })
    }

    /// The value of a key that is there; if it is compressed, it was expanded last (`expand`).
    #[cfg_attr(not(target_arch = "wasm32"), inline(always))]
    #[cfg_attr(target_arch = "wasm32", inline)]
    pub(crate) fn value(&self, found: &Found) -> Value<'_> {
        let cell = self.arena.bytes_from(found.addr);
        match found.head.object(cell).and_then(|id| self.objects.get(id)) {
            Some(object) => Value::paged(&self.arena, object, found.head.is_ascii()),
            None if found.head.is_compressed() => self.expanded(found),
            None => Value::whole(found.head.stored(cell), found.head.is_ascii()),
        }
    }

    /// Enters a new record into the index. Room for it was made before.
    pub(crate) fn enter(&mut self, hash: u64, addr: Addr, head: &Head) -> Place {
        let age = self.first_age(hash);
        let place = self.index.insert(hash, addr, age, head.is_volatile());
        self.count_in(head);
        self.note_insertion();
        place.unwrap_or(Place::NOWHERE)
    }

    /// Takes a key out with its value. Places that were found before are no longer good.
    pub(crate) fn drop_found(&mut self, found: &Found) {
        self.bury_value(found);
        self.forget(found);
        self.let_go();
    }

    /// Takes a key out whose value names nothing any more.
    pub(crate) fn forget(&mut self, found: &Found) {
        if self.policy.learns()
            && let Some(entry) = self.index.entry(found.place)
        {
            self.history.leave(entry.age);
        }
        self.index.remove(found.place);
        self.count_out(&found.head);
        self.arena.free(found.addr);
    }

    /// Counts what a record in the index has that expires.
    pub(crate) fn count_in(&mut self, head: &Head) {
        self.counters.expires += u64::from(head.is_volatile());
        self.expiring_hashes += usize::from(head.has_expiring_fields());
        if let (Some(id), Some(compression)) = (head.dictionary(), &mut self.compression) {
            compression.count_in(id);
        }
    }

    /// Takes a record out of what is counted.
    pub(crate) fn count_out(&mut self, head: &Head) {
        self.counters.expires -= u64::from(head.is_volatile());
        self.expiring_hashes -= usize::from(head.has_expiring_fields());
        if let (Some(id), Some(compression)) = (head.dictionary(), &mut self.compression) {
            compression.count_out(id);
        }
    }

    /// Frees a record with its value.
    pub(crate) fn free_record(&mut self, found: &Found) {
        self.bury_value(found);
        self.arena.free(found.addr);
        self.let_go();
    }

    /// Notes that nobody names the objects of a value any more.
    pub(crate) fn bury_value(&mut self, found: &Found) {
        match self.object_of(found) {
            Some(id) => self.objects.bury(id),
            None => {
                let stored = found.head.stored_start()..found.head.record_bytes();
                self.bury_items(found.head.kind(), found.addr, stored);
            }
        }
    }

    /// The object of a large value.
    #[cfg_attr(not(target_arch = "wasm32"), inline)]
    pub(crate) fn object_of(&self, found: &Found) -> Option<ObjectId> {
        found.head.object(self.arena.bytes_from(found.addr))
    }

    /// Lets go of an object that nobody names any more: at once if it is small, else step by step.
    pub(crate) fn release(&mut self, id: ObjectId) {
        self.objects.bury(id);
        self.reap();
    }

    /// Whether there is something deleted that is still to be taken apart.
    pub fn is_reaping(&self) -> bool {
        self.objects.dying().is_some()
    }

    /// How many large values, and parts of them, are still to be taken apart.
    pub fn reaping_count(&self) -> usize {
        self.objects.all_dying().count()
    }

    /// Gives some pages back of what is to be taken apart. False if there is nothing.
    #[cfg_attr(not(target_arch = "wasm32"), inline)]
    pub(crate) fn reap(&mut self) -> bool {
        let is_needed = self.objects.dying().is_some();
        if is_needed {
            self.reap_some();
        }
        if COUNTS_HANDED_OUT {
            self.reaped_at_bytes = self.arena.handed_out_bytes();
        }
        is_needed
    }

    /// Whoever writes much takes twice as much apart: so what is still to be taken apart does not
    /// grow, however long large values are written over.
    fn reap_some(&mut self) {
        let written_bytes = match COUNTS_HANDED_OUT {
            true => self.arena.handed_out_bytes().wrapping_sub(self.reaped_at_bytes),
            false => 0,
        };
        for _ in 0..REAP_PAGES.max(2 * (written_bytes / PAGE_BYTES)) {
            let Some(id) = self.objects.dying() else { break };
            let Some(object) = self.objects.get_mut(id) else { break };
            if object.is_linked() {
                if self.reap_list(id).is_none() {
                    self.objects.remove_dying();
                }
                continue;
            }
            let kind = object.kind.unwrap_or(Kind::String);
            match object.pop(&mut self.arena) {
                Some(page) => self.free_page(kind, page),
                None => self.objects.remove_dying(),
            }
        }
    }

    /// Gives back what a value took that nobody names any more: all of it if it is small.
    #[inline(always)]
    fn let_go(&mut self) {
        self.reap();
        #[cfg(feature = "effects")]
        {
            self.counters.lazily_freed += u64::from(self.is_reaping());
        }
    }

    /// Drops every key.
    pub(crate) fn clear(&mut self) {
        #[cfg(feature = "snapshot")]
        self.freeze();
        self.arena = Arena::new(self.max_memory_bytes / SEGMENT_BYTES);
        self.index = Index::new();
        self.objects = Objects::new();
        self.history = History::new();
        self.compression = Compression::wanted(self.compression.is_some());
        self.counters.expires = 0;
        self.expiring_hashes = 0;
        self.eviction_hand = 0;
        self.expiry_hand = 0;
    }

    /// Counts a hit or a miss.
    #[inline]
    pub(crate) fn count_look(&mut self, is_hit: bool) {
        self.counters.keyspace_hits += u64::from(is_hit);
        self.counters.keyspace_misses += u64::from(!is_hit);
    }

    /// Gives the index back what fewer keys no longer need: a bounded step after each removal.
    pub(crate) fn settle(&mut self) {
        if self.index.wants_shrinking() {
            self.index.shrink();
        }
        if self.policy.learns() {
            self.history.shrink(self.index.len());
        }
    }
}

/// The hash of the key of the record in `cell`.
pub(crate) fn hash_record(hasher: &Hasher, cell: &[u8]) -> u64 {
    Head::read(cell).map_or(0, |head| hasher.hash(head.key(cell)))
}

impl<'a> Cx<'a> {
    /// The same moment, with `effects` listening.
    #[cfg(feature = "effects")]
    pub fn with_effects(self, effects: &'a mut dyn Effects) -> Cx<'a> {
        Cx { effects: Some(effects), ..self }
    }

    /// The time all operations go by.
    pub fn now(&self) -> Millis {
        self.now
    }

    /// The keyspace.
    pub fn keyspace(&self) -> &Keyspace {
        self.keys
    }

    /// Who listens to effects, with the keyspace to read from, for one who has a change to tell.
    /// Nobody does without the feature `effects`, and then none are made.
    #[inline]
    pub(crate) fn listener(&mut self) -> Option<(&Keyspace, &mut dyn Effects)> {
        #[cfg(feature = "snapshot")]
        self.count_change();
        match &mut self.effects {
            Some(effects) if cfg!(feature = "effects") => Some((self.keys, &mut **effects)),
            _ => None,
        }
    }

    /// Whether somebody listens to a change that there is to tell.
    #[inline]
    pub(crate) fn is_heard(&mut self) -> bool {
        let is_heard = cfg!(feature = "effects") && self.effects.is_some();
        #[cfg(feature = "snapshot")]
        if !is_heard {
            self.count_change();
        }
        is_heard
    }

    /// A change that is not told is counted all the same.
    #[cfg(feature = "snapshot")]
    #[inline]
    fn count_change(&mut self) {
        self.keys.changes = self.keys.changes.wrapping_add(1);
    }

    /// Tells why the key goes that goes next.
    pub(crate) fn tell_cause(&mut self, cause: Cause) {
        if cfg!(feature = "effects")
            && let Some(effects) = &mut self.effects
        {
            effects.cause(cause);
        }
    }

    /// Tells of a key that stays as it is, but is told of all the same.
    pub(crate) fn tell_touched(&mut self, key: &[u8]) {
        if cfg!(feature = "effects")
            && let Some(effects) = &mut self.effects
        {
            effects.touched(key);
        }
    }

    /// Tells of a key that is not there, and that only the value of another led to.
    #[cfg(feature = "sort")]
    pub(crate) fn tell_missed(&mut self, key: &[u8]) {
        if cfg!(feature = "effects")
            && let Some(effects) = &mut self.effects
        {
            effects.missed(key);
        }
    }

    /// Tells the listener, if there is one.
    #[cfg_attr(not(target_arch = "wasm32"), inline(always))]
    pub(crate) fn emit(&mut self, arguments: &[Value<'_>]) {
        if let Some((_, effects)) = self.listener() {
            effects.effect(arguments);
        }
    }

    /// Finds a key that may have a collection, with its hash. What is done to one large collection
    /// time and again does without that: it is remembered where its record is.
    #[cfg_attr(not(target_arch = "wasm32"), inline(always))]
    pub(crate) fn lookup_collection(&mut self, key: &[u8]) -> (u64, Option<Found>) {
        match self.recent(key) {
            Some((hash, found)) => (hash, Some(found)),
            None => self.lookup_another(key),
        }
    }

    #[cfg_attr(not(target_arch = "wasm32"), inline(never))]
    fn lookup_another(&mut self, key: &[u8]) -> (u64, Option<Found>) {
        let hash = self.keys.hash(key);
        let found = self.lookup(key, hash);
        if let Some(found) = found.filter(|found| found.head.is_large()) {
            self.keys.index.remember(hash, found.place, found.addr);
        }
        (hash, found)
    }

    /// The key that was asked for last, if it is this one and has a large value.
    #[cfg_attr(not(target_arch = "wasm32"), inline(always))]
    pub(crate) fn recent(&self, key: &[u8]) -> Option<(u64, Found)> {
        let (hash, place, addr) = self.keys.index.recent()?;
        let cell = self.keys.arena.bytes_from(addr);
        let head = Head::read(cell)?;
        let is_it = head.has_key(cell, key) && head.is_large() && !self.is_past(head.deadline);
        is_it.then_some((hash, Found { place, addr, head }))
    }

    /// Finds a key that has not expired. One that has is dropped.
    #[cfg_attr(not(target_arch = "wasm32"), inline(always))]
    #[cfg_attr(target_arch = "wasm32", inline)]
    pub(crate) fn lookup(&mut self, key: &[u8], hash: u64) -> Option<Found> {
        self.lookup_at(self.keys.locate_record(key, hash))
    }

    /// The same where it was located already.
    #[cfg_attr(not(target_arch = "wasm32"), inline(always))]
    #[cfg_attr(target_arch = "wasm32", inline)]
    pub(crate) fn lookup_at(&mut self, there: Option<(Place, Addr)>) -> Option<Found> {
        let (place, addr) = there?;
        let found = Found { place, addr, head: self.keys.head(addr)? };
        if self.is_past(found.head.deadline) {
            self.drop_expired(found.place);
            return None;
        }
        #[cfg(feature = "hash")]
        if found.head.has_expiring_fields() && !found.head.is_large() {
            return if self.keys.keeps_expired() { self.alive(found) } else { self.shed(found, 1) };
        }
        Some(found)
    }

    /// Drops an expired key. Reads only hand over where it is, so that all else they found out
    /// can stay in registers.
    #[cold]
    fn drop_expired(&mut self, place: Place) {
        if !self.keys.keeps_expired()
            && let Some(found) = self.keys.found(place)
        {
            self.expire(&found);
            self.keys.settle();
        }
    }

    /// Finds a key to look at it: counts a hit or a miss.
    #[cfg_attr(not(target_arch = "wasm32"), inline(always))]
    #[cfg_attr(target_arch = "wasm32", inline)]
    pub(crate) fn lookup_look(&mut self, key: &[u8]) -> Option<Found> {
        let found = self.lookup(key, self.keys.hash(key));
        self.keys.count_look(found.is_some());
        found
    }

    /// Finds a key to read it: that also counts as a use.
    #[cfg_attr(not(target_arch = "wasm32"), inline(always))]
    #[cfg_attr(target_arch = "wasm32", inline)]
    pub(crate) fn lookup_read(&mut self, key: &[u8]) -> Option<Found> {
        let found = self.lookup_look(key)?;
        self.keys.note_use(found.place);
        if found.head.is_compressed() {
            return Some(self.read_compressed(found));
        }
        Some(found)
    }

    /// Drops a key and says so.
    pub(crate) fn remove(&mut self, found: &Found) {
        if let Some((keys, effects)) = self.listener() {
            let key = found.head.key(keys.arena.cell(found.addr));
            effects.effect(&["DEL".into(), key.into()]);
        }
        self.keys.drop_found(found);
    }
}
