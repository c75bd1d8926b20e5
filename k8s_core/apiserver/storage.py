"""Objects in etcd: the one place where an object becomes bytes and a revision becomes a resourceVersion.

Each resource has a cache of decoded objects, kept by etcd's own watch and never by the writer, so that the cache
says what etcd says. Keys are those of a real cluster (/registry/pods/default/web). Stands for apiserver
storage/etcd3 and storage/cacher. Conflicts are reported as None or a StatusError by the callers above; nothing
here knows of kinds, users or HTTP.
"""

import contextlib
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import takewhile

import orjson
from sortedcontainers import SortedDict

from k8s_core.api import Object, errors, protobuf, schema
from k8s_core.apiserver.watch import Change, Hub
from k8s_core.clock import Loop
from k8s_core.etcd.store import (
    Compare,
    DeleteRange,
    EtcdError,
    Event,
    KeyValue,
    Lease,
    Put,
    Store,
    TxnResult,
    prefix_end,
)
from k8s_core.limits import WATCH_CACHE_WINDOW

ROOT = "/registry/"
JSON = "application/json"
LEASE_REUSE = 60.0  # seconds for which keys with the same time to live share a lease (leaseManager)


@dataclass(eq=False)
class Cache:
    """One resource: what is in etcd now, the last changes, and who watches."""

    prefix: str
    items: SortedDict = field(default_factory=SortedDict)  # etcd key -> Object
    window: deque[Change] = field(default_factory=lambda: deque(maxlen=WATCH_CACHE_WINDOW))
    hub: Hub = field(default_factory=Hub)


def decode(kv: KeyValue) -> Object:
    """The object that a key holds, at the revision that wrote it."""
    if kv.value.startswith(protobuf.MAGIC):
        kinds = schema.load()
        obj: Object = protobuf.decode(kv.value, kinds, kinds.kind("", "v1", "ConfigMap"))
    else:
        obj = orjson.loads(kv.value)
    obj["metadata"]["resourceVersion"] = str(kv.mod_revision)
    return obj


def encode(obj: Object, media_type: str = JSON) -> bytes:
    """What etcd keeps: everything but the resourceVersion, which etcd knows better."""
    meta = {key: value for key, value in obj["metadata"].items() if key != "resourceVersion"}
    kept = {**obj, "metadata": meta}
    if media_type == protobuf.MEDIA_TYPE:
        with contextlib.suppress(KeyError):  # custom resources are JSON everywhere
            return protobuf.encode(kept, schema.load())
    return orjson.dumps(kept)


class Storage:
    """The apiserver's view of etcd. Objects that it returns are shared: never change them."""

    def __init__(self, store: Store, loop: Loop, media_type: str = JSON):
        self.store, self.loop, self.media_type = store, loop, media_type
        self._caches: dict[str, Cache] = {}
        self._written: tuple[str, Object] | None = None
        self._leases: dict[int, Lease] = {}
        self._watcher = store.watch(ROOT.encode(), prefix_end(ROOT.encode()), self._on_events)
        store.replaced.append(self._reload)

    @property
    def revision(self) -> int:
        return self.store.revision

    def close(self) -> None:
        """Let go of etcd and end every watch."""
        self._watcher.cancel()
        self.end_watches()

    def end_watches(self) -> None:
        """The server ends: so do the watches of all its clients."""
        for cache in self._caches.values():
            for watch in cache.hub.all():
                if watch.on_end:
                    watch.end()

    def mutated(self) -> list[str]:
        """Keys whose cached object is not what etcd holds: somebody changed a shared object in place."""
        return [
            key
            for cache in self._caches.values()
            for key, obj in cache.items.items()
            if (kv := self.store.get(key.encode())) is None or decode(kv) != obj
        ]

    # --- reading --------------------------------------------------------------------------------------------
    def confirm(self) -> None:
        """Before a read that must see the latest: a 500 in etcd's words if it has no quorum, or is not there."""
        try:
            self.store.confirm()
        except EtcdError as error:
            raise errors.StatusError(500, "", error.message) from error

    def cache(self, prefix: str) -> Cache:
        """The cache of one resource, e.g. "pods" or "services/specs"; filled from etcd when first asked for."""
        found = self._caches.get(prefix)
        if found is None:
            found = self._caches[prefix] = Cache(prefix)
            start = f"{ROOT}{prefix}/".encode()
            for kv in self.store.range(start, prefix_end(start)).kvs:
                found.items[kv.key.decode()] = decode(kv)
        return found

    def key(self, prefix: str, namespace: str, name: str) -> str:
        return f"{ROOT}{prefix}/{namespace}/{name}" if namespace else f"{ROOT}{prefix}/{name}"

    def get(self, prefix: str, namespace: str, name: str) -> Object | None:
        found: Object | None = self.cache(prefix).items.get(self.key(prefix, namespace, name))
        return found

    def select(self, prefix: str, namespace: str = "") -> Iterator[Object]:
        """Objects in key order."""
        return self.page(prefix, namespace)[0]

    def page(
        self, prefix: str, namespace: str = "", *, after: str = "", revision: int = 0
    ) -> tuple[Iterator[Object], int]:
        """Objects in key order from the key after `after` ("ns/name"), and how many they are.

        In the past when a revision is given; EtcdError when that is compacted.
        """
        base = f"{ROOT}{prefix}/"
        scope = f"{base}{namespace}/" if namespace else base
        start = f"{base}{after}\0" if after else scope
        end = prefix_end(scope.encode()).decode()
        if revision and revision != self.store.revision:
            found = self.store.range(start.encode(), end.encode(), revision=revision)
            return map(decode, found.kvs), found.count
        items = self.cache(prefix).items
        chosen = map(items.__getitem__, items.irange(start, end, inclusive=(True, False)))
        return chosen, items.bisect_left(end) - items.bisect_left(start)

    def changes_since(self, prefix: str, revision: int) -> list[Change]:
        """Every change of one resource after `revision`; 410 when etcd has forgotten them."""
        window = self.cache(prefix).window
        if len(window) == WATCH_CACHE_WINDOW and window[0].revision <= revision >= self.store.compact_revision:
            recent = takewhile(lambda change: change.revision > revision, reversed(window))
            return list(recent)[::-1]
        try:
            start = f"{ROOT}{prefix}/".encode()
            events = [e for e in self.store.events_since(revision + 1) if e.kv.key.startswith(start)]
        except EtcdError as error:
            oldest = self.store.compact_revision
            raise errors.expired(f"too old resource version: {revision} ({oldest})") from error
        return [self._change(event) for event in events]

    # --- writing --------------------------------------------------------------------------------------------
    def create(self, prefix: str, namespace: str, name: str, obj: Object, *, ttl: float = 0) -> Object | None:
        """Store a new object; None if the key is taken."""
        key = self.key(prefix, namespace, name)
        return self._write(prefix, key, obj, Compare(key.encode(), "mod", "=", 0), ttl)

    def update(self, prefix: str, namespace: str, name: str, obj: Object, revision: str) -> Object | None:
        """Replace an object that is still at `revision`; None if it is not."""
        key = self.key(prefix, namespace, name)
        kv = self.store.get(key.encode())
        lease = kv.lease if kv else 0
        return self._write(prefix, key, obj, Compare(key.encode(), "mod", "=", int(revision)), lease=lease)

    def delete(self, prefix: str, namespace: str, name: str, revision: str) -> bool:
        """Delete an object that is still at `revision`."""
        key = self.key(prefix, namespace, name).encode()
        self.cache(prefix)
        return self._txn(Compare(key, "mod", "=", int(revision)), DeleteRange(key)).succeeded

    def _txn(self, guard: Compare, op: Put | DeleteRange) -> TxnResult:
        """Ask etcd; when it cannot answer (no quorum, not there), kube-apiserver passes its words on as a 500."""
        try:
            return self.store.txn([guard], [op])
        except EtcdError as error:
            raise errors.StatusError(500, "", error.message) from error

    def _write(
        self, prefix: str, key: str, obj: Object, guard: Compare, ttl: float = 0, *, lease: int = 0
    ) -> Object | None:
        cache = self.cache(prefix)
        if ttl:
            lease = self._lease(int(ttl))
        self._written = (key, obj)
        try:
            done = self._txn(guard, Put(key.encode(), encode(obj, self.media_type), lease))
        finally:
            self._written = None
        if not done.succeeded:
            return None
        stored: Object = cache.items[key]
        return stored

    def _lease(self, ttl: int) -> int:
        known = self._leases.get(ttl)
        if known is None or known.id not in self.store.leases or self.loop.now - known.granted > LEASE_REUSE:
            known = self._leases[ttl] = self.store.lease_grant(ttl + int(LEASE_REUSE))
        return known.id

    # --- etcd's watch ---------------------------------------------------------------------------------------
    def _on_events(self, events: list[Event]) -> None:
        for event in events:
            key = event.kv.key.decode()
            cache = self._cache_of(key)
            if cache is None:
                continue
            self._tell(cache, key, self._change(event, cache.items.get(key)))

    @staticmethod
    def _tell(cache: Cache, key: str, change: Change) -> None:
        if change.new is None:
            cache.items.pop(key, None)
        else:
            cache.items[key] = change.new
        cache.window.append(change)
        cache.hub.publish(change)

    def _reload(self) -> None:
        """etcd has begun from another state, such as a restored snapshot: what differs is told as changes."""
        self._leases.clear()
        for cache in self._caches.values():
            start = f"{ROOT}{cache.prefix}/".encode()
            now = {kv.key.decode(): decode(kv) for kv in self.store.range(start, prefix_end(start)).kvs}
            for key in [*now, *(key for key in cache.items if key not in now)]:
                new, old = now.get(key), cache.items.get(key)
                if new != old:
                    self._tell(cache, key, Change(self.store.revision, new, old))
            cache.window.clear()

    def _cache_of(self, key: str) -> Cache | None:
        first, _, rest = key[len(ROOT) :].partition("/")
        return self._caches.get(first) or self._caches.get(f"{first}/{rest.partition('/')[0]}")

    def _change(self, event: Event, known: Object | None = None) -> Change:
        old = known or (decode(event.prev) if event.prev else None)
        new: Object | None = None
        if event.type == "PUT":
            revision = event.kv.mod_revision
            if self._written and self._written[0] == event.kv.key.decode():
                obj = self._written[1]
                new = {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(revision)}}
            else:
                try:
                    new = decode(event.kv)
                except (ValueError, KeyError, TypeError):
                    self.loop.log("kube-apiserver", f"value of {event.kv.key!r} is not an object; ignored")
                    new = None
        return Change(event.kv.mod_revision, new, old)
