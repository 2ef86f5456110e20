//! How the server ends: by SHUTDOWN, or by a signal as `shutdown-on-sigterm` and
//! `shutdown-on-sigint` say.

use std::sync::Arc;

use crate::checkpoint::saver;
use crate::commands::Result;
use crate::server::Server;

/// What is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Ending {
    /// Whether a checkpoint is taken. If nobody says: where there are rules for them, or where what
    /// was answered is in no file.
    pub saves: Option<bool>,
    /// Not to wait for replicas, of which there are none.
    pub is_now: bool,
    /// Whether the server ends even if there can be no checkpoint.
    pub is_forced: bool,
}

impl Ending {
    /// Of these words. `None` if one of them is unknown, or contradicts another.
    pub fn read<'w>(words: impl Iterator<Item = &'w [u8]>) -> Option<Ending> {
        let mut ending = Ending::default();
        for word in words {
            match &word.to_ascii_lowercase()[..] {
                b"save" if ending.saves != Some(false) => ending.saves = Some(true),
                b"nosave" if ending.saves != Some(true) => ending.saves = Some(false),
                b"now" => ending.is_now = true,
                b"force" => ending.is_forced = true,
                _ => return None,
            }
        }
        Some(ending)
    }

    /// The words, as a setting has them.
    pub fn words(self) -> String {
        let words = [
            (self.saves == Some(true), "save"),
            (self.saves == Some(false), "nosave"),
            (self.is_now, "now"),
            (self.is_forced, "force"),
        ];
        let words: Vec<&str> = words.iter().filter_map(|(is, word)| is.then_some(*word)).collect();
        if words.is_empty() { "default".into() } else { words.join(" ") }
    }

    /// Ends the server. Nobody who asks for that may hold a database.
    ///
    /// # Errors
    /// There was to be a checkpoint, and there is none: the server goes on. The log says why.
    pub fn carry_out(self, server: &Arc<Server>) -> Result<()> {
        if self.saves == Some(false) {
            server.drop_all();
        }
        // What the log does not have a checkpoint must.
        let is_needed = || saver::saves_at_end(server) || server.persistence.lacks_answered();
        if self.saves.unwrap_or_else(is_needed)
            && saver::save_at_end(server).is_err()
            && !self.is_forced
        {
            return Err("ERR Errors trying to SHUTDOWN. Check logs.".into());
        }
        server.shut_down();
        Ok(())
    }
}
