//! Whole values out: GET and MGET, GETEX and GETDEL, which then change the deadline or drop the
//! key.
//!
//! Not here: parts of values (range.rs), and GETSET, which is a way to SET (set.rs).

use crate::command::{Args, Arity, EDGE, FAST, Group, Keys, READ, Spec, WRITE, docs};
use crate::error::Result;
use crate::expire::ExpireOptions;
use crate::keyspace::Cx;
use crate::reply::Reply;
use crate::string::set::{Expiry, GETEX_WORDS, read_options};
use crate::string::{ShowOld, answer};
use crate::value::Value;

impl Cx<'_> {
    /// GET: the value of `key`, if it is there.
    ///
    /// # Errors
    /// [`Error::WrongType`](crate::Error::WrongType).
    #[inline]
    pub fn get(&mut self, key: &[u8]) -> Result<Option<Value<'_>>> {
        if !cfg!(feature = "shortcuts") {
            return self.get_any(key);
        }
        let hash = self.keys.hash(key);
        let Some((place, addr, text)) = self.keys.locate_text(key, hash) else {
            self.keys.count_look(false);
            return Ok(None);
        };
        let Some(text) = text.filter(|text| !self.is_past(text.deadline)) else {
            return self.get_any(key);
        };
        self.keys.count_look(true);
        self.keys.note_use(place);
        let value = self.keys.arena.record(addr).and_then(|cell| text.of(cell));
        Ok(value.map(|value| Value::whole(value, text.is_ascii)))
    }

    /// GET of any other value.
    #[inline(never)]
    fn get_any(&mut self, key: &[u8]) -> Result<Option<Value<'_>>> {
        let found = self.read_string(key)?;
        Ok(self.value_of(found))
    }

    /// GETEX: shows the value of a key and gives it another expiry; a time that has passed drops
    /// it. [`Expiry::Keep`] leaves the expiry as it is.
    ///
    /// # Errors
    /// [`Error::WrongType`](crate::Error::WrongType),
    /// [`Error::InvalidExpire`](crate::Error::InvalidExpire),
    /// [`Error::OutOfMemory`](crate::Error::OutOfMemory): a deadline takes eight bytes.
    pub fn get_ex(&mut self, key: &[u8], expiry: Expiry, show: ShowOld<'_>) -> Result<()> {
        let found = self.read_string(key)?;
        if found.is_some() && expiry == Expiry::Never {
            self.persist(key)?;
        } else if found.is_some() && expiry != Expiry::Keep {
            let deadline = self.deadline(expiry, &found)?;
            if deadline <= self.now {
                show(self.value_of(found));
                self.expire_at(key, deadline, &ExpireOptions::default())?;
                return Ok(());
            }
            self.expire_at(key, deadline, &ExpireOptions::default())?;
        }
        // Another deadline may have moved it.
        let found = self.keys.locate(key, self.keys.hash(key));
        show(self.value_of(found));
        Ok(())
    }

    /// GETDEL: shows the value of a key, and drops it.
    ///
    /// # Errors
    /// [`Error::WrongType`](crate::Error::WrongType).
    pub fn get_del(&mut self, key: &[u8], show: ShowOld<'_>) -> Result<()> {
        let found = self.read_string(key)?;
        show(self.value_of(found));
        if let Some(found) = &found {
            self.remove(found);
            self.keys.settle();
        }
        Ok(())
    }
}

pub(crate) const COMMANDS: &[Spec] = &[
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
        name: "getdel",
        arity: Arity::Exactly(2),
        keys: Keys::FIRST,
        flags: WRITE | FAST | EDGE,
        group: Group::String,
        since: docs("6.2.0"),
        syntax: docs("key"),
        summary: docs("Returns the value of a key, and drops the key."),
        run: getdel,
    },
    Spec {
        name: "getex",
        arity: Arity::AtLeast(2),
        keys: Keys::FIRST,
        flags: WRITE | FAST | EDGE,
        group: Group::String,
        since: docs("6.2.0"),
        syntax: docs(
            "key [EX seconds | PX milliseconds | EXAT unix-time-seconds | \
             PXAT unix-time-milliseconds | PERSIST]",
        ),
        summary: docs("Returns the value of a key, and changes its expiry if wanted."),
        run: getex,
    },
    Spec {
        name: "mget",
        arity: Arity::AtLeast(2),
        keys: Keys::ALL,
        flags: READ | FAST | EDGE,
        group: Group::String,
        since: docs("1.0.0"),
        syntax: docs("key [key ...]"),
        summary: docs("Returns the values of several keys: nothing for one that is no string."),
        run: mget,
    },
];

fn get(cx: &mut Cx<'_>, args: &mut Args<'_>, reply: &mut dyn Reply) -> Result<()> {
    answer(reply, cx.get(args.required())?);
    Ok(())
}

fn getdel(cx: &mut Cx<'_>, args: &mut Args<'_>, reply: &mut dyn Reply) -> Result<()> {
    cx.get_del(args.required(), &mut |value| answer(reply, value))
}

fn getex(cx: &mut Cx<'_>, args: &mut Args<'_>, reply: &mut dyn Reply) -> Result<()> {
    let key = args.required();
    let options = read_options(args, GETEX_WORDS)?;
    match options.expiry(Expiry::Keep) {
        Ok(expiry) => cx.get_ex(key, expiry, &mut |value| answer(reply, value)),
        // As in Redis, who asks for a key that is not there may have written any number.
        Err(_) if cx.get(key)?.is_none() => {
            reply.null();
            Ok(())
        }
        Err(error) => Err(error),
    }
}

fn mget(cx: &mut Cx<'_>, args: &mut Args<'_>, reply: &mut dyn Reply) -> Result<()> {
    reply.array(args.len());
    for key in args {
        answer(reply, cx.get(key).unwrap_or_default());
    }
    Ok(())
}
