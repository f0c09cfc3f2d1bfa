#!/usr/bin/env bash
# setup-tools.sh: get what the tests against real programs need besides Python.
# Nothing to do if all is there.  Packages are installed only by root on a Debian system; the
# control plane is built if Go is there.  Whatever is missing in the end is named in one line, and
# those tests are skipped; with CI set it is an error.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
bin=${XDG_CACHE_HOME:-$HOME/.cache}/kube-dns-py/bin
mkdir -p "$bin"

has() { [ -x "$bin/$1" ] || [ -x "$(command -v "$1")" ]; }

packages() { # of the programs that are not there
  has dig || echo bind9-dnsutils
  has kdig || echo knot-dnsutils
  has dnsperf || echo dnsperf
  has openssl || echo openssl
  has ip || echo iproute2
  has dnsmasq || echo dnsmasq-base
  has unbound || echo unbound
  has named || echo bind9
  # A cluster of one node, and its images.
  has runc || echo runc
  has nft || echo nftables
  has conntrack || echo conntrack
  [ -x /usr/lib/cni/ptp ] || echo containernetworking-plugins
  has debootstrap || echo debootstrap
  has buildah || echo buildah
  has podman || echo podman
  has gcc || echo gcc libc6-dev
  # Clients and browsers.
  has chromium || echo chromium
  has chromedriver || echo chromium-driver
  has musl-gcc || echo musl-tools
  has node || echo nodejs
  has javac || echo default-jdk-headless
  has curl || echo curl
  has tshark || echo tshark
}

# Packages of servers start them, unless a policy forbids it; here only their programs are wanted.
install() {
  local policy=/usr/sbin/policy-rc.d status
  local -a made=()
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod +x "$policy" && made=("$policy")
  fi
  DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "$@"
  status=$?
  [ "${#made[@]}" -eq 0 ] || rm -f "${made[@]}"
  return $status
}

get() { # package, its programs: only these, as installing the package would start a server
  local part status package=$1
  shift
  part=$(mktemp -d)
  (cd "$part" && apt-get -qq download "$package" && dpkg -x "$package"_*.deb . &&
    mv "${@/#/usr/bin/}" "$bin/")
  status=$?
  rm -rf "$part"
  return $status
}

containerd=(containerd containerd-shim-runc-v2 ctr)

if [ "$(id -u)" = 0 ] && has apt-get; then
  if ! has etcd || ! has ctr || [ -n "$(packages)" ]; then
    apt-get -qq update
    # shellcheck disable=SC2046
    [ -z "$(packages)" ] || install $(packages)
    has etcd || get etcd-server etcd
    has ctr || get containerd "${containerd[@]}"
  fi
  ! has debootstrap || "$here/cluster/base-image.sh" "${bin%/bin}/images/debian.tar"
fi
has go && "$here/cluster/build.sh" "$bin"

missing=()
for name in etcd kube-apiserver kube-controller-manager coredns dnsperf openssl ip tc dig kdig setpriv unshare dnsmasq \
  unbound named kube-scheduler kube-proxy kubelet "${containerd[@]}" runc nft conntrack debootstrap buildah podman gcc \
  kubectl chromium chromedriver musl-gcc node javac curl tshark; do
  has "$name" || missing+=("$name")
done
if [ "${#missing[@]}" -gt 0 ]; then
  echo "setup-tools: missing, so tests are skipped: ${missing[*]} (needs root on Debian, and Go)"
  [ -z "${CI:-}" ]
fi
