//! Arguments of the functions that scripts call, read as Lua's own libraries read theirs.
//!
//! Invariant: what is wrong with one is told in Lua's words, with the function's name and the
//! argument's number.

use mlua::{Lua, MultiValue, Value};

use crate::scripting::text;

/// Why a function fails: the message of the error that the script gets.
pub type Refused = String;

/// The arguments of one call.
pub struct Arguments<'l> {
    /// Where the values live.
    pub lua: &'l Lua,
    function: &'static str,
    values: MultiValue,
}

impl<'l> Arguments<'l> {
    /// Those of a function of this name.
    pub fn new(lua: &'l Lua, function: &'static str, values: MultiValue) -> Arguments<'l> {
        Arguments { lua, function, values }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.values.len()
    }

    /// The argument at a position, counted from zero; nil if there is none.
    pub fn get(&self, at: usize) -> &Value {
        self.values.get(at).unwrap_or(&Value::Nil)
    }

    /// Whether it is nil or missing.
    pub fn is_nil(&self, at: usize) -> bool {
        self.get(at).is_nil()
    }

    /// Its error: what is wrong with the argument at a position.
    pub fn refuse(&self, at: usize, what: &str) -> Refused {
        format!("bad argument #{} to '{}' ({what})", at + 1, self.function)
    }

    fn refuse_type(&self, at: usize, expected: &str) -> Refused {
        let got = self.values.get(at).map_or("no value", type_name);
        self.refuse(at, &format!("{expected} expected, got {got}"))
    }

    /// A string, or a number as one.
    ///
    /// # Errors
    /// It is neither.
    pub fn string(&self, at: usize) -> Result<mlua::String, Refused> {
        match self.get(at) {
            Value::String(text) => Ok(text.clone()),
            Value::Integer(_) | Value::Number(_) => {
                let text = text::of(self.get(at)).unwrap_or_default();
                self.lua.create_string(text).map_err(|_| text::NO_MEMORY.into())
            }
            _ => Err(self.refuse_type(at, "string")),
        }
    }

    /// A number, or a string that is one.
    ///
    /// # Errors
    /// It is neither.
    pub fn number(&self, at: usize) -> Result<f64, Refused> {
        match self.get(at) {
            Value::Integer(number) => Ok(*number as f64),
            Value::Number(number) => Ok(*number),
            Value::String(_) => {
                let number = self.lua.coerce_number(self.get(at).clone()).ok().flatten();
                number.ok_or_else(|| self.refuse_type(at, "number"))
            }
            _ => Err(self.refuse_type(at, "number")),
        }
    }

    /// A number without its decimals.
    ///
    /// # Errors
    /// It is none.
    pub fn integer(&self, at: usize) -> Result<i64, Refused> {
        Ok(self.number(at)? as i64)
    }

    /// The same, if there is one.
    ///
    /// # Errors
    /// It is something else.
    pub fn integer_or(&self, at: usize, default: i64) -> Result<i64, Refused> {
        if self.is_nil(at) { Ok(default) } else { self.integer(at) }
    }
}

/// What Lua calls a value's type.
pub fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Nil => "nil",
        Value::Boolean(_) => "boolean",
        Value::Integer(_) | Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Table(_) => "table",
        Value::Function(_) => "function",
        Value::Thread(_) => "thread",
        _ => "userdata",
    }
}
