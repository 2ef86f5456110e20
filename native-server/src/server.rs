//! The server: what all its threads share, how it starts, and how it ends.
//!
//! One thread accepts connections and hands them round to the I/O threads, each of which runs the
//! commands of its own connections to the end. They meet in the databases (database.rs) and in what
//! stands in [`Server`], and nowhere else.
//!
//! Not here: what happens on a connection (connection.rs), and what happens by the clock (cron.rs).

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use thiserror::Error;
use tokio::sync::{mpsc, watch};

use crate::checkpoint::CheckpointError;
use crate::checkpoint::saver::Saver;
use crate::client::Clients;
use crate::clock::Clock;
use crate::config::{Config, Current};
use crate::database::Databases;
use crate::functions::Functions;
use crate::functions::cache::Cache;
use crate::gate::Gate;
use crate::latency::Latency;
use crate::lobby::Lobby;
use crate::log::{Level, Log};
use crate::news::News;
use crate::persist::log::Notice;
use crate::persist::{self, Persistence};
use crate::random;
use crate::slowlog::SlowLog;
use crate::stats::{Stats, ThreadStats};
use crate::{cron, io_thread, rdb};

/// Why a server does not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// Nobody can connect.
    #[error("cannot listen on {address}: {why}{remedy}")]
    Listen {
        /// Where it was to listen.
        address: String,
        /// Why it cannot.
        why: io::Error,
        /// What to do about it.
        remedy: &'static str,
    },
    /// There is nothing to listen on.
    #[error("no address to listen on: give 'bind' at least one")]
    NoAddress,
    /// The log cannot be written.
    #[error("cannot write the log file {file}: {why} (see 'logfile')")]
    Log {
        /// Its name.
        file: String,
        /// Why it cannot.
        why: io::Error,
    },
    /// The checkpoint cannot be loaded.
    #[error("{0}")]
    Checkpoint(#[from] CheckpointError),
    /// A thread or its event loop cannot be had.
    #[error("cannot start a thread: {0}")]
    Thread(io::Error),
    /// What is kept on disk cannot be read or written.
    #[error(transparent)]
    Persistence(#[from] persist::OpenError),
    /// What Redis left in the directory cannot be loaded.
    #[error("cannot load {0}")]
    Redis(#[from] rdb::Fault),
}

/// What all threads share.
pub struct Server {
    /// The time.
    pub clock: Clock,
    /// The keys.
    pub databases: Databases,
    /// Who listens, and what they are told.
    pub news: Arc<News>,
    /// The configuration in force.
    pub config: Current,
    /// Who is connected.
    pub clients: Clients,
    /// What is counted.
    pub stats: Stats,
    /// What the operator is told.
    pub log: Arc<Log>,
    /// Commands that were slow.
    pub slow: SlowLog,
    /// When the server started.
    pub started_ms: i64,
    /// A name for this run: forty hexadecimal digits.
    pub run_id: String,
    /// Where it listens.
    pub addresses: Vec<SocketAddr>,
    /// Whether keys are dropped when their time has come, without being asked for.
    pub expires_actively: AtomicBool,
    /// Whether nothing is done by the clock (DEBUG PAUSE-CRON).
    pub rests: AtomicBool,
    /// How often the clock's work was done.
    pub turns: AtomicU64,
    /// What may stand before every command.
    pub gate: Arc<Gate>,
    /// What took long.
    pub latency: Latency,
    /// When checkpoints are taken.
    pub saver: Saver,
    /// Functions in WebAssembly.
    pub functions: Functions,
    /// What is kept on disk.
    pub persistence: Persistence,
    end: watch::Sender<bool>,
}

impl Server {
    /// The server is to end.
    pub fn shut_down(&self) {
        self.end.send_replace(true);
    }

    /// Resolves when the server is to end.
    pub async fn ended(&self) {
        // An error means that the sender is gone, and the server with it.
        let _ = self.end.subscribe().wait_for(|is_over| *is_over).await;
    }

    /// The port that clients connect to.
    pub fn port(&self) -> u16 {
        self.addresses.first().map_or(0, SocketAddr::port)
    }
}

/// A server that runs.
pub struct Running {
    /// What its threads share.
    pub server: Arc<Server>,
    threads: Vec<JoinHandle<()>>,
}

impl Running {
    /// Waits until the server has ended.
    pub fn wait(self) {
        for thread in self.threads {
            // A thread that panicked has said so; the others end as well.
            let _ = thread.join();
        }
        self.server.persistence.close();
    }

    /// Ends the server, and waits for that.
    pub fn stop(self) {
        self.server.shut_down();
        self.wait();
    }
}

/// Starts a server.
///
/// # Errors
/// Why it cannot.
pub fn start(config: Config, clock: Clock) -> Result<Running, StartError> {
    let listeners = listen(&config)?;
    let addresses = listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect();
    let server = prepare(config, clock, addresses)?;
    let lobby = Lobby::open(&listeners).map_err(StartError::Thread)?;
    let is_recovered = recover(&server)?;
    let config = server.config.snapshot().config;
    server.persistence.begin(&server, &config, is_recovered)?;
    run(server, listeners, lobby.close())
}

/// A server for tools: nobody can connect to it, it has its directory for itself, and nothing is
/// loaded yet.
///
/// # Errors
/// Why there is none.
pub fn open(config: Config, clock: Clock) -> Result<Running, StartError> {
    let server = prepare(config, clock, Vec::new())?;
    server.persistence.claim()?;
    Ok(Running { server, threads: Vec::new() })
}

/// What the threads of a server share.
fn prepare(
    config: Config,
    clock: Clock,
    addresses: Vec<SocketAddr>,
) -> Result<Arc<Server>, StartError> {
    let level = Level::named(&config.loglevel);
    let log = Log::open(level, &config.logfile, clock.clone())
        .map(Arc::new)
        .map_err(|why| StartError::Log { file: config.logfile.clone(), why })?;
    let thread_count = usize::try_from(config.io_threads).unwrap_or(1).max(1);
    let database_count = usize::try_from(config.databases).unwrap_or(1).max(1);
    let threads: Vec<_> = (0..thread_count).map(|_| Arc::new(ThreadStats::default())).collect();
    let stats = Stats { threads, ..Stats::default() };
    let policy = config.maxmemory_policy;
    let gate = Arc::<Gate>::default();
    gate.set_starved(config.is_starved());
    let news = Arc::new(News::default());
    news.set_classes(&config.notify_keyspace_events);
    news.tracking.set_keys_max(usize::try_from(config.tracking_table_max_keys).unwrap_or_default());
    let databases =
        Databases::new(database_count, config.budget_bytes(), policy, random::number, &news);
    databases.each(|_, database| database.keys.set_forms(config.forms.to_engine()));
    let server = Arc::new(Server {
        started_ms: clock.now_ms(),
        persistence: Persistence::new(&config, &databases.log),
        functions: Functions::new(function_cache(&config, &log), &log),
        databases,
        news,
        saver: Saver::new(clock.now_ms()),
        config: Current::new(config),
        clients: Clients::default(),
        stats,
        log,
        slow: SlowLog::default(),
        run_id: random::hexadecimal(40),
        addresses,
        expires_actively: AtomicBool::new(true),
        rests: AtomicBool::new(false),
        turns: AtomicU64::new(0),
        gate,
        latency: Latency::default(),
        end: watch::Sender::new(false),
        clock,
    });
    let gate = Arc::clone(&server.gate);
    server.databases.log.tell(move |notice| match notice {
        Notice::Trouble(why) => gate.refuse_writes("log", why.map(Into::into)),
        Notice::Crowded(is_crowded) => gate.set_crowded(is_crowded),
    });
    Ok(server)
}

fn function_cache(config: &Config, log: &Arc<Log>) -> Cache {
    Cache::new(&config.function_cache_path(), config.function_cache_size, log)
}

/// Brings back what is in the server's directory: its own files, or else those of Redis. Whether it
/// had any of its own.
///
/// # Errors
/// What is wrong with them.
pub fn recover(server: &Arc<Server>) -> Result<bool, StartError> {
    let config = server.config.snapshot().config;
    let is_recovered = server.persistence.recover(server, &config)?;
    if !is_recovered {
        rdb::start::begin(server, &config)?;
    }
    Ok(is_recovered)
}

/// Serves those who are there already, and whoever comes.
fn run(
    server: Arc<Server>,
    listeners: Vec<std::net::TcpListener>,
    early: Vec<Visitor>,
) -> Result<Running, StartError> {
    let (mut running, mut doors) = (Vec::new(), Vec::new());
    for (number, stats) in server.stats.threads.iter().map(Arc::clone).enumerate() {
        let (door, visitors) = mpsc::unbounded_channel();
        doors.push(door);
        let server = Arc::clone(&server);
        let thread = move || io_thread::run(&server, &stats, visitors);
        running.push(spawn(format!("ferrite-io-{number}"), thread)?);
    }
    for (visitor, door) in early.into_iter().zip(doors.iter().cycle()) {
        server.stats.connections_received.fetch_add(1, Ordering::Relaxed);
        // Only a thread that has ended does not take it, and then the server ends as well.
        let _ = door.send(visitor);
    }
    let acceptor = Arc::clone(&server);
    let accept = move || run_acceptor(&acceptor, listeners, &doors);
    running.push(spawn("ferrite-main".into(), accept)?);
    Ok(Running { server, threads: running })
}

fn spawn(name: String, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, StartError> {
    std::thread::Builder::new().name(name).spawn(run).map_err(StartError::Thread)
}

/// A connection on its way to the thread that will serve it.
pub type Visitor = std::net::TcpStream;

fn run_acceptor(
    server: &Arc<Server>,
    listeners: Vec<std::net::TcpListener>,
    doors: &[mpsc::UnboundedSender<Visitor>],
) {
    let runtime = match io_thread::runtime() {
        Ok(runtime) => runtime,
        Err(error) => return io_thread::give_up(server, &error),
    };
    let local = tokio::task::LocalSet::new();
    let next = std::rc::Rc::new(std::cell::Cell::new(0));
    for listener in listeners {
        let (server, doors, next) = (Arc::clone(server), doors.to_vec(), next.clone());
        local.spawn_local(async move {
            let listener = match tokio::net::TcpListener::from_std(listener) {
                Ok(listener) => listener,
                Err(error) => return io_thread::give_up(&server, &error),
            };
            accept(&server, &listener, &doors, &next).await;
        });
    }
    local.spawn_local(cron::run(Arc::clone(server)));
    local.block_on(&runtime, server.ended());
}

/// Pause after a connection that could not be accepted, since the next one cannot be either: most
/// often there are too many open files.
const ACCEPT_PAUSE: std::time::Duration = std::time::Duration::from_millis(50);

async fn accept(
    server: &Server,
    listener: &tokio::net::TcpListener,
    doors: &[mpsc::UnboundedSender<Visitor>],
    next: &std::cell::Cell<usize>,
) {
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                server.stats.connections_rejected.fetch_add(1, Ordering::Relaxed);
                server.log.warning(format_args!("cannot accept a connection: {error}"));
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Ok(stream) = stream.into_std() else { continue };
        server.stats.connections_received.fetch_add(1, Ordering::Relaxed);
        let turn = next.get();
        next.set(turn.wrapping_add(1));
        // Only a thread that has ended does not take it, and then the server ends as well.
        let _ = doors[turn % doors.len()].send(stream);
    }
}

/// Opens every address of `bind`. One that begins with a dash may be missing on this machine.
fn listen(config: &Config) -> Result<Vec<std::net::TcpListener>, StartError> {
    let port = u16::try_from(config.port).unwrap_or_default();
    let mut listeners = Vec::new();
    for word in config.bind.split_ascii_whitespace() {
        let (is_optional, host) = match word.strip_prefix('-') {
            Some(host) => (true, host),
            None => (false, word),
        };
        let host = match host {
            "*" => "0.0.0.0",
            "::*" => "::",
            host => host,
        };
        match listen_on(host, port, config.tcp_backlog) {
            Ok(listener) => listeners.push(listener),
            Err(_) if is_optional => {}
            Err(why) => {
                let remedy = match why.kind() {
                    io::ErrorKind::AddrInUse => {
                        " (something listens there already: stop it, or choose another port with \
                         --port)"
                    }
                    io::ErrorKind::PermissionDenied => " (choose a port from 1024 on)",
                    _ => " (see 'bind')",
                };
                return Err(StartError::Listen { address: format!("{host}:{port}"), why, remedy });
            }
        }
    }
    if listeners.is_empty() { Err(StartError::NoAddress) } else { Ok(listeners) }
}

fn listen_on(host: &str, port: u16, backlog: i64) -> io::Result<std::net::TcpListener> {
    use socket2::{Domain, Protocol, Socket, Type};
    let ip = host.parse().map_err(|_| io::Error::other("not an IP address"))?;
    let address = SocketAddr::new(ip, port);
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}
