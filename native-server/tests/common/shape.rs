//! Replies of RESP3 in the shape that they have in RESP2, which transcripts and comparisons are
//! written in.

use ferrite_tests::answer::Answer;

use super::Raw;

/// The reply to a request, whatever protocol it came in.
pub fn flat_reply(raw: Raw, request: &[Vec<u8>], protocol: u8) -> Answer {
    match (flat(raw), protocol) {
        (Answer::Array(pairs), 3) if has_pairs(request) && pairs.iter().all(is_pair) => {
            Answer::Array(pairs.into_iter().flat_map(halves).collect())
        }
        (Answer::Array(halves), 3) if has_entries(request) => {
            Answer::Array(halves.chunks(2).map(|pair| Answer::Array(pair.to_vec())).collect())
        }
        (answer, _) => answer,
    }
}

/// A reply of RESP3 in the shape that it has in RESP2, which is what transcripts are written in.
pub fn flat(raw: Raw) -> Answer {
    let items = |items: Vec<Raw>| items.into_iter().map(flat).collect();
    match raw {
        Raw::Simple(text) => Answer::Simple(text),
        Raw::Error(text) => Answer::Error(text),
        Raw::Integer(number) => Answer::Integer(number),
        Raw::Bulk(bytes) => Answer::Bulk(bytes),
        Raw::Double(text) | Raw::Verbatim(text) => Answer::bulk(text.as_bytes()),
        Raw::Boolean(is_true) => Answer::Integer(is_true.into()),
        Raw::Null | Raw::NullArray => Answer::Null,
        Raw::Array(list) | Raw::Set(list) | Raw::Push(list) => Answer::Array(items(list)),
        Raw::Map(pairs) => {
            Answer::Array(items(pairs.into_iter().flat_map(|(key, value)| [key, value]).collect()))
        }
    }
}

/// Commands whose map is an array of pairs in RESP2.
fn has_entries(request: &[Vec<u8>]) -> bool {
    [&b"xread"[..], b"xreadgroup"].iter().any(|name| request[0].eq_ignore_ascii_case(name))
}

/// Commands whose pairs are arrays of their own in RESP3.
fn has_pairs(request: &[Vec<u8>]) -> bool {
    let has = |word: &[u8]| request.iter().any(|other| other.eq_ignore_ascii_case(word));
    let is_pop = has(b"zpopmin") || has(b"zpopmax");
    let is_moving = has(b"zmpop") || has(b"zrank") || has(b"zrevrank");
    !is_moving && (has(b"withscores") || has(b"withvalues") || is_pop && request.len() > 2)
}

fn is_pair(answer: &Answer) -> bool {
    matches!(answer, Answer::Array(halves) if halves.len() == 2)
}

fn halves(pair: Answer) -> Vec<Answer> {
    match pair {
        Answer::Array(halves) => halves,
        other => panic!("a pair, not {other}"),
    }
}
