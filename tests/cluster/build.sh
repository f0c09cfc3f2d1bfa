#!/usr/bin/env bash
# build.sh DIR: build Kubernetes' own programs, and CoreDNS to compare with, for the tests into DIR,
# in the versions that kubernetes/go.mod and coredns/go.mod name.  10 minutes on 2 cores (the API server
# alone 6), seconds when Go's build cache is warm, nothing to do when they are there.
set -euo pipefail
out=$(mkdir -p "${1:?directory}" && cd "$1" && pwd)
cd "$(dirname "$0")"

build() { # name, folder of its go.mod, module, package, argument that prints its version
  local name=$1 package=$4 version
  version=$(awk -v module="$3" '$1 == module {print $2}' "$2/go.mod")
  if [ -x "$out/$name" ] && [[ "$("$out/$name" "$5")" = *"${version#v}"* ]]; then
    return
  fi
  echo "building $name $version, once" >&2
  # Under another name first: what a broken build leaves must not pass for the program.
  part=$(mktemp "$out/.$name.XXXXXX")
  trap 'rm -f "$part"' EXIT
  CGO_ENABLED=0 go build -C "$2" -buildvcs=false -trimpath \
    -ldflags "-s -w -X k8s.io/component-base/version.gitVersion=$version" -o "$part" "$package"
  chmod 755 "$part"
  mv "$part" "$out/$name"
}

for name in kube-apiserver kube-controller-manager; do
  build "$name" kubernetes k8s.io/kubernetes "k8s.io/kubernetes/cmd/$name" --version
done
build coredns coredns github.com/coredns/coredns github.com/coredns/coredns -version
