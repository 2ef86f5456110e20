//! WASI preview 1 with nothing behind it, so that ordinary builds link.
//!
//! Invariant: nothing here reaches outside the call: lines go to its log, the clock is the call's,
//! random bytes come from its seed, and everything else is refused.

use wasmtime::{Caller, Engine, FuncType, Linker, Result, Val, ValType};

use crate::functions::failure::Halt;
use crate::functions::host::{Frame, Host};
use crate::limits::functions::{LOG_LINE_BYTES_MAX, LOG_LINES_MAX};

const MODULE: &str = "wasi_snapshot_preview1";

/// Of one write, so much is looked at.
const TEXT_BYTES_MAX: usize = LOG_LINE_BYTES_MAX * LOG_LINES_MAX;

const SUCCESS: i32 = 0;
const BAD_DESCRIPTOR: i32 = 8;
const NOT_SUPPORTED: i32 = 58;
const NO_SUCH_CALL: i32 = 52;

/// Functions on descriptors, by the letters of their parameters: i for 32 bits, l for 64.
const ON_DESCRIPTORS: &[(&str, &str)] = &[
    ("fd_advise", "illi"),
    ("fd_allocate", "ill"),
    ("fd_close", "i"),
    ("fd_datasync", "i"),
    ("fd_fdstat_set_flags", "ii"),
    ("fd_fdstat_set_rights", "ill"),
    ("fd_filestat_get", "ii"),
    ("fd_filestat_set_size", "il"),
    ("fd_filestat_set_times", "illi"),
    ("fd_pread", "iiili"),
    ("fd_pwrite", "iiili"),
    ("fd_read", "iiii"),
    ("fd_readdir", "iiili"),
    ("fd_renumber", "ii"),
    ("fd_seek", "ilii"),
    ("fd_sync", "i"),
    ("fd_tell", "ii"),
];

/// Functions that are not there, in the same way.
const ABSENT: &[(&str, &str)] = &[
    ("path_create_directory", "iii"),
    ("path_filestat_get", "iiiii"),
    ("path_filestat_set_times", "iiiilli"),
    ("path_link", "iiiiiii"),
    ("path_open", "iiiiillii"),
    ("path_readlink", "iiiiii"),
    ("path_remove_directory", "iii"),
    ("path_rename", "iiiiii"),
    ("path_symlink", "iiiii"),
    ("path_unlink_file", "iii"),
    ("poll_oneoff", "iiii"),
    ("proc_raise", "i"),
    ("sock_accept", "iii"),
    ("sock_recv", "iiiiii"),
    ("sock_send", "iiiii"),
    ("sock_shutdown", "ii"),
];

/// Gives a linker the functions.
///
/// # Errors
/// Those of the linker, for a name that is there twice.
pub fn link(linker: &mut Linker<Host>) -> Result<()> {
    let engine = linker.engine().clone();
    for &(name, letters) in ON_DESCRIPTORS {
        linker.func_new(MODULE, name, type_of(&engine, letters), |_, parameters, results| {
            let is_standard = matches!(parameters.first(), Some(Val::I32(0..=2)));
            answer(results, if is_standard { NOT_SUPPORTED } else { BAD_DESCRIPTOR });
            Ok(())
        })?;
    }
    for &(name, letters) in ABSENT {
        let refuse = move |mut guest: Caller<'_, Host>, _: &[Val], results: &mut [Val]| {
            if guest.data().about.note_refused(name) {
                let line = format!("calls {name}, which is not there");
                guest.data_mut().log(3, line.as_bytes());
            }
            answer(results, NO_SUCH_CALL);
            Ok(())
        };
        linker.func_new(MODULE, name, type_of(&engine, letters), refuse)?;
    }
    linker.func_wrap(MODULE, "fd_write", fd_write)?;
    linker.func_wrap(MODULE, "fd_fdstat_get", fd_fdstat_get)?;
    linker.func_wrap(MODULE, "fd_prestat_get", |_: u32, _: u32| BAD_DESCRIPTOR)?;
    linker.func_wrap(MODULE, "fd_prestat_dir_name", |_: u32, _: u32, _: u32| BAD_DESCRIPTOR)?;
    linker.func_wrap(MODULE, "clock_time_get", clock_time_get)?;
    linker.func_wrap(
        MODULE,
        "clock_res_get",
        |mut guest: Caller<'_, Host>, _: u32, out: u32| {
            put(&mut guest, "clock_res_get", out, &1_000_000_u64.to_le_bytes())
        },
    )?;
    linker.func_wrap(MODULE, "random_get", |mut guest: Caller<'_, Host>, dst: u32, len: u32| {
        let mut frame = Frame::new(&mut guest, "random_get")?;
        let range = frame.range(dst, len)?;
        frame.fill(range, Host::random);
        Ok(SUCCESS)
    })?;
    for name in ["environ_sizes_get", "args_sizes_get"] {
        let none = move |mut guest: Caller<'_, Host>, count: u32, bytes: u32| {
            put(&mut guest, name, count, &[0; 4])?;
            put(&mut guest, name, bytes, &[0; 4])
        };
        linker.func_wrap(MODULE, name, none)?;
    }
    linker.func_wrap(MODULE, "environ_get", |_: u32, _: u32| SUCCESS)?;
    linker.func_wrap(MODULE, "args_get", |_: u32, _: u32| SUCCESS)?;
    linker.func_wrap(MODULE, "sched_yield", || SUCCESS)?;
    linker.func_wrap(MODULE, "proc_exit", |code: i32| -> Result<()> {
        Err(Halt::Fault(format!("proc_exit({code})")).into())
    })?;
    Ok(())
}

fn type_of(engine: &Engine, letters: &str) -> FuncType {
    let letter = |letter| if letter == 'l' { ValType::I64 } else { ValType::I32 };
    FuncType::new(engine, letters.chars().map(letter), [ValType::I32])
}

fn answer(results: &mut [Val], number: i32) {
    if let Some(result) = results.first_mut() {
        *result = Val::I32(number);
    }
}

fn put(guest: &mut Caller<'_, Host>, name: &'static str, at: u32, bytes: &[u8]) -> Result<i32> {
    let mut frame = Frame::new(guest, name)?;
    let range = frame.range(at, bytes.len() as u32)?;
    frame.write(range, bytes);
    Ok(SUCCESS)
}

/// Text becomes lines of the log: of what is written at once, each line is one.
fn fd_write(mut guest: Caller<'_, Host>, fd: u32, list: u32, count: u32, out: u32) -> Result<i32> {
    if fd == 0 {
        return Ok(NOT_SUPPORTED);
    }
    if fd > 2 {
        return Ok(BAD_DESCRIPTOR);
    }
    let mut frame = Frame::new(&mut guest, "fd_write")?;
    let out = frame.range(out, 4)?;
    let list = frame.range(list, count.saturating_mul(8))?;
    let (mut text, mut len) = (Vec::new(), 0_u32);
    for at in list.step_by(8) {
        let range = frame.range(frame.number(at), frame.number(at + 4))?;
        len = len.saturating_add(range.len() as u32);
        // More than fits in the log of a call is not kept.
        let room = TEXT_BYTES_MAX.saturating_sub(text.len());
        let part = frame.bytes(range);
        text.extend_from_slice(part.get(..room).unwrap_or(part));
    }
    let level = if fd == 1 { 2 } else { 3 };
    for line in text.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
        frame.host.log(level, line);
    }
    frame.write(out, &len.to_le_bytes());
    Ok(SUCCESS)
}

fn fd_fdstat_get(mut guest: Caller<'_, Host>, fd: u32, out: u32) -> Result<i32> {
    if fd > 2 {
        return Ok(BAD_DESCRIPTOR);
    }
    // A character device: its kind is the first byte, then flags and rights.
    let mut stat = [0; 24];
    stat[0] = 2;
    put(&mut guest, "fd_fdstat_get", out, &stat)
}

fn clock_time_get(mut guest: Caller<'_, Host>, _: u32, _: i64, out: u32) -> Result<i32> {
    let ns = guest.data().now_ms().saturating_mul(1_000_000);
    put(&mut guest, "clock_time_get", out, &ns.to_le_bytes())
}
