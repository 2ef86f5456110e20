//! OBJECT: the engine's, but for ENCODING, which goes by the settings of this server.

use ferrite_engine::{Args, Arity, Group, Keys, READ, Reply, docs, find};

use crate::commands::{Result, ServerSpec};
use crate::context::Context;

pub(crate) const COMMANDS: &[ServerSpec] = &[ServerSpec {
    name: "object",
    arity: Arity::AtLeast(2),
    keys: Keys { first: 2, last: 2, step: 1 },
    flags: READ,
    group: Group::Generic,
    since: docs("2.2.3"),
    syntax: docs("ENCODING key | FREQ key | IDLETIME key | REFCOUNT key | HELP"),
    summary: docs("Returns how a value is stored, or how it is used."),
    run: object,
}];

fn object(cx: &mut Context<'_>, args: &mut Args<'_>) -> Result<()> {
    if let [subcommand, key] = args.as_slice()
        && subcommand.eq_ignore_ascii_case(b"encoding")
    {
        let encodings = cx.server.config.snapshot().config.encodings;
        match cx.with(|cx| encodings.name(cx, key)) {
            Some(name) => cx.wire.bulk(name.into()),
            None => cx.wire.null(),
        }
        return Ok(());
    }
    let Some(row) = find(b"object") else { return Ok(()) };
    let Context { held, wire, session, now_ms, .. } = cx;
    held.get(session.database).with(*now_ms, |cx| (row.run)(cx, args, wire))?;
    Ok(())
}
