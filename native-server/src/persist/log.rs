//! The log as the databases see it: a buffer in memory that one thread brings to the disk.
//!
//! Whoever changes keys appends, under the lock of their database, and goes on; who must not
//! answer before the disk has it waits for a position (replies.rs). Positions are known at once.
//!
//! Invariant: what was appended reaches the disk in order and without a gap, or the log has failed
//! and takes nothing any more until a checkpoint makes it whole.
//! Invariant: nobody who appends waits for the disk, since who appends holds a database. While more
//! waits to be written than the buffer is meant for, commands that write are held up before they
//! run: so it exceeds that by no more than what each I/O thread was in the middle of.

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
    /// Whether writes are held up, since more waits to be written than is good.
    is_crowded: bool,
    /// Bytes that have to be here before it is worth to wake the log's thread.
    wanted_bytes: usize,
}

/// What whoever lets clients write has to know of the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Notice {
    /// Writes are to be refused with this line, or no longer.
    Trouble(Option<String>),
    /// Writes are to be held up, or no longer.
    Crowded(bool),
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
    /// Who is told of that.
    on_notice: Mutex<Option<OnNotice>>,
}

type OnNotice = Box<dyn Fn(Notice) + Send>;

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

    /// Wakes the log's thread for those who wait, unless it will look by itself before it could do
    /// anything for them.
    pub fn ring_for_waiting(&self) {
        let buffer = lock(&self.buffer);
        let is_wanted = buffer.bytes.len() >= buffer.wanted_bytes;
        drop(buffer);
        if is_wanted {
            self.bell.ring();
        }
    }

    /// Bytes that records have taken on the disk since the server started.
    pub fn written_bytes(&self) -> u64 {
        self.written_bytes.load(Ordering::Relaxed)
    }

    /// Begins to keep what is appended, from a position on, for records of so many bytes at most.
    pub fn open(&self, position: u64, record_bytes: usize) {
        let mut buffer = lock(&self.buffer);
        self.set_crowded(&mut buffer, false);
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
        self.set_crowded(&mut buffer, false);
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
        if buffer.bytes.len() > LOG_BUFFER_BYTES_MAX && buffer.is_kept && buffer.trouble.is_some() {
            // The disk takes nothing, and reads go on, which drop what has expired.
            buffer.lose();
            let why = "the log's buffer is full, since nothing can be written";
            buffer.trouble = Some(Trouble::Failed(why.into()));
            self.has_failed.store(true, Ordering::Release);
            self.announce(buffer.trouble.as_ref());
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
        if buffer.bytes.len() > LOG_BUFFER_BYTES_MAX && buffer.trouble.is_none() {
            self.set_crowded(&mut buffer, true);
        }
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

    /// Whom to tell what those have to know who let clients write.
    pub fn tell(&self, tell: impl Fn(Notice) + Send + 'static) {
        *lock(&self.on_notice) = Some(Box::new(tell));
    }

    fn notify(&self, notice: Notice) {
        if let Some(tell) = &*lock(&self.on_notice) {
            tell(notice);
        }
    }

    fn announce(&self, trouble: Option<&Trouble>) {
        let line = |why: &str| format!("MISCONF Errors writing to the AOF file: {why}");
        self.notify(Notice::Trouble(trouble.map(|trouble| line(trouble.why()))));
    }

    fn set_crowded(&self, buffer: &mut Buffer, is_crowded: bool) {
        if buffer.is_crowded != is_crowded {
            buffer.is_crowded = is_crowded;
            self.notify(Notice::Crowded(is_crowded));
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
        self.set_crowded(&mut buffer, false);
    }

    /// What it is asked to do; whether to make all durable; and how many bytes are in the buffer.
    pub fn requests(&self) -> (Vec<Request>, bool, usize) {
        let mut buffer = lock(&self.buffer);
        let requests = std::mem::take(&mut buffer.requests);
        let wants_sync = std::mem::take(&mut buffer.wants_sync);
        (requests, wants_sync, buffer.bytes.len())
    }

    /// The log's thread is about to rest, and need not be woken before so many bytes are here. How
    /// many there are.
    pub fn rest(&self, wanted_bytes: usize) -> usize {
        let mut buffer = lock(&self.buffer);
        buffer.wanted_bytes = wanted_bytes;
        buffer.bytes.len()
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
        if trouble.is_some() {
            // Who writes is told why that cannot be, and does not wait.
            self.set_crowded(&mut buffer, false);
        }
        self.has_failed.store(has_failed, Ordering::Release);
        drop(buffer);
        self.announce(trouble.as_ref());
        self.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_appends_never_waits_and_writes_are_held_up_while_too_much_does() {
        let log = Log::default();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let hears = Arc::clone(&heard);
        log.tell(move |notice| lock(&hears).push(notice));
        log.open(0, 1 << 20);
        let unit = vec![b'x'; 1 << 20];
        for _ in 0..2 {
            // No thread takes anything: all of this is done at once, or never.
            for _ in 0..=LOG_BUFFER_BYTES_MAX / unit.len() + 3 {
                log.append(|buffer| buffer.extend_from_slice(&unit));
            }
            assert_eq!(*lock(&heard), [Notice::Crowded(true)]);
            log.take(&mut Taken::default());
            assert_eq!(*lock(&heard), [Notice::Crowded(true), Notice::Crowded(false)]);
            lock(&heard).clear();
        }
    }

    #[test]
    fn a_disk_that_takes_nothing_refuses_instead_and_the_buffer_stays_bounded() {
        let log = Log::default();
        log.open(0, 1 << 20);
        let unit = vec![b'x'; 1 << 20];
        log.append(|buffer| buffer.extend_from_slice(&unit));
        log.set_trouble(Some(Trouble::Full("no room".into())));
        let heard = Arc::new(Mutex::new(Vec::new()));
        let hears = Arc::clone(&heard);
        log.tell(move |notice| lock(&hears).push(notice));
        for number in 2..100 {
            let position = log.append(|buffer| buffer.extend_from_slice(&unit));
            assert_eq!(position, number << 20, "positions go on");
            assert!(log.waiting_bytes() <= LOG_BUFFER_BYTES_MAX + 2 * unit.len());
        }
        assert!(log.has_failed(), "a checkpoint has to make it whole");
        let heard = lock(&heard);
        assert!(matches!(&heard[..], [Notice::Trouble(Some(line))] if line.starts_with("MISCONF")));
    }
}
