//! What the SDK makes of the examples, in a small host of its own: whether docs/functions.md says
//! enough for two sides that know nothing of each other.
//!
//! Not here: the server, which the same modules are loaded into by functions.rs.

mod host;

use ferrite_tests::answer::Answer;
use ferrite_tests::functions::example;
use host::Host;

/// A module of this kind is small, or something has crept into it.
const RATE_LIMIT_BYTES_MAX: usize = 6 * 1024;

fn check_rate_limit(name: &str, module: &[u8]) {
    let mut host = Host::new();
    host.load(module);
    for count in 1..=3 {
        assert_eq!(host.call(name, &["user"], &["3", "60"]), format!(":{count}\r\n"));
    }
    assert_eq!(host.call(name, &["user"], &["3", "60"]), "-ERR rate limit exceeded\r\n");
    assert_eq!(host.ask(&["GET", "user"]), Answer::bulk(b"3"));
    // The window that the first call began is still the same one.
    assert_eq!(host.ask(&["PTTL", "user"]), Answer::Integer(60_000));
    assert_eq!(host.call(name, &["other"], &["1", "60"]), ":1\r\n");
    // A key that does not fit the module's buffer for arguments.
    let long = "k".repeat(300);
    assert_eq!(host.call(name, &[&long], &["1", "60"]), ":1\r\n");

    host.ask(&["LPUSH", "list", "x"]);
    let reply = host.call(name, &["list"], &["3", "60"]);
    assert!(reply.starts_with("-WRONGTYPE Operation against a key"), "{reply}");
    assert_eq!(host.ask(&["LLEN", "list"]), Answer::Integer(1));
}

/// What the SDK makes is what the server can set back after a call, in place of a new instance.
#[test]
fn modules_of_the_sdk_can_be_set_back() {
    for name in ["rate_limit", "rate_limit_c", "json_aggregate", "time_window", "ab_assignment"] {
        let Some(module) = example(name, false) else { continue };
        if let Err(unfit) = ferrite_server::functions::reset::rewrite(&module) {
            panic!("{name}: {unfit}");
        }
    }
}

#[test]
fn a_rate_limit_in_rust() {
    for is_wasi in [false, true] {
        let module = example("rate_limit", is_wasi).expect("Rust is there");
        check_rate_limit("rate_limit", &module);
        assert!(is_wasi || module.len() < RATE_LIMIT_BYTES_MAX, "{} bytes", module.len());
    }
}

#[test]
fn a_rate_limit_in_c() {
    for is_wasi in [false, true] {
        let Some(module) = example("rate_limit_c", is_wasi) else { return };
        check_rate_limit("rate_limit_c", &module);
    }
}

#[test]
fn a_sum_of_json() {
    let mut host = Host::new();
    host.load(&example("json_aggregate", false).expect("Rust is there"));
    let items: Vec<String> =
        (1..=100).map(|n| format!("{{\"id\":{n},\"value\":{n}.5,\"tags\":[\"a\"]}}")).collect();
    // Larger than the module's first page of memory, with what is behind the items.
    let rest = "x".repeat(100_000);
    host.ask(&["SET", "doc", &format!("{{\"items\":[{}],\"rest\":\"{rest}\"}}", items.join(","))]);
    assert_eq!(host.call("json_sum", &["doc", "total"], &[]), ",5100\r\n");
    assert_eq!(host.ask(&["GET", "total"]), Answer::bulk(b"5100"));

    host.ask(&["SET", "doc", "{\"items\":[{\"value\":1},{}]}"]);
    let reply = host.call("json_sum", &["doc", "total"], &[]);
    assert!(reply.starts_with("-ERR not the document that is summed: missing field"), "{reply}");
    assert_eq!(host.call("json_sum", &["none", "total"], &[]), "-ERR no such document\r\n");
    assert_eq!(host.ask(&["GET", "total"]), Answer::bulk(b"5100"));
}

#[test]
fn a_window_over_time() {
    let mut host = Host::new();
    let records = host.load(&example("time_window", false).expect("Rust is there"));
    let stats = records.iter().find(|record| record["name"] == "window_stats").expect("a record");
    assert_eq!(stats["flags"], serde_json::json!(["no-writes"]));
    assert_eq!(host.call("window_stats", &["cpu"], &["60"]), "_\r\n");
    for (count, value) in [(1, "1.5"), (2, "-0.5"), (3, "5")] {
        assert_eq!(host.call("window_add", &["cpu"], &[value, "60"]), format!(":{count}\r\n"));
    }
    let expected = "%4\r\n$5\r\ncount\r\n:3\r\n$3\r\nmin\r\n,-0.5\r\n\
                    $4\r\nmean\r\n,2\r\n$3\r\nmax\r\n,5\r\n";
    assert_eq!(host.call("window_stats", &["cpu"], &["60"]), expected);
    assert_eq!(host.call("window_stats", &["cpu"], &["0"]), "_\r\n");
    let reply = host.call("window_add", &["cpu"], &["1", "0"]);
    assert_eq!(reply, "-ERR a window is at least 1 second\r\n");
}

#[test]
fn an_assignment_to_variants() {
    let mut host = Host::new();
    host.load(&example("ab_assignment", false).expect("Rust is there"));
    let weights = ["old", "80", "new", "20"];
    let mut assigned = Vec::new();
    for user in 0..200 {
        let user = user.to_string();
        assigned.push(host.call("ab_assign", &["exp"], &[&[&user[..]], &weights[..]].concat()));
    }
    for (user, before) in assigned.iter().enumerate() {
        // Whatever the weights are by now.
        let words = [&user.to_string()[..], "old", "1", "new", "99"];
        assert_eq!(host.call("ab_assign", &["exp"], &words), *before);
    }
    let new = assigned.iter().filter(|reply| **reply == "$3\r\nnew\r\n").count();
    assert!((20..60).contains(&new), "{new} of 200, where 40 are expected");
    let expected = format!("%2\r\n$3\r\nold\r\n:{}\r\n$3\r\nnew\r\n:{new}\r\n", 200 - new);
    assert_eq!(host.call("ab_counts", &["exp"], &["old", "new"]), expected);

    let refused = host.call("ab_assign", &["exp"], &["u", "old", "0"]);
    assert_eq!(refused, "-ERR all weights are 0\r\n");
    let refused = host.call("ab_assign", &["exp"], &["u", "old"]);
    assert!(refused.starts_with("-ERR variants are given as"), "{refused}");
    let refused = host.call("ab_assign", &["exp"], &["u", "old", "-1"]);
    assert_eq!(refused, "-ERR '-1' is no weight\r\n");
}
