//! `cjson`: values in JSON, with the settings and the words of Redis's library.

pub mod decode;
pub mod encode;

use mlua::{MultiValue, Value};

use crate::scripting::arguments::{Arguments, Refused};

/// What a script may set. Each library that `cjson.new` makes has its own.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "as their functions are called")]
pub struct Settings {
    pub sparse_converts: bool,
    pub sparse_ratio: i64,
    pub sparse_safe: i64,
    pub encode_max_depth: i64,
    pub decode_max_depth: i64,
    pub encode_keeps_buffer: bool,
    pub encode_precision: i64,
    /// 0: an error; 1: as they are; 2: null.
    pub encode_invalid: usize,
    pub decode_invalid: bool,
    pub decode_marks_arrays: bool,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            sparse_converts: false,
            sparse_ratio: 2,
            sparse_safe: 10,
            encode_max_depth: 1000,
            decode_max_depth: 1000,
            encode_keeps_buffer: true,
            encode_precision: 14,
            encode_invalid: 0,
            decode_invalid: true,
            decode_marks_arrays: false,
        }
    }
}

/// The functions that set something.
pub const SETTERS: &[&str] = &[
    "encode_sparse_array",
    "encode_max_depth",
    "decode_max_depth",
    "encode_keep_buffer",
    "encode_number_precision",
    "encode_invalid_numbers",
    "decode_invalid_numbers",
    "decode_array_with_array_mt",
];

/// Reads an integer that may be set, and gives it.
fn integer(
    arguments: &Arguments<'_>,
    at: usize,
    setting: &mut i64,
    (least, most): (i64, i64),
) -> Result<Value, Refused> {
    if !arguments.is_nil(at) {
        let value = arguments.integer(at)? as i32;
        if !(least..=most).contains(&i64::from(value)) {
            let what = format!("expected integer between {least} and {most}");
            return Err(arguments.refuse(0, &what));
        }
        *setting = value.into();
    }
    Ok(Value::Integer(*setting))
}

/// Reads a word, or true or false for the first two, and gives it.
fn word(
    arguments: &Arguments<'_>,
    at: usize,
    setting: &mut usize,
    words: &[&str],
) -> Result<Value, Refused> {
    match arguments.get(at) {
        Value::Nil => {}
        Value::Boolean(is_on) => *setting = usize::from(*is_on),
        _ => {
            let text = arguments.string(at)?;
            let text = text.as_bytes();
            let position = words.iter().position(|word| word.as_bytes() == &*text);
            *setting = position.ok_or_else(|| {
                let text = String::from_utf8_lossy(&text);
                arguments.refuse(at, &format!("invalid option '{text}'"))
            })?;
        }
    }
    match (*setting, words.get(*setting)) {
        (2.., Some(word)) => {
            let text = arguments.lua.create_string(word).map_err(|why| why.to_string())?;
            Ok(Value::String(text))
        }
        (setting, _) => Ok(Value::Boolean(setting == 1)),
    }
}

fn switch(arguments: &Arguments<'_>, at: usize, setting: &mut bool) -> Result<Value, Refused> {
    let mut number = usize::from(*setting);
    let value = word(arguments, at, &mut number, &["off", "on"])?;
    *setting = number == 1;
    Ok(value)
}

/// What a function does that sets something.
pub fn set(
    name: &str,
    settings: &mut Settings,
    arguments: &Arguments<'_>,
) -> Result<MultiValue, Refused> {
    const INT_MAX: i64 = i32::MAX as i64;
    let most = if name == "encode_sparse_array" { 3 } else { 1 };
    if arguments.count() > most {
        return Err(arguments.refuse(most, "found too many arguments"));
    }
    let value = match name {
        "encode_sparse_array" => {
            return Ok(MultiValue::from_iter([
                switch(arguments, 0, &mut settings.sparse_converts)?,
                integer(arguments, 1, &mut settings.sparse_ratio, (0, INT_MAX))?,
                integer(arguments, 2, &mut settings.sparse_safe, (0, INT_MAX))?,
            ]));
        }
        "encode_max_depth" => integer(arguments, 0, &mut settings.encode_max_depth, (1, INT_MAX)),
        "decode_max_depth" => integer(arguments, 0, &mut settings.decode_max_depth, (1, INT_MAX)),
        "encode_number_precision" => integer(arguments, 0, &mut settings.encode_precision, (1, 14)),
        "encode_keep_buffer" => switch(arguments, 0, &mut settings.encode_keeps_buffer),
        "encode_invalid_numbers" => {
            word(arguments, 0, &mut settings.encode_invalid, &["off", "on", "null"])
        }
        "decode_invalid_numbers" => switch(arguments, 0, &mut settings.decode_invalid),
        _ => switch(arguments, 0, &mut settings.decode_marks_arrays),
    };
    Ok(MultiValue::from_iter([value?]))
}
