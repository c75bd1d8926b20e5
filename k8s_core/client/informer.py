"""A local copy of one resource, kept current by a watch: client-go's reflector, store and shared informer in one.

Promises: handlers are called from the loop, in the order of revisions, after the copy has changed; a handler that
comes late is first told what is there. When the watch breaks or its revision is gone, the informer lists again
and reports the difference.
"""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from k8s_core.api import Object, Objects
from k8s_core.api.errors import StatusError
from k8s_core.clock import Timer
from k8s_core.limits import REFLECTOR_BACKOFF

if TYPE_CHECKING:
    from k8s_core.apiserver.watch import Watch
    from k8s_core.client.client import Client

OnOne = Callable[[Object], None]
OnUpdate = Callable[[Object, Object], None]
IndexFunction = Callable[[Object], Iterable[str]]


def key_of(obj: Object) -> str:
    """ "namespace/name", or the bare name of a cluster-wide object."""
    meta = obj["metadata"]
    namespace = meta.get("namespace")
    return f"{namespace}/{meta['name']}" if namespace else str(meta["name"])


def split_key(key: str) -> tuple[str, str]:
    """(namespace, name) of a key; the namespace is "" for a cluster-wide object."""
    namespace, _, name = key.rpartition("/")
    return namespace, name


class Informer:
    """The copy. Objects in it are shared: never change them."""

    def __init__(self, client: "Client", resource: str, namespace: str, fields: str, labels: str):
        self.client, self.resource = client, resource
        self.namespace, self.fields, self.labels = namespace, fields, labels
        self.items: dict[str, Object] = {}
        self.synced = False
        self._namespaces: dict[str, dict[str, Object]] = {}
        self._handlers: list[tuple[OnOne | None, OnUpdate | None, OnOne | None]] = []
        self._index_functions: dict[str, IndexFunction] = {}
        self._indexes: dict[str, dict[str, dict[str, Object]]] = {}
        self._watch: Watch | None = None
        self._retry: Timer | None = None
        self._backoff = REFLECTOR_BACKOFF[0]
        self._stopped = False
        self.relist()

    # --- reading --------------------------------------------------------------------------------------------
    def get(self, name: str, namespace: str = "") -> Object | None:
        return self.items.get(f"{namespace}/{name}" if namespace else name)

    def get_key(self, key: str) -> Object | None:
        return self.items.get(key)

    def list(self, namespace: str = "") -> Objects:
        return list(self._namespaces.get(namespace, {}).values() if namespace else self.items.values())

    def index(self, name: str, fn: IndexFunction) -> None:
        """Keep an index: `fn(obj)` gives the values under which `by_index(name, value)` finds it."""
        if name in self._index_functions:
            return
        self._index_functions[name] = fn
        table: dict[str, dict[str, Object]] = {}
        self._indexes[name] = table
        for key, obj in self.items.items():
            for value in fn(obj):
                table.setdefault(value, {})[key] = obj

    def by_index(self, name: str, value: str) -> Objects:
        return list(self._indexes[name].get(value, {}).values())

    def on(self, added: OnOne | None = None, updated: OnUpdate | None = None, deleted: OnOne | None = None) -> None:
        self._handlers.append((added, updated, deleted))
        if added:
            for obj in list(self.items.values()):
                self.client.loop.call_soon(added, obj)

    def stop(self) -> None:
        self._stopped = True
        if self._watch:
            self._watch.cancel()
        if self._retry:
            self._retry.cancel()

    # --- keeping current ------------------------------------------------------------------------------------
    def relist(self) -> None:
        """List, report what differs from the copy, and watch from there."""
        self._retry = None
        if self._stopped:
            return
        try:
            items, revision = self.client.list_revision(
                self.resource, self.namespace, labels=self.labels, fields=self.fields
            )
            watch = self.client.watch(
                self.resource,
                self.namespace,
                labels=self.labels,
                fields=self.fields,
                revision=revision,
                on_event=self._event,
                on_end=self._ended,
            )
        except StatusError as error:
            self.client.loop.log(self.client.agent, f"failed to list {self.resource}: {error}")
            self._retry = self.client.loop.call_later(self._backoff, self.relist, background=True)
            self._backoff = min(self._backoff * 2, REFLECTOR_BACKOFF[1])
            return
        self._watch, self._backoff, self.synced = watch, REFLECTOR_BACKOFF[0], True
        fresh = {key_of(obj): obj for obj in items}
        for key in [key for key in self.items if key not in fresh]:
            self._delete(key)
        for key, obj in fresh.items():
            self._put(key, obj)

    def lose(self) -> None:
        """The connection is gone: nothing more comes until a list succeeds again."""
        if self._watch:
            self._watch.cancel()
            self._watch = None
        if not self._retry:
            self._ended()

    def _ended(self) -> None:
        if not self._stopped:
            self._retry = self.client.loop.call_later(self._backoff, self.relist, background=True)

    def _event(self, type: str, obj: Object) -> None:
        if self._stopped:
            return
        if type == "DELETED":
            self._delete(key_of(obj), obj)
        elif type in ("ADDED", "MODIFIED"):
            self._put(key_of(obj), obj)

    def _put(self, key: str, obj: Object) -> None:
        old = self.items.get(key)
        if old is not None and old["metadata"]["resourceVersion"] == obj["metadata"]["resourceVersion"]:
            return
        self.items[key] = obj
        self._namespaces.setdefault(obj["metadata"].get("namespace", ""), {})[key] = obj
        self._reindex(key, old, obj)
        for added, updated, _ in self._handlers:
            if old is None:
                if added:
                    added(obj)
            elif updated:
                updated(old, obj)

    def _delete(self, key: str, last: Object | None = None) -> None:
        old = self.items.pop(key, None)
        if old is None:
            return
        namespace = old["metadata"].get("namespace", "")
        self._namespaces[namespace].pop(key, None)
        if not self._namespaces[namespace]:
            del self._namespaces[namespace]
        self._reindex(key, old, None)
        for _, _, deleted in self._handlers:
            if deleted:
                deleted(last or old)

    def _reindex(self, key: str, old: Object | None, new: Object | None) -> None:
        for name, fn in self._index_functions.items():
            table = self._indexes[name]
            values = set(fn(new)) if new is not None else set()
            for value in set(fn(old)) - values if old is not None else ():
                table[value].pop(key, None)
                if not table[value]:
                    del table[value]
            for value in values:
                table.setdefault(value, {})[key] = new  # type: ignore[assignment]
