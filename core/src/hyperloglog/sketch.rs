//! The bytes of a HyperLogLog, which are Redis's: a head of 16, then 16384 registers of six bits.
//!
//! A dense one has all of them, the lowest bits first. A sparse one is a row of runs:
//! `00llllll` so many zeros, up to 64; `01llllll llllllll` up to 16384; `1vvvvvll` up to four times
//! the same number, up to 32. The head is `HYLL`, the form, three unused bytes, and the size as it
//! was computed last, whose highest bit says that it no longer holds.
//!
//! Invariant: after the same elements in the same order a sketch has the bytes that Redis's has.

use crate::bytes;
use crate::error::{Error, Result};
use crate::limits::SPARSE_SKETCH_BYTES;
use crate::value::Value;

use super::estimate::Histogram;

pub(super) const REGISTERS: usize = 1 << 14;
const REGISTER_BITS: usize = 6;
const REGISTER_MAX: u16 = (1 << REGISTER_BITS) - 1;

pub(super) const HEAD_BYTES: usize = 16;
pub(super) const DENSE_BYTES: usize = HEAD_BYTES + REGISTERS * REGISTER_BITS / 8;
const MAGIC: &[u8] = b"HYLL";
const FORM_AT: usize = 4;
pub(super) const SIZE_AT: usize = 8;
/// The byte with the bit that says that the size no longer holds.
pub(super) const STALE_AT: usize = 15;
pub(super) const STALE: u8 = 0x80;

/// Longest runs, and the highest number of one.
const ZEROS_MAX: usize = 64;
const NUMBERS_MAX: usize = 4;
const SPARSE_NUMBER_MAX: u8 = 32;

/// Runs that are looked at for two that may become one, from the one before a change on.
const MERGED_RUNS: usize = 5;

/// Numbers of all registers, a byte each.
pub(super) type Registers = [u8; REGISTERS];

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Form {
    Dense,
    Sparse,
}

/// The form of a string that is a HyperLogLog.
pub(super) fn form(value: &Value<'_>) -> Result<Form> {
    let mut head = [0; HEAD_BYTES];
    read(&value.range(0, HEAD_BYTES), &mut head);
    let form = match head.get(FORM_AT) {
        Some(0) if value.len() == DENSE_BYTES => Form::Dense,
        Some(1) if value.len() >= HEAD_BYTES => Form::Sparse,
        _ => return Err(Error::NotAHyperLogLog),
    };
    if head.starts_with(MAGIC) { Ok(form) } else { Err(Error::NotAHyperLogLog) }
}

/// Copies a string of at least one byte.
pub(super) fn read(value: &Value<'_>, target: &mut [u8]) {
    let mut at = 0;
    for run in value.parts() {
        bytes::write_at(target, at, run);
        at += run.len();
    }
}

/// Where a dense register begins: its first byte, and the bit in it.
pub(super) fn register_place(index: usize) -> (usize, u32) {
    let bit = index * REGISTER_BITS;
    (HEAD_BYTES + bit / 8, (bit % 8) as u32)
}

/// The register that begins at a bit of two bytes.
pub(super) fn register(pair: u16, bit: u32) -> u8 {
    (pair >> bit & REGISTER_MAX) as u8
}

/// Two bytes with another number in that register.
pub(super) fn with_register(pair: u16, bit: u32, count: u8) -> u16 {
    pair & !(REGISTER_MAX << bit) | u16::from(count) << bit
}

/// Several registers in a row that hold the same number.
#[derive(Clone, Copy)]
pub(super) struct Run {
    pub(super) count: u8,
    pub(super) len: usize,
    /// How many bytes say so.
    pub(super) bytes: usize,
}

impl Run {
    #[inline]
    fn read(first: u8, second: impl FnOnce() -> u8) -> Run {
        let len = usize::from(first & 0x3f);
        match first >> 6 {
            0 => Run { count: 0, len: len + 1, bytes: 1 },
            1 => Run { count: 0, len: (len << 8 | usize::from(second())) + 1, bytes: 2 },
            _ => Run { count: (first >> 2 & 0x1f) + 1, len: usize::from(first & 3) + 1, bytes: 1 },
        }
    }
}

/// The runs of a sparse sketch, given what stands behind its head.
pub(super) fn runs(bytes: impl Iterator<Item = u8>) -> impl Iterator<Item = Run> {
    let mut bytes = bytes;
    core::iter::from_fn(move || {
        let first = bytes.next()?;
        Some(Run::read(first, || bytes.next().unwrap_or(0)))
    })
}

/// What stands in a string behind its head.
pub(super) fn body<'a>(value: &Value<'a>) -> impl Iterator<Item = u8> + use<'a> {
    let body = value.range(HEAD_BYTES, value.len());
    let body = Some(body).filter(|body| !body.is_empty());
    body.into_iter().flat_map(|body| body.parts()).flatten().copied()
}

/// Shows all runs of a sparse sketch with the register that each begins at.
///
/// # Errors
/// [`Error::CorruptHyperLogLog`] if they are not as many registers as there are.
fn each_run_of(value: &Value<'_>, show: impl FnMut(usize, Run)) -> Result<()> {
    match value.as_slice().and_then(|bytes| bytes.get(HEAD_BYTES..)) {
        Some(bytes) => each_run(bytes.iter().copied(), show),
        None => each_run(body(value), show),
    }
}

/// The same, given what stands behind its head.
///
/// # Errors
/// [`Error::CorruptHyperLogLog`] if they are not as many registers as there are.
fn each_run(bytes: impl Iterator<Item = u8>, mut show: impl FnMut(usize, Run)) -> Result<()> {
    let mut index = 0;
    for run in runs(bytes) {
        if index + run.len > REGISTERS {
            return Err(Error::CorruptHyperLogLog);
        }
        show(index, run);
        index += run.len;
    }
    if index == REGISTERS { Ok(()) } else { Err(Error::CorruptHyperLogLog) }
}

/// Shows the dense registers of a string, four at a time.
fn each_four(value: &Value<'_>, mut show: impl FnMut(usize, [u8; 4])) {
    let mut dense = [0; DENSE_BYTES - HEAD_BYTES];
    read(&value.range(HEAD_BYTES, dense.len()), &mut dense);
    let (threes, _) = dense.as_chunks();
    for (index, &[a, b, c]) in threes.iter().enumerate() {
        let bits = u32::from_le_bytes([a, b, c, 0]);
        show(4 * index, [0, 6, 12, 18].map(|shift| (bits >> shift) as u8 & REGISTER_MAX as u8));
    }
}

/// Raises registers to those of a sketch, where those are higher.
pub(super) fn merge(value: &Value<'_>, form: Form, registers: &mut Registers) -> Result<()> {
    let mut raise = |start: usize, counts: &[u8]| {
        let targets = registers.get_mut(start..).unwrap_or_default();
        for (target, &count) in targets.iter_mut().zip(counts) {
            *target = count.max(*target);
        }
    };
    if form == Form::Dense {
        each_four(value, |index, counts| raise(index, &counts));
        return Ok(());
    }
    each_run_of(value, |start, run| {
        if run.count > 0 {
            raise(start, [run.count; NUMBERS_MAX].get(..run.len).unwrap_or_default());
        }
    })
}

/// How many registers of a sketch hold each number.
pub(super) fn histogram(value: &Value<'_>, form: Form) -> Result<Histogram> {
    // Four of them, since neighbours often hold the same number: one would wait for the other.
    let mut histograms = [[0; 64]; 4];
    if form == Form::Dense {
        each_four(value, |_, counts| {
            histograms.iter_mut().zip(counts).for_each(|(one, count)| add(one, count, 1));
        });
    } else {
        let [one, ..] = &mut histograms;
        each_run_of(value, |_, run| add(one, run.count, run.len as u32))?;
    }
    let mut sum = [0; 64];
    for histogram in histograms {
        sum.iter_mut().zip(histogram).for_each(|(sum, registers)| *sum += registers);
    }
    Ok(sum)
}

/// How many of these registers hold each number.
pub(super) fn histogram_of(registers: &Registers) -> Histogram {
    let mut histogram = [0; 64];
    let (eights, _) = registers.as_chunks::<8>();
    for eight in eights {
        // Of a few elements most registers hold nothing.
        if *eight == [0; 8] {
            add(&mut histogram, 0, 8);
        } else {
            eight.iter().for_each(|&count| add(&mut histogram, count, 1));
        }
    }
    histogram
}

fn add(histogram: &mut Histogram, count: u8, registers: u32) {
    if let Some(sum) = histogram.get_mut(usize::from(count & REGISTER_MAX as u8)) {
        *sum += registers;
    }
}

/// Room for a copy of a sketch: zeros, to begin with.
pub(super) type Room = [u8; DENSE_BYTES];

/// A copy of a sketch, to be changed and written back.
pub(super) struct Sketch<'r> {
    bytes: &'r mut Room,
    len: usize,
    /// Where a sparse one becomes dense.
    sparse_bytes_max: usize,
}

impl<'r> Sketch<'r> {
    /// One without elements, which is sparse.
    pub(super) fn new(room: &'r mut Room) -> Sketch<'r> {
        let mut sketch =
            Sketch { bytes: room, len: HEAD_BYTES, sparse_bytes_max: SPARSE_SKETCH_BYTES };
        bytes::write_at(sketch.bytes, 0, MAGIC);
        sketch.set(FORM_AT, 1);
        let mut all = Pieces::default();
        all.zeros(REGISTERS);
        bytes::write_at(sketch.bytes, HEAD_BYTES, all.as_slice());
        sketch.len += all.len;
        sketch
    }

    /// A copy of one that is there. One that is as long as only a hand makes it gets dense.
    pub(super) fn read(room: &'r mut Room, value: &Value<'_>, form: Form) -> Result<Sketch<'r>> {
        let mut sketch =
            Sketch { bytes: room, len: value.len(), sparse_bytes_max: SPARSE_SKETCH_BYTES };
        if form == Form::Sparse && value.len() > DENSE_BYTES - PIECES_BYTES_MAX {
            read(&value.range(0, HEAD_BYTES), sketch.bytes);
            sketch.spread(body(value))?;
        } else {
            read(value, sketch.bytes);
        }
        Ok(sketch)
    }

    /// The same sketch, sparse up to another length.
    pub(super) fn sparse_up_to(self, bytes_max: usize) -> Sketch<'r> {
        Sketch { sparse_bytes_max: bytes_max, ..self }
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        bytes::part(self.bytes, 0..self.len)
    }

    pub(super) fn is_sparse(&self) -> bool {
        self.at(FORM_AT) == 1
    }

    /// Notes that its size has to be computed anew.
    pub(super) fn invalidate(&mut self) {
        self.set(STALE_AT, self.at(STALE_AT) | STALE);
    }

    /// Counts an element. Whether that raised a register.
    pub(super) fn add(&mut self, element: &[u8]) -> Result<bool> {
        let (index, count) = super::estimate::place(element);
        self.raise(index, count)
    }

    /// Raises a register. Whether it was lower.
    pub(super) fn raise(&mut self, index: usize, count: u8) -> Result<bool> {
        if self.is_sparse() {
            if count <= SPARSE_NUMBER_MAX
                && let Some(is_raised) = self.raise_sparse(index, count)?
            {
                return Ok(is_raised);
            }
            self.make_dense()?;
        }
        let (at, bit) = register_place(index);
        let pair = u16::from_le_bytes([self.at(at), self.at(at + 1)]);
        let is_raised = register(pair, bit) < count;
        if is_raised {
            let [first, second] = with_register(pair, bit, count).to_le_bytes();
            self.set(at, first);
            self.set(at + 1, second);
        }
        Ok(is_raised)
    }

    /// Gives a sparse sketch its dense form.
    pub(super) fn make_dense(&mut self) -> Result<()> {
        if !self.is_sparse() {
            return Ok(());
        }
        let sparse = *self.bytes;
        self.spread(bytes::part(&sparse, HEAD_BYTES..self.len).iter().copied())
    }

    /// Writes the registers that these runs say.
    fn spread(&mut self, sparse: impl Iterator<Item = u8>) -> Result<()> {
        let kept = self.len;
        if let Some(body) = self.bytes.get_mut(HEAD_BYTES..) {
            body.fill(0);
        }
        self.len = DENSE_BYTES;
        self.set(FORM_AT, 0);
        let spread = each_run(sparse, |start, run| {
            for index in (start..start + run.len).filter(|_| run.count > 0) {
                let (at, bit) = register_place(index);
                let pair = u16::from_le_bytes([self.at(at), self.at(at + 1)]);
                let [first, second] = with_register(pair, bit, run.count).to_le_bytes();
                self.set(at, first);
                self.set(at + 1, second);
            }
        });
        if spread.is_err() {
            self.len = kept;
        }
        spread
    }

    /// Raises a register of a sparse sketch; nothing if that would make it too long.
    fn raise_sparse(&mut self, index: usize, count: u8) -> Result<Option<bool>> {
        let (mut at, mut first, mut before) = (HEAD_BYTES, 0, HEAD_BYTES);
        let bytes = self.as_bytes();
        let run = loop {
            let byte = *bytes.get(at).ok_or(Error::CorruptHyperLogLog)?;
            let run = Run::read(byte, || bytes.get(at + 1).copied().unwrap_or(0));
            if index < first + run.len {
                break run;
            }
            (before, at, first) = (at, at + run.bytes, first + run.len);
        };
        if run.count >= count {
            return Ok(Some(false));
        }
        // The registers of the run before this one, this one, and those behind it.
        let mut pieces = Pieces::default();
        pieces.run(run.count, index - first);
        pieces.run(count, 1);
        pieces.run(run.count, first + run.len - 1 - index);
        let len = self.len - run.bytes + pieces.len;
        if len > self.len && len > self.sparse_bytes_max {
            return Ok(None);
        }
        // A sparse sketch leaves room for what may be added.
        self.bytes.copy_within((at + run.bytes).min(self.len)..self.len, at + pieces.len);
        bytes::write_at(self.bytes, at, pieces.as_slice());
        self.len = len;
        self.join_runs(before);
        self.invalidate();
        Ok(Some(true))
    }

    /// Makes one run of two with the same number, among the next few.
    fn join_runs(&mut self, start: usize) {
        let mut at = start;
        for _ in 0..MERGED_RUNS {
            match *bytes::part(self.bytes, at..self.len) {
                // A number and a length behind the highest bit.
                [first @ 0x80..=0xff, second, ..]
                    if first >> 2 == second >> 2
                        && usize::from(first & 3) + usize::from(second & 3) + 2 <= NUMBERS_MAX =>
                {
                    self.set(at, first + (second & 3) + 1);
                    self.bytes.copy_within(at + 2..self.len, at + 1);
                    self.len -= 1;
                }
                [0x40..=0x7f, ..] => at += 2,
                [_, ..] => at += 1,
                [] => return,
            }
        }
    }

    /// A byte; zero behind the end.
    fn at(&self, at: usize) -> u8 {
        self.as_bytes().get(at).copied().unwrap_or(0)
    }

    fn set(&mut self, at: usize, byte: u8) {
        if let Some(target) = self.bytes.get_mut(at) {
            *target = byte;
        }
    }
}

/// Bytes of three runs at most: zeros, a number, zeros.
const PIECES_BYTES_MAX: usize = 5;

/// Up to three runs, as bytes.
#[derive(Default)]
struct Pieces {
    bytes: [u8; PIECES_BYTES_MAX],
    len: usize,
}

impl Pieces {
    /// Adds so many registers with a number; none if there are none.
    fn run(&mut self, count: u8, len: usize) {
        match len {
            0 => {}
            _ if count == 0 => self.zeros(len),
            _ => self.push(0x80 | (count - 1) << 2 | (len - 1) as u8),
        }
    }

    fn zeros(&mut self, len: usize) {
        let [low, high, ..] = (len - 1).to_le_bytes();
        if len > ZEROS_MAX {
            self.push(0x40 | high);
        }
        self.push(low);
    }

    fn push(&mut self, byte: u8) {
        bytes::write_at(&mut self.bytes, self.len, &[byte]);
        self.len += 1;
    }

    fn as_slice(&self) -> &[u8] {
        bytes::part(&self.bytes, 0..self.len)
    }
}
