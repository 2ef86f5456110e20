//! `scripts/bench hitratio`: what share of a trace's requests each policy of the engine serves,
//! beside exact LRU and OPT.
//! Not here: how a trace is read (`src/trace.rs`), how caches are driven (`src/simulation.rs`).

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use ferrite_engine::{Policy, parse_memory};
use ferrite_tests::simulation::{self, Ratios};
use ferrite_tests::trace::{Format, Trace};

struct Arguments {
    trace: PathBuf,
    format: Format,
    policies: Vec<(&'static str, Policy)>,
    sizes: Vec<String>,
    json: Option<PathBuf>,
}

fn main() -> ExitCode {
    match Arguments::read(std::env::args().skip(1)).and_then(|arguments| run(&arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench hitratio: {error}");
            ExitCode::FAILURE
        }
    }
}

impl Arguments {
    fn read(mut words: impl Iterator<Item = String>) -> Result<Arguments, String> {
        let (mut trace, mut format, mut json) = (None, None, None);
        let (mut policies, mut sizes) = ("all".to_string(), "1%,5%".to_string());
        while let Some(word) = words.next() {
            // Cargo adds this one itself.
            if word == "--bench" {
                continue;
            }
            let mut value = || words.next().ok_or(format!("{word} needs a value"));
            match word.as_str() {
                "--trace" => trace = Some(PathBuf::from(value()?)),
                "--format" => format = Some(Format::parse(&value()?)?),
                "--policy" => policies = value()?,
                "--size" => sizes = value()?,
                "--json" => json = Some(PathBuf::from(value()?)),
                _ => return Err(format!("unknown argument {word}")),
            }
        }
        let trace = trace.ok_or("--trace FILE is missing")?;
        let named = |name: &str| {
            let found = Policy::ALL.into_iter().find(|(other, _)| *other == name);
            found.ok_or(format!("unknown policy {name}"))
        };
        let policies = match policies.as_str() {
            "all" => Policy::ALL.to_vec(),
            names => names.split(',').map(named).collect::<Result<_, _>>()?,
        };
        let format = format.unwrap_or(Format::of(&trace));
        let sizes: Vec<String> = sizes.split(',').map(String::from).collect();
        // A mistake here should not wait for the whole trace to be read.
        sizes.iter().try_for_each(|size| capacity(size, 0).map(drop))?;
        Ok(Arguments { trace, format, policies, sizes, json })
    }
}

/// The bytes that a size stands for: a share of the footprint, or a size of memory.
fn capacity(size: &str, footprint: u64) -> Result<u64, String> {
    let wrong = || format!("{size} is no size: a share as 1% or 0.5%, or bytes as 64mb");
    let Some(percent) = size.strip_suffix('%') else {
        return parse_memory(size.as_bytes()).ok().filter(|&bytes| bytes > 0).ok_or_else(wrong);
    };
    let percent: f64 = percent.parse().map_err(|_| wrong())?;
    let is_share = percent > 0.0 && percent <= 100.0;
    is_share.then(|| ((footprint as f64 * percent / 100.0) as u64).max(1)).ok_or_else(wrong)
}

fn run(arguments: &Arguments) -> Result<(), String> {
    let trace = Trace::open(&arguments.trace, arguments.format)?;
    let name = arguments.trace.file_name().map_or_else(String::new, |name| escaped(name.as_ref()));
    let (objects, footprint) = (trace.sizes.len(), trace.footprint());
    println!("{name}: {} requests, {objects} objects, {footprint} bytes", trace.length);
    println!(
        "{:<40} {:<18} {:>8} {:>8} {:>8} {:>7} {:>7}",
        "case", "metric", "ferrite", "lru", "opt", "ratio", "points"
    );
    let mut rows = Vec::new();
    for size in &arguments.sizes {
        let bytes = capacity(size, footprint)?;
        let lru = simulation::lru(&trace, bytes)?;
        let opt = simulation::opt(&trace, bytes)?;
        for &(policy_name, policy) in &arguments.policies {
            let ferrite = simulation::engine(&trace, bytes, policy)?;
            let case = format!("{name} {policy_name} {size}");
            for (metric, pick) in METRICS {
                rows.extend(row(&case, metric, [ferrite, lru, opt].map(pick)));
            }
        }
    }
    let Some(path) = &arguments.json else { return Ok(()) };
    std::fs::write(path, format!("[\n{}\n]\n", rows.join(",\n")))
        .map_err(|error| format!("{}: {error}", path.display()))
}

type Metric = (&'static str, fn(Ratios) -> f64);

const METRICS: [Metric; 2] =
    [("object_hit_ratio", |ratios| ratios.object), ("byte_hit_ratio", |ratios| ratios.byte)];

/// Prints a row, and gives it as JSON, once a peer. A ratio above one means that Ferrite is better;
/// points are hundredths of the hit ratio above LRU's.
fn row(case: &str, metric: &str, [ferrite, lru, opt]: [f64; 3]) -> [String; 2] {
    // Where the peer never hits, the ratio is that to one hit in a million.
    let ratio = |peer: f64| if ferrite == peer { 1.0 } else { ferrite / peer.max(1e-6) };
    println!(
        "{case:<40} {metric:<18} {ferrite:>8.4} {lru:>8.4} {opt:>8.4} {:>7.3} {:>+7.2}",
        ratio(lru),
        (ferrite - lru) * 100.0
    );
    [("lru", lru), ("opt", opt)].map(|(peer_name, peer)| {
        format!(
            "  {{\"case\": \"{case}\", \"metric\": \"{metric}\", \"unit\": \"ratio\", \
             \"ferrite\": {ferrite:.6}, \"peer\": {peer:.6}, \"peer_name\": \"{peer_name}\", \
             \"ratio\": {:.4}, \"rounds\": 1}}",
            ratio(peer)
        )
    })
}

/// A file's name as it may stand in a JSON string.
fn escaped(name: &Path) -> String {
    let mut escaped = String::new();
    for character in name.to_string_lossy().chars() {
        match character {
            '"' | '\\' => escaped.extend(['\\', character]),
            control if control.is_control() => {
                let _ = write!(escaped, "\\u{:04x}", u32::from(control));
            }
            other => escaped.push(other),
        }
    }
    escaped
}
