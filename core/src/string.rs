//! Strings: GET, SET and what changes them.
//!
//! Not here: how a record is written (write.rs).

use alloc::vec::Vec;

use crate::arena::Class;
use crate::command::{
    Args, Arity, DENYOOM, EDGE, FAST, Group, Keys, READ, Spec, WRITE, docs, word,
};
use crate::error::{Error, Result};
use crate::keyspace::{Cx, Found, Millis};
use crate::num::{Digits, millis, parse_integer};
use crate::record::NEVER;
use crate::reply::Reply;
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
            Expiry::Never => NEVER,
            Expiry::Keep => deadline_of(&found),
            Expiry::At(at) if at > 0 => at,
            Expiry::In(ttl_ms) if ttl_ms > 0 => {
                self.now.checked_add(ttl_ms).ok_or(Error::InvalidExpire)?
            }
            Expiry::At(_) | Expiry::In(_) => return Err(Error::InvalidExpire),
        };
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
        let mut draft = Draft::new(key, hash, value.len(), deadline, found)?;
        self.prepare(&mut draft, old.is_some())?;
        if let Some(old) = old {
            old(draft.found.map(|found| self.keys.value(&found)));
        }
        self.keys.put(&draft, value)?;
        self.emit_set(key, hash, deadline);
        self.grow_index();
        Ok(true)
    }

    fn emit_set(&mut self, key: &[u8], hash: u64, deadline: Millis) {
        let Some((keys, effects)) = self.listener() else { return };
        let Some(found) = keys.locate(key, hash) else { return };
        let value = keys.value(&found);
        match deadline {
            NEVER => effects.effect(&["SET".into(), key.into(), value]),
            at => {
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
        if self.listener().is_some() {
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

    /// APPEND: adds to the end of a string, from nothing if need be. Its length afterwards.
    pub fn append(&mut self, key: &[u8], suffix: &[u8]) -> Result<usize> {
        let hash = self.keys.hash(key);
        let found = self.lookup(key, hash);
        let len = self.extend(key, hash, found, &mut { suffix })?;
        self.emit(&["APPEND".into(), key.into(), suffix.into()]);
        self.grow_index();
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
        let deadline = deadline_of(&found);
        let mut text = digits.as_bytes();
        let draft = Draft::new(key, hash, text.len(), deadline, found)?;
        self.replace(draft, &mut text)?;
        let change = Digits::new(change);
        self.emit(&["INCRBY".into(), key.into(), change.as_bytes().into()]);
        self.grow_index();
        Ok(sum)
    }

    /// STRLEN: the length of a string, zero for a missing one.
    pub fn strlen(&mut self, key: &[u8]) -> Result<usize> {
        Ok(self.lookup_read(key).map_or(0, |found| self.keys.value(&found).len()))
    }
}

fn deadline_of(found: &Option<Found>) -> Millis {
    found.as_ref().map_or(NEVER, |found| found.head.deadline)
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
        run: |cx, args, reply| add(cx, args, reply, -1),
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
        run: |cx, args, reply| add(cx, args, reply, -1),
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
        run: |cx, args, reply| add(cx, args, reply, 1),
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
        run: |cx, args, reply| add(cx, args, reply, 1),
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
    let len = cx.append(args.required(), args.required())?;
    reply.integer(len as i64);
    Ok(())
}

/// INCR, INCRBY, DECR and DECRBY: without an amount it is one.
fn add(cx: &mut Cx<'_>, args: &mut Args<'_>, reply: &mut dyn Reply, sign: i64) -> Result<()> {
    let key = args.required();
    let amount = match args.next() {
        Some(amount) => parse_integer(amount).ok_or(Error::NotAnInteger)?,
        None => 1,
    };
    if sign < 0 && amount == i64::MIN {
        return Err(Error::DecrementOverflow);
    }
    reply.integer(cx.incr_by(key, sign * amount)?);
    Ok(())
}

fn get(cx: &mut Cx<'_>, args: &mut Args<'_>, reply: &mut dyn Reply) -> Result<()> {
    match cx.get(args.required())? {
        Some(value) => reply.bulk(value),
        None => reply.null(),
    }
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
        return Err(Error::WrongArity);
    }
    cx.mset(args.pairs())?;
    reply.simple("OK");
    Ok(())
}

fn set(cx: &mut Cx<'_>, args: &mut Args<'_>, reply: &mut dyn Reply) -> Result<()> {
    let (key, mut value) = (args.required(), args.required());
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
    const WORDS: [&str; 8] = ["nx", "xx", "get", "keepttl", "ex", "px", "exat", "pxat"];
    let mut condition = Condition::Always;
    let mut expiry: Option<(usize, &[u8])> = None;
    let mut wants_old = false;
    while let Some(option) = args.next() {
        let word = word(option, &WORDS);
        let is_expiry_free = expiry.is_none_or(|(other, _)| other == word);
        match word {
            0 if condition != Condition::IfPresent => condition = Condition::IfAbsent,
            1 if condition != Condition::IfAbsent => condition = Condition::IfPresent,
            2 => wants_old = true,
            3 if is_expiry_free => expiry = Some((word, b"0")),
            4..=7 if is_expiry_free => expiry = Some((word, args.value()?)),
            _ => return Err(Error::Syntax),
        }
    }
    let mut options = SetOptions { condition, expiry: Expiry::Never };
    if let Some((word, value)) = expiry {
        let value = parse_integer(value).ok_or(Error::NotAnInteger)?;
        let is_in_seconds = word == 4 || word == 6;
        let value = if is_in_seconds { millis(value) } else { Some(value) };
        let value = value.ok_or(Error::InvalidExpire)?;
        options.expiry = match word {
            3 => Expiry::Keep,
            4 | 5 => Expiry::In(value),
            _ => Expiry::At(value),
        };
    }
    Ok((options, wants_old))
}

fn strlen(cx: &mut Cx<'_>, args: &mut Args<'_>, reply: &mut dyn Reply) -> Result<()> {
    reply.integer(cx.strlen(args.required())? as i64);
    Ok(())
}
