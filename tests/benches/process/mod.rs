//! Servers as processes of their own, and redis-benchmark as their load.
//!
//! A server runs on cores that it is given, the load on another; CPU time is the server's own, all
//! threads, as the kernel counts it.
//!
//! Not here: what is asked of them.

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long a server may take until it answers.
const START_TIMEOUT: Duration = Duration::from_secs(300);

/// The program that is measured.
pub fn ferrite() -> String {
    std::env::var("FERRITE_SERVER").expect("scripts/bench names the program")
}

/// A server on a free port, with a directory of its own. Both end with this process.
pub struct Process {
    pub port: u16,
    program: String,
    options: Vec<String>,
    /// What it keeps is in here.
    pub directory: PathBuf,
    child: Child,
}

impl Process {
    /// Starts a program on some cores.
    pub fn start(program: &str, cores: &str, options: &[&str]) -> Process {
        let address = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
        let port = address.expect("a free port").port();
        let directory = std::env::temp_dir().join(format!("ferrite-bench-{port}"));
        fs::create_dir_all(&directory).expect("a directory");
        let mut all: Vec<String> = ["--bind", "127.0.0.1", "--port"].map(String::from).into();
        all.extend([port.to_string(), "--dir".into(), directory.display().to_string()]);
        all.extend(options.iter().map(|option| String::from(*option)));
        let child = spawn(program, cores, &all);
        Process { port, program: program.into(), options: all, directory, child }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it has ended of its own accord.
    pub fn wait(&mut self) {
        self.child.wait().expect("a server that ends");
    }

    /// Starts it again after that, on some cores.
    pub fn start_again(&mut self, cores: &str) {
        self.child = spawn(&self.program, cores, &self.options);
    }

    /// Connects, once it answers.
    pub fn connect(&self) -> redis::Connection {
        connect("127.0.0.1", self.port)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.directory);
    }
}

fn spawn(program: &str, cores: &str, options: &[String]) -> Child {
    Command::new("taskset")
        .args(["--cpu-list", cores, program])
        .args(options)
        .stdout(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| panic!("taskset {program}: {error}"))
}

/// CPU nanoseconds of all threads of a process, those that have ended left out.
pub fn cpu_ns(process_id: u32) -> f64 {
    let tasks = fs::read_dir(format!("/proc/{process_id}/task")).expect("the server runs");
    let spent = tasks.flatten().filter_map(|task| {
        let text = fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<f64>().ok()
    });
    spent.sum()
}

/// The most memory that a process has had, in bytes.
pub fn resident_bytes_max(process_id: u32) -> f64 {
    status_bytes(process_id, "VmHWM:")
}

/// The memory that a process has, in bytes.
pub fn resident_bytes(process_id: u32) -> f64 {
    status_bytes(process_id, "VmRSS:")
}

fn status_bytes(process_id: u32, name: &str) -> f64 {
    let status = fs::read_to_string(format!("/proc/{process_id}/status"));
    let status = status.expect("the server runs");
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.and_then(|line| line.trim().split(' ').next()?.parse::<f64>().ok());
    1024.0 * kib.expect("a number")
}

/// Connects, once the server answers: while it loads it answers errors.
pub fn connect(host: &str, port: u16) -> redis::Connection {
    let client = redis::Client::open(format!("redis://{host}:{port}/")).expect("an address");
    let started = Instant::now();
    loop {
        let answer = client.get_connection().and_then(|mut connection| {
            let size: redis::RedisResult<u64> = redis::cmd("DBSIZE").query(&mut connection);
            size.map(|_| connection)
        });
        match answer {
            Ok(connection) => return connection,
            Err(why) => assert!(started.elapsed() < START_TIMEOUT, "{host}:{port}: {why}"),
        }
        sleep(Duration::from_millis(2));
    }
}

/// Asks for something, which must not be refused.
pub fn ask(connection: &mut redis::Connection, words: &[&str]) -> redis::Value {
    let mut request = redis::Cmd::new();
    words.iter().for_each(|word| {
        request.arg(word);
    });
    request.query(connection).unwrap_or_else(|error| panic!("{words:?}: {error}"))
}

/// A figure of a section of INFO; zero where there is none of that name.
pub fn figure(connection: &mut redis::Connection, section: &str, name: &str) -> f64 {
    let redis::Value::BulkString(info) = ask(connection, &["INFO", section]) else {
        panic!("INFO answers a text")
    };
    let info = String::from_utf8_lossy(&info).into_owned();
    let line = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.and_then(|text| text.trim().parse().ok()).unwrap_or_default()
}

/// What redis-benchmark has told.
pub struct Told(String);

/// Lets redis-benchmark bear down on a server: 50 clients, on the last core.
pub fn bear(host: &str, port: u16, pipeline: usize, count: usize, words: &[&str]) -> Told {
    let output = Command::new("taskset")
        .args(["--cpu-list", "1", "redis-benchmark", "-h", host, "-p", &port.to_string()])
        .args(["-c", "50", "--precision", "3"])
        .args(["-n", &count.to_string(), "-P", &pipeline.to_string()])
        .args(words)
        .output()
        .expect("redis-benchmark is installed");
    Told(String::from_utf8_lossy(&output.stdout).into_owned())
}

impl Told {
    fn lines(&self) -> impl Iterator<Item = &str> {
        self.0.lines().flat_map(|line| line.rsplit('\r').next())
    }

    /// Requests a second.
    pub fn rps(&self) -> f64 {
        let rps = self.lines().find_map(|line| {
            let rest = line.trim().strip_prefix("throughput summary: ")?;
            rest.split(' ').next()?.parse().ok()
        });
        rps.unwrap_or_else(|| panic!("a rate in {}", self.0))
    }

    /// How many microseconds such a share of the requests took at most.
    pub fn percentile_us(&self, share: f64) -> f64 {
        // Lines as `99.902% <= 1.234 milliseconds (cumulative count 9990)`, in order.
        let found = self.lines().find_map(|line| {
            let (reached, rest) = line.split_once("% <= ")?;
            let ms: f64 = rest.split(' ').next()?.parse().ok()?;
            (reached.trim().parse::<f64>().ok()? >= share).then_some(1000.0 * ms)
        });
        found.unwrap_or_else(|| panic!("{share} in {}", self.0))
    }
}
