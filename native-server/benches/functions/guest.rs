//! The example's module, called as the server calls it, with as little as that needs around it.

use std::ops::Range;
use std::sync::Arc;

use ferrite_server::functions::host::Pace;
use ferrite_server::functions::reset::{self, Image, Reset, rewrite};
use ferrite_server::functions::stop::{Stop, Watch};
use ferrite_tests::functions::example;
use wasmtime::{
    Caller, Config, Enabled, Engine, Extern, Instance, InstanceAllocationStrategy, InstancePre,
    Linker, Memory, Module, PoolingAllocationConfig, Result, Store, TypedFunc,
};

use crate::native::Native;

/// How each call comes to an instance as it was in the beginning.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The one of the call before, set back.
    Reset,
    /// A new one.
    Fresh,
}

/// What an instance's host functions work on.
#[derive(Default)]
struct Host {
    keys: Native,
    memory: Option<Memory>,
    /// Where the host has written in this call.
    written: Vec<Range<usize>>,
}

type RateLimit = TypedFunc<(i32, i32, i64, i64), i64>;
type JsonSum = TypedFunc<(i32, i32, i32, i32), i64>;

/// An instance with what is looked up once.
struct Made {
    /// What the deadline sets off.
    stop: Option<Stop>,
    store: Store<Host>,
    instance: Instance,
    memory: Memory,
    /// Where arguments are placed.
    input: usize,
    rate_limit: Option<RateLimit>,
    json_sum: Option<JsonSum>,
    reset: Option<Reset>,
}

pub struct Guest {
    engine: Engine,
    watch: Arc<Watch>,
    module: InstancePre<Host>,
    image: Option<Arc<Image>>,
    made: Option<Made>,
    keys: Native,
}

impl Guest {
    pub fn new(name: &str, kind: Kind) -> Guest {
        let engine = Engine::new(&config(kind)).expect("an engine");
        let wasm = example(name, false).expect("Rust is there");
        let wasm = if kind == Kind::Reset { rewrite(&wasm).expect("it qualifies") } else { wasm };
        let module = Module::new(&engine, wasm).expect("a valid module");
        let mut linker = Linker::new(&engine);
        link(&mut linker).expect("every name once");
        linker.define_unknown_imports_as_traps(&module).expect("what no call needs");
        let module = linker.instantiate_pre(&module).expect("it can be linked");
        let keys = Native::default();
        let watch = Arc::<Watch>::default();
        let mut guest = Guest { engine, watch, module, image: None, made: None, keys };
        if kind == Kind::Reset {
            let mut made = guest.make();
            let image = Image::take(&mut made.store, &made.instance).expect("an image");
            guest.image = Some(Arc::new(image));
        }
        guest
    }

    pub fn set(&mut self, key: &str, value: &str) {
        self.keys.set(key, value);
    }

    /// The reply's bytes.
    pub fn rate_limit(&mut self, key: &str, limit: i64, window_secs: i64) -> Vec<u8> {
        self.call(&[key], |made, texts| {
            let call = made.rate_limit.clone().expect("the function");
            let (address, length) = texts[0];
            let packed = call.call(&mut made.store, (address, length, limit, window_secs));
            made.reply(packed.expect("it returns"))
        })
    }

    /// The reply's bytes.
    pub fn json_sum(&mut self, document: &str, total: &str) -> Vec<u8> {
        self.call(&[document, total], |made, texts| {
            let call = made.json_sum.clone().expect("the function");
            let ((a, b), (c, d)) = (texts[0], texts[1]);
            let packed = call.call(&mut made.store, (a, b, c, d));
            made.reply(packed.expect("it returns"))
        })
    }

    /// Comes to a clean instance, without calling it.
    pub fn clean(&mut self) {
        self.call(&["key"], |_, _| Vec::new());
    }

    fn call(
        &mut self,
        texts: &[&str],
        run: impl FnOnce(&mut Made, &[(i32, i32)]) -> Vec<u8>,
    ) -> Vec<u8> {
        let mut made = self.made.take().unwrap_or_else(|| self.make());
        std::mem::swap(&mut made.store.data_mut().keys, &mut self.keys);
        match &mut made.stop {
            Some(stop) => stop.begin(&Pace::Locked),
            None => made.store.set_epoch_deadline(1),
        }
        let start = made.input + 8;
        let mut end = start;
        let mut placed = [(0, 0); 2];
        for (place, text) in placed.iter_mut().zip(texts) {
            made.memory.data_mut(&mut made.store)[end..end + text.len()]
                .copy_from_slice(text.as_bytes());
            *place = (end as i32, text.len() as i32);
            end += text.len();
        }
        made.store.data_mut().written.push(start..end);
        let reply = run(&mut made, &placed[..texts.len()]);
        std::mem::swap(&mut made.store.data_mut().keys, &mut self.keys);
        if let Some(reset) = &mut made.reset
            && made.stop.as_mut().is_some_and(Stop::end)
        {
            let mut written = std::mem::take(&mut made.store.data_mut().written);
            let is_kept = reset.reset(&mut made.store, &written);
            written.clear();
            made.store.data_mut().written = written;
            self.made = is_kept.then_some(made);
        }
        reply
    }

    fn make(&self) -> Made {
        let mut store = Store::new(&self.engine, Host::default());
        if self.image.is_none() {
            store.set_epoch_deadline(1);
        }
        let instance = self.module.instantiate(&mut store).expect("an instance");
        let memory = instance.get_memory(&mut store, "memory").expect("a memory");
        store.data_mut().memory = Some(memory);
        let input = instance.get_global(&mut store, "ferrite_input").expect("the SDK has it");
        let input = input.get(&mut store).unwrap_i32() as usize;
        let rate_limit = instance.get_typed_func(&mut store, "udf_rate_limit").ok();
        let json_sum = instance.get_typed_func(&mut store, "udf_json_sum").ok();
        let reset = self.image.clone().map(|image| Reset::new(&mut store, &instance, image));
        let reset = reset.map(|reset| reset.expect("an instance of the image's module"));
        let stop = Stop::new(&mut store, &instance, &self.watch);
        Made { stop, store, instance, memory, input, rate_limit, json_sum, reset }
    }
}

impl Made {
    fn reply(&self, packed: i64) -> Vec<u8> {
        let (address, length) = ((packed >> 32) as usize, packed as u32 as usize);
        self.memory.data(&self.store)[address..address + length].to_vec()
    }
}

/// As the server's.
fn config(kind: Kind) -> Config {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_core_instances(16)
        .total_memories(32)
        .max_memories_per_module(2)
        .max_memory_size(16 << 20)
        .linear_memory_keep_resident(256 << 10)
        .table_keep_resident(256 << 10)
        .pagemap_scan(Enabled::Auto);
    let mut config = Config::new();
    match kind {
        Kind::Reset => reset::accept(&mut config),
        Kind::Fresh => drop(config.epoch_interruption(true)),
    }
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    config
}

type At<'a> = Caller<'a, Host>;

fn split<'a>(at: &'a mut At<'_>) -> (&'a mut [u8], &'a mut Host) {
    let memory = match at.data().memory {
        Some(memory) => memory,
        None => at.get_export("memory").and_then(Extern::into_memory).expect("a memory"),
    };
    memory.data_and_store_mut(at)
}

fn text(memory: &[u8], address: i32, length: i32) -> Result<&[u8]> {
    let start = address as u32 as usize;
    let text = memory.get(start..start + length as u32 as usize);
    text.ok_or_else(|| wasmtime::Error::msg("outside of memory"))
}

fn link(linker: &mut Linker<Host>) -> Result<()> {
    let get = |mut at: At<'_>, k: i32, kl: i32, dst: i32, capacity: i32| -> Result<i64> {
        let (memory, host) = split(&mut at);
        let Some(value) = host.keys.values.get(text(memory, k, kl)?) else { return Ok(-1) };
        if value.len() <= capacity as u32 as usize {
            let start = dst as u32 as usize;
            let place = memory.get_mut(start..start + value.len());
            let place = place.ok_or_else(|| wasmtime::Error::msg("outside of memory"))?;
            place.copy_from_slice(value);
            host.written.push(start..start + value.len());
        }
        Ok(value.len() as i64)
    };
    linker.func_wrap("ferrite", "ferrite_get_into", get)?;
    let set = |mut at: At<'_>, k: i32, kl: i32, v: i32, vl: i32| -> Result<i32> {
        let (memory, host) = split(&mut at);
        host.keys.put(text(memory, k, kl)?, text(memory, v, vl)?);
        Ok(0)
    };
    linker.func_wrap("ferrite", "ferrite_set", set)?;
    let expire = |mut at: At<'_>, k: i32, kl: i32, ttl_ms: i64| -> Result<i32> {
        let (memory, host) = split(&mut at);
        host.keys.deadlines_ms.insert(text(memory, k, kl)?.to_vec(), ttl_ms);
        Ok(1)
    };
    linker.func_wrap("ferrite", "ferrite_expire", expire)?;
    Ok(())
}
