//! `FCALL` end to end: the server beside redis-server with the same functions in Lua.

use std::io::Write;
use std::process::{Command, Stdio};

use ferrite_tests::functions::example;

use crate::document_of;
use crate::process::{self, Process};
use crate::report::row;

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
    let mut pair = Server::pair("0");
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
pub struct Server {
    name: &'static str,
    process: Process,
}

impl Server {
    /// This one and redis-server, on these cores.
    pub fn pair(cores: &str) -> [Server; 2] {
        let redis = ["--appendonly", "no"];
        [
            Server::start("ferrite", &process::ferrite(), cores, &[]),
            Server::start("redis", "redis-server", cores, &redis),
        ]
    }

    fn start(name: &'static str, program: &str, cores: &str, options: &[&str]) -> Server {
        let process = Process::start(program, cores, &[&["--save", ""], options].concat());
        drop(process.connect());
        Server { name, process }
    }

    /// Where it listens.
    pub fn address(&self) -> (&'static str, u16) {
        ("127.0.0.1", self.process.port)
    }

    /// What redis-cli prints, with this as its input.
    pub fn cli(&self, words: &[&str], input: &[u8]) -> String {
        let child = Command::new("redis-cli")
            .args(["-p", &self.process.port.to_string(), "-e"])
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
        let cpu_ns = || process::cpu_ns(self.process.id());
        let before = cpu_ns();
        let words = [&["-r", "100000"], load.call].concat();
        let told = process::bear("127.0.0.1", self.process.port, load.pipeline, calls, &words);
        ((cpu_ns() - before) / calls as f64, told.rps())
    }
}
