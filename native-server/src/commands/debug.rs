//! DEBUG, for tests; and SLOWLOG, TIME: what operators look at and do.
//!
//! Invariant: DEBUG answers nobody unless `enable-debug-command` says so.

use std::sync::atomic::Ordering;
use std::time::Duration;

use ferrite_engine::{Args, Arity, Error, FAST, READ, Reply, docs};

use crate::checkpoint;
use crate::client::state;
use crate::commands::connection::REDIS_VERSION;
use crate::commands::flags::{ADMIN, NO_SCRIPT};
use crate::commands::{ROW, Result, ServerSpec, debugging, refuse_subcommand};
use crate::context::Context;
use crate::number;

const ADMIN_ROW: ServerSpec = ServerSpec { flags: ADMIN | NO_SCRIPT, ..ROW };

const SLOWLOG_ROW: ServerSpec = ServerSpec { flags: ADMIN, since: docs("2.2.12"), ..ROW };

pub(crate) const COMMANDS: &[ServerSpec] = &[
    ServerSpec {
        name: "debug",
        syntax: docs("subcommand [arg ...]"),
        summary: docs("Does what only tests need."),
        run: debug,
        arity: Arity::AtLeast(2),
        ..ADMIN_ROW
    },
    ServerSpec {
        name: "lolwut",
        arity: Arity::AtLeast(1),
        flags: FAST | READ,
        since: docs("5.0.0"),
        syntax: docs("[VERSION version]"),
        summary: docs("Says hello."),
        run: |cx, _| {
            let version = env!("CARGO_PKG_VERSION");
            cx.wire.verbatim(&format!("Ferrite ver. {version}, as Redis ver. {REDIS_VERSION}\n"));
            Ok(())
        },
        ..ROW
    },
    ServerSpec {
        name: "module",
        since: docs("4.0.0"),
        summary: docs("Tells of modules; there are none."),
        ..ADMIN_ROW
    },
    ServerSpec {
        name: "module|list",
        arity: Arity::Exactly(2),
        since: docs("4.0.0"),
        summary: docs("Returns the modules that are loaded."),
        run: |cx, _| {
            cx.wire.array(0);
            Ok(())
        },
        ..ADMIN_ROW
    },
    ServerSpec { name: "slowlog", summary: docs("Shows commands that were slow."), ..SLOWLOG_ROW },
    ServerSpec {
        name: "slowlog|get",
        syntax: docs("[count]"),
        summary: docs("Returns the newest commands that were slow."),
        run: slowlog_get,
        ..SLOWLOG_ROW
    },
    ServerSpec {
        name: "slowlog|len",
        arity: Arity::Exactly(2),
        summary: docs("Returns how many there are."),
        run: |cx, _| {
            cx.wire.integer(cx.server.slow.len() as i64);
            Ok(())
        },
        ..SLOWLOG_ROW
    },
    ServerSpec {
        name: "slowlog|reset",
        arity: Arity::Exactly(2),
        summary: docs("Forgets them."),
        run: |cx, _| {
            cx.server.slow.truncate(0);
            cx.wire.ok();
            Ok(())
        },
        ..SLOWLOG_ROW
    },
    ServerSpec {
        name: "time",
        arity: Arity::Exactly(1),
        flags: FAST,
        since: docs("2.6.0"),
        summary: docs("Returns the time: seconds, and microseconds."),
        run: |cx, _| {
            let now_us = cx.server.clock.now_us();
            cx.wire.texts(&[(now_us / 1_000_000).to_string(), (now_us % 1_000_000).to_string()]);
            Ok(())
        },
        ..ROW
    },
];

/// Longest DEBUG SLEEP.
const SLEEP_SECONDS_MAX: f64 = 60.0;

fn debug(cx: &mut Context<'_>, args: &mut Args<'_>) -> Result<()> {
    let is_allowed = match cx.config.enable_debug_command.as_str() {
        "yes" => true,
        "local" => cx.session.client.is(state::LOCAL),
        _ => false,
    };
    if !is_allowed {
        return Err("ERR DEBUG command not allowed. If the enable-debug-command option is set to \
                    \"local\", you can run it from a local connection, otherwise you need to set \
                    this option in the configuration file, and then restart the server."
            .into());
    }
    let name = args.required();
    let is = |word: &[u8]| name.eq_ignore_ascii_case(word);
    match args.as_slice() {
        [seconds] if is(b"sleep") => {
            // Clients send a line's end along.
            let seconds = str::from_utf8(seconds).ok();
            let seconds = seconds.and_then(|text| text.trim_end().parse::<f64>().ok());
            let seconds = seconds.filter(|seconds| (0.0..=SLEEP_SECONDS_MAX).contains(seconds));
            let seconds = seconds.ok_or("ERR value is not a valid float")?;
            // As in Redis nobody is served meanwhile.
            cx.held.take_all();
            std::thread::sleep(Duration::from_secs_f64(seconds));
            cx.wire.ok();
        }
        [] if is(b"reload") => {
            cx.held.release();
            checkpoint::reload(&cx.server.databases).map_err(|why| format!("ERR {why}"))?;
            cx.wire.ok();
        }
        [] if is(b"loadaof") => {
            cx.held.release();
            cx.server.persistence.reload(cx.server).map_err(|why| format!("ERR {why}"))?;
            cx.wire.ok();
        }
        [flag] if is(b"pause-cron") => {
            let rests = number::integer(flag).ok_or(Error::NotAnInteger)? != 0;
            cx.server.rests.store(rests, Ordering::Relaxed);
            cx.wire.ok();
        }
        [flag] if is(b"set-active-expire") => {
            let is_on = number::integer(flag).ok_or(Error::NotAnInteger)? != 0;
            cx.server.expires_actively.store(is_on, Ordering::Relaxed);
            cx.wire.ok();
        }
        arguments if debugging::run(cx, name, arguments)? => {}
        _ => {
            let name = String::from_utf8_lossy(name);
            return Err(refuse_subcommand("DEBUG", name.as_bytes()));
        }
    }
    Ok(())
}

fn slowlog_get(cx: &mut Context<'_>, args: &mut Args<'_>) -> Result<()> {
    let count = match args.next() {
        None => 10,
        Some(text) => {
            let count = number::integer(text).filter(|&count| count >= -1);
            match count.ok_or("ERR count should be greater than or equal to -1")? {
                -1 => usize::MAX,
                count => usize::try_from(count).unwrap_or(usize::MAX),
            }
        }
    };
    if args.len() > 0 {
        return Err(Error::Syntax.into());
    }
    let entries = cx.server.slow.newest(count);
    cx.wire.array(entries.len());
    for entry in entries {
        cx.wire.array(6);
        [entry.id, entry.at_s, entry.duration_us].into_iter().for_each(|n| cx.wire.integer(n));
        cx.wire.texts(&entry.request);
        cx.wire.text(entry.client);
        cx.wire.text(entry.client_name);
    }
    Ok(())
}
