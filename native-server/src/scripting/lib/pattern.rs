//! Lua's patterns: `string.find`, `match`, `gmatch`, `gsub`.
//!
//! Lua's own matcher cannot be stopped, and some patterns take longer than the universe lasts; a
//! long one has it use up the stack. So patterns are matched here: with Lua's rules and words.
//!
//! Invariant: steps are counted, and now and then the watch says whether to go on; what is nested
//! is bounded.

use mlua::{MultiValue, Value};

use crate::limits::scripting::{PACKED_BYTES_MAX, PATTERN_DEPTH_MAX};
use crate::scripting::arguments::{Arguments, Refused};
use crate::scripting::text;

/// Captures of one pattern.
const CAPTURES_MAX: usize = 32;

/// Steps after which the watch is asked.
const STEPS: u32 = 100_000;

/// Whether a match may go on.
pub type Ask<'w> = &'w dyn Fn() -> Result<(), Refused>;

#[derive(Clone, Copy)]
enum Capture {
    /// It began here and has not ended.
    Open(usize),
    /// From here, so long.
    Closed(usize, usize),
    /// A place.
    Place(usize),
}

struct Matcher<'m> {
    text: &'m [u8],
    pattern: &'m [u8],
    captures: Vec<Capture>,
    depth: usize,
    steps: u32,
    ask: Ask<'m>,
}

type Found = Result<Option<usize>, Refused>;

impl<'m> Matcher<'m> {
    fn new(text: &'m [u8], pattern: &'m [u8], ask: Ask<'m>) -> Matcher<'m> {
        Matcher { text, pattern, captures: Vec::new(), depth: 0, steps: 0, ask }
    }

    /// Where a match that begins at `at` ends.
    fn matches(&mut self, at: usize) -> Found {
        self.captures.clear();
        self.depth = 0;
        self.run(at, 0)
    }

    fn step(&mut self) -> Result<(), Refused> {
        self.steps += 1;
        if self.steps >= STEPS {
            self.steps = 0;
            (self.ask)()?;
        }
        Ok(())
    }

    /// Matches the rest of the pattern at a place, one level deeper.
    fn run(&mut self, at: usize, from: usize) -> Found {
        self.depth += 1;
        if self.depth > PATTERN_DEPTH_MAX {
            return Err("pattern too complex".into());
        }
        let found = self.follow(at, from);
        self.depth -= 1;
        found
    }

    fn follow(&mut self, mut at: usize, mut from: usize) -> Found {
        loop {
            self.step()?;
            let Some(&item) = self.pattern.get(from) else { return Ok(Some(at)) };
            let second = self.pattern.get(from + 1).copied();
            match (item, second) {
                (b'(', Some(b')')) => return self.open(at, from + 2, Capture::Place(at)),
                (b'(', _) => return self.open(at, from + 1, Capture::Open(at)),
                (b')', _) => return self.close(at, from + 1),
                (b'$', None) => return Ok((at == self.text.len()).then_some(at)),
                (b'%', Some(b'b')) => match self.balance(at, from + 2)? {
                    Some(end) => (at, from) = (end, from + 4),
                    None => return Ok(None),
                },
                (b'%', Some(b'f')) => {
                    from += 2;
                    if self.pattern.get(from) != Some(&b'[') {
                        return Err("missing '[' after '%f' in pattern".into());
                    }
                    let end = self.class_end(from)?;
                    let before = at.checked_sub(1).and_then(|at| self.text.get(at)).copied();
                    let here = self.text.get(at).copied().unwrap_or_default();
                    if self.is_in_set(before.unwrap_or_default(), from, end)
                        || !self.is_in_set(here, from, end)
                    {
                        return Ok(None);
                    }
                    from = end;
                }
                (b'%', Some(digit)) if digit.is_ascii_digit() => match self.again(at, digit)? {
                    Some(end) => (at, from) = (end, from + 2),
                    None => return Ok(None),
                },
                _ => {
                    let end = self.class_end(from)?;
                    let is_match = self.is_single(at, from, end);
                    match self.pattern.get(end) {
                        Some(b'?') => {
                            if is_match && let Some(found) = self.run(at + 1, end + 1)? {
                                return Ok(Some(found));
                            }
                            from = end + 1;
                        }
                        Some(b'*') => return self.most(at, from, end, 0),
                        Some(b'+') => return self.most(at, from, end, 1),
                        Some(b'-') => return self.least(at, from, end),
                        _ if is_match => (at, from) = (at + 1, end),
                        _ => return Ok(None),
                    }
                }
            }
        }
    }

    fn most(&mut self, at: usize, from: usize, end: usize, least: usize) -> Found {
        let mut count = 0;
        while self.is_single(at + count, from, end) {
            self.step()?;
            count += 1;
        }
        loop {
            if count < least {
                return Ok(None);
            }
            if let Some(found) = self.run(at + count, end + 1)? {
                return Ok(Some(found));
            }
            let Some(fewer) = count.checked_sub(1) else { return Ok(None) };
            count = fewer;
        }
    }

    fn least(&mut self, mut at: usize, from: usize, end: usize) -> Found {
        loop {
            if let Some(found) = self.run(at, end + 1)? {
                return Ok(Some(found));
            }
            if !self.is_single(at, from, end) {
                return Ok(None);
            }
            at += 1;
        }
    }

    fn open(&mut self, at: usize, from: usize, capture: Capture) -> Found {
        if self.captures.len() >= CAPTURES_MAX {
            return Err("too many captures".into());
        }
        let level = self.captures.len();
        self.captures.push(capture);
        let found = self.run(at, from)?;
        if found.is_none() {
            self.captures.truncate(level);
        }
        Ok(found)
    }

    fn close(&mut self, at: usize, from: usize) -> Found {
        let open = self.captures.iter().rposition(|capture| matches!(capture, Capture::Open(_)));
        let open = open.ok_or("invalid pattern capture")?;
        let Some(Capture::Open(start)) = self.captures.get(open).copied() else { return Ok(None) };
        if let Some(capture) = self.captures.get_mut(open) {
            *capture = Capture::Closed(start, at - start);
        }
        let found = self.run(at, from)?;
        if found.is_none()
            && let Some(capture) = self.captures.get_mut(open)
        {
            *capture = Capture::Open(start);
        }
        Ok(found)
    }

    /// `%bxy`: up to the y that belongs to the x here.
    fn balance(&mut self, at: usize, from: usize) -> Found {
        let (Some(&opens), Some(&closes)) = (self.pattern.get(from), self.pattern.get(from + 1))
        else {
            return Err("unbalanced pattern".into());
        };
        if self.text.get(at) != Some(&opens) {
            return Ok(None);
        }
        let mut depth = 1_usize;
        for (place, &byte) in self.text.iter().enumerate().skip(at + 1) {
            if byte == closes {
                depth -= 1;
                if depth == 0 {
                    return Ok(Some(place + 1));
                }
            } else if byte == opens {
                depth += 1;
            }
        }
        Ok(None)
    }

    /// `%1`: what a capture has, once more.
    fn again(&mut self, at: usize, digit: u8) -> Found {
        let index = usize::from(digit.wrapping_sub(b'1'));
        let Some(Capture::Closed(start, len)) = self.captures.get(index).copied() else {
            return Err("invalid capture index".into());
        };
        let captured = self.text.get(start..start + len).unwrap_or_default();
        let rest = self.text.get(at..).unwrap_or_default();
        Ok(rest.starts_with(captured).then_some(at + len))
    }

    /// Where the class that begins here ends.
    fn class_end(&self, from: usize) -> Result<usize, Refused> {
        match self.pattern.get(from) {
            Some(b'%') if from + 1 >= self.pattern.len() => {
                Err("malformed pattern (ends with '%')".into())
            }
            Some(b'%') => Ok(from + 2),
            Some(b'[') => {
                let mut at = from + 1;
                if self.pattern.get(at) == Some(&b'^') {
                    at += 1;
                }
                // The first may be the bracket itself.
                loop {
                    match self.pattern.get(at) {
                        None => return Err("malformed pattern (missing ']')".into()),
                        Some(b'%') => at += 2,
                        Some(_) => at += 1,
                    }
                    if self.pattern.get(at) == Some(&b']') {
                        return Ok(at + 1);
                    }
                }
            }
            _ => Ok(from + 1),
        }
    }

    fn is_single(&self, at: usize, from: usize, end: usize) -> bool {
        let Some(&byte) = self.text.get(at) else { return false };
        match self.pattern.get(from) {
            Some(b'.') => true,
            Some(b'%') => is_in_class(byte, self.pattern.get(from + 1).copied().unwrap_or(0)),
            Some(b'[') => self.is_in_set(byte, from, end),
            Some(&literal) => literal == byte,
            None => false,
        }
    }

    /// Whether a byte is in the set between two brackets, of which `end` is behind the second.
    fn is_in_set(&self, byte: u8, from: usize, end: usize) -> bool {
        let set = self.pattern.get(from + 1..end - 1).unwrap_or_default();
        let (is_not, mut rest) = match set.strip_prefix(b"^") {
            Some(rest) => (true, rest),
            None => (false, set),
        };
        while let Some((&first, behind)) = rest.split_first() {
            rest = behind;
            let is_in = match (first, rest) {
                (b'%', [class, behind @ ..]) => {
                    rest = behind;
                    is_in_class(byte, *class)
                }
                (low, [b'-', high, behind @ ..]) => {
                    rest = behind;
                    (low..=*high).contains(&byte)
                }
                (literal, _) => literal == byte,
            };
            if is_in {
                return !is_not;
            }
        }
        is_not
    }

    /// A capture of the match from `start` to `end`, which is the first if there are none.
    fn capture(&self, index: usize, start: usize, end: usize) -> Result<Captured<'m>, Refused> {
        let slice = |from: usize, to: usize| self.text.get(from..to).unwrap_or_default();
        match self.captures.get(index) {
            Some(Capture::Closed(from, len)) => Ok(Captured::Text(slice(*from, *from + *len))),
            Some(Capture::Place(at)) => Ok(Captured::Place(*at + 1)),
            Some(Capture::Open(_)) => Err("unfinished capture".into()),
            None if index == 0 => Ok(Captured::Text(slice(start, end))),
            None => Err("invalid capture index".into()),
        }
    }
}

enum Captured<'m> {
    Text(&'m [u8]),
    Place(usize),
}

impl Captured<'_> {
    fn value(&self, arguments: &Arguments<'_>) -> Result<Value, Refused> {
        match self {
            Captured::Place(at) => Ok(Value::Integer(*at as i64)),
            Captured::Text(text) => {
                arguments.lua.create_string(text).map(Value::String).map_err(|why| why.to_string())
            }
        }
    }
}

fn is_in_class(byte: u8, class: u8) -> bool {
    let is_in = match class.to_ascii_lowercase() {
        b'a' => byte.is_ascii_alphabetic(),
        b'c' => byte.is_ascii_control(),
        b'd' => byte.is_ascii_digit(),
        b'l' => byte.is_ascii_lowercase(),
        b'p' => byte.is_ascii_punctuation(),
        b's' => byte.is_ascii_whitespace() || byte == 11,
        b'u' => byte.is_ascii_uppercase(),
        b'w' => byte.is_ascii_alphanumeric(),
        b'x' => byte.is_ascii_hexdigit(),
        b'z' => byte == 0,
        _ => return class == byte,
    };
    is_in != class.is_ascii_uppercase()
}

/// A pattern without its anchor, and whether it had one.
fn unanchored(pattern: &[u8]) -> (&[u8], bool) {
    pattern.strip_prefix(b"^").map_or((pattern, false), |rest| (rest, true))
}

/// All captures of a match.
fn captures(
    matcher: &Matcher<'_>,
    arguments: &Arguments<'_>,
    (start, end): (usize, usize),
    has_whole: bool,
) -> Result<Vec<Value>, Refused> {
    let count = matcher.captures.len().max(usize::from(has_whole));
    (0..count).map(|index| matcher.capture(index, start, end)?.value(arguments)).collect()
}

/// `string.find` and `string.match`.
pub fn find(arguments: &Arguments<'_>, is_find: bool, ask: Ask<'_>) -> Result<MultiValue, Refused> {
    let (text, pattern) = (arguments.string(0)?, arguments.string(1)?);
    let (text, pattern) = (text.as_bytes(), pattern.as_bytes());
    let position = arguments.integer_or(2, 1)?;
    let len = text.len() as i64;
    let position = if position < 0 { position.saturating_add(len + 1) } else { position };
    let from = (position - 1).clamp(0, len) as usize;
    let is_plain = is_find
        && (!matches!(arguments.get(3), Value::Nil | Value::Boolean(false))
            || !pattern.iter().any(|byte| b"^$*+?.([%-".contains(byte)));
    if is_plain {
        let rest = text.get(from..).unwrap_or_default();
        let found = memchr::memmem::find(rest, &pattern).map(|at| from + at);
        return Ok(found.map_or_else(nothing, |at| {
            let ends = [at as i64 + 1, (at + pattern.len()) as i64];
            MultiValue::from_iter(ends.map(Value::Integer))
        }));
    }
    let (items, is_anchored) = unanchored(&pattern);
    let mut matcher = Matcher::new(&text, items, ask);
    for at in from..=text.len() {
        if let Some(end) = matcher.matches(at)? {
            let mut values = Vec::new();
            if is_find {
                values.extend([at as i64 + 1, end as i64].map(Value::Integer));
            }
            values.extend(captures(&matcher, arguments, (at, end), !is_find)?);
            return Ok(MultiValue::from_vec(values));
        }
        if is_anchored {
            break;
        }
    }
    Ok(nothing())
}

fn nothing() -> MultiValue {
    MultiValue::from_iter([Value::Nil])
}

/// The next step of `gmatch`, from a place: the place behind, and the captures.
pub fn next(arguments: &Arguments<'_>, ask: Ask<'_>) -> Result<MultiValue, Refused> {
    let (text, pattern) = (arguments.string(0)?, arguments.string(1)?);
    let (text, pattern) = (text.as_bytes(), pattern.as_bytes());
    let from = arguments.integer_or(2, 0)? as usize;
    let mut matcher = Matcher::new(&text, &pattern, ask);
    for at in from..=text.len() {
        if let Some(end) = matcher.matches(at)? {
            let behind = if end == at { end + 1 } else { end };
            let mut values = vec![Value::Integer(behind as i64)];
            values.extend(captures(&matcher, arguments, (at, end), true)?);
            return Ok(MultiValue::from_vec(values));
        }
    }
    Ok(MultiValue::from_iter([Value::Integer(text.len() as i64 + 1), Value::Nil]))
}

/// The next match from a place: where it begins and ends, and its captures.
pub fn first(arguments: &Arguments<'_>, ask: Ask<'_>) -> Result<MultiValue, Refused> {
    let (text, pattern) = (arguments.string(0)?, arguments.string(1)?);
    let (text, pattern) = (text.as_bytes(), pattern.as_bytes());
    let from = arguments.integer_or(2, 0)? as usize;
    let (items, is_anchored) = unanchored(&pattern);
    let mut matcher = Matcher::new(&text, items, ask);
    for at in from..=text.len() {
        if is_anchored && at > 0 {
            break;
        }
        if let Some(end) = matcher.matches(at)? {
            let mut values = Vec::from([at as i64, end as i64].map(Value::Integer));
            values.extend(captures(&matcher, arguments, (at, end), true)?);
            return Ok(MultiValue::from_vec(values));
        }
    }
    Ok(nothing())
}

/// `string.gsub` whose replacement is a text.
pub fn replace(arguments: &Arguments<'_>, ask: Ask<'_>) -> Result<MultiValue, Refused> {
    let (text, pattern) = (arguments.string(0)?, arguments.string(1)?);
    let (text, pattern) = (text.as_bytes(), pattern.as_bytes());
    let Some(becomes) = text::of(arguments.get(2)) else {
        return Err(arguments.refuse(2, "string/function/table expected"));
    };
    let most = arguments.integer_or(3, text.len() as i64 + 1)?;
    let (items, is_anchored) = unanchored(&pattern);
    let mut matcher = Matcher::new(&text, items, ask);
    let (mut out, mut at, mut count) = (Vec::new(), 0, 0);
    while count < most {
        let end = matcher.matches(at)?;
        if let Some(end) = end {
            count += 1;
            expand(&mut out, &becomes, &matcher, (at, end))?;
        }
        match end {
            Some(end) if end > at => at = end,
            _ => match text.get(at) {
                Some(&byte) => {
                    out.push(byte);
                    at += 1;
                }
                None => break,
            },
        }
        if is_anchored {
            break;
        }
    }
    out.extend_from_slice(text.get(at..).unwrap_or_default());
    let text = arguments.lua.create_string(out).map_err(|why| why.to_string())?;
    Ok(MultiValue::from_iter([Value::String(text), Value::Integer(count)]))
}

/// Appends a replacement, in which `%1` is a capture.
fn expand(
    out: &mut Vec<u8>,
    becomes: &[u8],
    matcher: &Matcher<'_>,
    (start, end): (usize, usize),
) -> Result<(), Refused> {
    if out.len() > PACKED_BYTES_MAX {
        return Err(text::NO_MEMORY.into());
    }
    let mut rest = becomes.iter();
    while let Some(&byte) = rest.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        match rest.next().copied().unwrap_or_default() {
            b'0' => out.extend_from_slice(matcher.text.get(start..end).unwrap_or_default()),
            digit @ b'1'..=b'9' => match matcher.capture(usize::from(digit - b'1'), start, end)? {
                Captured::Text(text) => out.extend_from_slice(text),
                Captured::Place(at) => out.extend_from_slice(at.to_string().as_bytes()),
            },
            other => out.push(other),
        }
    }
    Ok(())
}
