"""Defaults that depend on other fields of the same object.

Stands for the `SetDefaults_*` functions of `pkg/apis/*/v1/defaults.go` that a table of constants cannot say, and
for Secret's `stringData`, which the v1 conversion folds into `data`.
"""

import base64
from collections.abc import Callable
from typing import Any, Final

from k8s_core.api import Object
from k8s_core.api.defaults.pods import items

CLIENT_IP_SECONDS: Final = 10800
"""How long a Service with `sessionAffinity: ClientIP` remembers a client."""
BACKOFF_LIMIT: Final = 6
MAX_INT32: Final = 2**31 - 1


def before(obj: Object, key: tuple[str, str]) -> None:
    """What the constant defaults must not overtake."""
    if (fill := _BEFORE.get(key)) is not None:
        fill(obj)


def after(obj: Object, key: tuple[str, str]) -> None:
    """What builds on the constant defaults."""
    if (fill := _AFTER.get(key)) is not None:
        fill(obj)


def _fill(node: Object, values: Object) -> None:
    for name, value in values.items():
        if node.get(name) is None:
            node[name] = value


def _struct(node: Object, name: str) -> Object:
    child: Object | None = node.get(name)
    if child is None:
        child = node[name] = {}
    return child


def _template_labels(obj: Object) -> Any:
    template = (obj.get("spec") or {}).get("template") or {}
    return (template.get("metadata") or {}).get("labels")


def _labels_from_template(obj: Object) -> None:
    metadata = _struct(obj, "metadata")
    if (labels := _template_labels(obj)) and not metadata.get("labels"):
        metadata["labels"] = dict(labels)


def _replication_controller(obj: Object) -> None:
    spec = _struct(obj, "spec")
    if (labels := _template_labels(obj)) and not spec.get("selector"):
        spec["selector"] = dict(labels)
    _labels_from_template(obj)


def _stateful_set(obj: Object) -> None:
    strategy = _struct(_struct(obj, "spec"), "updateStrategy")
    if not strategy.get("type"):
        _struct(strategy, "rollingUpdate")
    if strategy.get("type") in (None, "", "RollingUpdate") and strategy.get("rollingUpdate") is not None:
        _fill(strategy["rollingUpdate"], {"partition": 0})


def _deployment(obj: Object) -> None:
    strategy = obj["spec"]["strategy"]
    if strategy["type"] == "RollingUpdate":
        _fill(_struct(strategy, "rollingUpdate"), {"maxUnavailable": "25%", "maxSurge": "25%"})


def _daemon_set(obj: Object) -> None:
    strategy = obj["spec"]["updateStrategy"]
    if strategy["type"] == "RollingUpdate":
        _fill(_struct(strategy, "rollingUpdate"), {"maxUnavailable": 1, "maxSurge": 0})


def _job(obj: Object) -> None:
    spec = _struct(obj, "spec")
    if spec.get("completions") is None and spec.get("parallelism") is None:
        spec["completions"] = 1
    _fill(spec, {"parallelism": 1})
    _fill(spec, {"backoffLimit": BACKOFF_LIMIT if spec.get("backoffLimitPerIndex") is None else MAX_INT32})
    failed = spec.get("podFailurePolicy") is not None
    _fill(spec, {"podReplacementPolicy": "Failed" if failed else "TerminatingOrFailed"})
    _labels_from_template(obj)


def _service(obj: Object) -> None:
    spec = obj["spec"]
    if spec["sessionAffinity"] == "None":
        spec.pop("sessionAffinityConfig", None)
    elif spec["sessionAffinity"] == "ClientIP":
        client = (spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}
        if client.get("timeoutSeconds") is None:
            spec["sessionAffinityConfig"] = {"clientIP": {"timeoutSeconds": CLIENT_IP_SECONDS}}
    for port in items(spec, "ports"):
        if port.get("targetPort") in (None, "", 0):
            port["targetPort"] = port.get("port") or 0
    kind = spec["type"]
    exposed = kind in ("NodePort", "LoadBalancer") or (kind == "ClusterIP" and bool(spec.get("externalIPs")))
    if exposed and not spec.get("externalTrafficPolicy"):
        spec["externalTrafficPolicy"] = "Cluster"
    if kind in ("NodePort", "LoadBalancer", "ClusterIP"):
        _fill(spec, {"internalTrafficPolicy": "Cluster"})
    if kind == "LoadBalancer":
        _fill(spec, {"allocateLoadBalancerNodePorts": True})
        balancer_modes(obj)


def balancer_modes(service: Object) -> None:
    """A balancer's address is the nodes' to answer for, unless its provider says otherwise."""
    for ingress in items(service, "status", "loadBalancer", "ingress"):
        if ingress.get("ip"):
            _fill(ingress, {"ipMode": "VIP"})


def _namespace(obj: Object) -> None:
    metadata = _struct(obj, "metadata")
    if name := metadata.get("name"):
        _struct(metadata, "labels")["kubernetes.io/metadata.name"] = name


def _node(obj: Object) -> None:
    status = _struct(obj, "status")
    if status.get("allocatable") is None and status.get("capacity") is not None:
        status["allocatable"] = dict(status["capacity"])


def _limit_range(obj: Object) -> None:
    for item in items(obj, "spec", "limits"):
        if item.get("type") == "Container":
            limits = {**(item.get("max") or {}), **(item.get("default") or {})}
            requests = {**(item.get("min") or {}), **limits, **(item.get("defaultRequest") or {})}
            for name, values in (("default", limits), ("defaultRequest", requests)):
                if values:
                    item[name] = values


def _secret(obj: Object) -> None:
    plain = obj.pop("stringData", None)
    if plain:
        data = _struct(obj, "data")
        for name, text in plain.items():
            data[name] = base64.b64encode((text or "").encode()).decode()


def _network_policy(obj: Object) -> None:
    spec = _struct(obj, "spec")
    if not spec.get("policyTypes"):
        spec["policyTypes"] = ["Ingress", "Egress"] if spec.get("egress") else ["Ingress"]


def _subjects(obj: Object) -> None:
    for subject in items(obj, "subjects"):
        if subject.get("kind") in ("User", "Group") and not subject.get("apiGroup"):
            subject["apiGroup"] = "rbac.authorization.k8s.io"


def _custom_resource_definition(obj: Object) -> None:
    names = _struct(_struct(obj, "spec"), "names")
    kind = names.get("kind") or ""
    if kind and not names.get("singular"):
        names["singular"] = kind.lower()
    if kind and not names.get("listKind"):
        names["listKind"] = kind + "List"


_BEFORE: Final[dict[tuple[str, str], Callable[[Object], None]]] = {
    ("v1", "ReplicationController"): _replication_controller,
    ("apps/v1", "StatefulSet"): _stateful_set,
    ("batch/v1", "Job"): _job,
    ("v1", "Namespace"): _namespace,
    ("v1", "Node"): _node,
    ("v1", "Secret"): _secret,
    ("v1", "LimitRange"): _limit_range,
    ("networking.k8s.io/v1", "NetworkPolicy"): _network_policy,
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition"): _custom_resource_definition,
}
_AFTER: Final[dict[tuple[str, str], Callable[[Object], None]]] = {
    ("apps/v1", "Deployment"): _deployment,
    ("apps/v1", "DaemonSet"): _daemon_set,
    ("v1", "Service"): _service,
    ("rbac.authorization.k8s.io/v1", "RoleBinding"): _subjects,
    ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"): _subjects,
}
