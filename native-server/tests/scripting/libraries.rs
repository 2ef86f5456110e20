//! Libraries of functions in Lua.

use ferrite_tests::oracle::Oracle;

use crate::common::{Connection, Raw, TestServer};

const CODE: &str = "#!lua name=lib\n\
    local function hello(keys, args) return {keys[1], args[1], 'hello'} end\n\
    redis.register_function('hello', hello)\n\
    redis.register_function{function_name='look', callback=function(keys) \
    return redis.call('GET', keys[1]) end, flags={'no-writes'}, description='looks'}";

#[test]
fn functions_are_called_listed_and_moved() {
    let server = TestServer::plain();
    let mut client = server.connect();
    assert_eq!(client.ask_words(&["FUNCTION", "LOAD", CODE]), Raw::bulk("lib"));
    let answer = client.ask("FCALL hello 1 k a");
    assert_eq!(answer, Raw::Array(["k", "a", "hello"].map(Raw::bulk).to_vec()));
    client.ask("SET k v");
    assert_eq!(client.ask("FCALL_RO look 1 k"), Raw::bulk("v"));
    let refused = client.ask("FCALL_RO hello 1 k");
    assert_eq!(refused.text(), "ERR Can not execute a script with write flag using *_ro command.");
    let payload = client.ask("FUNCTION DUMP");
    client.ask("FUNCTION FLUSH");
    let Raw::Bulk(payload) = payload else { panic!("{payload:?}") };
    assert_eq!(client.ask_words(&[&b"FUNCTION"[..], b"RESTORE", &payload]).text(), "OK");
    assert_eq!(client.ask("FCALL look 1 k"), Raw::bulk("v"));
    let Raw::Array(list) = client.ask("FUNCTION LIST WITHCODE") else { panic!("a list") };
    let text = format!("{list:?}");
    assert!(text.contains("LUA") || text.contains("76, 85, 65"), "{text}");
}

#[test]
fn redis_server_reads_what_is_dumped_and_the_other_way_round() {
    let Some(oracle) = Oracle::start_or_skip() else { return };
    let server = TestServer::plain();
    let (mut theirs, mut ours) = (Connection::new(oracle.address), server.connect());
    ours.ask_words(&["FUNCTION", "LOAD", CODE]);
    let Raw::Bulk(payload) = ours.ask("FUNCTION DUMP") else { panic!("a payload") };
    assert_eq!(theirs.ask_words(&[&b"FUNCTION"[..], b"RESTORE", &payload]).text(), "OK");
    let Raw::Bulk(payload) = theirs.ask("FUNCTION DUMP") else { panic!("a payload") };
    ours.ask("FUNCTION FLUSH");
    assert_eq!(ours.ask_words(&[&b"FUNCTION"[..], b"RESTORE", &payload]).text(), "OK");
    assert_eq!(ours.ask("FCALL hello 1 k a"), theirs.ask("FCALL hello 1 k a"));
}

#[test]
fn what_cannot_be_loaded_is_refused_as_in_redis() {
    let Some(oracle) = Oracle::start_or_skip() else { return };
    let server = TestServer::plain();
    let (mut theirs, mut ours) = (Connection::new(oracle.address), server.connect());
    for code in [
        "return 1",
        "#!lua name=l",
        "#!lua name=l\n",
        "#!lua name=l\nreturn 1",
        "#!lua name=l\nreturn +",
        "#!lua\nreturn 1",
        "#!lua name=l name=m\nreturn 1",
        "#!lua foo=bar\nreturn 1",
        "#!lua name=a-b\nreturn 1",
        "#!nope name=l\nreturn 1",
        "#!lua name=l\nredis.call('PING')",
        "#!lua name=l\nreturn string.upper('a')",
        "#!lua name=l\nx = 1",
        "#!lua name=l\nerror('why')",
        "#!lua name=l\nredis.register_function()",
        "#!lua name=l\nredis.register_function('f')",
        "#!lua name=l\nredis.register_function('f', 1)",
        "#!lua name=l\nredis.register_function(1, 2)",
        "#!lua name=l\nredis.register_function('f-g', function() end)",
        "#!lua name=l\nredis.register_function('f', function() end, 3)",
        "#!lua name=l\nredis.register_function{function_name='f'}",
        "#!lua name=l\nredis.register_function{callback=function() end}",
        "#!lua name=l\nredis.register_function{function_name='f', callback=function() end, x=1}",
        "#!lua name=l\nredis.register_function{function_name='f', callback=function() end, \
         flags={'nope'}}",
        "#!lua name=l\nredis.register_function{function_name='f', callback=function() end, \
         flags='no-writes'}",
        "#!lua name=l\nredis.register_function('f', function() end) \
         redis.register_function('f', function() end)",
        "#!lua name=l\nwhile true do end",
        "#!lua name=l\nredis.register_function('f', function() return KEYS end)",
    ] {
        let request = ["FUNCTION", "LOAD", "REPLACE", code];
        assert_eq!(ours.ask_words(&request), theirs.ask_words(&request), "{code}");
    }
    for call in ["FCALL f 0", "FCALL nope 0", "FCALL f x", "FCALL f -1", "FCALL f 5"] {
        assert_eq!(ours.ask(call), theirs.ask(call), "{call}");
    }
}
