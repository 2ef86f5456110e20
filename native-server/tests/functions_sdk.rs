//! The example functions in the server, over TCP, in RESP2 and in RESP3.
//!
//! What they do on their own is judged in functions_abi; here it is the server that they meet.

mod common;

use common::{Connection, Raw, TestServer};
use ferrite_tests::functions::example;

/// A server with the example in it, and a connection of either protocol.
fn with_example(name: &str, is_wasi: bool, check: impl Fn(&TestServer, &mut Connection, u8)) {
    let Some(module) = example(name, is_wasi) else { return };
    for protocol in [2, 3] {
        let server = TestServer::plain();
        let mut connection = server.connect();
        let load: [&[u8]; 4] = [b"FUNCTION", b"LOAD", b"WASM", &module];
        assert_eq!(connection.ask_words(&load), Raw::bulk(name));
        connection.ask(&format!("HELLO {protocol}"));
        check(&server, &mut connection, protocol);
    }
}

fn error(text: &str) -> Raw {
    Raw::Error(text.into())
}

#[test]
fn a_rate_limit() {
    for (name, is_wasi) in [("rate_limit", false), ("rate_limit", true), ("rate_limit_c", false)] {
        with_example(name, is_wasi, |server, connection, _| {
            let call = format!("FCALL {name} 1 user 3 60");
            for count in 1..=3 {
                assert_eq!(connection.ask(&call), Raw::Integer(count));
            }
            assert_eq!(connection.ask(&call), error("ERR rate limit exceeded"));
            assert_eq!(connection.ask("PTTL user"), Raw::Integer(60_000));
            // The window has ended, and another begins.
            server.advance(60_001);
            assert_eq!(connection.ask(&call), Raw::Integer(1));

            let refused = connection.ask(&format!("FCALL {name} 1 user 3 soon"));
            let expected = "is not an integer or out of range";
            assert!(refused.text().ends_with(expected), "{refused:?}");
            assert_eq!(
                connection.ask(&format!("FCALL {name} 2 user other 3 60")),
                error(&format!("ERR wrong number of keys for '{name}': expected 1, got 2"))
            );
            assert_eq!(
                connection.ask(&format!("FCALL {name} 1 user 3")),
                error(&format!("ERR wrong number of arguments for '{name}': expected 2, got 1"))
            );
            connection.ask("LPUSH list x");
            let refused = connection.ask(&format!("FCALL {name} 1 list 3 60"));
            assert!(refused.text().starts_with("WRONGTYPE Operation against a key"), "{refused:?}");
            assert_eq!(connection.ask("LLEN list"), Raw::Integer(1));
        });
    }
}

#[test]
fn a_sum_of_json() {
    with_example("json_aggregate", false, |_, connection, protocol| {
        let document = br#"{"name":"x","items":[{"value":1.5,"id":1},null,{"value":2,"id":2}]}"#;
        connection.ask_words(&[b"SET", &b"doc"[..], document]);
        let sum = match protocol {
            2 => Raw::bulk("3.5"),
            _ => Raw::Double("3.5".into()),
        };
        assert_eq!(connection.ask("FCALL json_sum 2 doc total"), sum);
        assert_eq!(connection.ask("GET total"), Raw::bulk("3.5"));
        connection.ask("SET doc {");
        let refused = connection.ask("FCALL json_sum 2 doc total").text();
        assert!(refused.starts_with("ERR not the document that is summed: EOF"), "{refused}");
        assert_eq!(connection.ask("FCALL json_sum 2 no total"), error("ERR no such document"));
        assert_eq!(connection.ask("GET total"), Raw::bulk("3.5"));
    });
}

#[test]
fn a_window_over_time() {
    with_example("time_window", false, |server, connection, protocol| {
        assert_eq!(connection.ask("FCALL_RO window_stats 1 cpu 60"), Raw::Null);
        for (count, value) in [(1, "1.5"), (2, "-0.5"), (3, "5")] {
            let call = format!("FCALL window_add 1 cpu {value} 60");
            assert_eq!(connection.ask(&call), Raw::Integer(count));
            server.advance(25_000);
        }
        // 75 seconds later the first is too old.
        let double = |text: &str| match protocol {
            2 => Raw::bulk(text),
            _ => Raw::Double(text.into()),
        };
        let pairs = vec![
            (Raw::bulk("count"), Raw::Integer(2)),
            (Raw::bulk("min"), double("-0.5")),
            (Raw::bulk("mean"), double("2.25")),
            (Raw::bulk("max"), double("5")),
        ];
        let expected = match protocol {
            2 => Raw::Array(pairs.into_iter().flat_map(|(name, value)| [name, value]).collect()),
            _ => Raw::Map(pairs),
        };
        assert_eq!(connection.ask("FCALL_RO window_stats 1 cpu 60"), expected);
        let refused = connection.ask("FCALL_RO window_add 1 cpu 1 60").text();
        assert!(refused.starts_with("ERR Can not execute a script with write flag"), "{refused}");
        assert_eq!(
            connection.ask("FCALL window_add 1 cpu 1 0"),
            error("ERR a window is at least 1 second")
        );
    });
}

#[test]
fn an_assignment_to_variants() {
    with_example("ab_assignment", false, |_, connection, _| {
        for user in 0..20 {
            let variant = connection.ask(&format!("FCALL ab_assign 1 exp u{user} old 1 new 1"));
            let again = connection.ask(&format!("FCALL ab_assign 1 exp u{user} none 1"));
            assert_eq!(variant, again);
            assert_eq!(connection.ask(&format!("HGET exp user:u{user}")), variant);
        }
        let counts = ["old", "new"].map(|variant| {
            let count = connection.ask(&format!("HGET exp count:{variant}")).text();
            count.parse::<i64>().expect("a number")
        });
        assert_eq!(counts[0] + counts[1], 20);
        assert!(counts[0] > 0 && counts[1] > 0, "{counts:?}");
        assert_eq!(connection.ask("FCALL ab_assign 1 exp v old 0"), error("ERR all weights are 0"));
        assert_eq!(connection.ask("HEXISTS exp user:v"), Raw::Integer(0));
    });
}
