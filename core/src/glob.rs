//! Glob patterns, matched as Redis's `stringmatchlen` does, malformed classes included.

/// Whether all of `text` matches `pattern`: `?`, `*`, `[a-c]`, `[^a]`, and `\` before anything.
pub(crate) fn matches(pattern: &[u8], text: &[u8]) -> bool {
    // Redis never looks for a star in a pattern once the text was empty from the start.
    if text.is_empty() {
        return pattern.is_empty();
    }
    let (mut pattern, mut text) = (pattern, text);
    // Where to go on after the last star when what follows it did not match: one byte later.
    let mut retry: Option<(&[u8], &[u8])> = None;
    loop {
        let is_match = match (pattern.split_first(), text.split_first()) {
            (Some((b'*', rest)), _) => {
                pattern = rest;
                retry = text.get(1..).map(|later| (rest, later));
                continue;
            }
            (None, None) => return true,
            (Some(_), Some((&byte, later))) => {
                let (is_match, rest) = element(pattern, byte);
                (pattern, text) = (rest, later);
                is_match
            }
            _ => false,
        };
        if !is_match {
            let Some((after_star, later)) = retry else { return false };
            (pattern, text) = (after_star, later);
            retry = later.get(1..).map(|later| (after_star, later));
        }
    }
}

/// Matches one byte against the pattern's first element, and gives the pattern after it.
fn element(pattern: &[u8], byte: u8) -> (bool, &[u8]) {
    match pattern {
        [b'?', rest @ ..] => (true, rest),
        [b'[', rest @ ..] => class(rest, byte),
        [b'\\', escaped, rest @ ..] => (*escaped == byte, rest),
        [literal, rest @ ..] => (*literal == byte, rest),
        [] => (false, pattern),
    }
}

/// Matches one byte against a class, from behind its bracket. A missing end is forgiven.
fn class(pattern: &[u8], byte: u8) -> (bool, &[u8]) {
    let (is_negated, mut pattern) = match pattern {
        [b'^', rest @ ..] => (true, rest),
        _ => (false, pattern),
    };
    let mut found = false;
    loop {
        pattern = match pattern {
            [b'\\', escaped, rest @ ..] => {
                found |= *escaped == byte;
                rest
            }
            [b']', rest @ ..] => return (found != is_negated, rest),
            [] => return (found != is_negated, pattern),
            [a, b'-', z, rest @ ..] => {
                found |= (*a.min(z)..=*a.max(z)).contains(&byte);
                rest
            }
            [literal, rest @ ..] => {
                found |= *literal == byte;
                rest
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_redis() {
        let check = |pattern: &str, text: &str, expected: bool| {
            assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), expected, "{pattern} {text}");
        };
        check("h?llo", "hello", true);
        check("h*llo", "heeeello", true);
        check("h*l*o", "hello", true);
        check("h*l*p", "hello", false);
        check("h[ae]llo", "hallo", true);
        check("h[^e]llo", "hello", false);
        check("h[a-c]llo", "hbllo", true);
        check("h[c-a]llo", "hbllo", true);
        check("h\\?llo", "h?llo", true);
        check("a[b", "ab", true);
        check("a[^", "ab", true);
        check("*a*b*", "xxaxxbxx", true);
        check("**", "x", true);
        check("a*", "a", true);
        check("", "", true);
        check("*", "", false);
        check("a", "", false);
        check("\\", "\\", true);
        check("[]", "]", false);
        check("a*a*a*a*a*b", &"a".repeat(60), false);
    }
}
