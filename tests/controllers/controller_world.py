"""A cluster without scheduler and kubelets, but stand-ins that do just enough of their work for controllers."""

from typing import Any

from k8s_core.api import Object
from k8s_core.api.errors import StatusError
from k8s_core.cluster import Cluster

START = 1.0
"""Seconds that a Pod takes to become ready."""


class World:
    """The API with the named controllers. With `kubelet`, Pods are bound to the first node that is there, become
    ready (unless their image is "broken"; "false" fails and "true" succeeds) and go when they are deleted."""

    def __init__(self, controllers: tuple[str, ...] = ("*",), *, kubelet: bool = True) -> None:
        self.cluster = Cluster(profile="bare", scheduler=False, kubelets=False, controllers=controllers)
        self.loop, self.client = self.cluster.loop, self.cluster.client()
        self.loop.strict = True
        if not self.client.list("serviceaccounts", "default"):
            account: Object = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
            self.client.create("serviceaccounts", account, "default")
        self.alive: dict[str, bool] = {}
        """Whether a node's kubelet answers."""
        self.made: list[str] = []
        """The uids of ReplicaSets in the order of their making."""
        self.client.informer("replicasets.apps").on(lambda each: self.made.append(each["metadata"]["uid"]))
        if kubelet:
            self.client.informer("pods").on(self.pod, lambda _, new: self.pod(new))

    def stop(self) -> None:
        self.cluster.stop()

    def load(self, milli: int) -> None:
        """From now on every Pod uses so many thousandths of a processor, as the autoscaler is told."""
        controller = self.cluster.controller_manager.controllers["horizontal-pod-autoscaler-controller"]
        vars(controller)["usage"] = lambda *_: {each["metadata"]["name"]: milli for each in self.all("Pod")}

    # --- stand-ins ------------------------------------------------------------------------------------------
    def pod(self, pod: Object) -> None:
        self.loop.call_soon(self.work, pod)

    def work(self, pod: Object) -> None:
        metadata, node = pod["metadata"], pod["spec"].get("nodeName", "")
        try:
            if metadata.get("deletionTimestamp"):
                if self.alive.get(node, True):
                    self.client.delete("pods", metadata["name"], metadata["namespace"], grace_seconds=0)
            elif not node:
                self.bind(pod)
            elif pod["status"]["phase"] == "Pending" and self.alive.get(node, True):
                self.loop.call_later(START, self.run, pod)
        except StatusError as error:
            if error.code not in (404, 409):
                raise

    def bind(self, pod: Object) -> None:
        metadata = pod["metadata"]
        nodes = [each["metadata"]["name"] for each in self.client.list("nodes")] or ["nowhere"]
        required = (pod["spec"].get("affinity") or {}).get("nodeAffinity", {})
        terms = required.get("requiredDuringSchedulingIgnoredDuringExecution", {}).get("nodeSelectorTerms", [{}])
        fields = terms[0].get("matchFields")
        target = fields[0]["values"][0] if fields else nodes[0]
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": metadata["name"]},
            "target": {"kind": "Node", "name": target},
        }
        self.client.create_sub("pods", metadata["name"], metadata["namespace"], "binding", binding)

    def run(self, pod: Object) -> None:
        metadata, image = pod["metadata"], pod["spec"]["containers"][0]["image"]
        try:
            fresh = self.client.get("pods", metadata["name"], metadata["namespace"])
        except StatusError:
            return
        if fresh["metadata"]["uid"] != metadata["uid"] or "deletionTimestamp" in fresh["metadata"]:
            return
        if fresh["status"]["phase"] != "Pending":
            return
        ip = f"10.32.0.{int(metadata['uid'][:2], 16)}"
        phase = {"false": "Failed", "true": "Succeeded"}.get(image, "Running")
        ready = "True" if phase == "Running" and image != "broken" else "False"
        condition = {"type": "Ready", "status": ready, "lastTransitionTime": self.loop.timestamp()}
        code = {"Failed": 1, "Succeeded": 0}.get(phase)
        state: Object = {"running": {"startedAt": self.loop.timestamp()}}
        if code is not None:
            state = {"terminated": {"exitCode": code, "finishedAt": self.loop.timestamp()}}
        others = [each for each in fresh["status"].get("conditions", []) if each["type"] != "Ready"]
        status = {
            **fresh["status"],
            "phase": phase,
            "podIP": ip,
            "podIPs": [{"ip": ip}],
            "conditions": [*others, condition],
            "containerStatuses": [
                {"name": each["name"], "restartCount": 0, "ready": ready == "True", "image": each["image"],
                 "imageID": "", "state": state}
                for each in fresh["spec"]["containers"]
            ],
        }  # fmt: skip
        self.client.update_status("pods", {**fresh, "status": status})

    # --- acting and looking ---------------------------------------------------------------------------------
    def resource(self, obj: Object) -> str:
        group, _, version = obj["apiVersion"].rpartition("/")
        found = self.client.resources.by_kind(group, version, obj["kind"])
        assert found is not None, obj["kind"]
        return found.group_resource

    def create(self, obj: Object) -> Object:
        """Create an object, its status included; namespaced ones go to `default` unless they say otherwise."""
        resource = self.resource(obj)
        found = self.client.resources.find(resource)
        assert found is not None
        namespace = obj["metadata"].get("namespace", "default") if found.namespaced else ""
        created = self.client.create(resource, obj, namespace)
        if resource == "nodes":  # admission taints new nodes; these are old ones
            taints = obj.get("spec", {}).get("taints")
            created = self.client.patch("nodes", created["metadata"]["name"], "", {"spec": {"taints": taints}})
        if "status" in obj:
            created = self.client.update_status(resource, {**created, "status": obj["status"]})
        return created

    def all(self, kind: str) -> list[Object]:
        """Every object of a kind, oldest first."""
        resource = next(each for each in self.client.resources if each.kind == kind)
        found = self.client.list(resource.group_resource)
        return sorted(found, key=lambda each: int(each["metadata"]["resourceVersion"]))

    def events(self, about: str = "") -> list[str]:
        """All events as "reason: message", oldest first."""
        events = [each for each in self.all("Event") if about in ("", each["involvedObject"]["kind"])]
        return [f"{each['reason']}: {each['message']}" for each in events]

    def hashes(self) -> dict[str, str]:
        """HASH1, HASH2 ... for the Pod template hashes of all ReplicaSets, in the order of their making."""
        sets = sorted(self.all("ReplicaSet"), key=lambda each: self.made.index(each["metadata"]["uid"]))
        found = [each["metadata"].get("labels", {}).get("pod-template-hash") for each in sets]
        return {each: f"HASH{at}" for at, each in enumerate(filter(None, found), 1)}

    def heartbeat(self, node: str) -> None:
        """Renew a node's lease every ten seconds while it is alive."""
        lease: Object = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": node, "namespace": "kube-node-lease"},
            "spec": {"renewTime": self.loop.micro_timestamp()},
        }
        self.alive[node] = True
        self.client.create("leases.coordination.k8s.io", lease)

        def renew() -> None:
            if self.alive[node]:
                known = self.client.get("leases.coordination.k8s.io", node, "kube-node-lease")
                spec = {"renewTime": self.loop.micro_timestamp()}
                self.client.update("leases.coordination.k8s.io", {**known, "spec": spec})

        self.loop.every(10, renew)


def contains(have: Any, want: Any) -> bool:
    """Whether `want` is part of `have`: mappings may have more keys, lists must have the same length; a text that
    ends in ... must begin so."""
    if isinstance(want, dict):
        return isinstance(have, dict) and all(
            (key not in have if value is None else key in have and contains(have[key], value))
            for key, value in want.items()
        )
    if isinstance(want, list):
        return (
            isinstance(have, list)
            and len(have) == len(want)
            and all(contains(one, other) for one, other in zip(have, want, strict=True))
        )
    if isinstance(want, str) and want.endswith("..."):
        return isinstance(have, str) and have.startswith(want[:-3])
    return bool(have == want)


def renamed(value: Any, names: dict[str, str]) -> Any:
    """With these words replaced in all strings."""
    if isinstance(value, dict):
        return {key: renamed(each, names) for key, each in value.items()}
    if isinstance(value, list):
        return [renamed(each, names) for each in value]
    if isinstance(value, str):
        for name, other in names.items():
            value = value.replace(name, other)
    return value
