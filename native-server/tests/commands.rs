//! The command table against that of redis-server 7.0: what is not here is on a list that says why,
//! and what is here says of itself what Redis says.
//! Not here: what commands do (the transcripts), and what their documentation says.

mod common;

use std::collections::BTreeMap;

use common::{Raw, TestServer};
use ferrite_engine::{Arity, DENYOOM, FAST, READ, WRITE};
use ferrite_server::commands::{Command, table, tips};
use ferrite_tests::answer::Answer;
use ferrite_tests::oracle::Oracle;
use ferrite_tests::subject::Subject;

/// Commands of Redis that are not here, and why. A star stands for any end of a name.
const ABSENT: &[(&str, &str)] = &[
    ("cluster|*", "there is no cluster"),
    ("migrate", "there is no cluster"),
    ("module*", "there are no modules"),
    ("psync", "there are no replicas"),
    ("replconf", "there are no replicas"),
    ("restore-asking", "there is no cluster"),
    ("sync", "there are no replicas"),
];

/// Commands that redis-server 7.0 does not know, and since when Redis does.
const LATER: &[(&str, &str)] = &[
    ("client|no-touch", "7.2"),
    ("client|setinfo", "7.2"),
    ("hexpire", "7.4"),
    ("hexpireat", "7.4"),
    ("hexpiretime", "7.4"),
    ("hpersist", "7.4"),
    ("hpexpire", "7.4"),
    ("hpexpireat", "7.4"),
    ("hpexpiretime", "7.4"),
    ("hpttl", "7.4"),
    ("httl", "7.4"),
    ("waitaof", "7.2"),
];

/// Commands whose rows say something else, and why.
const DIFFERENT: &[(&str, &str)] = &[
    ("object", "its subcommands are arguments of one row"),
    ("spublish", "a channel is no key"),
    ("ssubscribe", "a channel is no key"),
    ("sunsubscribe", "a channel is no key"),
    ("xgroup", "its subcommands are arguments of one row"),
    ("xinfo", "its subcommands are arguments of one row"),
    ("zrank", "WITHSCORE came with 7.2"),
    ("zrevrank", "WITHSCORE came with 7.2"),
];

/// What a table says of a command: its arity, its flags as far as the engine has them, which
/// arguments are keys, and tips for those who send it to several servers.
#[derive(Debug, PartialEq, Eq)]
struct Row {
    arity: i64,
    flags: Vec<&'static str>,
    keys: [i64; 3],
    tips: Vec<String>,
}

const FLAGS: &[(&str, u16)] =
    &[("readonly", READ), ("write", WRITE), ("denyoom", DENYOOM), ("fast", FAST)];

#[test]
fn what_is_not_here_is_on_the_list() {
    let Some(theirs) = theirs() else { return };
    let ours: Vec<&str> = table().each().map(|command| command.name).collect();
    let mut faults = Vec::new();
    let lacking: Vec<&String> =
        theirs.keys().filter(|name| !ours.contains(&name.as_str())).collect();
    for name in &lacking {
        if !ABSENT.iter().any(|(pattern, _)| matches(pattern, name)) {
            faults.push(format!("{name} is neither here nor on the list of what is absent"));
        }
    }
    for (pattern, _) in ABSENT {
        if !lacking.iter().any(|name| matches(pattern, name)) {
            faults.push(format!("{pattern} is on the list of what is absent, but nothing is"));
        }
    }
    for name in ours.iter().filter(|name| !theirs.contains_key(**name)) {
        if !LATER.iter().any(|(later, _)| later == name) {
            faults.push(format!("{name} is no command of Redis"));
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn rows_say_what_redis_says() {
    let Some(theirs) = theirs() else { return };
    let mut faults = Vec::new();
    for command in table().each() {
        let Some(expected) = theirs.get(command.name) else { continue };
        let given = row_of(command);
        let may_differ = DIFFERENT.iter().any(|(name, _)| *name == command.name);
        if may_differ == (*expected == given) {
            faults.push(format!("{}: Redis says {expected:?}, the row {given:?}", command.name));
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => name == pattern,
    }
}

fn row_of(command: &Command) -> Row {
    let arity = match command.arity {
        Arity::Exactly(count) => count as i64,
        Arity::AtLeast(least) => -(least as i64),
    };
    let flags = FLAGS.iter().filter(|(_, flag)| command.has(*flag)).map(|(name, _)| *name);
    let keys = [command.keys.first, command.keys.last, command.keys.step].map(i64::from);
    // With a count of keys, or a word before them, Redis's table knows only where a result goes.
    let keys = match keys {
        [-1, ..] => [0, 0, 0],
        [2, 0, _] if command.name.ends_with("store") => [1, 1, 1],
        [1..=3, 0, _] => [0, 0, 0],
        keys => keys,
    };
    let tips = tips::of(command.name).iter().map(ToString::to_string).collect();
    Row { arity, flags: flags.collect(), keys, tips }
}

/// The table of redis-server, if that is installed.
fn theirs() -> Option<BTreeMap<String, Row>> {
    let mut oracle = Oracle::start_or_skip()?;
    let Answer::Array(rows) = oracle.ask(&["COMMAND".into()]) else {
        panic!("COMMAND answers an array");
    };
    let mut theirs = BTreeMap::new();
    rows.iter().for_each(|row| read(row, &mut theirs));
    Some(theirs)
}

/// Reads what COMMAND says of a command, and of its subcommands.
fn read(row: &Answer, rows: &mut BTreeMap<String, Row>) {
    let Answer::Array(fields) = row else { panic!("a command is an array, not {row}") };
    let [Answer::Bulk(name), Answer::Integer(arity), Answer::Array(flags), keys @ ..] = &fields[..]
    else {
        panic!("a command begins with its name, not {row}");
    };
    let has = |flag: &str| flags.contains(&Answer::Simple(flag.into()));
    let flags = FLAGS.iter().map(|(name, _)| *name).filter(|name| has(name)).collect();
    let key = |at: usize| match keys.get(at) {
        Some(Answer::Integer(number)) => *number,
        other => panic!("a number, not {other:?}"),
    };
    let name = String::from_utf8_lossy(name).into_owned();
    let Some(Answer::Array(tips)) = fields.get(7) else { panic!("tips: {fields:?}") };
    let tips = tips.iter().map(|tip| match tip {
        Answer::Bulk(tip) => String::from_utf8_lossy(tip).into_owned(),
        other => panic!("no tip: {other:?}"),
    });
    let row = Row { arity: *arity, flags, keys: [key(0), key(1), key(2)], tips: tips.collect() };
    rows.insert(name, row);
    if let Some(Answer::Array(subcommands)) = fields.last() {
        subcommands.iter().for_each(|row| read(row, rows));
    }
}

/// Requests whose keys do not stand where most have them.
const REQUESTS: &[&str] = &[
    "GET k",
    "MSET a 1 b 2",
    "SORT k BY w DESC",
    "SORT k BY w STORE d",
    "GEORADIUS k 1 1 1 m",
    "GEORADIUS k 1 1 1 m STORE d",
    "GEORADIUS k 1 1 1 m STOREDIST other STORE d ASC",
    "GEORADIUSBYMEMBER k m 1 m storedist d",
    "GEORADIUS_RO k 1 1 1 m ASC",
    "GEOSEARCHSTORE d k FROMMEMBER m BYRADIUS 1 m",
    "BITOP AND d a b",
    "BITFIELD k GET u8 0",
    "PFMERGE d a b",
    "PFCOUNT a b",
    "PFDEBUG ENCODING k",
    "PFSELFTEST",
    "ZUNIONSTORE d 2 a b",
    "ZINTERCARD 2 a b",
    "LMPOP 2 a b LEFT",
    "XREAD COUNT 1 STREAMS a b 0 0",
    "OBJECT ENCODING k",
];

#[test]
fn keys_of_requests_are_where_redis_finds_them() {
    let Some(mut oracle) = Oracle::start_or_skip() else { return };
    let server = TestServer::start(|_| ());
    let mut connection = server.connect();
    for request in REQUESTS {
        let request = format!("COMMAND GETKEYS {request}");
        let words: Vec<Vec<u8>> = request.split(' ').map(Into::into).collect();
        let expected = match oracle.ask(&words) {
            Answer::Array(keys) => keys.iter().map(Answer::to_string).collect(),
            other => vec![other.to_string()],
        };
        let given = match connection.ask(&request) {
            Raw::Array(keys) => keys.into_iter().map(text_of).collect(),
            other => vec![text_of(other)],
        };
        assert_eq!(expected, given, "{request}");
    }
}

fn text_of(raw: Raw) -> String {
    match raw {
        Raw::Bulk(bytes) => Answer::Bulk(bytes).to_string(),
        Raw::Error(line) => Answer::Error(line).to_string(),
        other => panic!("neither a key nor an error: {other:?}"),
    }
}
