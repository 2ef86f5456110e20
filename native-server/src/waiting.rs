//! Blocked clients: who waits for which key.
//!
//! A command that finds nothing leaves a [`Ticket`] with the keys it waits for. When one of them
//! changes the command is tried again, on behalf of whoever waits longest, by the thread that made
//! the change and under the same lock: so nobody comes in between, and nobody is served twice.
//!
//! Invariant: a ticket stands in the queues of all its keys, or of none: then it was served, or
//! was taken back.
//! Not here: how long somebody waits (connection.rs).

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use ferrite_engine::{Cx, Millis};

use crate::client::{Client, signal, state};
use crate::commands::Refusal;
use crate::database::Database;
use crate::news::Origin;
use crate::resp::wire::{Protocol, Wire};

/// Tries a command, its name left out. False, and nothing answered, if it has to wait.
pub type Attempt = fn(&mut Cx<'_>, &[&[u8]], &mut Wire<'_>) -> Result<bool, Refusal>;

/// A command that waits.
pub struct Ticket {
    /// Who waits.
    pub client: Arc<Client>,
    /// The database its keys are in.
    pub database: usize,
    /// The keys it waits for.
    pub keys: Vec<Box<[u8]>>,
    /// Its arguments, without the name.
    pub arguments: Vec<Box<[u8]>>,
    /// The command's name.
    pub command: &'static str,
    /// The name as the client wrote it.
    pub written: OnceLock<Box<[u8]>>,
    /// How it is tried.
    pub attempt: Attempt,
    /// What its reply is written in.
    pub protocol: Protocol,
    is_done: AtomicBool,
    /// Whether it waits for a thread, not for keys: then nothing but that thread ends its waiting.
    is_patient: bool,
}

impl Ticket {
    /// A command that starts to wait.
    #[allow(clippy::too_many_arguments, reason = "each is a field, and none has a default")]
    pub fn new(
        client: Arc<Client>,
        database: usize,
        keys: Vec<Box<[u8]>>,
        arguments: Vec<Box<[u8]>>,
        command: &'static str,
        attempt: Attempt,
        protocol: Protocol,
    ) -> Arc<Ticket> {
        Arc::new(Ticket {
            client,
            database,
            keys,
            arguments,
            command,
            written: OnceLock::new(),
            attempt,
            protocol,
            is_done: AtomicBool::new(false),
            is_patient: false,
        })
    }

    /// A command that a thread of its own works on, which is going to answer it.
    pub fn patient(
        client: Arc<Client>,
        database: usize,
        command: &'static str,
        protocol: Protocol,
    ) -> Arc<Ticket> {
        Arc::new(Ticket {
            client,
            database,
            keys: Vec::new(),
            arguments: Vec::new(),
            command,
            written: OnceLock::new(),
            attempt: |_, _, _| Ok(false),
            protocol,
            is_done: AtomicBool::new(false),
            is_patient: true,
        })
    }

    /// The whole request.
    pub fn request(&self) -> Vec<&[u8]> {
        let name = self.written.get().map_or(self.command.as_bytes(), |name| &**name);
        [name].into_iter().chain(self.arguments.iter().map(|bytes| &**bytes)).collect()
    }

    /// Whether it waits until it is answered, whatever happens.
    pub fn is_patient(&self) -> bool {
        self.is_patient
    }

    /// Answers it, with a reply that must not arrive before the log is durable up to a position.
    pub fn answer(&self, logged_to: u64, reply: &[u8]) {
        // In this order: whoever sees that it is done finds the reply.
        let is_muted = self.client.is(state::MUTED);
        self.client.send_after(logged_to, if is_muted { b"" } else { reply });
        self.client.set(state::BLOCKED, false);
        self.is_done.store(true, Ordering::Release);
        self.client.signal(signal::LOOK);
    }

    /// Whether it takes from one key for another.
    fn moves(&self) -> bool {
        matches!(self.command, "blmove" | "brpoplpush")
    }

    /// Its arguments as if it waited for this key alone, since none of the others has changed.
    fn arguments_for<'t>(&'t self, key: &'t [u8]) -> Vec<&'t [u8]> {
        let all: Vec<&[u8]> = self.arguments.iter().map(|bytes| &**bytes).collect();
        let count = self.keys.len();
        match (self.command, all.as_slice()) {
            ("blpop" | "brpop" | "bzpopmax" | "bzpopmin", [.., timeout]) => vec![key, timeout],
            ("blmpop" | "bzmpop", [timeout, _, rest @ ..]) => {
                let options = rest.get(count..).unwrap_or_default();
                [&[timeout, &b"1"[..], key], options].concat()
            }
            ("xread" | "xreadgroup", all) => {
                let (options, ids) = all.split_at(all.len().saturating_sub(count));
                let options = options.get(..options.len() - count.min(options.len()));
                let at = self.keys.iter().position(|own| **own == *key).unwrap_or_default();
                let id = ids.get(at).copied().unwrap_or_default();
                [options.unwrap_or_default(), &[key, id]].concat()
            }
            _ => all,
        }
    }

    /// Whether it was answered.
    pub fn is_done(&self) -> bool {
        self.is_done.load(Ordering::Acquire)
    }
}

/// A command that waited and has its reply, which leaves when the lock is given back.
pub struct Served {
    ticket: Arc<Ticket>,
    reply: Vec<u8>,
}

impl Served {
    /// Sends the reply, which must not arrive before the log is durable up to a position.
    pub fn deliver(self, logged_to: u64) {
        self.ticket.answer(logged_to, &self.reply);
    }
}

/// What is to be counted of a command that waited: it was run now.
pub struct Unblocked {
    /// The command.
    pub ticket: Arc<Ticket>,
    /// How long that took.
    pub elapsed: Duration,
    /// Its reply, if that is an error.
    pub error: Option<Box<[u8]>>,
}

/// Who waits for the keys of one database.
#[derive(Default)]
pub struct Waiting {
    by_key: HashMap<Box<[u8]>, VecDeque<Arc<Ticket>>>,
    /// Keys that changed and that somebody waits for, in the order in which they did.
    changed: VecDeque<Box<[u8]>>,
}

impl Waiting {
    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    /// Whether somebody may have something to get.
    #[inline]
    pub fn has_changes(&self) -> bool {
        !self.changed.is_empty()
    }

    /// Somebody starts to wait.
    pub fn add(&mut self, ticket: &Arc<Ticket>) {
        for key in &ticket.keys {
            let queue = self.by_key.entry(key.clone()).or_default();
            // A key that a command names twice is waited for once.
            if !queue.back().is_some_and(|last| Arc::ptr_eq(last, ticket)) {
                queue.push_back(Arc::clone(ticket));
            }
        }
    }

    /// Somebody no longer waits.
    pub fn remove(&mut self, ticket: &Arc<Ticket>) {
        for key in &ticket.keys {
            if let Some(queue) = self.by_key.get_mut(key) {
                queue.retain(|other| !Arc::ptr_eq(other, ticket));
                if queue.is_empty() {
                    self.by_key.remove(key);
                }
            }
        }
    }

    /// A key has changed.
    pub fn note(&mut self, key: &[u8]) {
        if self.by_key.contains_key(key) && !self.changed.iter().any(|other| **other == *key) {
            self.changed.push_back(key.into());
        }
    }

    /// Any key may have changed.
    pub fn note_all(&mut self) {
        self.changed = self.by_key.keys().cloned().collect();
    }

    fn queue(&self, key: &[u8]) -> Vec<Arc<Ticket>> {
        self.by_key.get(key).into_iter().flatten().cloned().collect()
    }
}

const GROUP_GONE: &str = "NOGROUP the consumer group this client was blocked on no longer exists";

fn type_of(database: &mut Database, now_ms: Millis, key: &[u8]) -> Option<&'static str> {
    database.with(now_ms, |cx| cx.type_name(key))
}

/// Tries again what waits for keys that have changed, until nothing more changes by that. It comes
/// to an end, since whoever is served waits no more. Returns what was run by that.
pub fn serve(database: &mut Database, now_ms: Millis) -> Vec<Unblocked> {
    let mut unblocked = Vec::new();
    while let Some(key) = database.waiting.changed.pop_front() {
        for ticket in database.waiting.queue(&key) {
            let arguments = ticket.arguments_for(&key);
            let mut reply = Vec::new();
            let mut wire = Wire::new(&mut reply, ticket.protocol);
            let origin =
                Origin { command: ticket.command, client: ticket.client.id, arguments: &arguments };
            let began = Instant::now();
            let outcome = database
                .with_origin(origin, now_ms, |cx| (ticket.attempt)(cx, &arguments, &mut wire));
            let is_refused = outcome.is_err() || wire.out.first() == Some(&b'-');
            match outcome {
                // What it waited for is gone: the stream, or the group.
                _ if is_refused && ticket.command == "xreadgroup" => {
                    wire.out.clear();
                    wire.error_text(match type_of(database, now_ms, &key) {
                        Some("stream") => GROUP_GONE,
                        _ => "UNBLOCKED the stream key no longer exists",
                    });
                }
                Ok(false) => continue,
                Ok(true) => {}
                // A key of another type is none to wait for: it may become a list later on. Where
                // it is a list, what it was to go to is none.
                Err(Refusal::Engine(ferrite_engine::Error::WrongType))
                    if !(ticket.moves() && type_of(database, now_ms, &key) == Some("list")) =>
                {
                    continue;
                }
                Err(refusal) => {
                    wire.out.clear();
                    refusal.answer(ticket.command, &mut wire);
                }
            }
            database.waiting.remove(&ticket);
            let error = (reply.first() == Some(&b'-')).then(|| reply.clone().into());
            let elapsed = began.elapsed();
            unblocked.push(Unblocked { ticket: Arc::clone(&ticket), elapsed, error });
            database.served.push(Served { ticket, reply });
        }
    }
    unblocked
}
