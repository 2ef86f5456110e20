//! The door of a build without snapshots: it is always open, and takes no place.

use crate::snapshot::Blocks;

#[derive(Clone, Copy)]
pub(crate) struct Mark;

pub(crate) struct Door;

impl Door {
    pub(crate) fn new() -> Door {
        Door
    }

    pub(crate) fn mark(&self) -> Mark {
        Mark
    }

    #[inline]
    pub(crate) fn is_open(&self, _: &Mark, _: Blocks) -> bool {
        true
    }
}
