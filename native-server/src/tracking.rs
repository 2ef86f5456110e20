//! CLIENT TRACKING: clients that keep what they read are told when it is no longer true.
//!
//! Either the server remembers which keys a client has read and tells it once of each, or the
//! client names prefixes and is told of every key that begins with one.
//!
//! Invariant: the table never holds more keys than `tracking-table-max-keys`; one that makes way is
//! told of as if it had changed, so no client keeps what nobody would tell it of.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ferrite_engine::Reply;

use crate::client::{Client, kept, state};
use crate::resp::wire::{Protocol, Wire};

/// How a client tracks.
#[derive(Clone, Default)]
pub struct Mode {
    /// Whom to tell in its place.
    pub redirect: Option<Arc<Client>>,
    /// It is told of all keys that begin with one of these.
    pub prefixes: Option<Vec<Box<[u8]>>>,
    /// Only what CLIENT CACHING YES precedes is remembered.
    pub is_opt_in: bool,
    /// What CLIENT CACHING NO precedes is not.
    pub is_opt_out: bool,
    /// Its own changes are not told.
    pub is_no_loop: bool,
}

/// In the place of a prefix's number: a key that the client remembers and has changed itself. It
/// is told of that behind the reply.
const OWN: usize = usize::MAX;

struct Tracker {
    client: Arc<Client>,
    mode: Mode,
}

#[derive(Default)]
struct State {
    trackers: BTreeMap<u64, Tracker>,
    readers_by_key: HashMap<Box<[u8]>, BTreeSet<u64>>,
    /// Keys that changed since the last [`Tracking::flush`], by the client that wants to know and
    /// the number of its prefix: [`OWN`] for those that it has read and changed itself.
    changed: BTreeMap<(u64, usize), BTreeSet<Box<[u8]>>>,
    keys_max: usize,
}

/// Who tracks what.
#[derive(Default)]
pub struct Tracking {
    state: Mutex<State>,
    trackers: AtomicUsize,
}

impl Tracking {
    /// Whether anybody tracks.
    #[inline]
    pub fn is_active(&self) -> bool {
        self.trackers.load(Ordering::Relaxed) > 0
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A client tracks from now on.
    pub fn start(&self, client: &Arc<Client>, mode: Mode) {
        let redirect = mode.redirect.as_ref().map_or(0, |other| other.id as i64);
        client.redirect.store(redirect, Ordering::Relaxed);
        mode.redirect.iter().for_each(|other| other.set(state::TARGET, true));
        client.set(state::BROADCAST, mode.prefixes.is_some());
        client.set(state::REDIRECT_BROKEN, false);
        let bytes = mode.prefixes.iter().flatten().map(|prefix| prefix.len() + kept::EACH);
        client.kept_bytes[kept::PREFIXES].store(bytes.sum(), Ordering::Relaxed);
        let mut state = self.lock();
        state.trackers.insert(client.id, Tracker { client: Arc::clone(client), mode });
        self.trackers.store(state.trackers.len(), Ordering::Relaxed);
        client.set(state::TRACKING, true);
    }

    /// A client tracks no more. What was remembered for it goes when its keys change.
    pub fn stop(&self, client: &Client) {
        let mut state = self.lock();
        state.trackers.remove(&client.id);
        if state.trackers.is_empty() {
            state.readers_by_key.clear();
        }
        self.trackers.store(state.trackers.len(), Ordering::Relaxed);
        client.set(state::TRACKING | state::BROADCAST | state::REDIRECT_BROKEN, false);
        client.redirect.store(-1, Ordering::Relaxed);
        client.kept_bytes[kept::PREFIXES].store(0, Ordering::Relaxed);
    }

    /// How a client tracks.
    pub fn mode(&self, client: &Client) -> Option<Mode> {
        self.lock().trackers.get(&client.id).map(|tracker| tracker.mode.clone())
    }

    /// How many keys are remembered at most. Those that are too many are told of at once.
    pub fn set_keys_max(&self, keys_max: usize) {
        let mut state = self.lock();
        state.keys_max = keys_max;
        while state.readers_by_key.len() > keys_max {
            state.forget_one();
        }
    }

    /// Keys that are remembered, clients that each of them is remembered for, and prefixes.
    pub fn counts(&self) -> [usize; 3] {
        let state = self.lock();
        let items = state.readers_by_key.values().map(BTreeSet::len).sum();
        let prefixes = state.trackers.values().filter_map(|tracker| tracker.mode.prefixes.as_ref());
        [state.readers_by_key.len(), items, prefixes.map(Vec::len).sum()]
    }

    /// A client has read a key.
    pub fn remember(&self, client: u64, key: &[u8]) {
        let mut state = self.lock();
        let is_by_prefix = |tracker: &Tracker| tracker.mode.prefixes.is_some();
        if state.trackers.get(&client).is_none_or(is_by_prefix) {
            return;
        }
        if state.readers_by_key.len() >= state.keys_max && !state.readers_by_key.contains_key(key) {
            state.forget_one();
        }
        state.readers_by_key.entry(key.into()).or_default().insert(client);
    }

    /// A key has changed, by this client's doing.
    pub fn invalidate(&self, key: &[u8], by: u64) {
        if !self.is_active() {
            return;
        }
        let state = &mut *self.lock();
        state.tell_readers(key, by);
        for (id, tracker) in &state.trackers {
            let prefixes = tracker.mode.prefixes.as_deref().unwrap_or_default();
            let prefix = prefixes.iter().position(|prefix| key.starts_with(prefix));
            if let Some(prefix) = prefix.filter(|_| !tracker.is_deaf_to(by)) {
                state.changed.entry((*id, prefix)).or_default().insert(key.into());
            }
        }
    }

    /// Tells those who named prefixes what has changed, at the end of a batch, one message for each
    /// prefix, as Redis does; and clients what they have changed themselves.
    pub fn flush(&self) {
        if !self.is_active() {
            return;
        }
        let mut state = self.lock();
        for ((id, prefix), keys) in std::mem::take(&mut state.changed) {
            if let Some(tracker) = state.trackers.get(&id) {
                let keys: Vec<&[u8]> = keys.iter().map(|key| &**key).collect();
                let together = if prefix == OWN { 1 } else { keys.len() };
                keys.chunks(together).for_each(|keys| tracker.tell(Some(keys)));
            }
        }
    }

    /// Every key has.
    pub fn invalidate_all(&self) {
        if self.is_active() {
            let mut state = self.lock();
            state.readers_by_key.clear();
            state.trackers.values().for_each(|tracker| tracker.tell(None));
        }
    }
}

impl State {
    /// Any key makes way for another.
    fn forget_one(&mut self) {
        if let Some(victim) = self.readers_by_key.keys().next().cloned() {
            self.tell_readers(&victim, 0);
        }
    }

    fn tell_readers(&mut self, key: &[u8], by: u64) {
        for reader in self.readers_by_key.remove(key).unwrap_or_default() {
            let Some(tracker) = self.trackers.get(&reader) else { continue };
            // Who has turned to prefixes since does not hear of what it has read before.
            if tracker.is_deaf_to(by) || tracker.mode.prefixes.is_some() {
                continue;
            }
            if reader == by {
                self.changed.entry((reader, OWN)).or_default().insert(key.into());
            } else {
                tracker.tell(Some(&[key]));
            }
        }
    }
}

impl Tracker {
    /// Whether it does not want to hear of changes by this client.
    fn is_deaf_to(&self, by: u64) -> bool {
        self.mode.is_no_loop && by == self.client.id
    }

    /// Tells of keys, or of all.
    fn tell(&self, keys: Option<&[&[u8]]>) {
        let redirect = self.mode.redirect.as_ref();
        let to = redirect.unwrap_or(&self.client);
        let mut message = Vec::new();
        if to.is(state::GONE) {
            // The client must not trust what it keeps any longer.
            self.client.set(state::REDIRECT_BROKEN, true);
            if self.client.is(state::RESP3) {
                let mut wire = Wire::new(&mut message, Protocol::Resp3);
                wire.push(2);
                wire.text("tracking-redir-broken");
                wire.integer(to.id as i64);
                self.client.send(&message);
            }
            return;
        }
        if to.is(state::RESP3) {
            let mut wire = Wire::new(&mut message, Protocol::Resp3);
            wire.push(2);
            wire.text("invalidate");
            self.write_keys(&mut wire, keys);
        } else if redirect.is_some() && to.is(state::SUBSCRIBER) {
            let mut wire = Wire::new(&mut message, Protocol::Resp2);
            wire.push(3);
            wire.text("message");
            wire.text("__redis__:invalidate");
            self.write_keys(&mut wire, keys);
        }
        to.send(&message);
    }
    fn write_keys(&self, wire: &mut Wire<'_>, keys: Option<&[&[u8]]>) {
        match keys {
            Some(keys) => wire.texts(keys),
            // As in Redis this goes by who tracks, whoever is told.
            None => {
                let is_typed = self.client.is(state::RESP3);
                let protocol = if is_typed { Protocol::Resp3 } else { Protocol::Resp2 };
                Wire::new(wire.out, protocol).null();
            }
        }
    }
}
