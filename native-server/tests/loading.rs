//! What clients are told while a server loads, and that they are served then.
//!
//! The server's log is a pipe that is full when a line is to say what was loaded: so the server
//! loads for as long as the test wants.

mod common;

use std::fs::OpenOptions;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::OpenOptionsExt;
use std::process::Command;
use std::time::{Duration, Instant};

use common::{Connection, Raw, TestServer};
use rustix::fs::OFlags;

const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn who_comes_while_the_server_loads_is_told_so_and_served_afterwards() {
    let directory = tempfile::tempdir().expect("a directory");
    let log = directory.path().join("log");
    let start = |port: u16| {
        TestServer::start(|config| {
            config.dir = directory.path().to_str().expect("a path").into();
            config.port = port.into();
            if port > 0 {
                config.unixsocket = "ferrite.sock".into();
                config.logfile = log.to_str().expect("a path").into();
            }
        })
    };
    let first = start(0);
    first.connect().ask("SET key value");
    first.connect().ask("SAVE");
    drop(first);
    assert!(Command::new("mkfifo").arg(&log).status().expect("mkfifo").success());
    let mut pipe = OpenOptions::new();
    pipe.read(true).write(true).custom_flags(OFlags::NONBLOCK.bits() as i32);
    let mut pipe = pipe.open(&log).expect("the pipe");
    while pipe.write(&[b'.'; 4096]).is_ok() {}
    let address = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
    let address = address.expect("a free port");
    std::thread::scope(|scope| {
        let starting = scope.spawn(|| start(address.port()));
        let end = Instant::now() + PATIENCE;
        while TcpStream::connect(address).is_err() {
            assert!(Instant::now() < end, "the port is open while the server loads");
        }
        let loading = Raw::Error("LOADING Redis is loading the dataset in memory".into());
        let (mut early, mut amid) = (Connection::new(address), Connection::new(address));
        let mut near = Connection::to_file(&directory.path().join("ferrite.sock"));
        assert_eq!(near.ask("PING"), loading);
        for request in ["PING", "GET key", "SET key other", "AUTH password"] {
            assert_eq!(early.ask(request), loading, "{request}");
        }
        early.send_bytes(b"PING\r\nPING\r\n\r\n");
        assert_eq!((early.read(), early.read()), (loading.clone(), loading.clone()));
        assert_eq!(amid.ask("PING"), loading);
        amid.send_bytes(b"*2\r\n$3\r\nGET\r\n");
        let mut wrong = Connection::new(address);
        wrong.send_bytes(b"*x\r\n");
        assert_eq!(wrong.read(), Raw::Error("ERR Protocol error: invalid multibulk length".into()));
        assert!(wrong.is_closed());
        assert!(!starting.is_finished());
        let mut lines = Vec::new();
        let empty = pipe.read_to_end(&mut lines).expect_err("a pipe that stays open");
        assert_eq!(empty.kind(), ErrorKind::WouldBlock);
        let server = starting.join().expect("a server");
        assert_eq!(early.ask("GET key"), Raw::bulk("value"));
        assert_eq!(near.ask("GET key"), Raw::bulk("value"));
        assert!(near.ask("CLIENT INFO").text().contains(" addr=ferrite.sock:0 "));
        assert_eq!(server.connect().ask("GET key"), Raw::bulk("value"));
        assert!(amid.is_closed(), "half a request is not kept");
    });
}
