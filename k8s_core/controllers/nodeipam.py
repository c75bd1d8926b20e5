"""Node IPAM: gives every node its own range of Pod addresses out of the cluster's.

Promises: ranges do not overlap, are given in order, and come back when the node is deleted.
Stands for pkg/controller/nodeipam with the RangeAllocator.
"""

import ipaddress

from k8s_core.api import Object
from k8s_core.client.client import Client
from k8s_core.controllers.controller import Controller
from k8s_core.controllers.nodelifecycle import reference
from k8s_core.limits import NODE_CIDR_MASK, POD_CIDR


class NodeIPAMController(Controller):
    name = "node-ipam-controller"
    aliases = ("nodeipam",)
    account = "node-controller"
    component = "cidrAllocator"

    def __init__(self, client: Client, informers: Client | None = None, *, cluster_cidr: str = POD_CIDR) -> None:
        super().__init__(client, informers)
        self.network = ipaddress.ip_network(cluster_cidr)

    def setup(self) -> None:
        self.count = 1 << (NODE_CIDR_MASK - self.network.prefixlen)
        self.taken: dict[str, str] = {}
        """Range by the node that has it."""
        self.ranges: set[str] = set()
        self.next = 0
        self.nodes = self.informer("nodes", self.seen, lambda _, new: self.seen(new), self.gone)

    def seen(self, node: Object) -> None:
        cidr = node["spec"].get("podCIDR")
        if cidr:
            self.taken[node["metadata"]["name"]] = cidr
            self.ranges.add(cidr)
        else:
            self.enqueue(node)

    def gone(self, node: Object) -> None:
        self.ranges.discard(self.taken.pop(node["metadata"]["name"], ""))

    def sync(self, key: str) -> None:
        node = self.nodes.get(key)
        if node is None or node["spec"].get("podCIDR"):
            return
        cidr = self.allocate(key)
        if cidr is None:
            message = f"Node {key} status is now: CIDRNotAvailable"
            self.recorder.event(reference(node), "Normal", "CIDRNotAvailable", message)
            self.queue.add_rate_limited(key)
            return
        self.client.patch("nodes", key, "", {"spec": {"podCIDR": cidr, "podCIDRs": [cidr]}}, kind="strategic")

    def allocate(self, name: str) -> str | None:
        """The next free range, noted as taken; None if there is none left."""
        if name in self.taken:
            return self.taken[name]
        size = 1 << (self.network.max_prefixlen - NODE_CIDR_MASK)
        for step in range(self.count):
            at = (self.next + step) % self.count
            cidr = f"{self.network.network_address + at * size}/{NODE_CIDR_MASK}"
            if cidr not in self.ranges:
                self.next = (at + 1) % self.count
                self.taken[name] = cidr
                self.ranges.add(cidr)
                return cidr
        return None
