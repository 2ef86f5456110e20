//! What a key holds, kept outside so that it can be put back: for hosts that undo.
//!
//! Invariant: after [`Cx::put_back`] a key has the value and the deadline that it had when
//! [`Cx::keep`] kept them, or is not there if it was not. How it was used is not kept.

use alloc::vec::Vec;
use core::ops::Range;

use crate::dump::RestoreOptions;
use crate::error::{Error, Result};
use crate::keyspace::{Cx, Millis};
use crate::record::{Kind, NEVER};

/// What a key held. Its bytes stand in the buffer that it was kept in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Kept {
    /// The key was not there.
    Absent,
    /// A string: where its bytes are, and its deadline.
    Text(Range<usize>, Millis),
    /// Any other value, as a payload for RESTORE: where it is, and the deadline.
    Payload(Range<usize>, Millis),
}

impl Cx<'_> {
    /// Keeps what a key holds behind what is in `buffer`. An expired key is dropped first, which is
    /// a change that has happened. `None`, and nothing kept, if it takes more than `bytes_max`.
    pub fn keep(&mut self, key: &[u8], bytes_max: usize, buffer: &mut Vec<u8>) -> Option<Kept> {
        let Some(found) = self.lookup(key, self.keys.hash(key)) else { return Some(Kept::Absent) };
        let (start, deadline) = (buffer.len(), found.head.deadline);
        if found.head.is_compressed() {
            self.keys.expand(&found);
        }
        if found.head.kind() == Kind::String {
            let value = self.keys.value(&found);
            if value.len() > bytes_max {
                return None;
            }
            value.parts().for_each(|part| buffer.extend_from_slice(part));
            return Some(Kept::Text(start..buffer.len(), deadline));
        }
        if self.payload_bytes(&found) > bytes_max {
            return None;
        }
        self.write_payload(&found, buffer);
        Some(Kept::Payload(start..buffer.len(), deadline))
    }

    /// Puts back what [`keep`](Cx::keep) kept in `buffer`.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`]; [`Error::BadPayload`] if `buffer` is another.
    pub fn put_back(&mut self, key: &[u8], kept: &Kept, buffer: &[u8]) -> Result<()> {
        let bytes = |range: &Range<usize>| buffer.get(range.clone()).ok_or(Error::BadPayload);
        match kept {
            Kept::Absent => {
                self.del(key);
                Ok(())
            }
            Kept::Text(range, deadline) => self.put_string(key, bytes(range)?, *deadline),
            Kept::Payload(range, deadline) => {
                let deadline = (*deadline != NEVER).then_some(*deadline);
                self.restore(
                    key,
                    bytes(range)?,
                    &RestoreOptions { replaces: true, deadline, ..RestoreOptions::default() },
                )
            }
        }
    }
}
