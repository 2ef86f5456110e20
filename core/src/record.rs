//! The bytes of a cell: the head of a record, and the head of a page of a large value.
//!
//! A record is `flags | key length | value length | deadline? | dictionary? | key | value`. Lengths
//! take one byte each when both fit, else two; a compressed string names its dictionary. The value
//! of a small collection is its packed entries; in place of a large value stands the number of its
//! object. A page is `flags | position | object | bytes`: with its object's number at hand it can
//! be moved without asking anyone.
//!
//! Not here: where cells are (arena.rs), what the bytes of a value mean, and how the pages of a
//! large value are found (object.rs).

use core::num::NonZeroU8;

use crate::arena::PAGE_BYTES;
use crate::bytes;
use crate::compress::DictionaryId;
use crate::keyspace::Millis;
use crate::object::ObjectId;

/// What a cell holds: the low bits of its first byte. Zero is the arena's mark of a hole.
const KIND_MASK: u8 = 0b0000_0111;
const PAGE: u8 = 7;
/// Where the first byte of a page says at which level of its directory it stands.
const LEVEL_SHIFT: u8 = 3;

const WIDE: u8 = 1 << 3;
const VOLATILE: u8 = 1 << 4;
const ASCII: u8 = 1 << 5;
const LARGE: u8 = 1 << 6;
/// Of a hash, that fields may expire; of a string, that it is compressed.
const EXPIRING_FIELDS: u8 = 1 << 7;
const COMPRESSED: u8 = 1 << 7;

/// The deadline of a key that does not expire. No other is as early: they are all in the future.
pub(crate) const NEVER: Millis = 0;

const DEADLINE_BYTES: usize = 8;

/// Bytes of a page before what it holds.
pub(crate) const PAGE_HEAD_BYTES: usize = 8;

/// Bytes of a string that one page holds.
pub(crate) const PAGE_VALUE_BYTES: usize = PAGE_BYTES - PAGE_HEAD_BYTES;

/// The type of a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    String = 1,
    Hash,
    List,
    Set,
    SortedSet,
    /// Behind the number of its object stands what belongs to it as a whole.
    #[cfg(feature = "stream")]
    Stream,
}

/// Whether there are other types than strings. What is about those is left out if not.
pub(crate) const HAS_COLLECTIONS: bool = cfg!(any(
    feature = "hash",
    feature = "list",
    feature = "set",
    feature = "stream",
    feature = "zset"
));

impl Kind {
    #[cfg(not(feature = "stream"))]
    const LAST: Kind = Kind::SortedSet;
    #[cfg(feature = "stream")]
    const LAST: Kind = Kind::Stream;

    /// The type that these bits say.
    #[inline]
    pub(crate) fn of(flags: u8) -> Option<Kind> {
        match flags & KIND_MASK {
            1 => Some(Kind::String),
            2 if cfg!(feature = "hash") => Some(Kind::Hash),
            3 if cfg!(feature = "list") => Some(Kind::List),
            4 if cfg!(feature = "set") => Some(Kind::Set),
            5 if cfg!(feature = "zset") => Some(Kind::SortedSet),
            #[cfg(feature = "stream")]
            6 => Some(Kind::Stream),
            _ => None,
        }
    }

    /// Its name, as TYPE says it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::String => "string",
            Kind::Hash => "hash",
            Kind::List => "list",
            Kind::Set => "set",
            Kind::SortedSet => "zset",
            #[cfg(feature = "stream")]
            Kind::Stream => "stream",
        }
    }
}

/// Whether a record that begins with this byte has its value in an object.
#[inline]
pub(crate) fn is_large(flags: u8) -> bool {
    flags & LARGE != 0
}

/// The head of a record: everything but the key and the value. It is small because the hot path
/// hands it around.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Head {
    /// When the key expires, or `NEVER`.
    pub(crate) deadline: Millis,
    key_len: u16,
    stored_len: u16,
    key_start: u8,
    /// Of a compressed string.
    dictionary: DictionaryId,
    /// The first byte of the record.
    flags: NonZeroU8,
}

impl Head {
    /// The head of a record with so many bytes after its key; both lengths are within the limits.
    #[inline]
    pub(crate) fn new(kind: Kind, key_len: usize, stored_len: usize, deadline: Millis) -> Head {
        let flags = NonZeroU8::MIN.saturating_add(kind as u8 - 1);
        Head { deadline, key_len: 0, stored_len: 0, key_start: 0, dictionary: 0, flags }
            .resized(key_len, stored_len)
            .with_deadline(deadline)
    }

    /// Whether a string of this length stands in pages: in the record it would not leave four of
    /// them to a segment. That depends on the lengths alone (a deadline always counts), so that a
    /// new deadline never moves the value.
    #[inline]
    pub(crate) fn is_large_string(key_len: usize, value_len: usize) -> bool {
        let record = 1 + 4 + DEADLINE_BYTES + key_len + value_len;
        record > PAGE_BYTES && value_len > PAGE_VALUE_BYTES / 4
    }

    /// The same record with another key and another value.
    #[inline]
    pub(crate) fn resized(self, key_len: usize, stored_len: usize) -> Head {
        let is_wide = key_len > u8::MAX.into() || stored_len > u8::MAX.into();
        let head = Head { key_len: key_len as u16, stored_len: stored_len as u16, ..self };
        head.flagged(WIDE, is_wide)
    }

    /// The same record with another deadline, or `NEVER`.
    #[inline]
    pub(crate) fn with_deadline(self, deadline: Millis) -> Head {
        Head { deadline, ..self }.flagged(VOLATILE, deadline != NEVER)
    }

    /// The same record whose value is ASCII, or not known to be.
    #[inline]
    pub(crate) fn with_ascii(self, is_ascii: bool) -> Head {
        self.flagged(ASCII, is_ascii)
    }

    /// The same record with its value in an object, or not.
    pub(crate) fn with_large(self, is_large: bool) -> Head {
        self.flagged(LARGE, is_large)
    }

    /// The same record of a hash, some of whose fields may expire, or none.
    pub(crate) fn with_expiring_fields(self, may_expire: bool) -> Head {
        self.flagged(EXPIRING_FIELDS, may_expire)
    }

    /// The same record of a string that is compressed with a dictionary, or is plain.
    pub(crate) fn with_dictionary(self, dictionary: Option<DictionaryId>) -> Head {
        Head { dictionary: dictionary.unwrap_or_default(), ..self }
            .flagged(COMPRESSED, dictionary.is_some())
    }

    #[inline]
    fn flagged(self, flag: u8, is_set: bool) -> Head {
        let flags = self.flags.get() & !flag | if is_set { flag } else { 0 };
        let length_bytes = if flags & WIDE == 0 { 2 } else { 4 };
        let deadline_bytes = if flags & VOLATILE == 0 { 0 } else { DEADLINE_BYTES as u8 };
        let flags = NonZeroU8::new(flags).unwrap_or(self.flags);
        let head = Head { flags, ..self };
        let dictionary_bytes = u8::from(head.is_compressed());
        Head { key_start: 1 + length_bytes + deadline_bytes + dictionary_bytes, ..head }
    }

    /// The type of the value.
    #[inline]
    pub(crate) fn kind(&self) -> Kind {
        Kind::of(self.flags.get()).unwrap_or(Kind::String)
    }

    /// Whether the key expires.
    #[inline]
    pub(crate) fn is_volatile(&self) -> bool {
        self.deadline != NEVER
    }

    /// Whether no byte of a string is known to be above 127.
    #[inline]
    pub(crate) fn is_ascii(&self) -> bool {
        self.flags.get() & ASCII != 0
    }

    /// Whether the value is too long to stand in the record.
    #[inline]
    pub(crate) fn is_large(&self) -> bool {
        is_large(self.flags.get())
    }

    /// Whether it is a hash whose fields may expire.
    #[inline]
    pub(crate) fn has_expiring_fields(&self) -> bool {
        cfg!(feature = "hash")
            && self.flags.get() & (EXPIRING_FIELDS | KIND_MASK)
                == EXPIRING_FIELDS | Kind::Hash as u8
    }

    /// Whether it is a string that is compressed: what stands after the key is a block.
    #[inline]
    pub(crate) fn is_compressed(&self) -> bool {
        cfg!(feature = "compression")
            && self.flags.get() & (COMPRESSED | KIND_MASK) == COMPRESSED | Kind::String as u8
    }

    /// The dictionary of a compressed string.
    #[inline]
    pub(crate) fn dictionary(&self) -> Option<DictionaryId> {
        if self.is_compressed() { Some(self.dictionary) } else { None }
    }

    /// Bytes of what stands after the key.
    #[inline]
    pub(crate) fn stored_len(&self) -> usize {
        self.stored_len.into()
    }

    /// Bytes of the record.
    #[inline]
    pub(crate) fn record_bytes(&self) -> usize {
        self.stored_start() + self.stored_len()
    }

    #[inline]
    pub(crate) fn key_len(&self) -> usize {
        self.key_len.into()
    }

    #[inline]
    pub(crate) fn key_start(&self) -> usize {
        self.key_start.into()
    }

    /// Where what stands after the key begins.
    #[inline]
    pub(crate) fn stored_start(&self) -> usize {
        self.key_start() + usize::from(self.key_len)
    }

    /// Reads the head of a record. `None` for a page, a hole, or bytes that are no record.
    #[cfg_attr(not(target_arch = "wasm32"), inline(always))]
    #[cfg_attr(target_arch = "wasm32", inline)]
    pub(crate) fn read(cell: &[u8]) -> Option<Head> {
        let (&[flags, a, b, ..], _) = cell.split_first_chunk::<5>()?;
        if flags & !ASCII == Kind::String as u8 {
            // A short string without a deadline: what most reads are for.
            let (key_len, stored_len) = (a.into(), b.into());
            let flags = NonZeroU8::new(flags)?;
            let (deadline, key_start, dictionary) = (NEVER, 3, 0);
            return Some(Head { deadline, key_len, stored_len, key_start, dictionary, flags });
        }
        Head::read_any(cell)
    }

    /// The same of any record.
    #[cfg_attr(not(target_arch = "wasm32"), inline(always))]
    fn read_any(cell: &[u8]) -> Option<Head> {
        let (&[flags, a, b, c, d], _) = cell.split_first_chunk()?;
        if !(1..=Kind::LAST as u8).contains(&(flags & KIND_MASK)) {
            return None;
        }
        let (key_len, stored_len, length_bytes) = if flags & WIDE == 0 {
            (a.into(), b.into(), 2)
        } else {
            (u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d]), 4)
        };
        let mut key_start = 1 + length_bytes;
        let mut deadline = NEVER;
        if flags & VOLATILE != 0 {
            let bytes = cell.get(usize::from(key_start)..).and_then(<[u8]>::first_chunk)?;
            deadline = Millis::from_le_bytes(*bytes);
            key_start += DEADLINE_BYTES as u8;
        }
        let flags = NonZeroU8::new(flags)?;
        let mut head = Head { deadline, key_len, stored_len, key_start, dictionary: 0, flags };
        if head.is_compressed() {
            head.dictionary = *cell.get(usize::from(key_start))?;
            head.key_start += 1;
        }
        Some(head)
    }

    /// Writes the head of a record, up to its key.
    #[inline]
    pub(crate) fn write(&self, cell: &mut [u8]) {
        let flags = self.flags.get();
        let [a, b] = self.key_len.to_le_bytes();
        let [c, d] = self.stored_len.to_le_bytes();
        // Of a fixed length each, so that none is a call.
        if flags & WIDE == 0 {
            write_first(cell, [flags, a, c]);
        } else {
            write_first(cell, [flags, a, b, c, d]);
        }
        let mut end = self.key_start();
        if self.is_compressed() {
            end -= 1;
            bytes::write_at(cell, end, &[self.dictionary]);
        }
        if self.is_volatile() {
            let start = end.saturating_sub(DEADLINE_BYTES);
            if let Some(cell) = cell.get_mut(start..) {
                write_first(cell, self.deadline.to_le_bytes());
            }
        }
    }

    /// Whether the record with this head, in `cell`, has this key.
    #[inline]
    pub(crate) fn has_key(&self, cell: &[u8], key: &[u8]) -> bool {
        usize::from(self.key_len) == key.len()
            && cell
                .get(self.key_start()..self.stored_start())
                .is_some_and(|own| bytes::same(own, key))
    }

    /// The key of a record with this head.
    #[inline]
    pub(crate) fn key<'a>(&self, cell: &'a [u8]) -> &'a [u8] {
        cell.get(self.key_start()..self.stored_start()).unwrap_or_default()
    }

    /// What stands after the key: the value, or the number of its object.
    #[inline]
    pub(crate) fn stored<'a>(&self, cell: &'a [u8]) -> &'a [u8] {
        match cell.get(self.stored_start()..self.record_bytes()) {
            Some(bytes) => bytes,
            None => bytes::nothing(),
        }
    }

    /// The same, to be written.
    #[inline]
    pub(crate) fn stored_mut<'a>(&self, cell: &'a mut [u8]) -> &'a mut [u8] {
        cell.get_mut(self.stored_start()..self.record_bytes()).unwrap_or_default()
    }

    /// The object of a large value.
    #[inline]
    pub(crate) fn object(&self, cell: &[u8]) -> Option<ObjectId> {
        let number = self.stored(cell).first_chunk().filter(|_| self.is_large())?;
        Some(ObjectId(u32::from_le_bytes(*number)))
    }

    /// Writes the key of a record with this head.
    #[inline]
    pub(crate) fn write_key(&self, cell: &mut [u8], key: &[u8]) {
        bytes::write_at(cell, self.key_start(), key);
    }
}

/// Whether the record in a cell has this key. Most heads are as short as can be, so that where the
/// key stands is known before the head has come from memory.
#[cfg_attr(not(target_arch = "wasm32"), inline(always))]
#[cfg_attr(target_arch = "wasm32", inline)]
pub(crate) fn has_key(cell: &[u8], key: &[u8]) -> bool {
    match cell.split_first_chunk() {
        Some((&[flags, key_len, _], rest)) if flags & (WIDE | VOLATILE | COMPRESSED) == 0 => {
            usize::from(key_len) == key.len()
                && rest.get(..key.len()).is_some_and(|own| bytes::same(own, key))
        }
        _ => has_key_behind(cell, key),
    }
}

/// The same of a record whose head may be longer.
#[inline(never)]
fn has_key_behind(cell: &[u8], key: &[u8]) -> bool {
    Head::read(cell).is_some_and(|head| head.has_key(cell, key))
}

/// Where a string stands in its record, as it is: what most reads find, and most writes write over.
#[derive(Clone, Copy)]
pub(crate) struct Text {
    start: usize,
    len: usize,
    pub(crate) deadline: Millis,
    pub(crate) is_ascii: bool,
}

impl Text {
    /// Whether a record has this key, and then where its string stands if it is one as it is. The
    /// usual head is compared as one word, which tells all of that but the bytes of the key.
    #[inline(always)]
    pub(crate) fn of_key(cell: &[u8], key: &[u8]) -> Option<Option<Text>> {
        const FLAGS_AND_KEY_LEN: u32 = 0xff00 | !ASCII as u32;
        let (head, _) = cell.split_first_chunk()?;
        let head = u32::from_le_bytes(*head);
        if head & FLAGS_AND_KEY_LEN != (key.len() as u32) << 8 | Kind::String as u32 {
            return Text::of_key_behind(cell, key);
        }
        let own = cell.get(3..)?.get(..key.len())?;
        let is_ascii = head & u32::from(ASCII) != 0;
        let len = head.to_le_bytes()[2].into();
        let text = Text { start: 3 + key.len(), len, deadline: NEVER, is_ascii };
        bytes::same(own, key).then_some(Some(text))
    }

    /// The same of any other record.
    #[inline(never)]
    fn of_key_behind(cell: &[u8], key: &[u8]) -> Option<Option<Text>> {
        has_key(cell, key).then(|| Text::read_behind(cell))
    }

    /// Reads where that is in the record of a key with so many bytes. `None` for values that are
    /// no string, large, or compressed.
    #[inline(always)]
    pub(crate) fn read(cell: &[u8], key_len: usize) -> Option<Text> {
        let (&[flags, _, len], _) = cell.split_first_chunk()?;
        if flags & !ASCII != Kind::String as u8 {
            return Text::read_behind(cell);
        }
        let is_ascii = flags & ASCII != 0;
        Some(Text { start: 3 + key_len, len: len.into(), deadline: NEVER, is_ascii })
    }

    /// The same of a record whose head may be longer. A call, since where the usual one stands
    /// must not have to wait for what kind of head it is.
    #[inline(never)]
    fn read_behind(cell: &[u8]) -> Option<Text> {
        let head = Head::read(cell)?;
        if head.kind() != Kind::String || head.is_large() || head.is_compressed() {
            return None;
        }
        let (start, len) = (head.stored_start(), head.stored_len());
        Some(Text { start, len, deadline: head.deadline, is_ascii: head.is_ascii() })
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The string.
    #[inline(always)]
    pub(crate) fn of<'a>(&self, cell: &'a [u8]) -> Option<&'a [u8]> {
        cell.get(self.start..self.start + self.len)
    }

    /// The same, to be written.
    #[inline]
    pub(crate) fn of_mut<'a>(&self, cell: &'a mut [u8]) -> &'a mut [u8] {
        cell.get_mut(self.start..self.start + self.len).unwrap_or_default()
    }

    /// Writes what may have changed of the head of one that was written over. It has a deadline
    /// if it had one.
    #[inline]
    pub(crate) fn write_head(&self, cell: &mut [u8], deadline: Millis, is_ascii: bool) {
        let Some(flags) = cell.first_mut() else { return };
        *flags = *flags & !ASCII | if is_ascii { ASCII } else { 0 };
        if self.deadline != NEVER {
            let at = if *flags & WIDE == 0 { 3 } else { 5 };
            bytes::write_at(cell, at, &deadline.to_le_bytes());
        }
    }
}

/// Writes so many bytes at the start of a cell.
#[inline]
fn write_first<const N: usize>(cell: &mut [u8], bytes: [u8; N]) {
    if let Some(first) = cell.first_chunk_mut() {
        *first = bytes;
    }
}

/// The head of a page of a large value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct PageHead {
    pub(crate) object: ObjectId,
    /// How far above the value the page stands: zero holds a part of it, others hold addresses.
    pub(crate) level: u8,
    /// Which page of its level it is.
    pub(crate) position: u32,
}

impl PageHead {
    /// Reads the head of a page. `None` for anything else.
    pub(crate) fn read(cell: &[u8]) -> Option<PageHead> {
        let (&[flags, a, b, c], rest) = cell.split_first_chunk()?;
        if flags & KIND_MASK != PAGE {
            return None;
        }
        let object = ObjectId(u32::from_le_bytes(*rest.first_chunk()?));
        let position = u32::from_le_bytes([a, b, c, 0]);
        Some(PageHead { object, level: flags >> LEVEL_SHIFT, position })
    }

    #[inline]
    pub(crate) fn write(self, cell: &mut [u8]) {
        let [a, b, c, _] = self.position.to_le_bytes();
        bytes::write_at(cell, 0, &[PAGE | self.level << LEVEL_SHIFT, a, b, c]);
        bytes::write_at(cell, 4, &self.object.0.to_le_bytes());
    }
}
