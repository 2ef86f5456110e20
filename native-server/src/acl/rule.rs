//! Rules, as ACL SETUSER and the lines of users in files have them.

use thiserror::Error;

use crate::limits::ACL_RULES_MAX;

/// What is wrong with a rule; Redis's words.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[allow(missing_docs, reason = "the text says it")]
pub enum RuleError {
    #[error("Unknown command or category name in ACL")]
    Unknown,
    #[error("Syntax error")]
    Syntax,
    #[error(
        "Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid and does not \
         have any effect. Try 'resetkeys' to start with an empty list of patterns"
    )]
    BehindAllKeys,
    #[error(
        "Adding a pattern after the * pattern (or the 'allchannels' flag) is not valid and does \
         not have any effect. Try 'resetchannels' to start with an empty list of channels"
    )]
    BehindAllChannels,
    #[error("The password you are trying to remove from the user does not exist")]
    NoSuchPassword,
    #[error(
        "The password hash must be exactly 64 characters and contain only lowercase hexadecimal \
         characters"
    )]
    NoHash,
    #[error("Allowing first-arg of a subcommand is not supported")]
    FirstArgumentOfSubcommand,
    #[error("A user may have {ACL_RULES_MAX} passwords, patterns and selectors in all")]
    TooMany,
}

/// Rules whose selectors are in one piece each. Those may come in several, which begin and end with
/// the parentheses.
///
/// # Errors
/// The piece whose parenthesis is never closed.
pub fn merged(rules: &[&[u8]]) -> Result<Vec<Vec<u8>>, Vec<u8>> {
    let mut all = Vec::new();
    let mut open: Option<(&[u8], Vec<u8>)> = None;
    for &rule in rules {
        match &mut open {
            Some((_, selector)) => {
                selector.push(b' ');
                selector.extend_from_slice(rule);
                if rule.ends_with(b")") {
                    all.extend(open.take().map(|(_, selector)| selector));
                }
            }
            None if rule.starts_with(b"(") && !rule.ends_with(b")") => {
                open = Some((rule, rule.into()));
            }
            None => all.push(rule.into()),
        }
    }
    match open {
        Some((begun, _)) => Err(begun.into()),
        None => Ok(all),
    }
}
