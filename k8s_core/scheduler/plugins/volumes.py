"""Volumes that may be used only in some places: by one Pod, in one zone, or so many on a node.

Stand for plugins/volumerestrictions (ReadWriteOncePod), volumezone and nodevolumelimits (CSI). Left out: the
restrictions of in-tree cloud disks, which CSI drivers have taken over.
"""

from collections.abc import Iterator, Sequence

from k8s_core.api import Object
from k8s_core.scheduler.cache import REGION, ZONE, NodeInfo, PodInfo
from k8s_core.scheduler.plugin import SKIP, Event, Plugin, Refusal, State, Status, unresolvable, unschedulable
from k8s_core.scheduler.plugins.volumebinding import claim_names

OLD_ZONE, OLD_REGION = "failure-domain.beta.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/region"
TOPOLOGY = {ZONE: OLD_ZONE, REGION: OLD_REGION, OLD_ZONE: ZONE, OLD_REGION: REGION}
"""The labels of a volume that nodes must share, and the other name of each."""


class _OfVolumes(Plugin):
    events = frozenset({"AssignedPod/Delete", "Node/Add", "Node/Update", "PersistentVolumeClaim/Change"})

    def claims(self, pod: PodInfo) -> Iterator[Object]:
        for name, _ in claim_names(pod):
            claim = self.handle.get("persistentvolumeclaims", name, pod.namespace)
            if claim is not None:
                yield claim

    def volumes(self, pod: PodInfo) -> Iterator[Object]:
        for claim in self.claims(pod):
            volume = self.handle.get("persistentvolumes", claim["spec"].get("volumeName") or "")
            if volume is not None:
                yield volume


class VolumeRestrictions(_OfVolumes):
    """A claim that is ReadWriteOncePod is used by one Pod at a time."""

    name = "VolumeRestrictions"

    def pre_filter(self, state: State, pod: PodInfo, nodes: Sequence[NodeInfo]) -> Refusal:
        alone = {
            c["metadata"]["name"] for c in self.claims(pod) if "ReadWriteOncePod" in c["spec"].get("accessModes", ())
        }
        if not alone:
            return SKIP
        state[self.name] = alone
        return None

    def filter(self, state: State, pod: PodInfo, node: NodeInfo) -> Status | None:
        alone: set[str] = state[self.name]
        users = (other for other, _ in self.handle.cache.pods.values() if other.namespace == pod.namespace)
        if any(name in alone for other in users for name, _ in claim_names(other)):
            why = "node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode"
            return unschedulable(why)
        return None

    def helps(self, event: Event, pod: PodInfo) -> bool:
        return event.kind == "AssignedPod/Delete" or event.kind.startswith("Persistent")


class VolumeZone(_OfVolumes):
    """A volume that says its zone or region is used only there."""

    name = "VolumeZone"

    def pre_filter(self, state: State, pod: PodInfo, nodes: Sequence[NodeInfo]) -> Refusal:
        wanted = [
            (key, frozenset(value.split("__")))
            for volume in self.volumes(pod)
            for key, value in (volume["metadata"].get("labels") or {}).items()
            if key in TOPOLOGY
        ]
        if not wanted:
            return SKIP
        state[self.name] = wanted
        return None

    def filter(self, state: State, pod: PodInfo, node: NodeInfo) -> Status | None:
        for key, values in state[self.name]:
            if node.labels.get(key, node.labels.get(TOPOLOGY[key])) not in values:
                return unresolvable("node(s) had no available volume zone")
        return None


class NodeVolumeLimits(_OfVolumes):
    """A CSI driver attaches no more volumes to a node than it says (CSINode's allocatable count)."""

    name = "NodeVolumeLimits"

    def pre_filter(self, state: State, pod: PodInfo, nodes: Sequence[NodeInfo]) -> Refusal:
        mine = self._attached(pod)
        if not mine:
            return SKIP
        state[self.name] = mine
        return None

    def filter(self, state: State, pod: PodInfo, node: NodeInfo) -> Status | None:
        csi = self.handle.get("csinodes.storage.k8s.io", node.name)
        drivers = (csi or {"spec": {}})["spec"].get("drivers") or ()
        limits = {d["name"]: d["allocatable"]["count"] for d in drivers if (d.get("allocatable") or {}).get("count")}
        there = set().union(*(self._attached(other) for other in node.pods.values())) if limits else set()
        for driver, limit in limits.items():
            new = {each for each in state[self.name] - there if each[0] == driver}
            if new and len({each for each in there if each[0] == driver}) + len(new) > limit:
                return unschedulable("node(s) exceed max volume count")
        return None

    def _attached(self, pod: PodInfo) -> set[tuple[str, str]]:
        """(driver, handle) of the volumes that a node would attach for the Pod."""
        found = (volume["spec"].get("csi") for volume in self.volumes(pod))
        return {(csi["driver"], csi["volumeHandle"]) for csi in found if csi}
