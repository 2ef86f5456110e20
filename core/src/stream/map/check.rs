//! Checks of a map, for `Keyspace::validate`.

use super::{Item, Key, Node};
use crate::keyspace::Keyspace;
use crate::object::ObjectId;
use crate::validate::Checked;

/// What is handed each item.
type Show<'f> = &'f mut dyn FnMut(&[u8], &[u8]) -> Checked<()>;

impl Keyspace {
    /// Checks that a map is sound, and shows each of its items.
    pub(in crate::stream) fn validate_map(&self, map: ObjectId, show: Show<'_>) -> Checked<()> {
        let object = self.objects.get(map).ok_or("map: no such object")?;
        let mut seen = (0, 0);
        self.validate_map_node(map, 0, &[], &mut seen, show)?;
        if seen != (object.pages as usize, object.len) {
            return Err("map: nodes or items are missing, or there are too many");
        }
        Ok(())
    }

    /// Checks what is below a node, whose keys are not below `lowest`.
    fn validate_map_node(
        &self,
        map: ObjectId,
        slot: usize,
        lowest: &[u8],
        seen: &mut (usize, usize),
        show: Show<'_>,
    ) -> Checked<()> {
        let (node, bound) = (self.map_node(map, slot), lowest);
        seen.0 += 1;
        if node.bytes.is_empty() && slot > 0 {
            return Err("map: a node is empty");
        }
        let (mut key, mut end) = (Key::EMPTY, 0);
        for item in node.items() {
            let before = key;
            key.extend_from(item.shared, item.rest);
            let (a, b) = (before.as_bytes(), key.as_bytes());
            let shared = a.iter().zip(b).take_while(|(a, b)| a == b).count();
            let is_lead = node.height > 0 && item.start == 0;
            let lowest = if is_lead { lowest } else { b };
            if shared != item.shared || (item.start > 0 && a >= b) || is_lead && !b.is_empty() {
                return Err("map: keys are out of order, or do not share what they say");
            }
            end = item.end;
            if node.height == 0 {
                if b < bound {
                    return Err("map: a key is lower than its branch says");
                }
                seen.1 += 1;
                self.check_way_to(map, slot, &item, b)?;
                show(b, item.value)?;
            } else if self.map_node(map, item.slot()).height + 1 != node.height {
                return Err("map: a leaf is too deep, or not deep enough");
            } else {
                self.validate_map_node(map, item.slot(), lowest, seen, show)?;
            }
        }
        if end == node.bytes.len() { Ok(()) } else { Err("map: items do not fill their node") }
    }

    fn check_way_to(&self, map: ObjectId, slot: usize, item: &Item<'_>, key: &[u8]) -> Checked<()> {
        let (path, spot) = self.map_path(map, key);
        let is_here = path.last().slot == slot && spot.at == item.start && spot.is_exact;
        let Node { bytes, .. } = self.map_node(map, slot);
        let is_read = Item::read(bytes, spot.at).is_some_and(|other| other.value == item.value);
        if is_here && is_read { Ok(()) } else { Err("map: a key is not where the branches lead") }
    }
}
