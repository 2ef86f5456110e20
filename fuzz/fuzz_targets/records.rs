//! Any bytes as a record, a page, packed entries: what is no such thing is refused, nothing panics.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| ferrite_engine::fuzzing::decode(bytes));
