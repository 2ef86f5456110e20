//! Values in the format of Redis's RDB files, as DUMP and RESTORE carry them, and as they stand in
//! those files.
//!
//! Read are all forms that Redis has written for the five types, up to version 12; written is the
//! plain one of each, which every Redis reads. Nothing of a payload is believed: lengths, counts
//! and orders are checked, and an element that stands there twice is an error.
//!
//! Source of the format: `rdb.c`, `listpack.c`, `ziplist.c` and `lzf_d.c` of Redis 7.
//!
//! Not here: the commands, and the frame of version and checksum (dump.rs); where bytes come from
//! (reader.rs); what of a file is no value.

mod keys;
mod packing;
mod reader;

use alloc::vec::Vec;

pub use keys::{Loaded, Output};
use packing::{Packing, each_integer};
pub(crate) use packing::{back_length_bytes, each_of_listpack};
pub(crate) use reader::Text;
pub use reader::{Input, Reader};

use crate::error::{Error, Result};
use crate::keyspace::{Cx, Millis};
use crate::record::{Kind, NEVER};

/// The numbers of the forms that are written.
pub(crate) const STRING: u8 = 0;
pub(crate) const LIST: u8 = 1;
pub(crate) const SET: u8 = 2;
pub(crate) const HASH: u8 = 4;
pub(crate) const SORTED_SET: u8 = 5;
pub(crate) const HASH_WITH_DEADLINES: u8 = 24;
#[cfg(feature = "stream")]
pub(crate) const STREAM: u8 = 19;

/// How the elements of a value stand in a payload.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// One string.
    Text,
    /// A count, then as many elements: strings, with scores as text or as bytes, or deadlines.
    Plain,
    ScoreTexts,
    ScoreBytes,
    Deadlines,
    /// One string that holds all elements.
    Packed(Packing),
    /// The same, with a deadline behind each field and its value.
    PackedDeadlines,
    /// A count, then as many such strings; with a mark before each that says if it is one.
    Chunks(Packing),
    MarkedChunks,
    Integers,
    /// Nodes, then groups: read where streams are.
    #[cfg(feature = "stream")]
    Stream,
}

fn form_of(number: u8) -> Option<(Kind, Form)> {
    use Packing::{Listpack, Ziplist, Zipmap};
    Some(match number {
        STRING => (Kind::String, Form::Text),
        LIST => (Kind::List, Form::Plain),
        SET => (Kind::Set, Form::Plain),
        3 => (Kind::SortedSet, Form::ScoreTexts),
        HASH => (Kind::Hash, Form::Plain),
        SORTED_SET => (Kind::SortedSet, Form::ScoreBytes),
        9 => (Kind::Hash, Form::Packed(Zipmap)),
        10 => (Kind::List, Form::Packed(Ziplist)),
        11 => (Kind::Set, Form::Integers),
        12 => (Kind::SortedSet, Form::Packed(Ziplist)),
        13 => (Kind::Hash, Form::Packed(Ziplist)),
        14 => (Kind::List, Form::Chunks(Ziplist)),
        16 => (Kind::Hash, Form::Packed(Listpack)),
        17 => (Kind::SortedSet, Form::Packed(Listpack)),
        18 => (Kind::List, Form::MarkedChunks),
        20 => (Kind::Set, Form::Packed(Listpack)),
        #[cfg(feature = "stream")]
        15 | STREAM | 21 => (Kind::Stream, Form::Stream),
        HASH_WITH_DEADLINES => (Kind::Hash, Form::Deadlines),
        25 => (Kind::Hash, Form::PackedDeadlines),
        _ => return None,
    })
}

/// What is told of a value: one part after the other. A part is a string, an element, a member
/// with its score as text or as bytes, a field with its value and its deadline.
pub(crate) enum Part<'a> {
    Text(&'a [u8]),
    Scored(&'a [u8], Score<'a>),
    Field(&'a [u8], &'a [u8], Millis),
    /// So many bytes are needed to unpack what comes next. Lending them may move records: whoever
    /// holds one pins it.
    Loan(usize),
}

/// A score as it stands in a payload.
pub(crate) enum Score<'a> {
    Text(&'a [u8]),
    Bytes([u8; 8]),
}

type Show<'f> = &'f mut dyn FnMut(&mut Cx<'_>, Part<'_>) -> Result<()>;

/// What a payload that is not sound is answered with.
const BAD: Error = Error::BadPayload;

/// Whether values of this form are read.
pub fn knows_form(form: u8) -> bool {
    form_of(form).is_some()
}

/// The type of a value of this form.
pub(crate) fn kind_of(form: u8) -> Result<Kind> {
    form_of(form).map(|(kind, _)| kind).ok_or(BAD)
}

/// Shows the parts of a collection of this form. How many there are.
pub(crate) fn read(
    cx: &mut Cx<'_>,
    form: u8,
    reader: &mut Reader<'_>,
    show: Show<'_>,
) -> Result<usize> {
    let (kind, form) = form_of(form).ok_or(BAD)?;
    let mut parts = Parts { kind, form, first: None, second: None, count: 0, show };
    match form {
        // Whoever reads values of any type reads these apart.
        Form::Text => return Err(BAD),
        #[cfg(feature = "stream")]
        Form::Stream => return Err(BAD),
        Form::Packed(packing) => {
            let blob = reader.text(&mut |bytes| (parts.show)(cx, Part::Loan(bytes)))?;
            packing.each(blob.as_slice(reader), &mut |text| parts.take(cx, text))?;
        }
        Form::PackedDeadlines => {
            reader.take(8)?;
            let blob = reader.text(&mut |bytes| (parts.show)(cx, Part::Loan(bytes)))?;
            Packing::Listpack.each(blob.as_slice(reader), &mut |text| parts.take(cx, text))?;
        }
        Form::Integers => {
            let blob = reader.text(&mut |bytes| (parts.show)(cx, Part::Loan(bytes)))?;
            each_integer(blob.as_slice(reader), &mut |text| parts.take(cx, text))?;
        }
        Form::Chunks(_) | Form::MarkedChunks => read_chunks(cx, reader, form, &mut parts)?,
        Form::Plain | Form::ScoreTexts | Form::ScoreBytes | Form::Deadlines => {
            read_plain(cx, reader, kind, form, &mut parts)?;
        }
    }
    if parts.first.is_none() { Ok(parts.count) } else { Err(BAD) }
}

fn read_chunks(
    cx: &mut Cx<'_>,
    reader: &mut Reader<'_>,
    form: Form,
    parts: &mut Parts<'_>,
) -> Result<()> {
    let packing = if let Form::Chunks(packing) = form { packing } else { Packing::Listpack };
    for _ in 0..reader.count()? {
        reader.mark();
        let mark = if form == Form::MarkedChunks { reader.count()? } else { 2 };
        let blob = reader.text(&mut |bytes| (parts.show)(cx, Part::Loan(bytes)))?;
        match mark {
            1 => parts.take(cx, blob.as_slice(reader))?,
            // One without elements, which old versions of Redis have written, adds none.
            2 => packing.each(blob.as_slice(reader), &mut |text| parts.take(cx, text))?,
            _ => return Err(BAD),
        }
    }
    Ok(())
}

fn read_plain(
    cx: &mut Cx<'_>,
    reader: &mut Reader<'_>,
    kind: Kind,
    form: Form,
    parts: &mut Parts<'_>,
) -> Result<()> {
    let mut earliest = 0;
    if form == Form::Deadlines {
        earliest = Millis::from_le_bytes(reader.array()?);
    }
    for _ in 0..reader.count()? {
        reader.mark();
        let mut deadline = NEVER;
        if form == Form::Deadlines {
            let ahead = reader.count()?;
            if ahead > 0 {
                let ahead = Millis::try_from(ahead).map_err(|_| BAD)?;
                deadline = earliest.checked_add(ahead - 1).filter(|&at| at > 0).ok_or(BAD)?;
            }
        }
        let name = reader.text(&mut |bytes| (parts.show)(cx, Part::Loan(bytes)))?;
        parts.count += 1;
        match form {
            Form::ScoreBytes => {
                let score = Score::Bytes(reader.array()?);
                (parts.show)(cx, Part::Scored(name.as_slice(reader), score))?;
            }
            Form::ScoreTexts => {
                let score = reader.score_text()?;
                let score = Score::Text(score.as_slice(reader));
                (parts.show)(cx, Part::Scored(name.as_slice(reader), score))?;
            }
            _ if kind == Kind::Hash => {
                let held = name.unpacked_bytes();
                let mut lend = |bytes| (parts.show)(cx, Part::Loan(held + bytes));
                let value = reader.text(&mut lend)?;
                let (name, value) = (name.as_slice(reader), value.as_slice(reader));
                (parts.show)(cx, Part::Field(name, value, deadline))?;
            }
            _ => (parts.show)(cx, Part::Text(name.as_slice(reader)))?,
        }
    }
    Ok(())
}

/// Makes parts of the strings that stand one behind the other in a packed form.
struct Parts<'f> {
    kind: Kind,
    form: Form,
    /// The strings of a part that are there already.
    first: Option<Vec<u8>>,
    second: Option<Vec<u8>>,
    count: usize,
    show: Show<'f>,
}

impl Parts<'_> {
    fn take(&mut self, cx: &mut Cx<'_>, text: &[u8]) -> Result<()> {
        if matches!(self.kind, Kind::List | Kind::Set) {
            self.count += 1;
            return (self.show)(cx, Part::Text(text));
        }
        let Some(first) = self.first.take() else {
            self.first = Some(copied(text)?);
            return Ok(());
        };
        if self.form != Form::PackedDeadlines {
            self.count += 1;
            return match self.kind {
                Kind::SortedSet => (self.show)(cx, Part::Scored(&first, Score::Text(text))),
                _ => (self.show)(cx, Part::Field(&first, text, NEVER)),
            };
        }
        let Some(second) = self.second.take() else {
            (self.first, self.second) = (Some(first), Some(copied(text)?));
            return Ok(());
        };
        self.count += 1;
        let deadline = crate::num::parse_integer(text).filter(|&at| at >= 0).ok_or(BAD)?;
        (self.show)(cx, Part::Field(&first, &second, deadline))
    }
}

pub(crate) fn copied(text: &[u8]) -> Result<Vec<u8>> {
    let mut copy = Vec::new();
    copy.try_reserve_exact(text.len()).map_err(|_| Error::OutOfMemory)?;
    copy.extend_from_slice(text);
    Ok(copy)
}

/// Takes what is written.
pub type Put<'f> = &'f mut dyn FnMut(&[u8]);

/// Writes a length, or a number of 64 bits, as they stand in an RDB file.
pub fn put_number(put: Put<'_>, number: u64) {
    match u32::try_from(number) {
        Ok(short @ 0..=0x3f) => put(&[short as u8]),
        Ok(short @ 0x40..=0x3fff) => put(&[0x40 | (short >> 8) as u8, short as u8]),
        Ok(short) => {
            put(&[0x80]);
            put(&short.to_be_bytes());
        }
        Err(_) => {
            put(&[0x81]);
            put(&number.to_be_bytes());
        }
    }
}
