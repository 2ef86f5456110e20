//! What stands behind an instance: its handles, the call that it is in, and how it is paced.
//!
//! Invariant: every access of the host to the guest's memory goes through [`Frame`], which looks at
//! the range first and notes what is written, so that who sets the memory back knows of it.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use cpu_time::ThreadTime;
use wasmtime::{Caller, Memory, StoreLimits, TypedFunc, UpdateDeadline};

use crate::functions::call::{Call, code, fill_random};
use crate::functions::failure::Halt;
use crate::functions::library::About;
use crate::limits::functions::LOCKED_TIME;

/// How long an instance may run before somebody looks after it.
#[derive(Debug)]
pub enum Pace {
    /// A lock is held: after a tick or two of computing the call ends, to start again elsewhere.
    Locked,
    /// It ends when its time is up, or somebody ends it.
    Timed(Timed),
}

/// See [`Pace`].
#[derive(Clone, Debug)]
pub struct Timed {
    /// When it began.
    pub started: Instant,
    /// How long it may take.
    pub limit: Duration,
    /// How others see it, and end it.
    pub running: Option<Arc<Running>>,
}

/// What it is that runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A function in WebAssembly, which changes nothing until it is over.
    Module,
    /// A function in Lua.
    Function,
    /// A script.
    Script,
}

/// A function that runs, as others see it.
#[derive(Debug)]
pub struct Running {
    /// What it is.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// What was asked.
    pub request: Vec<Vec<u8>>,
    /// When it began.
    pub started: Instant,
    /// Whether it has to end.
    pub is_killed: AtomicBool,
    /// Whether it has changed something that stays.
    pub has_written: AtomicBool,
}

impl Running {
    /// A function that begins.
    pub fn new(name: &str, command: &str, keys: &[&[u8]], args: &[&[u8]]) -> Arc<Running> {
        let mut request =
            vec![command.as_bytes().to_vec(), name.into(), keys.len().to_string().into_bytes()];
        request.extend(keys.iter().chain(args).map(|text| text.to_vec()));
        Arc::new(Running::of(name, Kind::Module, request, Instant::now()))
    }

    /// A script, or a function in Lua, that has run since then.
    pub fn script(name: &str, kind: Kind, request: Vec<Vec<u8>>, started: Instant) -> Arc<Running> {
        Arc::new(Running::of(name, kind, request, started))
    }

    fn of(name: &str, kind: Kind, request: Vec<Vec<u8>>, started: Instant) -> Running {
        Running {
            kind,
            name: name.into(),
            request,
            started,
            is_killed: AtomicBool::new(false),
            has_written: AtomicBool::new(false),
        }
    }
}

impl Pace {
    /// The same, with a function that others see.
    pub fn seen_by(self, running: &Arc<Running>) -> Pace {
        match self {
            Pace::Locked => Pace::Locked,
            Pace::Timed(timed) => {
                Pace::Timed(Timed { running: Some(Arc::clone(running)), ..timed })
            }
        }
    }

    /// Why a call ends that was stopped.
    pub fn halt(&self) -> Halt {
        match self {
            Pace::Locked => Halt::Overrun,
            Pace::Timed(timed) if timed.is_killed() => Halt::Killed,
            Pace::Timed(_) => Halt::Deadline,
        }
    }
}

impl Timed {
    /// Whether the call has to end.
    pub fn is_over(&self) -> bool {
        self.is_killed() || self.started.elapsed() >= self.limit
    }

    fn is_killed(&self) -> bool {
        self.running.as_ref().is_some_and(|running| running.is_killed.load(Ordering::Relaxed))
    }
}

/// The data of a store.
pub struct Host {
    /// What it is an instance of.
    pub about: Arc<About>,
    /// The guest's memory.
    pub memory: Option<Memory>,
    /// The guest's allocator.
    pub alloc: Option<TypedFunc<u32, u32>>,
    /// What the instance may take.
    pub limits: StoreLimits,
    /// The call that it is in; none while it is made.
    pub call: Option<Box<Call>>,
    /// How it is paced.
    pub pace: Pace,
    /// Where the host has written since the instance was new or set back.
    pub written: Vec<Range<usize>>,
    is_in_alloc: bool,
    /// How long this thread had computed at the first tick of a call.
    seen: Option<ThreadTime>,
    start_random: u64,
    start_lines: usize,
}

/// Ranges that are noted apart before they are taken as one.
const WRITTEN_RANGES_MAX: usize = 64;

impl Host {
    /// For a new instance.
    pub fn new(about: &Arc<About>, limits: StoreLimits, pace: Pace) -> Host {
        Host {
            about: Arc::clone(about),
            memory: None,
            alloc: None,
            limits,
            call: None,
            pace,
            written: Vec::new(),
            is_in_alloc: false,
            seen: None,
            start_random: 0,
            start_lines: 0,
        }
    }

    /// Sets how its next call is paced.
    pub fn set_pace(&mut self, pace: Pace) {
        (self.pace, self.seen) = (pace, None);
    }

    /// What a tick does to it, where the engine has it ask. As [`Watch`] does it for others.
    ///
    /// [`Watch`]: crate::functions::stop::Watch
    pub fn tick(&mut self) -> wasmtime::Result<UpdateDeadline> {
        let is_over = match &self.pace {
            Pace::Timed(timed) => timed.is_over(),
            Pace::Locked => match self.seen {
                Some(seen) => seen.elapsed() >= LOCKED_TIME,
                None => {
                    self.seen = Some(ThreadTime::now());
                    false
                }
            },
        };
        if is_over { Err(self.pace.halt().into()) } else { Ok(UpdateDeadline::Continue(1)) }
    }

    /// A line for the log: the call's, or at once while the instance is made.
    pub fn log(&mut self, level: i32, text: &[u8]) {
        match &mut self.call {
            Some(call) => call.log(level, text),
            None => {
                // A library that starts says a few things at most.
                self.start_lines += 1;
                if self.start_lines <= 8 {
                    self.about.log(level, "starts", text);
                }
            }
        }
    }

    /// The time that the guest sees.
    pub fn now_ms(&self) -> i64 {
        self.call.as_ref().map_or(0, |call| call.now_ms)
    }

    /// Fills memory of the guest's with random bytes.
    pub fn random(&mut self, memory: &mut [u8]) {
        match &mut self.call {
            Some(call) => call.fill_random(memory),
            None => fill_random(&mut self.start_random, memory),
        }
    }
}

/// The guest's memory, the call, and where the host has written: see [`Frame::split`].
type Split<'s> = (&'s mut [u8], &'s mut Call, &'s mut Vec<Range<usize>>);

/// What one host function works with.
pub struct Frame<'f> {
    memory: &'f mut [u8],
    /// The instance's data.
    pub host: &'f mut Host,
    name: &'static str,
}

impl<'f> Frame<'f> {
    /// For the host function of this name.
    #[inline]
    pub fn new(
        caller: &'f mut Caller<'_, Host>,
        name: &'static str,
    ) -> Result<Frame<'f>, wasmtime::Error> {
        let data = caller.data();
        if data.is_in_alloc {
            return Err(Halt::Fault(format!("{name} was called from ferrite_alloc")).into());
        }
        let Some(memory) = data.memory else {
            // Only a start function runs before the memory is known: it finds its own.
            let memory = caller.get_export("memory").and_then(wasmtime::Extern::into_memory);
            caller.data_mut().memory = memory;
            let fault = || Halt::Fault(format!("{name} was called without a memory"));
            let (memory, host) = memory.ok_or_else(fault)?.data_and_store_mut(caller);
            return Ok(Frame { memory, host, name });
        };
        let (memory, host) = memory.data_and_store_mut(caller);
        Ok(Frame { memory, host, name })
    }

    /// The call, with the memory that is read.
    #[inline]
    pub fn call(&mut self) -> Result<(&[u8], &mut Call), wasmtime::Error> {
        match &mut self.host.call {
            Some(call) => Ok((self.memory, call)),
            None => Err(Halt::Fault(format!("{} was called before a call", self.name)).into()),
        }
    }

    /// The call, with the bytes of some ranges.
    #[inline]
    pub fn texts<const N: usize>(
        &mut self,
        ranges: [Range<usize>; N],
    ) -> Result<([&[u8]; N], &mut Call), wasmtime::Error> {
        let (memory, call) = self.call()?;
        Ok((ranges.map(|range| memory.get(range).unwrap_or_default()), call))
    }

    /// A range of the guest's memory.
    #[inline]
    pub fn range(&self, at: u32, len: u32) -> Result<Range<usize>, wasmtime::Error> {
        let end = at as usize + len as usize;
        if end <= self.memory.len() {
            return Ok(at as usize..end);
        }
        Err(self.fault(format!("was given {len} bytes at {at}, outside of memory")))
    }

    /// What the guest did wrong.
    #[cold]
    pub fn fault(&self, what: impl std::fmt::Display) -> wasmtime::Error {
        Halt::Fault(format!("{} {what}", self.name)).into()
    }

    /// The bytes of a range.
    #[inline]
    pub fn bytes(&self, range: Range<usize>) -> &[u8] {
        self.memory.get(range).unwrap_or_default()
    }

    /// A number of 32 bits, at an address that [`range`](Self::range) has allowed.
    pub fn number(&self, at: usize) -> u32 {
        let bytes = self.memory.get(at..).and_then(|bytes| bytes.first_chunk());
        bytes.map_or(0, |bytes| u32::from_le_bytes(*bytes))
    }

    /// Writes into a range of the same length.
    #[inline]
    pub fn write(&mut self, range: Range<usize>, bytes: &[u8]) {
        if let Some(place) = self.memory.get_mut(range.clone())
            && place.len() == bytes.len()
        {
            place.copy_from_slice(bytes);
            note_written(&mut self.host.written, range);
        }
    }

    /// Lets the host write into a range itself.
    pub fn fill(&mut self, range: Range<usize>, fill: impl FnOnce(&mut Host, &mut [u8])) {
        if let Some(place) = self.memory.get_mut(range.clone()) {
            note_written(&mut self.host.written, range);
            fill(self.host, place);
        }
    }

    /// Gives the guest what stands in the call's `scratch`, if it fits: its length in any case.
    pub fn deliver(&mut self, into: Range<usize>) -> Result<i64, wasmtime::Error> {
        let Some(call) = &mut self.host.call else { return Ok(code::ERROR) };
        let scratch = std::mem::take(&mut call.scratch);
        if scratch.len() <= into.len() {
            self.write(into.start..into.start + scratch.len(), &scratch);
        }
        let len = scratch.len() as i64;
        if let Some(call) = &mut self.host.call {
            call.scratch = scratch;
        }
        Ok(len)
    }

    /// Splits the frame for who reads a value from the keyspace straight into memory.
    #[inline]
    pub fn split(&mut self) -> Result<Split<'_>, wasmtime::Error> {
        match &mut self.host.call {
            Some(call) => Ok((self.memory, call, &mut self.host.written)),
            None => Err(Halt::Fault(format!("{} was called before a call", self.name)).into()),
        }
    }
}

/// Notes that the host wrote into a range.
#[inline]
pub fn note_written(written: &mut Vec<Range<usize>>, range: Range<usize>) {
    if range.is_empty() {
        return;
    }
    let count = written.len();
    match written.last_mut() {
        Some(last) if range.start >= last.start && range.start <= last.end => {
            last.end = last.end.max(range.end);
        }
        _ if count < WRITTEN_RANGES_MAX => written.push(range),
        Some(last) => *last = last.start.min(range.start)..last.end.max(range.end),
        None => {}
    }
}

/// Has the guest allocate memory for so many bytes. The error is a trap, `None` is its refusal.
pub fn allocate(
    mut store: impl wasmtime::AsContextMut<Data = Host>,
    len: usize,
) -> wasmtime::Result<Option<usize>> {
    let fault = |what: String| wasmtime::Error::from(Halt::Fault(what));
    let mut store = store.as_context_mut();
    let Some(alloc) = store.data().alloc.clone() else {
        return Err(fault("it has no ferrite_alloc".into()));
    };
    let Ok(asked) = u32::try_from(len.max(1)) else { return Ok(None) };
    store.data_mut().is_in_alloc = true;
    let address = alloc.call(&mut store, asked);
    store.data_mut().is_in_alloc = false;
    let address = address? as usize;
    if address == 0 {
        return Ok(None);
    }
    let size = store.data().memory.map_or(0, |memory| memory.data_size(&store));
    if !address.is_multiple_of(8) || address + asked as usize > size {
        return Err(fault(format!("ferrite_alloc returned {address} for {asked} bytes")));
    }
    Ok(Some(address))
}
