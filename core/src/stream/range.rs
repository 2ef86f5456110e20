//! XRANGE, XREVRANGE and XREAD: entries that are only looked at.

use alloc::vec::Vec;

use super::entries::{Range, Stream};
use super::fields::Fields;
use super::id::{Id, parse_end, parse_start};
use super::read::Request;
use crate::command::{Args, word};
use crate::error::{Error, Result};
use crate::keyspace::Cx;
use crate::num::integer;
use crate::reply::Reply;

/// Answers an entry: its id, then fields and values in turns.
pub(super) fn answer_entry(reply: &mut dyn Reply, id: Id, fields: Fields<'_>) {
    reply.array(2);
    reply.bulk(id.text().as_bytes().into());
    reply.array(2 * fields.left);
    for (name, value) in fields {
        name.answer(reply);
        value.answer(reply);
    }
}

/// Answers an array of the entries in a part of a stream.
pub(super) fn answer_range(cx: &Cx<'_>, stream: &Stream, range: &Range, reply: &mut dyn Reply) {
    reply.array(cx.keys.count_entries_of(stream, range));
    cx.keys.each_entry_of(stream, range, &mut |id, fields| answer_entry(reply, id, fields));
}

/// XRANGE and XREVRANGE.
pub(super) fn xrange(
    cx: &mut Cx<'_>,
    args: &mut Args<'_>,
    reply: &mut dyn Reply,
    is_reverse: bool,
) -> Result<()> {
    let (key, first, second) = (args.required(), args.required(), args.required());
    let (start, end) = if is_reverse { (second, first) } else { (first, second) };
    let (start, end) = (parse_start(start)?, parse_end(end)?);
    let mut count = None;
    while let Some(option) = args.next() {
        if word(option, &["count"]) > 0 || args.len() == 0 {
            return Err(Error::Syntax);
        }
        // A count of -1 is none at all.
        let wanted = integer(args.value()?)?.max(0);
        count = Some(usize::try_from(wanted).unwrap_or(usize::MAX));
    }
    let Some(stream) = cx.read_stream(key)? else {
        reply.array(0);
        return Ok(());
    };
    if count == Some(0) {
        reply.null_array();
        return Ok(());
    }
    let count = count.unwrap_or(usize::MAX);
    answer_range(cx, &stream, &Range { start, end, count, is_reverse }, reply);
    Ok(())
}

/// XREAD: of each stream what is behind an id. Null if there is nothing; a host that lets clients
/// wait asks again then (see [`super::StreamRead`]).
pub(super) fn xread(cx: &mut Cx<'_>, args: &mut Args<'_>, reply: &mut dyn Reply) -> Result<()> {
    let request = Request::parse(args, false)?;
    let mut served: Vec<(&[u8], Stream, Range)> = Vec::new();
    served.try_reserve_exact(request.keys.len()).map_err(|_| Error::OutOfMemory)?;
    for (&key, &id) in request.keys.iter().zip(request.ids) {
        let stream = cx.read_stream(key)?;
        let after = match id {
            b"$" => stream.map_or(Id::MIN, |stream| stream.meta.last),
            b">" => return Err(Error::ReadNewWithoutGroup),
            id => Id::parse(id)?,
        };
        if let Some(stream) = stream
            && let Some((_, last)) = cx.keys.ends(&stream)
            && let Some(start) = after.next().filter(|&start| start <= last)
        {
            served.push((key, stream, Range::from(start, request.count)));
        }
    }
    if served.is_empty() {
        reply.null_array();
        return Ok(());
    }
    reply.entries(served.len());
    for (key, stream, range) in served {
        reply.entry();
        reply.bulk(key.into());
        answer_range(cx, &stream, &range, reply);
    }
    Ok(())
}
