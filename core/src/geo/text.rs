//! Distances and coordinates as text, as Redis writes them.

use core::fmt::{self, Write};

use crate::bytes;
use crate::num::Digits;

/// Longest text: that of the largest number with six decimals.
const TEXT_BYTES_MAX: usize = 320;

/// A number with decimals.
pub(super) struct Text {
    bytes: [u8; TEXT_BYTES_MAX],
    len: usize,
}

impl Text {
    /// A distance, with four decimals: as many as make a whole number, which is rounded.
    pub(super) fn distance(length: f64) -> Text {
        let scaled = length * 10_000.0;
        let whole = scaled as i64;
        let rest = scaled - whole as f64;
        let is_up = rest > 0.5 || rest == 0.5 && whole & 1 == 1;
        let digits = Digits::new(whole + i64::from(is_up));
        let digits = digits.as_bytes();
        let mut text = Text::new();
        let decimals = digits.len().saturating_sub(4);
        text.push(if decimals == 0 { b"0" } else { bytes::part(digits, 0..decimals) });
        text.push(b".");
        text.push(b"0000".get(digits.len()..).unwrap_or_default());
        text.push(bytes::part(digits, decimals..digits.len()));
        text
    }

    /// Whether a distance that may be so much off has the same text all the same.
    pub(super) fn is_clear(length: f64, off: f64) -> bool {
        let scaled = length * 10_000.0;
        let rest = scaled - scaled as i64 as f64;
        (rest - 0.5).abs() > off * 10_000.0
    }

    /// A coordinate, with up to 17 decimals.
    pub(super) fn coordinate(degrees: f64) -> Text {
        let mut text = Text::new();
        // It cannot fail: the text is never longer than the buffer.
        let _ = write!(text, "{degrees:.17}");
        let zeros = text.as_bytes().iter().rev().take_while(|&&digit| digit == b'0').count();
        text.len -= zeros;
        if text.as_bytes().ends_with(b".") {
            text.len -= 1;
        }
        if text.as_bytes() == b"-0" {
            text.bytes = [b'0'; TEXT_BYTES_MAX];
            text.len = 1;
        }
        text
    }

    /// A number that is refused, with six decimals.
    pub(super) fn refused(number: f64) -> Text {
        let mut text = Text::new();
        let _ = write!(text, "{number:.6}");
        text
    }

    fn new() -> Text {
        Text { bytes: [0; TEXT_BYTES_MAX], len: 0 }
    }

    fn push(&mut self, part: &[u8]) {
        bytes::write_at(&mut self.bytes, self.len, part);
        self.len = (self.len + part.len()).min(TEXT_BYTES_MAX);
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        bytes::part(&self.bytes, 0..self.len)
    }
}

impl Write for Text {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        self.push(part.as_bytes());
        Ok(())
    }
}
