"""Waits for the ConfigMaps and Secrets that a Pod could not be started without.

Stands for pkg/kubelet/util/manager's watching cache. The kubelet tries again at its own pace, as the real one does;
when the object has come, the next try becomes something that a waiting client may wait for.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from k8s_core.api import Object

if TYPE_CHECKING:
    from k8s_core.kubelet.kubelet import Kubelet
    from k8s_core.kubelet.pod_worker import PodWorker

Key = tuple[str, str, str]
"""(resource, namespace, name)."""


def referenced(spec: Object) -> Iterator[tuple[str, str]]:
    """(resource, name) of every ConfigMap and Secret that a Pod's containers and volumes name."""
    sources = list(spec.get("volumes") or ())
    for volume in list(sources):
        sources += (volume.get("projected") or {}).get("sources") or ()
    for container in (*(spec.get("initContainers") or ()), *spec["containers"]):
        sources += container.get("envFrom") or ()
        sources += [variable["valueFrom"] for variable in container.get("env") or () if variable.get("valueFrom")]
    for source in sources:
        for field in ("configMap", "configMapRef", "configMapKeyRef"):
            if field in source and source[field].get("name"):
                yield "configmaps", source[field]["name"]
        for field in ("secret", "secretRef", "secretKeyRef"):
            name = field in source and (source[field].get("name") or source[field].get("secretName"))
            if name:
                yield "secrets", name


class References:
    """The objects that Pods of one node wait for."""

    def __init__(self, kubelet: "Kubelet") -> None:
        self.kubelet = kubelet
        self._waiting: dict[Key, set[str]] = {}
        self._seen: dict[Key, str] = {}

    def wait(self, worker: "PodWorker") -> None:
        """Hurry the worker when one of its objects comes or changes."""
        for resource, name in set(referenced(worker.spec)):
            key = (resource, worker.namespace, name)
            informer = self.kubelet.client.informer(
                resource, namespace=worker.namespace, fields=f"metadata.name={name}"
            )
            if key not in self._waiting:
                self._waiting[key] = set()
                known = informer.get(name, worker.namespace)
                self._seen[key] = known["metadata"]["resourceVersion"] if known else ""

                def changed(obj: Object, key: Key = key) -> None:
                    self._changed(key, obj)

                informer.on(changed, lambda old, new, changed=changed: changed(new))  # type: ignore[misc]
            self._waiting[key].add(worker.uid)

    def _changed(self, key: Key, obj: Object) -> None:
        version = obj["metadata"]["resourceVersion"]
        if self._seen.get(key) == version:
            return
        self._seen[key] = version
        uids, self._waiting[key] = self._waiting.get(key, set()), set()
        for uid in sorted(uids):
            self.kubelet.hurry(uid)

    def clear(self) -> None:
        """The kubelet stops: its watches are gone."""
        self._waiting.clear()
        self._seen.clear()
