//! What the log needs of a disk.
//!
//! There are three: files through io_uring (uring.rs), plain files where that is refused (both in
//! files.rs), and one in memory that fails when it is told to (simulated.rs). Writes are begun and
//! end later; those that block have ended then.
//!
//! Invariant: a disk decides nothing. Whether a failure is borne, and what was durable when, is
//! the writer's business (writer.rs).

use std::io::{self, Read, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use socket2::SockRef;

use crate::persist::format::SegmentHead;
use crate::persist::writer::Segment;

/// A write.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Write {
    /// Whose memory is written.
    pub slot: usize,
    /// From where in it.
    pub from: usize,
    /// How many bytes: whole blocks.
    pub len: usize,
    /// Where to in the segment.
    pub offset: u64,
    /// Whether it is durable when it ends.
    pub is_synced: bool,
}

/// Something that has ended.
#[derive(Debug)]
pub enum Done {
    /// A write of this slot, with the bytes that were written.
    Write(usize, io::Result<usize>),
    /// A sync.
    Sync(io::Result<()>),
}

/// A segment to be made ready.
#[derive(Clone, Debug)]
pub struct Make {
    /// Its number.
    pub number: u64,
    /// What it begins with.
    pub head: SegmentHead,
    /// Its length.
    pub bytes: u64,
    /// Whether its blocks are written once before, so that writing them changes nothing else.
    pub is_filled: bool,
    /// A segment that is needed no more and of which this one may be made.
    pub recycled: Option<u64>,
}

/// See the module.
pub trait Disk: Send {
    /// What it is called in INFO.
    fn name(&self) -> &'static str;

    /// Offsets and lengths of writes are multiples of this.
    fn block_bytes(&self) -> usize;

    /// How many writes may be on their way.
    fn slots(&self) -> usize;

    /// The memory that a write of this slot takes its bytes from.
    fn slot(&mut self, slot: usize) -> &mut [u8];

    /// Begins a write into the current segment.
    fn write(&mut self, write: Write);

    /// Begins to make durable what was written into the current segment.
    fn sync(&mut self);

    /// Something that has ended, if anything has.
    fn reap(&mut self) -> Option<Done>;

    /// Waits until something has ended, the bell is rung, or the time is up.
    fn wait(&mut self, bell: &Bell, timeout: Option<Duration>);

    /// Segments that are made from now on go into the directory that has the name now. They go on
    /// from a checkpoint of this position, and no other ones are needed.
    ///
    /// # Errors
    /// It cannot be written.
    fn enter(&mut self, position: u64) -> io::Result<()>;

    /// A log that began anew has its checkpoint: it is what a start needs from now on.
    ///
    /// # Errors
    /// That cannot be noted.
    fn validate(&mut self) -> io::Result<()>;

    /// Nothing comes any more behind this position.
    fn close(&mut self, end: u64);

    /// Begins to make a segment ready, durably.
    fn make(&mut self, make: Make);

    /// The number of the segment that has become ready, if one has.
    fn made(&mut self) -> Option<io::Result<u64>>;

    /// Writes go to this segment from now on.
    ///
    /// # Errors
    /// It cannot be opened.
    fn switch(&mut self, number: u64) -> io::Result<()>;

    /// Segments that are needed no more, given with the first that still is.
    fn remove(&mut self, numbers: &[u64], first: Segment);
}

/// Whether an error passes when there is room again.
pub fn is_full(error: Option<&io::Error>) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    error.is_some_and(|error| matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge))
}

/// What wakes the log's thread.
#[derive(Default)]
pub struct Bell {
    /// Where it is rung, and where that is heard. There is none while there is no thread to wake.
    ends: OnceLock<(UnixStream, UnixStream)>,
    is_rung: AtomicBool,
}

impl Bell {
    /// Makes it audible.
    ///
    /// # Errors
    /// The system has no descriptor left.
    pub fn mount(&self) -> io::Result<()> {
        if self.ends.get().is_none() {
            let ends = UnixStream::pair()?;
            // Another thread may have been faster, and then there is one as well.
            let _ = self.ends.set(ends);
        }
        Ok(())
    }

    /// Can be read from when it has been rung.
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.ends.get().map(|(_, heard)| heard.as_fd())
    }

    /// Rings it. Once is enough until somebody has heard it.
    pub fn ring(&self) {
        if let Some((rung, _)) = self.ends.get()
            && !self.is_rung.swap(true, Ordering::AcqRel)
        {
            // There is always room for one byte.
            let _ = (&mut &*rung).write(&[1]);
        }
    }

    /// Hears it: what is rung from now on counts anew.
    pub fn hear(&self) {
        if let Some((_, heard)) = self.ends.get()
            && self.is_rung.load(Ordering::Acquire)
        {
            // The byte is there, or will be in a moment.
            let _ = heard.set_read_timeout(None);
            let _ = (&mut &*heard).read(&mut [0]);
            self.is_rung.store(false, Ordering::Release);
        }
    }

    /// Waits until it is rung or the time is up.
    pub fn wait(&self, timeout: Option<Duration>) {
        let Some((_, heard)) = self.ends.get() else { return };
        // Looking leaves the byte for `hear`. An interruption ends the wait too early, which does
        // no harm.
        let _ = heard.set_read_timeout(timeout.map(|timeout| timeout.max(LEAST_TIMEOUT)));
        let _ = SockRef::from(heard).peek(&mut [MaybeUninit::uninit()]);
    }
}

/// A timeout of zero would be none at all.
const LEAST_TIMEOUT: Duration = Duration::from_micros(100);

/// Memory for writes, each part at the start of a page.
pub struct Slots {
    memory: Vec<u8>,
    start: usize,
    bytes: usize,
}

const PAGE_BYTES: usize = 4096;

impl Slots {
    /// So many parts of so many bytes each, a multiple of a page.
    pub fn new(count: usize, bytes: usize) -> Slots {
        let memory = vec![0; count * bytes + PAGE_BYTES];
        let start = memory.as_ptr().align_offset(PAGE_BYTES);
        Slots { memory, start, bytes }
    }

    /// One of them.
    pub fn get(&mut self, slot: usize) -> &mut [u8] {
        let from = self.start + slot * self.bytes;
        self.memory.get_mut(from..from + self.bytes).unwrap_or_default()
    }
}
