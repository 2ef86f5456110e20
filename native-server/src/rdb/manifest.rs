//! The manifest of an append-only file: which files it consists of.
//!
//! Source of the format: `aof.c` of Redis 7. A line is `file NAME seq NUMBER type b|h|i`.

use std::fs;
use std::path::{Path, PathBuf};

use super::fault::{Fault, Problem};
use crate::limits::MANIFEST_BYTES_MAX;
use crate::plain_file;
use crate::resp::inline;

const EXTENSION: &str = "manifest";

/// The files of an append-only file, in the order in which they are read: what all of it was at a
/// moment, then what came after.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Manifest {
    /// A `dump.rdb` or commands.
    pub base: Option<String>,
    /// Commands.
    pub increments: Vec<String>,
}

/// Whether a path names a manifest.
pub fn is_one(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == EXTENSION)
}

/// The manifest in a directory, of which there must be one.
pub fn in_directory(directory: &Path) -> Result<PathBuf, Fault> {
    let fault = |why| Fault::io(directory, why);
    let mut found = None;
    for entry in fs::read_dir(directory).map_err(fault)? {
        let path = entry.map_err(fault)?.path();
        if is_one(&path) && found.replace(path).is_some() {
            return Err(Fault::whole(directory, "it has several manifests: name one of them"));
        }
    }
    let none = "it has no manifest of an append-only file: name a file of it, or another directory";
    found.ok_or_else(|| Fault::whole(directory, none))
}

/// Reads a manifest.
pub fn read(path: &Path) -> Result<Manifest, Fault> {
    let length = plain_file::look(path).map_err(|why| Fault::io(path, why))?.len();
    if length > MANIFEST_BYTES_MAX {
        return Err(Fault::whole(path, "it is too long for a manifest"));
    }
    let text = plain_file::read(path).map_err(|why| Fault::io(path, why))?;
    parse(&text).map_err(|problem| Fault::whole(path, problem))
}

fn parse(text: &[u8]) -> Result<Manifest, Problem> {
    let mut manifest = Manifest::default();
    let mut last = 0;
    for (number, line) in (1..).zip(text.split(|&byte| byte == b'\n')) {
        if line.is_empty() || line.starts_with(b"#") {
            continue;
        }
        let bad = |what: &str| format!("line {number}: {what}");
        let (name, sequence, kind) = parse_line(line).ok_or_else(|| bad("this is no file"))?;
        let is_plain = !name.is_empty() && !name.contains('/') && name != "." && name != "..";
        if !is_plain {
            return Err(bad("the name is none of a file in this directory").into());
        }
        match kind.as_str() {
            "b" if manifest.base.is_some() => return Err(bad("there is a base already").into()),
            "b" => manifest.base = Some(name),
            "h" => {}
            "i" if sequence <= last => return Err(bad("the numbers do not rise").into()),
            "i" => {
                last = sequence;
                manifest.increments.push(name);
            }
            _ => return Err(bad("there is no such type of file").into()),
        }
    }
    if manifest == Manifest::default() { Err("it names no file".into()) } else { Ok(manifest) }
}

/// Name, number and type: each behind its word, in any order.
fn parse_line(line: &[u8]) -> Option<(String, u64, String)> {
    let (text, words) = inline::split(line)?;
    let word = |at: usize| {
        let word = words.get(at).and_then(|range| text.get(range.clone()))?;
        String::from_utf8(word.into()).ok()
    };
    let value = |name: &str| {
        let at = (0..words.len()).step_by(2).find(|&at| word(at).is_some_and(|word| word == name));
        word(at? + 1)
    };
    Some((value("file")?, value("seq")?.parse().ok()?, value("type")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<(Option<&str>, &[&str]), &str>) {
        let given = parse(text.as_bytes()).map_err(|problem| problem.to_string());
        let expected = expected.map_err(String::from).map(|(base, increments)| Manifest {
            base: base.map(String::from),
            increments: increments.iter().map(|name| (*name).into()).collect(),
        });
        assert_eq!(given, expected, "{text}");
    }

    #[test]
    fn files_are_named_in_order() {
        check(
            "file a.1.base.rdb seq 1 type b\nfile a.1.incr.aof seq 1 type i\n\
             file \"b 2\" seq 2 type i\n",
            Ok((Some("a.1.base.rdb"), &["a.1.incr.aof", "b 2"])),
        );
        check("# nothing\nfile x seq 7 type i\nfile y seq 3 type h\n", Ok((None, &["x"])));
        check("", Err("it names no file"));
        check("file x seq 1\n", Err("line 1: this is no file"));
        check(
            "file ../x seq 1 type i\n",
            Err("line 1: the name is none of a file in this directory"),
        );
        check("file x seq 1 type z\n", Err("line 1: there is no such type of file"));
        let twice = "file x seq 1 type b\nfile y seq 2 type b\n";
        check(twice, Err("line 2: there is a base already"));
        let falling = "file x seq 2 type i\nfile y seq 1 type i\n";
        check(falling, Err("line 2: the numbers do not rise"));
    }
}
