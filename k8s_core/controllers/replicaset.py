"""The ReplicaSet controller: keeps as many Pods as `spec.replicas` says, by making, adopting and deleting them.

Promises: slow-start creation in bursts of at most 500, the Pods whose loss hurts least deleted first, adoption of
matching orphans and release of what no longer matches, and a status that says only what was seen.
Stands for pkg/controller/replicaset. The ReplicationController is the same thing with an older selector, so
replicationcontroller.py only says what differs.
"""

from typing import ClassVar

from k8s_core.api import Object
from k8s_core.api.errors import StatusError, ignoring, is_not_found
from k8s_core.api.selectors import Selector, from_label_selector
from k8s_core.client.informer import key_of, split_key
from k8s_core.controllers import pods as podutil
from k8s_core.controllers.controller import (
    Controller,
    condition,
    controller_of,
    controller_uid,
    drop_empty,
    is_deleting,
    set_condition,
    with_status,
    without_condition,
)
from k8s_core.controllers.expectations import Expectations
from k8s_core.limits import BURST_REPLICAS


class ReplicaSetController(Controller):
    name = "replicaset-controller"
    aliases = ("replicaset",)
    account = "replicaset-controller"
    resource: ClassVar[str] = "replicasets.apps"
    kind: ClassVar[str] = "ReplicaSet"

    def setup(self) -> None:
        self.expectations = Expectations(self.loop)
        self.pod_control = podutil.PodControl(self.client, self.recorder, self.expectations)
        self.pods = podutil.watch(self, self.kind, self.pod_added, self.pod_updated, self.pod_deleted)
        self.sets = self.informer(self.resource, changed=self.enqueue)
        podutil.index_by_controller(self.sets)

    def selector(self, owner: Object) -> Selector:
        return from_label_selector(owner["spec"]["selector"])

    # --- what wakes it --------------------------------------------------------------------------------------
    def owner_of(self, pod: Object) -> Object | None:
        """The set that controls the Pod, if it is one of ours and still the same."""
        return podutil.owner_in(self.sets, self.kind, pod)

    def wake(self, owner: Object) -> None:
        self.enqueue_batched(key_of(owner), owner["spec"].get("replicas", 1))

    def wake_matching(self, orphan: Object) -> None:
        labels = orphan["metadata"].get("labels") or {}
        for each in self.sets.list(orphan["metadata"]["namespace"]):
            if labels and self.selector(each).matches(labels):
                self.enqueue(each)

    def pod_added(self, pod: Object) -> None:
        if is_deleting(pod):  # seen so after a restart
            self.pod_deleted(pod)
        elif controller_of(pod) is None:
            self.wake_matching(pod)
        elif owner := self.owner_of(pod):
            self.expectations.creation_observed(key_of(owner))
            self.wake(owner)

    def pod_updated(self, old: Object, new: Object) -> None:
        if is_deleting(new):
            # A Pod that is going is made up for at once, not when the kubelet is done with it.
            if not is_deleting(old) or podutil.phase(old) != podutil.phase(new):
                self.pod_deleted(new)
            return
        if podutil.seen_by_owner(old) == podutil.seen_by_owner(new):
            return
        moved = controller_uid(old) != controller_uid(new)
        if moved and (owner := self.owner_of(old)):
            self.enqueue(owner)
        if controller_of(new) is not None:
            if owner := self.owner_of(new):
                self.wake(owner)
        elif moved or old["metadata"].get("labels") != new["metadata"].get("labels"):
            self.wake_matching(new)

    def pod_deleted(self, pod: Object) -> None:
        if owner := self.owner_of(pod):
            self.expectations.deletion_observed(key_of(owner), pod["metadata"]["uid"])
            self.wake(owner)

    # --- the loop -------------------------------------------------------------------------------------------
    def sync(self, key: str) -> None:
        namespace, name = split_key(key)
        owner = self.sets.get(name, namespace)
        if owner is None:
            self.expectations.forget(key)
            return
        caught_up = self.expectations.satisfied(key)
        unfinished = [pod for pod in podutil.claimable(self.pods, owner) if not podutil.is_finished(pod)]
        claimed = podutil.claim(self.client, "pods", owner, self.resource, unfinished, self.selector(owner))
        active = [pod for pod in claimed if not is_deleting(pod)]
        failure = None
        if caught_up and not is_deleting(owner):
            failure = self.manage(key, owner, active)
        self.update_status(owner, self.status(owner, active, len(claimed) - len(active), failure))
        self.wake_when_available(key, owner, active)
        if failure:
            raise failure

    def manage(self, key: str, owner: Object, active: list[Object]) -> StatusError | None:
        """Make or delete the difference; the first error if something failed."""
        surplus = len(active) - owner["spec"].get("replicas", 1)
        if surplus < 0:
            return self.create_pods(key, owner, min(-surplus, BURST_REPLICAS))
        if surplus > 0:
            count = min(surplus, BURST_REPLICAS)
            doomed = podutil.first_to_delete(active, self.related(owner), count, self.loop.now)
            return self.pod_control.delete_all(key, doomed, owner)[1]
        return None

    def create_pods(self, key: str, owner: Object, count: int) -> StatusError | None:
        pod = podutil.from_template(owner["spec"]["template"], owner)

        def create() -> None:
            with ignoring(podutil.namespace_terminating):
                self.pod_control.create(pod, owner)

        self.expectations.expect_creations(key, count)
        done, failure = podutil.slow_start(count, create)
        self.expectations.creation_observed(key, count - done)
        return failure

    def related(self, owner: Object) -> list[Object]:
        """The Pods of all sets of the same owner: of one Deployment, say."""
        uid = controller_uid(owner)
        sets = self.sets.by_index(podutil.BY_CONTROLLER, uid) if uid else [owner]
        return [pod for each in sets for pod in self.pods.by_index(podutil.BY_CONTROLLER, each["metadata"]["uid"])]

    # --- status ---------------------------------------------------------------------------------------------
    def status(self, owner: Object, active: list[Object], terminating: int, failure: StatusError | None) -> Object:
        spec, old = owner["spec"], owner.get("status") or {}
        wanted = (spec["template"].get("metadata") or {}).get("labels") or {}
        wait = [podutil.available_in(pod, spec.get("minReadySeconds", 0), self.loop.now) for pod in active]
        conditions = old.get("conditions") or []
        if failure and not condition(conditions, "ReplicaFailure"):
            reason = "FailedCreate" if len(active) < spec.get("replicas", 1) else "FailedDelete"
            problem = {
                "type": "ReplicaFailure",
                "status": "True",
                "lastTransitionTime": self.loop.timestamp(),
                "reason": reason,
                "message": failure.message,
            }
            conditions = set_condition(conditions, problem)
        elif not failure:
            conditions = without_condition(conditions, "ReplicaFailure")
        counts = drop_empty(
            {
                "fullyLabeledReplicas": sum(
                    wanted.items() <= (pod["metadata"].get("labels") or {}).items() for pod in active
                ),
                "readyReplicas": sum(each is not None for each in wait),
                "availableReplicas": sum(each == 0 for each in wait),
                "observedGeneration": owner["metadata"].get("generation", 0),
                "conditions": conditions,
            }
        )
        return {"replicas": len(active), "terminatingReplicas": terminating, **counts}

    def update_status(self, owner: Object, status: Object) -> None:
        """Write it if it changed; once more on the newest object if somebody was faster."""
        if status == (owner.get("status") or {}):
            return
        try:
            self.client.update_status(self.resource, with_status(owner, status))
        except StatusError as error:
            if is_not_found(error):
                return
            metadata = owner["metadata"]
            fresh = self.client.get(self.resource, metadata["name"], metadata["namespace"])
            self.client.update_status(self.resource, with_status(fresh, status))

    def wake_when_available(self, key: str, owner: Object, active: list[Object]) -> None:
        """Nothing tells a Pod's having been ready for minReadySeconds: look again then."""
        if minimum := owner["spec"].get("minReadySeconds", 0):
            waits = [podutil.available_in(pod, minimum, self.loop.now) for pod in active]
            if due := [each for each in waits if each]:
                self.queue.add_after(key, min(due))
