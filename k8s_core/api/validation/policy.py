"""Disruption budgets, quotas, limits, priorities, runtime classes.

Stands for `pkg/apis/policy/validation`, `scheduling/validation`, `node/validation` and parts of core's.
"""

from typing import Any, Final

from k8s_core.api import Object, names, quantity
from k8s_core.api.field import duplicate, forbidden, invalid, required
from k8s_core.api.validation import resources
from k8s_core.api.validation.common import (
    Errors,
    bad,
    each,
    listed,
    number,
    strings,
    sub,
    text,
)
from k8s_core.api.validation.formats import nanos, shown

HIGHEST_PRIORITY: Final = 1_000_000_000
SYSTEM_PRIORITIES: Final = {"system-node-critical": 2_000_001_000, "system-cluster-critical": 2_000_000_000}
LIMIT_TYPES: Final = {"Pod", "Container", "PersistentVolumeClaim"}
SCOPES: Final = {
    "Terminating", "NotTerminating", "BestEffort", "NotBestEffort", "PriorityClass", "CrossNamespacePodAffinity",
    "VolumeAttributesClass",
}  # fmt: skip
OPPOSITE_SCOPES: Final = ({"BestEffort", "NotBestEffort"}, {"Terminating", "NotTerminating"})
POD_COMPUTE: Final = {
    "pods", "cpu", "memory", "ephemeral-storage", "requests.cpu", "requests.memory", "requests.ephemeral-storage",
    "limits.cpu", "limits.memory", "limits.ephemeral-storage",
}  # fmt: skip


def one_way(spec: Object | None, path: str) -> Errors:
    """Either what must run or what may be missing."""
    low, high = (spec or {}).get("minAvailable"), (spec or {}).get("maxUnavailable")
    if spec and low is not None and high is not None:
        go = {
            "MinAvailable": low,
            "Selector": spec.get("selector"),
            "MaxUnavailable": high,
            "UnhealthyPodEvictionPolicy": spec.get("unhealthyPodEvictionPolicy"),
        }
        yield invalid(path, go, "minAvailable and maxUnavailable cannot be both set")


def resource_quota(obj: Object) -> Errors:
    """A ResourceQuota."""
    spec = sub(obj, "spec")
    yield from amounts(sub(spec, "hard"), "spec.hard")
    scopes, hard = strings(spec, "scopes"), sorted(sub(spec, "hard"))
    for scope in scopes:
        if scope not in SCOPES:
            yield invalid("spec.scopes", scopes, "unsupported scope")
        elif scope not in ("PriorityClass", "VolumeAttributesClass") and any(
            name in resources.QUOTA_RESOURCES and not _in_scope(scope, name) for name in hard
        ):
            yield invalid("spec.scopes", scopes, "unsupported scope applied to resource")
    if any(pair <= set(scopes) for pair in OPPOSITE_SCOPES):
        yield invalid("spec.scopes", scopes, "conflicting scopes")
    yield from _scope_selector(spec)
    for kind in ("hard", "used"):
        yield from amounts(sub(obj, "status", kind), f"status.{kind}")


def resource_quota_update(new: Object, old: Object) -> Errors:
    """A changed ResourceQuota: its scopes stay."""
    yield from resource_quota(new)
    after, before = strings(sub(new, "spec"), "scopes"), strings(sub(old, "spec"), "scopes")
    if set(after) != set(before):
        yield invalid("spec.scopes", after or None, "field is immutable")


def amounts(values: Object | None, path: str) -> Errors:
    """What a quota counts, and how much of it."""
    for name, value in (values or {}).items():
        yield from resources.quota_name(name, f"{path}[{name}]")
        yield from resources.amount(name, value or "0", f"{path}[{name}]")


def _in_scope(scope: str, name: str) -> bool:
    return name == "pods" if scope == "BestEffort" else name in POD_COMPUTE


def _scope_selector(spec: Object) -> Errors:
    path = "spec.scopeSelector.matchExpressions"
    for expression in listed(sub(spec, "scopeSelector"), "matchExpressions"):
        requirement = expression or {}
        scope, operator = text(requirement, "scopeName"), text(requirement, "operator")
        values = strings(requirement, "values")
        if scope not in SCOPES:
            yield invalid(f"{path}.scopeName", scope, "unsupported scope")
        elif scope not in ("PriorityClass", "VolumeAttributesClass") and operator != "Exists":
            why = (
                "must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, "
                "ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, "
                "ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity"
            )
            yield invalid(f"{path}.operator", operator, why)
        if operator in ("In", "NotIn"):
            if not values:
                why = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"
                yield required(f"{path}.values", why)
        elif operator in ("Exists", "DoesNotExist"):
            if values:
                why = "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector"
                yield invalid(f"{path}.values", values, why)
        else:
            yield invalid(f"{path}.operator", operator, "not a valid selector operator")


def limit_range(obj: Object) -> Errors:
    """A LimitRange: at most one item for each type, and its values in order."""
    seen: set[str] = set()
    for place, item in each(sub(obj, "spec"), "limits", "spec"):
        kind = text(item, "type")
        if messages := names.qualified_name(kind):
            yield from bad(f"{place}.type", kind, messages)
        elif "/" not in kind and kind not in LIMIT_TYPES:
            yield invalid(f"{place}.type", kind, "must be a standard limit type or fully qualified")
        if kind in seen:
            yield duplicate(f"{place}.type", kind)
        seen.add(kind)
        yield from _limits(item, kind, place)


def _limits(item: Object, kind: str, path: str) -> Errors:
    rule = resources.container_name if kind in ("Pod", "Container") else resources.resource_name
    fields = ["max", "min", "default", "defaultRequest", "maxLimitRequestRatio"]
    for field in fields:
        if kind == "Pod" and field in ("default", "defaultRequest"):
            if item.get(field):
                yield forbidden(f"{path}.{field}", "may not be specified when `type` is 'Pod'")
            continue
        for name in sub(item, field):
            yield from rule(name, f"{path}.{field}[{name}]")
        bounded = "storage" in sub(item, "min") or "storage" in sub(item, "max")
        if field == "defaultRequest" and kind == "PersistentVolumeClaim" and not bounded:
            why = "either minimum or maximum storage value is required, but neither was provided"
            yield required(f"{path}.limits", why)
    for name in dict.fromkeys(name for field in fields for name in sub(item, field)):
        yield from _ordered(item, name, path, with_defaults=kind != "Pod")


def _ordered(item: Object, name: str, path: str, *, with_defaults: bool) -> Errors:
    found: dict[str, Any] = {field: sub(item, field).get(name) for field in ("min", "max", "maxLimitRequestRatio")}
    for field in ("default", "defaultRequest"):
        found[field] = sub(item, field).get(name) if with_defaults else None
    words = {"min": "min", "max": "max", "default": "default", "defaultRequest": "default request"}
    # (low, high, whose field is named, whose value is shown), as upstream has it
    for low, high, place, which in (
        ("min", "max", "min", "min"),
        ("min", "defaultRequest", "defaultRequest", "defaultRequest"),
        ("defaultRequest", "max", "defaultRequest", "defaultRequest"),
        ("defaultRequest", "default", "defaultRequest", "defaultRequest"),
        ("min", "default", "default", "min"),
        ("default", "max", "default", "max"),
    ):
        one, other = found[low], found[high]
        if one is not None and other is not None and nanos(one) > nanos(other):
            greater = "default limit" if (low, high) == ("defaultRequest", "default") else words[high]
            why = f"{words[low]} value {shown(one)} is greater than {greater} value {shown(other)}"
            yield invalid(f"{path}.{place}[{name}]", shown(found[which]), why)
    ratio = found["maxLimitRequestRatio"]
    if ratio is not None:
        yield from _ratio(found, ratio, f"{path}.maxLimitRequestRatio[{name}]")
    request, limit = found["defaultRequest"], found["default"]
    if request is None or limit is None or resources.may_overcommit(name):
        return
    if nanos(request) != nanos(limit):
        asked = shown(request)
        why = f"default value {shown(limit)} must equal to defaultRequest value {asked} in {name}"
        yield invalid(f"{path}.defaultRequest[{name}]", asked, why)


def _ratio(found: dict[str, Any], ratio: Any, path: str) -> Errors:
    asked = shown(ratio)
    if nanos(ratio) < quantity.NANO:
        yield invalid(path, asked, f"ratio {asked} is less than 1")
    low, high = found["min"], found["max"]
    if low is not None and high is not None and nanos(low):
        limit = nanos(high) / nanos(low)
        if nanos(ratio) / quantity.NANO > limit:
            yield invalid(path, asked, f"ratio {asked} is greater than max/min = {limit:f}")


def priority(obj: Object) -> Errors:
    """What is called system- is Kubernetes' own."""
    name, value = text(sub(obj, "metadata"), "name"), number(obj, "value")
    if name.startswith("system-"):
        why = ""
        if name not in SYSTEM_PRIORITIES:
            why = f"{name} is not a known system priority class"
        elif value != SYSTEM_PRIORITIES[name]:
            why = f"value of {name} PriorityClass must be {SYSTEM_PRIORITIES[name]}"
        elif obj.get("globalDefault"):
            why = f"globalDefault of {name} PriorityClass must be false"
        if why:
            text_ = "priority class names with 'system-' prefix are reserved for system use only. error: "
            yield forbidden("metadata.name", text_ + why)
    elif value > HIGHEST_PRIORITY:
        yield forbidden("value", f"maximum allowed value of a user defined priority is {HIGHEST_PRIORITY}")


def overhead(values: Object | None, path: str) -> Errors:
    """What the runtime needs besides the containers."""
    for name, value in (values or {}).items():
        yield from resources.container_name(name, f"{path}[{name}]")
        yield from resources.amount(name, value or "0", f"{path}[{name}]")
