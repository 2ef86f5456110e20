//! Families of commands as random requests, for the comparison with redis-server.
//! Invariant: from one seed come the same requests, whatever the subjects answer.
//! Not here: how answers are compared (`compare.rs`); fields that expire and whatever else
//! redis-server 7.0 does not know.

mod argument;
pub mod compare;
pub mod duel;
pub mod exercise;
mod syntax;
mod tables;

use std::sync::OnceLock;

use crate::engine::Words;
use crate::random::Random;

use argument::Arguments;
use syntax::Syntax;

pub use tables::FAMILIES;

/// A family: its keys' prefix is its name, its commands have weights.
pub struct Family {
    /// Its name, as `scripts/fuzz` takes it.
    pub name: &'static str,
    /// Weight and syntax of each command, in the notation of Redis's documentation.
    pub commands: &'static [(usize, &'static str)],
}

/// A stream of requests.
pub struct Requests {
    /// Weight, syntax, and the family whose keys it is about.
    commands: Vec<(usize, &'static Syntax, &'static str)>,
    weight_total: usize,
    arguments: Arguments,
}

impl Requests {
    /// Requests of a family's commands and of those for keys of any type, as far as they are known.
    /// None while the family's first is not.
    pub fn new(family: &Family, seed: u64, is_known: fn(&str) -> bool) -> Option<Requests> {
        let first = family.commands.first()?.1;
        let requests = Requests::of([family].into_iter(), Random::new(seed), is_known);
        is_known(name_in(first)).then_some(requests)
    }

    /// Requests of all families, as far as they are known.
    pub fn mixed(random: Random, is_known: fn(&str) -> bool) -> Requests {
        Requests::of(FAMILIES.iter().chain([tables::FIELDS_THAT_EXPIRE]), random, is_known)
    }

    fn of<'a>(
        families: impl Iterator<Item = &'a Family>,
        random: Random,
        is_known: fn(&str) -> bool,
    ) -> Requests {
        let mut commands = Vec::new();
        for family in families {
            let all = family.commands.iter().chain(tables::KEYS);
            let known = all.filter(|(_, text)| is_known(name_in(text)));
            commands.extend(known.map(|&(weight, text)| (weight, Syntax::of(text), family.name)));
        }
        let weight_total = commands.iter().map(|(weight, ..)| weight).sum();
        Requests { commands, weight_total, arguments: Arguments::new(random) }
    }

    /// How many forms of commands there are.
    pub fn commands(&self) -> usize {
        self.commands.len()
    }

    /// The generator's own dice.
    pub fn random(&mut self) -> &mut Random {
        &mut self.arguments.random
    }

    /// The next request at this time, once in a while disturbed.
    pub fn request(&mut self, now_ms: i64) -> Words {
        let mut at = self.arguments.random.below(self.weight_total);
        let chosen = self.commands.iter().find(|(weight, ..)| {
            let is_here = at < *weight;
            at = at.wrapping_sub(*weight);
            is_here
        });
        let (_, syntax, family) = chosen.expect("the weights add up to their total");
        (self.arguments.now_ms, self.arguments.family) = (now_ms, family);
        let mut request = Words::new();
        syntax.write(&mut self.arguments, &mut request);
        if self.random().one_in(12) {
            self.arguments.disturb(&mut request);
        }
        request
    }
}

/// The command's name in its syntax.
fn name_in(syntax: &'static str) -> &'static str {
    syntax.split(' ').next().unwrap_or_default()
}

/// The command's name in upper case.
pub fn name_of(request: &Words) -> Vec<u8> {
    request[0].to_ascii_uppercase()
}

impl Syntax {
    /// The parsed form, kept for ever: there are a few hundred.
    fn of(text: &'static str) -> &'static Syntax {
        static PARSED: OnceLock<Vec<(&'static str, Syntax)>> = OnceLock::new();
        let parsed = PARSED.get_or_init(|| {
            let families = FAMILIES.iter().chain([tables::FIELDS_THAT_EXPIRE]);
            let families = families.flat_map(|family| family.commands);
            let all = families.chain(tables::KEYS);
            all.map(|&(_, text)| (text, Syntax::parse(text))).collect()
        });
        let found = parsed.iter().find(|(other, _)| *other == text);
        &found.expect("every syntax stands in a table").1
    }
}
