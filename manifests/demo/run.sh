#!/usr/bin/env bash
# Serve the demo cluster of this folder on unprivileged loopback ports: the three processes of the
# pod, each line of their logs with its process in front. Ctrl-C ends all; when one ends, so do the
# others.
#   run.sh BIN    BIN: the folder with the console scripts
# From the environment:
#   DNS_PORT, HEALTHZ_PORT, STATUS_PORT     ports of kube-dns
#   DNSMASQ_PORT, ADMIN_PORT                ports of dnsmasq-nanny
#   SIDECAR_PORT, OPERATOR_PORT             ports of the sidecar
#   CONFIG_DIR     the folder that stands for the mounted ConfigMap; emptied at the start
#   NAMESERVERS    its first upstreamNameservers, a JSON list; else /etc/resolv.conf is used
set -euo pipefail
bin=${1:?folder with the console scripts}
here=$(dirname "$0")
dns=${DNS_PORT:-10053} healthz=${HEALTHZ_PORT:-8081} status=${STATUS_PORT:-10057}
dnsmasq=${DNSMASQ_PORT:-1053} admin=${ADMIN_PORT:-10056}
sidecar=${SIDECAR_PORT:-10054} operator=${OPERATOR_PORT:-10058}
config=${CONFIG_DIR:-$(dirname "$bin")/demo-config}
mkdir -p "$config"
rm -f "$config"/{stubDomains,upstreamNameservers,extensions,federations}
[ -z "${NAMESERVERS:-}" ] || echo "$NAMESERVERS" >"$config/upstreamNameservers"
cat <<TXT
The demo cluster of $here; its services change when its files do. Try, in another terminal:

  dig @127.0.0.1 -p $dnsmasq web.shop.svc.cluster.local
  dig @127.0.0.1 -p $dnsmasq _mysql._tcp.stock.shop.svc.cluster.local SRV
  dig @127.0.0.1 -p $dnsmasq -x 10.244.1.10

Is it well:      http://127.0.0.1:$sidecar/healthz
The page:        http://127.0.0.1:$sidecar/
Its ConfigMap:   the folder $config; for instance
                 echo '{"acme.local": ["192.0.2.53"]}' > $config/stubDomains

TXT

# Each in a process group of its own: Ctrl-C reaches this script alone, which ends them in order.
set -m
trap 'exit 0' INT TERM HUP
trap 'trap - EXIT; kill "${started[@]}" 2>/dev/null; wait' EXIT
started=()
start() { # name, command: what it writes gets the name in front
  local name=$1
  shift
  "$@" > >(trap '' INT TERM HUP; exec sed -u "s/^/$name | /") 2>&1 &
  started+=($!)
}

probed=kubernetes.default.svc.cluster.local,1,SRV
start 'kubedns' "$bin/kube-dns" --objects "$here" --config-dir "$config" \
  --dns-bind-address 127.0.0.1 --dns-port "$dns" \
  --healthz-port "$healthz" --status-address "127.0.0.1:$status" \
  --notify "127.0.0.1:$dnsmasq" --lame-duck 0s
start 'dnsmasq' "$bin/dnsmasq-nanny" -configDir "$config" -kubednsServer "127.0.0.1:$dns" \
  --admin-address "127.0.0.1:$admin" --drain 0s -- \
  -k --conf-file= --no-hosts --log-facility=- --cache-size=1000 --dns-loop-detect \
  --listen-address=127.0.0.1 --port="$dnsmasq" \
  --server="/cluster.local/127.0.0.1#$dns" --server="/in-addr.arpa/127.0.0.1#$dns" \
  --server="/ip6.arpa/127.0.0.1#$dns"
start 'sidecar' "$bin/sidecar" --prometheus-addr 127.0.0.1 --prometheus-port "$sidecar" \
  --operator-address "127.0.0.1:$operator" --dnsmasq-port "$dnsmasq" \
  --kubedns-status "127.0.0.1:$status" --dnsmasq-status "127.0.0.1:$admin" --drain 0s \
  --probe "kubedns,127.0.0.1:$dns,$probed" --probe "dnsmasq,127.0.0.1:$dnsmasq,$probed"
wait -n
