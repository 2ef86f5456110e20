//! Clients that mean ill, or are ill: crowds that say nothing, readers that do not read, requests a
//! byte at a time, connections that are half closed or torn off. Whoever behaves is served
//! meanwhile, and what was held for the others is given back.
//!
//! Not here: how fast the others are served (`scripts/bench server`).

mod common;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Mutex, MutexGuard, PoisonError};

use common::{Connection, Raw, TestServer, request};
use ferrite_server::config::OutputLimit;

fn ok() -> Raw {
    Raw::Simple("OK".into())
}

fn pong() -> Raw {
    Raw::Simple("PONG".into())
}

/// One test at a time: they look at the memory and the files of the process that they share.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A figure of INFO.
fn figure(connection: &mut Connection, name: &str) -> u64 {
    let text = connection.ask("INFO all").text();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("{name} in {text}"))
}

/// Asks until a figure is what it should become; each question is a round trip, so this ends.
fn until(connection: &mut Connection, name: &str, expected: u64) {
    for _ in 0..1_000_000 {
        if figure(connection, name) == expected {
            return;
        }
    }
    panic!("{name} does not become {expected}");
}

/// Files that this process may open: both ends of each connection are its own here.
fn files_max() -> usize {
    let text = std::fs::read_to_string("/proc/self/limits").expect("the limits");
    let line = text.lines().find(|line| line.starts_with("Max open files")).expect("a limit");
    line.split_ascii_whitespace().nth(3).and_then(|soft| soft.parse().ok()).unwrap_or(1024)
}

#[test]
fn a_crowd_that_says_nothing_costs_next_to_nothing_and_goes_without_a_trace() {
    let _alone = alone();
    let count = 10_000.min((files_max() - 200) / 2);
    if count < 10_000 {
        println!("{count} connections in place of 10000: this process may open no more files");
    }
    let server = TestServer::start(|config| config.maxclients = 20_000);
    let mut other = server.connect();
    let before = ferrite_server::process::resident_bytes();
    let mut crowd: Vec<TcpStream> = Vec::new();
    for _ in 0..count {
        let mut stream = TcpStream::connect(server.address).expect("a connection");
        // Half of a request, so that something has to be kept.
        stream.write_all(b"*2\r\n$4\r\nECHO\r\n$5\r\nhe").expect("the server reads");
        crowd.push(stream);
    }
    until(&mut other, "connected_clients", count as u64 + 1);
    let each = (ferrite_server::process::resident_bytes() - before) / count as u64;
    assert!(each < 8 * 1024, "an idle connection takes {each} bytes");
    assert_eq!(other.ask("PING"), pong());
    for stream in crowd.iter_mut().take(10) {
        stream.write_all(b"llo\r\n").expect("the server reads");
        let mut reply = [0; 11];
        stream.read_exact(&mut reply).expect("a reply");
        assert_eq!(&reply, b"$5\r\nhello\r\n");
    }
    drop(crowd);
    until(&mut other, "connected_clients", 1);
}

#[test]
fn requests_that_come_a_byte_at_a_time_are_served_between_others() {
    let _alone = alone();
    let server = TestServer::plain();
    let mut other = server.connect();
    let words: Vec<Vec<u8>> = vec![b"SET".into(), b"slow".into(), vec![b'x'; 5000]];
    let bytes = request(&words);
    let mut slow = server.connect();
    for (at, byte) in bytes.iter().enumerate() {
        slow.send_bytes(&[*byte]);
        if at % 100 == 0 {
            assert_eq!(other.ask("PING"), pong());
        }
    }
    assert_eq!(slow.read(), ok());
    assert_eq!(other.ask("STRLEN slow"), Raw::Integer(5000));
}

#[test]
fn a_request_that_never_ends_is_cut_off_at_the_limit_of_input() {
    let _alone = alone();
    let server = TestServer::start(|config| config.client_query_buffer_limit = 1 << 20);
    let mut other = server.connect();
    let mut endless = TcpStream::connect(server.address).expect("a connection");
    let chunk = [b'x'; 64 * 1024];
    let _ = endless.write_all(b"*2\r\n$4\r\nECHO\r\n$100000000\r\n");
    let mut sent = 0;
    // It fails once the server has closed the connection.
    while endless.write_all(&chunk).is_ok() {
        sent += chunk.len();
        assert!(sent < 64 << 20, "nobody stops it");
        assert_eq!(other.ask("PING"), pong());
    }
    until(&mut other, "client_query_buffer_limit_disconnections", 1);
    until(&mut other, "connected_clients", 1);
}

/// Sends requests for a large value and reads nothing, until the server has had enough.
fn overload(server: &TestServer, other: &mut Connection, first: &str) {
    let mut greedy = TcpStream::connect(server.address).expect("a connection");
    let words: Vec<&str> = first.split(' ').collect();
    greedy.write_all(&request(&words)).expect("the server reads");
    let is_listening = words[0] == "SUBSCRIBE";
    let value = vec![b'v'; 1 << 20];
    for _ in 0..1000 {
        if is_listening {
            other.ask_words(&[&b"PUBLISH"[..], b"news", &value]);
        } else if greedy.write_all(&request(&["GET", "large"])).is_err() {
            break;
        }
        let dropped = figure(other, "client_output_buffer_limit_disconnections");
        if dropped > 0 {
            break;
        }
    }
    until(other, "client_output_buffer_limit_disconnections", 1);
    until(other, "connected_clients", 1);
}

#[test]
fn who_does_not_read_is_dropped_at_the_limit_of_its_class() {
    let _alone = alone();
    let limit = OutputLimit { hard_bytes: 8 << 20, soft_bytes: 0, soft_seconds: 0 };
    for first in ["PING", "SUBSCRIBE news"] {
        let server = TestServer::start(|config| config.output_limits = [limit; 3]);
        let mut other = server.connect();
        let large: Vec<Vec<u8>> = vec![b"SET".into(), b"large".into(), vec![b'v'; 1 << 20]];
        assert_eq!(other.ask_words(&large), ok());
        let before = ferrite_server::process::resident_bytes();
        overload(&server, &mut other, first);
        let grown = ferrite_server::process::resident_bytes().saturating_sub(before);
        assert!(grown < 64 << 20, "{first}: {grown} bytes more are held");
        assert_eq!(other.ask("PING"), pong());
    }
}

#[test]
fn memory_of_keys_that_are_gone_goes_back_to_the_system() {
    const KEYS: usize = 200_000;
    let _alone = alone();
    let server = TestServer::plain();
    let mut client = server.connect();
    let resident = ferrite_server::process::resident_bytes;
    let before = resident();
    // Some stay, so that there is something in use wherever one looks.
    let stays = |number: usize| number.is_multiple_of(1000);
    let mut set_and_delete = |numbers: std::ops::Range<usize>, deletes: bool| {
        let mut bytes = Vec::new();
        for number in numbers.clone().filter(|&number| !deletes || !stays(number)) {
            let key = format!("key:{number}").into_bytes();
            let words = [b"SET".to_vec(), key, vec![b'x'; 1000]];
            let words =
                if deletes { vec![b"DEL".to_vec(), words[1].clone()] } else { words.into() };
            bytes.extend(request(&words));
        }
        client.send_bytes(&bytes);
        for _ in numbers.filter(|&number| !deletes || !stays(number)) {
            client.read();
        }
    };
    for deletes in [false, true] {
        for start in (0..KEYS).step_by(1000) {
            set_and_delete(start..start + 1000, deletes);
        }
        let held = resident().saturating_sub(before);
        assert!(deletes || held > 150 << 20, "{held} bytes are held");
    }
    for _ in 0..1_000_000 {
        if resident().saturating_sub(before) < 50 << 20 {
            return;
        }
        assert_eq!(client.ask("PING"), pong());
    }
    panic!("{} bytes more are held than before", resident().saturating_sub(before));
}

/// Names of which each takes memory: others in each step.
fn names(word: &str, step: usize) -> Vec<u8> {
    let names = (0..1000).map(|number| format!("{step}:{number}"));
    request(&std::iter::once(word.into()).chain(names).collect::<Vec<String>>())
}

type Step = fn(usize) -> Vec<u8>;

/// What takes ever more memory of the server: how it begins, and its steps.
const GREED: [(&[u8], Step); 6] = [
    (b"*1\r\n$100000000\r\n", |_| vec![b'v'; 100_000]),
    (b"MULTI\r\n", |_| request(&["SET", "k", &"v".repeat(100_000)])),
    (b"PING\r\n", |_| request(&["GET", "large"])),
    (b"PING\r\n", |step| names("WATCH", step)),
    (b"PING\r\n", |step| names("SUBSCRIBE", step)),
    (b"HELLO 3\r\n", |step| names("PSUBSCRIBE", step)),
];

#[test]
fn who_takes_most_goes_when_all_clients_take_too_much() {
    let _alone = alone();
    let server = TestServer::plain();
    let mut other = server.connect();
    let large = "v".repeat(1 << 20);
    assert_eq!(other.ask_words(&["SET", "large", &large]), ok());
    assert_eq!(other.ask("CLIENT NO-EVICT ON"), ok());
    assert_eq!(other.ask("CONFIG SET maxmemory 100mb maxmemory-clients 3%"), ok());
    let mut modest = TcpStream::connect(server.address).expect("a connection");
    modest.write_all(b"*2\r\n$4\r\nECHO\r\n$300000\r\n").expect("the server reads");
    modest.write_all(&vec![b'v'; 299_999]).expect("the server reads");
    for (evicted, (first, next)) in (0..).zip(GREED) {
        let mut greedy = TcpStream::connect(server.address).expect("a connection");
        greedy.write_all(first).expect("the server reads");
        for step in 0..1000 {
            let is_gone = greedy.write_all(&next(step)).is_err();
            if is_gone || figure(&mut other, "evicted_clients") > evicted {
                break;
            }
        }
        until(&mut other, "evicted_clients", evicted + 1);
        until(&mut other, "connected_clients", 2);
    }
    modest.write_all(b"v\r\n").expect("it is still there");
    let mut answer = vec![0; 300_000];
    modest.read_exact(&mut answer).expect("it is answered");
    // Less than the others take: all but those that are spared go.
    assert_eq!(other.ask("CONFIG SET maxmemory-clients 1"), ok());
    assert_eq!(other.ask("CONFIG SET maxmemory-clients 0"), ok());
    assert_eq!(other.ask("PING"), pong());
}

#[test]
fn half_closed_and_torn_connections_leave_nothing() {
    let _alone = alone();
    let server = TestServer::plain();
    let mut other = server.connect();
    for round in 0..300 {
        let mut stream = TcpStream::connect(server.address).expect("a connection");
        match round % 3 {
            // It has nothing more to say, but reads: what it asked is answered.
            0 => {
                stream.write_all(b"PING\r\nPING\r\n").expect("the server reads");
                stream.shutdown(Shutdown::Write).expect("a socket");
                let mut text = String::new();
                stream.read_to_string(&mut text).expect("replies, then the end");
                assert_eq!(text, "+PONG\r\n+PONG\r\n");
            }
            // It waits for something, watches and listens, and is gone in the middle of it all.
            1 => stream.write_all(b"WATCH k\r\nBLPOP nothing 0\r\n").expect("the server reads"),
            _ => stream
                .write_all(b"SUBSCRIBE a\r\nPSUBSCRIBE b*\r\n*2\r\n$3\r\n")
                .expect("the server reads"),
        }
    }
    until(&mut other, "connected_clients", 1);
    until(&mut other, "blocked_clients", 0);
    assert_eq!(other.ask("PUBSUB CHANNELS"), Raw::Array(vec![]));
    assert_eq!(other.ask("PUBSUB NUMPAT"), Raw::Integer(0));
    assert_eq!(other.ask("RPUSH nothing x"), Raw::Integer(1));
    assert_eq!(other.ask("LLEN nothing"), Raw::Integer(1));
}

#[test]
fn noise_ends_its_own_connection_and_no_other() {
    let _alone = alone();
    let server = TestServer::plain();
    let mut other = server.connect();
    let mut state = 7u64;
    for _ in 0..500 {
        let mut noise = Vec::new();
        for _ in 0..64 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let marks = b"*$+-:\r\n0123456789abc\0\xff\"' ";
            noise.push(marks[(state >> 33) as usize % marks.len()]);
        }
        let mut stream = TcpStream::connect(server.address).expect("a connection");
        // It may be closed already, at the first thing that is no request.
        let _ = stream.write_all(&noise);
        let _ = stream.shutdown(Shutdown::Write);
        let mut replies = Vec::new();
        let _ = stream.read_to_end(&mut replies);
        assert_eq!(other.ask("PING"), pong());
    }
    until(&mut other, "connected_clients", 1);
}
