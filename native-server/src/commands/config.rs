//! CONFIG: settings are shown and changed as their table says.

use std::collections::BTreeSet;

use ferrite_engine::{Args, Arity, Reply, docs};

use crate::acl::user::User;
use crate::checkpoint::saver;
use crate::client::state;
use crate::commands::flags::{ADMIN, NO_SCRIPT};
use crate::commands::{ROW, Result, ServerSpec, info};
use crate::config::table::{Changes, Refusal, SETTINGS, Setting, find};
use crate::config::{self, Config};
use crate::context::Context;
use crate::glob;
use crate::log::Level;
use crate::oom;
use crate::open_files::{self, Outcome};
use crate::process::system_text;

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
        name: "config|rewrite",
        arity: Arity::Exactly(2),
        since: docs("2.8.0"),
        summary: docs("Writes the settings into the file that the server was started with."),
        run: rewrite,
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
        return Err(ferrite_engine::Error::Syntax.into());
    };
    let before = cx.server.config.snapshot().config;
    let mut names = BTreeSet::new();
    let changed = cx.server.config.change(|config| {
        for [name, value] in pairs {
            change(cx, config, name, value, &mut names)?;
        }
        Ok::<_, String>(())
    });
    let ((), config) = changed?;
    apply(cx, &config, &names);
    if let Err((name, why)) = carry_out(cx, &config, &names) {
        put_back(cx, &before, &names);
        return Err(failure(name, &why).into());
    }
    cx.session.is_reconfigured = true;
    // As in Redis it goes by the new ones itself.
    cx.meter.set_limits(config.slowlog_slower_than_us, config.latency_monitor_threshold_ms);
    cx.wire.ok();
    Ok(())
}

fn failure(name: &str, why: &str) -> String {
    format!("ERR CONFIG SET failed (possibly related to argument '{name}') - {why}")
}

fn change(
    cx: &Context<'_>,
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
    let fail = |why: &str| failure(name, why);
    let is_protected = match config.enable_protected_configs.as_str() {
        "yes" => false,
        "local" => !cx.session.client.is(state::LOCAL),
        _ => true,
    };
    let is_same = || setting.show(config).as_bytes() == value;
    match setting.changes {
        // What is fixed may be given the value that it has.
        Changes::AtStart if is_same() => {}
        Changes::AtStart => return Err(fail("can't set immutable config")),
        Changes::Protected if is_protected => return Err(fail("can't set protected config")),
        Changes::Protected | Changes::Live => {}
    }
    if !names.insert(name) {
        return Err(fail("duplicate parameter"));
    }
    if cx.is_in_exec && ["appendonly", "dir"].contains(&name) {
        return Err(fail("the log cannot be switched or moved inside a transaction"));
    }
    let value = str::from_utf8(value).map_err(|_| fail("argument must be text"))?;
    setting.read(config, value).map_err(|why| fail(&why))
}

/// Does what may fail: then it says by which setting, and why.
fn carry_out(
    cx: &Context<'_>,
    config: &Config,
    names: &BTreeSet<&'static str>,
) -> Result<(), (&'static str, String)> {
    let server = cx.server;
    if names.contains("dir") {
        server.persistence.relocate(&config.dir).map_err(|why| ("dir", why))?;
    }
    if let Some(name) = names.iter().find(|name| name.starts_with("tls-"))
        && let Err(error) = server.certificates.load(config)
    {
        server.log.warning(format_args!("{error}"));
        return Err((name, "Unable to update TLS configuration. Check server logs.".into()));
    }
    let ports = ["bind", "port", "tls-port"];
    if let Some(name) = ports.into_iter().find(|name| names.contains(name))
        && let Err(error) = server.entrances.change(server, config)
    {
        server.log.warning(format_args!("{error}"));
        return Err(match name {
            "bind" => (name, "Failed to bind to specified addresses.".into()),
            _ => (name, "Unable to listen on this port. Check server logs.".into()),
        });
    }
    if (names.contains("oom-score-adj") || names.contains("oom-score-adj-values"))
        && let Err(why) = oom::apply(config)
    {
        server.log.warning(format_args!("oom-score-adj cannot be set: {why}"));
        return Err((
            "oom-score-adj",
            "Failed to set current oom_score_adj. Check server logs.".into(),
        ));
    }
    if names.contains("maxclients")
        && let Outcome::Short(shortage) = open_files::raise(config)
    {
        server.log.warning(format_args!("{shortage}"));
        let clients = shortage.clients;
        return Err((
            "maxclients",
            format!(
                "The operating system is not able to handle the specified number of clients, try \
                 with {clients}"
            ),
        ));
    }
    if names.contains("appendonly") {
        server.persistence.switch(server, config).map_err(|why| ("appendonly", why))?;
    }
    Ok(())
}

/// Makes changes undone: all are in force, or none.
fn put_back(cx: &mut Context<'_>, before: &Config, names: &BTreeSet<&'static str>) {
    let is_logged = cx.server.databases.log.is_on();
    let undone = cx.server.config.change(|config| {
        for setting in names.iter().filter_map(|name| find(name)) {
            setting.read(config, &setting.show(before))?;
        }
        if names.contains("appendonly") {
            config.appendonly = is_logged;
        }
        Ok::<_, Refusal>(())
    });
    let Ok(((), config)) = undone else { return };
    apply(cx, &config, names);
    if let Err((name, why)) = carry_out(cx, &config, names) {
        cx.server.log.warning(format_args!("{}", failure(name, &why)));
    }
}

/// Brings what does not look at the configuration itself in line with it.
fn apply(cx: &mut Context<'_>, config: &Config, names: &BTreeSet<&'static str>) {
    let databases = &cx.server.databases;
    if names.contains("requirepass") {
        cx.server.access.set_password(&config.requirepass);
        cx.refresh_login();
    }
    if names.contains("maxmemory-policy") {
        for index in 0..databases.count() {
            cx.held.get(index).keys.set_policy(config.maxmemory_policy);
        }
    }
    if names.contains("maxmemory") {
        databases.set_max_bytes(config.maxmemory);
        cx.server.gate.set_starved(config.is_starved());
        cx.held.refresh();
    }
    if names.iter().any(|name| name.starts_with("hll-") || name.starts_with("stream-node-")) {
        for index in 0..databases.count() {
            cx.held.get(index).keys.set_forms(config.forms.to_engine());
        }
    }
    if names.contains("maxmemory") || names.contains("maxmemory-clients") {
        cx.server.crowd.set_limit(config, &cx.server.clients, &cx.server.log);
    }
    if names.contains("save") || names.contains("stop-writes-on-bgsave-error") {
        saver::refuse_writes(cx.server, config);
    }
    if names.contains("appendfsync") {
        cx.server.persistence.set_policy(config);
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

fn rewrite(cx: &mut Context<'_>, _: &mut Args<'_>) -> Result<()> {
    let config = cx.server.config.snapshot().config;
    let path = config.file.as_ref().ok_or("ERR The server is running without a config file")?;
    let users = if config.aclfile.is_empty() { shown_users(cx) } else { Vec::new() };
    let config = Config { users, ..(*config).clone() };
    if let Err(why) = config::rewrite::rewrite(path, &config) {
        let why = system_text(&why);
        cx.server.log.warning(format_args!("CONFIG REWRITE failed: {why}"));
        return Err(format!("ERR Rewriting config file: {why}").into());
    }
    cx.server.log.notice("CONFIG REWRITE executed with success.");
    cx.wire.ok();
    Ok(())
}

/// The users as lines of the file have them; none if there is only the default one, and all that
/// was ever changed of it is its password.
fn shown_users(cx: &Context<'_>) -> Vec<Vec<Vec<u8>>> {
    let mut plain = User::unrestricted();
    plain.set_password(&cx.config.requirepass);
    let users = cx.server.access.all();
    if let [only] = users.as_slice()
        && **only == plain
    {
        return Vec::new();
    }
    let words = |user: &User| {
        let rules = user.show();
        rules.split(|&byte| byte == b' ').map(<[u8]>::to_vec).collect()
    };
    users.iter().map(|user| words(user)).collect()
}

fn resetstat(cx: &mut Context<'_>, _: &mut Args<'_>) -> Result<()> {
    let figures = info::keyspace_figures(cx);
    cx.server.stats.reset(figures);
    cx.wire.ok();
    Ok(())
}
