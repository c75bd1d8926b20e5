"""HorizontalPodAutoscalers. Stands for `pkg/apis/autoscaling/validation`."""

from typing import Final

from k8s_core.api import Object, names
from k8s_core.api.field import forbidden, invalid, not_supported, required
from k8s_core.api.validation import meta, resources
from k8s_core.api.validation.common import (
    NOT_POSITIVE,
    Errors,
    bad,
    dns_label,
    each,
    listed,
    nanos,
    non_negative,
    number,
    shown,
    sub,
    text,
)

METRICS: Final = ("ContainerResource", "External", "Object", "Pods", "Resource")
SOURCES: Final = ("object", "external", "pods", "resource", "containerResource")
TARGETS: Final = ("Utilization", "Value", "AverageValue")
MAX_PERIOD: Final = 1800
MAX_WINDOW: Final = 3600


def autoscaler(obj: Object) -> Errors:
    """A HorizontalPodAutoscaler."""
    spec = sub(obj, "spec")
    low, high = spec.get("minReplicas"), number(spec, "maxReplicas")
    if low is not None and low < 1:
        yield invalid("spec.minReplicas", low, "must be greater than or equal to 1")
    if high < 1:
        yield invalid("spec.maxReplicas", high, NOT_POSITIVE)
    if low is not None and high < low:
        yield invalid("spec.maxReplicas", high, "must be greater than or equal to `minReplicas`")
    yield from _reference(sub(spec, "scaleTargetRef"), "spec.scaleTargetRef")
    for place, metric in each(spec, "metrics", "spec"):
        yield from _metric(metric, place)
    for direction in ("scaleUp", "scaleDown"):
        rules = sub(spec, "behavior").get(direction)
        if rules is not None:
            yield from _rules(rules, f"spec.behavior.{direction}")
    share = spec.get("targetCPUUtilizationPercentage")
    if share is not None and share < 1:
        yield invalid("spec.metrics[0].resource.target.averageUtilization", share, NOT_POSITIVE)


def autoscaler_status(new: Object, old: Object) -> Errors:
    """The counts in an autoscaler's status."""
    status = sub(new, "status")
    if status is not sub(old, "status"):
        for name in ("currentReplicas", "desiredReplicas"):
            yield from non_negative(status, name, "status")


def _reference(ref: Object, path: str) -> Errors:
    for name in ("kind", "name"):
        if not ref.get(name):
            yield required(f"{path}.{name}")
        else:
            yield from bad(f"{path}.{name}", ref[name], names.path_segment(ref[name]))


def _metric(metric: Object, path: str) -> Errors:
    kind = text(metric, "type")
    if not kind:
        yield required(f"{path}.type", "must specify a metric source type")
    if kind not in METRICS:
        yield not_supported(f"{path}.type", kind, METRICS)
    present = [name for name in SOURCES if metric.get(name) is not None]
    if present:
        yield from _source(present[0], metric[present[0]], f"{path}.{present[0]}")
    expected = kind[:1].lower() + kind[1:]
    if kind in METRICS and expected not in present:
        yield required(f"{path}.{expected}", "must populate information for the given metric source")
    if len(present) != 1:
        for name in present:
            if name != expected:
                yield forbidden(f"{path}.{name}", "must populate the given metric source only")


def _source(kind: str, source: Object, path: str) -> Errors:
    target, at = sub(source, "target"), f"{path}.target"
    if kind == "object":
        yield from _reference(sub(source, "describedObject"), f"{path}.describedObject")
    if kind in ("resource", "containerResource"):
        name = text(source, "name")
        if not name:
            yield required(f"{path}.name", "must specify a resource name")
        elif kind == "containerResource":
            yield from resources.container_name(f"{path}.name", name)
    else:
        metric = sub(source, "metric")
        if not metric.get("name"):
            yield required(f"{path}.metric.name", "must specify a metric name")
        else:
            yield from bad(f"{path}.metric.name", metric["name"], names.path_segment(metric["name"]))
        yield from meta.label_selector(metric.get("selector"), f"{path}.metric.selector")
    if kind == "containerResource":
        if not source.get("container"):
            yield required(f"{path}.container", "must specify a container")
        else:
            yield from dns_label(f"{path}.container", source["container"])
    yield from _target(target, at)
    value, average = target.get("value"), target.get("averageValue")
    share = target.get("averageUtilization")
    if kind in ("resource", "containerResource"):
        if share is None and average is None:
            why = "must set either a target raw value or a target utilization"
            yield required(f"{at}.averageUtilization", why)
        if share is not None and average is not None:
            why = "may not set both a target raw value and a target utilization"
            yield forbidden(f"{at}.averageValue", why)
    elif kind == "pods":
        if average is None:
            yield required(f"{at}.averageValue", "must specify a positive target averageValue")
    elif value is None and average is None:
        either = "averageValue" if kind == "object" else "a per-pod target"
        what = "a target value" if kind == "object" else "a target value for metric"
        yield required(f"{at}.averageValue", f"must set either {what} or {either}")
    elif kind == "external" and value is not None and average is not None:
        why = "may not set both a target value for metric and a per-pod target"
        yield forbidden(f"{at}.value", why)


def _target(target: Object, path: str) -> Errors:
    kind = text(target, "type")
    if not kind:
        yield required(f"{path}.type", "must specify a metric target type")
    if kind not in TARGETS:
        yield invalid(f"{path}.type", kind, "must be either Utilization, Value, or AverageValue")
    for name in ("value", "averageValue"):
        if target.get(name) is not None and nanos(target[name]) <= 0:
            yield invalid(f"{path}.{name}", shown(target[name]), "must be positive")
    share = target.get("averageUtilization")
    if share is not None and share < 1:
        yield invalid(f"{path}.averageUtilization", share, NOT_POSITIVE)


def _rules(rules: Object, path: str) -> Errors:
    window = rules.get("stabilizationWindowSeconds")
    if window is not None and window < 0:
        yield invalid(f"{path}.stabilizationWindowSeconds", window, "must be greater than or equal to zero")
    if window is not None and window > MAX_WINDOW:
        why = f"must be less than or equal to {MAX_WINDOW}"
        yield invalid(f"{path}.stabilizationWindowSeconds", window, why)
    if rules.get("selectPolicy") not in (None, "Disabled", "Max", "Min"):
        yield not_supported(f"{path}.selectPolicy", rules["selectPolicy"], ("Disabled", "Max", "Min"))
    if not listed(rules, "policies"):
        yield required(f"{path}.policies", "must specify at least one Policy")
    for place, policy in each(rules, "policies", path):
        if text(policy, "type") not in ("Percent", "Pods"):
            yield not_supported(f"{place}.type", text(policy, "type"), ("Percent", "Pods"))
        for name in ("value", "periodSeconds"):
            if number(policy, name) <= 0:
                yield invalid(f"{place}.{name}", number(policy, name), "must be greater than zero")
        if number(policy, "periodSeconds") > MAX_PERIOD:
            why = f"must be less than or equal to {MAX_PERIOD}"
            yield invalid(f"{place}.periodSeconds", policy["periodSeconds"], why)
