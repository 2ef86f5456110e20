//! What stands in a server's directory under the name of a file, and is none: it is refused by its
//! name, and nobody waits for a pipe. What a crash has left there goes.

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;

use common::program::{Program, ferrite, finish};
use common::{Raw, TestServer};

const LOG: &str = "ferrite-00000001.log";
const CHECKPOINT: &str = "checkpoint-0000000000000001.ferrite";

fn make_pipe(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().expect("mkfifo").success());
}

/// What the program says, which ends by itself within a few seconds, without success.
fn refusal(arguments: &[&str], directory: &Path) -> String {
    let mut command = Command::new("timeout");
    command.arg("20").arg(ferrite().get_program()).args(arguments);
    let (output, text) = finish(command.current_dir(directory), b"");
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {text}");
    text
}

#[test]
fn what_is_no_file_keeps_a_server_from_starting() {
    let is_not = |name: &str, make: &dyn Fn(&Path), what: &str, settings: &[&str]| {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join(name);
        fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
        make(&path);
        let arguments = [&["--port", "0"], settings].concat();
        let text = refusal(&arguments, directory.path());
        let file = path.file_name().expect("a name").to_str().expect("a text");
        assert!(text.contains(file), "{name}: {text}");
        assert!(text.contains(&format!("it is {what}, and no file")), "{name}: {text}");
        assert!(fs::symlink_metadata(&path).is_ok(), "{name} is still there");
    };
    let make_directory = |path: &Path| fs::create_dir(path).expect("a directory");
    let logged = &["--appendonly", "yes"];
    for settings in [&[][..], logged] {
        is_not(LOG, &make_pipe, "a pipe", settings);
        is_not(LOG, &make_directory, "a directory", settings);
        is_not(CHECKPOINT, &make_pipe, "a pipe", settings);
        is_not(CHECKPOINT, &make_directory, "a directory", settings);
        is_not("dump.rdb", &make_pipe, "a pipe", settings);
        is_not("dump.rdb", &make_directory, "a directory", settings);
    }
    is_not("ferrite.lock", &make_pipe, "a pipe", logged);
    is_not("appendonly.aof", &make_pipe, "a pipe", logged);
    is_not("appendonlydir/appendonly.aof.manifest", &make_pipe, "a pipe", logged);
    let link = |path: &Path| {
        make_pipe(&path.with_extension("pipe"));
        std::os::unix::fs::symlink(path.with_extension("pipe"), path).expect("a link");
    };
    is_not(LOG, &link, "a pipe", logged);
    let socket = |path: &Path| drop(std::os::unix::net::UnixListener::bind(path).expect("one"));
    is_not(CHECKPOINT, &socket, "a socket", logged);
}

#[test]
fn tools_do_not_wait_for_a_pipe() {
    let directory = tempfile::tempdir().expect("a directory");
    make_pipe(&directory.path().join("dump"));
    let is_pipe = "dump: it is a pipe, and no file";
    assert!(refusal(&["import", "dump"], directory.path()).contains(is_pipe));
    assert!(refusal(&["export", "dump"], directory.path()).contains(is_pipe));
    make_pipe(&directory.path().join(LOG));
    for tool in ["check", "repair"] {
        let text = refusal(&[tool, LOG], directory.path());
        assert!(text.contains(LOG) && text.contains("it is a pipe, and no file"), "{text}");
    }
    let text = refusal(&["check", "."], directory.path());
    assert!(text.contains(LOG) && text.contains("it is a pipe, and no file"), "{text}");
}

#[test]
fn files_that_were_never_completed_are_in_nobodys_way() {
    let directory = tempfile::tempdir().expect("a directory");
    let left = ["ferrite-spare.tmp", "ferrite-probe.tmp", "checkpoint-0000000000000007.temporary"];
    for make in [&make_pipe as &dyn Fn(&Path), &|path: &Path| fs::write(path, "x").expect("it")] {
        left.iter().for_each(|name| make(&directory.path().join(name)));
        let settings = ["--appendonly", "yes", "--save", ""];
        let program = Program::start(directory.path(), &settings);
        assert_eq!(program.connect().ask("SET key value"), Raw::Simple("OK".into()));
        program.signal("-TERM");
        assert!(program.wait().success());
        for name in left {
            assert!(fs::symlink_metadata(directory.path().join(name)).is_err(), "{name}");
        }
    }
}

#[test]
fn files_of_the_log_are_no_longer_than_what_they_hold_after_a_restart() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut bytes = 0;
    for number in 0..4 {
        let server = TestServer::start(|config| {
            config.dir = directory.path().to_str().expect("a path").into();
            config.appendonly = true;
            config.appendfsync = "always".into();
        });
        assert_eq!(server.connect().ask("DBSIZE"), Raw::Integer(number));
        server.connect().ask(&format!("SET key:{number} value"));
        drop(server);
        let entries = fs::read_dir(directory.path()).expect("a directory");
        bytes = entries.map(|entry| entry.expect("one").metadata().expect("a file").len()).sum();
    }
    // What is written now, and what comes next.
    assert!(bytes < 3 * (32 << 20), "{bytes} bytes");
}
