//! The libraries that are loaded, and who is found under which name.
//!
//! Invariant: a function's name is that of one function; what a call found stays good for as long
//! as the call needs it, whatever is loaded meanwhile.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};

use crate::commands::Refusal;
use crate::functions::library::Library;
use crate::limits::functions::LIBRARIES_MAX;

/// All libraries at one moment.
#[derive(Clone, Default)]
pub struct Registry {
    /// By name.
    pub libraries: BTreeMap<String, Arc<Library>>,
    by_function: HashMap<Box<[u8]>, (Arc<Library>, usize)>,
}

impl Registry {
    /// A function, and its position in its library.
    pub fn find(&self, function: &[u8]) -> Option<&(Arc<Library>, usize)> {
        self.by_function.get(function)
    }

    /// How many functions there are.
    pub fn function_count(&self) -> usize {
        self.by_function.len()
    }

    /// Adds a library, in place of one of its name if that is wanted.
    ///
    /// # Errors
    /// Redis's, if a name is taken.
    pub fn add(&mut self, library: &Arc<Library>, replaces: bool) -> Result<(), Refusal> {
        let name = library.name();
        if self.libraries.contains_key(name) && !replaces {
            return Err(format!("ERR Library '{name}' already exists").into());
        }
        if !self.libraries.contains_key(name) && self.libraries.len() >= LIBRARIES_MAX {
            return Err(format!("ERR there are {LIBRARIES_MAX} libraries already").into());
        }
        for function in &library.functions {
            let taken = self.by_function.get(function.declaration.name.as_bytes());
            if taken.is_some_and(|(other, _)| other.name() != name) {
                let function = &function.declaration.name;
                return Err(format!("ERR Function '{function}' already exists").into());
            }
        }
        self.remove(name);
        for (position, function) in library.functions.iter().enumerate() {
            let name = function.declaration.name.as_bytes().into();
            self.by_function.insert(name, (Arc::clone(library), position));
        }
        self.libraries.insert(name.into(), Arc::clone(library));
        Ok(())
    }

    /// Removes a library. False if there is none of this name.
    pub fn remove(&mut self, name: &str) -> bool {
        self.by_function.retain(|_, (library, _)| library.name() != name);
        self.libraries.remove(name).is_some()
    }
}

/// The libraries that are loaded now.
#[derive(Default)]
pub struct Loaded {
    registry: RwLock<Arc<Registry>>,
    version: AtomicU64,
}

/// The libraries as of when they were last looked at.
#[derive(Clone, Default)]
pub struct Seen {
    /// The libraries.
    pub registry: Arc<Registry>,
    version: u64,
    /// The function that was found last.
    last: Option<(Arc<Library>, usize)>,
}

impl Seen {
    /// A function, and its position in its library. Most often it is the one of the call before.
    #[inline]
    pub fn find(&mut self, function: &[u8]) -> Option<(&Arc<Library>, usize)> {
        let is_last = self.last.as_ref().is_some_and(|(library, index)| {
            library.functions.get(*index).is_some_and(|last| last.name.as_bytes() == function)
        });
        if !is_last {
            self.last = self.registry.find(function).cloned();
        }
        self.last.as_ref().map(|(library, index)| (library, *index))
    }
}

impl Loaded {
    /// The libraries now.
    pub fn now(&self) -> Arc<Registry> {
        Arc::clone(&self.registry.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Brings what was seen up to date. True if something has changed.
    #[inline]
    pub fn refresh(&self, seen: &mut Seen) -> bool {
        let version = self.version.load(Ordering::Acquire);
        if version == seen.version {
            return false;
        }
        // In this order: a change in between makes it look older than it is, never newer.
        *seen = Seen { registry: self.now(), version, last: None };
        true
    }

    /// Changes the libraries, all at once or not at all.
    ///
    /// # Errors
    /// Those of `change`.
    pub fn change<T>(
        &self,
        change: impl FnOnce(&mut Registry) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let mut current = self.registry.write().unwrap_or_else(PoisonError::into_inner);
        let mut next = (**current).clone();
        let outcome = change(&mut next)?;
        *current = Arc::new(next);
        self.version.fetch_add(1, Ordering::Release);
        Ok(outcome)
    }
}
