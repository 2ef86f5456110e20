//! What the log's thread does once a checkpoint is there: what the checkpoint has goes, and a log
//! that had failed, or was worth nothing before, is behind it.

use std::time::Instant;

use super::{RECYCLED_MAX, Segment, Spare, Writer};
use crate::persist::log::{Fsync, Trouble};

impl Writer {
    /// Segments that end at or below a position are needed no more.
    pub(super) fn forget(&mut self, position: u64) {
        let mut old = Vec::new();
        while let (Some(first), Some(second)) = (self.segments.front(), self.segments.get(1))
            && second.start <= position
        {
            old.push(first.number);
            self.segments.pop_front();
        }
        let has_old = !old.is_empty();
        // What is used again must have been written all over.
        if self.log.policy() == Fsync::Always {
            while self.recycled.len() < RECYCLED_MAX
                && let Some(number) = old.pop()
            {
                self.recycled.push(number);
            }
        }
        if let Some(first) = self.segments.front().filter(|_| has_old) {
            self.disk.remove(&old, *first);
        }
    }

    /// A checkpoint has all up to a position: a log that began anew is worth something.
    pub(super) fn confirm(&mut self, position: u64) {
        if !self.is_void || position < self.options.anew {
            return;
        }
        match self.disk.validate() {
            Ok(()) => {
                self.is_void = false;
                self.announce();
            }
            Err(error) => self.fail(&format!("cannot note the files of the log: {error}")),
        }
    }

    /// A checkpoint has all up to a position: a log that had failed begins anew behind it.
    pub(super) fn restart(&mut self, position: u64, now: Instant) {
        if self.log.has_failed() {
            self.fail("");
        }
        if !self.has_failed || !self.log.is_whole_from(position) {
            return;
        }
        while !self.flights.is_empty() || self.syncing.is_some() {
            self.disk.wait(&self.log.bell, None);
            self.reap(now);
        }
        self.drop_spares();
        if let Err(error) = self.disk.enter(position) {
            self.log.set_trouble(Some(Trouble::Failed(format!("cannot begin again: {error}"))));
            return;
        }
        (self.written, self.durable, self.is_unsynced) = (position, position, false);
        (self.has_failed, self.is_void) = (false, self.is_void && position < self.options.anew);
        self.offset = self.options.segment_bytes;
        self.log.set_trouble(None);
        self.log.advance(position);
        self.look_at_spare(now);
    }

    /// Files that were made ready where something has failed are not trusted, and may be gone.
    fn drop_spares(&mut self) {
        let mut dropped = std::mem::take(&mut self.recycled);
        let made = loop {
            match self.spare {
                Spare::Making(_) => {}
                Spare::Ready(number, _) => break Some(number),
                Spare::None | Spare::Failed(_) => break None,
            }
            match self.disk.made() {
                Some(made) => break made.ok(),
                None => self.disk.wait(&self.log.bell, None),
            }
            self.log.bell.hear();
        };
        dropped.extend(made);
        self.spare = Spare::None;
        self.disk.remove(&dropped, Segment::default());
    }
}
