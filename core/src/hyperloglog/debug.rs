//! PFDEBUG and PFSELFTEST: what a HyperLogLog looks like inside, and whether all is well.
//!
//! Redis's self test adds ten million elements and blocks everybody for seconds; this one adds a
//! hundred thousand.

use alloc::vec::Vec;

use crate::command::{Args, word};
use crate::error::{Error, Result};
use crate::keyspace::Cx;
use crate::num::Digits;
use crate::reply::Reply;

use super::estimate::estimate;
use super::sketch::{self, DENSE_BYTES, Form, HEAD_BYTES, REGISTERS, Sketch};

/// Longest text of one run: `Z:16384` and a space.
const RUN_TEXT_BYTES: usize = 8;

pub(super) fn pfdebug(cx: &mut Cx<'_>, args: &mut Args<'_>, reply: &mut dyn Reply) -> Result<()> {
    let (name, key) = (args.required(), args.required());
    let hash = cx.keys.hash(key);
    let found = cx.find_string(key, hash)?;
    let form = sketch::form(&cx.value_of(found).ok_or(Error::NoSuchHyperLogLog)?)?;
    match word(name, &["getreg", "decode", "encoding", "todense"]) {
        0 => {
            cx.make_dense(key)?;
            let mut registers = [0; REGISTERS];
            if let Some(value) = cx.value_of(cx.keys.locate(key, hash)) {
                sketch::merge(&value, Form::Dense, &mut registers)?;
            }
            reply.array(REGISTERS);
            registers.iter().for_each(|&count| reply.integer(count.into()));
        }
        1 if form == Form::Dense => return Err(Error::NotSparse),
        1 => reply.bulk(cx.decoded(key)?.as_slice().into()),
        2 => reply.simple(if form == Form::Dense { "dense" } else { "sparse" }),
        3 => reply.integer(cx.make_dense(key)?.into()),
        _ => reply.error(&[b"ERR Unknown PFDEBUG subcommand '", name, b"'"]),
    }
    Ok(())
}

impl Cx<'_> {
    /// Gives a sparse sketch its dense form. False if it has it.
    fn make_dense(&mut self, key: &[u8]) -> Result<bool> {
        let hash = self.keys.hash(key);
        let found = self.find_string(key, hash)?;
        let Some(value) = self.value_of(found) else { return Ok(false) };
        if sketch::form(&value)? == Form::Dense {
            return Ok(false);
        }
        let mut room = [0; DENSE_BYTES];
        let mut sketch = Sketch::read(&mut room, &value, Form::Sparse)?;
        sketch.make_dense()?;
        self.put_sketch(key, hash, found, &sketch)?;
        self.emit_set_of(key, hash);
        Ok(true)
    }

    /// The runs of a sparse sketch as text.
    fn decoded(&mut self, key: &[u8]) -> Result<Vec<u8>> {
        let hash = self.keys.hash(key);
        let len = self.value_of(self.keys.locate(key, hash)).map_or(0, |value| value.len());
        // Not even runs of one register each would be as long.
        if len > HEAD_BYTES + 2 * REGISTERS {
            return Err(Error::CorruptHyperLogLog);
        }
        self.lend_bytes(len * RUN_TEXT_BYTES)?;
        let mut text = Vec::new();
        text.try_reserve_exact(len * RUN_TEXT_BYTES).map_err(|_| Error::OutOfMemory)?;
        let Some(value) = self.value_of(self.keys.locate(key, hash)) else { return Ok(text) };
        for run in sketch::runs(sketch::body(&value)) {
            if !text.is_empty() {
                text.push(b' ');
            }
            let (mark, count) = match (run.count, run.bytes) {
                (0, 1) => (b"z:", None),
                (0, _) => (b"Z:", None),
                (count, _) => (b"v:", Some(count)),
            };
            text.extend_from_slice(mark);
            if let Some(count) = count {
                text.extend_from_slice(Digits::new(count.into()).as_bytes());
                text.push(b',');
            }
            text.extend_from_slice(Digits::new(run.len as i64).as_bytes());
        }
        Ok(text)
    }
}

/// Elements that the self test counts, and where it looks how well it did.
const TEST_ELEMENTS: u64 = 100_000;
/// Six times the standard error.
const TEST_ERROR: f64 = 6.0 * 1.04 / 128.0;
/// Elements that a sparse sketch surely has room for.
const TEST_SPARSE_ELEMENTS: u64 = 1_000;

pub(super) fn pfselftest(cx: &mut Cx<'_>, _: &mut Args<'_>, reply: &mut dyn Reply) -> Result<()> {
    let seed = cx.keys.random.next();
    let mut rooms = [[0; DENSE_BYTES]; 2];
    let [mut dense, mut any] = rooms.each_mut().map(Sketch::new);
    dense.make_dense()?;
    let mut checkpoint = 1;
    for number in 1..=TEST_ELEMENTS {
        let element = (number ^ seed).to_le_bytes();
        dense.add(&element)?;
        any.add(&element)?;
        if number != checkpoint {
            continue;
        }
        let [size, other] = [&dense, &any].map(size_of_sketch);
        let most = if number == 10 { 1.0 } else { TEST_ERROR * number as f64 + 1.0 };
        if number <= TEST_SPARSE_ELEMENTS && !any.is_sparse() {
            reply.error(&[b"TESTFAILED sparse encoding not used"]);
            return Ok(());
        }
        if size != other {
            reply.error(&[b"TESTFAILED dense/sparse disagree"]);
            return Ok(());
        }
        if size.abs_diff(number) as f64 > most {
            let (number, size) = (Digits::of_unsigned(number), Digits::of_unsigned(size));
            let (number, size) = (number.as_bytes(), size.as_bytes());
            reply.error(&[b"TESTFAILED Too big error. card:", number, b" counted:", size]);
            return Ok(());
        }
        checkpoint *= 10;
    }
    reply.simple("OK");
    Ok(())
}

fn size_of_sketch(sketch: &Sketch<'_>) -> u64 {
    let value = sketch.as_bytes().into();
    let form = if sketch.is_sparse() { Form::Sparse } else { Form::Dense };
    sketch::histogram(&value, form).map_or(0, |histogram| estimate(&histogram))
}
