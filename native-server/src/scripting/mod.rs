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
pub mod room;
pub mod run;
pub mod scripts;
pub mod shebang;
pub mod text;
pub mod thrown;
pub mod to_lua;
pub mod to_reply;
pub mod watch;

use std::rc::Rc;

use crate::commands::{Command, Refusal};
use crate::functions::host::Kind;
use crate::scripting::machine::Machine;
use crate::scripting::scripts::may_roam;
use crate::scripting::thrown::message_of;
use crate::server::Server;

/// Whether a request that EXEC is to run is of a script that reaches beyond one database.
pub fn reaches(server: &Server, command: &Command, request: &[Box<[u8]>]) -> bool {
    let source = request.get(1).map(|source| &**source).unwrap_or_default();
    let by_name = match command.name {
        "eval" | "eval_ro" => may_roam(source),
        "evalsha" | "evalsha_ro" => scripts::parse(source)
            .and_then(|sha| server.scripts.cache.find(&sha))
            .is_some_and(|script| script.may_roam),
        "fcall" | "fcall_ro" => {
            let registry = server.functions.loaded.now();
            registry.find_scripted(source).is_some_and(|(library, _)| library.may_roam)
        }
        _ => return false,
    };
    by_name || request.iter().skip(2).any(|word| may_roam(word))
}

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

    /// Drops a state that cannot be used again.
    pub fn drop_machine(&mut self, kind: Kind) {
        match kind {
            Kind::Script => self.eval = None,
            _ => self.functions = None,
        }
    }

    /// Drops what is kept of libraries that are not there any more.
    pub fn forget_others(&self, is_there: impl Fn(u64) -> bool) {
        if let Some(machine) = &self.functions {
            machine.forget_others(is_there);
        }
    }
}
