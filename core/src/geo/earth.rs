//! Distances on earth, taken for a sphere: the haversine formula.

use libm::{asin, cos, sin, sqrt};

use super::cell::Position;

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
    let v = sin((radians(b.longitude) - radians(a.longitude)) / 2.0);
    if v == 0.0 {
        return latitude_distance(a.latitude, b.latitude);
    }
    let (south, north) = (radians(a.latitude), radians(b.latitude));
    let u = sin((north - south) / 2.0);
    let square = u * u + cos(south) * cos(north) * v * v;
    2.0 * RADIUS_METRES * asin(sqrt(square))
}

/// Between two latitudes, in metres.
pub(super) fn latitude_distance(a: f64, b: f64) -> f64 {
    RADIUS_METRES * (radians(b) - radians(a)).abs()
}
