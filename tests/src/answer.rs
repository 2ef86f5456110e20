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
    /// `{a b}`: only ever expected, never given.
    Unordered(Vec<Answer>),
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

    /// Whether `given` is what `self` expects; the order inside `{}` is free.
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
            _ => self == given,
        }
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
        }
    }
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
