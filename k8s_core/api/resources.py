"""The resources that the API serves: plural names, kinds, verbs, short names and where etcd keeps them.

The built-in ones are what a real v1.36 kube-apiserver lists in discovery, in its order; custom resources are
added and removed while the cluster runs. It stands for the scheme and REST storage registration of upstream.

Leaves out: what the kinds look like (schema.py) and how they are listed to clients (apiserver/discovery.py).
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson

from k8s_core.api import schema

if TYPE_CHECKING:
    from k8s_core.api.custom import Custom

BUILT_IN: Final = "1.36"
"""The version whose discovery data/discovery.json holds."""

# etcd prefixes that are not simply the plural name, for reasons of history; the API server's own extension
# and aggregation parts put the group in front.
_STORAGE: Final = {
    "nodes": "minions",
    "services": "services/specs",
    "endpoints": "services/endpoints",
    "replicationcontrollers": "controllers",
    "ingresses.networking.k8s.io": "ingress",
    "customresourcedefinitions.apiextensions.k8s.io": "apiextensions.k8s.io/customresourcedefinitions",
    "apiservices.apiregistration.k8s.io": "apiregistration.k8s.io/apiservices",
}
# Kinds served in more than one group or version: the one that etcd keeps.
_STORED_AS: Final = {
    ("events.k8s.io", "Event"): ("", "v1"),
    ("autoscaling", "HorizontalPodAutoscaler"): ("autoscaling", "v2"),
}


@dataclass(frozen=True, slots=True, eq=False)
class Subresource:
    """One subresource; group, version and kind are those of the body it takes or gives."""

    name: str
    kind: str
    group: str
    version: str
    verbs: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Resource:
    """One resource in one group and version; storage is its etcd prefix below /registry."""

    group: str
    version: str
    name: str
    kind: str
    singular: str
    namespaced: bool
    verbs: tuple[str, ...]
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: Mapping[str, Subresource] = field(default_factory=dict)
    storage: str = ""
    custom: "Custom | None" = None
    """What its CustomResourceDefinition says, unless it is built in."""
    storage_version: str = ""
    api_version: str = field(init=False)
    group_resource: str = field(init=False)
    group_kind: str = field(init=False)

    def __post_init__(self) -> None:
        dot_group = f".{self.group}" if self.group else ""
        put = object.__setattr__
        put(self, "api_version", f"{self.group}/{self.version}" if self.group else self.version)
        put(self, "group_resource", self.name + dot_group)
        put(self, "group_kind", self.kind + dot_group)
        if not self.storage:
            plain = f"{self.group}/{self.name}" if self.custom else self.name
            put(self, "storage", _STORAGE.get(self.group_resource, plain))

    @property
    def stored_as(self) -> tuple[str, str]:
        """The group and version in which etcd keeps the objects."""
        return _STORED_AS.get((self.group, self.kind), (self.group, self.storage_version or self.version))


Rows = list[dict[str, Any]]
"""Resources as an APIResourceList has them."""


class Group(NamedTuple):
    """An API group as discovery lists it, the preferred version first."""

    name: str
    versions: tuple[str, ...]


class Resources:
    """A set of resources that can change at run time; keeps discovery's order."""

    def __init__(self, resources: Iterable[Resource] = ()) -> None:
        self._by_name: dict[tuple[str, str, str], Resource] = {}
        self._by_kind: dict[tuple[str, str, str], Resource] = {}
        self._preferred: dict[str, Resource] = {}
        self._groups: dict[str, list[str]] = {}
        self.remote: dict[tuple[str, str], Rows | None] = {}
        """Groups and versions that other servers serve, with what these say of them; None while they do not answer."""
        self.generation = 0
        """Grows with every change, so that who caches something about the set can tell that it is old."""
        self._by_name.update(((r.group, r.version, r.name), r) for r in resources)
        self._index()

    def add(self, resource: Resource) -> None:
        """Serve a resource; one of the same group, version and name is replaced."""
        self._by_name[resource.group, resource.version, resource.name] = resource
        self._index()

    def remove(self, group: str, version: str, name: str) -> None:
        """Serve a resource no longer; nothing happens if it is not there."""
        if self._by_name.pop((group, version, name), None):
            self._index()

    def join(self, remote: "dict[tuple[str, str], Rows | None]") -> None:
        """Other servers serve these groups and versions now."""
        if remote != self.remote:
            self.remote = remote
            self.generation += 1

    def get(self, group: str, version: str, name: str) -> Resource | None:
        """The resource with this plural name, or None."""
        return self._by_name.get((group, version, name))

    def by_kind(self, group: str, version: str, kind: str) -> Resource | None:
        """The resource that holds this kind, or None."""
        return self._by_kind.get((group, version, kind))

    def find(self, group_resource: str) -> Resource | None:
        """The preferred version of "deployments.apps" or "pods", or None."""
        return self._preferred.get(group_resource)

    def groups(self) -> list[Group]:
        """The named groups (not the core group, "") in discovery's order, other servers' last."""
        versions = {name: list(those) for name, those in self._groups.items() if name}
        for group, version in self.remote:
            if version not in versions.setdefault(group, []):
                versions[group].append(version)
        return [Group(name, tuple(those)) for name, those in versions.items()]

    def of(self, group: str, version: str) -> list[Resource]:
        """All resources of one group and version in discovery's order; empty if it is not served."""
        return [r for r in self._by_name.values() if r.group == group and r.version == version]

    def __iter__(self) -> Iterator[Resource]:
        return iter(tuple(self._by_name.values()))

    def __len__(self) -> int:
        return len(self._by_name)

    def _index(self) -> None:
        self.generation += 1
        ordered = [r for r in self._by_name.values() if not r.custom]
        ordered += sorted((r for r in self._by_name.values() if r.custom), key=_custom_order)
        self._by_name = {(r.group, r.version, r.name): r for r in ordered}
        self._by_kind = {(r.group, r.version, r.kind): r for r in ordered}
        self._preferred, self._groups = {}, {}
        for resource in ordered:
            self._preferred.setdefault(resource.group_resource, resource)
            versions = self._groups.setdefault(resource.group, [])
            if resource.version not in versions:
                versions.append(resource.version)


def _custom_order(resource: Resource) -> tuple[str, tuple[int, int, int, str], str]:
    return resource.group, version_order(resource.version), resource.name


_VERSION: Final = re.compile(r"v([1-9][0-9]*)(?:(alpha|beta)([1-9][0-9]*))?")


def version_order(version: str) -> tuple[int, int, int, str]:
    """A sort key that puts versions as Kubernetes does: v2, v1, v1beta2, v1beta1, v1alpha1, then the odd ones."""
    match = _VERSION.fullmatch(version)
    if not match:
        return 3, 0, 0, version
    major, stage, minor = match.groups()
    return (None, "beta", "alpha").index(stage), -int(major), -int(minor or 0), version


def load(version: str = BUILT_IN) -> Resources:
    """The built-in resources; for another version than 1.36, those of them whose kinds it already has."""
    data = orjson.loads((Path(__file__).parent / "data" / "discovery.json").read_bytes())
    known = None if version == BUILT_IN else schema.load(version)
    found: list[Resource] = []
    for api_version, entries in data["resources"].items():
        group, _, short = api_version.rpartition("/")
        below: dict[str, dict[str, Subresource]] = {}
        for entry in entries:
            name, _, sub = entry["name"].partition("/")
            if sub:
                below.setdefault(name, {})[sub] = Subresource(
                    name=sub,
                    kind=entry["kind"],
                    group=entry.get("group", group),
                    version=entry.get("version", short),
                    verbs=tuple(entry["verbs"]),
                )
        found += [
            _resource(group, short, entry, below.get(entry["name"], {}))
            for entry in entries
            if "/" not in entry["name"] and (not known or known.has_kind(group, short, entry["kind"]))
        ]
    return Resources(found)


def _resource(group: str, version: str, entry: dict[str, Any], subresources: dict[str, Subresource]) -> Resource:
    return Resource(
        group=group,
        version=version,
        name=entry["name"],
        kind=entry["kind"],
        singular=entry["singularName"],
        namespaced=entry["namespaced"],
        verbs=tuple(entry["verbs"]),
        short_names=tuple(entry.get("shortNames", ())),
        categories=tuple(entry.get("categories", ())),
        subresources=subresources,
    )
