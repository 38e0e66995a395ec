;; A core module as compilers for C and Go leave it: it exports the contract's functions and imports WASI's first
;; version. It describes itself as `core` 0.1.0 with the transform `refuse`, which refuses every config.
(module
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (global $free (mut i32) (i32.const 4096))
  (data (i32.const 16) "core")
  (data (i32.const 24) "0.1.0")
  (data (i32.const 32) "A core module.")
  (data (i32.const 48) "refuse")
  (data (i32.const 56) "Refuses.")
  (data (i32.const 64) "{}")
  (data (i32.const 72) "not today")
  ;; The description: name, version, summary, operators.
  (data (i32.const 128) "\10\00\00\00\04\00\00\00\18\00\00\00\05\00\00\00\20\00\00\00\0e\00\00\00\a0\00\00\00\01\00\00\00")
  ;; The operator: name, kind (0 is transform), summary, config schema, retracts.
  (data (i32.const 160) "\30\00\00\00\06\00\00\00\00\00\00\00\38\00\00\00\08\00\00\00\40\00\00\00\02\00\00\00\00\00\00\00")
  ;; An error: 1, and the message.
  (data (i32.const 192) "\01\00\00\00\48\00\00\00\09\00\00\00")
  (func (export "millstream:plugin/catalog@0.1.0#describe") (result i32)
    ;; Nothing is written, only that it can be.
    (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 256)))
    (i32.const 128))
  (func (export "millstream:plugin/transform@0.1.0#open") (param i32 i32 i32 i32 i32 i32) (result i32)
    (i32.const 192))
  (func (export "millstream:plugin/transform@0.1.0#process") (param i64 i64 i32 i64 i32 i32 i32) (result i32)
    unreachable)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (local $at i32)
    (global.set $free (i32.and (i32.add (global.get $free) (i32.const 15)) (i32.const -16)))
    (local.set $at (global.get $free))
    (global.set $free (i32.add (global.get $free) (local.get 3)))
    (local.get $at)))
