//! From a source to a library: checked, compiled, linked, started once.
//!
//! Invariant: this is never done on a thread that serves; it ends within its limits, or in an error
//! that names the limit. What is compiled at the same time is compiled once.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use sha2::{Digest, Sha256};
use wasmtime::{Extern, Module, Store, StoreLimits};

use crate::commands::Refusal;
use crate::functions::cache::Cache;
use crate::functions::check::{Import, Shape};
use crate::functions::host::Host;
use crate::functions::instance::{Instance, timed};
use crate::functions::library::{About, Function, Isolation, Library};
use crate::functions::machine::{Guests, Machine};
use crate::functions::metadata::{Declaration, Flag};
use crate::functions::reset;
use crate::functions::source::{Source, check_library_name};
use crate::limits::functions::{COMPILATIONS_MAX, COMPILE_MS_MAX};
use crate::log::Log;

/// How long a library may take to start when it is loaded.
const START_MS_MAX: u64 = 1000;

/// The stack of a thread that compiles.
const COMPILER_STACK_BYTES: usize = 16 << 20;

type Digest32 = [u8; 32];
type Compiled = Arc<Mutex<Option<Result<Module, String>>>>;

/// What loads libraries.
pub struct Loader {
    /// Code that was compiled before.
    pub cache: Cache,
    /// How often a module was compiled, and how often its code was there already.
    pub compiled: AtomicU64,
    /// See `compiled`.
    pub fetched: AtomicU64,
    log: Arc<Log>,
    machines: [OnceLock<Option<Arc<Machine>>>; 3],
    last_id: AtomicU64,
    compilations: Arc<AtomicUsize>,
    /// Modules that are being compiled, or were for libraries that are loaded at this moment.
    in_flight: Mutex<HashMap<(Digest32, Guests), Compiled>>,
}

impl Loader {
    /// One whose libraries write into this log.
    pub fn new(cache: Cache, log: &Arc<Log>) -> Loader {
        Loader {
            cache,
            compiled: AtomicU64::new(0),
            fetched: AtomicU64::new(0),
            log: Arc::clone(log),
            machines: Default::default(),
            last_id: AtomicU64::new(0),
            compilations: Arc::default(),
            in_flight: Mutex::default(),
        }
    }

    /// Makes a library from its source.
    ///
    /// # Errors
    /// What is wrong with it, or which limit it exceeds.
    pub fn load(&self, source: &Source) -> Result<Arc<Library>, Refusal> {
        let shape = Shape::of(&source.module)?;
        let name = source.name.clone().or_else(|| shape.metadata.library.clone());
        let name = name.ok_or(
            "ERR Library has no name: give it with NAME or name=, or in the section ferrite.udf",
        )?;
        check_library_name(&name)?;
        let (rewritten, isolation) = isolate(&source.module, &shape.metadata.functions);
        let is_metered = shape.metadata.functions.iter().any(|function| function.fuel.is_some());
        let machine = self.machine(match isolation {
            Isolation::Reset(_) => Guests::Rewritten,
            Isolation::Fresh(_) if is_metered => Guests::Metered,
            Isolation::Fresh(_) => Guests::Plain,
        })?;
        let about = About::new(&name, &source.config, &self.log);
        check_imports(&machine, &about, &shape.imports)?;
        if let Isolation::Fresh(reason) = &isolation {
            self.log.notice(format!("each call of {name} gets a new instance: {reason}"));
        }
        let module = rewritten.as_deref().unwrap_or(&source.module);
        let module = self.compile(&machine, module)?;
        let linked = machine.linker.instantiate_pre(&module);
        let linked = linked.map_err(|error| invalid(&error))?;
        let library = Arc::new(Library {
            id: self.last_id.fetch_add(1, Ordering::Relaxed) + 1,
            about,
            version: shape.metadata.version,
            text: source.text(&name).into(),
            functions: shape.metadata.functions.into_iter().map(Function::new).collect(),
            isolation,
            machine,
            linked,
        });
        let _hold = library.machine.ticker.hold();
        match Instance::new(&library, timed(START_MS_MAX)) {
            Ok(mut instance) => {
                if let Isolation::Reset(image) = &library.isolation {
                    let taken = instance.image().map_err(|why| format!("ERR Module: {why}"))?;
                    let _ = image.set(Arc::new(taken));
                }
                Ok(Arc::clone(&library))
            }
            Err(failure) => {
                let line = failure.line("start", START_MS_MAX, 0);
                let what = line.strip_prefix("ERR function 'start' ").unwrap_or(&line);
                let what = what.strip_prefix("trapped: ").unwrap_or(what);
                Err(format!("ERR Module failed to start: {what}").into())
            }
        }
    }

    fn machine(&self, guests: Guests) -> Result<Arc<Machine>, Refusal> {
        let slot = match (guests, &self.machines) {
            (Guests::Rewritten, [slot, _, _]) => slot,
            (Guests::Plain, [_, slot, _]) => slot,
            (Guests::Metered, [_, _, slot]) => slot,
        };
        let machine = slot.get_or_init(|| match Machine::new(guests, &self.log) {
            Ok(machine) => Some(Arc::new(machine)),
            Err(why) => {
                self.log.warning(format_args!("functions cannot be run on this system: {why}"));
                None
            }
        });
        machine.clone().ok_or_else(|| "ERR functions cannot be run on this system".into())
    }

    /// Fetches or compiles a module, or waits for who is doing that with the same.
    fn compile(&self, machine: &Arc<Machine>, module: &[u8]) -> Result<Module, Refusal> {
        let digest: Digest32 = Sha256::digest(module).into();
        let key = (digest, machine.guests);
        let slot = {
            let mut in_flight = self.in_flight.lock().unwrap_or_else(PoisonError::into_inner);
            // Nobody waits for what only the table holds.
            in_flight.retain(|other, slot| *other == key || Arc::strong_count(slot) > 1);
            Arc::clone(in_flight.entry(key).or_default())
        };
        let mut compiled = slot.lock().unwrap_or_else(PoisonError::into_inner);
        let outcome = match &*compiled {
            Some(Ok(module)) => Ok(module.clone()),
            // It may have been the machine's fault.
            Some(Err(_)) | None => self.fetch_or_compile(machine, module, &digest),
        };
        let kept = outcome.as_ref().map_err(|_| String::new()).cloned();
        *compiled = Some(kept);
        outcome
    }

    fn fetch_or_compile(
        &self,
        machine: &Arc<Machine>,
        module: &[u8],
        digest: &Digest32,
    ) -> Result<Module, Refusal> {
        if let Some(module) = self.cache.fetch(machine, digest) {
            self.fetched.fetch_add(1, Ordering::Relaxed);
            return Ok(module);
        }
        let module = self.compile_apart(machine, module)?;
        self.compiled.fetch_add(1, Ordering::Relaxed);
        self.cache.keep(machine, digest, &module);
        Ok(module)
    }

    /// Compiles on a thread of its own, which nobody waits for longer than the limit. It cannot be
    /// stopped, but what it is given is bounded (check.rs), and so is the number of such threads.
    fn compile_apart(&self, machine: &Arc<Machine>, module: &[u8]) -> Result<Module, Refusal> {
        let running = Arc::clone(&self.compilations);
        if running.fetch_add(1, Ordering::AcqRel) >= COMPILATIONS_MAX {
            running.fetch_sub(1, Ordering::AcqRel);
            return Err("ERR too many modules are compiled at the same time: try again".into());
        }
        let (sender, receiver) = mpsc::channel();
        let (engine, module) = (machine.engine.clone(), module.to_vec());
        let thread = std::thread::Builder::new()
            .name("ferrite-compiler".into())
            .stack_size(COMPILER_STACK_BYTES)
            .spawn(move || {
                let outcome = catch_unwind(AssertUnwindSafe(|| Module::new(&engine, &module)));
                running.fetch_sub(1, Ordering::AcqRel);
                // Nobody may be waiting any more.
                let _ = sender.send(outcome);
            });
        if let Err(why) = thread {
            self.compilations.fetch_sub(1, Ordering::AcqRel);
            return Err(format!("ERR no thread can be had to compile the module: {why}").into());
        }
        match receiver.recv_timeout(Duration::from_millis(COMPILE_MS_MAX)) {
            Ok(Ok(outcome)) => outcome.map_err(|error| invalid(&error)),
            Ok(Err(_)) => Err("ERR Module is invalid: the compiler gave up".into()),
            Err(_) => Err(format!(
                "ERR Module took too long to compile: the limit is {COMPILE_MS_MAX} ms"
            )
            .into()),
        }
    }
}

fn invalid(error: &wasmtime::Error) -> Refusal {
    let why = format!("{error:#}").replace(['\r', '\n'], " ");
    let why: String = why.chars().take(400).collect();
    format!("ERR Module is invalid: {why}").into()
}

/// How calls of a library are kept apart; and its module, rewritten so that its instances can be
/// set back, if they can be.
fn isolate(module: &[u8], functions: &[Declaration]) -> (Option<Vec<u8>>, Isolation) {
    let fresh = |reason: &str| (None, Isolation::Fresh(reason.into()));
    if functions.iter().all(|function| function.has(Flag::Fresh)) {
        return fresh("as it asks for");
    }
    // What is rewritten takes more fuel, which must depend on nothing but the module.
    if functions.iter().any(|function| function.fuel.is_some()) {
        return fresh("its fuel is counted");
    }
    match reset::rewrite(module) {
        Ok(rewritten) => (Some(rewritten), Isolation::Reset(OnceLock::new())),
        Err(unfit) => fresh(&unfit.to_string()),
    }
}

/// Looks whether everything that a module imports is there, with the same type.
fn check_imports(machine: &Machine, about: &Arc<About>, imports: &[Import]) -> Result<(), Refusal> {
    let mut store =
        Store::new(&machine.engine, Host::new(about, StoreLimits::default(), timed(START_MS_MAX)));
    for Import { module, name, of } in imports {
        let shown: String = name.chars().take(128).collect();
        let from: String = module.chars().take(64).collect();
        let Ok(Extern::Func(found)) = machine.linker.get(&mut store, module, name) else {
            let mut line = format!("ERR Module imports '{from}'.'{shown}', which is not there");
            let names = machine.linker.iter(&mut store).map(|(_, name, _)| name.to_owned());
            if let Some(nearest) = nearest(name, names.collect()) {
                line.push_str(&format!(" (is it '{nearest}'?)"));
            }
            return Err(line.into());
        };
        let found = found.ty(&store);
        let list = |types: Vec<String>| types.join(", ");
        let params = list(found.params().map(|of| of.to_string()).collect());
        let results = list(found.results().map(|of| of.to_string()).collect());
        let wanted = format!("({params}) -> ({results})");
        if *of != wanted {
            return Err(
                format!("ERR Module imports '{from}'.'{shown}' as {of}, it is {wanted}").into()
            );
        }
    }
    Ok(())
}

/// The name that was probably meant.
fn nearest(name: &str, names: Vec<String>) -> Option<String> {
    let near = names.into_iter().map(|other| (distance(name, &other), other));
    let (distance, nearest) = near.min()?;
    (distance <= 3 && distance * 2 < name.len()).then_some(nearest)
}

/// How many letters have to be changed, added or left out.
fn distance(one: &str, other: &str) -> usize {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    if one.len() > 64 {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (line, letter) in one.iter().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], line + 1);
        for (column, candidate) in other.iter().enumerate() {
            let changed = diagonal + usize::from(letter != candidate);
            diagonal = row[column + 1];
            row[column + 1] = changed.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_was_meant_is_found() {
        let names = || vec!["ferrite_get".into(), "ferrite_set".into(), "ferrite_log".into()];
        assert_eq!(nearest("ferrite_gt", names()).as_deref(), Some("ferrite_get"));
        assert_eq!(nearest("ferrite_logs", names()).as_deref(), Some("ferrite_log"));
        assert_eq!(nearest("emscripten_notify", names()), None);
    }
}
