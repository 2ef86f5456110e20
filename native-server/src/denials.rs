//! What was denied, for ACL LOG: names and passwords that were wrong.
//!
//! Invariant: it is bounded by `acllog-max-len`; what it keeps of a name is bounded as well.
//! Not here: permissions. There is one user, who may do everything.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ferrite_engine::Millis;

use crate::limits::DENIED_NAME_BYTES_MAX;

/// Denials that are alike count as one if they come within this time.
const GROUPING_MS: Millis = 60_000;

/// One denial, or several that are alike.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Denial {
    /// How many there were.
    pub count: i64,
    /// Where the command came from: `toplevel`, or `multi` in a transaction.
    pub context: &'static str,
    /// The command, as it was written.
    pub command: Vec<u8>,
    /// Whom it named.
    pub user: Vec<u8>,
    /// When that last was.
    pub at_ms: Millis,
    /// Who last sent it, as CLIENT LIST shows them.
    pub client: String,
}

/// The newest denials come first.
#[derive(Default)]
pub struct Denials {
    entries: Mutex<VecDeque<Denial>>,
}

impl Denials {
    fn lock(&self) -> MutexGuard<'_, VecDeque<Denial>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a denial, and drops the oldest beyond `max`.
    pub fn note(&self, mut denial: Denial, max: usize) {
        denial.user.truncate(DENIED_NAME_BYTES_MAX);
        let mut entries = self.lock();
        let is_alike = |other: &Denial| {
            other.context == denial.context
                && (&other.command, &other.user) == (&denial.command, &denial.user)
                && denial.at_ms.saturating_sub(other.at_ms) <= GROUPING_MS
        };
        if let Some(position) = entries.iter().position(is_alike)
            && let Some(other) = entries.remove(position)
        {
            denial.count += other.count;
        }
        entries.push_front(denial);
        entries.truncate(max);
    }

    /// The newest.
    pub fn newest(&self, count: usize) -> Vec<Denial> {
        self.lock().iter().take(count).cloned().collect()
    }

    /// Forgets all.
    pub fn clear(&self) {
        self.lock().clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_alike_and_near_is_one() {
        let denials = Denials::default();
        let denial = |user: &str, at_ms| Denial {
            count: 1,
            context: "toplevel",
            command: "AUTH".into(),
            user: user.into(),
            at_ms,
            client: String::new(),
        };
        for (user, at_ms) in [("a", 0), ("b", 1), ("a", 60_000), ("a", 120_001)] {
            denials.note(denial(user, at_ms), 10);
        }
        let counts: Vec<_> =
            denials.newest(10).iter().map(|entry| (entry.user.clone(), entry.count)).collect();
        let expected = [("a", 1), ("a", 2), ("b", 1)].map(|(user, count)| (user.into(), count));
        assert_eq!(counts, expected);
        denials.note(denial(&"x".repeat(10_000), 200_000), 2);
        let left = denials.newest(10);
        assert_eq!((left.len(), left[0].user.len()), (2, DENIED_NAME_BYTES_MAX));
    }
}
