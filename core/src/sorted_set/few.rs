//! Few members with their scores: what becomes of small sorted sets, before it is stored.
//!
//! They are packed as in a record, but in the order they came, and put in order in the end: a
//! record that is kept in order would be written anew for each of them.

use crate::limits::PACKED_BYTES_MAX;
use crate::packed::{Entries, Item, Packed, SCORE_BYTES, find_short};
use crate::record::Kind;
use crate::tree::score_of;

/// No entry is shorter than nine bytes.
const ENTRIES_MAX: usize = PACKED_BYTES_MAX / (1 + SCORE_BYTES) + 1;

/// Bytes of entries, as long as they could stand in a record.
pub(super) struct Few {
    bytes: [u8; PACKED_BYTES_MAX],
    len: usize,
}

impl Few {
    pub(super) fn new() -> Few {
        Few { bytes: [0; PACKED_BYTES_MAX], len: 0 }
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    /// Adds a member with its score, or gives it what becomes of its old score and that. `None` if
    /// there is no room for it, or if it stands apart.
    pub(super) fn put(
        &mut self,
        name: Item<'_>,
        score: f64,
        join: impl FnOnce(f64, f64) -> f64,
    ) -> Option<()> {
        let Item::Here(text) = name else { return None };
        let (mut at, mut passed) = (0, 0);
        let named = Packed::new(name);
        if find_short(Kind::SortedSet, self.as_bytes(), text, &mut at, &mut passed)? {
            let place = self.bytes.get_mut(at + named.len()..)?.first_chunk_mut()?;
            *place = join(f64::from_le_bytes(*place), score).to_le_bytes();
            return Some(());
        }
        self.push(named, score)
    }

    fn push(&mut self, named: Packed<'_>, score: f64) -> Option<()> {
        let score = score.to_le_bytes();
        let score = Packed::raw(&score);
        if self.len + named.len() + score.len() > PACKED_BYTES_MAX {
            return None;
        }
        let at = named.write(&mut self.bytes, self.len);
        self.len = score.write(&mut self.bytes, at);
        Some(())
    }

    /// The same in order of score and member.
    pub(super) fn in_order(&self) -> Few {
        let mut places: [(f64, &[u8]); ENTRIES_MAX] = [(0.0, &[]); ENTRIES_MAX];
        let entries = Entries::new(Kind::SortedSet, self.as_bytes());
        let mut count = 0;
        for (place, entry) in places.iter_mut().zip(entries) {
            if let Item::Here(name) = entry.name {
                *place = (score_of(entry.value), name);
            }
            count += 1;
        }
        let places = places.get_mut(..count).unwrap_or_default();
        places.sort_unstable_by(|(a_score, a), (b_score, b)| {
            let by_score = a_score.partial_cmp(b_score);
            by_score.filter(|order| order.is_ne()).unwrap_or_else(|| a.cmp(b))
        });
        let mut ordered = Few::new();
        for (score, name) in places {
            // What they were made of had room for all of them.
            let _ = ordered.push(Packed::new(Item::Here(name)), *score);
        }
        ordered
    }
}
