//! DUMP and RESTORE: values that leave a keyspace and come back, to it or to Redis.
//!
//! A payload is the value (rdb.rs), then two bytes of version and eight of checksum. What DUMP
//! writes Redis reads since version 7.0; hashes with fields that expire since 7.4.

use alloc::vec::Vec;

use crate::checksum::checksum;
use crate::command::{Args, Arity, DENYOOM, Group, Keys, READ, Spec, WRITE, docs, word};
use crate::error::{Error, Result};
use crate::keyspace::{Cx, Found, Millis};
use crate::num::{Digits, parse_integer};
use crate::packed::{Entry, Item};
use crate::rdb::{self, Loaded, Put, Reader, put_number};
use crate::record::{Kind, NEVER};
use crate::reply::Reply;
use crate::value::Value;

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
    /// IDLETIME: for how long it was not used. It counts where uses are dated, and is then held as
    /// exactly as the clock of ages allows.
    pub idle_ms: Option<Millis>,
    /// FREQ: the logarithmic count of its uses. It counts where uses are counted.
    pub frequency: Option<u8>,
}

impl Cx<'_> {
    /// DUMP: the value of a key as a payload.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`] if there is no room for it beside what is stored.
    pub fn dump(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let Some(mut found) = self.lookup(key, self.keys.hash(key)) else { return Ok(None) };
        self.keys.expand(&found);
        let bytes = self.payload_bytes(&found);
        self.pinning(&mut found, |cx| cx.lend_bytes(bytes))?;
        let mut out = Vec::new();
        out.try_reserve_exact(bytes).map_err(|_| Error::OutOfMemory)?;
        // Again: others may have been compressed to make room.
        self.keys.expand(&found);
        let form = self.form(&found);
        out.push(form);
        self.write_body(&found, form, &mut |part| out.extend_from_slice(part));
        out.extend_from_slice(&rdb_version_of(form).to_le_bytes());
        let checksum = checksum(&out);
        out.extend_from_slice(&checksum.to_le_bytes());
        Ok(Some(out))
    }

    /// How many bytes the payload of a value takes at most.
    pub(crate) fn payload_bytes(&self, found: &Found) -> usize {
        let mut bytes = VERSION_BYTES + CHECKSUM_BYTES + ELEMENT_BYTES;
        match found.head.kind() {
            #[cfg(feature = "stream")]
            Kind::Stream => self.write_stream(found, &mut |part| bytes += part.len()),
            _ => self.each_part(found, &mut |part| bytes += ELEMENT_BYTES + part.len()),
        }
        bytes
    }

    /// Writes a payload that tells no checksum, for one who keeps it where nothing gets lost.
    pub(crate) fn write_payload(&self, found: &Found, out: &mut Vec<u8>) {
        let form = self.form(found);
        out.push(form);
        self.write_body(found, form, &mut |part| out.extend_from_slice(part));
        out.extend_from_slice(&rdb_version_of(form).to_le_bytes());
        out.extend_from_slice(&[0; CHECKSUM_BYTES]);
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

    /// The number of the form in which a value is written.
    pub(crate) fn form(&self, found: &Found) -> u8 {
        match found.head.kind() {
            Kind::String => rdb::STRING,
            Kind::List => rdb::LIST,
            Kind::Set => rdb::SET,
            Kind::SortedSet => rdb::SORTED_SET,
            #[cfg(feature = "stream")]
            Kind::Stream => rdb::STREAM,
            Kind::Hash if self.earliest_deadline(found).is_some() => rdb::HASH_WITH_DEADLINES,
            Kind::Hash => rdb::HASH,
        }
    }

    /// When the first field of a hash expires, if one does.
    fn earliest_deadline(&self, found: &Found) -> Option<Millis> {
        if !found.head.has_expiring_fields() {
            return None;
        }
        let mut earliest = None;
        self.each_entry(found, &mut |entry| {
            if entry.deadline != NEVER {
                earliest = Some(earliest.map_or(entry.deadline, |at: i64| at.min(entry.deadline)));
            }
        });
        earliest
    }

    /// Writes a value in a form, without the form's number.
    pub(crate) fn write_body(&self, found: &Found, form: u8, out: Put<'_>) {
        let put = |out: Put<'_>, text: Value<'_>| {
            put_number(out, text.len() as u64);
            text.parts().for_each(out);
        };
        match found.head.kind() {
            Kind::String => put(out, self.keys.value(found)),
            Kind::List => {
                put_number(out, self.keys.list_len(found) as u64);
                self.each_element(found, &mut |text| put(out, text));
            }
            Kind::Set => {
                put_number(out, self.count_entries(found) as u64);
                self.each_entry(found, &mut |entry| put(out, self.keys.text(entry.name)));
            }
            Kind::SortedSet => {
                put_number(out, self.count_entries(found) as u64);
                self.each_entry(found, &mut |entry| {
                    put(out, self.keys.text(entry.name));
                    if let Item::Here(score) = entry.value {
                        out(score);
                    }
                });
            }
            #[cfg(feature = "stream")]
            Kind::Stream => self.write_stream(found, out),
            Kind::Hash => {
                let earliest = self.earliest_deadline(found).unwrap_or_default();
                let has_deadlines = form == rdb::HASH_WITH_DEADLINES;
                if has_deadlines {
                    out(&earliest.to_le_bytes());
                }
                put_number(out, self.count_entries(found) as u64);
                self.each_entry(found, &mut |entry: &Entry<'_>| {
                    if has_deadlines {
                        let is_set = entry.deadline != NEVER;
                        let ahead = if is_set { entry.deadline - earliest + 1 } else { 0 };
                        put_number(out, ahead as u64);
                    }
                    put(out, self.keys.text(entry.name));
                    put(out, self.keys.text(entry.value));
                });
            }
        }
    }

    /// RESTORE: gives a key the value of a payload.
    ///
    /// # Errors
    /// [`Error::BusyKey`]; [`Error::BadChecksum`] and [`Error::BadPayload`] for a payload that no
    /// DUMP wrote; [`Error::OutOfMemory`]. The key keeps what it has then.
    pub fn restore(&mut self, key: &[u8], payload: &[u8], options: &RestoreOptions) -> Result<()> {
        if !options.replaces && self.is_there(key) {
            return Err(Error::BusyKey);
        }
        let value = checked_value(payload)?;
        let (&form, body) = value.split_first().ok_or(Error::BadPayload)?;
        self.notice_clock();
        let clock = (self.keys.clock, self.keys.inserted_since_tick);
        match self.take_value(key, form, &mut Reader::whole(body), options.deadline)? {
            Loaded::Stored => {}
            Loaded::Expired => {
                self.del(key);
                return Ok(());
            }
            Loaded::Empty => return Err(Error::BadPayload),
        }
        let deadline = options.deadline.unwrap_or(NEVER);
        let at = Digits::new(deadline);
        let at = at.as_bytes().into();
        let (abs, replace) = ("ABSTTL".into(), "REPLACE".into());
        self.emit(&["RESTORE".into(), key.into(), at, payload.into(), abs, replace]);
        self.grow_index();
        if options.idle_ms.is_some() || options.frequency.is_some() {
            self.set_use(key, options, clock);
        }
        Ok(())
    }

    /// Notes how a key was used elsewhere. What the policy does not go by says nothing to it.
    fn set_use(&mut self, key: &[u8], options: &RestoreOptions, clock: (u8, usize)) {
        let Some(found) = self.lookup(key, self.keys.hash(key)) else { return };
        match (options.idle_ms, options.frequency) {
            (Some(idle_ms), _) if self.keys.policy.dates_uses() => {
                // A key that comes with its past does not age the others.
                (self.keys.clock, self.keys.inserted_since_tick) = clock;
                self.keys.noticed_clock = self.keys.clock;
                self.date_back(found.place, idle_ms);
            }
            (_, Some(frequency)) if self.keys.policy.is_lfu() => {
                self.keys.index.set_age(found.place, frequency);
            }
            _ => {}
        }
    }
}

/// The oldest version of those that are written which knows a form that is written.
pub fn rdb_version_of(form: u8) -> u16 {
    if form == rdb::HASH_WITH_DEADLINES { VERSION_WITH_DEADLINES } else { VERSION }
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
    let mut is_absolute = false;
    while let Some(option) = args.next() {
        match word(option, &["replace", "absttl", "idletime", "freq"]) {
            0 => options.replaces = true,
            1 => is_absolute = true,
            2 if options.frequency.is_none() => {
                let idle_s = parse_integer(args.value()?).ok_or(Error::NotAnInteger)?;
                if idle_s < 0 {
                    return Err(Error::NegativeIdleTime);
                }
                options.idle_ms = Some(idle_s.saturating_mul(1000));
            }
            3 if options.idle_ms.is_none() => {
                let frequency = parse_integer(args.value()?).ok_or(Error::NotAnInteger)?;
                let frequency = u8::try_from(frequency).map_err(|_| Error::InvalidFrequency)?;
                options.frequency = Some(frequency);
            }
            _ => return Err(Error::Syntax),
        }
    }
    if !options.replaces && cx.is_there(key) {
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
