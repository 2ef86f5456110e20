//! `redis.call` and `redis.pcall`: commands that a script runs.
//!
//! A command goes through the one table, as if it stood between MULTI and EXEC: under the locks
//! that the script holds, on behalf of its client, waiting for nothing. Its reply is written where
//! the script's is going to stand, read from there, and taken back.

use mlua::{Lua, MultiValue, Value};

use ferrite_engine::{DENYOOM, Error, WRITE};

use crate::acl::selector::Denial;
use crate::commands::flags::{ALL_DATABASES, NO_SCRIPT};
use crate::commands::{Command, table};
use crate::context::Context;
use crate::resp::wire::Protocol;
use crate::scripting::host::protected;
use crate::scripting::machine::Shared;
use crate::scripting::room::with_room;
use crate::scripting::text;
use crate::scripting::thrown::{Thrown, error_value};
use crate::scripting::to_lua::Reading;

/// What the commands of one script may do.
pub struct Rights {
    /// Whether it may change nothing.
    pub is_read_only: bool,
    /// Whether memory may be short.
    pub allows_oom: bool,
    /// Whether it holds the locks of all databases.
    pub holds_all: bool,
    /// Whether any command has run.
    pub has_run: bool,
    /// Whether EXEC runs the script.
    pub is_in_exec: bool,
    /// The words of a command, one behind the other, and where each ends.
    words: Vec<u8>,
    ends: Vec<usize>,
}

impl Rights {
    /// Those of a script that begins.
    pub fn new(is_read_only: bool, allows_oom: bool, holds_all: bool, is_in_exec: bool) -> Rights {
        Rights {
            is_read_only,
            allows_oom,
            holds_all,
            has_run: false,
            is_in_exec,
            words: Vec::new(),
            ends: Vec::new(),
        }
    }
}

/// Runs the command that these values are: its reply.
///
/// # Errors
/// The command's error, unless a mark in front says that it is wanted; or Lua's, if there is no
/// memory.
pub fn run(
    cx: &mut Context<'_>,
    shared: &Shared,
    rights: &mut Rights,
    lua: &Lua,
    mut values: MultiValue,
) -> mlua::Result<Value> {
    let is_protected = values.front() == Some(&protected());
    if is_protected {
        values.pop_front();
    }
    let (mut words, mut ends) =
        (std::mem::take(&mut rights.words), std::mem::take(&mut rights.ends));
    words.clear();
    ends.clear();
    if let Err(line) = gather(&values, &mut words, &mut ends) {
        return give(lua, Err((line.into(), true)), is_protected);
    }
    let mut start = 0;
    let request: Vec<&[u8]> = ends
        .iter()
        .map(|&end| words.get(std::mem::replace(&mut start, end)..end).unwrap_or_default())
        .collect();
    let outcome = run_words(cx, shared, rights, lua, &request)?;
    drop(request);
    (rights.words, rights.ends) = (words, ends);
    give(lua, outcome, is_protected)
}

/// A reply, or the line of an error and whether it is still to be counted.
type Answer = Result<Value, (Vec<u8>, bool)>;

fn give(lua: &Lua, answer: Answer, is_protected: bool) -> mlua::Result<Value> {
    match answer {
        Ok(value) => Ok(value),
        Err((line, is_counted)) if is_protected => error_value(lua, &line, is_counted),
        Err((line, is_counted)) => Err(Thrown::Line(line, is_counted).raise()),
    }
}

fn run_words(
    cx: &mut Context<'_>,
    shared: &Shared,
    rights: &mut Rights,
    lua: &Lua,
    request: &[&[u8]],
) -> mlua::Result<Answer> {
    let command = match admit(cx, shared, rights, request) {
        Ok(command) => command,
        Err((line, command)) => {
            cx.stats.count_error(line.as_bytes());
            if let Some(command) = command
                && let Some(tally) = cx.stats.commands.get(usize::from(command.id))
            {
                tally.rejected_calls.add(1);
            }
            return Ok(Err((line.into_bytes(), false)));
        }
    };
    if command.has(WRITE) {
        shared.watch.note_write();
    }
    rights.has_run = true;
    let mark = cx.wire.out.len();
    let protocol = if shared.protocol.get() == 3 { Protocol::Resp3 } else { Protocol::Resp2 };
    (cx.wire.protocol, cx.session.protocol) = (protocol, protocol);
    match sorted(cx, command, request) {
        Some(request) => cx.start(command, &request, mark),
        None => cx.start(command, request, mark),
    }
    let reply = cx.wire.out.get(mark..).unwrap_or_default();
    let answer = match reply.split_first() {
        Some((b'-', line)) => {
            let end = line.iter().position(|&byte| byte == b'\r').unwrap_or(line.len());
            Ok(Err((line.get(..end).unwrap_or_default().to_vec(), false)))
        }
        // A number takes no memory.
        Some((b':', _)) => Reading::new(lua, reply).value().map(Ok),
        _ => with_room(lua, reply.len(), || Reading::new(lua, reply).value()).map(Ok),
    };
    cx.wire.out.truncate(mark);
    cx.wire.error_at = None;
    answer
}

/// Gathers the words of a command.
fn gather(
    values: &MultiValue,
    words: &mut Vec<u8>,
    ends: &mut Vec<usize>,
) -> Result<(), &'static str> {
    for value in values {
        match value {
            Value::String(text) => words.extend_from_slice(&text.as_bytes()),
            // As in Redis numbers have all their digits.
            Value::Integer(number) => {
                words.extend_from_slice(text::general(*number as f64, 17).as_bytes());
            }
            Value::Number(number) => {
                words.extend_from_slice(text::general(*number, 17).as_bytes());
            }
            _ => return Err("ERR Lua redis lib command arguments must be strings or integers"),
        }
        ends.push(words.len());
    }
    match ends.is_empty() {
        false => Ok(()),
        true => Err("ERR Please specify at least one argument for this redis lib call"),
    }
}

/// The line of a refusal, and the command that is refused if there is one.
type Refused = (String, Option<&'static Command>);

/// The command that a request names, if it may run.
fn admit(
    cx: &mut Context<'_>,
    shared: &Shared,
    rights: &mut Rights,
    request: &[&[u8]],
) -> Result<&'static Command, Refused> {
    let Some(command) = find(request) else {
        return Err(("ERR Unknown Redis command called from script".into(), None));
    };
    match may_run(cx, shared, rights, command, request) {
        Ok(()) => Ok(command),
        Err(line) => Err((line, Some(command))),
    }
}

fn find(request: &[&[u8]]) -> Option<&'static Command> {
    let command = table().find(request.first()?)?;
    match request.get(1) {
        Some(sub) if !command.subcommands.is_empty() => command.subcommand(sub),
        _ => Some(command),
    }
}

fn may_run(
    cx: &mut Context<'_>,
    shared: &Shared,
    rights: &mut Rights,
    command: &Command,
    request: &[&[u8]],
) -> Result<(), String> {
    if !command.arity.allows(request.len()) {
        return Err("ERR Wrong number of args calling Redis command from script".into());
    }
    if command.has(NO_SCRIPT) {
        return Err("ERR This Redis command is not allowed from script".into());
    }
    if let Some(denial) = cx.denial(command, request, "lua") {
        let what = match denial {
            Denial::Command => "can't run this command or subcommand",
            Denial::Key(_) => {
                "can't access at least one of the keys mentioned in the command arguments"
            }
            Denial::Channel(_) => "can't publish to the channel mentioned in the command",
        };
        return Err(format!("ERR The user executing the script {what}"));
    }
    let may_write =
        command.has(WRITE) || matches!(command.name, "publish" | "spublish" | "pfcount");
    if rights.is_read_only && may_write {
        return Err("ERR Write commands are not allowed from read-only scripts.".into());
    }
    if !shared.watch.has_written() {
        if command.has(WRITE)
            && cx.server.gate.is_closed()
            && let Some(line) = cx.server.gate.refusal()
        {
            return Err(line.into_owned());
        }
        if command.has(DENYOOM) && !rights.allows_oom && cx.config.is_starved() {
            return Err(Error::OutOfMemory.to_string());
        }
    }
    let blocks = || request.iter().any(|word| word.eq_ignore_ascii_case(b"block"));
    if matches!(command.name, "xread" | "xreadgroup") && blocks() {
        let name = command.name;
        return Err(format!("ERR {name} command is not allowed with BLOCK option from scripts"));
    }
    reach(cx, shared, rights, command, request)
}

/// SORT of a set that is not to be sorted is sorted by its members, as in Redis: so that a script
/// does the same wherever it runs. What takes the place of the request.
fn sorted<'a>(
    cx: &mut Context<'_>,
    command: &Command,
    request: &[&'a [u8]],
) -> Option<Vec<&'a [u8]>> {
    if !matches!(command.name, "sort" | "sort_ro") {
        return None;
    }
    let is_by = |pair: &[&[u8]]| match pair {
        [by, pattern] => by.eq_ignore_ascii_case(b"by") && !pattern.contains(&b'*'),
        _ => false,
    };
    let at = request.windows(2).skip(2).position(is_by)? + 2;
    let key = *request.get(1)?;
    if cx.with(|keys| keys.type_name(key)) != Some("set") {
        return None;
    }
    let mut words = request.to_vec();
    words.splice(at..at + 2, [&b"ALPHA"[..]]);
    Some(words)
}

/// A command that reaches beyond the script's database needs the locks of all.
fn reach(
    cx: &mut Context<'_>,
    shared: &Shared,
    rights: &mut Rights,
    command: &Command,
    request: &[&[u8]],
) -> Result<(), String> {
    let is_copy = command.name == "copy" && request.len() <= 4;
    let reaches = command.has(ALL_DATABASES) && !is_copy || command.name == "select";
    if !reaches || rights.holds_all {
        return Ok(());
    }
    if rights.has_run || shared.watch.has_written() || rights.is_in_exec {
        // Nobody may come in between what was run and what follows.
        return Err(format!(
            "ERR '{}' reaches beyond one database, which a script has to show before it runs \
             another command: by the command's name in its text",
            command.name
        ));
    }
    cx.held.take_all();
    rights.holds_all = true;
    Ok(())
}
