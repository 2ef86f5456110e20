//! The oracle: a private redis-server whose clock stands still until it is told the time.
//! libfaketime answers the server's questions for the time from a file, read anew each time.
//! Expiry in the background is off, so a key dies only when a request notices.
//! Not here: any redis-server but our own; it listens on 127.0.0.1 and dies with the `Oracle`.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, process, thread};

use redis::{ConnectionLike, Value};

use crate::answer::Answer;
use crate::subject::{START_MS, Subject};

/// Where distributions put the library, besides what `FERRITE_LIBFAKETIME` names.
const LIBRARIES: &[&str] = &[
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib64/faketime/libfaketime.so.1",
    "/usr/lib/faketime/libfaketime.so.1",
];

/// How many ports are tried: one that was free a moment ago may be taken by the time that the
/// server listens.
const PORTS_MAX: usize = 10;

/// How long a server may take to answer its first PING.
const START_TIMEOUT: Duration = Duration::from_secs(20);

/// A redis-server of our own.
pub struct Oracle {
    connection: redis::Connection,
    /// Where it listens.
    pub address: SocketAddr,
    server: Server,
}

/// The process and its folder; both are gone when this is dropped, also by a failing test.
struct Server {
    process: Child,
    folder: PathBuf,
}

impl Oracle {
    /// Starts one, or prints why the calling test is skipped. In CI a missing tool is a failure.
    pub fn start_or_skip() -> Option<Oracle> {
        let found = match (works(&program()), library()) {
            (true, Some(library)) => Ok(library),
            (false, _) => Err("redis-server is not installed"),
            (true, None) => Err("libfaketime is not installed (Debian's package is `faketime`)"),
        };
        match found {
            Ok(library) => Some(Oracle::start(&library)),
            Err(reason) if env::var("CI").is_ok_and(|ci| ci == "true") => panic!("{reason}"),
            Err(reason) => {
                println!("skipped: {reason}; scripts/setup installs it");
                None
            }
        }
    }

    fn start(library: &Path) -> Oracle {
        let mut tries = (0..PORTS_MAX).filter_map(|_| Oracle::try_start(library));
        let mut oracle = tries.next().expect("redis-server stays");
        let debug = oracle.ask(&["DEBUG", "SET-ACTIVE-EXPIRE", "0"].map(|word| word.into()));
        assert_eq!(debug, Answer::ok(), "expiry in the background must be off");
        for now_ms in [START_MS + 999, START_MS + 86_400_001, START_MS] {
            oracle.set_clock(now_ms);
            assert_eq!(oracle.clock_ms(), now_ms, "the injected clock must be believed");
        }
        oracle
    }

    /// Starts one on a port that is free. `None` if it ended at once.
    fn try_start(library: &Path) -> Option<Oracle> {
        let port = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
        let port = port.expect("a free port").port();
        let folder = env::temp_dir().join(format!("ferrite-oracle-{}-{port}", process::id()));
        fs::create_dir_all(&folder).expect("a folder for the clock");
        write_clock(&folder, START_MS);
        let process = Command::new(program())
            .args(["--bind", "127.0.0.1", "--port", &port.to_string()])
            .args(["--save", "", "--appendonly", "no"])
            .args(["--enable-debug-command", "yes", "--dir"])
            .arg(&folder)
            // The C library is named again, so that its allocator wins over jemalloc: that one asks
            // for the time while libfaketime is still allocating, a recursion that ends it all.
            .env("LD_PRELOAD", format!("{}:libc.so.6", library.display()))
            .env("FAKETIME_TIMESTAMP_FILE", folder.join("clock"))
            .env("FAKETIME_NO_CACHE", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .env("FAKETIME_FMT", "%s")
            // SORT compares texts as the locale says.
            .env("LC_ALL", "C")
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server starts");
        let mut server = Server { process, folder };
        let connection = connect(port, &mut server.process)?;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        Some(Oracle { connection, address, server })
    }

    fn clock_ms(&mut self) -> i64 {
        let time = redis::cmd("TIME").query::<(i64, i64)>(&mut self.connection);
        let (seconds, microseconds) = time.expect("TIME answers");
        seconds * 1000 + microseconds / 1000
    }
}

impl Subject for Oracle {
    fn reset(&mut self) {
        let flushed = self.ask(&[b"FLUSHALL".to_vec()]);
        assert_eq!(flushed, Answer::ok());
    }

    fn set_clock(&mut self, now_ms: i64) {
        write_clock(&self.server.folder, now_ms);
    }

    fn ask(&mut self, request: &[Vec<u8>]) -> Answer {
        let mut command = redis::Cmd::new();
        for word in request {
            command.arg(word);
        }
        let value = self.connection.req_command(&command);
        answer(value.unwrap_or_else(|error| panic!("the connection broke: {error}")))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Nothing to save: the process is ours and holds no state that anybody wants.
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn answer(value: Value) -> Answer {
    match value {
        Value::Nil => Answer::Null,
        Value::Int(number) => Answer::Integer(number),
        Value::BulkString(bytes) => Answer::Bulk(bytes),
        Value::SimpleString(text) => Answer::Simple(text),
        Value::Okay => Answer::ok(),
        Value::Array(items) => Answer::Array(items.into_iter().map(answer).collect()),
        Value::ServerError(error) => {
            Answer::Error(format!("{} {}", error.code(), error.details().unwrap_or_default()))
        }
        other => panic!("no reply of this slice looks like {other:?}"),
    }
}

/// Replaces the clock's file in one step: the server's own timer may read it at any moment. Half a
/// millisecond is added because libfaketime turns the fraction into a float and cuts it.
fn write_clock(folder: &Path, now_ms: i64) {
    let (seconds, ms) = (now_ms / 1000, now_ms % 1000);
    let fresh = folder.join("clock.new");
    fs::write(&fresh, format!("{seconds}.{ms:03}5")).expect("the clock's file is writable");
    fs::rename(fresh, folder.join("clock")).expect("the clock's file is replaceable");
}

/// A connection to the process that listens on a port. `None` if it has ended.
fn connect(port: u16, process: &mut Child) -> Option<redis::Connection> {
    let client = redis::Client::open(format!("redis://127.0.0.1:{port}/")).expect("an address");
    let started = Instant::now();
    loop {
        // First of all: somebody else may listen there.
        if process.try_wait().expect("a child").is_some() {
            return None;
        }
        if let Ok(connection) = client.get_connection() {
            return Some(connection);
        }
        assert!(started.elapsed() < START_TIMEOUT, "redis-server does not answer");
        thread::sleep(Duration::from_millis(10));
    }
}

/// The server: the one that is installed, or another one that is named.
fn program() -> String {
    env::var("FERRITE_REDIS_SERVER").unwrap_or_else(|_| "redis-server".into())
}

fn works(program: &str) -> bool {
    let status = Command::new(program).arg("--version").stdout(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

fn library() -> Option<PathBuf> {
    let named = env::var_os("FERRITE_LIBFAKETIME").map(PathBuf::from);
    let mut candidates = named.into_iter().chain(LIBRARIES.iter().map(PathBuf::from));
    candidates.find(|path| path.exists())
}
