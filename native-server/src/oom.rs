//! How soon the system ends this process when it lacks memory: `oom-score-adj`.

use std::sync::{Mutex, PoisonError};
use std::{fs, io};

use crate::config::Config;

const FILE: &str = "/proc/self/oom_score_adj";

/// What it was before the configuration asked for something else; nothing while it does not.
static BEFORE: Mutex<Option<i64>> = Mutex::new(None);

/// Where the system's range ends.
const SCORE_MAX: i64 = 1000;

/// Goes by what the configuration says. What it does not ask for is not touched.
///
/// # Errors
/// The system does not allow it.
pub fn apply(config: &Config) -> io::Result<()> {
    let mut before = BEFORE.lock().unwrap_or_else(PoisonError::into_inner);
    // Of a master; there are no replicas, nor processes that save.
    let [own, ..] = config.oom_score_adj_values;
    let score = match (config.oom_score_adj.as_str(), *before) {
        ("no", None) => return Ok(()),
        ("no", Some(first)) => {
            *before = None;
            first
        }
        (mode, first) => {
            let first = first.map_or_else(current, Ok)?;
            *before = Some(first);
            if mode == "absolute" { own } else { first + own }
        }
    };
    fs::write(FILE, score.clamp(-SCORE_MAX, SCORE_MAX).to_string())
}

fn current() -> io::Result<i64> {
    fs::read_to_string(FILE)?.trim().parse().map_err(io::Error::other)
}
