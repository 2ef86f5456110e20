//! ACL: users and what they may do, shown and changed.

use std::path::PathBuf;
use std::sync::Arc;

use ferrite_engine::{Args, Arity, Error, Reply, docs};

use crate::acl::selector::Denial;
use crate::acl::user::{DEFAULT, User};
use crate::acl::{file, is_name, with_rules};
use crate::client::{Client, signal};
use crate::commands::command::{CATEGORIES, categories};
use crate::commands::flags::{ADMIN, NO_SCRIPT};
use crate::commands::{Command, ROW, Refusal, Result, ServerSpec, table};
use crate::context::Context;
use crate::limits::ACL_USERS_MAX;
use crate::process::system_text;
use crate::pubsub::Kind;
use crate::server::Server;
use crate::{number, random};

const ACL_ROW: ServerSpec = ServerSpec { since: docs("6.0.0"), flags: NO_SCRIPT, ..ROW };
const ADMIN_ROW: ServerSpec = ServerSpec { flags: ADMIN | NO_SCRIPT, ..ACL_ROW };

pub(crate) const COMMANDS: &[ServerSpec] = &[
    ServerSpec { name: "acl", summary: docs("Tells what users may do."), ..ACL_ROW },
    ServerSpec {
        name: "acl|cat",
        syntax: docs("[category]"),
        summary: docs("Returns the categories of commands, or the commands of one."),
        run: cat,
        ..ACL_ROW
    },
    ServerSpec {
        name: "acl|deluser",
        arity: Arity::AtLeast(3),
        syntax: docs("username [username ...]"),
        summary: docs("Deletes users, and closes their connections."),
        run: deluser,
        ..ADMIN_ROW
    },
    ServerSpec {
        name: "acl|dryrun",
        arity: Arity::AtLeast(4),
        since: docs("7.0.0"),
        syntax: docs("username command [arg [arg ...]]"),
        summary: docs("Tells whether a user may run a command."),
        run: dryrun,
        ..ADMIN_ROW
    },
    ServerSpec {
        name: "acl|genpass",
        syntax: docs("[bits]"),
        summary: docs("Returns a password that nobody can guess."),
        run: genpass,
        ..ACL_ROW
    },
    ServerSpec {
        name: "acl|getuser",
        arity: Arity::Exactly(3),
        syntax: docs("username"),
        summary: docs("Describes a user."),
        run: getuser,
        ..ADMIN_ROW
    },
    ServerSpec {
        name: "acl|list",
        arity: Arity::Exactly(2),
        summary: docs("Returns the rules of all users."),
        run: |cx, _| {
            let users = cx.server.access.all();
            let lines: Vec<_> =
                users.iter().map(|user| [b"user ", &*user.show()].concat()).collect();
            cx.wire.texts(&lines);
            Ok(())
        },
        ..ADMIN_ROW
    },
    ServerSpec {
        name: "acl|load",
        arity: Arity::Exactly(2),
        summary: docs("Reads the users from their file."),
        run: load,
        ..ADMIN_ROW
    },
    ServerSpec {
        name: "acl|log",
        syntax: docs("[count | RESET]"),
        summary: docs("Returns what was denied, the newest first."),
        run: log,
        ..ADMIN_ROW
    },
    ServerSpec {
        name: "acl|save",
        arity: Arity::Exactly(2),
        summary: docs("Writes the users into their file."),
        run: save,
        ..ADMIN_ROW
    },
    ServerSpec {
        name: "acl|setuser",
        arity: Arity::AtLeast(3),
        syntax: docs("username [rule [rule ...]]"),
        summary: docs("Makes a user, or changes what one may do."),
        run: setuser,
        ..ADMIN_ROW
    },
    ServerSpec {
        name: "acl|users",
        arity: Arity::Exactly(2),
        summary: docs("Returns the names of all users."),
        run: |cx, _| {
            let users = cx.server.access.all();
            let names: Vec<_> = users.iter().map(|user| &user.name).collect();
            cx.wire.texts(&names);
            Ok(())
        },
        ..ADMIN_ROW
    },
    ServerSpec {
        name: "acl|whoami",
        arity: Arity::Exactly(2),
        summary: docs("Returns the user of this connection."),
        run: |cx, _| {
            cx.wire.text(&cx.session.login.user.name);
            Ok(())
        },
        ..ACL_ROW
    },
];

/// Changes one user, or makes it.
fn setuser(cx: &mut Context<'_>, args: &mut Args<'_>) -> Result<()> {
    let name = args.required();
    if !is_name(name) {
        return Err("ERR Usernames can't contain spaces or null characters".into());
    }
    let has_all_channels = cx.config.has_all_channels();
    let access = &cx.server.access;
    let changed = access.change(|users| {
        if !users.contains_key(name) && users.len() >= ACL_USERS_MAX {
            return Err("there are too many users".into());
        }
        let old = users.get(name).cloned();
        let user = old.as_deref().cloned().unwrap_or_else(|| User::new(name, has_all_channels));
        let user = Arc::new(with_rules(user, args.as_slice(), has_all_channels)?);
        users.insert(name.into(), Arc::clone(&user));
        Ok::<_, String>((old, user))
    });
    let (old, user) = changed.map_err(|why| format!("ERR {why}"))?;
    if old.is_some_and(|old| !user.allows_channels_of(&old)) {
        drop_listeners(cx.server, &user);
    }
    cx.refresh_login();
    cx.wire.ok();
    Ok(())
}

/// Closes connections of a user that listen to what it may not listen to any more.
fn drop_listeners(server: &Server, user: &User) {
    for kind in [Kind::Channel, Kind::Pattern, Kind::Shard] {
        server.news.pubsub.each_listener(kind, |name, client| {
            if *client.user() == *user.name && !user.allows_channel(name, kind == Kind::Pattern) {
                client.signal(signal::KILL);
            }
        });
    }
}

fn deluser(cx: &mut Context<'_>, args: &mut Args<'_>) -> Result<()> {
    if args.as_slice().contains(&DEFAULT) {
        return Err("ERR The 'default' user cannot be removed".into());
    }
    let deleted = cx
        .server
        .access
        .change(|users| args.filter_map(|name| users.remove(name)).collect::<Vec<Arc<User>>>());
    drop_connections(cx, |client| deleted.iter().any(|user| *client.user() == *user.name));
    cx.wire.integer(deleted.len() as i64);
    Ok(())
}

/// Closes connections of users that are gone; its own once it has its reply.
fn drop_connections(cx: &mut Context<'_>, is_gone: impl Fn(&Client) -> bool) {
    for client in cx.server.clients.all().iter().filter(|client| is_gone(client)) {
        match client.id == cx.session.client.id {
            true => cx.session.is_closing = true,
            false => client.signal(signal::KILL),
        }
    }
}

fn file_of(cx: &Context<'_>) -> Result<PathBuf> {
    let line = "ERR This Redis instance is not configured to use an ACL file. You may want to \
                specify users via the ACL SETUSER command and then issue a CONFIG REWRITE \
                (assuming you have a Redis configuration file set) in order to store users in the \
                Redis configuration.";
    cx.config.aclfile_path().ok_or(line.into())
}

fn load(cx: &mut Context<'_>, _: &mut Args<'_>) -> Result<()> {
    let path = file_of(cx)?;
    let users = file::load(&path, cx.config.has_all_channels());
    let users = users.map_err(|why| format!("ERR {why}"))?;
    cx.server.access.change(|all| *all = users);
    // As in Redis, where all users but the default one are made anew.
    drop_connections(cx, |client| *client.user() != *DEFAULT);
    cx.refresh_login();
    cx.wire.ok();
    Ok(())
}

fn save(cx: &mut Context<'_>, _: &mut Args<'_>) -> Result<()> {
    let path = file_of(cx)?;
    if let Err(why) = file::save(&path, &cx.server.access.all()) {
        let why = system_text(&why);
        cx.server.log.warning(format_args!("cannot write the aclfile {}: {why}", path.display()));
        return Err(
            "ERR There was an error trying to save the ACLs. Please check the server logs \
                    for more information"
                .into(),
        );
    }
    cx.wire.ok();
    Ok(())
}

fn log(cx: &mut Context<'_>, args: &mut Args<'_>) -> Result<()> {
    let count = match args.as_slice() {
        [] => 10,
        [word] if word.eq_ignore_ascii_case(b"reset") => {
            cx.server.access.log().clear();
            cx.wire.ok();
            return Ok(());
        }
        [count] => number::integer(count).ok_or(Error::NotAnInteger)?.max(0),
        _ => return Err(refuse_count("LOG")),
    };
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    cx.server.access.log().show(count, cx.now_ms, &mut cx.wire);
    Ok(())
}

fn refuse_count(subcommand: &str) -> Refusal {
    format!("ERR unknown subcommand or wrong number of arguments for '{subcommand}'. Try ACL HELP.")
        .into()
}

fn cat(cx: &mut Context<'_>, args: &mut Args<'_>) -> Result<()> {
    match args.as_slice() {
        [] => cx.wire.texts(CATEGORIES),
        [category] => {
            let is_it = |name: &&&str| category.eq_ignore_ascii_case(name.as_bytes());
            let shown = || String::from_utf8_lossy(category);
            let category = CATEGORIES.iter().find(is_it);
            let category = category.ok_or_else(|| format!("ERR Unknown category '{}'", shown()))?;
            let is_in = |command: &&Command| categories(command).contains(category);
            let names: Vec<&str> =
                table().each().filter(is_in).map(|command| command.name).collect();
            cx.wire.texts(&names);
        }
        _ => return Err(refuse_count("CAT")),
    }
    Ok(())
}

fn dryrun(cx: &mut Context<'_>, args: &mut Args<'_>) -> Result<()> {
    let name = args.required();
    let shown = |text: &[u8]| String::from_utf8_lossy(text).into_owned();
    let user = cx.server.access.find(name);
    let user = user.ok_or_else(|| format!("ERR User '{}' not found", shown(name)))?;
    let request = args.as_slice();
    let name = request[0];
    let command = table().find(name).and_then(|command| {
        let sub = request.get(1).and_then(|name| command.subcommand(name));
        if command.subcommands.is_empty() { Some(command) } else { sub }
    });
    let command = command.ok_or_else(|| format!("ERR Command '{}' not found", shown(name)))?;
    if !command.arity.allows(request.len()) {
        return Err(Error::WrongArity.parts(command.name).concat().into());
    }
    match user.denial(command, request) {
        None => cx.wire.ok(),
        Some(denial) => {
            let what = match denial {
                Denial::Command => format!("run the '{}' command", command.name),
                Denial::Key(at) => format!("access the '{}' key", shown(request[at])),
                Denial::Channel(at) => format!("access the '{}' channel", shown(request[at])),
            };
            cx.wire.text(format!("This user has no permissions to {what}"));
        }
    }
    Ok(())
}

fn genpass(cx: &mut Context<'_>, args: &mut Args<'_>) -> Result<()> {
    let range = "ERR ACL GENPASS argument must be the number of bits for the output password, a \
                 positive number up to 4096";
    let bits = match args.as_slice() {
        [] => 256,
        [bits] => {
            let bits = number::integer(bits).ok_or(Error::NotAnInteger)?;
            usize::try_from(bits).ok().filter(|bits| (1..=4096).contains(bits)).ok_or(range)?
        }
        _ => return Err(refuse_count("GENPASS")),
    };
    cx.wire.text(random::hexadecimal(bits.div_ceil(4)));
    Ok(())
}

fn getuser(cx: &mut Context<'_>, args: &mut Args<'_>) -> Result<()> {
    match cx.server.access.find(args.required()) {
        Some(user) => user.describe(&mut cx.wire),
        None => cx.wire.null(),
    }
    Ok(())
}
