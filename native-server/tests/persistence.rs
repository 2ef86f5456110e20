//! The server with a log: what was changed is there after a restart, whatever the command was.

mod common;

use std::path::Path;

use common::{Connection, Raw, TestServer};
use ferrite_server::clock::Clock;
use ferrite_server::config::Config;
use ferrite_server::persist::files::Directory;
use ferrite_server::persist::reader;
use ferrite_server::server;
use ferrite_tests::subject::START_MS;
use ferrite_tests::transcript;

use std::sync::atomic::Ordering;

fn start(directory: &Path, fsync: &str) -> TestServer {
    TestServer::start(|config| {
        config.dir = directory.to_str().expect("a path").into();
        config.appendonly = true;
        config.appendfsync = fsync.into();
    })
}

/// Everything that is in the databases, in words: keys, deadlines, fingerprints of values.
fn contents(connection: &mut Connection) -> Vec<(usize, Vec<u8>, i64, Raw)> {
    let mut all = Vec::new();
    for database in 0..16 {
        assert_eq!(connection.ask(&format!("SELECT {database}")).text(), "OK");
        let Raw::Array(keys) = connection.ask("KEYS *") else { panic!("keys") };
        for key in keys {
            let Raw::Bulk(key) = key else { panic!("a key") };
            let deadline = connection.ask_words(&[&b"PEXPIRETIME"[..], &key]);
            let Raw::Integer(deadline) = deadline else { panic!("{deadline:?}") };
            let value = connection.ask_words(&[&b"DEBUG"[..], b"DIGEST-VALUE", &key]);
            all.push((database, key, deadline, value));
        }
    }
    connection.ask("SELECT 0");
    all.sort_by(|one, other| (one.0, &one.1).cmp(&(other.0, &other.1)));
    all
}

/// Commands that a transcript may not run here: they look at time, or leave the database.
fn is_left_out(request: &[Vec<u8>]) -> bool {
    let name = request[0].to_ascii_lowercase();
    [&b"flushall"[..], b"debug", b"config", b"flushdb"].contains(&&name[..])
}

#[test]
fn what_every_command_does_survives_a_restart() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut before = Vec::new();
    let mut clock = START_MS;
    let transcripts = transcript::all();
    for (number, part) in transcripts.chunks(8).enumerate() {
        let fsync = ["everysec", "always", "no"][number % 3];
        let server = start(directory.path(), fsync);
        server.clock.store(clock, Ordering::Relaxed);
        let mut connection = server.connect();
        assert_eq!(connection.ask("DEBUG SET-ACTIVE-EXPIRE 0"), Raw::Simple("OK".into()));
        let found = contents(&mut connection);
        for (found, before) in found.iter().zip(&before) {
            assert_eq!(found, before, "part {number}");
        }
        assert_eq!(found.len(), before.len(), "part {number}");
        for (at, transcript) in part.iter().enumerate() {
            connection.ask(&format!("SELECT {}", (number * 8 + at) % 16));
            for step in &transcript.steps {
                match step {
                    transcript::Step::Advance(ms) => {
                        server.advance(*ms);
                    }
                    transcript::Step::Request { words, .. } if !is_left_out(words) => {
                        connection.ask_words(words);
                    }
                    _ => {}
                }
            }
        }
        clock = server.clock.load(Ordering::Relaxed);
        before = contents(&mut connection);
    }
    assert!(before.len() > 200, "a restart of nothing shows nothing: {}", before.len());
}

#[test]
fn what_reaches_beyond_one_database_survives_a_restart() {
    let directory = tempfile::tempdir().expect("a directory");
    let before = {
        let server = start(directory.path(), "always");
        let mut connection = server.connect();
        for request in [
            "SET a 1",
            "SELECT 3",
            "SET b 2",
            "RPUSH list x y z",
            "SWAPDB 0 3",
            "SET c 3",
            "SELECT 0",
            "MOVE list 5",
            "COPY b b2 DB 7",
            "MULTI",
            "SET d 4",
            "SWAPDB 0 1",
            "SET e 5",
            "SELECT 2",
            "SET f 6",
            "EXEC",
            "SELECT 9",
            "SET g 7",
            "SELECT 1",
            "INCR n",
        ] {
            let answer = connection.ask(request);
            assert!(!matches!(answer, Raw::Error(_)), "{request}: {answer:?}");
        }
        contents(&mut connection)
    };
    assert_eq!(before.len(), 10);
    let server = start(directory.path(), "always");
    assert_eq!(contents(&mut server.connect()), before);
    let mut connection = server.connect();
    connection.ask("FLUSHALL");
    connection.ask("SET only 1");
    drop(server);
    let server = start(directory.path(), "always");
    assert_eq!(contents(&mut server.connect()).len(), 1);
}

/// A client that waits is served by another's change: both survive, or neither.
#[test]
fn what_was_served_to_who_waited_survives_a_restart() {
    let directory = tempfile::tempdir().expect("a directory");
    {
        let server = start(directory.path(), "always");
        let (mut waits, mut pushes) = (server.connect(), server.connect());
        waits.send("BLPOP list 0");
        while !pushes.ask("CLIENT LIST").text().contains("flags=b") {}
        assert_eq!(pushes.ask("RPUSH list one two"), Raw::Integer(2));
        assert_eq!(waits.read(), Raw::Array(vec![Raw::bulk("list"), Raw::bulk("one")]));
    }
    let server = start(directory.path(), "always");
    assert_eq!(server.connect().ask("LRANGE list 0 -1"), Raw::Array(vec![Raw::bulk("two")]));
}

#[test]
fn expired_keys_stay_away() {
    let directory = tempfile::tempdir().expect("a directory");
    {
        let server = start(directory.path(), "everysec");
        let mut connection = server.connect();
        connection.ask("SET gone 1 PX 10");
        connection.ask("SET stays 1 PX 100000");
        server.advance(20);
        assert_eq!(connection.ask("GET gone"), Raw::Null);
        connection.ask("APPEND gone again");
    }
    let server = start(directory.path(), "everysec");
    let mut connection = server.connect();
    assert_eq!(connection.ask("GET gone"), Raw::bulk("again"));
    assert_eq!(connection.ask("TTL gone"), Raw::Integer(-1));
    assert!(matches!(connection.ask("PTTL stays"), Raw::Integer(left) if left > 0));
}

#[test]
fn waitaof_tells_who_has_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let server = start(directory.path(), "everysec");
    let mut connection = server.connect();
    let both = |local, replicas| Raw::Array(vec![Raw::Integer(local), Raw::Integer(replicas)]);
    connection.ask("SET a 1");
    assert_eq!(connection.ask("WAITAOF 1 0 0"), both(1, 0));
    connection.ask("SET a 2");
    assert_eq!(connection.ask("WAITAOF 1 1 10"), both(1, 0), "no replica, but the disk");
    let error = |answer: Raw| matches!(answer, Raw::Error(_));
    assert!(error(connection.ask("WAITAOF 2 0 0")));
    assert!(error(connection.ask("WAITAOF 1 0 -1")));
    let info = connection.ask("INFO persistence").text();
    assert!(info.contains("aof_enabled:1\r\n"), "{info}");
    let plain = TestServer::plain();
    let mut connection = plain.connect();
    assert_eq!(connection.ask("WAITAOF 0 0 0"), both(0, 0));
    let text = connection.ask("WAITAOF 1 0 0").text();
    assert!(text.contains("appendonly is disabled"), "{text}");
}

/// Of a server with a log that is not going to start.
fn config_of(directory: &Path) -> Config {
    Config {
        port: 0,
        bind: "127.0.0.1".into(),
        dir: directory.to_str().expect("a path").into(),
        appendonly: true,
        ..Config::default()
    }
}

#[test]
fn two_servers_do_not_share_a_directory() {
    let directory = tempfile::tempdir().expect("a directory");
    let _first = start(directory.path(), "everysec");
    let config = config_of(directory.path());
    let refused = server::start(config.clone(), Clock::System).err().expect("a refusal");
    assert!(refused.to_string().starts_with("another server (process"), "{refused}");
    let config = Config { dir: "/nowhere/at/all".into(), ..config };
    let refused = server::start(config, Clock::System).err().expect("a refusal").to_string();
    assert!(refused.starts_with("cannot write in the directory /nowhere/at/all"), "{refused}");
}

#[test]
fn who_saves_without_a_log_has_the_directory_as_well() {
    let directory = tempfile::tempdir().expect("a directory");
    let plain = || {
        TestServer::start(|config| config.dir = directory.path().to_str().expect("a path").into())
    };
    let (first, second) = (plain(), plain());
    assert_eq!(first.connect().ask("SAVE").text(), "OK");
    let refused = second.connect().ask("SAVE").text();
    assert!(refused.starts_with("ERR another server (process"), "{refused}");
    drop(first);
    assert_eq!(second.connect().ask("SAVE").text(), "OK");
    let refused = server::start(config_of(directory.path()), Clock::System).err();
    let refused = refused.expect("a server with a log does not start there either").to_string();
    assert!(refused.starts_with("another server (process"), "{refused}");
}

/// As while the log has more to write than is good.
#[test]
fn writes_are_held_up_while_too_much_waits_for_the_disk_and_reads_are_not() {
    let server = TestServer::plain();
    let (mut writes, mut reads) = (server.connect(), server.connect());
    writes.ask("SET key before");
    server.shared().gate.set_crowded(true);
    writes.send("SET key after");
    writes.send("GET key");
    while !reads.ask("CLIENT LIST").text().contains("flags=b") {}
    for _ in 0..100 {
        assert_eq!(reads.ask("GET key"), Raw::bulk("before"));
    }
    server.shared().gate.set_crowded(false);
    assert_eq!(writes.read(), Raw::Simple("OK".into()));
    assert_eq!(writes.read(), Raw::bulk("after"));
}

#[test]
fn libraries_are_restored_as_a_whole_after_a_crash() {
    let library = |name: &str| {
        format!("#!lua name={name}\nredis.register_function('f_{name}', function() return 1 end)")
    };
    let (directory, other) =
        (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
    let payload = {
        let server = start(other.path(), "always");
        let mut connection = server.connect();
        for name in ["a", "b", "c"] {
            connection.ask_words(&["FUNCTION", "LOAD", &library(name)]);
        }
        connection.ask("FUNCTION DUMP")
    };
    let Raw::Bulk(payload) = payload else { panic!("{payload:?}") };
    {
        let server = start(directory.path(), "always");
        let mut connection = server.connect();
        connection.ask_words(&["FUNCTION", "LOAD", &library("old")]);
        let words = [&b"FUNCTION"[..], b"RESTORE", &payload, b"FLUSH"];
        assert_eq!(connection.ask_words(&words), Raw::Simple("OK".into()));
    }
    // A crash leaves whole units.
    let mut units = Vec::new();
    let files = Directory::to_read(directory.path());
    let read = reader::read(&files, 0, &mut |_, unit| {
        units.push(String::from_utf8_lossy(unit).matches("#!lua").count());
        Ok(())
    });
    read.expect("a log");
    assert_eq!(units, [1, 3]);
}
