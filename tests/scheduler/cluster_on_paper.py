"""A cluster written down in YAML, for asking the scheduler's framework without an apiserver.

Short forms: a node is {cpu, memory, pods, labels, taints, images, unschedulable, ...}, a Pod is its spec with
`at` (its node), `labels`, `cpu` and `memory` (requests of one container), `owner`, `status`, `namespace`.
"""

from typing import Any

from k8s_core.api import Object
from k8s_core.scheduler import plugins
from k8s_core.scheduler.cache import Cache, PodInfo
from k8s_core.scheduler.framework import Framework
from k8s_core.scheduler.plugin import Handle

META = ("labels", "namespace", "owner", "priority", "status", "at", "deleting")


def node(name: str, short: Object | None) -> Object:
    short = short or {}
    allocatable = {
        "cpu": str(short.get("cpu", "4")),
        "memory": str(short.get("memory", "8Gi")),
        "pods": str(short.get("pods", 110)),
        **short.get("more", {}),
    }
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, **short.get("labels", {})}},
        "spec": {key: short[key] for key in ("taints", "unschedulable") if key in short},
        "status": {
            "allocatable": allocatable,
            "images": [{"names": [image], "sizeBytes": size} for image, size in short.get("images", {}).items()],
        },
    }


def pod(name: str, short: Object | None) -> Object:
    short = dict(short or {})
    requests = {resource: str(short.pop(resource)) for resource in ("cpu", "memory") if resource in short}
    spec: Object = {key: value for key, value in short.items() if key not in META}
    container: Object = {"name": "c", "image": "nginx", **({"resources": {"requests": requests}} if requests else {})}
    spec.setdefault("containers", [container])
    if "at" in short:
        spec["nodeName"] = short["at"]
    if "priority" in short:
        spec["priority"] = short["priority"]
    meta: Object = {
        "name": name,
        "namespace": short.get("namespace", "default"),
        "uid": f"uid-{name}",
        "labels": short.get("labels", {}),
        "generation": 1,
    }
    if "owner" in short:
        kind, owner = short["owner"].split("/")
        meta["ownerReferences"] = [
            {"apiVersion": "apps/v1", "kind": kind, "name": owner, "uid": "o", "controller": True}
        ]
    if short.get("deleting"):
        meta["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec, "status": short.get("status", {})}


class Paper(Handle):
    """A handle whose listers read from the page."""

    objects: dict[str, list[Object]]

    def list(self, resource: str, namespace: str = "") -> list[Object]:
        return [
            obj
            for obj in self.objects.get(resource, [])
            if not namespace or obj["metadata"].get("namespace", "default") == namespace
        ]

    def get(self, resource: str, name: str, namespace: str = "") -> Object | None:
        return next((obj for obj in self.list(resource, namespace) if obj["metadata"]["name"] == name), None)


def framework(case: Object, extra: Any = ()) -> Framework:
    """The framework over the nodes, Pods and objects of a case."""
    handle = Paper(Cache())
    handle.objects = case.get("objects", {})
    for name, short in case["nodes"].items():
        handle.cache.set_node(node(name, short))
    for name, short in case.get("pods", {}).items():
        info = PodInfo(pod(name, short))
        waiting_for = info.pod["status"].get("nominatedNodeName")
        if waiting_for:
            handle.nominated.setdefault(waiting_for, {})[info.uid] = info
        if "at" in short:
            handle.cache.add_pod(info, short["at"])
    return plugins.build(handle, case.get("profile"), version=str(case.get("version", "1.36")), extra=extra)
