"""A reader over plain dicts, with the bootstrap RBAC objects: enough of an apiserver for the tests of its parts."""

from collections.abc import Iterable

from k8s_core.api import Object, errors
from k8s_core.apiserver import bootstrap

NOW = 1_780_000_000.0


class Store:
    """`Reader` over objects put in by a test."""

    def __init__(self, objects: Iterable[tuple[str, Object]] = ()) -> None:
        self.objects: dict[tuple[str, str, str], Object] = {}
        for plural, found in bootstrap.data().items():
            group = bootstrap.KINDS[plural].api_version.rpartition("/")[0]
            for obj in found:
                self.put(f"{plural}.{group}" if group else plural, obj)
        for resource, obj in objects:
            self.put(resource, obj)

    def put(self, resource: str, obj: Object) -> Object:
        metadata = obj["metadata"]
        self.objects[resource, metadata.get("namespace", ""), metadata["name"]] = obj
        return obj

    def remove(self, resource: str, name: str, namespace: str = "") -> None:
        del self.objects[resource, namespace, name]

    def get(self, resource: str, name: str, namespace: str = "") -> Object:
        try:
            return self.objects[resource, namespace, name]
        except KeyError:
            raise errors.not_found(resource, name) from None

    def list(self, resource: str, namespace: str = "") -> list[Object]:
        return [o for (r, n, _), o in sorted(self.objects.items()) if r == resource and namespace in ("", n)]


class Clock:
    """Virtual time that a test sets, and uids that count."""

    def __init__(self) -> None:
        self.now = NOW
        self.count = 0

    def uid(self) -> str:
        self.count += 1
        return f"00000000-0000-4000-8000-{self.count:012d}"


def named(name: str, namespace: str = "", **fields: object) -> Object:
    """An object with a name, a uid made of it, and these fields."""
    metadata: Object = {"name": name, "uid": f"uid-of-{name}", **({"namespace": namespace} if namespace else {})}
    return {"metadata": metadata, **fields}
