#!/usr/bin/env bash
# Makes a folder with curl, wrk and h2load from Debian's packages and with all
# their libraries, and prints its path. The tests use it where the machine lacks
# one of the three.
#
# Takes some seconds, once; afterwards the folder is found in the cache. Needs no
# root and installs nothing.
set -euo pipefail
. "$(dirname "$0")/packages.sh"

name=tools-$suite
tools="$cache/$name"

print_if_complete() {
  if [ -d "$tools" ]; then
    echo "$tools/bin"
    exit
  fi
}

print_if_complete
lock "$name"
print_if_complete
require_debian "install curl, wrk and nghttp2-client (h2load) with its package manager"
make_work "$name"

say "downloading curl, wrk and h2load with their libraries (30 MB)"
fetch_lists
apt install --download-only --yes --no-install-recommends curl wrk nghttp2-client
mkdir -p "$work/tools/bin"
for package in "$work"/apt/archives/*.deb; do
  dpkg-deb --extract "$package" "$work/tools/root"
done

# Each program is run with the loader and the libraries that it was built for.
cat >"$work/tools/bin/curl" <<'RUN'
#!/bin/sh
root="${0%/*}/../root"
for loader in "$root"/lib/*-linux-gnu/ld-linux*.so.*; do
  libraries="${loader%/*}"
  exec "$loader" --library-path "$libraries:$root/usr/lib/${libraries##*/}" "$root/usr/bin/${0##*/}" "$@"
done
RUN
chmod +x "$work/tools/bin/curl"
cp "$work/tools/bin/curl" "$work/tools/bin/wrk"
cp "$work/tools/bin/curl" "$work/tools/bin/h2load"

# Complete or not there: nobody sees half a folder.
mv "$work/tools" "$tools"
say "done: $tools"
print_if_complete
