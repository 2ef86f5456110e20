//! A real redis-server writes files full of everything, and the server has the same keys once it
//! has loaded them; it writes one, and redis-server has the same.
//!
//! Needs redis-server and libfaketime; where there are none the tests say that they are skipped,
//! and fail in CI.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use common::{Remote, TestServer};
use ferrite_server::rdb::{Options, export, load};
use ferrite_tests::answer::Answer;
use ferrite_tests::family::{Requests, compare};
use ferrite_tests::oracle::Oracle;
use ferrite_tests::random::Random;
use ferrite_tests::subject::{START_MS, Subject};

const STEPS: usize = 4000;
const DATABASES: usize = 3;
/// Polls until redis-server has rewritten its append-only file.
const POLLS_MAX: usize = 100_000;

fn ask(subject: &mut dyn Subject, request: &str) -> Answer {
    subject.ask(&request.split(' ').map(|word| word.as_bytes().to_vec()).collect::<Vec<_>>())
}

/// Values that take each of Redis's encodings, small and large.
fn fill(subject: &mut dyn Subject) {
    let mut set = |request: Vec<String>| {
        let request: Vec<_> = request.into_iter().map(String::into_bytes).collect();
        let answer = subject.ask(&request);
        assert!(!matches!(answer, Answer::Error(_)), "{answer}");
    };
    let words = |words: &str| -> Vec<String> { words.split(' ').map(String::from).collect() };
    for (number, value) in ["7", "-300", "70000", "5000000000", "text", ""].iter().enumerate() {
        set(vec!["SET".into(), format!("string:{number}"), (*value).into()]);
    }
    set(vec!["SET".into(), "string:long".into(), "compressible ".repeat(500)]);
    set(vec!["SET".into(), "string:huge".into(), (0..300_000).map(|n| n.to_string()).collect()]);
    set(words("SET expires x PX 5000"));
    set(words("SET expired x PX 1"));
    for (size, long) in [(3, false), (200, false), (3000, false), (20, true)] {
        let text = |n: usize| if long { format!("{n}").repeat(100) } else { format!("e{n}") };
        let many = |command: &str, kind: &str, item: &dyn Fn(usize) -> Vec<String>| {
            let key = format!("{kind}:{size}:{long}");
            let mut request = vec![command.to_string(), key];
            request.extend((0..size).flat_map(item));
            request
        };
        set(many("RPUSH", "list", &|n| vec![text(n)]));
        set(many("SADD", "set", &|n| vec![text(n)]));
        set(many("SADD", "intset", &|n| vec![(n * 100_000).to_string()]));
        set(many("HSET", "hash", &|n| vec![text(n), n.to_string()]));
        set(many("ZADD", "zset", &|n| vec![format!("{}", n as f64 / 3.0), text(n)]));
        for n in 1..=size.min(500) {
            set(words(&format!("XADD stream:{size}:{long} {n}-1 field {}", text(n))));
        }
    }
    for request in [
        "ZADD infinite -inf a inf b 0 c",
        "XGROUP CREATE stream:200:false group 0",
        "XGROUP CREATE stream:200:false idle $",
        "XREADGROUP GROUP group one COUNT 20 STREAMS stream:200:false >",
        "XREADGROUP GROUP group two COUNT 20 STREAMS stream:200:false >",
        "XACK stream:200:false group 3-1 4-1",
        "XDEL stream:200:false 5-1 199-1",
        "XTRIM stream:500:false MAXLEN 10",
        "PFADD sketch a b c d e",
    ] {
        set(words(request));
    }
}

/// Whether redis-server 7.0 has a command.
fn is_known(name: &str) -> bool {
    let is_about_fields = name.starts_with('H') && name.contains("EXPIRE");
    !is_about_fields && !["HTTL", "HPTTL", "HPERSIST"].contains(&name)
}

/// Random requests of every family, in several databases.
fn stir(subject: &mut dyn Subject, seed: u64) {
    let mut requests = Requests::mixed(Random::new(seed), is_known);
    for step in 0..STEPS {
        if step % 50 == 0 {
            ask(subject, &format!("SELECT {}", requests.random().below(DATABASES)));
        }
        let request = requests.request(START_MS);
        subject.ask(&request);
    }
}

fn contents(subject: &mut dyn Subject) -> Vec<Answer> {
    let mut all = Vec::new();
    for database in 0..DATABASES {
        assert_eq!(ask(subject, &format!("SELECT {database}")), Answer::ok());
        all.push(Answer::Integer(database as i64));
        all.extend(compare::contents(subject));
    }
    all
}

/// Both have the same in every database.
fn check(what: &str, judge: &mut dyn Subject, subject: &mut dyn Subject) {
    let (expected, given) = (contents(judge), contents(subject));
    if let Some((expected, given)) = expected.iter().zip(&given).find(|(one, two)| one != two) {
        panic!("{what}: {expected}, but here {given}");
    }
    assert_eq!(expected.len(), given.len(), "{what}: as many keys");
    assert!(expected.len() > 50, "{what}: {} keys are no proof", expected.len());
}

fn folder_of(oracle: &mut Oracle) -> PathBuf {
    let Answer::Array(answer) = ask(oracle, "CONFIG GET dir") else { panic!("an array") };
    let Answer::Bulk(path) = &answer[1] else { panic!("a path") };
    PathBuf::from(String::from_utf8_lossy(path).into_owned())
}

fn loaded(path: &Path) -> TestServer {
    let server = TestServer::start(|config| config.maxmemory = 256 << 20);
    let databases = &server.shared().databases;
    let summary = load(path, databases, START_MS + 10, Options::default(), &mut |_| {});
    let summary = summary.unwrap_or_else(|fault| panic!("{fault}"));
    assert!(summary.notes.is_empty(), "{:?}", summary.notes);
    server.clock.store(START_MS + 10, Ordering::Relaxed);
    server
}

#[test]
fn what_redis_saves_is_loaded_and_what_is_exported_redis_loads() {
    let Some(mut oracle) = Oracle::start_or_skip() else { return };
    let path = folder_of(&mut oracle).join("dump.rdb");
    for (seed, compression) in [(1, "yes"), (2, "no"), (3, "yes")] {
        oracle.set_clock(START_MS);
        oracle.reset();
        ask(&mut oracle, "SELECT 0");
        fill(&mut oracle);
        stir(&mut oracle, seed);
        ask(&mut oracle, &format!("CONFIG SET rdbcompression {compression}"));
        oracle.set_clock(START_MS + 10);
        assert_eq!(ask(&mut oracle, "SAVE"), Answer::ok());
        let server = loaded(&path);
        let mut remote = Remote::new(&server);
        check("saved by redis-server", &mut oracle, &mut remote);
        let databases = &server.shared().databases;
        let written = export(&path, databases, START_MS + 10, Some(10), &[]).expect("a file");
        let checked = std::process::Command::new("redis-check-rdb").arg(&path).output();
        let checked = checked.expect("redis-check-rdb is where redis-server is");
        assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
        let told = String::from_utf8_lossy(&checked.stdout).into_owned();
        assert!(told.contains(&format!("{} keys read", written.keys)), "{told}");
        assert_eq!(ask(&mut oracle, "DEBUG RELOAD NOSAVE"), Answer::ok());
        check("exported", &mut oracle, &mut remote);
    }
}

/// Waits until redis-server has rewritten its file.
fn await_rewrite(oracle: &mut Oracle) {
    for _ in 0..POLLS_MAX {
        let Answer::Bulk(info) = ask(oracle, "INFO persistence") else { panic!("a text") };
        let info = String::from_utf8_lossy(&info).into_owned();
        let is_busy =
            info.contains("aof_rewrite_in_progress:1") || info.contains("aof_rewrite_scheduled:1");
        if !is_busy {
            assert!(info.contains("aof_last_bgrewrite_status:ok"), "{info}");
            return;
        }
        std::thread::yield_now();
    }
    panic!("redis-server does not end to rewrite its file");
}

#[test]
fn what_redis_appends_is_run_again() {
    let Some(mut oracle) = Oracle::start_or_skip() else { return };
    let folder = folder_of(&mut oracle);
    for (seed, preamble) in [(11, "yes"), (12, "no")] {
        oracle.set_clock(START_MS);
        oracle.reset();
        ask(&mut oracle, "SELECT 0");
        ask(&mut oracle, &format!("CONFIG SET aof-use-rdb-preamble {preamble}"));
        fill(&mut oracle);
        assert_eq!(ask(&mut oracle, "CONFIG SET appendonly yes"), Answer::ok());
        await_rewrite(&mut oracle);
        stir(&mut oracle, seed);
        oracle.set_clock(START_MS + 10);
        // What counts is what redis-server itself makes of the file: it does not append that a
        // BITFIELD of which everything overflows makes a string longer.
        assert_eq!(ask(&mut oracle, "DEBUG LOADAOF"), Answer::ok());
        let server = loaded(&folder.join("appendonlydir"));
        let mut remote = Remote::new(&server);
        check("appended by redis-server", &mut oracle, &mut remote);
        assert_eq!(ask(&mut oracle, "CONFIG SET appendonly no"), Answer::ok());
        fs::remove_dir_all(folder.join("appendonlydir")).expect("a folder to remove");
    }
}
