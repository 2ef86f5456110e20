//! XREADGROUP: entries that are given to a consumer, and what XREAD and XREADGROUP are asked.
//!
//! All streams are served before the first is answered, and pinned meanwhile: what one needs must
//! not drive out another.

use alloc::vec::Vec;

use super::claim::{Told, tell_group};
use super::entries::{Range, Stream};
use super::group::Named;
use super::id::Id;
use super::ledger::{Pending, UNKNOWN_READ};
use super::range::{answer_entry, answer_range};
use crate::command::{Args, printed, word};
use crate::error::{Error, Result};
use crate::keyspace::Cx;
use crate::num::{integer, parse_integer};
use crate::reply::Reply;

/// Ids that are taken from a stream at a time.
const CHUNK_IDS: usize = 64;

/// What XREAD or XREADGROUP is asked.
pub(super) struct Request<'a> {
    /// The names of a group and a consumer.
    pub(super) group: Option<(&'a [u8], &'a [u8])>,
    pub(super) count: usize,
    pub(super) block_ms: Option<i64>,
    is_noack: bool,
    pub(super) keys: &'a [&'a [u8]],
    pub(super) ids: &'a [&'a [u8]],
}

impl<'a> Request<'a> {
    pub(super) fn parse(args: &mut Args<'a>, has_group: bool) -> Result<Request<'a>> {
        let (mut group, mut count, mut block_ms) = (None, usize::MAX, None);
        let mut is_noack = false;
        while let Some(option) = args.next() {
            let has_more = args.len() > 0;
            match word(option, &["block", "count", "streams", "group", "noack"]) {
                0 if has_more => {
                    let ms = parse_integer(args.value()?).ok_or(Error::TimeoutNotAnInteger)?;
                    if ms < 0 {
                        return Err(Error::TimeoutNegative);
                    }
                    block_ms = Some(ms);
                }
                1 if has_more => {
                    let wanted = usize::try_from(integer(args.value()?)?.max(0));
                    // None at all means all.
                    count = wanted.ok().filter(|&wanted| wanted > 0).unwrap_or(usize::MAX);
                }
                2 if has_more => {
                    let rest = args.as_slice();
                    if !rest.len().is_multiple_of(2) {
                        return Err(Error::UnbalancedStreams);
                    }
                    if has_group && group.is_none() {
                        return Err(Error::ReadGroupMissing);
                    }
                    let (keys, ids) = rest.split_at_checked(rest.len() / 2).unwrap_or_default();
                    return Ok(Request { group, count, block_ms, is_noack, keys, ids });
                }
                3 if args.len() > 1 => {
                    if !has_group {
                        return Err(Error::ReadGroupOption);
                    }
                    group = Some((args.required(), args.required()));
                }
                4 if !has_group => return Err(Error::ReadNoackOption),
                4 => is_noack = true,
                _ => return Err(Error::Syntax),
            }
        }
        Err(Error::Syntax)
    }
}

/// What a host needs that lets clients wait for entries: XREAD and XREADGROUP answer null when
/// there is nothing to read, and are asked again when one of the keys has changed.
#[derive(Clone, Copy, Debug)]
pub struct StreamRead<'a> {
    /// How long the client waits, in milliseconds; zero means for ever. `None` if it does not.
    pub block_ms: Option<i64>,
    /// The streams.
    pub keys: &'a [&'a [u8]],
    /// The ids behind which they are read. Before a client waits, a `$` among them is to be
    /// replaced by [`Cx::xlast_id`] of its stream.
    pub ids: &'a [&'a [u8]],
}

impl<'a> StreamRead<'a> {
    /// Reads a request of XREAD or XREADGROUP, the name included.
    ///
    /// # Errors
    /// Those that the command itself answers; [`Error::Syntax`] for any other command.
    pub fn parse(arguments: &'a [&'a [u8]]) -> Result<StreamRead<'a>> {
        let (name, rest) = arguments.split_first().ok_or(Error::Syntax)?;
        let has_group = match word(name, &["xread", "xreadgroup"]) {
            0 => false,
            1 => true,
            _ => return Err(Error::Syntax),
        };
        let Request { block_ms, keys, ids, .. } = Request::parse(&mut Args::new(rest), has_group)?;
        Ok(StreamRead { block_ms, keys, ids })
    }
}

impl Cx<'_> {
    /// The last id that a stream gave; the lowest of all if there is no stream.
    ///
    /// # Errors
    /// [`Error::WrongType`].
    pub fn xlast_id(&mut self, key: &[u8]) -> Result<Id> {
        Ok(self.read_stream(key)?.map_or(Id::MIN, |stream| stream.meta.last))
    }
}

/// What a consumer gets of a stream.
#[derive(Clone, Copy)]
enum Share {
    /// New entries.
    New(Range),
    /// What it owns from an id on, so many.
    Owned(u64, Id, usize),
}

/// A stream that a request names, and how it is served.
struct Source<'a> {
    key: &'a [u8],
    /// After which id of those that the consumer owns; `None` for new entries.
    after: Option<Id>,
    share: Option<Share>,
}

pub(super) fn xreadgroup(
    cx: &mut Cx<'_>,
    args: &mut Args<'_>,
    reply: &mut dyn Reply,
) -> Result<()> {
    let request = Request::parse(args, true)?;
    let pins = cx.keys.pins.len();
    let done = read_group(cx, &request, pins, reply);
    cx.keys.pins.truncate(pins);
    done
}

fn read_group(
    cx: &mut Cx<'_>,
    request: &Request<'_>,
    pins: usize,
    reply: &mut dyn Reply,
) -> Result<()> {
    let (group, consumer) = request.group.unwrap_or_default();
    let mut sources = Vec::new();
    sources.try_reserve_exact(request.keys.len()).map_err(|_| Error::OutOfMemory)?;
    for (&key, &id) in request.keys.iter().zip(request.ids) {
        let stream = cx.read_stream(key)?;
        let Some(stream) = stream.filter(|stream| cx.keys.group(stream, group).is_some()) else {
            reply.error(&[
                b"NOGROUP No such key '",
                printed(key, usize::MAX),
                b"' or consumer group '",
                printed(group, usize::MAX),
                b"' in XREADGROUP with GROUP option",
            ]);
            return Ok(());
        };
        let after = match id {
            b"$" => return Err(Error::ReadLastWithGroup),
            b">" => None,
            // As in Redis, the highest id means the same.
            id => Some(Id::parse(id)?).filter(|&id| id != Id::MAX),
        };
        sources.push(Source { key, after, share: None });
        cx.keys.pins.push(stream.found.addr);
    }
    let mut served = 0;
    for (position, source) in sources.iter_mut().enumerate() {
        let found = cx.keys.pinned(pins + position);
        let Some(mut stream) = found.and_then(|found| cx.keys.stream(found)) else { continue };
        let Some(named) = cx.keys.group(&stream, group) else { continue };
        let told = Told { key: source.key, group, consumer };
        match cx.serve(&mut stream, named, source.after, request, &told) {
            Ok(share) => source.share = share,
            Err(error) if served == 0 => return Err(error),
            // What the others got is told: it is theirs now.
            Err(_) => break,
        }
        served += usize::from(source.share.is_some());
    }
    if served == 0 {
        reply.null_array();
        return Ok(());
    }
    reply.entries(served);
    for (position, Source { key, share, .. }) in sources.into_iter().enumerate() {
        let found = cx.keys.pinned(pins + position);
        let stream = found.and_then(|found| cx.keys.stream(found));
        let Some((stream, share)) = stream.zip(share) else { continue };
        reply.entry();
        reply.bulk(key.into());
        match share {
            Share::New(range) => answer_range(cx, &stream, &range, reply),
            Share::Owned(owner, start, count) => {
                answer_owned(cx, &stream, owner, (start, count), reply);
            }
        }
    }
    Ok(())
}

/// Answers what a consumer owns; of entries that were deleted only the ids.
fn answer_owned(
    cx: &Cx<'_>,
    stream: &Stream,
    owner: u64,
    (start, count): (Id, usize),
    reply: &mut dyn Reply,
) {
    reply.array(count);
    let mut left = count;
    if left == 0 {
        return;
    }
    cx.keys.each_owned(stream, owner, start, &mut |id| {
        let shown = cx.keys.each_entry_of(stream, &Range::one(id), &mut |id, fields| {
            answer_entry(reply, id, fields);
        });
        if shown == 0 {
            reply.array(2);
            reply.bulk(id.text().as_bytes().into());
            reply.null_array();
        }
        left -= 1;
        left > 0
    });
}

impl Cx<'_> {
    /// Gives a consumer its share of a stream. `None` if there is nothing for it.
    fn serve(
        &mut self,
        stream: &mut Stream,
        mut named: Named<'_>,
        after: Option<Id>,
        request: &Request<'_>,
        told: &Told<'_>,
    ) -> Result<Option<Share>> {
        let has_new = self.keys.ends(stream).is_some_and(|(_, last)| last > named.group.last);
        if after.is_none() && !has_new {
            return Ok(None);
        }
        let owner = self.find_or_add_consumer(stream, &mut named, told)?;
        if let Some(after) = after {
            let start = after.next().unwrap_or(Id::MAX);
            return self
                .give_again(stream, &mut named, owner, (start, request.count), told)
                .map(Some);
        }
        let start = named.group.last.next().unwrap_or(Id::MAX);
        let mut range = Range::from(start, request.count);
        range.count = self.give_new(stream, &mut named, owner, range, request.is_noack, told)?;
        Ok(Some(Share::New(range)))
    }

    /// The number of a consumer, which is made if it is not there.
    pub(super) fn find_or_add_consumer(
        &mut self,
        stream: &mut Stream,
        named: &mut Named<'_>,
        told: &Told<'_>,
    ) -> Result<u64> {
        let now = self.now;
        if let Some(number) = self.keys.consumer(stream, &named.group, told.consumer) {
            self.keys.see(stream, &named.group, number, now);
            return Ok(number);
        }
        let number = self.add_consumer(stream, named, told.consumer, now)?;
        let (key, group, consumer) = (told.key.into(), told.group.into(), told.consumer.into());
        self.emit(&["XGROUP".into(), "CREATECONSUMER".into(), key, group, consumer]);
        Ok(number)
    }

    /// Gives a consumer new entries. How many: fewer than there are if memory runs out.
    fn give_new(
        &mut self,
        stream: &mut Stream,
        named: &mut Named<'_>,
        owner: u64,
        range: Range,
        is_noack: bool,
        told: &Told<'_>,
    ) -> Result<usize> {
        if !is_noack {
            let count = self.keys.count_entries_of(stream, &range);
            self.reserve_pending(stream, count)?;
        }
        let pending = Pending { consumer: owner, time: self.now, count: 1 };
        let (mut given, mut more, mut failed) = (0, 0, None);
        let mut next = Some(range.start);
        while let Some(start) = next.filter(|_| given < range.count && failed.is_none()) {
            let mut ids = [Id::MIN; CHUNK_IDS];
            let chunk = Range { start, count: CHUNK_IDS.min(range.count - given), ..range };
            let mut places = ids.iter_mut();
            let found = self.keys.each_entry_of(stream, &chunk, &mut |id, _| {
                if let Some(place) = places.next() {
                    *place = id;
                }
            });
            let ids = ids.get(..found).unwrap_or_default();
            let mut done = 0;
            for &id in ids {
                if !is_noack {
                    match self.give(stream, named, id, pending) {
                        Ok(count) => more += count,
                        Err(error) => {
                            failed = Some(error);
                            break;
                        }
                    }
                }
                self.move_on(stream, named, id);
                done += 1;
            }
            if !is_noack {
                self.tell_claims(told, ids.get(..done).unwrap_or_default(), &pending);
            }
            given += done;
            next = ids.last().and_then(|last| last.next());
        }
        self.keys.save_given(stream, named, owner, more);
        if let (Some(error), 0) = (failed, given) {
            return Err(error);
        }
        tell_group(self, told, &named.group);
        Ok(given)
    }

    /// Notes that a group was given an entry.
    fn move_on(&mut self, stream: &Stream, named: &mut Named<'_>, id: Id) {
        let group = &mut named.group;
        if id <= group.last {
            return;
        }
        if group.entries_read != UNKNOWN_READ && !self.keys.has_gaps_from(stream, id) {
            group.entries_read = group.entries_read.wrapping_add(1);
        } else if stream.meta.added > 0 {
            group.entries_read = self.keys.entries_up_to(stream, id).unwrap_or(UNKNOWN_READ);
        }
        group.last = id;
    }

    /// Gives a consumer again what it owns, so many from an id on.
    fn give_again(
        &mut self,
        stream: &mut Stream,
        named: &mut Named<'_>,
        owner: u64,
        (start, count_max): (Id, usize),
        told: &Told<'_>,
    ) -> Result<Share> {
        let mut count = 0;
        let mut next = Some(start);
        while let Some(from) = next.filter(|_| count < count_max) {
            let mut ids = [Id::MIN; CHUNK_IDS];
            let wanted = CHUNK_IDS.min(count_max - count);
            let mut found = 0;
            self.keys.each_owned(stream, owner, from, &mut |id| {
                if let Some(place) = ids.get_mut(found) {
                    *place = id;
                    found += 1;
                }
                found < wanted
            });
            let ids = ids.get(..found).unwrap_or_default();
            for &id in ids {
                let old = self.keys.pending(stream, &named.group, id);
                let Some(old) = old.filter(|_| self.keys.has_entry(stream, id)) else { continue };
                let pending = Pending { time: self.now, count: old.count.wrapping_add(1), ..old };
                self.give(stream, named, id, pending)?;
                self.tell_claims(told, &[id], &pending);
            }
            count += found;
            next = ids.last().and_then(|last| last.next());
        }
        Ok(Share::Owned(owner, start, count))
    }
}
