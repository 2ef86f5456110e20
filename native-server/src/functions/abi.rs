//! The host functions of ABI 1, as docs/functions.md describes them.
//!
//! Invariant: what is wrong with the guest is a trap, what is wrong with a key or a command is a
//! code; the keyspace is changed only behind [`Call::admit_write`].

use std::ops::Range;

use ferrite_engine::{Condition, Error, Expiry, SetOptions, Ttl};
use wasmtime::{Caller, Linker, Result};

use crate::functions::call::{Call, code, copy_value};
use crate::functions::command;
use crate::functions::failure::{Halt, error_line};
use crate::functions::host::{Frame, Host, allocate, note_written};
use crate::functions::metadata::is_name;

type Guest<'a> = Caller<'a, Host>;

/// The modules that the functions can be imported from.
const MODULES: [&str; 2] = ["ferrite", "env"];

/// Gives a linker the host functions.
///
/// # Errors
/// Those of the linker, for a name that is there twice.
pub fn link(linker: &mut Linker<Host>) -> Result<()> {
    for module in MODULES {
        linker.func_wrap(module, "ferrite_get", get)?;
        linker.func_wrap(module, "ferrite_get_into", get_into)?;
        linker.func_wrap(module, "ferrite_set", set)?;
        linker.func_wrap(module, "ferrite_set_ttl", set_ttl)?;
        linker.func_wrap(module, "ferrite_del", del)?;
        linker.func_wrap(module, "ferrite_exists", exists)?;
        linker.func_wrap(module, "ferrite_expire", expire)?;
        linker.func_wrap(module, "ferrite_ttl", ttl)?;
        linker.func_wrap(module, "ferrite_incr_by", incr_by)?;
        linker.func_wrap(module, "ferrite_hget", hget)?;
        linker.func_wrap(module, "ferrite_hset", hset)?;
        linker.func_wrap(module, "ferrite_call", command::call)?;
        linker.func_wrap(module, "ferrite_reply_read", reply_read)?;
        linker.func_wrap(module, "ferrite_fail", fail)?;
        linker.func_wrap(module, "ferrite_log", log)?;
        linker.func_wrap(module, "ferrite_metric", metric)?;
        linker.func_wrap(module, "ferrite_config_get", config_get)?;
        linker.func_wrap(module, "ferrite_now_ms", now_ms)?;
        linker.func_wrap(module, "ferrite_random", random)?;
    }
    Ok(())
}

/// A code, from the places where one ends a host function early.
fn code_or<T>(outcome: Result<T, i64>, and: impl FnOnce(T) -> i64) -> i64 {
    match outcome {
        Ok(value) => and(value),
        Err(code) => code,
    }
}

/// A host function whose only text is a key.
#[inline]
fn on_key<T>(
    mut guest: Guest<'_>,
    name: &'static str,
    (key, key_len): (u32, u32),
    act: impl FnOnce(&mut Call, &[u8]) -> T,
) -> Result<T> {
    let mut frame = Frame::new(&mut guest, name)?;
    let key = frame.range(key, key_len)?;
    let ([key], call) = frame.texts([key])?;
    Ok(act(call, key))
}

fn get(mut guest: Guest<'_>, key: u32, key_len: u32) -> Result<i64> {
    let mut frame = Frame::new(&mut guest, "ferrite_get")?;
    let key = frame.range(key, key_len)?;
    let ([key], call) = frame.texts([key])?;
    let outcome = read(call, key, "get");
    if outcome < 0 {
        return Ok(outcome);
    }
    let len = outcome as usize;
    let Some(address) = allocate(&mut guest, len)? else { return out_of_memory(&mut guest) };
    let mut frame = Frame::new(&mut guest, "ferrite_get")?;
    frame.deliver(address..address + len)?;
    Ok((address as i64) << 32 | len as i64)
}

fn out_of_memory(guest: &mut Guest<'_>) -> Result<i64> {
    let mut frame = Frame::new(guest, "ferrite_get")?;
    let (_, call) = frame.call()?;
    let line = format!("ERR function '{}' is out of memory", call.function);
    Ok(call.refuse(code::GUEST_OOM, &line))
}

/// Copies the string at a key into the call's `scratch`: its length, or a code.
fn read(call: &mut Call, key: &[u8], command: &'static str) -> i64 {
    if let Err(code) = call.admit(command, key) {
        return code;
    }
    let mut scratch = std::mem::take(&mut call.scratch);
    let mut cx = call.cx(command);
    let outcome = cx.get(key).map(|value| match value {
        Some(value) => {
            copy_value(&value, &mut scratch);
            scratch.len() as i64
        }
        None => code::NIL,
    });
    call.scratch = scratch;
    outcome.unwrap_or_else(|error| call.refuse_error(error, command))
}

fn get_into(mut guest: Guest<'_>, key: u32, key_len: u32, dst: u32, capacity: u32) -> Result<i64> {
    let mut frame = Frame::new(&mut guest, "ferrite_get_into")?;
    let (key, into) = (frame.range(key, key_len)?, frame.range(dst, capacity)?);
    let (memory, call, written) = frame.split()?;
    let key = memory.get(key).unwrap_or_default();
    if let Err(code) = call.admit("get", key) {
        return Ok(code);
    }
    let mut cx = call.cx("get");
    let value = match cx.get(key) {
        Ok(Some(value)) => value,
        Ok(None) => return Ok(code::NIL),
        Err(error) => return Ok(call.refuse_error(error, "get")),
    };
    let len = value.len();
    if len <= into.len()
        && let Some(mut place) = memory.get_mut(into.start..into.start + len)
    {
        note_written(written, into.start..into.start + len);
        for part in value.parts() {
            let (here, rest) = place.split_at_mut(part.len().min(place.len()));
            here.copy_from_slice(part);
            place = rest;
        }
    }
    Ok(len as i64)
}

fn put(frame: &mut Frame<'_>, ranges: [Range<usize>; 2], options: &SetOptions) -> Result<i32> {
    let ([key, value], call) = frame.texts(ranges)?;
    if let Err(code) = call.admit_write("set", key, key.len() + value.len()) {
        return Ok(code as i32);
    }
    let outcome = call.cx("set").set(key, value, options);
    Ok(outcome.map_or_else(|error| call.refuse_error(error, "set") as i32, |_| 0))
}

fn set(mut guest: Guest<'_>, key: u32, key_len: u32, value: u32, value_len: u32) -> Result<i32> {
    let mut frame = Frame::new(&mut guest, "ferrite_set")?;
    let ranges = [frame.range(key, key_len)?, frame.range(value, value_len)?];
    put(&mut frame, ranges, &SetOptions { condition: Condition::Always, expiry: Expiry::Keep })
}

fn set_ttl(
    mut guest: Guest<'_>,
    key: u32,
    key_len: u32,
    value: u32,
    value_len: u32,
    ttl_ms: i64,
) -> Result<i32> {
    let mut frame = Frame::new(&mut guest, "ferrite_set_ttl")?;
    let ranges = [frame.range(key, key_len)?, frame.range(value, value_len)?];
    let (_, call) = frame.call()?;
    let deadline = call.now_ms.checked_add(ttl_ms).filter(|_| ttl_ms >= 0);
    let Some(deadline) = deadline else {
        return Ok(call.refuse_error(Error::InvalidExpire, "set") as i32);
    };
    let expiry = if ttl_ms == 0 { Expiry::Never } else { Expiry::At(deadline) };
    put(&mut frame, ranges, &SetOptions { condition: Condition::Always, expiry })
}

fn del(guest: Guest<'_>, key: u32, key_len: u32) -> Result<i32> {
    on_key(guest, "ferrite_del", (key, key_len), |call, key| {
        let outcome = call.admit_write("del", key, key.len());
        code_or(outcome, |()| call.cx("del").del(key).into()) as i32
    })
}

fn exists(guest: Guest<'_>, key: u32, key_len: u32) -> Result<i32> {
    on_key(guest, "ferrite_exists", (key, key_len), |call, key| {
        let outcome = call.admit("exists", key);
        code_or(outcome, |_| call.cx("exists").exists(key).into()) as i32
    })
}

fn expire(guest: Guest<'_>, key: u32, key_len: u32, ttl_ms: i64) -> Result<i32> {
    on_key(guest, "ferrite_expire", (key, key_len), |call, key| {
        if let Err(code) = call.admit_write("pexpire", key, key.len()) {
            return code as i32;
        }
        let Some(deadline) = call.now_ms.checked_add(ttl_ms) else {
            return call.refuse_error(Error::InvalidExpire, "pexpire") as i32;
        };
        let outcome = call.cx("pexpire").expire_at(key, deadline, &Default::default());
        outcome.map_or_else(|error| call.refuse_error(error, "pexpire") as i32, i32::from)
    })
}

fn ttl(guest: Guest<'_>, key: u32, key_len: u32) -> Result<i64> {
    on_key(guest, "ferrite_ttl", (key, key_len), |call, key| {
        let outcome = call.admit("pttl", key);
        code_or(outcome, |_| match call.cx("pttl").ttl(key) {
            Ttl::Missing => code::NIL,
            Ttl::Forever => i64::MAX,
            Ttl::Left(ms) => ms,
        })
    })
}

fn incr_by(mut guest: Guest<'_>, key: u32, key_len: u32, by: i64, out: u32) -> Result<i32> {
    let mut frame = Frame::new(&mut guest, "ferrite_incr_by")?;
    let (key, out) = (frame.range(key, key_len)?, frame.range(out, 8)?);
    let ([key], call) = frame.texts([key])?;
    if let Err(code) = call.admit_write("incrby", key, key.len() + 8) {
        return Ok(code as i32);
    }
    match call.cx("incrby").incr_by(key, by) {
        Ok(number) => {
            frame.write(out, &number.to_le_bytes());
            Ok(0)
        }
        Err(error) => Ok(call.refuse_error(error, "incrby") as i32),
    }
}

fn hget(
    mut guest: Guest<'_>,
    key: u32,
    key_len: u32,
    field: u32,
    field_len: u32,
    dst: u32,
    capacity: u32,
) -> Result<i64> {
    let mut frame = Frame::new(&mut guest, "ferrite_hget")?;
    let (key, field) = (frame.range(key, key_len)?, frame.range(field, field_len)?);
    let into = frame.range(dst, capacity)?;
    let ([key, field], call) = frame.texts([key, field])?;
    if let Err(code) = call.admit("hget", key) {
        return Ok(code);
    }
    let mut scratch = std::mem::take(&mut call.scratch);
    let mut cx = call.cx("hget");
    let outcome =
        cx.hget(key, field).map(|value| value.map(|value| copy_value(&value, &mut scratch)));
    call.scratch = scratch;
    match outcome {
        Ok(Some(())) => frame.deliver(into),
        Ok(None) => Ok(code::NIL),
        Err(error) => Ok(call.refuse_error(error, "hget")),
    }
}

fn hset(
    mut guest: Guest<'_>,
    key: u32,
    key_len: u32,
    field: u32,
    field_len: u32,
    value: u32,
    value_len: u32,
) -> Result<i32> {
    let mut frame = Frame::new(&mut guest, "ferrite_hset")?;
    let (key, field) = (frame.range(key, key_len)?, frame.range(field, field_len)?);
    let value = frame.range(value, value_len)?;
    let ([key, field, value], call) = frame.texts([key, field, value])?;
    if let Err(code) = call.admit_write("hset", key, key.len() + field.len() + value.len()) {
        return Ok(code as i32);
    }
    let outcome = call.cx("hset").hset(key, [(field, value)].into_iter());
    Ok(outcome.map_or_else(|error| call.refuse_error(error, "hset") as i32, |new| new as i32))
}

fn reply_read(mut guest: Guest<'_>, offset: u32, dst: u32, capacity: u32) -> Result<i32> {
    let mut frame = Frame::new(&mut guest, "ferrite_reply_read")?;
    let into = frame.range(dst, capacity)?;
    let (memory, call, written) = frame.split()?;
    let rest = call.reply.get(offset as usize..).unwrap_or_default();
    let part = rest.get(..into.len()).unwrap_or(rest);
    let range = into.start..into.start + part.len();
    if let Some(place) = memory.get_mut(range.clone()) {
        place.copy_from_slice(part);
        note_written(written, range);
    }
    Ok(part.len() as i32)
}

fn fail(mut guest: Guest<'_>, text: u32, len: u32) -> Result<()> {
    let mut frame = Frame::new(&mut guest, "ferrite_fail")?;
    let text = frame.range(text, len)?;
    let ([text], call) = frame.texts([text])?;
    let line = match (text.is_empty(), call.error_code) {
        (false, _) => error_line(text),
        (true, 0) => "ERR function failed".into(),
        (true, _) => error_line(&call.reply),
    };
    Err(Halt::Fail(line).into())
}

fn log(mut guest: Guest<'_>, level: i32, text: u32, len: u32) -> Result<()> {
    let frame = Frame::new(&mut guest, "ferrite_log")?;
    let text = frame.range(text, len)?;
    if !(0..=3).contains(&level) {
        return Err(frame.fault(format!("was given the unknown level {level}")));
    }
    let text = frame.bytes(text).to_vec();
    frame.host.log(level, &text);
    Ok(())
}

fn metric(mut guest: Guest<'_>, name: u32, len: u32, kind: i32, value: f64) -> Result<i32> {
    let mut frame = Frame::new(&mut guest, "ferrite_metric")?;
    let name = frame.range(name, len)?;
    if !(0..=1).contains(&kind) {
        return Err(frame.fault(format!("was given the unknown kind {kind}")));
    }
    frame.call()?;
    let name = String::from_utf8_lossy(frame.bytes(name)).into_owned();
    let is_noted = is_name(&name) && frame.host.about.note_metric(&name, kind == 1, value);
    if is_noted {
        return Ok(0);
    }
    let (_, call) = frame.call()?;
    let what = "a library has at most 64 metrics, whose names are 1 to 64 letters, digits and \
                underscores";
    Ok(call.refuse_size(what) as i32)
}

fn config_get(mut guest: Guest<'_>, name: u32, len: u32, dst: u32, capacity: u32) -> Result<i64> {
    let mut frame = Frame::new(&mut guest, "ferrite_config_get")?;
    let (name, into) = (frame.range(name, len)?, frame.range(dst, capacity)?);
    frame.call()?;
    let name = frame.bytes(name);
    let value = frame.host.about.config_value(name).map(str::to_owned);
    let Some(value) = value else { return Ok(code::NIL) };
    if value.len() <= into.len() {
        frame.write(into.start..into.start + value.len(), value.as_bytes());
    }
    Ok(value.len() as i64)
}

fn now_ms(mut guest: Guest<'_>) -> Result<i64> {
    let mut frame = Frame::new(&mut guest, "ferrite_now_ms")?;
    let (_, call) = frame.call()?;
    Ok(call.now_ms)
}

fn random(mut guest: Guest<'_>, dst: u32, len: u32) -> Result<()> {
    let mut frame = Frame::new(&mut guest, "ferrite_random")?;
    let range = frame.range(dst, len)?;
    frame.call()?;
    frame.fill(range, Host::random);
    Ok(())
}
