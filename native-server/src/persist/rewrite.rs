//! Checkpoints as the log sees them: what stands before one is needed no more, and one makes a log
//! whole that has failed.
//!
//! Invariant: nothing of the log is forgotten before the checkpoint that has it is on the disk.

use std::sync::Arc;
use std::time::Instant;

use crate::checkpoint::{self, CheckpointError, Saved, saver};
use crate::config::Config;
use crate::limits::{CHECKPOINT_RETRY_MS, REWRITE_RETRY_MS};
use crate::persist::log::{Fsync, Request, Trouble};
use crate::persist::{OpenError, Persistence, policy};
use crate::server::Server;

impl Persistence {
    /// Writes a checkpoint of everything, and waits for it. The log is then cut off behind it.
    ///
    /// # Errors
    /// Why there is none. The log goes on as it was.
    pub fn checkpoint(&self, server: &Server) -> checkpoint::Result<Saved> {
        let began = Instant::now();
        let outcome = self.save(server);
        if let Err(why) = &outcome {
            self.log.lose_again();
            self.doubt(why);
        }
        let mut state = self.state();
        let figures = &mut state.figures;
        figures.rewrite_failed = outcome.is_err();
        figures.rewrite_seconds = Some(began.elapsed().as_secs());
        if let Ok(saved) = &outcome {
            figures.base_position = saved.log_position;
            figures.base_bytes = saved.bytes;
            state.anew = state.anew.filter(|anew| saved.log_position < *anew);
            self.log.ask(Request::Restart(saved.log_position));
            self.log.ask(Request::Forget(saved.log_position));
        }
        outcome
    }

    fn save(&self, server: &Server) -> checkpoint::Result<Saved> {
        // Without a log it is the first that is written there.
        let claim = self.claim().map_err(|why| CheckpointError::Directory(why.to_string()))?;
        let at = || self.log.keep_again();
        let extra = || server.functions.payload();
        checkpoint::save(&server.databases, &claim.directory, at, extra)
    }

    /// There is no checkpoint, after all. A log that began without one is worth nothing then, and
    /// nobody must be told that it has something.
    fn doubt(&self, why: &CheckpointError) {
        if self.state().anew.is_some() && !self.log.has_failed() {
            let why = format!("the log began without a checkpoint, and none can be written: {why}");
            self.log.set_trouble(Some(Trouble::Failed(why)));
            self.log.bell.ring();
        }
    }

    /// Begins a checkpoint on a thread of its own, or notes that one is wanted after the one that
    /// is being written. What there is to answer.
    ///
    /// # Errors
    /// Why none is begun.
    pub fn rewrite_in_background(&self, server: &Arc<Server>) -> Result<&'static str, String> {
        let begun = saver::save_in_background(server, true)?;
        Ok(match begun.ends_with("started") {
            true => "Background append only file rewriting started",
            false => "Background append only file rewriting scheduled",
        })
    }

    /// Goes by what `appendfsync` says now.
    pub fn set_policy(&self, config: &Config) {
        self.log.set_policy(policy(config));
    }

    /// Begins to log, or ends it, as `appendonly` says now. Nobody who asks for that may hold a
    /// database.
    ///
    /// # Errors
    /// Why it cannot be.
    pub fn switch(&self, server: &Arc<Server>, config: &Config) -> Result<(), String> {
        let _switching = self.switching();
        match (config.appendonly, self.log.is_on()) {
            (true, false) => self.turn_on(server).map_err(|why| why.to_string()),
            (false, true) => {
                self.turn_off(server);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Begins a log of what changes from now on, and a checkpoint of what is there. Until that is
    /// whole the new log is worth nothing, and a start goes by the old files: so nothing of it
    /// counts as durable before, and writes are refused if there can be none.
    fn turn_on(&self, server: &Arc<Server>) -> Result<(), OpenError> {
        self.claim()?;
        // Not where the old log has ended: what changed in between is in neither.
        let anew = self.position() + 1;
        self.begin_anew(server, anew)?;
        self.state().anew = Some(anew);
        let outcome = self.rewrite_in_background(server);
        if let Err(why) = outcome {
            self.turn_off(server);
            let directory = self.directory().display().to_string();
            return Err(OpenError::Begin { directory, why: std::io::Error::other(why) });
        }
        Ok(())
    }

    fn turn_off(&self, server: &Arc<Server>) {
        {
            let mut held = server.databases.hold();
            held.take_all();
            (0..server.databases.count()).for_each(|index| held.get(index).is_logged = false);
        }
        self.end_log();
        self.state().anew = None;
    }

    /// Whether something was answered that a start would not find: the log goes with a checkpoint
    /// that is not there yet, or cannot be written, and answers did not wait for it.
    pub fn lacks_answered(&self) -> bool {
        let is_behind = self.log.durable() < self.log.position();
        let waited = self.log.policy() == Fsync::Always;
        let is_stuck = self.log.trouble().is_some() && is_behind && !waited;
        self.log.is_on() && (is_stuck || self.state().anew.is_some())
    }

    /// What is done by the clock: changes that nobody waits for go to the disk as well, and a log
    /// that has grown is cut off.
    pub fn tick(&self, server: &Arc<Server>, config: &Config) {
        self.look_at_home();
        if self.log.waiting_bytes() > 0 {
            self.log.bell.ring();
        }
        if !self.log.is_on() || server.saver.is_running() {
            return;
        }
        let (figures, is_anew) = (self.figures(), self.state().anew.is_some());
        let rest_ms = if is_anew { CHECKPOINT_RETRY_MS } else { REWRITE_RETRY_MS };
        if figures.rewrite_failed && !server.saver.has_rested(server.clock.now_ms(), rest_ms) {
            return;
        }
        if is_anew && figures.rewrite_failed {
            // Somebody may have been quicker.
            let _ = self.rewrite_in_background(server);
            return;
        }
        if config.auto_aof_rewrite_percentage == 0 {
            return;
        }
        let grown = self.position().saturating_sub(figures.base_position);
        let size = figures.base_bytes + grown;
        let percentage = u64::try_from(config.auto_aof_rewrite_percentage).unwrap_or(u64::MAX);
        let is_grown = grown / 100 >= figures.base_bytes.max(100) / 100 * percentage / 100;
        if is_grown && size >= config.auto_aof_rewrite_min_size {
            // Somebody may have been quicker.
            let _ = self.rewrite_in_background(server);
        }
    }
}
