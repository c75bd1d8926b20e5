"""Warnings: what is allowed but hardly meant. They reach a client in `Warning` headers; kubectl prints them.

What tags can say stands in warnings.yaml. Stands for the strategies' `WarningsOnCreate` and `WarningsOnUpdate` and
for `pkg/api/*/warnings.go`.
"""

from collections.abc import Iterator
from typing import Any, Final

from k8s_core.api import Object, quantity
from k8s_core.api.defaults.pods import TEMPLATES
from k8s_core.api.field import quote
from k8s_core.api.validation import tags
from k8s_core.api.validation.common import each, earlier, listed, number, sub, text
from k8s_core.api.validation.formats import nanos, short_name, shown

Warnings = Iterator[str]

OLD_LABELS: Final = {
    "beta.kubernetes.io/arch": 'deprecated since v1.14; use "kubernetes.io/arch" instead',
    "beta.kubernetes.io/os": 'deprecated since v1.14; use "kubernetes.io/os" instead',
    "failure-domain.beta.kubernetes.io/region": 'deprecated since v1.17; use "topology.kubernetes.io/region" instead',
    "failure-domain.beta.kubernetes.io/zone": 'deprecated since v1.17; use "topology.kubernetes.io/zone" instead',
    "beta.kubernetes.io/instance-type": 'deprecated since v1.17; use "node.kubernetes.io/instance-type" instead',
    "app.kubernetes.io/created-by": "deprecated since v1.9",
    "scheduler.alpha.kubernetes.io/preferAvoidPods": "deprecated since v1.22; use Taints and Tolerations instead",
    "node-role.kubernetes.io/master": 'use "node-role.kubernetes.io/control-plane" instead',
}
OLD_ANNOTATIONS: Final = {
    "scheduler.alpha.kubernetes.io/critical-pod": (
        'non-functional in v1.16+; use the "priorityClassName" field instead'
    ),
    "security.alpha.kubernetes.io/sysctls": 'non-functional in v1.11+; use the "sysctls" field instead',
    "security.alpha.kubernetes.io/unsafe-sysctls": 'non-functional in v1.11+; use the "sysctls" field instead',
}
INGRESS_CLASS: Final = "kubernetes.io/ingress.class"
TOPOLOGY_HINTS: Final = "service.kubernetes.io/topology-aware-hints"
SURPRISE: Final = "which can result in surprising behavior; a DNS label is recommended"


def create(obj: Object) -> list[str]:
    """What a client should know about an object that it has created."""
    return list(_create((obj.get("apiVersion", ""), obj.get("kind", "")), obj))


def update(new: Object, old: Object) -> list[str]:
    """What a client should know about an object that it has changed; silent where the desired state is the same."""
    key = (new.get("apiVersion", ""), new.get("kind", ""))
    if key == ("v1", "Pod") or new.get("spec") == old.get("spec"):
        return []
    if key == ("v1", "Service"):
        return list(_service(new))
    return list(_template(key, new))


def _create(key: tuple[str, str], obj: Object) -> Warnings:
    name = text(sub(obj, "metadata"), "name")
    if key == ("v1", "Pod"):
        if messages := short_name(name):
            yield f"metadata.name: this is used in the Pod's hostname, {SURPRISE}: [{' '.join(messages)}]"
        yield from _said("PodWarnings", obj, "")
    elif key in TEMPLATES:
        if key != ("v1", "PodTemplate") and (messages := short_name(name)):
            yield f"metadata.name: this is used in Pod names and hostnames, {SURPRISE}: [{' '.join(messages)}]"
        yield from _template(key, obj)
    elif key == ("v1", "Service"):
        yield from _service(obj)
    elif key == ("networking.k8s.io/v1", "Ingress"):
        if INGRESS_CLASS in sub(obj, "metadata", "annotations"):
            yield f"annotation {quote(INGRESS_CLASS)} is deprecated, please use 'spec.ingressClassName' instead"
    elif key == ("v1", "PersistentVolume"):
        if sub(obj, "spec").get("persistentVolumeReclaimPolicy") == "Recycle":
            yield (
                "spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. "
                "Instead, the recommended approach is to use dynamic provisioning."
            )
    elif key == ("v1", "PersistentVolumeClaim"):
        yield from _said("ClaimWarnings", obj, "")


def _template(key: tuple[str, str], obj: Object) -> Warnings:
    if (way := TEMPLATES.get(key)) is not None:
        yield from _said("PodWarnings", sub(obj, *way), ".".join(way))


def _said(name: str, node: Object, path: str) -> Warnings:
    """What a type of warnings.yaml has to say."""
    said: list[str] = []
    tags.type_named(name)(node, path, None, None, said)
    yield from said


def old_label(label: str, path: str) -> Warnings:
    """A label that has another name by now."""
    if label in OLD_LABELS:
        yield f"{path}: {OLD_LABELS[label]}"


def old_key(label: str | None, path: str) -> Warnings:
    """A key that is such a label."""
    if label in OLD_LABELS:
        yield f"{path}: {label} is {OLD_LABELS[label]}"


def old_annotations(annotations: Object | None, path: str) -> Warnings:
    """Annotations that have become fields."""
    for name, message in OLD_ANNOTATIONS.items():
        if name in (annotations or {}):
            yield f"{path}[{name}]: {message}"


def repeated_address(alias: Object | None, path: str, aliases: list[Any]) -> Warnings:
    """An address has its names in one place."""
    yield from _repeated(alias, aliases, "ip", path)


def repeated_name(secret: Object | None, path: str, secrets: list[Any]) -> Warnings:
    """A Secret is named once."""
    yield from _repeated(secret, secrets, "name", path)


def _repeated(item: Object | None, items: list[Any], field: str, path: str) -> Warnings:
    own = text(item or {}, field)
    if own in (text(other, field) for other in earlier(items, path)):
        yield f"{path}.{field}: duplicate {field} {quote(own)}"


def negative_grace(seconds: int | None, path: str) -> Warnings:
    """Nothing ends before it is told to."""
    if (seconds or 0) < 0:
        yield f"{path}: must be >= 0; negative values are invalid and will be treated as 1"


def part_bytes(amounts: Object | None, path: str) -> Warnings:
    """A container's bytes are whole."""
    yield from _fractions(amounts, path, "memory", "ephemeral-storage")


def part_storage(amounts: Object | None, path: str) -> Warnings:
    """A claim's bytes are whole."""
    yield from _fractions(amounts, path, "storage")


def _fractions(amounts: Object | None, path: str, *names: str) -> Warnings:
    for name in names:
        value = (amounts or {}).get(name)
        if value is not None and nanos(value) % quantity.NANO:
            yield f"{path}[{name}]: fractional byte value {quote(shown(value))} is invalid, must be an integer"


def environment(container: Object, path: str) -> Warnings:
    """A variable hides an earlier one of its name."""
    seen: set[str] = set()
    for place, variable in each(container, "env", path):
        name, value = text(variable, "name"), text(variable, "value")
        own = f"$({name})"
        # X="$(X)more" builds on the earlier value and is fine
        hides = variable.get("valueFrom") is not None or value == own or own not in value
        if name in seen and hides:
            yield f"{place}: hides previous definition of {quote(name)}, which may be dropped when using apply"
        seen.add(name)


def ports(spec: Object | None, path: str) -> Warnings:
    """Two ports of a Pod are the same, or may be."""
    kinds = ("initContainers", "containers", "ephemeralContainers")
    containers = [found for kind in kinds for found in each(spec or {}, kind, path)]
    known: dict[tuple[int, str], list[tuple[str, Object]]] = {}
    for at, container in containers:
        for place, port in each(container, "ports", at):
            others = known.setdefault((number(port, "containerPort"), text(port, "protocol")), [])
            for where, other in others:
                same_host = text(port, "hostIP") == text(other, "hostIP")
                ports = number(port, "hostPort"), number(other, "hostPort")
                if same_host and ports[0] == ports[1]:
                    yield f"{place}: duplicate port definition with {where}"
                elif 0 in ports:
                    yield f"{place}: overlapping port definition with {where}"
                elif ports[0] == ports[1] and "" in (text(port, "hostIP"), text(other, "hostIP")):
                    yield f"{place}: dangerously ambiguous port definition with {where}"
            others.append((place, port))


def _service(obj: Object) -> Warnings:
    spec = sub(obj, "spec")
    kind = text(spec, "type")
    headless = kind == "ClusterIP" and spec.get("clusterIP") == "None"
    if TOPOLOGY_HINTS in sub(obj, "metadata", "annotations"):
        instead = "service.kubernetes.io/topology-mode"
        yield f"annotation {TOPOLOGY_HINTS} is deprecated, please use {instead} instead"
    if headless:
        for field in ("loadBalancerIP", "externalIPs"):
            if spec.get(field):
                yield f"spec.{field} is ignored for headless services"
        if text(spec, "sessionAffinity") != "None":
            yield "spec.SessionAffinity is ignored for headless services"
    if listed(spec, "externalIPs"):
        if kind == "ExternalName":
            yield 'spec.externalIPs is ignored when spec.type is "ExternalName"'
        elif not headless:
            yield "spec.externalIPs is deprecated and may no longer be implemented in some clusters"
    if kind != "ExternalName" and spec.get("externalName"):
        yield 'spec.externalName is ignored when spec.type is not "ExternalName"'
    if spec.get("trafficDistribution") == "PreferClose":
        yield 'spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"'
