#!/bin/sh
# Runs rustc, and first adds the target of the module where rustc lacks it. Before a
# first build, says how long that takes:
#
#     wasm-target.sh RUSTC ARGUMENT...
#
# Cargo runs it at the start of a build (.cargo/config.toml). build.rs runs it
# again before it builds the module, because Cargo may remember the version of
# rustc, or run in a folder where it does not find that configuration.
set -u

target=wasm32-wasip1
rustc="$1"

is_installed() {
  folder="$("$rustc" --print target-libdir --target "$target" 2>/dev/null)" && [ -d "$folder" ]
}

# Cargo shows what this script writes only if it fails, so progress goes where
# Cargo itself writes: to a terminal or a pipe, not into the midst of a file.
progress() {
  terminal="/proc/$PPID/fd/2"
  if [ -c "$terminal" ] || [ -p "$terminal" ]; then
    { echo "$1" >"$terminal"; } 2>/dev/null || true
  fi
}

fail() {
  echo "error: the Rust target $target is missing; $1" >&2
  # Cargo remembers the failure until this file changes.
  touch "$0" 2>/dev/null
  exit 1
}

add() {
  sysroot="$("$rustc" --print sysroot)"
  case "$sysroot" in
    */toolchains/*) toolchain="${sysroot##*/}" ;;
    *) fail "rustup did not install the Rust in $sysroot, so install your distribution's package for this target if it has one (libstd-rust-dev-wasm32 on Debian and Ubuntu, rust-std-static-$target on Fedora), else install Rust with rustup (https://rustup.rs)" ;;
  esac
  progress "adding the Rust target $target, once: rustup target add --toolchain $toolchain $target"
  RUST_BACKTRACE=0 rustup target add --toolchain "$toolchain" "$target" >&2 && is_installed ||
    fail "run: rustup target add --toolchain $toolchain $target"
}

# Not where build.rs runs this again, for which OUT_DIR is set. Cargo asks for the version
# more than once, but for the names of output files only once.
say_what_comes() {
  built="${CARGO_TARGET_DIR:-$(dirname "$0")/../target}/module"
  [ -n "${OUT_DIR:-}" ] || [ -d "$built" ] ||
    progress "the first build takes some minutes: it compiles all dependencies, the module for Envoy and ingressctl"
}

case "${2:-}" in
  -vV) is_installed || add ;;
  -) say_what_comes ;;
esac
exec "$@"
