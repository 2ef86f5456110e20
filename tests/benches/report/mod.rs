//! What the benches have in common: the table and its rows, and the means to measure.
//!
//! Rows are those of every `scripts/bench`: a ratio above one means that Ferrite is better.
//!
//! Not here: what is measured.

use std::fs;

/// Prints the head of the table.
pub fn title() {
    println!(
        "{:<32} {:<14} {:>9} {:>9}  {:<11} {:>6}  spread of the ratio",
        "case", "metric", "ferrite", "peer", "peer_name", "ratio"
    );
}

/// Writes the rows to the file that the arguments name, if they do.
pub fn save(arguments: &[String], rows: &[String]) {
    let json = arguments.iter().position(|argument| argument == "--json");
    if let Some(path) = json.and_then(|position| arguments.get(position + 1)) {
        fs::write(path, format!("[\n{}\n]\n", rows.join(",\n"))).expect("the file can be written");
    }
}

/// A number of entries in a few letters.
pub fn short(size: usize) -> String {
    if size < 1_000_000 { format!("{}k", size / 1000) } else { format!("{}M", size / 1_000_000) }
}

/// Bytes of memory that the process has.
pub fn resident_bytes() -> f64 {
    let statm = fs::read_to_string("/proc/self/statm").expect("Linux");
    let pages: f64 =
        statm.split(' ').nth(1).and_then(|field| field.parse().ok()).expect("a number");
    pages * 4096.0
}

/// Nanoseconds of CPU spent in `work`: this thread's, or all that Node's process spends.
pub fn cpu_time_of(work: impl FnOnce()) -> f64 {
    #[cfg(not(target_family = "wasm"))]
    let start = cpu_time::ThreadTime::now();
    #[cfg(target_family = "wasm")]
    let start = std::time::Instant::now();
    work();
    start.elapsed().as_nanos() as f64
}

/// Prints a row, and gives it as JSON. A ratio above one means that Ferrite is better.
pub fn row(case: &str, metric: &str, peer_name: &str, pairs: &[(f64, f64)]) -> String {
    let ferrite = median(pairs.iter().map(|pair| pair.0));
    let peer = median(pairs.iter().map(|pair| pair.1));
    // All but rates are costs.
    let is_rate = metric == "rps";
    let ratios = || {
        pairs.iter().map(|(ferrite, peer)| if is_rate { ferrite / peer } else { peer / ferrite })
    };
    let (ratio, rounds) = (median(ratios()), pairs.len());
    let least = ratios().fold(f64::INFINITY, f64::min);
    let most = ratios().fold(0.0, f64::max);
    println!(
        "{case:<32} {metric:<14} {ferrite:>9.1} {peer:>9.1}  {peer_name:<11} {ratio:>6.2}  \
         {least:.2}-{most:.2}"
    );
    let unit = metric.rsplit('_').next().unwrap_or_default();
    format!(
        "  {{\"case\": \"{case}\", \"metric\": \"{metric}\", \"unit\": \"{unit}\", \
         \"ferrite\": {ferrite:.3}, \"peer\": {peer:.3}, \"peer_name\": \"{peer_name}\", \
         \"ratio\": {ratio:.4}, \"rounds\": {rounds}}}"
    )
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
