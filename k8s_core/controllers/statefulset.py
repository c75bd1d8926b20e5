"""The StatefulSet controller: Pods with names that last, made in order and taken away in reverse.

Promises: web-0 is ready before web-1 is made (unless podManagementPolicy is Parallel); a Pod that goes comes back
under its name and with its claims; updates go from the last ordinal down to the partition, at most maxUnavailable
at a time; claims outlive their Pods unless the retention policy says otherwise; revisions.
Stands for pkg/controller/statefulset.
"""

import re

from k8s_core.api import Object
from k8s_core.api.errors import StatusError, is_already_exists, is_not_found
from k8s_core.api.selectors import from_label_selector
from k8s_core.client.informer import split_key
from k8s_core.controllers import history
from k8s_core.controllers import pods as podutil
from k8s_core.controllers.controller import (
    Controller,
    controller_of,
    controller_reference,
    controller_uid,
    drop_empty,
    is_deleting,
    with_status,
)
from k8s_core.controllers.deployment_util import scaled

SETS, CLAIMS = "statefulsets.apps", "persistentvolumeclaims"
POD_NAME_LABEL, INDEX_LABEL = "statefulset.kubernetes.io/pod-name", "apps.kubernetes.io/pod-index"
ORDINAL = re.compile(r"(.*)-([0-9]+)$")


class StatefulSetController(Controller):
    name = "statefulset-controller"
    aliases = ("statefulset",)
    account = "statefulset-controller"

    def setup(self) -> None:
        self.sets = self.informer(SETS, changed=self.enqueue)
        self.pods = podutil.watch(self, "StatefulSet", self.pod_changed, self.pod_updated, self.pod_changed)
        self.claims = self.informer(CLAIMS, deleted=self.claim_deleted)
        self.history = history.History(self, SETS, history.data_hash, history.STATEFUL_HASH_LABEL)

    # --- what wakes it --------------------------------------------------------------------------------------
    def owner_of(self, pod: Object) -> Object | None:
        return podutil.owner_in(self.sets, "StatefulSet", pod)

    def pod_changed(self, pod: Object) -> None:
        if owner := self.owner_of(pod):
            self.enqueue(owner)
        elif controller_of(pod) is None and (labels := pod["metadata"].get("labels")):
            for each in self.sets.list(pod["metadata"]["namespace"]):
                if from_label_selector(each["spec"]["selector"]).matches(labels):
                    self.enqueue(each)

    def pod_updated(self, old: Object, new: Object) -> None:
        if podutil.seen_by_owner(old) == podutil.seen_by_owner(new) and is_deleting(old) == is_deleting(new):
            return
        if controller_uid(old) != controller_uid(new) and (former := self.owner_of(old)):
            self.enqueue(former)
        self.pod_changed(new)

    def claim_deleted(self, claim: Object) -> None:
        """A Pod that waits for it, or is to be made, needs another one."""
        name, namespace = claim["metadata"]["name"], claim["metadata"]["namespace"]
        for each in self.sets.list(namespace):
            if each["spec"].get("volumeClaimTemplates") and f"-{each['metadata']['name']}-" in name:
                self.enqueue(each)

    # --- the loop -------------------------------------------------------------------------------------------
    def sync(self, key: str) -> None:
        namespace, name = split_key(key)
        owner = self.sets.get(name, namespace)
        if owner is None:
            return
        selector = from_label_selector(owner["spec"]["selector"])
        candidates = [pod for pod in podutil.claimable(self.pods, owner) if parent(pod) == name]
        pods = podutil.claim(self.client, "pods", owner, SETS, candidates, selector)
        status, template = owner.get("status") or {}, owner["spec"]["template"]
        update, revisions, collisions = self.history.current(
            owner, template, status.get("collisionCount"), (template.get("metadata") or {}).get("labels") or {}
        )
        current = next((r for r in revisions if r["metadata"]["name"] == status.get("currentRevision")), update)
        pods = self.reconcile(owner, pods, current, update)
        self.update_status(owner, self.status(owner, pods, current, update, collisions))
        live = {current["metadata"]["name"], update["metadata"]["name"], *map(revision_of, pods)}
        self.history.truncate(owner, revisions, live)
        self.wake_when_available(key, owner, pods)

    def reconcile(self, owner: Object, pods: list[Object], current: Object, update: Object) -> list[Object]:
        """One step; the Pods as they are after it."""
        start, count = first_ordinal(owner), owner["spec"].get("replicas", 1)
        here = {ordinal(pod): pod for pod in pods}
        wanted = range(start, start + count)
        condemned = [here[at] for at in sorted(here, reverse=True) if at not in wanted]
        if is_deleting(owner):
            return pods
        in_order = owner["spec"].get("podManagementPolicy", "OrderedReady") == "OrderedReady"
        for at in wanted:
            pod = here.get(at)
            if pod and podutil.is_finished(pod):
                if not is_deleting(pod):
                    self.delete(owner, pod)
                if in_order:
                    return list(here.values())
            elif pod is None:
                made = self.create(owner, at, current if self.needs_current(owner, at) else update)
                if made:
                    here[at] = made
                if in_order:
                    return list(here.values())
            else:
                if podutil.phase(pod) == "Pending":
                    self.create_claims(owner, pod["metadata"]["name"])
                if in_order and (is_deleting(pod) or not self.is_available(owner, pod)):
                    return list(here.values())
                self.conform(owner, pod)
        for pod in condemned:
            self.own_claims(owner, pod, condemned=True)
        unhealthy = next((pod for pod in condemned[::-1] if not self.is_available(owner, pod)), None)
        for pod in condemned:
            if is_deleting(pod):
                if in_order:
                    return list(here.values())
                continue
            if in_order and not self.is_available(owner, pod) and pod is not unhealthy:
                return list(here.values())
            self.delete(owner, pod)
            if in_order:
                return list(here.values())
        if strategy(owner) == "RollingUpdate":
            self.roll(owner, [here[at] for at in wanted if at in here], update)
        return list(here.values())

    def roll(self, owner: Object, pods: list[Object], update: Object) -> None:
        """Delete Pods of an older revision, the last first, at most maxUnavailable being away at a time."""
        rolling = (owner["spec"].get("updateStrategy") or {}).get("rollingUpdate") or {}
        floor = first_ordinal(owner) + rolling.get("partition", 0)
        room = max(1, scaled(rolling.get("maxUnavailable", 1), len(pods), round_up=True))
        room -= sum(is_deleting(pod) or not self.is_available(owner, pod) for pod in pods)
        for pod in sorted(pods, key=ordinal, reverse=True):
            if ordinal(pod) < floor:
                return
            old = revision_of(pod) != update["metadata"]["name"]
            if old and not is_deleting(pod):
                if room <= 0 and self.is_available(owner, pod):
                    return
                self.delete(owner, pod)
                room -= self.is_available(owner, pod)
            elif not self.is_available(owner, pod) and room <= 0:
                return

    def needs_current(self, owner: Object, at: int) -> bool:
        """Whether a missing Pod comes back in the revision that is being replaced."""
        if strategy(owner) != "RollingUpdate":
            return False
        rolling = (owner["spec"].get("updateStrategy") or {}).get("rollingUpdate")
        kept = rolling.get("partition", 0) if rolling else (owner.get("status") or {}).get("currentReplicas", 0)
        return bool(at < first_ordinal(owner) + kept)

    def is_available(self, owner: Object, pod: Object) -> bool:
        minimum = owner["spec"].get("minReadySeconds", 0)
        return podutil.phase(pod) == "Running" and podutil.available_in(pod, minimum, self.loop.now) == 0

    # --- making and deleting --------------------------------------------------------------------------------
    def create(self, owner: Object, at: int, revision: Object) -> Object | None:
        """Make the Pod of that ordinal and what claims it lacks. None if the cache was behind and it is there."""
        pod = stateful_pod(owner, at, revision)
        name = pod["metadata"]["name"]
        if retention(owner)[1] and any(
            each["kind"] == "Pod" and each["name"] == name
            for claim in self.claims_of(owner, name)
            for each in claim["metadata"].get("ownerReferences") or ()
        ):
            return None  # a claim of the Pod's predecessor, which goes when the garbage collector comes to it
        try:
            self.create_claims(owner, name)
            created = self.client.create("pods", pod)
        except StatusError as error:
            if is_already_exists(error) or podutil.namespace_terminating(error):
                return None
            self.tell(owner, "Create", f"Pod {name}", f"failed error: {error.message}", failed=True)
            raise
        self.own_claims(owner, pod)
        self.tell(owner, "Create", f"Pod {name}", "successful")
        return created

    def claims_of(self, owner: Object, pod: str) -> list[Object]:
        """The claims of a Pod that are there."""
        namespace = owner["metadata"]["namespace"]
        names = [each["metadata"]["name"] for each in claims_of(owner, pod)]
        return [found for name in names if (found := self.claims.get(name, namespace))]

    def create_claims(self, owner: Object, pod: str) -> None:
        """Make the claims that a Pod lacks."""
        for claim in claims_of(owner, pod):
            name, namespace = claim["metadata"]["name"], claim["metadata"]["namespace"]
            if known := self.claims.get(name, namespace):
                if is_deleting(known):
                    raise StatusError(409, "Conflict", f"pvc {name} is being deleted")
                continue
            what = f"Claim {name} Pod {pod}"
            try:
                self.client.create(CLAIMS, claim)
            except StatusError as error:
                if is_already_exists(error):
                    continue
                self.tell(owner, "Create", what, f"failed error: {error.message}", failed=True)
                raise
            self.tell(owner, "Create", what, "success")

    def conform(self, owner: Object, pod: Object) -> None:
        """A Pod that was adopted gets its name as a label; claims get the owner that the retention policy says."""
        metadata = pod["metadata"]
        identity = {POD_NAME_LABEL: metadata["name"], INDEX_LABEL: str(ordinal(pod))}
        changed = self.own_claims(owner, pod)
        if not identity.items() <= (metadata.get("labels") or {}).items():
            patch = {"metadata": {"labels": identity}}
            self.client.patch("pods", metadata["name"], metadata["namespace"], patch)
            changed = True
        if changed:
            self.tell(owner, "Update", f"Pod {metadata['name']}", "successful")

    def own_claims(self, owner: Object, pod: Object, *, condemned: bool = False) -> bool:
        """Let the StatefulSet, a Pod that is scaled away or nobody own a Pod's claims, so that they go with it.

        True if something changed. What somebody else controls is left alone.
        """
        deleted, scaled_away = retention(owner)
        wanted = pod if scaled_away and condemned else owner if deleted else None
        uids = {owner["metadata"]["uid"], pod["metadata"].get("uid")}
        changed = False
        for claim in self.claims_of(owner, pod["metadata"]["name"]):
            have = claim["metadata"].get("ownerReferences") or []
            others = [each for each in have if each["uid"] not in uids]
            fitting = wanted is not None and not any(each.get("controller") for each in others)
            new = [*others, controller_reference(wanted)] if wanted and fitting else others
            if {each["uid"] for each in new} != {each["uid"] for each in have}:
                metadata = {**claim["metadata"], "ownerReferences": new}
                self.client.update(CLAIMS, {**claim, "metadata": drop_empty(metadata)})
                changed = True
        return changed

    def delete(self, owner: Object, pod: Object) -> None:
        metadata = pod["metadata"]
        try:
            self.client.delete("pods", metadata["name"], metadata["namespace"])
        except StatusError as error:
            if is_not_found(error):
                return
            self.tell(owner, "Delete", f"Pod {metadata['name']}", f"failed error: {error.message}", failed=True)
            raise
        self.tell(owner, "Delete", f"Pod {metadata['name']}", "successful")

    def tell(self, owner: Object, verb: str, what: str, outcome: str, *, failed: bool = False) -> None:
        message = f"{verb.lower()} {what} in StatefulSet {owner['metadata']['name']} {outcome}"
        reason = ("Failed" if failed else "Successful") + verb
        self.recorder.event(owner, "Warning" if failed else "Normal", reason, message)

    # --- status ---------------------------------------------------------------------------------------------
    def status(
        self, owner: Object, pods: list[Object], current: Object, update: Object, collisions: int | None
    ) -> Object:
        ready = [pod for pod in pods if podutil.phase(pod) == "Running" and podutil.is_ready(pod)]
        staying = [revision_of(pod) for pod in pods if not is_deleting(pod)]
        names = [current["metadata"]["name"], update["metadata"]["name"]]
        counts = {
            "readyReplicas": len(ready),
            "currentReplicas": staying.count(names[0]),
            "updatedReplicas": staying.count(names[1]),
            "observedGeneration": owner["metadata"].get("generation", 0),
            "conditions": (owner.get("status") or {}).get("conditions"),  # somebody else's
        }
        total = owner["spec"].get("replicas", 1)
        if strategy(owner) == "RollingUpdate" and counts["updatedReplicas"] == len(ready) == len(pods) == total:
            counts["currentReplicas"], names[0] = counts["updatedReplicas"], names[1]
        return {
            "replicas": len(pods),
            "availableReplicas": sum(self.is_available(owner, pod) for pod in pods),
            "currentRevision": names[0],
            "updateRevision": names[1],
            "collisionCount": collisions or 0,
            **drop_empty(counts),
        }

    def update_status(self, owner: Object, status: Object) -> None:
        if status != (owner.get("status") or {}):
            self.client.update_status(SETS, with_status(owner, status))

    def wake_when_available(self, key: str, owner: Object, pods: list[Object]) -> None:
        if minimum := owner["spec"].get("minReadySeconds", 0):
            waits = [podutil.available_in(pod, minimum, self.loop.now) for pod in pods]
            if due := [each for each in waits if each]:
                self.queue.add_after(key, min(due))


# --- names ----------------------------------------------------------------------------------------------------------
def parent(pod: Object) -> str:
    match = ORDINAL.match(pod["metadata"]["name"])
    return match[1] if match else ""


def ordinal(pod: Object) -> int:
    match = ORDINAL.match(pod["metadata"]["name"])
    return int(match[2]) if match else -1


def first_ordinal(owner: Object) -> int:
    return int((owner["spec"].get("ordinals") or {}).get("start", 0))


def strategy(owner: Object) -> str:
    return str((owner["spec"].get("updateStrategy") or {}).get("type", "RollingUpdate"))


def revision_of(pod: Object) -> str:
    return str((pod["metadata"].get("labels") or {}).get(history.HASH_LABEL, ""))


def retention(owner: Object) -> tuple[bool, bool]:
    """Whether claims go when the StatefulSet is deleted, and when their Pod is scaled away."""
    policy = owner["spec"].get("persistentVolumeClaimRetentionPolicy") or {}
    return policy.get("whenDeleted") == "Delete", policy.get("whenScaled") == "Delete"


def stateful_pod(owner: Object, at: int, revision: Object) -> Object:
    """The Pod of one ordinal in one revision: a name, a host name, its index and its own claims."""
    template = {key: value for key, value in revision["data"]["spec"]["template"].items() if key != "$patch"}
    pod = podutil.from_template(template, owner)
    metadata = {key: value for key, value in pod["metadata"].items() if key != "generateName"}
    name = f"{owner['metadata']['name']}-{at}"
    labels = {
        **(metadata.get("labels") or {}),
        POD_NAME_LABEL: name,
        INDEX_LABEL: str(at),
        history.HASH_LABEL: revision["metadata"]["name"],
    }
    spec = {**pod["spec"], "hostname": name}
    if owner["spec"].get("serviceName"):
        spec["subdomain"] = owner["spec"]["serviceName"]
    templates = owner["spec"].get("volumeClaimTemplates") or []
    if templates:
        own = {each["metadata"]["name"] for each in templates}
        mounts = [
            {
                "name": each["metadata"]["name"],
                "persistentVolumeClaim": {"claimName": f"{each['metadata']['name']}-{name}"},
            }
            for each in templates
        ]
        spec["volumes"] = [*mounts, *(each for each in spec.get("volumes") or () if each["name"] not in own)]
    return {**pod, "metadata": {**metadata, "name": name, "labels": labels}, "spec": spec}


def claims_of(owner: Object, pod: str) -> list[Object]:
    """The claims that a Pod of the set must find."""
    found = []
    for template in owner["spec"].get("volumeClaimTemplates") or ():
        metadata = template["metadata"]
        labels = {**(metadata.get("labels") or {}), **(owner["spec"]["selector"].get("matchLabels") or {})}
        claim: Object = {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {
                "name": f"{metadata['name']}-{pod}",
                "namespace": owner["metadata"]["namespace"],
                "labels": labels,
                **({"annotations": metadata["annotations"]} if metadata.get("annotations") else {}),
            },
            "spec": template["spec"],
        }
        if retention(owner)[0]:
            claim["metadata"]["ownerReferences"] = [controller_reference(owner)]
        found.append(claim)
    return found
