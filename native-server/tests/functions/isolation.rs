//! No state of a call is seen by another, whether instances are set back or made anew.

use crate::common::{Connection, Raw, TestServer};
use crate::guest::{error, module, record};

/// Each function takes a number, and returns what it finds where an earlier call may have left one.
const BODY: &str = r#"
  (table 1 funcref)
  (data (i32.const 1024) "what was there")
  (global $kept (mut i64) (i64.const 0))
  (func (export "remember") (param i64) (result i64)
    (local $found i64) (local $at i32)
    (loop
      (local.set $found (i64.or (local.get $found) (i64.load offset=4096 (local.get $at))))
      (i64.store offset=4096 (local.get $at) (local.get 0))
      (local.set $at (i32.add (local.get $at) (i32.const 56)))
      (br_if 0 (i32.lt_u (local.get $at) (i32.const 120000))))
    (local.set $found (i64.or (local.get $found) (global.get $kept)))
    (global.set $kept (local.get 0))
    (memory.fill (i32.const 1024) (i32.const 0) (i32.const 4))
    (local.get $found))
  (func (export "data") (result i64) (i64.load (i32.const 1024)))
  (func (export "next") (result i64) (i64.extend_i32_u (call $alloc (i32.const 5000))))
  (func (export "grow") (result i64)
    (drop (memory.grow (i32.const 1))) (i64.extend_i32_u (memory.size)))
  (func (export "read") (param i32 i32) (result i64)
    (local $read i32) (local $old i64)
    (local.set $read (call $reply_read (i32.const 0) (i32.const 8) (i32.const 64)))
    (local.set $old (i64.load (i32.const 2100)))
    (drop (call $get_into (local.get 0) (local.get 1) (i32.const 2048) (i32.const 999)))
    (drop (call $hget (local.get 0) (local.get 1) (i32.const 0) (i32.const 1)
                      (i32.const 0) (i32.const 0)))
    (i64.or (i64.extend_i32_u (local.get $read)) (local.get $old)))
  (func (export "trap") (param i64) (result i64)
    (i64.store (i32.const 1024) (local.get 0)) (global.set $kept (i64.const 7)) unreachable)
  (func (export "fail") (param i64) (result i64)
    (i64.store (i32.const 1024) (local.get 0)) (global.set $kept (i64.const 7))
    (call $fail (i32.const 1024) (i32.const 0)) (i64.const 0))
  (func (export "answer") (param i64) (result i64)
    (i64.store (i32.const 1024) (local.get 0)) (global.set $kept (i64.const 7)) (i64.const -11))
  (func (export "slow") (param i64) (result i64)
    (i64.store (i32.const 1024) (local.get 0)) (global.set $kept (i64.const 7))
    (loop (br 0)) unreachable)
"#;

fn load(client: &mut Connection, flags: &str, more: &str) {
    let one = "n:arg:i64";
    let records: Vec<String> = [
        ("remember", one),
        ("data", ""),
        ("next", ""),
        ("grow", ""),
        ("read", "key:key:bytes"),
        ("trap", one),
        ("fail", one),
        ("answer", one),
        ("slow", one),
    ]
    .map(|(name, params)| {
        record(name, params, if name == "answer" { "bytes" } else { "i64" }, flags)
    })
    .into();
    let records: Vec<&str> = records.iter().map(String::as_str).collect();
    let body = format!("{BODY}{more}");
    client.load(&module(&records, &body));
}

/// What FUNCTION LIST says of how the calls are kept apart.
fn isolation(client: &mut Connection) -> String {
    let Raw::Array(libraries) = client.ask("FUNCTION LIST LIBRARYNAME lib") else {
        panic!("no list")
    };
    let fields: Vec<Raw> = match libraries.into_iter().next() {
        Some(Raw::Array(fields)) => fields,
        Some(Raw::Map(pairs)) => {
            pairs.into_iter().flat_map(|(name, value)| [name, value]).collect()
        }
        other => panic!("no library: {other:?}"),
    };
    let at = fields.iter().position(|field| *field == Raw::bulk("isolation"));
    match &fields[at.expect("it is told") + 1] {
        Raw::Bulk(text) => String::from_utf8_lossy(text).into_owned(),
        other => panic!("{other:?}"),
    }
}

/// All functions, twice each and in turns.
fn check(client: &mut Connection) {
    client.ask("SET secret 0123456789012345678901234567890123456789012345678901234567890123456789");
    for turn in 1..4 {
        for _ in 0..3 {
            assert_eq!(client.ask(&format!("FCALL remember 0 {turn}")), Raw::Integer(0));
        }
        let untouched = i64::from_le_bytes(*b"what was");
        assert_eq!(client.ask("FCALL data 0"), Raw::Integer(untouched));
        assert_eq!(client.ask("FCALL next 0"), Raw::Integer(65_536));
        assert_eq!(client.ask("FCALL grow 0"), Raw::Integer(3));
        assert_eq!(client.ask("FCALL read 1 secret"), Raw::Integer(0));
        for name in ["trap", "fail", "answer", "slow"] {
            let answer = client.ask(&format!("FCALL {name} 0 {turn}"));
            assert!(matches!(answer, Raw::Error(_)), "{name}: {answer:?}");
            assert_eq!(client.ask("FCALL data 0"), Raw::Integer(untouched), "after {name}");
            assert_eq!(client.ask("FCALL remember 0 -1"), Raw::Integer(0), "after {name}");
        }
    }
}

#[test]
fn nothing_of_a_call_is_found_by_another() {
    let slow = ",\"deadline_ms\":20";
    for (flags, more, expected) in [
        (slow, "", "reset"),
        (",\"deadline_ms\":20,\"flags\":[\"fresh\"]", "", "fresh (as it asks for)"),
        (",\"deadline_ms\":20,\"fuel\":100000000", "", "fresh (its fuel is counted)"),
        (slow, "(func (table.set (i32.const 0) (ref.null func)))", "fresh (it uses table.set)"),
    ] {
        let server = TestServer::plain();
        let mut client = server.connect();
        load(&mut client, flags, more);
        let told = isolation(&mut client);
        assert_eq!(told, expected);
        check(&mut client);
        // Another user finds as little.
        check(&mut server.connect());
    }
}

#[test]
fn a_function_can_ask_for_a_fresh_instance_beside_others() {
    let server = TestServer::plain();
    let mut client = server.connect();
    let records = [record("a", "", "i64", ""), record("b", "", "i64", ",\"flags\":[\"fresh\"]")];
    let body = r#"
      (func $count (result i64)
        (i64.store (i32.const 0) (i64.add (i64.load (i32.const 0)) (i64.const 1)))
        (i64.load (i32.const 0)))
      (export "a" (func $count)) (export "b" (func $count))"#;
    client.load(&module(&[&records[0], &records[1]], body));
    assert_eq!(isolation(&mut client), "reset");
    for name in ["a", "b", "a", "a", "b", "b", "a"] {
        assert_eq!(client.ask(&format!("FCALL {name} 0")), Raw::Integer(1), "{name}");
    }
    assert_eq!(client.ask("FCALL c 0"), error("ERR Function not found"));
}
