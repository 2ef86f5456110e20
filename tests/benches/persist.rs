//! `scripts/bench persist`: what durability costs, beside redis-server in the same run.
//!
//! redis-benchmark makes the load: 50 clients that SET random keys. The servers take turns, round
//! by round, each with a directory of its own on the same disk; each runs on one core, the load on
//! another. CPU time is the server's own, all threads, as the kernel counts it.
//!
//! Not here: whether what was acknowledged is there afterwards, which is the tests' work.

#[expect(dead_code, reason = "not every bench needs all of it")]
mod report;

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use report::{row, save, title};

const START_TIMEOUT: Duration = Duration::from_secs(300);
const KEYS: usize = 100_000;
const PIPELINES: [(usize, usize); 2] = [(1, 60_000), (16, 400_000)];
const POLICIES: [&str; 3] = ["off", "everysec", "always"];
const VALUE_BYTES: usize = 1000;
const REQUESTS_AT_ONCE: usize = 500;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let is_quick = arguments.iter().any(|argument| argument == "--quick");
    title();
    let mut rows = throughput(if is_quick { 1 } else { 7 }, if is_quick { 10 } else { 1 });
    let (name, count) = if is_quick { ("50 MB", 50_000) } else { ("1 GB", 1_000_000) };
    rows.extend(recovery(name, count, if is_quick { 1 } else { 3 }));
    rows.extend(checkpoint(name, count));
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
        for round in 0..=rounds {
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

/// How long a start takes: from the log alone, and from a checkpoint; Redis from its AOF, and from
/// its RDB.
fn recovery(name: &str, count: usize, rounds: usize) -> Vec<String> {
    let mut pair = [Server::ferrite("everysec"), Server::redis("everysec")];
    pair.iter_mut().for_each(|server| server.fill(count));
    let from_log = starts(&mut pair, rounds);
    for server in &mut pair {
        server.rewrite();
    }
    let from_checkpoint = starts(&mut pair, rounds);
    let both: Vec<_> =
        from_log.iter().zip(&from_checkpoint).map(|(log, rdb)| (log.0, rdb.1)).collect();
    vec![
        row(&format!("recovery {name}"), "seconds", "redis AOF", &from_log),
        row(&format!("recovery {name}"), "seconds", "redis RDB", &both),
        row(&format!("recovery {name} checkpoint"), "seconds", "redis RDB", &from_checkpoint),
    ]
}

fn starts(pair: &mut [Server; 2], rounds: usize) -> Vec<(f64, f64)> {
    (0..rounds)
        .map(|_| {
            let [ferrite, redis] = pair.each_mut().map(Server::restart);
            (ferrite, redis)
        })
        .collect()
}

/// What a checkpoint costs, and what clients see of it.
fn checkpoint(name: &str, count: usize) -> Vec<String> {
    let mut pair = [Server::ferrite("everysec"), Server::redis("everysec")];
    pair.iter_mut().for_each(|server| server.fill(count));
    let quiet = pair.each_mut().map(|server| server.bear(1, 100_000).p999_us);
    let cost = pair.each_mut().map(|server| {
        let before = server.cpu_ns();
        let seconds = server.rewrite();
        (seconds, (server.cpu_ns() - before) / 1e9)
    });
    let busy = pair.each_mut().map(|server| {
        server.ask(&["BGREWRITEAOF"]);
        let figures = server.bear(1, 100_000);
        server.wait_for_rewrite();
        figures.p999_us
    });
    let one = |metric, figures: [f64; 2]| {
        row(&format!("checkpoint {name}"), metric, "redis", &[(figures[0], figures[1])])
    };
    vec![
        one("seconds", cost.map(|(seconds, _)| seconds)),
        one("cpu_seconds", cost.map(|(_, seconds)| seconds)),
        one("p999_us", busy),
        row(&format!("no checkpoint {name}"), "p999_us", "redis", &[(quiet[0], quiet[1])]),
    ]
}

/// A server of this process, with a directory that goes with it.
struct Server {
    name: &'static str,
    program: String,
    options: Vec<String>,
    directory: PathBuf,
    port: u16,
    process: Child,
    connection: redis::Connection,
}

impl Server {
    fn ferrite(policy: &str) -> Server {
        let program = std::env::var("FERRITE_SERVER").expect("scripts/bench names the program");
        Server::new("ferrite", program, policy, &["--auto-aof-rewrite-percentage", "0"])
    }

    fn redis(policy: &str) -> Server {
        let options =
            ["--save", "", "--auto-aof-rewrite-percentage", "0", "--aof-use-rdb-preamble", "yes"];
        Server::new("redis", "redis-server".into(), policy, &options)
    }

    fn new(name: &'static str, program: String, policy: &str, options: &[&str]) -> Server {
        let port = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
        let port = port.expect("a free port").port();
        let directory = std::env::temp_dir().join(format!("ferrite-bench-{name}-{port}"));
        fs::create_dir_all(&directory).expect("a directory");
        let mut options: Vec<String> = options.iter().map(|option| (*option).into()).collect();
        options.extend(["--bind".into(), "127.0.0.1".into(), "--port".into(), port.to_string()]);
        let fsync = if policy == "off" { "everysec" } else { policy };
        let appends = if policy == "off" { "no" } else { "yes" };
        options.extend(["--appendonly", appends, "--appendfsync", fsync].map(String::from));
        options.extend(["--dir".into(), directory.display().to_string()]);
        let process = spawn(&program, &options, &directory);
        let connection = connect(port);
        Server { name, program, options, directory, port, process, connection }
    }

    /// Ends the server as an operator does, and starts it again. How long that takes until it
    /// answers.
    fn restart(&mut self) -> f64 {
        let ended: redis::RedisResult<()> =
            redis::cmd("SHUTDOWN").arg("NOSAVE").query(&mut self.connection);
        drop(ended);
        self.process.wait().expect("a server that ends");
        let began = Instant::now();
        self.process = spawn(&self.program, &self.options, &self.directory);
        self.connection = connect(self.port);
        began.elapsed().as_secs_f64()
    }

    fn ask(&mut self, words: &[&str]) -> redis::Value {
        let mut request = redis::Cmd::new();
        words.iter().for_each(|word| {
            request.arg(word);
        });
        let answer = request.query(&mut self.connection);
        answer.unwrap_or_else(|error| panic!("{} {words:?}: {error}", self.name))
    }

    fn figure(&mut self, name: &str) -> f64 {
        let redis::Value::BulkString(info) = self.ask(&["INFO", "persistence"]) else {
            panic!("INFO answers a text")
        };
        let info = String::from_utf8_lossy(&info).into_owned();
        let prefix = format!("{name}:");
        let line = info.lines().find_map(|line| line.strip_prefix(&prefix));
        line.and_then(|text| text.trim().parse().ok()).unwrap_or_default()
    }

    /// Bytes that the log has taken on the disk.
    fn log_bytes(&mut self) -> f64 {
        let name = if self.name == "ferrite" { "aof_written_bytes" } else { "aof_current_size" };
        self.figure(name)
    }

    /// Bears the load of redis-benchmark, and tells how it went.
    fn bear(&mut self, pipeline: usize, count: usize) -> Figures {
        let (cpu_ns, log_bytes) = (self.cpu_ns(), self.log_bytes());
        let output = Command::new("taskset")
            .args(["--cpu-list", "1", "redis-benchmark", "-h", "127.0.0.1", "--precision", "3"])
            .args(["-p", &self.port.to_string(), "-c", "50", "-r", &KEYS.to_string(), "-t", "set"])
            .args(["-n", &count.to_string(), "-P", &pipeline.to_string()])
            .output()
            .expect("redis-benchmark is installed");
        let text = String::from_utf8_lossy(&output.stdout);
        let told = || text.lines().flat_map(|line| line.rsplit('\r').next());
        let rps = told().find_map(|line| {
            let rest = line.trim().strip_prefix("throughput summary: ")?;
            rest.split(' ').next()?.parse().ok()
        });
        let p999 = told().find_map(|line| {
            let (reached, rest) = line.split_once("% <= ")?;
            let ms: f64 = rest.split(' ').next()?.parse().ok()?;
            (reached.trim().parse::<f64>().ok()? >= 99.9).then_some(1000.0 * ms)
        });
        let missing = || panic!("{}: {text}", self.name);
        let (rps, p999_us) = (rps.unwrap_or_else(missing), p999.unwrap_or_else(missing));
        Figures {
            rps,
            cpu_ns: (self.cpu_ns() - cpu_ns) / count as f64,
            p999_us,
            log_bytes: (self.log_bytes() - log_bytes) / count as f64,
        }
    }

    /// CPU time of all its threads, those that have ended left out, and of its children.
    fn cpu_ns(&self) -> f64 {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.process.id()));
        let spent = tasks.expect("the server runs").flatten().filter_map(|task| {
            let text = fs::read_to_string(task.path().join("schedstat")).ok()?;
            text.split(' ').next()?.parse::<f64>().ok()
        });
        spent.sum()
    }

    fn fill(&mut self, count: usize) {
        let value = "v".repeat(VALUE_BYTES);
        for first in (0..count).step_by(REQUESTS_AT_ONCE) {
            let mut pipe = redis::pipe();
            for number in first..count.min(first + REQUESTS_AT_ONCE) {
                pipe.cmd("SET").arg(format!("filled:{number:012}")).arg(&value).ignore();
            }
            let outcome: redis::RedisResult<()> = pipe.query(&mut self.connection);
            outcome.unwrap_or_else(|error| panic!("{}: {error}", self.name));
        }
    }

    /// Rewrites the log, which is a checkpoint; how many seconds that takes.
    fn rewrite(&mut self) -> f64 {
        let began = Instant::now();
        self.ask(&["BGREWRITEAOF"]);
        self.wait_for_rewrite();
        began.elapsed().as_secs_f64()
    }

    fn wait_for_rewrite(&mut self) {
        while self.figure("aof_rewrite_in_progress") > 0.0 {
            sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.directory);
    }
}

fn spawn(program: &str, options: &[String], directory: &Path) -> Child {
    Command::new("taskset")
        .args(["--cpu-list", "0", program])
        .args(options)
        .current_dir(directory)
        .stdout(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| panic!("taskset {program}: {error}"))
}

/// Connects, once the server answers: while Redis loads it answers errors.
fn connect(port: u16) -> redis::Connection {
    let client = redis::Client::open(format!("redis://127.0.0.1:{port}/")).expect("an address");
    let started = Instant::now();
    loop {
        let answer = client.get_connection().and_then(|mut connection| {
            let size: redis::RedisResult<u64> = redis::cmd("DBSIZE").query(&mut connection);
            size.map(|_| connection)
        });
        match answer {
            Ok(connection) => return connection,
            Err(why) => assert!(started.elapsed() < START_TIMEOUT, "{port}: {why}"),
        }
        sleep(Duration::from_millis(2));
    }
}
