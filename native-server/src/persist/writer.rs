//! The log's thread: takes what was appended, makes records of it, and brings them to the disk.
//!
//! With `always` a record is written as soon as there is something to write and nothing on its way.
//! What comes meanwhile shares the next. Where writes take long they overlap: one begins beside
//! those that are on their way once it has as much as they, so that each pays for few wakings. Each
//! is durable when it ends. Otherwise records are written ten times a second, or when there is
//! much, and made durable once a second.
//!
//! Invariant: what is announced as durable is what the disk has confirmed, in order: a record
//! counts when it has ended and all before it have.
//! Invariant: a segment is left only when what was written into it without being durable has been
//! synced; the next one is ready before.
//! Invariant: after a failed write or sync nothing is written any more, until a checkpoint has
//! what the disk may lack. Only a full disk is waited for.

mod behind;

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::limits::{LOG_OVERLAP_BYTES_MAX, LOG_SEGMENT_BYTES, LOG_WRITE_BYTES};
use crate::persist::disk::{Disk, Done, Make, Write, is_full};
use crate::persist::format::{
    BLOCK_BYTES_MIN, CONTINUES, RECORD_BYTES_MAX, RECORD_HEAD_BYTES, RecordHead, SegmentHead,
};
use crate::persist::log::{Fsync, Log, Request, Taken, Trouble};

/// How often the log is written where nobody waits for it.
const WRITE_INTERVAL: Duration = Duration::from_millis(100);
/// How often it is then made durable.
const SYNC_INTERVAL: Duration = Duration::from_secs(1);
/// How long it takes until a full disk is tried again.
const RETRY_INTERVAL: Duration = Duration::from_millis(250);
/// The largest block that a disk here asks for.
const BLOCK_BYTES_IN_USE: usize = 4096;
/// Files that are kept to be used again.
const RECYCLED_MAX: usize = 2;

/// A segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Segment {
    /// Its number.
    pub number: u64,
    /// The position of its first record.
    pub start: u64,
}

/// What a log is written with.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The length of a segment.
    pub segment_bytes: u64,
    /// See [`SegmentHead::anew`].
    pub anew: u64,
    /// Makes salts.
    pub random: fn() -> u64,
}

impl Default for Options {
    fn default() -> Options {
        Options { segment_bytes: LOG_SEGMENT_BYTES, anew: 0, random: crate::random::number }
    }
}

impl Options {
    fn head(&self, disk: &dyn Disk) -> SegmentHead {
        let block_bytes = disk.block_bytes().max(BLOCK_BYTES_MIN) as u32;
        SegmentHead { block_bytes, salt: (self.random)(), anew: self.anew }
    }

    /// Most bytes of the log that a record takes: it fits into a segment.
    pub fn record_bytes(&self) -> usize {
        let segment = usize::try_from(self.segment_bytes).unwrap_or(usize::MAX);
        RECORD_BYTES_MAX.min(segment.saturating_sub(BLOCK_BYTES_IN_USE)) - RECORD_HEAD_BYTES
    }
}

/// A record on its way.
struct Flight {
    write: Write,
    /// Bytes of the log in it, and the position behind them.
    len: usize,
    end: u64,
    is_done: bool,
    /// When it is tried again, if the disk was full.
    retry_at: Option<Instant>,
}

/// The segment that comes next.
enum Spare {
    None,
    Making(SegmentHead),
    Ready(u64, SegmentHead),
    /// It could not be made; when that is tried again.
    Failed(Instant),
}

/// See the module.
pub struct Writer {
    log: Arc<Log>,
    disk: Box<dyn Disk>,
    options: Options,
    /// The current segment, and where the next record goes in it.
    head: SegmentHead,
    offset: u64,
    segments: VecDeque<Segment>,
    next_number: u64,
    spare: Spare,
    recycled: Vec<u64>,
    taken: Taken,
    flights: VecDeque<Flight>,
    free: Vec<usize>,
    /// What is written up to here, and what is durable.
    written: u64,
    durable: u64,
    /// Something was written that is not durable yet.
    is_unsynced: bool,
    /// A sync is on its way; what it covers.
    syncing: Option<u64>,
    /// Up to where somebody waits for it to be durable.
    wanted: u64,
    written_at: Instant,
    synced_at: Instant,
    is_closing: bool,
    /// The last record is written.
    is_sealed: bool,
    has_failed: bool,
    /// The log began anew, and the checkpoint that it goes with is not there yet: nobody is told
    /// that anything is durable.
    is_void: bool,
    /// The disk is full, and why.
    full: Option<String>,
}

/// What a turn leaves to be done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Next {
    /// Nothing, until something ends, the bell is rung, or so much time has passed.
    Wait(Option<Duration>),
    /// Nothing at all: the log is closed.
    End,
}

impl Writer {
    /// A writer whose first segment has this number. `older` are those that a start may still need.
    ///
    /// # Errors
    /// The first segment cannot be made.
    pub fn new(
        log: Arc<Log>,
        mut disk: Box<dyn Disk>,
        older: Vec<Segment>,
        number: u64,
        options: Options,
        now: Instant,
    ) -> io::Result<Writer> {
        let position = log.position();
        let free = (0..disk.slots()).rev().collect();
        let head = options.head(&*disk);
        let is_filled = log.policy() == Fsync::Always;
        disk.make(Make { number, head, bytes: options.segment_bytes, is_filled, recycled: None });
        loop {
            if let Some(made) = disk.made() {
                made?;
                break;
            }
            disk.wait(&log.bell, None);
            log.bell.hear();
        }
        disk.switch(number)?;
        let mut segments = VecDeque::from(older);
        segments.push_back(Segment { number, start: position });
        Ok(Writer {
            log,
            disk,
            options,
            head,
            offset: u64::from(head.block_bytes),
            segments,
            next_number: number + 1,
            spare: Spare::None,
            recycled: Vec::new(),
            taken: Taken::default(),
            flights: VecDeque::new(),
            free,
            written: position,
            durable: position,
            is_unsynced: false,
            syncing: None,
            wanted: position,
            written_at: now,
            synced_at: now,
            is_closing: false,
            is_sealed: false,
            has_failed: false,
            is_void: options.anew > 0,
            full: None,
        })
    }

    /// What the disk is called.
    pub fn backend(&self) -> &'static str {
        self.disk.name()
    }

    /// Runs until the log is closed.
    pub fn run(mut self) {
        let log = Arc::clone(&self.log);
        let mut guard = Guard { log: &log, is_over: false };
        loop {
            match self.turn(Instant::now()) {
                Next::End => break,
                Next::Wait(timeout) => self.disk.wait(&log.bell, timeout),
            }
        }
        guard.is_over = true;
    }

    /// Waits until something may have ended, at most for so long.
    pub fn wait(&mut self, timeout: Duration) {
        self.disk.wait(&self.log.bell, Some(timeout));
    }

    /// Does all that can be done now.
    pub fn turn(&mut self, now: Instant) -> Next {
        self.log.bell.hear();
        self.look_at_spare(now);
        let mut buffered = self.heed(now);
        loop {
            self.reap(now);
            self.retry(now);
            if self.log.has_failed() && !self.has_failed {
                self.fail("");
            }
            if self.is_due(buffered, now) && self.write_next(now) {
                buffered = self.log.waiting_bytes();
                continue;
            }
            // More may have come, of which we are not told if it was not enough.
            let found = std::mem::replace(&mut buffered, self.log.rest(self.bytes_wanted()));
            if found == buffered {
                break;
            }
        }
        if self.is_sync_due(now) && self.flights.is_empty() {
            self.begin_sync(now);
            self.reap(now);
        }
        if self.is_closing && self.is_over() && !self.seal() {
            if !self.has_failed && !self.is_void && self.full.is_none() {
                self.disk.close(self.durable);
            }
            return Next::End;
        }
        Next::Wait(self.timeout(now))
    }

    /// Whether nothing is left to be done before the end.
    fn is_over(&self) -> bool {
        let is_idle = self.flights.is_empty() && self.syncing.is_none();
        // Who closes a log on a full disk loses what does not fit: it was never acknowledged.
        let is_stuck = self.has_failed || self.full.is_some();
        let is_written = self.is_empty() && !self.is_unsynced;
        (is_idle && is_written) || is_stuck
    }

    /// Writes a last record, without bytes, which says that all before it is durable: what goes
    /// missing from a log that was closed is then known to be damage. False if it is there, or
    /// cannot be.
    fn seal(&mut self) -> bool {
        let block = self.head.block_bytes as usize;
        let has_room = self.offset + block as u64 <= self.options.segment_bytes;
        if self.is_sealed || self.has_failed || self.full.is_some() || !has_room {
            return false;
        }
        self.is_sealed = true;
        self.log.take(&mut self.taken);
        self.write_record(0, block, 0);
        true
    }

    fn is_empty(&self) -> bool {
        self.taken.used == self.taken.bytes.len() && self.log.waiting_bytes() == 0
    }

    /// Whether records are to be written now.
    fn is_due(&self, buffered: usize, now: Instant) -> bool {
        if self.has_failed || self.free.is_empty() {
            return false;
        }
        let is_begun = self.taken.used < self.taken.bytes.len();
        if !is_begun && buffered == 0 {
            return false;
        }
        match self.log.policy() {
            // What was written while the policy was another is made durable first.
            Fsync::Always => {
                let left = self.taken.bytes.len() - self.taken.used;
                let is_enough = left + buffered >= self.bytes_wanted();
                !self.is_unsynced && self.syncing.is_none() && (is_enough || self.is_closing)
            }
            _ => {
                let is_late = now.saturating_duration_since(self.written_at) >= WRITE_INTERVAL;
                let is_urgent = self.wanted > self.written || self.is_closing;
                (is_begun || is_late || buffered >= LOG_WRITE_BYTES || is_urgent)
                    && !self.is_sync_late(now)
            }
        }
    }

    /// How much has to be there before a write begins beside those that are on their way, each of
    /// which wakes us when it ends.
    fn bytes_wanted(&self) -> usize {
        if self.log.policy() != Fsync::Always {
            return 0;
        }
        let on_way = self.flights.iter().filter(|flight| flight.retry_at.is_none());
        on_way.map(|flight| flight.len).sum::<usize>().min(LOG_OVERLAP_BYTES_MAX)
    }

    /// Whether a sync is so late that nothing more is written before.
    fn is_sync_late(&self, now: Instant) -> bool {
        let late = now.saturating_duration_since(self.synced_at);
        self.log.policy() == Fsync::EverySecond && self.is_unsynced && late >= 2 * SYNC_INTERVAL
    }

    fn is_sync_due(&self, now: Instant) -> bool {
        if !self.is_unsynced || self.syncing.is_some() || self.has_failed {
            return false;
        }
        let late = now.saturating_duration_since(self.synced_at);
        match self.log.policy() {
            Fsync::Always => true,
            Fsync::EverySecond if late >= SYNC_INTERVAL => true,
            _ if self.is_closing => self.is_empty(),
            // Not what there is by now, or under load they would wait for ever.
            _ => self.durable < self.wanted && self.wanted <= self.written,
        }
    }

    fn begin_sync(&mut self, now: Instant) {
        self.is_unsynced = false;
        self.syncing = Some(self.written);
        self.synced_at = now;
        self.disk.sync();
    }

    /// Makes one record, and begins to write it. False if that cannot be done now.
    fn write_next(&mut self, now: Instant) -> bool {
        if self.taken.used == self.taken.bytes.len() {
            self.log.take(&mut self.taken);
            self.written_at = now;
        }
        let (len, continues) = self.next_record();
        if len == 0 {
            return false;
        }
        if self.offset + self.padded(len) as u64 > self.options.segment_bytes && !self.rotate(now) {
            return false;
        }
        self.write_record(len, self.padded(len), if continues { CONTINUES } else { 0 })
    }

    /// What a record of so many bytes takes in the current segment.
    fn padded(&self, len: usize) -> usize {
        (RECORD_HEAD_BYTES + len).next_multiple_of(self.head.block_bytes as usize)
    }

    /// Begins to write a record of the next bytes that were taken. False if no slot is free.
    fn write_record(&mut self, len: usize, padded: usize, flags: u32) -> bool {
        let Some(slot) = self.free.pop() else { return false };
        let is_synced = self.log.policy() == Fsync::Always || self.is_sealed;
        let position = self.taken.start + self.taken.used as u64;
        let record = RecordHead { len, position, durable: self.durable, flags };
        let memory = self.disk.slot(slot);
        let bytes = self.taken.bytes.get(self.taken.used..).unwrap_or_default();
        if let Some((place, rest)) = memory
            .get_mut(RECORD_HEAD_BYTES..padded)
            .and_then(|memory| memory.split_at_mut_checked(len))
        {
            place.copy_from_slice(bytes.get(..len).unwrap_or_default());
            rest.fill(0);
        }
        record.write(self.head.salt, memory);
        self.taken.used += len;
        let write = Write { slot, from: 0, len: padded, offset: self.offset, is_synced };
        self.offset += padded as u64;
        self.log.note_written(padded);
        self.is_unsynced |= !is_synced;
        let (end, retry_at) = (record.end(), None);
        self.flights.push_back(Flight { write, len, end, is_done: false, retry_at });
        self.disk.write(write);
        true
    }

    /// How much the next record takes, and whether it ends in the middle of something.
    fn next_record(&mut self) -> (usize, bool) {
        let (used, len) = (self.taken.used, self.taken.bytes.len());
        let room = self.options.record_bytes();
        if len - used <= room {
            return (len - used, false);
        }
        let cut = self.taken.cuts.iter().rev().find(|&&cut| cut > used && cut - used <= room);
        match cut {
            Some(cut) => (cut - used, false),
            None => (room, true),
        }
    }

    /// Goes to the next segment. False if that cannot be done now.
    fn rotate(&mut self, now: Instant) -> bool {
        // What is on its way belongs to the current one, and may have to be written again.
        if !self.flights.is_empty() || self.syncing.is_some() {
            return false;
        }
        if self.is_unsynced {
            self.begin_sync(now);
            return false;
        }
        let Spare::Ready(number, head) = self.spare else { return false };
        if let Err(error) = self.disk.switch(number) {
            self.fail(&format!("cannot open the next segment: {error}"));
            return false;
        }
        self.head = head;
        self.offset = u64::from(head.block_bytes);
        let start = self.taken.start + self.taken.used as u64;
        self.segments.push_back(Segment { number, start });
        self.spare = Spare::None;
        self.look_at_spare(now);
        true
    }

    /// Sees to it that the next segment is ready before it is needed.
    fn look_at_spare(&mut self, now: Instant) {
        match &self.spare {
            Spare::Ready(..) => return,
            Spare::Failed(retry_at) if *retry_at > now => return,
            Spare::None | Spare::Failed(_) if self.has_failed => return,
            Spare::None | Spare::Failed(_) if self.is_closing && self.is_empty() => return,
            Spare::None | Spare::Failed(_) => {
                let head = self.options.head(&*self.disk);
                let (number, bytes) = (self.next_number, self.options.segment_bytes);
                let is_filled = self.log.policy() == Fsync::Always;
                let recycled = self.recycled.pop();
                self.disk.make(Make { number, head, bytes, is_filled, recycled });
                self.next_number += 1;
                self.spare = Spare::Making(head);
            }
            Spare::Making(_) => {}
        }
        let Spare::Making(head) = self.spare else { return };
        match self.disk.made() {
            None => {}
            Some(Ok(number)) => {
                self.spare = Spare::Ready(number, head);
                if self.full.is_some() && self.flights.iter().all(|at| at.retry_at.is_none()) {
                    self.full = None;
                    self.log.set_trouble(None);
                }
            }
            Some(Err(error)) => {
                self.spare = Spare::Failed(now + RETRY_INTERVAL);
                self.note_full(&format!("cannot make the next file of the log: {error}"));
            }
        }
    }

    /// Nothing can be written beyond what has room already.
    fn note_full(&mut self, why: &str) {
        if self.full.is_none() && !self.has_failed {
            self.full = Some(why.into());
            self.log.set_trouble(Some(Trouble::Full(why.into())));
        }
    }

    /// Nothing can be trusted that is not durable yet.
    fn fail(&mut self, why: &str) {
        if !self.has_failed {
            self.has_failed = true;
            self.full = None;
            self.taken = Taken::default();
            for flight in self.flights.iter_mut().filter(|flight| flight.retry_at.is_some()) {
                (flight.retry_at, flight.is_done) = (None, true);
                self.free.push(flight.write.slot);
            }
            let told = self.log.trouble();
            if !matches!(told, Some(Trouble::Failed(_))) {
                self.log.set_trouble(Some(Trouble::Failed(why.into())));
            }
        }
    }

    /// Does what was asked for. How many bytes are in the buffer.
    fn heed(&mut self, now: Instant) -> usize {
        let (requests, wants_sync, buffered) = self.log.requests();
        if wants_sync {
            self.wanted = self.log.position();
        }
        for request in requests {
            match request {
                Request::Forget(position) => self.forget(position),
                Request::Restart(position) => {
                    self.confirm(position);
                    self.restart(position, now);
                }
                Request::Close => self.is_closing = true,
            }
        }
        buffered
    }

    /// Looks at what has ended.
    fn reap(&mut self, now: Instant) {
        let before = self.durable;
        while let Some(done) = self.disk.reap() {
            match done {
                Done::Write(slot, outcome) => self.note_written(slot, outcome, now),
                Done::Sync(Ok(())) => {
                    let covered = self.syncing.take().unwrap_or(self.durable);
                    self.durable = self.durable.max(covered);
                }
                Done::Sync(Err(error)) => {
                    self.syncing = None;
                    self.fail(&format!("a sync has failed: {error}"));
                }
            }
        }
        while let Some(flight) = self.flights.pop_front_if(|flight| flight.is_done) {
            self.written = flight.end;
            if flight.write.is_synced && !self.has_failed {
                self.durable = flight.end;
            }
        }
        if self.durable > before {
            self.announce();
        }
    }

    fn announce(&self) {
        if !self.has_failed && !self.is_void {
            self.log.advance(self.durable);
        }
    }

    fn note_written(&mut self, slot: usize, outcome: io::Result<usize>, now: Instant) {
        let on_way = |flight: &&mut Flight| flight.write.slot == slot && !flight.is_done;
        let Some(flight) = self.flights.iter_mut().find(on_way) else { return };
        let write = &mut flight.write;
        let is_over = match &outcome {
            Ok(count) => *count >= write.len,
            Err(_) => self.has_failed || !is_full(outcome.as_ref().err()),
        };
        if is_over || self.has_failed {
            flight.is_done = true;
            self.free.push(slot);
            if let Err(error) = outcome {
                self.fail(&format!("a write has failed: {error}"));
            }
            return;
        }
        match outcome {
            // The rest, from the start of the block that the write ended in.
            Ok(count) if count >= self.head.block_bytes as usize => {
                let count = count - count % self.head.block_bytes as usize;
                write.from += count;
                write.len -= count;
                write.offset += count as u64;
                let write = *write;
                self.disk.write(write);
            }
            outcome => {
                flight.retry_at = Some(now + RETRY_INTERVAL);
                let why = outcome.err().map_or("nothing was written".into(), |e| e.to_string());
                self.note_full(&format!("a write found no room: {why}"));
            }
        }
    }

    /// Tries again what found no room.
    fn retry(&mut self, now: Instant) {
        if self.full.is_none() {
            return;
        }
        let due = self.flights.iter_mut().find(|at| at.retry_at.is_some_and(|at| at <= now));
        if let Some(flight) = due {
            flight.retry_at = None;
            let write = flight.write;
            self.disk.write(write);
            return;
        }
        let is_waiting = self.flights.iter().any(|flight| flight.retry_at.is_some());
        if !is_waiting && matches!(self.spare, Spare::Ready(..)) {
            self.full = None;
            self.log.set_trouble(None);
        }
    }

    /// How long nothing has to be done, unless something happens.
    fn timeout(&self, now: Instant) -> Option<Duration> {
        if self.has_failed {
            return None;
        }
        let retries = self.flights.iter().filter_map(|flight| flight.retry_at);
        let spare = if let Spare::Failed(at) = self.spare { Some(at) } else { None };
        let is_timed = self.log.policy() != Fsync::Always;
        let write = (is_timed && !self.is_empty()).then(|| self.written_at + WRITE_INTERVAL);
        let sync = (self.log.policy() == Fsync::EverySecond && self.is_unsynced)
            .then(|| self.synced_at + SYNC_INTERVAL);
        let due = retries.chain(spare).chain(write).chain(sync).min()?;
        // What is due but cannot be done waits for something else, and then is looked at again.
        Some(due.saturating_duration_since(now).max(Duration::from_millis(5)))
    }
}

/// A thread that ends without having closed the log leaves nobody waiting.
struct Guard<'l> {
    log: &'l Log,
    is_over: bool,
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            self.log.set_trouble(Some(Trouble::Failed("the log's thread has ended".into())));
        }
    }
}
