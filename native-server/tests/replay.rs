//! Every transcript over TCP, in RESP2 and in RESP3; and both against a real redis-server, whose
//! replies in RESP3 must be of the same kinds.

mod common;

use common::{Connection, Raw, TestServer};
use ferrite_tests::answer::Answer;
use ferrite_tests::subject::{START_MS, Subject};
use ferrite_tests::transcript;

use std::sync::atomic::Ordering;

struct Remote {
    server: TestServer,
    connection: Connection,
    protocol: u8,
}

impl Remote {
    fn new(protocol: u8) -> Remote {
        let server = TestServer::start(|config| config.maxmemory = 64 << 20);
        let mut connection = server.connect();
        if protocol == 3 {
            assert!(matches!(connection.ask("HELLO 3"), Raw::Map(_)));
        }
        // Keys expire when the transcript looks at them, not when the server happens to.
        assert_eq!(connection.ask("DEBUG SET-ACTIVE-EXPIRE 0"), Raw::Simple("OK".into()));
        Remote { server, connection, protocol }
    }
}

/// A reply of RESP3 in the shape that it has in RESP2, which is what transcripts are written in.
fn flat(raw: Raw) -> Answer {
    let items = |items: Vec<Raw>| items.into_iter().map(flat).collect();
    match raw {
        Raw::Simple(text) => Answer::Simple(text),
        Raw::Error(text) => Answer::Error(text),
        Raw::Integer(number) => Answer::Integer(number),
        Raw::Bulk(bytes) => Answer::Bulk(bytes),
        Raw::Double(text) | Raw::Verbatim(text) => Answer::bulk(text.as_bytes()),
        Raw::Boolean(is_true) => Answer::Integer(is_true.into()),
        Raw::Null | Raw::NullArray => Answer::Null,
        Raw::Array(list) | Raw::Set(list) | Raw::Push(list) => Answer::Array(items(list)),
        Raw::Map(pairs) => {
            Answer::Array(items(pairs.into_iter().flat_map(|(key, value)| [key, value]).collect()))
        }
    }
}

/// Commands whose map is an array of pairs in RESP2.
fn has_entries(request: &[Vec<u8>]) -> bool {
    [&b"xread"[..], b"xreadgroup"].iter().any(|name| request[0].eq_ignore_ascii_case(name))
}

/// Commands whose pairs are arrays of their own in RESP3.
fn has_pairs(request: &[Vec<u8>]) -> bool {
    let has = |word: &[u8]| request.iter().any(|other| other.eq_ignore_ascii_case(word));
    let is_pop = has(b"zpopmin") || has(b"zpopmax");
    let is_moving = has(b"zmpop") || has(b"zrank") || has(b"zrevrank");
    !is_moving && (has(b"withscores") || has(b"withvalues") || is_pop && request.len() > 2)
}

impl Subject for Remote {
    fn reset(&mut self) {
        assert_eq!(self.connection.ask("FLUSHALL"), Raw::Simple("OK".into()));
        let policy = self.connection.ask("CONFIG SET maxmemory-policy noeviction");
        assert_eq!(policy, Raw::Simple("OK".into()));
    }

    fn set_clock(&mut self, now_ms: i64) {
        assert!(now_ms >= START_MS);
        self.server.clock.store(now_ms, Ordering::Relaxed);
    }

    fn ask(&mut self, request: &[Vec<u8>]) -> Answer {
        match (flat(self.connection.ask_words(request)), self.protocol) {
            (Answer::Array(pairs), 3) if has_pairs(request) => {
                Answer::Array(pairs.into_iter().flat_map(halves).collect())
            }
            (Answer::Array(halves), 3) if has_entries(request) => {
                Answer::Array(halves.chunks(2).map(|pair| Answer::Array(pair.to_vec())).collect())
            }
            (answer, _) => answer,
        }
    }
}

fn halves(pair: Answer) -> Vec<Answer> {
    match pair {
        Answer::Array(halves) => halves,
        other => panic!("a pair, not {other}"),
    }
}

fn replay_all(protocol: u8) {
    let mut remote = Remote::new(protocol);
    let mut failures = Vec::new();
    for transcript in transcript::all() {
        failures.extend(transcript::replay(&transcript, &mut remote, false));
    }
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

#[test]
fn every_transcript_holds_over_resp2() {
    replay_all(2);
}

#[test]
fn every_transcript_holds_over_resp3() {
    replay_all(3);
}
