//! Subcommands of the engine's commands. The engine takes them as arguments of one row; here each
//! is a command that is counted, described and looked at for its arguments like the others.
//!
//! Invariant: whatever stands here the engine knows under the same name.

use ferrite_engine::{Arity, DENYOOM, READ, WRITE};

/// A subcommand. Which arguments are keys says the row that it belongs to.
pub struct Part {
    /// Its name, with that of its command before it.
    pub name: &'static str,
    /// How many arguments it takes.
    pub arity: Arity,
    /// See the row's.
    pub flags: u16,
    /// Since when Redis has it.
    pub since: &'static str,
    /// What it is followed by.
    pub syntax: &'static str,
    /// What it does.
    pub summary: &'static str,
}

const fn part(
    name: &'static str,
    arity: Arity,
    flags: u16,
    since: &'static str,
    syntax: &'static str,
    summary: &'static str,
) -> Part {
    Part { name, arity, flags, since, syntax, summary }
}

use Arity::{AtLeast, Exactly};

/// All of them.
pub const PARTS: &[Part] = &[
    part(
        "xgroup|create",
        AtLeast(5),
        WRITE | DENYOOM,
        "5.0.0",
        "key group <id | $> [MKSTREAM] [ENTRIESREAD entries-read]",
        "Makes a group of consumers.",
    ),
    part(
        "xgroup|createconsumer",
        Exactly(5),
        WRITE | DENYOOM,
        "6.2.0",
        "key group consumer",
        "Makes a consumer in a group.",
    ),
    part(
        "xgroup|delconsumer",
        Exactly(5),
        WRITE,
        "5.0.0",
        "key group consumer",
        "Drops a consumer of a group.",
    ),
    part("xgroup|destroy", Exactly(4), WRITE, "5.0.0", "key group", "Drops a group."),
    part("xgroup|help", Exactly(2), 0, "5.0.0", "", "Prints this help."),
    part(
        "xgroup|setid",
        AtLeast(5),
        WRITE,
        "5.0.0",
        "key group <id | $> [ENTRIESREAD entries-read]",
        "Sets the last entry that a group was given.",
    ),
    part(
        "xinfo|consumers",
        Exactly(4),
        READ,
        "5.0.0",
        "key group",
        "Describes the consumers of a group.",
    ),
    part("xinfo|groups", Exactly(3), READ, "5.0.0", "key", "Describes the groups of a stream."),
    part("xinfo|help", Exactly(2), 0, "5.0.0", "", "Prints this help."),
    part(
        "xinfo|stream",
        AtLeast(3),
        READ,
        "5.0.0",
        "key [FULL [COUNT count]]",
        "Describes a stream.",
    ),
];
