//! Where the server listens: addresses of TCP, encrypted or not, and a socket that is a file.
//!
//! CONFIG SET of `port`, `tls-port` and `bind` opens what is new before it closes what is not
//! wanted any more, and leaves open what stays, so that nobody is turned away meanwhile. Only where
//! the new is in the way of the old (every address of a port, and one of them) the old goes first,
//! and comes back if the new cannot be had.
//!
//! Invariant: when [`Entrances::change`] returns, what it closed is closed, and its port is free.
//! Invariant: a file that is no socket, or at which somebody listens, is not touched.

use std::fs::{self, Permissions};
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Poll;
use std::time::Duration;

use socket2::{Domain, Protocol, SockAddr, Type};
use thiserror::Error;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use crate::config::Config;
use crate::server::Server;
use crate::socket::{Listener, Socket, StdListener, Visitor};
use crate::tls::Certificates;

/// Why one cannot listen.
#[derive(Debug, Error)]
pub enum ListenError {
    /// Not there.
    #[error("cannot listen on {place}: {why}{remedy}")]
    Place {
        /// Where it was to listen.
        place: String,
        /// Why it cannot.
        why: io::Error,
        /// What to do about it.
        remedy: &'static str,
    },
    /// There is nothing to listen on.
    #[error("no address to listen on: give 'bind' at least one")]
    NoAddress,
}

/// What was opened, and nobody accepts from yet.
pub struct Opened {
    listener: StdListener,
    place: Place,
}

impl Opened {
    /// What there is to accept from.
    pub fn listener(&self) -> &StdListener {
        &self.listener
    }
}

/// Where somebody listens.
enum Place {
    Address(SocketAddr),
    File(SocketFile),
}

/// A socket that is a file, and goes when nobody listens any more.
struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Somebody may have tidied up.
        let _ = fs::remove_file(&self.0);
    }
}

/// See the module.
#[derive(Default)]
pub struct Entrances {
    open: Mutex<Vec<Entrance>>,
    reception: OnceLock<Arc<Reception>>,
}

/// Where somebody accepts. It is closed by taking the listener away.
struct Entrance {
    place: Place,
    is_secure: bool,
    listener: Arc<Mutex<Option<Listener>>>,
    accepting: AbortHandle,
}

impl Drop for Entrance {
    fn drop(&mut self) {
        drop(lock(&self.listener).take());
        self.accepting.abort();
    }
}

/// What is needed to accept: an event loop, and the threads that serve who comes.
pub struct Reception {
    runtime: Handle,
    doors: Vec<mpsc::UnboundedSender<Visitor>>,
    next: AtomicUsize,
}

impl Reception {
    /// With the event loop that accepts, and the ways to the I/O threads.
    pub fn new(runtime: Handle, doors: Vec<mpsc::UnboundedSender<Visitor>>) -> Reception {
        Reception { runtime, doors, next: AtomicUsize::new(0) }
    }

    /// Hands somebody to the thread whose turn it is.
    pub fn hand_on(&self, server: &Server, visitor: Visitor) {
        server.stats.connections_received.fetch_add(1, Ordering::Relaxed);
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        // Only a thread that has ended does not take it, and then the server ends as well.
        let _ = self.doors[turn % self.doors.len()].send(visitor);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Opens what a server that starts listens on. With neither a port nor a file that is any free
/// port, which is the configuration's from then on.
///
/// # Errors
/// Why that cannot be done.
pub fn open(
    config: &mut Config,
    certificates: &Arc<Certificates>,
) -> Result<Vec<Opened>, ListenError> {
    let file = match config.unixsocket.is_empty() {
        true => None,
        false => Some(open_file(config)?),
    };
    let is_any_port = config.port == 0 && config.tls.port == 0 && file.is_none();
    let mut opened = Vec::new();
    if config.port > 0 || is_any_port {
        opened = open_all(&wanted_at(config.port, false, config)?, config, certificates)?;
    }
    if is_any_port && let Some(Place::Address(address)) = opened.first().map(|it| &it.place) {
        config.port = address.port().into();
    }
    if config.tls.port > 0 {
        let wanted = wanted_at(config.tls.port, true, config)?;
        opened.extend(open_all(&wanted, config, certificates)?);
    }
    opened.extend(file);
    if opened.is_empty() { Err(ListenError::NoAddress) } else { Ok(opened) }
}

impl Entrances {
    /// The addresses of TCP.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        lock(&self.open)
            .iter()
            .filter_map(|open| open.address().map(|(address, _)| address))
            .collect()
    }

    /// What it listens on, for people.
    pub fn places(&self) -> Vec<String> {
        lock(&self.open).iter().map(|entrance| entrance.place.name()).collect()
    }

    /// Begins to accept at what was opened.
    ///
    /// # Errors
    /// The system's.
    pub fn begin(
        &self,
        server: &Arc<Server>,
        reception: Reception,
        opened: Vec<Opened>,
    ) -> io::Result<()> {
        let reception = self.reception.get_or_init(|| Arc::new(reception));
        let entrances = opened.into_iter().map(|it| Entrance::begin(server, reception, it));
        *lock(&self.open) = entrances.collect::<io::Result<_>>()?;
        Ok(())
    }

    /// Listens on the addresses that the configuration names, and on no others.
    ///
    /// # Errors
    /// Why it cannot. All is as it was then.
    pub fn change(&self, server: &Arc<Server>, config: &Config) -> Result<(), ListenError> {
        let wanted = wanted(config)?;
        let reception = self.reception.get().ok_or(ListenError::NoAddress)?;
        let enter = |wanted: &[Wanted]| {
            let begin = |opened: Opened| {
                let place = opened.place.name();
                Entrance::begin(server, reception, opened).map_err(|why| fault(place, why))
            };
            let opened = open_all(wanted, config, &server.certificates)?;
            opened.into_iter().map(begin).collect::<Result<Vec<_>, _>>()
        };
        let mut open = lock(&self.open);
        let is_open = |it: &Wanted| open.iter().any(|open| open.address() == Some(it.whole()));
        let missing: Vec<Wanted> = wanted.iter().filter(|it| !is_open(it)).copied().collect();
        let is_wanted = |address| wanted.iter().any(|wanted| wanted.whole() == address);
        let (mut staying, mut leaving): (Vec<_>, Vec<_>) = std::mem::take(&mut *open)
            .into_iter()
            .partition(|entrance| entrance.address().is_none_or(is_wanted));
        let mut closed = Vec::new();
        if leaving.iter().any(|entrance| entrance.is_in_the_way(&missing)) {
            let addresses = leaving.drain(..).filter_map(|entrance| entrance.address());
            closed = addresses
                .map(|(address, is_secure)| Wanted { address, is_secure, is_optional: false })
                .collect();
        }
        let outcome = enter(&missing).map(|entered| staying.extend(entered));
        if outcome.is_err() {
            staying.append(&mut leaving);
            match enter(&closed) {
                Ok(back) => staying.extend(back),
                Err(error) => server.log.warning(format_args!("{error}")),
            }
        }
        *open = staying;
        outcome
    }

    /// Closes all.
    pub fn close(&self) {
        lock(&self.open).clear();
    }
}

impl Entrance {
    /// Has the event loop accept who comes there.
    fn begin(
        server: &Arc<Server>,
        reception: &Arc<Reception>,
        opened: Opened,
    ) -> io::Result<Entrance> {
        let Opened { listener, place } = opened;
        let is_secure = matches!(listener, Socket::Tls(_));
        let listener = {
            let _entered = reception.runtime.enter();
            Arc::new(Mutex::new(Some(listener.into_listener()?)))
        };
        let accepting = accept(Arc::clone(server), Arc::clone(reception), Arc::clone(&listener));
        let accepting = reception.runtime.spawn(accepting).abort_handle();
        Ok(Entrance { place, is_secure, listener, accepting })
    }

    /// Where it is, if that is no file, and whether it is encrypted.
    fn address(&self) -> Option<(SocketAddr, bool)> {
        match self.place {
            Place::Address(address) => Some((address, self.is_secure)),
            Place::File(_) => None,
        }
    }

    /// Whether one of these addresses cannot be had while this one is open: one is every address
    /// of a port, or they are the same and only one is encrypted.
    fn is_in_the_way(&self, wanted: &[Wanted]) -> bool {
        let excludes = |own: SocketAddr, other: SocketAddr| {
            own.port() == other.port()
                && own.is_ipv4() == other.is_ipv4()
                && (own.ip() == other.ip()
                    || own.ip().is_unspecified()
                    || other.ip().is_unspecified())
        };
        let own = self.address();
        own.is_some_and(|(own, _)| wanted.iter().any(|wanted| excludes(own, wanted.address)))
    }
}

impl Place {
    fn name(&self) -> String {
        match self {
            Place::Address(address) => address.to_string(),
            Place::File(file) => file.0.display().to_string(),
        }
    }
}

/// Pause after a connection that could not be accepted, since the next one cannot be either: most
/// often there are too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

async fn accept(
    server: Arc<Server>,
    reception: Arc<Reception>,
    listener: Arc<Mutex<Option<Listener>>>,
) {
    loop {
        let next = poll_fn(|task| match &*lock(&listener) {
            Some(listener) => listener.poll_accept(task).map(Some),
            None => Poll::Ready(None),
        });
        match next.await {
            None => return,
            Some(Ok(stream)) => {
                if let Ok(visitor) = stream.into_visitor() {
                    reception.hand_on(&server, visitor);
                }
            }
            Some(Err(error)) => {
                server.stats.connections_rejected.fetch_add(1, Ordering::Relaxed);
                server.log.warning(format_args!("cannot accept a connection: {error}"));
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// An address that `bind` names, with `port` or `tls-port`.
#[derive(Clone, Copy)]
struct Wanted {
    address: SocketAddr,
    /// Whether it is encrypted.
    is_secure: bool,
    /// Whether this machine may lack it: it begins with a dash.
    is_optional: bool,
}

impl Wanted {
    /// What tells it from others.
    fn whole(&self) -> (SocketAddr, bool) {
        (self.address, self.is_secure)
    }
}

fn wanted(config: &Config) -> Result<Vec<Wanted>, ListenError> {
    let mut wanted = Vec::new();
    for (port, is_secure) in [(config.port, false), (config.tls.port, true)] {
        if port > 0 {
            wanted.extend(wanted_at(port, is_secure, config)?);
        }
    }
    Ok(wanted)
}

fn wanted_at(port: i64, is_secure: bool, config: &Config) -> Result<Vec<Wanted>, ListenError> {
    let port = u16::try_from(port).unwrap_or_default();
    let address = |word: &str| {
        let (is_optional, host) = match word.strip_prefix('-') {
            Some(host) => (true, host),
            None => (false, word),
        };
        let host = match host {
            "*" => "0.0.0.0",
            "::*" => "::",
            host => host,
        };
        let ip: IpAddr = host
            .parse()
            .map_err(|_| fault(format!("{host}:{port}"), io::Error::other("not an IP address")))?;
        Ok(Wanted { address: SocketAddr::new(ip, port), is_secure, is_optional })
    };
    config.bind.split_ascii_whitespace().map(address).collect()
}

/// Opens all of these, or none. What is to have any free port has that of those before it.
fn open_all(
    wanted: &[Wanted],
    config: &Config,
    certificates: &Arc<Certificates>,
) -> Result<Vec<Opened>, ListenError> {
    let mut opened = Vec::new();
    let mut free_port = 0;
    for &Wanted { mut address, is_secure, is_optional } in wanted {
        if address.port() == 0 {
            address.set_port(free_port);
        }
        match listen(address, config.tcp_backlog) {
            Ok((listener, address)) => {
                free_port = address.port();
                let listener = match is_secure {
                    true => Socket::Tls((listener, Arc::clone(certificates))),
                    false => Socket::Tcp(listener),
                };
                opened.push(Opened { listener, place: Place::Address(address) });
            }
            Err(why) if is_optional && is_missing(&why) => {}
            Err(why) => return Err(fault(address.to_string(), why)),
        }
    }
    Ok(opened)
}

/// Whether a machine has no such address, or not its kind.
fn is_missing(why: &io::Error) -> bool {
    const KINDS: [i32; 5] = [
        libc::EAFNOSUPPORT,
        libc::EPFNOSUPPORT,
        libc::EPROTONOSUPPORT,
        libc::ESOCKTNOSUPPORT,
        libc::ENOPROTOOPT,
    ];
    why.kind() == io::ErrorKind::AddrNotAvailable
        || why.raw_os_error().is_some_and(|number| KINDS.contains(&number))
}

fn fault(place: String, why: io::Error) -> ListenError {
    let remedy = match why.kind() {
        io::ErrorKind::AddrInUse => {
            " (something listens there already: stop it, or choose another port with --port)"
        }
        io::ErrorKind::PermissionDenied => " (choose a port from 1024 on)",
        _ => " (see 'bind')",
    };
    ListenError::Place { place, why, remedy }
}

fn listen(address: SocketAddr, backlog: i64) -> io::Result<(TcpListener, SocketAddr)> {
    let domain = Domain::for_address(address);
    let socket = socket2::Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
    socket.set_nonblocking(true)?;
    let listener = TcpListener::from(socket);
    let address = listener.local_addr()?;
    Ok((listener, address))
}

/// Opens the socket that is a file. One that a server has left is replaced.
fn open_file(config: &Config) -> Result<Opened, ListenError> {
    let path = Path::new(&config.dir).join(&config.unixsocket);
    let opened = listen_on_file(&path, config);
    let (listener, file) = opened.map_err(|why| {
        let remedy = match why.kind() {
            io::ErrorKind::AddrInUse => " (another server listens there: give each its own)",
            _ => " (see 'unixsocket')",
        };
        ListenError::Place { place: path.display().to_string(), why, remedy }
    })?;
    Ok(Opened { listener, place: Place::File(file) })
}

fn listen_on_file(path: &Path, config: &Config) -> io::Result<(StdListener, SocketFile)> {
    let address = SockAddr::unix(path)?;
    match fs::symlink_metadata(path) {
        Ok(file) if !file.file_type().is_socket() => {
            return Err(io::Error::other("a file of that name is there, and is no socket"));
        }
        Ok(_) => match UnixStream::connect(path) {
            Ok(_) => return Err(io::ErrorKind::AddrInUse.into()),
            Err(why) if why.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path)?,
            Err(why) => return Err(why),
        },
        Err(_) => {}
    }
    let socket = socket2::Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.bind(&address)?;
    let file = SocketFile(path.into());
    if config.unixsocketperm > 0 {
        fs::set_permissions(path, Permissions::from_mode(config.unixsocketperm))?;
    }
    socket.listen(i32::try_from(config.tcp_backlog).unwrap_or(i32::MAX))?;
    socket.set_nonblocking(true)?;
    Ok((Socket::Unix(socket.into()), file))
}
