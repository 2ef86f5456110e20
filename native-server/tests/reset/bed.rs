//! A module twice: as it was written, and rewritten so that its instances can be set back.

use std::ops::Range;
use std::sync::Arc;

use ferrite_server::functions::host::Pace;
use ferrite_server::functions::instance::timed;
use ferrite_server::functions::reset::{self, Image, Reset, rewrite};
use ferrite_server::functions::stop::{Stop, Watch};
use wasmtime::{Caller, Config, Engine, Error, Extern, Instance, Linker, Module, Store, Val};

/// What the host of the tests keeps with an instance.
#[derive(Default)]
pub struct Host {
    /// What `ferrite.fill` writes.
    pub secret: u8,
    /// Where it has written.
    pub written: Vec<Range<usize>>,
    /// What ends its calls, when time is up.
    pub watch: Arc<Watch>,
}

pub struct Bed {
    pub engine: Engine,
    linker: Linker<Host>,
    original: Module,
    rewritten: Module,
    image: Arc<Image>,
}

/// One instance, and what stops it and sets it back unless it is of the module as it was written.
pub struct Guest {
    pub stop: Option<Stop>,
    pub store: Store<Host>,
    pub instance: Instance,
    pub reset: Option<Reset>,
    /// How calls are paced. By itself nothing ticks here.
    pub pace: Pace,
}

/// What a call came to. Traps are told apart by their kind, not by where they were.
#[derive(Debug, PartialEq)]
pub enum Outcome {
    Returned(Vec<Option<u128>>),
    Trapped(String),
}

impl Bed {
    pub fn new(wasm: &[u8]) -> Self {
        let mut config = Config::new();
        config.max_wasm_stack(128 * 1024);
        reset::accept(&mut config);
        config.memory_reservation(32 << 20).memory_guard_size(64 << 10);
        let engine = Engine::new(&config).expect("an engine");
        let rewritten = rewrite(wasm).expect("the module qualifies");
        let original = Module::new(&engine, wasm).expect("a valid module");
        let rewritten = Module::new(&engine, &rewritten).expect("a valid module");
        let linker = linker(&engine);
        let mut store = store(&engine);
        let instance = linker.instantiate(&mut store, &rewritten).expect("it can be linked");
        let image = Image::take(&mut store, &instance).expect("an image");
        Self { engine, linker, original, rewritten, image: Arc::new(image) }
    }

    pub fn of_text(text: &str) -> Self {
        Self::new(&wat::parse_str(text).expect("a module in text"))
    }

    /// An instance of the module as it was written.
    pub fn original(&self) -> Guest {
        self.guest(&self.original)
    }

    /// An instance that can be set back.
    pub fn resettable(&self) -> Guest {
        let mut guest = self.guest(&self.rewritten);
        let reset = Reset::new(&mut guest.store, &guest.instance, self.image.clone());
        guest.reset = Some(reset.expect("an instance of the module of the image"));
        guest
    }

    fn guest(&self, module: &Module) -> Guest {
        let mut store = store(&self.engine);
        let instance = self.linker.instantiate(&mut store, module).expect("it can be linked");
        let watch = Arc::clone(&store.data().watch);
        let stop = Stop::new(&mut store, &instance, &watch);
        Guest { stop, store, instance, reset: None, pace: timed(0) }
    }
}

impl Guest {
    pub fn call(&mut self, name: &str, arguments: &[Val]) -> Outcome {
        let function = self.instance.get_func(&mut self.store, name).expect("it is exported");
        let mut results = vec![Val::I32(0); function.ty(&self.store).results().len()];
        if let Some(stop) = &mut self.stop {
            stop.begin(&self.pace);
        }
        match function.call(&mut self.store, arguments, &mut results) {
            Ok(()) => Outcome::Returned(results.iter().map(bits).collect()),
            Err(error) => Outcome::Trapped(format!("{:#}", error.root_cause())),
        }
    }

    /// Sets the instance back, and looks whether it was.
    pub fn reset(&mut self) -> bool {
        let reset = self.reset.as_mut().expect("it can be set back");
        assert!(self.stop.as_mut().is_some_and(Stop::end), "it was stopped");
        let written = std::mem::take(&mut self.store.data_mut().written);
        let is_kept = reset.reset(&mut self.store, &written);
        assert!(!is_kept || reset.is_as_new(&mut self.store), "something is left of the call");
        is_kept
    }

    pub fn bytes(&mut self) -> Vec<u8> {
        let memory = self.instance.get_memory(&mut self.store, "memory").expect("a memory");
        memory.data(&self.store).to_vec()
    }

    pub fn global(&mut self, name: &str) -> Option<u128> {
        let global = self.instance.get_global(&mut self.store, name).expect("it is exported");
        bits(&global.get(&mut self.store))
    }
}

fn store(engine: &Engine) -> Store<Host> {
    Store::new(engine, Host::default())
}

/// `ferrite.fill(at, length)` writes to the guest, `ferrite.fail()` fails, `ferrite.again()` calls
/// the guest's `push`, `ferrite.expire()` has whoever looks after calls look.
fn linker(engine: &Engine) -> Linker<Host> {
    let mut linker = Linker::new(engine);
    let fill = |mut caller: Caller<'_, Host>, at: u32, length: u32| -> wasmtime::Result<()> {
        let memory = caller.get_export("memory").and_then(Extern::into_memory);
        let (memory, host) = memory.expect("a memory").data_and_store_mut(&mut caller);
        let range = at as usize..at as usize + length as usize;
        let place = memory.get_mut(range.clone()).ok_or(Error::msg("outside of memory"))?;
        place.fill(host.secret);
        host.written.push(range);
        Ok(())
    };
    linker.func_wrap("ferrite", "fill", fill).expect("a name once");
    let fail = || -> wasmtime::Result<()> { Err(Error::msg("the host failed")) };
    linker.func_wrap("ferrite", "fail", fail).expect("a name once");
    let again = |mut caller: Caller<'_, Host>| -> wasmtime::Result<()> {
        let push = caller.get_export("push").and_then(Extern::into_func).expect("it is exported");
        push.call(&mut caller, &[Val::I64(-1)], &mut [])
    };
    linker.func_wrap("ferrite", "again", again).expect("a name once");
    let expire = |caller: Caller<'_, Host>| caller.data().watch.tick();
    linker.func_wrap("ferrite", "expire", expire).expect("a name once");
    linker
}

pub fn bits(value: &Val) -> Option<u128> {
    match value {
        Val::I32(value) => Some(*value as u32 as u128),
        Val::I64(value) => Some(*value as u64 as u128),
        Val::F32(bits) => Some(u128::from(*bits)),
        Val::F64(bits) => Some(u128::from(*bits)),
        Val::V128(bits) => Some(bits.as_u128()),
        _ => None,
    }
}
