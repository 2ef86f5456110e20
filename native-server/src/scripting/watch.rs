//! How long a script runs, and what becomes of one that runs for long.
//!
//! A script that has run for a quantum is shown to all: from then on commands wait, up to the
//! configured time, and are then told that the server is busy (busy.rs). The thread that runs it
//! serves its other connections in between (lounge.rs), as Redis does.
//!
//! Invariant: whoever asks between two steps of a script is told within a moment that it has to
//! end, if it has.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use crate::functions::host::{Kind, Running};
use crate::limits::scripting::{LOAD_MS_MAX, QUANTUM_MS};
use crate::lounge;
use crate::server::Server;

/// What a script is told that has to end.
pub const KILLED: &str = "Script killed by user with SCRIPT KILL...";

const QUANTUM: Duration = Duration::from_millis(QUANTUM_MS);

/// Words of a request that others see, and bytes of each.
const SHOWN_WORDS_MAX: usize = 32;
const SHOWN_BYTES_MAX: usize = 128;

/// Watches the scripts of one state, one after the other.
#[derive(Default)]
pub struct Watch {
    current: RefCell<Option<Current>>,
    /// Whether the script has changed anything.
    has_written: Cell<bool>,
    served: Cell<Option<Instant>>,
    /// Whether a script was told to end.
    has_ended: Cell<bool>,
}

enum Current {
    /// A script, on behalf of a client.
    Script {
        server: Arc<Server>,
        name: Arc<str>,
        kind: Kind,
        request: Vec<Vec<u8>>,
        started: Instant,
        shown: Option<Arc<Running>>,
    },
    /// The code of a library.
    Load { started: Instant },
}

impl Watch {
    /// A script begins.
    pub fn begin(&self, server: &Arc<Server>, name: &Arc<str>, kind: Kind, request: &[&[u8]]) {
        let shown = |word: &&[u8]| word.get(..SHOWN_BYTES_MAX).unwrap_or(word).to_vec();
        self.has_written.set(false);
        *self.current.borrow_mut() = Some(Current::Script {
            server: Arc::clone(server),
            name: Arc::clone(name),
            kind,
            request: request.iter().take(SHOWN_WORDS_MAX).map(shown).collect(),
            started: Instant::now(),
            shown: None,
        });
    }

    /// The code of a library begins.
    pub fn begin_load(&self) {
        *self.current.borrow_mut() = Some(Current::Load { started: Instant::now() });
    }

    /// The script has changed something, or is about to.
    pub fn note_write(&self) {
        if self.has_written.replace(true) {
            return;
        }
        if let Some(Current::Script { shown: Some(shown), .. }) = &*self.current.borrow() {
            shown.has_written.store(true, Relaxed);
        }
    }

    /// Whether it has.
    pub fn has_written(&self) -> bool {
        self.has_written.get()
    }

    /// It is over. Whether the server ends and wants nothing of it.
    pub fn end(&self) -> bool {
        let current = self.current.borrow_mut().take();
        self.served.set(None);
        let Some(Current::Script { server, shown: Some(shown), .. }) = current else {
            return false;
        };
        server.functions.hide(&shown);
        server.gate.set_busy(false);
        server.is_dropped()
    }

    /// Whether a script was told to end since this was last asked.
    pub fn take_ended(&self) -> bool {
        self.has_ended.take()
    }

    /// Whether the script may go on; others are served meanwhile.
    ///
    /// # Errors
    /// Why it may not.
    pub fn ask(&self) -> Result<(), String> {
        let outcome = self.look();
        if outcome.is_err() {
            self.has_ended.set(true);
        }
        outcome
    }

    fn look(&self) -> Result<(), String> {
        let shown = match &mut *self.current.borrow_mut() {
            None => return Ok(()),
            Some(Current::Load { started }) => {
                return match started.elapsed() >= Duration::from_millis(LOAD_MS_MAX) {
                    true => Err("FUNCTION LOAD timeout".into()),
                    false => Ok(()),
                };
            }
            Some(Current::Script { started, .. }) if started.elapsed() < QUANTUM => return Ok(()),
            Some(Current::Script { server, name, kind, request, started, shown }) => {
                let shown = shown.get_or_insert_with(|| {
                    let running = Running::script(name, *kind, std::mem::take(request), *started);
                    running.has_written.store(self.has_written.get(), Relaxed);
                    server.functions.add(&running);
                    server.gate.set_busy(true);
                    running
                });
                // A server that ends waits for what has written, unless that is not wanted.
                if server.is_dropped() || server.is_ending() && !self.has_written.get() {
                    return Err(KILLED.into());
                }
                Arc::clone(shown)
            }
        };
        let is_time = self.served.get().is_none_or(|served| served.elapsed() >= QUANTUM);
        if is_time {
            lounge::serve();
            self.served.set(Some(Instant::now()));
        }
        if shown.is_killed.load(Relaxed) { Err(KILLED.into()) } else { Ok(()) }
    }
}
