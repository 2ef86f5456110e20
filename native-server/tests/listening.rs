//! Where the server listens: the socket that is a file, and ports and addresses that change while
//! it works.

mod common;

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use common::program::{Program, ferrite};
use common::{Connection, Raw, TestServer};
use ferrite_server::config::Config;
use tempfile::TempDir;

/// One test at a time: a process that is started has all sockets of this one for an instant, and so
/// keeps open what the test next to it has closed.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn ok() -> Raw {
    Raw::Simple("OK".into())
}

fn place() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("ferrite.sock");
    (directory, path)
}

fn with_file(path: &Path, configure: impl FnOnce(&mut Config)) -> TestServer {
    TestServer::start(|config| {
        config.unixsocket = path.to_str().expect("a path").into();
        configure(config);
    })
}

fn is_socket(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket())
}

/// An address of this machine that only one test uses: what it closes nobody else opens.
fn own(test: u8, port: u16) -> SocketAddr {
    SocketAddr::from(([127, 77, test, 1], port))
}

/// The same with a port that nobody has; nobody else takes it in between but by chance.
fn free(test: u8) -> SocketAddr {
    let listener = TcpListener::bind(own(test, 0)).expect("a free port");
    listener.local_addr().expect("an address")
}

fn is_open(address: SocketAddr) -> bool {
    TcpStream::connect(address).is_ok()
}

/// A field of a line of CLIENT LIST.
fn field(line: &Raw, name: &str) -> String {
    let line = line.text();
    let found = line.split_whitespace().find_map(|word| word.strip_prefix(name));
    found.and_then(|rest| rest.strip_prefix('=')).expect("a field").into()
}

#[test]
fn a_file_is_a_way_in_like_a_port() {
    let _alone = alone();
    let (_directory, path) = place();
    let server = with_file(&path, |config| {
        (config.port, config.unixsocketperm) = (free(1).port().into(), 0o700);
        config.enable_debug_command = "local".into();
    });
    let mode = fs::metadata(&path).expect("a socket").permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    let (mut near, mut far) = (Connection::to_file(&path), server.connect());
    assert_eq!(near.ask("SET key value"), ok());
    assert_eq!(far.ask("GET key"), Raw::bulk("value"));
    // More than one read and one write of the system take.
    let large = vec![b'x'; 5 << 20];
    assert_eq!(near.ask_words(&[&b"SET"[..], b"large", &large]), ok());
    assert_eq!(near.ask("GET large"), Raw::Bulk(large));
    let info = near.ask("CLIENT INFO");
    let shown = format!("{}:0", path.display());
    assert_eq!((field(&info, "addr"), field(&info, "laddr")), (shown.clone(), shown.clone()));
    assert_eq!(field(&info, "flags"), "U");
    assert_eq!(near.ask("DEBUG SET-ACTIVE-EXPIRE 1"), ok());
    assert_eq!(far.ask("MONITOR"), ok());
    near.ask("ECHO seen");
    let line = far.read().text();
    let from = format!("[0 unix:{}] \"ECHO\" \"seen\"", path.display());
    assert!(line.ends_with(&from), "{line}");
    assert_eq!(server.connect().ask(&format!("CLIENT KILL {shown}")), ok());
    assert!(near.is_closed());
    drop(server);
    assert!(!path.exists(), "the file goes with the server");
}

#[test]
fn a_file_suffices() {
    let _alone = alone();
    let (_directory, path) = place();
    let server = with_file(&path, |config| {
        (config.port, config.maxclients) = (0, 1);
        config.bind = own(2, 0).ip().to_string();
        config.requirepass = "secret".into();
    });
    assert!(server.shared().addresses().is_empty());
    let mut client = Connection::to_file(&path);
    let refused = Raw::Error("NOAUTH Authentication required.".into());
    assert_eq!(client.ask("PING"), refused);
    assert_eq!(client.ask("AUTH secret"), ok());
    assert!(client.ask("INFO server").text().contains("\r\ntcp_port:0\r\n"));
    let mut second = Connection::to_file(&path);
    assert_eq!(second.read(), Raw::Error("ERR max number of clients reached".into()));
    // A port can be had later.
    let address = free(2);
    let request = format!("CONFIG SET maxclients 10 port {}", address.port());
    assert_eq!(client.ask(&request), ok());
    assert_eq!(Connection::new(address).ask("AUTH secret"), ok());
    assert_eq!(client.ask("CONFIG SET port 0"), ok());
    assert!(!is_open(address));
    assert_eq!(client.ask("PING"), Raw::Simple("PONG".into()));
}

#[test]
fn what_a_server_left_is_replaced_and_nothing_else_is() {
    let _alone = alone();
    let (_directory, path) = place();
    let refused = |expected: &str| {
        let output = ferrite()
            .args(["--port", "0", "--save", "", "--unixsocket"])
            .arg(&path)
            .output()
            .expect("the program");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let expected = format!("ferrite: cannot listen on {}: {expected}\n", path.display());
        assert_eq!((output.status.code(), said), (Some(1), expected));
    };
    fs::write(&path, "precious").expect("a file");
    refused("a file of that name is there, and is no socket (see 'unixsocket')");
    assert_eq!(fs::read_to_string(&path).expect("a file"), "precious");
    fs::remove_file(&path).expect("a file");
    // A listener that goes leaves its file behind.
    drop(UnixListener::bind(&path).expect("a socket"));
    assert!(is_socket(&path));
    let server = with_file(&path, |_| {});
    assert_eq!(Connection::to_file(&path).ask("PING"), Raw::Simple("PONG".into()));
    refused("address in use (another server listens there: give each its own)");
    assert_eq!(Connection::to_file(&path).ask("PING"), Raw::Simple("PONG".into()));
    drop(server);
    fs::create_dir(&path).expect("a directory");
    refused("a file of that name is there, and is no socket (see 'unixsocket')");
}

#[test]
fn a_signal_ends_the_server_and_the_file() {
    let _alone = alone();
    let (_directory, path) = place();
    let mut command = ferrite();
    command.args(["--port", "0", "--save", "", "--unixsocket"]).arg(&path);
    let program = Program::begin(&mut command).expect("a server that starts");
    assert_eq!(program.place, path.display().to_string());
    assert!(is_socket(&path));
    program.signal("-TERM");
    assert!(program.wait().success());
    assert!(!path.exists());
}

#[test]
fn ports_change_while_the_server_works() {
    let _alone = alone();
    let server = TestServer::start(|config| config.bind = own(3, 0).ip().to_string());
    let mut client = server.connect();
    let (old, new) = (server.address, free(3));
    let port = new.port();
    let taken = TcpListener::bind(own(3, 0)).expect("a port");
    let taken = taken.local_addr().expect("an address");
    assert_eq!(
        client.ask(&format!("CONFIG SET timeout 7 port {}", taken.port())),
        Raw::Error(
            "ERR CONFIG SET failed (possibly related to argument 'port') - Unable to listen on \
             this port. Check server logs."
                .into()
        )
    );
    let shown = client.ask("CONFIG GET timeout");
    assert_eq!(shown, Raw::Array(vec![Raw::bulk("timeout"), Raw::bulk("0")]), "all or none");
    assert!(is_open(old));
    assert_eq!(client.ask(&format!("CONFIG SET port {port}")), ok());
    assert!(!is_open(old), "the old port is closed when that is answered");
    assert_eq!(Connection::new(new).ask("PING"), Raw::Simple("PONG".into()));
    assert!(client.ask("INFO server").text().contains(&format!("\r\ntcp_port:{port}\r\n")));
    // Who was there stays, and the port is free for others at once.
    assert_eq!(client.ask("PING"), Raw::Simple("PONG".into()));
    drop(TcpListener::bind(old).expect("a port that is free"));
    // The same again changes nothing.
    let mut other = Connection::new(new);
    assert_eq!(client.ask(&format!("CONFIG SET port {port}")), ok());
    assert_eq!(other.ask("PING"), Raw::Simple("PONG".into()));
    assert!(is_open(new));
}

#[test]
fn addresses_change_while_the_server_works() {
    let _alone = alone();
    let server = TestServer::start(|config| config.bind = own(4, 0).ip().to_string());
    let mut client = server.connect();
    let port = server.address.port();
    let second = SocketAddr::from(([127, 77, 4, 2], port));
    let all = |text: &str| ["CONFIG", "SET", "bind", text].map(String::from);
    let failed = Raw::Error(
        "ERR CONFIG SET failed (possibly related to argument 'bind') - Failed to bind to \
         specified addresses."
            .into(),
    );
    assert_eq!(client.ask_words(&all("127.77.4.1 127.77.4.2")), ok());
    assert!(is_open(second) && is_open(server.address));
    // One that is no machine's here, and one that is: neither is opened, nothing is closed.
    assert_eq!(client.ask_words(&all("127.77.4.3 192.0.2.1")), failed);
    assert!(is_open(second) && is_open(server.address));
    assert!(!is_open(SocketAddr::from(([127, 77, 4, 3], port))));
    assert_eq!(client.ask("CONFIG GET bind"), {
        Raw::Array(vec![Raw::bulk("bind"), Raw::bulk("127.77.4.1 127.77.4.2")])
    });
    // With a dash it may be missing.
    assert_eq!(client.ask_words(&all("127.77.4.2 -192.0.2.1")), ok());
    assert!(is_open(second) && !is_open(server.address));
    // All addresses exclude each single one, and the other way round.
    assert_eq!(client.ask_words(&all("0.0.0.0")), ok());
    assert!(is_open(second) && is_open(server.address));
    let other = TcpListener::bind("[::1]:0").ok().and_then(|listener| {
        let port = listener.local_addr().ok()?.port();
        Some((listener, port))
    });
    if let Some((_listener, port)) = other {
        let request = ["CONFIG", "SET", "port", &port.to_string(), "bind", "::1 127.77.4.1"];
        assert_eq!(client.ask_words(&request), failed);
        assert!(is_open(second));
    }
    assert_eq!(client.ask_words(&all("127.77.4.2 192.0.2.1")), failed);
    assert!(is_open(second) && is_open(server.address), "what was closed came back");
    assert_eq!(client.ask_words(&all("127.77.4.1")), ok());
    assert!(!is_open(second) && is_open(server.address));
    assert_eq!(client.ask_words(&all("")), ok());
    assert!(!is_open(server.address));
    assert_eq!(client.ask_words(&all("127.77.4.1")), ok());
    assert_eq!(server.connect().ask("PING"), Raw::Simple("PONG".into()));
}
