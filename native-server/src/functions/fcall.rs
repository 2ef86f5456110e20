//! FCALL on the thread that serves the client, under the lock of its database.
//!
//! Invariant: the keyspace is lent to the call and comes back before anything else happens; who
//! watches, waits or listens hears of what changed when the call has returned normally.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use crate::commands::Refusal;
use crate::context::Context;
use crate::functions::call::Call;
use crate::functions::failure::Failure;
use crate::functions::host::{Pace, Running};
use crate::functions::instance::timed;
use crate::functions::library::{Function, Library};
use crate::functions::metadata::Flag;
use crate::functions::run::run;
use crate::functions::slow;
use crate::limits::ROOM_TRIES;
use crate::limits::functions::TRANSACTION_TICKS;

/// A call that somebody asks for.
pub struct Request<'r> {
    /// The function, by its library and its position there.
    pub library: &'r Arc<Library>,
    /// See `library`.
    pub index: usize,
    /// The keys that are declared.
    pub keys: &'r [&'r [u8]],
    /// The arguments.
    pub args: &'r [&'r [u8]],
    /// FCALL or FCALL_RO.
    pub command: &'static str,
}

/// How long a function may take by its own word and the configuration.
pub fn deadline_ms(function: &Function, config_ms: i64) -> u64 {
    let config_ms = u64::try_from(config_ms).unwrap_or(1).max(1);
    function.deadline_ms.map_or(config_ms, |own_ms| own_ms.min(config_ms))
}

/// Calls a function, and answers.
///
/// # Errors
/// The error that is answered.
pub fn call(cx: &mut Context<'_>, request: Request<'_>) -> Result<(), Refusal> {
    let library = request.library;
    let Some(function) = library.functions.get(request.index) else {
        return Err("ERR Function not found".into());
    };
    if !function.is_read_only
        && cx.server.gate.is_closed()
        && let Some(line) = cx.server.gate.refusal()
    {
        return Err(line.into());
    }
    cx.functions.binding.bind(function, request.keys, request.args)?;
    if !cx.is_in_exec && function.tally.slow_credit.load(Relaxed) > 0 {
        return slow::submit(cx, &request);
    }
    let mut outcome = call_locked(cx, &request, function, !cx.is_in_exec);
    if matches!(outcome, Err(Failure::Room)) {
        outcome = call_with_room(cx, &request, function);
    }
    if matches!(outcome, Err(Failure::Overrun)) && !cx.is_in_exec {
        function.tally.slow_credit.store(slow::CREDIT, Relaxed);
        return slow::submit(cx, &request);
    }
    cx.functions.measure(library, request.index);
    let config_ms = cx.config.function_deadline_ms;
    outcome.map_err(|failure| {
        let deadline_ms = match cx.is_in_exec {
            true => deadline_ms(function, config_ms).min(TRANSACTION_TICKS),
            false => deadline_ms(function, config_ms),
        };
        let fuel = function.fuel.unwrap_or_default();
        failure.line(&function.name, deadline_ms, fuel).into_owned().into()
    })
}

/// Calls a function again that lacked memory, as commands are: after another database has made
/// room, until none has any to give.
#[cold]
fn call_with_room(
    cx: &mut Context<'_>,
    request: &Request<'_>,
    function: &Function,
) -> Result<(), Failure> {
    for tries in 1.. {
        let has_room = cx.held.make_room(cx.session.database, cx.now_ms);
        cx.functions.binding.bind(function, request.keys, request.args).map_err(Failure::Line)?;
        let outcome = call_locked(cx, request, function, has_room && tries < ROOM_TRIES);
        if !matches!(outcome, Err(Failure::Room)) {
            return outcome;
        }
    }
    Err(Failure::Room)
}

/// `asks_for_room` has it end with [`Failure::Room`] if it lacks memory.
fn call_locked(
    cx: &mut Context<'_>,
    request: &Request<'_>,
    function: &Function,
    asks_for_room: bool,
) -> Result<(), Failure> {
    let library = &**request.library;
    let shown = cx.is_in_exec.then(|| {
        let running = Running::new(&function.name, request.command, request.keys, request.args);
        (cx.server.functions.show(running), library.machine.ticker.hold())
    });
    let pace = match &shown {
        None => Pace::Locked,
        Some((shown, _)) => {
            let limit_ms = deadline_ms(function, cx.config.function_deadline_ms);
            timed(limit_ms.min(TRANSACTION_TICKS)).seen_by(&shown.running)
        }
    };
    let is_fresh = function.has(Flag::Fresh);
    let mut instance = cx.functions.instances.acquire(request.library, is_fresh, pace)?;
    let mut call = cx.functions.take_call();
    begin(&mut call, function, request.keys, cx.now_ms);
    call.user = cx.session.login.restricted_user();
    let index = cx.session.database;
    let database = cx.held.get(index);
    call.is_heard = database.has_listeners() || database.is_logged;
    call.asks_for_room = asks_for_room;
    let binding = &mut cx.functions.binding;
    let ended = run(
        &mut instance,
        (library, request.index),
        call,
        &mut database.keys,
        binding,
        &mut cx.wire,
    );
    if ended.is_budget_lifted {
        database.restore_budget();
    }
    let client = cx.session.client.id;
    database.release(&ended.call.effects, client, cx.now_ms);
    if !cx.is_in_exec {
        cx.serve_waiting(index);
    }
    let is_sound = ended.has_returned && !is_fresh;
    cx.functions.instances.release(library, instance, is_sound);
    if !matches!(ended.outcome, Err(Failure::Overrun | Failure::Room)) {
        write_lines(library, function, &ended.call);
    }
    cx.functions.keep_call(ended.call);
    ended.outcome
}

/// Prepares a call.
pub fn begin(call: &mut Call, function: &Function, keys: &[&[u8]], now_ms: i64) {
    call.begin(keys);
    if !Arc::ptr_eq(&call.function, &function.name) {
        call.function = Arc::clone(&function.name);
    }
    call.now_ms = now_ms;
    call.is_read_only = function.is_read_only;
    call.random = None;
}

/// Writes what a call has said into the log.
pub fn write_lines(library: &Library, function: &Function, call: &Call) {
    for (level, text) in &call.lines {
        library.about.log(*level, &function.name, text);
    }
    if call.lines_dropped > 0 {
        let line = format!("{} more lines of this call were dropped", call.lines_dropped);
        library.about.log(3, &function.name, line.as_bytes());
    }
}
