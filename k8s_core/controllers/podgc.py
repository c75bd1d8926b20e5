"""Pod garbage collection: Pods whose node is no more, and the oldest of too many Pods that have ended.

Promises: a node must be missing for the quarantine time, and be missing at the API server too, before its Pods are
failed and deleted by force.
Stands for pkg/controller/podgc. Where upstream looks at all Pods every 20 seconds, this reacts to what changes.
"""

from k8s_core.api import Object
from k8s_core.api.errors import StatusError, ignoring, is_not_found
from k8s_core.controllers import pods as podutil
from k8s_core.controllers.controller import Controller, is_deleting
from k8s_core.limits import POD_GC_PERIOD, POD_GC_QUARANTINE, TERMINATED_POD_GC_THRESHOLD


class PodGCController(Controller):
    """Keys of its queue are node names."""

    name = "pod-garbage-collector-controller"
    aliases = ("podgc",)
    account = "pod-garbage-collector"

    def setup(self) -> None:
        self.nodes = self.informer("nodes", deleted=lambda node: self.suspect(node["metadata"]["name"]))
        self.pods = self.informer("pods", self.pod_seen, self.pod_updated)
        self.pods.index("node", lambda pod: [name] if (name := pod["spec"].get("nodeName")) else [])
        self.every(POD_GC_PERIOD, self.collect_terminated)

    def suspect(self, node: str) -> None:
        self.queue.add_after(node, POD_GC_QUARANTINE)

    def pod_seen(self, pod: Object) -> None:
        node = pod["spec"].get("nodeName")
        if node and self.nodes.get(node) is None:
            self.suspect(node)
        elif not node and is_deleting(pod):
            self.delete(pod, "")  # nobody runs it, so nobody will confirm its end

    def pod_updated(self, old: Object, new: Object) -> None:
        if old["spec"].get("nodeName") != new["spec"].get("nodeName") or is_deleting(old) != is_deleting(new):
            self.pod_seen(new)

    def sync(self, key: str) -> None:
        try:
            self.client.get("nodes", key)
            return
        except StatusError as error:
            if not is_not_found(error):
                raise
        for pod in self.pods.by_index("node", key):
            self.delete(pod, "PodGC: node no longer exists")

    def collect_terminated(self) -> None:
        """Beyond the threshold the Pods that ended longest ago are deleted."""
        if len(self.pods.items) <= TERMINATED_POD_GC_THRESHOLD:
            return
        ended = [pod for pod in self.pods.list() if podutil.is_finished(pod) and not is_deleting(pod)]
        ended.sort(key=lambda pod: (pod["metadata"]["creationTimestamp"], pod["metadata"]["name"]))
        for pod in ended[: max(0, len(ended) - TERMINATED_POD_GC_THRESHOLD)]:
            self.delete(pod, "")

    def delete(self, pod: Object, why: str) -> None:
        """By force; with a reason the Pod is failed first, so that its owner learns what became of it."""
        metadata = pod["metadata"]
        with ignoring(is_not_found):
            if why and not podutil.is_finished(pod):
                target = {
                    "type": "DisruptionTarget",
                    "status": "True",
                    "reason": "DeletionByPodGC",
                    "message": why,
                    "lastTransitionTime": self.loop.timestamp(),
                    "observedGeneration": metadata.get("generation", 0),
                }
                status = {"phase": "Failed", "conditions": [target]}
                self.client.patch(
                    "pods",
                    metadata["name"],
                    metadata["namespace"],
                    {"status": status},
                    kind="strategic",
                    subresource="status",
                )
            self.client.delete("pods", metadata["name"], metadata["namespace"], uid=metadata["uid"], grace_seconds=0)
