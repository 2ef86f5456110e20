//! `FCALL rate_limit 1 api:user:42 100 60`: at most 100 requests in a window of 60 seconds, which
//! begins with the first of them.

use ferrite_udf_sdk::prelude::*;

#[ferrite_udf]
fn rate_limit(key: &str, limit: i64, window_secs: i64) -> UdfResult {
    let current: i64 = ferrite::get(key)
        .and_then(|v| v.parse().ok())
        .unwrap_or(0);

    if current >= limit {
        return UdfResult::error("rate limit exceeded");
    }

    let new_val = current + 1;
    ferrite::set(key, &new_val.to_string());

    // Set TTL to window duration if this is the first increment
    if current == 0 {
        ferrite::expire(key, window_secs);
    }

    UdfResult::ok(new_val)
}
