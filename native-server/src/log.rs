//! What the server tells its operator: lines in the form of Redis's log, on the standard output or
//! in a file.
//!
//! Invariant: nothing waits for the log but the disk that it is on, and no line can end the server:
//! what cannot be written is lost. A line is one line, whatever a client put into it.
//! Not here: what was written to the keys (persistence), slow commands (slowlog.rs).

use std::fmt::{self, Display, Write as _};
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

use crate::clock::Clock;
use crate::limits::LOG_LINE_BYTES_MAX;

/// How much a line matters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub enum Level {
    /// For whoever looks for a fault in the server.
    Debug,
    /// What happens often: connections that come and go.
    Verbose,
    /// What an operator wants to know: start, end, recovery.
    Notice,
    /// What an operator has to look at.
    Warning,
    /// No line has this level: a log of this level is silent.
    Nothing,
}

impl Level {
    /// The levels, with the names that `loglevel` has for them.
    pub const ALL: [(&'static str, Level); 5] = [
        ("debug", Level::Debug),
        ("verbose", Level::Verbose),
        ("notice", Level::Notice),
        ("warning", Level::Warning),
        ("nothing", Level::Nothing),
    ];

    /// The level of this name; `notice` if there is none.
    pub fn named(name: &str) -> Level {
        let found = Level::ALL.iter().find(|(own, _)| own.eq_ignore_ascii_case(name));
        found.map_or(Level::Notice, |(_, level)| *level)
    }

    /// What stands for it in a line.
    fn mark(self) -> char {
        match self {
            Level::Debug => '.',
            Level::Verbose => '-',
            Level::Notice => '*',
            Level::Warning | Level::Nothing => '#',
        }
    }
}

/// The log.
pub struct Log {
    clock: Clock,
    level: AtomicU8,
    file: Option<PathBuf>,
}

impl Log {
    /// A log that shows lines from `level` on, in a file, or on the standard output if it has no
    /// name.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn open(level: Level, file: &str, clock: Clock) -> io::Result<Log> {
        let file = Some(file).filter(|name| !name.is_empty()).map(PathBuf::from);
        if let Some(path) = &file {
            append_to(path)?;
        }
        Ok(Log { clock, level: AtomicU8::new(level as u8), file })
    }

    /// Shows lines from this level on.
    pub fn set_level(&self, level: Level) {
        self.level.store(level as u8, Relaxed);
    }

    /// For whoever looks for a fault in the server.
    pub fn debug(&self, text: impl Display) {
        self.write(Level::Debug, text);
    }

    /// What happens often.
    pub fn verbose(&self, text: impl Display) {
        self.write(Level::Verbose, text);
    }

    /// What an operator wants to know.
    pub fn notice(&self, text: impl Display) {
        self.write(Level::Notice, text);
    }

    /// What an operator has to look at.
    pub fn warning(&self, text: impl Display) {
        self.write(Level::Warning, text);
    }

    /// Writes a line, if lines of its level are shown. The text is made only then.
    pub fn write(&self, level: Level, text: impl Display) {
        if (level as u8) < self.level.load(Relaxed) {
            return;
        }
        let line = line(std::process::id(), self.clock.now_ms(), level, text);
        // The file is opened for each line, as Redis does: so it may be renamed at any time, and
        // the next line stands in a new one. A log has few lines.
        let outcome = match &self.file {
            Some(path) => append_to(path).and_then(|mut file| file.write_all(line.as_bytes())),
            None => io::stdout().lock().write_all(line.as_bytes()),
        };
        // There is nobody left to tell.
        let _ = outcome;
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

/// Text that takes no more than a line, and stays on it.
struct Line(String);

impl fmt::Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for letter in text.chars() {
            if self.0.len() + letter.len_utf8() > LOG_LINE_BYTES_MAX {
                return Err(fmt::Error);
            }
            self.0.push(if letter.is_control() { '?' } else { letter });
        }
        Ok(())
    }
}

fn line(process: u32, now_ms: i64, level: Level, text: impl Display) -> String {
    let mut line = Line(String::new());
    // It fails where the line is full, and the rest is left out.
    let _ = write!(line, "{process}:M {} {} {text}", Moment(now_ms), level.mark());
    line.0 + "\n"
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// A moment in milliseconds since the Unix epoch, written as UTC.
struct Moment(i64);

impl Display for Moment {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, ms) = (self.0.div_euclid(86_400_000), self.0.rem_euclid(86_400_000));
        // Years begin in March here, so that the day that is only sometimes there comes last
        // (H. Hinnant, "chrono-compatible low-level date algorithms").
        let days = days + 719_468;
        let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
        let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        let month = (5 * day + 2) / 153;
        let day = day - (153 * month + 2) / 5 + 1;
        let year = year + era * 400 + i64::from(month >= 10);
        let name = usize::try_from((month + 2) % 12).ok().and_then(|month| MONTHS.get(month));
        let (seconds, ms) = (ms / 1000, ms % 1000);
        let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        let name = name.unwrap_or(&"");
        write!(out, "{day:02} {name} {year} {hour:02}:{minute:02}:{second:02}.{ms:03}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_as_in_redis() {
        let check = |ms: i64, expected: &str| assert_eq!(Moment(ms).to_string(), expected);
        check(0, "01 Jan 1970 00:00:00.000");
        check(951_782_399_999, "28 Feb 2000 23:59:59.999");
        check(951_782_400_000, "29 Feb 2000 00:00:00.000");
        check(951_868_800_000, "01 Mar 2000 00:00:00.000");
        check(1_704_067_199_001, "31 Dec 2023 23:59:59.001");
        check(1_709_210_096_789, "29 Feb 2024 12:34:56.789");
        check(4_107_542_400_000, "01 Mar 2100 00:00:00.000");
        check(-1, "31 Dec 1969 23:59:59.999");
    }

    #[test]
    fn a_line_is_one_line_and_not_longer_than_its_limit() {
        let given = line(7, 0, Level::Warning, "a\nb\u{1b}c");
        assert_eq!(given, "7:M 01 Jan 1970 00:00:00.000 # a?b?c\n");
        let given = line(7, 0, Level::Notice, "\u{e4}".repeat(LOG_LINE_BYTES_MAX));
        assert!((LOG_LINE_BYTES_MAX - 1..=LOG_LINE_BYTES_MAX + 1).contains(&given.len()));
        assert!(given.ends_with('\n') && given.contains(" * "));
    }

    #[test]
    fn lines_below_the_level_are_not_written_and_a_renamed_file_is_begun_anew() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("ferrite.log");
        let log = Log::open(Level::Notice, path.to_str().expect("a name"), Clock::System);
        let log = log.expect("a log");
        let text = || std::fs::read_to_string(&path).expect("the log");
        log.verbose("not this");
        log.notice("this");
        log.set_level(Level::Verbose);
        log.debug("nor this");
        log.verbose("that");
        let lines: Vec<String> = text().lines().map(String::from).collect();
        assert!(matches!(&lines[..], [first, second] if first.ends_with("* this")
            && second.ends_with("- that")));
        std::fs::rename(&path, folder.path().join("old")).expect("another name");
        log.warning("anew");
        assert!(text().ends_with("# anew\n") && text().lines().count() == 1);
        let missing = folder.path().join("no/such/folder");
        assert!(Log::open(Level::Debug, missing.to_str().expect("a name"), Clock::System).is_err());
    }
}
