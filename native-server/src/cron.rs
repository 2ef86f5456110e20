//! What is done by the clock: keys whose time has come, clients that have been silent for too long,
//! figures that are rates, budgets that were lowered.
//!
//! Invariant: each turn is bounded, and gives a lock back after a bounded step.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use tokio::time::MissedTickBehavior;

use crate::allocator;
use crate::checkpoint::saver;
use crate::client::{signal, state};
use crate::config::Config;
use crate::limits::{EXPIRY_BUCKETS, EXPIRY_STEPS_MAX, SHRINK_STEPS, TRIM_BYTES_MIN};
use crate::server::Server;
use crate::waiting;

/// How often rates are taken.
const SAMPLE_MS: u128 = 100;

/// Weight of a new rate against those before it.
const SAMPLES: u64 = 16;

#[derive(Default)]
struct Rates {
    taken_at: Option<Instant>,
    /// Commands, bytes received, bytes sent.
    counts: [u64; 3],
}

/// What the databases take of memory, as of the last turns.
#[derive(Default)]
struct Memory {
    used_bytes: u64,
    /// The most since memory last went back to the system.
    most_bytes: u64,
}

/// Does its work `hz` times a second, until the server ends.
pub async fn run(server: Arc<Server>) {
    let (mut rates, mut memory) = (Rates::default(), Memory::default());
    let mut hz = 0;
    let mut interval = tokio::time::interval(Duration::from_millis(100));
    loop {
        let config = server.config.snapshot().config;
        if config.hz != hz {
            hz = config.hz;
            let period = Duration::from_millis(1000 / u64::try_from(hz).unwrap_or(10).max(1));
            interval = tokio::time::interval(period);
            interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        }
        interval.tick().await;
        if server.rests.load(Relaxed) {
            continue;
        }
        turn(&server, &config, &mut rates, &mut memory);
    }
}

fn turn(server: &Arc<Server>, config: &Config, rates: &mut Rates, memory: &mut Memory) {
    server.turns.fetch_add(1, Relaxed);
    memory.follow(tend_databases(server, config));
    server.news.tracking.flush();
    drop_idle(server, config);
    stir_slow_readers(server);
    server.slow.truncate(usize::try_from(config.slowlog_max_len).unwrap_or_default());
    take_rates(server, rates);
    saver::tend(server, config);
    server.persistence.tick(server, config);
}

impl Memory {
    /// Gives the system back what was freed, once it is much, and no more is being freed.
    fn follow(&mut self, used_bytes: u64) {
        let is_falling = used_bytes < self.used_bytes;
        self.used_bytes = used_bytes;
        self.most_bytes = self.most_bytes.max(used_bytes);
        let freed_bytes = self.most_bytes - used_bytes;
        if !is_falling && freed_bytes >= TRIM_BYTES_MIN && freed_bytes >= self.most_bytes / 4 {
            allocator::trim();
            self.most_bytes = used_bytes;
        }
    }
}

/// What all databases take of memory then.
fn tend_databases(server: &Server, config: &Config) -> u64 {
    let (now_ms, mut used) = (server.clock.now_ms(), 0);
    let is_paused = server.gate.is_paused();
    let expires = server.expires_actively.load(Relaxed) && !is_paused;
    let mut expiring = Duration::ZERO;
    for index in 0..server.databases.count() {
        for step in 0..EXPIRY_STEPS_MAX {
            let mut held = server.databases.hold();
            let database = held.get(index);
            if database.keys.is_empty() && !database.keys.is_reaping() {
                break;
            }
            let began = Instant::now();
            let dropped =
                if expires { database.with(now_ms, |cx| cx.tick(EXPIRY_BUCKETS)) } else { 0 };
            expiring += began.elapsed();
            if database.waiting.has_changes() {
                // Who waited for a stream that has expired is told so; nobody counts that.
                let _ = waiting::serve(database, now_ms);
            }
            let is_over = !is_paused && database.with(now_ms, |cx| cx.shrink(SHRINK_STEPS));
            // Where a good part of what was looked at had expired there is more of it.
            if dropped < EXPIRY_BUCKETS && !is_over {
                break;
            }
            let is_cut = dropped >= EXPIRY_BUCKETS && step + 1 == EXPIRY_STEPS_MAX;
            server.stats.expiry_cut.fetch_add(is_cut.into(), Relaxed);
        }
        used += server.databases.hold().get(index).stats().used_memory;
    }
    server.stats.used_memory_peak.fetch_max(used, Relaxed);
    let us = u64::try_from(expiring.as_micros()).unwrap_or(u64::MAX);
    server.stats.expiry_us.fetch_add(us, Relaxed);
    let ms = i64::try_from(expiring.as_millis()).unwrap_or(i64::MAX);
    let threshold_ms = config.latency_monitor_threshold_ms;
    if threshold_ms > 0 && ms >= threshold_ms {
        server.latency.note("expire-cycle", now_ms / 1000, ms);
    }
    used
}

/// Clients that do not read are to look again for how long they have not.
fn stir_slow_readers(server: &Server) {
    let clients = server.clients.all();
    let slow = clients.iter().filter(|client| client.output_bytes.load(Relaxed) > 0);
    slow.for_each(|client| client.signal(signal::LOOK));
}

/// Clients that have been silent for longer than `timeout` have to go. Those that wait for
/// something have not been silent by their own choice.
fn drop_idle(server: &Server, config: &Config) {
    if config.timeout_s == 0 {
        return;
    }
    let deadline_ms = server.clock.now_ms().saturating_sub(config.timeout_s.saturating_mul(1000));
    for client in server.clients.all() {
        let is_waiting = client.is(state::BLOCKED | state::SUBSCRIBER | state::MONITOR);
        if !is_waiting && client.seen_ms.load(Relaxed) < deadline_ms {
            client.signal(signal::KILL);
        }
    }
}

/// Takes rates, and looks what the process takes of the machine.
fn take_rates(server: &Server, rates: &mut Rates) {
    let now = Instant::now();
    let elapsed_ms = rates.taken_at.map(|at| now.saturating_duration_since(at).as_millis());
    if elapsed_ms.is_some_and(|ms| ms < SAMPLE_MS) {
        return;
    }
    let stats = &server.stats;
    stats.usage.look();
    let counts = [
        stats.commands_processed(),
        stats.sum(|thread| thread.input_bytes.get()),
        stats.sum(|thread| thread.output_bytes.get()),
    ];
    if let Some(elapsed_ms) = elapsed_ms.and_then(|ms| u64::try_from(ms).ok()) {
        let [input, output] = &stats.bytes_per_second;
        let figures = [&stats.commands_per_second, input, output];
        for ((figure, count), before) in figures.into_iter().zip(counts).zip(rates.counts) {
            let rate = count.saturating_sub(before).saturating_mul(1000) / elapsed_ms;
            let mean = (figure.load(Relaxed) * (SAMPLES - 1) + rate * 2) / (SAMPLES + 1);
            figure.store(mean, Relaxed);
        }
    }
    *rates = Rates { taken_at: Some(now), counts };
}
