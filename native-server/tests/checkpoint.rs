//! Checkpoints as files: what is written comes back; what is damaged is refused, or the one before
//! is taken; disks that refuse leave everything as it was.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use ferrite_engine::{Policy, SetOptions, Value};
use ferrite_server::checkpoint::{CheckpointError, load, save};
use ferrite_server::database::Databases;
use ferrite_server::news::News;
use ferrite_tests::subject::START_MS;
use tempfile::TempDir;

fn databases(count: usize) -> Databases {
    Databases::new(count, 64 << 20, Policy::NoEviction, || 7, &Arc::new(News::default()))
}

fn directory() -> TempDir {
    tempfile::tempdir().expect("a directory")
}

fn set(databases: &Databases, index: usize, key: &str, value: &str) {
    let mut held = databases.hold();
    let mut cx = held.get(index).keys.at(START_MS);
    cx.set(key.as_bytes(), value.as_bytes(), &SetOptions::default()).expect("room");
}

fn get(databases: &Databases, index: usize, key: &str) -> Option<String> {
    let mut held = databases.hold();
    let mut cx = held.get(index).keys.at(START_MS);
    let value = cx.get(key.as_bytes()).expect("a string");
    value.map(|value: Value<'_>| {
        String::from_utf8(value.parts().flatten().copied().collect()).expect("a text")
    })
}

fn fill(databases: &Databases, keys: usize) {
    for number in 0..keys {
        set(databases, number % 2, &format!("key:{number}"), &format!("value {number}"));
    }
}

fn validate(databases: &Databases) {
    databases.each(|index, database| {
        database.keys.validate().unwrap_or_else(|broken| panic!("database {index}: {broken}"));
    });
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("a directory");
    let name = |entry: fs::DirEntry| entry.file_name().into_string().expect("a name");
    let mut names: Vec<String> = entries.map(|entry| name(entry.expect("an entry"))).collect();
    names.sort();
    names
}

#[test]
fn what_is_saved_is_loaded() {
    let (directory, from, to) = (directory(), databases(4), databases(4));
    fill(&from, 10_000);
    let saved =
        save(&from, directory.path(), || 42, || b"functions".to_vec()).expect("a checkpoint");
    assert!(saved.is_full && saved.log_position == 42);
    assert_eq!(names(directory.path()), ["checkpoint-0000000000000001.ferrite"]);
    let loaded = load(directory.path(), &to).expect("it is whole").expect("there is one");
    assert_eq!((loaded.log_position, loaded.extra.as_slice()), (42, &b"functions"[..]));
    assert!(loaded.damaged.is_empty());
    for number in 0..10_000 {
        let value = get(&to, number % 2, &format!("key:{number}"));
        assert_eq!(value, Some(format!("value {number}")));
    }
    validate(&to);
}

#[test]
fn what_follows_has_only_what_changed() {
    let (directory, from) = (directory(), databases(2));
    fill(&from, 20_000);
    let full = save(&from, directory.path(), || 1, Vec::new).expect("a checkpoint");
    set(&from, 0, "key:0", "changed");
    let second = save(&from, directory.path(), || 2, Vec::new).expect("a checkpoint");
    assert!(!second.is_full && second.bytes < full.bytes / 10, "{second:?} after {full:?}");
    from.hold().get(1).keys.at(START_MS).flush();
    set(&from, 1, "key:new", "value");
    let third = save(&from, directory.path(), || 3, Vec::new).expect("a checkpoint");
    assert!(!third.is_full);
    let to = databases(2);
    let loaded = load(directory.path(), &to).expect("they are whole").expect("there are some");
    assert_eq!(loaded.log_position, 3);
    validate(&to);
    assert_eq!(get(&to, 0, "key:0").as_deref(), Some("changed"));
    assert_eq!(get(&to, 0, "key:2").as_deref(), Some("value 2"));
    assert_eq!(get(&to, 1, "key:1"), None);
    assert_eq!(get(&to, 1, "key:new").as_deref(), Some("value"));
    // What was loaded can be followed as well.
    set(&to, 0, "key:0", "again");
    let fourth = save(&to, directory.path(), || 4, Vec::new).expect("a checkpoint");
    assert!(!fourth.is_full && names(directory.path()).len() == 4);
    // Where everything changed nothing is won by following.
    fill(&to, 20_000);
    assert!(!save(&to, directory.path(), || 5, Vec::new).expect("a checkpoint").is_full);
    let last = save(&to, directory.path(), || 6, Vec::new).expect("a checkpoint");
    assert!(last.is_full);
    assert_eq!(names(directory.path()), ["checkpoint-0000000000000006.ferrite"]);
    let again = databases(2);
    load(directory.path(), &again).expect("it is whole").expect("there is one");
    validate(&again);
    assert_eq!(get(&again, 0, "key:0").as_deref(), Some("value 0"));
}

#[test]
fn swapped_databases_are_saved_as_they_are() {
    let (directory, from) = (directory(), databases(3));
    fill(&from, 1_000);
    save(&from, directory.path(), || 1, Vec::new).expect("a checkpoint");
    {
        let mut held = from.hold();
        let (one, other) = held.get_two(0, 2);
        one.swap_keys(other, START_MS);
    }
    save(&from, directory.path(), || 2, Vec::new).expect("a checkpoint");
    let to = databases(3);
    load(directory.path(), &to).expect("they are whole").expect("there are some");
    validate(&to);
    assert_eq!(get(&to, 0, "key:0"), None);
    assert_eq!(get(&to, 1, "key:1").as_deref(), Some("value 1"));
    assert_eq!(get(&to, 2, "key:0").as_deref(), Some("value 0"));
}

/// One byte after the other is another one, one length after the other too short; where blocks
/// begin and end each of them, within them some.
#[test]
fn damage_is_found_wherever_it_is() {
    let (directory, from) = (directory(), databases(2));
    set(&from, 0, "key", "value");
    let saved = save(&from, directory.path(), || 0, || b"extra".to_vec()).expect("a checkpoint");
    let whole = fs::read(&saved.path).expect("a file");
    let to = databases(2);
    let refused = |bytes: &[u8], what: &str| {
        fs::write(&saved.path, bytes).expect("a file");
        match load(directory.path(), &to) {
            Err(CheckpointError::Damaged { path, .. }) => assert_eq!(path, saved.path),
            other => panic!("{what}: {other:?}"),
        }
        assert!(get(&to, 0, "key").is_none(), "{what}: nothing is taken of a damaged file");
    };
    let is_tried = |at: &usize| *at < 300 || at + 300 > whole.len() || at.is_multiple_of(37);
    for at in (0..whole.len()).filter(is_tried) {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        refused(&bytes, &format!("byte {at}"));
    }
    for len in (0..whole.len()).filter(is_tried) {
        refused(&whole[..len], &format!("{len} bytes"));
    }
    refused(&[&whole[..], b"x"].concat(), "a byte too many");
    fs::write(&saved.path, &whole).expect("a file");
    load(directory.path(), &to).expect("it is whole again").expect("it is there");
    assert_eq!(get(&to, 0, "key").as_deref(), Some("value"));
}

#[test]
fn the_one_before_stands_in_for_a_damaged_one() {
    let (directory, from) = (directory(), databases(2));
    fill(&from, 2_000);
    save(&from, directory.path(), || 1, Vec::new).expect("a checkpoint");
    set(&from, 0, "key:0", "changed");
    let newest = save(&from, directory.path(), || 2, Vec::new).expect("a checkpoint");
    let mut bytes = fs::read(&newest.path).expect("a file");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&newest.path, bytes).expect("a file");
    let to = databases(2);
    let loaded = load(directory.path(), &to).expect("one is whole").expect("there is one");
    assert_eq!((loaded.log_position, loaded.damaged.len()), (1, 1));
    assert_eq!(loaded.damaged[0].0, newest.path);
    assert_eq!(get(&to, 0, "key:0").as_deref(), Some("value 0"));
    validate(&to);
    // It is put aside, not deleted, by the next.
    save(&to, directory.path(), || 3, Vec::new).expect("a checkpoint");
    assert!(newest.path.with_extension("damaged").exists() && !newest.path.exists());
    assert_eq!(load(directory.path(), &to).expect("whole").expect("there").log_position, 3);
}

#[test]
fn too_few_databases_are_said() {
    let (directory, from) = (directory(), databases(4));
    set(&from, 3, "key", "value");
    save(&from, directory.path(), || 0, Vec::new).expect("a checkpoint");
    let error = load(directory.path(), &databases(2)).expect_err("a database is missing");
    assert!(error.to_string().ends_with("give 'databases' at least 4"), "{error}");
    load(directory.path(), &databases(5)).expect("more are no harm");
}

#[test]
fn a_directory_that_is_gone_leaves_everything_as_it_was() {
    let (directory, from) = (directory(), databases(2));
    fill(&from, 100);
    let gone = directory.path().join("gone");
    let error = save(&from, &gone, || 0, Vec::new).expect_err("there is no such directory");
    assert!(matches!(error, CheckpointError::Io { .. }), "{error}");
    validate(&from);
    let saved = save(&from, directory.path(), || 0, Vec::new).expect("a checkpoint");
    assert!(saved.is_full && names(directory.path()).len() == 1);
    assert!(load(&gone, &from).is_err(), "no directory is not an empty one");
    assert!(load(tempfile::tempdir().expect("another").path(), &from).expect("empty").is_none());
}
