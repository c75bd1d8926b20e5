"""Who watches which keys, found by key: hundreds of watches cost a write no more than a few. mvcc's watcherGroup."""

from collections.abc import Callable, Iterable

from k8s_core.etcd.model import Event, prefix_end, within


class Watcher:
    """A running watch on [key, range_end); `cancel` ends it."""

    __slots__ = ("_home", "key", "number", "on_events", "range_end")

    def __init__(
        self, home: "Watchers", key: bytes, range_end: bytes, on_events: Callable[[list[Event]], None], number: int
    ):
        self._home, self.key, self.range_end = home, key, range_end
        self.on_events, self.number = on_events, number

    def matches(self, key: bytes) -> bool:
        return within(key, self.key, self.range_end)

    def cancel(self) -> None:
        self._home.remove(self)


Group = dict[int, Watcher]


class Watchers:
    """The watches of one store. Those of one key and those of a prefix, nearly all, are looked up; others are tried."""

    def __init__(self) -> None:
        self._all: Group = {}
        self._keys: dict[bytes, Group] = {}
        self._prefixes: dict[bytes, Group] = {}
        self._lengths: set[int] = set()
        """Of the prefixes that are watched."""
        self._others: dict[bytes, Group] = {}
        self._last = 0

    def __len__(self) -> int:
        return len(self._all)

    def add(self, key: bytes, range_end: bytes, on_events: Callable[[list[Event]], None]) -> Watcher:
        self._last += 1
        watcher = self._all[self._last] = Watcher(self, key, range_end, on_events, self._last)
        self._index(watcher).setdefault(key, {})[self._last] = watcher
        self._lengths = {len(prefix) for prefix in self._prefixes}
        return watcher

    def remove(self, watcher: Watcher) -> None:
        """Safe to call twice."""
        if self._all.pop(watcher.number, None):
            index = self._index(watcher)
            del index[watcher.key][watcher.number]
            if not index[watcher.key]:
                del index[watcher.key]
                self._lengths = {len(prefix) for prefix in self._prefixes}

    def _index(self, watcher: Watcher) -> dict[bytes, Group]:
        if not watcher.range_end:
            return self._keys
        return self._prefixes if watcher.range_end == prefix_end(watcher.key) else self._others

    def notify(self, events: Iterable[Event]) -> None:
        """Tell each watcher its events, in the order in which they began; not who is cancelled on the way."""
        seen: dict[int, list[Event]] = {}
        for event in events:
            for number in self._of(event.kv.key):
                seen.setdefault(number, []).append(event)
        for number in sorted(seen):
            if watcher := self._all.get(number):
                watcher.on_events(seen[number])

    def _of(self, key: bytes) -> Iterable[int]:
        yield from self._keys.get(key, ())
        for length in self._lengths:
            if length <= len(key):
                yield from self._prefixes.get(key[:length], ())
        for group in self._others.values():
            yield from (number for number, watcher in group.items() if watcher.matches(key))
