//! Looking ahead at what is about to be asked for changes nothing, whatever is shown: keys of every
//! type, small and large, members that are there or not, and requests of no form at all.

use ferrite_engine::Options;
use ferrite_tests::engine::Engine;
use ferrite_tests::random::Random;
use ferrite_tests::subject::Subject;

/// Members of the large values: far more than 128 KiB of them.
const MEMBERS: usize = 20_000;
const ROUNDS: usize = 2_000;

fn fill(engine: &mut Engine) {
    let mut ask = |request: &[&str]| {
        let words: Vec<Vec<u8>> = request.iter().map(|word| word.as_bytes().to_vec()).collect();
        let answer = engine.ask(&words).to_string();
        assert!(!answer.starts_with('-'), "{request:?}: {answer}");
    };
    for (key, count) in [("small", 3), ("large", MEMBERS)] {
        for number in 0..count {
            let (member, number) = (format!("member:{number:09}"), number.to_string());
            ask(&["HSET", &format!("{key} hash"), &member, &number]);
            ask(&["SADD", &format!("{key} set"), &member]);
            ask(&["RPUSH", &format!("{key} list"), &member]);
            ask(&["ZADD", &format!("{key} zset"), &number, &member]);
            ask(&["XADD", &format!("{key} stream"), "*", &member, &number]);
            ask(&["APPEND", &format!("{key} string"), &member]);
        }
    }
}

#[test]
fn nothing_changes() {
    let mut engine = Engine::new(&Options { max_memory_bytes: 64 << 20, ..Options::default() });
    fill(&mut engine);
    let (contents, stats) = (engine.contents(), engine.keys.stats());
    let mut random = Random::new(5);
    for _ in 0..ROUNDS {
        let count = random.below(40);
        let requests: Vec<Vec<String>> = (0..count).map(|_| request(&mut random)).collect();
        let requests: Vec<Vec<&[u8]>> =
            requests.iter().map(|request| request.iter().map(String::as_bytes).collect()).collect();
        engine.keys.preload(&requests.iter().map(Vec::as_slice).collect::<Vec<_>>());
    }
    engine.keys.validate().expect("a sound keyspace");
    assert_eq!(
        engine.keys.stats().fields().collect::<Vec<_>>(),
        stats.fields().collect::<Vec<_>>()
    );
    assert!(engine.contents() == contents, "what is there is another");
}

/// Up to five words: a name, a key that may be there, and members that may.
fn request(random: &mut Random) -> Vec<String> {
    let size = ["small", "large", "missing"][random.below(3)];
    let kind = ["hash", "set", "list", "zset", "stream", "string", ""][random.below(7)];
    let mut request = vec!["a command".to_string(), format!("{size} {kind}")];
    request.resize_with(5, || match random.below(4) {
        0 => String::new(),
        1 => "m".repeat(random.below(10_000)),
        _ => format!("member:{:09}", random.below(2 * MEMBERS)),
    });
    request.truncate(random.below(6));
    request
}
