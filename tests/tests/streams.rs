//! Streams under random operations, beside ordered maps of the standard library: entries of any
//! length, names that share long fronts, many groups and consumers, too little memory.
//! What redis-server says of single requests is in `vectors/stream*.txt` and `differential.rs`.

use std::collections::BTreeMap;

use ferrite_engine::Options;
use ferrite_tests::answer::Answer;
use ferrite_tests::engine::Engine;
use ferrite_tests::random::Random;
use ferrite_tests::subject::{START_MS, Subject};

const STEPS: usize = 6_000;
const VALIDATE_EVERY: usize = 100;

type Id = (u64, u64);

/// What a group was given and has not acknowledged: by whom, and how often.
#[derive(Default)]
struct Group {
    last: Id,
    pending: BTreeMap<Id, (Vec<u8>, u64)>,
}

struct Test {
    engine: Engine,
    random: Random,
    entries: BTreeMap<Id, Vec<u8>>,
    groups: BTreeMap<Vec<u8>, Group>,
    refused: usize,
}

fn text(id: Id) -> String {
    format!("{}-{}", id.0, id.1)
}

fn bulk(id: Id) -> Answer {
    text(id).as_str().into()
}

impl Test {
    /// Asks; none if there was no memory.
    fn ask(&mut self, words: &[&[u8]]) -> Option<Answer> {
        let words: Vec<Vec<u8>> = words.iter().map(|word| word.to_vec()).collect();
        let answer = self.engine.ask(&words);
        let is_refused = matches!(&answer, Answer::Error(text) if text.starts_with("OOM"));
        self.refused += usize::from(is_refused);
        (!is_refused).then_some(answer)
    }

    /// Names of any length, most of which share their fronts.
    fn name(&mut self) -> Vec<u8> {
        let len = self.random.pick(&[1, 3, 20, 100, 300, 508]);
        let number = self.random.below(30);
        [vec![b'n'; len], number.to_string().into_bytes()].concat()
    }

    fn group(&mut self) -> Option<Vec<u8>> {
        let position = self.random.below(self.groups.len().max(1));
        self.groups.keys().nth(position).cloned()
    }

    fn entry(&mut self) -> Option<Id> {
        let position = self.random.below(self.entries.len().max(1));
        self.entries.keys().nth(position).copied()
    }

    fn add(&mut self, now_ms: i64) {
        let value = vec![b'v'; self.random.pick(&[1, 1, 1, 10, 10, 200, 900, 1_100, 9_000])];
        let Some(answer) = self.ask(&[b"XADD", b"s", b"*", b"field", &value]) else { return };
        let last = self.entries.keys().next_back().copied().unwrap_or_default();
        let Answer::Bulk(id) = answer else { panic!("an id, not {answer}") };
        let id = String::from_utf8(id).expect("an id");
        let (ms, seq) = id.split_once('-').expect("two numbers");
        let id: Id = (ms.parse().expect("a number"), seq.parse().expect("a number"));
        assert!(id > last && id.0 == now_ms as u64);
        self.entries.insert(id, value);
    }

    fn read(&mut self) {
        let (Some(name), consumer) = (self.group(), self.name()) else { return };
        let count = self.random.pick(&[1, 5, 200]);
        let words: [&[u8]; 9] = [
            b"XREADGROUP",
            b"GROUP",
            &name,
            &consumer,
            b"COUNT",
            count.to_string().leak().as_bytes(),
            b"STREAMS",
            b"s",
            b">",
        ];
        let Some(answer) = self.ask(&words) else { return };
        let group = self.groups.get_mut(&name).expect("a group");
        let mut expected = self.entries.range(group.last..).filter(|(id, _)| **id > group.last);
        let Answer::Array(streams) = answer else {
            assert!(answer == Answer::Null && expected.next().is_none());
            return;
        };
        let Answer::Array(stream) = &streams[0] else { panic!("a stream") };
        let Answer::Array(given) = &stream[1] else { panic!("entries") };
        assert!(!given.is_empty() && given.len() <= count);
        let mut last = group.last;
        for entry in given {
            let (&id, value) = expected.next().expect("an entry that is there");
            let fields = vec!["field".into(), Answer::bulk(value)];
            assert_eq!(*entry, Answer::Array(vec![bulk(id), Answer::Array(fields)]));
            group.pending.insert(id, (consumer.clone(), 1));
            last = id;
        }
        group.last = last;
    }

    fn acknowledge(&mut self) {
        let (Some(name), Some(id)) = (self.group(), self.entry()) else { return };
        let group = self.groups.get_mut(&name).expect("a group");
        let few: Vec<Id> = group.pending.range(id..).map(|(id, _)| *id).take(3).collect();
        few.iter().for_each(|id| drop(group.pending.remove(id)));
        for id in few {
            let answer = self.ask(&[b"XACK", b"s", &name, text(id).as_bytes()]);
            assert_eq!(answer, Some(Answer::Integer(1)));
        }
    }

    fn claim(&mut self) {
        let (Some(name), consumer, Some(id)) = (self.group(), self.name(), self.entry()) else {
            return;
        };
        let words: [&[u8]; 7] =
            [b"XCLAIM", b"s", &name, &consumer, b"0", text(id).leak().as_bytes(), b"FORCE"];
        let Some(answer) = self.ask(&words) else { return };
        let Answer::Array(claimed) = answer else { panic!("entries, not {answer}") };
        assert_eq!(claimed.len(), 1);
        let group = self.groups.get_mut(&name).expect("a group");
        let count = group.pending.get(&id).map_or(1, |(_, count)| *count);
        group.pending.insert(id, (consumer, count + 1));
    }

    fn delete(&mut self) {
        let Some(id) = self.entry() else { return };
        let removed = self.ask(&[b"XDEL", b"s", text(id).as_bytes()]);
        assert_eq!(removed, Some(Answer::Integer(1)));
        self.entries.remove(&id);
    }

    fn trim(&mut self) {
        let Some(id) = self.entry() else { return };
        let kept = self.entries.split_off(&id);
        let removed = self.entries.len() as i64;
        self.entries = kept;
        let answer = self.ask(&[b"XTRIM", b"s", b"MINID", text(id).as_bytes()]);
        assert_eq!(answer, Some(Answer::Integer(removed)));
    }

    fn remove_consumer(&mut self) {
        let Some(name) = self.group() else { return };
        let group = self.groups.get_mut(&name).expect("a group");
        let owner = group.pending.values().next().map(|(owner, _)| owner.clone());
        let Some(owner) = owner else { return };
        let before = group.pending.len();
        group.pending.retain(|_, (other, _)| *other != owner);
        let removed = (before - group.pending.len()) as i64;
        let answer = self.ask(&[b"XGROUP", b"DELCONSUMER", b"s", &name, &owner]);
        assert_eq!(answer, Some(Answer::Integer(removed)));
    }

    fn step(&mut self, now_ms: i64) {
        match self.random.below(100) {
            0..40 => self.add(now_ms),
            40..45 => {
                let name = self.name();
                if let Some(answer) =
                    self.ask(&[b"XGROUP", b"CREATE", b"s", &name, b"0", b"MKSTREAM"])
                    && answer == Answer::ok()
                {
                    self.groups.insert(name, Group::default());
                }
            }
            45..65 => self.read(),
            65..78 => self.acknowledge(),
            78..84 => self.claim(),
            84..92 => self.delete(),
            92..94 => self.trim(),
            94..98 => self.remove_consumer(),
            98 => {
                let Some(name) = self.group() else { return };
                let answer = self.ask(&[b"XGROUP", b"DESTROY", b"s", &name]);
                assert_eq!(answer, Some(Answer::Integer(1)));
                self.groups.remove(&name);
            }
            // A copy takes the place of the original, and has all that it had.
            _ => {
                if self.ask(&[b"COPY", b"s", b"t", b"REPLACE"]) == Some(Answer::Integer(1)) {
                    assert_eq!(self.ask(&[b"RENAME", b"t", b"s"]), Some(Answer::ok()));
                }
            }
        }
    }

    /// Everything that is there, both ways.
    fn compare(&mut self) {
        self.engine.keys.validate().expect("a sound keyspace");
        let entry = |(&id, value): (&Id, &Vec<u8>)| {
            let fields = Answer::Array(vec!["field".into(), Answer::bulk(value)]);
            Answer::Array(vec![bulk(id), fields])
        };
        let mut expected: Vec<Answer> = self.entries.iter().map(entry).collect();
        let given = self.ask(&[b"XRANGE", b"s", b"-", b"+"]);
        assert!(given == Some(Answer::Array(expected.clone())));
        expected.reverse();
        assert!(self.ask(&[b"XREVRANGE", b"s", b"+", b"-"]) == Some(Answer::Array(expected)));
        for (name, group) in std::mem::take(&mut self.groups) {
            let pending = |(&id, (owner, count)): (&Id, &(Vec<u8>, u64))| {
                (bulk(id), Answer::bulk(owner), Answer::Integer(*count as i64))
            };
            let expected: Vec<_> = group.pending.iter().map(pending).collect();
            let given = self.ask(&[b"XPENDING", b"s", &name, b"-", b"+", b"1000000"]);
            let Some(Answer::Array(given)) = given else { panic!("what is pending") };
            let given = given.into_iter().map(|item| match item {
                Answer::Array(four) => (four[0].clone(), four[1].clone(), four[3].clone()),
                other => panic!("four values, not {other}"),
            });
            assert!(given.eq(expected));
            self.groups.insert(name, group);
        }
    }
}

#[test]
fn streams_are_what_their_model_is() {
    if ferrite_engine::find(b"XADD").is_none() {
        return;
    }
    for (seed, max_memory_bytes) in (0..).zip([64 << 20, 1 << 20, 1 << 20, 2 << 20]) {
        let options = Options { max_memory_bytes, seed, ..Options::default() };
        let mut test = Test {
            engine: Engine::new(&options),
            random: Random::new(seed),
            entries: BTreeMap::new(),
            groups: BTreeMap::new(),
            refused: 0,
        };
        test.ask(&[b"XGROUP", b"CREATE", b"s", b"first", b"0", b"MKSTREAM"]);
        test.groups.insert(b"first".to_vec(), Group::default());
        for step in 0..STEPS {
            let now_ms = START_MS + step as i64 / 3 + 1;
            test.engine.set_clock(now_ms);
            test.step(now_ms);
            if step % VALIDATE_EVERY == 0 {
                test.compare();
            }
        }
        test.compare();
        test.ask(&[b"DEL", b"s"]);
        while test.engine.tick(usize::MAX) > 0 {}
        test.engine.keys.validate().expect("a sound keyspace");
        println!("seed {seed}: {} refused for want of memory", test.refused);
    }
}
