//! How memory that was freed goes back to the system.
//!
//! glibc maps large blocks on their own, and unmaps them when they are freed. But each such block
//! that is freed raises the size from which it does so, up to 32 MiB: once a crowd of clients has
//! had long replies waiting, the next long replies come from the heap, and there they stay when
//! they are freed, for ever, beside whatever small block came behind them. So the size is fixed.
//!
//! Not here: the engine's memory, which is in segments far below it.

/// Blocks from this size on are mapped on their own.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const MAPPED_BYTES_MIN: i32 = 256 * 1024;

/// Fixes it. To be called before there is another thread.
pub fn settle() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: `mallopt` is given two numbers, keeps no pointer, and may be called at any time; it
    // answers zero if it knows no such option, and then all is as it was.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, MAPPED_BYTES_MIN);
    }
}
