//! Ending what runs for too long, where the engine does not: a module that was rewritten
//! (reset/rewrite.rs) looks at one byte of its own, and traps when that is not 0.
//!
//! Another thread looks after all instances of an engine at every tick ([`Watch::tick`]), and
//! writes the byte of those that have to end. It may come late, when the call has just returned and
//! the next one begins. So each call has a number, and there is one word that says which call runs,
//! and what was decided of it. It is left in one of two ways, each an atomic exchange of the word
//! as it was seen, so that never both succeed: the call is over ([`Stop::end`]), or it is stopped.
//!
//! Invariant: the byte is written only after the word was exchanged for "stopped", and a word that
//! says so never changes again. So an instance whose `end` succeeded was not stopped, and cannot be
//! on account of that call any more: the number in the word is another one. An instance whose `end`
//! failed is dropped, byte and all. Thus no byte is ever taken back.
//!
//! Not here: what an end is called (failure.rs), and who makes the ticks (machine.rs).

use std::ptr::null_mut;
use std::sync::atomic::{AtomicI32, AtomicPtr, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use wasmtime::{AsContextMut, Instance};

use crate::functions::host::{Pace, Timed};
use crate::functions::reset::{CARDS_EXPORT, STOP_AT};
use crate::functions::thread_time::ThreadClock;
use crate::limits::functions::LOCKED_TIME;

/// What the lowest bits of a word say; above them is the number of the call.
const STATE_BITS: u32 = 2;
const STATE_MASK: u64 = (1 << STATE_BITS) - 1;
/// No call runs.
const IDLE: u64 = 0;
/// A call runs until it has computed for too long.
const LOCKED: u64 = 1;
/// A call runs until its time is up or somebody ends it.
const TIMED: u64 = 2;
/// The call has to end.
const STOPPED: u64 = 3;

/// In place of a clock. No thread's has this number: they are negative.
const NO_CLOCK: i32 = 0;

/// The instances of an engine that are looked after.
#[derive(Default)]
pub struct Watch {
    watched: Mutex<Vec<Watched>>,
}

struct Watched {
    word: Arc<Word>,
    /// What its word was at the tick before.
    seen: u64,
    /// How long its thread had computed when a tick found the call for the first time.
    seen_at: Option<Duration>,
}

/// See the head of this file.
struct Word {
    state: AtomicU64,
    /// The clock of the thread that runs the call.
    clock: AtomicI32,
    guarded: Mutex<Guarded>,
}

#[derive(Default)]
struct Guarded {
    /// The byte; none before the instance is there, and after.
    byte: AtomicPtr<u8>,
    /// Of the call that runs, if it is a timed one.
    timed: Option<Timed>,
}

impl Word {
    fn lock(&self) -> MutexGuard<'_, Guarded> {
        self.guarded.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long the thread has computed that runs the call. None if that cannot be known.
    fn computed(&self) -> Option<Duration> {
        match self.clock.load(Ordering::Relaxed) {
            NO_CLOCK => None,
            clock => ThreadClock(clock).now(),
        }
    }

    /// Ends the call of which this was the word a moment ago, if it is time.
    fn stop_if(&self, now: u64, is_time: impl FnOnce(&Guarded) -> bool) {
        let mut guarded = self.lock();
        let has_to_end = is_time(&guarded);
        // Only if it is still the same call: what was looked at may be the next one's.
        if has_to_end && exchange(&self.state, now, now | STOPPED) {
            let byte = *guarded.byte.get_mut();
            if !byte.is_null() {
                // SAFETY: the byte is there. It was inside of a memory that has its largest size
                // from the start, so it stays where it is while its store lives; `Stop::drop` takes
                // the lock that is held here to have it forgotten, and goes before the store
                // (instance.rs). Nobody has a reference to it: the host borrows that memory between
                // calls alone, to read the cards, when the word says idle, which it did not just
                // now and does not again. What the guest does to it is compiled code's.
                let byte = unsafe { AtomicU8::from_ptr(byte) };
                byte.store(1, Ordering::Release);
            }
        }
    }
}

fn exchange(state: &AtomicU64, from: u64, to: u64) -> bool {
    state.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire).is_ok()
}

impl Watch {
    /// Ends the calls whose time is up. To be called once a millisecond while any runs.
    pub fn tick(&self) {
        self.lock().retain_mut(|watched| {
            watched.tick();
            Arc::strong_count(&watched.word) > 1
        });
    }

    /// How many instances there are.
    #[allow(clippy::len_without_is_empty, reason = "nobody asks")]
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Watched>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watched {
    fn tick(&mut self) {
        let now = self.word.state.load(Ordering::Acquire);
        let before = std::mem::replace(&mut self.seen, now);
        match now & STATE_MASK {
            LOCKED if now != before => self.seen_at = self.word.computed(),
            LOCKED => {
                // A thread that waits for its processor would gain nothing by starting again.
                let computed = self.word.computed();
                let span = computed.zip(self.seen_at).map(|(now, then)| now.saturating_sub(then));
                if span.is_none_or(|span| span >= LOCKED_TIME) {
                    self.word.stop_if(now, |_| true);
                }
            }
            TIMED => {
                let is_over =
                    |guarded: &Guarded| guarded.timed.as_ref().is_some_and(Timed::is_over);
                self.word.stop_if(now, is_over);
            }
            _ => {}
        }
    }
}

/// What stops an instance. It is to be dropped before the instance's store.
pub struct Stop {
    word: Arc<Word>,
    /// The word while the call runs.
    current: u64,
}

impl Stop {
    /// Has an instance looked after, of a module that was rewritten. None, if it was not.
    pub fn new(mut store: impl AsContextMut, instance: &Instance, watch: &Watch) -> Option<Stop> {
        let memory = instance.get_memory(&mut store, CARDS_EXPORT)?;
        let is_inside = STOP_AT < memory.data_size(&store);
        let byte = is_inside.then(|| memory.data_ptr(&store).wrapping_add(STOP_AT))?;
        let byte = AtomicPtr::new(byte);
        let guarded = Mutex::new(Guarded { byte, timed: None });
        let (state, clock) = (AtomicU64::new(IDLE), AtomicI32::new(NO_CLOCK));
        let word = Arc::new(Word { state, clock, guarded });
        watch.lock().push(Watched { word: Arc::clone(&word), seen: IDLE, seen_at: None });
        Some(Stop { word, current: IDLE })
    }

    /// A call begins. Ticks have to come as long as it runs.
    #[inline]
    pub fn begin(&mut self, pace: &Pace) {
        let state = match pace {
            Pace::Locked => {
                let clock = ThreadClock::own().map_or(NO_CLOCK, |clock| clock.0);
                self.word.clock.store(clock, Ordering::Relaxed);
                LOCKED
            }
            Pace::Timed(timed) => {
                self.word.lock().timed = Some(timed.clone());
                TIMED
            }
        };
        // No number comes twice in the life of a server.
        let number = (self.current >> STATE_BITS) + 1;
        self.current = number << STATE_BITS | state;
        self.word.state.store(self.current, Ordering::Release);
    }

    /// The call is over. False if it had been stopped before: the instance cannot be used again.
    #[inline]
    #[must_use = "an instance that was stopped must not be called again"]
    pub fn end(&mut self) -> bool {
        let idle = self.current & !STATE_MASK;
        exchange(&self.word.state, self.current, idle)
    }

    /// Whether the call that runs was stopped.
    pub fn is_stopped(&self) -> bool {
        self.word.state.load(Ordering::Acquire) & STATE_MASK == STOPPED
    }
}

impl Drop for Stop {
    fn drop(&mut self) {
        *self.word.lock().byte.get_mut() = null_mut();
    }
}
