#!/usr/bin/env bash
# Makes a folder with kube-apiserver, etcd and kubectl, as Kubernetes' own test
# environment has it, from Debian 12's packages alone, and prints its path:
#
#     export KUBEBUILDER_ASSETS="$(tests/kube/assets.sh)"
#
# Takes some five minutes on two cores, once; afterwards the folder is found in
# the cache. Needs no root and installs nothing. Where KUBEBUILDER_ASSETS names a
# folder, it prints that, which has to be complete.
set -euo pipefail
. "$(dirname "$0")/../debian/packages.sh"

version=1.20.2
name=kubebuilder-assets-$version
assets="$cache/$name"
remedy="set KUBEBUILDER_ASSETS to a folder with kube-apiserver, etcd and kubectl, such as setup-envtest makes"

missing() {
  for program in kube-apiserver etcd kubectl; do
    [ -x "$1/$program" ] || echo "$program"
  done
}

print_if_complete() {
  if [ -z "$(missing "$assets")" ]; then
    echo "$assets"
    exit
  fi
}

if [ -n "${KUBEBUILDER_ASSETS:-}" ]; then
  assets="$KUBEBUILDER_ASSETS"
  print_if_complete
  fail "KUBEBUILDER_ASSETS is $assets, which lacks $(missing "$assets" | paste -sd ' '); unset it, or $remedy"
fi
print_if_complete
lock "$name"
print_if_complete
require_debian "$remedy"
make_work "$name"
cd "$work"

say "making a Kubernetes API for the tests, once; it takes some five minutes"
say "downloading Debian's packages (150 MB)"
fetch_lists
apt download etcd-server kubernetes-client golang-1.19-go golang-1.19-src \
  golang-github-modern-go-reflect2-dev
apt source --download-only kubernetes
for package in *.deb; do dpkg-deb --extract "$package" root; done

# Where Go looks for it. Debian's patches are for kubectl only.
export GOPATH="$work/go"
mkdir -p "$GOPATH/src/k8s.io/kubernetes"
tar --extract --file kubernetes_*.orig.tar.gz --directory "$GOPATH/src/k8s.io/kubernetes" --strip-components=1
cd "$GOPATH/src/k8s.io/kubernetes"

# Its reflect2 crashes on the first custom resource with Go 1.18 or later;
# Debian has a version that does not.
reflect2=vendor/github.com/modern-go/reflect2
rm "$reflect2"/*.go "$reflect2"/*.s
cp "$work"/root/usr/share/gocode/src/github.com/modern-go/reflect2/*.{go,s} "$reflect2"

# Kubernetes' Makefile makes more than is needed, with tools that a machine may
# lack. All but the OpenAPI definitions is in the source already.
export GOROOT="$work/root/usr/lib/go-1.19" GOCACHE="$work/gocache" GOFLAGS='' GO111MODULE=off CGO_ENABLED=0
export PATH="$GOROOT/bin:$PATH"
say "generating the OpenAPI definitions"
described="$(
  grep --recursive --files-with-matches --include='*.go' '^// *+k8s:openapi-gen=' pkg vendor/k8s.io/*/ |
    grep -v -e '^vendor/k8s.io/code-generator/' -e '^vendor/k8s.io/sample-apiserver/' |
    xargs -n1 dirname | LC_ALL=C sort -u | sed 's|^|k8s.io/kubernetes/|' | paste -sd,
)"
go run ./vendor/k8s.io/kube-openapi/cmd/openapi-gen --input-dirs "$described" \
  --output-package k8s.io/kubernetes/pkg/generated/openapi --output-file-base zz_generated.openapi \
  --go-header-file vendor/k8s.io/code-generator/hack/boilerplate.go.txt --report-filename "$work/violations" >&2

say "compiling kube-apiserver $version, some four minutes"
set_version=
for package in component-base/version client-go/pkg/version; do
  for value in gitVersion=v$version gitMajor=1 gitMinor=20 gitTreeState=clean; do
    set_version+=" -X k8s.io/kubernetes/vendor/k8s.io/$package.$value"
  done
done
# Go names each package that it compiles, and what is wrong with one.
count_packages() {
  local count=0 line
  while IFS= read -r line; do
    case "$line" in
      *[!a-zA-Z0-9_./-]*) echo "$line" >&2 ;;
      *) count=$((count + 1)) && [ $((count % 200)) -ne 0 ] || say "$count of some 1400 packages" ;;
    esac
  done
}
mkdir "$work/assets"
go build -v -ldflags "-s -w$set_version" -o "$work/assets/kube-apiserver" ./cmd/kube-apiserver 2>&1 | count_packages
cp "$work"/root/usr/bin/{etcd,kubectl} "$work/assets"

# Complete or not there: nobody sees half a folder.
rm -rf "$assets"
mv "$work/assets" "$assets"
say "done: $assets"
print_if_complete
