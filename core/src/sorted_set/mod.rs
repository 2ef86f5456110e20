//! Sorted sets: ZADD, ZSCORE, ZRANK, ZREM, ZPOPMIN and their kin.
//!
//! Not here: how members are stored (store.rs), ranges (range.rs), what becomes of several sorted
//! sets (algebra.rs), and the rows of the command table (rows.rs).

mod algebra;
mod few;
mod range;
mod rows;
mod store;

use crate::command::{Args, word};
use crate::error::{Error, Result};
use crate::keyspace::{Cx, Found};
use crate::num::{Digits, parse_count, parse_integer};
use crate::packed::{Item, SCORE_BYTES};
use crate::random::draws;
use crate::record::Kind;
use crate::reply::Reply;
use crate::score::{ScoreText, as_score, parse_score};
use crate::string::set::Condition;
use crate::table::Target;
use crate::tree::{Edge, score_of};
use crate::value::Value;

pub(crate) use store::Slice;

pub(crate) use rows::COMMANDS;

/// When ZADD gives a member its score: if all conditions hold that are set.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct AddOptions {
    /// NX, XX: only if it is not there, or only if it is.
    pub condition: Condition,
    /// GT: if it is there, only if the new score is higher.
    pub if_higher: bool,
    /// LT: if it is there, only if the new score is lower.
    pub if_lower: bool,
}

/// What ZADD did.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Added {
    /// The options did not allow it.
    Refused,
    /// The member had that score already.
    Same(f64),
    /// It has another score now.
    Changed(f64),
    /// It was not there, and now is.
    New(f64),
}

impl Cx<'_> {
    /// ZADD: gives a member of a sorted set a score.
    ///
    /// # Errors
    /// [`Error::NotAFloat`] for a score that is no number.
    pub fn zadd(
        &mut self,
        key: &[u8],
        score: f64,
        member: &[u8],
        options: &AddOptions,
    ) -> Result<Added> {
        let score = as_score(score).ok_or(Error::NotAFloat)?;
        self.add_one(key, score, member, options, false)
    }

    /// ZINCRBY: adds to the score of a member, which starts at zero. The sum.
    ///
    /// # Errors
    /// [`Error::NotANumber`] for the sum of two opposite infinities.
    pub fn zincr_by(&mut self, key: &[u8], change: f64, member: &[u8]) -> Result<Added> {
        let change = as_score(change).ok_or(Error::NotAFloat)?;
        self.add_one(key, change, member, &AddOptions::default(), true)
    }

    fn add_one(
        &mut self,
        key: &[u8],
        score: f64,
        member: &[u8],
        options: &AddOptions,
        is_increment: bool,
    ) -> Result<Added> {
        let mut target = self.target(key, Kind::SortedSet)?;
        let added = self.add(&mut target, score, member, options, is_increment)?;
        self.grow_index();
        Ok(added)
    }

    /// ZADD for one member, and its effect.
    pub(crate) fn add(
        &mut self,
        target: &mut Target<'_>,
        score: f64,
        member: &[u8],
        options: &AddOptions,
        is_increment: bool,
    ) -> Result<Added> {
        let place = self.place(target, member);
        let old = place.score;
        let is_wanted = match options.condition {
            Condition::Always => true,
            Condition::IfAbsent => old.is_none(),
            Condition::IfPresent => old.is_some(),
        };
        if !is_wanted {
            return Ok(Added::Refused);
        }
        let added = match old {
            None => Added::New(score),
            Some(old) => {
                let sum = if is_increment { as_score(old + score) } else { Some(score) };
                let score = sum.ok_or(Error::NotANumber)?;
                if options.if_higher && score <= old || options.if_lower && score >= old {
                    return Ok(Added::Refused);
                }
                if score == old { Added::Same(score) } else { Added::Changed(score) }
            }
        };
        if let Added::New(score) | Added::Changed(score) = added {
            self.put_score(target, member, score, &place)?;
            self.emit_score(target.key, member.into(), score);
        }
        Ok(added)
    }

    fn emit_score(&mut self, key: &[u8], member: Value<'_>, score: f64) {
        if self.is_heard() {
            let score = ScoreText::new(score);
            self.emit(&["ZADD".into(), key.into(), score.as_bytes().into(), member]);
        }
    }

    /// ZREM: takes members out of a sorted set. How many were there.
    pub fn zrem<'b>(
        &mut self,
        key: &[u8],
        members: impl Iterator<Item = &'b [u8]>,
    ) -> Result<usize> {
        let mut target = self.target(key, Kind::SortedSet)?;
        let mut removed = 0;
        for member in members {
            if self.remove_member(&mut target, Item::Here(member))? {
                removed += 1;
                self.emit(&["ZREM".into(), key.into(), member.into()]);
            }
        }
        Ok(removed)
    }

    /// ZCARD: how many members a sorted set has.
    pub fn zcard(&mut self, key: &[u8]) -> Result<usize> {
        let found = self.read(key, Kind::SortedSet)?;
        Ok(found.map_or(0, |found| self.count_entries(&found)))
    }

    /// ZSCORE: the score of a member.
    pub fn zscore(&mut self, key: &[u8], member: &[u8]) -> Result<Option<f64>> {
        let found = self.read(key, Kind::SortedSet)?;
        Ok(found.and_then(|found| self.keys.score_in(&found, Item::Here(member))))
    }

    /// ZRANK: how many members come before one, and its score.
    pub fn zrank(&mut self, key: &[u8], member: &[u8]) -> Result<Option<(usize, f64)>> {
        let found = self.read(key, Kind::SortedSet)?;
        Ok(found.and_then(|found| self.rank(&found, member)))
    }

    fn rank(&self, found: &Found, member: &[u8]) -> Option<(usize, f64)> {
        let name = Item::Here(member);
        let score = self.keys.score_in(found, name)?;
        Some((self.keys.rank_of(found, &Edge::Member(score, name)), score))
    }

    /// Takes the members of a slice out. What it was is one effect: their ranks.
    fn remove_slice(&mut self, target: &mut Target<'_>, slice: &Slice) -> Result<()> {
        if slice.count == 0 {
            return Ok(());
        }
        let lowest = slice.lowest();
        for _ in 0..slice.count {
            self.remove_rank(target, lowest)?;
        }
        if self.is_heard() {
            let first = Digits::of_unsigned(lowest as u64);
            let last = Digits::of_unsigned((lowest + slice.count - 1) as u64);
            let (first, last) = (first.as_bytes().into(), last.as_bytes().into());
            self.emit(&["ZREMRANGEBYRANK".into(), target.key.into(), first, last]);
        }
        Ok(())
    }

    /// The members that ZPOPMIN, or ZPOPMAX, takes.
    fn end_slice(&self, found: &Found, count: usize, is_max: bool) -> Slice {
        let len = self.count_entries(found);
        let first = if is_max { len.saturating_sub(1) } else { 0 };
        Slice { first, count: count.min(len), is_reverse: is_max }
    }
}

fn reply_score(reply: &mut dyn Reply, score: f64) {
    reply.double(ScoreText::new(score).as_bytes().into());
}

/// Answers the members of a slice, each with its score if wanted.
fn reply_slice(
    cx: &Cx<'_>,
    found: &Found,
    slice: &Slice,
    with_scores: bool,
    reply: &mut dyn Reply,
) {
    if with_scores {
        reply.pairs(slice.count);
    } else {
        reply.array(slice.count);
    }
    cx.keys.members(found, slice, &mut |name, score| {
        if with_scores {
            reply.pair();
        }
        reply.bulk(cx.keys.text(name));
        if with_scores {
            reply_score(reply, score);
        }
    });
}

/// What ZADD's options say.
#[derive(Clone, Copy, Default)]
struct AddRequest {
    options: AddOptions,
    counts_changes: bool,
    is_increment: bool,
}

impl AddRequest {
    /// Reads the options, and leaves scores and members.
    fn parse(args: &mut Args<'_>, is_increment: bool) -> Result<AddRequest> {
        let mut request = AddRequest { is_increment, ..AddRequest::default() };
        let (mut if_absent, mut if_present) = (false, false);
        let mut rest = args.clone();
        while let Some(option) = rest.next() {
            match word(option, &["nx", "xx", "gt", "lt", "ch", "incr"]) {
                0 => if_absent = true,
                1 => if_present = true,
                2 => request.options.if_higher = true,
                3 => request.options.if_lower = true,
                4 => request.counts_changes = true,
                5 => request.is_increment = true,
                _ => break,
            }
            *args = rest.clone();
        }
        if args.len() == 0 || !args.len().is_multiple_of(2) {
            return Err(Error::Syntax);
        }
        if if_absent && if_present {
            return Err(Error::AddNxXxConflict);
        }
        let conditions = [if_absent, request.options.if_higher, request.options.if_lower];
        if conditions.into_iter().filter(|&is_set| is_set).count() > 1 {
            return Err(Error::AddGtLtNxConflict);
        }
        if request.is_increment && args.len() > 2 {
            return Err(Error::IncrementOfSeveral);
        }
        request.options.condition = match (if_absent, if_present) {
            (true, _) => Condition::IfAbsent,
            (_, true) => Condition::IfPresent,
            _ => Condition::Always,
        };
        Ok(request)
    }
}

/// ZADD, and ZINCRBY, which comes without options.
fn zadd(
    cx: &mut Cx<'_>,
    args: &mut Args<'_>,
    reply: &mut dyn Reply,
    is_increment: bool,
) -> Result<()> {
    let key = args.required();
    let AddRequest { options, counts_changes, is_increment } =
        AddRequest::parse(args, is_increment)?;
    // All scores are read before the first is given.
    let mut bytes = 0;
    for (score, member) in args.pairs() {
        parse_score(score).ok_or(Error::NotAFloat)?;
        bytes += 2 * (member.len() + SCORE_BYTES + 1);
    }
    let mut target = cx.target(key, Kind::SortedSet)?;
    cx.reserve_entries(&mut target, bytes)?;
    let (mut new, mut changed, mut last) = (0, 0, None);
    for (score, member) in args.pairs() {
        let score = parse_score(score).ok_or(Error::NotAFloat)?;
        let added = cx.add(&mut target, score, member, &options, is_increment)?;
        new += i64::from(matches!(added, Added::New(_)));
        changed += i64::from(matches!(added, Added::Changed(_)));
        if let Added::New(score) | Added::Changed(score) | Added::Same(score) = added {
            last = Some(score);
        }
    }
    cx.grow_index();
    match last {
        _ if !is_increment => reply.integer(if counts_changes { new + changed } else { new }),
        Some(score) => reply_score(reply, score),
        None => reply.null(),
    }
    Ok(())
}

fn zmscore(cx: &mut Cx<'_>, args: &mut Args<'_>, reply: &mut dyn Reply) -> Result<()> {
    let found = cx.read(args.required(), Kind::SortedSet)?;
    reply.array(args.len());
    for member in args {
        match found.and_then(|found| cx.keys.score_in(&found, Item::Here(member))) {
            Some(score) => reply_score(reply, score),
            None => reply.null(),
        }
    }
    Ok(())
}

/// ZRANK and ZREVRANK.
fn zrank(
    cx: &mut Cx<'_>,
    args: &mut Args<'_>,
    reply: &mut dyn Reply,
    is_reverse: bool,
) -> Result<()> {
    let (key, member) = (args.required(), args.required());
    let with_score = match (args.next(), args.len()) {
        (None, _) => false,
        (Some(option), 0) if word(option, &["withscore"]) == 0 => true,
        (Some(_), 0) => return Err(Error::Syntax),
        _ => return Err(Error::WrongArity),
    };
    let found = cx.read(key, Kind::SortedSet)?;
    let Some((found, (rank, score))) =
        found.and_then(|found| Some((found, cx.rank(&found, member)?)))
    else {
        if with_score {
            reply.null_array();
        } else {
            reply.null();
        }
        return Ok(());
    };
    let rank = if is_reverse { cx.count_entries(&found) - 1 - rank } else { rank };
    if with_score {
        reply.array(2);
    }
    reply.integer(rank as i64);
    if with_score {
        reply_score(reply, score);
    }
    Ok(())
}

/// ZPOPMIN and ZPOPMAX.
fn zpop(cx: &mut Cx<'_>, args: &mut Args<'_>, reply: &mut dyn Reply, is_max: bool) -> Result<()> {
    let key = args.required();
    let count = args.next();
    if args.len() > 0 {
        return Err(Error::Syntax);
    }
    let is_single = count.is_none();
    let count = count.map_or(Some(1), parse_count).ok_or(Error::NotPositive)?;
    let mut target = cx.target(key, Kind::SortedSet)?;
    let Some(found) = target.found else {
        reply.array(0);
        return Ok(());
    };
    let slice = cx.end_slice(&found, count, is_max);
    if is_single {
        // One member and its score are no list of pairs, in any protocol.
        reply.array(2);
        cx.keys.members(&found, &slice, &mut |name, score| {
            reply.bulk(cx.keys.text(name));
            reply_score(reply, score);
        });
    } else {
        reply_slice(cx, &found, &slice, true, reply);
    }
    cx.remove_slice(&mut target, &slice)
}

fn zmpop(cx: &mut Cx<'_>, args: &mut Args<'_>, reply: &mut dyn Reply) -> Result<()> {
    let count = parse_count(args.required());
    let count = count.filter(|&count| count > 0).ok_or(Error::NoKeys)?;
    let keys = args.take_first(count).ok_or(Error::Syntax)?;
    let is_max = match word(args.value()?, &["min", "max"]) {
        0 => false,
        1 => true,
        _ => return Err(Error::Syntax),
    };
    let mut count = None;
    while let Some(option) = args.next() {
        if word(option, &["count"]) > 0 || count.is_some() {
            return Err(Error::Syntax);
        }
        let wanted = parse_count(args.value()?);
        count = Some(wanted.filter(|&count| count > 0).ok_or(Error::CountNotPositive)?);
    }
    for key in keys {
        let mut target = cx.target(key, Kind::SortedSet)?;
        let Some(found) = target.found else { continue };
        let slice = cx.end_slice(&found, count.unwrap_or(1), is_max);
        reply.array(2);
        reply.bulk(key.into());
        reply.array(slice.count);
        cx.keys.members(&found, &slice, &mut |name, score| {
            reply.array(2);
            reply.bulk(cx.keys.text(name));
            reply_score(reply, score);
        });
        return cx.remove_slice(&mut target, &slice);
    }
    reply.null_array();
    Ok(())
}

fn zrandmember(cx: &mut Cx<'_>, args: &mut Args<'_>, reply: &mut dyn Reply) -> Result<()> {
    let key = args.required();
    let (mut count, mut with_scores) = (None, false);
    if let Some(text) = args.next() {
        let wanted = parse_integer(text).ok_or(Error::NotAnInteger)?;
        if wanted == i64::MIN {
            return Err(Error::OutOfRange);
        }
        with_scores = match args.next() {
            None => false,
            Some(option) if args.len() == 0 && word(option, &["withscores"]) == 0 => true,
            _ => return Err(Error::Syntax),
        };
        if with_scores && !(-i64::MAX / 2..=i64::MAX / 2).contains(&wanted) {
            return Err(Error::ValueOutOfRange);
        }
        count = Some(wanted);
    }
    let Some(found) = cx.read(key, Kind::SortedSet)? else {
        if count.is_some() {
            reply.array(0);
        } else {
            reply.null();
        }
        return Ok(());
    };
    let Some(count) = count else {
        show_random(cx, &found, false, reply);
        return Ok(());
    };
    let begin = |reply: &mut dyn Reply, count| {
        if with_scores {
            reply.pairs(count);
        } else {
            reply.array(count);
        }
    };
    if count < 0 {
        let count = draws(count)?;
        begin(reply, count);
        (0..count).for_each(|_| show_random(cx, &found, with_scores, reply));
        return Ok(());
    }
    let count = usize::try_from(count).unwrap_or(usize::MAX).min(cx.count_entries(&found));
    begin(reply, count);
    cx.sample(&found, count, &mut |keys, entry| {
        if with_scores {
            reply.pair();
        }
        reply.bulk(keys.text(entry.name));
        if with_scores {
            reply_score(reply, score_of(entry.value));
        }
    });
    Ok(())
}

fn show_random(cx: &mut Cx<'_>, found: &Found, with_score: bool, reply: &mut dyn Reply) {
    let at = cx.random_entry(found);
    let Some(entry) = at.and_then(|at| cx.keys.next_entry(found, &mut { at })) else { return };
    if with_score {
        reply.pair();
    }
    reply.bulk(cx.keys.text(entry.name));
    if with_score {
        reply_score(reply, score_of(entry.value));
    }
}
