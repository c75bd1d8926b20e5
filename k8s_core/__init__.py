"""A Kubernetes control plane small enough to read."""
