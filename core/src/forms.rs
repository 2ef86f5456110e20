//! Where values take another form, as far as whoever runs the engine may say so: the settings of
//! Redis that clients can tell by what they get, not only by the memory it takes.
//!
//! Invariant: none is above what the engine's structures allow; `limits.rs` has those.
//! Not here: when collections are packed, which is the engine's own affair.

use crate::keyspace::Keyspace;
#[cfg(feature = "hyperloglog")]
use crate::limits::{SPARSE_SKETCH_BYTES, SPARSE_SKETCH_BYTES_MAX};
#[cfg(feature = "stream")]
use crate::limits::{STREAM_NODE_BYTES_MAX, STREAM_NODE_ENTRIES_MAX};

/// Where values take another form.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Forms {
    /// A sparse HyperLogLog that would get longer becomes dense (`hll-sparse-max-bytes`).
    #[cfg(feature = "hyperloglog")]
    pub sparse_sketch_bytes: usize,
    /// A node of a stream takes no entry beyond so many (`stream-node-max-entries`); a rough trim
    /// drops whole nodes. None stands for as many as there can be.
    #[cfg(feature = "stream")]
    pub stream_node_entries: usize,
    /// The same in bytes (`stream-node-max-bytes`).
    #[cfg(feature = "stream")]
    pub stream_node_bytes: usize,
}

impl Forms {
    /// What they are unless they were set: Redis's defaults.
    pub const DEFAULT: Forms = Forms {
        #[cfg(feature = "hyperloglog")]
        sparse_sketch_bytes: SPARSE_SKETCH_BYTES,
        #[cfg(feature = "stream")]
        stream_node_entries: STREAM_NODE_ENTRIES_MAX,
        #[cfg(feature = "stream")]
        stream_node_bytes: STREAM_NODE_BYTES_MAX,
    };

    /// Entries that a node of a stream takes.
    #[cfg(feature = "stream")]
    pub(crate) fn node_entries(&self) -> usize {
        match self.stream_node_entries {
            0 => STREAM_NODE_ENTRIES_MAX,
            entries => entries,
        }
    }

    /// Bytes that a node of a stream takes, if there is more than one entry in it.
    #[cfg(feature = "stream")]
    pub(crate) fn node_bytes(&self) -> usize {
        match self.stream_node_bytes {
            0 => STREAM_NODE_BYTES_MAX,
            bytes => bytes,
        }
    }
}

impl Keyspace {
    /// Where its values take another form.
    pub fn forms(&self) -> Forms {
        self.forms
    }

    /// Has values that are written from now on take another form elsewhere. What is beyond the
    /// engine's own limits is taken for these.
    pub fn set_forms(&mut self, forms: Forms) {
        self.forms = Forms {
            #[cfg(feature = "hyperloglog")]
            sparse_sketch_bytes: forms.sparse_sketch_bytes.min(SPARSE_SKETCH_BYTES_MAX),
            #[cfg(feature = "stream")]
            stream_node_entries: forms.stream_node_entries.min(STREAM_NODE_ENTRIES_MAX),
            #[cfg(feature = "stream")]
            stream_node_bytes: forms.stream_node_bytes.min(STREAM_NODE_BYTES_MAX),
        };
    }
}
