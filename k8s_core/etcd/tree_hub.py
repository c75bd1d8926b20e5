"""Who waits for what in the v2 store, and the last events for those who come late.

Stands for v2store's watcher_hub.go and event_history.go. The last 1,000 events are kept.
"""

import posixpath
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from k8s_core.limits import ETCD_V2_HISTORY

INDEX_CLEARED = 401


class TreeError(Exception):
    """A v2 error: its number, its cause and the index at which it was. Stats take an `uncounted` one for a success."""

    def __init__(self, code: int, cause: str, index: int = 0, *, uncounted: bool = False):
        super().__init__(f"{code} {cause}")
        self.code, self.cause, self.index, self.uncounted = code, cause, index, uncounted


Shown = dict[str, Any]
"""A node as it is told: key, value or dir, nodes, modifiedIndex, createdIndex, expires."""


@dataclass(slots=True)
class Event:
    """What happened: `node` after and `prev` before; `index` is the tree's at that time."""

    action: str
    node: Shown
    prev: Shown | None = None
    refresh: bool = False
    index: int = 0

    @property
    def created(self) -> bool:
        return self.action == "create" or (self.action == "set" and self.prev is None)


@dataclass(slots=True, eq=False)
class Watcher:
    """A waiting client. `on_event` is called once, or for every event when it is a stream."""

    key: str
    recursive: bool
    stream: bool
    since: int
    on_event: Callable[[Event], None]
    start: int = 0


def clean(path: str) -> str:
    return posixpath.normpath("/" + path.lstrip("/"))


class Hub:
    """The watchers of one tree. They are told of events in order."""

    def __init__(self) -> None:
        self.watchers: list[Watcher] = []
        self.history: deque[Event] = deque(maxlen=ETCD_V2_HISTORY)

    def add(self, watcher: Watcher) -> None:
        """Answer it at once, if what it waits for has been; TreeError if that is forgotten."""
        if past := self._scan(watcher):
            watcher.on_event(past)
        else:
            self.watchers.append(watcher)

    def cancel(self, watcher: Watcher) -> None:
        if watcher in self.watchers:
            self.watchers.remove(watcher)

    def _scan(self, watcher: Watcher) -> Event | None:
        if len(self.history) == ETCD_V2_HISTORY:
            first = self.history[0].node["modifiedIndex"]
            if watcher.since < first:
                cause = f"the requested history has been cleared [{first}/{watcher.since}]"
                raise TreeError(INDEX_CLEARED, cause, watcher.start)
        below = watcher.key.rstrip("/") + "/"
        for event in self.history:
            if event.node["modifiedIndex"] < watcher.since or event.refresh:
                continue
            key = event.node["key"]
            above = event.action in ("delete", "expire") and event.prev and event.prev.get("dir")
            if (
                key == watcher.key
                or (watcher.recursive and key.startswith(below))
                or (above and watcher.key.startswith(key))
            ):
                return event
        return None

    def notify(self, event: Event, *, refresh: bool = False) -> Event:
        """Keep an event, and tell it to who waits at its key or above; of a refresh nobody hears."""
        event.refresh = refresh
        self.history.append(event)
        if not refresh:
            path = "/"
            for part in event.node["key"].split("/"):
                path = posixpath.join(path, part)
                self.tell(event, path, deleted=False)
        return event

    def tell(self, event: Event, path: str, *, deleted: bool) -> None:
        """Tell it to who waits at `path`, which may be above the event's key or, `deleted` with it, below."""
        key = event.node["key"]
        for watcher in [w for w in self.watchers if w.key == path]:
            own = key == path
            if not own and _hidden(path, key):
                continue
            if (watcher.recursive or own or deleted) and event.node["modifiedIndex"] >= watcher.since:
                if not watcher.stream:
                    self.cancel(watcher)
                watcher.on_event(event)


def _hidden(watched: str, key: str) -> bool:
    if len(watched) > len(key):
        return False
    return "/_" in clean(key[len(watched) :])
