//! The house rules that a machine can check, over every file that git tracks.
//! Not here: formatting and lints, which `scripts/check` leaves to rustfmt and clippy.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const LINE_CHARACTERS_MAX: usize = 100;
const FUNCTION_LINES_MAX: usize = 70;
const FILE_LINES_MAX: usize = 700;

/// Words that no file of a kind may hold: folder, suffix, why, words.
/// Each is written in two halves, so that this file does not hold it either.
const BANNED: &[(&str, &str, &str, &[&str])] = &[
    ("", ".rs", "unfinished", &[concat!("todo", "!("), concat!("unimplemented", "!(")]),
    ("", ".rs", "left from debugging", &[concat!("dbg", "!(")]),
    ("core/", ".rs", "time is an argument", &[concat!("System", "Time"), concat!("Inst", "ant")]),
    ("tests/tests/", ".rs", "no test waits for time to pass", &[concat!("sle", "ep(")]),
    ("", "", "a registry's host", REGISTRY_HOSTS),
    ("", "", "a path of one machine", &[concat!("/ho", "me/"), concat!("/ro", "ot/")]),
];

const REGISTRY_HOSTS: &[&str] = &[
    concat!("registry.", "npmjs"),
    concat!("static.rust", "-lang.org"),
    concat!("index.", "crates.io"),
    concat!("deb.", "debian.org"),
];

/// The files that may say `unsafe`, and why. Everywhere else it is forbidden.
const UNSAFE_ALLOWED: &[(&str, &str)] = &[
    ("bindings-wasi/src/lib.rs", "the attribute that gives an export its name is unsafe"),
    ("native-server/src/functions/cache/seal.rs", "machine code is taken from disk, by its seal"),
    ("native-server/src/functions/stop.rs", "a byte of an instance is written while it runs"),
    ("native-server/src/functions/thread_time.rs", "the C library knows the clocks of threads"),
    (
        "native-server/src/allocator.rs",
        "the C library's allocator is told what to give back, and when",
    ),
    ("native-server/src/persist/uring.rs", "the kernel reads memory that it was told of"),
    ("tests/tests/memory.rs", "GlobalAlloc, which it implements to count, is an unsafe trait"),
    ("udf-sdk/src/raw.rs", "a function's imports, its exports and its memory"),
    ("tests/tests/tidy.rs", "it only names the word"),
];

#[test]
fn every_tracked_file_is_tidy() {
    let files = tracked_files();
    assert!(files.iter().any(|file| file == "Cargo.toml"), "git ls-files lists nothing");
    let mut faults = Vec::new();
    for file in &files {
        // What cannot be read as text, or was just removed, has no lines to check.
        if let Ok(text) = fs::read_to_string(root().join(file)) {
            check(file, &text, &mut faults);
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn each_rule_finds_its_fault() {
    let finds = |file: &str, text: &str, expected: &str| {
        let mut faults = Vec::new();
        check(file, text, &mut faults);
        assert!(faults.iter().any(|fault| fault.contains(expected)), "{expected}: {faults:?}");
    };
    for (folder, suffix, why, words) in BANNED {
        for word in *words {
            finds(&format!("{folder}x{suffix}"), &format!("a\n  {word}\n"), &format!(":2: {why}"));
        }
    }
    finds("x.rs", &"x".repeat(LINE_CHARACTERS_MAX + 1), ":1: 101 characters");
    finds("x.ts", &"x\n".repeat(FILE_LINES_MAX + 1), "701 lines");
    finds("x.rs", "caf\u{e9}", ":1: not ASCII");
    finds("x.rs", "unsafe {}", ":1: unsafe");
    let long = format!("impl X {{\n    fn f() {{\n{}    }}\n}}\n", "        x;\n".repeat(70));
    finds("x.rs", &long, ":2: a function of 72 lines");
    let mut faults = Vec::new();
    check("x.rs", &"fn f() {\n    x;\n}\n".repeat(100), &mut faults);
    check("x.rs", "#![forbid(unsafe_code)] // says un-safe is not unsafe at all", &mut faults);
    assert!(faults.is_empty(), "{faults:?}");
}

/// A file of the engine stands in the code map under its name, or its folder does.
#[test]
fn the_code_map_has_every_file_of_the_engine() {
    let map = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("the code map");
    let files = tracked_files();
    let names = files.iter().filter_map(|file| file.strip_prefix("core/src/")).map(|path| {
        path.split_once('/').map_or_else(|| path.to_string(), |(folder, _)| format!("{folder}/"))
    });
    let missing: Vec<_> = names.filter(|name| !map.contains(&format!("`{name}`"))).collect();
    assert!(missing.is_empty(), "ARCHITECTURE.md lacks {missing:?}");
}

fn check(file: &str, text: &str, faults: &mut Vec<String>) {
    let is_source = file.ends_with(".rs") || file.ends_with(".ts");
    let mut fault = |line: usize, what: String| faults.push(format!("{file}:{line}: {what}"));
    for (line, content) in (1..).zip(text.lines()) {
        for (folder, suffix, why, words) in BANNED {
            let is_of_kind = file.starts_with(folder) && file.ends_with(suffix);
            for word in words.iter().filter(|word| is_of_kind && content.contains(**word)) {
                fault(line, format!("{why}: {word}"));
            }
        }
        if is_source && content.chars().count() > LINE_CHARACTERS_MAX {
            fault(line, format!("{} characters", content.chars().count()));
        }
        if is_source && !content.is_ascii() {
            fault(line, "not ASCII".into());
        }
        if file.ends_with(".rs") && uses_unsafe(content) && !may_be_unsafe(file) {
            fault(line, "unsafe outside the files that say why".into());
        }
    }
    if is_source && text.lines().count() > FILE_LINES_MAX {
        fault(1, format!("{} lines", text.lines().count()));
    }
    if file.ends_with(".rs") {
        for (line, length) in long_functions(text) {
            fault(line, format!("a function of {length} lines"));
        }
    }
}

fn may_be_unsafe(file: &str) -> bool {
    UNSAFE_ALLOWED.iter().any(|(allowed, _)| *allowed == file)
}

/// Whether the line's code, not its comment, has the keyword.
fn uses_unsafe(line: &str) -> bool {
    let code = line.split("//").next().unwrap_or_default();
    let mut words = code.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.any(|word| word == "unsafe")
}

/// Where a function starts that has too many lines. rustfmt puts the closing brace below the
/// first letter of the line that opened the function, so counting needs no parser.
fn long_functions(text: &str) -> Vec<(usize, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let indent = |line: &str| line.len() - line.trim_start().len();
    let starts = (0..lines.len()).filter(|&start| opens_function(lines[start]));
    let measured = starts.map(|start| {
        // What ends it stands as far to the left as its start: a brace, or, for a declaration
        // without a body, the semicolon.
        let is_end = |line: &&str| {
            indent(line) == indent(lines[start]) && (line.trim() == "}" || line.ends_with(';'))
        };
        (start + 1, lines[start..].iter().position(is_end).map_or(0, |end| end + 1))
    });
    measured.filter(|&(_, length)| length > FUNCTION_LINES_MAX).collect()
}

fn opens_function(line: &str) -> bool {
    let head = line.split('(').next().unwrap_or_default();
    let is_one_line = line.trim_end().ends_with('}');
    !is_one_line && head.split_whitespace().rev().nth(1) == Some("fn")
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn tracked_files() -> Vec<String> {
    let listed = Command::new("git").arg("ls-files").current_dir(root()).output();
    let listed = listed.expect("git is installed, and this is a clone");
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    String::from_utf8_lossy(&listed.stdout).lines().map(String::from).collect()
}
