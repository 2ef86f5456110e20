//! Reading the log back.
//!
//! It ends where the next record does not verify. Whether that is a torn tail, which was never
//! acknowledged, or damage to something that was, the records behind tell: each says up to where
//! the log was durable when it was made.
//!
//! Invariant: what is delivered are whole units, in order, without a gap.
//! Not here: the way from record to record (walk.rs), what units mean (entry.rs), and what is done
//! about a torn tail (recover.rs).

use std::io;
use std::sync::mpsc::{Receiver, Sender, channel, sync_channel};
use std::thread;

use thiserror::Error;

use crate::limits::LOG_LOADS_MAX;
use crate::persist::format::{
    BLOCK_BYTES_MAX, BadHead, RECORD_BYTES_MAX, RECORD_HEAD_BYTES, RecordHead, SEGMENT_HEAD_BYTES,
    SegmentHead, segment_name,
};
use crate::persist::manifest;
use crate::persist::walk::{Load, Walk};
pub use crate::persist::window::Segments;
use crate::persist::writer::Segment;

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
    /// A file is not there that may have held what was acknowledged.
    #[error("{file}: is missing, and may hold what was acknowledged: {}", manifest::REMEDY)]
    Gone {
        /// The file.
        file: String,
    },
    /// The checkpoint that it goes with is not there.
    #[error(
        "{}: the log goes on from a checkpoint of position {position}, and there is none behind \
         {from}: {}",
        manifest::MANIFEST,
        manifest::REMEDY
    )]
    NoCheckpoint {
        /// Which position is needed.
        position: u64,
        /// Which there is.
        from: u64,
    },
    /// It does not reach to where it was closed.
    #[error(
        "{file}: the log ends at position {end}, but was closed at {closed}: the file was cut, or \
         is an older one: {}",
        manifest::REMEDY
    )]
    Cut {
        /// The last file.
        file: String,
        /// Where it ends.
        end: u64,
        /// Where it ought to.
        closed: u64,
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
    /// The segment that ends with the last whole unit, and where in it that is.
    pub whole: Option<(u64, u64)>,
    /// The segments that hold something, in order.
    pub segments: Vec<Segment>,
    /// Segments that hold nothing, or go with a checkpoint that is not there.
    pub unused: Vec<u64>,
    /// The first of those that does hold something.
    pub orphan: Option<u64>,
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
    // In this order: what is noted later may be there later.
    let needs = source.needs().map_err(|why| unreadable("the log's directory", why))?;
    let needs = needs.filter(|needs| needs.end.is_none_or(|end| end > from)).unwrap_or_default();
    let numbers = source.list().map_err(|why| unreadable("the log's directory", why))?;
    if needs.position > from {
        return Err(Fault::NoCheckpoint { position: needs.position, from });
    }
    let mut found = Vec::new();
    let mut end = End::default();
    for &number in &numbers {
        match first_record(source, number)? {
            // The checkpoint that it goes with is not there.
            (head, start) if head.anew > from => {
                end.orphan = end.orphan.or(start.map(|_| number));
                end.unused.push(number);
            }
            (_, start) => found.push((number, start)),
        }
    }
    // A file without a first record holds nothing, unless that record is damaged.
    let is_start = |start: Option<u64>| start.is_some_and(|start| start <= from);
    let first = found.iter().rposition(|(_, start)| is_start(*start));
    // What is missing in front of where reading begins a checkpoint has.
    let begins = first.and_then(|first| found.get(first)).map_or(0, |(number, _)| *number);
    let gone = needs.numbers.iter().find(|number| **number > begins && !numbers.contains(number));
    if let Some(number) = gone {
        return Err(Fault::Gone { file: segment_name(*number) });
    }
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
    let walked = thread::scope(|scope| {
        let (loads, arriving) = sync_channel(LOG_LOADS_MAX);
        let (empty, buffers) = channel();
        let walk = Walk::new(source, (start, from), loads, buffers);
        let thread = thread::Builder::new().name("ferrite-walk".into());
        let walking = thread.spawn_scoped(scope, move || walk.run(&walked));
        let walking = walking.map_err(|why| unreadable("a thread to read the log", why))?;
        let delivered = deliver_all(arriving, &empty, deliver);
        let walked = walking.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        delivered.and(walked)
    })?;
    if let Some(walked) = walked {
        end.torn = walked.torn;
        end.whole = Some(walked.whole);
        end.bytes = walked.bytes;
        end.position = walked.end.max(from);
    }
    if let (Some(closed), Some(last)) = (needs.end, needs.numbers.last())
        && end.position < closed
    {
        return Err(Fault::Cut { file: segment_name(*last), end: end.position, closed });
    }
    Ok(end)
}

/// Gives units to who wants them, as they arrive.
fn deliver_all(
    arriving: Receiver<Load>,
    empty: &Sender<Vec<u8>>,
    deliver: &mut Deliver<'_>,
) -> Result<(), Fault> {
    for Load { buffer, units } in arriving {
        for unit in units {
            deliver(unit.position, unit.bytes(&buffer)).map_err(|why| {
                let (file, offset) = (segment_name(unit.number), unit.offset);
                Fault::Refused { file, offset, why }
            })?;
        }
        // Nobody waits for it once the walk is over.
        let _ = empty.send(buffer);
    }
    Ok(())
}

/// The system does not give a file.
pub fn unreadable(file: &str, why: io::Error) -> Fault {
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
    let mut bytes = vec![0; BLOCK_BYTES_MAX + RECORD_HEAD_BYTES];
    let count = source.fill(number, 0, &mut bytes);
    let count = count.map_err(|why| unreadable(&file, why))?;
    let head = SegmentHead::read(bytes.get(..SEGMENT_HEAD_BYTES.min(count)).unwrap_or_default());
    let head = head.map_err(|why| Fault::Head { file: file.clone(), why })?;
    let place = head.block_bytes as usize;
    if count < place {
        // It was made with its whole first block.
        return Err(Fault::Head { file, why: BadHead::Damaged });
    }
    let len = RecordHead::claimed_len(bytes.get(place..).unwrap_or_default());
    let mut record = vec![0; (RECORD_HEAD_BYTES + len).min(RECORD_BYTES_MAX)];
    let count = source.fill(number, place as u64, &mut record);
    record.truncate(count.map_err(|why| unreadable(&file, why))?);
    let start = RecordHead::read(head.salt, &record).map(|(record, _)| record.position);
    Ok((head, start))
}
