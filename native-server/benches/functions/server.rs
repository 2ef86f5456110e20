//! `FCALL` end to end: the server beside redis-server with the same functions in Lua.

use std::fs;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use ferrite_tests::functions::example;

use crate::document_of;
use crate::report::row;

const START_TIMEOUT: Duration = Duration::from_secs(20);

const LUA: &str = "#!lua name=bench
redis.register_function('rate_limit', function(keys, args)
  local limit, window_secs = tonumber(args[1]), tonumber(args[2])
  local current = tonumber(redis.call('GET', keys[1])) or 0
  if current >= limit then return redis.error_reply('ERR rate limit exceeded') end
  redis.call('SET', keys[1], current + 1, 'KEEPTTL')
  if current == 0 then redis.call('EXPIRE', keys[1], window_secs) end
  return current + 1
end)
redis.register_function('json_sum', function(keys)
  local sum = 0
  for _, item in ipairs(cjson.decode(redis.call('GET', keys[1])).items) do
    sum = sum + item.value
  end
  redis.call('SET', keys[2], tostring(sum), 'KEEPTTL')
  return tostring(sum)
end)
";

/// What is called, how deep the pipeline is, and which part of the calls make a round.
struct Load {
    case: &'static str,
    pipeline: usize,
    part: usize,
    call: &'static [&'static str],
}

const RATE_LIMIT: &[&str] =
    &["FCALL", "rate_limit", "1", "user:__rand_int__", "1000000000", "3600"];
const LOADS: [Load; 4] = [
    Load { case: "FCALL rate_limit P1", pipeline: 1, part: 8, call: RATE_LIMIT },
    Load { case: "FCALL rate_limit P16", pipeline: 16, part: 1, call: RATE_LIMIT },
    Load { case: "FCALL rate_limit P64", pipeline: 64, part: 1, call: RATE_LIMIT },
    Load {
        case: "FCALL json P16",
        pipeline: 16,
        part: 10,
        call: &["FCALL", "json_sum", "2", "{doc}:in", "{doc}:sum"],
    },
];

/// Rows for each load, in so many rounds of so many calls.
pub fn compare(rounds: usize, calls: usize) -> Vec<String> {
    let program = std::env::var("FERRITE_SERVER").expect("scripts/bench names the program");
    let mut pair = [
        Server::start("ferrite", &program, &[]),
        Server::start("redis", "redis-server", &["--save", "", "--appendonly", "no"]),
    ];
    for name in ["rate_limit", "json_aggregate"] {
        let module = example(name, false).expect("Rust is there");
        pair[0].cli(&["-x", "FUNCTION", "LOAD", "WASM"], &module);
    }
    pair[1].cli(&["-x", "FUNCTION", "LOAD"], LUA.as_bytes());
    let sums = pair.each_ref().map(|server| {
        server.cli(&["-x", "SET", "{doc}:in"], document_of(100).as_bytes());
        server.cli(&["FCALL", "json_sum", "2", "{doc}:in", "{doc}:sum"], b"")
    });
    assert_eq!(sums[0], sums[1], "the sums differ");
    LOADS.iter().flat_map(|load| pair_rows(&mut pair, load, rounds, calls / load.part)).collect()
}

fn pair_rows(pair: &mut [Server; 2], load: &Load, rounds: usize, calls: usize) -> Vec<String> {
    let mut cpu = Vec::new();
    let mut rates = Vec::new();
    for round in 0..=rounds {
        let mut figures = [(0.0, 0.0); 2];
        for turn in 0..2 {
            let server = (round + turn) % 2;
            figures[server] = pair[server].bear(load, calls);
        }
        // The first round makes the keys and warms up.
        if round > 0 {
            cpu.push((figures[0].0, figures[1].0));
            rates.push((figures[0].1, figures[1].1));
        }
    }
    vec![row(load.case, "cpu_ns", "redis", &cpu), row(load.case, "rps", "redis", &rates)]
}

/// A server, which ends with this process.
struct Server {
    name: &'static str,
    port: String,
    process: Child,
}

impl Server {
    /// On one core, and the load on another.
    fn start(name: &'static str, program: &str, options: &[&str]) -> Server {
        let socket = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
        let address = socket.expect("a free port");
        let port = address.port().to_string();
        let process = Command::new("taskset")
            .args(["--cpu-list", "0", program, "--bind", "127.0.0.1", "--port", &port])
            .args(options)
            .stdout(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("taskset {program}: {error}"));
        let started = Instant::now();
        while TcpStream::connect(address).is_err() {
            assert!(started.elapsed() < START_TIMEOUT, "{program} does not start");
            std::thread::sleep(Duration::from_millis(10));
        }
        Server { name, port, process }
    }

    /// What redis-cli prints, with this as its input.
    fn cli(&self, words: &[&str], input: &[u8]) -> String {
        let child = Command::new("redis-cli")
            .args(["-p", &self.port, "-e"])
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut child = child.expect("redis-cli is installed");
        child.stdin.take().expect("a pipe").write_all(input).expect("it reads");
        let output = child.wait_with_output().expect("it ends");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_string();
        let (printed, error) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "{} {words:?}: {printed} {error}", self.name);
        printed
    }

    /// CPU nanoseconds of a call, and calls a second.
    fn bear(&self, load: &Load, calls: usize) -> (f64, f64) {
        let before = self.cpu_ns();
        let Output { stdout, .. } = Command::new("taskset")
            .args(["--cpu-list", "1", "redis-benchmark", "--csv", "-p", &self.port, "-c", "50"])
            .args(["-r", "100000", "-n", &calls.to_string(), "-P", &load.pipeline.to_string()])
            .args(load.call)
            .output()
            .expect("redis-benchmark is installed");
        let cpu_ns = (self.cpu_ns() - before) / calls as f64;
        let text = String::from_utf8_lossy(&stdout);
        let line = text.lines().last().unwrap_or_default();
        let rate = line.split("\",\"").nth(1).and_then(|field| field.parse().ok());
        (cpu_ns, rate.unwrap_or_else(|| panic!("{}: {text}", self.name)))
    }

    /// CPU time of all its threads.
    fn cpu_ns(&self) -> f64 {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.process.id()));
        let spent = tasks.expect("the server runs").flatten().filter_map(|task| {
            let text = fs::read_to_string(task.path().join("schedstat")).ok()?;
            text.split(' ').next()?.parse::<f64>().ok()
        });
        spent.sum()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
