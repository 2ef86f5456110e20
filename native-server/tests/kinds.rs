//! In RESP3 every reply is of the kind that redis-server's is: a map where it has a map, a double
//! where it has a double, down to the elements. The requests are those of the transcripts.
//!
//! Needs redis-server and libfaketime; where they are missing the test says that it is skipped, and
//! fails in CI.

mod common;

use common::{Connection, Raw, TestServer};
use ferrite_tests::answer::request_text;
use ferrite_tests::oracle::Oracle;
use ferrite_tests::transcript::{self, Step};

/// Whether two replies are of the same kind, and their elements as well.
fn is_alike(one: &Raw, other: &Raw) -> bool {
    let all = |one: &[Raw], other: &[Raw]| {
        one.len() == other.len() && one.iter().zip(other).all(|(one, other)| is_alike(one, other))
    };
    match (one, other) {
        (Raw::Array(one), Raw::Array(other)) | (Raw::Push(one), Raw::Push(other)) => {
            all(one, other)
        }
        (Raw::Set(one), Raw::Set(other)) => all(one, other),
        (Raw::Map(one), Raw::Map(other)) => {
            let pairs = || one.iter().zip(other);
            one.len() == other.len()
                && pairs()
                    .all(|(one, other)| is_alike(&one.0, &other.0) && is_alike(&one.1, &other.1))
        }
        _ => std::mem::discriminant(one) == std::mem::discriminant(other),
    }
}

/// Requests whose replies depend on the clock, or on how a value is stored.
fn is_left_out(request: &[Vec<u8>]) -> bool {
    let name = request[0].to_ascii_lowercase();
    matches!(&name[..], b"scan" | b"sscan" | b"hscan" | b"zscan" | b"object" | b"debug" | b"xinfo")
}

#[test]
fn replies_of_resp3_are_of_redis_s_kinds() {
    let Some(oracle) = Oracle::start_or_skip() else { return };
    let server = TestServer::start(|config| config.maxmemory = 64 << 20);
    let (mut ours, mut theirs) = (server.connect(), Connection::new(oracle.address));
    assert!(matches!(ours.ask("HELLO 3"), Raw::Map(_)));
    assert!(matches!(theirs.ask("HELLO 3"), Raw::Map(_)));
    let mut failures = Vec::new();
    for transcript in transcript::all() {
        ours.ask("FLUSHALL");
        theirs.ask("FLUSHALL");
        for step in &transcript.steps {
            // Behind a moved clock, or what only one of them knows, the keys are no longer equal.
            let Step::Request { words, ferrite_only: None, line, .. } = step else { break };
            let (our, their) = (ours.ask_words(words), theirs.ask_words(words));
            if !is_left_out(words) && !is_alike(&our, &their) {
                let (name, request) = (&transcript.name, request_text(words));
                failures.push(format!("{name}:{line}: {request}\n  {our:?}\n  {their:?}"));
            }
        }
    }
    assert!(failures.is_empty(), "{} differ:\n{}", failures.len(), failures.join("\n"));
}
