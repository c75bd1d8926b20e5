"""agnhost webhook: an admission webhook, in the answers of Kubernetes' own end-to-end tests.

It speaks TLS with the certificate that --tls-cert-file names, on --port. Left out: sidecars, custom resources,
conversion and attaching.
"""

import base64
import json
from collections.abc import Callable
from typing import Any

from k8s_core.kubelet.programs.simple import idle, respond
from k8s_core.shell.fs import FileError
from k8s_core.shell.pipes import Steps
from k8s_core.shell.process import Process
from k8s_core.shell.sockets import Request, Response

Object = dict[str, Any]
UNWANTED = "webhook-disallow"


def _judged(key: str, *reasons: str) -> Object:
    """Refused if there are reasons; they stand in the status' `reason` or `message`."""
    return {"allowed": not reasons, **({"status": {"metadata": {}, key: " ".join(reasons)}} if reasons else {})}


def _change(*operations: Object) -> Object:
    patch = base64.b64encode(json.dumps(operations).encode()).decode()
    return {"allowed": True, **({"patch": patch, "patchType": "JSONPatch"} if operations else {})}


def _always_deny(_: Object) -> Object:
    return _judged("message", "this webhook denies all requests")


def _add_label(obj: Object) -> Object:
    labels = (obj.get("metadata") or {}).get("labels") or {}
    if not labels:
        return _change({"op": "add", "path": "/metadata/labels", "value": {"added-label": "yes"}})
    if labels.get("added-label") == "yes":
        return _change()
    return _change({"op": "add", "path": "/metadata/labels/added-label", "value": "yes"})


def _pods(obj: Object) -> Object:
    names = [each.get("name", "") for each in obj["spec"].get("containers") or ()]
    labels = (obj.get("metadata") or {}).get("labels") or {}
    return _judged(
        "message",
        *(["the pod contains unwanted container name;"] if any(UNWANTED in name for name in names) else []),
        *(["the pod contains unwanted label;"] if labels.get("webhook-e2e-test") == UNWANTED else []),
    )


def _mutating_pods(obj: Object) -> Object:
    if (obj.get("metadata") or {}).get("name") != "webhook-to-be-mutated":
        return _change()
    container = {"image": "webhook-added-image", "name": "webhook-added-init-container", "resources": {}}
    return _change({"op": "add", "path": "/spec/initContainers", "value": [container]})


def _config_maps(obj: Object) -> Object:
    unwanted = (obj.get("data") or {}).get("webhook-e2e-test") == UNWANTED
    return _judged("reason", *(["the configmap contains unwanted key and value"] if unwanted else []))


def _mutating_config_maps(obj: Object) -> Object:
    data, stages = obj.get("data") or {}, (("start", "stage-1"), ("stage-1", "stage-2"))
    return _change(
        *({"op": "add", "path": f"/data/mutation-{then}", "value": "yes"}
          for first, then in stages if data.get(f"mutation-{first}") == "yes")
    )  # fmt: skip


PATHS: dict[str, Callable[[Object], Object]] = {
    "/always-allow-delay-5s": lambda _: {"allowed": True},
    "/always-deny": _always_deny,
    "/add-label": _add_label,
    "/pods": _pods,
    "/mutating-pods": _mutating_pods,
    "/configmaps": _config_maps,
    "/mutating-configmaps": _mutating_config_maps,
}


def serve(process: Process, given: dict[str, str]) -> Steps:
    """agnhost webhook --tls-cert-file=FILE --tls-private-key-file=FILE [--port=443]"""
    try:
        certificate = process.fs.read(given.get("tls-cert-file", ""))
        process.fs.read(given.get("tls-private-key-file", ""))
    except FileError as error:
        process.err(f"open {given.get('tls-cert-file', '')}: {str(error).lower()}\n")
        return 255

    def answer(request: Request) -> Response:
        path = request.path.partition("?")[0]
        if path == "/readyz":
            return respond(process, 200, "ok")
        judge = PATHS.get(path)
        if judge is None:
            return respond(process, 404, "404 page not found\n")
        review = json.loads(request.body)
        verdict = {"uid": review["request"]["uid"], **judge(review["request"].get("object") or {})}
        return respond(
            process, 200, json.dumps({**{k: review[k] for k in ("kind", "apiVersion")}, "response": verdict})
        )

    process.machine.network.listen(int(given.get("port", "443")), process, answer, http=True, certificate=certificate)
    return (yield from idle(process))
