//! The naive keyspace: a map from key to value and deadline, as Redis describes it.
//! Invariant: an expired entry is absent for every operation, yet stays in the map until somebody
//! says that it was dropped, because DBSIZE counts it as long.
//! Not here: memory, eviction, and anything clever.

use std::collections::BTreeMap;

use crate::answer::Answer;
use crate::op::{Op, SetOptions, quarters_text};

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
            Op::GetEx(key, expiry) => self.get_ex(key, *expiry),
            Op::GetDel(key) => {
                let answer = self.get(key);
                self.entries.remove(key);
                answer
            }
            Op::OldSet(name, key, number, value) => self.old_set(name, key, *number, value),
            Op::Del(_, keys) => {
                let dropped = keys.iter().filter(|key| {
                    let was_live = self.live(key).is_some();
                    self.entries.remove(*key);
                    was_live
                });
                Answer::Integer(dropped.count() as i64)
            }
            Op::Exists(_, keys) => {
                Answer::Integer(keys.iter().filter(|key| self.live(key).is_some()).count() as i64)
            }
            Op::Expire(name, key, number, condition) => self.expire(name, key, *number, condition),
            Op::Ask(name, key) => self.ask(name, key),
            Op::Add(key, amount, _) => self.add(key, *amount),
            Op::AddQuarters(key, quarters) => self.add_quarters(key, *quarters),
            Op::Append(key, value) => {
                let end = self.live(key).map_or(0, |entry| entry.value.len());
                self.write_at(key, end, value)
            }
            Op::GetRange(_, key, first, last) => self.get_range(key, *first, *last),
            Op::SetRange(key, _, value) if value.is_empty() => self.ask("STRLEN", key),
            Op::SetRange(key, start, value) => self.write_at(key, *start, value),
            Op::MultiGet(keys) => Answer::Array(keys.iter().map(|key| self.get(key)).collect()),
            Op::MultiSet(name, pairs) => {
                let is_free = |(key, _): &(Vec<u8>, Vec<u8>)| self.live(key).is_none();
                let is_stored = *name == "MSET" || pairs.iter().all(is_free);
                for (key, value) in pairs.iter().filter(|_| is_stored) {
                    self.put(key, value, None);
                }
                if *name == "MSET" { Answer::ok() } else { Answer::Integer(is_stored.into()) }
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
            let old_ms = old.as_ref().and_then(|entry| entry.deadline_ms);
            let deadline_ms = match options.expiry {
                ("KEEPTTL", _) => old_ms,
                expiry => self.deadline_ms(expiry),
            };
            self.put(key, value, deadline_ms);
        }
        match (options.get, old) {
            (true, old) => old.map_or(Answer::Null, |entry| Answer::Bulk(entry.value)),
            (false, _) if is_stored => Answer::ok(),
            (false, _) => Answer::Null,
        }
    }

    /// What a unit and its number mean now; nothing else has a deadline.
    fn deadline_ms(&self, (unit, number): (&str, i64)) -> Option<i64> {
        match unit {
            "EX" => Some(self.now_ms + number * 1000),
            "PX" => Some(self.now_ms + number),
            "EXAT" => Some(number * 1000),
            "PXAT" => Some(number),
            _ => None,
        }
    }

    fn old_set(&mut self, name: &str, key: &[u8], number: i64, value: &[u8]) -> Answer {
        let condition = if name == "SETNX" { "NX" } else { "" };
        let expiry = match name {
            "SETEX" => ("EX", number),
            "PSETEX" => ("PX", number),
            _ => ("", 0),
        };
        let options = SetOptions { condition, get: name == "GETSET", expiry };
        match self.set(key, value, &options) {
            answer if name != "SETNX" => answer,
            answer => Answer::Integer((answer == Answer::ok()).into()),
        }
    }

    fn get_ex(&mut self, key: &[u8], expiry: (&str, i64)) -> Answer {
        let answer = self.get(key);
        let (deadline_ms, now_ms) = (self.deadline_ms(expiry), self.now_ms);
        if answer == Answer::Null || expiry.0.is_empty() {
            return answer;
        }
        if deadline_ms.is_some_and(|at| at <= now_ms) {
            self.entries.remove(key);
        }
        self.entries.entry(key.to_vec()).and_modify(|entry| entry.deadline_ms = deadline_ms);
        answer
    }

    fn get_range(&self, key: &[u8], first: i64, last: i64) -> Answer {
        let Some(Entry { value, .. }) = self.live(key) else { return Answer::bulk(b"") };
        let len = value.len() as i64;
        // Redis looks at two negative positions before it counts them from the end.
        let is_empty = first < 0 && last < 0 && first > last;
        let [first, last] = [first, last].map(|at| if at < 0 { (at + len).max(0) } else { at });
        let part = (0..len).filter(|&at| !is_empty && first <= at && at <= last);
        Answer::Bulk(part.map(|at| value[at as usize]).collect())
    }

    fn write_at(&mut self, key: &[u8], start: usize, bytes: &[u8]) -> Answer {
        let mut entry = self.live_or_empty(key);
        let end = start + bytes.len();
        entry.value.resize(entry.value.len().max(end), 0);
        entry.value[start..end].copy_from_slice(bytes);
        let length = entry.value.len();
        self.entries.insert(key.to_vec(), entry);
        Answer::Integer(length as i64)
    }

    fn add_quarters(&mut self, key: &[u8], change: i64) -> Answer {
        let mut entry = self.live_or_empty(key);
        let text = String::from_utf8_lossy(&entry.value).into_owned();
        let old = if text.is_empty() { 0.0 } else { text.parse::<f64>().expect("a sum") };
        // Few quarters are exact in any format.
        entry.value = quarters_text((old * 4.0) as i64 + change).into_bytes();
        let answer = Answer::bulk(&entry.value);
        self.entries.insert(key.to_vec(), entry);
        answer
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
            "EXPIRETIME" | "PEXPIRETIME" if ttl_ms < 0 => Answer::Integer(ttl_ms),
            "EXPIRETIME" => Answer::Integer((now_ms + ttl_ms + 500) / 1000),
            "PEXPIRETIME" => Answer::Integer(now_ms + ttl_ms),
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
