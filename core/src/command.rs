//! Commands: what a row of the table says, how one is found and run.
//!
//! A command is declared once, as a `const` row beside its function. Dispatch, arity errors,
//! documentation, permissions, scripts and the JavaScript `call` all read that row.
//!
//! Not here: any wire format, and any list of commands but the families' own.

use core::ops::Deref;
use core::slice;

use crate::bytes;
use crate::error::{Error, Result};
use crate::keyspace::Cx;
use crate::num::parse_count;
use crate::reply::Reply;
#[cfg(feature = "zset")]
use crate::sorted_set;
#[cfg(feature = "stream")]
use crate::stream;
use crate::string::{self, counter, get, range};
use crate::{expire, keys, rename, scan};

/// What runs a command of the engine: arguments without the name in, reply out.
pub type Run = fn(&mut Cx<'_>, &mut Args<'_>, &mut dyn Reply) -> Result<()>;

/// One command. A host that adds commands of its own has rows of the same shape, with another kind
/// of function.
#[derive(Debug)]
pub struct Spec<R = Run> {
    /// Its name in lower case.
    pub name: &'static str,
    /// How many arguments it takes, the name included.
    pub arity: Arity,
    /// Which of them are keys.
    pub keys: Keys,
    /// What it does to the keyspace, and where it is offered: [`WRITE`] and its fellows.
    pub flags: u16,
    /// The family it belongs to.
    pub group: Group,
    /// The version of Redis that had it first. Empty without the feature `docs`, as are the
    /// following two.
    pub since: Docs,
    /// Its arguments, in the notation of Redis's documentation.
    pub syntax: Docs,
    /// What it does, in a sentence.
    pub summary: Docs,
    /// Its function.
    pub run: R,
}

/// It reads keys.
pub const READ: u16 = 1;
/// It changes keys.
pub const WRITE: u16 = 1 << 1;
/// It may need memory: refused when there is none.
pub const DENYOOM: u16 = 1 << 2;
/// Its cost does not grow with the size of the keyspace or a value.
pub const FAST: u16 = 1 << 3;
/// It is part of the edge build.
pub const EDGE: u16 = 1 << 4;
/// Its option STORE, or STOREDIST, names one more key.
pub const STORES: u16 = 1 << 5;

/// How many arguments a command takes, its name included.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Arity {
    /// This many.
    Exactly(usize),
    /// This many or more.
    AtLeast(usize),
}

impl Arity {
    /// Whether so many arguments, the name included, are right.
    pub fn allows(self, count: usize) -> bool {
        match self {
            Arity::Exactly(wanted) => count == wanted,
            Arity::AtLeast(least) => count >= least,
        }
    }
}

/// Which arguments are keys, as Redis's COMMAND tells it: the first, the last (negative: from the
/// end), and the step between them. All zero for none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the three are explained above")]
pub struct Keys {
    pub first: i8,
    pub last: i8,
    pub step: i8,
}

impl Keys {
    /// No argument is a key.
    pub const NONE: Keys = Keys { first: 0, last: 0, step: 0 };
    /// The first argument is.
    pub const FIRST: Keys = Keys { first: 1, last: 1, step: 1 };
    /// All are.
    pub const ALL: Keys = Keys { first: 1, last: -1, step: 1 };
    /// An argument says how many keys follow it. As in Redis's COMMAND, where they are depends on
    /// the request; `first` is that argument here, and `step` is one.
    pub const fn counted(at: i8) -> Keys {
        Keys { first: at, last: 0, step: 1 }
    }

    /// Half of the arguments behind the word STREAMS are. As in Redis's COMMAND, where they are
    /// depends on the request; all but the step is negative here.
    #[cfg(feature = "stream")]
    pub const BEHIND_STREAMS: Keys = Keys { first: -1, last: -1, step: 1 };

    /// The first two are.
    pub const FIRST_TWO: Keys = Keys { first: 1, last: 2, step: 1 };

    /// The first, the third and so on are.
    pub const EVERY_SECOND: Keys = Keys { first: 1, last: -1, step: 2 };
}

/// The families of commands, as Redis's documentation groups them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Group {
    /// Strings as rows of bits.
    Bitmap,
    /// The connection itself.
    Connection,
    /// Keys of any type.
    Generic,
    /// Places on earth, in sorted sets.
    Geo,
    /// Hashes.
    Hash,
    /// Sets of which only the size is known, and that nearly, in strings.
    HyperLogLog,
    /// Lists.
    List,
    /// Messages.
    PubSub,
    /// Code that runs on the server.
    Scripting,
    /// The keyspace as a whole.
    Server,
    /// Sets.
    Set,
    /// Sorted sets.
    SortedSet,
    /// Streams.
    #[cfg(feature = "stream")]
    Stream,
    /// Strings.
    String,
    /// Several commands as one.
    Transactions,
}

impl Group {
    /// Its name in Redis's documentation.
    pub fn name(self) -> &'static str {
        match self {
            Group::Bitmap => "bitmap",
            Group::Connection => "connection",
            Group::Generic => "generic",
            Group::Geo => "geo",
            Group::Hash => "hash",
            Group::HyperLogLog => "hyperloglog",
            Group::List => "list",
            Group::PubSub => "pubsub",
            Group::Scripting => "scripting",
            Group::Server => "server",
            Group::Set => "set",
            Group::SortedSet => "sorted-set",
            #[cfg(feature = "stream")]
            Group::Stream => "stream",
            Group::String => "string",
            Group::Transactions => "transactions",
        }
    }
}

/// The families' rows. A name is looked for in this order, so what is used most comes first.
const FAMILIES: &[&[Spec]] = &[
    counter::COMMANDS,
    get::COMMANDS,
    string::set::COMMANDS,
    expire::COMMANDS,
    keys::COMMANDS,
    #[cfg(feature = "hash")]
    crate::hash::COMMANDS,
    #[cfg(feature = "list")]
    crate::list::COMMANDS,
    #[cfg(feature = "set")]
    crate::set::COMMANDS,
    range::COMMANDS,
    #[cfg(feature = "lcs")]
    string::lcs::COMMANDS,
    #[cfg(feature = "bitmap")]
    crate::bitmap::COMMANDS,
    #[cfg(feature = "bitmap")]
    crate::bitmap::field::COMMANDS,
    #[cfg(feature = "dump")]
    crate::dump::COMMANDS,
    #[cfg(feature = "object")]
    crate::encoding::COMMANDS,
    #[cfg(feature = "geo")]
    crate::geo::COMMANDS,
    #[cfg(feature = "hash")]
    crate::hash::field_expiry::COMMANDS,
    #[cfg(feature = "hyperloglog")]
    crate::hyperloglog::COMMANDS,
    rename::COMMANDS,
    scan::COMMANDS,
    #[cfg(feature = "sort")]
    crate::sort::COMMANDS,
    #[cfg(feature = "zset")]
    sorted_set::COMMANDS,
    #[cfg(feature = "stream")]
    stream::COMMANDS,
];

/// All commands of this build.
pub fn all() -> impl Iterator<Item = &'static Spec> {
    FAMILIES.iter().copied().flatten()
}

/// The command of this name, in upper or lower case.
pub fn find(name: &[u8]) -> Option<&'static Spec> {
    let first = name.first().map(u8::to_ascii_lowercase);
    for family in FAMILIES {
        for spec in *family {
            let other = spec.name.as_bytes();
            // Most rows need no more than this.
            let may_be = other.len() == name.len() && other.first().copied() == first;
            if may_be && name.eq_ignore_ascii_case(other) {
                return Some(spec);
            }
        }
    }
    None
}

/// Runs a command: its name, then its arguments. Errors go to the reply, in Redis's words.
pub fn execute(cx: &mut Cx<'_>, arguments: &[&[u8]], reply: &mut dyn Reply) {
    let Some(spec) = check(arguments, reply) else { return };
    cx.keys.lent_bytes = 0;
    let rest = arguments.get(1..).unwrap_or_default();
    if let Err(error) = (spec.run)(cx, &mut Args::new(rest), reply) {
        reply.error(&error.parts(spec.name).map(str::as_bytes));
    }
}

/// The row of a command with its name before its arguments, if there is one and their number is
/// right: what Redis asks before it queues a command. Else the reply says what is wrong.
pub fn check(arguments: &[&[u8]], reply: &mut dyn Reply) -> Option<&'static Spec> {
    let (name, rest) = arguments.split_first().map_or((&[][..], &[][..]), |(a, b)| (*a, b));
    let Some(spec) = find(name) else {
        refuse_unknown(name, rest, reply);
        return None;
    };
    if !spec.arity.allows(arguments.len()) {
        reply.error(&Error::WrongArity.parts(spec.name).map(str::as_bytes));
        return None;
    }
    Some(spec)
}

/// How much of an unknown command, and of its arguments, the error repeats.
const UNKNOWN_NAME_BYTES_MAX: usize = 128;
const UNKNOWN_ARGUMENTS_BYTES_MAX: usize = 128;

/// Answers that there is no such command, as Redis words it.
pub fn refuse_unknown(name: &[u8], arguments: &[&[u8]], reply: &mut dyn Reply) {
    // The last argument shown may exceed the limit by its quotes and a space.
    let mut shown = [0; UNKNOWN_ARGUMENTS_BYTES_MAX + 3];
    let mut len = 0;
    for argument in arguments {
        if len >= UNKNOWN_ARGUMENTS_BYTES_MAX {
            break;
        }
        for part in [b"'", printed(argument, UNKNOWN_ARGUMENTS_BYTES_MAX - len), b"' "] {
            bytes::write_at(&mut shown, len, part);
            len += part.len();
        }
    }
    reply.error(&[
        b"ERR unknown command '",
        printed(name, UNKNOWN_NAME_BYTES_MAX),
        b"', with args beginning with: ",
        shown.get(..len).unwrap_or(&shown),
    ]);
}

/// What C's `printf` shows of a string: nothing from the first zero byte on.
pub(crate) fn printed(text: &[u8], bytes_max: usize) -> &[u8] {
    let text = text.get(..bytes_max).unwrap_or(text);
    text.split(|&byte| byte == 0).next().unwrap_or_default()
}

/// A command's arguments, taken one after the other.
#[derive(Clone)]
pub struct Args<'a> {
    rest: slice::Iter<'a, &'a [u8]>,
}

impl<'a> Args<'a> {
    /// The arguments of a command, its name left out.
    pub fn new(arguments: &'a [&'a [u8]]) -> Args<'a> {
        Args { rest: arguments.iter() }
    }

    /// The next argument, where the arity says that there is one.
    pub fn required(&mut self) -> &'a [u8] {
        self.next().unwrap_or_default()
    }

    /// The value that an option needs.
    ///
    /// # Errors
    /// [`Error::Syntax`] if it is missing.
    pub fn value(&mut self) -> Result<&'a [u8]> {
        self.next().ok_or(Error::Syntax)
    }

    /// The remaining arguments.
    pub fn as_slice(&self) -> &'a [&'a [u8]] {
        self.rest.as_slice()
    }

    /// The next `count` arguments, if there are as many.
    pub(crate) fn take_first(&mut self, count: usize) -> Option<Args<'a>> {
        let (first, rest) = self.rest.as_slice().split_at_checked(count)?;
        self.rest = rest.iter();
        Some(Args { rest: first.iter() })
    }

    /// The remaining arguments, two by two.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + Clone + use<'a> {
        self.rest.as_slice().chunks_exact(2).filter_map(|pair| match pair {
            [first, second] => Some((*first, *second)),
            _ => None,
        })
    }
}

impl<'a> Iterator for Args<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        self.rest.next().copied()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.rest.size_hint()
    }
}

impl ExactSizeIterator for Args<'_> {}

/// The keys behind the argument that says how many there are.
pub(crate) fn counted_keys<'a>(args: &mut Args<'a>) -> Result<Args<'a>> {
    let count = parse_count(args.required()).filter(|&count| count > 0).ok_or(Error::NoKeys)?;
    args.take_first(count).ok_or(Error::TooManyKeys)
}

/// Which of these words an option is, in upper or lower case. The last stands for none.
pub(crate) fn word(option: &[u8], words: &[&str]) -> usize {
    let found = words.iter().position(|word| option.eq_ignore_ascii_case(word.as_bytes()));
    found.unwrap_or(words.len())
}

/// A text that only documentation needs. Without the feature `docs` it is empty, and takes no room
/// in the rows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Docs {
    #[cfg(feature = "docs")]
    text: &'static str,
}

impl Deref for Docs {
    type Target = str;

    fn deref(&self) -> &str {
        #[cfg(feature = "docs")]
        return self.text;
        #[cfg(not(feature = "docs"))]
        ""
    }
}

#[cfg_attr(not(feature = "docs"), expect(unused_variables))]
/// A text of documentation, for the rows.
pub const fn docs(text: &'static str) -> Docs {
    Docs {
        #[cfg(feature = "docs")]
        text,
    }
}
