//! What runs WebAssembly: an engine with its pool of instances, the linker, and the clock that
//! interrupts what runs for too long.
//!
//! Modules that were rewritten look for themselves whether they have to stop; for others the engine
//! has their code do that, which costs more.
//!
//! Invariant: every call of an engine has a deadline in ticks, and while any runs the ticker ticks.
//! When nothing has run for a while it stops, so that a quiet server sleeps.

use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use sha2::{Digest, Sha256};
use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, Linker, OptLevel, PoolingAllocationConfig,
};

use crate::functions::host::Host;
use crate::functions::stop::Watch;
use crate::functions::{abi, reset, wasi};
use crate::limits::functions::{
    INSTANCES_MAX, MEMORY_BYTES_MAX, RESIDENT_BYTES, STACK_BYTES_MAX, TABLE_ELEMENTS_MAX,
};
use crate::log::Log;

/// What is done to modules so that they can be stopped.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Guests {
    /// They were rewritten to look at a byte.
    Rewritten,
    /// They are compiled to look at the engine's epoch.
    Plain,
    /// The same, and they count fuel.
    Metered,
}

/// An engine, ready to link modules.
pub struct Machine {
    /// The engine.
    pub engine: Engine,
    /// What modules may import.
    pub linker: Linker<Host>,
    /// What it can run.
    pub guests: Guests,
    /// Who stops instances of modules that were rewritten.
    pub watch: Arc<Watch>,
    /// Ticks while its code runs.
    pub ticker: Ticker,
    /// Tells apart engines that cannot run each other's code.
    digest: Sha256,
}

impl Machine {
    /// A machine for modules of a kind.
    ///
    /// # Errors
    /// Wasmtime's, if the system does not let it work.
    pub fn new(guests: Guests, log: &Log) -> wasmtime::Result<Machine> {
        let pooled = Engine::new(&config(guests, true));
        let engine = match pooled {
            Ok(engine) => engine,
            Err(why) => {
                log.warning(format_args!(
                    "functions run without a pool of instances, more slowly: {why}"
                ));
                Engine::new(&config(guests, false))?
            }
        };
        let mut linker = Linker::new(&engine);
        abi::link(&mut linker)?;
        wasi::link(&mut linker)?;
        let watch = Arc::<Watch>::default();
        let (watched, ticked) = (Arc::clone(&watch), engine.clone());
        let ticker = match guests {
            Guests::Rewritten => Ticker::new(move || watched.tick()),
            Guests::Plain | Guests::Metered => Ticker::new(move || ticked.increment_epoch()),
        };
        let mut digest = Digester(Sha256::new());
        engine.precompile_compatibility_hash().hash(&mut digest);
        Ok(Machine { engine, linker, guests, watch, ticker: ticker?, digest: digest.0 })
    }

    /// What this engine's code of a module is known by, which has this digest: Wasmtime's version,
    /// the engine's settings and the processor's features are in it.
    pub fn name_of(&self, digest: &[u8; 32]) -> [u8; 32] {
        self.digest.clone().chain_update(digest).finalize().into()
    }
}

/// What is hashed, for a digest that does not depend on this run.
struct Digester(Sha256);

impl Hasher for Digester {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        let digest: [u8; 32] = self.0.clone().finalize().into();
        digest.first_chunk().map_or(0, |first| u64::from_le_bytes(*first))
    }
}

fn config(guests: Guests, is_pooled: bool) -> Config {
    let mut config = Config::new();
    if guests == Guests::Rewritten {
        reset::accept(&mut config);
    }
    config
        .epoch_interruption(guests != Guests::Rewritten)
        .consume_fuel(guests == Guests::Metered)
        .max_wasm_stack(STACK_BYTES_MAX)
        .cranelift_opt_level(OptLevel::Speed)
        .wasm_backtrace_max_frames(None);
    if is_pooled {
        let mut pool = PoolingAllocationConfig::new();
        pool.total_core_instances(INSTANCES_MAX)
            .total_memories(INSTANCES_MAX * 2)
            .total_tables(INSTANCES_MAX)
            .max_memories_per_module(2)
            .max_tables_per_module(1)
            .max_memory_size(MEMORY_BYTES_MAX)
            .table_elements(TABLE_ELEMENTS_MAX)
            .linear_memory_keep_resident(RESIDENT_BYTES)
            .table_keep_resident(RESIDENT_BYTES)
            .pagemap_scan(Enabled::Auto)
            .max_unused_warm_slots(INSTANCES_MAX);
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    }
    config
}

/// How long a tick is.
const TICK: Duration = Duration::from_millis(1);

/// Ticks after which the ticker looks whether anything still runs.
const TICKS_AWAKE: u32 = 256;

/// Looks after what runs, again and again while something does.
pub struct Ticker {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Default)]
struct Shared {
    /// Somebody has begun a call since this was last looked at.
    is_wanted: AtomicBool,
    /// Calls that run for so long that they wait for ticks.
    long_calls: AtomicU64,
    is_over: AtomicBool,
}

impl Ticker {
    fn new(look: impl Fn() + Send + 'static) -> wasmtime::Result<Ticker> {
        let shared = Arc::new(Shared::default());
        let seen = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("ferrite-ticker".into())
            .spawn(move || tick(look, &seen))?;
        Ok(Ticker { shared, thread: Mutex::new(Some(thread)) })
    }

    /// A call begins.
    #[inline]
    pub fn want(&self) {
        if !self.shared.is_wanted.load(Relaxed) {
            self.wake();
        }
    }

    #[cold]
    fn wake(&self) {
        self.shared.is_wanted.store(true, Relaxed);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        thread.iter().for_each(|thread| thread.thread().unpark());
    }

    /// A call that may run for many ticks begins; it is over when the guard is dropped.
    pub fn hold(&self) -> Hold<'_> {
        self.shared.long_calls.fetch_add(1, Relaxed);
        self.wake();
        Hold { shared: &self.shared }
    }
}

/// See [`Ticker::hold`].
pub struct Hold<'t> {
    shared: &'t Shared,
}

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        self.shared.long_calls.fetch_sub(1, Relaxed);
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Relaxed);
        let thread = self.thread.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            thread.thread().unpark();
            // It has nothing left to do, and cannot panic.
            let _ = thread.join();
        }
    }
}

fn tick(look: impl Fn(), shared: &Shared) {
    while !shared.is_over.load(Relaxed) {
        if !shared.is_wanted.swap(false, Relaxed) && shared.long_calls.load(Relaxed) == 0 {
            std::thread::park();
            continue;
        }
        for _ in 0..TICKS_AWAKE {
            std::thread::sleep(TICK);
            look();
            if shared.is_over.load(Relaxed) {
                return;
            }
        }
    }
}
