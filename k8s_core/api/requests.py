"""What a Pod asks of a node, in whole numbers: CPU in thousandths of a core, everything else in its own unit.

Stands for component-helpers resource.PodRequests. Promises the effective request: the sum of the containers and
the sidecars, or the largest moment of the init phase if that is more, overridden by requests on the Pod itself,
plus its overhead. While a Pod is resized a container counts with the larger of what it has and what it wants; with
what it has alone if the node can never give the other.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from k8s_core.api import Object, quantity

Amounts = dict[str, int]

# What a container without requests counts for when nodes are compared (not when they are filtered).
NON_ZERO = {"cpu": 100, "memory": 200 * 1024 * 1024}


@lru_cache(maxsize=4096)
def amount(resource: str, text: str) -> int:
    """A quantity as the scheduler counts it: "500m" of cpu is 500, "64Mi" of memory is 67108864."""
    return quantity.milli(text) if resource == "cpu" else quantity.value(text)


def amounts(quantities: Mapping[str, Any] | None) -> Amounts:
    return {name: amount(name, str(text)) for name, text in (quantities or {}).items()}


def _add(total: Amounts, more: Mapping[str, int]) -> None:
    for name, value in more.items():
        total[name] = total.get(name, 0) + value


def _raise_to(total: Amounts, least: Mapping[str, int]) -> None:
    for name, value in least.items():
        if value > total.get(name, 0):
            total[name] = value


def resize(status: Object | None) -> str:
    """The reason of a resize that is not over: Infeasible, Deferred, InProgress; "" without one."""
    for condition in (status or {}).get("conditions") or ():
        if condition["type"] == "PodResizePending":
            return str(condition.get("reason"))
        if condition["type"] == "PodResizeInProgress":
            return "InProgress"
    return ""


def pod_requests(spec: Object, missing: Mapping[str, int] | None = None, status: Object | None = None) -> Amounts:
    """The effective requests of a Pod. `missing` gives the values of what a container does not name."""
    under_way = resize(status)
    held: dict[str, Amounts] = {
        each["name"]: amounts(each.get("allocatedResources"))
        for part in ("containerStatuses", "initContainerStatuses")
        for each in (under_way and status and status.get(part)) or ()
    }

    def of(container: Object) -> Amounts:
        found = amounts((container.get("resources") or {}).get("requests"))
        if held:
            has = held.get(container["name"], {})
            found = has if under_way == "Infeasible" else {n: max(found.get(n, 0), has.get(n, 0)) for n in found | has}
        return {**missing, **found} if missing else dict(found)

    total: Amounts = {}
    for container in spec["containers"]:
        _add(total, of(container))
    sidecars: Amounts = {}
    peak: Amounts = {}
    for container in spec.get("initContainers") or ():
        asked = of(container)
        if container.get("restartPolicy") == "Always":
            _add(total, asked)
            _add(sidecars, asked)
            asked = dict(sidecars)
        else:
            _add(asked, sidecars)
        _raise_to(peak, asked)
    _raise_to(total, peak)
    if spec.get("resources"):
        total.update(amounts(spec["resources"].get("requests")))
    _add(total, amounts(spec.get("overhead")))
    return total
