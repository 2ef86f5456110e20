//! An I/O thread: an event loop, the connections that it serves, and the buffers they share.
//!
//! Invariant: only one connection of a thread is served at a time, and none keeps a shared buffer
//! when it is done: what is left over moves to a buffer of its own. So idle connections have none.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::sync::Arc;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;
use tokio::task::LocalSet;

use crate::config::Snapshot;
use crate::functions;
use crate::limits::READ_BYTES;
use crate::lounge::Lounge;
use crate::meter::Meter;
use crate::persist::replies::Replies;
use crate::server::Server;
use crate::socket::Visitor;
use crate::stats::ThreadStats;

/// What the connections of a thread share.
pub struct IoThread {
    /// What was just read.
    pub input: Box<[u8]>,
    /// For the next connection whose input needs a large buffer of its own.
    pub spare_input: Vec<u8>,
    /// Memory for the arguments of a request.
    pub arguments: Vec<&'static [u8]>,
    /// What is about to be sent.
    pub output: Vec<u8>,
    /// The configuration, as of when it was last looked at.
    pub config: Snapshot,
    /// Measures commands.
    pub meter: Meter,
    /// What it needs for functions.
    pub functions: functions::Thread,
    /// What the thread counts.
    pub stats: Arc<ThreadStats>,
    /// Connections whose replies wait for the disk.
    pub replies: Rc<Replies>,
}

impl IoThread {
    /// What a thread starts with.
    pub fn new(server: &Server, stats: &Arc<ThreadStats>, replies: &Rc<Replies>) -> IoThread {
        IoThread {
            input: vec![0; READ_BYTES].into(),
            spare_input: Vec::new(),
            arguments: Vec::new(),
            output: Vec::new(),
            config: server.config.snapshot(),
            meter: Meter::new(),
            functions: functions::Thread::default(),
            stats: Arc::clone(stats),
            replies: Rc::clone(replies),
        }
    }
}

/// An event loop for one thread.
///
/// # Errors
/// The system's.
pub fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_io().enable_time().build()
}

/// A thread cannot work: the server ends.
pub fn give_up(server: &Server, error: &io::Error) {
    server.log.warning(format_args!("a thread cannot work: {error}"));
    server.shut_down();
}

/// Serves every visitor until the server ends.
pub fn run(
    server: &Arc<Server>,
    stats: &Arc<ThreadStats>,
    visitors: mpsc::UnboundedReceiver<Visitor>,
) {
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => return give_up(server, &error),
    };
    let replies = Replies::new(&server.databases.log);
    let thread = Rc::new(RefCell::new(IoThread::new(server, stats, &replies)));
    let lounge = Lounge::open(server, &thread, visitors);
    let local = LocalSet::new();
    local.spawn_local(replies.tend());
    local.block_on(&runtime, async {
        let mut end = std::pin::pin!(server.ended());
        loop {
            let visitor = tokio::select! {
                () = &mut end => return,
                visitor = poll_fn(|task| lounge.poll_visitor(task)) => visitor,
            };
            let Some(visitor) = visitor else { return };
            lounge.admit(visitor);
        }
    });
}
