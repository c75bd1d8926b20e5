"""What controllers say of nodes: readiness, and the taints they put on and take away.

Stands for pkg/util/taints and the node part of pkg/controller/controller_utils.go.
"""

from collections.abc import Sequence

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
