//! What changes in a database, told to those who asked.
//!
//! Invariant: every change of a key passes here if anybody listens, since the engine makes each of
//! them known by a command that does the same again; which of its arguments are keys says its row.
//! Where nobody listens nothing is made known, which costs nothing.

use ferrite_engine::{Cx, Effects, Keys, Millis, Value, find};

use crate::commands::keys_of;
use crate::database::Database;
use crate::waiting::Waiting;
use crate::watch::Watched;

struct Changes<'d> {
    watched: &'d Watched,
    waiting: &'d mut Waiting,
}

impl Effects for Changes<'_> {
    fn effect(&mut self, arguments: &[Value<'_>]) {
        // Names and keys stand in one run of bytes.
        let text = |at: usize| arguments.get(at).and_then(Value::as_slice).unwrap_or_default();
        let spec = find(text(0));
        let (name, keys) = spec.map_or(("", Keys::NONE), |spec| (spec.name, spec.keys));
        if keys == Keys::NONE {
            // FLUSHDB, the one change that names no key.
            self.watched.touch_where(|_| true);
            self.waiting.note_all();
            return;
        }
        for at in keys_of(name, keys, arguments.len(), text) {
            self.watched.touch(text(at));
            self.waiting.note(text(at));
        }
    }
}

impl Database {
    /// Does something with the keys at a moment; who listens hears of what that changes.
    #[inline]
    pub fn with<T>(&mut self, now_ms: Millis, act: impl FnOnce(&mut Cx<'_>) -> T) -> T {
        if !self.has_listeners() {
            return act(&mut self.keys.at(now_ms));
        }
        let mut changes = Changes { watched: &self.watched, waiting: &mut self.waiting };
        act(&mut self.keys.at(now_ms).with_effects(&mut changes))
    }
}
