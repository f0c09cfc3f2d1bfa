# settings.sh: what cluster.sh writes into $KC before the node starts: keys, kubeconfigs, settings of
# the servers.  The addresses are those of the pods' world, none of them is known outside of it.
# shellcheck shell=bash
NODE=node-1
NODE_IP=172.30.0.1 NODE_IP6=fd00:172:30::1
POD_CIDR=10.244.0.0/24 POD_CIDR6=fd00:10:244::/64
SERVICE_CIDR=10.96.0.0/16 SERVICE_CIDR6=fd00:10:96::/112
API_IP=10.96.0.1 # the first one of SERVICE_CIDR: service "kubernetes"
DNS_IP=10.96.0.10
API_PORT=7443
PAUSE=registry.k8s.io/pause:3.10
export NODE NODE_IP NODE_IP6 POD_CIDR POD_CIDR6 SERVICE_CIDR SERVICE_CIDR6 API_PORT

sign() { # name, subject, lines of extensions
  local name=$1 subject=$2
  shift 2
  openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$name.key" \
    -subj "$subject" -out "$name.csr" 2>/dev/null
  printf '%s\n' "$@" >"$name.ext"
  openssl x509 -req -in "$name.csr" -CA ca.crt -CAkey ca.key -CAcreateserial -days 30 \
    -extfile "$name.ext" -out "$name.crt" 2>/dev/null
}

kubeconfig() { # user
  cat >"$KC/$1.kubeconfig" <<YAML
apiVersion: v1
kind: Config
clusters: [{name: one, cluster: {server: "https://127.0.0.1:$API_PORT", certificate-authority: "$KC/pki/ca.crt"}}]
users: [{name: $1, user: {client-certificate: "$KC/pki/$1.crt", client-key: "$KC/pki/$1.key"}}]
contexts: [{name: one, context: {cluster: one, user: $1}}]
current-context: one
YAML
}

write_pki() (
  cd "$KC/pki"
  umask 077
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout ca.key \
    -subj /CN=one-ca -days 30 -out ca.crt -addext basicConstraints=critical,CA:TRUE \
    -addext keyUsage=critical,keyCertSign,cRLSign 2>/dev/null
  openssl genrsa -out sa.key 2048 2>/dev/null
  local user client=extendedKeyUsage=clientAuth name=kubernetes.default.svc
  sign apiserver /CN=kube-apiserver extendedKeyUsage=serverAuth \
    "subjectAltName=IP:127.0.0.1,IP:$NODE_IP,IP:$API_IP,DNS:localhost,DNS:$name,DNS:$name.cluster.local"
  sign kubelet-server "/CN=$NODE" extendedKeyUsage=serverAuth "subjectAltName=DNS:$NODE,IP:$NODE_IP"
  sign admin /O=system:masters/CN=admin $client
  sign apiserver-kubelet /O=system:masters/CN=kube-apiserver-kubelet-client $client
  sign kubelet "/O=system:nodes/CN=system:node:$NODE" $client
  for user in kube-controller-manager kube-scheduler kube-proxy; do
    sign $user "/CN=system:$user" $client
  done
  for user in admin kubelet kube-controller-manager kube-scheduler kube-proxy; do
    kubeconfig $user
  done
)

# Pods hang on routed veth pairs ("ptp"): a bridge would need bridge-nf-call-iptables before a pod
# reaches another one through a cluster IP.  containerd 1.6 reads settings of version 2.
# restrict_oom_score_adj: without CAP_SYS_RESOURCE no process may lower its own score.
write_settings() {
  printf 'nameserver %s\nsearch host.example\n' "$NODE_IP" >"$KC/resolv.conf"
  cat >"$KC/cni/10-one.conflist" <<JSON
{"cniVersion": "0.4.0", "name": "one", "plugins": [
  {"type": "ptp", "mtu": 1500, "ipMasq": false,
   "ipam": {"type": "host-local", "dataDir": "/run/cni-ipam",
            "ranges": [[{"subnet": "$POD_CIDR"}], [{"subnet": "$POD_CIDR6"}]],
            "routes": [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
JSON
  cat >"$KC/containerd.toml" <<TOML
version = 2
root = "$KC/containerd"
state = "/run/containerd"
oom_score = 0
[grpc]
  address = "/run/containerd/containerd.sock"
[plugins."io.containerd.internal.v1.opt"]
  path = "$KC/containerd-opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "$PAUSE"
  restrict_oom_score_adj = true
  tolerate_missing_hugetlb_controller = true
  disable_hugetlb_controller = true
  disable_apparmor = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "$KC/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      BinaryName = "$(command -v runc)"
      SystemdCgroup = false
TOML
  cat >"$KC/kubelet.yaml" <<YAML
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
failCgroupV1: false
cgroupDriver: cgroupfs
cgroupRoot: $CGROUP
failSwapOn: false
oomScoreAdj: 0
clusterDNS: [$DNS_IP]
clusterDomain: cluster.local
resolvConf: $KC/resolv.conf
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
podLogsDir: /var/log/pods
volumePluginDir: $KC/kubelet/volumeplugins
tlsCertFile: $KC/pki/kubelet-server.crt
tlsPrivateKeyFile: $KC/pki/kubelet-server.key
authentication:
  anonymous: {enabled: false}
  webhook: {enabled: true}
  x509: {clientCAFile: $KC/pki/ca.crt}
authorization: {mode: Webhook}
evictionHard: {memory.available: 50Mi, nodefs.available: "0%", nodefs.inodesFree: "0%", imagefs.available: "0%"}
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
syncFrequency: 10s # by which a changed ConfigMap is in the pods; a minute by default
nodeStatusUpdateFrequency: 5s
YAML
  # The numbers of conntrack cannot be set from inside a network namespace.
  cat >"$KC/kube-proxy.yaml" <<YAML
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: nftables
clusterCIDR: $POD_CIDR,$POD_CIDR6
detectLocalMode: ClusterCIDR
hostnameOverride: $NODE
oomScoreAdj: 0
clientConnection: {kubeconfig: $KC/kube-proxy.kubeconfig}
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
healthzBindAddress: 127.0.0.1:10256
metricsBindAddress: 127.0.0.1:10249
YAML
  # Over websockets kubectl 1.32 sometimes throws away the first words of a command.
  cat >"$KC/on-node" <<SH
#!/bin/sh
exec nsenter -t "\$(cat '$KC/init.pid')" -m -u -i -n -p --wdns="\$PWD" -- env PATH="$PATH" \
  KUBECTL_REMOTE_COMMAND_WEBSOCKETS=false KUBECONFIG='$KC/admin.kubeconfig' \
  CONTAINERD_ADDRESS=/run/containerd/containerd.sock CONTAINERD_NAMESPACE=k8s.io "\$@"
SH
  printf '#!/bin/sh\nexec "%s/on-node" kubectl "$@"\n' "$KC" >"$KC/kubectl"
  chmod +x "$KC/on-node" "$KC/kubectl"
}
