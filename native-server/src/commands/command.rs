//! COMMAND: what the table says, to whoever asks.

use ferrite_engine::{Args, Arity, DENYOOM, FAST, Group, Keys, READ, Reply, STORES, WRITE, docs};

use crate::commands::arguments::Arguments;
use crate::commands::flags::{
    ADMIN, ALLOW_BUSY, BLOCKING, NO_AUTH, NO_MULTI, NO_SCRIPT, PUBSUB, SKIP_MONITOR,
};
use crate::commands::key_use::{self, Use};
use crate::commands::{
    Action, Command, ROW, Result, ServerSpec, key_specs, keys_of, stored_in, table, tips,
};
use crate::context::Context;
use crate::glob;

const COMMAND_ROW: ServerSpec = ServerSpec { since: docs("2.8.13"), flags: 0, ..ROW };

pub(crate) const COMMANDS: &[ServerSpec] = &[
    ServerSpec {
        name: "command",
        arity: Arity::AtLeast(1),
        summary: docs("Describes all commands."),
        run: info,
        ..COMMAND_ROW
    },
    ServerSpec {
        name: "command|count",
        arity: Arity::Exactly(2),
        summary: docs("Returns how many commands there are."),
        run: |cx, _| {
            cx.wire.integer(table().all().len() as i64);
            Ok(())
        },
        ..COMMAND_ROW
    },
    ServerSpec {
        name: "command|docs",
        since: docs("7.0.0"),
        syntax: docs("[command-name [command-name ...]]"),
        summary: docs("Returns the documentation of commands."),
        run: docs_of,
        ..COMMAND_ROW
    },
    ServerSpec {
        name: "command|getkeys",
        arity: Arity::AtLeast(4),
        syntax: docs("command [arg ...]"),
        summary: docs("Returns the keys of a request."),
        run: getkeys,
        ..COMMAND_ROW
    },
    ServerSpec {
        name: "command|getkeysandflags",
        arity: Arity::AtLeast(4),
        since: docs("7.0.0"),
        syntax: docs("command [arg ...]"),
        summary: docs("Returns the keys of a request, and what it does with each."),
        run: getkeysandflags,
        ..COMMAND_ROW
    },
    ServerSpec {
        name: "command|info",
        syntax: docs("[command-name [command-name ...]]"),
        summary: docs("Describes commands."),
        run: info,
        ..COMMAND_ROW
    },
    ServerSpec {
        name: "command|list",
        since: docs("7.0.0"),
        syntax: docs("[FILTERBY <MODULE module-name | ACLCAT category | PATTERN pattern>]"),
        summary: docs("Returns the names of commands."),
        run: list,
        ..COMMAND_ROW
    },
];

/// A command's flags, as Redis names them.
fn flag_names(command: &Command) -> Vec<&'static str> {
    let names = [
        (READ, "readonly"),
        (WRITE, "write"),
        (DENYOOM, "denyoom"),
        (ADMIN, "admin"),
        (PUBSUB, "pubsub"),
        (NO_SCRIPT, "noscript"),
        (BLOCKING, "blocking"),
        (NO_AUTH, "no_auth"),
        (NO_MULTI, "no_multi"),
        (SKIP_MONITOR, "skip_monitor"),
        (ALLOW_BUSY, "allow_busy"),
        (FAST, "fast"),
    ];
    let mut names: Vec<_> =
        names.iter().filter(|(flag, _)| command.has(*flag)).map(|(_, name)| *name).collect();
    if command.name == "exec" {
        names.push("skip_slowlog");
    }
    if is_about_hyperloglogs_inside(command) {
        names.push("admin");
    }
    // Scripts may have no keys.
    if is_counted(command) && command.group == Group::Scripting {
        names.push("no_mandatory_keys");
    }
    // What BY and GET of SORT name depends on the request, too.
    if is_counted(command) || command.has(STORES) || command.name == "sort_ro" {
        names.push("movablekeys");
    }
    names
}

/// Every category, in Redis's order.
pub const CATEGORIES: &[&str] = &[
    "keyspace",
    "read",
    "write",
    "set",
    "sortedset",
    "list",
    "hash",
    "string",
    "bitmap",
    "hyperloglog",
    "geo",
    "stream",
    "pubsub",
    "admin",
    "fast",
    "slow",
    "blocking",
    "dangerous",
    "connection",
    "transaction",
    "scripting",
];

/// Commands whose category is not their group's, or that have more than that one.
const FURTHER: &[(&str, &[&str])] = &[
    ("keyspace", &["dbsize", "flushall", "flushdb", "swapdb"]),
    ("set", &["sort", "sort_ro"]),
    ("sortedset", &["sort", "sort_ro"]),
    ("list", &["sort", "sort_ro"]),
    ("admin", &["lastsave", "pfdebug", "pfselftest", "role"]),
    (
        "dangerous",
        &[
            "flushall",
            "flushdb",
            "info",
            "keys",
            "lastsave",
            "pfdebug",
            "pfselftest",
            "restore",
            "role",
            "sort",
            "sort_ro",
            "swapdb",
        ],
    ),
    ("connection", &["asking", "command", "wait"]),
];

/// The categories of a command, without their `@`, as Redis has them.
pub fn categories(command: &Command) -> Vec<&'static str> {
    if is_container(command) {
        return vec!["slow"];
    }
    let name = command.name;
    let family = name.split('|').next().unwrap_or_default();
    let own = match command.group {
        Group::Generic if matches!(name, "sort" | "sort_ro" | "wait") => "",
        Group::Generic => "keyspace",
        Group::SortedSet => "sortedset",
        Group::Transactions => "transaction",
        Group::HyperLogLog => "hyperloglog",
        Group::PubSub if name.ends_with("|help") => "",
        Group::PubSub => "pubsub",
        Group::Server => "",
        group => group.name(),
    };
    let is_in = |category: &str| {
        let further = FURTHER.iter().find(|(other, _)| *other == category);
        let is_listed = further.is_some_and(|(_, names)| names.contains(&family));
        is_listed
            || category == own
            || match category {
                "write" => command.has(WRITE),
                "read" => command.has(READ) && command.group != Group::Scripting,
                "admin" | "dangerous" => command.has(ADMIN),
                "pubsub" => command.has(PUBSUB) && !name.ends_with("|help"),
                "blocking" => command.has(BLOCKING),
                "fast" => command.has(FAST),
                "slow" => !command.has(FAST),
                _ => false,
            }
    };
    CATEGORIES.iter().copied().filter(|category| is_in(category)).collect()
}

fn is_counted(command: &Command) -> bool {
    command.keys.last == 0 && command.keys.first > 0 || command.keys == Keys::BEHIND_STREAMS
}

/// The engine's rows have no flag for what is for operators.
fn is_about_hyperloglogs_inside(command: &Command) -> bool {
    matches!(command.name, "pfdebug" | "pfselftest")
}

/// Whether it is nothing without a subcommand.
fn is_container(command: &Command) -> bool {
    matches!(command.action, Action::Subcommand) && !command.subcommands.is_empty()
}

/// The positions of its keys. In clusters channels of shards go by slots as keys do.
fn positions(command: &Command) -> [i8; 3] {
    let Keys { first, last, step } = command.keys;
    match command.name {
        "spublish" => [1, 1, 1],
        "ssubscribe" | "sunsubscribe" => [1, -1, 1],
        _ if is_container(command) => [0, 0, 0],
        name if is_counted(command) && name.ends_with("store") => [1, 1, 1],
        _ if is_counted(command) => [0, 0, 0],
        _ => [first, last, step],
    }
}

fn describe(cx: &mut Context<'_>, command: &Command) {
    let wire = &mut cx.wire;
    wire.array(10);
    wire.text(command.name);
    wire.integer(match command.arity {
        Arity::Exactly(count) => count as i64,
        Arity::AtLeast(least) => -(least as i64),
    });
    let names = if is_container(command) { Vec::new() } else { flag_names(command) };
    wire.set(names.len());
    names.iter().for_each(|name| wire.status(name));
    positions(command).iter().for_each(|&position| wire.integer(position.into()));
    let categories = categories(command);
    wire.set(categories.len());
    categories.iter().for_each(|category| wire.status(&format!("@{category}")));
    let tips = tips::of(command.name);
    wire.array(tips.len());
    tips.iter().for_each(|tip| wire.text(tip));
    match is_container(command) {
        true => wire.array(0),
        false => key_specs::write(command, wire),
    }
    wire.array(command.subcommands.len());
    command.subcommands.iter().for_each(|sub| describe(cx, sub));
}

fn info(cx: &mut Context<'_>, args: &mut Args<'_>) -> Result<()> {
    if args.len() == 0 {
        let all = table().all();
        cx.wire.array(all.len());
        all.iter().for_each(|command| describe(cx, command));
        return Ok(());
    }
    cx.wire.array(args.len());
    for name in args {
        match table().named(name) {
            Some(command) => describe(cx, command),
            None => cx.wire.null(),
        }
    }
    Ok(())
}

fn docs_of(cx: &mut Context<'_>, args: &mut Args<'_>) -> Result<()> {
    let commands: Vec<_> = match args.len() {
        0 => table().all().iter().collect(),
        _ => args.filter_map(|name| table().named(name)).collect(),
    };
    cx.wire.map(commands.len());
    commands.into_iter().for_each(|command| document(cx, command));
    Ok(())
}

fn document(cx: &mut Context<'_>, command: &Command) {
    let wire = &mut cx.wire;
    wire.text(command.name);
    let subcommands = &command.subcommands;
    let facts = [
        ("summary", command.summary),
        ("since", command.since),
        ("group", command.group.name()),
        ("syntax", command.syntax),
    ];
    let arguments = Arguments::of(command);
    let more = [!arguments.is_empty(), !subcommands.is_empty()].map(usize::from);
    wire.map(facts.len() + more.iter().sum::<usize>());
    for (name, fact) in facts {
        wire.text(name);
        wire.text(fact);
    }
    if !arguments.is_empty() {
        arguments.write(wire);
    }
    if !subcommands.is_empty() {
        wire.text("subcommands");
        wire.map(subcommands.len());
        subcommands.iter().for_each(|sub| document(cx, sub));
    }
}

fn getkeys(cx: &mut Context<'_>, args: &mut Args<'_>) -> Result<()> {
    let keys: Vec<&[u8]> = keys_in(args.as_slice())?.into_iter().map(|(key, _)| key).collect();
    cx.wire.texts(&keys);
    Ok(())
}

fn getkeysandflags(cx: &mut Context<'_>, args: &mut Args<'_>) -> Result<()> {
    let keys = keys_in(args.as_slice())?;
    cx.wire.array(keys.len());
    for (key, words) in keys {
        cx.wire.array(2);
        cx.wire.text(key);
        cx.wire.set(words.len());
        words.iter().for_each(|word| cx.wire.status(word));
    }
    Ok(())
}

/// The keys of a request, with what it does with each.
fn keys_in<'a>(request: &[&'a [u8]]) -> Result<Vec<(&'a [u8], Use)>> {
    let name = request.first().copied().unwrap_or_default();
    let command = table().find(name).ok_or("ERR Invalid command specified")?;
    let sub = request.get(1).and_then(|name| command.subcommand(name));
    let command = sub.unwrap_or(command);
    if !command.arity.allows(request.len()) {
        return Err("ERR Invalid number of arguments specified for command".into());
    }
    if command.keys == Keys::NONE {
        return Err("ERR The command has no key arguments".into());
    }
    let places = places_of_keys(command, request);
    // Scripts may have none.
    if places.is_empty() && command.group != Group::Scripting {
        return Err("ERR Invalid arguments specified for command".into());
    }
    Ok(places.into_iter().map(|(at, words)| (request[at], words)).collect())
}

/// Where the keys of a command are in a request, and what it does with each.
pub fn places_of_keys(command: &Command, request: &[&[u8]]) -> Vec<(usize, Use)> {
    let text = |at: usize| request.get(at).copied().unwrap_or_default();
    let [first, others] = key_use::of(command, request);
    let uses = std::iter::once(first).chain(std::iter::repeat(others));
    let mut places: Vec<(usize, Use)> =
        keys_of(command.name, command.keys, request.len(), text).zip(uses).collect();
    places.extend(stored_in(command, request).map(|at| (at, key_use::STORED)));
    places
}

fn list(cx: &mut Context<'_>, args: &mut Args<'_>) -> Result<()> {
    let is_listed: Box<dyn Fn(&Command) -> bool> = match args.as_slice() {
        [] => Box::new(|_| true),
        [filter, kind, value] if filter.eq_ignore_ascii_case(b"filterby") => {
            let value = value.to_ascii_lowercase();
            match kind.to_ascii_lowercase().as_slice() {
                b"module" => Box::new(|_| false),
                b"aclcat" => Box::new(move |command| {
                    categories(command).iter().any(|category| category.as_bytes() == value)
                }),
                b"pattern" => Box::new(move |command| glob::matches(&value, command.name)),
                _ => return Err(ferrite_engine::Error::Syntax.into()),
            }
        }
        _ => return Err(ferrite_engine::Error::Syntax.into()),
    };
    let names: Vec<_> =
        table().each().filter(|command| is_listed(command)).map(|command| command.name).collect();
    cx.wire.texts(&names);
    Ok(())
}
