//! The manifest: which files of the log a start needs, in a file beside them.
//!
//! Records show what is missing in front of them, but not what is missing behind: so the files are
//! noted. One that was made ready is noted before anything is written into it, and no more before
//! it is removed. That is done by the threads that make and remove files, once in 32 MB.
//!
//! Invariant: a file that is noted is there, durably, unless somebody took it away.
//! Invariant: what was announced as durable stands in files that are noted, or in a checkpoint.
//! Not here: whether a start can do without a file (reader.rs). Where there is no manifest, since
//! an older version wrote the log or somebody removed it, it can do without any.

use std::fmt::{self, Display, Write as _};
use std::io::{self, ErrorKind};
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::limits::LOG_SEGMENTS_MAX;
use crate::persist::writer::Segment;
use crate::plain_file;

/// The name of its file.
pub const MANIFEST: &str = "ferrite.manifest";
/// The same while it is written.
pub(super) const MANIFEST_SPARE: &str = "ferrite.manifest.tmp";

/// What it begins with: its form, and the version of that.
const HEAD: &str = "ferrite log manifest 1";

/// What a start needs.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Needs {
    /// A checkpoint of this position, or a later one.
    pub position: u64,
    /// Where the log ended when it was closed; `None` if it was not, or is being written.
    pub end: Option<u64>,
    /// The numbers of segments, in order. The last may hold nothing yet.
    pub numbers: Vec<u64>,
}

impl Needs {
    /// What is noted in a directory; `None` if nothing is.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read(directory: &Path) -> io::Result<Option<Needs>> {
        let path = directory.join(MANIFEST);
        let bytes = match plain_file::read(&path) {
            Err(why) if why.kind() == ErrorKind::NotFound => return Ok(None),
            bytes => bytes?,
        };
        let needs = str::from_utf8(&bytes).ok().and_then(Needs::parse);
        let damaged = || io::Error::other(format!("{MANIFEST} is damaged: {REMEDY}"));
        needs.map(Some).ok_or_else(damaged)
    }

    fn parse(text: &str) -> Option<Needs> {
        let (body, sum) = text.trim_end().rsplit_once('\n')?;
        let sum = u32::from_str_radix(sum.strip_prefix("checksum ")?, 16).ok()?;
        let mut lines = body.lines();
        if sum != checksum(body) || lines.next()? != HEAD {
            return None;
        }
        let mut needs = Needs::default();
        for line in lines {
            match line.split_once(' ').unwrap_or((line, "")) {
                ("position", number) => needs.position = number.parse().ok()?,
                ("end", number) => needs.end = Some(number.parse().ok()?),
                ("segments", ranges) => {
                    for range in ranges.split_ascii_whitespace() {
                        needs.numbers.extend(numbers(range)?);
                    }
                }
                _ => return None,
            }
        }
        Some(needs)
    }
}

fn checksum(body: &str) -> u32 {
    crc32c::crc32c(body.as_bytes())
}

/// The numbers of a text like `7` or `7-12`.
fn numbers(range: &str) -> Option<RangeInclusive<u64>> {
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let range: RangeInclusive<u64> = first.parse().ok()?..=last.parse().ok()?;
    (range.end().saturating_sub(*range.start()) < LOG_SEGMENTS_MAX).then_some(range)
}

impl Display for Needs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut body = format!("{HEAD}\nposition {}\nsegments", self.position);
        for run in self.numbers.chunk_by(|one, next| one + 1 == *next) {
            match run {
                [only] => write!(body, " {only}")?,
                [first, .., last] => write!(body, " {first}-{last}")?,
                [] => {}
            }
        }
        if let Some(end) = self.end {
            write!(body, "\nend {end}")?;
        }
        writeln!(f, "{body}\nchecksum {:08x}", checksum(&body))
    }
}

/// How somebody can go on who knows better.
pub const REMEDY: &str = "bring it back, or remove ferrite.manifest to start without";

/// What is noted of the log that is being written, for all who make and remove its files.
pub(super) struct Manifest(Mutex<State>);

/// Writes it down, durably.
pub(super) type Note<'n> = dyn Fn(&Needs) -> io::Result<()> + 'n;

#[derive(Clone)]
struct State {
    needs: Needs,
    /// A log that began anew is worth nothing without its checkpoint: until that is there a start
    /// goes by what is noted of the log before.
    is_valid: bool,
}

impl Manifest {
    /// Of a log of which this is noted already.
    pub(super) fn noted(needs: Needs) -> Manifest {
        Manifest(Mutex::new(State { needs, is_valid: true }))
    }

    /// Of a log that begins anew at a position.
    pub(super) fn anew(position: u64) -> Manifest {
        let needs = Needs { position, ..Needs::default() };
        Manifest(Mutex::new(State { needs, is_valid: false }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a change.
    fn change(&self, note: &Note<'_>, change: impl FnOnce(&mut State)) -> io::Result<()> {
        let mut state = self.state();
        let mut next = state.clone();
        change(&mut next);
        if next.is_valid && (next.needs != state.needs || !state.is_valid) {
            note(&next.needs)?;
        }
        *state = next;
        Ok(())
    }

    /// A segment was made ready.
    pub(super) fn add(&self, note: &Note<'_>, number: u64) -> io::Result<()> {
        self.change(note, |state| state.needs.numbers.push(number))
    }

    /// Some segments are needed no more, nor are those in front of the first that is. Whether they
    /// may be removed now.
    pub(super) fn omit(
        &self,
        note: &Note<'_>,
        numbers: &[u64],
        first: Segment,
    ) -> io::Result<bool> {
        self.change(note, |state| {
            let needs = &mut state.needs;
            let before = needs.numbers.len();
            needs.numbers.retain(|number| *number >= first.number && !numbers.contains(number));
            if needs.numbers.len() < before {
                needs.position = needs.position.max(first.start);
            }
        })?;
        Ok(self.state().is_valid)
    }

    /// The checkpoint is there without which the log was worth nothing.
    pub(super) fn validate(&self, note: &Note<'_>) -> io::Result<()> {
        self.change(note, |state| state.is_valid = true)
    }

    /// The log is closed.
    pub(super) fn close(&self, note: &Note<'_>, end: u64) -> io::Result<()> {
        self.change(note, |state| state.needs.end = Some(end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_noted_is_read_back_or_refused() {
        let needs = Needs { position: 4711, end: Some(9000), numbers: vec![7, 8, 9, 12, 14, 15] };
        let text = needs.to_string();
        assert!(
            text.starts_with(
                "ferrite log manifest 1\nposition 4711\nsegments 7-9 12 14-15\nend 9000\nchecksum "
            ),
            "{text}"
        );
        assert_eq!(Needs::parse(&text), Some(needs));
        let empty = Needs::default();
        assert_eq!(Needs::parse(&empty.to_string()), Some(empty));
        for at in 0..text.len() - 1 {
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= 1;
            let other = String::from_utf8(bytes).expect("text");
            assert_eq!(Needs::parse(&other), None, "byte {at}");
            assert_eq!(Needs::parse(&text[..at]), None, "{at} bytes");
        }
    }
}
