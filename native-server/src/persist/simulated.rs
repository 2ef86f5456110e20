//! A disk in memory that fails when it is told to: for tests of what happens then.
//!
//! It keeps what is durable apart from what was only written. A crash drops the latter, but for
//! blocks that happened to reach the disk, which a seed picks; so the order of writes on their way
//! means nothing, as on a real disk.
//!
//! Invariant: whatever is asked of the disk counts as one step, and a fault happens at one of them.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::persist::disk::{Bell, Disk, Done, Make, Slots, Write};
use crate::persist::format::{RECORD_BYTES_MAX, SEGMENT_HEAD_BYTES};
use crate::persist::manifest::{Manifest, Needs};
use crate::persist::reader::Segments;
use crate::persist::writer::Segment;

/// What goes wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// A write ends before its end.
    Short,
    /// A write, or whatever it is, fails.
    Error,
    /// There is no room, for so many steps.
    Full(u64),
    /// The power is gone: nothing is done from here on.
    Crash,
}

const BLOCK_BYTES: usize = 512;
const SLOTS: usize = 4;

#[derive(Clone, Default)]
struct File {
    durable: Vec<u8>,
    /// Blocks that were written and not made durable, by their number.
    written: BTreeMap<usize, Vec<u8>>,
}

#[derive(Default)]
struct State {
    files: BTreeMap<u64, File>,
    /// What is noted of them.
    needs: Option<Needs>,
    steps: u64,
    fault: Option<(u64, Fault)>,
    is_crashed: bool,
    random: u64,
}

impl State {
    /// Counts a step; what goes wrong in it.
    fn step(&mut self) -> Option<Fault> {
        self.steps += 1;
        let (at, fault) = self.fault?;
        match fault {
            Fault::Full(count) => {
                ((at..at.saturating_add(count)).contains(&self.steps)).then_some(fault)
            }
            Fault::Crash if self.steps >= at => {
                self.is_crashed = true;
                Some(fault)
            }
            _ => (self.steps == at).then_some(fault),
        }
    }

    fn next_random(&mut self) -> u64 {
        // Xorshift: any sequence serves that is the same again for the same seed.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }
}

fn error_of(fault: Fault) -> io::Error {
    match fault {
        Fault::Full(_) => io::ErrorKind::StorageFull.into(),
        _ => io::Error::other("the disk fails"),
    }
}

/// What is on the disk, which outlives whoever writes to it.
#[derive(Clone, Default)]
pub struct Storage(Arc<Mutex<State>>);

impl Storage {
    /// One that is empty; the seed decides what a crash leaves.
    pub fn new(seed: u64) -> Storage {
        let state = State { random: seed | 1, ..State::default() };
        Storage(Arc::new(Mutex::new(state)))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets something go wrong at a step, counted from the first.
    pub fn fail_at(&self, step: u64, fault: Fault) {
        self.state().fault = Some((step, fault));
    }

    /// How many steps there were.
    pub fn steps(&self) -> u64 {
        self.state().steps
    }

    /// The power is gone, and comes back: what was not durable is there or not, block by block.
    pub fn restart(&self) {
        let mut state = self.state();
        let numbers: Vec<u64> = state.files.keys().copied().collect();
        for number in numbers {
            let written =
                state.files.get_mut(&number).map(|file| std::mem::take(&mut file.written));
            for (block, bytes) in written.unwrap_or_default() {
                if state.next_random() & 1 == 0
                    && let Some(file) = state.files.get_mut(&number)
                {
                    place(&mut file.durable, block, &bytes);
                }
            }
        }
        state.fault = None;
        state.is_crashed = false;
    }

    /// The process is gone, the system is not: what was written is there.
    pub fn flush(&self) {
        for file in self.state().files.values_mut() {
            for (block, bytes) in std::mem::take(&mut file.written) {
                place(&mut file.durable, block, &bytes);
            }
        }
    }

    /// Changes a byte of a file.
    pub fn damage(&self, number: u64, offset: usize) {
        if let Some(byte) =
            self.state().files.get_mut(&number).and_then(|file| file.durable.get_mut(offset))
        {
            *byte ^= 0x10;
        }
    }

    /// Cuts a file off, as recovery does.
    pub fn cut(&self, number: u64, len: u64) {
        if let Some(file) = self.state().files.get_mut(&number) {
            file.durable.truncate(usize::try_from(len).unwrap_or_default());
        }
    }

    /// Notes what a start needs, as recovery does.
    pub fn note(&self, needs: Needs) {
        self.state().needs = Some(needs);
    }

    /// Removes a file.
    pub fn remove(&self, number: u64) {
        self.state().files.remove(&number);
    }
}

fn place(file: &mut [u8], block: usize, bytes: &[u8]) {
    if let Some(place) = file.get_mut(block * BLOCK_BYTES..(block + 1) * BLOCK_BYTES) {
        place.copy_from_slice(bytes);
    }
}

impl Segments for Storage {
    fn list(&self) -> io::Result<Vec<u64>> {
        Ok(self.state().files.keys().copied().collect())
    }

    fn needs(&self) -> io::Result<Option<Needs>> {
        Ok(self.state().needs.clone())
    }

    fn read_at(&self, number: u64, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let state = self.state();
        let file = state.files.get(&number).ok_or(io::ErrorKind::NotFound)?;
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        let rest = file.durable.get(offset..).unwrap_or_default();
        let (places, bytes) = (buffer.iter_mut(), rest.iter());
        Ok(places.zip(bytes).map(|(place, byte)| *place = *byte).count())
    }
}

/// A disk over such a storage.
pub struct Simulated {
    storage: Storage,
    manifest: Manifest,
    slots: Slots,
    current: u64,
    /// Writes on their way. They end in any order.
    on_way: Vec<Write>,
    done: VecDeque<Done>,
    made: VecDeque<io::Result<u64>>,
}

impl Simulated {
    /// Over this storage.
    pub fn new(storage: &Storage) -> Simulated {
        let needs = storage.state().needs.clone();
        Simulated {
            storage: storage.clone(),
            manifest: Manifest::noted(needs.unwrap_or_default()),
            slots: Slots::new(SLOTS, RECORD_BYTES_MAX),
            current: 0,
            on_way: Vec::new(),
            done: VecDeque::new(),
            made: VecDeque::new(),
        }
    }

    /// Does a write. How many bytes of it.
    fn perform(&mut self, write: Write) -> io::Result<usize> {
        let storage = self.storage.clone();
        let mut state = storage.state();
        let fault = state.step();
        let len = match fault {
            None => write.len,
            // A block or more may be written, even if the power fails.
            Some(Fault::Short | Fault::Crash) => {
                let blocks = write.len / BLOCK_BYTES;
                (state.next_random() as usize % blocks.max(1)) * BLOCK_BYTES
            }
            Some(fault) => return Err(error_of(fault)),
        };
        let bytes = self.slots.get(write.slot).get(write.from..write.from + len);
        let blocks = bytes.unwrap_or_default().chunks(BLOCK_BYTES);
        let first = usize::try_from(write.offset).unwrap_or_default() / BLOCK_BYTES;
        if let Some(file) = state.files.get_mut(&self.current) {
            for (block, bytes) in (first..).zip(blocks) {
                if write.is_synced && fault != Some(Fault::Crash) {
                    file.written.remove(&block);
                    place(&mut file.durable, block, bytes);
                } else {
                    file.written.insert(block, bytes.to_vec());
                }
            }
        }
        Ok(len)
    }

    /// See `make_noted` of files.rs.
    fn make_noted(&self, make: &Make) -> io::Result<u64> {
        let note = |needs: &Needs| note(&self.storage, needs);
        if let Some(recycled) = make.recycled {
            self.manifest.omit(&note, &[recycled], Segment::default())?;
        }
        let mut state = self.storage.state();
        match state.step() {
            None | Some(Fault::Short) => {}
            Some(fault) => return Err(error_of(fault)),
        }
        let len = usize::try_from(make.bytes).unwrap_or_default();
        let recycled = make.recycled.and_then(|number| state.files.remove(&number));
        let mut file = recycled.unwrap_or_default();
        file.durable.resize(len, 0);
        if let Some(place) = file.durable.get_mut(..SEGMENT_HEAD_BYTES) {
            place.copy_from_slice(&make.head.bytes());
        }
        state.files.insert(make.number, file);
        drop(state);
        self.manifest.add(&note, make.number)?;
        Ok(make.number)
    }

    fn end_writes(&mut self) {
        while !self.on_way.is_empty() {
            let at = self.storage.state().next_random() as usize % self.on_way.len();
            let write = self.on_way.swap_remove(at);
            let outcome = self.perform(write);
            if self.storage.state().is_crashed {
                return;
            }
            self.done.push_back(Done::Write(write.slot, outcome));
        }
    }
}

impl Disk for Simulated {
    fn name(&self) -> &'static str {
        "simulated"
    }

    fn block_bytes(&self) -> usize {
        BLOCK_BYTES
    }

    fn slots(&self) -> usize {
        SLOTS
    }

    fn slot(&mut self, slot: usize) -> &mut [u8] {
        self.slots.get(slot)
    }

    fn write(&mut self, write: Write) {
        self.on_way.push(write);
    }

    fn sync(&mut self) {
        self.end_writes();
        let mut state = self.storage.state();
        if state.is_crashed {
            return;
        }
        let outcome = match state.step() {
            // What has its room cannot lack any.
            None | Some(Fault::Short | Fault::Full(_)) => {
                if let Some(file) = state.files.get_mut(&self.current) {
                    for (block, bytes) in std::mem::take(&mut file.written) {
                        place(&mut file.durable, block, &bytes);
                    }
                }
                Ok(())
            }
            Some(Fault::Crash) => return,
            Some(fault) => Err(error_of(fault)),
        };
        self.done.push_back(Done::Sync(outcome));
    }

    fn reap(&mut self) -> Option<Done> {
        if self.storage.state().is_crashed {
            return None;
        }
        self.done.pop_front()
    }

    fn wait(&mut self, _: &Bell, _: Option<Duration>) {
        self.end_writes();
    }

    fn enter(&mut self, position: u64) -> io::Result<()> {
        let needs = Needs { position, ..Needs::default() };
        note(&self.storage, &needs)?;
        self.manifest = Manifest::noted(needs);
        Ok(())
    }

    fn validate(&mut self) -> io::Result<()> {
        self.manifest.validate(&|needs| note(&self.storage, needs))
    }

    fn close(&mut self, end: u64) {
        let _ = self.manifest.close(&|needs| note(&self.storage, needs), end);
    }

    fn make(&mut self, make: Make) {
        if self.storage.state().is_crashed {
            return;
        }
        let outcome = self.make_noted(&make);
        if !self.storage.state().is_crashed {
            self.made.push_back(outcome);
        }
    }

    fn made(&mut self) -> Option<io::Result<u64>> {
        self.made.pop_front()
    }

    fn switch(&mut self, number: u64) -> io::Result<()> {
        let mut state = self.storage.state();
        match state.step() {
            Some(fault @ Fault::Error) => return Err(error_of(fault)),
            _ => self.current = number,
        }
        Ok(())
    }

    fn remove(&mut self, numbers: &[u64], first: Segment) {
        let note = |needs: &Needs| note(&self.storage, needs);
        if !self.manifest.omit(&note, numbers, first).unwrap_or(false) {
            return;
        }
        let mut state = self.storage.state();
        for number in numbers {
            if !matches!(state.step(), Some(Fault::Crash)) {
                state.files.remove(number);
            }
        }
    }
}

fn note(storage: &Storage, needs: &Needs) -> io::Result<()> {
    let mut state = storage.state();
    match state.step() {
        None | Some(Fault::Short) => {
            state.needs = Some(needs.clone());
            Ok(())
        }
        Some(fault) => Err(error_of(fault)),
    }
}
