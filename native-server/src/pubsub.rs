//! Messages: who listens to which channel, pattern or shard channel.
//!
//! Invariant: a message is encoded once for each protocol, however many listen. It is left with
//! each of them as mail, so one that does not read holds up nobody.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use ferrite_engine::Reply;

use crate::client::{Client, state};
use crate::glob;
use crate::resp::wire::{Protocol, Wire};

/// What can be listened to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A channel.
    Channel,
    /// All channels that match.
    Pattern,
    /// A channel of the shard that it belongs to, which here is the only one.
    Shard,
}

impl Kind {
    /// What messages of this kind, coming and going are called.
    pub fn words(self) -> [&'static str; 3] {
        match self {
            Kind::Channel => ["message", "subscribe", "unsubscribe"],
            Kind::Pattern => ["pmessage", "psubscribe", "punsubscribe"],
            Kind::Shard => ["smessage", "ssubscribe", "sunsubscribe"],
        }
    }
}

type Listeners = BTreeMap<u64, Arc<Client>>;
type Listened = HashMap<Box<[u8]>, Listeners>;

/// Everyone who listens.
#[derive(Default)]
pub struct PubSub {
    kinds: [RwLock<Listened>; 3],
}

impl PubSub {
    /// Somebody listens. False if they did before.
    pub fn subscribe(&self, kind: Kind, name: &[u8], client: &Arc<Client>) -> bool {
        let listened = &self.kinds[kind as usize];
        let mut listened = listened.write().unwrap_or_else(PoisonError::into_inner);
        let listeners = listened.entry(name.into()).or_default();
        listeners.insert(client.id, Arc::clone(client)).is_none()
    }

    /// Somebody listens no more.
    pub fn unsubscribe(&self, kind: Kind, name: &[u8], client: &Client) {
        let listened = &self.kinds[kind as usize];
        let mut listened = listened.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(listeners) = listened.get_mut(name) {
            listeners.remove(&client.id);
            if listeners.is_empty() {
                listened.remove(name);
            }
        }
    }

    /// Sends a message. How many got it.
    pub fn publish(&self, kind: Kind, channel: &[u8], message: &[u8]) -> usize {
        let mut count = 0;
        self.each(
            kind,
            |name, listeners| {
                if name == channel {
                    let parts = [kind.words()[0].as_bytes(), channel, message];
                    count += deliver(listeners, &parts);
                }
            },
            Some(channel),
        );
        if kind == Kind::Channel {
            self.each(
                Kind::Pattern,
                |pattern, listeners| {
                    if glob::matches(pattern, channel) {
                        count += deliver(listeners, &[b"pmessage", pattern, channel, message]);
                    }
                },
                None,
            );
        }
        count
    }

    /// Looks at one name of a kind, or at all.
    fn each(&self, kind: Kind, mut look: impl FnMut(&[u8], &Listeners), only: Option<&[u8]>) {
        let listened = &self.kinds[kind as usize];
        let listened = listened.read().unwrap_or_else(PoisonError::into_inner);
        match only {
            Some(name) => {
                if let Some(listeners) = listened.get(name) {
                    look(name, listeners);
                }
            }
            None => listened.iter().for_each(|(name, listeners)| look(name, listeners)),
        }
    }

    /// Looks at everyone who listens, and to what.
    pub fn each_listener(&self, kind: Kind, look: impl Fn(&[u8], &Client)) {
        let look = |name: &[u8], listeners: &Listeners| {
            listeners.values().for_each(|client| look(name, client));
        };
        self.each(kind, look, None);
    }

    /// Names that somebody listens to and that match.
    pub fn names(&self, kind: Kind, pattern: Option<&[u8]>) -> Vec<Box<[u8]>> {
        let mut names = Vec::new();
        self.each(
            kind,
            |name, _| {
                if pattern.is_none_or(|pattern| glob::matches(pattern, name)) {
                    names.push(name.into());
                }
            },
            None,
        );
        names
    }

    /// How many listen to a name.
    pub fn count(&self, kind: Kind, name: &[u8]) -> usize {
        let mut count = 0;
        self.each(kind, |_, listeners| count = listeners.len(), Some(name));
        count
    }
}

/// Leaves a message with everyone.
fn deliver(listeners: &Listeners, parts: &[&[u8]]) -> usize {
    let mut encoded = [Vec::new(), Vec::new()];
    for client in listeners.values() {
        let is_resp3 = client.is(state::RESP3);
        let bytes = &mut encoded[usize::from(is_resp3)];
        if bytes.is_empty() {
            let protocol = if is_resp3 { Protocol::Resp3 } else { Protocol::Resp2 };
            let mut wire = Wire::new(bytes, protocol);
            wire.push(parts.len());
            parts.iter().for_each(|part| wire.bulk((*part).into()));
        }
        client.send(bytes);
    }
    listeners.len()
}
