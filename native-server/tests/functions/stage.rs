//! A stage for calls of any function: keys that are there before, a call, and what must be so
//! afterwards, whatever the guest has done.
//!
//! A call that failed has changed nothing; what one that did not fail has changed is what its
//! effects do to the same keys; of a reply all is there, or nothing.

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
use ferrite_server::functions::{failure::Failure, reply};
use ferrite_server::log::{Level, Log};
use ferrite_server::resp::wire::{Protocol, Wire};
use ferrite_tests::engine::{Engine, Words};
use ferrite_tests::family::compare::contents;
use ferrite_tests::subject::{START_MS, Subject};

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
/// The keys that are declared.
pub const KEYS: &[&str] = &["number", "text", "hash", "list", "set", "zset", "missing"];

const BUDGET_BYTES: u64 = 64 << 20;

/// What makes libraries here: nothing is kept, nothing is said.
pub fn loader() -> Loader {
    let log = Log::open(Level::Nothing, "", Clock::System).map(Arc::new).expect("a log");
    Loader::new(Cache::none(&log), &log)
}

/// How a call is made.
pub struct Setting {
    /// Bytes that the keys may take beyond what is there.
    pub room_bytes: u64,
    /// In which protocol it answers.
    pub protocol: Protocol,
    /// How long it may take.
    pub limit_ms: u64,
}

/// A library on the stage.
pub struct Stage {
    /// The library.
    pub library: Arc<Library>,
    instances: Instances,
    binding: Binding,
    /// Calls that returned, and calls that failed.
    pub ended: (u64, u64),
}

impl Stage {
    pub fn new(library: Arc<Library>) -> Stage {
        let (instances, binding) = (Instances::default(), Binding::default());
        Stage { library, instances, binding, ended: (0, 0) }
    }

    /// One call of the function at this position, on keys as they are in the beginning.
    pub fn play(&mut self, index: usize, keys: &[&[u8]], args: &[&[u8]], setting: &Setting) {
        let options = Options { max_memory_bytes: BUDGET_BYTES, ..Options::default() };
        let (mut engine, mut replica) = (Engine::new(&options), Engine::new(&options));
        for request in CONTENTS {
            let request: Words = request.iter().map(|word| (*word).into()).collect();
            engine.ask(&request);
            replica.ask(&request);
        }
        let used = engine.keys.stats().used_memory;
        let host = BUDGET_BYTES - used - setting.room_bytes;
        engine.keys.set_max_memory(BUDGET_BYTES, host).expect("there is room for what is there");
        let before = contents(&mut engine);
        let outcome = self.call(index, &mut engine.keys, host, (keys, args), setting);
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
        index: usize,
        keyspace: &mut Keyspace,
        host_bytes: u64,
        (keys, args): (&[&[u8]], &[&[u8]]),
        setting: &Setting,
    ) -> Result<Vec<Words>, Failure> {
        let library = Arc::clone(&self.library);
        let function = &library.functions[index];
        self.binding.bind(function, keys, args).map_err(Failure::Line)?;
        let _hold = library.machine.ticker.hold();
        let mut instance = self.instances.acquire(&library, false, timed(setting.limit_ms))?;
        let mut call = Call::new();
        begin(&mut call, function, keys, START_MS);
        call.is_heard = true;
        let mut lent = spare_keyspace();
        std::mem::swap(&mut *lent, keyspace);
        let mut out = b"+before\r\n".to_vec();
        let mut wire = Wire::new(&mut out, setting.protocol);
        let which = (&*library, index);
        let ended = run(&mut instance, which, call, &mut lent, &mut self.binding, &mut wire);
        std::mem::swap(&mut *lent, keyspace);
        if ended.is_budget_lifted {
            keyspace.set_max_memory(BUDGET_BYTES, host_bytes).expect("it was set before");
        }
        // With debug assertions the whole memory is compared with that of a new instance.
        self.instances.release(&library, instance, ended.has_returned);
        let written = out.strip_prefix(b"+before\r\n").expect("what was there stays");
        if let Err(failure) = ended.outcome {
            assert!(written.is_empty(), "a part of a reply: {written:?}");
            return Err(failure);
        }
        if setting.protocol == Protocol::Resp3 {
            let mut again = Vec::new();
            let read = reply::write(written, &mut Wire::new(&mut again, Protocol::Resp3));
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
