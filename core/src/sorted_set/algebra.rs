//! What becomes of several sorted sets: ZUNION, ZINTER, ZDIFF, what stores them, ZINTERCARD. Plain
//! sets may be among them; their members have score one.
//!
//! The result is made as a sorted set of no key, whose memory counts like any other's, from inputs
//! that are pinned; then it is stored, or answered and dropped.

use alloc::vec::Vec;

use crate::arena::Addr;
use crate::command::{Args, word};
use crate::error::{Error, Result};
use crate::keyspace::{Cx, Found};
use crate::num::parse_integer;
use crate::packed::{Entry, Item};
use crate::record::Kind;
use crate::reply::Reply;
use crate::score::parse_score;
use crate::table::{Cursor, Target};
use crate::tree::score_of;
use crate::value::TextBuffer;

use super::few::Few;
use super::reply_slice;
use super::store::Slice;

/// What becomes of several sorted sets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Operation {
    Union,
    Intersection,
    Difference,
}

/// What becomes of the scores of a member that several have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Aggregate {
    Sum,
    Min,
    Max,
}

impl Aggregate {
    fn of(self, a: f64, b: f64) -> f64 {
        match self {
            // Opposite infinities make zero.
            Aggregate::Sum => number(a + b),
            Aggregate::Min => {
                if b < a {
                    b
                } else {
                    a
                }
            }
            Aggregate::Max => {
                if b > a {
                    b
                } else {
                    a
                }
            }
        }
    }
}

/// Zero for what is no number; and zero has no sign.
fn number(score: f64) -> f64 {
    if score.is_nan() { 0.0 } else { score + 0.0 }
}

/// Members that are gone through, at most, where what becomes of them may be few.
const WALKED_FEW_MAX: usize = 512;

/// One of the sorted sets, known by its pin.
#[derive(Clone, Copy)]
struct Input {
    pin: usize,
    weight: f64,
    len: usize,
}

/// The inputs, and what is to be made of them.
struct Plan {
    operation: Operation,
    inputs: Vec<Input>,
    aggregate: Aggregate,
    with_scores: bool,
    /// How many members at most are counted.
    limit: usize,
}

/// What is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Purpose {
    Answer,
    Store,
    Count,
}

/// ZUNION, ZINTER and ZDIFF.
pub(super) fn combine(
    cx: &mut Cx<'_>,
    args: &mut Args<'_>,
    reply: &mut dyn Reply,
    operation: Operation,
) -> Result<()> {
    cx.with_plan(args, operation, Purpose::Answer, &mut |cx, plan| {
        let result = cx.make(plan)?;
        let Some(found) = result.found else { return Ok(()) };
        let count = if found.head.stored_len() == 0 { 0 } else { cx.count_entries(&found) };
        let slice = Slice { first: 0, count, is_reverse: false };
        reply_slice(cx, &found, &slice, plan.with_scores, reply);
        cx.sink(&result);
        Ok(())
    })
}

/// ZUNIONSTORE, ZINTERSTORE and ZDIFFSTORE.
pub(super) fn store(
    cx: &mut Cx<'_>,
    args: &mut Args<'_>,
    reply: &mut dyn Reply,
    operation: Operation,
) -> Result<()> {
    let destination = args.required();
    let mut made = None;
    cx.with_plan(args, operation, Purpose::Store, &mut |cx, plan| {
        made = Some(cx.make(plan)?);
        Ok(())
    })?;
    let Some(made) = made else { return Ok(()) };
    let count = made.found.map_or(0, |found| cx.count_entries(&found));
    cx.install_scores(destination, made)?;
    reply.integer(count as i64);
    Ok(())
}

pub(super) fn zintercard(
    cx: &mut Cx<'_>,
    args: &mut Args<'_>,
    reply: &mut dyn Reply,
) -> Result<()> {
    cx.with_plan(args, Operation::Intersection, Purpose::Count, &mut |cx, plan| {
        let (mut count, mut cursor) = (0, Cursor::default());
        while count < plan.limit
            && let Some((entry, found)) = cx.next_of(plan.inputs.first(), &mut cursor)
        {
            count += usize::from(cx.combined_score(plan, &found, &entry).is_some());
        }
        reply.integer(count as i64);
        Ok(())
    })
}

impl Cx<'_> {
    /// Reads inputs and options, and pins the inputs while `run` does its work.
    fn with_plan(
        &mut self,
        args: &mut Args<'_>,
        operation: Operation,
        purpose: Purpose,
        run: &mut dyn FnMut(&mut Cx<'_>, &Plan) -> Result<()>,
    ) -> Result<()> {
        let pins = self.keys.pins.len();
        let plan = self.read_plan(args, operation, purpose, pins);
        let done = plan.and_then(|plan| run(self, &plan));
        self.keys.pins.truncate(pins);
        done
    }

    /// As in Redis the types of the inputs are looked at before the options.
    fn read_plan(
        &mut self,
        args: &mut Args<'_>,
        operation: Operation,
        purpose: Purpose,
        pins: usize,
    ) -> Result<Plan> {
        let count = parse_integer(args.required()).ok_or(Error::NotAnInteger)?;
        if count < 1 {
            return Err(Error::NoInputs);
        }
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let keys = args.take_first(count).ok_or(Error::Syntax)?;
        let mut inputs = Vec::new();
        inputs.try_reserve_exact(count).map_err(|_| Error::OutOfMemory)?;
        for (number, key) in keys.enumerate() {
            let found = self.lookup_read(key);
            let kind = found.map(|found| found.head.kind());
            if !matches!(kind, None | Some(Kind::SortedSet | Kind::Set)) {
                return Err(Error::WrongType);
            }
            let len = found.map_or(0, |found| self.count_entries(&found));
            self.keys.pins.push(found.map_or(Addr::NONE, |found| found.addr));
            inputs.push(Input { pin: pins + number, weight: 1.0, len });
        }
        let (aggregate, with_scores, limit) = (Aggregate::Sum, false, usize::MAX);
        let mut plan = Plan { operation, inputs, aggregate, with_scores, limit };
        plan.read_options(args, purpose)?;
        if operation != Operation::Difference {
            // The smallest first, as in Redis, where that also decides in which order to add.
            plan.inputs.sort_by_key(|input| input.len);
        }
        Ok(plan)
    }

    /// The next entry of a walk through an input.
    fn next_of(&self, input: Option<&Input>, cursor: &mut Cursor) -> Option<(Entry<'_>, Found)> {
        let found = self.keys.pinned(input?.pin)?;
        Some((self.keys.next_entry(&found, cursor)?, found))
    }

    /// The score that a member of the first input has in the intersection, or the difference; none
    /// if it is not in it.
    fn combined_score(&self, plan: &Plan, found: &Found, entry: &Entry<'_>) -> Option<f64> {
        let (first, others) = plan.inputs.split_first()?;
        let own = score_in(found, entry);
        if plan.operation == Operation::Difference {
            let has = |input: &Input| self.score_of_input(input, entry.name).is_some();
            return (!others.iter().any(has)).then_some(own);
        }
        let mut score = number(first.weight * own);
        for input in others {
            let other = self.score_of_input(input, entry.name)?;
            score = plan.aggregate.of(score, other * input.weight);
        }
        Some(number(score))
    }

    fn score_of_input(&self, input: &Input, member: Item<'_>) -> Option<f64> {
        let found = self.keys.pinned(input.pin)?;
        self.keys.find_entry(&found, member).map(|entry| score_in(&found, &entry))
    }

    /// Makes a sorted set of no key.
    fn make(&mut self, plan: &Plan) -> Result<Target<'static>> {
        let mut result = self.float(Kind::SortedSet)?;
        let made = match self.few_scores(plan) {
            Some(few) => self.pack(&mut result, few.in_order().as_bytes()),
            None => self.fill_scores(plan, &mut result),
        };
        if made.is_err() {
            self.sink(&result);
        }
        made.map(|()| result)
    }

    /// All members with their scores, if there are few of them.
    fn few_scores(&self, plan: &Plan) -> Option<Few> {
        let walked = plan.walked();
        if walked.iter().map(|input| input.len).sum::<usize>() > WALKED_FEW_MAX {
            return None;
        }
        let mut few = Few::new();
        for input in walked {
            let Some(found) = self.keys.pinned(input.pin) else { continue };
            for entry in self.keys.walk(&found) {
                if let Some(score) = self.score_of_walked(plan, input, &found, &entry) {
                    few.put(entry.name, score, |old, new| plan.aggregate.of(old, new))?;
                }
            }
        }
        Some(few)
    }

    /// What a member that a walk comes by adds to its score; none if it is not wanted.
    fn score_of_walked(
        &self,
        plan: &Plan,
        input: &Input,
        found: &Found,
        entry: &Entry<'_>,
    ) -> Option<f64> {
        if plan.operation == Operation::Union {
            return Some(number(input.weight * score_in(found, entry)));
        }
        self.combined_score(plan, found, entry)
    }

    fn fill_scores(&mut self, plan: &Plan, result: &mut Target<'_>) -> Result<()> {
        let mut member = TextBuffer::new();
        for input in plan.walked() {
            let mut cursor = Cursor::default();
            while let Some((entry, found)) = self.next_of(Some(input), &mut cursor) {
                let score = self.score_of_walked(plan, input, &found, &entry);
                let Some(mut score) = score else { continue };
                let member = member.copy(self.keys.text(entry.name))?;
                let place = self.place(result, member);
                if let Some(old) = place.score {
                    score = plan.aggregate.of(old, score);
                }
                if place.score != Some(score) {
                    self.put_unordered(result, member, score, &place)?;
                }
            }
        }
        self.put_in_order(result)
    }
}

/// The score of an entry: one in a plain set.
fn score_in(found: &Found, entry: &Entry<'_>) -> f64 {
    if found.head.kind() == Kind::Set { 1.0 } else { score_of(entry.value) }
}

impl Plan {
    /// The inputs that have to be gone through.
    fn walked(&self) -> &[Input] {
        match self.operation {
            Operation::Union => &self.inputs,
            _ => self.inputs.get(..1).unwrap_or_default(),
        }
    }

    fn read_options(&mut self, args: &mut Args<'_>, purpose: Purpose) -> Result<()> {
        let has_scores = self.operation != Operation::Difference && purpose != Purpose::Count;
        while let Some(option) = args.next() {
            match word(option, &["weights", "aggregate", "withscores", "limit"]) {
                0 if has_scores && args.len() >= self.inputs.len() => {
                    for input in &mut self.inputs {
                        input.weight =
                            parse_score(args.required()).ok_or(Error::WeightNotAFloat)?;
                    }
                }
                1 if has_scores => {
                    self.aggregate = match word(args.value()?, &["sum", "min", "max"]) {
                        0 => Aggregate::Sum,
                        1 => Aggregate::Min,
                        2 => Aggregate::Max,
                        _ => return Err(Error::Syntax),
                    };
                }
                2 if purpose == Purpose::Answer => self.with_scores = true,
                3 if purpose == Purpose::Count => {
                    let limit = parse_integer(args.value()?).filter(|&limit| limit >= 0);
                    self.limit = match limit.ok_or(Error::NegativeLimit)? {
                        0 => usize::MAX,
                        limit => usize::try_from(limit).unwrap_or(usize::MAX),
                    };
                }
                _ => return Err(Error::Syntax),
            }
        }
        Ok(())
    }
}
