//! What the platform lends: a clock, and a number that strangers cannot guess.
//! Invariant: neither is asked before the first call on a cache, because at a Worker's global scope
//! there is no time and no randomness.

use crate::engine::Millis;

/// Milliseconds since the Unix epoch.
#[cfg(not(feature = "workers"))]
pub(crate) fn now() -> Millis {
    use std::time::{SystemTime, UNIX_EPOCH};
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis::try_from(since.as_millis()).unwrap_or(Millis::MAX)
}

/// Milliseconds since the Unix epoch, as of the last time that the Worker waited for something.
#[cfg(feature = "workers")]
pub(crate) fn now() -> Millis {
    Millis::try_from(worker::Date::now().as_millis()).unwrap_or(Millis::MAX)
}

/// A seed for the hash of keys: what the standard library draws for its own maps.
#[cfg(not(feature = "workers"))]
pub(crate) fn seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(())
}

/// A seed for the hash of keys.
#[cfg(feature = "workers")]
pub(crate) fn seed() -> u64 {
    worker::js_sys::Math::random().to_bits().rotate_left(32)
        ^ worker::js_sys::Math::random().to_bits()
}
