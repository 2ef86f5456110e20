//! Modules that do not qualify, each with its reason, and such that just do.

use ferrite_server::functions::reset::rewrite;

fn check(text: &str, expected: &str) {
    let wasm = wat::parse_str(text).expect("a module in text");
    let reason = rewrite(&wasm).err().map_or("it qualifies".to_owned(), |unfit| unfit.to_string());
    assert!(reason.contains(expected), "{text}\n{reason}, not {expected}");
}

const MEMORY: &str = r#"(memory (export "memory") 1)"#;

fn check_with_memory(fields: &str, expected: &str) {
    check(&format!("(module {fields} {MEMORY})"), expected);
}

#[test]
fn each_reason_has_its_module() {
    check("(component)", "it is a component");
    check("(module)", "it exports no memory of its own as 'memory'");
    check("(module (memory 1))", "it exports no memory");
    check(r#"(module (memory (export "m") 1))"#, "it exports no memory");
    check(r#"(module (import "ferrite" "memory" (memory 1)))"#, "it imports ferrite.memory");
    check(r#"(module (memory (export "memory") 257))"#, "starts with 257 pages, more than 256");
    check(r#"(module (memory (export "memory") i64 1))"#, "memory64");
    check(r#"(module (memory (export "memory") 1 1 shared))"#, "threads");
    check(r#"(module (memory (export "memory") 1) (memory 1))"#, "multi");
    check_with_memory(r#"(import "a" "b" (func))"#, "it imports a.b");
    check_with_memory(r#"(import "ferrite" "b" (global i32))"#, "it imports ferrite.b");
    check_with_memory(r#"(import "env" "t" (table 1 funcref))"#, "it imports env.t");
    check_with_memory("(global (mut funcref) (ref.null func))", "global 0 holds a reference");
    check_with_memory(r#"(table (export "t") 1 funcref)"#, "a table is exported");
    check_with_memory(r#"(func (export "ferrite:cards"))"#, "'ferrite:cards', a name that is");
}

#[test]
fn instructions_whose_traces_stay_are_refused() {
    let table = "(table 4 funcref) (elem $e func) (data $d \"x\")";
    for (code, name) in [
        ("(data.drop $d)", "data.drop"),
        ("(elem.drop $e)", "elem.drop"),
        ("(table.set (i32.const 0) (ref.null func))", "table.set"),
        ("(drop (table.grow (ref.null func) (i32.const 1)))", "table.grow"),
        ("(table.fill (i32.const 0) (ref.null func) (i32.const 1))", "table.fill"),
        ("(table.copy (i32.const 0) (i32.const 1) (i32.const 1))", "table.copy"),
        ("(table.init $e (i32.const 0) (i32.const 0) (i32.const 0))", "table.init"),
        ("(i32.atomic.store (i32.const 0) (i32.const 1))", "threads"),
        ("(return_call 0)", "tail calls"),
    ] {
        check_with_memory(&format!("{table} (func {code})"), name);
    }
}

#[test]
fn what_compilers_write_qualifies() {
    check_with_memory("", "it qualifies");
    check_with_memory(
        r#"(import "ferrite" "ferrite_get" (func (param i32 i32) (result i64)))
           (import "wasi_snapshot_preview1" "fd_close" (func (param i32) (result i32)))
           (table 2 funcref) (elem (i32.const 0) func $f $g) (global (mut i32) (i32.const 1024))
           (start $g)
           (func $f (result i32) (memory.grow (i32.const 1)))
           (func $g (drop (call_indirect (result i32) (i32.const 0))))"#,
        "it qualifies",
    );
}

/// A list of stores that lacks one would let what that one writes stay.
#[test]
fn no_instruction_that_writes_memory_is_unknown() {
    macro_rules! names {
        ($(@$proposal:ident $op:ident $({ $($arg:ident: $argty:ty),* })? => $visit:ident
           ($($ann:tt)*))*) => {
            &[$((stringify!($proposal), stringify!($op))),*]
        };
    }
    let all: &[(&str, &str)] = wasmparser::for_each_operator!(names);
    let accepted = [
        "mvp",
        "sign_extension",
        "saturating_float_to_int",
        "bulk_memory",
        "reference_types",
        "simd",
    ];
    let is_writer = |name: &str| name.contains("Store") || name.starts_with("Memory");
    let mut writers: Vec<_> = all
        .iter()
        .filter(|(proposal, name)| accepted.contains(proposal) && is_writer(name))
        .map(|(_, name)| *name)
        .collect();
    writers.sort_unstable();
    let known = [
        "F32Store",
        "F64Store",
        "I32Store",
        "I32Store16",
        "I32Store8",
        "I64Store",
        "I64Store16",
        "I64Store32",
        "I64Store8",
        "MemoryCopy",
        "MemoryFill",
        "MemoryGrow",
        "MemoryInit",
        "MemorySize",
        "V128Store",
        "V128Store16Lane",
        "V128Store32Lane",
        "V128Store64Lane",
        "V128Store8Lane",
    ];
    assert_eq!(writers, known);
}

/// Whatever the bytes, the answer is a module or a reason.
#[test]
fn damaged_modules_are_refused_without_a_panic() {
    let wasm = wat::parse_str(
        r#"(module (import "env" "f" (func (param i32))) (memory (export "memory") 1 2)
            (global (mut i64) (i64.const 1)) (table 1 funcref) (elem (i32.const 0) func 1)
            (data (i32.const 9) "data") (data "passive")
            (func (export "g") (param i32) (local i64 v128)
              (block (loop (if (local.get 0) (then (br 2)) (else
                (i64.store offset=8 (local.tee 0 (i32.const 5)) (local.get 1))
                (v128.store16_lane 1 (local.get 0) (local.get 2))))
                (memory.init 1 (i32.const 1) (i32.const 0) (i32.const 2))
                (memory.fill (local.get 0) (i32.const 0) (i32.const 2)) (br 0)))))"#,
    );
    let wasm = wasm.expect("a module in text");
    let mut accepted = 0;
    for at in 0..wasm.len() {
        let _ = rewrite(&wasm[..at]);
        for value in 0..=u8::MAX {
            let mut damaged = wasm.clone();
            damaged[at] = value;
            accepted += u32::from(rewrite(&damaged).is_ok());
        }
    }
    assert!(accepted > 1000, "some damage makes another module: {accepted}");
}
