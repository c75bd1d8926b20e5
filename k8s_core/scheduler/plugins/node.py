"""Plugins that look at the node itself: is it open, is it the one asked for, do its taints and labels suit.

Stand for plugins/nodeunschedulable, nodename, tainttoleration, nodeaffinity and nodeports.
"""

from collections.abc import Sequence
from typing import Any

from k8s_core.api import Object
from k8s_core.api.placement import collide, selects, suits, term_matches, tolerates, untolerated
from k8s_core.scheduler.cache import NodeInfo, PodInfo
from k8s_core.scheduler.plugin import (
    SKIP,
    Event,
    Handle,
    Plugin,
    Refusal,
    State,
    Status,
    default_normalize,
    unresolvable,
    unschedulable,
)

UNSCHEDULABLE_TAINT = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}


KEEPS_OUT = ("NoSchedule", "NoExecute")


def _tolerations(pod: PodInfo) -> Sequence[Object]:
    return pod.spec.get("tolerations") or ()


class NodeUnschedulable(Plugin):
    name = "NodeUnschedulable"
    local = True
    events = frozenset({"Node/Add", "Node/Update", "TargetPod/Update"})

    def filter(self, state: State, pod: PodInfo, node: NodeInfo) -> Status | None:
        if not node.unschedulable or not untolerated([UNSCHEDULABLE_TAINT], _tolerations(pod), KEEPS_OUT):
            return None
        return unresolvable("node(s) were unschedulable")

    def helps(self, event: Event, pod: PodInfo) -> bool:
        if event.kind == "TargetPod/Update":
            return _tolerations_changed(event)
        was, now = (_unschedulable(node) for node in (event.old, event.new))
        return not now and (event.old is None or was)


def _unschedulable(node: Object | None) -> bool:
    return bool(node and (node.get("spec") or {}).get("unschedulable"))


def _tolerations_changed(event: Event) -> bool:
    return bool(event.old.spec.get("tolerations") != event.new.spec.get("tolerations"))


class NodeName(Plugin):
    name = "NodeName"
    local = True
    events = frozenset({"Node/Add"})

    def filter(self, state: State, pod: PodInfo, node: NodeInfo) -> Status | None:
        wanted = pod.spec.get("nodeName")
        if not wanted or wanted == node.name:
            return None
        return unresolvable("node(s) didn't match the requested node name")

    def helps(self, event: Event, pod: PodInfo) -> bool:
        return bool(pod.spec.get("nodeName") == event.new["metadata"]["name"])


class TaintToleration(Plugin):
    """Keeps Pods off nodes with taints they do not tolerate; prefers fewer untolerated PreferNoSchedule taints."""

    name = "TaintToleration"
    even = True
    local = True
    events = frozenset({"Node/Add", "Node/Update", "TargetPod/Update"})

    def filter(self, state: State, pod: PodInfo, node: NodeInfo) -> Status | None:
        if not node.taints or not (taint := untolerated(node.taints, _tolerations(pod), KEEPS_OUT)):
            return None
        if self.args.get("nameTaint"):  # how releases before 1.35 worded it
            return unresolvable(f"node(s) had untolerated taint {{{taint['key']}: {taint.get('value') or ''}}}")
        return unresolvable("node(s) had untolerated taint(s)")

    def score(self, state: State, pod: PodInfo, node: NodeInfo) -> int:
        if not node.taints:
            return 0
        tolerations = [t for t in _tolerations(pod) if t.get("effect") in (None, "", "PreferNoSchedule")]
        return sum(
            taint.get("effect") == "PreferNoSchedule" and not any(tolerates(t, taint) for t in tolerations)
            for taint in node.taints
        )

    def normalize(self, state: State, scores: list[int], nodes: Sequence[NodeInfo]) -> list[int]:
        return default_normalize(scores, reverse=True)

    def helps(self, event: Event, pod: PodInfo) -> bool:
        if event.kind == "TargetPod/Update":
            return _tolerations_changed(event)
        if untolerated(_taints(event.new), _tolerations(pod), KEEPS_OUT):
            return False
        return event.old is None or untolerated(_taints(event.old), _tolerations(pod), KEEPS_OUT) is not None


def _taints(node: Object) -> list[Object]:
    return (node.get("spec") or {}).get("taints") or []


# --- node affinity ----------------------------------------------------------------------------------------------
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


def _node_rules(pod: PodInfo) -> Object:
    return (pod.spec.get("affinity") or {}).get("nodeAffinity") or {}


class NodeAffinity(Plugin):
    """nodeSelector and required affinity filter; preferred affinity adds its weights.

    A profile's addedAffinity is required and preferred beside what the Pods themselves say.
    """

    name = "NodeAffinity"
    even = True
    local = True
    events = frozenset({"Node/Add", "Node/Update", "TargetPod/Update"})

    def __init__(self, handle: Handle, args: Object):
        super().__init__(handle, args)
        self._added: Object = args.get("addedAffinity") or {}

    def pre_filter(self, state: State, pod: PodInfo, nodes: Sequence[NodeInfo]) -> Refusal:
        required = _node_rules(pod).get(REQUIRED)
        if required is None and not pod.spec.get("nodeSelector") and REQUIRED not in self._added:
            return SKIP
        names: set[str] = set()
        for term in (required or {}).get("nodeSelectorTerms") or ():
            # Terms are alternatives, so each must name its nodes for the names to be the only possible ones.
            fields = [
                frozenset(e.get("values") or ())
                for e in term.get("matchFields") or ()
                if e["key"] == "metadata.name" and e["operator"] == "In"
            ]
            if not fields:
                return None
            names |= frozenset.intersection(*fields)
        if not required or not required.get("nodeSelectorTerms"):
            return None
        if not names:
            return unresolvable("pod affinity terms conflict")
        return frozenset(names)

    def filter(self, state: State, pod: PodInfo, node: NodeInfo) -> Status | None:
        if not selects(self._added.get(REQUIRED), node.labels, node.name):
            return unresolvable("node(s) didn't match scheduler-enforced node affinity")
        if not suits(pod.spec, node.labels, node.name):
            return unresolvable("node(s) didn't match Pod's node affinity/selector")
        return None

    def _preferred(self, pod: PodInfo) -> list[Any]:
        return [*(self._added.get(PREFERRED) or ()), *(_node_rules(pod).get(PREFERRED) or ())]

    def pre_score(self, state: State, pod: PodInfo, nodes: Sequence[NodeInfo]) -> bool:
        return bool(self._preferred(pod))

    def score(self, state: State, pod: PodInfo, node: NodeInfo) -> int:
        return sum(
            term["weight"]
            for term in self._preferred(pod)
            if term_matches(term.get("preference") or {}, node.labels, node.name)
        )

    def normalize(self, state: State, scores: list[int], nodes: Sequence[NodeInfo]) -> list[int]:
        return default_normalize(scores)

    def helps(self, event: Event, pod: PodInfo) -> bool:
        if event.kind == "TargetPod/Update":
            return any(event.old.spec.get(part) != event.new.spec.get(part) for part in ("nodeSelector", "affinity"))
        return self._suits(pod, event.new) and (event.old is None or not self._suits(pod, event.old))

    def _suits(self, pod: PodInfo, node: Object) -> bool:
        labels, name = node["metadata"].get("labels") or {}, node["metadata"]["name"]
        return selects(self._added.get(REQUIRED), labels, name) and suits(pod.spec, labels, name)


# --- host ports -------------------------------------------------------------------------------------------------
class NodePorts(Plugin):
    name = "NodePorts"
    local = True
    events = frozenset({"AssignedPod/Delete", "Node/Add", "Node/Update"})

    def pre_filter(self, state: State, pod: PodInfo, nodes: Sequence[NodeInfo]) -> Refusal:
        return None if pod.ports else SKIP

    def filter(self, state: State, pod: PodInfo, node: NodeInfo) -> Status | None:
        if collide(pod.ports, node.ports):
            return unschedulable("node(s) didn't have free ports for the requested pod ports")
        return None

    def helps(self, event: Event, pod: PodInfo) -> bool:
        if event.kind != "AssignedPod/Delete":
            return event.old is None
        return collide(pod.ports, event.old.ports)
