//! DUMP and RESTORE: values that leave a keyspace and come back, to it or to Redis.
//!
//! A payload is the value (rdb.rs), then two bytes of version and eight of checksum. What DUMP
//! writes Redis reads since version 7.0; hashes with fields that expire since 7.4.

use alloc::vec::Vec;

use crate::command::{Args, Arity, DENYOOM, Group, Keys, READ, Spec, WRITE, docs, word};
use crate::error::{Error, Result};
use crate::keyspace::{Cx, Found, Millis};
use crate::num::{Digits, parse_integer};
use crate::packed::{Entry, Item};
use crate::rdb::{self, Part, put_length};
use crate::record::{Kind, NEVER};
use crate::reply::Reply;
use crate::table::Target;
use crate::value::{TextBuffer, Value};

/// The newest version that is read, and those that are written.
const VERSION_MAX: u16 = 12;
const VERSION: u16 = 10;
const VERSION_WITH_DEADLINES: u16 = 12;

const VERSION_BYTES: usize = 2;
const CHECKSUM_BYTES: usize = 8;
/// Bytes that an element may take beside its strings: lengths and a deadline, or a score.
const ELEMENT_BYTES: usize = 5 + 5 + 9;

/// How RESTORE treats what is there, and when the value expires.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RestoreOptions {
    /// REPLACE: the key may have a value.
    pub replaces: bool,
    /// When the key expires; a time that has passed leaves no key.
    pub deadline: Option<Millis>,
}

impl Cx<'_> {
    /// DUMP: the value of a key as a payload.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`] if there is no room for it beside what is stored.
    pub fn dump(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let Some(mut found) = self.lookup(key, self.keys.hash(key)) else { return Ok(None) };
        let mut bytes = VERSION_BYTES + CHECKSUM_BYTES + ELEMENT_BYTES;
        self.keys.expand(&found);
        match found.head.kind() {
            #[cfg(feature = "stream")]
            Kind::Stream => self.write_stream(&found, &mut |part| bytes += part.len()),
            _ => self.each_part(&found, &mut |part| bytes += ELEMENT_BYTES + part.len()),
        }
        self.pinning(&mut found, |cx| cx.lend_bytes(bytes))?;
        let mut out = Vec::new();
        out.try_reserve_exact(bytes).map_err(|_| Error::OutOfMemory)?;
        // Again: others may have been compressed to make room.
        self.keys.expand(&found);
        let version = self.write_value(&found, &mut out);
        out.extend_from_slice(&version.to_le_bytes());
        let checksum = checksum(&out);
        out.extend_from_slice(&checksum.to_le_bytes());
        Ok(Some(out))
    }

    /// Shows every string of a value.
    fn each_part(&self, found: &Found, show: &mut dyn FnMut(Value<'_>)) {
        match found.head.kind() {
            Kind::String => show(self.keys.value(found)),
            Kind::List => self.each_element(found, show),
            _ => self.each_entry(found, &mut |entry| {
                show(self.keys.text(entry.name));
                show(self.keys.text(entry.value));
            }),
        }
    }

    /// Writes the form's number, then the value. The version that knows the form.
    fn write_value(&self, found: &Found, out: &mut Vec<u8>) -> u16 {
        let put = |out: &mut Vec<u8>, text: Value<'_>| {
            put_length(out, text.len());
            text.parts().for_each(|part| out.extend_from_slice(part));
        };
        match found.head.kind() {
            Kind::String => {
                out.push(rdb::STRING);
                put(out, self.keys.value(found));
            }
            Kind::List => {
                out.push(rdb::LIST);
                put_length(out, self.keys.list_len(found));
                self.each_element(found, &mut |text| put(out, text));
            }
            Kind::Set => {
                out.push(rdb::SET);
                put_length(out, self.count_entries(found));
                self.each_entry(found, &mut |entry| put(out, self.keys.text(entry.name)));
            }
            Kind::SortedSet => {
                out.push(rdb::SORTED_SET);
                put_length(out, self.count_entries(found));
                self.each_entry(found, &mut |entry| {
                    put(out, self.keys.text(entry.name));
                    if let Item::Here(score) = entry.value {
                        out.extend_from_slice(score);
                    }
                });
            }
            #[cfg(feature = "stream")]
            Kind::Stream => {
                out.push(rdb::STREAM);
                self.write_stream(found, &mut |part| out.extend_from_slice(part));
            }
            Kind::Hash => return self.write_hash(found, out, &put),
        }
        VERSION
    }

    fn write_hash(
        &self,
        found: &Found,
        out: &mut Vec<u8>,
        put: &dyn Fn(&mut Vec<u8>, Value<'_>),
    ) -> u16 {
        let (mut count, mut earliest) = (0, Millis::MAX);
        self.each_entry(found, &mut |entry| {
            count += 1;
            if entry.deadline != NEVER {
                earliest = earliest.min(entry.deadline);
            }
        });
        let expires = earliest != Millis::MAX;
        out.push(if expires { rdb::HASH_WITH_DEADLINES } else { rdb::HASH });
        if expires {
            out.extend_from_slice(&earliest.to_le_bytes());
        }
        put_length(out, count);
        self.each_entry(found, &mut |entry: &Entry<'_>| {
            if expires {
                let is_set = entry.deadline != NEVER;
                put_length(out, if is_set { (entry.deadline - earliest + 1) as usize } else { 0 });
            }
            put(out, self.keys.text(entry.name));
            put(out, self.keys.text(entry.value));
        });
        if expires { VERSION_WITH_DEADLINES } else { VERSION }
    }

    /// RESTORE: gives a key the value of a payload.
    ///
    /// # Errors
    /// [`Error::BusyKey`]; [`Error::BadChecksum`] and [`Error::BadPayload`] for a payload that no
    /// DUMP wrote; [`Error::OutOfMemory`]. The key keeps what it has then.
    pub fn restore(&mut self, key: &[u8], payload: &[u8], options: &RestoreOptions) -> Result<()> {
        if !options.replaces && self.exists(key) {
            return Err(Error::BusyKey);
        }
        let value = checked_value(payload)?;
        let kind = rdb::kind_of(value)?;
        let deadline = options.deadline.unwrap_or(NEVER);
        let floating = if kind == Kind::String { None } else { Some(self.float(kind)?) };
        let mut target = floating;
        let mut text = TextBuffer::new();
        let read = match &mut target {
            #[cfg(feature = "stream")]
            Some(target) if kind == Kind::Stream => self.read_stream_payload(target, value),
            target => rdb::read(self, value, &mut |cx, part| match (&mut *target, part) {
                (Some(Target { found: Some(found), .. }), Part::Loan(bytes)) => {
                    cx.pinning(found, |cx| cx.lend_bytes(bytes))
                }
                (_, Part::Loan(bytes)) => cx.lend_bytes(bytes).map(|_| ()),
                (None, Part::Text(string)) => text.copy(string.into()).map(|_| ()),
                (Some(target), part) => cx.add_part(target, part),
                _ => Err(Error::BadPayload),
            }),
        };
        if let (Err(error), Some(target)) = (read, &target) {
            self.sink(target);
            return Err(error);
        }
        read?;
        if options.deadline.is_some_and(|deadline| deadline <= self.now) {
            if let Some(target) = &target {
                self.sink(target);
            }
            self.del(key);
            return Ok(());
        }
        match target {
            Some(target) => self.install(key, target, deadline)?,
            None => self.put_string(key, text.last(), deadline)?,
        }
        let at = Digits::new(deadline);
        let at = at.as_bytes().into();
        let (abs, replace) = ("ABSTTL".into(), "REPLACE".into());
        self.emit(&["RESTORE".into(), key.into(), at, payload.into(), abs, replace]);
        self.grow_index();
        Ok(())
    }

    /// Adds an element to a collection that is restored; one that is there already is an error.
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
        if is_new { Ok(()) } else { Err(Error::BadPayload) }
    }
}

/// The value in a payload whose frame is sound.
fn checked_value(payload: &[u8]) -> Result<&[u8]> {
    let (framed, sum) = payload.split_last_chunk::<CHECKSUM_BYTES>().ok_or(Error::BadChecksum)?;
    let (value, version) = framed.split_last_chunk::<VERSION_BYTES>().ok_or(Error::BadChecksum)?;
    let told = u64::from_le_bytes(*sum);
    // Zero says that there is none.
    let is_sound = told == 0 || told == checksum(framed);
    if !is_sound || u16::from_le_bytes(*version) > VERSION_MAX {
        return Err(Error::BadChecksum);
    }
    Ok(value)
}

/// CRC-64 as Redis has it (Jones's polynomial, reflected).
#[allow(clippy::indexing_slicing, reason = "evaluated by the compiler, which checks it")]
fn checksum(bytes: &[u8]) -> u64 {
    const POLYNOMIAL: u64 = 0xad93_d235_94c9_35a9_u64.reverse_bits();
    const TABLE: [u64; 256] = {
        let mut table = [0; 256];
        let mut byte = 0;
        while byte < 256 {
            let (mut sum, mut bit) = (byte as u64, 0);
            while bit < 8 {
                sum = sum >> 1 ^ if sum & 1 == 1 { POLYNOMIAL } else { 0 };
                bit += 1;
            }
            table[byte] = sum;
            byte += 1;
        }
        table
    };
    bytes.iter().fold(0, |sum: u64, &byte| {
        let entry = TABLE.get(usize::from(sum as u8 ^ byte)).copied().unwrap_or_default();
        sum >> 8 ^ entry
    })
}

pub(crate) const COMMANDS: &[Spec] = &[
    Spec {
        name: "dump",
        arity: Arity::Exactly(2),
        keys: Keys::FIRST,
        flags: READ,
        group: Group::Generic,
        since: docs("2.6.0"),
        syntax: docs("key"),
        summary: docs("Returns the value of a key as a payload for RESTORE."),
        run: |cx, args, reply| {
            match cx.dump(args.required())? {
                Some(payload) => reply.bulk(payload[..].into()),
                None => reply.null(),
            }
            Ok(())
        },
    },
    Spec {
        name: "restore",
        arity: Arity::AtLeast(4),
        keys: Keys::FIRST,
        flags: WRITE | DENYOOM,
        group: Group::Generic,
        since: docs("2.6.0"),
        syntax: docs(
            "key ttl serialized-value [REPLACE] [ABSTTL] [IDLETIME seconds] [FREQ frequency]",
        ),
        summary: docs("Gives a key the value of a payload that DUMP returned."),
        run: restore,
    },
];

fn restore(cx: &mut Cx<'_>, args: &mut Args<'_>, reply: &mut dyn Reply) -> Result<()> {
    let (key, ttl, payload) = (args.required(), args.required(), args.required());
    let mut options = RestoreOptions::default();
    let (mut is_absolute, mut has_use) = (false, None);
    while let Some(option) = args.next() {
        match word(option, &["replace", "absttl", "idletime", "freq"]) {
            0 => options.replaces = true,
            1 => is_absolute = true,
            // How it was used is read, as Redis does, and then it counts as used now.
            2 if has_use != Some(3) => {
                if parse_integer(args.value()?).ok_or(Error::NotAnInteger)? < 0 {
                    return Err(Error::NegativeIdleTime);
                }
                has_use = Some(2);
            }
            3 if has_use != Some(2) => {
                let frequency = parse_integer(args.value()?).ok_or(Error::NotAnInteger)?;
                if !(0..=255).contains(&frequency) {
                    return Err(Error::InvalidFrequency);
                }
                has_use = Some(3);
            }
            _ => return Err(Error::Syntax),
        }
    }
    if !options.replaces && cx.exists(key) {
        return Err(Error::BusyKey);
    }
    let ttl = parse_integer(ttl).ok_or(Error::NotAnInteger)?;
    if ttl < 0 {
        return Err(Error::NegativeTtl);
    }
    if ttl > 0 {
        let at = if is_absolute { Some(ttl) } else { cx.now.checked_add(ttl) };
        options.deadline = Some(at.ok_or(Error::InvalidExpire)?);
    }
    cx.restore(key, payload, &options)?;
    reply.simple("OK");
    Ok(())
}
