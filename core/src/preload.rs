//! Looking ahead: what some requests are about to ask for, all of it at once.
//!
//! A lookup waits for memory several times, once for each thing that tells where the next one is:
//! the index, the record, and in a large collection the page and the entry. Whoever knows the next
//! requests already has each of these steps taken for all of them before the next step, and memory
//! delivers them side by side.
//!
//! Nothing comes of it but that. What is looked at may be the wrong thing, if a request is not of
//! the usual form or two hashes are alike: then its own lookup waits as if nothing had been done.

use core::hint::black_box;

use crate::arena::Addr;
use crate::keyspace::Keyspace;
use crate::limits::{PRELOADED_BYTES_MIN, PRELOADED_REQUESTS};
use crate::packed::Item;
use crate::record::{Head, Kind, is_large};
use crate::table::Bucket;

impl Keyspace {
    /// Looks at what some requests are about to ask for. A request is the name of a command and its
    /// arguments, of which the first is taken for the key, and the second or the last for a member.
    pub fn preload(&self, requests: &[&[&[u8]]]) {
        for requests in requests.chunks(PRELOADED_REQUESTS) {
            black_box(self.look_at(requests));
        }
    }

    /// The same of so many at most. What comes back depends on all that was looked at.
    ///
    /// What is to be looked at is worked out for all of them before the first is looked at: loads
    /// that follow each other closely are under way together.
    fn look_at(&self, requests: &[&[&[u8]]]) -> u32 {
        let mut hashes = [0; PRELOADED_REQUESTS];
        let hashes = hashes.get_mut(..requests.len()).unwrap_or_default();
        let (mut last_key, mut last_hash): (&[u8], u64) = (&[], 0);
        for (request, hash) in requests.iter().zip(&mut *hashes) {
            let key = request.get(1).copied().unwrap_or_default();
            if last_key != key {
                (last_key, last_hash) = (key, self.hash(key));
            }
            *hash = last_hash;
        }
        let mut seen = hashes.iter().fold(0, |seen, &hash| seen ^ self.index.glance(hash));
        let mut addrs = [Addr::NONE; PRELOADED_REQUESTS];
        let addrs = addrs.get_mut(..requests.len()).unwrap_or_default();
        for (&hash, addr) in hashes.iter().zip(&mut *addrs) {
            *addr = self.index.likely_addr(hash);
        }
        let mut are_large = false;
        for &addr in &*addrs {
            let flags = self.arena.bytes_from(addr).first().copied().unwrap_or_default();
            are_large |= is_large(flags);
            seen ^= u32::from(flags);
        }
        if are_large { seen ^ self.look_into(requests, addrs) } else { seen }
    }

    /// Looks at the members that requests on large collections are about.
    #[inline(never)]
    fn look_into(&self, requests: &[&[&[u8]]], addrs: &[Addr]) -> u32 {
        let mut buckets = [const { None }; PRELOADED_REQUESTS];
        for ((request, &addr), bucket) in requests.iter().zip(addrs).zip(&mut buckets) {
            *bucket = self.bucket_for(request, addr);
        }
        let buckets = buckets.iter().flatten();
        let mut seen = buckets.clone().fold(0, |seen, bucket| seen ^ bucket.glance_at_tags());
        let mut starts = [0; PRELOADED_REQUESTS];
        for (bucket, start) in buckets.clone().zip(&mut starts) {
            *start = bucket.likely_start();
        }
        for (bucket, start) in buckets.zip(starts) {
            seen ^= bucket.glance_at_entry(start);
        }
        seen
    }

    /// Where the member that a request names belongs, if a large collection is at an address.
    fn bucket_for(&self, request: &[&[u8]], addr: Addr) -> Option<Bucket<'_>> {
        let &[_, _, second, ..] = request else { return None };
        let record = self.arena.bytes_from(addr);
        let head = Head::read(record)?;
        let object = self.objects.get(head.object(record)?)?;
        if object.bytes < PRELOADED_BYTES_MIN {
            return None;
        }
        let name = match head.kind() {
            Kind::Hash | Kind::Set => second,
            // Scores come before members.
            Kind::SortedSet => request.last()?,
            _ => return None,
        };
        Some(self.bucket_of(object, head.kind(), Item::Here(name)))
    }
}
