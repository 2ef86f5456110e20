//! SUBSCRIBE, PUBLISH and their kin.

use std::sync::atomic::Ordering::Relaxed;

use ferrite_engine::{Args, Arity, FAST, Group, Reply, docs};

use crate::client::{kept, state};
use crate::commands::flags::{NO_SCRIPT, PUBSUB};
use crate::commands::{ROW, Result, ServerSpec, refuse_subcommand};
use crate::context::Context;
use crate::pubsub::Kind;
use crate::server::Server;
use crate::session::Session;

const PUBSUB_ROW: ServerSpec =
    ServerSpec { flags: PUBSUB | NO_SCRIPT, group: Group::PubSub, since: docs("2.0.0"), ..ROW };

const PUBLISH_ROW: ServerSpec = ServerSpec {
    arity: Arity::Exactly(3),
    flags: PUBSUB | FAST,
    syntax: docs("channel message"),
    summary: docs("Sends a message; returns how many got it."),
    ..PUBSUB_ROW
};

const SUBSCRIBE_ROW: ServerSpec = ServerSpec {
    syntax: docs("channel [channel ...]"),
    summary: docs("Listens to channels."),
    ..PUBSUB_ROW
};

const UNSUBSCRIBE_ROW: ServerSpec = ServerSpec {
    arity: Arity::AtLeast(1),
    syntax: docs("[channel [channel ...]]"),
    summary: docs("Listens no more."),
    ..PUBSUB_ROW
};

/// PUBSUB's subcommands tell; a listener in RESP2 may not ask.
const TELL_ROW: ServerSpec = ServerSpec { flags: PUBSUB, since: docs("2.8.0"), ..PUBSUB_ROW };

pub(crate) const COMMANDS: &[ServerSpec] = &[
    ServerSpec {
        name: "psubscribe",
        syntax: docs("pattern [pattern ...]"),
        summary: docs("Listens to all channels that match."),
        run: |cx, args| subscribe(cx, args, Kind::Pattern),
        ..SUBSCRIBE_ROW
    },
    ServerSpec { name: "publish", run: |cx, args| publish(cx, args, Kind::Channel), ..PUBLISH_ROW },
    ServerSpec { name: "pubsub", summary: docs("Tells who listens."), ..TELL_ROW },
    ServerSpec {
        name: "pubsub|channels",
        syntax: docs("[pattern]"),
        summary: docs("Returns the channels that somebody listens to."),
        run: |cx, args| channels(cx, args, Kind::Channel),
        ..TELL_ROW
    },
    ServerSpec {
        name: "pubsub|numpat",
        arity: Arity::Exactly(2),
        summary: docs("Returns how many patterns are listened to."),
        run: |cx, _| {
            let count = cx.server.news.pubsub.names(Kind::Pattern, None).len();
            cx.wire.integer(count as i64);
            Ok(())
        },
        ..TELL_ROW
    },
    ServerSpec {
        name: "pubsub|numsub",
        syntax: docs("[channel [channel ...]]"),
        summary: docs("Returns how many listen to each channel."),
        run: |cx, args| numsub(cx, args, Kind::Channel),
        ..TELL_ROW
    },
    ServerSpec {
        name: "pubsub|shardchannels",
        since: docs("7.0.0"),
        syntax: docs("[pattern]"),
        summary: docs("Returns the shard channels that somebody listens to."),
        run: |cx, args| channels(cx, args, Kind::Shard),
        ..TELL_ROW
    },
    ServerSpec {
        name: "pubsub|shardnumsub",
        since: docs("7.0.0"),
        syntax: docs("[shardchannel [shardchannel ...]]"),
        summary: docs("Returns how many listen to each shard channel."),
        run: |cx, args| numsub(cx, args, Kind::Shard),
        ..TELL_ROW
    },
    ServerSpec {
        name: "punsubscribe",
        syntax: docs("[pattern [pattern ...]]"),
        run: |cx, args| unsubscribe(cx, args, Kind::Pattern),
        ..UNSUBSCRIBE_ROW
    },
    ServerSpec {
        name: "spublish",
        since: docs("7.0.0"),
        syntax: docs("shardchannel message"),
        run: |cx, args| publish(cx, args, Kind::Shard),
        ..PUBLISH_ROW
    },
    ServerSpec {
        name: "ssubscribe",
        since: docs("7.0.0"),
        syntax: docs("shardchannel [shardchannel ...]"),
        summary: docs("Listens to shard channels."),
        run: |cx, args| subscribe(cx, args, Kind::Shard),
        ..SUBSCRIBE_ROW
    },
    ServerSpec {
        name: "subscribe",
        run: |cx, args| subscribe(cx, args, Kind::Channel),
        ..SUBSCRIBE_ROW
    },
    ServerSpec {
        name: "sunsubscribe",
        since: docs("7.0.0"),
        syntax: docs("[shardchannel [shardchannel ...]]"),
        run: |cx, args| unsubscribe(cx, args, Kind::Shard),
        ..UNSUBSCRIBE_ROW
    },
    ServerSpec {
        name: "unsubscribe",
        run: |cx, args| unsubscribe(cx, args, Kind::Channel),
        ..UNSUBSCRIBE_ROW
    },
];

fn publish(cx: &mut Context<'_>, args: &mut Args<'_>, kind: Kind) -> Result<()> {
    let count = cx.server.news.pubsub.publish(kind, args.required(), args.required());
    if cx.session.client.is(state::SUBSCRIBER) && !cx.is_in_exec {
        // A message to oneself comes before the reply; never amid that of EXEC, but behind it.
        let logged_to = cx.session.client.fetch_mail(cx.wire.out);
        cx.held.logged_to = cx.held.logged_to.max(logged_to);
    }
    cx.wire.integer(count as i64);
    Ok(())
}

/// Who listens to channels and patterns counts both together.
fn count(session: &Session, kind: Kind) -> usize {
    let [channels, patterns, shards] = &session.subscriptions;
    if kind == Kind::Shard { shards.len() } else { channels.len() + patterns.len() }
}

fn note_counts(session: &Session) {
    let client = &session.client;
    let is_listening = session.subscriptions.iter().any(|names| !names.is_empty());
    client.set(state::SUBSCRIBER, is_listening);
    for (shown, names) in client.subscriptions.iter().zip(&session.subscriptions) {
        shown.store(names.len(), Relaxed);
    }
}

fn answer(cx: &mut Context<'_>, word: &str, name: Option<&[u8]>, kind: Kind) {
    cx.wire.push(3);
    cx.wire.text(word);
    match name {
        Some(name) => cx.wire.text(name),
        None => cx.wire.null(),
    }
    let count = count(cx.session, kind);
    cx.wire.integer(count as i64);
}

fn subscribe(cx: &mut Context<'_>, args: &mut Args<'_>, kind: Kind) -> Result<()> {
    if kind == Kind::Shard && cx.is_in_exec {
        return Err("ERR SSUBSCRIBE isn't allowed for a DENY BLOCKING client".into());
    }
    for name in args {
        // First the confirmation, then the first message: nobody else writes to the output here.
        let bytes = &cx.session.client.kept_bytes[kept::CHANNELS];
        if !cx.session.subscriptions[kind as usize].contains_key(name) {
            let place = cx.session.next_subscription;
            cx.session.next_subscription += 1;
            cx.session.subscriptions[kind as usize].insert(name.into(), place);
            bytes.fetch_add(name.len() + kept::EACH, Relaxed);
        }
        note_counts(cx.session);
        cx.server.news.pubsub.subscribe(kind, name, &cx.session.client);
        answer(cx, kind.words()[1], Some(name), kind);
    }
    Ok(())
}

fn unsubscribe(cx: &mut Context<'_>, args: &mut Args<'_>, kind: Kind) -> Result<()> {
    let names: Vec<Box<[u8]>> = match args.len() {
        0 => {
            let mut all: Vec<_> = cx.session.subscriptions[kind as usize].iter().collect();
            all.sort_unstable_by_key(|(_, place)| **place);
            all.into_iter().map(|(name, _)| name.clone()).collect()
        }
        _ => args.map(Into::into).collect(),
    };
    if names.is_empty() {
        answer(cx, kind.words()[2], None, kind);
    }
    for name in names {
        if cx.session.subscriptions[kind as usize].remove(&name).is_some() {
            let bytes = &cx.session.client.kept_bytes[kept::CHANNELS];
            bytes.fetch_sub(name.len() + kept::EACH, Relaxed);
        }
        cx.server.news.pubsub.unsubscribe(kind, &name, &cx.session.client);
        note_counts(cx.session);
        answer(cx, kind.words()[2], Some(&name), kind);
    }
    Ok(())
}

/// Listens to nothing any more.
pub fn forget(server: &Server, session: &mut Session) {
    session.client.kept_bytes[kept::CHANNELS].store(0, Relaxed);
    for kind in [Kind::Channel, Kind::Pattern, Kind::Shard] {
        for name in std::mem::take(&mut session.subscriptions[kind as usize]).into_keys() {
            server.news.pubsub.unsubscribe(kind, &name, &session.client);
        }
    }
    note_counts(session);
}

fn channels(cx: &mut Context<'_>, args: &mut Args<'_>, kind: Kind) -> Result<()> {
    let names = cx.server.news.pubsub.names(kind, args.next());
    if args.len() > 0 {
        let word = if kind == Kind::Shard { "SHARDCHANNELS" } else { "CHANNELS" };
        return Err(refuse_subcommand("PUBSUB", word.as_bytes()));
    }
    cx.wire.texts(&names);
    Ok(())
}

fn numsub(cx: &mut Context<'_>, args: &mut Args<'_>, kind: Kind) -> Result<()> {
    // Not a map: Redis gives an array in RESP3 as well.
    cx.wire.array(args.len().saturating_mul(2));
    for name in args {
        let count = cx.server.news.pubsub.count(kind, name);
        cx.wire.text(name);
        cx.wire.integer(count as i64);
    }
    Ok(())
}
