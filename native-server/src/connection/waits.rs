//! What a connection waits for: to be served by others, the end of a pause, the log.
//!
//! Invariant: whatever is waited for has been looked at since it began, by which the connection is
//! woken when it is over.

use std::future::Future;
use std::rc::Rc;
use std::task::Context as Task;

use tokio::time::Instant;

use super::Connection;
use crate::client::state;
use crate::resp::wire::Wire;

const UNBLOCKED: &str = "UNBLOCKED client unblocked via CLIENT UNBLOCK";

impl Connection {
    /// Looks at all of it. What comes behind a command that waits no more is run at once, and may
    /// wait for something else.
    pub(super) fn look_at_waits(&mut self, task: &mut Task<'_>) {
        loop {
            self.has_resumed = false;
            self.look_at_blocked(task);
            self.look_at_pause(task);
            self.look_at_log_wait(task);
            if !self.has_resumed {
                return;
            }
        }
    }

    /// A command that waits was served, or its time is up: what came meanwhile is run.
    fn look_at_blocked(&mut self, task: &mut Task<'_>) {
        let Some(blocked) = &self.session.blocked else { return };
        if let Some(until) = blocked.until
            && !blocked.ticket.is_done()
        {
            let sleep = || Box::pin(tokio::time::sleep_until(Instant::from_std(until)));
            if self.timer.get_or_insert_with(sleep).as_mut().poll(task).is_ready() {
                self.unblock(false);
            }
        }
        if self.session.blocked.as_ref().is_some_and(|blocked| blocked.ticket.is_done()) {
            // Its reply is in the mail, if it is not here yet.
            self.fetch_mail();
            self.resume();
        }
    }

    /// A pause may be over. What it held up may be held up again.
    fn look_at_pause(&mut self, task: &mut Task<'_>) {
        while let Some(until) = self.session.paused_until {
            let sleep = || Box::pin(tokio::time::sleep_until(Instant::from_std(until)));
            let is_over = self.timer.get_or_insert_with(sleep).as_mut().poll(task).is_ready();
            if !is_over && self.server.gate.current_pause().is_some() {
                return;
            }
            self.session.paused_until = None;
            self.resume();
        }
    }

    /// WAITAOF may be over.
    fn look_at_log_wait(&mut self, task: &mut Task<'_>) {
        let Some(wait) = self.session.log_wait else { return };
        let log = &self.server.databases.log;
        let mut is_over = wait.is_over(log);
        if let Some(until) = wait.until
            && !is_over
        {
            let sleep = || Box::pin(tokio::time::sleep_until(Instant::from_std(until)));
            is_over = self.timer.get_or_insert_with(sleep).as_mut().poll(task).is_ready();
        }
        if is_over {
            let mut unwanted = Vec::new();
            let is_muted = self.session.client.is(state::MUTED);
            let output = if is_muted { &mut unwanted } else { &mut self.output };
            let mut wire = Wire::new(output, self.session.protocol);
            wait.answer(&self.server.databases.log, &mut wire);
            self.session.log_wait = None;
            self.resume();
        } else if !wait.is_in_vain {
            self.thread.borrow().replies.wait(wait.position, task.waker());
        }
    }

    /// A command waits no more, and gets nothing, unless it was just served.
    pub(super) fn unblock(&mut self, with_error: bool) {
        let Some(blocked) = &self.session.blocked else { return };
        {
            let mut held = self.server.databases.hold();
            let database = held.get(blocked.ticket.database);
            if blocked.ticket.is_done() || blocked.ticket.is_patient() {
                return;
            }
            database.waiting.remove(&blocked.ticket);
        }
        let mut unwanted = Vec::new();
        let is_muted = self.session.client.is(state::MUTED);
        let output = if is_muted { &mut unwanted } else { &mut self.output };
        let mut wire = Wire::new(output, self.session.protocol);
        if with_error {
            wire.error_text(UNBLOCKED);
            let command = blocked.ticket.command;
            self.thread.borrow().stats.count_failure(command, UNBLOCKED.as_bytes());
        } else {
            (blocked.timeout)(&mut wire);
        }
        self.resume();
    }

    fn resume(&mut self) {
        self.has_resumed = true;
        self.session.blocked = None;
        self.session.client.set(state::BLOCKED | state::MUTED | state::TIMED, false);
        self.timer = None;
        let input = std::mem::take(&mut self.input);
        let thread = Rc::clone(&self.thread);
        self.work(&mut thread.borrow_mut(), &input);
    }
}
