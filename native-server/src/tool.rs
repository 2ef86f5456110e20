//! What the program's tools are called with: `check`, `repair`, `import` and `export`.
//!
//! Invariant: a word that begins with a dash never names a file, but behind `--`; an option that a
//! tool does not have is an error which names it.

/// What a tool is asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Asked {
    /// How it is called.
    Help,
    /// To do its work.
    Work {
        /// On what.
        path: String,
        /// The words around it: its options, or a server's behind the path.
        options: Vec<String>,
    },
}

/// Reads the words behind the name of a tool that has these options, and one path among them.
///
/// # Errors
/// What is wrong with them.
pub fn read(tool: &str, own: &[&str], words: &[String]) -> Result<Asked, String> {
    let (mut paths, mut options, mut is_plain) = (Vec::new(), Vec::new(), false);
    for word in words {
        match word.as_str() {
            _ if is_plain => paths.push(word.clone()),
            "--" => is_plain = true,
            "-h" | "--help" => return Ok(Asked::Help),
            option if own.contains(&option) => options.push(word.clone()),
            option if option.starts_with('-') => return Err(unknown(tool, option)),
            _ => paths.push(word.clone()),
        }
    }
    match <[String; 1]>::try_from(paths) {
        Ok([path]) => Ok(Asked::Work { path, options }),
        Err(paths) => Err(format!("'{tool}' takes one path, not {} (see --help)", paths.len())),
    }
}

/// The same for a tool whose path comes first, and behind which the words of a server stand.
///
/// # Errors
/// What is wrong with them.
pub fn read_before_settings(tool: &str, words: &[String]) -> Result<Asked, String> {
    if words.iter().take_while(|word| *word != "--").any(|word| word == "-h" || word == "--help") {
        return Ok(Asked::Help);
    }
    let (path, options) = match words {
        [dashes, path, options @ ..] if dashes == "--" => (path, options),
        [option, ..] if option.starts_with('-') && option != "--" => {
            return Err(format!(
                "'{tool}' takes a path first, not '{option}' (see --help); a file of that name is \
                 './{option}'"
            ));
        }
        [path, options @ ..] if path != "--" => (path, options),
        _ => return Err(format!("'{tool}' takes a path (see --help)")),
    };
    Ok(Asked::Work { path: path.clone(), options: options.to_vec() })
}

fn unknown(tool: &str, option: &str) -> String {
    format!("'{tool}' has no option '{option}' (see --help); a file of that name is './{option}'")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split_ascii_whitespace().map(String::from).collect()
    }

    fn check(found: Result<Asked, String>, expected: Result<(&str, &str), &str>) {
        let expected = expected.map_err(String::from).map(|(path, options)| match path {
            "" => Asked::Help,
            path => Asked::Work { path: path.into(), options: words(options) },
        });
        assert_eq!(found, expected);
    }

    #[test]
    fn options_stand_around_one_path() {
        let read = |line: &str| read("repair", &["--yes"], &words(line));
        check(read("a.log"), Ok(("a.log", "")));
        check(read("--yes a.log"), Ok(("a.log", "--yes")));
        check(read("a.log --yes"), Ok(("a.log", "--yes")));
        check(read("--yes -- --yes"), Ok(("--yes", "--yes")));
        check(read("./-a"), Ok(("./-a", "")));
        check(read("a.log --help"), Ok(("", "")));
        check(read("-- --help"), Ok(("--help", "")));
        check(read(""), Err("'repair' takes one path, not 0 (see --help)"));
        check(read("a b"), Err("'repair' takes one path, not 2 (see --help)"));
        let unknown = "'repair' has no option '--force' (see --help); a file of that name is \
                       './--force'";
        check(read("a.log --force"), Err(unknown));
    }

    #[test]
    fn settings_stand_behind_the_path() {
        let read = |line: &str| read_before_settings("export", &words(line));
        check(read("a.rdb --dir b"), Ok(("a.rdb", "--dir b")));
        check(read("-- -a.rdb --dir b"), Ok(("-a.rdb", "--dir b")));
        check(read("--help"), Ok(("", "")));
        check(read("a.rdb -h"), Ok(("", "")));
        check(read(""), Err("'export' takes a path (see --help)"));
        check(read("--"), Err("'export' takes a path (see --help)"));
        let first = "'export' takes a path first, not '--dir' (see --help); a file of that name is \
                     './--dir'";
        check(read("--dir b"), Err(first));
    }
}
