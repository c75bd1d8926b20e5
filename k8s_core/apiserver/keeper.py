"""What the apiserver itself keeps alive: the system's namespaces, and the Service it is reached by.

Stands for controlplane/controller/systemnamespaces and kubernetesservice. Promises: who deletes one of them finds it
made anew a moment later. Left out: what these controllers do about an object that was changed, not deleted.
"""

from collections.abc import Iterable
from contextlib import suppress

from k8s_core.api import Object
from k8s_core.api.errors import StatusError
from k8s_core.apiserver.registry import Registry
from k8s_core.clock import Loop, Timer
from k8s_core.limits import KUBERNETES_SERVICE_PERIOD, SYSTEM_NAMESPACES_PERIOD

OWN = {"Service", "Endpoints", "EndpointSlice"}


class Keeper:
    """Looks after those of `objects`, which were installed at boot, that are the apiserver's own."""

    def __init__(self, registry: Registry, loop: Loop, objects: Iterable[Object]):
        self.registry, self.loop = registry, loop
        kept = list(objects)
        self._own = [obj for obj in kept if obj["kind"] in OWN and obj["metadata"]["name"] == "kubernetes"]
        self._namespaces = [obj for obj in kept if obj["kind"] == "Namespace"]
        self._timers: list[Timer] = []
        self.start()

    def start(self) -> None:
        self._timers = [
            self.loop.every(KUBERNETES_SERVICE_PERIOD, self._restore, self._own),
            self.loop.every(SYSTEM_NAMESPACES_PERIOD, self._restore, self._namespaces),
        ]

    def stop(self) -> None:
        for timer in self._timers:
            timer.cancel()

    def _restore(self, objects: list[Object]) -> None:
        with suppress(StatusError):  # without etcd nothing can be made; the next time will do
            self._make(objects)

    def _make(self, objects: list[Object]) -> None:
        for obj in objects:
            group, _, version = obj["apiVersion"].rpartition("/")
            resource = self.registry.resources.by_kind(group, version, obj["kind"])
            meta = obj["metadata"]
            if resource and self.registry.find(resource, meta.get("namespace", ""), meta["name"]) is None:
                self.registry.install(obj)
