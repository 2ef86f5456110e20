//! Large values: the objects that stand for them, and the directories that find their pages.
//!
//! A record names the object of its large value by a number that never changes, so a key may be
//! renamed and a record moved without touching the value; and a page names its object, so a page
//! may be moved without touching the record. The pages of an object are found by their position
//! through a directory: a tree of nodes, cells of up to 1022 addresses each, that grows and
//! shrinks at its end. (The pages of a list are linked instead: list.rs.)
//!
//! Invariant: an object that is in use is named by exactly one record, one entry of a collection,
//! or the list of those that are to be taken apart.
//!
//! Not here: what pages hold, and the budget (room.rs).

use alloc::vec::Vec;
use core::mem;

use crate::arena::{Addr, Arena, Class, PAGE_BYTES, SEGMENT_BYTES};
use crate::bytes;
use crate::keyspace::Millis;
use crate::record::{Kind, NEVER, PAGE_HEAD_BYTES, PageHead};
#[cfg(not(feature = "snapshot"))]
use crate::snapshot::Blocks;
use crate::snapshot::{BLOCKS_PER_PAGE, Door, Mark, blocks};

#[cfg(feature = "snapshot")]
mod image;

/// The number of an object. Zero names none.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct ObjectId(pub(crate) u32);

impl ObjectId {
    pub(crate) const NONE: ObjectId = ObjectId(0);
}

const ADDR_BYTES: usize = 4;
/// Addresses in a node.
const FANOUT: usize = (PAGE_BYTES - PAGE_HEAD_BYTES) / ADDR_BYTES;
/// Levels of nodes: enough for every page that 32-bit addresses can tell apart.
const DEPTH_MAX: usize = 3;

/// Cells wanted for a directory, at most.
pub(crate) type DirectoryCells = [(Class, usize); DEPTH_MAX];

/// What stands for a large value.
#[derive(Clone)]
pub(crate) struct Object {
    /// The type of the value; `None` for a number that is not in use.
    pub(crate) kind: Option<Kind>,
    /// Levels of nodes above the pages.
    depth: u8,
    /// Members that the page with the most of them ever had.
    pub(crate) page_len_max: u16,
    /// The top node of the directory; the first page of a list.
    pub(crate) root: Addr,
    /// The last page of a list.
    pub(crate) last: Addr,
    /// How many pages it has.
    pub(crate) pages: u32,
    /// One more than the page of a hash at which a sweep for expired fields goes on; zero if none
    /// is under way.
    pub(crate) sweep: u32,
    /// Bytes of a string, members of a collection.
    pub(crate) len: usize,
    /// Bytes of the entries of a collection.
    pub(crate) bytes: usize,
    /// When the first of a hash's fields expires, or earlier; `NEVER` if none does. During a sweep
    /// it speaks of those only that the sweep has seen.
    pub(crate) deadline: Millis,
    /// The tree that has a sorted set's members in order.
    pub(crate) tree: ObjectId,
    /// The next unused number, or the next object to be taken apart.
    next: ObjectId,
}

impl Object {
    fn new(kind: Option<Kind>) -> Object {
        Object {
            kind,
            depth: 0,
            root: Addr::NONE,
            last: Addr::NONE,
            pages: 0,
            page_len_max: 0,
            sweep: 0,
            len: 0,
            bytes: 0,
            deadline: NEVER,
            tree: ObjectId::NONE,
            next: ObjectId::NONE,
        }
    }

    /// Whether a sweep for expired fields is under way.
    pub(crate) fn is_swept(&self) -> bool {
        self.sweep > 0
    }

    /// Whether its pages are linked with each other instead of found by a directory.
    pub(crate) fn is_linked(&self) -> bool {
        cfg!(feature = "list") && self.kind == Some(Kind::List)
    }

    /// The page at a position, of which there is one.
    #[cfg_attr(not(target_arch = "wasm32"), inline(always))]
    pub(crate) fn page(&self, arena: &Arena, position: usize) -> Addr {
        slot(arena.bytes_from(self.leaf(arena, position)), position % FANOUT)
    }

    /// The node that has the address of the page at a position.
    #[cfg_attr(not(target_arch = "wasm32"), inline(always))]
    fn leaf(&self, arena: &Arena, position: usize) -> Addr {
        match self.depth {
            1 => self.root,
            2 => slot(arena.bytes_from(self.root), position / FANOUT),
            _ => self.at(arena, 1, position / FANOUT),
        }
    }

    /// The page at a position of a level: the directory's own nodes from level one up.
    #[cfg_attr(not(target_arch = "wasm32"), inline(never))]
    fn at(&self, arena: &Arena, level: u8, position: usize) -> Addr {
        let mut at = self.root;
        let mut below = self.depth;
        while below > level {
            below -= 1;
            at = slot(arena.cell(at), position / span(below - level) % FANOUT);
        }
        at
    }

    /// Notes where a page of a level now is.
    pub(crate) fn set(&self, arena: &mut Arena, level: u8, position: usize, addr: Addr) {
        let node = match level {
            0 => self.leaf(arena, position),
            _ => self.at(arena, level + 1, position / FANOUT),
        };
        set_slot(arena, node, position % FANOUT, addr);
    }

    /// Notes that a page, or a node of the directory, was moved.
    pub(crate) fn redirect(&mut self, arena: &mut Arena, page: PageHead, to: Addr) {
        if page.level == self.depth {
            self.root = to;
        } else {
            self.set(arena, page.level, page.position as usize, to);
        }
    }

    /// The cells the directory needs to get room for so many pages.
    pub(crate) fn cells_for(&self, arena: &Arena, pages: usize) -> DirectoryCells {
        let mut cells = directory_cells(pages);
        let (mut have, mut want) = (self.pages as usize, pages);
        for (level, (_, count)) in (1..=self.depth).zip(&mut cells) {
            have = have.div_ceil(FANOUT);
            if have > 0 && *count > 0 {
                let last = arena.cell(self.at(arena, level, have - 1));
                let slots = (want - (have - 1) * FANOUT).min(FANOUT);
                let widens = last.len() < PAGE_HEAD_BYTES + slots * ADDR_BYTES;
                *count = *count - have + usize::from(widens);
            }
            want = want.div_ceil(FANOUT);
        }
        cells
    }

    /// Gives the directory room for so many pages, out of the cells that `cells_for` tells.
    pub(crate) fn grow(&mut self, arena: &mut Arena, id: ObjectId, pages: usize) -> Option<()> {
        while self.depth == 0 || span(self.depth) < pages {
            let node = add_node(arena, id, self.depth + 1, 0, pages)?;
            if self.depth > 0 {
                set_slot(arena, node, 0, self.root);
            }
            self.root = node;
            self.depth += 1;
        }
        // From the top down, since each node must have a slot for the next.
        for level in (1..=self.depth).rev() {
            let last = (self.pages as usize).div_ceil(span(level)).saturating_sub(1);
            for position in last..pages.div_ceil(span(level)) {
                if self.at(arena, level, position) == Addr::NONE {
                    let node = add_node(arena, id, level, position, pages)?;
                    self.set(arena, level, position, node);
                } else {
                    let slots = pages.div_ceil(span(level - 1)) - position * FANOUT;
                    self.widen(arena, level, position, slots.min(FANOUT))?;
                }
            }
        }
        Some(())
    }

    /// Adds a page at the end, where the directory has room for it.
    pub(crate) fn push(&mut self, arena: &mut Arena, addr: Addr) {
        self.set(arena, 0, self.pages as usize, addr);
        self.pages += 1;
    }

    /// Gives a node so many slots.
    fn widen(&mut self, arena: &mut Arena, level: u8, position: usize, slots: usize) -> Option<()> {
        let node = self.at(arena, level, position);
        let len = arena.cell(node).len();
        if len >= PAGE_HEAD_BYTES + slots * ADDR_BYTES {
            return Some(());
        }
        let to = arena.allocate(node_class(slots))?;
        arena.copy(node, to, len);
        if let Some(rest) = arena.cell_mut(to).get_mut(len..) {
            rest.fill(0);
        }
        let page = PageHead::read(arena.cell(node))?;
        arena.free(node);
        self.redirect(arena, page, to);
        Some(())
    }

    /// Takes the last page off the directory, with the nodes that only it needed.
    pub(crate) fn pop(&mut self, arena: &mut Arena) -> Option<Addr> {
        let position = (self.pages as usize).checked_sub(1)?;
        let addr = self.page(arena, position);
        self.set(arena, 0, position, Addr::NONE);
        self.pages -= 1;
        for level in 1..self.depth {
            if !position.is_multiple_of(span(level)) || position == 0 {
                break;
            }
            arena.free(self.at(arena, level, position / span(level)));
            self.set(arena, level, position / span(level), Addr::NONE);
        }
        while self.depth > 1 && self.pages as usize <= span(self.depth - 1) {
            let child = slot(arena.cell(self.root), 0);
            arena.free(self.root);
            self.root = child;
            self.depth -= 1;
        }
        if self.pages == 0 {
            arena.free(self.root);
            self.root = Addr::NONE;
            self.depth = 0;
        }
        Some(addr)
    }

    /// Shows every node of the directory to `show`, which gets its level and position.
    pub(crate) fn nodes(&self, arena: &Arena, show: &mut dyn FnMut(u8, usize, Addr)) {
        let mut count = self.pages as usize;
        for level in 1..=self.depth {
            count = count.div_ceil(FANOUT);
            (0..count).for_each(|position| show(level, position, self.at(arena, level, position)));
        }
    }
}

/// The cells of a new directory for so many pages.
pub(crate) fn directory_cells(pages: usize) -> DirectoryCells {
    let mut cells = DirectoryCells::default();
    let mut want = pages;
    for cell in &mut cells {
        *cell = (node_class(want.min(FANOUT)), want.div_ceil(FANOUT));
        want = want.div_ceil(FANOUT);
        if want <= 1 {
            break;
        }
    }
    cells
}

/// Pages below a node of so many levels.
fn span(levels: u8) -> usize {
    match levels {
        0 => 1,
        1 => FANOUT,
        2 => FANOUT * FANOUT,
        _ => FANOUT * FANOUT * FANOUT,
    }
}

/// The class of a node that is to have so many slots: some more than that, so that it does not
/// grow with each page.
fn node_class(slots: usize) -> Class {
    let slots = (slots + slots / 4 + 1).min(FANOUT);
    Class::fitting(PAGE_HEAD_BYTES + slots * ADDR_BYTES)
}

/// Makes a node of a directory for so many pages.
fn add_node(
    arena: &mut Arena,
    object: ObjectId,
    level: u8,
    position: usize,
    pages: usize,
) -> Option<Addr> {
    let page = PageHead { object, level, position: position as u32 };
    // The only node of its level is as large as need be, several are as large as can be.
    let node = arena.allocate(node_class(pages.div_ceil(span(level - 1)).min(FANOUT)))?;
    let cell = arena.cell_mut(node);
    cell.fill(0);
    page.write(cell);
    Some(node)
}

#[inline]
fn slot(node: &[u8], index: usize) -> Addr {
    let start = PAGE_HEAD_BYTES + index * ADDR_BYTES;
    let bytes = node.get(start..).and_then(<[u8]>::first_chunk);
    bytes.map_or(Addr::NONE, |bytes| Addr(u32::from_le_bytes(*bytes)))
}

fn set_slot(arena: &mut Arena, node: Addr, index: usize, addr: Addr) {
    let start = PAGE_HEAD_BYTES + index * ADDR_BYTES;
    bytes::write_at(arena.cell_mut(node), start, &addr.0.to_le_bytes());
}

const OBJECTS_PER_PAGE: usize = SEGMENT_BYTES / size_of::<Object>();
const OBJECTS_PER_BLOCK: usize = OBJECTS_PER_PAGE.div_ceil(BLOCKS_PER_PAGE);

struct Page {
    objects: Vec<Object>,
    mark: Mark,
}

/// All objects, in pages as large as a segment. Numbers that come back are used again first.
pub(crate) struct Objects {
    pages: Vec<Page>,
    /// The first number that is not in use.
    unused: ObjectId,
    used_count: usize,
    /// The first object that is to be taken apart.
    dying: ObjectId,
    door: Door,
}

impl Objects {
    pub(crate) fn new() -> Objects {
        Objects {
            pages: Vec::new(),
            unused: ObjectId::NONE,
            used_count: 0,
            dying: ObjectId::NONE,
            door: Door::new(),
        }
    }

    /// Bytes held from the allocator.
    pub(crate) fn held_bytes(&self) -> usize {
        self.pages.len() * SEGMENT_BYTES + self.pages.capacity() * size_of::<Page>()
    }

    /// Pages to be added before so many objects can be made.
    pub(crate) fn pages_for(&self, count: usize) -> usize {
        let spare = self.pages.len() * OBJECTS_PER_PAGE - self.used_count;
        count.saturating_sub(spare).div_ceil(OBJECTS_PER_PAGE)
    }

    /// Makes an object. `None` if that needed a page that the allocator refused.
    pub(crate) fn add(&mut self, kind: Kind) -> Option<ObjectId> {
        if self.unused == ObjectId::NONE {
            self.add_page()?;
        }
        let id = self.unused;
        let object = self.get_mut(id)?;
        let next = object.next;
        *object = Object::new(Some(kind));
        self.unused = next;
        self.used_count += 1;
        Some(id)
    }

    fn add_page(&mut self) -> Option<()> {
        self.pages.try_reserve(1).ok()?;
        let mut objects = Vec::new();
        // All of a segment, so that the one can take the other's place in the allocator.
        objects.try_reserve_exact(OBJECTS_PER_PAGE).ok()?;
        let first = (self.pages.len() * OBJECTS_PER_PAGE) as u32 + 1;
        objects.extend((first..first + OBJECTS_PER_PAGE as u32).map(|number| {
            let is_last = number + 1 == first + OBJECTS_PER_PAGE as u32;
            let next = if is_last { self.unused } else { ObjectId(number + 1) };
            Object { next, ..Object::new(None) }
        }));
        self.unused = ObjectId(first);
        self.pages.push(Page { objects, mark: self.door.mark() });
        Some(())
    }

    /// Gives the number of an object without pages back.
    pub(crate) fn remove(&mut self, id: ObjectId) {
        let unused = self.unused;
        if let Some(object) = self.get_mut(id) {
            *object = Object { next: unused, ..Object::new(None) };
            self.unused = id;
            self.used_count -= 1;
        }
    }

    #[inline]
    pub(crate) fn get(&self, id: ObjectId) -> Option<&Object> {
        let index = (id.0 as usize).wrapping_sub(1);
        self.pages.get(index / OBJECTS_PER_PAGE)?.objects.get(index % OBJECTS_PER_PAGE)
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, id: ObjectId) -> Option<&mut Object> {
        let index = (id.0 as usize).wrapping_sub(1);
        let page = self.pages.get_mut(index / OBJECTS_PER_PAGE)?;
        let block = index % OBJECTS_PER_PAGE / OBJECTS_PER_BLOCK;
        let blocks = blocks(&(block..block + 1));
        if !self.door.is_open(&page.mark, blocks) {
            page.let_out(&mut self.door, index / OBJECTS_PER_PAGE, blocks);
        }
        page.objects.get_mut(index % OBJECTS_PER_PAGE)
    }

    /// Objects in use.
    pub(crate) fn used_count(&self) -> usize {
        self.used_count
    }

    /// The object to be taken apart next.
    pub(crate) fn dying(&self) -> Option<ObjectId> {
        Some(self.dying).filter(|&id| id != ObjectId::NONE)
    }

    /// Notes an object that nobody names any more, and so its tree.
    pub(crate) fn bury(&mut self, id: ObjectId) {
        let (mut dying, mut next) = (id, self.dying);
        while let Some(object) = self.get_mut(dying) {
            object.next = next;
            next = dying;
            dying = mem::take(&mut object.tree);
        }
        self.dying = next;
    }

    /// Gives the number of the object back that was to be taken apart, and now is.
    pub(crate) fn remove_dying(&mut self) {
        let id = self.dying;
        if let Some(object) = self.get(id) {
            self.dying = object.next;
            self.remove(id);
        }
    }

    /// Every object that is to be taken apart.
    pub(crate) fn all_dying(&self) -> impl Iterator<Item = ObjectId> {
        let mut at = self.dying;
        core::iter::from_fn(move || {
            let id = Some(at).filter(|&id| id != ObjectId::NONE)?;
            at = self.get(id)?.next;
            Some(id)
        })
    }
}

impl Page {
    #[cfg(not(feature = "snapshot"))]
    fn let_out(&mut self, _: &mut Door, _: usize, _: Blocks) {}
}
