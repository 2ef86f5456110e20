//! Writing a `dump.rdb` that Redis loads.
//!
//! Invariant: the file is there in full or not at all: it is written beside its place, and takes
//! that when it is on the disk.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use ferrite_engine::{Millis, RdbChecksum, RdbOutput, rdb_put_number, rdb_version_of};

use super::fault::{Fault, Problem, shown};
use crate::database::{Databases, Held};
use crate::limits::{SHOWN_KEYS_MAX, WRITE_BLOCK_BYTES};
use crate::plain_file;

/// The versions that are written: what Redis reads since 7.0, and since 7.4, with fields of hashes
/// that expire.
pub const VERSIONS: [u16; 2] = [10, 12];

/// The version of Redis that the file names: the first that reads its format.
const REDIS_VERSIONS: [&str; 2] = ["7.0.0", "7.4.0"];

/// What was written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Written {
    /// The format's version.
    pub version: u16,
    /// How many keys.
    pub keys: u64,
    /// How many bytes.
    pub bytes: u64,
}

mod opcode {
    pub const LIBRARY: u8 = 245;
    pub const AUX: u8 = 250;
    pub const SIZES: u8 = 251;
    pub const DEADLINE_MS: u8 = 252;
    pub const DATABASE: u8 = 254;
    pub const END: u8 = 255;
}

/// Writes all databases, and libraries of functions in Lua, into a `dump.rdb`: in
/// the version that is asked for, or the oldest that can
/// express every key. They stay locked until that is done.
///
/// # Errors
/// What cannot be written; keys that the version cannot express are named. There is no file then,
/// or the one that was there before.
pub fn export(
    path: &Path,
    databases: &Databases,
    now_ms: Millis,
    version: Option<u16>,
    libraries: &[&[u8]],
) -> Result<Written, Fault> {
    match plain_file::look(path) {
        Err(why) if why.kind() != io::ErrorKind::NotFound => return Err(Fault::io(path, why)),
        _ => {}
    }
    let mut held = databases.hold();
    held.take_all();
    let name = path.file_name().ok_or_else(|| Fault::whole(path, "this names no file"))?;
    let mut beside = name.to_owned();
    beside.push(format!(".{}.part", std::process::id()));
    let beside = path.with_file_name(beside);
    let written = choose_version(&mut held, databases.count(), now_ms, version)
        .and_then(|version| {
            write_all(&beside, &mut held, databases.count(), now_ms, version, libraries)
        })
        .and_then(|written| {
            fs::rename(&beside, path)?;
            sync_directory_of(path)?;
            Ok(written)
        });
    written.map_err(|problem| {
        // It may never have been there; if it is, it is of no use.
        let _ = fs::remove_file(&beside);
        Fault::whole(path, problem)
    })
}

/// A rename holds after a loss of power once its directory is on the disk.
fn sync_directory_of(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

fn each_key(
    held: &mut Held<'_>,
    index: usize,
    now_ms: Millis,
    output: &mut dyn RdbOutput,
) -> Result<(), Problem> {
    let mut cursor = 0;
    loop {
        cursor = held.get(index).keys.at(now_ms).save_some(cursor, output)?;
        if cursor == 0 {
            return Ok(());
        }
    }
}

/// The version that was asked for if it can express every key, or the oldest that can.
fn choose_version(
    held: &mut Held<'_>,
    databases: usize,
    now_ms: Millis,
    wanted: Option<u16>,
) -> Result<u16, Problem> {
    let mut survey = Survey { allowed: wanted, needed: VERSIONS[0], refused: Vec::new(), count: 0 };
    for index in 0..databases {
        each_key(held, index, now_ms, &mut survey)?;
    }
    if survey.count > 0 {
        let dots = if survey.count > survey.refused.len() { ", ..." } else { "" };
        let (allowed, count) = (survey.allowed.unwrap_or_default(), survey.count);
        let names = survey.refused.join(", ");
        return Err(format!(
            "the format's version {allowed} cannot express {count} keys, hashes with fields that \
             expire: {names}{dots}"
        )
        .into());
    }
    Ok(wanted.unwrap_or(survey.needed))
}

/// Looks which version the keys need, and names those that are not allowed it.
struct Survey {
    allowed: Option<u16>,
    needed: u16,
    refused: Vec<String>,
    count: usize,
}

impl RdbOutput for Survey {
    fn key(&mut self, form: u8, key: &[u8], _: Option<Millis>) -> bool {
        let version = rdb_version_of(form);
        self.needed = self.needed.max(version);
        if self.allowed.is_some_and(|allowed| allowed < version) {
            self.count += 1;
            if self.refused.len() < SHOWN_KEYS_MAX {
                self.refused.push(shown(key));
            }
        }
        false
    }

    fn bytes(&mut self, _: &[u8]) {}
}

fn write_all(
    path: &Path,
    held: &mut Held<'_>,
    databases: usize,
    now_ms: Millis,
    version: u16,
    libraries: &[&[u8]],
) -> Result<Written, Problem> {
    let mut writer = Writer {
        file: File::create(path)?,
        buffer: Vec::with_capacity(WRITE_BLOCK_BYTES),
        sum: RdbChecksum::default(),
        bytes: 0,
        keys: 0,
        error: None,
    };
    writer.put(format!("REDIS{version:04}").as_bytes());
    let at = VERSIONS.iter().position(|other| *other == version).unwrap_or_default();
    writer.put_aux("redis-ver", REDIS_VERSIONS[at]);
    writer.put_aux("redis-bits", "64");
    writer.put_aux("ctime", &(now_ms / 1000).to_string());
    for text in libraries {
        writer.put(&[opcode::LIBRARY]);
        writer.put_string(text);
    }
    for index in 0..databases {
        let stats = held.get(index).stats();
        if stats.keys == 0 {
            continue;
        }
        writer.put(&[opcode::DATABASE]);
        writer.put_number(index as u64);
        writer.put(&[opcode::SIZES]);
        writer.put_number(stats.keys);
        writer.put_number(stats.expires);
        each_key(held, index, now_ms, &mut writer)?;
    }
    writer.put(&[opcode::END]);
    writer.flush();
    let sum = writer.sum.sum();
    writer.put(&sum.to_le_bytes());
    writer.flush();
    if let Some(error) = writer.error {
        return Err(error.into());
    }
    writer.file.sync_all()?;
    Ok(Written { version, keys: writer.keys, bytes: writer.bytes })
}

/// Writes a file in large blocks, and sums it up.
struct Writer {
    file: File,
    buffer: Vec<u8>,
    sum: RdbChecksum,
    bytes: u64,
    keys: u64,
    /// The first thing that went wrong; nothing is written behind it.
    error: Option<io::Error>,
}

impl Writer {
    fn put(&mut self, bytes: &[u8]) {
        if self.buffer.len() + bytes.len() > WRITE_BLOCK_BYTES {
            self.flush();
        }
        self.buffer.extend_from_slice(bytes);
    }

    fn put_number(&mut self, number: u64) {
        rdb_put_number(&mut |bytes| self.put(bytes), number);
    }

    fn put_string(&mut self, text: &[u8]) {
        self.put_number(text.len() as u64);
        self.put(text);
    }

    fn put_aux(&mut self, name: &str, value: &str) {
        self.put(&[opcode::AUX]);
        self.put_string(name.as_bytes());
        self.put_string(value.as_bytes());
    }

    fn flush(&mut self) {
        self.sum.add(&self.buffer);
        self.bytes += self.buffer.len() as u64;
        if self.error.is_none() {
            self.error = self.file.write_all(&self.buffer).err();
        }
        self.buffer.clear();
    }
}

impl RdbOutput for Writer {
    fn key(&mut self, form: u8, key: &[u8], deadline: Option<Millis>) -> bool {
        if let Some(deadline) = deadline {
            self.put(&[opcode::DEADLINE_MS]);
            self.put(&deadline.to_le_bytes());
        }
        self.put(&[form]);
        self.put_string(key);
        self.keys += 1;
        self.error.is_none()
    }

    fn bytes(&mut self, part: &[u8]) {
        self.put(part);
    }
}
