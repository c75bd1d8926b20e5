"""What plugins say of nodes as columns, one entry a node, in the order in which the cache has the nodes.

A large cluster looks at hundreds of nodes for each Pod, most of them unchanged since the Pod before. A `Board` keeps
the answers of local plugins for one kind of Pods and forgets those of nodes that changed, so the replicas of one
ReplicaSet cost one node each; `Places` takes the nodes of one cycle out of any column at the speed of a list.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from k8s_core.scheduler.cache import Cache, NodeInfo

T = TypeVar("T")
MAX_KINDS = 128  # kept about one kind of Pods; each ReplicaSet sees nodes with other eyes


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
    """One column of answers about the nodes, asked for when they are needed, and again when a node has changed."""

    __slots__ = ("_generation", "_nodes", "_unknown", "values")

    def __init__(self) -> None:
        self.values: list[Any] = []
        self._unknown: set[int] = set()
        self._nodes: list[NodeInfo] = []
        self._generation = 0

    def take(self, places: Places, cache: Cache, ask: Callable[[int], Any]) -> list[Any]:
        """What is answered for these nodes; `ask` is told their places."""
        if cache.nodes is not self._nodes:
            self._nodes = cache.nodes
            self.values, self._unknown = [None] * len(self._nodes), set(range(len(self._nodes)))
        elif self._generation != cache.generation:
            names = cache.changed_since(self._generation)
            self._unknown.update(place for name in names if (place := cache.places.get(name)) is not None)
        self._generation = cache.generation
        if self._unknown:
            wanted = places.among(self._unknown, len(self._nodes))
            for place in wanted:
                self.values[place] = ask(place)
            self._unknown.difference_update(wanted)
        return places.take(self.values)


class Kinds:
    """Nodes with equal rows of facts are of one kind. `rows` are the different rows, by the numbers of the kinds."""

    def __init__(self) -> None:
        self.rows: list[tuple[Any, ...]] = []
        self._numbers: dict[tuple[Any, ...], int] = {}
        self._answers = Answers()

    def take(self, places: Places, cache: Cache, facts: Sequence[list[Any]]) -> list[int]:
        """The number of each node's kind; `facts` are columns of all nodes that change only where nodes do."""
        return self._answers.take(places, cache, lambda place: self._number(tuple(column[place] for column in facts)))

    def _number(self, row: tuple[Any, ...]) -> int:
        if row not in self._numbers:
            self._numbers[row] = len(self.rows)
            self.rows.append(row)
        return self._numbers[row]


class Board:
    """What the local plugins say of each node to one kind of Pods."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._refusals = Answers()
        self._scores = Answers()
        self._kinds: dict[tuple[int, ...], tuple[Kinds, Sequence[list[Any]]]] = {}

    def refused(self, places: Places, ask: Callable[[NodeInfo], Any]) -> list[Any]:
        """What each of these nodes is refused for, None if it is not."""
        nodes = self._cache.nodes
        return self._refusals.take(places, self._cache, lambda place: ask(nodes[place]))

    def scored(
        self, places: Places, ask: Callable[[NodeInfo], list[int]], facts: Sequence[list[Any]]
    ) -> tuple[list[int], list[tuple[Any, ...]]]:
        """Kinds of nodes with equal scores and facts: the number of each node's, and what they are by number.

        The first fact of a kind is its row of scores, one a plugin.
        """
        nodes = self._cache.nodes
        self._scores.take(places, self._cache, lambda place: tuple(ask(nodes[place])))
        columns = [self._scores.values, *facts]
        key = tuple(map(id, columns))
        kinds, _ = self._kinds.pop(key, (Kinds(), columns))
        if len(self._kinds) >= MAX_KINDS:
            del self._kinds[next(iter(self._kinds))]
        self._kinds[key] = kinds, columns  # which keeps their identities theirs
        return kinds.take(places, self._cache, columns), kinds.rows
