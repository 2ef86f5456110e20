//! The host's functions: `ferrite::get`, `ferrite::set` and so on.
//!
//! A function that cannot do what it says ends the whole call with the server's error, and nothing
//! that was written remains; so there is no result to check. Where an error is to be handled, its
//! sister with `try_` returns it.
//!
//! Keys have to be declared with the call: they are the parameters `key`, `key_...` and `keys`.

use alloc::string::String;
use alloc::vec::Vec;

use crate::error::{Error, Result};
use crate::raw::{self, Failed, Level};
use crate::value::Value;

/// The host has a line for what failed.
fn error(Failed: Failed) -> Error {
    Error::of_host()
}

/// Ends the call with that line.
fn fail<T>(Failed: Failed) -> T {
    raw::fail(b"")
}

fn text(bytes: Option<Vec<u8>>) -> Result<Option<String>> {
    let text = bytes.map(String::from_utf8).transpose();
    text.map_err(|_| Error::new("value is not valid UTF-8"))
}

/// The string at a key, which has to be UTF-8; `None` if there is none.
pub fn get(key: &(impl AsRef<[u8]> + ?Sized)) -> Option<String> {
    let bytes = raw::get(key.as_ref()).unwrap_or_else(fail);
    text(bytes).unwrap_or_else(|error| error.fail())
}

/// [`get`], or the error.
pub fn try_get(key: &(impl AsRef<[u8]> + ?Sized)) -> Result<Option<String>> {
    text(raw::get(key.as_ref()).map_err(error)?)
}

/// The string at a key, of any bytes; `None` if there is none.
pub fn get_bytes(key: &(impl AsRef<[u8]> + ?Sized)) -> Option<Vec<u8>> {
    raw::get(key.as_ref()).unwrap_or_else(fail)
}

/// [`get_bytes`], or the error.
pub fn try_get_bytes(key: &(impl AsRef<[u8]> + ?Sized)) -> Result<Option<Vec<u8>>> {
    raw::get(key.as_ref()).map_err(error)
}

/// Sets a string. A key that has a deadline keeps it, unlike with Redis's plain SET.
pub fn set(key: &(impl AsRef<[u8]> + ?Sized), value: &(impl AsRef<[u8]> + ?Sized)) {
    raw::set(key.as_ref(), value.as_ref()).unwrap_or_else(fail);
}

/// [`set`], or the error.
pub fn try_set(
    key: &(impl AsRef<[u8]> + ?Sized),
    value: &(impl AsRef<[u8]> + ?Sized),
) -> Result<()> {
    raw::set(key.as_ref(), value.as_ref()).map(drop).map_err(error)
}

/// Sets a string that lives for some seconds; for ever, with 0.
pub fn set_ex(key: &(impl AsRef<[u8]> + ?Sized), value: &(impl AsRef<[u8]> + ?Sized), secs: i64) {
    set_px(key, value, secs.saturating_mul(1000));
}

/// Sets a string that lives for some milliseconds; for ever, with 0.
pub fn set_px(key: &(impl AsRef<[u8]> + ?Sized), value: &(impl AsRef<[u8]> + ?Sized), ttl_ms: i64) {
    raw::set_ttl(key.as_ref(), value.as_ref(), ttl_ms).unwrap_or_else(fail);
}

/// [`set_px`], or the error.
pub fn try_set_px(
    key: &(impl AsRef<[u8]> + ?Sized),
    value: &(impl AsRef<[u8]> + ?Sized),
    ttl_ms: i64,
) -> Result<()> {
    raw::set_ttl(key.as_ref(), value.as_ref(), ttl_ms).map(drop).map_err(error)
}

/// Removes a key. Whether it was there.
pub fn del(key: &(impl AsRef<[u8]> + ?Sized)) -> bool {
    raw::del(key.as_ref()).unwrap_or_else(fail) != 0
}

/// [`del`], or the error.
pub fn try_del(key: &(impl AsRef<[u8]> + ?Sized)) -> Result<bool> {
    raw::del(key.as_ref()).map(|count| count != 0).map_err(error)
}

/// Whether a key is there.
pub fn exists(key: &(impl AsRef<[u8]> + ?Sized)) -> bool {
    raw::exists(key.as_ref()).unwrap_or_else(fail) != 0
}

/// Lets a key live for some seconds from now. Whether it is there. At or below 0 it is removed.
pub fn expire(key: &(impl AsRef<[u8]> + ?Sized), secs: i64) -> bool {
    pexpire(key, secs.saturating_mul(1000))
}

/// [`expire`] in milliseconds.
pub fn pexpire(key: &(impl AsRef<[u8]> + ?Sized), ttl_ms: i64) -> bool {
    raw::expire(key.as_ref(), ttl_ms).unwrap_or_else(fail) != 0
}

/// [`pexpire`], or the error.
pub fn try_pexpire(key: &(impl AsRef<[u8]> + ?Sized), ttl_ms: i64) -> Result<bool> {
    raw::expire(key.as_ref(), ttl_ms).map(|found| found != 0).map_err(error)
}

/// How many milliseconds a key will live: `i64::MAX` if for ever, `None` if it is not there.
pub fn pttl(key: &(impl AsRef<[u8]> + ?Sized)) -> Option<i64> {
    raw::ttl(key.as_ref()).unwrap_or_else(fail)
}

/// Adds to the integer at a key, which is 0 if it is not there. The sum.
pub fn incr_by(key: &(impl AsRef<[u8]> + ?Sized), by: i64) -> i64 {
    raw::incr_by(key.as_ref(), by).unwrap_or_else(fail)
}

/// [`incr_by`], or the error.
pub fn try_incr_by(key: &(impl AsRef<[u8]> + ?Sized), by: i64) -> Result<i64> {
    raw::incr_by(key.as_ref(), by).map_err(error)
}

/// Adds 1 to the integer at a key. The sum.
pub fn incr(key: &(impl AsRef<[u8]> + ?Sized)) -> i64 {
    incr_by(key, 1)
}

/// The value of a hash's field, which has to be UTF-8; `None` if there is none.
pub fn hget(
    key: &(impl AsRef<[u8]> + ?Sized),
    field: &(impl AsRef<[u8]> + ?Sized),
) -> Option<String> {
    text(hget_bytes(key, field)).unwrap_or_else(|error| error.fail())
}

/// The value of a hash's field, of any bytes; `None` if there is none.
pub fn hget_bytes(
    key: &(impl AsRef<[u8]> + ?Sized),
    field: &(impl AsRef<[u8]> + ?Sized),
) -> Option<Vec<u8>> {
    raw::hget(key.as_ref(), field.as_ref()).unwrap_or_else(fail)
}

/// [`hget_bytes`], or the error.
pub fn try_hget_bytes(
    key: &(impl AsRef<[u8]> + ?Sized),
    field: &(impl AsRef<[u8]> + ?Sized),
) -> Result<Option<Vec<u8>>> {
    raw::hget(key.as_ref(), field.as_ref()).map_err(error)
}

/// Sets a hash's field. Whether it is new.
pub fn hset(
    key: &(impl AsRef<[u8]> + ?Sized),
    field: &(impl AsRef<[u8]> + ?Sized),
    value: &(impl AsRef<[u8]> + ?Sized),
) -> bool {
    raw::hset(key.as_ref(), field.as_ref(), value.as_ref()).unwrap_or_else(fail) != 0
}

/// [`hset`], or the error.
pub fn try_hset(
    key: &(impl AsRef<[u8]> + ?Sized),
    field: &(impl AsRef<[u8]> + ?Sized),
    value: &(impl AsRef<[u8]> + ?Sized),
) -> Result<bool> {
    let is_new = raw::hset(key.as_ref(), field.as_ref(), value.as_ref());
    is_new.map(|count| count != 0).map_err(error)
}

/// Runs any command that functions may run: `ferrite::call(&["LPUSH", key, "x"])?`.
pub fn call<A: AsRef<[u8]>>(argv: &[A]) -> Result<Value> {
    let reply = raw::call(argv).map_err(error)?;
    Value::decode(&reply).ok_or_else(|| Error::new("the server's reply cannot be read"))
}

/// Writes a line to the server's log.
pub fn log(level: Level, text: &(impl AsRef<[u8]> + ?Sized)) {
    raw::log(level, text.as_ref());
}

/// Unix time in milliseconds at which the call began.
pub fn now_ms() -> i64 {
    raw::now_ms()
}

/// Fills a slice with random bytes.
pub fn random(bytes: &mut [u8]) {
    raw::random(bytes);
}

/// A random number.
pub fn random_u64() -> u64 {
    let mut bytes = [0; 8];
    raw::random(&mut bytes);
    u64::from_le_bytes(bytes)
}

/// Adds to a counter that the server shows among the library's metrics.
pub fn count(name: &str, by: f64) {
    raw::metric(name.as_bytes(), 0, by).unwrap_or_else(fail);
}

/// Sets a gauge that the server shows among the library's metrics.
pub fn gauge(name: &str, value: f64) {
    raw::metric(name.as_bytes(), 1, value).unwrap_or_else(fail);
}

/// A value that the library was loaded with; `None` if there is none of that name.
pub fn config_get(name: &str) -> Option<String> {
    let bytes = raw::config_get(name.as_bytes()).unwrap_or_else(fail);
    text(bytes).unwrap_or_else(|error| error.fail())
}
