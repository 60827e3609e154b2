#!/usr/bin/env bash
# Makes a folder with kube-apiserver, etcd and kubectl, as Kubernetes' own test
# environment has it, from Debian 12's packages alone, and prints its path:
#
#     export KUBEBUILDER_ASSETS="$(tests/kube/assets.sh)"
#
# Takes some five minutes on two cores, once; afterwards the folder is found in
# the cache. Needs no root and installs nothing; the tools it runs are named
# where one is missing. On other systems fill a folder in another way (such as
# setup-envtest) and set KUBEBUILDER_ASSETS to it.
set -euo pipefail

version=1.20.2
assets="${KUBEBUILDER_ASSETS:-${XDG_CACHE_HOME:-$HOME/.cache}/ingressctl/kubebuilder-assets-$version}"
say() { printf 'assets.sh: %s\n' "$*" >&2; }

is_complete() {
  for program in kube-apiserver etcd kubectl; do
    [ -x "$1/$program" ] || return 1
  done
}

if is_complete "$assets"; then
  echo "$assets"
  exit
fi

. /etc/os-release
if [ "${VERSION_CODENAME:-}" != bookworm ]; then
  say "this is ${PRETTY_NAME:-another system}, and the script knows Debian 12 only;"
  say "set KUBEBUILDER_ASSETS to a folder with kube-apiserver, etcd and kubectl"
  exit 1
fi
missing=()
for tool in dpkg-source:dpkg-dev make:make rsync:rsync jq:jq; do
  command -v "${tool%:*}" >/dev/null || missing+=("${tool#*:}")
done
if [ ${#missing[@]} -gt 0 ]; then
  say "missing tools; run: apt-get install --no-install-recommends ${missing[*]}"
  exit 1
fi

work="$(mktemp -d)"
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
cd "$work"

# Lists of our own, so that the system's stay as they are.
mkdir -p apt/lists/partial apt/cache/archives/partial
cat >apt/sources.list <<LIST
deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian bookworm main
deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian bookworm main
LIST
apt() {
  apt-get -qq -o Dir::Etc::SourceList="$work/apt/sources.list" -o Dir::Etc::SourceParts=/dev/null \
    -o Dir::State::Lists="$work/apt/lists" -o Dir::Cache="$work/apt/cache" \
    -o APT::Sandbox::User="$(id -un)" "$@" >&2
}
say "downloading Debian's packages"
apt update
apt download etcd-server kubernetes-client golang-1.19-go golang-1.19-src \
  golang-github-modern-go-reflect2-dev
apt source --download-only kubernetes
for package in *.deb; do dpkg-deb --extract "$package" root; done
dpkg-source --extract --no-check kubernetes_*.dsc source >&2

# Its reflect2 crashes on the first custom resource with Go 1.18 or later;
# Debian has a version that does not.
reflect2=source/vendor/github.com/modern-go/reflect2
rm "$reflect2"/*.go "$reflect2"/*.s
cp root/usr/share/gocode/src/github.com/modern-go/reflect2/*.{go,s} "$reflect2"

say "building kube-apiserver $version, some four minutes"
mkdir -p go/src/k8s.io
mv source go/src/k8s.io/kubernetes
export GOROOT="$work/root/usr/lib/go-1.19" GOCACHE="$work/gocache" PATH="$work/root/usr/lib/go-1.19/bin:$PATH"
(
  cd go/src/k8s.io/kubernetes
  CGO_ENABLED=0 GOPROXY=off GOTOOLCHAIN=local GOFLAGS=-mod=vendor \
    make WHAT=cmd/kube-apiserver KUBE_GIT_TREE_STATE=clean >&2
)

# Complete or not there: a reader never sees half a folder.
mkdir "$work/assets"
cp go/src/k8s.io/kubernetes/_output/local/bin/linux/*/kube-apiserver root/usr/bin/{etcd,kubectl} "$work/assets"
mkdir -p "$assets"
for program in kubectl etcd kube-apiserver; do
  cp "$work/assets/$program" "$assets/.$program.$$"
  mv "$assets/.$program.$$" "$assets/$program"
done
say "done: $assets"
echo "$assets"
