//! Redis's patterns, for names of settings and commands, and for channels.
//!
//! Invariant: linear in the text for each star, without recursion: only the last star is gone back
//! to.

/// Whether a text matches a pattern.
pub fn matches(pattern: &[u8], text: impl AsRef<[u8]>) -> bool {
    let text = text.as_ref();
    let (mut at, mut from) = (0, 0);
    // Behind the last star, and where in the text it was tried.
    let mut star: Option<(usize, usize)> = None;
    while from < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at + 1, from));
                at += 1;
                continue;
            }
            Some(_) => {
                if let Some(next) = one(pattern, at, text[from]) {
                    (at, from) = (next, from + 1);
                    continue;
                }
            }
            None => {}
        }
        let Some((behind, tried)) = star else { return false };
        star = Some((behind, tried + 1));
        (at, from) = (behind, tried + 1);
    }
    pattern.get(at..).unwrap_or_default().iter().all(|&byte| byte == b'*')
}

/// Where the pattern goes on if its element at this place takes the byte.
fn one(pattern: &[u8], at: usize, byte: u8) -> Option<usize> {
    match pattern[at] {
        b'?' => Some(at + 1),
        b'[' => class(pattern, at + 1, byte),
        b'\\' if at + 1 < pattern.len() => (pattern[at + 1] == byte).then_some(at + 2),
        literal => (literal == byte).then_some(at + 1),
    }
}

fn class(pattern: &[u8], mut at: usize, byte: u8) -> Option<usize> {
    let is_negated = pattern.get(at) == Some(&b'^');
    at += usize::from(is_negated);
    let mut is_in = false;
    loop {
        match pattern.get(at..).unwrap_or_default() {
            [b'\\', literal, ..] => {
                is_in |= *literal == byte;
                at += 2;
            }
            [b']', ..] => {
                at += 1;
                break;
            }
            [start, b'-', end, ..] => {
                is_in |= (*start.min(end)..=*start.max(end)).contains(&byte);
                at += 3;
            }
            [literal, ..] => {
                is_in |= *literal == byte;
                at += 1;
            }
            [] => break,
        }
    }
    (is_in != is_negated).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_redis() {
        for (pattern, text) in [
            ("*", ""),
            ("*", "anything"),
            ("h?llo", "hello"),
            ("h*o", "hello"),
            ("h[ae]llo", "hallo"),
            ("h[^e]llo", "hallo"),
            ("h[a-c]llo", "hbllo"),
            ("a\\*b", "a*b"),
            ("*a*b*", "xxaxxbxx"),
            ("[a-", "a"),
        ] {
            assert!(matches(pattern.as_bytes(), text), "{pattern} {text}");
        }
        for (pattern, text) in
            [("", "a"), ("a", ""), ("h?llo", "hllo"), ("h[^e]llo", "hello"), ("a*b", "ac")]
        {
            assert!(!matches(pattern.as_bytes(), text), "{pattern} {text}");
        }
    }
}
