//! XINFO: what a stream, its groups and their consumers are like.

use super::entries::{Range, Stream};
use super::id::Id;
use super::ledger::{Group, Pending, UNKNOWN_READ};
use super::range::{answer_entry, answer_range};
use super::rows::{Subcommand, refuse_missing_group, refuse_syntax, subcommand};
use crate::command::{Args, Arity, word};
use crate::error::{Error, Result};
use crate::keyspace::Cx;
use crate::num::integer;
use crate::reply::Reply;

/// Entries and pending entries that FULL shows, unless it is told otherwise.
const COUNT_DEFAULT: usize = 10;

const SUBCOMMANDS: &[Subcommand] = &[
    Subcommand { name: "stream", full_name: "xinfo|stream", arity: Arity::AtLeast(3) },
    Subcommand { name: "groups", full_name: "xinfo|groups", arity: Arity::Exactly(3) },
    Subcommand { name: "consumers", full_name: "xinfo|consumers", arity: Arity::Exactly(4) },
    Subcommand { name: "help", full_name: "xinfo|help", arity: Arity::Exactly(2) },
];

const HELP: &[&str] = &[
    "XINFO <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "CONSUMERS <key> <groupname>",
    "    Show consumers of <groupname>.",
    "GROUPS <key>",
    "    Show the stream consumer groups.",
    "STREAM <key> [FULL [COUNT <count>]",
    "    Show information about the stream.",
    "HELP",
    "    Prints this help.",
];

pub(super) fn xinfo(cx: &mut Cx<'_>, args: &mut Args<'_>, reply: &mut dyn Reply) -> Result<()> {
    let name = args.required();
    let Some(number) = subcommand(SUBCOMMANDS, "XINFO", name, args, reply) else { return Ok(()) };
    if number == 3 {
        reply.array(HELP.len());
        HELP.iter().for_each(|line| reply.simple(line));
        return Ok(());
    }
    let key = args.required();
    let stream = cx.read_stream(key)?.ok_or(Error::NoSuchKey)?;
    match number {
        0 => {
            let Some(count) = full_count(args)? else {
                answer_stream(cx, &stream, reply);
                return Ok(());
            };
            let Ok(count) = count else {
                refuse_syntax("XINFO", name, reply);
                return Ok(());
            };
            answer_full(cx, &stream, count, reply);
        }
        1 => answer_groups(cx, &stream, reply),
        _ => {
            let group = args.required();
            let Some(named) = cx.keys.group(&stream, group) else {
                refuse_missing_group(key, group, reply);
                return Ok(());
            };
            answer_consumers(cx, &stream, &named.group, reply);
        }
    }
    Ok(())
}

/// The count of FULL, if that is asked for; nothing inside for options that make no sense.
fn full_count(args: &mut Args<'_>) -> Result<Option<Result<usize, ()>>> {
    let Some(option) = args.next() else { return Ok(None) };
    if word(option, &["full"]) > 0 {
        return Ok(Some(Err(())));
    }
    let count = match (args.next(), args.next(), args.len()) {
        (None, ..) => Ok(COUNT_DEFAULT),
        (Some(option), Some(count), 0) if word(option, &["count"]) == 0 => {
            match usize::try_from(integer(count)?) {
                Ok(0) => Ok(usize::MAX),
                Ok(count) => Ok(count),
                Err(_) => Ok(COUNT_DEFAULT),
            }
        }
        _ => Err(()),
    };
    Ok(Some(count))
}

fn answer_id(reply: &mut dyn Reply, name: &str, id: Id) {
    reply.bulk(name.into());
    reply.bulk(id.text().as_bytes().into());
}

fn answer_number(reply: &mut dyn Reply, name: &str, number: Option<i64>) {
    reply.bulk(name.into());
    match number {
        Some(number) => reply.integer(number),
        None => reply.null(),
    }
}

/// What both forms of XINFO STREAM begin with.
fn answer_head(cx: &Cx<'_>, stream: &Stream, reply: &mut dyn Reply) {
    let (len, nodes) = cx.keys.stream_len(stream);
    let pages = cx.keys.objects.get(stream.nodes).map_or(0, |map| map.pages);
    answer_number(reply, "length", Some(len as i64));
    // What comes closest: nodes with entries, and those of the map that finds them.
    answer_number(reply, "radix-tree-keys", Some(nodes as i64));
    answer_number(reply, "radix-tree-nodes", Some(pages.into()));
    answer_id(reply, "last-generated-id", stream.meta.last);
    answer_id(reply, "max-deleted-entry-id", stream.meta.max_deleted);
    answer_number(reply, "entries-added", Some(stream.meta.added as i64));
    let first = cx.keys.ends(stream).map_or(Id::MIN, |(first, _)| first);
    answer_id(reply, "recorded-first-entry-id", first);
}

fn answer_stream(cx: &Cx<'_>, stream: &Stream, reply: &mut dyn Reply) {
    reply.map(10);
    answer_head(cx, stream, reply);
    let mut groups = 0;
    cx.keys.each_group(stream, &mut |_, _| groups += 1);
    answer_number(reply, "groups", Some(groups));
    for (name, is_reverse) in [("first-entry", false), ("last-entry", true)] {
        reply.bulk(name.into());
        let range = Range { is_reverse, ..Range::from(Id::MIN, 1) };
        let shown = cx.keys.each_entry_of(stream, &range, &mut |id, fields| {
            answer_entry(reply, id, fields);
        });
        if shown == 0 {
            reply.null();
        }
    }
}

fn answer_full(cx: &Cx<'_>, stream: &Stream, count: usize, reply: &mut dyn Reply) {
    reply.map(9);
    answer_head(cx, stream, reply);
    reply.bulk("entries".into());
    answer_range(cx, stream, &Range::from(Id::MIN, count), reply);
    reply.bulk("groups".into());
    let mut groups = 0;
    cx.keys.each_group(stream, &mut |_, _| groups += 1);
    reply.array(groups);
    cx.keys.each_group(stream, &mut |name, group| {
        reply.map(7);
        reply.bulk("name".into());
        reply.bulk(name.into());
        answer_progress(cx, stream, group, reply);
        answer_number(reply, "pel-count", Some(group.pending as i64));
        reply.bulk("pending".into());
        let mut left = usize::try_from(group.pending).unwrap_or(usize::MAX).min(count);
        reply.array(left);
        if left > 0 {
            cx.keys.each_pending(stream, group, Id::MIN, &mut |id, pending| {
                let owner = cx.keys.state(stream, group, pending.consumer);
                let owner = owner.map_or(&[][..], |(_, name)| name);
                reply.array(4);
                reply.bulk(id.text().as_bytes().into());
                reply.bulk(owner.into());
                answer_delivery(pending, reply);
                left -= 1;
                left > 0
            });
        }
        reply.bulk("consumers".into());
        answer_full_consumers(cx, stream, group, count, reply);
    });
}

fn answer_delivery(pending: &Pending, reply: &mut dyn Reply) {
    reply.integer(pending.time);
    reply.integer(pending.count as i64);
}

fn answer_full_consumers(
    cx: &Cx<'_>,
    stream: &Stream,
    group: &Group,
    count: usize,
    reply: &mut dyn Reply,
) {
    reply.array(group.consumers as usize);
    cx.keys.each_consumer(stream, group, &mut |name, number, consumer| {
        reply.map(4);
        reply.bulk("name".into());
        reply.bulk(name.into());
        answer_number(reply, "seen-time", Some(consumer.seen));
        answer_number(reply, "pel-count", Some(consumer.pending as i64));
        reply.bulk("pending".into());
        let mut left = usize::try_from(consumer.pending).unwrap_or(usize::MAX).min(count);
        reply.array(left);
        if left == 0 {
            return;
        }
        cx.keys.each_owned(stream, number, Id::MIN, &mut |id| {
            reply.array(3);
            reply.bulk(id.text().as_bytes().into());
            answer_delivery(&cx.keys.pending(stream, group, id).unwrap_or_default(), reply);
            left -= 1;
            left > 0
        });
    });
}

/// How far a group is.
fn answer_progress(cx: &Cx<'_>, stream: &Stream, group: &Group, reply: &mut dyn Reply) {
    answer_id(reply, "last-delivered-id", group.last);
    let read = Some(group.entries_read).filter(|&read| read != UNKNOWN_READ);
    answer_number(reply, "entries-read", read);
    answer_number(reply, "lag", cx.keys.lag(stream, group));
}

fn answer_groups(cx: &Cx<'_>, stream: &Stream, reply: &mut dyn Reply) {
    let mut groups = 0;
    cx.keys.each_group(stream, &mut |_, _| groups += 1);
    reply.array(groups);
    cx.keys.each_group(stream, &mut |name, group| {
        reply.map(6);
        reply.bulk("name".into());
        reply.bulk(name.into());
        answer_number(reply, "consumers", Some(group.consumers as i64));
        answer_number(reply, "pending", Some(group.pending as i64));
        answer_progress(cx, stream, group, reply);
    });
}

fn answer_consumers(cx: &Cx<'_>, stream: &Stream, group: &Group, reply: &mut dyn Reply) {
    reply.array(group.consumers as usize);
    cx.keys.each_consumer(stream, group, &mut |name, _, consumer| {
        reply.map(3);
        reply.bulk("name".into());
        reply.bulk(name.into());
        answer_number(reply, "pending", Some(consumer.pending as i64));
        let idle_ms = cx.now.wrapping_sub(consumer.seen).max(0);
        answer_number(reply, "idle", Some(idle_ms));
    });
}
