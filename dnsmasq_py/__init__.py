"""dnsmasq_py: the caching forwarder of the pod. Not built yet; see the README."""
