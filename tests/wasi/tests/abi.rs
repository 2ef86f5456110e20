//! What the C ABI promises a host, and what it refuses: never a wrong answer.

use ferrite_tests::subject::START_MS;
use ferrite_wasi_tests::{BUFFER_BYTES, FULL, Host, LITE, encode};

const MISSING: i32 = -1;
const FAILED: i32 = -2;
const BAD_POINTER: i32 = -3;
const BAD_REQUEST: i32 = -4;
const NOT_OPEN: i32 = -5;
const REPLY_TOO_LARGE: i32 = -6;

fn set(host: &mut Host, key: &[u8], value: &[u8], now_ms: i64, ttl_ms: i64) -> i32 {
    let (key_at, value_at) = (host.buffer, host.buffer + 100);
    host.write(key_at, key);
    host.write(value_at, value);
    let (key_len, value_len) = (key.len() as u32, value.len() as u32);
    host.call("ferrite_set", (now_ms, key_at, key_len, value_at, value_len, ttl_ms))
}

fn get(host: &mut Host, key: &[u8], now_ms: i64) -> i32 {
    host.write(host.buffer, key);
    host.call("ferrite_get", (now_ms, host.buffer, key.len() as u32))
}

#[test]
fn neither_file_asks_anything_of_its_host() {
    for file in [FULL, LITE] {
        let mut host = Host::new(file);
        assert_eq!(host.imports(), Vec::<String>::new());
        assert_eq!(host.call::<i32>("ferrite_abi_version", ()), 1);
    }
}

#[test]
fn values_come_back_whole_until_they_expire() {
    for file in [FULL, LITE] {
        let mut host = Host::new(file);
        let large: Vec<u8> = (0..200_000_u32).map(|byte| (byte * 7) as u8).collect();
        for value in [&b""[..], b"a\0b\r\n\xff", &large] {
            assert_eq!(set(&mut host, b"k", value, 1000, 50), 0);
            assert_eq!(get(&mut host, b"k", 1050), value.len() as i32);
            assert!(host.result() == value, "{} bytes", value.len());
            assert_eq!(get(&mut host, b"k", 1051), MISSING);
        }
        assert_eq!(set(&mut host, b"k", b"v", 1000, 0), 0);
        assert_eq!(get(&mut host, b"k", i64::MAX), 1);
        assert_eq!(set(&mut host, b"k", b"v", 1000, -1), FAILED);
        assert_eq!(host.result(), b"-ERR invalid expire time in 'set' command\r\n");
        assert_eq!(get(&mut host, b"k", 1000), 1, "what was refused changed nothing");
    }
}

#[test]
fn a_failure_is_told_in_the_words_of_redis() {
    let mut host = Host::new(FULL);
    host.request(&[b"RPUSH", b"list", b"a"]);
    assert_eq!(get(&mut host, b"list", START_MS), FAILED);
    let line = b"-WRONGTYPE Operation against a key holding the wrong kind of value\r\n";
    assert_eq!(host.result(), line);
    assert_eq!(host.request(&[b"GET", b"list"]), line);
    assert_eq!(
        host.request(&[b"NO\r\nSUCH"]),
        b"-ERR unknown command 'NO  SUCH', with args \
        beginning with: \r\n"
    );
}

#[test]
fn options_that_cannot_be_are_refused() {
    let mut host = Host::closed(FULL, usize::MAX, BUFFER_BYTES);
    assert_eq!(get(&mut host, b"k", START_MS), NOT_OPEN);
    assert_eq!(set(&mut host, b"k", b"v", START_MS, 0), NOT_OPEN);
    assert_eq!(host.try_request(&[b"PING"]).expect("no trap"), NOT_OPEN);
    assert_eq!(host.call::<i32>("ferrite_tick", (START_MS, 1_u32)), NOT_OPEN);
    assert_eq!(host.call::<i32>("ferrite_stats", ()), NOT_OPEN);
    for (bytes, policy) in [
        (0, "noeviction"),
        ((1 << 20) - 1, "noeviction"),
        ((2 << 30) + 1, "noeviction"),
        (u64::MAX, "noeviction"),
        (64 << 20, ""),
        (64 << 20, "lru"),
    ] {
        assert_eq!(host.open(bytes, policy), FAILED, "{bytes} {policy}");
        assert!(host.result().starts_with(b"-ERR argument"), "{bytes} {policy}");
        assert_eq!(get(&mut host, b"k", START_MS), NOT_OPEN);
    }
    assert_eq!(host.open(64 << 20, "allkeys-lru"), 0);
    assert_eq!(get(&mut host, b"k", START_MS), MISSING);
}

/// Pointers and lengths that do not lie in a buffer: beyond the memory, over its end, over the end
/// of the addresses, and in memory that is not the host's.
#[test]
fn made_up_pointers_are_refused() {
    let mut host = Host::new(FULL);
    assert_eq!(set(&mut host, b"k", b"v", START_MS, 0), 0);
    let (buffer, end) = (host.buffer, host.memory_bytes() as u32);
    let buffer_end = buffer + BUFFER_BYTES as u32;
    for (pointer, len) in [
        (0, 1),
        (8, 100),
        (buffer - 1, 1),
        (buffer - 1, 2),
        (buffer_end, 1),
        (buffer_end - 1, 2),
        (buffer, BUFFER_BYTES as u32 + 1),
        (buffer, u32::MAX),
        (buffer + 1, u32::MAX),
        (end - 1, 2),
        (end, 1),
        (u32::MAX, 1),
        (u32::MAX, u32::MAX),
    ] {
        let at = format!("{pointer} {len}");
        let now = START_MS;
        assert_eq!(host.call::<i32>("ferrite_get", (now, pointer, len)), BAD_POINTER, "{at}");
        assert_eq!(host.call::<i32>("ferrite_call", (now, pointer, len)), BAD_POINTER, "{at}");
        let parameters = (now, pointer, len, buffer, 1_u32, 0_i64);
        assert_eq!(host.call::<i32>("ferrite_set", parameters), BAD_POINTER, "{at}");
        let parameters = (now, buffer, 1_u32, pointer, len, 0_i64);
        assert_eq!(host.call::<i32>("ferrite_set", parameters), BAD_POINTER, "{at}");
        assert_eq!(host.call::<u32>("ferrite_result_len", ()), 0, "{at}");
        if pointer != buffer {
            assert_eq!(host.call::<i32>("ferrite_free", pointer), 0, "{at}");
        }
    }
    assert_eq!(get(&mut host, b"k", START_MS), 1, "and nothing was changed");
    let parameters = (64_u64 << 20, end, 10_u32, 0_u64);
    assert_eq!(host.call::<i32>("ferrite_open", parameters), BAD_POINTER);
    assert_eq!(get(&mut host, b"k", START_MS), 1, "not even by open");
}

#[test]
fn what_was_given_back_is_nobodys() {
    let mut host = Host::new(LITE);
    let other: u32 = host.call("ferrite_alloc", 16_u32);
    host.write(other, b"k");
    assert_eq!(host.call::<i32>("ferrite_get", (START_MS, other, 1_u32)), MISSING);
    assert_eq!(host.call::<i32>("ferrite_free", other), 1);
    assert_eq!(host.call::<i32>("ferrite_free", other), 0);
    assert_eq!(host.call::<i32>("ferrite_get", (START_MS, other, 1_u32)), BAD_POINTER);
    for refused in [0, u32::MAX, (512 << 20) + (64 << 10) + 1] {
        assert_eq!(host.call::<u32>("ferrite_alloc", refused), 0);
    }
    let held = (0..100).filter(|_| host.call::<u32>("ferrite_alloc", 1_u32) != 0).count();
    assert_eq!(held, 15, "sixteen buffers, of which the host has one");
}

#[test]
fn requests_that_are_none_are_refused() {
    let mut host = Host::new(LITE);
    let whole = encode(&[b"SET", b"k", b"v"]);
    let mut wrong: Vec<Vec<u8>> = (0..whole.len()).map(|len| whole[..len].to_vec()).collect();
    wrong.push([&whole[..], b" "].concat());
    wrong.push([&whole[..], &whole[..]].concat());
    wrong.push(b"SET k v\r\n".to_vec());
    wrong.push(b"*3\r\n$3\r\nSET\r\n$4294967295\r\nk\r\n$1\r\nv\r\n".to_vec());
    wrong.push(b"*4294967295\r\n$3\r\nSET\r\n".to_vec());
    for request in wrong {
        host.write(host.buffer, &request);
        let parameters = (START_MS, host.buffer, request.len() as u32);
        let given = host.call::<i32>("ferrite_call", parameters);
        assert_eq!(given, BAD_REQUEST, "{}", String::from_utf8_lossy(&request));
    }
    assert_eq!(host.request(&[b"DBSIZE"]), b":0\r\n");
}

#[test]
fn the_budget_holds_and_figures_tell_it() {
    let mut host = Host::closed(LITE, usize::MAX, 1 << 20);
    assert_eq!(host.open(8 << 20, "allkeys-lru"), 0);
    for number in 0..30_000_u32 {
        assert_eq!(set(&mut host, &number.to_le_bytes(), &[7; 1000], START_MS, 0), 0);
    }
    let linear = host.memory_bytes();
    assert!(linear < (8 << 20) + (2 << 20), "{linear} bytes of linear memory for 8 MiB");
    let len: i32 = host.call("ferrite_stats", ());
    let figures = String::from_utf8(host.result()).expect("text");
    assert_eq!(len as usize, figures.len());
    assert!(figures.contains("$9\r\nmaxmemory\r\n:8388608\r\n"), "{figures}");
    assert!(!figures.contains("$12\r\nevicted_keys\r\n:0\r\n"), "{figures}");
    assert_eq!(host.call::<i32>("ferrite_tick", (START_MS, 1000_u32)), 0);
}

/// A host that gives less memory than the budget asks for: writes are refused, as for the budget,
/// and what was stored stays.
#[test]
fn a_host_without_memory_is_a_refusal() {
    let mut host = Host::closed(FULL, 4 << 20, 1 << 20);
    assert_eq!(host.open(64 << 20, "noeviction"), 0);
    let value = [7; 10_000];
    let refusal = b"-OOM command not allowed when used memory > 'maxmemory'.\r\n";
    let stored = (0..10_000_u32)
        .take_while(|number| match host.request(&[b"SET", &number.to_le_bytes(), &value]) {
            reply if reply == b"+OK\r\n" => true,
            reply => {
                assert_eq!(reply, refusal, "{}", String::from_utf8_lossy(&reply));
                false
            }
        })
        .count() as u32;
    assert!((100..400).contains(&stored), "{stored} values of 10 kB in 4 MiB");
    for number in 0..stored {
        assert_eq!(get(&mut host, &number.to_le_bytes(), START_MS), 10_000);
        assert!(host.result() == value);
    }
    assert_eq!(host.call::<u32>("ferrite_alloc", 4_u32 << 20), 0, "nor is there a buffer");
    assert_eq!(host.memory_bytes(), 4 << 20);
}

/// A reply that finds no memory, though what it tells was done.
#[test]
fn a_reply_without_memory_is_no_reply() {
    let mut host = Host::closed(FULL, 24 << 20, 8 << 20);
    assert_eq!(host.open(8 << 20, "noeviction"), 0);
    let value = vec![b'x'; 4 << 20];
    assert_eq!(host.request(&[b"SET", b"k", &value]), b"+OK\r\n");
    let read: Vec<&[u8]> = [&b"MGET"[..]].into_iter().chain([&b"k"[..]; 10]).collect();
    assert_eq!(host.try_request(&read).expect("no trap"), REPLY_TOO_LARGE);
    assert_eq!(host.result(), b"");
    assert_eq!(host.request(&[b"STRLEN", b"k"]), b":4194304\r\n");
}
