"""What the scheduler decided and why: for each attempt which plugin refused which node, and every score.

Kept as columns while scheduling (a large cluster scores hundreds of nodes a Pod) and spread out into plain data
when somebody asks.
"""

from collections import deque
from collections.abc import Iterator, Sequence

from k8s_core.api import Object
from k8s_core.scheduler.cache import NodeInfo, PodInfo
from k8s_core.scheduler.framework import ScoreTable
from k8s_core.scheduler.plugin import Status

MAX_DECISIONS = 2_000
MAX_CELLS = 400_000  # scores and refusals kept in all


class Decision:
    """One attempt to schedule one Pod."""

    __slots__ = ("chosen", "feasible", "filtered", "message", "nominated", "pod", "table", "ties", "time")

    def __init__(
        self,
        pod: PodInfo,
        time: str,
        *,
        chosen: str = "",
        feasible: Sequence[NodeInfo] = (),
        filtered: dict[str, Status] | None = None,
        table: ScoreTable | None = None,
        ties: Sequence[NodeInfo] = (),
        message: str = "",
        nominated: str = "",
    ):
        self.pod, self.time, self.chosen, self.feasible = pod, time, chosen, feasible
        self.filtered, self.table, self.ties = filtered or {}, table, ties
        self.message, self.nominated = message, nominated

    @property
    def cells(self) -> int:
        return len(self.filtered) + 2 * len(self.feasible)

    def as_dict(self) -> Object:
        """Plain data: filtered is {node: {plugin, reason}}, scores {node: {plugin: {raw, normalized, weighted}}}."""
        feasible = [node.name for node in self.feasible]
        scores: dict[str, Object] = {node: {} for node in feasible}
        total: dict[str, int] = {}
        if self.table:
            total = dict(zip(feasible, self.table.total, strict=True))
            for plugin, (raw, normalized, weight) in self.table.columns.items():
                for node, one, other in zip(feasible, raw, normalized, strict=True):
                    scores[node][plugin] = {"raw": one, "normalized": other, "weighted": weight * other}
        return {
            "pod": {"namespace": self.pod.namespace, "name": self.pod.name, "uid": self.pod.uid},
            "time": self.time,
            "filtered": {
                node: {"plugin": status.plugin, "reason": status.message} for node, status in self.filtered.items()
            },
            "scores": scores,
            "total": total,
            "chosen": self.chosen,
            "ties": [node.name for node in self.ties],
            "message": self.message,
            "nominated": self.nominated,
        }


class Decisions:
    """The last decisions, oldest first; the oldest are dropped when there are too many or they grow too large."""

    def __init__(self) -> None:
        self._kept: deque[Decision] = deque()
        self._by_uid: dict[str, list[Decision]] = {}
        self._cells = 0

    def append(self, decision: Decision) -> None:
        self._kept.append(decision)
        self._by_uid.setdefault(decision.pod.uid, []).append(decision)
        self._cells += decision.cells
        while len(self._kept) > MAX_DECISIONS or (self._cells > MAX_CELLS and len(self._kept) > 1):
            oldest = self._kept.popleft()
            self._cells -= oldest.cells
            theirs = self._by_uid[oldest.pod.uid]
            theirs.remove(oldest)
            if not theirs:
                del self._by_uid[oldest.pod.uid]

    def __len__(self) -> int:
        return len(self._kept)

    def __iter__(self) -> Iterator[Object]:
        return (decision.as_dict() for decision in list(self._kept))

    def __getitem__(self, index: int) -> Object:
        return self._kept[index].as_dict()

    def of(self, uid: str) -> list[Object]:
        """All that is kept about one Pod, by its uid, oldest first."""
        return [decision.as_dict() for decision in self._by_uid.get(uid, [])]
