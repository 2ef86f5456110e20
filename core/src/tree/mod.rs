//! Trees: the members of a large sorted set in order, found by score, by text or by rank.
//!
//! A counted B+tree. Its nodes are pages of an object, named by their position there (the slot), so
//! that one that moves is told to the object's directory and to no other node. The root has slot
//! zero, and the last slot takes the place of one that goes. A leaf holds packed entries as a
//! record does. A branch of any other node is `slot | members below it | score | length | text`: it
//! leads to entries from that score and text on. The text is no longer than need be, and cut at a
//! limit; whoever shares all of a text that was cut is compared with the first entry behind it.
//! Elements of a node are passed over one by one, but a search that need not count them begins at
//! one of the node's fences.
//!
//! Invariant: entries are in order of (score, member); branches count the members below them; no
//! node is empty but a root without members; each slot but the root's is in exactly one branch.
//!
//! Not here: how it grows and shrinks (grow.rs, shrink.rs); the table of the same members, which
//! also owns the strings that stand apart (table/); what commands do with ranges (sorted_set/).

mod check;
mod grow;
mod shrink;

use core::cmp::Ordering;

use crate::arena::{Addr, Class};
use crate::bytes;
use crate::keyspace::Keyspace;
use crate::object::ObjectId;
use crate::packed::{Entries, Item, Packed, SCORE_BYTES, item_end};
use crate::record::{Kind, PAGE_HEAD_BYTES, PageHead};

/// Where a node says how many bytes of it are used, and how far it is from the leaves.
const USED_AT: usize = PAGE_HEAD_BYTES;
const HEIGHT_AT: usize = USED_AT + 2;
/// Behind that, the starts of some elements about evenly apart: where a search by score may begin.
const FENCES_AT: usize = HEIGHT_AT + 1;
const FENCES: usize = 7;
const FENCES_BYTES: usize = 2 * FENCES;
/// A fence that is none.
const NO_FENCE: u16 = u16::MAX;
const NODE_START: usize = FENCES_AT + FENCES_BYTES;
/// Bytes of a node: large enough that parents are few and ranges are read in one go, small enough
/// to be searched from the front. Two of the longest entries fit.
const NODE_BYTES_MAX: usize = 2048;
const USED_MAX: usize = NODE_BYTES_MAX - NODE_START;
/// A node with less than this looks for a neighbour to merge with, if both together are no longer
/// than `MERGED_MAX`.
const POOR_MAX: usize = USED_MAX / 3;
const MERGED_MAX: usize = USED_MAX / 4 * 3;
/// A node that is made has this fraction of its bytes to grow into.
const SLACK_DIVISOR: usize = 8;

/// Longest text in a branch.
const TEXT_BYTES_MAX: usize = 120;
const COUNT_AT: usize = 4;
const SCORE_AT: usize = 8;
const BRANCH_HEAD_BYTES: usize = 4 + 4 + 8 + 1;
const BRANCH_BYTES_MAX: usize = BRANCH_HEAD_BYTES + TEXT_BYTES_MAX;
/// Nodes from the root to a leaf: nodes with seven branches would be enough for 2^32 leaves.
const DEPTH_MAX: usize = 12;

/// A place between members: those that come before it, and the others.
#[derive(Clone, Copy)]
pub(crate) enum Edge<'a> {
    /// Before so many members.
    Rank(usize),
    /// Before those with this score, or behind them.
    Score { score: f64, is_behind: bool },
    /// Before this member with this score.
    Member(f64, Item<'a>),
    /// Before this text, or behind it, among members of one score.
    Text { text: &'a [u8], is_behind: bool },
}

/// A leaf, as a walk comes by.
pub(crate) struct Leaf<'a> {
    pub(crate) entries: Entries<'a>,
    /// Members before it.
    pub(crate) rank: usize,
    /// Where the one that was looked for begins.
    pub(crate) at: usize,
    path: Path,
}

/// One node on the way down.
#[derive(Clone, Copy, Default)]
struct Step {
    slot: usize,
    /// Where the node is, until cells move.
    addr: Addr,
    /// The branch that was taken, or the place in the leaf, in bytes.
    at: usize,
}

/// The way from the root to a place in a leaf.
struct Path {
    steps: [Step; DEPTH_MAX],
    len: usize,
    /// Members before the place.
    rank: usize,
    /// Members before the leaf.
    leaf_rank: usize,
}

impl Path {
    fn step(&self, level: usize) -> Step {
        self.steps.get(level).copied().unwrap_or_default()
    }

    fn last(&self) -> Step {
        self.step(self.len.saturating_sub(1))
    }
}

/// What is used of a node, and its height: zero for a leaf.
#[derive(Clone, Copy)]
struct Node<'a> {
    height: u8,
    fences: &'a [u8],
    bytes: &'a [u8],
}

#[derive(Clone, Copy)]
struct Branch<'a> {
    start: usize,
    end: usize,
    slot: usize,
    count: usize,
    score: f64,
    text: &'a [u8],
}

impl<'a> Branch<'a> {
    fn read(bytes: &'a [u8], start: usize) -> Option<Branch<'a>> {
        let (head, rest) = bytes.get(start..)?.split_first_chunk::<BRANCH_HEAD_BYTES>()?;
        let [s0, s1, s2, s3, c0, c1, c2, c3, score @ .., len] = *head;
        let text = rest.get(..len.into())?;
        Some(Branch {
            start,
            end: start + BRANCH_HEAD_BYTES + text.len(),
            slot: u32::from_le_bytes([s0, s1, s2, s3]) as usize,
            count: u32::from_le_bytes([c0, c1, c2, c3]) as usize,
            score: f64::from_le_bytes(score),
            text,
        })
    }

    fn head(&self) -> [u8; BRANCH_HEAD_BYTES] {
        let mut head = [self.text.len() as u8; BRANCH_HEAD_BYTES];
        bytes::write_at(&mut head, 0, &(self.slot as u32).to_le_bytes());
        bytes::write_at(&mut head, COUNT_AT, &(self.count as u32).to_le_bytes());
        bytes::write_at(&mut head, SCORE_AT, &self.score.to_le_bytes());
        head
    }

    fn len(&self) -> usize {
        BRANCH_HEAD_BYTES + self.text.len()
    }
}

impl<'a> Node<'a> {
    fn branches(self) -> impl Iterator<Item = Branch<'a>> {
        let mut start = 0;
        core::iter::from_fn(move || {
            let branch = Branch::read(self.bytes, start)?;
            start = branch.end;
            Some(branch)
        })
    }

    fn entries(self) -> Entries<'a> {
        Entries::new(Kind::SortedSet, self.bytes)
    }

    fn fences(self) -> impl Iterator<Item = usize> {
        let fences = self.fences.as_chunks().0.iter().map(|fence| u16::from_le_bytes(*fence));
        fences.filter(|&fence| fence != NO_FENCE).map(usize::from)
    }

    /// The score of the element at a place.
    #[inline]
    fn score_at(self, at: usize) -> Option<f64> {
        let score = if self.height == 0 { item_end(self.bytes, at)? } else { at + SCORE_AT };
        let score = self.bytes.get(score..).and_then(<[u8]>::first_chunk)?;
        Some(f64::from_le_bytes(*score))
    }

    /// A place before which all elements come before a member with a score, and the one there as
    /// well.
    #[inline]
    fn fence_before(self, limit: f64, member: Item<'_>) -> usize {
        let (fences, _) = self.fences.as_chunks();
        let place = |fence: &[u8; 2]| usize::from(u16::from_le_bytes(*fence));
        let is_low = |fence: &[u8; 2]| {
            let score = self.score_at(place(fence));
            score.is_some_and(|at| {
                at < limit || at == limit && self.is_text_before(place(fence), member)
            })
        };
        // All of them, so that none waits for what memory has of another.
        let passed = fences.iter().filter(|fence| is_low(fence)).count();
        passed.checked_sub(1).and_then(|last| fences.get(last)).map_or(0, place)
    }

    /// Whether the text of the element at a place certainly comes before a member's.
    #[cold]
    fn is_text_before(self, at: usize, member: Item<'_>) -> bool {
        let Item::Here(member) = member else { return false };
        if self.height > 0 {
            // One that was cut is the start of another text.
            let branch = Branch::read(self.bytes, at);
            return branch.is_some_and(|it| it.text.len() < TEXT_BYTES_MAX && it.text < member);
        }
        match self.entries().from(at).next().map(|entry| entry.name) {
            Some(Item::Here(name)) => name < member,
            _ => false,
        }
    }

    /// Where fences are best.
    fn best_fences(self) -> [u8; FENCES_BYTES] {
        let mut fences = [u8::MAX; FENCES_BYTES];
        let (pairs, _) = fences.as_chunks_mut::<2>();
        let mut pairs = pairs.iter_mut().zip(1..).peekable();
        self.bounds(&mut |start, _, _| {
            let is_apart =
                |(_, number): &(_, usize)| start * (FENCES + 1) >= number * self.bytes.len();
            if let Some((fence, _)) = pairs.next_if(is_apart).filter(|_| start > 0) {
                *fence = (start as u16).to_le_bytes();
            }
        });
        fences
    }

    /// The bounds of its elements, in bytes.
    fn bounds(self, visit: &mut dyn FnMut(usize, usize, usize)) {
        if self.height == 0 {
            self.entries().for_each(|entry| visit(entry.start, entry.end, 1));
        } else {
            self.branches().for_each(|branch| visit(branch.start, branch.end, branch.count));
        }
    }

    /// Where to cut it in two, as something is to be added near `at`: in the middle, but at an end
    /// if it grows there. Also how many members are before the cut and behind it.
    fn cut(self, at: usize) -> (usize, usize, usize) {
        let (mut first_end, mut last_start, mut middle) = (0, 0, 0);
        self.bounds(&mut |start, end, _| {
            first_end = if start == 0 { end } else { first_end };
            last_start = start;
            middle = if start <= self.bytes.len() / 2 { start } else { middle };
        });
        let cut = if at >= last_start {
            last_start
        } else if at == 0 {
            first_end
        } else {
            middle.max(first_end)
        };
        let (mut before, mut behind) = (0, 0);
        self.bounds(&mut |start, _, count| {
            *(if start < cut { &mut before } else { &mut behind }) += count;
        });
        (cut, before, behind)
    }
}

/// How far a search in a node came by scores or by ranks alone.
struct Skipped {
    /// Where the entry begins before which all come before the place; the last branch that begins
    /// before it.
    at: usize,
    /// Whether that is the place: nothing behind it has the same score.
    is_found: bool,
}

/// Passes over the entries of a leaf that have lower scores than a place, or lower ranks, without a
/// look at their members. They are counted.
fn skip_entries(bytes: &[u8], from: usize, edge: &Edge<'_>, rank: &mut usize) -> Skipped {
    let mut at = from;
    match *edge {
        Edge::Score { score: limit, .. } | Edge::Member(limit, _) => {
            while let Some(end) = item_end(bytes, at)
                && let Some(score) = bytes.get(end..).and_then(<[u8]>::first_chunk)
            {
                let score = f64::from_le_bytes(*score);
                if score >= limit {
                    return Skipped { at, is_found: score > limit };
                }
                at = end + SCORE_BYTES;
                *rank += 1;
            }
        }
        Edge::Rank(count) => {
            while *rank < count
                && let Some(end) = item_end(bytes, at)
            {
                at = end + SCORE_BYTES;
                *rank += 1;
            }
        }
        Edge::Text { .. } => return Skipped { at, is_found: false },
    }
    Skipped { at, is_found: true }
}

/// The same with branches: those that begin with lower scores, or lead to lower ranks only.
fn skip_branches(bytes: &[u8], from: usize, edge: &Edge<'_>, rank: &mut usize) -> Skipped {
    let (limit, rank_max) = match *edge {
        Edge::Score { score, .. } | Edge::Member(score, _) => (score, usize::MAX),
        Edge::Rank(count) => (f64::INFINITY, count),
        Edge::Text { .. } => return Skipped { at: 0, is_found: false },
    };
    let goes_by_rank = rank_max < usize::MAX;
    let (mut taken, mut count) = (from, 0);
    let mut at = from;
    while let Some(head) = bytes.get(at..).and_then(<[u8]>::first_chunk::<BRANCH_HEAD_BYTES>) {
        let [_, _, _, _, c0, c1, c2, c3, score @ .., len] = *head;
        let score = f64::from_le_bytes(score);
        let is_behind = if goes_by_rank { *rank + count > rank_max } else { score >= limit };
        if at > from && is_behind {
            return Skipped { at: taken, is_found: goes_by_rank || score > limit };
        }
        *rank += count;
        count = u32::from_le_bytes([c0, c1, c2, c3]) as usize;
        taken = at;
        at += BRANCH_HEAD_BYTES + usize::from(len);
    }
    Skipped { at: taken, is_found: true }
}

/// The score that an entry holds.
pub(crate) fn score_of(value: Item<'_>) -> f64 {
    match value {
        Item::Here(bytes) => bytes.first_chunk().map_or(0.0, |bytes| f64::from_le_bytes(*bytes)),
        Item::Apart(_) => 0.0,
    }
}

impl Keyspace {
    /// Which of two strings comes first.
    pub(crate) fn order(&self, a: Item<'_>, b: Item<'_>) -> Ordering {
        match (a, b) {
            (Item::Here(a), Item::Here(b)) => a.cmp(b),
            _ => self.text(a).parts().flatten().cmp(self.text(b).parts().flatten()),
        }
    }

    /// Whether an entry that has so many before it comes before a place.
    #[inline]
    pub(crate) fn is_before(&self, edge: &Edge<'_>, rank: usize, score: f64, name: Item) -> bool {
        match *edge {
            Edge::Rank(count) => rank < count,
            Edge::Score { score: limit, is_behind } => score < limit || is_behind && score == limit,
            Edge::Member(limit, member) => {
                score < limit || score == limit && self.order(name, member).is_lt()
            }
            Edge::Text { text, is_behind } => match self.order(name, Item::Here(text)) {
                Ordering::Less => true,
                Ordering::Equal => is_behind,
                Ordering::Greater => false,
            },
        }
    }

    /// Whether a place is behind the start of a branch that has so many members before it.
    #[inline]
    fn is_past(&self, id: ObjectId, edge: &Edge<'_>, rank: usize, branch: &Branch<'_>) -> bool {
        let (mut score, mut name) = (branch.score, Item::Here(branch.text));
        if branch.text.len() == TEXT_BYTES_MAX
            && self.shares(edge, branch)
            && let Some(first) = self.first_below(id, branch.slot)
        {
            (score, name) = first;
        }
        match *edge {
            Edge::Rank(count) => rank <= count,
            Edge::Member(limit, member) => {
                score < limit || score == limit && self.order(name, member).is_le()
            }
            _ => self.is_before(edge, rank, score, name),
        }
    }

    /// Whether the text that a place goes by begins with all of a branch's.
    fn shares(&self, edge: &Edge<'_>, branch: &Branch<'_>) -> bool {
        let text = match *edge {
            Edge::Member(score, member) if score == branch.score => self.text(member),
            Edge::Text { text, .. } => text.into(),
            _ => return false,
        };
        text.parts().flatten().take(TEXT_BYTES_MAX).eq(branch.text)
    }

    /// The first entry at or below a node.
    fn first_below(&self, id: ObjectId, slot: usize) -> Option<(f64, Item<'_>)> {
        let mut node = self.node(id, slot);
        while node.height > 0 {
            node = self.node(id, Branch::read(node.bytes, 0)?.slot);
        }
        node.entries().next().map(|entry| (score_of(entry.value), entry.name))
    }

    fn node_addr(&self, id: ObjectId, slot: usize) -> Addr {
        self.objects.get(id).map_or(Addr::NONE, |object| object.page(&self.arena, slot))
    }

    fn node(&self, id: ObjectId, slot: usize) -> Node<'_> {
        self.node_at(self.node_addr(id, slot))
    }

    #[inline]
    fn node_at(&self, addr: Addr) -> Node<'_> {
        let cell = self.arena.bytes_from(addr);
        let head = cell.get(USED_AT..NODE_START).and_then(<[u8]>::split_first_chunk);
        let Some((&[a, b, height], fences)) = head else {
            return Node { height: 0, fences: &[], bytes: &[] };
        };
        let used = usize::from(u16::from_le_bytes([a, b]));
        let bytes = cell.get(NODE_START..NODE_START + used).unwrap_or_default();
        Node { height, fences, bytes }
    }

    /// The way to a place.
    fn path(&self, id: ObjectId, edge: &Edge<'_>) -> Path {
        self.path_by(id, edge, &|_| 0)
    }

    /// The way to the place of a member, without its rank.
    fn path_to(&self, id: ObjectId, score: f64, member: Item<'_>) -> Path {
        let edge = Edge::Member(score, member);
        self.path_by(id, &edge, &|node| node.fence_before(score, member))
    }

    /// The way to a place, searched in each node from where `from` says.
    #[inline]
    fn path_by(&self, id: ObjectId, edge: &Edge<'_>, from: &impl Fn(Node<'_>) -> usize) -> Path {
        let mut path = Path { steps: [Step::default(); DEPTH_MAX], len: 0, rank: 0, leaf_rank: 0 };
        let mut slot = 0;
        let object = self.objects.get(id);
        for step in &mut path.steps {
            step.slot = slot;
            step.addr = object.map_or(Addr::NONE, |object| object.page(&self.arena, slot));
            path.len += 1;
            let node = self.node_at(step.addr);
            if node.height == 0 {
                path.leaf_rank = path.rank;
                let skipped = skip_entries(node.bytes, from(node), edge, &mut path.rank);
                step.at = skipped.at;
                if !skipped.is_found {
                    self.pass_entries(node, edge, step, &mut path.rank);
                }
                break;
            }
            let skipped = skip_branches(node.bytes, from(node), edge, &mut path.rank);
            step.at = skipped.at;
            if !skipped.is_found {
                self.pass_branches(id, node, edge, step, &mut path.rank);
            }
            let Some(slot_bytes) = node.bytes.get(step.at..).and_then(<[u8]>::first_chunk) else {
                break;
            };
            slot = u32::from_le_bytes(*slot_bytes) as usize;
        }
        path
    }

    /// Moves a step on over the entries before a place, which are counted.
    #[cold]
    fn pass_entries(&self, leaf: Node<'_>, edge: &Edge<'_>, step: &mut Step, rank: &mut usize) {
        for entry in leaf.entries().from(step.at) {
            if !self.is_before(edge, *rank, score_of(entry.value), entry.name) {
                break;
            }
            step.at = entry.end;
            *rank += 1;
        }
    }

    /// Moves a step on to the last branch that begins before a place; members before it are
    /// counted.
    #[cold]
    fn pass_branches(
        &self,
        id: ObjectId,
        node: Node<'_>,
        edge: &Edge<'_>,
        step: &mut Step,
        rank: &mut usize,
    ) {
        let Some(mut taken) = Branch::read(node.bytes, step.at) else { return };
        while let Some(next) = Branch::read(node.bytes, taken.end) {
            if !self.is_past(id, edge, *rank + taken.count, &next) {
                break;
            }
            *rank += taken.count;
            taken = next;
        }
        step.at = taken.start;
    }

    /// How many members come before a place.
    pub(crate) fn tree_rank(&self, id: ObjectId, edge: &Edge<'_>) -> usize {
        self.path(id, edge).rank
    }

    /// The leaf with the member of a rank.
    pub(crate) fn tree_leaf(&self, id: ObjectId, rank: usize) -> Leaf<'_> {
        let path = self.path(id, &Edge::Rank(rank));
        let Step { slot, at, .. } = path.last();
        Leaf { entries: self.node(id, slot).entries(), rank: path.leaf_rank, at, path }
    }

    /// The leaf behind another, if there is one.
    pub(crate) fn next_leaf(&self, id: ObjectId, leaf: Leaf<'_>) -> Option<Leaf<'_>> {
        let mut path = leaf.path;
        let parent = path.step(path.len.checked_sub(2)?);
        let own = Branch::read(self.node(id, parent.slot).bytes, parent.at)?;
        let rank = leaf.rank + own.count;
        let next = (0..path.len - 1).rev().find_map(|level| {
            let Step { slot, at, .. } = path.step(level);
            let bytes = self.node(id, slot).bytes;
            let next = Branch::read(bytes, Branch::read(bytes, at)?.end)?;
            Some((level, next.start, next.slot))
        });
        let (level, at, mut slot) = next?;
        for (number, step) in path.steps.iter_mut().enumerate().take(path.len).skip(level) {
            if number == level {
                step.at = at;
                continue;
            }
            *step = Step { slot, addr: self.node_addr(id, slot), at: 0 };
            slot = Branch::read(self.node(id, slot).bytes, 0).map_or(0, |branch| branch.slot);
        }
        let entries = self.node(id, path.last().slot).entries();
        Some(Leaf { entries, rank, at: 0, path })
    }
}

/// The class of a node in which so many bytes are used.
fn node_class(used: usize) -> Class {
    let bytes = NODE_START + used;
    Class::fitting((bytes + bytes / SLACK_DIVISOR).min(NODE_BYTES_MAX))
}

impl Keyspace {
    /// The cell that a node needs to become so long: none if its own is large enough.
    fn cell_for(&self, addr: Addr, used: usize) -> (Class, usize) {
        let cell_bytes = self.arena.cell(addr).len();
        (node_class(used), usize::from(NODE_START + used > cell_bytes))
    }

    /// Makes an empty node.
    fn add_node(&mut self, id: ObjectId, slot: usize, height: u8, class: Class) -> Option<Addr> {
        let addr = self.arena.allocate(class)?;
        let cell = self.arena.cell_mut(addr);
        PageHead { object: id, level: 0, position: slot as u32 }.write(cell);
        bytes::write_at(cell, USED_AT, &[0, 0, height]);
        Some(addr)
    }

    /// Says how many bytes of a new node are used, and where its fences are.
    fn set_used(&mut self, addr: Addr, used: usize) {
        bytes::write_at(self.arena.cell_mut(addr), USED_AT, &(used as u16).to_le_bytes());
        let fences = self.node_at(addr).best_fences();
        bytes::write_at(self.arena.cell_mut(addr), FENCES_AT, &fences);
    }

    /// Puts a node in the place of another.
    fn set_node(&mut self, id: ObjectId, slot: usize, addr: Addr) {
        if let Some(object) = self.objects.get(id) {
            object.set(&mut self.arena, 0, slot, addr);
        }
    }

    /// A step after which cells have moved, perhaps.
    fn fresh(&self, id: ObjectId, step: Step) -> Step {
        Step { addr: self.node_addr(id, step.slot), ..step }
    }

    /// Puts `pieces` in the place of a part of a node: in a new cell of a class, or where it is.
    fn splice_node(
        &mut self,
        id: ObjectId,
        Step { slot, mut addr, .. }: Step,
        (start, end): (usize, usize),
        pieces: &[Packed<'_>],
        class: Option<Class>,
    ) -> Option<()> {
        let Node { height, bytes, .. } = self.node_at(addr);
        let used = bytes.len();
        let added: usize = pieces.iter().map(Packed::len).sum();
        let (from, to) = (NODE_START + end, NODE_START + start + added);
        if let Some(class) = class {
            let new = self.add_node(id, slot, height, class)?;
            self.arena.copy_part((addr, NODE_START), (new, NODE_START), start);
            self.arena.copy_part((addr, from), (new, to), used - end);
            self.set_node(id, slot, new);
            self.arena.free(addr);
            addr = new;
        }
        let cell = self.arena.cell_mut(addr);
        if class.is_none()
            && let Some(bytes) = cell.get_mut(..(NODE_START + used).max(to + used - end))
        {
            bytes.copy_within(from..from + used - end, to);
        }
        pieces.iter().fold(NODE_START + start, |at, piece| piece.write(cell, at));
        let new_used = used - (end - start) + added;
        if class.is_some() {
            self.set_used(addr, new_used);
            return Some(());
        }
        bytes::write_at(cell, USED_AT, &(new_used as u16).to_le_bytes());
        let fences = cell.get_mut(FENCES_AT..NODE_START).unwrap_or_default();
        for fence in fences.as_chunks_mut().0 {
            let place = u16::from_le_bytes(*fence);
            if usize::from(place) > start && place != NO_FENCE {
                let moved = place.wrapping_add(added as u16).wrapping_sub((end - start) as u16);
                *fence = moved.to_le_bytes();
            }
        }
        Some(())
    }

    fn set_count(&mut self, id: ObjectId, step: Step, count: usize) {
        let at = NODE_START + step.at + COUNT_AT;
        let cell = self.arena.cell_mut(self.node_addr(id, step.slot));
        bytes::write_at(cell, at, &(count as u32).to_le_bytes());
    }

    /// Counts a member more or less in each branch on the way to it.
    fn count_on(&mut self, id: ObjectId, path: &Path, change: i32) {
        for step in path.steps.iter().take(path.len.saturating_sub(1)) {
            let cell = self.arena.cell_mut(step.addr);
            let count = cell.get_mut(NODE_START + step.at + COUNT_AT..);
            if let Some(count) = count.and_then(<[u8]>::first_chunk_mut) {
                *count = u32::from_le_bytes(*count).wrapping_add_signed(change).to_le_bytes();
            }
        }
        if let Some(object) = self.objects.get_mut(id) {
            object.len = object.len.wrapping_add_signed(change as isize);
        }
    }

    /// Gives a node another slot, of which nobody else has it.
    fn place_node(&mut self, id: ObjectId, slot: usize, addr: Addr) {
        let head = PageHead { object: id, level: 0, position: slot as u32 };
        head.write(self.arena.cell_mut(addr));
        self.set_node(id, slot, addr);
    }
}
