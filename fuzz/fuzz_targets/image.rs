//! Any bytes as the pieces of an image: what is no such thing is refused, nothing panics.
#![no_main]

use ferrite_engine::{Image, Options};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut image = Image::new();
    if image.take(bytes).is_ok() {
        let _ = image.open(&Options::default());
    }
});
