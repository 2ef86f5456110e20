//! What the system knows of this process. Where it does not say, the figures are zero.

use std::path::PathBuf;
use std::{fs, io};

/// A file with the number of this process, for who supervises it. It goes with the server.
pub struct PidFile(PathBuf);

impl PidFile {
    /// Writes it.
    ///
    /// # Errors
    /// The system's.
    pub fn write(path: PathBuf) -> io::Result<PidFile> {
        fs::write(&path, format!("{}\n", std::process::id()))?;
        Ok(PidFile(path))
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        // Somebody may have tidied up.
        let _ = fs::remove_file(&self.0);
    }
}

/// The system's name.
pub fn system() -> String {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{} {} {}", std::env::consts::OS, release.trim(), std::env::consts::ARCH)
}

/// Bytes of memory that are resident.
pub fn resident_bytes() -> u64 {
    kilobytes("/proc/self/status", "VmRSS:") * 1024
}

/// Bytes of memory that the machine has.
pub fn system_memory_bytes() -> u64 {
    kilobytes("/proc/meminfo", "MemTotal:") * 1024
}

fn kilobytes(file: &str, name: &str) -> u64 {
    let text = fs::read_to_string(file).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.split_ascii_whitespace().next());
    number.and_then(|number| number.parse().ok()).unwrap_or_default()
}

/// Ticks a second in which `/proc` counts CPU time, on every Linux that Rust runs on.
const TICKS_PER_SECOND: f64 = 100.0;

/// Seconds of CPU time: its own, and the system's on its behalf.
pub fn cpu_seconds() -> [f64; 2] {
    let text = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // Behind the name, which is in parentheses and may hold anything.
    let fields = text.rsplit(')').next().unwrap_or_default();
    let mut ticks =
        fields.split_ascii_whitespace().skip(11).map(|field| field.parse().unwrap_or(0.0));
    [0; 2].map(|_| ticks.next().unwrap_or(0.0) / TICKS_PER_SECOND)
}

/// The system's word for what went wrong, without its number, as Redis shows it.
pub fn system_text(why: &io::Error) -> String {
    let text = why.to_string();
    text.split(" (os error").next().map(String::from).unwrap_or(text)
}
