//! BITOP: strings combined bit by bit. A short one is as long as the longest, with zeros.
//!
//! The inputs are pinned while room is made for the result, which is then written page by page
//! from where they are: nothing is copied but one page at a time.

use core::ops::Range;

use crate::arena::{Addr, PAGE_BYTES};
use crate::bytes;
use crate::command::{Args, word};
use crate::error::{Error, Result};
use crate::keyspace::{Cx, Keyspace};
use crate::object::ObjectId;
use crate::record::{Head, NEVER, PAGE_VALUE_BYTES};
use crate::reply::Reply;
use crate::string::set::SetOptions;
use crate::value::Value;

/// What becomes of the bits.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Operation {
    And,
    Or,
    Xor,
    Not,
}

impl Operation {
    /// Combines a run of bytes with those that are there.
    fn apply(self, target: &mut [u8], run: &[u8]) {
        let pairs = target.iter_mut().zip(run);
        match self {
            Operation::And => pairs.for_each(|(byte, other)| *byte &= other),
            Operation::Or => pairs.for_each(|(byte, other)| *byte |= other),
            Operation::Xor => pairs.for_each(|(byte, other)| *byte ^= other),
            Operation::Not => pairs.for_each(|(byte, other)| *byte = !other),
        }
    }
}

pub(super) fn bitop(cx: &mut Cx<'_>, args: &mut Args<'_>, reply: &mut dyn Reply) -> Result<()> {
    let operation = match word(args.required(), &["and", "or", "xor", "not"]) {
        0 => Operation::And,
        1 => Operation::Or,
        2 => Operation::Xor,
        3 => Operation::Not,
        _ => return Err(Error::Syntax),
    };
    let destination = args.required();
    if operation == Operation::Not && args.len() != 1 {
        return Err(Error::NotOfSeveral);
    }
    let pins = cx.keys.pins.len();
    let stored = cx.store_combined(operation, destination, args);
    cx.keys.pins.truncate(pins);
    reply.integer(stored? as i64);
    Ok(())
}

impl Cx<'_> {
    /// Stores what the strings of these keys make together. Its length.
    fn store_combined<'b>(
        &mut self,
        operation: Operation,
        destination: &[u8],
        sources: impl Iterator<Item = &'b [u8]>,
    ) -> Result<usize> {
        let (first, mut len) = (self.keys.pins.len(), 0);
        for key in sources {
            let mut addr = Addr::NONE;
            if let Some(found) = self.read_string(key)? {
                // Several strings are read side by side, and one at a time is expanded.
                let found = self.make_plain(key, found)?;
                (addr, len) = (found.addr, len.max(self.keys.value(&found).len()));
            }
            self.keys.pins.push(addr);
        }
        let inputs = first..self.keys.pins.len();
        if len == 0 {
            self.del(destination);
        } else if Head::is_large_string(destination.len(), len) {
            let hash = self.keys.hash(destination);
            let found = self.lookup(destination, hash);
            self.put_paged(destination, found, NEVER, len, |keys, id| {
                keys.write_combined(operation, inputs, id, len)
            })?;
            self.emit_set_of(destination, hash);
            self.grow_index();
        } else {
            let mut buffer = [0; PAGE_BYTES];
            let target = buffer.get_mut(..len).unwrap_or_default();
            self.keys.combine(operation, inputs, 0, target);
            self.set(destination, target, &SetOptions::default())?;
        }
        Ok(len)
    }
}

impl Keyspace {
    /// Writes the pages of the result. Whether all of it is ASCII.
    fn write_combined(
        &mut self,
        operation: Operation,
        inputs: Range<usize>,
        result: ObjectId,
        len: usize,
    ) -> bool {
        let (mut buffer, mut is_ascii) = ([0; PAGE_VALUE_BYTES], true);
        for at in (0..len).step_by(PAGE_VALUE_BYTES) {
            let page = buffer.get_mut(..PAGE_VALUE_BYTES.min(len - at)).unwrap_or_default();
            self.combine(operation, inputs.clone(), at, page);
            is_ascii &= self.write_string(result, at, &mut &*page);
        }
        is_ascii
    }

    /// Fills `target` with what the inputs, known by their pins, make from a position on.
    fn combine(&self, operation: Operation, inputs: Range<usize>, at: usize, target: &mut [u8]) {
        let mut is_first = true;
        for pin in inputs {
            let value = self.pinned(pin).map(|found| self.value(&found));
            let part = value.map(|value| value.range(at, target.len()));
            let mut done = 0;
            for run in part.filter(|part| !part.is_empty()).iter().flat_map(Value::parts) {
                let rest = target.get_mut(done..).unwrap_or_default();
                if is_first && operation != Operation::Not {
                    bytes::copy(rest, run);
                } else {
                    operation.apply(rest, run);
                }
                done += run.len();
            }
            // Behind its end there are zeros.
            let rest = target.get_mut(done..).unwrap_or_default();
            match operation {
                Operation::Not => rest.fill(0xff),
                Operation::Or | Operation::Xor if !is_first => {}
                _ => rest.fill(0),
            }
            is_first = false;
        }
    }
}
