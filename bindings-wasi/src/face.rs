//! What an instance holds: one cache, the buffers of its host, and the last result.
//!
//! Invariant: a result is named by where it lies, and lies there until the next call.
//! Not here: the exported functions (lib.rs), which only find this.

use alloc::vec::Vec;

use ferrite_engine::{
    Error, Expiry, Keyspace, Millis, Options, Policy, Reply, Result, SetOptions, execute,
};

use crate::buffers::{Buffers, address_of};
use crate::limits::MEMORY_BYTES_MAX;
use crate::resp::{Replies, arguments};

/// What a call says instead of a length.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(i32)]
pub(crate) enum Refusal {
    /// There is no such key.
    Missing = -1,
    /// The engine refused: its line is the result.
    Failed = -2,
    /// A pointer and a length that do not lie in one buffer.
    BadPointer = -3,
    /// A request that is not exactly one array of strings.
    BadRequest = -4,
    /// The cache was not opened.
    NotOpen = -5,
    /// The command ran, but its reply found no memory.
    ReplyTooLarge = -6,
}

/// The length of a result, or why there is none.
pub(crate) type Outcome = Result<usize, Refusal>;

/// A pointer with the length of what lies there.
pub(crate) type Span = (usize, usize);

pub(crate) struct Face {
    pub(crate) buffers: Buffers,
    keys: Option<Keyspace>,
    replies: Replies,
    result: Span,
}

impl Face {
    pub(crate) const fn new() -> Face {
        Face { buffers: Buffers::new(), keys: None, replies: Replies::new(), result: (0, 0) }
    }

    /// Where the last result lies, and how long it is.
    pub(crate) fn result(&self) -> Span {
        self.result
    }

    /// Makes the keyspace, in the place of the one before.
    pub(crate) fn open(&mut self, max_memory_bytes: u64, policy: Span, seed: u64) -> Outcome {
        self.forget();
        let Some(name) = self.buffers.bytes(policy.0, policy.1) else {
            return Err(Refusal::BadPointer);
        };
        let made = Policy::parse(name).and_then(|policy| {
            let options = Options { max_memory_bytes, policy, seed, ..Options::default() };
            if max_memory_bytes > MEMORY_BYTES_MAX {
                return Err(Error::MemoryOutOfRange);
            }
            Keyspace::new(&options)
        });
        match made {
            Ok(keys) => {
                self.keys = Some(keys);
                Ok(0)
            }
            Err(error) => self.fail(error),
        }
    }

    /// Runs a command.
    pub(crate) fn call(&mut self, now: Millis, request: Span) -> Outcome {
        self.forget();
        let Some(keys) = &mut self.keys else { return Err(Refusal::NotOpen) };
        let bytes = self.buffers.bytes(request.0, request.1).ok_or(Refusal::BadPointer)?;
        let arguments: Vec<&[u8]> = arguments(bytes).ok_or(Refusal::BadRequest)?;
        execute(&mut keys.at(now), &arguments, &mut self.replies);
        self.reply()
    }

    /// GET. A value in one piece is not copied: the result is where it is stored.
    pub(crate) fn get(&mut self, now: Millis, key: Span) -> Outcome {
        self.forget();
        let Some(keys) = &mut self.keys else { return Err(Refusal::NotOpen) };
        let key = self.buffers.bytes(key.0, key.1).ok_or(Refusal::BadPointer)?;
        let mut cx = keys.at(now);
        let value = match cx.get(key) {
            Ok(Some(value)) => value,
            Ok(None) => return Err(Refusal::Missing),
            Err(error) => return self.fail(error),
        };
        if let Some(bytes) = value.as_slice() {
            self.result = (address_of(bytes), bytes.len());
            return Ok(bytes.len());
        }
        value.parts().for_each(|part| self.replies.put(part));
        self.reply()
    }

    /// SET, with a time to live unless that is zero.
    pub(crate) fn set(&mut self, now: Millis, key: Span, value: Span, ttl: Millis) -> Outcome {
        self.forget();
        let Some(keys) = &mut self.keys else { return Err(Refusal::NotOpen) };
        let key = self.buffers.bytes(key.0, key.1).ok_or(Refusal::BadPointer)?;
        let value = self.buffers.bytes(value.0, value.1).ok_or(Refusal::BadPointer)?;
        let expiry = if ttl == 0 { Expiry::Never } else { Expiry::In(ttl) };
        match keys.at(now).set(key, value, &SetOptions { expiry, ..SetOptions::default() }) {
            Ok(_) => Ok(0),
            Err(error) => self.fail(error),
        }
    }

    /// Looks for expired keys in the next buckets of the index. How many it dropped.
    pub(crate) fn tick(&mut self, now: Millis, buckets_max: usize) -> Outcome {
        self.forget();
        self.keys.as_mut().map(|keys| keys.tick(now, buckets_max)).ok_or(Refusal::NotOpen)
    }

    /// The figures of the cache: an array of names, each with its number.
    pub(crate) fn stats(&mut self) -> Outcome {
        self.forget();
        let Some(keys) = &self.keys else { return Err(Refusal::NotOpen) };
        let stats = keys.stats();
        self.replies.array(2 * stats.fields().len());
        for (name, number) in stats.fields() {
            self.replies.bulk(name.into());
            self.replies.integer(i64::try_from(number).unwrap_or(i64::MAX));
        }
        self.reply()
    }

    fn forget(&mut self) {
        self.replies.clear();
        self.result = (0, 0);
    }

    fn reply(&mut self) -> Outcome {
        if self.replies.is_cut {
            self.replies.clear();
            return Err(Refusal::ReplyTooLarge);
        }
        self.result = (address_of(&self.replies.bytes), self.replies.bytes.len());
        Ok(self.replies.bytes.len())
    }

    fn fail(&mut self, error: Error) -> Outcome {
        // Of what fails outside of `call` only SET has its name in the line.
        self.replies.error(&error.parts("set").map(str::as_bytes));
        self.reply()?;
        Err(Refusal::Failed)
    }
}
