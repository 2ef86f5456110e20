//! Streams that grow while there is hardly any room: others are evicted, and many a command is
//! refused in the middle. After each the keyspace is sound.

use ferrite_engine::{Options, Policy};
use ferrite_tests::answer::Answer;
use ferrite_tests::engine::Engine;
use ferrite_tests::random::Random;
use ferrite_tests::subject::Subject;

const COMMANDS: usize = 1500;

/// A random command: of each kind some that need much room.
fn command(random: &mut Random) -> Vec<Vec<u8>> {
    let stream = format!("x{}", random.below(6));
    let len = random.pick(&[40, 400, 3000, 20_000, 150_000, 500_000]);
    let field = vec![b'x'; random.below(len)];
    let words = |words: &[&str]| words.iter().map(|word| word.as_bytes().to_vec()).collect();
    let mut command: Vec<Vec<u8>> = match random.below(8) {
        0..3 => {
            let mut set: Vec<Vec<u8>> = words(&["SET", &format!("k{}", random.below(3000))]);
            set.push(vec![b'v'; random.below(400)]);
            if random.one_in(2) {
                set.extend(["EX", "1000"].map(Into::into));
            }
            return set;
        }
        3..5 => words(&["XADD", &stream, "MAXLEN", "30", "*", "f"]),
        5 => words(&["XADD", &stream, "*", "f"]),
        6 => return words(&["XGROUP", "CREATE", &stream, "g", "0", "MKSTREAM"]),
        _ => return words(&["DEL", &stream]),
    };
    command.push(field);
    command
}

fn run(seed: u64, policy: Policy, max_memory_kb: u64) {
    let max_memory_bytes = max_memory_kb * 1024;
    let mut engine = Engine::new(&Options { max_memory_bytes, policy, seed, ..Options::default() });
    let mut random = Random::new(seed);
    let mut refused = 0;
    for number in 0..COMMANDS {
        let words = command(&mut random);
        refused += u32::from(matches!(engine.ask(&words), Answer::Error(_)));
        engine.keys.validate().unwrap_or_else(|broken| {
            let shown: Vec<_> = words.iter().map(|word| word.get(..20).unwrap_or(word)).collect();
            let shown = String::from_utf8_lossy(&shown.join(&b' ')).into_owned();
            panic!("seed {seed}, {policy:?}, {max_memory_kb} KB, {number}: {shown}: {broken}")
        });
    }
    assert!(refused > 0, "seed {seed}, {policy:?}: there was room for everything");
}

#[test]
fn nothing_breaks_where_a_stream_finds_no_room() {
    for seed in 0..4 {
        for policy in [Policy::AllKeysLru, Policy::VolatileLru, Policy::AllKeysRandom] {
            for max_memory_kb in [1024, 1200] {
                run(seed, policy, max_memory_kb);
            }
        }
    }
}
