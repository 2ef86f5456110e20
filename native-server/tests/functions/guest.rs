//! Modules for tests, and how they are loaded and called.

use crate::common::{Connection, Raw};

/// All imports of the contract that the tests use, a memory and an allocator.
const PRELUDE: &str = r#"
  (import "ferrite" "ferrite_get" (func $get (param i32 i32) (result i64)))
  (import "ferrite" "ferrite_get_into" (func $get_into (param i32 i32 i32 i32) (result i64)))
  (import "ferrite" "ferrite_set" (func $set (param i32 i32 i32 i32) (result i32)))
  (import "env" "ferrite_set_ttl" (func $set_ttl (param i32 i32 i32 i32 i64) (result i32)))
  (import "ferrite" "ferrite_del" (func $del (param i32 i32) (result i32)))
  (import "ferrite" "ferrite_exists" (func $exists (param i32 i32) (result i32)))
  (import "ferrite" "ferrite_expire" (func $expire (param i32 i32 i64) (result i32)))
  (import "ferrite" "ferrite_ttl" (func $ttl (param i32 i32) (result i64)))
  (import "ferrite" "ferrite_incr_by" (func $incr_by (param i32 i32 i64 i32) (result i32)))
  (import "ferrite" "ferrite_hget" (func $hget (param i32 i32 i32 i32 i32 i32) (result i64)))
  (import "ferrite" "ferrite_hset" (func $hset (param i32 i32 i32 i32 i32 i32) (result i32)))
  (import "ferrite" "ferrite_call" (func $call (param i32 i32 i32 i32 i32) (result i64)))
  (import "ferrite" "ferrite_reply_read" (func $reply_read (param i32 i32 i32) (result i32)))
  (import "ferrite" "ferrite_fail" (func $fail (param i32 i32)))
  (import "ferrite" "ferrite_log" (func $log (param i32 i32 i32)))
  (import "ferrite" "ferrite_metric" (func $metric (param i32 i32 i32 f64) (result i32)))
  (import "ferrite" "ferrite_config_get" (func $config_get (param i32 i32 i32 i32) (result i64)))
  (import "ferrite" "ferrite_now_ms" (func $now_ms (result i64)))
  (import "ferrite" "ferrite_random" (func $random (param i32 i32)))
  (memory (export "memory") 2)
  (global $next (mut i32) (i32.const 65536))
  (func $pack (param i32 i32) (result i64)
    (i64.or (i64.shl (i64.extend_i32_u (local.get 0)) (i64.const 32))
            (i64.extend_i32_u (local.get 1))))
"#;

const ALLOC: &str = r#"
  (func $alloc (export "ferrite_alloc") (param $len i32) (result i32)
    (local $at i32)
    (local.set $at (global.get $next))
    (global.set $next
      (i32.and (i32.add (i32.add (local.get $at) (local.get $len)) (i32.const 7)) (i32.const -8)))
    (block $fits
      (br_if $fits (i32.le_u (global.get $next) (i32.mul (memory.size) (i32.const 65536))))
      (if (i32.eq (memory.grow (i32.add (i32.const 1) (i32.shr_u (local.get $len) (i32.const 16))))
                  (i32.const -1))
        (then (return (i32.const 0)))))
    (local.get $at))
"#;

/// A module with these functions, and these records as its metadata.
pub fn module(records: &[&str], body: &str) -> Vec<u8> {
    module_with(records, &format!("{ALLOC}{body}"))
}

/// The same without an allocator.
pub fn module_with(records: &[&str], body: &str) -> Vec<u8> {
    let section = records.concat().replace('"', "\\22").replace('\n', " ");
    let text = format!("(module {PRELUDE} {body} (@custom \"ferrite.udf\" \"{section}\"))");
    wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}"))
}

/// A record of a function of the library `lib`, as the contract has it.
pub fn record(name: &str, params: &str, result: &str, more: &str) -> String {
    let each = params.split_whitespace().map(|parameter| {
        let parts: Vec<&str> = parameter.split(':').collect();
        let optional = if parts.len() > 3 { ",\"optional\":true" } else { "" };
        let (name, role, kind) = (parts[0], parts[1], parts[2]);
        format!(r#"{{"name":"{name}","role":"{role}","type":"{kind}"{optional}}}"#)
    });
    let params = each.collect::<Vec<_>>().join(",");
    let head = format!(r#""abi":1,"library":"lib","name":"{name}""#);
    format!(r#"{{{head},"params":[{params}],"result":"{result}"{more}}}"#)
}

/// A module with one function, whose metadata this is.
pub fn single(name: &str, params: &str, result: &str, body: &str) -> Vec<u8> {
    module(&[&record(name, params, result, "")], body)
}

/// A request of words and of bytes.
pub fn words(parts: &[&[u8]]) -> Vec<Vec<u8>> {
    parts.iter().map(|part| part.to_vec()).collect()
}

impl Connection {
    /// FUNCTION LOAD REPLACE.
    pub fn load(&mut self, module: &[u8]) {
        let answer = self.load_raw(module);
        assert_eq!(answer, Raw::bulk("lib"));
    }

    /// The same, with any answer.
    pub fn load_raw(&mut self, module: &[u8]) -> Raw {
        self.ask_words(&words(&[b"FUNCTION", b"LOAD", b"REPLACE", module]))
    }

    /// The text of an error.
    pub fn error(&mut self, request: &str) -> String {
        match self.ask(request) {
            Raw::Error(line) => line,
            other => panic!("{request}: {other:?}"),
        }
    }
}

/// An error's line.
pub fn error(line: &str) -> Raw {
    Raw::Error(line.into())
}
