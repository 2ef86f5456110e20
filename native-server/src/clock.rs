//! The time of day, which the whole server reads here.
//!
//! Invariant: commands go by this clock and no other, so that a test may hold it in its hand. What
//! only waits or measures (timeouts of blocked clients, the slow log) goes by the monotonic clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Where the time comes from.
#[derive(Clone, Debug)]
pub enum Clock {
    /// The machine's clock.
    System,
    /// Milliseconds since the Unix epoch that somebody else sets.
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// Microseconds since the Unix epoch.
    pub fn now_us(&self) -> i64 {
        match self {
            Clock::System => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                i64::try_from(now.as_micros()).unwrap_or(i64::MAX)
            }
            Clock::Manual(now_ms) => now_ms.load(Ordering::Relaxed).saturating_mul(1000),
        }
    }

    /// Milliseconds since the Unix epoch.
    pub fn now_ms(&self) -> i64 {
        self.now_us() / 1000
    }
}
