//! LCS: the longest common subsequence of two strings, the same one that Redis chooses.
//!
//! Redis fills in a table of the lengths for all pairs of prefixes, then goes back from its last
//! cell. All it needs on that way is whether a length grew along its row; so one bit a cell is
//! kept, and eight of them are computed at once (Hyyro, "Bit-parallel LCS-length computation
//! revisited", 2004). For the length alone one row is enough.
//!
//! Invariant: what is allocated here was made room for, and is gone with the answer.

use alloc::vec::Vec;

use crate::arena::SEGMENT_BYTES;
use crate::command::{Args, Arity, Group, Keys, READ, Spec, docs, word};
use crate::error::{Error, Result};
use crate::keyspace::Cx;
use crate::limits::LCS_TABLE_CELLS_MAX;
use crate::num::integer;
use crate::reply::Reply;
use crate::value::Value;

/// What two strings have in common.
pub struct Lcs<'a> {
    first: Value<'a>,
    second: Value<'a>,
    table: Table,
}

/// A run that both strings have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LcsMatch {
    /// Where it begins in the first string.
    pub first: usize,
    /// Where it begins in the second.
    pub second: usize,
    /// Its length.
    pub len: usize,
}

impl Cx<'_> {
    /// LCS: what the strings of two keys have in common; a missing one is empty. With
    /// `only_length` there is nothing but [`Lcs::len`] to ask it for, which takes little memory.
    ///
    /// # Errors
    /// [`Error::LcsNotAString`], [`Error::LcsTooLarge`], [`Error::LcsOutOfMemory`].
    pub fn lcs(&mut self, first: &[u8], second: &[u8], only_length: bool) -> Result<Lcs<'_>> {
        let lens = [self.lcs_len_of(first)?, self.lcs_len_of(second)?];
        let [rows, columns] = lens;
        if (rows as u64 + 1).saturating_mul(columns as u64 + 1) > LCS_TABLE_CELLS_MAX {
            return Err(Error::LcsTooLarge);
        }
        let row_bytes = columns.div_ceil(8);
        let table_bytes = if only_length { row_bytes } else { row_bytes * (rows + 1) };
        let segments = table_bytes.div_ceil(SEGMENT_BYTES);
        // The table, the list of its segments, and the text of the answer.
        let list = (segments * size_of::<Vec<u8>>()).div_ceil(SEGMENT_BYTES);
        let text = lens.iter().min().map_or(0, |len| len.div_ceil(SEGMENT_BYTES));
        self.make_room(&mut [], 0, segments + list + text).map_err(|_| Error::LcsOutOfMemory)?;
        let [first, second] = [first, second].map(|key| {
            let found = self.keys.locate(key, self.keys.hash(key));
            let found = found.filter(|found| !found.head.is_compressed());
            found.map_or("".into(), |found| self.keys.value(&found))
        });
        // Making room may have cost one of the two itself, or its plain form.
        if [first.len(), second.len()] != lens {
            return Err(Error::LcsOutOfMemory);
        }
        let mut table = Table::new(segments, row_bytes).ok_or(Error::LcsOutOfMemory)?;
        let mut row = 0;
        for byte in first.parts().flatten() {
            let from = row;
            row += if only_length { 0 } else { row_bytes };
            table.fill_row(from, row, *byte, &second);
        }
        table.last_row = row;
        Ok(Lcs { first, second, table })
    }

    fn lcs_len_of(&mut self, key: &[u8]) -> Result<usize> {
        let found = self.read_string(key).map_err(|_| Error::LcsNotAString)?;
        let Some(found) = found else { return Ok(0) };
        // Two strings are read side by side, and one at a time is expanded.
        let found = self.make_plain(key, found).map_err(|_| Error::LcsOutOfMemory)?;
        Ok(self.keys.value(&found).len())
    }
}

impl Lcs<'_> {
    /// The length of the longest common subsequence.
    pub fn len(&self) -> usize {
        let row = self.table.last_row..self.table.last_row + self.table.row_bytes;
        row.map(|at| self.table.byte(at).count_zeros() as usize).sum()
    }

    /// Whether the strings have no byte in common.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Shows the bytes in common, the last first, and where they are.
    fn walk(&self, show: &mut dyn FnMut(u8, usize, usize)) {
        let (mut row, mut column) = (self.first.len(), self.second.len());
        while let (Some(above), Some(left)) = (row.checked_sub(1), column.checked_sub(1)) {
            let byte = byte_at(&self.first, above);
            if byte == byte_at(&self.second, left) {
                show(byte, above, left);
                (row, column) = (above, left);
            } else if self.table.grows_at(row, left) {
                // The length without this column is less, so the one without this row is not.
                row = above;
            } else {
                column = left;
            }
        }
    }

    /// The longest common subsequence, or `None` if there is no memory for it.
    pub fn text(&self) -> Option<Vec<u8>> {
        let mut text = Vec::new();
        text.try_reserve_exact(self.len()).ok()?;
        self.walk(&mut |byte, _, _| text.push(byte));
        text.reverse();
        Some(text)
    }

    /// Shows the runs that the subsequence consists of, if they are at least so long; the last
    /// comes first.
    pub fn matches(&self, len_min: usize, show: &mut dyn FnMut(LcsMatch)) {
        let mut run: Option<LcsMatch> = None;
        let mut end = |run: Option<LcsMatch>| {
            if let Some(run) = run.filter(|run| run.len >= len_min) {
                show(run);
            }
        };
        self.walk(&mut |_, first, second| {
            let len = match run {
                Some(next) if (next.first, next.second) == (first + 1, second + 1) => next.len + 1,
                _ => {
                    end(run);
                    1
                }
            };
            run = Some(LcsMatch { first, second, len });
        });
        end(run);
    }
}

fn byte_at(value: &Value<'_>, position: usize) -> u8 {
    let part = value.range(position, 1).parts().next();
    part.and_then(<[u8]>::first).copied().unwrap_or_default()
}

/// Rows of bits, one a column of the second string: zero where the length grows. Row zero, for
/// none of the first string, grows nowhere.
struct Table {
    segments: Vec<Vec<u8>>,
    row_bytes: usize,
    /// Where the last row starts: at the first one, if no others are kept.
    last_row: usize,
}

impl Table {
    fn new(segments: usize, row_bytes: usize) -> Option<Table> {
        let mut table = Table { segments: Vec::new(), row_bytes, last_row: 0 };
        table.segments.try_reserve_exact(segments).ok()?;
        for _ in 0..segments {
            let mut segment = Vec::new();
            segment.try_reserve_exact(SEGMENT_BYTES).ok()?;
            segment.resize(SEGMENT_BYTES, u8::MAX);
            table.segments.push(segment);
        }
        Some(table)
    }

    fn byte(&self, at: usize) -> u8 {
        let segment = self.segments.get(at / SEGMENT_BYTES);
        segment.and_then(|segment| segment.get(at % SEGMENT_BYTES)).copied().unwrap_or_default()
    }

    fn grows_at(&self, row: usize, column: usize) -> bool {
        self.byte(row * self.row_bytes + column / 8) >> (column % 8) & 1 == 0
    }

    /// Fills in the row that starts at `to` from the one at `from`, which may be the same.
    fn fill_row(&mut self, from: usize, to: usize, byte: u8, columns: &Value<'_>) {
        let (mut equal, mut bit, mut at, mut carry) = (0, 0, 0, false);
        let mut fill = |at: usize, equal: u8, carry: bool| {
            let old = self.byte(from + at);
            let (sum, first_carry) = old.overflowing_add(old & equal);
            let (sum, second_carry) = sum.overflowing_add(carry.into());
            let segment = self.segments.get_mut((to + at) / SEGMENT_BYTES);
            if let Some(new) = segment.and_then(|new| new.get_mut((to + at) % SEGMENT_BYTES)) {
                *new = sum | old & !equal;
            }
            first_carry | second_carry
        };
        for other in columns.parts().flatten() {
            equal |= u8::from(*other == byte) << bit;
            bit += 1;
            if bit == 8 {
                carry = fill(at, equal, carry);
                (equal, bit, at) = (0, 0, at + 1);
            }
        }
        if bit > 0 {
            fill(at, equal, carry);
        }
    }
}

pub(crate) const COMMANDS: &[Spec] = &[Spec {
    name: "lcs",
    arity: Arity::AtLeast(3),
    keys: Keys { first: 1, last: 2, step: 1 },
    flags: READ,
    group: Group::String,
    since: docs("7.0.0"),
    syntax: docs("key1 key2 [LEN] [IDX] [MINMATCHLEN min-match-len] [WITHMATCHLEN]"),
    summary: docs("Returns the longest common subsequence of two strings."),
    run: lcs,
}];

#[derive(Default)]
struct LcsOptions {
    wants_len: bool,
    wants_matches: bool,
    wants_match_lens: bool,
    match_len_min: usize,
}

fn lcs(cx: &mut Cx<'_>, args: &mut Args<'_>, reply: &mut dyn Reply) -> Result<()> {
    let (first, second) = (args.required(), args.required());
    let options = match read_options(args) {
        Ok(options) => options,
        // As in Redis the keys are looked at before the options.
        Err(error) => {
            cx.lcs_len_of(first)?;
            cx.lcs_len_of(second)?;
            return Err(error);
        }
    };
    let lcs = cx.lcs(first, second, options.wants_len)?;
    if options.wants_len {
        reply.integer(lcs.len() as i64);
    } else if options.wants_matches {
        answer_matches(&lcs, &options, reply);
    } else {
        let text = lcs.text().ok_or(Error::LcsOutOfMemory)?;
        reply.bulk(text.as_slice().into());
    }
    Ok(())
}

fn read_options(args: &mut Args<'_>) -> Result<LcsOptions> {
    let mut options = LcsOptions::default();
    while let Some(option) = args.next() {
        match word(option, &["len", "idx", "withmatchlen", "minmatchlen"]) {
            0 => options.wants_len = true,
            1 => options.wants_matches = true,
            2 => options.wants_match_lens = true,
            3 => {
                let least = integer(args.value()?)?;
                options.match_len_min = usize::try_from(least.max(0)).unwrap_or(usize::MAX);
            }
            _ => return Err(Error::Syntax),
        }
    }
    if options.wants_len && options.wants_matches {
        return Err(Error::LcsLenIdxConflict);
    }
    Ok(options)
}

fn answer_matches(lcs: &Lcs<'_>, options: &LcsOptions, reply: &mut dyn Reply) {
    // Once to count, since an array says its length first, and once to answer.
    let mut count = 0;
    lcs.matches(options.match_len_min, &mut |_| count += 1);
    reply.map(2);
    reply.bulk("matches".into());
    reply.array(count);
    lcs.matches(options.match_len_min, &mut |run| {
        reply.array(2 + usize::from(options.wants_match_lens));
        for start in [run.first, run.second] {
            reply.array(2);
            reply.integer(start as i64);
            reply.integer((start + run.len - 1) as i64);
        }
        if options.wants_match_lens {
            reply.integer(run.len as i64);
        }
    });
    reply.bulk("len".into());
    reply.integer(lcs.len() as i64);
}
