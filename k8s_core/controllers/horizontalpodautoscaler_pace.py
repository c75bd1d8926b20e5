"""How far and how fast a HorizontalPodAutoscaler may go: stabilization windows, policies, limits. No API calls here.

Stands for what pkg/controller/podautoscaler/horizontal.go does to a recommendation, with spec.behavior and without it.
"""

import math
from dataclasses import dataclass, field

from k8s_core.api import Object
from k8s_core.limits import HPA_DOWNSCALE_STABILIZATION

Told = tuple[str, str]
"""A condition's reason and message."""
READY: Told = ("ReadyForNewScale", "recommended size matches current size")
STABILIZED: dict[bool, Told] = {  # by whether it would be fewer
    True: (
        "ScaleDownStabilized",
        "recent recommendations were higher than current one, applying the highest recent recommendation",
    ),
    False: (
        "ScaleUpStabilized",
        "recent recommendations were lower than current one, applying the lowest recent recommendation",
    ),
}
WITHIN: Told = ("DesiredWithinRange", "the desired count is within the acceptable range")
TOO_MANY: Told = ("TooManyReplicas", "the desired replica count is more than the maximum replica count")
TOO_FEW: Told = ("TooFewReplicas", "the desired replica count is less than the minimum replica count")
TOO_FAST: dict[bool, Told] = {
    True: ("ScaleDownLimit", "the desired replica count is decreasing faster than the maximum scale rate"),
    False: ("ScaleUpLimit", "the desired replica count is increasing faster than the maximum scale rate"),
}


@dataclass
class Memory:
    """What an autoscaler recommended and did: times, and numbers of Pods (fewer are negative changes)."""

    recommended: list[tuple[float, int]] = field(default_factory=list)
    changes: list[tuple[float, int]] = field(default_factory=list)

    def since(self, cutoff: float) -> list[int]:
        return [count for at, count in self.recommended if at > cutoff]

    def change_since(self, cutoff: float) -> int:
        return sum(count for at, count in self.changes if at > cutoff)


def normalized(hpa: Object, memory: Memory, now: float, current: int, proposed: int) -> tuple[int, Told, Told]:
    """The number of Pods that the proposal comes to, and what AbleToScale and ScalingLimited say of that."""
    behavior = hpa["spec"].get("behavior")
    windows = {
        way: float((behavior or {}).get(way, {}).get("stabilizationWindowSeconds", default))
        for way, default in (("scaleUp", 0), ("scaleDown", HPA_DOWNSCALE_STABILIZATION))
    }
    highest = max([proposed, *memory.since(now - windows["scaleDown"])])
    lowest = min([proposed, *memory.since(now - windows["scaleUp"])])
    stable = highest if behavior is None else min(max(current, lowest), highest)
    memory.recommended = [each for each in memory.recommended if each[0] > now - max(windows.values())]
    memory.recommended.append((now, proposed))
    fewer = behavior is None or proposed < current
    able = READY if stable == proposed else STABILIZED[fewer]
    desired, limited = within(hpa, memory, now, current, stable)
    return desired, able, limited


def within(hpa: Object, memory: Memory, now: float, current: int, wanted: int) -> tuple[int, Told]:
    """As many of the wanted Pods as the limits and policies allow."""
    least, most = hpa["spec"].get("minReplicas", 1), hpa["spec"]["maxReplicas"]
    behavior = hpa["spec"].get("behavior")
    if behavior is None:
        fastest = max(2 * current, 4)
        if wanted < least:
            return least, TOO_FEW
        if wanted > min(fastest, most):
            return min(fastest, most), TOO_FAST[False] if fastest < most else TOO_MANY
    elif wanted > current:
        fastest = max(current, reach(behavior.get("scaleUp") or {}, memory, now, current, 1))
        if wanted > min(fastest, most):
            return min(fastest, most), TOO_FAST[False] if fastest < most else TOO_MANY
    elif wanted < current:
        slowest = min(current, reach(behavior.get("scaleDown") or {}, memory, now, current, -1))
        if wanted < max(slowest, least):
            return max(slowest, least), TOO_FAST[True] if slowest > least else TOO_FEW
    return wanted, WITHIN


def reach(rules: Object, memory: Memory, now: float, current: int, way: int) -> int:
    """How far the policies let it go up (1) or down (-1), counted from where each one's period began."""
    choice = rules.get("selectPolicy", "Max")
    if choice == "Disabled":
        return current
    found = []
    for policy in rules.get("policies") or ():
        start = current - memory.change_since(now - policy["periodSeconds"])
        if policy["type"] == "Pods":
            found.append(start + way * policy["value"])
        else:
            share = start * (1 + way * policy["value"] / 100)
            found.append(math.ceil(share) if way > 0 else int(share))
    return max(found, default=current) if (choice == "Max") == (way > 0) else min(found, default=current)
