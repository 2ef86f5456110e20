//! Hashes: HSET, HGET and what else reads and writes fields by name.
//!
//! An expired field is as if it were not there. Those of a packed hash are taken off whenever the
//! key is looked up; in a large hash a command for one field looks at that field only, and those
//! that need the exact number of fields have the expired ones taken off first.
//!
//! Not here: how fields are stored and found (table/), their deadlines (field_expiry.rs), and
//! HSCAN's cursor (scan.rs).

pub(crate) mod field_expiry;

use crate::command::{
    Args, Arity, DENYOOM, EDGE, FAST, Group, Keys, READ, Spec, WRITE, docs, word,
};
use crate::error::{Error, Result};
use crate::float::{Float, FloatText};
use crate::keyspace::{Cx, Found, Keyspace};
use crate::num::{Digits, integer, parse_integer};
use crate::packed::{Entry, Item};
use crate::random::draws;
use crate::record::{Kind, NEVER};
use crate::reply::Reply;
use crate::scan::scan_entries;
use crate::value::Value;

/// Bytes that a field takes beside its name and its value, at most.
const ENTRY_BYTES: usize = 6;

impl Cx<'_> {
    /// HSET: gives fields of a hash their values. How many were not there. A field that expired
    /// counts as new, and none keeps its deadline.
    ///
    /// # Errors
    /// [`Error::WrongType`], [`Error::OutOfMemory`]. Room for all fields is made before the first
    /// is written, so all or none are; only where pages of sizes that do not suit each other fill
    /// a small budget may the last ones still be refused.
    pub fn hset<'b>(
        &mut self,
        key: &[u8],
        pairs: impl Iterator<Item = (&'b [u8], &'b [u8])> + Clone,
    ) -> Result<usize> {
        let mut target = self.target(key, Kind::Hash)?;
        let bytes = pairs.clone().map(|(field, value)| field.len() + value.len() + ENTRY_BYTES);
        self.reserve_entries(&mut target, bytes.sum())?;
        let mut added = 0;
        for (field, value) in pairs {
            added += usize::from(self.put_entry(&mut target, field, value, NEVER)?);
            self.emit(&["HSET".into(), key.into(), field.into(), value.into()]);
        }
        self.grow_index();
        Ok(added)
    }

    /// HSETNX: gives a field its value if it has none. Whether it did.
    pub fn hsetnx(&mut self, key: &[u8], field: &[u8], value: &[u8]) -> Result<bool> {
        let found = self.target(key, Kind::Hash)?.found;
        let is_there = found.is_some_and(|found| self.field(&found, field).is_some());
        if !is_there {
            self.hset(key, [(field, value)].into_iter())?;
        }
        Ok(!is_there)
    }

    /// HGET: the value of a field, if it is there.
    ///
    /// ```
    /// use ferrite_engine::{Keyspace, Options};
    ///
    /// let mut keys = Keyspace::new(&Options::default())?;
    /// keys.at(1).hset(b"user:1", [(&b"name"[..], &b"Ada"[..])].into_iter())?;
    /// let mut cx = keys.at(1);
    /// let name = cx.hget(b"user:1", b"name")?;
    /// assert_eq!(name.and_then(|name| name.as_slice()), Some(&b"Ada"[..]));
    /// # Ok::<(), ferrite_engine::Error>(())
    /// ```
    pub fn hget(&mut self, key: &[u8], field: &[u8]) -> Result<Option<Value<'_>>> {
        let found = self.read(key, Kind::Hash)?;
        Ok(found.and_then(|found| self.field(&found, field)))
    }

    /// HDEL: takes fields out of a hash. How many were there; the key goes with the last one.
    pub fn hdel<'b>(
        &mut self,
        key: &[u8],
        fields: impl Iterator<Item = &'b [u8]>,
    ) -> Result<usize> {
        let mut target = self.target(key, Kind::Hash)?;
        let mut removed = 0;
        for field in fields {
            if self.remove_entry(&mut target, field)? {
                removed += 1;
                self.emit(&["HDEL".into(), key.into(), field.into()]);
            }
        }
        Ok(removed)
    }

    /// HLEN: how many fields a hash has.
    pub fn hlen(&mut self, key: &[u8]) -> Result<usize> {
        let found = self.read_exactly(key)?;
        Ok(found.map_or(0, |found| self.count_entries(&found)))
    }

    /// HGETALL: shows every field of a hash with its value.
    pub fn hgetall(
        &mut self,
        key: &[u8],
        show: &mut dyn FnMut(Value<'_>, Value<'_>),
    ) -> Result<()> {
        if let Some(found) = self.read(key, Kind::Hash)? {
            let keys = &self.keys;
            self.each_entry(&found, &mut |entry| {
                show(keys.text(entry.name), keys.text(entry.value));
            });
        }
        Ok(())
    }

    /// HINCRBY: adds to an integer in a field, which starts at zero and keeps its deadline. The
    /// sum.
    pub fn hincr_by(&mut self, key: &[u8], field: &[u8], change: i64) -> Result<i64> {
        let mut target = self.target(key, Kind::Hash)?;
        let entry = target.found.and_then(|found| self.live_entry(&found, Item::Here(field)));
        let (old, deadline) = match entry {
            Some(entry) => {
                let text = self.keys.text(entry.value).as_slice();
                (text.and_then(parse_integer).ok_or(Error::HashNotAnInteger)?, entry.deadline)
            }
            None => (0, NEVER),
        };
        let sum = old.checked_add(change).ok_or(Error::Overflow)?;
        let digits = Digits::new(sum);
        let is_new = self.put_entry(&mut target, field, digits.as_bytes(), deadline)?;
        let change = Digits::told(change);
        // Whoever replays this may still have a field that expired: HSET does not mind.
        let (name, amount) = if is_new { ("HSET", &digits) } else { ("HINCRBY", &change) };
        self.emit(&[name.into(), key.into(), field.into(), amount.as_bytes().into()]);
        self.grow_index();
        Ok(sum)
    }

    /// HINCRBYFLOAT: adds to a number in a field, which starts at zero and keeps its deadline. The
    /// sum, as it is then stored.
    ///
    /// # Errors
    /// [`Error::NotAFloat`] and [`Error::NanOrInfinity`] for the change, [`Error::HashNotAFloat`]
    /// for what is there, [`Error::NotFinite`] for the sum, [`Error::WrongType`],
    /// [`Error::OutOfMemory`].
    pub fn hincr_by_float<'t>(
        &mut self,
        key: &[u8],
        field: &[u8],
        change: &[u8],
        text: &'t mut FloatText,
    ) -> Result<&'t [u8]> {
        let change = Float::parse(change).ok_or(Error::NotAFloat)?;
        if !change.is_finite() {
            return Err(Error::NanOrInfinity);
        }
        let mut target = self.target(key, Kind::Hash)?;
        let entry = target.found.and_then(|found| self.live_entry(&found, Item::Here(field)));
        let (old, deadline) = match entry {
            Some(entry) => {
                let old = text.read(self.keys.text(entry.value));
                (old.ok_or(Error::HashNotAFloat)?, entry.deadline)
            }
            None => (Float::ZERO, NEVER),
        };
        let sum = old.add(&change).ok_or(Error::NotFinite)?.print(text);
        self.put_entry(&mut target, field, sum, deadline)?;
        self.emit(&["HSET".into(), key.into(), field.into(), sum.into()]);
        if deadline != NEVER {
            self.emit_deadline(key, field, deadline);
        }
        self.grow_index();
        Ok(sum)
    }

    /// The value of a field that has not expired.
    #[cfg_attr(not(target_arch = "wasm32"), inline(always))]
    fn field(&self, found: &Found, field: &[u8]) -> Option<Value<'_>> {
        self.live_entry(found, Item::Here(field)).map(|entry| self.keys.text(entry.value))
    }

    /// Finds a hash to read all of it, once its expired fields are taken off.
    fn read_exactly(&mut self, key: &[u8]) -> Result<Option<Found>> {
        let Some(found) = self.read(key, Kind::Hash)? else { return Ok(None) };
        if !found.head.has_expiring_fields() {
            return Ok(Some(found));
        }
        Ok(self.shed(found, usize::MAX))
    }
}

/// What the rows of reading commands share, and those of writing ones.
const READ_ROW: Spec = Spec {
    name: "hlen",
    arity: Arity::Exactly(2),
    keys: Keys::FIRST,
    flags: READ | FAST | EDGE,
    group: Group::Hash,
    since: docs("2.0.0"),
    syntax: docs("key"),
    summary: docs("Returns the number of fields of a hash."),
    run: |cx, args, reply| {
        reply.integer(cx.hlen(args.required())? as i64);
        Ok(())
    },
};
const WRITE_ROW: Spec = Spec { flags: WRITE | DENYOOM | FAST | EDGE, ..READ_ROW };

pub(crate) const COMMANDS: &[Spec] = &[
    Spec {
        name: "hdel",
        arity: Arity::AtLeast(3),
        flags: WRITE | FAST | EDGE,
        syntax: docs("key field [field ...]"),
        summary: docs("Takes fields out of a hash. Drops the key with the last one."),
        run: |cx, args, reply| {
            reply.integer(cx.hdel(args.required(), args)? as i64);
            Ok(())
        },
        ..READ_ROW
    },
    Spec {
        name: "hexists",
        arity: Arity::Exactly(3),
        syntax: docs("key field"),
        summary: docs("Returns whether a hash has a field."),
        run: |cx, args, reply| {
            reply.integer(cx.hget(args.required(), args.required())?.is_some().into());
            Ok(())
        },
        ..READ_ROW
    },
    Spec {
        name: "hget",
        arity: Arity::Exactly(3),
        syntax: docs("key field"),
        summary: docs("Returns the value of a field."),
        run: hget,
        ..READ_ROW
    },
    Spec {
        name: "hgetall",
        flags: READ | EDGE,
        summary: docs("Returns all fields of a hash, each before its value."),
        run: |cx, args, reply| show_all(cx, args, reply, FIELDS | VALUES),
        ..READ_ROW
    },
    Spec {
        name: "hincrby",
        arity: Arity::Exactly(4),
        syntax: docs("key field increment"),
        summary: docs("Adds to an integer in a field, which starts at zero."),
        run: hincrby,
        ..WRITE_ROW
    },
    #[cfg(feature = "float")]
    Spec {
        name: "hincrbyfloat",
        arity: Arity::Exactly(4),
        since: docs("2.6.0"),
        syntax: docs("key field increment"),
        summary: docs("Adds to a number in a field, which starts at zero and may have decimals."),
        run: hincrbyfloat,
        ..WRITE_ROW
    },
    Spec {
        name: "hkeys",
        flags: READ | EDGE,
        summary: docs("Returns the names of all fields of a hash."),
        run: |cx, args, reply| show_all(cx, args, reply, FIELDS),
        ..READ_ROW
    },
    READ_ROW,
    Spec {
        name: "hmget",
        arity: Arity::AtLeast(3),
        syntax: docs("key field [field ...]"),
        summary: docs("Returns the values of several fields."),
        run: hmget,
        ..READ_ROW
    },
    Spec {
        name: "hmset",
        arity: Arity::AtLeast(4),
        syntax: docs("key field value [field value ...]"),
        summary: docs("Sets several fields, as HSET does."),
        run: |cx, args, reply| {
            hset(cx, args)?;
            reply.simple("OK");
            Ok(())
        },
        ..WRITE_ROW
    },
    Spec {
        name: "hrandfield",
        arity: Arity::AtLeast(2),
        flags: READ | EDGE,
        since: docs("6.2.0"),
        syntax: docs("key [count [WITHVALUES]]"),
        summary: docs("Returns random fields of a hash; with a negative count also repeatedly."),
        run: hrandfield,
        ..READ_ROW
    },
    Spec {
        name: "hscan",
        arity: Arity::AtLeast(3),
        flags: READ | EDGE,
        since: docs("2.8.0"),
        syntax: docs("key cursor [MATCH pattern] [COUNT count]"),
        summary: docs("Returns some of the fields with their values, and a cursor to go on with."),
        run: |cx, args, reply| {
            scan_entries(cx, args, reply, Kind::Hash, &mut |cx, entry, show| {
                show(&[cx.keys.text(entry.name), cx.keys.text(entry.value)]);
            })
        },
        ..READ_ROW
    },
    Spec {
        name: "hset",
        arity: Arity::AtLeast(4),
        syntax: docs("key field value [field value ...]"),
        summary: docs("Sets fields of a hash. Creates the key if it is not there."),
        run: |cx, args, reply| {
            reply.integer(hset(cx, args)?);
            Ok(())
        },
        ..WRITE_ROW
    },
    Spec {
        name: "hsetnx",
        arity: Arity::Exactly(4),
        syntax: docs("key field value"),
        summary: docs("Sets a field of a hash if it is not there."),
        run: |cx, args, reply| {
            let is_set = cx.hsetnx(args.required(), args.required(), args.required())?;
            reply.integer(is_set.into());
            Ok(())
        },
        ..WRITE_ROW
    },
    Spec {
        name: "hstrlen",
        arity: Arity::Exactly(3),
        since: docs("3.2.0"),
        syntax: docs("key field"),
        summary: docs("Returns the length of a field's value in bytes."),
        run: |cx, args, reply| {
            let value = cx.hget(args.required(), args.required())?;
            reply.integer(value.map_or(0, |value| value.len()) as i64);
            Ok(())
        },
        ..READ_ROW
    },
    Spec {
        name: "hvals",
        flags: READ | EDGE,
        summary: docs("Returns the values of all fields of a hash."),
        run: |cx, args, reply| show_all(cx, args, reply, VALUES),
        ..READ_ROW
    },
];

fn hget(cx: &mut Cx<'_>, args: &mut Args<'_>, reply: &mut dyn Reply) -> Result<()> {
    bulk_or_null(cx.hget(args.required(), args.required())?, reply);
    Ok(())
}

fn bulk_or_null(value: Option<Value<'_>>, reply: &mut dyn Reply) {
    match value {
        Some(value) => reply.bulk(value),
        None => reply.null(),
    }
}

fn hincrby(cx: &mut Cx<'_>, args: &mut Args<'_>, reply: &mut dyn Reply) -> Result<()> {
    let (key, field) = (args.required(), args.required());
    let change = integer(args.required())?;
    reply.integer(cx.hincr_by(key, field, change)?);
    Ok(())
}

fn hincrbyfloat(cx: &mut Cx<'_>, args: &mut Args<'_>, reply: &mut dyn Reply) -> Result<()> {
    let (key, field, mut text) = (args.required(), args.required(), FloatText::new());
    reply.bulk(cx.hincr_by_float(key, field, args.required(), &mut text)?.into());
    Ok(())
}

fn hmget(cx: &mut Cx<'_>, args: &mut Args<'_>, reply: &mut dyn Reply) -> Result<()> {
    let found = cx.read(args.required(), Kind::Hash)?;
    reply.array(args.len());
    for field in args {
        bulk_or_null(found.and_then(|found| cx.field(&found, field)), reply);
    }
    Ok(())
}

fn hset(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<i64> {
    let key = args.required();
    if !args.len().is_multiple_of(2) {
        return Err(Error::WrongArity);
    }
    Ok(cx.hset(key, args.pairs())? as i64)
}

/// Which parts of a field are shown.
const FIELDS: u8 = 1;
const VALUES: u8 = 2;

fn show_entry(keys: &Keyspace, entry: &Entry<'_>, parts: u8, reply: &mut dyn Reply) {
    for (part, item) in [(FIELDS, entry.name), (VALUES, entry.value)] {
        if parts & part != 0 {
            reply.bulk(keys.text(item));
        }
    }
}

/// HGETALL, HKEYS and HVALS.
fn show_all(cx: &mut Cx<'_>, args: &mut Args<'_>, reply: &mut dyn Reply, parts: u8) -> Result<()> {
    let found = cx.read_exactly(args.required())?;
    let count = found.map_or(0, |found| cx.count_entries(&found));
    if parts == FIELDS | VALUES {
        reply.map(count);
    } else {
        reply.array(count);
    }
    if let Some(found) = found {
        cx.each_entry(&found, &mut |entry| show_entry(cx.keys, entry, parts, reply));
    }
    Ok(())
}

fn hrandfield(cx: &mut Cx<'_>, args: &mut Args<'_>, reply: &mut dyn Reply) -> Result<()> {
    let (key, count) = (args.required(), args.next());
    let Some(count) = count else {
        match cx.read_exactly(key)? {
            Some(found) => show_random(cx, &found, FIELDS, reply),
            None => reply.null(),
        }
        return Ok(());
    };
    let count = integer(count)?;
    if count == i64::MIN {
        return Err(Error::OutOfRange);
    }
    let has_values = args.next().map(|option| word(option, &["withvalues"]) == 0);
    if has_values == Some(false) || args.len() > 0 {
        return Err(Error::Syntax);
    }
    let parts = if has_values.is_some() { FIELDS | VALUES } else { FIELDS };
    let wanted = count.unsigned_abs();
    if has_values.is_some() && wanted > i64::MAX as u64 / 2 {
        return Err(Error::OutOfHalfRange);
    }
    let found = cx.read_exactly(key)?;
    let size = found.map_or(0, |found| cx.count_entries(&found));
    let wanted = usize::try_from(wanted).unwrap_or(usize::MAX);
    let Some(found) = found.filter(|_| wanted > 0) else {
        reply.array(0);
        return Ok(());
    };
    if count < 0 {
        let wanted = draws(count)?;
        begin(reply, wanted, parts);
        (0..wanted).for_each(|_| show_random(cx, &found, parts, reply));
        return Ok(());
    }
    let wanted = wanted.min(size);
    begin(reply, wanted, parts);
    cx.sample(&found, wanted, &mut |keys, entry| show_paired(keys, entry, parts, reply));
    Ok(())
}

fn show_random(cx: &mut Cx<'_>, found: &Found, parts: u8, reply: &mut dyn Reply) {
    let at = cx.random_entry(found);
    if let Some(entry) = at.and_then(|at| cx.keys.next_entry(found, &mut { at })) {
        show_paired(cx.keys, &entry, parts, reply);
    }
}

/// Announces so many entries.
#[inline(never)]
fn begin(reply: &mut dyn Reply, count: usize, parts: u8) {
    if parts == FIELDS | VALUES {
        reply.pairs(count);
    } else {
        reply.array(count);
    }
}

/// Shows an entry among others, as a pair if it is one.
fn show_paired(keys: &Keyspace, entry: &Entry<'_>, parts: u8, reply: &mut dyn Reply) {
    if parts == FIELDS | VALUES {
        reply.pair();
    }
    show_entry(keys, entry, parts, reply);
}
