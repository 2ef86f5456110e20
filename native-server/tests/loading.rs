//! What clients are told while a server loads, and that they are served then.
//!
//! The checkpoint is a pipe into which the test writes: so the server loads for as long as the
//! test wants.

mod common;

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use common::{Connection, Raw, TestServer};

const PATIENCE: Duration = Duration::from_secs(20);
/// Bytes of a checkpoint's header, which is read by itself first.
const HEADER_BYTES: usize = 64;

#[test]
fn who_comes_while_the_server_loads_is_told_so_and_served_afterwards() {
    let directory = tempfile::tempdir().expect("a directory");
    let start = |port: u16| {
        TestServer::start(|config| {
            config.dir = directory.path().to_str().expect("a path").into();
            config.port = port.into();
            if port > 0 {
                config.unixsocket = "ferrite.sock".into();
            }
        })
    };
    let first = start(0);
    first.connect().ask("SET key value");
    first.connect().ask("SAVE");
    drop(first);
    let file = directory.path().join("checkpoint-0000000000000001.ferrite");
    let bytes = fs::read(&file).expect("a checkpoint");
    fs::remove_file(&file).expect("a checkpoint");
    assert!(Command::new("mkfifo").arg(&file).status().expect("mkfifo").success());
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
        let mut pipe = OpenOptions::new().read(true).write(true).open(&file).expect("the pipe");
        pipe.write_all(&bytes[..HEADER_BYTES]).expect("it is read");
        pipe.write_all(&bytes).expect("it is read");
        while rustix::io::ioctl_fionread(&pipe).expect("a pipe") > 0 {
            assert!(Instant::now() < end, "the server reads all of it");
        }
        drop(pipe);
        let server = starting.join().expect("a server");
        assert_eq!(early.ask("GET key"), Raw::bulk("value"));
        assert_eq!(near.ask("GET key"), Raw::bulk("value"));
        assert!(near.ask("CLIENT INFO").text().contains(" addr=ferrite.sock:0 "));
        assert_eq!(server.connect().ask("GET key"), Raw::bulk("value"));
        assert!(amid.is_closed(), "half a request is not kept");
    });
}
