//! `scripts/bench families`: what commands on bitmaps, HyperLogLogs and places cost beside
//! redis-server, where that is more than a request's own cost.
//!
//! Ferrite's figure is the CPU time of `execute`, the reply being copied into a buffer; Redis's is
//! what its own `INFO commandstats` says that a call took. So neither counts the network. Both are
//! asked the same requests in turn, round by round; losing rows are printed like the others.
//!
//! Not here: commands of a microsecond or two, which is what Redis's clock can tell apart.

#[expect(dead_code, reason = "not every bench needs all of it")]
mod report;

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use ferrite_engine::{Keyspace, Options, Reply, Value, execute};
use ferrite_tests::random::Random;
use report::{cpu_time_of, row, save, title};

const NOW_MS: i64 = 1_700_000_000_000;
const START_TIMEOUT: Duration = Duration::from_secs(20);

type Request = Vec<Vec<u8>>;

/// A case: what it is called, and the requests of a round, all of one command.
struct Case {
    name: String,
    requests: Vec<Request>,
    /// What is done before each of them, and not measured.
    before: Option<Request>,
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let is_quick = arguments.iter().any(|argument| argument == "--quick");
    let (rounds, divisor) = if is_quick { (3, 100) } else { (9, 1) };
    let mut ferrite = Ferrite::new();
    let mut redis = Redis::start();
    let (preparations, cases) = cases(divisor);
    for request in &preparations {
        ferrite.ask(request);
        redis.ask(request);
    }
    title();
    let rows: Vec<String> = cases
        .iter()
        .map(|case| {
            let mut pairs: Vec<(f64, f64)> = Vec::new();
            for _ in 0..rounds {
                pairs.push((ferrite.nanoseconds(case), redis.nanoseconds(case)));
            }
            row(&case.name, "cpu_ns", "redis", &pairs)
        })
        .collect();
    save(&arguments, &rows);
}

fn words(request: &str) -> Request {
    request.split(' ').map(Into::into).collect()
}

/// What is stored first, and the cases, with values so many times smaller.
fn cases(divisor: usize) -> (Vec<Request>, Vec<Case>) {
    let mut random = Random::new(1);
    let mut preparations = Vec::new();
    let bytes = 8_000_000 / divisor;
    for name in ["a", "b", "c"] {
        let bits: Vec<u8> = (0..bytes).map(|_| random.below(256) as u8).collect();
        preparations.push(vec![b"SET".to_vec(), name.into(), bits]);
    }
    preparations.push(words(&format!("SETBIT sparse {} 1", 8 * bytes - 1)));
    let places = 200_000 / divisor;
    for number in 0..places {
        let part = |random: &mut Random| random.below(1 << 30) as f64 / (1u64 << 30) as f64;
        let (longitude, latitude) = (10.0 * part(&mut random), 40.0 + 10.0 * part(&mut random));
        let request = format!("GEOADD places {longitude:.6} {latitude:.6} place:{number}");
        preparations.push(words(&request));
    }
    let mut visitors = |count: usize| -> Vec<u8> {
        let names = (0..count).map(|_| format!(" {}", random.below(1 << 40)));
        names.collect::<String>().into_bytes()
    };
    let mut add = |key: &str, count: usize| {
        let request = [b"PFADD ", key.as_bytes(), &visitors(count)].concat();
        words(&String::from_utf8_lossy(&request))
    };
    for (key, count) in [("dense", 10_000), ("other", 10_000), ("none", 0)] {
        preparations.push(add(key, count));
    }
    let megabytes = bytes as f64 / 1e6;
    let case = |name: String, requests: Vec<Request>| Case { name, requests, before: None };
    let one = |name: &str, request: &str| case(name.into(), vec![words(request); 10]);
    let sized = |name: &str, request: &str| {
        case(format!("{name} {megabytes} MB"), vec![words(request); 10])
    };
    // A register of its own each time, so that there is always something to count anew.
    let stale = Some(words("SETBIT dense 120 1"));
    let radius = "GEOSEARCH places FROMLONLAT 5 45 BYRADIUS";
    let cases = vec![
        sized("BITCOUNT", "BITCOUNT a"),
        sized("BITPOS", "BITPOS sparse 1"),
        sized("BITOP AND of three", "BITOP AND result a b c"),
        sized("BITOP NOT", "BITOP NOT result a"),
        case("PFADD 100 dense".into(), (0..200).map(|_| add("dense", 100)).collect()),
        case("PFADD 500 sparse".into(), vec![add("fresh", 500)]),
        Case { before: stale, ..one("PFCOUNT dense", "PFCOUNT dense") },
        one("PFCOUNT of two", "PFCOUNT dense other"),
        one("PFMERGE of two", "PFMERGE dense other"),
        one("GEOSEARCH 30 km", &format!("{radius} 30 km ASC WITHDIST")),
        one("GEOSEARCH 100 km", &format!("{radius} 100 km ASC WITHDIST")),
        one("GEOSEARCH 300 km COUNT 10", &format!("{radius} 300 km COUNT 10 WITHDIST")),
        one("GEOSEARCH 300 km unsorted", &format!("{radius} 300 km")),
    ];
    (preparations, cases)
}

/// The engine, and a buffer for its replies.
struct Ferrite {
    keys: Keyspace,
    buffer: Buffer,
}

impl Ferrite {
    fn new() -> Ferrite {
        let options = Options { max_memory_bytes: 1 << 30, ..Options::default() };
        Ferrite { keys: Keyspace::new(&options).expect("a keyspace"), buffer: Buffer::default() }
    }

    fn ask(&mut self, request: &Request) {
        let arguments: Vec<&[u8]> = request.iter().map(Vec::as_slice).collect();
        self.buffer.0.clear();
        execute(&mut self.keys.at(NOW_MS), &arguments, &mut self.buffer);
    }

    fn nanoseconds(&mut self, case: &Case) -> f64 {
        let mut total = 0.0;
        for request in &case.requests {
            case.before.iter().for_each(|before| self.ask(before));
            total += cpu_time_of(|| self.ask(request));
        }
        self.ask(&words("DEL fresh"));
        total / case.requests.len() as f64
    }
}

/// Where replies go: something like a connection's buffer.
#[derive(Default)]
struct Buffer(Vec<u8>);

impl Reply for Buffer {
    fn simple(&mut self, text: &'static str) {
        self.0.extend_from_slice(text.as_bytes());
    }
    fn integer(&mut self, number: i64) {
        self.0.extend_from_slice(&number.to_le_bytes());
    }
    fn bulk(&mut self, value: Value<'_>) {
        value.parts().for_each(|part| self.0.extend_from_slice(part));
    }
    fn null(&mut self) {}
    fn array(&mut self, len: usize) {
        self.integer(len as i64);
    }
    fn error(&mut self, parts: &[&[u8]]) {
        panic!("{}", String::from_utf8_lossy(&parts.concat()));
    }
}

/// A redis-server of our own, which ends with this process.
struct Redis {
    process: Child,
    connection: redis::Connection,
}

impl Redis {
    fn start() -> Redis {
        let port = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
        let port = port.expect("a free port").port();
        let process = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--port", &port.to_string()])
            .args(["--save", "", "--appendonly", "no"])
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server is installed");
        let client = redis::Client::open(format!("redis://127.0.0.1:{port}/")).expect("an address");
        let started = Instant::now();
        let connection = loop {
            if let Ok(connection) = client.get_connection() {
                break connection;
            }
            assert!(started.elapsed() < START_TIMEOUT, "redis-server does not answer");
            sleep(Duration::from_millis(10));
        };
        Redis { process, connection }
    }

    fn ask(&mut self, request: &Request) -> redis::Value {
        let mut command = redis::Cmd::new();
        for word in request {
            command.arg(word);
        }
        let answer = command.query(&mut self.connection);
        answer.unwrap_or_else(|error| panic!("{}: {error}", String::from_utf8_lossy(&request[0])))
    }

    /// What a call takes, by what the server itself has counted.
    fn nanoseconds(&mut self, case: &Case) -> f64 {
        let name = String::from_utf8_lossy(&case.requests[0][0]).to_ascii_lowercase();
        self.ask(&words("CONFIG RESETSTAT"));
        for request in &case.requests {
            for request in case.before.iter().chain([request]) {
                self.ask(request);
            }
        }
        let info = self.ask(&words("INFO commandstats"));
        let redis::Value::BulkString(info) = info else { panic!("INFO answers a text") };
        self.ask(&words("DEL fresh"));
        let info = String::from_utf8_lossy(&info).into_owned();
        let line = info.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{name}:")));
        let figures = line.expect("the command was called").split(',');
        let spent = figures.filter_map(|figure| figure.strip_prefix("usec=")).next();
        let spent: f64 = spent.and_then(|text| text.parse().ok()).expect("a number");
        1_000.0 * spent / case.requests.len() as f64
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
