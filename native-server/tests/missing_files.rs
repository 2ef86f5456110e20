//! Files of the log, and checkpoints, that were taken away while the server was down: a start that
//! would lose what was acknowledged is refused, and names the file.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use common::Raw;
use common::program::{self, Program, ferrite};
use ferrite_server::persist::format::{segment_name, segment_number};
use ferrite_server::persist::manifest::Needs;
use tempfile::TempDir;

const MEGABYTE: usize = 1 << 20;
const PATIENCE: Duration = Duration::from_secs(60);
const LOGGED: [&str; 6] = ["--save", "", "--appendonly", "yes", "--appendfsync", "always"];

fn directory() -> TempDir {
    tempfile::tempdir().expect("a directory")
}

fn ok() -> Raw {
    Raw::Simple("OK".into())
}

fn paths(directory: &Path, is_wanted: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).expect("a directory");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let mut paths: Vec<_> = paths.filter(|path| is_wanted(name(path))).collect();
    paths.sort();
    paths
}

fn segments(directory: &Path) -> Vec<PathBuf> {
    paths(directory, |name| segment_number(name).is_some())
}

fn checkpoints(directory: &Path) -> Vec<PathBuf> {
    paths(directory, |name| name.starts_with("checkpoint-"))
}

/// A server that has done what was asked, and was killed.
fn killed(directory: &Path, requests: &[&str]) {
    let last = segments(directory).last().and_then(|path| segment_number(name(path)));
    let program = Program::start(directory, &LOGGED);
    let mut client = program.connect();
    for request in requests {
        assert_eq!(client.ask(request), ok(), "{request}");
    }
    // It writes into the first file behind those, and makes the second ready meanwhile.
    let next = directory.join(segment_name(last.unwrap_or_default() + 2));
    wait_until(|| noted(directory).contains(&next));
    program.kill();
}

fn wait_until(mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "it never happens");
    }
}

fn needs(directory: &Path) -> Needs {
    Needs::read(directory).expect("a manifest").expect("one")
}

/// The files of the log that are noted.
fn noted(directory: &Path) -> Vec<PathBuf> {
    needs(directory)
        .numbers
        .into_iter()
        .map(|number| directory.join(segment_name(number)))
        .collect()
}

/// What a start says, which is refused.
fn refusal(directory: &Path, settings: &[&str]) -> String {
    let mut command = Command::new("timeout");
    command.arg("20").arg(ferrite().get_program()).args(["--port", "0", "--dir"]).arg(directory);
    let (output, text) = program::finish(command.args(settings), b"");
    assert_eq!(output.status.code(), Some(1), "{text}");
    text
}

fn name(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).expect("a name")
}

/// Takes files away; what a start says then, with a log and without, and what `check` says. They
/// are brought back after that.
fn without(directory: &Path, taken: &[PathBuf], expected: &str) {
    let away = |path: &PathBuf| path.with_extension("away");
    taken.iter().for_each(|path| fs::rename(path, away(path)).expect("a file"));
    for settings in [&LOGGED[..], &["--save", ""]] {
        let text = refusal(directory, settings);
        assert!(text.contains(expected), "{expected}: {text}");
        assert!(text.contains("or remove ferrite.manifest to start without"), "{text}");
    }
    let path = directory.to_str().expect("a path");
    let (output, text) = program::run(&["check", path], b"");
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains(&format!("not well: {expected}")), "{expected}: {text}");
    taken.iter().for_each(|path| fs::rename(away(path), path).expect("a file"));
}

#[test]
fn a_file_of_the_log_that_is_missing_is_named() {
    let directory = directory();
    let directory = directory.path();
    killed(directory, &["SET a 1", "SET b 2"]);
    let files = segments(directory);
    for taken in [&files[..1], &files[1..], &files] {
        without(directory, taken, &format!("{}: is missing", name(&taken[0])));
    }
    let program = Program::start(directory, &LOGGED);
    assert_eq!(program.connect().ask("DBSIZE"), Raw::Integer(2));
    program.kill();
    // Several lives later the same holds, of what each has written.
    for number in 0..4 {
        killed(directory, &[&format!("SET key:{number} value")]);
        for file in segments(directory) {
            without(
                directory,
                std::slice::from_ref(&file),
                &format!("{}: is missing", name(&file)),
            );
        }
    }
    // Who knows better can go on without.
    segments(directory).iter().for_each(|file| fs::remove_file(file).expect("a file"));
    fs::remove_file(directory.join("ferrite.manifest")).expect("a manifest");
    let program = Program::start(directory, &LOGGED);
    assert_eq!(program.connect().ask("DBSIZE"), Raw::Integer(0));
}

#[test]
fn a_checkpoint_that_the_log_goes_on_from_is_missed_where_it_is_needed() {
    let directory = directory();
    let directory = directory.path();
    killed(directory, &["SET a 1", "SAVE", "SET b 2"]);
    // The log has everything from its beginning on.
    for file in checkpoints(directory) {
        fs::remove_file(file).expect("a checkpoint");
    }
    let program = Program::start(directory, &LOGGED);
    let mut client = program.connect();
    assert_eq!(client.ask("DBSIZE"), Raw::Integer(2));
    // Now it has not any more; what is in its newest file alone would be there.
    for number in 0..40 {
        let key = format!("large:{number}");
        client.ask_words(&[b"SET", key.as_bytes(), &vec![b'x'; MEGABYTE]]);
    }
    assert_eq!(client.ask("SAVE"), ok());
    wait_until(|| needs(directory).position > 0);
    program.kill();
    let taken = checkpoints(directory);
    without(directory, &taken, "ferrite.manifest: the log goes on from a checkpoint of position");
    let program = Program::start(directory, &LOGGED);
    assert_eq!(program.connect().ask("DBSIZE"), Raw::Integer(42));
    program.kill();
}

#[test]
fn a_log_that_was_closed_is_known_to_its_end() {
    let directory = directory();
    let directory = directory.path();
    let program = Program::start(directory, &LOGGED);
    let mut client = program.connect();
    assert_eq!(client.ask("SET a 1"), ok());
    let file = segments(directory).remove(0);
    let older = fs::read(&file).expect("a segment");
    assert_eq!(client.ask("SET b 2"), ok());
    program.signal("-TERM");
    assert!(program.wait().success());
    // One that was brought back from elsewhere has no more than it had then.
    let newer = fs::read(&file).expect("a segment");
    fs::write(&file, older).expect("a segment");
    for settings in [&LOGGED[..], &["--save", ""]] {
        let text = refusal(directory, settings);
        assert!(
            text.contains("the log ends at position ") && text.contains("was closed at"),
            "{text}"
        );
    }
    fs::write(&file, newer).expect("a segment");
    // A log that was turned off is needed no more once a checkpoint has what it has.
    let program = Program::start(directory, &["--save", ""]);
    let mut client = program.connect();
    assert_eq!(client.ask("DBSIZE"), Raw::Integer(2));
    assert_eq!(client.ask("SAVE"), ok());
    program.kill();
    segments(directory).iter().for_each(|file| fs::remove_file(file).expect("a file"));
    for settings in [&["--save", ""][..], &LOGGED] {
        let program = Program::start(directory, settings);
        assert_eq!(program.connect().ask("DBSIZE"), Raw::Integer(2), "{settings:?}");
    }
}

#[test]
fn a_log_that_was_repaired_is_what_it_is() {
    let directory = directory();
    let directory = directory.path();
    killed(directory, &["SET a 1", "SET b 2"]);
    let files = segments(directory);
    let path = files[0].to_str().expect("a path");
    let (output, text) = program::run(&["repair", path, "--yes"], b"");
    assert!(output.status.success(), "{text}");
    assert_eq!(segments(directory), files[..1], "what stood behind has another name");
    let program = Program::start(directory, &LOGGED);
    assert_eq!(program.connect().ask("DBSIZE"), Raw::Integer(2));
}

#[test]
fn a_manifest_that_is_damaged_is_named() {
    let directory = directory();
    let directory = directory.path();
    killed(directory, &["SET a 1"]);
    let path = directory.join("ferrite.manifest");
    let text = fs::read_to_string(&path).expect("a manifest");
    assert!(text.starts_with("ferrite log manifest 1\nposition 0\nsegments 1-2\n"), "{text}");
    fs::write(&path, text.replace("1-2", "1-3")).expect("a manifest");
    let text = refusal(directory, &LOGGED);
    assert!(text.contains("ferrite.manifest is damaged"), "{text}");
    fs::remove_file(&path).expect("a manifest");
    let program = Program::start(directory, &LOGGED);
    assert_eq!(program.connect().ask("DBSIZE"), Raw::Integer(1));
    assert!(path.exists(), "it is there again");
}
