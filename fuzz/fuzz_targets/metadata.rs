//! Any bytes as what FUNCTION LOAD and RESTORE are given, as a module's metadata, and as the reply
//! of a function: what is wrong is refused in one line, and what is not can be read again.
#![no_main]

use ferrite_server::commands::Refusal;
use ferrite_server::functions::check::Shape;
use ferrite_server::functions::failure::Failure;
use ferrite_server::functions::source::Source;
use ferrite_server::functions::{dump, reply};
use ferrite_server::resp::wire::{Protocol, Wire};
use libfuzzer_sys::fuzz_target;
use wasm_encoder::{CustomSection, Module};

/// A memory, an allocator, and functions of several types: what metadata may name.
const MODULE: &str = r#"(module (memory (export "memory") 1)
  (func (export "ferrite_alloc") (param i32) (result i32) (i32.const 0))
  (func (export "f") (param i32 i32) (result i64) (i64.const 0))
  (func (export "g") (param i64 i32 f64) (result f64) (f64.const 0))
  (func (export "h")))"#;

fuzz_target!(|bytes: &[u8]| {
    let Some((kind, bytes)) = bytes.split_first() else { return };
    match kind % 4 {
        0 => {
            if let Some(source) = told(Source::read(bytes)) {
                let text = source.text("lib");
                let again = told(Source::read(&text)).expect("it was read before");
                assert_eq!(again, Source { name: Some("lib".into()), ..source });
            }
        }
        1 => {
            let _ = told(Shape::of(&with_metadata(bytes)));
        }
        2 => {
            let _ = told(dump::read(bytes));
        }
        _ => reply_of(bytes),
    }
});

fn told<T>(outcome: Result<T, Refusal>) -> Option<T> {
    match outcome {
        Ok(value) => Some(value),
        Err(why) => {
            let line = why.to_string();
            assert!(line.starts_with("ERR "), "{line}");
            assert!(line.len() < 4096, "{} bytes", line.len());
            None
        }
    }
}

fn with_metadata(bytes: &[u8]) -> Vec<u8> {
    let mut wasm = wat::parse_str(MODULE).expect("a module");
    let section = CustomSection { name: "ferrite.udf".into(), data: bytes.into() };
    let mut module = Module::new();
    module.section(&section);
    // The section alone, without what a module begins with.
    wasm.extend_from_slice(&module.finish()[8..]);
    wasm
}

fn reply_of(bytes: &[u8]) {
    for protocol in [Protocol::Resp2, Protocol::Resp3] {
        let mut out = Vec::new();
        let written = reply::write(bytes, &mut Wire::new(&mut out, protocol));
        match written {
            Ok(()) if protocol == Protocol::Resp3 => {
                let mut again = Vec::new();
                let read = reply::write(&out, &mut Wire::new(&mut again, protocol));
                assert!(read.is_ok() && again == out, "{out:?} is not what is read of it");
            }
            Ok(()) | Err(Failure::Trap(_)) => {}
            Err(Failure::Line(line)) => assert!(!line.contains(['\r', '\n']), "{line:?}"),
            Err(other) => panic!("{other:?}"),
        }
    }
}
