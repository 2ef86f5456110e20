//! Whole values in: SET and its older forms, MSET and MSETNX.
//!
//! Not here: how a record is written (write.rs).

use alloc::vec::Vec;

use crate::arena::{Addr, Class};
use crate::command::{Args, Arity, DENYOOM, EDGE, FAST, Group, Keys, Spec, WRITE, docs, word};
use crate::error::{Error, Result};
use crate::index::Place;
use crate::keyspace::{Cx, Found, Millis};
use crate::num::{Digits, integer, millis};
use crate::record::NEVER;
use crate::reply::Reply;
use crate::string::{ShowOld, a_string, answer, deadline_of};
use crate::value::{Source, Value};
use crate::write::Draft;

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

impl Cx<'_> {
    /// Gives a key a string, whatever it has, and tells nobody.
    #[cfg(feature = "dump")]
    pub(crate) fn put_string(&mut self, key: &[u8], text: &[u8], deadline: Millis) -> Result<()> {
        let hash = self.keys.hash(key);
        let found = self.lookup(key, hash);
        let mut draft = Draft::new(key, hash, text.len(), deadline, found)?;
        self.prepare(&mut draft, false)?;
        self.keys.put(&draft, &mut { text })?;
        Ok(())
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
    /// nothing, whatever the condition says, once nothing can fail any more. It must be a string
    /// then; else the new value may take the place of any type.
    #[inline]
    pub fn set_from(
        &mut self,
        key: &[u8],
        value: &mut dyn Source,
        options: &SetOptions,
        old: Option<ShowOld<'_>>,
    ) -> Result<bool> {
        let hash = self.keys.hash(key);
        let there = self.keys.locate_record(key, hash);
        if cfg!(feature = "shortcuts")
            && let Some((place, addr)) = there
            && options.condition == Condition::Always
            && options.expiry != Expiry::Keep
            && old.is_none()
            && let Some(text) = self.keys.text_at(addr, key.len())
            && !self.is_past(text.deadline)
        {
            let deadline = self.deadline(options.expiry, &None)?;
            if self.keys.overwrite_text(place, addr, &text, value, deadline) {
                self.emit_set(key, addr);
                return Ok(true);
            }
        }
        self.set_any(key, hash, there, value, options, old)
    }

    /// The same of any value, over whatever there is. Apart, so that the usual way stays short.
    #[inline(never)]
    fn set_any(
        &mut self,
        key: &[u8],
        hash: u64,
        there: Option<(Place, Addr)>,
        value: &mut dyn Source,
        options: &SetOptions,
        old: Option<ShowOld<'_>>,
    ) -> Result<bool> {
        let found = self.lookup_at(there);
        let deadline = self.deadline(options.expiry, &found)?;
        if old.is_some() {
            a_string(found)?;
        }
        let is_wanted = match options.condition {
            Condition::Always => true,
            Condition::IfAbsent => found.is_none(),
            Condition::IfPresent => found.is_some(),
        };
        if !is_wanted {
            if let Some(old) = old {
                old(self.value_of(found));
            }
            return Ok(false);
        }
        let mut draft = Draft::new(key, hash, value.len(), deadline, found)?;
        self.prepare(&mut draft, old.is_some())?;
        if let Some(old) = old {
            old(self.value_of(draft.found));
        }
        let addr = self.keys.put(&draft, value)?.addr;
        self.emit_set(key, addr);
        self.grow_index();
        Ok(true)
    }

    /// When a value that is set now expires, given what is there.
    #[inline]
    pub(crate) fn deadline(&self, expiry: Expiry, found: &Option<Found>) -> Result<Millis> {
        match expiry {
            Expiry::Never => Ok(NEVER),
            Expiry::Keep => Ok(deadline_of(found)),
            Expiry::At(at) if at > 0 => Ok(at),
            Expiry::In(ttl_ms) if ttl_ms > 0 => {
                self.now.checked_add(ttl_ms).ok_or(Error::InvalidExpire)
            }
            Expiry::At(_) | Expiry::In(_) => Err(Error::InvalidExpire),
        }
    }

    /// Tells what string a key has now, whose record is at an address, and when it expires.
    #[inline]
    pub(crate) fn emit_set(&mut self, key: &[u8], addr: Addr) {
        let Some((keys, effects)) = self.listener() else { return };
        let Some(head) = keys.head(addr) else { return };
        let value = keys.value(&Found { place: Place::NOWHERE, addr, head });
        match head.deadline {
            NEVER => effects.effect(&["SET".into(), key.into(), value]),
            at => {
                let at = Digits::new(at);
                let at = at.as_bytes().into();
                effects.effect(&["SET".into(), key.into(), value, "PXAT".into(), at]);
            }
        }
    }

    /// The same of a string that is to be found first.
    #[cfg(any(feature = "bitmap", feature = "hyperloglog"))]
    pub(crate) fn emit_set_of(&mut self, key: &[u8], hash: u64) {
        if let Some((_, addr)) = self.keys.locate_record(key, hash) {
            self.emit_set(key, addr);
        }
    }

    /// MSET: gives each key its value, or, on an error, none of them.
    pub fn mset<'b>(
        &mut self,
        pairs: impl Iterator<Item = (&'b [u8], &'b [u8])> + Clone,
    ) -> Result<()> {
        let mut cells = Class::none_wanted();
        let (mut count, mut objects) = (0, 0);
        for (key, value) in pairs.clone() {
            count += 1;
            let draft = Draft::new(key, 0, value.len(), NEVER, None)?;
            objects += draft.objects;
            for (class, wanted) in draft.cells {
                if let Some((_, sum)) = cells.iter_mut().find(|(other, _)| *other == class) {
                    *sum += wanted;
                }
            }
        }
        self.make_room_for_keys(&mut cells, 0, count, objects)?;
        for (key, mut value) in pairs.clone() {
            let hash = self.keys.hash(key);
            let found = self.keys.locate(key, hash);
            let draft = Draft::new(key, hash, value.len(), NEVER, found)?;
            self.keys.put(&draft, &mut value)?;
        }
        if self.is_heard() {
            let mut effect: Vec<Value<'_>> = Vec::with_capacity(1 + 2 * count);
            effect.push("MSET".into());
            effect.extend(pairs.flat_map(|(key, value)| [Value::from(key), value.into()]));
            self.emit(&effect);
        }
        self.keys.index.drop_spare_overflow();
        for _ in 0..count {
            self.grow_index();
        }
        Ok(())
    }

    /// MSETNX: gives each key its value if none of them is there. False if one is.
    pub fn mset_if_absent<'b>(
        &mut self,
        pairs: impl Iterator<Item = (&'b [u8], &'b [u8])> + Clone,
    ) -> Result<bool> {
        for (key, _) in pairs.clone() {
            if self.lookup(key, self.keys.hash(key)).is_some() {
                return Ok(false);
            }
        }
        self.mset(pairs)?;
        Ok(true)
    }
}

/// What the rows of SETEX and PSETEX share.
const SETEX_ROW: Spec = Spec {
    name: "setex",
    arity: Arity::Exactly(4),
    keys: Keys::FIRST,
    flags: WRITE | DENYOOM | EDGE,
    group: Group::String,
    since: docs("2.0.0"),
    syntax: docs("key seconds value"),
    summary: docs("Sets the value of a key, and lets it expire so many seconds from now."),
    run: |cx, args, reply| setex(cx, args, reply, EX),
};

/// What the rows of MSET and MSETNX share.
const MSET_ROW: Spec = Spec {
    name: "mset",
    arity: Arity::AtLeast(3),
    keys: Keys::EVERY_SECOND,
    flags: WRITE | DENYOOM | EDGE,
    group: Group::String,
    since: docs("1.0.1"),
    syntax: docs("key value [key value ...]"),
    summary: docs("Sets several keys at once: all of them, or on an error none."),
    run: mset,
};

pub(crate) const COMMANDS: &[Spec] = &[
    Spec {
        name: "getset",
        arity: Arity::Exactly(3),
        keys: Keys::FIRST,
        flags: WRITE | DENYOOM | FAST | EDGE,
        group: Group::String,
        since: docs("1.0.0"),
        syntax: docs("key value"),
        summary: docs("Sets the value of a key, and returns the one it takes the place of."),
        run: getset,
    },
    MSET_ROW,
    Spec {
        name: "msetnx",
        summary: docs("Sets several keys at once if none of them is there."),
        run: msetnx,
        ..MSET_ROW
    },
    Spec {
        name: "psetex",
        since: docs("2.6.0"),
        syntax: docs("key milliseconds value"),
        summary: docs("Sets the value of a key, and lets it expire so many milliseconds from now."),
        run: |cx, args, reply| setex(cx, args, reply, PX),
        ..SETEX_ROW
    },
    Spec {
        name: "set",
        arity: Arity::AtLeast(3),
        keys: Keys::FIRST,
        flags: WRITE | DENYOOM | EDGE,
        group: Group::String,
        since: docs("1.0.0"),
        syntax: docs(
            "key value [NX | XX] [GET] [EX seconds | PX milliseconds | EXAT unix-time-seconds | \
             PXAT unix-time-milliseconds | KEEPTTL]",
        ),
        summary: docs("Sets the value of a key, with a condition and an expiry if wanted."),
        run: set,
    },
    SETEX_ROW,
    Spec {
        name: "setnx",
        arity: Arity::Exactly(3),
        keys: Keys::FIRST,
        flags: WRITE | DENYOOM | FAST | EDGE,
        group: Group::String,
        since: docs("1.0.0"),
        syntax: docs("key value"),
        summary: docs("Sets the value of a key if it is not there."),
        run: setnx,
    },
];

fn getset(cx: &mut Cx<'_>, args: &mut Args<'_>, reply: &mut dyn Reply) -> Result<()> {
    let (key, mut value) = (args.required(), args.required());
    let mut show = |old: Option<Value<'_>>| answer(reply, old);
    cx.set_from(key, &mut value, &SetOptions::default(), Some(&mut show))?;
    Ok(())
}

fn mset(cx: &mut Cx<'_>, args: &mut Args<'_>, reply: &mut dyn Reply) -> Result<()> {
    cx.mset(even_pairs(args)?)?;
    reply.simple("OK");
    Ok(())
}

fn msetnx(cx: &mut Cx<'_>, args: &mut Args<'_>, reply: &mut dyn Reply) -> Result<()> {
    reply.integer(cx.mset_if_absent(even_pairs(args)?)?.into());
    Ok(())
}

fn even_pairs<'a>(
    args: &Args<'a>,
) -> Result<impl Iterator<Item = (&'a [u8], &'a [u8])> + Clone + use<'a>> {
    if args.len().is_multiple_of(2) { Ok(args.pairs()) } else { Err(Error::WrongArity) }
}

fn set(cx: &mut Cx<'_>, args: &mut Args<'_>, reply: &mut dyn Reply) -> Result<()> {
    let (key, mut value) = (args.required(), args.required());
    let words = read_options(args, SET_WORDS)?;
    let options = SetOptions { condition: words.condition, expiry: words.expiry(Expiry::Never)? };
    if words.wants_old {
        let mut show = |old: Option<Value<'_>>| answer(reply, old);
        cx.set_from(key, &mut value, &options, Some(&mut show))?;
    } else if cx.set_from(key, &mut value, &options, None)? {
        reply.simple("OK");
    } else {
        reply.null();
    }
    Ok(())
}

/// SETEX and PSETEX, which differ in the unit.
fn setex(cx: &mut Cx<'_>, args: &mut Args<'_>, reply: &mut dyn Reply, unit: usize) -> Result<()> {
    let (key, ttl, value) = (args.required(), args.required(), args.required());
    let options = SetOptions { condition: Condition::Always, expiry: read_expiry(unit, ttl)? };
    cx.set(key, value, &options)?;
    reply.simple("OK");
    Ok(())
}

fn setnx(cx: &mut Cx<'_>, args: &mut Args<'_>, reply: &mut dyn Reply) -> Result<()> {
    let options = SetOptions { condition: Condition::IfAbsent, expiry: Expiry::Never };
    reply.integer(cx.set(args.required(), args.required(), &options)?.into());
    Ok(())
}

/// The options of SET and GETEX, and where in it those are that need a number.
const WORDS: [&str; 9] = ["nx", "xx", "get", "keepttl", "persist", "ex", "px", "exat", "pxat"];
const EX: usize = 5;
const PX: usize = 6;
const EXAT: usize = 7;

/// The options that each of the two knows, as a bit each.
const SET_WORDS: u32 = 0b1_1110_1111;
pub(crate) const GETEX_WORDS: u32 = 0b1_1111_0000;

/// What the options of a request say; the number of the expiry is not looked at yet.
pub(crate) struct OptionWords<'a> {
    condition: Condition,
    wants_old: bool,
    expiry: Option<(usize, &'a [u8])>,
}

impl OptionWords<'_> {
    /// The expiry that is asked for, or another if none is.
    pub(crate) fn expiry(&self, otherwise: Expiry) -> Result<Expiry> {
        self.expiry.map_or(Ok(otherwise), |(word, number)| read_expiry(word, number))
    }
}

/// Reads options, as far as they are among the `known`. As in Redis numbers are looked at last, so
/// that a misplaced word is always a syntax error; and an option may be repeated.
pub(crate) fn read_options<'a>(args: &mut Args<'a>, known: u32) -> Result<OptionWords<'a>> {
    let mut options = OptionWords { condition: Condition::Always, wants_old: false, expiry: None };
    while let Some(option) = args.next() {
        let word = word(option, &WORDS);
        let is_expiry_free = options.expiry.is_none_or(|(other, _)| other == word);
        match word {
            _ if known >> word & 1 == 0 => return Err(Error::Syntax),
            0 if options.condition != Condition::IfPresent => {
                options.condition = Condition::IfAbsent;
            }
            1 if options.condition != Condition::IfAbsent => {
                options.condition = Condition::IfPresent;
            }
            2 => options.wants_old = true,
            3 | 4 if is_expiry_free => options.expiry = Some((word, &[])),
            EX.. if is_expiry_free => options.expiry = Some((word, args.value()?)),
            _ => return Err(Error::Syntax),
        }
    }
    Ok(options)
}

/// An expiry, from one of the `WORDS` and the number behind it.
fn read_expiry(word: usize, number: &[u8]) -> Result<Expiry> {
    match word {
        3 => return Ok(Expiry::Keep),
        4 => return Ok(Expiry::Never),
        _ => {}
    }
    let number = integer(number)?;
    let is_in_seconds = word == EX || word == EXAT;
    let number = if is_in_seconds { millis(number) } else { Some(number) };
    let number = number.ok_or(Error::InvalidExpire)?;
    Ok(if word < EXAT { Expiry::In(number) } else { Expiry::At(number) })
}
