//! Deadlines of fields: HEXPIRE and its kin, as in Redis 7.4, and what becomes of expired fields.
//!
//! A field lives through the millisecond of its deadline, as a key does. A record says whether any
//! of its fields may expire; the object of a large hash, when the first of them does. Expired
//! fields are taken off in sweeps: all pages when a command needs the exact number of fields, some
//! pages a step by `tick`.
//!
//! Not here: where a deadline stands (packed.rs), and how it is written (table/).

use core::ops::Range;

use alloc::vec::Vec;

use crate::arena::SEGMENT_BYTES;
use crate::bytes;
use crate::command::{
    Args, Arity, DENYOOM, EDGE, FAST, Group, Keys, READ, Spec, WRITE, docs, word,
};
use crate::error::{Error, Result};
use crate::expire::{ExpireOptions, Ttl, earlier};
use crate::keyspace::{Cx, Found, Millis};
use crate::limits::{KEY_BYTES_MAX, PACKED_BYTES_MAX};
use crate::num::{Digits, integer, parse_integer};
use crate::packed::Item;
use crate::record::{Kind, NEVER};
use crate::reply::Reply;
use crate::table::{Cursor, Target, apart};
use crate::write::Draft;

/// Latest deadline of a field (Redis's limit, so that times mean the same there).
const DEADLINE_MAX: Millis = (1 << 46) - 1;

/// Fields whose outcomes need no memory of their own.
const FEW_FIELDS: usize = 128;

/// What became of a field whose deadline was to be changed, as the number that Redis answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(i8)]
pub enum FieldOutcome {
    /// There is no such field.
    Missing = -2,
    /// HPERSIST: it had no deadline.
    NoDeadline = -1,
    /// The options did not allow it.
    Refused = 0,
    /// It was done.
    Done = 1,
    /// The deadline had passed already, so the field is gone.
    Dropped = 2,
}

impl Cx<'_> {
    /// HPEXPIREAT: gives a field of a hash a deadline; one that has passed drops it.
    pub fn hexpire_at(
        &mut self,
        key: &[u8],
        field: &[u8],
        deadline: Millis,
        options: &ExpireOptions,
    ) -> Result<FieldOutcome> {
        let mut target = self.target(key, Kind::Hash)?;
        let Some(old) = self.field_deadline(&target, field) else {
            return Ok(FieldOutcome::Missing);
        };
        if !options.allow(Some(old).filter(|&old| old != NEVER), deadline) {
            return Ok(FieldOutcome::Refused);
        }
        if deadline <= self.now.max(NEVER) {
            self.remove_entry(&mut target, field)?;
            self.emit(&["HDEL".into(), key.into(), field.into()]);
            return Ok(FieldOutcome::Dropped);
        }
        self.set_entry_deadline(&mut target, field, deadline)?;
        self.emit_deadline(key, field, deadline);
        Ok(FieldOutcome::Done)
    }

    /// Tells whoever listens when a field expires.
    pub(crate) fn emit_deadline(&mut self, key: &[u8], field: &[u8], deadline: Millis) {
        let at = Digits::told(deadline);
        let at = at.as_bytes().into();
        self.emit(&[
            "HPEXPIREAT".into(),
            key.into(),
            at,
            "FIELDS".into(),
            "1".into(),
            field.into(),
        ]);
    }

    /// HPERSIST: takes a field's deadline away.
    pub fn hpersist(&mut self, key: &[u8], field: &[u8]) -> Result<FieldOutcome> {
        let mut target = self.target(key, Kind::Hash)?;
        match self.field_deadline(&target, field) {
            None => return Ok(FieldOutcome::Missing),
            Some(NEVER) => return Ok(FieldOutcome::NoDeadline),
            Some(_) => self.set_entry_deadline(&mut target, field, NEVER)?,
        }
        self.emit(&["HPERSIST".into(), key.into(), "FIELDS".into(), "1".into(), field.into()]);
        Ok(FieldOutcome::Done)
    }

    /// HPTTL: how long a field has still to live.
    pub fn httl(&mut self, key: &[u8], field: &[u8]) -> Result<Ttl> {
        let found = self.read(key, Kind::Hash)?;
        Ok(match found.and_then(|found| self.live_entry(&found, Item::Here(field))) {
            None => Ttl::Missing,
            Some(entry) if entry.deadline == NEVER => Ttl::Forever,
            Some(entry) => Ttl::Left(entry.deadline.saturating_sub(self.now)),
        })
    }

    /// When a field expires that has not yet.
    fn field_deadline(&self, target: &Target<'_>, field: &[u8]) -> Option<Millis> {
        let entry = self.live_entry(target.found.as_ref()?, Item::Here(field))?;
        Some(entry.deadline)
    }

    /// A hash of which not every field has expired; nothing is taken off it.
    pub(crate) fn alive(&self, found: Found) -> Option<Found> {
        Some(found).filter(|found| self.count_entries(found) > 0)
    }

    /// Takes expired fields off a hash, from all pages or from the next few. `None` if the key
    /// went with the last field.
    pub(crate) fn shed(&mut self, found: Found, pages_max: usize) -> Option<Found> {
        let left = self.shed_fields(found, pages_max);
        if left.is_none() {
            self.keys.settle();
        }
        left
    }

    /// The same, and when the key is gone the index is still to settle.
    #[inline(never)]
    pub(crate) fn shed_fields(&mut self, found: Found, pages_max: usize) -> Option<Found> {
        let object = self.keys.large(&found);
        let is_due = match object {
            Some(object) => object.is_swept() || self.is_past(object.deadline),
            None => self.keys.entries(&found, 0).any(|entry| self.is_past(entry.deadline)),
        };
        if !is_due {
            return Some(found);
        }
        let is_large = object.is_some();
        let mut buffer = [0; KEY_BYTES_MAX];
        let key = found.head.key(self.keys.arena.cell(found.addr));
        let key_len = key.len();
        bytes::copy(&mut buffer, key);
        let key = bytes::part(&buffer, 0..key_len);
        let target =
            Target { key, hash: self.keys.hash(key), kind: Kind::Hash, found: Some(found) };
        if is_large { self.shed_pages(target, pages_max) } else { self.shed_packed(key, found) }
    }

    /// Writes a packed hash again without its expired fields. Nothing else moves, so whoever looks
    /// up several keys may go on with those found before.
    fn shed_packed(&mut self, key: &[u8], found: Found) -> Option<Found> {
        let mut kept = [0; PACKED_BYTES_MAX];
        let (mut at, mut len, mut earliest) = (0, 0, NEVER);
        while let Some(entry) = self.keys.entries(&found, 0).from(at).next() {
            let (start, end) = (at, entry.end);
            at = end;
            if self.is_past(entry.deadline) {
                let gone = [apart(entry.name), apart(entry.value)];
                self.emit_expired(key, &found, Cursor { page: 0, start });
                gone.into_iter().flatten().for_each(|id| self.keys.objects.bury(id));
            } else {
                earliest = earlier(earliest, entry.deadline);
                let stored = found.head.stored(self.keys.arena.cell(found.addr));
                bytes::write_at(&mut kept, len, bytes::part(stored, start..end));
                len += end - start;
            }
        }
        if len == 0 {
            self.keys.forget(&found);
            self.keys.reap();
            return None;
        }
        let (hash, deadline) = (self.keys.hash(key), found.head.deadline);
        let draft = Draft::of(key, hash, Kind::Hash, len, deadline, Some(found)).ok()?;
        let mut stored = bytes::part(&kept, 0..len);
        let mut found = self.keys.shorten(draft.keeping(), &mut stored).ok()?;
        self.keys.set_expiring_fields(&mut found, earliest != NEVER);
        Some(found)
    }

    /// Takes the expired fields of a large hash off its pages.
    fn shed_pages(&mut self, mut target: Target<'_>, pages_max: usize) -> Option<Found> {
        let id = self.keys.object_of(target.found.as_ref()?)?;
        let object = self.keys.objects.get_mut(id)?;
        let pages = object.pages as usize;
        let mut first = 0;
        if object.is_swept() && pages_max < pages {
            first = object.sweep as usize - 1;
        } else {
            object.deadline = NEVER;
        }
        let last = first.saturating_add(pages_max).min(pages);
        let (removed, earliest) = self.sweep(&mut target, first..last);
        let found = target.found.as_mut()?;
        let object = self.keys.objects.get_mut(id)?;
        object.sweep = if last < pages { last as u32 + 1 } else { 0 };
        object.deadline = earlier(object.deadline, earliest);
        if last == pages && object.deadline == NEVER {
            self.keys.set_expiring_fields(found, false);
        }
        (0..removed).for_each(|_| self.settle_down(&mut target));
        target.found
    }

    /// Tells whoever listens that the field at a place expired.
    fn emit_expired(&mut self, key: &[u8], found: &Found, at: Cursor) {
        if let Some((keys, effects)) = self.listener()
            && let Some(entry) = keys.entries(found, at.page).from(at.start).next()
        {
            effects.effect(&["HDEL".into(), key.into(), keys.text(entry.name)]);
        }
    }

    /// Takes expired fields off some pages. How many there were, and when the first of the others
    /// expires.
    fn sweep(&mut self, target: &mut Target<'_>, pages: Range<usize>) -> (usize, Millis) {
        let (mut removed, mut earliest) = (0, NEVER);
        for page in pages {
            let mut at = Cursor { page, start: 0 };
            while let Some(found) = target.found
                && let Some(entry) = self.keys.entries(&found, page).from(at.start).next()
            {
                let (end, deadline) = (entry.end, entry.deadline);
                if !self.is_past(deadline) {
                    earliest = earlier(earliest, deadline);
                    at.start = end;
                    continue;
                }
                self.emit_expired(target.key, &found, at);
                if self.cut_at(target, at).is_err() {
                    at.start = end;
                }
                removed += 1;
            }
        }
        (removed, earliest)
    }
}

/// What the rows of HEXPIRE and its sisters share, and those of HTTL and its sisters.
const EXPIRE_ROW: Spec = Spec {
    name: "hexpire",
    arity: Arity::AtLeast(6),
    keys: Keys::FIRST,
    flags: WRITE | DENYOOM | FAST | EDGE,
    group: Group::Hash,
    since: docs("7.4.0"),
    syntax: docs("key seconds [NX | XX | GT | LT] FIELDS numfields field [field ...]"),
    summary: docs("Lets fields of a hash expire so many seconds from now."),
    run: |cx, args, reply| expire_generic(cx, args, reply, true, 1000),
};
const TTL_ROW: Spec = Spec {
    name: "httl",
    arity: Arity::AtLeast(5),
    flags: READ | FAST | EDGE,
    syntax: docs("key FIELDS numfields field [field ...]"),
    summary: docs("Returns how many seconds fields of a hash have still to live."),
    run: |cx, args, reply| ttl_generic(cx, args, reply, true, 1000),
    ..EXPIRE_ROW
};

pub(crate) const COMMANDS: &[Spec] = &[
    EXPIRE_ROW,
    Spec {
        name: "hexpireat",
        syntax: docs(
            "key unix-time-seconds [NX | XX | GT | LT] FIELDS numfields field [field ...]",
        ),
        summary: docs("Lets fields of a hash expire at a time in seconds."),
        run: |cx, args, reply| expire_generic(cx, args, reply, false, 1000),
        ..EXPIRE_ROW
    },
    Spec {
        name: "hexpiretime",
        summary: docs("Returns when fields of a hash expire, in seconds."),
        run: |cx, args, reply| ttl_generic(cx, args, reply, false, 1000),
        ..TTL_ROW
    },
    Spec {
        name: "hpersist",
        flags: WRITE | FAST | EDGE,
        summary: docs("Takes the expiry of fields of a hash away."),
        run: hpersist,
        ..TTL_ROW
    },
    Spec {
        name: "hpexpire",
        syntax: docs("key milliseconds [NX | XX | GT | LT] FIELDS numfields field [field ...]"),
        summary: docs("Lets fields of a hash expire so many milliseconds from now."),
        run: |cx, args, reply| expire_generic(cx, args, reply, true, 1),
        ..EXPIRE_ROW
    },
    Spec {
        name: "hpexpireat",
        syntax: docs(
            "key unix-time-milliseconds [NX | XX | GT | LT] FIELDS numfields field [field ...]",
        ),
        summary: docs("Lets fields of a hash expire at a time in milliseconds."),
        run: |cx, args, reply| expire_generic(cx, args, reply, false, 1),
        ..EXPIRE_ROW
    },
    Spec {
        name: "hpexpiretime",
        summary: docs("Returns when fields of a hash expire, in milliseconds."),
        run: |cx, args, reply| ttl_generic(cx, args, reply, false, 1),
        ..TTL_ROW
    },
    Spec {
        name: "hpttl",
        summary: docs("Returns how many milliseconds fields of a hash have still to live."),
        run: |cx, args, reply| ttl_generic(cx, args, reply, true, 1),
        ..TTL_ROW
    },
    TTL_ROW,
];

/// HEXPIRE and its sisters, which differ in how a number becomes a deadline.
fn expire_generic(
    cx: &mut Cx<'_>,
    args: &mut Args<'_>,
    reply: &mut dyn Reply,
    is_relative: bool,
    unit_ms: i64,
) -> Result<()> {
    let key = args.required();
    cx.target(key, Kind::Hash)?;
    let number = integer(args.required())?;
    if number < 0 {
        return Err(Error::NegativeExpire);
    }
    let base = if is_relative { cx.now } else { 0 };
    if number > DEADLINE_MAX / unit_ms || number * unit_ms > DEADLINE_MAX - base {
        return Err(Error::InvalidExpire);
    }
    let deadline = base + number * unit_ms;
    let mut options = ExpireOptions::default();
    let mut first = args.required();
    match word(first, &["nx", "xx", "gt", "lt"]) {
        0 => options.if_none = true,
        1 => options.if_some = true,
        2 => options.if_later = true,
        3 => options.if_earlier = true,
        _ => {}
    }
    if options != ExpireOptions::default() {
        first = args.required();
    }
    check_fields(first, args, Error::NotAFieldCount)?;
    change_fields(cx, args, reply, &mut |cx, field| cx.hexpire_at(key, field, deadline, &options))
}

fn hpersist(cx: &mut Cx<'_>, args: &mut Args<'_>, reply: &mut dyn Reply) -> Result<()> {
    let key = args.required();
    cx.target(key, Kind::Hash)?;
    check_fields(args.required(), args, Error::NoFieldCount)?;
    change_fields(cx, args, reply, &mut |cx, field| cx.hpersist(key, field))
}

/// Changes one field after the other. An array cannot end in an error, so it begins when all of
/// them are changed.
fn change_fields(
    cx: &mut Cx<'_>,
    fields: &mut Args<'_>,
    reply: &mut dyn Reply,
    change: &mut dyn FnMut(&mut Cx<'_>, &[u8]) -> Result<FieldOutcome>,
) -> Result<()> {
    let mut few = [FieldOutcome::Missing; FEW_FIELDS];
    let mut many = Vec::new();
    let count = fields.len();
    if count > FEW_FIELDS {
        // Whole blocks of the size that the changes themselves may take: between them a shorter one
        // would leave gaps in linear memory.
        let bytes = count.next_multiple_of(SEGMENT_BYTES);
        cx.lend_bytes(bytes)?;
        many.try_reserve_exact(bytes).map_err(|_| Error::OutOfMemory)?;
        many.resize(count, FieldOutcome::Missing);
    }
    let outcomes = few.get_mut(..count).unwrap_or(&mut many);
    for (outcome, field) in outcomes.iter_mut().zip(fields) {
        *outcome = change(cx, field)?;
    }
    reply.array(count);
    outcomes.iter().for_each(|&outcome| reply.integer(outcome as i64));
    Ok(())
}

/// HTTL and its sisters.
fn ttl_generic(
    cx: &mut Cx<'_>,
    args: &mut Args<'_>,
    reply: &mut dyn Reply,
    is_relative: bool,
    unit_ms: i64,
) -> Result<()> {
    let found = cx.read(args.required(), Kind::Hash)?;
    check_fields(args.required(), args, Error::NoFieldCount)?;
    let base = if is_relative { cx.now } else { 0 };
    reply.array(args.len());
    for field in args {
        let entry = found.and_then(|found| cx.live_entry(&found, Item::Here(field)));
        reply.integer(match entry.map(|entry| entry.deadline) {
            None => -2,
            Some(NEVER) => -1,
            Some(deadline) => (deadline - base + unit_ms - 1) / unit_ms,
        });
    }
    Ok(())
}

/// Reads `FIELDS numfields`, where the arguments left over must be as many.
fn check_fields(first: &[u8], args: &mut Args<'_>, no_count: Error) -> Result<()> {
    if word(first, &["fields"]) > 0 {
        return Err(Error::NoFields);
    }
    let count = parse_integer(args.required()).filter(|&count| count > 0).ok_or(no_count)?;
    if count as u64 != args.len() as u64 {
        return Err(Error::FieldCountMismatch);
    }
    Ok(())
}
