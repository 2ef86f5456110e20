//! All or nothing: what a call that fails leaves behind, and when others hear of one that does not.

use crate::common::{Connection, Raw, TestServer};
use crate::guest::{module, record, single};

/// Runs the commands in its arguments, each as long as its first argument says, then returns or
/// traps: `script KEYS then commands`, a command being its number of words and these.
const SCRIPT: &str = r#"
  (func $script (param $at i32) (param $n i32)
    (local $end i32) (local $words i32)
    (local.set $end (i32.add (local.get $at) (i32.shl (local.get $n) (i32.const 3))))
    (loop $next
      (if (i32.lt_u (local.get $at) (local.get $end))
        (then
          (local.set $words (i32.sub (i32.load8_u (i32.load (local.get $at))) (i32.const 48)))
          (local.set $at (i32.add (local.get $at) (i32.const 8)))
          (drop (call $call (local.get $at) (local.get $words) (i32.const 0) (i32.const 64)
            (i32.const 0)))
          (local.set $at (i32.add (local.get $at) (i32.shl (local.get $words) (i32.const 3))))
          (br $next)))))
  (func (export "script") (param i32 i32 i32 i32) (call $script (local.get 2) (local.get 3)))
  (func (export "trap") (param i32 i32 i32 i32)
    (call $script (local.get 2) (local.get 3)) (unreachable))
  (func (export "fails") (param i32 i32 i32 i32)
    (call $script (local.get 2) (local.get 3)) (call $fail (i32.const 0) (i32.const 0)))
  (func (export "replies") (param i32 i32 i32 i32) (result i64)
    (call $script (local.get 2) (local.get 3)) (i64.const -4))
"#;

pub fn script_module() -> Vec<u8> {
    let params = "k:keys:bytes a:args:bytes";
    let record = |name, result| record(name, params, result, "");
    let records = [
        record("script", "none"),
        record("trap", "none"),
        record("fails", "none"),
        record("replies", "reply"),
    ];
    let records: Vec<&str> = records.iter().map(String::as_str).collect();
    module(&records, SCRIPT)
}

/// The state of every key that the tests use.
fn state(client: &mut Connection) -> Vec<(String, Raw, Raw)> {
    let Raw::Array(mut keys) = client.ask("KEYS *") else { panic!("keys") };
    keys.sort_by_key(Raw::text);
    let mut state = Vec::new();
    for key in keys {
        let key = key.text();
        let (dump, ttl) = (client.ask(&format!("DUMP {key}")), client.ask(&format!("PTTL {key}")));
        state.push((key, dump, ttl));
    }
    state
}

fn script(commands: &[String]) -> String {
    let count = |command: &String| format!("{} {command}", command.split(' ').count());
    commands.iter().map(count).collect::<Vec<_>>().join(" ")
}

/// Random changes of a few keys of all types.
fn random_commands(random: &mut u64, count: usize) -> Vec<String> {
    let mut next = |below: u64| {
        *random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (*random >> 33) % below
    };
    let mut commands = Vec::new();
    for _ in 0..count {
        let (key, other) = (format!("k{}", next(6)), format!("k{}", next(6)));
        let (a, b) = (next(50), next(1000));
        commands.push(match next(20) {
            0 => format!("SET {key} v{b}"),
            1 => format!("SET {key} {}", "x".repeat(b as usize * 9)),
            2 => format!("DEL {key}"),
            3 => format!("INCRBY {key} {b}"),
            4 => format!("LPUSH {key} e{a}"),
            5 => format!("RPOP {key}"),
            6 => format!("HSET {key} f{a} v{b}"),
            7 => format!("HDEL {key} f{a}"),
            8 => format!("SADD {key} m{a}"),
            9 => format!("SREM {key} m{a}"),
            10 => format!("ZADD {key} {b} m{a}"),
            11 => format!("ZREM {key} m{a}"),
            12 => format!("PEXPIRE {key} {}", b + 10),
            13 => format!("PERSIST {key}"),
            14 => format!("RENAME {key} {other}"),
            15 => format!("COPY {key} {other} REPLACE"),
            16 => format!("APPEND {key} x{b}"),
            17 => format!("XADD {key} * f v{b}"),
            18 => format!("SETRANGE {key} {b} tail"),
            _ => format!("PFADD {key} e{a}"),
        });
    }
    commands
}

const KEYS: &str = "6 k0 k1 k2 k3 k4 k5";

#[test]
fn a_call_that_fails_leaves_nothing_behind() {
    let server = TestServer::plain();
    let mut client = server.connect();
    let mut events = server.connect();
    client.load(&script_module());
    client.ask("CONFIG SET notify-keyspace-events KEA");
    let mut random = 1;
    for round in 0..150 {
        // What there is comes about by other commands.
        for command in random_commands(&mut random, 4) {
            client.ask(&command);
        }
        let before = state(&mut client);
        events.ask("PSUBSCRIBE *");
        let commands = script(&random_commands(&mut random, 12));
        let name = ["trap", "fails", "replies"][round % 3];
        let answer = client.ask(&format!("FCALL {name} {KEYS} {commands}"));
        assert!(matches!(answer, Raw::Error(_)), "{answer:?}");
        assert_eq!(state(&mut client), before, "round {round}: {name} {commands}");
        // Nobody was told anything: what comes next is the answer.
        assert!(matches!(events.ask("PUNSUBSCRIBE *"),
                Raw::Array(parts) if parts[0] == Raw::bulk("punsubscribe")));
    }
}

#[test]
fn a_call_that_succeeds_does_what_its_commands_do() {
    let server = TestServer::plain();
    let (mut client, mut other) = (server.connect(), server.connect());
    client.load(&script_module());
    other.ask("SELECT 1");
    client.ask("CONFIG SET notify-keyspace-events KEA");
    let (mut here, mut there) = (server.connect(), server.connect());
    here.ask("PSUBSCRIBE __keyspace@0__:*");
    there.ask("PSUBSCRIBE __keyspace@1__:*");
    let mut random = 7;
    for round in 0..100 {
        let commands = random_commands(&mut random, 8);
        let commands: Vec<String> =
            commands.into_iter().filter(|command| !command.starts_with("XADD")).collect();
        client.ask(&format!("FCALL script {KEYS} {}", script(&commands)));
        for command in &commands {
            other.ask(command);
        }
        let same = state(&mut other);
        assert_eq!(state(&mut client), same, "round {round}: {commands:?}");
    }
    client.ask("SET last 1");
    other.ask("SET last 1");
    let told = |listener: &mut Connection| {
        let mut told = Vec::new();
        loop {
            let Raw::Array(parts) = listener.read() else { panic!("a message") };
            let channel = parts[2].text();
            let event = (channel.split_once(':').expect("a key").1.to_string(), parts[3].text());
            if event.0 == "last" {
                return told;
            }
            told.push(event);
        }
    };
    // Events of one call may be told once where those of two commands are told twice.
    let distinct = |mut events: Vec<(String, String)>| {
        events.dedup();
        events.sort();
        events.dedup();
        events
    };
    assert_eq!(distinct(told(&mut here)), distinct(told(&mut there)));
}

#[test]
fn watchers_and_waiters_hear_of_a_call_when_it_returns() {
    let server = TestServer::start(|config| config.io_threads = 2);
    let (mut client, mut watcher, mut waiter) =
        (server.connect(), server.connect(), server.connect());
    client.load(&script_module());
    let ok = Raw::Simple("OK".into());
    let mut transaction = |client: &mut Connection, call: &str| {
        assert_eq!(watcher.ask("WATCH k0"), ok);
        client.ask(call);
        watcher.ask("MULTI");
        watcher.ask("PING");
        watcher.ask("EXEC")
    };
    let pong = Raw::Array(vec![Raw::Simple("PONG".into())]);
    assert_eq!(transaction(&mut client, &format!("FCALL trap {KEYS} 3 SET k0 v")), pong);
    assert_eq!(
        transaction(&mut client, &format!("FCALL script {KEYS} 3 SET k0 v")),
        Raw::NullArray
    );
    waiter.send("BLPOP k1 0");
    while !client.ask("INFO clients").text().contains("blocked_clients:1") {}
    let both = "3 RPUSH k1 a 3 RPUSH k1 b";
    client.ask(&format!("FCALL trap {KEYS} {both}"));
    assert!(client.ask("INFO clients").text().contains("blocked_clients:1"));
    client.ask(&format!("FCALL script {KEYS} {both}"));
    assert_eq!(waiter.read(), Raw::Array(vec![Raw::bulk("k1"), Raw::bulk("a")]));
    assert_eq!(client.ask("LRANGE k1 0 -1"), Raw::Array(vec![Raw::bulk("b")]));
    // What a call pushes and takes away again nobody waits for.
    waiter.send("BLPOP k2 0");
    while !client.ask("INFO clients").text().contains("blocked_clients:1") {}
    client.ask(&format!("FCALL script {KEYS} 3 RPUSH k2 a 2 LPOP k2"));
    assert!(client.ask("INFO clients").text().contains("blocked_clients:1"));
}

#[test]
fn a_call_that_fails_under_memory_pressure_is_undone() {
    let server = TestServer::start(|config| config.maxmemory = 8 << 20);
    let mut client = server.connect();
    client.load(&script_module());
    let value = "v".repeat(3000);
    let mut count = 0;
    while client.ask(&format!("SET filler{count} {value}")) == Raw::Simple("OK".into()) {
        count += 1;
    }
    client.ask("DEL filler0");
    client.ask(&format!("SET k0 {}", "a".repeat(2000)));
    client.ask("RPUSH k1 a b c");
    let before = state(&mut client);
    for round in 0..20 {
        let grow = format!(
            "3 SET k0 {} 3 SET k2 {value} 3 SET k3 {value} 2 DEL k1",
            "b".repeat(round * 200 + 1)
        );
        client.error(&format!("FCALL trap {KEYS} {grow}"));
        assert_eq!(state(&mut client), before, "round {round}");
    }
}

#[test]
fn each_call_starts_from_the_initial_image() {
    let server = TestServer::plain();
    let mut client = server.connect();
    let body = r#"
      (global $count (mut i64) (i64.const 0))
      (data (i32.const 5000) "\07")
      (func (export "count") (result i64)
        (global.set $count (i64.add (global.get $count) (i64.const 1)))
        (i64.store8 (i32.const 5000) (i64.add (i64.load8_u (i32.const 5000)) (i64.const 1)))
        (i64.store (i32.const 70000) (i64.add (i64.load (i32.const 70000)) (i64.const 100)))
        (i64.add (i64.add (global.get $count) (i64.load8_u (i32.const 5000)))
          (i64.load (i32.const 70000))))
    "#;
    client.load(&single("count", "", "i64", body));
    for _ in 0..5 {
        assert_eq!(client.ask("FCALL count 0"), Raw::Integer(109));
    }
}
