//! Every transcript over TCP, in RESP2 and in RESP3; and both against a real redis-server, whose
//! replies in RESP3 must be of the same kinds.

mod common;

use common::{Connection, Raw, TestServer, shape};
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
        shape::flat_reply(self.connection.ask_words(request), request, self.protocol)
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
