"""The taint eviction controller: deletes Pods that do not bear a NoExecute taint of their node, when time is up.

Promises: a Pod without a matching toleration goes at once; one with `tolerationSeconds` goes after the shortest of
them, counted from when the taint was seen; taints that go in time cancel it.
Stands for pkg/controller/tainteviction.
"""

from k8s_core.api import Object
from k8s_core.api.errors import StatusError, ignoring, is_not_found
from k8s_core.api.placement import tolerates, untolerated
from k8s_core.client.informer import split_key
from k8s_core.clock import Timer
from k8s_core.controllers import nodes as nodeutil
from k8s_core.controllers.controller import Controller, condition


class TaintEvictionController(Controller):
    name = "taint-eviction-controller"
    account = "node-controller"
    component = "taint-eviction-controller"

    def setup(self) -> None:
        self.evictions: dict[str, Timer] = {}
        self.nodes = self.informer("nodes", self.node_changed, self.node_updated)
        self.pods = self.informer("pods", self.enqueue, self.pod_updated, self.enqueue)
        self.pods.index("node", lambda pod: [name] if (name := pod["spec"].get("nodeName")) else [])

    def stop(self) -> None:
        super().stop()
        for each in self.evictions.values() if hasattr(self, "evictions") else ():
            each.cancel()

    def node_changed(self, node: Object) -> None:
        for pod in self.pods.by_index("node", node["metadata"]["name"]):
            self.enqueue(pod)

    def node_updated(self, old: Object, new: Object) -> None:
        if no_execute(old) != no_execute(new):
            self.node_changed(new)

    def pod_updated(self, old: Object, new: Object) -> None:
        was, now = ((pod["spec"].get("tolerations"), pod["spec"].get("nodeName")) for pod in (old, new))
        if was != now:
            self.enqueue(new)

    def sync(self, key: str) -> None:
        """Make, keep or cancel the appointment with one Pod."""
        pod = self.pods.get_key(key)
        node = self.nodes.get(pod["spec"].get("nodeName") or "") if pod else None
        taints = no_execute(node) if node else []
        if pod is None or not taints:
            self.cancel(key)
            return
        tolerations = pod["spec"].get("tolerations") or []
        if untolerated(taints, tolerations, ["NoExecute"]):
            self.cancel(key)
            self.evict(key)
            return
        used = [each for each in tolerations if any(tolerates(each, taint) for taint in taints)]
        limits = [each["tolerationSeconds"] for each in used if each.get("tolerationSeconds") is not None]
        if not limits:
            self.cancel(key)
            return
        if key in self.evictions:
            return  # it keeps the appointment it has
        if (wait := min(limits)) > 0:
            self.evictions[key] = self.loop.call_later(wait, self.due, key)
        else:
            self.evict(key)

    def cancel(self, key: str) -> None:
        if timer := self.evictions.pop(key, None):
            timer.cancel()
            message = f"Cancelling deletion of Pod {key}"
            self.recorder.event(reference(key), "Normal", "TaintManagerEviction", message)

    def due(self, key: str) -> None:
        self.evictions.pop(key, None)
        try:
            self.evict(key)
        except StatusError as error:
            self.loop.log(self.name, f"could not evict {key}: {error.message}")
            self.queue.add_rate_limited(key)

    def evict(self, key: str) -> None:
        """Say why in the Pod's conditions, then delete it."""
        namespace, name = split_key(key)
        message = f"Marking for deletion Pod {key}"
        self.recorder.event(reference(key), "Normal", "TaintManagerEviction", message)
        with ignoring(is_not_found):
            pod = self.client.get("pods", name, namespace)
            found = condition((pod.get("status") or {}).get("conditions"), "DisruptionTarget")
            if found is None or found.get("status") != "True":
                target = disruption_target(pod, self.loop.timestamp())
                patch = {"metadata": {"uid": pod["metadata"]["uid"]}, "status": {"conditions": [target]}}
                self.client.patch("pods", name, namespace, patch, kind="strategic", subresource="status")
            self.client.delete("pods", name, namespace)


def no_execute(node: Object) -> list[Object]:
    return [each for each in nodeutil.taints(node) if each["effect"] == "NoExecute"]


def reference(key: str) -> Object:
    namespace, name = split_key(key)
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": namespace}}


def disruption_target(pod: Object, now: str) -> Object:
    return {
        "type": "DisruptionTarget",
        "status": "True",
        "reason": "DeletionByTaintManager",
        "message": "Taint manager: deleting due to NoExecute taint",
        "lastTransitionTime": now,
        "observedGeneration": pod["metadata"].get("generation", 0),
    }
