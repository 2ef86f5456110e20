//! Scripts that run for long: others are told so, whoever has one thread of the server or many.

use crate::common::{Connection, Raw, TestServer};

const BUSY: &str = "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN \
                    NOSAVE.";

/// A server whose patience is short.
fn server(threads: i64) -> TestServer {
    TestServer::start(|config| {
        config.io_threads = threads;
        config.busy_reply_threshold_ms = 20;
    })
}

/// Asks until the server says that it is busy.
fn until_busy(client: &mut Connection) {
    for _ in 0..1000 {
        match client.ask("GET k") {
            Raw::Error(line) => return assert!(line.starts_with("BUSY "), "{line}"),
            other => assert_eq!(other, Raw::Null),
        }
    }
    panic!("the server is never busy");
}

fn check_kill(threads: i64, script: &str) {
    let server = server(threads);
    let (mut client, mut other) = (server.connect(), server.connect());
    client.send_words(&["EVAL", script, "0"]);
    until_busy(&mut other);
    assert_eq!(other.ask("PING").text(), BUSY);
    // Whoever comes is served as well.
    assert_eq!(server.connect().ask("PING").text(), BUSY);
    assert!(other.ask("FUNCTION KILL").text().starts_with("BUSY "));
    assert_eq!(other.ask("SCRIPT KILL").text(), "OK");
    let answer = client.read().text();
    assert!(answer.contains("Script killed by user with SCRIPT KILL..."), "{answer}");
    assert_eq!(other.ask("PING").text(), "PONG");
    assert_eq!(client.ask("PING").text(), "PONG");
    assert_eq!(other.ask("SCRIPT KILL").text(), "NOTBUSY No scripts in execution right now.");
    assert_eq!(client.ask_words(&["EVAL", "return 7", "0"]), Raw::Integer(7));
}

#[test]
fn whatever_a_script_does_it_can_be_ended() {
    for script in [
        "while true do end",
        "while true do pcall(function() while true do end end) end",
        "while true do xpcall(function() while true do end end, function() while true do end end) \
         end",
        "local co = coroutine.create(function() while true do end end) coroutine.resume(co) while \
         true do end",
        "local f f = function() return f() end f()",
        // A pattern that would take longer than anybody lives.
        "return string.find(string.rep('a', 60), string.rep('a?', 60) .. string.rep('a', 60))",
        "while true do redis.call('PING') end",
        "while true do local t = {} for i = 1, 100 do t[i] = tostring(i) end table.concat(t) end",
    ] {
        check_kill(1, script);
    }
}

#[test]
fn who_waits_already_when_a_script_turns_out_to_be_slow_is_told_so() {
    // On another thread, whose commands wait for the database from the first moment on.
    for _ in 0..5 {
        check_kill(2, "while true do end");
    }
    let server = server(2);
    let mut clients: Vec<_> = (0..8).map(|_| server.connect()).collect();
    let mut other = server.connect();
    for request in ["GET k", "MSET a 1 b 2", "EVAL \"return 1\" 0", "BLPOP l 0", "FLUSHALL"] {
        other.send_words(&["EVAL", "while true do end", "0"]);
        until_busy(&mut clients[0]);
        for client in &mut clients {
            assert_eq!(client.ask(request).text(), BUSY, "{request}");
        }
        assert_eq!(clients[0].ask("SCRIPT KILL").text(), "OK");
        other.read();
    }
    // A transaction is not left half-way: it runs as a whole, or is discarded.
    for client in &mut clients {
        client.ask("MULTI");
        client.ask("INCR n");
        client.ask("COPY n m DB 1");
    }
    other.send_words(&["EVAL", "while true do end", "0"]);
    clients.iter_mut().for_each(|client| client.send("EXEC"));
    while server.connect().ask("SCRIPT KILL").text() != "OK" {}
    other.read();
    let ran = clients.iter_mut().map(Connection::read).filter(|answer| match answer {
        Raw::Error(line) => {
            assert_eq!(*line, format!("EXECABORT Transaction discarded because of: {BUSY}"));
            false
        }
        _ => true,
    });
    let ran = ran.count();
    assert_eq!(other.ask("GET n").text(), if ran == 0 { String::new() } else { ran.to_string() });
}

#[test]
fn what_has_written_goes_on() {
    let server = server(1);
    let (mut client, mut other) = (server.connect(), server.connect());
    let script = "redis.call('SET', 'x', 1) for i = 1, 100000000 do end return 'done'";
    client.send_words(&["EVAL", script, "0"]);
    let mut answers = Vec::new();
    loop {
        match other.ask("SCRIPT KILL").text() {
            line if line.starts_with("NOTBUSY") && !answers.is_empty() => break,
            line if line.starts_with("NOTBUSY") => {}
            line => answers.push(line),
        }
    }
    assert!(answers.iter().all(|line| line.starts_with("UNKILLABLE Sorry")), "{answers:?}");
    assert_eq!(client.read(), Raw::bulk("done"));
    assert_eq!(other.ask("GET x"), Raw::bulk("1"));
}

#[test]
fn a_function_is_ended_by_its_own_command() {
    let server = server(1);
    let (mut client, mut other) = (server.connect(), server.connect());
    let code = "#!lua name=l\nredis.register_function('f', function() while true do end end)";
    client.ask_words(&["FUNCTION", "LOAD", code]);
    client.send("FCALL f 0");
    until_busy(&mut other);
    let line = other.ask("PING").text();
    assert!(line.ends_with("You can only call FUNCTION KILL or SHUTDOWN NOSAVE."), "{line}");
    assert!(other.ask("SCRIPT KILL").text().starts_with("BUSY "));
    assert_eq!(other.ask("FUNCTION KILL").text(), "OK");
    assert!(client.read().text().starts_with("ERR Script killed"));
}

#[test]
fn who_was_just_answered_by_another_thread_is_served_as_well() {
    let server = server(1);
    let (mut client, mut other) = (server.connect(), server.connect());
    let code = "#!lua name=l\nredis.register_function('f', function() while true do end end)";
    for _ in 0..30 {
        // That is done on a thread of its own.
        assert_eq!(other.ask_words(&["FUNCTION", "LOAD", "REPLACE", code]), Raw::bulk("l"));
        client.send("FCALL f 0");
        while other.ask("FUNCTION KILL").text() != "OK" {}
        assert!(client.read().text().starts_with("ERR Script killed"));
    }
}

#[test]
fn a_transaction_is_refused_meanwhile() {
    let server = server(1);
    let (mut client, mut other) = (server.connect(), server.connect());
    other.ask("MULTI");
    client.send_words(&["EVAL", "while true do end", "0"]);
    loop {
        match other.ask("SET a 1") {
            Raw::Error(line) => break assert_eq!(line, BUSY),
            other => assert_eq!(other.text(), "QUEUED"),
        }
    }
    assert_eq!(other.ask("SCRIPT KILL").text(), "QUEUED");
    assert_eq!(server.connect().ask("SCRIPT KILL").text(), "OK");
    client.read();
    assert!(other.ask("EXEC").text().starts_with("EXECABORT"));
}
