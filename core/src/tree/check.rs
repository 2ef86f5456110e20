//! Checks of a tree, for `Keyspace::validate`.

use super::{Edge, score_of};
use crate::keyspace::Keyspace;
use crate::linear::Buckets;
use crate::object::{Object, ObjectId};
use crate::packed::Entries;
use crate::record::Kind;
use crate::table::page_entries;

impl Keyspace {
    /// Whether entries are in the order of their scores and members, each another one.
    pub(crate) fn are_in_order(&self, bytes: &[u8]) -> bool {
        Entries::new(Kind::SortedSet, bytes).is_sorted_by(|a, b| {
            let (score, next) = (score_of(a.value), score_of(b.value));
            score < next || score == next && self.order(a.name, b.name).is_lt()
        })
    }

    /// Checks that the tree of a table is sound, and has the members of the table.
    pub(crate) fn validate_tree(&self, table: &Object) -> Result<(), &'static str> {
        let id = table.tree;
        let pages = self.objects.get(id).map_or(0, |object| object.pages as usize);
        let len = self.objects.get(id).map_or(0, |object| object.len);
        let (mut nodes, mut rank) = (0, 0);
        self.validate_node(id, 0, table, &mut nodes, &mut rank)?;
        if nodes != pages || rank != len || rank != table.len {
            return Err("tree: nodes or members are missing, or there are too many");
        }
        Ok(())
    }

    fn validate_node(
        &self,
        id: ObjectId,
        slot: usize,
        table: &Object,
        nodes: &mut usize,
        rank: &mut usize,
    ) -> Result<(), &'static str> {
        let node = self.node(id, slot);
        *nodes += 1;
        if node.bytes.is_empty() {
            return Err("tree: a node is empty");
        }
        if node.height == 0 && !self.are_in_order(node.bytes) {
            return Err("tree: members are out of order");
        }
        let fences = || node.fences().filter(|&fence| fence < node.bytes.len());
        let mut right = 0;
        node.bounds(&mut |start, _, _| right += fences().filter(|&fence| fence == start).count());
        if right != fences().count() || !node.fences().is_sorted() {
            return Err("tree: a fence is not where an element begins");
        }
        for branch in node.branches().take(if node.height > 0 { usize::MAX } else { 0 }) {
            let before = *rank;
            if self.node(id, branch.slot).height + 1 != node.height {
                return Err("tree: a leaf is too deep, or not deep enough");
            }
            self.validate_node(id, branch.slot, table, nodes, rank)?;
            if *rank - before != branch.count {
                return Err("tree: a branch counts other members than there are");
            }
        }
        for entry in node.entries().take(if node.height > 0 { 0 } else { usize::MAX }) {
            let path = self.path(id, &Edge::Member(score_of(entry.value), entry.name));
            let quick = self.path_to(id, score_of(entry.value), entry.name).last();
            if quick.slot != slot || quick.at != entry.start {
                return Err("tree: fences lead elsewhere");
            }
            if path.rank != *rank || path.last().slot != slot || path.last().at != entry.start {
                return Err("tree: a member is not where the branches lead");
            }
            let page = Buckets::new(table.pages as usize).of(self.hash_item(entry.name));
            let bytes = page_entries(&self.arena, table, page);
            let mut entries = Entries::new(Kind::SortedSet, bytes);
            if !entries.any(|other| other.name == entry.name && other.value == entry.value) {
                return Err("tree: the table has another score for a member, or none");
            }
            *rank += 1;
        }
        Ok(())
    }
}
