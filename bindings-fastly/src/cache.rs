//! The cache itself: options, the lock around the keyspace, and the methods that are called most,
//! which go past the command table.
//!
//! Not here: all other commands (commands.rs).

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::engine::{
    Condition, Cx, Error as EngineError, Expiry, Keyspace, Millis, Options as EngineOptions,
    Policy, SetOptions, Stats, execute, limits,
};
use crate::error::{Error, Result};
use crate::host;
use crate::reply::{FromReply, Reply, Sink, bytes};

/// Writes after which a few buckets of the index are looked through for what has expired.
const WRITES_PER_TICK: u32 = 16;
const BUCKETS_PER_TICK: usize = 16;

/// What a cache is made with.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Everything that the cache may hold, in bytes.
    pub max_memory_bytes: u64,
    /// What goes when that is used up.
    pub policy: Policy,
    /// What time it is, in milliseconds since the Unix epoch; the platform's clock unless set.
    pub clock: Option<fn() -> Millis>,
}

impl Options {
    /// So many bytes; what was unused for longest goes when they are used up.
    pub const fn new(max_memory_bytes: u64) -> Options {
        Options { max_memory_bytes, policy: Policy::AllKeysLru, clock: None }
    }
}

/// A cache with Redis's commands, for as long as the instance of the program lives.
///
/// All methods take `&self`, so it may stand in a `static`. It takes no memory, no time and no
/// random number before its first use.
///
/// ```
/// use ferrite_wasm::Cache;
///
/// static CACHE: Cache = Cache::new(64 << 20);
///
/// CACHE.set("greeting", "hello", Some(60));
/// assert_eq!(CACHE.get("greeting").as_deref(), Some(&b"hello"[..]));
/// assert_eq!(CACHE.incr("visits")?, 1);
/// # Ok::<(), ferrite_wasm::Error>(())
/// ```
pub struct Cache {
    options: Options,
    state: Mutex<State>,
}

struct State {
    keys: Option<Keyspace>,
    writes: u32,
}

impl Cache {
    /// A cache of so many bytes, out of which goes what was unused for longest.
    ///
    /// # Panics
    /// With less than 1 MiB or more than 16 GiB. In a `static` the compiler says so.
    pub const fn new(max_memory_bytes: u64) -> Cache {
        assert!(
            max_memory_bytes >= limits::MEMORY_BYTES_MIN
                && max_memory_bytes <= limits::MEMORY_BYTES_MAX,
            "a cache has 1 MiB to 16 GiB"
        );
        Cache::of(Options::new(max_memory_bytes))
    }

    /// A cache with options.
    ///
    /// # Errors
    /// If the engine cannot work in `max_memory_bytes`.
    pub fn with_options(options: Options) -> Result<Cache> {
        engine_options(&options, 0).validate().map_err(|error| Error::of(error, ""))?;
        Ok(Cache::of(options))
    }

    const fn of(options: Options) -> Cache {
        Cache { options, state: Mutex::new(State { keys: None, writes: 0 }) }
    }

    /// GET: the value of a key. What is not there and what is no string are the same here;
    /// [`Cache::try_get`] tells them apart.
    pub fn get(&self, key: impl AsRef<[u8]>) -> Option<Vec<u8>> {
        self.try_get(key).unwrap_or_default()
    }

    /// GET: the value of a key.
    pub fn try_get(&self, key: impl AsRef<[u8]>) -> Result<Option<Vec<u8>>> {
        self.read(|cx| Ok(cx.get(key.as_ref())?.map(|value| bytes(&value))), "get")
    }

    /// SET, for so many seconds or for good. Whether the cache took it: one that has no room, or a
    /// key that is too long, is no reason for a request to fail. [`Cache::try_set`] says why not.
    pub fn set(
        &self,
        key: impl AsRef<[u8]>,
        value: impl AsRef<[u8]>,
        seconds: Option<u64>,
    ) -> bool {
        let expiry = match seconds {
            None => Expiry::Never,
            Some(seconds) => Expiry::In(millis(seconds.saturating_mul(1000))),
        };
        self.try_set(key, value, &SetOptions { expiry, ..SetOptions::default() }).unwrap_or(false)
    }

    /// SET with its options. False if the condition did not hold.
    pub fn try_set(
        &self,
        key: impl AsRef<[u8]>,
        value: impl AsRef<[u8]>,
        options: &SetOptions,
    ) -> Result<bool> {
        self.write(|cx| cx.set(key.as_ref(), value.as_ref(), options), "set")
    }

    /// SETNX: gives a key a value if it has none. Whether it did.
    pub fn setnx(&self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<bool> {
        let options = SetOptions { condition: Condition::IfAbsent, ..SetOptions::default() };
        self.write(|cx| cx.set(key.as_ref(), value.as_ref(), &options), "setnx")
    }

    /// INCR: adds one. The sum.
    pub fn incr(&self, key: impl AsRef<[u8]>) -> Result<i64> {
        self.incrby(key, 1)
    }

    /// INCRBY: adds a number. The sum.
    pub fn incrby(&self, key: impl AsRef<[u8]>, change: i64) -> Result<i64> {
        self.write(|cx| cx.incr_by(key.as_ref(), change), "incrby")
    }

    /// Any command by its name and its arguments: what Redis would answer.
    ///
    /// # Errors
    /// Whatever Redis would refuse, in its words.
    pub fn call<A: AsRef<[u8]>>(&self, arguments: &[A]) -> Result<Reply> {
        let arguments: Vec<&[u8]> = arguments.iter().map(AsRef::as_ref).collect();
        self.execute(&arguments)
    }

    /// The figures of the cache.
    pub fn stats(&self) -> Stats {
        self.with(|keys, _| Ok(keys.stats()), "stats").unwrap_or_default()
    }

    /// Looks for expired keys in the next buckets of the index. How many it dropped. Writes do this
    /// too, a little at a time.
    pub fn tick(&self, buckets_max: usize) -> usize {
        self.with(|keys, now| Ok(keys.tick(now, buckets_max)), "tick").unwrap_or_default()
    }

    /// Runs a command and makes of its reply what a method returns.
    pub(crate) fn ask<T: FromReply>(&self, arguments: &[&[u8]]) -> Result<T> {
        T::from_reply(self.execute(arguments)?)
            .map_err(|reply| Error::new(format!("ERR a reply of another shape: {reply:?}")))
    }

    fn execute(&self, arguments: &[&[u8]]) -> Result<Reply> {
        let mut sink = Sink::default();
        self.write(
            |cx| {
                execute(cx, arguments, &mut sink);
                Ok(())
            },
            "",
        )?;
        sink.finish()
    }

    fn read<T>(
        &self,
        action: impl FnOnce(&mut Cx<'_>) -> Result<T, EngineError>,
        command: &str,
    ) -> Result<T> {
        self.with(|keys, now| action(&mut keys.at(now)), command)
    }

    fn write<T>(
        &self,
        action: impl FnOnce(&mut Cx<'_>) -> Result<T, EngineError>,
        command: &str,
    ) -> Result<T> {
        let mut state = self.lock();
        state.writes = state.writes.wrapping_add(1);
        let is_tick = state.writes.is_multiple_of(WRITES_PER_TICK);
        self.on(
            &mut state,
            |keys, now| {
                if is_tick {
                    keys.tick(now, BUCKETS_PER_TICK);
                }
                action(&mut keys.at(now))
            },
            command,
        )
    }

    fn with<T>(
        &self,
        action: impl FnOnce(&mut Keyspace, Millis) -> Result<T, EngineError>,
        command: &str,
    ) -> Result<T> {
        self.on(&mut self.lock(), action, command)
    }

    fn on<T>(
        &self,
        state: &mut State,
        action: impl FnOnce(&mut Keyspace, Millis) -> Result<T, EngineError>,
        command: &str,
    ) -> Result<T> {
        let now = self.options.clock.unwrap_or(host::now)();
        if state.keys.is_none() {
            let made = Keyspace::new(&engine_options(&self.options, host::seed()));
            state.keys = Some(made.map_err(|error| Error::of(error, command))?);
        }
        let Some(keys) = &mut state.keys else { return Err(Error::new("ERR no cache".into())) };
        action(keys, now).map_err(|error| Error::of(error, command))
    }

    /// The engine does not panic, so a lock that somebody panicked with holds a sound keyspace: it
    /// was a caller's iterator that did.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn engine_options(options: &Options, seed: u64) -> EngineOptions {
    let Options { max_memory_bytes, policy, .. } = *options;
    EngineOptions { max_memory_bytes, policy, seed, ..EngineOptions::default() }
}

fn millis(number: u64) -> Millis {
    Millis::try_from(number).unwrap_or(Millis::MAX)
}
