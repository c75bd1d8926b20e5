"""What authentication, authorization and admission may read: the apiserver's own storage, nothing more."""

from collections.abc import Callable
from typing import Protocol

from k8s_core.api import Object, Objects, errors
from k8s_core.api.resources import Resource, Resources
from k8s_core.api.schema import Type
from k8s_core.apiserver.storage import Storage


class Reader(Protocol):
    """Reads stored objects; `resource` is "pods" or "deployments.apps". Nobody may change what it returns."""

    def get(self, resource: str, name: str, namespace: str = "") -> Object:
        """The object, or StatusError 404."""

    def list(self, resource: str, namespace: str = "") -> list[Object]:
        """All objects, or those of one namespace, in etcd's order."""

    def resource_of(self, group: str, version: str, kind: str) -> Resource | None:
        """The resource that holds a kind, if it is served."""

    def type_of(self, resource: Resource) -> Type:
        """What the resource's objects may hold."""


class StoredObjects:
    """A Reader of the store itself, with nobody asking who reads; `get` and `type_of` are the registry's."""

    def __init__(
        self,
        storage: Storage,
        resources: Resources,
        get: Callable[[Resource, str, str], Object],
        type_of: Callable[[Resource], Type],
    ) -> None:
        self._storage, self._resources, self._get, self.type_of = storage, resources, get, type_of

    def get(self, resource: str, name: str, namespace: str = "") -> Object:
        """The object, or StatusError 404."""
        found = self._resources.find(resource)
        if found is None:
            raise errors.no_such_path()
        return self._get(found, namespace, name)

    def list(self, resource: str, namespace: str = "") -> Objects:
        """All objects, or those of one namespace, in etcd's order; none of a kind that this version does not have."""
        found = self._resources.find(resource)
        if found is None or not self._storage.cache(found.storage).items:
            return []  # asked for every write, and mostly there are none
        return list(self._storage.select(found.storage, namespace))

    def resource_of(self, group: str, version: str, kind: str) -> Resource | None:
        """The resource that holds a kind, if it is served."""
        return self._resources.by_kind(group, version, kind)
