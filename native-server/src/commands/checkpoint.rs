//! SAVE, BGSAVE, LASTSAVE and SHUTDOWN: checkpoints by command.

use ferrite_engine::{Args, Arity, Error, FAST, Reply, docs};

use crate::checkpoint::saver;
use crate::commands::flags::{ADMIN, NO_MULTI, NO_SCRIPT};
use crate::commands::{ROW, Result, ServerSpec};
use crate::context::Context;
use crate::ending::Ending;

const ADMIN_ROW: ServerSpec = ServerSpec { flags: ADMIN | NO_SCRIPT, ..ROW };

pub(crate) const COMMANDS: &[ServerSpec] = &[
    ServerSpec {
        name: "bgsave",
        arity: Arity::AtLeast(1),
        syntax: docs("[SCHEDULE]"),
        summary: docs("Begins a checkpoint of all databases, which is written meanwhile."),
        run: bgsave,
        ..ADMIN_ROW
    },
    ServerSpec {
        name: "lastsave",
        arity: Arity::Exactly(1),
        flags: FAST,
        summary: docs("Returns when the last checkpoint was taken, in seconds."),
        run: |cx, _| {
            cx.wire.integer(cx.server.saver.saved_s());
            Ok(())
        },
        ..ROW
    },
    ServerSpec {
        name: "save",
        arity: Arity::Exactly(1),
        flags: ADMIN | NO_SCRIPT | NO_MULTI,
        summary: docs("Takes a checkpoint of all databases, and answers when it is on the disk."),
        run: save,
        ..ROW
    },
    ServerSpec {
        name: "shutdown",
        arity: Arity::AtLeast(1),
        flags: ADMIN | NO_SCRIPT | NO_MULTI,
        syntax: docs("[NOSAVE | SAVE] [NOW] [FORCE] [ABORT]"),
        summary: docs("Ends the server, after a checkpoint if there are rules for them."),
        run: shutdown,
        ..ROW
    },
];

fn save(cx: &mut Context<'_>, _: &mut Args<'_>) -> Result<()> {
    cx.held.release();
    saver::save_now(cx.server)?;
    cx.wire.ok();
    Ok(())
}

fn bgsave(cx: &mut Context<'_>, args: &mut Args<'_>) -> Result<()> {
    let schedules = match args.next() {
        None => false,
        Some(option) if option.eq_ignore_ascii_case(b"schedule") && args.len() == 0 => true,
        Some(_) => return Err(Error::Syntax.into()),
    };
    if cx.is_in_exec {
        saver::schedule(cx.server);
        cx.wire.simple("Background saving scheduled");
        return Ok(());
    }
    cx.wire.simple(saver::save_in_background(cx.server, schedules)?);
    Ok(())
}

fn shutdown(cx: &mut Context<'_>, args: &mut Args<'_>) -> Result<()> {
    // Whoever is heard was not shut down: that waits for nobody.
    if matches!(args.as_slice(), [option] if option.eq_ignore_ascii_case(b"abort")) {
        return Err("ERR No shutdown in progress.".into());
    }
    let ending = Ending::read(args.as_slice().iter().copied()).ok_or(Error::Syntax)?;
    cx.held.release();
    ending.carry_out(cx.server)?;
    cx.session.is_closing = true;
    Ok(())
}
