//! The engine as a subject: commands in, answers out, effects written down.
//! Invariant: every effect since the last `take_effects` is in `effects`, in order.

use ferrite_engine::{Effects, Keyspace, Options, Reply, Value, execute};

use crate::answer::Answer;
use crate::subject::{START_MS, Subject};

/// A request or an effect: a command's name and its arguments.
pub type Words = Vec<Vec<u8>>;

/// A keyspace, its clock, and what it told its effects sink.
pub struct Engine {
    /// The engine itself.
    pub keys: Keyspace,
    options: Options,
    now_ms: i64,
    log: Log,
}

#[derive(Default)]
struct Log(Vec<Words>);

impl Effects for Log {
    fn effect(&mut self, arguments: &[Value<'_>]) {
        self.0.push(arguments.iter().map(bytes).collect());
    }
}

impl Engine {
    /// An empty engine.
    pub fn new(options: &Options) -> Engine {
        let keys = Keyspace::new(options).expect("options that the engine can work with");
        Engine { keys, options: *options, now_ms: START_MS, log: Log::default() }
    }

    /// What happened since the last call.
    pub fn take_effects(&mut self) -> Vec<Words> {
        std::mem::take(&mut self.log.0)
    }

    /// Lets the engine look for expired keys. How many it dropped.
    pub fn tick(&mut self, buckets_max: usize) -> usize {
        self.keys.at(self.now_ms).with_effects(&mut self.log).tick(buckets_max)
    }

    /// Every key with its value and its PTTL, sorted.
    pub fn contents(&mut self) -> Vec<(Answer, Answer, Answer)> {
        let keys = self.ask(&["KEYS", "*"].map(Into::into));
        let Answer::Array(keys) = keys.sorted() else { panic!("KEYS answers an array") };
        let entry = |key: Answer| {
            let Answer::Bulk(name) = &key else { panic!("KEYS lists bulk strings") };
            let value = self.ask(&[b"GET".to_vec(), name.clone()]);
            let ttl_ms = self.ask(&[b"PTTL".to_vec(), name.clone()]);
            (key, value, ttl_ms)
        };
        keys.into_iter().map(entry).collect()
    }
}

impl Subject for Engine {
    fn reset(&mut self) {
        *self = Engine::new(&self.options);
    }

    fn set_clock(&mut self, now_ms: i64) {
        self.now_ms = now_ms;
    }

    fn ask(&mut self, request: &[Vec<u8>]) -> Answer {
        let arguments: Vec<&[u8]> = request.iter().map(Vec::as_slice).collect();
        let mut sink = Sink::default();
        let mut cx = self.keys.at(self.now_ms).with_effects(&mut self.log);
        execute(&mut cx, &arguments, &mut sink);
        sink.finish()
    }
}

/// Builds the answer from the calls of the sink; an open array waits for its elements.
#[derive(Default)]
struct Sink {
    open: Vec<(usize, Vec<Answer>)>,
    done: Option<Answer>,
}

impl Sink {
    fn put(&mut self, answer: Answer) {
        let mut answer = answer;
        while let Some((wanted, mut items)) = self.open.pop() {
            items.push(answer);
            if items.len() < wanted {
                self.open.push((wanted, items));
                return;
            }
            answer = Answer::Array(items);
        }
        assert!(self.done.is_none(), "a second reply to one request: {answer}");
        self.done = Some(answer);
    }

    fn finish(self) -> Answer {
        assert!(self.open.is_empty(), "an array lacks elements: {:?}", self.open);
        self.done.expect("every request has a reply")
    }
}

impl Reply for Sink {
    fn simple(&mut self, text: &'static str) {
        self.put(Answer::Simple(text.into()));
    }

    fn integer(&mut self, number: i64) {
        self.put(Answer::Integer(number));
    }

    fn bulk(&mut self, value: Value<'_>) {
        self.put(Answer::Bulk(bytes(&value)));
    }

    fn null(&mut self) {
        self.put(Answer::Null);
    }

    fn array(&mut self, len: usize) {
        match len {
            0 => self.put(Answer::Array(Vec::new())),
            _ => self.open.push((len, Vec::new())),
        }
    }

    fn error(&mut self, parts: &[&[u8]]) {
        // As on the wire: an error is one line, so line ends inside become spaces.
        let line = parts.concat();
        let line = String::from_utf8_lossy(&line).replace(['\r', '\n'], " ");
        self.put(Answer::Error(line));
    }
}

fn bytes(value: &Value<'_>) -> Vec<u8> {
    let bytes: Vec<u8> = value.parts().flatten().copied().collect();
    assert_eq!(bytes.len(), value.len(), "a value's parts are as long as it says");
    assert!(!value.is_ascii() || bytes.is_ascii(), "a value that calls itself ASCII is");
    bytes
}
