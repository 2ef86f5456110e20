//! Snapshots are exact: whatever is done while one is written, its image holds what the keyspace
//! held when it began, and is a sound keyspace; so are those that follow it with what changed.
//! Damaged images are refused, or are sound as well. `FERRITE_SNAPSHOT_ROUNDS` asks for more.

use std::env;
use std::sync::{Arc, Mutex};

use ferrite_engine::{Image, Keyspace, Options, Pages, Policy};
use ferrite_tests::answer::Answer;
use ferrite_tests::engine::Engine;
use ferrite_tests::family::{Requests, compare};
use ferrite_tests::random::Random;
use ferrite_tests::subject::{START_MS, Subject};

/// Requests to fill the keyspace with before the first snapshot.
const STEPS: usize = 600;
/// Snapshots in a row; after the first, most hold only what changed.
const SNAPSHOTS: usize = 6;

/// Collects the pieces of a snapshot, from three sinks.
#[derive(Clone, Default)]
struct Recorder(Arc<Mutex<Vec<u8>>>);

impl Pages for Recorder {
    fn piece(&mut self, head: &[u8], bytes: &[u8]) {
        let mut pieces = self.0.lock().expect("nobody panicked");
        pieces.extend_from_slice(head);
        pieces.extend_from_slice(bytes);
    }
}

impl Recorder {
    fn begin(keys: &mut Keyspace, is_full: bool) -> Recorder {
        let recorder = Recorder::default();
        keys.begin_snapshot(is_full, &mut || Box::new(recorder.clone()));
        recorder
    }

    fn pieces(&self) -> Vec<u8> {
        std::mem::take(&mut *self.0.lock().expect("nobody panicked"))
    }
}

/// An engine in whose requests snapshots are taken.
struct Run {
    engine: Engine,
    requests: Requests,
    options: Options,
    now_ms: i64,
}

impl Run {
    fn new(options: &Options) -> Run {
        let is_known = |name: &str| ferrite_engine::find(name.as_bytes()).is_some();
        let requests = Requests::mixed(Random::new(options.seed), is_known);
        Run { engine: Engine::new(options), requests, options: *options, now_ms: START_MS }
    }

    fn step(&mut self) {
        if self.requests.random().one_in(20) {
            self.now_ms += self.requests.random().pick(&[1, 10, 100, 5_000]);
            self.engine.set_clock(self.now_ms);
            self.engine.tick(self.requests.random().below(32));
            if self.options.compression {
                let buckets = self.requests.random().below(32);
                self.engine.keys.at(self.now_ms).compress(buckets);
            }
        }
        let request = if self.requests.random().one_in(400) {
            vec![b"FLUSHDB".to_vec()]
        } else if self.requests.random().one_in(4) {
            // Strings that eviction and compaction have something to do with.
            let key = format!("filler:{}", self.requests.random().below(4_000));
            let len = self.requests.random().pick(&[10, 100, 700, 9_000]);
            vec![b"SET".to_vec(), key.into_bytes(), vec![b'x'; len]]
        } else {
            self.requests.request(self.now_ms)
        };
        self.engine.ask(&request);
        self.engine.take_effects();
    }

    /// Takes a snapshot while the engine works: its pieces, what it must hold, and whether it is a
    /// full one.
    fn snapshot(&mut self) -> (Vec<u8>, Moment, bool) {
        let moment = Moment::of(&mut self.engine, self.now_ms);
        let is_full = self.requests.random().one_in(4) || !self.engine.keys.has_base();
        let recorder = Recorder::begin(&mut self.engine.keys, is_full);
        let bytes_max = self.requests.random().pick(&[1, 1_000, 40_000, 400_000]);
        loop {
            for _ in 0..self.requests.random().below(8) {
                self.step();
                self.engine.keys.validate().expect("a sound keyspace while a snapshot is written");
            }
            if !self.engine.keys.write_snapshot(bytes_max) {
                break;
            }
        }
        (recorder.pieces(), moment, is_full)
    }
}

/// What an engine holds at one moment.
struct Moment {
    contents: Vec<Answer>,
    now_ms: i64,
}

impl Moment {
    fn of(engine: &mut Engine, now_ms: i64) -> Moment {
        let contents = compare::contents(engine);
        engine.take_effects();
        Moment { contents, now_ms }
    }

    fn judge(&self, images: &[Vec<u8>], options: &Options, at: &str) {
        let mut engine = Engine::new(options);
        engine.keys = open(images, options).unwrap_or_else(|broken| panic!("{at}: {broken}"));
        engine.keys.validate().unwrap_or_else(|broken| panic!("{at}: {broken}"));
        engine.set_clock(self.now_ms);
        let given = compare::contents(&mut engine);
        assert_eq!(self.contents.len(), given.len(), "{at}: keys");
        for (expected, given) in self.contents.iter().zip(&given) {
            assert!(expected == given, "{at}\n  expected {expected}\n  given    {given}");
        }
        engine.keys.validate().unwrap_or_else(|broken| panic!("{at}, once used: {broken}"));
    }
}

/// Without checksums to tell, some damage is not seen, but none is anybody's end.
#[test]
fn damaged_images_are_refused_or_harmless() {
    let options = Options { max_memory_bytes: 8 << 20, ..Options::default() };
    let mut run = Run::new(&options);
    (0..STEPS).for_each(|_| run.step());
    let recorder = Recorder::begin(&mut run.engine.keys, true);
    while run.engine.keys.write_snapshot(1 << 20) {}
    let whole = recorder.pieces();
    let mut random = Random::new(1);
    let mut refused = 0;
    for _ in 0..3_000 {
        let mut pieces = whole.clone();
        match random.below(3) {
            0 => pieces.truncate(random.below(pieces.len())),
            1 => drop(pieces.drain(..random.below(2_000))),
            _ => {}
        }
        for _ in 0..1 + random.below(4) {
            if !pieces.is_empty() {
                // Heads of pieces and of cells are what most depends on.
                let near = random.pick(&[64, 20_000, whole.len()]).min(pieces.len());
                let at = random.below(near);
                pieces[at] ^= 1 << random.below(8);
            }
        }
        refused += usize::from(open(&[pieces], &options).is_err());
    }
    assert!(refused > 1_000, "{refused} refused");
}

fn open(images: &[Vec<u8>], options: &Options) -> Result<Keyspace, ferrite_engine::Broken> {
    let mut image = Image::new();
    for pieces in images {
        image.take(pieces)?;
    }
    image.open(options)
}

#[test]
fn an_image_is_the_keyspace_at_the_moment_it_began() {
    let rounds = env::var("FERRITE_SNAPSHOT_ROUNDS").map_or(1, |text| text.parse().expect(&text));
    let mut held = 0;
    for seed in 0..rounds {
        for (name, policy) in Policy::ALL {
            for (max_memory_bytes, compression) in
                [(2 << 20, false), (64 << 20, false), (3 << 20, true)]
            {
                let base = Options { policy, seed, ..Options::default() };
                let options = Options { max_memory_bytes, compression, ..base };
                let mut run = Run::new(&options);
                (0..STEPS).for_each(|_| run.step());
                let mut chain = Vec::new();
                for number in 0..SNAPSHOTS {
                    let (pieces, moment, is_full) = run.snapshot();
                    if is_full {
                        chain.clear();
                    }
                    chain.push(pieces);
                    held += moment.contents.len();
                    let at = format!("{name}, seed {seed}, {options:?}, snapshot {number}");
                    moment.judge(&chain, &options, &at);
                    (0..STEPS / 10).for_each(|_| run.step());
                }
            }
        }
    }
    assert!(held > 10_000, "snapshots of nothing show nothing: {held} keys");
}
