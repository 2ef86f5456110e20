//! What a module says of its functions: the custom section `ferrite.udf`.
//!
//! Invariant: a [`Declaration`] is consistent in itself; whether the module has what it names is
//! looked at elsewhere (check.rs).

use std::collections::HashSet;

use serde_derive::Deserialize;

use crate::commands::Refusal;
use crate::limits::functions::{
    DESCRIPTION_BYTES_MAX, FUNCTIONS_MAX, METADATA_BYTES_MAX, NAME_BYTES_MAX, PARAMETERS_MAX,
};

/// The version of the contract.
pub const ABI: u64 = 1;

/// What a parameter stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The next key.
    Key,
    /// All further keys.
    Keys,
    /// The next argument.
    Arg,
    /// All further arguments.
    Args,
}

/// What a parameter is passed as.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Type {
    /// An integer.
    I64,
    /// A number with decimals.
    F64,
    /// Text in UTF-8.
    Str,
    /// Any bytes.
    Bytes,
}

impl Type {
    /// Its name in the metadata.
    pub fn name(self) -> &'static str {
        match self {
            Type::I64 => "i64",
            Type::F64 => "f64",
            Type::Str => "str",
            Type::Bytes => "bytes",
        }
    }
}

/// A parameter.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// What it stands for.
    pub role: Role,
    /// What it is passed as.
    #[serde(rename = "type")]
    pub kind: Type,
    /// Whether it may be missing.
    #[serde(default)]
    pub optional: bool,
}

/// What a function returns.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// An integer.
    I64,
    /// A number with decimals.
    F64,
    /// Where a string is.
    Bytes,
    /// Where a reply is.
    Reply,
    /// Nothing.
    None,
}

impl Outcome {
    /// Its name in the metadata.
    pub fn name(self) -> &'static str {
        match self {
            Outcome::I64 => "i64",
            Outcome::F64 => "f64",
            Outcome::Bytes => "bytes",
            Outcome::Reply => "reply",
            Outcome::None => "none",
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum EntryKind {
    #[default]
    Typed,
    Generic,
}

/// How a function is called.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Signature {
    /// With parameters of their own.
    Typed(Vec<Parameter>, Outcome),
    /// With all keys and arguments in one block.
    Generic,
}

/// A restriction or a permission of a function.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Flag {
    /// It changes nothing.
    NoWrites,
    /// It may be called when memory is short.
    AllowOom,
    /// It may be called on stale data.
    AllowStale,
    /// It is not for clusters.
    NoCluster,
    /// Its keys may be of several hash slots.
    AllowCrossSlotKeys,
    /// Every call gets a new instance.
    Fresh,
}

impl Flag {
    /// Its name in the metadata, and in FUNCTION LIST.
    pub fn name(self) -> &'static str {
        match self {
            Flag::NoWrites => "no-writes",
            Flag::AllowOom => "allow-oom",
            Flag::AllowStale => "allow-stale",
            Flag::NoCluster => "no-cluster",
            Flag::AllowCrossSlotKeys => "allow-cross-slot-keys",
            Flag::Fresh => "fresh",
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    abi: u64,
    library: Option<String>,
    version: Option<String>,
    name: String,
    export: Option<String>,
    #[serde(default)]
    entry: EntryKind,
    params: Option<Vec<Parameter>>,
    result: Option<Outcome>,
    #[serde(default)]
    flags: Vec<Flag>,
    deadline_ms: Option<u64>,
    fuel: Option<u64>,
    description: Option<String>,
}

/// A function as its module declares it.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "as in the contract")]
pub struct Declaration {
    pub name: String,
    pub export: String,
    pub signature: Signature,
    pub flags: Vec<Flag>,
    pub deadline_ms: Option<u64>,
    pub fuel: Option<u64>,
    pub description: Option<String>,
}

impl Declaration {
    /// A function that takes anything.
    pub fn generic(name: &str) -> Declaration {
        Declaration {
            name: name.into(),
            export: name.into(),
            signature: Signature::Generic,
            flags: Vec::new(),
            deadline_ms: None,
            fuel: None,
            description: None,
        }
    }

    /// Whether it has a flag.
    pub fn has(&self, flag: Flag) -> bool {
        self.flags.contains(&flag)
    }
}

/// All that a module declares.
#[derive(Clone, Default, Debug)]
pub struct Metadata {
    /// The library's name.
    pub library: Option<String>,
    /// The library's version.
    pub version: Option<String>,
    /// Its functions.
    pub functions: Vec<Declaration>,
}

impl Metadata {
    /// Reads the section.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(section: &[u8]) -> Result<Metadata, Refusal> {
        if section.len() > METADATA_BYTES_MAX {
            return Err(fault(format!("it is longer than {METADATA_BYTES_MAX} bytes")));
        }
        let mut metadata = Metadata::default();
        let mut names = HashSet::new();
        let text = std::str::from_utf8(section).map_err(|_| fault("it is not valid UTF-8"))?;
        // The version first: what another one means by its fields is not known.
        for value in serde_json::Deserializer::from_str(text).into_iter::<serde_json::Value>() {
            let value = value.map_err(|error| fault(error.to_string()))?;
            match value.get("abi").and_then(serde_json::Value::as_u64) {
                Some(ABI) | None => {}
                Some(other) => return Err(other_abi(other)),
            }
        }
        for record in serde_json::Deserializer::from_str(text).into_iter::<Record>() {
            let record = record.map_err(|error| fault(error.to_string()))?;
            if record.abi != ABI {
                return Err(other_abi(record.abi));
            }
            agree(&mut metadata.library, &record.library, "library")?;
            agree(&mut metadata.version, &record.version, "version")?;
            if !names.insert(record.name.clone()) {
                return Err(format!("ERR Function '{}' already exists", record.name).into());
            }
            metadata.functions.push(declaration(record)?);
            if metadata.functions.len() > FUNCTIONS_MAX {
                return Err(fault(format!("it has more than {FUNCTIONS_MAX} functions")));
            }
        }
        if metadata.version.as_ref().is_some_and(|version| version.len() > NAME_BYTES_MAX) {
            return Err(fault(format!("'version' is longer than {NAME_BYTES_MAX} bytes")));
        }
        Ok(metadata)
    }
}

/// Whether a library, a function or a parameter may be called so.
pub fn is_name(name: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    (1..=NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(is_letter)
}

fn other_abi(abi: u64) -> Refusal {
    format!("ERR Module is for ABI {abi}, this server has {ABI}").into()
}

fn fault(what: impl std::fmt::Display) -> Refusal {
    format!("ERR Metadata: {what}").into()
}

fn agree(known: &mut Option<String>, other: &Option<String>, field: &str) -> Result<(), Refusal> {
    match (&*known, other) {
        (_, None) => Ok(()),
        (Some(known), Some(other)) if known != other => {
            Err(fault(format!("'{field}' is '{known}' and '{other}'")))
        }
        _ => {
            known.clone_from(other);
            Ok(())
        }
    }
}

fn declaration(record: Record) -> Result<Declaration, Refusal> {
    let Record { name, entry, params, result, flags, deadline_ms, fuel, description, .. } = record;
    let of = |what: &str| fault(format!("function '{name}': {what}"));
    if !is_name(&name) {
        return Err(of("a name is 1 to 64 letters, digits and underscores"));
    }
    let signature = match (entry, params, result) {
        (EntryKind::Generic, None, None) => Signature::Generic,
        (EntryKind::Generic, ..) => {
            return Err(of("a generic function has neither 'params' nor 'result'"));
        }
        (EntryKind::Typed, None, _) => return Err(of("it lacks 'params'")),
        (EntryKind::Typed, _, None) => return Err(of("it lacks 'result'")),
        (EntryKind::Typed, Some(params), Some(result)) => {
            check_parameters(&params).map_err(|what| of(&what))?;
            Signature::Typed(params, result)
        }
    };
    if deadline_ms == Some(0) {
        return Err(of("'deadline_ms' is 0"));
    }
    if fuel == Some(0) {
        return Err(of("'fuel' is 0"));
    }
    if description.as_ref().is_some_and(|text| text.len() > DESCRIPTION_BYTES_MAX) {
        return Err(of("'description' is longer than 512 bytes"));
    }
    let export = record.export.unwrap_or_else(|| name.clone());
    Ok(Declaration { name, export, signature, flags, deadline_ms, fuel, description })
}

fn check_parameters(parameters: &[Parameter]) -> Result<(), String> {
    if parameters.len() > PARAMETERS_MAX {
        return Err(format!("it has more than {PARAMETERS_MAX} parameters"));
    }
    let mut names = HashSet::new();
    let (mut has_keys, mut has_args, mut has_optional) = (false, false, false);
    for parameter in parameters {
        let name = &parameter.name;
        if !is_name(name) {
            let rule = "a name is 1 to 64 letters, digits and underscores";
            return Err(format!("parameter '{name}': {rule}"));
        }
        if !names.insert(name) {
            return Err(format!("parameter '{name}' is there twice"));
        }
        let is_number = matches!(parameter.kind, Type::I64 | Type::F64);
        if is_number && parameter.role != Role::Arg {
            return Err(format!("parameter '{name}': only an 'arg' is a number"));
        }
        if parameter.optional && parameter.role != Role::Arg {
            return Err(format!("parameter '{name}': only an 'arg' is optional"));
        }
        let is_behind = match parameter.role {
            Role::Key => has_keys,
            Role::Keys => std::mem::replace(&mut has_keys, true),
            Role::Arg => has_args,
            Role::Args => std::mem::replace(&mut has_args, true),
        };
        if is_behind {
            return Err(format!("parameter '{name}' stands behind one that takes all"));
        }
        if parameter.role == Role::Arg {
            if has_optional && !parameter.optional {
                return Err(format!("parameter '{name}' stands behind an optional one"));
            }
            has_optional |= parameter.optional;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(section: &str, expected: &str) {
        let line = match Metadata::read(section.as_bytes()) {
            Err(Refusal::Line(line)) => line.into_owned(),
            other => panic!("{section}: {:?}", other.map(|metadata| metadata.functions)),
        };
        assert!(line.starts_with(expected), "{section}: {line}");
    }

    const SOUND: &str = r#"{"abi":1,"library":"l","name":"f","params":[
        {"name":"k","role":"key","type":"str"},{"name":"a","role":"arg","type":"i64"},
        {"name":"b","role":"arg","type":"f64","optional":true}],"result":"reply",
        "flags":["no-writes"],"deadline_ms":5}"#;

    #[test]
    fn records_stand_one_behind_the_other() {
        let second = r#"{"abi":1,"name":"g","entry":"generic","export":"h"}"#;
        let metadata = Metadata::read(format!("{SOUND}\n{second}").as_bytes()).expect("sound");
        assert_eq!(metadata.library.as_deref(), Some("l"));
        assert!(metadata.functions[0].has(Flag::NoWrites));
        assert_eq!(metadata.functions[0].export, "f");
        assert_eq!(metadata.functions[1].export, "h");
        assert_eq!(metadata.functions[1].signature, Signature::Generic);
    }

    #[test]
    fn what_is_wrong_is_named() {
        check(r#"{"abi":2,"name":"f","of":"later"}"#, "ERR Module is for ABI 2, this server has 1");
        check(r#"{"abi":1,"name":"f","surprise":1}"#, "ERR Metadata: unknown field `surprise`");
        check(r#"{"abi":1,"abi":1,"name":"f"}"#, "ERR Metadata: duplicate field `abi`");
        check(r#"{"abi":1,"name":"f","params":[],"result":"none","fuel":1.5}"#, "ERR Metadata: ");
        check("{", "ERR Metadata: EOF");
        check("[1]", "ERR Metadata: ");
        check(r#"{"abi":1,"name":"f"}"#, "ERR Metadata: function 'f': it lacks 'params'");
        check(
            r#"{"abi":1,"name":"f g","params":[],"result":"none"}"#,
            "ERR Metadata: function 'f g': a name is 1 to 64",
        );
        check(&format!("{SOUND}{SOUND}"), "ERR Function 'f' already exists");
        check(
            &SOUND
                .replace("\"i64\"", "\"i64\",\"optional\":true")
                .replace(",\"optional\":true}]", "}]"),
            "ERR Metadata: function 'f': parameter 'b' stands behind an optional one",
        );
        check(
            &SOUND.replace("\"key\"", "\"keys\"").replace("\"str\"", "\"i64\""),
            "ERR Metadata: function 'f': parameter 'k': only an 'arg' is a number",
        );
        let other = SOUND.replace("\"l\"", "\"m\"").replace("\"f\"", "\"g\"");
        check(&format!("{SOUND}{other}"), "ERR Metadata: 'library' is 'l' and 'm'");
    }
}
