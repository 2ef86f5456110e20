//! Tries to leave something behind in an instance for the next call to find.
//!
//! Each case writes where a compiler would, or where an attacker might, and then looks whether the
//! whole memory and all globals are as they were. That they would be found otherwise is tested too.

mod bed;
mod compare;
mod leaks;
mod marks;
mod program;
mod random;
mod refusals;
mod stops;
