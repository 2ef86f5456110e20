//! The memory contract, measured with an allocator that counts what the engine holds.
//! `used_memory` tells the truth, the budget holds at every moment, and nothing is left behind.
//! Only allocations inside calls of the engine count: the test's own values do not.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use ferrite_engine::{Keyspace, Options, Policy, Reply, Value, execute};
use ferrite_tests::op::{Op, Shape};
use ferrite_tests::random::Random;
use ferrite_tests::subject::START_MS;

struct Counting;

thread_local! {
    static IS_COUNTING: Cell<bool> = const { Cell::new(false) };
    static LIVE_BYTES: Cell<i64> = const { Cell::new(0) };
    static PEAK_BYTES: Cell<i64> = const { Cell::new(0) };
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: every call goes to the system's allocator as it came; the counters hold plain numbers
// and never allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as i64);
        // SAFETY: the caller keeps the contract, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as i64));
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

fn count(bytes: i64) {
    if IS_COUNTING.get() {
        LIVE_BYTES.set(LIVE_BYTES.get() + bytes);
        PEAK_BYTES.set(PEAK_BYTES.get().max(LIVE_BYTES.get()));
    }
}

fn counted<T>(work: impl FnOnce() -> T) -> T {
    IS_COUNTING.set(true);
    let result = work();
    IS_COUNTING.set(false);
    result
}

/// Where replies go that nobody reads.
struct Nowhere;

impl Reply for Nowhere {
    fn simple(&mut self, _: &'static str) {}
    fn integer(&mut self, _: i64) {}
    fn bulk(&mut self, _: Value<'_>) {}
    fn null(&mut self) {}
    fn array(&mut self, _: usize) {}
    fn error(&mut self, _: &[&[u8]]) {}
}

const PHASES: &[&[usize]] =
    &[&[100], &[10_000], &[1_000], &[100_000], &[100], &[30_000, 50], &[300]];

#[test]
fn used_memory_is_true_and_the_budget_holds() {
    for (seed, (name, policy)) in (0..).zip(Policy::ALL) {
        for max_memory_bytes in [1 << 20, 8 << 20] {
            let options = Options { max_memory_bytes, policy, seed, ..Options::default() };
            run(&options, name);
        }
    }
}

fn run(options: &Options, name: &str) {
    LIVE_BYTES.set(0);
    PEAK_BYTES.set(0);
    let mut keys = counted(|| Keyspace::new(options)).expect("a keyspace");
    let (mut random, mut now_ms) = (Random::new(options.seed), START_MS);
    let budget = options.max_memory_bytes as i64;
    let bound = budget + (budget / 50).max(512 << 10);
    for (phase, &value_bytes) in PHASES.iter().enumerate() {
        let shape = Shape { keys: 20_000, value_bytes };
        for step in 0..4_000 {
            now_ms += i64::from(random.one_in(10));
            let request = Op::random(&mut random, &shape, now_ms).words();
            let arguments: Vec<&[u8]> = request.iter().map(Vec::as_slice).collect();
            counted(|| execute(&mut keys.at(now_ms), &arguments, &mut Nowhere));
            let at = format!("{name}, {budget} bytes, phase {phase}, step {step}");
            check(&keys, bound, &at);
            if step % 2_000 == 0 {
                compare_two(&mut keys, now_ms);
                check(&keys, bound, &at);
            }
        }
        assert!(keys.stats().used_memory_dataset > 0, "{name}: nothing was stored");
    }
    give_back(&mut keys, now_ms + 10_000_000, name);
    counted(|| drop(keys));
    assert_eq!(LIVE_BYTES.get(), 0, "{name}: a dropped keyspace leaves nothing behind");
}

/// LCS allocates a table for a moment: 300 KB for these.
fn compare_two(keys: &mut Keyspace, now_ms: i64) {
    let text = b"ab".repeat(775);
    let requests: [&[&[u8]]; 3] =
        [&[b"SET", b"one", &text], &[b"SET", b"other", &text], &[b"LCS", b"one", b"other"]];
    for arguments in requests {
        counted(|| execute(&mut keys.at(now_ms), arguments, &mut Nowhere));
    }
}

fn check(keys: &Keyspace, bound: i64, at: &str) {
    let (live, peak) = (LIVE_BYTES.get(), PEAK_BYTES.get());
    // The struct itself counts as used, but lies on this test's stack.
    let used = keys.stats().used_memory as i64 - size_of::<Keyspace>() as i64;
    assert!((used - live).abs() <= used / 100, "{at}: {live} bytes live, {used} are told");
    assert!(peak <= bound, "{at}: {peak} bytes were held, {bound} are the bound");
}

/// What expires is given back, first the keys with a deadline, then everything.
fn give_back(keys: &mut Keyspace, now_ms: i64, name: &str) {
    counted(|| keys.tick(now_ms, usize::MAX));
    assert_eq!(keys.stats().expires, 0, "{name}: one whole turn finds every expired key");
    let arguments: [&[u8]; 1] = [b"FLUSHDB"];
    counted(|| execute(&mut keys.at(now_ms), &arguments, &mut Nowhere));
    let left = LIVE_BYTES.get();
    assert!(left <= 64 << 10, "{name}: an empty keyspace still holds {left} bytes");
}
