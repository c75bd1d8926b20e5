"""LimitRanger: gives containers a namespace's default requests and limits, and holds everything to its bounds."""

from collections.abc import Iterator, Mapping
from typing import ClassVar

from k8s_core.api import Object, quota
from k8s_core.api.quantity import Quantity
from k8s_core.apiserver.admission.plugin import CREATE, UPDATE, Plugin, forbidden
from k8s_core.apiserver.authorization import aggregate
from k8s_core.apiserver.request import Request

ANNOTATION = "kubernetes.io/limit-ranger"


class LimitRanger(Plugin):
    name: ClassVar[str] = "LimitRanger"
    resources: ClassVar[frozenset[str]] = frozenset({quota.PODS, quota.CLAIMS})
    operations: ClassVar[frozenset[str]] = frozenset({CREATE, UPDATE})

    def mutate(self, request: Request, obj: Object | None, old: Object | None) -> None:
        if obj is None or old is not None or request.subresource or obj["kind"] != "Pod":
            return
        for limit_range in self.reader.list("limitranges", request.namespace):
            _set_defaults(obj, limit_range)

    def validate(self, request: Request, obj: Object | None, old: Object | None) -> None:
        if obj is None or request.subresource or (old is not None and obj["kind"] == "Pod"):
            return
        for limit_range in self.reader.list("limitranges", request.namespace):
            if problems := list(dict.fromkeys(_problems(obj, limit_range["spec"].get("limits") or []))):
                raise forbidden(request, None, aggregate(problems))


def _set_defaults(pod: Object, limit_range: Object) -> None:
    limits: dict[str, str] = {}
    requests: dict[str, str] = {}
    for item in limit_range["spec"].get("limits") or ():
        if item.get("type") == "Container":
            limits |= item.get("default") or {}
            requests |= item.get("defaultRequest") or {}
    done = []
    for list_name, what in (("containers", "container"), ("initContainers", "init container")):
        for container in pod["spec"].get(list_name) or ():
            for kind, defaults in (("requests", requests), ("limits", limits)):
                have = (container.get("resources") or {}).get(kind) or {}
                if missing := {name: value for name, value in defaults.items() if name not in have}:
                    container.setdefault("resources", {})[kind] = {**have, **missing}
                    done.append(f"{', '.join(sorted(missing))} {kind[:-1]} for {what} {container['name']}")
    if done:
        annotations = pod["metadata"].get("annotations") or {}
        pod["metadata"]["annotations"] = {**annotations, ANNOTATION: "LimitRanger plugin set: " + "; ".join(done)}


def _problems(obj: Object, items: list[Object]) -> Iterator[str]:
    for item in items:
        kind = item.get("type")
        if kind == "Container" and obj["kind"] == "Pod":
            spec = obj["spec"]
            for container in [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]:
                resources = container.get("resources") or {}
                yield from _check(item, quota.parsed(resources.get("requests")), quota.parsed(resources.get("limits")))
        elif kind == "Pod" and obj["kind"] == "Pod":
            yield from _check(item, quota.pod_total(obj["spec"], "requests"), quota.pod_total(obj["spec"], "limits"))
        elif kind == "PersistentVolumeClaim" and obj["kind"] == kind:
            requests = quota.parsed((obj["spec"].get("resources") or {}).get("requests"))
            for name, low in quota.parsed(item.get("min")).items():
                yield from _minimum(kind, name, low, requests, {})
            for name, high in quota.parsed(item.get("max")).items():
                if name in requests and requests[name].nanos > high.nanos:
                    yield f"maximum {name} usage per {kind} is {high}, but request is {requests[name]}"


def _check(item: Object, requests: Mapping[str, Quantity], limits: Mapping[str, Quantity]) -> Iterator[str]:
    kind = item["type"]
    for name, low in quota.parsed(item.get("min")).items():
        yield from _minimum(kind, name, low, requests, limits)
    for name, high in quota.parsed(item.get("max")).items():
        start = f"maximum {name} usage per {kind} is {high}"
        if name not in limits:
            yield f"{start}.  No limit is specified"
        elif limits[name].nanos > high.nanos:
            yield f"{start}, but limit is {limits[name]}"
        elif name in requests and requests[name].nanos > high.nanos:
            yield f"{start}, but request is {requests[name]}"
    for name, ratio in quota.parsed(item.get("maxLimitRequestRatio")).items():
        start = f"{name} max limit to request ratio per {kind} is {ratio}"
        request, limit = requests.get(name, Quantity(0)).nanos, limits.get(name, Quantity(0)).nanos
        if not request:
            yield f"{start}, but no request is specified or request is 0"
        elif not limit:
            yield f"{start}, but no limit is specified or limit is 0"
        elif limit * 10**9 > request * ratio.nanos:
            yield f"{start}, but provided ratio is {limit / request:f}"


def _minimum(
    kind: str, name: str, low: Quantity, requests: Mapping[str, Quantity], limits: Mapping[str, Quantity]
) -> Iterator[str]:
    start = f"minimum {name} usage per {kind} is {low}"
    if name not in requests:
        yield f"{start}.  No request is specified"
    elif requests[name].nanos < low.nanos:
        yield f"{start}, but request is {requests[name]}"
    elif name in limits and limits[name].nanos < low.nanos:
        yield f"{start}, but limit is {limits[name]}"
