//! `scripts/bench server`: the server beside redis-server, or beside a server that was named.
//!
//! redis-benchmark makes the load: 50 clients, random keys. The servers are pinned to one core and
//! the load to another, and take turns, round by round. CPU time is the server's own, all threads,
//! as the kernel counts it; percentiles are those of single requests as the clients saw them.
//!
//! Not here: what needs a judge of replies, which is the tests' work.

#[expect(dead_code, reason = "not every bench needs all of it")]
mod process;
#[expect(dead_code, reason = "not every bench needs all of it")]
mod report;

use process::{Process, ask, connect, figure};
use report::{row, save, title};

const COMMANDS: [&str; 7] = ["GET", "SET", "INCR", "LPUSH", "HSET", "SADD", "ZADD"];
/// How deep the pipelines are, and how many requests make a round.
const PIPELINES: [(usize, usize); 3] = [(1, 60_000), (16, 400_000), (64, 800_000)];
const KEYS: usize = 100_000;
const MEMBERS_OF_SMALL: usize = 5;
const REQUESTS_AT_ONCE: usize = 500;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let is_quick = arguments.iter().any(|argument| argument == "--quick");
    let against = arguments.iter().position(|argument| argument == "--against");
    let against = against.and_then(|position| arguments.get(position + 1));
    let (rounds, divisor) = if is_quick { (1, 20) } else { (5, 1) };
    let start_peer = |threads: usize| match against {
        Some(address) => Server::at(address),
        None => Server::redis(threads),
    };
    title();
    let mut rows = Vec::new();
    for threads in [1, 2] {
        let mut pair = [Server::ferrite(threads), start_peer(threads)];
        let pipelines = if threads == 1 { &PIPELINES[..] } else { &PIPELINES[1..2] };
        for &(pipeline, count) in pipelines {
            for command in COMMANDS {
                let load = Load { command, pipeline, count: count / divisor, threads };
                rows.extend(compare(&mut pair, &load, rounds));
            }
        }
    }
    let mut pair = [Server::ferrite(1), start_peer(1)];
    let count = if is_quick { 50_000 } else { 1_000_000 };
    for case in memory_cases(count) {
        let used = pair.each_mut().map(|server| server.bytes_used_by(&case));
        let peer = pair[1].name.clone();
        let each = used.map(|bytes| bytes / case.count as f64);
        rows.push(row(&case.name, "used_bytes", &peer, &[(each[0], each[1])]));
        let over = each.map(|bytes| bytes - case.payload_bytes as f64);
        rows.push(row(&case.name, "overhead_bytes", &peer, &[(over[0], over[1])]));
    }
    save(&arguments, &rows);
}

/// What is asked of a server in a round.
struct Load {
    command: &'static str,
    pipeline: usize,
    count: usize,
    threads: usize,
}

/// What a round has shown.
#[derive(Clone, Copy, Default)]
struct Figures {
    cpu_ns: f64,
    rps: f64,
    p50_us: f64,
    p99_us: f64,
    p999_us: f64,
}

type Metric = (&'static str, fn(&Figures) -> f64);

const METRICS: [Metric; 5] = [
    ("cpu_ns", |figures| figures.cpu_ns),
    ("rps", |figures| figures.rps),
    ("p50_us", |figures| figures.p50_us),
    ("p99_us", |figures| figures.p99_us),
    ("p999_us", |figures| figures.p999_us),
];

fn compare(pair: &mut [Server; 2], load: &Load, rounds: usize) -> Vec<String> {
    for server in pair.iter_mut() {
        ask(&mut server.connection, &["FLUSHALL"]);
        if load.command == "GET" {
            let fill = Load { command: "SET", pipeline: 64, count: 3 * KEYS, threads: 1 };
            server.bear(&fill);
        }
    }
    let mut measured = Vec::new();
    for round in 0..rounds {
        let mut figures = [Figures::default(); 2];
        for turn in 0..2 {
            let server = (round + turn) % 2;
            figures[server] = pair[server].bear(load);
        }
        measured.push(figures);
    }
    let threads = if load.threads == 1 { "" } else { " 2 threads" };
    let case = format!("{} P{}{threads}", load.command, load.pipeline);
    let is_local = pair[1].process_id.is_some();
    let shown = METRICS.iter().filter(|(name, _)| is_local || *name != "cpu_ns");
    shown
        .map(|(metric, figure)| {
            let pairs: Vec<(f64, f64)> =
                measured.iter().map(|[ferrite, peer]| (figure(ferrite), figure(peer))).collect();
            row(&case, metric, &pair[1].name, &pairs)
        })
        .collect()
}

/// Requests that fill a server, how many keys or members they make, and what one holds.
struct Memory {
    name: String,
    count: usize,
    payload_bytes: usize,
    request: Box<dyn Fn(usize) -> redis::Cmd>,
    requests: usize,
}

fn memory_cases(count: usize) -> Vec<Memory> {
    let value = "v".repeat(32);
    let strings = Memory {
        name: "strings 16 B 32 B".into(),
        count,
        payload_bytes: 48,
        request: Box::new(move |number| {
            redis::cmd("SET").arg(format!("key:{number:012}")).arg(&value).take()
        }),
        requests: count,
    };
    let mut cases = vec![strings];
    for (name, command) in [("hash", "HSET"), ("list", "RPUSH"), ("set", "SADD"), ("zset", "ZADD")]
    {
        let member_bytes = if matches!(name, "hash" | "zset") { 16 } else { 8 };
        let keys = count / 10;
        cases.push(Memory {
            name: format!("small {name}, a key"),
            count: keys,
            payload_bytes: 16 + MEMBERS_OF_SMALL * member_bytes,
            request: Box::new(move |number| {
                let key = format!("key:{number:012}");
                members(command, &key, number * MEMBERS_OF_SMALL, MEMBERS_OF_SMALL)
            }),
            requests: keys,
        });
        let batch = 100;
        cases.push(Memory {
            name: format!("large {name}, a member"),
            count,
            payload_bytes: member_bytes,
            request: Box::new(move |number| members(command, "large", number * batch, batch)),
            requests: count / batch,
        });
    }
    cases
}

/// A request that adds members of 8 bytes; a field's value has 8 as well, as has a score.
fn members(command: &str, key: &str, first: usize, count: usize) -> redis::Cmd {
    let mut request = redis::cmd(command);
    request.arg(key);
    for number in first..first + count {
        match command {
            "HSET" => request.arg(format!("{number:08}")).arg("value678"),
            "ZADD" => request.arg(number).arg(format!("{number:08}")),
            _ => request.arg(format!("m{number:07}")),
        };
    }
    request
}

/// A server, which ends with this process if that has started it.
struct Server {
    name: String,
    host: String,
    port: u16,
    /// The process, where it is one of this machine.
    process_id: Option<u32>,
    connection: redis::Connection,
    _process: Option<Process>,
}

impl Server {
    fn ferrite(threads: usize) -> Server {
        Server::start("ferrite", &process::ferrite(), threads, &[])
    }

    fn redis(threads: usize) -> Server {
        Server::start("redis", "redis-server", threads, &["--appendonly", "no"])
    }

    /// On one core for each thread, and the load on the last core of all.
    fn start(name: &str, program: &str, threads: usize, options: &[&str]) -> Server {
        let count = threads.to_string();
        let options = [&["--save", "", "--io-threads", &count], options].concat();
        let process = Process::start(program, if threads == 1 { "0" } else { "0,1" }, &options);
        Server {
            name: name.into(),
            host: "127.0.0.1".into(),
            port: process.port,
            process_id: Some(process.id()),
            connection: process.connect(),
            _process: Some(process),
        }
    }

    /// One that runs already. It is emptied again and again: so it must be empty.
    fn at(address: &str) -> Server {
        let (host, port) = address.rsplit_once(':').expect("HOST:PORT");
        let port = port.parse().expect("a port");
        let mut connection = connect(host, port);
        let size: u64 = redis::cmd("DBSIZE").query(&mut connection).expect("a Redis server");
        assert_eq!(size, 0, "{address} holds keys: it would be emptied");
        let is_local = matches!(host, "127.0.0.1" | "localhost");
        let process_id = figure(&mut connection, "server", "process_id") as u32;
        let process_id = Some(process_id).filter(|_| is_local);
        let (name, host) = (address.to_string(), host.to_string());
        Server { name, host, port, process_id, connection, _process: None }
    }

    /// Bears the load of redis-benchmark, and tells how it went.
    fn bear(&mut self, load: &Load) -> Figures {
        let before = self.cpu_ns();
        let (keys, command) = (KEYS.to_string(), load.command.to_ascii_lowercase());
        let words = ["-r", &keys, "-t", &command];
        let told = process::bear(&self.host, self.port, load.pipeline, load.count, &words);
        Figures {
            cpu_ns: (self.cpu_ns() - before) / load.count as f64,
            rps: told.rps(),
            p50_us: told.percentile_us(50.0),
            p99_us: told.percentile_us(99.0),
            p999_us: told.percentile_us(99.9),
        }
    }

    /// CPU time of all its threads; nothing where the process is elsewhere.
    fn cpu_ns(&self) -> f64 {
        self.process_id.map_or(0.0, process::cpu_ns)
    }

    fn bytes_used_by(&mut self, case: &Memory) -> f64 {
        ask(&mut self.connection, &["FLUSHALL"]);
        let before = figure(&mut self.connection, "memory", "used_memory");
        for first in (0..case.requests).step_by(REQUESTS_AT_ONCE) {
            let mut pipe = redis::pipe();
            for number in first..case.requests.min(first + REQUESTS_AT_ONCE) {
                pipe.add_command((case.request)(number)).ignore();
            }
            let outcome: redis::RedisResult<()> = pipe.query(&mut self.connection);
            outcome.unwrap_or_else(|error| panic!("{}: {error}", self.name));
        }
        figure(&mut self.connection, "memory", "used_memory") - before
    }
}
