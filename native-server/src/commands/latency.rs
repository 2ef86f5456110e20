//! LATENCY: what took long, and how long commands take.

use std::fmt::Write;

use ferrite_engine::{Args, Arity, Reply, docs};

use crate::commands::flags::{ADMIN, NO_SCRIPT};
use crate::commands::{ROW, Result, ServerSpec, table};
use crate::context::Context;
use crate::latency::History;

const LATENCY_ROW: ServerSpec =
    ServerSpec { flags: ADMIN | NO_SCRIPT, since: docs("2.8.13"), ..ROW };

pub(crate) const COMMANDS: &[ServerSpec] = &[
    ServerSpec { name: "latency", summary: docs("Shows what took long."), ..LATENCY_ROW },
    ServerSpec {
        name: "latency|doctor",
        arity: Arity::Exactly(2),
        summary: docs("Tells what took long, and what may be done about it."),
        run: doctor,
        ..LATENCY_ROW
    },
    ServerSpec {
        name: "latency|graph",
        arity: Arity::Exactly(3),
        syntax: docs("event"),
        summary: docs("Draws when an event took how long."),
        run: graph,
        ..LATENCY_ROW
    },
    ServerSpec {
        name: "latency|histogram",
        since: docs("7.0.0"),
        syntax: docs("[command [command ...]]"),
        summary: docs("Returns how many calls of commands took up to how long."),
        run: histogram,
        ..LATENCY_ROW
    },
    ServerSpec {
        name: "latency|history",
        arity: Arity::Exactly(3),
        syntax: docs("event"),
        summary: docs("Returns when an event took long."),
        run: |cx, args| {
            let event = String::from_utf8_lossy(args.required());
            let history = cx.server.latency.get(&event).unwrap_or_default();
            cx.wire.array(history.samples.len());
            for (at_s, ms) in history.samples {
                cx.wire.array(2);
                cx.wire.integer(at_s);
                cx.wire.integer(ms);
            }
            Ok(())
        },
        ..LATENCY_ROW
    },
    ServerSpec {
        name: "latency|latest",
        arity: Arity::Exactly(2),
        summary: docs("Returns the last time that each event took long."),
        run: latest,
        ..LATENCY_ROW
    },
    ServerSpec {
        name: "latency|reset",
        syntax: docs("[event [event ...]]"),
        summary: docs("Forgets events, or all of them."),
        run: |cx, args| {
            let count = cx.server.latency.reset(args.as_slice());
            cx.wire.integer(count as i64);
            Ok(())
        },
        ..LATENCY_ROW
    },
];

fn latest(cx: &mut Context<'_>, _: &mut Args<'_>) -> Result<()> {
    let events = cx.server.latency.all();
    cx.wire.array(events.len());
    for (event, history) in events {
        let (at_s, ms) = history.samples.back().copied().unwrap_or_default();
        cx.wire.array(4);
        cx.wire.text(event);
        [at_s, ms, history.max_ms].into_iter().for_each(|number| cx.wire.integer(number));
    }
    Ok(())
}

/// Advice, and the events that call for it.
const ADVICE: &[(&str, &str)] = &[
    (
        "command",
        "SLOWLOG GET shows which commands were slow; those on large values are cheaper in \
                 parts, as SCAN, HSCAN and their kin take them.",
    ),
    (
        "fast-command",
        "Commands that are always brief took long: the machine is short of CPU time or \
                      of memory, or another command held the lock of the database.",
    ),
    ("expire-cycle", "Many keys expire at the same moment: spread their deadlines."),
];

fn doctor(cx: &mut Context<'_>, _: &mut Args<'_>) -> Result<()> {
    let threshold_ms = cx.config.latency_monitor_threshold_ms;
    if threshold_ms == 0 {
        cx.wire.verbatim(
            "Nothing is watched: latency-monitor-threshold is 0. CONFIG SET it to the milliseconds \
             from which an event is to be noted.\n",
        );
        return Ok(());
    }
    let events = cx.server.latency.all();
    let mut text = String::new();
    for (event, history) in &events {
        let Facts { average_ms, deviation_ms, period_s } = Facts::of(history, cx.now_ms / 1000);
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{event}: {} latency spikes (average {average_ms}ms, mean deviation {deviation_ms}ms, \
             period {period_s:.2} sec). Worst all time event {}ms.",
            history.samples.len(),
            history.max_ms,
        );
    }
    for (_, advice) in ADVICE.iter().filter(|(of, _)| events.iter().any(|(event, _)| event == of)) {
        let _ = writeln!(text, "- {advice}");
    }
    let slow_us = cx.config.slowlog_slower_than_us;
    if !events.is_empty() && !(0..=threshold_ms.saturating_mul(1000)).contains(&slow_us) {
        let _ = writeln!(
            text,
            "- The slow log notes less than what is late: CONFIG SET slowlog-log-slower-than {}.",
            threshold_ms.saturating_mul(1000)
        );
    }
    if text.is_empty() {
        let _ = writeln!(text, "Nothing took {threshold_ms} milliseconds or longer.");
    }
    cx.wire.verbatim(&text);
    Ok(())
}

/// What the samples of an event say together.
struct Facts {
    average_ms: i64,
    deviation_ms: i64,
    period_s: f64,
}

impl Facts {
    fn of(history: &History, now_s: i64) -> Facts {
        let samples = &history.samples;
        let count = i64::try_from(samples.len()).unwrap_or(i64::MAX).max(1);
        let average_ms = samples.iter().map(|(_, ms)| ms).sum::<i64>() / count;
        let deviations = samples.iter().map(|(_, ms)| (ms - average_ms).abs());
        let first_s = samples.front().map_or(now_s, |(at_s, _)| *at_s);
        Facts {
            average_ms,
            deviation_ms: deviations.sum::<i64>() / count,
            period_s: (now_s - first_s).max(0) as f64 / count as f64,
        }
    }
}

/// Rows of a graph, without the line of ages below it.
const GRAPH_ROWS: i64 = 4;
const GRAPH_COLUMNS: usize = 80;

/// One column a sample, the oldest on the left; below each how long ago it was, from top to bottom.
fn graph(cx: &mut Context<'_>, args: &mut Args<'_>) -> Result<()> {
    let event = String::from_utf8_lossy(args.required()).into_owned();
    let history = cx.server.latency.get(&event);
    let history = history.ok_or_else(|| format!("ERR No samples available for event '{event}'"))?;
    let skipped = history.samples.len().saturating_sub(GRAPH_COLUMNS);
    let samples: Vec<(i64, i64)> = history.samples.iter().skip(skipped).copied().collect();
    let high = samples.iter().map(|(_, ms)| *ms).max().unwrap_or_default();
    let low = samples.iter().map(|(_, ms)| *ms).min().unwrap_or_default();
    let mut text = format!(
        "{event} - high {high} ms, low {low} ms (all time high {} ms)\n{}\n",
        history.max_ms,
        "-".repeat(GRAPH_COLUMNS)
    );
    for row in (0..GRAPH_ROWS).rev() {
        let column = |(_, ms): &(i64, i64)| {
            // In halves of a row, so that the lowest sample is seen as well.
            let halves = 1 + (ms - low) * (2 * GRAPH_ROWS - 1) / (high - low).max(1);
            match halves - 2 * row {
                2.. if row == halves.saturating_sub(1) / 2 => '#',
                2.. => '|',
                1 => '_',
                _ => ' ',
            }
        };
        let line: String = samples.iter().map(column).collect();
        text.push_str(line.trim_end());
        text.push('\n');
    }
    let now_s = cx.now_ms / 1000;
    let ages: Vec<Vec<char>> =
        samples.iter().map(|(at_s, _)| age(now_s - at_s).chars().collect()).collect();
    for row in 0..ages.iter().map(Vec::len).max().unwrap_or_default() {
        let line: String = ages.iter().map(|age| age.get(row).unwrap_or(&' ')).collect();
        text.push('\n');
        text.push_str(line.trim_end());
    }
    text.push('\n');
    cx.wire.verbatim(&text);
    Ok(())
}

/// A time that has passed, in the largest unit that it fills.
fn age(seconds: i64) -> String {
    match seconds.max(0) {
        seconds @ ..60 => format!("{seconds}s"),
        seconds @ ..3600 => format!("{}m", seconds / 60),
        seconds @ ..86_400 => format!("{}h", seconds / 3600),
        seconds => format!("{}d", seconds / 86_400),
    }
}

fn histogram(cx: &mut Context<'_>, args: &mut Args<'_>) -> Result<()> {
    let names: Vec<&[u8]> = args.collect();
    let is_asked = |name: &str| {
        // Of a command that has subcommands these are shown.
        let container = name.split('|').next().unwrap_or_default();
        let is_it = |other: &&[u8]| {
            [name, container].iter().any(|name| other.eq_ignore_ascii_case(name.as_bytes()))
        };
        names.is_empty() || names.iter().any(is_it)
    };
    let asked = table().each().filter(|command| is_asked(command.name));
    let called: Vec<_> = asked
        .map(|command| (command, cx.server.stats.command(command.id)))
        .filter(|(_, sum)| sum.calls > 0)
        .collect();
    cx.wire.map(called.len());
    for (command, sum) in called {
        let wire = &mut cx.wire;
        wire.text(command.name);
        wire.map(2);
        wire.text("calls");
        wire.integer(i64::try_from(sum.calls).unwrap_or(i64::MAX));
        wire.text("histogram_usec");
        // As in Redis each line counts all calls up to it, and equal ones are left out.
        let mut total = 0;
        let lines: Vec<(i64, i64)> = (0..)
            .zip(sum.by_duration)
            .filter(|(_, count)| *count > 0)
            .map(|(power, count)| {
                total += i64::try_from(count).unwrap_or(i64::MAX);
                (1 << power, total)
            })
            .collect();
        wire.map(lines.len());
        for (us, count) in lines {
            wire.integer(us);
            wire.integer(count);
        }
    }
    Ok(())
}
