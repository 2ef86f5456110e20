//! What becomes of a server whose directory, or a file in it, is taken away while it runs; and what
//! one that ends leaves there.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use common::program::Program;
use common::{Connection, Raw, TestServer};
use ferrite_server::config::Config;
use ferrite_server::persist::format::segment_number;
use ferrite_server::persist::manifest::Needs;
use rustix::process::{Pid, Resource, Rlimit, prlimit};

const PATIENCE: Duration = Duration::from_secs(60);
const MISCONF: &str = "MISCONF Errors writing to the AOF file: ";

fn ok() -> Raw {
    Raw::Simple("OK".into())
}

fn text_of(path: &Path) -> String {
    path.to_str().expect("a path").into()
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "it never happened that {what}");
    }
}

fn start(directory: &Path, configure: impl FnOnce(&mut Config)) -> TestServer {
    TestServer::start(|config| {
        config.dir = text_of(directory);
        config.appendonly = true;
        config.appendfsync = "always".into();
        configure(config);
    })
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("a directory");
    let name = |entry: fs::DirEntry| entry.file_name().into_string().expect("a name");
    entries.map(|entry| name(entry.expect("an entry"))).collect()
}

/// Waits until writes are refused with a line that has these words. Those before may be answered,
/// refused for another reason, or not answered at all.
fn refused(server: &TestServer, words: &str) -> String {
    let end = Instant::now() + PATIENCE;
    let mut client = server.connect();
    loop {
        assert!(Instant::now() < end, "it was never said that {words}");
        client.send("SET lost value");
        if client.is_closed() {
            client = server.connect();
            continue;
        }
        match client.read() {
            Raw::Error(line) if line.starts_with(MISCONF) && line.contains(words) => return line,
            Raw::Error(line) => assert!(line.starts_with(MISCONF), "{line}"),
            answer => assert_eq!(answer, ok()),
        }
    }
}

/// Removes a directory in which the server may be making a file.
fn remove(directory: &Path) {
    wait_until("it is removed", || fs::remove_dir_all(directory).is_ok());
}

/// Writes everything anew, and waits until writes are taken again.
fn begin_again(client: &mut Connection) {
    client.ask("BGREWRITEAOF");
    wait_until("writes are taken again", || client.ask("SET again yes") == ok());
    assert!(client.ask("INFO persistence").text().contains("\r\naof_trouble:none\r\n"));
}

#[test]
fn a_directory_that_was_moved_away_gets_no_writes_and_another_server_none_of_its_files() {
    let place = tempfile::tempdir().expect("a directory");
    let (here, there) = (place.path().join("here"), place.path().join("there"));
    fs::create_dir(&here).expect("a directory");
    let server = start(&here, |_| {});
    let mut client = server.connect();
    assert_eq!(client.ask("SET key value"), ok());
    fs::rename(&here, &there).expect("it moves");
    // One of its name is as good as none.
    fs::create_dir(&here).expect("a directory");
    refused(&server, &format!("the directory {} was removed or replaced", text_of(&here)));
    assert_eq!(client.ask("GET key"), Raw::bulk("value"), "reads go on");
    // It is not this server's any more: somebody else may begin there.
    let other = start(&here, |_| {});
    assert_eq!(other.connect().ask("SET other value"), ok());
    client.ask("BGREWRITEAOF");
    wait_until("it fails", || {
        let info = client.ask("INFO persistence").text();
        info.contains("aof_rewrite_in_progress:0") && info.contains("last_bgrewrite_status:err")
    });
    refused(&server, "was removed or replaced");
    drop(other);
    // What the other has left there is its own.
    let refusal = client.ask("SAVE").text();
    assert!(refusal.contains("was replaced by one that has files of a server"), "{refusal}");
    let other = start(&here, |_| {});
    assert_eq!(other.connect().ask("GET other"), Raw::bulk("value"));
    drop(other);
    remove(&here);
    let refusal = client.ask("SAVE").text();
    assert!(refusal.contains("No such file or directory"), "{refusal}");
    fs::create_dir(&here).expect("a directory");
    // It may be where a file system is to be mounted again: somebody has to want it.
    let refusal = client.ask("SAVE").text();
    assert!(refusal.contains("BGREWRITEAOF writes everything anew"), "{refusal}");
    begin_again(&mut client);
    assert_eq!(client.ask("SET last value"), ok());
    drop((client, server));
    let server = start(&here, |_| {});
    let mut client = server.connect();
    for (key, value) in [("key", "value"), ("again", "yes"), ("last", "value")] {
        assert_eq!(client.ask(&format!("GET {key}")), Raw::bulk(value), "{key}");
    }
    // Where the files were moved to is all that was answered until then.
    drop((client, server));
    assert_eq!(start(&there, |_| {}).connect().ask("GET key"), Raw::bulk("value"));
}

#[test]
fn what_is_written_to_files_that_were_removed_is_not_answered() {
    for fsync in ["always", "everysec"] {
        let place = tempfile::tempdir().expect("a directory");
        let directory = place.path().join("data");
        fs::create_dir(&directory).expect("a directory");
        let server = start(&directory, |config| config.appendfsync = fsync.into());
        let mut client = server.connect();
        assert_eq!(client.ask("SET key value"), ok());
        assert_eq!(client.ask("WAITAOF 1 0 0"), Raw::Array([1, 0].map(Raw::Integer).to_vec()));
        remove(&directory);
        fs::create_dir(&directory).expect("a directory");
        // With 'always' not a single one is.
        client.send("SET lost value");
        if fsync == "always" {
            let closed = client.is_closed() || client.read().text().starts_with("MISCONF");
            assert!(closed, "no answer, or a refusal");
        }
        let mut client = server.connect();
        refused(&server, "removed");
        let count = client.ask("WAITAOF 1 0 1");
        assert_eq!(count, Raw::Array([0, 0].map(Raw::Integer).to_vec()), "{fsync}");
        begin_again(&mut client);
        client.ask("SET last value");
        assert_eq!(client.ask("WAITAOF 1 0 0"), Raw::Array([1, 0].map(Raw::Integer).to_vec()));
        drop((client, server));
        let server = start(&directory, |_| {});
        for key in ["key", "again", "last"] {
            assert_eq!(server.connect().ask(&format!("EXISTS {key}")), Raw::Integer(1), "{key}");
        }
    }
}

#[test]
fn files_of_the_log_that_were_removed_are_noticed() {
    let place = tempfile::tempdir().expect("a directory");
    let directory = place.path();
    let server = start(directory, |_| {});
    let mut client = server.connect();
    assert_eq!(client.ask("SET key value"), ok());
    for name in names(directory).iter().filter(|name| segment_number(name).is_some()) {
        fs::remove_file(directory.join(name)).expect("a file");
    }
    client.send("SET lost value");
    assert!(client.is_closed(), "no answer");
    let mut client = server.connect();
    refused(&server, "the file was removed while it was written");
    begin_again(&mut client);
    drop((client, server));
    let server = start(directory, |_| {});
    assert_eq!(server.connect().ask("GET key"), Raw::bulk("value"));
    assert_eq!(server.connect().ask("GET again"), Raw::bulk("yes"));
}

#[test]
fn a_lock_that_was_removed_is_made_again() {
    let place = tempfile::tempdir().expect("a directory");
    let server = start(place.path(), |_| {});
    fs::remove_file(place.path().join("ferrite.lock")).expect("a file");
    wait_until("there is one", || place.path().join("ferrite.lock").exists());
    assert_eq!(server.connect().ask("SET key value"), ok());
    let refused = |appends: bool| {
        let config = Config {
            dir: text_of(place.path()),
            appendonly: appends,
            port: 0,
            ..Config::default()
        };
        let clock = ferrite_server::clock::Clock::System;
        ferrite_server::server::start(config, clock).err().expect("no server").to_string()
    };
    wait_until("it is locked", || refused(true).starts_with("another server (process "));
}

#[test]
fn a_server_without_a_log_does_not_save_into_another_servers_directory() {
    let place = tempfile::tempdir().expect("a directory");
    let directory = place.path().join("data");
    fs::create_dir(&directory).expect("a directory");
    let plain = || start(&directory, |config| config.appendonly = false);
    let first = plain();
    first.connect().ask("SET key value");
    assert_eq!(first.connect().ask("SAVE"), ok());
    remove(&directory);
    fs::create_dir(&directory).expect("a directory");
    let second = plain();
    second.connect().ask("SET other value");
    assert_eq!(second.connect().ask("SAVE"), ok());
    let refused = first.connect().ask("SAVE").text();
    assert!(refused.contains("was replaced by one that has files of a server"), "{refused}");
    drop(second);
    assert_eq!(plain().connect().ask("GET other"), Raw::bulk("value"));
    // Into one without files it does when it is told to, everything.
    remove(&directory);
    fs::create_dir(&directory).expect("a directory");
    let refused = first.connect().ask("SAVE").text();
    assert!(refused.contains("was removed or replaced"), "{refused}");
    let mut client = first.connect();
    client.ask("BGREWRITEAOF");
    wait_until("it is saved", || {
        client.ask("INFO persistence").text().contains("aof_rewrite_in_progress:0")
    });
    assert_eq!(client.ask("SAVE"), ok());
    drop((client, first));
    assert_eq!(plain().connect().ask("GET key"), Raw::bulk("value"));
}

fn temporaries(directory: &Path) -> Vec<String> {
    let names = names(directory).into_iter();
    names.filter(|name| name.ends_with(".temporary") || name.ends_with(".tmp")).collect()
}

#[test]
fn an_end_leaves_no_checkpoint_that_is_not_whole() {
    for (settings, ending) in [
        (&["--save", ""][..], &["SHUTDOWN", "NOSAVE"][..]),
        (&["--save", "", "--appendonly", "yes"], &["SHUTDOWN", "NOSAVE"]),
        (&["--save", ""], &[]),
    ] {
        let directory = tempfile::tempdir().expect("a directory");
        let directory = directory.path();
        let program = Program::start(directory, settings);
        let mut client = program.connect();
        for number in 0..30 {
            client.ask(&format!("SETRANGE key:{number} 10000000 x"));
        }
        assert_eq!(client.ask("BGSAVE").text(), "Background saving started");
        wait_until("it is being written", || !temporaries(directory).is_empty());
        match ending {
            [] => program.signal("-TERM"),
            words => client.send_words(words),
        }
        assert!(program.wait().success());
        assert_eq!(temporaries(directory), Vec::<String>::new(), "{settings:?} {ending:?}");
    }
}

#[test]
fn a_start_removes_what_a_kill_has_left() {
    let directory = tempfile::tempdir().expect("a directory");
    let directory = directory.path();
    let left = directory.join("checkpoint-0000000000000001.temporary");
    for settings in [&["--save", ""][..], &["--save", "", "--appendonly", "yes"]] {
        fs::write(&left, "half").expect("a file");
        let program = Program::start(directory, settings);
        assert!(!left.exists(), "{settings:?}");
        drop(program);
    }
    // What another server is writing stays.
    let holder = start(directory, |_| {});
    fs::write(&left, "half").expect("a file");
    let program = Program::start(directory, &["--save", ""]);
    assert!(left.exists());
    drop((program, holder));
}

#[test]
fn a_log_that_begins_without_a_checkpoint_promises_nothing() {
    let place = tempfile::tempdir().expect("a directory");
    let directory: PathBuf = place.path().into();
    let server = start(&directory, |config| config.appendonly = false);
    let mut client = server.connect();
    client.ask("SET key value");
    // What is in the way of a checkpoint, and cannot be removed as a file.
    let obstacle = directory.join("checkpoint-0000000000000001.temporary");
    fs::create_dir_all(obstacle.join("full")).expect("a directory");
    assert_eq!(client.ask("CONFIG SET appendonly yes"), ok());
    client.send("SET lost value");
    assert!(client.is_closed() || client.read().text().starts_with(MISCONF), "no answer");
    let mut client = server.connect();
    refused(&server, "the log began without a checkpoint, and none can be written");
    assert_eq!(client.ask("WAITAOF 1 0 1"), Raw::Array([0, 0].map(Raw::Integer).to_vec()));
    // It is tried again by itself.
    fs::remove_dir_all(&obstacle).expect("a directory");
    let end = Instant::now() + PATIENCE;
    while client.ask("SET later value") != ok() {
        server.advance(1_000);
        assert!(Instant::now() < end, "writes are taken again");
    }
    assert_eq!(client.ask("WAITAOF 1 0 0"), Raw::Array([1, 0].map(Raw::Integer).to_vec()));
    drop((client, server));
    let server = start(&directory, |_| {});
    assert_eq!(server.connect().ask("MGET key later"), {
        Raw::Array(["value", "value"].map(Raw::bulk).to_vec())
    });
}

#[test]
fn a_server_without_a_descriptor_left_goes_on_with_its_log() {
    let place = tempfile::tempdir().expect("a directory");
    let settings = ["--save", "", "--appendonly", "yes", "--appendfsync", "always"];
    let settings = [&settings[..], &["--auto-aof-rewrite-percentage", "0"]].concat();
    let program = Program::start(place.path(), &settings);
    // What the server asked for at its start is taken from it.
    let process = i32::try_from(program.id()).ok().and_then(Pid::from_raw);
    let limit = Rlimit { current: Some(64), maximum: Some(64) };
    prlimit(process, Resource::Nofile, limit).expect("a limit");
    let mut client = program.connect();
    let segments = || names(place.path()).iter().filter_map(|name| segment_number(name)).count();
    wait_until("the second file is ready", || {
        let needs = Needs::read(place.path()).expect("a manifest");
        needs.is_some_and(|needs| needs.numbers.len() == 2)
    });
    let crowd: Vec<_> = (0..100).map(|_| program.connect_raw()).collect();
    let open = PathBuf::from(format!("/proc/{}/fd", program.id()));
    wait_until("all are in use", || names(&open).len() >= 64);
    let value = vec![b'x'; 1 << 20];
    // The second file is full at last. A third is made with what the first gives back, unless
    // somebody who waits to be let in is quicker.
    for number in 0..80 {
        let key = format!("key:{}", number % 8);
        match client.ask_words(&[&b"SET"[..], key.as_bytes(), &value]) {
            Raw::Error(line) => {
                assert!(
                    line.starts_with(MISCONF) && line.contains("Too many open files"),
                    "{line}"
                );
            }
            answer => assert_eq!(answer, ok()),
        }
    }
    drop(crowd);
    wait_until("writes are taken again", || client.ask("SET again yes") == ok());
    wait_until("there is a third file", || segments() > 2);
}

#[test]
fn an_end_saves_what_the_log_does_not_have_yet() {
    let place = tempfile::tempdir().expect("a directory");
    let directory = place.path();
    let settings = ["--save", ""];
    let program = Program::start(directory, &settings);
    let mut client = program.connect();
    for number in 0..30 {
        client.ask(&format!("SETRANGE key:{number} 10000000 x"));
    }
    assert_eq!(client.ask("CONFIG SET appendonly yes"), ok());
    assert_eq!(client.ask("SET last value"), ok());
    client.send("SHUTDOWN");
    assert!(program.wait().success());
    let program = Program::start(directory, &["--save", "", "--appendonly", "yes"]);
    assert_eq!(program.connect().ask("DBSIZE"), Raw::Integer(31));
    // Where that cannot be, the server goes on.
    let mut client = program.connect();
    assert_eq!(client.ask("CONFIG SET appendonly no"), ok());
    assert_eq!(client.ask("SET more value"), ok());
    let obstacle = directory.join("checkpoint-0000000000000099.temporary");
    fs::create_dir_all(obstacle.join("full")).expect("a directory");
    assert_eq!(client.ask("CONFIG SET appendonly yes"), ok());
    let refused = Raw::Error("ERR Errors trying to SHUTDOWN. Check logs.".into());
    assert_eq!(client.ask("SHUTDOWN"), refused);
    fs::remove_dir_all(&obstacle).expect("a directory");
    client.send("SHUTDOWN");
    assert!(program.wait().success());
    let program = Program::start(directory, &["--save", "", "--appendonly", "yes"]);
    assert_eq!(program.connect().ask("DBSIZE"), Raw::Integer(32));
}
