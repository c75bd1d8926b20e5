"""A Pod's network: an address of the node's range, a namespace of its own, and the ports it takes on the node.

Stands for the CNI plugins that containerd runs when a sandbox is made and taken away.
"""

from typing import TYPE_CHECKING

from k8s_core.api import Object
from k8s_core.limits import CLUSTER_DOMAIN
from k8s_core.shell.sockets import NetworkNamespace

if TYPE_CHECKING:
    from k8s_core.kubelet.kubelet import Kubelet


MAX_HOST_NAME = 63


def short_name(spec: Object, name: str) -> str:
    """A Pod's own host name."""
    return str(spec.get("hostnameOverride") or spec.get("hostname") or name)[:MAX_HOST_NAME]


def domain(pod: Object) -> str:
    """The rest of a Pod's name in the cluster's DNS, if it has one."""
    spec = pod["spec"]
    named = spec.get("subdomain") and not spec.get("hostnameOverride")
    return f"{spec['subdomain']}.{pod['metadata']['namespace']}.svc.{CLUSTER_DOMAIN}" if named else ""


def host_name(pod: Object, node: str) -> str:
    """What `hostname` says in a Pod's containers."""
    spec = pod["spec"]
    if spec.get("hostNetwork"):
        return node
    name, rest = short_name(spec, pod["metadata"]["name"]), domain(pod)
    return f"{name}.{rest}" if rest and spec.get("setHostnameAsFQDN") else name


def attach(kubelet: "Kubelet", pod: Object) -> NetworkNamespace:
    """A new Pod's network: the node's own, or a namespace with an address of the node's podCIDR."""
    if pod["spec"].get("hostNetwork"):
        return kubelet.network
    address = kubelet.addresses.take(kubelet.node.get(), pod)
    meta = pod["metadata"]
    hostname = str(pod["spec"].get("hostnameOverride") or pod["spec"].get("hostname") or meta["name"])
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
