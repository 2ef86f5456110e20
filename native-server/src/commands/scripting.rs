//! EVAL and its fellows, and SCRIPT with its subcommands.
//!
//! Not here: what a script is and how it runs (scripting/).

use ferrite_engine::{Args, Arity, Error, Group, Keys, READ, Reply, docs};

use crate::commands::flags::{ALLOW_BUSY, NO_SCRIPT, SKIP_MONITOR};
use crate::commands::{ROW, Result, ServerSpec, container};
use crate::context::Context;
use crate::functions::host::Kind;
use crate::number;
use crate::scripting::busy;
use crate::scripting::eval::{self, Form};
use crate::scripting::scripts;

const EVAL_ROW: ServerSpec = ServerSpec {
    arity: Arity::AtLeast(3),
    keys: Keys::counted(2),
    flags: NO_SCRIPT | SKIP_MONITOR,
    group: Group::Scripting,
    since: docs("2.6.0"),
    ..ROW
};

const BY_TEXT: ServerSpec =
    ServerSpec { syntax: docs("script numkeys [key [key ...]] [arg [arg ...]]"), ..EVAL_ROW };

const BY_SHA: ServerSpec =
    ServerSpec { syntax: docs("sha1 numkeys [key [key ...]] [arg [arg ...]]"), ..EVAL_ROW };

const SCRIPT_ROW: ServerSpec = ServerSpec {
    arity: Arity::Exactly(2),
    flags: NO_SCRIPT,
    group: Group::Scripting,
    since: docs("2.6.0"),
    ..ROW
};

pub(crate) const COMMANDS: &[ServerSpec] = &[
    ServerSpec {
        name: "eval",
        summary: docs("Runs a script in Lua."),
        run: |cx, args| run(cx, args, Form { name: "eval", is_sha: false, is_read_only: false }),
        ..BY_TEXT
    },
    ServerSpec {
        name: "eval_ro",
        flags: NO_SCRIPT | SKIP_MONITOR | READ,
        since: docs("7.0.0"),
        summary: docs("Runs a script in Lua that changes nothing."),
        run: |cx, args| run(cx, args, Form { name: "eval_ro", is_sha: false, is_read_only: true }),
        ..BY_TEXT
    },
    ServerSpec {
        name: "evalsha",
        summary: docs("Runs a script in Lua that is in the cache."),
        run: |cx, args| run(cx, args, Form { name: "evalsha", is_sha: true, is_read_only: false }),
        ..BY_SHA
    },
    ServerSpec {
        name: "evalsha_ro",
        flags: NO_SCRIPT | SKIP_MONITOR | READ,
        since: docs("7.0.0"),
        summary: docs("Runs a script in Lua that is in the cache and changes nothing."),
        run: |cx, args| {
            run(cx, args, Form { name: "evalsha_ro", is_sha: true, is_read_only: true })
        },
        ..BY_SHA
    },
    ServerSpec {
        name: "script",
        arity: Arity::AtLeast(2),
        summary: docs("Commands about scripts."),
        run: container,
        ..SCRIPT_ROW
    },
    ServerSpec {
        name: "script|debug",
        arity: Arity::Exactly(3),
        since: docs("3.2.0"),
        syntax: docs("<YES | SYNC | NO>"),
        summary: docs("Is refused: there is no debugger."),
        run: |_, _| {
            Err("ERR SCRIPT DEBUG is not supported: there is no debugger for scripts".into())
        },
        ..SCRIPT_ROW
    },
    ServerSpec {
        name: "script|exists",
        arity: Arity::AtLeast(3),
        syntax: docs("sha1 [sha1 ...]"),
        summary: docs("Tells which scripts are in the cache."),
        run: exists,
        ..SCRIPT_ROW
    },
    ServerSpec {
        name: "script|flush",
        arity: Arity::AtLeast(2),
        syntax: docs("[ASYNC | SYNC]"),
        summary: docs("Drops all scripts from the cache."),
        run: flush,
        ..SCRIPT_ROW
    },
    ServerSpec {
        name: "script|kill",
        flags: NO_SCRIPT | ALLOW_BUSY,
        summary: docs("Ends a script that runs for long and has changed nothing."),
        run: |cx, _| {
            busy::kill(cx.server, Kind::Script)?;
            cx.wire.ok();
            Ok(())
        },
        ..SCRIPT_ROW
    },
    ServerSpec {
        name: "script|load",
        arity: Arity::Exactly(3),
        syntax: docs("script"),
        summary: docs("Puts a script into the cache, where it stays."),
        run: load,
        ..SCRIPT_ROW
    },
];

fn run(cx: &mut Context<'_>, args: &mut Args<'_>, form: Form) -> Result<()> {
    let given = args.as_slice();
    let (source, count) = (args.required(), args.required());
    let rest = args.as_slice();
    let count = number::integer(count).ok_or(Error::NotAnInteger)?;
    let split = usize::try_from(count)
        .map_err(|_| "ERR Number of keys can't be negative")
        .map(|count| rest.split_at_checked(count))?;
    let (keys, args) = split.ok_or("ERR Number of keys can't be greater than number of args")?;
    let request: Vec<&[u8]> =
        [form.name.as_bytes()].into_iter().chain(given.iter().copied()).collect();
    eval::eval(cx, form, source, keys, args, &request)
}

fn exists(cx: &mut Context<'_>, args: &mut Args<'_>) -> Result<()> {
    cx.wire.array(args.len());
    for digits in args {
        let script = scripts::parse(digits).and_then(|sha| cx.server.scripts.cache.find(&sha));
        cx.wire.integer(script.is_some().into());
    }
    Ok(())
}

fn flush(cx: &mut Context<'_>, args: &mut Args<'_>) -> Result<()> {
    // Scripts that are still in use end with the calls that use them, either way.
    match args.as_slice() {
        [] => {}
        [mode] if mode.eq_ignore_ascii_case(b"sync") || mode.eq_ignore_ascii_case(b"async") => {}
        _ => return Err("ERR SCRIPT FLUSH only support SYNC|ASYNC option".into()),
    }
    cx.server.scripts.cache.flush();
    cx.wire.ok();
    Ok(())
}

fn load(cx: &mut Context<'_>, args: &mut Args<'_>) -> Result<()> {
    let machine = cx.functions.scripts.machine(cx.server, true)?;
    let (script, _) = eval::load(cx, &machine, args.required())?;
    cx.server.scripts.cache.keep(&script)?;
    cx.wire.text(&*script.name);
    Ok(())
}
