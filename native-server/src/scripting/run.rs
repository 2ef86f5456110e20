//! One run of a script, from its keys to its reply.
//!
//! Invariant: the locks that it began with are held until it is over, so all that it changed is one
//! unit in the log; what it changed stays, however it ends.
//! Invariant: what the session was in before (its database, its protocol) it is in afterwards.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;

use mlua::{MultiValue, Table, Value};

use crate::client::state;
use crate::commands::{Refusal, table};
use crate::context::Context;
use crate::functions::host::Kind;
use crate::functions::metadata::Flag;
use crate::scripting::calls::{self, Rights};
use crate::scripting::machine::Machine;
use crate::scripting::room::with_room;
use crate::scripting::scripts::may_roam;
use crate::scripting::shebang::Declared;
use crate::scripting::text;
use crate::scripting::thrown::message_of;
use crate::scripting::to_reply::Writing;

/// A run that somebody asks for.
pub struct Request<'r> {
    /// The script's digest or the function's name, for errors.
    pub name: &'r Arc<str>,
    /// What is run: its number in the state, and which function of a library.
    pub number: (u64, usize),
    /// What it says of itself.
    pub declared: &'r Declared,
    /// Whether it is run by EVAL and its fellows.
    pub kind: Kind,
    /// By a command that lets it change nothing.
    pub is_read_only: bool,
    /// Whether its text reaches beyond one database.
    pub may_roam: bool,
    /// Its keys.
    pub keys: &'r [&'r [u8]],
    /// Its arguments.
    pub args: &'r [&'r [u8]],
    /// The whole request, the command's name included.
    pub request: &'r [&'r [u8]],
}

/// Runs a script, and answers.
///
/// # Errors
/// The error that is answered.
pub fn run(
    cx: &mut Context<'_>,
    machine: &Rc<Machine>,
    request: &Request<'_>,
) -> Result<(), Refusal> {
    let mut rights = prepare(cx, request)?;
    let failed = |why: mlua::Error| Refusal::from(format!("ERR {}", message_of(&why)));
    let keys = list(machine, request.keys).map_err(failed)?;
    let args = list(machine, request.args).map_err(failed)?;
    let before = Before::take(cx, request.keys);
    let shared = &machine.shared;
    shared.protocol.set(2);
    shared.is_running.set(true);
    shared.user.replace(cx.session.login.restricted_user());
    shared.watch.begin(cx.server, request.name, request.kind, request.request);
    let lifts = rights.allows_oom && cx.config.maxmemory > 0;
    if lifts {
        cx.held.get(before.database).lift_budget();
    }
    // Only more references than mlua can hold make it panic. Then the state is not used again.
    let caught = catch_unwind(AssertUnwindSafe(|| {
        machine.lua.scope(|scope| {
            let commands = scope.create_function_mut(|lua, values: MultiValue| {
                calls::run(cx, shared, &mut rights, lua, values)
            })?;
            let run = &machine.run;
            let (number, index) = request.number;
            run.call::<(bool, Value)>((number, index + 1, &machine.handler, commands, keys, args))
        })
    }));
    let outcome = caught.unwrap_or_else(|_| {
        cx.functions.scripts.drop_machine(request.kind);
        Err(mlua::Error::runtime("the script was ended: it has too many values at a time"))
    });
    if lifts {
        cx.held.get(before.database).restore_budget();
    }
    shared.is_running.set(false);
    if shared.watch.end() {
        // The server ends, and what this script has done by now is to be as if it never was.
        cx.held.forget_changes();
    }
    before.bring_back(cx);
    machine.tidy();
    if matches!(outcome, Ok((false, _))) {
        // A script that was to end has the hook after each instruction.
        machine.restore_hook();
    }
    let is_typed = shared.protocol.get() == 3;
    let mark = cx.wire.out.len();
    let answered = match outcome {
        Ok((true, value)) => {
            let mut writing = Writing { wire: &mut cx.wire, is_typed };
            // Names of fields are all that is made.
            let written = with_room(&machine.lua, 1, || writing.value(&value, 0));
            written.inspect_err(|_| cx.wire.out.truncate(mark)).map_err(failed)
        }
        Ok((false, thrown)) => {
            fail(cx, request, &thrown);
            Ok(())
        }
        Err(why) => Err(failed(why)),
    };
    if cx.wire.out.get(mark) == Some(&b'-') && cx.wire.error_at.is_none() {
        note_failure(cx, request);
    }
    cx.server.scripts.note_memory(request.kind, machine.growth_bytes());
    answered
}

/// Counts a script that failed by an error that its command has counted.
fn note_failure(cx: &Context<'_>, request: &Request<'_>) {
    let name = request.request.first().copied().unwrap_or_default();
    let id = table().find(name).map(|command| usize::from(command.id));
    let tally = id.and_then(|id| cx.stats.commands.get(id));
    tally.into_iter().for_each(|tally| tally.failed_calls.add(1));
}

/// Looks whether the script may run at all.
fn prepare(cx: &mut Context<'_>, request: &Request<'_>) -> Result<Rights, Refusal> {
    let declared = request.declared;
    let never_writes = declared.has(Flag::NoWrites);
    let allows_oom = declared.has(Flag::AllowOom);
    if declared.has_line {
        if !never_writes {
            if cx.server.gate.is_closed()
                && let Some(line) = cx.server.gate.refusal()
            {
                return Err(line.into());
            }
            if request.is_read_only {
                return Err(
                    "ERR Can not execute a script with write flag using *_ro command.".into()
                );
            }
        }
        if cx.config.is_starved() && !allows_oom && !never_writes {
            return Err(ferrite_engine::Error::OutOfMemory.into());
        }
    }
    let holds_all = request.may_roam || request.args.iter().any(|arg| may_roam(arg));
    if holds_all && !cx.is_in_exec {
        cx.held.take_all();
    }
    // The lock that every command of the script works under.
    cx.held.get(cx.session.database);
    let is_read_only = request.is_read_only || declared.has_line && never_writes;
    let allows_oom = declared.has_line && allows_oom;
    Ok(Rights::new(is_read_only, allows_oom, cx.held.has_all(), cx.is_in_exec))
}

fn list(machine: &Machine, texts: &[&[u8]]) -> mlua::Result<Table> {
    let bytes = texts.iter().map(|text| text.len() + 1).sum();
    with_room(&machine.lua, bytes, || {
        let table = machine.lua.create_table_with_capacity(texts.len(), 0)?;
        for (at, text) in texts.iter().enumerate() {
            table.raw_set(at + 1, machine.lua.create_string(text)?)?;
        }
        Ok(table)
    })
}

/// What the session was in before.
struct Before {
    database: usize,
    protocol: crate::resp::wire::Protocol,
    is_in_exec: bool,
    began: std::time::Instant,
}

impl Before {
    fn take(cx: &mut Context<'_>, keys: &[&[u8]]) -> Before {
        if cx.session.client.is(state::TRACKING) {
            cx.script_keys = keys.iter().map(|key| (*key).into()).collect();
        }
        let before = Before {
            database: cx.session.database,
            protocol: cx.session.protocol,
            is_in_exec: cx.is_in_exec,
            began: cx.meter.began(),
        };
        (cx.is_in_exec, cx.is_in_script) = (true, true);
        before
    }

    fn bring_back(self, cx: &mut Context<'_>) {
        (cx.is_in_exec, cx.is_in_script) = (self.is_in_exec, false);
        (cx.session.protocol, cx.wire.protocol) = (self.protocol, self.protocol);
        if cx.session.database != self.database {
            cx.session.select(self.database);
        }
        // The time of the script's commands is the script's.
        cx.meter.begin(cx.stats);
        cx.meter.set_began(self.began);
        if !cx.is_in_exec {
            for database in 0..cx.server.databases.count() {
                if cx.held.has(database) {
                    cx.serve_waiting(database);
                }
            }
        }
    }
}

/// Answers the error that a script ended with.
fn fail(cx: &mut Context<'_>, request: &Request<'_>, thrown: &Value) {
    let Value::Table(table) = thrown else {
        let line = text::of(thrown).unwrap_or_else(|| b"execution failure".to_vec());
        let line = String::from_utf8_lossy(&line);
        let name = request.name;
        cx.wire.error_text(&format!("ERR Error running script {name}, {line:.100}"));
        return;
    };
    let field = |name: &str| table.get::<Value>(name).ok().as_ref().and_then(text::of);
    let mut line = field("err").unwrap_or_else(|| b"ERR unknown error".to_vec());
    if let (Some(source), Some(at)) = (field("source"), field("line")) {
        line.extend_from_slice(b" script: ");
        line.extend_from_slice(request.name.as_bytes());
        line.extend_from_slice(b", on ");
        line.extend_from_slice(&source);
        line.push(b':');
        line.extend_from_slice(&at);
        line.push(b'.');
    }
    let is_counted =
        !matches!(table.raw_get("ignore_error_stats_update"), Ok(Value::Boolean(true)));
    Writing { wire: &mut cx.wire, is_typed: false }.error(&line, is_counted);
}
