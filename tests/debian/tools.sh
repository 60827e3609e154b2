#!/usr/bin/env bash
# Makes a folder with curl, wrk, h2load, nghttp, ab, nginx, openssl, and the ACME server
# pebble and client dehydrated from Debian's packages, with all their libraries, and
# prints its path. The tests use it where the machine lacks one of them.
#
# Takes some seconds, once; afterwards the folder is found in the cache. Needs no
# root and installs nothing.
set -euo pipefail
. "$(dirname "$0")/packages.sh"

begin "tools-3-$suite" bin
require_debian "install curl, wrk, nghttp2-client (h2load, nghttp), apache2-utils (ab), nginx, openssl, pebble and dehydrated with its package manager"
make_work "$name"

say "downloading curl, wrk, h2load, nghttp, ab, nginx, openssl, pebble and dehydrated with their libraries (50 MB)"
fetch_lists
apt install --download-only --yes --no-install-recommends curl wrk nghttp2-client \
  apache2-utils nginx openssl pebble dehydrated
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
  for program in "$root/usr/bin/${0##*/}" "$root/usr/sbin/${0##*/}"; do
    [ ! -x "$program" ] || exec "$loader" --library-path "$libraries:$root/usr/lib/${libraries##*/}" "$program" "$@"
  done
done
RUN
chmod +x "$work/tools/bin/curl"
for program in wrk h2load nghttp ab nginx openssl pebble pebble-challtestsrv; do
  cp "$work/tools/bin/curl" "$work/tools/bin/$program"
done

# A script, which finds the others on the PATH.
cp "$work/tools/root/usr/bin/dehydrated" "$work/tools/bin/dehydrated"

finish "$work/tools"
