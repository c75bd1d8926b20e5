"""What `kubeadm init` leaves behind: objects in the cluster and files on the nodes.

data/kubeadm.yaml holds the objects, data/manifests/ the control plane's static Pods, both with $placeholders.
The command lines are kubeadm's; etcd stays at 3.5, the last release with the v2 store that the course shows.
Left out: the join token (it would expire after a day) and its signature in cluster-info.
Stands for kubeadm's phases certs, kubeconfig, control-plane, upload-config, bootstrap-token and addon.
"""

import base64
from collections.abc import Iterator, Mapping
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any, Protocol

import yaml

from k8s_core.api import Object, errors
from k8s_core.apiserver import version
from k8s_core.apiserver.bootstrap import DATA
from k8s_core.apiserver.options import Options
from k8s_core.pki import PKI

if TYPE_CHECKING:
    from k8s_core.client import Client

ETCD_VERSION = "3.5.12-0"
COREDNS_VERSIONS = {"1.30": "v1.11.1", "1.31": "v1.11.3", "1.32": "v1.11.3", "1.33": "v1.12.0", "1.34": "v1.12.1"}
NEWEST_COREDNS = "v1.14.2"
ROLE = "node-role.kubernetes.io/control-plane"
ROLE_LABELS = {ROLE: "", "node.kubernetes.io/exclude-from-external-load-balancers": ""}
ROLE_TAINT = {"key": ROLE, "effect": "NoSchedule"}
RETRY = 0.5  # constants.KubernetesAPICallRetryInterval
MANIFESTS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Cluster(Protocol):
    """What kubeadm needs to know; `addresses` begins with the control-plane node."""

    @property
    def pki(self) -> PKI: ...
    @property
    def minor(self) -> str: ...
    @property
    def addresses(self) -> Mapping[str, str]: ...
    @property
    def options(self) -> Options: ...
    @property
    def cluster_cidr(self) -> str: ...


def objects(cluster: Cluster) -> Iterator[Object]:
    """The ConfigMaps, RBAC objects and add-ons, in kubeadm's order."""
    text = Template((DATA / "kubeadm.yaml").read_text()).substitute(_placeholders(cluster))
    yield from yaml.load_all(text, Loader=_Loader)


def write_node(cluster: Cluster, node: str, folder: Path) -> None:
    """Write one node's /etc/kubernetes below `folder` (the node's root): certificates, kubeconfigs, manifests."""
    target = folder / "etc/kubernetes"
    control_plane, address = _control_plane(cluster)
    first = node == control_plane
    cluster.pki.write(target, f"https://{address}:6443", worker="" if first else node)
    manifests = target / "manifests"
    manifests.mkdir(parents=True, exist_ok=True)
    for name in MANIFESTS if first else ():
        text = Template((DATA / "manifests" / f"{name}.yaml").read_text()).substitute(_placeholders(cluster))
        (manifests / f"{name}.yaml").write_text(text)


def mark_control_plane(client: "Client", node: str) -> None:
    """Label and taint the control-plane node as soon as its kubelet has registered it (phase mark-control-plane).

    A kubelet may not do that itself: NodeRestriction reserves these labels.
    """
    try:
        taints = [taint for taint in client.get("nodes", node)["spec"].get("taints") or [] if taint != ROLE_TAINT]
        changed = {"metadata": {"labels": ROLE_LABELS}, "spec": {"taints": [*taints, ROLE_TAINT]}}
        client.patch("nodes", node, "", changed, kind="merge")
    except errors.StatusError as error:
        if not errors.is_not_found(error):
            raise
        client.loop.call_later(RETRY, mark_control_plane, client, node)


def _control_plane(cluster: Cluster) -> tuple[str, str]:
    return next(iter(cluster.addresses.items()), ("cp", "10.0.0.4"))


def _placeholders(cluster: Cluster) -> dict[str, str]:
    node, address = _control_plane(cluster)
    return {
        "node": node,
        "address": address,
        "version": version.git_version(cluster.minor),
        "etcd_version": ETCD_VERSION,
        "coredns_version": COREDNS_VERSIONS.get(cluster.minor, NEWEST_COREDNS),
        "cluster_cidr": cluster.cluster_cidr,
        "service_cidr": cluster.options.service_cluster_ip_range,
        "dns_address": cluster.options.dns_address,
        "ca_data": base64.b64encode(cluster.pki.ca.cert_pem).decode(),
    }
