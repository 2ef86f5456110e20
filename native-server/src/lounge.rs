//! Where the connections of a thread are served while the thread is taken by a script that runs for
//! long, or waits for a database that such a script holds.
//!
//! The event loop does not turn then. So whoever takes the thread calls [`serve`] now and then,
//! which reads what has come on each connection and runs it: commands that need a database are told
//! to wait, or that the server is busy (scripting/busy.rs); those that end the script are run.
//!
//! Invariant: a connection that is in the middle of something is left alone; and nothing here waits
//! for a lock of a database, which the thread itself may hold.

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::{Context as Task, Poll};

use tokio::sync::mpsc::UnboundedReceiver;

use crate::connection::{Connection, Over};
use crate::io_thread::IoThread;
use crate::persist::replies::Replies;
use crate::server::Server;
use crate::socket::Visitor;
use crate::stats::ThreadStats;

thread_local! {
    static OWN: RefCell<Option<Rc<Lounge>>> = const { RefCell::new(None) };
}

/// The connections of one thread.
pub struct Lounge {
    server: Arc<Server>,
    thread: Rc<RefCell<IoThread>>,
    stats: Arc<ThreadStats>,
    replies: Rc<Replies>,
    guests: RefCell<Vec<Weak<RefCell<Connection>>>>,
    visitors: RefCell<UnboundedReceiver<Visitor>>,
    /// What commands are run with that are run here.
    spare: RefCell<Option<Box<IoThread>>>,
    is_serving: Cell<bool>,
}

impl Lounge {
    /// The lounge of this thread, which these visitors come to.
    pub fn open(
        server: &Arc<Server>,
        thread: &Rc<RefCell<IoThread>>,
        visitors: UnboundedReceiver<Visitor>,
    ) -> Rc<Lounge> {
        let (stats, replies) = {
            let thread = thread.borrow();
            (Arc::clone(&thread.stats), Rc::clone(&thread.replies))
        };
        let lounge = Rc::new(Lounge {
            server: Arc::clone(server),
            thread: Rc::clone(thread),
            stats,
            replies,
            guests: RefCell::default(),
            visitors: RefCell::new(visitors),
            spare: RefCell::default(),
            is_serving: Cell::new(false),
        });
        OWN.with(|own| *own.borrow_mut() = Some(Rc::clone(&lounge)));
        lounge
    }

    /// The next visitor.
    pub fn poll_visitor(&self, task: &mut Task<'_>) -> Poll<Option<Visitor>> {
        self.visitors.borrow_mut().poll_recv(task)
    }

    /// A visitor becomes a connection that is served.
    pub fn admit(&self, visitor: Visitor) {
        let Some(connection) = Connection::new(&self.server, &self.thread, visitor) else { return };
        let connection = Rc::new(RefCell::new(connection));
        let mut guests = self.guests.borrow_mut();
        if guests.len() == guests.capacity() {
            guests.retain(|guest| guest.strong_count() > 0);
        }
        guests.push(Rc::downgrade(&connection));
        tokio::task::spawn_local(Served(connection));
    }

    fn serve(&self) {
        if self.is_serving.replace(true) {
            return;
        }
        loop {
            let visitor = self.visitors.borrow_mut().try_recv();
            let Ok(visitor) = visitor else { break };
            self.admit(visitor);
        }
        let mut spare = self.spare.borrow_mut();
        let spare = spare.get_or_insert_with(|| {
            Box::new(IoThread::new(&self.server, &self.stats, &self.replies))
        });
        let guests: Vec<_> = self.guests.borrow().iter().filter_map(Weak::upgrade).collect();
        for guest in guests {
            // Who is not free is the one whose command takes the thread.
            if let Ok(mut connection) = guest.try_borrow_mut() {
                connection.serve_aside(spare);
            }
        }
        self.is_serving.set(false);
    }
}

/// A connection that the event loop serves until it is over, and the lounge in between.
struct Served(Rc<RefCell<Connection>>);

impl Future for Served {
    type Output = ();

    fn poll(self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<()> {
        self.0.borrow_mut().turn(task).map(|Over| ())
    }
}

/// Serves the connections of this thread, if it has any and a script runs for long.
#[cold]
pub fn serve() {
    let lounge = OWN.with(|own| own.borrow().clone());
    if let Some(lounge) = lounge
        && lounge.server.gate.is_busy()
    {
        lounge.serve();
    }
}
