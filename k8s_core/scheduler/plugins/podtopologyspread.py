"""Spread Pods over zones, nodes or any other domain: hard constraints filter, soft ones and the defaults score.

Stands for plugins/podtopologyspread. A Pod without constraints of its own is spread over nodes and zones together
with the other Pods of its Services and its owner, softly (the system defaults).
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Any

import orjson

from k8s_core.api import Object
from k8s_core.api.placement import suits, untolerated
from k8s_core.api.selectors import Selector
from k8s_core.scheduler.cache import HOSTNAME, ZONE, Cache, NodeInfo, PodInfo
from k8s_core.scheduler.plugin import (
    MAX_NODE_SCORE,
    SKIP,
    Event,
    Handle,
    Plugin,
    Refusal,
    State,
    Status,
    parsed_selector,
    unresolvable,
    unschedulable,
)
from k8s_core.scheduler.plugins.node import KEEPS_OUT

SYSTEM_DEFAULTS: tuple[Object, ...] = (
    {"topologyKey": HOSTNAME, "whenUnsatisfiable": "ScheduleAnyway", "maxSkew": 3},
    {"topologyKey": ZONE, "whenUnsatisfiable": "ScheduleAnyway", "maxSkew": 5},
)
MAX_TALLIES = 128
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
        key = (self.identity, namespace)  # constraints for zones and for nodes mostly have the same selector
        found: int | None = node.memo.get(key)
        if found is None:
            matches = self.selector.matches
            mine = [pod for pod in node.pods.values() if pod.namespace == namespace and not pod.terminating]
            found = node.remember(key, sum(matches(pod.labels) for pod in mine))
        return found

    def includes(self, pod: PodInfo, node: NodeInfo) -> bool:
        """nodeAffinityPolicy and nodeTaintsPolicy: whether the node's domain counts at all."""
        if self.honor_affinity and not suits(pod.spec, node.labels, node.name):
            return False
        return not (self.honor_taints and untolerated(node.taints, pod.spec.get("tolerations") or (), KEEPS_OUT))


def _node_affinity(pod: PodInfo) -> Object | None:
    found: Object | None = (pod.spec.get("affinity") or {}).get("nodeAffinity")
    return found


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


class Tally:
    """How many matching Pods each node and each domain has for one constraint, seen from one kind of Pod."""

    def __init__(self, constraint: Constraint, pod: PodInfo, required: Sequence[str]):
        self.constraint, self.pod, self.required = constraint, pod, required
        self.by_node: dict[str, int] = {}
        self.by_domain: dict[str, int] = {}
        self._domain_of: dict[str, str] = {}
        self._seen: dict[str, Object | None] = {}
        self._nodes_in: Counter[str] = Counter()
        self.counts: list[int | None] = []
        """By place in the cache, how many the node has; None if the node is in no domain."""
        self.domains: list[str | None] = []
        self._nodes: list[NodeInfo] = []
        self._generation = -1

    @property
    def unique(self) -> bool:
        """Whether every node is a domain of its own."""
        return len(self._nodes_in) == len(self.by_node)

    def refresh(self, cache: Cache) -> "Tally":
        """Count again what changed since the last time."""
        if self._generation == cache.generation:
            return self
        nodes, places, key = cache.nodes, cache.places, self.constraint.key
        moved = nodes is not self._nodes
        for name in list(cache.changed_since(self._generation)):
            self.set(name, cache.get(name))
            if not moved and (place := places.get(name)) is not None:
                self.domains[place] = nodes[place].labels.get(key)
                self.counts[place] = None if self.domains[place] is None else self.by_node[name]
        if moved:
            self.domains = [node.labels.get(key) for node in nodes]
            self.counts = [
                None if domain is None else self.by_node[node.name]
                for node, domain in zip(nodes, self.domains, strict=True)
            ]
        self._nodes, self._generation = nodes, cache.generation
        return self

    def set(self, name: str, node: NodeInfo | None) -> None:
        """Count this node anew; None or a node that the constraint does not include counts for nothing."""
        if node is not None and node.node is self._seen.get(name, node):  # only its Pods are others
            count = self.constraint.count(node, self.pod.namespace)
            if (domain := self._domain_of.get(name)) is not None:
                self.by_domain[domain] += count - self.by_node[name]
            self.by_node[name] = count
            return
        domain = self._domain_of.pop(name, None)
        count = self.by_node.pop(name, 0)
        if domain is not None:
            self.by_domain[domain] -= count
            self._nodes_in[domain] -= 1
            if not self._nodes_in[domain]:
                del self._nodes_in[domain], self.by_domain[domain]
        self._seen[name] = node.node if node else None
        if node is None:
            return
        self.by_node[name] = count = self.constraint.count(node, self.pod.namespace)
        if all(key in node.labels for key in self.required) and self.constraint.includes(self.pod, node):
            domain = self._domain_of[name] = node.labels.get(self.constraint.key, "")
            self._nodes_in[domain] += 1
            self.by_domain[domain] = self.by_domain.get(domain, 0) + count


@dataclass(slots=True)
class Hard:
    """PreFilter's state: matching Pods per domain, constraint by constraint, and the smallest of them."""

    constraints: list[Constraint]
    counts: list[dict[str, int]]
    smallest: list[int]


@dataclass(slots=True)
class Soft:
    """PreScore's state. `ignored` nodes lack a topology key."""

    tallies: list[Tally]
    weights: list[float]
    ignored: set[str]


class PodTopologySpread(Plugin):
    name = "PodTopologySpread"
    even = True
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

    def __init__(self, handle: Handle, args: Object):
        super().__init__(handle, args)
        self._tallies: dict[tuple[object, ...], Tally] = {}

    # --- filter ---------------------------------------------------------------------------------------------
    def pre_filter(self, state: State, pod: PodInfo, nodes: Sequence[NodeInfo]) -> Refusal:
        constraints = self._constraints(pod, "DoNotSchedule")
        if not constraints:
            return SKIP
        required = [constraint.key for constraint in constraints]
        if nodes is self.handle.cache.nodes:
            counts = [self._tally(constraint, pod, required).by_domain for constraint in constraints]
        else:  # somebody asks what would be
            tallies = [Tally(constraint, pod, required) for constraint in constraints]
            for tally in tallies:
                for node in nodes:
                    tally.set(node.name, node)
            counts = [tally.by_domain for tally in tallies]
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
        required = [constraint.key for constraint in constraints] if require_all else []
        tallies = [self._tally(constraint, pod, required) for constraint in constraints]
        kept = [node.name not in ignored for node in nodes] if ignored else None
        weights = []
        for tally in tallies:
            size = len(nodes)
            if kept or not tally.unique:
                domains = state["places"].take(tally.domains)
                size = len(set(compress(domains, kept) if kept else domains))
            # More domains, fewer Pods in each: the logarithm keeps the counts of zones and of nodes comparable.
            weights.append(math.log(size + 2))
        state[self.name + "/score"] = Soft(tallies, weights, ignored)
        return True

    def facts(self, state: State) -> list[list[Any]]:
        """How many Pods a node has, or in which domain it is."""
        soft: Soft = state[self.name + "/score"]
        return [tally.counts if tally.constraint.key == HOSTNAME else tally.domains for tally in soft.tallies]

    def scores(self, state: State, pod: PodInfo, nodes: Sequence[NodeInfo]) -> list[int]:
        soft: Soft = state[self.name + "/score"]
        return [0 if node.name in soft.ignored else self._score(soft, node) for node in nodes]

    def _score(self, soft: Soft, node: NodeInfo) -> int:
        points = 0.0
        for tally, weight in zip(soft.tallies, soft.weights, strict=True):
            key = tally.constraint.key
            if key in node.labels:
                own = tally.by_node.get(node.name, 0)
                count = own if key == HOSTNAME else tally.by_domain.get(node.labels[key], 0)
                points += count * weight + tally.constraint.max_skew - 1
        return int(points + 0.5)

    def _tally(self, constraint: Constraint, pod: PodInfo, required: Sequence[str]) -> Tally:
        """The running count for this constraint and for Pods that look at nodes as this one does."""
        seen_by = b""
        if constraint.honor_affinity and (pod.spec.get("nodeSelector") or _node_affinity(pod)):
            seen_by = orjson.dumps([pod.spec.get("nodeSelector"), _node_affinity(pod)], option=orjson.OPT_SORT_KEYS)
        if constraint.honor_taints:
            seen_by += orjson.dumps(pod.spec.get("tolerations"), option=orjson.OPT_SORT_KEYS)
        key = (
            constraint.identity,
            constraint.key,
            pod.namespace,
            tuple(required),
            constraint.honor_affinity,
            seen_by,
        )
        tally = self._tallies.pop(key, None)
        if tally is None:
            if len(self._tallies) >= MAX_TALLIES:
                del self._tallies[next(iter(self._tallies))]
            tally = Tally(constraint, pod, required)
        self._tallies[key] = tally  # the one used last is dropped last
        return tally.refresh(self.handle.cache)

    def normalize(self, state: State, scores: list[int], nodes: Sequence[NodeInfo]) -> list[int]:
        ignored = state[self.name + "/score"].ignored
        valid = scores
        if ignored:
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
