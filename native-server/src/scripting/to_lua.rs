//! Replies of commands, as scripts see them.
//!
//! Invariant: what is read was written by this server, whole; so nothing here can be missing.

use mlua::{Lua, Table, Value};

/// Reads one reply, and makes a value of it.
pub struct Reading<'r> {
    lua: &'r Lua,
    rest: &'r [u8],
}

impl<'r> Reading<'r> {
    /// Of these bytes.
    pub fn new(lua: &'r Lua, bytes: &'r [u8]) -> Reading<'r> {
        Reading { lua, rest: bytes }
    }

    fn line(&mut self) -> &'r [u8] {
        let end = memchr::memchr(b'\r', self.rest).unwrap_or(self.rest.len());
        let (line, rest) = self.rest.split_at(end);
        self.rest = rest.get(2..).unwrap_or_default();
        line
    }

    fn count(&mut self) -> Option<usize> {
        let line = self.line();
        std::str::from_utf8(line).ok()?.parse().ok()
    }

    fn bulk(&mut self, len: usize) -> &'r [u8] {
        let bytes = self.rest.get(..len).unwrap_or_default();
        self.rest = self.rest.get(len + 2..).unwrap_or_default();
        bytes
    }

    fn field(&self, name: &str, value: Value) -> mlua::Result<Value> {
        let table = self.lua.create_table_with_capacity(0, 1)?;
        table.raw_set(name, value)?;
        Ok(Value::Table(table))
    }

    fn string(&self, bytes: &[u8]) -> mlua::Result<Value> {
        self.lua.create_string(bytes).map(Value::String)
    }

    /// The value.
    ///
    /// # Errors
    /// Lua's, if there is no memory.
    pub fn value(&mut self) -> mlua::Result<Value> {
        let Some((&mark, rest)) = self.rest.split_first() else { return Ok(Value::Nil) };
        self.rest = rest;
        Ok(match mark {
            b'$' => match self.count() {
                Some(len) => {
                    let bytes = self.bulk(len);
                    self.string(bytes)?
                }
                None => Value::Boolean(false),
            },
            b':' => {
                let line = std::str::from_utf8(self.line()).unwrap_or_default();
                // As in Redis a number beyond 2^53 loses its last digits.
                Value::Number(line.parse::<i64>().unwrap_or_default() as f64)
            }
            b'+' => {
                let text = self.line();
                let text = self.string(text)?;
                self.field("ok", text)?
            }
            b'-' => {
                let text = self.line();
                let text = self.string(text)?;
                let table = self.field("err", text)?;
                if let Value::Table(table) = &table {
                    table.raw_set("ignore_error_stats_update", true)?;
                }
                table
            }
            b'*' | b'>' => match self.count() {
                Some(len) => Value::Table(self.array(len)?),
                None => Value::Boolean(false),
            },
            _ => self.typed(mark)?,
        })
    }

    /// What only RESP3 has.
    fn typed(&mut self, mark: u8) -> mlua::Result<Value> {
        Ok(match mark {
            b'#' => Value::Boolean(self.line() == b"t"),
            b',' => {
                let text = std::str::from_utf8(self.line()).unwrap_or_default();
                let number: f64 = text.parse().unwrap_or_default();
                self.field("double", Value::Number(number))?
            }
            b'(' => {
                let digits = self.line();
                let digits = self.string(digits)?;
                self.field("big_number", digits)?
            }
            b'=' => {
                let len = self.count().unwrap_or_default();
                let bytes = self.bulk(len);
                let (format, text) = bytes.split_at_checked(4).unwrap_or((b"txt:", bytes));
                let table = self.lua.create_table()?;
                table.raw_set("string", self.string(text)?)?;
                table.raw_set("format", self.string(format.get(..3).unwrap_or_default())?)?;
                self.field("verbatim_string", Value::Table(table))?
            }
            b'%' => {
                let len = self.count().unwrap_or_default();
                let map = self.pairs(len)?;
                self.field("map", Value::Table(map))?
            }
            b'~' => {
                let len = self.count().unwrap_or_default();
                let set = self.lua.create_table()?;
                for _ in 0..len {
                    let member = self.value()?;
                    put(&set, member, Value::Boolean(true))?;
                }
                self.field("set", Value::Table(set))?
            }
            b'|' => {
                // Attributes are about the reply; scripts do not see them.
                let len = self.count().unwrap_or_default();
                self.pairs(len)?;
                self.value()?
            }
            _ => {
                self.line();
                Value::Nil
            }
        })
    }

    fn array(&mut self, len: usize) -> mlua::Result<Table> {
        let table = self.lua.create_table_with_capacity(len, 0)?;
        for at in 1..=len {
            let value = self.value()?;
            table.raw_set(at, value)?;
        }
        Ok(table)
    }

    fn pairs(&mut self, len: usize) -> mlua::Result<Table> {
        let table = self.lua.create_table_with_capacity(0, len)?;
        for _ in 0..len {
            let (key, value) = (self.value()?, self.value()?);
            put(&table, key, value)?;
        }
        Ok(table)
    }
}

/// Puts an entry into a table, unless its key can be none.
fn put(table: &Table, key: Value, value: Value) -> mlua::Result<()> {
    match key {
        Value::Nil => Ok(()),
        Value::Number(number) if number.is_nan() => Ok(()),
        key => table.raw_set(key, value),
    }
}
