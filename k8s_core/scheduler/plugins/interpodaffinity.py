"""Pods that want to be near other Pods, or away from them.

Stands for plugins/interpodaffinity: required terms of the Pod and required anti-affinity of the Pods that run
filter; preferred terms of both sides, and required affinity of Pods that run, score. What is counted on a node is
remembered there, so a Pod costs a look at each node, not at each Pod.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import orjson

from k8s_core.api import Object
from k8s_core.api.selectors import Selector
from k8s_core.scheduler.cache import NodeInfo, PodInfo
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

Domains = Counter[tuple[str, str]]
"""How often a topology pair (key, value) was met."""


@dataclass(slots=True)
class Term:
    """A PodAffinityTerm of a Pod, with its weight if it is a preference."""

    key: str
    selector: Selector
    namespaces: frozenset[str]
    namespace_selector: Selector | None
    weight: int = 0

    def matches(self, pod: PodInfo, namespace_labels: dict[str, str]) -> bool:
        if pod.namespace not in self.namespaces and not (
            self.namespace_selector and self.namespace_selector.matches(namespace_labels)
        ):
            return False
        return self.selector.matches(pod.labels)


def _term(term: Object, namespace: str, weight: int = 0) -> Term:
    names, wanted = term.get("namespaces") or (), term.get("namespaceSelector")
    return Term(
        key=term["topologyKey"],
        selector=parsed_selector(term.get("labelSelector"))[0],
        namespaces=frozenset(names) if names or wanted is not None else frozenset({namespace}),
        namespace_selector=parsed_selector(wanted)[0] if wanted is not None else None,
        weight=weight,
    )


@dataclass(slots=True)
class Terms:
    """All terms of one Pod."""

    affinity: list[Term]
    anti_affinity: list[Term]
    preferred: list[Term]
    """Preferred affinity, and preferred anti-affinity with its weight negative."""


NO_TERMS = Terms([], [], [])


def terms_of(pod: PodInfo) -> Terms:
    if not pod.spec.get("affinity"):
        return NO_TERMS
    found: Terms | None = pod.memo.get("affinity")
    if found is None:
        space = pod.namespace
        preferred = [(1, t) for t in pod.affinity("podAffinity", "preferred")]
        preferred += [(-1, t) for t in pod.affinity("podAntiAffinity", "preferred")]
        found = pod.memo["affinity"] = Terms(
            [_term(t, space) for t in pod.affinity("podAffinity", "required")],
            [_term(t, space) for t in pod.affinity("podAntiAffinity", "required")],
            [_term(t["podAffinityTerm"], space, sign * t["weight"]) for sign, t in preferred],
        )
    return found


@dataclass(slots=True)
class Counts:
    """PreFilter's state: how many Pods there are in each domain ..."""

    affinity: Domains = field(default_factory=Counter)  # ... that match all required affinity terms
    anti_affinity: Domains = field(default_factory=Counter)  # ... that match a required anti-affinity term
    existing: Domains = field(default_factory=Counter)  # ... whose own anti-affinity this Pod matches


class InterPodAffinity(Plugin):
    name = "InterPodAffinity"
    even = True
    events = frozenset(
        {
            "AssignedPod/Add",
            "AssignedPod/Update",
            "AssignedPod/Delete",
            "Node/Add",
            "Node/Update",
            "TargetPod/Update",
        }
    )

    # --- filter ---------------------------------------------------------------------------------------------
    def pre_filter(self, state: State, pod: PodInfo, nodes: Sequence[NodeInfo]) -> Refusal:
        terms, counts = terms_of(pod), Counts()
        labels = self._namespace_labels(pod.namespace)
        who = (pod.namespace, *sorted(pod.labels.items()), *sorted(labels.items()))
        cache = self.handle.cache
        for node in cache.with_affinity if nodes is cache.nodes else nodes:
            if node.with_affinity:
                _add(counts.existing, node, self._existing(node, pod, who, labels))
        if terms.affinity or terms.anti_affinity:
            what = ("affinity", pod.namespace, orjson.dumps(pod.spec["affinity"], option=orjson.OPT_SORT_KEYS))
            for node in nodes:
                if node.pods:
                    near, far = self._incoming(node, terms, what)
                    _add(counts.affinity, node, near)
                    _add(counts.anti_affinity, node, far)
        elif not counts.existing:
            return SKIP
        state[self.name] = counts
        return None

    def _existing(self, node: NodeInfo, pod: PodInfo, who: tuple[object, ...], labels: dict[str, str]) -> Counter[str]:
        """By topology key: required anti-affinity terms of the node's Pods that match `pod`."""
        found: Counter[str] | None = node.memo.get(("anti-affinity", who))
        if found is None:
            found = Counter(
                term.key
                for other in node.with_affinity.values()
                for term in terms_of(other).anti_affinity
                if term.matches(pod, labels)
            )
            node.remember(("anti-affinity", who), found)
        return found

    def _incoming(self, node: NodeInfo, terms: Terms, what: tuple[object, ...]) -> tuple[Counter[str], Counter[str]]:
        """By topology key: Pods of the node that match all affinity terms; that match an anti-affinity term."""
        found: tuple[Counter[str], Counter[str]] | None = node.memo.get(what)
        if found is None:
            near: Counter[str] = Counter()
            far: Counter[str] = Counter()
            for other in node.pods.values():
                labels = self._namespace_labels(other.namespace)
                if terms.affinity and all(term.matches(other, labels) for term in terms.affinity):
                    near.update(term.key for term in terms.affinity)
                far.update(term.key for term in terms.anti_affinity if term.matches(other, labels))
            found = near, far
            node.remember(what, found)
        return found

    def filter(self, state: State, pod: PodInfo, node: NodeInfo) -> Status | None:
        counts: Counts = state[self.name]
        terms = terms_of(pod)
        if terms.affinity and not self._affinity_satisfied(counts, terms.affinity, pod, node):
            return unresolvable("node(s) didn't match pod affinity rules")
        if _meets(counts.anti_affinity, (term.key for term in terms.anti_affinity), node):
            return unschedulable("node(s) didn't match pod anti-affinity rules")
        if _meets(counts.existing, {key for key, _ in counts.existing}, node):
            return unschedulable("node(s) didn't satisfy existing pods anti-affinity rules")
        return None

    def _affinity_satisfied(self, counts: Counts, terms: list[Term], pod: PodInfo, node: NodeInfo) -> bool:
        if not all(term.key in node.labels for term in terms):
            return False
        if all(counts.affinity[term.key, node.labels[term.key]] > 0 for term in terms):
            return True
        # The first Pod of a group that wants to be together has nobody to join yet.
        labels = self._namespace_labels(pod.namespace)
        return not counts.affinity and all(term.matches(pod, labels) for term in terms)

    # --- score ----------------------------------------------------------------------------------------------
    def pre_score(self, state: State, pod: PodInfo, nodes: Sequence[NodeInfo]) -> bool:
        preferred = terms_of(pod).preferred
        if self.args.get("ignorePreferredTermsOfExistingPods") and not preferred:
            return False
        cache = self.handle.cache
        candidates = [n for n in cache.nodes if n.pods] if preferred else cache.with_affinity
        if not candidates:
            return False
        labels = self._namespace_labels(pod.namespace)
        affinity = orjson.dumps(pod.spec.get("affinity"), option=orjson.OPT_SORT_KEYS)
        who = ("attraction", pod.namespace, *sorted(pod.labels.items()), *sorted(labels.items()), affinity)
        domains: Domains = Counter()
        for node in candidates:
            pull: Counter[str] | None = node.memo.get(who)
            if pull is None:
                pull = node.remember(who, self._attraction(node, pod, labels, preferred))
            _add(domains, node, pull)
        state[self.name + "/score"] = domains
        return bool(domains)

    def _attraction(self, node: NodeInfo, pod: PodInfo, labels: dict[str, str], preferred: list[Term]) -> Counter[str]:
        """By topology key: the sum of weights between `pod` and the Pods of one node, both ways."""
        pull: Counter[str] = Counter()
        hard = self.args.get("hardPodAffinityWeight", 1)
        for other in (node.pods if preferred else node.with_affinity).values():
            theirs = self._namespace_labels(other.namespace)
            for term in preferred:
                if term.matches(other, theirs):
                    pull[term.key] += term.weight
            existing = terms_of(other)
            for term in existing.affinity if hard else ():
                if term.matches(pod, labels):
                    pull[term.key] += hard
            for term in existing.preferred:
                if term.matches(pod, labels):
                    pull[term.key] += term.weight
        return pull

    def scores(self, state: State, pod: PodInfo, nodes: Sequence[NodeInfo]) -> list[int]:
        domains: Domains = state[self.name + "/score"]
        keys = sorted({key for key, _ in domains})
        return [sum(domains.get((key, node.labels.get(key, "")), 0) for key in keys) for node in nodes]

    def normalize(self, state: State, scores: list[int], nodes: Sequence[NodeInfo]) -> list[int]:
        low, high = min(scores), max(scores)
        if high == low:
            return [0] * len(scores)
        return [int(MAX_NODE_SCORE * ((score - low) / (high - low))) for score in scores]

    # --- hints ----------------------------------------------------------------------------------------------
    def helps(self, event: Event, pod: PodInfo) -> bool:
        if event.kind == "TargetPod/Update":
            return bool(event.old.labels != event.new.labels)
        terms = terms_of(pod)
        if event.kind.startswith("Node"):
            keys = {term.key for term in (*terms.affinity, *terms.anti_affinity)}
            labels = event.new["metadata"].get("labels") or {}
            before = (event.old["metadata"].get("labels") or {}) if event.old else {}
            return not keys or any(labels.get(key) != before.get(key) for key in keys)
        if event.new is not None:
            mine = self._namespace_labels(event.new.namespace)
            if terms.affinity and all(term.matches(event.new, mine) for term in terms.affinity):
                return True
        if event.old is None:
            return False
        # A Pod that left or changed: one we keep away from, or one that keeps us away.
        theirs, mine = self._namespace_labels(event.old.namespace), self._namespace_labels(pod.namespace)
        return any(term.matches(event.old, theirs) for term in terms.anti_affinity) or any(
            term.matches(pod, mine) for term in terms_of(event.old).anti_affinity
        )

    def _namespace_labels(self, namespace: str) -> dict[str, str]:
        found = self.handle.get("namespaces", namespace)
        return (found["metadata"].get("labels") or {}) if found else {}


def _add(domains: Domains, node: NodeInfo, by_key: Counter[str]) -> None:
    for key, count in by_key.items():
        value = node.labels.get(key)
        if value is not None:
            domains[key, value] += count


def _meets(domains: Domains, keys: Iterable[str], node: NodeInfo) -> bool:
    return any(key in node.labels and domains[key, node.labels[key]] > 0 for key in keys)
