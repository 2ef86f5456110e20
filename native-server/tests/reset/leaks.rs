//! The places where something could be left, one after the other.

use wasmtime::Val;

use crate::bed::{Bed, Guest, Outcome};

const MEMORY_BYTES: u32 = 128 * 1024;
const BLOCK_BYTES: u32 = 1024;

/// Each store with the bytes it writes, and an operand that writes ones.
const STORES: &[(&str, u32, &str)] = &[
    ("i32.store", 4, "i32.const -1"),
    ("i32.store8", 1, "i32.const -1"),
    ("i32.store16", 2, "i32.const -1"),
    ("i64.store", 8, "i64.const -1"),
    ("i64.store8", 1, "i64.const -1"),
    ("i64.store16", 2, "i64.const -1"),
    ("i64.store32", 4, "i64.const -1"),
    ("f32.store", 4, "f32.const nan:0x7fffff"),
    ("f64.store", 8, "f64.const nan:0xfffffffffffff"),
    ("v128.store", 16, "v128.const i64x2 -1 -1"),
    ("v128.store8_lane", 1, "v128.const i64x2 -1 -1"),
    ("v128.store16_lane", 2, "v128.const i64x2 -1 -1"),
    ("v128.store32_lane", 4, "v128.const i64x2 -1 -1"),
    ("v128.store64_lane", 8, "v128.const i64x2 -1 -1"),
];

/// Around what one mark reaches, around a block, and beyond both.
const OFFSETS: &[u32] = &[0, 5, 112, 120, 127, 128, 1000, 1024, 70_000];

/// A module with each store at each offset, to an address that is a parameter and to one that is
/// calculated; globals of each type; data in two places, and another that is not in memory.
pub fn stores() -> String {
    let mut functions = String::new();
    for (store, _, operand) in STORES {
        let lane = if store.ends_with("_lane") { "0" } else { "" };
        for offset in OFFSETS {
            for (form, address) in
                [("local", "local.get 0"), ("sum", "i32.add (local.get 0) (i32.const 0)")]
            {
                functions += &format!(
                    r#"(func (export "{store} {offset} {form}") (param i32)
                         ({store} offset={offset} {lane} ({address}) ({operand})))"#
                );
            }
        }
    }
    format!(
        r#"(module
            (import "ferrite" "fill" (func $fill (param i32 i32)))
            (import "ferrite" "again" (func $again))
            (import "ferrite" "fail" (func $fail))
            (import "ferrite" "expire" (func $expire))
            (memory (export "memory") 2 4)
            (global $sp (export "sp") (mut i32) (i32.const 16384))
            (global $i64 (export "i64") (mut i64) (i64.const 7))
            (global $f32 (export "f32") (mut f32) (f32.const 1.5))
            (global $f64 (export "f64") (mut f64) (f64.const nan:0x4000000000001))
            (global $v128 (export "v128") (mut v128) (v128.const i64x2 3 4))
            (data (i32.const 16384) "what is not to be written")
            (data (i32.const 70000) "what may be written")
            (data $passive "0123456789")
            {functions}
            (func (export "fill") (param i32 i32 i32)
              (memory.fill (local.get 0) (local.get 1) (local.get 2)))
            (func (export "copy") (param i32 i32 i32)
              (memory.copy (local.get 0) (local.get 1) (local.get 2)))
            (func (export "init") (param i32 i32 i32)
              (memory.init $passive (local.get 0) (local.get 1) (local.get 2)))
            (func (export "host") (param i32 i32) (call $fill (local.get 0) (local.get 1)))
            (func (export "globals")
              (global.set $sp (i32.const 1)) (global.set $i64 (i64.const 1))
              (global.set $f32 (f32.const 1)) (global.set $f64 (f64.const 1))
              (global.set $v128 (v128.const i64x2 1 1)))
            (func (export "push") (param i64)
              (global.set $sp (i32.sub (global.get $sp) (i32.const 16)))
              (i64.store offset=8 (global.get $sp) (local.get 0)))
            (func (export "nested")
              (i64.store (i32.const 5000) (i64.const -1)) (call $again)
              (i64.store (i32.const 5008) (i64.const -1)))
            (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
            (func (export "read") (param i32) (result i64) (i64.load (local.get 0)))
            (func (export "write, trap") (param i64)
              (i64.store (i32.const 0) (local.get 0)) unreachable)
            (func (export "write, fail") (param i64)
              (i64.store (i32.const 0) (local.get 0)) (call $fail))
            (func (export "write, expire") (param i64)
              (i64.store (i32.const 0) (local.get 0)) (call $expire) (loop (br 0)))
            (func (export "sum") (result i64) (local $at i32) (local $sum i64)
              (loop
                (local.set $sum (i64.add (i64.rotl (local.get $sum) (i64.const 7))
                                         (i64.load8_u (local.get $at))))
                (local.set $at (i32.add (local.get $at) (i32.const 1)))
                (br_if 0 (i32.lt_u (local.get $at) (i32.const {MEMORY_BYTES}))))
              (local.get $sum)))"#
    )
}

fn bed() -> Bed {
    Bed::of_text(&stores())
}

fn numbers(values: &[u32]) -> Vec<Val> {
    values.iter().map(|value| Val::I32(*value as i32)).collect()
}

/// Calls, sees that it returned and changed memory if it should, and that nothing is left of it.
fn check(guest: &mut Guest, name: &str, arguments: &[u32], is_change: bool) {
    let before = guest.bytes();
    let outcome = guest.call(name, &numbers(arguments));
    assert_eq!(outcome, Outcome::Returned(vec![]), "{name} {arguments:?}");
    assert_eq!(before != guest.bytes(), is_change, "{name} {arguments:?}: has memory changed?");
    assert!(guest.reset(), "{name} {arguments:?}: the instance is lost");
    assert!(before == guest.bytes(), "{name} {arguments:?}: something is left");
}

#[test]
fn no_store_leaves_anything_anywhere() {
    let mut guest = bed().resettable();
    for (store, bytes, _) in STORES {
        let around = |place: u32| place.saturating_sub(*bytes)..place + 2;
        let places = [0, 64, 896, BLOCK_BYTES, 16_384, 70_000, 40 * BLOCK_BYTES].map(around);
        let places = places.into_iter().flatten();
        for place in places.chain(MEMORY_BYTES - 20..=MEMORY_BYTES - bytes) {
            for offset in OFFSETS.iter().filter(|offset| **offset <= place) {
                for form in ["local", "sum"] {
                    check(&mut guest, &format!("{store} {offset} {form}"), &[place - offset], true);
                }
            }
        }
    }
}

#[test]
fn stores_out_of_bounds_trap_as_they_did() {
    let bed = bed();
    for (store, bytes, _) in STORES {
        for offset in OFFSETS {
            for end in [MEMORY_BYTES as u64, 1 << 26, 1 << 31, 1 << 32] {
                for place in end + 1 - u64::from(*bytes)..end + 2 {
                    let Ok(address) = u32::try_from(place.saturating_sub((*offset).into())) else {
                        continue;
                    };
                    for form in ["local", "sum"] {
                        let name = format!("{store} {offset} {form}");
                        let ours = bed.resettable().call(&name, &numbers(&[address]));
                        let theirs = bed.original().call(&name, &numbers(&[address]));
                        assert_eq!(ours, theirs, "{name} {address}");
                        assert!(matches!(ours, Outcome::Trapped(_)), "{name} {address}");
                    }
                }
            }
        }
    }
}

#[test]
fn no_bulk_operation_leaves_anything() {
    let mut guest = bed().resettable();
    guest.store.data_mut().secret = 9;
    for to in [0, 1, 1000, BLOCK_BYTES, 70_000, MEMORY_BYTES - 3000] {
        for length in [0, 1, 24, 25, 1023, 1024, 1025, 2048, 3000] {
            check(&mut guest, "fill", &[to, 0xee, length], length > 0);
            check(&mut guest, "copy", &[to, 16_387, length.min(18)], length > 0);
            check(&mut guest, "init", &[to, 0, length.min(10)], length > 0);
            check(&mut guest, "host", &[to, length], length > 0);
        }
    }
    check(&mut guest, "fill", &[0, 1, MEMORY_BYTES], true);
    check(&mut guest, "copy", &[5, 0, MEMORY_BYTES - 5], true);
    check(&mut guest, "fill", &[MEMORY_BYTES, 1, 0], false);
    check(&mut guest, "fill", &[MEMORY_BYTES - 1, 1, 1], true);
    check(&mut guest, "fill", &[MEMORY_BYTES - 2000, 1, 2000], true);
}

#[test]
fn bulk_operations_out_of_bounds_trap_as_they_did() {
    let bed = bed();
    for (name, arguments) in [
        ("fill", [MEMORY_BYTES, 1, 1]),
        ("fill", [MEMORY_BYTES + 1, 1, 0]),
        ("fill", [u32::MAX, 1, 2]),
        ("fill", [u32::MAX, 1, 0]),
        ("fill", [1, 1, u32::MAX]),
        ("fill", [MEMORY_BYTES - 5000, 1, 5001]),
        ("fill", [1 << 31, 1, 1 << 31]),
        ("copy", [u32::MAX - 100, 0, 200]),
        ("copy", [0, MEMORY_BYTES - 1, 2]),
        ("copy", [MEMORY_BYTES - 1, 0, 2]),
        ("init", [0, 5, 6]),
        ("init", [MEMORY_BYTES - 1, 0, 2]),
        ("init", [u32::MAX, 0, 2]),
    ] {
        let (mut ours, mut theirs) = (bed.resettable(), bed.original());
        let outcome = ours.call(name, &numbers(&arguments));
        assert!(matches!(outcome, Outcome::Trapped(_)), "{name} {arguments:?}: {outcome:?}");
        assert_eq!(outcome, theirs.call(name, &numbers(&arguments)), "{name} {arguments:?}");
        assert!(ours.bytes() == theirs.bytes(), "{name} {arguments:?}");
    }
}

#[test]
fn the_host_does_not_write_outside_of_memory() {
    let bed = bed();
    for arguments in [[MEMORY_BYTES, 1], [MEMORY_BYTES - 1, 2], [u32::MAX, 1], [u32::MAX, 2]] {
        let outcome = bed.resettable().call("host", &numbers(&arguments));
        let expected = Outcome::Trapped("outside of memory".to_owned());
        assert_eq!(outcome, expected, "{arguments:?}");
    }
}

#[test]
fn globals_and_the_stack_pointer_are_set_back() {
    let mut guest = bed().resettable();
    let names = ["sp", "i64", "f32", "f64", "v128"];
    let before = names.map(|name| guest.global(name));
    for _ in 0..3 {
        assert_eq!(guest.call("globals", &[]), Outcome::Returned(vec![]));
        for (name, old) in names.iter().zip(before) {
            assert_ne!(guest.global(name), old, "{name}");
        }
        assert!(guest.reset());
        assert_eq!(names.map(|name| guest.global(name)), before);
    }
    for _ in 0..2000 {
        // Without a reset the stack would run out of memory.
        assert_eq!(guest.call("push", &[Val::I64(-1)]), Outcome::Returned(vec![]));
        assert!(guest.reset());
    }
}

/// The host calls the guest again, as it does to have memory allocated.
#[test]
fn nested_calls_are_set_back_with_the_outermost() {
    let mut guest = bed().resettable();
    check(&mut guest, "nested", &[], true);
}

#[test]
fn an_instance_that_grew_is_lost() {
    let bed = bed();
    let mut guest = bed.resettable();
    assert_eq!(guest.call("grow", &numbers(&[1])), Outcome::Returned(vec![Some(2)]));
    assert!(!guest.reset(), "an instance that has another size than its image");
    let mut guest = bed.resettable();
    for too_much in [0, 3, u32::MAX] {
        let refused = if too_much == 0 { 2 } else { u128::from(u32::MAX) };
        assert_eq!(
            guest.call("grow", &numbers(&[too_much])),
            Outcome::Returned(vec![Some(refused)])
        );
        assert!(guest.reset());
    }
}

/// What ends a call may leave anything: the next call has another instance, which is as new.
#[test]
fn calls_that_end_badly_leave_nothing_to_the_next_instance() {
    let bed = bed();
    let sum = bed.original().call("sum", &[]);
    for (name, expected) in [
        ("write, trap", "wasm trap: wasm `unreachable` instruction executed"),
        ("write, fail", "the host failed"),
        ("write, expire", "wasm trap: wasm `unreachable` instruction executed"),
    ] {
        let mut guest = bed.resettable();
        assert_eq!(guest.call(name, &[Val::I64(-1)]), Outcome::Trapped(expected.to_owned()));
        assert_ne!(guest.bytes()[..8], [0; 8], "{name} has not written");
        drop(guest);
        assert_eq!(bed.resettable().call("sum", &[]), sum);
    }
}

/// One user's secret is written by host and guest; another one's function reads all of memory.
#[test]
fn a_user_does_not_find_what_another_left() {
    let bed = bed();
    let mut guest = bed.resettable();
    let sum = guest.call("sum", &[]);
    assert_eq!(sum, bed.original().call("sum", &[]));
    assert!(guest.reset());
    for secret in 1..100 {
        guest.store.data_mut().secret = secret;
        let at = u32::from(secret) * 1301 % (MEMORY_BYTES - 3000);
        guest.call("host", &numbers(&[at, 3000]));
        guest.call("push", &[Val::I64(secret.into())]);
        guest.call("fill", &numbers(&[at / 2, secret.into(), 100]));
        assert!(guest.reset());
        assert_eq!(guest.call("sum", &[]), sum);
        assert!(guest.reset());
    }
}

/// Were a write not marked, the comparison would see it.
#[test]
fn what_is_written_without_a_mark_is_found() {
    for at in [0, 40_000, MEMORY_BYTES as usize - 1] {
        let mut guest = bed().resettable();
        let memory = guest.instance.get_memory(&mut guest.store, "memory").expect("a memory");
        memory.data_mut(&mut guest.store)[at] ^= 1;
        let reset = guest.reset.as_mut().expect("it can be set back");
        assert!(!reset.is_as_new(&mut guest.store));
    }
    let mut guest = bed().resettable();
    guest.call("globals", &[]);
    assert!(!guest.reset.as_mut().expect("it can be set back").is_as_new(&mut guest.store));
}

/// The tests above write where only the bytes behind a marked block hold what must be set back.
#[test]
fn a_store_across_blocks_marks_the_first_one() {
    let mut guest = bed().resettable();
    let before = guest.bytes();
    guest.call("v128.store 0 local", &numbers(&[BLOCK_BYTES - 1]));
    let cards = guest.instance.get_memory(&mut guest.store, "ferrite:cards").expect("the cards");
    assert_eq!(cards.data(&guest.store)[..3], [1, 0, 0]);
    assert_ne!(guest.bytes()[1024..1039], before[1024..1039]);
    assert!(guest.reset());
}
