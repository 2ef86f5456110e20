//! Transcripts: the text files of `vectors/`, read into steps and replayed on a subject.
//! Invariant: the notation is the one that `vectors/README.md` describes, nothing more; anything
//! else is an error that names file and line.

use std::fs;
use std::path::{Path, PathBuf};

use crate::answer::{Answer, request_text};
use crate::subject::{START_MS, Subject};

/// One thing that a transcript does.
pub enum Step {
    /// A request and its exact reply.
    Request {
        /// Where it stands, counted from 1.
        line: usize,
        /// The command's name and its arguments.
        words: Vec<Vec<u8>>,
        /// What must come back.
        expected: Answer,
        /// Why redis-server is not asked, if it is not.
        ferrite_only: Option<String>,
    },
    /// The clock moves on by so many milliseconds.
    Advance(i64),
}

/// One file of `vectors/`.
pub struct Transcript {
    /// The file's name.
    pub name: String,
    /// Its steps, in order.
    pub steps: Vec<Step>,
}

/// Every transcript, by name. Panics with file and line where one cannot be read.
pub fn all() -> Vec<Transcript> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors");
    let mut paths: Vec<PathBuf> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.expect("a folder entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .collect();
    paths.sort();
    assert!(!paths.is_empty(), "no transcripts in {}", folder.display());
    paths.iter().map(|path| read(path)).collect()
}

fn read(path: &Path) -> Transcript {
    let name = path.file_name().expect("a file").to_string_lossy().into_owned();
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{name}: {error}"));
    let steps = parse(&text).unwrap_or_else(|error| panic!("{name}:{error}"));
    Transcript { name, steps }
}

/// Reads a transcript's text; an error starts with the line's number.
pub fn parse(text: &str) -> Result<Vec<Step>, String> {
    let mut steps = Vec::new();
    let mut ferrite_only = None;
    let mut whole_file = None;
    let mut lines = text.lines().enumerate();
    while let Some((index, content)) = lines.next() {
        let line = index + 1;
        let fail = |what: String| format!("{line}: {what}");
        let (mark, rest) = content.split_at_checked(2).unwrap_or((content, ""));
        match mark {
            "" | "#" | "# " => {}
            "@ " if rest.starts_with("ferrite-only-file ") => {
                whole_file = Some(reason(rest, "ferrite-only-file ").map_err(fail)?);
            }
            "@ " => ferrite_only = Some(reason(rest, "ferrite-only ").map_err(fail)?),
            "~ " => steps.push(Step::Advance(milliseconds(rest).map_err(fail)?)),
            "> " => {
                let words = request(rest).map_err(fail)?;
                let reply = lines.next().and_then(|(_, reply)| reply.strip_prefix("< "));
                let reply = reply.ok_or_else(|| fail("no reply on the next line".into()))?;
                let expected = answer(reply).map_err(|what| format!("{}: {what}", line + 1))?;
                let ferrite_only = ferrite_only.take().or_else(|| whole_file.clone());
                steps.push(Step::Request { line, words, expected, ferrite_only });
            }
            _ => return Err(fail(format!("what is {content:?}?"))),
        }
    }
    if ferrite_only.is_some() {
        return Err("the last `@` has no request".into());
    }
    Ok(steps)
}

/// Replays every step; returns one line for each reply that was not the expected one.
/// With `compatible_only`, what redis-server cannot know is left out.
pub fn replay(
    transcript: &Transcript,
    subject: &mut dyn Subject,
    compatible_only: bool,
) -> Vec<String> {
    let mut failures = Vec::new();
    let mut now_ms = START_MS;
    subject.reset();
    subject.set_clock(now_ms);
    for step in &transcript.steps {
        match step {
            Step::Advance(ms) => {
                now_ms += ms;
                subject.set_clock(now_ms);
            }
            Step::Request { ferrite_only: Some(_), .. } if compatible_only => {}
            Step::Request { line, words, expected, .. } => {
                let given = subject.ask(words);
                if !expected.accepts(&given) {
                    let (name, asked) = (&transcript.name, request_text(words));
                    failures.push(format!(
                        "{name}:{line}: > {asked}\n    expected {expected}\n    given    {given}"
                    ));
                }
            }
        }
    }
    failures
}

fn reason(text: &str, mark: &str) -> Result<String, String> {
    match text.strip_prefix(mark) {
        Some(reason) if !reason.trim().is_empty() => Ok(reason.into()),
        _ => Err("expected `@ ferrite-only` and a reason".into()),
    }
}

fn milliseconds(text: &str) -> Result<i64, String> {
    let number = text.strip_suffix("ms").and_then(|number| number.parse().ok());
    number.filter(|&ms| ms > 0).ok_or_else(|| format!("not a time: {text:?}"))
}

/// The words of a request: between spaces, or in quotes.
///
/// # Errors
/// What is wrong with it.
pub fn request(text: &str) -> Result<Vec<Vec<u8>>, String> {
    let mut cursor = Cursor { rest: text };
    let mut words = Vec::new();
    loop {
        match cursor.eat("\"") {
            true => words.push(cursor.quoted()?),
            false => match cursor.take_until(' ') {
                word if word.ends_with(')') && word.contains("..") => words.extend(range(word)?),
                word => words.push(word.into()),
            },
        }
        if cursor.rest.is_empty() {
            return Ok(words);
        }
        if !cursor.eat(" ") || cursor.rest.is_empty() || cursor.rest.starts_with(' ') {
            return Err(format!("one space between words, none at the end: {:?}", cursor.rest));
        }
    }
}

/// The longest range that is written in one place.
const RANGE_MAX: u64 = 100_000;

/// `name(1..9)`, up or down: every number from the first to the last, behind the name.
fn range(text: &str) -> Result<Vec<Vec<u8>>, String> {
    let fail = || format!("not a range: {text:?}");
    let (name, bounds) = text.strip_suffix(')').and_then(|t| t.split_once('(')).ok_or_else(fail)?;
    let (first, last) = bounds.split_once("..").ok_or_else(fail)?;
    let number = |text: &str| text.parse::<u64>().map_err(|_| fail());
    let (first, last) = (number(first)?, number(last)?);
    if first.abs_diff(last) > RANGE_MAX {
        return Err(fail());
    }
    let word = |number: u64| format!("{name}{number}").into_bytes();
    Ok(match first <= last {
        true => (first..=last).map(word).collect(),
        false => (last..=first).rev().map(word).collect(),
    })
}

fn answer(text: &str) -> Result<Answer, String> {
    let choice = text.split_once(" of {").map(|(count, rest)| (count, count.parse::<i64>(), rest));
    let mut cursor = Cursor { rest: text };
    let answer = match choice {
        Some(("one", _, rest)) => {
            cursor.rest = rest;
            Answer::OneOf(cursor.items("}")?)
        }
        Some((_, Ok(count), rest)) => {
            cursor.rest = rest;
            Answer::Several(count, cursor.items("}")?)
        }
        _ if cursor.eat("+") => return Ok(Answer::Simple(cursor.rest.into())),
        _ if cursor.eat("-") => return Ok(Answer::Error(cursor.rest.into())),
        _ => cursor.item()?,
    };
    match cursor.rest {
        "" => Ok(answer),
        rest => Err(format!("more after the reply: {rest:?}")),
    }
}

struct Cursor<'a> {
    rest: &'a str,
}

impl<'a> Cursor<'a> {
    fn eat(&mut self, prefix: &str) -> bool {
        let rest = self.rest.strip_prefix(prefix);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn take(&mut self, length: usize) -> Result<&'a str, String> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or("the line ends too early")?;
        self.rest = rest;
        Ok(taken)
    }

    fn take_until(&mut self, end: char) -> &'a str {
        let (taken, rest) = self.rest.split_at(self.rest.find(end).unwrap_or(self.rest.len()));
        self.rest = rest;
        taken
    }

    fn item(&mut self) -> Result<Answer, String> {
        if self.eat("(nil)") {
            return Ok(Answer::Null);
        }
        if self.eat("\"") {
            return Ok(Answer::Bulk(self.quoted()?));
        }
        if self.eat("+\"") {
            let text = String::from_utf8(self.quoted()?);
            return Ok(Answer::Simple(text.map_err(|error| error.to_string())?));
        }
        if self.eat("[") {
            return Ok(Answer::Array(self.items("]")?));
        }
        if self.eat("{") {
            return Ok(Answer::Unordered(self.items("}")?));
        }
        if self.eat(":") {
            let end = self.rest.find([' ', ']', '}']).unwrap_or(self.rest.len());
            let number = self.take(end)?;
            return Ok(Answer::Integer(
                number.parse().map_err(|_| format!("no number: {number:?}"))?,
            ));
        }
        Err(format!("no reply: {:?}", self.rest))
    }

    fn items(&mut self, close: &str) -> Result<Vec<Answer>, String> {
        let mut items = Vec::new();
        while !self.eat(close) {
            if !items.is_empty() && !self.eat(" ") {
                return Err(format!("one space between items: {:?}", self.rest));
            }
            let plain = self.rest.split([' ', ']', '}', '"', ':', '[', '{']).next();
            match plain.filter(|word| word.ends_with(')') && word.contains("..")) {
                Some(word) => {
                    items.extend(range(word)?.into_iter().map(Answer::Bulk));
                    self.take(word.len())?;
                }
                None => items.push(self.item()?),
            }
        }
        Ok(items)
    }

    /// What follows an opening quote, up to and with the closing one.
    fn quoted(&mut self) -> Result<Vec<u8>, String> {
        let mut bytes = Vec::new();
        loop {
            match self.take(1)? {
                "\"" => return Ok(bytes),
                "\\" => self.escape(&mut bytes)?,
                plain => bytes.extend_from_slice(plain.as_bytes()),
            }
        }
    }

    fn escape(&mut self, bytes: &mut Vec<u8>) -> Result<(), String> {
        match self.take(1)? {
            "n" => bytes.push(b'\n'),
            "r" => bytes.push(b'\r'),
            "t" => bytes.push(b'\t'),
            "\\" => bytes.push(b'\\'),
            "\"" => bytes.push(b'"'),
            "x" => {
                let digits = self.take(2)?;
                let byte = u8::from_str_radix(digits, 16);
                bytes.push(byte.map_err(|_| format!("not two hex digits: {digits:?}"))?);
            }
            "{" => {
                let byte = self.take(1)?.as_bytes()[0];
                let count = match self.eat("*") {
                    true => self.take_until('}').parse::<usize>().ok(),
                    false => None,
                };
                let count = count.filter(|_| self.eat("}")).ok_or("expected \\{c*N}")?;
                bytes.resize(bytes.len() + count, byte);
            }
            other => return Err(format!("unknown escape: \\{other}")),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Answer) {
        assert_eq!(answer(text).expect(text), expected);
    }

    #[test]
    fn replies() {
        check("+OK", Answer::ok());
        check("-ERR no such thing ", Answer::Error("ERR no such thing ".into()));
        check(":-12", Answer::Integer(-12));
        check("(nil)", Answer::Null);
        check(r#""a\x00\{b*3}\n\"""#, Answer::bulk(b"a\0bbb\n\""));
        check("[]", Answer::Array(vec![]));
        check(
            r#"["0" {:1 (nil)}]"#,
            Answer::Array(vec![
                Answer::bulk(b"0"),
                Answer::Unordered(vec![Answer::Integer(1), Answer::Null]),
            ]),
        );
        check(
            r#"[+"a b" :1]"#,
            Answer::Array(vec![Answer::Simple("a b".into()), Answer::Integer(1)]),
        );
        let numbered = ["m1", "m2", "x", "2", "1"].map(|text| Answer::bulk(text.as_bytes()));
        check(r#"[m(1..2) "x" (2..1)]"#, Answer::Array(numbered.to_vec()));
        for wrong in
            ["", "OK", "[", "[:1 ", "[:1:2]", "\"a", ":x", "(nil) ", r#""\q""#, r#""\xg0""#]
        {
            assert!(answer(wrong).is_err(), "{wrong:?} must not be a reply");
        }
    }

    #[test]
    fn order_matters_only_outside_braces() {
        let given = answer("[:1 :2]").expect("a reply");
        assert!(answer("[:1 :2]").expect("a reply").accepts(&given));
        assert!(answer("{:2 :1}").expect("a reply").accepts(&given));
        assert!(!answer("[:2 :1]").expect("a reply").accepts(&given));
        assert!(!answer("{:1 :1}").expect("a reply").accepts(&given));
        assert!(!answer("{:1}").expect("a reply").accepts(&given));
    }

    #[test]
    fn choices_are_free_but_not_arbitrary() {
        let accepts = |expected: &str, given: &str| {
            answer(expected).expect("a reply").accepts(&answer(given).expect("a reply"))
        };
        assert!(accepts(r#"one of {"a" "b"}"#, r#""b""#));
        assert!(!accepts(r#"one of {"a" "b"}"#, r#""c""#));
        assert!(accepts(r#"2 of {(1..3)}"#, r#"["3" "1"]"#));
        assert!(!accepts(r#"2 of {(1..3)}"#, r#"["3" "3"]"#));
        assert!(!accepts(r#"2 of {(1..3)}"#, r#"["3"]"#));
        assert!(!accepts(r#"2 of {(1..3)}"#, r#"["3" "4"]"#));
        assert!(accepts(r#"-2 of {(1..3)}"#, r#"["3" "3"]"#));
        assert!(!accepts(r#"-2 of {(1..3)}"#, r#"["3" "4"]"#));
    }

    #[test]
    fn requests_and_lines() {
        let words = request("RPUSH k e(9..11) (3..2)").expect("a request");
        assert_eq!(words, [&b"RPUSH"[..], b"k", b"e9", b"e10", b"e11", b"3", b"2"]);
        assert!(request("X (1..)").is_err() && request("X (0..900000)").is_err());
        let words = request(r#"SET a\b "c d" "" [x]"#).expect("a request");
        assert_eq!(words, [&b"SET"[..], b"a\\b", b"c d", b"", b"[x]"]);
        for wrong in
            ["> A  B\n< +OK", "> A \n< +OK", "> A", "> A\n\n< +OK", "?", "~ 5", "~ -5ms", "@ x"]
        {
            assert!(parse(wrong).is_err(), "{wrong:?} must not be a transcript");
        }
        let long = Answer::bulk(&[b"x\x01".as_slice(), &[b'y'; 40]].concat());
        assert_eq!(answer(&long.to_string()).expect("a reply"), long);
    }
}
