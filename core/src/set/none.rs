//! What stands for members.rs at the edge: members are always too many.

use core::ops::Range;

use crate::error::Result;
use crate::keyspace::Cx;
use crate::reply::Reply;
use crate::set::SetOperation;
use crate::table::Target;

pub(super) fn answer(_: &mut Cx<'_>, _: SetOperation, _: &Range<usize>, _: &mut dyn Reply) -> bool {
    false
}

pub(super) fn count(_: &mut Cx<'_>, _: SetOperation, _: &Range<usize>) -> Option<usize> {
    None
}

pub(super) fn fill(
    _: &mut Cx<'_>,
    _: SetOperation,
    _: &Range<usize>,
) -> Result<Option<Target<'static>>> {
    Ok(None)
}
