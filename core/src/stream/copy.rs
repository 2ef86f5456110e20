//! COPY of a stream: page by page, as they are.

use super::entries::Stream;
use super::node::{Body, START};
use crate::arena::{Addr, Class};
use crate::bytes;
use crate::error::{Error, Result};
use crate::keyspace::{Cx, Keyspace};
use crate::object::ObjectId;
use crate::packed::Item;
use crate::record::PageHead;
use crate::table::Target;
use crate::value::TextBuffer;
use crate::write::text_cells;

impl Cx<'_> {
    /// Fills a stream of no key with what a pinned one has.
    pub(crate) fn copy_stream(&mut self, pin: usize, copy: &mut Target<'_>) -> Result<()> {
        let mut stream = self.make_stream(copy)?;
        let done = self.copy_all(pin, &mut stream);
        copy.found = Some(stream.found);
        done
    }

    fn copy_all(&mut self, pin: usize, stream: &mut Stream) -> Result<()> {
        self.copy_nodes(pin, stream)?;
        self.copy_map(pin, |stream| stream.nodes, stream)?;
        if self.source(pin)?.pending != ObjectId::NONE {
            self.make_group_maps(stream)?;
            self.copy_map(pin, |stream| stream.members, stream)?;
            self.copy_map(pin, |stream| stream.pending, stream)?;
        }
        Ok(())
    }

    fn source(&self, pin: usize) -> Result<Stream> {
        let found = self.keys.pinned(pin).ok_or(Error::NoSuchKey)?;
        self.keys.stream(found).ok_or(Error::NoSuchKey)
    }

    fn copy_nodes(&mut self, pin: usize, stream: &mut Stream) -> Result<()> {
        let source = self.source(pin)?;
        let (_, nodes) = self.keys.stream_len(&source);
        for position in 0..nodes {
            self.copy_page(pin, |stream| stream.id, stream, position)?;
            self.copy_apart(stream, position)?;
        }
        let source = self.source(pin)?;
        let len = self.keys.stream_len(&source).0;
        if let Some(object) = self.keys.objects.get_mut(stream.id) {
            object.len = len;
        }
        stream.meta = source.meta;
        self.keys.save(stream);
        Ok(())
    }

    /// Copies a page of one of the objects of a stream to the end of the other's.
    fn copy_page(
        &mut self,
        pin: usize,
        which: fn(&Stream) -> ObjectId,
        stream: &mut Stream,
        position: usize,
    ) -> Result<()> {
        let to = which(stream);
        let from = |cx: &Cx<'_>| -> Result<Addr> {
            let id = which(&cx.source(pin)?);
            let object = cx.keys.objects.get(id).ok_or(Error::NoSuchKey)?;
            Ok(object.page(&cx.keys.arena, position))
        };
        let len = self.keys.arena.cell(from(self)?).len();
        let object = self.keys.objects.get(to).ok_or(Error::OutOfMemory)?;
        let [a, b, c] = object.cells_for(&self.keys.arena, position + 1);
        let mut cells = [(Class::fitting(len), 1), a, b, c];
        self.make_room_beside(&mut stream.found, &mut cells, 1, 0)?;
        let [(class, _), ..] = cells;
        let from = from(self)?;
        let Keyspace { arena, objects, .. } = &mut *self.keys;
        let object = objects.get_mut(to).ok_or(Error::OutOfMemory)?;
        object.grow(arena, to, position + 1).ok_or(Error::OutOfMemory)?;
        let addr = arena.allocate(class).ok_or(Error::OutOfMemory)?;
        arena.copy_part((from, 0), (addr, 0), len);
        PageHead { object: to, level: 0, position: position as u32 }.write(arena.cell_mut(addr));
        object.push(arena, addr);
        Ok(())
    }

    /// Gives the entries of a copied node that stand apart objects of their own; none, once memory
    /// ran out: the others' are not the copy's.
    fn copy_apart(&mut self, stream: &mut Stream, position: usize) -> Result<()> {
        let mut text = TextBuffer::new();
        let mut failed = None;
        let mut skipped = 0;
        while let Some((place, old)) = self.apart_at(stream, position, skipped) {
            let mut id = ObjectId::NONE;
            if failed.is_none() {
                match self.copy_text(old, stream, &mut text) {
                    Ok(made) => id = made,
                    Err(error) => failed = Some(error),
                }
            }
            let object = self.keys.objects.get(stream.id).ok_or(Error::OutOfMemory)?;
            let addr = object.page(&self.keys.arena, position);
            bytes::write_at(self.keys.arena.cell_mut(addr), place, &id.0.to_le_bytes());
            skipped += 1;
        }
        failed.map_or(Ok(()), Err)
    }

    /// Where a node names the object of an entry that stands apart, and the object.
    fn apart_at(
        &self,
        stream: &Stream,
        position: usize,
        skipped: usize,
    ) -> Option<(usize, ObjectId)> {
        let node = self.keys.stream_node(stream, position as u32)?;
        let mut apart = node.entries().filter_map(|entry| match entry.body {
            Body::Apart(id) => Some((START + entry.body_at, id)),
            _ => None,
        });
        apart.nth(skipped)
    }

    fn copy_text(
        &mut self,
        from: ObjectId,
        stream: &mut Stream,
        text: &mut TextBuffer,
    ) -> Result<ObjectId> {
        let len = self.keys.text(Item::Apart(from)).len();
        let mut cells = text_cells(len)?;
        self.make_room_beside(&mut stream.found, &mut cells, 2, 1)?;
        let mut source = text.copy(self.keys.text(Item::Apart(from)))?;
        Ok(self.keys.add_string(&mut source, &cells)?.0)
    }

    fn copy_map(
        &mut self,
        pin: usize,
        which: fn(&Stream) -> ObjectId,
        stream: &mut Stream,
    ) -> Result<()> {
        // The root that is there makes way for the other's.
        let Keyspace { arena, objects, .. } = &mut *self.keys;
        let root = objects.get_mut(which(stream)).and_then(|map| map.pop(arena));
        root.into_iter().for_each(|root| self.keys.arena.free(root));
        let from = which(&self.source(pin)?);
        let map = self.keys.objects.get(from).ok_or(Error::NoSuchKey)?;
        let (pages, len) = (map.pages as usize, map.len);
        for position in 0..pages {
            self.copy_page(pin, which, stream, position)?;
        }
        if let Some(map) = self.keys.objects.get_mut(which(stream)) {
            map.len = len;
        }
        Ok(())
    }
}
