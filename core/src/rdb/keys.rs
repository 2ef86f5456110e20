//! Keys on their way from an RDB file into a keyspace, and back.
//!
//! Not here: what stands between keys in such a file, and where its bytes are: the host's affair.

use alloc::vec::Vec;

use super::{BAD, Part, Reader, kind_of, read};
use crate::error::{Error, Result};
use crate::keyspace::{Cx, Found, Millis};
use crate::record::{Kind, NEVER};
use crate::table::Target;

/// What became of a key that was read from a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Loaded {
    /// It is there.
    Stored,
    /// Its deadline has passed: it is not.
    Expired,
    /// Its value has no elements, which old versions of Redis have written: it is not.
    Empty,
}

/// Where keys are written that go to a file.
pub trait Output {
    /// A key whose value, of this form, is shown next. False if it is not to be.
    fn key(&mut self, form: u8, key: &[u8], deadline: Option<Millis>) -> bool;

    /// More bytes of the value.
    fn bytes(&mut self, part: &[u8]);
}

impl Cx<'_> {
    /// Gives a key that is not there the value of this form that comes next in a file. No effect
    /// tells of it.
    ///
    /// # Errors
    /// [`Error::BusyKey`]; [`Error::BadPayload`] for what no Redis wrote; [`Error::KeyTooLong`];
    /// [`Error::OutOfMemory`]. The key is not there then.
    pub fn load(
        &mut self,
        key: &[u8],
        form: u8,
        reader: &mut Reader<'_>,
        deadline: Option<Millis>,
    ) -> Result<Loaded> {
        self.keys.lent_bytes = 0;
        if self.keys.locate(key, self.keys.hash(key)).is_some() {
            return Err(Error::BusyKey);
        }
        let loaded = self.take_value(key, form, reader, deadline)?;
        if loaded == Loaded::Stored {
            self.grow_index();
        }
        Ok(loaded)
    }

    /// Gives a key the value of this form that is read next. If the reader has but that value, all
    /// of it must be read.
    pub(crate) fn take_value(
        &mut self,
        key: &[u8],
        form: u8,
        reader: &mut Reader<'_>,
        deadline: Option<Millis>,
    ) -> Result<Loaded> {
        let kind = kind_of(form)?;
        let is_past = deadline.is_some_and(|deadline| deadline <= self.now);
        let deadline = deadline.unwrap_or(NEVER);
        if kind == Kind::String {
            let text = reader.text(&mut |bytes| self.lend_bytes(bytes).map(|_| ()))?;
            reader.check_whole()?;
            if is_past {
                return Ok(Loaded::Expired);
            }
            self.put_string(key, text.as_slice(reader), deadline)?;
            return Ok(Loaded::Stored);
        }
        let mut target = self.float(kind)?;
        let parts = self.take_parts(&mut target, form, reader);
        match parts.and_then(|parts| reader.check_whole().map(|()| parts)) {
            Ok(1..) if !is_past => {
                self.install(key, target, deadline)?;
                Ok(Loaded::Stored)
            }
            outcome => {
                self.sink(&target);
                outcome.map(|parts| if parts == 0 { Loaded::Empty } else { Loaded::Expired })
            }
        }
    }

    /// Fills a collection. How many elements it has; a stream may have none, and counts as one.
    fn take_parts(
        &mut self,
        target: &mut Target<'_>,
        form: u8,
        reader: &mut Reader<'_>,
    ) -> Result<usize> {
        #[cfg(feature = "stream")]
        if target.kind == Kind::Stream {
            return self.read_stream_payload(target, form, reader).map(|()| 1);
        }
        read(self, form, reader, &mut |cx, part| match (&mut target.found, part) {
            (Some(found), Part::Loan(bytes)) => cx.pinning(found, |cx| cx.lend_bytes(bytes)),
            (_, part) => cx.add_part(target, part),
        })
    }

    /// Adds an element to a collection; one that is there already is an error.
    fn add_part(&mut self, target: &mut Target<'_>, part: Part<'_>) -> Result<()> {
        let is_new = match (target.kind, part) {
            (Kind::Set, Part::Text(member)) => self.put_entry(target, member, &[], NEVER)?,
            (Kind::List, Part::Text(element)) => {
                self.add_element(target, element)?;
                true
            }
            (Kind::Hash, Part::Field(field, value, deadline)) => {
                self.put_entry(target, field, value, deadline)?
            }
            (Kind::SortedSet, Part::Scored(member, score)) => {
                self.add_scored(target, member, score)?
            }
            _ => false,
        };
        if is_new { Ok(()) } else { Err(BAD) }
    }

    /// Writes some keys to a file, and says with which cursor it goes on; it begins with 0, and 0
    /// ends it. What is there throughout is written once if nothing changes in between.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`] if there is none for a list of some keys.
    pub fn save_some(&mut self, cursor: u64, output: &mut dyn Output) -> Result<u64> {
        let (bucket, next) = self.keys.index.buckets().scan_step(cursor);
        let mut places = Vec::new();
        let mut is_whole = true;
        self.keys.index.visit(bucket, &mut |place, _| {
            is_whole &= places.try_reserve(1).is_ok();
            if is_whole {
                places.push(place);
            }
        });
        if !is_whole {
            return Err(Error::OutOfMemory);
        }
        for place in places {
            let found = self.keys.found(place).filter(|found| !self.is_past(found.head.deadline));
            if let Some(found) = found {
                self.save_key(&found, output);
            }
        }
        Ok(next)
    }

    fn save_key(&mut self, found: &Found, output: &mut dyn Output) {
        self.keys.expand(found);
        let form = self.form(found);
        // Of a hash that is there every field may have expired.
        if found.head.has_expiring_fields() && self.count_entries(found) == 0 {
            return;
        }
        let deadline = Some(found.head.deadline).filter(|&deadline| deadline != NEVER);
        let key = found.head.key(self.keys.arena.cell(found.addr));
        if output.key(form, key, deadline) {
            self.write_body(found, form, &mut |part| output.bytes(part));
        }
    }
}
