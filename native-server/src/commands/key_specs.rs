//! Where the keys of commands are, as COMMAND tells it to clients that route requests by them: what
//! to look for, and how many keys are found from there on.
//!
//! Invariant: it is made from the row's positions and from what is known of the keys' use, and says
//! nothing beside those.

use ferrite_engine::{Group, Keys, Reply, STORES};

use crate::commands::Command;
use crate::commands::key_use::{self, Use};
use crate::resp::wire::Wire;

/// Where keys begin.
enum Begin {
    /// At this argument.
    Index(i64),
    /// Behind this word, which is looked for from this argument on.
    Keyword(&'static str, i64),
    /// The request does not tell.
    Unknown,
}

/// Which arguments from there on are keys.
enum Find {
    /// Up to so many arguments further, or, if negative, up to so many before the last; only the
    /// first of `limit` parts, if there are any.
    Range { last: i64, step: i64, limit: i64 },
    /// As many as the argument says that is found; they stand behind it.
    Counted,
    /// The request does not tell.
    Unknown,
}

struct KeySpec {
    flags: Vec<&'static str>,
    begin: Begin,
    find: Find,
}

const ONE: Find = Find::Range { last: 0, step: 1, limit: 0 };

impl KeySpec {
    fn new(flags: Use, begin: Begin, find: Find) -> KeySpec {
        KeySpec { flags: flags.into(), begin, find }
    }

    fn write(&self, wire: &mut Wire<'_>) {
        wire.map(3);
        wire.text("flags");
        wire.set(self.flags.len());
        self.flags.iter().for_each(|flag| wire.status(flag));
        wire.text("begin_search");
        match &self.begin {
            Begin::Index(index) => written(wire, "index", &[("index", *index)]),
            Begin::Keyword(word, from) => {
                typed(wire, "keyword", 2);
                wire.text("keyword");
                wire.text(word);
                wire.text("startfrom");
                wire.integer(*from);
            }
            Begin::Unknown => written(wire, "unknown", &[]),
        }
        wire.text("find_keys");
        match self.find {
            Find::Range { last, step, limit } => {
                written(wire, "range", &[("lastkey", last), ("keystep", step), ("limit", limit)]);
            }
            Find::Counted => {
                written(wire, "keynum", &[("keynumidx", 0), ("firstkey", 1), ("keystep", 1)]);
            }
            Find::Unknown => written(wire, "unknown", &[]),
        }
    }
}

/// The kind of a search, and how many facts of it follow.
fn typed(wire: &mut Wire<'_>, kind: &str, facts: usize) {
    wire.map(2);
    wire.text("type");
    wire.text(kind);
    wire.text("spec");
    wire.map(facts);
}

fn written(wire: &mut Wire<'_>, kind: &str, facts: &[(&str, i64)]) {
    typed(wire, kind, facts.len());
    for (name, value) in facts {
        wire.text(name);
        wire.integer(*value);
    }
}

/// Answers the specifications of a command's keys.
pub fn write(command: &Command, wire: &mut Wire<'_>) {
    let specs = specs(command);
    wire.array(specs.len());
    specs.iter().for_each(|spec| spec.write(wire));
}

/// How many there are.
pub fn count(command: &Command) -> usize {
    specs(command).len()
}

fn specs(command: &Command) -> Vec<KeySpec> {
    let channels = |last| {
        let find = Find::Range { last, step: 1, limit: 0 };
        vec![KeySpec::new(&["not_key"], Begin::Index(1), find)]
    };
    match command.name {
        "spublish" => return channels(0),
        "ssubscribe" | "sunsubscribe" => return channels(-1),
        _ => {}
    }
    let [first, others] = key_use::of(command, &[]);
    let mut specs = named(command, first, others);
    if let ("set" | "bitfield", Some(spec)) = (command.name, specs.first_mut()) {
        // The worst of what its options make it do.
        spec.flags = vec!["RW", "access", "update", "variable_flags"];
    }
    let from = command.keys.first + if command.name == "georadius" { 5 } else { 4 };
    match command.group {
        Group::Geo if command.has(STORES) => {
            for word in ["STORE", "STOREDIST"] {
                let begin = Begin::Keyword(word, from.into());
                specs.push(KeySpec::new(key_use::STORED, begin, ONE));
            }
        }
        // What BY and GET name depends on what is sorted, and STORE may stand anywhere.
        Group::Generic if command.name.starts_with("sort") => {
            specs.push(KeySpec::new(first, Begin::Unknown, Find::Unknown));
            if command.has(STORES) {
                specs.push(KeySpec::new(key_use::STORED, Begin::Unknown, Find::Unknown));
            }
        }
        _ => {}
    }
    specs
}

/// The specifications of keys whose places the row tells.
fn named(command: &Command, first: Use, others: Use) -> Vec<KeySpec> {
    let Keys { first: at, last, step } = command.keys;
    let (at, last, step) = (i64::from(at), i64::from(last), i64::from(step));
    if command.keys == Keys::BEHIND_STREAMS {
        let from = if command.name == "xread" { 1 } else { 4 };
        let find = Find::Range { last: -1, step: 1, limit: 2 };
        return vec![KeySpec::new(first, Begin::Keyword("STREAMS", from), find)];
    }
    if at == 0 {
        return Vec::new();
    }
    if last == 0 {
        let counted = |words| KeySpec::new(words, Begin::Index(at), Find::Counted);
        return match command.name.ends_with("store") {
            true => vec![KeySpec::new(first, Begin::Index(at - 1), ONE), counted(others)],
            false => vec![counted(first)],
        };
    }
    let range = |words, begin: i64| {
        let last = if last < 0 { last } else { last - begin };
        KeySpec::new(words, Begin::Index(begin), Find::Range { last, step, limit: 0 })
    };
    match first == others {
        true => vec![range(first, at)],
        false => vec![KeySpec::new(first, Begin::Index(at), ONE), range(others, at + step)],
    }
}
