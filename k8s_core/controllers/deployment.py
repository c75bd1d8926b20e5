"""The Deployment controller: one ReplicaSet per Pod template, and the careful way from the old one to the new.

Promises: never more Pods than replicas + maxSurge nor fewer available ones than replicas - maxUnavailable by its own
doing; proportional sizes when scaled in mid-rollout; revisions, history limit, pause, progress deadline; conditions
and events in a real controller's words. `kubectl rollout undo` needs nothing here: it patches the old template in.
Stands for pkg/controller/deployment; the arithmetic is in deployment_util.py, the status in deployment_status.py.
Leaves out: rollback through the annotation of extensions/v1beta1.
"""

from k8s_core.api import Object
from k8s_core.api.errors import StatusError, ignoring, is_already_exists, is_not_found
from k8s_core.api.selectors import from_label_selector
from k8s_core.client.informer import split_key
from k8s_core.controllers import deployment_util as util
from k8s_core.controllers import pods as podutil
from k8s_core.controllers.controller import (
    Controller,
    controller_of,
    controller_reference,
    controller_uid,
    is_deleting,
    with_metadata,
    with_status,
)
from k8s_core.controllers.deployment_status import DeploymentStatus, progressing, set_progressing

SETS = "replicasets.apps"


class DeploymentController(DeploymentStatus, Controller):
    name = "deployment-controller"
    aliases = ("deployment",)
    account = "deployment-controller"

    def setup(self) -> None:
        self.deployments = self.informer("deployments.apps", changed=self.enqueue)
        self.sets = self.informer(SETS, changed=self.set_changed, updated=self.set_updated)
        podutil.index_by_controller(self.sets)
        self.pods = self.informer("pods", deleted=self.pod_deleted)
        podutil.index_by_controller(self.pods)

    # --- what wakes it --------------------------------------------------------------------------------------
    def owner(self, replica_set: Object) -> Object | None:
        return podutil.owner_in(self.deployments, "Deployment", replica_set)

    def set_changed(self, replica_set: Object) -> None:
        if controller_of(replica_set):
            if owner := self.owner(replica_set):
                self.enqueue(owner)
        elif labels := replica_set["metadata"].get("labels"):
            for each in self.deployments.list(replica_set["metadata"]["namespace"]):
                if from_label_selector(each["spec"]["selector"]).matches(labels):
                    self.enqueue(each)

    def set_updated(self, old: Object, new: Object) -> None:
        if controller_uid(old) != controller_uid(new) and (former := self.owner(old)):
            self.enqueue(former)
        self.set_changed(new)

    def pod_deleted(self, pod: Object) -> None:
        """Recreate waits for the last old Pod to be gone, which no ReplicaSet's status tells."""
        replica_set = podutil.owner_in(self.sets, "ReplicaSet", pod)
        owner = replica_set and self.owner(replica_set)
        if owner and not util.is_rolling(owner):
            self.enqueue(owner)

    # --- the loop -------------------------------------------------------------------------------------------
    def sync(self, key: str) -> None:
        namespace, name = split_key(key)
        deployment = self.deployments.get(name, namespace)
        if deployment is None:
            return
        selector = from_label_selector(deployment["spec"]["selector"])
        sets = podutil.claim(
            self.client, SETS, deployment, "deployments.apps", podutil.claimable(self.sets, deployment), selector
        )
        if not is_deleting(deployment):
            deployment = self.note_pause(deployment)
        deployment, new, old = self.new_and_old(deployment, sets)
        if is_deleting(deployment):
            self.write_status(deployment, self.status(deployment, new, [*old, new]))
        elif deployment["spec"].get("paused"):
            self.resize(deployment, new, old)
            self.clean_up(deployment, old)
        elif self.was_scaled(deployment, [*old, new]):
            self.resize(deployment, new, old)
        elif util.is_rolling(deployment):
            self.roll(deployment, new, old)
        else:
            self.recreate(deployment, new, old)

    def new_and_old(self, deployment: Object, sets: list[Object]) -> tuple[Object, Object | None, list[Object]]:
        """The Deployment, the ReplicaSet of its present template (with its revision up to date), and the others."""
        new = util.find_new(deployment, sets)
        old = [each for each in util.by_age(sets) if each is not new]
        if new is None:
            return deployment, None, old
        latest = max(map(util.revision, old), default=0) + 1
        wanted = util.with_revision_annotations(new, deployment, latest)
        seconds = deployment["spec"].get("minReadySeconds", 0)
        if wanted is not new or seconds != new["spec"].get("minReadySeconds", 0):
            new = self.client.update(SETS, {**wanted, "spec": {**wanted["spec"], "minReadySeconds": seconds}})
        status = None
        if util.has_deadline(deployment) and not progressing(deployment):
            message = f'Found new replica set "{new["metadata"]["name"]}"'
            status = set_progressing(deployment, self.loop, "True", "FoundNewReplicaSet", message)
        return self.note_revision(deployment, str(util.revision(new)), status), new, old

    def note_revision(self, deployment: Object, revision: str, status: Object | None) -> Object:
        """Write the revision annotation and, if given, the status."""
        known = util.annotations(deployment)
        if status is None and known.get(util.REVISION) == revision:
            return deployment
        noted = with_metadata(deployment, annotations={**known, util.REVISION: revision})
        return self.client.update_status("deployments.apps", with_status(noted, status) if status else noted)

    def create_new(self, deployment: Object, old: list[Object]) -> tuple[Object, Object]:
        """Make the ReplicaSet of the present template. Returns the Deployment as it is now, and it."""
        spec, metadata = deployment["spec"], deployment["metadata"]
        collisions = (deployment.get("status") or {}).get("collisionCount")
        digest = util.template_hash(spec["template"], collisions)
        template_metadata = spec["template"].get("metadata") or {}
        labels = {**(template_metadata.get("labels") or {}), util.HASH_LABEL: digest}
        matched = {**(spec["selector"].get("matchLabels") or {}), util.HASH_LABEL: digest}
        new: Object = {
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "metadata": {
                "name": f"{metadata['name']}-{digest}",
                "namespace": metadata["namespace"],
                "labels": labels,
                "ownerReferences": [controller_reference(deployment)],
            },
            "spec": {
                "replicas": 0,
                "minReadySeconds": spec.get("minReadySeconds", 0),
                "selector": {**spec["selector"], "matchLabels": matched},
                "template": {**spec["template"], "metadata": {**template_metadata, "labels": labels}},
            },
        }
        new["spec"]["replicas"] = size = util.new_size(deployment, [*old, new], new)
        revision = max(map(util.revision, old), default=0) + 1
        new = util.with_size_annotations(util.with_revision_annotations(new, deployment, revision), deployment)
        status = None
        try:
            new = self.client.create(SETS, new)
        except StatusError as error:
            if not is_already_exists(error):
                self.report_failed_creation(deployment, new, error)
                raise
            new = self.settle_collision(deployment, new, error)
        else:
            name = new["metadata"]["name"]
            if size > 0:
                message = f"Scaled up replica set {name} from 0 to {size}"
                self.recorder.event(deployment, "Normal", "ScalingReplicaSet", message)
            if util.has_deadline(deployment):
                message = f'Created new replica set "{name}"'
                status = set_progressing(deployment, self.loop, "True", "NewReplicaSetCreated", message)
        return self.note_revision(deployment, str(revision), status), new

    def settle_collision(self, deployment: Object, new: Object, error: StatusError) -> Object:
        """The name was taken: by ourselves before the cache knew, or by a template with the same hash."""
        metadata = new["metadata"]
        found = self.client.get(SETS, metadata["name"], metadata["namespace"])
        ours = controller_uid(found) == deployment["metadata"]["uid"]
        if ours and util.same_template(found["spec"]["template"], deployment["spec"]["template"]):
            return found
        status = deployment.get("status") or {}
        count = (status.get("collisionCount") or 0) + 1
        self.client.update_status("deployments.apps", with_status(deployment, {**status, "collisionCount": count}))
        raise error

    def report_failed_creation(self, deployment: Object, new: Object, error: StatusError) -> None:
        if podutil.namespace_terminating(error):
            return
        message = f'Failed to create new replica set "{new["metadata"]["name"]}": {error.message}'
        if util.has_deadline(deployment):
            status = set_progressing(deployment, self.loop, "False", "ReplicaSetCreateError", message)
            self.client.update_status("deployments.apps", with_status(deployment, status))
        self.recorder.event(deployment, "Warning", "ReplicaSetCreateError", message)

    def note_pause(self, deployment: Object) -> Object:
        """Say that it is paused or resumed, so that the time of the pause is not held against the rollout."""
        found = progressing(deployment)
        if not util.has_deadline(deployment) or (found and found.get("reason") == "ProgressDeadlineExceeded"):
            return deployment
        paused, known = (
            bool(deployment["spec"].get("paused")),
            bool(found and found.get("reason") == "DeploymentPaused"),
        )
        if paused == known:
            return deployment
        reason, message = (
            ("DeploymentPaused", "Deployment is paused") if paused else ("DeploymentResumed", "Deployment is resumed")
        )
        status = set_progressing(deployment, self.loop, "Unknown", reason, message)
        return self.client.update_status("deployments.apps", with_status(deployment, status))

    # --- sizes ----------------------------------------------------------------------------------------------
    def scale(self, replica_set: Object, size: int, deployment: Object) -> bool:
        """Give a ReplicaSet a size, and note the Deployment's by which it was found. True if the size changed."""
        was = util.replicas(replica_set)
        noted = util.with_size_annotations(replica_set, deployment)
        if was == size and util.annotations(noted) == util.annotations(replica_set):
            return False
        self.client.update(SETS, {**noted, "spec": {**noted["spec"], "replicas": size}})
        if was == size:
            return False
        name, way = replica_set["metadata"]["name"], "up" if size > was else "down"
        message = f"Scaled {way} replica set {name} from {was} to {size}"
        self.recorder.event(deployment, "Normal", "ScalingReplicaSet", message)
        return True

    def was_scaled(self, deployment: Object, sets: list[Object | None]) -> bool:
        noted = [util.annotation_int(each, util.DESIRED_REPLICAS) for each in util.active(sets)]
        return any(each not in (None, util.replicas(deployment)) for each in noted)

    def resize(self, deployment: Object, new: Object | None, old: list[Object]) -> None:
        """Follow a change of `spec.replicas` (all that happens to a paused Deployment)."""
        if only := util.active_or_latest(new, old):
            if util.replicas(only) != util.replicas(deployment):
                self.scale(only, util.replicas(deployment), deployment)
        elif util.is_saturated(deployment, new):
            for each in util.active(old):
                self.scale(each, 0, deployment)
        elif util.is_rolling(deployment):
            for each, size in util.proportional(deployment, util.active([*old, new])):
                self.scale(each, size, deployment)
        self.write_status(deployment, self.status(deployment, new, [*old, new]))

    # --- rollouts -------------------------------------------------------------------------------------------
    def roll(self, deployment: Object, new: Object | None, old: list[Object]) -> None:
        """One step of a rolling update: the new up as far as surge allows, else the old down as far as it is safe."""
        if new is None:
            deployment, new = self.create_new(deployment, old)
        size = util.replicas(deployment)
        if util.replicas(new) > size:
            moved = self.scale(new, size, deployment)
        elif util.replicas(new) < size:
            to = util.new_size(deployment, [*old, new], new)
            moved = to != util.replicas(new) and self.scale(new, to, deployment)
        else:
            moved = False
        if not moved and not self.scale_down_old(deployment, new, old):
            self.clean_up_when_done(deployment, old)
        self.sync_rollout_status(deployment, new, old)

    def scale_down_old(self, deployment: Object, new: Object, old: list[Object]) -> bool:
        """Take from the old ReplicaSets what the rollout can spare: first what is not healthy anyway."""
        shrinking = util.active(old)
        least = util.replicas(deployment) - util.max_unavailable(deployment)
        not_yet = util.replicas(new) - util.counted([new], "availableReplicas")
        spare = util.wanted([*shrinking, new]) - least - not_yet
        if not shrinking or spare <= 0:
            return False
        sizes = {each["metadata"]["name"]: util.replicas(each) for each in shrinking}
        for each in shrinking:
            unhealthy = max(0, util.replicas(each) - util.counted([each], "availableReplicas"))
            taken = min(unhealthy, spare)
            sizes[each["metadata"]["name"]] -= taken
            spare -= taken
        surplus = util.counted([*shrinking, new], "availableReplicas") - least
        for each in shrinking:
            if surplus <= 0:
                break
            taken = min(sizes[each["metadata"]["name"]], surplus)
            sizes[each["metadata"]["name"]] -= taken
            surplus -= taken
        moved = [self.scale(each, sizes[each["metadata"]["name"]], deployment) for each in shrinking]
        return any(moved)

    def recreate(self, deployment: Object, new: Object | None, old: list[Object]) -> None:
        """All old Pods away, and only when the last is gone, the new ones."""
        moved = [self.scale(each, 0, deployment) for each in util.active(old)]
        if not any(moved) and not self.old_pods_left(old):
            if new is None:
                deployment, new = self.create_new(deployment, old)
            self.scale(new, util.replicas(deployment), deployment)
            self.clean_up_when_done(deployment, old)
        self.sync_rollout_status(deployment, new, old)

    def old_pods_left(self, old: list[Object]) -> bool:
        return util.counted(old, "replicas") > 0 or any(
            not podutil.is_finished(pod)
            for each in old
            for pod in self.pods.by_index(podutil.BY_CONTROLLER, each["metadata"]["uid"])
        )

    # --- history --------------------------------------------------------------------------------------------
    def clean_up_when_done(self, deployment: Object, old: list[Object]) -> None:
        if util.is_complete(deployment, deployment.get("status") or {}):
            self.clean_up(deployment, old)

    def clean_up(self, deployment: Object, old: list[Object]) -> None:
        """Delete the oldest empty ReplicaSets beyond revisionHistoryLimit."""
        limit = deployment["spec"].get("revisionHistoryLimit")
        if limit in (None, util.MAX_INT32):
            return
        living = sorted((each for each in old if not is_deleting(each)), key=util.revision)
        for each in living[: max(0, len(living) - limit)]:
            metadata, status = each["metadata"], each.get("status") or {}
            busy = util.replicas(each) or status.get("replicas", 0)
            if busy or metadata.get("generation", 0) > status.get("observedGeneration", 0):
                continue
            with ignoring(is_not_found):
                self.client.delete(SETS, metadata["name"], metadata["namespace"])
