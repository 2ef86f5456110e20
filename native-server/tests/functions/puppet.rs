//! A guest that does whatever a script says: it calls any host function with any numbers, lies
//! about its allocator and its results, and traps when told to. The scripts are random, or a
//! fuzzer's.
//!
//! Whatever it does, the host goes on; a call that failed has changed nothing; what a call that
//! did not fail has changed is what its effects do to the same keys.

use std::sync::Arc;

use ferrite_engine::{Keyspace, Options, Value};
use ferrite_server::clock::Clock;
use ferrite_server::functions::bind::Binding;
use ferrite_server::functions::cache::Cache;
use ferrite_server::functions::call::{Call, spare_keyspace};
use ferrite_server::functions::fcall::begin;
use ferrite_server::functions::instance::{Instances, timed};
use ferrite_server::functions::library::Library;
use ferrite_server::functions::load::Loader;
use ferrite_server::functions::run::run;
use ferrite_server::functions::source::Source;
use ferrite_server::functions::{failure::Failure, reply};
use ferrite_server::log::{Level, Log};
use ferrite_server::resp::wire::{Protocol, Wire};
use ferrite_tests::engine::Engine;
use ferrite_tests::family::compare::contents;
use ferrite_tests::random::Random;
use ferrite_tests::subject::{START_MS, Subject};

/// Where the guest's allocator begins, so where the host places keys and script.
const BLOCK: u32 = 65_536;
const MEMORY_BYTES: u32 = 2 * 65_536;
/// Where the guest gathers arguments of a command, and where the names of commands are.
const ARGUMENTS: u32 = 1024;
const NAMES: u32 = 2048;
const NAME_BYTES: u32 = 16;
const STEPS_MAX: usize = 12;

const COMMANDS: &[&str] = &[
    "GET", "SET", "DEL", "INCR", "APPEND", "SETRANGE", "GETEX", "EXPIRE", "RENAME", "COPY", "HSET",
    "HGETALL", "HINCRBY", "LPUSH", "RPOP", "LRANGE", "LMOVE", "SADD", "SPOP", "SUNIONSTORE",
    "ZADD", "ZRANGE", "ZINCRBY", "XADD", "SORT", "RESTORE", "DUMP", "FLUSHALL", "FCALL", "EVAL",
    "SUBSCRIBE", "KEYS", "NX", "STORE", "*", "1", "-1", "1.5", ":1\r\n",
    "*1\r\n$2\r\nab\r\n", "*9\r\n", "-NO no\r\n", "%1\r\n+a\r\n,1.5\r\n",
];

/// What is there before each call, as commands.
const CONTENTS: &[&[&str]] = &[
    &["SET", "number", "41"],
    &["SET", "text", "not a number at all", "PX", "100000"],
    &["HSET", "hash", "field", "1", "other", "two"],
    &["RPUSH", "list", "a", "b", "c"],
    &["SADD", "set", "a", "b", "7"],
    &["ZADD", "zset", "1", "a", "2.5", "b"],
    &["SET", "undeclared", "is not to be touched"],
];
const KEYS: &[&str] = &["number", "text", "hash", "list", "set", "zset", "missing"];

const GUEST: &str = include_str!("puppet.wat");

/// The guest, loaded.
pub struct Puppet {
    library: Arc<Library>,
    instances: Instances,
    binding: Binding,
    /// Calls that returned, and calls that failed.
    pub ended: (u64, u64),
}

impl Puppet {
    pub fn new() -> Puppet {
        let log = Log::open(Level::Nothing, "", Clock::System).map(Arc::new).expect("a log");
        let loader = Loader::new(Cache::none(&log), &log);
        let library = loader.load(&Source { module: module(), ..Source::default() });
        let library = library.unwrap_or_else(|why| panic!("{why}"));
        let (instances, binding) = (Instances::default(), Binding::default());
        Puppet { library, instances, binding, ended: (0, 0) }
    }

    /// One call, by a script that is made of random numbers.
    pub fn play(&mut self, random: &mut Random) {
        // Now and then there is hardly any room.
        let budget = if random.below(4) == 0 { 0 } else { 16 << 20 };
        let options = Options { max_memory_bytes: 64 << 20, ..Options::default() };
        let (mut engine, mut replica) = (Engine::new(&options), Engine::new(&options));
        for request in CONTENTS {
            let request: Vec<Vec<u8>> = request.iter().map(|word| (*word).into()).collect();
            engine.ask(&request);
            replica.ask(&request);
        }
        let used = engine.keys.stats().used_memory;
        let (host, max) = (options.max_memory_bytes - used - budget, options.max_memory_bytes);
        let _ = engine.keys.set_max_memory(max, host);
        let before = contents(&mut engine);
        let keys: Vec<&[u8]> = KEYS.iter().map(|key| key.as_bytes()).collect();
        let script = script(random);
        let protocol = if random.below(2) == 0 { Protocol::Resp2 } else { Protocol::Resp3 };
        let outcome = self.call(&mut engine.keys, (max, host), &keys, &script, protocol);
        let after = contents(&mut engine);
        engine.keys.validate().unwrap_or_else(|why| panic!("after the call: {why:?}"));
        match outcome {
            Err(failure) => {
                self.ended.1 += 1;
                assert!(before == after, "{failure:?}, but something has changed");
                assert!(!matches!(failure, Failure::Overrun));
                let line = failure.line("run", 1, 1);
                assert!(!line.contains(['\r', '\n']), "{line:?}");
            }
            Ok(effects) => {
                self.ended.0 += 1;
                effects.iter().for_each(|effect| drop(replica.ask(effect)));
                assert!(contents(&mut replica) == after, "the effects are others: {effects:?}");
            }
        }
    }

    fn call(
        &mut self,
        keys_of_engine: &mut Keyspace,
        (max, host): (u64, u64),
        keys: &[&[u8]],
        script: &[u8],
        protocol: Protocol,
    ) -> Result<Vec<Vec<Vec<u8>>>, Failure> {
        let library = Arc::clone(&self.library);
        let function = &library.functions[0];
        self.binding.bind(function, keys, &[script]).map_err(Failure::Line)?;
        let _hold = library.machine.ticker.hold();
        let mut instance = self.instances.acquire(&library, false, timed(10_000))?;
        let mut call = Call::new();
        begin(&mut call, function, keys, START_MS);
        call.is_heard = true;
        let mut lent = spare_keyspace();
        std::mem::swap(&mut *lent, keys_of_engine);
        let mut out = b"+before\r\n".to_vec();
        let mut wire = Wire::new(&mut out, protocol);
        let which = (&*library, 0);
        let ended = run(&mut instance, which, call, &mut lent, &mut self.binding, &mut wire);
        std::mem::swap(&mut *lent, keys_of_engine);
        if ended.is_budget_lifted {
            let _ = keys_of_engine.set_max_memory(max, host);
        }
        // With debug assertions the whole memory is compared with that of a new instance.
        self.instances.release(&library, instance, ended.has_returned);
        let written = out.strip_prefix(b"+before\r\n").expect("what was there stays");
        if let Err(failure) = ended.outcome {
            assert!(written.is_empty(), "a part of a reply: {written:?}");
            return Err(failure);
        }
        if protocol == Protocol::Resp3 {
            let mut again = Vec::new();
            let read = reply::write(written, &mut Wire::new(&mut again, protocol));
            read.unwrap_or_else(|why| panic!("no reply: {why:?} in {written:?}"));
            assert_eq!(again, written);
        }
        let mut effects = Vec::new();
        ended.call.effects.each(|_, _, words| {
            let word = |word: &Value<'_>| word.as_slice().unwrap_or_default().to_vec();
            effects.push(words.iter().map(word).collect());
        });
        Ok(effects)
    }
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
