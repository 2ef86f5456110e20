//! The commands of the edge builds against the methods of the npm package, both ways: no row
//! without a method, no method without a row or a reason. For the lite build as well, whose rows
//! are those of strings and keys.
//! Not here: what the methods do, and that the lite wasm has those rows (`npm/test/`). The package
//! is read as text, so that it need not carry a list of commands for this test alone.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use ferrite_engine::{EDGE, Group, Spec};

/// Methods that are no row: other forms of commands, and what is about the cache itself.
const EXTRA_METHODS: &[&str] = &[
    "getBytes",
    "withBytes",
    "getResponse",
    "putResponse",
    "multi",
    "getJson",
    "setJson",
    "scanIterator",
    "hscanIterator",
    "sscanIterator",
    "call",
    "callBytes",
    "tick",
    "stats",
    "toJSON",
];

/// What the lite build leaves out beside whole families, and other forms of those.
const LEFT_OUT_OF_LITE: &[&str] = &[
    "append",
    "copy",
    "getrange",
    "hscanIterator",
    "incrbyfloat",
    "object",
    "rename",
    "renamenx",
    "setrange",
    "sscanIterator",
    "substr",
];

/// The package's files without which there is no lite cache.
const LITE_FILES: &[&str] = &["commands.ts", "keys.ts", "strings.ts", "lite-cache.ts"];

#[test]
fn rows_and_methods_know_each_other() {
    know_each_other(&sources(), |_| true, |_| true);
}

#[test]
fn rows_and_methods_of_the_lite_build_know_each_other() {
    let mut sources = sources();
    sources.retain(|(file, _)| LITE_FILES.contains(&file.as_str()));
    assert_eq!(sources.len(), LITE_FILES.len());
    let is_of_lite = |spec: &Spec| {
        use Group::{Connection, Generic, Server, String};
        matches!(spec.group, Connection | Generic | Server | String)
    };
    know_each_other(&sources, is_of_lite, |name| !LEFT_OUT_OF_LITE.contains(&name));
}

/// The edge build's rows of certain families, and the methods in these files: all that have a name
/// that is wanted.
fn know_each_other(
    sources: &[(String, String)],
    is_there: impl Fn(&Spec) -> bool,
    is_wanted: impl Fn(&str) -> bool,
) {
    let mut methods = BTreeSet::new();
    for (file, source) in sources {
        for method in public_methods(source) {
            assert!(methods.insert(method), "{file}: {method} is in another file as well");
        }
    }
    let mut expected: BTreeSet<&str> = ferrite_engine::all()
        .filter(|spec| spec.flags & EDGE != 0 && is_there(spec))
        .map(|spec| spec.name)
        .filter(|name| is_wanted(name))
        .collect();
    for extra in EXTRA_METHODS.iter().filter(|extra| is_wanted(extra)) {
        assert!(expected.insert(extra), "{extra} is a row, and needs no reason");
    }
    let lacking: Vec<_> = expected.difference(&methods).collect();
    assert!(lacking.is_empty(), "the cache has no method for these: {lacking:?}");
    let strange: Vec<_> = methods.difference(&expected).collect();
    assert!(strange.is_empty(), "these methods are neither rows nor listed here: {strange:?}");
}

/// The file of `FerriteCache`, and those of the classes that it extends: name and text of each.
fn sources() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../npm/src");
    let families = fs::read_dir(folder.join("commands")).expect("the package's families");
    let families = families.map(|entry| entry.expect("a file").path());
    families
        .chain([folder.join("cache.ts"), folder.join("lite-cache.ts")])
        .map(|path| {
            let source = fs::read_to_string(&path).expect("the package's source");
            let file = path.file_name().expect("a name").to_string_lossy();
            (file.into_owned(), source)
        })
        .collect()
}

#[test]
fn only_public_methods_are_found() {
    let source = "\
function before() {
}
export abstract class Commands {
  protected abstract run(name: string): Reply;
  protected *scanned<Item>(): Generator<Item> {
  }
  zero(): void {
  }
}
function between() {
}
export class FerriteCache extends Commands {
  private writes = count(1);
  open = count(2);
  constructor(private readonly a: A) {
  }
  /** A comment (with parentheses). */
  // if (so)
  one(key: Key): number {
    return two(key);
  }
  one(
    key: Key,
  ): number {
  }
  *three<T>(): Generator<T> {
  }
  async four(): Promise<void> {
  }
  private five(): void {
  }
}
class Other {
  six() {
  }
}
";
    assert_eq!(public_methods(source), BTreeSet::from(["zero", "one", "three", "four"]));
}

/// The names of the exported classes' methods that are not private: lines of the outermost level in
/// a class that have nothing before the parameters but a name and what may stand before one.
fn public_methods(source: &str) -> BTreeSet<&str> {
    let mut is_in_class = false;
    let members = source.lines().filter(|line| {
        is_in_class = match *line {
            "}" => false,
            _ => is_in_class || CLASSES.iter().any(|class| line.starts_with(class)),
        };
        is_in_class
    });
    members.filter_map(public_method).collect()
}

const CLASSES: &[&str] = &["export class ", "export abstract class "];

fn public_method(line: &str) -> Option<&str> {
    let member = line.strip_prefix("  ").filter(|member| !member.starts_with(' '))?;
    let (head, _) = member.split_once(['(', '<'])?;
    let mut words: Vec<_> = head.trim_start_matches('*').split(' ').collect();
    let name = words.pop()?;
    let is_name = name.chars().all(|c| c.is_ascii_alphanumeric()) && !name.is_empty();
    let is_public = words.iter().all(|word| ["public", "async", "override"].contains(word));
    (is_name && is_public && name != "constructor").then_some(name)
}
