//! HyperLogLogs: sets of which only the size is known, and that within a per cent or so, in 12 KB
//! at most. PFADD, PFCOUNT, PFMERGE.
//!
//! They are strings, which GET and SET move about: their bytes are those that Redis would have.
//! An element that is added to a dense one touches two of its bytes, where they are.
//!
//! Not here: what the bytes mean (sketch.rs), how elements are counted (estimate.rs), and PFDEBUG
//! and PFSELFTEST (debug.rs).

mod debug;
mod estimate;
mod sketch;

use alloc::vec::Vec;

use crate::command::{Args, Arity, DENYOOM, FAST, Group, Keys, READ, Spec, WRITE, docs};
use crate::error::Result;
use crate::keyspace::{Cx, Found, Keyspace};
use crate::reply::Reply;
use crate::string::deadline_of;
use crate::value::Value;
use crate::write::Draft;

use estimate::estimate;
use sketch::{DENSE_BYTES, Form, REGISTERS, SIZE_AT, STALE, STALE_AT, Sketch};

impl Cx<'_> {
    /// PFADD: counts elements. Whether that changed anything: a new key counts as a change.
    ///
    /// ```
    /// use ferrite_engine::{Keyspace, Options};
    ///
    /// let mut keys = Keyspace::new(&Options::default())?;
    /// keys.at(1).pf_add(b"visitors", &[b"ann", b"bob", b"ann"])?;
    /// assert_eq!(keys.at(1).pf_count(&[b"visitors"])?, 2);
    /// # Ok::<(), ferrite_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::NotAHyperLogLog`](crate::Error::NotAHyperLogLog),
    /// [`Error::CorruptHyperLogLog`](crate::Error::CorruptHyperLogLog),
    /// [`Error::WrongType`](crate::Error::WrongType),
    /// [`Error::OutOfMemory`](crate::Error::OutOfMemory).
    pub fn pf_add(&mut self, key: &[u8], elements: &[&[u8]]) -> Result<bool> {
        let hash = self.keys.hash(key);
        let found = self.find_string(key, hash)?;
        let form = self.value_of(found).map(|value| sketch::form(&value)).transpose()?;
        let mut is_changed = found.is_none();
        if let (Some(found), Some(Form::Dense)) = (found, form) {
            is_changed = self.keys.add_dense(found, elements);
        } else {
            let mut room = [0; DENSE_BYTES];
            let sketch = match self.value_of(found) {
                Some(value) => Sketch::read(&mut room, &value, Form::Sparse)?,
                None => Sketch::new(&mut room),
            };
            let mut sketch = sketch.sparse_up_to(self.keys.forms.sparse_sketch_bytes);
            for element in elements {
                is_changed |= sketch.add(element)?;
            }
            if is_changed {
                sketch.invalidate();
                self.put_sketch(key, hash, found, &sketch)?;
            }
        }
        if is_changed {
            if self.is_heard() {
                let mut effect: Vec<Value<'_>> = Vec::with_capacity(2 + elements.len());
                effect.extend([Value::from("PFADD"), key.into()]);
                effect.extend(elements.iter().map(|element| Value::from(*element)));
                self.emit(&effect);
            }
            self.grow_index();
        }
        Ok(is_changed)
    }

    /// PFCOUNT: how many elements were added to one HyperLogLog, or to several together, nearly.
    /// Of one the answer is kept in it, as Redis does, until an element changes it.
    pub fn pf_count(&mut self, keys: &[&[u8]]) -> Result<u64> {
        if let [key] = keys {
            return self.pf_count_one(key);
        }
        let mut registers = [0; REGISTERS];
        for key in keys {
            let found = self.read_string(key)?;
            let Some(value) = self.value_of(found) else { continue };
            sketch::merge(&value, sketch::form(&value)?, &mut registers)?;
        }
        Ok(estimate(&sketch::histogram_of(&registers)))
    }

    fn pf_count_one(&mut self, key: &[u8]) -> Result<u64> {
        let found = self.read_string(key)?;
        let Some(value) = self.value_of(found) else { return Ok(0) };
        let form = sketch::form(&value)?;
        let mut size = [0; 8];
        sketch::read(&value.range(SIZE_AT, size.len()), &mut size);
        let size = u64::from_le_bytes(size);
        if size >> 63 == 0 {
            return Ok(size);
        }
        let size = estimate(&sketch::histogram(&value, form)?);
        let hash = self.keys.hash(key);
        self.write_range(key, hash, found, SIZE_AT as u64, &size.to_le_bytes())?;
        Ok(size)
    }

    /// PFMERGE: adds to a HyperLogLog what was added to others.
    pub fn pf_merge(&mut self, destination: &[u8], sources: &[&[u8]]) -> Result<()> {
        let (mut registers, mut is_dense) = ([0; REGISTERS], false);
        for key in [&[destination], sources].into_iter().flatten() {
            let found = self.read_string(key)?;
            let Some(value) = self.value_of(found) else { continue };
            let form = sketch::form(&value)?;
            is_dense |= form == Form::Dense;
            sketch::merge(&value, form, &mut registers)?;
        }
        let hash = self.keys.hash(destination);
        let found = self.find_string(destination, hash)?;
        let mut room = [0; DENSE_BYTES];
        let sketch = match self.value_of(found) {
            Some(value) => Sketch::read(&mut room, &value, sketch::form(&value)?)?,
            None => Sketch::new(&mut room),
        };
        let mut sketch = sketch.sparse_up_to(self.keys.forms.sparse_sketch_bytes);
        if is_dense {
            sketch.make_dense()?;
        }
        for (index, &count) in registers.iter().enumerate().filter(|(_, count)| **count > 0) {
            sketch.raise(index, count)?;
        }
        sketch.invalidate();
        self.put_sketch(destination, hash, found, &sketch)?;
        self.emit_set_of(destination, hash);
        self.grow_index();
        Ok(())
    }

    /// Gives a key a sketch in place of the one there is; that one's deadline stays.
    fn put_sketch(
        &mut self,
        key: &[u8],
        hash: u64,
        found: Option<Found>,
        sketch: &Sketch<'_>,
    ) -> Result<()> {
        let mut bytes = sketch.as_bytes();
        let draft = Draft::new(key, hash, bytes.len(), deadline_of(&found), found)?;
        self.replace(draft, &mut bytes)?;
        Ok(())
    }
}

impl Keyspace {
    /// Adds elements to a dense sketch, where it is. Whether that raised a register.
    fn add_dense(&mut self, found: Found, elements: &[&[u8]]) -> bool {
        let mut found = found;
        let mut is_changed = false;
        for element in elements {
            let (index, count) = estimate::place(element);
            let (at, bit) = sketch::register_place(index);
            let mut pair = [0; 2];
            // The last register ends with the last byte.
            let part = self.value(&found).range(at, pair.len());
            let len = part.len();
            sketch::read(&part, &mut pair);
            let pair = u16::from_le_bytes(pair);
            if sketch::register(pair, bit) < count {
                let pair = sketch::with_register(pair, bit, count).to_le_bytes();
                self.overwrite_found(&mut found, at, pair.get(..len).unwrap_or_default());
                is_changed = true;
            }
        }
        if is_changed {
            let mut last = [0; 1];
            sketch::read(&self.value(&found).range(STALE_AT, 1), &mut last);
            let [last] = last;
            self.overwrite_found(&mut found, STALE_AT, &[last | STALE]);
        }
        is_changed
    }

    /// Writes over a part of a string, and notes what its head then says.
    fn overwrite_found(&mut self, found: &mut Found, at: usize, part: &[u8]) {
        self.overwrite(found, at, part);
        found.head = self.head(found.addr).unwrap_or(found.head);
    }
}

/// What the rows share.
const ADD_ROW: Spec = Spec {
    name: "pfadd",
    arity: Arity::AtLeast(2),
    keys: Keys::FIRST,
    flags: WRITE | DENYOOM | FAST,
    group: Group::HyperLogLog,
    since: docs("2.8.9"),
    syntax: docs("key [element [element ...]]"),
    summary: docs("Adds elements to a HyperLogLog. Creates the key if it is not there."),
    run: pfadd,
};

pub(crate) const COMMANDS: &[Spec] = &[
    ADD_ROW,
    Spec {
        name: "pfcount",
        keys: Keys::ALL,
        flags: READ,
        syntax: docs("key [key ...]"),
        summary: docs("Returns how many elements HyperLogLogs have together, nearly."),
        run: pfcount,
        ..ADD_ROW
    },
    Spec {
        name: "pfdebug",
        arity: Arity::Exactly(3),
        keys: Keys { first: 2, last: 2, step: 1 },
        flags: WRITE | DENYOOM,
        syntax: docs("<GETREG | DECODE | ENCODING | TODENSE> key"),
        summary: docs("Shows how a HyperLogLog is stored, or makes it dense."),
        run: debug::pfdebug,
        ..ADD_ROW
    },
    Spec {
        name: "pfmerge",
        keys: Keys::ALL,
        flags: WRITE | DENYOOM,
        syntax: docs("destkey [sourcekey [sourcekey ...]]"),
        summary: docs("Adds to a HyperLogLog the elements of others."),
        run: pfmerge,
        ..ADD_ROW
    },
    Spec {
        name: "pfselftest",
        arity: Arity::Exactly(1),
        keys: Keys::NONE,
        flags: 0,
        syntax: docs(""),
        summary: docs("Tries whether HyperLogLogs count well, apart from all keys."),
        run: debug::pfselftest,
        ..ADD_ROW
    },
];

fn pfadd(cx: &mut Cx<'_>, args: &mut Args<'_>, reply: &mut dyn Reply) -> Result<()> {
    let key = args.required();
    reply.integer(cx.pf_add(key, args.as_slice())?.into());
    Ok(())
}

fn pfcount(cx: &mut Cx<'_>, args: &mut Args<'_>, reply: &mut dyn Reply) -> Result<()> {
    reply.integer(cx.pf_count(args.as_slice())? as i64);
    Ok(())
}

fn pfmerge(cx: &mut Cx<'_>, args: &mut Args<'_>, reply: &mut dyn Reply) -> Result<()> {
    let destination = args.required();
    cx.pf_merge(destination, args.as_slice())?;
    reply.simple("OK");
    Ok(())
}
