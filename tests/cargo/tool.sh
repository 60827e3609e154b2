#!/usr/bin/env bash
# Makes a folder with a program of crates.io in this version, and prints its path:
#
#     tests/cargo/tool.sh mdbook 0.5.4 --no-default-features
#
# Takes a minute or two, once; afterwards the program is found in the cache. What the user has
# installed stays as it is, and does not matter.
set -euo pipefail
. "$(dirname "$0")/../debian/packages.sh"

program=$1 version=$2
shift 2
begin "$program-$version-$OSTYPE-$HOSTTYPE" "bin/$program"
make_work "$name"
say "compiling $program $version"
# Without optimisation, because it runs for a second.
cargo install --debug --quiet --locked --root "$work/made" --target-dir "$work/target" "$program@$version" "$@" >&2 ||
  fail "cargo could not install $program $version"
finish "$work/made"
