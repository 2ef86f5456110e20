//! LZ4's block format, whose matches may reach back into a dictionary.
//!
//! A window is the dictionary and behind it the text, in one run of bytes; so a match is a copy
//! within it, wherever it begins. Two tables say where four bytes stood last: the dictionary's own,
//! which is made once, and a small one of the text. The longer of their matches is taken, unless
//! the next byte begins a longer one.
//!
//! Invariant: whatever a block holds, `expand` reads and writes nothing outside its window.
//! Not here: frames, checksums, and texts longer than a page.

use crate::bytes;

/// Bytes of the shortest match.
const MATCH_MIN: usize = 4;
/// The format's: the last bytes are literals, and no match begins so near the end.
const LITERALS_LAST: usize = 5;
const MATCH_START_LAST: usize = 12;
/// A length of this or more in half a token goes on in bytes behind it.
const LENGTH_MAX: usize = 15;
/// The farther the last match is behind, the larger the steps to the next: one byte more for so
/// many that did not match.
const STEP_SHIFT: usize = 5;
/// Bytes that are copied at once where there is room for as many.
const CHUNK_BYTES: usize = 16;

/// Entries of a dictionary's table and of a text's: places in the window, by a hash of the four
/// bytes there; one more than they are, zero being none.
pub(crate) const TABLE_LEN: usize = 1 << 13;
const TEXT_TABLE_LEN: usize = 1 << 10;

/// A match: where it stands, where the same bytes begin again, and its length.
#[derive(Clone, Copy, Default)]
struct Match {
    from: usize,
    at: usize,
    len: usize,
}

/// A text that is compressed.
struct Text<'a> {
    window: &'a [u8],
    dictionary_table: &'a [u16; TABLE_LEN],
    table: [u16; TEXT_TABLE_LEN],
    /// Where the bytes begin that no match has covered.
    literals: usize,
}

/// Compresses what stands in the window behind the dictionary, which the table knows. The length
/// of the block, or `None` if that does not fit the output.
pub(crate) fn compress(
    window: &[u8],
    start: usize,
    dictionary_table: &[u16],
    output: &mut [u8],
) -> Option<usize> {
    let dictionary_table = dictionary_table.first_chunk()?;
    let table = [0; TEXT_TABLE_LEN];
    let mut text = Text { window, dictionary_table, table, literals: start };
    let mut block = Block { bytes: output, len: 0 };
    let mut at = start;
    while at + MATCH_START_LAST <= window.len() {
        let mut found = text.find(at, MATCH_MIN - 1);
        if found.len < MATCH_MIN {
            at += 1 + ((at - text.literals) >> STEP_SHIFT);
            continue;
        }
        while at + MATCH_START_LAST < window.len() {
            at += 1;
            let later = text.find(at, found.len);
            if later.len <= found.len + later.at.saturating_sub(found.at) {
                break;
            }
            found = later;
        }
        let literals = window.get(text.literals..found.at)?;
        block.put(literals, Some((found.at - found.from, found.len)))?;
        at = found.at + found.len;
        note(window, at - 2, &mut text.table);
        text.literals = at;
    }
    block.put(window.get(text.literals..)?, None)?;
    Some(block.len)
}

/// Enters what stands in the window from `start` on into a dictionary's table.
pub(crate) fn learn(window: &[u8], start: usize, table: &mut [u16]) {
    for at in start..window.len() {
        note(window, at, table);
    }
}

/// The four bytes at a place, as a number.
fn word(window: &[u8], at: usize) -> Option<u32> {
    window.get(at..)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))
}

/// Which entry of a table of so many is for four bytes.
fn slot(word: u32, entries: usize) -> usize {
    (word.wrapping_mul(2_654_435_761) >> (u32::BITS - entries.ilog2())) as usize
}

fn note(window: &[u8], at: usize, table: &mut [u16]) {
    let Some(word) = word(window, at) else { return };
    if let Some(entry) = table.get_mut(slot(word, table.len())) {
        *entry = at as u16 + 1;
    }
}

impl Text<'_> {
    /// The longest match for the bytes at a place, if it is longer than `len` from there on; it may
    /// begin before, among the literals.
    fn find(&mut self, at: usize, len: usize) -> Match {
        let Some(word) = word(self.window, at) else { return Match::default() };
        let far = self.dictionary_table.get(slot(word, TABLE_LEN)).copied().unwrap_or_default();
        let near = self.table.get_mut(slot(word, TEXT_TABLE_LEN));
        let near = near.map_or(0, |near| core::mem::replace(near, at as u16 + 1));
        let far = self.extend(far, at, len);
        let near = self.extend(near, at, len.max(far.len));
        if near.len > far.len { near } else { far }
    }

    /// The match at the place that an entry names, if it is longer than `len` from there on.
    fn extend(&self, entry: u16, at: usize, len: usize) -> Match {
        let window = self.window;
        let Some(from) = usize::from(entry).checked_sub(1) else { return Match::default() };
        // Of a longer one these are the last bytes.
        let last = len + 1 - MATCH_MIN;
        if word(window, from + last) != word(window, at + last) {
            return Match::default();
        }
        let text = window.get(at..window.len() - LITERALS_LAST).unwrap_or_default();
        let common_len = common(window.get(from..).unwrap_or_default(), text);
        if common_len <= len {
            return Match::default();
        }
        let before = window.get(..from).unwrap_or_default().iter().rev();
        let before = before.zip(window.get(self.literals..at).unwrap_or_default().iter().rev());
        let back = before.take_while(|(a, b)| a == b).count();
        Match { from: from - back, at: at - back, len: common_len + back }
    }
}

/// How many bytes at the start of both are the same.
fn common(mut a: &[u8], mut b: &[u8]) -> usize {
    let mut len = 0;
    while let (Some((first, a_rest)), Some((second, b_rest))) =
        (a.split_first_chunk::<8>(), b.split_first_chunk::<8>())
    {
        let differing = u64::from_le_bytes(*first) ^ u64::from_le_bytes(*second);
        if differing != 0 {
            return len + (differing.trailing_zeros() / u8::BITS) as usize;
        }
        (a, b) = (a_rest, b_rest);
        len += 8;
    }
    len + a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

/// A block that is written.
struct Block<'a> {
    bytes: &'a mut [u8],
    len: usize,
}

impl Block<'_> {
    /// Writes literals, and the offset and the length of the match behind them, which the last
    /// ones have not.
    fn put(&mut self, literals: &[u8], matching: Option<(usize, usize)>) -> Option<()> {
        let (offset, len) = matching.unwrap_or((0, MATCH_MIN));
        let len = len - MATCH_MIN;
        let token = literals.len().min(LENGTH_MAX) << 4 | len.min(LENGTH_MAX);
        self.put_bytes(&[token as u8])?;
        self.put_length(literals.len())?;
        self.put_bytes(literals)?;
        if matching.is_some() {
            self.put_bytes(&(offset as u16).to_le_bytes())?;
            self.put_length(len)?;
        }
        Some(())
    }

    /// Writes what half a token does not hold of a length.
    fn put_length(&mut self, len: usize) -> Option<()> {
        let Some(mut rest) = len.checked_sub(LENGTH_MAX) else { return Some(()) };
        while rest >= u8::MAX.into() {
            self.put_bytes(&[u8::MAX])?;
            rest -= usize::from(u8::MAX);
        }
        self.put_bytes(&[rest as u8])
    }

    fn put_bytes(&mut self, bytes: &[u8]) -> Option<()> {
        let target = self.bytes.get_mut(self.len..self.len + bytes.len())?;
        bytes::copy(target, bytes);
        self.len += bytes.len();
        Some(())
    }
}

/// Writes the text of a block into the window from `start` on. Its length, or `None` for what is
/// no block, or does not fit.
pub(crate) fn expand(mut block: &[u8], window: &mut [u8], start: usize) -> Option<usize> {
    let mut at = start;
    loop {
        let (&token, rest) = block.split_first()?;
        block = rest;
        let len = take_length(&mut block, token >> 4)?;
        copy_literals(&mut block, window, at, len)?;
        at += len;
        if block.is_empty() {
            return Some(at - start);
        }
        let (&offset, rest) = block.split_first_chunk()?;
        block = rest;
        let offset = usize::from(u16::from_le_bytes(offset));
        let len = take_length(&mut block, token & LENGTH_MAX as u8)? + MATCH_MIN;
        copy_match(window, at.checked_sub(offset)?, at, len)?;
        at += len;
    }
}

fn take_length(block: &mut &[u8], half: u8) -> Option<usize> {
    let mut len = usize::from(half);
    while len >= LENGTH_MAX {
        let (&byte, rest) = block.split_first()?;
        *block = rest;
        len += usize::from(byte);
        if byte != u8::MAX {
            break;
        }
    }
    Some(len)
}

fn copy_literals(block: &mut &[u8], window: &mut [u8], at: usize, len: usize) -> Option<()> {
    let target = window.get_mut(at..)?;
    if len <= CHUNK_BYTES
        && let (Some(source), Some(target)) =
            (block.first_chunk::<CHUNK_BYTES>(), target.first_chunk_mut())
    {
        // Too many, perhaps: what follows writes over them.
        *target = *source;
    } else {
        bytes::copy(target.get_mut(..len)?, block.get(..len)?);
    }
    *block = block.get(len..)?;
    Some(())
}

fn copy_match(window: &mut [u8], from: usize, at: usize, len: usize) -> Option<()> {
    if at == from || at + len > window.len() {
        return None;
    }
    let mut done = 0;
    if at - from >= CHUNK_BYTES {
        while done < len
            && let Some(&chunk) = window.get(from + done..)?.first_chunk::<CHUNK_BYTES>()
            && let Some(target) = window.get_mut(at + done..)?.first_chunk_mut()
        {
            *target = chunk;
            done += CHUNK_BYTES;
        }
    }
    // A match that overlaps itself repeats what it just wrote.
    while done < len {
        let byte = *window.get(from + done)?;
        *window.get_mut(at + done)? = byte;
        done += 1;
    }
    Some(())
}

/// Expands any bytes: nothing but what is behind the dictionary may change.
#[cfg(fuzzing)]
pub(crate) fn fuzz_expand(block: &[u8]) {
    let mut window = [b'd'; 300];
    let len = expand(block, &mut window, 100);
    assert!(window.starts_with(&[b'd'; 100]) && len.is_none_or(|len| len <= 200));
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, clippy::expect_used, reason = "a test may panic")]
mod tests {
    use alloc::vec;
    use alloc::vec::Vec;

    use super::*;
    use crate::random::Random;

    /// A text of words that come again and of bytes that do not.
    fn text(random: &mut Random, len: usize) -> Vec<u8> {
        let mut text = Vec::new();
        while text.len() < len {
            match random.below(4) {
                0 => text.extend((0..random.below(20)).map(|_| random.next() as u8)),
                1 => text.extend(vec![b'r'; random.below(400)]),
                _ => text.extend(b"{\"name\":\"value\"},"[random.below(8)..].iter()),
            }
        }
        text.truncate(len);
        text
    }

    #[test]
    fn what_was_compressed_comes_back_here_and_by_another_implementation() {
        let mut random = Random::new(7);
        for round in 0..3_000 {
            let dictionary_len = if round % 5 == 0 { 0 } else { 4 + random.below(3_000) };
            let dictionary = text(&mut random, dictionary_len);
            let len = random.below(if round % 2 == 0 { 80 } else { 4_000 });
            let text = text(&mut random, len);
            let mut table = vec![0; TABLE_LEN];
            learn(&dictionary, 0, &mut table);
            let window = [&dictionary[..], &text].concat();
            let mut block = vec![0; 2 * len + 16];
            let block_len = compress(&window, dictionary_len, &table, &mut block).expect("room");
            block.truncate(block_len);
            let mut own = vec![0; dictionary_len + len];
            own[..dictionary_len].copy_from_slice(&dictionary);
            assert_eq!(expand(&block, &mut own, dictionary_len), Some(len), "round {round}");
            assert!(own == window, "round {round}");
            let theirs = lz4_flex::block::decompress_with_dict(&block, len, &dictionary);
            assert!(theirs.is_ok_and(|theirs| theirs == text), "round {round}");

            let block = lz4_flex::block::compress_with_dict(&text, &dictionary);
            own[dictionary_len..].fill(0);
            assert_eq!(expand(&block, &mut own, dictionary_len), Some(len), "round {round}");
            assert!(own == window, "round {round}");
        }
    }

    #[test]
    fn a_block_that_does_not_fit_is_refused() {
        let mut random = Random::new(3);
        let text = text(&mut random, 500);
        let mut block = [0; 1_000];
        let len = compress(&text, 0, &[0; TABLE_LEN], &mut block).expect("room");
        for room in 0..len {
            assert_eq!(compress(&text, 0, &[0; TABLE_LEN], &mut block[..room]), None);
        }
    }

    #[test]
    fn no_bytes_reach_outside_the_window() {
        let mut random = Random::new(5);
        for _ in 0..200_000 {
            let mut block: Vec<u8> =
                (0..random.below(40)).map(|_| random.next() as u8 >> random.below(8)).collect();
            if let Some(first) = block.first_mut() {
                *first &= 0x7f;
            }
            let mut window = [b'd'; 200];
            let len = expand(&block, &mut window, 100);
            assert!(window.starts_with(&[b'd'; 100]) && len.is_none_or(|len| len <= 100));
        }
    }
}
