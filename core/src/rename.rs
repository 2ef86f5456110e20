//! RENAME and COPY: values that change their key, or get a second one.
//!
//! Renaming writes a record, whatever the size of the value; copying takes the time its size takes.

use crate::command::{Args, Arity, DENYOOM, EDGE, FAST, Group, Keys, Spec, WRITE, docs, word};
use crate::error::{Error, Result};
use crate::keyspace::{Cx, Millis};
use crate::num::parse_integer;
#[cfg(feature = "zset")]
use crate::packed::Item;
use crate::record::Kind;
use crate::reply::Reply;
use crate::table::{Cursor, Target};
#[cfg(feature = "zset")]
use crate::tree::score_of;
use crate::value::TextBuffer;

impl Cx<'_> {
    /// RENAME: gives the value of one key, with its deadline, to another, in place of what that
    /// has. False if `if_absent` was asked for and it has one.
    ///
    /// # Errors
    /// [`Error::NoSuchKey`], [`Error::KeyTooLong`], [`Error::OutOfMemory`].
    pub fn rename(&mut self, from: &[u8], to: &[u8], if_absent: bool) -> Result<bool> {
        let found = self.lookup(from, self.keys.hash(from));
        let mut found = found.ok_or(Error::NoSuchKey)?;
        if from == to {
            return Ok(!if_absent);
        }
        let hash = self.keys.hash(to);
        let replaced = self.lookup(to, hash);
        if replaced.is_some() && if_absent {
            return Ok(false);
        }
        // Looking for the other key may have shrunk the index.
        found.place = self.keys.place_of(found.addr);
        let deadline = found.head.deadline;
        self.put_stored(to, hash, &mut found, deadline, replaced)?;
        self.keys.forget(&found);
        self.keys.settle();
        self.emit(&["RENAME".into(), from.into(), to.into()]);
        self.grow_index();
        Ok(true)
    }

    /// COPY: gives a key the value of another, with its deadline. False if there is no such value,
    /// or `replaces` was not asked for and the key has one.
    ///
    /// # Errors
    /// [`Error::SameObject`], [`Error::KeyTooLong`], [`Error::OutOfMemory`].
    pub fn copy(&mut self, from: &[u8], to: &[u8], replaces: bool) -> Result<bool> {
        if from == to {
            return Err(Error::SameObject);
        }
        let Some(found) = self.lookup(from, self.keys.hash(from)) else { return Ok(false) };
        if self.lookup(to, self.keys.hash(to)).is_some() && !replaces {
            return Ok(false);
        }
        let pin = self.keys.pins.len();
        self.keys.pins.push(found.addr);
        // What is copied must not be evicted before the effect is told.
        let copied = match found.head.kind() {
            Kind::String => self.copy_string(pin, to),
            kind => self.copy_collection(pin, kind, to, found.head.deadline),
        };
        self.keys.pins.truncate(pin);
        copied?;
        self.emit(&["COPY".into(), from.into(), to.into(), "REPLACE".into()]);
        self.grow_index();
        Ok(true)
    }

    fn copy_collection(
        &mut self,
        pin: usize,
        kind: Kind,
        key: &[u8],
        deadline: Millis,
    ) -> Result<()> {
        let mut copy = self.float(kind)?;
        let copied = match kind {
            Kind::List => self.copy_list(pin, &mut copy),
            #[cfg(feature = "stream")]
            Kind::Stream => self.copy_stream(pin, &mut copy),
            _ => self.copy_entries(pin, &mut copy),
        };
        match copied {
            Ok(()) => self.install(key, copy, deadline),
            Err(error) => {
                self.sink(&copy);
                Err(error)
            }
        }
    }

    fn copy_entries(&mut self, pin: usize, copy: &mut Target<'_>) -> Result<()> {
        let mut cursor = Cursor::default();
        let (mut name, mut value) = (TextBuffer::new(), TextBuffer::new());
        loop {
            let found = self.keys.pinned(pin).ok_or(Error::NoSuchKey)?;
            let Some(entry) = self.next_entry(&found, &mut cursor) else { return Ok(()) };
            let deadline = entry.deadline;
            let name = name.copy(self.keys.text(entry.name))?;
            let value = value.copy(self.keys.text(entry.value))?;
            #[cfg(feature = "zset")]
            if found.head.kind() == Kind::SortedSet {
                let place = self.place(copy, name);
                self.put_score(copy, name, score_of(Item::Here(value)), &place)?;
                continue;
            }
            self.put_entry(copy, name, value, deadline)?;
        }
    }
}

pub(crate) const COMMANDS: &[Spec] = &[
    #[cfg(feature = "copy")]
    Spec {
        name: "copy",
        arity: Arity::AtLeast(3),
        keys: Keys::FIRST_TWO,
        flags: WRITE | DENYOOM | EDGE,
        group: Group::Generic,
        since: docs("6.2.0"),
        syntax: docs("source destination [DB destination-db] [REPLACE]"),
        summary: docs("Gives a key the value of another."),
        run: copy,
    },
    #[cfg(feature = "rename")]
    RENAME_ROW,
    #[cfg(feature = "rename")]
    Spec {
        name: "renamenx",
        flags: WRITE | FAST | EDGE,
        summary: docs("Gives the value of a key to another, if that has none."),
        run: |cx, args, reply| {
            reply.integer(cx.rename(args.required(), args.required(), true)?.into());
            Ok(())
        },
        ..RENAME_ROW
    },
];

const RENAME_ROW: Spec = Spec {
    name: "rename",
    arity: Arity::Exactly(3),
    keys: Keys::FIRST_TWO,
    flags: WRITE | EDGE,
    group: Group::Generic,
    since: docs("1.0.0"),
    syntax: docs("key newkey"),
    summary: docs("Gives the value of a key to another, in place of what that has."),
    run: |cx, args, reply| {
        cx.rename(args.required(), args.required(), false)?;
        reply.simple("OK");
        Ok(())
    },
};

fn copy(cx: &mut Cx<'_>, args: &mut Args<'_>, reply: &mut dyn Reply) -> Result<()> {
    let (from, to) = (args.required(), args.required());
    let mut replaces = false;
    while let Some(option) = args.next() {
        match word(option, &["replace", "db"]) {
            0 => replaces = true,
            // There is one keyspace here: the host that has several knows where to look.
            1 => match parse_integer(args.value()?) {
                Some(0) => {}
                Some(_) => return Err(Error::OtherDatabase),
                None => return Err(Error::NotAnInteger),
            },
            _ => return Err(Error::Syntax),
        }
    }
    reply.integer(cx.copy(from, to, replaces)?.into());
    Ok(())
}
