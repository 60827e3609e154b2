#!/usr/bin/env bash
# Makes a folder with prometheus and promtool from Debian's packages and with their
# libraries, and prints its path.
#
# Takes some seconds, once; afterwards the folder is found in the cache. Needs no
# root and installs nothing.
set -euo pipefail
. "$(dirname "$0")/packages.sh"

begin "prometheus-$suite" bin
require_debian "install prometheus with its package manager"
make_work "$name"

say "downloading prometheus (50 MB)"
fetch_lists
mkdir -p "$work/tools/bin"
# Only the libraries of C: the packages of its web pages are not needed.
(cd "$work/apt/archives" && apt download prometheus libc6)
for package in "$work"/apt/archives/*.deb; do
  dpkg-deb --extract "$package" "$work/tools/root"
done

# Each program is run with the loader and the libraries that it was built for.
cat >"$work/tools/bin/prometheus" <<'RUN'
#!/bin/sh
root="${0%/*}/../root"
for loader in "$root"/lib/*-linux-gnu/ld-linux*.so.*; do
  exec "$loader" --library-path "${loader%/*}" "$root/usr/bin/${0##*/}" "$@"
done
RUN
chmod +x "$work/tools/bin/prometheus"
cp "$work/tools/bin/prometheus" "$work/tools/bin/promtool"

finish "$work/tools"
