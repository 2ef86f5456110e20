//! What one call has to work with: the keyspace that it was lent, its keys, and all that is put
//! back or told when it is over.
//!
//! Invariant: before a declared key is changed for the first time the journal has what it held. So
//! [`Call::undo`] leaves the keyspace as the call found it, and [`Call::effects`] are what changed.
//!
//! Not here: how the guest is called (run.rs), and what it may ask for (abi.rs).

use std::ops::Range;
use std::sync::Arc;

use ferrite_engine::{Cx, Error, Kept, Keyspace, Millis, Options, Value, limits};

use crate::acl::user::User;
use crate::commands::{Command, table};
use crate::functions::effects::{HeldEffects, OnlyCaused};
use crate::functions::failure::error_line;
use crate::limits::functions::{
    JOURNAL_BYTES_MAX, LOG_LINE_BYTES_MAX, LOG_LINES_MAX, WRITES_MAX, WRITTEN_BYTES_MAX,
};
use crate::random;

/// The result codes of the contract, as host functions return them.
#[allow(missing_docs, reason = "as in the contract")]
pub mod code {
    pub const NIL: i64 = -1;
    pub const WRONG_TYPE: i64 = -2;
    pub const READ_ONLY: i64 = -3;
    pub const OOM: i64 = -4;
    pub const UNDECLARED: i64 = -5;
    pub const NO_PERMISSION: i64 = -7;
    pub const NO_SCRIPT: i64 = -8;
    pub const TOO_BIG: i64 = -9;
    pub const GUEST_OOM: i64 = -10;
    pub const ERROR: i64 = -11;
}

/// A key that was declared with the call.
#[derive(Clone, Debug)]
struct Declared {
    /// Where it is in the call's bytes.
    key: Range<usize>,
    /// What it held before the first change, and how many effects there were by then.
    kept: Option<(Kept, usize)>,
}

/// Keys up to this number are compared one by one.
const COMPARED_KEYS: usize = 16;

/// A log line: its level and its text.
pub type LogLine = (i32, Vec<u8>);

/// One call, and memory for the next.
pub struct Call {
    /// The keyspace: the database's, or a copy of what the call needs of it.
    keys: Box<Keyspace>,
    /// The function's name, for errors.
    pub function: Arc<str>,
    /// Who called, unless they may do everything.
    pub user: Option<Arc<User>>,
    /// The time, which stands still.
    pub now_ms: Millis,
    /// Whether it may change nothing.
    pub is_read_only: bool,
    /// Whether anybody wants to know what changes.
    pub is_heard: bool,
    /// Whether other databases are asked for room if it lacks some, after which it starts again.
    pub asks_for_room: bool,
    /// Whether it lacks some, and has to start again.
    pub lacks_room: bool,
    /// What has changed.
    pub effects: HeldEffects,
    /// The last reply of a command, or the last error's line.
    pub reply: Vec<u8>,
    /// The code of the error that `reply` is the line of.
    pub error_code: i64,
    /// A value on its way to the guest.
    pub scratch: Vec<u8>,
    /// Where random bytes come from, once there were some.
    pub random: Option<u64>,
    /// Lines for the log.
    pub lines: Vec<LogLine>,
    /// Lines that were too many.
    pub lines_dropped: usize,
    bytes: Vec<u8>,
    declared: Vec<Declared>,
    /// Positions in `declared` in the order of the keys, if they are many.
    sorted: Vec<u32>,
    journal: Vec<u8>,
    writes: usize,
    written_bytes: usize,
}

impl Call {
    /// Memory for calls.
    pub fn new() -> Box<Call> {
        Box::new(Call {
            keys: spare_keyspace(),
            function: "".into(),
            user: None,
            now_ms: 0,
            is_read_only: true,
            is_heard: false,
            asks_for_room: false,
            lacks_room: false,
            effects: HeldEffects::default(),
            reply: Vec::new(),
            error_code: 0,
            scratch: Vec::new(),
            random: None,
            lines: Vec::new(),
            lines_dropped: 0,
            bytes: Vec::new(),
            declared: Vec::new(),
            sorted: Vec::new(),
            journal: Vec::new(),
            writes: 0,
            written_bytes: 0,
        })
    }

    /// A call begins, for which these keys were declared.
    pub fn begin(&mut self, keys: &[&[u8]]) {
        self.effects.clear();
        self.reply.clear();
        self.error_code = 0;
        self.lines.clear();
        self.lines_dropped = 0;
        self.bytes.clear();
        self.declared.clear();
        self.sorted.clear();
        self.journal.clear();
        (self.writes, self.written_bytes) = (0, 0);
        (self.asks_for_room, self.lacks_room) = (false, false);
        for key in keys {
            let start = self.bytes.len();
            self.bytes.extend_from_slice(key);
            self.declared.push(Declared { key: start..self.bytes.len(), kept: None });
        }
        if keys.len() > COMPARED_KEYS {
            self.sorted.extend(0..keys.len() as u32);
            self.sorted.sort_by_key(|&at| keys.get(at as usize));
        }
    }

    /// Exchanges the keyspace: for the one that is lent, and back.
    pub fn swap_keys(&mut self, keys: &mut Box<Keyspace>) {
        std::mem::swap(&mut self.keys, keys);
    }

    /// The keyspace itself.
    pub fn keyspace(&mut self) -> &mut Keyspace {
        &mut self.keys
    }

    /// The keys that were declared.
    pub fn declared_keys(&self) -> impl Iterator<Item = &[u8]> {
        self.declared.iter().map(|declared| self.key(declared))
    }

    fn key(&self, declared: &Declared) -> &[u8] {
        self.bytes.get(declared.key.clone()).unwrap_or_default()
    }

    /// The position of a declared key.
    #[inline]
    fn position(&self, key: &[u8]) -> Option<usize> {
        if self.sorted.is_empty() {
            return self.declared.iter().position(|declared| self.key(declared) == key);
        }
        let key_at = |at: &u32| self.declared.get(*at as usize).map(|declared| self.key(declared));
        let found = self.sorted.binary_search_by_key(&Some(key), key_at).ok()?;
        self.sorted.get(found).map(|&at| at as usize)
    }

    /// The keyspace, for a command that reads or writes declared keys.
    #[inline]
    pub fn cx(&mut self, command: &'static str) -> Cx<'_> {
        let cx = self.keys.at(self.now_ms);
        if !self.is_heard {
            return cx;
        }
        self.effects.command = command;
        cx.with_effects(&mut self.effects)
    }

    /// Looks whether a command may read a key. Else the code.
    #[inline]
    pub fn admit(&mut self, command: &'static str, key: &[u8]) -> Result<(), i64> {
        self.permit_on(command, key)?;
        self.place(key).map(|_| ())
    }

    /// The position of a key that has to be declared. Else the code.
    #[inline]
    pub fn place(&mut self, key: &[u8]) -> Result<usize, i64> {
        match self.position(key) {
            Some(position) => Ok(position),
            None => Err(self.refuse_key(key)),
        }
    }

    /// Looks whether who called may run a command on a key. Else the code.
    #[inline]
    fn permit_on(&mut self, command: &'static str, key: &[u8]) -> Result<(), i64> {
        if self.user.is_none() {
            return Ok(());
        }
        match table().find(command.as_bytes()) {
            Some(row) => self.permit(row, &[command.as_bytes(), key]),
            None => Ok(()),
        }
    }

    /// Looks whether who called may make a request. Else the code.
    #[cold]
    pub fn permit(&mut self, command: &Command, request: &[&[u8]]) -> Result<(), i64> {
        let is_denied = |user: &Arc<User>| user.denial(command, request).is_some();
        if !self.user.as_ref().is_some_and(is_denied) {
            return Ok(());
        }
        let line = format!(
            "NOPERM this user has no permissions to run '{}' so, which function '{}' does",
            command.name, self.function
        );
        Err(self.refuse(code::NO_PERMISSION, &line))
    }

    #[cold]
    fn refuse_key(&mut self, key: &[u8]) -> i64 {
        let shown = String::from_utf8_lossy(key.get(..128).unwrap_or(key)).into_owned();
        let function = &self.function;
        let line = format!(
            "ERR function '{function}' may not use the key '{shown}': it was not declared with the \
             call"
        );
        self.refuse(code::UNDECLARED, &line)
    }

    /// The same for one that is about to be changed, by a command of so many bytes.
    #[inline]
    pub fn admit_write(
        &mut self,
        command: &'static str,
        key: &[u8],
        bytes: usize,
    ) -> Result<(), i64> {
        self.permit_on(command, key)?;
        let position = self.place(key)?;
        self.count_write(bytes)?;
        self.keep(position)
    }

    /// Counts a command that writes.
    pub fn count_write(&mut self, bytes: usize) -> Result<(), i64> {
        if self.is_read_only {
            let line = "ERR Write commands are not allowed from read-only scripts.";
            return Err(self.refuse(code::READ_ONLY, line));
        }
        self.writes += 1;
        self.written_bytes = self.written_bytes.saturating_add(bytes);
        if self.writes > WRITES_MAX || self.written_bytes > WRITTEN_BYTES_MAX {
            let what = format!("it writes by more than {WRITES_MAX} commands, or more than 64 MiB");
            return Err(self.refuse_size(&what));
        }
        Ok(())
    }

    /// Sees to it that the journal has what a declared key held before the call.
    #[inline]
    pub fn keep(&mut self, position: usize) -> Result<(), i64> {
        match self.declared.get(position) {
            Some(Declared { kept: None, .. }) => self.keep_new(position),
            _ => Ok(()),
        }
    }

    /// The same for all keys, by who knows that they are small enough.
    pub fn keep_all(&mut self) {
        for position in 0..self.declared.len() {
            // A copy was made before, within the same limit.
            let _ = self.keep(position);
        }
    }

    fn keep_new(&mut self, position: usize) -> Result<(), i64> {
        let Some(declared) = self.declared.get_mut(position) else { return Ok(()) };
        let key = self.bytes.get(declared.key.clone()).unwrap_or_default();
        let room = JOURNAL_BYTES_MAX.saturating_sub(self.journal.len());
        let mut cx = self.keys.at(self.now_ms);
        if self.is_heard {
            cx = cx.with_effects(&mut self.effects);
        }
        match cx.keep(key, room, &mut self.journal) {
            Some(kept) => {
                let position = self.effects.len();
                declared.kept = Some((kept, position));
                Ok(())
            }
            None => Err(self.refuse_size(
                "the values of the keys that it changes are together longer than 64 MiB",
            )),
        }
    }

    /// Refuses something, for its size.
    #[cold]
    pub fn refuse_size(&mut self, what: &str) -> i64 {
        let line = format!("ERR function '{}' exceeds a limit: {what}", self.function);
        self.refuse(code::TOO_BIG, &line)
    }

    /// Keeps the line of an error for who asks for it.
    #[cold]
    pub fn refuse(&mut self, code: i64, line: &str) -> i64 {
        self.reply.clear();
        self.reply.extend_from_slice(error_line(line.as_bytes()).as_bytes());
        self.error_code = code;
        code
    }

    /// The same for an error of the engine, of a command of this name.
    #[cold]
    pub fn refuse_error(&mut self, error: Error, command: &str) -> i64 {
        self.lacks_room |= self.asks_for_room && error == Error::OutOfMemory;
        self.refuse(code_of(error), &error.parts(command).concat())
    }

    /// Puts back what the call has changed. What stays of the effects is what happened anyway. True
    /// if the keyspace's budget was lifted for that, and has to be set again.
    pub fn undo(&mut self) -> bool {
        let mut is_lifted = false;
        let (declared, bytes) = (&self.declared, &self.bytes);
        let key_of = |declared: &Declared| bytes.get(declared.key.clone()).unwrap_or_default();
        self.effects.retain_caused(|at, key| {
            !declared.iter().any(|declared| {
                key_of(declared) == key
                    && declared.kept.as_ref().is_some_and(|(_, kept_at)| *kept_at <= at)
            })
        });
        let mut only_caused = OnlyCaused::new(&mut self.effects);
        // All go before any comes back, so that what comes back finds the room that it had.
        for declared in declared.iter().filter(|declared| declared.kept.is_some()) {
            let mut cx = self.keys.at(self.now_ms).with_effects(&mut only_caused);
            cx.del(key_of(declared));
        }
        for declared in &self.declared {
            let Some((kept, _)) = &declared.kept else { continue };
            let key = key_of(declared);
            let mut cx = self.keys.at(self.now_ms).with_effects(&mut only_caused);
            if cx.put_back(key, kept, &self.journal).is_ok() {
                continue;
            }
            // It had room before, but not in pieces that fit now: it gets more, until something
            // goes.
            is_lifted |= self.keys.set_max_memory(limits::MEMORY_BYTES_MAX, 0).is_ok();
            let mut cx = self.keys.at(self.now_ms).with_effects(&mut only_caused);
            if let Err(error) = cx.put_back(key, kept, &self.journal) {
                // Only addresses could be used up, and they were enough before.
                debug_assert!(false, "a key is not put back: {error}");
            }
        }
        for declared in &mut self.declared {
            declared.kept = None;
        }
        self.journal.clear();
        is_lifted
    }

    /// Adds a line to the log of the call.
    pub fn log(&mut self, level: i32, text: &[u8]) {
        if self.lines.len() >= LOG_LINES_MAX {
            self.lines_dropped += 1;
            return;
        }
        let text = text.get(..LOG_LINE_BYTES_MAX).unwrap_or(text);
        self.lines.push((level, text.into()));
    }

    /// Fills memory with random bytes: SplitMix64.
    pub fn fill_random(&mut self, memory: &mut [u8]) {
        fill_random(self.random.get_or_insert_with(random::number), memory);
    }
}

/// Fills memory with random bytes by SplitMix64, of which `state` is the state.
pub fn fill_random(state: &mut u64, memory: &mut [u8]) {
    for chunk in memory.chunks_mut(8) {
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = *state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        for (byte, random) in chunk.iter_mut().zip(mixed.to_le_bytes()) {
            *byte = random;
        }
    }
}

/// The code of an engine's error.
pub fn code_of(error: Error) -> i64 {
    match error.code() {
        "WRONGTYPE" => code::WRONG_TYPE,
        "OOM" => code::OOM,
        _ => code::ERROR,
    }
}

/// An empty keyspace, which stands where a lent one is not.
#[allow(clippy::expect_used, reason = "the default budget is one the engine can work in")]
pub fn spare_keyspace() -> Box<Keyspace> {
    Box::new(Keyspace::new(&Options::default()).expect("the default options"))
}

/// A value in one piece.
pub fn copy_value(value: &Value<'_>, out: &mut Vec<u8>) {
    out.clear();
    value.parts().for_each(|part| out.extend_from_slice(part));
}
