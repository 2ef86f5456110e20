//! `redis`: what scripts see of the server beside its commands (calls.rs).
//!
use std::rc::Rc;

use mlua::{Function, Lua, MultiValue, Table, Value};

use crate::commands::connection::REDIS_VERSION;
use crate::commands::table;
use crate::functions::metadata::Flag;
use crate::limits::functions::FUNCTIONS_MAX;
use crate::log::Level;
use crate::scripting::machine::{Registered, Shared};
use crate::scripting::scripts::{digest, hex};
use crate::scripting::thrown::{Thrown, error_value, message_in, place, value_of};
use crate::scripting::{shebang, text};

const WRONG: &[u8] = b"ERR wrong number or type of arguments";

/// A value, or the line of an error.
type Outcome = Result<Value, String>;

/// Adds all functions.
///
/// # Errors
/// Lua's, if there is no memory.
pub fn add(lua: &Lua, host: &Table, shared: &Rc<Shared>, is_eval: bool) -> mlua::Result<()> {
    host.raw_set("is_eval", is_eval)?;
    host.raw_set("version", REDIS_VERSION)?;
    host.raw_set("version_number", version_number())?;
    let error_reply = lua.create_function(|lua, values: MultiValue| match single(&values) {
        Some(text) => error_value(lua, &with_code(&text), true),
        None => error_value(lua, WRONG, true),
    })?;
    host.raw_set("error_reply", error_reply)?;
    let status_reply = lua.create_function(|lua, values: MultiValue| match single(&values) {
        Some(text) => {
            let table = lua.create_table()?;
            table.raw_set("ok", lua.create_string(text)?)?;
            Ok(Value::Table(table))
        }
        None => error_value(lua, WRONG, true),
    })?;
    host.raw_set("status_reply", status_reply)?;
    put(lua, host, "sha1hex", shared, |lua, _, values| {
        if values.len() != 1 {
            return Err("ERR wrong number of arguments".into());
        }
        let text = values.front().and_then(text::of).unwrap_or_default();
        string(lua, &hex(&digest(&text)))
    })?;
    put(lua, host, "log", shared, |_, shared, values| log(shared, values))?;
    put(lua, host, "setresp", shared, |_, shared, values| set_protocol(shared, values))?;
    put(lua, host, "set_repl", shared, |_, shared, values| set_replication(shared, values))?;
    put(lua, host, "acl_check_cmd", shared, |_, shared, values| check_command(shared, values))?;
    put(lua, host, "register_function", shared, |_, shared, values| register(shared, values))
}

fn put(
    lua: &Lua,
    host: &Table,
    name: &str,
    shared: &Rc<Shared>,
    function: impl Fn(&Lua, &Shared, &MultiValue) -> Outcome + 'static,
) -> mlua::Result<()> {
    let shared = Rc::clone(shared);
    let function = lua.create_function(move |lua, values: MultiValue| {
        function(lua, &shared, &values)
            .map_err(|line| Thrown::Line(line.into_bytes(), true).raise())
    })?;
    host.raw_set(name, function)
}

fn string(lua: &Lua, text: &str) -> Outcome {
    lua.create_string(text).map(Value::String).map_err(|_| format!("ERR {}", text::NO_MEMORY))
}

/// The version in one number: a byte for each of its parts.
fn version_number() -> u32 {
    let parts = REDIS_VERSION.split('.').map(|part| part.parse().unwrap_or(0));
    parts.fold(0, |number, part: u32| number << 8 | part)
}

/// The only argument, if it is a string.
fn single(values: &MultiValue) -> Option<Vec<u8>> {
    match (values.len(), values.front()) {
        (1, Some(Value::String(text))) => Some(text.as_bytes().to_vec()),
        _ => None,
    }
}

/// What a script says is an error: its first word is the code if there are several.
fn with_code(text: &[u8]) -> Vec<u8> {
    let text = text.strip_prefix(b"-").unwrap_or(text);
    let end = text.iter().rposition(|byte| !matches!(byte, b'\r' | b'\n'));
    let text = text.get(..end.map_or(0, |end| end + 1)).unwrap_or_default();
    match text.contains(&b' ') {
        true => text.to_vec(),
        false => [b"ERR ", text].concat(),
    }
}

fn number(value: Option<&Value>) -> Option<f64> {
    match value? {
        Value::Integer(number) => Some(*number as f64),
        Value::Number(number) => Some(*number),
        Value::String(text) => text.to_str().ok()?.trim().parse().ok(),
        _ => None,
    }
}

fn log(shared: &Shared, values: &MultiValue) -> Outcome {
    const LEVELS: [Level; 4] = [Level::Debug, Level::Verbose, Level::Notice, Level::Warning];
    if values.len() < 2 {
        return Err("ERR redis.log() requires two arguments or more.".into());
    }
    let level = number(values.front());
    let level = level.ok_or("ERR First argument must be a number (log level).")? as i64;
    let level = usize::try_from(level).ok().and_then(|level| LEVELS.get(level));
    let level = level.ok_or("ERR Invalid debug level.")?;
    let texts: Vec<Vec<u8>> = values.iter().skip(1).filter_map(text::of).collect();
    let line = String::from_utf8_lossy(&texts.join(&b' ')).into_owned();
    shared.log.write(*level, format_args!("{line}"));
    Ok(Value::Nil)
}

fn set_protocol(shared: &Shared, values: &MultiValue) -> Outcome {
    inside(shared, "redis.setresp")?;
    if values.len() != 1 {
        return Err("ERR redis.setresp() requires one argument.".into());
    }
    match number(values.front()).unwrap_or_default() as i64 {
        protocol @ (2 | 3) => shared.protocol.set(protocol as u8),
        _ => return Err("ERR RESP version must be 2 or 3.".into()),
    }
    Ok(Value::Nil)
}

fn set_replication(shared: &Shared, values: &MultiValue) -> Outcome {
    inside(shared, "redis.set_repl")?;
    if values.len() != 1 {
        return Err("ERR redis.set_repl() requires two arguments.".into());
    }
    match number(values.front()).unwrap_or_default() as i64 {
        // There are no replicas: what the log has is all.
        1 | 3 => Ok(Value::Nil),
        0 | 2 => Err("ERR redis.set_repl() without REPL_AOF is not supported: what a script \
                      writes is always logged"
            .into()),
        _ => Err("ERR Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or \
                  REPL_NONE."
            .into()),
    }
}

fn inside(shared: &Shared, name: &str) -> Result<(), String> {
    match shared.is_running.get() {
        true => Ok(()),
        false => Err(format!("ERR {name} can only be called inside a script invocation")),
    }
}

/// Whether who runs the script may make a request.
fn check_command(shared: &Shared, values: &MultiValue) -> Outcome {
    inside(shared, "redis.acl_check_cmd")?;
    if values.is_empty() {
        return Err("ERR Please specify at least one argument for this redis lib call".into());
    }
    let words: Option<Vec<Vec<u8>>> = values.iter().map(text::of).collect();
    let words = words.ok_or("ERR Lua redis lib command arguments must be strings or integers")?;
    let name = words.first().map(Vec::as_slice).unwrap_or_default();
    let found = table().find(name).and_then(|command| match words.get(1) {
        Some(sub) if !command.subcommands.is_empty() => command.subcommand(sub),
        _ => Some(command),
    });
    let command = found.ok_or("ERR Invalid command passed to redis.acl_check_cmd()")?;
    let request: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
    let user = shared.user.borrow();
    let is_denied = user.as_ref().is_some_and(|user| user.denial(command, &request).is_some());
    Ok(Value::Boolean(!is_denied))
}

fn register(shared: &Shared, values: &MultiValue) -> Outcome {
    let mut loading = shared.loading.borrow_mut();
    let Some(registered) = &mut *loading else {
        return Err(
            "ERR redis.register_function can only be called on FUNCTION LOAD command".into()
        );
    };
    let function = match (values.len(), values.front()) {
        (1, Some(Value::Table(named))) => read_named(named)?,
        (1, _) => {
            return Err("ERR calling redis.register_function with a single argument is only \
                        applicable to Lua table (representing named arguments)."
                .into());
        }
        (2, _) => read_positional(values)?,
        _ => return Err("ERR wrong number of arguments to redis.register_function".into()),
    };
    if !is_function_name(&function.name) {
        return Err("ERR Library names can only contain letters, numbers, or underscores(_) and \
                    must be at least one character long"
            .into());
    }
    if registered.iter().any(|other| other.name == function.name) {
        return Err("ERR Function already exists in the library".into());
    }
    if registered.len() >= FUNCTIONS_MAX {
        return Err(format!("ERR a library has {FUNCTIONS_MAX} functions at most"));
    }
    registered.push(function);
    Ok(Value::Nil)
}

fn is_function_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn read_positional(values: &MultiValue) -> Result<Registered, String> {
    let name = values.front().and_then(text::of);
    let name = name.ok_or("ERR first argument to redis.register_function must be a string")?;
    let Some(Value::Function(callback)) = values.get(1) else {
        return Err("ERR second argument to redis.register_function must be a function".into());
    };
    let name = String::from_utf8_lossy(&name).into_owned();
    Ok(Registered { name, description: None, flags: Vec::new(), callback: callback.clone() })
}

fn read_named(named: &Table) -> Result<Registered, String> {
    let (mut name, mut description, mut callback, mut flags) = (None, None, None, Vec::new());
    let mut outcome = Ok(());
    let walk = named.for_each(|key: Value, value: Value| {
        let key = text::of(&key).map(|key| key.to_ascii_lowercase());
        let text = text::of(&value).map(|text| String::from_utf8_lossy(&text).into_owned());
        outcome = match (key.as_deref(), value) {
            (None, _) => Err("named argument key given to redis.register_function is not a string"),
            (Some(b"function_name"), _) if text.is_some() => {
                name = text;
                Ok(())
            }
            (Some(b"function_name"), _) => {
                Err("function_name argument given to redis.register_function must be a string")
            }
            (Some(b"description"), _) if text.is_some() => {
                description = text;
                Ok(())
            }
            (Some(b"description"), _) => {
                Err("description argument given to redis.register_function must be a string")
            }
            (Some(b"callback"), Value::Function(function)) => {
                callback = Some(function);
                Ok(())
            }
            (Some(b"callback"), _) => {
                Err("callback argument given to redis.register_function must be a function")
            }
            (Some(b"flags"), Value::Table(given)) => match read_flags(&given) {
                Some(read) => {
                    flags = read;
                    Ok(())
                }
                None => Err("unknown flag given"),
            },
            (Some(b"flags"), _) => Err(
                "flags argument to redis.register_function must be a table representing function \
                 flags",
            ),
            _ => Err("unknown argument given to redis.register_function"),
        };
        if outcome.is_ok() { Ok(()) } else { Err(mlua::Error::StackError) }
    });
    outcome.map_err(|why| format!("ERR {why}"))?;
    walk.map_err(|why| format!("ERR {why}"))?;
    let name = name.ok_or("ERR redis.register_function must get a function name argument")?;
    let callback = callback.ok_or("ERR redis.register_function must get a callback argument")?;
    Ok(Registered { name, description, flags, callback })
}

fn read_flags(given: &Table) -> Option<Vec<Flag>> {
    let mut flags = Vec::new();
    for at in 1.. {
        let value: Value = given.raw_get(at).ok()?;
        if value.is_nil() {
            break;
        }
        let name = String::from_utf8_lossy(&text::of(&value)?).to_ascii_lowercase();
        let flag = shebang::flag(&name)?;
        if !flags.contains(&flag) {
            flags.push(flag);
        }
    }
    Some(flags)
}

/// What makes a table of an error that a script ends with: its line, and where it was raised.
///
/// # Errors
/// Lua's, if there is no memory.
pub fn handler(lua: &Lua) -> mlua::Result<Function> {
    lua.create_function(|lua, thrown: Value| {
        let table = match value_of(lua, thrown)? {
            Value::Table(table) => table,
            other => {
                let line = [b"ERR ", &*message_in(&other)].concat();
                match error_value(lua, &line, true)? {
                    Value::Table(table) => table,
                    _ => lua.create_table()?,
                }
            }
        };
        if let Some((source, line)) = place(lua) {
            table.raw_set("source", source)?;
            table.raw_set("line", line)?;
        }
        Ok(table)
    })
}
