//! Instances of a library, and how a thread comes by one for a call.
//!
//! Invariant: no state of a call is seen by another: an instance is used again only after it was
//! set back to its initial image, and never after a trap or an error of the host's.

use std::sync::Arc;
use std::time::{Duration, Instant};

use wasmtime::{Func, PoolConcurrencyLimitError, Store, StoreLimitsBuilder, Trap, Val, WasmParams};

use crate::functions::bind::{Binding, Flat};
use crate::functions::failure::{Failure, Halt};
use crate::functions::host::{Host, Pace, Timed, allocate, note_written};
use crate::functions::library::{Function, Isolation, Library};
use crate::functions::machine::Guests;
use crate::functions::reset::{Image, Mismatch, Reset, START_EXPORT};
use crate::functions::stop::Stop;
use crate::limits::functions::{IDLE_INSTANCES_MAX, MEMORY_BYTES_MAX, TABLE_ELEMENTS_MAX};

/// What an export returned.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Returned {
    /// 64 bits.
    I64(i64),
    /// A number with decimals.
    F64(f64),
    /// Nothing.
    Nothing,
}

type Entry = Box<dyn Fn(&mut Store<Host>, &[Flat]) -> wasmtime::Result<Returned>>;

/// An instance of a library.
pub struct Instance {
    /// What stops it, if its engine does not. It stands before the store, since fields are dropped
    /// in their order; so the store is never exchanged for another.
    stop: Option<Stop>,
    /// Its state.
    pub store: Store<Host>,
    instance: wasmtime::Instance,
    /// The buffer that the guest offers for arguments: its address and its size.
    input: Option<(usize, usize)>,
    /// How each function is called, once it was.
    entries: Vec<Option<Entry>>,
    library: u64,
    /// What sets it back, once it was.
    reset: Option<Reset>,
}

impl Instance {
    /// A new instance of a library.
    ///
    /// # Errors
    /// A trap while it starts, or that there are too many.
    pub fn new(library: &Library, pace: Pace) -> Result<Instance, Failure> {
        let machine = &library.machine;
        let limits = StoreLimitsBuilder::new()
            .memory_size(MEMORY_BYTES_MAX)
            .table_elements(TABLE_ELEMENTS_MAX)
            .build();
        let mut store = Store::new(&machine.engine, Host::new(&library.about, limits, pace));
        store.limiter(|host| &mut host.limits);
        if machine.guests != Guests::Rewritten {
            store.epoch_deadline_callback(|mut store| store.data_mut().tick());
            store.set_epoch_deadline(1);
        }
        machine.ticker.want();
        let failure = |error: wasmtime::Error| match error.is::<PoolConcurrencyLimitError>() {
            true => Failure::Line("ERR too many functions run at the same time".into()),
            false => Failure::of(&error),
        };
        if machine.guests == Guests::Metered {
            store.set_fuel(START_FUEL).map_err(failure)?;
        }
        let instance = library.linked.instantiate(&mut store).map_err(failure)?;
        let stop = Stop::new(&mut store, &instance, &machine.watch);
        let entries = library.functions.iter().map(|_| None).collect();
        let (library, reset) = (library.id, None);
        let mut made = Instance { stop, store, instance, input: None, entries, library, reset };
        made.start()?;
        Ok(made)
    }

    /// Runs what runs once, and finds what calls need.
    fn start(&mut self) -> Result<(), Failure> {
        let Instance { stop, store, instance, .. } = self;
        if let Some(stop) = stop {
            stop.begin(&store.data().pace);
        }
        let memory = instance.get_memory(&mut *store, "memory");
        store.data_mut().memory = memory;
        // Only a module that was rewritten has the first.
        let starts = [stop.as_ref().map(|_| START_EXPORT), Some("_initialize")];
        for name in starts.into_iter().flatten() {
            if let Ok(start) = self.instance.get_typed_func::<(), ()>(&mut self.store, name) {
                let outcome = start.call(&mut self.store, ());
                outcome.map_err(|error| self.failure(&error))?;
            }
        }
        let Instance { store, instance, .. } = self;
        let alloc = instance.get_typed_func(&mut *store, "ferrite_alloc").ok();
        store.data_mut().alloc = alloc;
        self.input = input_of(instance, store);
        store.data_mut().written.clear();
        Ok(())
    }

    /// Why a call failed: what it was stopped for, if it was.
    fn failure(&self, error: &wasmtime::Error) -> Failure {
        let is_stopped = self.stop.as_ref().is_some_and(Stop::is_stopped);
        match error.downcast_ref() {
            Some(Trap::UnreachableCodeReached) if is_stopped => {
                Failure::of(&self.store.data().pace.halt().into())
            }
            _ => Failure::of(error),
        }
    }

    /// What a new instance of its library is like, of one that was not called yet.
    ///
    /// # Errors
    /// If it has no memory.
    pub fn image(&mut self) -> Result<Image, Mismatch> {
        Image::take(&mut self.store, &self.instance)
    }

    /// Sets it back to the image, after a call that returned. False if that cannot be done.
    fn set_back(&mut self, image: &Arc<Image>) -> bool {
        if !self.stop.as_mut().is_some_and(Stop::end) {
            return false;
        }
        let mut written = std::mem::take(&mut self.store.data_mut().written);
        let is_set_back = match &mut self.reset {
            Some(reset) => reset.reset(&mut self.store, &written),
            None => {
                let reset = Reset::new(&mut self.store, &self.instance, Arc::clone(image));
                self.reset = reset.ok();
                self.reset.is_some()
            }
        };
        written.clear();
        self.store.data_mut().written = written;
        is_set_back
    }

    /// Whether it can serve another call, as its next one is paced.
    pub fn set_pace(&mut self, pace: Pace) {
        self.store.data_mut().set_pace(pace);
        match &mut self.stop {
            Some(stop) => stop.begin(&self.store.data().pace),
            None => self.store.set_epoch_deadline(1),
        }
    }

    /// Puts arguments in their place and calls a function.
    ///
    /// # Errors
    /// Why it failed.
    pub fn call(
        &mut self,
        index: usize,
        function: &Function,
        binding: &mut Binding,
    ) -> Result<Returned, Failure> {
        self.place(binding).map_err(|error| self.failure(&error))?;
        let store = &mut self.store;
        let Some(slot) = self.entries.get_mut(index) else {
            return Err(Failure::Line("ERR Function not found".into()));
        };
        let entry = match slot {
            Some(entry) => entry,
            None => {
                let export = self.instance.get_func(&mut *store, &function.export);
                let missing = || Failure::Trap(format!("export '{}' is missing", function.export));
                slot.insert(entry(export.ok_or_else(missing)?, store, &binding.flat))
            }
        };
        entry(store, &binding.flat).map_err(|error| self.failure(&error))
    }

    fn place(&mut self, binding: &mut Binding) -> wasmtime::Result<()> {
        if !binding.needs_place() {
            return Ok(());
        }
        let len = binding.block.len();
        let address = match self.input {
            Some((address, size)) if len <= size => address,
            _ => allocate(&mut self.store, len)?.ok_or(Halt::GuestMemory)?,
        };
        binding.place(address);
        let Some(memory) = self.store.data().memory else { return Ok(()) };
        let (bytes, host) = memory.data_and_store_mut(&mut self.store);
        let place = bytes.get_mut(address..address + len).ok_or(Halt::GuestMemory)?;
        place.copy_from_slice(&binding.block);
        note_written(&mut host.written, address..address + len);
        Ok(())
    }

    /// Bytes of its memory.
    pub fn memory(&self) -> &[u8] {
        self.store.data().memory.map_or(&[], |memory| memory.data(&self.store))
    }
}

/// Fuel for `start` and `_initialize`.
const START_FUEL: u64 = 100_000_000;

/// The buffer for arguments: its first four bytes are its size, what fits behind the first eight
/// may be put there.
fn input_of(instance: &wasmtime::Instance, store: &mut Store<Host>) -> Option<(usize, usize)> {
    let global = instance.get_global(&mut *store, "ferrite_input")?;
    let address = global.get(&mut *store).i32()?.cast_unsigned() as usize;
    let memory = store.data().memory?.data(&*store);
    let size = u32::from_le_bytes(*memory.get(address..)?.first_chunk()?) as usize;
    let is_sound = address != 0
        && address.is_multiple_of(8)
        && size >= 8
        && address.checked_add(size).is_some_and(|end| end <= memory.len());
    is_sound.then(|| (address + 8, size - 8))
}

trait FromFlat {
    fn from_flat(flat: Option<&Flat>) -> Self;
}

impl FromFlat for u32 {
    fn from_flat(flat: Option<&Flat>) -> u32 {
        match flat {
            Some(Flat::I32(number) | Flat::Address(number)) => *number,
            _ => 0,
        }
    }
}

impl FromFlat for i64 {
    fn from_flat(flat: Option<&Flat>) -> i64 {
        if let Some(Flat::I64(number)) = flat { *number } else { 0 }
    }
}

fn typed<P: WasmParams + 'static>(
    export: &Func,
    store: &Store<Host>,
    of: impl Fn(&[Flat]) -> P + 'static,
) -> Option<Entry> {
    let export = export.typed::<P, i64>(store).ok()?;
    Some(Box::new(move |store, flat| export.call(store, of(flat)).map(Returned::I64)))
}

/// Tries an export with parameters of these types, without a look at each value at every call.
macro_rules! try_shape {
    ($export:expr, $store:expr, $letters:expr, $($shape:literal: ($($of:ty),*);)*) => {
        match $letters {
            $($shape => typed::<($($of,)*)>($export, $store, |flat| {
                let mut flat = flat.iter();
                ($(<$of>::from_flat(flat.next()),)*)
            }),)*
            _ => None,
        }
    };
}

/// How an export is called. Common types have an entry of their own; any other is called by values.
fn entry(export: Func, store: &Store<Host>, flat: &[Flat]) -> Entry {
    let letter = |flat: &Flat| match flat {
        Flat::I32(_) | Flat::Address(_) => 'i',
        Flat::I64(_) => 'l',
        Flat::F64(_) => 'd',
    };
    let letters: String = flat.iter().map(letter).collect();
    let fast = try_shape!(&export, store, letters.as_str(),
        "l": (i64);
        "ll": (i64, i64);
        "ii": (u32, u32);
        "iil": (u32, u32, i64);
        "iill": (u32, u32, i64, i64);
        "iilll": (u32, u32, i64, i64, i64);
        "iiii": (u32, u32, u32, u32);
        "iiiil": (u32, u32, u32, u32, i64);
        "iiiill": (u32, u32, u32, u32, i64, i64);
        "iiiiii": (u32, u32, u32, u32, u32, u32);
        "iiiiiil": (u32, u32, u32, u32, u32, u32, i64);
        "iiiiiiii": (u32, u32, u32, u32, u32, u32, u32, u32);
    );
    fast.unwrap_or_else(|| Box::new(move |store, flat| call_by_values(&export, store, flat)))
}

fn call_by_values(
    export: &Func,
    store: &mut Store<Host>,
    flat: &[Flat],
) -> wasmtime::Result<Returned> {
    let value = |flat: &Flat| match *flat {
        Flat::I32(number) | Flat::Address(number) => Val::I32(number.cast_signed()),
        Flat::I64(number) => Val::I64(number),
        Flat::F64(number) => Val::F64(number.to_bits()),
    };
    let values: Vec<Val> = flat.iter().map(value).collect();
    let mut result = [Val::I64(0)];
    let count = export.ty(&*store).results().len();
    let results = result.get_mut(..count).unwrap_or_default();
    export.call(store, &values, results)?;
    Ok(match (results.len(), &result) {
        (0, _) => Returned::Nothing,
        (_, [Val::F64(bits)]) => Returned::F64(f64::from_bits(*bits)),
        (_, [value]) => Returned::I64(value.i64().unwrap_or_default()),
    })
}

/// How a call that holds no lock is paced.
pub fn timed(limit_ms: u64) -> Pace {
    let limit = Duration::from_millis(limit_ms);
    Pace::Timed(Timed { started: Instant::now(), limit, running: None })
}

/// Where a thread gets instances from, and gives them back.
#[derive(Default)]
pub struct Instances {
    /// Unused instances of each library, those of the last one first.
    #[allow(
        clippy::vec_box,
        reason = "each call takes one out and puts it back: it stays in place"
    )]
    idle: Vec<(u64, Vec<Box<Instance>>)>,
}

impl Instances {
    /// An instance for one call.
    ///
    /// # Errors
    /// Why there is none.
    #[inline]
    pub fn acquire(
        &mut self,
        library: &Arc<Library>,
        is_fresh: bool,
        pace: Pace,
    ) -> Result<Box<Instance>, Failure> {
        if !is_fresh && let Some(mut instance) = self.take_idle(library.id) {
            library.machine.ticker.want();
            instance.set_pace(pace);
            return Ok(instance);
        }
        Instance::new(library, pace).map(Box::new)
    }

    fn take_idle(&mut self, library: u64) -> Option<Box<Instance>> {
        let at = self.idle.iter().position(|(id, _)| *id == library)?;
        if at > 0 {
            self.idle.swap(0, at);
        }
        self.idle.first_mut()?.1.pop()
    }

    /// Gives an instance back after a call; `is_sound` says that it returned normally.
    #[inline]
    pub fn release(&mut self, library: &Library, mut instance: Box<Instance>, is_sound: bool) {
        // A fresh instance ends with its call, and so does one that trapped.
        let Isolation::Reset(image) = &library.isolation else { return };
        if !is_sound || !image.get().is_some_and(|image| instance.set_back(image)) {
            return;
        }
        let at = self.idle.iter().position(|(id, _)| *id == instance.library);
        match at.and_then(|at| self.idle.get_mut(at)) {
            Some((_, idle)) if idle.len() < IDLE_INSTANCES_MAX => idle.push(instance),
            Some(_) => {}
            None => self.idle.insert(0, (instance.library, vec![instance])),
        }
    }

    /// Drops the instances of libraries that are not there any more.
    pub fn retain(&mut self, is_there: impl Fn(u64) -> bool) {
        self.idle.retain(|(id, _)| is_there(*id));
    }
}
