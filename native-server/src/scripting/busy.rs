//! What others may do while a script runs for long, and how it is ended.

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use crate::client::state;
use crate::commands::flags::ALLOW_BUSY;
use crate::commands::{Command, Refusal};
use crate::context::Context;
use crate::functions::host::Kind;
use crate::limits::scripting::QUANTUM_MS;
use crate::server::Server;

const BUSY_SCRIPT: &str = "BUSY Redis is busy running a script. You can only call SCRIPT KILL or \
                           SHUTDOWN NOSAVE.";
const BUSY_FUNCTION: &str = "BUSY Redis is busy running a script. You can only call FUNCTION KILL \
                             or SHUTDOWN NOSAVE.";
const UNKILLABLE: &str = "UNKILLABLE Sorry the script already executed write commands against the \
                          dataset. You can either wait the script termination or kill the server \
                          in a hard way using the SHUTDOWN NOSAVE command.";

fn line(kind: Kind) -> &'static str {
    if kind == Kind::Script { BUSY_SCRIPT } else { BUSY_FUNCTION }
}

/// Looks whether a command may run now. True if it has to wait for a while.
///
/// # Errors
/// It has waited for long enough.
pub fn hold_up(
    cx: &mut Context<'_>,
    command: &Command,
    request: &[&[u8]],
) -> Result<bool, Refusal> {
    if !cx.server.gate.is_busy() || may_run(cx, command, request) {
        return Ok(false);
    }
    let running = cx.server.functions.running();
    let Some(script) = running.iter().find(|running| running.kind != Kind::Module) else {
        return Ok(false);
    };
    let threshold_ms = u64::try_from(cx.config.busy_reply_threshold_ms).unwrap_or_default();
    let patience = Duration::from_millis(threshold_ms);
    if threshold_ms > 0 && script.started.elapsed() >= patience {
        return Err(line(script.kind).into());
    }
    cx.session.paused_until = Some(Instant::now() + Duration::from_millis(QUANTUM_MS));
    cx.session.client.set(state::BLOCKED, true);
    Ok(true)
}

/// Commands that need no database, and end what is in the way.
fn may_run(cx: &Context<'_>, command: &Command, request: &[&[u8]]) -> bool {
    let is = |word: &[u8]| request.iter().any(|other| other.eq_ignore_ascii_case(word));
    if command.name == "shutdown" {
        return is(b"nosave");
    }
    // Whoever watches keys would have to lock them to watch them no more.
    command.has(ALLOW_BUSY) && cx.session.watch.is_none()
}

/// SCRIPT KILL, and FUNCTION KILL where the function is a script.
///
/// # Errors
/// There is none, it is of the other kind, or it has written.
pub fn kill(server: &Server, wanted: Kind) -> Result<(), Refusal> {
    let running = server.functions.running();
    let scripts = || running.iter().filter(|running| running.kind != Kind::Module);
    if scripts().any(|running| running.has_written.load(Relaxed)) {
        return Err(UNKILLABLE.into());
    }
    let mut others = None;
    let mut is_any = false;
    for script in scripts() {
        if script.kind == wanted {
            script.is_killed.store(true, Relaxed);
            is_any = true;
        } else {
            others = Some(script.kind);
        }
    }
    match (is_any, others) {
        (true, _) => Ok(()),
        (false, Some(kind)) => Err(line(kind).into()),
        (false, None) => Err("NOTBUSY No scripts in execution right now.".into()),
    }
}
