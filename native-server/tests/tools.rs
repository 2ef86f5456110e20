//! The program's tools: what they are called with, and what they do about a file of the log whose
//! head is damaged.

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::program::{Program, ferrite, finish, run};
use common::{Connection, Raw};
use ferrite_server::persist::format::segment_number;

const LOGGED: [&str; 6] = ["--appendonly", "yes", "--appendfsync", "always", "--save", ""];

fn text_of(path: &Path) -> &str {
    path.to_str().expect("a path")
}

fn segments(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).expect("a directory");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let is_segment =
        |path: &PathBuf| segment_number(text_of(path.file_name().expect("a name").as_ref()));
    let mut found: Vec<PathBuf> = paths.filter(|path| is_segment(path).is_some()).collect();
    found.sort();
    found
}

/// A server that does this, and is ended. Its log has a file more then.
fn serve(directory: &Path, requests: &[&str]) {
    let program = Program::start(directory, &LOGGED);
    let mut client = program.connect();
    for request in requests {
        let answer = client.ask(request);
        assert!(!matches!(answer, Raw::Error(_)), "{request}: {answer:?}");
    }
    program.signal("-TERM");
    assert!(program.wait().success());
}

fn keys(client: &mut Connection) -> Vec<String> {
    let Raw::Array(keys) = client.ask("KEYS *") else { panic!("an array") };
    let mut keys: Vec<String> = keys.iter().map(Raw::text).collect();
    keys.sort();
    keys
}

fn found(directory: &Path) -> Vec<String> {
    keys(&mut Program::start(directory, &LOGGED).connect())
}

/// Why a server does not start.
fn refusal(directory: &Path) -> String {
    let mut command = ferrite();
    command.args(LOGGED).args(["--port", "0", "--dir"]).arg(directory);
    let (output, text) = finish(&mut command, b"");
    assert_eq!(output.status.code(), Some(1), "{text}");
    text
}

/// Damages it in different ways.
fn damage_head(path: &Path) -> Vec<u8> {
    let mut bytes = fs::read(path).expect("a segment");
    // Its salt.
    bytes[17] ^= 1;
    fs::write(path, &bytes).expect("a segment");
    bytes
}

#[test]
fn a_file_of_the_log_without_its_head_is_set_aside_with_those_that_need_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let directory = directory.path();
    for request in ["SET a 1", "SET b 2", "SET c 3"] {
        serve(directory, &[request]);
    }
    let files = segments(directory);
    let holds = |text: &[u8]| {
        let found = files.iter().find(|file| {
            fs::read(file).expect("a segment").windows(text.len()).any(|part| part == text)
        });
        found.expect("a file that has it").clone()
    };
    let (second, third) = (holds(b"\x01b\x01\x32"), holds(b"\x01c\x01\x33"));
    let bytes = damage_head(&second);
    let behind = fs::read(&third).expect("a segment");
    let refused = refusal(directory);
    assert!(refused.contains(text_of(second.file_name().expect("a name").as_ref())), "{refused}");
    assert!(refused.contains("the head of the segment is damaged"), "{refused}");
    let (output, text) = run(&["repair", text_of(&second)], b"n\n");
    assert!(output.status.success() && text.contains("nothing was changed"), "{text}");
    assert_eq!(segments(directory), files);
    // What was set aside once stays.
    let taken = second.with_extension("log.lost");
    fs::write(&taken, "precious").expect("a file");
    let (output, text) = run(&["repair", text_of(&second)], b"y\n");
    assert!(output.status.success() && text.contains("no record in it can be read"), "{text}");
    assert_eq!(fs::read_to_string(&taken).expect("a file"), "precious");
    assert_eq!(fs::read(second.with_extension("log.lost.2")).expect("a file"), bytes);
    assert_eq!(fs::read(third.with_extension("log.lost")).expect("a file"), behind);
    assert_eq!(found(directory), ["a"]);
}

#[test]
fn what_a_checkpoint_has_is_not_lost_with_a_file_of_the_log() {
    let directory = tempfile::tempdir().expect("a directory");
    let directory = directory.path();
    serve(directory, &["SET a 1"]);
    let first = segments(directory)[0].clone();
    let kept = fs::read(&first).expect("a segment");
    serve(directory, &["SAVE", "SET b 2"]);
    // As if there had been no time to remove it.
    fs::write(&first, &kept).expect("a segment");
    damage_head(&first);
    assert!(refusal(directory).contains("the head of the segment is damaged"));
    let files = segments(directory).len();
    let (output, text) = run(&["repair", "--yes", text_of(&first)], b"");
    assert!(output.status.success(), "{text}");
    assert!(text.contains("a checkpoint has what was in it"), "{text}");
    assert_eq!(segments(directory).len(), files - 1);
    assert_eq!(found(directory), ["a", "b"]);
}

#[test]
fn check_says_what_a_start_does() {
    let directory = tempfile::tempdir().expect("a directory");
    let directory = directory.path();
    for request in ["SET a 1", "SET b 2"] {
        serve(directory, &[request]);
    }
    let first = segments(directory)[0].clone();
    let bytes = fs::read(&first).expect("a segment");
    let is_refused = |what: &str| {
        refusal(directory);
        let (output, text) = run(&["check", text_of(directory)], b"");
        assert_eq!(output.status.code(), Some(1), "{what}: {text}");
        fs::write(&first, &bytes).expect("a segment");
    };
    let mut damaged = bytes.clone();
    damaged[600] ^= 1;
    damaged[512] ^= 1;
    fs::write(&first, damaged).expect("a segment");
    is_refused("its first record");
    for len in [0, 7, 40, 511] {
        fs::write(&first, &bytes[..len]).expect("a segment");
        is_refused("it is shorter than its head");
    }
    assert_eq!(found(directory), ["a", "b"]);
}

#[test]
fn what_another_version_wrote_is_not_touched() {
    let directory = tempfile::tempdir().expect("a directory");
    serve(directory.path(), &["SET a 1"]);
    let first = segments(directory.path())[0].clone();
    let mut bytes = fs::read(&first).expect("a segment");
    bytes[8] = 9;
    let sum = crc32c::crc32c(&bytes[..32]);
    bytes[32..36].copy_from_slice(&sum.to_le_bytes());
    fs::write(&first, &bytes).expect("a segment");
    let (output, text) = run(&["repair", "--yes", text_of(&first)], b"");
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("the log is of version 9; this server reads version 1"), "{text}");
    assert_eq!(fs::read(&first).expect("a segment"), bytes);
}

#[test]
fn help_is_no_file() {
    let directory = tempfile::tempdir().expect("a directory");
    for tool in ["run", "check", "repair", "import", "export"] {
        let mut command = ferrite();
        let (output, text) = finish(command.current_dir(&directory).args([tool, "--help"]), b"");
        assert!(output.status.success(), "{tool}: {text}");
        assert!(text.starts_with("ferrite: a server that speaks"), "{tool}: {text}");
    }
    assert_eq!(fs::read_dir(&directory).expect("a directory").count(), 0);
}

#[test]
fn options_that_a_tool_does_not_have_are_named() {
    let directory = tempfile::tempdir().expect("a directory");
    for arguments in [
        &["check", "--all", "x"][..],
        &["repair", "ferrite-00000001.log", "--force"],
        &["import", "--all", "x"],
        &["export", "--all"],
        &["export", "x", "--all"],
        &["import", "x", "--all"],
    ] {
        let mut command = ferrite();
        let (output, text) = finish(command.current_dir(&directory).args(arguments), b"");
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {text}");
        let named = arguments.iter().find(|word| word.starts_with("--")).expect("an option");
        assert!(text.contains(named), "{arguments:?}: {text}");
    }
    assert_eq!(fs::read_dir(&directory).expect("a directory").count(), 0);
}

#[test]
fn a_file_whose_name_begins_with_a_dash_is_behind_two_or_in_a_directory() {
    let directory = tempfile::tempdir().expect("a directory");
    serve(directory.path(), &["SET a 1"]);
    for arguments in [&["export", "--", "--help"][..], &["export", "./-a.rdb"]] {
        let mut command = ferrite();
        let (output, text) = finish(command.current_dir(&directory).args(arguments), b"");
        assert!(output.status.success(), "{arguments:?}: {text}");
        let name = arguments.last().expect("a name");
        assert!(fs::metadata(directory.path().join(name)).is_ok_and(|file| file.len() > 0));
    }
}
