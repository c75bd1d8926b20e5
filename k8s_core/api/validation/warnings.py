"""Warnings: what is allowed but hardly meant. They reach a client in `Warning` headers; kubectl prints them.

Stands for the strategies' `WarningsOnCreate` and `WarningsOnUpdate` and for `pkg/api/*/warnings.go`.
"""

from collections.abc import Iterator
from typing import Final

from k8s_core.api import Object, quantity
from k8s_core.api.defaults.pods import TEMPLATES
from k8s_core.api.field import quote
from k8s_core.api.validation.common import each, listed, number, sub, text
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
OLD_VOLUMES: Final = {
    "photonPersistentDisk": "deprecated in v1.11, non-functional in v1.16+",
    "gitRepo": "deprecated in v1.11",
    "scaleIO": "deprecated in v1.16, non-functional in v1.22+",
    "flocker": "deprecated in v1.22, non-functional in v1.25+",
    "storageos": "deprecated in v1.22, non-functional in v1.25+",
    "quobyte": "deprecated in v1.22, non-functional in v1.25+",
    "glusterfs": "deprecated in v1.25, non-functional in v1.26+",
    "cephfs": "deprecated in v1.28, non-functional in v1.31+",
    "rbd": "deprecated in v1.28, non-functional in v1.31+",
}
REQUIRED: Final = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED: Final = "preferredDuringSchedulingIgnoredDuringExecution"
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
        yield from _pod(sub(obj, "spec"), sub(obj, "metadata"), "")
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
        yield from _fractions(sub(obj, "spec", "resources"), "spec.resources", ("storage",))


def _template(key: tuple[str, str], obj: Object) -> Warnings:
    way = TEMPLATES.get(key)
    if way is not None:
        template = sub(obj, *way)
        yield from _pod(sub(template, "spec"), sub(template, "metadata"), ".".join(way) + ".")


def _pod(spec: Object, metadata: Object, prefix: str) -> Warnings:
    path = f"{prefix}spec"
    for label in sub(spec, "nodeSelector"):
        if label in OLD_LABELS:
            yield f"{path}.nodeSelector[{label}]: {OLD_LABELS[label]}"
    yield from _affinity(sub(spec, "affinity"), f"{path}.affinity")
    for place, constraint in each(spec, "topologySpreadConstraints", path):
        key = text(constraint, "topologyKey")
        if key in OLD_LABELS:
            yield f"{place}.topologyKey: {key} is {OLD_LABELS[key]}"
        if constraint.get("labelSelector") is None:
            yield f"{place}.labelSelector: a null labelSelector results in matching no pod"
    for name, message in OLD_ANNOTATIONS.items():
        if name in sub(metadata, "annotations"):
            yield f"{prefix}metadata.annotations[{name}]: {message}"
    for place, volume in each(spec, "volumes", path):
        for kind, message in OLD_VOLUMES.items():
            if volume.get(kind) is not None:
                yield f"{place}.{kind}: {message}"
    yield from _repeated(spec, "hostAliases", "ip", path)
    yield from _repeated(spec, "imagePullSecrets", "name", path)
    for place, secret in each(spec, "imagePullSecrets", path):
        if not secret.get("name"):
            yield f'{place}.name: invalid empty name ""'
    containers = [c for k in ("initContainers", "containers", "ephemeralContainers") for c in each(spec, k, path)]
    for place, container in containers:
        for kind in ("limits", "requests"):
            amounts = {kind: sub(container, "resources").get(kind)}
            yield from _fractions(amounts, f"{place}.resources", ("memory", "ephemeral-storage"))
        yield from _environment(container, place)
    yield from _ports(containers)
    if number(spec, "terminationGracePeriodSeconds") < 0:
        place = f"{path}.terminationGracePeriodSeconds"
        yield f"{place}: must be >= 0; negative values are invalid and will be treated as 1"


def _affinity(affinity: Object, path: str) -> Warnings:
    node, place = sub(affinity, "nodeAffinity"), f"{path}.nodeAffinity"
    terms = list(each(sub(node, REQUIRED), "nodeSelectorTerms", f"{place}.{REQUIRED}"))
    terms += [(f"{at}.preference", sub(t, "preference")) for at, t in each(node, PREFERRED, place)]
    for at, term in terms:
        for where, expression in each(term, "matchExpressions", at):
            key = text(expression, "key")
            if key in OLD_LABELS:
                yield f"{where}.key: {key} is {OLD_LABELS[key]}"
    for kind in ("podAffinity", "podAntiAffinity"):
        pods, place = sub(affinity, kind), f"{path}.{kind}"
        terms = list(each(pods, REQUIRED, place))
        terms += [(f"{at}.podAffinityTerm", sub(t, "podAffinityTerm")) for at, t in each(pods, PREFERRED, place)]
        for at, term in terms:
            if term.get("labelSelector") is None:
                yield f"{at}.labelSelector: a null labelSelector results in matching no pod"


def _repeated(spec: Object, field: str, name: str, path: str) -> Warnings:
    seen: set[str] = set()
    for place, item in each(spec, field, path):
        value = text(item, name)
        if value in seen:
            yield f"{place}.{name}: duplicate {name} {quote(value)}"
        seen.add(value)


def _fractions(node: Object, path: str, names: tuple[str, ...]) -> Warnings:
    for kind in ("limits", "requests"):
        for name in names:
            value = sub(node, kind).get(name)
            if value is not None and nanos(value) % quantity.NANO:
                place = f"{path}.{kind}[{name}]"
                yield f"{place}: fractional byte value {quote(shown(value))} is invalid, must be an integer"


def _environment(container: Object, path: str) -> Warnings:
    seen: set[str] = set()
    for place, variable in each(container, "env", path):
        name, value = text(variable, "name"), text(variable, "value")
        own = f"$({name})"
        # X="$(X)more" builds on the earlier value and is fine
        hides = variable.get("valueFrom") is not None or value == own or own not in value
        if name in seen and hides:
            yield f"{place}: hides previous definition of {quote(name)}, which may be dropped when using apply"
        seen.add(name)


def _ports(containers: list[tuple[str, Object]]) -> Warnings:
    known: dict[tuple[int, str], list[tuple[str, Object]]] = {}
    for path, container in containers:
        for place, port in each(container, "ports", path):
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
