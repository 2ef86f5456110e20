//! Reading the log back.
//!
//! It ends where the next record does not verify. Whether that is a torn tail, which was never
//! acknowledged, or damage to something that was, the records behind tell: each says up to where
//! the log was durable when it was made.
//!
//! Invariant: what is delivered are whole units, in order, without a gap.
//! Not here: what units mean (entry.rs), and what is done about a torn tail (recover.rs).

use std::io;
use std::sync::mpsc::sync_channel;

use thiserror::Error;

use crate::persist::format::{
    BLOCK_BYTES_MAX, BadHead, CONTINUES, RECORD_BYTES_MAX, RECORD_HEAD_BYTES, RecordHead,
    SEGMENT_HEAD_BYTES, SegmentHead, segment_name,
};
use crate::persist::writer::Segment;

/// Where segments are read from.
pub trait Segments: Sync {
    /// Their numbers, in order.
    ///
    /// # Errors
    /// They cannot be told.
    fn list(&self) -> io::Result<Vec<u64>>;

    /// A segment, or as much of its beginning as is wanted.
    ///
    /// # Errors
    /// It cannot be read.
    fn load(&self, number: u64, bytes_max: usize) -> io::Result<Vec<u8>>;
}

/// Why a log cannot be read.
#[derive(Debug, Error)]
pub enum Fault {
    /// The system does not give it.
    #[error("{file}: cannot be read: {why}")]
    Unreadable {
        /// What was to be read.
        file: String,
        /// Why it is not.
        why: io::Error,
    },
    /// A file that is none of this version's.
    #[error("{file}: {why}")]
    Head {
        /// The file.
        file: String,
        /// What is wrong with it.
        why: BadHead,
    },
    /// What was durable is damaged.
    #[error(
        "{file}: damaged at offset {offset}: the record there does not verify, but {witness} shows \
         that it was durable"
    )]
    Damaged {
        /// The file.
        file: String,
        /// Where the damage begins.
        offset: u64,
        /// Where a later record stands.
        witness: String,
    },
    /// There is a gap between what is known and where the log begins.
    #[error(
        "{file}: begins at position {start} of the log, but {from} is needed: a file is missing"
    )]
    Missing {
        /// The first file there is.
        file: String,
        /// Where it begins.
        start: u64,
        /// Where it would have to.
        from: u64,
    },
    /// Whoever was given a unit could do nothing with it.
    #[error("{file}: offset {offset}: {why}")]
    Refused {
        /// The file.
        file: String,
        /// Where the record is.
        offset: u64,
        /// Why.
        why: String,
    },
}

/// A tail that was never acknowledged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Torn {
    /// The segment it begins in.
    pub number: u64,
    /// Where in it.
    pub offset: u64,
}

/// Where a log ends.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct End {
    /// The position behind the last whole unit.
    pub position: u64,
    /// What stands behind it.
    pub torn: Option<Torn>,
    /// The segments that hold something, in order.
    pub segments: Vec<Segment>,
    /// Segments that hold nothing.
    pub unused: Vec<u64>,
    /// Bytes of the log that were read.
    pub bytes: u64,
}

/// Who is given the units: a position, and the bytes from there on.
pub type Deliver<'d> = dyn FnMut(u64, &[u8]) -> Result<(), String> + 'd;

/// Reads the log from a position on.
///
/// # Errors
/// What was durable cannot be read.
pub fn read<S: Segments>(source: &S, from: u64, deliver: &mut Deliver<'_>) -> Result<End, Fault> {
    let numbers = source.list().map_err(|why| unreadable("the log's directory", why))?;
    let mut found = Vec::new();
    let mut end = End::default();
    for number in numbers {
        match first_record(source, number)? {
            // The checkpoint that it goes with never came about.
            (head, _) if head.anew > from => end.unused.push(number),
            (_, start) => found.push((number, start)),
        }
    }
    // A file without a first record holds nothing, unless that record is damaged.
    let is_start = |start: Option<u64>| start.is_some_and(|start| start <= from);
    let first = found.iter().rposition(|(_, start)| is_start(*start));
    let begun = found.iter().position(|(_, start)| start.is_some());
    let first = first.or_else(|| begun.and_then(|begun| begun.checked_sub(1)));
    if let (None, Some(&(number, Some(start)))) = (first, found.first()) {
        return Err(Fault::Missing { file: segment_name(number), start, from });
    }
    let walked = found.split_off(first.unwrap_or_default());
    let start = walked.first().and_then(|(_, start)| *start).unwrap_or(from);
    let used = walked.iter().filter_map(|&(number, start)| Some(Segment { number, start: start? }));
    let unused = walked.iter().filter(|(_, start)| start.is_none()).map(|(number, _)| *number);
    end.segments = used.collect();
    // What is older than the first is of no use any more either.
    end.unused.extend(found.iter().map(|(number, _)| *number).chain(unused));
    let mut walk = Walk::new(start, from, deliver);
    std::thread::scope(|scope| {
        // The next segment is read while this one is worked on.
        let (sender, loaded) = sync_channel(1);
        scope.spawn(move || {
            for (number, start) in walked {
                let bytes = source.load(number, usize::MAX);
                if sender.send((number, start, bytes)).is_err() {
                    return;
                }
            }
        });
        for (number, start, bytes) in loaded {
            let bytes = bytes.map_err(|why| unreadable(&segment_name(number), why))?;
            walk.segment(number, start, &bytes)?;
        }
        Ok(())
    })?;
    end.torn = walk.torn();
    end.bytes = walk.bytes;
    end.position = walk.delivered.max(from);
    Ok(end)
}

fn unreadable(file: &str, why: io::Error) -> Fault {
    Fault::Unreadable { file: file.into(), why }
}

/// A segment's head, and the position of its first record if it has one.
///
/// # Errors
/// It cannot be read, or is no segment.
pub fn first_record<S: Segments>(
    source: &S,
    number: u64,
) -> Result<(SegmentHead, Option<u64>), Fault> {
    let file = segment_name(number);
    let bytes = source.load(number, BLOCK_BYTES_MAX + RECORD_BYTES_MAX);
    let bytes = bytes.map_err(|why| unreadable(&file, why))?;
    let head = SegmentHead::read(bytes.get(..SEGMENT_HEAD_BYTES).unwrap_or(&bytes));
    let head = head.map_err(|why| Fault::Head { file, why })?;
    let record = bytes.get(head.block_bytes as usize..).unwrap_or_default();
    let start = RecordHead::read(head.salt, record).map(|(record, _)| record.position);
    Ok((head, start))
}

/// The way through the segments.
struct Walk<'w, 'd> {
    from: u64,
    /// The position that the next record must have.
    expected: u64,
    /// The end of what was delivered.
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
    deliver: &'w mut Deliver<'d>,
}

impl<'w, 'd> Walk<'w, 'd> {
    fn new(start: u64, from: u64, deliver: &'w mut Deliver<'d>) -> Walk<'w, 'd> {
        Walk {
            from,
            expected: start,
            delivered: start,
            whole: Torn { number: 0, offset: 0 },
            missing: Torn { number: 0, offset: 0 },
            has_rest: false,
            begun: Vec::new(),
            bytes: 0,
            deliver,
        }
    }

    fn torn(&self) -> Option<Torn> {
        (self.has_rest || !self.begun.is_empty()).then_some(self.whole)
    }

    fn segment(&mut self, number: u64, start: Option<u64>, bytes: &[u8]) -> Result<(), Fault> {
        let file = segment_name(number);
        let head = SegmentHead::read(bytes.get(..SEGMENT_HEAD_BYTES).unwrap_or_default());
        let head = head.map_err(|why| Fault::Head { file, why })?;
        let mut offset = head.block_bytes as usize;
        if start == Some(self.expected) {
            // Nothing is missing where this one goes on.
            self.has_rest = false;
            if self.begun.is_empty() {
                self.whole = Torn { number, offset: offset as u64 };
            }
            offset = self.records(number, head, bytes, offset)?;
            self.missing = Torn { number, offset: offset as u64 };
        } else if self.missing.number == 0 {
            self.missing = Torn { number, offset: offset as u64 };
            self.whole = self.missing;
        }
        self.rest(number, head, bytes, offset)
    }

    /// Delivers records as long as they follow each other. Where they end.
    fn records(
        &mut self,
        number: u64,
        head: SegmentHead,
        bytes: &[u8],
        mut offset: usize,
    ) -> Result<usize, Fault> {
        let block = head.block_bytes as usize;
        while let Some(rest) = bytes.get(offset..)
            && let Some((record, payload)) = RecordHead::read(head.salt, rest)
            && record.position == self.expected
        {
            let at = offset;
            offset += (RECORD_HEAD_BYTES + record.len).next_multiple_of(block);
            self.expected = record.end();
            self.bytes += record.len as u64;
            let continues = record.flags & CONTINUES != 0;
            if continues || !self.begun.is_empty() {
                self.begun.extend_from_slice(payload);
            }
            if continues {
                continue;
            }
            let begun = std::mem::take(&mut self.begun);
            let unit = if begun.is_empty() { payload } else { &begun };
            let start = self.expected - unit.len() as u64;
            let known = usize::try_from(self.from.saturating_sub(start)).unwrap_or(usize::MAX);
            if let Some(unit) = unit.get(known..).filter(|unit| !unit.is_empty()) {
                (self.deliver)(start + known as u64, unit).map_err(|why| {
                    let (file, offset) = (segment_name(number), at as u64);
                    Fault::Refused { file, offset, why }
                })?;
            }
            self.delivered = self.expected;
            self.whole = Torn { number, offset: offset.min(bytes.len()) as u64 };
        }
        Ok(offset)
    }

    /// Looks behind the record that is missing for one that knows it was durable.
    fn rest(
        &mut self,
        number: u64,
        head: SegmentHead,
        bytes: &[u8],
        offset: usize,
    ) -> Result<(), Fault> {
        let block = head.block_bytes as usize;
        let mut at = offset;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            // What an older life of the file has left behind has lower positions.
            let is_later = RecordHead::claimed_position(rest) >= self.expected;
            if let Some((record, _)) = is_later.then(|| RecordHead::read(head.salt, rest)).flatten()
            {
                self.has_rest = true;
                if record.durable > self.expected {
                    return Err(Fault::Damaged {
                        file: segment_name(self.missing.number),
                        offset: self.missing.offset,
                        witness: format!("{} at offset {at}", segment_name(number)),
                    });
                }
            } else if at == offset && RecordHead::claimed_position(rest) == self.expected {
                self.has_rest |= rest.iter().take(RECORD_HEAD_BYTES).any(|&byte| byte != 0);
            }
            at += block;
        }
        Ok(())
    }
}
