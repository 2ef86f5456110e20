//! A function's record for the section `ferrite.udf`: one JSON object, one line.

use std::env;
use std::fmt::Write;

use syn::{Attribute, Expr, Lit, Meta};

use crate::options::Options;
use crate::signature::{Kind, Parameter, Returned, Role};

/// The crate that is compiled.
pub struct Crate {
    pub name: String,
    pub version: String,
}

impl Crate {
    pub fn of_environment() -> Crate {
        let variable = |name| env::var(name).unwrap_or_default();
        Crate { name: variable("CARGO_CRATE_NAME"), version: variable("CARGO_PKG_VERSION") }
    }
}

/// The whole record, with the end of its line.
pub fn record(
    krate: &Crate,
    options: &Options,
    names: (&str, &str),
    parameters: &[Parameter],
    returned: Returned,
    description: &str,
) -> String {
    let (name, export) = names;
    let mut json = String::from(r#"{"abi":1"#);
    let mut text = |field: &str, value: &str| {
        if !value.is_empty() {
            write!(json, ",{}:{}", quoted(field), quoted(value)).expect("a string takes all");
        }
    };
    text("library", options.library.as_deref().unwrap_or(&krate.name));
    text("version", &krate.version);
    text("name", name);
    text("export", export);
    text("description", description);
    let parameters: Vec<String> = parameters.iter().map(parameter).collect();
    let result = match returned {
        Returned::Int => "i64",
        Returned::Double => "f64",
        Returned::Reply => "reply",
        Returned::Nothing => "none",
    };
    let flags: Vec<String> = options.flags.iter().map(|flag| quoted(flag)).collect();
    json += &format!(
        r#","params":[{}],"result":"{result}","flags":[{}]"#,
        parameters.join(","),
        flags.join(",")
    );
    for (field, value) in [("deadline_ms", options.deadline_ms), ("fuel", options.fuel)] {
        if let Some(value) = value {
            json += &format!(r#","{field}":{value}"#);
        }
    }
    json + "}\n"
}

fn parameter(parameter: &Parameter) -> String {
    let role = match parameter.role {
        Role::Key => "key",
        Role::Keys => "keys",
        Role::Arg => "arg",
        Role::Args => "args",
    };
    let kind = match parameter.kind {
        Kind::Int => "i64",
        Kind::Double => "f64",
        Kind::Str => "str",
        Kind::Bytes => "bytes",
    };
    let optional = if parameter.is_optional { r#","optional":true"# } else { "" };
    let name = quoted(&parameter.name.to_string());
    format!(r#"{{"name":{name},"role":"{role}","type":"{kind}"{optional}}}"#)
}

const DESCRIPTION_BYTES_MAX: usize = 512;

/// The first paragraph of the documentation, on one line.
pub fn description(attributes: &[Attribute]) -> String {
    let lines = attributes.iter().filter(|attribute| attribute.path().is_ident("doc"));
    let lines = lines.filter_map(|attribute| match &attribute.meta {
        Meta::NameValue(pair) => match &pair.value {
            Expr::Lit(literal) => match &literal.lit {
                Lit::Str(text) => Some(text.value().trim().to_string()),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    });
    let paragraph: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
    let mut text = paragraph.join(" ");
    text.truncate(text.floor_char_boundary(DESCRIPTION_BYTES_MAX));
    text
}

/// A JSON string.
fn quoted(text: &str) -> String {
    let mut json = String::from('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => json.extend(['\\', character]),
            character if character < ' ' => json += &format!("\\u{:04x}", character as u32),
            character => json.push(character),
        }
    }
    json.push('"');
    json
}
