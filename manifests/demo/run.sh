#!/usr/bin/env bash
# Serve the demo cluster of this folder on unprivileged loopback ports; Ctrl-C ends it.
#   run.sh BIN    BIN: the folder with the console scripts; DNS_PORT, HEALTHZ_PORT, STATUS_PORT: ports
set -euo pipefail
bin=${1:?folder with the console scripts}; shift
here=$(dirname "$0")
dns=${DNS_PORT:-10053} healthz=${HEALTHZ_PORT:-8081} status=${STATUS_PORT:-10057}
cat <<TXT
The demo cluster of $here; its services change when its files do. Try, in another terminal:

  dig @127.0.0.1 -p $dns web.shop.svc.cluster.local
  dig @127.0.0.1 -p $dns _mysql._tcp.stock.shop.svc.cluster.local SRV
  dig @127.0.0.1 -p $dns -x 10.244.1.10

and http://127.0.0.1:$status/status for what kubedns knows.

TXT
exec "$bin/kube-dns" --objects "$here" --dns-bind-address 127.0.0.1 --dns-port "$dns" \
  --healthz-port "$healthz" --status-address "127.0.0.1:$status" --lame-duck 0s "$@"
