//! Memory made ahead while keyspaces are filled at a start.
//!
//! Half of the time in which a log is replayed would go into memory that the system hands out page
//! by page, when it is touched first. Another thread touches it.
//!
//! Invariant: what is made ahead is bounded, and what is left of it is given back at the end. Where
//! there is no thread to be had, or it is late, the engine asks the allocator as ever.
//! Not here: keyspaces with a budget, against which it would count.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use ferrite_engine::{Keyspace, SpareSegment};

use crate::limits::{SUPPLY_BATCHES_MAX, SUPPLY_SEGMENTS};

/// See the module.
pub struct Supply {
    batches: Receiver<Vec<SpareSegment>>,
}

impl Supply {
    /// Begins to make memory, if there is a thread to be had.
    pub fn begin() -> Option<Supply> {
        let (batches, arriving) = sync_channel(SUPPLY_BATCHES_MAX);
        let thread = thread::Builder::new().name("ferrite-supply".into());
        // It ends when nobody takes anything any more.
        thread.spawn(move || make(&batches)).ok()?;
        Some(Supply { batches: arriving })
    }

    /// Gives a keyspace some of it, if there is any and little is left of what it was given.
    #[inline]
    pub fn refill(&self, keys: &mut Keyspace) {
        if keys.supplied() < SUPPLY_SEGMENTS
            && let Ok(batch) = self.batches.try_recv()
        {
            keys.supply(batch);
        }
    }
}

fn make(batches: &SyncSender<Vec<SpareSegment>>) {
    loop {
        let batch: Vec<_> = (0..SUPPLY_SEGMENTS).map_while(|_| SpareSegment::new()).collect();
        if batch.is_empty() || batches.send(batch).is_err() {
            return;
        }
    }
}
