//! A selector: the commands, keys and channels that it lets a user have.
//!
//! Invariant: what is allowed is what `commands` says, a bit for each command and subcommand; the
//! rules it came from are gone, and a description finds others that lead to the same bits, as in
//! Redis.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use crate::acl::rule::RuleError;
use crate::commands::command::{CATEGORIES, categories, places_of_keys};
use crate::commands::flags::NO_AUTH;
use crate::commands::key_use::Use;
use crate::commands::{Command, table};
use crate::glob;

/// May be read.
const READ: u8 = 1;
/// May be changed.
const WRITE: u8 = 1 << 1;

/// Keys that may be used, and how.
#[derive(Clone, PartialEq, Eq, Debug)]
struct KeyPattern {
    access: u8,
    pattern: Box<[u8]>,
}

impl KeyPattern {
    fn show(&self) -> Vec<u8> {
        let prefix: &[u8] = match self.access {
            READ => b"%R~",
            WRITE => b"%W~",
            _ => b"~",
        };
        [prefix, &self.pattern].concat()
    }
}

/// Why a request is refused. Of several reasons the greatest is told: a key or a channel at a later
/// place behind one before it, and both behind the command.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Denial {
    /// The command, or the subcommand.
    Command,
    /// The key at this place of the request.
    Key(usize),
    /// The channel at this place.
    Channel(usize),
}

/// See the module.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Selector {
    commands: Vec<u64>,
    /// It began with `+@all`: commands that are yet to come are allowed.
    has_future: bool,
    /// First arguments with which a command is allowed that else is not.
    first_args: BTreeMap<u16, Vec<String>>,
    has_all_keys: bool,
    keys: Vec<KeyPattern>,
    has_all_channels: bool,
    channels: Vec<Box<[u8]>>,
}

impl Selector {
    /// One that allows nothing, or every channel.
    pub fn new(has_all_channels: bool) -> Selector {
        Selector {
            commands: vec![0; table().count().div_ceil(64)],
            has_future: false,
            first_args: BTreeMap::new(),
            has_all_keys: false,
            keys: Vec::new(),
            has_all_channels,
            channels: Vec::new(),
        }
    }

    /// One that allows everything.
    pub fn unrestricted() -> Selector {
        let mut selector = Selector::new(true);
        selector.change_all(true);
        selector.set_keys(true);
        selector
    }

    /// Whether it allows everything.
    pub fn is_unrestricted(&self) -> bool {
        let has_all = || (0..table().count()).all(|id| self.allows(id as u16));
        self.has_all_keys && self.has_all_channels && has_all()
    }

    /// How many patterns and arguments it has.
    pub fn size(&self) -> usize {
        self.keys.len()
            + self.channels.len()
            + self.first_args.values().map(Vec::len).sum::<usize>()
    }

    fn allows(&self, id: u16) -> bool {
        self.commands[usize::from(id) / 64] >> (id % 64) & 1 == 1
    }

    fn set(&mut self, id: u16, is_allowed: bool) {
        let bit = 1 << (id % 64);
        let word = &mut self.commands[usize::from(id) / 64];
        if is_allowed { *word |= bit } else { *word &= !bit }
    }

    /// Allows a command with its subcommands, or none of them.
    fn change(&mut self, command: &Command, is_allowed: bool) {
        self.set(command.id, is_allowed);
        self.first_args.remove(&command.id);
        command.subcommands.iter().for_each(|sub| self.set(sub.id, is_allowed));
    }

    fn change_all(&mut self, is_allowed: bool) {
        self.commands.fill(if is_allowed { u64::MAX } else { 0 });
        self.has_future = is_allowed;
        self.first_args.clear();
    }

    fn change_category(&mut self, category: usize, is_allowed: bool) {
        for command in table().all() {
            for each in std::iter::once(command).chain(&command.subcommands) {
                if is_in(each, category) {
                    self.change(each, is_allowed);
                }
            }
        }
    }

    /// Applies one rule.
    ///
    /// # Errors
    /// What is wrong with it; nothing has changed then.
    pub fn apply(&mut self, rule: &[u8]) -> Result<(), RuleError> {
        let is = |word: &str| rule.eq_ignore_ascii_case(word.as_bytes());
        match rule {
            _ if is("allkeys") || rule == b"~*" => self.set_keys(true),
            _ if is("resetkeys") => self.set_keys(false),
            _ if is("allchannels") || rule == b"&*" => self.set_channels(true),
            _ if is("resetchannels") => self.set_channels(false),
            _ if is("allcommands") || is("+@all") => self.change_all(true),
            _ if is("nocommands") || is("-@all") => self.change_all(false),
            [b'~', pattern @ ..] => self.add_keys(READ | WRITE, pattern)?,
            [b'%', rest @ ..] => {
                let tilde = rest.iter().position(|&byte| byte == b'~').unwrap_or(rest.len());
                let (letters, pattern) = rest.split_at(tilde);
                self.add_keys(access_of(letters)?, pattern.get(1..).unwrap_or_default())?;
            }
            [b'&', pattern @ ..] => self.add_channels(pattern)?,
            [sign @ (b'+' | b'-'), b'@', category @ ..] => {
                let category = CATEGORIES
                    .iter()
                    .position(|name| category.eq_ignore_ascii_case(name.as_bytes()));
                self.change_category(category.ok_or(RuleError::Unknown)?, *sign == b'+');
            }
            [b'-', name @ ..] => self.change(table().named(name).ok_or(RuleError::Unknown)?, false),
            [b'+', name @ ..] => self.allow(name)?,
            _ => return Err(RuleError::Syntax),
        }
        Ok(())
    }

    /// Allows a command, a subcommand, or a command with a certain first argument.
    fn allow(&mut self, name: &[u8]) -> Result<(), RuleError> {
        let Some(bar) = name.iter().rposition(|&byte| byte == b'|') else {
            self.change(table().named(name).ok_or(RuleError::Unknown)?, true);
            return Ok(());
        };
        let (container, argument) = (&name[..bar], &name[bar + 1..]);
        let command = table().named(container).ok_or(RuleError::Unknown)?;
        if command.name.contains('|') {
            return Err(RuleError::FirstArgumentOfSubcommand);
        }
        if argument.is_empty() {
            return Err(RuleError::Syntax);
        }
        if !command.subcommands.is_empty() {
            self.change(table().named(name).ok_or(RuleError::Unknown)?, true);
            return Ok(());
        }
        if self.allows(command.id) {
            return Ok(());
        }
        let argument = String::from_utf8_lossy(argument).into_owned();
        let known = self.first_args.entry(command.id).or_default();
        if !known.iter().any(|other| other.eq_ignore_ascii_case(&argument)) {
            known.push(argument);
        }
        Ok(())
    }

    fn set_keys(&mut self, has_all: bool) {
        self.has_all_keys = has_all;
        self.keys.clear();
    }

    fn set_channels(&mut self, has_all: bool) {
        self.has_all_channels = has_all;
        self.channels.clear();
    }

    fn add_keys(&mut self, access: u8, pattern: &[u8]) -> Result<(), RuleError> {
        if self.has_all_keys {
            return Err(RuleError::BehindAllKeys);
        }
        check_pattern(pattern)?;
        match self.keys.iter_mut().find(|known| &*known.pattern == pattern) {
            Some(known) => known.access |= access,
            None => self.keys.push(KeyPattern { access, pattern: pattern.into() }),
        }
        Ok(())
    }

    fn add_channels(&mut self, pattern: &[u8]) -> Result<(), RuleError> {
        if self.has_all_channels {
            return Err(RuleError::BehindAllChannels);
        }
        check_pattern(pattern)?;
        if !self.channels.iter().any(|known| &**known == pattern) {
            self.channels.push(pattern.into());
        }
        Ok(())
    }

    /// Why it does not allow a request, if it does not.
    pub fn denial(&self, command: &Command, request: &[&[u8]]) -> Option<Denial> {
        let text = |at: usize| request.get(at).copied().unwrap_or_default();
        if !self.allows_command(command, request) {
            return Some(Denial::Command);
        }
        if !self.has_all_keys {
            let mut places = places_of_keys(command, request).into_iter();
            if let Some((at, _)) = places.find(|(at, wanted)| !self.allows_key(text(*at), wanted)) {
                return Some(Denial::Key(at));
            }
        }
        if !self.has_all_channels {
            let (mut places, is_pattern) = channels_of(command, request);
            if let Some(at) = places.find(|at| !self.allows_channel(text(*at), is_pattern)) {
                return Some(Denial::Channel(at));
            }
        }
        None
    }

    /// Whether it allows a command, with the first argument that it has here.
    fn allows_command(&self, command: &Command, request: &[&[u8]]) -> bool {
        if self.allows(command.id) || command.has(NO_AUTH) {
            return true;
        }
        let known = self.first_args.get(&command.id);
        let first = request.get(1).copied().unwrap_or_default();
        known.is_some_and(|known| {
            known.iter().any(|argument| first.eq_ignore_ascii_case(argument.as_bytes()))
        })
    }

    fn allows_key(&self, key: &[u8], wanted: Use) -> bool {
        let wanted = access_for(wanted);
        self.keys
            .iter()
            .any(|known| known.access & wanted == wanted && glob::matches(&known.pattern, key))
    }

    /// Whether it allows to read every key there is.
    pub fn allows_all_reads(&self) -> bool {
        let is_all = |known: &KeyPattern| known.access & READ != 0 && &*known.pattern == b"*";
        self.has_all_keys || self.keys.iter().any(is_all)
    }

    /// Whether it allows a channel, or a pattern of channels, which has to be one of its own.
    pub fn allows_channel(&self, channel: &[u8], is_pattern: bool) -> bool {
        self.has_all_channels
            || self.channels.iter().any(|known| match is_pattern {
                true => &**known == channel,
                false => glob::matches(known, channel),
            })
    }

    /// Its patterns of keys, as rules.
    pub fn show_keys(&self) -> Vec<u8> {
        match self.has_all_keys {
            true => b"~*".into(),
            false => joined(self.keys.iter().map(KeyPattern::show)),
        }
    }

    /// Its patterns of channels, as rules.
    pub fn show_channels(&self) -> Vec<u8> {
        match self.has_all_channels {
            true => b"&*".into(),
            false => joined(self.channels.iter().map(|pattern| [b"&", &**pattern].concat())),
        }
    }

    /// Rules that make it.
    pub fn show(&self) -> Vec<u8> {
        let start = if self.has_all_channels { "" } else { "resetchannels" };
        let channels = self.show_channels();
        let parts = [self.show_keys(), start.into(), channels, self.show_commands().into()];
        joined(parts.into_iter())
    }

    /// Rules that lead to its commands: all or none of them, then the categories that fit best as
    /// long as they have more in common with what is missing than not, then single commands.
    pub fn show_commands(&self) -> String {
        let is_additive = !self.has_future;
        let sign = if is_additive { '+' } else { '-' };
        let mut shown = Selector::new(false);
        shown.change_all(self.has_future);
        let mut rules = vec![if is_additive { "-@all" } else { "+@all" }.to_owned()];
        // What no category has yet said.
        let mut rest = self.clone();
        let mut is_used = [false; CATEGORIES.len()];
        while let Some(best) = rest.best_category(is_additive, &is_used) {
            is_used[best] = true;
            shown.change_category(best, is_additive);
            rest.change_category(best, !is_additive);
            rules.push(format!("{sign}@{}", CATEGORIES[best]));
        }
        for command in table().each() {
            let is_allowed = self.allows(command.id);
            if is_allowed != shown.allows(command.id) {
                let sign = if is_allowed { '+' } else { '-' };
                rules.push(format!("{sign}{}", command.name));
                shown.change(command, is_allowed);
            }
            let known = self.first_args.get(&command.id).filter(|_| !is_allowed);
            let show = |argument: &String| format!("+{}|{argument}", command.name);
            rules.extend(known.into_iter().flatten().map(show));
        }
        rules.join(" ")
    }

    /// The category that has most in common with what is allowed, or is not; none if all have less
    /// of that than of the other.
    fn best_category(&self, is_additive: bool, is_used: &[bool]) -> Option<usize> {
        let mut best = None;
        let (mut least, mut most) = (usize::MAX, 0);
        for category in (0..CATEGORIES.len()).filter(|&category| !is_used[category]) {
            let inside = || table().each().filter(|command| is_in(command, category));
            let same = inside().filter(|command| self.allows(command.id) == is_additive).count();
            let other = inside().count() - same;
            if same > other && (other < least || other == least && same > most) {
                (best, least, most) = (Some(category), other, same);
            }
        }
        best
    }

    /// Its patterns of channels; none if it allows all of them.
    pub fn channel_patterns(&self) -> Option<&[Box<[u8]>]> {
        (!self.has_all_channels).then_some(&self.channels)
    }
}

/// Whether a command is in the category at this place of [`CATEGORIES`].
fn is_in(command: &Command, category: usize) -> bool {
    static BITS: LazyLock<Vec<u32>> = LazyLock::new(|| {
        let mut bits = vec![0; table().count()];
        for command in table().each() {
            let names = categories(command);
            bits[usize::from(command.id)] = (0..CATEGORIES.len())
                .filter(|&at| names.contains(&CATEGORIES[at]))
                .fold(0, |bits, at| bits | 1 << at);
        }
        bits
    });
    BITS[usize::from(command.id)] >> category & 1 == 1
}

/// What `%RW` stands for.
fn access_of(letters: &[u8]) -> Result<u8, RuleError> {
    let mut access = 0;
    for letter in letters {
        let bit = match letter.to_ascii_uppercase() {
            b'R' => READ,
            b'W' => WRITE,
            _ => return Err(RuleError::Syntax),
        };
        if access & bit != 0 {
            return Err(RuleError::Syntax);
        }
        access |= bit;
    }
    // Redis takes none, and then ends when it is to show them.
    if access == 0 { Err(RuleError::Syntax) } else { Ok(access) }
}

/// The access that a use of a key takes.
fn access_for(wanted: Use) -> u8 {
    wanted.iter().fold(0, |access, word| match *word {
        "access" => access | READ,
        "insert" | "update" | "delete" => access | WRITE,
        _ => access,
    })
}

/// Which arguments are channels, and whether they are patterns of such.
fn channels_of(command: &Command, request: &[&[u8]]) -> (std::ops::Range<usize>, bool) {
    match command.name {
        "publish" | "spublish" => (1..2, false),
        "subscribe" | "ssubscribe" => (1..request.len(), false),
        "psubscribe" => (1..request.len(), true),
        _ => (0..0, false),
    }
}

fn check_pattern(pattern: &[u8]) -> Result<(), RuleError> {
    match pattern.iter().any(|byte| byte.is_ascii_whitespace() || *byte == 0) {
        true => Err(RuleError::Syntax),
        false => Ok(()),
    }
}

/// Parts with a space between them, without those that are empty.
pub fn joined(parts: impl Iterator<Item = Vec<u8>>) -> Vec<u8> {
    parts.filter(|part| !part.is_empty()).collect::<Vec<_>>().join(&b' ')
}
