"""metrics.k8s.io: what nodes and Pods use now, for `kubectl top` and the autoscaler.

Stands for metrics-server behind kube-apiserver's aggregator. As on a real cluster the API is there when the
APIService v1beta1.metrics.k8s.io points at a Service that has ready endpoints, and gone when it has none
(aggregation.py); the figures come from the nodes' kubelets. MANIFEST is what one installs (`kubectl apply -f`).
"""

from collections.abc import Callable, Iterator
from typing import Any, Final, Protocol

from k8s_core import limits
from k8s_core.api import Object
from k8s_core.api.resources import Resource, Resources
from k8s_core.apiserver.bootstrap import DATA
from k8s_core.apiserver.registry import Registry
from k8s_core.apiserver.request import Request

GROUP, VERSION = "metrics.k8s.io", "v1beta1"
NAME = f"{VERSION}.{GROUP}"
MANIFEST = DATA / "metrics-server.yaml"
NODES, PODS = f"nodes.{GROUP}", f"pods.{GROUP}"
_READ: Final = ("get", "list")
RESOURCES: Final = (
    Resource(GROUP, VERSION, "nodes", "NodeMetrics", "", namespaced=False, verbs=_READ, storage=NODES),
    Resource(GROUP, VERSION, "pods", "PodMetrics", "", namespaced=True, verbs=_READ, storage=PODS),
)


class Kubelet(Protocol):
    """What is asked of a kubelet."""

    def usage(self) -> dict[tuple[str, str], dict[str, tuple[float, int]]]:
        """(namespace, Pod) -> container -> (processors, bytes)."""


class ResourceMetrics:
    """Answers for metrics-server."""

    def __init__(self, registry: Registry, dial: Callable[[str], Any]) -> None:
        self.registry, self.dial = registry, dial

    def serves(self, resource: Resource) -> bool:
        return resource.group == GROUP

    def objects(self, request: Request) -> list[Object]:
        """The metrics of all nodes, or of the Pods in the request's namespace."""
        assert request.resource is not None
        found = self._nodes() if request.resource.name == "nodes" else self._pods(request.namespace)
        now = self.registry.loop.timestamp()
        head = {"kind": request.resource.kind, "apiVersion": request.resource.api_version}
        window = f"{limits.METRICS_WINDOW:g}s"
        return [
            {**head, "metadata": {**meta, "creationTimestamp": now}, "timestamp": now, "window": window, **figures}
            for meta, figures in found
        ]

    def _nodes(self) -> Iterator[tuple[Object, Object]]:
        for node in self.registry.reader.list("nodes"):
            kubelet: Kubelet | None = self.dial(node["metadata"]["name"])
            if kubelet is None:
                continue
            used = [each for pod in kubelet.usage().values() for each in pod.values()]
            cores = limits.SYSTEM_CPU + sum(cpu for cpu, _ in used)
            yield _meta(node), {"usage": _usage(cores, limits.SYSTEM_MEMORY + sum(memory for _, memory in used))}

    def _pods(self, namespace: str) -> Iterator[tuple[Object, Object]]:
        used: dict[tuple[str, str], dict[str, tuple[float, int]]] = {}
        for node in self.registry.reader.list("nodes"):
            kubelet: Kubelet | None = self.dial(node["metadata"]["name"])
            used |= kubelet.usage() if kubelet else {}
        for pod in self.registry.reader.list("pods", namespace):
            meta = pod["metadata"]
            if containers := used.get((meta["namespace"], meta["name"])):
                listed = [{"name": name, "usage": _usage(*figures)} for name, figures in containers.items()]
                yield _meta(pod), {"containers": listed}


def serve(resources: Resources, there: bool) -> None:
    """Serve the API, or do not any longer."""
    for each in RESOURCES:
        known = resources.get(GROUP, VERSION, each.name) is not None
        if there and not known:
            resources.add(each)
        elif known and not there:
            resources.remove(GROUP, VERSION, each.name)


def _meta(obj: Object) -> Object:
    meta = obj["metadata"]
    return {key: meta[key] for key in ("name", "namespace", "labels") if key in meta}


def _usage(cores: float, memory: int) -> Object:
    return {"cpu": f"{int(cores * 1e9)}n", "memory": f"{memory >> 10}Ki"}
