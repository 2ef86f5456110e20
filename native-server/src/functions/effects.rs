//! Changes that a function has made, held back until it is known whether they stay.
//!
//! Invariant: what was held back is told in order and as a whole, or, of a call that is undone,
//! only what is not undone: keys that expired or were evicted, whose value nobody puts back.

use std::ops::Range;

use ferrite_engine::{Cause, Effects, Value};

/// One change.
#[derive(Clone, Debug)]
struct Effect {
    /// The command that made it.
    command: &'static str,
    cause: Option<Cause>,
    /// Which of the ends of arguments are its own.
    arguments: Range<usize>,
}

/// Changes, one behind the other.
#[derive(Default, Debug)]
pub struct HeldEffects {
    /// The command that makes the changes to come.
    pub command: &'static str,
    cause: Option<Cause>,
    bytes: Vec<u8>,
    /// Where each argument ends in `bytes`.
    ends: Vec<usize>,
    list: Vec<Effect>,
}

/// Arguments that one change is told with, at most, without memory of their own.
const FEW: usize = 8;

impl HeldEffects {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Forgets all of them.
    pub fn clear(&mut self) {
        self.cause = None;
        self.bytes.clear();
        self.ends.clear();
        self.list.clear();
    }

    /// Keeps the changes that nobody asked for and of which `stays` says, by the change's position
    /// and its key, that they are not undone.
    pub fn retain_caused(&mut self, stays: impl Fn(usize, &[u8]) -> bool) {
        let list = std::mem::take(&mut self.list);
        let kept = list.into_iter().enumerate().filter(|(position, effect)| {
            effect.cause.is_some() && {
                let key = self.argument(effect.arguments.start + 1);
                stays(*position, key)
            }
        });
        self.list = kept.map(|(_, effect)| effect).collect();
    }

    /// Shows each with the command that made it and its cause.
    pub fn each(&self, mut show: impl FnMut(&'static str, Option<Cause>, &[Value<'_>])) {
        for effect in &self.list {
            let Range { start, end } = effect.arguments;
            let argument = |at: usize| Value::from(self.argument(at));
            if end - start <= FEW {
                let few: [Value<'_>; FEW] = std::array::from_fn(|at| {
                    if start + at < end { argument(start + at) } else { "".into() }
                });
                show(effect.command, effect.cause, few.get(..end - start).unwrap_or_default());
            } else {
                let many: Vec<Value<'_>> = (start..end).map(argument).collect();
                show(effect.command, effect.cause, &many);
            }
        }
    }

    fn argument(&self, at: usize) -> &[u8] {
        let start = at.checked_sub(1).and_then(|before| self.ends.get(before)).copied();
        let end = self.ends.get(at).copied().unwrap_or_default();
        self.bytes.get(start.unwrap_or_default()..end).unwrap_or_default()
    }
}

impl Effects for HeldEffects {
    fn effect(&mut self, arguments: &[Value<'_>]) {
        let start = self.ends.len();
        for argument in arguments {
            argument.parts().for_each(|part| self.bytes.extend_from_slice(part));
            self.ends.push(self.bytes.len());
        }
        let (command, cause) = (self.command, self.cause.take());
        self.list.push(Effect { command, cause, arguments: start..self.ends.len() });
    }

    fn cause(&mut self, cause: Cause) {
        self.cause = Some(cause);
    }
}

/// Holds back only what nobody asked for: what else is done puts things back.
pub struct OnlyCaused<'h> {
    held: &'h mut HeldEffects,
    cause: Option<Cause>,
}

impl<'h> OnlyCaused<'h> {
    /// Adds to `held`.
    pub fn new(held: &'h mut HeldEffects) -> OnlyCaused<'h> {
        OnlyCaused { held, cause: None }
    }
}

impl Effects for OnlyCaused<'_> {
    fn effect(&mut self, arguments: &[Value<'_>]) {
        if let Some(cause) = self.cause.take() {
            self.held.cause(cause);
            self.held.effect(arguments);
        }
    }

    fn cause(&mut self, cause: Cause) {
        self.cause = Some(cause);
    }
}
