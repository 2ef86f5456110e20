//! The libraries that scripts have beside Lua's own, each in a file.
//!
//! Invariant: a function ends within a bound that its arguments' sizes give, or asks the watch
//! whether it may go on; and it never panics, whatever it is given.

pub mod bit;
pub mod cjson;
pub mod cmsgpack;
pub mod packing;
pub mod pattern;
pub mod random;
