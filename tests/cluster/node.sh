#!/usr/bin/env bash
# node.sh: the node, as PID 1 of the namespaces that cluster.sh made: network, servers, name servers
# of the world outside.  Writes $KC/ready, or $KC/failed with the reason.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=settings.sh
. "$here/settings.sh"
export KUBECONFIG=$KC/admin.kubeconfig
read -r self _ </proc/self/stat # still the /proc of outside, so our number there

trap 'echo "node.sh: line $LINENO" >"$KC/failed"' ERR

start() { # name, command
  local name=$1
  shift
  "$@" >>"$KC/log/$name.log" 2>&1 </dev/null &
  echo $! >"/run/one/$name.pid"
}

wait_for() { # what, name of the server that makes it true, command
  local what=$1 server=$2
  shift 2
  for _ in $(seq 900); do
    ! "$@" >/dev/null 2>&1 || return 0
    if [ ! -d "/proc/$(cat "/run/one/$server.pid")" ]; then
      echo "$server ended, and $what was awaited" >"$KC/failed"
      exit 1
    fi
    sleep 0.2
  done
  echo "no $what after 3 minutes" >"$KC/failed"
  exit 1
}

node_ready() {
  [ "$(kubectl get node "$NODE" -o 'jsonpath={.status.conditions[?(@.type=="Ready")].status}')" = True ]
}

# Inside the PID namespace a number means another process: 0 is the writer, whoever reads it.
for group in /sys/fs/cgroup"$CGROUP"/node /sys/fs/cgroup/*"$CGROUP"/node; do
  [ ! -d "$group" ] || echo 0 >"$group/cgroup.procs"
done
mount -t proc proc /proc
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/one /run/lock /run/netns "$KC/log/var"
mount --bind "$KC/log/var" /var/log
mount --make-rshared /
hostname "$NODE"
echo "$self" >"$KC/init.pid"

# The node's link is a cable that leads nowhere, but is always up.
ip link set lo up
ip link add node0 type veth peer name node1
ip addr add "$NODE_IP/24" dev node0
ip link set node0 up
ip link set node1 up
ip route add default dev node0
ip addr add "$NODE_IP6/64" dev node0 nodad
ip -6 route add default dev node0
sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv4.ip_unprivileged_port_start=1024 \
  net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0

# The name server of the node, which knows upstream.test, and on port 5300 one of a company, which
# knows corp.test.
outside=(dnsmasq -k -C /dev/null --user=root --pid-file= --no-resolv --no-hosts --bind-interfaces
  --listen-address="$NODE_IP" --log-facility=- --log-queries)
start upstream "${outside[@]}" --local=/upstream.test/ --address=/upstream.test/192.0.2.53 --local-ttl=300 \
  --address=/upstream.test/2001:db8::53 --txt-record=txt.upstream.test,from-outside \
  --ptr-record=53.2.0.192.in-addr.arpa,www.upstream.test
start company "${outside[@]}" --port=5300 --local=/corp.test/ --address=/corp.test/192.0.2.77 --local-ttl=300

no_fsync=()
! etcd --help 2>&1 | grep -q -- --unsafe-no-fsync || no_fsync=(--unsafe-no-fsync)
start etcd etcd --name one --data-dir "$KC/etcd" "${no_fsync[@]}" --log-level warn \
  --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 \
  --listen-peer-urls http://127.0.0.1:2380 --initial-advertise-peer-urls http://127.0.0.1:2380 \
  --initial-cluster one=http://127.0.0.1:2380
start containerd containerd -c "$KC/containerd.toml"
# Pods reach the API server by the endpoint of service "kubernetes", which may not be on loopback.
pki=$KC/pki
start kube-apiserver kube-apiserver --etcd-servers http://127.0.0.1:2379 \
  --bind-address 0.0.0.0 --secure-port "$API_PORT" --advertise-address "$NODE_IP" \
  --service-cluster-ip-range "$SERVICE_CIDR,$SERVICE_CIDR6" --allow-privileged \
  --anonymous-auth=false --profiling=false \
  --authorization-mode Node,RBAC --enable-admission-plugins NodeRestriction \
  --client-ca-file "$pki/ca.crt" --tls-cert-file "$pki/apiserver.crt" \
  --tls-private-key-file "$pki/apiserver.key" \
  --kubelet-client-certificate "$pki/apiserver-kubelet.crt" \
  --kubelet-client-key "$pki/apiserver-kubelet.key" --kubelet-preferred-address-types InternalIP \
  --service-account-key-file "$pki/sa.key" --service-account-signing-key-file "$pki/sa.key" \
  --service-account-issuer https://kubernetes.default.svc.cluster.local
wait_for containerd containerd ctr -a /run/containerd/containerd.sock version
wait_for '/readyz of kube-apiserver' kube-apiserver kubectl get --raw /readyz
for name in kube-controller-manager kube-scheduler; do
  more=()
  [ $name = kube-scheduler ] || more=(--use-service-account-credentials --root-ca-file "$pki/ca.crt"
    --service-account-private-key-file "$pki/sa.key" --cluster-cidr "$POD_CIDR,$POD_CIDR6")
  start $name $name --kubeconfig "$KC/$name.kubeconfig" --leader-elect=false --cert-dir "$pki" \
    --authentication-kubeconfig "$KC/$name.kubeconfig" \
    --authorization-kubeconfig "$KC/$name.kubeconfig" --bind-address 127.0.0.1 "${more[@]}"
done
start kubelet kubelet --config "$KC/kubelet.yaml" --kubeconfig "$KC/kubelet.kubeconfig" \
  --root-dir "$KC/kubelet" --hostname-override "$NODE" --node-ip "$NODE_IP,$NODE_IP6" \
  --cert-dir "$pki" -v 1
start kube-proxy kube-proxy --config "$KC/kube-proxy.yaml"
wait_for 'Ready node' kubelet node_ready
wait_for 'ServiceAccount default' kube-controller-manager kubectl -n default get serviceaccount default
touch "$KC/ready"
trap 'exit 0' TERM INT
while :; do # bash reaps what the shims leave behind
  sleep 86400 &
  wait $! || true
done
