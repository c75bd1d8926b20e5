"""The node controllers of a cloud-controller-manager: what a provider knows of its machines, told to Kubernetes.

Stand for k8s.io/cloud-provider's cloud-node-controller and cloud-node-lifecycle-controller. A node that waits for its
cloud (taint `uninitialized`) gets its provider's id, zone and kind of machine; one that has gone silent is deleted if
the machine is no more, and tainted if it is switched off. The provider is simulated: `machines` says what it has.
"""

from collections.abc import Callable, Mapping

from k8s_core.api import Object
from k8s_core.client.client import Client
from k8s_core.controllers.controller import Controller, condition
from k8s_core.limits import NODE_MONITOR_PERIOD

UNINITIALIZED = "node.cloudprovider.kubernetes.io/uninitialized"
SHUTDOWN = "node.cloudprovider.kubernetes.io/shutdown"
INSTANCE_TYPE, ZONE, REGION = "simulated.small", "zone-a", "region-1"

Machines = Callable[[], Mapping[str, bool]]
"""The provider's machines by name, and whether each is switched on."""


class CloudNodeController(Controller):
    name = "cloud-node-controller"
    account = "cloud-node-controller"
    component = "cloud-node-controller"

    def __init__(self, client: Client, machines: Machines) -> None:
        super().__init__(client)
        self.machines = machines

    def setup(self) -> None:
        self.nodes = self.informer("nodes", changed=self.enqueue)
        self.every(NODE_MONITOR_PERIOD, self.monitor)

    def sync(self, key: str) -> None:
        node = self.nodes.get(key)
        if node is None or key not in self.machines():
            return
        taints = node["spec"].get("taints") or []
        if not any(taint["key"] == UNINITIALIZED for taint in taints):
            return
        labels = {
            "node.kubernetes.io/instance-type": INSTANCE_TYPE,
            "topology.kubernetes.io/zone": ZONE,
            "topology.kubernetes.io/region": REGION,
        }
        kept = [taint for taint in taints if taint["key"] != UNINITIALIZED]
        spec = {"providerID": node["spec"].get("providerID") or f"simulated:///{ZONE}/{key}", "taints": kept or None}
        self.client.patch("nodes", key, "", {"metadata": {"labels": labels}, "spec": spec})
        self.recorder.event(node, "Normal", "Synced", "Node synced successfully")

    def monitor(self) -> None:
        """Ask the provider about every node that does not say that it is well."""
        machines = self.machines()
        for node in self.nodes.list():
            name = node["metadata"]["name"]
            ready = condition(node.get("status", {}).get("conditions"), "Ready")
            well, taints = ready is None or ready["status"] == "True", node["spec"].get("taints") or []
            off = next((taint for taint in taints if taint["key"] == SHUTDOWN), None)
            if well and off:
                self.taint(name, [taint for taint in taints if taint is not off])
            elif not well and name not in machines:
                text = f"Deleting node {name} because it does not exist in the cloud provider"
                self.recorder.event(node, "Normal", "DeletingNode", text)
                self.client.delete("nodes", name)
            elif not well and not machines[name] and not off:
                self.taint(name, [*taints, {"key": SHUTDOWN, "effect": "NoSchedule"}])

    def taint(self, name: str, taints: list[Object]) -> None:
        self.client.patch("nodes", name, "", {"spec": {"taints": taints or None}})
