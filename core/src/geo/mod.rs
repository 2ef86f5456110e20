//! Places on earth: members of a sorted set whose scores are geohashes. GEOADD, GEOPOS, GEODIST,
//! GEOHASH, and the rows of all.
//!
//! Invariant: there is no type of its own: whatever a sorted set holds can be asked for its place.
//!
//! Not here: scores (cell.rs), distances (earth.rs), searches (search.rs).

mod cell;
mod earth;
mod search;
mod text;
mod trigonometry;

use crate::command::{Args, Arity, DENYOOM, Group, Keys, READ, STORES, Spec, WRITE, docs, word};
use crate::error::{Error, Result};
use crate::keyspace::Cx;
use crate::packed::{Item, SCORE_BYTES};
use crate::record::Kind;
use crate::reply::Reply;
use crate::score::parse_score;
use crate::sorted_set::{AddOptions, Added};
use crate::string::set::Condition;

pub use cell::Position;
use cell::{LATITUDE_MAX, LONGITUDE_MAX, geohash, position_of, score_of};
use search::{By, Form};
use text::Text;

impl Position {
    /// Whether it is on the map: the poles are not.
    pub fn is_on_map(&self) -> bool {
        (-LONGITUDE_MAX..=LONGITUDE_MAX).contains(&self.longitude)
            && (-LATITUDE_MAX..=LATITUDE_MAX).contains(&self.latitude)
    }
}

impl Cx<'_> {
    /// GEOADD: gives a member of a sorted set a place.
    ///
    /// ```
    /// use ferrite_engine::{Keyspace, Options, Position};
    ///
    /// let mut keys = Keyspace::new(&Options::default())?;
    /// let palermo = Position { longitude: 13.361389, latitude: 38.115556 };
    /// let catania = Position { longitude: 15.087269, latitude: 37.502669 };
    /// keys.at(1).geo_add(b"sicily", &palermo, b"Palermo", &Default::default())?;
    /// keys.at(1).geo_add(b"sicily", &catania, b"Catania", &Default::default())?;
    /// let metres = keys.at(1).geo_dist(b"sicily", b"Palermo", b"Catania")?;
    /// assert_eq!(metres.map(|metres| metres as u32), Some(166_274));
    /// # Ok::<(), ferrite_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::OffTheMap`].
    pub fn geo_add(
        &mut self,
        key: &[u8],
        position: &Position,
        member: &[u8],
        options: &AddOptions,
    ) -> Result<Added> {
        if !position.is_on_map() {
            return Err(Error::OffTheMap);
        }
        self.zadd(key, score_of(position), member, options)
    }

    /// GEOPOS: the place of a member.
    pub fn geo_pos(&mut self, key: &[u8], member: &[u8]) -> Result<Option<Position>> {
        Ok(self.zscore(key, member)?.map(position_of))
    }

    /// GEODIST: how far two members are from each other, in metres.
    pub fn geo_dist(&mut self, key: &[u8], first: &[u8], second: &[u8]) -> Result<Option<f64>> {
        let Some(found) = self.read(key, Kind::SortedSet)? else { return Ok(None) };
        let [first, second] = [first, second]
            .map(|member| self.keys.score_in(&found, Item::Here(member)).map(position_of));
        Ok(first.zip(second).map(|(first, second)| earth::distance(&first, &second)))
    }
}

/// What the rows share: of commands that look at some members; that search.
const READ_ROW: Spec = Spec {
    name: "geopos",
    arity: Arity::AtLeast(2),
    keys: Keys::FIRST,
    flags: READ,
    group: Group::Geo,
    since: docs("3.2.0"),
    syntax: docs("key [member [member ...]]"),
    summary: docs("Returns the longitudes and latitudes of members."),
    run: geopos,
};
const RADIUS_ROW: Spec = Spec {
    name: "georadius",
    arity: Arity::AtLeast(6),
    flags: WRITE | DENYOOM | STORES,
    syntax: docs(
        "key longitude latitude radius <M | KM | FT | MI> [WITHCOORD] [WITHDIST] [WITHHASH] \
         [COUNT count [ANY]] [ASC | DESC] [STORE key | STOREDIST key]",
    ),
    summary: docs("Returns or stores the members within a distance of a position."),
    run: |cx, args, reply| search::search(cx, args, reply, Form::radius(By::Position, true)),
    ..READ_ROW
};
const MEMBER_ROW: Spec = Spec {
    name: "georadiusbymember",
    arity: Arity::AtLeast(5),
    syntax: docs(
        "key member radius <M | KM | FT | MI> [WITHCOORD] [WITHDIST] [WITHHASH] \
         [COUNT count [ANY]] [ASC | DESC] [STORE key | STOREDIST key]",
    ),
    summary: docs("Returns or stores the members within a distance of a member."),
    run: |cx, args, reply| search::search(cx, args, reply, Form::radius(By::Member, true)),
    ..RADIUS_ROW
};

pub(crate) const COMMANDS: &[Spec] = &[
    Spec {
        name: "geoadd",
        arity: Arity::AtLeast(5),
        flags: WRITE | DENYOOM,
        syntax: docs(
            "key [NX | XX] [CH] longitude latitude member [longitude latitude member ...]",
        ),
        summary: docs("Gives members of a sorted set their places. Creates the key if needed."),
        run: |cx, args, reply| {
            let added = geoadd(cx, args, reply);
            answered(added, reply)
        },
        ..READ_ROW
    },
    Spec {
        name: "geodist",
        arity: Arity::AtLeast(4),
        syntax: docs("key member1 member2 [M | KM | FT | MI]"),
        summary: docs("Returns how far two members are from each other."),
        run: geodist,
        ..READ_ROW
    },
    Spec {
        name: "geohash",
        summary: docs("Returns the geohashes of members as text."),
        run: geohashes,
        ..READ_ROW
    },
    READ_ROW,
    RADIUS_ROW,
    Spec {
        name: "georadius_ro",
        flags: READ,
        since: docs("3.2.10"),
        syntax: docs(
            "key longitude latitude radius <M | KM | FT | MI> [WITHCOORD] [WITHDIST] [WITHHASH] \
             [COUNT count [ANY]] [ASC | DESC]",
        ),
        summary: docs("Returns the members within a distance of a position."),
        run: |cx, args, reply| search::search(cx, args, reply, Form::radius(By::Position, false)),
        ..RADIUS_ROW
    },
    MEMBER_ROW,
    Spec {
        name: "georadiusbymember_ro",
        flags: READ,
        since: docs("3.2.10"),
        syntax: docs(
            "key member radius <M | KM | FT | MI> [WITHCOORD] [WITHDIST] [WITHHASH] \
             [COUNT count [ANY]] [ASC | DESC]",
        ),
        summary: docs("Returns the members within a distance of a member."),
        run: |cx, args, reply| search::search(cx, args, reply, Form::radius(By::Member, false)),
        ..MEMBER_ROW
    },
    Spec {
        name: "geosearch",
        arity: Arity::AtLeast(7),
        since: docs("6.2.0"),
        syntax: docs(
            "key <FROMMEMBER member | FROMLONLAT longitude latitude> \
             <BYRADIUS radius <M | KM | FT | MI> | BYBOX width height <M | KM | FT | MI>> \
             [ASC | DESC] [COUNT count [ANY]] [WITHCOORD] [WITHDIST] [WITHHASH]",
        ),
        summary: docs("Returns the members within a circle or a box."),
        run: |cx, args, reply| search::search(cx, args, reply, Form::SEARCH),
        ..READ_ROW
    },
    Spec {
        name: "geosearchstore",
        arity: Arity::AtLeast(8),
        keys: Keys::FIRST_TWO,
        flags: WRITE | DENYOOM,
        since: docs("6.2.0"),
        syntax: docs(
            "destination source <FROMMEMBER member | FROMLONLAT longitude latitude> \
             <BYRADIUS radius <M | KM | FT | MI> | BYBOX width height <M | KM | FT | MI>> \
             [ASC | DESC] [COUNT count [ANY]] [STOREDIST]",
        ),
        summary: docs("Stores the members within a circle or a box."),
        run: |cx, args, reply| search::search(cx, args, reply, Form::SEARCH_STORE),
        ..READ_ROW
    },
];

/// Why a request is refused: for a reason that has its own line, or for a position, which its line
/// repeats.
enum Refusal {
    Error(Error),
    Position(Position),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Refusal {
        Refusal::Error(error)
    }
}

/// What is left to do for a request that was answered, or refused.
fn answered(result: Result<(), Refusal>, reply: &mut dyn Reply) -> Result<()> {
    match result {
        Ok(()) => Ok(()),
        Err(Refusal::Error(error)) => Err(error),
        Err(Refusal::Position(Position { longitude, latitude })) => {
            let [longitude, latitude] = [longitude, latitude].map(Text::refused);
            let (longitude, latitude) = (longitude.as_bytes(), latitude.as_bytes());
            reply.error(&[b"ERR invalid longitude,latitude pair ", longitude, b",", latitude]);
            Ok(())
        }
    }
}

/// Reads a coordinate, which unlike a score keeps the sign of zero: a refusal shows it.
fn parse_coordinate(text: &[u8]) -> Result<f64> {
    let degrees = parse_score(text).ok_or(Error::NotAFloat)?;
    Ok(if degrees == 0.0 && text.starts_with(b"-") { -0.0 } else { degrees })
}

fn parse_position(longitude: &[u8], latitude: &[u8]) -> Result<Position, Refusal> {
    let (longitude, latitude) = (parse_coordinate(longitude)?, parse_coordinate(latitude)?);
    let position = Position { longitude, latitude };
    if position.is_on_map() { Ok(position) } else { Err(Refusal::Position(position)) }
}

/// The length of a unit, in metres.
fn parse_unit(unit: &[u8]) -> Result<f64> {
    let metres = [1.0, 1000.0, 0.3048, 1609.34].get(word(unit, &["m", "km", "ft", "mi"])).copied();
    metres.ok_or(Error::UnknownUnit)
}

fn geoadd(cx: &mut Cx<'_>, args: &mut Args<'_>, reply: &mut dyn Reply) -> Result<(), Refusal> {
    let key = args.required();
    let (mut options, mut counts_changes, mut rest) = (AddOptions::default(), false, args.clone());
    while let Some(option) = rest.next() {
        let condition = match word(option, &["nx", "xx", "ch"]) {
            0 => Condition::IfAbsent,
            1 => Condition::IfPresent,
            2 => Condition::Always,
            _ => break,
        };
        let is_free = [Condition::Always, condition].contains(&options.condition);
        match condition {
            Condition::Always => counts_changes = true,
            _ if is_free => options.condition = condition,
            _ => return Err(Error::Syntax.into()),
        }
        *args = rest.clone();
    }
    let (places, rest) = args.as_slice().as_chunks();
    if places.is_empty() || !rest.is_empty() {
        return Err(Error::Syntax.into());
    }
    // All positions are read before the first is given.
    let mut bytes = 0;
    for [longitude, latitude, member] in places {
        parse_position(longitude, latitude)?;
        bytes += 2 * (member.len() + SCORE_BYTES + 1);
    }
    let mut target = cx.target(key, Kind::SortedSet)?;
    cx.reserve_entries(&mut target, bytes)?;
    let mut count = 0;
    for [longitude, latitude, member] in places {
        let position = parse_position(longitude, latitude)?;
        let added = cx.add(&mut target, score_of(&position), member, &options, false)?;
        count += i64::from(match added {
            Added::New(_) => true,
            Added::Changed(_) => counts_changes,
            _ => false,
        });
    }
    cx.grow_index();
    reply.integer(count);
    Ok(())
}

fn geodist(cx: &mut Cx<'_>, args: &mut Args<'_>, reply: &mut dyn Reply) -> Result<()> {
    let (key, first, second) = (args.required(), args.required(), args.required());
    let unit = match (args.next(), args.len()) {
        (None, _) => 1.0,
        (Some(unit), 0) => parse_unit(unit)?,
        _ => return Err(Error::Syntax),
    };
    match cx.geo_dist(key, first, second)? {
        Some(metres) => reply.bulk(Text::distance(metres / unit).as_bytes().into()),
        None => reply.null(),
    }
    Ok(())
}

/// Answers something for each member, which may not be there.
fn each_place(
    cx: &mut Cx<'_>,
    args: &mut Args<'_>,
    reply: &mut dyn Reply,
    show: fn(Option<&Position>, &mut dyn Reply),
) -> Result<()> {
    let found = cx.read(args.required(), Kind::SortedSet)?;
    reply.array(args.len());
    for member in args {
        let score = found.and_then(|found| cx.keys.score_in(&found, Item::Here(member)));
        show(score.map(position_of).as_ref(), reply);
    }
    Ok(())
}

fn geopos(cx: &mut Cx<'_>, args: &mut Args<'_>, reply: &mut dyn Reply) -> Result<()> {
    each_place(cx, args, reply, |position, reply| match position {
        Some(position) => reply_position(position, reply),
        None => reply.null_array(),
    })
}

fn geohashes(cx: &mut Cx<'_>, args: &mut Args<'_>, reply: &mut dyn Reply) -> Result<()> {
    each_place(cx, args, reply, |position, reply| match position {
        Some(position) => reply.bulk(geohash(position)[..].into()),
        None => reply.null(),
    })
}

fn reply_position(position: &Position, reply: &mut dyn Reply) {
    reply.array(2);
    reply.double(Text::coordinate(position.longitude).as_bytes().into());
    reply.double(Text::coordinate(position.latitude).as_bytes().into());
}
