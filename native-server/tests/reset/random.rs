//! Random modules, each called many times. `FERRITE_RESET_ROUNDS` multiplies the number of modules,
//! `FERRITE_RESET_SEED` is added to the seeds.

use std::env;

use crate::compare::compare;

const MODULES: u64 = 150;

#[test]
fn random_modules_behave_as_they_did_and_leave_nothing() {
    let variable = |name| env::var(name).ok().and_then(|text: String| text.parse().ok());
    let modules = MODULES * variable("FERRITE_RESET_ROUNDS").unwrap_or(1);
    let first = variable("FERRITE_RESET_SEED").unwrap_or(0);
    let (mut returned, mut trapped) = (0, 0);
    for seed in first..first + modules {
        println!("seed {seed}");
        let mut state = seed;
        let counts = compare(&mut |bound| (next(&mut state) % u64::from(bound)) as u32);
        returned += counts.0;
        trapped += counts.1;
    }
    println!("{returned} calls returned, {trapped} trapped");
    assert!(returned > trapped, "most of what is tried traps: {returned} of {trapped}");
}

fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
