#!/usr/bin/env bash
# Makes a folder with the Python clients and servers of the tests, such as gRPC,
# in the versions of requirements.txt, and prints its path, for PYTHONPATH.
#
# Takes some seconds, once; afterwards the folder is found in the cache. Installs
# nothing elsewhere.
set -euo pipefail
. "$(dirname "$0")/../debian/packages.sh"

remedy="install Python 3.10 or later with pip"
requirements="$(dirname "$0")/requirements.txt"
command -v python3 >/dev/null || fail "there is no python3; $remedy"
# Packages with compiled parts are for one version of Python.
abi="$(python3 -c 'import sys; print(sys.implementation.cache_tag)')"
name=python-$abi-$(sha256sum "$requirements" | cut -c -12)
packages="$cache/$name"

print_if_complete() {
  if [ -d "$packages" ]; then
    echo "$packages"
    exit
  fi
}

print_if_complete
lock "$name"
print_if_complete
python3 -m pip --version >/dev/null 2>&1 || fail "python3 has no pip; $remedy"
make_work "$name"

say "downloading Python's packages for the tests (10 MB)"
# --no-deps: the list has all packages, so each run installs the same ones.
python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --no-deps \
  --only-binary=:all: --target "$work/packages" --requirement "$requirements" >&2 ||
  fail "pip could not install the packages of $requirements; $remedy"

# Complete or not there: nobody sees half a folder.
mv "$work/packages" "$packages"
say "done: $packages"
print_if_complete
