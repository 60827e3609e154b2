# Debian's packages without root and without installing anything. Sourced by
# the scripts that unpack them into the cache.

cache="${XDG_CACHE_HOME:-$HOME/.cache}/ingressctl"
source=http://deb.debian.org/debian
suite=bookworm
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }

fail() {
  say "$*"
  exit 1
}

# begin NAME [PATH] starts to make the folder NAME of the cache. If that is there, the script
# ends, and prints the path of PATH in it.
begin() {
  name=$1 path=${2:-} folder="$cache/$1"
  print_if_complete
  lock "$name"
  print_if_complete
}

print_if_complete() {
  if [ -d "$folder" ]; then
    echo "$folder${path:+/$path}"
    exit
  fi
}

# finish MADE ends the script with that folder. It is complete or not there: nobody sees half a folder.
finish() {
  mv "$1" "$folder"
  say "done: $folder"
  print_if_complete
}

# Makes this process the only one that makes NAME; others wait until it is made.
lock() {
  mkdir -p "$cache"
  exec 9>"$cache/$1.lock"
  flock -n 9 || {
    say "waiting for another process that makes $cache/$1"
    flock 9
  }
  # What a killed process left.
  rm -rf "$cache/.$1".*
}

# Makes a folder for the work on NAME, in the cache: /tmp may be small.
make_work() {
  work="$(mktemp -d "$cache/.$1.XXXXXX")"
  trap 'rm -rf "$work"' EXIT
  trap 'exit 130' INT TERM
}

# Ends the script where there are no packages to be had, with that remedy.
require_debian() {
  local system="this system"
  [ ! -r /etc/os-release ] || system="$(. /etc/os-release && echo "${PRETTY_NAME:-$system}")"
  for program in apt-get dpkg-deb; do
    command -v "$program" >/dev/null || fail "$system has no $program to get them from Debian; $1"
  done
  [ -r "$keyring" ] || fail "$system has no $keyring to get them from Debian; install debian-archive-keyring, or $1"
}

# require_runs PROGRAM REMEDY ends the script where a program of Debian cannot be run with the
# system's C library, which may be older than that of Debian.
require_runs() {
  local problem needed system
  problem="$("$1" --version 2>&1 >/dev/null)" && return
  needed="$(grep -o 'GLIBC_[0-9.]*' <<<"$problem" | sort -Vu | tail -n 1)" || true
  [ -n "$needed" ] || fail "${1##*/} of Debian $suite cannot be run: ${problem##*$'\n'}; $2"
  system="$(getconf GNU_LIBC_VERSION 2>&1)" || system="another C library"
  fail "${1##*/} of Debian $suite needs glibc ${needed#GLIBC_}, but this system has $system; $2"
}

# apt-get with lists of its own, in $work: the system's stay as they are, and
# what is installed does not matter.
apt() {
  apt-get -qq -o Dir::Etc::SourceList="$work/apt/sources.list" -o Dir::Etc::SourceParts=/dev/null \
    -o Dir::State="$work/apt" -o Dir::State::status="$work/apt/status" -o Dir::Cache="$work/apt" \
    -o Debug::NoLocking=true -o APT::Sandbox::User="$(id -un)" "$@" >&2
}

fetch_lists() {
  mkdir -p "$work"/apt/{lists,archives}/partial
  : >"$work/apt/status"
  printf '%s [signed-by=%s] %s %s main\n' deb "$keyring" "$source" "$suite" deb-src "$keyring" "$source" "$suite" \
    >"$work/apt/sources.list"
  apt update
}
