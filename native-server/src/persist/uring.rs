//! io_uring for the log's disk (files.rs): several writes on their way at once, each durable when
//! it ends, and syncs that nobody waits for.
//!
//! Invariant: the kernel reads a slot from when its write is begun until that has ended, and the
//! writer does not touch it meanwhile. The slots live as long as the ring, and longer: the ring is
//! dropped first.
//!
//! Not here: any choice of what is written when (writer.rs), or by which way (files.rs).

use std::fs::File;
use std::io::{self, IoSlice};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Duration;

use io_uring::squeue::Entry;
use io_uring::types::{Fd, FsyncFlags, SubmitArgs, Timespec};
use io_uring::{IoUring, opcode};

use crate::persist::disk::{Bell, Done, Slots, Write};
use crate::persist::format::RECORD_BYTES_MAX;

/// Writes on their way at once.
pub const SLOTS: usize = 4;
/// `RWF_DSYNC`.
const WRITE_IS_SYNCED: i32 = 2;
/// `POLLIN`.
const READABLE: u32 = 1;

/// The kernel is short of memory for the ring.
const EBUSY: i32 = 16;

/// What an entry is, where it is no write of a slot.
const SYNC: u64 = 1 << 32;
const BELL: u64 = 1 << 33;

/// See the module. The order of the fields is that in which they are dropped.
pub struct Ring {
    ring: IoUring,
    /// The memory of writes.
    pub slots: Slots,
    bell: Arc<Bell>,
    /// Whether the ring looks at the bell.
    is_listening: bool,
    /// Whether the kernel knows the slots already.
    is_registered: bool,
    /// Entries that were begun and have not ended, the bell's left out.
    on_way: usize,
}

impl Ring {
    /// One that is woken by a bell as well.
    ///
    /// # Errors
    /// The system refuses io_uring, or has an older one.
    pub fn new(bell: Arc<Bell>) -> io::Result<Ring> {
        let ring = IoUring::new(16)?;
        if !ring.params().is_feature_ext_arg() || !ring.params().is_feature_nodrop() {
            return Err(io::Error::other("the kernel's io_uring is too old"));
        }
        let mut slots = Slots::new(SLOTS, RECORD_BYTES_MAX);
        let is_registered = register(&ring, &mut slots).is_ok();
        Ok(Ring { ring, slots, bell, is_listening: false, is_registered, on_way: 0 })
    }

    /// Whether nothing is on its way.
    pub fn is_idle(&self) -> bool {
        self.on_way == 0
    }

    /// Hands an entry to the kernel.
    fn begin(&mut self, entry: &Entry) -> io::Result<()> {
        // SAFETY: an entry refers to memory of a slot, or to none. A slot's memory is never moved
        // or freed before the ring is gone (the vector in `Slots` does not grow, and is dropped
        // after the ring, whose end waits for what is on its way), and stays as it is until the
        // entry has ended, by the invariant above. Descriptors are open now, which is all that the
        // kernel asks: it takes a reference of its own at submission, just below.
        unsafe { self.ring.submission().push(entry) }.map_err(io::Error::other)?;
        loop {
            match self.ring.submit() {
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn listen(&mut self) {
        if !self.is_listening
            && let Some(bell) = self.bell.descriptor()
        {
            let bell = Fd(bell.as_raw_fd());
            let entry = opcode::PollAdd::new(bell, READABLE).build().user_data(BELL);
            self.is_listening = self.begin(&entry).is_ok();
        }
    }

    /// Begins a write.
    ///
    /// # Errors
    /// It could not even be begun.
    pub fn write(&mut self, file: &File, write: Write) -> io::Result<()> {
        let fd = Fd(file.as_raw_fd());
        let bytes = self.slots.get(write.slot).get(write.from..write.from + write.len);
        let bytes = bytes.unwrap_or_default();
        let (start, len) = (bytes.as_ptr(), bytes.len() as u32);
        let flags = if write.is_synced { WRITE_IS_SYNCED } else { 0 };
        let entry = match self.is_registered {
            true => opcode::WriteFixed::new(fd, start, len, write.slot as u16)
                .offset(write.offset)
                .rw_flags(flags)
                .build(),
            false => {
                opcode::Write::new(fd, start, len).offset(write.offset).rw_flags(flags).build()
            }
        };
        self.begin(&entry.user_data(write.slot as u64))?;
        self.on_way += 1;
        Ok(())
    }

    /// Begins to make durable what was written into a file.
    ///
    /// # Errors
    /// It could not even be begun.
    pub fn sync(&mut self, file: &File) -> io::Result<()> {
        let entry = opcode::Fsync::new(Fd(file.as_raw_fd())).flags(FsyncFlags::DATASYNC).build();
        self.begin(&entry.user_data(SYNC))?;
        self.on_way += 1;
        Ok(())
    }

    /// Something that has ended, if anything has.
    pub fn reap(&mut self) -> Option<Done> {
        loop {
            let ended = self.ring.completion().next()?;
            let result = ended.result();
            let outcome = match u32::try_from(result) {
                Ok(count) => Ok(count as usize),
                Err(_) => Err(io::Error::from_raw_os_error(-result)),
            };
            match ended.user_data() {
                BELL => self.is_listening = false,
                SYNC => {
                    self.on_way -= 1;
                    return Some(Done::Sync(outcome.map(|_| ())));
                }
                slot => {
                    self.on_way -= 1;
                    return Some(Done::Write(slot as usize, outcome));
                }
            }
        }
    }

    /// Waits until something has ended, the bell is rung, or the time is up.
    pub fn wait(&mut self, timeout: Option<Duration>) {
        self.listen();
        let timespec = timeout.map(Timespec::from);
        let arguments = match &timespec {
            Some(timespec) => SubmitArgs::new().timespec(timespec),
            None => SubmitArgs::new(),
        };
        let outcome = self.ring.submitter().submit_with_args(1, &arguments);
        // That the time is up, or an interruption, does no harm. Anything else must not spin.
        if outcome.is_err_and(|error| error.raw_os_error() == Some(EBUSY)) {
            self.bell.wait(Some(Duration::from_millis(1)));
        }
    }
}

/// Lets the kernel know the slots once, instead of with every write.
fn register(ring: &IoUring, slots: &mut Slots) -> io::Result<()> {
    let ranges: Vec<(*const u8, usize)> =
        (0..SLOTS).map(|slot| (slots.get(slot).as_ptr(), RECORD_BYTES_MAX)).collect();
    // SAFETY: each range is the memory of one slot, which is initialised and is not changed while
    // these slices are there: they are gone when this function returns.
    let slices: Vec<IoSlice<'_>> = ranges
        .iter()
        .map(|&(start, len)| IoSlice::new(unsafe { std::slice::from_raw_parts(start, len) }))
        .collect();
    // SAFETY: `IoSlice` has the layout of `iovec`, as its documentation promises.
    let vectors = unsafe { std::slice::from_raw_parts(slices.as_ptr().cast(), slices.len()) };
    // SAFETY: the slots outlive the ring, see `Ring::begin`.
    unsafe { ring.submitter().register_buffers(vectors) }
}

impl Drop for Ring {
    /// Waits for what is on its way, whose memory must not be freed before.
    fn drop(&mut self) {
        while self.on_way > 0 {
            if self.reap().is_some() {
                continue;
            }
            match self.ring.submit_and_wait(1) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                    // Nobody can tell when they end: rather lose the memory than lend it.
                    std::mem::forget(std::mem::replace(&mut self.slots, Slots::new(0, 0)));
                    return;
                }
                _ => {}
            }
        }
    }
}
