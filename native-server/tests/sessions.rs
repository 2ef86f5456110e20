//! Sessions of several clients, each of which redis-server answers in the same way: what they are
//! stands in `sessions.txt`.
//!
//! Needs redis-server and libfaketime, whose clock stands still: so nothing here waits for time.
//! Where they are missing the test says that it is skipped, and fails in CI.

mod common;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use common::{Connection, Raw, TestServer};
use ferrite_tests::oracle::Oracle;
use ferrite_tests::transcript;

const SESSIONS: &str = include_str!("sessions.txt");

/// How often it is looked whether something has come true.
const LOOKS_MAX: usize = 100_000;

/// The clients of a session.
struct Clients {
    address: SocketAddr,
    by_name: BTreeMap<char, Connection>,
    /// What CLIENT ID answered, by who asked: `$A` in a request.
    ids: BTreeMap<char, i64>,
}

impl Clients {
    fn new(address: SocketAddr) -> Clients {
        assert_eq!(Connection::new(address).ask("FLUSHALL"), Raw::Simple("OK".into()));
        Clients { address, by_name: BTreeMap::new(), ids: BTreeMap::new() }
    }

    /// Does what a line says. What was answered, if it is of interest.
    fn step(&mut self, line: &str) -> Option<Raw> {
        let (who, request) = line.split_once(' ').unwrap_or((line, ""));
        let mut marks = who.chars();
        let name = marks.next().expect("a client's name");
        let address = self.address;
        let client = self.by_name.entry(name).or_insert_with(|| Connection::new(address));
        let mut request = String::from(request);
        for (name, id) in &self.ids {
            request = request.replace(&format!("${name}"), &id.to_string());
        }
        let words = || transcript::request(&request).expect(line);
        match marks.next() {
            None => match client.ask_words(&words()) {
                Raw::Integer(id) if request == "CLIENT ID" => {
                    self.ids.insert(name, id);
                    None
                }
                answer => Some(answer),
            },
            Some('>') => {
                client.send_words(&words());
                None
            }
            Some('<') => Some(client.read()),
            Some('?') => {
                let is_so = |_| client.ask("INFO clients").text().contains(&request);
                assert!((0..LOOKS_MAX).any(is_so), "{request} comes true");
                None
            }
            Some(mark) => panic!("no mark: {mark}"),
        }
    }
}

/// The answers of HELLO differ: it is about the server.
fn shown(line: &str, answer: Option<Raw>) -> String {
    match answer {
        Some(Raw::Map(_)) if line.contains("HELLO") => "a map".into(),
        answer => format!("{answer:?}"),
    }
}

#[test]
fn sessions_are_answered_as_by_redis() {
    let Some(oracle) = Oracle::start_or_skip() else { return };
    let server = TestServer::plain();
    let mut failures = Vec::new();
    let mut count = 0;
    for session in SESSIONS.split("\n\n") {
        let (mut ours, mut theirs) = (Clients::new(server.address), Clients::new(oracle.address));
        for line in session.lines().filter(|line| !line.starts_with('#')) {
            let [our, their] = [&mut ours, &mut theirs].map(|side| shown(line, side.step(line)));
            count += 1;
            if our != their {
                failures.push(format!("{line}\n    ours {our}\n  theirs {their}"));
            }
        }
    }
    assert!(count > 100, "sessions are read");
    assert!(failures.is_empty(), "{} differ:\n{}", failures.len(), failures.join("\n"));
}
