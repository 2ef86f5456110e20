//! `math.random` and `math.randomseed` as Redis has them: the same numbers on every machine.
//!
//! Numbers are those of `lrand48`: 48 bits of state, of which the upper 31 are given out.

use mlua::{MultiValue, Value};

use crate::scripting::arguments::{Arguments, Refused};

/// The state that nobody has set.
pub const FIRST: u64 = 0x1234_abcd_330e;

const FACTOR: u64 = 0x5_deec_e66d;
const SUMMAND: u64 = 0xb;
const MASK: u64 = (1 << 48) - 1;

/// The state that a seed stands for.
pub fn seeded(seed: i32) -> u64 {
    u64::from(seed as u32) << 16 | 0x330e
}

/// The next number, and the state behind it.
pub fn next(state: u64) -> (u32, u64) {
    let state = state.wrapping_mul(FACTOR).wrapping_add(SUMMAND) & MASK;
    ((state >> 17) as u32, state)
}

/// `math.random`.
pub fn random(arguments: &Arguments<'_>, state: &mut u64) -> Result<MultiValue, Refused> {
    const RANGE: u32 = i32::MAX as u32;
    let (number, next) = next(*state);
    *state = next;
    let share = f64::from(number % RANGE) / f64::from(RANGE);
    let bound = |at: usize| Ok::<_, Refused>(arguments.integer(at)? as i32);
    let number = match arguments.count() {
        0 => share,
        1 => {
            let upper = bound(0)?;
            if upper < 1 {
                return Err(arguments.refuse(0, "interval is empty"));
            }
            (share * f64::from(upper)).floor() + 1.0
        }
        2 => {
            let (lower, upper) = (bound(0)?, bound(1)?);
            if lower > upper {
                return Err(arguments.refuse(1, "interval is empty"));
            }
            // As in Redis the width wraps around.
            let width = upper.wrapping_sub(lower).wrapping_add(1);
            (share * f64::from(width)).floor() + f64::from(lower)
        }
        _ => return Err("wrong number of arguments".into()),
    };
    Ok(MultiValue::from_iter([Value::Number(number)]))
}

/// `math.randomseed`.
pub fn seed(arguments: &Arguments<'_>, state: &mut u64) -> Result<MultiValue, Refused> {
    *state = seeded(arguments.integer(0)? as i32);
    Ok(MultiValue::new())
}
