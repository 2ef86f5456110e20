//! Any bytes as the payload of RESTORE, under a sound frame: version and checksum. What is
//! accepted leaves a sound keyspace, and comes back from DUMP as it is.
#![no_main]

use ferrite_engine::Options;
use ferrite_fuzz::sealed;
use ferrite_tests::answer::Answer;
use ferrite_tests::engine::Engine;
use ferrite_tests::family::compare;
use ferrite_tests::subject::Subject;
use libfuzzer_sys::fuzz_target;

/// The payload of any value is shorter than what the engine may take for it.
const BUDGET_BYTES: u64 = 16 << 20;

fuzz_target!(|bytes: &[u8]| {
    let options = Options { max_memory_bytes: BUDGET_BYTES, ..Options::default() };
    let mut engine = Engine::new(&options);
    let accepted = restore(&mut engine, b"key", sealed(bytes));
    engine.keys.validate().expect("a sound keyspace");
    if accepted != Answer::ok() {
        assert!(engine.keys.is_empty(), "refused with {accepted}, but something is there");
        return;
    }
    let Answer::Bulk(dumped) = engine.ask(&[b"DUMP".to_vec(), b"key".to_vec()]) else {
        // Whoever looks at a hash of which all fields have expired finds none.
        assert!(engine.keys.is_empty(), "what was restored can be dumped");
        return;
    };
    let mut other = Engine::new(&options);
    assert_eq!(restore(&mut other, b"key", dumped), Answer::ok());
    assert!(compare::contents(&mut engine) == compare::contents(&mut other), "another value");
});

fn restore(engine: &mut Engine, key: &[u8], payload: Vec<u8>) -> Answer {
    let answer = engine.ask(&[b"RESTORE".to_vec(), key.to_vec(), b"0".to_vec(), payload]);
    assert!(!answer.to_string().starts_with("-ERR unknown command"), "{answer}");
    answer
}
