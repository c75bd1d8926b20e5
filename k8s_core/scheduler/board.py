"""What plugins say of nodes as columns, one entry a node, in the order in which the cache has the nodes.

A large cluster looks at hundreds of nodes for each Pod, most of them unchanged since the Pod before. A `Board` keeps
the answers of local plugins for one kind of Pods and forgets those of nodes that changed, so the replicas of one
ReplicaSet cost one node each; `Places` takes the nodes of one cycle out of any column at the speed of a list.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from k8s_core.scheduler.cache import Cache, NodeInfo

T = TypeVar("T")
ASK: Any = object()
"""An answer that is not known."""


class Places:
    """Some nodes: `count` from `start` on, around the end, or those that are `listed`."""

    __slots__ = ("count", "listed", "start")

    def __init__(self, start: int = 0, count: int = 0, listed: list[int] | None = None):
        self.start, self.count, self.listed = start, count if listed is None else len(listed), listed

    def take(self, column: list[T]) -> list[T]:
        """What a column says of these nodes."""
        if self.listed is None:
            end = self.start + self.count
            return column[self.start : end] + (column[: end - len(column)] if end > len(column) else [])
        return list(map(column.__getitem__, self.listed))

    def within(self, size: int) -> Iterator[int]:
        """The places, of nodes that are so many in all."""
        if self.listed is not None:
            yield from self.listed
            return
        for place in range(self.start, self.start + self.count):
            yield place % size


class Column:
    """Numbers or words about every node, kept by `say` and renewed for nodes that changed. None is an absent node."""

    def __init__(self, say: Callable[[str, NodeInfo | None], Any]):
        self.values: list[Any] = []
        self._say = say
        self._nodes: list[NodeInfo] = []

    def renew(self, cache: Cache, changed: Sequence[str]) -> None:
        """Ask again about these nodes, or about all if nodes have come or gone."""
        if cache.nodes is not self._nodes:
            self._nodes = cache.nodes
            self.values = [self._say(node.name, node) for node in self._nodes]
            return
        for name in changed:
            place = cache.places.get(name)
            if place is not None:
                self.values[place] = self._say(name, self._nodes[place])


class Board:
    """What the local plugins say of each node to one kind of Pods."""

    def __init__(self) -> None:
        self._nodes: list[NodeInfo] = []
        self._generation = -1
        self.refusals: list[Any] = []
        self.scores: dict[str, list[Any]] = {}

    def renew(self, cache: Cache) -> "Board":
        """Forget what was said of nodes that have changed."""
        if cache.nodes is not self._nodes:
            self._nodes = cache.nodes
            self.refusals = [ASK] * len(self._nodes)
            self.scores.clear()
        else:
            for name in cache.changed_since(self._generation):
                place = cache.places.get(name)
                if place is not None:
                    for column in (self.refusals, *self.scores.values()):
                        column[place] = ASK
        self._generation = cache.generation
        return self

    def refused(self, places: Places, ask: Callable[[NodeInfo], Any]) -> list[Any]:
        """What each of these nodes is refused for, None if it is not."""
        return self._take(self.refusals, places, ask)

    def scored(self, plugin: str, places: Places, ask: Callable[[NodeInfo], int]) -> list[int]:
        column = self.scores.get(plugin)
        if column is None:
            column = self.scores[plugin] = [ASK] * len(self._nodes)
        return self._take(column, places, ask)

    def _take(self, column: list[Any], places: Places, ask: Callable[[NodeInfo], Any]) -> list[Any]:
        found = places.take(column)
        if ASK not in found:
            return found
        for index, place in enumerate(places.within(len(column))):
            if found[index] is ASK:
                found[index] = column[place] = ask(self._nodes[place])
        return found
