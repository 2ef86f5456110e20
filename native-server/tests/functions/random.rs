//! Random scripts for the guest that does anything. `FERRITE_FUNCTIONS_ROUNDS` multiplies their
//! number, `FERRITE_FUNCTIONS_SEED` is added to the seeds.

use std::env;

use ferrite_tests::random::Random;

use crate::puppet::{play, puppet};

const SCRIPTS: u64 = 20_000;

#[test]
fn whatever_a_guest_does_is_all_or_nothing() {
    let variable = |name| env::var(name).ok().and_then(|text: String| text.parse().ok());
    let scripts = SCRIPTS * variable("FERRITE_FUNCTIONS_ROUNDS").unwrap_or(1);
    let first = variable("FERRITE_FUNCTIONS_SEED").unwrap_or(0);
    let mut puppet = puppet();
    for seed in first..first + scripts {
        let played = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            play(&mut puppet, &mut Random::new(seed));
        }));
        assert!(played.is_ok(), "seed {seed}");
    }
    let (returned, failed) = puppet.ended;
    assert!(returned > scripts / 10 && failed > scripts / 10, "{returned} and {failed}");
}
