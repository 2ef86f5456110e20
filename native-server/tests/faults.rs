//! The log on a disk that fails: at every step of a random workload in turn, in every way.
//!
//! The judge is the list of what was appended. Whatever happens, what is read back is a prefix of
//! it that ends with a whole unit, and holds all that was announced as durable.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ferrite_server::persist::format::segment_name;
use ferrite_server::persist::log::{Fsync, Log, Request, Trouble};
use ferrite_server::persist::manifest::Needs;
use ferrite_server::persist::reader::{self, End};
use ferrite_server::persist::simulated::{Fault, Simulated, Storage};
use ferrite_server::persist::writer::{Next, Options, Writer};
use ferrite_tests::random::Random;

const SEGMENT_BYTES: u64 = 16 * 1024;
const UNITS: usize = 60;
/// Turns after which whatever can pass has passed.
const TURNS_MAX: usize = 400;

fn salt() -> u64 {
    // Each segment has its own, and none depends on time.
    use std::sync::atomic::{AtomicU64, Ordering};
    static LAST: AtomicU64 = AtomicU64::new(1);
    LAST.fetch_add(1, Ordering::Relaxed)
}

const OPTIONS: Options = Options { segment_bytes: SEGMENT_BYTES, anew: 0, random: salt };

/// A log, what was appended to it, and what a checkpoint has.
struct Bench {
    storage: Storage,
    log: Arc<Log>,
    writer: Writer,
    now: Instant,
    random: Random,
    /// Everything from position 0 on, and where units end.
    bytes: Vec<u8>,
    ends: Vec<u64>,
    /// The position of the last checkpoint.
    from: u64,
    /// Announced as durable.
    durable: u64,
}

impl Bench {
    fn new(seed: u64, policy: Fsync) -> Bench {
        let (storage, now) = (Storage::new(seed), Instant::now());
        let (log, writer) = open(&storage, policy, &End::default(), now);
        Bench {
            storage,
            log,
            writer,
            now,
            random: Random::new(seed),
            bytes: Vec::new(),
            ends: vec![0],
            from: 0,
            durable: 0,
        }
    }

    /// The writer does what it can; then some time passes.
    fn turn(&mut self) -> Next {
        let next = self.writer.turn(self.now);
        self.now += Duration::from_millis(60);
        let durable = self.log.durable();
        assert!(durable >= self.durable, "what is durable stays so");
        assert!(durable <= self.bytes.len() as u64, "nothing is durable that was not appended");
        self.durable = durable;
        next
    }

    /// What is on its way ends.
    fn wait(&mut self) {
        self.writer.wait(Duration::ZERO);
    }

    fn append(&mut self) {
        let len: usize = match self.random.below(20) {
            0 => 40_000,
            1..=4 => 3_000,
            _ => 1 + self.random.below(300),
        };
        let unit: Vec<u8> = (0..len).map(|_| self.random.below(256) as u8).collect();
        let position = self.log.append(|buffer| buffer.extend_from_slice(&unit));
        self.bytes.extend_from_slice(&unit);
        self.ends.push(position);
        assert_eq!(position, self.bytes.len() as u64);
    }

    fn work(&mut self) {
        for _ in 0..UNITS {
            if self.log.trouble().is_none() {
                self.append();
            }
            if self.random.one_in(3) {
                self.turn();
            }
            if self.random.one_in(3) {
                self.wait();
            }
            if self.random.one_in(15) && self.log.trouble().is_none() {
                self.from = self.log.position();
                self.log.ask(Request::Forget(self.from));
            }
        }
    }

    /// Lets pass whatever passes.
    fn settle(&mut self) {
        for _ in 0..TURNS_MAX {
            self.turn();
            self.wait();
        }
    }

    /// Reads back, and judges.
    fn read(&self) -> End {
        let mut at = self.from as usize;
        let end = reader::read(&self.storage, self.from, &mut |position, unit| {
            assert_eq!(position as usize, at, "without a gap");
            assert_eq!(self.bytes.get(at..at + unit.len()), Some(unit), "at {at}");
            at += unit.len();
            Ok(())
        });
        let end = end.unwrap_or_else(|fault| {
            let starts = reader::Segments::list(&self.storage).expect("a list");
            let start = |number| (number, reader::first_record(&self.storage, number));
            let starts: Vec<_> = starts.into_iter().map(start).collect();
            panic!("{fault}: {starts:?}, from {}, durable {}", self.from, self.durable)
        });
        assert_eq!(end.position as usize, at);
        assert!(self.ends.contains(&end.position), "{} is in the middle of a unit", end.position);
        // The middle of a unit may be durable, which nobody was told.
        let told = self.ends.iter().rev().find(|end| **end <= self.durable).copied();
        let told = told.unwrap_or_default();
        assert!(end.position >= told, "{} < {told}", end.position);
        end
    }

    /// The server starts again on what is there, as recovery does it, and goes on.
    fn go_on(&mut self, policy: Fsync) {
        let end = self.read();
        self.bytes.truncate(end.position as usize);
        self.ends.retain(|position| *position <= end.position);
        if let Some(torn) = end.torn {
            self.storage.cut(torn.number, torn.offset);
            let later = end.segments.iter().filter(|segment| segment.number > torn.number);
            later.for_each(|segment| self.storage.remove(segment.number));
        }
        end.unused.iter().for_each(|number| self.storage.remove(*number));
        (self.log, self.writer) = open(&self.storage, policy, &end, self.now);
        self.durable = self.durable.min(end.position);
        for _ in 0..5 {
            self.append();
        }
        self.close();
        let end = self.read();
        assert_eq!((end.position, end.torn), (self.bytes.len() as u64, None));
    }

    fn close(&mut self) {
        self.log.ask(Request::Close);
        for _ in 0..TURNS_MAX {
            if self.turn() == Next::End {
                return;
            }
            self.wait();
        }
        panic!("a log that is closed ends");
    }
}

fn open(storage: &Storage, policy: Fsync, end: &End, now: Instant) -> (Arc<Log>, Writer) {
    use ferrite_server::persist::reader::Segments;
    let log = Arc::new(Log::default());
    log.set_policy(policy);
    log.open(end.position, OPTIONS.record_bytes());
    let number = storage.list().expect("a list").last().map_or(1, |last| last + 1);
    let last = end.torn.map_or(u64::MAX, |torn| torn.number);
    let older = end.segments.iter().copied().filter(|segment| segment.number <= last);
    let older: Vec<_> = older.collect();
    storage.note(Needs {
        position: older.first().map_or(end.position, |first| first.start),
        end: None,
        numbers: older.iter().map(|segment| segment.number).collect(),
    });
    let disk = Box::new(Simulated::new(storage));
    let writer = Writer::new(Arc::clone(&log), disk, older, number, OPTIONS, now);
    (log, writer.expect("a first segment"))
}

const POLICIES: [Fsync; 3] = [Fsync::Always, Fsync::EverySecond, Fsync::No];

/// The steps that a workload takes when nothing goes wrong.
fn steps(seed: u64, policy: Fsync) -> std::ops::RangeInclusive<u64> {
    let mut bench = Bench::new(seed, policy);
    let first = bench.storage.steps() + 1;
    bench.work();
    bench.close();
    first..=bench.storage.steps()
}

fn seeds() -> std::ops::Range<u64> {
    let rounds = std::env::var("FERRITE_CRASH_SEEDS").ok().and_then(|text| text.parse().ok());
    1..1 + rounds.unwrap_or(2)
}

#[test]
fn a_log_that_is_closed_has_everything() {
    for seed in seeds() {
        for policy in POLICIES {
            let mut bench = Bench::new(seed, policy);
            bench.work();
            bench.close();
            let end = bench.read();
            assert_eq!(end.position, bench.bytes.len() as u64, "seed {seed} {policy:?}");
            assert_eq!(end.torn, None);
            bench.go_on(policy);
        }
    }
}

#[test]
fn after_a_loss_of_power_at_any_step_all_that_was_durable_is_there() {
    let mut torn = 0;
    for seed in seeds() {
        for policy in POLICIES {
            for step in steps(seed, policy) {
                let mut bench = Bench::new(seed, policy);
                bench.storage.fail_at(step, Fault::Crash);
                bench.work();
                bench.settle();
                bench.storage.restart();
                torn += usize::from(bench.read().torn.is_some());
                bench.go_on(policy);
            }
        }
    }
    assert!(torn > 20, "a tail is torn now and then: {torn}");
}

#[test]
fn when_the_process_dies_all_that_was_written_is_there() {
    for seed in seeds() {
        for policy in POLICIES {
            let mut bench = Bench::new(seed, policy);
            bench.work();
            bench.settle();
            bench.durable = bench.bytes.len() as u64;
            bench.storage.flush();
            assert_eq!(bench.read().position, bench.durable, "seed {seed} {policy:?}");
            bench.go_on(policy);
        }
    }
}

#[test]
fn a_short_write_or_a_full_disk_passes_and_nothing_is_lost() {
    for seed in seeds() {
        for policy in POLICIES {
            for step in steps(seed, policy) {
                for fault in [Fault::Short, Fault::Full(1), Fault::Full(7)] {
                    let mut bench = Bench::new(seed, policy);
                    bench.storage.fail_at(step, fault);
                    bench.work();
                    bench.settle();
                    let what = format!("seed {seed} {policy:?} step {step} {fault:?}");
                    assert_eq!(bench.log.trouble(), None, "{what}");
                    assert!(!bench.log.has_failed(), "{what}");
                    bench.close();
                    assert_eq!(bench.read().position, bench.bytes.len() as u64, "{what}");
                }
            }
        }
    }
}

#[test]
fn after_a_failure_nothing_counts_until_a_checkpoint_has_it() {
    let mut failures = 0;
    for seed in seeds() {
        for policy in POLICIES {
            for step in steps(seed, policy) {
                let mut bench = Bench::new(seed, policy);
                bench.storage.fail_at(step, Fault::Error);
                bench.work();
                bench.settle();
                if !bench.log.has_failed() {
                    continue;
                }
                failures += 1;
                let what = format!("seed {seed} {policy:?} step {step}");
                assert!(matches!(bench.log.trouble(), Some(Trouble::Failed(_))), "{what}");
                let durable = bench.durable;
                bench.settle();
                assert_eq!(bench.durable, durable, "{what}");
                bench.storage.flush();
                bench.read();
                // What a checkpoint does.
                bench.from = bench.log.keep_again();
                assert_eq!(bench.from, bench.bytes.len() as u64, "{what}");
                bench.log.ask(Request::Restart(bench.from));
                bench.log.ask(Request::Forget(bench.from));
                bench.settle();
                assert_eq!(bench.log.trouble(), None, "{what}");
                bench.work();
                bench.close();
                assert_eq!(bench.read().position, bench.bytes.len() as u64, "{what}");
                bench.go_on(policy);
            }
        }
    }
    assert!(failures > 20, "most failures are ones of writes: {failures}");
}

#[test]
fn damage_to_what_was_durable_is_refused_and_named() {
    let mut bench = Bench::new(5, Fsync::Always);
    for _ in 0..30 {
        bench.append();
        bench.turn();
        bench.wait();
        bench.turn();
    }
    bench.close();
    let numbers = reader::Segments::list(&bench.storage).expect("a list");
    let number = numbers[0];
    bench.storage.damage(number, 512 + 40);
    let outcome = reader::read(&bench.storage, 0, &mut |_, _| Ok(()));
    let text = outcome.expect_err("damage").to_string();
    let start = format!("{}: damaged at offset 512: ", segment_name(number));
    assert!(text.starts_with(&start), "{text}");
    bench.storage.damage(number, 512 + 40);
    bench.read();
    // The head of a file.
    bench.storage.damage(number, 8);
    let text = reader::read(&bench.storage, 0, &mut |_, _| Ok(())).expect_err("damage").to_string();
    assert!(text.contains("the head of the segment is damaged"), "{text}");
    bench.storage.damage(number, 8);
    // A file that is missing.
    bench.storage.remove(number);
    let text = reader::read(&bench.storage, 0, &mut |_, _| Ok(())).expect_err("a gap").to_string();
    assert!(text.starts_with(&format!("{}: is missing", segment_name(number))), "{text}");
}

#[test]
fn a_file_that_is_missing_is_named_unless_nothing_is_lost_by_that() {
    let (mut named, mut unharmed, mut unkept) = (0, 0, 0);
    for seed in seeds() {
        for policy in POLICIES {
            let bench = || {
                let mut bench = Bench::new(seed, policy);
                bench.work();
                bench.settle();
                bench
            };
            for number in reader::Segments::list(&bench().storage).expect("a list") {
                let bench = bench();
                bench.storage.remove(number);
                match reader::read(&bench.storage, bench.from, &mut |_, _| Ok(())) {
                    Ok(_) => {
                        bench.read();
                        unharmed += 1;
                    }
                    Err(fault) => {
                        let expected = format!("{}: is missing", segment_name(number));
                        assert!(fault.to_string().starts_with(&expected), "{fault}");
                        named += 1;
                    }
                }
            }
            // The checkpoint that they go on from.
            let bench = bench();
            let needs =
                reader::Segments::needs(&bench.storage).expect("a note").expect("it is noted");
            if let Some(before) = needs.position.checked_sub(1) {
                let outcome = reader::read(&bench.storage, before, &mut |_, _| Ok(()));
                let text = outcome.expect_err("no checkpoint").to_string();
                assert!(text.contains("goes on from a checkpoint of position"), "{text}");
                unkept += 1;
            }
        }
    }
    let all_happen = named > 10 && unharmed > 0 && unkept > 0;
    assert!(all_happen, "{named} named, {unharmed} unharmed, {unkept} without a checkpoint");
}

#[test]
fn who_waits_for_the_disk_waits_for_all_of_it_and_no_longer() {
    let mut bench = Bench::new(5, Fsync::No);
    // It goes over several segments, each of which is made durable when it is left.
    for _ in 0..10 {
        for _ in 0..10 {
            bench.append();
        }
        let wanted = bench.log.position();
        bench.log.hurry();
        for turn in 0..TURNS_MAX {
            // Others go on for a while, but not so long that a segment is left again.
            if turn < 8 {
                bench.log.append(|buffer| buffer.push(0));
                bench.bytes.push(0);
            }
            bench.turn();
            bench.wait();
        }
        assert!(bench.durable >= wanted, "{} of {wanted}", bench.durable);
    }
}
