//! When checkpoints are taken: by command, by the rules of `save`, at the end.
//!
//! Invariant: one is taken at a time. What INFO says of them, and whether writes are refused
//! because the last one failed, follows from the outcomes that are noted here.

use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::checkpoint::{CheckpointError, Loaded, Saved, load};
use crate::config::Config;
use crate::limits::CHECKPOINT_RETRY_MS;
use crate::server::Server;

/// What refuses writes while checkpoints fail; Redis's line.
const MISCONF: &str = "MISCONF Redis is configured to save RDB snapshots, but it's currently \
                       unable to persist to disk. Commands that may modify the data set are \
                       disabled, because this instance is configured to report errors during \
                       writes if RDB snapshotting fails (stop-writes-on-bgsave-error option). \
                       Please check the Redis logs for details about the RDB error.";

/// How long the end waits for a checkpoint that was given up.
const GIVE_UP_PATIENCE: Duration = Duration::from_secs(5);

/// Why a checkpoint is not begun.
pub const IN_PROGRESS: &str = "ERR Background save already in progress";

/// A rule of `save`: after so many seconds, if there were so many changes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rule {
    /// Seconds since the last checkpoint.
    pub seconds: i64,
    /// Changes since then.
    pub changes: u64,
}

#[derive(Clone, Debug, Default)]
struct State {
    /// When the one was begun that is being taken.
    begun_ms: Option<i64>,
    is_scheduled: bool,
    /// When the last one was taken, or the server started.
    saved_s: i64,
    saved_changes: u64,
    tried_ms: i64,
    has_failed: bool,
    last_seconds: Option<i64>,
    saves: u64,
    keys_loaded: u64,
}

/// What there is to know of checkpoints.
#[derive(Default)]
pub struct Saver {
    state: Mutex<State>,
    has_ended: Condvar,
}

/// What INFO says of checkpoints.
#[derive(Clone, Copy, Debug)]
pub struct Figures {
    /// Changes since the last one.
    pub changes: u64,
    /// For how many seconds one is being taken.
    pub running_seconds: Option<i64>,
    /// When the last was taken, in seconds since the epoch.
    pub saved_s: i64,
    /// Whether the last try succeeded.
    pub is_well: bool,
    /// How many seconds the last took.
    pub last_seconds: Option<i64>,
    /// How many were taken.
    pub saves: u64,
    /// Keys of the one that was loaded at the start.
    pub keys_loaded: u64,
}

impl Saver {
    /// Of a server that starts now.
    pub fn new(now_ms: i64) -> Saver {
        let state = State { saved_s: now_ms / 1000, ..State::default() };
        Saver { state: Mutex::new(state), has_ended: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When the last one was taken, in seconds since the epoch.
    pub fn saved_s(&self) -> i64 {
        self.lock().saved_s
    }

    /// Whether one is being taken: from the moment on in which somebody was told so.
    pub fn is_running(&self) -> bool {
        self.lock().begun_ms.is_some()
    }

    /// Whether one is wanted after that.
    pub fn is_scheduled(&self) -> bool {
        self.lock().is_scheduled
    }

    /// What there is to tell, after so many changes in all.
    pub fn figures(&self, now_ms: i64, changes: u64) -> Figures {
        let state = self.lock();
        let seconds = |begun_ms: i64| now_ms.saturating_sub(begun_ms).max(0) / 1000;
        Figures {
            changes: changes.saturating_sub(state.saved_changes),
            running_seconds: state.begun_ms.map(seconds),
            saved_s: state.saved_s,
            is_well: !state.has_failed,
            last_seconds: state.last_seconds,
            saves: state.saves,
            keys_loaded: state.keys_loaded,
        }
    }

    /// What was loaded is what is in memory.
    pub fn note_loaded(&self, keys: u64, changes: u64) {
        let mut state = self.lock();
        (state.keys_loaded, state.saved_changes) = (keys, changes);
    }

    /// Whether a rule wants a checkpoint, after so many changes in all.
    fn is_due(&self, config: &Config, now_ms: i64, changes: u64) -> bool {
        let state = self.lock();
        if state.has_failed && now_ms.saturating_sub(state.tried_ms) <= CHECKPOINT_RETRY_MS {
            return false;
        }
        let changes = changes.saturating_sub(state.saved_changes);
        let elapsed_s = (now_ms / 1000).saturating_sub(state.saved_s);
        let is_met = |rule: &Rule| changes >= rule.changes && elapsed_s > rule.seconds;
        state.is_scheduled || config.save.iter().any(is_met)
    }

    /// Whether so much time has passed since one was begun.
    pub fn has_rested(&self, now_ms: i64, rest_ms: i64) -> bool {
        now_ms.saturating_sub(self.lock().tried_ms) > rest_ms
    }

    /// Claims that a checkpoint is being taken. False if one is already.
    fn begin(&self, now_ms: i64) -> bool {
        let mut state = self.lock();
        if state.begun_ms.is_some() {
            return false;
        }
        (state.begun_ms, state.tried_ms, state.is_scheduled) = (Some(now_ms), now_ms, false);
        true
    }

    fn note(&self, outcome: &Result<Saved, CheckpointError>, now_ms: i64) {
        let mut state = self.lock();
        let begun_ms = state.begun_ms.take().unwrap_or(now_ms);
        if !matches!(outcome, Err(CheckpointError::GivenUp)) {
            state.has_failed = outcome.is_err();
        }
        state.last_seconds = Some(now_ms.saturating_sub(begun_ms).max(0) / 1000);
        if let Ok(saved) = outcome {
            state.saves += 1;
            state.saved_changes = saved.changes;
            state.saved_s = now_ms / 1000;
        }
        drop(state);
        self.has_ended.notify_all();
    }

    /// Waits for the end of one that is being taken.
    fn wait(&self) {
        let ended = self.has_ended.wait_while(self.lock(), |state| state.begun_ms.is_some());
        drop(ended.unwrap_or_else(PoisonError::into_inner));
    }
}

/// Takes a checkpoint, and waits for it.
///
/// # Errors
/// Why there is none, as a line.
pub fn save_now(server: &Server) -> Result<(), String> {
    if !server.saver.begin(server.clock.now_ms()) {
        return Err(IN_PROGRESS.into());
    }
    run(server).map(|_| ()).map_err(|error| format!("ERR {error}"))
}

/// Takes a checkpoint when the server ends; after one that is being taken.
///
/// # Errors
/// Why there is none, as a line.
pub fn save_at_end(server: &Server) -> Result<(), String> {
    server.saver.wait();
    save_now(server)
}

/// Gives up the checkpoint that is being taken, if one is, and waits until nothing is left of it:
/// the server ends. A disk that does not answer is not waited for; what it has then the next start
/// removes.
pub fn give_up(server: &Server) {
    server.databases.give_up_checkpoints();
    let state = server.saver.lock();
    let is_running = |state: &mut State| state.begun_ms.is_some();
    drop(server.saver.has_ended.wait_timeout_while(state, GIVE_UP_PATIENCE, is_running));
}

/// Takes a checkpoint of databases that were just cleared, or has one taken soon where a
/// transaction or a script has them still. As in Redis a restart is not to bring back what rules
/// for checkpoints have kept, and FLUSHALL has deleted; where there is a log it knows of that.
pub fn save_cleared(server: &Server, config: &Config, is_in_exec: bool) {
    if config.save.is_empty() || server.databases.log.is_on() {
        return;
    }
    if is_in_exec {
        return schedule(server);
    }
    // What one that is being taken has is deleted.
    server.databases.drop_checkpoint(true);
    server.saver.wait();
    // Whoever began another in between began it later. One that cannot be had refuses writes.
    let _ = save_now(server);
}

/// Notes that a checkpoint is wanted once a transaction is over.
pub fn schedule(server: &Server) {
    server.saver.lock().is_scheduled = true;
}

/// Begins a checkpoint that a thread of its own takes, or notes that one is wanted after the one
/// that runs. What there is to answer.
///
/// # Errors
/// Why none is begun, as a line.
pub fn save_in_background(server: &Arc<Server>, schedules: bool) -> Result<&'static str, String> {
    if !server.saver.begin(server.clock.now_ms()) {
        if !schedules {
            return Err(IN_PROGRESS.into());
        }
        server.saver.lock().is_scheduled = true;
        return Ok("Background saving scheduled");
    }
    let own = Arc::clone(server);
    // What comes of it is noted.
    let take = move || drop(run(&own));
    let spawned = std::thread::Builder::new().name("ferrite-save".into()).spawn(take);
    if let Err(why) = spawned {
        let error = CheckpointError::Io { path: server.persistence.directory(), why };
        let line = format!("ERR {error}");
        settle(server, &Err(error));
        return Err(line);
    }
    Ok("Background saving started")
}

/// The clock's work: a checkpoint if a rule wants one.
pub fn tend(server: &Arc<Server>, config: &Config) {
    if config.save.is_empty() && !server.saver.lock().is_scheduled {
        return;
    }
    let (now_ms, changes) = (server.clock.now_ms(), server.databases.changes());
    if server.saver.is_due(config, now_ms, changes) {
        // One who asked in between was quicker; or there is no thread, which is noted.
        let _ = save_in_background(server, false);
    }
}

/// Whether a checkpoint is taken when the server ends, if nobody says otherwise.
pub fn saves_at_end(server: &Server) -> bool {
    !server.config.snapshot().config.save.is_empty()
}

/// Takes a checkpoint, which was begun.
fn run(server: &Server) -> Result<Saved, CheckpointError> {
    server.databases.drop_checkpoint(false);
    let outcome = server.persistence.checkpoint(server);
    match &outcome {
        Ok(saved) => {
            let Saved { path, bytes, .. } = saved;
            let path = path.display();
            server.log.notice(format_args!("checkpoint saved: {bytes} bytes in {path}"));
        }
        Err(error) => server.log.warning(format_args!("no checkpoint was saved: {error}")),
    }
    settle(server, &outcome);
    outcome
}

/// Notes how a checkpoint went, and refuses writes, or no longer.
fn settle(server: &Server, outcome: &Result<Saved, CheckpointError>) {
    server.saver.note(outcome, server.clock.now_ms());
    refuse_writes(server, &server.config.snapshot().config);
}

/// Refuses writes if the last checkpoint failed and the configuration says so, or no longer.
pub fn refuse_writes(server: &Server, config: &Config) {
    let refuses = config.stop_writes_on_bgsave_error
        && !config.save.is_empty()
        && server.saver.lock().has_failed;
    server.gate.refuse_writes("save", refuses.then_some(MISCONF.into()));
}

/// Loads the newest checkpoint when the server starts. The position from which on the log knows
/// more, and a newer checkpoint that is damaged, if there is one.
///
/// # Errors
/// What is wrong with it.
pub fn load_at_start(server: &Server) -> Result<Option<(u64, Option<PathBuf>)>, CheckpointError> {
    let databases = &server.databases;
    let Some(loaded) = load(&server.persistence.directory(), databases)? else { return Ok(None) };
    let Loaded { path, damaged, log_position, extra, .. } = loaded;
    for (path, fault) in &damaged {
        server.log.warning(format_args!(
            "{}: {fault}. What it had and the checkpoint before it has not is lost, unless the log \
             has it",
            path.display()
        ));
    }
    let mut keys = 0;
    databases.each(|_, database| keys += database.keys.len() as u64);
    server.saver.note_loaded(keys, databases.changes());
    server.log.notice(format_args!("{keys} keys loaded from {}", path.display()));
    restore_functions(server, &extra)?;
    Ok(Some((log_position, damaged.into_iter().next().map(|(path, _)| path))))
}

/// Brings back the functions that a checkpoint has.
///
/// # Errors
/// If they cannot be loaded: to go on without them would lose them with the next checkpoint.
pub fn restore_functions(server: &Server, extra: &[u8]) -> Result<(), CheckpointError> {
    server
        .functions
        .restore(extra)
        .map_err(|refusal| CheckpointError::Functions(refusal.to_string()))
}

/// The rules of a text: seconds and changes in turns.
///
/// # Errors
/// That it has none.
pub fn parse_rules(text: &str) -> Result<Vec<Rule>, &'static str> {
    const INVALID: &str = "Invalid save parameters";
    let words: Vec<&str> = text.split_ascii_whitespace().filter(|word| *word != "\"\"").collect();
    let (pairs, []) = words.as_chunks::<2>() else { return Err(INVALID) };
    let rule = |[seconds, changes]: &[&str; 2]| {
        let seconds = seconds.parse().ok().filter(|seconds| *seconds >= 1);
        Some(Rule { seconds: seconds?, changes: changes.parse().ok()? })
    };
    pairs.iter().map(rule).collect::<Option<_>>().ok_or(INVALID)
}

/// The text of rules.
pub fn show_rules(rules: &[Rule]) -> String {
    let texts: Vec<String> =
        rules.iter().map(|rule| format!("{} {}", rule.seconds, rule.changes)).collect();
    texts.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_read_as_redis_reads_them() {
        let check = |text: &str, expected: Result<&str, &str>| {
            assert_eq!(parse_rules(text).map(|rules| show_rules(&rules)), expected.map(Into::into));
        };
        check("3600 1 300 100", Ok("3600 1 300 100"));
        check("", Ok(""));
        check("  ", Ok(""));
        check("\"\"", Ok(""));
        for bad in ["900", "900 1 300", "0 1", "-1 1", "900 -1", "900 x", "9.5 1"] {
            check(bad, Err("Invalid save parameters"));
        }
    }

    #[test]
    fn a_rule_wants_both_time_and_changes() {
        let saver = Saver::new(0);
        let config =
            Config { save: parse_rules("60 10 3600 1").expect("rules"), ..Config::default() };
        assert!(!saver.is_due(&config, 60_000, 10), "the time is not over");
        assert!(saver.is_due(&config, 61_000, 10));
        assert!(!saver.is_due(&config, 61_000, 9), "too few changes");
        assert!(saver.is_due(&config, 3_601_000, 1));
        assert!(!saver.is_due(&config, 3_601_000, 0), "no changes at all");
        assert!(saver.begin(61_000) && !saver.begin(61_000), "one at a time");
        let why = std::io::ErrorKind::StorageFull.into();
        saver.note(&Err(CheckpointError::Io { path: "dir".into(), why }), 61_000);
        assert!(!saver.is_due(&config, 61_000 + CHECKPOINT_RETRY_MS, 10), "not again at once");
        assert!(saver.is_due(&config, 61_001 + CHECKPOINT_RETRY_MS, 10));
    }
}
