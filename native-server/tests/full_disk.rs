//! A disk that is really full: a file system in memory, of a few segments, in a mount namespace of
//! the server's own.
//!
//! It takes the right to mount, as root has it, or anybody in a user namespace where the system
//! lets people have one; without, a line says that this was not tested.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::program::{Program, ferrite, finish};
use common::{Connection, Raw, TestServer};

const PATIENCE: Duration = Duration::from_secs(60);
const MEGABYTE: usize = 1 << 20;

/// What mounts the disk over a directory, leaves room for two segments and a little, and becomes
/// the server: `$1` is the directory, and the rest the server's command.
const SCRIPT: &str = r#"
mount -t tmpfs -o size=112m none "$1" || exit 9
head -c 40m /dev/zero > "$1/ballast"
shift
exec "$@"
"#;

/// How one gets a namespace: as root, or as anybody.
const NAMESPACES: [&[&str]; 2] = [&["--mount"], &["--user", "--map-root-user", "--mount"]];

/// A server on that disk.
struct Full {
    program: Program,
    /// Its directory, as seen from here.
    directory: PathBuf,
}

impl Full {
    /// `None` where nobody may mount.
    fn start(mountpoint: &Path, fsync: &str) -> Option<Full> {
        let program = NAMESPACES.iter().find_map(|namespaces| {
            let mut command = Command::new("unshare");
            command.args(*namespaces).args(["sh", "-c", SCRIPT, "sh"]).arg(mountpoint);
            command.arg(ferrite().get_program());
            command.args(["--port", "0", "--bind", "127.0.0.1", "--save", ""]);
            command.args(["--appendonly", "yes", "--appendfsync", fsync]);
            command.args(["--auto-aof-rewrite-percentage", "0", "--dir"]).arg(mountpoint);
            Program::begin(command.stderr(Stdio::null()))
        })?;
        let mountpoint = mountpoint.strip_prefix("/").expect("a path from the root");
        let directory = PathBuf::from(format!("/proc/{}/root", program.id())).join(mountpoint);
        Some(Full { program, directory })
    }
}

/// Writes values of a megabyte until one is refused. How many were not, and why the next was.
fn write_until_refused(connection: &mut Connection, first: usize) -> (usize, String) {
    let end = Instant::now() + PATIENCE;
    for number in first.. {
        assert!(Instant::now() < end, "the disk is full at last");
        let key = format!("key:{}", number % 8);
        let value = [number.to_string().as_bytes(), &vec![b'x'; MEGABYTE]].concat();
        match connection.ask_words(&[&b"SET"[..], key.as_bytes(), &value]) {
            Raw::Error(line) => return (number, line),
            answer => assert_eq!(answer, Raw::Simple("OK".into())),
        }
    }
    unreachable!("numbers do not end")
}

/// How the shell that mounted nothing ends, and `unshare` that may not.
const NOT_MOUNTED: [Option<i32>; 2] = [Some(9), Some(1)];

/// What a server says that cannot start, behind lines of the shell. `None` where nobody may mount.
fn refusal(before: &str, directory: &Path) -> Option<String> {
    NAMESPACES.iter().find_map(|namespaces| {
        let mut command = Command::new("unshare");
        let script = format!("{before}\nshift\n\"$@\" || exit 7");
        command.args(*namespaces).args(["sh", "-c", &script, "sh"]).arg(directory);
        command.arg(ferrite().get_program()).args(["--port", "0", "--appendonly", "yes"]);
        let (output, text) = finish(command.arg("--dir").arg(directory), b"");
        if NOT_MOUNTED.contains(&output.status.code()) {
            return None;
        }
        assert_eq!(output.status.code(), Some(7), "{text}");
        Some(text)
    })
}

#[test]
fn a_start_that_finds_no_room_says_what_it_needs() {
    let place = tempfile::tempdir().expect("a directory");
    let name = place.path().display().to_string();
    for (before, why) in [
        (r#"mount -t tmpfs -o size=8m none "$1" || exit 9"#, "No space left on device"),
        // There is room for less than the lock.
        (
            r#"mount -t tmpfs -o size=64k none "$1" || exit 9
               cat /dev/zero > "$1/ballast" 2> /dev/null"#,
            "No space left on device",
        ),
        ("ulimit -f 2048", "File too large"),
    ] {
        let Some(text) = refusal(before, place.path()) else {
            println!("skipped: nobody may mount a file system here");
            return;
        };
        assert!(text.starts_with("ferrite: cannot "), "{text}");
        assert!(text.contains(&name) && text.contains(why), "{text}");
        assert!(text.contains("32 MB") && text.lines().count() == 1, "{text}");
    }
}

fn run(fsync: &str) {
    let mountpoint = tempfile::tempdir().expect("a directory");
    let Some(Full { program, directory }) = Full::start(mountpoint.path(), fsync) else {
        println!("skipped: nobody may mount a file system here");
        return;
    };
    let (mut writes, mut reads) = (program.connect(), program.connect());
    let (count, refused) = write_until_refused(&mut writes, 0);
    let what = format!("{fsync}, after {count} writes");
    assert!(count > 8, "{what}");
    assert!(refused.starts_with("MISCONF Errors writing to the AOF file: "), "{what}: {refused}");
    assert!(refused.contains("No space left on device"), "{what}: {refused}");
    // Reads go on, and see what was answered.
    let last =
        |number: usize| format!("GETRANGE key:{} 0 {}", number % 8, number.to_string().len() - 1);
    assert_eq!(reads.ask(&last(count - 1)), Raw::bulk(&(count - 1).to_string()), "{what}");
    let info = reads.ask("INFO persistence").text();
    assert!(
        info.contains("aof_trouble:full") && info.contains("aof_last_write_status:err"),
        "{info}"
    );
    assert!(reads.ask("DEL key:0").text().starts_with("MISCONF"), "{what}");
    assert_eq!(reads.ask("DBSIZE"), Raw::Integer(8), "{what}");
    // There is room again.
    fs::remove_file(directory.join("ballast")).expect("the ballast");
    let end = Instant::now() + PATIENCE;
    while reads.ask("SET back yes") != Raw::Simple("OK".into()) {
        assert!(Instant::now() < end, "{what}: writes come back");
    }
    let info = reads.ask("INFO persistence").text();
    assert!(
        info.contains("aof_trouble:none") && info.contains("aof_last_write_status:ok"),
        "{info}"
    );
    let both = Raw::Array(vec![Raw::Integer(1), Raw::Integer(0)]);
    assert_eq!(reads.ask("WAITAOF 1 0 0"), both, "{what}");
    // What is on the disk has all that was answered, and nothing else.
    let copy = tempfile::tempdir().expect("a directory");
    for entry in fs::read_dir(&directory).expect("the directory") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name");
        fs::copy(&path, copy.path().join(name)).expect("a copy");
    }
    drop(program);
    let server = TestServer::start(|config| {
        config.dir = copy.path().to_str().expect("a path").into();
        config.appendonly = true;
    });
    let mut connection = server.connect();
    assert_eq!(connection.ask("DBSIZE"), Raw::Integer(9), "{what}");
    assert_eq!(connection.ask("GET back"), Raw::bulk("yes"), "{what}");
    for number in count - 8..count {
        assert_eq!(connection.ask(&last(number)), Raw::bulk(&number.to_string()), "{what}");
    }
}

#[test]
fn writes_are_refused_while_there_is_no_room_and_come_back_with_it() {
    for fsync in ["always", "everysec", "no"] {
        run(fsync);
    }
}
