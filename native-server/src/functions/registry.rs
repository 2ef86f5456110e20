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
use crate::scripting::library::Library as Scripted;

/// A library of either kind.
pub enum AnyLibrary {
    /// In WebAssembly.
    Module(Arc<Library>),
    /// In Lua.
    Script(Arc<Scripted>),
}

impl AnyLibrary {
    /// Its name.
    pub fn name(&self) -> &str {
        match self {
            AnyLibrary::Module(library) => library.name(),
            AnyLibrary::Script(library) => &library.name,
        }
    }

    /// What FUNCTION LOAD takes to load it again.
    pub fn text(&self) -> &[u8] {
        match self {
            AnyLibrary::Module(library) => &library.text,
            AnyLibrary::Script(library) => &library.text,
        }
    }
}

/// All libraries at one moment.
#[derive(Clone, Default)]
pub struct Registry {
    /// By name.
    pub libraries: BTreeMap<String, Arc<Library>>,
    by_function: HashMap<Box<[u8]>, (Arc<Library>, usize)>,
    /// Those in Lua, by name.
    pub scripted: BTreeMap<String, Arc<Scripted>>,
    by_scripted_function: HashMap<Box<[u8]>, (Arc<Scripted>, usize)>,
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

    /// A function in Lua, and its position in its library.
    pub fn find_scripted(&self, function: &[u8]) -> Option<&(Arc<Scripted>, usize)> {
        if self.by_scripted_function.is_empty() {
            return None;
        }
        // As in Redis the case of their names does not matter.
        self.by_scripted_function.get(&*function.to_ascii_lowercase())
    }

    /// How many functions in Lua there are.
    pub fn scripted_count(&self) -> usize {
        self.by_scripted_function.len()
    }

    /// Whether a library of either kind has this name.
    fn has(&self, name: &str) -> bool {
        self.libraries.contains_key(name) || self.scripted.contains_key(name)
    }

    /// Looks whether a library may have its name, and its functions theirs.
    fn look_at_names<'n>(
        &self,
        name: &str,
        functions: impl Iterator<Item = &'n str>,
        replaces: bool,
        quote: &str,
    ) -> Result<(), Refusal> {
        if self.has(name) && !replaces {
            return Err(format!("ERR Library '{name}' already exists").into());
        }
        if !self.has(name) && self.libraries.len() + self.scripted.len() >= LIBRARIES_MAX {
            return Err(format!("ERR there are {LIBRARIES_MAX} libraries already").into());
        }
        for function in functions {
            let bytes = function.as_bytes();
            let taken = self.by_function.get(bytes).map(|(other, _)| other.name());
            let scripted = self.find_scripted(bytes).map(|(other, _)| &*other.name);
            if taken.or(scripted).is_some_and(|other| other != name) {
                return Err(format!("ERR Function {quote}{function}{quote} already exists").into());
            }
        }
        Ok(())
    }

    /// What FUNCTION LOAD takes to load each of them again.
    pub fn texts(&self) -> impl Iterator<Item = &[u8]> {
        let modules = self.libraries.values().map(|library| &*library.text);
        modules.chain(self.scripted.values().map(|library| &*library.text))
    }

    /// Adds a library that FUNCTION RESTORE brings, in place of one of its name if that is wanted.
    ///
    /// # Errors
    /// Redis's, if a name is taken: in words of its own.
    pub fn restore(&mut self, library: &AnyLibrary, replaces: bool) -> Result<(), Refusal> {
        if self.has(library.name()) && !replaces {
            return Err(format!("ERR Library {} already exists", library.name()).into());
        }
        self.add_any(library, replaces)
    }

    /// Adds a library of either kind, in place of one of its name if that is wanted.
    ///
    /// # Errors
    /// Redis's, if a name is taken.
    pub fn add_any(&mut self, library: &AnyLibrary, replaces: bool) -> Result<(), Refusal> {
        match library {
            AnyLibrary::Module(library) => self.add(library, replaces),
            AnyLibrary::Script(library) => self.add_scripted(library, replaces),
        }
    }

    /// Adds a library in Lua, in place of one of its name if that is wanted.
    ///
    /// # Errors
    /// Redis's, if a name is taken.
    pub fn add_scripted(&mut self, library: &Arc<Scripted>, replaces: bool) -> Result<(), Refusal> {
        let functions = library.functions.iter().map(|function| &*function.name);
        self.look_at_names(&library.name, functions, replaces, "")?;
        self.remove(&library.name);
        for (position, function) in library.functions.iter().enumerate() {
            let name = function.name.as_bytes().to_ascii_lowercase().into();
            self.by_scripted_function.insert(name, (Arc::clone(library), position));
        }
        self.scripted.insert(library.name.clone(), Arc::clone(library));
        Ok(())
    }

    /// Adds a library, in place of one of its name if that is wanted.
    ///
    /// # Errors
    /// Redis's, if a name is taken.
    pub fn add(&mut self, library: &Arc<Library>, replaces: bool) -> Result<(), Refusal> {
        let name = library.name();
        let functions = library.functions.iter().map(|function| &*function.declaration.name);
        self.look_at_names(name, functions, replaces, "'")?;
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
        self.by_scripted_function.retain(|_, (library, _)| library.name != name);
        let was_scripted = self.scripted.remove(name).is_some();
        self.libraries.remove(name).is_some() || was_scripted
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
