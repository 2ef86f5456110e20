//! Running commands: one batch of them, and each of them.
//!
//! A batch is what one read brought: its commands run one after the other under one lock of the
//! database, and their replies gather in one output. Most commands go the short way: found, looked
//! at for their number of arguments, run. Whatever may be in the way of that (a transaction, no
//! password yet, somebody who watches every command) takes the long way, which looks in Redis's
//! order.
//!
//! Invariant: a command leaves one reply in the output, or none if it waits; an error takes the
//! place of what it had answered by then.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use ferrite_engine::{
    Args, Cx, DENYOOM, Error, FAST, Group, Millis, READ, Reply, Run, WRITE, refuse_unknown,
};

use crate::acl::log::Entry;
use crate::acl::selector::Denial;
use crate::client::{Client, kept, state};
use crate::commands::flags::{self, ADMIN, NO_AUTH, SKIP_MONITOR};
use crate::commands::{self, Action, Command, Refusal, ServerRun, keys_of, table, transaction};
use crate::config::Config;
use crate::database::Held;
use crate::functions;
use crate::limits::{PRELOADED_WORDS_MIN, QUEUED_BYTES_MAX, QUEUED_COMMANDS_MAX, ROOM_TRIES};
use crate::meter::Meter;
use crate::news::Origin;
use crate::preload::preload_one;
use crate::resp::wire::{Protocol, Wire};
use crate::scripting::busy;
use crate::server::Server;
use crate::session::{Queued, Replies, Session};
use crate::slowlog::redacted;
use crate::stats::ThreadStats;
use crate::waiting::{self, Unblocked};

/// What a command has to work with.
pub struct Context<'b> {
    /// The server.
    pub server: &'b Arc<Server>,
    /// Whose command it is.
    pub session: &'b mut Session,
    /// The locks of databases that are held.
    pub held: Held<'b>,
    /// Where replies go.
    pub wire: Wire<'b>,
    /// The time, which stands still during a batch.
    pub now_ms: Millis,
    /// The configuration.
    pub config: &'b Config,
    /// Where it is counted.
    pub stats: &'b ThreadStats,
    /// How long it takes.
    pub meter: &'b mut Meter,
    /// What its thread needs for functions.
    pub functions: &'b mut functions::Thread,
    /// Whether EXEC runs it, or a script.
    pub is_in_exec: bool,
    /// Whether a script runs it.
    pub is_in_script: bool,
    /// The keys that the script was given, if its client tracks any.
    pub script_keys: Vec<Box<[u8]>>,
}

impl Context<'_> {
    /// Runs a request: a command's name, then its arguments.
    #[inline]
    pub fn run(&mut self, request: &[&[u8]]) {
        let Some(name) = request.first() else { return };
        let command = table().find(name);
        if let Some(command) = command {
            self.session.client.last_command.store(command.id, Ordering::Relaxed);
        }
        if let Some(command) = command
            && let Action::Engine(run) = command.action
            && command.arity.allows(request.len())
            && self.session.is_plain()
            && !self.server.gate.is_closed()
            && self.reach(Some(self.session.database))
        {
            self.run_engine(command, run, request);
            return;
        }
        self.run_gated(command, request);
    }

    /// Runs a command of the engine in the session's database.
    #[inline]
    fn run_engine(&mut self, command: &Command, run: Run, request: &[&[u8]]) {
        let arguments = request.get(1..).unwrap_or_default();
        let is_measured = !command.is_brief || self.meter.is_exact;
        if is_measured {
            self.meter.begin(self.stats);
        }
        let mark = self.wire.out.len();
        let wire = &mut self.wire;
        let database = self.held.get(self.session.database);
        if request.len() >= PRELOADED_WORDS_MIN {
            preload_one(&database.keys, command, request);
        }
        let origin = Origin { command: command.name, client: self.session.client.id, arguments };
        let outcome = database
            .with_origin(origin, self.now_ms, |cx| run(cx, &mut Args::new(arguments), &mut *wire));
        if database.waiting.has_changes() && !self.is_in_exec {
            self.meter.unblocked.append(&mut waiting::serve(database, self.now_ms));
        }
        let outcome = match outcome {
            Err(Error::OutOfMemory) => self.try_again(run, arguments, origin, mark),
            outcome => outcome,
        };
        if self.session.client.is(state::TRACKING) {
            self.track(command, arguments);
        }
        if let Err(error) = outcome {
            self.wire.out.truncate(mark);
            self.wire.error(&error.parts(command.name).map(str::as_bytes));
        }
        self.count(command, is_measured, request);
    }

    /// Tries a command again that lacked memory, after other databases have made room for it. Not
    /// in a transaction, whose lock must stay.
    #[cold]
    fn try_again(
        &mut self,
        run: Run,
        arguments: &[&[u8]],
        origin: Origin<'_>,
        mark: usize,
    ) -> Result<(), Error> {
        let (own, now_ms) = (self.session.database, self.now_ms);
        for _ in 0..ROOM_TRIES {
            if self.is_in_exec || !self.held.make_room(own, now_ms) {
                break;
            }
            self.wire.out.truncate(mark);
            let wire = &mut self.wire;
            let database = self.held.get(own);
            let outcome =
                database.with_origin(origin, now_ms, |cx| run(cx, &mut Args::new(arguments), wire));
            self.serve_waiting(own);
            if outcome != Err(Error::OutOfMemory) {
                return outcome;
            }
        }
        Err(Error::OutOfMemory)
    }

    /// Notes the keys that a client has read, while their database is still locked.
    #[cold]
    fn track(&mut self, command: &Command, arguments: &[&[u8]]) {
        // What CLIENT CACHING says holds for the next command, or for all of a transaction.
        let said = self.session.caches_next;
        let is_amid = self.is_in_exec || self.session.transaction.is_some();
        if !is_amid && !command.name.starts_with("client|") {
            self.session.caches_next = None;
        }
        // Of a script the keys are those that it was given, once it reads any.
        if !command.has(READ) || command.group == Group::Scripting {
            return;
        }
        let client = &self.session.client;
        let tracking = &self.server.news.tracking;
        let is_wanted = tracking.mode(client).is_some_and(|mode| match said {
            Some(is_yes) => is_yes,
            None => !mode.is_opt_in,
        });
        if is_wanted && self.is_in_script {
            self.script_keys.iter().for_each(|key| tracking.remember(client.id, key));
        } else if is_wanted {
            let text = |at: usize| match at {
                0 => command.name.as_bytes(),
                at => arguments.get(at - 1).copied().unwrap_or_default(),
            };
            for at in keys_of(command.name, command.keys, arguments.len() + 1, text) {
                tracking.remember(client.id, text(at));
            }
        }
    }

    /// Counts a command that was run.
    #[inline]
    fn count(&mut self, command: &Command, is_measured: bool, request: &[&[u8]]) {
        if is_measured {
            let elapsed = self.meter.end(command.id, self.stats);
            self.functions.note_elapsed(elapsed);
            if elapsed.as_nanos() >= self.meter.slow_ns.min(self.meter.late_ns)
                && !self.is_in_script
            {
                self.note_slow(command, elapsed, request);
            }
        } else {
            self.meter.note(command.id, self.stats);
        }
        if self.wire.error_at.is_some() {
            self.count_error(Some(command), |tally| tally.failed_calls.add(1));
        }
        if !self.meter.unblocked.is_empty() {
            self.count_unblocked();
        }
    }

    /// Counts commands that had waited, as if they were run behind the one that ended that.
    #[cold]
    fn count_unblocked(&mut self) {
        for Unblocked { ticket, elapsed, error } in std::mem::take(&mut self.meter.unblocked) {
            if let Some(line) = error {
                self.stats.count_failure(ticket.command, line.get(1..).unwrap_or_default());
            }
            if elapsed.as_nanos() >= self.meter.slow_ns {
                self.push_slow(&ticket.client, elapsed, &ticket.request());
            }
        }
    }

    fn push_slow(&self, client: &Client, elapsed: Duration, request: &[&[u8]]) {
        let max = usize::try_from(self.config.slowlog_max_len).unwrap_or_default();
        self.server.slow.note(client, request, self.now_ms, elapsed, max);
    }

    #[cold]
    fn note_slow(&mut self, command: &Command, elapsed: Duration, request: &[&[u8]]) {
        // What waits for keys is not over; it is noted once it is.
        let is_over =
            self.session.blocked.as_ref().is_none_or(|blocked| blocked.ticket.is_patient());
        // What EXEC runs is noted itself.
        if elapsed.as_nanos() >= self.meter.slow_ns && is_over && command.name != "exec" {
            self.push_slow(&self.session.client, elapsed, request);
        }
        if elapsed.as_nanos() >= self.meter.late_ns {
            let event = if command.has(FAST) { "fast-command" } else { "command" };
            let ms = i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX);
            self.server.latency.note(event, self.now_ms / 1000, ms);
        }
    }

    #[cold]
    fn count_error(
        &mut self,
        command: Option<&Command>,
        count: impl Fn(&crate::stats::CommandTally),
    ) {
        let Some(at) = self.wire.error_at.take() else { return };
        self.stats.count_error(self.wire.out.get(at + 1..).unwrap_or_default());
        if let Some(command) = command {
            self.stats.commands.get(usize::from(command.id)).into_iter().for_each(count);
        }
    }

    /// Ends a connection of which nothing good is to be expected, without an answer.
    #[cold]
    fn turn_away(&mut self) {
        let Client { id, address, .. } = &*self.session.client;
        self.server.log.warning(format_args!(
            "client {id} ({address}) sends POST or Host: as a browser does, which somebody may \
             have made it do: it is dropped"
        ));
        self.session.is_closing = true;
    }

    /// Runs a request after a look at everything that may be in its way.
    fn run_gated(&mut self, command: Option<&'static Command>, request: &[&[u8]]) {
        let Some((name, arguments)) = request.split_first() else { return };
        let mark = self.wire.out.len();
        let is_muted = self.session.replies != Replies::On;
        if is_muted {
            // It may wait, and be answered by others.
            self.session.client.set(state::MUTED, true);
        }
        let Some(command) = command else {
            if is_of_http(name) {
                return self.turn_away();
            }
            self.session.client.last_command.store(u16::MAX, Ordering::Relaxed);
            refuse_unknown(name, arguments, &mut self.wire);
            self.session.refuse_transaction();
            self.count_error(None, |_| {});
            self.mute(mark, false);
            return;
        };
        match self.admit(command, request) {
            Ok(Some(command)) => self.start(command, request, mark),
            // It was queued.
            Ok(None) => {}
            Err((command, refusal)) => {
                match command.name {
                    "exec" => transaction::abort(self, &refusal),
                    name => refusal.answer(name, &mut self.wire),
                }
                self.session.refuse_transaction();
                self.count_error(Some(command), |tally| tally.rejected_calls.add(1));
            }
        }
        // Confirmations of these are messages, as what comes of them is.
        let is_message = command.has(flags::PUBSUB) && command.name.ends_with("subscribe");
        let is_error = self.wire.out.get(mark) == Some(&b'-');
        // What a pause holds up comes again.
        if self.session.paused_until.is_none() {
            self.mute(mark, is_message && !is_error);
        }
        if is_muted && !self.session.is_held_up() {
            self.session.client.set(state::MUTED, false);
        }
        if self.session.client.is(state::TARGET) {
            self.put_mail_before(mark);
        }
    }

    /// The command to be run now: a subcommand where there are some. `None` if it is queued.
    fn admit(
        &mut self,
        command: &'static Command,
        request: &[&[u8]],
    ) -> Result<Option<&'static Command>, (&'static Command, Refusal)> {
        if !command.arity.allows(request.len()) {
            return Err((command, Error::WrongArity.into()));
        }
        let command = match command.subcommands.is_empty() || request.len() == 1 {
            true => command,
            false => subcommand(command, request).map_err(|why| (command, why))?,
        };
        self.session.client.last_command.store(command.id, Ordering::Relaxed);
        let may_run = self.may_run(command, request);
        may_run.map_err(|why| (command, why))?;
        if self.server.gate.is_closed() {
            if busy::hold_up(self, command, request).map_err(|why| (command, why))? {
                return Ok(None);
            }
            if self.is_paused(command) {
                return Ok(None);
            }
            if let Some(line) = self.server.gate.refusal()
                && self.is_any(command, |command| command.has(WRITE) || command.name == "ping")
            {
                return Err((command, line.into()));
            }
        }
        if self.session.transaction.is_some() && !self.is_in_exec && !is_never_queued(command) {
            self.queue(command, request).map_err(|why| (command, why))?;
            return Ok(None);
        }
        // A script that was quick so far may turn out not to be while it is waited for.
        while let Some(wanted) = self.wanted(command)
            && !self.reach(wanted)
        {
            if busy::hold_up(self, command, request).map_err(|why| (command, why))? {
                return Ok(None);
            }
        }
        Ok(Some(command))
    }

    /// Locks a database, or all, unless a script has it that runs for long. Whether it is locked.
    #[inline]
    pub fn reach(&mut self, database: Option<usize>) -> bool {
        let gate = &self.server.gate;
        self.held.reach(database, || gate.is_busy())
    }

    /// Which database a command works on, if on any, or whether on all.
    fn wanted(&self, command: &Command) -> Option<Option<usize>> {
        let is_one = matches!(command.action, Action::Engine(_)) || command.keeps_lock;
        let is_all = self.is_any(command, |command| command.has(flags::ALL_DATABASES));
        match is_all {
            true => Some(None),
            false => is_one.then_some(Some(self.session.database)),
        }
    }

    /// Whether a command is such a one, or EXEC of one that is queued.
    fn is_any(&self, command: &Command, is_one: impl Fn(&Command) -> bool) -> bool {
        let queue = self.session.transaction.as_ref().map_or(&[][..], |multi| &multi.queue);
        is_one(command)
            || command.name == "exec" && queue.iter().any(|queued| is_one(queued.command))
    }

    /// Whether a pause holds up a command. What is queued is held up by its EXEC.
    fn is_paused(&mut self, command: &Command) -> bool {
        let is_queued = self.session.transaction.is_some() && !is_never_queued(command);
        if is_queued || command.name.starts_with("client|") {
            return false;
        }
        let Some(pause) = self.server.gate.current_pause() else { return false };
        let is_write = self.is_any(command, |command| {
            command.has(WRITE)
                || matches!(
                    command.name,
                    "publish" | "spublish" | "fcall" | "eval" | "evalsha" | "pfcount"
                )
        });
        let is_paused = is_write || !pause.is_for_writes;
        if is_paused {
            self.session.paused_until = Some(pause.until);
            self.session.client.set(state::BLOCKED, true);
        }
        is_paused
    }

    /// Looks whether the session may run a command at all.
    fn may_run(&self, command: &Command, request: &[&[u8]]) -> Result<(), Refusal> {
        let session = &*self.session;
        if !session.is_authenticated && !command.has(NO_AUTH) && !self.server.access.is_open() {
            return Err("NOAUTH Authentication required.".into());
        }
        if !session.login.is_unrestricted {
            self.permit(command, request)?;
        }
        // What is queued takes memory, too, whatever it is.
        let is_queued = session.transaction.is_some()
            && !matches!(command.name, "exec" | "discard" | "quit" | "reset");
        if (command.has(DENYOOM) || is_queued) && self.config.is_starved() {
            return Err(Error::OutOfMemory.into());
        }
        let is_listening =
            session.protocol == Protocol::Resp2 && session.client.is(state::SUBSCRIBER);
        if is_listening && !is_allowed_to_listeners(command) {
            return Err(format!(
                "ERR Can't execute '{}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / \
                 RESET are allowed in this context",
                command.name
            )
            .into());
        }
        if session.transaction.is_some() && command.has(flags::NO_MULTI) {
            return Err("ERR Command not allowed inside a transaction".into());
        }
        Ok(())
    }

    /// Why the session's user may not make a request, if it may not: that is noted. `context` is
    /// where the request stands.
    pub fn denial(
        &self,
        command: &Command,
        request: &[&[u8]],
        context: &'static str,
    ) -> Option<Denial> {
        if self.session.login.is_unrestricted {
            return None;
        }
        let user = &self.session.login.user;
        let denial = user.denial(command, request)?;
        let text = |at: usize| request.get(at).copied().unwrap_or_default();
        let (reason, object) = match denial {
            Denial::Command => ("command", command.name.as_bytes()),
            Denial::Key(at) => ("key", text(at)),
            Denial::Channel(at) => ("channel", text(at)),
        };
        self.note_denial(reason, context, &user.name, object);
        Some(denial)
    }

    /// Whether the session's user may make a request.
    fn permit(&self, command: &Command, request: &[&[u8]]) -> Result<(), Refusal> {
        let is_amid = self.session.transaction.is_some();
        let context = if is_amid { "multi" } else { "toplevel" };
        let what = match self.denial(command, request, context) {
            None => match self.session.login.user.denied_pattern(command, request) {
                None => return Ok(()),
                Some(option) => {
                    let why = "denied due to insufficient ACL permissions.";
                    return Err(format!("ERR {option} option of SORT {why}").into());
                }
            },
            Some(Denial::Command) => format!("run the '{}' command", command.name),
            Some(Denial::Key(_)) => "access one of the keys used as arguments".into(),
            Some(Denial::Channel(_)) => "access one of the channels used as arguments".into(),
        };
        Err(format!("NOPERM this user has no permissions to {what}").into())
    }

    /// Notes that something was denied.
    #[cold]
    pub fn note_denial(
        &self,
        reason: &'static str,
        context: &'static str,
        user: &[u8],
        object: &[u8],
    ) {
        let client = commands::client::describe(&self.session.client, self.now_ms);
        let client = client.trim_end().into();
        let entry = Entry { reason, context, object: object.into(), user: user.into(), client };
        let max = usize::try_from(self.config.acllog_max_len).unwrap_or_default();
        self.server.access.log().note(entry, self.now_ms, max);
    }

    /// Looks anew at who the session is: users have changed.
    pub fn refresh_login(&mut self) {
        self.session.login = self.server.access.login(&self.session.login.user.name);
    }

    fn queue(&mut self, command: &'static Command, request: &[&[u8]]) -> Result<(), Refusal> {
        let Some(transaction) = &mut self.session.transaction else { return Ok(()) };
        commands::functions::look_at_queued(command, request)?;
        let bytes: usize = request.iter().map(|argument| argument.len()).sum();
        if transaction.queue.len() >= QUEUED_COMMANDS_MAX
            || transaction.bytes + bytes > QUEUED_BYTES_MAX
        {
            return Err("ERR the transaction is too large".into());
        }
        transaction.bytes += bytes;
        let arguments = request.iter().map(|argument| (*argument).into()).collect();
        transaction.queue.push(Queued { command, arguments });
        let count = transaction.queue.len();
        self.session.client.queued.store(count, Ordering::Relaxed);
        let bytes = transaction.bytes + count * kept::EACH;
        self.session.client.kept_bytes[kept::QUEUED].store(bytes, Ordering::Relaxed);
        self.wire.simple("QUEUED");
        Ok(())
    }

    /// Runs a command that nothing is in the way of.
    pub fn start(&mut self, command: &'static Command, request: &[&[u8]], mark: usize) {
        match command.action {
            Action::Engine(run) => {
                let is_static = !command.has(WRITE) && self.server.gate.is_paused();
                if is_static {
                    self.keep_expired(true);
                }
                match self.session.client.is(state::NO_TOUCH) {
                    true => self.run_untouching(command, run, request),
                    false => self.run_engine(command, run, request),
                }
                if is_static {
                    self.keep_expired(false);
                }
            }
            Action::Server(run) => self.run_server(command, run, request, mark),
            Action::Subcommand => self.help(command),
        }
        // As in Redis a command is shown after it was run: EXEC behind what it ran.
        if self.server.gate.is_closed() && !command.has(SKIP_MONITOR | ADMIN) {
            self.show(request);
        }
    }

    /// While clients are paused nothing changes, so not even keys that have expired go.
    fn keep_expired(&mut self, keeps: bool) {
        self.held.get(self.session.database).keys.keep_expired(keeps);
    }

    #[cold]
    fn show(&self, request: &[&[u8]]) {
        let (now_us, session) = (self.server.clock.now_us(), &self.session);
        let address = match self.is_in_script {
            true => "lua".into(),
            false => session.client.watched_address(),
        };
        self.server.gate.show(now_us, session.database, &address, &redacted(request));
    }

    /// Runs a command of the engine that is no use of its keys: those that stay keep their ages.
    #[cold]
    fn run_untouching(&mut self, command: &Command, run: Run, request: &[&[u8]]) {
        if command.name == "touch" {
            return self.run_engine(command, run, request);
        }
        let text = |at: usize| request.get(at).copied().unwrap_or_default();
        let keys = keys_of(command.name, command.keys, request.len(), text).map(text);
        let (now_ms, database) = (self.now_ms, self.session.database);
        let ages: Vec<_> = self
            .held
            .get(database)
            .with(now_ms, |cx| keys.filter_map(|key| Some((key, cx.age_of(key)?))).collect());
        self.run_engine(command, run, request);
        self.held.get(database).with(now_ms, |cx| {
            ages.into_iter().for_each(|(key, age)| cx.set_age(key, age));
        });
    }

    /// Runs a command of the server.
    fn run_server(&mut self, command: &Command, run: ServerRun, request: &[&[u8]], mark: usize) {
        let arguments = request.get(1..).unwrap_or_default();
        if !self.is_in_exec && !command.keeps_lock {
            self.held.release();
        }
        let skipped = usize::from(command.name.contains('|'));
        let mut args = Args::new(arguments.get(skipped..).unwrap_or_default());
        self.meter.begin(self.stats);
        if command.has(SKIP_MONITOR) && self.server.gate.is_closed() {
            self.show(request);
        }
        if let Err(refusal) = run(self, &mut args) {
            self.wire.out.truncate(mark);
            refusal.answer(command.name, &mut self.wire);
        }
        if let (Some(blocked), Some(name)) = (&self.session.blocked, request.first()) {
            blocked.ticket.written.get_or_init(|| (*name).into());
        }
        if let Some(user) = self.session.denied.take() {
            let context = if self.is_in_exec { "multi" } else { "toplevel" };
            let command = request.first().copied().unwrap_or_default();
            self.note_denial("auth", context, &user, command);
        }
        if self.session.client.is(state::TRACKING) {
            self.track(command, arguments);
        }
        self.count(command, true, request);
    }

    /// Answers what subcommands there are.
    fn help(&mut self, command: &Command) {
        let container = command.name.split('|').next().unwrap_or_default();
        let Some(command) = table().find(container.as_bytes()) else { return };
        let title = format!(
            "{} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
            command.name.to_ascii_uppercase()
        );
        let subs = command.subcommands.iter();
        let lines = subs.flat_map(|sub| {
            let name = sub.own_name().to_ascii_uppercase();
            [format!("{name} {}", sub.syntax).trim_end().into(), format!("    {}", sub.summary)]
        });
        let lines: Vec<String> = std::iter::once(title).chain(lines).collect();
        self.wire.array(lines.len());
        lines.iter().for_each(|line| self.wire.status(line));
    }

    /// What others that track have this client told of its own changes comes before its reply.
    #[cold]
    fn put_mail_before(&mut self, mark: usize) {
        let mut mail = Vec::new();
        let logged_to = self.session.client.fetch_mail(&mut mail);
        self.held.logged_to = self.held.logged_to.max(logged_to);
        self.wire.out.splice(mark..mark, mail);
    }

    /// Takes back a reply that CLIENT REPLY does not want.
    fn mute(&mut self, mark: usize, is_message: bool) {
        let mark = if is_message { self.wire.out.len() } else { mark };
        match self.session.replies {
            Replies::On => {}
            Replies::Off => self.wire.out.truncate(mark),
            Replies::Skip => {
                self.wire.out.truncate(mark);
                self.session.replies = Replies::On;
            }
            Replies::SkipNext => {
                self.wire.out.truncate(mark);
                self.session.replies = Replies::Skip;
            }
        }
    }

    /// Does something with the keys of the session's database.
    pub fn with<T>(&mut self, act: impl FnOnce(&mut Cx<'_>) -> T) -> T {
        self.held.get(self.session.database).with(self.now_ms, act)
    }

    /// Serves those who were waiting for what has changed in a database.
    pub fn serve_waiting(&mut self, database: usize) {
        let database = self.held.get(database);
        if database.waiting.has_changes() {
            self.meter.unblocked.append(&mut waiting::serve(database, self.now_ms));
        }
    }

    /// The monotonic time, for what waits.
    pub fn instant(&self) -> Instant {
        Instant::now()
    }
}

fn subcommand(command: &'static Command, request: &[&[u8]]) -> Result<&'static Command, Refusal> {
    let name = request.get(1).copied().unwrap_or_default();
    let Some(found) = command.subcommand(name) else {
        let name = String::from_utf8_lossy(name.get(..128).unwrap_or(name));
        let container = command.name.to_ascii_uppercase();
        return Err(format!("ERR unknown subcommand '{name}'. Try {container} HELP.").into());
    };
    if !found.arity.allows(request.len()) {
        let parts = Error::WrongArity.parts(found.name);
        return Err(parts.concat().into());
    }
    Ok(found)
}

/// Commands that a transaction does not queue: those that end it, or cannot wait.
fn is_never_queued(command: &Command) -> bool {
    matches!(command.name, "exec" | "discard" | "multi" | "watch" | "quit" | "reset")
}

/// Whether this is how a request of HTTP begins, or goes on: somebody may have a browser send what
/// Redis would take for commands.
fn is_of_http(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"post") || name.eq_ignore_ascii_case(b"host:")
}

fn is_allowed_to_listeners(command: &Command) -> bool {
    let is_other = matches!(command.name, "ping" | "quit" | "reset");
    is_other || command.has(flags::PUBSUB) && command.name.ends_with("subscribe")
}
