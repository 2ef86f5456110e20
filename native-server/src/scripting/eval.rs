//! EVAL and its fellows: from a text or a digest to a run.

use std::rc::Rc;
use std::sync::Arc;

use crate::commands::Refusal;
use crate::context::Context;
use crate::functions::host::Kind;
use crate::scripting::machine::Machine;
use crate::scripting::run::{self, Request};
use crate::scripting::scripts::{self, Script, digest};

const NO_SCRIPT: &str = "NOSCRIPT No matching script. Please use EVAL.";

/// Which of the commands it is.
#[derive(Clone, Copy)]
pub struct Form {
    /// As errors and others name it.
    pub name: &'static str,
    /// By its digest.
    pub is_sha: bool,
    /// It may change nothing.
    pub is_read_only: bool,
}

/// Runs a script.
///
/// # Errors
/// The error that is answered.
pub fn eval(
    cx: &mut Context<'_>,
    form: Form,
    source: &[u8],
    keys: &[&[u8]],
    args: &[&[u8]],
    request: &[&[u8]],
) -> Result<(), Refusal> {
    let machine = cx.functions.scripts.machine(cx.server, true)?;
    let (script, number) = match form.is_sha {
        true => find(cx, &machine, source)?,
        false => load(cx, &machine, source)?,
    };
    script.note_use(cx.now_ms);
    let request = Request {
        name: &script.name,
        number: (number, 0),
        declared: &script.declared,
        kind: Kind::Script,
        is_read_only: form.is_read_only,
        may_roam: script.may_roam,
        keys,
        args,
        request,
    };
    run::run(cx, &machine, &request)
}

fn find(
    cx: &Context<'_>,
    machine: &Rc<Machine>,
    digits: &[u8],
) -> Result<(Arc<Script>, u64), Refusal> {
    let sha = scripts::parse(digits).ok_or(NO_SCRIPT)?;
    if let Some(found) = machine.find(&sha) {
        return Ok(found);
    }
    let script = cx.server.scripts.cache.find(&sha).ok_or(NO_SCRIPT)?;
    let number = machine.compile(&script)?;
    Ok((script, number))
}

/// The script of a text, compiled, and in the cache.
///
/// # Errors
/// It cannot be compiled.
pub fn load(
    cx: &Context<'_>,
    machine: &Rc<Machine>,
    text: &[u8],
) -> Result<(Arc<Script>, u64), Refusal> {
    if let Some(found) = machine.find(&digest(text)) {
        return Ok(found);
    }
    let script = Arc::new(Script::new(text)?);
    let number = machine.compile(&script)?;
    let there = cx.server.scripts.cache.add(&script, cx.now_ms);
    if !Arc::ptr_eq(&there, &script) {
        let number = machine.compile(&there)?;
        return Ok((there, number));
    }
    Ok((script, number))
}
