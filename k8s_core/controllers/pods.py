"""What the workload controllers say of Pods: which count, which are ready, which go first, and how they are made.

Stands for pkg/controller/controller_utils.go (ActivePods, ActivePodsWithRanks, RealPodControl, ref manager) and
pkg/api/v1/pod.
"""

import math
from collections.abc import Callable, Sequence
from functools import cmp_to_key

from k8s_core.api import Object
from k8s_core.api.errors import StatusError, is_not_found
from k8s_core.api.selectors import Selector
from k8s_core.client.client import Client
from k8s_core.client.events import Recorder
from k8s_core.client.informer import Informer
from k8s_core.controllers.controller import (
    Controller,
    condition,
    controller_of,
    controller_reference,
    controller_uid,
    is_deleting,
    seconds,
)
from k8s_core.controllers.expectations import Expectations

POD_DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
NAMESPACE_TERMINATING = "NamespaceTerminating"
BY_CONTROLLER, ORPHANS = "controller-uid", "orphans"
MAX_NAME = 63


# --- finding them ---------------------------------------------------------------------------------------------------
def index_by_controller(informer: Informer) -> None:
    """Lets `claimable` find what a controller owns, and a namespace's orphans, without a scan."""
    informer.index(BY_CONTROLLER, lambda obj: [uid] if (uid := controller_uid(obj)) else [])
    informer.index(ORPHANS, lambda obj: [] if controller_of(obj) else [obj["metadata"].get("namespace", "")])


def watch(
    controller: Controller,
    kind: str,
    added: Callable[[Object], None],
    updated: Callable[[Object, Object], None],
    deleted: Callable[[Object], None],
) -> Informer:
    """The Pod informer, indexed by controller, for who makes Pods as a `kind`; Pods of other kinds do not wake it."""

    def is_others(pod: Object) -> bool:
        reference = controller_of(pod)
        return reference is not None and reference["kind"] != kind

    def on_update(old: Object, new: Object) -> None:
        was, now = controller_of(old), controller_of(new)
        if was is None and now is None:
            # An orphan concerns whoever might adopt it, and that its labels decide.
            if old["metadata"].get("labels") != new["metadata"].get("labels"):
                updated(old, new)
        elif kind in ((was or {}).get("kind"), (now or {}).get("kind")) or was is None or now is None:
            updated(old, new)

    informer = controller.informer(
        "pods",
        lambda pod: None if is_others(pod) else added(pod),
        on_update,
        lambda pod: None if is_others(pod) else deleted(pod),
    )
    index_by_controller(informer)
    return informer


def owner_in(owners: Informer, kind: str, obj: Object) -> Object | None:
    """What controls the object, if that is of this kind, there and still the same."""
    reference = controller_of(obj)
    if reference is None or reference["kind"] != kind:
        return None
    owner = owners.get(reference["name"], obj["metadata"]["namespace"])
    return owner if owner and owner["metadata"]["uid"] == reference["uid"] else None


def claimable(informer: Informer, owner: Object) -> list[Object]:
    """All that `owner` controls, and all in its namespace that nobody does."""
    metadata = owner["metadata"]
    return [
        *informer.by_index(BY_CONTROLLER, metadata["uid"]),
        *informer.by_index(ORPHANS, metadata.get("namespace", "")),
    ]


def claim(
    client: Client,
    resource: str,
    owner: Object,
    owner_resource: str,
    objects: Sequence[Object],
    selector: Selector,
    finalizer: str = "",
) -> list[Object]:
    """The objects that are the owner's: matching orphans are adopted, owned ones that match no longer released.

    What is adopted gets the `finalizer`, if there is one, and what is released loses it. Raises StatusError of a failed
    adoption; before the first one, the owner itself is read again, for one that is being deleted must not adopt.
    """
    uid, name = owner["metadata"]["uid"], owner["metadata"]["name"]
    may_adopt: bool | None = None
    claimed = []
    for obj in objects:
        metadata = obj["metadata"]
        matches = selector.matches(metadata.get("labels") or {})
        reference = controller_of(obj)
        if reference:
            if reference["uid"] != uid:
                continue
            if matches:
                claimed.append(obj)
            elif not is_deleting(owner):
                patch = {"uid": metadata["uid"], "ownerReferences": [{"$patch": "delete", "uid": uid}]}
                if finalizer:
                    patch["$deleteFromPrimitiveList/finalizers"] = [finalizer]
                _patch_owners(client, resource, obj, patch)
            continue
        if not matches or is_deleting(owner) or is_deleting(obj):
            continue
        if may_adopt is None:
            fresh = client.get(owner_resource, name, metadata.get("namespace", ""))
            may_adopt = fresh["metadata"]["uid"] == uid and not is_deleting(fresh)
        if may_adopt:
            patch = {"uid": metadata["uid"], "ownerReferences": [controller_reference(owner)]}
            if finalizer:
                patch["finalizers"] = [finalizer]
            adopted = _patch_owners(client, resource, obj, patch)
            if adopted:
                claimed.append(adopted)
    return claimed


def _patch_owners(client: Client, resource: str, obj: Object, patch: Object) -> Object | None:
    metadata = obj["metadata"]
    try:
        return client.patch(
            resource, metadata["name"], metadata.get("namespace", ""), {"metadata": patch}, kind="strategic"
        )
    except StatusError as error:
        if is_not_found(error) or error.code == 422:  # gone, or another object of that name
            return None
        raise


# --- judging them ---------------------------------------------------------------------------------------------------
def phase(pod: Object) -> str:
    return (pod.get("status") or {}).get("phase") or ""


def is_finished(pod: Object) -> bool:
    return phase(pod) in ("Succeeded", "Failed")


def is_active(pod: Object) -> bool:
    return not is_finished(pod) and not is_deleting(pod)


def is_terminating(pod: Object) -> bool:
    return not is_finished(pod) and is_deleting(pod)


def ready_condition(pod: Object) -> Object | None:
    return condition((pod.get("status") or {}).get("conditions"), "Ready")


def is_ready(pod: Object) -> bool:
    found = ready_condition(pod)
    return found is not None and found.get("status") == "True"


def ready_since(pod: Object) -> float:
    """When it became ready, in seconds since the epoch; 0 if it is not."""
    found = ready_condition(pod)
    return seconds(found.get("lastTransitionTime")) if found and found.get("status") == "True" else 0.0


def available_in(pod: Object, min_ready_seconds: int, now: float) -> float | None:
    """Seconds until the Pod counts as available: 0 if it does, None if it is not even ready."""
    if not is_ready(pod):
        return None
    return max(0.0, ready_since(pod) + min_ready_seconds - now) if min_ready_seconds else 0.0


def restarts(pod: Object) -> int:
    return max((each["restartCount"] for each in (pod.get("status") or {}).get("containerStatuses") or ()), default=0)


def seen_by_owner(pod: Object) -> tuple[object, ...]:
    """All of a Pod that a workload controller looks at; if this is the same, it need not look again."""
    metadata = pod["metadata"]
    return phase(pod), ready_condition(pod), metadata.get("labels"), metadata.get("ownerReferences")


def deletion_cost(pod: Object) -> int:
    try:
        return int((pod["metadata"].get("annotations") or {}).get(POD_DELETION_COST, 0))
    except ValueError:
        return 0


def first_to_delete(pods: Sequence[Object], related: Sequence[Object], count: int, now: float) -> list[Object]:
    """The `count` Pods whose loss hurts least: unscheduled, pending, unready, cheap, crowded on a node, young.

    `related` are the Pods of the same owner's other controllers: of two nodes, the one with more of them is relieved.
    Ages are compared by their order of magnitude, ties by UID, so that not always the youngest has to go.
    """
    if count >= len(pods):
        return list(pods)
    crowd: dict[str, int] = {}
    for pod in related:
        if is_active(pod) and (node := pod["spec"].get("nodeName")):
            crowd[node] = crowd.get(node, 0) + 1
    phases = {"Pending": 0, "Unknown": 1, "Running": 2}

    def magnitude(since: float) -> int:
        age = (now - since) * 1e9
        return int(math.log2(age)) if age > 0 else -1

    def compare(one: Object, other: Object) -> int:
        def steps(pod: Object) -> tuple[int, ...]:
            node = pod["spec"].get("nodeName") or ""
            return bool(node), phases.get(phase(pod), 0), is_ready(pod), deletion_cost(pod), -crowd.get(node, 0)

        if (left := steps(one)) != (right := steps(other)):
            return -1 if left < right else 1
        times = [(ready_since(one), ready_since(other))] if is_ready(one) else []
        times.append((seconds(one["metadata"]["creationTimestamp"]), seconds(other["metadata"]["creationTimestamp"])))
        for at, (mine, theirs) in enumerate(times):
            last = at == len(times) - 1
            if last and restarts(one) != restarts(other):
                return restarts(other) - restarts(one)
            if mine != theirs:
                difference = magnitude(mine) - magnitude(theirs)
                if not difference:
                    return -1 if one["metadata"]["uid"] < other["metadata"]["uid"] else 1
                return difference
        return 0

    return sorted(pods, key=cmp_to_key(compare))[:count]


# --- making and deleting them ---------------------------------------------------------------------------------------
def from_template(template: Object, owner: Object) -> Object:
    """A Pod of that template, controlled by `owner`, its name to be made by the API server."""
    metadata = template.get("metadata") or {}
    name = owner["metadata"]["name"]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "generateName": f"{name}-" if len(name) < MAX_NAME else name,
            "namespace": owner["metadata"]["namespace"],
            **{key: metadata[key] for key in ("labels", "annotations", "finalizers") if metadata.get(key)},
            "ownerReferences": [controller_reference(owner)],
        },
        "spec": template["spec"],
    }


class PodControl:
    """Creates and deletes Pods on a controller's behalf, with the events that tell of it."""

    def __init__(self, client: Client, recorder: Recorder, expectations: Expectations) -> None:
        self.client, self.recorder, self.expectations = client, recorder, expectations

    def create(self, pod: Object, owner: Object) -> Object:
        try:
            created = self.client.create("pods", pod)
        except StatusError as error:
            if not namespace_terminating(error):
                self.recorder.event(owner, "Warning", "FailedCreate", f"Error creating: {error.message}")
            raise
        self.recorder.event(owner, "Normal", "SuccessfulCreate", f"Created pod: {created['metadata']['name']}")
        return created

    def delete(self, pod: Object, owner: Object) -> None:
        """Raises not found too: then no informer will report this deletion, and nobody should wait for it."""
        metadata = pod["metadata"]
        try:
            self.client.delete("pods", metadata["name"], metadata["namespace"])
        except StatusError as error:
            if not is_not_found(error):
                self.recorder.event(owner, "Warning", "FailedDelete", f"Error deleting: {error.message}")
            raise
        self.recorder.event(owner, "Normal", "SuccessfulDelete", f"Deleted pod: {metadata['name']}")

    def delete_all(self, key: str, doomed: Sequence[Object], owner: Object) -> tuple[int, StatusError | None]:
        """Delete them, expecting to see it; how many were deleted, and the first error."""
        deleted, failure = 0, None
        if doomed:
            self.expectations.expect_deletions(key, [pod["metadata"]["uid"] for pod in doomed])
        for pod in doomed:
            try:
                self.delete(pod, owner)
                deleted += 1
            except StatusError as error:
                self.expectations.deletion_observed(key, pod["metadata"]["uid"])
                if not is_not_found(error):
                    failure = failure or error
        return deleted, failure


def namespace_terminating(error: StatusError) -> bool:
    """Whether the namespace is on its way out, so that nothing can be made in it any more."""
    causes = (error.status.get("details") or {}).get("causes") or ()
    return any(cause.get("reason") == NAMESPACE_TERMINATING for cause in causes)


def slow_start(count: int, create: Callable[[], None]) -> tuple[int, StatusError | None]:
    """Call `create` in batches of 1, 2, 4, ...; after a batch with an error no further one is tried.

    So a controller that cannot create (a quota, a bad template) asks once, not five hundred times.
    Returns the number of successes and the first error.
    """
    done, size = 0, 1
    while count > 0:
        size = min(size, count)
        failure: StatusError | None = None
        for _ in range(size):
            try:
                create()
                done += 1
            except StatusError as error:
                failure = failure or error
        if failure:
            return done, failure
        count -= size
        size *= 2
    return done, None
