"""Compute resources: their names, quantities, requests and limits. Stands for parts of core's validation."""

from collections.abc import Callable
from typing import Any, Final

from k8s_core.api import Object, names, quantity
from k8s_core.api.field import FieldError, duplicate, forbidden, invalid, not_supported, required
from k8s_core.api.validation.common import Errors, bad, each, sub, text
from k8s_core.api.validation.formats import NEGATIVE, nanos, short_name, shown

NameRule = Callable[[str, str], Errors]

CONTAINER_RESOURCES: Final = {"cpu", "memory", "ephemeral-storage"}
POD_RESOURCES: Final = ("cpu", "memory")
QUOTA_RESOURCES: Final = {
    "cpu", "memory", "ephemeral-storage", "requests.cpu", "requests.memory", "requests.storage",
    "requests.ephemeral-storage", "limits.cpu", "limits.memory", "limits.ephemeral-storage", "pods",
    "resourcequotas", "services", "replicationcontrollers", "secrets", "persistentvolumeclaims", "configmaps",
    "services.nodeports", "services.loadbalancers",
}  # fmt: skip
STANDARD_RESOURCES: Final = QUOTA_RESOURCES | {"storage"}
INTEGER_RESOURCES: Final = {
    "pods", "resourcequotas", "services", "replicationcontrollers", "secrets", "configmaps",
    "persistentvolumeclaims", "services.nodeports", "services.loadbalancers",
}  # fmt: skip
HUGE_PAGES: Final = "hugepages-"


def is_native(name: str) -> bool:
    """Whether a resource belongs to Kubernetes itself."""
    return "/" not in name or "kubernetes.io/" in name


def is_extended(name: str) -> bool:
    """Whether a resource is one that a device plugin adds."""
    return not is_native(name) and not name.startswith("requests.") and not names.qualified_name("requests." + name)


def may_overcommit(name: str) -> bool:
    """Whether limits may be above requests."""
    return is_native(name) and not name.startswith(HUGE_PAGES)


def resource_name(name: str, path: str) -> Errors:
    """The name of a resource, in general."""
    if messages := names.qualified_name(name):
        yield from bad(path, name, messages)
    elif "/" not in name and name not in STANDARD_RESOURCES and not name.startswith(HUGE_PAGES):
        yield invalid(path, name, "must be a standard resource type or fully qualified")


def container_name(name: str, path: str) -> Errors:
    """The name of a resource that a container can ask for."""
    errors = list(resource_name(name, path))
    yield from errors
    if "/" not in name:
        if name not in CONTAINER_RESOURCES and not name.startswith(HUGE_PAGES):
            yield invalid(path, name, "must be a standard resource for containers")
    elif not is_native(name) and not is_extended(name):
        yield invalid(path, name, "doesn't follow extended resource name standard")


def pod_name(name: str, path: str) -> Errors:
    """The name of a resource that a whole Pod can ask for."""
    errors = list(resource_name(name, path))
    yield from errors
    if not errors and name not in POD_RESOURCES and not name.startswith(HUGE_PAGES):
        yield not_supported(path, name, ("cpu", "hugepages-", "memory"))


def quota_name(name: str, path: str) -> Errors:
    """The name of a resource that a quota can count."""
    yield from resource_name(name, path) if "/" in name or name in QUOTA_RESOURCES else _unknown_quota(name, path)


def _unknown_quota(name: str, path: str) -> Errors:
    standard = name.startswith((HUGE_PAGES, "requests." + HUGE_PAGES))
    if not standard:
        yield from resource_name(name, path)
        yield invalid(path, name, "must be a standard resource for quota")


def amount(name: str, value: Any, path: str) -> Errors:
    """A quantity that is not negative, and whole where the resource is counted."""
    found = nanos(value)
    if found < 0:
        yield invalid(path, shown(value), NEGATIVE)
    if (name in INTEGER_RESOURCES or is_extended(name)) and found % quantity.NANO:
        yield invalid(path, shown(value), "must be an integer")


def requirements(node: Object, path: str, name_rule: NameRule, claims: set[str]) -> Errors:
    """Requests and limits of a container or a Pod."""
    limits, requests = sub(node, "limits"), sub(node, "requests")
    for name, value in limits.items():
        place = f"{path}.limits[{name}]"
        yield from name_rule(name, place)
        yield from amount(name, value, place)
        yield from _huge_page(name, value, place)
    for name, value in requests.items():
        place = f"{path}.requests[{name}]"
        yield from name_rule(name, place)
        yield from amount(name, value, place)
        if name in limits:
            difference = nanos(value) - nanos(limits[name])
            asked, limit = shown(value), shown(limits[name])
            if difference and not may_overcommit(name):
                yield invalid(f"{path}.requests", asked, f"must be equal to {name} limit of {limit}")
            elif difference > 0:
                why = f"must be less than or equal to {name} limit of {limit}"
                yield invalid(f"{path}.requests", asked, why)
        elif not may_overcommit(name):
            yield required(f"{path}.limits", "Limit must be set for non overcommitable resources")
        yield from _huge_page(name, value, place)
    every = {*limits, *requests}
    if any(name.startswith(HUGE_PAGES) for name in every) and not every & {"cpu", "memory"}:
        yield forbidden(path, "HugePages require cpu or memory")
    yield from _claims(node, path, claims)


def _huge_page(name: str, value: Any, path: str) -> Errors:
    if name.startswith(HUGE_PAGES):
        size = nanos(name.removeprefix(HUGE_PAGES))
        if size <= 0 or nanos(value) % size:
            asked = shown(value)
            yield invalid(path, asked, f"{asked} is not positive integer multiple of {name}")


def _claims(node: Object, path: str, claims: set[str]) -> Errors:
    seen: set[str] = set()
    for place, claim in each(node, "claims", path):
        name, request = text(claim, "name"), text(claim, "request")
        if not name:
            yield required(place)
            continue
        key = f"{name}/{request}" if request else name
        if request:
            yield from bad(f"{place}.request", request, short_name(request))
        if key in seen or name in seen or (not request and any(k.startswith(name + "/") for k in seen)):
            yield duplicate(place, name if name in seen or not request else key)
        seen.add(key)
        if name not in claims:
            known = ": " + ", ".join(sorted(claims)) if claims else " which is empty"
            yield FieldError(
                "FieldValueNotFound", place, f"must be one of the names in pod.spec.resourceClaims{known}", name
            )
