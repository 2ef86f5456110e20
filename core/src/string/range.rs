//! Parts of values: APPEND, GETRANGE, SETRANGE, and STRLEN.
//!
//! Nothing here copies a large value: a part is read where it is, and written over what is there.

use crate::command::{Args, Arity, DENYOOM, EDGE, FAST, Group, Keys, READ, Spec, WRITE, docs};
use crate::error::{Error, Result};
use crate::keyspace::{Cx, Found};
use crate::limits::VALUE_BYTES_MAX;
use crate::num::{Digits, integer};
use crate::reply::Reply;
use crate::value::{Padded, Source, Value};

impl Cx<'_> {
    /// APPEND: adds to the end of a string, from nothing if need be. Its length afterwards.
    pub fn append(&mut self, key: &[u8], suffix: &[u8]) -> Result<usize> {
        self.append_from(key, &mut { suffix })
    }

    /// APPEND with a suffix that comes in pieces.
    pub fn append_from(&mut self, key: &[u8], suffix: &mut dyn Source) -> Result<usize> {
        let hash = self.keys.hash(key);
        let found = self.find_string(key, hash)?;
        let added = suffix.len();
        let len = self.extend(key, hash, found, suffix)?;
        if let Some((keys, effects)) = self.listener()
            && let Some(found) = keys.locate(key, hash)
        {
            let suffix = keys.value(&found).range(len - added, added);
            effects.effect(&["APPEND".into(), key.into(), suffix]);
        }
        self.grow_index();
        Ok(len)
    }

    /// GETRANGE: the bytes from `first` to `last`, both included, of a string; negative positions
    /// count from its end. Empty for a missing key.
    pub fn get_range(&mut self, key: &[u8], first: i64, last: i64) -> Result<Value<'_>> {
        let found = self.read_string(key)?;
        let value = self.value_of(found).unwrap_or("".into());
        let len = value.len() as i64;
        let position = |at: i64| if at < 0 { at.saturating_add(len).max(0) } else { at };
        if first < 0 && last < first {
            return Ok(value.range(0, 0));
        }
        let (start, end) = (position(first), position(last).min(len - 1));
        let wanted = end.saturating_sub(start).saturating_add(1).max(0);
        Ok(value.range(start.min(len) as usize, wanted as usize))
    }

    /// SETRANGE: writes over a part of a string, which gets as long as it must be, with zeros
    /// before that part if it ended earlier. Its length afterwards.
    pub fn set_range(&mut self, key: &[u8], start: u64, bytes: &[u8]) -> Result<usize> {
        let hash = self.keys.hash(key);
        let found = self.find_string(key, hash)?;
        self.write_range(key, hash, found, start, bytes)
    }

    /// The same for a string that was found.
    pub(crate) fn write_range(
        &mut self,
        key: &[u8],
        hash: u64,
        found: Option<Found>,
        start: u64,
        bytes: &[u8],
    ) -> Result<usize> {
        let old_len = self.value_of(found).map_or(0, |value| value.len());
        if bytes.is_empty() {
            return Ok(old_len);
        }
        if start > (VALUE_BYTES_MAX - bytes.len().min(VALUE_BYTES_MAX)) as u64 {
            return Err(Error::ValueTooLong);
        }
        let at = start as usize;
        // What stands behind the end of the string as it is: that may fail, so it comes first.
        let over_len = old_len.saturating_sub(at).min(bytes.len());
        let (over, beyond) = bytes.split_at_checked(over_len).unwrap_or((bytes, &[]));
        if !beyond.is_empty() {
            self.extend(key, hash, found, &mut Padded(at.saturating_sub(old_len), beyond))?;
        }
        let len = old_len.max(at + bytes.len());
        if let Some(found) = self.keys.locate(key, hash).filter(|_| !over.is_empty()) {
            let found = self.make_plain(key, found)?;
            self.keys.overwrite(&found, at, over);
        }
        let start = Digits::of_unsigned(start);
        self.emit(&["SETRANGE".into(), key.into(), start.as_bytes().into(), bytes.into()]);
        self.grow_index();
        Ok(len)
    }

    /// STRLEN: the length of a string, zero for a missing one.
    pub fn strlen(&mut self, key: &[u8]) -> Result<usize> {
        let found = self.read_string(key)?;
        Ok(self.value_of(found).map_or(0, |value| value.len()))
    }
}

/// What the rows of GETRANGE and of its older name share.
const GETRANGE_ROW: Spec = Spec {
    name: "getrange",
    arity: Arity::Exactly(4),
    keys: Keys::FIRST,
    flags: READ | EDGE,
    group: Group::String,
    since: docs("2.4.0"),
    syntax: docs("key start end"),
    summary: docs("Returns a part of a string."),
    run: getrange,
};

pub(crate) const COMMANDS: &[Spec] = &[
    #[cfg(feature = "range")]
    Spec {
        name: "append",
        arity: Arity::Exactly(3),
        keys: Keys::FIRST,
        flags: WRITE | DENYOOM | FAST | EDGE,
        group: Group::String,
        since: docs("2.0.0"),
        syntax: docs("key value"),
        summary: docs("Appends to a string. Creates the key if it is not there."),
        run: append,
    },
    #[cfg(feature = "range")]
    GETRANGE_ROW,
    #[cfg(feature = "range")]
    Spec {
        name: "setrange",
        arity: Arity::Exactly(4),
        keys: Keys::FIRST,
        flags: WRITE | DENYOOM | EDGE,
        group: Group::String,
        since: docs("2.2.0"),
        syntax: docs("key offset value"),
        summary: docs("Writes over a part of a string. Creates the key if it is not there."),
        run: setrange,
    },
    Spec {
        name: "strlen",
        arity: Arity::Exactly(2),
        keys: Keys::FIRST,
        flags: READ | FAST | EDGE,
        group: Group::String,
        since: docs("2.2.0"),
        syntax: docs("key"),
        summary: docs("Returns the length of a string in bytes."),
        run: strlen,
    },
    #[cfg(feature = "range")]
    Spec {
        name: "substr",
        since: docs("1.0.0"),
        summary: docs("Returns a part of a string: GETRANGE by its first name."),
        ..GETRANGE_ROW
    },
];

fn append(cx: &mut Cx<'_>, args: &mut Args<'_>, reply: &mut dyn Reply) -> Result<()> {
    let len = cx.append(args.required(), args.required())?;
    reply.integer(len as i64);
    Ok(())
}

fn getrange(cx: &mut Cx<'_>, args: &mut Args<'_>, reply: &mut dyn Reply) -> Result<()> {
    let key = args.required();
    let first = integer(args.required())?;
    let last = integer(args.required())?;
    reply.bulk(cx.get_range(key, first, last)?);
    Ok(())
}

fn setrange(cx: &mut Cx<'_>, args: &mut Args<'_>, reply: &mut dyn Reply) -> Result<()> {
    let key = args.required();
    let start = integer(args.required())?;
    let start = u64::try_from(start).map_err(|_| Error::OffsetOutOfRange)?;
    reply.integer(cx.set_range(key, start, args.required())? as i64);
    Ok(())
}

fn strlen(cx: &mut Cx<'_>, args: &mut Args<'_>, reply: &mut dyn Reply) -> Result<()> {
    reply.integer(cx.strlen(args.required())? as i64);
    Ok(())
}
