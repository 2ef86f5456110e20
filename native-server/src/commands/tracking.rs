//! CLIENT TRACKING, CACHING, GETREDIR and TRACKINGINFO.

use ferrite_engine::{Args, Arity, Error, Group, Reply, docs};

use crate::client::state;
use crate::commands::flags::NO_SCRIPT;
use crate::commands::{ROW, Result, ServerSpec};
use crate::context::Context;
use crate::number;
use crate::tracking::Mode;

const TRACKING_ROW: ServerSpec =
    ServerSpec { group: Group::Connection, flags: NO_SCRIPT, since: docs("6.0.0"), ..ROW };

pub(crate) const COMMANDS: &[ServerSpec] = &[
    ServerSpec {
        name: "client|caching",
        arity: Arity::Exactly(3),
        syntax: docs("<YES | NO>"),
        summary: docs("Says whether the keys of the next command are tracked."),
        run: caching,
        ..TRACKING_ROW
    },
    ServerSpec {
        name: "client|getredir",
        arity: Arity::Exactly(2),
        summary: docs("Returns who is told of tracked keys in place of this connection."),
        run: |cx, _| {
            let redirect = match cx.server.news.tracking.mode(&cx.session.client) {
                None => -1,
                Some(mode) => mode.redirect.map_or(0, |client| client.id as i64),
            };
            cx.wire.integer(redirect);
            Ok(())
        },
        ..TRACKING_ROW
    },
    ServerSpec {
        name: "client|tracking",
        arity: Arity::AtLeast(3),
        syntax: docs(
            "<ON | OFF> [REDIRECT client-id] [PREFIX prefix [PREFIX prefix ...]] [BCAST] [OPTIN] \
             [OPTOUT] [NOLOOP]",
        ),
        summary: docs("Has this connection told when keys that it read have changed."),
        run: tracking,
        ..TRACKING_ROW
    },
    ServerSpec {
        name: "client|trackinginfo",
        arity: Arity::Exactly(2),
        since: docs("6.2.0"),
        summary: docs("Returns how this connection tracks keys."),
        run: trackinginfo,
        ..TRACKING_ROW
    },
];

fn tracking(cx: &mut Context<'_>, args: &mut Args<'_>) -> Result<()> {
    let word = args.required();
    let (mut mode, mut prefixes, mut is_broadcast) = (Mode::default(), Vec::new(), false);
    while let Some(option) = args.next() {
        let is = |word: &[u8]| option.eq_ignore_ascii_case(word);
        if is(b"bcast") {
            is_broadcast = true;
        } else if is(b"optin") {
            mode.is_opt_in = true;
        } else if is(b"optout") {
            mode.is_opt_out = true;
        } else if is(b"noloop") {
            mode.is_no_loop = true;
        } else if is(b"prefix") {
            prefixes.push(args.value()?.into());
        } else if is(b"redirect") {
            let text = args.value()?;
            if mode.redirect.is_some() {
                return Err("ERR A client can only redirect to a single other client".into());
            }
            let id = number::integer(text).ok_or(Error::NotAnInteger)?;
            let client = u64::try_from(id).ok().and_then(|id| cx.server.clients.get(id));
            let missing = "ERR The client ID you want redirect to does not exist";
            mode.redirect = Some(client.ok_or(missing)?);
        } else {
            return Err(Error::Syntax.into());
        }
    }
    let client = &cx.session.client;
    if word.eq_ignore_ascii_case(b"off") {
        cx.session.caches_next = None;
        cx.server.news.tracking.stop(client);
        cx.wire.ok();
        return Ok(());
    }
    if !word.eq_ignore_ascii_case(b"on") {
        return Err(Error::Syntax.into());
    }
    let before = cx.server.news.tracking.mode(client);
    look_at_modes(&mode, is_broadcast, &prefixes, before.as_ref())?;
    let before = before.and_then(|before| before.prefixes).unwrap_or_default();
    refuse_overlaps(&prefixes, &before)?;
    if is_broadcast {
        prefixes.extend(before);
        prefixes.sort();
        if prefixes.is_empty() {
            prefixes.push(Box::default());
        }
        mode.prefixes = Some(prefixes);
    }
    cx.server.news.tracking.start(client, mode);
    cx.wire.ok();
    Ok(())
}

/// Looks whether ways of tracking go together, and with the way the client tracks by now.
fn look_at_modes(
    mode: &Mode,
    is_broadcast: bool,
    prefixes: &[Box<[u8]>],
    before: Option<&Mode>,
) -> Result<()> {
    if !is_broadcast && !prefixes.is_empty() {
        return Err("ERR PREFIX option requires BCAST mode to be enabled".into());
    }
    if before.is_some_and(|before| before.prefixes.is_some() != is_broadcast) {
        return Err("ERR You can't switch BCAST mode on/off before disabling tracking for this \
                    client, and then re-enabling it with a different mode."
            .into());
    }
    if is_broadcast && (mode.is_opt_in || mode.is_opt_out) {
        return Err("ERR OPTIN and OPTOUT are not compatible with BCAST".into());
    }
    if mode.is_opt_in && mode.is_opt_out {
        return Err("ERR You can't specify both OPTIN mode and OPTOUT mode".into());
    }
    let switches =
        |before: &Mode| mode.is_opt_in && before.is_opt_out || mode.is_opt_out && before.is_opt_in;
    if before.is_some_and(switches) {
        return Err("ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this \
                    client, and then re-enabling it with a different mode."
            .into());
    }
    Ok(())
}

/// Looks whether a key could begin with two of the prefixes: it would be told of twice.
fn refuse_overlaps(prefixes: &[Box<[u8]>], before: &[Box<[u8]>]) -> Result<()> {
    let overlap = |one: &[u8], other: &[u8]| one.starts_with(other) || other.starts_with(one);
    let refusal = |one: &[u8], which: &str, other: &[u8]| {
        let [one, other] = [one, other].map(String::from_utf8_lossy);
        Err(format!(
            "ERR Prefix '{one}' overlaps with {which} prefix '{other}'. Prefixes for a single \
             client must not overlap."
        )
        .into())
    };
    for (at, prefix) in prefixes.iter().enumerate() {
        if let Some(other) = before.iter().find(|other| overlap(prefix, other)) {
            return refusal(prefix, "an existing", other);
        }
        let behind = prefixes.get(at + 1..).unwrap_or_default();
        if let Some(other) = behind.iter().find(|other| overlap(prefix, other)) {
            return refusal(prefix, "another provided", other);
        }
    }
    Ok(())
}

fn caching(cx: &mut Context<'_>, args: &mut Args<'_>) -> Result<()> {
    let word = args.required();
    let mode = cx.server.news.tracking.mode(&cx.session.client);
    let Some(mode) = mode else {
        return Err("ERR CLIENT CACHING can be called only when the client is in tracking mode \
                    with OPTIN or OPTOUT mode enabled"
            .into());
    };
    let is_yes = word.eq_ignore_ascii_case(b"yes");
    if !is_yes && !word.eq_ignore_ascii_case(b"no") {
        return Err(Error::Syntax.into());
    }
    if is_yes && !mode.is_opt_in {
        return Err(
            "ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.".into()
        );
    }
    if !is_yes && !mode.is_opt_out {
        return Err(
            "ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.".into()
        );
    }
    cx.session.caches_next = Some(is_yes);
    cx.wire.ok();
    Ok(())
}

fn trackinginfo(cx: &mut Context<'_>, _: &mut Args<'_>) -> Result<()> {
    let mode = cx.server.news.tracking.mode(&cx.session.client);
    let is_on = cx.session.client.is(state::TRACKING);
    let mut flags = vec![if is_on { "on" } else { "off" }];
    let (mut redirect, mut prefixes) = (if is_on { 0 } else { -1 }, Vec::new());
    if let Some(mode) = mode {
        let named = [
            (mode.prefixes.is_some(), "bcast"),
            (mode.is_opt_in, "optin"),
            (cx.session.caches_next == Some(true), "caching-yes"),
            (mode.is_opt_out, "optout"),
            (cx.session.caches_next == Some(false), "caching-no"),
            (mode.is_no_loop, "noloop"),
            (cx.session.client.is(state::REDIRECT_BROKEN), "broken_redirect"),
        ];
        flags.extend(named.iter().filter(|(is_set, _)| *is_set).map(|(_, name)| *name));
        if let Some(client) = &mode.redirect {
            redirect = client.id as i64;
        }
        prefixes = mode.prefixes.unwrap_or_default();
    }
    let wire = &mut cx.wire;
    wire.map(3);
    wire.text("flags");
    wire.set(flags.len());
    flags.iter().for_each(|flag| wire.text(flag));
    wire.text("redirect");
    wire.integer(redirect);
    wire.text("prefixes");
    wire.texts(&prefixes);
    Ok(())
}
