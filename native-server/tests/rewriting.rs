//! The log while a server runs: cut off behind checkpoints, turned on and off, damaged, repaired.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use common::{Connection, Raw, TestServer, program};
use ferrite_server::clock::Clock;
use ferrite_server::config::Config;
use ferrite_server::persist::format::segment_number;
use ferrite_server::server;

/// For how long a test looks whether something has happened.
const PATIENCE: Duration = Duration::from_secs(60);
const MEGABYTE: usize = 1 << 20;

fn start(directory: &Path, appends: bool) -> TestServer {
    TestServer::start(|config| {
        config.dir = directory.to_str().expect("a path").into();
        config.appendonly = appends;
        config.auto_aof_rewrite_percentage = 0;
    })
}

/// Why a server does not start.
fn refusal(directory: &Path) -> String {
    let config = Config {
        port: 0,
        bind: "127.0.0.1".into(),
        dir: directory.to_str().expect("a path").into(),
        appendonly: true,
        ..Config::default()
    };
    server::start(config, Clock::System).err().expect("a refusal").to_string()
}

fn segments(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).expect("a directory");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let is_segment = |path: &PathBuf| {
        path.file_name().and_then(|name| name.to_str()).and_then(segment_number).is_some()
    };
    let mut found: Vec<PathBuf> = paths.filter(is_segment).collect();
    found.sort();
    found
}

fn figure(connection: &mut Connection, name: &str) -> u64 {
    let text = connection.ask("INFO persistence").text();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let line = line.unwrap_or_else(|| panic!("{name} in {text}"));
    line.parse().unwrap_or_else(|_| panic!("{name}: {line}"))
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "it never happened that {what}");
    }
}

/// So many values of a megabyte, under a key each.
fn fill(connection: &mut Connection, keys: usize, letter: &[u8]) {
    let value = letter.repeat(MEGABYTE);
    for number in 0..keys {
        let key = format!("large:{number}");
        let answer = connection.ask_words(&[&b"SET"[..], key.as_bytes(), &value]);
        assert_eq!(answer, Raw::Simple("OK".into()));
    }
}

#[test]
fn a_checkpoint_by_command_cuts_the_log_off() {
    let directory = tempfile::tempdir().expect("a directory");
    {
        let server = start(directory.path(), true);
        let mut connection = server.connect();
        for letter in [b"a", b"b", b"c"] {
            fill(&mut connection, 32, letter);
        }
        // A segment that is still written when the checkpoint is taken stays until the next one.
        let waited = connection.ask("WAITAOF 1 0 0");
        assert_eq!(waited, Raw::Array(vec![Raw::Integer(1), Raw::Integer(0)]));
        wait_until("the log is long", || segments(directory.path()).len() > 3);
        let answer = connection.ask("BGREWRITEAOF").text();
        assert_eq!(answer, "Background append only file rewriting started");
        connection.ask("SET behind it");
        wait_until("it has ended", || figure(&mut connection, "aof_rewrite_in_progress") == 0);
        // The current segment and the next one stay.
        wait_until("it is short", || segments(directory.path()).len() <= 2);
        assert!(figure(&mut connection, "aof_base_size") > 32 * MEGABYTE as u64);
        let info = connection.ask("INFO persistence").text();
        assert!(info.contains("aof_last_bgrewrite_status:ok"), "{info}");
    }
    let server = start(directory.path(), true);
    let mut connection = server.connect();
    assert_eq!(connection.ask("DBSIZE"), Raw::Integer(33));
    assert_eq!(connection.ask("GET behind"), Raw::bulk("it"));
    assert_eq!(connection.ask("GETRANGE large:31 1048570 -1"), Raw::bulk("cccccc"));
}

#[test]
fn a_rewrite_is_in_progress_from_its_answer_on() {
    let directory = tempfile::tempdir().expect("a directory");
    let server = start(directory.path(), true);
    let mut connection = server.connect();
    for count in 1..=20 {
        connection.ask("INCR n");
        connection.ask("BGREWRITEAOF");
        wait_until("it has ended", || figure(&mut connection, "aof_rewrite_in_progress") == 0);
        assert_eq!(figure(&mut connection, "rdb_saves"), count);
    }
    // Not amid a transaction, but behind it.
    for (request, answer) in [
        ("BGREWRITEAOF", "Background append only file rewriting scheduled"),
        ("BGSAVE", "Background saving scheduled"),
    ] {
        let before = figure(&mut connection, "rdb_saves");
        connection.ask("MULTI");
        connection.ask(request);
        connection.ask("INFO persistence");
        let Raw::Array(answers) = connection.ask("EXEC") else { panic!("answers") };
        assert_eq!(answers[0].text(), answer);
        assert!(answers[1].text().contains("\r\naof_rewrite_scheduled:1\r\n"));
        wait_until("it is taken", || figure(&mut connection, "rdb_saves") > before);
        assert_eq!(figure(&mut connection, "aof_rewrite_scheduled"), 0);
    }
}

#[test]
fn a_log_that_has_grown_is_cut_off_by_itself() {
    let directory = tempfile::tempdir().expect("a directory");
    let server = start(directory.path(), true);
    let mut connection = server.connect();
    for setting in ["auto-aof-rewrite-min-size 3mb", "auto-aof-rewrite-percentage 100"] {
        assert_eq!(connection.ask(&format!("CONFIG SET {setting}")), Raw::Simple("OK".into()));
    }
    fill(&mut connection, 2, b"a");
    let turns = || server.shared().turns.load(std::sync::atomic::Ordering::Relaxed);
    let before = turns();
    wait_until("the clock's work was done", || turns() > before + 1);
    assert_eq!(figure(&mut connection, "rdb_saves"), 0, "it is smaller than that");
    fill(&mut connection, 2, b"b");
    wait_until("it is taken", || figure(&mut connection, "rdb_saves") == 1);
    let base = figure(&mut connection, "aof_base_size");
    assert!(base > 2 * MEGABYTE as u64, "{base}");
    // As much as that has to come again.
    fill(&mut connection, 2, b"c");
    fill(&mut connection, 2, b"d");
    wait_until("the next is taken", || figure(&mut connection, "rdb_saves") >= 2);
}

#[test]
fn a_log_is_turned_on_and_off_while_the_server_runs() {
    let directory = tempfile::tempdir().expect("a directory");
    let ok = Raw::Simple("OK".into());
    {
        let server = start(directory.path(), false);
        let mut connection = server.connect();
        let turn = |connection: &mut Connection, word: &str| {
            assert_eq!(connection.ask(&format!("CONFIG SET appendonly {word}")), ok);
            wait_until("there is a checkpoint", || {
                figure(connection, "aof_rewrite_in_progress") == 0
            });
            assert_eq!(figure(connection, "aof_enabled"), u64::from(word == "yes"));
        };
        connection.ask("SET before 1");
        turn(&mut connection, "yes");
        connection.ask("SET logged 2");
        turn(&mut connection, "no");
        assert!(connection.ask("WAITAOF 1 0 0").text().contains("appendonly is disabled"));
        connection.ask("SET between 3");
        turn(&mut connection, "yes");
        connection.ask("SET after 4");
        assert_eq!(connection.ask("CONFIG SET appendonly yes"), ok, "it is on");
    }
    let server = start(directory.path(), true);
    let mut connection = server.connect();
    for (key, value) in [("before", "1"), ("logged", "2"), ("between", "3"), ("after", "4")] {
        assert_eq!(connection.ask(&format!("GET {key}")), Raw::bulk(value), "{key}");
    }
}

#[test]
fn databases_that_the_log_has_swapped_are_saved_anew() {
    let directory = tempfile::tempdir().expect("a directory");
    let run = |requests: &[&str]| {
        let server = start(directory.path(), true);
        let mut connection = server.connect();
        requests.iter().map(|request| connection.ask(request)).collect::<Vec<_>>()
    };
    run(&["SET a 1", "SELECT 1", "SET b 2", "SAVE", "SWAPDB 0 1", "SET c 3"]);
    run(&["SET new 1", "SAVE", "SET newer 1"]);
    let found = run(&["MGET b new newer", "SELECT 1", "MGET a c"]);
    let texts = |texts: &[&str]| Raw::Array(texts.iter().map(|text| Raw::bulk(text)).collect());
    let ok = Raw::Simple("OK".into());
    assert_eq!(found, [texts(&["2", "1", "1"]), ok, texts(&["1", "3"])]);
}

#[test]
fn a_log_whose_checkpoint_is_damaged_is_not_left_out() {
    let directory = tempfile::tempdir().expect("a directory");
    {
        let server = start(directory.path(), true);
        let mut connection = server.connect();
        for request in
            ["SET a 1", "SAVE", "CONFIG SET appendonly no", "SET b 2", "CONFIG SET appendonly yes"]
        {
            assert_eq!(connection.ask(request), Raw::Simple("OK".into()), "{request}");
        }
        // It is not in the checkpoint that the new log goes with.
        wait_until("the checkpoint ends", || {
            figure(&mut connection, "aof_rewrite_in_progress") == 0
        });
        connection.ask("SET c 3");
    }
    let entries = fs::read_dir(directory.path()).expect("a directory");
    let names = entries.map(|entry| entry.expect("an entry").path());
    let is_checkpoint = |path: &PathBuf| path.extension().is_some_and(|it| it == "ferrite");
    let newest = names.filter(is_checkpoint).max().expect("a checkpoint");
    let whole = fs::read(&newest).expect("a file");
    let mut damaged = whole.clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    fs::write(&newest, damaged).expect("a file");
    let why = refusal(directory.path());
    assert!(why.contains(" goes on from ") && why.contains("which is damaged"), "{why}");
    let path = directory.path().to_str().expect("a path");
    let (output, text) = program::run(&["check", path], b"");
    assert_eq!(output.status.code(), Some(1), "{text}");
    let why = "not well: ferrite.manifest: the log goes on from a checkpoint of position 13";
    assert!(text.contains(why), "{text}");
    fs::write(&newest, whole).expect("a file");
    let (output, text) = program::run(&["check", path], b"");
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains(": 2 keys; the log goes on at position "), "{text}");
    let server = start(directory.path(), true);
    let texts = ["1", "2", "3"].map(Raw::bulk).to_vec();
    assert_eq!(server.connect().ask("MGET a b c"), Raw::Array(texts));
}

#[test]
fn a_log_that_begins_amid_a_change_is_well_behind_a_checkpoint() {
    let directory = tempfile::tempdir().expect("a directory");
    {
        let server = start(directory.path(), true);
        let mut connection = server.connect();
        // Longer than a record, so that a segment may begin in the middle of it.
        for number in 0..6 {
            let value = b"v".repeat(10 * MEGABYTE);
            connection.ask_words(&[&b"SET"[..], format!("large:{number}").as_bytes(), &value]);
        }
        assert_eq!(connection.ask("SAVE"), Raw::Simple("OK".into()));
        connection.ask("SET a 1");
    }
    let (output, text) = program::run(&["check", directory.path().to_str().expect("a path")], b"");
    assert_eq!(output.status.code(), Some(0), "{text}");
}

#[test]
fn what_is_in_memory_is_loaded_anew_from_the_log() {
    let directory = tempfile::tempdir().expect("a directory");
    let server = start(directory.path(), true);
    let mut client = server.connect();
    let ok = || Raw::Simple("OK".into());
    client.ask("SET before checkpoint");
    assert_eq!(client.ask("SAVE"), ok());
    for request in ["SET k v PX 5000", "RPUSH l a b", "SELECT 3", "XADD s 1-1 f v", "SELECT 0"] {
        client.ask(request);
    }
    let digest = client.ask("DEBUG DIGEST");
    assert_eq!(client.ask("DEBUG LOADAOF"), ok());
    assert_eq!(client.ask("DEBUG DIGEST"), digest);
    assert_eq!(client.ask("PTTL k"), Raw::Integer(5000));
    // The log goes on behind it, and so do checkpoints.
    client.ask("SET behind it");
    assert_eq!(client.ask("SAVE"), ok());
    client.ask("DEL l");
    let digest = client.ask("DEBUG DIGEST");
    assert_eq!(client.ask("DEBUG LOADAOF"), ok());
    assert_eq!(client.ask("DEBUG DIGEST"), digest);
    // Without a log it is what was saved last.
    assert_eq!(client.ask("CONFIG SET appendonly no"), ok());
    assert_eq!(client.ask("SAVE"), ok());
    client.ask("SET lost x");
    assert_eq!(client.ask("DEBUG LOADAOF"), ok());
    assert_eq!(client.ask("DEBUG DIGEST"), digest);
}

#[test]
fn a_log_cannot_be_turned_on_in_another_servers_directory() {
    let directory = tempfile::tempdir().expect("a directory");
    let _first = start(directory.path(), true);
    let second = start(directory.path(), false);
    let refused = second.connect().ask("CONFIG SET appendonly yes").text();
    assert!(refused.contains("another server (process"), "{refused}");
    assert_eq!(second.connect().ask("SET key value"), Raw::Simple("OK".into()));
}

#[test]
fn a_damaged_log_is_looked_at_and_repaired() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().to_str().expect("a path");
    {
        let server = start(directory.path(), true);
        let mut connection = server.connect();
        for number in 0..10 {
            connection.ask(&format!("SET key:{number} {number}"));
            // Each is a record of its own.
            let both = Raw::Array(vec![Raw::Integer(1), Raw::Integer(0)]);
            assert_eq!(connection.ask("WAITAOF 1 0 0"), both);
        }
        let file = segments(directory.path())[0].clone();
        let (output, text) =
            program::run(&["repair", file.to_str().expect("a path"), "--yes"], b"");
        assert!(
            !output.status.success() && text.contains("a server uses this directory"),
            "{text}"
        );
    }
    let (output, text) = program::run(&["check", path], b"");
    assert!(output.status.success() && text.contains("10 changes"), "{text}");
    let file = segments(directory.path())[0].clone();
    let name = file.to_str().expect("a path");
    let mut bytes = fs::read(&file).expect("a segment");
    let at = bytes.windows(5).position(|part| part == b"key:7").expect("the change");
    bytes[at] = b'K';
    fs::write(&file, &bytes).expect("a segment");
    let refused = refusal(directory.path());
    assert!(refused.contains("ferrite-00000001.log: damaged at offset"), "{refused}");
    let (output, text) = program::run(&["check", path], b"");
    assert!(!output.status.success() && text.contains("not well"), "{text}");
    let (output, text) = program::run(&["repair", name], b"n\n");
    assert!(output.status.success() && text.contains("nothing was changed"), "{text}");
    assert_eq!(fs::read(&file).expect("a segment"), bytes);
    let (output, text) = program::run(&["repair", name], b"y\n");
    assert!(output.status.success() && text.contains("cut at"), "{text}");
    let server = start(directory.path(), true);
    let mut connection = server.connect();
    assert_eq!(connection.ask("DBSIZE"), Raw::Integer(7));
    assert_eq!(connection.ask("GET key:6"), Raw::bulk("6"));
    connection.ask("SET new value");
    drop(server);
    assert_eq!(start(directory.path(), true).connect().ask("DBSIZE"), Raw::Integer(8));
}
