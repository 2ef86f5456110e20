//! `scripts/bench memory`: how well the arena is used where nothing may be evicted, while sizes of
//! values change, and what compaction costs.
//! Not here: the memory contract, which `tests/memory.rs` holds.

use std::fs;
use std::process::ExitCode;

use ferrite_engine::{Keyspace, Options, Policy, SetOptions};
use ferrite_tests::random::Random;

const BUDGET_BYTES: u64 = 64 << 20;
const NOW_MS: i64 = 1_700_000_000_000;
const KEYS: usize = 400_000;

/// Sizes of values: each phase writes its own until it has written the budget three times over.
const CASES: &[(&str, &[&[usize]])] = &[
    (
        "churn 100 B, 1 KB, 10 KB in turn",
        &[&[100], &[1_000], &[10_000], &[100], &[10_000], &[1_000]],
    ),
    ("churn 100 B to 10 KB mixed", &[&[100, 1_000, 10_000]]),
    ("churn of any size to 4 KB", &[&[200, 400, 900, 1_700, 2_600]]),
];

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1).filter(|word| word != "--bench");
    let json = match (words.next().as_deref(), words.next()) {
        (None, _) => None,
        (Some("--json"), Some(file)) => Some(file),
        _ => {
            eprintln!("bench memory: only --json FILE is known");
            return ExitCode::FAILURE;
        }
    };
    println!(
        "{:36} {:>12} {:>12} {:>14} {:>12}",
        "64 MB, noeviction", "used, mean", "used, least", "moved / written", "moved, most"
    );
    let mut rows = Vec::new();
    for (name, phases) in CASES {
        let figures = churn(phases);
        println!(
            "{name:36} {:>10.1} % {:>10.1} % {:>15.3} {:>10} B",
            figures.mean * 100.0,
            figures.least * 100.0,
            figures.moved,
            figures.step
        );
        for (metric, unit, value) in [
            ("utilisation_mean", "share", figures.mean),
            ("utilisation_least", "share", figures.least),
            ("moved_for_written", "share", figures.moved),
            ("moved_in_a_step_max", "bytes", figures.step as f64),
        ] {
            let figures = format!(r#""metric": "{metric}", "unit": "{unit}", "ferrite": {value}"#);
            let no_peer = r#""peer": null, "peer_name": null, "ratio": null, "rounds": 1"#;
            rows.push(format!(r#"  {{"case": "{name}", {figures}, {no_peer}}}"#));
        }
    }
    match json.map(|file| fs::write(&file, format!("[\n{}\n]\n", rows.join(",\n")))) {
        Some(Err(error)) => {
            eprintln!("bench memory: {error}");
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    }
}

/// Shares of the used memory that live cells take, whenever a write was refused for want of memory;
/// bytes that compaction moved for each byte written, and at most in one write.
struct Figures {
    mean: f64,
    least: f64,
    moved: f64,
    step: u64,
}

fn churn(phases: &[&[usize]]) -> Figures {
    let options = Options {
        max_memory_bytes: BUDGET_BYTES,
        policy: Policy::NoEviction,
        ..Options::default()
    };
    let mut keys = Keyspace::new(&options).expect("a keyspace");
    let mut random = Random::new(3);
    let (mut sum, mut refusals, mut least) = (0.0, 0, 1.0f64);
    let (mut written, mut step) = (0, 0);
    let value = vec![b'v'; 20_000];
    for sizes in phases {
        let until = written + 3 * BUDGET_BYTES;
        while written < until {
            let size = random.pick(sizes);
            let size = size / 2 + random.below(size);
            let key = format!("key:{}", random.below(KEYS));
            let moved = keys.stats().compacted_bytes;
            let result =
                keys.at(NOW_MS).set(key.as_bytes(), &value[..size], &SetOptions::default());
            step = step.max(keys.stats().compacted_bytes - moved);
            if result.is_ok() {
                written += size as u64;
                continue;
            }
            let stats = keys.stats();
            let share = stats.used_memory_dataset as f64 / stats.used_memory as f64;
            (sum, refusals, least) = (sum + share, refusals + 1, least.min(share));
            for _ in 0..8 {
                let other = format!("key:{}", random.below(KEYS));
                keys.at(NOW_MS).del(other.as_bytes());
            }
        }
    }
    let moved = keys.stats().compacted_bytes as f64 / written as f64;
    Figures { mean: sum / f64::from(refusals), least, moved, step }
}
