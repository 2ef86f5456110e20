//! The engine's face for JavaScript: functions that take and return numbers, and one fixed area
//! of linear memory, the scratch area, through which everything else goes.
//!
//! No call allocates but `call`, for the list of its arguments, so the boundary costs what writing
//! a key and reading a value cost. Errors are return values; a trap is a bug, after which the
//! instance is lost.
//!
//! Not here: strings, options, promises and every other thing JavaScript; that is the package's.

#![cfg_attr(target_arch = "wasm32", no_std)]

extern crate alloc;

mod host;
mod limits;
mod reply;

use alloc::vec::Vec;

use ferrite_engine::{
    Condition, Error, Expiry, Keyspace, Millis, Options, Policy, Reply, Result, SetOptions,
    ShowOld, Source, Value, check, execute, parse_memory,
};
#[cfg(target_arch = "wasm32")]
use lol_alloc::{FreeListAllocator, LockedAllocator};
use spin::{Mutex, MutexGuard};
use wasm_bindgen::prelude::wasm_bindgen;

use crate::host::Streamed;
use crate::limits::{
    ARGUMENTS_MAX, ARGUMENTS_STEP, HEADER_BYTES, MEMORY_BYTES_MAX, PASSED_BYTES_MAX, SCRATCH_BYTES,
};
use crate::reply::Sink;

#[cfg(target_arch = "wasm32")]
#[global_allocator]
static ALLOCATOR: LockedAllocator<FreeListAllocator> =
    LockedAllocator::new(FreeListAllocator::new());

#[cfg(target_arch = "wasm32")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    trap()
}

/// Ends the instance: the package makes a new one.
fn trap() -> ! {
    #[cfg(target_arch = "wasm32")]
    core::arch::wasm32::unreachable();
    #[cfg(not(target_arch = "wasm32"))]
    unreachable!("the cache is in use");
}

/// What the budget may be where addresses have 32 bits: less than the engine's own limit.
const MEMORY_OUT_OF_RANGE: &str = "ERR argument must be between 1048576 and 2147483648";

/// What the package must know of these functions has this number: another one, another package.
const FACE: u32 = 0x4652_0005;

/// Which families of commands there are: strings and keys, or all. Each is a class in the package.
const FAMILIES: u32 = cfg!(feature = "collections") as u32;

/// There is no such key.
const MISSING: i32 = -1;
/// An error: it stands behind the header, as a reply.
const FAILED: i32 = -2;
/// What `get` answers to who does not know the time, once there are keys that expire.
const UNTIMED: i32 = -3;

/// Flags of what `get` found: the value is ASCII; the value is several runs of bytes.
const ASCII: u32 = 1;
const RUNS: u32 = 1 << 1;

/// Bits of `set`'s mode: the condition, the kind of expiry, GET, a value that is delivered piece by
/// piece, and APPEND, of which there are no others then.
const IF_ABSENT: u32 = 1;
const IF_PRESENT: u32 = 1 << 1;
const EXPIRY_SHIFT: u32 = 2;
const EXPIRY_MASK: u32 = 3;
const WITH_OLD: u32 = 1 << 4;
const STREAMED: u32 = 1 << 5;
#[cfg(feature = "collections")]
const APPENDED: u32 = 1 << 6;

/// A cache and its scratch area.
struct Cache {
    keys: Option<Keyspace>,
    options: Options,
    scratch: Scratch,
}

/// The scratch area. JavaScript reads its header as words, so it must be aligned like one.
#[repr(align(8))]
struct Scratch([u8; SCRATCH_BYTES]);

/// An instance has one cache: its memory is that cache's alone.
static CACHE: Mutex<Cache> = Mutex::new(Cache {
    keys: None,
    options: Options {
        max_memory_bytes: 0,
        policy: Policy::NoEviction,
        seed: 0,
        host_bytes: SCRATCH_BYTES as u64,
        compression: false,
    },
    scratch: Scratch([0; SCRATCH_BYTES]),
});

/// The cache. It is taken already only where JavaScript, called in the middle of a call, calls
/// back, which it must not; and after a trap, when the instance is lost anyway.
fn cache() -> MutexGuard<'static, Cache> {
    match CACHE.try_lock() {
        Some(cache) => cache,
        None => trap(),
    }
}

/// Where the scratch area is. Its first words then say how many bytes a call may pass in, how many
/// arguments, which face this is, and which families of commands there are.
#[wasm_bindgen]
pub fn scratch_pointer() -> usize {
    let scratch = &mut cache().scratch.0;
    put_words(scratch, [PASSED_BYTES_MAX as u32, ARGUMENTS_MAX as u32]);
    put_words(scratch.get_mut(HEADER_BYTES..).unwrap_or_default(), [FACE, FAMILIES]);
    scratch.as_mut_ptr().expose_provenance()
}

/// Sets the budget and the policy, whose texts stand behind the header one after the other. Zero,
/// or an error.
#[wasm_bindgen]
pub fn configure(memory_len: usize, policy_len: usize) -> i32 {
    let mut cache = cache();
    match cache.configure(memory_len, policy_len) {
        Ok(()) => 0,
        Err(Error::MemoryOutOfRange) => cache.fail_with(&[MEMORY_OUT_OF_RANGE.as_bytes()]),
        Err(error) => cache.fail(error),
    }
}

/// Lets the keyspace that `open` makes compress what is not in use.
#[cfg(feature = "compression")]
#[wasm_bindgen]
pub fn enable_compression() {
    cache().options.compression = true;
}

/// Makes the keyspace. Zero, or an error.
#[wasm_bindgen]
pub fn open(seed_low: u32, seed_high: u32) -> i32 {
    let mut cache = cache();
    cache.options.seed = u64::from(seed_high) << 32 | u64::from(seed_low);
    match Keyspace::new(&cache.options) {
        Ok(keys) => {
            cache.keys = Some(keys);
            0
        }
        Err(error) => cache.fail(error),
    }
}

/// GET: the length of the value, whose place the header tells; or `MISSING`. With the flag
/// `RUNS` the header tells how many runs the value has, and behind it stand their places and
/// lengths. All of it holds until the next call. The time may be left out: where keys expire, the
/// answer is `UNTIMED` then.
#[wasm_bindgen]
pub fn get(now: f64, is_timed: bool, key_len: usize) -> i32 {
    cache().get(now, is_timed, key_len)
}

/// SET: key and value stand behind the header, unless the mode says that the value comes
/// piece by piece. One if it was set, else zero; with GET the length of the reply, which
/// stands behind what was passed in; or an error. With APPEND it adds the value to the one that is
/// there: the length of both together.
#[wasm_bindgen]
pub fn set(now: f64, key_len: usize, value_len: usize, mode: u32, expiry: f64) -> i32 {
    cache().set(now, key_len, value_len, mode, expiry)
}

/// Any command: its name and arguments stand behind the header, each with its length before it, and
/// before them all their number, no more than `count_max`; `passed_len` bytes in all. Or, where
/// `commands` is not zero, so many of them: none is run unless all exist and have enough arguments.
/// The length of the reply behind them, of which parts may have been handed over before.
#[wasm_bindgen]
pub fn call(now: f64, commands: usize, count_max: usize, passed_len: usize) -> i32 {
    cache().call(now, commands, count_max, passed_len)
}

/// Looks for expired keys in the next buckets of the index. How many it dropped.
#[wasm_bindgen]
pub fn tick(now: f64, buckets_max: usize) -> usize {
    cache().tick(now, buckets_max)
}

/// The figures of the cache: an array of names, each with its number. The reply's length.
#[wasm_bindgen]
pub fn stats() -> i32 {
    cache().stats()
}

impl Cache {
    fn configure(&mut self, memory_len: usize, policy_len: usize) -> Result<()> {
        let texts = self.scratch.0.get(HEADER_BYTES..).unwrap_or_default();
        let (memory, rest) = texts.split_at_checked(memory_len).unwrap_or_default();
        self.options.max_memory_bytes = parse_memory(memory)?;
        self.options.policy = Policy::parse(rest.get(..policy_len).unwrap_or_default())?;
        if self.options.max_memory_bytes > MEMORY_BYTES_MAX {
            return Err(Error::MemoryOutOfRange);
        }
        self.options.validate()
    }

    fn get(&mut self, now: f64, is_timed: bool, key_len: usize) -> i32 {
        let (header, rest) = self.scratch.0.split_at_mut(HEADER_BYTES);
        let Some(keys) = &mut self.keys else {
            return self.fail_closed();
        };
        if !is_timed && keys.may_expire() {
            return UNTIMED;
        }
        let mut cx = keys.at(now as Millis);
        let value = match cx.get(rest.get(..key_len).unwrap_or_default()) {
            Ok(Some(value)) => value,
            Ok(None) => return MISSING,
            Err(error) => return self.fail(error),
        };
        let is_ascii = if value.is_ascii() { ASCII } else { 0 };
        match value.as_slice() {
            Some(bytes) => put_words(header, [address(bytes), is_ascii]),
            None => {
                let mut count = 0;
                for (target, run) in rest.chunks_exact_mut(HEADER_BYTES).zip(value.parts()) {
                    put_words(target, [address(run), run.len() as u32]);
                    count += 1;
                }
                put_words(header, [count, is_ascii | RUNS]);
            }
        }
        value.len() as i32
    }

    fn set(&mut self, now: f64, key_len: usize, value_len: usize, mode: u32, expiry: f64) -> i32 {
        let Some(keys) = &mut self.keys else {
            return self.fail_closed();
        };
        let passed_len = if mode & STREAMED == 0 { key_len + value_len } else { key_len };
        let Some((passed, rest)) = self
            .scratch
            .0
            .get_mut(HEADER_BYTES..)
            .and_then(|passed| passed.split_at_mut_checked(passed_len))
        else {
            return self.fail(Error::ValueTooLong);
        };
        let (key, mut value) = passed.split_at_checked(key_len).unwrap_or_default();
        let mut streamed = Streamed { left: value_len };
        let source: &mut dyn Source = if mode & STREAMED == 0 { &mut value } else { &mut streamed };
        #[cfg(feature = "collections")]
        if mode & APPENDED != 0 {
            return match keys.at(now as Millis).append_from(key, source) {
                Ok(len) => len as i32,
                Err(error) => self.fail(error),
            };
        }
        let mut sink = Sink::new(rest);
        let mut show = |old: Option<Value<'_>>| match old {
            Some(old) => sink.bulk(old),
            None => sink.null(),
        };
        let wants_old = mode & WITH_OLD != 0;
        let old: Option<ShowOld<'_>> = if wants_old { Some(&mut show) } else { None };
        let options = set_options(mode, expiry as Millis);
        match keys.at(now as Millis).set_from(key, source, &options, old) {
            Ok(_) if wants_old => sink.used(),
            Ok(is_set) => is_set.into(),
            Err(error) => self.fail(error),
        }
    }

    fn call(&mut self, now: f64, commands: usize, count_max: usize, passed_len: usize) -> i32 {
        let Some(keys) = &mut self.keys else {
            return self.fail_closed();
        };
        let Some((passed, rest)) = self
            .scratch
            .0
            .get_mut(HEADER_BYTES..)
            .and_then(|passed| passed.split_at_mut_checked(passed_len))
            .map(|(passed, rest)| (&*passed, rest))
        else {
            return 0;
        };
        let mut arguments: Vec<&[u8]> = Vec::new();
        let room = count_max.min(ARGUMENTS_MAX).next_multiple_of(ARGUMENTS_STEP);
        if arguments.try_reserve_exact(room).is_err() {
            return self.fail(Error::OutOfMemory);
        }
        let mut cx = keys.at(now as Millis);
        let mut sink = Sink::new(rest);
        if commands > 0 {
            let mut unchecked = passed;
            for _ in 0..commands {
                take_command(&mut unchecked, &mut arguments);
                if check(&arguments, &mut sink).is_none() {
                    return sink.used();
                }
            }
            sink.array(commands);
        }
        let mut unrun = passed;
        for _ in 0..commands.max(1) {
            take_command(&mut unrun, &mut arguments);
            execute(&mut cx, &arguments, &mut sink);
        }
        sink.used()
    }

    fn tick(&mut self, now: f64, buckets_max: usize) -> usize {
        self.keys.as_mut().map_or(0, |keys| keys.tick(now as Millis, buckets_max))
    }

    fn stats(&mut self) -> i32 {
        let Some(keys) = &self.keys else {
            return self.fail_closed();
        };
        let mut sink = Sink::new(self.scratch.0.get_mut(HEADER_BYTES..).unwrap_or_default());
        let stats = keys.stats();
        let fields = stats.fields();
        sink.array(2 * fields.len());
        for (name, number) in fields {
            sink.simple(name);
            sink.integer(number as i64);
        }
        sink.used()
    }

    fn fail(&mut self, error: Error) -> i32 {
        // Of what fails here only SET has its name in the line.
        self.fail_with(&error.parts("set").map(str::as_bytes))
    }

    fn fail_closed(&mut self) -> i32 {
        self.fail_with(&[b"ERR the cache is not open"])
    }

    #[inline(never)]
    fn fail_with(&mut self, parts: &[&[u8]]) -> i32 {
        Sink::new(self.scratch.0.get_mut(HEADER_BYTES..).unwrap_or_default()).error(parts);
        FAILED
    }
}

fn set_options(mode: u32, expiry: Millis) -> SetOptions {
    let condition = match mode & (IF_ABSENT | IF_PRESENT) {
        IF_ABSENT => Condition::IfAbsent,
        IF_PRESENT => Condition::IfPresent,
        _ => Condition::Always,
    };
    let expiry = match mode >> EXPIRY_SHIFT & EXPIRY_MASK {
        1 => Expiry::Keep,
        2 => Expiry::In(expiry),
        3 => Expiry::At(expiry),
        _ => Expiry::Never,
    };
    SetOptions { condition, expiry }
}

/// Takes a command off the front of `passed`: the number of its arguments, then each with its
/// length before it; no more than there is room for.
fn take_command<'a>(passed: &mut &'a [u8], arguments: &mut Vec<&'a [u8]>) {
    arguments.clear();
    for _ in 0..take_word(passed).min(arguments.capacity()) {
        let len = take_word(passed);
        let (argument, rest) = passed.split_at_checked(len).unwrap_or_default();
        *passed = rest;
        arguments.push(argument);
    }
}

#[inline(never)]
fn take_word(passed: &mut &[u8]) -> usize {
    let (word, rest) = passed.split_first_chunk().unwrap_or((&[0; 4], &[]));
    *passed = rest;
    u32::from_le_bytes(*word) as usize
}

fn address(bytes: &[u8]) -> u32 {
    bytes.as_ptr().expose_provenance() as u32
}

fn put_words(target: &mut [u8], [first, second]: [u32; 2]) {
    if let Some((target, rest)) = target.split_first_chunk_mut() {
        *target = first.to_le_bytes();
        if let Some(target) = rest.first_chunk_mut() {
            *target = second.to_le_bytes();
        }
    }
}
