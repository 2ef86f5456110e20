//! Eviction: who goes and who stays, and how the policies fare on traces that a seed makes.
//! And what `scripts/bench hitratio` stands on: the readers of traces, exact LRU, OPT.
//! Not here: that nothing is evicted that must not be, and memory (model.rs, memory.rs).

use std::fmt::Write as _;

use ferrite_engine::{Keyspace, Options, Policy, SetOptions};
use ferrite_tests::answer::Answer;
use ferrite_tests::engine::Engine;
use ferrite_tests::random::Random;
use ferrite_tests::simulation::{self, Ratios};
use ferrite_tests::subject::{START_MS, Subject};
use ferrite_tests::trace::{Format, Request, Trace};

const REQUESTS: usize = 120_000;

fn requests(format: Format, bytes: &[u8]) -> Result<Vec<Request>, String> {
    let mut requests = Vec::new();
    format.read(bytes, &mut |request| {
        requests.push(request);
        Ok(())
    })?;
    Ok(requests)
}

fn record(key: u64, size: u32, next: i64) -> Vec<u8> {
    [&7u32.to_le_bytes()[..], &key.to_le_bytes(), &size.to_le_bytes(), &next.to_le_bytes()].concat()
}

#[test]
fn csv_is_read_with_a_header_or_without() {
    let plain = requests(Format::Csv, b"1,a,10\n2.5,b,20\n\n3,a,10").expect("a trace");
    assert_eq!(plain.iter().map(|request| request.size).collect::<Vec<_>>(), [10, 20, 10]);
    assert!(plain[0].key == plain[2].key && plain[0].key != plain[1].key);
    let headed = requests(Format::Csv, b"time,key,size\r\n1, a ,10\r\n2,b,20\r\n3,a,10\r\n");
    assert_eq!(headed, Ok(plain));
}

#[test]
fn a_bad_line_is_named() {
    let long = [b"1,".as_slice(), &[b'k'; 70_000], b",1\n"].concat();
    for (bytes, expected) in [
        (&b"1,a,1\n1,a\n"[..], "line 2: not of the form time,key,size"),
        (b"time,key,size\n1,a,1,9\n", "line 2: not of the form time,key,size"),
        (b"1,a,1\ntime,key,size\n", "line 2: the time is not a number"),
        (b"1,a,-1\n", "line 1: the size is not a whole number of bytes"),
        (b"1,a,1.5\n", "line 1: the size is not a whole number of bytes"),
        (b"1,a,99999999999999999999\n", "line 1: the size is not a whole number of bytes"),
        (b"x,a,1\n", "line 1: the time is not a number"),
        (b"inf,a,1\n", "line 1: the time is not a number"),
        (b"1,,1\n", "line 1: the key is empty"),
        (b"1,a,\xff\n", "line 1: the size is not a whole number of bytes"),
        (&long, "line 1: longer than 64 KiB"),
        (b"\x28\xb5\x2f\xfd....", "the file is packed by zstd: unpack it first"),
    ] {
        assert_eq!(requests(Format::Csv, bytes), Err(expected.into()));
    }
}

#[test]
fn oracle_general_is_read_record_by_record() {
    let bytes = [record(1 << 40, 10, 3), record(5, u32::MAX, -1)].concat();
    let expected =
        [Request { key: 1 << 40, size: 10 }, Request { key: 5, size: u32::MAX.into() }].to_vec();
    assert_eq!(requests(Format::OracleGeneral, &bytes), Ok(expected));
    let cut = requests(Format::OracleGeneral, &bytes[..30]);
    assert_eq!(cut, Err("record 2: cut short, 6 of 24 bytes".into()));
    let negative = requests(Format::OracleGeneral, &record(1, 1, -2));
    assert_eq!(negative, Err("record 1: -2 is no position of a next request".into()));
    let text = b"time,key,size\n1,a,10\n2,b,20\n3,a,10\n";
    let error = requests(Format::OracleGeneral, text).expect_err("text, not records");
    assert!(error.starts_with("record 1: "), "{error}");
}

#[test]
fn a_trace_without_requests_or_file_is_an_error() {
    let empty = Trace::read(&b"time,key,size\n"[..], Format::Csv).err();
    assert_eq!(empty, Some("no requests".into()));
    let missing = Trace::open("no/such/file.csv".as_ref(), Format::Csv).err();
    assert!(missing.is_some_and(|error| error.starts_with("no/such/file.csv: ")));
}

#[test]
fn next_uses_are_found_across_chunks() {
    // Two keys far apart: more requests lie between them than are turned round at once.
    let mut text = String::from("0,first,1\n");
    for number in 0..150_000 {
        writeln!(text, "0,{},1", number % 70_000).expect("a string takes everything");
    }
    text.push_str("0,first,1\n");
    let trace = Trace::read(text.as_bytes(), Format::Csv).expect("a trace");
    let mut seen = Vec::new();
    trace.play(|object, next_use| seen.push((object, next_use))).expect("a readable file");
    for (position, &(object, next_use)) in seen.iter().enumerate() {
        let later = seen.iter().enumerate().skip(position + 1).take(70_001);
        let next = match position {
            0 => Some(150_001),
            _ => later.clone().find(|(_, other)| other.0 == object).map(|(at, _)| at as u64),
        };
        // Looking for all would take a while; one in a thousand, and both ends, will do.
        if position % 1_000 == 0 || position > 149_990 {
            assert_eq!(next.unwrap_or(u64::MAX), next_use, "position {position}");
        }
    }
}

fn trace_of(requests: impl IntoIterator<Item = (u64, u32)>) -> Trace {
    let bytes: Vec<u8> =
        requests.into_iter().flat_map(|(key, size)| record(key, size, -1)).collect();
    Trace::read(&bytes[..], Format::OracleGeneral).expect("a trace")
}

#[test]
fn lru_and_opt_are_exact() {
    let hits = |keys: &[(u64, u32)], capacity: u64| {
        let trace = trace_of(keys.iter().copied());
        let count = |ratios: Ratios| (ratios.object * keys.len() as f64).round() as usize;
        let [lru, opt] = [simulation::lru, simulation::opt]
            .map(|cache| count(cache(&trace, capacity).expect("ratios")));
        (lru, opt)
    };
    let unit = |keys: &[u64]| keys.iter().map(|&key| (key, 1)).collect::<Vec<_>>();
    assert_eq!(hits(&unit(&[1, 2, 3, 1, 2, 3, 1, 2, 3]), 2), (0, 4));
    assert_eq!(hits(&unit(&[1, 2, 1, 3, 1, 2]), 2), (2, 3));
    assert_eq!(hits(&unit(&[1, 1, 1, 1]), 1), (3, 3));
    // The large one drives LRU's others out; too large a one never enters.
    assert_eq!(hits(&[(1, 2), (2, 2), (9, 4), (1, 2), (2, 2)], 4), (0, 2));
    assert_eq!(hits(&[(1, 2), (9, 5), (9, 5), (1, 2)], 4), (1, 1));
    let trace = trace_of([(1, 10), (2, 30), (1, 10), (2, 30), (2, 30)]);
    let ratios = simulation::lru(&trace, 40).expect("ratios");
    assert_eq!(ratios, Ratios { object: 3.0 / 5.0, byte: 70.0 / 110.0 });
}

/// Numbers below `count`, each the rarer the larger it is (Zipf's law with exponent 1, nearly).
fn skewed(random: &mut Random, count: usize) -> u64 {
    let share = random.below(1 << 30) as f64 / (1u64 << 30) as f64;
    ((count as f64).powf(share) - 1.0) as u64
}

/// Points of the object hit ratio above exact LRU in a cache of so many percent of the footprint.
fn points(trace: &Trace, policy: Policy, percent: u64) -> f64 {
    let capacity = trace.footprint() * percent / 100;
    let engine = simulation::engine(trace, capacity, policy).expect("ratios");
    let lru = simulation::lru(trace, capacity).expect("ratios");
    (engine.object - lru.object) * 100.0
}

#[test]
fn sampled_lru_hits_as_often_as_exact_lru() {
    let mut random = Random::new(1);
    let trace = trace_of((0..REQUESTS).map(|_| (skewed(&mut random, 20_000), 1)));
    for percent in [1, 5] {
        let points = points(&trace, Policy::AllKeysLru, percent);
        assert!(points.abs() < 0.5, "{points} points at {percent} %");
    }
}

#[test]
fn s3fifo_gains_where_some_keys_are_asked_for_more_often_than_others() {
    let mut random = Random::new(2);
    let trace = trace_of((0..REQUESTS as u64).map(|number| match number % 4 {
        0 => ((1 << 40) + number, 1),
        _ => (skewed(&mut random, 20_000), 1),
    }));
    for percent in [1, 5] {
        let points = points(&trace, Policy::AllKeysS3Fifo, percent);
        assert!(points > 4.0, "{points} points at {percent} %");
    }
}

#[test]
fn s3fifo_does_not_lose_where_recency_is_all() {
    let mut random = Random::new(3);
    let mut stack: Vec<u64> = Vec::new();
    let trace = trace_of((0..REQUESTS as u64).map(|number| {
        // The deeper a key lies under those asked for since, the less likely it comes again.
        let depth = skewed(&mut random, 3_000) as usize;
        let is_new = depth >= stack.len() || random.one_in(10);
        let key = if is_new { number } else { stack.remove(stack.len() - 1 - depth) };
        stack.push(key);
        (key, 1)
    }));
    for percent in [1, 5] {
        let points = points(&trace, Policy::AllKeysS3Fifo, percent);
        assert!(points > -1.0, "{points} points at {percent} %");
    }
}

#[test]
fn s3fifo_keeps_a_part_of_a_loop_that_is_longer_than_the_cache() {
    let trace = trace_of((0..REQUESTS as u64).map(|number| (number % 4_000, 1)));
    let points = points(&trace, Policy::AllKeysS3Fifo, 5);
    assert!(points > 1.0, "{points} points");
}

#[test]
fn gdsf_gains_where_sizes_differ() {
    let mut random = Random::new(4);
    let trace = trace_of((0..REQUESTS).map(|_| {
        let key = skewed(&mut random, 20_000);
        // From 64 bytes to 2 MiB, whatever the key's popularity.
        (key, 64 << (Random::new(key).below(16)))
    }));
    for percent in [1, 5] {
        let points = points(&trace, Policy::AllKeysGdsf, percent);
        assert!(points > 8.0, "{points} points at {percent} %");
    }
}

/// How many of a hundred keys that were used twice are left after a scan of other keys.
fn left_after_scan(policy: Policy, hot_bytes: usize, scan_bytes: usize) -> usize {
    let options = Options { max_memory_bytes: 2 << 20, policy, seed: 5, ..Options::default() };
    let mut keys = Keyspace::new(&options).expect("a keyspace");
    let set = |keys: &mut Keyspace, name: String, bytes: usize| {
        keys.at(0).set(name.as_bytes(), &vec![b'x'; bytes], &SetOptions::default()).expect("room");
    };
    let hot = |number: usize| format!("hot:{number}");
    (0..100).for_each(|number| set(&mut keys, hot(number), hot_bytes));
    for _ in 0..2 {
        for number in 0..100 {
            assert!(keys.at(0).get(hot(number).as_bytes()).expect("a string").is_some());
        }
    }
    (0..6 * (1 << 20) / scan_bytes).for_each(|number| {
        set(&mut keys, format!("scan:{number}"), scan_bytes);
    });
    keys.validate().expect("a sound keyspace");
    (0..100).filter(|&number| keys.at(0).exists(hot(number).as_bytes())).count()
}

#[test]
fn a_scan_drives_out_what_the_policy_says() {
    assert_eq!(left_after_scan(Policy::AllKeysLru, 1_000, 1_000), 0);
    assert!(left_after_scan(Policy::AllKeysS3Fifo, 1_000, 1_000) >= 95);
    assert!(left_after_scan(Policy::AllKeysGdsf, 100, 10_000) >= 95);
    // Large values in pages are as large as their pages, not as the record that names them.
    assert_eq!(left_after_scan(Policy::AllKeysGdsf, 10_000, 100), 0);
}

/// An engine of 2 MiB, and what restores a string of a hundred bytes into it.
fn engine(policy: Policy) -> (Engine, impl Fn(&mut Engine, &str, &str) -> Answer) {
    let options = Options { max_memory_bytes: 2 << 20, policy, seed: 6, ..Options::default() };
    let mut engine = Engine::new(&options);
    ask(&mut engine, &format!("SET source {}", "x".repeat(100)));
    let Answer::Bulk(payload) = ask(&mut engine, "DUMP source") else { panic!("a payload") };
    let restore = move |engine: &mut Engine, key: &str, usage: &str| {
        let mut request = vec![b"RESTORE".to_vec(), key.into(), b"0".into(), payload.clone()];
        request.extend(usage.split_whitespace().map(Into::into));
        engine.ask(&request)
    };
    (engine, restore)
}

fn ask(engine: &mut Engine, request: &str) -> Answer {
    engine.ask(&request.split(' ').map(Into::into).collect::<Vec<Vec<u8>>>())
}

fn idle_s(engine: &mut Engine, key: &str) -> i64 {
    match ask(engine, &format!("OBJECT IDLETIME {key}")) {
        Answer::Integer(seconds) => seconds,
        other => panic!("{other:?}"),
    }
}

#[test]
fn keys_come_with_the_time_since_they_were_used() {
    let (mut engine, restore) = engine(Policy::AllKeysLru);
    let idle = [10, 1000, 100, 5, 86_400, 1001, 1200, 0, 1, 10_000_000, i64::MAX];
    for seconds in idle {
        let usage = format!("IDLETIME {seconds}");
        assert_eq!(restore(&mut engine, &format!("k{seconds}"), &usage), Answer::ok());
    }
    for seconds in idle {
        let shown = idle_s(&mut engine, &format!("k{seconds}"));
        // Since the epoch at most.
        let most = seconds.min(START_MS / 1000);
        let least = most - most / 16;
        assert!((least..=most).contains(&shown), "{seconds}: {shown}");
    }
    engine.set_clock(START_MS + 7000);
    assert_eq!(idle_s(&mut engine, "k1000"), 1007);
    ask(&mut engine, "GET k1000");
    assert_eq!(idle_s(&mut engine, "k1000"), 0);
    engine.keys.validate().expect("a sound keyspace");
}

#[test]
fn many_keys_keep_the_order_of_their_uses() {
    let (mut engine, restore) = engine(Policy::AllKeysLru);
    let mut random = Random::new(7);
    // From seconds to months, as many of each doubling.
    let mut idle: Vec<i64> = (0..4000).map(|_| 1 << random.below(24)).collect();
    idle.iter_mut().for_each(|seconds| *seconds += random.below(*seconds as usize) as i64);
    for (number, seconds) in idle.iter().enumerate() {
        restore(&mut engine, &format!("k{number}"), &format!("IDLETIME {seconds}"));
    }
    for (number, &given) in idle.iter().enumerate().skip(2000) {
        let shown = idle_s(&mut engine, &format!("k{number}"));
        assert!(shown <= given && shown >= given / 2, "{number}: {given} is shown as {shown}");
    }
    // As many come as there is room for: those go that were not used for long.
    for number in 0..20_000 {
        ask(&mut engine, &format!("SET new:{number} {}", "x".repeat(100)));
    }
    let day_s = 86_400;
    let left = |engine: &mut Engine, is_old: bool| {
        let of_kind = (2000..4000).filter(|&number| (idle[number] > day_s) == is_old);
        let names: Vec<String> = of_kind.map(|number| format!("k{number}")).collect();
        let is_there =
            |name: &&String| ask(engine, &format!("EXISTS {name}")) == Answer::Integer(1);
        (names.iter().filter(is_there).count(), names.len())
    };
    let ((old, olds), (young, youngs)) = (left(&mut engine, true), left(&mut engine, false));
    assert!(old * youngs * 4 < young * olds, "{old} of {olds}, {young} of {youngs}");
}

#[test]
fn keys_come_with_the_count_of_their_uses() {
    let (mut engine, restore) = engine(Policy::AllKeysLfu);
    for count in [0, 100, 255] {
        assert_eq!(
            restore(&mut engine, &format!("k{count}"), &format!("FREQ {count}")),
            Answer::ok()
        );
        let shown = ask(&mut engine, &format!("OBJECT FREQ k{count}"));
        assert_eq!(shown, Answer::Integer(count));
    }
    // Each policy takes what it goes by.
    restore(&mut engine, "k", "IDLETIME 1000");
    let shown = ask(&mut engine, "OBJECT FREQ k");
    assert_eq!(shown, Answer::Integer(5));
    let (mut engine, restore) = self::engine(Policy::AllKeysLru);
    restore(&mut engine, "k", "FREQ 7");
    assert_eq!(idle_s(&mut engine, "k"), 0);
    let (mut engine, restore) = self::engine(Policy::AllKeysS3Fifo);
    assert_eq!(restore(&mut engine, "k", "IDLETIME 1000"), Answer::ok());
    engine.keys.validate().expect("a sound keyspace");
}
