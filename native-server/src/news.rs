//! What is told of changed keys: keyspace notifications, and invalidations to clients that track.
//!
//! Invariant: an event goes by Redis's name for it: that of the command that made the change, where
//! the engine's effect has another.
//! Not here: how a change becomes known (changes.rs).

use std::sync::atomic::{AtomicU32, Ordering};

use crate::pubsub::{Kind, PubSub};
use crate::tracking::Tracking;

/// Whom changes may concern, beside those who watch or wait for a key.
#[derive(Default)]
pub struct News {
    /// Who listens to messages.
    pub pubsub: PubSub,
    /// Who tracks keys.
    pub tracking: Tracking,
    /// The classes of events that are told, as bits.
    classes: AtomicU32,
}

/// Who makes a change, and by what.
#[derive(Clone, Copy, Default)]
pub struct Origin<'a> {
    /// The command's name; empty if nobody asked for the change.
    pub command: &'static str,
    /// The client's number.
    pub client: u64,
    /// What the command was given, where it is known.
    pub arguments: &'a [&'a [u8]],
}

/// The letters of `notify-keyspace-events`; a class is the bit of its position.
const LETTERS: &str = "KEg$lshzxetdnm";

fn class(letter: char) -> u32 {
    LETTERS.find(letter).map_or(0, |position| 1 << position)
}

impl News {
    /// Tells of these classes from now on.
    pub fn set_classes(&self, letters: &str) {
        let all = "g$lshzxetd";
        let each =
            |letter| if letter == 'A' { all.chars().map(class).sum() } else { class(letter) };
        let classes = letters.chars().map(each).fold(0, |all, one| all | one);
        // Without K or E nobody is told anything.
        let is_told = classes & (class('K') | class('E')) != 0;
        self.classes.store(if is_told { classes } else { 0 }, Ordering::Relaxed);
    }

    /// Whether anybody wants to know of changes.
    #[inline]
    pub fn is_wanted(&self) -> bool {
        self.classes.load(Ordering::Relaxed) != 0 || self.tracking.is_active()
    }

    /// Tells of an event.
    pub fn notify(&self, database: usize, letter: char, event: &str, key: &[u8]) {
        let classes = self.classes.load(Ordering::Relaxed);
        if classes & class(letter) == 0 {
            return;
        }
        if classes & class('K') != 0 {
            let channel = [format!("__keyspace@{database}__:").as_bytes(), key].concat();
            self.pubsub.publish(Kind::Channel, &channel, event.as_bytes());
        }
        if classes & class('E') != 0 {
            let channel = format!("__keyevent@{database}__:{event}");
            self.pubsub.publish(Kind::Channel, channel.as_bytes(), key);
        }
    }

    /// Whether it is told which keys are new, or which are missed.
    pub fn tells_absence(&self) -> bool {
        self.classes.load(Ordering::Relaxed) & (class('n') | class('m')) != 0
    }

    /// Whether events of any class are told.
    pub fn has_classes(&self) -> bool {
        self.classes.load(Ordering::Relaxed) != 0
    }
}

/// An event: its class and its name.
pub type Event = (char, &'static str);

/// Events by the effect that the engine makes known, unless the command says otherwise.
const BY_EFFECT: &[(&str, Event)] = &[
    ("append", ('$', "append")),
    ("copy", ('g', "copy_to")),
    ("del", ('g', "del")),
    ("hdel", ('h', "hdel")),
    ("hincrby", ('h', "hincrby")),
    ("hpersist", ('h', "hpersist")),
    ("hpexpireat", ('h', "hexpire")),
    ("hset", ('h', "hset")),
    ("incrby", ('$', "incrby")),
    ("linsert", ('l', "linsert")),
    ("lpop", ('l', "lpop")),
    ("lpush", ('l', "lpush")),
    ("lrem", ('l', "lrem")),
    ("lset", ('l', "lset")),
    ("ltrim", ('l', "ltrim")),
    ("mset", ('$', "set")),
    ("persist", ('g', "persist")),
    ("pexpireat", ('g', "expire")),
    ("pfadd", ('$', "pfadd")),
    ("restore", ('g', "restore")),
    ("rpop", ('l', "rpop")),
    ("rpush", ('l', "rpush")),
    ("sadd", ('s', "sadd")),
    ("set", ('$', "set")),
    ("setrange", ('$', "setrange")),
    ("srem", ('s', "srem")),
    ("xadd", ('t', "xadd")),
    ("xdel", ('t', "xdel")),
    ("xsetid", ('t', "xsetid")),
    ("xtrim", ('t', "xtrim")),
    ("zadd", ('z', "zadd")),
    ("zrem", ('z', "zrem")),
    ("zremrangebyrank", ('z', "zremrangebyrank")),
];

/// Events by the command, where its effect is told under another name.
const BY_COMMAND: &[(&str, Event)] = &[
    ("bitfield", ('$', "setbit")),
    ("bzpopmax", ('z', "zpopmax")),
    ("bzpopmin", ('z', "zpopmin")),
    ("georadius", ('z', "georadiusstore")),
    ("georadiusbymember", ('z', "georadiusstore")),
    ("geosearchstore", ('z', "geosearchstore")),
    ("hincrby", ('h', "hincrby")),
    ("hincrbyfloat", ('h', "hincrbyfloat")),
    ("incrbyfloat", ('$', "incrbyfloat")),
    ("pfadd", ('$', "pfadd")),
    ("pfmerge", ('$', "pfadd")),
    ("sdiffstore", ('s', "sdiffstore")),
    ("setbit", ('$', "setbit")),
    ("sinterstore", ('s', "sinterstore")),
    ("sort", ('l', "sortstore")),
    ("spop", ('s', "spop")),
    ("sunionstore", ('s', "sunionstore")),
    ("zdiffstore", ('z', "zdiffstore")),
    ("zincrby", ('z', "zincr")),
    ("zinterstore", ('z', "zinterstore")),
    ("zpopmax", ('z', "zpopmax")),
    ("zpopmin", ('z', "zpopmin")),
    ("zrangestore", ('z', "zrangestore")),
    ("zremrangebylex", ('z', "zremrangebylex")),
    ("zremrangebyscore", ('z', "zremrangebyscore")),
    ("zunionstore", ('z', "zunionstore")),
];

/// Events of groups of streams, by XGROUP's subcommand.
const BY_SUBCOMMAND: &[(&str, Event)] = &[
    ("create", ('t', "xgroup-create")),
    ("createconsumer", ('t', "xgroup-createconsumer")),
    ("delconsumer", ('t', "xgroup-delconsumer")),
    ("destroy", ('t', "xgroup-destroy")),
    ("setid", ('t', "xgroup-setid")),
];

/// The event of a change to a stream's groups. What XREADGROUP moves on is told of nowhere.
pub fn group_event(command: &str, subcommand: &[u8]) -> Option<Event> {
    if !command.starts_with("xgroup") && subcommand.eq_ignore_ascii_case(b"setid") {
        return None;
    }
    let is_it = |(name, _): &&(&str, Event)| subcommand.eq_ignore_ascii_case(name.as_bytes());
    BY_SUBCOMMAND.iter().find(is_it).map(|(_, event)| *event)
}

/// Whether who watches or tracks the key at a position of an effect hears of it. As in Redis nobody
/// is told of what happens to a stream's groups, nor of what is merely copied.
pub fn touches(effect: &str, position: usize) -> bool {
    match effect {
        "copy" => position == 2,
        "xack" | "xclaim" | "xgroup" | "xsetid" => false,
        _ => true,
    }
}

/// Whether ZADD was asked to add to a score, as ZINCRBY does.
fn increments(arguments: &[&[u8]]) -> bool {
    let is = |option: &[u8], word: &[u8]| option.eq_ignore_ascii_case(word);
    let options: [&[u8]; 6] = [b"nx", b"xx", b"gt", b"lt", b"ch", b"incr"];
    let is_option = |option: &&&[u8]| options.iter().any(|word| is(option, word));
    arguments.iter().skip(1).take_while(is_option).any(|option| is(option, b"incr"))
}

/// Whether a command that sets a string with a deadline was asked for that deadline.
pub fn gives_deadline(origin: &Origin<'_>) -> bool {
    let keeps = |option: &&[u8]| option.eq_ignore_ascii_case(b"keepttl");
    match origin.command {
        "set" => !origin.arguments.iter().skip(2).any(keeps),
        command => matches!(command, "setex" | "psetex"),
    }
}

/// From which end ZMPOP and BZMPOP pop.
fn popped(arguments: &[&[u8]]) -> Event {
    // Behind the keys, which may be called so, too.
    let is = |word: &[u8], name: &[u8]| word.eq_ignore_ascii_case(name);
    let end = arguments.iter().rev().find(|word| is(word, b"min") || is(word, b"max"));
    ('z', if end.is_some_and(|end| is(end, b"max")) { "zpopmax" } else { "zpopmin" })
}

/// The event of an effect. `None` for one that is told otherwise, or not at all.
pub fn event(origin: &Origin<'_>, effect: &str) -> Option<Event> {
    let command = origin.command;
    let find = |table: &[(&str, Event)], name: &str| {
        table.iter().find(|(other, _)| *other == name).map(|(_, event)| *event)
    };
    // What a command drops it drops under its own name or not: that is the same for all.
    let by_command = || find(BY_COMMAND, command);
    match (command, effect) {
        // What it keeps for the next time is no change.
        ("pfcount", _) => return None,
        ("zmpop" | "bzmpop", _) => return Some(popped(origin.arguments)),
        ("zadd", "zadd") if increments(origin.arguments) => return Some(('z', "zincr")),
        ("move", "del") => return Some(('g', "move_from")),
        // It is told behind that.
        ("move", "restore") => return None,
        ("copy", "restore") => return Some(('g', "copy_to")),
        _ => {}
    }
    if matches!(effect, "del" | "persist" | "pexpireat" | "hdel") {
        return find(BY_EFFECT, effect);
    }
    by_command().or_else(|| find(BY_EFFECT, effect))
}

/// Whether an effect may leave a collection empty, which then is no more.
pub fn may_empty(effect: &str) -> bool {
    matches!(
        effect,
        "hdel" | "lpop" | "rpop" | "lrem" | "ltrim" | "lmove" | "srem" | "zrem" | "zremrangebyrank"
    )
}
