"""The cluster as plain data at any past revision, read from etcd alone.

`History` notes every revision at which something that the picture shows was written, and when (virtual time);
`state` reads the key space at such a revision. etcd forgets revisions that were compacted; those moments are dropped.
"""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NamedTuple

from course.status import pod_status

PREFIXES = ("/registry/minions/", "/registry/pods/", "/registry/services/specs/", "/registry/endpointslices/")
NODES, PODS, SERVICES, SLICES = PREFIXES
SYSTEM = "kube-system"

State = dict[str, Any]


class Moment(NamedTuple):
    """A revision of the cluster and the virtual time (seconds since the epoch) at which it was written."""

    revision: int
    time: float


class History:
    """The moments of one cluster so far, oldest first. `store` is k8s_core's etcd, `now` tells virtual time."""

    def __init__(self, store: Any, now: Callable[[], float]):
        self.store, self.now = store, now
        self.moments: list[Moment] = [Moment(store.revision, now())]
        self._watchers = [store.watch(prefix.encode(), _end(prefix), self._note) for prefix in PREFIXES]

    def stop(self) -> None:
        for watcher in self._watchers:
            watcher.cancel()

    def _note(self, events: list[Any]) -> None:
        for event in events:
            if _shows(event) and event.kv.mod_revision > self.moments[-1].revision:
                self.moments.append(Moment(event.kv.mod_revision, self.now()))

    def readable(self) -> list[Moment]:
        """The moments that etcd still remembers."""
        oldest = self.store.compact_revision
        if self.moments[0].revision < oldest:
            kept = [moment for moment in self.moments if moment.revision >= oldest]
            self.moments = kept or [Moment(self.store.revision, self.now())]
        return self.moments


def state(store: Any, moment: Moment, *, system: bool = False) -> State:
    """Nodes, Pods by node, and Services at one moment; Pods and Services of kube-system only if asked for."""

    def read(prefix: str) -> list[dict[str, Any]]:
        found = store.range(prefix.encode(), _end(prefix), revision=moment.revision).kvs
        return [json.loads(kv.value) for kv in found]

    every = [_pod(obj) for obj in read(PODS)]
    pods = [pod for pod in every if system or pod["namespace"] != SYSTEM]
    nodes = [
        {
            "name": obj["metadata"]["name"],
            "status": _node_status(obj),
            "pods": [pod for pod in pods if pod["node"] == obj["metadata"]["name"]],
            "hidden": sum(pod["node"] == obj["metadata"]["name"] for pod in every if pod not in pods),
        }
        for obj in read(NODES)
    ]
    ready = _ready_pods(read(SLICES))
    services = [
        {"name": meta["name"], "namespace": meta["namespace"], "address": _address(obj), "pods": ready.get(key, [])}
        for obj in read(SERVICES)
        for meta in [obj["metadata"]]
        for key in [f"{meta['namespace']}/{meta['name']}"]
        if (system or meta["namespace"] != SYSTEM) and key != "default/kubernetes"
    ]
    known = {node["name"] for node in nodes}
    return {
        "revision": moment.revision,
        "time": clock(moment.time),
        "namespaces": len({item["namespace"] for item in [*pods, *services]} | {"default"}),
        "nodes": nodes,
        "unscheduled": [pod for pod in pods if pod["node"] not in known],
        "services": services,
    }


def clock(time: float) -> str:
    """Virtual time as it is told in pictures: hours, minutes, seconds."""
    return datetime.fromtimestamp(time, UTC).strftime("%H:%M:%S")


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
    ports = ",".join(
        f"{p['port']}" + (f":{p['nodePort']}" if p.get("nodePort") else "") for p in spec.get("ports", [])
    )
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


def _shows(event: Any) -> bool:
    """Whether a change can be seen in the picture; a node's heartbeat cannot."""
    if not event.kv.key.startswith(NODES.encode()) or event.prev is None or not event.kv.value:
        return True
    return _node_status(json.loads(event.kv.value)) != _node_status(json.loads(event.prev.value))


def _end(prefix: str) -> bytes:
    """The key after every key with this prefix (prefixes end in "/", and "0" comes next)."""
    return (prefix[:-1] + "0").encode()
