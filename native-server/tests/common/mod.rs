//! What the tests of the server share: a server on a port of its own with a clock that the test
//! holds in its hand, and a client that reads raw replies.
//!
//! Invariant: nothing waits for time to pass; a read has a limit.

#![allow(dead_code, reason = "each test uses a part of it")]

pub mod program;
pub mod shape;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use ferrite_server::clock::Clock;
use ferrite_server::config::Config;
use ferrite_server::server::{Running, Server, start};
use ferrite_tests::answer::Answer;
use ferrite_tests::subject::{START_MS, Subject};

/// How long a reply may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// A reply, as it comes in either protocol.
#[derive(Clone, Debug, PartialEq)]
pub enum Raw {
    Simple(String),
    Error(String),
    Integer(i64),
    Bulk(Vec<u8>),
    Null,
    NullArray,
    Array(Vec<Raw>),
    Map(Vec<(Raw, Raw)>),
    Set(Vec<Raw>),
    Push(Vec<Raw>),
    Double(String),
    Boolean(bool),
    Verbatim(String),
}

impl Raw {
    /// A bulk string.
    pub fn bulk(text: &str) -> Raw {
        Raw::Bulk(text.into())
    }

    /// The text of a string of any kind.
    pub fn text(&self) -> String {
        match self {
            Raw::Simple(text) | Raw::Error(text) | Raw::Verbatim(text) => text.clone(),
            Raw::Bulk(bytes) => String::from_utf8_lossy(bytes).into(),
            other => panic!("no text: {other:?}"),
        }
    }
}

/// A server that ends with the test.
pub struct TestServer {
    running: Option<Running>,
    pub clock: Arc<AtomicI64>,
    pub address: SocketAddr,
}

impl TestServer {
    /// A server with the settings that the test gives it.
    pub fn start(configure: impl FnOnce(&mut Config)) -> TestServer {
        let mut config = Config {
            port: 0,
            bind: "127.0.0.1".into(),
            enable_debug_command: "yes".into(),
            save: Vec::new(),
            function_cache_dir: String::new(),
            ..Config::default()
        };
        configure(&mut config);
        let clock = Arc::new(AtomicI64::new(START_MS));
        let running = start(config, Clock::Manual(Arc::clone(&clock))).expect("a server");
        let none = SocketAddr::from(([0; 4], 0));
        let address = running.server.addresses().first().copied().unwrap_or(none);
        TestServer { running: Some(running), clock, address }
    }

    /// A server as it comes.
    pub fn plain() -> TestServer {
        TestServer::start(|_| {})
    }

    /// What its threads share.
    pub fn shared(&self) -> &Server {
        &self.running.as_ref().expect("a server that runs").server
    }

    /// A new connection.
    pub fn connect(&self) -> Connection {
        Connection::new(self.address)
    }

    /// Moves the clock on.
    pub fn advance(&self, ms: i64) {
        self.clock.fetch_add(ms, Ordering::Relaxed);
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            running.stop();
        }
    }
}

/// A connection that sees replies as they come.
pub struct Connection {
    pub stream: TcpStream,
    reader: BufReader<TcpStream>,
}

impl Connection {
    /// Connects.
    pub fn new(address: SocketAddr) -> Connection {
        let stream = TcpStream::connect(address).expect("a connection");
        stream.set_nodelay(true).expect("a socket");
        Connection::over(stream)
    }

    /// Connects to a socket that is a file.
    pub fn to_file(path: &Path) -> Connection {
        let stream = UnixStream::connect(path).expect("a connection");
        // To read and to write a socket is a socket.
        Connection::over(OwnedFd::from(stream).into())
    }

    fn over(stream: TcpStream) -> Connection {
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        let reader = BufReader::new(stream.try_clone().expect("a socket"));
        Connection { stream, reader }
    }

    /// Sends bytes as they are.
    pub fn send_bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the server takes what is sent");
    }

    /// Sends a request.
    pub fn send_words<T: AsRef<[u8]>>(&mut self, words: &[T]) {
        self.send_bytes(&request(words));
    }

    /// Sends a request whose words stand between spaces.
    pub fn send(&mut self, text: &str) {
        self.send_words(&text.split(' ').collect::<Vec<_>>());
    }

    /// Asks, and reads the reply.
    pub fn ask(&mut self, text: &str) -> Raw {
        self.send(text);
        self.read()
    }

    /// The same for words that hold spaces.
    pub fn ask_words<T: AsRef<[u8]>>(&mut self, words: &[T]) -> Raw {
        self.send_words(words);
        self.read()
    }

    /// Whether the server has closed the connection.
    pub fn is_closed(&mut self) -> bool {
        matches!(self.reader.fill_buf(), Ok([]) | Err(_))
    }

    /// Reads a reply.
    pub fn read(&mut self) -> Raw {
        let line = self.line();
        let (mark, rest) = line.split_at(1);
        let count = || rest.parse::<i64>().unwrap_or_else(|_| panic!("a length: {line:?}"));
        match mark {
            // A number of any length, too.
            "+" | "(" => Raw::Simple(rest.into()),
            "-" => Raw::Error(rest.into()),
            ":" => Raw::Integer(count()),
            "," => Raw::Double(rest.into()),
            "#" => Raw::Boolean(rest == "t"),
            "_" => Raw::Null,
            "$" if count() < 0 => Raw::Null,
            "$" => Raw::Bulk(self.bytes(count() as usize)),
            "=" => {
                let text = self.bytes(count() as usize);
                Raw::Verbatim(String::from_utf8_lossy(&text[4..]).into())
            }
            "*" if count() < 0 => Raw::NullArray,
            "*" => Raw::Array(self.items(count())),
            "~" => Raw::Set(self.items(count())),
            ">" => Raw::Push(self.items(count())),
            "%" => Raw::Map((0..count()).map(|_| (self.read(), self.read())).collect()),
            _ => panic!("no reply: {line:?}"),
        }
    }

    fn items(&mut self, count: i64) -> Vec<Raw> {
        (0..count).map(|_| self.read()).collect()
    }

    fn line(&mut self) -> String {
        let mut line = Vec::new();
        self.reader.read_until(b'\n', &mut line).expect("a reply in time");
        assert!(line.ends_with(b"\r\n"), "a whole line: {:?}", String::from_utf8_lossy(&line));
        line.truncate(line.len() - 2);
        String::from_utf8_lossy(&line).into()
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len + 2];
        self.reader.read_exact(&mut bytes).expect("the whole of a reply");
        assert!(bytes.ends_with(b"\r\n"), "the end of a bulk string");
        bytes.truncate(len);
        bytes
    }
}

/// A connection to the server as a subject.
pub struct Remote<'s> {
    server: &'s TestServer,
    connection: Connection,
}

impl Remote<'_> {
    /// A new connection.
    pub fn new(server: &TestServer) -> Remote<'_> {
        Remote { server, connection: server.connect() }
    }
}

impl Subject for Remote<'_> {
    fn reset(&mut self) {
        self.connection.ask("FLUSHALL");
    }

    fn set_clock(&mut self, now_ms: i64) {
        self.server.clock.store(now_ms, Ordering::Relaxed);
    }

    fn ask(&mut self, request: &[Vec<u8>]) -> Answer {
        shape::flat(self.connection.ask_words(request))
    }
}

/// A request in the protocol.
pub fn request<T: AsRef<[u8]>>(words: &[T]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        let word = word.as_ref();
        bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        bytes.extend_from_slice(word);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}
