"""The TTL controller: tells kubelets by an annotation how long they may believe what they read; longer if many.

Stands for pkg/controller/ttl.
"""

from k8s_core.api import Object
from k8s_core.controllers.controller import Controller
from k8s_core.limits import TTL_BOUNDARIES

TTL = "node.alpha.kubernetes.io/ttl"


class TTLController(Controller):
    name = "ttl-controller"
    aliases = ("ttl",)
    account = "ttl-controller"

    def setup(self) -> None:
        self.step = 0
        self.nodes = self.informer(
            "nodes", self.resized, lambda _, new: self.enqueue(new), lambda node: self.resized(None)
        )

    def resized(self, node: Object | None) -> None:
        """Another step of the ladder is reached only when the number of nodes is past its edge."""
        count = len(self.nodes.items)
        while self.step + 1 < len(TTL_BOUNDARIES) and count > TTL_BOUNDARIES[self.step][1]:
            self.step += 1
        while self.step > 0 and count < TTL_BOUNDARIES[self.step][0]:
            self.step -= 1
        if node:
            self.enqueue(node)

    def sync(self, key: str) -> None:
        node = self.nodes.get(key)
        wanted = str(TTL_BOUNDARIES[self.step][2])
        if node and (node["metadata"].get("annotations") or {}).get(TTL) != wanted:
            self.client.patch("nodes", key, "", {"metadata": {"annotations": {TTL: wanted}}}, kind="strategic")
