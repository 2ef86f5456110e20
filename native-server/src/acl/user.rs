//! A user: how one becomes it, and what it may do.

use ferrite_engine::Reply;
use sha2::{Digest, Sha256};

use crate::acl::rule::RuleError;
use crate::acl::selector::{Denial, Selector, joined};
use crate::commands::Command;
use crate::limits::ACL_RULES_MAX;
use crate::resp::inline;
use crate::resp::wire::Wire;

/// The user that a connection is, until it says otherwise.
pub const DEFAULT: &[u8] = b"default";

const SANITIZES: &str = "sanitize-payload";
const SKIPS: &str = "skip-sanitize-payload";

/// See the module.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct User {
    /// Its name.
    pub name: Box<[u8]>,
    /// Whether one can become it.
    pub is_on: bool,
    /// Whether any password will do.
    pub has_no_password: bool,
    /// What was said of RESTORE's payloads, which are looked at here in any case.
    sanitizing: Option<&'static str>,
    /// SHA-256 of its passwords, in hexadecimal.
    passwords: Vec<String>,
    /// What it may do: whatever one of these allows. The first is its own, the others stood in
    /// parentheses.
    selectors: Vec<Selector>,
}

impl User {
    /// A user that may do nothing yet, but for listening where all may.
    pub fn new(name: &[u8], has_all_channels: bool) -> User {
        User {
            name: name.into(),
            is_on: false,
            has_no_password: false,
            sanitizing: None,
            passwords: Vec::new(),
            selectors: vec![Selector::new(has_all_channels)],
        }
    }

    /// The user that everybody is where nothing else was said.
    pub fn unrestricted() -> User {
        let selectors = vec![Selector::unrestricted()];
        User { is_on: true, has_no_password: true, selectors, ..User::new(DEFAULT, true) }
    }

    /// Whether it may do everything.
    pub fn is_unrestricted(&self) -> bool {
        self.selectors.iter().any(Selector::is_unrestricted)
    }

    /// The password that is a setting: the only one, or none if it is empty.
    pub fn set_password(&mut self, password: &str) {
        self.passwords.clear();
        self.has_no_password = password.is_empty();
        if !password.is_empty() {
            self.passwords.push(hash(password.as_bytes()));
        }
    }

    /// Whether somebody with a password may become it.
    pub fn accepts(&self, password: &[u8]) -> bool {
        let given = hash(password);
        // All of them are looked at, and in hashes of one length a difference tells nothing.
        let is_known = self.passwords.iter().fold(false, |found, known| found | (*known == given));
        self.is_on && (self.has_no_password || is_known)
    }

    /// Applies one rule.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn apply(&mut self, rule: &[u8], has_all_channels: bool) -> Result<(), RuleError> {
        let is = |word: &str| rule.eq_ignore_ascii_case(word.as_bytes());
        match rule {
            [] => {}
            _ if is("on") => self.is_on = true,
            _ if is("off") => self.is_on = false,
            _ if is(SANITIZES) => self.sanitizing = Some(SANITIZES),
            _ if is(SKIPS) => self.sanitizing = Some(SKIPS),
            _ if is("nopass") || is("resetpass") => {
                self.has_no_password = is("nopass");
                self.passwords.clear();
            }
            _ if is("reset") => {
                let sanitizing = Some(SANITIZES);
                *self = User { sanitizing, ..User::new(&self.name, has_all_channels) };
            }
            _ if is("clearselectors") => self.selectors.truncate(1),
            [b'>', password @ ..] => self.add_password(hash(password)),
            [b'#', hash @ ..] => self.add_password(checked(hash)?),
            [b'<', password @ ..] => self.remove_password(&hash(password))?,
            [b'!', hash @ ..] => self.remove_password(&checked(hash)?)?,
            [b'(', rules @ .., b')'] => {
                let mut selector = Selector::new(false);
                let (text, words) = inline::split(rules).ok_or(RuleError::Syntax)?;
                for word in words {
                    selector.apply(text.get(word).unwrap_or_default())?;
                }
                self.selectors.push(selector);
            }
            _ => self.selectors[0].apply(rule)?,
        }
        let parts: usize = self.selectors.iter().map(|selector| 1 + selector.size()).sum();
        match parts + self.passwords.len() > ACL_RULES_MAX {
            true => Err(RuleError::TooMany),
            false => Ok(()),
        }
    }

    fn add_password(&mut self, hash: String) {
        if !self.passwords.contains(&hash) {
            self.passwords.push(hash);
        }
        self.has_no_password = false;
    }

    fn remove_password(&mut self, hash: &str) -> Result<(), RuleError> {
        let known = self.passwords.iter().position(|known| known == hash);
        self.passwords.remove(known.ok_or(RuleError::NoSuchPassword)?);
        Ok(())
    }

    /// Why it may not make a request, if it may not.
    pub fn denial(&self, command: &Command, request: &[&[u8]]) -> Option<Denial> {
        let mut worst = Denial::Command;
        for selector in &self.selectors {
            worst = worst.max(selector.denial(command, request)?);
        }
        Some(worst)
    }

    /// The option of a SORT by which that would read keys which only its patterns name, if it may
    /// not.
    pub fn denied_pattern(&self, command: &Command, request: &[&[u8]]) -> Option<&'static str> {
        if !command.name.starts_with("sort") {
            return None;
        }
        let mut pairs = request.windows(2).skip(2);
        let option = pairs.find_map(|pair| match pair[0].to_ascii_lowercase()[..] {
            [b'b', b'y'] if pair[1].contains(&b'*') => Some("BY"),
            [b'g', b'e', b't'] => Some("GET"),
            _ => None,
        });
        option.filter(|_| !self.allows_with_all_reads(command, request))
    }

    /// Whether it may make a request that reads keys which nobody can name beforehand.
    fn allows_with_all_reads(&self, command: &Command, request: &[&[u8]]) -> bool {
        self.selectors.iter().any(|selector| {
            selector.denial(command, request).is_none() && selector.allows_all_reads()
        })
    }

    /// Whether it may listen to what another user may listen to: every channel there is, or each of
    /// the patterns.
    pub fn allows_channels_of(&self, other: &User) -> bool {
        let is_mine = |pattern: &[u8]| {
            let own = self.selectors.iter().filter_map(Selector::channel_patterns);
            own.flatten().any(|mine| **mine == *pattern)
        };
        self.selectors.iter().any(|selector| selector.channel_patterns().is_none())
            || other.selectors.iter().all(|selector| {
                selector
                    .channel_patterns()
                    .is_some_and(|patterns| patterns.iter().all(|pattern| is_mine(pattern)))
            })
    }

    /// Whether it may listen to a channel, or to a pattern of channels.
    pub fn allows_channel(&self, channel: &[u8], is_pattern: bool) -> bool {
        self.selectors.iter().any(|selector| selector.allows_channel(channel, is_pattern))
    }

    fn flags(&self) -> impl Iterator<Item = &'static str> {
        [
            Some(if self.is_on { "on" } else { "off" }),
            self.has_no_password.then_some("nopass"),
            self.sanitizing,
        ]
        .into_iter()
        .flatten()
    }

    /// Rules that make it, its name before them.
    pub fn show(&self) -> Vec<u8> {
        let flags = self.flags().map(Vec::from);
        let passwords = self.passwords.iter().map(|hash| format!("#{hash}").into());
        let selectors = self.selectors.iter().enumerate().map(|(at, selector)| match at {
            0 => selector.show(),
            _ => [b"(", &*selector.show(), b")"].concat(),
        });
        let name = std::iter::once(self.name.to_vec());
        joined(name.chain(flags).chain(passwords).chain(selectors))
    }

    /// Answers ACL GETUSER.
    pub fn describe(&self, wire: &mut Wire<'_>) {
        wire.map(6);
        wire.text("flags");
        wire.set(self.flags().count());
        self.flags().for_each(|flag| wire.text(flag));
        wire.text("passwords");
        wire.texts(&self.passwords);
        let (own, others) = self.selectors.split_first().expect("a user has a selector of its own");
        describe_selector(own, wire);
        wire.text("selectors");
        wire.array(others.len());
        for selector in others {
            wire.map(3);
            describe_selector(selector, wire);
        }
    }
}

fn describe_selector(selector: &Selector, wire: &mut Wire<'_>) {
    let parts = [
        ("commands", selector.show_commands().into()),
        ("keys", selector.show_keys()),
        ("channels", selector.show_channels()),
    ];
    for (name, rules) in parts {
        wire.text(name);
        wire.text(rules);
    }
}

fn hash(password: &[u8]) -> String {
    Sha256::digest(password).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A hash that was given as such.
fn checked(hash: &[u8]) -> Result<String, RuleError> {
    let is_hash =
        hash.len() == 64 && hash.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    match str::from_utf8(hash) {
        Ok(hash) if is_hash => Ok(hash.into()),
        _ => Err(RuleError::NoHash),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::command::CATEGORIES;
    use crate::commands::table;

    /// A rule of any kind; some of them are refused.
    fn rule(random: &mut impl FnMut(usize) -> usize) -> Vec<u8> {
        let commands: Vec<&str> = table().each().map(|command| command.name).collect();
        let sign = ["+", "-"][random(2)];
        let name = commands[random(commands.len())];
        match random(10) {
            0..4 => format!("{sign}{name}"),
            4..6 => format!("{sign}@{}", CATEGORIES[random(CATEGORIES.len())]),
            6 => format!("+{name}|{}", random(3)),
            7 => format!("{}~{}*", ["", "%R", "%W", "%RW", "%"][random(5)], random(4)),
            8 => format!("&{}*", random(4)),
            _ => [
                "allkeys",
                "resetkeys",
                "&*",
                "resetchannels",
                "+@all",
                "-@all",
                "on",
                "off",
                ">a",
                ">b",
                "<a",
                "nopass",
                "(+get ~a)",
                "(+@read %R~b &c)",
                "clearselectors",
                "sanitize-payload",
                "skip-sanitize-payload",
            ][random(17)]
            .into(),
        }
        .into()
    }

    #[test]
    fn what_is_shown_makes_the_same_user() {
        let mut state = 1u64;
        let mut random = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) as usize % below
        };
        let mut applied = 0;
        for _ in 0..200 {
            let mut user = User::new(b"ann", false);
            for _ in 0..random(12) {
                applied += usize::from(user.apply(&rule(&mut random), false).is_ok());
            }
            let shown = user.show();
            let words: Vec<&[u8]> = shown.split(|&byte| byte == b' ').skip(1).collect();
            let mut again = User::new(b"ann", false);
            for word in crate::acl::rule::merged(&words).expect("closed parentheses") {
                again.apply(&word, false).expect("a rule that was shown");
            }
            assert_eq!(again, user, "{}", String::from_utf8_lossy(&shown));
        }
        assert!(applied > 500, "{applied}");
    }
}
