//! What can be asked: one keyspace behind one face, with the clock in the caller's hand.

use crate::answer::Answer;

/// Where every clock starts: 14 November 2023, 22:13:20 UTC.
pub const START_MS: i64 = 1_700_000_000_000;

/// Something that answers requests: the engine, or a redis-server.
pub trait Subject {
    /// Empties the keyspace.
    fn reset(&mut self);
    /// Sets the clock, which then stands still.
    fn set_clock(&mut self, now_ms: i64);
    /// One request, name first, and its reply.
    fn ask(&mut self, request: &[Vec<u8>]) -> Answer;
}

/// Asks, and leaves out what nobody promises: the order of what KEYS and SCAN list, and where a
/// turn of SCAN pauses. A turn is followed to its end.
pub fn ask_whole(subject: &mut dyn Subject, request: &[Vec<u8>]) -> Answer {
    let answer = subject.ask(request);
    match request[0].to_ascii_uppercase().as_slice() {
        b"KEYS" => answer.sorted(),
        b"SCAN" => whole_turn(subject, request.to_vec(), answer),
        _ => answer,
    }
}

/// More pauses than this, and the cursor runs in circles.
const PAUSES_MAX: usize = 100_000;

fn whole_turn(subject: &mut dyn Subject, mut request: Vec<Vec<u8>>, first: Answer) -> Answer {
    let (mut answer, mut found) = (first, Vec::new());
    for _ in 0..PAUSES_MAX {
        let Answer::Array(reply) = answer else { return answer };
        let [Answer::Bulk(cursor), Answer::Array(items)] = &reply[..] else {
            panic!("SCAN answers a cursor and an array, not {reply:?}");
        };
        found.extend_from_slice(items);
        if cursor == b"0" {
            found.sort();
            found.dedup();
            return Answer::Array(vec![Answer::bulk(b"0"), Answer::Array(found)]);
        }
        request[1].clone_from(cursor);
        answer = subject.ask(&request);
    }
    panic!("SCAN does not come to an end");
}
