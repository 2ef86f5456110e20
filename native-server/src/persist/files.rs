//! The log's directory, and the disk that its files are written to.
//!
//! A segment is written past the page cache where the file system allows it: a cache would only
//! hold what nobody reads, and flushing it costs more than the write.
//!
//! Invariant: a segment is made under another name, and gets its own when it is whole and durable.
//! Invariant: what is written goes into the directory that was there at first, wherever that is
//! moved to.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, IoSlice, Write as _};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::fs::{AtFlags, FallocateFlags, Mode, OFlags, fallocate, openat, renameat, unlinkat};
use rustix::io::{Errno, ReadWriteFlags, pwritev2};

use crate::persist::disk::{Bell, Disk, Done, Make, Slots, Write};
use crate::persist::format::{
    BLOCK_BYTES_MIN, RECORD_BYTES_MAX, SEGMENT_HEAD_BYTES, segment_name, segment_number,
};
use crate::persist::manifest::{MANIFEST, MANIFEST_SPARE, Manifest, Needs};
use crate::persist::uring::{self, Ring};
use crate::persist::writer::Segment;
use crate::plain_file;

/// A segment that is being made.
pub(super) const SPARE: &str = "ferrite-spare.tmp";
/// What is tried to learn how the file system wants to be written.
pub(super) const PROBE: &str = "ferrite-probe.tmp";
/// Bytes that are written at once when a segment is filled: little, so that writes in between do
/// not wait long.
const FILL_BYTES: usize = 256 * 1024;

/// The directory of a log.
#[derive(Clone, Debug)]
pub struct Directory {
    path: PathBuf,
    /// The directory itself, where it is written to: whatever comes to stand under its name is
    /// none of it.
    handle: Option<Arc<File>>,
    /// Flags that segments are opened with.
    flags: OFlags,
    /// See [`Disk::block_bytes`].
    pub block_bytes: usize,
}

impl Directory {
    /// One that is only read from.
    pub fn to_read(path: &Path) -> Directory {
        let (flags, block_bytes) = (OFlags::empty(), BLOCK_BYTES_MIN);
        Directory { path: path.into(), handle: None, flags, block_bytes }
    }

    /// One that is written to: the smallest block that goes past the page cache is found out.
    ///
    /// # Errors
    /// No file can be written there.
    pub fn to_write(path: &Path) -> io::Result<Directory> {
        let mut directory = Directory::to_read(path);
        directory.handle = Some(Arc::new(File::open(path)?));
        directory.clear(PROBE)?;
        let outcome = directory.create(PROBE, OFlags::empty());
        let outcome = outcome.and_then(|file| file.set_len(1 << 16));
        let mut slots = Slots::new(1, 1 << 16);
        if outcome.is_ok()
            && let Ok(file) = directory.open_at(PROBE, OFlags::DIRECT)
        {
            for block_bytes in [BLOCK_BYTES_MIN, 4096] {
                let block = slots.get(0).get(..block_bytes).unwrap_or_default();
                if file.write_at(block, block_bytes as u64).is_ok_and(|len| len == block_bytes) {
                    directory.flags = OFlags::DIRECT;
                    directory.block_bytes = block_bytes;
                    break;
                }
            }
        }
        let _ = directory.clear(PROBE);
        outcome.map(|()| directory)
    }

    fn handle(&self) -> io::Result<&File> {
        self.handle.as_deref().ok_or_else(|| io::Error::other("the directory is only read"))
    }

    fn open_at(&self, name: &str, flags: OFlags) -> io::Result<File> {
        let flags = flags | OFlags::WRONLY | OFlags::CLOEXEC;
        Ok(openat(self.handle()?, name, flags, Mode::RUSR | Mode::WUSR)?.into())
    }

    fn create(&self, name: &str, flags: OFlags) -> io::Result<File> {
        self.open_at(name, flags | OFlags::CREATE | OFlags::EXCL)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        Ok(renameat(self.handle()?, from, self.handle()?, to)?)
    }

    /// Sees to it that there is no file of this name.
    fn clear(&self, name: &str) -> io::Result<()> {
        match unlinkat(self.handle()?, name, AtFlags::empty()) {
            Err(Errno::NOENT) => Ok(()),
            outcome => Ok(outcome?),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where a segment is.
    pub fn segment(&self, number: u64) -> PathBuf {
        self.path.join(segment_name(number))
    }

    /// The numbers of the segments there are, in order.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn list(&self) -> io::Result<Vec<u64>> {
        let mut numbers = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            numbers.extend(entry?.file_name().to_str().and_then(segment_number));
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// Reads from a place in a segment on. How many bytes; none behind its end.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read_at(&self, number: u64, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        plain_file::open(&self.segment(number))?.read_at(buffer, offset)
    }

    /// Cuts a segment off.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn cut(&self, number: u64, len: u64) -> io::Result<()> {
        let file = OpenOptions::new().write(true).open(self.segment(number))?;
        file.set_len(len)?;
        file.sync_all()
    }

    /// Gives back what stands in a segment behind its last record: it was made ready to be
    /// written, and nobody is going to.
    pub fn trim(&self, number: u64, len: u64) {
        if fs::metadata(self.segment(number)).is_ok_and(|found| found.len() > len) {
            // Where that fails it takes room, and does no harm.
            let _ = self.cut(number, len);
        }
    }

    /// Notes which files of the log a start needs, durably.
    pub(super) fn note(&self, needs: &Needs) -> io::Result<()> {
        self.clear(MANIFEST_SPARE)?;
        let mut file = self.create(MANIFEST_SPARE, OFlags::empty())?;
        file.write_all(needs.to_string().as_bytes())?;
        file.sync_all()?;
        self.rename(MANIFEST_SPARE, MANIFEST)?;
        self.handle()?.sync_all()
    }

    /// Opens a segment to be written.
    ///
    /// # Errors
    /// It cannot be.
    pub fn open(&self, number: u64) -> io::Result<File> {
        self.open_at(&segment_name(number), self.flags)
    }

    /// Makes a segment, and leaves it open: when it is needed there may be no descriptor left.
    ///
    /// # Errors
    /// There is no room for it, or it cannot be written.
    pub fn make(&self, make: &Make) -> io::Result<File> {
        let recycled = make.recycled.is_some_and(|number| {
            let found = self.open(number).and_then(|file| file.metadata());
            let has_length = found.is_ok_and(|found| found.len() == make.bytes);
            has_length && self.rename(&segment_name(number), SPARE).is_ok()
        });
        let outcome = self.fill(make, recycled);
        if outcome.is_err() {
            let _ = self.clear(SPARE);
        }
        let file = outcome?;
        let name = segment_name(make.number);
        let outcome = self.rename(SPARE, &name).and_then(|()| self.handle()?.sync_all());
        if outcome.is_err() {
            // It may be gone after a loss of power, so it is not used; the next has another name.
            let _ = self.clear(&name);
        }
        outcome.map(|()| file)
    }

    fn fill(&self, make: &Make, is_recycled: bool) -> io::Result<File> {
        let file = match is_recycled {
            true => self.open_at(SPARE, self.flags)?,
            false => {
                self.clear(SPARE)?;
                self.create(SPARE, self.flags)?
            }
        };
        if !is_recycled {
            match fallocate(&file, FallocateFlags::empty(), 0, make.bytes) {
                Ok(()) => {}
                // Not every file system can; what is filled below need not be promised.
                Err(Errno::OPNOTSUPP) => file.set_len(make.bytes)?,
                Err(error) => return Err(error.into()),
            }
        }
        let mut slots = Slots::new(1, FILL_BYTES);
        if make.is_filled && !is_recycled {
            let mut offset = 0;
            while offset < make.bytes {
                let len = usize::try_from(make.bytes - offset).unwrap_or(FILL_BYTES);
                let zeros = slots.get(0).get(..len.min(FILL_BYTES)).unwrap_or_default();
                file.write_all_at(zeros, offset)?;
                offset += zeros.len() as u64;
            }
        }
        let head = slots.get(0).get_mut(..self.block_bytes).unwrap_or_default();
        if let Some(place) = head.get_mut(..SEGMENT_HEAD_BYTES) {
            place.copy_from_slice(&make.head.bytes());
        }
        file.write_all_at(head, 0)?;
        file.sync_all()?;
        Ok(file)
    }
}

/// Makes segments, and removes them, on threads of its own, which end before it does: so nothing
/// touches the directory when its lock is given back.
pub struct Maker {
    /// Where.
    pub directory: Directory,
    manifest: Arc<Manifest>,
    bell: Arc<Bell>,
    working: Option<Receiver<io::Result<(u64, File)>>>,
    /// The segment that was made last.
    ready: Option<(u64, File)>,
    threads: Vec<JoinHandle<()>>,
}

impl Maker {
    /// One that rings when something has become ready.
    fn new(directory: Directory, manifest: Manifest, bell: Arc<Bell>) -> Maker {
        let manifest = Arc::new(manifest);
        Maker { directory, manifest, bell, working: None, ready: None, threads: Vec::new() }
    }

    /// See [`Disk::make`].
    pub fn make(&mut self, make: Make) {
        let (directory, bell) = (self.directory.clone(), Arc::clone(&self.bell));
        let manifest = Arc::clone(&self.manifest);
        let (sender, receiver) = channel();
        self.working = Some(receiver);
        self.run(move || {
            let outcome = make_noted(&directory, &manifest, make);
            // Nobody asks any more where the log has ended meanwhile.
            let _ = sender.send(outcome);
            bell.ring();
        });
    }

    /// See [`Disk::made`].
    pub fn made(&mut self) -> Option<io::Result<u64>> {
        let outcome = match self.working.as_ref()?.try_recv() {
            Ok(outcome) => outcome,
            Err(TryRecvError::Empty) => return None,
            Err(TryRecvError::Disconnected) => Err(io::Error::other("its thread has failed")),
        };
        self.working = None;
        self.ready = None;
        Some(outcome.map(|made| self.ready.insert(made).0))
    }

    /// See [`Disk::switch`].
    fn open(&mut self, number: u64) -> io::Result<File> {
        match self.ready.take_if(|(made, _)| *made == number) {
            Some((_, file)) => Ok(file),
            None => self.directory.open(number),
        }
    }

    /// See [`Disk::remove`].
    pub fn remove(&mut self, numbers: &[u64], first: Segment) {
        let (directory, numbers) = (self.directory.clone(), numbers.to_vec());
        let manifest = Arc::clone(&self.manifest);
        self.run(move || {
            if !manifest.omit(&|needs| directory.note(needs), &numbers, first).unwrap_or(false) {
                return;
            }
            for number in numbers {
                // What stays does no harm: the next start looks at it again, and removes it.
                let _ = directory.clear(&segment_name(number));
            }
        });
    }
}

/// Makes a segment and notes it; first that there is none any more of which it is made.
fn make_noted(
    directory: &Directory,
    manifest: &Manifest,
    mut make: Make,
) -> io::Result<(u64, File)> {
    let number = make.number;
    let note = |needs: &Needs| directory.note(needs);
    if let Some(recycled) = make.recycled {
        let is_free = manifest.omit(&note, &[recycled], Segment::default())?;
        make.recycled = make.recycled.filter(|_| is_free);
    }
    let file = directory.make(&make)?;
    manifest.add(&note, number).inspect_err(|_| {
        let _ = directory.clear(&segment_name(number));
    })?;
    Ok((number, file))
}

impl Maker {
    /// See [`Disk::enter`].
    fn enter(&mut self, position: u64) -> io::Result<()> {
        // What is still going on would note what was.
        self.finish();
        self.directory = Directory::to_write(self.directory.path())?;
        let needs = Needs { position, ..Needs::default() };
        self.directory.note(&needs)?;
        self.manifest = Arc::new(Manifest::noted(needs));
        Ok(())
    }

    fn finish(&mut self) {
        for thread in self.threads.drain(..) {
            // One that panicked has said so.
            let _ = thread.join();
        }
    }

    fn run(&mut self, work: impl FnOnce() + Send + 'static) {
        self.threads.retain(|thread| !thread.is_finished());
        self.threads.push(std::thread::spawn(work));
    }
}

impl Drop for Maker {
    fn drop(&mut self) {
        self.finish();
    }
}

/// How the log's bytes get to its files.
enum Way {
    /// One write after the other.
    Plain(Slots),
    /// Some of them beside each other.
    Ring(Box<Ring>),
}

/// The disk of files.
///
/// A write that is durable when it ends is best done at once, by the thread that is going to wait
/// for it: the ring leaves the second half of it, the flush, to a thread of the kernel, and each
/// change of threads costs as much as all else. But then the next has to wait; so where the disk
/// takes long, they go through the ring, and overlap. What nobody waits for always does.
pub struct Files {
    way: Way,
    maker: Maker,
    current: Option<File>,
    done: VecDeque<Done>,
    /// What a durable write takes of late, and how many went through the ring since that was
    /// measured.
    pace: Duration,
    unmeasured: u32,
}

/// A durable write that takes longer should not keep the next from being begun.
const SLOW_WRITE: Duration = Duration::from_millis(2);
/// How often one is measured where they are slow.
const MEASURE_INTERVAL: u32 = 16;
/// The weight of all earlier writes beside the last.
const PACE_WEIGHT: u32 = 7;

impl Files {
    /// In this directory, with io_uring; why without, if that is refused.
    pub(super) fn new(
        directory: Directory,
        manifest: Manifest,
        bell: Arc<Bell>,
    ) -> (Files, Option<io::Error>) {
        match Ring::new(Arc::clone(&bell)) {
            Ok(ring) => (Files::with(Way::Ring(Box::new(ring)), directory, manifest, bell), None),
            Err(why) => (Files::plain(directory, manifest, bell), Some(why)),
        }
    }

    /// The same without io_uring.
    fn plain(directory: Directory, manifest: Manifest, bell: Arc<Bell>) -> Files {
        Files::with(Way::Plain(Slots::new(1, RECORD_BYTES_MAX)), directory, manifest, bell)
    }

    fn with(way: Way, directory: Directory, manifest: Manifest, bell: Arc<Bell>) -> Files {
        let maker = Maker::new(directory, manifest, bell);
        let (current, done, pace) = (None, VecDeque::new(), Duration::ZERO);
        Files { way, maker, current, done, pace, unmeasured: 0 }
    }

    /// Whether a write is to be done at once.
    fn is_direct(&self, write: &Write) -> bool {
        match &self.way {
            Way::Plain(_) => true,
            Way::Ring(ring) => {
                let is_quick = self.pace < SLOW_WRITE || self.unmeasured >= MEASURE_INTERVAL;
                write.is_synced && ring.is_idle() && is_quick
            }
        }
    }

    fn write_directly(&mut self, write: Write) -> io::Result<usize> {
        let file = self.current.as_ref().ok_or_else(no_segment)?;
        let slots = match &mut self.way {
            Way::Plain(slots) => slots,
            Way::Ring(ring) => &mut ring.slots,
        };
        let bytes = slots.get(write.slot).get(write.from..write.from + write.len);
        let flags = match write.is_synced {
            true => ReadWriteFlags::DSYNC,
            false => ReadWriteFlags::empty(),
        };
        let began = Instant::now();
        let bytes = [IoSlice::new(bytes.unwrap_or_default())];
        let written = pwritev2(file, &bytes, write.offset, flags)?;
        self.pace = (self.pace * PACE_WEIGHT + began.elapsed()) / (PACE_WEIGHT + 1);
        self.unmeasured = 0;
        Ok(written)
    }

    fn is_gone(&self) -> bool {
        let found = self.current.as_ref().map(File::metadata);
        found.is_some_and(|found| found.is_ok_and(|found| found.nlink() == 0))
    }

    fn begin_write(&mut self, write: Write) -> io::Result<()> {
        let file = self.current.as_ref().ok_or_else(no_segment)?;
        let Way::Ring(ring) = &mut self.way else { return Err(no_segment()) };
        self.unmeasured += 1;
        ring.write(file, write)
    }
}

fn gone() -> io::Error {
    io::Error::other("the file was removed while it was written")
}

fn no_segment() -> io::Error {
    io::Error::other("no segment is open")
}

impl Disk for Files {
    fn name(&self) -> &'static str {
        match self.way {
            Way::Plain(_) => "files",
            Way::Ring(_) => "io_uring",
        }
    }

    fn block_bytes(&self) -> usize {
        self.maker.directory.block_bytes
    }

    fn slots(&self) -> usize {
        match self.way {
            Way::Plain(_) => 1,
            Way::Ring(_) => uring::SLOTS,
        }
    }

    fn slot(&mut self, slot: usize) -> &mut [u8] {
        match &mut self.way {
            Way::Plain(slots) => slots.get(slot),
            Way::Ring(ring) => ring.slots.get(slot),
        }
    }

    fn write(&mut self, write: Write) {
        let outcome = match self.is_direct(&write) {
            true => self.write_directly(write).map(Some),
            false => self.begin_write(write).map(|()| None),
        };
        if let Some(outcome) = outcome.transpose() {
            self.done.push_back(Done::Write(write.slot, outcome));
        }
    }

    fn sync(&mut self) {
        let outcome = match (&mut self.way, &self.current) {
            (_, None) => Ok(true),
            (Way::Plain(_), Some(file)) => file.sync_data().map(|()| true),
            (Way::Ring(ring), Some(file)) => ring.sync(file).map(|()| false),
        };
        match outcome {
            Ok(false) => {}
            outcome => self.done.push_back(Done::Sync(outcome.map(|_| ()))),
        }
    }

    fn reap(&mut self) -> Option<Done> {
        let done = self.done.pop_front();
        let done =
            done.or_else(|| if let Way::Ring(ring) = &mut self.way { ring.reap() } else { None });
        // What was written into a file that has no name any more is there for nobody.
        match done? {
            Done::Write(slot, Ok(_)) if self.is_gone() => Some(Done::Write(slot, Err(gone()))),
            Done::Sync(Ok(())) if self.is_gone() => Some(Done::Sync(Err(gone()))),
            done => Some(done),
        }
    }

    fn wait(&mut self, bell: &Bell, timeout: Option<Duration>) {
        if !self.done.is_empty() {
            return;
        }
        match &mut self.way {
            Way::Ring(ring) if !ring.is_idle() => ring.wait(timeout),
            // The ring is not needed for that.
            _ => bell.wait(timeout),
        }
    }

    fn enter(&mut self, position: u64) -> io::Result<()> {
        self.maker.enter(position)
    }

    fn validate(&mut self) -> io::Result<()> {
        self.maker.manifest.validate(&|needs| self.maker.directory.note(needs))
    }

    fn close(&mut self, end: u64) {
        // Without that the next start cannot tell whether a file was cut.
        let _ = self.maker.manifest.close(&|needs| self.maker.directory.note(needs), end);
    }

    fn make(&mut self, make: Make) {
        self.maker.make(make);
    }

    fn made(&mut self) -> Option<io::Result<u64>> {
        self.maker.made()
    }

    fn switch(&mut self, number: u64) -> io::Result<()> {
        self.current = Some(self.maker.open(number)?);
        Ok(())
    }

    fn remove(&mut self, numbers: &[u64], first: Segment) {
        self.maker.remove(numbers, first);
    }
}
