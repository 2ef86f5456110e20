//! The slow log: the last commands that took longer than they should.
//!
//! Invariant: it is bounded by `slowlog-max-len`; what it keeps of a command is bounded as well.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ferrite_engine::Millis;

use crate::client::Client;

/// Words of a request that are kept, and bytes of each (Redis's figures).
const ARGUMENTS_MAX: usize = 32;
const ARGUMENT_BYTES_MAX: usize = 128;

/// A command that was slow.
#[derive(Clone)]
pub struct Entry {
    /// Its number.
    pub id: i64,
    /// When it was run, in seconds.
    pub at_s: i64,
    /// How long it took.
    pub duration_us: i64,
    /// What was asked.
    pub request: Vec<Vec<u8>>,
    /// Who asked.
    pub client: String,
    /// What they call themselves.
    pub client_name: String,
}

/// The slow log.
#[derive(Default)]
pub struct SlowLog {
    entries: Mutex<(i64, VecDeque<Entry>)>,
}

impl SlowLog {
    /// Notes a request, and drops the oldest beyond `max`.
    pub fn note(
        &self,
        client: &Client,
        words: &[&[u8]],
        now_ms: Millis,
        duration: Duration,
        max: usize,
    ) {
        let words = &redacted(words);
        let shown = if words.len() <= ARGUMENTS_MAX { words.len() } else { ARGUMENTS_MAX - 1 };
        let mut request: Vec<_> = words.iter().take(shown).map(|word| shortened(word)).collect();
        if words.len() > shown {
            let more = words.len() - shown;
            request.push(format!("... ({more} more arguments)").into_bytes());
        }
        let mut log = self.lock();
        let (id, entries) = &mut *log;
        entries.push_front(Entry {
            id: *id,
            at_s: now_ms / 1000,
            duration_us: i64::try_from(duration.as_micros()).unwrap_or(i64::MAX),
            request,
            client: client.address.clone(),
            client_name: client.names().name.clone(),
        });
        *id += 1;
        entries.truncate(max);
    }

    /// Drops the oldest beyond so many.
    pub fn truncate(&self, max: usize) {
        self.lock().1.truncate(max);
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.lock().1.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The newest.
    pub fn newest(&self, count: usize) -> Vec<Entry> {
        self.lock().1.iter().take(count).cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, (i64, VecDeque<Entry>)> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request without what nobody is to read in it: names and passwords.
pub fn redacted<'a>(words: &[&'a [u8]]) -> Vec<&'a [u8]> {
    let mut words = words.to_vec();
    let is = |at: usize, name: &[u8]| {
        words.get(at).is_some_and(|word: &&[u8]| word.eq_ignore_ascii_case(name))
    };
    let end = words.len();
    let secret: Vec<usize> = if is(0, b"auth") {
        (1..end).collect()
    } else if is(0, b"hello") {
        let at = (2..end).find(|&at| is(at, b"auth")).unwrap_or(end);
        (at + 1..end.min(at + 3)).collect()
    } else if is(0, b"config") && is(1, b"set") {
        // Some of these are no settings here, which who gives one may not know.
        let names: [&[u8]; 3] = [b"requirepass", b"masterauth", b"masteruser"];
        let is_secret = |at: &usize| names.iter().any(|name| is(at - 1, name));
        (3..end).step_by(2).filter(is_secret).collect()
    } else if is(0, b"acl") && is(1, b"setuser") {
        (2..end).collect()
    } else {
        Vec::new()
    };
    for at in secret {
        words[at] = b"(redacted)";
    }
    words
}

fn shortened(argument: &[u8]) -> Vec<u8> {
    match argument.get(..ARGUMENT_BYTES_MAX) {
        Some(start) if argument.len() > ARGUMENT_BYTES_MAX => {
            let more = argument.len() - ARGUMENT_BYTES_MAX;
            [start, format!("... ({more} more bytes)").as_bytes()].concat()
        }
        _ => argument.to_vec(),
    }
}
