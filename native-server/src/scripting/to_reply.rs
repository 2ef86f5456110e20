//! What a script returns, as a reply.
//!
//! Invariant: a reply is whole whatever the script returns; what is nested too deeply is an error
//! in its place, as in Redis.

use ferrite_engine::Reply;
use mlua::{Table, Value};

use crate::limits::scripting::REPLY_DEPTH_MAX;
use crate::resp::wire::{Protocol, Wire};
use crate::scripting::text;

/// Writes replies of one script.
pub struct Writing<'w, 'o> {
    /// Where they go.
    pub wire: &'w mut Wire<'o>,
    /// Whether the script speaks RESP3: then true and false are what they are.
    pub is_typed: bool,
}

impl Writing<'_, '_> {
    /// Writes a value that stands so deep in others.
    ///
    /// # Errors
    /// Lua's.
    pub fn value(&mut self, value: &Value, depth: usize) -> mlua::Result<()> {
        if depth > REPLY_DEPTH_MAX {
            self.wire.error_text("ERR reached lua stack limit");
            return Ok(());
        }
        match value {
            Value::String(text) => self.wire.text(&*text.as_bytes()),
            Value::Boolean(is_true) if self.is_typed => self.wire.boolean(*is_true),
            Value::Boolean(true) => self.wire.integer(1),
            Value::Integer(number) => self.wire.integer(*number),
            Value::Number(number) => self.wire.integer(integer(*number)),
            Value::Table(table) => self.table(table, depth)?,
            _ => self.wire.null(),
        }
        Ok(())
    }

    fn table(&mut self, table: &Table, depth: usize) -> mlua::Result<()> {
        if let Some(line) = string(table, "err")? {
            let is_counted =
                !matches!(table.raw_get("ignore_error_stats_update")?, Value::Boolean(true));
            self.error(&line, is_counted);
        } else if let Some(status) = string(table, "ok")? {
            let status: Vec<u8> = status
                .iter()
                .map(|byte| if matches!(byte, b'\r' | b'\n') { b' ' } else { *byte })
                .collect();
            self.wire.simple_bytes(&status);
        } else if let Some(number) = double(table)? {
            self.wire.double(text::general(number, 17).as_bytes().into());
        } else if let Value::String(digits) = table.raw_get("big_number")? {
            let digits = digits.to_string_lossy().replace(['\r', '\n'], " ");
            self.wire.big_number(&digits);
        } else if let Value::Table(verbatim) = table.raw_get("verbatim_string")?
            && let Value::String(format) = verbatim.raw_get("format")?
            && let Value::String(text) = verbatim.raw_get("string")?
        {
            self.verbatim(&format.as_bytes(), &text.as_bytes());
        } else if let Value::Table(map) = table.raw_get("map")? {
            self.map(&map, depth)?;
        } else if let Value::Table(set) = table.raw_get("set")? {
            self.set(&set, depth)?;
        } else {
            self.array(table, depth)?;
        }
        Ok(())
    }

    /// Writes an error; one that its command has counted is counted no more.
    pub fn error(&mut self, line: &[u8], is_counted: bool) {
        self.wire.error(&[line]);
        if !is_counted {
            self.wire.error_at = None;
        }
    }

    fn verbatim(&mut self, format: &[u8], text: &[u8]) {
        if self.wire.protocol == Protocol::Resp2 {
            return self.wire.text(text);
        }
        let out = &mut self.wire.out;
        out.extend_from_slice(format!("={}\r\n", text.len() + 4).as_bytes());
        let letters = format.iter().copied().chain(std::iter::repeat(b' ')).take(3);
        out.extend(letters.chain([b':']));
        out.extend_from_slice(text);
        out.extend_from_slice(b"\r\n");
    }

    fn array(&mut self, table: &Table, depth: usize) -> mlua::Result<()> {
        let start = self.wire.out.len();
        let mut count = 0;
        loop {
            let value: Value = table.raw_get(count + 1)?;
            if value.is_nil() {
                break;
            }
            self.value(&value, depth + 1)?;
            count += 1;
        }
        self.put_head(start, |wire| wire.array(count));
        Ok(())
    }

    fn map(&mut self, map: &Table, depth: usize) -> mlua::Result<()> {
        let start = self.wire.out.len();
        let mut count = 0;
        map.for_each(|key: Value, value: Value| {
            count += 1;
            self.value(&key, depth + 1)?;
            self.value(&value, depth + 1)
        })?;
        self.put_head(start, |wire| wire.map(count));
        Ok(())
    }

    fn set(&mut self, set: &Table, depth: usize) -> mlua::Result<()> {
        let start = self.wire.out.len();
        let mut count = 0;
        set.for_each(|member: Value, _: Value| {
            count += 1;
            self.value(&member, depth + 1)
        })?;
        self.put_head(start, |wire| wire.set(count));
        Ok(())
    }

    /// Puts the head of an aggregate in front of its elements, which are counted by now.
    fn put_head(&mut self, start: usize, write: impl FnOnce(&mut Wire<'_>)) {
        let mut head = Vec::new();
        write(&mut Wire::new(&mut head, self.wire.protocol));
        if let Some(at) = &mut self.wire.error_at
            && *at >= start
        {
            *at += head.len();
        }
        self.wire.out.splice(start..start, head);
    }
}

fn string(table: &Table, name: &str) -> mlua::Result<Option<Vec<u8>>> {
    match table.raw_get(name)? {
        Value::String(text) => Ok(Some(text.as_bytes().to_vec())),
        _ => Ok(None),
    }
}

fn double(table: &Table) -> mlua::Result<Option<f64>> {
    match table.raw_get("double")? {
        Value::Integer(number) => Ok(Some(number as f64)),
        Value::Number(number) => Ok(Some(number)),
        _ => Ok(None),
    }
}

/// A number without its decimals; what is no integer of 64 bits is the lowest, as x86-64 has it.
fn integer(number: f64) -> i64 {
    const END: f64 = 9_223_372_036_854_775_808.0;
    if (-END..END).contains(&number) { number as i64 } else { i64::MIN }
}
