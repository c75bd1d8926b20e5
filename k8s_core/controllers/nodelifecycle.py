"""The node lifecycle controller: notices that a node is silent, says so, and taints it so that its Pods move on.

Promises: a node whose lease was not renewed and whose status was not posted for the grace period gets Ready=Unknown
(and the pressures too), its Pods are marked not ready, and it is tainted: NoSchedule at once, NoExecute one node
every ten seconds. When all nodes are silent the fault is more likely ours, and no NoExecute taint is added. Times
are those at which this controller saw a heartbeat, never those written in it: clocks of nodes are not trusted.
Stands for pkg/controller/nodelifecycle (the deleting of Pods is tainteviction.py).
"""

from dataclasses import dataclass, field
from typing import ClassVar

from k8s_core.api import Object
from k8s_core.api.errors import StatusError, is_not_found
from k8s_core.controllers import nodes as nodeutil
from k8s_core.controllers.controller import Controller, condition, seconds, with_status
from k8s_core.limits import (
    LARGE_CLUSTER_SIZE_THRESHOLD,
    NODE_EVICTION_RATE,
    NODE_MONITOR_GRACE_PERIOD,
    NODE_MONITOR_PERIOD,
    NODE_STARTUP_GRACE_PERIOD,
    SECONDARY_NODE_EVICTION_RATE,
    UNHEALTHY_ZONE_THRESHOLD,
)

REGION, ZONE = "topology.kubernetes.io/region", "topology.kubernetes.io/zone"
EXCLUDED = "node.kubernetes.io/exclude-disruption"
SILENT_CONDITIONS = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")
NORMAL, PARTIAL, FULL = "Normal", "PartialDisruption", "FullDisruption"
# Labels that are kept equal to those which replaced them (labelReconcileInfo).
SAME_LABELS = {
    "kubernetes.io/os": "beta.kubernetes.io/os",
    "kubernetes.io/arch": "beta.kubernetes.io/arch",
}


@dataclass(slots=True)
class Health:
    """What was last seen of a node, and when."""

    seen: float
    heartbeat: str = ""
    renewed: str = ""


@dataclass(slots=True)
class Zone:
    """Nodes that wait for a NoExecute taint, and how fast they get it (a token bucket of one)."""

    rate: float = NODE_EVICTION_RATE
    state: str = NORMAL
    next_at: float = 0.0
    waiting: dict[str, None] = field(default_factory=dict)


class NodeLifecycleController(Controller):
    name = "node-lifecycle-controller"
    aliases = ("nodelifecycle",)
    account = "node-controller"
    grace_period: ClassVar[float] = NODE_MONITOR_GRACE_PERIOD
    startup_grace_period: ClassVar[float] = NODE_STARTUP_GRACE_PERIOD

    def setup(self) -> None:
        self.health: dict[str, Health] = {}
        self.known: dict[str, Object] = {}
        self.zones: dict[str, Zone] = {}
        self.retry: set[str] = set()
        self.nodes = self.informer("nodes", self.enqueue, lambda _, new: self.enqueue(new))
        self.leases = self.informer("leases.coordination.k8s.io")
        self.pods = self.informer("pods", self.pod_assigned, self.pod_updated)
        self.pods.index("node", lambda pod: [name] if (name := pod["spec"].get("nodeName")) else [])
        self.tainting = self.new_queue(self.add_no_execute_taints, f"{self.name}-taints")
        self.pod_queue = self.new_queue(self.check_pod, f"{self.name}-pods")
        self.every(NODE_MONITOR_PERIOD, self.monitor)

    # --- NoSchedule taints and labels, at every change of a node -------------------------------------------------
    def sync(self, key: str) -> None:
        node = self.nodes.get(key)
        if node is None:
            return
        conditions = (node.get("status") or {}).get("conditions") or []
        wanted = [nodeutil.CONDITION_TAINTS.get((each.get("type"), each.get("status"))) for each in conditions]
        keys = [each for each in wanted if each]
        if node["spec"].get("unschedulable"):
            keys.append(nodeutil.UNSCHEDULABLE)
        ours = {*nodeutil.CONDITION_TAINTS.values(), nodeutil.UNSCHEDULABLE}
        have = [each for each in nodeutil.taints(node) if each["effect"] == "NoSchedule" and each["key"] in ours]
        add = [self.taint(each, "NoSchedule") for each in keys if each not in {taint["key"] for taint in have}]
        remove = [each for each in have if each["key"] not in keys]
        if add or remove:
            nodeutil.swap_taints(self.client, key, add, remove)
        labels = node["metadata"].get("labels") or {}
        stale = {
            old: labels[new] for new, old in SAME_LABELS.items() if new in labels and labels.get(old) != labels[new]
        }
        if stale:
            self.client.patch("nodes", key, "", {"metadata": {"labels": stale}})

    def taint(self, key: str, effect: str) -> Object:
        return {"key": key, "effect": effect, "timeAdded": self.loop.timestamp()}

    # --- the monitor, every few seconds ---------------------------------------------------------------------------
    def monitor(self) -> None:
        nodes = self.nodes.list()
        self.classify(nodes)
        ready_by_zone: dict[str, list[bool]] = {}
        for node in nodes:
            try:
                is_ready = self.check(node)
            except StatusError as error:
                self.loop.log(self.name, f"skipping node {node['metadata']['name']}: {error.message}")
                continue
            if EXCLUDED not in (node["metadata"].get("labels") or {}):
                ready_by_zone.setdefault(zone_of(node), []).append(is_ready)
        self.handle_disruption(ready_by_zone, nodes)
        for key, zone in self.zones.items():
            if zone.waiting:
                self.tainting.add(key or "-")

    def classify(self, nodes: list[Object]) -> None:
        present = {node["metadata"]["name"]: node for node in nodes}
        for name, node in present.items():
            self.zones.setdefault(zone_of(node), Zone())
            if name not in self.known:
                self.tell(node, "RegisteredNode", f"Registered Node {name} in Controller")
                self.mark_reachable(node)
        for name in self.known.keys() - present.keys():
            self.tell(self.known[name], "RemovingNode", f"Removing Node {name} from Controller")
            self.health.pop(name, None)
            self.retry.discard(name)
        self.known = present

    def tell(self, node: Object, reason: str, message: str) -> None:
        name = node["metadata"]["name"]
        self.recorder.event(reference(node), "Normal", reason, f"Node {name} event: {message}")

    def check(self, node: Object) -> bool:
        """Look at one node's heartbeats; whether it counts as ready now."""
        name = node["metadata"]["name"]
        observed = nodeutil.ready(node)
        observed_status = str(observed.get("status")) if observed else "Unknown"
        self.note_heartbeat(node, observed)
        grace = self.grace_period if observed else self.startup_grace_period
        if self.loop.now > self.health[name].seen + grace:
            node = self.mark_silent(node)
        current = nodeutil.ready(node)
        if current is None:
            return False
        self.queue_taint(node, observed_status)
        if current.get("status") != "True" and (observed_status == "True" or name in self.retry):
            if observed_status == "True":
                message = f"Node {name} status is now: NodeNotReady"
                self.recorder.event(reference(node), "Normal", "NodeNotReady", message)
            self.mark_pods_not_ready(name)
        return bool(current.get("status") == "True")

    def note_heartbeat(self, node: Object, observed: Object | None) -> None:
        name, now = node["metadata"]["name"], self.loop.now
        heartbeat = (observed or {}).get("lastHeartbeatTime") or ""
        lease = self.leases.get(name, "kube-node-lease")
        renewed = (lease["spec"].get("renewTime") or "") if lease else ""
        health = self.health.get(name)
        if health is None:
            first = now if observed else seconds(node["metadata"]["creationTimestamp"])
            self.health[name] = Health(first, heartbeat, renewed)
            return
        if heartbeat != health.heartbeat or renewed > health.renewed:
            health.seen, health.heartbeat, health.renewed = now, heartbeat, max(renewed, health.renewed)

    def mark_silent(self, node: Object) -> Object:
        """Ready and the pressures become Unknown: nobody is there to know them."""
        status, now = node.get("status") or {}, self.loop.timestamp()
        conditions = list(status.get("conditions") or [])
        for kind in SILENT_CONDITIONS:
            found = condition(conditions, kind)
            entry = {"type": kind, "status": "Unknown", "lastTransitionTime": now}
            if found is None:
                entry |= {
                    "reason": "NodeStatusNeverUpdated",
                    "message": "Kubelet never posted node status.",
                    "lastHeartbeatTime": node["metadata"]["creationTimestamp"],
                }
                conditions.append(entry)
            elif found.get("status") != "Unknown":
                entry |= {"reason": "NodeStatusUnknown", "message": "Kubelet stopped posting node status."}
                conditions[conditions.index(found)] = {**found, **entry}
        if conditions == status.get("conditions"):
            return node
        return self.client.update_status("nodes", with_status(node, {**status, "conditions": conditions}))

    def mark_pods_not_ready(self, name: str) -> None:
        self.retry.discard(name)
        for pod in self.pods.by_index("node", name):
            try:
                self.mark_pod_not_ready(pod)
            except StatusError as error:
                self.loop.log(self.name, f"unable to mark all pods NotReady on node {name}: {error.message}")
                self.retry.add(name)

    def mark_pod_not_ready(self, pod: Object) -> None:
        status = pod.get("status") or {}
        found = condition(status.get("conditions"), "Ready")
        if found is None or found.get("status") == "False":
            return
        entry = {**found, "status": "False", "lastTransitionTime": self.loop.timestamp()}
        conditions = [entry if each is found else each for each in status["conditions"]]
        try:
            self.client.update_status("pods", with_status(pod, {**status, "conditions": conditions}))
        except StatusError as error:
            if not is_not_found(error):
                raise
            return
        self.recorder.event(pod, "Warning", "NodeNotReady", "Node is not ready")

    # --- Pods that come to a node which is not ready ---------------------------------------------------------------
    def pod_assigned(self, pod: Object) -> None:
        node = self.nodes.get(pod["spec"].get("nodeName") or "")
        found = nodeutil.ready(node) if node else None
        if found and found.get("status") != "True":
            metadata = pod["metadata"]
            self.pod_queue.add(f"{metadata['namespace']}/{metadata['name']}")

    def pod_updated(self, old: Object, new: Object) -> None:
        if old["spec"].get("nodeName") != new["spec"].get("nodeName"):
            self.pod_assigned(new)

    def check_pod(self, key: str) -> None:
        if pod := self.pods.get_key(key):
            self.mark_pod_not_ready(pod)

    # --- NoExecute taints, rationed ---------------------------------------------------------------------------------
    def queue_taint(self, node: Object, observed: str) -> None:
        name, zone = node["metadata"]["name"], self.zones[zone_of(node)]
        if observed == "True":
            self.mark_reachable(node)
            return
        key, opposite = self.no_execute(observed)
        have = {each["key"] for each in nodeutil.taints(node) if each["effect"] == "NoExecute"}
        if opposite in have:
            add, remove = self.taint(key, "NoExecute"), self.taint(opposite, "NoExecute")
            nodeutil.swap_taints(self.client, name, [add], [remove])
        elif key not in have:
            zone.waiting[name] = None

    def no_execute(self, status: str) -> tuple[str, str]:
        """The taint for a Ready status, and the one it excludes."""
        keys = (nodeutil.NOT_READY, nodeutil.UNREACHABLE)
        return keys if status == "False" else keys[::-1]

    def mark_reachable(self, node: Object) -> None:
        self.zones[zone_of(node)].waiting.pop(node["metadata"]["name"], None)
        both = [self.taint(key, "NoExecute") for key in (nodeutil.UNREACHABLE, nodeutil.NOT_READY)]
        have = {(each["key"], each["effect"]) for each in nodeutil.taints(node)}
        if have & {(each["key"], each["effect"]) for each in both}:
            nodeutil.swap_taints(self.client, node["metadata"]["name"], [], both)

    def add_no_execute_taints(self, key: str) -> None:
        """Taint the node whose turn it is in the zone; come back when the next may be."""
        zone = self.zones[key if key != "-" else ""]
        if not zone.rate:
            return
        while zone.waiting:
            if self.loop.now < zone.next_at:
                self.tainting.add_after(key, zone.next_at - self.loop.now)
                return
            name = next(iter(zone.waiting))
            del zone.waiting[name]
            node = self.nodes.get(name)
            found = nodeutil.ready(node) if node else None
            if found is None or found.get("status") == "True":
                continue
            taint, opposite = self.no_execute(str(found.get("status")))
            nodeutil.swap_taints(
                self.client, name, [self.taint(taint, "NoExecute")], [self.taint(opposite, "NoExecute")]
            )
            zone.next_at = self.loop.now + 1 / zone.rate

    # --- when many nodes are silent at once -------------------------------------------------------------------------
    def handle_disruption(self, ready_by_zone: dict[str, list[bool]], nodes: list[Object]) -> None:
        states = {key: zone_state(verdicts) for key, verdicts in ready_by_zone.items()}
        for key in self.zones.keys() - states.keys():
            del self.zones[key]
        if not states:
            return
        all_are = all(state == FULL for state in states.values())
        all_were = all(zone.state == FULL for zone in self.zones.values())
        if all_are and all_were:
            return
        if all_are:
            self.loop.log(self.name, "all Nodes are not-Ready: entering master disruption mode")
            for node in nodes:
                self.mark_reachable(node)
        elif all_were:
            self.loop.log(self.name, "some Nodes are Ready: exiting master disruption mode")
            for health in self.health.values():
                health.seen = self.loop.now
        for key, zone in self.zones.items():
            zone.state = states[key]
            zone.rate = 0.0 if all_are else rate_of(zone.state, len(ready_by_zone[key]))


def reference(node: Object) -> Object:
    """What node events are about: upstream leaves the revision out."""
    metadata = {key: node["metadata"][key] for key in ("name", "uid")}
    return {"apiVersion": "v1", "kind": "Node", "metadata": metadata}


def zone_of(node: Object) -> str:
    labels = node["metadata"].get("labels") or {}
    region, zone = labels.get(REGION, ""), labels.get(ZONE, "")
    return f"{region}:{zone}" if region or zone else ""


def zone_state(ready: list[bool]) -> str:
    silent = ready.count(False)
    if silent and silent == len(ready):
        return FULL
    return PARTIAL if silent > 2 and silent / len(ready) >= UNHEALTHY_ZONE_THRESHOLD else NORMAL


def rate_of(state: str, size: int) -> float:
    """Nodes a second; in a small zone that is half down none at all: better to wait."""
    if state == PARTIAL:
        return SECONDARY_NODE_EVICTION_RATE if size > LARGE_CLUSTER_SIZE_THRESHOLD else 0.0
    return NODE_EVICTION_RATE
