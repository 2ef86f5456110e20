//! Reading the bytes of an RDB file, or of one value of it: lengths, strings, numbers.
//!
//! What is read comes from one run of bytes, or from an [`Input`] through a window that holds as
//! much as is needed at a time: a string is named by a [`Span`] of the window, and all that was
//! read since the last mark stays there. So whoever reads element by element marks each of them,
//! and a value of any length passes through a window of the size of its longest element.
//!
//! Invariant: the window grows as bytes arrive, never because a length says that they will.

use alloc::vec::Vec;

use super::packing::Bytes;
use crate::bytes;
use crate::checksum::Checksum;
use crate::error::{Error, Result};
use crate::limits::{READ_WINDOW_BYTES, VALUE_BYTES_MAX};
use crate::num::Digits;

/// What a payload that is not sound is answered with.
const BAD: Error = Error::BadPayload;

/// Where the bytes come from of what is longer than memory should hold at once.
pub trait Input {
    /// Fills the beginning of `space`, which is not empty. How many bytes that are; none at the
    /// end, or when nothing more can be had.
    fn read(&mut self, space: &mut [u8]) -> usize;
}

/// Reads an RDB file, or a value.
pub struct Reader<'a> {
    source: Source<'a>,
    /// Where in the window what is kept begins, and where is read next.
    kept: usize,
    at: usize,
    /// Bytes that have left the window.
    passed: u64,
    /// The sum of what was read, up to here in the window.
    sum: Checksum,
    summed: usize,
    is_short: bool,
}

enum Source<'a> {
    Whole(&'a [u8]),
    Pieces { input: &'a mut dyn Input, window: Vec<u8>, filled: usize },
}

/// Where some bytes stand behind the mark.
#[derive(Clone, Copy)]
pub(crate) struct Span {
    start: usize,
    len: usize,
}

/// A string: as it stands there, a number's digits, or unpacked.
pub(crate) enum Text {
    Whole(Span),
    Number(Digits),
    Unpacked(Vec<u8>),
}

impl Text {
    pub(crate) fn as_slice<'r>(&'r self, reader: &'r Reader<'_>) -> &'r [u8] {
        match self {
            Text::Whole(span) => reader.bytes(*span),
            Text::Number(digits) => digits.as_bytes(),
            Text::Unpacked(bytes) => bytes,
        }
    }

    pub(crate) fn unpacked_bytes(&self) -> usize {
        if let Text::Unpacked(bytes) = self { bytes.len() } else { 0 }
    }
}

/// A length, or the mark of a string that is stored in another way.
enum Length {
    Bytes(u64),
    Special(u8),
}

impl<'a> Reader<'a> {
    /// Reads what an input has.
    pub fn new(input: &'a mut dyn Input) -> Reader<'a> {
        Reader::of(Source::Pieces { input, window: Vec::new(), filled: 0 })
    }

    /// Reads a run of bytes.
    pub(crate) fn whole(bytes: &'a [u8]) -> Reader<'a> {
        Reader::of(Source::Whole(bytes))
    }

    fn of(source: Source<'a>) -> Reader<'a> {
        let sum = Checksum::default();
        Reader { source, kept: 0, at: 0, passed: 0, sum, summed: 0, is_short: false }
    }

    /// How many bytes were read.
    pub fn position(&self) -> u64 {
        self.passed + self.at as u64
    }

    /// Whether something could not be read because the input has ended.
    pub fn is_short(&self) -> bool {
        self.is_short
    }

    /// The checksum of what was read, if that comes from an input.
    pub fn checksum(&mut self) -> u64 {
        self.sum_up(self.at);
        self.sum.sum()
    }

    /// What was read so far need not be kept.
    #[inline]
    pub fn mark(&mut self) {
        self.kept = self.at;
    }

    /// So many bytes.
    ///
    /// # Errors
    /// [`Error::BadPayload`] if there are not as many, [`Error::OutOfMemory`].
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let span = self.take(N)?;
        self.bytes(span).first_chunk().copied().ok_or(BAD)
    }

    /// A length that is no string's.
    ///
    /// # Errors
    /// Those of [`Reader::array`].
    pub fn count(&mut self) -> Result<u64> {
        match self.length()? {
            Length::Bytes(count) => Ok(count),
            Length::Special(_) => Err(BAD),
        }
    }

    /// Shows a string.
    ///
    /// # Errors
    /// Those of [`Reader::array`].
    pub fn string<T>(&mut self, show: impl FnOnce(&[u8]) -> T) -> Result<T> {
        self.mark();
        let text = self.text(&mut |_| Ok(()))?;
        Ok(show(text.as_slice(self)))
    }

    /// Whether there is nothing more.
    pub fn is_at_end(&mut self) -> bool {
        self.window().len() == self.at && self.pull(1).is_err()
    }

    /// A run of bytes must have been read to its end.
    pub(crate) fn check_whole(&self) -> Result<()> {
        match self.source {
            Source::Whole(bytes) if self.at < bytes.len() => Err(BAD),
            _ => Ok(()),
        }
    }

    #[inline]
    fn window(&self) -> &[u8] {
        match &self.source {
            Source::Whole(bytes) => bytes,
            Source::Pieces { window, filled, .. } => window.get(..*filled).unwrap_or_default(),
        }
    }

    pub(crate) fn bytes(&self, span: Span) -> &[u8] {
        let start = self.kept + span.start;
        self.window().get(start..start + span.len).unwrap_or_default()
    }

    #[inline]
    pub(crate) fn take(&mut self, len: usize) -> Result<Span> {
        if self.window().len() - self.at < len {
            self.pull(len)?;
        }
        let start = self.at - self.kept;
        self.at += len;
        Ok(Span { start, len })
    }

    /// Takes so many bytes into the window as are missing for the next `len`.
    #[cold]
    fn pull(&mut self, len: usize) -> Result<()> {
        self.sum_up(self.kept);
        if len > VALUE_BYTES_MAX {
            return Err(BAD);
        }
        let Source::Pieces { input, window, filled } = &mut self.source else {
            self.is_short = true;
            return Err(BAD);
        };
        window.copy_within(self.kept.min(*filled)..*filled, 0);
        *filled -= self.kept;
        self.passed += self.kept as u64;
        self.summed -= self.kept;
        self.at -= self.kept;
        self.kept = 0;
        let wanted = self.at.checked_add(len).ok_or(BAD)?;
        while *filled < wanted {
            if *filled == window.len() {
                // Twice as long, but no longer than is wanted.
                let longer = wanted.min(2 * window.len()).max(READ_WINDOW_BYTES);
                let more = longer - window.len();
                window.try_reserve_exact(more).map_err(|_| Error::OutOfMemory)?;
                window.resize(longer, 0);
            }
            let count = input.read(window.get_mut(*filled..).unwrap_or_default());
            if count == 0 {
                self.is_short = true;
                return Err(BAD);
            }
            *filled = window.len().min(*filled + count);
        }
        Ok(())
    }

    fn sum_up(&mut self, end: usize) {
        if let Source::Pieces { window, .. } = &self.source
            && end > self.summed
        {
            self.sum.add(bytes::part(window, self.summed..end));
            self.summed = end;
        }
    }

    #[inline]
    fn length(&mut self) -> Result<Length> {
        let [first] = self.array()?;
        let low = first & 0x3f;
        Ok(match first >> 6 {
            0 => Length::Bytes(low.into()),
            1 => {
                let [second] = self.array()?;
                Length::Bytes(u64::from(low) << 8 | u64::from(second))
            }
            2 if first == 0x80 => Length::Bytes(u32::from_be_bytes(self.array()?).into()),
            2 if first == 0x81 => Length::Bytes(u64::from_be_bytes(self.array()?)),
            3 => Length::Special(low),
            _ => return Err(BAD),
        })
    }

    /// A length of something that stands there.
    fn size(&mut self) -> Result<usize> {
        usize::try_from(self.count()?).map_err(|_| BAD)
    }

    /// A string; to unpack it may take so many bytes of the budget, which `lend` is asked for.
    pub(crate) fn text(&mut self, lend: &mut dyn FnMut(usize) -> Result<()>) -> Result<Text> {
        let number = match self.length()? {
            Length::Bytes(len) => {
                let len = usize::try_from(len).map_err(|_| BAD)?;
                return Ok(Text::Whole(self.take(len)?));
            }
            Length::Special(0) => i8::from_le_bytes(self.array()?).into(),
            Length::Special(1) => i16::from_le_bytes(self.array()?).into(),
            Length::Special(2) => i32::from_le_bytes(self.array()?).into(),
            Length::Special(3) => {
                let (packed_len, len) = (self.size()?, self.size()?);
                let packed = self.take(packed_len)?;
                // No three bytes stand for more than 264.
                if len > VALUE_BYTES_MAX || len / 264 > packed_len {
                    return Err(BAD);
                }
                lend(len)?;
                return Ok(Text::Unpacked(unpack(self.bytes(packed), len)?));
            }
            Length::Special(_) => return Err(BAD),
        };
        Ok(Text::Number(Digits::new(number)))
    }

    /// A score as text, with a byte for its length or for what has no digits.
    pub(crate) fn score_text(&mut self) -> Result<ScoreText> {
        Ok(match self.array()? {
            [253] => ScoreText::Word(b"nan"),
            [254] => ScoreText::Word(b"inf"),
            [255] => ScoreText::Word(b"-inf"),
            [len] => ScoreText::Here(self.take(len.into())?),
        })
    }
}

pub(crate) enum ScoreText {
    Here(Span),
    Word(&'static [u8]),
}

impl ScoreText {
    pub(crate) fn as_slice<'r>(&self, reader: &'r Reader<'_>) -> &'r [u8] {
        match self {
            ScoreText::Here(span) => reader.bytes(*span),
            ScoreText::Word(word) => word,
        }
    }
}

/// LZF (Marc Lehmann), unpacked to just so many bytes.
fn unpack(packed: &[u8], len: usize) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    out.try_reserve_exact(len).map_err(|_| Error::OutOfMemory)?;
    let mut packed = Bytes { rest: packed };
    while !packed.rest.is_empty() {
        let [control] = packed.array()?;
        if control < 32 {
            let run = packed.take(usize::from(control) + 1)?;
            if out.len() + run.len() > len {
                return Err(BAD);
            }
            out.extend_from_slice(run);
            continue;
        }
        let mut count = usize::from(control >> 5);
        if count == 7 {
            let [more] = packed.array()?;
            count += usize::from(more);
        }
        let [low] = packed.array()?;
        let back = (usize::from(control & 31) << 8 | usize::from(low)) + 1;
        let count = count + 2;
        let start = out.len().checked_sub(back).ok_or(BAD)?;
        if out.len() + count > len {
            return Err(BAD);
        }
        for position in start..start + count {
            let byte = out.get(position).copied().ok_or(BAD)?;
            out.push(byte);
        }
    }
    if out.len() == len { Ok(out) } else { Err(BAD) }
}
