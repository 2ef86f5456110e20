//! How many files the process may have open: the server asks for as many as its clients need, and
//! has no more clients than it gets files for.

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;

use common::program::{Program, finish};
use common::{Connection, Raw};
use tempfile::TempDir;

/// What a server with one I/O thread needs beside its clients.
const RESERVED: u64 = 68;

fn directory() -> TempDir {
    tempfile::tempdir().expect("a directory")
}

/// The program under a limit, which it may raise up to another.
fn limited(soft: u32, hard: u32, directory: &Path, settings: &[&str]) -> Command {
    let mut command = Command::new("sh");
    let line = format!("ulimit -Sn {soft} && ulimit -Hn {hard} && exec \"$0\" \"$@\"");
    command.args(["-c", &line, env!("CARGO_BIN_EXE_ferrite"), "--port", "0", "--dir"]);
    command.arg(directory).args(["--bind", "127.0.0.1"]).args(settings);
    command
}

fn start(soft: u32, hard: u32, directory: &Path, settings: &[&str]) -> Program {
    Program::begin(&mut limited(soft, hard, directory, settings)).expect("a server that starts")
}

/// How many files a process may have open, and up to how many it may raise that.
fn limits(program: &Program) -> [u64; 2] {
    let text = fs::read_to_string(format!("/proc/{}/limits", program.id())).expect("its limits");
    let line = text.lines().find_map(|line| line.strip_prefix("Max open files"));
    let mut words = line.expect("a limit").split_ascii_whitespace();
    [0; 2].map(|_| words.next().and_then(|word| word.parse().ok()).expect("a number"))
}

fn maxclients(client: &mut Connection) -> String {
    let Raw::Array(pair) = client.ask("CONFIG GET maxclients") else { panic!("a pair") };
    pair[1].text()
}

#[test]
fn the_limit_is_raised_to_what_the_clients_need() {
    let directory = directory();
    let program = start(100, 3_000, directory.path(), &["--maxclients", "1000"]);
    assert_eq!(limits(&program), [1_000 + RESERVED, 3_000]);
    assert!(
        program.said.contains(" * 1068 files may be open, where 100 might be"),
        "{}",
        program.said
    );
    let mut client = program.connect();
    assert_eq!(maxclients(&mut client), "1000");
    assert_eq!(client.ask("CONFIG SET maxclients 2000").text(), "OK");
    assert_eq!(limits(&program), [2_000 + RESERVED, 3_000]);
    // What is allowed is never taken back.
    assert_eq!(client.ask("CONFIG SET maxclients 10").text(), "OK");
    assert_eq!(limits(&program), [2_000 + RESERVED, 3_000]);
    let refused = client.ask("CONFIG SET maxclients 2933 timeout 7").text();
    let reason = "The operating system is not able to handle the specified number of clients, try \
                  with 2932";
    let argument = "(possibly related to argument 'maxclients')";
    assert_eq!(refused, format!("ERR CONFIG SET failed {argument} - {reason}"));
    assert_eq!(maxclients(&mut client), "10");
    assert_eq!(client.ask("CONFIG SET maxclients 2932").text(), "OK");
    assert_eq!(limits(&program), [3_000, 3_000]);
}

#[test]
fn where_it_cannot_be_there_are_fewer_clients_and_each_of_them_is_served() {
    let directory = directory();
    let settings = ["--io-threads", "2", "--appendonly", "yes"];
    let program = start(100, 300, directory.path(), &settings);
    let line = " # maxclients 10000 needs 10072 open files, and 300 are allowed (ulimit -n): there \
                is room for 228 clients, and maxclients is lowered to that";
    assert!(program.said.contains(line), "{}", program.said);
    let mut clients: Vec<Connection> = (0..228).map(|_| program.connect()).collect();
    for (served, client) in clients.iter_mut().enumerate() {
        assert_eq!(client.ask("INCR served"), Raw::Integer(served as i64 + 1));
    }
    // The files of one more are there to tell it so, and those of whatever the server does.
    for _ in 0..3 {
        let refused = program.connect().read();
        assert_eq!(refused, Raw::Error("ERR max number of clients reached".into()));
    }
    for request in ["SAVE", "BGREWRITEAOF", "EVAL return(1) 0", "INFO"] {
        let reply = clients[0].ask(request);
        assert!(!matches!(reply, Raw::Error(_)), "{request}: {reply:?}");
    }
    assert_eq!(maxclients(&mut clients[227]), "228");
}

#[test]
fn too_few_for_anybody_stop_the_start() {
    let directory = directory();
    let (output, text) = finish(&mut limited(68, 68, directory.path(), &[]), b"");
    assert_eq!(output.status.code(), Some(1), "{text}");
    let line = "ferrite: maxclients 10000 needs 10068 open files, and 68 are allowed (ulimit -n): \
                there is room for 0 clients, and the server needs more to start";
    assert!(text.contains(line), "{text}");
}
