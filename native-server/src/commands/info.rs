//! INFO: one table of sections, each a list of figures.
//!
//! Invariant: a figure has one place, here; whoever else shows it (metrics) reads these lists.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use ferrite_engine::{Args, Arity, Stats, docs};

use crate::client::{Client, state};
use crate::commands::connection::REDIS_VERSION;
use crate::commands::memory::empty_bytes;
use crate::commands::{ROW, Result, ServerSpec, table};
use crate::config::table::find as setting;
use crate::context::Context;
use crate::process;
use crate::pubsub::Kind;

pub(crate) const COMMANDS: &[ServerSpec] = &[ServerSpec {
    name: "info",
    arity: Arity::AtLeast(1),
    flags: 0,
    syntax: docs("[section [section ...]]"),
    summary: docs("Returns figures of the server."),
    run: info,
    ..ROW
}];

/// What Redis counts of forks, replicas, clusters and defragmentation, of which there are none.
const NEVER: [&str; 18] = [
    "sync_full",
    "sync_partial_ok",
    "sync_partial_err",
    "latest_fork_usec",
    "total_forks",
    "migrate_cached_sockets",
    "slave_expires_tracked_keys",
    "active_defrag_hits",
    "active_defrag_misses",
    "active_defrag_key_hits",
    "active_defrag_key_misses",
    "total_active_defrag_time",
    "current_active_defrag_time",
    "instantaneous_input_repl_kbps",
    "instantaneous_output_repl_kbps",
    "total_net_repl_input_bytes",
    "total_net_repl_output_bytes",
    "unexpected_error_replies",
];

/// The same of what a child that saves would copy: nothing is saved by one.
const NO_FORK: [&str; 7] = [
    "current_cow_peak",
    "current_cow_size",
    "current_cow_size_age",
    "current_fork_perc",
    "aof_last_cow_size",
    "module_fork_in_progress",
    "module_fork_last_cow_size",
];

/// What the sections are made from, gathered once.
struct Figures<'c, 'b> {
    cx: &'c Context<'b>,
    databases: Vec<Stats>,
    keyspace: [u64; 5],
    used_memory: u64,
    changes: u64,
    /// Large values, and parts of them, that were deleted and are still to be taken apart.
    reaping: usize,
}

/// Figures, each with its name, in the order in which they are shown.
type Lines = Vec<(String, String)>;

struct Section {
    name: &'static str,
    /// Whether INFO shows it unasked.
    is_default: bool,
    lines: fn(&Figures<'_, '_>) -> Lines,
}

const fn section(
    name: &'static str,
    is_default: bool,
    lines: fn(&Figures<'_, '_>) -> Lines,
) -> Section {
    Section { name, is_default, lines }
}

const SECTIONS: &[Section] = &[
    section("Server", true, server),
    section("Clients", true, clients),
    section("Memory", true, memory),
    section("Persistence", true, persistence),
    section("Stats", true, stats),
    section("Replication", true, replication),
    section("CPU", true, cpu),
    section("Modules", true, |_| Lines::new()),
    section("Commandstats", false, commandstats),
    section("Errorstats", true, errorstats),
    section("Latencystats", false, latencystats),
    section("Cluster", true, |_| lines([("cluster_enabled", "0".into())])),
    section("Functions", true, functions),
    section("Keyspace", true, keyspace),
];

fn info(cx: &mut Context<'_>, args: &mut Args<'_>) -> Result<()> {
    let asked: Vec<String> =
        args.map(|name| String::from_utf8_lossy(name).to_ascii_lowercase()).collect();
    let is_asked = |section: &Section| {
        let name = section.name.to_ascii_lowercase();
        match asked.is_empty() {
            true => section.is_default,
            false => asked.iter().any(|asked| match asked.as_str() {
                "all" | "everything" => true,
                "default" => section.is_default,
                asked => asked == name,
            }),
        }
    };
    let (mut databases, mut changes, mut reaping) = (Vec::new(), 0, 0);
    for index in 0..cx.server.databases.count() {
        let database = cx.held.get(index);
        databases.push(database.stats());
        changes += database.keys.changes();
        reaping += database.keys.reaping_count();
    }
    if !cx.is_in_exec {
        cx.held.release();
    }
    let keyspace = counted(cx, &databases);
    let used_memory = used(&databases);
    let figures = Figures { cx, databases, keyspace, used_memory, changes, reaping };
    let mut text = String::new();
    for section in SECTIONS.iter().filter(|section| is_asked(section)) {
        if !text.is_empty() {
            text.push_str("\r\n");
        }
        // Writing to a string cannot fail.
        let _ = write!(text, "# {}\r\n", section.name);
        for (name, value) in (section.lines)(&figures) {
            let _ = write!(text, "{name}:{value}\r\n");
        }
    }
    cx.wire.verbatim(&text);
    Ok(())
}

/// Hits, misses, expired and evicted keys, and values that went step by step, since the server
/// began, whatever was reset.
pub fn keyspace_figures(cx: &mut Context<'_>) -> [u64; 5] {
    let mut sums = [0; 5];
    for index in 0..cx.server.databases.count() {
        let stats = cx.held.get(index).stats();
        add(&mut sums, &stats);
    }
    sums
}

fn add(sums: &mut [u64; 5], stats: &Stats) {
    let Stats { keyspace_hits, keyspace_misses, expired_keys, evicted_keys, .. } = *stats;
    let figures = [keyspace_hits, keyspace_misses, expired_keys, evicted_keys, stats.lazily_freed];
    sums.iter_mut().zip(figures).for_each(|(sum, figure)| *sum += figure);
}

fn counted(cx: &Context<'_>, databases: &[Stats]) -> [u64; 5] {
    let mut sums = [0; 5];
    databases.iter().for_each(|stats| add(&mut sums, stats));
    let bases = &cx.server.stats.keyspace_base;
    sums.iter_mut()
        .zip(bases)
        .for_each(|(sum, base)| *sum = sum.saturating_sub(base.load(Relaxed)));
    sums
}

fn used(databases: &[Stats]) -> u64 {
    databases.iter().map(|stats| stats.used_memory).sum()
}

fn lines<const N: usize>(lines: [(&str, String); N]) -> Lines {
    lines.map(|(name, value)| (name.into(), value)).into()
}

fn server(figures: &Figures<'_, '_>) -> Lines {
    let cx = figures.cx;
    let server = cx.server;
    let uptime_s = cx.now_ms.saturating_sub(server.started_ms).max(0) / 1000;
    lines([
        ("redis_version", REDIS_VERSION.into()),
        ("ferrite_version", env!("CARGO_PKG_VERSION").into()),
        ("redis_git_sha1", "00000000".into()),
        ("redis_git_dirty", "0".into()),
        ("redis_mode", "standalone".into()),
        ("os", process::system().into()),
        ("arch_bits", usize::BITS.to_string()),
        ("multiplexing_api", "epoll".into()),
        ("monotonic_clock", "POSIX clock_gettime".into()),
        ("process_id", std::process::id().to_string()),
        ("run_id", server.run_id.clone()),
        ("tcp_port", server.port().to_string()),
        ("server_time_usec", server.clock.now_us().to_string()),
        ("uptime_in_seconds", uptime_s.to_string()),
        ("uptime_in_days", (uptime_s / 86_400).to_string()),
        ("hz", cx.config.hz.to_string()),
        ("configured_hz", cx.config.hz.to_string()),
        ("process_supervised", "no".into()),
        ("executable", process::executable().into()),
        ("config_file", {
            let file = cx.config.file.as_ref();
            file.map(|file| file.display().to_string()).unwrap_or_default()
        }),
        ("io_threads_active", u8::from(server.stats.threads.len() > 1).to_string()),
        ("io_threads", server.stats.threads.len().to_string()),
    ])
}

fn clients(figures: &Figures<'_, '_>) -> Lines {
    let all = figures.cx.server.clients.all();
    let count = |what: u32| all.iter().filter(|client| client.is(what)).count().to_string();
    let most = |bytes: fn(&Client) -> usize| {
        all.iter().map(|client| bytes(client)).max().unwrap_or_default().to_string()
    };
    lines([
        ("connected_clients", all.len().to_string()),
        ("cluster_connections", "0".into()),
        ("maxclients", figures.cx.config.maxclients.to_string()),
        ("client_recent_max_input_buffer", most(|client| client.input_bytes.load(Relaxed))),
        ("client_recent_max_output_buffer", most(|client| client.output_bytes.load(Relaxed))),
        ("blocked_clients", count(state::BLOCKED)),
        ("clients_in_timeout_table", count(state::TIMED)),
        ("tracking_clients", count(state::TRACKING)),
        ("pubsub_clients", count(state::SUBSCRIBER)),
        ("watching_clients", {
            all.iter().filter(|client| client.watches.load(Relaxed) > 0).count().to_string()
        }),
    ])
}

/// Bytes as people read them, as Redis writes them.
fn human(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["K", "M", "G", "T"];
    if bytes < 1024 {
        return format!("{bytes}B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.2}{}", UNITS[unit])
}

/// What scripts and libraries take.
fn scripting(cx: &Context<'_>) -> Lines {
    let registry = cx.server.functions.loaded.now();
    let [vm_eval, vm_functions] =
        cx.server.scripts.memory_bytes().map(|bytes| u64::try_from(bytes).unwrap_or_default());
    let (script_count, script_bytes) = cx.server.scripts.cache.figures();
    let library_bytes: usize = registry.texts().map(<[u8]>::len).sum();
    lines([
        ("used_memory_vm_eval", vm_eval.to_string()),
        ("used_memory_lua", vm_eval.to_string()),
        ("used_memory_lua_human", human(vm_eval)),
        ("used_memory_scripts_eval", script_bytes.to_string()),
        ("number_of_cached_scripts", script_count.to_string()),
        (
            "number_of_functions",
            (registry.function_count() + registry.scripted_count()).to_string(),
        ),
        ("number_of_libraries", (registry.libraries.len() + registry.scripted.len()).to_string()),
        ("used_memory_vm_functions", vm_functions.to_string()),
        ("used_memory_vm_total", (vm_eval + vm_functions).to_string()),
        ("used_memory_vm_total_human", human(vm_eval + vm_functions)),
        ("used_memory_functions", library_bytes.to_string()),
        ("used_memory_scripts", (script_bytes + library_bytes).to_string()),
        ("used_memory_scripts_human", human((script_bytes + library_bytes) as u64)),
    ])
}

fn memory(figures: &Figures<'_, '_>) -> Lines {
    let (cx, used) = (figures.cx, figures.used_memory);
    let peak = cx.server.stats.used_memory_peak.fetch_max(used, Relaxed).max(used);
    let dataset: u64 = figures.databases.iter().map(|stats| stats.used_memory_dataset).sum();
    let rss = cx.server.stats.usage.resident_bytes();
    let policy = setting("maxmemory-policy").map(|setting| setting.show(cx.config));
    let share = |part: u64, whole: u64| part as f64 * 100.0 / whole.max(1) as f64;
    let buffers =
        |client: &Arc<Client>| client.input_bytes.load(Relaxed) + client.output_bytes.load(Relaxed);
    let buffers: usize = cx.server.clients.all().iter().map(buffers).sum();
    let mut all = lines([
        ("used_memory", used.to_string()),
        ("used_memory_human", human(used)),
        ("used_memory_rss", rss.to_string()),
        ("used_memory_rss_human", human(rss)),
        ("used_memory_peak", peak.to_string()),
        ("used_memory_peak_human", human(peak)),
        ("used_memory_peak_perc", format!("{:.2}%", share(used, peak))),
        ("used_memory_overhead", used.saturating_sub(dataset).to_string()),
        ("used_memory_dataset", dataset.to_string()),
        ("used_memory_dataset_perc", format!("{:.2}%", share(dataset, used))),
        ("total_system_memory", process::system_memory_bytes().to_string()),
        ("total_system_memory_human", human(process::system_memory_bytes())),
        ("maxmemory", cx.config.maxmemory.to_string()),
        ("maxmemory_human", human(cx.config.maxmemory)),
        ("maxmemory_policy", policy.unwrap_or_default()),
        ("used_memory_startup", empty_bytes(figures.databases.len()).to_string()),
        ("allocator_allocated", used.to_string()),
        ("allocator_active", rss.to_string()),
        ("allocator_resident", rss.to_string()),
        ("allocator_frag_ratio", format!("{:.2}", rss as f64 / used.max(1) as f64)),
        ("allocator_frag_bytes", (rss as i64 - used as i64).to_string()),
        ("allocator_rss_ratio", "1.00".into()),
        ("allocator_rss_bytes", "0".into()),
        ("rss_overhead_ratio", "1.00".into()),
        ("rss_overhead_bytes", "0".into()),
        ("mem_fragmentation_ratio", format!("{:.2}", rss as f64 / used.max(1) as f64)),
        ("mem_fragmentation_bytes", (rss as i64 - used as i64).to_string()),
        ("mem_not_counted_for_evict", "0".into()),
        ("mem_replication_backlog", "0".into()),
        ("mem_total_replication_buffers", "0".into()),
        ("mem_cluster_links", "0".into()),
        ("mem_clients_slaves", "0".into()),
        ("mem_clients_normal", buffers.to_string()),
        ("mem_aof_buffer", cx.server.databases.log.waiting_bytes().to_string()),
        ("mem_allocator", "libc".into()),
        ("active_defrag_running", "0".into()),
        ("lazyfree_pending_objects", figures.reaping.to_string()),
        ("lazyfreed_objects", figures.keyspace[4].to_string()),
    ]);
    all.extend(scripting(cx));
    all
}

fn persistence(figures: &Figures<'_, '_>) -> Lines {
    let cx = figures.cx;
    let saver = cx.server.saver.figures(cx.now_ms, figures.changes);
    let seconds = |seconds: Option<i64>| seconds.unwrap_or(-1).to_string();
    let mut all = lines([
        ("loading", "0".into()),
        ("async_loading", "0".into()),
        ("rdb_changes_since_last_save", saver.changes.to_string()),
        ("rdb_bgsave_in_progress", u8::from(saver.running_seconds.is_some()).to_string()),
        ("rdb_last_save_time", saver.saved_s.to_string()),
        ("rdb_last_bgsave_status", if saver.is_well { "ok" } else { "err" }.into()),
        ("rdb_last_bgsave_time_sec", seconds(saver.last_seconds)),
        ("rdb_current_bgsave_time_sec", seconds(saver.running_seconds)),
        ("rdb_saves", saver.saves.to_string()),
        ("rdb_last_cow_size", "0".into()),
        ("rdb_last_load_keys_loaded", saver.keys_loaded.to_string()),
    ]);
    all.extend(NO_FORK.map(|name| (name.into(), "0".into())));
    all.extend(crate::persist::info::lines(cx.server, cx.config));
    all
}

fn stats(figures: &Figures<'_, '_>) -> Lines {
    let stats = &figures.cx.server.stats;
    let [hits, misses, expired, evicted, _] = figures.keyspace;
    let kilobytes =
        |at: usize| format!("{:.2}", stats.bytes_per_second[at].load(Relaxed) as f64 / 1024.0);
    let errors: u64 = stats.errors().values().sum();
    let news = &figures.cx.server.news;
    let [tracked_keys, tracked_items, tracked_prefixes] = news.tracking.counts();
    let count = |kind| news.pubsub.names(kind, None).len().to_string();
    let mut all = lines([
        ("total_connections_received", stats.connections_received.load(Relaxed).to_string()),
        ("total_commands_processed", stats.commands_processed().to_string()),
        ("instantaneous_ops_per_sec", stats.commands_per_second.load(Relaxed).to_string()),
        ("total_net_input_bytes", stats.sum(|thread| thread.input_bytes.get()).to_string()),
        ("total_net_output_bytes", stats.sum(|thread| thread.output_bytes.get()).to_string()),
        ("instantaneous_input_kbps", kilobytes(0)),
        ("instantaneous_output_kbps", kilobytes(1)),
        ("rejected_connections", stats.connections_rejected.load(Relaxed).to_string()),
        ("expired_keys", expired.to_string()),
        ("expired_time_cap_reached_count", stats.expiry_cut.load(Relaxed).to_string()),
        ("expire_cycle_cpu_milliseconds", (stats.expiry_us.load(Relaxed) / 1000).to_string()),
        ("evicted_keys", evicted.to_string()),
        ("evicted_clients", figures.cx.server.crowd.evicted.load(Relaxed).to_string()),
        ("evicted_scripts", figures.cx.server.scripts.cache.evicted.load(Relaxed).to_string()),
        ("client_query_buffer_limit_disconnections", {
            stats.inputs_dropped.load(Relaxed).to_string()
        }),
        ("client_output_buffer_limit_disconnections", {
            stats.clients_dropped.load(Relaxed).to_string()
        }),
        ("keyspace_hits", hits.to_string()),
        ("keyspace_misses", misses.to_string()),
        ("pubsub_channels", count(Kind::Channel)),
        ("pubsub_patterns", count(Kind::Pattern)),
        ("pubsubshard_channels", count(Kind::Shard)),
        ("tracking_total_keys", tracked_keys.to_string()),
        ("tracking_total_items", tracked_items.to_string()),
        ("tracking_total_prefixes", tracked_prefixes.to_string()),
        ("total_error_replies", errors.to_string()),
        ("total_reads_processed", stats.sum(|thread| thread.reads.get()).to_string()),
        ("total_writes_processed", stats.sum(|thread| thread.writes.get()).to_string()),
    ]);
    all.extend(lines(NEVER.map(|name| (name, "0".into()))));
    all
}

fn replication(figures: &Figures<'_, '_>) -> Lines {
    lines([
        ("role", "master".into()),
        ("connected_slaves", "0".into()),
        ("master_failover_state", "no-failover".into()),
        ("master_replid", figures.cx.server.run_id.clone()),
        ("master_replid2", "0".repeat(40)),
        ("master_repl_offset", "0".into()),
        ("second_repl_offset", "-1".into()),
        ("repl_backlog_active", "0".into()),
        ("repl_backlog_size", "0".into()),
        ("repl_backlog_first_byte_offset", "0".into()),
        ("repl_backlog_histlen", "0".into()),
    ])
}

fn cpu(figures: &Figures<'_, '_>) -> Lines {
    let [user, system] = figures.cx.server.stats.usage.cpu_seconds();
    let none = || String::from("0.000000");
    lines([
        ("used_cpu_sys", format!("{system:.6}")),
        ("used_cpu_user", format!("{user:.6}")),
        ("used_cpu_sys_children", none()),
        ("used_cpu_user_children", none()),
    ])
}

fn commandstats(figures: &Figures<'_, '_>) -> Lines {
    let mut lines = Lines::new();
    for command in table().each() {
        let sum = figures.cx.server.stats.command(command.id);
        if sum.calls == 0 && sum.rejected_calls == 0 {
            continue;
        }
        let us = sum.nanoseconds as f64 / 1000.0;
        lines.push((
            format!("cmdstat_{}", command.name),
            format!(
                "calls={},usec={},usec_per_call={:.2},rejected_calls={},failed_calls={}",
                sum.calls,
                us as u64,
                us / sum.calls.max(1) as f64,
                sum.rejected_calls,
                sum.failed_calls
            ),
        ));
    }
    lines
}

fn errorstats(figures: &Figures<'_, '_>) -> Lines {
    let errors = figures.cx.server.stats.errors();
    let line = |(code, count)| (format!("errorstat_{code}"), format!("count={count}"));
    errors.into_iter().map(line).collect()
}

/// Percentiles of how long commands took.
fn latencystats(figures: &Figures<'_, '_>) -> Lines {
    let config = figures.cx.config;
    let mut lines = Lines::new();
    for command in table().each().filter(|_| config.latency_tracking) {
        let sum = figures.cx.server.stats.command(command.id);
        if sum.calls > 0 {
            let percentiles = config.latency_percentiles.iter();
            let texts =
                percentiles.map(|share| format!("p{share}={}.000", sum.percentile_us(*share)));
            let name = format!("latency_percentiles_usec_{}", command.name);
            lines.push((name, texts.collect::<Vec<_>>().join(",")));
        }
    }
    lines
}

fn functions(figures: &Figures<'_, '_>) -> Lines {
    let figure = |figure: &AtomicU64| figure.load(Relaxed).to_string();
    let functions = &figures.cx.server.functions;
    let registry = functions.loaded.now();
    let mut lines = lines([
        ("functions_libraries", (registry.libraries.len() + registry.scripted.len()).to_string()),
        ("functions_count", (registry.function_count() + registry.scripted_count()).to_string()),
        ("functions_running", functions.running().len().to_string()),
        ("functions_compiled", figure(&functions.loader.compiled)),
        ("functions_fetched", figure(&functions.loader.fetched)),
        ("functions_cache", functions.loader.cache.state().into()),
    ]);
    for library in registry.scripted.values() {
        for function in &library.functions {
            let texts = function.tally.figures().map(|(name, figure)| format!("{name}={figure}"));
            lines.push((format!("function_{}", function.name), texts.join(",")));
        }
    }
    for library in registry.libraries.values() {
        for function in &library.functions {
            let figures = function.tally.figures();
            let texts = figures.map(|(name, figure)| format!("{name}={figure}"));
            lines.push((format!("function_{}", function.declaration.name), texts.join(",")));
        }
        for (name, value) in library.about.metrics() {
            lines.push((format!("metric_{}_{name}", library.name()), value.to_string()));
        }
    }
    lines
}

fn keyspace(figures: &Figures<'_, '_>) -> Lines {
    let databases = figures.databases.iter().enumerate();
    let line = |(index, stats): (usize, &Stats)| {
        let value = format!("keys={},expires={},avg_ttl=0", stats.keys, stats.expires);
        (format!("db{index}"), value)
    };
    databases.filter(|(_, stats)| stats.keys > 0).map(line).collect()
}
