"""What authentication, authorization and admission may read: the apiserver's own storage, nothing more."""

from typing import Protocol

from k8s_core.api import Object
from k8s_core.api.resources import Resource


class Reader(Protocol):
    """Reads stored objects; `resource` is "pods" or "deployments.apps". Nobody may change what it returns."""

    def get(self, resource: str, name: str, namespace: str = "") -> Object:
        """The object, or StatusError 404."""

    def list(self, resource: str, namespace: str = "") -> list[Object]:
        """All objects, or those of one namespace, in etcd's order."""

    def resource_of(self, group: str, version: str, kind: str) -> Resource | None:
        """The resource that holds a kind, if it is served."""
