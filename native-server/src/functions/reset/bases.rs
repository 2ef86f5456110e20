//! What is known, between two joints of a function's control flow, of the addresses that stores use
//! and of the marks that were made: so one mark serves all stores through one pointer.
//!
//! Invariant: a place in `marked` was marked on every way that leads to the current instruction,
//! and the value that its base names is the same one. Where ways join (`loop`, `else`, `end`)
//! everything is forgotten.
//!
//! Not here: any arithmetic on pointers. What was added to one is another base.

use std::collections::HashMap;

use wasmparser::Operator;

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

#[derive(Default)]
pub struct Bases {
    /// Where the operands come from, and what is to be added; `None` is a value not followed.
    operands: Vec<Option<(Base, u64)>>,
    versions: HashMap<u32, u64>,
    /// The number of the latest change, and of the latest joint: locals not set since then have
    /// that one's.
    latest: u64,
    joint: u64,
    marked: Vec<(Base, u64)>,
}

impl Bases {
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
        self.marked.iter().any(|&(of, place)| of == base && reaches(place))
    }

    pub fn set_marked(&mut self, base: Base, place: u64) {
        if self.marked.len() == MARKED_MAX {
            self.marked.remove(0);
        }
        self.marked.push((base, place));
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
            Operator::Loop { .. } | Operator::Else | Operator::End => {
                self.latest += 1;
                self.joint = self.latest;
                self.marked.clear();
            }
            _ => self.operands.resize(kept + given as usize, None),
        }
        self.operands.resize(height as usize, None);
    }

    fn set(&mut self, index: u32) {
        self.latest += 1;
        self.versions.insert(index, self.latest);
    }

    fn version(&self, index: u32) -> u64 {
        self.versions.get(&index).map_or(self.joint, |version| self.joint.max(*version))
    }

    fn local(&self, index: u32) -> Base {
        Base::Local { index, version: self.version(index) }
    }
}
