//! Calls: how arguments arrive, what host functions do, how results leave.

use crate::common::{Raw, TestServer};
use crate::guest::{error, module, record, single, words};

/// Counts up at a key, with a deadline from the first on.
const COUNT: &str = r#"
  (func (export "count") (param $k i32) (param $kl i32) (param $ms i64) (result i64)
    (drop (call $incr_by (local.get $k) (local.get $kl) (i64.const 1) (i32.const 8)))
    (if (i64.eq (i64.load (i32.const 8)) (i64.const 1))
      (then (drop (call $expire (local.get $k) (local.get $kl) (local.get $ms)))))
    (i64.load (i32.const 8)))
"#;

#[test]
fn a_function_counts_next_to_the_data() {
    let server = TestServer::plain();
    let mut client = server.connect();
    client.load(&single("count", "key:key:str ms:arg:i64", "i64", COUNT));
    for number in 1..=5 {
        assert_eq!(client.ask("FCALL count 1 k 5000"), Raw::Integer(number));
    }
    assert_eq!(client.ask("GET k"), Raw::bulk("5"));
    assert_eq!(client.ask("PTTL k"), Raw::Integer(5000));
    server.advance(5001);
    assert_eq!(client.ask("FCALL count 1 k 5000"), Raw::Integer(1));
    client.ask("LPUSH list x");
    assert_eq!(client.ask("MULTI"), Raw::Simple("OK".into()));
    assert_eq!(client.ask("FCALL count 1 k 5000"), Raw::Simple("QUEUED".into()));
    assert_eq!(client.ask("INCR k"), Raw::Simple("QUEUED".into()));
    let both = vec![Raw::Integer(2), Raw::Integer(3)];
    assert_eq!(client.ask("EXEC"), Raw::Array(both));
}

#[test]
fn arguments_are_checked_before_the_guest_runs() {
    let server = TestServer::plain();
    let mut client = server.connect();
    let body =
        r#"(func (export "f") (param i32 i32 i64 i32 f64 i32 i32) (result i64) (unreachable))"#;
    let params = "key:key:str n:arg:i64 x:arg:f64:optional t:arg:str:optional";
    client.load(&single("f", params, "i64", body));
    let mut check = |request: &[&[u8]], line: &str| {
        let request = [&[b"FCALL".as_slice()], request].concat();
        assert_eq!(client.ask_words(&words(&request)), error(line));
    };
    check(&[b"f", b"x"], "ERR Bad number of keys provided");
    check(&[b"f", b"-1"], "ERR Number of keys can't be negative");
    check(&[b"f", b"2", b"k"], "ERR Number of keys can't be greater than number of args");
    check(&[b"f", b"0"], "ERR wrong number of keys for 'f': expected 1, got 0");
    check(&[b"f", b"1", b"k"], "ERR wrong number of arguments for 'f': expected 1 to 3, got 0");
    check(
        &[b"f", b"1", b"k", b"1", b"2", b"3", b"4"],
        "ERR wrong number of arguments for 'f': expected 1 to 3, got 4",
    );
    check(&[b"f", b"1", b"k", b"x"], "ERR argument 'n' of 'f' is not an integer or out of range");
    check(
        &[b"f", b"1", b"k", b"9223372036854775808"],
        "ERR argument 'n' of 'f' is not an integer or out of range",
    );
    for text in ["x", "nan", " 1", ""] {
        let line = "ERR argument 'x' of 'f' is not a valid float";
        check(&[b"f", b"1", b"k", b"1", text.as_bytes()], line);
    }
    check(&[b"f", b"1", b"\xff", b"1"], "ERR key 'key' of 'f' is not valid UTF-8");
    check(&[b"f", b"1", b"k", b"1", b"1", b"\xff"], "ERR argument 't' of 'f' is not valid UTF-8");
    check(&[b"f", b"1", b"k", b"1"], "ERR function 'f' trapped: unreachable");
    assert_eq!(
        client.error("FCALL_RO f 1 k 1"),
        "ERR Can not execute a script with write flag using *_ro command."
    );
}

#[test]
fn parameters_arrive_as_they_are() {
    let server = TestServer::plain();
    let mut client = server.connect();
    // Each function gives back a part of what it was given.
    let body = r#"
      (func (export "text") (param i32 i32 i32 i32) (result i64)
        (call $pack (local.get 2) (local.get 3)))
      (func (export "double") (param f64) (result f64) (f64.mul (local.get 0) (f64.const 2)))
      (func (export "maybe") (param i32 i64 i32 i32) (result i64)
        (if (result i64) (local.get 0) (then (local.get 1)) (else (i64.const -7))))
      (func (export "last") (param $at i32) (param $n i32) (param i32 i32) (result i64)
        (local.set $at (i32.add (local.get $at)
          (i32.shl (i32.sub (local.get $n) (i32.const 1)) (i32.const 3))))
        (call $pack (i32.load (local.get $at)) (i32.load offset=4 (local.get $at))))
      (func (export "many") (param i32 i32 i32 i32) (result i64) (i64.extend_i32_u (local.get 3)))
      (func (export "nothing"))
    "#;
    let records = [
        record("text", "k:key:bytes t:arg:bytes", "bytes", ""),
        record("double", "x:arg:f64", "f64", ""),
        record("maybe", "n:arg:i64:optional t:arg:bytes:optional", "i64", ""),
        record("last", "k:keys:bytes a:args:str", "bytes", ""),
        record("many", "k:keys:bytes a:args:str", "i64", ""),
        record("nothing", "", "none", ""),
    ];
    let records: Vec<&str> = records.iter().map(String::as_str).collect();
    client.load(&module(&records, body));
    let request: [&[u8]; 5] = [b"FCALL", b"text", b"1", b"k", b"\xff\0text"];
    assert_eq!(client.ask_words(&words(&request)), Raw::Bulk(b"\xff\0text".to_vec()));
    let request: [&[u8]; 5] = [b"FCALL", b"text", b"1", b"k", b""];
    assert_eq!(client.ask_words(&words(&request)), Raw::bulk(""));
    let long = "x".repeat(1 << 20);
    assert_eq!(client.ask(&format!("FCALL text 1 k {long}")), Raw::bulk(&long));
    assert_eq!(client.ask("FCALL double 0 1.995"), Raw::bulk("3.99"));
    assert_eq!(client.ask("FCALL double 0 inf"), Raw::bulk("inf"));
    assert_eq!(client.ask("FCALL maybe 0"), Raw::Integer(-7));
    assert_eq!(client.ask("FCALL maybe 0 42"), Raw::Integer(42));
    assert_eq!(client.ask("FCALL last 3 a bb ccc x y"), Raw::bulk("ccc"));
    assert_eq!(client.ask("FCALL many 1 a x y z"), Raw::Integer(3));
    assert_eq!(client.ask("FCALL many 0"), Raw::Integer(0));
    assert_eq!(client.ask("FCALL nothing 0"), Raw::Simple("OK".into()));
    client.ask("HELLO 3");
    assert_eq!(client.ask("FCALL double 0 1.995"), Raw::Double("3.99".into()));
}

#[test]
fn a_generic_function_gets_everything_in_one_block() {
    let server = TestServer::plain();
    let mut client = server.connect();
    // Its reply is the block itself, as a bulk string of 64 bytes.
    let body = r#"
      (func (export "ferrite_abi_1"))
      (data (i32.const 100) "$32\r\n")
      (func (export "block") (param i32 i32) (result i64)
        (memory.copy (i32.const 105) (local.get 0) (local.get 1))
        (i32.store16 (i32.const 137) (i32.const 0x0a0d))
        (call $pack (i32.const 100) (i32.const 39)))
    "#;
    let module = module(&[], body);
    let load: [&[u8]; 6] = [b"FUNCTION", b"LOAD", b"WASM", b"NAME", b"g", &module];
    assert_eq!(client.ask_words(&words(&load)), Raw::bulk("g"));
    let request: [&[u8]; 6] = [b"FCALL", b"block", b"1", b"key", b"arg12", b""];
    let block = [
        &1_u32.to_le_bytes()[..],
        &2_u32.to_le_bytes(),
        &3_u32.to_le_bytes(),
        b"key\0",
        &5_u32.to_le_bytes(),
        b"arg12\0\0\0",
        &0_u32.to_le_bytes(),
    ]
    .concat();
    assert_eq!(client.ask_words(&words(&request)), Raw::Bulk(block));
}

/// Calls a command of its arguments: the reply as it is.
const COMMAND: &str = r#"
  (func (export "command") (param i32 i32 $at i32) (param $n i32) (result i64)
    (local $len i64)
    (local.set $len
      (call $call (local.get $at) (local.get $n) (i32.const 0) (i32.const 1024) (i32.const 60000)))
    (if (i64.lt_s (local.get $len) (i64.const 0)) (then (return (local.get $len))))
    (call $pack (i32.const 1024) (i32.wrap_i64 (local.get $len))))
"#;

pub fn command_module(flags: &str) -> Vec<u8> {
    let record = record("command", "k:keys:bytes a:args:bytes", "reply", flags);
    let body = COMMAND.replace("(param i32 i32 $at i32)", "(param i32 i32) (param $at i32)");
    module(&[&record], &body)
}

#[test]
fn a_function_calls_commands_on_its_keys() {
    let server = TestServer::plain();
    let mut client = server.connect();
    client.load(&command_module(""));
    let mut check = |request: &str, answer: Raw| {
        assert_eq!(client.ask(&format!("FCALL command {request}")), answer, "{request}");
    };
    check("1 k SET k v", Raw::Simple("OK".into()));
    check("1 k GET k", Raw::bulk("v"));
    check(
        "1 k GET other",
        error(
            "ERR function 'command' may not use the key 'other': it was not \
                                  declared with the call",
        ),
    );
    check("2 k l RENAME k l", Raw::Simple("OK".into()));
    check(
        "1 l LPUSH l x",
        error("WRONGTYPE Operation against a key holding the wrong kind of value"),
    );
    check("1 h HSET h a 1 b 2", Raw::Integer(2));
    check("1 h HGETALL h", Raw::Array(["a", "1", "b", "2"].map(Raw::bulk).to_vec()));
    check("1 none GET none", Raw::Null);
    check("1 z ZADD z 1.5 a", Raw::Integer(1));
    check("1 z ZSCORE z a", Raw::bulk("1.5"));
    check("1 s XADD s 1-1 f v", Raw::bulk("1-1"));
    check(
        "1 s XREAD COUNT 1 STREAMS s 0",
        Raw::Array(vec![
            Raw::bulk("s"),
            Raw::Array(vec![Raw::Array(vec![
                Raw::bulk("1-1"),
                Raw::Array(vec![Raw::bulk("f"), Raw::bulk("v")]),
            ])]),
        ]),
    );
}

#[test]
fn a_function_calls_nothing_beyond_its_keys() {
    let server = TestServer::plain();
    let mut client = server.connect();
    client.load(&command_module(""));
    client.ask("SET k 1");
    let mut check = |request: &str, answer: Raw| {
        assert_eq!(client.ask(&format!("FCALL command {request}")), answer, "{request}");
    };
    let forbidden = "ERR This Redis command is not allowed from script";
    for command in ["BLPOP k 0", "MULTI", "SUBSCRIBE c", "FCALL command 0", "INFO", "PUBLISH c m"] {
        check(&format!("1 k {command}"), error(forbidden));
    }
    for command in ["FLUSHALL", "FLUSHDB", "SCAN 0", "KEYS *", "RANDOMKEY", "DBSIZE"] {
        let name = command.split(' ').next().expect("a name").to_lowercase();
        let reach = format!(
            "ERR function 'command' may not use '{name}' so: it reaches beyond the \
                             keys that were declared with the call"
        );
        let line = if ["FLUSHALL", "FLUSHDB"].contains(&command) { "" } else { &reach };
        match client.ask(&format!("FCALL command 1 k {command}")) {
            Raw::Error(given) if line.is_empty() => {
                assert!(given == forbidden || given == reach, "{given}");
            }
            other => assert_eq!(other, error(line)),
        }
    }
    let mut check = |request: &str, answer: Raw| {
        assert_eq!(client.ask(&format!("FCALL command {request}")), answer, "{request}");
    };
    check("1 k NOTHING", error("ERR Unknown Redis command called from script"));
    check("1 k GET", error("ERR Wrong number of args calling Redis command from script"));
    check(
        "2 k d SORT k STORE other",
        error(
            "ERR function 'command' may not use the key 'other': it \
                                             was not declared with the call",
        ),
    );
    check(
        "1 k SORT k BY w_*",
        error(
            "ERR function 'command' may not use 'sort' so: it reaches \
                                      beyond the keys that were declared with the call",
        ),
    );
    check("1 k INCR k", Raw::Integer(2));
}

#[test]
fn a_function_without_writes_writes_nothing() {
    let server = TestServer::plain();
    let mut client = server.connect();
    client.load(&command_module(r#","flags":["no-writes"]"#));
    client.ask("SET k 1");
    assert_eq!(client.ask("FCALL_RO command 1 k GET k"), Raw::bulk("1"));
    for name in ["FCALL", "FCALL_RO"] {
        assert_eq!(
            client.error(&format!("{name} command 1 k INCR k")),
            "ERR Write commands are not allowed from read-only scripts."
        );
    }
    assert_eq!(client.ask("GET k"), Raw::bulk("1"));
}

const HOST: &str = r#"
      (func (export "get") (param i32 i32) (result i64) (call $get (local.get 0) (local.get 1)))
      (func (export "into") (param i32 i32 i64) (result i64)
        (call $get_into (local.get 0) (local.get 1) (i32.const 100) (i32.wrap_i64 (local.get 2))))
      (func (export "set") (param i32 i32 i32 i32) (result i64)
        (i64.extend_i32_s (call $set (local.get 0) (local.get 1) (local.get 2) (local.get 3))))
      (func (export "set_ttl") (param i32 i32 i32 i32 i64) (result i64)
        (i64.extend_i32_s
          (call $set_ttl (local.get 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4))))
      (func (export "del") (param i32 i32) (result i64)
        (i64.extend_i32_s (call $del (local.get 0) (local.get 1))))
      (func (export "exists") (param i32 i32) (result i64)
        (i64.extend_i32_s (call $exists (local.get 0) (local.get 1))))
      (func (export "ttl") (param i32 i32) (result i64) (call $ttl (local.get 0) (local.get 1)))
      (func (export "hset") (param i32 i32 i32 i32 i32 i32) (result i64)
        (i64.extend_i32_s (call $hset (local.get 0) (local.get 1) (local.get 2) (local.get 3)
          (local.get 4) (local.get 5))))
      (func (export "hget") (param i32 i32 i32 i32) (result i64)
        (local $len i64)
        (local.set $len (call $hget (local.get 0) (local.get 1) (local.get 2) (local.get 3)
          (i32.const 100) (i32.const 50)))
        (if (i64.lt_s (local.get $len) (i64.const 0)) (then (return (local.get $len))))
        (call $pack (i32.const 100) (i32.wrap_i64 (local.get $len))))
      (func (export "now") (result i64) (call $now_ms))
      (func (export "config") (param i32 i32) (result i64)
        (local $len i64)
        (local.set $len
          (call $config_get (local.get 0) (local.get 1) (i32.const 100) (i32.const 300)))
        (if (i64.lt_s (local.get $len) (i64.const 0)) (then (return (local.get $len))))
        (call $pack (i32.const 100) (i32.wrap_i64 (local.get $len))))
      (func (export "random") (result i64)
        (call $random (i32.const 100) (i32.const 8)) (i64.load (i32.const 100)))
      (func (export "metric") (param f64)
        (i32.store (i32.const 100) (i32.const 0x73746968))
        (drop (call $metric (i32.const 100) (i32.const 4) (i32.const 0) (local.get 0))))
      (func (export "fail") (param i32 i32) (call $fail (local.get 0) (local.get 1)))
"#;

#[test]
fn host_functions_do_what_their_commands_do() {
    let server = TestServer::plain();
    let mut client = server.connect();
    let key = "k:key:bytes";
    let records: Vec<String> = [
        ("get", key.to_string(), "bytes"),
        ("into", format!("{key} n:arg:i64"), "i64"),
        ("set", format!("{key} v:arg:bytes"), "i64"),
        ("set_ttl", format!("{key} v:arg:bytes ms:arg:i64"), "i64"),
        ("del", key.into(), "i64"),
        ("exists", key.into(), "i64"),
        ("ttl", key.into(), "i64"),
        ("hset", format!("{key} f:arg:bytes v:arg:bytes"), "i64"),
        ("hget", format!("{key} f:arg:bytes"), "bytes"),
        ("now", String::new(), "i64"),
        ("config", "n:arg:str".into(), "bytes"),
        ("random", String::new(), "i64"),
        ("metric", "x:arg:f64".into(), "none"),
        ("fail", "t:arg:bytes".into(), "none"),
    ]
    .iter()
    .map(|(name, params, result)| record(name, params, result, ""))
    .collect();
    let records: Vec<&str> = records.iter().map(String::as_str).collect();
    let head = b"#!wasm name=lib config.colour=red\n".to_vec();
    client.load(&[head, module(&records, HOST)].concat());
    let mut check = |request: &str, answer: Raw| {
        assert_eq!(client.ask(&format!("FCALL {request}")), answer, "{request}");
    };
    check("get 1 k", Raw::Null);
    check("set 1 k value", Raw::Integer(0));
    check("get 1 k", Raw::bulk("value"));
    check("into 1 k 4", Raw::Integer(5));
    check("into 1 k 5", Raw::Integer(5));
    check("exists 1 k", Raw::Integer(1));
    check("ttl 1 k", Raw::Integer(i64::MAX));
    check("set_ttl 1 k w 500", Raw::Integer(0));
    check("ttl 1 k", Raw::Integer(500));
    check("set 1 k x", Raw::Integer(0));
    check("ttl 1 k", Raw::Integer(500));
    check("set_ttl 1 k w 0", Raw::Integer(0));
    check("ttl 1 k", Raw::Integer(i64::MAX));
    check("set_ttl 1 k w -1", Raw::Integer(-11));
    check("del 1 k", Raw::Integer(1));
    check("del 1 k", Raw::Integer(0));
    check("exists 1 k", Raw::Integer(0));
    check("ttl 1 k", Raw::Integer(-1));
    check("hset 1 h f v", Raw::Integer(1));
    check("hset 1 h f w", Raw::Integer(0));
    check("hget 1 h f", Raw::bulk("w"));
    check("hget 1 h g", Raw::Null);
    check("get 1 h", error("WRONGTYPE Operation against a key holding the wrong kind of value"));
    check("set 1 h v", Raw::Integer(0));
    check("now 0", Raw::Integer(ferrite_tests::subject::START_MS));
    check("config 0 colour", Raw::bulk("red"));
    check("config 0 size", Raw::Null);
    check("fail 0 LIMITED", error("LIMITED"));
    check("fail 0 slow", error("ERR slow"));
    check("metric 0 1.5", Raw::Simple("OK".into()));
    check("metric 0 1", Raw::Simple("OK".into()));
    let first = client.ask("FCALL random 0");
    assert_ne!(client.ask("FCALL random 0"), first);
    assert!(
        format!("{:?}", client.ask("FUNCTION STATS")).contains(&format!("{:?}", Raw::bulk("2.5")))
    );
}
