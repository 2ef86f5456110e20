//! Where the changes go.
//!
//! Each change of the keyspace leaves as one command that does the same again: absolute times,
//! outcomes instead of conditions. A key that expired or was evicted leaves as DEL. Replaying all
//! effects in order on an empty keyspace with policy `noeviction` gives the same keyspace, if it
//! is done at a time that is not ahead of the last effect's: time 0 always serves, since nothing
//! expires by itself then.

use crate::Value;

/// Why a key goes that nobody deletes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cause {
    /// Its deadline has passed.
    Expired,
    /// It made room.
    Evicted,
}

/// A sink for effects: a log, a replica, nothing.
pub trait Effects {
    /// One change, as a command and its arguments. Called right after it happened.
    fn effect(&mut self, arguments: &[Value<'_>]);

    /// Nobody asked for the next effect, a DEL. Who only wants to do the same again need not care.
    fn cause(&mut self, _: Cause) {}

    /// A command found nothing to change, but Redis tells of its key as if it had. Who only wants
    /// to do the same again need not care.
    fn touched(&mut self, _key: &[u8]) {}

    /// A command looked for a key that its request does not name, and there is none.
    fn missed(&mut self, _key: &[u8]) {}
}
