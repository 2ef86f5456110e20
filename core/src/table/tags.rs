//! The tags of a page: which of its entries may have a name, told without reading the others.
//!
//! At the end of a page's cell stand, read backwards: how many entries have a tag, the tags, which
//! are an eighth of the hash of a name each, and the lengths of those entries. Sixteen tags are
//! compared at once, and the lengths before one that is the same add up to its entry's place: no
//! loop, and no branch that depends on what the entries before it are like. Lookups in a large
//! table are as fast as memory delivers it, and that needs lookups that nobody has to guess.
//!
//! Invariant: the tags are those of the first entries, in their order; a mark says whether there
//! are others behind them, which are too long, or too many.
//!
//! Not here: what entries are (packed.rs). In wasm, which is built to be small, no page has tags.

use crate::bytes::equal_bytes;

/// Whether pages have tags.
const HAS_TAGS: bool = !cfg!(target_arch = "wasm32");

/// Entries that have one, at most. In the same byte a bit says whether there are others.
pub(super) const TAGS_MAX: usize = if HAS_TAGS { 127 } else { 0 };
const COUNT_MASK: u8 = 127;
const HAS_MORE: u8 = 128;

/// Tags that are compared at once: two words of them.
const ROUND: usize = 16;
const WORD: usize = 8;

/// The tag of a hash: bits that do not choose the bucket.
#[inline]
pub(super) fn tag_of(hash: u64) -> u8 {
    (hash >> 56) as u8
}

/// Bytes at the end of a page for the tags of so many entries.
pub(super) const fn tags_bytes(count: usize) -> usize {
    let count = if count < TAGS_MAX { count } else { TAGS_MAX };
    if HAS_TAGS { 1 + 2 * count } else { 0 }
}

/// Shows `is_it` where entries begin that have a tag, until it is the one. `Err` if it is none of
/// them: then it is behind them, if there is anything.
#[cfg_attr(not(target_arch = "wasm32"), inline(always))]
pub(super) fn find_tagged(
    cell: &[u8],
    tag: u8,
    is_it: impl Fn(usize) -> bool,
) -> Result<usize, Rest> {
    let Some((&mark, cell)) = cell.split_last().filter(|_| HAS_TAGS) else {
        return Err(Rest { start: 0, passed: 0, is_empty: false });
    };
    let count = usize::from(mark & COUNT_MASK);
    let (mut start, mut passed) = (0, 0);
    loop {
        let left = (count - passed).min(ROUND);
        let same_in = |distance: usize| gather(equal_bytes(word_before(cell, distance), tag));
        let (first, second) = (same_in(passed), same_in(passed + WORD));
        let mut same = (first | second << WORD) & ((1 << left) - 1);
        let lengths = [0, WORD].map(|word| word_before(cell, count + passed + word));
        while same != 0 {
            let at = start + sum(lengths, same.trailing_zeros() as usize);
            if is_it(at) {
                return Ok(at);
            }
            same &= same - 1;
        }
        passed += left;
        if usize::from(mark) == passed {
            return Err(Rest { start: 0, passed, is_empty: true });
        }
        start += sum(lengths, left);
        if passed == count {
            return Err(Rest { start, passed, is_empty: false });
        }
    }
}

/// The entries from a place on.
pub(super) struct Rest {
    pub(super) start: usize,
    /// How many are before it.
    pub(super) passed: usize,
    /// Whether there are none.
    pub(super) is_empty: bool,
}

/// Eight bytes that end so far before the end of others, the last of them lowest.
#[inline(always)]
fn word_before(bytes: &[u8], distance: usize) -> u64 {
    let end = bytes.len().wrapping_sub(distance);
    let word = bytes.get(end.wrapping_sub(WORD)..end).and_then(<[u8]>::first_chunk);
    word.map_or(0, |word| u64::from_be_bytes(*word))
}

/// The highest bits of the bytes of a word, side by side.
#[inline(always)]
fn gather(highest: u64) -> u32 {
    const GATHER: u64 = 0x0002_0408_1020_4081;
    (highest.wrapping_mul(GATHER) >> 56) as u32
}

/// The sum of the first so many bytes of two words.
#[inline(always)]
fn sum([first, second]: [u64; 2], count: usize) -> usize {
    const EVEN_BYTES: u64 = 0x00ff_00ff_00ff_00ff;
    const QUARTERS: u64 = 0x0001_0001_0001_0001;
    // Shifted in two steps, since all of a word may be wanted.
    let lowest = |word: u64, bytes: usize| word & !(u64::MAX << (4 * bytes) << (4 * bytes));
    let pairs = |word: u64| (word & EVEN_BYTES) + (word >> 8 & EVEN_BYTES);
    let (first, second) =
        (lowest(first, count.min(WORD)), lowest(second, count.saturating_sub(WORD)));
    ((pairs(first) + pairs(second)).wrapping_mul(QUARTERS) >> 48) as usize
}

/// The tags of some entries, and their lengths.
#[derive(Clone)]
pub(super) struct Tags {
    tags: [u8; TAGS_MAX],
    lengths: [u8; TAGS_MAX],
    len: usize,
    has_more: bool,
}

impl Tags {
    pub(super) fn new() -> Tags {
        Tags { tags: [0; TAGS_MAX], lengths: [0; TAGS_MAX], len: 0, has_more: false }
    }

    /// Those of a page.
    pub(super) fn read(cell: &[u8]) -> Tags {
        let mut tags = Tags::new();
        let Some((&mark, cell)) = cell.split_last().filter(|_| HAS_TAGS) else { return tags };
        tags.has_more = mark & HAS_MORE != 0;
        let count = usize::from(mark & COUNT_MASK);
        let mut bytes = cell.iter().rev().copied();
        let targets = tags.tags.iter_mut().zip(bytes.by_ref());
        targets.take(count).for_each(|(target, byte)| *target = byte);
        let targets = tags.lengths.iter_mut().zip(bytes);
        targets.take(count).for_each(|(target, byte)| *target = byte);
        tags.len = count;
        tags
    }

    /// Adds an entry behind the others. It has no tag if one before it has none.
    pub(super) fn push(&mut self, tag: u8, length: usize) {
        match (u8::try_from(length), self.tags.get_mut(self.len), self.lengths.get_mut(self.len)) {
            (Ok(length), Some(last_tag), Some(last_length)) if !self.has_more => {
                (*last_tag, *last_length) = (tag, length);
                self.len += 1;
            }
            _ => self.has_more = true,
        }
    }

    /// Adds all entries of others behind the own.
    pub(super) fn append(&mut self, others: &Tags) {
        others.pairs().for_each(|(tag, length)| self.push(tag, length.into()));
        self.has_more |= others.has_more;
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Whether there are entries behind them that have none.
    pub(super) fn has_more(&self) -> bool {
        self.has_more || !HAS_TAGS
    }

    pub(super) fn pairs(&self) -> impl Iterator<Item = (u8, u8)> {
        let all = self.tags.iter().copied().zip(self.lengths.iter().copied());
        all.take(self.len)
    }

    /// Writes them at the end of a cell whose entries end at `end`: as many as there is room for.
    pub(super) fn write(&self, cell: &mut [u8], end: usize) {
        if !HAS_TAGS {
            return;
        }
        let room = cell.len().saturating_sub(end + 1) / 2;
        let len = self.len.min(room);
        let has_more = self.has_more || len < self.len;
        let mark = len as u8 | if has_more { HAS_MORE } else { 0 };
        let tags = self.tags.iter().take(len);
        let lengths = self.lengths.iter().take(len);
        let source = [&mark].into_iter().chain(tags).chain(lengths);
        cell.iter_mut().rev().zip(source).for_each(|(target, &byte)| *target = byte);
    }
}

/// How many entries of a page have a tag.
pub(super) fn tagged(cell: &[u8]) -> usize {
    let mark = cell.last().filter(|_| HAS_TAGS);
    mark.map_or(0, |mark| (mark & COUNT_MASK).into())
}

/// Says of a new page that no entry has a tag.
pub(super) fn clear_tags(cell: &mut [u8]) {
    cell.last_mut().filter(|_| HAS_TAGS).into_iter().for_each(|mark| *mark = 0);
}

/// Gives the entry that was added behind all others a tag, if it can have one.
pub(super) fn push_tag(cell: &mut [u8], tag: Option<u8>, length: usize) {
    let Some((mark, cell)) = cell.split_last_mut().filter(|_| HAS_TAGS) else { return };
    let count = usize::from(*mark & COUNT_MASK);
    let end = cell.len().saturating_sub(count);
    // The lengths move down by one, to make place for the tag before them; the new one is the last.
    if let Some(tag) = tag
        && usize::from(*mark) < TAGS_MAX
        && let Ok(length) = u8::try_from(length)
        && let Some(lengths) = cell.get_mut(end.saturating_sub(count + 2)..end)
        && lengths.len() == count + 2
    {
        lengths.copy_within(2.., 1);
        lengths.last_mut().into_iter().for_each(|last| *last = tag);
        lengths.first_mut().into_iter().for_each(|first| *first = length);
        *mark += 1;
    } else {
        *mark |= HAS_MORE;
    }
}

/// Makes the entry that begins at a place in a page so much longer, or takes it out (`None`). All
/// entries end at `end`.
pub(super) fn change_length(cell: &mut [u8], start: usize, end: usize, change: Option<isize>) {
    let old = Tags::read(cell);
    let (mut tags, mut at) = (Tags::new(), 0);
    for (tag, length) in old.pairs() {
        let length = usize::from(length);
        match change {
            _ if at != start => tags.push(tag, length),
            Some(change) => tags.push(tag, length.wrapping_add_signed(change)),
            None => {}
        }
        at += length;
    }
    tags.has_more |= old.has_more;
    tags.write(cell, end);
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, reason = "a test may panic")]
mod tests {
    extern crate std;

    use super::*;
    use crate::random::Random;
    use std::vec;
    use std::vec::Vec;

    /// What a page is said to hold: a tag and a length of each entry.
    type Pairs = Vec<(u8, usize)>;

    fn random_pairs(random: &mut Random, count: usize, length_max: usize) -> Pairs {
        (0..count).map(|_| (random.below(40) as u8, 1 + random.below(length_max))).collect()
    }

    /// A cell with so many bytes before its tags.
    fn cell_of(pairs: &Pairs, end: usize) -> Vec<u8> {
        let mut cell = vec![7; end + tags_bytes(pairs.len())];
        clear_tags(&mut cell);
        pairs.iter().for_each(|&(tag, length)| push_tag(&mut cell, Some(tag), length));
        cell
    }

    /// The entries that have a tag in `cell` are the first of `pairs`, up to one that cannot.
    fn check(cell: &[u8], pairs: &Pairs) {
        let tagged = pairs.iter().take(TAGS_MAX).take_while(|pair| pair.1 <= u8::MAX.into());
        let expected: Pairs = tagged.copied().collect();
        let tags = Tags::read(cell);
        let read: Pairs = tags.pairs().map(|(tag, length)| (tag, length.into())).collect();
        assert_eq!((read, tags.has_more), (expected.clone(), expected.len() < pairs.len()));
        for wanted in 0..48 {
            let mut start = 0;
            for &(tag, length) in &expected {
                if tag == wanted {
                    assert_eq!(find_tagged(cell, wanted, |at| at == start).ok(), Some(start));
                }
                start += length;
            }
            let others = expected.iter().scan(0, |at, &(tag, length)| {
                *at += length;
                Some((*at - length, tag))
            });
            let others: Vec<usize> =
                others.filter(|&(_, tag)| tag == wanted).map(|(at, _)| at).collect();
            let seen = std::cell::RefCell::new(Vec::new());
            let rest = find_tagged(cell, wanted, |at| {
                seen.borrow_mut().push(at);
                false
            });
            assert!(others.iter().all(|at| seen.borrow().contains(at)), "all are shown");
            let rest = rest.err().map(|rest| (rest.passed, rest.is_empty));
            assert_eq!(rest, Some((expected.len(), expected.len() == pairs.len())));
        }
    }

    #[test]
    fn entries_are_found_by_their_tags() {
        let mut random = Random::new(1);
        for count in (0..40).chain([126, 127, 128, 140]) {
            for length_max in [30, 255, 300] {
                let pairs = random_pairs(&mut random, count, length_max);
                check(&cell_of(&pairs, 20), &pairs);
            }
        }
    }

    #[test]
    fn tags_follow_their_entries() {
        let mut random = Random::new(2);
        for _ in 0..300 {
            let count = 1 + random.below(40);
            let mut pairs = random_pairs(&mut random, count, 200);
            let mut cell = cell_of(&pairs, 20);
            let position = random.below(pairs.len());
            let start = pairs[..position].iter().map(|pair| pair.1).sum();
            let change = random.below(120);
            if change == 0 {
                pairs.remove(position);
                change_length(&mut cell, start, 20, None);
            } else {
                pairs[position].1 += change;
                change_length(&mut cell, start, 20, Some(change as isize));
            }
            check(&cell, &pairs);
        }
    }
}
