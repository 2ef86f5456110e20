//! Random requests on an engine alone: whatever is asked, its invariants hold, it stays within its
//! budget, and its effects tell everything that happened.
//! Not here: whether the answers are right, which redis-server and the model judge.

use ferrite_engine::Options;

use crate::answer::request_text;
use crate::engine::Engine;
use crate::family::{Requests, compare};
use crate::subject::{START_MS, Subject};

/// What a replica may hold: it never evicts.
const REPLICA_BYTES: u64 = 1 << 30;

/// Asks until so many requests are made or the dice are spent. What went wrong, if anything did.
pub fn exercise(
    options: &Options,
    requests: &mut Requests,
    steps: usize,
    validate_every: usize,
) -> Result<(), String> {
    let mut engine = Engine::new(options);
    let spare = Options { max_memory_bytes: REPLICA_BYTES, seed: 77, ..Options::default() };
    let mut replica = Engine::new(&spare);
    // As a log is read: effects carry absolute times, and no clock judges them.
    replica.set_clock(0);
    let mut now_ms = START_MS;
    for step in 0..steps {
        if requests.random().is_spent() {
            break;
        }
        if requests.random().one_in(20) {
            now_ms += requests.random().pick(&[1, 10, 100, 5_000]);
            engine.set_clock(now_ms);
            engine.tick(requests.random().below(32));
            if options.compression {
                engine.keys.at(now_ms).compress(requests.random().below(32));
            }
        }
        let request = requests.request(now_ms);
        let fail =
            |what: &str| Err(format!("step {step}: {what}, after {}", request_text(&request)));
        engine.ask(&request);
        if step % validate_every == 0
            && let Err(broken) = engine.keys.validate()
        {
            return fail(broken);
        }
        let used = engine.keys.stats().used_memory;
        if used > options.max_memory_bytes {
            return fail(&format!("{used} bytes used"));
        }
        for effect in engine.take_effects() {
            let answer = replica.ask(&effect).to_string();
            if answer.starts_with('-') {
                return fail(&format!("the replica answers {answer} to {}", request_text(&effect)));
            }
        }
    }
    engine.keys.validate()?;
    replica.set_clock(now_ms);
    let (expected, given) = (compare::contents(&mut engine), compare::contents(&mut replica));
    match expected.iter().zip(&given).find(|(expected, given)| expected != given) {
        Some((expected, given)) => Err(format!("{expected}, but on the replica {given}")),
        None if expected.len() != given.len() => Err("the replica lacks a key".into()),
        None => Ok(replica.keys.validate()?),
    }
}
