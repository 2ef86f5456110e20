//! One call of a function: from its parameters to its reply, in a keyspace that it was lent.
//!
//! Invariant: after a call that failed the keyspace is as it was before; after one that did not,
//! the effects are what changed. Nobody is told of them here.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::Ordering::Relaxed;

use ferrite_engine::{Keyspace, Reply};

use crate::functions::bind::Binding;
use crate::functions::call::{Call, code};
use crate::functions::failure::{Failure, error_line};
use crate::functions::instance::{Instance, Returned};
use crate::functions::library::{Function, Library};
use crate::functions::machine::Guests;
use crate::functions::metadata::{Outcome, Signature};
use crate::functions::reply;
use crate::resp::wire::Wire;

/// How a call ended, with what it had to work with.
pub struct Ended {
    /// Whether it failed, and why.
    pub outcome: Result<(), Failure>,
    /// The call, with its effects.
    pub call: Box<Call>,
    /// Whether the keyspace's budget was lifted, and has to be set again.
    pub is_budget_lifted: bool,
    /// Whether the guest returned, be it with an error: the instance can be used again.
    pub has_returned: bool,
}

/// Calls a function. Its reply stands behind what is in the wire; if it failed, nothing does.
pub fn run(
    instance: &mut Instance,
    (library, index): (&Library, usize),
    mut call: Box<Call>,
    keys: &mut Box<Keyspace>,
    binding: &mut Binding,
    wire: &mut Wire<'_>,
) -> Ended {
    let mark = wire.out.len();
    let Some(function) = library.functions.get(index) else {
        let outcome = Err(Failure::Line("ERR Function not found".into()));
        return Ended { outcome, call, is_budget_lifted: false, has_returned: false };
    };
    call.swap_keys(keys);
    instance.store.data_mut().call = Some(call);
    let mut has_returned = false;
    // The keyspace goes back to its database whatever happens.
    let caught = catch_unwind(AssertUnwindSafe(|| {
        if library.machine.guests == Guests::Metered {
            let fuel = function.fuel.unwrap_or(u64::MAX);
            instance.store.set_fuel(fuel).map_err(|error| Failure::of(&error))?;
        }
        let returned = instance.call(index, function, binding)?;
        has_returned = true;
        answer(instance, function, returned, wire)
    }));
    let call = instance.store.data_mut().call.take();
    let mut call = call.unwrap_or_else(Call::new);
    // Whatever the guest made of it: it gets another chance.
    let caught = if call.lacks_room { caught.map(|_| Err(Failure::Room)) } else { caught };
    let is_failed = !matches!(caught, Ok(Ok(())));
    let mut is_budget_lifted = false;
    if is_failed {
        wire.out.truncate(mark);
        is_budget_lifted = call.undo();
    }
    call.swap_keys(keys);
    let outcome = caught.unwrap_or_else(|panic| resume_unwind(panic));
    note(instance, library, function, &outcome);
    Ended { outcome, call, is_budget_lifted, has_returned }
}

fn note(
    instance: &mut Instance,
    library: &Library,
    function: &Function,
    outcome: &Result<(), Failure>,
) {
    let tally = &function.tally;
    if let (true, Ok(left)) = (library.machine.guests == Guests::Metered, instance.store.get_fuel())
    {
        let used = function.fuel.unwrap_or(u64::MAX).saturating_sub(left);
        tally.fuel.fetch_add(used, Relaxed);
    }
    let memory_bytes = instance.memory().len() as u64;
    if memory_bytes > tally.memory_max.load(Relaxed) {
        tally.memory_max.fetch_max(memory_bytes, Relaxed);
    }
    match outcome {
        Ok(()) | Err(Failure::Overrun | Failure::Room) => {}
        Err(failure) if failure.is_trap() => drop(tally.traps.fetch_add(1, Relaxed)),
        Err(_) => drop(tally.errors.fetch_add(1, Relaxed)),
    }
}

/// Writes what a function returned.
fn answer(
    instance: &mut Instance,
    function: &Function,
    returned: Returned,
    wire: &mut Wire<'_>,
) -> Result<(), Failure> {
    let outcome = match &function.signature {
        Signature::Typed(_, outcome) => *outcome,
        Signature::Generic => Outcome::Reply,
    };
    let packed = match (outcome, returned) {
        (Outcome::I64, Returned::I64(number)) => {
            wire.integer(number);
            return Ok(());
        }
        (Outcome::F64, Returned::F64(number)) => {
            wire.double(double_text(number).as_str().into());
            return Ok(());
        }
        (Outcome::None, _) => {
            wire.ok();
            return Ok(());
        }
        (Outcome::Bytes | Outcome::Reply, Returned::I64(packed)) => packed,
        _ => return Err(Failure::Trap("its result is of another type".into())),
    };
    if packed == code::NIL {
        wire.null();
        return Ok(());
    }
    if packed < 0 {
        return Err(Failure::Line(line_of(instance, function, packed)));
    }
    let (address, len) = ((packed >> 32) as usize, (packed & 0xffff_ffff) as usize);
    let bytes = address.checked_add(len).and_then(|end| instance.memory().get(address..end));
    let bytes = bytes.ok_or_else(|| {
        Failure::Trap(format!("its result is {len} bytes at {address}, outside of memory"))
    })?;
    match outcome {
        Outcome::Bytes => {
            wire.bulk(bytes.into());
            Ok(())
        }
        _ => reply::write(bytes, wire),
    }
}

/// The line of an error that a function returned by its code.
fn line_of(instance: &Instance, function: &Function, code: i64) -> String {
    if let Some(call) = &instance.store.data().call
        && call.error_code == code
    {
        return error_line(&call.reply);
    }
    let name = &function.declaration.name;
    match code {
        code::WRONG_TYPE => {
            "WRONGTYPE Operation against a key holding the wrong kind of value".into()
        }
        code::READ_ONLY => "ERR Write commands are not allowed from read-only scripts.".into(),
        code::OOM => "OOM command not allowed when used memory > 'maxmemory'.".into(),
        code::UNDECLARED => {
            format!("ERR function '{name}' may not use the key: it was not declared with the call")
        }
        -6 => "CROSSSLOT Keys in request don't hash to the same slot".into(),
        code::NO_PERMISSION => {
            "NOPERM this user has no permissions to run the function's command".into()
        }
        code::NO_SCRIPT => "ERR This Redis command is not allowed from script".into(),
        code::TOO_BIG => format!("ERR function '{name}' exceeds a limit"),
        code::GUEST_OOM => format!("ERR function '{name}' is out of memory"),
        other => format!("ERR function '{name}' failed with code {}", other.unsigned_abs()),
    }
}

/// A number as Redis writes doubles: the shortest text that is read back as the same.
fn double_text(number: f64) -> String {
    if number.is_nan() {
        return "nan".into();
    }
    if number.is_infinite() {
        return if number > 0.0 { "inf" } else { "-inf" }.into();
    }
    let magnitude = number.abs();
    if magnitude != 0.0 && !(1e-7..1e17).contains(&magnitude) {
        let text = format!("{number:e}");
        return match text.split_once('e') {
            Some((mantissa, exponent)) if !exponent.starts_with('-') => {
                format!("{mantissa}e+{exponent}")
            }
            _ => text,
        };
    }
    number.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_are_short_and_exact() {
        let check = |number: f64, text: &str| assert_eq!(double_text(number), text);
        check(3.99, "3.99");
        check(-2.0, "-2");
        check(0.1 + 0.2, "0.30000000000000004");
        check(1e21, "1e+21");
        check(1.5e-9, "1.5e-9");
        check(f64::NEG_INFINITY, "-inf");
        check(f64::NAN, "nan");
    }
}
