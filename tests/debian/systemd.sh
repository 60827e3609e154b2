#!/usr/bin/env bash
# Makes a folder with systemd-analyze from Debian's packages, with its libraries and
# the units of systemd, and prints its path. The tests use it where the machine has none.
#
# Takes some seconds, once; afterwards the folder is found in the cache. Needs no
# root and installs nothing.
set -euo pipefail
. "$(dirname "$0")/packages.sh"

begin "systemd-1-$suite" bin
require_debian "install systemd-analyze with its package manager"
make_work "$name"

say "downloading systemd-analyze with its libraries (20 MB)"
fetch_lists
apt install --download-only --yes --no-install-recommends systemd
mkdir -p "$work/systemd/bin"
for package in "$work"/apt/archives/*.deb; do
  dpkg-deb --extract "$package" "$work/systemd/root"
done

# It is run with the loader and the libraries that it was built for.
cat >"$work/systemd/bin/systemd-analyze" <<'RUN'
#!/bin/sh
root="${0%/*}/../root"
export SYSTEMD_UNIT_PATH="$root/lib/systemd/system"
for loader in "$root"/lib/*-linux-gnu/ld-linux*.so.*; do
  libraries="${loader%/*}"
  usr="$root/usr/lib/${libraries##*/}"
  exec "$loader" --library-path "$libraries:$usr:$libraries/systemd:$usr/systemd" "$root/usr/bin/systemd-analyze" "$@"
done
RUN
chmod +x "$work/systemd/bin/systemd-analyze"

finish "$work/systemd"
