//! Families of commands as random requests, for the comparison with redis-server.
//! Invariant: from one seed come the same requests, whatever the subjects answer.
//! Not here: how answers are compared (`compare.rs`); fields that expire and whatever else
//! redis-server 7.0 does not know.

mod argument;
pub mod compare;
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
    commands: Vec<(usize, &'static Syntax)>,
    weight_total: usize,
    arguments: Arguments,
}

impl Requests {
    /// Requests of a family's commands and of those for keys of any type, as far as they are known.
    /// None while the family's first is not.
    pub fn new(family: &Family, seed: u64, is_known: fn(&str) -> bool) -> Option<Requests> {
        let is_known = |&&(_, text): &&(usize, &str)| text.split(' ').next().is_some_and(is_known);
        family.commands.first().filter(|command| is_known(command))?;
        let own = family.commands.iter().filter(is_known);
        let shared = tables::KEYS.iter().filter(is_known);
        let commands: Vec<_> = own.chain(shared).map(|&(w, text)| (w, Syntax::of(text))).collect();
        let weight_total = commands.iter().map(|(weight, _)| weight).sum();
        let arguments = Arguments::new(family.name, Random::new(seed));
        Some(Requests { commands, weight_total, arguments })
    }

    /// How many different commands there are.
    pub fn commands(&self) -> usize {
        self.commands.len()
    }

    /// The generator's own dice.
    pub fn random(&mut self) -> &mut Random {
        &mut self.arguments.random
    }

    /// The next request at this time, once in a while disturbed.
    pub fn request(&mut self, now_ms: i64) -> Words {
        self.arguments.now_ms = now_ms;
        let mut at = self.arguments.random.below(self.weight_total);
        let chosen = self.commands.iter().find(|(weight, _)| {
            let is_here = at < *weight;
            at = at.wrapping_sub(*weight);
            is_here
        });
        let syntax = chosen.expect("the weights add up to their total").1;
        let mut request = Words::new();
        syntax.write(&mut self.arguments, &mut request);
        if self.random().one_in(12) {
            self.arguments.disturb(&mut request);
        }
        request
    }
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
            let families = FAMILIES.iter().flat_map(|family| family.commands);
            let all = families.chain(tables::KEYS);
            all.map(|&(_, text)| (text, Syntax::parse(text))).collect()
        });
        let found = parsed.iter().find(|(other, _)| *other == text);
        &found.expect("every syntax stands in a table").1
    }
}
