"""A Pod's network: an address of the node's range, a namespace of its own, and the ports it takes on the node.

Stands for the CNI plugins that containerd runs when a sandbox is made and taken away.
"""

from typing import TYPE_CHECKING

from k8s_core.api import Object
from k8s_core.shell.sockets import NetworkNamespace

if TYPE_CHECKING:
    from k8s_core.kubelet.kubelet import Kubelet


def attach(kubelet: "Kubelet", pod: Object) -> NetworkNamespace:
    """A new Pod's network: the node's own, or a namespace with an address of the node's podCIDR."""
    if pod["spec"].get("hostNetwork"):
        return kubelet.network
    address = kubelet.addresses.take(kubelet.node.get(), pod)
    meta = pod["metadata"]
    hostname = str(pod["spec"].get("hostname") or meta["name"])
    resolv_conf = kubelet.resolv_conf(pod)
    network = NetworkNamespace(
        address,
        kubelet.fabric,
        hostname=hostname,
        pod_namespace=meta["namespace"],
        node=kubelet.name,
        pod=meta["name"],
        resolv_conf=lambda: resolv_conf,
    )
    network.host_ports = [
        (port.get("protocol", "TCP").lower(), port.get("hostIP", ""), port["hostPort"], port["containerPort"])
        for container in (*pod["spec"]["containers"], *(pod["spec"].get("initContainers") or ()))
        for port in container.get("ports") or ()
        if port.get("hostPort")
    ]
    kubelet.fabric.attach(network)
    return network


def release(kubelet: "Kubelet", network: NetworkNamespace) -> None:
    """Give back what `attach` gave; the node's own network stays."""
    if network is not kubelet.network:
        kubelet.fabric.detach(network)
        kubelet.addresses.release(network.address)
