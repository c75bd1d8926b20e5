"""Kinds that are served in two versions but stored in one.

Events (v1 and events.k8s.io/v1) lie in etcd as v1, HorizontalPodAutoscalers (autoscaling/v1 and v2) as v2. What the
other version has no field for is kept in annotations, as upstream's conversion functions do. All other kinds pass
through as they are.
"""

from collections.abc import Iterable
from typing import Any, Final

import orjson

from k8s_core.api import Object
from k8s_core.api.resources import Resource

# events.k8s.io/v1 name -> v1 name
_EVENT: Final = {
    "regarding": "involvedObject",
    "note": "message",
    "deprecatedSource": "source",
    "deprecatedFirstTimestamp": "firstTimestamp",
    "deprecatedLastTimestamp": "lastTimestamp",
    "deprecatedCount": "count",
    "reportingController": "reportingComponent",
}
_EVENT_BACK: Final = {old: new for new, old in _EVENT.items()}
_EVENT_ALWAYS: Final[Object] = {
    "involvedObject": {}, "source": {}, "firstTimestamp": None, "lastTimestamp": None, "eventTime": None,
    "reportingComponent": "", "reportingInstance": "",
}  # fmt: skip

_ALPHA: Final = "autoscaling.alpha.kubernetes.io/"
# What autoscaling/v1 keeps in annotations: name -> (part of the object, field in v2)
_ANNOTATIONS: Final = {
    "metrics": ("spec", "metrics"),
    "behavior": ("spec", "behavior"),
    "current-metrics": ("status", "currentMetrics"),
    "conditions": ("status", "conditions"),
}


def to_storage(obj: Object, resource: Resource) -> Object:
    """The object in the version that etcd keeps; the same object if that is the one it has."""
    if resource.custom:
        stored = f"{resource.group}/{resource.stored_as[1]}"
        return obj if obj["apiVersion"] == stored else {**obj, "apiVersion": stored}
    if obj["kind"] == "Event" and obj["apiVersion"] == "events.k8s.io/v1":
        found = {_EVENT.get(name, name): value for name, value in obj.items()}
        return {**_EVENT_ALWAYS, **found, "apiVersion": "v1"}
    if obj["kind"] == "HorizontalPodAutoscaler" and obj["apiVersion"] == "autoscaling/v1":
        return _to_v2(obj)
    return obj


def from_storage(obj: Object, resource: Resource) -> Object:
    """A stored object in the version of the resource that was asked for."""
    if obj["apiVersion"] == resource.api_version:
        return obj
    if resource.kind == "Event":
        found = {_EVENT_BACK.get(name, name): value for name, value in obj.items()}
        return {**found, "apiVersion": resource.api_version}
    if resource.kind == "HorizontalPodAutoscaler":
        return _to_v1(obj)
    return {**obj, "apiVersion": resource.api_version}


def _to_v2(obj: Object) -> Object:
    metadata, spec, status = (
        dict(obj.get("metadata") or {}),
        dict(obj.get("spec") or {}),
        dict(obj.get("status") or {}),
    )
    annotations = dict(metadata.get("annotations") or {})
    parts = {"spec": spec, "status": status}
    for name, (part, target) in _ANNOTATIONS.items():
        text = annotations.pop(_ALPHA + name, None)
        try:
            kept = orjson.loads(text) if text else None
        except orjson.JSONDecodeError:
            kept = None  # upstream, too, overlooks what it cannot read
        if kept:
            parts[part][target] = [_metric_to_v2(m) for m in kept] if "etrics" in target else kept
    cpu = spec.pop("targetCPUUtilizationPercentage", None)
    if cpu is not None:
        wanted = {"type": "Utilization", "averageUtilization": cpu}
        spec["metrics"] = [
            *spec.get("metrics", ()),
            {"type": "Resource", "resource": {"name": "cpu", "target": wanted}},
        ]
    used = status.pop("currentCPUUtilizationPercentage", None)
    if used is not None and not _cpu(status.get("currentMetrics") or (), "current"):
        current = {"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": used}}}
        status["currentMetrics"] = [*status.get("currentMetrics", ()), current]
    if not status.get("currentReplicas"):
        status.pop("currentReplicas", None)  # v1 always writes it, v2 only if there are any
    return _object(obj, "autoscaling/v2", metadata, annotations, spec, status)


def _to_v1(obj: Object) -> Object:
    metadata, spec, status = (
        dict(obj.get("metadata") or {}),
        dict(obj.get("spec") or {}),
        dict(obj.get("status") or {}),
    )
    annotations = dict(metadata.get("annotations") or {})
    cpu = _cpu(spec.get("metrics") or (), "target")
    if cpu:
        spec["targetCPUUtilizationPercentage"] = cpu["resource"]["target"]["averageUtilization"]
        spec["metrics"] = [metric for metric in spec["metrics"] if metric is not cpu]
    used = _cpu(status.get("currentMetrics") or (), "current")
    if used:
        status["currentCPUUtilizationPercentage"] = used["resource"]["current"]["averageUtilization"]
    parts = {"spec": spec, "status": status}
    for name, (part, target) in _ANNOTATIONS.items():
        value = parts[part].pop(target, None)
        if value:
            kept = [_metric_to_v1(metric) for metric in value] if "etrics" in target else value
            annotations[_ALPHA + name] = orjson.dumps(kept).decode()
    status = {"currentReplicas": 0, "desiredReplicas": 0, **status}
    return _object(obj, "autoscaling/v1", metadata, annotations, spec, status)


def _object(obj: Object, version: str, metadata: Object, annotations: Object, spec: Object, status: Object) -> Object:
    metadata.pop("annotations", None)
    if annotations:
        metadata["annotations"] = annotations
    found = {**obj, "apiVersion": version, "metadata": metadata, "spec": spec}
    return {**found, "status": status} if status or "status" in obj else found


def _cpu(metrics: Iterable[Object], part: str) -> Object | None:
    for metric in metrics:
        resource = metric.get("resource") or {}
        if resource.get("name") == "cpu" and (resource.get(part) or {}).get("averageUtilization") is not None:
            return metric
    return None


# Where a metric's numbers are called what: kind -> part -> v2 field -> v1 field
_TARGET: Final = {"averageUtilization": "targetAverageUtilization", "averageValue": "targetAverageValue",
                  "value": "targetValue"}  # fmt: skip
_CURRENT: Final = {"averageUtilization": "currentAverageUtilization", "averageValue": "currentAverageValue",
                   "value": "currentValue"}  # fmt: skip


def _metric_to_v1(metric: Object) -> Object:
    """A v2 MetricSpec or MetricStatus as autoscaling/v1 writes it in an annotation."""
    found: Object = {"type": metric.get("type", "")}
    for kind, value in metric.items():
        if kind == "type":
            continue
        old: Object = {k: v for k, v in value.items() if k not in ("metric", "target", "current", "describedObject")}
        name = value.get("metric") or {}
        if name:
            old["metricName"] = name.get("name", "")
            if name.get("selector"):
                old["metricSelector" if kind == "external" else "selector"] = name["selector"]
        if "describedObject" in value:
            old["target"] = value["describedObject"]
        for part, names in (("target", _TARGET), ("current", _CURRENT)):
            for new, number in (value.get(part) or {}).items():
                if new in names:
                    old["averageValue" if kind == "object" and new == "averageValue" else names[new]] = number
        found[kind] = old
    return found


def _metric_to_v2(metric: Object) -> Object:
    """What an annotation of autoscaling/v1 holds, as a v2 MetricSpec or MetricStatus."""
    found: Object = {"type": metric.get("type", "")}
    for kind, value in metric.items():
        if kind == "type":
            continue
        new: Object = {key: value[key] for key in ("name", "container") if key in value}
        if "metricName" in value:
            selector = value.get("metricSelector") or value.get("selector")
            new["metric"] = {"name": value["metricName"], **({"selector": selector} if selector else {})}
        if kind == "object" and "target" in value:
            new["describedObject"] = value["target"]
        for part, names in (("target", _TARGET), ("current", _CURRENT)):
            numbers: dict[str, Any] = {field: value[old] for field, old in names.items() if old in value}
            if kind == "object" and "averageValue" in value and (part == "target") == ("targetValue" in value):
                numbers["averageValue"] = value["averageValue"]
            if numbers and part == "target":
                kinds = {"averageUtilization": "Utilization", "averageValue": "AverageValue", "value": "Value"}
                numbers = {"type": next(kinds[field] for field in kinds if field in numbers), **numbers}
            if numbers:
                new[part] = numbers
        found[kind] = new
    return found
