//! FUNCTION and its subcommands.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::common::{Connection, Raw, TestServer};
use crate::guest::{error, module, module_with, record, single, words};

const ONE: &str = r#"(func (export "one") (result i64) (i64.const 1))"#;

fn one() -> Vec<u8> {
    single("one", "", "i64", ONE)
}

fn ok() -> Raw {
    Raw::Simple("OK".into())
}

#[test]
fn every_form_of_load_gives_the_same_function() {
    let server = TestServer::plain();
    let mut client = server.connect();
    let module = one();
    let with = |head: &str, body: &[u8]| [head.as_bytes(), body].concat();
    let encoded = STANDARD.encode(&module);
    let forms: [&[&[u8]]; 6] = [
        &[b"FUNCTION", b"LOAD", &module],
        &[b"FUNCTION", b"LOAD", &with("#!wasm name=lib\n", &module)],
        &[b"FUNCTION", b"LOAD", &with("#!wasm\n", &module)],
        &[b"function", b"load", &with("#!wasm enc=base64 name=lib\n", encoded.as_bytes())],
        &[b"FUNCTION", b"LOAD", b"WASM", &module],
        &[b"FUNCTION", b"LOAD", b"wasm", b"name", b"lib", &module],
    ];
    for form in forms {
        assert_eq!(client.ask_words(&words(form)), Raw::bulk("lib"));
        assert_eq!(client.ask("FCALL one 0"), Raw::Integer(1));
        let again = client.ask_words(&words(form));
        assert_eq!(again, error("ERR Library 'lib' already exists"));
        assert_eq!(client.ask("FUNCTION DELETE lib"), ok());
        assert_eq!(client.ask("FCALL one 0"), error("ERR Function not found"));
    }
    let named: [&[u8]; 6] = [b"FUNCTION", b"LOAD", b"WASM", b"NAME", b"other", &module];
    assert_eq!(client.ask_words(&words(&named)), Raw::bulk("other"));
    assert_eq!(client.load_raw(&module), error("ERR Function 'one' already exists"));
}

#[test]
fn what_is_loaded_must_be_a_library() {
    let server = TestServer::plain();
    let mut client = server.connect();
    let mut check = |request: &[&[u8]], line: &str| {
        let request = [&[b"FUNCTION".as_slice(), b"LOAD"], request].concat();
        assert_eq!(client.ask_words(&words(&request)), error(line));
    };
    check(&[b"return 1"], "ERR Missing library metadata");
    check(&[b"#!lua name=l\nreturn 1"], "ERR No functions registered");
    check(&[b"#!python name=l\nreturn 1"], "ERR Engine 'python' not found");
    check(&[b"QUICKLY", b"x"], "ERR Unknown option given: QUICKLY");
    let paths = "ERR Paths are not read: send the module's bytes, as redis-cli -x FUNCTION LOAD \
                 WASM < x.wasm does";
    check(&[b"WASM", b"./target/x.wasm"], paths);
    check(
        &[b"WASM", b"\xff\xfe"],
        "ERR Module is invalid: magic header not detected (at offset 0x0)",
    );
    let rule = "ERR Library names can only contain letters, numbers, or underscores(_) and must be \
                at least one character long";
    check(&[b"WASM", b"NAME", b"a b", &one()], rule);
    check(
        &[b"\0asm\x0d\0\x01\0"],
        "ERR Module is a component: ABI 1 is for core modules (targets \
        wasm32-unknown-unknown and wasm32-wasip1)",
    );
    let module = one();
    for len in [7, 8, 20, 200, module.len() - 3] {
        let answer = client.load_raw(&module[..len]);
        let Raw::Error(line) = answer else { panic!("{len}: {answer:?}") };
        let named = ["ERR Module is invalid: ", "ERR Module exports no memory"];
        assert!(named.iter().any(|name| line.starts_with(name)), "{len}: {line}");
    }
}

fn refused(client: &mut Connection, module: &[u8]) -> String {
    match client.load_raw(module) {
        Raw::Error(line) => line,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_does_not_fit_the_contract_is_named() {
    let server = TestServer::plain();
    let mut client = server.connect();
    let mut check = |module: Vec<u8>, line: &str| {
        assert_eq!(refused(&mut client, &module), format!("ERR {line}"));
    };
    let text = |text: &str| wat::parse_str(text).expect("text");
    check(text("(module)"), "Module exports no memory named 'memory'");
    check(
        text(r#"(module (memory (export "memory") 1) (func (export "_start")))"#),
        "Module is a program (it exports _start): build it as a library",
    );
    check(
        text(r#"(module (memory (export "memory") 1))"#),
        "Module has no functions: no section ferrite.udf, no export ferrite_abi_1",
    );
    check(
        text(r#"(module (memory (export "memory") 257) (func (export "ferrite_abi_1")))"#),
        "Module needs 16842752 bytes of memory, the limit is 16777216",
    );
    check(
        text(
            r#"(module (memory (export "memory") 1) (func (export "ferrite_abi_1"))
            (func (export "f") (param i32 i32) (result i64) (i64.const 0)))"#,
        ),
        "Module lacks export 'ferrite_alloc'",
    );
    check(
        module_with(
            &[],
            r#"(func (export "ferrite_abi_1")) (func (export "_initialize") (param i32))"#,
        ),
        "No functions registered",
    );
    let ferrite_gt = r#"(module (import "ferrite" "ferrite_gt" (func (param i32)))
        (memory (export "memory") 1) (func (export "ferrite_abi_1"))
        (func (export "ferrite_alloc") (param i32) (result i32) (i32.const 0))
        (func (export "f") (param i32 i32) (result i64) (i64.const 0))
        (@custom "ferrite.udf" "{\22abi\22:1,\22library\22:\22lib\22,\22name\22:\22f\22,")
        (@custom "ferrite.udf" "\22entry\22:\22generic\22}"))"#;
    check(
        text(ferrite_gt),
        "Module imports 'ferrite'.'ferrite_gt', which is not there (is it 'ferrite_get'?)",
    );
    check(
        text(&ferrite_gt.replace("ferrite_gt", "ferrite_set")),
        "Module imports 'ferrite'.'ferrite_set' as (i32) -> (), it is (i32, i32, i32, i32) \
         -> (i32)",
    );
    check(
        text(&ferrite_gt.replace("\"ferrite\" \"ferrite_gt\"", "\"wbg\" \"x\"")),
        "Module imports 'wbg'.'x', which is not there",
    );
}

#[test]
fn what_the_metadata_says_must_be_so() {
    let server = TestServer::plain();
    let mut client = server.connect();
    let mut check = |module: Vec<u8>, line: &str| {
        assert_eq!(refused(&mut client, &module), format!("ERR {line}"));
    };
    let record = record("one", "", "i64", "");
    check(module(&[&record], ""), "Metadata: function 'one': export 'one' is missing");
    check(
        module(&[&record], r#"(func (export "one") (param i32) (result i64) (i64.const 1))"#),
        "Metadata: function 'one': export 'one' is (i32) -> (i64), its parameters and result need \
         () -> (i64)",
    );
    check(
        module(&[&record.replace("\"abi\":1", "\"abi\":7")], ONE),
        "Module is for ABI 7, this server has 1",
    );
    check(module(&[&record, &record], ONE), "Function 'one' already exists");
    check(
        module_with(&[&record], &format!("{ONE} (func (export \"ferrite_alloc\"))")),
        "Module exports 'ferrite_alloc' as () -> (), it must be (i32) -> (i32)",
    );
    check(
        module(&[&record.replace("\"library\":\"lib\",", "")], ONE),
        "Library has no name: give it with NAME or name=, or in the section ferrite.udf",
    );
    check(
        single("one", "", "i64", &format!("{ONE} (func $s (unreachable)) (start $s)")),
        "Module failed to start: unreachable",
    );
    let calls = "(func $s (drop (call $now_ms))) (start $s)";
    check(
        single("one", "", "i64", &format!("{ONE} {calls}")),
        "Module failed to start: ferrite_now_ms was called before a call",
    );
}

#[test]
fn libraries_are_listed() {
    let server = TestServer::plain();
    let mut client = server.connect();
    assert_eq!(client.ask("FUNCTION LIST"), Raw::Array(vec![]));
    let record = record(
        "limit",
        "key:key:str n:arg:i64 m:arg:f64:optional",
        "reply",
        r#","version":"1.2","flags":["no-writes"],"deadline_ms":50,"description":"Limits.""#,
    );
    let body = r#"(func (export "limit") (param i32 i32 i64 i32 f64) (result i64) (i64.const -1))"#;
    client.load(&module(&[&record], body));
    client.ask("HELLO 3");
    let Raw::Array(libraries) = client.ask("FUNCTION LIST WITHCODE LIBRARYNAME LI*") else {
        panic!("a list")
    };
    let text = format!("{libraries:?}");
    for part in [
        "lib",
        "WASM",
        "limit",
        "Limits.",
        "no-writes",
        "key key str",
        "arg n i64",
        "optional arg m f64",
        "reset",
        "1.2",
        "Integer(50)",
        "library_code",
    ] {
        let bytes = format!("{:?}", Raw::bulk(part));
        let simple = format!("{:?}", Raw::Simple(part.into()));
        let found = [part, &bytes, &simple].iter().any(|form| text.contains(*form));
        assert!(found, "{part}: {text}");
    }
    assert_eq!(client.ask("FUNCTION LIST LIBRARYNAME x*"), Raw::Array(vec![]));
    assert_eq!(client.error("FUNCTION LIST BAD"), "ERR Unknown argument BAD");
    assert_eq!(
        client.error("FUNCTION LIST LIBRARYNAME"),
        "ERR library name argument was not given"
    );
}

#[test]
fn libraries_leave_and_come_back_by_dump() {
    let server = TestServer::plain();
    let mut client = server.connect();
    client.load(&one());
    let Raw::Bulk(payload) = client.ask("FUNCTION DUMP") else { panic!("a payload") };
    let mut restore = |policy: &[&[u8]]| {
        let request = [&[b"FUNCTION".as_slice(), b"RESTORE", &payload], policy].concat();
        client.ask_words(&words(&request))
    };
    assert_eq!(restore(&[]), error("ERR Library lib already exists"));
    assert_eq!(restore(&[b"REPLACE"]), ok());
    assert_eq!(restore(&[b"FLUSH"]), ok());
    let policy = "ERR Wrong restore policy given, value should be either FLUSH, APPEND or REPLACE.";
    assert_eq!(restore(&[b"MAYBE"]), error(policy));
    assert_eq!(client.ask("MULTI"), ok());
    let request = words(&[b"FUNCTION", b"RESTORE", &payload]);
    let refusal = "ERR a library in WebAssembly cannot be loaded inside a transaction";
    assert_eq!(client.ask_words(&request), error(refusal));
    assert_eq!(client.ask("DISCARD"), ok());
    assert_eq!(client.ask("FUNCTION FLUSH"), ok());
    assert_eq!(client.ask("FCALL one 0"), error("ERR Function not found"));
    let request = words(&[b"FUNCTION", b"RESTORE", &payload]);
    assert_eq!(client.ask_words(&request), ok());
    assert_eq!(client.ask("FCALL one 0"), Raw::Integer(1));
    for at in 0..payload.len() {
        let mut broken = payload.clone();
        broken[at] ^= 1;
        let answer = client.ask_words(&words(&[b"FUNCTION", b"RESTORE", &broken]));
        let expected = "ERR DUMP payload version or checksum are wrong";
        assert_eq!(answer, error(expected), "byte {at}");
        if at > 64 && at + 80 < payload.len() {
            continue;
        }
    }
    assert_eq!(
        client.error("FUNCTION FLUSH NOW"),
        "ERR FUNCTION FLUSH only supports SYNC|ASYNC option"
    );
    assert_eq!(client.ask("FUNCTION FLUSH ASYNC"), ok());
    assert_eq!(client.error("FUNCTION DELETE lib"), "ERR Library not found");
}

#[test]
fn a_path_is_read_only_inside_the_directory_for_modules() {
    let directory = tempfile::tempdir().expect("a directory");
    let inside = directory.path().join("modules");
    std::fs::create_dir(&inside).expect("a directory");
    std::fs::write(inside.join("one.wasm"), one()).expect("a file");
    std::fs::write(directory.path().join("out.wasm"), one()).expect("a file");
    std::os::unix::fs::symlink(directory.path().join("out.wasm"), inside.join("link.wasm"))
        .expect("a link");
    let server = TestServer::start(|config| {
        config.function_module_dir = inside.to_str().expect("text").into();
    });
    let mut client = server.connect();
    assert_eq!(client.ask("FUNCTION LOAD WASM one.wasm"), Raw::bulk("lib"));
    for path in ["../out.wasm", "link.wasm"] {
        let line = format!("ERR Module '{path}' is outside of the directory for modules");
        assert_eq!(client.error(&format!("FUNCTION LOAD WASM REPLACE {path}")), line);
    }
    let line = client.error("FUNCTION LOAD WASM none.wasm");
    assert!(line.starts_with("ERR Module 'none.wasm' cannot be read: "), "{line}");
}

#[test]
fn a_library_is_replaced_as_a_whole() {
    let server = TestServer::plain();
    let mut client = server.connect();
    client.load(&one());
    let two = ONE.replace("one", "two").replace("(i64.const 1)", "(i64.const 2)");
    client.load(&single("two", "", "i64", &two));
    assert_eq!(client.ask("FCALL two 0"), Raw::Integer(2));
    assert_eq!(client.ask("FCALL one 0"), error("ERR Function not found"));
    assert_eq!(
        refused(&mut client, b"\0asm\x01\0\0\0"),
        "ERR Module exports no memory named 'memory'"
    );
    assert_eq!(client.ask("FCALL two 0"), Raw::Integer(2));
    assert_eq!(client.error("MULTI x"), "ERR wrong number of arguments for 'multi' command");
    assert_eq!(client.ask("MULTI"), ok());
    let refusal = "ERR a library in WebAssembly cannot be loaded inside a transaction";
    assert_eq!(client.error("FUNCTION LOAD WASM x"), refusal);
    assert_eq!(client.ask("DISCARD"), ok());
}
