//! Files of Redis, made by hand: every form of a value that the transcripts have, older and newer
//! versions, damage at every byte, append-only files with all that may stand in them.

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{Connection, Raw, Remote, TestServer};
use ferrite_engine::{RdbChecksum, rdb_put_number};
use ferrite_server::clock::Clock;
use ferrite_server::config::Config;
use ferrite_server::rdb::start::has_own_files;
use ferrite_server::rdb::tool::{run_export, run_import};
use ferrite_server::rdb::{Fault, Options, Summary, export, load};
use ferrite_server::server::start;
use ferrite_tests::family::compare;
use ferrite_tests::subject::{START_MS, Subject};
use ferrite_tests::transcript::{self, Step};
use tempfile::TempDir;

/// Version and checksum, which stand behind the value in a payload.
const FRAME_BYTES: usize = 10;

/// A `dump.rdb` in the making.
struct Dump(Vec<u8>);

impl Dump {
    fn new(version: u32) -> Dump {
        Dump(format!("REDIS{version:04}").into_bytes())
    }

    fn bytes(mut self, bytes: &[u8]) -> Dump {
        self.0.extend_from_slice(bytes);
        self
    }

    fn number(mut self, number: u64) -> Dump {
        rdb_put_number(&mut |bytes| self.0.extend_from_slice(bytes), number);
        self
    }

    fn text(self, text: &[u8]) -> Dump {
        self.number(text.len() as u64).bytes(text)
    }

    fn aux(self, name: &str, value: &str) -> Dump {
        self.bytes(&[250]).text(name.as_bytes()).text(value.as_bytes())
    }

    fn database(self, number: u64) -> Dump {
        self.bytes(&[254]).number(number)
    }

    fn deadline(self, at_ms: i64) -> Dump {
        self.bytes(&[252]).bytes(&at_ms.to_le_bytes())
    }

    fn key(self, form: u8, key: &str, body: &[u8]) -> Dump {
        self.bytes(&[form]).text(key.as_bytes()).bytes(body)
    }

    fn end(self) -> Vec<u8> {
        let mut dump = self.bytes(&[255]);
        let mut sum = RdbChecksum::default();
        sum.add(&dump.0);
        dump.0.extend_from_slice(&sum.sum().to_le_bytes());
        dump.0
    }
}

/// A folder with a file, and a server that loads it.
struct Place {
    folder: TempDir,
    server: TestServer,
}

impl Place {
    fn new() -> Place {
        let server = TestServer::start(|config| config.maxmemory = 64 << 20);
        Place { folder: tempfile::tempdir().expect("a folder"), server }
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, bytes).expect("a file");
        path
    }

    fn load_with(&self, path: &Path, options: Options) -> Result<Summary, String> {
        let databases = &self.server.shared().databases;
        let loaded = load(path, databases, START_MS, options, &mut |_| {});
        loaded.map_err(|fault: Fault| {
            databases.each(|_, database| assert!(database.keys.is_empty(), "nothing is left"));
            fault.to_string().replace(&format!("{}/", self.folder.path().display()), "")
        })
    }

    fn load(&self, bytes: &[u8]) -> Result<Summary, String> {
        self.load_with(&self.file("file", bytes), Options::default())
    }

    fn ask(&self, request: &str) -> Raw {
        self.server.connect().ask(request)
    }

    fn empty(&self) {
        assert_eq!(self.ask("FLUSHALL"), Raw::Simple("OK".into()));
    }
}

/// Forms that no transcript has, with a value: the oldest of a hash, and those of Redis 7.4.
fn more_values() -> Vec<Vec<u8>> {
    let later = (START_MS + 5000).to_le_bytes();
    let listpack = [&b"\x17\0\0\0\x03\0\x81f\x02\x81v\x02\xf4"[..], &later, b"\x09\xff"].concat();
    vec![
        b"\x09\x07\x01\x01a\x01\x00b\xff".to_vec(),
        b"\x14\x0d\x0d\0\0\0\x02\0\x81a\x02\x81b\x02\xff".to_vec(),
        [&b"\x18"[..], &later, b"\x02\x01\x01f\x01v\x00\x01g\x01w"].concat(),
        [&b"\x19"[..], &later, b"\x17", &listpack].concat(),
    ]
}

/// The values of every payload that a transcript restores, and more.
fn values() -> Vec<Vec<u8>> {
    let steps = transcript::all().into_iter().flat_map(|transcript| transcript.steps);
    let payloads = steps.filter_map(|step| match step {
        Step::Request { words, .. } if words[0].eq_ignore_ascii_case(b"RESTORE") => {
            words.get(3).cloned()
        }
        _ => None,
    });
    // A checksum of zero says that there is none.
    let framed = more_values().into_iter().map(|value| [&value[..], b"\x0c\0", &[0; 8]].concat());
    payloads.chain(framed).collect()
}

fn restore(connection: &mut Connection, key: &str, payload: &[u8]) -> Raw {
    connection.ask_words(&[b"RESTORE", key.as_bytes(), b"0", payload])
}

#[test]
fn every_form_of_a_value_comes_from_a_file_as_from_restore() {
    let (place, other) = (Place::new(), TestServer::plain());
    let mut connection = other.connect();
    let (mut dump, mut keys) = (Dump::new(12).database(0), Vec::new());
    let mut forms = [false; 256];
    // More than a window holds, so that values stand across its end.
    for payload in values().iter().cycle().take(40 * values().len()) {
        let key = format!("key:{}", keys.len());
        if restore(&mut connection, &key, payload) == Raw::Simple("OK".into()) {
            let value = &payload[..payload.len() - FRAME_BYTES];
            forms[usize::from(value[0])] = true;
            dump = dump.key(value[0], &key, &value[1..]);
            keys.push(key);
        }
    }
    let all = [0, 1, 2, 3, 4, 5, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 24, 25];
    let missing: Vec<_> = all.into_iter().filter(|&form| !forms[form]).collect();
    assert!(missing.is_empty(), "no value is of the forms {missing:?}");
    assert!(dump.0.len() > 1 << 20, "{} bytes are no long file", dump.0.len());
    let summary = place.load(&dump.end()).expect("a good file");
    assert_eq!((summary.keys, summary.version), (keys.len() as u64, 12));
    let expected = compare::contents(&mut Remote::new(&other));
    assert!(compare::contents(&mut Remote::new(&place.server)) == expected, "other values");
}

#[test]
fn what_stands_between_keys_is_read() {
    let place = Place::new();
    let text = |text: &str| Dump(Vec::new()).text(text.as_bytes()).0;
    let library = "#!lua name=mylib\nredis.register_function('f', function() return 1 end)";
    let file = Dump::new(11)
        .aux("redis-ver", "7.2.4")
        .aux("redis-bits", "64")
        .bytes(&[245])
        .text(library.as_bytes())
        .database(0)
        .bytes(&[251, 2, 1])
        .key(0, "a", &text("1"))
        .bytes(&[248, 5])
        .deadline(START_MS + 5000)
        .key(0, "b", &text("2"))
        .bytes(&[249, 255])
        .deadline(START_MS)
        .key(0, "gone", &text("3"))
        .bytes(&[244, 3, 2, 1])
        .database(9)
        .bytes(&[253])
        .bytes(&((START_MS / 1000 + 7) as i32).to_le_bytes())
        .key(2, "c", b"\x01\x01x")
        .key(4, "no fields", b"\x00")
        .key(14, "no elements", b"\x01\x0b\x0b\0\0\0\x0a\0\0\0\0\0\xff")
        .key(18, "none either", b"\x01\x02\x07\x07\0\0\0\0\0\xff")
        .key(18, "one", b"\x02\x02\x07\x07\0\0\0\0\0\xff\x01\x01x")
        .end();
    let summary = place.load(&file).expect("a good file");
    assert_eq!((summary.keys, summary.expired, summary.empty), (4, 1, 3));
    assert_eq!(summary.libraries, ["mylib (lua)"]);
    assert_eq!(summary.redis_version, "7.2.4");
    assert_eq!(place.ask("PTTL b"), Raw::Integer(5000));
    assert_eq!(place.ask("EXISTS a b gone"), Raw::Integer(2));
    let mut connection = place.server.connect();
    connection.ask("SELECT 9");
    assert_eq!(connection.ask("LRANGE one 0 -1"), Raw::Array(vec![Raw::bulk("x")]));
    assert_eq!(connection.ask("PTTL c"), Raw::Integer(7000 - START_MS % 1000));
    assert_eq!(connection.ask("DBSIZE"), Raw::Integer(2));
}

#[test]
fn every_old_version_is_read_and_none_from_the_future() {
    let place = Place::new();
    for version in 1..=12 {
        let mut file = Dump::new(version).database(0).key(0, "a", b"\xc0\x05").end();
        if version < 5 {
            // There was no checksum then.
            file.truncate(file.len() - 8);
        }
        assert_eq!(place.load(&file).map(|summary| summary.version), Ok(version));
        assert_eq!(place.ask("GET a"), Raw::bulk("5"));
        place.empty();
    }
    let refused = |bytes: &[u8]| place.load(bytes).expect_err("a bad file");
    let newer = "file, byte 9: its format has the version 13; read are those up to 12";
    assert_eq!(refused(&Dump::new(13).end()), newer);
    assert_eq!(refused(b"REDISxxxx"), "file, byte 9: it does not begin as a file of Redis does");
}

#[test]
fn what_is_wrong_is_told_with_file_offset_and_key() {
    let place = Place::new();
    let refused = |file: Vec<u8>| place.load(&file).expect_err("a bad file");
    let head = || Dump::new(10).database(3);
    assert_eq!(
        refused(head().key(2, "a key", b"\x02\x01x\x01x").end()),
        "file, byte 23, key \"a key\" of database 3: this is damaged"
    );
    assert_eq!(
        refused(head().key(0, "k", b"\x01x").key(0, "k", b"\x01y").end()),
        "file, byte 19, key \"k\" of database 3: the key stands there twice"
    );
    let module = "file, byte 23, key \"k\" of database 3: its value is of the module type \
                  'ReJSON-RL'";
    let id = b"\x81\x45\xe2\x52\x38\xdf\x91\x2c\x03";
    assert_eq!(refused(head().key(7, "k", id).end()), module);
    let aux = refused(Dump::new(10).bytes(&[247]).bytes(id).end());
    assert_eq!(aux, "file, byte 19: it has data of the module 'ReJSON-RL'");
    assert_eq!(
        refused(Dump::new(10).key(99, "k", b"").end()),
        "file, byte 10: there is no type of value with the number 99"
    );
    assert_eq!(
        refused(Dump::new(10).database(77).end()),
        "file, byte 12: there is no database 77, only 16: see 'databases'"
    );
    let long = "k".repeat(8001);
    let told = refused(head().key(0, &long, b"\x01x").end());
    assert!(told.contains(&format!("key \"{}...\"", &long[..64])), "{told}");
    let mut file = head().key(0, "k", b"\x01x").end();
    file.truncate(file.len() - 10);
    let short = "file, byte 15, key \"k\" of database 3: the file ends in the middle of this";
    assert_eq!(refused(file), short);
    let mut file = head().key(0, "k", b"\x01x").end();
    let last = file.len() - 1;
    file[last] ^= 1;
    let sum = "file, byte 25: the checksum at the end is another than that of the file";
    assert_eq!(refused(file.clone()), sum);
    let path = place.file("file", &file);
    let unchecked = Options { checks_sum: false, ..Options::default() };
    assert_eq!(place.load_with(&path, unchecked).map(|summary| summary.keys), Ok(1));
}

#[test]
fn whatever_is_damaged_is_refused_or_loaded_whole() {
    let place = Place::new();
    let mut dump = Dump::new(12).aux("redis-ver", "7.4.0").database(0).bytes(&[251, 9, 0]);
    for (number, payload) in values().into_iter().enumerate() {
        let value = payload.len().checked_sub(FRAME_BYTES).map_or(&[][..], |len| &payload[..len]);
        let mut connection = place.server.connect();
        let is_good =
            restore(&mut connection, &format!("k{number}"), &payload) == Raw::Simple("OK".into());
        if is_good && value.len() < 120 {
            dump = dump.key(value[0], &format!("k{number}"), &value[1..]);
        }
    }
    place.empty();
    let file = dump.end();
    place.load(&file).expect("a good file");
    place.empty();
    let unchecked = Options { checks_sum: false, ..Options::default() };
    let path = place.folder.path().join("file");
    let databases = &place.server.shared().databases;
    for at in 0..file.len() {
        assert!(place.load(&file[..at]).is_err(), "cut at byte {at}");
        for flip in [0x01, 0x80, 0xff] {
            let mut damaged = file.clone();
            damaged[at] ^= flip;
            fs::write(&path, &damaged).expect("a file");
            if load(&path, databases, START_MS, unchecked, &mut |_| {}).is_ok() {
                databases.each(|_, database| {
                    database.keys.validate().expect("sound keys");
                    database.keys.at(START_MS).flush();
                });
            }
        }
        let mut damaged = file.clone();
        damaged[at] ^= 0x10;
        assert!(place.load(&damaged).is_err(), "damaged at byte {at}");
    }
}

/// An append-only file of commands, words between spaces, one a line; other lines begin with `#`.
fn commands(lines: &[&str]) -> Vec<u8> {
    let line = |line: &&str| match line.starts_with('#') {
        true => format!("{line}\r\n").into_bytes(),
        false => common::request(&line.split(' ').collect::<Vec<_>>()),
    };
    lines.iter().flat_map(line).collect()
}

#[test]
fn commands_of_an_append_only_file_are_run_again() {
    let place = Place::new();
    let past = START_MS - 1;
    let file = commands(&[
        "#TS:1699999999",
        "SELECT 0",
        "SET a 1",
        &format!("SET old x PXAT {past}"),
        // As in Redis nothing expires while a file is read.
        "APPEND old y",
        "MULTI",
        "INCR a",
        "SELECT 2",
        "RPUSH l 1 2 3",
        "EXEC",
        "MOVE l 3",
        "SET b 1",
        "COPY b c DB 0 REPLACE",
        "SWAPDB 0 5",
        "SELECT 7",
        "XADD s 5-1 f v",
        "XADD s NOMKSTREAM MAXLEN = 1 LIMIT 5 6-1 limit v",
        "XGROUP CREATE s g 0",
        "XGROUP CREATECONSUMER s g me",
        "HSET h f v",
        &format!("HPEXPIREAT h {} FIELDS 1 f", START_MS + 900),
    ]);
    let summary = place.load(&file).expect("a good file");
    assert_eq!((summary.commands, summary.notes.len()), (20, 0));
    let mut connection = place.server.connect();
    let mut check = |database: u32, request: &str, expected: Raw| {
        connection.ask(&format!("SELECT {database}"));
        assert_eq!(connection.ask(request), expected, "{request}");
    };
    check(0, "DBSIZE", Raw::Integer(0));
    check(5, "GET a", Raw::bulk("2"));
    check(5, "GET old", Raw::Null);
    check(5, "GET c", Raw::bulk("1"));
    check(3, "LLEN l", Raw::Integer(3));
    check(2, "DBSIZE", Raw::Integer(1));
    check(7, "HPTTL h FIELDS 1 f", Raw::Array(vec![Raw::Integer(900)]));
    assert_eq!(connection.ask("XLEN s"), Raw::Integer(1));
    let Raw::Array(consumers) = connection.ask("XINFO CONSUMERS s g") else { panic!("an array") };
    let Raw::Array(consumer) = &consumers[0] else { panic!("an array") };
    assert_eq!(consumer[5], Raw::Integer(0), "a consumer was seen when the file was read");
}

#[test]
fn a_cut_append_only_file_loses_its_last_command_or_transaction() {
    let place = Place::new();
    let (first, multi) = (commands(&["SET a 1"]), commands(&["MULTI", "SET b 2", "EXEC"]));
    let file = [first.clone(), multi].concat();
    let path = place.folder.path().join("file");
    let strict = Options { allows_cut: false, ..Options::default() };
    for len in 1..file.len() {
        place.empty();
        fs::write(&path, &file[..len]).expect("a file");
        let whole = [0, first.len()].into_iter().rev().find(|&whole| whole <= len);
        let whole = whole.expect("a beginning");
        let summary = place.load_with(&path, Options::default()).expect("a cut file");
        assert_eq!(summary.keys, u64::from(whole > 0), "cut at {len}");
        if len == whole {
            assert!(summary.notes.is_empty());
            continue;
        }
        let lost = format!("its last {} bytes, from byte {whole} on, are left out", len - whole);
        assert!(summary.notes[0].ends_with(&lost), "{:?}", summary.notes);
        let refused = place.load_with(&path, strict).expect_err("not allowed");
        assert!(refused.contains(&format!("file, byte {whole}")), "{refused}");
    }
}

#[test]
fn what_is_wrong_with_an_append_only_file_is_told() {
    let place = Place::new();
    let refused = |lines: &[&str]| place.load(&commands(lines)).expect_err("a bad file");
    assert_eq!(
        refused(&["SET a 1", "EVAL return 0"]),
        "file, byte 27, command EVAL \"return\" in database 0: scripts are not run here"
    );
    let unknown = refused(&["SELECT 1", "JSON.SET k $ 1"]);
    assert!(
        unknown.ends_with("command JSON.SET \"k\" in database 1: this command is not known here")
    );
    assert!(refused(&["SET a 1", "LPUSH a 1"]).contains("WRONGTYPE"), "what fails is told");
    assert!(refused(&["SELECT 16"]).contains("there is no database 16"));
    assert!(refused(&["EXEC"]).ends_with("this is an EXEC without a MULTI"));
    assert!(refused(&["MULTI", "MULTI"]).ends_with("this is a MULTI within another"));
    assert!(refused(&["CONFIG GET x"]).ends_with("this command is not run from a file"));
    assert!(refused(&["GET"]).ends_with("it has a wrong number of arguments"));
    let bytes = |bytes: &[u8]| place.load(bytes).expect_err("a bad file");
    assert_eq!(bytes(b"hello\r\n"), "file, byte 0: this is no command");
    assert!(bytes(b"*1\r\n+PING\r\n").contains("expected '$'"));
}

#[test]
fn a_manifest_names_the_files() {
    let place = Place::new();
    let base = Dump::new(10).aux("aof-base", "1").key(0, "a", b"\x01x").end();
    place.file("x.1.base.rdb", &base);
    place.file("x.1.incr.aof", &commands(&["SELECT 0", "APPEND a y"]));
    place.file("x.2.incr.aof", &commands(&["SELECT 0", "APPEND a z"]));
    let manifest = b"file x.1.base.rdb seq 1 type b\nfile x.1.incr.aof seq 1 type i\n\
                     file x.2.incr.aof seq 2 type i\n";
    place.file("x.manifest", manifest);
    let summary = place.load_with(place.folder.path(), Options::default()).expect("good files");
    assert_eq!((summary.keys, summary.commands, summary.version), (1, 4, 10));
    assert_eq!(place.ask("GET a"), Raw::bulk("xyz"));
    place.empty();
    // Only the last file may be cut.
    place.file("x.1.incr.aof", b"*2\r\n$6");
    let refused = place.load_with(place.folder.path(), Options::default()).expect_err("cut");
    assert_eq!(refused, "x.1.incr.aof, byte 0: the file ends in the middle of this");
    // One file of an old version: commands behind a dump.
    let file = [base, commands(&["SELECT 0", "APPEND a w"])].concat();
    place.load(&file).expect("a good file");
    assert_eq!(place.ask("GET a"), Raw::bulk("xw"));
}

#[test]
fn what_is_exported_is_loaded() {
    let place = Place::new();
    let mut connection = place.server.connect();
    for (number, payload) in values().into_iter().enumerate() {
        let key = format!("key:{number}");
        restore(&mut connection, &key, &payload);
    }
    connection.ask("SELECT 4");
    connection.ask("SET there 1 PX 1000");
    let databases = &place.server.shared().databases;
    let path = place.folder.path().join("dump.rdb");
    let written = export(&path, databases, START_MS, None, &[]).expect("a file");
    assert_eq!(written.version, 12, "fields that expire need it");
    let refused = export(&path, databases, START_MS, Some(10), &[]).expect_err("no such keys");
    assert!(refused.to_string().contains("cannot express"), "{refused}");
    let other = TestServer::start(|config| {
        config.dir = place.folder.path().display().to_string();
        config.dbfilename = "dump.rdb".into();
    });
    let (mut ours, mut theirs) = (Remote::new(&place.server), Remote::new(&other));
    for database in [0, 4] {
        let select = ["SELECT".into(), database.to_string().into_bytes()];
        ours.ask(&select);
        theirs.ask(&select);
        let (ours, theirs) = (compare::contents(&mut ours), compare::contents(&mut theirs));
        assert!(!ours.is_empty() && ours == theirs, "{ours:?}, but there {theirs:?}");
    }
    let names = fs::read_dir(place.folder.path()).expect("a folder").count();
    assert_eq!(names, 1, "no other file is left");
}

/// A server with what is in a folder; no checkpoint is taken at its end.
fn begun(folder: &Path, appends: bool) -> TestServer {
    TestServer::start(|config| {
        config.dir = folder.display().to_string();
        config.appendonly = appends;
        config.save = Vec::new();
    })
}

fn get(server: &TestServer, key: &str) -> Raw {
    server.connect().ask(&format!("GET {key}"))
}

#[test]
fn a_server_begins_with_redis_s_files_until_it_has_its_own() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("dump.rdb");
    let file = |value: &str| Dump::new(10).key(0, "a", &Dump(Vec::new()).text(value.as_bytes()).0);
    fs::write(&path, file("dump").end()).expect("a file");
    assert_eq!(get(&begun(folder.path(), false), "a"), Raw::bulk("dump"));
    // Without an append-only file the dump is better than nothing; it is kept beside the log.
    let server = begun(folder.path(), true);
    assert_eq!(get(&server, "a"), Raw::bulk("dump"));
    assert_eq!(server.connect().ask("SET b 2"), Raw::Simple("OK".into()));
    drop(server);
    fs::write(&path, file("of the past").end()).expect("a file");
    let server = begun(folder.path(), true);
    assert_eq!((get(&server, "a"), get(&server, "b")), (Raw::bulk("dump"), Raw::bulk("2")));
}

#[test]
fn the_setting_says_which_of_redis_s_files_counts() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, bytes: &[u8]| {
        fs::write(folder.path().join(name), bytes).expect("a file");
    };
    write("dump.rdb", &Dump::new(10).key(0, "a", b"\x04dump").end());
    write("appendonly.aof", &commands(&["SELECT 0", "SET a old"]));
    assert_eq!(get(&begun(folder.path(), false), "a"), Raw::bulk("dump"));
    let log = folder.path().join("appendonlydir");
    fs::create_dir(&log).expect("a folder");
    write("appendonlydir/appendonly.aof.manifest", b"file x.aof seq 1 type i\n");
    write("appendonlydir/x.aof", &commands(&["SELECT 0", "SET a new"]));
    assert_eq!(get(&begun(folder.path(), true), "a"), Raw::bulk("new"));
    let other = tempfile::tempdir().expect("a folder");
    fs::copy(folder.path().join("appendonly.aof"), other.path().join("appendonly.aof"))
        .expect("a copy");
    assert_eq!(get(&begun(other.path(), true), "a"), Raw::bulk("old"));
}

#[test]
fn a_damaged_file_stops_the_start() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("dump.rdb"), b"REDIS0010\x00\x01k").expect("a file");
    let dir = folder.path().display().to_string();
    let config = Config { port: 0, dir, ..Config::default() };
    let refused = start(config, Clock::System).err().expect("no server").to_string();
    assert!(
        refused.starts_with("cannot load ") && refused.contains("dump.rdb, byte "),
        "{refused}"
    );
}

#[test]
fn import_leaves_a_checkpoint_and_export_a_dump() {
    let (from, to) =
        (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let path = from.path().join("dump.rdb");
    fs::write(&path, Dump::new(9).database(2).key(0, "a", b"\x01x").end()).expect("a file");
    let config = || Config { dir: to.path().display().to_string(), ..Config::default() };
    run_import(config(), &path).expect("a good file");
    let twice = run_import(config(), &path).expect_err("there is something").to_string();
    assert!(twice.ends_with("name another 'dir'"), "{twice}");
    let server = begun(to.path(), false);
    let mut connection = server.connect();
    connection.ask("SELECT 2");
    assert_eq!(connection.ask("GET a"), Raw::bulk("x"));
    drop(server);
    let exported = from.path().join("exported.rdb");
    run_export(config(), &exported, None).expect("a good folder");
    let place = Place::new();
    assert_eq!(place.load_with(&exported, Options::default()).map(|summary| summary.keys), Ok(1));
    fs::write(&path, b"REDIS0010").expect("a file");
    let empty = tempfile::tempdir().expect("a folder");
    let config = Config { dir: empty.path().display().to_string(), ..Config::default() };
    run_import(config, &path).expect_err("a bad file");
    assert!(!has_own_files(empty.path()).expect("a folder"), "nothing is left of it");
}
