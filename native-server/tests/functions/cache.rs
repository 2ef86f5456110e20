//! Compiled code on disk: what was compiled once is not compiled again, and nothing but what this
//! server's user sealed is ever run.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::common::{Connection, Raw, TestServer};
use crate::guest::{single, words};

/// A server whose compiled code is in a folder of this directory.
fn server(directory: &Path, bytes_max: u64) -> TestServer {
    TestServer::start(|config| {
        config.dir = directory.display().to_string();
        config.function_cache_dir = "code".into();
        config.function_cache_size = bytes_max;
    })
}

fn directory() -> TempDir {
    tempfile::tempdir().expect("a directory")
}

const ROOM: u64 = 1 << 20;

/// A module of its own for each number.
fn numbered(number: i32) -> Vec<u8> {
    single("f", "", "i64", &format!(r#"(func (export "f") (result i64) (i64.const {number}))"#))
}

/// How many modules were compiled and how many fetched, and what there is to say of the folder.
fn figures(client: &mut Connection) -> (String, String, String) {
    let info = client.ask("INFO functions").text();
    let figure = |name: &str| {
        let line = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.unwrap_or_else(|| panic!("{name} in {info}")).to_string()
    };
    (figure("functions_compiled"), figure("functions_fetched"), figure("functions_cache"))
}

/// Starts a server, loads the module of a number and calls it.
fn loads(directory: &Path, number: i32) -> (String, String, String) {
    let server = server(directory, ROOM);
    let mut client = server.connect();
    client.load(&numbered(number));
    assert_eq!(client.ask("FCALL f 0"), Raw::Integer(number.into()));
    figures(&mut client)
}

fn told(compiled: u32, fetched: u32, state: &str) -> (String, String, String) {
    (compiled.to_string(), fetched.to_string(), state.into())
}

/// The files with code.
fn code(directory: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(directory.join("code")).expect("the folder");
    let paths = files.map(|file| file.expect("a file").path());
    let mut code: Vec<PathBuf> =
        paths.filter(|path| path.extension().is_some_and(|end| end == "code")).collect();
    code.sort();
    code
}

#[test]
fn the_second_start_does_not_compile() {
    let directory = directory();
    assert_eq!(loads(directory.path(), 1), told(1, 0, "on"));
    assert_eq!(loads(directory.path(), 1), told(0, 1, "on"));
    assert_eq!(loads(directory.path(), 2), told(1, 0, "on"));
    let mode = |path: &Path| fs::metadata(path).expect("it is there").mode() & 0o7777;
    assert_eq!(mode(&directory.path().join("code")), 0o700);
    assert_eq!(mode(&directory.path().join("code/key")), 0o600);
    let code = code(directory.path());
    assert_eq!(code.len(), 2);
    code.iter().for_each(|path| assert_eq!(mode(path), 0o600));
    assert_eq!(fs::read_dir(directory.path().join("code")).expect("the folder").count(), 3);
}

#[test]
fn what_many_load_at_once_is_compiled_once() {
    let server = TestServer::plain();
    let request = words(&[b"FUNCTION", b"LOAD", b"REPLACE", &numbered(3)]);
    let mut clients: Vec<Connection> = (0..8).map(|_| server.connect()).collect();
    clients.iter_mut().for_each(|client| client.send_words(&request));
    for client in &mut clients {
        assert_eq!(client.read(), Raw::bulk("lib"));
    }
    assert_eq!(figures(&mut clients[0]), told(1, 0, "off"));
}

#[test]
fn libraries_that_are_recovered_are_not_compiled() {
    let directory = directory();
    let start = || {
        TestServer::start(|config| {
            config.dir = directory.path().display().to_string();
            config.function_cache_dir = "code".into();
            config.appendonly = true;
        })
    };
    let before = start();
    before.connect().load(&numbered(7));
    drop(before);
    let server = start();
    let mut client = server.connect();
    assert_eq!(client.ask("FCALL f 0"), Raw::Integer(7));
    assert_eq!(figures(&mut client), told(0, 1, "on"));
}

#[test]
fn what_was_tampered_with_is_not_run() {
    let directory = directory();
    loads(directory.path(), 1);
    let first = code(directory.path()).remove(0);
    let sound = fs::read(&first).expect("the code");
    loads(directory.path(), 2);
    let second = code(directory.path()).into_iter().find(|path| *path != first).expect("another");
    let others = fs::read(second).expect("the code");
    let broken = |at: usize| {
        let mut broken = sound.clone();
        broken[at] ^= 1;
        broken
    };
    let cut = sound[..sound.len() / 2].to_vec();
    let longer = [&sound[..], b"x"].concat();
    let forged = [broken(0), broken(20), broken(sound.len() / 2), cut, longer, Vec::new(), others];
    for code in forged {
        fs::write(&first, &code).expect("it can be written");
        assert_eq!(loads(directory.path(), 1), told(1, 0, "on"));
        // It was written anew.
        assert_eq!(loads(directory.path(), 1), told(0, 1, "on"));
    }
    // Another key did not seal it.
    fs::write(directory.path().join("code/key"), [7; 32]).expect("it can be written");
    assert_eq!(loads(directory.path(), 1), told(1, 0, "on"));
    // One that is no key is replaced.
    fs::write(directory.path().join("code/key"), b"short").expect("it can be written");
    assert_eq!(loads(directory.path(), 1), told(1, 0, "on"));
    assert_eq!(loads(directory.path(), 1), told(0, 1, "on"));
}

#[test]
fn a_folder_that_others_have_rights_to_is_refused() {
    let check = |prepare: &dyn Fn(&Path)| {
        let directory = directory();
        loads(directory.path(), 1);
        let there = code(directory.path());
        prepare(&directory.path().join("code"));
        assert_eq!(loads(directory.path(), 1), told(1, 0, "refused"));
        assert_eq!(loads(directory.path(), 2), told(1, 0, "refused"));
        assert_eq!(code(directory.path()), there, "nothing is written");
    };
    let mode = |path: &Path, mode| {
        fs::set_permissions(path, Permissions::from_mode(mode)).expect("it is the test's own");
    };
    // Only who may do anything can give a folder away.
    let (given, stranger) = (directory(), Some(1));
    if chown(given.path(), stranger, None).is_ok() {
        check(&|folder| chown(folder, stranger, None).expect("it was possible before"));
        let key = |folder: &Path| chown(folder.join("key"), stranger, None);
        check(&|folder| key(folder).expect("it was possible before"));
    }
    check(&|folder| mode(folder, 0o702));
    check(&|folder| mode(folder, 0o720));
    check(&|folder| mode(folder, 0o755));
    check(&|folder| mode(&folder.join("key"), 0o640));
    check(&|folder| mode(&folder.join("key"), 0o602));
    check(&|folder| {
        fs::rename(folder.join("key"), folder.join("other")).expect("it is the test's own");
        symlink(folder.join("other"), folder.join("key")).expect("a link");
    });
}

#[test]
fn a_folder_that_cannot_be_made_keeps_nobody_from_loading() {
    let directory = directory();
    fs::write(directory.path().join("code"), b"a file").expect("it can be written");
    assert_eq!(loads(directory.path(), 1), told(1, 0, "refused"));
}

#[test]
fn the_folder_is_bounded_and_the_oldest_goes() {
    let directory = directory();
    loads(directory.path(), 0);
    let bytes = fs::metadata(&code(directory.path())[0]).expect("the code").len();
    // Room for three of them, whose lengths may differ a little.
    let server = server(directory.path(), 3 * bytes + bytes / 2);
    let mut client = server.connect();
    for number in 0..8 {
        client.load(&numbered(number));
        // What is loaded all the time was of use just now.
        client.load(&numbered(0));
        let code = code(directory.path());
        let total: u64 = code.iter().map(|path| fs::metadata(path).expect("a file").len()).sum();
        assert!(total + 32 <= 3 * bytes + bytes / 2, "{total} bytes in {} files", code.len());
    }
    assert_eq!(code(directory.path()).len(), 3);
    drop(server);
    assert_eq!(loads(directory.path(), 0), told(0, 1, "on"));
    assert_eq!(loads(directory.path(), 7), told(0, 1, "on"));
    assert_eq!(loads(directory.path(), 1), told(1, 0, "on"));
}

#[test]
fn without_room_nothing_is_kept() {
    let directory = directory();
    let server = server(directory.path(), 100);
    let mut client = server.connect();
    client.load(&numbered(1));
    assert_eq!(figures(&mut client), told(1, 0, "on"));
    assert_eq!(code(directory.path()), Vec::<PathBuf>::new());
    let off = TestServer::plain();
    let mut client = off.connect();
    client.load(&numbered(1));
    assert_eq!(figures(&mut client), told(1, 0, "off"));
}
