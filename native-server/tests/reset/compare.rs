//! A random module, called many times: what was rewritten does what the original does, and every
//! call finds the instance as a new one would be.

use wasmtime::Val;

use crate::bed::{Bed, Outcome};
use crate::program::{Choose, program};

const CALLS: u32 = 12;

/// How many calls returned and left nothing, and how many trapped.
pub fn compare(choose: Choose<'_>) -> (u32, u32) {
    let bed = Bed::new(&program(choose));
    let mut ours = bed.resettable();
    let (mut returned, mut trapped) = (0, 0);
    for call in 0..CALLS {
        let name = choose(3).to_string();
        let arguments = [0; 2].map(|_| Val::I32(choose(1 << 17) as i32));
        let mut theirs = bed.original();
        for guest in [&mut ours, &mut theirs] {
            guest.store.data_mut().secret = call as u8 + 1;
        }
        let outcome = ours.call(&name, &arguments);
        assert_eq!(outcome, theirs.call(&name, &arguments), "call {call}");
        assert!(ours.bytes() == theirs.bytes(), "call {call}: other memory");
        for global in ["g0", "g1"] {
            assert_eq!(ours.global(global), theirs.global(global), "call {call}, {global}");
        }
        match outcome {
            Outcome::Returned(_) if ours.reset() => returned += 1,
            Outcome::Returned(_) => ours = bed.resettable(),
            Outcome::Trapped(_) => {
                trapped += 1;
                ours = bed.resettable();
            }
        }
    }
    (returned, trapped)
}
