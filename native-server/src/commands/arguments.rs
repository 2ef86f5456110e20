//! The arguments of a command as a tree, as COMMAND DOCS gives it: made from the line of the
//! command's row.
//!
//! In such a line a word with small letters is an argument, and one without stands for itself; it
//! belongs to the arguments behind it. `[]` may be left out, `|` is between alternatives, which
//! `<>` keep together, and `[x ...]` says that the `x` in front of it may be repeated. What an
//! argument is, its name tells: `key`, `pattern`, `unix-time-seconds`, `count` and so on.
//!
//! Invariant: the line is the only source; what it does not say (since when an argument is there)
//! is not given. Groups have no names in it: they are called by what is in them.

use std::iter::Peekable;

use ferrite_engine::{Group, Reply};

use crate::commands::Command;
use crate::commands::key_specs;
use crate::resp::wire::Wire;

/// What an argument is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Key,
    String,
    Integer,
    Double,
    Pattern,
    UnixTime,
    /// A word that stands for itself.
    PureToken,
    /// One of its parts.
    OneOf,
    /// All its parts.
    Block,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Key => "key",
            Kind::String => "string",
            Kind::Integer => "integer",
            Kind::Double => "double",
            Kind::Pattern => "pattern",
            Kind::UnixTime => "unix-time",
            Kind::PureToken => "pure-token",
            Kind::OneOf => "oneof",
            Kind::Block => "block",
        }
    }
}

/// An argument.
#[derive(Clone, Debug)]
struct Argument {
    name: String,
    kind: Kind,
    /// Which of the command's key specifications finds it, if it is a key, or tells of some.
    key_spec: Option<usize>,
    /// The word that stands before it.
    token: Option<&'static str>,
    is_optional: bool,
    is_multiple: bool,
    /// Whether its token is repeated with it.
    repeats_token: bool,
    parts: Vec<Argument>,
}

impl Argument {
    fn new(name: String, kind: Kind) -> Argument {
        Argument {
            name,
            kind,
            key_spec: None,
            token: None,
            is_optional: false,
            is_multiple: false,
            repeats_token: false,
            parts: Vec::new(),
        }
    }

    fn group(kind: Kind, parts: Vec<Argument>) -> Argument {
        let names: Vec<&str> = parts.iter().map(|part| part.name.as_str()).collect();
        let name = names.join("_");
        Argument { parts, ..Argument::new(name, kind) }
    }

    /// One argument for all of these.
    fn block(mut arguments: Vec<Argument>) -> Argument {
        match (arguments.len(), arguments.pop()) {
            (1, Some(only)) => only,
            (_, last) => {
                arguments.extend(last);
                Argument::group(Kind::Block, arguments)
            }
        }
    }

    fn word(token: &'static str) -> Argument {
        let name = match token {
            "=" => "equal".into(),
            "~" => "approximately".into(),
            "*" => "auto_id".into(),
            "$" => "new_id".into(),
            word => word.to_ascii_lowercase(),
        };
        Argument { token: Some(token), ..Argument::new(name, Kind::PureToken) }
    }

    fn write(&self, wire: &mut Wire<'_>) {
        let flags = [
            (self.is_optional, "optional"),
            (self.is_multiple, "multiple"),
            (self.repeats_token, "multiple_token"),
        ];
        let flags: Vec<_> =
            flags.iter().filter(|(is_so, _)| *is_so).map(|(_, name)| name).collect();
        let facts = [
            self.key_spec.is_some(),
            self.token.is_some(),
            !flags.is_empty(),
            !self.parts.is_empty(),
        ];
        wire.map(2 + facts.iter().filter(|is_there| **is_there).count());
        wire.text("name");
        wire.text(&self.name);
        wire.text("type");
        wire.text(self.kind.name());
        if let Some(key_spec) = self.key_spec {
            wire.text("key_spec_index");
            wire.integer(key_spec as i64);
        }
        if let Some(token) = self.token {
            wire.text("token");
            wire.text(token);
        }
        if !flags.is_empty() {
            wire.text("flags");
            wire.set(flags.len());
            flags.iter().for_each(|flag| wire.status(flag));
        }
        if !self.parts.is_empty() {
            write_all(&self.parts, wire);
        }
    }
}

fn write_all(arguments: &[Argument], wire: &mut Wire<'_>) {
    wire.text("arguments");
    wire.array(arguments.len());
    arguments.iter().for_each(|argument| argument.write(wire));
}

/// The arguments of a command, ready to be told.
pub struct Arguments(Vec<Argument>);

impl Arguments {
    /// Those of a command. One that is nothing without a subcommand leaves them to these.
    pub fn of(command: &Command) -> Arguments {
        if command.syntax.is_empty() || !command.subcommands.is_empty() {
            return Arguments(Vec::new());
        }
        let alternatives = alternatives(&mut words(command.syntax).peekable(), "");
        let line = Line(command);
        let mut arguments = match alternatives.as_slice() {
            [only] => line.sequence(only),
            several => vec![line.one_of(several)],
        };
        number_keys(&mut arguments, command, key_specs::count(command), &mut 0);
        Arguments(arguments)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Writes them, with the name of the fact that they are.
    pub fn write(&self, wire: &mut Wire<'_>) {
        write_all(&self.0, wire);
    }
}

/// Each key is found by the next specification; the last one finds all that are left. What SORT
/// calls patterns are names of keys, all found by its second one.
fn number_keys(arguments: &mut [Argument], command: &Command, count: usize, next: &mut usize) {
    for argument in arguments {
        match argument.kind {
            Kind::Key => {
                argument.key_spec = Some((*next).min(count.saturating_sub(1)));
                *next += 1;
            }
            Kind::Pattern if command.name.starts_with("sort") => {
                argument.key_spec = Some(1);
                *next = 2;
            }
            _ => {}
        }
        number_keys(&mut argument.parts, command, count, next);
    }
}

/// A part of a line.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Item {
    Word(&'static str),
    Optional(Vec<Vec<Item>>),
    Group(Vec<Vec<Item>>),
    /// What is in front of it may be repeated.
    More,
}

/// The words of a line; brackets and bars are words.
fn words(line: &'static str) -> impl Iterator<Item = &'static str> {
    let is_mark = |letter: char| "[]<>|".contains(letter);
    line.split_ascii_whitespace().flat_map(move |text| {
        let marked = text.split_inclusive(is_mark);
        marked.flat_map(move |part| {
            let end = part.trim_end_matches(is_mark).len();
            let (word, mark) = part.split_at(end);
            [word, mark].into_iter().filter(|word| !word.is_empty())
        })
    })
}

/// Alternatives up to a word, each a sequence.
fn alternatives(
    words: &mut Peekable<impl Iterator<Item = &'static str>>,
    end: &str,
) -> Vec<Vec<Item>> {
    let (mut done, mut current) = (Vec::new(), Vec::new());
    while let Some(word) = words.next().filter(|word| *word != end) {
        match word {
            "|" => done.push(std::mem::take(&mut current)),
            "[" => current.push(Item::Optional(alternatives(words, "]"))),
            "<" => current.push(Item::Group(alternatives(words, ">"))),
            "..." => current.push(Item::More),
            word => current.push(Item::Word(word)),
        }
    }
    done.push(current);
    done
}

/// Whether a word stands for itself.
fn is_token(word: &str) -> bool {
    !word.contains(|letter: char| letter.is_ascii_lowercase())
}

/// What begins with a word that stands for itself: that word.
fn token_of(items: &[Item]) -> Option<&'static str> {
    match items.first() {
        Some(Item::Word(word)) if is_token(word) => Some(word),
        _ => None,
    }
}

/// Whether an item says that those in front of it may be repeated, and how many these are.
fn repeated(items: &[Item], at: usize) -> Option<usize> {
    let Some(Item::Optional(alternatives)) = items.get(at) else { return None };
    let [inner] = alternatives.as_slice() else { return None };
    let (Item::More, inner) = inner.split_last()? else { return None };
    items.get(..at)?.ends_with(inner).then_some(inner.len())
}

/// The line of a command: names mean different things in different ones.
struct Line<'c>(&'c Command);

impl Line<'_> {
    fn sequence(&self, items: &[Item]) -> Vec<Argument> {
        let mut arguments: Vec<Argument> = Vec::new();
        let mut at = 0;
        while let Some(item) = items.get(at) {
            at += 1;
            match item {
                Item::Word(word) if is_token(word) => {
                    let end = end_of_body(items, at);
                    let body = self.sequence(items.get(at..end).unwrap_or_default());
                    arguments.push(behind(word, body));
                    at = end;
                }
                Item::Word(word) => arguments.push(self.argument(word)),
                Item::Optional(_) if let Some(count) = repeated(items, at - 1) => {
                    let start = arguments.len().saturating_sub(count);
                    let block = Argument::block(arguments.split_off(start));
                    arguments.push(Argument { is_multiple: true, ..block });
                }
                Item::Optional(inner) => {
                    arguments.push(Argument { is_optional: true, ..self.one_of(inner) });
                }
                Item::Group(inner) => arguments.push(self.one_of(inner)),
                Item::More => {
                    if let Some(last) = arguments.last_mut() {
                        last.is_multiple = true;
                    }
                }
            }
        }
        arguments
    }

    fn one_of(&self, alternatives: &[Vec<Item>]) -> Argument {
        match alternatives {
            [only] => self.inside(only),
            several => {
                let parts = several.iter().map(|items| self.inside(items)).collect();
                Argument::group(Kind::OneOf, parts)
            }
        }
    }

    /// What stands in brackets.
    fn inside(&self, items: &[Item]) -> Argument {
        let last = items.len().saturating_sub(1);
        let Some(token) = token_of(items) else {
            return Argument::block(self.sequence(items));
        };
        if repeated(items, last) == Some(last) {
            let one = Argument::block(self.sequence(items.get(..last).unwrap_or_default()));
            return Argument { is_multiple: true, repeats_token: true, ..one };
        }
        let end = end_of_body(items, 1);
        let (body, rest) = items.split_at(end);
        let mut body = self.sequence(body.get(1..).unwrap_or_default());
        let rest = self.sequence(rest);
        // The word belongs to the only argument that has to follow it, or to all that follow.
        match body.len() {
            1 => {
                let mut arguments = vec![behind(token, body)];
                arguments.extend(rest);
                Argument::block(arguments)
            }
            0 if !rest.iter().all(|argument| argument.is_optional) => {
                Argument::block(self.sequence(items))
            }
            _ => {
                body.extend(rest);
                behind(token, body)
            }
        }
    }

    fn argument(&self, word: &str) -> Argument {
        Argument::new(word.into(), self.kind(word))
    }

    fn kind(&self, word: &str) -> Kind {
        let Command { name, group, .. } = self.0;
        let is_of = |part: &str| name.contains(part);
        match word {
            "key" | "key1" | "key2" | "newkey" | "source" | "destination" | "destkey"
            | "sourcekey" | "src" | "dst" => Kind::Key,
            "pattern" => Kind::Pattern,
            _ if word.starts_with("unix-time") => Kind::UnixTime,
            // Places in a list or a text are numbers, ids of streams and bounds of ZRANGE are not.
            "start" | "end" | "stop" if *group == Group::Stream || *name == "zrange" => {
                Kind::String
            }
            "min" | "max" if is_of("score") || *name == "zcount" => Kind::Double,
            "increment" if is_of("float") => Kind::Double,
            "timeout" if matches!(group, Group::List | Group::SortedSet) => Kind::Double,
            "value" if *group == Group::Bitmap => Kind::Integer,
            "score" | "weight" | "longitude" | "latitude" | "radius" | "width" | "height" => {
                Kind::Double
            }
            "bit" | "bits" | "client-id" | "count" | "cursor" | "db" | "decrement"
            | "destination-db" | "end" | "entries-added" | "entries-read" | "frequency"
            | "increment" | "index" | "index1" | "index2" | "len" | "limit" | "milliseconds"
            | "min-match-len" | "num-matches" | "numfields" | "numkeys" | "numlocal"
            | "numreplicas" | "offset" | "port" | "protover" | "rank" | "seconds" | "start"
            | "stop" | "timeout" | "ttl" | "version" => Kind::Integer,
            _ => Kind::String,
        }
    }
}

/// Where what belongs to a word ends: arguments that must be there, and that they are repeated.
fn end_of_body(items: &[Item], from: usize) -> usize {
    let belongs = |at: &usize| match items.get(*at) {
        Some(Item::Word(word)) => !is_token(word),
        Some(Item::Group(_)) => true,
        Some(Item::Optional(_)) => {
            repeated(items, *at).is_some_and(|count| count <= at.saturating_sub(from))
        }
        Some(Item::More) => true,
        None => false,
    };
    from + (from..).take_while(belongs).count()
}

/// Arguments behind a word that stands for itself; without any it is one.
fn behind(token: &'static str, arguments: Vec<Argument>) -> Argument {
    match arguments.as_slice() {
        [] => Argument::word(token),
        [Argument { token: None, .. }] => {
            Argument { token: Some(token), ..Argument::block(arguments) }
        }
        _ => Argument { token: Some(token), ..Argument::group(Kind::Block, arguments) },
    }
}
