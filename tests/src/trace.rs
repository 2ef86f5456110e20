//! Request traces: two formats are read, request by request, and stored in a compact form that the
//! simulations go through as often as they like.
//! Invariant: memory is bounded by the number of objects, never by that of requests.
//! Not here: caches (hitratio.rs).

use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::fs::{self, File, OpenOptions};
use std::hash::{Hash, Hasher};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

/// How a trace is written down.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// Lines of `time,key,size`, with or without a header. A key is any text without a comma.
    Csv,
    /// libCacheSim's packed records of 24 bytes, little-endian: u32 time, u64 key, u32 size, i64
    /// position of the next request for the key, or -1.
    OracleGeneral,
}

/// One request: a key, as 64 bits, and the size of its object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Request {
    /// Texts are told apart by a hash of 64 bits.
    pub key: u64,
    /// In bytes; an object of none counts as one of one byte.
    pub size: u64,
}

const LINE_BYTES_MAX: u64 = 64 << 10;
const RECORD_BYTES: usize = 24;
/// No trace is as long. Text that is taken for records has larger numbers here. (Some writers put
/// the largest number of all for "never".)
const POSITION_MAX: i64 = 1 << 48;
/// The first bytes of a file that zstd packed, as traces often are.
const ZSTD_MAGIC: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];

impl Format {
    /// Reads a format's name.
    pub fn parse(name: &str) -> Result<Format, String> {
        match name {
            "csv" => Ok(Format::Csv),
            "oracleGeneral" => Ok(Format::OracleGeneral),
            _ => Err(format!("unknown format {name}: csv or oracleGeneral")),
        }
    }

    /// The format that a file's name suggests.
    pub fn of(path: &Path) -> Format {
        let is_oracle = path.to_string_lossy().contains("oracleGeneral");
        if is_oracle { Format::OracleGeneral } else { Format::Csv }
    }

    /// Shows every request of a trace. The error names the line or the record.
    pub fn read(
        self,
        mut input: impl BufRead,
        show: &mut dyn FnMut(Request) -> io::Result<()>,
    ) -> Result<(), String> {
        if input.fill_buf().map_err(text)?.starts_with(ZSTD_MAGIC) {
            return Err("the file is packed by zstd: unpack it first".into());
        }
        match self {
            Format::Csv => read_csv(input, show),
            Format::OracleGeneral => read_oracle(input, show),
        }
    }
}

fn read_csv(
    mut input: impl BufRead,
    show: &mut dyn FnMut(Request) -> io::Result<()>,
) -> Result<(), String> {
    let mut line = Vec::new();
    for number in 1u64.. {
        line.clear();
        let at = |what: &str| format!("line {number}: {what}");
        let mut part = input.by_ref().take(LINE_BYTES_MAX);
        let length = part.read_until(b'\n', &mut line).map_err(|error| at(&error.to_string()))?;
        if length == 0 {
            break;
        }
        if length as u64 == LINE_BYTES_MAX {
            return Err(at("longer than 64 KiB"));
        }
        let content = line.trim_ascii();
        if content.is_empty() {
            continue;
        }
        let mut fields = content.split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
        let (Some(time), Some(key), Some(size), None) =
            (fields.next(), fields.next(), fields.next(), fields.next())
        else {
            return Err(at("not of the form time,key,size"));
        };
        let has_time = number_of::<f64>(time).is_some_and(f64::is_finite);
        match number_of(size) {
            Some(size) if has_time && !key.is_empty() => {
                show(Request { key: hash(key), size }).map_err(text)?;
            }
            None if number == 1 && !has_time => {}
            _ if !has_time => return Err(at("the time is not a number")),
            None => return Err(at("the size is not a whole number of bytes")),
            _ => return Err(at("the key is empty")),
        }
    }
    Ok(())
}

fn read_oracle(
    mut input: impl BufRead,
    show: &mut dyn FnMut(Request) -> io::Result<()>,
) -> Result<(), String> {
    for number in 1u64.. {
        let mut record = Vec::with_capacity(RECORD_BYTES);
        let mut part = input.by_ref().take(RECORD_BYTES as u64);
        let length = part.read_to_end(&mut record).map_err(text)?;
        if length == 0 {
            break;
        }
        if length < RECORD_BYTES {
            return Err(format!("record {number}: cut short, {length} of {RECORD_BYTES} bytes"));
        }
        let next = i64::from_le_bytes(record[16..24].try_into().expect("eight bytes"));
        if next < -1 || next > POSITION_MAX && next != i64::MAX {
            return Err(format!("record {number}: {next} is no position of a next request"));
        }
        let key = u64::from_le_bytes(record[4..12].try_into().expect("eight bytes"));
        let size = u32::from_le_bytes(record[12..16].try_into().expect("four bytes"));
        show(Request { key, size: size.into() }).map_err(text)?;
    }
    Ok(())
}

fn number_of<T: std::str::FromStr>(field: &[u8]) -> Option<T> {
    std::str::from_utf8(field).ok()?.parse().ok()
}

fn hash(key: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    hasher.finish()
}

fn text(error: io::Error) -> String {
    error.to_string()
}

/// A trace whose objects are numbered in the order of their first requests. Two temporary files,
/// in the folder that `TMPDIR` names, hold for each request its object and when that is asked for
/// again.
pub struct Trace {
    /// The size of each object: that of its first request.
    pub sizes: Vec<u64>,
    /// Requests.
    pub length: u64,
    objects: Scratch,
    next_uses: Scratch,
}

/// The time of a next use that never comes.
pub const NEVER: u64 = u64::MAX;
/// Requests that are turned round in memory at once.
const CHUNK: u64 = 1 << 16;

impl Trace {
    /// Reads a trace from a file.
    pub fn open(path: &Path, format: Format) -> Result<Trace, String> {
        let named = |error: String| format!("{}: {error}", path.display());
        let file = File::open(path).map_err(|error| named(text(error)))?;
        Trace::read(BufReader::with_capacity(1 << 20, file), format).map_err(named)
    }

    /// Reads a trace from anywhere.
    pub fn read(input: impl BufRead, format: Format) -> Result<Trace, String> {
        let objects = Scratch::new().map_err(text)?;
        let mut numbers: HashMap<u64, u32> = HashMap::new();
        let (mut sizes, mut length) = (Vec::new(), 0);
        let mut output = BufWriter::new(&objects.0);
        format.read(input, &mut |request| {
            length += 1;
            let number = match numbers.get(&request.key) {
                Some(&number) => number,
                None => {
                    let number = u32::try_from(sizes.len()).map_err(io::Error::other)?;
                    numbers.insert(request.key, number);
                    sizes.push(request.size.max(1));
                    number
                }
            };
            output.write_all(&number.to_le_bytes())
        })?;
        output.flush().map_err(text)?;
        drop(output);
        if length == 0 {
            return Err("no requests".into());
        }
        let next_uses = find_next_uses(&objects, length, sizes.len()).map_err(text)?;
        Ok(Trace { sizes, length, objects, next_uses })
    }

    /// The sizes of all objects together.
    pub fn footprint(&self) -> u64 {
        self.sizes.iter().sum()
    }

    /// Shows every request: its object, and the position of the next one for the same object.
    pub fn play(&self, mut show: impl FnMut(u32, u64)) -> Result<(), String> {
        let mut objects = self.objects.reader().map_err(text)?;
        let mut next_uses = self.next_uses.reader().map_err(text)?;
        for _ in 0..self.length {
            let (mut object, mut next_use) = ([0; 4], [0; 8]);
            objects.read_exact(&mut object).map_err(text)?;
            next_uses.read_exact(&mut next_use).map_err(text)?;
            show(u32::from_le_bytes(object), u64::from_le_bytes(next_use));
        }
        Ok(())
    }
}

/// Goes through the requests from the last to the first.
fn find_next_uses(objects: &Scratch, length: u64, object_count: usize) -> io::Result<Scratch> {
    let next_uses = Scratch::new()?;
    let (mut input, mut output) = (&objects.0, &next_uses.0);
    let mut next_of = vec![NEVER; object_count];
    for first in (0..length.div_ceil(CHUNK)).rev().map(|chunk| chunk * CHUNK) {
        let mut numbers = vec![0; (length - first).min(CHUNK) as usize * 4];
        input.seek(SeekFrom::Start(first * 4))?;
        input.read_exact(&mut numbers)?;
        let mut found = vec![0; numbers.len() * 2];
        let requests = numbers.chunks_exact(4).zip(found.chunks_exact_mut(8)).enumerate();
        for (position, (number, target)) in requests.rev() {
            let number = u32::from_le_bytes(number.try_into().expect("four bytes"));
            let next = &mut next_of[number as usize];
            target.copy_from_slice(&next.to_le_bytes());
            *next = first + position as u64;
        }
        output.seek(SeekFrom::Start(first * 8))?;
        output.write_all(&found)?;
    }
    Ok(next_uses)
}

/// A temporary file without a name: it is gone with the process, however that ends.
struct Scratch(File);

impl Scratch {
    fn new() -> io::Result<Scratch> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("ferrite-trace-{}-{count}", process::id());
        let path = std::env::temp_dir().join(name);
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path)?;
        fs::remove_file(&path)?;
        Ok(Scratch(file))
    }

    fn reader(&self) -> io::Result<BufReader<&File>> {
        let mut file = &self.0;
        file.rewind()?;
        Ok(BufReader::with_capacity(1 << 20, file))
    }
}
