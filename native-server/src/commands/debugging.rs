//! What DEBUG shows of keys and of the protocol, and DEBUG POPULATE.
//!
//! Not here: what Redis's DEBUG does to data structures that this engine has not (HTSTATS,
//! LISTPACK, REPLYBUFFER and others): these are unknown subcommands.

use std::sync::atomic::Ordering;

use ferrite_engine::{Cx, Error, Reply, parse_memory};

use crate::commands::Result;
use crate::commands::digest::{Fingerprint, ask};
use crate::context::Context;
use crate::encoding::{Encodings, PLAIN_NODE_BYTES, PLAIN_NODE_BYTES_MAX};
use crate::glob;
use crate::limits::{MATCHED_BYTES_MAX, POPULATE_KEYS_MAX, POPULATE_STEPS};
use crate::news::Origin;
use crate::number;

/// The lines of DEBUG HELP.
pub const HELP: &[&str] = &[
    "DEBUG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "DIGEST",
    "    Returns a fingerprint of all keys, the same that Redis computes.",
    "DIGEST-VALUE <key> [<key> ...]",
    "    Returns fingerprints of values.",
    "ERROR <string>",
    "    Answers with this error.",
    "LOADAOF",
    "    Reads the append-only log, and takes what it says in place of what is there.",
    "LOG <message>",
    "    Writes a line to the log.",
    "OBJECT <key>",
    "    Shows how a value is stored.",
    "PAUSE-CRON <0|1>",
    "    Whether nothing is done by the clock.",
    "POPULATE <count> [<prefix>] [<size>]",
    "    Sets keys that are missing among prefix:0 to prefix:count-1.",
    "PROTOCOL <type>",
    "    Answers with a reply of this type.",
    "QUICKLIST-PACKED-THRESHOLD <size>",
    "    From which size on OBJECT tells of an element of a list as a node for itself.",
    "RELOAD",
    "    Writes an image of all keys, and takes what it says in their place.",
    "SET-ACTIVE-EXPIRE <0|1>",
    "    Whether keys are dropped without being asked for.",
    "SLEEP <seconds>",
    "    Serves nobody for so long.",
    "STRINGMATCH-LEN <len> <pattern>",
    "    Whether so many letters a match a pattern.",
    "HELP",
    "    Prints this help.",
];

/// Runs a subcommand. False if there is none of this name with so many arguments.
pub fn run(cx: &mut Context<'_>, name: &[u8], arguments: &[&[u8]]) -> Result<bool> {
    match (name.to_ascii_lowercase().as_slice(), arguments) {
        (b"digest", []) => digest(cx),
        (b"digest-value", keys @ [_, ..]) => {
            cx.wire.array(keys.len());
            for key in keys {
                let mut fingerprint = Fingerprint::default();
                cx.with(|cx| fingerprint.add_value(cx, key));
                cx.wire.status(&fingerprint.text());
            }
        }
        (b"error", [text]) => cx.wire.error(&[text]),
        (b"help", []) => {
            cx.wire.array(HELP.len());
            HELP.iter().for_each(|line| cx.wire.status(line));
        }
        (b"log", [text]) => {
            let text = String::from_utf8_lossy(text);
            cx.server.log.warning(format_args!("DEBUG LOG: {text}"));
            cx.wire.ok();
        }
        (b"object", [key]) => {
            let encodings = cx.server.config.snapshot().config.encodings;
            let plain_bytes = cx.server.plain_node_bytes.load(Ordering::Relaxed);
            let plain_bytes = usize::try_from(plain_bytes).unwrap_or(usize::MAX);
            let shown = cx.with(|cx| describe(cx, key, &encodings, plain_bytes));
            cx.wire.status(&shown.ok_or(Error::NoSuchKey)?);
        }
        (b"populate", [count, options @ ..]) if options.len() < 3 => populate(cx, count, options)?,
        (b"protocol", [kind]) => return Ok(show(cx, kind)),
        (b"quicklist-packed-threshold", [size]) => {
            let bytes = parse_memory(size).ok();
            let bytes = bytes
                .filter(|bytes| *bytes <= PLAIN_NODE_BYTES_MAX)
                .ok_or("ERR argument must be a memory value bigger than 1 and smaller than 4gb")?;
            let bytes = if bytes == 0 { PLAIN_NODE_BYTES } else { bytes };
            cx.server.plain_node_bytes.store(bytes, Ordering::Relaxed);
            cx.wire.ok();
        }
        (b"stringmatch-len", [len, pattern]) => {
            let len = number::integer(len).and_then(|len| usize::try_from(len).ok());
            let len = len.filter(|len| *len <= MATCHED_BYTES_MAX);
            let text = vec![b'a'; len.ok_or(Error::NotAnInteger)?];
            cx.wire.integer(glob::matches(pattern, text).into());
        }
        _ => return Ok(false),
    }
    Ok(true)
}

fn digest(cx: &mut Context<'_>) {
    let mut fingerprint = Fingerprint::default();
    cx.held.take_all();
    let now_ms = cx.now_ms;
    for index in 0..cx.server.databases.count() {
        cx.held.get(index).with(now_ms, |cx| fingerprint.add_database(index, cx));
    }
    if !cx.is_in_exec {
        cx.held.release();
    }
    cx.wire.status(&fingerprint.text());
}

/// How a value is stored, in Redis's words. Nothing here has an address or is shared.
fn describe(
    cx: &mut Cx<'_>,
    key: &[u8],
    encodings: &Encodings,
    plain_bytes: usize,
) -> Option<String> {
    // First of all, since to look at a value is to use it.
    let idle_s = ask(cx, "OBJECT", &[b"IDLETIME", key]).pop().unwrap_or_else(|| b"0".into());
    let idle_s = String::from_utf8_lossy(&idle_s);
    let encoding = encodings.name(cx, key)?;
    // Redis counts neither the type in front of the value nor version and checksum behind it.
    let payload = ask(cx, "DUMP", &[key]).pop()?.len().saturating_sub(1 + 2 + 8);
    Some(format!(
        "Value at:0x0 refcount:1 encoding:{encoding} serializedlength:{payload} lru:0 \
         lru_seconds_idle:{idle_s}{}",
        encodings.nodes(cx, key, plain_bytes),
    ))
}

/// A reply of a type, for those who write clients: the same that Redis gives.
fn show(cx: &mut Context<'_>, kind: &[u8]) -> bool {
    let wire = &mut cx.wire;
    match kind.to_ascii_lowercase().as_slice() {
        b"string" => wire.text("Hello World"),
        b"integer" => wire.integer(12345),
        b"double" => wire.double("3.141".into()),
        b"null" => wire.null(),
        b"array" => {
            wire.array(3);
            (0..3).for_each(|number| wire.integer(number));
        }
        b"set" => {
            wire.set(3);
            (0..3).for_each(|number| wire.integer(number));
        }
        b"map" => {
            wire.map(3);
            for number in 0..3 {
                wire.integer(number);
                wire.boolean(number == 1);
            }
        }
        b"attrib" => {
            if wire.attributes(1) {
                wire.text("key-popularity");
                wire.array(2);
                wire.text("key:123");
                wire.integer(90);
            }
            wire.text("Some real reply following the attribute");
        }
        b"push" => {
            wire.push(2);
            wire.text("server-cpu-usage");
            wire.integer(42);
        }
        b"verbatim" => wire.verbatim("This is a verbatim\nstring"),
        b"true" => wire.boolean(true),
        b"false" => wire.boolean(false),
        b"bignum" => wire.big_number("1234567999999999999999999999999999999"),
        _ => return false,
    }
    true
}

fn populate(cx: &mut Context<'_>, count: &[u8], options: &[&[u8]]) -> Result<()> {
    let number = |text: &[u8]| number::integer(text).and_then(|number| u64::try_from(number).ok());
    let range = "ERR value is out of range, must be positive";
    let count = number(count).filter(|count| *count <= POPULATE_KEYS_MAX).ok_or(range)?;
    let prefix = options.first().copied().unwrap_or(b"key");
    let len = options.get(1).map(|size| number(size).ok_or(range)).transpose()?;
    let len = len.map(|len| usize::try_from(len).unwrap_or(usize::MAX));
    if len.is_some_and(|len| len > ferrite_engine::limits::VALUE_BYTES_MAX) {
        return Err(range.into());
    }
    let origin = Origin { command: "debug", client: cx.session.client.id, ..Origin::default() };
    let (index, now_ms) = (cx.session.database, cx.now_ms);
    for number in 0..count {
        let key = [prefix, b":", number.to_string().as_bytes()].concat();
        let mut value = format!("value:{number}").into_bytes();
        if let Some(len) = len {
            value.resize(len, 0);
        }
        cx.held.get(index).with_origin(origin, now_ms, |cx| match cx.exists(&key) {
            true => Ok(()),
            false => cx.set(&key, &value, &Default::default()).map(|_| ()),
        })?;
        if number % POPULATE_STEPS == POPULATE_STEPS - 1 && !cx.is_in_exec {
            // Others get their chance.
            cx.held.release();
        }
    }
    cx.wire.ok();
    Ok(())
}
