//! What changes in a database, told to those who asked.
//!
//! Invariant: every change of a key passes here if anybody listens, since the engine makes each of
//! them known by a command that does the same again; which of its arguments are keys says its row.
//! Where nobody listens nothing is made known, which costs nothing. The log alone goes a short way:
//! it takes changes as they come.

use std::sync::atomic::Ordering;

use ferrite_engine::{Cause, Cx, Effects, Keys, Keyspace, Millis, READ, Value, find};

use crate::commands::{Command, keys_of, table};
use crate::database::Database;
use crate::functions::effects::HeldEffects;
use crate::news::{self, Event, News, Origin};
use crate::persist::entry;
use crate::waiting::Waiting;
use crate::watch::{Flag, Watched};

struct Changes<'d> {
    /// Where the log's entries are gathered.
    log: Option<&'d mut Vec<u8>>,
    watched: &'d Watched,
    waiting: &'d mut Waiting,
    news: &'d News,
    origin: Origin<'d>,
    /// Why the key goes that goes next.
    cause: Option<Cause>,
    /// What is to be told when the command is over, each event once for a key in a row.
    events: Vec<(Event, Box<[u8]>)>,
    /// Keys of collections that something was taken from.
    shrunk: Vec<Box<[u8]>>,
    /// What a command that drops all keys raises: the flags of those that are there.
    flushed: Option<Vec<Flag>>,
}

impl Effects for Changes<'_> {
    fn effect(&mut self, arguments: &[Value<'_>]) {
        if let Some(log) = &mut self.log {
            entry::Writer(log).effect(arguments);
        }
        // Names and keys stand in one run of bytes.
        let text = |at: usize| arguments.get(at).and_then(Value::as_slice).unwrap_or_default();
        let spec = find(text(0));
        let (name, keys) = spec.map_or(("", Keys::NONE), |spec| (spec.name, spec.keys));
        if keys == Keys::NONE {
            // FLUSHDB, the one change that names no key.
            match self.flushed.take() {
                Some(flags) => flags.iter().for_each(|flag| flag.store(true, Ordering::Relaxed)),
                None => self.watched.touch_where(|_| true),
            }
            self.waiting.note_all();
            // FLUSHALL does that once for all databases.
            if self.origin.command != "flushall" {
                self.news.tracking.invalidate_all();
            }
            return;
        }
        for at in keys_of(name, keys, arguments.len(), text) {
            let key = text(at);
            self.watched.touch(key);
            self.waiting.note(key);
            self.news.tracking.invalidate(key, self.origin.client);
        }
        if self.news.has_classes() {
            self.note(name, keys, arguments.len(), &text);
        }
    }

    fn cause(&mut self, cause: Cause) {
        self.cause = Some(cause);
    }
}

/// Events, and the keys of collections that something was taken from.
type Told = (Vec<(Event, Box<[u8]>)>, Vec<Box<[u8]>>);

impl<'d> Changes<'d> {
    fn new(
        watched: &'d Watched,
        waiting: &'d mut Waiting,
        news: &'d News,
        origin: Origin<'d>,
    ) -> Changes<'d> {
        let (events, shrunk) = (Vec::new(), Vec::new());
        let (log, cause, flushed) = (None, None, None);
        Changes { log, watched, waiting, news, origin, cause, events, shrunk, flushed }
    }

    /// What is to be told once the command is over.
    fn told(self) -> Told {
        (self.events, self.shrunk)
    }

    /// Notes what is to be told of an effect.
    fn note<'v>(
        &mut self,
        effect: &'static str,
        keys: Keys,
        count: usize,
        text: &dyn Fn(usize) -> &'v [u8],
    ) {
        let key = text(1);
        match (self.cause.take(), effect) {
            (Some(Cause::Expired), _) => self.push(('x', "expired"), key),
            (Some(Cause::Evicted), _) => self.push(('e', "evicted"), key),
            (None, "rename") => {
                self.push(('g', "rename_from"), key);
                self.push(('g', "rename_to"), text(2));
            }
            (None, "copy") => self.push(('g', "copy_to"), text(2)),
            (None, "lmove") => {
                let is_left = |at: usize| text(at).eq_ignore_ascii_case(b"left");
                self.push(('l', if is_left(3) { "lpop" } else { "rpop" }), key);
                self.push(('l', if is_left(4) { "lpush" } else { "rpush" }), text(2));
            }
            (None, "xgroup") => {
                if let Some(event) = news::group_event(self.origin.command, key) {
                    self.push(event, text(2));
                }
            }
            _ => {
                if let Some(event) = news::event(self.origin.command, effect) {
                    for at in keys_of(effect, keys, count, text) {
                        self.push(event, text(at));
                    }
                }
                if effect == "set" && text(3).eq_ignore_ascii_case(b"pxat") {
                    self.push(('g', "expire"), key);
                }
            }
        }
        if news::may_empty(effect) {
            self.shrunk.push(key.into());
        }
    }

    /// Notes that a key was not there before: it is new, or was missed by who wanted to read it.
    fn note_absent(&mut self, key: &[u8], is_there: bool) {
        let reads = |command: &Command| command.has(READ) && command.name != "object";
        if is_there {
            // It is told first.
            let at = self.events.iter().position(|(_, other)| **other == *key);
            let at = at.unwrap_or(self.events.len());
            self.events.insert(at, (('n', "new"), key.into()));
        } else if table().find(self.origin.command.as_bytes()).is_some_and(reads) {
            self.events.push((('m', "keymiss"), key.into()));
        }
    }

    fn push(&mut self, event: Event, key: &[u8]) {
        // What a command stores anew it drops first, of which nobody is told.
        if event.1.ends_with("store")
            && self.events.last().is_some_and(|((_, name), last)| *name == "del" && **last == *key)
        {
            self.events.pop();
        }
        if !self.events.last().is_some_and(|(last, other)| *last == event && **other == *key) {
            self.events.push((event, key.into()));
        }
    }
}

/// The keys of a request that are not there before it is run.
#[cold]
fn absent<'a>(keys: &mut Keyspace, now_ms: Millis, changes: &mut Changes<'a>) -> Vec<&'a [u8]> {
    let Origin { command, arguments, .. } = changes.origin;
    let row = table().find(command.as_bytes()).map_or(Keys::NONE, |command| command.keys);
    let text = |at: usize| match at {
        0 => command.as_bytes(),
        at => arguments.get(at - 1).copied().unwrap_or_default(),
    };
    let mut absent: Vec<&[u8]> = Vec::new();
    for at in keys_of(command, row, arguments.len() + 1, text) {
        let key = text(at);
        // What has expired goes now, of which everybody hears as ever.
        if !absent.contains(&key) && !keys.at(now_ms).with_effects(changes).is_there(key) {
            absent.push(key);
        }
    }
    absent
}

impl Database {
    /// Does something with the keys at a moment; who listens hears of what that changes.
    #[inline]
    pub fn with<T>(&mut self, now_ms: Millis, act: impl FnOnce(&mut Cx<'_>) -> T) -> T {
        self.with_origin(Origin::default(), now_ms, act)
    }

    /// The same on behalf of somebody.
    #[inline]
    pub fn with_origin<T>(
        &mut self,
        origin: Origin<'_>,
        now_ms: Millis,
        act: impl FnOnce(&mut Cx<'_>) -> T,
    ) -> T {
        if !self.has_listeners() {
            if !self.is_logged {
                return act(&mut self.keys.at(now_ms));
            }
            let mut log = entry::Writer(&mut self.effects);
            return act(&mut self.keys.at(now_ms).with_effects(&mut log));
        }
        let mut changes = Changes::new(&self.watched, &mut self.waiting, &self.news, origin);
        if matches!(origin.command, "flushall" | "flushdb") && !self.watched.is_empty() {
            // Who watches a key that is not there sees no change.
            let keys = &mut self.keys;
            let flags = self.watched.flags_where(|key| keys.at(now_ms).is_there(key));
            changes.flushed = Some(flags);
        }
        changes.log = self.is_logged.then_some(&mut self.effects);
        let absent = match self.news.tells_absence() {
            true => absent(&mut self.keys, now_ms, &mut changes),
            false => Vec::new(),
        };
        let outcome = act(&mut self.keys.at(now_ms).with_effects(&mut changes));
        for key in absent {
            changes.note_absent(key, self.keys.at(now_ms).is_there(key));
        }
        let told = changes.told();
        self.tell(told, now_ms);
        outcome
    }

    /// Tells of changes that were held back, all of one client.
    pub fn release(&mut self, held: &HeldEffects, client: u64, now_ms: Millis) {
        if held.is_empty() {
            return;
        }
        let origin = Origin { client, ..Origin::default() };
        let mut changes = Changes::new(&self.watched, &mut self.waiting, &self.news, origin);
        changes.log = self.is_logged.then_some(&mut self.effects);
        held.each(|command, cause, arguments| {
            changes.origin.command = command;
            changes.cause = cause;
            changes.effect(arguments);
        });
        let told = changes.told();
        self.tell(told, now_ms);
    }

    /// Sends the events of changes that have been made.
    fn tell(&mut self, (mut events, shrunk): Told, now_ms: Millis) {
        for key in shrunk {
            if !self.keys.at(now_ms).is_there(&key) {
                let del = (('g', "del"), key);
                if !events.contains(&del) {
                    events.push(del);
                }
            }
        }
        for ((letter, name), key) in events {
            self.news.notify(self.number, letter, name, &key);
        }
    }
}
