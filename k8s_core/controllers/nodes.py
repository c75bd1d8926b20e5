"""What controllers say of nodes: taints and who bears them, and which nodes a Pod may ask for.

Stands for component-helpers/scheduling/corev1 and pkg/util/taints.
"""

from collections.abc import Iterable, Sequence

from k8s_core.api import Object
from k8s_core.api.errors import StatusError, is_conflict, is_not_found
from k8s_core.client.client import Client
from k8s_core.controllers.controller import condition

NOT_READY, UNREACHABLE = "node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"
UNSCHEDULABLE = "node.kubernetes.io/unschedulable"
# Which taint a condition's status means (nodeConditionToTaintKeyStatusMap).
CONDITION_TAINTS = {
    ("Ready", "False"): NOT_READY,
    ("Ready", "Unknown"): UNREACHABLE,
    ("MemoryPressure", "True"): "node.kubernetes.io/memory-pressure",
    ("DiskPressure", "True"): "node.kubernetes.io/disk-pressure",
    ("NetworkUnavailable", "True"): "node.kubernetes.io/network-unavailable",
    ("PIDPressure", "True"): "node.kubernetes.io/pid-pressure",
}
TRIES = 5  # UpdateTaintBackoff


def taints(node: Object) -> list[Object]:
    return node["spec"].get("taints") or []


def ready(node: Object) -> Object | None:
    return condition((node.get("status") or {}).get("conditions"), "Ready")


def tolerates(toleration: Object, taint: Object) -> bool:
    if toleration.get("effect") and toleration["effect"] != taint["effect"]:
        return False
    if toleration.get("key") and toleration["key"] != taint["key"]:
        return False
    operator = toleration.get("operator") or "Equal"
    if operator == "Exists":
        return True
    if operator == "Equal":
        return bool(toleration.get("key")) and toleration.get("value", "") == taint.get("value", "")
    have, limit = integer(taint.get("value")), integer(toleration.get("value"))
    if have is None or limit is None:
        return False
    return have > limit if operator == "Gt" else have < limit


def integer(text: str | None) -> int | None:
    try:
        return int(text or "")
    except ValueError:
        return None


def untolerated(node_taints: Iterable[Object], tolerations: Sequence[Object], effects: Sequence[str]) -> Object | None:
    """The first taint of these effects that no toleration bears."""
    for taint in node_taints:
        if taint["effect"] in effects and not any(tolerates(each, taint) for each in tolerations):
            return taint
    return None


def is_wanted_by(spec: Object, node: Object) -> bool:
    """Whether a Pod spec's nodeName, nodeSelector and required node affinity allow the node."""
    labels = node["metadata"].get("labels") or {}
    if spec.get("nodeName") not in (None, "", node["metadata"]["name"]):
        return False
    if not (spec.get("nodeSelector") or {}).items() <= labels.items():
        return False
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    return not required or any(matches_term(term, node) for term in required.get("nodeSelectorTerms") or ())


def matches_term(term: Object, node: Object) -> bool:
    labels = node["metadata"].get("labels") or {}
    expressions = term.get("matchExpressions") or []
    fields = term.get("matchFields") or []
    found = [matches(each, labels) for each in expressions]
    found += [matches(each, {"metadata.name": node["metadata"]["name"]}) for each in fields]
    return bool(found) and all(found)


def matches(requirement: Object, values: dict[str, str]) -> bool:
    value, wanted = values.get(requirement["key"]), requirement.get("values") or []
    match requirement["operator"]:
        case "In":
            return value is not None and value in wanted
        case "NotIn":
            return value is None or value not in wanted
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
    have, limit = integer(value), integer(wanted[0] if wanted else None)
    if have is None or limit is None:
        return False
    return have > limit if requirement["operator"] == "Gt" else have < limit


def swap_taints(client: Client, name: str, add: Sequence[Object], remove: Sequence[Object]) -> bool:
    """Add and remove taints of a node on its latest revision. False if the node is gone or nothing changed."""
    for _ in range(TRIES):
        try:
            node = client.get("nodes", name)
            have = {(each["key"], each["effect"]): each for each in taints(node)}
            for each in remove:
                have.pop((each["key"], each["effect"]), None)
            for each in add:
                have.setdefault((each["key"], each["effect"]), each)
            if list(have.values()) == taints(node):
                return False
            patch = {
                "metadata": {"resourceVersion": node["metadata"]["resourceVersion"]},
                "spec": {"taints": list(have.values()) or None},
            }
            client.patch("nodes", name, "", patch)
            return True
        except StatusError as error:
            if is_not_found(error):
                return False
            if not is_conflict(error):
                raise
    return False
