//! Keyspace events are those of redis-server: which, in which order, of which key and database.
//!
//! Needs redis-server and libfaketime; where they are missing the test says that it is skipped, and
//! fails in CI. Not here: events of what the clock does (messages.rs).

mod common;

use common::{Connection, Raw, TestServer};
use ferrite_tests::oracle::Oracle;

/// Requests that are run one behind the other on an empty server. DUMPTO hands what DUMP answers on
/// to RESTORE.
const CASES: &[&str] = &[
    "SET a 1;SET a 2;RENAME a b;SET c 3;RENAME b c;RENAMENX c d;SET e 1;RENAMENX d e",
    "SET a 1;COPY a b;COPY a b;COPY a b REPLACE;COPY a b DB 1;COPY a b DB 1 REPLACE",
    "SET a 1;MOVE a 1;SET a 2;MOVE a 1;SELECT 1;DEL a;SELECT 0;MOVE a 1",
    "SET a 1;DUMPTO a b;DUMPTO a b REPLACE;DUMPTO a c IDLETIME 10;RESTORE d 0 x",
    "SADD s 1 2;SUNIONSTORE t s;SUNIONSTORE t s;SINTERSTORE t none;SDIFFSTORE t s",
    "SADD s 1;SMOVE s t 1;SADD s 1 2;SMOVE s t 1;SMOVE s t 1;SMOVE s t 2;SPOP t 5",
    "SADD s 1 2 3;SUNIONSTORE none nope;SINTERSTORE s nope;SADD s 1;SREM s 1 2",
    "RPUSH l a b;RPOPLPUSH l m;LMOVE l m LEFT LEFT;LMOVE m m LEFT RIGHT;BLMOVE m x LEFT RIGHT 1",
    "RPUSH l a b c;LINSERT l BEFORE a x;LSET l 0 y;LREM l 1 y;LTRIM l 1 2;LPOP l;RPOP l;LPUSHX l a",
    "LPUSH a 1 2 3;BLMPOP 1 1 a RIGHT;LMPOP 1 a RIGHT COUNT 5;LPUSH a 1;BLPOP a 1;LPUSH a 1;\
     BRPOPLPUSH a b 1",
    "RPUSH l b a;SORT l ALPHA STORE n;SORT none STORE n;SORT none STORE o",
    "ZADD z 1 a 2 b;ZUNIONSTORE y 1 z;ZRANGESTORE x z 0 -1;ZINTERSTORE w 1 none;ZINCRBY q 1 a",
    "ZADD z 1 a 2 b 3 c 4 d;ZPOPMIN z;ZREMRANGEBYRANK z 0 0;ZMPOP 1 z MIN;ZREM z d",
    "ZADD min 1 a 2 b;ZMPOP 1 min MAX;ZMPOP 1 min MIN;ZADD z 1 a 2 b 3 c;\
     BZMPOP 1 2 q z MAX COUNT 2;BZPOPMIN z 1;ZADD z 1 a;ZPOPMAX z 3",
    "ZUNIONSTORE z 1 nope;ZADD y 1 a;ZUNIONSTORE y 1 nope;ZADD y 1 a;ZREMRANGEBYSCORE y 0 5",
    "GEOADD g 1 2 a;GEOSEARCHSTORE h g FROMMEMBER a BYRADIUS 5 m;\
     GEORADIUS g 1 2 100 km STORE k;GEOSEARCHSTORE q g FROMLONLAT 50 50 BYRADIUS 1 m;\
     GEORADIUS g 50 50 1 m STORE r;GEORADIUS g 50 50 1 m STORE k",
    "BITOP AND d a b;SET a 1;BITOP NOT d a;BITOP NOT d a;SETBIT n 3 1;BITFIELD o SET u8 0 3",
    "SETRANGE p 3 a;SETRANGE p 0 b;SETRANGE q 0 ;APPEND r x;APPEND r y;GETRANGE s 0 1",
    "PFADD h a;PFMERGE j h;PFMERGE j h;PFCOUNT h;PFADD h a",
    "INCR i;INCR i;DECR j;INCRBYFLOAT k 1;HINCRBY l a 1;HINCRBY l a 1;HINCRBYFLOAT m a 1",
    "HSET n a b;HSET n a c;HSETNX n b c;HDEL n a b;HDEL n a",
    "RPUSH l a b;LTRIM l 0 -1;LTRIM l 0 5;LTRIM none 0 1;ZADD z INCR 1 a;ZADD z XX CH INCR 1 a",
    "MGET n n m;EXISTS n n;GETDEL n;GETEX n;SET n 1 GET;SET m 1 NX;BITFIELD o GET u8 0;COPY o p;\
     COPY o p DB 1",
    "XREAD STREAMS n m 0 0;XREADGROUP GROUP g c STREAMS n m > >;XACK n g 1-1;XCLAIM n g c 0 1-1",
    "RPUSH l 1 2;SORT l BY w_* GET o_*;SORT l BY w_*->a GET # GET o_*->b;SORT l BY none GET o_*",
    "MSET a 1 a 2;MSETNX b 1 b 2;XAUTOCLAIM n g c 0 0;BITFIELD o SET u8 0 1;BITFIELD p GET u8 0",
    "MSET a 1 b 2;MSET a 1 c 2;MSETNX d 1 e 2;MSETNX d 1 f 2;GETSET g 1;GETSET g 2;SETNX x 1",
    "SETEX y 10 1;PSETEX z 1000 1;SET y 1 EX 10;SET y 1 KEEPTTL;GETDEL y;GETEX z PERSIST",
    "SET a 1 EX 100;INCRBYFLOAT a 1;APPEND a x;SETRANGE a 0 b;SETBIT a 1 1;GETSET a 2",
    "SET a 1;EXPIRE a 100;PERSIST a;EXPIRE a -1;SET a 1;PEXPIREAT a 1;SET a 1;GETEX a EX 10",
    "XADD s 1-1 a b;XADD s 2-1 a b;XGROUP CREATE s g 0;XREADGROUP GROUP g c COUNT 1 STREAMS s >;\
     XACK s g 1-1;XCLAIM s g d 0 1-1;XAUTOCLAIM s g e 0 0;XTRIM s MAXLEN 0;XDEL s 2-1;\
     XGROUP SETID s g 0;XADD s MAXLEN 1 3-1 a b;XADD s MAXLEN 1 4-1 a b;XSETID s 9-1",
    "XGROUP CREATE t g $ MKSTREAM;XGROUP CREATECONSUMER t g d;XGROUP DELCONSUMER t g d;\
     XGROUP DESTROY t g",
    "SET a 1;SWAPDB 0 1;SELECT 1;GET a;FLUSHDB;SELECT 0;OBJECT ENCODING a;TYPE a;TTL a;EXISTS a b",
];

/// A server, and one who listens to its events.
struct Heard {
    client: Connection,
    listener: Connection,
}

impl Heard {
    fn new(mut client: Connection, mut listener: Connection) -> Heard {
        client.ask("CONFIG SET notify-keyspace-events EAnm");
        listener.ask("PSUBSCRIBE __key*");
        Heard { client, listener }
    }

    /// Runs a request. What it answers, but for elements, and the events.
    fn run(&mut self, request: &str) -> String {
        let mut words: Vec<Vec<u8>> = request.split(' ').map(Into::into).collect();
        if words[0] == b"DUMPTO" {
            let Raw::Bulk(payload) = self.client.ask_words(&[&b"DUMP"[..], &words[1]]) else {
                panic!("no payload: {request}")
            };
            words[0] = b"RESTORE".into();
            words.remove(1);
            words.splice(2..2, [b"0".to_vec(), payload]);
        }
        let answer = match self.client.ask_words(&words) {
            Raw::Array(items) => format!("{} items", items.len()),
            answer => format!("{answer:?}"),
        };
        assert_eq!(self.client.ask("PUBLISH __key end"), Raw::Integer(1));
        let mut said = format!("{request}: {answer}");
        loop {
            let Raw::Array(parts) = self.listener.read() else { panic!("a message") };
            match (parts[2].text(), parts[3].text()) {
                (channel, _) if channel == "__key" => return said,
                (channel, key) => said.push_str(&format!("\n  {channel} {key}")),
            }
        }
    }
}

#[test]
fn events_are_those_of_redis() {
    let Some(oracle) = Oracle::start_or_skip() else { return };
    let server = TestServer::plain();
    let mut ours = Heard::new(server.connect(), server.connect());
    let mut theirs = Heard::new(Connection::new(oracle.address), Connection::new(oracle.address));
    let mut failures = Vec::new();
    for case in CASES {
        let before = ["SELECT 0", "FLUSHALL"];
        for request in before.into_iter().chain(case.split(';')) {
            let (our, their) = (ours.run(request), theirs.run(request));
            if our != their {
                failures.push(format!("ours {our}\ntheirs {their}"));
            }
        }
    }
    assert!(failures.is_empty(), "{} differ:\n{}", failures.len(), failures.join("\n"));
}
