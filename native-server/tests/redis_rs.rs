//! The crate redis against the server, in RESP2 and in RESP3: what its users do every day.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::thread;

use common::TestServer;
use redis::{Commands, Connection, RedisResult, Value};

fn connect(server: &TestServer, protocol: &str) -> Connection {
    let url = format!("redis://{}/?protocol={protocol}", server.address);
    let client = redis::Client::open(url).expect("an address");
    client.get_connection().expect("a connection")
}

#[test]
fn redis_rs_speaks_both_protocols() {
    let server = TestServer::plain();
    for protocol in ["resp2", "resp3"] {
        let mut connection = connect(&server, protocol);
        redis::cmd("FLUSHALL").exec(&mut connection).expect("OK");
        values(&mut connection).expect("values");
        several(&server, &mut connection, protocol).expect("several commands at once");
        messages(&server, &mut connection, protocol).expect("messages");
        waiting(&server, &mut connection, protocol).expect("a command that waits");
    }
}

fn values(connection: &mut Connection) -> RedisResult<()> {
    let () = connection.set_ex("s", "value", 100)?;
    assert_eq!(connection.get::<_, String>("s")?, "value");
    assert_eq!(connection.get::<_, Option<String>>("none")?, None);
    assert_eq!(connection.incr::<_, _, i64>("n", 5)?, 5);
    let () = connection.hset_multiple("h", &[("a", 1), ("b", 2)])?;
    let hash: BTreeMap<String, i64> = connection.hgetall("h")?;
    assert_eq!(hash, BTreeMap::from([("a".into(), 1), ("b".into(), 2)]));
    assert_eq!(connection.rpush::<_, _, i64>("l", &["a", "b"])?, 2);
    assert_eq!(connection.lrange::<_, Vec<String>>("l", 0, -1)?, ["a", "b"]);
    assert_eq!(connection.zadd::<_, _, _, i64>("z", "x", 1.5)?, 1);
    assert_eq!(connection.zscore::<_, _, f64>("z", "x")?, 1.5);
    assert_eq!(connection.sadd::<_, _, i64>("set", &["x", "y"])?, 2);
    let members: BTreeSet<String> = connection.smembers("set")?;
    assert_eq!(members, BTreeSet::from(["x".into(), "y".into()]));
    let keys: BTreeSet<String> = connection.scan()?.collect::<RedisResult<_>>()?;
    assert_eq!(keys, ["h", "l", "n", "s", "set", "z"].map(String::from).into());
    let error = connection.lpush::<_, _, i64>("s", "x").expect_err("a string is no list");
    assert_eq!(error.code(), Some("WRONGTYPE"));
    let script = "return redis.call('incrby', KEYS[1], ARGV[1])";
    let sha: String = redis::cmd("SCRIPT").arg("LOAD").arg(script).query(connection)?;
    for (command, script, expected) in [("EVAL", script, 12), ("EVALSHA", &sha, 19)] {
        let mut command = redis::cmd(command);
        command.arg(script).arg(1).arg("n").arg(7);
        assert_eq!(command.query::<i64>(connection)?, expected);
    }
    Ok(())
}

fn several(server: &TestServer, connection: &mut Connection, protocol: &str) -> RedisResult<()> {
    let mut pipe = redis::pipe();
    let replies: (String, i64) = pipe.set("p", 1).incr("p", 1).query(connection)?;
    assert_eq!(replies, ("OK".into(), 2));
    let replies: (i64,) = redis::pipe().atomic().incr("p", 1).query(connection)?;
    assert_eq!(replies, (3,));
    redis::cmd("WATCH").arg("p").exec(connection)?;
    let () = connect(server, protocol).set("p", "changed")?;
    let lost: Option<Vec<Value>> = redis::pipe().atomic().set("p", "lost").query(connection)?;
    assert_eq!(lost, None);
    assert_eq!(connection.get::<_, String>("p")?, "changed");
    Ok(())
}

fn messages(server: &TestServer, connection: &mut Connection, protocol: &str) -> RedisResult<()> {
    let mut listener = connect(server, protocol);
    let mut listener = listener.as_pubsub();
    listener.subscribe("news")?;
    assert_eq!(connection.publish::<_, _, i64>("news", "hello")?, 1);
    let message = listener.get_message()?;
    assert_eq!((message.get_channel_name(), message.get_payload::<String>()?), {
        ("news", "hello".into())
    });
    Ok(())
}

/// An entry of a stream: its id, its fields and values.
type Entry = (String, Vec<String>);

fn waiting(server: &TestServer, connection: &mut Connection, protocol: &str) -> RedisResult<()> {
    let mut waiter = connect(server, protocol);
    let popped = thread::spawn(move || waiter.blpop::<_, (String, String)>("wait", 30.0));
    let info = redis::cmd("INFO").arg("clients").clone();
    while !info.query::<String>(connection)?.contains("blocked_clients:1") {}
    let () = connection.rpush("wait", "served")?;
    let popped = popped.join().expect("no panic")?;
    assert_eq!(popped, ("wait".into(), "served".into()));
    let add = redis::cmd("XADD").arg("stream").arg("1-1").arg(&["k", "v"]).clone();
    assert_eq!(add.query::<String>(connection)?, "1-1");
    let read = redis::cmd("XREAD").arg(&["COUNT", "1", "STREAMS", "stream", "0"]).clone();
    let streams: Vec<(String, Vec<Entry>)> = read.query(connection)?;
    let entry = ("1-1".into(), vec!["k".into(), "v".into()]);
    assert_eq!(streams, [("stream".into(), vec![entry])]);
    Ok(())
}
