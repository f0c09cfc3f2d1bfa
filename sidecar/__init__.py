"""sidecar: health and metrics of the pod. Not built yet; see the README."""
