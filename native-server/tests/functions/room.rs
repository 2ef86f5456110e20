//! Memory that a function lacks: databases share one budget, so others make room for it, as they do
//! for commands.

use ferrite_engine::Policy;

use crate::common::{Connection, Raw, TestServer};
use crate::guest::{module, record};

/// `set`: sets its key to so many zeros, and says what it was told. `slow`: the same, but first
/// works for so long that it is moved to another thread.
const BODY: &str = r#"
  (func $set_zeros (param $k i32) (param $kl i32) (param $n i64) (result i64)
    (drop (memory.grow (i32.wrap_i64 (i64.shr_u (local.get $n) (i64.const 16)))))
    (i64.extend_i32_s
      (call $set (local.get $k) (local.get $kl) (i32.const 0) (i32.wrap_i64 (local.get $n)))))
  (func (export "set") (param i32 i32 i64) (result i64)
    (call $set_zeros (local.get 0) (local.get 1) (local.get 2)))
  (func (export "slow") (param i32 i32 i64) (result i64)
    (local $n i64)
    (local.set $n (i64.const 30000000))
    (loop $l
      (local.set $n (i64.sub (local.get $n) (i64.const 1)))
      (br_if $l (i64.gt_s (local.get $n) (i64.const 0))))
    (call $set_zeros (local.get 0) (local.get 1) (local.get 2)))
"#;

const OOM: i64 = -4;

fn server(policy: Policy) -> (TestServer, Connection) {
    let server = TestServer::start(|config| {
        config.maxmemory = 8 << 20;
        config.maxmemory_policy = policy;
    });
    let mut client = server.connect();
    let params = "k:key:str n:arg:i64";
    let records = [record("set", params, "i64", ""), record("slow", params, "i64", "")];
    client.load(&module(&[&records[0], &records[1]], BODY));
    (server, client)
}

/// Fills another database until nothing more fits.
fn fill(client: &mut Connection) {
    client.ask("SELECT 1");
    let value = "x".repeat(50_000);
    for number in 0..400 {
        client.ask(&format!("SET other:{number} {value}"));
    }
    client.ask("SELECT 0");
}

fn keys_of_other(client: &mut Connection) -> i64 {
    client.ask("SELECT 1");
    let Raw::Integer(keys) = client.ask("DBSIZE") else { panic!("a number") };
    client.ask("SELECT 0");
    keys
}

#[test]
fn other_databases_make_room_for_a_function() {
    for function in ["set", "slow"] {
        let (_server, mut client) = server(Policy::AllKeysLru);
        fill(&mut client);
        let before = keys_of_other(&mut client);
        // It is longer than all that its own database could give back.
        let call = format!("FCALL {function} 1 large 2000000");
        assert_eq!(client.ask(&call), Raw::Integer(0), "{function}");
        assert_eq!(client.ask("STRLEN large"), Raw::Integer(2_000_000));
        assert!(keys_of_other(&mut client) < before - 20);
    }
}

#[test]
fn where_nobody_may_be_evicted_the_function_is_told() {
    let (_server, mut client) = server(Policy::NoEviction);
    fill(&mut client);
    let before = keys_of_other(&mut client);
    assert_eq!(client.ask("FCALL set 1 k 2000000"), Raw::Integer(OOM));
    // One that was moved only learns of it when it is over.
    let line = "OOM command not allowed when used memory > 'maxmemory'.";
    assert_eq!(client.error("FCALL slow 1 k 2000000"), line);
    assert_eq!(client.ask("EXISTS k"), Raw::Integer(0));
    assert_eq!(keys_of_other(&mut client), before);
}
