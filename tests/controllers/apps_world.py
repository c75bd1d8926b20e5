"""A whole bare cluster for the cases of test_end_to_end_apps.py, spoken to over the paths of the REST API."""

import json
import re
from typing import Any

from k8s_core.api import Object
from k8s_core.apiserver.request import Request, Response, User, parse_query
from k8s_core.cluster import Cluster
from k8s_core.streams import Session

TYPES = {
    "patch": "application/strategic-merge-patch+json",
    "merge": "application/merge-patch+json",
    "json": "application/json-patch+json",
    "apply": "application/apply-patch+yaml",
}
STORAGE = {
    "apiVersion": "storage.k8s.io/v1",
    "kind": "StorageClass",
    "metadata": {"name": "standard", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
    "provisioner": "rancher.io/local-path",
    "volumeBindingMode": "WaitForFirstConsumer",
}


class Refused(Exception):
    """The API's answer was not what was asked for; `status` is the Status."""

    def __init__(self, status: Object) -> None:
        super().__init__(status["message"])
        self.status = status


class World:
    """A control plane, two nodes, n1 and n2, and a namespace for each case."""

    def __init__(self) -> None:
        users = {"admin": User("admin", ("system:masters", "system:authenticated"))}
        self.cluster = Cluster(("cp", "n1", "n2"), token_users=users)
        self.cluster.loop.strict = True
        self.namespace = ""
        self.saved: dict[str, str] = {}
        self.cases = 0
        self.seen: dict[str, list[str]] = {}
        self.send("POST", "/apis/storage.k8s.io/v1/storageclasses", STORAGE)

    def begin(self) -> None:
        """A case begins, in a namespace of its own."""
        self.cases += 1
        self.namespace = f"e2e-{self.cases}"
        self.saved, self.seen = {"NS": self.namespace}, {}
        self.send("POST", "/api/v1/namespaces", {"metadata": {"name": self.namespace}})
        self.cluster.settle()

    def end(self) -> None:
        self.send("DELETE", f"/api/v1/namespaces/{self.namespace}")
        self.cluster.advance(60)

    # --- requests -------------------------------------------------------------------------------------------
    def send(self, method: str, path: str, body: Any = None, kind: str = "", **query: str) -> Object:
        """One request; Refused if its answer is a failure."""
        raw = json.dumps(body).encode() if body is not None else b""
        asked = {name: [value] for name, value in query.items()}
        response = self.handle(method, path, asked, raw, TYPES.get(kind, "application/json"))
        answer = response.object or {}
        if response.code >= 400:
            raise Refused(answer)
        return answer

    def handle(
        self, method: str, path: str, query: dict[str, list[str]], body: bytes = b"", media: str = ""
    ) -> Response:
        headers = {"authorization": "Bearer admin", "content-type": media}
        return self.cluster.apiserver.handle(Request(method=method, path=path, query=query, headers=headers, body=body))

    def page(self, service: str, path: str) -> str:
        """What a Service answers by the apiserver's proxy."""
        path, _, query = f"{self.path('Service', service)}/proxy/{path}".partition("?")
        return (self.handle("GET", path, parse_query(query)).body or b"").decode()

    def path(self, kind: str, name: str = "", subresource: str = "", namespace: str = "") -> str:
        """The path of a kind, or of an object of it; "Deployment" or "pods.metrics.k8s.io/PodMetrics" alike."""
        found = next(each for each in self.cluster.apiserver.resources if each.kind == kind and "/" not in each.name)
        prefix = f"/apis/{found.api_version}" if found.group else f"/api/{found.version}"
        place = f"/namespaces/{namespace or self.namespace}" if found.namespaced else ""
        return "/".join(filter(None, (f"{prefix}{place}/{found.name}", name, subresource)))

    def get(self, kind: str, name: str, subresource: str = "", namespace: str = "") -> Object:
        return self.send("GET", self.path(kind, name, subresource, namespace))

    def all(self, kind: str, labels: str = "") -> list[Object]:
        """Every object of a kind in the case's namespace, oldest first."""
        found: list[Object] = self.send("GET", self.path(kind), labelSelector=labels)["items"]
        return sorted(found, key=lambda each: int(each["metadata"]["resourceVersion"]))

    def watch(self, kind: str) -> None:
        """Note from now on what comes and goes: "ADDED ss-0"."""
        seen = self.seen.setdefault(kind, [])
        resource = self.path(kind).rsplit("/", 1)[1]
        group = next(each.group for each in self.cluster.apiserver.resources if each.kind == kind)

        def on_event(what: str, obj: Object) -> None:
            if what in ("ADDED", "DELETED"):
                seen.append(f"{what} {obj['metadata']['name']}")

        self.cluster.client().watch(
            f"{resource}.{group}" if group else resource,
            self.namespace,
            revision=self.send("GET", self.path(kind))["metadata"]["resourceVersion"],
            on_event=on_event,
            on_end=lambda: None,
        )

    def exec(self, pod: str, command: str) -> str:
        """Run a line of shell in a Pod's first container; what it printed."""
        found = self.get("Pod", pod)
        server = self.cluster.kubelets[found["spec"]["nodeName"]].server
        container = found["spec"]["containers"][0]["name"]
        session = server.exec(self.namespace, pod, container, ["sh", "-c", command])
        printed = Printed(session)
        self.cluster.advance(1)
        return printed.text

    def events(self, name: str) -> list[str]:
        """The events about an object as "reason: message", oldest first."""
        found = [each for each in self.all("Event") if each["involvedObject"]["name"] == name]
        found.sort(key=lambda each: str(each["metadata"]["name"]).rpartition(".")[2])  # when it was first seen
        return [f"{each['reason']}: {each['message']}" for each in found]

    # --- names ----------------------------------------------------------------------------------------------
    def save(self, name: str, kind: str, of: str, path: str) -> None:
        """Call a field's value $name from now on."""
        value: Any = self.get(kind, of)
        for step in path.split("."):
            value = value[int(step)] if step.isdigit() else value[step]
        self.saved[name] = str(value)

    def filled(self, value: Any) -> Any:
        """With the saved values in place of $names."""
        if isinstance(value, dict):
            return {self.filled(key): self.filled(each) for key, each in value.items()}
        if isinstance(value, list):
            return [self.filled(each) for each in value]
        if isinstance(value, str):
            return re.sub(r"\$([A-Z][A-Z0-9]*)", lambda found: self.saved.get(found[1], found[0]), value)
        return value


class Printed:
    """What a session prints."""

    def __init__(self, session: Session) -> None:
        self.text = ""
        session.subscribe(self._output, lambda code, message: None)

    def _output(self, channel: int, data: bytes) -> None:
        self.text += data.decode()
