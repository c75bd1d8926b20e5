"""Make room for a Pod by evicting Pods of lower priority from one node.

Stands for framework/preemption and plugins/defaultpreemption. Promises: the fewest and least important victims,
PodDisruptionBudgets respected where that is possible, and the node chosen by the upstream order of criteria.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from k8s_core.api import Object
from k8s_core.api.errors import StatusError, is_not_found
from k8s_core.scheduler.cache import NodeInfo, PodInfo
from k8s_core.scheduler.framework import Diagnosis, Framework
from k8s_core.scheduler.plugin import (
    Code,
    Handle,
    Plugin,
    State,
    Status,
    parsed_selector,
    unresolvable,
    unschedulable,
)

MIN_CANDIDATES_PERCENTAGE = 10  # DefaultPreemptionArgs.minCandidateNodesPercentage
MIN_CANDIDATES = 100  # DefaultPreemptionArgs.minCandidateNodesAbsolute
NOT_HELPFUL = unresolvable("Preemption is not helpful for scheduling")
LOWEST = -(2**31)  # math.MinInt32


@dataclass(slots=True)
class Candidate:
    """A node and the Pods that must go, the most important first."""

    node: str
    victims: list[PodInfo]
    violations: int


def _started(pod: PodInfo) -> str:
    return (pod.pod.get("status") or {}).get("startTime") or "9999"


def _importance(pod: PodInfo) -> tuple[int, str]:
    """Sorts the more important first: by priority, then who runs longer."""
    return -pod.priority, _started(pod)


class DefaultPreemption(Plugin):
    name = "DefaultPreemption"

    def __init__(self, handle: Handle, args: Object, evict: Callable[[PodInfo, Candidate], None] | None = None):
        super().__init__(handle, args)
        self.evict = evict or self._evict
        self._percentage = args.get("minCandidateNodesPercentage", MIN_CANDIDATES_PERCENTAGE)
        self._absolute = args.get("minCandidateNodesAbsolute", MIN_CANDIDATES)

    def post_filter(
        self, framework: Framework, state: State, pod: PodInfo, diagnosis: Diagnosis
    ) -> tuple[str | None, Status | None]:
        nominated = (pod.pod.get("status") or {}).get("nominatedNodeName", "")
        if pod.spec.get("preemptionPolicy") == "Never":
            return None, unschedulable("preemption: not eligible due to preemptionPolicy=Never.")
        if nominated and self._waits_for_victims(pod, nominated, diagnosis):
            return None, unschedulable("preemption: not eligible due to a terminating pod on the nominated node.")
        candidates, refusals = self._candidates(framework, pod, diagnosis.potential(self.handle.cache))
        if not candidates:
            found = Diagnosis(total=diagnosis.total, nodes=refusals, absent=NOT_HELPFUL)
            return "", unschedulable(f"preemption: {found.message()}")
        best = pick_one(candidates)
        self.evict(pod, best)
        return best.node, None

    def _waits_for_victims(self, pod: PodInfo, nominated: str, diagnosis: Diagnosis) -> bool:
        node = self.handle.cache.get(nominated)
        if node is None or diagnosis.nodes.get(nominated, diagnosis.absent).code == Code.UNRESOLVABLE:
            return False
        return any(
            other.priority < pod.priority
            and other.terminating
            and any(
                c["type"] == "DisruptionTarget" and c.get("reason") == "PreemptionByScheduler"
                for c in (other.pod.get("status") or {}).get("conditions") or ()
            )
            for other in node.pods.values()
        )

    # --- dry run --------------------------------------------------------------------------------------------
    def _candidates(
        self, framework: Framework, pod: PodInfo, nodes: Sequence[NodeInfo]
    ) -> tuple[list[Candidate], dict[str, Status]]:
        refusals: dict[str, Status] = {}
        clean: list[Candidate] = []
        violating: list[Candidate] = []
        if not nodes:
            return [], refusals
        budgets = self.handle.list("poddisruptionbudgets.policy")
        wanted = max(len(nodes) * self._percentage // 100, self._absolute)
        start = self.handle.random_index(len(nodes)) if self.handle.random_index else 0
        for index in range(len(nodes)):
            node = nodes[(start + index) % len(nodes)]
            found = self._select_victims(framework, pod, node.copy(), budgets)
            if isinstance(found, Status):
                refusals[node.name] = found
                continue
            (violating if found.violations else clean).append(found)
            if clean and len(clean) + len(violating) >= wanted:
                break
        return clean + violating, refusals

    def _select_victims(
        self, framework: Framework, pod: PodInfo, twin: NodeInfo, budgets: Sequence[Object]
    ) -> Candidate | Status:
        possible = [other for other in twin.pods.values() if other.priority < pod.priority]
        if not possible:
            return unresolvable("No preemption victims found for incoming pod")
        for other in possible:
            twin.remove(other)
        refusal = self._try(framework, pod, twin)
        if refusal:
            return refusal
        possible.sort(key=_importance)
        violating, others = split_by_budgets(possible, budgets)
        victims: list[PodInfo] = []
        violations = 0
        for group in (violating, others):
            for other in group:
                twin.add(other)
                if self._try(framework, pod, twin):
                    twin.remove(other)
                    victims.append(other)
                    violations += group is violating
        return Candidate(twin.name, sorted(victims, key=_importance), violations)

    def _try(self, framework: Framework, pod: PodInfo, twin: NodeInfo) -> Status | None:
        return framework.filter_with_nominated(framework.imagine(pod, twin), pod, twin)

    # --- for real -------------------------------------------------------------------------------------------
    def _evict(self, pod: PodInfo, candidate: Candidate) -> None:
        client = self.handle.client
        assert client is not None
        scheduler = pod.spec.get("schedulerName", "default-scheduler")
        recorder = client.recorder(scheduler, new_style=True)
        for other in list(self.handle.nominated.get(candidate.node, {}).values()):
            if other.priority < pod.priority:  # it may not fit any more; let it look elsewhere at once
                self._patch(other, {"nominatedNodeName": None})
        for victim in candidate.victims:
            if victim.terminating:
                continue
            condition = {
                "type": "DisruptionTarget",
                "status": "True",
                "lastProbeTime": None,
                "lastTransitionTime": client.loop.timestamp(),
                "reason": "PreemptionByScheduler",
                "message": f"{scheduler}: preempting to accommodate a higher priority pod",
            }
            if "generation" in victim.pod["metadata"]:
                condition["observedGeneration"] = victim.pod["metadata"]["generation"]
            try:
                self._patch(victim, {"conditions": [condition]})
                client.delete("pods", victim.name, victim.namespace)
            except StatusError as error:
                if not is_not_found(error):
                    raise
                continue
            recorder.event(
                victim.pod,
                "Normal",
                "Preempted",
                f"Preempted by pod {pod.uid} on node {candidate.node}",
                related=pod.pod,
                action="Preempting",
            )

    def _patch(self, pod: PodInfo, status: Object) -> None:
        assert self.handle.client is not None
        patch = {"metadata": {"uid": pod.uid}, "status": status}
        self.handle.client.patch("pods", pod.name, pod.namespace, patch, kind="strategic", subresource="status")


def split_by_budgets(pods: Sequence[PodInfo], budgets: Sequence[Object]) -> tuple[list[PodInfo], list[PodInfo]]:
    """(Pods whose eviction would break a PodDisruptionBudget, the others), each in the order given."""
    allowed = [(budget.get("status") or {}).get("disruptionsAllowed", 0) for budget in budgets]
    violating: list[PodInfo] = []
    others: list[PodInfo] = []
    for pod in pods:
        broken = False
        for index, budget in enumerate(budgets):
            if budget["metadata"]["namespace"] != pod.namespace or not pod.labels:
                continue
            selector = parsed_selector(budget["spec"].get("selector"))[0]
            disrupted = (budget.get("status") or {}).get("disruptedPods") or {}
            if selector.empty or not selector.matches(pod.labels) or pod.name in disrupted:
                continue
            allowed[index] -= 1
            broken = broken or allowed[index] < 0
        (violating if broken else others).append(pod)
    return violating, others


def pick_one(candidates: Sequence[Candidate]) -> Candidate:
    """pickOneNodeForPreemption: fewest broken budgets, lowest top priority, smallest sum of priorities, fewest
    victims, the latest start of the most important victims; then the first."""

    def rank(candidate: Candidate) -> tuple[int, int, int, int]:
        priorities = [victim.priority for victim in candidate.victims]
        total = sum(priority - LOWEST for priority in priorities)
        return candidate.violations, priorities[0], total, len(priorities)

    def top_start(candidate: Candidate) -> str:
        top = candidate.victims[0].priority
        return min(_started(victim) for victim in candidate.victims if victim.priority == top)

    best = min(map(rank, candidates))
    finalists = [candidate for candidate in candidates if rank(candidate) == best]
    latest = max(map(top_start, finalists))
    return next(candidate for candidate in finalists if top_start(candidate) == latest)
