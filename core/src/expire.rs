//! Deadlines: which key dies when.
//!
//! A key whose deadline has passed is dropped when somebody asks for it, and by `tick`, which
//! hosts call now and then. As in Redis a key lives through the millisecond of its deadline.
//!
//! Not here: memory pressure (evict.rs), and any clock: the time is part of [`Cx`].

use crate::command::{Args, Arity, EDGE, FAST, Group, Keys, READ, Spec, WRITE, docs, word};
use crate::effects::Cause;
use crate::error::{Error, Result};
use crate::keyspace::{Cx, Found, Keyspace, Millis};
use crate::limits::{BUCKETS_PER_COMPRESSION, SWEEP_PAGES};
use crate::num::{Digits, integer, millis};
use crate::record::NEVER;
use crate::reply::Reply;

/// When EXPIRE gives a key its deadline: if all conditions hold that are set.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ExpireOptions {
    /// NX: only if it has none.
    pub if_none: bool,
    /// XX: only if it has one.
    pub if_some: bool,
    /// GT: only if the new one is later; no deadline counts as the latest.
    pub if_later: bool,
    /// LT: only if the new one is earlier.
    pub if_earlier: bool,
}

/// The earlier of two deadlines, either of which may be `NEVER`.
pub(crate) fn earlier(a: Millis, b: Millis) -> Millis {
    match (a, b) {
        (NEVER, only) | (only, NEVER) => only,
        _ => a.min(b),
    }
}

impl ExpireOptions {
    fn validate(&self) -> Result<()> {
        if self.if_none && (self.if_some || self.if_later || self.if_earlier) {
            return Err(Error::ExpireNxConflict);
        }
        if self.if_later && self.if_earlier {
            return Err(Error::ExpireGtLtConflict);
        }
        Ok(())
    }

    pub(crate) fn allow(&self, old: Option<Millis>, new: Millis) -> bool {
        !(self.if_none && old.is_some()
            || self.if_some && old.is_none()
            || self.if_later && old.is_none_or(|old| new <= old)
            || self.if_earlier && old.is_some_and(|old| new >= old))
    }
}

/// How long a key has still to live, or until when.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ttl {
    /// There is no such key.
    Missing,
    /// It does not expire.
    Forever,
    /// So long ([`Cx::ttl`]), or until then ([`Cx::expire_time`]).
    Left(Millis),
}

impl Cx<'_> {
    /// PEXPIREAT: gives a key a deadline; one that has passed drops it. False if there is no
    /// such key or the options do not allow it.
    pub fn expire_at(
        &mut self,
        key: &[u8],
        deadline: Millis,
        options: &ExpireOptions,
    ) -> Result<bool> {
        let Some(found) = self.lookup(key, self.keys.hash(key)) else { return Ok(false) };
        let old = Some(found.head.deadline).filter(|&old| old != NEVER);
        if !options.allow(old, deadline) {
            return Ok(false);
        }
        if deadline <= self.now.max(NEVER) {
            self.remove(&found);
            self.keys.settle();
            return Ok(true);
        }
        self.set_deadline(key, found, deadline)?;
        let at = Digits::told(deadline);
        self.emit(&["PEXPIREAT".into(), key.into(), at.as_bytes().into()]);
        Ok(true)
    }

    /// PERSIST: takes a key's deadline away. False if it had none.
    pub fn persist(&mut self, key: &[u8]) -> Result<bool> {
        let found = self.lookup(key, self.keys.hash(key));
        let Some(found) = found.filter(|found| found.head.is_volatile()) else {
            return Ok(false);
        };
        self.set_deadline(key, found, NEVER)?;
        self.emit(&["PERSIST".into(), key.into()]);
        Ok(true)
    }

    /// PTTL: how long a key has still to live.
    pub fn ttl(&mut self, key: &[u8]) -> Ttl {
        match self.expire_time(key) {
            Ttl::Left(deadline) => Ttl::Left(deadline.saturating_sub(self.now).max(0)),
            other => other,
        }
    }

    /// PEXPIRETIME: when a key expires.
    pub fn expire_time(&mut self, key: &[u8]) -> Ttl {
        match self.lookup_look(key).map(|found| found.head.deadline) {
            None => Ttl::Missing,
            Some(NEVER) => Ttl::Forever,
            Some(deadline) => Ttl::Left(deadline),
        }
    }

    /// Whether a key is there. That counts neither as a look at it nor as a use; one whose deadline
    /// has passed is dropped.
    pub fn is_there(&mut self, key: &[u8]) -> bool {
        let hash = self.keys.hash(key);
        self.lookup(key, hash).is_some()
    }

    /// Drops keys and fields of hashes whose deadline has passed: looks at the next `buckets_max`
    /// buckets of about eight keys each, going round from call to call; in a large hash at some
    /// pages in each round. How many keys it dropped. For each bucket it also gives back some
    /// pages of large values that were deleted before, and for every fourth it may compress some
    /// strings.
    pub fn tick(&mut self, buckets_max: usize) -> usize {
        let mut dropped = 0;
        for _ in 0..buckets_max {
            if !self.keys.reap() {
                break;
            }
        }
        for _ in 0..buckets_max / BUCKETS_PER_COMPRESSION {
            if !self.keys.compress_some() {
                break;
            }
        }
        for _ in 0..buckets_max.min(self.keys.index.bucket_count()) {
            if self.keys.counters.expires == 0 && self.keys.expiring_hashes == 0 {
                break;
            }
            let bucket = self.keys.bucket_at(self.keys.expiry_hand);
            dropped += self.expire_bucket(bucket);
            self.keys.expiry_hand = bucket + 1;
        }
        // Only now, since a bucket that is merged could escape the hand.
        (0..dropped).for_each(|_| self.keys.settle());
        dropped
    }

    fn expire_bucket(&mut self, bucket: u32) -> usize {
        let (mut position, mut dropped) = (0, 0);
        while let Some((place, entry)) = self.keys.index.nth(bucket, position) {
            let may_expire = entry.is_volatile || self.keys.expiring_hashes > 0;
            let found = if may_expire { self.keys.found(place) } else { None };
            let is_gone = found.is_some_and(|found| {
                if self.is_past(found.head.deadline) {
                    self.expire(&found);
                    return true;
                }
                #[cfg(feature = "hash")]
                if found.head.has_expiring_fields() {
                    return self.shed_fields(found, SWEEP_PAGES).is_none();
                }
                false
            });
            if is_gone {
                // The last of the bucket takes the place of the one that went.
                dropped += 1;
            } else {
                position += 1;
            }
        }
        dropped
    }

    #[inline]
    pub(crate) fn is_past(&self, deadline: Millis) -> bool {
        deadline != NEVER && self.now > deadline
    }

    pub(crate) fn expire(&mut self, found: &Found) {
        self.tell_cause(Cause::Expired);
        self.remove(found);
        self.keys.counters.expired_keys += 1;
    }

    fn set_deadline(&mut self, key: &[u8], found: Found, deadline: Millis) -> Result<()> {
        let head = found.head.with_deadline(deadline);
        if head.is_volatile() && found.head.is_volatile() {
            head.write(self.keys.arena.cell_mut(found.addr));
            return Ok(());
        }
        self.rewrite(key, found, deadline)
    }
}

impl Keyspace {
    /// [`Cx::tick`] with nobody listening to effects.
    pub fn tick(&mut self, now: Millis, buckets_max: usize) -> usize {
        self.at(now).tick(buckets_max)
    }
}

/// What the rows of EXPIRE and its three sisters share.
const EXPIRE_ROW: Spec = Spec {
    name: "expire",
    arity: Arity::AtLeast(3),
    keys: Keys::FIRST,
    flags: WRITE | FAST | EDGE,
    group: Group::Generic,
    since: docs("1.0.0"),
    syntax: docs("key seconds [NX | XX | GT | LT]"),
    summary: docs("Lets a key expire so many seconds from now."),
    run: |cx, args, reply| {
        expire_generic(cx, args, reply, |now, value| millis(value)?.checked_add(now))
    },
};

/// What the rows of TTL and its three sisters share.
const TTL_ROW: Spec = Spec {
    name: "ttl",
    arity: Arity::Exactly(2),
    keys: Keys::FIRST,
    flags: READ | FAST | EDGE,
    group: Group::Generic,
    since: docs("1.0.0"),
    syntax: docs("key"),
    summary: docs("Returns how many seconds a key has still to live."),
    run: |cx, args, reply| answer_ttl(cx.ttl(args.required()), reply, 1000),
};

pub(crate) const COMMANDS: &[Spec] = &[
    EXPIRE_ROW,
    Spec {
        name: "expireat",
        since: docs("1.2.0"),
        syntax: docs("key unix-time-seconds [NX | XX | GT | LT]"),
        summary: docs("Lets a key expire at a time in seconds."),
        run: |cx, args, reply| expire_generic(cx, args, reply, |_, value| millis(value)),
        ..EXPIRE_ROW
    },
    Spec {
        name: "expiretime",
        since: docs("7.0.0"),
        summary: docs("Returns when a key expires, in seconds."),
        run: |cx, args, reply| answer_ttl(cx.expire_time(args.required()), reply, 1000),
        ..TTL_ROW
    },
    Spec {
        name: "persist",
        arity: Arity::Exactly(2),
        keys: Keys::FIRST,
        flags: WRITE | FAST | EDGE,
        group: Group::Generic,
        since: docs("2.2.0"),
        syntax: docs("key"),
        summary: docs("Takes a key's expiry away."),
        run: persist,
    },
    Spec {
        name: "pexpire",
        since: docs("2.6.0"),
        syntax: docs("key milliseconds [NX | XX | GT | LT]"),
        summary: docs("Lets a key expire so many milliseconds from now."),
        run: |cx, args, reply| expire_generic(cx, args, reply, |now, value| value.checked_add(now)),
        ..EXPIRE_ROW
    },
    Spec {
        name: "pexpireat",
        since: docs("2.6.0"),
        syntax: docs("key unix-time-milliseconds [NX | XX | GT | LT]"),
        summary: docs("Lets a key expire at a time in milliseconds."),
        run: |cx, args, reply| expire_generic(cx, args, reply, |_, value| Some(value)),
        ..EXPIRE_ROW
    },
    Spec {
        name: "pexpiretime",
        since: docs("7.0.0"),
        summary: docs("Returns when a key expires, in milliseconds."),
        run: |cx, args, reply| answer_ttl(cx.expire_time(args.required()), reply, 1),
        ..TTL_ROW
    },
    Spec {
        name: "pttl",
        since: docs("2.6.0"),
        summary: docs("Returns how many milliseconds a key has still to live."),
        run: |cx, args, reply| answer_ttl(cx.ttl(args.required()), reply, 1),
        ..TTL_ROW
    },
    TTL_ROW,
];

/// EXPIRE and its sisters, which differ in how a number becomes a deadline.
fn expire_generic(
    cx: &mut Cx<'_>,
    args: &mut Args<'_>,
    reply: &mut dyn Reply,
    deadline: fn(now: Millis, value: i64) -> Option<Millis>,
) -> Result<()> {
    let (key, value) = (args.required(), args.required());
    let mut options = ExpireOptions::default();
    for option in args {
        match word(option, &["nx", "xx", "gt", "lt"]) {
            0 => options.if_none = true,
            1 => options.if_some = true,
            2 => options.if_later = true,
            3 => options.if_earlier = true,
            _ => {
                reply.error(&[b"ERR Unsupported option ", option]);
                return Ok(());
            }
        }
    }
    options.validate()?;
    let value = integer(value)?;
    let deadline = deadline(cx.now, value).ok_or(Error::InvalidExpire)?;
    reply.integer(cx.expire_at(key, deadline, &options)?.into());
    Ok(())
}

fn persist(cx: &mut Cx<'_>, args: &mut Args<'_>, reply: &mut dyn Reply) -> Result<()> {
    reply.integer(cx.persist(args.required())?.into());
    Ok(())
}

/// TTL and its sisters: missing keys and those that do not expire have a number each.
fn answer_ttl(ttl: Ttl, reply: &mut dyn Reply, unit_ms: i64) -> Result<()> {
    reply.integer(match ttl {
        Ttl::Missing => -2,
        Ttl::Forever => -1,
        // To the nearest, half up; adding the half first would overflow.
        Ttl::Left(ms) => ms / unit_ms + i64::from(ms % unit_ms >= (unit_ms + 1) / 2),
    });
    Ok(())
}
