//! The configuration: its values, and the one that is in force.
//!
//! Invariant: `table.rs` is the only list of settings. CONFIG GET, CONFIG SET, the configuration
//! file and the command line all go through its rows. What has no effect is no setting.

pub mod file;
pub mod foreign;
pub mod rewrite;
pub mod table;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use ferrite_engine::{Forms, Keyspace, Policy};

use crate::checkpoint::saver::Rule;
use crate::encoding::Encodings;
use crate::ending::Ending;
use crate::limits::CLIENT_BYTES_LEAST;

/// What may be held for one client that does not read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OutputLimit {
    /// Above this the client is dropped at once; 0 for never.
    pub hard_bytes: u64,
    /// Above this it is dropped after `soft_seconds`; 0 for never.
    pub soft_bytes: u64,
    /// See `soft_bytes`.
    pub soft_seconds: u64,
}

impl OutputLimit {
    /// Redis's, by class.
    const DEFAULTS: [OutputLimit; 3] = [
        OutputLimit::megabytes(0, 0, 0),
        OutputLimit::megabytes(256, 64, 60),
        OutputLimit::megabytes(32, 8, 60),
    ];

    const fn megabytes(hard: u64, soft: u64, soft_seconds: u64) -> OutputLimit {
        OutputLimit { hard_bytes: hard << 20, soft_bytes: soft << 20, soft_seconds }
    }
}

/// The kinds of clients that have output limits of their own, with their names.
pub const OUTPUT_CLASSES: [&str; 3] = ["normal", "slave", "pubsub"];

/// So much memory, or a share of `maxmemory`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Share {
    /// In bytes.
    Bytes(u64),
    /// In percent.
    Percent(u64),
}

/// Where values that the engine stores take another form.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, reason = "the table explains them")]
pub struct FormLimits {
    pub hll_sparse_max_bytes: u64,
    pub stream_node_max_bytes: u64,
    pub stream_node_max_entries: i64,
}

impl Default for FormLimits {
    fn default() -> FormLimits {
        let Forms { sparse_sketch_bytes, stream_node_entries, stream_node_bytes } = Forms::DEFAULT;
        FormLimits {
            hll_sparse_max_bytes: sparse_sketch_bytes as u64,
            stream_node_max_bytes: stream_node_bytes as u64,
            stream_node_max_entries: stream_node_entries as i64,
        }
    }
}

impl FormLimits {
    /// As the engine takes them.
    pub fn to_engine(self) -> Forms {
        Forms {
            sparse_sketch_bytes: self.hll_sparse_max_bytes as usize,
            stream_node_entries: usize::try_from(self.stream_node_max_entries).unwrap_or_default(),
            stream_node_bytes: self.stream_node_max_bytes as usize,
        }
    }
}

/// Every setting's value, under its name in the table.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the table explains them")]
pub struct Config {
    pub acl_pubsub_default: String,
    pub aclfile: String,
    pub acllog_max_len: i64,
    pub aof_load_truncated: bool,
    pub appendfsync: String,
    pub appendonly: bool,
    pub auto_aof_rewrite_min_size: u64,
    pub auto_aof_rewrite_percentage: i64,
    pub bind: String,
    pub busy_reply_threshold_ms: i64,
    pub port: i64,
    pub protected_mode: bool,
    pub requirepass: String,
    pub shutdown_on_sigint: Ending,
    pub shutdown_on_sigterm: Ending,
    pub tcp_backlog: i64,
    pub timeout_s: i64,
    pub tcp_keepalive_s: i64,
    pub databases: i64,
    pub dir: String,
    pub save: Vec<Rule>,
    /// Whether these are not the default ones.
    pub has_own_rules: bool,
    pub stop_writes_on_bgsave_error: bool,
    pub dbfilename: String,
    pub appenddirname: String,
    pub appendfilename: String,
    pub rdbchecksum: bool,
    pub io_threads: i64,
    pub maxclients: i64,
    pub maxmemory: u64,
    pub maxmemory_clients: Share,
    pub maxmemory_policy: Policy,
    pub hz: i64,
    pub slowlog_slower_than_us: i64,
    pub slowlog_max_len: i64,
    pub latency_monitor_threshold_ms: i64,
    pub latency_tracking: bool,
    pub latency_percentiles: Vec<f64>,
    pub notify_keyspace_events: String,
    pub oom_score_adj: String,
    pub oom_score_adj_values: [i64; 3],
    pub output_limits: [OutputLimit; 3],
    pub client_query_buffer_limit: u64,
    pub encodings: Encodings,
    pub forms: FormLimits,
    pub proto_max_bulk_len: u64,
    pub enable_debug_command: String,
    pub logfile: String,
    pub loglevel: String,
    pub tracking_table_max_keys: i64,
    pub function_cache_dir: String,
    pub function_cache_size: u64,
    pub function_deadline_ms: i64,
    pub function_module_dir: String,
    pub enable_protected_configs: String,
    pub pidfile: String,
    pub tls: TlsSettings,
    pub unixsocket: String,
    pub unixsocketperm: u32,
    /// The file that the server was started with, which is no setting: CONFIG REWRITE writes it.
    pub file: Option<PathBuf>,
    /// Users: the name and the rules of each. Those in force are elsewhere (acl/mod.rs).
    pub users: Vec<Vec<Vec<u8>>>,
    /// Settings of Redis that were given and have no effect here.
    pub without_effect: Vec<String>,
}

/// What is set of TLS, under the names that begin with it.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the table explains them")]
pub struct TlsSettings {
    pub auth_clients: String,
    pub ca_cert_dir: String,
    pub ca_cert_file: String,
    pub cert_file: String,
    pub key_file: String,
    pub port: i64,
    pub protocols: String,
}

impl Default for TlsSettings {
    fn default() -> TlsSettings {
        TlsSettings {
            auth_clients: "yes".into(),
            ca_cert_dir: String::new(),
            ca_cert_file: String::new(),
            cert_file: String::new(),
            key_file: String::new(),
            port: 0,
            protocols: String::new(),
        }
    }
}

impl Default for Config {
    fn default() -> Config {
        Config {
            acl_pubsub_default: "resetchannels".into(),
            aclfile: String::new(),
            acllog_max_len: 128,
            aof_load_truncated: true,
            appendfsync: "everysec".into(),
            appendonly: false,
            auto_aof_rewrite_min_size: 64 << 20,
            auto_aof_rewrite_percentage: 100,
            busy_reply_threshold_ms: 5000,
            bind: "127.0.0.1 -::1".into(),
            port: 6379,
            protected_mode: true,
            requirepass: String::new(),
            shutdown_on_sigint: Ending::default(),
            shutdown_on_sigterm: Ending::default(),
            tcp_backlog: 511,
            timeout_s: 0,
            tcp_keepalive_s: 300,
            databases: 16,
            dir: ".".into(),
            has_own_rules: false,
            save: [(3600, 1), (300, 100), (60, 10_000)]
                .map(|(seconds, changes)| Rule { seconds, changes })
                .into(),
            stop_writes_on_bgsave_error: true,
            dbfilename: "dump.rdb".into(),
            appenddirname: "appendonlydir".into(),
            appendfilename: "appendonly.aof".into(),
            rdbchecksum: true,
            io_threads: 1,
            maxclients: 10_000,
            maxmemory: 0,
            maxmemory_clients: Share::Bytes(0),
            maxmemory_policy: Policy::NoEviction,
            hz: 10,
            slowlog_slower_than_us: 10_000,
            slowlog_max_len: 128,
            latency_monitor_threshold_ms: 0,
            latency_tracking: true,
            latency_percentiles: vec![50.0, 99.0, 99.9],
            notify_keyspace_events: String::new(),
            oom_score_adj: "no".into(),
            oom_score_adj_values: [0, 200, 800],
            output_limits: OutputLimit::DEFAULTS,
            client_query_buffer_limit: 1 << 30,
            encodings: Encodings::default(),
            forms: FormLimits::default(),
            proto_max_bulk_len: 512 << 20,
            enable_debug_command: "no".into(),
            logfile: String::new(),
            loglevel: "notice".into(),
            tracking_table_max_keys: 1_000_000,
            function_cache_dir: "function-cache".into(),
            function_cache_size: 256 << 20,
            function_deadline_ms: 5000,
            function_module_dir: String::new(),
            enable_protected_configs: "no".into(),
            pidfile: String::new(),
            tls: TlsSettings::default(),
            unixsocket: String::new(),
            unixsocketperm: 0,
            file: None,
            users: Vec::new(),
            without_effect: Vec::new(),
        }
    }
}

impl Config {
    /// Whether `maxmemory` is less than empty databases take. As in Redis, where it may be one
    /// byte, nothing that needs memory is run then, and what may be evicted is.
    pub fn is_starved(&self) -> bool {
        let empty_bytes = self.databases.unsigned_abs() * size_of::<Keyspace>() as u64;
        (1..empty_bytes).contains(&self.maxmemory)
    }

    /// What all clients may take of memory together; 0 for no limit.
    pub fn client_bytes_max(&self) -> u64 {
        let bytes = match self.maxmemory_clients {
            Share::Bytes(0) => return 0,
            // Without a budget there is nothing to have a share of.
            Share::Percent(_) if self.maxmemory == 0 => return 0,
            Share::Bytes(bytes) => bytes,
            Share::Percent(percent) => self.maxmemory / 100 * percent,
        };
        bytes.max(CLIENT_BYTES_LEAST)
    }

    /// Whether users that are made may listen to every channel.
    pub fn has_all_channels(&self) -> bool {
        self.acl_pubsub_default == "allchannels"
    }

    /// Where users are kept; nowhere if that is empty.
    pub fn aclfile_path(&self) -> Option<PathBuf> {
        (!self.aclfile.is_empty()).then(|| Path::new(&self.dir).join(&self.aclfile))
    }

    /// Where compiled code of functions is kept; nowhere if that is empty.
    pub fn function_cache_path(&self) -> PathBuf {
        match self.function_cache_dir.is_empty() {
            true => PathBuf::new(),
            false => Path::new(&self.dir).join(&self.function_cache_dir),
        }
    }
}

/// The configuration in force. Readers keep a copy and look whether it is still the one.
pub struct Current {
    config: RwLock<Arc<Config>>,
    version: AtomicU64,
}

/// A copy of the configuration, with the version it is of.
#[derive(Clone)]
pub struct Snapshot {
    /// The copy.
    pub config: Arc<Config>,
    version: u64,
}

impl Current {
    /// What the server starts with.
    pub fn new(config: Config) -> Current {
        Current { config: RwLock::new(Arc::new(config)), version: AtomicU64::new(0) }
    }

    /// A copy of it.
    pub fn snapshot(&self) -> Snapshot {
        // In this order: a change in between makes the copy look older than it is, never newer.
        let version = self.version.load(Ordering::Acquire);
        let config = self.config.read().unwrap_or_else(PoisonError::into_inner);
        Snapshot { config: Arc::clone(&config), version }
    }

    /// Brings a copy up to date.
    #[inline]
    pub fn refresh(&self, snapshot: &mut Snapshot) {
        if self.version.load(Ordering::Acquire) != snapshot.version {
            *snapshot = self.snapshot();
        }
    }

    /// Puts another configuration in force, made from the one that is.
    ///
    /// # Errors
    /// Those of `change`; the configuration then stays as it is.
    pub fn change<T, E>(
        &self,
        change: impl FnOnce(&mut Config) -> Result<T, E>,
    ) -> Result<(T, Arc<Config>), E> {
        let mut current = self.config.write().unwrap_or_else(PoisonError::into_inner);
        let mut next = (**current).clone();
        let outcome = change(&mut next)?;
        *current = Arc::new(next);
        self.version.fetch_add(1, Ordering::Release);
        Ok((outcome, Arc::clone(&current)))
    }
}
