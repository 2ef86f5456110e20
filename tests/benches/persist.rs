//! `scripts/bench persist`: what durability costs, beside redis-server in the same run.
//!
//! redis-benchmark makes the load: 50 clients that SET random keys. The servers take turns, round
//! by round, each with a directory of its own on the same disk; each runs on one core, the load on
//! another. A server that starts has all cores, since nobody else needs one meanwhile. CPU time is
//! the server's own, all threads, as the kernel counts it.
//!
//! Not here: whether what was acknowledged is there afterwards, which is the tests' work.

#[expect(dead_code, reason = "not every bench needs all of it")]
mod process;
#[expect(dead_code, reason = "not every bench needs all of it")]
mod report;

use std::fs;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use process::{Process, ask, figure};
use report::{row, save, title};

const KEYS: usize = 100_000;
const PIPELINES: [(usize, usize); 2] = [(1, 60_000), (16, 400_000)];
const POLICIES: [&str; 3] = ["off", "everysec", "always"];
const CLIENTS: f64 = 50.0;
const VALUE_BYTES: usize = 1000;
const REQUESTS_AT_ONCE: usize = 500;
/// The core of a server under load, and those of one that starts.
const ONE_CORE: &str = "0";
const ALL_CORES: &str = "0,1";
/// `O_DSYNC` and `O_DIRECT`.
const SYNCED_PAST_THE_CACHE: i32 = 0o10000 | 0o40000;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let is_quick = arguments.iter().any(|argument| argument == "--quick");
    let only = arguments.iter().position(|argument| argument == "--only");
    let only = only.and_then(|position| arguments.get(position + 1));
    let is_wanted = |part: &str| only.is_none_or(|only| part.contains(only.as_str()));
    title();
    let mut rows = Vec::new();
    if is_wanted("throughput") {
        rows.extend(throughput(if is_quick { 1 } else { 7 }, if is_quick { 10 } else { 1 }));
    }
    let (name, count) = if is_quick { ("50 MB", 50_000) } else { ("1 GB", 1_000_000) };
    let rounds = if is_quick { 1 } else { 5 };
    if is_wanted("recovery") {
        rows.extend(recovery(name, count, rounds));
    }
    if is_wanted("checkpoint") {
        rows.extend(checkpoint(name, count, rounds));
    }
    save(&arguments, &rows);
}

/// What a round has shown.
#[derive(Clone, Copy, Default)]
struct Figures {
    rps: f64,
    cpu_ns: f64,
    p999_us: f64,
    log_bytes: f64,
}

type Metric = (&'static str, fn(&Figures) -> f64);

const METRICS: [Metric; 4] = [
    ("rps", |figures| figures.rps),
    ("cpu_ns", |figures| figures.cpu_ns),
    ("p999_us", |figures| figures.p999_us),
    ("log_bytes", |figures| figures.log_bytes),
];

/// SET under each policy; then what durability costs beside the same server without.
fn throughput(rounds: usize, divisor: usize) -> Vec<String> {
    let mut rows = Vec::new();
    for (pipeline, count) in PIPELINES {
        let mut servers: Vec<[Server; 2]> = POLICIES
            .iter()
            .map(|policy| [Server::ferrite(policy), Server::redis(policy)])
            .collect();
        let mut measured = vec![[const { Vec::<Figures>::new() }; 2]; POLICIES.len()];
        let mut bounds = Vec::new();
        for round in 0..=rounds {
            if round > 0 {
                let directory = servers[0][0].process.directory.clone();
                bounds.push(CLIENTS * pipeline as f64 * durable_writes_per_second(&directory));
            }
            for (pair, measured) in servers.iter_mut().zip(&mut measured) {
                for turn in 0..2 {
                    let which = (round + turn) % 2;
                    let figures = pair[which].bear(pipeline, count / divisor);
                    // The first round only warms up.
                    if round > 0 {
                        measured[which].push(figures);
                    }
                }
            }
        }
        let of = |policy: usize, which: usize, figure: fn(&Figures) -> f64| {
            measured[policy][which].iter().map(figure).collect::<Vec<f64>>()
        };
        for (policy, name) in POLICIES.iter().enumerate() {
            for (metric, figure) in METRICS {
                if metric == "log_bytes" && *name == "off" {
                    continue;
                }
                let pairs = of(policy, 0, figure).into_iter().zip(of(policy, 1, figure));
                let pairs: Vec<_> = pairs.collect();
                rows.push(row(&format!("{name} P{pipeline}"), metric, "redis", &pairs));
            }
        }
        let pairs: Vec<_> = of(2, 0, |figures| figures.rps).into_iter().zip(bounds).collect();
        rows.push(row(&format!("always P{pipeline}"), "rps", "one by one", &pairs));
        for (policy, other) in [(1, 0), (2, 1)] {
            for (metric, figure) in METRICS.into_iter().take(2) {
                let pairs = of(policy, 0, figure).into_iter().zip(of(other, 0, figure));
                let pairs: Vec<_> = pairs.collect();
                let peer = format!("ferrite {}", POLICIES[other]);
                rows.push(row(&format!("{} P{pipeline}", POLICIES[policy]), metric, &peer, &pairs));
            }
        }
    }
    rows
}

/// How often the disk confirms a write of 4 KiB, one after the other, past the page cache and into
/// a file that is there already. All clients that wait can share one of them, so this many times
/// what they have on their way is what a log does that has one write on its way at a time.
fn durable_writes_per_second(directory: &Path) -> f64 {
    let path = directory.join("raw");
    fs::write(&path, vec![0; 1 << 20]).expect("room");
    let open = |flags| fs::OpenOptions::new().write(true).custom_flags(flags).open(&path);
    let file = open(SYNCED_PAST_THE_CACHE).expect("a file that goes past the page cache");
    file.sync_all().expect("a disk");
    let memory = vec![1; 8192];
    let start = memory.as_ptr().align_offset(4096);
    let block = &memory[start..start + 4096];
    let (began, mut count) = (Instant::now(), 0);
    while began.elapsed() < Duration::from_millis(300) {
        file.write_all_at(block, count % 256 * 4096).expect("a disk");
        count += 1;
    }
    let seconds = began.elapsed().as_secs_f64();
    fs::remove_file(&path).expect("a file");
    count as f64 / seconds
}

/// How long a start takes: from the log alone, and from a checkpoint; Redis from its AOF, and from
/// its RDB; and how long `ferrite import` needs for that. How much memory that takes.
fn recovery(name: &str, count: usize, rounds: usize) -> Vec<String> {
    let mut pair = [Server::ferrite("everysec"), Server::redis("everysec")];
    pair.iter_mut().for_each(|server| server.fill(count));
    let from_log = starts(&mut pair, rounds);
    for server in &mut pair {
        server.rewrite();
    }
    let from_checkpoint = starts(&mut pair, rounds);
    ask(&mut pair[1].connection, &["SAVE"]);
    let dump = pair[1].process.directory.join("dump.rdb");
    let imports: Vec<f64> = (0..rounds).map(|_| import(&dump)).collect();
    // Each of ours beside each of theirs.
    let seconds = |starts: &[Start], which: usize| {
        starts.iter().map(|start| start[which].0).collect::<Vec<f64>>()
    };
    let (log, aof) = (seconds(&from_log, 0), seconds(&from_log, 1));
    let (checkpoint, rdb) = (seconds(&from_checkpoint, 0), seconds(&from_checkpoint, 1));
    let times = |case: &str, ours: &[f64], peer: &str, theirs: &[f64]| {
        let pairs: Vec<_> = ours.iter().copied().zip(theirs.iter().copied()).collect();
        row(&format!("{case} {name}"), "seconds", peer, &pairs)
    };
    let memory = |case: &str, starts: &[Start], peer: &str| {
        let pairs: Vec<_> = starts.iter().map(|[ours, theirs]| (ours.1, theirs.1)).collect();
        row(&format!("{case} {name}"), "peak_mb", peer, &pairs)
    };
    vec![
        times("recovery, checkpoint", &checkpoint, "redis AOF", &aof),
        times("recovery, checkpoint", &checkpoint, "redis RDB", &rdb),
        times("recovery, log", &log, "redis AOF", &aof),
        times("recovery, log", &log, "redis RDB", &rdb),
        times("import", &imports, "redis RDB", &rdb),
        memory("recovery, checkpoint", &from_checkpoint, "redis RDB"),
        memory("recovery, log", &from_log, "redis AOF"),
    ]
}

/// How many seconds a start took, and the most memory that the process had, in MB: of both servers.
type Start = [(f64, f64); 2];

fn starts(pair: &mut [Server; 2], rounds: usize) -> Vec<Start> {
    (0..rounds).map(|_| pair.each_mut().map(Server::start_again)).collect()
}

/// How many seconds `ferrite import` takes.
fn import(dump: &Path) -> f64 {
    let directory = dump.with_file_name("imported");
    fs::create_dir_all(&directory).expect("a directory");
    let began = Instant::now();
    let status = Command::new(process::ferrite())
        .args(["import".as_ref(), dump.as_os_str(), "--dir".as_ref(), directory.as_os_str()])
        .stdout(Stdio::null())
        .status();
    assert!(status.expect("the program").success(), "ferrite import {}", dump.display());
    let seconds = began.elapsed().as_secs_f64();
    fs::remove_dir_all(&directory).expect("a directory");
    seconds
}

/// What a checkpoint costs, and what clients see of it.
fn checkpoint(name: &str, count: usize, rounds: usize) -> Vec<String> {
    let mut pair = [Server::ferrite("everysec"), Server::redis("everysec")];
    pair.iter_mut().for_each(|server| server.fill(count));
    let (mut quiet, mut busy) = (Vec::new(), Vec::new());
    let (mut seconds, mut cpu_seconds) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        quiet.push(pair.each_mut().map(|server| server.bear(1, 60_000).p999_us));
        let cost = pair.each_mut().map(|server| {
            server.forget_base();
            let before = server.cpu_ns();
            let seconds = server.rewrite();
            (seconds, (server.cpu_ns() - before) / 1e9)
        });
        seconds.push(cost.map(|(seconds, _)| seconds));
        cpu_seconds.push(cost.map(|(_, seconds)| seconds));
        busy.push(pair.each_mut().map(|server| {
            server.forget_base();
            ask(&mut server.connection, &["BGREWRITEAOF"]);
            let figures = server.bear(1, 60_000);
            server.wait_for_rewrite();
            figures.p999_us
        }));
    }
    let pairs = |figures: &[[f64; 2]]| figures.iter().map(|pair| (pair[0], pair[1])).collect();
    let of = |case: &str, metric, figures: &[[f64; 2]]| {
        let pairs: Vec<_> = pairs(figures);
        row(&format!("{case} {name}"), metric, "redis", &pairs)
    };
    let beside: Vec<_> = busy.iter().zip(&quiet).map(|(busy, quiet)| (busy[0], quiet[0])).collect();
    vec![
        of("checkpoint", "seconds", &seconds),
        of("checkpoint", "cpu_seconds", &cpu_seconds),
        of("checkpoint", "p999_us", &busy),
        of("no checkpoint", "p999_us", &quiet),
        row(&format!("checkpoint {name}"), "p999_us", "without", &beside),
    ]
}

/// A server, which ends with this process.
struct Server {
    name: &'static str,
    process: Process,
    connection: redis::Connection,
}

impl Server {
    fn ferrite(policy: &str) -> Server {
        Server::new("ferrite", &process::ferrite(), policy, &[])
    }

    fn redis(policy: &str) -> Server {
        Server::new("redis", "redis-server", policy, &["--aof-use-rdb-preamble", "yes"])
    }

    fn new(name: &'static str, program: &str, policy: &str, options: &[&str]) -> Server {
        let fsync = if policy == "off" { "everysec" } else { policy };
        let appends = if policy == "off" { "no" } else { "yes" };
        let common = ["--save", "", "--auto-aof-rewrite-percentage", "0"];
        let log = ["--appendonly", appends, "--appendfsync", fsync];
        let process = Process::start(program, ONE_CORE, &[&common, &log, options].concat());
        let connection = process.connect();
        Server { name, process, connection }
    }

    /// Ends the server as an operator does, and starts it again. How long that takes until it
    /// answers, and the most memory that it had by then, in MB.
    fn start_again(&mut self) -> (f64, f64) {
        let ended: redis::RedisResult<()> =
            redis::cmd("SHUTDOWN").arg("NOSAVE").query(&mut self.connection);
        drop(ended);
        self.process.wait();
        let began = Instant::now();
        self.process.start_again(ALL_CORES);
        self.connection = self.process.connect();
        let seconds = began.elapsed().as_secs_f64();
        (seconds, process::resident_bytes_max(self.process.id()) / 1e6)
    }

    /// Bytes that the log has taken on the disk.
    fn log_bytes(&mut self) -> f64 {
        let name = if self.name == "ferrite" { "aof_written_bytes" } else { "aof_current_size" };
        figure(&mut self.connection, "persistence", name)
    }

    /// Bears the load of redis-benchmark, and tells how it went.
    fn bear(&mut self, pipeline: usize, count: usize) -> Figures {
        let (cpu_ns, log_bytes) = (self.cpu_ns(), self.log_bytes());
        let words = ["-r", &KEYS.to_string(), "-t", "set"];
        let told = process::bear("127.0.0.1", self.process.port, pipeline, count, &words);
        Figures {
            rps: told.rps(),
            cpu_ns: (self.cpu_ns() - cpu_ns) / count as f64,
            p999_us: told.percentile_us(99.9),
            log_bytes: (self.log_bytes() - log_bytes) / count as f64,
        }
    }

    /// CPU time of all its threads, those that have ended left out.
    fn cpu_ns(&self) -> f64 {
        process::cpu_ns(self.process.id())
    }

    /// Sets keys of random text, which no compression makes much smaller.
    fn fill(&mut self, count: usize) {
        let mut state = 1_u64;
        let letters: Vec<u8> = std::iter::repeat_with(|| {
            // Knuth's multiplier: any sequence serves that is the same for both.
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
                [(state >> 58) as usize]
        })
        .take(1 << 20)
        .collect();
        for first in (0..count).step_by(REQUESTS_AT_ONCE) {
            let mut pipe = redis::pipe();
            for number in first..count.min(first + REQUESTS_AT_ONCE) {
                let from = number * 7919 % (letters.len() - VALUE_BYTES);
                let value = &letters[from..from + VALUE_BYTES];
                pipe.cmd("SET").arg(format!("filled:{number:012}")).arg(value).ignore();
            }
            let outcome: redis::RedisResult<()> = pipe.query(&mut self.connection);
            outcome.unwrap_or_else(|error| panic!("{}: {error}", self.name));
        }
    }

    /// Sees to it that the next checkpoint has everything, as each of Redis's has: a database
    /// whose number changed is written anew.
    fn forget_base(&mut self) {
        if self.name == "ferrite" {
            ask(&mut self.connection, &["SWAPDB", "0", "1"]);
            ask(&mut self.connection, &["SWAPDB", "0", "1"]);
        }
    }

    /// Rewrites the log, which is a checkpoint; how many seconds that takes.
    fn rewrite(&mut self) -> f64 {
        let began = Instant::now();
        ask(&mut self.connection, &["BGREWRITEAOF"]);
        self.wait_for_rewrite();
        began.elapsed().as_secs_f64()
    }

    fn wait_for_rewrite(&mut self) {
        while figure(&mut self.connection, "persistence", "aof_rewrite_in_progress") > 0.0 {
            sleep(Duration::from_millis(5));
        }
    }
}
