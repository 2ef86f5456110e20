//! A library that is loaded: its functions, its code, and what is counted of it.
//!
//! Invariant: a library never changes. REPLACE puts another in its place; calls that run keep
//! theirs.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use wasmtime::InstancePre;

use crate::functions::bind::Count;
use crate::functions::host::Host;
use crate::functions::machine::Machine;
use crate::functions::metadata::{Declaration, Flag, Role};
use crate::functions::reset::Image;
use crate::limits::functions::METRICS_MAX;
use crate::log::{Level, Log};

/// What an instance knows of its library.
pub struct About {
    /// The library's name.
    pub name: String,
    /// Values that it was loaded with.
    pub config: Vec<(String, String)>,
    log: Arc<Log>,
    metrics: Mutex<BTreeMap<String, f64>>,
    refused: Mutex<BTreeSet<&'static str>>,
}

impl About {
    /// Of a library that is loaded.
    pub fn new(name: &str, config: &[(String, String)], log: &Arc<Log>) -> Arc<About> {
        Arc::new(About {
            name: name.into(),
            config: config.into(),
            log: Arc::clone(log),
            metrics: Mutex::default(),
            refused: Mutex::default(),
        })
    }

    /// A value that the library was loaded with.
    pub fn config_value(&self, name: &[u8]) -> Option<&str> {
        let found = self.config.iter().find(|(other, _)| other.as_bytes() == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Adds to a counter, or sets a gauge. False if there is no room for another.
    pub fn note_metric(&self, name: &str, is_gauge: bool, value: f64) -> bool {
        let mut metrics = self.metrics.lock().unwrap_or_else(PoisonError::into_inner);
        if !metrics.contains_key(name) && metrics.len() >= METRICS_MAX {
            return false;
        }
        let metric = metrics.entry(name.into()).or_default();
        *metric = if is_gauge { value } else { *metric + value };
        true
    }

    /// All metrics, by name.
    pub fn metrics(&self) -> BTreeMap<String, f64> {
        self.metrics.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether this is the first time that something is refused.
    pub fn note_refused(&self, what: &'static str) -> bool {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).insert(what)
    }

    /// Writes a line of the library's into the log.
    pub fn log(&self, level: i32, function: &str, text: &[u8]) {
        const LEVELS: [Level; 4] = [Level::Debug, Level::Verbose, Level::Notice, Level::Warning];
        let level = usize::try_from(level).ok().and_then(|level| LEVELS.get(level).copied());
        let (library, text) = (&self.name, String::from_utf8_lossy(text));
        let line = format_args!("library={library} function={function} {text}");
        self.log.write(level.unwrap_or(Level::Notice), line);
    }
}

/// What is counted of a function.
#[derive(Debug, Default)]
#[allow(missing_docs, reason = "their names say it")]
pub struct Tally {
    pub calls: AtomicU64,
    pub errors: AtomicU64,
    pub traps: AtomicU64,
    pub slow_calls: AtomicU64,
    pub nanoseconds: AtomicU64,
    pub nanoseconds_max: AtomicU64,
    pub fuel: AtomicU64,
    pub memory_max: AtomicU64,
    /// Calls to come that start without the lock.
    pub slow_credit: AtomicU32,
}

impl Tally {
    /// All figures, each with its name.
    pub fn figures(&self) -> [(&'static str, u64); 8] {
        let figure = |figure: &AtomicU64| figure.load(Relaxed);
        [
            ("calls", figure(&self.calls)),
            ("errors", figure(&self.errors)),
            ("traps", figure(&self.traps)),
            ("slow_calls", figure(&self.slow_calls)),
            ("usec", figure(&self.nanoseconds) / 1000),
            ("usec_max", figure(&self.nanoseconds_max) / 1000),
            ("fuel", figure(&self.fuel)),
            ("memory_max", figure(&self.memory_max)),
        ]
    }

    /// Notes a call that took so long.
    #[inline]
    pub fn note(&self, elapsed: Duration) {
        let nanoseconds = elapsed.as_nanos() as u64;
        self.calls.fetch_add(1, Relaxed);
        self.nanoseconds.fetch_add(nanoseconds, Relaxed);
        if nanoseconds > self.nanoseconds_max.load(Relaxed) {
            self.nanoseconds_max.fetch_max(nanoseconds, Relaxed);
        }
    }
}

/// A function that can be called.
pub struct Function {
    /// What its module says of it.
    pub declaration: Declaration,
    /// Its name, for what outlives the library.
    pub name: Arc<str>,
    /// Whether it changes nothing.
    pub is_read_only: bool,
    /// How many keys it takes.
    pub keys: Count,
    /// How many arguments it takes.
    pub args: Count,
    /// What is counted of it.
    pub tally: Tally,
}

impl Function {
    /// As its module declares it.
    pub fn new(declaration: Declaration) -> Function {
        let name = declaration.name.as_str().into();
        let is_read_only = declaration.has(Flag::NoWrites);
        let keys = Count::of(&declaration.signature, [Role::Key, Role::Keys]);
        let args = Count::of(&declaration.signature, [Role::Arg, Role::Args]);
        Function { declaration, name, is_read_only, keys, args, tally: Tally::default() }
    }
}

impl Deref for Function {
    type Target = Declaration;

    fn deref(&self) -> &Declaration {
        &self.declaration
    }
}

/// How one call is kept apart from the next.
pub enum Isolation {
    /// Each call has an instance of its own; why.
    Fresh(String),
    /// An instance is set back after each call to the image that is taken of the first one.
    Reset(OnceLock<Arc<Image>>),
}

impl Isolation {
    /// What FUNCTION LIST says of it.
    pub fn text(&self) -> String {
        match self {
            Isolation::Fresh(reason) => format!("fresh ({reason})"),
            Isolation::Reset(_) => "reset".into(),
        }
    }
}

/// A library.
pub struct Library {
    /// A number that no other library ever has.
    pub id: u64,
    /// What its instances know of it.
    pub about: Arc<About>,
    /// Its version, as its author counts.
    pub version: Option<String>,
    /// What FUNCTION LOAD takes to load it again.
    pub text: Arc<[u8]>,
    /// Its functions.
    pub functions: Vec<Function>,
    /// How calls are kept apart.
    pub isolation: Isolation,
    /// What runs it.
    pub machine: Arc<Machine>,
    /// The compiled module, linked.
    pub linked: InstancePre<Host>,
}

impl Library {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.about.name
    }
}
