"""The network of the cluster: kube-proxy's rules, the way of a packet, names. Start reading at network.py."""
