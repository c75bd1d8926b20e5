"""Pods: creation, the few updates that are allowed, status, ephemeral containers, resizing, binding.

Stands for `ValidatePodCreate`, `ValidatePodUpdate` and their kin. An update that carries the stored spec itself
(`is`) is not looked through again. The diff at the end of the forbidden-update message has JSON's field names.
"""

from typing import Any, Final

from k8s_core.api import Object, names
from k8s_core.api.field import duplicate, forbidden, invalid
from k8s_core.api.validation import podspec, tags
from k8s_core.api.validation.common import MAX_INT32, Errors, bad, diff, each, listed, sub, text
from k8s_core.api.validation.formats import ip, label_key, long_name, nanos

MIRROR: Final = "kubernetes.io/config.mirror"
DELETION_COST: Final = "controller.kubernetes.io/pod-deletion-cost"
UPDATABLE: Final = ",".join(
    (
        "`spec.containers[*].image`",
        "`spec.initContainers[*].image`",
        "`spec.activeDeadlineSeconds`",
        "`spec.tolerations` (only additions to existing tolerations)",
        "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)",
    )
)
STATUSES: Final = ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses")
SYSTEM_CONDITIONS: Final = {"PodScheduled", "Ready", "Initialized"}


def create(obj: Object) -> Errors:
    """A new Pod."""
    yield from _metadata_and_spec(obj)
    spec = sub(obj, "spec")
    if listed(spec, "ephemeralContainers"):
        yield forbidden("spec.ephemeralContainers", "cannot be set on create")
    if spec.get("nodeName") and listed(spec, "schedulingGates"):
        yield forbidden("spec.nodeName", "cannot be set until all schedulingGates have been cleared")


def _metadata_and_spec(obj: Object) -> Errors:
    spec = sub(obj, "spec")
    annotations = sub(obj, "metadata", "annotations")
    yield from _annotations(annotations, spec)
    yield from podspec.spec(spec, "spec", pod_name=text(sub(obj, "metadata"), "name"), is_pod=True)
    if not spec.get("serviceAccountName"):
        for place, volume in each(spec, "volumes", "spec"):
            for where, source in each(sub(volume, "projected"), "sources", f"{place}.projected"):
                if source.get("serviceAccountToken") is not None:
                    why = "must not be specified when serviceAccountName is not set"
                    yield forbidden(f"{where}.serviceAccountToken", why)
    for kind in ("containers", "initContainers"):
        for place, container in each(spec, kind, "spec"):
            yield from tags.validate("PodImage", container, place)


def _annotations(annotations: Object, spec: Object) -> Errors:
    if MIRROR in annotations and not spec.get("nodeName"):
        why = "must set spec.nodeName if mirror pod annotation is set"
        yield invalid(f"metadata.annotations[{MIRROR}]", annotations[MIRROR], why)
    cost = annotations.get(DELETION_COST)
    if cost is not None and not _is_int32(cost):
        yield invalid(f"metadata.annotations[{DELETION_COST}]", cost, "must be a 32bit integer")


def _is_int32(value: str) -> bool:
    digits = value.removeprefix("-")
    plain = digits.isascii() and digits.isdigit() and (digits == "0" or not digits.startswith("0"))
    return plain and -MAX_INT32 - 1 <= int(value) <= MAX_INT32 and len(digits) < 12


def update(new: Object, old: Object) -> Errors:
    """A changed Pod: images, deadlines, tolerations and gates, and nothing else of the spec."""
    yield from _annotation_updates(new, old)
    after, before = sub(new, "spec"), sub(old, "spec")
    if after is before or after == before:
        return
    yield from _metadata_and_spec(new)
    for kind in ("containers", "initContainers"):
        if len(listed(after, kind)) != len(listed(before, kind)):
            yield forbidden(f"spec.{kind}", "pod updates may not add or remove containers")
            return
    deadline, had = after.get("activeDeadlineSeconds"), before.get("activeDeadlineSeconds")
    place = "spec.activeDeadlineSeconds"
    if deadline is not None:
        if messages := names.in_range(deadline, 0, MAX_INT32):
            yield from bad(place, deadline, messages)
            return
        if had is not None and had < deadline:
            yield invalid(place, deadline, "must be less than or equal to previous value")
            return
    elif had is not None:
        yield invalid(place, None, "must not update from a positive integer to nil value")
    yield from _only_added_tolerations(after, before)
    known = {text(g or {}, "name") for g in listed(before, "schedulingGates")}
    for place, gate in each(after, "schedulingGates", "spec"):
        if text(gate, "name") not in known:
            why = f"only deletion is allowed, but found new scheduling gate '{text(gate, 'name')}'"
            yield forbidden(f"{place}.name", why)
    yield from _immutable_rest(after, before)


def _annotation_updates(new: Object, old: Object) -> Errors:
    after, before = sub(new, "metadata", "annotations"), sub(old, "metadata", "annotations")
    if after == before:
        return
    if after.get(MIRROR) != before.get(MIRROR):
        what = "remove or update" if MIRROR in before else "add"
        yield forbidden(f"metadata.annotations[{MIRROR}]", f"may not {what} mirror pod annotation")
    yield from _annotations(after, sub(new, "spec"))


def _only_added_tolerations(after: Object, before: Object) -> Errors:
    new = [_without(t or {}, "tolerationSeconds") for t in listed(after, "tolerations")]
    if any(_without(t or {}, "tolerationSeconds") not in new for t in listed(before, "tolerations")):
        why = "existing toleration can not be modified except its tolerationSeconds"
        yield forbidden("spec.tolerations", why)
        return
    for place, toleration in each(after, "tolerations", "spec"):
        yield from tags.validate("Toleration", toleration, place)


def _without(node: Object, name: str) -> Object:
    return {key: value for key, value in node.items() if key != name}


def _immutable_rest(after: Object, before: Object) -> Errors:
    munged = dict(after)
    for kind in ("containers", "initContainers"):
        if listed(after, kind):
            munged[kind] = [
                {**(new or {}), "image": (old or {}).get("image")}
                for new, old in zip(after[kind], before[kind], strict=True)
            ]
    for name in ("activeDeadlineSeconds", "schedulingGates", "tolerations"):
        munged[name] = before.get(name)
    grace = before.get("terminationGracePeriodSeconds")
    if grace is not None and grace < 0 and after.get("terminationGracePeriodSeconds") == 1:
        munged["terminationGracePeriodSeconds"] = grace
    if listed(before, "schedulingGates"):
        yield from _gated(munged, before)
    munged, before = (_without_nulls(spec) for spec in (munged, before))
    if munged != before:
        changes = diff(before, munged)
        yield forbidden("spec", f"pod updates may not change fields other than {UPDATABLE}\n{changes}\n")


def _without_nulls(spec: Object) -> Object:
    return {name: value for name, value in spec.items() if value is not None}


def _gated(munged: Object, before: Object) -> Errors:
    """A Pod that waits at a scheduling gate may still be told more about where to go."""
    selector, had = munged.get("nodeSelector") or {}, before.get("nodeSelector") or {}
    for key, value in had.items():
        if key not in selector:
            why = "additions only are allowed (no mutations or deletions)"
            yield invalid(f"spec.nodeSelector[{key}]", None, why)
        elif selector[key] != value:
            why = "additions only are allowed (no mutations or deletions)"
            yield invalid(f"spec.nodeSelector[{key}]", selector[key], why)
    munged["nodeSelector"] = before.get("nodeSelector")
    rule = (munged.get("affinity") or {}).get("nodeAffinity")
    old_rule = (before.get("affinity") or {}).get("nodeAffinity")
    if rule != old_rule:
        found = {**(munged.get("affinity") or {}), "nodeAffinity": old_rule}
        munged["affinity"] = {name: value for name, value in found.items() if value is not None}
        if not munged["affinity"]:
            munged["affinity"] = before.get("affinity")


def status(new: Object, old: Object) -> Errors:
    """A Pod's status: addresses are addresses, and what has ended for good does not run again."""
    after, before = sub(new, "status"), sub(old, "status")
    yield from _annotation_updates(new, old)
    if after is before:
        return
    for index, condition in enumerate(after.get("conditions") or ()):
        if (kind := text(condition or {}, "type")) not in SYSTEM_CONDITIONS:
            yield from bad(f"metadata.conditions[{index}].Type", kind, label_key(kind))
    if text(sub(new, "spec"), "nodeName") != text(sub(old, "spec"), "nodeName"):
        yield forbidden("status.nodeName", "may not be changed directly")
    nominated = text(after, "nominatedNodeName")
    if nominated and nominated != text(before, "nominatedNodeName"):
        yield from bad("status.nominatedNodeName", nominated, long_name(nominated))
    if text(after, "qosClass") != text(before, "qosClass"):
        yield invalid("status.qosClass", text(after, "qosClass"), "field is immutable")
    yield from _transitions(after, before, sub(old, "spec"))
    for kind in ("podIPs", "hostIPs"):
        if after.get(kind) and after[kind] != before.get(kind):
            yield from _addresses(after, kind)


def _transitions(after: Object, before: Object, spec: Object) -> Errors:
    policy = spec.get("restartPolicy")
    if policy == "Always" and not before.get(STATUSES[2]):
        return
    sidecars = {
        text(c or {}, "name") for c in listed(spec, "initContainers") if (c or {}).get("restartPolicy") == "Always"
    }
    own = {text(c or {}, "name"): c for k in ("containers", "initContainers") for c in listed(spec, k) if c}
    for kind in STATUSES:
        rule = "Never" if kind == STATUSES[2] else policy
        if rule == "Always":
            continue
        running = {
            text(s or {}, "name") for s in listed(after, kind) if sub(s or {}, "state").get("terminated") is None
        }
        for index, status in enumerate(listed(before, kind)):
            ended = sub(status or {}, "state").get("terminated")
            name = text(status or {}, "name")
            if ended is None or name in sidecars or (ended.get("exitCode") and rule == "OnFailure"):
                continue
            if own.get(name, {}).get("restartPolicy") or own.get(name, {}).get("restartPolicyRules"):
                continue  # a container's own rules decide
            if name in running:
                why = "may not be transitioned to non-terminated state"
                yield forbidden(f"status.{kind}[{index}].state", why)


def _addresses(status: Object, kind: str) -> Errors:
    found = [text(a or {}, "ip") for a in status[kind]]
    path = f"status.{kind}"
    if kind == "hostIPs" and text(status, "hostIP") != found[0]:
        yield invalid(f"{path}[0].ip", found[0], "must be equal to `hostIP`")
    for index, address in enumerate(found):
        yield from bad(f"{path}[{index}]", address, ip(address))
    if len(found) > 1:
        if len(found) > 2 or len({":" in address for address in found}) < len(found):
            why = "may specify no more than one IP for each IP family"
            yield invalid(path, [{"IP": address} for address in found], why)
        for index, address in enumerate(found):
            if address in found[:index]:
                yield duplicate(f"{path}[{index}]", {"IP": address})


def ephemeral_containers(new: Object, old: Object) -> Errors:
    """Ephemeral containers can be added; those that are there stay as they are."""
    if MIRROR in sub(old, "metadata", "annotations"):
        yield forbidden("[]", "static pods do not support ephemeral containers")
        return
    yield from _metadata_and_spec(new)
    after = {text(c or {}, "name"): c or {} for c in listed(sub(new, "spec"), "ephemeralContainers")}
    for container in listed(sub(old, "spec"), "ephemeralContainers"):
        name = text(container or {}, "name")
        if name not in after:
            why = f'existing ephemeral containers "{name}" may not be removed\n'
            yield forbidden("spec.ephemeralContainers", why)
        elif after[name] != container:
            why = f'existing ephemeral containers "{name}" may not be changed\n{diff(container, after[name])}\n'
            yield forbidden("spec.ephemeralContainers", why)


def resize(new: Object, old: Object) -> Errors:
    """CPU and memory of a running Pod's containers can change, its QoS class cannot."""
    if MIRROR in sub(old, "metadata", "annotations"):
        yield forbidden("[]", "static pods cannot be resized")
        return
    yield from _metadata_and_spec(new)
    after, before = sub(new, "spec"), sub(old, "spec")
    if qos_class(after) != qos_class(before):
        found = text(sub(new, "status"), "qosClass")
        yield invalid("spec", found, "Pod QOS Class may not change as a result of resizing")
    for part in ("containers", "initContainers"):
        pairs = list(zip(listed(after, part), listed(before, part), strict=False))
        for index, (one, other) in enumerate(pairs):
            for kind in ("requests", "limits"):
                if set(sub(other or {}, "resources", kind)) - set(sub(one or {}, "resources", kind)):
                    yield forbidden(f"spec.{part}[{index}].resources.{kind}", f"resource {kind} cannot be removed")
        same = len(listed(after, part)) == len(listed(before, part))
        if part == "containers":
            if not same or any(_fixed(one or {}) != _fixed(other or {}) for one, other in pairs):
                yield forbidden("spec", "only cpu and memory resources are mutable")
            continue
        for one, other in pairs:
            sidecar = text(other or {}, "restartPolicy") == "Always"
            if sidecar and _fixed(one or {}) != _fixed(other or {}):
                yield forbidden("spec", "only cpu and memory resources for sidecar containers are mutable")
            elif not sidecar and one != other:
                yield forbidden("spec", "resources for non-sidecar init containers are immutable")


def _fixed(container: Object) -> Any:
    kept = {
        kind: _without(_without(amounts or {}, "cpu"), "memory") if isinstance(amounts, dict) else amounts
        for kind, amounts in sub(container, "resources").items()
    }
    return {**container, "resources": {kind: amounts for kind, amounts in kept.items() if amounts}}


def qos_class(spec: Object) -> str:
    """`Guaranteed`, `Burstable` or `BestEffort`, from what the containers ask for."""
    own = sub(spec, "resources")
    every = [own] if own.get("limits") or own.get("requests") else [
        sub(c or {}, "resources") for kind in ("containers", "initContainers") for c in listed(spec, kind)
    ]  # fmt: skip
    wanted, guaranteed = False, True
    for resources in every:
        limits, requests = sub(resources, "limits"), sub(resources, "requests")
        for name in ("cpu", "memory"):
            limit, request = nanos(limits.get(name) or "0"), nanos(requests.get(name) or "0")
            wanted = wanted or bool(limit or request)
            guaranteed = guaranteed and limit > 0 and request in (0, limit)
            if name in requests and not request:
                guaranteed = False
    return "BestEffort" if not wanted else "Guaranteed" if guaranteed else "Burstable"
