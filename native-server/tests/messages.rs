//! Messages, notifications of keys, invalidations, MONITOR and pauses.

mod common;

use common::{Connection, Raw, TestServer};

fn ok() -> Raw {
    Raw::Simple("OK".into())
}

fn array<const N: usize>(texts: [&str; N]) -> Raw {
    Raw::Array(texts.map(Raw::bulk).into())
}

fn push<const N: usize>(texts: [&str; N]) -> Raw {
    Raw::Push(texts.map(Raw::bulk).into())
}

fn subscribe(connection: &mut Connection, text: &str) -> Vec<Raw> {
    connection.send(text);
    (0..text.split(' ').count() - 1).map(|_| connection.read()).collect()
}

#[test]
fn messages_reach_who_listens() {
    let server = TestServer::start(|config| config.io_threads = 2);
    let (mut one, mut two, mut three) = (server.connect(), server.connect(), server.connect());
    let confirmed = |word: &str, name: &str, count| {
        Raw::Array(vec![Raw::bulk(word), Raw::bulk(name), Raw::Integer(count)])
    };
    let both = subscribe(&mut one, "SUBSCRIBE a b");
    assert_eq!(both, [confirmed("subscribe", "a", 1), confirmed("subscribe", "b", 2)]);
    assert_eq!(subscribe(&mut one, "PSUBSCRIBE [ax]*"), [confirmed("psubscribe", "[ax]*", 3)]);
    assert_eq!(subscribe(&mut one, "SSUBSCRIBE s"), [confirmed("ssubscribe", "s", 1)]);
    assert!(matches!(two.ask("HELLO 3"), Raw::Map(_)));
    subscribe(&mut two, "SUBSCRIBE a");
    assert_eq!(three.ask("PUBLISH a hello"), Raw::Integer(3));
    assert_eq!(one.read(), array(["message", "a", "hello"]));
    assert_eq!(one.read(), array(["pmessage", "[ax]*", "a", "hello"]));
    assert_eq!(two.read(), push(["message", "a", "hello"]));
    assert_eq!(three.ask("SPUBLISH s shard"), Raw::Integer(1));
    assert_eq!(one.read(), array(["smessage", "s", "shard"]));
    assert_eq!(three.ask("PUBLISH nobody x"), Raw::Integer(0));
    assert_eq!(three.ask("PUBSUB NUMPAT"), Raw::Integer(1));
    let counts = vec![Raw::bulk("a"), Raw::Integer(2), Raw::bulk("c"), Raw::Integer(0)];
    assert_eq!(three.ask("PUBSUB NUMSUB a c"), Raw::Array(counts));
    assert_eq!(three.ask("PUBSUB SHARDCHANNELS"), array(["s"]));
    // In RESP2 whoever listens does nothing else; in RESP3 they may, and hear themselves first.
    let refused = one.ask("GET k").text();
    assert!(refused.starts_with("ERR Can't execute 'get': only (P|S)SUBSCRIBE"), "{refused}");
    let refused = one.ask("PUBLISH news x").text();
    assert!(refused.starts_with("ERR Can't execute 'publish': only (P|S)"), "{refused}");
    assert_eq!(one.ask("PING"), array(["pong", ""]));
    two.send("PUBLISH a self");
    assert_eq!(two.read(), push(["message", "a", "self"]));
    assert_eq!(two.read(), Raw::Integer(3));
    assert_eq!(one.read(), array(["message", "a", "self"]));
    assert_eq!(one.read(), array(["pmessage", "[ax]*", "a", "self"]));
    assert_eq!(one.ask("PUNSUBSCRIBE"), confirmed("punsubscribe", "[ax]*", 2));
    assert_eq!(one.ask("UNSUBSCRIBE a"), confirmed("unsubscribe", "a", 1));
    drop(one);
    let is_gone = (0..100_000).any(|_| three.ask("PUBSUB CHANNELS") == array(["a"]));
    assert!(is_gone, "what was listened to by one that has gone is listened to no more");
}

/// The events of some requests.
fn events(letters: &str, requests: &[&str]) -> Vec<String> {
    let server = TestServer::plain();
    let (mut listener, mut client) = (server.connect(), server.connect());
    assert_eq!(client.ask(&format!("CONFIG SET notify-keyspace-events {letters}")), ok());
    subscribe(&mut listener, "PSUBSCRIBE __key*__:*");
    for request in requests {
        match request.strip_prefix("advance ") {
            Some(ms) => server.advance(ms.parse().expect("milliseconds")),
            None => assert!(!matches!(client.ask(request), Raw::Error(_)), "{request}"),
        }
    }
    assert_eq!(client.ask("PUBLISH __key__:end end"), Raw::Integer(1));
    let mut events = Vec::new();
    loop {
        let Raw::Array(parts) = listener.read() else { panic!("a message") };
        let (channel, message) = (parts[2].text(), parts[3].text());
        if message == "end" {
            return events;
        }
        let channel = channel.replace("__keyevent@0__:", "").replace("__keyspace@0__:", "/");
        events.push(format!("{channel} {message}"));
    }
}

#[test]
fn events_have_redis_s_names() {
    let check = |requests: &[&str], expected: &[&str]| {
        assert_eq!(events("EA", requests), expected, "{requests:?}");
    };
    check(&["SET k 1", "INCR k", "APPEND k x", "GET k"], &["set k", "incrby k", "append k"]);
    check(
        &["SET k 1 EX 9", "EXPIRE k 5", "PERSIST k"],
        &["set k", "expire k", "expire k", "persist k"],
    );
    check(&["MSET a 1 b 2", "DEL a b c"], &["set a", "set b", "del a", "del b"]);
    check(&["RPUSH l 1 2", "LPOP l", "RPOP l"], &["rpush l", "lpop l", "rpop l", "del l"]);
    check(&["RPUSH l 1", "LMOVE l m LEFT RIGHT"], &["rpush l", "rpush m", "lpop l", "del l"]);
    check(&["SADD s a b", "SPOP s 2"], &["sadd s", "spop s", "del s"]);
    check(
        &["SADD s a", "SUNIONSTORE t s", "SUNIONSTORE t x"],
        &["sadd s", "sunionstore t", "del t"],
    );
    check(
        &["HSET h f 1", "HINCRBYFLOAT h f 1.5", "HDEL h f"],
        &["hset h", "hincrbyfloat h", "hdel h", "del h"],
    );
    check(
        &["ZADD z 1 a", "ZINCRBY z 1 a", "ZPOPMIN z"],
        &["zadd z", "zincr z", "zpopmin z", "del z"],
    );
    check(
        &["SET a 1", "RENAME a b", "COPY b c"],
        &["set a", "rename_from a", "rename_to b", "copy_to c"],
    );
    check(
        &[
            "XADD s 1-1 f v",
            "XGROUP CREATE s g 0",
            "XGROUP CREATECONSUMER s g c",
            "XREADGROUP GROUP g c STREAMS s >",
            "XACK s g 1-1",
            "XGROUP SETID s g 0",
            "XGROUP DELCONSUMER s g c",
            "XGROUP DESTROY s g",
        ],
        &[
            "xadd s",
            "xgroup-create s",
            "xgroup-createconsumer s",
            "xgroup-setid s",
            "xgroup-delconsumer s",
            "xgroup-destroy s",
        ],
    );
    check(&["SET k 1 PX 10", "advance 20", "GET k"], &["set k", "expire k", "expired k"]);
    assert_eq!(events("K$", &["SET k 1", "LPUSH l x"]), ["/k set"]);
    assert_eq!(events("gE", &["SET k 1", "DEL k"]), ["del k"]);
    assert!(events("$", &["SET k 1"]).is_empty());
    assert_eq!(
        events("En$", &["SET k 1", "SET k 2", "MSET k 1 m 1", "SADD s x"]).join(", "),
        "new k, set k, set k, set k, new m, set m, new s"
    );
    assert_eq!(
        events("Em", &["GET k", "SET k 1 PX 10", "MGET k j", "advance 20", "EXISTS k"]),
        ["keymiss k", "keymiss j", "keymiss k"]
    );
}

#[test]
fn who_tracks_is_told_what_changes() {
    let server = TestServer::plain();
    let (mut one, mut two) = (server.connect(), server.connect());
    let invalid = |key: &str| Raw::Push(vec![Raw::bulk("invalidate"), array([key])]);
    assert!(matches!(one.ask("HELLO 3"), Raw::Map(_)));
    assert_eq!(one.ask("CLIENT TRACKING ON"), ok());
    assert_eq!(one.ask("GET k"), Raw::Null);
    assert_eq!(two.ask("MSET other 1 k 1"), ok());
    assert_eq!(one.read(), invalid("k"));
    // Told once: it is read anew before it is told of again.
    assert_eq!(two.ask("SET k 2"), ok());
    assert_eq!(one.ask("PING"), Raw::Simple("PONG".into()));
    assert_eq!(one.ask("GET k"), Raw::bulk("2"));
    assert_eq!(two.ask("FLUSHALL"), ok());
    assert_eq!(one.read(), Raw::Push(vec![Raw::bulk("invalidate"), Raw::Null]));
    assert_eq!(one.ask("CLIENT TRACKING OFF"), ok());
    assert_eq!(one.ask("CLIENT TRACKING ON BCAST PREFIX user: NOLOOP"), ok());
    assert_eq!(one.ask("SET user:1 x"), ok());
    assert_eq!(two.ask("SET user:2 x"), ok());
    assert_eq!(one.read(), invalid("user:2"));
    // In RESP2 another connection listens.
    let (mut three, mut four) = (server.connect(), server.connect());
    let Raw::Integer(id) = four.ask("CLIENT ID") else { panic!("an integer") };
    subscribe(&mut four, "SUBSCRIBE __redis__:invalidate");
    assert_eq!(three.ask(&format!("CLIENT TRACKING ON REDIRECT {id} OPTIN")), ok());
    assert_eq!(three.ask("GET a"), Raw::Null);
    assert_eq!(three.ask("CLIENT CACHING YES"), ok());
    assert_eq!(three.ask("GET b"), Raw::Null);
    assert_eq!(two.ask("MSET a 1 b 1"), ok());
    let message = vec![Raw::bulk("message"), Raw::bulk("__redis__:invalidate"), array(["b"])];
    assert_eq!(four.read(), Raw::Array(message));
    assert_eq!(three.ask("CLIENT GETREDIR"), Raw::Integer(id));
}

#[test]
fn a_monitor_sees_every_command() {
    let server = TestServer::plain();
    let (mut one, mut two) = (server.connect(), server.connect());
    assert_eq!(one.ask("MONITOR"), ok());
    assert_eq!(two.ask_words(&["SET", "k", "a \"b\"\n\x01"]), ok());
    let line = one.read().text();
    assert!(line.starts_with("1700000000.000000 [0 127.0.0.1:"), "{line}");
    assert!(line.ends_with(r#""SET" "k" "a \"b\"\n\x01""#), "{line}");
}

#[test]
fn messages_to_oneself_come_behind_a_transaction() {
    let server = TestServer::plain();
    let mut one = server.connect();
    assert!(matches!(one.ask("HELLO 3"), Raw::Map(_)));
    one.ask("SUBSCRIBE c");
    assert_eq!(one.ask("MULTI"), ok());
    assert_eq!(one.ask("PUBLISH c m"), Raw::Simple("QUEUED".into()));
    assert_eq!(one.ask("PING"), Raw::Simple("QUEUED".into()));
    let replies = vec![Raw::Integer(1), Raw::Simple("PONG".into())];
    assert_eq!(one.ask("EXEC"), Raw::Array(replies));
    assert_eq!(one.read(), push(["message", "c", "m"]));
}

#[test]
fn keys_that_expire_in_a_pause_go_behind_it() {
    let server = TestServer::plain();
    let (mut one, mut other) = (server.connect(), server.connect());
    let expired = |client: &mut Connection| {
        let info = client.ask("INFO stats").text();
        info.lines().find_map(|line| line.strip_prefix("expired_keys:").map(String::from))
    };
    one.ask("SET k v PX 10");
    one.ask("HSET h f v");
    one.ask("HPEXPIRE h 10 FIELDS 1 f");
    other.ask("SELECT 1");
    other.ask("SET k v PX 10");
    assert_eq!(other.ask("CLIENT PAUSE 1000000 WRITE"), ok());
    server.advance(100);
    let turns = || server.shared().turns.load(std::sync::atomic::Ordering::Relaxed);
    let two_more = turns() + 2;
    while turns() < two_more {
        std::thread::yield_now();
    }
    assert_eq!(other.ask("RANDOMKEY"), Raw::Null);
    assert_eq!(one.ask("GET k"), Raw::Null);
    assert_eq!(one.ask("EXISTS k h"), Raw::Integer(0));
    assert_eq!(one.ask("DBSIZE"), Raw::Integer(2), "nothing has changed");
    assert_eq!(expired(&mut one).as_deref(), Some("0"));
    assert_eq!(other.ask("CLIENT UNPAUSE"), ok());
    assert_eq!(one.ask("EXISTS k h"), Raw::Integer(0));
    assert_eq!(one.ask("DBSIZE"), Raw::Integer(0));
    assert_eq!(expired(&mut one).as_deref(), Some("1"));
}

#[test]
fn a_pause_holds_up_what_it_says() {
    let server = TestServer::plain();
    let (mut one, mut two) = (server.connect(), server.connect());
    assert_eq!(one.ask("CLIENT PAUSE 3600000 WRITE"), ok());
    assert_eq!(two.ask("GET k"), Raw::Null);
    two.send("SET k 1");
    two.send("GET k");
    assert_eq!(one.ask("EXISTS k"), Raw::Integer(0));
    assert_eq!(one.ask("CLIENT UNPAUSE"), ok());
    assert_eq!((two.read(), two.read()), (ok(), Raw::bulk("1")));
    assert_eq!(one.ask("CLIENT PAUSE 20"), ok());
    assert_eq!(two.ask("PING"), Raw::Simple("PONG".into()));
}

#[test]
fn who_does_not_read_is_dropped() {
    let server = TestServer::plain();
    let (mut one, mut two) = (server.connect(), server.connect());
    assert_eq!(
        two.ask("CONFIG SET client-output-buffer-limit"),
        Raw::Error("ERR wrong number of arguments for 'config|set' command".into(),)
    );
    let limit = ["CONFIG", "SET", "client-output-buffer-limit", "pubsub 1mb 0 0"];
    assert_eq!(two.ask_words(&limit), ok());
    subscribe(&mut one, "SUBSCRIBE a");
    let message = vec![b'm'; 1 << 20];
    let is_dropped =
        (0..10_000).any(|_| two.ask_words(&[&b"PUBLISH"[..], b"a", &message]) == Raw::Integer(0));
    assert!(is_dropped, "the server keeps what nobody reads");
    assert_eq!(two.ask("PING"), Raw::Simple("PONG".into()));
}

#[test]
fn replies_beyond_the_limit_drop_the_client_before_they_are_sent() {
    let server = TestServer::plain();
    let mut other = server.connect();
    let limit = ["CONFIG", "SET", "client-output-buffer-limit", "normal 100kb 0 0"];
    assert_eq!(other.ask_words(&limit), ok());
    assert_eq!(other.ask("SETRANGE big 199999 x"), Raw::Integer(200_000));
    assert_eq!(other.ask("SETRANGE fits 99999 x"), Raw::Integer(100_000));
    let mut one = server.connect();
    assert!(matches!(one.ask("GET fits"), Raw::Bulk(_)));
    one.send_bytes(b"GET big\r\nSET behind it\r\n");
    assert!(one.is_closed(), "there is no reply");
    assert_eq!(other.ask("EXISTS behind"), Raw::Integer(0), "what is behind it is not run");
    // A transaction is run as a whole.
    let mut one = server.connect();
    one.send_bytes(b"MULTI\r\nGET big\r\nSET within it\r\nEXEC\r\nSET behind it\r\n");
    for queued in ["OK", "QUEUED", "QUEUED"] {
        // They may have gone out before, or not.
        if one.is_closed() {
            break;
        }
        assert_eq!(one.read(), Raw::Simple(queued.into()));
    }
    assert!(one.is_closed(), "there is no reply");
    assert_eq!(other.ask("EXISTS within behind"), Raw::Integer(1));
    let stats = other.ask("INFO stats").text();
    assert!(stats.contains("client_output_buffer_limit_disconnections:2"), "{stats}");
}

#[test]
fn messages_come_though_replies_are_off() {
    let server = TestServer::plain();
    let (mut one, mut two) = (server.connect(), server.connect());
    one.ask("HELLO 3");
    one.send("CLIENT REPLY OFF");
    one.send("SUBSCRIBE news");
    let push = |words: [&str; 2], last: Raw| {
        Raw::Push(words.map(Raw::bulk).into_iter().chain([last]).collect())
    };
    assert_eq!(one.read(), push(["subscribe", "news"], Raw::Integer(1)));
    assert_eq!(two.ask("PUBLISH news hello"), Raw::Integer(1));
    assert_eq!(one.read(), push(["message", "news"], Raw::bulk("hello")));
    one.send("GET k");
    one.send("SUBSCRIBE");
    one.send("UNSUBSCRIBE news");
    assert_eq!(one.read(), push(["unsubscribe", "news"], Raw::Integer(0)));
    assert_eq!(one.ask("CLIENT REPLY ON"), ok());
}

#[test]
fn who_tracks_hears_of_its_own_changes_behind_the_replies() {
    let server = TestServer::plain();
    let (mut one, mut two) = (server.connect(), server.connect());
    let invalid = |key: &str| Raw::Push(vec![Raw::bulk("invalidate"), array([key])]);
    one.ask("HELLO 3");
    assert_eq!(one.ask("CLIENT TRACKING ON"), ok());
    for key in ["a", "b"] {
        assert_eq!(one.ask(&format!("GET {key}")), Raw::Null);
    }
    assert_eq!(one.ask("MSET a 1 b 2"), ok());
    assert_eq!([one.read(), one.read()], ["a", "b"].map(invalid));
    // A command that waited is answered before, too.
    assert_eq!(one.ask("LRANGE to 0 -1"), Raw::Array(vec![]));
    one.send("BLMOVE from to LEFT LEFT 0");
    let is_blocked = |two: &mut Connection| two.ask("INFO clients").text().contains("ed_clients:1");
    assert!((0..100_000).any(|_| is_blocked(&mut two)));
    assert_eq!(two.ask("RPUSH from x"), Raw::Integer(1));
    assert_eq!([one.read(), one.read()], [Raw::bulk("x"), invalid("to")]);
    // Reads of all kinds are remembered, and the table keeps to its size.
    for (read, key) in [("XREAD STREAMS s 0", "s"), ("OBJECT ENCODING o", "o")] {
        one.ask(read);
        let total = two.ask("INFO stats").text();
        assert!(total.contains("tracking_total_keys:1\r"), "{read}: {total}");
        assert_eq!(two.ask("CONFIG SET tracking-table-max-keys 1"), ok());
        two.ask(&format!("HSET {key} f v"));
        assert_eq!(one.read(), invalid(key), "{read}");
    }
    one.ask("MGET c d");
    let told = one.read();
    assert!([invalid("c"), invalid("d")].contains(&told), "{told:?}");
}

#[test]
fn a_redirect_that_breaks_is_told_of() {
    let server = TestServer::plain();
    let (mut one, mut two) = (server.connect(), server.connect());
    one.ask("HELLO 3");
    let Raw::Integer(id) = two.ask("CLIENT ID") else { panic!("an integer") };
    assert_eq!(one.ask(&format!("CLIENT TRACKING ON REDIRECT {id}")), ok());
    assert!(one.ask("CLIENT INFO").text().contains(&format!(" redir={id} ")));
    assert_eq!(one.ask("GET k"), Raw::Null);
    assert_eq!(two.ask("QUIT"), ok());
    assert!(two.is_closed());
    let mut three = server.connect();
    assert!((0..100_000).any(|_| !three.ask("CLIENT LIST").text().contains(&format!("id={id} "))));
    assert_eq!(three.ask("SET k 1"), ok());
    let broken = vec![Raw::bulk("tracking-redir-broken"), Raw::Integer(id)];
    assert_eq!(one.read(), Raw::Push(broken));
    let Raw::Map(facts) = one.ask("CLIENT TRACKINGINFO") else { panic!("a map") };
    let flags = ["on", "broken_redirect"].map(Raw::bulk);
    assert_eq!(facts[0].1, Raw::Set(flags.into()));
    assert_eq!(facts[1].1, Raw::Integer(id));
}

#[test]
fn prefixes_do_not_overlap_and_caching_is_said_of_one_command() {
    let server = TestServer::plain();
    let mut one = server.connect();
    let refusal = |one: &str, which: &str, other: &str| {
        Raw::Error(format!(
            "ERR Prefix '{one}' overlaps with {which} prefix '{other}'. Prefixes for a single \
             client must not overlap."
        ))
    };
    let given = one.ask("CLIENT TRACKING ON BCAST PREFIX foo PREFIX foobar");
    assert_eq!(given, refusal("foo", "another provided", "foobar"));
    assert_eq!(one.ask("CLIENT TRACKING ON BCAST PREFIX foo PREFIX bar"), ok());
    let given = one.ask("CLIENT TRACKING ON BCAST PREFIX barbara");
    assert_eq!(given, refusal("barbara", "an existing", "bar"));
    assert_eq!(one.ask("CLIENT TRACKING OFF"), ok());
    assert_eq!(one.ask("CLIENT TRACKING ON OPTIN"), ok());
    let flags = |one: &mut Connection| {
        let Raw::Array(facts) = one.ask("CLIENT TRACKINGINFO") else { panic!("an array") };
        facts[1].clone()
    };
    assert_eq!(one.ask("CLIENT CACHING YES"), ok());
    assert_eq!(flags(&mut one), array(["on", "optin", "caching-yes"]));
    assert_eq!(one.ask("PING"), Raw::Simple("PONG".into()));
    assert_eq!(flags(&mut one), array(["on", "optin"]));
}
