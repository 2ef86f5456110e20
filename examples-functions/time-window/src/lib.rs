//! A sliding window: `FCALL window_add 1 cpu 0.42 60` adds a measurement and forgets those older
//! than 60 seconds; `FCALL_RO window_stats 1 cpu 60` tells how many there are, their least, mean
//! and greatest.
//!
//! A measurement is 16 bytes in a string: its time in milliseconds, then its value. They are in
//! order, so what is too old is always a piece at the front.

use ferrite_udf_sdk::prelude::*;

const MEASUREMENTS_MAX: usize = 1000;
const MEASUREMENT_BYTES: usize = 16;

/// Adds a measurement to a window, and tells how many are in it.
#[ferrite_udf]
fn window_add(key: &str, value: f64, window_secs: i64) -> Result<i64, Error> {
    if window_secs < 1 {
        return Err(Error::new("a window is at least 1 second"));
    }
    let stored = ferrite::get_bytes(key).unwrap_or_default();
    let mut kept = within(&stored, window_secs).to_vec();
    if kept.len() >= MEASUREMENTS_MAX * MEASUREMENT_BYTES {
        return Err(Error::with_code("FULL", "the window holds 1000 measurements"));
    }
    kept.extend_from_slice(&ferrite::now_ms().to_le_bytes());
    kept.extend_from_slice(&value.to_le_bytes());
    ferrite::set_ex(key, &kept, window_secs);
    Ok((kept.len() / MEASUREMENT_BYTES) as i64)
}

/// Count, least, mean and greatest of the measurements in a window.
#[ferrite_udf(no_writes)]
fn window_stats(key: &str, window_secs: i64) -> Reply {
    let stored = ferrite::get_bytes(key).unwrap_or_default();
    let values = measurements(within(&stored, window_secs)).map(|(_, value)| value);
    let count = values.clone().count();
    if count == 0 {
        return Reply::null();
    }
    let least = values.clone().fold(f64::INFINITY, f64::min);
    let greatest = values.clone().fold(f64::NEG_INFINITY, f64::max);
    let mean = values.sum::<f64>() / count as f64;
    Reply::map([
        ("count", Reply::from(count as i64)),
        ("min", least.into()),
        ("mean", mean.into()),
        ("max", greatest.into()),
    ])
}

fn within(stored: &[u8], window_secs: i64) -> &[u8] {
    let oldest_ms = ferrite::now_ms().saturating_sub(window_secs.saturating_mul(1000));
    let too_old = measurements(stored).take_while(|(time_ms, _)| *time_ms <= oldest_ms).count();
    stored.get(too_old * MEASUREMENT_BYTES..).unwrap_or_default()
}

fn measurements(stored: &[u8]) -> impl Iterator<Item = (i64, f64)> + Clone {
    stored.chunks_exact(MEASUREMENT_BYTES).filter_map(|measurement| {
        let (time_ms, value) = measurement.split_first_chunk()?;
        Some((i64::from_le_bytes(*time_ms), f64::from_le_bytes(value.try_into().ok()?)))
    })
}
