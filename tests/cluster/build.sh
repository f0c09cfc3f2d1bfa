#!/usr/bin/env bash
# build.sh DIR: build Kubernetes' own programs, and CoreDNS to compare with, for the tests into DIR,
# in the versions that the go.mod files here name; kubectl only if the machine has none.  20 minutes on
# 2 cores (the API server alone 6), seconds when Go's build cache is warm, nothing to do when they are
# there.
set -euo pipefail
out=$(mkdir -p "${1:?directory}" && cd "$1" && pwd)
cd "$(dirname "$0")"

build() { # name, folder of its go.mod, module, package, arguments that print its version
  local name=$1 folder=$2 module=$3 package=$4 version
  shift 4
  version=$(awk -v module="$module" '$1 == module {print $2}' "$folder/go.mod")
  if [ -x "$out/$name" ] && [[ "$("$out/$name" "$@")" = *"${version#v}"* ]]; then
    return
  fi
  echo "building $name $version, once" >&2
  # Under another name first: what a broken build leaves must not pass for the program.
  part=$(mktemp "$out/.$name.XXXXXX")
  trap 'rm -f "$part"' EXIT
  CGO_ENABLED=0 go build -C "$folder" -buildvcs=false -trimpath \
    -ldflags "-s -w -X k8s.io/component-base/version.gitVersion=$version" -o "$part" "$package"
  chmod 755 "$part"
  mv "$part" "$out/$name"
}

for name in kube-apiserver kube-controller-manager kube-scheduler kube-proxy kubelet; do
  build "$name" kubernetes k8s.io/kubernetes "k8s.io/kubernetes/cmd/$name" --version
done
build coredns coredns github.com/coredns/coredns github.com/coredns/coredns -version
[ -x "$(command -v kubectl)" ] || build kubectl kubectl k8s.io/kubectl . version --client
