//! A reply as a value, comparable and printable in the notation of the transcripts.
//! Invariant: what `Display` prints, `transcript` reads back.

use std::fmt;

/// One reply of a subject, or what a transcript expects of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Answer {
    /// `+OK`
    Simple(String),
    /// `-ERR text`, without the minus.
    Error(String),
    /// `:1`
    Integer(i64),
    /// `"bytes"`
    Bulk(Vec<u8>),
    /// `(nil)`
    Null,
    /// `[a b]`
    Array(Vec<Answer>),
    /// `{a b}`: only ever expected, never given, as are the following.
    Unordered(Vec<Answer>),
    /// `one of {a b}`: any of these.
    OneOf(Vec<Answer>),
    /// `2 of {a b c}`: an array of so many different ones; a negative number may repeat them.
    Several(i64, Vec<Answer>),
}

impl Answer {
    /// A bulk string.
    pub fn bulk(bytes: &[u8]) -> Answer {
        Answer::Bulk(bytes.to_vec())
    }

    /// The answer `+OK`.
    pub fn ok() -> Answer {
        Answer::Simple("OK".into())
    }

    /// Whether `given` is what `self` expects; the order inside `{}` and the choice from them is
    /// free.
    pub fn accepts(&self, given: &Answer) -> bool {
        match (self, given) {
            (Answer::Array(expected), Answer::Array(given)) => {
                expected.len() == given.len()
                    && expected.iter().zip(given).all(|(expected, given)| expected.accepts(given))
            }
            (Answer::Unordered(expected), Answer::Array(given)) => {
                let (mut expected, mut given) = (expected.clone(), given.clone());
                expected.sort();
                given.sort();
                expected == given
            }
            (Answer::OneOf(pool), given) => pool.contains(given),
            (Answer::Several(count, pool), Answer::Array(given)) => {
                given.len() as u64 == count.unsigned_abs() && are_of(given, pool, *count < 0)
            }
            _ => self == given,
        }
    }

    /// The same array with its groups of so many items sorted.
    pub fn sorted_by(self, group: usize) -> Answer {
        let Answer::Array(items) = self else {
            return self;
        };
        let mut groups: Vec<&[Answer]> = items.chunks(group).collect();
        groups.sort();
        Answer::Array(groups.concat())
    }

    /// The same answer with its arrays sorted, for comparing what has no order.
    pub fn sorted(self) -> Answer {
        let Answer::Array(items) = self else {
            return self;
        };
        let mut items: Vec<Answer> = items.into_iter().map(Answer::sorted).collect();
        items.sort();
        Answer::Array(items)
    }
}

impl From<&str> for Answer {
    /// A bulk string.
    fn from(text: &str) -> Answer {
        Answer::bulk(text.as_bytes())
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Answer::Simple(text) => write!(out, "+{text}"),
            Answer::Error(text) => write!(out, "-{text}"),
            Answer::Integer(number) => write!(out, ":{number}"),
            Answer::Bulk(bytes) => quoted(out, bytes),
            Answer::Null => out.write_str("(nil)"),
            Answer::Array(items) => list(out, "[", items, "]"),
            Answer::Unordered(items) => list(out, "{", items, "}"),
            Answer::OneOf(items) => list(out, "one of {", items, "}"),
            Answer::Several(count, items) => {
                write!(out, "{count} of ")?;
                list(out, "{", items, "}")
            }
        }
    }
}

/// Whether all items come from the pool, each as often as it stands there unless they may repeat.
fn are_of(items: &[Answer], pool: &[Answer], may_repeat: bool) -> bool {
    let mut left = pool.to_vec();
    items.iter().all(|item| match left.iter().position(|other| other == item) {
        Some(position) => {
            if !may_repeat {
                left.swap_remove(position);
            }
            true
        }
        None => false,
    })
}

fn list(out: &mut fmt::Formatter<'_>, open: &str, items: &[Answer], close: &str) -> fmt::Result {
    out.write_str(open)?;
    for (position, item) in items.iter().enumerate() {
        if position > 0 {
            out.write_str(" ")?;
        }
        write!(out, "{item}")?;
    }
    out.write_str(close)
}

/// Runs of a letter or digit longer than this are printed as a repetition.
const RUN_PRINTED_MAX: usize = 16;

fn quoted(out: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    out.write_str("\"")?;
    for run in bytes.chunk_by(|a, b| a == b) {
        let byte = run[0];
        if byte.is_ascii_alphanumeric() && run.len() > RUN_PRINTED_MAX {
            write!(out, "\\{{{}*{}}}", byte as char, run.len())?;
            continue;
        }
        for _ in run {
            match byte {
                b'\n' => out.write_str("\\n")?,
                b'\r' => out.write_str("\\r")?,
                b'\t' => out.write_str("\\t")?,
                b'"' | b'\\' => write!(out, "\\{}", byte as char)?,
                b' '..=b'~' => write!(out, "{}", byte as char)?,
                _ => write!(out, "\\x{byte:02x}")?,
            }
        }
    }
    out.write_str("\"")
}

/// A request as a transcript writes it, every word quoted.
pub fn request_text(request: &[Vec<u8>]) -> String {
    let words: Vec<String> = request.iter().map(|word| Answer::bulk(word).to_string()).collect();
    words.join(" ")
}
