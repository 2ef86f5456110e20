//! `ferrite_call`: any command of the table, on keys that were declared.
//!
//! Invariant: a command runs only if its row says which of its arguments are keys, and all of them
//! were declared; so it reaches nothing that a copy of those keys would not have.

use std::ops::Range;

use ferrite_engine::{Args, Keys, Run, STORES, WRITE, find};
use wasmtime::{Caller, Result};

use crate::commands::flags::NO_SCRIPT;
use crate::commands::{Action, Command, keys_of, table};
use crate::functions::call::{Call, code};
use crate::functions::failure::Halt;
use crate::functions::host::{Frame, Host};
use crate::limits::functions::{CALL_ARGUMENTS_MAX, CALL_REPLY_BYTES_MAX};
use crate::resp::wire::{Protocol, Wire};

/// The flag by which an error ends the call.
const OR_FAIL: u32 = 1;

/// The host function.
///
/// # Errors
/// What the guest did wrong, or the command's error if it asked for that.
pub fn call(
    mut guest: Caller<'_, Host>,
    argv: u32,
    argc: u32,
    flags: u32,
    dst: u32,
    capacity: u32,
) -> Result<i64> {
    let mut frame = Frame::new(&mut guest, "ferrite_call")?;
    let into = frame.range(dst, capacity)?;
    if flags & !OR_FAIL != 0 {
        return Err(frame.fault(format!("was given the unknown flags {flags:#x}")));
    }
    if argc == 0 || argc as usize > CALL_ARGUMENTS_MAX {
        return Err(frame.fault(format!("was given {argc} arguments")));
    }
    let list = frame.range(argv, argc.saturating_mul(8))?;
    let mut ranges: Vec<Range<usize>> = Vec::with_capacity(argc as usize);
    for at in list.step_by(8) {
        ranges.push(frame.range(frame.number(at), frame.number(at + 4))?);
    }
    let (memory, call) = frame.call()?;
    let words: Vec<&[u8]> =
        ranges.into_iter().map(|range| memory.get(range).unwrap_or_default()).collect();
    let outcome = run(call, &words);
    match outcome {
        Ok(()) => {
            let reply = std::mem::take(&mut call.reply);
            let len = reply.len();
            let part = into.start..into.start + len.min(into.len());
            if len <= into.len() {
                frame.write(part, &reply);
            }
            let (_, call) = frame.call()?;
            call.reply = reply;
            Ok(len as i64)
        }
        Err(_) if flags & OR_FAIL != 0 => {
            Err(Halt::Fail(String::from_utf8_lossy(&call.reply).into_owned()).into())
        }
        Err(code) => Ok(code),
    }
}

/// Runs a command. Its reply, or its error's line, is then the call's `reply`.
fn run(call: &mut Call, words: &[&[u8]]) -> Result<(), i64> {
    let name = words.first().copied().unwrap_or_default();
    let Some(command) = table().find(name) else {
        return Err(call.refuse(code::ERROR, "ERR Unknown Redis command called from script"));
    };
    let Some(run) = runnable(command) else {
        let line = "ERR This Redis command is not allowed from script";
        return Err(call.refuse(code::NO_SCRIPT, line));
    };
    if !command.arity.allows(words.len()) {
        let line = "ERR Wrong number of args calling Redis command from script";
        return Err(call.refuse(code::ERROR, line));
    }
    call.permit(command, words)?;
    admit_keys(call, command, words)?;
    call.reply.clear();
    call.error_code = 0;
    let mut reply = std::mem::take(&mut call.reply);
    let mut wire = Wire::new(&mut reply, Protocol::Resp3);
    let arguments = words.get(1..).unwrap_or_default();
    let outcome = run(&mut call.cx(command.name), &mut Args::new(arguments), &mut wire);
    let is_error = reply.first() == Some(&b'-');
    call.reply = reply;
    match outcome {
        Err(error) => Err(call.refuse_error(error, command.name)),
        // An error that the command wrote itself.
        Ok(()) if is_error => {
            let line = String::from_utf8_lossy(&call.reply).into_owned();
            Err(call.refuse(code::ERROR, line.trim_start_matches('-').trim_end()))
        }
        Ok(()) if call.reply.len() > CALL_REPLY_BYTES_MAX => {
            Err(call.refuse_size("a command's reply is longer than 16 MiB"))
        }
        Ok(()) => Ok(()),
    }
}

/// What runs a command of the engine. Those that wait elsewhere do not wait here.
fn runnable(command: &'static Command) -> Option<Run> {
    match command.action {
        _ if command.has(NO_SCRIPT) => None,
        Action::Engine(run) => Some(run),
        _ => find(command.name.as_bytes()).map(|row| row.run),
    }
}

/// Looks whether all keys of a command may be read, and written if it writes.
fn admit_keys(call: &mut Call, command: &Command, words: &[&[u8]]) -> Result<(), i64> {
    let text = |at: usize| words.get(at).copied().unwrap_or_default();
    let is_other = |word: &&&[u8]| word.eq_ignore_ascii_case(b"db");
    if command.keys == Keys::NONE || command.name == "copy" && words.iter().any(|w| is_other(&w)) {
        return Err(refuse_reach(call, command));
    }
    let keys = keys_of(command.name, command.keys, words.len(), text).map(text);
    if command.has(WRITE) {
        call.count_write(words.iter().map(|word| word.len()).sum())?;
    }
    for key in keys.chain(stored(command, words)) {
        let position = call.place(key)?;
        if command.has(WRITE) {
            call.keep(position)?;
        }
    }
    // Of a sort by other keys nobody can say which those are.
    let is_sort = command.name == "sort" || command.name == "sort_ro";
    let is_pattern = |pair: &[&[u8]]| match pair {
        [option, pattern] => {
            let is_by = option.eq_ignore_ascii_case(b"by") || option.eq_ignore_ascii_case(b"get");
            is_by && pattern.contains(&b'*')
        }
        _ => false,
    };
    match is_sort && words.windows(2).any(is_pattern) {
        true => Err(refuse_reach(call, command)),
        false => Ok(()),
    }
}

/// The keys that options name which store a result. A member called so is taken for one, too.
fn stored<'w>(command: &Command, words: &'w [&'w [u8]]) -> impl Iterator<Item = &'w [u8]> {
    let is_storing = command.has(STORES);
    let is_option = |word: &[u8]| {
        word.eq_ignore_ascii_case(b"store") || word.eq_ignore_ascii_case(b"storedist")
    };
    words.windows(2).skip(1).filter_map(move |pair| match pair {
        [option, key] if is_storing && is_option(option) => Some(*key),
        _ => None,
    })
}

fn refuse_reach(call: &mut Call, command: &Command) -> i64 {
    let line = format!(
        "ERR function '{}' may not use '{}' so: it reaches beyond the keys that were declared with \
         the call",
        call.function,
        command.name.replace('|', " "),
    );
    call.refuse(code::UNDECLARED, &line)
}
