//! What can be asked: one keyspace behind one face, with the clock in the caller's hand.

use crate::answer::Answer;

/// Where every clock starts: 14 November 2023, 22:13:20 UTC.
pub const START_MS: i64 = 1_700_000_000_000;

/// An answer without what nobody promises: the order of what KEYS and SCAN list.
pub fn comparable(request: &[Vec<u8>], answer: Answer) -> Answer {
    let name = request[0].to_ascii_uppercase();
    if name == b"KEYS" || name == b"SCAN" { answer.sorted() } else { answer }
}

/// Something that answers requests: the engine, or a redis-server.
pub trait Subject {
    /// Empties the keyspace.
    fn reset(&mut self);
    /// Sets the clock, which then stands still.
    fn set_clock(&mut self, now_ms: i64);
    /// One request, name first, and its reply.
    fn ask(&mut self, request: &[Vec<u8>]) -> Answer;
}
