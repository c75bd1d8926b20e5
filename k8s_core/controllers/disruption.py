"""The disruption controller: keeps in every PodDisruptionBudget how many of its Pods may be evicted now.

Promises: healthy, desired and expected counts and the condition DisruptionAllowed as upstream; for budgets in percent
or by maxUnavailable the expected number is what the Pods' controllers want, not what happens to be there.
Stands for pkg/controller/disruption.
"""

from k8s_core.api import Object
from k8s_core.api.selectors import from_label_selector
from k8s_core.client.informer import key_of
from k8s_core.controllers import pods as podutil
from k8s_core.controllers.controller import (
    Controller,
    condition,
    controller_of,
    is_deleting,
    seconds,
    set_condition,
    with_status,
)
from k8s_core.controllers.deployment_util import scaled
from k8s_core.limits import DISRUPTION_DELETION_TIMEOUT

BUDGETS = "poddisruptionbudgets.policy"
# Kinds that say how many Pods they want, and the resource that holds them.
SCALED = {
    ("apps", "ReplicaSet"): "replicasets.apps",
    ("apps", "StatefulSet"): "statefulsets.apps",
    ("", "ReplicationController"): "replicationcontrollers",
    ("apps", "Deployment"): "deployments.apps",
}
UNMANAGED = (
    "Pods selected by this PodDisruptionBudget (selector: {}) were found to be unmanaged. "
    "As a result, the status of the PDB cannot be calculated correctly, which may result in undefined behavior. "
    'To account for these pods please set ".spec.minAvailable" field of the PDB to an integer value.'
)


class DisruptionController(Controller):
    name = "disruption-controller"
    aliases = ("disruption",)
    account = "disruption-controller"
    component = "controllermanager"

    def setup(self) -> None:
        self.budgets = self.informer(BUDGETS, changed=self.enqueue)
        self.pods = self.informer("pods", self.pod_changed, self.pod_updated, self.pod_changed)
        self.scaled = {name: self.informer(name, updated=self.scale_changed) for name in SCALED.values()}

    def pod_changed(self, pod: Object) -> None:
        labels = pod["metadata"].get("labels") or {}
        for budget in self.budgets.list(pod["metadata"]["namespace"]):
            if matches(budget, labels):
                self.enqueue_batched(key_of(budget), (budget.get("status") or {}).get("expectedPods", 0))

    def pod_updated(self, old: Object, new: Object) -> None:
        if not self.budgets.items:
            return
        if podutil.seen_by_owner(old) != podutil.seen_by_owner(new) or is_deleting(old) != is_deleting(new):
            self.pod_changed(new)
            if old["metadata"].get("labels") != new["metadata"].get("labels"):
                self.pod_changed(old)

    def scale_changed(self, old: Object, new: Object) -> None:
        if old["spec"].get("replicas") != new["spec"].get("replicas"):
            for budget in self.budgets.list(new["metadata"]["namespace"]):
                self.enqueue(budget)

    # --- the loop -------------------------------------------------------------------------------------------
    def sync(self, key: str) -> None:
        budget = self.budgets.get_key(key)
        if budget is None:
            return
        namespace = budget["metadata"]["namespace"]
        pods = [pod for pod in self.pods.list(namespace) if matches(budget, pod["metadata"].get("labels") or {})]
        if not pods:
            self.recorder.event(budget, "Normal", "NoPods", "No matching pods found")
        expected, desired, problem = self.expectations(budget, pods)
        if problem:
            self.recorder.event(budget, "Warning", "CalculateExpectedPodCountFailed", problem)
        disrupted = self.still_disrupted(key, budget, pods)
        healthy = sum(
            podutil.is_ready(pod) and not is_deleting(pod) and pod["metadata"]["name"] not in disrupted for pod in pods
        )
        allowed = max(0, healthy - desired) if expected > 0 else 0
        status = {
            "currentHealthy": healthy,
            "desiredHealthy": desired,
            "expectedPods": expected,
            "disruptionsAllowed": allowed,
            "observedGeneration": budget["metadata"].get("generation", 0),
            **({"disruptedPods": disrupted} if disrupted else {}),
        }
        old = budget.get("status") or {}
        status["conditions"] = self.conditions(budget, old.get("conditions"), allowed, problem)
        if status != old:
            self.client.update_status(BUDGETS, with_status(budget, status))

    def expectations(self, budget: Object, pods: list[Object]) -> tuple[int, int, str]:
        """How many Pods there should be, how many of them healthy, and what made that unknowable ("" if nothing)."""
        spec = budget["spec"]
        if isinstance(minimum := spec.get("minAvailable"), int):
            return len(pods), minimum, ""
        try:
            expected = self.wanted(budget, pods)
        except LookupError as problem:
            return 0, 0, str(problem)
        if minimum is not None:
            return expected, scaled(minimum, expected, round_up=True), ""
        if (maximum := spec.get("maxUnavailable")) is not None:
            return expected, max(0, expected - scaled(maximum, expected, round_up=True)), ""
        return len(pods), 0, ""

    def wanted(self, budget: Object, pods: list[Object]) -> int:
        """The sum of what the Pods' controllers want. Raises LookupError for a controller that does not say."""
        sizes: dict[str, int] = {}
        unmanaged = False
        for pod in pods:
            reference = controller_of(pod)
            if reference is None:
                unmanaged = True
            else:
                owner = self.owner_of(reference, pod["metadata"]["namespace"])
                if owner:
                    sizes[owner["metadata"]["uid"]] = owner["spec"].get("replicas", 1)
        if unmanaged:
            selector = as_go_prints(budget["spec"].get("selector") or {})
            self.recorder.event(budget, "Warning", "UnmanagedPods", UNMANAGED.format(selector))
        return sum(sizes.values())

    def owner_of(self, reference: Object, namespace: str) -> Object | None:
        """What decides how many such Pods there are: for a ReplicaSet of a Deployment, the Deployment."""
        group = reference["apiVersion"].rpartition("/")[0]
        resource = SCALED.get((group, reference["kind"]))
        if resource is None:
            kind = f"{reference['kind'].lower()}s.{group}" if group else f"{reference['kind'].lower()}s"
            raise LookupError(f"{kind} does not implement the scale subresource")
        owner = self.scaled[resource].get(reference["name"], namespace)
        if owner is None or owner["metadata"]["uid"] != reference["uid"]:
            return None
        above = controller_of(owner)
        return self.owner_of(above, namespace) if above and above["kind"] == "Deployment" else owner

    def still_disrupted(self, key: str, budget: Object, pods: list[Object]) -> dict[str, str]:
        """Evictions granted whose deletion is still to be seen; after two minutes one was not carried out."""
        granted = (budget.get("status") or {}).get("disruptedPods") or {}
        here = {pod["metadata"]["name"]: pod for pod in pods}
        found = {}
        for name, since in granted.items():
            due = seconds(since) + DISRUPTION_DELETION_TIMEOUT
            if name in here and not is_deleting(here[name]) and due > self.loop.now:
                found[name] = since
                self.queue.add_after(key, due - self.loop.now)
        return found

    def conditions(self, budget: Object, old: list[Object] | None, allowed: int, problem: str) -> list[Object]:
        if problem:
            verdict = ("False", "SyncFailed", problem)
        elif allowed:
            verdict = ("True", "SufficientPods", "")
        else:
            verdict = ("False", "InsufficientPods", "")
        new = dict(zip(("status", "reason", "message"), verdict, strict=True))
        known = condition(old, "DisruptionAllowed")
        generation = budget["metadata"].get("generation", 0)
        if known and known.get("status") == new["status"] and known.get("reason") == new["reason"]:
            return [{**each, "observedGeneration": generation} if each is known else each for each in old or ()]
        new |= {"type": "DisruptionAllowed", "lastTransitionTime": self.loop.timestamp()}
        return set_condition(old, {**new, "observedGeneration": generation})


def matches(budget: Object, labels: dict[str, str]) -> bool:
    selector = budget["spec"].get("selector")
    return selector is not None and from_label_selector(selector).matches(labels)


def as_go_prints(selector: Object) -> str:
    """A LabelSelector as its generated String method writes it."""
    labels = "".join(f"{key}: {value}," for key, value in sorted((selector.get("matchLabels") or {}).items()))
    expressions = "".join(
        f"LabelSelectorRequirement{{Key:{each['key']},Operator:{each['operator']},"
        f"Values:[{' '.join(each.get('values') or ())}],}},"
        for each in selector.get("matchExpressions") or ()
    )
    requirements = f"MatchExpressions:[]LabelSelectorRequirement{{{expressions}}}"
    return f"&LabelSelector{{MatchLabels:map[string]string{{{labels}}},{requirements},}}"
