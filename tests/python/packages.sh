#!/usr/bin/env bash
# Makes a folder with the Python clients and servers of the tests, such as gRPC,
# in the versions of requirements.txt, and prints its path, for PYTHONPATH.
set -euo pipefail
. "$(dirname "$0")/pip.sh"

requirements="$(dirname "$0")/requirements.txt"
# Packages with compiled parts are for one version of Python.
abi="$(python3 -c 'import sys; print(sys.implementation.cache_tag)')"
name=python-$abi-$(sha256sum "$requirements" | cut -c -12)
made_by_pip "$name" "" "Python's packages for the tests (10 MB)" --requirement "$requirements"
