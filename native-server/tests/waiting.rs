//! Transactions, and commands that wait.

mod common;

use common::{Connection, Raw, TestServer};
use ferrite_tests::oracle::Oracle;

fn ok() -> Raw {
    Raw::Simple("OK".into())
}

fn array<const N: usize>(texts: [&str; N]) -> Raw {
    Raw::Array(texts.map(Raw::bulk).into())
}

/// Asks again until so many clients are blocked: others may take their time to get there.
fn await_blocked(connection: &mut Connection, count: usize) {
    let wanted = format!("blocked_clients:{count}\r");
    let is_so = (0..100_000).any(|_| connection.ask("INFO clients").text().contains(&wanted));
    assert!(is_so, "{count} clients should be blocked");
}

#[test]
fn a_transaction_runs_as_one() {
    let server = TestServer::plain();
    let (mut one, mut two) = (server.connect(), server.connect());
    assert_eq!(one.ask("MULTI"), ok());
    assert_eq!(one.ask("SET k 1"), Raw::Simple("QUEUED".into()));
    assert_eq!(one.ask("INCR k"), Raw::Simple("QUEUED".into()));
    assert_eq!(one.ask("LPUSH k x"), Raw::Simple("QUEUED".into()));
    assert_eq!(two.ask("GET k"), Raw::Null);
    let wrong = "WRONGTYPE Operation against a key holding the wrong kind of value";
    let expected = vec![ok(), Raw::Integer(2), Raw::Error(wrong.into())];
    assert_eq!(one.ask("EXEC"), Raw::Array(expected));
    assert_eq!(one.ask("EXEC"), Raw::Error("ERR EXEC without MULTI".into()));
    assert_eq!(one.ask("MULTI"), ok());
    assert!(matches!(one.ask("NOSUCH"), Raw::Error(_)));
    let aborted = "EXECABORT Transaction discarded because of previous errors.";
    assert_eq!(one.ask("EXEC"), Raw::Error(aborted.into()));
    assert_eq!(one.ask("MULTI"), ok());
    assert_eq!(one.ask("SELECT 3"), Raw::Simple("QUEUED".into()));
    assert_eq!(one.ask("SET k three"), Raw::Simple("QUEUED".into()));
    assert_eq!(one.ask("BLPOP nothing 0"), Raw::Simple("QUEUED".into()));
    assert_eq!(one.ask("EXEC"), Raw::Array(vec![ok(), ok(), Raw::NullArray]));
    assert_eq!(one.ask("GET k"), Raw::bulk("three"));
}

#[test]
fn an_exec_that_may_not_be_run_ends_the_transaction() {
    let server = TestServer::plain();
    let mut client = server.connect();
    for request in ["MULTI", "SET k v"] {
        client.ask(request);
    }
    let why = "MISCONF the disk is full";
    server.shared().gate.refuse_writes("test", Some(why.into()));
    let line = format!("EXECABORT Transaction discarded because of: {why}");
    assert_eq!(client.ask("EXEC"), Raw::Error(line));
    server.shared().gate.refuse_writes("test", None);
    assert_eq!(client.ask("EXEC"), Raw::Error("ERR EXEC without MULTI".into()));
    assert_eq!(client.ask("SET k v"), ok());
}

#[test]
fn a_watched_key_that_changes_stops_the_transaction() {
    let server = TestServer::plain();
    let (mut one, mut two) = (server.connect(), server.connect());
    let mut attempt = |changes: &[&str], advance_ms: i64| {
        assert_eq!(one.ask("SET k 1 PX 1000"), ok());
        assert_eq!(one.ask("WATCH k other"), ok());
        for change in changes {
            assert!(!matches!(two.ask(change), Raw::Error(_)), "{change}");
        }
        server.advance(advance_ms);
        assert_eq!(one.ask("MULTI"), ok());
        assert_eq!(one.ask("PING"), Raw::Simple("QUEUED".into()));
        one.ask("EXEC")
    };
    let pong = Raw::Array(vec![Raw::Simple("PONG".into())]);
    assert_eq!(attempt(&[], 0), pong);
    assert_eq!(attempt(&["GET k", "SET unrelated 1"], 0), pong);
    assert_eq!(attempt(&["SET k 2"], 0), Raw::NullArray);
    assert_eq!(attempt(&["LPUSH other x", "DEL other"], 0), Raw::NullArray);
    assert_eq!(attempt(&["FLUSHALL"], 0), Raw::NullArray);
    assert_eq!(attempt(&["RENAME k other", "DEL other"], 0), Raw::NullArray);
    assert_eq!(attempt(&["SWAPDB 0 1", "SWAPDB 0 1"], 0), Raw::NullArray);
    assert_eq!(attempt(&[], 2000), Raw::NullArray);
    // What is not there is not dropped.
    let storing = ["SINTERSTORE missing no", "ZUNIONSTORE missing 1 no", "SORT no STORE missing"];
    for flush in ["FLUSHALL", "FLUSHDB"].into_iter().chain(storing) {
        assert_eq!(two.ask("SET other 1"), ok());
        assert_eq!(one.ask("WATCH missing"), ok());
        assert!(!matches!(two.ask(flush), Raw::Error(_)), "{flush}");
        assert_eq!(one.ask("MULTI"), ok());
        assert_eq!(one.ask("EXEC"), Raw::Array(vec![]), "{flush}");
    }
    assert_eq!(one.ask("WATCH k"), ok());
    assert_eq!(two.ask("SET k 2"), ok());
    assert_eq!(one.ask("UNWATCH"), ok());
    assert_eq!(one.ask("MULTI"), ok());
    assert_eq!(one.ask("EXEC"), Raw::Array(vec![]));
}

#[test]
fn whoever_waits_longest_is_served_first() {
    let server = TestServer::start(|config| config.io_threads = 2);
    let (mut one, mut two, mut three) = (server.connect(), server.connect(), server.connect());
    one.send("BLPOP a list 0");
    await_blocked(&mut three, 1);
    two.send("BRPOP list 0");
    await_blocked(&mut three, 2);
    assert_eq!(three.ask("RPUSH list 1 2 3"), Raw::Integer(3));
    assert_eq!(one.read(), array(["list", "1"]));
    assert_eq!(two.read(), array(["list", "3"]));
    assert_eq!(three.ask("LRANGE list 0 -1"), array(["2"]));
    // Served one moves on what serves the other, and a list under a new name serves as well.
    one.send("BLMOVE from to LEFT RIGHT 0");
    two.send("BLMPOP 0 1 to LEFT COUNT 5");
    await_blocked(&mut three, 2);
    assert_eq!(three.ask("MULTI"), ok());
    three.ask("RPUSH temporary x");
    three.ask("RENAME temporary from");
    three.ask("EXEC");
    assert_eq!(one.read(), Raw::bulk("x"));
    assert_eq!(two.read(), Raw::Array(vec![Raw::bulk("to"), array(["x"])]));
    // A key of another type does not serve, and does not end the waiting.
    one.send("BZPOPMIN z 0");
    await_blocked(&mut three, 1);
    assert_eq!(three.ask("SET z text"), ok());
    assert_eq!(three.ask("DEL z"), Raw::Integer(1));
    assert_eq!(three.ask("ZADD z 2 b 1 a"), Raw::Integer(2));
    assert_eq!(one.read(), array(["z", "a", "1"]));
    await_blocked(&mut three, 0);
}

#[test]
fn readers_of_streams_wait_for_entries() {
    let server = TestServer::plain();
    let (mut one, mut two, mut three) = (server.connect(), server.connect(), server.connect());
    let entry = |id: &str, field: &str| Raw::Array(vec![Raw::bulk(id), array([field, "v"])]);
    let stream = |entry: Raw| Raw::Array(vec![Raw::bulk("s"), Raw::Array(vec![entry])]);
    assert_eq!(three.ask("XADD s 1-1 old v"), Raw::bulk("1-1"));
    assert_eq!(three.ask("XGROUP CREATE s group $"), ok());
    assert_eq!(one.ask("XREAD STREAMS s $"), Raw::NullArray);
    assert!(matches!(two.ask("HELLO 3"), Raw::Map(_)));
    one.send("XREADGROUP GROUP group me BLOCK 0 STREAMS s >");
    two.send("XREAD BLOCK 0 STREAMS other s 0 $");
    await_blocked(&mut three, 2);
    assert_eq!(three.ask("XADD s 2-1 new v"), Raw::bulk("2-1"));
    assert_eq!(one.read(), Raw::Array(vec![stream(entry("2-1", "new"))]));
    let entries = Raw::Array(vec![entry("2-1", "new")]);
    assert_eq!(two.read(), Raw::Map(vec![(Raw::bulk("s"), entries)]));
    assert_eq!(one.ask("XREAD BLOCK 10 STREAMS s $"), Raw::NullArray);
    one.send("XREADGROUP GROUP group me BLOCK 0 STREAMS s >");
    await_blocked(&mut three, 1);
    assert_eq!(three.ask("DEL s"), Raw::Integer(1));
    assert_eq!(one.read().text(), "UNBLOCKED the stream key no longer exists");
}

#[test]
fn waiting_ends_by_time_by_others_and_with_the_connection() {
    let server = TestServer::plain();
    let (mut one, mut two) = (server.connect(), server.connect());
    assert_eq!(one.ask("BLPOP nothing 0.01"), Raw::NullArray);
    assert_eq!(one.ask("BLPOP nothing -1"), Raw::Error("ERR timeout is negative".into()));
    let refused = "ERR timeout is not a float or out of range";
    assert_eq!(one.ask("BLPOP nothing x"), Raw::Error(refused.into()));
    let Raw::Integer(id) = one.ask("CLIENT ID") else { panic!("an integer") };
    for (how, expected) in [
        ("", Raw::NullArray),
        (" ERROR", Raw::Error("UNBLOCKED client unblocked via CLIENT UNBLOCK".into())),
    ] {
        one.send("BLPOP nothing 0");
        // What comes behind it waits as well.
        one.send("PING");
        await_blocked(&mut two, 1);
        assert_eq!(two.ask(&format!("CLIENT UNBLOCK {id}{how}")), Raw::Integer(1));
        assert_eq!(one.read(), expected);
        assert_eq!(one.read(), Raw::Simple("PONG".into()));
    }
    one.send("BLPOP list 0");
    await_blocked(&mut two, 1);
    drop(one);
    await_blocked(&mut two, 0);
    assert_eq!(two.ask("RPUSH list x"), Raw::Integer(1));
    assert_eq!(two.ask("LLEN list"), Raw::Integer(1));
}

#[test]
fn only_the_key_that_changed_decides() {
    let server = TestServer::plain();
    let (mut one, mut two) = (server.connect(), server.connect());
    // Another key has become of another type meanwhile.
    for (request, change, expected) in [
        ("BLPOP a b 0", "RPUSH b x", array(["b", "x"])),
        ("BLMPOP 0 2 a b LEFT", "RPUSH b x", Raw::Array(vec![Raw::bulk("b"), array(["x"])])),
        ("BZPOPMIN a b 0", "ZADD b 1 x", array(["b", "x", "1"])),
    ] {
        two.ask("FLUSHALL");
        one.send(request);
        await_blocked(&mut two, 1);
        assert_eq!(two.ask("SET a text"), ok());
        assert_eq!(two.ask(change), Raw::Integer(1));
        assert_eq!(one.read(), expected, "{request}");
    }
    two.ask("FLUSHALL");
    one.send("XREAD BLOCK 0 STREAMS a b 0 0");
    await_blocked(&mut two, 1);
    assert_eq!(two.ask("SET a text"), ok());
    assert_eq!(two.ask("XADD b 1-1 f v"), Raw::bulk("1-1"));
    let entry = Raw::Array(vec![Raw::bulk("1-1"), array(["f", "v"])]);
    let stream = Raw::Array(vec![Raw::bulk("b"), Raw::Array(vec![entry])]);
    assert_eq!(one.read(), Raw::Array(vec![stream]));
}

#[test]
fn who_waits_in_vain_is_told() {
    let server = TestServer::plain();
    let (mut one, mut two) = (server.connect(), server.connect());
    // The list is there, but what its element was to go to is none.
    assert_eq!(two.ask("SET target text"), ok());
    one.send("BLMOVE list target LEFT LEFT 0");
    await_blocked(&mut two, 1);
    assert_eq!(two.ask("RPUSH list x"), Raw::Integer(1));
    let wrong = "WRONGTYPE Operation against a key holding the wrong kind of value";
    assert_eq!(one.read(), Raw::Error(wrong.into()));
    assert_eq!(two.ask("LLEN list"), Raw::Integer(1));
    for end in ["DEL s", "SET s text", "FLUSHDB", "FLUSHALL", "RENAME s t"] {
        two.ask("DEL s");
        assert_eq!(two.ask("XGROUP CREATE s g $ MKSTREAM"), ok());
        one.send("XREADGROUP GROUP g c BLOCK 0 STREAMS s >");
        await_blocked(&mut two, 1);
        assert!(!matches!(two.ask(end), Raw::Error(_)), "{end}");
        let gone = "UNBLOCKED the stream key no longer exists";
        assert_eq!(one.read(), Raw::Error(gone.into()), "{end}");
    }
}

#[test]
fn what_waits_behind_something_that_waited_ends_as_well() {
    let server = TestServer::plain();
    let (mut one, mut two) = (server.connect(), server.connect());
    let nothing = || Raw::NullArray;
    let pong = || Raw::Simple("PONG".into());
    let send = |connection: &mut Connection, requests: &[&str]| {
        connection.send_bytes((requests.join("\r\n") + "\r\n").as_bytes());
    };
    send(&mut one, &["BLPOP a 0.01", "BLPOP b 0.01", "XREAD BLOCK 10 STREAMS s $", "PING"]);
    assert_eq!([(); 4].map(|()| one.read()), [nothing(), nothing(), nothing(), pong()]);
    // The first is served, and does not run out of time.
    send(&mut one, &["BLPOP a 0", "BLPOP b 0.01", "PING"]);
    await_blocked(&mut two, 1);
    assert_eq!(two.ask("RPUSH a x"), Raw::Integer(1));
    let served = Raw::Array(vec![Raw::bulk("a"), Raw::bulk("x")]);
    assert_eq!([(); 3].map(|()| one.read()), [served, nothing(), pong()]);
    send(&mut one, &["WAIT 1 10", "BLPOP a 0.01", "WAIT 1 10", "PING"]);
    let none = || Raw::Integer(0);
    assert_eq!([(); 4].map(|()| one.read()), [none(), nothing(), none(), pong()]);
    send(&mut one, &["CLIENT PAUSE 20", "BLPOP a 0.01", "PING"]);
    assert_eq!([(); 3].map(|()| one.read()), [ok(), nothing(), pong()]);
}

#[test]
fn who_was_just_served_does_not_wait_any_more() {
    let server = TestServer::plain();
    let (mut one, mut two) = (server.connect(), server.connect());
    let Raw::Integer(id) = one.ask("CLIENT ID") else { panic!("an id") };
    for _ in 0..50 {
        one.send("BLPOP list 0");
        await_blocked(&mut two, 1);
        two.send_bytes(format!("RPUSH list x\r\nCLIENT UNBLOCK {id} ERROR\r\n").as_bytes());
        assert_eq!([two.read(), two.read()], [Raw::Integer(1), Raw::Integer(0)]);
        assert_eq!(one.read(), Raw::Array(vec![Raw::bulk("list"), Raw::bulk("x")]));
    }
}

#[test]
fn timeouts_are_read_as_in_redis() {
    let server = TestServer::plain();
    let oracle = Oracle::start_or_skip();
    let mut theirs = oracle.as_ref().map(|oracle| Connection::new(oracle.address));
    let mut ours = server.connect();
    let mut check = |timeout: &str, expected: Option<&str>| {
        let words = ["BLMOVE", "l", "m", "LEFT", "LEFT", timeout];
        let answer = |client: &mut Connection| {
            client.ask("DEL l m");
            client.ask("RPUSH l x");
            client.ask_words(&words)
        };
        let answered = answer(&mut ours);
        // Redis before 7.2 takes those that are too large for negative, or waits.
        let is_large = expected == Some("out of range");
        if let Some(theirs) = theirs.as_mut().filter(|_| !is_large) {
            assert_eq!(answered, answer(theirs), "{timeout}");
        }
        let wanted =
            expected.map_or(Raw::bulk("x"), |why| Raw::Error(format!("ERR timeout is {why}")));
        assert_eq!(answered, wanted, "{timeout}");
    };
    for good in ["0", "1", "0.001", "+.5", "1.", "0x1p3", "0X.8", "1e2", "-0", "-0.0001"] {
        check(good, None);
    }
    for bad in ["", "x", " 1", "1 ", "nan", "0x", "1e", "1e5000", "1,5"] {
        check(bad, Some("not a float or out of range"));
    }
    check("-1", Some("negative"));
    check("-inf", Some("negative"));
    for large in ["inf", "1e300", "9223372036854775.807"] {
        check(large, Some("out of range"));
    }
}

#[test]
fn what_has_waited_is_counted_behind_what_ended_that() {
    let server = TestServer::plain();
    let (mut one, mut two) = (server.connect(), server.connect());
    assert_eq!(two.ask("CONFIG SET slowlog-log-slower-than 0"), ok());
    let slow = |connection: &mut Connection| -> Vec<String> {
        let Raw::Array(entries) = connection.ask("SLOWLOG GET 2") else { panic!("entries") };
        let requests = entries.into_iter().map(|entry| match entry {
            Raw::Array(parts) => match &parts[3] {
                Raw::Array(words) => words.iter().map(Raw::text).collect::<Vec<_>>().join(" "),
                other => panic!("words: {other:?}"),
            },
            other => panic!("an entry: {other:?}"),
        });
        requests.collect()
    };
    let requests = [["RPUSH l x", ""], ["MULTI", "EXEC"]];
    for [first, last] in requests {
        one.send("bLPOP l 0");
        await_blocked(&mut two, 1);
        two.ask(first);
        if !last.is_empty() {
            two.ask("RPUSH l x");
            two.ask(last);
        }
        assert_eq!(one.read(), array(["l", "x"]));
        // As in Redis EXEC is not noted: what it runs is.
        assert_eq!(slow(&mut two), ["bLPOP l 0", "RPUSH l x"]);
    }
    assert_eq!(two.ask("XGROUP CREATE s g $ MKSTREAM"), ok());
    one.send("XREADGROUP GROUP g c BLOCK 0 STREAMS s >");
    await_blocked(&mut two, 1);
    assert_eq!(two.ask("XGROUP DESTROY s g"), Raw::Integer(1));
    assert!(matches!(one.read(), Raw::Error(line) if line.starts_with("NOGROUP")));
    let counted = two.ask("INFO errorstats").text();
    assert!(counted.contains("errorstat_NOGROUP:count=1"), "{counted}");
    let Raw::Integer(id) = one.ask("CLIENT ID") else { panic!("an integer") };
    one.send("BLPOP l 0");
    await_blocked(&mut two, 1);
    assert_eq!(two.ask(&format!("CLIENT UNBLOCK {id} ERROR")), Raw::Integer(1));
    assert!(matches!(one.read(), Raw::Error(line) if line.starts_with("UNBLOCKED")));
    assert!(two.ask("INFO errorstats").text().contains("errorstat_UNBLOCKED:count=1"));
    assert!(
        two.ask("INFO commandstats")
            .text()
            .lines()
            .any(|line| { line.starts_with("cmdstat_blpop:") && line.ends_with("failed_calls=1") })
    );
    let counted = two.ask("INFO commandstats").text();
    let line = counted.lines().find(|line| line.starts_with("cmdstat_xreadgroup:"));
    assert!(line.is_some_and(|line| line.ends_with("failed_calls=1")), "{counted}");
}
