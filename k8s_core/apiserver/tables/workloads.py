"""The columns of apps, batch, autoscaling and policy."""

from typing import Any, Final

from k8s_core.api import Object, times
from k8s_core.apiserver.tables.cells import (
    NONE,
    UNKNOWN,
    UNSET,
    Column,
    age,
    at,
    container_images,
    container_names,
    count,
    get,
    has_condition,
    human_duration,
    labels_at,
    name,
    ratio,
    selector_at,
    since,
)

_TEMPLATE: Final = ("spec", "template", "spec")
_CONTAINERS: Final = (container_names(*_TEMPLATE), container_images(*_TEMPLATE))
_JOB_TEMPLATE: Final = ("spec", "jobTemplate", "spec", "template", "spec")


def revision_owner(obj: Object, now: float) -> str:
    """The controller whose history a revision belongs to: "statefulset.apps/web"."""
    owner = next((o for o in obj["metadata"].get("ownerReferences") or () if o.get("controller")), None)
    if owner is None:
        return NONE
    group = owner["apiVersion"].rpartition("/")[0]
    return f"{owner['kind'].lower()}{'.' + group if group else ''}/{owner['name']}"


# The first condition that is true names a Job's status; deletion comes between the ends and the rest.
_ENDS: Final = {"Complete": "Complete", "Failed": "Failed"}
_STATES: Final = ("Suspended", "FailureTarget", "SuccessCriteriaMet")


def job_status(obj: Object, now: float) -> str:
    """What a Job is doing, or how it ended."""
    for type in _ENDS:
        if has_condition(obj, type):
            return _ENDS[type]
    if obj["metadata"].get("deletionTimestamp"):
        return "Terminating"
    return next((state for state in _STATES if has_condition(obj, state)), "Running")


def job_completions(obj: Object, now: float) -> str:
    """How many Pods succeeded, of how many."""
    spec, succeeded = obj.get("spec") or {}, get(obj, "status", "succeeded") or 0
    if spec.get("completions") is not None:
        return f"{succeeded}/{spec['completions']}"
    parallelism = spec.get("parallelism") or 0
    return f"{succeeded}/1 of {parallelism}" if parallelism > 1 else f"{succeeded}/1"


def job_duration(obj: Object, now: float) -> str:
    """How long a Job ran, or has been running."""
    begin, end = get(obj, "status", "startTime"), get(obj, "status", "completionTime")
    if not begin:
        return ""
    return human_duration(times.parse(end) - times.parse(begin)) if end else since(begin, now)


def suspended(obj: Object, now: float) -> str:
    """Whether a CronJob is suspended."""
    value = get(obj, "spec", "suspend")
    return UNSET if value is None else "True" if value else "False"


def last_schedule(obj: Object, now: float) -> str:
    """When a CronJob last started a Job."""
    last = get(obj, "status", "lastScheduleTime")
    return since(last, now) if last else NONE


def hpa_reference(obj: Object, now: float) -> str:
    """What is scaled."""
    target = get(obj, "spec", "scaleTargetRef") or {}
    return f"{target.get('kind', '')}/{target.get('name', '')}"


def hpa_targets(obj: Object, now: float) -> str:
    """The first two metrics: their values now and as they should be."""
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    metrics = spec.get("metrics") or []
    current = status.get("currentMetrics") or []
    if spec.get("targetCPUUtilizationPercentage") is not None:  # autoscaling/v1
        metrics = [_cpu("target", spec["targetCPUUtilizationPercentage"]), *metrics]
        current = [_cpu("current", status.get("currentCPUUtilizationPercentage")), *current]
    if not metrics:
        return NONE
    shown = [_metric(metric, current[i] if i < len(current) else {}) for i, metric in enumerate(metrics)]
    return ", ".join(shown[:2]) + (f" + {len(shown) - 2} more..." if len(shown) > 2 else "")


def _cpu(key: str, utilization: Any) -> Object:
    return {"type": "Resource", "resource": {"name": "cpu", key: {"averageUtilization": utilization}}}


def _metric(metric: Object, status: Object) -> str:
    key = metric["type"][0].lower() + metric["type"][1:]
    if key not in ("external", "pods", "object", "resource", "containerResource"):
        return "<unknown type>"
    wanted, have = get(metric, key, "target") or {}, get(status, key, "current") or {}
    if key in ("resource", "containerResource"):
        label = f"{get(metric, key, 'name')}: "
        if wanted.get("averageValue") is not None:
            return f"{label}{have.get('averageValue', UNKNOWN)}/{wanted['averageValue']}"
        now, goal = have.get("averageUtilization"), wanted.get("averageUtilization")
        return f"{label}{UNKNOWN if now is None else f'{now}%'}/{'<auto>' if goal is None else f'{goal}%'}"
    if wanted.get("averageValue") is not None:
        return f"{have.get('averageValue', UNKNOWN)}/{wanted['averageValue']}" + ("" if key == "pods" else " (avg)")
    return f"{have.get('value', UNKNOWN)}/{wanted.get('value')}"


_HPA: Final[tuple[Column, ...]] = (
    name,
    hpa_reference,
    hpa_targets,
    at("spec.minReplicas", UNSET),
    at("spec.maxReplicas", 0),
    at("status.currentReplicas", 0),
    age,
)
TABLE: Final[dict[str, tuple[Column, ...]]] = {
    "deployments.apps": (
        name,
        ratio("status.readyReplicas", "spec.replicas"),
        at("status.updatedReplicas", 0),
        at("status.availableReplicas", 0),
        age,
        *_CONTAINERS,
        selector_at("spec", "selector", empty=""),
    ),
    "replicasets.apps": (
        name,
        at("spec.replicas", 0),
        at("status.replicas", 0),
        at("status.readyReplicas", 0),
        age,
        *_CONTAINERS,
        selector_at("spec", "selector"),
    ),
    "statefulsets.apps": (name, ratio("status.readyReplicas", "spec.replicas"), age, *_CONTAINERS),
    "daemonsets.apps": (
        name,
        at("status.desiredNumberScheduled", 0),
        at("status.currentNumberScheduled", 0),
        at("status.numberReady", 0),
        at("status.updatedNumberScheduled", 0),
        at("status.numberAvailable", 0),
        labels_at(*_TEMPLATE, "nodeSelector"),
        age,
        *_CONTAINERS,
        selector_at("spec", "selector"),
    ),
    "controllerrevisions.apps": (name, revision_owner, at("revision", 0), age),
    "jobs.batch": (
        name,
        job_status,
        job_completions,
        job_duration,
        age,
        *_CONTAINERS,
        selector_at("spec", "selector"),
    ),
    "cronjobs.batch": (
        name,
        at("spec.schedule"),
        at("spec.timeZone", NONE),
        suspended,
        count("status.active"),
        last_schedule,
        age,
        container_names(*_JOB_TEMPLATE),
        container_images(*_JOB_TEMPLATE),
        selector_at("spec", "jobTemplate", "spec", "selector"),
    ),
    "horizontalpodautoscalers.autoscaling": _HPA,
    "scales.autoscaling": (name, at("spec.replicas", 0), at("status.replicas", 0), age),
    "poddisruptionbudgets.policy": (
        name,
        at("spec.minAvailable", "N/A"),
        at("spec.maxUnavailable", "N/A"),
        at("status.disruptionsAllowed", 0),
        age,
    ),
}
