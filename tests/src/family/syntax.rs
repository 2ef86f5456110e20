//! The notation of Redis's documentation, read and turned into random requests.
//! Capitals stand for themselves, other words name an argument; `[]` is optional, `<>` is not,
//! `|` separates choices, and three dots at the end of `[]` repeat what is inside.

use crate::engine::Words;
use crate::family::argument::Arguments;

/// A command's syntax, or a part of one.
pub(super) struct Syntax(Vec<Piece>);

enum Piece {
    Literal(&'static str),
    Argument(&'static str),
    Choice { options: Vec<Syntax>, is_optional: bool },
    Repeat(Syntax),
}

impl Syntax {
    /// Reads the notation. Panics where it is wrong: the tables are ours.
    pub(super) fn parse(text: &'static str) -> Syntax {
        let mut tokens = tokens(text);
        tokens.reverse();
        let mut options = parse_options(&mut tokens, "");
        assert_eq!((options.len(), tokens.len()), (1, 0), "{text}");
        options.remove(0)
    }

    /// Appends one request, or one of what this part may stand for.
    pub(super) fn write(&self, arguments: &mut Arguments, request: &mut Words) {
        for piece in &self.0 {
            match piece {
                Piece::Literal(word) => request.push(arguments.literal(word)),
                Piece::Argument(kind) => arguments.write(kind, request),
                Piece::Choice { options, is_optional } => {
                    if !is_optional || arguments.random.one_in(3) {
                        let chosen = arguments.random.below(options.len());
                        options[chosen].write(arguments, request);
                    }
                }
                Piece::Repeat(part) => {
                    for _ in 0..arguments.repeats() {
                        part.write(arguments, request);
                    }
                }
            }
        }
    }
}

fn tokens(text: &'static str) -> Vec<&'static str> {
    let mut tokens = Vec::new();
    for word in text.split_whitespace() {
        let mut rest = word;
        while let Some(at) = rest.find(['[', ']', '<', '>', '|']) {
            tokens
                .extend([&rest[..at], &rest[at..=at]].into_iter().filter(|part| !part.is_empty()));
            rest = &rest[at + 1..];
        }
        tokens.extend((!rest.is_empty()).then_some(rest));
    }
    tokens
}

/// Reads choices up to the closing token, which it takes, or to the end.
fn parse_options(tokens: &mut Vec<&'static str>, close: &str) -> Vec<Syntax> {
    let (mut options, mut pieces) = (Vec::new(), Vec::new());
    loop {
        match tokens.pop() {
            Some("[") => pieces.push(parse_optional(tokens)),
            Some("<") => {
                let options = parse_options(tokens, ">");
                pieces.push(Piece::Choice { options, is_optional: false });
            }
            Some("|") => options.push(Syntax(std::mem::take(&mut pieces))),
            Some(token) if token != close => pieces.push(word(token)),
            end => {
                assert_eq!(end.unwrap_or_default(), close, "a bracket without its other half");
                options.push(Syntax(pieces));
                return options;
            }
        }
    }
}

fn parse_optional(tokens: &mut Vec<&'static str>) -> Piece {
    let mut options = parse_options(tokens, "]");
    match options.as_mut_slice() {
        [Syntax(pieces)] if matches!(pieces.last(), Some(Piece::Argument("..."))) => {
            pieces.pop();
            Piece::Repeat(options.remove(0))
        }
        _ => Piece::Choice { options, is_optional: true },
    }
}

fn word(token: &'static str) -> Piece {
    match token.contains(|c: char| c.is_ascii_lowercase() || c == '.') {
        true => Piece::Argument(token),
        false => Piece::Literal(token),
    }
}
