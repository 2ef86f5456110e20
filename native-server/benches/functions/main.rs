//! `scripts/bench functions`: functions in WebAssembly beside the same algorithm in Rust, in Lua
//! and in LuaJIT, then `FCALL` beside redis-server's Lua functions.
//!
//! In process (guest.rs): a call of the example's module, built with the flags that stand beside
//! it, with an instance that is set back after it, with a new instance for each call, and the same
//! Rust as native code, built as this bench is. All work on one store, a hash map; the Lua programs
//! on a table. Deadlines are on. Nothing of a server is in it.
//! End to end (server.rs): CPU time that a server spends on a call, all threads, as the kernel
//! counts it, under redis-benchmark; the servers on one core and the load on another. And what
//! others wait for while a function takes long (neighbour.rs).
//!
//! Candidates take turns, round by round. Not here: judging replies, but for a look at each sum.

#[path = "../../../examples-functions/json-aggregate/src/document.rs"]
mod document;
mod guest;
mod lua;
mod native;
mod neighbour;
#[expect(dead_code, reason = "not every bench needs all of it")]
#[path = "../../../tests/benches/process/mod.rs"]
mod process;
#[expect(dead_code, reason = "not every bench needs all of it")]
#[path = "../../../tests/benches/report/mod.rs"]
mod report;
mod server;

use guest::{Guest, Kind};
use lua::Lua;
use native::Native;
use report::{cpu_time_of, row, save, title};

/// Keys that are counted in turn.
const KEYS: usize = 1000;
/// Items in the documents that are summed: of 3.9 KB, and of 1.4 KB.
const ITEMS: [(&str, usize); 2] = [("json isolated", 100), ("json isolated 1.4 KB", 36)];

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let is_quick = arguments.iter().any(|argument| argument == "--quick");
    let (rounds, divisor) = if is_quick { (3, 20) } else { (9, 1) };
    title();
    let mut rows = rate_limits(rounds, 200_000 / divisor);
    for (case, items) in ITEMS {
        rows.extend(sums(case, &document_of(items), rounds, 20_000 / divisor));
    }
    rows.extend(instances(rounds, 20_000 / divisor));
    rows.extend(server::compare(if is_quick { 1 } else { 5 }, 400_000 / divisor));
    rows.extend(neighbour::compare(if is_quick { 1 } else { 5 }));
    save(&arguments, &rows);
}

/// A function by one way of running it, so many times; nanoseconds of CPU for each.
type Candidate = (String, Box<dyn FnMut(usize) -> f64>);

/// The first beside each of the others.
fn compare(case: &str, rounds: usize, calls: usize, candidates: &mut [Candidate]) -> Vec<String> {
    let count = candidates.len();
    let mut figures = vec![Vec::new(); count];
    // The first round warms up.
    for round in 0..=rounds {
        for turn in 0..count {
            let number = (round + turn) % count;
            let cpu_ns = candidates[number].1(calls);
            if round > 0 {
                figures[number].push(cpu_ns);
            }
        }
    }
    let ours = figures[0].clone();
    let others = candidates.iter().zip(&figures).skip(1);
    others
        .map(|((name, _), theirs)| {
            let pairs: Vec<_> = ours.iter().copied().zip(theirs.iter().copied()).collect();
            row(case, "cpu_ns", name, &pairs)
        })
        .collect()
}

/// A candidate that runs here.
fn timed(name: &str, mut call: impl FnMut(usize) + 'static) -> Candidate {
    let run = move |calls: usize| {
        let total = cpu_time_of(|| (0..calls).for_each(&mut call));
        total / calls as f64
    };
    (name.into(), Box::new(run))
}

fn rate_limits(rounds: usize, calls: usize) -> Vec<String> {
    let keys: Vec<String> = (0..KEYS).map(|number| format!("api:user:{number:06}")).collect();
    let of_guest = |name: &str, kind| {
        let (mut guest, keys) = (Guest::new("rate_limit", kind), keys.clone());
        timed(name, move |number| {
            let reply = guest.rate_limit(&keys[number % KEYS], i64::MAX, 60);
            assert!(reply.starts_with(b":"), "{}", String::from_utf8_lossy(&reply));
        })
    };
    let of_native = || {
        let (mut native, keys) = (Native::default(), keys.clone());
        timed("native", move |number| {
            let reply = native.rate_limit(&keys[number % KEYS], i64::MAX, 60);
            assert!(reply.starts_with(b":"));
        })
    };
    let mut rows = Vec::new();
    for (case, kind, other, other_kind) in [
        ("rate_limit reset", Kind::Reset, "fresh", Kind::Fresh),
        ("rate_limit fresh", Kind::Fresh, "reset", Kind::Reset),
    ] {
        let mut candidates = vec![of_guest("wasm", kind), of_guest(other, other_kind), of_native()];
        candidates.extend(Lua::found().into_iter().map(|lua| lua.rate_limit()));
        rows.extend(compare(case, rounds, calls, &mut candidates));
    }
    rows
}

/// The seeds' document: an array of so many items with a number to sum.
fn document_of(items: usize) -> String {
    let item = |number: usize| {
        format!("{{\"id\":{number},\"name\":\"item{number}\",\"value\":{}.5}}", number * 7 % 100)
    };
    format!("{{\"items\":[{}]}}", (0..items).map(item).collect::<Vec<_>>().join(","))
}

fn sums(case: &str, json: &str, rounds: usize, calls: usize) -> Vec<String> {
    let mut native = Native::default();
    native.set("doc", json);
    let expected = native.json_sum("doc", "total");
    let of_guest = |name: &str, kind| {
        let mut guest = Guest::new("json_aggregate", kind);
        guest.set("doc", json);
        timed(name, move |_| {
            let reply = guest.json_sum("doc", "total");
            assert_eq!(reply, format!(",{expected}\r\n").as_bytes());
        })
    };
    let mut candidates = vec![
        of_guest("wasm", Kind::Reset),
        of_guest("fresh", Kind::Fresh),
        timed("native", move |_| assert_eq!(native.json_sum("doc", "total"), expected)),
    ];
    candidates.extend(Lua::found().into_iter().map(|lua| lua.json_sum(json, expected)));
    compare(case, rounds, calls, &mut candidates)
}

/// What a clean instance costs, without a call: one that is set back, or a new one.
fn instances(rounds: usize, calls: usize) -> Vec<String> {
    let clean = |name: &str, kind| {
        let mut guest = Guest::new("rate_limit", kind);
        timed(name, move |_| guest.clean())
    };
    let mut candidates = [clean("reset", Kind::Reset), clean("fresh", Kind::Fresh)];
    compare("clean instance", rounds, calls, &mut candidates)
}
