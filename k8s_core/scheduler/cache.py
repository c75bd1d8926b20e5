"""What the scheduler knows of nodes and Pods, counted up as they come and go.

Stands for kube-scheduler's cache and snapshot in one: everything runs on one loop, so nothing changes during a
cycle and no copy is needed. Promises: adding or removing a Pod costs the same on an empty and on a full cluster.
A Pod that was given a node counts there from that moment (assumed), before the apiserver confirms it.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import orjson

from k8s_core.api import Object
from k8s_core.api.placement import Port, host_ports
from k8s_core.api.requests import NON_ZERO, Amounts, amounts, pod_requests, resize

ZONE = "topology.kubernetes.io/zone"
REGION = "topology.kubernetes.io/region"
HOSTNAME = "kubernetes.io/hostname"
MEMO_SIZE = 64


class PodInfo:
    """A Pod with what the scheduler reads of it worked out once."""

    __slots__ = (
        "_nonzero",
        "_requests",
        "_signature",
        "labels",
        "memo",
        "name",
        "namespace",
        "pod",
        "ports",
        "priority",
        "spec",
        "terminating",
        "uid",
    )

    def __init__(self, pod: Object):
        self.pod = pod
        meta = pod["metadata"]
        self.spec: Object = pod["spec"]
        self.name: str = meta["name"]
        self.namespace: str = meta.get("namespace", "")
        self.uid: str = meta["uid"]
        self.labels: dict[str, str] = meta.get("labels") or {}
        self.priority: int = self.spec.get("priority") or 0
        self.terminating = "deletionTimestamp" in meta
        self.ports: tuple[Port, ...] = tuple(host_ports(self.spec))
        self.memo: dict[str, Any] = {}
        """What plugins parsed of this Pod."""
        self._requests: Amounts | None = None
        self._nonzero: Amounts | None = None
        self._signature: bytes | None = None

    @property
    def key(self) -> str:
        return f"{self.namespace}/{self.name}"

    @property
    def requests(self) -> Amounts:
        if self._requests is None:
            self._requests = pod_requests(self.spec, None, self.pod.get("status"))
        return self._requests

    @property
    def nonzero(self) -> Amounts:
        """Requests with 100m CPU and 200Mi memory for every container that names none."""
        if self._nonzero is None:
            self._nonzero = pod_requests(self.spec, NON_ZERO, self.pod.get("status"))
        return self._nonzero

    @property
    def signature(self) -> bytes:
        """Equal for Pods that every node-local plugin treats alike, such as the replicas of one ReplicaSet."""
        if self._signature is None:
            spec = self.spec
            containers = [
                (c.get("image"), c.get("resources"), c.get("ports"), c.get("restartPolicy"))
                for part in ("initContainers", "containers")
                for c in spec.get(part) or ()
            ]
            rest = ("nodeName", "nodeSelector", "affinity", "tolerations", "overhead", "resources", "hostNetwork")
            fields = [len(spec["containers"]), containers, *(spec.get(name) for name in rest)]
            self._signature = orjson.dumps(fields, option=orjson.OPT_SORT_KEYS)
        return self._signature

    def affinity(self, kind: str, when: str) -> list[Object]:
        """Terms of spec.affinity: kind is podAffinity or podAntiAffinity, when is required or preferred."""
        rules = (self.spec.get("affinity") or {}).get(kind) or {}
        return rules.get(when + "DuringSchedulingIgnoredDuringExecution") or []


class NodeInfo:
    """A node with the sum of what its Pods request. `memo` holds what plugins worked out since it last changed."""

    def __init__(self, name: str):
        self.name = name
        self.node: Object | None = None
        self.labels: dict[str, str] = {}
        self.taints: list[Object] = []
        self.unschedulable = False
        self.allocatable: Amounts = {}
        self.images: dict[str, int] = {}
        self.pods: dict[str, PodInfo] = {}
        self.with_affinity: dict[str, PodInfo] = {}
        self.requested: Amounts = {}
        self.nonzero: Amounts = {"cpu": 0, "memory": 0}
        self.ports: Counter[Port] = Counter()
        self.memo: dict[Any, Any] = {}

    def set_node(self, node: Object) -> None:
        self.node = node
        self.labels = node["metadata"].get("labels") or {}
        spec, status = node.get("spec") or {}, node.get("status") or {}
        self.taints = spec.get("taints") or []
        self.unschedulable = bool(spec.get("unschedulable"))
        self.allocatable = amounts(status.get("allocatable"))
        self.images = {
            name: int(image.get("sizeBytes") or 0)
            for image in status.get("images") or ()
            for name in image.get("names") or ()
        }
        self.memo.clear()

    def add(self, pod: PodInfo) -> None:
        self.pods[pod.uid] = pod
        if (pod.spec.get("affinity") or {}).keys() & {"podAffinity", "podAntiAffinity"}:
            self.with_affinity[pod.uid] = pod
        self._count(pod, 1)

    def remove(self, pod: PodInfo) -> None:
        self.pods.pop(pod.uid, None)
        self.with_affinity.pop(pod.uid, None)
        self._count(pod, -1)

    def _count(self, pod: PodInfo, sign: int) -> None:
        requested = self.requested
        for name, value in pod.requests.items():
            requested[name] = requested.get(name, 0) + sign * value
        nonzero = pod.nonzero
        self.nonzero["cpu"] += sign * nonzero["cpu"]
        self.nonzero["memory"] += sign * nonzero["memory"]
        for port in pod.ports:
            self.ports[port] += sign
            if not self.ports[port]:
                del self.ports[port]
        self.memo.clear()

    def remember(self, key: Any, value: Any) -> Any:
        """Keep `value` until the node or its Pods change."""
        if len(self.memo) >= MEMO_SIZE:
            self.memo.clear()
        self.memo[key] = value
        return value

    def copy(self) -> "NodeInfo":
        """A private copy for trying what-if questions on."""
        twin = NodeInfo(self.name)
        twin.__dict__.update(self.__dict__)
        twin.pods, twin.with_affinity = dict(self.pods), dict(self.with_affinity)
        twin.requested, twin.nonzero = dict(self.requested), dict(self.nonzero)
        twin.ports, twin.memo = Counter(self.ports), {}
        return twin


class Cache:
    """All nodes and every Pod that has one. Nodes are visited zone by zone in turn, as kube-scheduler does."""

    def __init__(self) -> None:
        self.infos: dict[str, NodeInfo] = {}
        self._nodes: list[NodeInfo] | None = []
        self._places: dict[str, int] = {}
        self._changes: dict[str, int] = {}  # node: when it last changed, the latest last
        self.generation = 0
        self.pods: dict[str, tuple[PodInfo, NodeInfo]] = {}
        self.assumed: set[str] = set()
        self.with_affinity: set[NodeInfo] = set()
        self.image_spread: Counter[str] = Counter()

    def info(self, name: str) -> NodeInfo:
        if name not in self.infos:
            self.infos[name] = NodeInfo(name)
        return self.infos[name]

    def get(self, name: str) -> NodeInfo | None:
        """The node, if the apiserver has it (Pods may name nodes that are not there)."""
        info = self.infos.get(name)
        return info if info is not None and info.node is not None else None

    @property
    def nodes(self) -> list[NodeInfo]:
        """All nodes, zone by zone in turn."""
        if self._nodes is None:
            zones: dict[str, list[NodeInfo]] = {}
            for info in self.infos.values():
                if info.node is not None:
                    zones.setdefault(_zone(info.labels), []).append(info)
            columns = list(zones.values())
            longest = max(map(len, columns), default=0)
            self._nodes = [column[row] for row in range(longest) for column in columns if row < len(column)]
            self._places = {node.name: place for place, node in enumerate(self._nodes)}
        return self._nodes

    @property
    def places(self) -> dict[str, int]:
        """Where in `nodes` each node stands."""
        return self._places if self.nodes else {}

    def changed_since(self, generation: int) -> Iterator[str]:
        """Names of the nodes that came, went, changed or got other Pods after `generation`, the latest first."""
        for name in reversed(self._changes):
            if self._changes[name] <= generation:
                return
            yield name

    def _touch(self, name: str) -> None:
        self.generation += 1
        self._changes.pop(name, None)
        self._changes[name] = self.generation

    # --- nodes ----------------------------------------------------------------------------------------------
    def set_node(self, node: Object) -> None:
        info = self.info(node["metadata"]["name"])
        known, images, zone = info.node is not None, info.images, _zone(info.labels)
        info.set_node(node)
        if info.images != images:
            self.image_spread.subtract(images.keys())
            self.image_spread.update(info.images.keys())
        if not known or zone != _zone(info.labels):
            self._nodes = None
        self._touch(info.name)

    def remove_node(self, name: str) -> None:
        info = self.infos.get(name)
        if info is None:
            return
        info.node = None
        self.image_spread.subtract(info.images.keys())
        info.images = {}
        if not info.pods:
            del self.infos[name]
        self._nodes = None
        self._touch(name)

    # --- Pods -----------------------------------------------------------------------------------------------
    def add_pod(self, pod: PodInfo, node: str, *, assumed: bool = False) -> None:
        """Count `pod` on `node`; one that is counted there already is only exchanged for its newer self."""
        known = self.pods.get(pod.uid)
        if known is not None:
            if known[1].name == node and _counts_alike(known[0].pod, pod.pod):
                self._exchange(known[0], pod, known[1])
                if not assumed:
                    self.assumed.discard(pod.uid)
                return
            self.remove_pod(pod.uid)
        info = self.info(node)
        info.add(pod)
        self._touch(node)
        self.pods[pod.uid] = (pod, info)
        if info.with_affinity:
            self.with_affinity.add(info)
        if assumed:
            self.assumed.add(pod.uid)

    def remove_pod(self, uid: str) -> None:
        known = self.pods.pop(uid, None)
        self.assumed.discard(uid)
        if known is None:
            return
        pod, info = known
        info.remove(pod)
        self._touch(info.name)
        if not info.with_affinity:
            self.with_affinity.discard(info)
        if info.node is None and not info.pods:
            self.infos.pop(info.name, None)

    def _exchange(self, old: PodInfo, new: PodInfo, info: NodeInfo) -> None:
        new._requests, new._nonzero = old._requests, old._nonzero
        self.pods[new.uid] = (new, info)
        info.pods[new.uid] = new
        if new.uid in info.with_affinity:
            info.with_affinity[new.uid] = new


def _counts_alike(old: Object, new: Object) -> bool:
    """Whether nothing changed that a plugin looks at: the spec, the labels, being deleted."""
    a, b = old["metadata"], new["metadata"]
    return bool(
        a.get("labels") == b.get("labels")
        and a.get("deletionTimestamp") == b.get("deletionTimestamp")
        and (a.get("generation", -1) == b.get("generation") or old["spec"] == new["spec"])
        and (a.get("generation") == 1 or resize(old.get("status")) == resize(new.get("status")))
    )


def _zone(labels: dict[str, str]) -> str:
    return f"{labels.get(REGION, '')}:{labels.get(ZONE, '')}"
