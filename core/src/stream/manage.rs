//! XGROUP: groups and consumers that come and go.

use super::claim::{Told, tell_group};
use super::entries::Stream;
use super::id::{Id, parse_edge};
use super::ledger::UNKNOWN_READ;
use super::rows::{Subcommand, refuse_missing_group, refuse_syntax, subcommand};
use crate::command::{Args, Arity, word};
use crate::error::{Error, Result};
use crate::keyspace::Cx;
use crate::num::{Digits, integer};
use crate::record::Kind;
use crate::reply::Reply;

const CREATE: usize = 0;
const SETID: usize = 1;
const DESTROY: usize = 2;
const CREATECONSUMER: usize = 3;
const DELCONSUMER: usize = 4;
const HELP_NUMBER: usize = 5;

const SUBCOMMANDS: &[Subcommand] = &[
    Subcommand { name: "create", full_name: "xgroup|create", arity: Arity::AtLeast(5) },
    Subcommand { name: "setid", full_name: "xgroup|setid", arity: Arity::AtLeast(5) },
    Subcommand { name: "destroy", full_name: "xgroup|destroy", arity: Arity::Exactly(4) },
    Subcommand {
        name: "createconsumer",
        full_name: "xgroup|createconsumer",
        arity: Arity::Exactly(5),
    },
    Subcommand { name: "delconsumer", full_name: "xgroup|delconsumer", arity: Arity::Exactly(5) },
    Subcommand { name: "help", full_name: "xgroup|help", arity: Arity::Exactly(2) },
];

const HELP: &[&str] = &[
    "XGROUP <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "CREATE <key> <groupname> <id|$> [option]",
    "    Create a new consumer group. Options are:",
    "    * MKSTREAM",
    "      Create the empty stream if it does not exist.",
    "    * ENTRIESREAD entries_read",
    "      Set the group's entries_read counter (internal use).",
    "CREATECONSUMER <key> <groupname> <consumer>",
    "    Create a new consumer in the specified group.",
    "DELCONSUMER <key> <groupname> <consumer>",
    "    Remove the specified consumer.",
    "DESTROY <key> <groupname>",
    "    Remove the specified group.",
    "SETID <key> <groupname> <id|$> [ENTRIESREAD entries_read]",
    "    Set the current group ID and entries_read counter.",
    "HELP",
    "    Prints this help.",
];

/// What CREATE and SETID are told behind the id.
struct Options {
    makes_stream: bool,
    entries_read: i64,
}

impl Options {
    /// Nothing for options that make no sense.
    fn parse(args: &mut Args<'_>, number: usize) -> Result<Option<Options>> {
        let mut options = Options { makes_stream: false, entries_read: UNKNOWN_READ };
        while let Some(option) = args.next() {
            match word(option, &["mkstream", "entriesread"]) {
                0 if number == CREATE => options.makes_stream = true,
                1 if number <= SETID && args.len() > 0 => {
                    options.entries_read = integer(args.value()?)?;
                    if options.entries_read < 0 && options.entries_read != UNKNOWN_READ {
                        return Err(Error::ReadNegative);
                    }
                }
                _ => return Ok(None),
            }
        }
        Ok(Some(options))
    }
}

pub(super) fn xgroup(cx: &mut Cx<'_>, args: &mut Args<'_>, reply: &mut dyn Reply) -> Result<()> {
    let name = args.required();
    let Some(number) = subcommand(SUBCOMMANDS, "XGROUP", name, args, reply) else {
        return Ok(());
    };
    if number == HELP_NUMBER {
        reply.array(HELP.len());
        HELP.iter().for_each(|line| reply.simple(line));
        return Ok(());
    }
    let count = args.len();
    let (key, group) = (args.required(), args.required());
    let argument = args.next();
    let Some(options) = Options::parse(args, number)? else {
        refuse_syntax("XGROUP", name, reply);
        return Ok(());
    };
    let stream = cx.change_stream(key)?;
    if stream.is_none() && !options.makes_stream {
        return Err(Error::GroupOfNoKey);
    }
    let named = stream.and_then(|stream| cx.keys.group(&stream, group));
    if named.is_none() && ![CREATE, DESTROY].contains(&number) {
        refuse_missing_group(key, group, reply);
        return Ok(());
    }
    let told = Told { key, group, consumer: argument.unwrap_or_default() };
    if number == CREATE && count <= 6 {
        return create(cx, stream, &told, argument.unwrap_or_default(), &options, reply);
    }
    match (number, stream.zip(named)) {
        (SETID, Some((stream, mut named))) if count == 3 || count == 5 => {
            named.group.last = match told.consumer {
                b"$" => stream.meta.last,
                id => parse_edge(id, 0)?,
            };
            named.group.entries_read = options.entries_read;
            cx.keys.save_group(&stream, &named);
            tell_group(cx, &told, &named.group);
            reply.simple("OK");
        }
        (DESTROY, named) => {
            if let Some((stream, named)) = &named {
                cx.keys.remove_group(stream, named);
                cx.emit(&["XGROUP".into(), "DESTROY".into(), key.into(), group.into()]);
            }
            reply.integer(named.is_some().into());
        }
        (CREATECONSUMER, Some((mut stream, mut named))) => {
            let is_new = cx.keys.consumer(&stream, &named.group, told.consumer).is_none();
            if is_new {
                cx.find_or_add_consumer(&mut stream, &mut named, &told)?;
            }
            reply.integer(is_new.into());
        }
        (DELCONSUMER, Some((stream, mut named))) => {
            let owned = cx.keys.remove_consumer(&stream, &mut named, told.consumer);
            if owned.is_some() {
                let (group, consumer) = (group.into(), told.consumer.into());
                cx.emit(&["XGROUP".into(), "DELCONSUMER".into(), key.into(), group, consumer]);
            }
            reply.integer(owned.unwrap_or_default() as i64);
        }
        _ => refuse_syntax("XGROUP", name, reply),
    }
    Ok(())
}

/// XGROUP CREATE.
fn create(
    cx: &mut Cx<'_>,
    stream: Option<Stream>,
    told: &Told<'_>,
    id: &[u8],
    options: &Options,
    reply: &mut dyn Reply,
) -> Result<()> {
    let last = match id {
        b"$" => stream.map_or(Id::MIN, |stream| stream.meta.last),
        id => Id::parse(id)?,
    };
    let is_new = stream.is_none();
    let mut stream = match stream {
        Some(stream) => stream,
        None => {
            let mut target = cx.target(told.key, Kind::Stream)?;
            cx.make_stream(&mut target)?
        }
    };
    if cx.keys.group(&stream, told.group).is_some() {
        return Err(Error::BusyGroup);
    }
    let added = cx.add_group(&mut stream, told.group, last, options.entries_read);
    if added.is_err() && is_new {
        cx.keys.drop_found(&stream.found);
        cx.keys.settle();
    }
    added?;
    if cx.is_heard() {
        let (last, read) = (last.text(), Digits::new(options.entries_read));
        let effect = [
            "XGROUP".into(),
            "CREATE".into(),
            told.key.into(),
            told.group.into(),
            last.as_bytes().into(),
            "ENTRIESREAD".into(),
            read.as_bytes().into(),
            "MKSTREAM".into(),
        ];
        cx.emit(effect.get(..effect.len() - usize::from(!is_new)).unwrap_or(&effect));
    }
    cx.grow_index();
    reply.simple("OK");
    Ok(())
}
