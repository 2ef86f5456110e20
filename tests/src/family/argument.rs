//! Random arguments by the names that the syntax gives them, and random disturbances.
//! Few keys and few fields, so that requests meet; now and then many or long ones, so that what is
//! small becomes large.

use crate::engine::Words;
use crate::random::Random;

const KEYS: usize = 6;
const OTHER_FAMILIES: &[&str] = &["string", "hash", "list", "set", "zset", "stream"];
/// Times of entries that are remembered, so that requests ask for what is there.
const TIMES: usize = 24;

/// What may get into a request by chance; a bar between them, because one is empty.
const STRAY_WORDS: &str = "|0|-1|1|2|01| 1|1.5|-0|NX|xx|GT|lt|CH|incr|EX|px|EXAT|PXAT|GET|keepttl|\
    COUNT|MATCH|TYPE|LIMIT|limit|withscores|WITHVALUES|BYSCORE|REV|WEIGHTS|AGGREGATE|min|\
    LEFT|right|BEFORE|RANK|MAXLEN|FIELDS|STORE|desc|REPLACE|string|hash|*|[k|(1|-|+|inf|\
    nan|10000000000|9223372036854775807|-9223372036854775808|9223372036854775808|junk|SYNC";

/// Where the arguments come from.
pub(super) struct Arguments {
    pub(super) random: Random,
    /// The clock, for absolute times.
    pub(super) now_ms: i64,
    /// Whose keys are asked about.
    pub(super) family: &'static str,
    /// How many keys the last `numkeys` announced.
    keys: usize,
    /// How large fields may be within one request: many are short.
    is_bulk: bool,
    /// Times at which entries were added to streams, and where the next is noted.
    times_ms: [i64; TIMES],
    next_time: usize,
}

impl Arguments {
    pub(super) fn new(random: Random) -> Arguments {
        Arguments {
            random,
            now_ms: 0,
            family: "",
            keys: 0,
            is_bulk: false,
            times_ms: [0; TIMES],
            next_time: 0,
        }
    }

    /// How often something is repeated, besides the once that the syntax demands.
    pub(super) fn repeats(&mut self) -> usize {
        let most = match self.random.below(100) {
            0..50 => 1,
            50..90 => 4,
            90..97 => 40,
            97..99 => 400,
            _ => 1_000,
        };
        self.is_bulk = most > 40;
        self.random.below(most + 1)
    }

    /// A word of the syntax itself, in either case.
    pub(super) fn literal(&mut self, word: &str) -> Vec<u8> {
        self.is_bulk = false;
        match self.random.one_in(8) {
            true => word.to_ascii_lowercase().into_bytes(),
            false => word.as_bytes().to_vec(),
        }
    }

    /// Appends an argument of this kind.
    pub(super) fn write(&mut self, kind: &str, request: &mut Words) {
        let now_ms = self.now_ms;
        let word = match kind {
            "key" | "source" | "destination" => self.key(),
            "lex-key" => format!("lex:{}", self.random.below(2)).into_bytes(),
            "log-key" => format!("log:{}", self.random.below(2)).into_bytes(),
            "new-id" => self.new_id(),
            "id" => self.id(),
            "new" => b">".to_vec(),
            "edge" => self.edge(),
            "group" => self.pick("g1|g1|g1|group2|g3"),
            "consumer" => self.consumer(),
            "name" => self.pick("name|name|name|other"),
            "number" => self.random.below(100_000).to_string().into_bytes(),
            "idle" => self.pick("0|0|0|1|100|5000|-1|abc"),
            "numkeys" => return self.keys_with_their_number(request),
            "numfields" => {
                let count = 1 + self.random.below(4);
                request.push(count.to_string().into_bytes());
                request.extend((0..count).map(|_| self.member()));
                return;
            }
            "weights" => {
                request.extend((0..self.keys).map(|_| self.score()));
                return;
            }
            "field" | "member" | "element" | "pivot" => self.member(),
            "value" => self.value(),
            "integer" => self.number(&[0, 1, -1, 7, 1 << 40, i64::MAX, i64::MIN, i64::MAX - 1]),
            "decimal" => {
                self.pick("0.1|-0.1|1|-2.5|1e3|3.14159|0|1e-5|100|.5|inf|abc|0.30000000000000004")
            }
            "index" | "start" | "stop" | "offset" => self.index(),
            "position" => self.small_or(&[0, 1, 4_000, 5_000, 9_000]),
            "count" | "rank" | "len" => self.count(),
            "score" | "increment" => self.score(),
            "min" | "max" => self.bound(),
            "lex" => self.lex_bound(),
            "pattern" => self.pick("*|*1*|m[0-4]*|?|m?|nothing"),
            "seconds" => self.ttl_ms(1000).to_string().into_bytes(),
            "milliseconds" => self.ttl_ms(1).to_string().into_bytes(),
            "time-seconds" => (now_ms / 1000 + self.ttl_ms(1000)).to_string().into_bytes(),
            "time-milliseconds" => (now_ms + self.ttl_ms(1)).to_string().into_bytes(),
            "weight-pattern" => self.pick("string:*|hash:*->m1|nosort|nothing*|*"),
            "get-pattern" => self.pick("string:*|hash:*->m1|#|hash:*->|nothing"),
            "type" => self.pick("string|hash|LIST|set|zset|stream|nothing"),
            "cursor" => b"0".to_vec(),
            "bit" => self.pick("0|1|1|1|0|1|0|1|1|2"),
            "bit-offset" => self.bit_offset().to_string().into_bytes(),
            "bit-type" => self.bit_type(),
            "field-offset" => self.field_offset(),
            "small" => self.number(&[1, -1, 2, 100, -100, 1_000_000, i64::MAX]),
            "visitor" => format!("visitor {}", self.random.below(50_000)).into_bytes(),
            "longitude" => self.degrees(180.0),
            "latitude" => self.degrees(85.05),
            "radius" => self.radius(),
            _ => panic!("no such argument: {kind}"),
        };
        request.push(word);
    }

    /// Makes a request wrong, or differently right: a word more, less, or another one.
    pub(super) fn disturb(&mut self, request: &mut Words) {
        let word = self.pick(STRAY_WORDS);
        // What makes lexical ranges mean something would be lost.
        if request.iter().any(|word| word.starts_with(b"lex:") || word.starts_with(b"log:")) {
            return;
        }
        // A cursor in the middle of a turn is each implementation's own.
        let name = request[0].to_ascii_uppercase();
        let first = match name.as_slice() {
            b"SCAN" => 2,
            b"HSCAN" | b"SSCAN" | b"ZSCAN" => 3,
            _ => 1,
        };
        let position = first + self.random.below(request.len().max(first + 1) - first);
        match self.random.below(3) {
            0 => request.insert(position.min(request.len()), word),
            1 if position < request.len() => request[position] = word,
            2 if position < request.len() => drop(request.remove(position)),
            _ => request.push(word),
        }
    }

    /// The id for an entry that is added.
    fn new_id(&mut self) -> Vec<u8> {
        let now_ms = self.now_ms;
        self.times_ms[self.next_time % TIMES] = now_ms;
        self.next_time += 1;
        match self.random.below(40) {
            0..22 => b"*".to_vec(),
            22..30 => format!("{now_ms}-*").into_bytes(),
            30..38 => format!("{now_ms}-{}", self.random.below(40)).into_bytes(),
            38 => format!("{now_ms}").into_bytes(),
            _ => self.pick("0-0|0|0-*|1-1|-|abc|5-|18446744073709551615-1-1"),
        }
    }

    /// The id of an entry that may be there.
    fn id(&mut self) -> Vec<u8> {
        let ms = self.random.pick(&self.times_ms);
        match self.random.below(40) {
            0..34 => format!("{ms}-{}", self.random.below(6)).into_bytes(),
            34..37 => format!("{ms}").into_bytes(),
            37 => self.pick("0|0-0|1"),
            _ => self.pick("-|+|$|>|abc|007|5-|18446744073709551615|99999999999999999999"),
        }
    }

    fn edge(&mut self) -> Vec<u8> {
        match self.random.below(8) {
            0..2 => b"-".to_vec(),
            2..4 => b"+".to_vec(),
            4 => [b"(".to_vec(), self.id()].concat(),
            _ => self.id(),
        }
    }

    fn consumer(&mut self) -> Vec<u8> {
        match self.random.below(60) {
            0 => vec![b'c'; self.random.pick(&[60, 200, 300, 512])],
            1 => Vec::new(),
            _ => self.pick("anna|bert|carl|c1|c2"),
        }
    }

    fn pick(&mut self, words: &'static str) -> Vec<u8> {
        let words: Vec<&str> = words.split('|').collect();
        self.random.pick(&words).into()
    }

    /// Mostly a key of the family, sometimes another's.
    fn key(&mut self) -> Vec<u8> {
        let family = match self.random.one_in(40) {
            true => self.random.pick(OTHER_FAMILIES),
            false => self.family,
        };
        format!("{family}:{}", self.random.below(KEYS)).into_bytes()
    }

    fn keys_with_their_number(&mut self, request: &mut Words) {
        self.keys = 1 + self.random.below(3);
        let told = match self.random.one_in(40) {
            true => self.number(&[0, 1, 2, 5, -1, i64::MAX]),
            false => self.keys.to_string().into_bytes(),
        };
        request.push(told);
        request.extend((0..self.keys).map(|_| self.key()));
    }

    fn member(&mut self) -> Vec<u8> {
        let number = match self.random.below(if self.is_bulk { 7 } else { 10 }) {
            0..3 => return self.random.below(1_000).to_string().into_bytes(),
            3..7 => self.random.below(1_500),
            7..9 => self.random.below(12),
            _ => return self.rare_member(),
        };
        format!("m{number}").into_bytes()
    }

    fn rare_member(&mut self) -> Vec<u8> {
        let which = self.random.below(8);
        let long = vec![b'a' + which as u8; self.random.pick(&[60, 64, 65, 200, 255, 256, 1_100])];
        match which {
            0 => Vec::new(),
            1 => b"\xff\xfe\r\n".to_vec(),
            2 => self.pick("-5|0|+1|007|1.5|9223372036854775807|-9223372036854775808"),
            3 => vec![b'z'; self.random.pick(&[2_000, 3_000, 5_000])],
            _ => long,
        }
    }

    fn value(&mut self) -> Vec<u8> {
        let longest = match self.random.below(if self.is_bulk { 25 } else { 40 }) {
            0..8 => return self.random.below(200).to_string().into_bytes(),
            8..25 => 20,
            25..36 => 200,
            36..38 => 1_200,
            _ => 5_000,
        };
        let (len, first) = (self.random.below(longest + 1), self.random.below(26) as u8);
        (0..len).map(|i| b'a' + ((first as usize + i % 251) % 26) as u8).collect()
    }

    fn number(&mut self, numbers: &[i64]) -> Vec<u8> {
        self.random.pick(numbers).to_string().into_bytes()
    }

    /// A small number, or one of these.
    fn small_or(&mut self, numbers: &[i64]) -> Vec<u8> {
        match self.random.one_in(3) {
            true => self.number(numbers),
            false => self.random.below(30).to_string().into_bytes(),
        }
    }

    fn index(&mut self) -> Vec<u8> {
        let number = match self.random.below(20) {
            0..14 => self.random.below(40) as i64 - 20,
            14..19 => self.random.below(3_000) as i64 - 1_500,
            _ => self.random.pick(&[i64::MAX, i64::MIN, i64::MAX - 1, 1 << 32]),
        };
        number.to_string().into_bytes()
    }

    fn count(&mut self) -> Vec<u8> {
        let number = match self.random.below(40) {
            0..24 => self.random.below(6) as i64,
            24..30 => -(self.random.below(6) as i64),
            30..39 => self.random.below(700) as i64,
            // The most negative of them would be a reply without end.
            _ => self.random.pick(&[i64::MAX, i64::MIN, i64::MAX / 2, 1 << 32]),
        };
        number.to_string().into_bytes()
    }

    /// Scores whose text is the same whatever the way of writing them.
    fn score(&mut self) -> Vec<u8> {
        let quarters = match self.random.below(40) {
            0..20 => self.random.below(40) as i64 * 4,
            20..35 => self.random.below(4_000) as i64 - 2_000,
            35..38 => self.random.below(1 << 40) as i64,
            // One word that is no score would refuse all of a bulk.
            _ if self.is_bulk => 0,
            _ => return self.pick("inf|-inf|nan|1e3|0x10|-0|+5|abc"),
        };
        (quarters as f64 / 4.0).to_string().into_bytes()
    }

    fn bound(&mut self) -> Vec<u8> {
        let mut bound = match self.random.one_in(5) {
            true => self.pick("-inf|+inf|inf|0|abc"),
            false => self.score(),
        };
        if self.random.one_in(4) {
            bound.insert(0, b'(');
        }
        bound
    }

    fn lex_bound(&mut self) -> Vec<u8> {
        match self.random.below(8) {
            0 => self.pick("-|+|[|(|a"),
            1..3 => self.pick("-|+"),
            _ => {
                let mark = self.random.pick(&[b"[", b"("]);
                [mark.as_slice(), &self.member()].concat()
            }
        }
    }

    /// The offset of a bit, never of one that would make a string of half a gigabyte.
    fn bit_offset(&mut self) -> i64 {
        match self.random.below(40) {
            0..30 => self.random.below(200) as i64,
            30..37 => self.random.below(70_000) as i64,
            37..39 => self.random.below(400_000) as i64,
            _ => self.random.pick(&[-1, 1 << 32, i64::MAX]),
        }
    }

    fn bit_type(&mut self) -> Vec<u8> {
        match self.random.below(20) {
            0 => self.pick("u0|u64|i0|i65|u-1|x8|8|u|i08"),
            1..4 => self.pick("u1|i1|u8|i8|u16|u63|i64"),
            4..12 => format!("u{}", 1 + self.random.below(63)).into_bytes(),
            _ => format!("i{}", 1 + self.random.below(64)).into_bytes(),
        }
    }

    fn field_offset(&mut self) -> Vec<u8> {
        match self.random.below(10) {
            0..4 => format!("#{}", self.random.below(12)).into_bytes(),
            4 => format!("#{}", self.random.below(800)).into_bytes(),
            _ => self.bit_offset().to_string().into_bytes(),
        }
    }

    /// A coordinate, now and then near a certain place, on the edge of the map, or off it.
    fn degrees(&mut self, most: f64) -> Vec<u8> {
        let part = self.random.below(1 << 30) as f64 / (1u64 << 30) as f64;
        let degrees = match self.random.below(400) {
            0 => return self.pick("x|-200|inf|nan|1e300"),
            1..4 => self.random.pick(&[most, -most, 0.0]),
            4..200 => 11.0 + part,
            _ => (2.0 * part - 1.0) * most,
        };
        format!("{degrees:.9}").into_bytes()
    }

    fn radius(&mut self) -> Vec<u8> {
        let most = self.random.pick(&[1.0, 100.0, 1_000.0, 100_000.0, 30_000_000.0]);
        let part = self.random.below(1 << 20) as f64 / (1u64 << 20) as f64;
        match self.random.one_in(30) {
            true => self.pick("0|-1|x|inf|1e300|nan"),
            false => format!("{:.3}", part * most).into_bytes(),
        }
    }

    /// A time to live in this unit, most of them soon over.
    fn ttl_ms(&mut self, unit_ms: i64) -> i64 {
        let scale = self.random.pick(&[10, 100, 1_000, 10_000, 1_000_000]);
        (self.random.below(scale) as i64 - 3) / unit_ms
    }
}
