"""The Node object: registering it, its status, and the lease that says the kubelet is alive.

Stands for pkg/kubelet/kubelet_node_status.go, nodestatus/setters.go and component-helpers' lease controller. The
hardware is made up: 1 CPU and 3840Mi, as kubemark's hollow nodes have.
"""

import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from k8s_core import limits
from k8s_core.api import Object, quantity
from k8s_core.api.errors import StatusError, is_already_exists, is_not_found
from k8s_core.api.validation.resources import is_extended
from k8s_core.kubelet.config import Config
from k8s_core.kubelet.images import ImageStore
from k8s_core.kubelet.journal import quoted
from k8s_core.shell.commands.system import KERNEL

if TYPE_CHECKING:
    from k8s_core.client import Client
    from k8s_core.client.events import Recorder

LEASES = "kube-node-lease"
NETWORK_NOT_READY = (
    "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady message:Network plugin "
    "returns error: cni plugin not initialized"
)
RUNTIME_DOWN, SHUTTING_DOWN = "container runtime is down", "node is shutting down"
PRESSURES = {
    "MemoryPressure": (
        "KubeletHasSufficientMemory",
        "kubelet has sufficient memory available",
        "NodeHasSufficientMemory",
    ),
    "DiskPressure": ("KubeletHasNoDiskPressure", "kubelet has no disk pressure", "NodeHasNoDiskPressure"),
    "PIDPressure": ("KubeletHasSufficientPID", "kubelet has sufficient PID available", "NodeHasSufficientPID"),
}
"""Condition -> reason and message when all is well, and the event's reason."""
UNDER_PRESSURE = {
    "MemoryPressure": ("KubeletHasInsufficientMemory", "kubelet has insufficient memory available"),
    "DiskPressure": ("KubeletHasDiskPressure", "kubelet has disk pressure"),
    "PIDPressure": ("KubeletHasInsufficientPID", "kubelet has insufficient PID available"),
}


class NodeReporter:
    """Keeps one Node object and its lease true."""

    def __init__(
        self,
        client: "Client",
        name: str,
        address: str,
        *,
        version: str,
        fake: bool,
        images: ImageStore,
        recorder: "Recorder | None",
        labels: dict[str, str],
        taints: list[Object],
    ) -> None:
        self.client, self.name, self.address = client, name, address
        self.version, self.fake, self.images, self.recorder = version, fake, images, recorder
        self.labels, self.taints = labels, taints
        self.network = False
        self.runtime = True
        self.shutting_down = False
        """Whether the network is up, and the container runtime; and whether the node is about to be switched off."""
        self.log: Callable[[str, str, str], None] = lambda level, where, text: None
        self.boots = 0
        """How often the machine was switched on again."""
        self.pressures: set[str] = set()
        """The pressure conditions that hold."""
        self.config: Callable[[], Config] = Config
        self.get: Callable[[], Object | None] = lambda: None
        """The Node as the kubelet's informer has it."""
        self._reported = float("-inf")
        self._uid = ""
        self._lease: Object | None = None
        self._looked_at: tuple[Any, ...] = (None,)

    @property
    def reference(self) -> Object:
        """What events are about: the kubelet names its node by name only, the uid being the name again."""
        return {"kind": "Node", "apiVersion": "v1", "metadata": {"name": self.name, "uid": self.name}}

    @property
    def ready(self) -> bool:
        return self.network and self.runtime and not self.shutting_down

    @property
    def problem(self) -> str:
        """Why the node is not ready, when it is not."""
        if self.shutting_down:
            return SHUTTING_DOWN
        return RUNTIME_DOWN if not self.runtime else NETWORK_NOT_READY

    def event(self, type: str, reason: str, message: str) -> None:
        if self.recorder:
            self.recorder.event(self.reference, type, reason, message)

    # --- the Node -------------------------------------------------------------------------------------------
    def register(self) -> None:
        """Create the Node; if it is there already, take it over."""
        node = self._initial()
        try:
            created = self.client.create("nodes", node)
        except StatusError as error:
            if not is_already_exists(error):
                raise
            created = self.client.get("nodes", self.name)
            labels = {**created["metadata"].get("labels", {}), **node["metadata"]["labels"]}
            if labels != created["metadata"].get("labels"):
                self.client.patch("nodes", self.name, "", {"metadata": {"labels": labels}}, kind="strategic")
        self._uid, self._lease = created["metadata"]["uid"], None

    def _initial(self) -> Object:
        labels = {
            "beta.kubernetes.io/arch": "amd64",
            "beta.kubernetes.io/os": "linux",
            "kubernetes.io/arch": "amd64",
            "kubernetes.io/hostname": self.name,
            "kubernetes.io/os": "linux",
            **self.labels,
        }
        annotations = {"volumes.kubernetes.io/controller-managed-attach-detach": "true"}
        node: Object = {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": self.name, "labels": labels, "annotations": annotations},
            "spec": {"taints": self.taints} if self.taints else {},
        }
        return {**node, "status": self._status({})}

    def _status(self, old: Object) -> Object:
        config = self.config()
        capacity = {**limits.NODE_CAPACITY, "pods": str(config.max_pods)}
        if self.fake:
            capacity["ephemeral-storage"] = "0"
        # What somebody else says the node has: a device plugin, or a PATCH of its status.
        capacity |= {name: amount for name, amount in (old.get("capacity") or {}).items() if is_extended(name)}
        allocatable = dict(capacity)
        if not self.fake:
            # what is left of disk after the default hard eviction threshold, nodefs.available<10%
            allocatable["ephemeral-storage"] = str(int(capacity["ephemeral-storage"][:-2]) * 1024 * 9 // 10)
        for name, amount in config.reserved:
            if name in allocatable:
                has = quantity.parse(allocatable[name])
                allocatable[name] = quantity.format(max(has.nanos - quantity.nanos(amount), 0), has.format)
        ids = hashlib.sha256(self.name.encode()).hexdigest()
        uuid = f"{ids[:8]}-{ids[8:12]}-4{ids[13:16]}-a{ids[17:20]}-{ids[20:32]}"
        info = {
            "architecture": "amd64",
            "bootID": "" if self.fake else self._boot_id(uuid),
            "containerRuntimeVersion": "fakeRuntime://0.1.0" if self.fake else "containerd://2.2.0",
            "kernelVersion": "3.16.0-0.bpo.4-amd64" if self.fake else KERNEL,
            "kubeProxyVersion": "",
            "kubeletVersion": self.version,
            "machineID": "" if self.fake else ids[:32],
            "operatingSystem": "linux",
            "osImage": "Debian GNU/Linux 7 (wheezy)" if self.fake else "Ubuntu 24.04.3 LTS",
            "systemUUID": "" if self.fake else uuid,
        }
        status = {
            **old,
            "addresses": [
                {"address": self.address, "type": "InternalIP"},
                {"address": self.name, "type": "Hostname"},
            ],
            "allocatable": allocatable,
            "capacity": capacity,
            "conditions": self._conditions(old.get("conditions") or []),
            "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
            "nodeInfo": info,
        }
        images = self.images.node_status()
        if images:
            status["images"] = images
        return status

    def _boot_id(self, uuid: str) -> str:
        seed = f"{uuid}/{self.boots}".encode()
        return (hashlib.sha256(seed).hexdigest() if self.boots else uuid[::-1].replace("-", "", 4))[:8] + uuid[8:]

    def _conditions(self, old: list[Object]) -> list[Object]:
        now = self.client.loop.timestamp()
        before = {condition["type"]: condition for condition in old}
        wanted = [
            (kind, "True", *UNDER_PRESSURE[kind]) if kind in self.pressures else (kind, "False", reason, message)
            for kind, (reason, message, _) in PRESSURES.items()
        ]
        wanted.append(
            ("Ready", "True", "KubeletReady", "kubelet is posting ready status")
            if self.ready
            else ("Ready", "False", "KubeletNotReady", self.problem)
        )
        conditions = [c for c in old if c["type"] not in PRESSURES and c["type"] != "Ready"]
        for kind, status, reason, message in wanted:
            known = before.get(kind)
            since = known["lastTransitionTime"] if known and known["status"] == status else now
            conditions.append(
                {
                    "lastHeartbeatTime": now,
                    "lastTransitionTime": since,
                    "message": message,
                    "reason": reason,
                    "status": status,
                    "type": kind,
                }
            )
        return conditions

    def report(self) -> None:
        """Write the status if it changed, or has not been written for five minutes."""
        node = self.get()
        if node is None:  # somebody deleted it: a kubelet registers again only when it is restarted
            self._failed("Error updating node status, will retry", f'nodes "{self.name}" not found')
            return
        due = self.client.loop.now - self._reported >= limits.NODE_STATUS_REPORT_FREQUENCY
        looked_at = (node, self.ready, len(self.images.images), frozenset(self.pressures), self.config())
        if not due and looked_at[0] is self._looked_at[0] and looked_at == self._looked_at:
            return  # most looks of most kubelets end here: the very same Node as the last time
        self._looked_at = looked_at
        old = node.get("status", {})
        new = self._status(old)
        if not due and _same(old, new):
            return
        try:
            self.client.update_status("nodes", {**node, "status": new})
        except StatusError as error:
            self._failed("Error updating node status, will retry", error)
            return
        self._reported = self.client.loop.now
        boot = new["nodeInfo"]["bootID"]
        if old.get("nodeInfo", {}).get("bootID", boot) != boot:
            self.event("Warning", "Rebooted", f"Node {self.name} has been rebooted, boot id: {boot}")
        was = next((c["status"] for c in old.get("conditions", ()) if c["type"] == "Ready"), "")
        if self.ready and was != "True":
            self.event("Normal", "NodeReady", f"Node {self.name} status is now: NodeReady")
        elif not self.ready and was == "True":
            self.event("Normal", "NodeNotReady", f"Node {self.name} status is now: NodeNotReady")

    def _failed(self, what: str, error: object, where: str = "kubelet_node_status.go:598") -> None:
        self.log("E", where, f'"{what}" err={quoted(error)}')

    # --- the lease ------------------------------------------------------------------------------------------
    def renew_lease(self) -> None:
        """Say that the kubelet is alive."""
        spec = {
            "holderIdentity": self.name,
            "leaseDurationSeconds": limits.NODE_LEASE_DURATION,
            "renewTime": self.client.loop.micro_timestamp(),
        }
        resource = "leases.coordination.k8s.io"
        owner = {"apiVersion": "v1", "kind": "Node", "name": self.name, "uid": self._uid}
        try:
            lease = self._lease or self.client.get(resource, self.name, LEASES)
            meta = {**lease["metadata"], "ownerReferences": [owner]}
            renewed = {**lease, "metadata": meta, "spec": {**lease["spec"], **spec}}
            self._lease = self.client.update(resource, renewed)
        except StatusError as error:
            known, self._lease = self._lease, None  # the next renewal reads it anew
            if known or not is_not_found(error):
                self._failed("Failed to update lease", error, "controller.go:195")
                return
            meta = {"name": self.name, "namespace": LEASES, "ownerReferences": [owner]}
            lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": meta, "spec": spec}
            try:
                self._lease = self.client.create(resource, lease, LEASES)
            except StatusError as failed:
                self._failed("Failed to ensure lease exists, will retry", failed, "controller.go:145")

    def ensure_csi_node(self) -> None:
        """The CSINode that every kubelet makes for its node, without drivers."""
        owner = {"apiVersion": "v1", "kind": "Node", "name": self.name, "uid": self._uid}
        annotations = {
            "storage.alpha.kubernetes.io/migrated-plugins": (
                "kubernetes.io/aws-ebs,kubernetes.io/azure-disk,kubernetes.io/azure-file,kubernetes.io/cinder,"
                "kubernetes.io/gce-pd,kubernetes.io/portworx-volume,kubernetes.io/vsphere-volume"
            )
        }
        meta = {"name": self.name, "annotations": annotations, "ownerReferences": [owner]}
        obj = {"apiVersion": "storage.k8s.io/v1", "kind": "CSINode", "metadata": meta, "spec": {"drivers": []}}
        try:
            self.client.create("csinodes.storage.k8s.io", obj)
        except StatusError as error:
            if not is_already_exists(error):
                self._failed("Failed to initialize CSINode", error, "csi_plugin.go:296")


def _same(old: Object, new: Object) -> bool:
    """Whether two statuses differ in more than their heartbeats."""

    def without(status: Object) -> Any:
        beats = [{k: v for k, v in c.items() if k != "lastHeartbeatTime"} for c in status.get("conditions", ())]
        return {**status, "conditions": beats}

    return bool(without(old) == without(new))
