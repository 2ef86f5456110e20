//! `cjson.decode`.
//!
//! Invariant: what is wrong is told with the place where it is, and no place is looked at twice.

use std::borrow::Cow;

use mlua::{Lua, Table, Value};

use crate::limits::scripting::JSON_DEPTH_MAX;
use crate::scripting::arguments::Refused;
use crate::scripting::lib::cjson::Settings;

/// Reads JSON.
pub struct Decoder<'d> {
    /// Where values are made.
    pub lua: &'d Lua,
    /// What is set.
    pub settings: &'d Settings,
    /// The mark of tables that are arrays even if they are empty.
    pub array_mark: &'d Table,
    text: &'d [u8],
    at: usize,
    depth: i64,
}

enum Token<'d> {
    /// `{ } [ ] : ,`
    Mark(u8),
    String(Cow<'d, [u8]>),
    Number(f64),
    Boolean(bool),
    Null,
    End,
    Bad(&'static str),
}

impl Token<'_> {
    fn name(&self) -> &'static str {
        match self {
            Token::Mark(b'{') => "T_OBJ_BEGIN",
            Token::Mark(b'}') => "T_OBJ_END",
            Token::Mark(b'[') => "T_ARR_BEGIN",
            Token::Mark(b']') => "T_ARR_END",
            Token::Mark(b':') => "T_COLON",
            Token::Mark(_) => "T_COMMA",
            Token::String(_) => "T_STRING",
            Token::Number(_) => "T_NUMBER",
            Token::Boolean(_) => "T_BOOLEAN",
            Token::Null => "T_NULL",
            Token::End => "T_END",
            Token::Bad(what) => what,
        }
    }
}

impl<'d> Decoder<'d> {
    /// Of a text.
    pub fn new(
        lua: &'d Lua,
        settings: &'d Settings,
        array_mark: &'d Table,
        text: &'d [u8],
    ) -> Decoder<'d> {
        Decoder { lua, settings, array_mark, text, at: 0, depth: 0 }
    }

    /// The value that the whole text is.
    ///
    /// # Errors
    /// It is none.
    pub fn read(mut self) -> Result<Value, Refused> {
        if matches!(self.text, [0, _, ..] | [_, 0, ..]) {
            return Err("JSON parser does not support UTF-16 or UTF-32".into());
        }
        let (place, token) = self.token();
        let value = self.value(place, token)?;
        match self.token() {
            (_, Token::End) => Ok(value),
            (place, token) => Err(expected("the end", place, &token)),
        }
    }

    fn value(&mut self, place: usize, token: Token<'_>) -> Result<Value, Refused> {
        Ok(match token {
            Token::String(text) => Value::String(self.string(&text)?),
            Token::Number(number) => Value::Number(number),
            Token::Boolean(is_true) => Value::Boolean(is_true),
            Token::Null => Value::NULL,
            Token::Mark(b'{') => Value::Table(self.object()?),
            Token::Mark(b'[') => Value::Table(self.array()?),
            token => return Err(expected("value", place, &token)),
        })
    }

    fn string(&self, text: &[u8]) -> Result<mlua::String, Refused> {
        self.lua.create_string(text).map_err(|why| why.to_string())
    }

    fn descend(&mut self) -> Result<Table, Refused> {
        self.depth += 1;
        if self.depth > self.settings.decode_max_depth.min(JSON_DEPTH_MAX) {
            let (depth, at) = (self.depth, self.at);
            return Err(format!(
                "Found too many nested data structures ({depth}) at character {at}"
            ));
        }
        self.lua.create_table().map_err(|why| why.to_string())
    }

    fn object(&mut self) -> Result<Table, Refused> {
        let table = self.descend()?;
        let (mut place, mut token) = self.token();
        if !matches!(token, Token::Mark(b'}')) {
            loop {
                let Token::String(key) = token else {
                    return Err(expected("object key string", place, &token));
                };
                let key = self.string(&key)?;
                match self.token() {
                    (_, Token::Mark(b':')) => {}
                    (place, token) => return Err(expected("colon", place, &token)),
                }
                let (value_place, value) = self.token();
                let value = self.value(value_place, value)?;
                table.raw_set(key, value).map_err(|why| why.to_string())?;
                match self.token() {
                    (_, Token::Mark(b'}')) => break,
                    (_, Token::Mark(b',')) => (place, token) = self.token(),
                    (place, token) => return Err(expected("comma or object end", place, &token)),
                }
            }
        }
        self.depth -= 1;
        Ok(table)
    }

    fn array(&mut self) -> Result<Table, Refused> {
        let table = self.descend()?;
        let (mut place, mut token) = self.token();
        if !matches!(token, Token::Mark(b']')) {
            for at in 1.. {
                let value = self.value(place, token)?;
                table.raw_set(at, value).map_err(|why| why.to_string())?;
                match self.token() {
                    (_, Token::Mark(b']')) => break,
                    (_, Token::Mark(b',')) => (place, token) = self.token(),
                    (place, token) => return Err(expected("comma or array end", place, &token)),
                }
            }
        }
        if self.settings.decode_marks_arrays {
            let marked = table.set_metatable(Some(self.array_mark.clone()));
            marked.map_err(|why| why.to_string())?;
        }
        self.depth -= 1;
        Ok(table)
    }

    fn byte(&self, ahead: usize) -> u8 {
        self.text.get(self.at + ahead).copied().unwrap_or_default()
    }

    fn takes(&mut self, word: &str) -> bool {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let is_it = rest.starts_with(word.as_bytes());
        self.at += if is_it { word.len() } else { 0 };
        is_it
    }

    /// The next token, and where it begins: or where it is bad.
    fn token(&mut self) -> (usize, Token<'d>) {
        while matches!(self.byte(0), b' ' | b'\t' | b'\n' | b'\r') {
            self.at += 1;
        }
        let place = self.at;
        let token = match self.byte(0) {
            // As in C a zero is the end.
            0 => Token::End,
            mark @ (b'{' | b'}' | b'[' | b']' | b':' | b',') => {
                self.at += 1;
                Token::Mark(mark)
            }
            b'"' => self.string_token(),
            b'-' | b'0'..=b'9' => match !self.settings.decode_invalid && self.is_invalid_number() {
                true => Token::Bad("invalid number"),
                false => self.number_token(),
            },
            b't' if self.takes("true") => Token::Boolean(true),
            b'f' if self.takes("false") => Token::Boolean(false),
            b'n' if self.takes("null") => Token::Null,
            b'+' | b'i' | b'I' | b'n' | b'N'
                if self.settings.decode_invalid && self.is_invalid_number() =>
            {
                self.number_token()
            }
            _ => Token::Bad("invalid token"),
        };
        let place = if matches!(token, Token::Bad(_)) { self.at } else { place };
        (place, token)
    }

    fn string_token(&mut self) -> Token<'d> {
        self.at += 1;
        let mut out: Cow<'d, [u8]> = Cow::default();
        loop {
            let rest = self.text.get(self.at..).unwrap_or_default();
            let plain = rest.iter().take_while(|byte| !matches!(byte, b'"' | b'\\' | 0)).count();
            let run = rest.get(..plain).unwrap_or_default();
            if out.is_empty() {
                out = Cow::Borrowed(run);
            } else {
                out.to_mut().extend_from_slice(run);
            }
            self.at += plain;
            match self.byte(0) {
                b'"' => {
                    self.at += 1;
                    return Token::String(out);
                }
                b'\\' => {
                    let escaped = match self.byte(1) {
                        b'b' => 8,
                        b't' => b'\t',
                        b'n' => b'\n',
                        b'f' => 12,
                        b'r' => b'\r',
                        other @ (b'"' | b'\\' | b'/') => other,
                        b'u' => match self.unicode(out.to_mut()) {
                            true => continue,
                            false => return Token::Bad("invalid unicode escape code"),
                        },
                        _ => return Token::Bad("invalid escape code"),
                    };
                    out.to_mut().push(escaped);
                    self.at += 2;
                }
                _ => return Token::Bad("unexpected end of string"),
            }
        }
    }

    fn hex(&self, ahead: usize) -> Option<u32> {
        let digits = self.text.get(self.at + ahead..self.at + ahead + 4)?;
        digits
            .iter()
            .try_fold(0, |number, digit| Some(number << 4 | char::from(*digit).to_digit(16)?))
    }

    /// Reads an escaped letter: one of 16 bits, or two that stand for one.
    fn unicode(&mut self, out: &mut Vec<u8>) -> bool {
        let Some(mut code) = self.hex(2) else { return false };
        let mut len = 6;
        if code & 0xf800 == 0xd800 {
            // The second half of a pair has no first.
            if code & 0x400 != 0 || self.byte(6) != b'\\' || self.byte(7) != b'u' {
                return false;
            }
            let Some(low) = self.hex(8).filter(|low| low & 0xfc00 == 0xdc00) else { return false };
            code = ((code & 0x3ff) << 10 | low & 0x3ff) + 0x1_0000;
            len = 12;
        }
        let Some(letter) = char::from_u32(code) else { return false };
        out.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
        self.at += len;
        true
    }

    /// Whether what follows is a number that JSON does not know, though C does.
    fn is_invalid_number(&self) -> bool {
        if self.byte(0) == b'+' {
            return true;
        }
        let rest = self.text.get(self.at..).unwrap_or_default();
        let rest = rest.strip_prefix(b"-").unwrap_or(rest);
        match rest {
            [b'0', second, ..] => second | 0x20 == b'x' || second.is_ascii_digit(),
            [first, ..] if *first <= b'9' => false,
            [a, b, c, ..] => {
                let word = [a, b, c].map(u8::to_ascii_lowercase);
                word == *b"inf" || word == *b"nan"
            }
            _ => false,
        }
    }

    fn number_token(&mut self) -> Token<'d> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        match c_number(rest) {
            Some((number, len)) => {
                self.at += len;
                Token::Number(number)
            }
            None => Token::Bad("invalid number"),
        }
    }
}

fn expected(what: &str, place: usize, token: &Token<'_>) -> Refused {
    format!("Expected {what} but found {} at character {}", token.name(), place + 1)
}

/// The number at the start of a text as `strtod` reads it, and its length.
pub fn c_number(text: &[u8]) -> Option<(f64, usize)> {
    let is_negative = text.first() == Some(&b'-');
    let sign_len = usize::from(matches!(text.first(), Some(b'-' | b'+')));
    let rest = text.get(sign_len..).unwrap_or_default();
    let signed = |number: f64| if is_negative { -number } else { number };
    let starts = |word: &str| {
        rest.get(..word.len()).is_some_and(|text| text.eq_ignore_ascii_case(word.as_bytes()))
    };
    if let Some(word) = ["infinity", "inf"].into_iter().find(|word| starts(word)) {
        return Some((signed(f64::INFINITY), sign_len + word.len()));
    }
    if starts("nan") {
        return Some((signed(f64::NAN), sign_len + 3));
    }
    if starts("0x")
        && let Some((number, len)) = hexadecimal(rest.get(2..).unwrap_or_default())
    {
        return Some((signed(number), sign_len + 2 + len));
    }
    let digits = |from: usize| {
        rest.get(from..).unwrap_or_default().iter().take_while(|byte| byte.is_ascii_digit()).count()
    };
    let whole = digits(0);
    let mut len = whole;
    if rest.get(len) == Some(&b'.') {
        let decimals = digits(len + 1);
        if whole + decimals > 0 {
            len += 1 + decimals;
        }
    }
    if len == 0 {
        return None;
    }
    if matches!(rest.get(len), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(rest.get(len + 1), Some(b'-' | b'+')));
        let exponent = digits(len + 1 + sign);
        len += if exponent > 0 { 1 + sign + exponent } else { 0 };
    }
    let number = std::str::from_utf8(rest.get(..len)?).ok()?.parse().ok()?;
    Some((signed(number), sign_len + len))
}

/// Hexadecimal digits, with a point and a power of two behind them, as C has them.
fn hexadecimal(text: &[u8]) -> Option<(f64, usize)> {
    let (mut number, mut len, mut scale, mut digits, mut is_behind) = (0.0, 0, 0_i32, 0, false);
    while let Some(&byte) = text.get(len) {
        match char::from(byte).to_digit(16) {
            Some(digit) => {
                number = number * 16.0 + f64::from(digit);
                digits += 1;
                scale -= if is_behind { 4 } else { 0 };
            }
            None if byte == b'.' && !is_behind => is_behind = true,
            None => break,
        }
        len += 1;
    }
    if digits == 0 {
        // The zero before the x is all.
        return None;
    }
    if matches!(text.get(len), Some(b'p' | b'P')) {
        let sign = text.get(len + 1).copied().unwrap_or_default();
        let signs = usize::from(matches!(sign, b'-' | b'+'));
        let rest = text.get(len + 1 + signs..).unwrap_or_default();
        let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if count > 0 {
            let read = std::str::from_utf8(rest.get(..count)?).ok()?.parse().unwrap_or(9999_i32);
            scale = scale.saturating_add(if sign == b'-' { -read } else { read });
            len += 1 + signs + count;
        }
    }
    Some((number * 2_f64.powi(scale.clamp(-5000, 5000)), len))
}
