//! What the server tells of values, of users and of itself: OBJECT ENCODING by the settings, ACL,
//! MEMORY, LATENCY, and the keys of requests.
//!
//! redis-server is the judge where there is one.

mod common;

use common::{Connection, Raw, TestServer};
use ferrite_tests::answer::Answer;
use ferrite_tests::oracle::Oracle;
use ferrite_tests::subject::Subject;

fn ok() -> Raw {
    Raw::Simple("OK".into())
}

fn words(request: &str) -> Vec<Vec<u8>> {
    request.split(' ').map(Into::into).collect()
}

/// What is set, then what is stored, and the key whose encoding is asked for.
const ENCODINGS: &[(&str, &str)] = &[
    ("", "HSET k a 1 b 2"),
    ("hash-max-listpack-entries 1", "HSET k a 1 b 2"),
    ("hash-max-listpack-entries 2", "HSET k a 1 b 2"),
    ("hash-max-ziplist-entries 1", "HSET k a 1 b 2"),
    ("hash-max-ziplist-value 3", "HSET k a 1 b 2222"),
    ("hash-max-listpack-value 4", "HSET k a 1 b 2222"),
    ("hash-max-listpack-value 1", "HSET k aa 1"),
    ("", "RPUSH k a b c"),
    ("list-max-ziplist-size 1", "RPUSH k a b c"),
    ("list-compress-depth 1", "RPUSH k a b c"),
    ("", "SADD k 1 2 3"),
    ("", "SADD k 1 2 x"),
    ("set-max-intset-entries 2", "SADD k 1 2 3"),
    ("set-max-intset-entries 3", "SADD k 1 2 3"),
    ("", "ZADD k 1 a 2 b"),
    ("zset-max-listpack-entries 1", "ZADD k 1 a 2 b"),
    ("zset-max-ziplist-entries 2", "ZADD k 1 a 2 b"),
    ("zset-max-ziplist-value 1", "ZADD k 1 aa"),
    ("zset-max-listpack-value 2", "ZADD k 1 aa"),
    ("", "SET k 12"),
    ("", "XADD k 1-1 f v"),
];

#[test]
fn encodings_follow_the_settings_as_in_redis() {
    for (setting, store) in ENCODINGS {
        let server = TestServer::plain();
        let mut connection = server.connect();
        let mut oracle = Oracle::start_or_skip();
        let set = format!("CONFIG SET {setting}");
        for request in [set.as_str(), store].into_iter().filter(|text| *text != "CONFIG SET ") {
            assert!(!matches!(connection.ask(request), Raw::Error(_)), "{request}");
            let Some(oracle) = &mut oracle else { continue };
            assert!(!matches!(oracle.ask(&words(request)), Answer::Error(_)), "{request}");
        }
        let Some(oracle) = &mut oracle else { continue };
        let Answer::Bulk(expected) = oracle.ask(&words("OBJECT ENCODING k")) else {
            panic!("{store} stores k");
        };
        assert_eq!(connection.ask("OBJECT ENCODING k"), Raw::Bulk(expected), "{setting}: {store}");
    }
}

#[test]
fn thresholds_are_settings_under_both_names() {
    let server = TestServer::plain();
    let mut client = server.connect();
    assert_eq!(client.ask("CONFIG SET zset-max-ziplist-entries 7"), ok());
    let pair = |name: &str| Raw::Array(vec![Raw::bulk(name), Raw::bulk("7")]);
    for name in ["zset-max-ziplist-entries", "zset-max-listpack-entries"] {
        assert_eq!(client.ask(&format!("CONFIG GET {name}")), pair(name));
    }
    let twice = "CONFIG SET zset-max-ziplist-entries 7 zset-max-listpack-entries 8";
    let refusal = "ERR CONFIG SET failed (possibly related to argument \
                   'zset-max-listpack-entries') - duplicate parameter";
    assert_eq!(client.ask(twice), Raw::Error(refusal.into()));
    // What the engine cannot do is refused.
    for (setting, most) in [
        ("stream-node-max-entries", "100"),
        ("stream-node-max-bytes", "4096"),
        ("hll-sparse-max-bytes", "12000"),
    ] {
        let Raw::Error(line) = client.ask(&format!("CONFIG SET {setting} 99999")) else {
            panic!("{setting} has a limit");
        };
        assert!(line.ends_with(&format!("must be between 0 and {most} inclusive")), "{line}");
    }
    assert_eq!(client.ask("CONFIG SET set-max-listpack-entries 9"), ok());
    assert_eq!(client.ask("SADD s a b"), Raw::Integer(2));
    assert_eq!(client.ask("OBJECT ENCODING s"), Raw::bulk("listpack"));
}

#[test]
fn nodes_of_streams_and_sparse_counts_end_where_they_are_told() {
    let server = TestServer::plain();
    let mut client = server.connect();
    assert_eq!(client.ask("CONFIG SET stream-node-max-entries 10"), ok());
    let fill = |client: &mut Connection, key: &str| {
        for number in 1..=35 {
            client.ask(&format!("XADD {key} {number} f v"));
        }
    };
    fill(&mut client, "s");
    assert_eq!(client.ask("XTRIM s MAXLEN ~ 12"), Raw::Integer(20), "two nodes of ten");
    assert_eq!(client.ask("CONFIG SET stream-node-max-entries 0 stream-node-max-bytes 1"), ok());
    fill(&mut client, "t");
    assert_eq!(client.ask("XTRIM t MAXLEN ~ 12"), Raw::Integer(23), "one entry a node");
    // A reload keeps what was set.
    assert_eq!(client.ask("CONFIG SET hll-sparse-max-bytes 20"), ok());
    assert_eq!(client.ask("DEBUG RELOAD"), ok());
    for number in 0..20 {
        client.ask(&format!("PFADD h {number}"));
    }
    assert_eq!(client.ask("PFDEBUG ENCODING h"), Raw::Simple("dense".into()));
    assert_eq!(client.ask("CONFIG SET hll-sparse-max-bytes 3000"), ok());
    for number in 0..20 {
        client.ask(&format!("PFADD g {number}"));
    }
    assert_eq!(client.ask("PFDEBUG ENCODING g"), Raw::Simple("sparse".into()));
}

/// Requests of which the keys, and what is done with them, are asked.
const REQUESTS: &[&str] = &[
    "GET k",
    "SET k v",
    "SET k v GET",
    "MSET a 1 b 2",
    "MSETNX a 1 b 2",
    "DEL a b",
    "EXISTS a b",
    "INCR k",
    "APPEND k v",
    "GETDEL k",
    "LMOVE a b LEFT RIGHT",
    "BLPOP a b 0",
    "SORT k BY w STORE d",
    "SORT k STORE x STORE d",
    "COPY a b",
    "RENAME a b",
    "RENAMENX a b",
    "SINTERSTORE d a b",
    "ZUNIONSTORE d 2 a b",
    "ZADD k 1 a",
    "ZREM k a",
    "HSET k f v",
    "HDEL k f",
    "PFMERGE d a",
    "PFCOUNT k",
    "BITOP NOT d a",
    "XADD k * f v",
    "XREADGROUP GROUP g c STREAMS a b > >",
    "EXPIRE k 1",
    "TTL k",
    "GEORADIUS k 1 1 1 m STORE d",
    "PING",
    "NOSUCH k",
];

#[test]
fn what_is_done_with_keys_is_what_redis_says() {
    let Some(mut oracle) = Oracle::start_or_skip() else { return };
    let server = TestServer::plain();
    let mut connection = server.connect();
    for request in REQUESTS {
        let request = format!("COMMAND GETKEYSANDFLAGS {request}");
        let expected = oracle.ask(&words(&request)).to_string();
        let given = answer(connection.ask(&request)).to_string();
        assert_eq!(given, expected, "{request}");
    }
}

fn answer(raw: Raw) -> Answer {
    match raw {
        Raw::Array(parts) | Raw::Set(parts) => {
            Answer::Array(parts.into_iter().map(answer).collect())
        }
        Raw::Bulk(bytes) => Answer::Bulk(bytes),
        Raw::Simple(text) => Answer::Simple(text),
        Raw::Error(line) => Answer::Error(line),
        other => panic!("not what COMMAND answers: {other:?}"),
    }
}

/// What ACL LOG says, but for who it was.
fn denials(client: &mut Connection, request: &str) -> Vec<Vec<String>> {
    let Raw::Array(entries) = client.ask(request) else { panic!("a list of denials") };
    let shown = |entry: &Raw| {
        let Raw::Array(facts) = entry else { panic!("a denial: {entry:?}") };
        let (last, facts) = facts.split_last().expect("facts");
        assert!(last.text().contains(" cmd="), "{last:?}");
        let shown = |fact: &Raw| match fact {
            Raw::Integer(number) => number.to_string(),
            text => text.text(),
        };
        facts.iter().map(shown).collect()
    };
    entries.iter().map(shown).collect()
}

#[test]
fn who_was_denied_is_told_as_in_redis_and_secrets_are_in_no_log() {
    let server = TestServer::plain();
    let mut oracle = Oracle::start_or_skip();
    let mut clients = vec![server.connect()];
    clients.extend(oracle.as_ref().map(|oracle| Connection::new(oracle.address)));
    let mut said = Vec::new();
    for client in &mut clients {
        client.ask("CONFIG SET slowlog-log-slower-than 0");
        client.ask("PING");
        client.ask("SLOWLOG RESET");
        client.ask("CONFIG SET requirepass hidden");
        for request in [
            "AUTH hidden",
            "AUTH ann wrong",
            "AUTH ann wrong",
            "HELLO 2 AUTH ann wrong",
            "MULTI",
            "AUTH bob wrong",
            "EXEC",
            "ACL SETUSER",
            "HELLO 3 AUTH default hidden",
            "HELLO 2",
            "CONFIG SET requirepass hidden hz 11",
            "ACL SETUSER hidden >hidden",
            "CONFIG SET masterauth hidden",
        ] {
            client.ask(request);
        }
        let Raw::Array(slow) = client.ask("SLOWLOG GET -1") else { panic!("a log") };
        let requests = slow.iter().map(|entry| match entry {
            Raw::Array(parts) => parts[3].clone(),
            other => panic!("{other:?}"),
        });
        let requests: Vec<Raw> = requests.collect();
        let log = denials(client, "ACL LOG");
        let some = denials(client, "ACL LOG 1");
        assert_eq!(client.ask("ACL LOG -1"), Raw::Array(Vec::new()));
        assert!(matches!(client.ask("ACL LOG x"), Raw::Error(_)));
        assert_eq!(client.ask("ACL LOG RESET"), ok());
        assert_eq!(client.ask("ACL LOG"), Raw::Array(Vec::new()));
        said.push((log, some, requests));
    }
    let [ours, theirs @ ..] = said.as_slice() else { panic!("nobody was asked") };
    let (log, some, requests) = ours;
    assert_eq!((log.len(), some.len()), (3, 1));
    let of = |entry: &[String]| [1, 3, 5, 7, 9].map(|at| entry[at].clone()).join(" ");
    assert_eq!(of(&log[0]), "1 auth multi AUTH bob");
    assert_eq!(of(&log[1]), "1 auth toplevel HELLO ann");
    assert_eq!(of(&log[2]), "2 auth toplevel AUTH ann");
    assert!(!format!("{requests:?}").contains("hidden"), "{requests:?}");
    for theirs in theirs {
        assert_eq!(ours, theirs);
    }
    drop(oracle.take());
}

#[test]
fn memory_is_told_of_and_given_back() {
    let server = TestServer::plain();
    let mut client = server.connect();
    assert_eq!(client.ask("DEBUG POPULATE 10000 key 1000"), ok());
    client.ask("HELLO 3");
    let Raw::Map(facts) = client.ask("MEMORY STATS") else { panic!("a map") };
    let fact = |name: &str| {
        let found = facts.iter().find(|(key, _)| *key == Raw::bulk(name));
        found.unwrap_or_else(|| panic!("{name}")).1.clone()
    };
    assert_eq!(fact("keys.count"), Raw::Integer(10_000));
    assert!(matches!(fact("dataset.bytes"), Raw::Integer(10_000_000..)));
    assert!(matches!(fact("keys.bytes-per-key"), Raw::Integer(1000..2000)));
    assert!(matches!(fact("peak.percentage"), Raw::Double(_)));
    assert!(matches!(fact("db.0"), Raw::Map(_)));
    assert!(!client.ask("MEMORY DOCTOR").text().is_empty());
    // A large value is taken apart by and by; or at once.
    client.ask("FLUSHALL");
    let used = |client: &mut Connection| {
        let info = client.ask("INFO memory").text();
        let line = info.lines().find_map(|line| line.strip_prefix("used_memory:"));
        line.and_then(|bytes| bytes.parse::<u64>().ok()).expect("used_memory")
    };
    let before = used(&mut client);
    assert_eq!(client.ask("SETRANGE big 9999999 x"), Raw::Integer(10_000_000));
    assert_eq!(client.ask("DEL big"), Raw::Integer(1));
    assert_eq!(client.ask("MEMORY PURGE"), ok());
    let left = used(&mut client);
    assert!(left < before + (1 << 20), "{left} bytes are left, {before} were in use before");
}

#[test]
fn percentiles_of_durations_are_told() {
    let server = TestServer::plain();
    let mut client = server.connect();
    assert_eq!(client.ask("DEBUG SLEEP 0.02"), ok());
    let percentiles = ["CONFIG", "SET", "latency-tracking-info-percentiles", "0 50.0 99.90"];
    assert_eq!(client.ask_words(&percentiles), ok());
    let info = client.ask("INFO latencystats").text();
    let line = info.lines().find_map(|line| line.strip_prefix("latency_percentiles_usec_debug:"));
    // The call took 20 ms or longer, and what it took is told in powers of two.
    let told: Vec<&str> = line.expect("a line").split(',').collect();
    let us = told[0].strip_prefix("p0=").and_then(|us| us.parse::<f64>().ok());
    assert!(us.is_some_and(|us| us >= 32_768.0), "{told:?}");
    assert!(told[1].starts_with("p50=") && told[2].starts_with("p99.9="), "{told:?}");
    assert!(info.contains("latency_percentiles_usec_config|set:p0="), "{info}");
    let Raw::Error(refusal) = client.ask("CONFIG SET latency-tracking-info-percentiles 101") else {
        panic!("an error")
    };
    assert!(refusal.contains("numbers from 0.0 to 100.0"), "{refusal}");
    assert_eq!(client.ask("CONFIG SET latency-tracking no"), ok());
    assert_eq!(client.ask("INFO latencystats").text(), "# Latencystats\r\n");
}

#[test]
fn latency_is_drawn_and_explained() {
    let server = TestServer::plain();
    let mut client = server.connect();
    assert!(client.ask("LATENCY DOCTOR").text().contains("latency-monitor-threshold is 0"));
    let refusal = "ERR No samples available for event 'command'";
    assert_eq!(client.ask("LATENCY GRAPH command"), Raw::Error(refusal.into()));
    assert_eq!(client.ask("CONFIG SET latency-monitor-threshold 1"), ok());
    for (seconds, ms) in [("0.05", 1000), ("0.01", 70_000)] {
        assert_eq!(client.ask(&format!("DEBUG SLEEP {seconds}")), ok());
        server.advance(ms);
    }
    let graph = client.ask("LATENCY GRAPH command").text();
    let lines: Vec<&str> = graph.lines().collect();
    assert!(lines[0].starts_with("command - high "), "{graph}");
    // A column of two, the first one high, the other at the foot; and their ages below.
    assert_eq!(&lines[2..6], ["#", "|", "|", "|_"], "{graph}");
    assert_eq!(lines[7], "11", "{graph}");
    let told = client.ask("LATENCY DOCTOR").text();
    assert!(told.starts_with("command: 2 latency spikes (average "), "{told}");
}

#[test]
fn looks_of_a_client_that_touches_nothing_are_no_uses() {
    for policy in ["allkeys-lru", "allkeys-lfu", "allkeys-s3fifo"] {
        let server = TestServer::plain();
        let mut client = server.connect();
        assert_eq!(client.ask(&format!("CONFIG SET maxmemory-policy {policy}")), ok());
        client.ask("SET source value");
        let payload = client.ask("DUMP source");
        let Raw::Bulk(payload) = payload else { panic!("{payload:?}") };
        let is_lru = policy == "allkeys-lru";
        let usage = if is_lru { ["IDLETIME", "1000"] } else { ["FREQ", "100"] };
        for key in ["read", "written", "touched"] {
            let start = [b"RESTORE", key.as_bytes(), b"0", &payload];
            let end = usage.map(str::as_bytes);
            assert_eq!(client.ask_words(&[&start[..], &end[..]].concat()), ok());
        }
        assert_eq!(client.ask("CLIENT NO-TOUCH on"), ok());
        assert!(client.ask("CLIENT INFO").text().contains(" flags=T "));
        for _ in 0..20 {
            assert_eq!(client.ask("GET read"), Raw::bulk("value"));
            assert_eq!(client.ask("MGET read none"), {
                Raw::Array(vec![Raw::bulk("value"), Raw::Null])
            });
            client.ask("APPEND written x");
            client.ask("MULTI");
            client.ask("GETRANGE read 0 0");
            client.ask("EXEC");
        }
        let shown = if is_lru { ("IDLETIME", 1000, 0) } else { ("FREQ", 100, 101) };
        let (what, kept, used) = shown;
        let ask = |client: &mut Connection, key: &str| client.ask(&format!("OBJECT {what} {key}"));
        if policy != "allkeys-s3fifo" {
            assert_eq!(ask(&mut client, "read"), Raw::Integer(kept), "{policy}");
            assert_eq!(ask(&mut client, "written"), Raw::Integer(kept), "{policy}");
        }
        // TOUCH is a use, and so is what is done when the mode is off.
        client.ask("TOUCH touched");
        assert_eq!(client.ask("CLIENT NO-TOUCH off"), ok());
        if is_lru {
            assert_eq!(ask(&mut client, "touched"), Raw::Integer(used));
            client.ask("GET read");
            assert_eq!(ask(&mut client, "read"), Raw::Integer(used));
        }
        let wrong = Raw::Error("ERR syntax error".into());
        assert_eq!(client.ask("CLIENT NO-TOUCH maybe"), wrong);
        let index = server.shared().databases.hold().get(0).keys.validate();
        index.expect("a sound keyspace");
    }
}

#[test]
fn old_connections_are_closed_by_their_age() {
    let server = TestServer::plain();
    let mut old = server.connect();
    old.ask("PING");
    server.advance(10_000);
    let mut client = server.connect();
    assert_eq!(client.ask("CLIENT KILL MAXAGE 11"), Raw::Integer(0));
    assert_eq!(client.ask("CLIENT KILL MAXAGE 10 TYPE pubsub"), Raw::Integer(0));
    assert_eq!(client.ask("CLIENT KILL MAXAGE 10"), Raw::Integer(1));
    assert!(old.is_closed());
    let error = |text: &str| Raw::Error(text.into());
    assert_eq!(client.ask("CLIENT KILL MAXAGE 0"), error("ERR maxage should be greater than 0"));
    assert_eq!(client.ask("CLIENT KILL MAXAGE x"), {
        error("ERR maxage is not an integer or out of range")
    });
}

#[test]
fn a_master_alone_is_what_it_is_told_to_be() {
    let server = TestServer::plain();
    let mut client = server.connect();
    let mut oracle = Oracle::start_or_skip();
    for request in [
        "REPLICAOF NO ONE",
        "slaveof no one",
        "FAILOVER",
        "FAILOVER ABORT",
        "READONLY",
        "READWRITE",
        "ASKING",
        "CLUSTER INFO",
        "ROLE",
    ] {
        let given = common::shape::flat(client.ask(request));
        let Some(oracle) = &mut oracle else { continue };
        assert_eq!(given, oracle.ask(&words(request)), "{request}");
    }
    let refused = "ERR replication is not supported: this server is nobody's replica";
    assert_eq!(client.ask("REPLICAOF 127.0.0.1 6379"), Raw::Error(refused.into()));
}

/// What Redis says of commands that is not so here: nothing is run while the server loads, nothing
/// is ever stale, and whoever watches a key waits for its database.
const NOT_HERE: [&str; 3] = ["loading", "stale", "no_async_loading"];
const NOT_WHILE_BUSY: [&str; 3] = ["shutdown", "unwatch", "watch"];

/// What COMMAND INFO says: flags, the arity where that is Redis 7.0's, key positions, categories,
/// hints, and key specifications but for their notes. Flags and categories are in no order.
fn described(answer: Raw) -> Option<(String, String)> {
    let Raw::Array(mut facts) = answer else { return None };
    let name = facts[0].text();
    let arity = facts[1].clone();
    let texts = |facts: &Raw| -> Vec<String> {
        let Raw::Array(facts) = facts else { panic!("an array: {facts:?}") };
        let mut texts: Vec<String> = facts.iter().map(Raw::text).collect();
        texts.sort();
        texts
    };
    let mut flags = texts(&facts[2]);
    flags.retain(|flag| !NOT_HERE.contains(&flag.as_str()));
    if NOT_WHILE_BUSY.contains(&name.as_str()) {
        flags.retain(|flag| flag != "allow_busy");
    }
    let categories = [texts(&facts[6]), texts(&facts[7])];
    if let Raw::Array(specs) = &mut facts[8] {
        for spec in specs {
            let Raw::Array(parts) = spec else { panic!("a specification: {spec:?}") };
            if parts[0].text() == "notes" {
                parts.drain(..2);
            }
        }
    }
    // These take WITHSCORE, as of Redis 7.2.
    let arity = if name.ends_with("rank") { None } else { Some(arity) };
    let said = format!("{arity:?} {flags:?} {:?} {categories:?} {:?}", &facts[3..6], facts[8]);
    Some((name, said))
}

#[test]
fn commands_are_described_as_by_redis() {
    let Some(oracle) = Oracle::start_or_skip() else { return };
    let server = TestServer::plain();
    let (mut ours, mut theirs) = (server.connect(), Connection::new(oracle.address));
    let Raw::Array(names) = theirs.ask("COMMAND LIST") else { panic!("names") };
    let (mut failures, mut count) = (Vec::new(), 0);
    for name in names {
        let [our, their] = [&mut ours, &mut theirs].map(|side| {
            let Raw::Array(mut all) = side.ask(&format!("COMMAND INFO {}", name.text())) else {
                panic!("an array")
            };
            all.pop().and_then(described)
        });
        // Some, of replicas and clusters, there are not.
        if our.is_some() {
            count += 1;
            if our != their {
                failures.push(format!("ours {our:?}\ntheirs {their:?}"));
            }
        }
    }
    assert!(count > 300, "{count} commands are there");
    assert!(failures.is_empty(), "{} differ:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn clients_and_errors_are_described_as_in_redis() {
    let server = TestServer::plain();
    let (mut client, mut other) = (server.connect(), server.connect());
    let has = |client: &mut Connection, part: &str| {
        let line = client.ask("CLIENT INFO").text();
        assert!(line.contains(part), "{part} is in {line}");
    };
    client.ask("WATCH a b");
    has(&mut client, " flags=N ");
    other.ask("SET b 1");
    has(&mut client, " flags=d ");
    client.ask("UNWATCH");
    has(&mut client, " flags=N ");
    // What is no command is none in the list either.
    let Raw::Integer(id) = client.ask("CLIENT ID") else { panic!("a number") };
    assert!(matches!(client.ask("NONSENSE"), Raw::Error(_)));
    let line = other.ask(&format!("CLIENT LIST ID {id}")).text();
    assert!(line.contains(" cmd=NULL "), "{line}");
    // A code ends with a space, and soon.
    for code in ["12", "MINE text", "THIS-ONE-IS-FAR-TOO-LONG-FOR-A-CODE text"] {
        client.ask_words(&["EVAL", &format!("return {{err='{code}'}}"), "0"]);
    }
    let counts = client.ask("INFO errorstats").text();
    assert_eq!(counts, "# Errorstats\r\nerrorstat_ERR:count=3\r\nerrorstat_MINE:count=1\r\n");
}
