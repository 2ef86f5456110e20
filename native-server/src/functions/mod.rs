//! WebAssembly functions.

pub mod reset;
