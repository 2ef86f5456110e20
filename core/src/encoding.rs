//! OBJECT: how a value is stored, and how it is used, in Redis's words.
//!
//! The names of encodings are Redis's for what comes closest: entries packed in one record are a
//! `listpack` (`intset` if they are the integers of a set), tables are a `hashtable`, and so on.
//! Where one form becomes the other is Ferrite's own affair: `limits.rs`. Idle times are the least
//! they can be: the clock behind them moves on as keys are inserted, not with every use.

use crate::command::{Args, Arity, EDGE, Group, Keys, READ, Spec, docs, word};
use crate::error::{Error, Result};
use crate::keyspace::{Cx, Found};
use crate::num::parse_integer;
use crate::packed::Item;
use crate::record::Kind;
use crate::reply::Reply;

/// The longest string that Redis stores in one piece with its object.
const EMBSTR_BYTES_MAX: usize = 44;

impl Cx<'_> {
    /// OBJECT ENCODING: how the value of a key is stored.
    pub fn encoding(&mut self, key: &[u8]) -> Option<&'static str> {
        let found = self.lookup(key, self.keys.hash(key))?;
        Some(self.encoding_of(&found))
    }

    fn encoding_of(&self, found: &Found) -> &'static str {
        let is_large = found.head.is_large();
        let is_integer = |text: &[u8]| parse_integer(text).is_some();
        match found.head.kind() {
            // It is too long for the others.
            Kind::String if found.head.is_compressed() => "raw",
            Kind::String => match self.keys.value(found).as_slice() {
                Some(text) if is_integer(text) => "int",
                Some(text) if text.len() <= EMBSTR_BYTES_MAX => "embstr",
                _ => "raw",
            },
            Kind::List if is_large => "quicklist",
            Kind::SortedSet if is_large => "skiplist",
            Kind::Hash | Kind::Set if is_large => "hashtable",
            #[cfg(feature = "stream")]
            Kind::Stream => "stream",
            Kind::Set
                if self
                    .keys
                    .entries(found, 0)
                    .all(|entry| matches!(entry.name, Item::Here(text) if is_integer(text))) =>
            {
                "intset"
            }
            _ => "listpack",
        }
    }

    /// OBJECT FREQ: the logarithmic count of a key's uses.
    ///
    /// # Errors
    /// [`Error::NotLfu`] if the policy counts none.
    pub fn frequency(&mut self, key: &[u8]) -> Result<Option<u8>> {
        let found = self.lookup(key, self.keys.hash(key));
        match found.and_then(|found| self.keys.index.entry(found.place)) {
            Some(_) if !self.keys.policy.is_lfu() => Err(Error::NotLfu),
            entry => Ok(entry.map(|entry| entry.age)),
        }
    }
}

pub(crate) const COMMANDS: &[Spec] = &[Spec {
    name: "object",
    arity: Arity::AtLeast(2),
    keys: Keys { first: 2, last: 2, step: 1 },
    flags: READ | EDGE,
    group: Group::Generic,
    since: docs("2.2.3"),
    syntax: docs("ENCODING key | FREQ key | IDLETIME key | REFCOUNT key | HELP"),
    summary: docs("Returns how a value is stored, or how it is used."),
    run: object,
}];

fn object(cx: &mut Cx<'_>, args: &mut Args<'_>, reply: &mut dyn Reply) -> Result<()> {
    const WORDS: [&str; 5] = ["encoding", "freq", "idletime", "refcount", "help"];
    const COMMANDS: [&str; 5] =
        ["object|encoding", "object|freq", "object|idletime", "object|refcount", "object|help"];
    let subcommand = args.required();
    let word = word(subcommand, &WORDS);
    let is_help = cfg!(feature = "docs") && word == 4;
    let Some(command) = COMMANDS.get(word).filter(|_| word < 4 || is_help) else {
        reply.error(&[b"ERR unknown subcommand '", subcommand, b"'. Try OBJECT HELP."]);
        return Ok(());
    };
    if args.len() != usize::from(!is_help) {
        let parts = Error::WrongArity.parts(command);
        reply.error(&parts.map(str::as_bytes));
        return Ok(());
    }
    if is_help {
        reply.array(HELP.len());
        HELP.iter().for_each(|line| reply.simple(line));
        return Ok(());
    }
    let key = args.required();
    if word == 1 {
        match cx.frequency(key)? {
            Some(frequency) => reply.integer(frequency.into()),
            None => reply.null(),
        }
        return Ok(());
    }
    let Some(encoding) = cx.encoding(key) else {
        reply.null();
        return Ok(());
    };
    match word {
        0 => reply.bulk(encoding.into()),
        2 => {
            let found = cx.lookup(key, cx.keys.hash(key)).ok_or(Error::NoSuchKey)?;
            reply.integer(cx.idle_ms(found.place)? / 1000);
        }
        // A value belongs to one key.
        _ => reply.integer(1),
    }
    Ok(())
}

const HELP: &[&str] = &[
    "OBJECT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "ENCODING <key>",
    "    Return the kind of internal representation used in order to store the value",
    "    associated with a <key>.",
    "FREQ <key>",
    "    Return the access frequency index of the <key>. The returned integer is",
    "    proportional to the logarithm of the recent access frequency of the key.",
    "IDLETIME <key>",
    "    Return the idle time of the <key>, that is the approximated number of",
    "    seconds elapsed since the last access to the key.",
    "REFCOUNT <key>",
    "    Return the number of references of the value associated with the specified",
    "    <key>.",
    "HELP",
    "    Prints this help.",
];
