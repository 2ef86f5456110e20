//! Caches that a trace is played to: the engine under each of its policies, exact LRU, and OPT.
//!
//! All hold the same bytes, counted by the sizes in the trace. The engine could not hold values of
//! those sizes, so it holds their sizes in place of values: eight bytes each. Its own budget is
//! large enough never to matter; instead, before an object enters, the engine evicts by its policy
//! (`Cx::evict_simulated`, feature `simulate`) until the object fits. What was evicted it tells
//! through its effects, as always. The policy that goes by size reads it from the value.
//!
//! Not here: reading traces (trace.rs), and the table (benches/hitratio.rs).

use std::collections::BTreeMap;

use ferrite_engine::limits::MEMORY_BYTES_MAX;
use ferrite_engine::{Effects, Expiry, Keyspace, Options, Policy, SetOptions, Value};

use crate::trace::{NEVER, Trace};

/// What was found in a cache, of what was asked for.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Ratios {
    /// Hits for each request.
    pub object: f64,
    /// Bytes found for each byte asked for.
    pub byte: f64,
}

/// A cache of numbered objects. `request` answers whether the object was there, and lets it enter.
trait Cache {
    fn request(&mut self, object: u32, size: u64, next_use: u64) -> bool;
}

/// The engine under a policy.
pub fn engine(trace: &Trace, capacity: u64, policy: Policy) -> Result<Ratios, String> {
    let budget = (64 << 20) + trace.sizes.len() as u64 * 256;
    let max_memory_bytes = budget.min(MEMORY_BYTES_MAX);
    let options = Options { max_memory_bytes, policy, seed: 1, ..Options::default() };
    let keys = Keyspace::new(&options).map_err(|error| error.to_string())?;
    let mut cache = Engine { keys, sizes: &trace.sizes, held: Held::default(), capacity, time: 0 };
    let ratios = play(trace, &mut cache)?;
    if cache.keys.stats().evicted_keys != cache.held.evicted {
        return Err("the engine's own budget was too small for this trace".into());
    }
    Ok(ratios)
}

/// Least recently used, exactly.
pub fn lru(trace: &Trace, capacity: u64) -> Result<Ratios, String> {
    play(trace, &mut Lru::new(trace.sizes.len(), capacity, &trace.sizes))
}

/// OPT (Belady, 1966): what is asked for last goes first, and what would go at once does not enter.
/// No policy hits more often if all objects have one size. If not, it is what knowing the future
/// brings to a policy that is blind to size: one that is not may do better.
pub fn opt(trace: &Trace, capacity: u64) -> Result<Ratios, String> {
    let held = BTreeMap::new();
    play(trace, &mut Opt { held, bytes: 0, capacity, sizes: &trace.sizes, time: 0 })
}

fn play(trace: &Trace, cache: &mut dyn Cache) -> Result<Ratios, String> {
    let (mut hits, mut hit_bytes, mut bytes) = (0u64, 0u128, 0u128);
    trace.play(|object, next_use| {
        let size = trace.sizes[object as usize];
        bytes += u128::from(size);
        if cache.request(object, size, next_use) {
            hits += 1;
            hit_bytes += u128::from(size);
        }
    })?;
    Ok(Ratios { object: hits as f64 / trace.length as f64, byte: hit_bytes as f64 / bytes as f64 })
}

/// The bytes of what the engine holds, kept by listening to its effects.
#[derive(Default)]
struct Held {
    bytes: u64,
    evicted: u64,
}

struct Listener<'a> {
    sizes: &'a [u64],
    held: &'a mut Held,
}

impl Effects for Listener<'_> {
    fn effect(&mut self, arguments: &[Value<'_>]) {
        let &[command, key] = arguments else { return };
        if command.as_slice() == Some(b"DEL") {
            let key = key.as_slice().and_then(|key| key.try_into().ok()).expect("four bytes");
            self.held.bytes -= self.sizes[u32::from_le_bytes(key) as usize];
            self.held.evicted += 1;
        }
    }
}

struct Engine<'a> {
    keys: Keyspace,
    sizes: &'a [u64],
    held: Held,
    capacity: u64,
    time: i64,
}

/// Far enough away never to come.
const DEADLINE: i64 = 1 << 50;

impl Cache for Engine<'_> {
    fn request(&mut self, object: u32, size: u64, _: u64) -> bool {
        let key = object.to_le_bytes();
        // The engine's time is the count of requests, so volatile-ttl lets go in order of arrival.
        self.time += 1;
        let found = self.keys.at(self.time).get(&key).expect("a string").is_some();
        if found || size > self.capacity {
            return found;
        }
        while self.held.bytes + size > self.capacity {
            let mut listener = Listener { sizes: self.sizes, held: &mut self.held };
            if !self.keys.at(self.time).with_effects(&mut listener).evict_simulated() {
                return false;
            }
        }
        let expiry = Expiry::At(DEADLINE + self.time);
        let options = SetOptions { expiry, ..SetOptions::default() };
        let mut listener = Listener { sizes: self.sizes, held: &mut self.held };
        let mut cx = self.keys.at(self.time).with_effects(&mut listener);
        cx.set(&key, &size.to_le_bytes(), &options).expect("room for eight bytes");
        self.held.bytes += size;
        false
    }
}

/// Objects in a ring of links: behind `oldest` the one used last.
struct Lru<'a> {
    /// For each object its neighbours, older and newer; it is its own neighbour while not held.
    links: Vec<[u32; 2]>,
    sizes: &'a [u64],
    bytes: u64,
    capacity: u64,
}

impl<'a> Lru<'a> {
    fn new(object_count: usize, capacity: u64, sizes: &'a [u64]) -> Lru<'a> {
        // One link more than there are objects: where the ring begins and ends.
        let links = (0..=object_count as u32).map(|object| [object, object]).collect();
        Lru { links, sizes, bytes: 0, capacity }
    }

    fn end(&self) -> u32 {
        self.sizes.len() as u32
    }

    fn unlink(&mut self, object: u32) {
        let [older, newer] = self.links[object as usize];
        self.links[older as usize][1] = newer;
        self.links[newer as usize][0] = older;
        self.links[object as usize] = [object, object];
    }
}

impl Cache for Lru<'_> {
    fn request(&mut self, object: u32, size: u64, _: u64) -> bool {
        let found = self.links[object as usize] != [object, object];
        if size > self.capacity {
            return false;
        }
        if found {
            self.unlink(object);
        } else {
            self.bytes += size;
            while self.bytes > self.capacity {
                let oldest = self.links[self.end() as usize][1];
                self.unlink(oldest);
                self.bytes -= self.sizes[oldest as usize];
            }
        }
        let end = self.end();
        let [newest, _] = self.links[end as usize];
        self.links[object as usize] = [newest, end];
        self.links[newest as usize][1] = object;
        self.links[end as usize][0] = object;
        found
    }
}

struct Opt<'a> {
    /// What is held, by when it is asked for again.
    held: BTreeMap<u64, u32>,
    bytes: u64,
    capacity: u64,
    sizes: &'a [u64],
    time: u64,
}

impl Cache for Opt<'_> {
    fn request(&mut self, object: u32, size: u64, next_use: u64) -> bool {
        let found = self.held.remove(&self.time) == Some(object);
        self.time += 1;
        if found {
            self.bytes -= size;
        }
        if next_use != NEVER && size <= self.capacity {
            self.held.insert(next_use, object);
            self.bytes += size;
            while self.bytes > self.capacity {
                let Some((_, last)) = self.held.pop_last() else { break };
                self.bytes -= self.sizes[last as usize];
            }
        }
        found
    }
}
