//! What a stream keeps beside its entries, as items of maps: where the nodes with entries are, its
//! groups, their consumers, and which entries each of them was given and has not acknowledged.
//!
//! | map | key | value |
//! | --- | --- | --- |
//! | nodes | the first id of a node | the position of its page |
//! | members | `GROUP`, name | [`Group`] |
//! | | `CONSUMER`, number of the group, name | number of the consumer |
//! | | `STATE`, number of the group, number of the consumer | [`Consumer`], then the name |
//! | pending | `PENDING`, number of the group, id | [`Pending`] |
//! | | `OWNED`, number of the consumer, id | nothing |
//!
//! Groups and consumers of a stream have numbers of one sequence. Each entry that is pending stands
//! once among those of its group, once among those of its consumer.
//!
//! Not here: the map itself (map/), and what is done with groups (group.rs).

use super::fields::{VARINT_BYTES_MAX, read_varint, varint};
use super::id::{ID_BYTES, Id};
use super::map::Key;
use crate::bytes;
use crate::keyspace::Millis;

pub(super) const GROUP: u8 = 1;
pub(super) const CONSUMER: u8 = 2;
pub(super) const STATE: u8 = 3;
pub(super) const PENDING: u8 = 4;
pub(super) const OWNED: u8 = 5;

/// Bytes of a number, the highest first.
const NUMBER_BYTES: usize = 6;
const PREFIX_BYTES: usize = 1 + NUMBER_BYTES;
/// The highest number.
pub(super) const NUMBER_MAX: u64 = (1 << (8 * NUMBER_BYTES)) - 1;

/// The front of all keys of a kind that belong to a group or a consumer.
pub(super) fn prefix(kind: u8, number: u64) -> [u8; PREFIX_BYTES] {
    let [_, _, a, b, c, d, e, f] = number.to_be_bytes();
    [kind, a, b, c, d, e, f]
}

pub(super) fn group_key(name: &[u8]) -> Key {
    Key::of(&[&[GROUP], name])
}

pub(super) fn consumer_key(group: u64, name: &[u8]) -> Key {
    Key::of(&[&prefix(CONSUMER, group), name])
}

pub(super) fn state_key(group: u64, consumer: u64) -> [u8; PREFIX_BYTES + NUMBER_BYTES] {
    let mut key = [0; PREFIX_BYTES + NUMBER_BYTES];
    bytes::copy(&mut key, &prefix(STATE, group));
    let [_, number @ ..] = prefix(0, consumer);
    bytes::write_at(&mut key, PREFIX_BYTES, &number);
    key
}

/// A key of `PENDING` or `OWNED`.
pub(super) fn entry_key(kind: u8, number: u64, id: Id) -> [u8; PREFIX_BYTES + ID_BYTES] {
    let mut key = [0; PREFIX_BYTES + ID_BYTES];
    bytes::copy(&mut key, &prefix(kind, number));
    bytes::write_at(&mut key, PREFIX_BYTES, &id.to_bytes());
    key
}

/// The id in such a key, if it begins with this prefix.
pub(super) fn id_in(key: &[u8], prefix: &[u8]) -> Option<Id> {
    Some(Id::from_bytes(*key.strip_prefix(prefix)?.first_chunk()?))
}

/// Numbers of eight bytes each, one behind the other.
fn words<const N: usize>(bytes: &[u8]) -> [u64; N] {
    let (chunks, _) = bytes.as_chunks();
    let mut words = [0; N];
    words.iter_mut().zip(chunks).for_each(|(word, chunk)| *word = u64::from_le_bytes(*chunk));
    words
}

fn write_words(target: &mut [u8], words: &[u64]) {
    let (chunks, _) = target.as_chunks_mut();
    chunks.iter_mut().zip(words).for_each(|(chunk, word)| *chunk = word.to_le_bytes());
}

/// A count of entries read that is not known.
pub(super) const UNKNOWN_READ: i64 = -1;

/// A group of consumers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Group {
    pub(super) number: u64,
    /// The last entry that was given to any of them.
    pub(super) last: Id,
    /// Entries up to that one that were ever added, or `UNKNOWN_READ`.
    pub(super) entries_read: i64,
    pub(super) pending: u64,
    pub(super) consumers: u64,
}

pub(super) const GROUP_BYTES: usize = 48;

impl Group {
    pub(super) fn read(bytes: &[u8]) -> Group {
        let [number, ms, seq, entries_read, pending, consumers] = words(bytes);
        let (last, entries_read) = (Id { ms, seq }, entries_read as i64);
        Group { number, last, entries_read, pending, consumers }
    }

    pub(super) fn to_bytes(self) -> [u8; GROUP_BYTES] {
        let Group { number, last, entries_read, pending, consumers } = self;
        let mut bytes = [0; GROUP_BYTES];
        let all = [number, last.ms, last.seq, entries_read as u64, pending, consumers];
        write_words(&mut bytes, &all);
        bytes
    }
}

/// A consumer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Consumer {
    /// When it last asked for something.
    pub(super) seen: Millis,
    pub(super) pending: u64,
}

pub(super) const CONSUMER_BYTES: usize = 16;

impl Consumer {
    pub(super) fn read(bytes: &[u8]) -> Consumer {
        let [seen, pending] = words(bytes);
        Consumer { seen: seen as Millis, pending }
    }

    pub(super) fn to_bytes(self) -> [u8; CONSUMER_BYTES] {
        let mut bytes = [0; CONSUMER_BYTES];
        write_words(&mut bytes, &[self.seen as u64, self.pending]);
        bytes
    }
}

/// An entry that was given to a consumer and is not acknowledged.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Pending {
    /// The number of the consumer.
    pub(super) consumer: u64,
    /// When it was given last, and how often.
    pub(super) time: Millis,
    pub(super) count: u64,
}

impl Pending {
    pub(super) fn read(bytes: &[u8]) -> Option<Pending> {
        let (consumer, a) = read_varint(bytes)?;
        let (count, b) = read_varint(bytes.get(a..)?)?;
        let (time, _) = read_varint(bytes.get(a + b..)?)?;
        Some(Pending { consumer, time: time as Millis, count })
    }

    pub(super) fn write(self) -> ([u8; 3 * VARINT_BYTES_MAX], usize) {
        let mut bytes = [0; 3 * VARINT_BYTES_MAX];
        let mut end = 0;
        for number in [self.consumer, self.count, self.time as u64] {
            let (part, len) = varint(number);
            bytes::write_at(&mut bytes, end, part.get(..len).unwrap_or_default());
            end += len;
        }
        (bytes, end)
    }
}
