//! Ranges of sorted sets, by rank, by score or by text: ZRANGE and its sisters, ZCOUNT, and what
//! removes or stores a range.
//!
//! A range of any kind is turned into ranks first, so one walk serves them all. As in Redis a
//! range by text is only defined where all members have one score.

use core::ops::Range;

use crate::command::{Args, word};
use crate::error::{Error, Result};
use crate::keyspace::{Cx, Found};
use crate::limits::PACKED_BYTES_MAX;
use crate::num::parse_integer;
use crate::packed::{Entries, Entry};
use crate::record::{Kind, NEVER};
use crate::reply::Reply;
use crate::score::{ScoreText, parse_limit};
use crate::table::{Cursor, Target, apart};
use crate::tree::{Edge, score_of};
use crate::value::TextBuffer;

use super::reply_slice;
use super::store::{RUN_BYTES_MAX, Slice};

/// What a range goes by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum By {
    Rank,
    Score,
    Text,
}

/// Which of a family of commands it is: what the others have as options is fixed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Form {
    pub(super) by: Option<By>,
    pub(super) is_reverse: Option<bool>,
    pub(super) is_stored: bool,
}

impl Form {
    /// ZRANGE, which has everything as options.
    pub(super) const ANY: Form = Form { by: None, is_reverse: None, is_stored: false };

    pub(super) const fn fixed(by: By, is_reverse: bool) -> Form {
        Form { by: Some(by), is_reverse: Some(is_reverse), is_stored: false }
    }
}

/// The ends of a range.
#[derive(Clone, Copy)]
enum Ends<'a> {
    /// The first and the last rank; negative ones count from the end.
    Ranks(i64, i64),
    Edges(Edge<'a>, Edge<'a>),
}

/// A range, and how much of it is wanted in which order.
struct Query<'a> {
    ends: Ends<'a>,
    is_reverse: bool,
    with_scores: bool,
    offset: i64,
    /// How many members at most; negative for all.
    limit: i64,
}

impl<'a> Ends<'a> {
    fn parse(by: By, low: &'a [u8], high: &'a [u8]) -> Result<Ends<'a>> {
        Ok(match by {
            By::Rank => {
                let rank = |text| parse_integer(text).ok_or(Error::NotAnInteger);
                Ends::Ranks(rank(low)?, rank(high)?)
            }
            By::Score => {
                let ((low, is_behind), (high, is_before)) = (parse_limit(low)?, parse_limit(high)?);
                Ends::Edges(
                    Edge::Score { score: low, is_behind },
                    Edge::Score { score: high, is_behind: !is_before },
                )
            }
            By::Text => Ends::Edges(parse_text(low, true)?, parse_text(high, false)?),
        })
    }

    /// The ranks between the ends: the first, and how many.
    fn ranks(&self, cx: &Cx<'_>, found: &Found) -> (usize, usize) {
        let len = cx.count_entries(found);
        let (start, end) = match self {
            Ends::Ranks(first, last) => {
                let size = len as i64;
                let from_start =
                    |rank: i64| if rank < 0 { size.saturating_add(rank) } else { rank };
                let (first, last) =
                    (from_start(*first).max(0), from_start(*last).max(-1).min(size - 1));
                (first as usize, (last + 1) as usize)
            }
            Ends::Edges(low, high) => (cx.keys.rank_of(found, low), cx.keys.rank_of(found, high)),
        };
        (start.min(len), end.saturating_sub(start))
    }
}

/// Reads the end of a range by text: `[` includes, `(` excludes, `-` and `+` are beyond all.
fn parse_text(text: &[u8], is_low: bool) -> Result<Edge<'_>> {
    match text {
        [b'-'] | [b'-', 0, ..] => Ok(Edge::Rank(0)),
        [b'+'] | [b'+', 0, ..] => Ok(Edge::Rank(usize::MAX)),
        [b'[', text @ ..] => Ok(Edge::Text { text, is_behind: !is_low }),
        [b'(', text @ ..] => Ok(Edge::Text { text, is_behind: is_low }),
        _ => Err(Error::NotATextRange),
    }
}

impl<'a> Query<'a> {
    /// Reads ends and options. As in Redis the options are looked at first.
    fn parse(args: &mut Args<'a>, form: Form) -> Result<Query<'a>> {
        let (first, second) = (args.required(), args.required());
        let Form { mut by, mut is_reverse, is_stored } = form;
        let (mut with_scores, mut offset, mut limit) = (false, 0, -1);
        while let Some(option) = args.next() {
            match word(option, &["withscores", "limit", "rev", "bylex", "byscore"]) {
                0 if !is_stored => with_scores = true,
                1 if args.len() >= 2 => {
                    offset = parse_integer(args.required()).ok_or(Error::NotAnInteger)?;
                    limit = parse_integer(args.required()).ok_or(Error::NotAnInteger)?;
                }
                2 if is_reverse.is_none() => {
                    is_reverse = Some(true);
                }
                3 if by.is_none() => by = Some(By::Text),
                4 if by.is_none() => by = Some(By::Score),
                _ => return Err(Error::Syntax),
            }
        }
        let (by, is_reverse) = (by.unwrap_or(By::Rank), is_reverse.unwrap_or(false));
        if limit != -1 && by == By::Rank {
            return Err(Error::LimitOfRanks);
        }
        if with_scores && by == By::Text {
            return Err(Error::ScoresOfTexts);
        }
        let is_swapped = is_reverse && by != By::Rank;
        let (low, high) = if is_swapped { (second, first) } else { (first, second) };
        let ends = Ends::parse(by, low, high)?;
        Ok(Query { ends, is_reverse, with_scores, offset, limit })
    }

    /// The part of a sorted set that is wanted.
    fn slice(&self, cx: &Cx<'_>, found: &Found) -> Slice {
        let (mut start, count) = self.ends.ranks(cx, found);
        if matches!(self.ends, Ends::Ranks(..)) && self.is_reverse {
            // Ranks are counted from the other end.
            start = cx.count_entries(found).saturating_sub(start + count);
        }
        let Some(skipped) = usize::try_from(self.offset).ok().filter(|&skip| skip < count) else {
            return Slice::NOTHING;
        };
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let first = if self.is_reverse { start + count - 1 - skipped } else { start + skipped };
        Slice { first, count: (count - skipped).min(limit), is_reverse: self.is_reverse }
    }
}

/// ZRANGE and its sisters.
pub(super) fn zrange(
    cx: &mut Cx<'_>,
    args: &mut Args<'_>,
    reply: &mut dyn Reply,
    form: Form,
) -> Result<()> {
    let key = args.required();
    let query = Query::parse(args, form)?;
    match cx.read(key, Kind::SortedSet)? {
        Some(found) => {
            let slice = query.slice(cx, &found);
            reply_slice(cx, &found, &slice, query.with_scores, reply);
        }
        None => reply.array(0),
    }
    Ok(())
}

/// ZCOUNT and ZLEXCOUNT.
pub(super) fn zcount(
    cx: &mut Cx<'_>,
    args: &mut Args<'_>,
    reply: &mut dyn Reply,
    by: By,
) -> Result<()> {
    let key = args.required();
    let ends = Ends::parse(by, args.required(), args.required())?;
    let found = cx.read(key, Kind::SortedSet)?;
    let count = found.map_or(0, |found| ends.ranks(cx, &found).1);
    reply.integer(count as i64);
    Ok(())
}

/// ZREMRANGEBYRANK and its sisters.
pub(super) fn zremrange(
    cx: &mut Cx<'_>,
    args: &mut Args<'_>,
    reply: &mut dyn Reply,
    by: By,
) -> Result<()> {
    let key = args.required();
    let ends = Ends::parse(by, args.required(), args.required())?;
    let mut target = cx.target(key, Kind::SortedSet)?;
    let mut slice = Slice::NOTHING;
    if let Some(found) = &target.found {
        (slice.first, slice.count) = ends.ranks(cx, found);
    }
    cx.remove_slice(&mut target, &slice)?;
    reply.integer(slice.count as i64);
    Ok(())
}

pub(super) fn zrangestore(
    cx: &mut Cx<'_>,
    args: &mut Args<'_>,
    reply: &mut dyn Reply,
) -> Result<()> {
    let (destination, key) = (args.required(), args.required());
    let query = Query::parse(args, Form { is_stored: true, ..Form::ANY })?;
    let mut slice = Slice::NOTHING;
    let pins = cx.keys.pins.len();
    if let Some(found) = cx.read(key, Kind::SortedSet)? {
        slice = query.slice(cx, &found);
        cx.keys.pins.push(found.addr);
    }
    let lowest = slice.lowest();
    let copied = cx.copy_range(pins, lowest..lowest + slice.count);
    cx.keys.pins.truncate(pins);
    cx.install_scores(destination, copied?)?;
    reply.integer(slice.count as i64);
    Ok(())
}

impl Cx<'_> {
    /// Makes a sorted set of no key of the members of one that is pinned that have these ranks.
    fn copy_range(&mut self, pin: usize, ranks: Range<usize>) -> Result<Target<'static>> {
        let mut result = self.float(Kind::SortedSet)?;
        let copied = self.append_range(&mut result, pin, ranks);
        if copied.is_err() {
            self.sink(&result);
        }
        copied.map(|()| result)
    }

    /// Copies them run by run, of which the first is packed as it stands, as far as it can be.
    fn append_range(
        &mut self,
        result: &mut Target<'_>,
        pin: usize,
        mut ranks: Range<usize>,
    ) -> Result<()> {
        let (mut run, mut text) = ([0; RUN_BYTES_MAX], TextBuffer::new());
        let mut is_first = true;
        while let Some(found) = self.keys.pinned(pin).filter(|_| !ranks.is_empty()) {
            let run_len = self.keys.copy_run(&found, ranks.start, &mut run);
            if run_len == 0 {
                break;
            }
            let run = run.get(..run_len).unwrap_or_default();
            let mut entries = Entries::new(Kind::SortedSet, run);
            if is_first {
                let fits = |entry: &Entry<'_>| {
                    entry.end <= PACKED_BYTES_MAX && apart(entry.name).is_none()
                };
                let packed = entries.clone().take(ranks.len()).take_while(fits);
                let (count, end) = packed.fold((0, 0), |(count, _), entry| (count + 1, entry.end));
                self.pack(result, run.get(..end).unwrap_or_default())?;
                entries = entries.from(end);
                ranks.start += count;
                is_first = false;
            }
            for entry in entries.take(ranks.len()) {
                let member = text.copy(self.keys.text(entry.name))?;
                let place = self.place(result, member);
                self.put_score(result, member, score_of(entry.value), &place)?;
                ranks.start += 1;
            }
        }
        Ok(())
    }

    /// Makes a sorted set of no key of members of one that is pinned: their ranks, and the scores
    /// they are to have.
    #[cfg(feature = "geo")]
    pub(crate) fn copy_members(
        &mut self,
        pin: usize,
        members: impl Iterator<Item = (usize, f64)>,
    ) -> Result<Target<'static>> {
        let mut result = self.float(Kind::SortedSet)?;
        let mut member = TextBuffer::new();
        for (rank, score) in members {
            let Some(found) = self.keys.pinned(pin) else { break };
            let one = Slice { first: rank, count: 1, is_reverse: false };
            let mut copied = Ok(());
            self.keys.members(&found, &one, &mut |name, _| {
                copied = member.copy(self.keys.text(name)).map(|_| ());
            });
            let put = copied.and_then(|()| {
                let place = self.place(&result, member.last());
                self.put_score(&mut result, member.last(), score, &place)
            });
            if let Err(error) = put {
                self.sink(&result);
                return Err(error);
            }
        }
        Ok(result)
    }

    /// Gives a key a sorted set that was made, and tells what it is.
    pub(crate) fn install_scores(&mut self, key: &[u8], made: Target<'_>) -> Result<()> {
        // Of nothing in the place of nothing nobody is told.
        let is_empty = made.found.is_none_or(|found| found.head.stored_len() == 0);
        let changes = !is_empty || self.is_there(key);
        self.install(key, made, NEVER)?;
        if !changes {
            return Ok(());
        }
        self.emit(&["DEL".into(), key.into()]);
        let mut cursor = Cursor::default();
        let found = self.keys.locate(key, self.keys.hash(key));
        if let (Some(found), Some((keys, effects))) = (found, self.listener()) {
            while let Some(entry) = keys.next_entry(&found, &mut cursor) {
                let score = ScoreText::new(score_of(entry.value));
                let (score, member) = (score.as_bytes().into(), keys.text(entry.name));
                effects.effect(&["ZADD".into(), key.into(), score, member]);
            }
        }
        self.grow_index();
        Ok(())
    }
}
