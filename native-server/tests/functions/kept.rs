//! Libraries are kept with the keys; what is counted of functions is shown.

use crate::common::{Raw, TestServer};
use crate::guest::{record, single};

const ONE: &str = r#"(func (export "one") (result i64) (i64.const 1))"#;

#[test]
fn libraries_come_back_with_a_checkpoint() {
    let directory = tempfile::tempdir().expect("a directory");
    let start =
        || TestServer::start(|config| config.dir = directory.path().to_str().expect("text").into());
    let listed = {
        let server = start();
        let mut client = server.connect();
        let head = b"#!wasm name=lib config.colour=red\n".to_vec();
        client.load(&[head, single("one", "", "i64", ONE)].concat());
        client.ask("SET k v");
        assert_eq!(client.ask("SAVE"), Raw::Simple("OK".into()));
        client.ask("FUNCTION LIST WITHCODE")
    };
    let server = start();
    let mut client = server.connect();
    assert_eq!(client.ask("GET k"), Raw::bulk("v"));
    assert_eq!(client.ask("FCALL one 0"), Raw::Integer(1));
    assert_eq!(client.ask("FUNCTION LIST WITHCODE"), listed);
    // Once they are deleted they stay so.
    client.ask("FUNCTION FLUSH");
    assert_eq!(client.ask("SAVE"), Raw::Simple("OK".into()));
    drop(server);
    assert_eq!(start().connect().ask("FUNCTION LIST"), Raw::Array(vec![]));
}

#[test]
fn calls_are_counted() {
    let server = TestServer::plain();
    let mut client = server.connect();
    let record = record("f", "n:arg:i64", "i64", r#","fuel":1000000"#);
    let body = r#"(func (export "f") (param i64) (result i64)
        (if (i64.eqz (local.get 0)) (then (unreachable)))
        (if (i64.lt_s (local.get 0) (i64.const 0)) (then (call $fail (i32.const 0) (i32.const 0))))
        (local.get 0))"#;
    client.load(&crate::guest::module(&[&record], body));
    for argument in [1, 2, 3, 0, -1, -2] {
        client.ask(&format!("FCALL f 0 {argument}"));
    }
    let text = client.ask("INFO functions").text();
    let line = text.lines().find_map(|line| line.strip_prefix("function_f:")).expect("a line");
    let figure = |name: &str| {
        let figure = line.split(',').find_map(|pair| pair.strip_prefix(&format!("{name}=")));
        figure.and_then(|figure| figure.parse::<u64>().ok()).expect(name)
    };
    assert_eq!([figure("calls"), figure("errors"), figure("traps")], [6, 2, 1]);
    assert_eq!(figure("memory_max"), 2 * 65536);
    assert!(figure("fuel") > 0);
    assert!(text.contains("functions_libraries:1\r\n") && text.contains("functions_count:1\r\n"));
}

#[test]
fn the_log_has_libraries_and_what_calls_changed() {
    let directory = tempfile::tempdir().expect("a directory");
    let start = || {
        TestServer::start(|config| {
            config.dir = directory.path().to_str().expect("text").into();
            config.appendonly = true;
            config.appendfsync = "always".into();
        })
    };
    let body = r#"(func (export "set") (param i32 i32 i64) (result i64)
        (drop (call $incr_by (local.get 0) (local.get 1) (local.get 2) (i32.const 8)))
        (if (i64.eqz (local.get 2)) (then (unreachable)))
        (i64.load (i32.const 8)))"#;
    let set = single("set", "k:key:str n:arg:i64", "i64", body);
    {
        let server = start();
        let mut client = server.connect();
        client.load(&single("one", "", "i64", ONE));
        client.load(&set);
        assert_eq!(client.ask("FCALL set 1 k 5"), Raw::Integer(5));
        assert!(matches!(client.ask("FCALL set 1 k 0"), Raw::Error(_)));
        assert_eq!(client.ask("FCALL set 1 k 2"), Raw::Integer(7));
    }
    {
        let server = start();
        let mut client = server.connect();
        assert_eq!(client.ask("GET k"), Raw::bulk("7"));
        assert_eq!(client.ask("FCALL set 1 k 1"), Raw::Integer(8));
        assert_eq!(client.error("FCALL one 0"), "ERR Function not found");
        assert_eq!(client.ask("FUNCTION DELETE lib"), Raw::Simple("OK".into()));
    }
    let server = start();
    let mut client = server.connect();
    assert_eq!(client.ask("GET k"), Raw::bulk("8"));
    assert_eq!(client.ask("FUNCTION LIST"), Raw::Array(vec![]));
}
