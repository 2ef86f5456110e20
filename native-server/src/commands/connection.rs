//! Commands of the connection itself: HELLO, AUTH, PING, SELECT and their kin.

use std::sync::Arc;

use ferrite_engine::{Args, Arity, Error, FAST, Group, Reply, docs};

use crate::acl::user::DEFAULT;
use crate::client::state;
use crate::commands::flags::{ALLOW_BUSY, NO_AUTH, NO_SCRIPT};
use crate::commands::{ROW, Result, ServerSpec, client, pubsub, transaction};
use crate::context::Context;
use crate::number;
use crate::resp::wire::Protocol;
use crate::server::Server;
use crate::session::{Replies, Session};

/// The version of Redis whose commands and replies this server has.
pub const REDIS_VERSION: &str = "7.0.15";

const CONNECTION_ROW: ServerSpec =
    ServerSpec { flags: FAST | NO_SCRIPT, group: Group::Connection, ..ROW };

pub(crate) const COMMANDS: &[ServerSpec] = &[
    ServerSpec {
        name: "auth",
        flags: FAST | NO_SCRIPT | NO_AUTH | ALLOW_BUSY,
        syntax: docs("[username] password"),
        summary: docs("Says the password."),
        run: auth,
        ..CONNECTION_ROW
    },
    ServerSpec {
        name: "echo",
        arity: Arity::Exactly(2),
        flags: FAST,
        syntax: docs("message"),
        summary: docs("Answers the message."),
        run: |cx, args| {
            cx.wire.text(args.required());
            Ok(())
        },
        ..CONNECTION_ROW
    },
    ServerSpec {
        name: "hello",
        arity: Arity::AtLeast(1),
        flags: FAST | NO_SCRIPT | NO_AUTH | ALLOW_BUSY,
        since: docs("6.0.0"),
        syntax: docs("[protover [AUTH username password] [SETNAME clientname]]"),
        summary: docs("Chooses the protocol, and tells what this server is."),
        run: hello,
        ..CONNECTION_ROW
    },
    ServerSpec {
        name: "ping",
        arity: Arity::AtLeast(1),
        flags: FAST,
        syntax: docs("[message]"),
        summary: docs("Answers PONG, or the message."),
        run: ping,
        ..CONNECTION_ROW
    },
    ServerSpec {
        name: "quit",
        arity: Arity::AtLeast(1),
        flags: FAST | NO_SCRIPT | NO_AUTH | ALLOW_BUSY,
        syntax: docs(""),
        summary: docs("Closes the connection."),
        run: |cx, _| {
            cx.session.is_closing = true;
            cx.wire.ok();
            Ok(())
        },
        ..CONNECTION_ROW
    },
    ServerSpec {
        name: "reset",
        arity: Arity::Exactly(1),
        flags: FAST | NO_SCRIPT | NO_AUTH | ALLOW_BUSY,
        since: docs("6.2.0"),
        syntax: docs(""),
        summary: docs("Makes the connection as it was when it came."),
        run: reset,
        ..CONNECTION_ROW
    },
    ServerSpec {
        name: "select",
        arity: Arity::Exactly(2),
        flags: FAST,
        syntax: docs("index"),
        summary: docs("Chooses the database."),
        run: select,
        ..CONNECTION_ROW
    },
];

fn ping(cx: &mut Context<'_>, args: &mut Args<'_>) -> Result<()> {
    let message = args.next();
    if args.len() > 0 {
        return Err(Error::WrongArity.into());
    }
    if cx.session.protocol == Protocol::Resp2 && cx.session.client.is(state::SUBSCRIBER) {
        cx.wire.texts(&[b"pong", message.unwrap_or_default()]);
        return Ok(());
    }
    match message {
        Some(message) => cx.wire.text(message),
        None => cx.wire.simple("PONG"),
    }
    Ok(())
}

fn select(cx: &mut Context<'_>, args: &mut Args<'_>) -> Result<()> {
    let index = number::integer(args.required()).ok_or(Error::NotAnInteger)?;
    cx.session.select(database(cx, index).ok_or("ERR DB index is out of range")?);
    cx.wire.ok();
    Ok(())
}

/// The database of this number, if there is one.
pub fn database(cx: &Context<'_>, index: i64) -> Option<usize> {
    usize::try_from(index).ok().filter(|&index| index < cx.server.databases.count())
}

fn auth(cx: &mut Context<'_>, args: &mut Args<'_>) -> Result<()> {
    let (user, password) = match args.as_slice() {
        [password] => (None, *password),
        [user, password] => (Some(*user), *password),
        _ => return Err(Error::Syntax.into()),
    };
    if user.is_none() && cx.server.access.default_user().has_no_password {
        return Err("ERR AUTH <password> called without any password configured for the default \
                    user. Are you sure your configuration is correct?"
            .into());
    }
    authenticate(cx, user.unwrap_or(DEFAULT), password)?;
    cx.wire.ok();
    Ok(())
}

fn authenticate(cx: &mut Context<'_>, user: &[u8], password: &[u8]) -> Result<()> {
    let found = cx.server.access.find(user);
    if !found.is_some_and(|user| user.accepts(password)) {
        cx.session.denied = Some(user.into());
        return Err("WRONGPASS invalid username-password pair or user is disabled.".into());
    }
    cx.session.become_user(cx.server.access.login(user));
    Ok(())
}

fn hello(cx: &mut Context<'_>, args: &mut Args<'_>) -> Result<()> {
    let mut protocol = cx.session.protocol;
    if let Some(version) = args.next() {
        let version = number::integer(version);
        let version = version.ok_or("ERR Protocol version is not an integer or out of range")?;
        protocol = match version {
            2 => Protocol::Resp2,
            3 => Protocol::Resp3,
            _ => return Err("NOPROTO unsupported protocol version".into()),
        };
    }
    let (mut login, mut name) = (None, None);
    while let Some(option) = args.next() {
        if option.eq_ignore_ascii_case(b"auth") && args.len() >= 2 {
            login = Some((args.required(), args.required()));
        } else if option.eq_ignore_ascii_case(b"setname") && args.len() >= 1 {
            name = Some(args.required());
        } else {
            let option = String::from_utf8_lossy(option);
            return Err(format!("ERR Syntax error in HELLO option '{option}'").into());
        }
    }
    if let Some((user, password)) = login {
        authenticate(cx, user, password)?;
    }
    if !cx.session.is_authenticated {
        return Err(
            "NOAUTH HELLO must be called with the client already authenticated, otherwise \
                    the HELLO <proto> AUTH <user> <pass> option can be used to authenticate the \
                    client and select the RESP protocol version at the same time"
                .into(),
        );
    }
    if let Some(name) = name {
        client::set_name(cx, name)?;
    }
    cx.session.speak(protocol);
    cx.wire.protocol = protocol;
    introduce(cx);
    Ok(())
}

fn introduce(cx: &mut Context<'_>) {
    let id = cx.session.client.id;
    let wire = &mut cx.wire;
    wire.map(7);
    for (name, value) in [("server", "redis"), ("version", REDIS_VERSION)] {
        wire.text(name);
        wire.text(value);
    }
    for (name, number) in
        [("proto", wire.protocol.number()), ("id", i64::try_from(id).unwrap_or(i64::MAX))]
    {
        wire.text(name);
        wire.integer(number);
    }
    for (name, value) in [("mode", "standalone"), ("role", "master")] {
        wire.text(name);
        wire.text(value);
    }
    wire.text("modules");
    wire.array(0);
}

fn reset(cx: &mut Context<'_>, _: &mut Args<'_>) -> Result<()> {
    forget(cx.server, cx.session);
    cx.session.speak(Protocol::Resp2);
    cx.wire.protocol = Protocol::Resp2;
    cx.session.select(0);
    cx.session.replies = Replies::On;
    cx.session.become_user(cx.server.access.login(DEFAULT));
    cx.session.is_authenticated = cx.server.access.is_open();
    cx.session.client.set(state::NO_EVICT | state::NO_TOUCH, false);
    // Which library it is made by stays what it was.
    cx.session.client.names().name.clear();
    cx.wire.simple("RESET");
    Ok(())
}

/// Takes back all that others hold on behalf of a session: when it is reset, and when it ends.
pub fn forget(server: &Arc<Server>, session: &mut Session) {
    let mut held = server.databases.hold();
    transaction::unwatch(&mut held, session);
    session.set_transaction(None);
    pubsub::forget(server, session);
    server.gate.remove_monitor(&session.client);
    session.client.set(state::MONITOR, false);
    server.news.tracking.stop(&session.client);
    if let Some(blocked) = session.blocked.take() {
        held.get(blocked.ticket.database).waiting.remove(&blocked.ticket);
    }
}
