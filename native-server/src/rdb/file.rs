//! Reading a `dump.rdb`: what stands between the keys, and a key at a time.
//!
//! Source of the format: `rdb.h` and `rdb.c` of Redis 7.

use std::cell::Cell;
use std::path::Path;
use std::rc::Rc;

use ferrite_engine::{Error, Loaded, Millis, RdbReader, limits, rdb_knows_form};

use super::fault::{Fault, Problem, shown};
use super::input::{Progress, Source};
use super::{Options, Summary};
use crate::database::{Databases, Held};
use crate::limits::SUPPLY_BYTES_MIN;
use crate::supply::Supply;

/// The newest version that is read.
const VERSION_MAX: u32 = 12;
/// The first version with a checksum at its end.
const VERSION_WITH_SUM: u32 = 5;

/// What stands in place of a value's form: no key, or something about the next one.
mod opcode {
    pub const MODULE: u8 = 6;
    pub const MODULE_2: u8 = 7;
    pub const SLOT: u8 = 244;
    pub const FUNCTION: u8 = 245;
    pub const OLD_FUNCTION: u8 = 246;
    pub const MODULE_AUX: u8 = 247;
    pub const IDLE: u8 = 248;
    pub const FREQUENCY: u8 = 249;
    pub const AUX: u8 = 250;
    pub const SIZES: u8 = 251;
    pub const DEADLINE_MS: u8 = 252;
    pub const DEADLINE: u8 = 253;
    pub const DATABASE: u8 = 254;
    pub const END: u8 = 255;
}

/// What files are loaded into, one after the other.
pub struct Loader<'d> {
    pub progress: &'d mut dyn FnMut(&Progress),
    pub loading: Loading<'d>,
}

/// What is known while files are loaded.
pub struct Loading<'d> {
    pub held: Held<'d>,
    pub databases: &'d Databases,
    pub now_ms: Millis,
    pub options: Options,
    pub summary: Summary,
    /// Keys that were read; whoever shows progress looks at it.
    pub keys: Rc<Cell<u64>>,
    /// The database that is selected.
    pub database: usize,
    /// The key that is read, for messages as well.
    key: Vec<u8>,
    is_at_key: bool,
    is_preamble: bool,
    supply: Option<Supply>,
}

/// Where a `dump.rdb` ends.
pub struct End {
    pub position: u64,
    pub bytes_total: u64,
    /// Whether commands of an append-only file follow.
    pub is_preamble: bool,
}

impl<'d> Loader<'d> {
    /// Loads into databases.
    pub fn new(
        databases: &'d Databases,
        now_ms: Millis,
        options: Options,
        progress: &'d mut dyn FnMut(&Progress),
    ) -> Loader<'d> {
        let loading = Loading {
            held: databases.hold(),
            databases,
            now_ms,
            options,
            summary: Summary::default(),
            keys: Rc::default(),
            database: 0,
            key: Vec::new(),
            is_at_key: false,
            is_preamble: false,
            supply: None,
        };
        Loader { progress, loading }
    }

    /// What was loaded.
    pub fn finish(self) -> Summary {
        let Loading { mut held, databases, mut summary, .. } = self.loading;
        held.release();
        let mut evicted = 0;
        databases.each(|_, database| {
            database.keys.end_supply();
            summary.keys += database.keys.len() as u64;
            evicted += database.stats().evicted_keys;
        });
        if evicted > 0 {
            summary.notes.push(format!("{evicted} keys were evicted to keep to 'maxmemory'"));
        }
        summary
    }

    /// Loads a `dump.rdb`.
    pub fn load(&mut self, path: &Path) -> Result<End, Fault> {
        let keys = Rc::clone(&self.loading.keys);
        let source = Source::open(path, keys, self.progress);
        let mut source = source.map_err(|why| Fault::io(path, why))?;
        let bytes_total = source.bytes_total();
        let is_bounded = self.loading.databases.max_bytes() > 0;
        if bytes_total >= SUPPLY_BYTES_MIN && !is_bounded && self.loading.supply.is_none() {
            self.loading.supply = Supply::begin();
        }
        let mut reader = RdbReader::new(&mut source);
        let read = self.loading.read(&mut reader);
        let (position, is_short) = (reader.position(), reader.is_short());
        self.loading.summary.bytes += position;
        match read {
            Ok(()) => {
                let is_preamble = self.loading.is_preamble;
                Ok(End { position, bytes_total, is_preamble })
            }
            Err(problem) => {
                let problem = match (source.error, problem) {
                    (Some(why), _) => why.into(),
                    (None, Problem::Engine(Error::BadPayload)) if is_short => Problem::Short,
                    (None, problem) => problem,
                };
                Err(Fault::at(path, position, self.loading.at(), problem))
            }
        }
    }
}

impl Loading<'_> {
    /// The key that was being read.
    fn at(&self) -> Option<String> {
        self.is_at_key.then(|| format!("key {} of database {}", shown(&self.key), self.database))
    }

    fn read(&mut self, reader: &mut RdbReader<'_>) -> Result<(), Problem> {
        let version = read_head(reader)?;
        self.summary.version = version;
        (self.database, self.is_preamble) = (0, false);
        let mut deadline = None;
        loop {
            reader.mark();
            self.is_at_key = false;
            let [code] = reader.array()?;
            match code {
                opcode::END => break,
                opcode::DEADLINE_MS => deadline = Some(i64::from_le_bytes(reader.array()?)),
                opcode::DEADLINE => {
                    deadline = Some(i64::from(i32::from_le_bytes(reader.array()?)) * 1000);
                }
                opcode::DATABASE => self.database = self.index(reader.count()?)?,
                // How a key was used: it counts as used now, as after RESTORE.
                opcode::IDLE => drop(reader.count()?),
                opcode::FREQUENCY => drop(reader.array::<1>()?),
                opcode::SIZES => drop((reader.count()?, reader.count()?)),
                opcode::SLOT => drop((reader.count()?, reader.count()?, reader.count()?)),
                opcode::AUX => self.read_aux(reader)?,
                opcode::FUNCTION => self.read_library(reader)?,
                opcode::OLD_FUNCTION => {
                    return Err("it has functions as only a preview of Redis 7 wrote them".into());
                }
                opcode::MODULE_AUX => {
                    let module = module_name(reader.count()?);
                    return Err(format!("it has data of the module '{module}'").into());
                }
                form => self.read_key(reader, form, deadline.take())?,
            }
        }
        if version >= VERSION_WITH_SUM {
            let sum = reader.checksum();
            let told = u64::from_le_bytes(reader.array()?);
            // Zero says that there is none.
            if self.options.checks_sum && told != 0 && told != sum {
                return Err("the checksum at the end is another than that of the file".into());
            }
        }
        Ok(())
    }

    /// The place of the database with this number.
    pub fn index(&self, number: u64) -> Result<usize, Problem> {
        let count = self.databases.count();
        let index = usize::try_from(number).ok().filter(|&index| index < count);
        let none = || format!("there is no database {number}, only {count}: see 'databases'");
        index.ok_or_else(|| none().into())
    }

    fn read_aux(&mut self, reader: &mut RdbReader<'_>) -> Result<(), Problem> {
        let name = reader.string(<[u8]>::to_vec)?;
        let value = reader.string(|value| String::from_utf8_lossy(value).into_owned())?;
        match &name[..] {
            b"redis-ver" => self.summary.redis_version = value,
            b"aof-base" | b"aof-preamble" => self.is_preamble = value == "1",
            _ => {}
        }
        Ok(())
    }

    /// A library of functions, which is loaded when all is read.
    fn read_library(&mut self, reader: &mut RdbReader<'_>) -> Result<(), Problem> {
        let text = reader.string(<[u8]>::to_vec)?;
        let line = text.split(|&byte| byte == b'\n').next().unwrap_or_default();
        let line = String::from_utf8_lossy(line).into_owned();
        self.summary.library_texts.push(text);
        let words = || line.trim_start_matches("#!").split_ascii_whitespace();
        let engine = words().next().unwrap_or("unknown");
        let name = words().find_map(|word| word.strip_prefix("name=")).unwrap_or("unknown");
        self.summary.libraries.push(format!("{name} ({engine})"));
        Ok(())
    }

    fn read_key(
        &mut self,
        reader: &mut RdbReader<'_>,
        form: u8,
        deadline: Option<Millis>,
    ) -> Result<(), Problem> {
        let is_module = matches!(form, opcode::MODULE | opcode::MODULE_2);
        if !is_module && !rdb_knows_form(form) {
            return Err(format!("there is no type of value with the number {form}").into());
        }
        let key = &mut self.key;
        reader.string(|text| {
            key.clear();
            key.extend_from_slice(text.get(..=limits::KEY_BYTES_MAX).unwrap_or(text));
        })?;
        self.is_at_key = true;
        if is_module {
            let module = module_name(reader.count()?);
            return Err(format!("its value is of the module type '{module}'").into());
        }
        let keys = &mut self.held.get(self.database).keys;
        if let Some(supply) = &self.supply {
            supply.refill(keys);
        }
        let mut cx = keys.at(self.now_ms);
        match cx.load(&self.key, form, reader, deadline)? {
            Loaded::Stored => {}
            Loaded::Expired => self.summary.expired += 1,
            Loaded::Empty => self.summary.empty += 1,
        }
        self.keys.set(self.keys.get() + 1);
        Ok(())
    }
}

fn read_head(reader: &mut RdbReader<'_>) -> Result<u32, Problem> {
    let head: [u8; 9] = reader.array()?;
    let version = head.strip_prefix(b"REDIS").and_then(|digits| str::from_utf8(digits).ok());
    let version = version.and_then(|digits| digits.parse().ok());
    match version.ok_or("it does not begin as a file of Redis does")? {
        version @ 1..=VERSION_MAX => Ok(version),
        version => {
            Err(format!("its format has the version {version}; read are those up to {VERSION_MAX}")
                .into())
        }
    }
}

/// The name of a module type, of which nine letters stand in a number, six bits each.
fn module_name(id: u64) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let letter = |at: u32| char::from(LETTERS[(id >> (10 + 6 * at) & 63) as usize]);
    (0..9).rev().map(letter).collect()
}
