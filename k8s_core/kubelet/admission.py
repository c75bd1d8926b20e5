"""Whether a node can take a Pod: the kubelet's own check, for Pods that a scheduler did not place.

Stands for pkg/kubelet/lifecycle/predicate.go. Left out: taints, ports and volumes, which the scheduler looks at.
"""

from k8s_core import limits
from k8s_core.api import Object, quantity


def check(spec: Object, node: Object | None, used: list[dict[str, int]]) -> tuple[str, str] | None:
    """Why a Pod is rejected, (reason, message), or None. `used` is what the Pods that are there ask for."""
    allocatable = (node or {}).get("status", {}).get("allocatable") or limits.NODE_CAPACITY
    asked = requests(spec)
    for resource, read in (("cpu", quantity.milli), ("memory", quantity.value)):
        want, have, room = asked[resource], sum(u[resource] for u in used), read(allocatable[resource])
        if want and have + want > room:
            return _rejected(resource, want, have, room)
    if len(used) + 1 > int(allocatable["pods"]):
        return _rejected("pods", 1, len(used), int(allocatable["pods"]))
    selector = spec.get("nodeSelector") or {}
    labels = (node or {}).get("metadata", {}).get("labels") or {}
    if node and any(labels.get(k) != v for k, v in selector.items()):
        return "NodeAffinity", (
            "Pod was rejected: Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector"
        )
    return None


def requests(spec: Object) -> dict[str, int]:
    """What a Pod asks for: the sum of its containers, or the biggest init container."""

    def of(containers: list[Object], resource: str) -> list[int]:
        read = quantity.milli if resource == "cpu" else quantity.value
        return [read(((c.get("resources") or {}).get("requests") or {}).get(resource) or "0") for c in containers]

    return {
        resource: max([sum(of(spec["containers"], resource)), *of(spec.get("initContainers") or [], resource)])
        for resource in ("cpu", "memory")
    }


def _rejected(resource: str, want: int, used: int, room: int) -> tuple[str, str]:
    return f"OutOf{resource}", (
        f"Pod was rejected: Node didn't have enough resource: {resource}, requested: {want}, used: {used}, "
        f"capacity: {room}"
    )
