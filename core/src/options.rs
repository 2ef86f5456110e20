//! What a keyspace is created with.

use crate::error::{Error, Result};
use crate::limits::{MEMORY_BYTES_MAX, MEMORY_BYTES_MIN};
use crate::num::parse_digits;

/// The options of a keyspace.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Options {
    /// Everything the engine may hold, in bytes: records, index, tables and `host_bytes`.
    pub max_memory_bytes: u64,
    /// What goes when the memory is used up.
    pub policy: Policy,
    /// Seeds the hash of the keys and the random choices. Hosts that face strangers draw it at
    /// random, so that nobody can choose keys that collide.
    pub seed: u64,
    /// What the host itself holds on behalf of the keyspace, such as a scratch area. It counts.
    pub host_bytes: u64,
    /// Whether strings that are not in use are compressed while memory is short.
    /// Takes the feature `compression`.
    pub compression: bool,
}

impl Default for Options {
    /// 32 MiB, nothing evicted, seed 0, nothing compressed.
    fn default() -> Options {
        Options {
            max_memory_bytes: 32 << 20,
            policy: Policy::NoEviction,
            seed: 0,
            host_bytes: 0,
            compression: false,
        }
    }
}

impl Options {
    /// Checks the limits, as [`Keyspace::new`](crate::Keyspace::new) does.
    pub fn validate(&self) -> Result<()> {
        if !self.policy.is_built_in() {
            return Err(Error::UnknownPolicy);
        }
        let usable = self.max_memory_bytes.saturating_sub(self.host_bytes);
        if usable < MEMORY_BYTES_MIN / 2
            || !(MEMORY_BYTES_MIN..=MEMORY_BYTES_MAX).contains(&self.max_memory_bytes)
        {
            return Err(Error::MemoryOutOfRange);
        }
        if self.compression && !cfg!(feature = "compression") {
            return Err(Error::NoCompression);
        }
        Ok(())
    }
}

/// What goes when the memory is used up: Redis's eight policies, and two that hit more often.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Policy {
    /// Nothing: writes that need memory fail.
    NoEviction,
    /// The key unused for longest.
    AllKeysLru,
    /// The key used least often.
    AllKeysLfu,
    /// Any key.
    AllKeysRandom,
    /// Of the keys with a deadline, the one unused for longest.
    VolatileLru,
    /// Of the keys with a deadline, the one used least often.
    VolatileLfu,
    /// Any key with a deadline.
    VolatileRandom,
    /// The key with the nearest deadline.
    VolatileTtl,
    /// S3-FIFO: a new key that is not used soon goes before one that was, and where plain recency
    /// serves better, the key unused for longest.
    AllKeysS3Fifo,
    /// GreedyDual-Size-Frequency: the key that is largest for how often and how lately it was used.
    AllKeysGdsf,
}

impl Policy {
    /// Every policy with its name in the configuration.
    pub const ALL: [(&'static str, Policy); 10] = [
        ("noeviction", Policy::NoEviction),
        ("allkeys-lru", Policy::AllKeysLru),
        ("allkeys-lfu", Policy::AllKeysLfu),
        ("allkeys-random", Policy::AllKeysRandom),
        ("volatile-lru", Policy::VolatileLru),
        ("volatile-lfu", Policy::VolatileLfu),
        ("volatile-random", Policy::VolatileRandom),
        ("volatile-ttl", Policy::VolatileTtl),
        ("allkeys-s3fifo", Policy::AllKeysS3Fifo),
        ("allkeys-gdsf", Policy::AllKeysGdsf),
    ];

    /// Reads a policy's name, in upper or lower case as Redis does.
    pub fn parse(name: &[u8]) -> Result<Policy> {
        let found =
            Policy::ALL.iter().find(|(other, _)| name.eq_ignore_ascii_case(other.as_bytes()));
        found.map(|&(_, policy)| policy).filter(Policy::is_built_in).ok_or(Error::UnknownPolicy)
    }

    /// Whether this build has it: those that learn can be left out.
    fn is_built_in(&self) -> bool {
        cfg!(feature = "learn") || !matches!(self, Policy::AllKeysS3Fifo | Policy::AllKeysGdsf)
    }

    /// Whether it evicts only keys with a deadline.
    pub(crate) fn is_volatile(self) -> bool {
        matches!(
            self,
            Policy::VolatileLru
                | Policy::VolatileLfu
                | Policy::VolatileRandom
                | Policy::VolatileTtl
        )
    }

    /// Whether it remembers what was evicted, to learn from what comes back.
    #[inline]
    pub(crate) fn learns(self) -> bool {
        cfg!(feature = "learn") && matches!(self, Policy::AllKeysS3Fifo | Policy::AllKeysGdsf)
    }

    /// Whether it goes by the last use of a key, or by nothing.
    #[inline]
    pub(crate) fn dates_uses(self) -> bool {
        !self.is_lfu() && !self.learns()
    }

    /// Whether it counts uses instead of dating them.
    #[inline]
    pub(crate) fn is_lfu(self) -> bool {
        matches!(self, Policy::AllKeysLfu | Policy::VolatileLfu)
    }
}

/// Reads a memory size as Redis's configuration does: digits and a unit, of which `k`, `m`, `g`
/// are powers of 1000 and `kb`, `mb`, `gb` powers of 1024, in upper or lower case.
pub fn parse_memory(text: &[u8]) -> Result<u64> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (number, unit) = text.split_at_checked(digits).ok_or(Error::InvalidMemory)?;
    const UNITS: [(&[u8], u64); 8] = [
        (b"", 1),
        (b"b", 1),
        (b"k", 1000),
        (b"kb", 1 << 10),
        (b"m", 1_000_000),
        (b"mb", 1 << 20),
        (b"g", 1_000_000_000),
        (b"gb", 1 << 30),
    ];
    let factor = UNITS.iter().find(|(name, _)| unit.eq_ignore_ascii_case(name));
    let &(_, factor) = factor.ok_or(Error::InvalidMemory)?;
    parse_digits(number)
        .filter(|&count| !number.is_empty() && count <= u64::MAX.checked_div(factor).unwrap_or(0))
        .map(|count| count.wrapping_mul(factor))
        .ok_or(Error::InvalidMemory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_sizes_are_read_as_redis_reads_them() {
        let check = |text: &str, expected: Result<u64>| {
            assert_eq!(parse_memory(text.as_bytes()), expected, "{text:?}");
        };
        check("1048576", Ok(1 << 20));
        check("64mb", Ok(64 << 20));
        check("64MB", Ok(64 << 20));
        check("64m", Ok(64_000_000));
        check("1gb", Ok(1 << 30));
        check("12b", Ok(12));
        for bad in [
            "",
            "mb",
            "-1",
            "1.5mb",
            " 1mb",
            "1 mb",
            "1tb",
            "99999999999999999999",
            "20000000000gb",
        ] {
            check(bad, Err(Error::InvalidMemory));
        }
    }

    #[test]
    fn policies_are_found_by_name() {
        for (name, policy) in Policy::ALL {
            assert_eq!(Policy::parse(name.to_ascii_uppercase().as_bytes()), Ok(policy));
        }
        assert_eq!(Policy::parse(b"lru"), Err(Error::UnknownPolicy));
    }
}
