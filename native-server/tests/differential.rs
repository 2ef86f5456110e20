//! Random requests of each family over TCP, in RESP2 and in RESP3: the server answers as
//! redis-server does, and holds the same.
//! `FERRITE_DIFFERENTIAL_COMMANDS` asks for more of them, `FERRITE_DIFFERENTIAL_SEED` for others;
//! `scripts/fuzz differential --tcp` sets both.
//!
//! Not here: of what kind replies in RESP3 are (kinds.rs).

mod common;

use std::env;
use std::sync::atomic::Ordering;

use common::{Connection, Raw, TestServer, shape};
use ferrite_server::commands::table;
use ferrite_tests::answer::Answer;
use ferrite_tests::family::duel::{self, Duel};
use ferrite_tests::family::{FAMILIES, Requests};
use ferrite_tests::oracle::Oracle;
use ferrite_tests::subject::Subject;

/// Requests of a family in each protocol.
const COMMANDS: u64 = 1_500;

/// One end of a connection, in one of the protocols.
struct Line<'c> {
    connection: Connection,
    protocol: u8,
    set_clock: &'c mut dyn FnMut(i64),
}

impl Line<'_> {
    fn new<'c>(
        mut connection: Connection,
        protocol: u8,
        set_clock: &'c mut dyn FnMut(i64),
    ) -> Line<'c> {
        if protocol == 3 {
            assert!(matches!(connection.ask("HELLO 3"), Raw::Map(_)));
        }
        Line { connection, protocol, set_clock }
    }
}

impl Subject for Line<'_> {
    fn reset(&mut self) {
        assert_eq!(self.connection.ask("FLUSHALL"), Raw::Simple("OK".into()));
    }

    fn set_clock(&mut self, now_ms: i64) {
        (self.set_clock)(now_ms);
    }

    fn ask(&mut self, request: &[Vec<u8>]) -> Answer {
        shape::flat_reply(self.connection.ask_words(request), request, self.protocol)
    }
}

fn asked_for(name: &str, otherwise: u64) -> u64 {
    env::var(name).map_or(otherwise, |text| text.parse().expect(name))
}

fn run(protocol: u8) {
    let Some(mut oracle) = Oracle::start_or_skip() else { return };
    let server = TestServer::plain();
    let mut connection = server.connect();
    // Keys expire when a request looks at them, on both.
    assert_eq!(connection.ask("DEBUG SET-ACTIVE-EXPIRE 0"), Raw::Simple("OK".into()));
    let seed = asked_for("FERRITE_DIFFERENTIAL_SEED", 0);
    let commands = asked_for("FERRITE_DIFFERENTIAL_COMMANDS", COMMANDS) as usize;
    let wanted = env::var("FERRITE_DIFFERENTIAL_FAMILY").unwrap_or_default();
    let theirs = Connection::new(oracle.address);
    let mut set_theirs = |now_ms| oracle.set_clock(now_ms);
    let mut set_ours = |now_ms| server.clock.store(now_ms, Ordering::Relaxed);
    let mut judge = Line::new(theirs, protocol, &mut set_theirs);
    let mut subject = Line::new(connection, protocol, &mut set_ours);
    for family in FAMILIES.iter().filter(|family| wanted.is_empty() || wanted == family.name) {
        let is_known = |name: &str| table().find(name.as_bytes()).is_some();
        let requests = Requests::new(family, seed, is_known).expect("every family is here");
        let duel = Duel { seed, commands, validate_every: usize::MAX };
        duel::run(family.name, requests, &duel, &mut judge, &mut subject, &mut |_| Ok(()));
    }
}

/// One after the other, since each has a redis-server of its own.
#[test]
fn over_tcp_each_family_answers_as_redis_does() {
    for protocol in [2, 3] {
        run(protocol);
    }
}
