//! The tools that come with Redis, and the calls of redis_exporter, as they are used every day.
//!
//! Invariant: the real programs are run. Where they are not installed, a test says so and ends;
//! with CI=true it fails.

mod common;

use std::io::{ErrorKind, Write};
use std::process::{Command, Output, Stdio};

use common::{Raw, TestServer};

/// Runs a program with this input; nothing where it is not installed.
fn run(server: &TestServer, program: &str, arguments: &[&str], input: &[u8]) -> Option<Output> {
    let child = Command::new("timeout")
        .args(["60", program, "-p", &server.address.port().to_string()])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = match child {
        Err(error) if error.kind() == ErrorKind::NotFound => return missing("timeout"),
        child => child.expect("a process"),
    };
    child.stdin.take().expect("a pipe").write_all(input).expect("the program reads its input");
    let output = child.wait_with_output().expect("a process");
    if output.status.code() == Some(127) { missing(program) } else { Some(output) }
}

fn missing(program: &str) -> Option<Output> {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{program} is missing");
    println!("skipped: {program} is missing");
    None
}

/// What redis-cli prints, which must end well.
fn cli(server: &TestServer, arguments: &[&str], input: &[u8]) -> Option<String> {
    let output = run(server, "redis-cli", arguments, input)?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {text}{errors}");
    Some(text)
}

fn fill(server: &TestServer) {
    let mut connection = server.connect();
    for number in 0..100 {
        let ok = connection.ask(&format!("SET key:{number} value"));
        assert_eq!(ok, Raw::Simple("OK".into()));
    }
    assert_eq!(connection.ask("RPUSH items a b c"), Raw::Integer(3));
}

#[test]
fn redis_cli_speaks_both_protocols() {
    let server = TestServer::plain();
    fill(&server);
    let input = b"HSET hash field value\nHGETALL hash\nMULTI\nINCR count\nEXEC\nNONE\n";
    for (protocol, map) in [("-2", "1) \"field\"\n2) \"value\""), ("-3", "\"field\" => \"value\"")]
    {
        let Some(text) = cli(&server, &["--no-raw", protocol], input) else { return };
        assert!(text.contains(map), "{text}");
        assert!(text.contains("QUEUED\n1) (integer) "), "{text}");
        assert!(text.contains("ERR unknown command 'NONE'"), "{text}");
    }
}

#[test]
fn redis_cli_looks_through_the_keys() {
    let server = TestServer::plain();
    fill(&server);
    let Some(text) = cli(&server, &["--scan", "--pattern", "key:*"], b"") else { return };
    let mut keys: Vec<&str> = text.lines().collect();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), 100, "{text}");
    let text = cli(&server, &["--bigkeys"], b"").expect("redis-cli is there");
    assert!(text.contains("Sampled 101 keys in the keyspace!"), "{text}");
    assert!(text.contains("'\"items\"' has 3 items"), "{text}");
    let text = cli(&server, &["--memkeys"], b"").expect("redis-cli is there");
    assert!(text.contains("Sampled 101 keys in the keyspace!"), "{text}");
}

#[test]
fn redis_cli_sends_files_through_a_pipe() {
    let server = TestServer::plain();
    let requests: Vec<u8> = (0..10_000)
        .flat_map(|number| common::request(&["SET", &format!("piped:{number}"), "value"]))
        .collect();
    let Some(text) = cli(&server, &["--pipe"], &requests) else { return };
    assert!(text.contains("errors: 0, replies: 10000"), "{text}");
    assert_eq!(server.connect().ask("DBSIZE"), Raw::Integer(10_000));
}

#[test]
fn redis_benchmark_runs_with_its_defaults() {
    let server = TestServer::plain();
    let Some(output) = run(&server, "redis-benchmark", &["-n", "1000", "--csv"], b"") else {
        return;
    };
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    for name in
        ["PING_INLINE", "PING_MBULK", "SET", "GET", "INCR", "LPUSH", "RPUSH", "LPOP", "RPOP"]
            .into_iter()
            .chain(["SADD", "HSET", "SPOP", "ZADD", "ZPOPMIN", "LRANGE_600 (first 600 elements)"])
            .chain(["MSET (10 keys)"])
    {
        assert!(text.contains(&format!("\"{name}\",\"")), "{name}: {text}");
    }
    assert!(!text.contains("rror"), "{text}");
}

#[test]
fn redis_exporter_finds_what_it_asks_for() {
    let server = TestServer::plain();
    fill(&server);
    let mut connection = server.connect();
    for request in [
        "PING",
        "CLIENT SETNAME redis_exporter",
        "CONFIG GET *",
        "SLOWLOG LEN",
        "SLOWLOG GET 1",
        "LATENCY LATEST",
        "LATENCY HISTOGRAM",
        "CLIENT LIST",
        "SCAN 0",
        "TYPE items",
        "MEMORY USAGE items",
        "SELECT 0",
    ] {
        let reply = connection.ask(request);
        assert!(
            !matches!(reply, Raw::Error(_) | Raw::Null | Raw::NullArray),
            "{request}: {reply:?}"
        );
    }
    // Without a cluster this is an error in Redis, too, or says that there is none.
    let cluster = connection.ask("CLUSTER INFO").text();
    assert!(cluster.contains("cluster"), "{cluster}");
    let info = connection.ask("INFO ALL").text();
    for field in [
        "used_memory",
        "used_memory_rss",
        "used_memory_peak",
        "maxmemory",
        "mem_fragmentation_ratio",
        "connected_clients",
        "blocked_clients",
        "expired_keys",
        "evicted_keys",
        "keyspace_hits",
        "keyspace_misses",
        "total_commands_processed",
        "instantaneous_ops_per_sec",
        "role",
        "db0",
        "latest_fork_usec",
        "repl_backlog_size",
        "second_repl_offset",
        "mem_clients_normal",
        "number_of_functions",
        "active_defrag_running",
        "used_cpu_sys_children",
        "evicted_clients",
        "slave_expires_tracked_keys",
    ] {
        assert!(info.lines().any(|line| line.starts_with(&format!("{field}:"))), "{field}: {info}");
    }
}
