//! What is known, at each instruction, of the addresses that stores use and of the marks that were
//! made: so one mark serves all stores through one pointer.
//!
//! A mark that was made stays for the whole call. So it serves wherever it was made on every way to
//! the current instruction, and its base still has the value that it had: what was marked before a
//! block, an `if` or a loop serves inside and behind them, unless the local is set in between.
//!
//! Invariant: a place in `marked` was marked on every way that leads to the current instruction,
//! and the value that its base names is the same one. A version names one value of a local, from
//! where it is set in the text to where it is set again; behind an `else` or an `end` it may name
//! another value, for which nothing is in `marked`.
//!
//! Not here: any arithmetic on pointers. What was added to one is another base.

use std::collections::HashMap;

use wasmparser::{BinaryReaderError, FunctionBody, Operator};

use super::REACH;

/// Marks that are remembered, the latest ones.
const MARKED_MAX: usize = 32;

/// What an address is counted from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base {
    /// Memory's start. The whole address is then the offset.
    Zero,
    /// What the local held when it had been set so many times.
    Local { index: u32, version: u64 },
}

/// A place that was marked, counted from its base.
struct Mark {
    base: Base,
    place: u64,
    /// How many blocks there were around it.
    depth: u32,
}

pub struct Bases {
    /// Where the operands come from, and what is to be added; `None` is a value not followed.
    operands: Vec<Option<(Base, u64)>>,
    /// The number of the latest change of each local that was set.
    versions: HashMap<u32, u64>,
    latest: u64,
    marked: Vec<Mark>,
    /// Where each local is set, by the numbers of the instructions.
    sets: HashMap<u32, Vec<usize>>,
    /// Where each loop ends, in the order in which they begin, the last one first.
    loop_ends: Vec<usize>,
    /// Which of the blocks around the current instruction are loops.
    blocks: Vec<bool>,
    /// The number of the current instruction.
    number: usize,
}

impl Bases {
    /// For a function of which everything is known but what follows.
    pub fn new(body: &FunctionBody<'_>) -> Result<Self, BinaryReaderError> {
        let mut sets = HashMap::<u32, Vec<usize>>::new();
        let (mut ends, mut open) = (Vec::new(), Vec::new());
        for (number, operator) in body.get_operators_reader()?.into_iter().enumerate() {
            match operator? {
                Operator::LocalSet { local_index } | Operator::LocalTee { local_index } => {
                    sets.entry(local_index).or_default().push(number);
                }
                Operator::Loop { .. } => {
                    open.push(Some(ends.len()));
                    ends.push(0);
                }
                Operator::Block { .. } | Operator::If { .. } => open.push(None),
                Operator::End => {
                    // The last one is the function's own.
                    if let Some(Some(begun)) = open.pop()
                        && let Some(end) = ends.get_mut(begun)
                    {
                        *end = number;
                    }
                }
                _ => {}
            }
        }
        ends.reverse();
        Ok(Self {
            operands: Vec::new(),
            versions: HashMap::new(),
            latest: 0,
            marked: Vec::new(),
            sets,
            loop_ends: ends,
            blocks: Vec::new(),
            number: 0,
        })
    }

    /// The operand below the top one, which is the address of a store: its base, if there is an
    /// instruction that yields it again, and what is to be added to it.
    pub fn address(&self) -> Option<(Base, u64)> {
        let operand = *self.operands.get(self.operands.len().checked_sub(2)?)?;
        operand.filter(|(base, _)| match *base {
            Base::Zero => true,
            Base::Local { index, version } => version == self.version(index),
        })
    }

    /// Whether bytes from `offset` on are in the reach of a mark that was made.
    pub fn is_marked(&self, base: Base, offset: u64, bytes: u64) -> bool {
        let reaches = |place: u64| place <= offset && offset + bytes <= place + REACH;
        self.marked.iter().any(|mark| mark.base == base && reaches(mark.place))
    }

    pub fn set_marked(&mut self, base: Base, place: u64) {
        if self.marked.len() == MARKED_MAX {
            self.marked.remove(0);
        }
        self.marked.push(Mark { base, place, depth: self.blocks.len() as u32 });
    }

    /// Follows one instruction, which takes and gives so many operands, and leaves `height`.
    pub fn step(&mut self, operator: &Operator<'_>, arity: Option<(u32, u32)>, height: u32) {
        let (taken, given) = arity.unwrap_or((height, 0));
        let kept = self.operands.len().saturating_sub(taken as usize);
        self.operands.truncate(kept);
        match *operator {
            Operator::LocalGet { local_index: index } => {
                self.operands.push(Some((self.local(index), 0)));
            }
            Operator::LocalSet { local_index } => self.set(local_index),
            Operator::LocalTee { local_index: index } => {
                self.set(index);
                self.operands.push(Some((self.local(index), 0)));
            }
            Operator::I32Const { value } => {
                self.operands.push(Some((Base::Zero, u64::from(value as u32))));
            }
            Operator::Block { .. } | Operator::If { .. } => self.blocks.push(false),
            Operator::Loop { .. } => self.begin_loop(),
            Operator::Else => self.forget_inside(),
            Operator::End => self.end(),
            _ => self.operands.resize(kept + given as usize, None),
        }
        self.operands.resize(height as usize, None);
        self.number += 1;
    }

    /// A loop may come again with other values of the locals that are set in it.
    fn begin_loop(&mut self) {
        self.blocks.push(true);
        let inside = self.number..self.loop_ends.pop().unwrap_or(usize::MAX);
        let sets = &self.sets;
        let is_set = |index: &u32| {
            sets.get(index).is_some_and(|sets| {
                let first = sets.partition_point(|number| *number < inside.start);
                sets.get(first).is_some_and(|number| inside.contains(number))
            })
        };
        self.marked.retain(|mark| match &mark.base {
            Base::Zero => true,
            Base::Local { index, .. } => !is_set(index),
        });
    }

    /// A branch from anywhere inside of the block leads here, past what was marked there.
    fn forget_inside(&mut self) {
        let depth = self.blocks.len() as u32;
        self.marked.retain(|mark| mark.depth < depth);
    }

    fn end(&mut self) {
        if self.blocks.last() == Some(&true) {
            // Nothing leads behind a loop but its last instruction.
            let depth = self.blocks.len() as u32;
            for mark in self.marked.iter_mut().filter(|mark| mark.depth == depth) {
                mark.depth -= 1;
            }
        } else {
            self.forget_inside();
        }
        self.blocks.pop();
    }

    fn set(&mut self, index: u32) {
        self.latest += 1;
        self.versions.insert(index, self.latest);
    }

    fn version(&self, index: u32) -> u64 {
        self.versions.get(&index).copied().unwrap_or_default()
    }

    fn local(&self, index: u32) -> Base {
        Base::Local { index, version: self.version(index) }
    }
}
