//! Lists: LPUSH, LPOP and what else works on them.
//!
//! A short list is packed in its record, a longer one stands on linked pages. Pushing, popping and
//! editing touch one page, or two; indexes are found by hopping over pages from the nearer end.
//!
//! A push makes room for all of its elements before it adds the first: it is done whole or not at
//! all, unless the host's own allocator refuses what the budget allows.
//!
//! Not here: the commands' arguments (rows.rs), and how elements stand on pages (deque).

mod change;
#[cfg(feature = "list")]
mod rows;

use core::ops::Range;

use alloc::vec::Vec;

use crate::bytes;
use crate::deque::Side;
use crate::error::{Error, Result};
use crate::index::Place;
use crate::keyspace::{Cx, Found};
use crate::num::Digits;
use crate::object::ObjectId;
use crate::packed::{ITEM_BYTES_MAX, Item};
use crate::record::Kind;
use crate::value::Value;

use self::change::Pushed;
#[cfg(feature = "list")]
pub(crate) use self::rows::COMMANDS;

/// Is shown elements, each with the number of all that are shown.
pub type ShowElement<'f> = &'f mut dyn FnMut(usize, Value<'_>);

/// Which elements LPOS looks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Positions {
    /// RANK: the first match that counts, from the right if it is negative.
    pub rank: i64,
    /// COUNT: how many matches count, at most; zero for all.
    pub count: i64,
    /// MAXLEN: how many elements to look at, at most; zero for all.
    pub max_len: i64,
}

impl Default for Positions {
    fn default() -> Positions {
        Positions { rank: 1, count: 1, max_len: 0 }
    }
}

#[cfg(feature = "list")]
impl Cx<'_> {
    /// LPUSH: adds elements at the left, one after the other. How many there are then.
    pub fn lpush(&mut self, key: &[u8], values: &[&[u8]]) -> Result<usize> {
        self.push(key, Side::Left, values, "LPUSH", false)
    }

    /// RPUSH: adds elements at the right. How many there are then.
    pub fn rpush(&mut self, key: &[u8], values: &[&[u8]]) -> Result<usize> {
        self.push(key, Side::Right, values, "RPUSH", false)
    }

    /// LPUSHX: the same as LPUSH, if the list is there.
    pub fn lpushx(&mut self, key: &[u8], values: &[&[u8]]) -> Result<usize> {
        self.push(key, Side::Left, values, "LPUSH", true)
    }

    /// RPUSHX: the same as RPUSH, if the list is there.
    pub fn rpushx(&mut self, key: &[u8], values: &[&[u8]]) -> Result<usize> {
        self.push(key, Side::Right, values, "RPUSH", true)
    }

    fn push(
        &mut self,
        key: &[u8],
        side: Side,
        values: &[&[u8]],
        name: &'static str,
        must_exist: bool,
    ) -> Result<usize> {
        if let Some(len) = self.push_quick(key, side, values, name) {
            return Ok(len);
        }
        let mut target = self.target(key, Kind::List)?;
        if target.found.is_some()
            && let Some(len) = self.push_quick(key, side, values, name)
        {
            return Ok(len);
        }
        if !(values.is_empty() || must_exist && target.found.is_none()) {
            let pushed = Pushed { values, moved: None };
            if pushed.texts().next().is_some() {
                self.reserve(&mut target, side, &pushed)?;
            }
            self.add_elements(&mut target, side, &pushed)?;
            if let Some((_, effects)) = self.listener() {
                let words = [name.as_bytes(), key];
                let words = words.iter().chain(values).map(|&word| Value::from(word));
                effects.effect(&words.collect::<Vec<_>>());
            }
        }
        let len = target.found.map_or(0, |found| self.keys.list_len(&found));
        self.grow_index();
        Ok(len)
    }

    /// The long list that was last pushed to or popped from, if it is this one. What is done to one
    /// list time and again needs no hash of its key.
    #[inline]
    fn recent_list(&self, key: &[u8]) -> Option<(Place, ObjectId)> {
        let (_, found) = self.recent(key).filter(|(_, found)| found.head.kind() == Kind::List)?;
        Some((found.place, self.keys.object_of(&found)?))
    }

    /// Pushes one short element onto a long list whose last page has space for it: how nearly all
    /// pushes go. The length of the list then.
    #[inline]
    fn push_quick(
        &mut self,
        key: &[u8],
        side: Side,
        values: &[&[u8]],
        name: &'static str,
    ) -> Option<usize> {
        let [value] = values else { return None };
        let (place, id) = self.recent_list(key)?;
        let len = self.keys.push_short(id, side, value)?;
        self.keys.note_use(place);
        if self.is_heard() {
            self.emit(&[name.into(), key.into(), (*value).into()]);
        }
        Some(len)
    }

    /// LPOP with a count: takes elements off the left, and shows them. How many, or `None` if
    /// there is no such list.
    pub fn lpop(
        &mut self,
        key: &[u8],
        count: usize,
        show: ShowElement<'_>,
    ) -> Result<Option<usize>> {
        self.pop(key, Side::Left, count, show)
    }

    /// RPOP with a count: the same at the right.
    pub fn rpop(
        &mut self,
        key: &[u8],
        count: usize,
        show: ShowElement<'_>,
    ) -> Result<Option<usize>> {
        self.pop(key, Side::Right, count, show)
    }

    fn pop(
        &mut self,
        key: &[u8],
        side: Side,
        count: usize,
        show: ShowElement<'_>,
    ) -> Result<Option<usize>> {
        if count == 1
            && let Some((place, id)) = self.recent_list(key)
            && self.keys.pop_short(id, side, show).is_some()
        {
            self.keys.note_use(place);
            if self.is_heard() {
                self.emit(&[pop_name(side).into(), key.into()]);
            }
            return Ok(Some(1));
        }
        let mut target = self.target(key, Kind::List)?;
        let Some(found) = target.found else { return Ok(None) };
        let count = count.min(self.keys.list_len(&found));
        if count == 0 {
            return Ok(Some(0));
        }
        self.take_elements(&mut target, side, count, false, &mut |value| show(count, value))?;
        let name = pop_name(side);
        if count == 1 {
            self.emit(&[name.into(), key.into()]);
        } else {
            self.emit(&[name.into(), key.into(), Digits::told(count as i64).as_bytes().into()]);
        }
        Ok(Some(count))
    }

    /// LLEN: how many elements a list has.
    pub fn llen(&mut self, key: &[u8]) -> Result<usize> {
        let found = self.read(key, Kind::List)?;
        Ok(found.map_or(0, |found| self.keys.list_len(&found)))
    }

    /// LINDEX: the element at an index, which counts from the right if it is negative.
    pub fn lindex(&mut self, key: &[u8], index: i64) -> Result<Option<Value<'_>>> {
        let Some(found) = self.read(key, Kind::List)? else { return Ok(None) };
        let index = position(index, self.keys.list_len(&found));
        let item = index.and_then(|index| self.keys.elements(&found, Side::Left, index).next());
        Ok(item.map(|item| self.keys.text(item)))
    }

    /// LRANGE: shows the elements between two indexes, those included. How many there are.
    pub fn lrange(
        &mut self,
        key: &[u8],
        start: i64,
        stop: i64,
        show: ShowElement<'_>,
    ) -> Result<usize> {
        let Some(found) = self.read(key, Kind::List)? else { return Ok(0) };
        let range = range(start, stop, self.keys.list_len(&found));
        for item in self.keys.elements(&found, Side::Left, range.start).take(range.len()) {
            show(range.len(), self.keys.text(item));
        }
        Ok(range.len())
    }

    /// LSET: puts another element in the place of the one at an index.
    ///
    /// # Errors
    /// [`Error::NoSuchKey`], [`Error::IndexOutOfRange`], and those of a push.
    pub fn lset(&mut self, key: &[u8], index: i64, value: &[u8]) -> Result<()> {
        let mut target = self.target(key, Kind::List)?;
        let found = target.found.ok_or(Error::NoSuchKey)?;
        let place = position(index, self.keys.list_len(&found)).ok_or(Error::IndexOutOfRange)?;
        self.edit(&mut target, place, true, value)?;
        let index = Digits::told(index);
        self.emit(&["LSET".into(), key.into(), index.as_bytes().into(), value.into()]);
        Ok(())
    }

    /// LINSERT: adds an element on one side of the first that equals `pivot`. How many there are
    /// then: none if there is no such list; `None` if there is no such element.
    pub fn linsert(
        &mut self,
        key: &[u8],
        side: Side,
        pivot: &[u8],
        value: &[u8],
    ) -> Result<Option<usize>> {
        let mut target = self.target(key, Kind::List)?;
        let Some(found) = target.found else { return Ok(Some(0)) };
        let pivot_item = Item::Here(pivot);
        let mut elements = self.keys.elements(&found, Side::Left, 0);
        let place = elements.position(|item| self.keys.is_same(item, pivot_item));
        let Some(place) = place else { return Ok(None) };
        let place = place + usize::from(side == Side::Right);
        let len = self.keys.list_len(&found);
        if place > 0 && place < len {
            self.edit(&mut target, place, false, value)?;
        } else {
            let side = if place == 0 { Side::Left } else { Side::Right };
            let pushed = Pushed { values: &[value], moved: None };
            self.reserve(&mut target, side, &pushed)?;
            self.add_elements(&mut target, side, &pushed)?;
        }
        let word = if side == Side::Left { "BEFORE" } else { "AFTER" };
        self.emit(&["LINSERT".into(), key.into(), word.into(), pivot.into(), value.into()]);
        Ok(Some(len + 1))
    }

    /// LREM: takes out elements that equal `value`: the first so many, the last if `count` is
    /// negative, all if it is zero. How many.
    pub fn lrem(&mut self, key: &[u8], count: i64, value: &[u8]) -> Result<usize> {
        let mut target = self.target(key, Kind::List)?;
        let Some(found) = target.found else { return Ok(0) };
        let side = if count < 0 { Side::Right } else { Side::Left };
        let max = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
        let max = if count == 0 { usize::MAX } else { max };
        let removed = match self.keys.object_of(&found) {
            Some(id) => self.keys.remove_texts(id, side, value, max),
            None => {
                let (block, removed) = self.keys.remove_text(found.addr, side, value, max);
                if removed > 0 {
                    self.put_block(&mut target, &block)?;
                }
                removed
            }
        };
        if removed > 0 {
            self.keep_packed(&mut target);
            let count = Digits::told(count);
            self.emit(&["LREM".into(), key.into(), count.as_bytes().into(), value.into()]);
        }
        Ok(removed)
    }

    /// LTRIM: drops all elements but those between two indexes, those included.
    pub fn ltrim(&mut self, key: &[u8], start: i64, stop: i64) -> Result<()> {
        let mut target = self.target(key, Kind::List)?;
        let Some(found) = target.found else { return Ok(()) };
        let len = self.keys.list_len(&found);
        let range = range(start, stop, len);
        if range.len() == len {
            self.tell_touched(key);
            return Ok(());
        }
        match (range.is_empty(), self.keys.object_of(&found)) {
            (true, _) => {
                self.keys.drop_found(&found);
                self.keys.settle();
                target.found = None;
            }
            (_, Some(id)) => self.keys.trim(id, &found, &range),
            (_, None) => {
                let block = self.keys.trim_packed(&found, &range);
                self.put_block(&mut target, &block)?;
            }
        }
        self.keep_packed(&mut target);
        let (start, stop) = (Digits::told(start), Digits::told(stop));
        self.emit(&["LTRIM".into(), key.into(), start.as_bytes().into(), stop.as_bytes().into()]);
        Ok(())
    }

    /// LPOS: shows the indexes of elements that equal `value`.
    pub fn lpos(
        &mut self,
        key: &[u8],
        value: &[u8],
        wanted: &Positions,
        show: &mut dyn FnMut(usize),
    ) -> Result<()> {
        let found = self.read(key, Kind::List)?;
        if let Some(found) = &found {
            self.positions(found, value, wanted, show);
        }
        Ok(())
    }

    fn positions(
        &self,
        found: &Found,
        value: &[u8],
        wanted: &Positions,
        show: &mut dyn FnMut(usize),
    ) {
        let side = if wanted.rank < 0 { Side::Right } else { Side::Left };
        // The one rank without an opposite stays negative: every match counts, as in Redis.
        let rank = wanted.rank.wrapping_abs();
        let len = self.keys.list_len(found);
        let first = if side == Side::Left { 0 } else { len - 1 };
        let (mut matches, mut shown) = (0, 0);
        for (walked, item) in self.keys.elements(found, side, first).enumerate() {
            if wanted.max_len > 0 && walked as i64 >= wanted.max_len {
                break;
            }
            if !self.keys.is_same(item, Item::Here(value)) {
                continue;
            }
            matches += 1;
            if matches >= rank {
                show(if side == Side::Left { walked } else { len - 1 - walked });
                shown += 1;
                if shown == wanted.count {
                    break;
                }
            }
        }
    }

    /// LMOVE: takes an element off one end of a list, adds it to an end of another or the same,
    /// and shows it. False if there is no such list.
    pub fn lmove(
        &mut self,
        source: &[u8],
        destination: &[u8],
        ends: (Side, Side),
        show: &mut dyn FnMut(Value<'_>),
    ) -> Result<bool> {
        if self.target(source, Kind::List)?.found.is_none() {
            return Ok(false);
        }
        let mut to = self.target(destination, Kind::List)?;
        // Only now, since the other may have expired, which moves entries of the index.
        let mut from = self.target(source, Kind::List)?;
        let Some(found) = &mut from.found else { return Ok(false) };
        let index = if ends.0 == Side::Left { 0 } else { self.keys.list_len(found) - 1 };
        let mut buffer = [0; ITEM_BYTES_MAX];
        let (mut len, mut moved) = (0, None);
        match self.keys.elements(found, Side::Left, index).next() {
            Some(Item::Here(bytes)) => {
                bytes::copy(&mut buffer, bytes);
                len = bytes.len();
            }
            Some(Item::Apart(id)) => moved = Some(id),
            None => return Ok(false),
        }
        let pushed = Pushed { values: &[buffer.get(..len).unwrap_or_default()], moved };
        // Room is made while both are pinned; after that neither moves but by what happens here.
        self.pinning(found, |cx| cx.reserve(&mut to, ends.1, &pushed).map(|()| true))?;
        self.add_elements(&mut to, ends.1, &pushed)?;
        let mut from = self.target(source, Kind::List)?;
        self.take_elements(&mut from, ends.0, 1, true, show)?;
        let [first, second] = ends_words(ends).map(Value::from);
        self.emit(&["LMOVE".into(), source.into(), destination.into(), first, second]);
        self.grow_index();
        Ok(true)
    }
}

fn pop_name(side: Side) -> &'static str {
    if side == Side::Left { "LPOP" } else { "RPOP" }
}

/// The place an index stands for in a list of this length.
fn position(index: i64, len: usize) -> Option<usize> {
    let from_end = usize::try_from(index.unsigned_abs()).ok()?;
    let place = if index < 0 { len.checked_sub(from_end)? } else { from_end };
    Some(place).filter(|&place| place < len)
}

/// The places between two indexes, both included.
fn range(start: i64, stop: i64, len: usize) -> Range<usize> {
    let len = len as i64;
    let from_left = |index: i64| if index < 0 { index + len } else { index };
    let (start, stop) = (from_left(start).max(0), from_left(stop).min(len - 1));
    if start > stop { 0..0 } else { start as usize..stop as usize + 1 }
}

fn ends_words((first, second): (Side, Side)) -> [&'static str; 2] {
    [first, second].map(|side| if side == Side::Left { "LEFT" } else { "RIGHT" })
}
