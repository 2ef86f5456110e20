//! Searches: GEOSEARCH, GEOSEARCHSTORE, and GEORADIUS with its sisters.
//!
//! What is searched is covered by up to nine cells: the one that the centre is in and those around
//! it, as large as they must be. Their members stand together in the sorted set, and are looked at
//! one by one. As in Redis they come in the order of the cells if no other is asked for.
//!
//! Invariant: no more places are kept than are wanted, twice over; and memory for more than a
//! segment of them is made room for.

use core::cmp::Ordering;

use alloc::vec::Vec;
use libm::sqrt;

use crate::arena::SEGMENT_BYTES;
use crate::command::{Args, word};
use crate::error::{Error, Result};
use crate::keyspace::{Cx, Found};
use crate::limits::SEARCH_STEP_MEMBERS;
use crate::num::integer;
use crate::packed::Item;
use crate::record::Kind;
use crate::reply::Reply;
use crate::score::parse_score;
use crate::sorted_set::Slice;
use crate::tree::Edge;
use crate::value::Value;

use super::cell::{Cell, Position, STEPS_MAX, position_of};
use super::earth::{
    ROUGH_METRES, degrees_of, distance, distance_within, latitude_distance, longitudes_of,
    rough_distance,
};
use super::text::Text;
use super::{Refusal, answered, parse_position, parse_unit, reply_position};

/// What a search of the older commands starts from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    Position,
    Member,
}

/// Which of the commands it is.
#[derive(Clone, Copy)]
pub(super) struct Form {
    /// What GEORADIUS and its sisters have at fixed places.
    by: Option<By>,
    /// Whether STORE and STOREDIST are options.
    may_store: bool,
    /// Whether it always stores.
    is_stored: bool,
}

impl Form {
    pub(super) const SEARCH: Form = Form { by: None, may_store: false, is_stored: false };
    pub(super) const SEARCH_STORE: Form = Form { by: None, may_store: false, is_stored: true };

    pub(super) const fn radius(by: By, may_store: bool) -> Form {
        Form { by: Some(by), may_store, is_stored: false }
    }
}

/// What is searched, its sides in the unit that comes with them.
#[derive(Clone, Copy)]
enum Shape {
    Circle { radius: f64 },
    Box { width: f64, height: f64 },
}

/// What is asked for.
struct Query<'a> {
    centre: Option<Position>,
    shape: Option<Shape>,
    /// The unit of lengths, in metres.
    unit: f64,
    order: Option<Ordering>,
    /// How many at most.
    count: Option<usize>,
    /// Whether any of them will do.
    is_any: bool,
    with_distance: bool,
    with_hash: bool,
    with_position: bool,
    store: Option<&'a [u8]>,
    stores_distance: bool,
}

/// A member within what is searched.
#[derive(Clone, Copy)]
struct Place {
    /// How far it is from the centre, nearly.
    metres: f64,
    score: f64,
    rank: usize,
    /// When it was found: those that are equally far keep that order.
    number: usize,
}

/// What is searched, in metres and degrees.
struct Search {
    centre: Position,
    shape: Shape,
    unit: f64,
}

impl Search {
    /// How far a position is from the centre, nearly, if it is within the shape.
    fn metres_to(&self, position: &Position) -> Option<f64> {
        match self.shape {
            Shape::Circle { radius } => {
                let radius = radius * self.unit;
                // Often the latitudes alone are too far apart, and no angle is needed.
                let apart = latitude_distance(self.centre.latitude, position.latitude);
                if apart > radius + ROUGH_METRES {
                    return None;
                }
                distance_within(&self.centre, position, radius)
            }
            Shape::Box { width, height } => {
                let (width, height) = (width * self.unit, height * self.unit);
                let apart = latitude_distance(position.latitude, self.centre.latitude);
                if apart > height / 2.0 {
                    return None;
                }
                let across = Position { longitude: self.centre.longitude, ..*position };
                distance_within(position, &across, width / 2.0)?;
                Some(rough_distance(&self.centre, position))
            }
        }
    }

    /// How many cuts each way leave cells that are large enough.
    fn steps(&self) -> u32 {
        /// Half the equator, in Mercator's projection.
        const MERCATOR_MAX_METRES: f64 = 20_037_726.37;
        let reach = match self.shape {
            Shape::Circle { radius } => radius,
            Shape::Box { width, height } => {
                sqrt((width / 2.0) * (width / 2.0) + (height / 2.0) * (height / 2.0))
            }
        };
        let mut reach = reach * self.unit;
        if reach == 0.0 {
            return STEPS_MAX;
        }
        let mut steps = 1i32;
        while reach < MERCATOR_MAX_METRES {
            reach *= 2.0;
            steps += 1;
        }
        // Towards the poles cells get narrow.
        let latitude = self.centre.latitude.abs();
        steps -= 2 + i32::from(latitude > 66.0) + i32::from(latitude > 80.0);
        steps.clamp(1, STEPS_MAX as i32) as u32
    }

    /// The cells that cover the shape, the one with the centre first; none in place of those that
    /// are not needed.
    fn cells(&self) -> [Option<Cell>; 9] {
        let Position { longitude, latitude } = self.centre;
        let (width, height) = match self.shape {
            Shape::Circle { radius } => (self.unit * radius, self.unit * radius),
            Shape::Box { width, height } => (self.unit * (width / 2.0), self.unit * (height / 2.0)),
        };
        let rise = degrees_of(height);
        // The side towards the nearer pole is as wide in metres, so it is wider in degrees.
        let widest = if latitude < 0.0 { latitude - rise } else { latitude + rise };
        let reach = longitudes_of(width, widest);
        let (south, north) = (latitude - rise, latitude + rise);
        let (west, east) = (longitude - reach, longitude + reach);

        let mut steps = self.steps();
        let mut cell = Cell::of(&self.centre, steps);
        // Near an edge of its cell the shape may reach beyond the next.
        let is_beyond = cell.beside(0, 1).edges().north < north
            || cell.beside(0, -1).edges().south > south
            || cell.beside(1, 0).edges().east < east
            || cell.beside(-1, 0).edges().west > west;
        if steps > 1 && is_beyond {
            steps -= 1;
            cell = Cell::of(&self.centre, steps);
        }
        let edges = cell.edges();
        // Where the cell reaches beyond the shape nothing is searched. Two cells each way are all.
        let [no_south, no_north, no_west, no_east] =
            [edges.south < south, edges.north > north, edges.west < west, edges.east > east]
                .map(|is_enough| is_enough && steps >= 2);
        [(0, 0), (0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (-1, 1), (1, -1), (-1, -1)].map(
            |(by_east, by_north)| {
                let is_needless = no_south && by_north < 0
                    || no_north && by_north > 0
                    || no_west && by_east < 0
                    || no_east && by_east > 0;
                (!is_needless).then(|| cell.beside(by_east, by_north))
            },
        )
    }
}

impl Query<'_> {
    fn compare(&self, a: &Place, b: &Place) -> Ordering {
        let by_distance = a.metres.partial_cmp(&b.metres).unwrap_or(Ordering::Equal);
        let by_distance = match self.order {
            Some(Ordering::Greater) => by_distance.reverse(),
            Some(_) => by_distance,
            None => Ordering::Equal,
        };
        by_distance.then_with(|| a.number.cmp(&b.number))
    }
}

pub(super) fn search(
    cx: &mut Cx<'_>,
    args: &mut Args<'_>,
    reply: &mut dyn Reply,
    form: Form,
) -> Result<()> {
    let searched = run(cx, args, reply, form);
    answered(searched, reply)
}

fn run(
    cx: &mut Cx<'_>,
    args: &mut Args<'_>,
    reply: &mut dyn Reply,
    form: Form,
) -> Result<(), Refusal> {
    let destination = form.is_stored.then(|| args.required());
    let found = cx.read(args.required(), Kind::SortedSet)?;
    let mut query = cx.read_query(found, args, form)?;
    query.store = destination.or(query.store);
    query.check(form)?;
    let mut places = Vec::new();
    let mut found = found;
    if let (Some(found), Some(centre), Some(shape)) = (&mut found, query.centre, query.shape) {
        let search = Search { centre, shape, unit: query.unit };
        cx.find_places(found, &search, &query, &mut places)?;
    }
    if query.order.is_some() {
        places.sort_unstable_by(|a, b| query.compare(a, b));
    }
    places.truncate(query.count.unwrap_or(usize::MAX));
    match query.store {
        Some(destination) => {
            let pins = cx.keys.pins.len();
            cx.keys.pins.extend(found.map(|found| found.addr));
            let scores = places.iter().map(|place| {
                let is_distance = query.stores_distance;
                let length = || query.metres_to(place) / query.unit;
                (place.rank, if is_distance { length() } else { place.score })
            });
            let made = cx.copy_members(pins, scores);
            cx.keys.pins.truncate(pins);
            cx.install_scores(destination, made?)?;
            reply.integer(places.len() as i64);
        }
        None => {
            reply.array(places.len());
            // Without an order neighbours often come one after the other, and are found together.
            for neighbours in places.chunk_by(|a, b| a.rank + 1 == b.rank) {
                if let (Some(found), Some(first)) = (&found, neighbours.first()) {
                    let count = neighbours.len();
                    let slice = Slice { first: first.rank, count, is_reverse: false };
                    let mut rest = neighbours.iter();
                    cx.keys.members(found, &slice, &mut |name, _| {
                        if let Some(place) = rest.next() {
                            query.show(place, cx.keys.text(name), reply);
                        }
                    });
                }
            }
        }
    }
    Ok(())
}

impl<'a> Query<'a> {
    /// Reads what GEORADIUS and its sisters have at fixed places behind the centre.
    fn read_radius(&mut self, args: &mut Args<'a>) -> Result<()> {
        let radius = parse_score(args.required()).ok_or(Error::RadiusNotANumber)?;
        if radius < 0.0 {
            return Err(Error::NegativeRadius);
        }
        self.unit = parse_unit(args.required())?;
        self.shape = Some(Shape::Circle { radius });
        Ok(())
    }

    fn read_box(&mut self, args: &mut Args<'a>) -> Result<()> {
        let width = parse_score(args.required()).ok_or(Error::WidthNotANumber)?;
        let height = parse_score(args.required()).ok_or(Error::HeightNotANumber)?;
        if width < 0.0 || height < 0.0 {
            return Err(Error::NegativeSide);
        }
        self.unit = parse_unit(args.required())?;
        self.shape = Some(Shape::Box { width, height });
        Ok(())
    }

    /// Whether the options go together.
    fn check(&mut self, form: Form) -> Result<()> {
        let is_answer = self.with_distance || self.with_hash || self.with_position;
        if self.store.is_some() && is_answer {
            let error = Error::StoreWithAnswer;
            return Err(if form.is_stored { Error::SearchStoreWithAnswer } else { error });
        }
        if form.by.is_none() && self.centre.is_none() {
            let error = Error::SearchWithoutCentre;
            return Err(if form.is_stored { Error::SearchStoreWithoutCentre } else { error });
        }
        if form.by.is_none() && self.shape.is_none() {
            let error = Error::SearchWithoutShape;
            return Err(if form.is_stored { Error::SearchStoreWithoutShape } else { error });
        }
        if self.is_any && self.count.is_none() {
            return Err(Error::AnyWithoutCount);
        }
        // Some of them, without an order, are the nearest.
        if self.count.is_some() && !self.is_any {
            self.order = self.order.or(Some(Ordering::Less));
        }
        Ok(())
    }

    /// How far a place is from the centre.
    fn metres_to(&self, place: &Place) -> f64 {
        self.centre.map_or(0.0, |centre| distance(&centre, &position_of(place.score)))
    }

    /// Answers one place.
    fn show(&self, place: &Place, member: Value<'_>, reply: &mut dyn Reply) {
        let options = [self.with_distance, self.with_hash, self.with_position];
        let count = options.iter().filter(|&&is_wanted| is_wanted).count();
        if count > 0 {
            reply.array(1 + count);
        }
        reply.bulk(member);
        if self.with_distance {
            let is_clear = Text::is_clear(place.metres / self.unit, ROUGH_METRES / self.unit);
            let metres = if is_clear { place.metres } else { self.metres_to(place) };
            reply.bulk(Text::distance(metres / self.unit).as_bytes().into());
        }
        if self.with_hash {
            reply.integer(place.score as i64);
        }
        if self.with_position {
            reply_position(&position_of(place.score), reply);
        }
    }
}

/// The options, in the order in which `read_query` knows them.
const OPTIONS: [&str; 13] = [
    "withdist",
    "withhash",
    "withcoord",
    "any",
    "asc",
    "desc",
    "count",
    "storedist",
    "store",
    "frommember",
    "fromlonlat",
    "byradius",
    "bybox",
];

impl Cx<'_> {
    /// Reads what stands behind the key. As in Redis a key that is not there is not asked for its
    /// members.
    fn read_query<'a>(
        &mut self,
        found: Option<Found>,
        args: &mut Args<'a>,
        form: Form,
    ) -> Result<Query<'a>, Refusal> {
        let mut query = Query {
            centre: None,
            shape: None,
            unit: 1.0,
            order: None,
            count: None,
            is_any: false,
            with_distance: false,
            with_hash: false,
            with_position: false,
            store: None,
            stores_distance: false,
        };
        match (form.by, found) {
            (Some(By::Position), _) => {
                query.centre = Some(parse_position(args.required(), args.required())?);
                query.read_radius(args)?;
            }
            (Some(By::Member), Some(_)) => {
                query.centre = Some(self.position_in(found, args.required())?);
                query.read_radius(args)?;
            }
            (Some(By::Member), None) => drop(args.take_first(3)),
            (None, _) => {}
        }
        let is_search = form.by.is_none();
        let (mut from_member, mut from_position) = (false, false);
        while let Some(option) = args.next() {
            let is_box = matches!(query.shape, Some(Shape::Box { .. }));
            let is_circle = matches!(query.shape, Some(Shape::Circle { .. }));
            match word(option, &OPTIONS) {
                0 => query.with_distance = true,
                1 => query.with_hash = true,
                2 => query.with_position = true,
                3 => query.is_any = true,
                4 => query.order = Some(Ordering::Less),
                5 => query.order = Some(Ordering::Greater),
                6 if args.len() >= 1 => {
                    let count = usize::try_from(integer(args.required())?).unwrap_or(0);
                    query.count = Some(count).filter(|&count| count > 0);
                    query.count.ok_or(Error::PlaceCountNotPositive)?;
                }
                7 if form.is_stored => query.stores_distance = true,
                at @ (7 | 8) if form.may_store && args.len() >= 1 => {
                    query.store = args.next();
                    query.stores_distance = at == 7;
                }
                9 if is_search && args.len() >= 1 && !from_position => {
                    query.centre = Some(self.position_in(found, args.required())?);
                    from_member = true;
                }
                10 if is_search && args.len() >= 2 && !from_member => {
                    query.centre = Some(parse_position(args.required(), args.required())?);
                    from_position = true;
                }
                11 if is_search && args.len() >= 2 && !is_box => query.read_radius(args)?,
                12 if is_search && args.len() >= 3 && !is_circle => query.read_box(args)?,
                _ => return Err(Error::Syntax.into()),
            }
        }
        Ok(query)
    }

    /// Where a member is. Of a key that is not there any place will do: nothing is searched.
    fn position_in(&self, found: Option<Found>, member: &[u8]) -> Result<Position> {
        let Some(found) = found else { return Ok(Position { longitude: 0.0, latitude: 0.0 }) };
        let score = self.keys.score_in(&found, Item::Here(member));
        score.map(position_of).ok_or(Error::NoSuchCentre)
    }

    /// Finds the members within what is searched.
    fn find_places(
        &mut self,
        found: &mut Found,
        search: &Search,
        query: &Query<'_>,
        places: &mut Vec<Place>,
    ) -> Result<()> {
        let limit = query.count.filter(|_| query.is_any).unwrap_or(usize::MAX);
        let kept = query.count.unwrap_or(usize::MAX / 2);
        let mut number = 0;
        // With few cuts the same cell may stand on both sides. Redis compares with the one before,
        // but not with the first; which it never is.
        let mut before = None;
        for cell in search.cells().into_iter().flatten() {
            if before.replace(cell) == Some(cell) {
                continue;
            }
            let (low, high) = cell.scores();
            let [start, end] = [low, high]
                .map(|score| self.keys.rank_of(found, &Edge::Score { score, is_behind: false }));
            for first in (start..end).step_by(SEARCH_STEP_MEMBERS) {
                if places.len() >= limit {
                    return Ok(());
                }
                let slice = Slice {
                    first,
                    count: (end - first).min(SEARCH_STEP_MEMBERS),
                    is_reverse: false,
                };
                self.make_places(found, places, slice.count)?;
                let mut rank = first;
                self.keys.members(found, &slice, &mut |_, score| {
                    if places.len() < limit
                        && let Some(metres) = search.metres_to(&position_of(score))
                    {
                        places.push(Place { metres, score, rank, number });
                        number += 1;
                    }
                    rank += 1;
                });
                if places.len() >= kept.saturating_mul(2) && kept < places.len() {
                    places.select_nth_unstable_by(kept, |a, b| query.compare(a, b));
                    places.truncate(kept);
                }
            }
        }
        Ok(())
    }

    /// Makes sure that so many places more can be noted.
    fn make_places(
        &mut self,
        found: &mut Found,
        places: &mut Vec<Place>,
        count: usize,
    ) -> Result<()> {
        if places.capacity() - places.len() >= count {
            return Ok(());
        }
        let capacity = (2 * places.capacity()).max(places.len() + count);
        // Those that are there are copied.
        let bytes = (places.capacity() + capacity) * size_of::<Place>();
        if bytes > SEGMENT_BYTES {
            self.pinning(found, |cx| cx.lend_bytes(bytes))?;
        }
        places.try_reserve_exact(capacity - places.len()).map_err(|_| Error::OutOfMemory)
    }
}
