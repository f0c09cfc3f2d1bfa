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

get_etcd() { # only the program: installing the package would start a server
  local part status
  part=$(mktemp -d)
  (cd "$part" && apt-get -qq download etcd-server && dpkg -x etcd-server_*.deb . &&
    mv usr/bin/etcd "$bin/etcd")
  status=$?
  rm -rf "$part"
  return $status
}

if { ! has etcd || [ -n "$(packages)" ]; } && [ "$(id -u)" = 0 ] && has apt-get; then
  apt-get -qq update
  # shellcheck disable=SC2046
  [ -z "$(packages)" ] || install $(packages)
  has etcd || get_etcd
fi
has go && "$here/cluster/build.sh" "$bin"

missing=()
for name in etcd kube-apiserver kube-controller-manager coredns dnsperf openssl ip tc dig kdig setpriv unshare dnsmasq \
  unbound named; do
  has "$name" || missing+=("$name")
done
if [ "${#missing[@]}" -gt 0 ]; then
  echo "setup-tools: missing, so tests are skipped: ${missing[*]} (needs root on Debian, and Go)"
  [ -z "${CI:-}" ]
fi
