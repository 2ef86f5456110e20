//! Any bytes as a module to be rewritten, and as the choices from which a module is made: what is
//! rewritten is valid, does what the original does, and leaves nothing for the next call.
#![no_main]

#[path = "../../native-server/tests/reset/bed.rs"]
mod bed;
#[path = "../../native-server/tests/reset/compare.rs"]
mod compare;
#[path = "../../native-server/tests/reset/program.rs"]
mod program;

use ferrite_server::functions::reset::rewrite;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    // A module is given back only after it was validated.
    if let Ok(rewritten) = rewrite(bytes) {
        assert!(rewrite(&rewritten).is_err(), "what was rewritten has names that are reserved");
    }
    let mut rest = bytes;
    compare::compare(&mut |bound| {
        let (taken, others) = rest.split_at(rest.len().min(if bound > 256 { 3 } else { 1 }));
        rest = others;
        taken.iter().fold(0, |number, &byte| number << 8 | u32::from(byte)) % bound
    });
});
