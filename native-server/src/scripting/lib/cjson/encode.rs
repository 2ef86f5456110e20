//! `cjson.encode`.

use mlua::{Table, Value};

use crate::limits::scripting::{JSON_DEPTH_MAX, PACKED_BYTES_MAX};
use crate::scripting::arguments::{Refused, type_name};
use crate::scripting::lib::cjson::Settings;
use crate::scripting::text::general;

/// Writes JSON.
pub struct Encoder<'s> {
    /// What is set.
    pub settings: &'s Settings,
    /// The mark of tables that are arrays even if they are empty.
    pub array_mark: &'s Table,
    /// The text.
    pub out: Vec<u8>,
}

impl Encoder<'_> {
    /// Writes a value that stands so deep in others.
    ///
    /// # Errors
    /// It, or what it holds, has no JSON.
    pub fn value(&mut self, value: &Value, depth: i64) -> Result<(), Refused> {
        if self.out.len() > PACKED_BYTES_MAX {
            return Err("Cannot serialise, the text is too long".into());
        }
        match value {
            Value::String(text) => self.string(&text.as_bytes()),
            Value::Integer(number) => self.number(*number as f64)?,
            Value::Number(number) => self.number(*number)?,
            Value::Boolean(is_true) => {
                self.out.extend_from_slice(if *is_true { b"true" } else { b"false" });
            }
            Value::Table(table) => self.table(table, depth + 1)?,
            Value::Nil => self.out.extend_from_slice(b"null"),
            Value::LightUserData(pointer) if pointer.0.is_null() => {
                self.out.extend_from_slice(b"null");
            }
            other => {
                let name = type_name(other);
                return Err(format!("Cannot serialise {name}: type not supported"));
            }
        }
        Ok(())
    }

    fn table(&mut self, table: &Table, depth: i64) -> Result<(), Refused> {
        if depth > self.settings.encode_max_depth.min(JSON_DEPTH_MAX) {
            return Err(format!("Cannot serialise, excessive depth ({depth})"));
        }
        match self.array_len(table)? {
            Some(len) => self.array(table, len, depth),
            None => self.object(table, depth),
        }
    }

    /// How many elements a table has if it is an array.
    fn array_len(&self, table: &Table) -> Result<Option<i64>, Refused> {
        let (mut greatest, mut count, mut is_array) = (0_i64, 0_i64, true);
        // A value that is read as a truth is not made a handle.
        let walk = table.for_each(|key: Value, _: bool| {
            match key {
                Value::Integer(number) if number >= 1 => {
                    greatest = greatest.max(number);
                    count += 1;
                    Ok(())
                }
                _ => {
                    is_array = false;
                    // The walk need not go on.
                    Err(mlua::Error::StackError)
                }
            }
        });
        if !is_array {
            return Ok(None);
        }
        walk.map_err(|why| why.to_string())?;
        if greatest == 0 {
            let is_marked = table.metatable().is_some_and(|mark| mark == *self.array_mark);
            return Ok(is_marked.then_some(0));
        }
        let Settings { sparse_ratio, sparse_safe, sparse_converts, .. } = *self.settings;
        let is_sparse = sparse_ratio > 0
            && greatest > count.saturating_mul(sparse_ratio)
            && greatest > sparse_safe;
        match (is_sparse, sparse_converts) {
            (false, _) => Ok(Some(greatest)),
            (true, true) => Ok(None),
            (true, false) => Err("Cannot serialise table: excessively sparse array".into()),
        }
    }

    fn array(&mut self, table: &Table, len: i64, depth: i64) -> Result<(), Refused> {
        self.out.push(b'[');
        for at in 1..=len {
            if at > 1 {
                self.out.push(b',');
            }
            let value: Value = table.raw_get(at).map_err(|why| why.to_string())?;
            self.value(&value, depth)?;
        }
        self.out.push(b']');
        Ok(())
    }

    fn object(&mut self, table: &Table, depth: i64) -> Result<(), Refused> {
        self.out.push(b'{');
        let (mut is_first, mut outcome) = (true, Ok(()));
        let walk = table.for_each(|key: Value, value: Value| {
            if !std::mem::replace(&mut is_first, false) {
                self.out.push(b',');
            }
            outcome = self.entry(&key, &value, depth);
            if outcome.is_ok() { Ok(()) } else { Err(mlua::Error::StackError) }
        });
        outcome?;
        walk.map_err(|why| why.to_string())?;
        self.out.push(b'}');
        Ok(())
    }

    fn entry(&mut self, key: &Value, value: &Value, depth: i64) -> Result<(), Refused> {
        match key {
            Value::Integer(number) => self.quoted_number(*number as f64)?,
            Value::Number(number) => self.quoted_number(*number)?,
            Value::String(text) => self.string(&text.as_bytes()),
            _ => {
                return Err("Cannot serialise table: table key must be a number or string".into());
            }
        }
        self.out.push(b':');
        self.value(value, depth)
    }

    fn quoted_number(&mut self, number: f64) -> Result<(), Refused> {
        self.out.push(b'"');
        self.number(number)?;
        self.out.push(b'"');
        Ok(())
    }

    fn number(&mut self, number: f64) -> Result<(), Refused> {
        if !number.is_finite() {
            match self.settings.encode_invalid {
                0 => {
                    return Err("Cannot serialise number: must not be NaN or Inf".into());
                }
                1 => {}
                _ => {
                    self.out.extend_from_slice(b"null");
                    return Ok(());
                }
            }
        }
        if number.is_nan() {
            self.out.extend_from_slice(b"nan");
            return Ok(());
        }
        let precision = usize::try_from(self.settings.encode_precision).unwrap_or(14);
        self.out.extend_from_slice(general(number, precision).as_bytes());
        Ok(())
    }

    fn string(&mut self, text: &[u8]) {
        self.out.push(b'"');
        let mut rest = text;
        loop {
            let plain = rest.iter().take_while(|byte| is_plain(**byte)).count();
            let (run, behind) = rest.split_at(plain);
            self.out.extend_from_slice(run);
            let Some((&byte, behind)) = behind.split_first() else { break };
            rest = behind;
            let escaped = match byte {
                b'"' | b'\\' | b'/' => byte,
                8 => b'b',
                b'\t' => b't',
                b'\n' => b'n',
                12 => b'f',
                b'\r' => b'r',
                _ => {
                    self.out.extend_from_slice(format!("\\u{byte:04x}").as_bytes());
                    continue;
                }
            };
            self.out.extend_from_slice(&[b'\\', escaped]);
        }
        self.out.push(b'"');
    }
}

/// Whether a byte stands for itself.
fn is_plain(byte: u8) -> bool {
    !matches!(byte, b'"' | b'\\' | b'/' | 0..0x20 | 0x7f)
}
