//! DEBUG: fingerprints are those of redis-server, and what else it shows.

mod common;

use common::{Raw, TestServer};
use ferrite_tests::answer::Answer;
use ferrite_tests::oracle::Oracle;
use ferrite_tests::subject::Subject;

/// Writes of every type, small and large, with what makes a fingerprint hard: numbers as text,
/// scores with decimals, fields in another order, deadlines, a second database.
fn writes() -> Vec<Vec<Vec<u8>>> {
    let request = |text: &str| text.split(' ').map(Vec::from).collect::<Vec<Vec<u8>>>();
    let mut writes: Vec<Vec<Vec<u8>>> = [
        "SET text hello",
        "SET number 12345",
        "SET deadline x PX 5000",
        "RPUSH list a b c 1 2 -3",
        "SADD numbers 3 1 2",
        "SADD members x y z 10",
        "ZADD scores 1 one 2.5 two -inf least inf most 1e20 far 0.1 tenth 7 7",
        "HSET hash a 1 b 2 c three",
        "XADD stream 1-1 a 1 b 2",
        "XADD stream 1-2 c 3",
        "XADD stream 5-0 a 1 a 2 a 3",
        "SELECT 3",
        "SET text elsewhere",
        "SELECT 0",
    ]
    .map(request)
    .into();
    for number in 0..300 {
        writes.push(request(&format!("HSET large field:{number} value:{number}")));
        writes.push(request(&format!("ZADD ranks {number} member:{number}")));
        writes.push(request(&format!("SADD many member:{number}")));
        writes.push(request(&format!("RPUSH long element:{number}")));
    }
    writes.push(vec![b"SET".into(), b"pages".into(), vec![b'x'; 20_000]]);
    writes
}

#[test]
fn fingerprints_are_those_of_redis() {
    let Some(mut oracle) = Oracle::start_or_skip() else { return };
    let server = TestServer::plain();
    let mut connection = server.connect();
    let digest: Vec<Vec<u8>> = vec![b"DEBUG".into(), b"DIGEST".into()];
    let empty = oracle.ask(&digest);
    assert_eq!(Answer::Simple(connection.ask_words(&digest).text()), empty);
    for request in writes() {
        let reply = connection.ask_words(&request);
        assert!(!matches!(reply, Raw::Error(_)), "{request:?}: {reply:?}");
        let reply = oracle.ask(&request);
        assert!(!matches!(reply, Answer::Error(_)), "{request:?}: {reply:?}");
    }
    let mut values: Vec<Vec<u8>> = vec![b"DEBUG".into(), b"DIGEST-VALUE".into()];
    let keys = "text number deadline list numbers members scores hash stream large ranks many long \
                pages missing";
    values.extend(keys.split(' ').map(Vec::from));
    let expected = oracle.ask(&values);
    let given = connection.ask_words(&values);
    let (Answer::Array(expected), Raw::Array(given)) = (expected, given) else {
        panic!("no fingerprints")
    };
    for ((key, expected), given) in values[2..].iter().zip(expected).zip(given) {
        let key = String::from_utf8_lossy(key);
        assert_eq!(Answer::Simple(given.text()), expected, "{key}");
    }
    let expected = oracle.ask(&digest);
    assert_eq!(Answer::Simple(connection.ask_words(&digest).text()), expected);
}

#[test]
fn a_database_is_populated_and_values_are_described() {
    let server = TestServer::plain();
    let mut connection = server.connect();
    connection.ask("SET thing:1 kept");
    assert_eq!(connection.ask("DEBUG POPULATE 3000 thing"), Raw::Simple("OK".into()));
    assert_eq!(connection.ask("DBSIZE"), Raw::Integer(3000));
    assert_eq!(connection.ask("GET thing:1"), Raw::bulk("kept"));
    assert_eq!(connection.ask("GET thing:2999"), Raw::bulk("value:2999"));
    assert_eq!(connection.ask("DEBUG POPULATE 1 sized 10"), Raw::Simple("OK".into()));
    assert_eq!(connection.ask("GET sized:0"), Raw::bulk("value:0\0\0\0"));
    connection.ask("RPUSH list a b");
    let shown = connection.ask("DEBUG OBJECT list").text();
    assert!(shown.contains(" refcount:1 encoding:quicklist serializedlength:"), "{shown}");
    assert!(shown.ends_with(" ql_compressed:0 ql_uncompressed_size:13"), "{shown}");
    assert_eq!(connection.ask("DEBUG OBJECT missing"), Raw::Error("ERR no such key".into()));
    for (request, nodes) in [("2", 2), ("0", 1)] {
        let threshold = format!("DEBUG QUICKLIST-PACKED-THRESHOLD {request}");
        assert_eq!(connection.ask(&threshold), Raw::Simple("OK".into()));
        connection.ask("DEL list");
        connection.ask("RPUSH list aa bb");
        let shown = connection.ask("DEBUG OBJECT list").text();
        assert!(shown.contains(&format!(" ql_nodes:{nodes} ")), "{shown}");
    }
    let refused = connection.ask("DEBUG QUICKLIST-PACKED-THRESHOLD 4gb").text();
    assert!(refused.starts_with("ERR argument must be a memory value"), "{refused}");
    for (pattern, matches) in [("a*a", 1), ("a*b", 0)] {
        let request = format!("DEBUG STRINGMATCH-LEN 1000 {pattern}");
        assert_eq!(connection.ask(&request), Raw::Integer(matches));
    }
    let unknown = connection.ask("DEBUG JMAP").text();
    assert_eq!(
        unknown,
        "ERR unknown subcommand or wrong number of arguments for 'JMAP'. Try DEBUG HELP."
    );
}

#[test]
fn every_kind_of_reply_is_shown() {
    let server = TestServer::plain();
    let mut connection = server.connect();
    let numbers = || (0..3).map(Raw::Integer).collect::<Vec<_>>();
    assert_eq!(connection.ask("DEBUG PROTOCOL attrib").text(), {
        "Some real reply following the attribute"
    });
    assert_eq!(connection.ask("DEBUG PROTOCOL true"), Raw::Integer(1));
    connection.ask("HELLO 3");
    assert_eq!(connection.ask("DEBUG PROTOCOL set"), Raw::Set(numbers()));
    assert_eq!(connection.ask("DEBUG PROTOCOL array"), Raw::Array(numbers()));
    assert_eq!(connection.ask("DEBUG PROTOCOL false"), Raw::Boolean(false));
    assert_eq!(connection.ask("DEBUG PROTOCOL double"), Raw::Double("3.141".into()));
    let verbatim = Raw::Verbatim("This is a verbatim\nstring".into());
    assert_eq!(connection.ask("DEBUG PROTOCOL verbatim"), verbatim);
    assert_eq!(connection.ask("DEBUG ERROR oops"), Raw::Error("oops".into()));
    assert!(matches!(connection.ask("DEBUG PROTOCOL none"), Raw::Error(_)));
}
