//! MEMORY: what takes memory, and giving back what nobody needs.

use std::sync::OnceLock;
use std::sync::atomic::Ordering::Relaxed;

use ferrite_engine::{Args, Arity, Error, Keys, Keyspace, Options, READ, Reply, Stats, docs};

use crate::commands::{ROW, Result, ServerSpec};
use crate::context::Context;
use crate::limits::{EXPIRY_BUCKETS, PURGE_STEPS_MAX};
use crate::resp::wire::Wire;
use crate::{allocator, number, process};

const MEMORY_ROW: ServerSpec = ServerSpec { since: docs("4.0.0"), flags: 0, ..ROW };

pub(crate) const COMMANDS: &[ServerSpec] = &[
    ServerSpec { name: "memory", summary: docs("Tells what takes memory."), ..MEMORY_ROW },
    ServerSpec {
        name: "memory|doctor",
        arity: Arity::Exactly(2),
        summary: docs("Tells what looks wrong about the memory."),
        run: doctor,
        ..MEMORY_ROW
    },
    ServerSpec {
        name: "memory|malloc-stats",
        arity: Arity::Exactly(2),
        summary: docs("Returns figures of the allocator, where it has any."),
        run: |cx, _| {
            // Redis's answer for an allocator that has none, as the system's.
            cx.wire.text("Stats not supported for the current allocator");
            Ok(())
        },
        ..MEMORY_ROW
    },
    ServerSpec {
        name: "memory|purge",
        arity: Arity::Exactly(2),
        summary: docs("Gives back at once what was deleted and is taken apart by and by."),
        run: purge,
        ..MEMORY_ROW
    },
    ServerSpec {
        name: "memory|stats",
        arity: Arity::Exactly(2),
        summary: docs("Returns what takes how much memory."),
        run: stats,
        ..MEMORY_ROW
    },
    ServerSpec {
        name: "memory|usage",
        arity: Arity::AtLeast(3),
        keys: Keys { first: 2, last: 2, step: 1 },
        flags: READ,
        syntax: docs("key [SAMPLES count]"),
        summary: docs("Returns how many bytes a key takes."),
        run: usage,
        ..MEMORY_ROW
    },
];

fn usage(cx: &mut Context<'_>, args: &mut Args<'_>) -> Result<()> {
    let key = args.required();
    while let Some(option) = args.next() {
        let count = args.value()?;
        if !option.eq_ignore_ascii_case(b"samples") {
            return Err(Error::Syntax.into());
        }
        let count = number::integer(count).ok_or(Error::NotAnInteger)?;
        if count < 0 {
            return Err(Error::Syntax.into());
        }
    }
    match cx.with(|cx| cx.memory_usage(key)) {
        Some(bytes) => cx.wire.integer(i64::try_from(bytes).unwrap_or(i64::MAX)),
        None => cx.wire.null(),
    }
    Ok(())
}

fn purge(cx: &mut Context<'_>, _: &mut Args<'_>) -> Result<()> {
    for index in 0..cx.server.databases.count() {
        for _ in 0..PURGE_STEPS_MAX {
            let before = cx.held.get(index).stats().used_memory;
            let now_ms = cx.now_ms;
            cx.held.get(index).with(now_ms, |cx| cx.tick(EXPIRY_BUCKETS));
            if cx.held.get(index).stats().used_memory >= before {
                break;
            }
            if !cx.is_in_exec {
                // Others get their chance.
                cx.held.release();
            }
        }
    }
    if !cx.is_in_exec {
        cx.held.release();
    }
    allocator::trim();
    // Who asked wants to see what came of it.
    cx.server.stats.usage.look();
    cx.wire.ok();
    Ok(())
}

/// What is known of the memory.
struct Figures {
    databases: Vec<Stats>,
    /// Of all databases, the most that it ever was, and what they take while they are empty.
    used: u64,
    peak: u64,
    empty: u64,
    dataset: u64,
    keys: u64,
    resident: u64,
    /// What waits in buffers of clients.
    clients: u64,
}

impl Figures {
    fn gather(cx: &mut Context<'_>) -> Figures {
        let count = cx.server.databases.count();
        let databases: Vec<Stats> = (0..count).map(|index| cx.held.get(index).stats()).collect();
        if !cx.is_in_exec {
            cx.held.release();
        }
        let sum = |figure: fn(&Stats) -> u64| databases.iter().map(figure).sum::<u64>();
        let used = sum(|stats| stats.used_memory);
        let buffers = |client: &std::sync::Arc<crate::client::Client>| {
            client.input_bytes.load(Relaxed) + client.output_bytes.load(Relaxed)
        };
        Figures {
            used,
            peak: cx.server.stats.used_memory_peak.fetch_max(used, Relaxed).max(used),
            empty: empty_bytes(count),
            dataset: sum(|stats| stats.used_memory_dataset),
            keys: sum(|stats| stats.keys),
            resident: process::resident_bytes(),
            clients: cx.server.clients.all().iter().map(buffers).sum::<usize>() as u64,
            databases,
        }
    }

    fn fragmentation(&self) -> f64 {
        self.resident as f64 / self.used.max(1) as f64
    }
}

/// What so many databases take while they are empty.
pub fn empty_bytes(count: usize) -> u64 {
    static EACH: OnceLock<u64> = OnceLock::new();
    let each = EACH.get_or_init(|| {
        let empty = Keyspace::new(&Options::default()).map(|keys| keys.stats().used_memory);
        empty.unwrap_or_default()
    });
    each * count as u64
}

fn share(part: u64, whole: u64) -> f64 {
    part as f64 * 100.0 / whole.max(1) as f64
}

fn put(wire: &mut Wire<'_>, (name, figure): (&str, u64)) {
    wire.text(name);
    wire.integer(i64::try_from(figure).unwrap_or(i64::MAX));
}

/// The figures under Redis's names. Its allocator is the system's, which tells nothing: then Redis,
/// too, goes by what the process takes.
fn stats(cx: &mut Context<'_>, _: &mut Args<'_>) -> Result<()> {
    let figures = Figures::gather(cx);
    let above_empty = figures.used.saturating_sub(figures.empty);
    let log = cx.server.databases.log.waiting_bytes() as u64;
    let before = [
        ("peak.allocated", figures.peak),
        ("total.allocated", figures.used),
        ("startup.allocated", figures.empty),
        ("replication.backlog", 0),
        ("clients.slaves", 0),
        ("clients.normal", figures.clients),
        ("cluster.links", 0),
        ("aof.buffer", log),
        ("lua.caches", 0),
    ];
    let behind = [
        ("overhead.total", figures.used.saturating_sub(figures.dataset)),
        ("keys.count", figures.keys),
        ("keys.bytes-per-key", above_empty.checked_div(figures.keys).unwrap_or_default()),
        ("dataset.bytes", figures.dataset),
    ];
    let shares = [
        ("dataset.percentage", share(figures.dataset, above_empty.max(figures.dataset))),
        ("peak.percentage", share(figures.used, figures.peak)),
        ("fragmentation", figures.fragmentation()),
        ("allocator-fragmentation.ratio", figures.fragmentation()),
        ("allocator-rss.ratio", 1.0),
        ("rss-overhead.ratio", 1.0),
    ];
    let beyond = figures.resident as i64 - figures.used as i64;
    let last = [
        ("allocator.allocated", figures.used as i64),
        ("allocator.active", figures.resident as i64),
        ("allocator.resident", figures.resident as i64),
        ("allocator-fragmentation.bytes", beyond),
        ("allocator-rss.bytes", 0),
        ("rss-overhead.bytes", 0),
        ("fragmentation.bytes", beyond),
    ];
    let with_keys = figures.databases.iter().enumerate().filter(|(_, stats)| stats.keys > 0);
    let with_keys: Vec<(usize, &Stats)> = with_keys.collect();
    let wire = &mut cx.wire;
    wire.map(before.len() + with_keys.len() + behind.len() + shares.len() + last.len());
    before.into_iter().for_each(|figure| put(wire, figure));
    for (index, stats) in with_keys {
        cx.wire.text(format!("db.{index}"));
        cx.wire.map(2);
        let main = stats.used_memory.saturating_sub(stats.used_memory_dataset);
        for (name, bytes) in [("overhead.hashtable.main", main), ("overhead.hashtable.expires", 0)]
        {
            put(&mut cx.wire, (name, bytes));
        }
    }
    behind.into_iter().for_each(|figure| put(&mut cx.wire, figure));
    for (name, share) in shares {
        cx.wire.text(name);
        cx.wire.double(share.to_string().as_str().into());
    }
    for (name, figure) in last {
        cx.wire.text(name);
        cx.wire.integer(figure);
    }
    Ok(())
}

/// Below this there is nothing to tell.
const WORTH_A_LOOK_BYTES: u64 = 5 << 20;

fn doctor(cx: &mut Context<'_>, _: &mut Args<'_>) -> Result<()> {
    let figures = Figures::gather(cx);
    if figures.used.saturating_sub(figures.empty) < WORTH_A_LOOK_BYTES {
        cx.wire.verbatim("There is hardly any data: nothing can be told of the memory yet.\n");
        return Ok(());
    }
    let clients = cx.server.clients.count().max(1) as u64;
    let budget = cx.config.maxmemory;
    let findings = [
        (
            figures.peak as f64 > figures.used as f64 * 1.5,
            "Peak: at some time one and a half times as much memory was in use. The process may \
             hold what was needed then until it is needed again.",
        ),
        (
            figures.fragmentation() > 1.4 && figures.resident > figures.used + (10 << 20),
            "Resident memory: the process holds far more than the data takes. That may be the \
             peak, a checkpoint on its way, instances of functions, or buffers of clients.",
        ),
        (
            figures.clients / clients > 200 << 10,
            "Clients: more than 200 KB on average wait to be sent, or to be run. See CLIENT LIST \
             for who does not read, and client-output-buffer-limit.",
        ),
        (
            budget > 0 && figures.used as f64 > budget as f64 * 0.95,
            "Budget: more than 95 % of maxmemory are in use. See maxmemory-policy for what is \
             evicted.",
        ),
    ];
    let found: Vec<&str> =
        findings.iter().filter(|(is_so, _)| *is_so).map(|(_, text)| *text).collect();
    match found.as_slice() {
        [] => cx.wire.verbatim("Nothing looks wrong about the memory.\n"),
        found => cx.wire.verbatim(&format!(" * {}\n", found.join("\n * "))),
    }
    Ok(())
}
