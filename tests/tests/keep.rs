//! What a key holds, kept outside of the engine, comes back as it was.

use ferrite_engine::{Args, Kept, Keyspace, Millis, Options, Reply, Value, find};

const NOW: Millis = 1_700_000_000_000;

struct Ignored;

impl Reply for Ignored {
    fn simple(&mut self, _: &'static str) {}
    fn integer(&mut self, _: i64) {}
    fn bulk(&mut self, _: Value<'_>) {}
    fn null(&mut self) {}
    fn array(&mut self, _: usize) {}
    fn error(&mut self, parts: &[&[u8]]) {
        panic!("{:?}", parts.concat());
    }
}

fn run(keys: &mut Keyspace, line: &str) {
    let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
    let spec = find(words[0]).expect(line);
    let mut args = Args::new(&words[1..]);
    (spec.run)(&mut keys.at(NOW), &mut args, &mut Ignored).expect(line);
}

#[test]
fn what_was_kept_comes_back() {
    let lines = [
        "SET k text PX 5000",
        "SET k plain",
        "RPUSH k a b c",
        "HSET k f v g w",
        "SADD k 1 2 3",
        "ZADD k 1.5 a 2 b",
        "XADD k 1-1 f v",
    ];
    let changes = ["DEL k", "SET k other", "PEXPIRE k 77"];
    for line in lines {
        for change in changes {
            let mut keys = Keyspace::new(&Options::default()).expect("a keyspace");
            run(&mut keys, line);
            let state = |keys: &mut Keyspace| {
                let mut cx = keys.at(NOW);
                (cx.dump(b"k").expect("room"), cx.ttl(b"k"))
            };
            let before = state(&mut keys);
            let mut buffer = Vec::new();
            let kept = keys.at(NOW).keep(b"k", 1 << 20, &mut buffer).expect("it fits");
            run(&mut keys, change);
            keys.at(NOW).put_back(b"k", &kept, &buffer).expect("room");
            assert!(state(&mut keys) == before, "{line}, {change}");
            keys.validate().expect("sound");
        }
    }
}

#[test]
fn what_was_absent_goes_and_what_is_too_large_is_not_kept() {
    let mut keys = Keyspace::new(&Options::default()).expect("a keyspace");
    let mut buffer = Vec::new();
    let kept = keys.at(NOW).keep(b"k", 10, &mut buffer);
    assert_eq!(kept, Some(Kept::Absent));
    run(&mut keys, "SET k 12345678901");
    assert_eq!(keys.at(NOW).keep(b"k", 10, &mut buffer), None);
    assert!(buffer.is_empty());
    keys.at(NOW).put_back(b"k", &Kept::Absent, &buffer).expect("nothing to do");
    assert!(keys.is_empty());
    run(&mut keys, "RPUSH k 12345678901");
    assert_eq!(keys.at(NOW).keep(b"k", 10, &mut buffer), None);
}
