//! Two subjects asked the same, and what must be equal of their answers.
//! Where Redis chooses at random, the second subject's choice is judged by the first: it must be
//! one that Redis could have made. What it removed is then removed from the first as well.
//! Invariant: after each comparison both hold the same keyspace, or the comparison failed.

use crate::answer::Answer;
use crate::engine::Words;
use crate::family::name_of;
use crate::subject::{Subject, ask_whole};

/// Where what was dumped is restored, on both.
const DUMPED: &str = "dumped";

/// The answers of both, in a form in which they must be equal.
pub fn answers(
    judge: &mut dyn Subject,
    subject: &mut dyn Subject,
    request: &Words,
) -> (Answer, Answer) {
    match name_of(request).as_slice() {
        b"SPOP" => pop(judge, subject, request),
        b"SRANDMEMBER" | b"HRANDFIELD" => draw(judge, subject, request),
        b"ZRANDMEMBER" => {
            let (expected, given) = draw(judge, subject, request);
            (without_minus_zero(expected), without_minus_zero(given))
        }
        // WITHSCORE came with Redis 7.2; before, a fourth word is one too many.
        b"ZRANK" | b"ZREVRANK" if request.len() == 4 => {
            let request = &request[..3].to_vec();
            (judge.ask(request), subject.ask(request))
        }
        [b'Z', ..] => {
            let (expected, given) = (ask_whole(judge, request), ask_whole(subject, request));
            (without_minus_zero(expected), without_minus_zero(given))
        }
        // Redis names the command as the client did.
        b"GEOSEARCH" | b"GEOSEARCHSTORE" => {
            (in_capitals(judge.ask(request)), in_capitals(subject.ask(request)))
        }
        b"XINFO" => {
            let (expected, given) = (judge.ask(request), subject.ask(request));
            (without(NODES, expected), without(NODES, given))
        }
        b"RANDOMKEY" => random_key(judge, subject, request),
        b"DUMP" => dump(judge, subject, request),
        b"SORT" | b"SORT_RO" if is_left_unsorted(judge, request) => {
            let (expected, given) = (judge.ask(request), subject.ask(request));
            (length(expected), length(given))
        }
        _ => (ask_whole(judge, request), ask_whole(subject, request)),
    }
}

/// Every key with its type, its value and its PTTL.
pub fn contents(subject: &mut dyn Subject) -> Vec<Answer> {
    let keys = ask_whole(subject, &words(&["KEYS", "*"]));
    let Answer::Array(keys) = keys else { panic!("KEYS answers an array, not {keys}") };
    let mut contents = Vec::new();
    for key in keys {
        let Answer::Bulk(name) = &key else { panic!("KEYS lists bulk strings, not {key}") };
        let (name, ttl_ms) = (name.clone(), subject.ask(&[b"PTTL".to_vec(), name.clone()]));
        let value = value(subject, &name);
        contents.push(Answer::Array(vec![key, value, ttl_ms]));
    }
    contents
}

/// The whole value of a key.
fn value(subject: &mut dyn Subject, key: &[u8]) -> Answer {
    let Answer::Simple(type_name) = subject.ask(&[b"TYPE".to_vec(), key.to_vec()]) else {
        panic!("TYPE answers a simple string");
    };
    let request: &[&str] = match type_name.as_str() {
        "none" => return Answer::Null,
        "string" => &["GET", ""],
        "hash" => &["HGETALL", ""],
        "list" => &["LRANGE", "", "0", "-1"],
        "set" => &["SMEMBERS", ""],
        "zset" => &["ZRANGE", "", "0", "-1", "WITHSCORES"],
        "stream" => &["XINFO", "", "FULL", "COUNT", "0"],
        other => panic!("no such type: {other}"),
    };
    let mut request = words(request);
    request[1] = key.to_vec();
    if type_name == "stream" {
        request.insert(1, b"STREAM".to_vec());
    }
    let value = ask_whole(subject, &request);
    let value = match type_name.as_str() {
        "zset" => without_minus_zero(value),
        "stream" => without(SEEN, without(NODES, value)),
        _ => value,
    };
    Answer::Array(vec![Answer::Simple(type_name), value])
}

/// An answer whose scores have no sign of zero: Redis forgets it in small sorted sets, and Ferrite
/// in all of them.
fn without_minus_zero(answer: Answer) -> Answer {
    match answer {
        Answer::Bulk(text) if text == b"-0" => Answer::bulk(b"0"),
        Answer::Array(items) => Answer::Array(items.into_iter().map(without_minus_zero).collect()),
        other => other,
    }
}

/// An answer of which, if it is an error, the case does not matter.
fn in_capitals(answer: Answer) -> Answer {
    match answer {
        Answer::Error(line) => Answer::Error(line.to_ascii_uppercase()),
        other => other,
    }
}

/// How a stream is stored is each implementation's own affair.
const NODES: &[&str] = &["radix-tree-keys", "radix-tree-nodes"];
/// When a consumer last asked for something is no effect.
const SEEN: &[&str] = &["seen-time"];

/// An answer of names and values in turns, without the values of some.
fn without(names: &[&str], answer: Answer) -> Answer {
    let Answer::Array(items) = answer else { return answer };
    let mut is_left_out = false;
    let items = items.into_iter().map(|item| {
        let was_named = is_left_out;
        is_left_out = names.iter().any(|&name| item == Answer::from(name));
        if was_named { Answer::Null } else { without(names, item) }
    });
    Answer::Array(items.collect())
}

fn words(words: &[&str]) -> Words {
    words.iter().map(|word| word.as_bytes().to_vec()).collect()
}

/// The members in an answer of one or of several. None if there is no choice in it.
fn chosen(answer: &Answer) -> Option<Vec<Answer>> {
    match answer {
        Answer::Bulk(_) => Some(vec![answer.clone()]),
        Answer::Array(items) if !items.is_empty() => Some(items.clone()),
        _ => None,
    }
}

/// What is left to compare when both chose well.
fn length(answer: Answer) -> Answer {
    match answer {
        Answer::Array(items) => Answer::Integer(items.len() as i64),
        Answer::Bulk(_) => Answer::Simple("one".into()),
        other => other,
    }
}

fn integer(answer: &Answer) -> i64 {
    match answer {
        Answer::Integer(number) => *number,
        other => panic!("an integer, not {other}"),
    }
}

/// SPOP: the subject chooses, the judge checks and then removes the same.
fn pop(judge: &mut dyn Subject, subject: &mut dyn Subject, request: &Words) -> (Answer, Answer) {
    let given = subject.ask(request);
    let Some(members) = chosen(&given) else { return (judge.ask(request), given) };
    let before = judge.ask(&[b"SCARD".to_vec(), request[1].clone()]);
    let asked = request.get(2).map(|count| String::from_utf8_lossy(count).parse::<i64>());
    let expected = match (before, asked) {
        (error @ Answer::Error(_), _) => return (error, given),
        (_, None) => Answer::Simple("one".into()),
        (before, Some(Ok(asked))) => Answer::Integer(asked.min(integer(&before))),
        (_, Some(Err(_))) => return (judge.ask(request), given),
    };
    let mut removal = vec![b"SREM".to_vec(), request[1].clone()];
    removal.extend(members.iter().map(|member| match member {
        Answer::Bulk(bytes) => bytes.clone(),
        other => panic!("SPOP answers bulk strings, not {other}"),
    }));
    // Fewer are removed if one was never there, or was popped twice.
    let removed = judge.ask(&removal);
    if removed != Answer::Integer(members.len() as i64) {
        return (removed, given);
    }
    (expected, length(given))
}

/// SRANDMEMBER and its kin: every member, with its value or score if wanted, must be there.
fn draw(judge: &mut dyn Subject, subject: &mut dyn Subject, request: &Words) -> (Answer, Answer) {
    let (expected, given) = (judge.ask(request), subject.ask(request));
    let (Some(_), Some(items)) = (chosen(&expected), chosen(&given)) else {
        return (expected, given);
    };
    let all = match name_of(request).as_slice() {
        b"SRANDMEMBER" => "SMEMBERS",
        b"HRANDFIELD" => "HGETALL",
        _ => "ZRANGE",
    };
    let mut listing = vec![all.into(), request[1].clone()];
    if all == "ZRANGE" {
        listing.extend(words(&["0", "-1", "WITHSCORES"]));
    }
    let Answer::Array(all_items) = judge.ask(&listing) else { return (expected, given) };
    let width = if all == "SMEMBERS" { 1 } else { 2 };
    let shown = if request.len() > 3 { width } else { 1 };
    let mut pool: Vec<&[Answer]> = all_items.chunks(width).map(|entry| &entry[..shown]).collect();
    pool.sort();
    let mut drawn: Vec<&[Answer]> = items.chunks(shown).collect();
    if let Some(stranger) = drawn.iter().find(|entry| pool.binary_search(entry).is_err()) {
        return (expected, Answer::Array(stranger.to_vec()));
    }
    drawn.sort();
    let has_twins = drawn.windows(2).any(|pair| pair[0] == pair[1]);
    if has_twins && !request.get(2).is_some_and(|count| count.starts_with(b"-")) {
        return (expected, given);
    }
    (length(expected), length(given))
}

fn random_key(
    judge: &mut dyn Subject,
    subject: &mut dyn Subject,
    request: &Words,
) -> (Answer, Answer) {
    let (expected, given) = (judge.ask(request), subject.ask(request));
    match (&expected, &given) {
        (Answer::Bulk(_), Answer::Bulk(key)) => {
            let there = judge.ask(&[b"EXISTS".to_vec(), key.clone()]);
            (Answer::Integer(1), there)
        }
        _ => (expected, given),
    }
}

/// Each restores what the other dumped, and must then hold the value that was dumped.
fn dump(judge: &mut dyn Subject, subject: &mut dyn Subject, request: &Words) -> (Answer, Answer) {
    let (expected, given) = (judge.ask(request), subject.ask(request));
    let (Answer::Bulk(expected), Answer::Bulk(given)) = (&expected, &given) else {
        return (expected, given);
    };
    let mut restore = words(&["RESTORE", DUMPED, "0", "", "REPLACE"]);
    restore[3].clone_from(given);
    let by_judge = judge.ask(&restore);
    restore[3].clone_from(expected);
    let by_subject = subject.ask(&restore);
    let original = value(judge, &request[1]);
    let expected = vec![Answer::ok(), original.clone(), Answer::ok(), original];
    let given = vec![by_judge, value(judge, DUMPED.as_bytes()), by_subject];
    let given = given.into_iter().chain([value(subject, DUMPED.as_bytes())]);
    (Answer::Array(expected), Answer::Array(given.collect()))
}

/// Whether SORT is told not to sort a set, whose order nobody promises.
fn is_left_unsorted(judge: &mut dyn Subject, request: &Words) -> bool {
    let is = |word: &Vec<u8>, name: &str| word.eq_ignore_ascii_case(name.as_bytes());
    let mut pairs = request.windows(2);
    let is_constant = pairs.any(|pair| is(&pair[0], "BY") && !pair[1].contains(&b'*'));
    let is_stored = request.iter().any(|word| is(word, "STORE"));
    is_constant
        && !is_stored
        && request.len() > 1
        && judge.ask(&[b"TYPE".to_vec(), request[1].clone()]) == Answer::Simple("set".into())
}
