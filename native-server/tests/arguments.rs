//! The trees of arguments that COMMAND DOCS gives are redis-server's, but where a difference is
//! meant. redis-server is the judge where there is one.

mod common;

use std::collections::BTreeMap;

use common::{Connection, Raw, TestServer};
use ferrite_tests::oracle::Oracle;

/// An argument, as it is told.
#[derive(Debug)]
struct Argument {
    name: String,
    kind: String,
    key_spec: Option<String>,
    token: Option<String>,
    flags: Vec<String>,
    parts: Vec<Argument>,
}

fn facts(raw: &Raw) -> BTreeMap<String, &Raw> {
    let Raw::Map(facts) = raw else { panic!("facts: {raw:?}") };
    facts.iter().map(|(name, fact)| (name.text(), fact)).collect()
}

fn arguments(raw: Option<&&Raw>) -> Vec<Argument> {
    let Some(Raw::Array(arguments)) = raw else { return Vec::new() };
    let one = |raw: &Raw| {
        let facts = facts(raw);
        let text = |name: &str| facts.get(name).map(|fact| fact.text());
        let flags = match facts.get("flags") {
            Some(Raw::Set(flags)) => flags.iter().map(Raw::text).collect(),
            _ => Vec::new(),
        };
        Argument {
            // Redis writes some with the other stroke.
            name: text("name").expect("a name").replace('_', "-"),
            kind: text("type").expect("a type"),
            key_spec: facts.get("key_spec_index").map(|index| format!("{index:?}")),
            token: text("token"),
            flags,
            parts: self::arguments(facts.get("arguments")),
        }
    };
    arguments.iter().map(one).collect()
}

/// Every command and subcommand with its arguments.
fn documented(client: &mut Connection) -> BTreeMap<String, Vec<Argument>> {
    client.ask("HELLO 3");
    let mut found = BTreeMap::new();
    let docs = client.ask("COMMAND DOCS");
    let mut left: Vec<(String, &Raw)> = facts(&docs).into_iter().collect();
    while let Some((name, docs)) = left.pop() {
        let facts = facts(docs);
        if let Some(subcommands) = facts.get("subcommands") {
            left.extend(self::facts(subcommands));
        }
        found.insert(name, arguments(facts.get("arguments")));
    }
    found
}

/// What has to be written where: what clients show as a hint.
fn shape(arguments: &[Argument]) -> String {
    let one = |argument: &Argument| {
        let is_group = ["oneof", "block", "pure-token"].contains(&argument.kind.as_str());
        let kind = if is_group { &argument.kind } else { "value" };
        let token = argument.token.as_deref().unwrap_or_default();
        format!("({kind} {token} {:?} {})", argument.flags, shape(&argument.parts))
    };
    arguments.iter().map(one).collect()
}

fn leaves(arguments: &[Argument]) -> Vec<&Argument> {
    let mut found = Vec::new();
    for argument in arguments {
        match argument.parts.is_empty() {
            true => found.push(argument),
            false => found.extend(leaves(&argument.parts)),
        }
    }
    found
}

/// Commands whose arguments are not Redis's, and why.
const OTHERS: &[(&str, &str)] = &[
    ("bitop", "Redis leaves open which operations there are"),
    ("client|kill", "each filter may be given once; SLAVE is an old name"),
    ("client|list", "Redis has a block of one"),
    ("cluster", "no container here: there are no subcommands"),
    ("command|getkeys", "Redis tells of no arguments"),
    ("command|getkeysandflags", "Redis tells of no arguments"),
    ("config|get", "Redis has a block of one"),
    ("debug", "Redis tells of no arguments"),
    ("function|load", "libraries in WebAssembly have more"),
    ("geohash", "no member is needed"),
    ("geopos", "no member is needed"),
    ("georadius", "one of STORE and STOREDIST counts"),
    ("georadiusbymember", "one of STORE and STOREDIST counts"),
    ("geosearch", "BYRADIUS and BYBOX are words of the whole shape, not of its first number"),
    ("geosearchstore", "BYRADIUS and BYBOX are words of the whole shape, not of its first number"),
    ("pfdebug", "Redis leaves open which subcommands there are"),
    ("pfmerge", "no source is needed"),
    ("psubscribe", "Redis has a block of one"),
    ("xclaim", "AHEAD is an option of our own"),
    ("xtrim", "Redis has the whole in a block"),
    ("zrank", "WITHSCORE came with Redis 7.2"),
    ("zrevrank", "WITHSCORE came with Redis 7.2"),
];

/// Arguments that are called or typed otherwise, and what they are there: names that are not those
/// of the same thing elsewhere, and numbers that may have fractions.
const OTHERWISE: &[(&str, &str, &str)] = &[
    ("acl|cat", "category string", "categoryname string"),
    ("function|list", "pattern pattern", "library-name-pattern string"),
    ("function|restore", "payload string", "serialized-value string"),
    ("geoadd", "ch pure-token", "change pure-token"),
    ("lcs", "min-match-len integer", "len integer"),
    ("sort", "alpha pure-token", "sorting pure-token"),
    ("sort_ro", "alpha pure-token", "sorting pure-token"),
    ("xgroup|create", "group string", "groupname string"),
    ("xgroup|createconsumer", "group string", "groupname string"),
    ("xgroup|createconsumer", "consumer string", "consumername string"),
    ("xgroup|delconsumer", "group string", "groupname string"),
    ("xgroup|delconsumer", "consumer string", "consumername string"),
    ("xgroup|destroy", "group string", "groupname string"),
    ("xgroup|setid", "group string", "groupname string"),
    ("xinfo|consumers", "group string", "groupname string"),
    ("xpending", "min-idle-time string", "min-idle-time integer"),
    ("xsetid", "max-deleted-id string", "max-deleted-entry-id string"),
    ("zadd", "ch pure-token", "change pure-token"),
    ("zadd", "incr pure-token", "increment pure-token"),
    ("zinter", "weight double", "weight integer"),
    ("zinterstore", "weight double", "weight integer"),
    ("zunion", "weight double", "weight integer"),
    ("zunionstore", "weight double", "weight integer"),
];

#[test]
fn trees_are_those_of_redis() {
    let Some(oracle) = Oracle::start_or_skip() else { return };
    let server = TestServer::plain();
    let given = documented(&mut server.connect());
    let expected = documented(&mut Connection::new(oracle.address));
    let (mut others, mut otherwise, mut same) = (Vec::new(), Vec::new(), 0);
    for (name, given) in &given {
        let Some(expected) = expected.get(name) else { continue };
        if shape(given) != shape(expected) {
            others.push(name.as_str());
            continue;
        }
        same += 1;
        for (given, expected) in leaves(given).into_iter().zip(leaves(expected)) {
            let told = |argument: &Argument| -> String {
                let Argument { name, kind, key_spec, .. } = argument;
                format!("{name} {kind} {}", key_spec.as_deref().unwrap_or_default()).trim().into()
            };
            if told(given) != told(expected) {
                otherwise.push((name.as_str(), told(given), told(expected)));
            }
        }
    }
    assert!(same > 290, "{same} are the same");
    let known: Vec<&str> = OTHERS.iter().map(|(name, _)| *name).collect();
    assert_eq!(others, known);
    let otherwise: Vec<_> = otherwise
        .iter()
        .map(|(name, given, expected)| (*name, given.as_str(), expected.as_str()))
        .collect();
    assert_eq!(otherwise, OTHERWISE);
}

#[test]
fn a_tree_says_what_the_line_says() {
    let server = TestServer::plain();
    let given = documented(&mut server.connect());
    let check = |name: &str, expected: &str| {
        assert_eq!(shape(&given[name]), expected, "{name}");
    };
    check("ping", "(value  [\"optional\"] )");
    check("mset", "(block  [\"multiple\"] (value  [] )(value  [] ))");
    check(
        "xread",
        "(value COUNT [\"optional\"] )(value BLOCK [\"optional\"] )\
         (block STREAMS [] (value  [\"multiple\"] )(value  [\"multiple\"] ))",
    );
    check("bitfield", {
        "(value  [] )(oneof  [\"optional\", \"multiple\"] \
         (block GET [] (value  [] )(value  [] ))(block  [] \
         (oneof OVERFLOW [\"optional\"] \
         (pure-token WRAP [] )(pure-token SAT [] )(pure-token FAIL [] ))\
         (oneof  [] (block SET [] (value  [] )(value  [] )(value  [] ))\
         (block INCRBY [] (value  [] )(value  [] )(value  [] )))))"
    });
    check("client|kill", {
        "(oneof  [] (value  [] )(block  [] (value ID [\"optional\"] )\
         (oneof TYPE [\"optional\"] (pure-token NORMAL [] )(pure-token MASTER [] )\
         (pure-token REPLICA [] )(pure-token PUBSUB [] ))(value USER [\"optional\"] )\
         (value ADDR [\"optional\"] )(value LADDR [\"optional\"] )\
         (oneof SKIPME [\"optional\"] (pure-token YES [] )(pure-token NO [] ))\
         (value MAXAGE [\"optional\"] )))"
    });
    let sort = leaves(&given["sort"]);
    let get = sort.iter().find(|argument| argument.token.as_deref() == Some("GET"));
    assert_eq!(get.expect("GET").flags, ["optional", "multiple", "multiple_token"]);
    // Nothing of a line is left out, and containers leave their arguments to their subcommands.
    assert!(given["xgroup"].is_empty() && !given["xgroup|create"].is_empty());
    let is_leaf = |argument: &&&Argument| argument.kind == "oneof" || argument.kind == "block";
    for (name, arguments) in &given {
        assert!(!leaves(arguments).iter().any(|argument| is_leaf(&argument)), "{name}");
    }
}
