//! Guests that do what they must not: each gets its own error, and the server goes on.

use crate::common::{Raw, TestServer};
use crate::guest::{module_with, record, single};

/// What a function of no parameters is answered.
fn answer(body: &str, result: &str) -> String {
    let server = TestServer::plain();
    let mut client = server.connect();
    client.load(&single("f", "", result, body));
    let line = client.error("FCALL f 0");
    assert_eq!(client.ask("PING"), Raw::Simple("PONG".into()));
    line
}

fn check(body: &str, expected: &str) {
    let body = format!(r#"(func (export "f") (result i64) {body} (i64.const 0))"#);
    assert_eq!(answer(&body, "i64"), format!("ERR function 'f' trapped: {expected}"));
}

#[test]
fn pointers_out_of_range_are_traps() {
    check(
        "(drop (call $set (i32.const 0) (i32.const 1) (i32.const -1) (i32.const 1)))",
        "ferrite_set was given 1 bytes at 4294967295, outside of memory",
    );
    check(
        "(drop (call $get_into (i32.const 131072) (i32.const 0) (i32.const 131073) (i32.const 0)))",
        "ferrite_get_into was given 0 bytes at 131073, outside of memory",
    );
    check(
        "(drop (call $get (i32.const 1) (i32.const -1)))",
        "ferrite_get was given 4294967295 bytes at 1, outside of memory",
    );
    check(
        "(call $random (i32.const 131071) (i32.const 2))",
        "ferrite_random was given 2 bytes at 131071, outside of memory",
    );
    check(
        "(call $log (i32.const 2) (i32.const 0) (i32.const 999999))",
        "ferrite_log was given 999999 bytes at 0, outside of memory",
    );
    check(
        "(call $log (i32.const 9) (i32.const 0) (i32.const 1))",
        "ferrite_log was given the unknown level 9",
    );
    check(
        "(drop (call $metric (i32.const 0) (i32.const 1) (i32.const 2) (f64.const 1)))",
        "ferrite_metric was given the unknown kind 2",
    );
    check(
        "(drop (call $call (i32.const 0) (i32.const 1) (i32.const 2) (i32.const 0) (i32.const 0)))",
        "ferrite_call was given the unknown flags 0x2",
    );
    check(
        "(drop (call $call (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)))",
        "ferrite_call was given 0 arguments",
    );
    check(
        "(drop (call $call (i32.const 131064) (i32.const 2) (i32.const 0)
          (i32.const 0) (i32.const 0)))",
        "ferrite_call was given 16 bytes at 131064, outside of memory",
    );
    check(
        "(i32.store (i32.const 0) (i32.const 131072)) (i32.store (i32.const 4) (i32.const 1))
           (drop (call $call (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 0)
             (i32.const 0)))",
        "ferrite_call was given 1 bytes at 131072, outside of memory",
    );
    check("(drop (i32.load (i32.const -1)))", "out of bounds memory access");
    check("(drop (i32.div_s (i32.const 1) (i32.const 0)))", "integer divide by zero");
}

#[test]
fn results_that_lie_are_traps() {
    let result = |kind: &str, value: &str, expected: &str| {
        let body = format!(
            r#"(data (i32.const 64) "*2\r\n:1\r\n") (func (export "f") (result i64) {value})"#
        );
        assert_eq!(answer(&body, kind), format!("ERR {expected}"));
    };
    result(
        "bytes",
        "(call $pack (i32.const 131072) (i32.const 1))",
        "function 'f' trapped: its result is 1 bytes at 131072, outside of memory",
    );
    result(
        "bytes",
        "(call $pack (i32.const 2147483647) (i32.const -1))",
        "function 'f' trapped: its result is 4294967295 bytes at 2147483647, outside of memory",
    );
    result(
        "reply",
        "(call $pack (i32.const 64) (i32.const 8))",
        "function 'f' trapped: malformed reply: a length lies",
    );
    result(
        "reply",
        "(call $pack (i32.const 64) (i32.const 7))",
        "function 'f' trapped: malformed reply: a length lies",
    );
    result("reply", "(i64.const -11)", "function 'f' failed with code 11");
    result("reply", "(i64.const -5000)", "function 'f' failed with code 5000");
    result("bytes", "(i64.const -8)", "This Redis command is not allowed from script");
}

#[test]
fn an_allocator_that_lies_is_a_trap() {
    let check = |alloc: &str, expected: &str| {
        let server = TestServer::plain();
        let mut client = server.connect();
        let body = format!(
            r#"(func (export "ferrite_alloc") (param i32) (result i32) {alloc})
               (func (export "f") (param i32 i32) (result i64) (i64.const 0))"#
        );
        client.load(&module_with(&[&record("f", "t:arg:str", "i64", "")], &body));
        assert_eq!(client.error("FCALL f 0 text"), format!("ERR function 'f' {expected}"));
        assert_eq!(client.ask("PING"), Raw::Simple("PONG".into()));
    };
    check("(i32.const 0)", "is out of memory");
    check("(i32.const 4)", "trapped: ferrite_alloc returned 4 for 4 bytes");
    check("(i32.const 131072)", "trapped: ferrite_alloc returned 131072 for 4 bytes");
    check("(i32.const -8)", "trapped: ferrite_alloc returned 4294967288 for 4 bytes");
    check("(unreachable)", "trapped: unreachable");
    check(
        "(drop (call $now_ms)) (i32.const 8)",
        "trapped: ferrite_now_ms was called from ferrite_alloc",
    );
}

#[test]
fn ranges_may_overlap() {
    let server = TestServer::plain();
    let mut client = server.connect();
    let body = r#"
      (func (export "f") (param $k i32) (param $kl i32) (result i64)
        (drop (call $set (local.get $k) (local.get $kl) (local.get $k) (local.get $kl)))
        (call $get_into (local.get $k) (local.get $kl) (local.get $k) (local.get $kl)))
    "#;
    client.load(&single("f", "k:key:bytes", "i64", body));
    assert_eq!(client.ask("FCALL f 1 key"), Raw::Integer(3));
    assert_eq!(client.ask("GET key"), Raw::bulk("key"));
}

#[test]
fn wasi_links_and_reaches_nothing() {
    let server = TestServer::plain();
    let mut client = server.connect();
    let text = r#"(module
      (import "wasi_snapshot_preview1" "fd_write" (func $w (param i32 i32 i32 i32) (result i32)))
      (import "wasi_snapshot_preview1" "clock_time_get"
        (func $clock (param i32 i64 i32) (result i32)))
      (import "wasi_snapshot_preview1" "path_open"
        (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
      (import "wasi_snapshot_preview1" "fd_close" (func $close (param i32) (result i32)))
      (import "wasi_snapshot_preview1" "environ_sizes_get" (func $e (param i32 i32) (result i32)))
      (import "wasi_snapshot_preview1" "fd_prestat_get" (func $p (param i32 i32) (result i32)))
      (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
      (memory (export "memory") 1)
      (data (i32.const 0) "\10\00\00\00\06\00\00\00hidden\0a\00said:\0a")
      (func (export "codes") (result i64)
        (i64.add (i64.extend_i32_u (call $open (i32.const 3) (i32.const 0)
            (i32.const 0) (i32.const 0)
            (i32.const 0) (i64.const 0) (i64.const 0) (i32.const 0) (i32.const 0)))
          (i64.add (i64.mul (i64.const 100) (i64.extend_i32_u (call $close (i32.const 1))))
            (i64.mul (i64.const 10000) (i64.extend_i32_u (call $p (i32.const 3) (i32.const 0)))))))
      (func (export "time") (result i64)
        (drop (call $clock (i32.const 0) (i64.const 1) (i32.const 64))) (i64.load (i32.const 64)))
      (func (export "write") (result i64)
        (drop (call $w (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 64)))
        (i64.load32_u (i32.const 64)))
      (func (export "exit") (result i64) (call $exit (i32.const 3)) (i64.const 0))
      (func (export "bad") (result i64)
        (i64.extend_i32_u (call $w (i32.const 1) (i32.const 65536) (i32.const 1) (i32.const 64))))
      (@custom "ferrite.udf" "RECORDS"))"#;
    let records: String =
        ["codes", "time", "write", "exit", "bad"].map(|name| record(name, "", "i64", "")).concat();
    let text = text.replace("RECORDS", &records.replace('"', "\\22"));
    client.load(&wat::parse_str(text).expect("text"));
    assert_eq!(client.ask("FCALL codes 0"), Raw::Integer(52 + 5800 + 80_000));
    let now_ns = ferrite_tests::subject::START_MS * 1_000_000;
    assert_eq!(client.ask("FCALL time 0"), Raw::Integer(now_ns));
    assert_eq!(client.ask("FCALL write 0"), Raw::Integer(6));
    assert_eq!(client.error("FCALL exit 0"), "ERR function 'exit' trapped: proc_exit(3)");
    assert_eq!(
        client.error("FCALL bad 0"),
        "ERR function 'bad' trapped: fd_write was given 8 bytes at 65536, outside of memory"
    );
}

#[test]
fn limits_of_writes_have_a_code() {
    let server = TestServer::plain();
    let mut client = server.connect();
    let body = r#"
      (func (export "f") (param $k i32) (param $kl i32) (result i64)
        (local $n i32) (local $code i32)
        (loop $next
          (local.set $code
            (call $incr_by (local.get $k) (local.get $kl) (i64.const 1) (i32.const 8)))
          (local.set $n (i32.add (local.get $n) (i32.const 1)))
          (br_if $next (i32.eqz (local.get $code))))
        (i64.add (i64.mul (i64.extend_i32_s (local.get $code)) (i64.const 1000000))
          (i64.extend_i32_u (local.get $n))))
    "#;
    client.load(&single("f", "k:key:bytes", "i64", body));
    assert_eq!(client.ask("FCALL f 1 k"), Raw::Integer(-9_000_000 + 65_537));
    assert_eq!(client.ask("GET k"), Raw::bulk("65536"));
}
