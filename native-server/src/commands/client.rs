//! CLIENT: who is connected, what they call themselves, and how one gets rid of them.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use ferrite_engine::{Args, Arity, Error, Group, Reply, docs};

use crate::client::{Client, kept, signal, state};
use crate::commands::flags::{ADMIN, NO_SCRIPT};
use crate::commands::{ROW, Result, ServerSpec, table};
use crate::context::Context;
use crate::number;
use crate::session::Replies;

const CLIENT_ROW: ServerSpec = ServerSpec { group: Group::Connection, since: docs("2.4.0"), ..ROW };

pub(crate) const COMMANDS: &[ServerSpec] = &[
    ServerSpec { name: "client", summary: docs("Shows and steers connections."), ..CLIENT_ROW },
    ServerSpec {
        name: "client|getname",
        arity: Arity::Exactly(2),
        summary: docs("Returns the name of this connection."),
        run: getname,
        ..CLIENT_ROW
    },
    ServerSpec {
        name: "client|id",
        arity: Arity::Exactly(2),
        summary: docs("Returns the number of this connection."),
        run: |cx, _| {
            cx.wire.integer(i64::try_from(cx.session.client.id).unwrap_or(i64::MAX));
            Ok(())
        },
        ..CLIENT_ROW
    },
    ServerSpec {
        name: "client|info",
        arity: Arity::Exactly(2),
        summary: docs("Describes this connection."),
        run: |cx, _| {
            let line = describe(&cx.session.client, cx.now_ms);
            cx.wire.verbatim(&line);
            Ok(())
        },
        ..CLIENT_ROW
    },
    ServerSpec {
        name: "client|kill",
        arity: Arity::AtLeast(3),
        flags: ADMIN | NO_SCRIPT,
        syntax: docs(
            "ip:port | [ID client-id] [TYPE <NORMAL | MASTER | REPLICA | PUBSUB>] [USER username] \
             [ADDR ip:port] [LADDR ip:port] [SKIPME <YES | NO>] [MAXAGE seconds]",
        ),
        summary: docs("Closes connections."),
        run: kill,
        ..CLIENT_ROW
    },
    ServerSpec {
        name: "client|list",
        flags: ADMIN | NO_SCRIPT,
        syntax: docs("[TYPE <NORMAL | MASTER | REPLICA | PUBSUB>] [ID client-id [client-id ...]]"),
        summary: docs("Describes all connections."),
        run: list,
        ..CLIENT_ROW
    },
    ServerSpec {
        name: "client|no-evict",
        arity: Arity::Exactly(3),
        flags: ADMIN | NO_SCRIPT,
        syntax: docs("<ON | OFF>"),
        summary: docs("Keeps this connection from being closed for the memory it takes."),
        run: no_evict,
        ..CLIENT_ROW
    },
    ServerSpec {
        name: "client|no-touch",
        arity: Arity::Exactly(3),
        flags: NO_SCRIPT,
        since: docs("7.2.0"),
        syntax: docs("<ON | OFF>"),
        summary: docs("Says that commands of this connection are no uses of keys."),
        run: |cx, args| {
            let is_on = on_or_off(args.required())?;
            cx.session.client.set(state::NO_TOUCH, is_on);
            cx.wire.ok();
            Ok(())
        },
        ..CLIENT_ROW
    },
    ServerSpec {
        name: "client|reply",
        arity: Arity::Exactly(3),
        syntax: docs("<ON | OFF | SKIP>"),
        summary: docs("Says which replies are wanted."),
        run: reply,
        ..CLIENT_ROW
    },
    ServerSpec {
        name: "client|setinfo",
        arity: Arity::Exactly(4),
        since: docs("7.2.0"),
        syntax: docs("<LIB-NAME libname | LIB-VER libver>"),
        summary: docs("Says which library this connection is made by."),
        run: setinfo,
        ..CLIENT_ROW
    },
    ServerSpec {
        name: "client|setname",
        arity: Arity::Exactly(3),
        syntax: docs("connection-name"),
        summary: docs("Gives this connection a name."),
        run: |cx, args| {
            set_name(cx, args.required())?;
            cx.wire.ok();
            Ok(())
        },
        ..CLIENT_ROW
    },
    ServerSpec {
        name: "client|unblock",
        arity: Arity::AtLeast(3),
        flags: ADMIN | NO_SCRIPT,
        since: docs("5.0.0"),
        syntax: docs("client-id [TIMEOUT | ERROR]"),
        summary: docs("Lets a command of another connection wait no longer."),
        run: unblock,
        ..CLIENT_ROW
    },
];

/// Gives the connection a name.
///
/// # Errors
/// If it could not stand in a line of CLIENT LIST.
pub fn set_name(cx: &mut Context<'_>, name: &[u8]) -> Result<()> {
    let Some(name) = printable(name) else {
        return Err(
            "ERR Client names cannot contain spaces, newlines or special characters.".into()
        );
    };
    cx.session.client.names().name = name.into();
    Ok(())
}

fn printable(text: &[u8]) -> Option<&str> {
    if text.iter().all(|byte| matches!(byte, b'!'..=b'~')) {
        str::from_utf8(text).ok()
    } else {
        None
    }
}

fn getname(cx: &mut Context<'_>, _: &mut Args<'_>) -> Result<()> {
    let name = cx.session.client.names().name.clone();
    match name.is_empty() {
        true => cx.wire.null(),
        false => cx.wire.text(name),
    }
    Ok(())
}

fn setinfo(cx: &mut Context<'_>, args: &mut Args<'_>) -> Result<()> {
    let (attribute, value) = (args.required(), args.required());
    let name = String::from_utf8_lossy(attribute).into_owned();
    let is_name = attribute.eq_ignore_ascii_case(b"lib-name");
    if !is_name && !attribute.eq_ignore_ascii_case(b"lib-ver") {
        return Err(format!("ERR Unrecognized option '{name}'").into());
    }
    let value = printable(value).ok_or_else(|| {
        format!("ERR {name} cannot contain spaces, newlines or special characters.")
    })?;
    let mut names = cx.session.client.names();
    *(if is_name { &mut names.library } else { &mut names.library_version }) = value.into();
    drop(names);
    cx.wire.ok();
    Ok(())
}

fn no_evict(cx: &mut Context<'_>, args: &mut Args<'_>) -> Result<()> {
    let is_on = on_or_off(args.required())?;
    cx.session.client.set(state::NO_EVICT, is_on);
    cx.wire.ok();
    Ok(())
}

fn on_or_off(word: &[u8]) -> Result<bool> {
    if word.eq_ignore_ascii_case(b"on") {
        return Ok(true);
    }
    if word.eq_ignore_ascii_case(b"off") { Ok(false) } else { Err(Error::Syntax.into()) }
}

fn reply(cx: &mut Context<'_>, args: &mut Args<'_>) -> Result<()> {
    let word = args.required();
    if word.eq_ignore_ascii_case(b"skip") {
        if cx.session.replies == Replies::On {
            cx.session.replies = Replies::SkipNext;
        }
    } else if on_or_off(word)? {
        cx.session.replies = Replies::On;
        cx.wire.ok();
    } else {
        cx.session.replies = Replies::Off;
    }
    Ok(())
}

fn unblock(cx: &mut Context<'_>, args: &mut Args<'_>) -> Result<()> {
    let id = number::integer(args.required()).ok_or(Error::NotAnInteger)?;
    let what = match args.next() {
        None => signal::TIMEOUT,
        Some(word) if word.eq_ignore_ascii_case(b"timeout") => signal::TIMEOUT,
        Some(word) if word.eq_ignore_ascii_case(b"error") => signal::UNBLOCK,
        Some(_) => {
            return Err("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR".into());
        }
    };
    let client = u64::try_from(id).ok().and_then(|id| cx.server.clients.get(id));
    let blocked = client.filter(|client| client.is(state::BLOCKED));
    if let Some(client) = &blocked {
        client.signal(what);
    }
    cx.wire.integer(blocked.is_some().into());
    Ok(())
}

/// Which clients are meant.
#[derive(Default)]
struct Filter<'a> {
    ids: Vec<u64>,
    kind: Option<bool>,
    user: Option<&'a [u8]>,
    address: Option<&'a [u8]>,
    local_address: Option<&'a [u8]>,
    born_until_ms: Option<i64>,
}

impl<'a> Filter<'a> {
    fn holds(&self, client: &Client) -> bool {
        (self.ids.is_empty() || self.ids.contains(&client.id))
            && self.kind.is_none_or(|subscribes| client.is(state::SUBSCRIBER) == subscribes)
            && self.user.is_none_or(|user| *client.user() == *user)
            && self.address.is_none_or(|address| client.address.as_bytes() == address)
            && self.local_address.is_none_or(|address| client.local_address.as_bytes() == address)
            && self.born_until_ms.is_none_or(|until_ms| client.born_ms <= until_ms)
    }

    /// Reads a TYPE. There are no masters and no replicas here: nobody is of that kind.
    fn read_kind(&mut self, word: &[u8]) -> Result<()> {
        let is = |name: &[u8]| word.eq_ignore_ascii_case(name);
        if is(b"normal") || is(b"pubsub") {
            self.kind = Some(is(b"pubsub"));
        } else if is(b"master") || is(b"replica") || is(b"slave") {
            self.ids = vec![0];
        } else {
            let word = String::from_utf8_lossy(word);
            return Err(format!("ERR Unknown client type '{word}'").into());
        }
        Ok(())
    }

    fn read_id(&mut self, word: &[u8]) -> Result<()> {
        let id = number::integer(word).filter(|&id| id > 0);
        let id = id.ok_or("ERR client-id should be greater than 0")?;
        self.ids.push(id.unsigned_abs());
        Ok(())
    }
}

fn list(cx: &mut Context<'_>, args: &mut Args<'_>) -> Result<()> {
    let mut filter = Filter::default();
    if let Some(option) = args.next() {
        if option.eq_ignore_ascii_case(b"type") && args.len() == 1 {
            filter.read_kind(args.required())?;
        } else if option.eq_ignore_ascii_case(b"id") && args.len() > 0 {
            for id in args {
                let id = number::integer(id).and_then(|id| u64::try_from(id).ok());
                filter.ids.push(id.ok_or("ERR Invalid client ID")?);
            }
        } else {
            return Err(Error::Syntax.into());
        }
    }
    let clients = cx.server.clients.all();
    let lines = clients.iter().filter(|client| filter.holds(client));
    let text: String = lines.map(|client| describe(client, cx.now_ms)).collect();
    cx.wire.verbatim(&text);
    Ok(())
}

fn kill(cx: &mut Context<'_>, args: &mut Args<'_>) -> Result<()> {
    let (mut filter, mut spares_self) = (Filter::default(), true);
    let is_old_form = args.len() == 1;
    if is_old_form {
        filter.address = args.next();
        spares_self = false;
    }
    while let Some(option) = args.next() {
        let value = args.value()?;
        let is = |name: &[u8]| option.eq_ignore_ascii_case(name);
        if is(b"id") {
            filter.read_id(value)?;
        } else if is(b"type") {
            filter.read_kind(value)?;
        } else if is(b"addr") {
            filter.address = Some(value);
        } else if is(b"laddr") {
            filter.local_address = Some(value);
        } else if is(b"user") {
            if cx.server.access.find(value).is_none() {
                let user = String::from_utf8_lossy(value);
                return Err(format!("ERR No such user '{user}'").into());
            }
            filter.user = Some(value);
        } else if is(b"maxage") {
            let age_s = number::integer(value);
            let age_s = age_s.ok_or("ERR maxage is not an integer or out of range")?;
            if age_s <= 0 {
                return Err("ERR maxage should be greater than 0".into());
            }
            filter.born_until_ms = Some(cx.now_ms.saturating_sub(age_s.saturating_mul(1000)));
        } else if is(b"skipme") {
            spares_self = match value {
                word if word.eq_ignore_ascii_case(b"yes") => true,
                word if word.eq_ignore_ascii_case(b"no") => false,
                _ => return Err(Error::Syntax.into()),
            };
        } else {
            return Err(Error::Syntax.into());
        }
    }
    let own = Arc::clone(&cx.session.client);
    let mut killed = 0;
    for client in cx.server.clients.all() {
        let is_own = client.id == own.id;
        if !filter.holds(&client) || is_own && spares_self {
            continue;
        }
        killed += 1;
        if is_own {
            // Its reply goes out first.
            cx.session.is_closing = true;
        } else {
            client.signal(signal::KILL);
        }
    }
    match (is_old_form, killed) {
        (false, _) => cx.wire.integer(killed),
        (true, 0) => return Err("ERR No such client".into()),
        (true, _) => cx.wire.ok(),
    }
    Ok(())
}

/// A line of CLIENT LIST.
pub fn describe(client: &Client, now_ms: i64) -> String {
    let names = client.names().clone();
    client.note_watch();
    let letters: String = state::LETTERS
        .iter()
        .filter(|(what, _)| client.is(*what))
        .map(|(_, letter)| *letter)
        .collect();
    let letters = if letters.is_empty() { "N" } else { &letters };
    let seconds = |since_ms: i64| now_ms.saturating_sub(since_ms).max(0) / 1000;
    let [channels, patterns, shards] = &client.subscriptions;
    let queued = client.queued.load(Relaxed) as i64;
    let queued = if client.is(state::MULTI) { queued } else { -1 };
    let last = client.last_command.load(Relaxed);
    let last = table().each().find(|command| command.id == last);
    let mut line = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(
        line,
        "id={} addr={} laddr={} fd={} name={} age={} idle={} flags={letters} db={} sub={} psub={} \
         ssub={} multi={queued} qbuf={} qbuf-free=0 argv-mem=0 multi-mem={} rbs=0 rbp=0 \
         obl=0 oll={} omem={} tot-mem={} events=r cmd={} user={} redir={} resp={} \
         lib-name={} lib-ver={} watch={} tot-net-in={} tot-net-out={}",
        client.id,
        client.address,
        client.local_address,
        client.descriptor,
        names.name,
        seconds(client.born_ms),
        seconds(client.seen_ms.load(Relaxed)),
        client.database.load(Relaxed),
        channels.load(Relaxed),
        patterns.load(Relaxed),
        shards.load(Relaxed),
        client.input_bytes.load(Relaxed),
        client.kept_bytes[kept::QUEUED].load(Relaxed),
        u8::from(client.output_bytes.load(Relaxed) > 0),
        client.output_bytes.load(Relaxed),
        client.memory_bytes(),
        last.map_or("NULL", |command| command.name),
        String::from_utf8_lossy(&client.user()),
        client.redirect.load(Relaxed),
        if client.is(state::RESP3) { 3 } else { 2 },
        names.library,
        names.library_version,
        client.watches.load(Relaxed),
        client.total_bytes[0].load(Relaxed),
        client.total_bytes[1].load(Relaxed),
    );
    line
}
