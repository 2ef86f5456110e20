//! The form that Redis 7.0 would have a value in, by its settings: what OBJECT ENCODING and DEBUG
//! OBJECT name.
//!
//! Clients and their tests set these thresholds and ask for the names, so they are Redis's,
//! computed from the value as it is. How the engine stores it is the engine's own affair, which no
//! setting changes. What Redis keeps in its larger form after it has shrunk is named by what it is
//! now.

use ferrite_engine::{Args, Cx, Reply, Value, find};

use crate::number;

/// The settings, under their names in redis.conf.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Encodings {
    /// `hash-max-listpack-entries`
    pub hash_entries: i64,
    /// `hash-max-listpack-value`
    pub hash_value_bytes: u64,
    /// `list-max-listpack-size`: entries of a node, or, below zero, one of five sizes.
    pub list_size: i64,
    /// `list-compress-depth`: nodes at each end that are not compressed; 0 for none that is.
    pub list_compress_depth: i64,
    /// `set-max-intset-entries`
    pub intset_entries: i64,
    /// `set-max-listpack-entries`, which came with Redis 7.2: 0 means as before.
    pub set_entries: i64,
    /// `set-max-listpack-value`
    pub set_value_bytes: u64,
    /// `zset-max-listpack-entries`
    pub zset_entries: i64,
    /// `zset-max-listpack-value`
    pub zset_value_bytes: u64,
}

impl Default for Encodings {
    fn default() -> Encodings {
        Encodings {
            hash_entries: 512,
            hash_value_bytes: 64,
            list_size: -2,
            list_compress_depth: 0,
            intset_entries: 512,
            set_entries: 0,
            set_value_bytes: 64,
            zset_entries: 128,
            zset_value_bytes: 64,
        }
    }
}

impl Encodings {
    /// The name of a value's form.
    pub fn name(&self, cx: &mut Cx<'_>, key: &[u8]) -> Option<&'static str> {
        let own = cx.encoding(key)?;
        let name = match cx.type_name(key)? {
            "hash" => {
                let fits = fits(cx.hlen(key), self.hash_entries)
                    && Shape::of(cx, &[b"HGETALL", key]).fits(self.hash_value_bytes);
                if fits { "listpack" } else { "hashtable" }
            }
            "list" => "quicklist",
            "set" => self.name_of_set(cx, key),
            "zset" => {
                let fits = fits(cx.zcard(key), self.zset_entries)
                    && Shape::of(cx, &[b"ZRANGE", key, b"0", b"-1"]).fits(self.zset_value_bytes);
                if fits { "listpack" } else { "skiplist" }
            }
            _ => own,
        };
        Some(name)
    }

    fn name_of_set(&self, cx: &mut Cx<'_>, key: &[u8]) -> &'static str {
        let len = cx.scard(key);
        if !fits(len, self.intset_entries) && !fits(len, self.set_entries) {
            return "hashtable";
        }
        let shape = Shape::of(cx, &[b"SMEMBERS", key]);
        if shape.has_only_integers && fits(len, self.intset_entries) {
            "intset"
        } else if fits(len, self.set_entries) && shape.fits(self.set_value_bytes) {
            "listpack"
        } else {
            "hashtable"
        }
    }

    /// What DEBUG OBJECT says of a list's nodes; nothing of other values. An element of
    /// `plain_bytes` or more has a node for itself.
    pub fn nodes(&self, cx: &mut Cx<'_>, key: &[u8], plain_bytes: usize) -> String {
        let mut nodes = Nodes {
            encodings: self,
            plain_bytes,
            count: 0,
            entries: 0,
            bytes: 0,
            is_plain: false,
            sum: 0,
        };
        let len = cx.lrange(key, 0, -1, &mut |_, element| nodes.add(&element)).unwrap_or_default();
        if len == 0 {
            return String::new();
        }
        format!(
            " ql_nodes:{} ql_avg_node:{:.2} ql_listpack_max:{} ql_compressed:{} \
             ql_uncompressed_size:{}",
            nodes.count,
            len as f64 / nodes.count as f64,
            self.list_size,
            u8::from(self.list_compress_depth > 0),
            nodes.sum + nodes.bytes,
        )
    }
}

fn fits(len: ferrite_engine::Result<usize>, most: i64) -> bool {
    len.is_ok_and(|len| i64::try_from(len).is_ok_and(|len| len <= most))
}

/// What the texts of a value are like.
struct Shape {
    longest: usize,
    has_only_integers: bool,
}

impl Shape {
    /// That of what a command answers.
    fn of(cx: &mut Cx<'_>, request: &[&[u8]]) -> Shape {
        let mut shape = Shape { longest: 0, has_only_integers: true };
        if let [name, arguments @ ..] = request
            && let Some(row) = find(name)
        {
            // The key was found just now, and its type is right.
            let _ = (row.run)(cx, &mut Args::new(arguments), &mut shape);
        }
        shape
    }

    fn fits(&self, bytes_max: u64) -> bool {
        self.longest as u64 <= bytes_max
    }
}

impl Reply for Shape {
    fn bulk(&mut self, value: Value<'_>) {
        self.longest = self.longest.max(value.len());
        self.has_only_integers &= integer(&value).is_some();
    }

    fn simple(&mut self, _: &'static str) {}
    fn integer(&mut self, _: i64) {}
    fn null(&mut self) {}
    fn array(&mut self, _: usize) {}
    fn error(&mut self, _: &[&[u8]]) {}
}

fn integer(text: &Value<'_>) -> Option<i64> {
    text.as_slice().and_then(number::integer)
}

/// The nodes of a list that is made by adding one element after the other.
struct Nodes<'e> {
    encodings: &'e Encodings,
    plain_bytes: usize,
    count: usize,
    /// Of the last one.
    entries: i64,
    bytes: usize,
    is_plain: bool,
    /// Bytes of those before it.
    sum: usize,
}

/// From which length on an element has a node for itself, unless DEBUG says otherwise; and the
/// highest length that it may say.
pub const PLAIN_NODE_BYTES: u64 = 1 << 30;
/// See [`PLAIN_NODE_BYTES`].
pub const PLAIN_NODE_BYTES_MAX: u64 = (1 << 32) - (1 << 20);

/// Bytes of the nodes' sizes -1 to -5; and those that one never exceeds where entries count.
const NODE_BYTES: [usize; 5] = [4096, 8192, 16_384, 32_768, 65_536];
const COUNTED_NODE_BYTES: usize = 8192;
/// An empty node; what Redis adds to the length of an element when it looks whether it fits.
const EMPTY_NODE_BYTES: usize = 7;
const ELEMENT_SLACK_BYTES: usize = 8;

impl Nodes<'_> {
    fn add(&mut self, element: &Value<'_>) {
        if element.len() >= self.plain_bytes {
            self.begin(element.len(), true);
            return;
        }
        let size = self.encodings.list_size;
        let wanted = self.bytes + element.len() + ELEMENT_SLACK_BYTES;
        let fits = match usize::try_from(size) {
            Ok(_) => self.entries < size && wanted <= COUNTED_NODE_BYTES,
            Err(_) => {
                let at = usize::try_from(-1 - size).unwrap_or(usize::MAX);
                wanted <= NODE_BYTES.get(at).copied().unwrap_or(NODE_BYTES[4])
            }
        };
        if self.count == 0 || self.is_plain || !fits {
            self.begin(EMPTY_NODE_BYTES, false);
        }
        self.entries += 1;
        self.bytes += packed_bytes(element);
    }

    /// Another node, of so many bytes for now.
    fn begin(&mut self, bytes: usize, is_plain: bool) {
        self.sum += self.bytes;
        self.count += 1;
        (self.entries, self.bytes, self.is_plain) = (0, bytes, is_plain);
    }
}

/// Bytes of an element in a node, with those that lead back over it.
fn packed_bytes(element: &Value<'_>) -> usize {
    let bytes = match (integer(element), element.len()) {
        (Some(0..=127), _) => 1,
        (Some(-4096..=4095), _) => 2,
        (Some(-32_768..=32_767), _) => 3,
        (Some(-8_388_608..=8_388_607), _) => 4,
        (Some(number), _) if i32::try_from(number).is_ok() => 5,
        (Some(_), _) => 9,
        (None, len @ 0..64) => 1 + len,
        (None, len @ 64..4096) => 2 + len,
        (None, len) => 5 + len,
    };
    let back = match bytes {
        0..=127 => 1,
        128..16_383 => 2,
        16_383..2_097_151 => 3,
        2_097_151..268_435_455 => 4,
        _ => 5,
    };
    bytes + back
}

#[cfg(test)]
mod tests {
    use ferrite_engine::{Keyspace, Options};

    use super::*;

    fn check(encodings: &Encodings, request: &str, expected: &str) {
        let mut keys = Keyspace::new(&Options::default()).expect("a keyspace");
        let words: Vec<&[u8]> = request.split(' ').map(str::as_bytes).collect();
        let row = find(words[0]).expect(request);
        let mut ignored = Shape { longest: 0, has_only_integers: true };
        (row.run)(&mut keys.at(1), &mut Args::new(&words[1..]), &mut ignored).expect(request);
        assert_eq!(encodings.name(&mut keys.at(1), words[1]), Some(expected), "{request}");
    }

    #[test]
    fn names_follow_the_settings() {
        let redis = Encodings::default();
        check(&redis, "HSET h a 1 b 2", "listpack");
        check(&Encodings { hash_entries: 1, ..redis }, "HSET h a 1 b 2", "hashtable");
        check(&Encodings { hash_value_bytes: 2, ..redis }, "HSET h a 123", "hashtable");
        check(&Encodings { hash_value_bytes: 2, ..redis }, "HSET h abc 1", "hashtable");
        check(&redis, "SADD s 1 2 3", "intset");
        check(&redis, "SADD s 1 2 x", "hashtable");
        check(&Encodings { intset_entries: 2, ..redis }, "SADD s 1 2 3", "hashtable");
        check(&Encodings { set_entries: 9, ..redis }, "SADD s 1 2 x", "listpack");
        check(&Encodings { set_entries: 9, set_value_bytes: 1, ..redis }, "SADD s xx", "hashtable");
        check(&Encodings { set_entries: 9, intset_entries: 0, ..redis }, "SADD s 1", "listpack");
        check(&redis, "ZADD z 1 a 2 b", "listpack");
        check(&Encodings { zset_entries: 0, ..redis }, "ZADD z 1 a", "skiplist");
        check(&Encodings { zset_value_bytes: 1, ..redis }, "ZADD z 1 ab", "skiplist");
        check(&redis, "RPUSH l a b", "quicklist");
        check(&redis, "SET t 12", "int");
    }

    #[test]
    fn nodes_are_filled_by_the_settings() {
        let mut keys = Keyspace::new(&Options::default()).expect("a keyspace");
        let elements = vec![&b"abcdefgh"[..]; 1000];
        keys.at(1).rpush(b"l", &elements).expect("a list");
        let mut nodes = |list_size| {
            let encodings = Encodings { list_size, ..Encodings::default() };
            encodings.nodes(&mut keys.at(1), b"l", usize::MAX)
        };
        assert!(nodes(100).starts_with(" ql_nodes:10 ql_avg_node:100.00 ql_listpack_max:100 "));
        assert!(nodes(-2).starts_with(" ql_nodes:2 "), "{}", nodes(-2));
        assert!(nodes(-5).ends_with(" ql_uncompressed_size:10007"), "{}", nodes(-5));
        let plain = Encodings::default().nodes(&mut keys.at(1), b"l", 8);
        assert!(plain.starts_with(" ql_nodes:1000 ql_avg_node:1.00 "), "{plain}");
    }
}
