"""Pods' subresource eviction: a deletion that a PodDisruptionBudget may refuse.

Promises: a Pod that runs nothing or goes anyway is deleted at once; one that is not ready costs its budget nothing,
where the budget's policy lets it go; an eviction that is granted is noted in the budget's status, so that two at once
do not spend the same disruption; the Pod says in the condition DisruptionTarget why it goes.
Stands for pkg/registry/core/pod/storage/eviction.go.
"""

from typing import TYPE_CHECKING

from k8s_core.api import Object, errors
from k8s_core.api.selectors import from_label_selector
from k8s_core.apiserver.request import Request
from k8s_core.limits import MAX_DISRUPTED_PODS

if TYPE_CHECKING:
    from k8s_core.apiserver.registry import Registry

REFUSED = "Cannot evict pod as it would violate the pod's disruption budget."
TOO_MANY = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
UNCONFIRMED = "DisruptedPods map too big - too many evictions not confirmed by PDB controller"


def evict(registry: "Registry", request: Request) -> None:
    """Delete the Pod; StatusError 429 if its budget has no room for that now."""
    resource, eviction = request.resource, request.object
    assert resource is not None
    if (eviction.get("metadata") or {}).get("name") != request.name:
        raise errors.bad_request("name in URL does not match name in Eviction object")
    options = eviction.get("deleteOptions") or {}
    dry = request.dry_run or "All" in (options.get("dryRun") or ())
    pod = registry.get(resource, request.namespace, request.name)
    if has_no_say(pod):
        if not dry:
            registry.delete(request, options)
        return
    budgets = registry.resources.find("poddisruptionbudgets.policy")
    assert budgets is not None
    labels = pod["metadata"].get("labels") or {}
    found = [
        budget
        for budget in registry.storage.select(budgets.storage, request.namespace)
        if from_label_selector(budget["spec"].get("selector")).matches(labels)
    ]
    if len(found) > 1:
        raise errors.StatusError(500, "", TOO_MANY)
    if found and not costs_nothing(found[0], pod):
        spent = spend(found[0], pod, registry.loop.timestamp())
        if not dry:
            registry.rewrite(budgets, spent)
    if dry:
        return
    target = {
        "type": "DisruptionTarget",
        "status": "True",
        "reason": "EvictionByEvictionAPI",
        "message": "Eviction API: evicting",
        "lastProbeTime": None,
        "lastTransitionTime": registry.loop.timestamp(),
        **({"observedGeneration": pod["metadata"]["generation"]} if "generation" in pod["metadata"] else {}),
    }
    others = [each for each in pod["status"].get("conditions") or () if each["type"] != target["type"]]
    registry.rewrite(resource, {**pod, "status": {**pod["status"], "conditions": [*others, target]}})
    registry.delete(request, options)


def has_no_say(pod: Object) -> bool:
    """Whether no budget is asked: the Pod does not run, or goes already."""
    return pod["status"].get("phase") in ("Succeeded", "Failed", "Pending") or "deletionTimestamp" in pod["metadata"]


def costs_nothing(budget: Object, pod: Object) -> bool:
    """Whether the Pod is not ready and the budget lets such Pods go: always, or while enough others are healthy."""
    conditions = pod["status"].get("conditions") or ()
    if any(each["type"] == "Ready" and each["status"] == "True" for each in conditions):
        return False
    status = budget.get("status") or {}
    desired = status.get("desiredHealthy", 0)
    always = budget["spec"].get("unhealthyPodEvictionPolicy") == "AlwaysAllow"
    return bool(always or status.get("currentHealthy", 0) >= desired > 0)


def spend(budget: Object, pod: Object, now: str) -> Object:
    """The budget with one disruption less; StatusError if it has none, or its controller is behind."""
    metadata, status = budget["metadata"], budget.get("status") or {}
    name, disrupted = metadata["name"], status.get("disruptedPods") or {}
    allowed = status.get("disruptionsAllowed", 0)
    if status.get("observedGeneration", 0) < metadata.get("generation", 0):
        message = f"The disruption budget {name} is still being processed by the server."
        raise errors.too_many_requests(REFUSED, 10, [{"reason": "DisruptionBudget", "message": message}])
    if allowed < 0:
        raise errors.forbidden("poddisruptionbudget.policy", name, "pdb disruptions allowed is negative")
    if len(disrupted) > MAX_DISRUPTED_PODS:
        raise errors.forbidden("poddisruptionbudget.policy", name, UNCONFIRMED)
    if not allowed:
        needs = f"needs {status.get('desiredHealthy', 0)} healthy pods"
        message = f"The disruption budget {name} {needs} and has {status.get('currentHealthy', 0)} currently"
        raise errors.too_many_requests(REFUSED, causes=[{"reason": "DisruptionBudget", "message": message}])
    disrupted = {**disrupted, pod["metadata"]["name"]: now}
    return {**budget, "status": {**status, "disruptionsAllowed": allowed - 1, "disruptedPods": disrupted}}
