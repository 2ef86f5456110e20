//! A connection: reads requests, has them run, sends the replies.
//!
//! It is a state machine that is woken when its socket can be read or written, when somebody has
//! mail for it, or when it has waited long enough. What it reads is run at once, on the same
//! thread; replies are sent before it sleeps, and amid a pipeline once there are many. It goes on
//! reading while replies wait to be sent, as clients that send a long pipeline before they read
//! rely on; but not beyond the limits.
//!
//! Invariant: while a command waits nothing more is run. Whoever has more replies waiting than the
//! limits allow is dropped.

mod waits;

use std::cell::RefCell;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context as Task, Poll};
use std::time::Duration;

use ferrite_engine::Reply;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use crate::acl::user::DEFAULT;
use crate::client::{Client, signal, state};
use crate::commands;
use crate::config::{Config, OutputLimit};
use crate::context::Context;
use crate::io_thread::IoThread;
use crate::limits::{
    BATCH_EFFECTS_BYTES, BATCH_OUTPUT_BYTES, FREE_OUTPUT_BYTES, KEPT_BUFFER_BYTES,
    OUTPUT_BYTES_MAX, READ_BYTES, SENT_AMID_BYTES, SHARED_START_BYTES_MAX, SPARE_BUFFER_BYTES_MAX,
    TURNS_MAX, WAITING_INPUT_BYTES_MAX,
};
use crate::preload::preload_requests;
use crate::resp::ahead::Ahead;
use crate::resp::parser::{Allowed, Parsed, Parser};
use crate::resp::wire::Wire;
use crate::server::Server;
use crate::session::Session;
use crate::socket::{Names, PROTECTED, Stream, Visitor};

/// One connection.
pub struct Connection {
    server: Arc<Server>,
    thread: Rc<RefCell<IoThread>>,
    stream: Stream,
    session: Session,
    parser: Parser,
    /// Input that was not run yet: a request that is not complete, or what comes behind a command
    /// that waits.
    input: Vec<u8>,
    /// Output that was not sent yet, and how much of it was.
    output: Vec<u8>,
    sent: usize,
    /// No output is sent before the log is durable up to here, and whether it is waited for.
    logged_to: u64,
    is_waiting: bool,
    /// Since when more waits to be sent than the soft limit allows.
    over_since: Option<Instant>,
    /// Input that may wait to be run (`client-query-buffer-limit`), as of the last look.
    input_bytes_max: u64,
    /// When a command that waits gives up.
    timer: Option<Pin<Box<Sleep>>>,
    /// Something was waited for, and what came behind it was run.
    has_resumed: bool,
}

/// The connection is over.
pub struct Over;

impl Connection {
    /// A connection that was just accepted. `None` if it was turned away.
    pub fn new(
        server: &Arc<Server>,
        thread: &Rc<RefCell<IoThread>>,
        visitor: Visitor,
    ) -> Option<Connection> {
        let config = Arc::clone(&server.config.snapshot().config);
        let Names { address, local_address, is_local } = visitor.names(&config).ok()?;
        visitor.prepare(&config).ok()?;
        let refuse = |line: &str| {
            server.stats.connections_rejected.fetch_add(1, Relaxed);
            // Whoever does not take it at once learns of it by the connection's end.
            let _ = visitor.write(line.as_bytes());
        };
        if config.protected_mode && server.access.is_open() && !is_local {
            refuse(PROTECTED);
            return None;
        }
        let id = server.clients.next_id();
        let (now_ms, descriptor) = (server.clock.now_ms(), visitor.descriptor());
        let client = Client::new(id, address, local_address, now_ms, descriptor);
        client.set(state::LOCAL, is_local);
        client.set(state::UNIX, visitor.is_file());
        let client = Arc::new(client);
        let max = usize::try_from(config.maxclients).unwrap_or(usize::MAX);
        if !server.clients.enter(&client, max) {
            refuse("-ERR max number of clients reached\r\n");
            return None;
        }
        server.log.verbose(format_args!("client {id} connects from {}", client.address));
        let session = Session::new(client, server.access.login(DEFAULT));
        let Ok(stream) = visitor.into_stream() else {
            server.clients.leave(id);
            return None;
        };
        Some(Connection {
            server: Arc::clone(server),
            thread: Rc::clone(thread),
            stream,
            session,
            parser: Parser::default(),
            input: Vec::new(),
            output: Vec::new(),
            sent: 0,
            logged_to: 0,
            is_waiting: false,
            over_since: None,
            input_bytes_max: config.client_query_buffer_limit,
            timer: None,
            has_resumed: false,
        })
    }

    /// Does all there is to do. Pending once there is nothing left.
    pub fn turn(&mut self, task: &mut Task<'_>) -> Poll<Over> {
        self.session.client.register(task.waker());
        for _ in 0..TURNS_MAX {
            let signals = self.session.client.take_signals();
            if signals != 0 && self.heed(signals).is_ready() {
                return Poll::Ready(Over);
            }
            self.look_at_waits(task);
            if self.poll_send(task).is_err() || signals != 0 && self.has_to_go() {
                return Poll::Ready(Over);
            }
            if self.is_overdue() {
                self.server.stats.clients_dropped.fetch_add(1, Relaxed);
                self.warn("is dropped: its output is beyond client-output-buffer-limit");
                return Poll::Ready(Over);
            }
            let push = self.stream.poll_push(task);
            if let Poll::Ready(Err(_)) = push {
                return Poll::Ready(Over);
            }
            if self.session.is_closing {
                let is_sent = self.output.is_empty() && push.is_ready();
                return if is_sent { Poll::Ready(Over) } else { Poll::Pending };
            }
            if self.input.len() as u64 > self.input_bytes_max {
                self.server.stats.inputs_dropped.fetch_add(1, Relaxed);
                self.warn("is dropped: its input is beyond client-query-buffer-limit");
                return Poll::Ready(Over);
            }
            if self.is_full() || self.is_held() && self.output.len() > KEPT_BUFFER_BYTES {
                return Poll::Pending;
            }
            match self.poll_receive(task) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(count)) if count > 0 => {}
                Poll::Ready(_) => return Poll::Ready(Over),
            }
        }
        // The others' turn; this one has not slept yet.
        task.waker().wake_by_ref();
        Poll::Pending
    }

    /// Tells the operator what happens to this client.
    fn warn(&self, what: &str) {
        let Client { id, address, .. } = &*self.session.client;
        self.server.log.warning(format_args!("client {id} ({address}) {what}"));
    }

    /// Whether more output waits than the limits of its class allow, or for longer.
    fn is_overdue(&mut self) -> bool {
        if self.session.is_dropped {
            return true;
        }
        let waiting = (self.output.len() - self.sent) as u64;
        if waiting == 0 {
            self.over_since = None;
            return false;
        }
        let limit = self.output_limit(&self.server.config.snapshot().config);
        let is_over = |limit_bytes: u64| {
            limit_bytes > 0 && waiting > limit_bytes.max(FREE_OUTPUT_BYTES as u64)
        };
        if !is_over(limit.soft_bytes) {
            self.over_since = None;
        } else if limit.soft_seconds > 0 {
            let since = *self.over_since.get_or_insert_with(Instant::now);
            if since.elapsed() > Duration::from_secs(limit.soft_seconds) {
                return true;
            }
        }
        is_over(limit.hard_bytes) || is_over(OUTPUT_BYTES_MAX as u64)
    }

    /// The limits of its class.
    fn output_limit(&self, config: &Config) -> OutputLimit {
        config.output_limits[usize::from(self.session.client.is(state::SUBSCRIBER)) * 2]
    }

    /// Whether it may not read on, since a command waits.
    fn is_full(&self) -> bool {
        self.session.is_held_up() && self.input.len() > WAITING_INPUT_BYTES_MAX
    }

    /// Does what others told it.
    fn heed(&mut self, signals: u32) -> Poll<Over> {
        if signals & signal::KILL != 0 {
            return Poll::Ready(Over);
        }
        if signals & signal::MAIL != 0 {
            self.fetch_mail();
        }
        if signals & (signal::TIMEOUT | signal::UNBLOCK) != 0 {
            self.unblock(signals & signal::UNBLOCK != 0);
        }
        Poll::Pending
    }

    fn fetch_mail(&mut self) {
        let logged_to = self.session.client.fetch_mail(&mut self.output);
        self.note_logged(logged_to);
    }

    /// Something was changed on behalf of this client, up to a position in the log.
    fn note_logged(&mut self, logged_to: u64) {
        self.session.logged_to = self.session.logged_to.max(logged_to);
        if self.server.databases.log.holds_replies(logged_to) && logged_to > self.logged_to {
            self.logged_to = logged_to;
            self.is_waiting = false;
        }
    }

    /// Whether output waits for the disk.
    fn is_held(&self) -> bool {
        self.logged_to > 0
    }

    /// Output may wait for the disk no more, or is to be waited for.
    fn look_at_log(&mut self, task: &Task<'_>) -> io::Result<()> {
        let log = &self.server.databases.log;
        if !log.holds_replies(self.logged_to) {
            self.logged_to = 0;
        } else if log.has_failed() {
            // Nobody knows whether the change will be there: so nobody is told anything.
            return Err(io::Error::other("the log has failed"));
        } else if !self.is_waiting {
            self.is_waiting = true;
            self.thread.borrow().replies.wait(self.logged_to, task.waker());
        }
        Ok(())
    }

    /// Reads, and runs what was read. How many bytes; none at the end.
    fn poll_receive(&mut self, task: &mut Task<'_>) -> Poll<io::Result<usize>> {
        let thread = Rc::clone(&self.thread);
        let thread = &mut *thread.borrow_mut();
        let kept = self.input.len();
        if kept <= SHARED_START_BYTES_MAX {
            // What is there already goes in front of what comes.
            let mut shared = std::mem::take(&mut thread.input);
            let mut buffer = ReadBuf::new(&mut shared);
            buffer.put_slice(&self.input);
            let outcome = Pin::new(&mut self.stream).poll_read(task, &mut buffer);
            let count = buffer.filled().len() - kept;
            if outcome.is_ready() && count > 0 {
                self.input.clear();
                self.note_received(thread, count);
                self.work(thread, buffer.filled());
            }
            thread.input = shared;
            return outcome.map_ok(|()| count);
        }
        let outcome = pin!(self.stream.read_buf(&mut self.input)).poll(task);
        if let Poll::Ready(Ok(count)) = outcome {
            self.note_received(thread, count);
            let input = std::mem::take(&mut self.input);
            self.work_kept(thread, input);
        }
        outcome
    }

    fn note_received(&self, thread: &IoThread, count: usize) {
        thread.stats.input_bytes.add(count as u64);
        thread.stats.reads.add(1);
        self.session.client.total_bytes[0].fetch_add(count as u64, Relaxed);
    }

    /// The same for input that is the connection's own, and stays so if it is not complete.
    fn work_kept(&mut self, thread: &mut IoThread, mut input: Vec<u8>) {
        let consumed = self.run(thread, &input);
        self.send_now(thread);
        input.drain(..consumed);
        if input.is_empty() {
            keep(&mut thread.spare_input, input);
        } else {
            self.input = input;
        }
        self.note_waiting();
    }

    /// Runs what is complete of the input, and keeps the rest.
    fn work(&mut self, thread: &mut IoThread, input: &[u8]) {
        let consumed = self.run(thread, input);
        self.send_now(thread);
        let rest = input.get(consumed..).unwrap_or_default();
        if rest.len() > SHARED_START_BYTES_MAX && self.input.capacity() == 0 {
            self.input = std::mem::take(&mut thread.spare_input);
        }
        self.input.extend_from_slice(rest);
        self.note_waiting();
    }

    /// Notes what the client takes of memory. Whether it has to go for that.
    fn has_to_go(&self) -> bool {
        let Server { crowd, clients, log, .. } = &*self.server;
        crowd.note(&self.session.client, clients, log)
    }

    fn note_waiting(&mut self) {
        let len = self.input.len();
        if len > SHARED_START_BYTES_MAX {
            // Room for what is known to come, but no more at once than has come already.
            self.input.reserve(self.parser.wanted.clamp(READ_BYTES, len.max(READ_BYTES)));
        } else if len == 0 && self.input.capacity() > 0 {
            self.input = Vec::new();
        }
        let client = &self.session.client;
        if !self.input.is_empty() || client.input_bytes.load(Relaxed) > 0 {
            client.input_bytes.store(len, Relaxed);
        }
        self.has_to_go();
    }

    /// Runs requests until the input ends, one is not complete, or one waits. How many bytes they
    /// were.
    fn run(&mut self, thread: &mut IoThread, input: &[u8]) -> usize {
        let mut consumed = 0;
        loop {
            consumed += self.run_batch(thread, input.get(consumed..).unwrap_or_default());
            if std::mem::take(&mut self.session.has_much_to_send) {
                self.send_now(thread);
                self.send_waiting(thread);
            } else if !std::mem::take(&mut self.session.is_reconfigured) {
                return consumed;
            }
        }
    }

    /// The same until the configuration changes, or there is much to send.
    fn run_batch(&mut self, thread: &mut IoThread, input: &[u8]) -> usize {
        if self.session.is_held_up() || self.session.is_closing {
            return 0;
        }
        self.server.config.refresh(&mut thread.config);
        if self.server.access.has_changed(&self.session.login) {
            self.session.login = self.server.access.login(&self.session.login.user.name);
        }
        let config = &*thread.config.config;
        self.session.client.input_bytes.store(input.len(), Relaxed);
        if self.has_to_go() {
            return 0;
        }
        self.input_bytes_max = config.client_query_buffer_limit;
        self.session.output_bytes_max = match self.output_limit(config).hard_bytes {
            0 => usize::MAX,
            hard_bytes => usize::try_from(hard_bytes)
                .unwrap_or(usize::MAX)
                .max(FREE_OUTPUT_BYTES)
                .saturating_add(self.sent),
        };
        let output = if self.output.is_empty() { &mut thread.output } else { &mut self.output };
        thread.meter.start(config.slowlog_slower_than_us, config.latency_monitor_threshold_ms);
        let protocol = self.session.protocol;
        let now_ms = self.server.clock.now_ms();
        self.session.client.seen_ms.store(now_ms, Relaxed);
        let mut context = Context {
            server: &self.server,
            session: &mut self.session,
            held: self.server.databases.hold(),
            wire: Wire::new(output, protocol),
            now_ms,
            config,
            stats: &thread.stats,
            meter: &mut thread.meter,
            functions: &mut thread.functions,
            is_in_exec: false,
            is_in_script: false,
            script_keys: Vec::new(),
        };
        let consumed = run_requests(&mut context, &mut self.parser, input, &mut thread.arguments);
        context.meter.begin(&thread.stats);
        context.held.release();
        let logged_to = context.held.logged_to;
        drop(context);
        if logged_to > 0 {
            self.note_logged(logged_to);
        }
        self.server.news.tracking.flush();
        consumed
    }

    /// Runs what has come while the thread is taken by something else: without the event loop,
    /// which does not turn meanwhile (see lounge.rs).
    pub fn serve_aside(&mut self, spare: &mut IoThread) {
        let blocked = self.session.blocked.as_ref();
        if blocked.is_some_and(|blocked| blocked.ticket.is_done()) {
            // By another thread, of which the event loop has not heard in time.
            self.fetch_mail();
            self.session.blocked = None;
            self.session.client.set(state::BLOCKED, false);
            self.timer = None;
            self.send_aside(spare);
        }
        let session = &self.session;
        if session.is_closing || session.blocked.is_some() || session.log_wait.is_some() {
            return;
        }
        let mut received = std::mem::take(&mut spare.input);
        while self.input.len() <= WAITING_INPUT_BYTES_MAX
            && let Ok(count @ 1..) = self.stream.read_now(&mut received)
        {
            self.note_received(spare, count);
            self.input.extend_from_slice(received.get(..count).unwrap_or_default());
        }
        spare.input = received;
        if self.input.is_empty() {
            return;
        }
        let was_held_up = self.session.paused_until.take().is_some();
        let input = std::mem::take(&mut self.input);
        self.work(spare, &input);
        if self.session.paused_until.is_none() && was_held_up {
            self.session.client.set(state::BLOCKED, false);
        }
        self.send_aside(spare);
    }

    fn send_aside(&mut self, spare: &IoThread) {
        if !self.is_held() {
            let rest = self.output.get(self.sent..).unwrap_or_default();
            let count = self.stream.write_now(rest).unwrap_or_default();
            self.sent += count;
            self.note_sent(spare, count);
        }
        // The event loop has it look at what is left, once it turns again.
        self.session.client.signal(signal::LOOK);
    }

    /// Sends what was just answered; what does not go out at once becomes the connection's own.
    fn send_now(&mut self, thread: &mut IoThread) {
        if self.session.is_dropped {
            thread.output.clear();
            self.output.clear();
            self.sent = 0;
        }
        if thread.output.is_empty() {
            return;
        }
        let mut sent = 0;
        if !self.is_held() {
            // An error comes again when the rest is sent, and ends the connection there.
            sent = self.stream.try_write(&thread.output).unwrap_or_default();
            self.note_sent(thread, sent);
        }
        let rest = thread.output.get(sent..).unwrap_or_default();
        if rest.len() > KEPT_BUFFER_BYTES && self.output.is_empty() {
            // To copy that much would take longer than to make another buffer.
            self.output = std::mem::take(&mut thread.output);
            self.sent = sent;
        } else {
            self.output.extend_from_slice(rest);
            let used = std::mem::take(&mut thread.output);
            keep(&mut thread.output, used);
        }
        self.session.client.output_bytes.store(self.output.len() - self.sent, Relaxed);
    }

    /// Sends of what waits what goes out at once.
    fn send_waiting(&mut self, thread: &mut IoThread) {
        if self.output.is_empty() || self.is_held() {
            return;
        }
        while let Some(rest) = self.output.get(self.sent..).filter(|rest| !rest.is_empty())
            && let Ok(count @ 1..) = self.stream.try_write(rest)
        {
            self.sent += count;
            self.note_sent(thread, count);
        }
        if self.sent == self.output.len() {
            self.forget_sent(thread);
        } else if self.sent > self.output.len() / 2 {
            // So it stays as large as what waits, and what is moved is less than what was sent.
            self.output.drain(..self.sent);
            self.sent = 0;
        }
    }

    /// All that waited was sent.
    fn forget_sent(&mut self, thread: &mut IoThread) {
        keep(&mut thread.output, std::mem::take(&mut self.output));
        self.sent = 0;
        self.session.client.output_bytes.store(0, Relaxed);
    }

    fn note_sent(&self, thread: &IoThread, count: usize) {
        thread.stats.output_bytes.add(count as u64);
        thread.stats.writes.add(1);
        self.session.client.total_bytes[1].fetch_add(count as u64, Relaxed);
    }

    /// Sends what waits to be sent, as much as goes out.
    fn poll_send(&mut self, task: &mut Task<'_>) -> io::Result<()> {
        if self.is_held() {
            self.look_at_log(task)?;
        }
        while self.sent < self.output.len() && !self.is_held() {
            let rest = self.output.get(self.sent..).unwrap_or_default();
            match Pin::new(&mut self.stream).poll_write(task, rest) {
                Poll::Pending => {
                    self.session.client.output_bytes.store(rest.len(), Relaxed);
                    return Ok(());
                }
                Poll::Ready(count) => {
                    let count = count?;
                    self.sent += count;
                    self.note_sent(&self.thread.borrow(), count);
                    // Who takes what it is sent unasked is not silent.
                    self.session.client.seen_ms.store(self.server.clock.now_ms(), Relaxed);
                }
            }
        }
        if !self.output.is_empty() && !self.is_held() {
            let thread = Rc::clone(&self.thread);
            self.forget_sent(&mut thread.borrow_mut());
        }
        Ok(())
    }
}

/// Keeps a buffer that is done with for the next that needs one, if it is of use and not too large.
fn keep(spare: &mut Vec<u8>, mut buffer: Vec<u8>) {
    if (spare.capacity()..=SPARE_BUFFER_BYTES_MAX).contains(&buffer.capacity()) && spare.is_empty()
    {
        buffer.clear();
        *spare = buffer;
    }
}

/// Runs one request after the other. How many bytes they were.
fn run_requests(
    context: &mut Context<'_>,
    parser: &mut Parser,
    input: &[u8],
    spare: &mut Vec<&'static [u8]>,
) -> usize {
    let mut consumed = 0;
    let begun_at = context.wire.out.len();
    let mut arguments = emptied(std::mem::take(spare));
    while let Some(rest) = input.get(consumed..).filter(|rest| !rest.is_empty()) {
        // Strangers are held to limits that only the parser knows.
        // While a script runs for long no database may be waited for.
        let is_usual =
            !parser.is_amid() && context.session.is_authenticated && !context.server.gate.is_busy();
        let ahead = if is_usual { Ahead::read(rest, &mut arguments) } else { Ahead::default() };
        if ahead.count() > 0 {
            let database = context.session.database;
            if ahead.count() > 1 && context.reach(Some(database)) {
                let mut requests = ahead.requests(&arguments);
                let database = context.held.get(database);
                preload_requests(&database.keys, &mut requests[..ahead.count()]);
            }
            consumed += run_ahead(context, &ahead, &arguments, begun_at);
        } else {
            let mut words = emptied(arguments);
            let len = run_one(context, parser, rest, &mut words, begun_at);
            arguments = emptied(words);
            let Some(len) = len else { break };
            consumed += len;
        }
        if context.session.ends_batch() {
            break;
        }
    }
    *spare = emptied(arguments);
    consumed
}

/// Runs requests that were found together, until one holds up the others. How many bytes they
/// were.
fn run_ahead(
    context: &mut Context<'_>,
    ahead: &Ahead,
    arguments: &[&[u8]],
    begun_at: usize,
) -> usize {
    let mut consumed = 0;
    for number in 0..ahead.count() {
        let (request, end) = ahead.request(number, arguments);
        context.run(request);
        if context.session.paused_until.is_some() {
            // The command that is held up comes again.
            break;
        }
        consumed = end;
        make_way(context, begun_at);
        let session = &context.session;
        if session.ends_batch() || !session.is_authenticated {
            break;
        }
    }
    consumed
}

/// Runs the next request, of whatever form. How many bytes it was; nothing if it is not complete.
fn run_one<'a>(
    context: &mut Context<'_>,
    parser: &'a mut Parser,
    rest: &'a [u8],
    words: &mut Vec<&'a [u8]>,
    begun_at: usize,
) -> Option<usize> {
    let allowed = Allowed {
        bulk_bytes_max: usize::try_from(context.config.proto_max_bulk_len).unwrap_or(usize::MAX),
        is_stranger: !context.session.is_authenticated,
    };
    match parser.read(rest, &allowed) {
        Ok(Parsed::Request(len)) => {
            parser.arguments(rest, words);
            context.run(words);
            if context.session.paused_until.is_some() {
                return Some(0);
            }
            make_way(context, begun_at);
            Some(len)
        }
        Ok(Parsed::Incomplete(_)) => None,
        Err(malformed) => {
            context.wire.error(&[b"ERR ", malformed.to_string().as_bytes()]);
            context.session.is_closing = true;
            None
        }
    }
}

/// Others that wait for the database get their chance, now and then, and so does the socket. Whose
/// replies are beyond the limit is dropped without them, as in Redis.
#[inline]
fn make_way(context: &mut Context<'_>, begun_at: usize) {
    let output_bytes = context.wire.out.len();
    if output_bytes > context.session.output_bytes_max {
        context.session.is_dropped = true;
        context.session.is_closing = true;
    }
    context.session.has_much_to_send = output_bytes.saturating_sub(begun_at) > SENT_AMID_BYTES;
    if output_bytes > BATCH_OUTPUT_BYTES || context.held.effects_bytes() > BATCH_EFFECTS_BYTES {
        context.held.release();
    }
}

/// The same memory for slices of another lifetime: a vector that is collected from its own iterator
/// keeps its allocation.
#[inline]
fn emptied<'a>(mut slices: Vec<&[u8]>) -> Vec<&'a [u8]> {
    slices.clear();
    slices.into_iter().map(|_| &[][..]).collect()
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.stream.say_goodbye();
        commands::connection::forget(&self.server, &mut self.session);
        let (id, address) = (self.session.client.id, &self.session.client.address);
        self.server.clients.leave(id);
        self.server.crowd.forget(&self.session.client);
        self.server.log.verbose(format_args!("client {id} ({address}) has gone"));
    }
}
