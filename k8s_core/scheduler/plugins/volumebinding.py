"""A Pod goes where its volumes are, or can be: claims must be there, bound, and their volumes reachable.

Stands for plugins/volumebinding. A claim whose class says WaitForFirstConsumer is bound only when a node is chosen:
`pre_bind` tells the volume controller which (volume.kubernetes.io/selected-node), and the Pod waits for the claim.
Left out: CSI storage capacity, allowedTopologies, and choosing among static volumes (the controller does).
"""

from collections.abc import Iterator, Sequence
from typing import Any

from k8s_core.api import Object, volumes
from k8s_core.api.placement import selects
from k8s_core.scheduler.cache import NodeInfo, PodInfo
from k8s_core.scheduler.plugin import SKIP, Event, Plugin, Refusal, State, Status, unresolvable

SELECTED_NODE = "volume.kubernetes.io/selected-node"
NO_PROVISIONER = "kubernetes.io/no-provisioner"
NOT_FOUND = "node(s) didn't find available persistent volumes to bind"
GONE = "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)"
WRONG_NODE = "node(s) didn't match PersistentVolume's node affinity"


def claim_names(pod: PodInfo) -> Iterator[tuple[str, bool]]:
    """(name of the claim, whether it is made for this Pod alone) of each volume that is a claim."""
    for volume in pod.spec.get("volumes") or ():
        if "persistentVolumeClaim" in volume:
            yield volume["persistentVolumeClaim"]["claimName"], False
        elif "ephemeral" in volume:
            yield f"{pod.name}-{volume['name']}", True


def is_bound(claim: Object) -> bool:
    return bool(claim["spec"].get("volumeName")) and (claim.get("status") or {}).get("phase") == "Bound"


def volume_reaches(volume: Object, node: NodeInfo) -> bool:
    """Whether a PersistentVolume's node affinity lets it be used on the node."""
    return selects((volume["spec"].get("nodeAffinity") or {}).get("required"), node.labels, node.name)


class VolumeBinding(Plugin):
    name = "VolumeBinding"
    events = frozenset(
        {"PersistentVolumeClaim/Change", "PersistentVolume/Change", "StorageClass/Change", "Node/Add", "Node/Update"}
    )

    def pre_filter(self, state: State, pod: PodInfo, nodes: Sequence[NodeInfo]) -> Refusal:
        claims: list[Object] = []
        for name, own in claim_names(pod):
            claim = self.handle.get("persistentvolumeclaims", name, pod.namespace)
            if claim is None and own:
                why = f'waiting for ephemeral volume controller to create the persistentvolumeclaim "{name}"'
                return unresolvable(why)
            if claim is None:
                return unresolvable(f'persistentvolumeclaim "{name}" not found')
            if (claim.get("status") or {}).get("phase") == "Lost":
                volume = claim["spec"].get("volumeName", "")
                why = f'persistentvolumeclaim "{name}" bound to non-existent persistentvolume "{volume}"'
                return unresolvable(why)
            if "deletionTimestamp" in claim["metadata"]:
                return unresolvable(f'persistentvolumeclaim "{name}" is being deleted')
            claims.append(claim)
        if not claims:
            return SKIP
        if any(not is_bound(claim) and not self._waits_for_consumer(claim) for claim in claims):
            return unresolvable("pod has unbound immediate PersistentVolumeClaims")
        state[self.name] = claims
        return None

    def filter(self, state: State, pod: PodInfo, node: NodeInfo) -> Status | None:
        for claim in state[self.name]:
            if is_bound(claim):
                volume = self.handle.get("persistentvolumes", claim["spec"]["volumeName"])
                if volume is None:
                    return unresolvable(GONE)
                if not volume_reaches(volume, node):
                    return unresolvable(WRONG_NODE)
            elif not self._can_be_bound(claim, node):
                return unresolvable(NOT_FOUND)
        return None

    def pre_bind(self, pod: PodInfo, node: str) -> bool:
        ready = True
        for name, _ in claim_names(pod):
            claim = self.handle.get("persistentvolumeclaims", name, pod.namespace)
            if claim is None or is_bound(claim):
                continue
            ready = False
            if (claim["metadata"].get("annotations") or {}).get(SELECTED_NODE) != node and self.handle.client:
                patch = {"metadata": {"annotations": {SELECTED_NODE: node}}}
                self.handle.client.patch("persistentvolumeclaims", name, pod.namespace, patch)
        return ready

    def helps(self, event: Event, pod: PodInfo) -> bool:
        if event.kind != "PersistentVolumeClaim/Change":
            return True
        meta: Any = event.new["metadata"]
        return meta["namespace"] == pod.namespace and meta["name"] in [name for name, _ in claim_names(pod)]

    def _class_of(self, claim: Object) -> Object | None:
        name = claim["spec"].get("storageClassName")
        return self.handle.get("storageclasses.storage.k8s.io", name) if name else None

    def _waits_for_consumer(self, claim: Object) -> bool:
        found = self._class_of(claim)
        return bool(found and found.get("volumeBindingMode") == "WaitForFirstConsumer")

    def _can_be_bound(self, claim: Object, node: NodeInfo) -> bool:
        chosen = (claim["metadata"].get("annotations") or {}).get(SELECTED_NODE)
        if chosen and chosen != node.name:
            return False  # it is being provisioned there
        if any(
            volumes.serves(volume, claim) and volume_reaches(volume, node)
            for volume in self.handle.list("persistentvolumes")
        ):
            return True
        found = self._class_of(claim)
        return found is not None and found.get("provisioner") != NO_PROVISIONER
