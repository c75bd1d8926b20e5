"""What a controller has asked for and not yet seen happen: the guard against acting twice on a stale cache.

Informers run behind the controller's own writes. A controller that created three Pods and is synced again before the
cache shows them would create three more; so it notes what it expects, and until all of it was observed (or five
minutes went by) it makes and deletes nothing.
Stands for ControllerExpectations and UIDTrackingControllerExpectations.
"""

from collections.abc import Iterable

from k8s_core.clock import Loop
from k8s_core.limits import EXPECTATIONS_TIMEOUT


class Expectations:
    """Per controller key: creations still to be seen, and the keys of objects whose deletion is."""

    def __init__(self, loop: Loop) -> None:
        self.loop = loop
        self._creations: dict[str, int] = {}
        self._deletions: dict[str, set[str]] = {}
        self._since: dict[str, float] = {}

    def satisfied(self, key: str) -> bool:
        """Whether the cache has caught up with all that was expected, or never will."""
        if self._creations.get(key, 0) <= 0 and not self._deletions.get(key):
            return True
        return self.loop.now - self._since[key] > EXPECTATIONS_TIMEOUT

    def expect_creations(self, key: str, count: int) -> None:
        self._creations[key], self._since[key] = count, self.loop.now

    def expect_deletions(self, key: str, objects: Iterable[str]) -> None:
        self._deletions[key], self._since[key] = set(objects), self.loop.now

    def creation_observed(self, key: str, count: int = 1) -> None:
        if key in self._creations:
            self._creations[key] -= count

    def deletion_observed(self, key: str, obj: str) -> None:
        """The same object's deletion counts once, whether seen as a deletionTimestamp or as the removal."""
        if key in self._deletions:
            self._deletions[key].discard(obj)

    def forget(self, key: str) -> None:
        for table in (self._creations, self._deletions, self._since):
            table.pop(key, None)
