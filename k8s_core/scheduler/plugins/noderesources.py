"""Does the Pod fit into what is left of the node, and where does it leave things best?

Stand for plugins/noderesources: Fit with its scoring strategies, and BalancedAllocation as of 1.36, which compares
the balance with and without the Pod. Left out: DRA's extended resources.
"""

import math
from collections.abc import Container, Sequence

from k8s_core.api import Object
from k8s_core.api.requests import Amounts, amounts
from k8s_core.api.validation.resources import is_extended
from k8s_core.scheduler.cache import NodeInfo, PodInfo
from k8s_core.scheduler.plugin import MAX_NODE_SCORE, Code, Event, Handle, Plugin, State, Status

DEFAULT_RESOURCES: Sequence[Object] = ({"name": "cpu", "weight": 1}, {"name": "memory", "weight": 1})


def insufficient(requests: Amounts, node: NodeInfo, ignored: Container[str] = ()) -> tuple[list[str], bool]:
    """(what the node has too little of, whether even the empty node would) for one more Pod.

    `ignored` are names of extended resources, or the first part of such names, that somebody else looks after.
    """
    reasons: list[str] = []
    hopeless = False
    allocatable, requested = node.allocatable, node.requested
    if len(node.pods) + 1 > allocatable.get("pods", 0):
        reasons.append("Too many pods")
    for name, value in requests.items():
        capacity = allocatable.get(name, 0)
        if value > 0 and value > capacity - requested.get(name, 0):
            if ignored and is_extended(name) and (name in ignored or name.partition("/")[0] in ignored):
                continue
            reasons.append(f"Insufficient {name}")
            hopeless = hopeless or value > capacity
    return reasons, hopeless


def least_allocated(requested: int, capacity: int) -> int:
    return (capacity - requested) * MAX_NODE_SCORE // capacity if requested <= capacity else 0


def most_allocated(requested: int, capacity: int) -> int:
    return min(requested, capacity) * MAX_NODE_SCORE // capacity


def broken_linear(shape: Sequence[dict[str, int]], utilization: int) -> int:
    """helper.BuildBrokenLinearFunction: between the points of `shape` in straight lines, flat outside."""
    points = [(point["utilization"], point["score"] * 10) for point in shape]
    for index, (x, y) in enumerate(points):
        if utilization <= x:
            if index == 0:
                return y
            x0, y0 = points[index - 1]
            return y0 + int((y - y0) * (utilization - x0) / (x - x0))
    return points[-1][1]


class NodeResourcesFit(Plugin):
    """Filter: requests fit. Score: LeastAllocated (default), MostAllocated or RequestedToCapacityRatio."""

    name = "NodeResourcesFit"
    local = True
    events = frozenset({"AssignedPod/Update", "AssignedPod/Delete", "Node/Add", "Node/Update", "TargetPod/Update"})

    def __init__(self, handle: Handle, args: Object):
        super().__init__(handle, args)
        self._ignored = {*(args.get("ignoredResources") or ()), *(args.get("ignoredResourceGroups") or ())}

    def filter(self, state: State, pod: PodInfo, node: NodeInfo) -> Status | None:
        reasons, hopeless = insufficient(pod.requests, node, self._ignored)
        if not reasons:
            return None
        return Status(Code.UNRESOLVABLE if hopeless else Code.UNSCHEDULABLE, tuple(reasons))

    def score(self, state: State, pod: PodInfo, node: NodeInfo) -> int:
        strategy = self.args.get("scoringStrategy") or {}
        kind = strategy.get("type", "LeastAllocated")
        score = weights = 0
        for resource in strategy.get("resources") or DEFAULT_RESOURCES:
            name, weight = resource["name"], resource.get("weight", 1)
            capacity = node.allocatable.get(name, 0)
            base = node.nonzero if name in node.nonzero else node.requested
            asked = pod.nonzero.get(name, 0)
            if not capacity or (name not in node.nonzero and not asked):
                continue
            requested = base.get(name, 0) + asked
            if kind == "LeastAllocated":
                one = least_allocated(requested, capacity)
            elif kind == "MostAllocated":
                one = most_allocated(requested, capacity)
            else:
                shape = strategy["requestedToCapacityRatio"]["shape"]
                one = broken_linear(shape, min(requested, capacity) * 100 // capacity)
                if not one:
                    continue
            score += one * weight
            weights += weight
        if not weights:
            return 0
        return round_half_away(score / weights) if kind == "RequestedToCapacityRatio" else score // weights

    def helps(self, event: Event, pod: PodInfo) -> bool:
        if event.kind in ("TargetPod/Update", "AssignedPod/Update"):  # it shrinks, or somebody else does
            names = event.old.requests if event.kind == "TargetPod/Update" else pod.requests
            return any(event.new.requests.get(name, 0) < event.old.requests.get(name, 0) for name in names)
        if event.kind == "AssignedPod/Delete":
            # A Pod that leaves always frees its place among the node's Pods.
            return bool(event.old.pod["spec"].get("nodeName"))
        now = amounts((event.new.get("status") or {}).get("allocatable"))
        if any(value > now.get(name, 0) for name, value in pod.requests.items()):
            return False
        if event.old is None:
            return True
        was = amounts((event.old.get("status") or {}).get("allocatable"))
        return any(now.get(name, 0) > was.get(name, 0) for name in (*pod.requests, "pods"))


def round_half_away(number: float) -> int:
    """Go's math.Round for what is not negative."""
    return math.floor(number + 0.5)


def balance(requested: Sequence[int], allocatable: Sequence[int]) -> int:
    """100 when all resources are used in the same proportion, 50 when one is full and the other empty."""
    fractions = [min(r / a, 1.0) for r, a in zip(requested, allocatable, strict=True) if a]
    deviation = 0.0
    if len(fractions) == 2:
        deviation = abs((fractions[0] - fractions[1]) / 2)
    elif len(fractions) > 2:
        mean = sum(fractions) / len(fractions)
        deviation = math.sqrt(sum((f - mean) * (f - mean) for f in fractions) / len(fractions))
    return int((1 - deviation) * MAX_NODE_SCORE)


class NodeResourcesBalancedAllocation(Plugin):
    """Prefers nodes on which CPU and memory get more evenly used by taking the Pod: 75 if nothing changes."""

    name = "NodeResourcesBalancedAllocation"
    local = True

    def pre_score(self, state: State, pod: PodInfo, nodes: Sequence[NodeInfo]) -> bool:
        return any(pod.requests.get(resource["name"]) for resource in self._resources())

    def score(self, state: State, pod: PodInfo, node: NodeInfo) -> int:
        names = [
            resource["name"]
            for resource in self._resources()
            if resource["name"] in node.nonzero or pod.requests.get(resource["name"])
        ]
        allocatable = [node.allocatable.get(name, 0) for name in names]
        without = [node.requested.get(name, 0) for name in names]
        requested = [have + pod.requests.get(name, 0) for have, name in zip(without, names, strict=True)]
        half = MAX_NODE_SCORE // 2
        return half + (half + balance(requested, allocatable) - balance(without, allocatable)) // 2

    def _resources(self) -> Sequence[Object]:
        found: Sequence[Object] = self.args.get("resources") or DEFAULT_RESOURCES
        return found
