//! XACK, XCLAIM, XAUTOCLAIM and XPENDING: what was given to consumers and is not acknowledged.
//!
//! That an entry became a consumer's is told as XCLAIM, with AHEAD: an option of our own, by which
//! the time may be ahead of the clock, as it is when effects are replayed.

use alloc::vec::Vec;

use super::entries::{Range, Stream};
use super::group::Named;
use super::id::{Id, IdText, parse_end, parse_start};
use super::ledger::{Group, Pending};
use super::range::answer_entry;
use crate::command::{Args, printed, word};
use crate::error::{Error, Result};
use crate::keyspace::{Cx, Millis};
use crate::num::{Digits, integer, parse_integer};
use crate::reply::Reply;
use crate::value::Value;

/// Ids that one effect names at most.
const TOLD_IDS_MAX: usize = 64;
const COUNT_DEFAULT: i64 = 100;
/// Entries that XAUTOCLAIM looks at for each that it is to claim.
const ATTEMPTS_PER_ENTRY: i64 = 10;
const COUNT_MAX: i64 = i64::MAX / 16;

/// Whose entries an effect is about.
#[derive(Clone, Copy)]
pub(super) struct Told<'a> {
    pub(super) key: &'a [u8],
    pub(super) group: &'a [u8],
    pub(super) consumer: &'a [u8],
}

impl Cx<'_> {
    /// Tells that entries are a consumer's now.
    pub(super) fn tell_claims(&mut self, told: &Told<'_>, ids: &[Id], pending: &Pending) {
        if !self.is_heard() {
            return;
        }
        let (time, count) = (Digits::new(pending.time), Digits::of_unsigned(pending.count));
        for ids in ids.chunks(TOLD_IDS_MAX) {
            let mut texts = [IdText::EMPTY; TOLD_IDS_MAX];
            texts.iter_mut().zip(ids).for_each(|(text, id)| *text = id.text());
            let mut effect: Vec<Value<'_>> = Vec::with_capacity(12 + ids.len());
            let Told { key, group, consumer } = *told;
            effect.extend([Value::from("XCLAIM"), key.into(), group.into()]);
            effect.extend([Value::from(consumer), "0".into()]);
            effect.extend(texts.iter().take(ids.len()).map(|id| Value::from(id.as_bytes())));
            effect.extend([Value::from("TIME"), time.as_bytes().into(), "AHEAD".into()]);
            effect.extend([Value::from("RETRYCOUNT"), count.as_bytes().into()]);
            effect.extend(["FORCE", "JUSTID"].map(Value::from));
            self.emit(&effect);
        }
    }

    fn tell_acknowledged(&mut self, key: &[u8], group: &[u8], id: Id) {
        if self.is_heard() {
            self.emit(&["XACK".into(), key.into(), group.into(), id.text().as_bytes().into()]);
        }
    }
}

/// Tells how far a group is.
pub(super) fn tell_group(cx: &mut Cx<'_>, told: &Told<'_>, group: &Group) {
    if cx.is_heard() {
        let (last, read) = (group.last.text(), Digits::new(group.entries_read));
        cx.emit(&[
            "XGROUP".into(),
            "SETID".into(),
            told.key.into(),
            told.group.into(),
            last.as_bytes().into(),
            "ENTRIESREAD".into(),
            read.as_bytes().into(),
        ]);
    }
}

fn refuse_group(key: &[u8], group: &[u8], reply: &mut dyn Reply) {
    reply.error(&[
        b"NOGROUP No such key '",
        printed(key, usize::MAX),
        b"' or consumer group '",
        printed(group, usize::MAX),
        b"'",
    ]);
}

pub(super) fn xack(cx: &mut Cx<'_>, args: &mut Args<'_>, reply: &mut dyn Reply) -> Result<()> {
    let (key, group) = (args.required(), args.required());
    let stream = cx.change_stream(key)?;
    let named = stream.and_then(|stream| cx.keys.group(&stream, group));
    let Some((stream, mut named)) = stream.zip(named) else {
        reply.integer(0);
        return Ok(());
    };
    for text in args.clone() {
        Id::parse(text)?;
    }
    let mut count = 0;
    for id in args.filter_map(|text| Id::parse(text).ok()) {
        if cx.keys.acknowledge(&stream, &mut named, id) {
            count += 1;
            cx.tell_acknowledged(key, group, id);
        }
    }
    if count > 0 {
        cx.keys.save_group(&stream, &named);
    }
    reply.integer(count);
    Ok(())
}

/// XCLAIM's options.
struct Claim {
    min_idle_ms: i64,
    time: Millis,
    count: Option<u64>,
    is_forced: bool,
    is_just_id: bool,
    last: Id,
}

impl Claim {
    /// Reads the options behind the ids.
    fn parse(
        args: &mut Args<'_>,
        min_idle_ms: i64,
        now: Millis,
        reply: &mut dyn Reply,
    ) -> Result<Option<Claim>> {
        let mut claim = Claim {
            min_idle_ms: min_idle_ms.max(0),
            time: -1,
            count: None,
            is_forced: false,
            is_just_id: false,
            last: Id::MIN,
        };
        let mut is_ahead = false;
        while let Some(option) = args.next() {
            let has_more = args.len() > 0;
            const WORDS: [&str; 7] =
                ["force", "justid", "idle", "time", "retrycount", "lastid", "ahead"];
            match word(option, &WORDS) {
                0 => claim.is_forced = true,
                1 => claim.is_just_id = true,
                2 if has_more => {
                    let idle_ms = parse_integer(args.value()?).ok_or(Error::ClaimIdle)?;
                    claim.time = now.wrapping_sub(idle_ms);
                }
                3 if has_more => {
                    claim.time = parse_integer(args.value()?).ok_or(Error::ClaimTime)?;
                }
                4 if has_more => {
                    let count = parse_integer(args.value()?).ok_or(Error::ClaimRetryCount)?;
                    claim.count = u64::try_from(count).ok();
                }
                5 if has_more => claim.last = Id::parse(args.value()?)?,
                6 => is_ahead = true,
                _ => {
                    let option = printed(option, usize::MAX);
                    reply.error(&[b"ERR Unrecognized XCLAIM option '", option, b"'"]);
                    return Ok(None);
                }
            }
        }
        if claim.time < 0 || claim.time > now && !is_ahead {
            claim.time = now;
        }
        Ok(Some(claim))
    }
}

pub(super) fn xclaim(cx: &mut Cx<'_>, args: &mut Args<'_>, reply: &mut dyn Reply) -> Result<()> {
    let (key, group, consumer) = (args.required(), args.required(), args.required());
    let stream = cx.change_stream(key)?;
    let named = stream.and_then(|stream| cx.keys.group(&stream, group));
    let Some((mut stream, mut named)) = stream.zip(named) else {
        refuse_group(key, group, reply);
        return Ok(());
    };
    let min_idle_ms = parse_integer(args.required()).ok_or(Error::ClaimMinIdle)?;
    let rest = args.as_slice();
    let count = rest.iter().position(|text| Id::parse(text).is_err()).unwrap_or(rest.len());
    let ids = args.take_first(count).ok_or(Error::Syntax)?;
    let Some(claim) = Claim::parse(args, min_idle_ms, cx.now, reply)? else { return Ok(()) };
    let mut claimed = Vec::new();
    cx.pinning(&mut stream.found, |cx| cx.lend_bytes(count * size_of::<Id>()))?;
    claimed.try_reserve_exact(count).map_err(|_| Error::OutOfMemory)?;
    cx.reserve_pending(&mut stream, count)?;
    let told = Told { key, group, consumer };
    if claim.last > named.group.last {
        named.group.last = claim.last;
        cx.keys.save_group(&stream, &named);
        tell_group(cx, &told, &named.group);
    }
    let mut owner = None;
    for id in ids.filter_map(|text| Id::parse(text).ok()) {
        match cx.claim_one(&mut stream, &mut named, id, &claim, &mut owner, &told) {
            Ok(true) => claimed.push(id),
            Ok(false) => {}
            Err(error) if claimed.is_empty() => return Err(error),
            // What was claimed until now is told: it is the consumer's.
            Err(_) => break,
        }
    }
    answer_claimed(cx, &stream, &claimed, claim.is_just_id, reply);
    Ok(())
}

impl Cx<'_> {
    /// XCLAIM for one entry. Whether it is the consumer's now.
    fn claim_one(
        &mut self,
        stream: &mut Stream,
        named: &mut Named<'_>,
        id: Id,
        claim: &Claim,
        owner: &mut Option<u64>,
        told: &Told<'_>,
    ) -> Result<bool> {
        let old = self.keys.pending(stream, &named.group, id);
        if !self.keys.has_entry(stream, id) {
            if self.keys.acknowledge(stream, named, id) {
                self.keys.save_group(stream, named);
                self.tell_acknowledged(told.key, told.group, id);
            }
            return Ok(false);
        }
        let mut count = match old {
            Some(old)
                if claim.min_idle_ms > 0 && self.now.wrapping_sub(old.time) < claim.min_idle_ms =>
            {
                return Ok(false);
            }
            Some(old) => old.count,
            None if claim.is_forced => 1,
            None => return Ok(false),
        };
        if !claim.is_just_id {
            count = count.wrapping_add(1);
        }
        let count = claim.count.unwrap_or(count);
        let consumer = match *owner {
            Some(owner) => owner,
            None => *owner.insert(self.find_or_add_consumer(stream, named, told)?),
        };
        let pending = Pending { consumer, time: claim.time, count };
        let more = self.give(stream, named, id, pending)?;
        self.keys.save_given(stream, named, consumer, more);
        self.tell_claims(told, &[id], &pending);
        Ok(true)
    }
}

/// Answers entries that were claimed, or their ids.
fn answer_claimed(
    cx: &Cx<'_>,
    stream: &Stream,
    ids: &[Id],
    is_just_id: bool,
    reply: &mut dyn Reply,
) {
    reply.array(ids.len());
    for &id in ids {
        if is_just_id {
            reply.bulk(id.text().as_bytes().into());
            continue;
        }
        cx.keys.each_entry_of(stream, &Range::one(id), &mut |id, fields| {
            answer_entry(reply, id, fields);
        });
    }
}

pub(super) fn xautoclaim(
    cx: &mut Cx<'_>,
    args: &mut Args<'_>,
    reply: &mut dyn Reply,
) -> Result<()> {
    let (key, group, consumer) = (args.required(), args.required(), args.required());
    let min_idle_ms = parse_integer(args.required()).ok_or(Error::AutoClaimMinIdle)?.max(0);
    let start = parse_start(args.required())?;
    let (mut count, mut is_just_id) = (COUNT_DEFAULT, false);
    while let Some(option) = args.next() {
        match word(option, &["count", "justid"]) {
            0 if args.len() > 0 => {
                let wanted = parse_integer(args.value()?);
                let wanted = wanted.filter(|wanted| (1..=COUNT_MAX).contains(wanted));
                count = wanted.ok_or(Error::AutoClaimCount)?;
            }
            1 => is_just_id = true,
            _ => return Err(Error::Syntax),
        }
    }
    let stream = cx.change_stream(key)?;
    let named = stream.and_then(|stream| cx.keys.group(&stream, group));
    let Some((mut stream, mut named)) = stream.zip(named) else {
        refuse_group(key, group, reply);
        return Ok(());
    };
    let told = Told { key, group, consumer };
    let claim = Claim {
        min_idle_ms,
        time: cx.now,
        count: None,
        is_forced: false,
        is_just_id,
        last: Id::MIN,
    };
    let most = usize::try_from(count.unsigned_abs().min(named.group.pending)).unwrap_or(usize::MAX);
    cx.pinning(&mut stream.found, |cx| cx.lend_bytes(2 * most.saturating_mul(size_of::<Id>())))?;
    let (mut claimed, mut deleted) = (Vec::new(), Vec::new());
    claimed.try_reserve_exact(most).map_err(|_| Error::OutOfMemory)?;
    deleted.try_reserve_exact(most).map_err(|_| Error::OutOfMemory)?;
    cx.reserve_pending(&mut stream, most)?;
    let (mut owner, mut next) = (None, Some(start));
    let mut attempts = count.saturating_mul(ATTEMPTS_PER_ENTRY);
    let mut cursor = Id::MIN;
    while let Some(from) = next {
        let Some(id) = cx.keys.next_pending(&stream, &named.group, from) else { break };
        if attempts == 0 || count == 0 {
            cursor = id;
            break;
        }
        attempts -= 1;
        next = id.next();
        let is_there = cx.keys.has_entry(&stream, id);
        match cx.claim_one(&mut stream, &mut named, id, &claim, &mut owner, &told) {
            Ok(true) => claimed.push(id),
            Ok(false) if !is_there => deleted.push(id),
            Ok(false) => continue,
            Err(error) if claimed.is_empty() && deleted.is_empty() => return Err(error),
            Err(_) => {
                cursor = id;
                break;
            }
        }
        count -= 1;
    }
    reply.array(3);
    reply.bulk(cursor.text().as_bytes().into());
    answer_claimed(cx, &stream, &claimed, is_just_id, reply);
    reply.array(deleted.len());
    deleted.iter().for_each(|id| reply.bulk(id.text().as_bytes().into()));
    Ok(())
}

pub(super) fn xpending(cx: &mut Cx<'_>, args: &mut Args<'_>, reply: &mut dyn Reply) -> Result<()> {
    let (key, group) = (args.required(), args.required());
    if args.len() == 0 {
        let stream = cx.read_stream(key)?;
        let named = stream.and_then(|stream| cx.keys.group(&stream, group));
        match stream.zip(named) {
            Some((stream, named)) => answer_summary(cx, &stream, &named.group, reply),
            None => refuse_group(key, group, reply),
        }
        return Ok(());
    }
    if !(3..=6).contains(&args.len()) {
        return Err(Error::Syntax);
    }
    let mut min_idle_ms = 0;
    if args.as_slice().first().is_some_and(|option| option.eq_ignore_ascii_case(b"idle")) {
        args.next();
        min_idle_ms = integer(args.required())?;
        if args.len() < 3 {
            return Err(Error::Syntax);
        }
    }
    let (start, end, count) = (args.required(), args.required(), args.required());
    let count = usize::try_from(integer(count)?.max(0)).unwrap_or(usize::MAX);
    let (start, end) = (parse_start(start)?, parse_end(end)?);
    let consumer = args.next();
    let stream = cx.read_stream(key)?;
    let named = stream.and_then(|stream| cx.keys.group(&stream, group));
    let Some((stream, named)) = stream.zip(named) else {
        refuse_group(key, group, reply);
        return Ok(());
    };
    let owner = consumer.map(|name| cx.keys.consumer(&stream, &named.group, name));
    if owner == Some(None) {
        reply.array(0);
        return Ok(());
    }
    let range = Range { start, end, count, is_reverse: false };
    let mut found = 0;
    each_idle(cx, &stream, &named.group, owner.flatten(), (&range, min_idle_ms), &mut |_, _| {
        found += 1;
    });
    reply.array(found);
    each_idle(
        cx,
        &stream,
        &named.group,
        owner.flatten(),
        (&range, min_idle_ms),
        &mut |id, entry| {
            reply.array(4);
            reply.bulk(id.text().as_bytes().into());
            let name = cx.keys.state(&stream, &named.group, entry.consumer).map(|(_, name)| name);
            reply.bulk(name.unwrap_or_default().into());
            reply.integer(cx.now.wrapping_sub(entry.time).max(0));
            reply.integer(entry.count as i64);
        },
    );
    Ok(())
}

/// Shows what is pending in a part of a stream: of one consumer or of all, and not given to anyone
/// for some time.
fn each_idle(
    cx: &Cx<'_>,
    stream: &Stream,
    group: &Group,
    owner: Option<u64>,
    (range, min_idle_ms): (&Range, i64),
    show: &mut dyn FnMut(Id, &Pending),
) {
    let mut left = range.count;
    if left == 0 {
        return;
    }
    let mut step = |id: Id, pending: &Pending| {
        if id > range.end {
            return false;
        }
        if min_idle_ms == 0 || cx.now.wrapping_sub(pending.time) >= min_idle_ms {
            show(id, pending);
            left -= 1;
        }
        left > 0
    };
    match owner {
        Some(owner) => cx.keys.each_owned(stream, owner, range.start, &mut |id| {
            cx.keys.pending(stream, group, id).is_some_and(|pending| step(id, &pending))
        }),
        None => cx.keys.each_pending(stream, group, range.start, &mut step),
    }
}

/// XPENDING without a range: how much is pending, from where to where, and whose it is.
fn answer_summary(cx: &Cx<'_>, stream: &Stream, group: &Group, reply: &mut dyn Reply) {
    reply.array(4);
    reply.integer(group.pending as i64);
    let first = cx.keys.next_pending(stream, group, Id::MIN);
    let Some((first, last)) = first.zip(cx.keys.last_pending(stream, group)) else {
        reply.null();
        reply.null();
        reply.null_array();
        return;
    };
    [first, last].into_iter().for_each(|id| reply.bulk(id.text().as_bytes().into()));
    let mut owners = 0;
    cx.keys.each_consumer(stream, group, &mut |_, _, state| {
        owners += usize::from(state.pending > 0);
    });
    reply.array(owners);
    cx.keys.each_consumer(stream, group, &mut |name, _, state| {
        if state.pending > 0 {
            reply.array(2);
            reply.bulk(name.into());
            reply.bulk(Digits::of_unsigned(state.pending).as_bytes().into());
        }
    });
}
