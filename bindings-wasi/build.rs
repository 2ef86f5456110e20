//! What the wasm file is linked with: a stack of 64 KiB instead of 1 MB, since the engine recurses
//! nowhere, and the C library of WASI for the `memcmp` that compilers call.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if env::var("CARGO_CFG_TARGET_ARCH").as_deref() == Ok("wasm32") {
        println!("cargo::rustc-link-arg-cdylib=-zstack-size=65536");
        println!("cargo::rustc-link-arg-cdylib=-lc");
    }
}
