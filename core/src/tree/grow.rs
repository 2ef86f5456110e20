//! Trees that grow: how one is made of packed entries, and how a member comes into it.
//!
//! A node that is full is cut in two before a member is added below it, from the top down: each cut
//! is complete in itself, so that the tree is sound wherever memory runs out.

use super::{
    BRANCH_BYTES_MAX, BRANCH_HEAD_BYTES, Branch, NODE_START, Node, Path, Step, TEXT_BYTES_MAX,
    USED_MAX, node_class, score_of,
};
use crate::arena::Class;
use crate::bytes;
use crate::error::{Error, Result};
use crate::keyspace::{Cx, Found, Keyspace};
use crate::object::{ObjectId, directory_cells};
use crate::packed::{Entries, Item, Packed};
use crate::record::Kind;

/// The start of a branch: a score, and the front of a text.
struct Start {
    score: f64,
    text: [u8; TEXT_BYTES_MAX],
    len: usize,
}

impl Start {
    fn new(score: f64, text: &[u8]) -> Start {
        let mut start = Start { score, text: [0; TEXT_BYTES_MAX], len: text.len() };
        bytes::copy(&mut start.text, text);
        start
    }

    fn branch(&self, slot: usize, count: usize) -> Branch<'_> {
        let text = self.text.get(..self.len).unwrap_or_default();
        Branch { start: 0, end: 0, slot, count, score: self.score, text }
    }
}

impl Cx<'_> {
    /// Makes a tree of the packed entries of a record, which are in order; an empty one if they
    /// are in a table.
    pub(crate) fn make_tree(&mut self, found: &mut Found) -> Result<ObjectId> {
        let used = if found.head.is_large() { 0 } else { found.head.stored_len() };
        let [a, b, c] = directory_cells(1);
        let mut cells = [(node_class(used), 1), a, b, c];
        self.make_room_beside(found, &mut cells, 1, 1)?;
        let [(class, _), ..] = cells;
        let Keyspace { arena, objects, .. } = &mut *self.keys;
        // To the directory and to whoever takes it apart it is a string: pages without references.
        let id = objects.add(Kind::String).ok_or(Error::OutOfMemory)?;
        let object = objects.get_mut(id).ok_or(Error::OutOfMemory)?;
        let is_grown = object.grow(arena, id, 1).is_some();
        let Some(root) = self.keys.add_node(id, 0, 0, class).filter(|_| is_grown) else {
            self.keys.release(id);
            return Err(Error::OutOfMemory);
        };
        let from = (found.addr, found.head.stored_start());
        self.keys.arena.copy_part(from, (root, NODE_START), used);
        self.keys.set_used(root, used);
        let Keyspace { arena, objects, .. } = &mut *self.keys;
        let entries = found.head.stored(arena.cell(found.addr)).get(..used).unwrap_or_default();
        let count = Entries::new(Kind::SortedSet, entries).count();
        let object = objects.get_mut(id).ok_or(Error::OutOfMemory)?;
        object.push(arena, root);
        object.len = count;
        Ok(id)
    }

    /// Adds a member that is not there with this score. The record of the sorted set stays.
    pub(crate) fn tree_insert(
        &mut self,
        found: &mut Found,
        id: ObjectId,
        score: f64,
        member: Item<'_>,
    ) -> Result<()> {
        let value = score.to_le_bytes();
        let pieces = [Packed::new(member), Packed::raw(&value)];
        let added: usize = pieces.iter().map(Packed::len).sum();
        loop {
            let mut path = self.keys.path_to(id, score, member);
            if let Some(level) = self.keys.full_level(&path, added) {
                self.split_node(found, id, &path, level)?;
                continue;
            }
            let used = self.keys.node_at(path.last().addr).bytes.len() + added;
            let mut cells = [self.keys.cell_for(path.last().addr, used)];
            if cells[0].1 > 0 {
                self.make_room_beside(found, &mut cells, 1, 0)?;
                path.steps.iter_mut().for_each(|step| *step = self.keys.fresh(id, *step));
            }
            let [(class, count)] = cells;
            let (leaf, class) = (path.last(), (count > 0).then_some(class));
            let place = (leaf.at, leaf.at);
            self.keys.splice_node(id, leaf, place, &pieces, class).ok_or(Error::OutOfMemory)?;
            self.keys.count_on(id, &path, 1);
            return Ok(());
        }
    }

    /// Cuts a node in two, where its parent has room for one more branch.
    fn split_node(
        &mut self,
        found: &mut Found,
        id: ObjectId,
        path: &Path,
        level: usize,
    ) -> Result<()> {
        let Step { slot, at, .. } = path.step(level);
        let node = self.keys.node(id, slot);
        let (height, used) = (node.height, node.bytes.len());
        let (cut, before, behind) = node.cut(at);
        let start = self.keys.start_of(node, cut).ok_or(Error::OutOfMemory)?;
        let parent = if level > 0 { path.step(level - 1) } else { Step::default() };
        let object = self.keys.objects.get(id).ok_or(Error::OutOfMemory)?;
        let pages = object.pages as usize;
        let new_pages = if level > 0 { 1 } else { 2 };
        let [a, b, c] = object.cells_for(&self.keys.arena, pages + new_pages);
        let branch = start.branch(pages + new_pages - 1, behind);
        let upper = if level > 0 {
            let used = self.keys.node(id, parent.slot).bytes.len();
            self.keys.cell_for(parent.addr, used + branch.len())
        } else {
            (node_class(BRANCH_HEAD_BYTES + branch.len()), 1)
        };
        let mut cells = [(node_class(cut), 1), (node_class(used - cut), 1), upper, a, b, c];
        self.make_room_beside(found, &mut cells, 3, 0)?;
        let [(left_class, _), (right_class, _), (upper_class, upper_count), ..] = cells;
        let Keyspace { arena, objects, .. } = &mut *self.keys;
        let object = objects.get_mut(id).ok_or(Error::OutOfMemory)?;
        object.grow(arena, id, pages + new_pages).ok_or(Error::OutOfMemory)?;
        let left_slot = if level > 0 { slot } else { pages };
        let page = self.keys.node_addr(id, slot);
        let part = |keys: &mut Keyspace, slot, class, (start, end): (usize, usize)| {
            let to = keys.add_node(id, slot, height, class)?;
            keys.arena.copy_part((page, NODE_START + start), (to, NODE_START), end - start);
            keys.set_used(to, end - start);
            Some(to)
        };
        let left = part(self.keys, left_slot, left_class, (0, cut)).ok_or(Error::OutOfMemory)?;
        let right = part(self.keys, branch.slot, right_class, (cut, used));
        let Some(right) = right else {
            self.keys.arena.free(left);
            return Err(Error::OutOfMemory);
        };
        let upper_class = (upper_count > 0).then_some(upper_class);
        let done = if level > 0 {
            self.keys.grow_parent(id, parent, before, &branch, upper_class)
        } else {
            self.keys.add_root(id, height + 1, upper_class, [(left_slot, before)], &branch)
        };
        if done.is_none() {
            [left, right].into_iter().for_each(|node| self.keys.arena.free(node));
            return Err(Error::OutOfMemory);
        }
        self.keys.arena.free(page);
        let Keyspace { arena, objects, .. } = &mut *self.keys;
        let object = objects.get_mut(id).ok_or(Error::OutOfMemory)?;
        if level > 0 {
            object.set(arena, 0, slot, left);
        } else {
            object.push(arena, left);
        }
        object.push(arena, right);
        Ok(())
    }
}

impl Keyspace {
    /// The highest of the nodes that must be split before a leaf can take so many bytes more.
    fn full_level(&self, path: &Path, added: usize) -> Option<usize> {
        let mut added = added;
        let mut full = None;
        for level in (0..path.len).rev() {
            if self.node_at(path.step(level).addr).bytes.len() + added <= USED_MAX {
                break;
            }
            full = Some(level);
            added = BRANCH_BYTES_MAX;
        }
        full
    }

    /// What tells the elements of a node from a cut on from those before.
    fn start_of(&self, node: Node<'_>, cut: usize) -> Option<Start> {
        if node.height > 0 {
            let branch = Branch::read(node.bytes, cut)?;
            return Some(Start::new(branch.score, branch.text));
        }
        let left = node.entries().take_while(|entry| entry.start < cut).last()?;
        let right = node.entries().from(cut).next()?;
        let score = score_of(right.value);
        let mut start = Start::new(score, &[]);
        if score_of(left.value) < score {
            return Some(start);
        }
        let mut other = self.text(left.name).parts().flatten();
        for (target, &byte) in start.text.iter_mut().zip(self.text(right.name).parts().flatten()) {
            *target = byte;
            start.len += 1;
            if other.next() != Some(&byte) {
                break;
            }
        }
        Some(start)
    }

    /// Adds a branch behind one whose node was cut in two, and has so many members left.
    fn grow_parent(
        &mut self,
        id: ObjectId,
        parent: Step,
        left_count: usize,
        branch: &Branch<'_>,
        class: Option<Class>,
    ) -> Option<()> {
        let parent = self.fresh(id, parent);
        let old = Branch::read(self.node_at(parent.addr).bytes, parent.at)?;
        let (old_end, head) = (old.end, branch.head());
        let pieces = [Packed::raw(&head), Packed::raw(branch.text)];
        self.splice_node(id, parent, (old_end, old_end), &pieces, class)?;
        self.set_count(id, parent, left_count);
        Some(())
    }

    /// Makes a root of two branches. The old one is still to be freed.
    fn add_root(
        &mut self,
        id: ObjectId,
        height: u8,
        class: Option<Class>,
        [(slot, count)]: [(usize, usize); 1],
        branch: &Branch<'_>,
    ) -> Option<()> {
        let root = self.add_node(id, 0, height, class?)?;
        let first = Branch { slot, count, score: f64::NEG_INFINITY, text: &[], ..*branch }.head();
        let second = branch.head();
        let cell = self.arena.cell_mut(root);
        let pieces = [Packed::raw(&first), Packed::raw(&second), Packed::raw(branch.text)];
        let end = pieces.iter().fold(NODE_START, |at, piece| piece.write(cell, at));
        self.set_used(root, end - NODE_START);
        self.set_node(id, 0, root);
        Some(())
    }
}
