//! The effects of a random workload, replayed on an empty engine, give the same keyspace: keys,
//! values, deadlines. Expiry and eviction are effects too.
//! A replay happens at time zero, as a log is read: effects carry absolute times, and none of
//! them may be judged by a clock that runs ahead of the one that it was made under.

use ferrite_engine::{Options, Policy};
use ferrite_tests::answer::request_text;
use ferrite_tests::engine::{Engine, Words};
use ferrite_tests::op::{Op, Shape};
use ferrite_tests::random::Random;
use ferrite_tests::subject::{START_MS, Subject};

#[test]
fn replayed_effects_give_the_same_keyspace() {
    let shape = Shape { keys: 500, value_bytes: &[3, 100, 1_000, 12_000] };
    for (seed, (_, policy)) in (0..).zip(Policy::ALL) {
        let (mut original, effects, now_ms) = run(policy, seed, &shape);
        let options = Options { max_memory_bytes: 64 << 20, seed: 77, ..Options::default() };
        let mut replica = Engine::new(&options);
        replica.set_clock(0);
        for effect in &effects {
            let answer = replica.ask(effect).to_string();
            assert!(!answer.starts_with('-'), "{}: {answer}", request_text(effect));
        }
        replica.set_clock(now_ms);
        let (expected, given) = (original.contents(), replica.contents());
        assert!(expected.len() > 50, "a workload that leaves nothing behind shows nothing");
        assert!(expected == given, "seed {seed}, {policy:?}: the replica differs");
        replica.keys.validate().expect("a sound replica");
    }
}

/// The index takes its pages from the records, and may evict the very key that made it grow: that
/// key's own effect must be told before its DEL.
#[test]
fn a_key_evicted_by_its_own_insertion_is_gone_from_the_replica() {
    for seed in 0..12 {
        let policy = Policy::AllKeysRandom;
        let options = Options { max_memory_bytes: 1 << 20, policy, seed, ..Options::default() };
        let mut original = Engine::new(&options);
        let options = Options { max_memory_bytes: 64 << 20, ..Options::default() };
        let mut replica = Engine::new(&options);
        replica.set_clock(0);
        for number in 0..30_000 {
            let key = format!("{seed}:{number}").into_bytes();
            original.ask(&match number % 3 {
                _ if number < 5_000 => vec![b"SET".to_vec(), key, vec![b'x'; 200]],
                0 => vec![b"INCR".to_vec(), key],
                1 => vec![b"APPEND".to_vec(), key, b"text".to_vec()],
                _ => vec![b"MSET".to_vec(), key, b"text".to_vec()],
            });
            for effect in original.take_effects() {
                replica.ask(&effect);
            }
        }
        assert!(original.contents() == replica.contents(), "seed {seed}: the replica differs");
    }
}

#[test]
fn reads_and_refusals_have_no_effect() {
    let mut engine = Engine::new(&Options::default());
    let ask = |engine: &mut Engine, request: &str| {
        let words: Words = request.split(' ').map(Into::into).collect();
        engine.ask(&words);
        engine.take_effects().len()
    };
    assert_eq!(ask(&mut engine, "RPUSH list x"), 1);
    assert_eq!(ask(&mut engine, "SET key value PX 100"), 1);
    for quiet in [
        "GET key",
        "MGET key none",
        "EXISTS key",
        "TTL key",
        "PTTL key",
        "TYPE key",
        "STRLEN key",
        "KEYS *",
        "SCAN 0",
        "DBSIZE",
        "PING",
        "SET key other NX",
        "SET none value XX",
        "INCR key",
        "DEL none",
        "EXPIRE none 10",
        "EXPIRE key 10 NX",
        "PERSIST none",
        "GETEX key",
        "GETEX none EX 10",
        "GETEX key EX 0",
        "GETDEL none",
        "GETRANGE key 0 1",
        "SETRANGE key 3 ",
        "SETRANGE key 536870912 x",
        "SETNX key other",
        "MSETNX none a key b",
        "SETEX key 0 other",
        "INCRBYFLOAT key 1",
        "LCS key none",
        "SETBIT key 0 0",
        "SETBIT key 1 1",
        "GETBIT key 7",
        "BITCOUNT key",
        "BITPOS key 1",
        "BITFIELD key GET u8 0 SET u8 0 118 OVERFLOW FAIL INCRBY u8 0 200",
        "BITOP AND none nothing",
        "BITOP AND none key list",
        "PFADD key a",
        "PFCOUNT none",
        "PFMERGE none key",
        "GEOADD none 200 0 x",
        "GEOADD none XX 0 0 x",
        "GEOSEARCH none FROMLONLAT 0 0 BYRADIUS 1 m",
        "TOUCH key none",
        "UNLINK none",
        "PEXPIRETIME key",
        "RANDOMKEY",
        "NOSUCH",
        "SET key",
    ] {
        assert_eq!(ask(&mut engine, quiet), 0, "{quiet}");
    }
    engine.set_clock(START_MS + 101);
    assert_eq!(ask(&mut engine, "GET key"), 1, "noticing that a key expired is an effect");
}

#[test]
fn effects_are_absolute() {
    let mut engine = Engine::new(&Options::default());
    for (request, effect) in [
        ("SETEX key 10 value", "SET key value PXAT 1700000010000"),
        ("GETEX key PX 500", "PEXPIREAT key 1700000000500"),
        ("GETEX key PERSIST", "PERSIST key"),
        ("GETEX key PXAT 1", "DEL key"),
        ("SETNX key 1.5", "SET key 1.5"),
        ("GETSET key 2.50", "SET key 2.50"),
        ("INCRBYFLOAT key 1e-1", "SET key 2.6"),
        ("SETRANGE key 1 x", "SETRANGE key 1 x"),
        ("GETDEL key", "DEL key"),
        ("MSETNX key a other b", "MSET key a other b"),
        ("UNLINK key", "DEL key"),
        ("SETBIT bits 17 1", "SETRANGE bits 2 @"),
        ("BITFIELD new INCRBY u8 0 66", "SETRANGE new 0 B"),
        ("BITFIELD new OVERFLOW FAIL SET u4 8 99", "SETRANGE new 1 \0"),
        ("BITFIELD bits SET u8 0 65 OVERFLOW FAIL INCRBY u2 0 3", "SETRANGE bits 0 A"),
        ("BITOP OR copy bits none", "SET copy A\0@"),
        ("BITOP OR copy none", "DEL copy"),
        ("PFADD counted a b", "PFADD counted a b"),
        ("PFCOUNT counted", "SETRANGE counted 8 \u{2}\0\0\0\0\0\0\0"),
        ("GEOADD places 13.361389 38.115556 x", "ZADD places 3479099956230698 x"),
    ] {
        let words: Words = request.split(' ').map(Into::into).collect();
        engine.ask(&words);
        let effects = engine.take_effects();
        let expected: Words = effect.split(' ').map(Into::into).collect();
        assert_eq!(effects, [expected], "{request}");
    }
}

fn run(policy: Policy, seed: u64, shape: &Shape) -> (Engine, Vec<Words>, i64) {
    let options = Options { max_memory_bytes: 1 << 20, policy, seed, ..Options::default() };
    let (mut engine, mut random) = (Engine::new(&options), Random::new(seed));
    let (mut effects, mut now_ms) = (Vec::new(), START_MS);
    for _ in 0..6_000 {
        if random.one_in(10) {
            now_ms += random.pick(&[1, 10, 500]);
            engine.set_clock(now_ms);
        }
        if random.one_in(30) {
            engine.tick(8);
        }
        engine.ask(&Op::random(&mut random, shape, now_ms).words());
        effects.append(&mut engine.take_effects());
    }
    (engine, effects, now_ms)
}
