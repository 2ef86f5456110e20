//! The program under kill -9, again and again, with clients that note what they were told.
//!
//! `FERRITE_CRASH_ROUNDS` sets how often; 20 by default.

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use common::program::Program;
use ferrite_tests::random::Random;

const CLIENTS: usize = 4;
const PIPELINE: u64 = 8;

/// A server that is under test.
fn start(directory: &Path, fsync: &str) -> Program {
    let settings = ["--appendonly", "yes", "--appendfsync", fsync, "--io-threads", "2"];
    Program::start(directory, &settings)
}

/// What a client has sent and what it was told, in numbers that grow.
#[derive(Clone, Copy, Default)]
struct Known {
    sent: u64,
    told: u64,
}

/// The requests of one step of a client: all of them hold its number.
fn requests(client: usize, number: u64) -> String {
    format!(
        "SET single:{client} {number}\r\nRPUSH list:{client} {number}\r\nMULTI\r\n\
         SET one:{client} {number}\r\nHSET two:{client} f {number}\r\nEXEC\r\n\
         EVAL \"{SCRIPT}\" 2 script:{client} scripts:{client} {number}\r\n"
    )
}

/// What a script changes is there as a whole as well, and so is what it changed before it failed.
const SCRIPT: &str = "redis.call('SET', KEYS[1], ARGV[1]) redis.call('RPUSH', KEYS[2], ARGV[1]) \
                      redis.call('SELECT', 1) redis.call('SET', KEYS[1], ARGV[1]) \
                      return redis.call('INCR', KEYS[1], 'too many')";

/// Lines of the reply to one step.
const LINES: u64 = 9;

/// Sends steps until the server is gone.
fn work(mut stream: TcpStream, client: usize, known: &Mutex<Known>, told: &AtomicU64) {
    let mut reader = BufReader::new(stream.try_clone().expect("a socket"));
    loop {
        let first = known.lock().expect("no panic").sent + 1;
        let steps: String = (first..first + PIPELINE).map(|n| requests(client, n)).collect();
        known.lock().expect("no panic").sent += PIPELINE;
        if stream.write_all(steps.as_bytes()).is_err() {
            return;
        }
        for number in first..first + PIPELINE {
            for _ in 0..LINES {
                let mut line = String::new();
                let outcome = reader.read_line(&mut line);
                if outcome.is_err() || !line.ends_with('\n') {
                    return;
                }
                assert!(!line.starts_with('-') || line.contains("script: "), "{line}");
            }
            known.lock().expect("no panic").told = number;
            told.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn ask(stream: &mut TcpStream, request: &str) -> String {
    stream.write_all(format!("{request}\r\nPING\r\n").as_bytes()).expect("a server");
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    while !answer.ends_with(b"+PONG\r\n") {
        let count = stream.read(&mut buffer).expect("an answer in time");
        assert!(count > 0, "a server that answers");
        answer.extend_from_slice(&buffer[..count]);
    }
    let text = String::from_utf8(answer).expect("a text");
    text.strip_suffix("+PONG\r\n").expect("it ends so").into()
}

fn number(stream: &mut TcpStream, request: &str) -> u64 {
    let answer = ask(stream, request);
    answer.lines().last().and_then(|line| line.trim_start_matches(':').parse().ok()).unwrap_or(0)
}

/// Looks whether all that a client was told is there, and nothing in part.
fn judge(program: &Program, known: &[Arc<Mutex<Known>>], round: u64, is_strict: bool) {
    let mut stream = program.connect_raw();
    for (client, known) in known.iter().enumerate() {
        let mut known = known.lock().expect("no panic");
        let single = number(&mut stream, &format!("GET single:{client}"));
        let list = number(&mut stream, &format!("LINDEX list:{client} -1"));
        let len = number(&mut stream, &format!("LLEN list:{client}"));
        let one = number(&mut stream, &format!("GET one:{client}"));
        let two = number(&mut stream, &format!("HGET two:{client} f"));
        let Known { sent, told } = *known;
        let what = format!("round {round}, client {client}: told {told}, sent {sent}");
        let script = number(&mut stream, &format!("GET script:{client}"));
        let scripts = number(&mut stream, &format!("LINDEX scripts:{client} -1"));
        let scripts_len = number(&mut stream, &format!("LLEN scripts:{client}"));
        let elsewhere = number(&mut stream, &format!("SELECT 1\r\nGET script:{client}"));
        ask(&mut stream, "SELECT 0");
        assert_eq!(one, two, "{what}: a transaction in part");
        assert_eq!([script; 3], [scripts, scripts_len, elsewhere], "{what}: a script in part");
        assert_eq!(list, len, "{what}: a list with a gap");
        for found in [single, list, one, script] {
            assert!(found <= sent, "{what}: {found} was never sent");
            assert!(!is_strict || found >= told, "{what}: only {found} is there");
        }
        assert!(single >= list && list >= one && one >= script, "{what}: out of order");
        // What was on its way is sent again, all of it.
        let next = single;
        ask(&mut stream, &format!("SET single:{client} {next}"));
        ask(&mut stream, &format!("SET one:{client} {next}"));
        ask(&mut stream, &format!("HSET two:{client} f {next}"));
        for missing in list + 1..=next {
            ask(&mut stream, &format!("RPUSH list:{client} {missing}"));
        }
        for missing in script + 1..=next {
            let keys = format!("script:{client} scripts:{client}");
            ask(&mut stream, &format!("EVAL \"{SCRIPT}\" 2 {keys} {missing}"));
        }
        *known = Known { sent: next, told: next };
    }
}

fn rounds() -> u64 {
    let rounds = std::env::var("FERRITE_CRASH_ROUNDS").ok().and_then(|text| text.parse().ok());
    rounds.unwrap_or(20)
}

fn run(fsync: &str, rounds: u64, is_strict: bool) {
    let directory = tempfile::tempdir().expect("a directory");
    let known: Vec<Arc<Mutex<Known>>> = (0..CLIENTS).map(|_| Arc::default()).collect();
    let mut random = Random::new(7);
    for round in 0..rounds {
        let program = start(directory.path(), fsync);
        judge(&program, &known, round, is_strict);
        let told = Arc::new(AtomicU64::new(0));
        let clients: Vec<_> = known
            .iter()
            .enumerate()
            .map(|(client, known)| {
                let (stream, known, told) =
                    (program.connect_raw(), Arc::clone(known), Arc::clone(&told));
                std::thread::spawn(move || work(stream, client, &known, &told))
            })
            .collect();
        // It dies after some steps, wherever it happens to be then.
        let enough = 20 + random.below(400) as u64;
        while told.load(Ordering::Relaxed) < enough {
            std::thread::yield_now();
        }
        program.kill();
        clients.into_iter().for_each(|client| client.join().expect("a client that ends"));
    }
    let program = start(directory.path(), fsync);
    judge(&program, &known, rounds, is_strict);
    program.kill();
}

#[test]
fn what_was_told_is_there_after_every_kill() {
    run("always", rounds(), true);
}

#[test]
fn nothing_is_there_in_part_after_a_kill() {
    run("everysec", rounds().div_ceil(4), false);
}
