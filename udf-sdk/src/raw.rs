//! What passes between a module and the server: imports, exports, arguments, memory.
//!
//! The only file with `unsafe`. What all of it rests on: a module of ABI 1 has one 32-bit memory
//! and no threads; the host checks every range that it is given against that memory, writes only to
//! where it was told, and gives only ranges that `ferrite_alloc` or `ferrite_input` named before.
//!
//! Not here: what the functions mean (`ferrite.rs`), and where a block goes (`arena.rs`).
#![allow(unsafe_code)]

use alloc::vec::Vec;

/// Declares the imports, and for other targets functions of the same names that cannot be called.
macro_rules! imports {
    ($(fn $name:ident($($parameter:ident: $type:ty),*) $(-> $result:ty)?;)+) => {
        #[cfg(target_arch = "wasm32")]
        #[link(wasm_import_module = "ferrite")]
        unsafe extern "C" {
            $(fn $name($($parameter: $type),*) $(-> $result)?;)+
        }

        $(
            #[cfg(not(target_arch = "wasm32"))]
            unsafe fn $name($(_: $type),*) $(-> $result)? {
                panic!(concat!(stringify!($name), " is there only inside the server"))
            }
        )+
    };
}

// Pointers and sizes are the `i32` of ABI 1.
imports! {
    fn ferrite_get_into(key: *const u8, key_len: usize, dst: *mut u8, capacity: usize) -> i64;
    fn ferrite_set(key: *const u8, key_len: usize, value: *const u8, value_len: usize) -> i32;
    fn ferrite_set_ttl(
        key: *const u8, key_len: usize, value: *const u8, value_len: usize, ttl_ms: i64
    ) -> i32;
    fn ferrite_del(key: *const u8, key_len: usize) -> i32;
    fn ferrite_exists(key: *const u8, key_len: usize) -> i32;
    fn ferrite_expire(key: *const u8, key_len: usize, ttl_ms: i64) -> i32;
    fn ferrite_ttl(key: *const u8, key_len: usize) -> i64;
    fn ferrite_incr_by(key: *const u8, key_len: usize, by: i64, out: *mut u8) -> i32;
    fn ferrite_hget(
        key: *const u8, key_len: usize, field: *const u8, field_len: usize,
        dst: *mut u8, capacity: usize
    ) -> i64;
    fn ferrite_hset(
        key: *const u8, key_len: usize, field: *const u8, field_len: usize,
        value: *const u8, value_len: usize
    ) -> i32;
    fn ferrite_call(
        argv: *const [u32; 2], argc: usize, flags: i32, dst: *mut u8, capacity: usize
    ) -> i64;
    fn ferrite_reply_read(offset: usize, dst: *mut u8, capacity: usize) -> i32;
    fn ferrite_fail(text: *const u8, text_len: usize) -> !;
    fn ferrite_log(level: i32, text: *const u8, text_len: usize);
    fn ferrite_metric(name: *const u8, name_len: usize, kind: i32, value: f64) -> i32;
    fn ferrite_config_get(name: *const u8, name_len: usize, dst: *mut u8, capacity: usize) -> i64;
    fn ferrite_now_ms() -> i64;
    fn ferrite_random(dst: *mut u8, len: usize);
}

/// How much a line of the log matters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Level {
    /// For whoever looks for a fault.
    Debug = 0,
    /// More than is usually of interest.
    Verbose = 1,
    /// What an operator wants to know.
    Notice = 2,
    /// What an operator has to know.
    Warning = 3,
}

/// A host function failed, and the host keeps the line that says how.
#[derive(Clone, Copy)]
pub(crate) struct Failed;

type Outcome<T> = Result<T, Failed>;

const NIL: i64 = -1;

fn checked(code: i32) -> Outcome<i32> {
    if code < 0 { Err(Failed) } else { Ok(code) }
}

pub(crate) fn get(key: &[u8]) -> Outcome<Option<Vec<u8>>> {
    // SAFETY: the key is a slice; the rest is as `read` promises.
    read(|dst, capacity| unsafe { ferrite_get_into(key.as_ptr(), key.len(), dst, capacity) })
}

pub(crate) fn hget(key: &[u8], field: &[u8]) -> Outcome<Option<Vec<u8>>> {
    let (key, key_len, field, field_len) = (key.as_ptr(), key.len(), field.as_ptr(), field.len());
    // SAFETY: key and field are slices; the rest is as `read` promises.
    read(|dst, capacity| unsafe { ferrite_hget(key, key_len, field, field_len, dst, capacity) })
}

pub(crate) fn config_get(name: &[u8]) -> Outcome<Option<Vec<u8>>> {
    // SAFETY: the name is a slice; the rest is as `read` promises.
    read(|dst, capacity| unsafe { ferrite_config_get(name.as_ptr(), name.len(), dst, capacity) })
}

pub(crate) fn set(key: &[u8], value: &[u8]) -> Outcome<i32> {
    // SAFETY: both are slices.
    checked(unsafe { ferrite_set(key.as_ptr(), key.len(), value.as_ptr(), value.len()) })
}

pub(crate) fn set_ttl(key: &[u8], value: &[u8], ttl_ms: i64) -> Outcome<i32> {
    let (value, value_len) = (value.as_ptr(), value.len());
    // SAFETY: both are slices.
    checked(unsafe { ferrite_set_ttl(key.as_ptr(), key.len(), value, value_len, ttl_ms) })
}

pub(crate) fn del(key: &[u8]) -> Outcome<i32> {
    // SAFETY: the key is a slice.
    checked(unsafe { ferrite_del(key.as_ptr(), key.len()) })
}

pub(crate) fn exists(key: &[u8]) -> Outcome<i32> {
    // SAFETY: the key is a slice.
    checked(unsafe { ferrite_exists(key.as_ptr(), key.len()) })
}

pub(crate) fn expire(key: &[u8], ttl_ms: i64) -> Outcome<i32> {
    // SAFETY: the key is a slice.
    checked(unsafe { ferrite_expire(key.as_ptr(), key.len(), ttl_ms) })
}

pub(crate) fn ttl(key: &[u8]) -> Outcome<Option<i64>> {
    // SAFETY: the key is a slice.
    match unsafe { ferrite_ttl(key.as_ptr(), key.len()) } {
        NIL => Ok(None),
        ttl_ms if ttl_ms < 0 => Err(Failed),
        ttl_ms => Ok(Some(ttl_ms)),
    }
}

pub(crate) fn incr_by(key: &[u8], by: i64) -> Outcome<i64> {
    let mut number = [0; 8];
    // SAFETY: the key is a slice, and `number` has the 8 bytes that are written.
    checked(unsafe { ferrite_incr_by(key.as_ptr(), key.len(), by, number.as_mut_ptr()) })?;
    Ok(i64::from_le_bytes(number))
}

pub(crate) fn hset(key: &[u8], field: &[u8], value: &[u8]) -> Outcome<i32> {
    let (field, field_len, value, value_len) =
        (field.as_ptr(), field.len(), value.as_ptr(), value.len());
    // SAFETY: all three are slices.
    checked(unsafe { ferrite_hset(key.as_ptr(), key.len(), field, field_len, value, value_len) })
}

/// Runs a command; its reply in RESP3.
pub(crate) fn call<A: AsRef<[u8]>>(argv: &[A]) -> Outcome<Vec<u8>> {
    let pairs: Vec<[u32; 2]> = argv.iter().map(|argument| pair(argument.as_ref())).collect();
    let mut reply = Vec::with_capacity(room());
    // SAFETY: `argv` outlives the call, and `pairs` says where its parts are; as many bytes are
    // written as there is room for, at most.
    let length = unsafe {
        ferrite_call(pairs.as_ptr(), pairs.len(), 0, reply.as_mut_ptr(), reply.capacity())
    };
    let length = usize::try_from(length).map_err(|_| Failed)?;
    if length > reply.capacity() {
        return Ok(last_reply());
    }
    // SAFETY: the host has written `length` bytes.
    unsafe { reply.set_len(length) };
    reply.shrink_to_fit();
    Ok(reply)
}

/// The last reply of a command, or the line of the last error, as the host keeps it.
pub(crate) fn last_reply() -> Vec<u8> {
    let mut reply = Vec::with_capacity(room());
    loop {
        reply.reserve(ROOM_MIN);
        let spare = reply.spare_capacity_mut();
        let (dst, capacity) = (spare.as_mut_ptr().cast(), spare.len());
        // SAFETY: as many bytes are written as there is spare room, at most.
        let count = unsafe { ferrite_reply_read(reply.len(), dst, capacity) };
        let count = usize::try_from(count).unwrap_or(0);
        // SAFETY: the host has written `count` bytes behind those that are there.
        unsafe { reply.set_len(reply.len() + count) };
        if count < capacity {
            reply.shrink_to_fit();
            return reply;
        }
    }
}

/// Ends the call with an error; with an empty line, with the host's last one.
pub(crate) fn fail(line: &[u8]) -> ! {
    // SAFETY: the line is a slice. The call ends there, and with it all that is borrowed.
    unsafe { ferrite_fail(line.as_ptr(), line.len()) }
}

pub(crate) fn log(level: Level, text: &[u8]) {
    // SAFETY: the text is a slice.
    unsafe { ferrite_log(level as i32, text.as_ptr(), text.len()) }
}

pub(crate) fn metric(name: &[u8], kind: i32, value: f64) -> Outcome<i32> {
    // SAFETY: the name is a slice.
    checked(unsafe { ferrite_metric(name.as_ptr(), name.len(), kind, value) })
}

pub(crate) fn now_ms() -> i64 {
    // SAFETY: it takes nothing and touches no memory.
    unsafe { ferrite_now_ms() }
}

pub(crate) fn random(bytes: &mut [u8]) {
    // SAFETY: it writes exactly this slice.
    unsafe { ferrite_random(bytes.as_mut_ptr(), bytes.len()) }
}

/// A function's result: where its bytes are. They stay, since memory ends with the call.
pub(crate) fn packed(bytes: Vec<u8>) -> i64 {
    let [address, length] = pair(bytes.leak());
    i64::from(address) << 32 | i64::from(length)
}

/// Address and length, as ABI 1 has them. Elsewhere than in WebAssembly nobody reads them.
fn pair(bytes: &[u8]) -> [u32; 2] {
    [bytes.as_ptr() as usize as u32, bytes.len() as u32]
}

/// The least room that is worth asking with.
const ROOM_MIN: usize = 256;

/// Asks with all the room that costs nothing, and once more if that was not enough.
/// `ask` must not write more than the capacity that it is given, and return the whole length.
fn read(ask: impl Fn(*mut u8, usize) -> i64) -> Outcome<Option<Vec<u8>>> {
    let mut bytes = Vec::with_capacity(room());
    loop {
        let length = ask(bytes.as_mut_ptr(), bytes.capacity());
        if length == NIL {
            return Ok(None);
        }
        let length = usize::try_from(length).map_err(|_| Failed)?;
        if length <= bytes.capacity() {
            // SAFETY: the host has written `length` bytes.
            unsafe { bytes.set_len(length) };
            bytes.shrink_to_fit();
            return Ok(Some(bytes));
        }
        bytes = Vec::with_capacity(length);
    }
}

/// A text argument.
///
/// # Safety
/// The host has placed it, and checked that it is UTF-8.
pub unsafe fn str<'a>(address: usize, length: usize) -> &'a str {
    // SAFETY: promised by the caller; the block belongs to nobody else until the call ends.
    unsafe { core::str::from_utf8_unchecked(bytes(address, length)) }
}

/// An argument of any bytes.
///
/// # Safety
/// The host has placed it.
pub unsafe fn bytes<'a>(address: usize, length: usize) -> &'a [u8] {
    // SAFETY: as above; the address is not 0, also if the length is.
    unsafe { core::slice::from_raw_parts(address as *const u8, length) }
}

/// A text argument that may be absent.
///
/// # Safety
/// As for [`str`], but the address may be 0.
pub unsafe fn optional_str<'a>(address: usize, length: usize) -> Option<&'a str> {
    // SAFETY: promised by the caller, where there is one.
    (address != 0).then(|| unsafe { str(address, length) })
}

/// An argument of any bytes that may be absent.
///
/// # Safety
/// As for [`bytes`], but the address may be 0.
pub unsafe fn optional_bytes<'a>(address: usize, length: usize) -> Option<&'a [u8]> {
    // SAFETY: promised by the caller, where there is one.
    (address != 0).then(|| unsafe { bytes(address, length) })
}

/// All further text arguments.
///
/// # Safety
/// The host has placed the list and its texts, and checked that they are UTF-8.
pub unsafe fn str_list<'a>(address: usize, count: usize) -> Vec<&'a str> {
    // SAFETY: promised by the caller.
    unsafe { pairs(address, count) }.iter().map(|[a, l]| unsafe { str(*a as _, *l as _) }).collect()
}

/// All further arguments of any bytes.
///
/// # Safety
/// The host has placed the list and what it lists.
pub unsafe fn bytes_list<'a>(address: usize, count: usize) -> Vec<&'a [u8]> {
    // SAFETY: promised by the caller.
    let pairs = unsafe { pairs(address, count) };
    pairs.iter().map(|[a, l]| unsafe { bytes(*a as _, *l as _) }).collect()
}

/// # Safety
/// The host has placed a list of so many pairs, at a multiple of 4.
unsafe fn pairs<'a>(address: usize, count: usize) -> &'a [[u32; 2]] {
    // SAFETY: promised by the caller.
    unsafe { core::slice::from_raw_parts(address as *const [u32; 2], count) }
}

/// Exports an entry of ABI 1 and writes its record into the section `ferrite.udf`. What
/// `#[ferrite_udf]` makes is put here, so that no other file needs the word `unsafe`.
#[doc(hidden)]
#[macro_export]
macro_rules! __export {
    ($export:literal, $record:literal, ($($parameter:ident: $type:ty),*) $(-> $result:ty)?,
     $body:block) => {
        // SAFETY: names of functions are unique in a module, or it does not link.
        #[unsafe(export_name = $export)]
        extern "C" fn entry($($parameter: $type),*) $(-> $result)? {
            // SAFETY: the host calls this with arguments that it has placed as the record says.
            #[allow(unused_unsafe)]
            unsafe { $body }
        }

        // SAFETY: nothing reads this section but the host, as text.
        #[unsafe(link_section = "ferrite.udf")]
        static RECORD: [u8; $record.len()] = *$record;
    };
}

#[cfg(not(all(target_arch = "wasm32", feature = "arena")))]
fn room() -> usize {
    2 * ROOM_MIN
}

#[cfg(all(target_arch = "wasm32", feature = "arena"))]
use memory::room;

/// The exports of every module, and its memory.
#[cfg(target_arch = "wasm32")]
mod memory {
    use core::alloc::Layout;
    use core::cell::UnsafeCell;

    const ALIGN: usize = 8;

    /// A block for what the host places; 0 if there is none.
    // SAFETY: ABI 1 gives the name its meaning.
    #[unsafe(no_mangle)]
    extern "C" fn ferrite_alloc(length: usize) -> *mut u8 {
        match Layout::from_size_align(length.max(1), ALIGN) {
            // SAFETY: the size is not 0. The block is never freed: it is the host's.
            Ok(layout) => unsafe { alloc::alloc::alloc(layout) },
            Err(_) => core::ptr::null_mut(),
        }
    }

    const INPUT_BYTES: usize = 128;

    #[repr(C, align(8))]
    struct Input {
        size: u32,
        block: UnsafeCell<[u8; INPUT_BYTES - 4]>,
    }

    // SAFETY: a module of ABI 1 has no threads.
    unsafe impl Sync for Input {}

    /// Where arguments are placed that are not larger, without a call of `ferrite_alloc`.
    // SAFETY: ABI 1 gives the name its meaning.
    #[unsafe(no_mangle)]
    #[allow(non_upper_case_globals)]
    static ferrite_input: Input =
        Input { size: INPUT_BYTES as u32, block: UnsafeCell::new([0; INPUT_BYTES - 4]) };

    #[cfg(feature = "arena")]
    pub(super) use arena::room;

    #[cfg(feature = "arena")]
    mod arena {
        use core::alloc::{GlobalAlloc, Layout};
        use core::arch::wasm32::{memory_grow, memory_size};
        use core::cell::Cell;

        use super::super::ROOM_MIN;
        use crate::arena::Free;

        const PAGE_BYTES: usize = 65536;

        #[global_allocator]
        static ARENA: Arena = Arena { free: Cell::new(Free { next: 0, end: 0 }) };

        struct Arena {
            free: Cell<Free>,
        }

        // SAFETY: a module of ABI 1 has no threads.
        unsafe impl Sync for Arena {}

        /// What can be allocated without growing memory, but never too little to ask with.
        pub(crate) fn room() -> usize {
            let free = ARENA.free();
            (free.end - free.next).max(ROOM_MIN)
        }

        impl Arena {
            fn free(&self) -> Free {
                let free = self.free.get();
                if free.end == 0 { first_run() } else { free }
            }
        }

        /// Behind stack and data, up to the end of memory, where nobody else allocates.
        #[cfg(target_os = "unknown")]
        fn first_run() -> Free {
            unsafe extern "C" {
                static __heap_base: u8;
            }
            Free {
                // The linker defines it; only its address is used.
                next: &raw const __heap_base as usize,
                end: memory_size::<0>() * PAGE_BYTES,
            }
        }

        /// A block of its own: behind the data is where the C library allocates.
        #[cfg(not(target_os = "unknown"))]
        fn first_run() -> Free {
            use core::cell::UnsafeCell;
            const BYTES: usize = 32 * 1024;
            struct Block(UnsafeCell<[u8; BYTES]>);
            // SAFETY: a module of ABI 1 has no threads.
            unsafe impl Sync for Block {}
            static BLOCK: Block = Block(UnsafeCell::new([0; BYTES]));
            let next = BLOCK.0.get() as usize;
            Free { next, end: next + BYTES }
        }

        /// Adds pages until `bytes` more fit behind `next`. Whether there are so many.
        #[cold]
        fn grow(free: &mut Free, bytes: usize) -> bool {
            let is_at_end = free.end == memory_size::<0>() * PAGE_BYTES;
            let spare = if is_at_end { free.end - free.next } else { 0 };
            let pages = bytes.saturating_sub(spare).div_ceil(PAGE_BYTES);
            let before = memory_grow::<0>(pages);
            if before == usize::MAX {
                return false;
            }
            if !is_at_end {
                free.next = before * PAGE_BYTES;
            }
            free.end = (before + pages).saturating_mul(PAGE_BYTES);
            true
        }

        // SAFETY: blocks come from a run of memory that only this allocator uses, and `Free` never
        // hands out a byte twice; `grow` adds pages that nobody has had.
        unsafe impl GlobalAlloc for Arena {
            unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
                let mut free = self.free();
                loop {
                    if let Some(address) = free.take(layout.size(), layout.align()) {
                        self.free.set(free);
                        return address as *mut u8;
                    }
                    // After this it fits, so the loop ends. The size of a layout is below 2^31.
                    if !grow(&mut free, layout.size() + layout.align()) {
                        return core::ptr::null_mut();
                    }
                }
            }

            unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
                let mut free = self.free();
                free.resize_last(block as usize, layout.size(), 0);
                self.free.set(free);
            }

            unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
                let mut free = self.free();
                if free.resize_last(block as usize, layout.size(), size) {
                    self.free.set(free);
                    return block;
                }
                if size <= layout.size() {
                    return block;
                }
                // SAFETY: the new block is larger, and does not overlap the old one, which stays as
                // it is until then; alignment and size make a layout, as the caller promises.
                unsafe {
                    let larger = Layout::from_size_align_unchecked(size, layout.align());
                    let new = self.alloc(larger);
                    if !new.is_null() {
                        new.copy_from_nonoverlapping(block, layout.size());
                    }
                    new
                }
            }
        }
    }
}
