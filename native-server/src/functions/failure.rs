//! How a call can fail, in the words of the contract.

use std::borrow::Cow;
use std::fmt;

use ferrite_engine::Error;

use crate::limits::functions::ERROR_BYTES_MAX;

/// Why a host function ends a call.
#[derive(Debug)]
pub enum Halt {
    /// The function said so, with this line.
    Fail(String),
    /// The guest did something that it must not.
    Fault(String),
    /// It used up its time.
    Deadline,
    /// It used up the time that it may hold a lock for.
    Overrun,
    /// Somebody ended it.
    Killed,
    /// There is no memory for its arguments or what it gets.
    GuestMemory,
}

impl fmt::Display for Halt {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Halt::Fail(line) | Halt::Fault(line) => formatter.write_str(line),
            Halt::Deadline => formatter.write_str("deadline"),
            Halt::Overrun => formatter.write_str("overrun"),
            Halt::Killed => formatter.write_str("killed"),
            Halt::GuestMemory => formatter.write_str("out of memory"),
        }
    }
}

impl std::error::Error for Halt {}

/// Why a call failed.
#[derive(Debug)]
pub enum Failure {
    /// An error of the function's own, or one that was found before it ran.
    Line(String),
    /// It trapped.
    Trap(String),
    /// It exceeded its deadline.
    Deadline,
    /// It has to start again without the lock.
    Overrun,
    /// It lacked memory that other databases may have.
    Room,
    /// FUNCTION KILL.
    Killed,
    /// It used up its fuel.
    Fuel,
    /// Its `ferrite_alloc` gave nothing.
    GuestMemory,
}

impl Failure {
    /// What a trap or a halted host function means.
    pub fn of(error: &wasmtime::Error) -> Failure {
        if let Some(halt) = error.downcast_ref::<Halt>() {
            return match halt {
                Halt::Fail(line) => Failure::Line(line.clone()),
                Halt::Fault(what) => Failure::Trap(what.clone()),
                Halt::Deadline => Failure::Deadline,
                Halt::Overrun => Failure::Overrun,
                Halt::Killed => Failure::Killed,
                Halt::GuestMemory => Failure::GuestMemory,
            };
        }
        match error.downcast_ref::<wasmtime::Trap>() {
            Some(wasmtime::Trap::OutOfFuel) => Failure::Fuel,
            Some(wasmtime::Trap::UnreachableCodeReached) => Failure::Trap("unreachable".into()),
            Some(wasmtime::Trap::StackOverflow) => Failure::Trap("stack overflow".into()),
            Some(trap) => {
                let text = trap.to_string();
                Failure::Trap(text.strip_prefix("wasm trap: ").unwrap_or(&text).into())
            }
            None => Failure::Trap(error.to_string()),
        }
    }

    /// The error's line, for a function of this name.
    pub fn line(&self, function: &str, deadline_ms: u64, fuel: u64) -> Cow<'_, str> {
        let what = match self {
            Failure::Line(line) => return Cow::Borrowed(line),
            Failure::Room => return Error::OutOfMemory.to_string().into(),
            Failure::Trap(what) => format!("trapped: {what}"),
            Failure::Deadline | Failure::Overrun => {
                format!("exceeded its deadline of {deadline_ms} ms")
            }
            Failure::Killed => "was ended by FUNCTION KILL".into(),
            Failure::Fuel => format!("used up its fuel of {fuel}"),
            Failure::GuestMemory => "is out of memory".into(),
        };
        error_line(format!("ERR function '{function}' {what}").as_bytes()).into()
    }

    /// Whether it is a trap, as opposed to an error that the function gave.
    pub fn is_trap(&self) -> bool {
        !matches!(self, Failure::Line(_) | Failure::Room)
    }
}

/// What a function says is its error, as the line that is sent: with a code, on one line, of
/// bounded length.
pub fn error_line(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text.get(..ERROR_BYTES_MAX).unwrap_or(text));
    let mut line: String =
        text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    let code = line.split(' ').next().unwrap_or_default();
    let is_code = code.starts_with(|letter: char| letter.is_ascii_uppercase())
        && code.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
    if !is_code {
        line.insert_str(0, "ERR ");
    }
    let mut end = line.len().min(ERROR_BYTES_MAX);
    while !line.is_char_boundary(end) {
        end -= 1;
    }
    line.truncate(end);
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_has_a_code_and_one_line() {
        let check = |text: &str, line: &str| assert_eq!(error_line(text.as_bytes()), line);
        check("LIMITED too many", "LIMITED too many");
        check("rate limit exceeded", "ERR rate limit exceeded");
        check("Rate limit", "ERR Rate limit");
        check("E_1 a\r\nb\0", "E_1 a  b ");
        check("", "ERR ");
        check("9LIVES", "ERR 9LIVES");
        assert_eq!(error_line(&[b'A'; 2000]).len(), ERROR_BYTES_MAX);
        // What is no text takes three bytes a letter.
        assert_eq!(error_line(&[0xff; 2000]).len(), ERROR_BYTES_MAX - 1);
    }
}
