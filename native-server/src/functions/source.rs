//! What FUNCTION LOAD is given, in any of its forms: a name, values, a module's bytes.
//!
//! Invariant: [`Source::text`] is read back by [`Source::read`] as the same source. It begins with
//! `#!wasm`, so that other servers refuse it by the name of its engine.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::commands::Refusal;
use crate::functions::metadata::is_name;
use crate::limits::functions::{CONFIG_VALUE_BYTES_MAX, CONFIG_VALUES_MAX, MODULE_BYTES_MAX};

/// The first bytes of a module.
pub const MAGIC: &[u8] = b"\0asm";

/// A library before it is compiled.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Source {
    /// The library's name, if it was given.
    pub name: Option<String>,
    /// Values for `ferrite_config_get`, in the order given.
    pub config: Vec<(String, String)>,
    /// The module.
    pub module: Vec<u8>,
}

impl Source {
    /// Reads what begins with `#!wasm`, or a module.
    ///
    /// # Errors
    /// What is wrong with it, in Redis's words where Redis has some.
    pub fn read(code: &[u8]) -> Result<Source, Refusal> {
        if code.starts_with(MAGIC) {
            return Ok(Source { module: sized(code)?.to_vec(), ..Source::default() });
        }
        if !code.starts_with(b"#!") {
            return Err("ERR Missing library metadata".into());
        }
        let Some(end) = code.iter().position(|&byte| byte == b'\n') else {
            return Err("ERR Invalid library metadata".into());
        };
        let (head, body) = code.split_at(end);
        let head = String::from_utf8_lossy(head);
        let mut words = head.split_ascii_whitespace();
        let engine = words.next().unwrap_or_default().trim_start_matches("#!");
        if !engine.eq_ignore_ascii_case("wasm") {
            return Err(format!("ERR Engine '{engine}' not found").into());
        }
        let (mut source, mut is_base64) = (Source::default(), false);
        for word in words {
            let invalid = || format!("ERR Invalid library metadata: {word}");
            match word.split_once('=').ok_or_else(invalid)? {
                ("name", name) if source.name.is_none() => source.name = Some(name.into()),
                ("enc", "base64") if !is_base64 => is_base64 = true,
                (option, value) => {
                    let name = option.strip_prefix("config.").ok_or_else(invalid)?;
                    source.add_config(name, value)?;
                }
            }
        }
        let body = body.get(1..).unwrap_or_default();
        source.module = match is_base64 {
            false => sized(body)?.to_vec(),
            true => decoded(body)?,
        };
        if let Some(name) = &source.name {
            check_library_name(name)?;
        }
        Ok(source)
    }

    /// Adds a value for `ferrite_config_get`.
    ///
    /// # Errors
    /// If it is none, or one too many.
    pub fn add_config(&mut self, name: &str, value: &str) -> Result<(), Refusal> {
        let is_printable = value.bytes().all(|byte| byte.is_ascii_graphic());
        let is_sized = (1..=CONFIG_VALUE_BYTES_MAX).contains(&value.len());
        let is_new = !self.config.iter().any(|(other, _)| other == name);
        let is_room = self.config.len() < CONFIG_VALUES_MAX;
        if !(is_name(name) && is_printable && is_sized && is_new && is_room) {
            return Err(format!("ERR Invalid library metadata: config.{name}={value}").into());
        }
        self.config.push((name.into(), value.into()));
        Ok(())
    }

    /// The form in which a library of this name is kept.
    pub fn text(&self, name: &str) -> Vec<u8> {
        let mut text = format!("#!wasm name={name}").into_bytes();
        for (name, value) in &self.config {
            text.extend_from_slice(format!(" config.{name}={value}").as_bytes());
        }
        text.push(b'\n');
        text.extend_from_slice(&self.module);
        text
    }
}

/// Whether a text is of a library in WebAssembly, by how it begins.
pub fn is_module(text: &[u8]) -> bool {
    let head = text.split(|byte| byte.is_ascii_whitespace()).next().unwrap_or_default();
    text.starts_with(MAGIC) || head.eq_ignore_ascii_case(b"#!wasm")
}

/// Looks whether a library may have this name.
///
/// # Errors
/// Redis's, if it may not.
pub fn check_library_name(name: &str) -> Result<(), Refusal> {
    match is_name(name) {
        true => Ok(()),
        false => Err("ERR Library names can only contain letters, numbers, or underscores(_) and \
                      must be at least one character long"
            .into()),
    }
}

fn sized(module: &[u8]) -> Result<&[u8], Refusal> {
    match module.len() > MODULE_BYTES_MAX {
        false => Ok(module),
        true => Err(too_large(module.len())),
    }
}

fn too_large(bytes: usize) -> Refusal {
    format!("ERR Module is too large: {bytes} bytes, the limit is {MODULE_BYTES_MAX}").into()
}

fn decoded(text: &[u8]) -> Result<Vec<u8>, Refusal> {
    if text.len() / 4 * 3 > MODULE_BYTES_MAX * 5 / 4 {
        return Err(too_large(text.len() / 4 * 3));
    }
    let text: Vec<u8> = text.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let module = STANDARD.decode(text).map_err(|_| Refusal::from("ERR Invalid base64"))?;
    sized(&module)?;
    Ok(module)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_read() {
        let module = b"\0asm\x01\0\0\0".to_vec();
        let named = Source {
            name: Some("l".into()),
            config: vec![("a".into(), "b".into())],
            module: module.clone(),
        };
        let read = |code: &[u8]| Source::read(code).expect("sound");
        assert_eq!(read(&module), Source { module: module.clone(), ..Source::default() });
        assert_eq!(read(&named.text("l")), named);
        assert_eq!(read(b"#!wasm enc=base64 name=l config.a=b\nAGFz\nbQEAAAA=\n"), named);
    }

    #[test]
    fn what_is_none_is_named() {
        let check = |code: &str, expected: &str| match Source::read(code.as_bytes()) {
            Err(Refusal::Line(line)) => assert_eq!(line, format!("ERR {expected}"), "{code}"),
            other => panic!("{code}: {other:?}"),
        };
        check("return 1", "Missing library metadata");
        check("#!lua name=l", "Invalid library metadata");
        check("#!lua name=l\nreturn 1", "Engine 'lua' not found");
        check("#!wasm name=l name=m\n", "Invalid library metadata: name=m");
        check("#!wasm nonsense\n", "Invalid library metadata: nonsense");
        check("#!wasm config.a=\n", "Invalid library metadata: config.a=");
        check("#!wasm enc=base64\n!", "Invalid base64");
        let rule = "Library names can only contain letters, numbers, or underscores(_) and must \
                    be at least one character long";
        check("#!wasm name=a-b\n", rule);
        let large = vec![b' '; MODULE_BYTES_MAX + 1];
        let code = format!("#!wasm\n{}", String::from_utf8_lossy(&large));
        check(&code, "Module is too large: 8388609 bytes, the limit is 8388608");
    }
}
