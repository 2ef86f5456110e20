//! The example functions, as modules: built from source by `scripts/build-functions`, once.
//! Invariant: nothing here stands for a module that was not built now.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

/// Where the modules are, for `wasm32-unknown-unknown`, or for `wasm32-wasip1`.
fn folder(is_wasi: bool) -> PathBuf {
    static BUILT: [OnceLock<()>; 2] = [OnceLock::new(), OnceLock::new()];
    let root = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    BUILT[usize::from(is_wasi)].get_or_init(|| {
        let flags: &[&str] = if is_wasi { &["--wasi"] } else { &[] };
        let output = Command::new(root.join("scripts/build-functions")).args(flags).output();
        let output = output.expect("scripts/build-functions can be started");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "the examples do not build: {errors}");
    });
    root.join("target/functions").join(if is_wasi { "wasi" } else { "" })
}

/// The bytes of an example's module. `None`, which is told, if it is the C one and there is no
/// compiler for it; with CI=true there must be.
pub fn example(name: &str, is_wasi: bool) -> Option<Vec<u8>> {
    let module = fs::read(folder(is_wasi).join(format!("{name}.wasm")));
    if module.is_err() && name.ends_with("_c") {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "clang, lld or wasi-libc is missing");
        println!("skipped: {name} is not built, since its compiler is missing");
        return None;
    }
    Some(module.unwrap_or_else(|error| panic!("no module {name}: {error}")))
}
