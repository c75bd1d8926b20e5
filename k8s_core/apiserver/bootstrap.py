"""The objects that exist as soon as a kube-apiserver runs, and those that `kubeadm init` adds.

data/bootstrap.json is the compact form of what a real v1.36 apiserver creates: the metadata that all objects of a
kind have in common is put back here. data/kubeadm.json holds kubeadm's add-ons and settings, with $placeholders;
data/manifests/ the control plane's static Pods as kubeadm writes them.
Everything is stored as it is, with its status, and asked nothing: see `Registry.install`.
Stands for the apiserver's post-start hooks and kubeadm's phases upload-config, bootstrap-token and addon.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import NamedTuple

import orjson

from k8s_core.api import Object
from k8s_core.apiserver.options import Options

DATA = Path(__file__).parent / "data"


class Kind(NamedTuple):
    """What the objects of one list in bootstrap.json have in common."""

    api_version: str
    kind: str
    annotations: dict[str, str]
    labels: dict[str, str]


_RBAC = ({"rbac.authorization.kubernetes.io/autoupdate": "true"}, {"kubernetes.io/bootstrapping": "rbac-defaults"})
_FLOW: tuple[dict[str, str], dict[str, str]] = ({"apf.kubernetes.io/autoupdate-spec": "true"}, {})
_AGGREGATOR: tuple[dict[str, str], dict[str, str]] = ({}, {"kube-aggregator.kubernetes.io/automanaged": "onstart"})
KINDS = {
    "namespaces": Kind("v1", "Namespace", {}, {}),
    "priorityclasses": Kind("scheduling.k8s.io/v1", "PriorityClass", {}, {}),
    "clusterroles": Kind("rbac.authorization.k8s.io/v1", "ClusterRole", *_RBAC),
    "clusterrolebindings": Kind("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", *_RBAC),
    "roles": Kind("rbac.authorization.k8s.io/v1", "Role", *_RBAC),
    "rolebindings": Kind("rbac.authorization.k8s.io/v1", "RoleBinding", *_RBAC),
    "prioritylevelconfigurations": Kind("flowcontrol.apiserver.k8s.io/v1", "PriorityLevelConfiguration", *_FLOW),
    "flowschemas": Kind("flowcontrol.apiserver.k8s.io/v1", "FlowSchema", *_FLOW),
    "apiservices": Kind("apiregistration.k8s.io/v1", "APIService", *_AGGREGATOR),
}


@cache
def data() -> dict[str, list[Object]]:
    """data/bootstrap.json: plural name -> objects without what `KINDS` says."""
    found: dict[str, list[Object]] = orjson.loads((DATA / "bootstrap.json").read_bytes())
    return found


def node_rules() -> list[Object]:
    """The rules of the ClusterRole system:node, which the node authorizer has built in."""
    rules: list[Object] = next(r["rules"] for r in data()["clusterroles"] if r["metadata"]["name"] == "system:node")
    return rules


def objects(now: float, ca_pem: bytes, options: Options, *, secure_port: int = 6443) -> Iterator[Object]:
    """What every apiserver creates, in its order. `now` is in seconds; `secure_port` is where it listens itself."""
    stamp = datetime.fromtimestamp(now, UTC)
    for plural, found in data().items():
        for obj in found:
            yield _complete(plural, obj, stamp.strftime("%Y-%m-%dT%H:%M:%SZ"))
    yield {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "ServiceCIDR",
        "metadata": {"name": "kubernetes", "finalizers": ["networking.k8s.io/service-cidr-finalizer"]},
        "spec": {"cidrs": options.service_cluster_ip_range.split(",")},
        "status": {"conditions": [_condition(stamp, "Ready", "True", "", "Kubernetes Service CIDR is ready")]},
    }
    yield _service(secure_port, options.service_address)
    yield _configmap("kube-system", "extension-apiserver-authentication", {"client-ca-file": ca_pem.decode()})
    since = {"since": stamp.strftime("%Y-%m-%d")}
    yield _configmap("kube-system", "kube-apiserver-legacy-service-account-token-tracking", since)


def _complete(plural: str, obj: Object, stamp: str) -> Object:
    kind = KINDS[plural]
    metadata = {**obj["metadata"]}
    labels = {**kind.labels, **metadata.get("labels", {})}
    if plural == "namespaces":
        labels["kubernetes.io/metadata.name"] = metadata["name"]
    for name, values in (("labels", labels), ("annotations", kind.annotations)):
        if values:
            metadata[name] = dict(values)
    full = {"apiVersion": kind.api_version, "kind": kind.kind, **obj, "metadata": metadata}
    if plural == "namespaces":
        full["status"] = {"phase": "Active"}
    elif plural == "apiservices":
        local = {"reason": "Local", "message": "Local APIServices are always available"}
        full["status"] = {"conditions": [{"type": "Available", "status": "True", "lastTransitionTime": stamp, **local}]}
    elif plural == "flowschemas":
        level = obj["spec"]["priorityLevelConfiguration"]["name"]
        message = f'This FlowSchema references the PriorityLevelConfiguration object named "{level}" and it exists'
        condition = {"type": "Dangling", "status": "False", "reason": "Found", "message": message}
        full["status"] = {"conditions": [{**condition, "lastTransitionTime": stamp}]}
    elif plural == "prioritylevelconfigurations":
        full["status"] = {}
    return full


def _condition(stamp: datetime, type_: str, status: str, reason: str, message: str) -> Object:
    when = stamp.strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"type": type_, "status": status, "lastTransitionTime": when, "reason": reason, "message": message}


def _configmap(namespace: str, name: str, values: dict[str, str]) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace},
        "data": values,
    }


def _service(target: int, address: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": "kubernetes",
            "namespace": "default",
            "labels": {"component": "apiserver", "provider": "kubernetes"},
        },
        "spec": {
            "clusterIP": address,
            "clusterIPs": [address],
            "internalTrafficPolicy": "Cluster",
            "ipFamilies": ["IPv4"],
            "ipFamilyPolicy": "SingleStack",
            "ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": target}],
            "sessionAffinity": "None",
            "type": "ClusterIP",
        },
        "status": {"loadBalancer": {}},
    }
