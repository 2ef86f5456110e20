//! What the system knows of this process. Where it does not say, the figures are zero.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
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
pub fn system() -> &'static str {
    static NAME: OnceLock<String> = OnceLock::new();
    NAME.get_or_init(|| {
        let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        format!("{} {} {}", std::env::consts::OS, release.trim(), std::env::consts::ARCH)
    })
}

/// Bytes of memory that the machine has.
pub fn system_memory_bytes() -> u64 {
    static BYTES: OnceLock<u64> = OnceLock::new();
    *BYTES.get_or_init(|| {
        let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
        let number = line.and_then(|line| line.split_ascii_whitespace().next());
        number.and_then(|number| number.parse::<u64>().ok()).unwrap_or_default() * 1024
    })
}

/// The file of this program.
pub fn executable() -> &'static str {
    static PATH: OnceLock<String> = OnceLock::new();
    PATH.get_or_init(|| {
        let path = std::env::current_exe();
        path.map(|path| path.display().to_string()).unwrap_or_default()
    })
}

/// Ticks a second in which `/proc` counts CPU time, on every Linux that Rust runs on.
const TICKS_PER_SECOND: f64 = 100.0;

/// What this process takes of the machine.
#[derive(Clone, Copy, Debug, Default)]
struct Taken {
    user_ticks: u64,
    system_ticks: u64,
    resident_bytes: u64,
}

impl Taken {
    fn now() -> Taken {
        let text = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        // Behind the name, which is in parentheses and may hold anything.
        let fields = text.rsplit(')').next().unwrap_or_default();
        // Times of the process itself and of the system for it, and further on pages of memory.
        let mut fields = fields.split_ascii_whitespace().skip(11);
        let mut field = |between| fields.nth(between).and_then(|field| field.parse().ok());
        let [user, system, pages] = [0, 0, 8].map(|between| field(between).unwrap_or_default());
        let resident_bytes = pages * rustix::param::page_size() as u64;
        Taken { user_ticks: user, system_ticks: system, resident_bytes }
    }
}

/// Bytes of memory that are resident now.
pub fn resident_bytes() -> u64 {
    Taken::now().resident_bytes
}

/// What this process takes, as of the last look: to look takes longer than all else that INFO
/// does.
#[derive(Default)]
pub struct Usage {
    user_ticks: AtomicU64,
    system_ticks: AtomicU64,
    resident_bytes: AtomicU64,
}

impl Usage {
    /// Looks.
    pub fn look(&self) {
        let taken = Taken::now();
        self.user_ticks.store(taken.user_ticks, Relaxed);
        self.system_ticks.store(taken.system_ticks, Relaxed);
        self.resident_bytes.store(taken.resident_bytes, Relaxed);
    }

    /// Bytes of memory that were resident.
    pub fn resident_bytes(&self) -> u64 {
        self.resident_bytes.load(Relaxed)
    }

    /// Seconds of CPU time: its own, and the system's on its behalf.
    pub fn cpu_seconds(&self) -> [f64; 2] {
        [&self.user_ticks, &self.system_ticks]
            .map(|ticks| ticks.load(Relaxed) as f64 / TICKS_PER_SECOND)
    }
}

/// The system's word for what went wrong, without its number, as Redis shows it.
pub fn system_text(why: &io::Error) -> String {
    let text = why.to_string();
    text.split(" (os error").next().map(String::from).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A figure of `/proc/self/status`, in bytes.
    fn status_bytes(name: &str) -> u64 {
        let text = fs::read_to_string("/proc/self/status").expect("a status");
        let line = text.lines().find_map(|line| line.strip_prefix(name)).expect(name);
        let number = line.split_ascii_whitespace().next().expect("a number");
        number.parse::<u64>().expect("a number") * 1024
    }

    #[test]
    fn what_is_seen_is_what_the_system_says() {
        let usage = Usage::default();
        usage.look();
        let (seen, said) = (usage.resident_bytes(), status_bytes("VmRSS:"));
        // Other tests run meanwhile.
        assert!(seen.abs_diff(said) < 32 << 20, "{seen} and {said}");
        let before: f64 = usage.cpu_seconds().iter().sum();
        while usage.cpu_seconds().iter().sum::<f64>() < before + 0.05 {
            usage.look();
        }
        assert!(system_memory_bytes() > said && executable().contains('/'));
        assert!(system().starts_with("linux "), "{}", system());
    }
}
