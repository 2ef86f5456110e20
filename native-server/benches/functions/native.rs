//! The same functions as native code, on the same store.

use std::collections::HashMap;

use crate::document::sum_of;

/// What functions read and write; deadlines are kept beside the values.
#[derive(Default)]
pub struct Native {
    pub values: HashMap<Vec<u8>, Vec<u8>>,
    pub deadlines_ms: HashMap<Vec<u8>, i64>,
}

impl Native {
    pub fn set(&mut self, key: &str, value: &str) {
        self.put(key.as_bytes(), value.as_bytes());
    }

    /// Overwrites in place, as an engine does, where there is something.
    pub fn put(&mut self, key: &[u8], value: &[u8]) {
        match self.values.get_mut(key) {
            Some(place) => {
                place.clear();
                place.extend_from_slice(value);
            }
            None => drop(self.values.insert(key.to_vec(), value.to_vec())),
        }
    }

    /// The reply that a server would send.
    pub fn rate_limit(&mut self, key: &str, limit: i64, window_secs: i64) -> Vec<u8> {
        let current: i64 = self
            .values
            .get(key.as_bytes())
            .and_then(|value| String::from_utf8(value.clone()).ok())
            .and_then(|text| text.parse().ok())
            .unwrap_or(0);
        if current >= limit {
            return b"-ERR rate limit exceeded\r\n".to_vec();
        }
        let next = current + 1;
        self.put(key.as_bytes(), next.to_string().as_bytes());
        if current == 0 {
            self.deadlines_ms.insert(key.into(), window_secs * 1000);
        }
        format!(":{next}\r\n").into()
    }

    pub fn json_sum(&mut self, document: &str, total: &str) -> f64 {
        // A function gets its own copy of a value.
        let document = self.values.get(document.as_bytes()).cloned().expect("a document");
        let sum = sum_of(&document).expect("the document that is summed");
        self.put(total.as_bytes(), sum.to_string().as_bytes());
        sum
    }
}
