//! Scripts in Lua: what they see, what they do, and what they cannot do to the server.

#[path = "../common/mod.rs"]
mod common;

mod busy;
mod hostile;
mod judged;
mod kept;
mod libraries;
mod random;
mod scripts;
