"""metrics.k8s.io: what nodes and Pods use now, for `kubectl top` and the autoscaler.

Stands for metrics-server behind kube-apiserver's aggregator. As on a real cluster the API is there when the
APIService v1beta1.metrics.k8s.io points at a Service that has ready endpoints, and gone when it has none; the
figures come from the nodes' kubelets. MANIFEST is what one installs (`kubectl apply -f`). Any other APIService that
points at a Service is said to be unavailable: requests are not passed on to servers.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final, Protocol

from k8s_core import limits
from k8s_core.api import Object
from k8s_core.api.resources import Resource
from k8s_core.apiserver.bootstrap import DATA
from k8s_core.apiserver.registry import Registry
from k8s_core.apiserver.request import Request
from k8s_core.apiserver.watch import Filter, Watch

GROUP, VERSION = "metrics.k8s.io", "v1beta1"
NAME = f"{VERSION}.{GROUP}"
MANIFEST = DATA / "metrics-server.yaml"
SERVICES, SLICES = "apiservices.apiregistration.k8s.io", "endpointslices.discovery.k8s.io"
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
    """Serves the API while there is somebody to answer it."""

    def __init__(self, registry: Registry, dial: Callable[[str], Any]) -> None:
        self.registry, self.dial = registry, dial
        for name in (SERVICES, SLICES):
            resource = registry.resources.find(name)
            if resource is None:
                continue  # a version without EndpointSlices
            hub = registry.storage.cache(resource.storage).hub
            hub.add(Watch(hub, registry.loop, Filter(), lambda _, __: self._sync(), lambda: None))

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

    # --- whether there is somebody to answer ------------------------------------------------------------------
    def _sync(self) -> None:
        resource = self.registry.resources.find(SERVICES)
        assert resource is not None
        served = False
        for service in list(self.registry.storage.select(resource.storage)):
            if not (service["spec"].get("service")):
                continue
            reason, message = self._problem(service)
            served = served or (service["metadata"]["name"] == NAME and not reason)
            self._say(resource, service, reason, message)
        for each in RESOURCES:
            known = self.registry.resources.get(GROUP, VERSION, each.name) is not None
            if served and not known:
                self.registry.resources.add(each)
            elif known and not served:
                self.registry.resources.remove(GROUP, VERSION, each.name)

    def _problem(self, service: Object) -> tuple[str, str]:
        """Why an APIService's Service cannot answer: reason and message; "" if it can."""
        where = service["spec"]["service"]
        name, namespace = where.get("name", ""), where.get("namespace", "")
        shown = f'service/{name} in "{namespace}"'
        services = self.registry.reader.list("services", namespace)
        if not any(each["metadata"]["name"] == name for each in services):
            return "ServiceNotFound", f"{shown} is not present"
        ready = any(
            (endpoint.get("conditions") or {}).get("ready", True)
            for each in self.registry.reader.list(SLICES, namespace)
            if (each["metadata"].get("labels") or {}).get("kubernetes.io/service-name") == name
            for endpoint in each.get("endpoints") or ()
        )
        if not ready:
            return "MissingEndpoints", f'endpoints for {shown} have no addresses with port name ""'
        if service["metadata"]["name"] != NAME:
            return "FailedDiscoveryCheck", "failing or missing response: this cluster passes no requests on to servers"
        return "", "all checks passed"

    def _say(self, resource: Resource, service: Object, reason: str, message: str) -> None:
        status = "False" if reason else "True"
        old = ((service.get("status") or {}).get("conditions") or [{}])[0]
        if (old.get("status"), old.get("reason")) == (status, reason or "Passed"):
            return
        since = self.registry.loop.timestamp()
        condition = {"type": "Available", "status": status, "lastTransitionTime": since,
                     "reason": reason or "Passed", "message": message}  # fmt: skip
        self.registry.rewrite(resource, {**service, "status": {"conditions": [condition]}})


def _meta(obj: Object) -> Object:
    meta = obj["metadata"]
    return {key: meta[key] for key in ("name", "namespace", "labels") if key in meta}


def _usage(cores: float, memory: int) -> Object:
    return {"cpu": f"{int(cores * 1e9)}n", "memory": f"{memory >> 10}Ki"}
