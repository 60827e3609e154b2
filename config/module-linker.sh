#!/bin/sh
# Links ingress_filter.wasm without the callbacks that the filter does not
# implement. The SDK exports all there are, and Envoy calls each that a module
# exports, for each piece of a body too. Without them a plain request costs up to
# 3 % less CPU time, and the module is smaller by what only they use.
#
# cargo calls this in place of rust-lld, with its arguments: see build.rs.
set -eu

# Those that filter/src/module.rs implements, and those that a host needs to make,
# configure and delete contexts.
needed='
  _initialize
  proxy_abi_version_0_2_1
  proxy_on_configure
  proxy_on_context_create
  proxy_on_delete
  proxy_on_memory_allocate
  proxy_on_request_headers
  proxy_on_response_headers
  proxy_on_tick
  proxy_on_vm_start
'

is_needed() {
  for name in $needed; do
    [ "$name" = "$1" ] && return
  done
  return 1
}

count=$#
while [ "$count" -gt 0 ]; do
  if [ "$1" = --export ] && ! is_needed "$2"; then
    shift 2
    count=$((count - 2))
  else
    set -- "$@" "$1"
    shift
    count=$((count - 1))
  fi
done
exec rust-lld "$@"
