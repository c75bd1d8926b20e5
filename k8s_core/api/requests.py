"""What a Pod asks of a node, in whole numbers: CPU in thousandths of a core, everything else in its own unit.

Stands for component-helpers resource.PodRequests. Promises the effective request: the sum of the containers and
the sidecars, or the largest moment of the init phase if that is more, overridden by requests on the Pod itself,
plus its overhead. Left out: what an in-place resize has allocated but not yet granted.
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


def pod_requests(spec: Object, missing: Mapping[str, int] | None = None) -> Amounts:
    """The effective requests of a Pod. `missing` gives the values of what a container does not name."""

    def of(container: Object) -> Amounts:
        found = amounts((container.get("resources") or {}).get("requests"))
        return {**missing, **found} if missing else found

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
