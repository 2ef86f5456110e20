//! Replies that wait for the disk: with `appendfsync always` what answers a write leaves only
//! when the write is durable.
//!
//! Each I/O thread has one of these and a task that looks after it. Connections leave the position
//! they wait for; the task runs when all that were ready have been served, and only then wakes the
//! log's thread: so all of them share one write.
//!
//! Invariant: whoever waits here is woken when its position is durable, and when the log fails.

use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, Waker};

use atomic_waker::AtomicWaker;

use crate::persist::log::Log;

/// See the module.
pub struct Replies {
    log: Arc<Log>,
    state: RefCell<State>,
}

#[derive(Default)]
struct State {
    waiting: Vec<(u64, Waker)>,
    /// The task, where it sleeps.
    task: Option<Waker>,
    /// Somebody came since the log's thread was woken last.
    is_new: bool,
}

impl Replies {
    /// For one thread.
    pub fn new(log: &Arc<Log>) -> Rc<Replies> {
        Rc::new(Replies { log: Arc::clone(log), state: RefCell::default() })
    }

    /// Somebody is woken when the log is durable up to a position.
    pub fn wait(&self, position: u64, waker: &Waker) {
        let mut state = self.state.borrow_mut();
        state.waiting.push((position, waker.clone()));
        state.is_new = true;
        if let Some(task) = state.task.take() {
            task.wake();
        }
    }

    /// Looks after those who wait, for as long as the thread lives.
    pub async fn tend(self: Rc<Replies>) {
        let listener = Arc::new(AtomicWaker::new());
        self.log.add_listener(Arc::clone(&listener));
        poll_fn(|task| {
            listener.register(task.waker());
            let durable = if self.log.has_failed() { u64::MAX } else { self.log.durable() };
            let mut state = self.state.borrow_mut();
            state.waiting.retain(|(position, waker)| {
                let is_over = *position <= durable;
                if is_over {
                    waker.wake_by_ref();
                }
                !is_over
            });
            if std::mem::take(&mut state.is_new) && !state.waiting.is_empty() {
                self.log.ring_for_waiting();
            }
            state.task = Some(task.waker().clone());
            Poll::<()>::Pending
        })
        .await;
    }
}
