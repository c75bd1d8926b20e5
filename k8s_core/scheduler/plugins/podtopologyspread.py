"""Spread Pods over zones, nodes or any other domain: hard constraints filter, soft ones and the defaults score.

Stands for plugins/podtopologyspread. A Pod without constraints of its own is spread over nodes and zones together
with the other Pods of its Services and its owner, softly (the system defaults).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from k8s_core.api import Object
from k8s_core.api.selectors import Selector
from k8s_core.scheduler.cache import HOSTNAME, ZONE, NodeInfo, PodInfo
from k8s_core.scheduler.plugin import (
    MAX_NODE_SCORE,
    SKIP,
    Event,
    Plugin,
    Refusal,
    State,
    Status,
    parsed_selector,
    unresolvable,
    unschedulable,
)
from k8s_core.scheduler.plugins.node import KEEPS_OUT, required_affinity_matches, untolerated

SYSTEM_DEFAULTS: tuple[Object, ...] = (
    {"topologyKey": HOSTNAME, "whenUnsatisfiable": "ScheduleAnyway", "maxSkew": 3},
    {"topologyKey": ZONE, "whenUnsatisfiable": "ScheduleAnyway", "maxSkew": 5},
)
OWNERS = {
    ("v1", "ReplicationController"): "replicationcontrollers",
    ("apps/v1", "ReplicaSet"): "replicasets.apps",
    ("apps/v1", "StatefulSet"): "statefulsets.apps",
}


@dataclass(slots=True)
class Constraint:
    max_skew: int
    key: str
    selector: Selector
    identity: bytes  # equal for equal selectors
    min_domains: int
    honor_affinity: bool
    honor_taints: bool

    def count(self, node: NodeInfo, namespace: str) -> int:
        """How many Pods of the node match, those being deleted left aside."""
        memo = ("spread", namespace, self.identity)
        found: int | None = node.memo.get(memo)
        if found is None:
            found = sum(
                pod.namespace == namespace and not pod.terminating and self.selector.matches(pod.labels)
                for pod in node.pods.values()
            )
            node.remember(memo, found)
        return found

    def includes(self, pod: PodInfo, node: NodeInfo) -> bool:
        """nodeAffinityPolicy and nodeTaintsPolicy: whether the node's domain counts at all."""
        if self.honor_affinity and not required_affinity_matches(pod, node.labels, node.name):
            return False
        return not (self.honor_taints and untolerated(node.taints, pod, KEEPS_OUT))


def _constraint(declared: Object, selector: Object | None, labels: dict[str, str]) -> Constraint:
    keys = [key for key in declared.get("matchLabelKeys") or () if key in labels]
    if keys and selector is not None:
        more = [{"key": key, "operator": "In", "values": [labels[key]]} for key in keys]
        selector = {**selector, "matchExpressions": [*(selector.get("matchExpressions") or ()), *more]}
    parsed, identity = parsed_selector(selector)
    return Constraint(
        max_skew=declared["maxSkew"],
        key=declared["topologyKey"],
        selector=parsed,
        identity=identity,
        min_domains=declared.get("minDomains") or 1,
        honor_affinity=declared.get("nodeAffinityPolicy", "Honor") == "Honor",
        honor_taints=declared.get("nodeTaintsPolicy", "Ignore") == "Honor",
    )


@dataclass(slots=True)
class Hard:
    """PreFilter's state: matching Pods per domain, constraint by constraint, and the smallest of them."""

    constraints: list[Constraint]
    counts: list[dict[str, int]]
    smallest: list[int]


@dataclass(slots=True)
class Soft:
    """PreScore's state. `ignored` nodes lack a topology key."""

    constraints: list[Constraint]
    counts: list[dict[str, int]]
    weights: list[float]
    ignored: set[str]


class PodTopologySpread(Plugin):
    name = "PodTopologySpread"
    events = frozenset(
        {
            "AssignedPod/Add",
            "AssignedPod/Update",
            "AssignedPod/Delete",
            "Node/Add",
            "Node/Update",
            "Node/Delete",
            "TargetPod/Update",
        }
    )

    # --- filter ---------------------------------------------------------------------------------------------
    def pre_filter(self, state: State, pod: PodInfo, nodes: Sequence[NodeInfo]) -> Refusal:
        constraints = self._constraints(pod, "DoNotSchedule")
        if not constraints:
            return SKIP
        counts: list[dict[str, int]] = [{} for _ in constraints]
        for node in nodes:
            if not all(c.key in node.labels for c in constraints):
                continue
            for constraint, found in zip(constraints, counts, strict=True):
                if constraint.includes(pod, node):
                    domain = node.labels[constraint.key]
                    found[domain] = found.get(domain, 0) + constraint.count(node, pod.namespace)
        smallest = [
            # With fewer domains than minDomains the missing ones count as empty.
            0 if len(found) < constraint.min_domains else min(found.values(), default=0)
            for constraint, found in zip(constraints, counts, strict=True)
        ]
        state[self.name] = Hard(constraints, counts, smallest)
        return None

    def filter(self, state: State, pod: PodInfo, node: NodeInfo) -> Status | None:
        hard: Hard = state[self.name]
        for constraint, counts, smallest in zip(hard.constraints, hard.counts, hard.smallest, strict=True):
            domain = node.labels.get(constraint.key)
            if domain is None:
                return unresolvable("node(s) didn't match pod topology spread constraints (missing required label)")
            itself = constraint.selector.matches(pod.labels)
            if counts.get(domain, 0) + itself - smallest > constraint.max_skew:
                return unschedulable("node(s) didn't match pod topology spread constraints")
        return None

    # --- score ----------------------------------------------------------------------------------------------
    def pre_score(self, state: State, pod: PodInfo, nodes: Sequence[NodeInfo]) -> bool:
        constraints = self._constraints(pod, "ScheduleAnyway")
        if not constraints:
            return False
        # The defaults may miss a zone label; constraints that somebody wrote may not.
        require_all = bool(pod.spec.get("topologySpreadConstraints") or self.args.get("defaultConstraints"))
        ignored: set[str] = set()
        if require_all:
            ignored = {n.name for n in nodes if not all(c.key in n.labels for c in constraints)}
        counts: list[dict[str, int]] = []
        weights: list[float] = []
        for constraint in constraints:
            domains: dict[str, int] = {}
            size = len(nodes) - len(ignored)
            if constraint.key != HOSTNAME:  # a node's own count is looked up when it is scored
                domains = {n.labels.get(constraint.key, ""): 0 for n in nodes if n.name not in ignored}
                size = len(domains)
                if domains.keys() != {""}:
                    self._count(constraint, domains, pod, constraints if require_all else [])
            counts.append(domains)
            weights.append(math.log(size + 2))
        state[self.name + "/score"] = Soft(constraints, counts, weights, ignored)
        return True

    def _count(
        self, constraint: Constraint, domains: dict[str, int], pod: PodInfo, required: list[Constraint]
    ) -> None:
        for node in self.handle.cache.nodes:
            if all(c.key in node.labels for c in required) and constraint.includes(pod, node):
                domain = node.labels.get(constraint.key, "")
                if domain in domains:
                    domains[domain] += constraint.count(node, pod.namespace)

    def scores(self, state: State, pod: PodInfo, nodes: Sequence[NodeInfo]) -> list[int]:
        soft: Soft = state[self.name + "/score"]
        sums = [0.0] * len(nodes)
        for constraint, counts, weight in zip(soft.constraints, soft.counts, soft.weights, strict=True):
            key, extra, namespace = constraint.key, constraint.max_skew - 1, pod.namespace
            for index, node in enumerate(nodes):
                domain = node.labels.get(key)
                if domain is not None and node.name not in soft.ignored:
                    count = constraint.count(node, namespace) if key == HOSTNAME else counts[domain]
                    sums[index] += count * weight + extra
        return [math.floor(value + 0.5) for value in sums]

    def normalize(self, state: State, scores: list[int], nodes: Sequence[NodeInfo]) -> list[int]:
        ignored = state[self.name + "/score"].ignored
        valid = [score for score, node in zip(scores, nodes, strict=True) if node.name not in ignored]
        low, high = min(valid, default=0), max(valid, default=0)
        if high:
            scores = [MAX_NODE_SCORE * (high + low - score) // high for score in scores]
        else:
            scores = [MAX_NODE_SCORE] * len(scores)
        if not ignored:
            return scores
        return [0 if node.name in ignored else score for score, node in zip(scores, nodes, strict=True)]

    # --- constraints ----------------------------------------------------------------------------------------
    def _constraints(self, pod: PodInfo, action: str) -> list[Constraint]:
        declared: Sequence[Object] = pod.spec.get("topologySpreadConstraints") or ()
        if declared:
            found: list[Constraint] | None = pod.memo.get("spread/" + action)
            if found is None:
                found = [
                    _constraint(c, c.get("labelSelector"), pod.labels)
                    for c in declared
                    if c["whenUnsatisfiable"] == action
                ]
                pod.memo["spread/" + action] = found
            return found
        defaults: Sequence[Object] = self.args.get("defaultConstraints") or (
            SYSTEM_DEFAULTS if self.args.get("defaultingType", "System") == "System" else ()
        )
        defaults = [c for c in defaults if c["whenUnsatisfiable"] == action]
        selector = self._default_selector(pod) if defaults else None
        return [_constraint(c, selector, pod.labels) for c in defaults] if selector else []

    def _default_selector(self, pod: PodInfo) -> Object | None:
        """helper.DefaultSelector: what the Pod's Services and its owner select it by."""
        labels: dict[str, str] = {}
        expressions: list[Object] = []
        for service in self.handle.list("services", pod.namespace):
            wanted = service["spec"].get("selector")
            if wanted and wanted.items() <= pod.labels.items():
                labels |= wanted
        owner = next((o for o in pod.pod["metadata"].get("ownerReferences") or () if o.get("controller")), None)
        resource = OWNERS.get((owner["apiVersion"], owner["kind"])) if owner else None
        found = self.handle.get(resource, owner["name"], pod.namespace) if resource and owner else None
        if found:
            selector = found["spec"].get("selector") or {}
            if resource == "replicationcontrollers":
                labels |= selector
            else:
                labels |= selector.get("matchLabels") or {}
                expressions = selector.get("matchExpressions") or []
        if not labels and not expressions:
            return None
        return {"matchLabels": labels, "matchExpressions": expressions} if expressions else {"matchLabels": labels}

    # --- hints ----------------------------------------------------------------------------------------------
    def helps(self, event: Event, pod: PodInfo) -> bool:
        constraints = self._constraints(pod, "DoNotSchedule")
        if event.kind == "TargetPod/Update":
            return bool(event.old.labels != event.new.labels)
        if event.kind.startswith("AssignedPod"):
            return any(
                other is not None and other.namespace == pod.namespace and c.selector.matches(other.labels)
                for other in (event.old, event.new)
                for c in constraints
            )
        labels = [node["metadata"].get("labels") or {} for node in (event.old, event.new) if node]
        return any(all(c.key in found for c in constraints) for found in labels)
