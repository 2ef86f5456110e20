//! Functions and modules that never end, or take all there is: each ends in a named error, and
//! others are served meanwhile.

use crate::common::{Raw, TestServer};
use crate::guest::{module, module_with, record, single, words};

fn server() -> TestServer {
    TestServer::start(|config| config.function_deadline_ms = 60)
}

const SPIN: &str = "(loop $l (br $l))";

#[test]
fn what_never_returns_ends_at_its_deadline() {
    let late = "ERR function 'f' exceeded its deadline of 60 ms";
    let check = |module: &[u8], request: &str, line: &str| {
        let server = server();
        let (mut client, mut other) = (server.connect(), server.connect());
        client.load(module);
        client.send(request);
        for _ in 0..10 {
            assert_eq!(
                other.ask("INCR n"),
                other.ask("GET n").text().parse().map(Raw::Integer).expect("a number")
            );
        }
        assert_eq!(client.read(), Raw::Error(line.into()));
        assert_eq!(client.ask("PING"), Raw::Simple("PONG".into()));
    };
    let f = |body: &str| format!(r#"(func (export "f") (result i64) {body} (i64.const 0))"#);
    check(&single("f", "", "i64", &f(SPIN)), "FCALL f 0", late);
    let pure =
        "(local $x i64) (loop $l (local.set $x (i64.add (i64.mul (local.get $x) (i64.const 3))
        (i64.const 1))) (br_if $l (i64.ne (local.get $x) (i64.const -1))) (br $l))";
    check(&single("f", "", "i64", &f(pure)), "FCALL f 0", late);
    let host = "(loop $l (drop (call $now_ms)) (br $l))";
    check(&single("f", "", "i64", &f(host)), "FCALL f 0", late);
    let alloc = format!(
        r#"(func (export "ferrite_alloc") (param i32) (result i32) {SPIN} (i32.const 8))
           (func (export "f") (param i32 i32) (result i64) (i64.const 0))"#
    );
    let record_of_text = record("f", "t:arg:str", "i64", "");
    check(&module_with(&[&record_of_text], &alloc), "FCALL f 0 text", late);
    let own = record("f", "", "i64", r#","deadline_ms":20"#);
    let line = "ERR function 'f' exceeded its deadline of 20 ms";
    check(&module(&[&own], &f(SPIN)), "FCALL f 0", line);
}

#[test]
fn recursion_and_growth_are_bounded() {
    let server = server();
    let mut client = server.connect();
    let recursion = r#"(func $f (export "f") (result i64) (i64.add (i64.const 1) (call $f)))"#;
    client.load(&single("f", "", "i64", recursion));
    assert_eq!(client.error("FCALL f 0"), "ERR function 'f' trapped: stack overflow");
    // Memory and tables grow up to the limit, then growing fails.
    let grows = r#"
      (table $t 1 funcref)
      (func (export "memory_pages") (result i64)
        (loop $l (br_if $l (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))
        (i64.extend_i32_u (memory.size)))
      (func (export "elements") (result i64)
        (loop $l (br_if $l (i32.ne (table.grow $t (ref.null func) (i32.const 100)) (i32.const -1))))
        (i64.extend_i32_u (table.size $t)))
    "#;
    let records = [record("memory_pages", "", "i64", ""), record("elements", "", "i64", "")];
    client.load(&module(&[&records[0], &records[1]], grows));
    assert_eq!(client.ask("FCALL memory_pages 0"), Raw::Integer(256));
    assert_eq!(client.ask("FCALL elements 0"), Raw::Integer(9901));
    assert_eq!(client.ask("FCALL memory_pages 0"), Raw::Integer(256));
}

#[test]
fn fuel_is_counted_for_who_asks_for_it() {
    let server = server();
    let mut client = server.connect();
    let body = format!(
        r#"(func (export "f") (result i64) {SPIN} (i64.const 0))
           (func (export "g") (result i64) (i64.const 7))"#
    );
    let records = [record("f", "", "i64", r#","fuel":100000"#), record("g", "", "i64", "")];
    client.load(&module(&[&records[0], &records[1]], &body));
    assert_eq!(client.error("FCALL f 0"), "ERR function 'f' used up its fuel of 100000");
    assert_eq!(client.ask("FCALL g 0"), Raw::Integer(7));
}

#[test]
fn a_library_that_never_starts_is_not_loaded() {
    let server = server();
    let mut client = server.connect();
    let body = format!(
        r#"(func (export "f") (result i64) (i64.const 0)) (func (export "_initialize") {SPIN})"#
    );
    let line = "ERR Module failed to start: exceeded its deadline of 1000 ms";
    assert_eq!(client.load_raw(&single("f", "", "i64", &body)), Raw::Error(line.into()));
    // The same before the server can do anything for it.
    let start =
        format!(r#"(func (export "f") (result i64) (i64.const 0)) (func $s {SPIN}) (start $s)"#);
    assert_eq!(client.load_raw(&single("f", "", "i64", &start)), Raw::Error(line.into()));
    assert_eq!(client.ask("PING"), Raw::Simple("PONG".into()));
}

/// Whether its calls have new instances or not: they are stopped in different ways.
#[test]
fn what_runs_long_ends_and_the_next_call_does_not() {
    let server = server();
    let mut client = server.connect();
    for flags in ["", r#","flags":["fresh"]"#] {
        let body = format!(
            r#"(func (export "f") (param i64) (result i64)
                 (if (i64.eqz (local.get 0)) (then {SPIN})) (local.get 0))"#
        );
        let record = record("f", "n:arg:i64", "i64", flags);
        client.load(&module(&[&record], &body));
        for round in 1..4 {
            let line = "ERR function 'f' exceeded its deadline of 60 ms";
            assert_eq!(client.error("FCALL f 0 0"), line);
            assert_eq!(client.ask(&format!("FCALL f 0 {round}")), Raw::Integer(round));
            // In a transaction, where the lock stays.
            client.ask("MULTI");
            client.ask("FCALL f 0 0");
            client.ask(&format!("FCALL f 0 {round}"));
            let Raw::Array(replies) = client.ask("EXEC") else { panic!("replies") };
            assert_eq!(replies, [Raw::Error(line.into()), Raw::Integer(round)]);
        }
    }
}

#[test]
fn what_would_compile_for_ever_is_refused_at_once() {
    let server = server();
    let (mut client, mut other) = (server.connect(), server.connect());
    // A long chain of branches, over which a thousand variables stay in use.
    let mut body = String::from(r#"(func (export "f") (result i64)"#);
    (0..1000).for_each(|n| body.push_str(&format!("(local $v{n} i64)")));
    for n in 0..16_000 {
        let (a, b) = (n % 1000, (n * 7) % 1000);
        body.push_str(&format!(
            "(if (i64.eqz (local.get $v{a})) (then (local.set $v{b} (i64.const {n})))
              (else (local.set $v{a} (local.get $v{b}))))"
        ));
    }
    body.push_str("(i64.const 0))");
    let bomb = single("f", "", "i64", &body);
    client.send_words(&words(&[b"FUNCTION", b"LOAD", &bomb]));
    for _ in 0..10 {
        assert_eq!(other.ask("PING"), Raw::Simple("PONG".into()));
    }
    let Raw::Error(line) = client.read() else { panic!("an error") };
    assert!(
        line.starts_with("ERR Module is too complex: function 2 of those it defines"),
        "{line}"
    );
    let large = vec![0; 64 << 20];
    let request = words(&[b"FUNCTION", b"LOAD", &[b"\0asm\x01\0\0\0".as_slice(), &large].concat()]);
    let line = "ERR Module is too large: 67108872 bytes, the limit is 8388608";
    assert_eq!(client.ask_words(&request), Raw::Error(line.into()));
}
