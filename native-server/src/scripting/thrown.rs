//! Errors that functions of the server raise in a script.
//!
//! Invariant: a script that catches one gets the value that it is in Redis: a text with the place
//! where it was raised, or for what commands answer a table.

use std::fmt;

use mlua::{Error, Lua, Value};

use crate::scripting::arguments::type_name;
use crate::scripting::machine::PRELUDE;
use crate::scripting::text;

/// An error.
#[derive(Debug)]
pub enum Thrown {
    /// A text, with its place in front.
    Text(String),
    /// The line of an error, and whether it is still to be counted.
    Line(Vec<u8>, bool),
    /// The line of an error that ends the script, whatever it makes of errors.
    End(String),
}

impl fmt::Display for Thrown {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Thrown::Text(text) | Thrown::End(text) => out.write_str(text),
            Thrown::Line(line, _) => out.write_str(&String::from_utf8_lossy(line)),
        }
    }
}

impl std::error::Error for Thrown {}

impl Thrown {
    /// As Lua takes it.
    pub fn raise(self) -> Error {
        Error::external(self)
    }

    /// A text, with the place in front where the script called what fails.
    pub fn at_caller(lua: &Lua, why: &str) -> Error {
        Thrown::Text(format!("{}{why}", place_text(lua))).raise()
    }

    fn of(error: &Error) -> Option<&Thrown> {
        match error {
            Error::CallbackError { cause, .. } => Thrown::of(cause),
            Error::ExternalError(error) => error.downcast_ref(),
            _ => None,
        }
    }
}

/// The text of an error of Lua's, without where it came by.
pub fn message_of(error: &Error) -> String {
    match error {
        Error::SyntaxError { message, .. }
        | Error::RuntimeError(message)
        | Error::MemoryError(message) => message.clone(),
        Error::CallbackError { cause, .. } => message_of(cause),
        Error::ExternalError(error) => error.to_string(),
        Error::CallbackDestructed => {
            "redis.call/pcall can only be called inside a script invocation".into()
        }
        other => other.to_string(),
    }
}

/// The same of whatever was raised: bytes, as the script gave them.
pub fn message_in(thrown: &Value) -> Vec<u8> {
    match thrown {
        Value::Error(error) => message_of(error).into(),
        other => text::of(other).unwrap_or_else(|| type_name(other).into()),
    }
}

/// What a script that catches an error gets.
///
/// # Errors
/// Lua's, if there is no memory.
pub fn value_of(lua: &Lua, thrown: Value) -> mlua::Result<Value> {
    let Value::Error(error) = &thrown else { return Ok(thrown) };
    match Thrown::of(error) {
        Some(Thrown::Line(line, is_counted)) => error_value(lua, line, *is_counted),
        Some(Thrown::End(line)) => error_value(lua, line.as_bytes(), true),
        _ => lua.create_string(message_of(error)).map(Value::String),
    }
}

/// Whether it ends the script: then nothing of the script may run before it is over, since it
/// comes from a hook, in which Lua calls no other.
pub fn is_end(thrown: &Value) -> bool {
    match thrown {
        Value::Error(error) => matches!(Thrown::of(error), Some(Thrown::End(_))),
        _ => false,
    }
}

/// A table that is an error.
///
/// # Errors
/// Lua's, if there is no memory.
pub fn error_value(lua: &Lua, line: &[u8], is_counted: bool) -> mlua::Result<Value> {
    let table = lua.create_table()?;
    table.raw_set("err", lua.create_string(line)?)?;
    if !is_counted {
        table.raw_set("ignore_error_stats_update", true)?;
    }
    Ok(Value::Table(table))
}

/// A level of the stack.
enum Level {
    /// A function of the server's, or of Lua's own, or of prelude.lua.
    Own,
    /// A function in C that is none of the server's.
    Foreign,
    /// The script's: its text's name, and the line.
    Script(String, String, i64),
}

fn level(lua: &Lua, number: usize) -> Option<Level> {
    lua.inspect_stack(number, |debug| {
        let source = debug.source();
        let name = source.source.map(|name| name.into_owned()).unwrap_or_default();
        let short = source.short_src.map(|name| name.into_owned()).unwrap_or_default();
        match () {
            () if source.what == "C" => Level::Foreign,
            () if name == PRELUDE || source.what == "tail" => Level::Own,
            () => Level::Script(name, short, debug.current_line().map_or(-1, |line| line as i64)),
        }
    })
}

/// Levels that are looked at for the script's.
const LEVELS_MAX: usize = 12;

/// Where the script called the function of the server that runs: nothing if it was called by one
/// of Lua's own.
fn place_text(lua: &Lua) -> String {
    for number in 1..LEVELS_MAX {
        match level(lua, number) {
            Some(Level::Own) => {}
            Some(Level::Script(_, short, line)) if line > 0 => return format!("{short}:{line}: "),
            _ => break,
        }
    }
    String::new()
}

/// Where the script is: the last place in its own text.
pub fn place(lua: &Lua) -> Option<(String, i64)> {
    for number in 1..LEVELS_MAX {
        if let Level::Script(source, _, line) = level(lua, number)? {
            return Some((source, line));
        }
    }
    None
}
