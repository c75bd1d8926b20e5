"""From one change in etcd to every client that watches (apiserver storage/cacher).

A `Change` is what etcd said, decoded once for all. A `Watch` turns changes into what its client must see: with a
selector an object can come into sight (ADDED) or drop out of it (DELETED) while others see it MODIFIED.
Watches hang in a `Hub` under what they can possibly match (everything, a namespace, a name, a node), so that a
thousand kubelets watching their own Pods cost a change no more than one.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from k8s_core.api import Object
from k8s_core.api.selectors import FieldSelector, Selector
from k8s_core.clock import Loop

EventType = Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR"]
Sink = Callable[[str, Object], None]
FieldGetter = Callable[[Object, str], str]


@dataclass(slots=True)
class Change:
    """One stored change of one object: `new` is None when it was deleted, `old` when it is new."""

    revision: int
    new: Object | None
    old: Object | None
    encoded: dict[str, bytes] = field(default_factory=dict)
    """What the door made of it for one sort of client, kept because many ask for the same."""

    @property
    def object(self) -> Object:
        found = self.new or self.old
        assert found is not None
        return found


def deleted_view(old: Object, revision: int) -> Object:
    """What a DELETED event shows: the last state, at the revision of the deletion."""
    return {**old, "metadata": {**old["metadata"], "resourceVersion": str(revision)}}


@dataclass(slots=True, eq=False)
class Filter:
    """Which objects a list or watch is about."""

    namespace: str = ""
    name: str = ""
    labels: Selector | None = None
    fields: FieldSelector | None = None
    get_field: FieldGetter | None = None

    def __call__(self, obj: Object) -> bool:
        meta = obj["metadata"]
        if self.namespace and meta.get("namespace") != self.namespace:
            return False
        if self.name and meta["name"] != self.name:
            return False
        if self.labels and not self.labels.matches(meta.get("labels") or {}):
            return False
        if self.fields and self.get_field:
            get = self.get_field
            return self.fields.matches(lambda path: get(obj, path))
        return True

    def bucket(self) -> tuple[str, str]:
        """The narrowest place where every change that this can match will be looked for."""
        for path, op, value in self.fields.requirements if self.fields else ():
            if op == "=" and path == "spec.nodeName":
                return "node", value
            if op == "=" and path == "metadata.name":
                return "name", value
        if self.name:
            return "name", self.name
        return ("namespace", self.namespace) if self.namespace else ("", "")


class Watch:
    """One client's watch. Events reach `on_event` from the loop; `cancel` is the client's, `end` the server's.

    Without `on_end` it is the server's own, and goes on when the server is started anew.
    """

    def __init__(
        self, hub: "Hub", loop: Loop, filter: Filter, on_event: Sink, on_end: Callable[[], None] | None = None
    ):
        self.hub, self.loop, self.filter = hub, loop, filter
        self.on_event, self.on_end = on_event, on_end
        self.revision = 0
        self.active = True
        self.change: Change | None = None
        """While on_event runs: the change behind the event."""
        self._queue: list[tuple[str, Object, Change | None]] = []
        self._scheduled = False
        self.bucket = filter.bucket()

    def offer(self, change: Change) -> None:
        """Show a change to the client if it concerns it."""
        seen = change.new is not None and self.filter(change.new)
        saw = change.old is not None and self.filter(change.old)
        self.revision = change.revision
        if seen:
            assert change.new is not None
            self.push("MODIFIED" if saw else "ADDED", change.new, change)
        elif saw:
            # Out of sight but still there: the client gets the object as it is now, as upstream does.
            last = change.new if change.new is not None else deleted_view(change.object, change.revision)
            self.push("DELETED", last, change)

    def push(self, type: EventType, obj: Object, change: Change | None = None) -> None:
        self._queue.append((type, obj, change))
        if not self._scheduled:
            self._scheduled = True
            self.loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._scheduled = False
        queue, self._queue = self._queue, []
        for type, obj, change in queue:
            if not self.active:
                return
            self.change = change
            self.on_event(type, obj)
        self.change = None

    def cancel(self) -> None:
        if self.active:
            self.active = False
            self.hub.remove(self)

    def end(self) -> None:
        """The server closes the watch (time-out, shutdown)."""
        if self.active:
            self.cancel()
            if self.on_end:
                self.on_end()


class Hub:
    """All watches of one resource, by bucket, in the order in which they came."""

    def __init__(self) -> None:
        self._buckets: dict[tuple[str, str], dict[Watch, None]] = {}

    def add(self, watch: Watch) -> None:
        self._buckets.setdefault(watch.bucket, {})[watch] = None

    def remove(self, watch: Watch) -> None:
        bucket = self._buckets.get(watch.bucket, {})
        bucket.pop(watch, None)
        if not bucket:
            self._buckets.pop(watch.bucket, None)

    def publish(self, change: Change) -> None:
        if self._buckets:
            for watch in self._concerned(change):
                watch.offer(change)

    def all(self) -> list[Watch]:
        return [watch for bucket in self._buckets.values() for watch in bucket]

    def _concerned(self, change: Change) -> Iterator[Watch]:
        meta = change.object["metadata"]
        keys = [("", ""), ("namespace", meta.get("namespace", "")), ("name", meta["name"])]
        nodes = {o["spec"].get("nodeName", "") for o in (change.new, change.old) if o and _has_node(o)}
        keys += [("node", node) for node in sorted(nodes)]
        for key in keys:
            if key in self._buckets:
                yield from list(self._buckets[key])


def _has_node(obj: Object) -> bool:
    return isinstance(obj.get("spec"), dict) and "nodeName" in obj["spec"]


def initial_events(watch: Watch, objects: Iterable[Object]) -> None:
    """Start a watch with what is there: one ADDED each."""
    for obj in objects:
        watch.push("ADDED", obj)
