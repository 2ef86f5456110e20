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

/// Asks, and leaves out what nobody promises: the order of what is not ordered, and where a turn
/// of SCAN and its kin pauses. A turn is followed to its end.
pub fn ask_whole(subject: &mut dyn Subject, request: &[Vec<u8>]) -> Answer {
    let answer = subject.ask(request);
    match request[0].to_ascii_uppercase().as_slice() {
        b"KEYS" | b"SMEMBERS" | b"SUNION" | b"SINTER" | b"SDIFF" | b"HKEYS" | b"HVALS" => {
            answer.sorted()
        }
        b"HGETALL" => answer.sorted_by(2),
        b"SCAN" => whole_turn(subject, request.to_vec(), answer, 1, 1),
        b"SSCAN" => whole_turn(subject, request.to_vec(), answer, 2, 1),
        b"HSCAN" | b"ZSCAN" => whole_turn(subject, request.to_vec(), answer, 2, 2),
        _ => answer,
    }
}

/// More pauses than this, and the cursor runs in circles.
const PAUSES_MAX: usize = 100_000;

/// A turn from its first answer on: where the request has its cursor, and how many items of the
/// reply belong together.
fn whole_turn(
    subject: &mut dyn Subject,
    mut request: Vec<Vec<u8>>,
    first: Answer,
    cursor_at: usize,
    group: usize,
) -> Answer {
    let (mut answer, mut found) = (first, Vec::new());
    for _ in 0..PAUSES_MAX {
        let Answer::Array(reply) = answer else { return answer };
        let [Answer::Bulk(cursor), Answer::Array(items)] = &reply[..] else {
            panic!("SCAN answers a cursor and an array, not {reply:?}");
        };
        found.extend(items.chunks(group).map(<[Answer]>::to_vec));
        if cursor == b"0" {
            found.sort();
            found.dedup();
            return Answer::Array(vec![Answer::bulk(b"0"), Answer::Array(found.concat())]);
        }
        request[cursor_at].clone_from(cursor);
        answer = subject.ask(&request);
    }
    panic!("SCAN does not come to an end");
}
