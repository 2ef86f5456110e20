//! A Lua state: how it is set up, and what it keeps from one script to the next.
//!
//! Each thread has one for scripts, and one for functions, as Redis has. The state is stock Lua 5.1
//! with the base, string, table and math libraries. What scripts see of it is made by prelude.lua;
//! what they call in the server by host.rs and api.rs.
//!
//! Invariant: only text is compiled, and while it is nothing is collected: the parser of stock Lua
//! holds on to texts that the collector does not know of (CVE-2025-49844).
//! Invariant: no memory beyond the limit, and no script without the hook that ends it.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::rc::Rc;
use std::sync::Arc;

use lru::LruCache;
use mlua::{
    ChunkMode, Function, HookTriggers, IntoLua, Lua, LuaOptions, StdLib, Table, Value, VmState,
};

use crate::acl::user::User;
use crate::commands::Refusal;
use crate::functions::metadata::Flag;
use crate::limits::scripting::{
    COMPILED_SCRIPTS_MAX, HOOK_INSTRUCTIONS, KEPT_BYTES, MEMORY_BYTES_MAX, SCRIPT_BYTES_MAX,
};
use crate::log::Log;
use crate::scripting::lib::cjson::Settings;
use crate::scripting::lib::random;
use crate::scripting::scripts::{Script, Sha};
use crate::scripting::thrown::{Thrown, message_of};
use crate::scripting::watch::Watch;
use crate::scripting::{api, host};

/// The name of prelude.lua's code.
pub const PRELUDE: &str = "=ferrite";

/// A function that a library registers.
pub struct Registered {
    /// Its name.
    pub name: String,
    /// What its author says of it.
    pub description: Option<String>,
    /// Its flags.
    pub flags: Vec<Flag>,
    /// What is called.
    pub callback: Function,
}

/// What the functions of a state share.
pub struct Shared {
    /// Where `redis.log` writes.
    pub log: Arc<Log>,
    /// The protocol that replies come to the script in: 2 or 3.
    pub protocol: Cell<u8>,
    /// The state of `math.random`.
    pub random: Cell<u64>,
    /// How long the script runs, and whether it has to end.
    pub watch: Watch,
    /// Whether a script is running: what needs one may be called.
    pub is_running: Cell<bool>,
    /// Who runs it, unless they may do everything.
    pub user: RefCell<Option<Arc<User>>>,
    /// Whether the collector was told something.
    pub is_collector_told: Cell<bool>,
    /// What is registered by a library that is being loaded.
    pub loading: RefCell<Option<Vec<Registered>>>,
    /// The settings of `cjson` itself, as opposed to those that scripts make.
    pub json: Rc<RefCell<Settings>>,
}

/// A Lua state.
pub struct Machine {
    /// The state.
    pub lua: Lua,
    /// What its functions share.
    pub shared: Rc<Shared>,
    /// Runs a script (see prelude.lua).
    pub run: Function,
    /// Runs a library's code.
    pub load: Function,
    /// Makes a table of an error.
    pub handler: Function,
    /// What is compiled is in a table, by number: references to it would be few.
    functions: Table,
    last_number: Cell<u64>,
    compiled: RefCell<LruCache<Sha, (Arc<Script>, u64)>>,
    /// The numbers of libraries' functions, by the libraries' own.
    libraries: RefCell<HashMap<u64, u64>>,
    used_bytes: Cell<usize>,
}

impl Machine {
    /// A state for scripts, or for functions.
    ///
    /// # Errors
    /// Lua's, if there is no memory.
    pub fn new(is_eval: bool, log: &Arc<Log>) -> mlua::Result<Machine> {
        let libs = StdLib::STRING | StdLib::TABLE | StdLib::MATH;
        let lua = Lua::new_with(libs, LuaOptions::new())?;
        lua.set_memory_limit(MEMORY_BYTES_MAX)?;
        let shared = Rc::new(Shared {
            log: Arc::clone(log),
            protocol: Cell::new(2),
            random: Cell::new(random::FIRST),
            watch: Watch::default(),
            is_running: Cell::new(false),
            user: RefCell::default(),
            is_collector_told: Cell::new(false),
            loading: RefCell::new(None),
            json: Rc::default(),
        });
        let functions = lua.create_table()?;
        host::add(&lua, &functions, &shared)?;
        api::add(&lua, &functions, &shared, is_eval)?;
        let handler = api::handler(&lua)?;
        let prelude = lua.load(include_str!("prelude.lua")).set_name(PRELUDE);
        let prepared: Table = prelude.call((functions, lua.globals()))?;
        lua.set_globals(prepared.raw_get("globals")?)?;
        let size = NonZeroUsize::new(COMPILED_SCRIPTS_MAX).unwrap_or(NonZeroUsize::MIN);
        let machine = Machine {
            run: prepared.raw_get("run")?,
            load: prepared.raw_get("load")?,
            handler,
            lua,
            shared,
            compiled: RefCell::new(LruCache::new(size)),
            functions: prepared.raw_get("scripts")?,
            last_number: Cell::new(0),
            libraries: RefCell::default(),
            used_bytes: Cell::new(0),
        };
        machine.watch_every(HOOK_INSTRUCTIONS)?;
        Ok(machine)
    }

    /// Has the watch asked after so many instructions.
    pub fn watch_every(&self, instructions: u32) -> mlua::Result<()> {
        set_hook(&self.lua, &self.shared, instructions)
    }

    /// Has the watch asked as seldom as ever again, after a script that it has ended.
    pub fn restore_hook(&self) {
        if self.shared.watch.take_ended() {
            // There was memory for it before.
            let _ = self.watch_every(HOOK_INSTRUCTIONS);
        }
    }

    /// Compiles a script: its number.
    ///
    /// # Errors
    /// Redis's, if it cannot be compiled.
    pub fn compile(&self, script: &Arc<Script>) -> Result<u64, Refusal> {
        let code = script.text.get(script.code_at..).unwrap_or_default();
        let function = compile(&self.lua, code, "@user_script").map_err(|why| {
            Refusal::from(format!("ERR Error compiling script (new function): {why}"))
        })?;
        let number = self.keep(function)?;
        let kept = (Arc::clone(script), number);
        let dropped = self.compiled.borrow_mut().push(script.sha, kept);
        if let Some((_, (_, number))) = dropped {
            self.forget(number);
        }
        Ok(number)
    }

    fn keep(&self, value: impl IntoLua) -> Result<u64, Refusal> {
        let number = self.last_number.get() + 1;
        self.last_number.set(number);
        let kept = self.functions.raw_set(number, value);
        kept.map_err(|why| Refusal::from(format!("ERR {}", message_of(&why))))?;
        Ok(number)
    }

    fn forget(&self, number: u64) {
        // To leave something out takes no memory.
        let _ = self.functions.raw_set(number, Value::Nil);
    }

    /// A script that this state has compiled and that is still in the cache.
    pub fn find(&self, sha: &Sha) -> Option<(Arc<Script>, u64)> {
        let mut compiled = self.compiled.borrow_mut();
        let (script, number) = compiled.get(sha)?;
        if !script.is_gone() {
            return Some((Arc::clone(script), *number));
        }
        if let Some((_, number)) = compiled.pop(sha) {
            self.forget(number);
        }
        None
    }

    /// The number of a library's functions, if this state has them.
    pub fn library(&self, id: u64) -> Option<u64> {
        self.libraries.borrow().get(&id).copied()
    }

    /// Keeps the functions of a library.
    ///
    /// # Errors
    /// There is no memory.
    pub fn keep_library(&self, id: u64, functions: Vec<Function>) -> Result<u64, Refusal> {
        let failed = |why: mlua::Error| Refusal::from(format!("ERR {}", message_of(&why)));
        let list = self.lua.create_sequence_from(functions).map_err(failed)?;
        let number = self.keep(list)?;
        self.libraries.borrow_mut().insert(id, number);
        Ok(number)
    }

    /// Drops libraries that are not there any more.
    pub fn forget_others(&self, is_there: impl Fn(u64) -> bool) {
        self.libraries.borrow_mut().retain(|id, number| {
            let stays = is_there(*id);
            if !stays {
                self.forget(*number);
            }
            stays
        });
    }

    /// Bytes that are in use more than when this was last asked.
    pub fn growth_bytes(&self) -> i64 {
        let used_bytes = self.lua.used_memory();
        used_bytes as i64 - self.used_bytes.replace(used_bytes) as i64
    }

    /// Brings back what a script has set for itself.
    pub fn tidy(&self) {
        if self.shared.is_collector_told.replace(false) {
            self.lua.gc_restart();
            self.lua.gc_set_pause(200);
            self.lua.gc_set_step_multiplier(200);
        }
        // Lua 5.1 collects nothing when memory is short: it has to be done before.
        if self.lua.used_memory() > KEPT_BYTES {
            // What fails stays for the next time.
            let _ = self.lua.gc_collect();
        }
        if *self.shared.json.borrow() != Settings::default() {
            *self.shared.json.borrow_mut() = Settings::default();
        }
    }
}

/// Why the watch has a script end, as the error that it gets.
fn set_hook(lua: &Lua, shared: &Rc<Shared>, instructions: u32) -> mlua::Result<()> {
    let triggers = HookTriggers::new().every_nth_instruction(instructions);
    let watched = Rc::clone(shared);
    lua.set_global_hook(triggers, move |lua, debug| match watched.watch.ask() {
        // What has to be done behind a script is done, whatever became of it.
        Err(_) if debug.source().source.is_some_and(|name| name == PRELUDE) => {
            Ok(VmState::Continue)
        }
        Ok(()) => Ok(VmState::Continue),
        Err(why) => {
            // From now on after each instruction, so that no `pcall` goes on behind the error.
            if instructions > 1 {
                set_hook(lua, &watched, 1)?;
            }
            // As in Redis it is an error of the kind that commands give.
            Err(Thrown::End(format!("ERR {why}")).raise())
        }
    })
}

/// Compiles a text.
///
/// # Errors
/// Lua's message.
pub fn compile(lua: &Lua, text: &[u8], name: &str) -> Result<Function, String> {
    if text.first() == Some(&0x1b) {
        return Err("attempt to load a binary chunk (only text is compiled)".into());
    }
    if text.len() > SCRIPT_BYTES_MAX {
        return Err("chunk is too long".into());
    }
    let name = name.split('\0').next().unwrap_or_default();
    lua.gc_stop();
    let chunk = lua.load(text).set_name(name).set_mode(ChunkMode::Text);
    let outcome = chunk.into_function();
    lua.gc_restart();
    outcome.map_err(|error| message_of(&error))
}
