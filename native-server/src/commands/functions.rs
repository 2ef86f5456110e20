//! FCALL, and FUNCTION with its subcommands.
//!
//! Not here: what a function is and how it runs (functions/).

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ferrite_engine::{Args, Arity, DENYOOM, Group, Keys, READ, Reply, WRITE, docs};

use crate::client::state;
use crate::commands::flags::{ALLOW_BUSY, NO_SCRIPT, SKIP_MONITOR};
use crate::commands::{Command, ROW, Refusal, Result, ServerSpec, container};
use crate::context::Context;
use crate::database::Held;
use crate::functions::dump;
use crate::functions::fcall::{self, Request};
use crate::functions::host::Kind;
use crate::functions::library::{Function, Library, Tally};
use crate::functions::machine::Guests;
use crate::functions::metadata::{Role, Signature};
use crate::functions::registry::{AnyLibrary, Registry, Seen};
use crate::functions::source::{MAGIC, Source, check_library_name, is_module};
use crate::glob;
use crate::limits::functions::MODULE_BYTES_MAX;
use crate::number;
use crate::resp::wire::Wire;
use crate::scripting::library::{Call, ENGINE, Library as Scripted};
use crate::scripting::{self, busy};
use crate::server::Server;
use crate::session::Blocked;
use crate::waiting::Ticket;

const CALL_ROW: ServerSpec = ServerSpec {
    arity: Arity::AtLeast(3),
    keys: Keys::counted(2),
    flags: NO_SCRIPT | SKIP_MONITOR,
    group: Group::Scripting,
    since: docs("7.0.0"),
    syntax: docs("function numkeys [key [key ...]] [arg [arg ...]]"),
    ..ROW
};

const FUNCTION_ROW: ServerSpec = ServerSpec {
    arity: Arity::Exactly(2),
    flags: NO_SCRIPT,
    group: Group::Scripting,
    since: docs("7.0.0"),
    ..ROW
};

pub(crate) const COMMANDS: &[ServerSpec] = &[
    ServerSpec {
        name: "fcall",
        summary: docs("Calls a function."),
        run: |cx, args| fcall(cx, args, "fcall"),
        ..CALL_ROW
    },
    ServerSpec {
        name: "fcall_ro",
        flags: NO_SCRIPT | SKIP_MONITOR | READ,
        summary: docs("Calls a function that changes nothing."),
        run: |cx, args| fcall(cx, args, "fcall_ro"),
        ..CALL_ROW
    },
    ServerSpec {
        name: "function",
        arity: Arity::AtLeast(2),
        summary: docs("Commands about functions."),
        run: container,
        ..FUNCTION_ROW
    },
    ServerSpec {
        name: "function|delete",
        arity: Arity::Exactly(3),
        flags: NO_SCRIPT | WRITE,
        syntax: docs("library-name"),
        summary: docs("Deletes a library with its functions."),
        run: delete,
        ..FUNCTION_ROW
    },
    ServerSpec {
        name: "function|dump",
        summary: docs("Returns all libraries as a payload for FUNCTION RESTORE."),
        run: |cx, _| {
            let registry = cx.server.functions.loaded.now();
            cx.wire.text(dump::write(registry.texts()));
            Ok(())
        },
        ..FUNCTION_ROW
    },
    ServerSpec {
        name: "function|flush",
        arity: Arity::AtLeast(2),
        flags: NO_SCRIPT | WRITE,
        syntax: docs("[ASYNC | SYNC]"),
        summary: docs("Deletes all libraries."),
        run: flush,
        ..FUNCTION_ROW
    },
    ServerSpec {
        name: "function|kill",
        flags: NO_SCRIPT | ALLOW_BUSY,
        summary: docs("Ends the functions that run for longer than a moment."),
        run: kill,
        ..FUNCTION_ROW
    },
    ServerSpec {
        name: "function|list",
        arity: Arity::AtLeast(2),
        syntax: docs("[LIBRARYNAME pattern] [WITHCODE]"),
        summary: docs("Returns what there is to know of libraries and their functions."),
        run: list,
        ..FUNCTION_ROW
    },
    ServerSpec {
        name: "function|load",
        arity: Arity::AtLeast(3),
        flags: NO_SCRIPT | WRITE | DENYOOM,
        syntax: docs("[WASM] [REPLACE] [NAME library] [CONFIG name value ...] code"),
        summary: docs("Loads a library."),
        run: load,
        ..FUNCTION_ROW
    },
    ServerSpec {
        name: "function|restore",
        arity: Arity::AtLeast(3),
        flags: NO_SCRIPT | WRITE | DENYOOM,
        syntax: docs("payload [FLUSH | APPEND | REPLACE]"),
        summary: docs("Loads the libraries of a payload."),
        run: restore,
        ..FUNCTION_ROW
    },
    ServerSpec {
        name: "function|stats",
        flags: NO_SCRIPT | ALLOW_BUSY,
        summary: docs("Returns which function runs, and what is counted of all of them."),
        run: stats,
        ..FUNCTION_ROW
    },
];

fn fcall(cx: &mut Context<'_>, args: &mut Args<'_>, command: &'static str) -> Result<()> {
    let mut seen = cx.functions.take_seen(&cx.server.functions.loaded);
    let outcome = fcall_of(&mut seen, cx, args, command);
    cx.functions.keep_seen(seen);
    outcome
}

fn fcall_of(
    seen: &mut Seen,
    cx: &mut Context<'_>,
    args: &mut Args<'_>,
    command: &'static str,
) -> Result<()> {
    let given = args.as_slice();
    let (name, count) = (args.required(), args.required());
    if let Some((library, index)) = seen.registry.find_scripted(name) {
        let (library, index) = (Arc::clone(library), *index);
        let (keys, rest) = split_keys(count, args.as_slice())?;
        let request: Vec<&[u8]> =
            [command.as_bytes()].into_iter().chain(given.iter().copied()).collect();
        let is_read_only = command == "fcall_ro";
        let (library, request) = (&library, &request[..]);
        return scripting::library::call(
            cx,
            &Call { library, index, is_read_only, keys, args: rest, request },
        );
    }
    let (library, index) = seen.find(name).ok_or("ERR Function not found")?;
    let rest = args.as_slice();
    let (keys, args) = split_keys(count, rest)?;
    let is_read_only = library.functions.get(index).is_some_and(|function| function.is_read_only);
    if command == "fcall_ro" && !is_read_only {
        return Err("ERR Can not execute a script with write flag using *_ro command.".into());
    }
    fcall::call(cx, Request { library, index, keys, args, command })
}

/// The keys of a call, and its arguments.
type Split<'r, 'a> = (&'r [&'a [u8]], &'r [&'a [u8]]);

fn split_keys<'a, 'r>(count: &[u8], rest: &'r [&'a [u8]]) -> Result<Split<'r, 'a>> {
    let count = number::integer(count).ok_or("ERR Bad number of keys provided")?;
    if count < 0 {
        return Err("ERR Number of keys can't be negative".into());
    }
    let split = usize::try_from(count).ok().and_then(|count| rest.split_at_checked(count));
    Ok(split.ok_or("ERR Number of keys can't be greater than number of args")?)
}

/// Notes a command that the log is to have.
type Note<'n> = dyn FnMut(&[&[u8]]) + 'n;

/// Changes the libraries, under the locks of all databases: so the log has the changes in their
/// order, those of a transaction as a part of it, and a checkpoint has them or comes before them.
fn change(
    held: &mut Held<'_>,
    server: &Server,
    change: impl FnOnce(&mut Registry, &mut Note<'_>) -> Result<()>,
) -> Result<()> {
    held.take_all();
    server
        .functions
        .loaded
        .change(|registry| change(registry, &mut |request| held.note_command(request)))
}

fn delete(cx: &mut Context<'_>, args: &mut Args<'_>) -> Result<()> {
    let name = String::from_utf8_lossy(args.required());
    change(&mut cx.held, cx.server, |registry, note| match registry.remove(&name) {
        true => {
            note(&[b"FUNCTION", b"DELETE", name.as_bytes()]);
            Ok(())
        }
        false => Err("ERR Library not found".into()),
    })?;
    cx.wire.ok();
    Ok(())
}

fn flush(cx: &mut Context<'_>, args: &mut Args<'_>) -> Result<()> {
    let mode = args.next();
    if args.len() > 0 {
        return Err(
            "ERR unknown subcommand or wrong number of arguments for 'flush'. Try FUNCTION \
                    HELP."
                .into(),
        );
    }
    let is_mode =
        |word: &[u8]| word.eq_ignore_ascii_case(b"sync") || word.eq_ignore_ascii_case(b"async");
    if mode.is_some_and(|word| !is_mode(word)) {
        return Err("ERR FUNCTION FLUSH only supports SYNC|ASYNC option".into());
    }
    // Libraries that are still in use end with the calls that use them, either way.
    change(&mut cx.held, cx.server, |registry, note| {
        *registry = Registry::default();
        note(&[b"FUNCTION", b"FLUSH"]);
        Ok(())
    })?;
    cx.wire.ok();
    Ok(())
}

fn kill(cx: &mut Context<'_>, _: &mut Args<'_>) -> Result<()> {
    // Those in WebAssembly end without a trace; others may be those that are meant.
    if cx.server.functions.kill() == 0 {
        busy::kill(cx.server, Kind::Function)?;
    }
    cx.wire.ok();
    Ok(())
}

fn list(cx: &mut Context<'_>, args: &mut Args<'_>) -> Result<()> {
    let (mut pattern, mut with_code) = (None, false);
    while let Some(option) = args.next() {
        if option.eq_ignore_ascii_case(b"withcode") && !with_code {
            with_code = true;
        } else if option.eq_ignore_ascii_case(b"libraryname") && pattern.is_none() {
            pattern = Some(args.next().ok_or("ERR library name argument was not given")?);
        } else {
            let option = String::from_utf8_lossy(option);
            return Err(format!("ERR Unknown argument {option}").into());
        }
    }
    let registry = cx.server.functions.loaded.now();
    let is_asked = |name: &str| {
        let name = name.to_ascii_lowercase();
        pattern.is_none_or(|pattern| glob::matches(&pattern.to_ascii_lowercase(), name.as_bytes()))
    };
    let libraries = registry.libraries.values().filter(|library| is_asked(library.name()));
    let libraries: Vec<&Arc<Library>> = libraries.collect();
    let scripted = registry.scripted.values().filter(|library| is_asked(&library.name));
    let scripted: Vec<_> = scripted.collect();
    cx.wire.array(libraries.len() + scripted.len());
    for library in scripted {
        list_scripted(&mut cx.wire, library, with_code);
    }
    for library in libraries {
        list_library(&mut cx.wire, library, with_code);
    }
    Ok(())
}

fn list_library(wire: &mut Wire<'_>, library: &Library, with_code: bool) {
    wire.map(6 + usize::from(with_code));
    wire.text("library_name");
    wire.text(library.name());
    wire.text("engine");
    wire.text("WASM");
    wire.text("functions");
    wire.array(library.functions.len());
    for function in &library.functions {
        list_function(wire, library, function);
    }
    wire.text("version");
    text_or_null(wire, library.version.as_deref());
    wire.text("isolation");
    wire.text(library.isolation.text());
    wire.text("config");
    wire.map(library.about.config.len());
    for (name, value) in &library.about.config {
        wire.text(name);
        wire.text(value);
    }
    if with_code {
        wire.text("library_code");
        wire.text(&library.text);
    }
}

fn list_scripted(wire: &mut Wire<'_>, library: &Scripted, with_code: bool) {
    wire.map(3 + usize::from(with_code));
    wire.text("library_name");
    wire.text(&library.name);
    wire.text("engine");
    wire.text(ENGINE);
    wire.text("functions");
    wire.array(library.functions.len());
    for function in &library.functions {
        wire.map(3);
        wire.text("name");
        wire.text(&*function.name);
        wire.text("description");
        text_or_null(wire, function.description.as_deref());
        wire.text("flags");
        wire.set(function.declared.flags.len());
        function.declared.flags.iter().for_each(|flag| wire.status(flag.name()));
    }
    if with_code {
        wire.text("library_code");
        wire.text(&library.text);
    }
}

fn text_or_null(wire: &mut Wire<'_>, text: Option<&str>) {
    match text {
        Some(text) => wire.text(text),
        None => wire.null(),
    }
}

fn number_or_null(wire: &mut Wire<'_>, number: Option<u64>) {
    match number.map(i64::try_from) {
        Some(number) => wire.integer(number.unwrap_or(i64::MAX)),
        None => wire.null(),
    }
}

fn list_function(wire: &mut Wire<'_>, library: &Library, function: &Function) {
    wire.map(7);
    wire.text("name");
    wire.text(&function.declaration.name);
    wire.text("description");
    text_or_null(wire, function.description.as_deref());
    wire.text("flags");
    wire.set(function.flags.len());
    function.flags.iter().for_each(|flag| wire.status(flag.name()));
    wire.text("parameters");
    let (parameters, result) = match &function.signature {
        Signature::Typed(parameters, result) => (&parameters[..], result.name()),
        Signature::Generic => (&[][..], "reply"),
    };
    wire.array(parameters.len());
    for parameter in parameters {
        let role = match parameter.role {
            Role::Key => "key",
            Role::Keys => "keys",
            Role::Arg if parameter.optional => "optional arg",
            Role::Arg => "arg",
            Role::Args => "args",
        };
        wire.text(format!("{role} {} {}", parameter.name, parameter.kind.name()));
    }
    wire.text("result");
    wire.text(result);
    wire.text("deadline_ms");
    number_or_null(wire, function.deadline_ms);
    wire.text("fuel");
    number_or_null(wire, function.fuel.filter(|_| library.machine.guests == Guests::Metered));
}

fn stats(cx: &mut Context<'_>, _: &mut Args<'_>) -> Result<()> {
    let functions = &cx.server.functions;
    let (running, registry) = (functions.running(), functions.loaded.now());
    let wire = &mut cx.wire;
    // Where there are no modules the reply is Redis's: some compare it as a whole.
    let has_modules = !registry.libraries.is_empty();
    wire.map(if has_modules { 4 } else { 2 });
    wire.text("running_script");
    match running.first() {
        Some(running) => {
            wire.map(3);
            wire.text("name");
            wire.text(&running.name);
            wire.text("command");
            wire.texts(&running.request);
            wire.text("duration_ms");
            let ms = running.started.elapsed().as_millis();
            wire.integer(i64::try_from(ms).unwrap_or(i64::MAX));
        }
        None => wire.null(),
    }
    let integer = |wire: &mut Wire<'_>, number: usize| wire.integer(number as i64);
    wire.text("engines");
    wire.map(1 + usize::from(has_modules));
    wire.text(ENGINE);
    wire.map(2);
    wire.text("libraries_count");
    integer(wire, registry.scripted.len());
    wire.text("functions_count");
    integer(wire, registry.scripted_count());
    if has_modules {
        stats_of_modules(wire, &registry);
    }
    Ok(())
}

fn stats_of_modules(wire: &mut Wire<'_>, registry: &Registry) {
    let integer = |wire: &mut Wire<'_>, number: usize| wire.integer(number as i64);
    wire.text("WASM");
    wire.map(2);
    wire.text("libraries_count");
    integer(wire, registry.libraries.len());
    wire.text("functions_count");
    integer(wire, registry.function_count());
    wire.text("functions");
    wire.map(registry.function_count() + registry.scripted_count());
    for library in registry.scripted.values() {
        for function in &library.functions {
            tally(wire, &function.name, &function.tally);
        }
    }
    for library in registry.libraries.values() {
        for function in &library.functions {
            tally(wire, &function.declaration.name, &function.tally);
        }
    }
    wire.text("metrics");
    wire.map(registry.libraries.len());
    for library in registry.libraries.values() {
        wire.text(library.name());
        let metrics = library.about.metrics();
        wire.map(metrics.len());
        for (name, value) in metrics {
            wire.text(name);
            wire.double(value.to_string().as_str().into());
        }
    }
}

fn tally(wire: &mut Wire<'_>, function: &str, tally: &Tally) {
    wire.text(function);
    let figures = tally.figures();
    wire.map(figures.len());
    for (name, figure) in figures {
        wire.text(name);
        wire.integer(i64::try_from(figure).unwrap_or(i64::MAX));
    }
}

/// What FUNCTION LOAD is to load.
enum Code {
    /// What begins with `#!`, or a module.
    Any(Vec<u8>),
    /// A module, or where one is.
    Wasm(Source, Vec<u8>),
}

fn load(cx: &mut Context<'_>, args: &mut Args<'_>) -> Result<()> {
    let rest = args.as_slice();
    let (code, options) =
        rest.split_last().map_or((&[][..], &[][..]), |(code, rest)| (*code, rest));
    let is_wasm = options.first().is_some_and(|word| word.eq_ignore_ascii_case(b"wasm"));
    let mut options = options.iter().copied();
    let mut replaces = false;
    let mut source = Source::default();
    if is_wasm {
        options.next();
    }
    while let Some(option) = options.next() {
        let mut value = || {
            let value = options.next().map(String::from_utf8_lossy);
            value.ok_or("ERR Function code is missing")
        };
        if option.eq_ignore_ascii_case(b"replace") {
            replaces = true;
        } else if is_wasm && option.eq_ignore_ascii_case(b"name") && source.name.is_none() {
            let name = value()?.into_owned();
            check_library_name(&name)?;
            source.name = Some(name);
        } else if is_wasm && option.eq_ignore_ascii_case(b"config") {
            let (name, value) = (value()?, value()?);
            source.add_config(&name, &value)?;
        } else {
            let option = String::from_utf8_lossy(option);
            return Err(format!("ERR Unknown option given: {option}").into());
        }
    }
    let code = match is_wasm {
        true => Code::Wasm(source, code.to_vec()),
        false => Code::Any(code.to_vec()),
    };
    let directory = cx.config.function_module_dir.clone();
    work(cx, "function|load", move |server, held, wire| {
        let library = match code {
            Code::Any(text) => server.functions.make(&text)?,
            code => {
                let source = read_code(code, &directory)?;
                AnyLibrary::Module(server.functions.loader.load(&source)?)
            }
        };
        change(held, server, |registry, note| {
            registry.add_any(&library, replaces)?;
            note(&[b"FUNCTION", b"LOAD", library.text()]);
            Ok(())
        })?;
        wire.text(library.name());
        Ok(())
    })
}

fn read_code(code: Code, directory: &str) -> Result<Source> {
    let (source, bytes) = match code {
        Code::Any(code) => return Source::read(&code),
        Code::Wasm(source, bytes) => (source, bytes),
    };
    if bytes.starts_with(MAGIC) {
        let read = Source::read(&bytes)?;
        return Ok(Source { module: read.module, ..source });
    }
    if bytes.starts_with(b"#!") {
        return Err(
            "ERR Module is invalid: it begins with #!, which the form without WASM takes".into()
        );
    }
    let path = std::str::from_utf8(&bytes).ok().filter(|path| {
        path.len() < 1024 && !path.is_empty() && !path.chars().any(char::is_control)
    });
    match path {
        Some(path) if !directory.is_empty() => {
            let module = read_module(Path::new(directory), path)?;
            Ok(Source { module: Source::read(&module)?.module, ..source })
        }
        Some(_) => {
            Err("ERR Paths are not read: send the module's bytes, as redis-cli -x FUNCTION \
                        LOAD WASM < x.wasm does"
                .into())
        }
        None => Err("ERR Module is invalid: magic header not detected (at offset 0x0)".into()),
    }
}

/// A module's file, which has to be inside a directory wherever links lead.
fn read_module(directory: &Path, path: &str) -> Result<Vec<u8>> {
    let unreadable =
        |why: std::io::Error| Refusal::from(format!("ERR Module '{path}' cannot be read: {why}"));
    let directory = directory.canonicalize().map_err(unreadable)?;
    let file = directory.join(path).canonicalize().map_err(unreadable)?;
    if !file.starts_with(&directory) {
        return Err(format!("ERR Module '{path}' is outside of the directory for modules").into());
    }
    let bytes = std::fs::metadata(&file).map_err(unreadable)?.len();
    if bytes > MODULE_BYTES_MAX as u64 {
        let line =
            format!("ERR Module is too large: {bytes} bytes, the limit is {MODULE_BYTES_MAX}");
        return Err(line.into());
    }
    std::fs::read(file).map_err(unreadable)
}

fn restore(cx: &mut Context<'_>, args: &mut Args<'_>) -> Result<()> {
    let payload = args.required().to_vec();
    if args.len() > 1 {
        return Err("ERR unknown subcommand or wrong number of arguments for 'restore'. Try \
                    FUNCTION HELP."
            .into());
    }
    let policy = args.next().unwrap_or(b"append");
    let is = |word: &str| policy.eq_ignore_ascii_case(word.as_bytes());
    let (flushes, replaces) = (is("flush"), is("replace"));
    if !(flushes || replaces || is("append")) {
        return Err(
            "ERR Wrong restore policy given, value should be either FLUSH, APPEND or REPLACE."
                .into(),
        );
    }
    work(cx, "function|restore", move |server, held, wire| {
        let mut libraries = Vec::new();
        for text in dump::read(&payload)? {
            libraries.push(server.functions.make(&text)?);
        }
        change(held, server, |registry, note| {
            if flushes {
                *registry = Registry::default();
            }
            libraries.iter().try_for_each(|library| registry.restore(library, replaces))?;
            if flushes {
                note(&[b"FUNCTION", b"FLUSH"]);
            }
            let texts = libraries.iter().map(AnyLibrary::text);
            texts.for_each(|text| note(&[b"FUNCTION", b"LOAD", text]));
            Ok(())
        })?;
        wire.ok();
        Ok(())
    })
}

/// Whether a command changes the libraries.
pub fn changes_libraries(command: &Command) -> bool {
    command.name.starts_with("function|") && command.has(WRITE)
}

/// Looks whether a transaction may have a command: modules are compiled while others go on, and
/// nobody goes on while EXEC runs.
///
/// # Errors
/// It may not.
pub fn look_at_queued(command: &Command, request: &[&[u8]]) -> Result<()> {
    let is_module = match (command.name, request) {
        ("function|load", [_, _, option, .., text]) => {
            option.eq_ignore_ascii_case(b"wasm") || is_module(text)
        }
        ("function|load", [.., text]) => is_module(text),
        // What is no payload is told so when it is its turn.
        ("function|restore", [_, _, payload, ..]) => {
            dump::read(payload).is_ok_and(|texts| texts.iter().any(|text| is_module(text)))
        }
        _ => false,
    };
    match is_module {
        true => Err("ERR a library in WebAssembly cannot be loaded inside a transaction".into()),
        false => Ok(()),
    }
}

/// Does something that takes a while: on a thread of its own, or at once if EXEC does it.
fn work(
    cx: &mut Context<'_>,
    command: &'static str,
    act: impl FnOnce(&Server, &mut Held<'_>, &mut Wire<'_>) -> Result<()> + Send + 'static,
) -> Result<()> {
    if cx.is_in_exec {
        return act(cx.server, &mut cx.held, &mut cx.wire);
    }
    apart(cx, command, move |server, wire| act(server, &mut server.databases.hold(), wire))
}

/// Loads that are under way, and how many may be.
static LOADS: AtomicUsize = AtomicUsize::new(0);
const LOADS_MAX: usize = 16;

/// Has something done on a thread of its own, while the client waits for the answer.
fn apart(
    cx: &mut Context<'_>,
    command: &'static str,
    act: impl FnOnce(&Server, &mut Wire<'_>) -> Result<()> + Send + 'static,
) -> Result<()> {
    if LOADS.fetch_add(1, Ordering::AcqRel) >= LOADS_MAX {
        LOADS.fetch_sub(1, Ordering::AcqRel);
        return Err("ERR too many libraries are loaded at the same time: try again".into());
    }
    let client = Arc::clone(&cx.session.client);
    let (database, protocol) = (cx.session.database, cx.session.protocol);
    let ticket = Ticket::patient(Arc::clone(&client), database, command, protocol);
    let (server, answered) = (Arc::clone(cx.server), Arc::clone(&ticket));
    let work = move || {
        let mut reply = Vec::new();
        let mut wire = Wire::new(&mut reply, protocol);
        let outcome =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| act(&server, &mut wire)));
        match outcome {
            Ok(Ok(())) => {}
            Ok(Err(refusal)) => refusal.answer(command, &mut wire),
            Err(_) => {
                wire.error_text("ERR the library could not be loaded: the server has a fault");
            }
        }
        LOADS.fetch_sub(1, Ordering::AcqRel);
        answered.answer(server.persistence.position(), &reply);
    };
    let thread = std::thread::Builder::new().name("ferrite-loader".into()).spawn(work);
    if let Err(why) = thread {
        LOADS.fetch_sub(1, Ordering::AcqRel);
        return Err(format!("ERR no thread can be had to load the library: {why}").into());
    }
    client.set(state::BLOCKED, true);
    cx.session.blocked = Some(Blocked { ticket, until: None, timeout: |wire| wire.null() });
    Ok(())
}
