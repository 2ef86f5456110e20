//! Blocks on their way to the file: of bounded number, so that memory is bounded.
//!
//! Whoever puts a block in waits while the queue is full. That may be a command that changes a page
//! which is not written yet; it waits for the disk then, and all others of its database with it.
//! The walk through the pages leaves a part of the queue to commands, and waits outside of locks.
//!
//! Invariant: buffers come from a pool of fixed size, and go back there. Once the queue is closed
//! nobody waits any more, and what is put in is dropped.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use ferrite_engine::Pages;

use crate::checkpoint::format::Kind;
use crate::limits::{CHECKPOINT_BLOCK_BYTES, CHECKPOINT_BLOCKS_MAX, CHECKPOINT_WALK_BLOCKS_MAX};

/// What is to be a block.
pub struct Block {
    /// What it holds.
    pub kind: Kind,
    /// The database that it belongs to.
    pub database: u16,
    /// What it holds.
    pub bytes: Vec<u8>,
}

#[derive(Default)]
struct State {
    blocks: VecDeque<Block>,
    /// Buffers that are not in use.
    pool: Vec<Vec<u8>>,
    is_complete: bool,
    is_closed: bool,
    /// Times that a block had to wait.
    waits: u64,
}

/// Blocks that are not written yet.
#[derive(Default)]
pub struct Queue {
    state: Mutex<State>,
    has_changed: Condvar,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_while(&self, condition: impl Fn(&State) -> bool) -> MutexGuard<'_, State> {
        let guard = self.has_changed.wait_while(self.lock(), |state| condition(state));
        guard.unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a block in, and gives an empty buffer in its place.
    pub fn put(&self, block: Block) -> Vec<u8> {
        let is_full =
            |state: &State| state.blocks.len() >= CHECKPOINT_BLOCKS_MAX && !state.is_closed;
        let has_to_wait = is_full(&self.lock());
        let mut state = self.wait_while(is_full);
        state.waits += u64::from(has_to_wait);
        let mut buffer = state.pool.pop().unwrap_or_default();
        if state.is_closed {
            buffer = block.bytes;
        } else {
            state.blocks.push_back(block);
        }
        drop(state);
        self.has_changed.notify_all();
        buffer.clear();
        buffer
    }

    /// Takes the next block out, once there is one. `None` after the last.
    pub fn take(&self) -> Option<Block> {
        let mut state = self
            .wait_while(|state| state.blocks.is_empty() && !state.is_complete && !state.is_closed);
        if state.is_closed { None } else { state.blocks.pop_front() }
    }

    /// Takes a buffer back.
    pub fn give_back(&self, buffer: Vec<u8>) {
        self.lock().pool.push(buffer);
        self.has_changed.notify_all();
    }

    /// Waits until there is room for the walk through the pages.
    pub fn wait_for_room(&self) {
        let is_full =
            |state: &State| state.blocks.len() >= CHECKPOINT_WALK_BLOCKS_MAX && !state.is_closed;
        drop(self.wait_while(is_full));
    }

    /// Nothing more comes.
    pub fn complete(&self) {
        self.lock().is_complete = true;
        self.has_changed.notify_all();
    }

    /// Nothing more is written.
    pub fn close(&self) {
        self.lock().is_closed = true;
        self.has_changed.notify_all();
    }

    /// Whether nothing more is written.
    pub fn is_closed(&self) -> bool {
        self.lock().is_closed
    }

    /// Times that a block had to wait for room.
    pub fn waits(&self) -> u64 {
        self.lock().waits
    }
}

/// Makes blocks of the pieces of a database.
pub struct Sink {
    queue: Arc<Queue>,
    database: u16,
    bytes: Vec<u8>,
}

impl Sink {
    /// For the pieces of a database.
    pub fn new(queue: &Arc<Queue>, database: u16) -> Sink {
        Sink { queue: Arc::clone(queue), database, bytes: Vec::new() }
    }

    fn send(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        let block = Block { kind: Kind::Pieces, database: self.database, bytes };
        self.bytes = self.queue.put(block);
    }
}

impl Pages for Sink {
    fn piece(&mut self, head: &[u8], bytes: &[u8]) {
        if self.bytes.len() + head.len() + bytes.len() > CHECKPOINT_BLOCK_BYTES {
            self.send();
        }
        self.bytes.extend_from_slice(head);
        self.bytes.extend_from_slice(bytes);
    }
}

impl Drop for Sink {
    /// What is left goes with it.
    fn drop(&mut self) {
        if !self.bytes.is_empty() {
            self.send();
        }
    }
}
