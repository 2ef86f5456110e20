//! The engine behind a C ABI: functions that take and return numbers, for any host that runs wasm.
//!
//! The file imports nothing, not even from WASI: the time and the seed are arguments. README.md
//! has the functions one by one, as a C header would.
//!
//! Not here: anything done to what a pointer points to. buffers.rs hands memory out, and finds it
//! again.

#![cfg_attr(target_arch = "wasm32", no_std)]
// The only unsafe thing: to export a function is to promise that nobody else has its name.
#![deny(unsafe_code)]

extern crate alloc;

mod buffers;
mod face;
mod limits;
mod resp;

#[cfg(target_arch = "wasm32")]
use lol_alloc::{FreeListAllocator, LockedAllocator};
use spin::{Mutex, MutexGuard};

use crate::face::{Face, Outcome};

#[cfg(target_arch = "wasm32")]
#[global_allocator]
static ALLOCATOR: LockedAllocator<FreeListAllocator> =
    LockedAllocator::new(FreeListAllocator::new());

#[cfg(target_arch = "wasm32")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    trap()
}

/// Ends the instance: after a trap every call traps.
fn trap() -> ! {
    #[cfg(target_arch = "wasm32")]
    core::arch::wasm32::unreachable();
    #[cfg(not(target_arch = "wasm32"))]
    unreachable!("the cache is in use");
}

/// The version of what this file says; it changes when a host would have to.
const ABI_VERSION: u32 = 1;

/// An instance has one cache: its memory is that cache's alone.
static FACE: Mutex<Face> = Mutex::new(Face::new());

/// The cache. It is taken already only where a call before it trapped.
fn face() -> MutexGuard<'static, Face> {
    match FACE.try_lock() {
        Some(face) => face,
        None => trap(),
    }
}

fn number(outcome: Outcome) -> i32 {
    match outcome {
        // No result is as long as 2^31 bytes: limits.rs.
        Ok(len) => len as i32,
        Err(refusal) => refusal as i32,
    }
}

/// Declares the exports, so that what has to be said of each is said once.
macro_rules! exports {
    ($($(#[$doc:meta])+ fn $name:ident($($arg:ident: $type:ty),*) -> $result:ty $body:block)+) => {
        $(
            $(#[$doc])+
            // SAFETY: every name begins with `ferrite_`, and stands in this list once.
            #[allow(unsafe_code)]
            #[unsafe(no_mangle)]
            pub extern "C" fn $name($($arg: $type),*) -> $result $body
        )+
    };
}

exports! {
    /// The version of this ABI.
    fn ferrite_abi_version() -> u32 {
        ABI_VERSION
    }

    /// Hands out a buffer to write requests to. Its address, or zero.
    fn ferrite_alloc(len: usize) -> usize {
        face().buffers.allocate(len)
    }

    /// Takes a buffer back. One if it was one, else zero.
    fn ferrite_free(buffer: usize) -> i32 {
        face().buffers.free(buffer).into()
    }

    /// Makes the cache, empty, in the place of the one before.
    fn ferrite_open(max_memory: u64, policy: usize, policy_len: usize, seed: u64) -> i32 {
        number(face().open(max_memory, (policy, policy_len), seed))
    }

    /// Runs a command: a request in RESP2. The length of the reply.
    fn ferrite_call(now_ms: i64, request: usize, len: usize) -> i32 {
        number(face().call(now_ms, (request, len)))
    }

    /// GET. The length of the value.
    fn ferrite_get(now_ms: i64, key: usize, key_len: usize) -> i32 {
        number(face().get(now_ms, (key, key_len)))
    }

    /// SET, with a time to live unless that is zero. Zero.
    fn ferrite_set(
        now_ms: i64, key: usize, key_len: usize, value: usize, value_len: usize, ttl_ms: i64
    ) -> i32 {
        number(face().set(now_ms, (key, key_len), (value, value_len), ttl_ms))
    }

    /// Looks for expired keys in the next buckets of the index. How many it dropped.
    fn ferrite_tick(now_ms: i64, buckets_max: usize) -> i32 {
        number(face().tick(now_ms, buckets_max))
    }

    /// The figures of the cache as an array in RESP2. Its length.
    fn ferrite_stats() -> i32 {
        number(face().stats())
    }

    /// Where the last result lies, until the next call.
    fn ferrite_result() -> usize {
        face().result().0
    }

    /// How long the last result is: also that of a call that failed.
    fn ferrite_result_len() -> usize {
        face().result().1
    }
}
