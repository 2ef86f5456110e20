//! LATENCY: what took long, and how long commands take.

use ferrite_engine::{Args, Arity, Reply, docs};

use crate::commands::flags::{ADMIN, NO_SCRIPT};
use crate::commands::{ROW, Result, ServerSpec, table};
use crate::context::Context;

const LATENCY_ROW: ServerSpec =
    ServerSpec { flags: ADMIN | NO_SCRIPT, since: docs("2.8.13"), ..ROW };

pub(crate) const COMMANDS: &[ServerSpec] = &[
    ServerSpec { name: "latency", summary: docs("Shows what took long."), ..LATENCY_ROW },
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
