#!/usr/bin/env bash
# cluster.sh DIR: a real Kubernetes of one node, whose data is in DIR, until standard input ends.
#
# Prints "ready" when workloads can be applied.  Then DIR/kubectl is kubectl as administrator, and
# DIR/on-node runs any command on the node.  All servers run below one process that has its own
# network, mount, PID, UTS and IPC namespaces (node.sh): nothing listens on this machine, no rule or
# link is made here, and with that process the kernel ends every server, container and mount.  What is
# left is undone at the end: control groups, and what the kubelet sets in /proc/sys for all.
#
# By hand:  tests/cluster/cluster.sh /tmp/one        (Ctrl-D ends it)
#           /tmp/one/kubectl get pods -A
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
KC=$(mkdir -p "${1:?data folder}" && cd "$1" && pwd)
export KC
CGROUP=/kube-dns-py-$$ # pods below it, and the servers in its child "node"
export CGROUP
BIN=${BIN:-${XDG_CACHE_HOME:-$HOME/.cache}/kube-dns-py/bin}
export BIN PATH="$BIN:$PATH"
# shellcheck source=settings.sh
. "$here/settings.sh"

kept=(vm.overcommit_memory vm.panic_on_oom kernel.panic kernel.panic_on_oops
  kernel.keys.root_maxkeys kernel.keys.root_maxbytes)

hierarchies() { # of control groups: each controller's (version 1), or the one of all (version 2)
  if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
    echo /sys/fs/cgroup
  else
    find /sys/fs/cgroup -mindepth 1 -maxdepth 1 -type d
  fi
}

make_cgroups() { # the kubelet wants its root to be there, under every controller
  local top group
  for top in $(hierarchies); do
    [ -e "$top/cgroup.procs" ] || continue
    for group in "$top$CGROUP" "$top$CGROUP/node"; do
      mkdir -p "$group"
      if [ -e "$group/cpuset.cpus" ] && [ -z "$(cat "$group/cpuset.cpus")" ] && [ -e "$top/cpuset.mems" ]; then
        cat "$top/cpuset.cpus" >"$group/cpuset.cpus"
        cat "$top/cpuset.mems" >"$group/cpuset.mems"
      fi
    done
  done
}

remove_cgroups() { # GROUP
  local top
  for top in $(hierarchies); do
    for _ in $(seq 100); do # the last processes may be ending still
      [ -d "$top$1" ] || break
      find "$top$1" -depth -type d -exec rmdir {} + 2>/dev/null || sleep 0.1
    done
    [ ! -d "$top$1" ] || echo "cluster: left behind: $top$1" >&2
  done
}

sweep() { # what runs left behind that were killed themselves
  local top group
  for top in $(hierarchies); do
    for group in "$top"/kube-dns-py-*; do
      group=${group##*/}
      [ ! -d "$top/$group" ] || [ -e "/proc/${group##*-}" ] || remove_cgroups "/$group"
    done
  done
}

stop() {
  trap '' INT TERM HUP
  [ -z "${node:-}" ] || kill -KILL "$node" 2>/dev/null || true # and --kill-child ends PID 1 of the rest
  [ -z "${node:-}" ] || wait "$node" 2>/dev/null || true
  remove_cgroups "$CGROUP"
  [ ! -s "$KC/sysctl.saved" ] || sysctl -q -p "$KC/sysctl.saved" || true
  rm -f "$KC/init.pid"
}

fail() {
  echo "cluster: $*" >&2
  tail -n 8 "$KC"/log/*.log >&2
  exit 1
}

mkdir -p "$KC"/{log,cni,containerd,kubelet,pki}
rm -f "$KC"/{ready,failed,init.pid}
write_pki
write_settings
sweep
sysctl "${kept[@]}" >"$KC/sysctl.saved" 2>/dev/null || true
trap stop EXIT
trap 'exit 130' INT TERM HUP
make_cgroups
unshare --fork --kill-child --pid --mount --uts --ipc --net --propagation private \
  "$here/node.sh" >"$KC/log/node.log" 2>&1 </dev/null &
node=$!
while [ ! -e "$KC/ready" ]; do
  [ ! -e "$KC/failed" ] || fail "$(cat "$KC/failed")"
  kill -0 "$node" 2>/dev/null || fail "the node ended"
  sleep 0.1
done
echo ready
# Standard input ends when who started us does.  By another number: bash gives jobs /dev/null as 0.
exec 3<&0
cat <&3 >/dev/null &
wait $!
