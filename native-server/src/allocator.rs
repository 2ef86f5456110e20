//! How memory that was freed goes back to the system.
//!
//! glibc maps large blocks on their own, and unmaps them when they are freed. But each such block
//! that is freed raises the size from which it does so, up to 32 MiB: once a crowd of clients has
//! had long replies waiting, the next long replies come from the heap, and there they stay when
//! they are freed, for ever, beside whatever small block came behind them. So the size is fixed.
//!
//! Smaller blocks, the engine's segments among them, are in heaps, which shrink at their ends only.
//! Much that is freed between what stays goes back when it is asked for (`trim`); and a little at
//! the end stays, since to give it back and to ask for it again with each long value would take
//! most of the time.

/// Blocks from this size on are mapped on their own.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const MAPPED_BYTES_MIN: i32 = 256 * 1024;

/// Bytes that may stay free at the end of a heap.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const FREE_END_BYTES_MAX: i32 = 8 * 1024 * 1024;

/// Fixes both. To be called before there is another thread.
pub fn settle() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: `mallopt` is given two numbers, keeps no pointer, and may be called at any time; it
    // answers zero if it knows no such option, and then all is as it was.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, MAPPED_BYTES_MIN);
        libc::mallopt(libc::M_TRIM_THRESHOLD, FREE_END_BYTES_MAX);
    }
}

/// Gives the system back what is free in the heaps. Whoever allocates meanwhile waits for it.
pub fn trim() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: `malloc_trim` is given a number, may be called at any time and by any thread, and
    // touches free memory only.
    unsafe {
        libc::malloc_trim(0);
    }
}
