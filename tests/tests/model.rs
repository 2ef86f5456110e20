//! Random operations against the naive model, with `validate()` after every step.
//! Where the budget is small, the effects stream says which keys were evicted; the model follows
//! it only where the policy allows, and counts along.
//! `FERRITE_MODEL_ROUNDS` asks for longer runs than CI takes, `FERRITE_MODEL_SEED` for others.

use std::env;

use ferrite_engine::{Options, Policy};
use ferrite_tests::answer::{Answer, request_text};
use ferrite_tests::engine::{Engine, Words};
use ferrite_tests::model::Model;
use ferrite_tests::op::{Op, Shape};
use ferrite_tests::random::Random;
use ferrite_tests::subject::{START_MS, Subject, ask_whole};

/// The sizes of values shift while a run goes on, up and down again.
const PHASES: &[&[usize]] = &[&[100], &[1_000], &[10_000], &[100_000], &[100, 10_000], &[3, 40]];
/// Below what a budget may be missed by: a segment of each class in use, and the index.
const ROUNDING_BYTES: u64 = 192 << 10;

/// A number from the environment.
fn asked_for(name: &str, otherwise: u64) -> u64 {
    env::var(name).map_or(otherwise, |text| text.parse().expect(name))
}

struct Run {
    engine: Engine,
    model: Model,
    random: Random,
    options: Options,
    label: String,
}

#[test]
fn with_memory_to_spare_every_policy_agrees_with_the_model() {
    for (seed, (_, policy)) in (0..).zip(Policy::ALL) {
        for compression in [false, true] {
            let evicted = Run::new(policy, 64 << 20, 100 + seed, compression).go(250, 60);
            assert_eq!(evicted, 0, "nothing is evicted below the budget");
        }
    }
}

#[test]
fn without_eviction_writes_fail_cleanly_when_memory_is_used_up() {
    for seed in 0..4 {
        let evicted = Run::new(Policy::NoEviction, 1 << 20, 200 + seed, seed % 2 == 1).go(700, 400);
        assert_eq!(evicted, 0);
    }
}

#[test]
fn under_pressure_only_what_the_policy_allows_is_evicted() {
    for (seed, (name, policy)) in (0..).zip(Policy::ALL) {
        for (budget_bytes, keys, compression) in
            [(1 << 20, 300, false), (3 << 20, 2_000, false), (2 << 20, 2_000, true)]
        {
            let evicted = Run::new(policy, budget_bytes, 300 + seed, compression).go(400, keys);
            let may_evict = policy != Policy::NoEviction;
            assert_eq!(evicted > 0, may_evict, "{name} under {budget_bytes}");
        }
    }
}

/// The index shrinks under the hands that go round in it, down to its last bucket.
#[test]
fn few_large_values_drive_out_many_small_ones() {
    for seed in 0..60 {
        let policy = Policy::ALL[1 + seed as usize % 3].1;
        let options = Options { max_memory_bytes: 1 << 20, policy, seed, ..Options::default() };
        let mut engine = Engine::new(&options);
        let mut random = Random::new(seed);
        for number in 0..200 + random.below(6_000) {
            engine.ask(&["SET", &format!("small:{number}"), "value"].map(Into::into));
        }
        for step in 0..300 {
            let key = format!("large:{}", random.below(40)).into_bytes();
            let value = vec![b'x'; random.below(150_000)];
            let answer = engine.ask(&[b"SET".to_vec(), key, value]);
            assert_eq!(answer, Answer::ok(), "seed {seed}, {policy:?}, step {step}");
        }
        engine.keys.validate().expect("a sound keyspace");
    }
}

#[test]
fn one_turn_of_tick_finds_every_expired_key() {
    for seed in 0..60 {
        let mut engine = Engine::new(&Options { seed, ..Options::default() });
        let mut random = Random::new(seed);
        let total = 1 + random.below(3_000);
        for number in 0..total {
            let ttl_ms = if number < 20 { "900" } else { "10" };
            engine.ask(&["SET", &format!("{number}"), "value", "PX", ttl_ms].map(Into::into));
        }
        // The first keys go while the hand is anywhere, the last ones in one turn from there,
        // although the index shrinks meanwhile.
        engine.set_clock(START_MS + 500);
        while engine.keys.stats().expires > 20 {
            engine.tick(1 + random.below(40));
        }
        engine.set_clock(START_MS + 1_000);
        engine.tick(usize::MAX);
        assert_eq!(engine.keys.stats().keys, 0, "seed {seed}, {total} keys");
    }
}

impl Run {
    fn new(policy: Policy, max_memory_bytes: u64, seed: u64, compression: bool) -> Run {
        let seed = seed + asked_for("FERRITE_MODEL_SEED", 0);
        let base = Options { policy, seed, ..Options::default() };
        let options = Options { max_memory_bytes, compression, ..base };
        let label = format!("{options:?}");
        let model = Model { now_ms: START_MS, ..Model::default() };
        Run { engine: Engine::new(&options), model, random: Random::new(seed), options, label }
    }

    /// So many steps in each phase. How many keys were evicted.
    fn go(mut self, phase_steps: usize, keys: usize) -> u64 {
        let phase_steps = phase_steps * asked_for("FERRITE_MODEL_ROUNDS", 1) as usize;
        for (phase, &value_bytes) in PHASES.iter().enumerate() {
            let shape = Shape { keys, value_bytes };
            for step in 0..phase_steps {
                let at = format!("{}, phase {phase}, step {step}", self.label);
                self.pass_time();
                let op = Op::random(&mut self.random, &shape, self.model.now_ms);
                self.step(&op, &at);
                if let Err(broken) = self.engine.keys.validate() {
                    let (asked, stats) = (request_text(&op.words()), self.engine.keys.stats());
                    panic!("{at}: {broken}: {stats:?}, after {asked}");
                }
            }
            self.compare_contents();
        }
        self.engine.keys.stats().evicted_keys
    }

    fn pass_time(&mut self) {
        if self.random.one_in(8) {
            self.model.now_ms += self.random.pick(&[1, 10, 100, 1_000, 20_000]);
            self.engine.set_clock(self.model.now_ms);
        }
        if self.random.one_in(20) {
            self.engine.tick(1 + self.random.below(32));
            self.engine.keys.at(self.model.now_ms).compress(self.random.below(32));
            self.follow_removals(0, "tick");
        }
    }

    fn step(&mut self, op: &Op, at: &str) {
        let request = op.words();
        let evicted_before = self.engine.keys.stats().evicted_keys;
        let given = ask_whole(&mut self.engine, &request);
        let evicted = self.engine.keys.stats().evicted_keys - evicted_before;
        if matches!(&given, Answer::Error(text) if text.starts_with("OOM ")) {
            self.check_refusal(&request, at);
        } else {
            let expected = self.model.apply(op);
            let asked = request_text(&request);
            assert!(expected == given, "{at}: {asked}\n  model  {expected}\n  engine {given}");
        }
        self.follow_removals(evicted, at);
    }

    /// Memory may be refused only when it is used up and the policy cannot help.
    fn check_refusal(&self, request: &Words, at: &str) {
        let stats = self.engine.keys.stats();
        let wanted: usize = request.iter().map(|word| word.len() * 5 / 4 + 64).sum();
        let zeros = match &request[..] {
            [name, _, start, _] if name == b"SETRANGE" => String::from_utf8_lossy(start).parse(),
            _ => Ok(0),
        };
        let wanted = wanted as u64 + zeros.unwrap_or(0) + ROUNDING_BYTES;
        let budget = self.options.max_memory_bytes;
        assert!(stats.used_memory + wanted >= budget, "{at}: refused at {stats:?}");
        let has_candidates = match self.options.policy {
            Policy::NoEviction => false,
            policy if format!("{policy:?}").starts_with("AllKeys") => stats.keys > 1,
            _ => stats.expires > 1,
        };
        assert!(!has_candidates || wanted * 2 > budget, "{at}: refused with {stats:?}");
    }

    /// Removes from the model what the effects say is gone.
    fn follow_removals(&mut self, evicted: u64, at: &str) {
        let mut live_removed = 0;
        for key in removed_keys(&self.engine.take_effects()) {
            let was_live = self.model.live(&key).is_some();
            let Some(entry) = self.model.entries.remove(&key) else { continue };
            live_removed += u64::from(was_live);
            let name = format!("{:?}", self.options.policy);
            let is_allowed = entry.deadline_ms.is_some() || name.starts_with("AllKeys");
            assert!(
                is_allowed,
                "{at}: {name} dropped {}, which has no deadline",
                Answer::bulk(&key)
            );
        }
        assert!(live_removed <= evicted, "{at}: {live_removed} keys lost, {evicted} evicted");
    }

    fn compare_contents(&mut self) {
        let contents = self.engine.contents();
        self.follow_removals(0, "reading everything");
        let now_ms = self.model.now_ms;
        let live = self.model.entries.iter().filter(|(key, _)| self.model.live(key).is_some());
        let expected: Vec<_> = live
            .map(|(key, entry)| {
                let ttl_ms = entry.deadline_ms.map_or(-1, |at| at - now_ms);
                let value = Answer::bulk(&entry.value);
                (Answer::bulk(key), value, Answer::Integer(ttl_ms))
            })
            .collect();
        assert!(contents == expected, "{}: the contents differ", self.label);
    }
}

/// Keys whose last mention is a DEL.
fn removed_keys(effects: &[Words]) -> Vec<Vec<u8>> {
    let mut removed: Vec<Vec<u8>> = Vec::new();
    for effect in effects {
        match effect[0].as_slice() {
            b"DEL" => removed.extend_from_slice(&effect[1..]),
            b"MSET" => removed.retain(|key| !effect[1..].iter().step_by(2).any(|set| set == key)),
            b"FLUSHDB" => removed.clear(),
            _ => removed.retain(|key| *key != effect[1]),
        }
    }
    removed
}
