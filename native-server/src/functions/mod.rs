//! Functions in WebAssembly: libraries that are loaded, and calls of their functions.
//!
//! A call runs on the thread that serves its client, under the lock of the database, on the
//! keyspace itself; what it changes is journalled and its effects are held back until it returns
//! (fcall.rs). One that does not return within a short quantum is undone, and runs again on a
//! thread for slow functions, on a copy of its keys (slow.rs). So nobody waits for a slow function
//! but who called it.
//!
//! Invariant: a call is all or nothing, whatever ends it; nothing of a call is seen by another.
//!
//! The contract with modules is docs/functions.md. `source.rs` reads what FUNCTION LOAD is given,
//! `metadata.rs` and `check.rs` look at the module, `load.rs` makes a [`Library`] of it.

pub mod abi;
pub mod bind;
pub mod cache;
pub mod call;
pub mod check;
pub mod command;
pub mod dump;
pub mod effects;
pub mod failure;
pub mod fcall;
pub mod host;
pub mod instance;
pub mod library;
pub mod load;
pub mod machine;
pub mod metadata;
pub mod registry;
pub mod reply;
pub mod reset;
pub mod run;
pub mod slow;
pub mod source;
pub mod stop;
pub mod thread_time;
pub mod wasi;

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::commands::Refusal;
use crate::functions::bind::Binding;
use crate::functions::cache::Cache;
use crate::functions::call::Call;
use crate::functions::host::{Kind, Running};
use crate::functions::instance::Instances;
use crate::functions::library::Library;
use crate::functions::load::Loader;
use crate::functions::registry::{AnyLibrary, Loaded, Registry, Seen};
use crate::functions::slow::SlowCalls;
use crate::functions::source::Source;
use crate::log::Log;
use crate::scripting;
use crate::scripting::library::{Library as Scripted, is_lua};

/// What all threads share of functions.
pub struct Functions {
    /// The libraries.
    pub loaded: Loaded,
    /// What makes them.
    pub loader: Loader,
    /// Calls for the threads of slow functions.
    pub slow: SlowCalls,
    running: Mutex<Vec<Arc<Running>>>,
    log: Arc<Log>,
}

impl Functions {
    /// None yet. What they say goes to this log.
    pub fn new(cache: Cache, log: &Arc<Log>) -> Functions {
        Functions {
            loaded: Loaded::default(),
            loader: Loader::new(cache, log),
            slow: SlowCalls::default(),
            running: Mutex::default(),
            log: Arc::clone(log),
        }
    }

    /// All libraries as a payload, for whoever keeps them.
    pub fn payload(&self) -> Vec<u8> {
        let registry = self.loaded.now();
        if registry.texts().next().is_none() {
            return Vec::new();
        }
        dump::write(registry.texts())
    }

    /// Brings the libraries of a payload back, each in place of one of its name.
    ///
    /// # Errors
    /// What is wrong with it; nothing has changed then.
    pub fn restore(&self, payload: &[u8]) -> Result<(), Refusal> {
        if payload.is_empty() {
            return Ok(());
        }
        self.bring_back(payload, false)
    }

    /// Puts the libraries of a payload in the place of those that are there.
    ///
    /// # Errors
    /// As for [`restore`](Self::restore).
    pub fn replace_all(&self, payload: &[u8]) -> Result<(), Refusal> {
        match payload.is_empty() {
            true => self.loaded.change(|registry| {
                *registry = Registry::default();
                Ok(())
            }),
            false => self.bring_back(payload, true),
        }
    }

    fn bring_back(&self, payload: &[u8], flushes: bool) -> Result<(), Refusal> {
        let mut libraries = Vec::new();
        for text in dump::read(payload)? {
            libraries.push(self.make(&text)?);
        }
        self.loaded.change(|registry| {
            if flushes {
                *registry = Registry::default();
            }
            libraries.iter().try_for_each(|library| registry.add_any(library, true))
        })
    }

    /// Makes a library of what FUNCTION LOAD takes.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn make(&self, text: &[u8]) -> Result<AnyLibrary, Refusal> {
        if is_lua(text) {
            return Ok(AnyLibrary::Script(Arc::new(Scripted::load(text, &self.log)?)));
        }
        Ok(AnyLibrary::Module(self.loader.load(&Source::read(text)?)?))
    }

    /// Does again what a log has of FUNCTION: a library that was loaded, deleted, or all of them.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn redo(&self, request: &[&[u8]]) -> Result<(), String> {
        let outcome = match request {
            [_, b"LOAD", text] => self.make(text).and_then(|library| {
                self.loaded.change(|registry| registry.add_any(&library, true))
            }),
            [_, b"DELETE", name] => self.loaded.change(|registry| {
                // A checkpoint may have been taken after it was deleted.
                registry.remove(&String::from_utf8_lossy(name));
                Ok(())
            }),
            [_, b"FLUSH"] => self.loaded.change(|registry| {
                *registry = Registry::default();
                Ok(())
            }),
            _ => Err("ERR a change of functions is unknown".into()),
        };
        outcome.map_err(|refusal| refusal.to_string())
    }

    /// The functions that run for longer than a moment, those first that began first.
    pub fn running(&self) -> Vec<Arc<Running>> {
        self.lock_running().clone()
    }

    /// Ends all functions in WebAssembly that run for longer than a moment. How many there were.
    pub fn kill(&self) -> usize {
        let running = self.lock_running();
        let modules = running.iter().filter(|running| running.kind == Kind::Module);
        modules.inspect(|running| running.is_killed.store(true, Relaxed)).count()
    }

    /// Lets others see a script that runs.
    pub fn add(&self, running: &Arc<Running>) {
        self.lock_running().push(Arc::clone(running));
    }

    /// It runs no more.
    pub fn hide(&self, running: &Arc<Running>) {
        self.lock_running().retain(|other| !Arc::ptr_eq(other, running));
    }

    /// Lets others see that a function runs, until the guard is dropped.
    pub fn show(&self, running: Arc<Running>) -> Shown<'_> {
        self.lock_running().push(Arc::clone(&running));
        Shown { functions: self, running }
    }

    fn lock_running(&self) -> MutexGuard<'_, Vec<Arc<Running>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// See [`Functions::show`].
pub struct Shown<'f> {
    functions: &'f Functions,
    /// What is shown.
    pub running: Arc<Running>,
}

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        self.functions.hide(&self.running);
    }
}

/// What one thread keeps for its calls.
#[derive(Default)]
pub struct Thread {
    seen: Option<Seen>,
    /// Instances that are not in use.
    pub instances: Instances,
    /// Memory for parameters.
    pub binding: Binding,
    /// What it keeps for scripts.
    pub scripts: scripting::Thread,
    call: Option<Box<Call>>,
    /// The library of the call that was measured last, and which of its functions is measured now.
    measured: Option<(Arc<Library>, Option<usize>)>,
}

impl Thread {
    /// The libraries that are loaded now, to be given back with [`keep_seen`](Self::keep_seen):
    /// so whoever calls a function of one of them need not count its references.
    #[inline]
    pub fn take_seen(&mut self, loaded: &Loaded) -> Seen {
        let mut seen = self.seen.take().unwrap_or_default();
        if loaded.refresh(&mut seen) {
            self.forget_others(&seen.registry);
        }
        seen
    }

    /// See [`take_seen`](Self::take_seen).
    #[inline]
    pub fn keep_seen(&mut self, seen: Seen) {
        self.seen = Some(seen);
    }

    /// Drops what it has of libraries that are not there any more.
    #[cold]
    fn forget_others(&mut self, registry: &Registry) {
        let libraries = &registry.libraries;
        let is_there = |id: u64| libraries.values().any(|library| library.id == id);
        self.instances.retain(is_there);
        self.scripts.forget_others(|id| registry.scripted.values().any(|other| other.id == id));
        self.measured = None;
    }

    /// Memory for a call.
    #[inline]
    pub fn take_call(&mut self) -> Box<Call> {
        self.call.take().unwrap_or_else(Call::new)
    }

    /// Keeps a call's memory for the next.
    #[inline]
    pub fn keep_call(&mut self, call: Box<Call>) {
        self.call = Some(call);
    }

    /// Has the command that runs counted as a call of this function.
    #[inline]
    pub fn measure(&mut self, library: &Arc<Library>, index: usize) {
        match &mut self.measured {
            Some((last, measured)) if Arc::ptr_eq(last, library) => *measured = Some(index),
            measured => *measured = Some((Arc::clone(library), Some(index))),
        }
    }

    /// A command took so long: if it called a function, so did that.
    #[inline]
    pub fn note_elapsed(&mut self, elapsed: Duration) {
        if let Some((library, measured)) = &mut self.measured
            && let Some(function) = measured.take().and_then(|index| library.functions.get(index))
        {
            function.tally.note(elapsed);
        }
    }
}
