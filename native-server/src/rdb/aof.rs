//! Reading append-only files: their commands are run again, on the engine.
//!
//! Commands run at time 0, when nothing expires by itself: what a file says of a key holds whether
//! its time has passed meanwhile or not, and it expires behind the last command. Those of a
//! transaction run when all of it is there.
//!
//! Source of the format: `aof.c` of Redis 7.

use std::io::{self, Read};
use std::path::Path;
use std::rc::Rc;

use ferrite_engine::{Args, Error, Millis, RdbInput, Reply, Run, Ttl, Value, find, limits};

use super::fault::{Fault, Problem, shown};
use super::file::{Loader, Loading};
use super::input::Source;
use super::manifest;
use crate::commands::keyspace::transfer;
use crate::commands::{Action, Refusal, table};
use crate::limits::{NOTE_BYTES_MAX, QUEUED_BYTES_MAX, QUEUED_COMMANDS_MAX, READ_BLOCK_BYTES};
use crate::news::Origin;
use crate::resp::parser::{Allowed, Parsed, Parser};
use crate::{number, plain_file};

/// The time at which nothing has expired.
const BEGINNING_MS: Millis = 0;

const ALLOWED: Allowed = Allowed { bulk_bytes_max: limits::VALUE_BYTES_MAX, is_stranger: false };

/// Commands that name no moment but a time from now on. Redis writes none of them, but who made a
/// file by other means may have.
const RELATIVE: &[&str] = &["expire", "pexpire", "setex", "psetex", "hexpire", "hpexpire"];

/// Commands that note when a consumer of a stream was seen, with the place of the key. The file
/// does not say when that was: it counts as now, as in Redis.
const SEEING: &[(&str, usize)] = &[("xgroup", 1), ("xclaim", 0), ("xautoclaim", 0)];

/// What would need scripts to be run.
const SCRIPTING: &[&[u8]] = &[b"eval", b"evalsha", b"fcall", b"script"];

/// What a `dump.rdb` begins with.
const RDB_MARK: &[u8] = b"REDIS";

/// Loads the files that a manifest names.
pub fn load_directory(loader: &mut Loader<'_>, directory: &Path, path: &Path) -> Result<(), Fault> {
    let manifest = manifest::read(path)?;
    let files: Vec<_> = manifest.base.iter().chain(&manifest.increments).collect();
    for (position, name) in files.iter().enumerate() {
        // Only what was written last can have been cut.
        load_file(loader, &directory.join(name), position + 1 == files.len())?;
    }
    Ok(())
}

/// Loads a file: a `dump.rdb`, commands, or commands behind a `dump.rdb`.
pub fn load_file(loader: &mut Loader<'_>, path: &Path, is_last: bool) -> Result<(), Fault> {
    let fault = |why| Fault::io(path, why);
    let mut start = 0;
    if begins_as_rdb(path).map_err(fault)? {
        let end = loader.load(path)?;
        let behind = end.bytes_total - end.position;
        if !end.is_preamble && behind > 0 {
            let note = format!("{behind} bytes behind the end of {} are not read", path.display());
            loader.loading.summary.notes.push(note);
        }
        if !end.is_preamble || behind == 0 {
            return Ok(());
        }
        start = end.position;
    }
    let Loader { progress, loading } = loader;
    let mut source = Source::open(path, Rc::clone(&loading.keys), *progress).map_err(fault)?;
    source.seek(start).map_err(fault)?;
    let allows_cut = is_last && loading.options.allows_cut;
    let mut replay = Replay::new(loading, start);
    let mut outcome = replay.read(&mut source);
    let Replay { offset, at, .. } = replay;
    loading.summary.bytes += source.bytes_total() - start;
    if let Some(why) = source.error {
        return Err(fault(why));
    }
    if let (Err(Problem::Short), true) = (&outcome, allows_cut) {
        loading.summary.notes.push(format!(
            "{} ends in the middle of a command or a transaction: its last {} bytes, from byte \
             {offset} on, are left out",
            path.display(),
            source.bytes_total() - offset,
        ));
        outcome = Ok(());
    }
    outcome.map_err(|problem| Fault::at(path, offset, at, problem))
}

fn begins_as_rdb(path: &Path) -> io::Result<bool> {
    let mut mark = Vec::new();
    plain_file::open(path)?.take(RDB_MARK.len() as u64).read_to_end(&mut mark)?;
    Ok(mark == RDB_MARK)
}

/// A command that waits for the end of its transaction.
struct Queued {
    offset: u64,
    arguments: Vec<Vec<u8>>,
}

/// The commands of a file, run one after the other.
struct Replay<'r, 'd> {
    loading: &'r mut Loading<'d>,
    /// Where the command stands that is read, or the MULTI before it.
    offset: u64,
    /// Which command that is.
    at: Option<String>,
    transaction: Option<(Vec<Queued>, usize)>,
}

impl<'r, 'd> Replay<'r, 'd> {
    fn new(loading: &'r mut Loading<'d>, offset: u64) -> Replay<'r, 'd> {
        // Each file begins with the first database.
        loading.database = 0;
        Replay { loading, offset, at: None, transaction: None }
    }

    /// Reads to the end.
    fn read(&mut self, source: &mut Source<'_>) -> Result<(), Problem> {
        let mut parser = Parser::default();
        // What of the file is in `buffer`, up to `filled`, begins at byte `base`.
        let (mut buffer, mut filled, mut base) = (vec![0; READ_BLOCK_BYTES], 0, self.offset);
        loop {
            let count = source.read(buffer.get_mut(filled..).unwrap_or_default());
            if count == 0 {
                let is_whole = filled == 0 && self.transaction.is_none();
                return if is_whole { Ok(()) } else { Err(Problem::Short) };
            }
            filled += count;
            let used = self.run_all(buffer.get(..filled).unwrap_or_default(), base, &mut parser)?;
            buffer.copy_within(used..filled, 0);
            filled -= used;
            base += used as u64;
            // A command that is longer than the buffer.
            if filled == buffer.len() {
                buffer.resize(2 * buffer.len(), 0);
            }
        }
    }

    /// Runs the commands that are there in full. How many bytes they have.
    fn run_all(&mut self, input: &[u8], base: u64, parser: &mut Parser) -> Result<usize, Problem> {
        let mut at = 0;
        loop {
            let rest = input.get(at..).unwrap_or_default();
            let offset = base + at as u64;
            self.at = None;
            if self.transaction.is_none() {
                self.offset = offset;
            }
            let len = match rest.first() {
                None => return Ok(at),
                // A note, such as when what follows was written.
                Some(b'#') => match rest.iter().position(|&byte| byte == b'\n') {
                    Some(end) => end + 1,
                    None if rest.len() > NOTE_BYTES_MAX => {
                        return Err("this line is too long for a note".into());
                    }
                    None => return Ok(at),
                },
                Some(b'*') => {
                    let parsed = parser.read(rest, &ALLOWED);
                    match parsed.map_err(|why| format!("this is no command: {why}"))? {
                        Parsed::Incomplete(_) => return Ok(at),
                        Parsed::Request(len) => {
                            let mut arguments = Vec::new();
                            parser.arguments(rest, &mut arguments);
                            self.take(offset, &arguments)?;
                            len
                        }
                    }
                }
                Some(_) => return Err("this is no command".into()),
            };
            at += len;
        }
    }

    /// Runs a command, or keeps it until its transaction is there.
    fn take(&mut self, offset: u64, arguments: &[&[u8]]) -> Result<(), Problem> {
        let name = *arguments.first().ok_or("this is a command without a name")?;
        let is = |other: &str| name.eq_ignore_ascii_case(other.as_bytes());
        self.loading.summary.commands += 1;
        match &mut self.transaction {
            None if is("multi") => self.transaction = Some((Vec::new(), 0)),
            None if is("exec") => return Err("this is an EXEC without a MULTI".into()),
            None => return self.run(arguments),
            Some(_) if is("multi") => return Err("this is a MULTI within another".into()),
            Some(_) if is("exec") => {
                let (queue, _) = self.transaction.take().unwrap_or_default();
                for Queued { offset, arguments } in queue {
                    self.offset = offset;
                    self.run(&arguments.iter().map(Vec::as_slice).collect::<Vec<_>>())?;
                }
            }
            Some((queue, bytes)) => {
                *bytes += arguments.iter().map(|argument| argument.len()).sum::<usize>();
                if *bytes > QUEUED_BYTES_MAX || queue.len() >= QUEUED_COMMANDS_MAX {
                    return Err("the transaction is too large".into());
                }
                let arguments = arguments.iter().map(|argument| argument.to_vec()).collect();
                queue.push(Queued { offset, arguments });
            }
        }
        Ok(())
    }

    fn run(&mut self, arguments: &[&[u8]]) -> Result<(), Problem> {
        let (&name, rest) = arguments.split_first().ok_or("this is a command without a name")?;
        // A message is made only where something is wrong.
        let outcome = self.dispatch(name, rest, arguments.len());
        if outcome.is_err() {
            let key = rest.first().map(|key| format!(" {}", shown(key))).unwrap_or_default();
            let name = name.escape_ascii().to_string().to_ascii_uppercase();
            let name = shown(name.as_bytes()).replace('"', "");
            let database = self.loading.database;
            self.at = Some(format!("command {name}{key} in database {database}"));
        }
        outcome
    }

    /// Libraries of functions that come and go: those that are left are loaded when all is read.
    fn change_libraries(&mut self, rest: &[&[u8]]) -> Result<(), Problem> {
        let texts = &mut self.loading.summary.library_texts;
        let is = |word: &[u8], name: &str| word.eq_ignore_ascii_case(name.as_bytes());
        let is_of = |text: &[u8], name: &[u8]| {
            let line = text.split(|&byte| byte == b'\n').next().unwrap_or_default();
            line.split(u8::is_ascii_whitespace)
                .any(|word| word.strip_prefix(b"name=") == Some(name))
        };
        match rest {
            [word, .., text] if is(word, "load") => texts.push(text.to_vec()),
            [word, name] if is(word, "delete") => texts.retain(|text| !is_of(text, name)),
            [word, ..] if is(word, "flush") => texts.clear(),
            _ => return Err("this change of functions is not known here".into()),
        }
        Ok(())
    }

    fn dispatch(&mut self, name: &[u8], rest: &[&[u8]], count: usize) -> Result<(), Problem> {
        let command = table().find(name);
        if name.eq_ignore_ascii_case(b"function") {
            return self.change_libraries(rest);
        }
        if command.is_none() || SCRIPTING.iter().any(|word| name.eq_ignore_ascii_case(word)) {
            let is_script = SCRIPTING.iter().any(|word| name.eq_ignore_ascii_case(word));
            let what = if is_script {
                "scripts are not run here"
            } else {
                "this command is not known here"
            };
            return Err(what.into());
        }
        let Some(command) = command.filter(|command| command.arity.allows(count)) else {
            return Err("it has a wrong number of arguments".into());
        };
        let is_db = |word: &&[u8]| word.eq_ignore_ascii_case(b"db");
        match (&command.action, command.name) {
            (Action::Engine(run), name @ ("xadd" | "xtrim")) => match limit_of_trim(rest) {
                Some(at) => {
                    let kept =
                        rest.iter().enumerate().filter(|(other, _)| !(at..at + 2).contains(other));
                    let kept: Vec<&[u8]> = kept.map(|(_, word)| *word).collect();
                    self.run_engine(*run, name, &kept)
                }
                None => self.run_engine(*run, name, rest),
            },
            (Action::Engine(run), name) => self.run_engine(*run, name, rest),
            (Action::Subcommand, "xgroup") => {
                let run = find(b"xgroup").ok_or("this command is not known here")?.run;
                self.run_engine(run, "xgroup", rest)
            }
            (_, "copy") => match rest.iter().position(is_db) {
                Some(at) => self.copy(rest, rest.get(at + 1)),
                None => {
                    let run = find(b"copy").ok_or("this command is not known here")?.run;
                    self.run_engine(run, "copy", rest)
                }
            },
            (_, "select") => {
                self.loading.database = self.database(rest.first())?;
                Ok(())
            }
            (_, "flushall") => {
                for index in 0..self.loading.databases.count() {
                    self.loading.held.get(index).keys.at(BEGINNING_MS).flush();
                }
                Ok(())
            }
            (_, "swapdb") => {
                let [one, other] = [self.database(rest.first())?, self.database(rest.get(1))?];
                if one != other {
                    let (one, other) = self.loading.held.get_two(one, other);
                    one.swap_keys(other, BEGINNING_MS);
                    self.loading.held.release();
                }
                Ok(())
            }
            (_, "move") => {
                let key = rest.first().copied().unwrap_or_default();
                let to = self.database(rest.get(1))?;
                self.transfer(key, (to, key), false, true)
            }
            _ => Err("this command is not run from a file".into()),
        }
    }

    /// The database that an argument names.
    fn database(&self, argument: Option<&&[u8]>) -> Result<usize, Problem> {
        let number = argument.and_then(|text| number::integer(text));
        let number = number.and_then(|number| u64::try_from(number).ok());
        self.loading.index(number.ok_or("the number of a database is none")?)
    }

    /// COPY to another database.
    fn copy(&mut self, rest: &[&[u8]], to: Option<&&[u8]>) -> Result<(), Problem> {
        let key = |at: usize| rest.get(at).copied().unwrap_or_default();
        let replaces = rest.iter().skip(2).any(|word| word.eq_ignore_ascii_case(b"replace"));
        let to = self.database(to)?;
        self.transfer(key(0), (to, key(1)), replaces, false)
    }

    fn transfer(
        &mut self,
        source: &[u8],
        to: (usize, &[u8]),
        replaces: bool,
        drops_source: bool,
    ) -> Result<(), Problem> {
        let from = (self.loading.database, source);
        if from.0 == to.0 {
            return Err("the databases are the same".into());
        }
        let held = &mut self.loading.held;
        let moved =
            transfer(held, Origin::default(), BEGINNING_MS, from, to, replaces, drops_source);
        held.release();
        match moved {
            Ok(true) => Ok(()),
            Ok(false) => Err("there is no such key, or it is there already".into()),
            Err(Refusal::Engine(error)) => Err(error.into()),
            Err(Refusal::Line(line)) => Err(line.into_owned().into()),
        }
    }

    fn run_engine(&mut self, run: Run, name: &str, rest: &[&[u8]]) -> Result<(), Problem> {
        let now_ms = self.loading.now_ms;
        let database = self.loading.held.get(self.loading.database);
        let mut at_ms = BEGINNING_MS;
        if RELATIVE.contains(&name) {
            at_ms = now_ms;
        } else if let Some(&(_, place)) = SEEING.iter().find(|(seeing, _)| *seeing == name) {
            let key = rest.get(place).copied().unwrap_or_default();
            let has_passed = |deadline| deadline <= now_ms;
            let ttl = database.keys.at(BEGINNING_MS).expire_time(key);
            if !matches!(ttl, Ttl::Left(deadline) if has_passed(deadline)) {
                at_ms = now_ms;
            }
        }
        let mut answer = Answer::default();
        let mut cx = database.keys.at(at_ms);
        match run(&mut cx, &mut Args::new(rest), &mut answer) {
            Ok(()) => answer.error.map_or(Ok(()), |line| Err(line.into())),
            Err(error @ Error::OutOfMemory) => Err(error.into()),
            Err(error) => Err(error.to_string().into()),
        }
    }
}

/// Where LIMIT stands behind an exact trim of a stream. Redis writes down what a rough trim came
/// to, with the LIMIT that it had, and does not mind when it reads that.
fn limit_of_trim(rest: &[&[u8]]) -> Option<usize> {
    let is = |at: usize, word: &str| {
        rest.get(at).is_some_and(|other| other.eq_ignore_ascii_case(word.as_bytes()))
    };
    // Behind the key, and perhaps NOMKSTREAM.
    let trim = (1..=2).find(|&at| is(at, "maxlen") || is(at, "minid"))?;
    let limit = trim + 3;
    (is(trim + 1, "=") && is(limit, "limit")).then_some(limit)
}

/// Of a reply only whether it is an error.
#[derive(Default)]
struct Answer {
    error: Option<String>,
}

impl Reply for Answer {
    fn simple(&mut self, _: &'static str) {}
    fn bulk(&mut self, _: Value<'_>) {}
    fn integer(&mut self, _: i64) {}
    fn null(&mut self) {}
    fn array(&mut self, _: usize) {}

    fn error(&mut self, parts: &[&[u8]]) {
        self.error = Some(String::from_utf8_lossy(&parts.concat()).into_owned());
    }
}
