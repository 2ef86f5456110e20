//! ACL: of one user, who may do everything and whose password is `requirepass`.
//!
//! What can be asked is answered as Redis does. What would make another user, or take a permission
//! away, is refused: it would have no effect.

use ferrite_engine::{Args, Arity, Reply, docs};
use sha2::{Digest, Sha256};

use crate::commands::command::{CATEGORIES, categories};
use crate::commands::flags::{ADMIN, NO_SCRIPT};
use crate::commands::{ROW, Result, ServerSpec, table};
use crate::context::Context;
use crate::{number, random};

const ACL_ROW: ServerSpec = ServerSpec { since: docs("6.0.0"), flags: NO_SCRIPT, ..ROW };
const ADMIN_ROW: ServerSpec = ServerSpec { flags: ADMIN | NO_SCRIPT, ..ACL_ROW };
const FILE_ROW: ServerSpec = ServerSpec { run: refuse_file, ..ADMIN_ROW };

/// The only user.
pub const USER: &str = "default";

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
        summary: docs("Removes users; the only one there is stays."),
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
            let password = match &*cx.config.requirepass {
                "" => "nopass".into(),
                password => format!("#{}", hash(password)),
            };
            cx.wire.texts(&[format!("user {USER} on {password} ~* &* +@all")]);
            Ok(())
        },
        ..ADMIN_ROW
    },
    ServerSpec {
        name: "acl|load",
        arity: Arity::Exactly(2),
        summary: docs("Is refused: there is no file of users."),
        ..FILE_ROW
    },
    ServerSpec {
        name: "acl|log",
        syntax: docs("[count | RESET]"),
        summary: docs("Returns who was denied because of a wrong name or password."),
        run: log,
        ..ADMIN_ROW
    },
    ServerSpec {
        name: "acl|save",
        arity: Arity::Exactly(2),
        summary: docs("Is refused: there is no file of users."),
        ..FILE_ROW
    },
    ServerSpec {
        name: "acl|setuser",
        arity: Arity::AtLeast(3),
        syntax: docs("username [rule [rule ...]]"),
        summary: docs("Is refused: there is one user, who may do everything."),
        run: refuse,
        ..ADMIN_ROW
    },
    ServerSpec {
        name: "acl|users",
        arity: Arity::Exactly(2),
        summary: docs("Returns the names of all users."),
        run: |cx, _| {
            cx.wire.texts(&[USER]);
            Ok(())
        },
        ..ADMIN_ROW
    },
    ServerSpec {
        name: "acl|whoami",
        arity: Arity::Exactly(2),
        summary: docs("Returns the user of this connection."),
        run: |cx, _| {
            cx.wire.text(USER);
            Ok(())
        },
        ..ACL_ROW
    },
];

fn refuse(_: &mut Context<'_>, _: &mut Args<'_>) -> Result<()> {
    Err("ERR access lists are not supported: there is one user, 'default', who may do everything \
         and whose password is the setting requirepass"
        .into())
}

fn refuse_file(_: &mut Context<'_>, _: &mut Args<'_>) -> Result<()> {
    Err("ERR This Redis instance is not configured to use an ACL file: there is one user, \
         'default', whose password is the setting requirepass"
        .into())
}

fn deluser(cx: &mut Context<'_>, args: &mut Args<'_>) -> Result<()> {
    if args.as_slice().contains(&USER.as_bytes()) {
        return Err("ERR The 'default' user cannot be removed".into());
    }
    // Nobody else is there.
    cx.wire.integer(0);
    Ok(())
}

/// How many denials ACL LOG shows unasked.
const SHOWN_DENIALS: usize = 10;

fn log(cx: &mut Context<'_>, args: &mut Args<'_>) -> Result<()> {
    let count = match args.as_slice() {
        [] => SHOWN_DENIALS,
        [word] if word.eq_ignore_ascii_case(b"reset") => {
            cx.server.denials.clear();
            cx.wire.ok();
            return Ok(());
        }
        // As in Redis a negative number shows none.
        [count] => {
            let count = number::integer(count).ok_or(ferrite_engine::Error::NotAnInteger)?;
            usize::try_from(count).unwrap_or_default()
        }
        _ => {
            return Err("ERR unknown subcommand or wrong number of arguments for 'log'. Try ACL \
                        HELP."
                .into());
        }
    };
    let denials = cx.server.denials.newest(count);
    cx.wire.array(denials.len());
    for denial in denials {
        let wire = &mut cx.wire;
        wire.map(7);
        wire.text("count");
        wire.integer(denial.count);
        for (name, value) in [
            ("reason", &b"auth"[..]),
            ("context", denial.context.as_bytes()),
            ("object", &denial.command),
            ("username", &denial.user),
        ] {
            wire.text(name);
            wire.text(value);
        }
        wire.text("age-seconds");
        let age_ms = cx.now_ms.saturating_sub(denial.at_ms).max(0);
        wire.double((age_ms as f64 / 1000.0).to_string().as_str().into());
        wire.text("client-info");
        wire.text(&denial.client);
    }
    Ok(())
}

fn hash(password: &str) -> String {
    Sha256::digest(password).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn cat(cx: &mut Context<'_>, args: &mut Args<'_>) -> Result<()> {
    match args.as_slice() {
        [] => cx.wire.texts(CATEGORIES),
        [category] => {
            let wanted = String::from_utf8_lossy(category).to_ascii_lowercase();
            if !CATEGORIES.contains(&&*wanted) {
                return Err(format!("ERR Unknown category '{wanted}'").into());
            }
            let is_in = |category: &String| *category == wanted;
            let names: Vec<&str> = table()
                .each()
                .filter(|command| categories(command).iter().any(is_in))
                .map(|command| command.name)
                .collect();
            cx.wire.texts(&names);
        }
        _ => return Err(ferrite_engine::Error::WrongArity.into()),
    }
    Ok(())
}

fn dryrun(cx: &mut Context<'_>, args: &mut Args<'_>) -> Result<()> {
    let (user, name) = (args.required(), args.required());
    if user != USER.as_bytes() {
        return Err(format!("ERR User '{}' not found", String::from_utf8_lossy(user)).into());
    }
    let Some(command) = table().find(name) else {
        return Err(format!("ERR Command '{}' not found", String::from_utf8_lossy(name)).into());
    };
    if !command.arity.allows(args.len() + 1) {
        return Err(ferrite_engine::Error::WrongArity.parts(command.name).concat().into());
    }
    cx.wire.ok();
    Ok(())
}

fn genpass(cx: &mut Context<'_>, args: &mut Args<'_>) -> Result<()> {
    let range = "ERR ACL GENPASS argument must be the number of bits for the output password, a \
                 positive number up to 4096";
    let bits = match args.as_slice() {
        [] => 256,
        [bits] => {
            let bits = number::integer(bits).and_then(|bits| usize::try_from(bits).ok());
            bits.filter(|bits| (1..=4096).contains(bits)).ok_or(range)?
        }
        _ => return Err(ferrite_engine::Error::WrongArity.into()),
    };
    cx.wire.text(random::hexadecimal(bits.div_ceil(4)));
    Ok(())
}

fn getuser(cx: &mut Context<'_>, args: &mut Args<'_>) -> Result<()> {
    if args.required() != USER.as_bytes() {
        cx.wire.null_array();
        return Ok(());
    }
    let password = &*cx.config.requirepass;
    let (mut flags, mut passwords) = (vec!["on"], Vec::new());
    match password.is_empty() {
        true => flags.push("nopass"),
        false => passwords.push(hash(password)),
    }
    let wire = &mut cx.wire;
    wire.map(6);
    wire.text("flags");
    wire.set(flags.len());
    flags.iter().for_each(|flag| wire.text(flag));
    wire.text("passwords");
    wire.texts(&passwords);
    for (name, rule) in [("commands", "+@all"), ("keys", "~*"), ("channels", "&*")] {
        wire.text(name);
        wire.text(rule);
    }
    wire.text("selectors");
    wire.array(0);
    Ok(())
}
