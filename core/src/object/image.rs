//! Pages of objects in a snapshot: out, and in again.
//!
//! Invariant: which numbers are free is found out anew when an image comes in.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ops::Range;

use crate::arena::{Addr, SEGMENT_BYTES};
use crate::bytes;
use crate::limits::MEMORY_BYTES_MAX;
use crate::object::{OBJECTS_PER_BLOCK, OBJECTS_PER_PAGE, Object, ObjectId, Objects, Page};
use crate::record::Kind;
use crate::snapshot::{Blocks, Broken, Door, Fields, Pages, Piece, Place};

/// Bytes of an object in an image.
const OBJECT_BYTES: usize = 52;
const BLOCK_BYTES: usize = OBJECTS_PER_BLOCK * OBJECT_BYTES;
/// Pages of objects that fit the largest budget.
const PAGES_MAX: usize = (MEMORY_BYTES_MAX / SEGMENT_BYTES as u64) as usize;

impl Page {
    /// Lets some blocks out, as far as they are still to be written.
    #[cold]
    #[inline(never)]
    pub(crate) fn let_out(&mut self, door: &mut Door, number: usize, blocks: Blocks) {
        door.change(&mut self.mark, blocks, 0, &mut put(&self.objects, number));
    }
}

/// Writes a run of blocks of a page.
fn put(
    objects: &[Object],
    number: usize,
) -> impl FnMut(&mut dyn Pages, Range<usize>, u16) -> usize {
    move |pages, run, _| {
        let blocks = objects.chunks(OBJECTS_PER_BLOCK).enumerate();
        for (block, objects) in blocks.skip(run.start).take(run.len()) {
            let mut bytes = [0; BLOCK_BYTES];
            let (slots, _) = bytes.as_chunks_mut();
            slots.iter_mut().zip(objects).for_each(|(slot, object)| *slot = object.to_bytes());
            let start = block * BLOCK_BYTES;
            let piece =
                Piece { place: Place::Objects, class: 0, cells: 0, number: number as u32, start };
            let bytes = bytes::part(&bytes, 0..objects.len() * OBJECT_BYTES);
            pages.piece(&piece.head(bytes.len()), bytes);
        }
        run.len() * BLOCK_BYTES
    }
}

impl Object {
    fn to_bytes(&self) -> [u8; OBJECT_BYTES] {
        let mut bytes = [0; OBJECT_BYTES];
        let kind = self.kind.map_or(0, |kind| kind as u8);
        bytes::write_at(&mut bytes, 0, &[kind, self.depth]);
        bytes::write_at(&mut bytes, 2, &self.page_len_max.to_le_bytes());
        let words = [self.root.0, self.last.0, self.pages, self.sweep, self.tree.0, self.next.0];
        for (at, word) in words.iter().enumerate() {
            bytes::write_at(&mut bytes, 4 + 4 * at, &word.to_le_bytes());
        }
        let numbers = [self.len as u64, self.bytes as u64, self.deadline as u64];
        for (at, number) in numbers.iter().enumerate() {
            bytes::write_at(&mut bytes, 28 + 8 * at, &number.to_le_bytes());
        }
        bytes
    }

    fn of_bytes(bytes: &[u8; OBJECT_BYTES]) -> Result<Object, Broken> {
        let mut fields = Fields(bytes);
        let (kind, depth) = (fields.byte(), fields.byte());
        let [low, high] = [fields.byte(), fields.byte()];
        let mut object = Object {
            depth,
            page_len_max: u16::from_le_bytes([low, high]),
            root: Addr(fields.word()),
            last: Addr(fields.word()),
            pages: fields.word(),
            sweep: fields.word(),
            tree: ObjectId(fields.word()),
            next: ObjectId(fields.word()),
            len: fields.count(),
            bytes: fields.count(),
            deadline: fields.number() as i64,
            kind: None,
        };
        if kind > 0 {
            object.kind = Some(Kind::of(kind).ok_or(Broken("an object is of no kind"))?);
        }
        if usize::from(depth) > super::DEPTH_MAX {
            return Err(Broken("a directory is too deep"));
        }
        Ok(object)
    }
}

impl Objects {
    /// Begins a snapshot of all pages.
    pub(crate) fn begin_snapshot(&mut self, is_full: bool, pages: Box<dyn Pages>) {
        self.door.begin(is_full, self.pages.len(), pages);
    }

    pub(crate) fn door(&mut self) -> &mut Door {
        &mut self.door
    }

    /// Writes the next page of the snapshot. Whether there was one.
    pub(crate) fn write_next(&mut self) -> bool {
        let Some(number) = self.door.next() else { return false };
        if let Some(page) = self.pages.get_mut(number) {
            self.door.visit(&mut page.mark, 0, &mut put(&page.objects, number));
        }
        true
    }

    pub(crate) fn page_count(&self) -> usize {
        self.pages.len()
    }

    /// Takes a piece of a page out of an image.
    pub(crate) fn restore(&mut self, piece: &Piece, bytes: &[u8]) -> Result<(), Broken> {
        let (objects, rest) = bytes.as_chunks::<OBJECT_BYTES>();
        let first = piece.start / OBJECT_BYTES;
        let is_aligned = rest.is_empty() && piece.start.is_multiple_of(OBJECT_BYTES);
        let number = piece.number as usize;
        if !is_aligned || first + objects.len() > OBJECTS_PER_PAGE || number >= PAGES_MAX {
            return Err(Broken("a part of the objects is none"));
        }
        // Those before it get their objects when they come: a number may be wrong.
        while self.pages.len() <= number {
            self.pages.try_reserve(1).map_err(|_| Broken::NO_MEMORY)?;
            self.pages.push(Page { objects: Vec::new(), mark: self.door.unchanged_mark() });
        }
        let Some(page) = self.pages.get_mut(number) else { return Ok(()) };
        if page.objects.is_empty() {
            let reserved = page.objects.try_reserve_exact(OBJECTS_PER_PAGE);
            reserved.map_err(|_| Broken::NO_MEMORY)?;
            page.objects.resize(OBJECTS_PER_PAGE, Object::new(None));
        }
        for (place, bytes) in page.objects.iter_mut().skip(first).zip(objects) {
            *place = Object::of_bytes(bytes)?;
        }
        Ok(())
    }

    /// Completes the objects of an image: so many pages, and the first object to be taken apart.
    pub(crate) fn settle_image(&mut self, pages: usize, dying: ObjectId) -> Result<(), Broken> {
        self.pages.truncate(pages);
        if self.pages.len() != pages || self.pages.iter().any(|page| page.objects.is_empty()) {
            return Err(Broken("a page of objects is missing"));
        }
        (self.unused, self.used_count) = (ObjectId::NONE, 0);
        let mut number = (pages * OBJECTS_PER_PAGE) as u32;
        for object in self.pages.iter_mut().rev().flat_map(|page| page.objects.iter_mut().rev()) {
            match object.kind {
                Some(_) => self.used_count += 1,
                None => {
                    *object = Object { next: self.unused, ..Object::new(None) };
                    self.unused = ObjectId(number);
                }
            }
            number -= 1;
        }
        self.dying = dying;
        let is_used = |id| self.get(id).is_some_and(|object| object.kind.is_some());
        let are_used = self.all_dying().take(self.used_count + 1).all(is_used);
        let is_finite = self.all_dying().take(self.used_count + 1).count() <= self.used_count;
        if !are_used || !is_finite {
            return Err(Broken("the list of objects to be taken apart is none"));
        }
        Ok(())
    }
}
