//! Scripts in Lua, for what relies on them: EVAL and its fellows, and libraries for FUNCTION LOAD.
//!
//! A script runs on the thread that serves its client, under the lock of its database, as a
//! transaction does: its commands go through the one table, what they change is logged as one unit,
//! and the script itself never is. Each thread has Lua states of its own (machine.rs); the texts of
//! scripts are shared (scripts.rs). One that runs for long is looked after as in Redis (watch.rs,
//! busy.rs): the thread serves its other connections in between.
//!
//! Invariant: nothing of a script is seen by another but what it wrote to the keys; and no script
//! ends the server, fills its memory or keeps it from ending.
//!
//! The contract with scripts is docs/scripting.md.

pub mod api;
pub mod arguments;
pub mod busy;
pub mod calls;
pub mod eval;
pub mod host;
pub mod lib;
pub mod library;
pub mod machine;
pub mod run;
pub mod scripts;
pub mod shebang;
pub mod text;
pub mod thrown;
pub mod to_lua;
pub mod to_reply;
pub mod watch;

use std::rc::Rc;

use crate::commands::Refusal;
use crate::scripting::machine::Machine;
use crate::scripting::thrown::message_of;
use crate::server::Server;

/// What one thread keeps for scripts.
#[derive(Default)]
pub struct Thread {
    eval: Option<Rc<Machine>>,
    functions: Option<Rc<Machine>>,
}

impl Thread {
    /// The state for scripts, or for functions.
    ///
    /// # Errors
    /// There is no memory for one.
    pub fn machine(&mut self, server: &Server, is_eval: bool) -> Result<Rc<Machine>, Refusal> {
        let slot = if is_eval { &mut self.eval } else { &mut self.functions };
        if let Some(machine) = slot {
            return Ok(Rc::clone(machine));
        }
        let machine = Machine::new(is_eval, &server.log)
            .map_err(|why| format!("ERR no Lua state can be had: {}", message_of(&why)))?;
        Ok(Rc::clone(slot.insert(Rc::new(machine))))
    }

    /// Drops what is kept of libraries that are not there any more.
    pub fn forget_others(&self, is_there: impl Fn(u64) -> bool) {
        if let Some(machine) = &self.functions {
            machine.forget_others(is_there);
        }
    }
}
