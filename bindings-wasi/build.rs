//! What the wasm file is linked with: a stack of its own size instead of 1 MB, since the engine
//! recurses nowhere, and the C library of WASI for the `memcmp` that compilers call.
//! HyperLogLogs are put together on the stack, which takes the 256 KiB of the full file.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if env::var("CARGO_CFG_TARGET_ARCH").as_deref() == Ok("wasm32") {
        let is_full = env::var_os("CARGO_FEATURE_FULL").is_some();
        let stack_bytes = if is_full { 256 << 10 } else { 64 << 10 };
        println!("cargo::rustc-link-arg-cdylib=-zstack-size={stack_bytes}");
        println!("cargo::rustc-link-arg-cdylib=-lc");
    }
}
