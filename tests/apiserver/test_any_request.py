"""Whatever a client asks, the server answers with a Status of its own making, and nothing breaks behind it.

Requests are made from the schema and the table of resources by a seeded generator: good objects, spoilt ones, patches,
odd names, odd parameters. A defect in the server shows as a 500, in a controller as an exception in the loop, in
anybody's hands as a shared object that changed (the fixture looks for that).
"""

import copy
from random import Random
from typing import Any

import orjson
import pytest

from k8s_core.api.resources import Resource
from k8s_core.api.schema import Type
from k8s_core.apiserver.request import Request, User
from k8s_core.cluster import Cluster

POD = {"containers": [{"name": "c", "image": "nginx"}]}
SET = {"selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {"a": "b"}}, "spec": POD}}
GOOD: dict[str, dict[str, Any]] = {
    "Pod": {"spec": POD},
    "Deployment": {"spec": SET},
    "ReplicaSet": {"spec": SET},
    "Service": {"spec": {"ports": [{"port": 80}], "selector": {"a": "b"}}},
    "ConfigMap": {"data": {"a": "b"}},
    "Secret": {"data": {"a": "eA=="}},
    "Namespace": {},
    "ServiceAccount": {},
    "Role": {"rules": []},
    "RoleBinding": {"roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}},
    "Job": {"spec": {"template": {"spec": {**POD, "restartPolicy": "Never"}}}},
    "ResourceQuota": {"spec": {"hard": {"pods": "5"}}},
    "PersistentVolumeClaim": {
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    },
}
NAMES = ("a", "b", "c", "a", "b", "c", "default", "nope", "A B", "..", "x" * 300, "é")
PARAMETERS = {
    "labelSelector": ("a=b", "a in (b", "!"), "fieldSelector": ("metadata.name=a", "spec.x=1", "x"),
    "limit": ("1", "-1", "x", "9" * 20), "continue": ("x", "e30"), "resourceVersion": ("0", "1", "x", "-1"),
    "resourceVersionMatch": ("Exact", "x"), "dryRun": ("All", "x"), "fieldManager": ("m", "x" * 200, "\n"),
    "fieldValidation": ("Strict", "x"), "force": ("true", "x"), "gracePeriodSeconds": ("0", "-1", "x"),
    "propagationPolicy": ("Foreground", "Orphan", "x"), "timeoutSeconds": ("1", "x"), "tailLines": ("x",),
}  # fmt: skip
PATCHES = (
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/json-patch+json",
    "application/apply-patch+yaml",
)
SAMPLES: dict[str, tuple[Any, ...]] = {
    "string": ("s", "a", "", "Always"), "integer": (0, 1, -1, 2**31), "number": (1.5,), "boolean": (True, False),
    "quantity": ("1", "100m", 5, "bad", "-1"), "time": ("2026-01-01T00:00:00Z", "bad"), "bytes": ("eA==", "%"),
    "micro-time": ("2026-01-01T00:00:00.000000Z",), "int-or-string": (1, "a", "50%", -1), "any": ({"x": [1]},),
}  # fmt: skip
WRONG: tuple[Any, ...] = (None, 1, "x", [], {}, True, 1.5, [None], {"a": None})
ADMIN = User("admin", ("system:masters", "system:authenticated"))


class Generator:
    """Makes requests that a client might send, and many that none should."""

    def __init__(self, cluster: Cluster, seed: int) -> None:
        self.random = Random(seed)
        self.schema = cluster.apiserver.schema
        self.resources = list(cluster.apiserver.resources)

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    def value(self, type: Type, depth: int = 0) -> Any:
        """Something of a type, mostly."""
        if self.chance(0.03):
            return copy.deepcopy(self.random.choice(WRONG))
        if type.kind == "object":
            share = 0.5 if depth < 2 else 0.1
            return {n: self.value(t, depth + 1) for n, t in type.fields.items() if depth < 8 and self.chance(share)}
        if type.kind in ("list", "map"):
            assert type.items
            items = [self.value(type.items, depth + 1) for _ in range(self.random.choice((0, 1, 2)))]
            return items if type.kind == "list" else dict(zip("ab", items, strict=False))
        return copy.deepcopy(self.random.choice(SAMPLES[type.kind]))

    def spoil(self, type: Type, value: Any) -> Any:
        """The same with a few fields more, or others."""
        if type.kind == "list" and isinstance(value, list) and type.items:
            return [self.spoil(type.items, item) for item in value]
        if type.kind != "object" or not isinstance(value, dict):
            return value if self.chance(0.9) else self.value(type, 6)
        for name in [name for name in value if name in type.fields and self.chance(0.5)]:
            value[name] = self.spoil(type.fields[name], value[name])
        if type.fields and self.chance(0.4):
            name = self.random.choice(list(type.fields))
            value[name] = self.value(type.fields[name], self.random.choice((2, 5)))
        return value

    def object(self, resource: Resource) -> Any:
        type = self.schema.kind(resource.group, resource.version, resource.kind)
        found = copy.deepcopy(GOOD[resource.kind]) if resource.kind in GOOD else self.value(type)
        if self.chance(0.6):
            found = self.spoil(type, found)
        if isinstance(found, dict) and self.chance(0.97):
            found |= {"apiVersion": resource.api_version, "kind": resource.kind}
            found["metadata"] = {"name": self.random.choice("abc")}
        return found

    def patch(self, resource: Resource, media: str) -> Any:
        found = self.object(resource)
        if media != PATCHES[2]:
            return found
        paths = ("/spec", "/metadata/labels", "/metadata/name", "/kind", "", "/x/0", "x", "/spec/replicas", "/metadata")
        operations = ("add", "remove", "replace", "test", "move", "copy", "x")
        choose = self.random.choice
        return [{"op": choose(operations), "path": choose(paths), "value": found, "from": choose(paths)} for _ in "ab"]

    def request(self) -> Request:
        choose = self.random.choice
        known = [resource for resource in self.resources if resource.kind in GOOD]
        resource = choose(known if self.chance(0.8) else self.resources)
        method = choose(("GET", "POST", "POST", "PUT", "PATCH", "PATCH", "DELETE", "HEAD", "OPTIONS"))
        path = f"/apis/{resource.group}/{resource.version}" if resource.group else f"/api/{resource.version}"
        if resource.namespaced:
            path += "/namespaces/" + choose(("default", "default", "default", "kube-system", "nope"))
        path += "/" + resource.name
        if self.chance({"POST": 0.05, "GET": 0.6}.get(method, 0.97)):
            path += "/" + choose(NAMES)
            if self.chance(0.2):
                path += "/" + choose([*resource.subresources, "x"])
        media = choose(PATCHES) if method == "PATCH" else "application/json"
        body = b""
        if method in ("POST", "PUT", "PATCH"):
            body = orjson.dumps(self.patch(resource, media) if method == "PATCH" else self.object(resource))
        if self.chance(0.02):
            body = body[: self.random.randrange(len(body) + 1)] + b"\xff"
        query = {
            name: [choose(PARAMETERS[name])] for name in self.random.sample(list(PARAMETERS), choose((0, 0, 1, 2)))
        }
        accept = choose(
            ("application/json", "application/json;as=Table;v=v1;g=meta.k8s.io,application/json", "*/*", "x")
        )
        headers = {"accept": accept, "content-type": media, "user-agent": "test/1"}
        return Request(method=method, path=path, query=query, headers=headers, body=body)


@pytest.mark.parametrize("seed", range(4))
def test_any_request_is_answered(control_plane: Cluster, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """No answer is a defect, and time goes on behind them."""
    server = control_plane.apiserver
    monkeypatch.setattr(server.authenticator, "authenticate", lambda request: ADMIN)
    generator = Generator(control_plane, seed)
    codes = set()
    for number in range(1000):
        request = generator.request()
        answer = server.handle(request)
        shown = f"{request.method} {request.path} {request.query} {request.headers} {request.body!r}"
        assert answer.code < 500 or answer.code in (501, 503, 504), f"{shown}: {answer.object}"
        codes.add(answer.code)
        if answer.stream:
            answer.stream.cancel()
        if number % 40 == 0:
            control_plane.advance(1)
    assert {200, 201, 400, 404, 405, 422} <= codes
