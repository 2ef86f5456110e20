//! What scripts try that must not work: to leave the sandbox, to change it, to crash the server, to
//! fill its memory.

use crate::common::{Connection, Raw, TestServer};

fn check(client: &mut Connection, script: &str, expected: &str) {
    let answer = client.ask_words(&["EVAL", script, "0"]);
    let line = match &answer {
        Raw::Error(line) => line.clone(),
        other => panic!("{script}: {other:?}"),
    };
    assert!(line.contains(expected), "{script}: {line}");
    assert_eq!(client.ask("PING").text(), "PONG", "{script}");
}

#[test]
fn nothing_of_the_sandbox_can_be_changed() {
    let server = TestServer::plain();
    let mut client = server.connect();
    let read_only = "Attempt to modify a readonly table";
    for script in [
        "redis = 1",
        "_G.x = 1",
        "_G = {}",
        "string.upper = nil",
        "redis.call = nil",
        "cjson.encode = nil",
        "math.random = nil",
        "rawset(_G, 'x', 1)",
        "rawset(string, 'upper', 1)",
        "setmetatable(_G, {})",
        "setmetatable(string, {})",
        "getmetatable(_G).__index = {}",
        // The metatable of all strings (CVE-2025-46818).
        "getmetatable('').__index = {}",
        "getmetatable('').__add = function() end",
        "getmetatable('').__index.upper = nil",
        "for name in pairs(string) do string[name] = nil end",
    ] {
        check(&mut client, script, read_only);
    }
    for name in [
        "io", "debug", "package", "require", "dofile", "loadfile", "print", "newproxy", "getfenv",
        "setfenv", "module", "KEY",
    ] {
        let expected = format!("nonexistent global variable '{name}'");
        check(&mut client, &format!("return {name}"), &expected);
    }
    // Those of numbers, nil, booleans and functions cannot be set at all.
    for value in ["1", "nil", "true", "redis.call"] {
        check(&mut client, &format!("setmetatable({value}, {{}})"), "table expected");
    }
    // A walk gives no table that can be changed.
    let script = "for name, value in pairs(_G) do if type(value) == 'table' and name ~= 'KEYS' and \
                  name ~= 'ARGV' and name ~= '_G' then if pcall(function() value.x = 1 end) then \
                  return name end end end return 'none'";
    assert_eq!(client.ask_words(&["EVAL", script, "0"]), Raw::bulk("none"));
    let script = "local _, t = pairs(string) t.x = 1";
    check(&mut client, script, read_only);
    assert_eq!(client.ask_words(&["EVAL", "return ('a'):upper()", "0"]), Raw::bulk("A"));
}

#[test]
fn settings_of_libraries_end_with_the_script() {
    let server = TestServer::plain();
    let mut client = server.connect();
    let script = "cjson.encode_max_depth(1) cjson.encode_sparse_array(true)";
    client.ask_words(&["EVAL", script, "0"]);
    let script = "return cjson.encode({{{1}}})";
    assert_eq!(client.ask_words(&["EVAL", script, "0"]), Raw::bulk("[[[1]]]"));
}

#[test]
fn code_is_text() {
    let server = TestServer::plain();
    let mut client = server.connect();
    let script = "return {loadstring(string.dump(function() return 1 end))}";
    assert_eq!(client.ask_words(&["EVAL", script, "0"]), Raw::Array(Vec::new()));
    let script = "local done = false return {load(function() if done then return nil end done = \
                  true return string.dump(function() end) end)}";
    assert_eq!(client.ask_words(&["EVAL", script, "0"]), Raw::Array(Vec::new()));
    check(&mut client, "\x1bLua", "binary chunk");
    // The collector rests while a text is parsed, also one that is made of pieces by a function
    // that has it collect (CVE-2025-49844).
    let script = "local n = 0 for i = 1, 200 do n = 0 local f = load(function() n = n + 1 \
                  collectgarbage('collect') if n < 50 then return 'local a' .. n .. ' = \"' .. \
                  string.rep('x', n) .. i .. '\" ' end if n == 50 then return 'return 1' end end, \
                  string.rep('name', 50) .. i) if f() ~= 1 then return i end end return 'sound'";
    assert_eq!(client.ask_words(&["EVAL", script, "0"]), Raw::bulk("sound"));
    // Long strings with many equal signs (CVE-2025-46819).
    let script = format!("return [{}[x", "=".repeat(100_000));
    check(&mut client, &script, "Error compiling script");
    check(&mut client, &format!("return {}", "(".repeat(100_000)), "Error compiling script");
    check(&mut client, &"return {".repeat(100_000), "Error compiling script");
}

#[test]
fn numbers_that_overflow_are_refused() {
    let server = TestServer::plain();
    let mut client = server.connect();
    // CVE-2025-46817.
    for range in ["0, 2147483647", "-2147483648, 2147483647", "1, 2147483647", "-1e15, 1e15"] {
        check(&mut client, &format!("return unpack({{}}, {range})"), "too many results to unpack");
    }
    // CVE-2024-31449.
    for count in ["-2147483648", "2147483647", "0", "1e300", "0/0"] {
        let script = format!("return #bit.tohex(65535, {count}) <= 8");
        assert_eq!(client.ask_words(&["EVAL", &script, "0"]), Raw::Integer(1), "{count}");
    }
}

#[test]
fn what_is_too_large_is_an_error() {
    let server = TestServer::plain();
    let mut client = server.connect();
    check(&mut client, "return string.rep('x', 1e10)", "not enough memory");
    let script = "local t = {} for i = 1, 1e9 do t[i] = string.rep('x', 1e6) .. i end";
    check(&mut client, script, "not enough memory");
    check(&mut client, "local function f() return 1 + f() end return f()", "stack overflow");
    let script = "local t = {} for i = 1, 1e5 do t = {t} end return cjson.encode(t)";
    check(&mut client, script, "Cannot serialise, excessive depth");
    let script = "return cjson.decode(string.rep('[', 1e5))";
    check(&mut client, script, "Found too many nested data structures");
    let script = "return cmsgpack.unpack(string.rep('\\145', 1e5))";
    check(&mut client, script, "stack overflow");
    let script = "return string.find(string.rep('a', 1e5), string.rep('a?', 1e5))";
    check(&mut client, script, "pattern too complex");
    // More texts at a time than can be held.
    let script = "local t = {} for i = 1, 7990 do t[i] = 'x' .. i end \
                  return redis.call('SADD', 's', unpack(t))";
    client.ask_words(&["EVAL", script, "0"]);
    assert_eq!(client.ask_words(&["EVAL", "return 1", "0"]), Raw::Integer(1));
    let script = "local t = {} for i = 1, 7000 do t[i] = 'x' .. i end \
                  return redis.call('SADD', 's2', unpack(t))";
    assert_eq!(client.ask_words(&["EVAL", script, "0"]), Raw::Integer(7000));
    // A table that holds itself ends in an error in its place.
    client.send_words(&["EVAL", "local a = {} a[1] = a return a", "0"]);
    let mut answer = client.read();
    while let Raw::Array(items) = answer {
        answer = items.into_iter().next().expect("an element");
    }
    assert_eq!(answer.text(), "ERR reached lua stack limit");
}

#[test]
fn what_may_change_nothing_changes_nothing() {
    let server = TestServer::plain();
    let mut client = server.connect();
    let script = "return redis.call('SET', 'k', 1)";
    let answer = client.ask_words(&["EVAL_RO", script, "0"]);
    assert!(answer.text().starts_with("ERR Write commands are not allowed"), "{answer:?}");
    let script = "#!lua flags=no-writes\nreturn redis.call('DEL', 'k')";
    let answer = client.ask_words(&["EVAL", script, "0"]);
    assert!(answer.text().starts_with("ERR Write commands are not allowed"), "{answer:?}");
    check(&mut client, "return redis.set_repl(redis.REPL_NONE)", "is not supported");
    for name in ["EVAL", "MULTI", "SUBSCRIBE", "AUTH", "SCRIPT", "FUNCTION", "CLIENT", "MONITOR"] {
        let answer = client.ask_words(&["EVAL", "return redis.call(ARGV[1], 'x', 0)", "0", name]);
        assert!(matches!(answer, Raw::Error(_)), "{name}: {answer:?}");
    }
}
