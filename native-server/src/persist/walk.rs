//! The way through the segments of a log: which records follow each other, and what to make of
//! the first that does not.
//!
//! It is made by a thread of its own, which reads ahead and compares checksums while another does
//! what the records say. Between them goes a bounded number of buffers, which come back.
//!
//! Invariant: what is handed over are whole units, in order, without a gap.

use std::ops::Range;
use std::sync::mpsc::{Receiver, SyncSender};

use crate::persist::format::{
    CONTINUES, RECORD_HEAD_BYTES, RecordHead, SEGMENT_HEAD_BYTES, SegmentHead, segment_name,
};
use crate::persist::reader::{Fault, Torn, unreadable};
use crate::persist::window::{Segments, Window};

/// A unit on its way to who does it again.
pub struct Unit {
    /// The position of its first byte.
    pub position: u64,
    /// The segment, and where in it the last record stands that has a part of it.
    pub number: u64,
    /// See `number`.
    pub offset: u64,
    /// Where its bytes are in the buffer of the load.
    place: Range<usize>,
    /// Its bytes, if several records have parts of it.
    joined: Vec<u8>,
}

/// What the walk has found in one go.
pub struct Load {
    /// What was read.
    pub buffer: Vec<u8>,
    /// The units in it.
    pub units: Vec<Unit>,
}

impl Unit {
    /// Its bytes.
    pub fn bytes<'b>(&'b self, buffer: &'b [u8]) -> &'b [u8] {
        match self.joined.is_empty() {
            true => buffer.get(self.place.clone()).unwrap_or_default(),
            false => &self.joined,
        }
    }
}

/// What a walk has seen when it is over.
pub struct Walked {
    /// The end of the last whole unit.
    pub end: u64,
    /// Where that is: a segment, and the offset in it.
    pub whole: (u64, u64),
    /// What stands behind it.
    pub torn: Option<Torn>,
    /// Bytes of the log that were read.
    pub bytes: u64,
}

/// See the module.
pub struct Walk<'s, S> {
    source: &'s S,
    from: u64,
    /// The position that the next record must have.
    expected: u64,
    /// The end of what was handed over, or is about to be.
    delivered: u64,
    /// Where the last whole unit ends: a segment and an offset.
    whole: Torn,
    /// Where the record stands, or ought to, that is missing.
    missing: Torn,
    /// Whether anything stands behind `whole`.
    has_rest: bool,
    /// The beginning of a unit that goes on in the next record.
    begun: Vec<u8>,
    bytes: u64,
    /// What is handed over next.
    units: Vec<Unit>,
    loads: SyncSender<Load>,
    /// Buffers that come back, and one that never left.
    buffers: Receiver<Vec<u8>>,
    spare: Option<Vec<u8>>,
}

/// What ends a walk early.
enum Stop {
    /// Nobody takes what is found any more; they know why.
    Abandoned,
    Fault(Fault),
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Stop {
        Stop::Fault(fault)
    }
}

impl<'s, S: Segments> Walk<'s, S> {
    /// A walk through segments the first of which begins at the position `start`. What is below
    /// `from` is left out.
    pub fn new(
        source: &'s S,
        (start, from): (u64, u64),
        loads: SyncSender<Load>,
        buffers: Receiver<Vec<u8>>,
    ) -> Walk<'s, S> {
        let nowhere = Torn { number: 0, offset: 0 };
        Walk {
            source,
            from,
            expected: start,
            delivered: start,
            whole: nowhere,
            missing: nowhere,
            has_rest: false,
            begun: Vec::new(),
            bytes: 0,
            units: Vec::new(),
            loads,
            buffers,
            spare: None,
        }
    }

    /// Walks through segments, each given with the position of its first record if it has one.
    /// `None` if nobody follows any more.
    ///
    /// # Errors
    /// What was durable cannot be read.
    pub fn run(mut self, segments: &[(u64, Option<u64>)]) -> Result<Option<Walked>, Fault> {
        for &(number, start) in segments {
            match self.segment(number, start) {
                Ok(()) => {}
                Err(Stop::Abandoned) => return Ok(None),
                Err(Stop::Fault(fault)) => return Err(fault),
            }
        }
        let has_rest = self.has_rest || !self.begun.is_empty();
        let torn = has_rest.then_some(self.whole);
        let whole = (self.whole.number, self.whole.offset);
        Ok(Some(Walked { end: self.delivered, whole, torn, bytes: self.bytes }))
    }

    fn segment(&mut self, number: u64, start: Option<u64>) -> Result<(), Stop> {
        let window = Window::new(self.source, number, self.empty_buffer());
        let mut window = window.map_err(|why| unreadable(&segment_name(number), why))?;
        let head = window.bytes_from(0);
        let head = SegmentHead::read(head.get(..SEGMENT_HEAD_BYTES).unwrap_or(head));
        let head = head.map_err(|why| Fault::Head { file: segment_name(number), why })?;
        let mut offset = u64::from(head.block_bytes);
        if start == Some(self.expected) {
            // Nothing is missing where this one goes on.
            self.has_rest = false;
            if self.begun.is_empty() {
                self.whole = Torn { number, offset };
            }
            offset = self.records(number, head, &mut window, offset)?;
            self.missing = Torn { number, offset };
        } else if self.missing.number == 0 {
            self.missing = Torn { number, offset };
            self.whole = self.missing;
        }
        self.rest(number, head, &mut window, offset)?;
        self.spare = Some(window.into_buffer());
        Ok(())
    }

    /// Takes records as long as they follow each other. Where they end.
    fn records(
        &mut self,
        number: u64,
        head: SegmentHead,
        window: &mut Window<'s, S>,
        mut offset: u64,
    ) -> Result<u64, Stop> {
        loop {
            if window.is_short_at(offset) {
                self.hand_over(number, window, offset)?;
            }
            let Some((record, payload)) = RecordHead::read(head.salt, window.bytes_from(offset))
            else {
                break;
            };
            if record.position != self.expected {
                break;
            }
            let at = offset;
            let padded =
                (RECORD_HEAD_BYTES + record.len).next_multiple_of(head.block_bytes as usize);
            offset += padded as u64;
            self.expected = record.end();
            self.bytes += record.len as u64;
            let continues = record.flags & CONTINUES != 0;
            if continues || !self.begun.is_empty() {
                self.begun.extend_from_slice(payload);
            }
            if continues {
                continue;
            }
            let mut joined = std::mem::take(&mut self.begun);
            let len = if joined.is_empty() { record.len } else { joined.len() };
            let start = self.expected - len as u64;
            let known = usize::try_from(self.from.saturating_sub(start)).unwrap_or(usize::MAX);
            if known < len {
                joined.drain(..known.min(joined.len()));
                let place = window.place(at) + RECORD_HEAD_BYTES;
                let place = place + known.min(record.len)..place + record.len;
                let position = start + known as u64;
                self.units.push(Unit { position, number, offset: at, place, joined });
            }
            self.delivered = self.expected;
            self.whole = Torn { number, offset: offset.min(window.end()) };
        }
        if !self.units.is_empty() {
            self.hand_over(number, window, offset)?;
        }
        Ok(offset)
    }

    /// Hands over what was found, and lets the window go on from a place.
    fn hand_over(
        &mut self,
        number: u64,
        window: &mut Window<'s, S>,
        offset: u64,
    ) -> Result<(), Stop> {
        let buffer = window.advance(offset, self.empty_buffer());
        let buffer = buffer.map_err(|why| unreadable(&segment_name(number), why))?;
        let units = std::mem::take(&mut self.units);
        if units.is_empty() {
            self.spare = Some(buffer);
            return Ok(());
        }
        self.loads.send(Load { buffer, units }).map_err(|_| Stop::Abandoned)
    }

    fn empty_buffer(&mut self) -> Vec<u8> {
        self.spare.take().or_else(|| self.buffers.try_recv().ok()).unwrap_or_default()
    }

    /// Looks behind the record that is missing for one that knows it was durable.
    fn rest(
        &mut self,
        number: u64,
        head: SegmentHead,
        window: &mut Window<'s, S>,
        offset: u64,
    ) -> Result<(), Stop> {
        let mut at = offset;
        loop {
            if window.is_short_at(at) {
                self.hand_over(number, window, at)?;
            }
            let rest = window.bytes_from(at);
            if rest.is_empty() {
                return Ok(());
            }
            // What an older life of the file has left behind has lower positions.
            let is_later = RecordHead::claimed_position(rest) >= self.expected;
            if let Some((record, _)) = is_later.then(|| RecordHead::read(head.salt, rest)).flatten()
            {
                self.has_rest = true;
                if record.durable > self.expected {
                    return Err(Stop::Fault(Fault::Damaged {
                        file: segment_name(self.missing.number),
                        offset: self.missing.offset,
                        witness: format!("{} at offset {at}", segment_name(number)),
                    }));
                }
            } else if at == offset && RecordHead::claimed_position(rest) == self.expected {
                self.has_rest |= rest.iter().take(RECORD_HEAD_BYTES).any(|&byte| byte != 0);
            }
            at += u64::from(head.block_bytes);
        }
    }
}
