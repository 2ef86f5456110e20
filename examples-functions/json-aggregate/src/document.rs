//! The document that is summed: only what is of interest of it is read.

use serde::Deserialize;
use serde::de::{Deserializer, Error, SeqAccess, Visitor};

#[derive(Deserialize)]
struct Document {
    #[serde(deserialize_with = "sum")]
    items: f64,
}

#[derive(Deserialize)]
struct Item {
    value: f64,
}

/// The sum of the `value` fields of the array `items`; a null counts nothing.
pub fn sum_of(json: &[u8]) -> serde_json::Result<f64> {
    serde_json::from_slice(json).map(|document: Document| document.items)
}

/// Adds items up while they are read: no list of them is ever in memory.
fn sum<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    struct Sum;
    impl<'de> Visitor<'de> for Sum {
        type Value = f64;

        fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
            f.write_str("an array of items with a value")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<f64, A::Error> {
            let mut sum = 0.0;
            while let Some(item) = items.next_element::<Option<Item>>()? {
                sum += item.map_or(0.0, |item| item.value);
            }
            if sum.is_finite() { Ok(sum) } else { Err(Error::custom("the sum is infinite")) }
        }
    }
    deserializer.deserialize_seq(Sum)
}
