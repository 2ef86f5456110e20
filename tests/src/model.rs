//! The naive keyspace: a map from key to value and deadline, as Redis describes it.
//! Invariant: an expired entry is absent for every operation, yet stays in the map until somebody
//! says that it was dropped, because DBSIZE counts it as long.
//! Not here: memory, eviction, and anything clever.

use std::collections::BTreeMap;

use crate::answer::Answer;
use crate::op::{Op, SetOptions};

/// A value and when it dies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The value.
    pub value: Vec<u8>,
    /// The last millisecond in which it is there.
    pub deadline_ms: Option<i64>,
}

/// The keyspace by its definition.
#[derive(Clone, Default)]
pub struct Model {
    /// What is held, dead entries included that nobody noticed.
    pub entries: BTreeMap<Vec<u8>, Entry>,
    /// The clock.
    pub now_ms: i64,
}

impl Model {
    /// An entry that has not expired.
    pub fn live(&self, key: &[u8]) -> Option<&Entry> {
        self.entries.get(key).filter(|entry| entry.deadline_ms.is_none_or(|at| self.now_ms <= at))
    }

    /// Does what the operation does.
    pub fn apply(&mut self, op: &Op) -> Answer {
        match op {
            Op::Set(key, value, options) => self.set(key, value, options),
            Op::Get(key) => self.get(key),
            Op::Del(keys) => {
                let dropped = keys.iter().filter(|key| {
                    let was_live = self.live(key).is_some();
                    self.entries.remove(*key);
                    was_live
                });
                Answer::Integer(dropped.count() as i64)
            }
            Op::Exists(keys) => {
                Answer::Integer(keys.iter().filter(|key| self.live(key).is_some()).count() as i64)
            }
            Op::Expire(name, key, number, condition) => self.expire(name, key, *number, condition),
            Op::Ask(name, key) => self.ask(name, key),
            Op::Add(key, amount, _) => self.add(key, *amount),
            Op::Append(key, value) => {
                let mut entry = self.live_or_empty(key);
                entry.value.extend_from_slice(value);
                let length = entry.value.len();
                self.entries.insert(key.clone(), entry);
                Answer::Integer(length as i64)
            }
            Op::MultiGet(keys) => Answer::Array(keys.iter().map(|key| self.get(key)).collect()),
            Op::MultiSet(pairs) => {
                for (key, value) in pairs {
                    self.put(key, value, None);
                }
                Answer::ok()
            }
            Op::Keys(prefix) => self.keys(prefix),
            Op::Scan(_) => Answer::Array(vec![Answer::bulk(b"0"), self.keys(b"")]),
            Op::DbSize => Answer::Integer(self.entries.len() as i64),
            Op::Flush => {
                self.entries.clear();
                Answer::ok()
            }
        }
    }

    fn put(&mut self, key: &[u8], value: &[u8], deadline_ms: Option<i64>) {
        self.entries.insert(key.to_vec(), Entry { value: value.to_vec(), deadline_ms });
    }

    fn get(&self, key: &[u8]) -> Answer {
        self.live(key).map_or(Answer::Null, |entry| Answer::bulk(&entry.value))
    }

    fn live_or_empty(&self, key: &[u8]) -> Entry {
        let absent = Entry { value: Vec::new(), deadline_ms: None };
        self.live(key).cloned().unwrap_or(absent)
    }

    fn keys(&self, prefix: &[u8]) -> Answer {
        let keys = self.entries.keys();
        let found = keys.filter(|key| key.starts_with(prefix) && self.live(key).is_some());
        Answer::Array(found.map(|key| Answer::bulk(key)).collect())
    }

    fn set(&mut self, key: &[u8], value: &[u8], options: &SetOptions) -> Answer {
        let old = self.live(key).cloned();
        let is_stored = match options.condition {
            "NX" => old.is_none(),
            "XX" => old.is_some(),
            _ => true,
        };
        if is_stored {
            let (unit, number) = options.expiry;
            let deadline_ms = match unit {
                "EX" => Some(self.now_ms + number * 1000),
                "PX" => Some(self.now_ms + number),
                "EXAT" => Some(number * 1000),
                "PXAT" => Some(number),
                "KEEPTTL" => old.as_ref().and_then(|entry| entry.deadline_ms),
                _ => None,
            };
            self.put(key, value, deadline_ms);
        }
        match (options.get, old) {
            (true, old) => old.map_or(Answer::Null, |entry| Answer::Bulk(entry.value)),
            (false, _) if is_stored => Answer::ok(),
            (false, _) => Answer::Null,
        }
    }

    fn expire(&mut self, name: &str, key: &[u8], number: i64, condition: &str) -> Answer {
        let unit_ms = if name.starts_with('P') { 1 } else { 1000 };
        let base_ms = if name.ends_with("AT") { 0 } else { self.now_ms };
        let at = number * unit_ms + base_ms;
        let Some(entry) = self.live(key) else {
            return Answer::Integer(0);
        };
        let is_changed = match (condition, entry.deadline_ms) {
            ("NX", deadline) => deadline.is_none(),
            ("XX", deadline) => deadline.is_some(),
            ("GT", deadline) => deadline.is_some_and(|deadline| at > deadline),
            ("LT", deadline) => deadline.is_none_or(|deadline| at < deadline),
            _ => true,
        };
        if is_changed && at <= self.now_ms {
            self.entries.remove(key);
        } else if is_changed {
            self.entries.entry(key.to_vec()).and_modify(|entry| entry.deadline_ms = Some(at));
        }
        Answer::Integer(i64::from(is_changed))
    }

    fn ask(&mut self, name: &str, key: &[u8]) -> Answer {
        let (now_ms, entry) = (self.now_ms, self.live(key));
        let ttl_ms = entry.map_or(-2, |entry| entry.deadline_ms.map_or(-1, |at| at - now_ms));
        match name {
            "TYPE" => Answer::Simple(entry.map_or("none", |_| "string").into()),
            "STRLEN" => Answer::Integer(entry.map_or(0, |entry| entry.value.len() as i64)),
            "PTTL" => Answer::Integer(ttl_ms),
            "TTL" if ttl_ms < 0 => Answer::Integer(ttl_ms),
            "TTL" => Answer::Integer((ttl_ms + 500) / 1000),
            "PERSIST" => {
                if ttl_ms >= 0 {
                    self.entries.entry(key.to_vec()).and_modify(|entry| entry.deadline_ms = None);
                }
                Answer::Integer(i64::from(ttl_ms >= 0))
            }
            _ => unreachable!("no such question: {name}"),
        }
    }

    fn add(&mut self, key: &[u8], amount: i64) -> Answer {
        let mut entry = self.live_or_empty(key);
        let text = match self.live(key) {
            Some(entry) => String::from_utf8_lossy(&entry.value).into_owned(),
            None => "0".into(),
        };
        // Only what prints as it was written is an integer: no sign, zero or space too many.
        let number = text.parse::<i64>().ok().filter(|number| number.to_string() == text);
        let Some(number) = number else {
            return Answer::Error("ERR value is not an integer or out of range".into());
        };
        let Some(sum) = number.checked_add(amount) else {
            return Answer::Error("ERR increment or decrement would overflow".into());
        };
        entry.value = sum.to_string().into_bytes();
        self.entries.insert(key.to_vec(), entry);
        Answer::Integer(sum)
    }
}
