//! A guest that does whatever a script says: it calls any host function with any numbers, lies
//! about its allocator and its results, and traps when told to. The scripts are random, or a
//! fuzzer's.

use ferrite_server::functions::source::Source;
use ferrite_server::resp::wire::Protocol;
use ferrite_tests::random::Random;

use crate::stage::{KEYS, Setting, Stage, loader};

/// Where the guest's allocator begins, so where the host places keys and script.
const BLOCK: u32 = 65_536;
const MEMORY_BYTES: u32 = 2 * 65_536;
/// Where the guest gathers arguments of a command, and where the names of commands are.
const ARGUMENTS: u32 = 1024;
const NAMES: u32 = 2048;
const NAME_BYTES: u32 = 16;
const STEPS_MAX: usize = 12;

const COMMANDS: &[&str] = &[
    "GET",
    "SET",
    "DEL",
    "INCR",
    "APPEND",
    "SETRANGE",
    "GETEX",
    "EXPIRE",
    "RENAME",
    "COPY",
    "HSET",
    "HGETALL",
    "HINCRBY",
    "LPUSH",
    "RPOP",
    "LRANGE",
    "LMOVE",
    "SADD",
    "SPOP",
    "SUNIONSTORE",
    "ZADD",
    "ZRANGE",
    "ZINCRBY",
    "XADD",
    "SORT",
    "RESTORE",
    "DUMP",
    "FLUSHALL",
    "FCALL",
    "EVAL",
    "SUBSCRIBE",
    "KEYS",
    "NX",
    "STORE",
    "*",
    "1",
    "-1",
    "1.5",
    ":1\r\n",
    "*1\r\n$2\r\nab\r\n",
    "*9\r\n",
    "-NO no\r\n",
    "%1\r\n+a\r\n,1.5\r\n",
];

const GUEST: &str = include_str!("puppet.wat");

/// The guest, loaded.
pub fn puppet() -> Stage {
    let library = loader().load(&Source { module: module(), ..Source::default() });
    Stage::new(library.unwrap_or_else(|why| panic!("{why}")))
}

/// One call, by a script that is made of random numbers.
pub fn play(stage: &mut Stage, random: &mut Random) {
    // Now and then there is hardly any room.
    let room_bytes = if random.below(4) == 0 { 0 } else { 16 << 20 };
    let protocol = if random.below(2) == 0 { Protocol::Resp2 } else { Protocol::Resp3 };
    let keys: Vec<&[u8]> = KEYS.iter().map(|key| key.as_bytes()).collect();
    let script = script(random);
    stage.play(0, &keys, &[&script], &Setting { room_bytes, protocol, limit_ms: 10_000 });
}

fn module() -> Vec<u8> {
    let mut names = String::new();
    for (at, name) in (NAMES..).step_by(NAME_BYTES as usize).zip(COMMANDS) {
        let name = name.replace('\r', "\\0d").replace('\n', "\\0a");
        names.push_str(&format!("(data (i32.const {at}) \"{name}\")"));
    }
    wat::parse_str(GUEST.replace(";;NAMES;;", &names)).unwrap_or_else(|error| panic!("{error}"))
}

/// Steps of seven numbers each: what to do, and what with.
fn script(random: &mut Random) -> Vec<u8> {
    let steps = 1 + random.below(STEPS_MAX);
    let mut script = Vec::new();
    for _ in 0..steps {
        let step = random.below(26) as u32;
        script.extend_from_slice(&step.to_le_bytes());
        let operands = match step {
            // An argument for a command: its place, its address and its length.
            19 => {
                let [at, len] = text(random);
                [random.below(6) as u32, at, len, 0, 0, 0]
            }
            // A command of some of them.
            11 => {
                let count = if random.below(8) == 0 { number(random) } else { words(random) };
                let flags = if random.below(8) == 0 { number(random) } else { words(random) & 1 };
                [ARGUMENTS, count, flags, number(random), number(random), 0]
            }
            // A result: its length and its address.
            25 => {
                let [at, len] = text(random);
                [len, at, 0, 0, 0, 0]
            }
            _ => {
                let [[a, b], [c, d], [e, f]] = [0; 3].map(|_| text(random));
                [a, b, c, d, e, f]
            }
        };
        operands.iter().for_each(|operand| script.extend_from_slice(&operand.to_le_bytes()));
    }
    script
}

fn words(random: &mut Random) -> u32 {
    1 + random.below(5) as u32
}

/// Where a text is, and how long it is; sometimes it is nowhere.
fn text(random: &mut Random) -> [u32; 2] {
    let list = BLOCK + 8 * KEYS.len() as u32;
    match random.below(8) {
        0..=3 => {
            let nth = random.below(KEYS.len());
            let before: usize = KEYS[..nth].iter().map(|key| key.len()).sum();
            [list + before as u32, KEYS[nth].len() as u32]
        }
        4 | 5 => {
            let nth = random.below(COMMANDS.len());
            [NAMES + nth as u32 * NAME_BYTES, COMMANDS[nth].len() as u32]
        }
        6 => [random.below(MEMORY_BYTES as usize) as u32, random.below(300) as u32],
        _ => [number(random), number(random)],
    }
}

/// A number that means something, or any.
fn number(random: &mut Random) -> u32 {
    let any = random.number() as u32;
    let near = [0, 1, 8, 64, ARGUMENTS, BLOCK, MEMORY_BYTES - 1, MEMORY_BYTES, u32::MAX];
    match random.below(4) {
        0 => any,
        1 => any % MEMORY_BYTES,
        _ => near[any as usize % near.len()],
    }
}
