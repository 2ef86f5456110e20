//! What changes in a database, told to those who asked.
//!
//! Invariant: every change of a key passes here if anybody listens, since the engine makes each of
//! them known by a command that does the same again; which of its arguments are keys says its row.
//! Where nobody listens nothing is made known, which costs nothing. The log alone goes a short way:
//! it takes changes as they come.

use std::sync::atomic::Ordering;

use ferrite_engine::{Cause, Cx, Effects, Keys, Keyspace, Millis, READ, Value, find};

use crate::commands::{Command, keys_of, stored_in, table};
use crate::database::Database;
use crate::functions::effects::HeldEffects;
use crate::news::{self, Event, News, Origin};
use crate::persist::entry;
use crate::waiting::Waiting;
use crate::watch::{Flag, Watched};

/// A key comes that was not there, or in the place of one that was.
const NEW: Event = ('n', "new");

/// Somebody wanted to read a key that is not there.
const MISSED: Event = ('m', "keymiss");

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
        let is = |at: usize, word: &[u8]| text(at).eq_ignore_ascii_case(word);
        let makes_stream = name == "xgroup" && is(1, b"create") && is(7, b"mkstream");
        for at in keys_of(name, keys, arguments.len(), text) {
            let key = text(at);
            let is_touched = news::touches(name, at) || makes_stream;
            if is_touched {
                self.touch(key);
            }
            // Who waits for what a group has to give hears of its end.
            if is_touched || name == "xgroup" && is(1, b"destroy") {
                self.waiting.note(key);
            }
        }
        if self.news.has_classes() {
            self.note(name, keys, arguments.len(), &text);
        }
    }

    fn cause(&mut self, cause: Cause) {
        self.cause = Some(cause);
    }

    fn missed(&mut self, key: &[u8]) {
        self.events.push((MISSED, key.into()));
    }

    fn touched(&mut self, key: &[u8]) {
        self.touch(key);
        if let Some(event) = news::event(&self.origin, self.origin.command) {
            self.push(event, key);
        }
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

    /// Tells those who watch or track a key that it is not what it was.
    fn touch(&self, key: &[u8]) {
        self.watched.touch(key);
        self.news.tracking.invalidate(key, self.origin.client);
    }

    /// What is to be told once the command is over.
    fn told(mut self) -> Told {
        if self.origin.command == "smove" {
            // The engine makes room for the member before it takes it away.
            self.events.sort_by_key(|((_, name), _)| *name != "srem");
        }
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
            // What is replaced goes first, so the key is new in any case.
            (None, "rename") => {
                self.push(NEW, text(2));
                self.push(('g', "rename_from"), key);
                self.push(('g', "rename_to"), text(2));
            }
            (None, "copy") => {
                self.push(NEW, text(2));
                self.push(('g', "copy_to"), text(2));
            }
            (None, "lmove") => {
                let is_left = |at: usize| text(at).eq_ignore_ascii_case(b"left");
                self.push(('l', if is_left(4) { "lpush" } else { "rpush" }), text(2));
                self.push(('l', if is_left(3) { "lpop" } else { "rpop" }), key);
            }
            (None, "xgroup") => {
                if let Some(event) = news::group_event(self.origin.command, key) {
                    self.push(event, text(2));
                }
            }
            _ => {
                if effect == "restore" {
                    self.push(NEW, key);
                }
                if let Some(event) = news::event(&self.origin, effect) {
                    for at in keys_of(effect, keys, count, text) {
                        match effect {
                            // A key that is named twice is set twice.
                            "mset" => self.events.push((event, text(at).into())),
                            _ => self.push(event, text(at)),
                        }
                    }
                }
                let has_deadline = effect == "set" && text(3).eq_ignore_ascii_case(b"pxat");
                if has_deadline && news::gives_deadline(&self.origin) {
                    self.push(('g', "expire"), key);
                }
            }
        }
        if news::may_empty(effect) {
            self.shrunk.push(key.into());
        }
    }

    /// Notes that a key has come that was not there before.
    fn note_new(&mut self, key: &[u8]) {
        if !self.events.iter().any(|(event, other)| *event == NEW && **other == *key) {
            // It is told first, but for its having been missed.
            let is_first =
                |((_, name), other): &(Event, Box<[u8]>)| *name != MISSED.1 && **other == *key;
            let at = self.events.iter().position(is_first).unwrap_or(self.events.len());
            self.events.insert(at, (NEW, key.into()));
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

/// Whether a request reads the key that stands so far behind its first one, and not only to write
/// it.
fn reads(command: &Command, request: &[&[u8]], position: usize) -> bool {
    let has = |words: &[&[u8]]| {
        let mut options = request.iter().skip(if command.name == "set" { 3 } else { 2 });
        options.any(|option| words.iter().any(|word| option.eq_ignore_ascii_case(word)))
    };
    match command.name {
        "object" => false,
        "georadius" | "georadiusbymember" | "getdel" | "getex" | "getset" | "pfmerge" | "sort"
        | "xack" | "xautoclaim" | "xclaim" | "xreadgroup" => true,
        "bitfield" => !has(&[b"set", b"incrby"]),
        "set" => has(&[b"get"]),
        "copy" => position == 0,
        "bitop" => position > 0,
        name => command.has(READ) || name.ends_with("store") && position > 0,
    }
}

/// The keys of a request that are not there before it is run. Those that it wants to read are
/// missed, as often as it looks for them.
#[cold]
fn absent<'a>(keys: &mut Keyspace, now_ms: Millis, changes: &mut Changes<'a>) -> Vec<&'a [u8]> {
    let Origin { command, arguments, .. } = changes.origin;
    let Some(command) = table().named(command.as_bytes()) else { return Vec::new() };
    let request: Vec<&[u8]> =
        [command.name.as_bytes()].into_iter().chain(arguments.iter().copied()).collect();
    let text = |at: usize| request.get(at).copied().unwrap_or_default();
    let named = keys_of(command.name, command.keys, request.len(), text).map(text);
    let named = named.enumerate().map(|(position, key)| (key, reads(command, &request, position)));
    let stored = stored_in(command, &request).map(|at| (request[at], false));
    let mut absent: Vec<&[u8]> = Vec::new();
    let mut missed: Vec<&[u8]> = Vec::new();
    for (key, is_read) in named.chain(stored) {
        // What has expired goes now, of which everybody hears as ever.
        if !absent.contains(&key) {
            if keys.at(now_ms).with_effects(changes).is_there(key) {
                continue;
            }
            absent.push(key);
        }
        if is_read {
            missed.push(key);
        }
    }
    match command.name {
        // It is over with the first.
        "xreadgroup" => missed.truncate(1),
        // It looks for the ends of all streams before it reads any.
        "xread" => missed.extend_from_within(..),
        _ => {}
    }
    changes.events.extend(missed.into_iter().map(|key| (MISSED, key.into())));
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
            if self.keys.at(now_ms).is_there(key) {
                changes.note_new(key);
            }
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
                    let last = events.iter().rposition(|(_, other)| *other == del.1);
                    events.insert(last.map_or(events.len(), |last| last + 1), del);
                }
            }
        }
        for ((letter, name), key) in events {
            self.news.notify(self.number, letter, name, &key);
        }
    }
}
