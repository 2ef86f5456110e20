//! CONFIG: settings are shown and changed as their table says.

use std::collections::BTreeSet;

use ferrite_engine::{Args, Arity, Reply, docs};

use crate::checkpoint::saver;
use crate::commands::flags::{ADMIN, NO_SCRIPT};
use crate::commands::{ROW, Result, ServerSpec, info};
use crate::config::Config;
use crate::config::table::{Changes, SETTINGS, Setting, find};
use crate::context::Context;
use crate::glob;
use crate::log::Level;

const CONFIG_ROW: ServerSpec = ServerSpec { flags: ADMIN | NO_SCRIPT, since: docs("2.0.0"), ..ROW };

pub(crate) const COMMANDS: &[ServerSpec] = &[
    ServerSpec { name: "config", summary: docs("Shows and changes settings."), ..CONFIG_ROW },
    ServerSpec {
        name: "config|get",
        arity: Arity::AtLeast(3),
        syntax: docs("parameter [parameter ...]"),
        summary: docs("Returns the settings whose names match."),
        run: get,
        ..CONFIG_ROW
    },
    ServerSpec {
        name: "config|resetstat",
        arity: Arity::Exactly(2),
        summary: docs("Counts anew what INFO shows."),
        run: resetstat,
        ..CONFIG_ROW
    },
    ServerSpec {
        name: "config|set",
        arity: Arity::AtLeast(4),
        syntax: docs("parameter value [parameter value ...]"),
        summary: docs("Changes settings, all of them or none."),
        run: set,
        ..CONFIG_ROW
    },
];

fn get(cx: &mut Context<'_>, args: &mut Args<'_>) -> Result<()> {
    let patterns: Vec<Vec<u8>> = args.map(<[u8]>::to_ascii_lowercase).collect();
    let is_asked = |name: &str| patterns.iter().any(|pattern| glob::matches(pattern, name));
    let named = |setting: &'static Setting| setting.names().map(move |name| (name, setting));
    let asked: Vec<_> =
        SETTINGS.iter().flat_map(named).filter(|(name, _)| is_asked(name)).collect();
    let config = cx.server.config.snapshot().config;
    cx.wire.map(asked.len());
    for (name, setting) in asked {
        cx.wire.text(name);
        cx.wire.text(setting.show(&config));
    }
    Ok(())
}

fn set(cx: &mut Context<'_>, args: &mut Args<'_>) -> Result<()> {
    let (pairs, []) = args.as_slice().as_chunks::<2>() else {
        return Err(ferrite_engine::Error::WrongArity.into());
    };
    let mut names = BTreeSet::new();
    let changed = cx.server.config.change(|config| {
        for [name, value] in pairs {
            change(config, name, value, &mut names)?;
        }
        Ok::<_, String>(())
    });
    let ((), config) = changed?;
    apply(cx, &config, &names);
    if ["appendonly", "appendfsync"].iter().any(|name| names.contains(name))
        && let Err(why) = cx.server.persistence.apply(cx.server, &config)
    {
        let is_on = cx.server.databases.log.is_on();
        let undone = cx.server.config.change(|config| {
            config.appendonly = is_on;
            Ok::<_, String>(())
        });
        undone?;
        return Err(format!(
            "ERR CONFIG SET failed (possibly related to argument 'appendonly') - {why}"
        )
        .into());
    }
    cx.wire.ok();
    Ok(())
}

fn change(
    config: &mut Config,
    name: &[u8],
    value: &[u8],
    names: &mut BTreeSet<&'static str>,
) -> Result<(), String> {
    let name = String::from_utf8_lossy(name);
    let setting = find(&name).ok_or_else(|| {
        format!("ERR Unknown option or number of arguments for CONFIG SET - '{name}'")
    })?;
    let name = setting.name;
    let fail = |why: &str| {
        format!("ERR CONFIG SET failed (possibly related to argument '{name}') - {why}")
    };
    if setting.changes == Changes::AtStart {
        return Err(fail("can't set immutable config"));
    }
    if !names.insert(name) {
        return Err(fail("duplicate parameter"));
    }
    let value = str::from_utf8(value).map_err(|_| fail("argument must be text"))?;
    setting.read(config, value).map_err(|why| fail(&why))
}

/// Brings what does not look at the configuration itself in line with it.
fn apply(cx: &mut Context<'_>, config: &Config, names: &BTreeSet<&'static str>) {
    let databases = &cx.server.databases;
    if names.contains("maxmemory-policy") {
        for index in 0..databases.count() {
            cx.held.get(index).keys.set_policy(config.maxmemory_policy);
        }
    }
    if names.contains("maxmemory") {
        databases.set_max_bytes(config.budget_bytes());
        cx.server.gate.set_starved(config.is_starved());
        cx.held.refresh();
    }
    if names.iter().any(|name| name.starts_with("hll-") || name.starts_with("stream-node-")) {
        for index in 0..databases.count() {
            cx.held.get(index).keys.set_forms(config.forms.to_engine());
        }
    }
    if names.contains("save") || names.contains("stop-writes-on-bgsave-error") {
        saver::refuse_writes(cx.server, config);
    }
    if names.contains("notify-keyspace-events") {
        cx.server.news.set_classes(&config.notify_keyspace_events);
    }
    if names.contains("tracking-table-max-keys") {
        let keys_max = usize::try_from(config.tracking_table_max_keys).unwrap_or_default();
        cx.server.news.tracking.set_keys_max(keys_max);
    }
    if names.contains("loglevel") {
        cx.server.log.set_level(Level::named(&config.loglevel));
    }
    if names.contains("slowlog-max-len") {
        cx.server.slow.truncate(usize::try_from(config.slowlog_max_len).unwrap_or_default());
    }
}

fn resetstat(cx: &mut Context<'_>, _: &mut Args<'_>) -> Result<()> {
    let figures = info::keyspace_figures(cx);
    cx.server.stats.reset(figures);
    cx.wire.ok();
    Ok(())
}
