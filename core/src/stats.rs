//! What a keyspace tells about itself: one table, named as in Redis's INFO where INFO has it.

macro_rules! stats {
    ($($(#[$doc:meta])+ $name:ident $(if $feature:literal)?,)+) => {
        /// Figures of a keyspace at one moment.
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
        pub struct Stats {
            $($(#[cfg(feature = $feature)])? $(#[$doc])+ pub $name: u64,)+
        }

        impl Stats {
            /// Every figure with its name.
            pub fn fields(&self) -> impl ExactSizeIterator<Item = (&'static str, u64)> {
                const NAMES: &[&str] = &[$($(#[cfg(feature = $feature)])? stringify!($name),)+];
                let numbers = [$($(#[cfg(feature = $feature)])? self.$name,)+];
                NAMES.iter().copied().zip(numbers)
            }
        }
    };
}

stats! {
    /// Bytes held for everything: records, index, tables, and what the host holds. Never more
    /// than `maxmemory`.
    used_memory,
    /// Bytes of that in live records and pages.
    used_memory_dataset,
    /// The budget in bytes.
    maxmemory,
    /// Keys, those included that expired and were not yet noticed.
    keys,
    /// Keys of those with a deadline.
    expires,
    /// Reads that found their key.
    keyspace_hits,
    /// Reads that did not.
    keyspace_misses,
    /// Keys dropped because their deadline had passed.
    expired_keys,
    /// Keys dropped to make room.
    evicted_keys,
    /// Values that were not given back at once when they went, but step by step.
    lazily_freed if "effects",
    /// Bytes of records moved to make whole segments free.
    compacted_bytes,
    /// Keys whose value is compressed.
    compressed_keys if "compression",
}
