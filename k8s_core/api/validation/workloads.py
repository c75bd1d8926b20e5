"""ReplicationControllers, ReplicaSets, Deployments, DaemonSets, StatefulSets, ControllerRevisions, Scale.

Stands for `pkg/apis/apps/validation`, the ReplicationController part of core's, and what their strategies add: a
selector never changes.
"""

from typing import Any, Final

from k8s_core.api import Object
from k8s_core.api.field import forbidden, invalid, not_supported, required
from k8s_core.api.validation import meta, podspec, tags
from k8s_core.api.validation.common import (
    Errors,
    as_map,
    dns_label,
    immutable,
    int_or_percent,
    non_negative,
    not_above_all,
    number,
    percent_or_int,
    sub,
    text,
)

MISMATCH: Final = "`selector` does not match template `labels`"
STATEFUL_UPDATABLE: Final = (
    "replicas", "ordinals", "template", "updateStrategy", "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy", "minReadySeconds",
)  # fmt: skip


def replication_controller(obj: Object) -> Errors:
    """A ReplicationController."""
    spec = sub(obj, "spec")
    yield from non_negative(spec, "minReadySeconds", "spec")
    selector = sub(spec, "selector")
    if not selector:
        yield required("spec.selector")
    yield from non_negative(spec, "replicas", "spec")
    template = spec.get("template")
    if template is None:
        yield required("spec.template")
        return
    labels = sub(template, "metadata", "labels")
    if any(labels.get(key) != value for key, value in selector.items()):
        yield invalid("spec.template.metadata.labels", as_map(labels), MISMATCH)
    yield from podspec.template(template, "spec.template")
    yield from _always(template, "ReplicationController")


def replica_set(obj: Object) -> Errors:
    """A ReplicaSet."""
    spec = sub(obj, "spec")
    yield from non_negative(spec, "replicas", "spec")
    yield from non_negative(spec, "minReadySeconds", "spec")
    yield from _selector(spec, "deployment")
    yield from _matching_template(spec, "invalid label selector", "ReplicaSet")


def replica_set_update(new: Object, old: Object) -> Errors:
    """A changed ReplicaSet: its selector stays."""
    if new.get("spec") is not old.get("spec"):
        yield from replica_set(new)
        yield from _same_selector(new, old)


def deployment(obj: Object) -> Errors:
    """A Deployment."""
    spec = sub(obj, "spec")
    yield from non_negative(spec, "replicas", "spec")
    yield from _selector(spec, "deployment")
    yield from _matching_template(spec, "invalid label selector", "ReplicaSet")
    yield from _deployment_strategy(sub(spec, "strategy"), "spec.strategy")
    yield from non_negative(spec, "minReadySeconds", "spec")
    yield from non_negative(spec, "revisionHistoryLimit", "spec")
    deadline = spec.get("progressDeadlineSeconds")
    if deadline is not None:
        yield from non_negative(spec, "progressDeadlineSeconds", "spec")
        if deadline <= number(spec, "minReadySeconds"):
            yield invalid("spec.progressDeadlineSeconds", deadline, "must be greater than minReadySeconds")


def deployment_update(new: Object, old: Object) -> Errors:
    """A changed Deployment: its selector stays."""
    if new.get("spec") is not old.get("spec"):
        yield from deployment(new)
        yield from _same_selector(new, old)


def _deployment_strategy(strategy: Object, path: str) -> Errors:
    kind, rolling = text(strategy, "type"), strategy.get("rollingUpdate")
    if kind == "Recreate":
        if rolling is not None:
            why = "may not be specified when strategy `type` is 'Recreate'"
            yield forbidden(f"{path}.rollingUpdate", why)
    elif kind == "RollingUpdate":
        if rolling is None:
            why = "this should be defaulted and never be nil"
            yield required(f"{path}.rollingUpdate", why)
            return
        unavailable, surge = rolling.get("maxUnavailable"), rolling.get("maxSurge")
        place = f"{path}.rollingUpdate"
        yield from int_or_percent(f"{place}.maxUnavailable", unavailable)
        yield from int_or_percent(f"{place}.maxSurge", surge)
        if percent_or_int(unavailable) == 0 and percent_or_int(surge) == 0:
            yield invalid(f"{place}.maxUnavailable", unavailable, "may not be 0 when `maxSurge` is 0")
        yield from not_above_all(f"{place}.maxUnavailable", unavailable)
    else:
        yield not_supported(path, _go_strategy(kind, rolling), ("Recreate", "RollingUpdate"))


def _go_strategy(kind: str, rolling: Object | None) -> Object:
    # Upstream shows its internal struct, whose fields have Go's names.
    if rolling is not None:
        rolling = {"MaxUnavailable": rolling.get("maxUnavailable", 0), "MaxSurge": rolling.get("maxSurge", 0)}
    return {"Type": kind, "RollingUpdate": rolling}


def daemon_set(obj: Object) -> Errors:
    """A DaemonSet."""
    spec = sub(obj, "spec")
    selector = spec.get("selector")
    yield from meta.label_selector(selector, "spec.selector")
    labels = sub(spec, "template", "metadata", "labels")
    if meta.matches(selector, labels) is False:
        yield invalid("spec.template.metadata.labels", as_map(labels), MISMATCH)
    if selector is not None and meta.is_empty_selector(selector):
        yield invalid("spec.selector", selector, "empty selector is invalid for daemonset")
    yield from podspec.template(spec.get("template"), "spec.template")
    yield from _always(sub(spec, "template"), "DaemonSet")
    yield from non_negative(spec, "minReadySeconds", "spec")
    yield from _daemon_strategy(sub(spec, "updateStrategy"), "spec.updateStrategy")
    yield from non_negative(spec, "revisionHistoryLimit", "spec")


def daemon_set_update(new: Object, old: Object) -> Errors:
    """A changed DaemonSet: its selector stays."""
    if new.get("spec") is not old.get("spec"):
        yield from daemon_set(new)
        yield from _same_selector(new, old)


def _daemon_strategy(strategy: Object, path: str) -> Errors:
    kind, rolling = text(strategy, "type"), strategy.get("rollingUpdate")
    if kind == "RollingUpdate":
        place = f"{path}.rollingUpdate"
        if rolling is None:
            yield required(place)
            return
        values = {name: rolling.get(name) for name in ("maxUnavailable", "maxSurge")}
        for check in (int_or_percent, not_above_all):
            for name, value in values.items():
                yield from check(f"{place}.{name}", value)
        unavailable, surge = (percent_or_int(value) for value in values.values())
        if unavailable and surge:
            why = "may not be set when maxUnavailable is non-zero"
            yield invalid(f"{place}.maxSurge", values["maxSurge"], why)
        elif not unavailable and not surge:
            yield required(f"{place}.maxUnavailable", "cannot be 0 when maxSurge is 0")
    elif kind != "OnDelete":
        yield not_supported(path, _go_strategy(kind, rolling), ("RollingUpdate", "OnDelete"))


def stateful_set(obj: Object) -> Errors:
    """A StatefulSet."""
    spec = sub(obj, "spec")
    policy = text(spec, "podManagementPolicy")
    if not policy:
        yield required("spec.podManagementPolicy")
    elif policy not in ("OrderedReady", "Parallel"):
        yield invalid("spec.podManagementPolicy", policy, "must be 'OrderedReady' or 'Parallel'")
    yield from _stateful_strategy(sub(spec, "updateStrategy"), "spec.updateStrategy")
    retention = sub(spec, "persistentVolumeClaimRetentionPolicy")
    for name in ("whenDeleted", "whenScaled"):
        value = text(retention, name)
        if retention and value not in ("Retain", "Delete"):
            path = f"spec.persistentVolumeClaimRetentionPolicy.{name}"
            yield not_supported(path, value, ("Retain", "Delete"))
    for name in ("replicas", "minReadySeconds", "revisionHistoryLimit"):
        yield from non_negative(spec, name, "spec")
    yield from non_negative(sub(spec, "ordinals"), "start", "spec.ordinals")
    yield from claim_templates(obj)
    if spec.get("serviceName"):
        yield from dns_label("spec.serviceName", spec["serviceName"])
    yield from _selector(spec, "statefulset")
    yield from _matching_template(spec, "", "StatefulSet", _claims_as_volumes(spec))


def _claims_as_volumes(spec: Object) -> list[Object]:
    # A claim template is a volume that every Pod will have; a volume of the same name gives way to it.
    own = {text(v or {}, "name") for v in sub(spec, "template", "spec").get("volumes") or ()}
    claims = [text(sub(c or {}, "metadata"), "name") for c in spec.get("volumeClaimTemplates") or ()]
    return [{"name": n, "persistentVolumeClaim": {"claimName": n}} for n in claims if n and n not in own]


def stateful_set_update(new: Object, old: Object) -> Errors:
    """A changed StatefulSet: only a few fields can change, and its claim templates cannot."""
    after, before = sub(new, "spec"), sub(old, "spec")
    if after is before:
        return
    yield from stateful_set(new)
    names = {*after, *before} - set(STATEFUL_UPDATABLE)
    if any((after.get(name) or None) != (before.get(name) or None) for name in names):
        shown = ", ".join(f"'{name}'" for name in STATEFUL_UPDATABLE[:-1])
        yield forbidden(
            "spec",
            f"updates to statefulset spec for fields other than {shown} and 'minReadySeconds' are forbidden",
        )


def _stateful_strategy(strategy: Object, path: str) -> Errors:
    kind, rolling = text(strategy, "type"), strategy.get("rollingUpdate")
    if not kind:
        yield required(path)
    elif kind == "OnDelete":
        if rolling is not None:
            shown = {"Partition": number(rolling, "partition"), "MaxUnavailable": rolling.get("maxUnavailable")}
            why = "only allowed for updateStrategy 'RollingUpdate'"
            yield invalid(f"{path}.rollingUpdate", shown, why)
    elif kind == "RollingUpdate":
        if rolling is not None:
            yield from non_negative(rolling, "partition", f"{path}.rollingUpdate")
            unavailable, place = rolling.get("maxUnavailable"), f"{path}.rollingUpdate.maxUnavailable"
            if unavailable is not None:
                yield from int_or_percent(place, unavailable)
                if percent_or_int(unavailable) == 0:
                    yield invalid(place, unavailable, "cannot be 0")
                yield from not_above_all(place, unavailable)
    else:
        yield invalid(path, _go_strategy(kind, rolling), "must be 'RollingUpdate' or 'OnDelete'")


def controller_revision(obj: Object) -> Errors:
    """A ControllerRevision."""
    if obj.get("data") is None:
        yield required("data", "data is mandatory")
    if number(obj, "revision") < 0:
        yield invalid("revision", obj["revision"], "must be greater than or equal to 0")


def controller_revision_update(new: Object, old: Object) -> Errors:
    """A changed ControllerRevision: its data stays."""
    yield from controller_revision(new)
    yield from immutable("data", new.get("data"), old.get("data"))


def scale(obj: Object) -> Errors:
    """A Scale object, for the scale subresource."""
    yield from non_negative(sub(obj, "spec"), "replicas", "spec")


def status(new: Object, old: Object) -> Errors:
    """The counts in a workload's status: none is negative, none is above the whole."""
    after = sub(new, "status")
    if after is sub(old, "status"):
        return
    for name, value in after.items():
        if isinstance(value, int) and value < 0:
            yield from non_negative(after, name, "status")
    if "replicas" in after:
        parts = (
            "fullyLabeledReplicas", "updatedReplicas", "readyReplicas", "currentReplicas", "availableReplicas",
        )  # fmt: skip
        for name in parts:
            if number(after, name) > number(after, "replicas"):
                yield invalid(f"status.{name}", number(after, name), "cannot be greater than status.replicas")
        if number(after, "availableReplicas") > number(after, "readyReplicas"):
            value = number(after, "availableReplicas")
            yield invalid("status.availableReplicas", value, "cannot be greater than readyReplicas")
    count, had = after.get("collisionCount"), sub(old, "status").get("collisionCount")
    if had is not None and (count or 0) < had:
        yield invalid("status.collisionCount", count or 0, "cannot be decremented")


def _selector(spec: Object, kind: str) -> Errors:
    selector = spec.get("selector")
    if selector is None:
        yield required("spec.selector")
        return
    yield from meta.label_selector(selector, "spec.selector")
    if meta.is_empty_selector(selector):
        yield invalid("spec.selector", selector, f"empty selector is invalid for {kind}")


def _matching_template(spec: Object, broken: str, kind: str, extra: list[Object] | None = None) -> Errors:
    selector, template = spec.get("selector"), sub(spec, "template")
    labels = sub(template, "metadata", "labels")
    match = meta.matches(selector, labels)
    if match is None:
        yield invalid("spec.selector", meta.shown(selector), broken)
    else:
        if not match:
            yield invalid("spec.template.metadata.labels", as_map(labels), MISMATCH)
        yield from podspec.template(_with_volumes(template, extra), "spec.template")
    yield from _always(template, kind)


def _with_volumes(template: Object, extra: list[Object] | None) -> Object:
    if not extra:
        return template
    pod = sub(template, "spec")
    return {**template, "spec": {**pod, "volumes": [*(pod.get("volumes") or ()), *extra]}}


def _always(template: Object, kind: str) -> Errors:
    spec: dict[str, Any] = sub(template, "spec")
    policy = text(spec, "restartPolicy")
    if policy != "Always":
        yield not_supported("spec.template.spec.restartPolicy", policy, ("Always",))
    if spec.get("activeDeadlineSeconds") is not None:
        why = f"activeDeadlineSeconds in {kind} is not Supported"
        yield forbidden("spec.template.spec.activeDeadlineSeconds", why)


def _same_selector(new: Object, old: Object) -> Errors:
    after, before = (meta.shown(sub(obj, "spec").get("selector")) for obj in (new, old))
    yield from immutable("spec.selector", after, before)


def claim_templates(obj: Object) -> Errors:
    """The claim templates of a StatefulSet."""
    for index, template in enumerate(sub(obj, "spec").get("volumeClaimTemplates") or ()):
        yield from tags.validate(
            "PersistentVolumeClaimSpec", sub(template or {}, "spec"), f"spec.volumeClaimTemplates[{index}].spec"
        )
