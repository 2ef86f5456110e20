//! Users in files: lines of redis.conf, or a file of their own (`aclfile`).

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::acl::rule::{RuleError, merged};
use crate::acl::user::{DEFAULT, User};
use crate::acl::{Users, is_name};
use crate::config::Config;
use crate::config::rewrite::replace;
use crate::limits::{ACL_FILE_BYTES_MAX, ACL_USERS_MAX};
use crate::process::system_text;

/// The users that a configuration starts with: those of its lines, or of its file.
///
/// # Errors
/// What is wrong with them.
pub fn initial(config: &Config) -> Result<Users, String> {
    let has_all_channels = config.has_all_channels();
    if let Some(path) = config.aclfile_path() {
        return match config.users.is_empty() {
            true => load(&path, has_all_channels),
            false => Err("users may be defined in the configuration or in an aclfile, not both: \
                          remove the lines that begin with 'user', or the setting aclfile"
                .into()),
        };
    }
    let mut default = User::unrestricted();
    default.set_password(&config.requirepass);
    let mut users = Users::from([(DEFAULT.into(), Arc::new(default))]);
    for line in &config.users {
        let Some((name, rules)) = line.split_first() else { continue };
        let rules: Vec<&[u8]> = rules.iter().map(Vec::as_slice).collect();
        let mut user = User::new(name, has_all_channels);
        for rule in merged(&rules).map_err(|_| "a parenthesis is not closed")? {
            user.apply(&rule, has_all_channels).map_err(|why| {
                let [rule, name] = [&rule, name].map(|text| String::from_utf8_lossy(text));
                format!("rule '{rule}' of the user '{name}': {why}")
            })?;
        }
        users.insert(name.as_slice().into(), Arc::new(user));
    }
    Ok(users)
}

/// Reads a file of users.
///
/// # Errors
/// All that is wrong with it, line by line.
pub fn load(path: &Path, has_all_channels: bool) -> Result<Users, String> {
    let shown = path.display();
    let is_too_large = fs::metadata(path).is_ok_and(|file| file.len() > ACL_FILE_BYTES_MAX);
    if is_too_large {
        return Err(format!("Error loading ACLs, '{shown}' has more than 16 MB"));
    }
    let text = fs::read(path).map_err(|why| {
        let why = system_text(&why);
        format!("Error loading ACLs, opening file '{shown}': {why}")
    })?;
    let (mut users, mut faults) = (Users::new(), String::new());
    for (number, line) in (1..).zip(text.split(|&byte| byte == b'\n')) {
        let words: Vec<&[u8]> = line.trim_ascii().split(|&byte| byte == b' ').collect();
        if words == [b""] {
            continue;
        }
        match read_line(&words, &users, has_all_channels) {
            Ok(user) => {
                users.insert(user.name.clone(), Arc::new(user));
            }
            Err(Fault::Duplicate(name)) => {
                faults += &format!("WARNING: Duplicate user '{name}' found on line {number}. ");
            }
            Err(Fault::Line(why)) => faults += &format!("{shown}:{number}{why}. "),
        }
    }
    if !faults.is_empty() {
        return Err(faults
            + "WARNING: ACL errors detected, no change to the previously active ACL rules was \
               performed");
    }
    users.entry(DEFAULT.into()).or_insert_with(|| Arc::new(User::unrestricted()));
    Ok(users)
}

enum Fault {
    Duplicate(String),
    /// What comes behind the number of the line.
    Line(String),
}

fn read_line(words: &[&[u8]], users: &Users, has_all_channels: bool) -> Result<User, Fault> {
    let line = |why: &str| Fault::Line(why.into());
    let &[b"user", name, ref rules @ ..] = words else {
        return Err(line(" should start with user keyword followed by the username"));
    };
    let shown = String::from_utf8_lossy(name).into_owned();
    if !is_name(name) {
        return Err(Fault::Line(format!(": username '{shown}' contains invalid characters")));
    }
    if users.contains_key(name) {
        return Err(Fault::Duplicate(shown));
    }
    if users.len() >= ACL_USERS_MAX {
        return Err(line(": there are too many users"));
    }
    let mut user = User::new(name, has_all_channels);
    let unmatched = |_| line(": Unmatched parenthesis in selector definition");
    for rule in merged(rules).map_err(unmatched)? {
        user.apply(rule.trim_ascii(), has_all_channels).map_err(|why| match why {
            // This much of a rule is no secret.
            RuleError::Unknown => {
                let rule = String::from_utf8_lossy(&rule);
                Fault::Line(format!(": Error in applying operation '{rule}': {why}"))
            }
            _ => Fault::Line(format!(": {why}")),
        })?;
    }
    Ok(user)
}

/// Writes a file of users: the old one is there, or the new one.
///
/// # Errors
/// The system's.
pub fn save(path: &Path, users: &[Arc<User>]) -> io::Result<()> {
    let line = |user: &Arc<User>| [b"user ", &*user.show(), b"\n"].concat();
    replace(path, &users.iter().flat_map(line).collect::<Vec<u8>>())
}
