//! A session: what one connection has told the server, and what it is in the middle of.
//!
//! Invariant: only the thread of its connection touches it; what others may see is its [`Client`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use ferrite_engine::Reply;

use crate::acl::Login;
use crate::client::{Client, kept, state};
use crate::commands::Command;
use crate::persist::log::Log;
use crate::resp::wire::{Protocol, Wire};
use crate::waiting::Ticket;
use crate::watch::Flag;

/// Which replies are wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Replies {
    /// All of them.
    #[default]
    On,
    /// None.
    Off,
    /// Not that of this command, and not that of the next.
    SkipNext,
    /// Not that of this command.
    Skip,
}

/// A command that waits for EXEC.
pub struct Queued {
    /// The command.
    pub command: &'static Command,
    /// Its arguments, the name included.
    pub arguments: Vec<Box<[u8]>>,
}

/// What MULTI began.
#[derive(Default)]
pub struct Transaction {
    /// The commands so far.
    pub queue: Vec<Queued>,
    /// Bytes of their arguments.
    pub bytes: usize,
    /// A command was refused: EXEC will be, too.
    pub is_refused: bool,
}

/// What WATCH asked for.
#[derive(Default)]
pub struct Watch {
    /// Raised when one of the keys has changed.
    pub flag: Flag,
    /// The keys, each with its database.
    pub keys: Vec<(usize, Box<[u8]>)>,
}

/// A command that waits.
pub struct Blocked {
    /// What it left with its keys.
    pub ticket: Arc<Ticket>,
    /// When it gives up.
    pub until: Option<Instant>,
    /// What it then answers.
    pub timeout: fn(&mut Wire<'_>),
}

/// A client that waits for the log.
#[derive(Clone, Copy)]
pub struct LogWait {
    /// Up to where it is to be durable.
    pub position: u64,
    /// Whether that is asked for at all.
    pub is_local: bool,
    /// Whether replicas are to have it as well, of which there are none.
    pub is_in_vain: bool,
    /// When the client gives up.
    pub until: Option<Instant>,
}

impl LogWait {
    fn is_durable(&self, log: &Log) -> bool {
        log.is_on() && log.durable() >= self.position
    }

    /// Whether there is nothing to wait for, or it never comes.
    pub fn is_over(&self, log: &Log) -> bool {
        log.has_failed() || !self.is_in_vain && (!self.is_local || self.is_durable(log))
    }

    /// Answers how many have it: this server, and its replicas.
    pub fn answer(&self, log: &Log, wire: &mut Wire<'_>) {
        wire.array(2);
        wire.integer((self.is_durable(log) && !log.has_failed()).into());
        wire.integer(0);
    }
}

/// What one connection is in the middle of.
pub struct Session {
    /// How others see it.
    pub client: Arc<Client>,
    /// The database it is in.
    pub database: usize,
    /// What it speaks.
    pub protocol: Protocol,
    /// Who it is.
    pub login: Login,
    /// Whether it said the password, or need not.
    pub is_authenticated: bool,
    /// Which replies it wants.
    pub replies: Replies,
    /// What MULTI began.
    pub transaction: Option<Transaction>,
    /// What WATCH asked for.
    pub watch: Option<Watch>,
    /// Channels, patterns and shard channels that it listens to, each with its place in the order
    /// in which they came.
    pub subscriptions: [BTreeMap<Box<[u8]>, u64>; 3],
    /// The next such place.
    pub next_subscription: u64,
    /// What CLIENT CACHING said of the next command.
    pub caches_next: Option<bool>,
    /// A pause holds it up, until then.
    pub paused_until: Option<Instant>,
    /// A command that waits.
    pub blocked: Option<Blocked>,
    /// It waits for the log.
    pub log_wait: Option<LogWait>,
    /// The position in the log behind its last change.
    pub logged_to: u64,
    /// Whom the command that runs named, with a wrong password.
    pub denied: Option<Vec<u8>>,
    /// It has just changed the configuration, by which the next command is to go.
    pub is_reconfigured: bool,
    /// The batch has gathered so much that it is to be sent before the next command.
    pub has_much_to_send: bool,
    /// Replies that one batch may gather: beyond that the client is dropped.
    pub output_bytes_max: usize,
    /// It was, and gets nothing more.
    pub is_dropped: bool,
    /// Nothing more is read, and the connection closed once all is sent.
    pub is_closing: bool,
}

impl Session {
    /// A session that begins.
    pub fn new(client: Arc<Client>, login: Login) -> Session {
        let is_authenticated = login.user.is_on && login.user.has_no_password;
        Session {
            client,
            login,
            database: 0,
            protocol: Protocol::Resp2,
            is_authenticated,
            replies: Replies::On,
            transaction: None,
            watch: None,
            subscriptions: Default::default(),
            next_subscription: 0,
            caches_next: None,
            paused_until: None,
            blocked: None,
            denied: None,
            log_wait: None,
            logged_to: 0,
            is_reconfigured: false,
            has_much_to_send: false,
            output_bytes_max: usize::MAX,
            is_dropped: false,
            is_closing: false,
        }
    }

    /// Whether a command may be run at once, without a look at what the session is in.
    #[inline]
    pub fn is_plain(&self) -> bool {
        self.is_authenticated
            && self.login.is_unrestricted
            && self.transaction.is_none()
            && self.replies == Replies::On
            && !self.client.is(state::SUBSCRIBER | state::NO_TOUCH | state::TARGET)
    }

    /// Whether nothing more is run for now.
    #[inline]
    pub fn is_held_up(&self) -> bool {
        self.blocked.is_some() || self.paused_until.is_some() || self.log_wait.is_some()
    }

    /// Whether the batch ends with the command that was run last.
    #[inline]
    pub fn ends_batch(&self) -> bool {
        self.is_held_up() || self.is_closing || self.is_reconfigured || self.has_much_to_send
    }

    /// Changes the database.
    pub fn select(&mut self, database: usize) {
        self.database = database;
        self.client.database.store(database, Ordering::Relaxed);
    }

    /// Becomes a user.
    pub fn become_user(&mut self, login: Login) {
        self.client.set_user(&login.user.name);
        self.login = login;
        self.is_authenticated = true;
    }

    /// Changes the protocol.
    pub fn speak(&mut self, protocol: Protocol) {
        self.protocol = protocol;
        self.client.set(state::RESP3, protocol == Protocol::Resp3);
    }

    /// Begins a transaction, or ends it.
    pub fn set_transaction(&mut self, transaction: Option<Transaction>) {
        self.client.set(state::MULTI, transaction.is_some());
        self.client.queued.store(0, Ordering::Relaxed);
        self.client.kept_bytes[kept::QUEUED].store(0, Ordering::Relaxed);
        self.transaction = transaction;
    }

    /// A command was refused: a transaction that is being queued is, too.
    pub fn refuse_transaction(&mut self) {
        if let Some(transaction) = &mut self.transaction {
            transaction.is_refused = true;
        }
    }

    /// Whether a watched key has changed.
    pub fn is_dirty(&self) -> bool {
        self.watch.as_ref().is_some_and(|watch| watch.flag.load(Ordering::Relaxed))
    }
}
