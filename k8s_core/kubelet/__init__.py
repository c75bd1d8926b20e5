"""The node agent: it makes the Pods that are bound to its node run, and says how they fare.

kubelet.py is the agent (node, leases, the list of Pods), pod_worker.py one Pod's life, runtime.py the container
runtime below it (what containerd is), programs/ what runs in the containers, server.py what the apiserver asks for.
"""
