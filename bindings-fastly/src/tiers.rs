//! Values that cost a request to the origin, kept in two tiers in front of it: the memory of the
//! sandbox, and the cache of the POP, which all sandboxes there share.
//!
//! Invariant: a value stands in sandbox memory no longer than `sandbox_age_max`, and never beyond
//! its time to live; so a purge that happened elsewhere is seen within that time.
//! Invariant: the POP's cache is a help, not a need. Where it refuses or fails the origin is asked,
//! and the caller is told why.
//! Not here: anything shared that would have to be atomic. The platform has no such thing.

use std::fmt;
use std::io::{Read, Write};
use std::time::Duration;

use fastly::cache::core::{CacheError, CacheKey, Found, Transaction};
use fastly::http::purge::purge_surrogate_key;
use fastly::http::serve::{HandlerResult, Serve};
use fastly::{Body, Request};
use sha2::{Digest, Sha256};

use crate::cache::Cache;
use crate::engine::{Expiry, Millis, SetOptions};

/// Longest key that the POP's cache takes.
const KEY_BYTES_MAX: usize = 4096;

/// Longest surrogate key, and most of all of one entry with the spaces between them.
const SURROGATE_KEY_BYTES_MAX: usize = 1024;
const SURROGATE_KEYS_BYTES_MAX: usize = 16 << 10;

/// What the two tiers may do.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of sandbox memory.
    pub sandbox_bytes: u64,
    /// How long a value may be served from sandbox memory without a look at the POP. A purge from
    /// elsewhere is seen that much later.
    pub sandbox_age_max: Duration,
    /// Longest value that is kept. A longer one is only handed on.
    pub value_bytes_max: usize,
    /// How long to wait for another sandbox that asks the origin for the same key.
    pub collapse_wait_max: Duration,
}

impl Limits {
    /// 16 MiB for a second, values up to 16 MiB, 10 seconds for somebody else's request.
    pub const DEFAULT: Limits = Limits {
        sandbox_bytes: 16 << 20,
        sandbox_age_max: Duration::from_secs(1),
        value_bytes_max: 16 << 20,
        collapse_wait_max: Duration::from_secs(10),
    };
}

/// Where a value came from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Origin {
    /// The memory of this sandbox.
    Sandbox,
    /// The cache of the POP.
    Pop,
    /// Neither had it: it was made.
    Made,
}

impl Origin {
    /// As a header says it: `HIT-L1`, `HIT-POP` or `MISS`.
    pub fn as_str(self) -> &'static str {
        match self {
            Origin::Sandbox => "HIT-L1",
            Origin::Pop => "HIT-POP",
            Origin::Made => "MISS",
        }
    }
}

/// Why the POP's cache has not kept a value, or could not tell whether it has.
#[derive(Debug)]
#[non_exhaustive]
pub enum Refusal {
    /// The value is longer than [`Limits::value_bytes_max`].
    ValueTooLong,
    /// The key is longer than 4096 bytes.
    KeyTooLong,
    /// A surrogate key is empty, too long or no printable ASCII without spaces; or there are too
    /// many of them.
    BadSurrogateKey,
    /// The platform refused.
    Cache(CacheError),
    /// The entry broke off while it was read or written.
    Broken(std::io::Error),
}

impl fmt::Display for Refusal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::ValueTooLong => out.write_str("the value is too long to be kept"),
            Refusal::KeyTooLong => out.write_str("the key is longer than 4096 bytes"),
            Refusal::BadSurrogateKey => {
                out.write_str("a surrogate key is 1 to 1024 printable characters without spaces")
            }
            Refusal::Cache(error) => error.fmt(out),
            Refusal::Broken(error) => error.fmt(out),
        }
    }
}

impl std::error::Error for Refusal {}

impl From<CacheError> for Refusal {
    fn from(error: CacheError) -> Refusal {
        Refusal::Cache(error)
    }
}

impl From<std::io::Error> for Refusal {
    fn from(error: std::io::Error) -> Refusal {
        Refusal::Broken(error)
    }
}

/// A value, and how it was come by.
#[derive(Debug)]
pub struct Fetched {
    /// The value.
    pub value: Vec<u8>,
    /// Where it came from.
    pub from: Origin,
    /// What went wrong with the POP's cache, if anything did. The value is good all the same.
    pub refusal: Option<Refusal>,
}

/// Sandbox memory and the POP's cache, in front of an origin.
///
/// ```no_run
/// use std::time::Duration;
///
/// use fastly::{Error, Request, Response};
/// use ferrite_wasm::tiers::{self, Limits, Tiers};
///
/// static PAGES: Tiers = Tiers::new(Limits::DEFAULT);
///
/// fn handle(request: Request) -> Result<Response, Error> {
///     let path = request.get_path().to_owned();
///     let page = PAGES.get_or_set_with(&path, Duration::from_secs(60), || {
///         Request::get(format!("https://example.com{path}"))
///             .send("origin")
///             .map(|mut response| response.take_body_bytes())
///     })?;
///     Ok(Response::from_body(page.value).with_header("X-Cache", page.from.as_str()))
/// }
///
/// fn main() -> Result<(), Error> {
///     tiers::serve(handle)
/// }
/// ```
pub struct Tiers {
    limits: Limits,
    sandbox: Cache,
}

impl Tiers {
    /// Both tiers, empty.
    ///
    /// # Panics
    /// If `sandbox_bytes` is less than 1 MiB. In a `static` the compiler says so.
    pub const fn new(limits: Limits) -> Tiers {
        Tiers { limits, sandbox: Cache::new(limits.sandbox_bytes) }
    }

    /// The value of a key: from sandbox memory, else from the POP, else from `make`, whose value is
    /// kept for `ttl`. While one sandbox of the POP makes it, the others wait for it.
    ///
    /// # Errors
    /// Those of `make`; nothing is kept then, and one of those that wait makes it instead.
    pub fn get_or_set_with<V, E>(
        &self,
        key: impl AsRef<[u8]>,
        ttl: Duration,
        make: impl FnOnce() -> Result<V, E>,
    ) -> Result<Fetched, E>
    where
        V: Into<Vec<u8>>,
    {
        self.get_or_set_tagged(key, ttl, &[], make)
    }

    /// The same, with surrogate keys: [`Tiers::purge_tag`], or Fastly's API, drops all entries that
    /// have one.
    pub fn get_or_set_tagged<V, E>(
        &self,
        key: impl AsRef<[u8]>,
        ttl: Duration,
        surrogate_keys: &[&str],
        make: impl FnOnce() -> Result<V, E>,
    ) -> Result<Fetched, E>
    where
        V: Into<Vec<u8>>,
    {
        let key = key.as_ref();
        if let Some(value) = self.sandbox.get(key) {
            return Ok(Fetched { value, from: Origin::Sandbox, refusal: None });
        }
        let (turn, mut refusal) = match self.look_up(key, surrogate_keys) {
            Ok(PopLook::Found { value, ttl }) => {
                self.keep(key, &value, ttl);
                return Ok(Fetched { value, from: Origin::Pop, refusal: None });
            }
            Ok(PopLook::OurTurn(turn)) => (Some(turn), None),
            Err(refusal) => (None, Some(refusal)),
        };
        let value = match make() {
            Ok(value) => value.into(),
            Err(error) => {
                give_up(turn);
                return Err(error);
            }
        };
        if value.len() > self.limits.value_bytes_max {
            give_up(turn);
            refusal = Some(Refusal::ValueTooLong);
        } else {
            if let Some(turn) = turn {
                refusal = insert(turn, key, &value, ttl, surrogate_keys).err();
            }
            self.keep(key, &value, ttl);
        }
        Ok(Fetched { value, from: Origin::Made, refusal })
    }

    /// Drops a key here and at the POP. Other sandboxes see it when what they have of it is older
    /// than `sandbox_age_max`; on Fastly's side it may take some 150 ms.
    pub fn purge(&self, key: impl AsRef<[u8]>) -> Result<(), fastly::Error> {
        let key = key.as_ref();
        self.forget(key);
        purge_surrogate_key(&surrogate_key(key, &fastly::compute_runtime::pop()))
    }

    /// Drops all entries with a surrogate key, in all POPs. Sandbox memory does not know which
    /// those are, so that of this sandbox is emptied.
    pub fn purge_tag(&self, surrogate_key: &str) -> Result<(), fastly::Error> {
        if !is_surrogate_key(surrogate_key) {
            return Err(Refusal::BadSurrogateKey.into());
        }
        self.forget_all();
        purge_surrogate_key(surrogate_key)
    }

    /// The cache in sandbox memory alone: for figures, and for what may be lost with the sandbox.
    pub fn sandbox(&self) -> &Cache {
        &self.sandbox
    }

    fn look_up(&self, key: &[u8], surrogate_keys: &[&str]) -> Result<PopLook, Refusal> {
        if key.len() > KEY_BYTES_MAX {
            return Err(Refusal::KeyTooLong);
        }
        let len: usize = surrogate_keys.iter().map(|key| key.len() + 1).sum();
        if !surrogate_keys.iter().all(|key| is_surrogate_key(key))
            || len > SURROGATE_KEYS_BYTES_MAX - 2 * (SHA256_HEX_BYTES + 1)
        {
            return Err(Refusal::BadSurrogateKey);
        }
        let turn = Transaction::lookup(CacheKey::copy_from_slice(key))
            .timeout(self.limits.collapse_wait_max)
            .execute()?;
        if turn.must_insert_or_update() {
            return Ok(PopLook::OurTurn(turn));
        }
        let found = turn.found().ok_or(CacheError::InvalidOperation)?;
        Ok(PopLook::Found { value: self.read(&found)?, ttl: found.remaining_ttl() })
    }

    fn read(&self, found: &Found) -> Result<Vec<u8>, Refusal> {
        let mut value = Vec::new();
        let limit = self.limits.value_bytes_max as u64;
        let body: Body = found.to_stream()?;
        body.take(limit + 1).read_to_end(&mut value)?;
        if value.len() as u64 > limit { Err(Refusal::ValueTooLong) } else { Ok(value) }
    }

    /// Keeps a value in sandbox memory. If there is no room, the POP has it.
    fn keep(&self, key: &[u8], value: &[u8], ttl: Duration) {
        let age = ttl.min(self.limits.sandbox_age_max);
        let ms = Millis::try_from(age.as_millis()).unwrap_or(Millis::MAX);
        if ms > 0 {
            let options = SetOptions { expiry: Expiry::In(ms), ..SetOptions::default() };
            let _ = self.sandbox.try_set(key, value, &options);
        }
    }

    fn forget(&self, key: &[u8]) {
        // DEL of one key does not fail.
        let _ = self.sandbox.del([key]);
    }

    fn forget_all(&self) {
        let _ = self.sandbox.flushdb();
    }
}

enum PopLook {
    Found { value: Vec<u8>, ttl: Duration },
    OurTurn(Transaction),
}

/// Lets one of those that wait for a value make it instead.
fn give_up(turn: Option<Transaction>) {
    if let Some(turn) = turn {
        // If this fails they are told when the transaction is dropped, which is now.
        let _ = turn.cancel_insert_or_update();
    }
}

fn insert(
    turn: Transaction,
    key: &[u8],
    value: &[u8],
    ttl: Duration,
    surrogate_keys: &[&str],
) -> Result<(), Refusal> {
    // By the first two one key is purged: here, or everywhere.
    let own = [surrogate_key(key, &fastly::compute_runtime::pop()), surrogate_key(key, "")];
    let mut body = turn
        .insert(ttl)
        .surrogate_keys(own.iter().map(String::as_str).chain(surrogate_keys.iter().copied()))
        .known_length(value.len() as u64)
        .execute()?;
    // A body that is dropped unfinished is an entry that breaks off: nobody takes it for whole.
    body.write_all(value)?;
    body.finish()?;
    Ok(())
}

const SHA256_HEX_BYTES: usize = 64;

/// The surrogate key of one entry at a POP, or at all of them: that of `fastly::cache::simple`, so
/// that its `purge` drops these entries too.
fn surrogate_key(key: &[u8], pop: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(key);
    hash.update(pop);
    hash.finalize().iter().map(|byte| format!("{byte:02X}")).collect()
}

fn is_surrogate_key(text: &str) -> bool {
    let is_sound = text.bytes().all(|byte| byte.is_ascii_graphic());
    is_sound && (1..=SURROGATE_KEY_BYTES_MAX).contains(&text.len())
}

/// Most requests of one sandbox, how long it lives, how long it waits for the next request, and
/// how much memory it may have: a quarter below what the platform gives, so that a leak in a
/// handler ends a sandbox between two requests and not in the middle of one.
const SANDBOX_REQUESTS_MAX: usize = 1000;
const SANDBOX_LIFETIME: Duration = Duration::from_secs(60);
const SANDBOX_IDLE_MAX: Duration = Duration::from_secs(10);
const SANDBOX_MEMORY_MIB_MAX: u32 = 96;

/// Serves one request after the other in one sandbox, so that its memory is worth something: up to
/// a thousand requests, for a minute, as long as the next comes within ten seconds. The platform
/// may end a sandbox sooner.
///
/// # Errors
/// That of the handler, which ends the sandbox; its client was told.
pub fn serve<R>(handler: impl FnMut(Request) -> R) -> Result<(), R::Error>
where
    R: HandlerResult,
{
    Serve::new()
        .with_max_requests(SANDBOX_REQUESTS_MAX)
        .with_max_lifetime(SANDBOX_LIFETIME)
        .with_max_memory(SANDBOX_MEMORY_MIB_MAX)
        .with_timeout(SANDBOX_IDLE_MAX)
        .run(handler)
        .into_result()
}
