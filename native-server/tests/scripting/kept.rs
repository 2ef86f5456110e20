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
