//! `scripts/bench collections`: large collections beside what the standard library and `hashbrown`
//! offer for the same: sets and maps of boxed strings, a `VecDeque` of them, and for sorted sets a
//! map of scores beside a `BTreeSet`.
//!
//! All run in one process in turn, round by round; times are of the CPU, so that a busy neighbour
//! only widens the spread. Each round fills a collection twice: once to time all additions
//! together, once to time each alone. Losing rows are printed like the others.
//!
//! A loop of lookups that do not depend on each other lets the processor begin the next ones while
//! it waits for memory; a lookup of few instructions gains most by that. So HGET is also measured
//! one by one: which field is next depends on the value read before, as if requests came in turn.
//!
//! Not here: small collections, and many of them.

mod report;

use std::cmp::Ordering;
use std::collections::{BTreeSet, VecDeque};
use std::hint::black_box;

use ferrite_engine::{AddOptions, Keyspace, Options, Reply, Value, execute};
use hashbrown::{HashMap, HashSet};
use report::{cpu_time_of, resident_bytes, row, save, short, title};

const NAME_BYTES: usize = 16;
const VALUE: [u8; 16] = *b"more than a word";
const KEY: &[u8] = b"collection";

type Boxed = Box<[u8]>;
type Name = [u8; NAME_BYTES];

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let is_quick = arguments.iter().any(|argument| argument == "--quick");
    let (size, rounds) = if is_quick { (20_000, 3) } else { (1_000_000, 5) };
    let work = Work::new(size);
    title();
    let mut rows = Vec::new();
    // First of all, while what the process holds is not blurred by what it has freed.
    rows.extend(overheads::<FerriteSet, HashSet<Boxed>>(&work));
    rows.extend(overheads::<FerriteHash, HashMap<Boxed, Boxed>>(&work));
    rows.extend(overheads::<FerriteList, VecDeque<Boxed>>(&work));
    rows.extend(overheads::<FerriteSorted, PeerSorted>(&work));
    rows.extend(compare::<FerriteSet, HashSet<Boxed>>(&work, rounds));
    rows.extend(compare::<FerriteHash, HashMap<Boxed, Boxed>>(&work, rounds));
    rows.extend(compare::<FerriteList, VecDeque<Boxed>>(&work, rounds));
    rows.extend(compare::<FerriteSorted, PeerSorted>(&work, rounds));
    save(&arguments, &rows);
}

/// A collection of one kind, ours or a peer's.
trait Collection {
    /// What it is called: a peer by its crate or type, ours by the commands that add and look.
    const NAMES: [&str; 2];
    /// Bytes of a member that are no overhead.
    const PAYLOAD_BYTES: usize = NAME_BYTES;
    /// How many times fewer lookups than members.
    const LOOK_DIVISOR: usize = 1;
    /// Whether a lookup tells a byte that was stored.
    const TELLS: bool = false;

    /// An empty one, to get so many members.
    fn new(size: usize) -> Self;
    fn add(&mut self, name: &Name);
    /// Looks for a member, or takes one out, and tells a byte of what it found, which is `TOLD`.
    fn look(&mut self, name: &Name) -> Option<u8>;
    /// Bytes held, if it can tell.
    fn held_bytes(&self) -> Option<f64> {
        None
    }
}

/// The byte that lookups tell: the first of members and of values.
const TOLD: u8 = b'm';

/// What is added, and what is looked for.
struct Work {
    names: Vec<Name>,
    order: Vec<usize>,
}

/// Nanoseconds of CPU for each operation; microseconds for single additions.
struct Times {
    add: f64,
    look: f64,
    look_in_turn: f64,
    slow_add: f64,
    slowest_add: f64,
}

impl Work {
    fn new(size: usize) -> Work {
        let names = (0..size).map(|number| {
            format!("member:{number:09}").as_bytes().try_into().expect("sixteen bytes")
        });
        let mut state = 1u64;
        let order = (0..size).map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) as usize % size
        });
        Work { names: names.collect(), order: order.collect() }
    }

    fn run<C: Collection>(&self) -> Times {
        // What was freed before, malloc tidies up in its next large allocation: this one.
        drop(black_box(Vec::<u8>::with_capacity(100_000)));
        let count = self.names.len() as f64;
        let mut collection = C::new(self.names.len());
        let add = cpu_time_of(|| self.names.iter().for_each(|name| collection.add(name)));
        let order = &self.order[..self.order.len() / C::LOOK_DIVISOR];
        let look = cpu_time_of(|| {
            let hits = order.iter().filter(|&&i| collection.look(&self.names[i]) == Some(TOLD));
            assert_eq!(hits.count(), order.len(), "all are there");
        });
        let mut told = TOLD;
        let turns = if C::TELLS { order } else { &[] };
        let look_in_turn = cpu_time_of(|| {
            for &i in turns {
                let name = &self.names[i + usize::from(told ^ TOLD)];
                told = collection.look(name).expect("all are there");
            }
        });
        let [look, look_in_turn] = [look, look_in_turn].map(|time| time / order.len() as f64);
        drop(collection);
        let mut collection = C::new(self.names.len());
        let mut each: Vec<f64> =
            self.names.iter().map(|name| cpu_time_of(|| collection.add(name))).collect();
        each.sort_by(f64::total_cmp);
        let slowest_add = each.last().copied().unwrap_or_default() / 1000.0;
        let slow_add = each[each.len() * 999 / 1000] / 1000.0;
        Times { add: add / count, look, look_in_turn, slow_add, slowest_add }
    }
}

fn compare<Ours: Collection, Peer: Collection>(work: &Work, rounds: usize) -> Vec<String> {
    let times: Vec<(Times, Times)> =
        (0..rounds).map(|_| (work.run::<Ours>(), work.run::<Peer>())).collect();
    let size = short(work.names.len());
    let ([add, look], [peer_name, _]) = (Ours::NAMES, Peer::NAMES);
    let line = |case: &str, metric: &str, pick: fn(&Times) -> f64| {
        let pairs: Vec<(f64, f64)> = times.iter().map(|(a, b)| (pick(a), pick(b))).collect();
        row(&format!("native {case} {size}"), metric, peer_name, &pairs)
    };
    let mut rows =
        vec![line(add, "cpu_ns", |times| times.add), line(look, "cpu_ns", |times| times.look)];
    if Ours::TELLS {
        let case = format!("{look} one by one");
        rows.push(line(&case, "cpu_ns", |times| times.look_in_turn));
    }
    rows.extend([
        line(add, "p999_us", |times| times.slow_add),
        line(&format!("longest {add}"), "cpu_us", |times| times.slowest_add),
    ]);
    rows
}

/// Bytes beyond the members, for each: ours by what the engine says it holds (a test compares that
/// with the allocator), a peer's by what the process grows by.
fn overheads<Ours: Collection, Peer: Collection>(work: &Work) -> Vec<String> {
    let count = work.names.len() as f64;
    let mut ours = Ours::new(work.names.len());
    work.names.iter().for_each(|name| ours.add(name));
    let held = ours.held_bytes().expect("the engine knows");
    let before = resident_bytes();
    let mut peer = Peer::new(work.names.len());
    work.names.iter().for_each(|name| peer.add(name));
    let grown = resident_bytes() - before;
    // Kept, as are those after it, so that none of them finds freed memory to grow into.
    std::mem::forget((ours, peer));
    let pair = [held, grown].map(|bytes| bytes / count - Ours::PAYLOAD_BYTES as f64);
    let [add, _] = Ours::NAMES;
    let case = format!("native member of {add} {}", short(work.names.len()));
    vec![row(&case, "overhead_bytes", Peer::NAMES[0], &[(pair[0], pair[1])])]
}

fn keyspace() -> Keyspace {
    let options = Options { max_memory_bytes: 128 << 20, seed: 7, ..Options::default() };
    Keyspace::new(&options).expect("options in range")
}

struct FerriteSet(Keyspace);

impl Collection for FerriteSet {
    const NAMES: [&str; 2] = ["SADD", "SISMEMBER"];

    fn new(_: usize) -> Self {
        FerriteSet(keyspace())
    }

    fn add(&mut self, name: &Name) {
        let added = self.0.at(1).sadd(KEY, [&name[..]].into_iter());
        assert_eq!(added, Ok(1), "a new member");
    }

    fn look(&mut self, name: &Name) -> Option<u8> {
        self.0.at(1).sismember(KEY, name).expect("a set").then_some(TOLD)
    }

    fn held_bytes(&self) -> Option<f64> {
        Some(self.0.stats().used_memory as f64)
    }
}

impl Collection for HashSet<Boxed> {
    const NAMES: [&str; 2] = ["hashbrown", "hashbrown"];

    fn new(_: usize) -> Self {
        HashSet::default()
    }

    fn add(&mut self, name: &Name) {
        self.insert(Box::new(*name));
    }

    fn look(&mut self, name: &Name) -> Option<u8> {
        self.contains(&name[..]).then_some(TOLD)
    }
}

struct FerriteHash(Keyspace);

impl Collection for FerriteHash {
    const NAMES: [&str; 2] = ["HSET", "HGET"];
    const PAYLOAD_BYTES: usize = NAME_BYTES + VALUE.len();
    const TELLS: bool = true;

    fn new(_: usize) -> Self {
        FerriteHash(keyspace())
    }

    fn add(&mut self, name: &Name) {
        let added = self.0.at(1).hset(KEY, [(&name[..], &VALUE[..])].into_iter());
        assert_eq!(added, Ok(1), "a new field");
    }

    fn look(&mut self, name: &Name) -> Option<u8> {
        let mut cx = self.0.at(1);
        let value = cx.hget(KEY, name).expect("a hash");
        value.and_then(|value| value.as_slice()).map(|bytes| black_box(bytes[0]))
    }

    fn held_bytes(&self) -> Option<f64> {
        Some(self.0.stats().used_memory as f64)
    }
}

impl Collection for HashMap<Boxed, Boxed> {
    const NAMES: [&str; 2] = ["hashbrown", "hashbrown"];
    const TELLS: bool = true;

    fn new(_: usize) -> Self {
        HashMap::default()
    }

    fn add(&mut self, name: &Name) {
        self.insert(Box::new(*name), Box::new(VALUE));
    }

    fn look(&mut self, name: &Name) -> Option<u8> {
        self.get(&name[..]).map(|bytes| black_box(bytes[0]))
    }
}

struct FerriteList(Keyspace);

impl Collection for FerriteList {
    const NAMES: [&str; 2] = ["RPUSH", "LPOP"];

    fn new(_: usize) -> Self {
        FerriteList(keyspace())
    }

    fn add(&mut self, name: &Name) {
        self.0.at(1).rpush(KEY, &[name]).expect("room");
    }

    fn look(&mut self, _: &Name) -> Option<u8> {
        let mut told = None;
        let show = &mut |_, value: Value<'_>| {
            told = value.as_slice().map(|bytes| black_box(bytes[0]));
        };
        self.0.at(1).lpop(KEY, 1, show).expect("a list");
        told
    }

    fn held_bytes(&self) -> Option<f64> {
        Some(self.0.stats().used_memory as f64)
    }
}

impl Collection for VecDeque<Boxed> {
    const NAMES: [&str; 2] = ["VecDeque", "VecDeque"];

    fn new(_: usize) -> Self {
        VecDeque::new()
    }

    fn add(&mut self, name: &Name) {
        self.push_back(Box::new(*name));
    }

    fn look(&mut self, _: &Name) -> Option<u8> {
        self.pop_front().map(|bytes| black_box(bytes[0]))
    }
}

/// Members of a range.
const RANGE: usize = 100;
/// Sizes are products of twos and fives, with which this has no factor in common: so scores are
/// ranks, each once, in no order.
const STRIDE: usize = 618_033;

/// A member's score, which is its rank too, in a sorted set of so many.
fn rank(name: &Name, size: usize) -> usize {
    let digits = name.iter().filter(|byte| byte.is_ascii_digit());
    digits.fold(0, |number, digit| number * 10 + usize::from(digit - b'0')) * STRIDE % size
}

struct FerriteSorted {
    keys: Keyspace,
    size: usize,
}

impl Collection for FerriteSorted {
    const NAMES: [&str; 2] = ["ZADD", "ZRANGE of 100"];
    const PAYLOAD_BYTES: usize = NAME_BYTES + size_of::<f64>();
    const LOOK_DIVISOR: usize = 10;

    fn new(size: usize) -> Self {
        FerriteSorted { keys: keyspace(), size }
    }

    fn add(&mut self, name: &Name) {
        let score = rank(name, self.size) as f64;
        self.keys.at(1).zadd(KEY, score, name, &AddOptions::default()).expect("room");
    }

    fn look(&mut self, name: &Name) -> Option<u8> {
        let start = rank(name, self.size).min(self.size - RANGE);
        let (first, last) = (start.to_string(), (start + RANGE - 1).to_string());
        let words = [&b"ZRANGE"[..], KEY, first.as_bytes(), last.as_bytes()];
        let mut members = Members::default();
        execute(&mut self.keys.at(1), &words, &mut members);
        assert_eq!(members.count, RANGE, "a whole range");
        members.told
    }

    fn held_bytes(&self) -> Option<f64> {
        Some(self.keys.stats().used_memory as f64)
    }
}

/// Counts the members of a reply, and looks at each.
#[derive(Default)]
struct Members {
    count: usize,
    told: Option<u8>,
}

impl Members {
    fn take(&mut self, member: &[u8]) {
        self.count += 1;
        self.told = member.first().copied().map(black_box);
    }
}

impl Reply for Members {
    fn bulk(&mut self, value: Value<'_>) {
        value.as_slice().into_iter().for_each(|member| self.take(member));
    }

    fn simple(&mut self, text: &'static str) {
        panic!("{text}");
    }

    fn integer(&mut self, number: i64) {
        panic!("{number}");
    }

    fn null(&mut self) {
        panic!("null");
    }

    fn array(&mut self, _: usize) {}

    fn error(&mut self, parts: &[&[u8]]) {
        panic!("{}", String::from_utf8_lossy(&parts.concat()));
    }
}

/// A score in order: none of them is no number.
#[derive(PartialEq, Clone, Copy)]
struct Score(f64);

impl Eq for Score {}

impl PartialOrd for Score {
    fn partial_cmp(&self, other: &Score) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Score {
    fn cmp(&self, other: &Score) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

/// A sorted set as one would make it: scores by member, and members by score.
struct PeerSorted {
    scores: HashMap<Boxed, f64>,
    members: BTreeSet<(Score, Boxed)>,
    size: usize,
}

impl Collection for PeerSorted {
    const NAMES: [&str; 2] = ["BTreeSet", "BTreeSet"];
    const LOOK_DIVISOR: usize = 10;

    fn new(size: usize) -> Self {
        PeerSorted { scores: HashMap::default(), members: BTreeSet::new(), size }
    }

    fn add(&mut self, name: &Name) {
        let score = rank(name, self.size) as f64;
        if let Some(old) = self.scores.insert(Box::new(*name), score) {
            self.members.remove(&(Score(old), Box::new(*name)));
        }
        self.members.insert((Score(score), Box::new(*name)));
    }

    fn look(&mut self, name: &Name) -> Option<u8> {
        let start = rank(name, self.size).min(self.size - RANGE) as f64;
        let mut members = Members::default();
        let range = self.members.range((Score(start), Boxed::default())..);
        range.take(RANGE).for_each(|(_, member)| members.take(member));
        assert_eq!(members.count, RANGE, "a whole range");
        members.told
    }
}
