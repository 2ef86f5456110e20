//! The log as the databases see it: a buffer in memory that one thread brings to the disk.
//!
//! Whoever changes keys appends, under the lock of their database, and goes on; who must not
//! answer before the disk has it waits for a position (replies.rs). Positions are known at once.
//!
//! Invariant: what was appended reaches the disk in order and without a gap, or the log has failed
//! and takes nothing any more until a checkpoint makes it whole.
//! Invariant: the buffer is bounded; whoever finds it full waits.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use atomic_waker::AtomicWaker;

use crate::limits::{LOG_BUFFER_BYTES_MAX, LOG_WRITE_BYTES};
use crate::persist::disk::Bell;

/// When what was written is made durable: `appendfsync`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fsync {
    /// Before it is answered.
    Always,
    /// Within a second.
    EverySecond,
    /// When the system sees fit.
    No,
}

/// Why writes are refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Trouble {
    /// The disk is full. It passes when there is room.
    Full(String),
    /// A write or a sync has failed: what is on disk is not known. Only a checkpoint helps.
    Failed(String),
}

impl Trouble {
    /// What the system said.
    pub fn why(&self) -> &str {
        match self {
            Trouble::Full(why) | Trouble::Failed(why) => why,
        }
    }
}

/// What the log's thread is asked to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Request {
    /// What is below this position is needed no more: a checkpoint has it.
    Forget(u64),
    /// A checkpoint of this position is there: a log that has failed begins anew.
    Restart(u64),
    /// Everything is to be written, and nothing comes any more.
    Close,
}

/// What has been appended and not been taken yet.
#[derive(Default)]
pub struct Buffer {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// The position of the first.
    pub start: u64,
    /// Ends of units, at which a record may end, from the start of the buffer on.
    pub cuts: Vec<usize>,
    /// The end of the last unit, and the last of the cuts.
    last_end: usize,
    last_cut: usize,
    /// Whether anybody appends at all, and whether that is kept.
    is_on: bool,
    is_kept: bool,
    /// Most bytes that a record takes.
    record_bytes: usize,
    /// Whether everything is to be made durable as soon as possible.
    pub wants_sync: bool,
    requests: Vec<Request>,
    trouble: Option<Trouble>,
}

/// See the module. By default it is off.
#[derive(Default)]
pub struct Log {
    buffer: Mutex<Buffer>,
    /// The log has moved, or failed.
    moved: Condvar,
    appended: AtomicU64,
    durable: AtomicU64,
    /// Bytes that records have taken on the disk.
    written_bytes: AtomicU64,
    policy: AtomicU8,
    has_failed: AtomicBool,
    /// Wakes the log's thread.
    pub bell: Arc<Bell>,
    /// Who is woken when the log has moved: the I/O threads' replies.
    listeners: Mutex<Vec<Arc<AtomicWaker>>>,
    /// Told when writes begin to be refused, or no longer are.
    on_trouble: Mutex<Option<OnTrouble>>,
}

/// Hears why writes are refused; nothing once they are not.
type OnTrouble = Box<dyn Fn(Option<String>) + Send>;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Log {
    /// Everything up to here was appended.
    pub fn position(&self) -> u64 {
        self.appended.load(Ordering::Acquire)
    }

    /// Everything up to here is durable.
    #[inline]
    pub fn durable(&self) -> u64 {
        self.durable.load(Ordering::Acquire)
    }

    /// When what was written is made durable.
    pub fn policy(&self) -> Fsync {
        match self.policy.load(Ordering::Relaxed) {
            0 => Fsync::Always,
            1 => Fsync::EverySecond,
            _ => Fsync::No,
        }
    }

    /// Changes that.
    pub fn set_policy(&self, policy: Fsync) {
        self.policy.store(policy as u8, Ordering::Relaxed);
        self.bell.ring();
    }

    /// Whether a reply must not leave before everything up to a position is durable.
    #[inline]
    pub fn holds_replies(&self, position: u64) -> bool {
        position > self.durable() && self.policy() == Fsync::Always
    }

    /// Whether the log has failed: what waits for it waits in vain.
    pub fn has_failed(&self) -> bool {
        self.has_failed.load(Ordering::Acquire)
    }

    /// Why writes are refused, if they are.
    pub fn trouble(&self) -> Option<Trouble> {
        lock(&self.buffer).trouble.clone()
    }

    /// Whether anybody appends.
    pub fn is_on(&self) -> bool {
        lock(&self.buffer).is_on
    }

    /// Bytes that were appended and not been written yet.
    pub fn waiting_bytes(&self) -> usize {
        lock(&self.buffer).bytes.len()
    }

    /// Bytes that records have taken on the disk since the server started.
    pub fn written_bytes(&self) -> u64 {
        self.written_bytes.load(Ordering::Relaxed)
    }

    /// Begins to keep what is appended, from a position on, for records of so many bytes at most.
    pub fn open(&self, position: u64, record_bytes: usize) {
        let mut buffer = lock(&self.buffer);
        let start = position;
        *buffer = Buffer { start, is_on: true, is_kept: true, record_bytes, ..Buffer::default() };
        self.appended.store(position, Ordering::Release);
        self.durable.store(position, Ordering::Release);
    }

    /// Nobody appends any more.
    pub fn shut(&self) {
        let mut buffer = lock(&self.buffer);
        buffer.is_on = false;
        buffer.is_kept = false;
        buffer.trouble = None;
        drop(buffer);
        // Nobody waits for what is not going to come.
        self.durable.store(self.position(), Ordering::Release);
        self.has_failed.store(false, Ordering::Release);
        self.announce(None);
        self.wake();
    }

    /// Appends a unit: it is there as a whole after a restart, or not at all. Its end.
    pub fn append(&self, write: impl FnOnce(&mut Vec<u8>)) -> u64 {
        let mut buffer = lock(&self.buffer);
        while buffer.bytes.len() > LOG_BUFFER_BYTES_MAX && buffer.is_kept {
            self.bell.ring();
            if buffer.trouble.is_some() {
                // The disk takes nothing, and who waits here would keep others from reading.
                buffer.lose();
                let why = "the log's buffer is full, since nothing can be written";
                buffer.trouble = Some(Trouble::Failed(why.into()));
                self.has_failed.store(true, Ordering::Release);
                self.announce(buffer.trouble.as_ref());
                break;
            }
            buffer = self.moved.wait(buffer).unwrap_or_else(PoisonError::into_inner);
        }
        let before = buffer.bytes.len();
        write(&mut buffer.bytes);
        let end = buffer.bytes.len();
        if !buffer.is_kept {
            // Positions go on; what they stood for a checkpoint will have.
            buffer.start += (end - before) as u64;
            buffer.bytes.truncate(before);
        }
        let position = buffer.start + buffer.bytes.len() as u64;
        if buffer.is_kept && end - buffer.last_cut > buffer.record_bytes {
            let last_end = buffer.last_end;
            if last_end > buffer.last_cut {
                buffer.cuts.push(last_end);
            }
            buffer.last_cut = last_end;
        }
        buffer.last_end = buffer.bytes.len();
        self.appended.store(position, Ordering::Release);
        drop(buffer);
        let is_first = before == 0 && self.policy() != Fsync::Always;
        if is_first || before < LOG_WRITE_BYTES && end >= LOG_WRITE_BYTES {
            self.bell.ring();
        }
        position
    }

    /// Waits until everything up to a position is durable, or the log has failed; at most for so
    /// long. Whether it is durable.
    pub fn wait(&self, position: u64, timeout: Duration) -> bool {
        let mut buffer = lock(&self.buffer);
        buffer.wants_sync = true;
        self.bell.ring();
        let is_waiting = |_: &mut Buffer| self.durable() < position && !self.has_failed();
        let outcome = self.moved.wait_timeout_while(buffer, timeout, is_waiting);
        drop(outcome);
        self.durable() >= position
    }

    /// Everything is to become durable soon.
    pub fn hurry(&self) {
        lock(&self.buffer).wants_sync = true;
        self.bell.ring();
    }

    /// Asks the log's thread for something.
    pub fn ask(&self, request: Request) {
        lock(&self.buffer).requests.push(request);
        self.bell.ring();
    }

    /// Begins again to keep what is appended, after the log has failed; from which position on.
    /// Called while nobody appends.
    pub fn keep_again(&self) -> u64 {
        let mut buffer = lock(&self.buffer);
        let is_lost = buffer.is_on && !buffer.is_kept;
        if is_lost {
            buffer.is_kept = true;
        }
        buffer.start + buffer.bytes.len() as u64
    }

    /// Whether all that was appended from a position on is in the buffer.
    pub fn is_whole_from(&self, position: u64) -> bool {
        let buffer = lock(&self.buffer);
        buffer.is_kept && buffer.start == position
    }

    /// Does not, after all: there is no checkpoint.
    pub fn lose_again(&self) {
        let mut buffer = lock(&self.buffer);
        if self.has_failed() {
            buffer.lose();
        }
    }

    /// Somebody who is to be woken whenever the log has moved.
    pub fn add_listener(&self, listener: Arc<AtomicWaker>) {
        lock(&self.listeners).push(listener);
    }

    /// Whom to tell when writes begin to be refused, or no longer are.
    pub fn tell_trouble(&self, tell: impl Fn(Option<String>) + Send + 'static) {
        *lock(&self.on_trouble) = Some(Box::new(tell));
    }

    fn announce(&self, trouble: Option<&Trouble>) {
        if let Some(tell) = &*lock(&self.on_trouble) {
            let line = |why: &str| format!("MISCONF Errors writing to the AOF file: {why}");
            tell(trouble.map(|trouble| line(trouble.why())));
        }
    }

    fn wake(&self) {
        self.moved.notify_all();
        lock(&self.listeners).iter().for_each(|listener| listener.wake());
    }
}

impl Buffer {
    /// Drops what was appended, and what will be.
    fn lose(&mut self) {
        self.is_kept = false;
        self.start += self.bytes.len() as u64;
        self.bytes = Vec::new();
        self.reset_cuts();
    }

    fn reset_cuts(&mut self) {
        self.cuts.clear();
        (self.last_end, self.last_cut) = (0, 0);
    }
}

/// What the log's thread took from the buffer.
#[derive(Default)]
pub struct Taken {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// The position of the first.
    pub start: u64,
    /// Where records may end.
    pub cuts: Vec<usize>,
    /// How many of the bytes are in records already.
    pub used: usize,
}

/// What the log's thread does with it.
impl Log {
    /// Takes all that was appended. `spare` has nothing left; its memory is the next buffer.
    pub fn take(&self, spare: &mut Taken) {
        let mut buffer = lock(&self.buffer);
        spare.bytes.clear();
        spare.cuts.clear();
        if spare.bytes.capacity() > 4 * LOG_WRITE_BYTES {
            spare.bytes = Vec::new();
        }
        spare.start = buffer.start;
        spare.used = 0;
        buffer.start += buffer.bytes.len() as u64;
        std::mem::swap(&mut buffer.bytes, &mut spare.bytes);
        std::mem::swap(&mut buffer.cuts, &mut spare.cuts);
        buffer.reset_cuts();
        drop(buffer);
        if spare.bytes.len() > LOG_BUFFER_BYTES_MAX {
            self.moved.notify_all();
        }
    }

    /// What it is asked to do; whether to make all durable; and how many bytes are in the buffer.
    pub fn requests(&self) -> (Vec<Request>, bool, usize) {
        let mut buffer = lock(&self.buffer);
        let requests = std::mem::take(&mut buffer.requests);
        let wants_sync = std::mem::take(&mut buffer.wants_sync);
        (requests, wants_sync, buffer.bytes.len())
    }

    /// A record takes so many bytes more on the disk.
    pub fn note_written(&self, bytes: usize) {
        self.written_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Everything up to here is durable now.
    pub fn advance(&self, durable: u64) {
        self.durable.store(durable, Ordering::Release);
        // Whoever looks at the position under the lock and then waits must not miss this.
        drop(lock(&self.buffer));
        self.wake();
    }

    /// Writes are refused from now on, or no longer.
    pub fn set_trouble(&self, trouble: Option<Trouble>) {
        let mut buffer = lock(&self.buffer);
        let has_failed = matches!(trouble, Some(Trouble::Failed(_)));
        if has_failed {
            buffer.lose();
        }
        buffer.trouble.clone_from(&trouble);
        self.has_failed.store(has_failed, Ordering::Release);
        drop(buffer);
        self.announce(trouble.as_ref());
        self.wake();
    }
}
