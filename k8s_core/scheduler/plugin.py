"""What a scheduler plugin is: the extension points of kube-scheduler as methods.

Stands for k8s.io/kube-scheduler/framework. A plugin implements the points it needs; None means yes. What one marked
`local` says depends on the Pod's `signature` and on one node alone, so the framework may remember its answers.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import orjson

from k8s_core.api import Object
from k8s_core.api.selectors import Selector, from_label_selector
from k8s_core.client import Client
from k8s_core.scheduler.cache import Cache, NodeInfo, PodInfo

if TYPE_CHECKING:
    from k8s_core.scheduler.framework import Diagnosis, Framework

MAX_NODE_SCORE = 100


class Code(IntEnum):
    """UNSCHEDULABLE may change when Pods leave the node; UNRESOLVABLE not, so preemption does not try."""

    UNSCHEDULABLE = 2
    UNRESOLVABLE = 3
    SKIP = 5


@dataclass(frozen=True, slots=True)
class Status:
    """Why a plugin says no. Success is None."""

    code: Code
    reasons: tuple[str, ...] = ()
    plugin: str = ""

    @property
    def message(self) -> str:
        return ", ".join(self.reasons)


SKIP = Status(Code.SKIP)


def unschedulable(*reasons: str) -> Status:
    return Status(Code.UNSCHEDULABLE, reasons)


def unresolvable(*reasons: str) -> Status:
    return Status(Code.UNRESOLVABLE, reasons)


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened in the cluster and may make a waiting Pod schedulable.

    `kind` is Resource/Action: AssignedPod/Add, AssignedPod/Update, AssignedPod/Delete, TargetPod/Update (the waiting
    Pod itself), Node/Add, Node/Update, Node/Delete, and PersistentVolumeClaim, PersistentVolume, StorageClass/Change.
    """

    kind: str
    old: Any = None  # PodInfo or node object
    new: Any = None


@dataclass(slots=True)
class Handle:
    """What plugins are given: the cache, a client for listers, the nominated Pods of a node."""

    cache: Cache
    client: Client | None = None
    nominated: dict[str, dict[str, PodInfo]] = field(default_factory=dict)
    """Pods that preemption makes room for, by node and uid."""
    random_index: Callable[[int], int] | None = None
    """A random number below n. Without it ties go to whom kube-scheduler's heap has at its top."""

    def list(self, resource: str, namespace: str = "") -> list[Object]:
        """Objects from the shared informer of `resource`."""
        return self.client.informer(resource).list(namespace) if self.client else []

    def get(self, resource: str, name: str, namespace: str = "") -> Object | None:
        return self.client.informer(resource).get(name, namespace) if self.client else None


@lru_cache(maxsize=4096)
def _selector(text: bytes) -> Selector:
    return from_label_selector(orjson.loads(text))


def parsed_selector(selector: Object | None) -> tuple[Selector, bytes]:
    """A LabelSelector ready to match, and a key that is equal for equal selectors."""
    text = orjson.dumps(selector, option=orjson.OPT_SORT_KEYS)
    return _selector(text), text


Refusal = Status | frozenset[str] | None
"""What PreFilter answers: no, or the names of the only possible nodes, or yes."""

State = dict[str, Any]
"""What a plugin keeps from PreFilter and PreScore for the rest of one cycle, under its name."""


class Plugin:
    """Base of all plugins: implement the extension points you need. None means yes."""

    name = ""
    local = False
    even = False
    """What `normalize` makes of a score depends on which others there are, and not on how many nodes have them."""
    events: frozenset[str] = frozenset()
    """Kinds of Event that may help a Pod this plugin turned away; `helps` looks closer."""

    def __init__(self, handle: Handle, args: Object):
        self.handle, self.args = handle, args

    def pre_enqueue(self, pod: PodInfo) -> Status | None:
        """Say no to keep the Pod out of the queue."""
        return None

    def pre_filter(self, state: State, pod: PodInfo, nodes: Sequence[NodeInfo]) -> Refusal:
        """Prepare for `filter`. A set of names narrows the nodes; SKIP spares this plugin's filter."""
        return None

    def filter(self, state: State, pod: PodInfo, node: NodeInfo) -> Status | None:
        return None

    def post_filter(
        self, framework: "Framework", state: State, pod: PodInfo, diagnosis: "Diagnosis"
    ) -> "tuple[str | None, Status | None]":
        """After no node passed: (node to nominate, None), or (None or "" to clear the nomination, why not)."""
        return None, None

    def pre_score(self, state: State, pod: PodInfo, nodes: Sequence[NodeInfo]) -> bool:
        """Prepare for `score`; False spares this plugin's score."""
        return True

    def score(self, state: State, pod: PodInfo, node: NodeInfo) -> int:
        return 0

    def scores(self, state: State, pod: PodInfo, nodes: Sequence[NodeInfo]) -> list[int]:
        return [self.score(state, pod, node) for node in nodes]

    def facts(self, state: State) -> list[list[Any]]:
        """Columns of all nodes, changed only where nodes change: those with equal rows of them are scored alike.

        Who has none is asked for the scores of all feasible nodes.
        """
        return []

    def normalize(self, state: State, scores: list[int], nodes: Sequence[NodeInfo]) -> list[int]:
        """Bring raw scores to 0..100."""
        return scores

    def pre_bind(self, pod: PodInfo, node: str) -> bool:
        """Get ready for the Pod on its node; False if it has to wait for one of `events`."""
        return True

    def helps(self, event: Event, pod: PodInfo) -> bool:
        return True


def has(plugin: Plugin, *points: str) -> bool:
    """Whether the plugin implements one of these extension points."""
    return any(getattr(type(plugin), point) is not getattr(Plugin, point) for point in points)


def default_normalize(scores: list[int], *, reverse: bool = False) -> list[int]:
    """DefaultNormalizeScore: the highest becomes 100, or 0 if reversed."""
    highest = max(scores, default=0)
    if highest == 0:
        return [MAX_NODE_SCORE if reverse else 0] * len(scores)
    scaled = [MAX_NODE_SCORE * score // highest for score in scores]
    return [MAX_NODE_SCORE - score for score in scaled] if reverse else scaled
