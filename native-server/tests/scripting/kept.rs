//! What scripts wrote, and libraries, are there after a restart; the scripts are not run again.

use std::path::Path;

use crate::common::{Raw, TestServer};

fn start(directory: &Path) -> TestServer {
    TestServer::start(|config| {
        config.dir = directory.to_str().expect("a path").into();
        config.appendonly = true;
        config.appendfsync = "always".into();
    })
}

#[test]
fn effects_are_logged_and_not_the_script() {
    let directory = tempfile::tempdir().expect("a directory");
    let member = {
        let server = start(directory.path());
        let mut client = server.connect();
        client.ask("SADD set a b c d e f g h");
        let script = "redis.call('SET', 'time', redis.call('TIME')[1], 'EX', 100) \
                      redis.call('SELECT', 3) redis.call('SET', 'three', 3) \
                      redis.call('SELECT', 0) return redis.call('SPOP', 'set')";
        client.ask_words(&["EVAL", script, "0"])
    };
    let server = start(directory.path());
    let mut client = server.connect();
    assert_eq!(client.ask("SCARD set"), Raw::Integer(7));
    assert_eq!(client.ask(&format!("SISMEMBER set {}", member.text())), Raw::Integer(0));
    assert_eq!(client.ask("TTL time"), Raw::Integer(100));
    client.ask("SELECT 3");
    assert_eq!(client.ask("GET three"), Raw::bulk("3"));
}

#[test]
fn libraries_are_there_after_a_restart() {
    let directory = tempfile::tempdir().expect("a directory");
    let code = "#!lua name=lib\nredis.register_function('f', function(keys) \
                return redis.call('INCR', keys[1]) end)";
    {
        let server = start(directory.path());
        let mut client = server.connect();
        assert_eq!(client.ask_words(&["FUNCTION", "LOAD", code]), Raw::bulk("lib"));
        assert_eq!(client.ask("FCALL f 1 k"), Raw::Integer(1));
    }
    {
        let server = start(directory.path());
        let mut client = server.connect();
        assert_eq!(client.ask("FCALL f 1 k"), Raw::Integer(2));
        assert_eq!(client.ask("SAVE").text(), "OK");
    }
    let server = start(directory.path());
    let mut client = server.connect();
    assert_eq!(client.ask("FCALL F 1 k"), Raw::Integer(3));
    client.ask("FUNCTION DELETE lib");
    drop(server);
    let server = start(directory.path());
    assert_eq!(server.connect().ask("FCALL f 1 k").text(), "ERR Function not found");
}

#[test]
fn libraries_of_a_transaction_are_there_with_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let code = |name: &str| {
        format!(
            "#!lua name={name}\nredis.register_function('{name}', function() return '{name}' end)"
        )
    };
    {
        let server = start(directory.path());
        let mut client = server.connect();
        client.ask_words(&["FUNCTION", "LOAD", &code("old")]);
        client.ask_words(&["FUNCTION", "LOAD", &code("other")]);
        client.ask("MULTI");
        client.ask("SET k 1");
        client.ask("FUNCTION DELETE old");
        client.ask_words(&["FUNCTION", "LOAD", &code("new")]);
        client.ask_words(&["FUNCTION", "LOAD", &code("other")]);
        client.ask("FCALL new 0");
        client.ask("SET k 2");
        let Raw::Array(answers) = client.ask("EXEC") else { panic!("answers") };
        let texts: Vec<String> = answers.iter().map(Raw::text).collect();
        let taken = "ERR Library 'other' already exists";
        assert_eq!(texts, ["OK", "OK", "new", taken, "new", "OK"]);
    }
    let server = start(directory.path());
    let mut client = server.connect();
    assert_eq!(client.ask("GET k"), Raw::bulk("2"));
    assert_eq!(client.ask("FCALL new 0"), Raw::bulk("new"));
    assert_eq!(client.ask("FCALL other 0"), Raw::bulk("other"));
    assert_eq!(client.ask("FCALL old 0").text(), "ERR Function not found");
    client.ask("MULTI");
    client.ask("FUNCTION FLUSH");
    client.ask("EXEC");
    drop(server);
    let server = start(directory.path());
    assert_eq!(server.connect().ask("FUNCTION LIST"), Raw::Array(Vec::new()));
}

#[test]
fn libraries_come_back_with_the_log() {
    let directory = tempfile::tempdir().expect("a directory");
    let server = start(directory.path());
    let mut client = server.connect();
    let code = "#!lua name=lib\nredis.register_function('f', function() return 'f' end)";
    client.ask_words(&["FUNCTION", "LOAD", code]);
    assert_eq!(client.ask("DEBUG LOADAOF").text(), "OK");
    assert_eq!(client.ask("FCALL f 0"), Raw::bulk("f"));
    assert_eq!(client.ask("SAVE").text(), "OK");
    // What is not logged is gone when the files are read.
    assert_eq!(client.ask("CONFIG SET appendonly no").text(), "OK");
    assert_eq!(client.ask("FUNCTION FLUSH").text(), "OK");
    assert_eq!(client.ask("DEBUG LOADAOF").text(), "OK");
    assert_eq!(client.ask("FCALL f 0"), Raw::bulk("f"));
}

#[test]
fn a_module_is_no_part_of_a_transaction() {
    let server = TestServer::plain();
    let mut client = server.connect();
    for request in [
        &["FUNCTION", "LOAD", "\0asm"][..],
        &["FUNCTION", "LOAD", "#!wasm name=a\n"],
        &["FUNCTION", "LOAD", "WASM", "REPLACE", "x"],
    ] {
        client.ask("MULTI");
        assert_eq!(
            client.ask_words(request).text(),
            "ERR a library in WebAssembly cannot be loaded inside a transaction"
        );
        assert!(client.ask("EXEC").text().starts_with("EXECABORT"));
    }
}
