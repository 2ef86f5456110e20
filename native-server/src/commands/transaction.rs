//! Transactions: MULTI, EXEC, DISCARD, WATCH, UNWATCH.
//!
//! Invariant: between WATCH and EXEC the first change of a watched key raises a flag, under the
//! lock that the change happens under; EXEC looks at it under the lock that it runs under. So a
//! transaction runs on what was seen, or not at all.

use std::sync::atomic::Ordering;

use ferrite_engine::{Args, Arity, DENYOOM, Error, FAST, Group, Keys, Reply, docs};

use crate::acl::selector::Denial;
use crate::client::kept;
use crate::commands::flags::{ALL_DATABASES, ALLOW_BUSY, NO_SCRIPT};
use crate::commands::functions::changes_libraries;
use crate::commands::{ROW, Refusal, Result, ServerSpec};
use crate::context::Context;
use crate::database::Held;
use crate::resp::wire::Wire;
use crate::scripting;
use crate::session::{Queued, Session, Transaction, Watch};

const TRANSACTION_ROW: ServerSpec = ServerSpec {
    arity: Arity::Exactly(1),
    flags: NO_SCRIPT | FAST,
    group: Group::Transactions,
    since: docs("1.2.0"),
    ..ROW
};

pub(crate) const COMMANDS: &[ServerSpec] = &[
    ServerSpec {
        name: "discard",
        flags: NO_SCRIPT | FAST | ALLOW_BUSY,
        since: docs("2.0.0"),
        summary: docs("Drops the commands that were queued."),
        run: discard,
        ..TRANSACTION_ROW
    },
    ServerSpec {
        name: "exec",
        flags: NO_SCRIPT,
        summary: docs("Runs the commands that were queued, with nobody coming in between."),
        run: exec,
        ..TRANSACTION_ROW
    },
    ServerSpec {
        name: "multi",
        flags: NO_SCRIPT | FAST | ALLOW_BUSY,
        summary: docs("Queues the commands that follow, until EXEC."),
        run: multi,
        ..TRANSACTION_ROW
    },
    ServerSpec {
        name: "unwatch",
        since: docs("2.2.0"),
        summary: docs("Watches no key any more."),
        run: |cx, _| {
            unwatch(&mut cx.held, cx.session);
            cx.wire.ok();
            Ok(())
        },
        ..TRANSACTION_ROW
    },
    ServerSpec {
        name: "watch",
        arity: Arity::AtLeast(2),
        keys: Keys::ALL,
        since: docs("2.2.0"),
        syntax: docs("key [key ...]"),
        summary: docs("Lets the next EXEC do nothing if one of the keys has changed by then."),
        run: watch,
        ..TRANSACTION_ROW
    },
];

fn multi(cx: &mut Context<'_>, _: &mut Args<'_>) -> Result<()> {
    if cx.session.transaction.is_some() {
        return Err("ERR MULTI calls can not be nested".into());
    }
    cx.session.set_transaction(Some(Transaction::default()));
    cx.wire.ok();
    Ok(())
}

fn discard(cx: &mut Context<'_>, _: &mut Args<'_>) -> Result<()> {
    if cx.session.transaction.is_none() {
        return Err("ERR DISCARD without MULTI".into());
    }
    cx.session.set_transaction(None);
    unwatch(&mut cx.held, cx.session);
    cx.wire.ok();
    Ok(())
}

fn watch(cx: &mut Context<'_>, args: &mut Args<'_>) -> Result<()> {
    if cx.session.transaction.is_some() {
        return Err("ERR WATCH inside MULTI is not allowed".into());
    }
    let (now_ms, index) = (cx.now_ms, cx.session.database);
    let database = cx.held.get(index);
    let watch = cx.session.watch.get_or_insert_with(Watch::default);
    cx.session.client.set_watch(Some(&watch.flag));
    for key in args {
        // A key that has expired is gone before it is watched, so that its going is no change.
        database.with(now_ms, |cx| cx.is_there(key));
        if database.watched.add(key, &watch.flag) {
            watch.keys.push((index, key.into()));
            let bytes = key.len() + kept::EACH;
            cx.session.client.kept_bytes[kept::WATCHED].fetch_add(bytes, Ordering::Relaxed);
        }
    }
    cx.session.client.watches.store(watch.keys.len(), Ordering::Relaxed);
    cx.wire.ok();
    Ok(())
}

/// Watches no key any more.
pub fn unwatch(held: &mut Held<'_>, session: &mut Session) {
    let Some(watch) = session.watch.take() else { return };
    for (database, key) in &watch.keys {
        held.get(*database).watched.remove(key, &watch.flag);
    }
    session.client.set_watch(None);
    session.client.watches.store(0, Ordering::Relaxed);
    session.client.kept_bytes[kept::WATCHED].store(0, Ordering::Relaxed);
}

/// EXEC may not be run: as in Redis that is the end of the transaction.
pub fn abort(cx: &mut Context<'_>, why: &Refusal) {
    cx.session.set_transaction(None);
    unwatch(&mut cx.held, cx.session);
    let mut line = Vec::new();
    why.answer("exec", &mut Wire::new(&mut line, cx.wire.protocol));
    let text = String::from_utf8_lossy(line.get(1..).unwrap_or_default());
    let why = text.strip_prefix("ERR ").unwrap_or(&text).trim_end();
    let text = format!("EXECABORT Transaction discarded because of: {why}");
    cx.wire.error_text(&text);
}

fn exec(cx: &mut Context<'_>, _: &mut Args<'_>) -> Result<()> {
    let Some(transaction) = cx.session.transaction.take() else {
        return Err("ERR EXEC without MULTI".into());
    };
    cx.session.set_transaction(None);
    if transaction.is_refused {
        unwatch(&mut cx.held, cx.session);
        return Err("EXECABORT Transaction discarded because of previous errors.".into());
    }
    if cx.config.is_starved() && transaction.queue.iter().any(|queued| queued.command.has(DENYOOM))
    {
        unwatch(&mut cx.held, cx.session);
        let [code, text, ..] = Error::OutOfMemory.parts("exec");
        return Err(format!("EXECABORT Transaction discarded because of: {code}{text}").into());
    }
    // One database is enough, unless a command or a watch reaches beyond it.
    let watched = cx.session.watch.as_ref().map_or(&[][..], |watch| &watch.keys);
    let is_beyond = watched.iter().any(|(database, _)| *database != cx.session.database)
        || transaction.queue.iter().any(|queued| queued.command.has(ALL_DATABASES))
        || transaction.queue.iter().any(|queued| {
            queued.command.name == "select"
                || changes_libraries(queued.command)
                || scripting::reaches(cx.server, queued.command, &queued.arguments)
        });
    if is_beyond {
        cx.held.take_all();
    }
    let now_ms = cx.now_ms;
    for (database, key) in watched {
        cx.held.get(*database).with(now_ms, |cx| cx.is_there(key));
    }
    cx.held.get(cx.session.database);
    let is_dirty = cx.session.is_dirty();
    unwatch(&mut cx.held, cx.session);
    if is_dirty {
        cx.wire.null_array();
        return Ok(());
    }
    run_queue(cx, &transaction);
    Ok(())
}

/// Whether the user may still do what was queued; if not, that is answered.
fn is_still_permitted(cx: &mut Context<'_>, queued: &Queued, request: &[&[u8]]) -> bool {
    let reason = match cx.denial(queued.command, request, "multi") {
        None => return true,
        Some(Denial::Command) => "no permission to execute the command or subcommand",
        Some(Denial::Key(_)) => "no permission to touch the specified keys",
        Some(Denial::Channel(_)) => "no permission to access one of the channels used as arguments",
    };
    cx.wire.error_text(&format!(
        "NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC \
         call. This command is no longer allowed for the following reason: {reason}"
    ));
    false
}

fn run_queue(cx: &mut Context<'_>, transaction: &Transaction) {
    let first_database = cx.session.database;
    cx.held.get(first_database);
    cx.wire.array(transaction.queue.len());
    cx.is_in_exec = true;
    for queued in &transaction.queue {
        let request: Vec<&[u8]> = queued.arguments.iter().map(|bytes| &**bytes).collect();
        let mark = cx.wire.out.len();
        if !is_still_permitted(cx, queued, &request) {
            continue;
        }
        cx.start(queued.command, &request, mark);
    }
    cx.is_in_exec = false;
    for database in 0..cx.server.databases.count() {
        if cx.held.has(database) {
            cx.serve_waiting(database);
        }
    }
    cx.meter.skip();
}
