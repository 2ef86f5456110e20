//! When checkpoints are taken, and what a server makes of them when it starts again.

mod common;

use std::path::Path;
use std::time::{Duration, Instant};

use common::{Connection, Raw, TestServer};
use ferrite_server::checkpoint::saver::Rule;
use tempfile::TempDir;

/// For how long a test looks whether something has happened.
const PATIENCE: Duration = Duration::from_secs(20);

fn server(directory: &Path, rules: &[Rule]) -> TestServer {
    TestServer::start(|config| {
        config.dir = directory.to_str().expect("a path").into();
        config.save = rules.into();
    })
}

fn directory() -> TempDir {
    tempfile::tempdir().expect("a directory")
}

fn ok() -> Raw {
    Raw::Simple("OK".into())
}

fn figure(connection: &mut Connection, name: &str) -> String {
    let text = connection.ask("INFO persistence").text();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.unwrap_or_else(|| panic!("{name} in {text}")).into()
}

/// Asks until a figure is what it is to be.
fn wait_for(connection: &mut Connection, name: &str, wanted: &str) {
    let end = Instant::now() + PATIENCE;
    while figure(connection, name) != wanted {
        assert!(Instant::now() < end, "{name} never became {wanted}");
    }
}

#[test]
fn what_was_saved_is_there_after_a_restart() {
    let directory = directory();
    let first = server(directory.path(), &[]);
    let mut client = first.connect();
    for request in [
        "SET string value EX 100",
        "RPUSH list a b c",
        "HSET hash field value",
        "SADD set member",
        "ZADD zset 1.5 member",
        "XADD stream 1-1 field value",
    ] {
        client.ask(request);
    }
    client.ask("SELECT 9");
    client.ask("SET other database");
    assert_eq!(figure(&mut client, "rdb_changes_since_last_save"), "7");
    assert_eq!(client.ask("SAVE"), ok());
    assert_eq!(figure(&mut client, "rdb_changes_since_last_save"), "0");
    assert_eq!(figure(&mut client, "rdb_saves"), "1");
    // What comes later is not saved.
    client.ask("SET later value");
    drop(first);
    let second = server(directory.path(), &[]);
    let mut client = second.connect();
    assert_eq!(figure(&mut client, "rdb_last_load_keys_loaded"), "7");
    assert_eq!(figure(&mut client, "rdb_changes_since_last_save"), "0");
    assert_eq!(client.ask("DBSIZE"), Raw::Integer(6));
    assert_eq!(client.ask("GET string"), Raw::bulk("value"));
    assert_eq!(client.ask("TTL string"), Raw::Integer(100));
    assert_eq!(client.ask("LLEN list"), Raw::Integer(3));
    assert_eq!(client.ask("HGET hash field"), Raw::bulk("value"));
    assert_eq!(client.ask("ZSCORE zset member"), Raw::bulk("1.5"));
    assert_eq!(client.ask("XLEN stream"), Raw::Integer(1));
    client.ask("SELECT 9");
    assert_eq!(client.ask("GET other"), Raw::bulk("database"));
}

#[test]
fn a_background_save_has_the_moment_it_was_asked_for() {
    let directory = directory();
    let first = server(directory.path(), &[]);
    let mut client = first.connect();
    client.ask("SET counter 0");
    let before = client.ask("LASTSAVE");
    first.advance(5_000);
    assert_eq!(client.ask("BGSAVE"), Raw::Simple("Background saving started".into()));
    client.ask("INCR counter");
    wait_for(&mut client, "rdb_bgsave_in_progress", "0");
    assert_eq!(figure(&mut client, "rdb_last_bgsave_status"), "ok");
    assert_ne!(client.ask("LASTSAVE"), before);
    assert_eq!(client.ask("BGSAVE later").text(), "ERR syntax error");
    drop(first);
    let second = server(directory.path(), &[]);
    let value = second.connect().ask("GET counter").text();
    assert!(value == "0" || value == "1", "{value}");
}

#[test]
fn rules_save_by_themselves() {
    let directory = directory();
    let rule = Rule { seconds: 60, changes: 3 };
    let server = server(directory.path(), &[rule]);
    let mut client = server.connect();
    assert_eq!(client.ask("CONFIG GET save"), {
        Raw::Array(vec![Raw::bulk("save"), Raw::bulk("60 3")])
    });
    client.ask("MSET a 1 b 2");
    client.ask("SET c 3");
    server.advance(61_000);
    client.ask("DEBUG SLEEP 0.2");
    assert_eq!(figure(&mut client, "rdb_saves"), "0", "two changes are not three");
    client.ask("DEL a");
    wait_for(&mut client, "rdb_saves", "1");
    assert_eq!(figure(&mut client, "rdb_changes_since_last_save"), "0");
    assert_eq!(client.ask("CONFIG SET save banana").text().split(' ').next(), Some("ERR"));
    assert_eq!(client.ask_words(&["CONFIG", "SET", "save", ""]), ok());
}

/// What a server that begins with the directory as it is has of keys.
fn keys_after_a_kill(directory: &Path) -> Raw {
    let copy = tempfile::tempdir().expect("a directory");
    for entry in std::fs::read_dir(directory).expect("a directory") {
        let entry = entry.expect("a file");
        std::fs::copy(entry.path(), copy.path().join(entry.file_name())).expect("a copy");
    }
    server(copy.path(), &[]).connect().ask("DBSIZE")
}

#[test]
fn what_flushall_deleted_does_not_come_back_where_there_are_rules() {
    let directory = directory();
    let rule = Rule { seconds: 3_600, changes: 1_000 };
    let server = server(directory.path(), &[rule]);
    let mut client = server.connect();
    for (saves, request) in [
        (2, &["FLUSHALL"][..]),
        (4, &["MULTI", "FLUSHALL", "EXEC"]),
        (6, &["EVAL return(redis.call('flushall')) 0"]),
    ] {
        client.ask("SET key value");
        assert_eq!(client.ask("SAVE"), ok());
        assert_eq!(keys_after_a_kill(directory.path()), Raw::Integer(1));
        request.iter().for_each(|line| drop(client.ask(line)));
        // What a transaction or a script did is saved when it is over.
        if request.len() > 1 || request[0].starts_with("EVAL") {
            wait_for(&mut client, "rdb_saves", &saves.to_string());
        }
        assert_eq!(keys_after_a_kill(directory.path()), Raw::Integer(0), "{request:?}");
        assert_eq!(figure(&mut client, "rdb_saves"), saves.to_string());
    }
    // One that is being taken is given up, and that is no failure.
    for number in 0..20 {
        client.ask(&format!("SETRANGE key:{number} 10000000 x"));
    }
    assert_eq!(client.ask("BGSAVE"), Raw::Simple("Background saving started".into()));
    assert_eq!(client.ask("FLUSHALL"), ok());
    assert_eq!(figure(&mut client, "rdb_bgsave_in_progress"), "0");
    assert_eq!(figure(&mut client, "rdb_last_bgsave_status"), "ok");
    assert_eq!(keys_after_a_kill(directory.path()), Raw::Integer(0));
    // Without rules nobody asked for checkpoints.
    client.ask("SET key value");
    client.ask("SAVE");
    assert_eq!(client.ask_words(&["CONFIG", "SET", "save", ""]), ok());
    assert_eq!(client.ask("FLUSHALL"), ok());
    assert_eq!(keys_after_a_kill(directory.path()), Raw::Integer(1));
}

#[test]
fn writes_are_refused_while_checkpoints_fail() {
    let directory = directory();
    let rule = Rule { seconds: 3_600, changes: 1_000 };
    let gone = directory.path().join("gone");
    std::fs::create_dir(&gone).expect("a directory");
    let server = server(&gone, &[rule]);
    let mut client = server.connect();
    client.ask("SET key value");
    std::fs::remove_dir(&gone).expect("it is empty");
    assert!(client.ask("SAVE").text().contains("gone"), "the path is named");
    assert_eq!(figure(&mut client, "rdb_last_bgsave_status"), "err");
    assert!(client.ask("SET key other").text().starts_with("MISCONF Redis is configured to"));
    assert!(client.ask("PING").text().starts_with("MISCONF"));
    assert_eq!(client.ask("GET key"), Raw::bulk("value"));
    assert_eq!(client.ask("CONFIG SET stop-writes-on-bgsave-error no"), ok());
    assert_eq!(client.ask("SET key other"), ok());
    assert_eq!(client.ask("CONFIG SET stop-writes-on-bgsave-error yes"), ok());
    assert!(client.ask("SET key third").text().starts_with("MISCONF"));
    std::fs::create_dir(&gone).expect("a directory");
    assert_eq!(client.ask("SAVE"), ok());
    assert_eq!(client.ask("SET key third"), ok());
    // One that could not save does not end either.
    std::fs::remove_dir_all(&gone).expect("a directory");
    assert_eq!(client.ask("SHUTDOWN").text(), "ERR Errors trying to SHUTDOWN. Check logs.");
    assert_eq!(client.ask("SHUTDOWN SAVE NOSAVE").text(), "ERR syntax error");
    assert_eq!(client.ask("SHUTDOWN ABORT").text(), "ERR No shutdown in progress.");
    client.ask("CONFIG SET stop-writes-on-bgsave-error no");
    assert_eq!(client.ask("PING"), Raw::Simple("PONG".into()));
    client.send("SHUTDOWN NOSAVE");
    assert!(client.is_closed());
}

#[test]
fn the_end_saves_if_there_are_rules_or_it_is_told_to() {
    let directory = directory();
    for (rules, request, is_saved) in [
        (&[][..], "SHUTDOWN", false),
        (&[Rule { seconds: 1_000, changes: 1 }][..], "SHUTDOWN NOSAVE", false),
        (&[Rule { seconds: 1_000, changes: 1 }][..], "SHUTDOWN", true),
        (&[][..], "SHUTDOWN SAVE", true),
    ] {
        let server = server(directory.path(), rules);
        let mut client = server.connect();
        let before = client.ask("DBSIZE");
        client.ask(&format!("SET {} value", request.replace(' ', ":")));
        client.send(request);
        assert!(client.is_closed());
        drop(server);
        let after = self::server(directory.path(), &[]).connect().ask("DBSIZE");
        assert_eq!(before != after, is_saved, "{request}");
    }
}

#[test]
fn a_damaged_checkpoint_stops_the_start() {
    let directory = directory();
    let first = server(directory.path(), &[]);
    first.connect().ask("SET key value");
    first.connect().ask("SAVE");
    drop(first);
    let file = directory.path().join("checkpoint-0000000000000001.ferrite");
    let mut bytes = std::fs::read(&file).expect("a checkpoint");
    bytes.truncate(bytes.len() - 1);
    std::fs::write(&file, bytes).expect("a file");
    let config = ferrite_server::config::Config {
        port: 0,
        dir: directory.path().to_str().expect("a path").into(),
        ..Default::default()
    };
    let started = ferrite_server::server::start(config, ferrite_server::clock::Clock::System);
    let error = started.err().expect("it does not start").to_string();
    assert!(
        error.contains("checkpoint-0000000000000001.ferrite: it is cut off at byte"),
        "{error}"
    );
}

#[test]
fn debug_reload_changes_nothing() {
    let server = TestServer::plain();
    let mut client = server.connect();
    for number in 0..1_000 {
        client.ask(&format!("SET key:{number} {number}"));
        client.ask(&format!("RPUSH list {number}"));
        client.ask(&format!("ZADD zset {number} member:{number}"));
    }
    assert_eq!(client.ask("DEBUG RELOAD"), ok());
    assert_eq!(client.ask("DBSIZE"), Raw::Integer(1_002));
    assert_eq!(client.ask("GET key:999"), Raw::bulk("999"));
    assert_eq!(client.ask("LINDEX list -1"), Raw::bulk("999"));
    assert_eq!(client.ask("ZRANK zset member:500"), Raw::Integer(500));
    client.ask("DEL list zset");
    assert_eq!(client.ask("DEBUG RELOAD"), ok());
    assert_eq!(client.ask("DBSIZE"), Raw::Integer(1_000));
}
