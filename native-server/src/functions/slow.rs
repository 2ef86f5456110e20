//! Slow functions: calls on threads of their own, on a copy of the keys that were declared.
//!
//! A call takes copies of its keys under the lock, and watches them as WATCH does. It runs without
//! the lock. If no key has changed by then its effects are applied under the lock, in one go; else
//! it starts again with what the keys hold now.
//!
//! Invariant: what a call read is what its keys held when its effects are applied.
//! Invariant: threads are there while there is work, and a moment longer; their number and that of
//! the calls that wait for one are bounded.

use std::collections::VecDeque;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ferrite_engine::{Args, Error, Kept, Keyspace, Options, Reply, Value, find, limits};

use crate::acl::user::User;
use crate::client::state;
use crate::commands::Refusal;
use crate::context::Context;
use crate::database::Database;
use crate::functions::Thread;
use crate::functions::call::Call;
use crate::functions::failure::Failure;
use crate::functions::fcall::{Request, begin, deadline_ms, write_lines};
use crate::functions::host::{Pace, Running, Timed};
use crate::functions::library::{Function, Library};
use crate::functions::metadata::Flag;
use crate::functions::run::run;
use crate::limits::ROOM_TRIES;
use crate::limits::functions::{JOURNAL_BYTES_MAX, SLOW_CALLS_MAX, SLOW_THREADS, TRIES_MAX};
use crate::persist::recover::Silent;
use crate::resp::wire::Wire;
use crate::server::Server;
use crate::session::Blocked;
use crate::waiting::{self, Ticket};
use crate::watch::Flag as WatchFlag;

/// What a function that was slow has to lose before it is tried under the lock again. Each call
/// that was quick here takes half of it: seven in a row, since it may have been the machine that
/// was slow.
pub const CREDIT: u32 = 64;

/// What runs for less than this here would not have been slow under the lock.
const QUICK: Duration = Duration::from_micros(500);

/// How long a thread waits for more work.
const IDLE: Duration = Duration::from_secs(1);

/// A call that waits for a thread.
struct SlowCall {
    library: Arc<Library>,
    index: usize,
    keys: Vec<Box<[u8]>>,
    args: Vec<Box<[u8]>>,
    command: &'static str,
    ticket: Arc<Ticket>,
    deadline_ms: u64,
    slow_us: i64,
    /// Who called, unless they may do everything.
    user: Option<Arc<User>>,
}

/// Calls that wait for a thread, and the threads.
#[derive(Default)]
pub struct SlowCalls {
    state: Mutex<State>,
    more: Condvar,
}

#[derive(Default)]
struct State {
    calls: VecDeque<SlowCall>,
    threads: usize,
    idle_threads: usize,
}

/// Leaves a call to the threads for slow ones; the session waits for it.
///
/// # Errors
/// If too many wait already.
pub fn submit(cx: &mut Context<'_>, request: &Request<'_>) -> Result<(), Refusal> {
    let owned = |texts: &[&[u8]]| texts.iter().map(|text| (*text).into()).collect();
    let Some(function) = request.library.functions.get(request.index) else {
        return Err("ERR Function not found".into());
    };
    let client = Arc::clone(&cx.session.client);
    let (index, protocol) = (cx.session.database, cx.session.protocol);
    let ticket = Ticket::patient(Arc::clone(&client), index, request.command, protocol);
    let call = SlowCall {
        library: Arc::clone(request.library),
        index: request.index,
        keys: owned(request.keys),
        args: owned(request.args),
        command: request.command,
        ticket: Arc::clone(&ticket),
        deadline_ms: deadline_ms(function, cx.config.function_deadline_ms),
        slow_us: cx.config.slowlog_slower_than_us,
        user: cx.session.login.restricted_user(),
    };
    cx.server.functions.slow.push(cx.server, call)?;
    client.set(state::BLOCKED, true);
    cx.session.blocked = Some(Blocked { ticket, until: None, timeout: |wire| wire.null() });
    Ok(())
}

impl SlowCalls {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, server: &Arc<Server>, call: SlowCall) -> Result<(), Refusal> {
        let mut state = self.lock();
        if state.calls.len() >= SLOW_CALLS_MAX {
            return Err("ERR too many calls of slow functions wait already".into());
        }
        if state.idle_threads <= state.calls.len() && state.threads < SLOW_THREADS {
            let server = Arc::clone(server);
            let thread = std::thread::Builder::new().name("ferrite-function".into());
            match thread.spawn(move || work(&server)) {
                Ok(_) => state.threads += 1,
                Err(why) if state.threads == 0 => {
                    return Err(format!("ERR no thread can be had for the function: {why}").into());
                }
                Err(_) => {}
            }
        }
        state.calls.push_back(call);
        self.more.notify_one();
        Ok(())
    }

    /// The next call. None after a while without one: the thread is to end.
    fn next(&self) -> Option<SlowCall> {
        let mut state = self.lock();
        let until = Instant::now() + IDLE;
        loop {
            if let Some(call) = state.calls.pop_front() {
                return Some(call);
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                state.threads -= 1;
                return None;
            }
            state.idle_threads += 1;
            let woken = self.more.wait_timeout(state, left);
            state = woken.unwrap_or_else(PoisonError::into_inner).0;
            state.idle_threads -= 1;
        }
    }
}

/// What a thread for slow functions does.
fn work(server: &Arc<Server>) {
    let mut thread = Thread::default();
    while let Some(call) = server.functions.slow.next() {
        let started = Instant::now();
        let mut reply = Vec::new();
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            serve(server, &mut thread, &call, started, &mut reply);
        }));
        if outcome.is_err() {
            reply.clear();
            let mut wire = Wire::new(&mut reply, call.ticket.protocol);
            wire.error_text("ERR the function could not be run: the server has a fault");
            thread = Thread::default();
        }
        call.ticket.answer(server.persistence.position(), &reply);
        note(server, &call, started.elapsed());
        // Instances of libraries that are gone go, too.
        let seen = thread.take_seen(&server.functions.loaded);
        thread.keep_seen(seen);
    }
}

fn note(server: &Server, call: &SlowCall, elapsed: Duration) {
    let Some(function) = call.library.functions.get(call.index) else { return };
    let tally = &function.tally;
    tally.note(elapsed);
    tally.slow_calls.fetch_add(1, Relaxed);
    if elapsed < QUICK {
        // Nobody else counts it up but a call that was too slow, after which it is at its most.
        let _ = tally.slow_credit.fetch_update(Relaxed, Relaxed, |credit| Some(credit / 2));
    } else {
        tally.slow_credit.store(CREDIT, Relaxed);
    }
    let slow_us = u128::try_from(call.slow_us).unwrap_or(u128::MAX);
    if elapsed.as_micros() >= slow_us {
        let count = call.keys.len().to_string();
        let name = function.name.as_bytes();
        let mut words: Vec<&[u8]> = vec![call.command.as_bytes(), name, count.as_bytes()];
        words.extend(call.keys.iter().chain(&call.args).map(|text| &**text));
        let now_ms = server.clock.now_ms();
        let max = server.config.snapshot().config.slowlog_max_len;
        let max = usize::try_from(max).unwrap_or_default();
        server.slow.note(&call.ticket.client, &words, now_ms, elapsed, max);
    }
}

/// Runs a call to its end, and writes its reply.
fn serve(
    server: &Arc<Server>,
    thread: &mut Thread,
    call: &SlowCall,
    started: Instant,
    reply: &mut Vec<u8>,
) {
    let Some(function) = call.library.functions.get(call.index) else { return };
    let keys: Vec<&[u8]> = call.keys.iter().map(|key| &**key).collect();
    let args: Vec<&[u8]> = call.args.iter().map(|arg| &**arg).collect();
    let running = Running::new(&function.name, call.command, &keys, &args);
    let shown = server.functions.show(running);
    let _hold = call.library.machine.ticker.hold();
    let limit = Duration::from_millis(call.deadline_ms);
    let mut outcome = Err(Failure::Line(String::new()));
    for _ in 0..TRIES_MAX {
        let running = Some(Arc::clone(&shown.running));
        let pace = Pace::Timed(Timed { started, limit, running });
        let attempt = Attempt { server, call, function, keys: &keys, args: &args };
        reply.clear();
        outcome = attempt.run(thread, pace, reply);
        if !matches!(outcome, Err(Failure::Overrun)) {
            break;
        }
    }
    let Err(failure) = outcome else { return };
    reply.clear();
    let mut wire = Wire::new(reply, call.ticket.protocol);
    let name = &function.name;
    if matches!(failure, Failure::Overrun) {
        function.tally.errors.fetch_add(1, Relaxed);
        wire.error_text(&format!(
            "ERR function '{name}' was run {TRIES_MAX} times, and each time others changed its keys"
        ));
    } else {
        let fuel = function.fuel.unwrap_or_default();
        wire.error_text(&failure.line(name, call.deadline_ms, fuel));
    }
}

/// One attempt at a call.
struct Attempt<'a> {
    server: &'a Arc<Server>,
    call: &'a SlowCall,
    function: &'a Function,
    keys: &'a [&'a [u8]],
    args: &'a [&'a [u8]],
}

impl Attempt<'_> {
    /// Runs the function on a copy, and applies what it changed. [`Failure::Overrun`] if it has to
    /// start again.
    fn run(&self, thread: &mut Thread, pace: Pace, reply: &mut Vec<u8>) -> Result<(), Failure> {
        let flag = WatchFlag::default();
        let copied = self.copy(&flag);
        let outcome = copied.and_then(|(mut keys, now_ms)| {
            let call = self.run_on(thread, pace, &mut keys, now_ms, reply)?;
            let outcome = self.apply(thread, &call, &flag);
            if !matches!(outcome, Err(Failure::Overrun)) {
                write_lines(&self.call.library, self.function, &call);
            }
            thread.keep_call(call);
            outcome
        });
        self.unwatch(&flag);
        outcome
    }

    /// A keyspace with copies of the declared keys, which are watched from now on.
    fn copy(&self, flag: &WatchFlag) -> Result<(Box<Keyspace>, i64), Failure> {
        let now_ms = self.server.clock.now_ms();
        let mut buffer = Vec::new();
        let mut kept: Vec<Kept> = Vec::with_capacity(self.keys.len());
        {
            let mut held = self.server.databases.hold();
            let database = held.get(self.call.ticket.database);
            for key in self.keys {
                let room = JOURNAL_BYTES_MAX.saturating_sub(buffer.len());
                let copy = database.with(now_ms, |cx| cx.keep(key, room, &mut buffer));
                kept.push(copy.ok_or_else(|| {
                    let name = &self.function.name;
                    Failure::Line(format!(
                        "ERR function '{name}' exceeds a limit: it is slow, and the values of its \
                         keys are together longer than 64 MiB"
                    ))
                })?);
                database.watched.add(key, flag);
            }
        }
        let options = Options { max_memory_bytes: limits::MEMORY_BYTES_MAX, ..Options::default() };
        let error = |error: Error| Failure::Line(error.to_string());
        let mut keys = Box::new(Keyspace::new(&options).map_err(error)?);
        for (key, kept) in self.keys.iter().zip(&kept) {
            keys.at(now_ms).put_back(key, kept, &buffer).map_err(error)?;
        }
        Ok((keys, now_ms))
    }

    fn run_on(
        &self,
        thread: &mut Thread,
        pace: Pace,
        keys: &mut Box<Keyspace>,
        now_ms: i64,
        reply: &mut Vec<u8>,
    ) -> Result<Box<Call>, Failure> {
        let (library, function) = (&self.call.library, self.function);
        // It fitted before; a function that is replaced meanwhile keeps its parameters.
        thread.binding.bind(function, self.keys, self.args).map_err(Failure::Line)?;
        let is_fresh = function.has(Flag::Fresh);
        let mut instance = thread.instances.acquire(library, is_fresh, pace)?;
        let mut call = thread.take_call();
        begin(&mut call, function, self.keys, now_ms);
        call.user = self.call.user.clone();
        call.is_heard = true;
        let mut wire = Wire::new(reply, self.call.ticket.protocol);
        let binding = &mut thread.binding;
        let ended = run(&mut instance, (library, self.call.index), call, keys, binding, &mut wire);
        let is_sound = ended.has_returned && !is_fresh;
        thread.instances.release(library, instance, is_sound);
        match ended.outcome {
            Ok(()) => Ok(ended.call),
            Err(failure) => {
                write_lines(library, function, &ended.call);
                thread.keep_call(ended.call);
                Err(failure)
            }
        }
    }

    /// Does to the database what the call did to its copy, all of it or nothing. If memory is
    /// lacking other databases are asked for room, as they are for commands.
    fn apply(&self, thread: &mut Thread, call: &Call, flag: &WatchFlag) -> Result<(), Failure> {
        let (now_ms, own) = (self.server.clock.now_ms(), self.call.ticket.database);
        let mut held = self.server.databases.hold();
        for _ in 0..ROOM_TRIES {
            let outcome = self.apply_to(held.get(own), thread, call, flag);
            let lacks_room = matches!(outcome, Err(Failure::Room));
            if !lacks_room || !held.make_room(own, now_ms) {
                return outcome;
            }
        }
        Err(Failure::Room)
    }

    fn apply_to(
        &self,
        database: &mut Database,
        thread: &mut Thread,
        call: &Call,
        flag: &WatchFlag,
    ) -> Result<(), Failure> {
        let now_ms = self.server.clock.now_ms();
        for key in self.keys {
            // A key that has expired meanwhile has changed.
            database.with(now_ms, |cx| cx.is_there(key));
        }
        if flag.load(Relaxed) {
            return Err(Failure::Overrun);
        }
        if call.effects.is_empty() {
            return Ok(());
        }
        let mut real = thread.take_call();
        begin(&mut real, self.function, self.keys, now_ms);
        real.is_heard = database.has_listeners() || database.is_logged;
        real.swap_keys(&mut database.keys);
        let mut outcome = Ok(());
        call.effects.each(|command, _, arguments| {
            if outcome.is_ok() {
                outcome = redo(&mut real, command, arguments);
            }
        });
        let is_lifted = outcome.is_err() && real.undo();
        real.swap_keys(&mut database.keys);
        if is_lifted {
            database.restore_budget();
        }
        if outcome.is_ok() {
            // The flag of this call is not raised for its own changes any more.
            for key in self.keys {
                database.watched.remove(key, flag);
            }
        }
        database.release(&real.effects, self.call.ticket.client.id, now_ms);
        let _ = waiting::serve(database, now_ms);
        outcome
    }

    fn unwatch(&self, flag: &WatchFlag) {
        let mut held = self.server.databases.hold();
        let database = held.get(self.call.ticket.database);
        for key in self.keys {
            database.watched.remove(key, flag);
        }
    }
}

/// Does an effect again.
fn redo(real: &mut Call, command: &'static str, arguments: &[Value<'_>]) -> Result<(), Failure> {
    let words: Vec<&[u8]> =
        arguments.iter().map(|argument| argument.as_slice().unwrap_or_default()).collect();
    let name = words.first().copied().unwrap_or_default();
    let Some(row) = find(name) else {
        return Err(Failure::Line("ERR an effect of the function is unknown".into()));
    };
    real.keep_all();
    let mut args = Args::new(words.get(1..).unwrap_or_default());
    let mut reply = Silent::default();
    match (row.run)(&mut real.cx(command), &mut args, &mut reply) {
        Err(Error::OutOfMemory) => Err(Failure::Room),
        Err(error) => Err(Failure::Line(error.parts(row.name).concat())),
        Ok(()) => reply.0.map_or(Ok(()), |line| Err(Failure::Line(line))),
    }
}
