//! What scripts do to keys, and what others see of it.

use std::io::Read;

use crate::common::{Raw, TestServer};

fn eval(connection: &mut crate::common::Connection, script: &str, keys: &[&str]) -> Raw {
    let count = keys.len().to_string();
    let mut words = vec!["EVAL", script, &count];
    words.extend(keys);
    connection.ask_words(&words)
}

#[test]
fn what_a_script_wrote_stays_when_it_fails() {
    let server = TestServer::plain();
    let mut client = server.connect();
    let answer = eval(&mut client, "redis.call('SET', 'k', 1) redis.call('INCR', KEYS[1])", &["k"]);
    assert_eq!(answer, Raw::Null);
    assert_eq!(client.ask("GET k"), Raw::bulk("2"));
    client.ask("RPUSH list a");
    let answer = eval(&mut client, "redis.call('SET', 'k', 9) redis.call('INCR', 'list')", &[]);
    assert!(answer.text().starts_with("WRONGTYPE "), "{answer:?}");
    assert_eq!(client.ask("GET k"), Raw::bulk("9"));
}

#[test]
fn whoever_waits_or_watches_hears_of_it() {
    let server = TestServer::plain();
    let (mut client, mut other, mut events) =
        (server.connect(), server.connect(), server.connect());
    client.ask("CONFIG SET notify-keyspace-events KEA");
    events.ask("PSUBSCRIBE __keyspace@0__:*");
    other.send("BLPOP queue 0");
    client.ask("WATCH watched");
    let script = "redis.call('SET', 'watched', 1) redis.call('RPUSH', 'queue', 'a', 'b') \
                  return redis.call('LLEN', 'queue')";
    let mut third = server.connect();
    // Nobody is served before the script is over.
    assert_eq!(eval(&mut third, script, &[]), Raw::Integer(2));
    assert_eq!(other.read(), Raw::Array(vec![Raw::bulk("queue"), Raw::bulk("a")]));
    assert_eq!(client.ask("MULTI").text(), "OK");
    client.ask("PING");
    assert_eq!(client.ask("EXEC"), Raw::NullArray);
    for expected in ["set", "rpush", "lpop"] {
        let Raw::Array(event) = events.read() else { panic!("an event") };
        assert_eq!(event[3], Raw::bulk(expected));
    }
}

#[test]
fn a_database_is_selected_for_the_script_alone() {
    let server = TestServer::plain();
    let mut client = server.connect();
    let script = "redis.call('SELECT', 5) redis.call('SET', 'k', 'five') \
                  return redis.call('GET', 'k')";
    assert_eq!(eval(&mut client, script, &[]), Raw::bulk("five"));
    assert_eq!(client.ask("EXISTS k"), Raw::Integer(0));
    client.ask("SELECT 5");
    assert_eq!(client.ask("GET k"), Raw::bulk("five"));
    // By a word that is put together at run time it has to be the first.
    let script = "redis.call('GET', 'k') return redis.call('SE' .. 'LECT', 1)";
    let answer = eval(&mut client, script, &[]);
    assert!(answer.text().contains("reaches beyond one database"), "{answer:?}");
    let script = "redis.call('SE' .. 'LECT', 1) return redis.call('GET', 'k')";
    assert_eq!(eval(&mut client, script, &[]), Raw::Null);
}

#[test]
fn a_script_is_one_command_of_a_transaction() {
    let server = TestServer::plain();
    let mut client = server.connect();
    client.ask("MULTI");
    client.ask("SET k 1");
    assert_eq!(eval(&mut client, "return redis.call('INCR', 'k')", &[]).text(), "QUEUED");
    assert_eq!(eval(&mut client, "return redis.call('SELECT', 3)", &[]).text(), "QUEUED");
    client.ask("INCR k");
    let ok = || Raw::Simple("OK".into());
    let expected = vec![ok(), Raw::Integer(2), ok(), Raw::Integer(3)];
    assert_eq!(client.ask("EXEC"), Raw::Array(expected));
}

#[test]
fn the_cache_forgets_what_was_not_used_but_not_what_was_loaded() {
    let server = TestServer::plain();
    let mut client = server.connect();
    let kept = client.ask_words(&["SCRIPT", "LOAD", "return 'kept'"]).text();
    eval(&mut client, "return 'first'", &[]);
    server.advance(1000);
    for number in 0..600 {
        eval(&mut client, &format!("return {number}"), &[]);
    }
    assert_eq!(client.ask(&format!("EVALSHA {kept} 0")), Raw::bulk("kept"));
    let info = client.ask("INFO memory").text();
    assert!(info.contains("number_of_cached_scripts:501\r\n"), "{info}");
    let first = "d5a95ea4c9e1a7a4ea0e9d5ab5a0a1d1a6a0c3b1";
    let answer = client.ask(&format!("EVALSHA {first} 0"));
    assert_eq!(answer.text(), "NOSCRIPT No matching script. Please use EVAL.");
    client.ask("SCRIPT FLUSH");
    let answer = client.ask(&format!("EVALSHA {kept} 0"));
    assert_eq!(answer.text(), "NOSCRIPT No matching script. Please use EVAL.");
}

#[test]
fn what_is_watched_shows_a_script_before_its_commands() {
    let server = TestServer::plain();
    let (mut client, mut monitor) = (server.connect(), server.connect());
    assert_eq!(monitor.ask("MONITOR").text(), "OK");
    eval(&mut client, "return redis.call('PING')", &[]);
    assert!(monitor.read().text().contains("\"EVAL\""));
    assert!(monitor.read().text().contains("lua] \"PING\""));
    let code =
        "#!lua name=l\nredis.register_function('f', function() return redis.call('TIME') end)";
    client.ask_words(&["FUNCTION", "LOAD", code]);
    client.ask("FCALL f 0");
    let mut next = || monitor.read().text();
    while !next().contains("\"FCALL\" \"f\"") {}
    assert!(next().contains("lua] \"TIME\""));
}

#[test]
fn errors_are_the_bytes_that_scripts_make_them() {
    let server = TestServer::plain();
    let mut client = server.connect();
    client.send_words(&["EVAL", "error('\\233')", "0"]);
    let mut line = [0; 64];
    let count = client.stream.read(&mut line).expect("a reply");
    assert!(line[..count].starts_with(b"-ERR user_script:1: \xe9 script: "), "{line:?}");
}
