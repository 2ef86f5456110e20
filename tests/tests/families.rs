//! Random requests of all families on the engine alone, under every policy, with memory to spare
//! and without: see `family/exercise.rs`. `FERRITE_FAMILIES_ROUNDS` asks for more than CI takes.

use std::env;

use ferrite_engine::{Options, Policy};
use ferrite_tests::family::Requests;
use ferrite_tests::family::exercise::exercise;
use ferrite_tests::random::Random;

const STEPS: usize = 1_500;

#[test]
fn whatever_is_asked_the_engine_stays_sound() {
    let rounds = env::var("FERRITE_FAMILIES_ROUNDS").map_or(1, |text| text.parse().expect(&text));
    for seed in 0..rounds {
        for (name, policy) in Policy::ALL {
            for max_memory_bytes in [1 << 20, 3 << 20, 64 << 20] {
                for compression in [false, true] {
                    let base = Options { policy, seed, ..Options::default() };
                    let options = Options { max_memory_bytes, compression, ..base };
                    let is_known = |name: &str| ferrite_engine::find(name.as_bytes()).is_some();
                    let mut requests = Requests::mixed(Random::new(seed), is_known);
                    if let Err(broken) = exercise(&options, &mut requests, STEPS, 25) {
                        panic!("{broken}: {name}, seed {seed}, {options:?}");
                    }
                }
            }
        }
    }
}
