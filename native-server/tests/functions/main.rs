//! Functions in WebAssembly: loading, calls, what a call leaves behind, and everything that a
//! module can do wrong. The modules are written as text, so that each test shows what its guest
//! does.

#[path = "../common/mod.rs"]
mod common;

mod bombs;
mod cache;
mod calls;
mod guest;
mod hostile;
mod isolation;
mod kept;
mod load;
mod puppet;
mod random;
mod rollback;
mod room;
mod slow;
mod stage;
