;; Does what a script says: steps of seven 32-bit numbers, what to do and six operands. The last
;; result of a host function is kept, and can be what the function returns.
(module
  (import "ferrite" "ferrite_get" (func $get (param i32 i32) (result i64)))
  (import "ferrite" "ferrite_get_into" (func $get_into (param i32 i32 i32 i32) (result i64)))
  (import "ferrite" "ferrite_set" (func $set (param i32 i32 i32 i32) (result i32)))
  (import "ferrite" "ferrite_set_ttl" (func $set_ttl (param i32 i32 i32 i32 i64) (result i32)))
  (import "ferrite" "ferrite_del" (func $del (param i32 i32) (result i32)))
  (import "ferrite" "ferrite_exists" (func $exists (param i32 i32) (result i32)))
  (import "ferrite" "ferrite_expire" (func $expire (param i32 i32 i64) (result i32)))
  (import "ferrite" "ferrite_ttl" (func $ttl (param i32 i32) (result i64)))
  (import "ferrite" "ferrite_incr_by" (func $incr_by (param i32 i32 i64 i32) (result i32)))
  (import "ferrite" "ferrite_hget" (func $hget (param i32 i32 i32 i32 i32 i32) (result i64)))
  (import "ferrite" "ferrite_hset" (func $hset (param i32 i32 i32 i32 i32 i32) (result i32)))
  (import "ferrite" "ferrite_call" (func $call (param i32 i32 i32 i32 i32) (result i64)))
  (import "ferrite" "ferrite_reply_read" (func $reply_read (param i32 i32 i32) (result i32)))
  (import "ferrite" "ferrite_fail" (func $fail (param i32 i32)))
  (import "ferrite" "ferrite_log" (func $log (param i32 i32 i32)))
  (import "ferrite" "ferrite_metric" (func $metric (param i32 i32 i32 f64) (result i32)))
  (import "ferrite" "ferrite_config_get" (func $config_get (param i32 i32 i32 i32) (result i64)))
  (import "ferrite" "ferrite_now_ms" (func $now_ms (result i64)))
  (import "ferrite" "ferrite_random" (func $random (param i32 i32)))
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 2 16)
  (global $next (mut i32) (i32.const 65536))
  (global $lie (mut i32) (i32.const -1))
  ;;NAMES;;

  (func (export "ferrite_alloc") (param $len i32) (result i32)
    (local $at i32)
    (if (i32.ne (global.get $lie) (i32.const -1)) (then (return (global.get $lie))))
    (local.set $at (global.get $next))
    (global.set $next
      (i32.and (i32.add (i32.add (local.get $at) (local.get $len)) (i32.const 7)) (i32.const -8)))
    (block $fits
      (br_if $fits (i32.le_u (global.get $next) (i32.mul (memory.size) (i32.const 65536))))
      (if (i32.eq (memory.grow (i32.add (i32.const 1) (i32.shr_u (local.get $len) (i32.const 16))))
                  (i32.const -1))
        (then (return (i32.const 0)))))
    (local.get $at))

  (func (export "run") (param $keys i32) (param $count i32) (param $at i32) (param $len i32)
      (result i64)
    (local $end i32) (local $last i64)
    (local $a i32) (local $b i32) (local $c i32) (local $d i32) (local $e i32) (local $f i32)
    (local $wide i64)
    (local.set $end (i32.add (local.get $at) (local.get $len)))
    (block $over
      (loop $step
        (br_if $over (i32.gt_u (i32.add (local.get $at) (i32.const 28)) (local.get $end)))
        (local.set $a (i32.load offset=4 (local.get $at)))
        (local.set $b (i32.load offset=8 (local.get $at)))
        (local.set $c (i32.load offset=12 (local.get $at)))
        (local.set $d (i32.load offset=16 (local.get $at)))
        (local.set $e (i32.load offset=20 (local.get $at)))
        (local.set $f (i32.load offset=24 (local.get $at)))
        (local.set $wide (i64.load offset=20 (local.get $at)))
        (block $return (block $last_returned (block $lies (block $trap (block $store (block $argument
        (block $write (block $random_ (block $now (block $config (block $metric_ (block $log_
        (block $fail_ (block $read (block $call_ (block $hset_ (block $hget_ (block $incr (block $ttl_
        (block $expire_ (block $exists_ (block $del_ (block $set_ttl_ (block $set_ (block $into
        (block $get_
          (br_table $get_ $into $set_ $set_ttl_ $del_ $exists_ $expire_ $ttl_ $incr $hget_ $hset_
            $call_ $read $fail_ $log_ $metric_ $config $now $random_ $argument $store $write
            $trap $lies $last_returned $return (i32.load (local.get $at))))
        (local.set $last (call $get (local.get $a) (local.get $b))) (br $return))
        (local.set $last
          (call $get_into (local.get $a) (local.get $b) (local.get $c) (local.get $d)))
        (br $return))
        (local.set $last (i64.extend_i32_s
          (call $set (local.get $a) (local.get $b) (local.get $c) (local.get $d))))
        (br $return))
        (local.set $last (i64.extend_i32_s (call $set_ttl (local.get $a) (local.get $b)
          (local.get $c) (local.get $d) (local.get $wide))))
        (br $return))
        (local.set $last (i64.extend_i32_s (call $del (local.get $a) (local.get $b))))
        (br $return))
        (local.set $last (i64.extend_i32_s (call $exists (local.get $a) (local.get $b))))
        (br $return))
        (local.set $last (i64.extend_i32_s
          (call $expire (local.get $a) (local.get $b) (local.get $wide))))
        (br $return))
        (local.set $last (call $ttl (local.get $a) (local.get $b))) (br $return))
        (local.set $last (i64.extend_i32_s
          (call $incr_by (local.get $a) (local.get $b) (local.get $wide) (local.get $c))))
        (br $return))
        (local.set $last (call $hget (local.get $a) (local.get $b) (local.get $c) (local.get $d)
          (local.get $e) (local.get $f)))
        (br $return))
        (local.set $last (i64.extend_i32_s (call $hset (local.get $a) (local.get $b)
          (local.get $c) (local.get $d) (local.get $e) (local.get $f))))
        (br $return))
        (local.set $last (call $call (local.get $a) (local.get $b) (local.get $c) (local.get $d)
          (local.get $e)))
        (br $return))
        (local.set $last (i64.extend_i32_s
          (call $reply_read (local.get $a) (local.get $b) (local.get $c))))
        (br $return))
        (call $fail (local.get $a) (local.get $b)) (br $return))
        (call $log (i32.and (local.get $c) (i32.const 3)) (local.get $a) (local.get $b))
        (br $return))
        (local.set $last (i64.extend_i32_s (call $metric (local.get $a) (local.get $b)
          (i32.and (local.get $c) (i32.const 1)) (f64.reinterpret_i64 (local.get $wide)))))
        (br $return))
        (local.set $last
          (call $config_get (local.get $a) (local.get $b) (local.get $c) (local.get $d)))
        (br $return))
        (local.set $last (call $now_ms)) (br $return))
        (call $random (local.get $a) (local.get $b)) (br $return))
        (local.set $last (i64.extend_i32_s
          (call $fd_write (i32.and (local.get $c) (i32.const 3)) (local.get $a)
            (i32.and (local.get $b) (i32.const 15)) (local.get $d))))
        (br $return))
        (local.set $a (i32.add (i32.const 1024) (i32.shl (local.get $a) (i32.const 3))))
        (i32.store (local.get $a) (local.get $b))
        (i32.store offset=4 (local.get $a) (local.get $c))
        (br $return))
        (i64.store (local.get $a) (local.get $wide)) (br $return))
        (br_if $return (local.get $a)) (unreachable))
        (global.set $lie (i32.and (local.get $a) (i32.const -4))) (br $return))
        (return (local.get $last)))
        (if (i32.eq (i32.load (local.get $at)) (i32.const 25))
          (then (return (i64.load offset=4 (local.get $at)))))
        (local.set $at (i32.add (local.get $at) (i32.const 28)))
        (br $step)))
    (local.get $last))

  (@custom "ferrite.udf"
    "{\22abi\22:1,\22library\22:\22puppet\22,\22name\22:\22run\22,\22result\22:\22reply\22,\22params\22:[")
  (@custom "ferrite.udf"
    "{\22name\22:\22keys\22,\22role\22:\22keys\22,\22type\22:\22bytes\22},")
  (@custom "ferrite.udf"
    "{\22name\22:\22script\22,\22role\22:\22arg\22,\22type\22:\22bytes\22}]}")
)
