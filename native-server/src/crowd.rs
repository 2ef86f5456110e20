//! What all clients take of memory together, and who goes when that is too much
//! (`maxmemory-clients`).
//!
//! A connection notes here what its client takes whenever that may have changed, so the sum is
//! there without a look at all of them. Without a limit nothing is noted.
//!
//! Invariant: the sum is that of what was noted last of each client that is connected. Whoever has
//! to go is out of it at once, so that no more go than have to.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::client::{Client, Clients, signal, state};
use crate::config::Config;
use crate::log::Log;

/// See the module.
#[derive(Default)]
pub struct Crowd {
    /// The limit; 0 for none.
    bytes_max: AtomicU64,
    bytes: AtomicU64,
    /// Held by who says who has to go.
    judging: Mutex<()>,
    /// Clients that had to go.
    pub evicted: AtomicU64,
}

impl Crowd {
    /// Goes by what the configuration says now.
    pub fn set_limit(&self, config: &Config, clients: &Clients, log: &Log) {
        let bytes_max = config.client_bytes_max();
        self.bytes_max.store(bytes_max, Ordering::Relaxed);
        if bytes_max > 0 {
            clients.all().iter().for_each(|client| self.add(client));
            self.judge(clients, log);
        }
    }

    /// What a client takes may have changed. Whether it has to go.
    #[inline]
    pub fn note(&self, client: &Client, clients: &Clients, log: &Log) -> bool {
        if self.bytes_max.load(Ordering::Relaxed) == 0 {
            return false;
        }
        self.add(client);
        self.judge(clients, log);
        client.is(state::GONE)
    }

    /// A client has gone.
    pub fn forget(&self, client: &Client) {
        let before = client.noted_bytes.swap(0, Ordering::AcqRel);
        self.bytes.fetch_sub(before, Ordering::AcqRel);
    }

    fn add(&self, client: &Client) {
        let now = client.memory_bytes();
        let before = client.noted_bytes.swap(now, Ordering::AcqRel);
        // The sum wraps around on the way, never in the end.
        self.bytes.fetch_add(now.wrapping_sub(before), Ordering::AcqRel);
        if client.is(state::GONE) {
            self.forget(client);
        }
    }

    /// Has those go that take most, until the others take no more than the limit.
    fn judge(&self, clients: &Clients, log: &Log) {
        let is_over =
            || self.bytes.load(Ordering::Acquire) > self.bytes_max.load(Ordering::Relaxed);
        if !is_over() {
            return;
        }
        let _judging = self.judging.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all = clients.all();
        all.sort_by_key(|client| client.noted_bytes.load(Ordering::Relaxed));
        while is_over()
            && let Some(client) = all.pop()
        {
            if client.is(state::NO_EVICT) {
                continue;
            }
            clients.leave(client.id);
            let bytes = client.noted_bytes.load(Ordering::Relaxed);
            self.forget(&client);
            self.evicted.fetch_add(1, Ordering::Relaxed);
            log.warning(format_args!(
                "client {} ({}) is dropped, with {bytes} bytes: all together are beyond \
                 maxmemory-clients",
                client.id, client.address
            ));
            client.signal(signal::KILL);
        }
    }
}
