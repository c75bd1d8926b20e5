"""Requests that nobody would think of, made up by schemathesis from the OpenAPI that the server itself serves.

What must hold for each of them stands in `Judge.send`: never a 500, every error a Status, what was acknowledged is
there. The server is asked in process, so that ten thousand requests take minutes; `make test` sends a few.
"""

import json
import random
import re
import time
import warnings
from typing import Any
from urllib.parse import unquote

from k8s_core.apiserver.request import Request, Response, User, parse_query
from k8s_core.cluster import Cluster

ROOT = User("root", ("system:masters",))
PLACES = {"namespace": ("default", "kube-system", "nowhere"), "name": ("one", "two", "kubernetes", "a.b-c")}


class Judge:
    """Sends requests to a bare control plane and looks at the answers; `sent` counts them, `codes` by status."""

    def __init__(self) -> None:
        self.cluster = Cluster(profile="bare", scheduler=False, kubelets=False, token_users={"token": ROOT})
        self.sent = 0
        self.codes: dict[int, int] = {}

    def send(self, method: str, path: str, query: str = "", body: bytes = b"", **headers: str) -> Response:
        """Send one request; AssertionError if the answer breaks a promise."""
        server = self.cluster.apiserver
        request = Request(
            method=method, path=path, query=parse_query(query), body=body,
            headers={"authorization": "Bearer token", "content-type": "application/json", **headers},
        )  # fmt: skip
        revision = self.cluster.etcd.revision
        answer = server.handle(request)
        self.sent += 1
        self.codes[answer.code] = self.codes.get(answer.code, 0) + 1
        what = f"{method} {path}?{query} {body[:2000]!r}"
        assert answer.code not in (500, 501), f"{what}: {answer.object}"
        found = answer.object or {}
        if answer.code >= 400 and answer.object is not None:
            assert (found.get("kind"), found.get("code")) == ("Status", answer.code), what
            assert self.cluster.etcd.revision == revision, f"{what}: refused, and something was written"
        kept = answer.code in (200, 201) and method in ("POST", "PUT", "PATCH") and not request.dry_run
        if kept and not request.subresource and request.resource and "uid" in (found.get("metadata") or {}):
            meta = found["metadata"]
            stored = server.registry.find(request.resource, meta.get("namespace", ""), meta["name"])
            gone = method != "POST" and "deletionTimestamp" in meta
            assert gone or (stored and stored["metadata"]["uid"] == meta["uid"]), f"{what}: acknowledged, and lost"
        self.cluster.loop.run_ready()
        return answer

    def stop(self) -> None:
        self.cluster.stop()


def operations(judge: Judge, group: str, version: str, only: str = "") -> list[Any]:
    """What schemathesis sees in the document of one group and version, at paths that match `only`."""
    import schemathesis  # noqa: PLC0415

    openapi = judge.cluster.apiserver.openapi
    openapi.serve(Request(path="/openapi/v3"))
    document = openapi.v3(group, version)
    document["paths"] = {path: found for path, found in document["paths"].items() if re.search(only, path)}
    schema = schemathesis.openapi.from_dict(document)
    return [each.ok() for each in schema.get_all_operations()]


def play(judge: Judge, operation: Any, examples: int, seed: int = 0) -> None:
    """Send requests for one operation."""
    from hypothesis import HealthCheck, Phase, given, settings  # noqa: PLC0415
    from hypothesis import seed as seeded  # noqa: PLC0415

    chooser = random.Random(seed)

    @seeded(seed)
    @settings(max_examples=examples, database=None, deadline=None, suppress_health_check=list(HealthCheck),
              phases=[Phase.generate])  # fmt: skip
    @given(case=operation.as_strategy())
    def run(case: Any) -> None:
        for name, usual in PLACES.items():  # mostly somewhere that exists, or nothing would ever be stored
            if name in case.path_parameters and chooser.random() < 0.8:
                case.path_parameters[name] = chooser.choice(usual)
        sent = case.as_transport_kwargs()
        body = json.dumps(sent["json"]).encode() if "json" in sent else sent.get("data") or b""
        query = "&".join(f"{key}={value}" for key, value in (sent.get("params") or {}).items() if key != "watch")
        headers = {name.lower(): str(value) for name, value in sent["headers"].items()}
        headers = {name: value for name, value in headers.items() if name not in ("authorization", "accept-encoding")}
        data = body if isinstance(body, bytes) else str(body).encode("utf-8", "surrogatepass")
        judge.send(sent["method"], unquote(sent["url"]), query, data, **headers)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run()


def measure(wanted: int = 10_000) -> tuple[int, float, dict[int, int]]:
    """Send `wanted` requests over everything that is served: (sent, seconds, answers by status)."""
    judge, began, turn = Judge(), time.perf_counter(), 0
    groups = [("", "v1"), *((g.name, v) for g in judge.cluster.apiserver.resources.groups() for v in g.versions)]
    found = [operation for group in groups for operation in operations(judge, *group)]
    while judge.sent < wanted:
        for operation in found:
            if judge.sent < wanted:
                play(judge, operation, 3, turn)
            turn += 1
    judge.stop()
    return judge.sent, time.perf_counter() - began, judge.codes
