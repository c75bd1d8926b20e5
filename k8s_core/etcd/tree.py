"""etcd's v2 store: a tree of directories and values with times to live, compare-and-swap and a short event history.

Stands for etcdserver/api/v2store. Every write has an index; a watch is answered by the first event at or after its
index (tree_hub.py). Keys with a part that starts with "_" are hidden from listings and from
watches above them. It shares nothing with the v3 key space. As in etcd, all keys lie below /1.
"""

import contextlib
import posixpath
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from k8s_core.clock import Loop, Timer
from k8s_core.etcd.tree_hub import Event, Hub, Shown, TreeError, Watcher, clean

ROOT = "/1"
READ_ONLY = ("/", "/0", ROOT)
FIRST_INDEX = 4  # what a new member has written about itself
KEY_NOT_FOUND, TEST_FAILED, NOT_FILE, NOT_DIR, NODE_EXIST = 100, 101, 102, 104, 105
ROOT_READ_ONLY, DIR_NOT_EMPTY = 107, 108
STATS = (
    *("getsSuccess", "getsFail", "setsSuccess", "setsFail", "deleteSuccess", "deleteFail", "updateSuccess"),
    *("updateFail", "createSuccess", "createFail", "compareAndSwapSuccess", "compareAndSwapFail"),
    *("compareAndDeleteSuccess", "compareAndDeleteFail", "expireCount", "watchers"),
)
STAT_OF = {"get": "gets", "set": "sets"}


@dataclass(slots=True, eq=False)
class Node:
    path: str
    created: int
    modified: int
    parent: "Node | None"
    value: str = ""
    children: "dict[str, Node] | None" = None
    expires: float = 0.0
    timer: Timer | None = None

    @property
    def name(self) -> str:
        return posixpath.basename(self.path)


@dataclass(slots=True)
class Lifetime:
    """`expires` in seconds since the epoch, 0 for ever; a `refresh` keeps the value and tells no watcher."""

    expires: float = 0.0
    refresh: bool = False


FOREVER = Lifetime()


class Tree:
    """The v2 store of one member. `loop` gives it time."""

    def __init__(self, loop: Loop, on_expired: Callable[[], None] | None = None):
        self.loop = loop
        self.index = FIRST_INDEX
        self.root = Node("/", 0, 0, None, children={})
        self.root.children = {"1": Node(ROOT, 0, 0, self.root, children={})}
        self.stats = dict.fromkeys(STATS, 0)
        self.hub = Hub()
        self.on_expired = on_expired or self.delete_expired

    # --- reading --------------------------------------------------------------------------------------------
    def get(self, path: str, *, recursive: bool = False, ordered: bool = False) -> Event:
        with self._counted("get"):
            node = self._find(path)
            shown = self._show(node, recursive=recursive, ordered=ordered, listed=True)
            return Event("get", shown, index=self.index)

    def _find(self, path: str) -> Node:
        node = self.root
        for name in filter(None, clean(path).split("/")):
            if node.children is None:
                raise TreeError(NOT_DIR, node.path, self.index)
            if name not in node.children:
                raise TreeError(KEY_NOT_FOUND, posixpath.join(node.path, name), self.index)
            node = node.children[name]
        return node

    def _show(self, node: Node, *, recursive: bool = False, ordered: bool = False, listed: bool = False) -> Shown:
        shown: Shown = {"key": node.path}
        if node.children is None:
            shown["value"] = node.value
        else:
            shown["dir"] = True
        self._show_time(shown, node)
        if node.children is not None and (listed or recursive):
            children = sorted(node.children.values(), key=lambda n: n.path) if ordered else node.children.values()
            nodes = [
                self._show(child, recursive=recursive, ordered=ordered)
                for child in children
                if not child.name.startswith("_")
            ]
            if nodes:
                shown["nodes"] = nodes
        return shown | {"modifiedIndex": node.modified, "createdIndex": node.created}

    def _show_time(self, shown: Shown, node: Node) -> None:
        if node.expires:
            left = node.expires - self.loop.now
            shown["expires"], shown["ttl"] = node.expires, int(left) + (left > int(left))

    # --- writing --------------------------------------------------------------------------------------------
    def create(
        self, path: str, value: str = "", *, dir: bool = False, unique: bool = False, life: Lifetime = FOREVER
    ) -> Event:
        """A new key; `unique` makes one with a number as its name, in order, below `path`."""
        with self._counted("create"):
            event = self._create("create", path, value, dir=dir, unique=unique, replace=False, life=life)
            return self.hub.notify(event)

    def set(self, path: str, value: str = "", *, dir: bool = False, life: Lifetime = FOREVER) -> Event:
        """Create or replace a value. A directory cannot be replaced."""
        with self._counted("set"):
            try:
                before: Node | None = self._find(path)
            except TreeError as error:
                if error.code != KEY_NOT_FOUND or life.refresh:
                    raise
                before = None
            prev = self._show(before, listed=True) if before else None
            if life.refresh and before:
                value = before.value
            event = self._create("set", path, value, dir=dir, unique=False, replace=True, life=life)
            event.prev = prev
            return self.hub.notify(event, refresh=life.refresh)

    def update(self, path: str, value: str, life: Lifetime = FOREVER) -> Event:
        """Change a value that exists, or a directory's time to live."""
        with self._counted("update"):
            node = self._writable(path)
            if node.children is not None and value:
                raise TreeError(NOT_FILE, node.path, self.index, uncounted=True)
            if life.refresh:
                value = node.value
            prev = self._show(node)
            event = self._event("update", node.path, self.index + 1, node.created)
            if node.children is not None:
                # etcd cannot write to a directory and says so in its own way
                raise TreeError(300, f"nodePath {node.path} : Not a file ()", 0, uncounted=True)
            return self._write(node, value, life, event, prev)

    def compare_and_swap(
        self, path: str, value: str, *, prev_value: str = "", prev_index: int = 0, life: Lifetime = FOREVER
    ) -> Event:
        with self._counted("compareAndSwap"):
            node = self._writable(path)
            self._compare(node, prev_value, prev_index)
            if life.refresh:
                value = node.value
            prev = self._show(node)
            event = self._event("compareAndSwap", node.path, self.index + 1, node.created)
            return self._write(node, value, life, event, prev)

    def delete(self, path: str, *, dir: bool = False, recursive: bool = False) -> Event:
        with self._counted("delete"):
            node = self._writable(path)
            event = self._event("delete", node.path, self.index + 1, node.created)
            if node.children is not None:
                event.node["dir"] = True
            return self._remove(node, event, dir=dir or recursive, recursive=recursive)

    def compare_and_delete(self, path: str, *, prev_value: str = "", prev_index: int = 0) -> Event:
        with self._counted("compareAndDelete"):
            node = self._find(path)
            self._compare(node, prev_value, prev_index, uncounted=True)
            event = self._event("compareAndDelete", node.path, self.index + 1, node.created)
            return self._remove(node, event, dir=False, recursive=False)

    def delete_expired(self, cutoff: float | None = None) -> None:
        """Remove everything whose time was up at `cutoff` (now), each with an index and an event of its own."""
        cutoff = self.loop.now if cutoff is None else cutoff
        for node in sorted(_walk(self.root), key=lambda n: n.expires):
            if node.expires and node.expires <= cutoff and node.parent and self._alive(node):
                event = self._event("expire", node.path, self.index + 1, node.created)
                if node.children is not None:
                    event.node["dir"] = True
                self.stats["expireCount"] += 1
                self._remove(node, event, dir=True, recursive=True)

    def overdue(self) -> bool:
        """Whether something is there whose time is up."""
        return any(node.expires and node.expires <= self.loop.now for node in _walk(self.root))

    def _alive(self, node: Node) -> bool:
        try:
            return self._find(node.path) is node
        except TreeError:
            return False

    def _writable(self, path: str) -> Node:
        if clean(path) in READ_ONLY:
            raise TreeError(ROOT_READ_ONLY, "/", self.index, uncounted=True)
        return self._find(path)

    def _event(self, action: str, path: str, modified: int, created: int) -> Event:
        return Event(action, {"key": path, "modifiedIndex": modified, "createdIndex": created}, index=modified)

    def _create(
        self, action: str, path: str, value: str, *, dir: bool, unique: bool, replace: bool, life: Lifetime
    ) -> Event:
        index = self.index + 1
        path = clean(f"{path}/{index:020}" if unique else path)
        if path in READ_ONLY:
            raise TreeError(ROOT_READ_ONLY, "/", self.index)
        parent = self._directory(posixpath.dirname(path), index)
        assert parent.children is not None
        name = posixpath.basename(path)
        there = parent.children.get(name)
        if there and not replace:
            raise TreeError(NODE_EXIST, path, self.index)
        if there and there.children is not None:
            raise TreeError(NOT_FILE, path, self.index)
        if there and there.timer:
            there.timer.cancel()
        node = Node(path, index, index, parent, value, {} if dir else None)
        parent.children[name] = node
        event = self._event(action, path, index, index)
        event.node.update({"dir": True} if dir else {"value": value})
        self.expire_at(node, life.expires)
        self._show_time(event.node, node)
        self.index = index
        return event

    def _directory(self, path: str, index: int) -> Node:
        """The directory at `path`; what is missing of it is made."""
        node = self.root
        for name in filter(None, path.split("/")):
            assert node.children is not None
            child = node.children.get(name)
            if child is None:
                child = node.children[name] = Node(posixpath.join(node.path, name), index, index, node, children={})
            if child.children is None:
                self.stats["setsFail"] += 1
                raise TreeError(NOT_DIR, child.path, self.index)
            node = child
        return node

    def _write(self, node: Node, value: str, life: Lifetime, event: Event, prev: Shown) -> Event:
        self.index += 1
        node.value, node.modified, event.prev = value, self.index, prev
        event.node["value"] = value
        self.expire_at(node, life.expires)
        self._show_time(event.node, node)
        return self.hub.notify(event, refresh=life.refresh)

    def expire_at(self, node: Node, when: float) -> None:
        """Give a node an end, in seconds since the epoch; 0 takes it away."""
        if node.timer:
            node.timer.cancel()
        node.expires, node.timer = when, None
        if when:
            left = when - self.loop.now
            node.timer = self.loop.call_later(left, self._expired, background=True)

    def _expired(self) -> None:
        self.on_expired()

    def _compare(self, node: Node, prev_value: str, prev_index: int, *, uncounted: bool = False) -> None:
        if node.children is not None:
            raise TreeError(NOT_FILE, node.path, self.index, uncounted=uncounted)
        index_differs = bool(prev_index) and node.modified != prev_index
        value_differs = bool(prev_value) and node.value != prev_value
        causes = []
        if value_differs:
            causes.append(f"[{prev_value} != {node.value}]")
        if index_differs:
            causes.append(f"[{prev_index} != {node.modified}]")
        if causes:
            raise TreeError(TEST_FAILED, " ".join(causes), self.index, uncounted=uncounted)

    def _remove(self, node: Node, event: Event, *, dir: bool, recursive: bool) -> Event:
        if node.children is not None and not dir:
            raise TreeError(NOT_FILE, node.path, self.index)
        if node.children and not recursive:
            raise TreeError(DIR_NOT_EMPTY, node.path, self.index)
        event.prev = self._show(node)
        gone = [*_walk(node)]
        assert node.parent and node.parent.children is not None
        del node.parent.children[node.name]
        self.index += 1
        for each in gone:
            if each.timer:
                each.timer.cancel()
            self.hub.tell(event, each.path, deleted=True)
        return self.hub.notify(event)

    # --- watching -------------------------------------------------------------------------------------------
    def watch(
        self,
        path: str,
        on_event: Callable[[Event], None],
        *,
        recursive: bool = False,
        stream: bool = False,
        since: int = 0,
    ) -> Watcher:
        """Wait for the first event at or after index `since` (0: the next one); it may be there already."""
        watcher = Watcher(clean(path), recursive, stream, since or self.index + 1, on_event, self.index)
        self.hub.add(watcher)
        return watcher

    @contextlib.contextmanager
    def _counted(self, action: str) -> Iterator[None]:
        """Count a success or a failure when the block ends."""
        outcome = "Success"
        try:
            yield
        except TreeError as error:
            outcome = "Success" if error.uncounted else "Fail"
            raise
        finally:
            self.stats[STAT_OF.get(action, action) + outcome] += 1


def _walk(node: Node) -> Iterator[Node]:
    """A node and all below it, children before their parents."""
    for child in list((node.children or {}).values()):
        yield from _walk(child)
    yield node
