//! ACL LOG: what was denied, and to whom.

use std::collections::VecDeque;

use ferrite_engine::{Millis, Reply};

use crate::limits::DENIED_NAME_BYTES_MAX;
use crate::resp::wire::Wire;

/// Entries that are alike count as one if the last of them is no older.
const ALIKE_MS: Millis = 60_000;
/// So many of the newest are looked at for one that is alike.
const LOOKED_AT: usize = 10;

/// Something that was denied.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// `command`, `key`, `channel` or `auth`.
    pub reason: &'static str,
    /// `toplevel`, `multi`, or what else ran it.
    pub context: &'static str,
    /// What of that: the command's name, the key, the channel.
    pub object: Vec<u8>,
    /// To whom.
    pub user: Vec<u8>,
    /// The client, as CLIENT LIST has it.
    pub client: String,
}

struct Counted {
    entry: Entry,
    count: i64,
    at_ms: Millis,
}

/// The newest entries, the newest of all in front.
#[derive(Default)]
pub struct Log {
    entries: VecDeque<Counted>,
}

impl Log {
    /// Something was denied.
    pub fn note(&mut self, mut entry: Entry, at_ms: Millis, max: usize) {
        entry.user.truncate(DENIED_NAME_BYTES_MAX);
        entry.object.truncate(DENIED_NAME_BYTES_MAX);
        let is_alike = |other: &Counted| {
            let known = &other.entry;
            (known.reason, known.context) == (entry.reason, entry.context)
                && (&known.object, &known.user) == (&entry.object, &entry.user)
                && at_ms.saturating_sub(other.at_ms) <= ALIKE_MS
        };
        let known = self.entries.iter().take(LOOKED_AT).position(is_alike);
        let count = match known.and_then(|at| self.entries.remove(at)) {
            Some(known) => known.count + 1,
            None => 1,
        };
        self.entries.push_front(Counted { entry, count, at_ms });
        self.entries.truncate(max);
    }

    /// Forgets all of it.
    pub fn clear(&mut self) {
        self.entries.clear();
    }

    /// Answers the newest so many.
    pub fn show(&self, count: usize, now_ms: Millis, wire: &mut Wire<'_>) {
        let count = count.min(self.entries.len());
        wire.array(count);
        for Counted { entry, count, at_ms } in self.entries.iter().take(count) {
            wire.map(7);
            wire.text("count");
            wire.integer(*count);
            let texts = [
                ("reason", entry.reason.as_bytes()),
                ("context", entry.context.as_bytes()),
                ("object", &entry.object),
                ("username", &entry.user),
            ];
            for (name, text) in texts {
                wire.text(name);
                wire.text(text);
            }
            wire.text("age-seconds");
            let age_s = now_ms.saturating_sub(*at_ms) as f64 / 1000.0;
            wire.double(age_s.to_string().as_bytes().into());
            wire.text("client-info");
            wire.text(&entry.client);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_alike_and_near_is_one() {
        let entry = |user: &str| Entry {
            reason: "auth",
            context: "toplevel",
            object: "AUTH".into(),
            user: user.into(),
            client: String::new(),
        };
        let mut log = Log::default();
        for (user, at_ms) in [("a", 0), ("b", 1), ("a", 60_000), ("a", 120_001)] {
            log.note(entry(user), at_ms, 10);
        }
        let counts: Vec<_> =
            log.entries.iter().map(|known| (known.entry.user.clone(), known.count)).collect();
        let expected = [("a", 1), ("a", 2), ("b", 1)].map(|(user, count)| (user.into(), count));
        assert_eq!(counts, expected);
        log.note(entry(&"x".repeat(10_000)), 200_000, 2);
        assert_eq!(log.entries.len(), 2);
        assert_eq!(log.entries[0].entry.user.len(), DENIED_NAME_BYTES_MAX);
    }
}
