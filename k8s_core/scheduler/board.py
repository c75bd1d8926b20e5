"""What plugins say of nodes as columns, one entry a node, in the order in which the cache has the nodes.

A large cluster looks at hundreds of nodes for each Pod, most of them unchanged since the Pod before. A `Board` keeps
the answers of local plugins for one kind of Pods and forgets those of nodes that changed, so the replicas of one
ReplicaSet cost one node each; `Places` takes the nodes of one cycle out of any column at the speed of a list.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from k8s_core.scheduler.cache import Cache, NodeInfo

T = TypeVar("T")


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

    def among(self, some: set[int], size: int) -> list[int]:
        """Those of some places that are these nodes'."""
        if self.listed is not None:
            return [place for place in self.listed if place in some]
        if len(some) > self.count:
            return [place for index in range(self.count) if (place := (self.start + index) % size) in some]
        return [place for place in some if (place - self.start) % size < self.count]

    def place(self, index: int, size: int) -> int:
        """Where the node with this number stands among all, which are so many."""
        return (self.start + index) % size if self.listed is None else self.listed[index]


class Answers:
    """One column of answers that are asked for when they are needed, and only once."""

    __slots__ = ("unknown", "values")

    def __init__(self, size: int):
        self.values: list[Any] = [None] * size
        self.unknown = set(range(size))

    def take(self, places: Places, nodes: list[NodeInfo], ask: Callable[[NodeInfo], Any]) -> list[Any]:
        """What is answered for these nodes."""
        if self.unknown:
            wanted = places.among(self.unknown, len(nodes))
            for place in wanted:
                self.values[place] = ask(nodes[place])
            self.unknown.difference_update(wanted)
        return places.take(self.values)


class Board:
    """What the local plugins say of each node to one kind of Pods."""

    def __init__(self) -> None:
        self._nodes: list[NodeInfo] = []
        self._generation = -1
        self._refusals = Answers(0)
        self._scores = Answers(0)
        self._numbers: dict[tuple[int, ...], int] = {}
        self.rows: list[tuple[int, ...]] = []
        """The different rows of scores that nodes were given, by their numbers."""

    def renew(self, cache: Cache) -> "Board":
        """Forget what was said of nodes that have changed."""
        if cache.nodes is not self._nodes:
            self._nodes = cache.nodes
            self._refusals = Answers(len(self._nodes))
            self._scores = Answers(len(self._nodes))
        elif self._generation != cache.generation:
            names = cache.changed_since(self._generation)
            changed = [place for name in names if (place := cache.places.get(name)) is not None]
            for answers in (self._refusals, self._scores):
                answers.unknown.update(changed)
        self._generation = cache.generation
        return self

    def refused(self, places: Places, ask: Callable[[NodeInfo], Any]) -> list[Any]:
        """What each of these nodes is refused for, None if it is not."""
        return self._refusals.take(places, self._nodes, ask)

    def scored(self, places: Places, ask: Callable[[NodeInfo], list[int]]) -> list[int]:
        """By node the number of its row of scores, one score a plugin."""
        return self._scores.take(places, self._nodes, lambda node: self._number(tuple(ask(node))))

    def _number(self, row: tuple[int, ...]) -> int:
        if row not in self._numbers:
            self._numbers[row] = len(self.rows)
            self.rows.append(row)
        return self._numbers[row]
