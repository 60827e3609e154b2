#!/usr/bin/env bash
# Makes a folder with Zig, which is a C compiler and linker for all targets, and
# cargo-zigbuild, with which Cargo uses it, and prints its path, for PYTHONPATH.
set -euo pipefail
. "$(dirname "$0")/pip.sh"

zig=ziglang==0.17.1
made_by_pip "zig-${zig#*==}-$machine" "" "Zig (100 MB)" "$zig" cargo-zigbuild==0.24.1
