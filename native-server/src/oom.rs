//! How soon the system ends this process when it lacks memory: `oom-score-adj`.

use std::sync::OnceLock;
use std::{fs, io};

use crate::config::Config;

const FILE: &str = "/proc/self/oom_score_adj";

/// What it was when the process began.
static FIRST: OnceLock<i64> = OnceLock::new();

/// Where the system's range ends.
const SCORE_MAX: i64 = 1000;

/// Goes by what the configuration says. Nothing is touched before it first asks for something.
///
/// # Errors
/// The system does not allow it.
pub fn apply(config: &Config) -> io::Result<()> {
    let is_wanted = config.oom_score_adj != "no";
    if !is_wanted && FIRST.get().is_none() {
        return Ok(());
    }
    let first = match FIRST.get() {
        Some(first) => *first,
        None => {
            let text = fs::read_to_string(FILE)?;
            let first = text.trim().parse().map_err(io::Error::other)?;
            *FIRST.get_or_init(|| first)
        }
    };
    // Of a master; there are no replicas, nor processes that save.
    let [own, ..] = config.oom_score_adj_values;
    let score = match config.oom_score_adj.as_str() {
        "no" => first,
        "absolute" => own,
        _ => first + own,
    };
    fs::write(FILE, score.clamp(-SCORE_MAX, SCORE_MAX).to_string())
}
