//! Libraries of functions in Lua, for FUNCTION LOAD.
//!
//! A library's code runs once when it is loaded, to register its functions, and once more on each
//! thread that calls one: each has a Lua state of its own.
//!
//! Invariant: a library never changes; REPLACE puts another in its place.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use mlua::{Function as LuaFunction, Value};

use crate::commands::Refusal;
use crate::context::Context;
use crate::functions::host::Kind;
use crate::functions::library::Tally;
use crate::functions::source::check_library_name;
use crate::limits::scripting::SCRIPT_BYTES_MAX;
use crate::log::Log;
use crate::resp::inline;
use crate::scripting::machine::{Machine, Registered, compile};
use crate::scripting::run::{self, Request};
use crate::scripting::scripts::may_roam;
use crate::scripting::shebang::Declared;
use crate::scripting::text;
use crate::scripting::thrown::{message_in, message_of};

/// The name of the engine.
pub const ENGINE: &str = "LUA";

/// A function that can be called.
pub struct Function {
    /// Its name.
    pub name: Arc<str>,
    /// What its author says of it.
    pub description: Option<String>,
    /// Its flags.
    pub declared: Declared,
    /// What is counted of it.
    pub tally: Tally,
}

/// A library.
pub struct Library {
    /// A number that no other library ever has.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// What FUNCTION LOAD takes to load it again.
    pub text: Arc<[u8]>,
    /// Its functions.
    pub functions: Vec<Function>,
    /// Whether its code reaches beyond one database.
    pub may_roam: bool,
    code_at: usize,
}

static LAST_ID: AtomicU64 = AtomicU64::new(0);

/// Whether a library is one in Lua, by its first line.
pub fn is_lua(text: &[u8]) -> bool {
    let engine = text.strip_prefix(b"#!").unwrap_or_default();
    let end = engine.iter().position(u8::is_ascii_whitespace).unwrap_or(engine.len());
    engine.get(..end).is_some_and(|engine| engine.eq_ignore_ascii_case(b"lua"))
}

impl Library {
    /// Loads a library.
    ///
    /// # Errors
    /// Redis's, if it cannot be.
    pub fn load(text: &[u8], log: &Arc<Log>) -> Result<Library, Refusal> {
        if text.len() > SCRIPT_BYTES_MAX {
            let limit = SCRIPT_BYTES_MAX;
            return Err(format!("ERR the library is too long: the limit is {limit} bytes").into());
        }
        let (name, code_at) = read_head(text)?;
        check_library_name(&name)?;
        let machine = Machine::new(false, log).map_err(|why| format!("ERR {why}"))?;
        let registered = register(&machine, text.get(code_at..).unwrap_or_default())?;
        if registered.is_empty() {
            return Err("ERR No functions registered".into());
        }
        let functions = registered.into_iter().map(|registered| Function {
            name: registered.name.into(),
            description: registered.description,
            declared: Declared { has_line: true, flags: registered.flags },
            tally: Tally::default(),
        });
        Ok(Library {
            id: LAST_ID.fetch_add(1, Relaxed) + 1,
            name,
            text: text.into(),
            functions: functions.collect(),
            code_at,
            may_roam: may_roam(text),
        })
    }

    /// The number of this library's functions in a thread's state.
    fn number_in(&self, machine: &Machine) -> Result<u64, Refusal> {
        if let Some(number) = machine.library(self.id) {
            return Ok(number);
        }
        let code = self.text.get(self.code_at..).unwrap_or_default();
        let registered = register(machine, code)?;
        let find = |function: &Function| {
            let found = registered.iter().find(|registered| *registered.name == *function.name);
            found.map(|registered| registered.callback.clone())
        };
        let found: Option<Vec<LuaFunction>> = self.functions.iter().map(find).collect();
        let found = found.ok_or(
            "ERR the library registered other functions on this thread than when it was loaded",
        )?;
        machine.keep_library(self.id, found)
    }
}

/// The name in the first line, and where the code begins.
fn read_head(text: &[u8]) -> Result<(String, usize), Refusal> {
    if !text.starts_with(b"#!") {
        return Err("ERR Missing library metadata".into());
    }
    let end = text.iter().position(|&byte| byte == b'\n').ok_or("ERR Invalid library metadata")?;
    let (bytes, ranges) =
        inline::split(text.get(..end).unwrap_or_default()).ok_or("ERR Invalid library metadata")?;
    let mut name = None;
    for range in ranges.into_iter().skip(1) {
        let word = String::from_utf8_lossy(bytes.get(range).unwrap_or_default()).into_owned();
        let is_name = word.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("name="));
        if !is_name {
            return Err(format!("ERR Invalid metadata value given: {word}").into());
        }
        if name.is_some() {
            return Err("ERR Invalid metadata value, name argument was given multiple times".into());
        }
        name = word.get(5..).map(String::from);
    }
    Ok((name.ok_or("ERR Library name was not given")?, end))
}

/// Runs a library's code, which registers functions.
fn register(machine: &Machine, code: &[u8]) -> Result<Vec<Registered>, Refusal> {
    let function = compile(&machine.lua, code, "@user_function")
        .map_err(|why| Refusal::from(format!("ERR Error compiling function: {why}")))?;
    let shared = &machine.shared;
    *shared.loading.borrow_mut() = Some(Vec::new());
    shared.watch.begin_load();
    let outcome = machine.load.call::<(bool, Value)>(function);
    shared.watch.end();
    machine.tidy();
    machine.restore_hook();
    let registered = shared.loading.borrow_mut().take().unwrap_or_default();
    let why = match outcome {
        Ok((true, _)) => return Ok(registered),
        Ok((false, thrown)) => match &thrown {
            Value::Table(table) => {
                let line = table.get::<Value>("err").ok().as_ref().and_then(text::of);
                String::from_utf8_lossy(&line.unwrap_or_default()).into_owned()
            }
            thrown => format!("ERR {}", String::from_utf8_lossy(&message_in(thrown))),
        },
        Err(why) => format!("ERR {}", message_of(&why)),
    };
    Err(format!("ERR Error registering functions: {why}").into())
}

/// A call that somebody asks for.
pub struct Call<'r> {
    /// The function, by its library and its position there.
    pub library: &'r Arc<Library>,
    /// See `library`.
    pub index: usize,
    /// Whether it is asked for by FCALL_RO.
    pub is_read_only: bool,
    /// The keys.
    pub keys: &'r [&'r [u8]],
    /// The arguments.
    pub args: &'r [&'r [u8]],
    /// The whole request.
    pub request: &'r [&'r [u8]],
}

/// Calls a function, and answers.
///
/// # Errors
/// The error that is answered.
pub fn call(cx: &mut Context<'_>, call: &Call<'_>) -> Result<(), Refusal> {
    let machine: Rc<Machine> = cx.functions.scripts.machine(cx.server, false)?;
    let library = call.library;
    let number = library.number_in(&machine)?;
    let Some(function) = library.functions.get(call.index) else {
        return Err("ERR Function not found".into());
    };
    let began = std::time::Instant::now();
    let request = Request {
        name: &function.name,
        number: (number, call.index),
        declared: &function.declared,
        kind: Kind::Function,
        is_read_only: call.is_read_only,
        may_roam: library.may_roam,
        keys: call.keys,
        args: call.args,
        request: call.request,
    };
    let outcome = run::run(cx, &machine, &request);
    function.tally.note(began.elapsed());
    if outcome.is_err() || cx.wire.error_at.is_some() {
        function.tally.errors.fetch_add(1, Relaxed);
    }
    outcome
}
