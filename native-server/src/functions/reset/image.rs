//! What an instance holds before its first call, and setting it back to that.
//!
//! Invariant: after `Reset::reset` said that the instance is as new, its memory and its mutable
//! globals equal the image, and no card is marked.
//!
//! Not here: tables, segments and whatever else a module that qualifies cannot change.

use std::ops::Range;
use std::sync::Arc;

use wasmtime::{AsContextMut, Extern, Global, Instance, Memory, Mutability, Val};

use super::{BLOCK_BYTES, CARD_BITS, CARDS_EXPORT, GLOBAL_PREFIX, MEMORY_EXPORT, REACH};

/// How many cards are looked at together: most of them are never marked.
const CARDS_TOGETHER: usize = size_of::<u64>();

/// The instance is not one of the module from which the image was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the instance is not one of the image's module")]
pub struct Mismatch;

/// The memory and the globals of an instance that was initialised and not called since.
pub struct Image {
    memory: Box<[u8]>,
    globals: Box<[Val]>,
}

impl Image {
    /// To be taken before arguments are placed.
    pub fn take(mut store: impl AsContextMut, instance: &Instance) -> Result<Self, Mismatch> {
        let memory = instance.get_memory(&mut store, MEMORY_EXPORT).ok_or(Mismatch)?;
        let globals = mutable_globals(&mut store, instance);
        Ok(Self {
            memory: memory.data(&store).into(),
            globals: globals.iter().map(|global| global.get(&mut store)).collect(),
        })
    }

    /// What the image occupies.
    pub fn bytes(&self) -> usize {
        self.memory.len() + size_of_val(&*self.globals)
    }
}

/// What is set back of one instance.
pub struct Reset {
    image: Arc<Image>,
    memory: Memory,
    cards: Memory,
    globals: Box<[Global]>,
    /// The marked blocks, while they are set back.
    marked: Vec<usize>,
}

impl Reset {
    /// Brings an instance of the image's module to the image, wherever it is now.
    pub fn new(
        mut store: impl AsContextMut,
        instance: &Instance,
        image: Arc<Image>,
    ) -> Result<Self, Mismatch> {
        let memory = instance.get_memory(&mut store, MEMORY_EXPORT).ok_or(Mismatch)?;
        let cards = instance.get_memory(&mut store, CARDS_EXPORT).ok_or(Mismatch)?;
        let globals = mutable_globals(&mut store, instance);
        let is_alike =
            globals.len() == image.globals.len() && memory.data_size(&store) == image.memory.len();
        if !is_alike {
            return Err(Mismatch);
        }
        memory.data_mut(&mut store).copy_from_slice(&image.memory);
        cards.data_mut(&mut store).fill(0);
        for (global, value) in globals.iter().zip(&image.globals) {
            global.set(&mut store, *value).map_err(|_| Mismatch)?;
        }
        Ok(Self { image, memory, cards, globals, marked: Vec::new() })
    }

    /// Sets the instance back, after a call that returned, in which the host has written to these
    /// ranges. `false`: it cannot be set back, and is to be dropped with its store.
    #[must_use = "an instance that was not set back must not be called again"]
    pub fn reset(&mut self, mut store: impl AsContextMut, written: &[Range<usize>]) -> bool {
        let length = self.image.memory.len();
        if self.memory.data_size(&store) != length {
            return false;
        }
        // One card more than there are blocks: what ends with the memory marks what is behind it.
        let Some(cards) = self.cards.data_mut(&mut store).get_mut(..=length >> CARD_BITS) else {
            return false;
        };
        collect_marked(cards, &mut self.marked);
        let memory = self.memory.data_mut(&mut store);
        for &block in &self.marked {
            let start = length.min(block * BLOCK_BYTES);
            let end = length.min(start + BLOCK_BYTES + REACH as usize);
            copy(&self.image.memory, memory, start..end);
        }
        for range in written {
            let (start, end) = (length.min(range.start), length.min(range.end));
            copy(&self.image.memory, memory, start..end);
        }
        for (global, value) in self.globals.iter().zip(&self.image.globals) {
            // To read one is cheaper, and most are as they were: a stack pointer always.
            let is_changed = bits(&global.get(&mut store)) != bits(value);
            if is_changed && global.set(&mut store, *value).is_err() {
                return false;
            }
        }
        debug_assert!(self.is_as_new(&mut store), "a write was not marked");
        true
    }

    /// Whether the instance equals its image, byte for byte.
    pub fn is_as_new(&self, mut store: impl AsContextMut) -> bool {
        let has_marks = self.cards.data(&store).iter().any(|card| *card != 0);
        let is_memory_equal = *self.memory.data(&store) == *self.image.memory;
        let are_globals_equal =
            self.globals.iter().zip(&self.image.globals).all(|(global, old)| {
                // Bit by bit: a NaN equals itself.
                bits(&global.get(&mut store)) == bits(old)
            });
        !has_marks && is_memory_equal && are_globals_equal
    }
}

/// Nothing, if the range is not in both.
fn copy(from: &[u8], to: &mut [u8], range: Range<usize>) {
    if let (Some(from), Some(to)) = (from.get(range.clone()), to.get_mut(range)) {
        to.copy_from_slice(from);
    }
}

/// Moves the numbers of the marked blocks out of the cards.
fn collect_marked(cards: &mut [u8], marked: &mut Vec<usize>) {
    marked.clear();
    let (groups, rest) = cards.as_chunks_mut::<CARDS_TOGETHER>();
    let behind = groups.len() * CARDS_TOGETHER;
    for (group, cards) in groups.iter_mut().enumerate() {
        let mut word = u64::from_le_bytes(*cards);
        if word == 0 {
            continue;
        }
        *cards = [0; CARDS_TOGETHER];
        while word != 0 {
            let card = word.trailing_zeros() / 8;
            marked.push(group * CARDS_TOGETHER + card as usize);
            word &= !(0xff << (card * 8));
        }
    }
    for (card, is_marked) in rest.iter_mut().enumerate() {
        if *is_marked != 0 {
            marked.push(behind + card);
            *is_marked = 0;
        }
    }
}

/// In the order of the module's exports, which is the same for all of its instances.
fn mutable_globals(mut store: impl AsContextMut, instance: &Instance) -> Box<[Global]> {
    let exports: Vec<_> = instance
        .exports(&mut store)
        .filter(|export| export.name().starts_with(GLOBAL_PREFIX))
        .map(|export| export.into_extern())
        .collect();
    let globals = exports.into_iter().filter_map(Extern::into_global);
    globals.filter(|global| global.ty(&store).mutability() == Mutability::Var).collect()
}

fn bits(value: &Val) -> Option<u128> {
    match value {
        Val::I32(value) => Some(*value as u128),
        Val::I64(value) => Some(*value as u128),
        Val::F32(bits) => Some(u128::from(*bits)),
        Val::F64(bits) => Some(u128::from(*bits)),
        Val::V128(bits) => Some(bits.as_u128()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mark_is_found_and_taken_back() {
        for len in [1, 7, 8, 9, 65, 200] {
            for step in [1, 3, 8, 13] {
                let mut cards: Vec<u8> = (0..len)
                    .map(|card| if card % step == 0 { 1 + card as u8 } else { 0 })
                    .collect();
                let mut marked = vec![99];
                collect_marked(&mut cards, &mut marked);
                assert_eq!(marked, (0..len).step_by(step).collect::<Vec<_>>());
                assert!(cards.iter().all(|card| *card == 0));
            }
        }
    }
}
