# Programs and libraries from Python's registry, which is reachable where pip works, in a
# folder of the cache. Sourced by the scripts that make one each.
#
# That takes some seconds, once; afterwards the folder is found in the cache. Nothing is
# installed elsewhere.
. "${BASH_SOURCE%/*}/../debian/packages.sh"

remedy="install Python 3.10 or later with pip"
command -v python3 >/dev/null || fail "there is no python3; $remedy"

# made_by_pip NAME PATH WHAT ARGUMENT... makes the folder NAME by `pip install` with these
# arguments, and prints the path in it. WHAT is for the user.
made_by_pip() {
  local what=$3
  begin "$1" "$2"
  shift 3
  python3 -m pip --version >/dev/null 2>&1 || fail "python3 has no pip; $remedy"
  make_work "$name"
  say "downloading $what"
  # --no-deps: all packages are named, so each run installs the same ones.
  python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --no-deps \
    --only-binary=:all: --target "$work/made" "$@" >&2 || fail "pip could not install $*; $remedy"
  [ -e "$work/made/$path" ] || fail "$* has no $path"
  finish "$work/made"
}

# The kind of this machine, for the names of folders.
machine=$OSTYPE-$HOSTTYPE
