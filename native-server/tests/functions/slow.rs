//! Slow functions: they delay nobody, are all or nothing, and can always be ended.

use crate::common::{Connection, Raw, TestServer};
use crate::guest::{module, record};

/// `spin_then`: works for so many rounds, then counts up at its key; `forever` counts up, then
/// never returns.
const BODY: &str = r#"
  (func $spin (param $n i64)
    (loop $l
      (local.set $n (i64.sub (local.get $n) (i64.const 1)))
      (br_if $l (i64.gt_s (local.get $n) (i64.const 0)))))
  (func (export "spin_then") (param $k i32) (param $kl i32) (param $n i64) (result i64)
    (local $old i64)
    (drop (call $incr_by (local.get $k) (local.get $kl) (i64.const 1) (i32.const 8)))
    (call $spin (local.get $n))
    (i64.load (i32.const 8)))
  (func (export "forever") (param $k i32) (param $kl i32) (result i64)
    (drop (call $incr_by (local.get $k) (local.get $kl) (i64.const 1) (i32.const 8)))
    (loop $l (br $l))
    (i64.const 0))
"#;

fn slow_module() -> Vec<u8> {
    let records = [
        record("spin_then", "k:key:str n:arg:i64", "i64", ""),
        record("forever", "k:key:str", "i64", ""),
    ];
    module(&[&records[0], &records[1]], BODY)
}

/// Rounds that take some tens of milliseconds.
const ROUNDS: u64 = 30_000_000;

/// Waits until a function is seen to run.
fn until_running(client: &mut Connection, name: &str) {
    loop {
        let Raw::Array(stats) = client.ask("FUNCTION STATS") else { panic!("figures") };
        match &stats[1] {
            Raw::Array(running) if running[1] == Raw::bulk(name) => return,
            _ => {}
        }
    }
}

#[test]
fn a_slow_function_returns_what_a_fast_one_would() {
    let server = TestServer::plain();
    let (mut client, mut other) = (server.connect(), server.connect());
    client.load(&slow_module());
    client.ask("SET k 41");
    client.ask("CONFIG SET notify-keyspace-events KEA");
    let mut events = server.connect();
    events.ask("PSUBSCRIBE __keyspace@0__:k");
    client.send_bytes(
        &[
            crate::common::request(&["FCALL", "spin_then", "1", "k", &ROUNDS.to_string()]),
            crate::common::request(&["GET", "k"]),
        ]
        .concat(),
    );
    until_running(&mut other, "spin_then");
    // Nobody sees what it has done so far.
    assert_eq!(other.ask("GET k"), Raw::bulk("41"));
    assert_eq!(client.read(), Raw::Integer(42));
    // What the client sent behind it is run behind it.
    assert_eq!(client.read(), Raw::bulk("42"));
    let Raw::Array(message) = events.read() else { panic!("a message") };
    assert_eq!(message[3], Raw::bulk("incrby"));
    assert_eq!(client.ask("FCALL spin_then 1 k 1"), Raw::Integer(43));
    let text = format!("{:?}", client.ask("SLOWLOG GET 1"));
    assert!(text.contains(&format!("{:?}", Raw::bulk("spin_then"))), "{text}");
}

#[test]
fn a_call_whose_keys_change_starts_again() {
    let server = TestServer::plain();
    let (mut client, mut other) = (server.connect(), server.connect());
    client.load(&slow_module());
    client.send(&format!("FCALL spin_then 1 k {ROUNDS}"));
    until_running(&mut other, "spin_then");
    assert_eq!(other.ask("SET k 100"), Raw::Simple("OK".into()));
    assert_eq!(client.read(), Raw::Integer(101));
    assert_eq!(client.ask("GET k"), Raw::bulk("101"));
}

#[test]
fn a_function_can_be_killed_though_it_has_written() {
    let server = TestServer::plain();
    let (mut client, mut other) = (server.connect(), server.connect());
    assert_eq!(other.error("FUNCTION KILL"), "NOTBUSY No scripts in execution right now.");
    client.load(&slow_module());
    client.ask("SET k 1");
    client.send("FCALL forever 1 k");
    until_running(&mut other, "forever");
    assert_eq!(other.ask("FUNCTION KILL"), Raw::Simple("OK".into()));
    let line = "ERR function 'forever' was ended by FUNCTION KILL";
    assert_eq!(client.read(), Raw::Error(line.into()));
    assert_eq!(client.ask("GET k"), Raw::bulk("1"));
}

#[test]
fn in_a_transaction_a_function_has_little_time() {
    let server = TestServer::plain();
    let mut client = server.connect();
    client.load(&slow_module());
    for request in ["MULTI", "SET k 5", "FCALL forever 1 k", "GET k"] {
        client.ask(request);
    }
    let line = "ERR function 'forever' exceeded its deadline of 100 ms";
    let answers = vec![Raw::Simple("OK".into()), Raw::Error(line.into()), Raw::bulk("5")];
    assert_eq!(client.ask("EXEC"), Raw::Array(answers));
}

#[test]
fn a_library_is_replaced_under_a_call_that_runs() {
    let server = TestServer::plain();
    let (mut client, mut other) = (server.connect(), server.connect());
    client.load(&slow_module());
    client.send(&format!("FCALL spin_then 1 k {ROUNDS}"));
    until_running(&mut other, "spin_then");
    assert_eq!(other.ask("FUNCTION FLUSH"), Raw::Simple("OK".into()));
    assert_eq!(client.read(), Raw::Integer(1));
    assert_eq!(client.error("FCALL spin_then 1 k 1"), "ERR Function not found");
}

#[test]
fn a_client_that_leaves_disturbs_nobody() {
    let server = TestServer::plain();
    let (mut client, mut other) = (server.connect(), server.connect());
    client.load(&slow_module());
    client.send("FCALL forever 1 k");
    until_running(&mut other, "forever");
    drop(client);
    assert_eq!(other.ask("FUNCTION KILL"), Raw::Simple("OK".into()));
    assert_eq!(other.ask("FCALL spin_then 1 k 1"), Raw::Integer(1));
}
