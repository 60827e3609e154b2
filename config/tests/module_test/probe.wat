;; A filter that does what a header of the request asks for, for tests of the command.
(module
  (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
  (import "env" "proxy_get_header_map_value"
    (func $get (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_add_header_map_value"
    (func $add (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_remove_header_map_value" (func $remove (param i32 i32 i32) (result i32)))
  (import "env" "proxy_set_property" (func $set_property (param i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_send_local_response"
    (func $reply (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_http_call"
    (func $call (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_set_effective_context" (func $enter (param i32) (result i32)))
  (import "env" "proxy_continue_stream" (func $continue (param i32) (result i32)))
  (import "env" "proxy_close_stream" (func $close (param i32) (result i32)))
  (import "env" "proxy_set_buffer_bytes"
    (func $set_body (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_define_metric" (func $define (param i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_increment_metric" (func $increment (param i32 i64) (result i32)))
  (import "env" "proxy_set_tick_period_milliseconds" (func $period (param i32) (result i32)))

  (memory (export "memory") 2)
  (global $free (mut i32) (i32.const 65536))
  (global $waiting (mut i32) (i32.const 0))

  (data (i32.const 0x100) "x-added")
  (data (i32.const 0x110) "yes")
  (data (i32.const 0x120) "x-secret")
  (data (i32.const 0x130) "x-deny")
  (data (i32.const 0x140) "x-call")
  (data (i32.const 0x150) "x-pause")
  (data (i32.const 0x160) "x-close")
  (data (i32.const 0x170) "x-panic")
  (data (i32.const 0x180) "request seen")
  (data (i32.const 0x190) "the module panics")
  (data (i32.const 0x1b0) "denied")
  (data (i32.const 0x1c0) "go away")
  (data (i32.const 0x1d0) "mark")
  (data (i32.const 0x1e0) "auth")
  (data (i32.const 0x1f0) "changed")
  (data (i32.const 0x200) "x-from")
  (data (i32.const 0x210) "module")
  (data (i32.const 0x220) "requests")
  (data (i32.const 0x230) "tick")
  (data (i32.const 0x240) ":status")
  (data (i32.const 0x250) "started")
  ;; Pairs: three headers, the lengths of each, and each with a NUL after name and value.
  (data (i32.const 0x300)
    "\03\00\00\00\07\00\00\00\03\00\00\00\05\00\00\00\06\00\00\00\0a\00\00\00\04\00\00\00"
    ":method\00GET\00:path\00/check\00:authority\00auth\00")

  (func (export "proxy_abi_version_0_2_1"))
  (func (export "malloc") (param $size i32) (result i32)
    (global.get $free)
    (global.set $free (i32.add (global.get $free) (local.get $size))))

  ;; Whether the request has this header.
  (func $has (param $name i32) (param $size i32) (result i32)
    (i32.eqz (call $get (i32.const 0) (local.get $name) (local.get $size)
      (i32.const 16) (i32.const 20))))

  (func $deny (param $status i32)
    (drop (call $reply (local.get $status) (i32.const 0x1b0) (i32.const 6)
      (i32.const 0x1c0) (i32.const 7) (i32.const 0) (i32.const 0) (i32.const 7))))

  (func (export "proxy_on_vm_start") (param i32 i32) (result i32)
    (drop (call $define (i32.const 0) (i32.const 0x220) (i32.const 8) (i32.const 24)))
    (drop (call $log (i32.const 2) (i32.const 0x250) (i32.const 7)))
    (drop (call $period (i32.const 1000)))
    (i32.const 1))

  ;; A configuration of three bytes is rejected.
  (func (export "proxy_on_configure") (param i32 i32) (result i32)
    (i32.ne (local.get 1) (i32.const 3)))

  (func (export "proxy_on_tick") (param i32)
    (drop (call $log (i32.const 2) (i32.const 0x230) (i32.const 4))))

  (func (export "proxy_on_request_headers") (param $id i32) (param i32 i32) (result i32)
    (drop (call $log (i32.const 3) (i32.const 0x180) (i32.const 12)))
    (drop (call $increment (i32.load (i32.const 24)) (i64.const 1)))
    (if (call $has (i32.const 0x170) (i32.const 7))
      (then
        (drop (call $log (i32.const 5) (i32.const 0x190) (i32.const 17)))
        unreachable))
    (if (call $has (i32.const 0x130) (i32.const 6))
      (then (call $deny (i32.const 403)) (return (i32.const 1))))
    (if (call $has (i32.const 0x140) (i32.const 6))
      (then
        (global.set $waiting (local.get $id))
        (if (call $call (i32.const 0x1e0) (i32.const 4) (i32.const 0x300) (i32.const 69)
            (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
            (i32.const 5000) (i32.const 28))
          (then (call $deny (i32.const 500))))
        (return (i32.const 1))))
    (if (call $has (i32.const 0x150) (i32.const 7)) (then (return (i32.const 1))))
    (if (call $has (i32.const 0x160) (i32.const 7))
      (then (drop (call $close (i32.const 0))) (return (i32.const 1))))
    (drop (call $add (i32.const 0)
      (i32.const 0x100) (i32.const 7) (i32.const 0x110) (i32.const 3)))
    (drop (call $remove (i32.const 0) (i32.const 0x120) (i32.const 8)))
    (drop (call $set_property
      (i32.const 0x1d0) (i32.const 4) (i32.const 0x110) (i32.const 3)))
    (i32.const 0))

  ;; Goes on if the answer has a status from 200 to 299.
  (func (export "proxy_on_http_call_response") (param i32 i32 i32 i32 i32)
    (drop (call $enter (global.get $waiting)))
    (if (call $get (i32.const 6) (i32.const 0x240) (i32.const 7) (i32.const 16) (i32.const 20))
      (then (call $deny (i32.const 502)) return))
    (if (i32.eq (i32.load8_u (i32.load (i32.const 16))) (i32.const 50))
      (then (drop (call $continue (i32.const 0))))
      (else (call $deny (i32.const 401)))))

  (func (export "proxy_on_request_body") (param $id i32) (param $size i32) (param $end i32)
    (result i32)
    (if (i32.eqz (local.get $end)) (then (return (i32.const 1))))
    (drop (call $set_body (i32.const 0) (i32.const 0) (local.get $size)
      (i32.const 0x1f0) (i32.const 7)))
    (i32.const 0))

  (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
    (drop (call $add (i32.const 2)
      (i32.const 0x200) (i32.const 6) (i32.const 0x210) (i32.const 6)))
    (i32.const 0)))
