//! The server: what all its threads share, how it starts, and how it ends.
//!
//! One thread accepts connections and hands them round to the I/O threads, each of which runs the
//! commands of its own connections to the end. They meet in the databases (database.rs) and in what
//! stands in [`Server`], and nowhere else.
//!
//! Not here: what happens on a connection (connection.rs), and what happens by the clock (cron.rs).

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use thiserror::Error;
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};

use crate::acl::Access;
use crate::checkpoint::CheckpointError;
use crate::checkpoint::saver::{self, Saver};
use crate::client::Clients;
use crate::clock::Clock;
use crate::config::{Config, Current};
use crate::crowd::Crowd;
use crate::database::Databases;
use crate::encoding::PLAIN_NODE_BYTES;
use crate::entrance::{self, Entrances, ListenError, Opened, Reception};
use crate::functions::Functions;
use crate::functions::cache::Cache;
use crate::gate::Gate;
use crate::latency::Latency;
use crate::lobby::Lobby;
use crate::log::{Level, Log};
use crate::news::News;
use crate::persist::log::Notice;
use crate::persist::{self, Persistence};
use crate::process::PidFile;
use crate::random;
use crate::scripting::scripts::Scripts;
use crate::slowlog::SlowLog;
use crate::socket::Visitor;
use crate::stats::{Stats, ThreadStats};
use crate::tls::{Certificates, TlsError};
use crate::{acl, cron, io_thread, oom, open_files, rdb};

/// Why a server does not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// Nobody can connect.
    #[error(transparent)]
    Listen(#[from] ListenError),
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
    /// Encrypted connections cannot be had.
    #[error("cannot use TLS: {0}")]
    Tls(#[from] TlsError),
    /// Users cannot be made as they are described.
    #[error("cannot make the users: {0}")]
    Users(String),
    /// What is kept on disk cannot be read or written.
    #[error(transparent)]
    Persistence(#[from] persist::OpenError),
    /// Nobody could connect.
    #[error("{0}, and the server needs more to start")]
    Files(open_files::Shortage),
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
    /// Who may use it, and for what.
    pub access: Access,
    /// Who is connected.
    pub clients: Clients,
    /// What they take of memory together.
    pub crowd: Crowd,
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
    pub entrances: Entrances,
    /// What it shows to who wants to connect encrypted.
    pub certificates: Arc<Certificates>,
    /// Whether keys are dropped when their time has come, without being asked for.
    pub expires_actively: AtomicBool,
    /// Whether nothing is done by the clock (DEBUG PAUSE-CRON).
    pub rests: AtomicBool,
    /// From which length on an element of a list is told of as a node for itself (DEBUG
    /// QUICKLIST-PACKED-THRESHOLD).
    pub plain_node_bytes: AtomicU64,
    /// How often the clock's work was done.
    pub turns: AtomicU64,
    /// What may stand before every command.
    pub gate: Arc<Gate>,
    /// What took long.
    pub latency: Latency,
    /// When checkpoints are taken.
    pub saver: Saver,
    /// Libraries of functions.
    pub functions: Functions,
    /// Scripts.
    pub scripts: Scripts,
    /// What is kept on disk.
    pub persistence: Persistence,
    end: watch::Sender<bool>,
    /// Nothing of what runs now is wanted.
    drops: AtomicBool,
}

impl Server {
    /// What runs is to end with the server, at once, and to leave no trace (SHUTDOWN NOSAVE).
    pub fn drop_all(&self) {
        self.drops.store(true, Ordering::Relaxed);
    }

    /// See [`drop_all`](Self::drop_all).
    pub fn is_dropped(&self) -> bool {
        self.drops.load(Ordering::Relaxed)
    }

    /// Whether the server is to end.
    pub fn is_ending(&self) -> bool {
        *self.end.borrow()
    }

    /// The server is to end.
    pub fn shut_down(&self) {
        self.end.send_replace(true);
    }

    /// Resolves when the server is to end.
    pub async fn ended(&self) {
        // An error means that the sender is gone, and the server with it.
        let _ = self.end.subscribe().wait_for(|is_over| *is_over).await;
    }

    /// The addresses that clients connect to.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.entrances.addresses()
    }

    /// The port of these; 0 where there are none.
    pub fn port(&self) -> u16 {
        self.addresses().first().map_or(0, SocketAddr::port)
    }
}

/// A server that runs.
pub struct Running {
    /// What its threads share.
    pub server: Arc<Server>,
    threads: Vec<JoinHandle<()>>,
    /// What goes last.
    pid_file: Option<PidFile>,
}

impl Running {
    /// Waits until the server has ended.
    pub fn wait(self) {
        for thread in self.threads {
            // A thread that panicked has said so; the others end as well.
            let _ = thread.join();
        }
        saver::give_up(&self.server);
        self.server.persistence.close();
        drop(self.pid_file);
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
pub fn start(mut config: Config, clock: Clock) -> Result<Running, StartError> {
    let certificates = Arc::<Certificates>::default();
    certificates.load(&config)?;
    let opened = entrance::open(&mut config, &certificates)?;
    let server = prepare(config, clock, certificates)?;
    admit_clients(&server)?;
    let pid_file = write_pid_file(&server);
    let lobby = Lobby::open(opened.iter().map(Opened::listener)).map_err(StartError::Thread)?;
    let is_recovered = recover(&server)?;
    let config = server.config.snapshot().config;
    server.persistence.begin(&server, &config, is_recovered)?;
    let running = run(server, opened, lobby.close())?;
    Ok(Running { pid_file, ..running })
}

/// A server for tools: nobody can connect to it, it has its directory for itself, and nothing is
/// loaded yet.
///
/// # Errors
/// Why there is none.
pub fn open(config: Config, clock: Clock) -> Result<Running, StartError> {
    let server = prepare(config, clock, Arc::default())?;
    server.persistence.claim()?;
    Ok(Running { server, threads: Vec::new(), pid_file: None })
}

/// What the threads of a server share.
pub(crate) fn prepare(
    config: Config,
    clock: Clock,
    certificates: Arc<Certificates>,
) -> Result<Arc<Server>, StartError> {
    let level = Level::named(&config.loglevel);
    let log = Log::open(level, &config.logfile, clock.clone())
        .map(Arc::new)
        .map_err(|why| StartError::Log { file: config.logfile.clone(), why })?;
    let thread_count = usize::try_from(config.io_threads).unwrap_or(1).max(1);
    let database_count = usize::try_from(config.databases).unwrap_or(1).max(1);
    let threads: Vec<_> = (0..thread_count).map(|_| Arc::new(ThreadStats::default())).collect();
    let stats = Stats { threads, ..Stats::default() };
    stats.usage.look();
    let policy = config.maxmemory_policy;
    let gate = Arc::<Gate>::default();
    gate.set_starved(config.is_starved());
    let news = Arc::new(News::default());
    news.set_classes(&config.notify_keyspace_events);
    news.tracking.set_keys_max(usize::try_from(config.tracking_table_max_keys).unwrap_or_default());
    let databases = Databases::new(database_count, config.maxmemory, policy, random::number, &news);
    databases.each(|_, database| database.keys.set_forms(config.forms.to_engine()));
    let access = Access::new(acl::file::initial(&config).map_err(StartError::Users)?);
    let server = Arc::new(Server {
        started_ms: clock.now_ms(),
        persistence: Persistence::new(&config, &databases.log),
        functions: Functions::new(function_cache(&config, &log), &log),
        scripts: Scripts::default(),
        databases,
        news,
        saver: Saver::new(clock.now_ms()),
        config: Current::new(config),
        access,
        clients: Clients::default(),
        crowd: Crowd::default(),
        stats,
        log,
        slow: SlowLog::default(),
        run_id: random::hexadecimal(40),
        entrances: Entrances::default(),
        certificates,
        expires_actively: AtomicBool::new(true),
        rests: AtomicBool::new(false),
        plain_node_bytes: AtomicU64::new(PLAIN_NODE_BYTES),
        turns: AtomicU64::new(0),
        gate,
        latency: Latency::default(),
        end: watch::Sender::new(false),
        drops: AtomicBool::new(false),
        clock,
    });
    let current = server.config.snapshot().config;
    server.crowd.set_limit(&current, &server.clients, &server.log);
    if let Err(why) = oom::apply(&current) {
        server.log.warning(format_args!("oom-score-adj cannot be set: {why}"));
    }
    let (gate, log) = (Arc::clone(&server.gate), Arc::clone(&server.log));
    server.databases.log.tell(move |notice| match notice {
        Notice::Trouble(why) => {
            let line = why.clone();
            match (gate.refuse_writes("log", why.map(Into::into)), line) {
                (false, Some(line)) => log.warning(format_args!("writes are refused: {line}")),
                (true, None) => log.notice("writes are taken again"),
                _ => {}
            }
        }
        Notice::Crowded(is_crowded) => gate.set_crowded(is_crowded),
    });
    Ok(server)
}

/// Sees to it that the clients of `maxclients` may come, or lowers it to how many may.
fn admit_clients(server: &Server) -> Result<(), StartError> {
    match open_files::raise(&server.config.snapshot().config) {
        open_files::Outcome::Enough => {}
        open_files::Outcome::Raised { before, now } => {
            server.log.notice(format_args!("{now} files may be open, where {before} might be"));
        }
        open_files::Outcome::Short(shortage) => {
            let clients = i64::try_from(shortage.clients).ok().filter(|clients| *clients > 0);
            let clients = clients.ok_or(StartError::Files(shortage))?;
            server.log.warning(format_args!("{shortage}, and maxclients is lowered to that"));
            let lower = |config: &mut Config| {
                config.maxclients = clients;
                Ok::<_, StartError>(())
            };
            server.config.change(lower)?;
        }
    }
    Ok(())
}

/// Writes `pidfile`, if there is to be one. As in Redis a server starts without it as well.
fn write_pid_file(server: &Server) -> Option<PidFile> {
    let config = server.config.snapshot().config;
    if config.pidfile.is_empty() {
        return None;
    }
    let path = Path::new(&config.dir).join(&config.pidfile);
    let shown = path.display().to_string();
    let written = PidFile::write(path);
    written
        .inspect_err(|why| {
            server.log.warning(format_args!("cannot write the pidfile {shown}: {why}"));
        })
        .ok()
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
    opened: Vec<Opened>,
    early: Vec<Visitor>,
) -> Result<Running, StartError> {
    let threads = server.stats.threads.iter().map(Arc::clone);
    let (doors, visitors): (Vec<_>, Vec<_>) =
        threads.clone().map(|_| mpsc::unbounded_channel()).unzip();
    let runtime = io_thread::runtime().map_err(StartError::Thread)?;
    let reception = Reception::new(runtime.handle().clone(), doors);
    early.into_iter().for_each(|visitor| reception.hand_on(&server, visitor));
    server.entrances.begin(&server, reception, opened).map_err(StartError::Thread)?;
    let mut running = Vec::new();
    for (number, (stats, visitors)) in threads.zip(visitors).enumerate() {
        let server = Arc::clone(&server);
        let thread = move || io_thread::run(&server, &stats, visitors);
        running.push(spawn(format!("ferrite-io-{number}"), thread)?);
    }
    let acceptor = Arc::clone(&server);
    running.push(spawn("ferrite-main".into(), move || run_acceptor(&acceptor, &runtime))?);
    // By itself, since it may have to wait for a database that a script has.
    let clock = io_thread::runtime().map_err(StartError::Thread)?;
    let tended = Arc::clone(&server);
    running.push(spawn("ferrite-cron".into(), move || {
        clock.block_on(async {
            tokio::select! {
                () = tended.ended() => {}
                () = cron::run(Arc::clone(&tended)) => {}
            }
        });
    })?);
    Ok(Running { server, threads: running, pid_file: None })
}

fn spawn(name: String, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, StartError> {
    std::thread::Builder::new().name(name).spawn(run).map_err(StartError::Thread)
}

/// Accepts whoever comes, until the server ends.
fn run_acceptor(server: &Arc<Server>, runtime: &Runtime) {
    runtime.block_on(server.ended());
    server.entrances.close();
}
