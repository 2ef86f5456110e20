//! The command table: the engine's rows and the server's own, found by name.
//!
//! A command of the server is declared as one of the engine is: a row beside its function. `A|B` is
//! the subcommand B of A. Where both have a row of one name the server's holds: it does the same
//! and more.
//!
//! Invariant: whoever wants to know something of commands (dispatch, COMMAND, transactions, errors)
//! reads these rows.

pub mod acl;
pub mod arguments;
pub mod blocking;
pub mod checkpoint;
pub mod client;
pub mod command;
pub mod config;
pub mod connection;
pub mod debug;
pub mod debugging;
pub mod digest;
pub mod functions;
pub mod gate;
pub mod info;
pub mod key_specs;
pub mod key_use;
pub mod keyspace;
pub mod latency;
pub mod memory;
pub mod object;
pub mod parts;
pub mod persistence;
pub mod pubsub;
pub mod replication;
pub mod scripting;
pub mod tips;
pub mod tracking;
pub mod transaction;

use std::borrow::Cow;
use std::sync::LazyLock;

use ferrite_engine::{Args, Arity, Error, FAST, Group, Keys, Reply, Run, STORES, Spec, all};

use crate::commands::parts::{PARTS, Part};
use crate::context::Context;
use crate::number;
use crate::resp::wire::Wire;

/// What runs a command of the server.
pub type ServerRun = fn(&mut Context<'_>, &mut Args<'_>) -> Result<()>;

/// The row of a command of the server.
pub type ServerSpec = Spec<ServerRun>;

/// Flags that the engine's rows have no use for: who may run a command, and where.
pub mod flags {
    /// It may be run while a script runs for long: it locks no database.
    pub const ALLOW_BUSY: u16 = 1 << 6;
    /// For operators.
    pub const ADMIN: u16 = 1 << 8;
    /// Not from scripts.
    pub const NO_SCRIPT: u16 = 1 << 9;
    /// It is about messages.
    pub const PUBSUB: u16 = 1 << 10;
    /// Strangers may run it.
    pub const NO_AUTH: u16 = 1 << 11;
    /// It may wait.
    pub const BLOCKING: u16 = 1 << 12;
    /// Not in a transaction.
    pub const NO_MULTI: u16 = 1 << 13;
    /// MONITOR shows it before the commands that it runs.
    pub const SKIP_MONITOR: u16 = 1 << 14;
    /// It touches databases other than the one selected.
    pub const ALL_DATABASES: u16 = 1 << 15;
}

/// Why a command is refused.
#[derive(Debug)]
pub enum Refusal {
    /// The engine says so.
    Engine(Error),
    /// The server does, with this line.
    Line(Cow<'static, str>),
}

/// The result of a command of the server.
pub type Result<T, E = Refusal> = std::result::Result<T, E>;

impl From<Error> for Refusal {
    fn from(error: Error) -> Refusal {
        Refusal::Engine(error)
    }
}

impl From<&'static str> for Refusal {
    fn from(line: &'static str) -> Refusal {
        Refusal::Line(line.into())
    }
}

impl From<String> for Refusal {
    fn from(line: String) -> Refusal {
        Refusal::Line(line.into())
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Refusal::Engine(error) => error.fmt(formatter),
            Refusal::Line(line) => formatter.write_str(line),
        }
    }
}

impl From<Cow<'static, str>> for Refusal {
    fn from(line: Cow<'static, str>) -> Refusal {
        Refusal::Line(line)
    }
}

impl Refusal {
    /// Answers it, as the command of this name does.
    pub fn answer(&self, command: &str, wire: &mut Wire<'_>) {
        match self {
            Refusal::Engine(error) => wire.error(&error.parts(command).map(str::as_bytes)),
            Refusal::Line(line) => wire.error_text(line),
        }
    }
}

/// What a command does.
pub enum Action {
    /// Something with the keys of one database.
    Engine(Run),
    /// Anything.
    Server(ServerRun),
    /// What its first argument says.
    Subcommand,
}

/// A command, with what its row says.
#[allow(missing_docs, reason = "as in the row")]
pub struct Command {
    /// Its number: where its figures are.
    pub id: u16,
    pub name: &'static str,
    pub arity: Arity,
    pub keys: Keys,
    pub flags: u16,
    pub group: Group,
    pub since: &'static str,
    pub syntax: &'static str,
    pub summary: &'static str,
    pub action: Action,
    pub subcommands: Vec<Command>,
    /// Whether it is over so soon that measuring it would cost more than it does.
    pub is_brief: bool,
    /// Whether it goes on under the lock of the commands before it.
    pub keeps_lock: bool,
}

impl Command {
    fn of<R: Copy>(row: &'static Spec<R>, action: Action) -> Command {
        let is_of_one_string = row.group == Group::String && row.keys == Keys::FIRST;
        Command {
            id: 0,
            name: row.name,
            arity: row.arity,
            keys: row.keys,
            flags: row.flags,
            group: row.group,
            since: &row.since,
            syntax: &row.syntax,
            summary: &row.summary,
            is_brief: row.flags & FAST != 0 && matches!(action, Action::Engine(_))
                || is_of_one_string,
            action,
            keeps_lock: row.keys != Keys::NONE
                || row.flags & flags::ALL_DATABASES != 0
                || row.name == "exec",
            subcommands: Vec::new(),
        }
    }

    /// A command of the engine, with its subcommands if it has some.
    fn with_parts(row: &'static Spec) -> Command {
        let run = || Action::Engine(row.run);
        let mut command = Command::of(row, run());
        let is_own = |part: &&Part| {
            part.name.strip_prefix(row.name).is_some_and(|name| name.starts_with('|'))
        };
        let part = |part: &'static Part| Command {
            name: part.name,
            arity: part.arity,
            keys: if part.flags == 0 { Keys::NONE } else { row.keys },
            flags: part.flags,
            since: part.since,
            syntax: part.syntax,
            summary: part.summary,
            ..Command::of(row, run())
        };
        command.subcommands = PARTS.iter().filter(is_own).map(part).collect();
        if !command.subcommands.is_empty() {
            command.action = Action::Subcommand;
        }
        command
    }

    /// The subcommand that tells of the others.
    fn help(container: &'static ServerSpec) -> Command {
        // There is one table, which lives as long as the process.
        let name = Box::leak(format!("{}|help", container.name).into_boxed_str());
        let row = &HELP_ROW;
        let action = Action::Subcommand;
        Command { name, group: container.group, ..Command::of(row, action) }
    }

    /// Whether its row has this flag.
    pub fn has(&self, flag: u16) -> bool {
        self.flags & flag != 0
    }

    /// The subcommand of this name.
    pub fn subcommand(&self, name: &[u8]) -> Option<&Command> {
        self.subcommands.iter().find(|sub| name.eq_ignore_ascii_case(sub.own_name().as_bytes()))
    }

    /// Its name without that of the command it belongs to.
    pub fn own_name(&self) -> &'static str {
        self.name.split_once('|').map_or(self.name, |(_, name)| name)
    }
}

/// The server's rows.
const FAMILIES: &[&[ServerSpec]] = &[
    acl::COMMANDS,
    blocking::COMMANDS,
    checkpoint::COMMANDS,
    client::COMMANDS,
    command::COMMANDS,
    config::COMMANDS,
    connection::COMMANDS,
    debug::COMMANDS,
    functions::COMMANDS,
    gate::COMMANDS,
    info::COMMANDS,
    keyspace::COMMANDS,
    latency::COMMANDS,
    memory::COMMANDS,
    object::COMMANDS,
    persistence::COMMANDS,
    pubsub::COMMANDS,
    replication::COMMANDS,
    scripting::COMMANDS,
    tracking::COMMANDS,
    transaction::COMMANDS,
];

/// All commands.
pub struct Table {
    commands: Vec<Command>,
    /// Where the command is whose name leads here; several lie one behind the other.
    slots: Box<[Option<u16>; SLOTS]>,
    count: u16,
}

const SLOTS: usize = 4096;

static TABLE: LazyLock<Table> = LazyLock::new(Table::new);

/// The command table.
#[inline]
pub fn table() -> &'static Table {
    &TABLE
}

impl Table {
    fn new() -> Table {
        let server = || FAMILIES.iter().copied().flatten();
        let is_server = |name| server().any(|row| row.name == name);
        let engine = all().filter(|row| !is_server(row.name));
        let engine = engine.map(|row| {
            let waits = blocking::READS.iter().find(|(name, _)| *name == row.name);
            match waits {
                Some((_, run)) => {
                    let mut command = Command::of(row, Action::Server(*run));
                    command.flags |= flags::BLOCKING;
                    command
                }
                None => Command::with_parts(row),
            }
        });
        let top = server().filter(|row| !row.name.contains('|'));
        let top = top.map(|row| {
            let prefix = format!("{}|", row.name);
            let own = server().filter(|sub| sub.name.starts_with(&prefix));
            let mut command = Command::of(row, Action::Server(row.run));
            command.subcommands =
                own.map(|sub| Command::of(sub, Action::Server(sub.run))).collect();
            if !command.subcommands.is_empty() {
                if command.subcommand(b"help").is_none() {
                    command.subcommands.push(Command::help(row));
                }
                if command.arity == Arity::AtLeast(2) {
                    command.action = Action::Subcommand;
                }
            }
            command
        });
        let mut commands: Vec<Command> = engine.chain(top).collect();
        commands.sort_by_key(|command| command.name);
        let mut table = Table { commands: Vec::new(), slots: Box::new([None; SLOTS]), count: 0 };
        for (position, command) in commands.iter_mut().enumerate() {
            for command in std::iter::once(&mut *command) {
                command.id = table.count;
                table.count += 1;
                for sub in &mut command.subcommands {
                    sub.id = table.count;
                    table.count += 1;
                }
            }
            let mut slot = slot_of(command.name.as_bytes());
            while table.slots[slot].is_some() {
                slot = (slot + 1) % SLOTS;
            }
            table.slots[slot] = Some(position as u16);
        }
        table.commands = commands;
        table
    }

    /// The command of this name, in upper or lower case.
    #[inline]
    pub fn find(&self, name: &[u8]) -> Option<&Command> {
        let mut slot = slot_of(name);
        while let Some(position) = self.slots[slot] {
            let command = &self.commands[usize::from(position)];
            if name.eq_ignore_ascii_case(command.name.as_bytes()) {
                return Some(command);
            }
            slot = (slot + 1) % SLOTS;
        }
        None
    }

    /// The command of this name, or, behind a bar, its subcommand.
    pub fn named(&self, name: &[u8]) -> Option<&Command> {
        match name.iter().position(|&byte| byte == b'|') {
            None => self.find(name),
            Some(bar) => self.find(name.get(..bar)?)?.subcommand(name.get(bar + 1..)?),
        }
    }

    /// Every command, by name; subcommands are in theirs.
    pub fn all(&self) -> &[Command] {
        &self.commands
    }

    /// Every command and subcommand.
    pub fn each(&self) -> impl Iterator<Item = &Command> {
        self.commands
            .iter()
            .flat_map(|command| std::iter::once(command).chain(command.subcommands.iter()))
    }

    /// How many numbers commands and subcommands have.
    pub fn count(&self) -> usize {
        usize::from(self.count)
    }
}

/// Where a name leads: a few of its letters tell most commands apart.
#[inline]
fn slot_of(name: &[u8]) -> usize {
    let letter = |at: usize| name.get(at).map_or(0, |&byte| usize::from(byte | 0x20));
    let last = name.len().wrapping_sub(1);
    let mixed = letter(0)
        .wrapping_mul(31)
        .wrapping_add(letter(1))
        .wrapping_mul(31)
        .wrapping_add(letter(name.len() / 2))
        .wrapping_mul(31)
        .wrapping_add(letter(last))
        .wrapping_mul(31)
        .wrapping_add(name.len());
    (mixed ^ (mixed >> 12)) % SLOTS
}

/// Which arguments are keys: their positions, the name being at 0.
pub fn keys_of<'a, T: Fn(usize) -> &'a [u8]>(
    name: &str,
    keys: Keys,
    count: usize,
    text: T,
) -> impl Iterator<Item = usize> + use<'a, T> {
    let first = usize::try_from(keys.first).unwrap_or_default();
    let step = usize::try_from(keys.step).unwrap_or_default().max(1);
    // With a count of keys, what stands before it is the key that takes the result.
    let is_counted = keys.last == 0 && keys.first > 0;
    let mut destination = (is_counted && first == 2 && name.ends_with("store")).then_some(1);
    let (start, end) = if keys == Keys::BEHIND_STREAMS {
        // Half of what stands behind the word STREAMS.
        let is_word = |at: &usize| text(*at).eq_ignore_ascii_case(b"streams");
        let start = (1..count).find(is_word).map_or(count, |at| at + 1);
        (start, start + (count - start) / 2)
    } else if is_counted {
        let keys = number::integer(text(first)).and_then(|keys| usize::try_from(keys).ok());
        let end = keys.and_then(|keys| keys.checked_add(first + 1));
        let end = end.filter(|&end| end > first + 1 && end <= count);
        // More than there are, or none, is wrong: then there are no keys at all.
        destination = destination.filter(|_| end.is_some());
        (first + 1, end.unwrap_or_default())
    } else if keys.first == 0 {
        (0, 0)
    } else if keys.last < 0 {
        (first, (count + 1).saturating_sub(usize::from(keys.last.unsigned_abs())))
    } else {
        (first, usize::try_from(keys.last).unwrap_or_default() + 1)
    };
    destination.into_iter().chain((start..end.min(count)).step_by(step))
}

/// Where the keys are that options name which store a result: of several options of one name the
/// last one holds.
pub fn stored_in(command: &Command, request: &[&[u8]]) -> impl Iterator<Item = usize> + use<> {
    let is_storing = command.has(STORES);
    let stored = |option: &[u8]| {
        let is_option = |at: &usize| request[*at].eq_ignore_ascii_case(option);
        (2..request.len().saturating_sub(1)).rev().find(is_option).map(|at| at + 1)
    };
    let options = [&b"store"[..], b"storedist"];
    options.map(|option| is_storing.then(|| stored(option)).flatten()).into_iter().flatten()
}

/// That a command has no such subcommand, or not with so many arguments.
pub fn refuse_subcommand(command: &str, name: &[u8]) -> Refusal {
    let name = String::from_utf8_lossy(name.get(..128).unwrap_or(name));
    format!("ERR unknown subcommand or wrong number of arguments for '{name}'. Try {command} HELP.")
        .into()
}

/// Answers a command of several that only has subcommands; the table sends such a one to those.
pub fn container(_: &mut Context<'_>, _: &mut Args<'_>) -> Result<()> {
    Err(Error::WrongArity.into())
}

/// HELP, which every command has that has subcommands.
static HELP_ROW: ServerSpec = ServerSpec {
    arity: Arity::Exactly(2),
    flags: 0,
    since: ferrite_engine::docs("5.0.0"),
    summary: ferrite_engine::docs("Prints this help."),
    ..ROW
};

/// What the rows of the server's commands share.
pub const ROW: ServerSpec = Spec {
    name: "",
    arity: Arity::AtLeast(2),
    keys: Keys::NONE,
    flags: flags::NO_SCRIPT,
    group: Group::Server,
    since: ferrite_engine::docs("1.0.0"),
    syntax: ferrite_engine::docs(""),
    summary: ferrite_engine::docs(""),
    run: container,
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_found_by_its_name() {
        let table = table();
        for command in table.all() {
            for name in [command.name.into(), command.name.to_ascii_uppercase()] {
                let found = table.find(name.as_bytes()).expect(&name);
                assert_eq!(found.name, command.name);
            }
        }
        assert!(table.find(b"").is_none() && table.find(b"nothing").is_none());
        let mut ids: Vec<u16> = table.each().map(|command| command.id).collect();
        ids.sort_unstable();
        assert!(ids.iter().enumerate().all(|(position, id)| usize::from(*id) == position));
    }

    #[test]
    fn keys_are_found_where_the_row_says() {
        let check = |request: &str, expected: &[usize]| {
            let words: Vec<&[u8]> = request.split(' ').map(str::as_bytes).collect();
            let command = table().find(words[0]).expect(request);
            let text = |at: usize| words.get(at).copied().unwrap_or_default();
            let given: Vec<_> = keys_of(command.name, command.keys, words.len(), text).collect();
            assert_eq!(given, expected, "{request}");
        };
        check("get k", &[1]);
        check("mset a 1 b 2", &[1, 3]);
        check("del a b c", &[1, 2, 3]);
        check("rename a b", &[1, 2]);
        check("zunion 2 a b WITHSCORES", &[2, 3]);
        check("zunionstore d 2 a b", &[1, 3, 4]);
        check("zunionstore d 3 a b", &[]);
        check("lmpop 0 a left", &[]);
        check("blpop a b 0", &[1, 2]);
        check("xread COUNT 2 STREAMS a b 0 0", &[4, 5]);
        check("xread COUNT 1 streams a b 0 0", &[4, 5]);
        check("xread COUNT 1", &[]);
        check("ping", &[]);
    }
}
