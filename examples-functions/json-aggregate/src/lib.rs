//! `FCALL json_sum 2 doc:orders total:orders`: adds up the field `value` of the array `items` in
//! the JSON document at the first key, and puts the sum at the second.

#![forbid(unsafe_code)]

mod document;

use document::sum_of;
use ferrite_udf_sdk::prelude::*;

/// Sums the field `value` of a JSON array, and keeps the sum.
#[ferrite_udf]
fn json_sum(key_document: &str, key_total: &str) -> Result<f64, Error> {
    let document = ferrite::get_bytes(key_document).ok_or("no such document")?;
    let sum = sum_of(&document)
        .map_err(|error| Error::new(&format!("not the document that is summed: {error}")))?;
    ferrite::set(key_total, &sum.to_string());
    Ok(sum)
}
