//! What never ends by itself, in every way that was thought of, is ended by a byte that another
//! thread writes; and what has ended is not.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use ferrite_server::functions::host::Pace;
use ferrite_server::functions::instance::timed;
use ferrite_server::functions::stop::{Stop, Watch};
use wasmtime::Val;

use crate::bed::{Bed, Outcome};

const STOPPED: &str = "wasm trap: wasm `unreachable` instruction executed";

/// Far more than what is stopped takes. A test that waits so long has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// A module with one function `f`, and others that it uses. Its memory is as large as any.
fn module(functions: &str) -> String {
    format!(
        r#"(module
            (import "ferrite" "fill" (func $fill (param i32 i32)))
            (import "ferrite" "again" (func $again))
            (import "ferrite" "expire" (func $expire))
            (memory (export "memory") 256 256)
            (table $t 2 funcref)
            {functions})"#
    )
}

/// Looks after calls as fast as it can, until it is dropped.
struct Ticks {
    is_over: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Ticks {
    fn of(watch: &Arc<Watch>) -> Ticks {
        let is_over = Arc::new(AtomicBool::new(false));
        let (watch, seen) = (Arc::clone(watch), Arc::clone(&is_over));
        let thread = thread::spawn(move || {
            while !seen.load(Ordering::Relaxed) {
                watch.tick();
                thread::yield_now();
            }
        });
        Ticks { is_over, thread: Some(thread) }
    }
}

impl Drop for Ticks {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        self.thread.take().into_iter().for_each(|thread| thread.join().expect("it ticks"));
    }
}

/// Calls `f` on a thread of its own.
fn outcome(functions: &str, pace: fn() -> Pace) -> Outcome {
    let (sender, receiver) = mpsc::channel();
    let text = module(functions);
    thread::spawn(move || {
        let mut guest = Bed::of_text(&text).resettable();
        guest.pace = pace();
        let ticks = Ticks::of(&guest.store.data().watch);
        let outcome = guest.call("f", &[]);
        drop(ticks);
        sender.send(outcome)
    });
    let outcome = receiver.recv_timeout(PATIENCE);
    outcome.unwrap_or_else(|_| panic!("it is not stopped: {functions}"))
}

fn check(functions: &str) {
    for pace in [|| Pace::Locked, || timed(0)] {
        assert_eq!(outcome(functions, pace), Outcome::Trapped(STOPPED.into()), "{functions}");
    }
}

/// A look at memory that nobody else writes could be made once, before the loop.
#[test]
fn loops_of_every_kind_are_stopped() {
    check(r#"(func (export "f") (loop (br 0)))"#);
    // Registers alone, and a result.
    check(
        r#"(func (export "f") (result i64) (local i64)
             (loop (local.set 0 (i64.add (i64.mul (local.get 0) (i64.const 3)) (i64.const 1)))
               (br_if 0 (i64.ne (local.get 0) (i64.const -1))) (br 0))
             (local.get 0))"#,
    );
    // It reads, and never writes.
    check(
        r#"(func (export "f") (local i32)
             (loop (local.set 0 (i32.load (local.get 0))) (br_if 0 (i32.eqz (local.get 0)))))"#,
    );
    check(r#"(func (export "f") (loop (i32.store (i32.const 8) (i32.const 1)) (br 0)))"#);
    check(r#"(func (export "f") (loop (loop (loop (br 2)))))"#);
    check(
        r#"(func (export "f")
             (loop (loop (block (br_table 0 1 2 (i32.load (i32.const 0)))) (br 0))))"#,
    );
    // With parameters, and left by a branch out of the function.
    check(
        r#"(func (export "f") (result i32)
             (i32.const 1)
             (loop (param i32) (result i32) (br_if 1 (i32.const 0)) (br 0)))"#,
    );
    check(
        r#"(func (export "f") (result i32 i64)
             (loop (br_if 1 (i32.const 1) (i64.const 2) (i32.const 0)) (drop) (drop) (br 0))
             (unreachable))"#,
    );
}

#[test]
fn what_goes_on_without_a_loop_is_stopped() {
    // Calls of calls, of which each makes two: 2^60 of them, none deeper than 60.
    let mut tree = String::from("(func $f0)");
    for level in 1..60 {
        let below = level - 1;
        tree += &format!("(func $f{level} (call $f{below}) (call $f{below}))");
    }
    check(&format!(r#"{tree} (func (export "f") (call $f59))"#));
    check(
        r#"(func $fibonacci (param i64) (result i64)
             (if (result i64) (i64.lt_u (local.get 0) (i64.const 2))
               (then (local.get 0))
               (else (i64.add
                 (call $fibonacci (i64.sub (local.get 0) (i64.const 1)))
                 (call $fibonacci (i64.sub (local.get 0) (i64.const 2)))))))
           (func (export "f") (result i64) (call $fibonacci (i64.const 90)))"#,
    );
    // One after the other, 16 MiB each.
    let fills = "(memory.fill (i32.const 0) (i32.const 1) (i32.const 0x1000000))".repeat(500);
    check(&format!(r#"(func (export "f") {fills})"#));
    check(
        r#"(func (export "f") (loop
             (memory.copy (i32.const 0) (i32.const 1) (i32.const 0xffffff)) (br 0)))"#,
    );
}

#[test]
fn what_calls_the_host_or_is_called_by_it_is_stopped() {
    check(r#"(func (export "f") (loop (call $fill (i32.const 0) (i32.const 1)) (br 0)))"#);
    check(r#"(func (export "push") (param i64) (loop (br 0))) (func (export "f") (call $again))"#);
    check(
        r#"(type $v (func)) (elem (table $t) (i32.const 0) func $g)
           (func $g) (func (export "f") (loop (call_indirect (type $v) (i32.const 0)) (br 0)))"#,
    );
}

/// Calls that are over at once, and calls that are not for a long time, take turns on one instance,
/// and the first kind is looked at all the time.
#[test]
fn what_comes_late_does_not_end_the_next_call() {
    let bed = Bed::of_text(
        r#"(module (memory (export "memory") 1 1)
           (func (export "f") (result i32) (local i32)
             (loop (local.set 0 (i32.add (local.get 0) (i32.const 1)))
               (br_if 0 (i32.lt_u (local.get 0) (i32.const 50))))
             (local.get 0)))"#,
    );
    let returned = Outcome::Returned(vec![Some(50)]);
    let mut guest = bed.resettable();
    let mut ticks = Ticks::of(&guest.store.data().watch);
    let (mut kept, mut lost) = (0, 0);
    while kept < 2000 || lost < 20 {
        guest.pace = timed(0);
        let outcome = guest.call("f", &[]);
        let is_over = guest.stop.as_mut().is_some_and(Stop::end);
        if !is_over {
            // It was stopped, in time or not.
            assert!(guest.stop.as_ref().is_some_and(Stop::is_stopped));
            lost += 1;
            drop(ticks);
            guest = bed.resettable();
            ticks = Ticks::of(&guest.store.data().watch);
            continue;
        }
        assert_eq!(outcome, returned);
        kept += 1;
        guest.pace = timed(u64::from(u32::MAX));
        assert_eq!(guest.call("f", &[]), returned, "stopped on account of another call");
        assert!(guest.reset());
    }
}

/// What counts is what a call computes, not how long it waits for a processor.
#[test]
fn who_holds_a_lock_is_stopped_for_what_it_computes() {
    let expires = "(call $expire)".repeat(20);
    let bed = Bed::of_text(&module(&format!(
        r#"(func (export "f") {expires})
           (func (export "g") (call $expire) (loop (call $expire) (br 0)))"#
    )));
    let mut guest = bed.resettable();
    guest.pace = Pace::Locked;
    assert_eq!(guest.call("f", &[]), Outcome::Returned(vec![]));
    assert!(guest.reset());
    assert_eq!(guest.call("g", &[]), Outcome::Trapped(STOPPED.into()));
    assert!(!guest.stop.as_mut().is_some_and(Stop::end), "it is lost");
}

/// An instance that is gone is not written to, nor looked at.
#[test]
fn an_instance_that_was_dropped_is_forgotten() {
    let bed = Bed::of_text(&module(r#"(func (export "f") (param i64))"#));
    let mut guest = bed.resettable();
    let watch = Arc::clone(&guest.store.data().watch);
    assert_eq!(guest.call("f", &[Val::I64(1)]), Outcome::Returned(vec![]));
    assert_eq!(watch.len(), 1);
    drop(guest);
    watch.tick();
    assert_eq!(watch.len(), 0);
}
