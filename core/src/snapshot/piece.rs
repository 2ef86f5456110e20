//! A piece of an image: twelve bytes that say what it is a part of, and the part.
//!
//! `place | class | cells (2) | number (4) | start (2) | length (2) | bytes`, all numbers with
//! their least byte first. Class and cells are those of a segment.

use core::fmt;

use crate::arena::SEGMENT_BYTES;
use crate::bytes;

/// Bytes of a piece before its part.
pub(crate) const HEAD_BYTES: usize = 12;

/// Takes the pieces of a snapshot; each structure of a keyspace has one of its own.
///
/// It may have to wait until there is room for a piece: the keyspace waits with it. One that has
/// nowhere to put them any more drops them.
pub trait Pages: Send {
    /// Takes a piece: a head of a few bytes, and up to 16 KiB that belong to it.
    fn piece(&mut self, head: &[u8], bytes: &[u8]);
}

/// What is wrong with an image.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Broken(pub(crate) &'static str);

impl Broken {
    pub(crate) const NO_MEMORY: Broken = Broken("there is no memory for it");
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl core::error::Error for Broken {}

/// What a piece is a part of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    Segment = 1,
    Index,
    Overflow,
    Objects,
    /// What there is once, as it was when the snapshot began.
    Begin,
    /// A dictionary that strings are compressed with.
    Dictionary,
    /// What there is once, as it was when the snapshot ended.
    End,
}

impl Place {
    fn of(byte: u8) -> Option<Place> {
        use Place::{Begin, Dictionary, End, Index, Objects, Overflow, Segment};
        let all = [Segment, Index, Overflow, Objects, Begin, Dictionary, End];
        all.into_iter().find(|&place| place as u8 == byte)
    }
}

/// The head of a piece.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Piece {
    pub(crate) place: Place,
    pub(crate) class: u8,
    pub(crate) cells: u16,
    pub(crate) number: u32,
    /// Where on its page the part begins, in bytes.
    pub(crate) start: usize,
}

impl Piece {
    /// A piece that is all of its place.
    pub(crate) fn whole(place: Place, number: u32) -> Piece {
        Piece { place, class: 0, cells: 0, number, start: 0 }
    }

    pub(crate) fn head(&self, len: usize) -> [u8; HEAD_BYTES] {
        let mut head = [0; HEAD_BYTES];
        bytes::write_at(&mut head, 0, &[self.place as u8, self.class]);
        bytes::write_at(&mut head, 2, &self.cells.to_le_bytes());
        bytes::write_at(&mut head, 4, &self.number.to_le_bytes());
        bytes::write_at(&mut head, 8, &(self.start as u16).to_le_bytes());
        bytes::write_at(&mut head, 10, &(len as u16).to_le_bytes());
        head
    }

    /// Reads the first of several pieces: its head, its part, and what is behind it.
    pub(crate) fn read(pieces: &[u8]) -> Result<(Piece, &[u8], &[u8]), Broken> {
        const CUT: Broken = Broken("a piece is cut off");
        let (head, rest) = pieces.split_first_chunk::<HEAD_BYTES>().ok_or(CUT)?;
        let mut fields = Fields(head);
        let (place, class) = (fields.byte(), fields.byte());
        let place = Place::of(place).ok_or(Broken("a piece is of nothing known"))?;
        let (cells, number) = (fields.half(), fields.word());
        let (start, len) = (usize::from(fields.half()), usize::from(fields.half()));
        let (part, behind) = rest.split_at_checked(len).ok_or(CUT)?;
        if start + len > SEGMENT_BYTES && place != Place::Dictionary {
            return Err(Broken("a piece is longer than a page"));
        }
        Ok((Piece { place, class, cells, number, start }, part, behind))
    }
}

/// Numbers one behind the other; zeros where there are none.
pub(crate) struct Fields<'a>(pub(crate) &'a [u8]);

impl Fields<'_> {
    fn next<const N: usize>(&mut self) -> [u8; N] {
        let (first, rest) = self.0.split_first_chunk().unwrap_or((&[0; N], &[]));
        self.0 = rest;
        *first
    }

    pub(crate) fn byte(&mut self) -> u8 {
        u8::from_le_bytes(self.next())
    }

    pub(crate) fn half(&mut self) -> u16 {
        u16::from_le_bytes(self.next())
    }

    pub(crate) fn word(&mut self) -> u32 {
        u32::from_le_bytes(self.next())
    }

    pub(crate) fn number(&mut self) -> u64 {
        u64::from_le_bytes(self.next())
    }

    /// A number of things in memory.
    pub(crate) fn count(&mut self) -> usize {
        usize::try_from(self.number()).unwrap_or(usize::MAX)
    }
}
