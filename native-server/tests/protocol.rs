//! What a connection may send, and what it gets for what it may not.

mod common;

use std::io::Read;

use common::{Raw, TestServer, request};

fn ok() -> Raw {
    Raw::Simple("OK".into())
}

fn error(text: &str) -> Raw {
    Raw::Error(text.into())
}

#[test]
fn requests_come_in_any_form() {
    let server = TestServer::plain();
    let mut connection = server.connect();
    connection.send_bytes(b"PING\r\n\r\nSET k \"a b\"\r\n*0\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\n");
    assert_eq!(connection.read(), Raw::Simple("PONG".into()));
    assert_eq!(connection.read(), ok());
    assert_eq!(connection.read(), Raw::bulk("a b"));
    // One byte at a time.
    for byte in request(&["APPEND", "k", "!"]) {
        connection.send_bytes(&[byte]);
    }
    assert_eq!(connection.read(), Raw::Integer(4));
}

#[test]
fn what_is_no_request_ends_the_connection_and_no_other() {
    let server = TestServer::plain();
    let mut other = server.connect();
    for (bytes, expected) in [
        (&b"*x\r\n"[..], "ERR Protocol error: invalid multibulk length"),
        (b"*1\r\n:1\r\n", "ERR Protocol error: expected '$', got ':'"),
        (b"*1\r\n$-5\r\n", "ERR Protocol error: invalid bulk length"),
        (b"*1\r\n$536870913\r\n", "ERR Protocol error: invalid bulk length"),
        (b"GET \"k\r\n", "ERR Protocol error: unbalanced quotes in request"),
    ] {
        let mut connection = server.connect();
        connection.send_bytes(b"PING\r\n");
        connection.send_bytes(bytes);
        assert_eq!(connection.read(), Raw::Simple("PONG".into()));
        assert_eq!(connection.read(), error(expected));
        assert!(connection.is_closed(), "{expected}");
    }
    assert_eq!(other.ask("PING"), Raw::Simple("PONG".into()));
}

#[test]
fn what_a_browser_can_be_made_to_send_is_not_run() {
    let server = TestServer::plain();
    for head in ["POST / HTTP/1.1", "GET / HTTP/1.1\r\nhost: x"] {
        let mut browser = server.connect();
        browser.send_bytes(format!("{head}\r\nAccept: a\r\n\r\nSET k evil\r\n").as_bytes());
        let mut answer = Vec::new();
        let _ = browser.stream.read_to_end(&mut answer);
        assert!(!String::from_utf8_lossy(&answer).contains("OK"), "{head}");
        assert_eq!(server.connect().ask("EXISTS k"), Raw::Integer(0), "{head}");
    }
}

#[test]
fn large_values_and_long_pipelines_go_both_ways() {
    let server = TestServer::plain();
    let mut connection = server.connect();
    let value = vec![b'v'; 20 << 20];
    assert_eq!(connection.ask_words(&[&b"SET"[..], b"large", &value]), ok());
    assert_eq!(connection.ask("GET large"), Raw::Bulk(value));
    // The whole pipeline is sent before the first reply is read, as clients do.
    let count = 200_000;
    let mut pipeline = Vec::new();
    for _ in 0..count {
        pipeline.extend_from_slice(&request(&["INCR", "counter"]));
        pipeline.extend_from_slice(&request(&["GETRANGE", "large", "0", "99"]));
    }
    connection.send_bytes(&pipeline);
    for number in 1..=count {
        assert_eq!(connection.read(), Raw::Integer(number));
        assert_eq!(connection.read(), Raw::Bulk(vec![b'v'; 100]));
    }
}

#[test]
fn many_replies_go_out_before_all_are_made() {
    let server = TestServer::plain();
    let mut connection = server.connect();
    let value = vec![b'v'; 300 << 10];
    assert_eq!(connection.ask_words(&[&b"SET"[..], b"large", &value]), ok());
    let requests = [request(&["GET", "large"]), request(&["CLIENT", "INFO"])].concat();
    connection.send_bytes(&requests.repeat(40));
    let mut sent_bytes = 0;
    for _ in 0..40 {
        assert_eq!(connection.read(), Raw::Bulk(value.clone()));
        let info = connection.read().text();
        let (_, sent) = info.split_once("tot-net-out=").expect("what was sent so far");
        let digits = sent.split(|c: char| !c.is_ascii_digit()).next();
        sent_bytes = digits.and_then(|digits| digits.parse().ok()).expect("a number");
    }
    assert!(sent_bytes > value.len() as u64, "{sent_bytes} bytes before the last reply");
    assert_eq!(connection.ask("PING"), Raw::Simple("PONG".into()));
}

#[test]
fn strangers_say_the_password_first() {
    let server = TestServer::start(|config| config.requirepass = "secret".into());
    let mut connection = server.connect();
    assert_eq!(connection.ask("GET k"), error("NOAUTH Authentication required."));
    let refused = "WRONGPASS invalid username-password pair or user is disabled.";
    assert_eq!(connection.ask("AUTH wrong"), error(refused));
    assert_eq!(connection.ask("AUTH default secretx"), error(refused));
    assert!(connection.ask("HELLO 3").text().starts_with("NOAUTH HELLO must be called with"));
    assert_eq!(connection.ask("AUTH default secret"), ok());
    assert_eq!(connection.ask("GET k"), Raw::Null);
    let mut connection = server.connect();
    assert!(matches!(connection.ask("HELLO 3 AUTH default secret SETNAME me"), Raw::Map(_)));
    assert_eq!(connection.ask("CLIENT GETNAME"), Raw::bulk("me"));
    assert_eq!(connection.ask("RESET"), Raw::Simple("RESET".into()));
    assert_eq!(connection.ask("GET k"), error("NOAUTH Authentication required."));
    let mut connection = server.connect();
    connection.send_bytes(b"*11\r\n");
    let refused = "ERR Protocol error: unauthenticated multibulk length";
    assert_eq!(connection.read(), error(refused));
    assert!(connection.is_closed());
}

#[test]
fn databases_are_apart() {
    let server = TestServer::plain();
    let mut connection = server.connect();
    assert_eq!(connection.ask("SET k zero"), ok());
    assert_eq!(connection.ask("SELECT 1"), ok());
    assert_eq!(connection.ask("GET k"), Raw::Null);
    assert_eq!(connection.ask("SET k one EX 100"), ok());
    assert_eq!(connection.ask("MOVE k 0"), Raw::Integer(0));
    assert_eq!(connection.ask("MOVE k 2"), Raw::Integer(1));
    assert_eq!(connection.ask("EXISTS k"), Raw::Integer(0));
    assert_eq!(connection.ask("SELECT 2"), ok());
    assert_eq!(connection.ask("TTL k"), Raw::Integer(100));
    assert_eq!(connection.ask("COPY k k DB 0"), Raw::Integer(0));
    assert_eq!(connection.ask("COPY k k DB 0 REPLACE"), Raw::Integer(1));
    assert_eq!(connection.ask("SWAPDB 0 5"), ok());
    assert_eq!(connection.ask("SELECT 5"), ok());
    assert_eq!(connection.ask("GET k"), Raw::bulk("one"));
    assert_eq!(connection.ask("SELECT 16"), error("ERR DB index is out of range"));
    assert_eq!(connection.ask("FLUSHALL"), ok());
    assert_eq!(connection.ask("DBSIZE"), Raw::Integer(0));
}

#[test]
fn settings_change_all_or_none() {
    let server = TestServer::plain();
    let mut connection = server.connect();
    assert_eq!(connection.ask("CONFIG SET timeout 7 maxmemory-policy allkeys-lru"), ok());
    let shown = ["maxmemory-policy", "allkeys-lru", "timeout", "7"].map(Raw::bulk);
    assert_eq!(connection.ask("CONFIG GET time[o]ut maxmemory-p*"), Raw::Array(shown.into()));
    let refused = "ERR CONFIG SET failed (possibly related to argument 'databases') - can't \
                   set immutable config";
    assert_eq!(connection.ask("CONFIG SET timeout 8 databases 1"), error(refused));
    assert_eq!(connection.ask("CONFIG SET databases 16"), ok());
    assert_eq!(
        connection.ask("CONFIG GET timeout"),
        Raw::Array(["timeout", "7"].map(Raw::bulk).into())
    );
    let refused = "ERR Unknown option or number of arguments for CONFIG SET - 'nothing'";
    assert_eq!(connection.ask("CONFIG SET nothing 1"), error(refused));
}

#[test]
fn a_lowered_budget_is_kept() {
    let server = TestServer::plain();
    let mut connection = server.connect();
    let value = vec![b'v'; 1000];
    for number in 0..8000 {
        connection.send_words(&[&b"SET"[..], format!("k{number}").as_bytes(), &value]);
    }
    (0..8000).for_each(|_| assert_eq!(connection.read(), ok()));
    assert_eq!(connection.ask("CONFIG SET maxmemory 4mb maxmemory-policy allkeys-lru"), ok());
    assert_eq!(connection.ask("SELECT 3"), ok());
    // Those of another database make room as well, by and by; each look is a new try.
    let used = |connection: &mut common::Connection| {
        let info = connection.ask("INFO memory").text();
        let line = info.lines().find_map(|line| line.strip_prefix("used_memory:"));
        line.expect("used_memory").parse::<u64>().expect("a number")
    };
    let is_within = (0..100_000).any(|_| used(&mut connection) <= 4 << 20);
    assert!(is_within, "{} bytes are held", used(&mut connection));
}

#[test]
fn databases_make_room_for_each_other() {
    let server = TestServer::start(|config| {
        config.maxmemory = 8 << 20;
        config.maxmemory_policy = ferrite_engine::Policy::AllKeysLru;
    });
    let mut connection = server.connect();
    let value = vec![b'v'; 1000];
    let mut fill = |database: usize, count: usize| {
        assert_eq!(connection.ask(&format!("SELECT {database}")), ok());
        for number in 0..count {
            let key = format!("k{number}");
            assert_eq!(connection.ask_words(&[&b"SET"[..], key.as_bytes(), &value]), ok());
        }
        let Raw::Integer(keys) = connection.ask("DBSIZE") else { panic!("an integer") };
        keys
    };
    assert!(fill(0, 10_000) > 5000);
    assert!(fill(1, 4000) > 0);
    // A value that is larger than all that its own database could give back.
    assert_eq!(connection.ask("SELECT 2"), ok());
    assert_eq!(connection.ask_words(&[&b"SET"[..], b"large", &vec![b'v'; 2 << 20]]), ok());
    assert_eq!(connection.ask("CONFIG SET maxmemory-policy noeviction"), ok());
    let refused = connection.ask_words(&[&b"SET"[..], b"larger", &vec![b'v'; 7 << 20]]);
    assert_eq!(refused, error("OOM command not allowed when used memory > 'maxmemory'."));
}

#[test]
fn replies_can_be_turned_off() {
    let server = TestServer::plain();
    let mut connection = server.connect();
    for text in ["CLIENT REPLY OFF", "PING", "NOSUCH", "CLIENT REPLY ON", "CLIENT REPLY SKIP"] {
        connection.send(text);
    }
    connection.send("PING skipped");
    connection.send("PING seen");
    assert_eq!(connection.read(), ok());
    assert_eq!(connection.read(), Raw::bulk("seen"));
}

#[test]
fn clients_are_listed_and_killed() {
    let server = TestServer::plain();
    let (mut one, mut two) = (server.connect(), server.connect());
    assert_eq!(one.ask("CLIENT SETNAME one"), ok());
    assert_eq!(two.ask("CLIENT SETINFO LIB-NAME test"), ok());
    let Raw::Integer(id) = two.ask("CLIENT ID") else { panic!("an integer") };
    let list = one.ask("CLIENT LIST").text();
    assert!(list.contains("name=one") && list.contains("lib-name=test"), "{list}");
    assert_eq!(one.ask(&format!("CLIENT KILL ID {id}")), Raw::Integer(1));
    assert!(two.is_closed());
    assert_eq!(one.ask("CLIENT KILL 1.2.3.4:5"), error("ERR No such client"));
    assert_eq!(one.ask("MODULE LIST"), Raw::Array(vec![]));
    let refused = "ERR This instance has cluster support disabled";
    assert_eq!(one.ask("CLUSTER INFO"), error(refused));
    let refused = "ERR unknown subcommand 'NOTHING'. Try CLIENT HELP.";
    assert_eq!(one.ask("CLIENT NOTHING"), error(refused));
}

#[test]
fn too_many_clients_are_turned_away() {
    let server = TestServer::start(|config| config.maxclients = 1);
    let mut one = server.connect();
    assert_eq!(one.ask("PING"), Raw::Simple("PONG".into()));
    let mut two = server.connect();
    assert_eq!(two.read(), error("ERR max number of clients reached"));
    assert!(two.is_closed());
}

#[test]
fn a_connection_that_is_reset_keeps_its_library() {
    let server = TestServer::plain();
    let mut connection = server.connect();
    assert_eq!(connection.ask("CLIENT SETNAME one"), ok());
    assert_eq!(connection.ask("CLIENT SETINFO LIB-NAME test"), ok());
    assert_eq!(connection.ask("RESET"), Raw::Simple("RESET".into()));
    let info = connection.ask("CLIENT INFO").text();
    assert!(info.contains("name= ") && info.contains("lib-name=test"), "{info}");
}

#[test]
fn commands_with_subcommands_tell_of_them() {
    let server = TestServer::plain();
    let mut connection = server.connect();
    for name in ["CLIENT", "COMMAND", "CONFIG", "FUNCTION", "MODULE", "PUBSUB", "SLOWLOG"] {
        let Raw::Array(lines) = connection.ask(&format!("{name} HELP")) else { panic!("{name}") };
        assert!(lines[0].text().starts_with(&format!("{name} <subcommand> ")), "{lines:?}");
    }
}

#[test]
fn a_budget_below_the_engine_s_own_refuses_what_takes_memory() {
    let server = TestServer::plain();
    let mut connection = server.connect();
    assert_eq!(connection.ask("SET k v"), ok());
    assert_eq!(connection.ask("CONFIG SET maxmemory 1"), ok());
    assert_eq!(connection.ask("CONFIG GET maxmemory"), {
        Raw::Array(vec![Raw::bulk("maxmemory"), Raw::bulk("1")])
    });
    let oom = "OOM command not allowed when used memory > 'maxmemory'.";
    assert_eq!(connection.ask("SET k w"), error(oom));
    assert_eq!(connection.ask("GET k"), Raw::bulk("v"));
    assert_eq!(connection.ask("MULTI"), ok());
    assert_eq!(connection.ask("SET k w"), error(oom));
    let aborted = error("EXECABORT Transaction discarded because of previous errors.");
    assert_eq!(connection.ask("EXEC"), aborted);
    assert_eq!(connection.ask("CONFIG SET maxmemory 0"), ok());
    connection.ask("MULTI");
    assert_eq!(connection.ask("SET k w"), Raw::Simple("QUEUED".into()));
    assert_eq!(server.connect().ask("CONFIG SET maxmemory 1"), ok());
    let aborted = error(&format!("EXECABORT Transaction discarded because of: {oom}"));
    assert_eq!(connection.ask("EXEC"), aborted);
    assert_eq!(connection.ask("DEL k"), Raw::Integer(1));
}

#[test]
fn a_budget_below_the_engine_s_own_evicts_all_that_may_go() {
    let server = TestServer::start(|config| config.maxmemory = 4 << 20);
    let (mut connection, mut listener) = (server.connect(), server.connect());
    assert_eq!(connection.ask("MSET k v kept v"), ok());
    assert_eq!(connection.ask("PEXPIRE k 100000"), Raw::Integer(1));
    assert_eq!(connection.ask("CONFIG SET notify-keyspace-events Ee"), ok());
    listener.ask("PSUBSCRIBE *");
    assert_eq!(connection.ask("CONFIG SET maxmemory 1 maxmemory-policy volatile-lru"), ok());
    let event = ["pmessage", "*", "__keyevent@0__:evicted", "k"].map(Raw::bulk);
    assert_eq!(listener.read(), Raw::Array(event.into()));
    assert_eq!(connection.ask("EXISTS k kept"), Raw::Integer(1));
    assert_eq!(connection.ask("CONFIG SET maxmemory-policy allkeys-lru"), ok());
    listener.read();
    assert_eq!(connection.ask("DBSIZE"), Raw::Integer(0));
    // From where there is room for something beside empty databases, it is used.
    assert_eq!(connection.ask("CONFIG SET maxmemory 300kb"), ok());
    let value = vec![b'v'; 1000];
    for number in 0..1000 {
        let key = format!("k{number}");
        assert_eq!(connection.ask_words(&[&b"SET"[..], key.as_bytes(), &value]), ok());
    }
    let Raw::Integer(keys) = connection.ask("DBSIZE") else { panic!("an integer") };
    assert!((10..200).contains(&keys), "{keys}");
    assert_eq!(connection.ask("CONFIG SET maxmemory 0"), ok());
    assert_eq!(connection.ask("SET k v"), ok());
}

#[test]
fn the_slow_log_keeps_what_was_asked_as_it_was_asked() {
    let server = TestServer::start(|config| {
        config.slowlog_slower_than_us = 0;
        config.slowlog_max_len = 2;
    });
    let mut connection = server.connect();
    for _ in 0..10 {
        connection.ask("sEt k v");
    }
    connection.ask("client ID");
    let Raw::Array(entries) = connection.ask("SLOWLOG GET") else { panic!("no log") };
    let words = |entry: &Raw| match entry {
        Raw::Array(parts) => parts[3].clone(),
        other => panic!("no entry: {other:?}"),
    };
    let expected = ["client ID", "sEt k v"]
        .map(|text| Raw::Array(text.split(' ').map(Raw::bulk).collect::<Vec<_>>()));
    assert_eq!(entries.iter().map(words).collect::<Vec<_>>(), expected);
}
