//! The decoders of what lies in cells, for the fuzz target `records`; only there is it compiled.
//! Invariant: whatever the bytes are, nothing panics.

use crate::compress;
use crate::packed::Entries;
use crate::record::{Head, Kind, PageHead};
#[cfg(feature = "stream")]
use crate::stream;

/// Reads the bytes as everything that bytes in a cell may be.
pub fn decode(cell: &[u8]) {
    if let Some(head) = Head::read(cell) {
        let _ = (head.key(cell), head.object(cell), head.record_bytes());
        walk(head.kind(), head.stored(cell));
    }
    let _ = PageHead::read(cell);
    compress::fuzz_expand(cell);
    #[cfg(feature = "stream")]
    stream::decode(cell);
    for kind in [Kind::Hash, Kind::List, Kind::Set, Kind::SortedSet] {
        walk(kind, cell);
    }
}

/// Entries stand one behind the other and end within the bytes.
fn walk(kind: Kind, bytes: &[u8]) {
    let mut end = 0;
    for entry in Entries::new(kind, bytes) {
        assert!(entry.start == end && entry.end > end && entry.end <= bytes.len());
        end = entry.end;
    }
}
