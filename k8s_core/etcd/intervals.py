"""Which keys a user's permissions cover: etcd's pkg/adt interval tree and auth's range_perm_cache.go.

Of ordinary ranges any way of looking gives the same answer. An empty or an inverted one ("d" to "b"), granted or asked
for, is no error in etcd: what it answers depends on where its search turns left or right. So this is the same red-black
tree, filled in the same order.
"""

from collections.abc import Iterable, Iterator

from k8s_core.etcd.model import NO_END

Bound = tuple[bool, bytes]
"""A key, or what comes after all keys: to etcd no bytes at all."""


def _bound(key: bytes) -> Bound:
    return not key, key


class Node:
    """A span from `begin` up to `end`; `last` is the greatest end in the tree below."""

    def __init__(self, begin: Bound, end: Bound) -> None:
        self.begin, self.end, self.last = begin, end, end
        self.red = True
        self.parent: Node | None = None
        self.below: list[Node | None] = [None, None]

    @classmethod
    def of(cls, key: bytes, range_end: bytes) -> "Node":
        """[key, range_end), or the one key."""
        return cls(_bound(key), _bound(b"" if range_end == NO_END else range_end or key + b"\0"))

    def compare(self, other: "Node") -> int:
        """-1 if it lies left of the other, 1 right, 0 if the two overlap."""
        if self.begin < other.begin and self.end <= other.begin:
            return -1
        return int(self.begin >= other.end)


class Spans:
    """Spans of keys (key, range end), in the order they were given."""

    def __init__(self, spans: Iterable[tuple[bytes, bytes]]) -> None:
        self.root: Node | None = None
        for key, range_end in spans:
            self._insert(Node.of(key, range_end))
        self._measure(self.root)

    def cover(self, key: bytes, range_end: bytes) -> bool:
        """Whether they cover [key, range_end) together; of one key, whether one of them holds it."""
        asked = Node.of(key, range_end)
        if not range_end:
            return self._meet(asked)
        reached: Bound | None = None
        for node in self._overlapping(self.root, asked):
            if reached is None and node.begin > asked.begin:
                return False
            if reached is not None and reached < node.begin:
                return False
            reached = node.end if reached is None else max(reached, node.end)
        return reached is not None and reached >= asked.end

    # --- searching ------------------------------------------------------------------------------------------
    def _overlapping(self, node: Node | None, asked: Node) -> Iterator[Node]:
        if node is None:
            return
        side = asked.compare(node)
        if side > 0:
            whole = Node(node.begin, node.last)
            if whole.compare(asked):
                return
        yield from self._overlapping(node.below[0], asked)
        if side == 0:
            yield node
        if side >= 0:
            yield from self._overlapping(node.below[1], asked)

    def _meet(self, asked: Node) -> bool:
        node = self.root
        while node and asked.compare(node):
            left, right = node.below
            node = left if left and left.last > asked.begin else right
        return node is not None

    # --- building -------------------------------------------------------------------------------------------
    def _insert(self, node: Node) -> None:
        parent, place = None, self.root
        while place:
            parent, place = place, place.below[node.begin >= place.begin]
        self._hang(node, parent, bool(parent and node.begin >= parent.begin))
        while (parent := node.parent) and parent.red and (grand := parent.parent):
            side = grand.below[1] is parent
            uncle = grand.below[not side]
            if uncle and uncle.red:
                parent.red = uncle.red = False
                grand.red, node = True, grand
                continue
            if parent.below[not side] is node:
                self._rotate(parent, side)
                node, parent = parent, node
            parent.red, grand.red = False, True
            self._rotate(grand, not side)
        if self.root:
            self.root.red = False

    def _hang(self, node: Node | None, parent: Node | None, side: bool) -> None:
        if node:
            node.parent = parent
        if parent:
            parent.below[side] = node
        else:
            self.root = node

    def _rotate(self, node: Node, side: bool) -> None:
        """Move a node down to that side; its child on the other side takes its place."""
        child, parent = node.below[not side], node.parent
        assert child
        self._hang(child.below[side], node, not side)
        self._hang(child, parent, bool(parent and parent.below[1] is node))
        self._hang(node, child, side)

    def _measure(self, node: Node | None) -> Bound:
        if node is None:
            return False, b""
        node.last = max(node.end, *map(self._measure, node.below))
        return node.last
