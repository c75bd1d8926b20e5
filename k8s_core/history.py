"""The cluster at any moment of its past, read out of etcd's own history: what widgets draw and checks ask.

Nothing is recorded twice: etcd keeps every revision (until it is compacted), this only notes when each came and
turns keys and bytes back into objects.
"""

from bisect import bisect_right
from collections.abc import Iterator
from typing import NamedTuple

from k8s_core.api import Object, Objects
from k8s_core.api.resources import Resource, Resources
from k8s_core.apiserver.storage import ROOT, decode
from k8s_core.clock import Loop
from k8s_core.etcd.store import Event, Store, prefix_end


class Moment(NamedTuple):
    """One change: `new` is None for a deletion, `old` for a creation. `time` is virtual, in seconds."""

    revision: int
    time: float
    resource: str
    new: Object | None
    old: Object | None


class History:
    """Reads the past of one etcd. `resources` name what lies below /registry."""

    def __init__(self, store: Store, loop: Loop, resources: Resources):
        self.store, self.loop, self.resources = store, loop, resources
        self._revisions: list[int] = []
        self._times: list[float] = []
        store.watch(ROOT.encode(), prefix_end(ROOT.encode()), self._note)
        store.replaced.append(self._forget)

    def _note(self, events: list[Event]) -> None:
        self._revisions.append(events[0].kv.mod_revision)
        self._times.append(self.loop.now)

    def _forget(self) -> None:
        """etcd has gone back to an earlier revision: what came after it has not happened."""
        kept = bisect_right(self._revisions, self.store.revision)
        del self._revisions[kept:], self._times[kept:]

    def time_of(self, revision: int) -> float:
        """When `revision` was current, in virtual seconds since the epoch."""
        i = bisect_right(self._revisions, revision)
        return self._times[i - 1] if i else self.loop.now

    def revision_at(self, time: float) -> int:
        """The newest revision at that moment."""
        i = bisect_right(self._times, time)
        return self._revisions[i - 1] if i else 1

    def objects(self, resource: str, revision: int = 0, namespace: str = "") -> Objects:
        """All objects of "pods" or "deployments.apps" as they were at `revision` (0: now), in etcd's order."""
        found = self._resource(resource)
        start = f"{ROOT}{found.storage}/{namespace}/" if namespace else f"{ROOT}{found.storage}/"
        return [
            decode(kv) for kv in self.store.range(start.encode(), prefix_end(start.encode()), revision=revision).kvs
        ]

    def versions(self, resource: str, name: str, namespace: str = "") -> Objects:
        """Every stored version of one object, oldest first; after a deletion those of its successor follow."""
        return [m.new for m in self.changes(resource=resource, name=name, namespace=namespace) if m.new is not None]

    def changes(self, since: int = 0, *, resource: str = "", name: str = "", namespace: str = "") -> Iterator[Moment]:
        """Every change after revision `since`, oldest first, as far back as etcd remembers."""
        places = {r.storage: r.group_resource for r in ([self._resource(resource)] if resource else self.resources)}
        start = max(since + 1, self.store.compact_revision, 1)
        for event in self.store.events_since(start):
            path = event.kv.key.decode()
            if not path.startswith(ROOT):
                continue
            first, second, *_ = [*path[len(ROOT) :].split("/", 2), ""]
            place = places.get(first) or places.get(f"{first}/{second}")
            if not place:
                continue
            new = decode(event.kv) if event.type == "PUT" else None
            old = decode(event.prev) if event.prev else None
            meta = (new or old or {"metadata": {}})["metadata"]
            if (name and meta.get("name") != name) or (namespace and meta.get("namespace") != namespace):
                continue
            yield Moment(event.kv.mod_revision, self.time_of(event.kv.mod_revision), place, new, old)

    def _resource(self, name: str) -> Resource:
        found = self.resources.find(name)
        if found is None:
            raise KeyError(name)
        return found
