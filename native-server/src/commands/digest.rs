//! DEBUG DIGEST and DEBUG DIGEST-VALUE: a fingerprint of what is stored, the same that Redis
//! computes of the same keys.
//!
//! What has an order is hashed in it. What has none is hashed piece by piece, and the hashes are
//! added by exclusive or, so that the order in which it is stored does not matter.
//!
//! Not here: how values are stored; they are read by the commands that everybody uses.

use ferrite_engine::{Args, Cx, Reply, Ttl, Value, find};
use sha1::{Digest, Sha1};

/// Twenty bytes, shown as forty hexadecimal digits.
#[derive(Clone, Copy, Default)]
pub struct Fingerprint([u8; 20]);

impl Fingerprint {
    /// Adds something whose place among the others does not matter.
    fn add(&mut self, bytes: &[u8]) {
        let hash: [u8; 20] = Sha1::digest(bytes).into();
        self.0.iter_mut().zip(hash).for_each(|(own, other)| *own ^= other);
    }

    /// Adds something that comes after all that was added before.
    fn mix(&mut self, bytes: &[u8]) {
        self.add(bytes);
        self.0 = Sha1::digest(self.0).into();
    }

    /// Adds a piece that consists of several texts in order.
    fn add_piece(&mut self, texts: &[Vec<u8>]) {
        let mut piece = Fingerprint::default();
        texts.iter().for_each(|text| piece.mix(text));
        self.add(&piece.0);
    }

    /// As hexadecimal digits.
    pub fn text(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Adds a database: its number, then its keys in any order.
    pub fn add_database(&mut self, number: usize, cx: &mut Cx<'_>) {
        let keys = ask(cx, "KEYS", &[b"*"]);
        if keys.is_empty() {
            return;
        }
        self.mix(&u32::try_from(number).unwrap_or(u32::MAX).to_be_bytes());
        for key in keys {
            let mut own = Fingerprint::default();
            own.mix(&key);
            own.add_value(cx, &key);
            self.add(&own.0);
        }
    }

    /// Adds the value of a key, and whether it has a deadline. Nothing if there is no such key.
    pub fn add_value(&mut self, cx: &mut Cx<'_>, key: &[u8]) {
        let kind = ask(cx, "TYPE", &[key]).pop().unwrap_or_default();
        let Some(number) = TYPES.iter().position(|name| name.as_bytes() == kind) else { return };
        self.mix(&u32::try_from(number).unwrap_or(u32::MAX).to_be_bytes());
        match TYPES[number] {
            "string" => ask(cx, "GET", &[key]).iter().for_each(|text| self.mix(text)),
            "list" => ask(cx, "LRANGE", &[key, b"0", b"-1"]).iter().for_each(|text| self.mix(text)),
            "set" => ask(cx, "SMEMBERS", &[key]).iter().for_each(|member| self.add(member)),
            "zset" => {
                let members = ask(cx, "ZRANGE", &[key, b"0", b"-1", b"WITHSCORES"]);
                members.chunks(2).for_each(|pair| self.add_piece(pair));
            }
            "hash" => ask(cx, "HGETALL", &[key]).chunks(2).for_each(|pair| self.add_piece(pair)),
            _ => self.add_stream(cx, key),
        }
        if let Ttl::Left(_) = cx.expire_time(key) {
            self.add(b"!!expire!!");
        }
    }

    /// Each entry is its id, then its fields and values.
    fn add_stream(&mut self, cx: &mut Cx<'_>, key: &[u8]) {
        let Answer { texts, arrays } = answer(cx, "XRANGE", &[key, b"-", b"+"]);
        let entries = arrays.get(1..).unwrap_or_default();
        for pair in entries.chunks(2) {
            let &[(start, _), (fields, count)] = pair else { return };
            let id = texts.get(start).map(|id| String::from_utf8_lossy(id).replace('-', "."));
            self.mix(id.unwrap_or_default().as_bytes());
            let fields = texts.get(fields..fields + count).unwrap_or_default();
            fields.iter().for_each(|text| self.mix(text));
        }
    }
}

/// The types in the order of their numbers in Redis; there is none with the number 5.
const TYPES: [&str; 7] = ["string", "list", "set", "zset", "hash", "module", "stream"];

/// What a command answers: its texts in order, and its arrays, each as where its first text is and
/// how many elements it has.
#[derive(Default)]
struct Answer {
    texts: Vec<Vec<u8>>,
    arrays: Vec<(usize, usize)>,
}

impl Reply for Answer {
    fn simple(&mut self, text: &'static str) {
        self.texts.push(text.into());
    }

    fn integer(&mut self, number: i64) {
        self.texts.push(number.to_string().into());
    }

    fn bulk(&mut self, value: Value<'_>) {
        self.texts.push(value.parts().flatten().copied().collect());
    }

    fn array(&mut self, len: usize) {
        self.arrays.push((self.texts.len(), len));
    }

    fn null(&mut self) {}
    fn error(&mut self, _: &[&[u8]]) {}
}

fn answer(cx: &mut Cx<'_>, name: &str, arguments: &[&[u8]]) -> Answer {
    let mut answer = Answer::default();
    if let Some(row) = find(name.as_bytes()) {
        // What cannot be read has no part in the fingerprint.
        let _ = (row.run)(cx, &mut Args::new(arguments), &mut answer);
    }
    answer
}

/// The texts that a command answers.
pub fn ask(cx: &mut Cx<'_>, name: &str, arguments: &[&[u8]]) -> Vec<Vec<u8>> {
    answer(cx, name, arguments).texts
}
