//! Clients as others see them: who is connected, and how one is told something.
//!
//! A connection is served by one thread and nobody else touches it. What others have to say to it
//! (a message, the reply of a command that was blocked, that it has to go) they leave with its
//! [`Client`], and wake it.
//!
//! Invariant: mail never exceeds the limits of the client's class; whoever does not fetch it is
//! dropped.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU16, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::task::Waker;

use atomic_waker::AtomicWaker;

use crate::acl::user::DEFAULT;
use crate::limits::OUTPUT_BYTES_MAX;
use crate::watch::Flag;

/// What a client may be told.
pub mod signal {
    /// There is mail.
    pub const MAIL: u32 = 1;
    /// It has to go.
    pub const KILL: u32 = 1 << 1;
    /// It is to stop waiting, as if its time were up.
    pub const TIMEOUT: u32 = 1 << 2;
    /// It is to stop waiting, with an error.
    pub const UNBLOCK: u32 = 1 << 3;
    /// Something that it may have waited for has changed: it looks again.
    pub const LOOK: u32 = 1 << 4;
}

/// What a client is at the moment, for CLIENT LIST: one letter each there.
pub mod state {
    /// It gets messages.
    pub const SUBSCRIBER: u32 = 1;
    /// It queues a transaction.
    pub const MULTI: u32 = 1 << 1;
    /// It is blocked.
    pub const BLOCKED: u32 = 1 << 2;
    /// It sees every command.
    pub const MONITOR: u32 = 1 << 3;
    /// It is not dropped for the memory it takes.
    pub const NO_EVICT: u32 = 1 << 4;
    /// It tracks keys.
    pub const TRACKING: u32 = 1 << 5;
    /// It is about to be closed.
    pub const CLOSING: u32 = 1 << 6;
    /// It speaks RESP3.
    pub const RESP3: u32 = 1 << 7;
    /// It is on this machine.
    pub const LOCAL: u32 = 1 << 8;
    /// It is connected no more.
    pub const GONE: u32 = 1 << 9;
    /// It tracks keys by their prefixes.
    pub const BROADCAST: u32 = 1 << 10;
    /// Whom it wanted told in its place has gone.
    pub const REDIRECT_BROKEN: u32 = 1 << 11;

    /// It came by the socket that is a file.
    pub const UNIX: u32 = 1 << 12;

    /// What it does does not count as a use of keys.
    pub const NO_TOUCH: u32 = 1 << 13;

    /// The command that it runs, or that waits, is not to be answered.
    pub const MUTED: u32 = 1 << 14;

    /// It waits, and not for ever.
    pub const TIMED: u32 = 1 << 15;

    /// A key that it watches has changed.
    pub const DIRTY: u32 = 1 << 16;

    /// Somebody who tracks has had it told in their place.
    pub const TARGET: u32 = 1 << 17;

    /// The letters, as Redis has them, in its order.
    pub const LETTERS: [(u32, char); 12] = [
        (MONITOR, 'O'),
        (SUBSCRIBER, 'P'),
        (MULTI, 'x'),
        (BLOCKED, 'b'),
        (TRACKING, 't'),
        (REDIRECT_BROKEN, 'R'),
        (BROADCAST, 'B'),
        (DIRTY, 'd'),
        (CLOSING, 'c'),
        (UNIX, 'U'),
        (NO_EVICT, 'e'),
        (NO_TOUCH, 'T'),
    ];
}

/// What is kept for a client: which of its [`kept_bytes`](Client::kept_bytes) counts what.
pub mod kept {
    /// Commands that it has queued.
    pub const QUEUED: usize = 0;
    /// Keys that it watches.
    pub const WATCHED: usize = 1;
    /// Channels and patterns that it listens to.
    pub const CHANNELS: usize = 2;
    /// Prefixes of keys that it tracks.
    pub const PREFIXES: usize = 3;
    /// About what a thing takes beside its bytes, where it is found by them.
    pub const EACH: usize = 128;
}

/// About what a client takes that is doing nothing: what is here and what its connection has.
const IDLE_BYTES: u64 = 2048;

/// What a client says of itself.
#[derive(Clone, Default)]
pub struct Names {
    /// CLIENT SETNAME.
    pub name: String,
    /// CLIENT SETINFO LIB-NAME.
    pub library: String,
    /// CLIENT SETINFO LIB-VER.
    pub library_version: String,
}

/// A connected client.
pub struct Client {
    /// Its number, which no other ever has.
    pub id: u64,
    /// Its address.
    pub address: String,
    /// The address it connected to.
    pub local_address: String,
    /// When it came.
    pub born_ms: i64,
    /// The number of its socket.
    pub descriptor: i32,
    /// When it last sent something.
    pub seen_ms: AtomicI64,
    /// The number of its last command.
    pub last_command: AtomicU16,
    /// Its database.
    pub database: AtomicUsize,
    /// See [`state`].
    pub state: AtomicU32,
    /// Commands that it has queued.
    pub queued: AtomicUsize,
    /// Who is told of the keys that it tracks: 0 for itself, -1 if it tracks none.
    pub redirect: AtomicI64,
    /// Keys that it watches.
    pub watches: AtomicUsize,
    /// Channels, patterns and shard channels it listens to.
    pub subscriptions: [AtomicUsize; 3],
    /// Bytes of output that wait to be sent.
    pub output_bytes: AtomicUsize,
    /// Bytes of input that wait to be run.
    pub input_bytes: AtomicUsize,
    /// Bytes of what is kept for it, see [`kept`].
    pub kept_bytes: [AtomicUsize; 4],
    /// All its bytes, as they were noted last (crowd.rs).
    pub noted_bytes: AtomicU64,
    /// Bytes that it has sent and was sent.
    pub total_bytes: [AtomicU64; 2],
    names: Mutex<Names>,
    user: Mutex<Arc<[u8]>>,
    waker: AtomicWaker,
    signals: AtomicU32,
    mail: Mutex<Mail>,
    /// Raised when a key that it watches has changed.
    watch: Mutex<Option<Flag>>,
}

/// What others left for a client.
#[derive(Default)]
struct Mail {
    bytes: Vec<u8>,
    /// The log must be durable up to here before it may be sent.
    logged_to: u64,
}

impl Client {
    /// A client that has just come.
    pub fn new(id: u64, address: String, local_address: String, born_ms: i64, fd: i32) -> Client {
        Client {
            id,
            address,
            local_address,
            born_ms,
            descriptor: fd,
            seen_ms: AtomicI64::new(born_ms),
            last_command: AtomicU16::new(u16::MAX),
            database: AtomicUsize::new(0),
            state: AtomicU32::new(0),
            queued: AtomicUsize::new(0),
            redirect: AtomicI64::new(-1),
            watches: AtomicUsize::new(0),
            subscriptions: Default::default(),
            output_bytes: AtomicUsize::new(0),
            input_bytes: AtomicUsize::new(0),
            kept_bytes: Default::default(),
            noted_bytes: AtomicU64::new(0),
            total_bytes: Default::default(),
            names: Mutex::default(),
            user: Mutex::new(DEFAULT.into()),
            waker: AtomicWaker::new(),
            signals: AtomicU32::new(0),
            mail: Mutex::default(),
            watch: Mutex::default(),
        }
    }

    /// Its address as MONITOR shows it.
    pub fn watched_address(&self) -> Cow<'_, str> {
        match self.address.strip_suffix(":0") {
            Some(path) if self.is(state::UNIX) => format!("unix:{path}").into(),
            _ => (&*self.address).into(),
        }
    }

    /// What it says of itself.
    pub fn names(&self) -> MutexGuard<'_, Names> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The name of the user that it is.
    pub fn user(&self) -> Arc<[u8]> {
        Arc::clone(&self.user.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// It is another user.
    pub fn set_user(&self, name: &[u8]) {
        *self.user.lock().unwrap_or_else(PoisonError::into_inner) = name.into();
    }

    /// It watches keys by this flag, or none.
    pub fn set_watch(&self, flag: Option<&Flag>) {
        *self.watch.lock().unwrap_or_else(PoisonError::into_inner) = flag.cloned();
    }

    /// Notes whether a key that it watches has changed, for who looks at its state.
    pub fn note_watch(&self) {
        let watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
        let is_dirty = watch.as_ref().is_some_and(|flag| flag.load(Ordering::Relaxed));
        self.set(state::DIRTY, is_dirty);
    }

    /// Tells it something.
    pub fn signal(&self, what: u32) {
        self.signals.fetch_or(what, Ordering::AcqRel);
        self.waker.wake();
    }

    /// Leaves output for it. Too much of it, and it has to go.
    pub fn send(&self, bytes: &[u8]) {
        self.send_after(0, bytes);
    }

    /// The same for output that tells of a change: it is not sent before the log is durable up to
    /// a position, where the log is asked for that.
    pub fn send_after(&self, logged_to: u64, bytes: &[u8]) {
        let mut mail = self.mail.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = mail.bytes.len() + self.output_bytes.load(Ordering::Relaxed);
        if waiting + bytes.len() > OUTPUT_BYTES_MAX {
            drop(mail);
            self.signal(signal::KILL);
            return;
        }
        mail.bytes.extend_from_slice(bytes);
        mail.logged_to = mail.logged_to.max(logged_to);
        drop(mail);
        self.signal(signal::MAIL);
    }

    /// Moves its mail behind what is in `output`. The position in the log that it waits for.
    pub fn fetch_mail(&self, output: &mut Vec<u8>) -> u64 {
        let mut mail = self.mail.lock().unwrap_or_else(PoisonError::into_inner);
        let Mail { bytes, logged_to } = std::mem::take(&mut *mail);
        output.extend_from_slice(&bytes);
        logged_to
    }

    /// About what it takes of memory.
    pub fn memory_bytes(&self) -> u64 {
        let mail = self.mail.lock().unwrap_or_else(PoisonError::into_inner).bytes.len();
        let buffers = [&self.input_bytes, &self.output_bytes].into_iter().chain(&self.kept_bytes);
        let buffers: usize = buffers.map(|bytes| bytes.load(Ordering::Relaxed)).sum();
        IDLE_BYTES + (mail + buffers) as u64
    }

    /// What it was told since it was last asked.
    #[inline]
    pub fn take_signals(&self) -> u32 {
        match self.signals.load(Ordering::Relaxed) {
            0 => 0,
            _ => self.signals.swap(0, Ordering::AcqRel),
        }
    }

    /// Who is woken when it is told something.
    pub fn register(&self, waker: &Waker) {
        self.waker.register(waker);
    }

    /// Whether it is in this [`state`].
    pub fn is(&self, what: u32) -> bool {
        self.state.load(Ordering::Relaxed) & what != 0
    }

    /// It is in this [`state`], or no more.
    pub fn set(&self, what: u32, is_so: bool) {
        if is_so {
            self.state.fetch_or(what, Ordering::Relaxed);
        } else {
            self.state.fetch_and(!what, Ordering::Relaxed);
        }
    }
}

/// Everyone who is connected.
#[derive(Default)]
pub struct Clients {
    by_id: RwLock<BTreeMap<u64, Arc<Client>>>,
    last_id: AtomicU64,
}

impl Clients {
    /// A number for somebody who comes.
    pub fn next_id(&self) -> u64 {
        self.last_id.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.by_id.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Somebody comes. False, and they are not let in, if there are `max` already.
    pub fn enter(&self, client: &Arc<Client>, max: usize) -> bool {
        let mut by_id = self.by_id.write().unwrap_or_else(PoisonError::into_inner);
        let is_room = by_id.len() < max;
        if is_room {
            by_id.insert(client.id, Arc::clone(client));
        }
        is_room
    }

    /// Somebody has gone.
    pub fn leave(&self, id: u64) {
        let gone = self.by_id.write().unwrap_or_else(PoisonError::into_inner).remove(&id);
        if let Some(client) = gone {
            client.set(state::GONE, true);
        }
    }

    /// Who has this number.
    pub fn get(&self, id: u64) -> Option<Arc<Client>> {
        self.by_id.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }

    /// Everyone, in the order they came.
    pub fn all(&self) -> Vec<Arc<Client>> {
        self.by_id.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}
