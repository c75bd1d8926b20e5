"""The cluster as plain data at any past revision, out of etcd's own history (k8s_core/history.py).

`Moments` are the revisions at which something that the picture shows was written; `state` is the cluster at one of
them.
"""

import math
from typing import Any

from course.status import pod_status
from k8s_core.history import History

SHOWN = ("nodes", "pods", "services", "endpointslices.discovery.k8s.io")
SYSTEM = "kube-system"

State = dict[str, Any]


class Moments:
    """The revisions of one cluster that are worth a picture, oldest first, from where it stood when this was made."""

    def __init__(self, history: History):
        self.history = history
        self._seen = history.store.revision
        self._revisions = [self._seen]

    def revisions(self) -> list[int]:
        """All of them so far, but for those that etcd has forgotten."""
        found = set()
        for resource in SHOWN:
            for change in self.history.changes(self._seen, resource=resource):
                if resource != "nodes" or not (change.old and change.new) or _differ(change.old, change.new):
                    found.add(change.revision)
        self._seen = self.history.store.revision
        self._revisions += sorted(found)
        oldest = self.history.store.compact_revision
        if self._revisions[0] < oldest:
            kept = [revision for revision in self._revisions if revision >= oldest]
            self._revisions = kept or [self._seen]
        return self._revisions


def state(history: History, revision: int, start: float, *, system: bool = False) -> State:
    """Nodes, Pods by node, and Services at a revision; those of kube-system only if asked for.

    `time` is told as what went by since `start` (virtual seconds since the epoch).
    """
    every = [_pod(obj) for obj in history.objects("pods", revision)]
    pods = [pod for pod in every if system or pod["namespace"] != SYSTEM]
    nodes = [
        {
            "name": obj["metadata"]["name"],
            "status": _node_status(obj),
            "pods": [pod for pod in pods if pod["node"] == obj["metadata"]["name"]],
            "hidden": sum(pod["node"] == obj["metadata"]["name"] for pod in every if pod not in pods),
        }
        for obj in history.objects("nodes", revision)
    ]
    ready = _ready_pods(history.objects("endpointslices.discovery.k8s.io", revision))
    services = [
        {"name": meta["name"], "namespace": meta["namespace"], "address": _address(obj), "pods": ready.get(key, [])}
        for obj in history.objects("services", revision)
        for meta in [obj["metadata"]]
        for key in [f"{meta['namespace']}/{meta['name']}"]
        if (system or meta["namespace"] != SYSTEM) and key != "default/kubernetes"
    ]
    known = {node["name"] for node in nodes}
    return {
        "revision": revision,
        "time": elapsed(history.time_of(revision) - start),
        "namespaces": len({item["namespace"] for item in [*pods, *services]} | {"default"}),
        "nodes": nodes,
        "unscheduled": [pod for pod in pods if pod["node"] not in known],
        "services": services,
    }


def elapsed(seconds: float) -> str:
    """A time as pictures tell it: "+12 s", "+3:05", "+2:00:00"."""
    whole = max(0, math.floor(seconds))
    if whole < 60:
        return f"+{whole} s"
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"+{hours}:{minutes:02}:{rest:02}" if hours else f"+{minutes}:{rest:02}"


def _pod(obj: dict[str, Any]) -> dict[str, Any]:
    statuses = obj.get("status", {}).get("containerStatuses", [])
    return {
        "namespace": obj["metadata"]["namespace"],
        "name": obj["metadata"]["name"],
        "node": obj.get("spec", {}).get("nodeName", ""),
        "status": pod_status(obj),
        "ready": f"{sum(bool(s.get('ready')) for s in statuses)}/{len(obj['spec']['containers'])}",
        "ip": obj.get("status", {}).get("podIP", ""),
    }


def _node_status(node: dict[str, Any]) -> str:
    conditions = {c["type"]: c["status"] for c in node.get("status", {}).get("conditions", [])}
    words = ["Ready" if conditions.get("Ready") == "True" else "NotReady"]
    if node.get("spec", {}).get("unschedulable"):
        words.append("SchedulingDisabled")
    roles = [
        label.split("/", 1)[1]
        for label in node["metadata"].get("labels", {})
        if label.startswith("node-role.kubernetes.io/")
    ]
    return ",".join(words) + (f" · {', '.join(roles)}" if roles else "")


def _address(service: dict[str, Any]) -> str:
    spec = service.get("spec", {})
    ports = ",".join(f"{p['port']}" + (f":{p['nodePort']}" if p.get("nodePort") else "") for p in spec.get("ports", []))
    address = spec.get("clusterIP") or spec.get("externalName", "")
    return f"{spec.get('type', 'ClusterIP')} {address} port {ports or 'none'}"


def _ready_pods(slices: list[dict[str, Any]]) -> dict[str, list[str]]:
    """{namespace/service: [namespace/pod]} of the ready endpoints."""
    found: dict[str, list[str]] = {}
    for item in slices:
        meta = item["metadata"]
        service = meta.get("labels", {}).get("kubernetes.io/service-name", "")
        for endpoint in item.get("endpoints") or []:
            target = endpoint.get("targetRef", {})
            if target.get("kind") == "Pod" and endpoint.get("conditions", {}).get("ready", True):
                found.setdefault(f"{meta['namespace']}/{service}", []).append(f"{meta['namespace']}/{target['name']}")
    return found


def _differ(old: dict[str, Any], new: dict[str, Any]) -> bool:
    """Whether a change of a node can be seen; its heartbeat cannot."""
    return _node_status(old) != _node_status(new)
