//! Distances on earth, taken for a sphere: the haversine formula.

use libm::{cos, sqrt};

use super::cell::Position;
use super::trigonometry::{arcsine, cosine, sine};

/// The earth's radius: its quadratic mean.
const RADIUS_METRES: f64 = 6_372_797.560856;

const RADIANS: f64 = core::f64::consts::PI / 180.0;

fn radians(degrees: f64) -> f64 {
    degrees * RADIANS
}

/// The angle at the earth's centre under which a length is seen, in degrees.
pub(super) fn degrees_of(metres: f64) -> f64 {
    metres / RADIUS_METRES / RADIANS
}

/// The degrees of longitude that a length takes at a latitude.
pub(super) fn longitudes_of(metres: f64, latitude: f64) -> f64 {
    metres / RADIUS_METRES / cos(radians(latitude)) / RADIANS
}

/// Between two places, in metres.
pub(super) fn distance(a: &Position, b: &Position) -> f64 {
    haversine(a, b, [sine, cosine, arcsine])
}

/// What a rough distance is off by at most, in metres. (It is some hundred times less.)
pub(super) const ROUGH_METRES: f64 = 1e-6;

/// Nearer to the antipodes the formula makes more of what is off.
const ROUGH_METRES_MAX: f64 = 18e6;

/// The same, nearly, and twenty times as fast.
pub(super) fn rough_distance(a: &Position, b: &Position) -> f64 {
    let metres = haversine(a, b, [libm::sin, cos, libm::asin]);
    if metres < ROUGH_METRES_MAX { metres } else { distance(a, b) }
}

/// The distance if it is no longer than that.
pub(super) fn distance_within(a: &Position, b: &Position, metres_max: f64) -> Option<f64> {
    let mut metres = rough_distance(a, b);
    if (metres - metres_max).abs() <= ROUGH_METRES {
        metres = distance(a, b);
    }
    (metres <= metres_max).then_some(metres)
}

fn haversine(a: &Position, b: &Position, functions: [fn(f64) -> f64; 3]) -> f64 {
    let [sine, cosine, arcsine] = functions;
    let v = sine((radians(b.longitude) - radians(a.longitude)) / 2.0);
    if v == 0.0 {
        return latitude_distance(a.latitude, b.latitude);
    }
    let (south, north) = (radians(a.latitude), radians(b.latitude));
    let u = sine((north - south) / 2.0);
    let square = u * u + cosine(south) * cosine(north) * v * v;
    2.0 * RADIUS_METRES * arcsine(sqrt(square))
}

/// Between two latitudes, in metres.
pub(super) fn latitude_distance(a: f64, b: f64) -> f64 {
    RADIUS_METRES * (radians(b) - radians(a)).abs()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn rough_distances_are_near() {
        let mut random = Random::new(1);
        let mut coordinate = |most: f64, scale: f64| {
            scale * most * (random.next() as f64 / u64::MAX as f64 * 2.0 - 1.0)
        };
        for round in 0..200_000 {
            let scale = if round % 2 == 0 { 1.0 } else { 1e-4 };
            let mut position = || Position {
                longitude: coordinate(180.0, scale),
                latitude: coordinate(85.0, scale),
            };
            let (a, b) = (position(), position());
            let off = (rough_distance(&a, &b) - distance(&a, &b)).abs();
            assert!(off < ROUGH_METRES / 20.0, "{a:?} {b:?}: {off}");
        }
    }
}
