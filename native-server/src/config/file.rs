//! The configuration file, in redis.conf's grammar, and the command line, which says the same
//! with dashes.
//!
//! Invariant: what is not understood stops the start, with the line that it stands in.

use thiserror::Error;

use crate::acl::is_name;
use crate::config::table::{Refusal, find};
use crate::config::{Config, foreign};
use crate::limits::CONFIG_LINE_BYTES_MAX;
use crate::resp::inline;

/// Why a configuration is refused.
#[derive(Debug, Error)]
pub enum Fault {
    /// A line of a file.
    #[error("{file}:{line}: '{text}': {why}")]
    Line {
        /// The file.
        file: String,
        /// The number of the line, from 1.
        line: usize,
        /// What stands there.
        text: String,
        /// What is wrong with it.
        why: Refusal,
    },
    /// An option of the command line, or a variable of the environment.
    #[error("{name}: {why}")]
    Option {
        /// The option.
        name: String,
        /// What is wrong with it.
        why: Refusal,
    },
    /// A file that cannot be read.
    #[error("cannot read the configuration file {file}: {why}")]
    Unreadable {
        /// The file.
        file: String,
        /// Why.
        why: std::io::Error,
    },
}

/// Reads the text of a configuration file.
///
/// # Errors
/// The first line that is wrong.
pub fn read(config: &mut Config, file: &str, text: &str) -> Result<(), Fault> {
    for (line, content) in (1..).zip(text.lines()) {
        let content = content.trim();
        if content.is_empty() || content.starts_with('#') {
            continue;
        }
        read_line(config, content).map_err(|why| {
            let text = content.chars().take(100).collect();
            Fault::Line { file: file.into(), line, text, why }
        })?;
    }
    Ok(())
}

fn read_line(config: &mut Config, line: &str) -> Result<(), Refusal> {
    if line.len() > CONFIG_LINE_BYTES_MAX {
        return Err("the line is too long".into());
    }
    let words = bytes(line).ok_or("unbalanced quotes")?;
    match words.split_first() {
        // Names and patterns are bytes of any kind.
        Some((name, words)) if name.eq_ignore_ascii_case(b"user") => add_user(config, words),
        Some((name, values)) => {
            set(config, &text(name), &values.iter().map(|word| text(word)).collect::<Vec<_>>())
        }
        None => Ok(()),
    }
}

/// The words of a line. `None` if a quote is not closed.
pub fn words(line: &str) -> Option<Vec<String>> {
    Some(bytes(line)?.iter().map(|word| text(word)).collect())
}

fn bytes(line: &str) -> Option<Vec<Vec<u8>>> {
    let (text, words) = inline::split(line.as_bytes())?;
    Some(words.into_iter().map(|range| text.get(range).unwrap_or_default().to_vec()).collect())
}

fn text(word: &[u8]) -> String {
    String::from_utf8_lossy(word).into()
}

/// A user. Its rules are read when the server starts.
fn add_user(config: &mut Config, words: &[Vec<u8>]) -> Result<(), Refusal> {
    let name = words.first().ok_or("wrong number of arguments")?;
    if !is_name(name) {
        return Err("Spaces not allowed in ACL usernames".into());
    }
    if config.users.iter().any(|user| user.first() == Some(name)) {
        let line = "Duplicate user found. A user can only be defined once in config files";
        return Err(line.into());
    }
    config.users.push(words.into());
    Ok(())
}

/// Gives a setting its value, in one word or several.
///
/// # Errors
/// Why it is refused.
pub fn set(config: &mut Config, name: &str, values: &[String]) -> Result<(), Refusal> {
    if name.eq_ignore_ascii_case("save") {
        return add_rules(config, values);
    }
    if values.is_empty() {
        return Err("wrong number of arguments".into());
    }
    if name.eq_ignore_ascii_case("user") {
        let words: Vec<Vec<u8>> = values.iter().map(|word| word.clone().into_bytes()).collect();
        return add_user(config, &words);
    }
    let Some(setting) = find(name) else { return foreign::read(config, name, values) };
    setting.read(config, &values.join(" "))
}

/// As in Redis each `save` has some rules more; the first takes the place of the default ones, and
/// an empty one of all.
fn add_rules(config: &mut Config, values: &[String]) -> Result<(), Refusal> {
    let Some(setting) = find("save") else { return Ok(()) };
    let before = std::mem::take(&mut config.save);
    setting.read(config, &values.join(" "))?;
    if std::mem::replace(&mut config.has_own_rules, true) && !config.save.is_empty() {
        config.save.splice(..0, before);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_or_refused_with_the_line() {
        let mut config = Config::default();
        let text = "# a comment\n\nport 7000\nrequirepass \"a b\"\nBIND 127.0.0.1 ::1\n";
        read(&mut config, "x.conf", text).expect("a good file");
        assert_eq!((config.port, config.requirepass.as_str()), (7000, "a b"));
        assert_eq!(config.bind, "127.0.0.1 ::1");
        let mut config = Config::default();
        read(&mut config, "x.conf", "save 900 1\nsave 300 10 60 5\n").expect("rules");
        assert_eq!(find("save").expect("a row").show(&config), "900 1 300 10 60 5");
        for none in ["save \"\"\n", "save\n"] {
            read(&mut config, "x.conf", "save 9 1\n").expect("a rule");
            read(&mut config, "x.conf", none).expect("no rules");
            assert!(config.save.is_empty());
        }
        let refused = |text: &str| {
            let mut config = Config::default();
            read(&mut config, "x.conf", text).expect_err("a bad file").to_string()
        };
        assert_eq!(refused("\nprot 1"), "x.conf:2: 'prot 1': there is no such setting");
        assert!(refused("appendonly maybe").starts_with("x.conf:1: 'appendonly maybe': argument"));
        assert_eq!(refused("port"), "x.conf:1: 'port': wrong number of arguments");
        assert_eq!(refused("port \"1"), "x.conf:1: 'port \"1': unbalanced quotes");
    }
}
