//! Strings: a file for each thing that is done with them, its methods and then its rows.
//!
//! Invariant: whoever reads or changes a string has found it by `read_string` or `find_string`,
//! since a key may hold another type. SET and its kin take the place of any type.
//!
//! Not here: how a record is written (write.rs).

use crate::error::{Error, Result};
use crate::keyspace::{Cx, Found, Millis};
use crate::record::{Kind, NEVER};
use crate::reply::Reply;
use crate::value::Value;

pub(crate) mod counter;
pub(crate) mod get;
#[cfg(feature = "lcs")]
pub(crate) mod lcs;
pub(crate) mod range;
pub(crate) mod set;

/// Is shown a value that is about to be replaced or dropped, or `None` if there is none.
pub type ShowOld<'f> = &'f mut dyn FnMut(Option<Value<'_>>);

/// What was found, if it is a string or nothing.
#[inline]
fn a_string(found: Option<Found>) -> Result<Option<Found>> {
    match found {
        Some(found) if found.head.kind() != Kind::String => Err(Error::WrongType),
        found => Ok(found),
    }
}

impl Cx<'_> {
    /// Finds a string to change it.
    pub(crate) fn find_string(&mut self, key: &[u8], hash: u64) -> Result<Option<Found>> {
        a_string(self.lookup(key, hash))
    }

    /// Finds a string to read it.
    #[inline]
    pub(crate) fn read_string(&mut self, key: &[u8]) -> Result<Option<Found>> {
        a_string(self.lookup_read(key))
    }

    /// The value of a string that was found; a compressed one is expanded.
    #[inline]
    pub(crate) fn value_of(&mut self, found: Option<Found>) -> Option<Value<'_>> {
        let found = found?;
        if found.head.is_compressed() {
            self.keys.expand(&found);
        }
        Some(self.keys.value(&found))
    }
}

pub(crate) fn deadline_of(found: &Option<Found>) -> Millis {
    found.as_ref().map_or(NEVER, |found| found.head.deadline)
}

/// Answers a value, or that there is none.
fn answer(reply: &mut dyn Reply, value: Option<Value<'_>>) {
    match value {
        Some(value) => reply.bulk(value),
        None => reply.null(),
    }
}
