//! What may stand before every command: somebody who watches them all, a pause, a reason to refuse
//! writes, and no memory.
//!
//! Invariant: while none of these is there, one look at one number is all that a command pays.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::client::Client;
use crate::resp::inline;

/// Which commands a pause holds up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pause {
    /// When it ends.
    pub until: Instant,
    /// Only those that may change something.
    pub is_for_writes: bool,
}

#[derive(Default)]
struct State {
    monitors: BTreeMap<u64, Arc<Client>>,
    pause: Option<Pause>,
    /// Why writes are refused, by who says so.
    refusals: BTreeMap<&'static str, Cow<'static, str>>,
    is_starved: bool,
    /// The log has more to write than is good.
    is_crowded: bool,
    /// Scripts that run for long.
    busy: u32,
}

/// How long a write is held up until it is looked whether the log has caught up.
const CROWDED_PAUSE: Duration = Duration::from_millis(5);

/// See the module.
#[derive(Default)]
pub struct Gate {
    state: Mutex<State>,
    reasons: AtomicU32,
    is_busy: AtomicBool,
}

impl Gate {
    /// Whether there is anything to look at.
    #[inline]
    pub fn is_closed(&self) -> bool {
        self.reasons.load(Ordering::Relaxed) != 0
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.lock();
        let outcome = change(&mut state);
        let State { monitors, pause, refusals, is_starved, is_crowded, busy } = &*state;
        self.is_busy.store(*busy > 0, Ordering::Relaxed);
        let others = [pause.is_some(), *is_starved, *is_crowded, *busy > 0].map(usize::from);
        let others: usize = others.into_iter().sum();
        let reasons = monitors.len() + refusals.len() + others;
        self.reasons.store(reasons as u32, Ordering::Relaxed);
        outcome
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether `maxmemory` is so small that nothing may take memory.
    pub fn set_starved(&self, is_starved: bool) {
        self.change(|state| state.is_starved = is_starved);
    }

    /// Whether the log has so much to write that nothing more may be written for now.
    pub fn set_crowded(&self, is_crowded: bool) {
        self.change(|state| state.is_crowded = is_crowded);
    }

    /// A script runs for long, or does no longer.
    pub fn set_busy(&self, begins: bool) {
        self.change(|state| match begins {
            true => state.busy += 1,
            false => state.busy = state.busy.saturating_sub(1),
        });
    }

    /// Whether a script runs for long: no database may be waited for.
    #[inline]
    pub fn is_busy(&self) -> bool {
        self.is_busy.load(Ordering::Relaxed)
    }

    /// Somebody watches every command.
    pub fn add_monitor(&self, client: &Arc<Client>) {
        self.change(|state| state.monitors.insert(client.id, Arc::clone(client)));
    }

    /// They no longer do.
    pub fn remove_monitor(&self, client: &Client) {
        if self.is_closed() {
            self.change(|state| state.monitors.remove(&client.id));
        }
    }

    /// Holds up commands.
    pub fn pause(&self, pause: Pause) {
        self.change(|state| {
            // A pause that is there is never made shorter, nor milder.
            let merged = match state.pause {
                Some(other) => Pause {
                    until: other.until.max(pause.until),
                    is_for_writes: other.is_for_writes && pause.is_for_writes,
                },
                None => pause,
            };
            state.pause = Some(merged);
        });
    }

    /// Ends the pause.
    pub fn resume(&self) {
        self.change(|state| state.pause = None);
    }

    /// The pause there is at this moment.
    pub fn current_pause(&self) -> Option<Pause> {
        let (pause, is_crowded) = {
            let state = self.lock();
            (state.pause, state.is_crowded || state.busy > 0)
        };
        let now = Instant::now();
        match pause {
            Some(pause) if pause.until > now => return Some(pause),
            Some(_) => self.resume(),
            None => {}
        }
        is_crowded.then(|| Pause { until: now + CROWDED_PAUSE, is_for_writes: true })
    }

    /// Whether clients are paused, so that the keys have to stay as they are.
    pub fn is_paused(&self) -> bool {
        self.is_closed() && self.current_pause().is_some()
    }

    /// Somebody wants writes refused, with this line, or no longer. Whether they did before.
    pub fn refuse_writes(&self, who: &'static str, line: Option<Cow<'static, str>>) -> bool {
        let before = self.change(|state| match line {
            Some(line) => state.refusals.insert(who, line),
            None => state.refusals.remove(who),
        });
        before.is_some()
    }

    /// Why writes are refused.
    pub fn refusal(&self) -> Option<Cow<'static, str>> {
        self.lock().refusals.values().next().cloned()
    }

    /// Shows a command to those who watch.
    pub fn show(&self, now_us: i64, database: usize, address: &str, request: &[&[u8]]) {
        let state = self.lock();
        if state.monitors.is_empty() {
            return;
        }
        let (seconds, us) = (now_us / 1_000_000, now_us % 1_000_000);
        let mut line = format!("+{seconds}.{us:06} [{database} {address}]");
        for argument in request {
            line.push(' ');
            inline::quote(&mut line, argument);
        }
        line.push_str("\r\n");
        state.monitors.values().for_each(|client| client.send(line.as_bytes()));
    }
}
