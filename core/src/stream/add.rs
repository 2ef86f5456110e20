//! XADD, XTRIM, XDEL and XSETID: how a stream changes.

use alloc::vec::Vec;

use super::entries::{Keep, Stream, Trim};
use super::id::{Id, NewId};
use crate::command::{Args, word};
use crate::error::{Error, Result};
use crate::keyspace::Cx;
use crate::num::{Digits, integer};
use crate::record::Kind;
use crate::reply::Reply;
use crate::value::Value;

/// Full nodes whose entries one rough trim takes out at most, unless it says otherwise.
const ROUGH_TRIM_NODES: usize = 100;

impl Cx<'_> {
    /// XADD: adds an entry of fields and values, in turns. Its id, or `None` if there is no stream
    /// and none is to be made.
    ///
    /// # Errors
    /// [`Error::StreamIdTooLow`] for an id that is not above all others; where none can be,
    /// [`Error::StreamExhausted`].
    pub fn xadd(
        &mut self,
        key: &[u8],
        id: NewId,
        texts: &[&[u8]],
        makes_stream: bool,
    ) -> Result<Option<Id>> {
        let added = self.add_entry(key, id, texts, makes_stream)?.map(|(_, id)| id);
        self.grow_index();
        Ok(added)
    }

    fn add_entry(
        &mut self,
        key: &[u8],
        id: NewId,
        texts: &[&[u8]],
        makes_stream: bool,
    ) -> Result<Option<(Stream, Id)>> {
        if id == NewId::Exactly(Id::MIN) {
            return Err(Error::StreamIdZero);
        }
        let stream = self.change_stream(key)?;
        if stream.is_none() && !makes_stream {
            return Ok(None);
        }
        let last = stream.map_or(Id::MIN, |stream| stream.meta.last);
        let id = new_id(id, last, self.now)?;
        let (mut stream, is_new) = match stream {
            Some(stream) => (stream, false),
            None => {
                let mut target = self.target(key, Kind::Stream)?;
                (self.make_stream(&mut target)?, true)
            }
        };
        let done = self.append_entry(&mut stream, id, texts, false);
        if done.is_err() && is_new {
            self.keys.drop_found(&stream.found);
            self.keys.settle();
        }
        done?;
        if self.is_heard() {
            let id = id.text();
            let mut effect: Vec<Value<'_>> = Vec::with_capacity(3 + texts.len());
            effect.extend([Value::from("XADD"), key.into(), id.as_bytes().into()]);
            effect.extend(texts.iter().map(|&text| Value::from(text)));
            self.emit(&effect);
        }
        Ok(Some((stream, id)))
    }

    /// Trims a stream, and tells how many entries are left if any went. How many did.
    fn trim_entries(&mut self, key: &[u8], stream: &mut Stream, trim: &Trim) -> usize {
        let removed = self.keys.trim_stream(stream, trim);
        if removed > 0 {
            let (len, _) = self.keys.stream_len(stream);
            let len = Digits::told(len as i64);
            let len = len.as_bytes().into();
            self.emit(&["XTRIM".into(), key.into(), "MAXLEN".into(), "=".into(), len]);
        }
        removed
    }

    /// XDEL: deletes entries. How many were there.
    pub fn xdel(&mut self, key: &[u8], ids: impl Iterator<Item = Id>) -> Result<usize> {
        let Some(mut stream) = self.change_stream(key)? else { return Ok(0) };
        let mut removed = 0;
        for id in ids {
            if !self.keys.remove_stream_entry(&mut stream, id) {
                continue;
            }
            removed += 1;
            if id > stream.meta.max_deleted {
                stream.meta.max_deleted = id;
                self.keys.save(&stream);
            }
            self.emit(&["XDEL".into(), key.into(), id.text().as_bytes().into()]);
        }
        Ok(removed)
    }

    /// XLEN: how many entries a stream has.
    pub fn xlen(&mut self, key: &[u8]) -> Result<usize> {
        let stream = self.read_stream(key)?;
        Ok(stream.map_or(0, |stream| self.keys.stream_len(&stream).0))
    }
}

/// The id that an entry is to get.
fn new_id(wanted: NewId, last: Id, now: i64) -> Result<Id> {
    if last == Id::MAX {
        return Err(Error::StreamExhausted);
    }
    let id = match wanted {
        NewId::Exactly(id) => id,
        NewId::NextOf(ms) if ms == last.ms => {
            Id { ms, seq: last.seq.checked_add(1).ok_or(Error::StreamIdTooLow)? }
        }
        NewId::NextOf(ms) => Id { ms, seq: 0 },
        NewId::Next => {
            let ms = now.max(0) as u64;
            if ms > last.ms { Id { ms, seq: 0 } } else { last.next().unwrap_or_default() }
        }
    };
    if id > last { Ok(id) } else { Err(Error::StreamIdTooLow) }
}

/// What XADD and XTRIM are told before the id.
struct Options {
    trim: Option<Trim>,
    makes_stream: bool,
    id: NewId,
}

impl Options {
    fn parse(args: &mut Args<'_>, is_xadd: bool, node_entries: usize) -> Result<Options> {
        let mut options = Options { trim: None, makes_stream: true, id: NewId::Next };
        let mut limit = None;
        while let Some(option) = args.next() {
            let has_more = args.len() > 0;
            match word(option, &["maxlen", "minid", "limit", "nomkstream"]) {
                _ if is_xadd && option == b"*" => break,
                name @ (0 | 1) if has_more => {
                    if options.trim.is_some() {
                        return Err(Error::TrimConflict);
                    }
                    options.trim = Some(parse_trim(args, name == 0)?);
                }
                2 if has_more => {
                    let wanted = integer(args.value()?)?;
                    limit = Some(usize::try_from(wanted).map_err(|_| Error::TrimLimitNegative)?);
                }
                3 if is_xadd => options.makes_stream = false,
                _ if is_xadd => {
                    options.id = NewId::parse(option)?;
                    break;
                }
                _ => return Err(Error::Syntax),
            }
        }
        if limit.is_some_and(|limit| limit > 0) && options.trim.is_none() {
            return Err(Error::TrimLimitAlone);
        }
        if !is_xadd && options.trim.is_none() {
            return Err(Error::TrimMissing);
        }
        let is_rough = options.trim.is_some_and(|trim| trim.is_rough);
        if limit.is_some() && !is_rough {
            return Err(Error::TrimLimitExact);
        }
        if let Some(trim) = &mut options.trim
            && is_rough
        {
            let limit = limit.unwrap_or(ROUGH_TRIM_NODES * node_entries);
            trim.limit = Some(limit).filter(|&limit| limit > 0);
        }
        Ok(options)
    }
}

fn parse_trim(args: &mut Args<'_>, is_len: bool) -> Result<Trim> {
    let mut is_rough = false;
    let mut value = args.value()?;
    if (value == b"~" || value == b"=") && args.len() > 0 {
        is_rough = value == b"~";
        value = args.value()?;
    }
    let keep = if is_len {
        let len = integer(value)?;
        Keep::Len(usize::try_from(len).map_err(|_| Error::TrimLenNegative)?)
    } else {
        Keep::From(Id::parse(value)?)
    };
    Ok(Trim { keep, is_rough, limit: None })
}

pub(super) fn xadd(cx: &mut Cx<'_>, args: &mut Args<'_>, reply: &mut dyn Reply) -> Result<()> {
    let key = args.required();
    let node_entries = cx.keys.forms.node_entries();
    let Options { trim, makes_stream, id } = Options::parse(args, true, node_entries)?;
    let texts = args.as_slice();
    if texts.len() < 2 || !texts.len().is_multiple_of(2) {
        return Err(Error::WrongArity);
    }
    let Some((mut stream, id)) = cx.add_entry(key, id, texts, makes_stream)? else {
        reply.null();
        return Ok(());
    };
    if let Some(trim) = trim {
        cx.trim_entries(key, &mut stream, &trim);
    }
    cx.grow_index();
    reply.bulk(id.text().as_bytes().into());
    Ok(())
}

pub(super) fn xtrim(cx: &mut Cx<'_>, args: &mut Args<'_>, reply: &mut dyn Reply) -> Result<()> {
    let key = args.required();
    let options = Options::parse(args, false, cx.keys.forms.node_entries())?;
    let stream = cx.change_stream(key)?;
    let removed = match stream.zip(options.trim) {
        Some((mut stream, trim)) => cx.trim_entries(key, &mut stream, &trim),
        None => 0,
    };
    reply.integer(removed as i64);
    Ok(())
}

pub(super) fn xdel(cx: &mut Cx<'_>, args: &mut Args<'_>, reply: &mut dyn Reply) -> Result<()> {
    let key = args.required();
    // All of them are read before the first is deleted. (A wrong type comes first, and a stream
    // that is not there needs no ids.)
    if cx.change_stream(key)?.is_none() {
        reply.integer(0);
        return Ok(());
    }
    for text in args.clone() {
        Id::parse(text)?;
    }
    let removed = cx.xdel(key, args.filter_map(|text| Id::parse(text).ok()))?;
    reply.integer(removed as i64);
    Ok(())
}

pub(super) fn xsetid(cx: &mut Cx<'_>, args: &mut Args<'_>, reply: &mut dyn Reply) -> Result<()> {
    let key = args.required();
    let last = Id::parse(args.required())?;
    let (mut added, mut max_deleted) = (None, Id::MIN);
    while let Some(option) = args.next() {
        match word(option, &["entriesadded", "maxdeletedid"]) {
            0 if args.len() > 0 => {
                let count = integer(args.value()?)?;
                added = Some(u64::try_from(count).map_err(|_| Error::AddedNegative)?);
            }
            1 if args.len() > 0 => {
                max_deleted = Id::parse(args.value()?)?;
                if last < max_deleted {
                    return Err(Error::LastBelowDeleted);
                }
            }
            _ => return Err(Error::Syntax),
        }
    }
    let mut stream = cx.change_stream(key)?.ok_or(Error::NoSuchKey)?;
    if let Some((_, top)) = cx.keys.ends(&stream) {
        if last < top {
            return Err(Error::LastBelowTop);
        }
        let (len, _) = cx.keys.stream_len(&stream);
        if added.is_some_and(|added| added < len as u64) {
            return Err(Error::AddedBelowLen);
        }
    }
    stream.meta.last = last;
    stream.meta.added = added.unwrap_or(stream.meta.added);
    if max_deleted != Id::MIN {
        stream.meta.max_deleted = max_deleted;
    }
    cx.keys.save(&stream);
    if cx.is_heard() {
        let (last, deleted) = (last.text(), stream.meta.max_deleted.text());
        let added = Digits::of_unsigned(stream.meta.added);
        let mut effect = [
            "XSETID".into(),
            key.into(),
            last.as_bytes().into(),
            "ENTRIESADDED".into(),
            added.as_bytes().into(),
            "MAXDELETEDID".into(),
            deleted.as_bytes().into(),
        ];
        // What is not new need not be told, and may be above the last id by now.
        let told = effect.len() - if max_deleted == Id::MIN { 2 } else { 0 };
        cx.emit(effect.get_mut(..told).unwrap_or_default());
    }
    reply.simple("OK");
    Ok(())
}
