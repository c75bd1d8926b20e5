"""What a Deployment says of itself: counts, the conditions Available, Progressing and ReplicaFailure, the deadline.

Stands for pkg/controller/deployment/progress.go and the status part of sync.go.
"""

from collections.abc import Sequence

from k8s_core.api import Object
from k8s_core.client.client import Client
from k8s_core.client.informer import key_of
from k8s_core.client.workqueue import WorkQueue
from k8s_core.clock import Loop
from k8s_core.controllers import deployment_util as util
from k8s_core.controllers.controller import condition, drop_empty, set_condition, with_status, without_condition


def new_condition(kind: str, loop: Loop, status: str, reason: str, message: str) -> Object:
    now = loop.timestamp()
    return {
        "type": kind,
        "status": status,
        "lastUpdateTime": now,
        "lastTransitionTime": now,
        "reason": reason,
        "message": message,
    }


def progressing(deployment: Object) -> Object | None:
    return condition((deployment.get("status") or {}).get("conditions"), "Progressing")


def set_progressing(deployment: Object, loop: Loop, status: str, reason: str, message: str) -> Object:
    """The Deployment's status with that Progressing condition."""
    old = deployment.get("status") or {}
    new = new_condition("Progressing", loop, status, reason, message)
    return {**old, "conditions": set_condition(old.get("conditions"), new)}


class DeploymentStatus:
    """The status part of the Deployment controller."""

    client: Client
    loop: Loop
    queue: WorkQueue

    def status(self, deployment: Object, new: Object | None, sets: Sequence[Object | None]) -> Object:
        """The counts summed over the ReplicaSets' statuses, and whether that is enough to be available."""
        available = util.counted(sets, "availableReplicas")
        old = deployment.get("status") or {}
        if available >= util.replicas(deployment) - util.max_unavailable(deployment):
            verdict = ("True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
        else:
            verdict = ("False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
        counts = drop_empty(
            {
                "observedGeneration": deployment["metadata"].get("generation", 0),
                "replicas": util.counted(sets, "replicas"),
                "updatedReplicas": util.counted([new], "replicas"),
                "readyReplicas": util.counted(sets, "readyReplicas"),
                "availableReplicas": available,
                "unavailableReplicas": max(0, util.wanted(sets) - available),
                "collisionCount": old.get("collisionCount"),
            }
        )
        terminating = util.counted(sets, "terminatingReplicas")
        conditions = set_condition(old.get("conditions"), new_condition("Available", self.loop, *verdict))
        return {**counts, "terminatingReplicas": terminating, "conditions": conditions}

    def write_status(self, deployment: Object, status: Object) -> bool:
        """True if there was something to write."""
        if status == (deployment.get("status") or {}):
            return False
        self.client.update_status("deployments.apps", with_status(deployment, status))
        return True

    def sync_rollout_status(self, deployment: Object, new: Object | None, old: list[Object]) -> None:
        """Counts and conditions of a rollout; if nothing moved, an appointment for when the deadline runs out."""
        sets = [*old, new]
        status = self.status(deployment, new, sets)
        status["conditions"] = self.with_failure(self.with_progress(deployment, status, new), [new, *old])
        if not self.write_status(deployment, status):
            self.wake_at_deadline(deployment, status)

    def with_progress(self, deployment: Object, status: Object, new: Object | None) -> list[Object]:
        """The conditions, with Progressing brought up to date."""
        conditions: list[Object] = status["conditions"]
        if not util.has_deadline(deployment):
            return without_condition(conditions, "Progressing")
        found = progressing(deployment)
        resync = status.get("replicas", 0) == status.get("updatedReplicas", 0)
        if resync and found and found.get("reason") == "NewReplicaSetAvailable":
            return conditions  # the last rollout is done, and no new one has begun
        subject = new or deployment
        what = f'{subject["kind"]} "{subject["metadata"]["name"]}"'
        if util.is_complete(deployment, status):
            verdict = ("True", "NewReplicaSetAvailable", f"{what} has successfully progressed.")
        elif util.has_progressed(deployment, status):
            verdict = ("True", "ReplicaSetUpdated", f"{what} is progressing.")
            # Put in anew even with the same reason: the deadline counts from its lastUpdateTime.
            moved = new_condition("Progressing", self.loop, *verdict)
            if found and found.get("status") == "True":
                moved["lastTransitionTime"] = found.get("lastTransitionTime", moved["lastTransitionTime"])
            return [*without_condition(conditions, "Progressing"), moved]
        elif util.has_timed_out(deployment, status, self.loop.now):
            verdict = ("False", "ProgressDeadlineExceeded", f"{what} has timed out progressing.")
        else:
            return conditions
        return set_condition(conditions, new_condition("Progressing", self.loop, *verdict))

    def with_failure(self, conditions: list[Object], sets: Sequence[Object | None]) -> list[Object]:
        """The conditions, with the ReplicaSets' failure to make Pods, the new one's first, carried over."""
        for each in sets:
            found = condition((each.get("status") or {}).get("conditions"), "ReplicaFailure") if each else None
            if found:
                return set_condition(conditions, {**found, "lastUpdateTime": found.get("lastTransitionTime")})
        return without_condition(conditions, "ReplicaFailure")

    def wake_at_deadline(self, deployment: Object, status: Object) -> None:
        """Being stuck is the one thing that nothing will tell us of."""
        due, found = util.deadline(deployment), progressing(deployment)
        if due is None or found is None or found.get("reason") == "ProgressDeadlineExceeded":
            return
        if util.is_complete(deployment, status):
            self.queue.withdraw(key_of(deployment))
            return
        left = due - self.loop.now
        if left < 1:
            self.queue.add_rate_limited(key_of(deployment))
        else:
            self.queue.add_after(key_of(deployment), left + 1)
