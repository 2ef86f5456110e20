//! Strings: GET, SET and what changes a string in place.
//!
//! A write happens in two steps: `prepare` makes room, which may evict, move, or fail; `put` then
//! writes and leaves nothing half done.

use alloc::vec::Vec;

use crate::arena::{Addr, Class, PAGE_BYTES};
use crate::command::{Args, Arity, DENYOOM, EDGE, FAST, Group, Keys, READ, Spec, WRITE, docs};
use crate::error::{Error, Result};
use crate::keyspace::{Cx, Found, Keyspace, Millis};
use crate::limits::{KEY_BYTES_MAX, VALUE_BYTES_MAX};
use crate::num::{Digits, parse_integer};
use crate::record::{Head, PAGE_VALUE_BYTES, PageHead};
use crate::reply::Reply;
use crate::value::{Joined, Source, Value};

/// How SET treats the key it finds, and when the value expires.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SetOptions {
    /// Set only under this condition.
    pub condition: Condition,
    /// When the value expires.
    pub expiry: Expiry,
}

/// When SET sets.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Condition {
    /// Always.
    #[default]
    Always,
    /// NX: only if the key is not there.
    IfAbsent,
    /// XX: only if it is.
    IfPresent,
}

/// When a value that is set expires.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Expiry {
    /// Never.
    #[default]
    Never,
    /// KEEPTTL: when the value that was there would have.
    Keep,
    /// EX, PX: so long from now.
    In(Millis),
    /// EXAT, PXAT: at that time.
    At(Millis),
}

/// Is shown the value that SET is about to replace, or `None` if there is none.
pub type ShowOld<'f> = &'f mut dyn FnMut(Option<Value<'_>>);

impl Cx<'_> {
    /// GET: the value of `key`, if it is there.
    pub fn get(&mut self, key: &[u8]) -> Result<Option<Value<'_>>> {
        let found = self.lookup_read(key);
        Ok(found.map(|found| self.keys.value(&found)))
    }

    /// SET: gives `key` a value. False if the condition did not hold.
    ///
    /// # Errors
    /// [`Error::InvalidExpire`], [`Error::KeyTooLong`], [`Error::ValueTooLong`],
    /// [`Error::OutOfMemory`].
    pub fn set(&mut self, key: &[u8], value: &[u8], options: &SetOptions) -> Result<bool> {
        let mut source = value;
        self.set_from(key, &mut source, options, None)
    }

    /// SET with a value that comes in pieces, and with GET: `old` is shown what was there, or
    /// nothing, whatever the condition says, once nothing can fail any more.
    pub fn set_from(
        &mut self,
        key: &[u8],
        value: &mut dyn Source,
        options: &SetOptions,
        old: Option<ShowOld<'_>>,
    ) -> Result<bool> {
        let hash = self.keys.hash(key);
        let found = self.lookup(key, hash);
        let deadline = match options.expiry {
            Expiry::Never => None,
            Expiry::Keep => found.and_then(|found| found.head.deadline),
            Expiry::At(at) => Some(at).filter(|&at| at > 0),
            Expiry::In(ttl_ms) => self.now.checked_add(ttl_ms).filter(|_| ttl_ms > 0),
        };
        if matches!(options.expiry, Expiry::At(_) | Expiry::In(_)) && deadline.is_none() {
            return Err(Error::InvalidExpire("set"));
        }
        let is_wanted = match options.condition {
            Condition::Always => true,
            Condition::IfAbsent => found.is_none(),
            Condition::IfPresent => found.is_some(),
        };
        if !is_wanted {
            if let Some(old) = old {
                old(found.map(|found| self.keys.value(&found)));
            }
            return Ok(false);
        }
        let head = new_head(key, value.len(), deadline)?;
        let found = self.prepare(key, hash, &head, found, old.is_some())?;
        if let Some(old) = old {
            old(found.map(|found| self.keys.value(&found)));
        }
        self.keys.put(key, hash, head, found, value)?;
        self.grow_index();
        if self.effects.is_some() {
            self.emit_set(key, hash, deadline);
        }
        Ok(true)
    }

    fn emit_set(&mut self, key: &[u8], hash: u64, deadline: Option<Millis>) {
        let Cx { keys, effects, .. } = self;
        let (Some(effects), Some(found)) = (effects, keys.locate(key, hash)) else {
            return;
        };
        let value = keys.value(&found);
        match deadline {
            None => effects.effect(&["SET".into(), key.into(), value]),
            Some(at) => {
                let at = Digits::new(at);
                let at = at.as_bytes().into();
                effects.effect(&["SET".into(), key.into(), value, "PXAT".into(), at]);
            }
        }
    }

    /// MSET: gives each key its value, or, on an error, none of them.
    pub fn mset<'b>(
        &mut self,
        pairs: impl Iterator<Item = (&'b [u8], &'b [u8])> + Clone,
    ) -> Result<()> {
        let mut cells: Vec<(Class, usize)> = Vec::new();
        let mut count = 0;
        for (key, value) in pairs.clone() {
            count += 1;
            for (class, wanted) in cells_for(&new_head(key, value.len(), None)?)? {
                match cells.iter_mut().find(|(other, _)| *other == class) {
                    Some((_, sum)) => *sum += wanted,
                    None => cells.push((class, wanted)),
                }
            }
        }
        self.make_room_for_keys(&cells, count)?;
        for (key, mut value) in pairs.clone() {
            let hash = self.keys.hash(key);
            let head = new_head(key, value.len(), None)?;
            let found = self.keys.locate(key, hash);
            self.keys.put(key, hash, head, found, &mut value)?;
        }
        self.keys.index.drop_spare_overflow();
        for _ in 0..count {
            self.grow_index();
        }
        if self.effects.is_some() {
            let mut effect: Vec<Value<'_>> = Vec::with_capacity(1 + 2 * count);
            effect.push("MSET".into());
            effect.extend(pairs.flat_map(|(key, value)| [Value::from(key), value.into()]));
            self.emit(&effect);
        }
        Ok(())
    }

    /// APPEND: adds to the end of a string, from nothing if need be. Its length afterwards.
    pub fn append(&mut self, key: &[u8], suffix: &[u8]) -> Result<usize> {
        let hash = self.keys.hash(key);
        let found = self.lookup(key, hash);
        let old_len = found.map_or(0, |found| found.head.value_len());
        let len = old_len + suffix.len();
        match found {
            Some(found) if found.head.is_paged() => {
                if len > VALUE_BYTES_MAX {
                    return Err(Error::ValueTooLong);
                }
                self.append_to_pages(key, hash, &found, suffix)?;
            }
            _ => {
                let mut buffer = [0; PAGE_BYTES];
                let value = found.and_then(|found| self.keys.value(&found).as_slice());
                let old = copy_into(&mut buffer, value.unwrap_or_default());
                let deadline = found.and_then(|found| found.head.deadline);
                let head = new_head(key, len, deadline)?;
                self.replace(key, hash, head, found, &mut Joined(old, suffix))?;
            }
        }
        self.emit(&["APPEND".into(), key.into(), suffix.into()]);
        Ok(len)
    }

    /// INCRBY: adds to an integer, which starts at zero. The sum.
    pub fn incr_by(&mut self, key: &[u8], change: i64) -> Result<i64> {
        let hash = self.keys.hash(key);
        let found = self.lookup(key, hash);
        let old = match &found {
            Some(found) => {
                let text = self.keys.value(found).as_slice().ok_or(Error::NotAnInteger)?;
                parse_integer(text).ok_or(Error::NotAnInteger)?
            }
            None => 0,
        };
        let sum = old.checked_add(change).ok_or(Error::Overflow)?;
        let digits = Digits::new(sum);
        let deadline = found.and_then(|found| found.head.deadline);
        let mut text = digits.as_bytes();
        let head = new_head(key, text.len(), deadline)?;
        self.replace(key, hash, head, found, &mut text)?;
        let change = Digits::new(change);
        self.emit(&["INCRBY".into(), key.into(), change.as_bytes().into()]);
        Ok(sum)
    }

    /// STRLEN: the length of a string, zero for a missing one.
    pub fn strlen(&mut self, key: &[u8]) -> Result<usize> {
        Ok(self.lookup_read(key).map_or(0, |found| found.head.value_len()))
    }

    /// Writes a value that was made from the one there is, which must not be evicted for it.
    fn replace(
        &mut self,
        key: &[u8],
        hash: u64,
        head: Head,
        found: Option<Found>,
        value: &mut dyn Source,
    ) -> Result<()> {
        let found = self.prepare(key, hash, &head, found, true)?;
        self.keys.put(key, hash, head, found, value)?;
        self.grow_index();
        Ok(())
    }

    /// Makes room for a record, and finds again what `found` was: the search for room may have
    /// moved it, or evicted it unless it is to be kept.
    fn prepare(
        &mut self,
        key: &[u8],
        hash: u64,
        head: &Head,
        found: Option<Found>,
        keep: bool,
    ) -> Result<Option<Found>> {
        if found.is_some_and(|found| self.keys.fits_in_place(&found, head)) {
            return Ok(found);
        }
        let kept = found.filter(|_| keep).map_or(Addr::NONE, |found| found.addr);
        let cells = cells_for(head)?;
        self.pinning(kept, |cx| cx.make_room_for_keys(&cells, 1))?;
        Ok(found.and_then(|_| self.keys.locate(key, hash)))
    }

    /// Adds to a paged value: only its last page and its directory are written anew.
    fn append_to_pages(
        &mut self,
        key: &[u8],
        hash: u64,
        found: &Found,
        suffix: &[u8],
    ) -> Result<()> {
        let old = found.head;
        let new = Head::new(key.len(), old.value_len() + suffix.len(), old.deadline)
            .with_ascii(old.is_ascii() && suffix.is_ascii());
        // The page that has room, or the first new one.
        let first = old.value_len() / PAGE_VALUE_BYTES;
        let cells = [
            (record_class(&new)?, 1),
            (page_class(PAGE_VALUE_BYTES)?, new.pages() - first),
            (page_class(new.page_len(new.pages() - 1))?, 1),
        ];
        self.pinning(found.addr, |cx| cx.make_room(&cells, 0))?;
        let mut found = self.keys.locate(key, hash).ok_or(Error::OutOfMemory)?;
        if new.record_bytes() > self.keys.arena.cell(found.addr).len() {
            self.keys.move_record(&mut found, record_class(&new)?)?;
        }
        let mut rest = suffix;
        for position in first..new.pages() {
            self.keys.extend_page(&found, hash, position, &new, &mut rest)?;
        }
        new.write(self.keys.arena.cell_mut(found.addr));
        Ok(())
    }
}

impl Keyspace {
    /// Whether a record can be written over the one that is there: neither is in pages, and the
    /// cell is neither too small nor much too large.
    fn fits_in_place(&self, found: &Found, head: &Head) -> bool {
        let cell_bytes = self.arena.cell(found.addr).len();
        let bytes = head.record_bytes();
        !head.is_paged()
            && !found.head.is_paged()
            && bytes <= cell_bytes
            && bytes >= cell_bytes - cell_bytes / 8
    }

    /// Writes a record: over the one `found`, beside it and in its stead, or as a new key.
    fn put(
        &mut self,
        key: &[u8],
        hash: u64,
        head: Head,
        found: Option<Found>,
        value: &mut dyn Source,
    ) -> Result<()> {
        let in_place = found.filter(|found| self.fits_in_place(found, &head));
        let addr = match &in_place {
            Some(found) => found.addr,
            None => self.allocate_record(&head, hash)?,
        };
        let head = head.with_ascii(self.fill(addr, &head, value));
        let cell = self.arena.cell_mut(addr);
        head.write(cell);
        head.write_key(cell, key);
        let is_volatile = head.deadline.is_some();
        let Some(found) = found else {
            self.enter(hash, addr, is_volatile);
            return Ok(());
        };
        if in_place.is_none() {
            self.free_pages(&found, 0);
            self.arena.free(found.addr);
            self.index.set_addr(found.place, addr);
        }
        self.set_volatile(&found, is_volatile);
        self.note_use(found.place);
        Ok(())
    }

    /// Keeps the index's mark and the count of deadlines in step with a record.
    pub(crate) fn set_volatile(&mut self, found: &Found, is_volatile: bool) {
        self.counters.expires -= u64::from(found.head.deadline.is_some());
        self.counters.expires += u64::from(is_volatile);
        self.index.set_volatile(found.place, is_volatile);
    }

    /// Allocates a record and its pages; nothing stays if one is refused.
    fn allocate_record(&mut self, head: &Head, hash: u64) -> Result<Addr> {
        let addr = self.arena.allocate(record_class(head)?).ok_or(Error::OutOfMemory)?;
        head.write(self.arena.cell_mut(addr));
        for position in 0..head.pages() {
            let page = page_class(head.page_len(position))
                .and_then(|class| self.arena.allocate(class).ok_or(Error::OutOfMemory));
            match page {
                Ok(page) => self.link_page(addr, head, position, hash, page),
                Err(error) => {
                    for position in 0..position {
                        let directory = head.stored(self.arena.cell(addr));
                        self.arena.free(Head::page_addr(directory, position));
                    }
                    self.arena.free(addr);
                    return Err(error);
                }
            }
        }
        Ok(addr)
    }

    /// Writes the head of a page, and its address into the directory.
    fn link_page(&mut self, record: Addr, head: &Head, position: usize, hash: u64, page: Addr) {
        PageHead { position, owner_hash: hash }.write(self.arena.cell_mut(page));
        let directory = head.stored_mut(self.arena.cell_mut(record));
        Head::set_page_addr(directory, position, page);
    }

    /// Fills the value of a record from its source. Whether it is ASCII.
    fn fill(&mut self, addr: Addr, head: &Head, value: &mut dyn Source) -> bool {
        if !head.is_paged() {
            let target = head.stored_mut(self.arena.cell_mut(addr));
            value.fill(target);
            return target.is_ascii();
        }
        let mut is_ascii = true;
        for position in 0..head.pages() {
            let page = Head::page_addr(head.stored(self.arena.cell(addr)), position);
            let len = head.page_len(position);
            let target = PageHead::value_mut(self.arena.cell_mut(page), len);
            value.fill(target);
            is_ascii &= target.is_ascii();
        }
        is_ascii
    }

    /// Moves a record to a cell of another class. Room for it was made before.
    pub(crate) fn move_record(&mut self, found: &mut Found, class: Class) -> Result<()> {
        let to = self.arena.allocate(class).ok_or(Error::OutOfMemory)?;
        let bytes = class.bytes().min(self.arena.cell(found.addr).len());
        self.arena.copy(found.addr, to, bytes);
        self.arena.free(found.addr);
        self.index.set_addr(found.place, to);
        found.addr = to;
        Ok(())
    }

    /// Brings one page of a value that grows from `found` to `new` to its new length.
    fn extend_page(
        &mut self,
        found: &Found,
        hash: u64,
        position: usize,
        new: &Head,
        rest: &mut &[u8],
    ) -> Result<()> {
        let (old_len, len) = (found.head.page_len(position), new.page_len(position));
        let directory = found.head.stored(self.arena.cell(found.addr));
        let mut page = Head::page_addr(directory, position);
        if old_len == 0 {
            page = Addr::NONE;
        }
        if PageHead::cell_bytes(len) > self.arena.cell(page).len() {
            let to = self.arena.allocate(page_class(len)?).ok_or(Error::OutOfMemory)?;
            if page != Addr::NONE {
                self.arena.copy(page, to, PageHead::cell_bytes(old_len));
                self.arena.free(page);
            }
            self.link_page(found.addr, new, position, hash, to);
            page = to;
        }
        let value = PageHead::value_mut(self.arena.cell_mut(page), len);
        if let Some(target) = value.get_mut(old_len..) {
            rest.fill(target);
        }
        Ok(())
    }
}

/// The head of a new string record.
fn new_head(key: &[u8], value_len: usize, deadline: Option<Millis>) -> Result<Head> {
    if key.len() > KEY_BYTES_MAX {
        return Err(Error::KeyTooLong);
    }
    if value_len > VALUE_BYTES_MAX {
        return Err(Error::ValueTooLong);
    }
    Ok(Head::new(key.len(), value_len, deadline))
}

/// The cells a record needs: its own, its full pages, its last page.
fn cells_for(head: &Head) -> Result<[(Class, usize); 3]> {
    let record = record_class(head)?;
    if !head.is_paged() {
        return Ok([(record, 1), (record, 0), (record, 0)]);
    }
    let full_pages = head.value_len() / PAGE_VALUE_BYTES;
    let last_page = head.pages() - full_pages;
    let full = page_class(PAGE_VALUE_BYTES)?;
    Ok([(record, 1), (full, full_pages), (page_class(head.page_len(full_pages))?, last_page)])
}

fn record_class(head: &Head) -> Result<Class> {
    Class::fitting(head.record_bytes()).ok_or(Error::ValueTooLong)
}

fn page_class(value_bytes: usize) -> Result<Class> {
    Class::fitting(PageHead::cell_bytes(value_bytes)).ok_or(Error::ValueTooLong)
}

fn copy_into<'a>(buffer: &'a mut [u8], bytes: &[u8]) -> &'a [u8] {
    match buffer.get_mut(..bytes.len()) {
        Some(target) => {
            target.copy_from_slice(bytes);
            target
        }
        None => &[],
    }
}

pub(crate) const COMMANDS: &[Spec] = &[
    Spec {
        name: "append",
        arity: Arity::Exactly(3),
        keys: Keys::FIRST,
        flags: WRITE | DENYOOM | FAST | EDGE,
        group: Group::String,
        since: docs("2.0.0"),
        syntax: docs("key value"),
        summary: docs("Appends to a string. Creates the key if it is not there."),
        run: append,
    },
    Spec {
        name: "decr",
        arity: Arity::Exactly(2),
        keys: Keys::FIRST,
        flags: WRITE | DENYOOM | FAST | EDGE,
        group: Group::String,
        since: docs("1.0.0"),
        syntax: docs("key"),
        summary: docs("Subtracts one from an integer, which starts at zero."),
        run: decr,
    },
    Spec {
        name: "decrby",
        arity: Arity::Exactly(3),
        keys: Keys::FIRST,
        flags: WRITE | DENYOOM | FAST | EDGE,
        group: Group::String,
        since: docs("1.0.0"),
        syntax: docs("key decrement"),
        summary: docs("Subtracts from an integer, which starts at zero."),
        run: decrby,
    },
    Spec {
        name: "get",
        arity: Arity::Exactly(2),
        keys: Keys::FIRST,
        flags: READ | FAST | EDGE,
        group: Group::String,
        since: docs("1.0.0"),
        syntax: docs("key"),
        summary: docs("Returns the value of a key."),
        run: get,
    },
    Spec {
        name: "incr",
        arity: Arity::Exactly(2),
        keys: Keys::FIRST,
        flags: WRITE | DENYOOM | FAST | EDGE,
        group: Group::String,
        since: docs("1.0.0"),
        syntax: docs("key"),
        summary: docs("Adds one to an integer, which starts at zero."),
        run: incr,
    },
    Spec {
        name: "incrby",
        arity: Arity::Exactly(3),
        keys: Keys::FIRST,
        flags: WRITE | DENYOOM | FAST | EDGE,
        group: Group::String,
        since: docs("1.0.0"),
        syntax: docs("key increment"),
        summary: docs("Adds to an integer, which starts at zero."),
        run: incrby,
    },
    Spec {
        name: "mget",
        arity: Arity::AtLeast(2),
        keys: Keys::ALL,
        flags: READ | FAST | EDGE,
        group: Group::String,
        since: docs("1.0.0"),
        syntax: docs("key [key ...]"),
        summary: docs("Returns the values of several keys."),
        run: mget,
    },
    Spec {
        name: "mset",
        arity: Arity::AtLeast(3),
        keys: Keys::EVERY_SECOND,
        flags: WRITE | DENYOOM | EDGE,
        group: Group::String,
        since: docs("1.0.1"),
        syntax: docs("key value [key value ...]"),
        summary: docs("Sets several keys at once: all of them, or on an error none."),
        run: mset,
    },
    Spec {
        name: "set",
        arity: Arity::AtLeast(3),
        keys: Keys::FIRST,
        flags: WRITE | DENYOOM | EDGE,
        group: Group::String,
        since: docs("1.0.0"),
        syntax: docs(
            "key value [NX | XX] [GET] [EX seconds | PX milliseconds | EXAT seconds-timestamp | \
             PXAT milliseconds-timestamp | KEEPTTL]",
        ),
        summary: docs("Sets the value of a key, with a condition and an expiry if wanted."),
        run: set,
    },
    Spec {
        name: "strlen",
        arity: Arity::Exactly(2),
        keys: Keys::FIRST,
        flags: READ | FAST | EDGE,
        group: Group::String,
        since: docs("2.2.0"),
        syntax: docs("key"),
        summary: docs("Returns the length of a string in bytes."),
        run: strlen,
    },
];

fn append(cx: &mut Cx<'_>, args: &mut Args<'_>, reply: &mut dyn Reply) -> Result<()> {
    let len = cx.append(args.bytes()?, args.bytes()?)?;
    reply.integer(len as i64);
    Ok(())
}

fn decr(cx: &mut Cx<'_>, args: &mut Args<'_>, reply: &mut dyn Reply) -> Result<()> {
    reply.integer(cx.incr_by(args.bytes()?, -1)?);
    Ok(())
}

fn decrby(cx: &mut Cx<'_>, args: &mut Args<'_>, reply: &mut dyn Reply) -> Result<()> {
    let (key, decrement) = (args.bytes()?, args.integer()?);
    let change = decrement.checked_neg().ok_or(Error::DecrementOverflow)?;
    reply.integer(cx.incr_by(key, change)?);
    Ok(())
}

fn get(cx: &mut Cx<'_>, args: &mut Args<'_>, reply: &mut dyn Reply) -> Result<()> {
    match cx.get(args.bytes()?)? {
        Some(value) => reply.bulk(value),
        None => reply.null(),
    }
    Ok(())
}

fn incr(cx: &mut Cx<'_>, args: &mut Args<'_>, reply: &mut dyn Reply) -> Result<()> {
    reply.integer(cx.incr_by(args.bytes()?, 1)?);
    Ok(())
}

fn incrby(cx: &mut Cx<'_>, args: &mut Args<'_>, reply: &mut dyn Reply) -> Result<()> {
    let (key, change) = (args.bytes()?, args.integer()?);
    reply.integer(cx.incr_by(key, change)?);
    Ok(())
}

fn mget(cx: &mut Cx<'_>, args: &mut Args<'_>, reply: &mut dyn Reply) -> Result<()> {
    reply.array(args.len());
    for key in args {
        match cx.get(key) {
            Ok(Some(value)) => reply.bulk(value),
            _ => reply.null(),
        }
    }
    Ok(())
}

fn mset(cx: &mut Cx<'_>, args: &mut Args<'_>, reply: &mut dyn Reply) -> Result<()> {
    if !args.len().is_multiple_of(2) {
        return Err(Error::WrongArity("mset"));
    }
    cx.mset(args.pairs())?;
    reply.simple("OK");
    Ok(())
}

fn set(cx: &mut Cx<'_>, args: &mut Args<'_>, reply: &mut dyn Reply) -> Result<()> {
    let (key, mut value) = (args.bytes()?, args.bytes()?);
    let (options, wants_old) = set_options(args)?;
    if wants_old {
        let mut answer = |old: Option<Value<'_>>| match old {
            Some(old) => reply.bulk(old),
            None => reply.null(),
        };
        cx.set_from(key, &mut value, &options, Some(&mut answer))?;
    } else if cx.set_from(key, &mut value, &options, None)? {
        reply.simple("OK");
    } else {
        reply.null();
    }
    Ok(())
}

/// Reads SET's options, and whether GET is among them. As in Redis numbers are looked at last, so
/// that a misplaced word is always a syntax error; and an option may be repeated.
fn set_options(args: &mut Args<'_>) -> Result<(SetOptions, bool)> {
    let mut condition = Condition::Always;
    let mut expiry: Option<(&[u8], &[u8])> = None;
    let mut wants_old = false;
    while let Some(option) = args.next() {
        let has = |name: &str| option.eq_ignore_ascii_case(name.as_bytes());
        let is_expiry_free = expiry.is_none_or(|(other, _)| option.eq_ignore_ascii_case(other));
        if has("nx") && condition != Condition::IfPresent {
            condition = Condition::IfAbsent;
        } else if has("xx") && condition != Condition::IfAbsent {
            condition = Condition::IfPresent;
        } else if has("get") {
            wants_old = true;
        } else if has("keepttl") && is_expiry_free {
            expiry = Some((option, option));
        } else if (has("ex") || has("px") || has("exat") || has("pxat")) && is_expiry_free {
            expiry = Some((option, args.bytes()?));
        } else {
            return Err(Error::Syntax);
        }
    }
    let expiry = match expiry {
        None => Expiry::Never,
        Some((option, _)) if option.eq_ignore_ascii_case(b"keepttl") => Expiry::Keep,
        Some((option, value)) => {
            let value = parse_integer(value).ok_or(Error::NotAnInteger)?;
            let is_in_seconds = option.first().is_some_and(|first| b"eE".contains(first));
            let factor = if is_in_seconds { 1000 } else { 1 };
            let millis = value.checked_mul(factor).ok_or(Error::InvalidExpire("set"))?;
            if option.len() > 2 { Expiry::At(millis) } else { Expiry::In(millis) }
        }
    };
    Ok((SetOptions { condition, expiry }, wants_old))
}

fn strlen(cx: &mut Cx<'_>, args: &mut Args<'_>, reply: &mut dyn Reply) -> Result<()> {
    reply.integer(cx.strlen(args.bytes()?)? as i64);
    Ok(())
}
