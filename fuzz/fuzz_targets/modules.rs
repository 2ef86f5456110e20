//! Modules that are made of any bytes, and any bytes as modules: what is loaded is called, with any
//! keys and arguments. The server goes on, and every call is all or nothing.
#![no_main]

#[path = "../../native-server/tests/functions/stage.rs"]
mod stage;

use arbitrary::Unstructured;
use ferrite_server::functions::load::Loader;
use ferrite_server::functions::source::Source;
use ferrite_server::resp::wire::Protocol;
use libfuzzer_sys::fuzz_target;
use stage::{KEYS, Setting, Stage, loader};
use wasm_encoder::CustomSection;
use wasm_smith::Config;

/// What modules may import.
const IMPORTS: &str = r#"(module
  (import "ferrite" "ferrite_get" (func (param i32 i32) (result i64)))
  (import "ferrite" "ferrite_get_into" (func (param i32 i32 i32 i32) (result i64)))
  (import "ferrite" "ferrite_set" (func (param i32 i32 i32 i32) (result i32)))
  (import "env" "ferrite_del" (func (param i32 i32) (result i32)))
  (import "ferrite" "ferrite_incr_by" (func (param i32 i32 i64 i32) (result i32)))
  (import "ferrite" "ferrite_hset" (func (param i32 i32 i32 i32 i32 i32) (result i32)))
  (import "ferrite" "ferrite_call" (func (param i32 i32 i32 i32 i32) (result i64)))
  (import "ferrite" "ferrite_reply_read" (func (param i32 i32 i32) (result i32)))
  (import "ferrite" "ferrite_log" (func (param i32 i32 i32)))
  (import "ferrite" "ferrite_random" (func (param i32 i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "random_get" (func (param i32 i32) (result i32))))"#;

/// What they export.
const EXPORTS: &str = r#"(module (memory (export "memory") 1 20)
  (global (export "ferrite_input") i32 (i32.const 0))
  (func (export "ferrite_alloc") (param i32) (result i32) unreachable)
  (func (export "all") (param i32 i32) (result i64) unreachable)
  (func (export "typed") (param i32 i32 i32 i32 i64 i32 f64) (result i64) unreachable)
  (func (export "sum") (param i64 f64) (result f64) unreachable)
  (func (export "none") unreachable))"#;

const METADATA: &str = r#"
  {"abi":1,"library":"lib","name":"all","entry":"generic"}
  {"abi":1,"library":"lib","name":"typed","result":"reply","params":[
    {"name":"key","role":"key","type":"bytes"},{"name":"keys","role":"keys","type":"str"},
    {"name":"n","role":"arg","type":"i64"},
    {"name":"x","role":"arg","type":"f64","optional":true}]}
  {"abi":1,"library":"lib","name":"sum","result":"f64","params":[
    {"name":"n","role":"arg","type":"i64"},{"name":"x","role":"arg","type":"f64"}]}
  {"abi":1,"library":"lib","name":"none","result":"none","params":[]}"#;

thread_local! {
    static LOADER: Loader = loader();
}

fuzz_target!(|bytes: &[u8]| {
    let Some((kind, bytes)) = bytes.split_first() else { return };
    let mut rest = Unstructured::new(bytes);
    let module = match kind {
        0 => bytes.to_vec(),
        kind => match made(&mut rest, *kind) {
            Some(module) => module,
            None => return,
        },
    };
    let source = Source { name: Some("lib".into()), module, ..Source::default() };
    // What is refused is refused.
    let Ok(library) = LOADER.with(|loader| loader.load(&source)) else { return };
    let mut stage = Stage::new(library);
    for _ in 0..4 {
        let index = rest.choose_index(stage.library.functions.len()).unwrap_or_default();
        let count = rest.choose_index(4).unwrap_or_default();
        let keys: Vec<&[u8]> = KEYS[..count].iter().map(|key| key.as_bytes()).collect();
        let args: [&[u8]; 3] = [b"7", b"1.5", rest.bytes(rest.len().min(100)).unwrap_or_default()];
        let count = rest.choose_index(4).unwrap_or_default();
        let protocol = if kind % 2 == 0 { Protocol::Resp2 } else { Protocol::Resp3 };
        let setting = Setting { room_bytes: 16 << 20, protocol, limit_ms: 20 };
        stage.play(index, &keys, &args[..count], &setting);
    }
});

fn made(source: &mut Unstructured<'_>, kind: u8) -> Option<Vec<u8>> {
    let shape = |text| Some(wat::parse_str(text).expect("a module"));
    let config = Config {
        available_imports: shape(IMPORTS),
        exports: shape(EXPORTS),
        // A start that never ends takes a second.
        allow_start_export: kind < 8,
        max_funcs: 12,
        max_instructions: 200,
        max_memory32_bytes: 20 << 16,
        max_table_elements: 100,
        memory_max_size_required: true,
        // Of what is not of WebAssembly 2.0 a little is made, to be refused.
        gc_enabled: kind == 9,
        exceptions_enabled: kind == 10,
        tail_call_enabled: kind == 11,
        threads_enabled: kind == 12,
        relaxed_simd_enabled: kind == 13,
        memory64_enabled: kind == 14,
        extended_const_enabled: kind == 15,
        // References to what is not a function are of WebAssembly 2.0, but not of this server.
        reference_types_enabled: kind == 17,
        // The memory that is exported is there anyway.
        max_memories: usize::from(kind == 16),
        ..Config::default()
    };
    let mut wasm = wasm_smith::Module::new(config, source).ok()?.to_bytes();
    let section = CustomSection { name: "ferrite.udf".into(), data: METADATA.as_bytes().into() };
    let mut module = wasm_encoder::Module::new();
    module.section(&section);
    // The section alone, without what a module begins with.
    wasm.extend_from_slice(&module.finish()[8..]);
    Some(wasm)
}
