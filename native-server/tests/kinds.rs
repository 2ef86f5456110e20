//! In RESP3 every reply is of the kind that redis-server's is: a map where it has a map, a double
//! where it has a double, down to the elements. The requests are those of the transcripts.
//!
//! Needs redis-server; where there is none the test says that it is skipped, and fails in CI.

mod common;

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::Ordering;

use common::{Connection, Raw, TestServer};
use ferrite_server::clock::Clock;
use ferrite_tests::answer::request_text;
use ferrite_tests::transcript::{self, Step};

struct Redis {
    process: Child,
    address: SocketAddr,
}

impl Redis {
    fn start() -> Option<Redis> {
        // Free a moment ago; nobody else takes it in between but by chance.
        let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let address = free.expect("a free port");
        let port = address.port().to_string();
        let process = Command::new("redis-server")
            .args(["--port", &port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .stdout(Stdio::null())
            .spawn();
        match process {
            Ok(process) => {
                let mut redis = Redis { process, address };
                redis.await_ready();
                Some(redis)
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                assert!(std::env::var_os("CI").is_none(), "redis-server is missing");
                eprintln!("skipped: redis-server is missing");
                None
            }
            Err(error) => panic!("redis-server: {error}"),
        }
    }

    /// Connects until that succeeds, or the process has ended.
    fn await_ready(&mut self) {
        while TcpStream::connect(self.address).is_err() {
            let ended = self.process.try_wait().expect("a process to ask");
            assert!(ended.is_none(), "redis-server has ended: {ended:?}");
            std::thread::yield_now();
        }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

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
    let Some(redis) = Redis::start() else { return };
    let server = TestServer::start(|config| config.maxmemory = 64 << 20);
    // Both have the same clock, since redis-server has this one.
    server.clock.store(Clock::System.now_ms(), Ordering::Relaxed);
    let (mut ours, mut theirs) = (server.connect(), Connection::new(redis.address));
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
