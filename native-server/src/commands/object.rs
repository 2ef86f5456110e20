//! OBJECT: the engine's, but for ENCODING, which goes by the settings of this server.

use ferrite_engine::{Args, Arity, Group, Keys, READ, Reply, docs, find};

use crate::commands::{Result, ServerSpec, container};
use crate::context::Context;

const PART: ServerSpec = ServerSpec {
    name: "object",
    arity: Arity::Exactly(3),
    keys: Keys { first: 2, last: 2, step: 1 },
    flags: READ,
    group: Group::Generic,
    since: docs("2.2.3"),
    syntax: docs("key"),
    summary: docs("Returns how a value is stored, or how it is used."),
    run: container,
};

pub(crate) const COMMANDS: &[ServerSpec] = &[
    ServerSpec { arity: Arity::AtLeast(2), syntax: docs("subcommand [arg ...]"), ..PART },
    ServerSpec {
        name: "object|encoding",
        summary: docs("Returns how a value is stored."),
        run: encoding,
        ..PART
    },
    ServerSpec {
        name: "object|freq",
        since: docs("4.0.0"),
        summary: docs("Returns how often a key is used, as a logarithm."),
        run: |cx, args| ask_engine(cx, b"freq", args),
        ..PART
    },
    ServerSpec {
        name: "object|help",
        arity: Arity::Exactly(2),
        keys: Keys::NONE,
        flags: 0,
        since: docs("6.2.0"),
        syntax: docs(""),
        summary: docs("Prints this help."),
        run: |cx, args| ask_engine(cx, b"help", args),
        ..PART
    },
    ServerSpec {
        name: "object|idletime",
        summary: docs("Returns for how many seconds a key has not been used."),
        run: |cx, args| ask_engine(cx, b"idletime", args),
        ..PART
    },
    ServerSpec {
        name: "object|refcount",
        summary: docs("Returns how many references a value has: one."),
        run: |cx, args| ask_engine(cx, b"refcount", args),
        ..PART
    },
];

fn encoding(cx: &mut Context<'_>, args: &mut Args<'_>) -> Result<()> {
    let key = args.required();
    let encodings = cx.server.config.snapshot().config.encodings;
    match cx.with(|cx| encodings.name(cx, key)) {
        Some(name) => cx.wire.bulk(name.into()),
        None => cx.wire.null(),
    }
    Ok(())
}

fn ask_engine(cx: &mut Context<'_>, part: &[u8], args: &mut Args<'_>) -> Result<()> {
    let Some(row) = find(b"object") else { return Ok(()) };
    let words: Vec<&[u8]> = [part].into_iter().chain(args.as_slice().iter().copied()).collect();
    let Context { held, wire, session, now_ms, .. } = cx;
    let mut words = Args::new(&words);
    held.get(session.database).with(*now_ms, |cx| (row.run)(cx, &mut words, wire))?;
    Ok(())
}
