"""ReplicationControllers, ReplicaSets, Deployments, DaemonSets, StatefulSets: what is logic.

Stands for `pkg/apis/apps/validation`, the ReplicationController part of core's, and what their strategies add: a
selector never changes.
"""

from typing import Any, Final

from k8s_core.api import Object
from k8s_core.api.field import forbidden, invalid, not_supported, required
from k8s_core.api.validation import meta, tags
from k8s_core.api.validation.common import Errors, as_map, immutable, non_negative, number, percent_or_int, sub, text

MISMATCH: Final = "`selector` does not match template `labels`"
STATEFUL_UPDATABLE: Final = (
    "replicas", "ordinals", "template", "updateStrategy", "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy", "minReadySeconds",
)  # fmt: skip


def labels_selected(template: Object, path: str, spec: Object) -> Errors:
    """A ReplicationController's Pods are those it looks for."""
    labels = sub(template, "metadata", "labels")
    if any(labels.get(key) != value for key, value in sub(spec, "selector").items()):
        yield invalid(f"{path}.metadata.labels", as_map(labels), MISMATCH)


def daemon_labels(spec: Object, path: str) -> Errors:
    """A DaemonSet's Pods are those it looks for."""
    labels = sub(spec, "template", "metadata", "labels")
    if meta.matches(spec.get("selector"), labels) is False:
        yield invalid(f"{path}.template.metadata.labels", as_map(labels), MISMATCH)


def matching_template(spec: Object, path: str) -> Errors:
    """A template is good, and its Pods are those that the selector finds."""
    yield from _matching(spec, sub(spec, "template"), path, "invalid label selector")


def matching_stateful_template(spec: Object, path: str) -> Errors:
    """So it is for a StatefulSet, whose Pods have a volume for each claim template."""
    template = sub(spec, "template")
    pod = sub(template, "spec")
    # A claim template is a volume that every Pod will have; a volume of the same name gives way to it.
    own = {text(volume or {}, "name") for volume in pod.get("volumes") or ()}
    claims = [text(sub(claim or {}, "metadata"), "name") for claim in spec.get("volumeClaimTemplates") or ()]
    extra = [{"name": n, "persistentVolumeClaim": {"claimName": n}} for n in claims if n and n not in own]
    if extra:
        template = {**template, "spec": {**pod, "volumes": [*(pod.get("volumes") or ()), *extra]}}
    yield from _matching(spec, template, path, "")


def _matching(spec: Object, template: Object, path: str, broken: str) -> Errors:
    selector, labels = spec.get("selector"), sub(template, "metadata", "labels")
    match = meta.matches(selector, labels)
    if match is None:
        yield invalid(f"{path}.selector", meta.shown(selector), broken)
        return
    if not match:
        yield invalid(f"{path}.template.metadata.labels", as_map(labels), MISMATCH)
    yield from tags.validate("PodTemplateSpec", template, f"{path}.template")


def after_ready(deadline: int, path: str, spec: Object) -> Errors:
    """A new Pod is given the time to become available."""
    if deadline <= number(spec, "minReadySeconds"):
        yield invalid(path, deadline, "must be greater than minReadySeconds")


def some_progress(rolling: Object, path: str) -> Errors:
    """A rolling update can take one Pod's place or add one."""
    unavailable = rolling.get("maxUnavailable")
    if percent_or_int(unavailable) == 0 and percent_or_int(rolling.get("maxSurge")) == 0:
        yield invalid(f"{path}.maxUnavailable", unavailable, "may not be 0 when `maxSurge` is 0")


def one_way(rolling: Object, path: str) -> Errors:
    """A daemon's new Pod comes before the old one goes, or after."""
    unavailable, surge = (percent_or_int(rolling.get(name)) for name in ("maxUnavailable", "maxSurge"))
    if unavailable and surge:
        yield invalid(f"{path}.maxSurge", rolling.get("maxSurge"), "may not be set when maxUnavailable is non-zero")
    elif not unavailable and not surge:
        yield required(f"{path}.maxUnavailable", "cannot be 0 when maxSurge is 0")


def not_none(value: Any, path: str) -> Errors:
    """An update that may touch no Pod would not go on."""
    if percent_or_int(value) == 0:
        yield invalid(path, value, "cannot be 0")


def stray_rolling_update(rolling: Object, path: str) -> Errors:
    """Only a rolling update has its parameters."""
    shown = {"Partition": number(rolling, "partition"), "MaxUnavailable": rolling.get("maxUnavailable")}
    yield invalid(path, shown, "only allowed for updateStrategy 'RollingUpdate'")


def unknown_strategy(strategy: Object, path: str) -> Errors:
    """A Deployment has two strategies."""
    yield not_supported(path, _go_strategy(strategy), ("Recreate", "RollingUpdate"))


def unknown_daemon_strategy(strategy: Object, path: str) -> Errors:
    """A DaemonSet has two strategies."""
    yield not_supported(path, _go_strategy(strategy), ("RollingUpdate", "OnDelete"))


def unknown_stateful_strategy(strategy: Object, path: str) -> Errors:
    """A StatefulSet has two strategies."""
    yield invalid(path, _go_strategy(strategy), "must be 'RollingUpdate' or 'OnDelete'")


def _go_strategy(strategy: Object) -> Object:
    # Upstream shows its internal struct, whose fields have Go's names.
    rolling: Object | None = strategy.get("rollingUpdate")
    if rolling is not None:
        rolling = {"MaxUnavailable": rolling.get("maxUnavailable", 0), "MaxSurge": rolling.get("maxSurge", 0)}
    return {"Type": text(strategy, "type"), "RollingUpdate": rolling}


def stateful_set_update(new: Object, path: str, within: Any, old: Object) -> Errors:
    """A changed StatefulSet: only a few fields can change, and its claim templates cannot."""
    after, before = sub(new, "spec"), sub(old, "spec")
    names = {*after, *before} - set(STATEFUL_UPDATABLE)
    if any((after.get(name) or None) != (before.get(name) or None) for name in names):
        shown = ", ".join(f"'{name}'" for name in STATEFUL_UPDATABLE[:-1])
        yield forbidden(
            "spec",
            f"updates to statefulset spec for fields other than {shown} and 'minReadySeconds' are forbidden",
        )


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


def same_selector(new: Object, path: str, within: Any, old: Object) -> Errors:
    """A selector never changes."""
    after, before = (meta.shown(sub(obj, "spec").get("selector")) for obj in (new, old))
    yield from immutable("spec.selector", after, before)
