//! One mark serves many stores: where a mark could be taken for made that was not, on some way
//! through a function, something would be left.

use wasmtime::Val;

use crate::bed::{Bed, Outcome};

/// Calls `f` with a pointer and a number, in an instance whose memory is then set back. Each body
/// stores at the pointer, or at others far from it, on ways that the number decides.
fn check(body: &str) {
    let bed = Bed::of_text(&format!(
        r#"(module
            (memory (export "memory") 2 2)
            (func (export "f") (param $p i32) (param $n i32) (local $q i32) (local $turns i32)
              (local.set $q (i32.const 100000))
              {body}))"#
    ));
    let mut guest = bed.resettable();
    let before = guest.bytes();
    for pointer in [0, 5000, 40_000] {
        for number in 0..5 {
            let outcome = guest.call("f", &[Val::I32(pointer), Val::I32(number)]);
            assert_eq!(outcome, Outcome::Returned(vec![]), "{body}");
            assert!(guest.bytes() != before, "nothing is written: {body}");
            assert!(guest.reset(), "{body}");
            assert!(guest.bytes() == before, "something is left by {number}: {body}");
        }
    }
}

/// A store at a local.
fn store(local: &str) -> String {
    format!("(i32.store8 (local.get {local}) (i32.const 1))")
}

#[test]
fn a_mark_on_one_way_is_none_on_another() {
    let (p, q) = (store("$p"), store("$q"));
    check(&format!("(if (local.get $n) (then {p}) (else {q})) {p} {q}"));
    check(&format!("(if (local.get $n) (then {p})) {p}"));
    check(&format!("(if (local.get $n) (then {p}) (else {p} {q})) {q}"));
    check(&format!("(block (br_if 0 (local.get $n)) {p}) {p}"));
    check(&format!("(block (block (br_table 0 1 (local.get $n))) {p}) {p} {q}"));
    check(&format!("(block (loop (br_if 1 (local.get $n)) {p} {q})) {p} {q}"));
    check(&format!("(block (loop {p} (br_if 1 (local.get $n)) {q})) {p} {q}"));
}

#[test]
fn a_mark_is_none_once_the_local_is_set() {
    let (p, q) = (store("$p"), store("$q"));
    let moved = "(local.set $p (i32.add (local.get $p) (i32.const 3000)))";
    let turn = |condition: &str| {
        format!(
            "(local.set $turns (i32.add (local.get $turns) (i32.const 1)))
             (br_if {condition} (i32.lt_u (local.get $turns) (i32.const 20)))"
        )
    };
    check(&format!("{p} {moved} {p}"));
    check(&format!("{p} (if (local.get $n) (then {moved})) {p}"));
    check(&format!("{p} (if (local.get $n) (then {p}) (else {moved} {p})) {p}"));
    check(&format!("{p} (block (br_if 0 (local.get $n)) {moved}) {p}"));
    // Set behind the store, before the next turn.
    check(&format!("{p} (loop {p} {moved} {})", turn("0")));
    check(&format!("{p} (loop {p} {q} (if (local.get $n) (then {moved})) {})", turn("0")));
    check(&format!("{p} (loop {q} (loop {p} {moved} {}))", turn("0")));
    check(&format!("{p} (loop {p} (block {moved}) {}) {p}", turn("0")));
    // In an inner loop, then in the outer one.
    check(&format!(
        "{p} (loop {p} (loop {q} {moved} (local.set $n (i32.sub (local.get $n) (i32.const 1)))
           (br_if 0 (i32.gt_s (local.get $n) (i32.const 0)))) {p} {})",
        turn("0")
    ));
    check(&format!(
        "(loop (block {p} (br_if 0 (i32.and (local.get $turns) (i32.const 1))) {moved}) {p} {})",
        turn("0")
    ));
}

/// What stays is used: these have no more marks than stores need.
#[test]
fn a_mark_serves_in_and_behind_blocks() {
    let marks = |body: &str| {
        let text = format!(
            r#"(module (memory (export "memory") 2 2)
                 (func (export "f") (param $p i32) (param $n i32) {body}))"#
        );
        let wasm = wat::parse_str(text).expect("a module in text");
        let rewritten = ferrite_server::functions::reset::rewrite(&wasm).expect("it qualifies");
        // A store into the second memory.
        let is_mark = |bytes: &&[u8]| **bytes == [0x3a, 0x40, 0x01, 0x00];
        rewritten.windows(4).filter(is_mark).count()
    };
    let p = store("$p");
    assert_eq!(marks(&format!("{p} {p}")), 1);
    assert_eq!(marks(&format!("{p} (if (local.get $n) (then {p}) (else {p})) {p}")), 1);
    assert_eq!(marks(&format!("{p} (loop {p} (br_if 0 (local.get $n))) {p}")), 1);
    assert_eq!(marks(&format!("(loop {p} (br_if 0 (local.get $n))) {p}")), 1);
    assert_eq!(marks(&format!("(block {p}) {p}")), 2);
}
