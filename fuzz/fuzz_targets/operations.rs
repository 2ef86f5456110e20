//! Any sequence of requests: the bytes are the dice of the generator that the tests use, so that
//! most requests mean something.
#![no_main]

use ferrite_engine::{Options, Policy};
use ferrite_tests::family::{Requests, exercise::exercise};
use ferrite_tests::random::Random;
use libfuzzer_sys::fuzz_target;

const STEPS_MAX: usize = 400;

fuzz_target!(|bytes: &[u8]| {
    let mut random = Random::from_bytes(bytes);
    let policy = Policy::ALL[random.below(Policy::ALL.len())].1;
    let max_memory_bytes = random.pick(&[1 << 20, 2 << 20, 32 << 20]);
    let compression = random.one_in(2);
    let options = Options { max_memory_bytes, policy, compression, ..Options::default() };
    let is_known = |name: &str| ferrite_engine::find(name.as_bytes()).is_some();
    let mut requests = Requests::mixed(random, is_known);
    if let Err(broken) = exercise(&options, &mut requests, STEPS_MAX, 4) {
        panic!("{options:?}: {broken}");
    }
});
