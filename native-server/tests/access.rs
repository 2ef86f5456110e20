//! Access lists: users, what they may do, and what they are told, beside redis-server.

mod common;

use std::fs;

use common::{Connection, Raw, TestServer};
use ferrite_server::config::Config;
use ferrite_tests::oracle::Oracle;

fn ok() -> Raw {
    Raw::Simple("OK".into())
}

/// Connections to one server: of who makes users, and of who is one.
struct Pair {
    admin: Connection,
    user: Connection,
}

/// What a script gets, line by line: `a` is said by who makes users, `u` by the user.
fn play(pair: &mut Pair, script: &str) -> Vec<String> {
    let lines = script.lines().map(str::trim).filter(|line| !line.is_empty());
    let mut said = Vec::new();
    for line in lines {
        let (who, request) = line.split_once(' ').expect("who says it");
        let connection = if who == "a" { &mut pair.admin } else { &mut pair.user };
        said.push(format!("{line} -> {}", shown(&connection.ask(request))));
    }
    said
}

/// A reply, with the words of each text in order: rules about single commands come in any.
fn shown(reply: &Raw) -> String {
    match reply {
        Raw::Array(parts) => format!("{:?}", parts.iter().map(shown).collect::<Vec<_>>()),
        Raw::Bulk(bytes) => {
            let text = String::from_utf8_lossy(bytes);
            let mut words: Vec<&str> = text.split(' ').collect();
            words.sort_unstable();
            words.join(" ")
        }
        other => format!("{other:?}"),
    }
}

/// Plays a script to the server, and to redis-server if there is one: both say the same.
fn compare(script: &str) -> Vec<String> {
    let server = TestServer::plain();
    let mut pair = Pair { admin: server.connect(), user: server.connect() };
    let ours = play(&mut pair, script);
    if let Some(oracle) = Oracle::start_or_skip() {
        let connect = || Connection::new(oracle.address);
        let theirs = play(&mut Pair { admin: connect(), user: connect() }, script);
        for (ours, theirs) in ours.iter().zip(&theirs) {
            assert_eq!(ours, theirs);
        }
        assert_eq!(ours.len(), theirs.len());
    }
    ours
}

#[test]
fn users_are_made_and_shown_as_by_redis() {
    let hash = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";
    let said = compare(&format!(
        "a ACL SETUSER ann
         a ACL LIST
         a ACL SETUSER ann on >secret ~k:* %R~r:* %W~w:* &c:* +@string -append +config|get
         a ACL LIST
         a ACL GETUSER ann
         a ACL SETUSER ann <secret
         a ACL SETUSER ann <secret
         a ACL SETUSER ann #{hash}
         a ACL SETUSER ann !{hash}
         a ACL SETUSER ann #abc
         a ACL SETUSER ann %RW~k:* %W~r:*
         a ACL GETUSER ann
         a ACL SETUSER ann %X~x
         a ACL SETUSER ann %RR~x
         a ACL SETUSER ann allkeys ~x
         a ACL SETUSER ann +nothing
         a ACL SETUSER ann +@nothing
         a ACL SETUSER ann +config|get|x
         a ACL SETUSER ann +config|
         a ACL SETUSER ann +config|nothing
         a ACL SETUSER ann -select +select|1 +select|1 +select|2
         a ACL GETUSER ann
         a ACL SETUSER ann what
         a ACL SETUSER ann allchannels &x
         a ACL SETUSER a\u{2028}b
         a ACL SETUSER ben on nopass +@all -@admin -client +client|id
         a ACL GETUSER ben
         a ACL SETUSER ben (+get ~a*) (+set %W~b* &c)
         a ACL SETUSER ben ( +get ~c* ) (+del
         a ACL GETUSER ben
         a ACL SETUSER ben (+get
         a ACL SETUSER ben clearselectors skip-sanitize-payload
         a ACL LIST
         a ACL SETUSER ben reset
         a ACL LIST
         a ACL USERS
         a ACL GETUSER nobody
         a ACL DELUSER nobody ben
         a ACL DELUSER default
         a ACL CAT nothing
         a ACL CAT x y
         a ACL DRYRUN ann get k
         a ACL DRYRUN nobody get k
         a ACL DRYRUN ann nothing
         a ACL DRYRUN ann get
         a ACL WHOAMI
         a CLIENT KILL USER nobody
         a CONFIG SET requirepass secret
         a ACL LIST"
    ));
    assert!(
        said[3].contains("%R~r:* %W~w:* &c:* +@string +config|get -@all -append"),
        "{}",
        said[3]
    );
}

#[test]
fn keys_and_channels_are_refused_as_by_redis() {
    compare(
        "a ACL SETUSER ann on >secret ~k:* %R~r:* %W~w:* &c:* +@all -debug -select +select|1
         u AUTH ann wrong
         u AUTH nobody secret
         u AUTH ann secret
         u ACL WHOAMI
         u SET k:1 v
         u SET other v
         u GET other
         u GET r:1
         u SET r:1 v
         u SET w:1 v
         u SET w:1 get
         u SET w:1 v GET
         u GET w:1
         u STRLEN w:1
         u EXISTS w:1 other
         u COPY r:1 k:2
         u COPY w:1 k:2
         u MSET k:1 a w:1 b
         u MSET k:1 a r:1 b
         u SUNIONSTORE w:s r:1 k:1
         u SORT k:1 BY nosort
         u SORT k:1 BY x_*
         u SORT k:1 GET x_*
         u SORT k:1 STORE other
         u XREAD STREAMS k:1 other 0 0
         u SELECT 0
         u SELECT 1
         u SELECT 1 2
         u DEBUG SLEEP 0
         u PUBLISH c:1 x
         u PUBLISH d:1 x
         u SPUBLISH c:1 x
         u SUBSCRIBE c:1 d:1
         u PSUBSCRIBE c:?
         u CONFIG GET maxclients",
    );
}

#[test]
fn changes_of_a_user_hold_at_once_as_by_redis() {
    compare(
        "a ACL SETUSER ann on >secret ~k:* +@all -debug
         u AUTH ann secret
         u MULTI
         u SET k:1 1
         u SET other 1
         u EXEC
         u MULTI
         u SET k:1 2
         u INCR k:1
         a ACL SETUSER ann -set resetkeys
         u EXEC
         u GET k:1
         u PING
         a ACL SETUSER ann -ping
         u PING
         a ACL SETUSER ann ~k:* +eval
         u EVAL return(redis.call('get','k:1')) 0
         u EVAL return(redis.call('set','k:1','1')) 0
         u EVAL return(redis.pcall('get','other')) 0
         u EVAL return({redis.acl_check_cmd('get','k:1')}) 0
         u EVAL return({redis.acl_check_cmd('set','k:1','x'),1}) 0
         a ACL SETUSER ann %R~other
         u EVAL return(1) 1 other
         u EVAL return(1) 1 k:1
         u EVALSHA 0123456789012345678901234567890123456789 1 other
         a ACL DRYRUN ann EVAL return(1) 1 other
         a ACL SETUSER ann off
         u GET k:1
         u AUTH ann secret
         a ACL SETUSER ann on (+set ~sel:*)
         u SET sel:1 x
         u SET other x
         u GET sel:1
         u RESET
         u ACL WHOAMI
         a ACL SETUSER default >word
         u GET k:1
         u AUTH ann secret
         u AUTH word
         a ACL SETUSER default nopass
         u AUTH word",
    );
}

/// Fields of the entries of ACL LOG: count, reason, context, object, user.
fn denials(connection: &mut Connection) -> Vec<String> {
    let Raw::Array(entries) = connection.ask("ACL LOG") else { panic!("entries") };
    let shown = |entry: &Raw| {
        let Raw::Array(fields) = entry else { panic!("an entry") };
        let show = |field: &Raw| match field {
            Raw::Integer(number) => number.to_string(),
            text => text.text(),
        };
        [1, 3, 5, 7, 9].map(|at| show(&fields[at])).join(" ")
    };
    entries.iter().map(shown).collect()
}

#[test]
fn denials_are_noted() {
    let server = TestServer::plain();
    let (mut admin, mut user) = (server.connect(), server.connect());
    admin.ask("ACL SETUSER ann on nopass ~k &c +@all -set");
    user.ask("AUTH ann any");
    for request in ["SET k v", "SET k v", "GET other", "PUBLISH d m", "CONFIG GET x"] {
        user.ask(request);
    }
    for request in ["MULTI", "GET other", "EXEC", "EVAL return(redis.call('get','x')) 0"] {
        user.ask(request);
    }
    let expected = [
        "1 key lua x ann",
        "1 key multi other ann",
        "1 channel toplevel d ann",
        "1 key toplevel other ann",
        "2 command toplevel set ann",
    ];
    assert_eq!(denials(&mut admin), expected);
    let clients = admin.ask("CLIENT LIST").text();
    assert!(clients.contains(" user=ann ") && clients.contains(" user=default "), "{clients}");
    assert_eq!(admin.ask("CLIENT KILL USER ann"), Raw::Integer(1));
}

#[test]
fn connections_that_lose_their_ground_are_closed() {
    let server = TestServer::plain();
    let mut admin = server.connect();
    let listen = |channel: &str| {
        let mut user = server.connect();
        user.ask("AUTH ann any");
        user.ask(&format!("SUBSCRIBE {channel}"));
        user
    };
    admin.ask("ACL SETUSER ann on nopass +@all &a &b");
    let (mut first, mut second) = (listen("a"), listen("b"));
    assert_eq!(admin.ask("ACL SETUSER ann resetchannels &b"), ok());
    assert!(first.is_closed(), "it listened to what it may not");
    second.ask("PING");
    assert_eq!(admin.ask("ACL DELUSER ann"), Raw::Integer(1));
    assert!(second.is_closed(), "its user is gone");
    let mut own = server.connect();
    admin.ask("ACL SETUSER ben on nopass +@all");
    own.ask("AUTH ben any");
    assert_eq!(own.ask("ACL DELUSER ben"), Raw::Integer(1));
    assert!(own.is_closed(), "it has removed itself");
}

#[test]
fn users_are_kept_in_a_file_of_their_own() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("users.acl");
    fs::write(&path, "user ann on nopass ~\u{e9}* +get\n\nuser default on nopass ~* &* +@all\n")
        .expect("a file");
    let configure = |config: &mut Config| {
        config.dir = directory.path().display().to_string();
        config.aclfile = "users.acl".into();
    };
    let server = TestServer::start(configure);
    let mut admin = server.connect();
    assert_eq!(admin.ask("ACL USERS"), Raw::Array(vec![Raw::bulk("ann"), Raw::bulk("default")]));
    assert_eq!(admin.ask("ACL SETUSER ben on nopass"), ok());
    assert_eq!(admin.ask("ACL SAVE"), ok());
    let saved = fs::read_to_string(&path).expect("the file");
    let expected = "user ann on nopass ~\u{e9}* resetchannels -@all +get\n\
                    user ben on nopass resetchannels -@all\n\
                    user default on nopass ~* &* +@all\n";
    assert_eq!(saved, expected);
    fs::write(&path, "user ann +nothing\nwho\nuser ben\nuser ben\n").expect("a file");
    let Raw::Error(line) = admin.ask("ACL LOAD") else { panic!("a bad file is loaded") };
    for part in [
        "users.acl:1: Error in applying operation '+nothing': Unknown command or category",
        "users.acl:2 should start with user keyword followed by the username. ",
        "WARNING: Duplicate user 'ben' found on line 4. ",
        "no change to the previously active ACL rules was performed",
    ] {
        assert!(line.contains(part), "{line}");
    }
    assert_eq!(admin.ask("ACL USERS"), Raw::Array(["ann", "ben", "default"].map(Raw::bulk).into()));
    fs::write(&path, saved).expect("a file");
    assert_eq!(admin.ask("ACL LOAD"), ok());
}

#[test]
fn users_stand_in_the_configuration() {
    let mut config = Config::default();
    let text = "user ann on nopass +get\nrequirepass word\nuser default on nopass -@all +ping\n";
    ferrite_server::config::file::read(&mut config, "x.conf", text).expect("a good file");
    let server = TestServer::start(|own| {
        own.users = config.users.clone();
        own.requirepass = config.requirepass.clone();
    });
    let mut user = server.connect();
    assert_eq!(user.ask("PING"), Raw::Simple("PONG".into()));
    assert!(matches!(user.ask("GET k"), Raw::Error(line) if line.starts_with("NOPERM")));
    let again = ferrite_server::config::file::read(&mut config, "x.conf", "user ann\n");
    assert!(again.expect_err("twice").to_string().contains("Duplicate user found"));
}
