//! Any bytes as the script of a guest that does whatever it says: host functions with any numbers,
//! an allocator and results that lie. Whatever it does, a call is all or nothing.
#![no_main]

#[path = "../../native-server/tests/functions/puppet.rs"]
mod puppet;
#[path = "../../native-server/tests/functions/stage.rs"]
mod stage;

use std::cell::RefCell;

use ferrite_tests::random::Random;
use libfuzzer_sys::fuzz_target;

thread_local! {
    static GUEST: RefCell<stage::Stage> = RefCell::new(puppet::puppet());
}

fuzz_target!(|bytes: &[u8]| {
    GUEST.with_borrow_mut(|guest| puppet::play(guest, &mut Random::from_bytes(bytes)));
});
