//! What JavaScript does for the engine in the middle of a call: it delivers a value that is too
//! large for the scratch area, and takes a reply that is.
//!
//! Not here: the clock and the seed, which are arguments.

use ferrite_engine::Source;
use wasm_bindgen::prelude::wasm_bindgen;

#[wasm_bindgen]
extern "C" {
    /// Writes the next `length` bytes of the value being set to `pointer`.
    #[wasm_bindgen(js_name = ferrite_fill)]
    fn fill(pointer: usize, length: usize);

    /// Takes the next `length` bytes of the reply from `pointer`.
    #[wasm_bindgen(js_name = ferrite_flush)]
    fn flush(pointer: usize, length: usize);
}

/// A value that JavaScript delivers piece by piece.
pub(crate) struct Streamed {
    pub(crate) left: usize,
}

impl Source for Streamed {
    fn len(&self) -> usize {
        self.left
    }

    fn fill(&mut self, target: &mut [u8]) {
        self.left = self.left.saturating_sub(target.len());
        fill(target.as_mut_ptr().expose_provenance(), target.len());
    }
}

/// Hands a part of a reply to JavaScript.
pub(crate) fn flush_reply(part: &[u8]) {
    flush(part.as_ptr().expose_provenance(), part.len());
}
