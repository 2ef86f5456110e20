//! `FCALL json_sum 2 doc:orders total:orders`: adds up the field `value` of the array `items` in
//! the JSON document at the first key, and puts the sum at the second.

#![forbid(unsafe_code)]

use ferrite_udf_sdk::prelude::*;
use serde::Deserialize;

/// What of the document is of interest; the rest is read over.
#[derive(Deserialize)]
struct Document {
    #[serde(deserialize_with = "sum")]
    items: f64,
}

#[derive(Deserialize)]
struct Item {
    value: f64,
}

/// Sums an array's `value` fields, and nulls.
#[ferrite_udf]
fn json_sum(key_document: &str, key_total: &str) -> Result<f64, Error> {
    let document = ferrite::get_bytes(key_document).ok_or("no such document")?;
    let document: Document = serde_json::from_slice(&document)
        .map_err(|error| Error::new(&format!("not the document that is summed: {error}")))?;
    ferrite::set(key_total, &document.items.to_string());
    Ok(document.items)
}

/// Adds items up while they are read: no list of them is ever in memory.
fn sum<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    struct Sum;
    impl<'de> serde::de::Visitor<'de> for Sum {
        type Value = f64;

        fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
            f.write_str("an array of items with a value")
        }

        fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut items: A) -> Result<f64, A::Error> {
            let mut sum = 0.0;
            while let Some(item) = items.next_element::<Option<Item>>()? {
                sum += item.map_or(0.0, |item| item.value);
            }
            Ok(sum)
        }
    }
    deserializer.deserialize_seq(Sum)
}
