//! Positions as numbers: the earth is cut in half by longitude and by latitude in turn, and each
//! cut is a bit (a geohash). With 26 cuts each way that makes 52 bits, which a score holds exactly.
//!
//! Invariant: all arithmetic is in double precision and in the order of Redis's, so that scores and
//! positions are the same to the last bit.

/// A place on earth, in degrees.
#[derive(Clone, Copy, PartialEq, Debug)]
#[allow(missing_docs, reason = "the two are well known")]
pub struct Position {
    pub longitude: f64,
    pub latitude: f64,
}

pub(super) const LONGITUDE_MAX: f64 = 180.0;
/// Where a map of the world in Mercator's projection is as high as it is wide: the poles are not
/// on it.
pub(super) const LATITUDE_MAX: f64 = 85.05112878;
/// The latitude of a pole, with which geohashes are written as text.
const POLE: f64 = 90.0;

/// Cuts each way of a position.
pub(super) const STEPS_MAX: u32 = 26;

/// Every second bit: those of the latitude, and those of the longitude.
const LATITUDE_BITS: u64 = 0x5555_5555_5555_5555;
const LONGITUDE_BITS: u64 = !LATITUDE_BITS;

/// A rectangle that so many cuts each way leave.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Cell {
    bits: u64,
    steps: u32,
}

/// Its edges, in degrees.
#[derive(Clone, Copy)]
pub(super) struct Edges {
    pub(super) west: f64,
    pub(super) east: f64,
    pub(super) south: f64,
    pub(super) north: f64,
}

impl Cell {
    /// The one that a position is in.
    pub(super) fn of(position: &Position, steps: u32) -> Cell {
        Cell::between(position, steps, LATITUDE_MAX)
    }

    /// The same where latitudes go up to a certain one.
    fn between(position: &Position, steps: u32, latitude_max: f64) -> Cell {
        let part = |at: f64, most: f64| (at + most) / (most + most) * (1u64 << steps) as f64;
        let latitude = part(position.latitude, latitude_max) as u32;
        let longitude = part(position.longitude, LONGITUDE_MAX) as u32;
        Cell { bits: spread(latitude) | spread(longitude) << 1, steps }
    }

    pub(super) fn edges(&self) -> Edges {
        let (latitude, longitude) = (gather(self.bits), gather(self.bits >> 1));
        let cuts = (1u64 << self.steps) as f64;
        let at = |index: u32, most: f64| -most + f64::from(index) / cuts * (most + most);
        Edges {
            west: at(longitude, LONGITUDE_MAX),
            east: at(longitude.wrapping_add(1), LONGITUDE_MAX),
            south: at(latitude, LATITUDE_MAX),
            north: at(latitude.wrapping_add(1), LATITUDE_MAX),
        }
    }

    /// The cell so many cells further east and north, over the edge of the map if need be.
    pub(super) fn beside(&self, east: i8, north: i8) -> Cell {
        let step = |mask: u64, by: i8| {
            let unused = 64 - 2 * self.steps;
            let (own, between) = (self.bits & mask, !mask >> unused);
            // What carries goes over the bits in between, which are all ones or all zeros.
            let moved = match by {
                // The eastern and the northern edge of the map lie in cells that are not on it.
                // They are left alone here, so that no more is found from there than in Redis.
                0 => return own,
                1.. => own.wrapping_add(between + 1),
                _ => (own | between).wrapping_sub(between + 1),
            };
            moved & mask >> unused
        };
        Cell { bits: step(LONGITUDE_BITS, east) | step(LATITUDE_BITS, north), ..*self }
    }

    /// The scores of what is in it: the lowest, and the one above the highest.
    pub(super) fn scores(&self) -> (f64, f64) {
        let unused = 2 * (STEPS_MAX - self.steps);
        ((self.bits << unused) as f64, ((self.bits + 1) << unused) as f64)
    }
}

/// The score of a position.
pub(super) fn score_of(position: &Position) -> f64 {
    Cell::of(position, STEPS_MAX).bits as f64
}

/// The position of a score: the middle of its cell. Of scores that are none something is made as
/// well, the same as in Redis.
pub(super) fn position_of(score: f64) -> Position {
    let Edges { west, east, south, north } =
        Cell { bits: bits_of(score), steps: STEPS_MAX }.edges();
    Position {
        longitude: ((west + east) / 2.0).clamp(-LONGITUDE_MAX, LONGITUDE_MAX),
        latitude: ((south + north) / 2.0).clamp(-LATITUDE_MAX, LATITUDE_MAX),
    }
}

/// A score as bits, as x86's conversion makes them.
fn bits_of(score: f64) -> u64 {
    const HALF: f64 = (1u64 << 63) as f64;
    match score {
        _ if score < HALF => score as i64 as u64,
        _ if score < 2.0 * HALF => score as u64,
        _ => 0,
    }
}

/// A geohash as text, which goes up to the poles: 52 bits, five a letter, and a zero at the end.
pub(super) fn geohash(position: &Position) -> [u8; 11] {
    const LETTERS: &[u8; 32] = b"0123456789bcdefghjkmnpqrstuvwxyz";
    let bits = Cell::between(position, STEPS_MAX, POLE).bits;
    let mut text = [b'0'; 11];
    for (index, letter) in text.iter_mut().take(10).enumerate() {
        let five = bits >> (47 - 5 * index) & 0x1f;
        *letter = LETTERS.get(five as usize).copied().unwrap_or(b'0');
    }
    text
}

/// Puts the bits of a number at every second place.
fn spread(number: u32) -> u64 {
    let mut bits = u64::from(number);
    for (shift, mask) in [
        (16, 0x0000_ffff_0000_ffff),
        (8, 0x00ff_00ff_00ff_00ff),
        (4, 0x0f0f_0f0f_0f0f_0f0f),
        (2, 0x3333_3333_3333_3333),
        (1, LATITUDE_BITS),
    ] {
        bits = (bits | bits << shift) & mask;
    }
    bits
}

/// Every second bit of a number, the other way round.
fn gather(bits: u64) -> u32 {
    let mut number = bits & LATITUDE_BITS;
    for (shift, mask) in [
        (1, 0x3333_3333_3333_3333),
        (2, 0x0f0f_0f0f_0f0f_0f0f),
        (4, 0x00ff_00ff_00ff_00ff),
        (8, 0x0000_ffff_0000_ffff),
        (16, 0x0000_0000_ffff_ffff),
    ] {
        number = (number | number >> shift) & mask;
    }
    number as u32
}
