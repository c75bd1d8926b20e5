"""APIServices that point at a Service: whether it answers, what it serves, and requests passed on to it.

Stands for kube-aggregator: its availability controller, the part of its discovery that lists others' groups, and
handler_proxy.go. metrics.k8s.io, whose figures this cluster knows by itself, is served by metrics.py while its
Service has endpoints. Left out: OpenAPI of those groups, and X-Remote headers for a request's extra fields.
"""

import base64
from functools import partial
from typing import Any, Final
from urllib.parse import urlencode

import orjson

from k8s_core import limits
from k8s_core.api import Object
from k8s_core.api.resources import Resource, Rows
from k8s_core.apiserver import metrics
from k8s_core.apiserver.backends import HOP_BY_HOP, Backends, Unreachable, passed_on
from k8s_core.apiserver.registry import Registry
from k8s_core.apiserver.request import Request, Response
from k8s_core.apiserver.watch import Filter, Watch
from k8s_core.shell.sockets import Request as WebRequest

SERVICES: Final = "apiservices.apiregistration.k8s.io"


class Aggregator:
    """Keeps `Resources.remote` and the APIServices' condition Available in step with the Services."""

    def __init__(self, registry: Registry, backends: Backends) -> None:
        self.registry, self.backends, self.loop = registry, backends, registry.loop
        self._services: dict[tuple[str, str], Object] = {}
        self._retry: Any = None
        for name in (SERVICES, "services", "endpointslices.discovery.k8s.io"):
            resource = registry.resources.find(name)
            if resource is None:
                continue  # a version without EndpointSlices
            hub = registry.storage.cache(resource.storage).hub
            hub.add(Watch(hub, self.loop, Filter(), partial(self._changed, name)))

    # --- requests -------------------------------------------------------------------------------------------
    def serve(self, request: Request) -> Response | None:
        """The answer of the server that has the path's group and version; None if that is this one."""
        parts = request.path.split("/")
        where = (parts[2], parts[3]) if len(parts) > 3 else ("", "")
        if parts[1:2] != ["apis"] or where not in self.registry.resources.remote:
            return None
        if self.registry.resources.remote[where] is None:
            return _plain(b"service unavailable\n")
        query = f"?{urlencode(request.query, doseq=True)}" if request.query else ""
        user = {"X-Remote-User": request.user.name, "X-Remote-Group": ", ".join(request.user.groups)}
        kept = {name.title(): value for name, value in request.headers.items() if name not in HOP_BY_HOP}
        try:
            answer = self._ask(self._services[where], request.method, request.path + query, kept | user, request.body)
        except Unreachable as error:
            return _plain(f"error trying to reach service: {error}\n".encode())
        return passed_on(answer)

    def _ask(self, spec: Object, method: str, path: str, headers: dict[str, str], body: bytes = b"") -> Any:
        bundle = spec.get("caBundle")
        return self.backends.ask(
            spec["service"],
            WebRequest(method, path, headers, body),
            bundle=base64.b64decode(bundle) if bundle else None,
            verify=not spec.get("insecureSkipTLSVerify"),
        )

    # --- availability ---------------------------------------------------------------------------------------
    def _changed(self, what: str, _: str, obj: Object) -> None:
        if what == SERVICES or self._services:
            self._sync()

    def _sync(self) -> None:
        resource = self.registry.resources.find(SERVICES)
        assert resource is not None
        remote: dict[tuple[str, str], Rows | None] = {}
        self._services, again, figures = {}, False, False
        for service in list(self.registry.storage.select(resource.storage)):
            spec = service["spec"]
            if not spec.get("service"):
                continue
            where = (spec["group"], spec["version"])
            reason, message = self._problem(spec)
            self._services[where] = spec
            if service["metadata"]["name"] == metrics.NAME:
                figures = not reason
            else:
                remote[where] = None
                if not reason:
                    reason, message, remote[where] = self._discover(spec)
                    again = again or bool(reason)
            self._say(resource, service, reason, message)
        metrics.serve(self.registry.resources, figures)
        self.registry.resources.join(remote)
        if self._retry:
            self._retry.cancel()
        retry = limits.APISERVICE_RETRY
        self._retry = self.loop.call_later(retry, self._sync, background=True) if again else None

    def _problem(self, spec: Object) -> tuple[str, str]:
        """Why an APIService's Service cannot answer: reason and message; "" if it can."""
        name, namespace = spec["service"].get("name", ""), spec["service"].get("namespace", "")
        number, shown = spec["service"].get("port") or 443, f'service/{name} in "{namespace}"'
        found = [s for s in self.registry.reader.list("services", namespace) if s["metadata"]["name"] == name]
        if not found:
            return "ServiceNotFound", f"{shown} is not present"
        if found[0]["spec"].get("type", "ClusterIP") != "ClusterIP":
            return "", ""
        port = next((each for each in found[0]["spec"].get("ports") or () if each["port"] == number), None)
        if port is None:
            return "ServicePortError", f"{shown} is not listening on port {number}"
        if not self.backends.slices(namespace, name):
            return "EndpointsNotFound", f"cannot find endpointslices for {shown}"
        if not self.backends.ready(namespace, name, port.get("name") or ""):
            label = port.get("name") or ""
            return "MissingEndpoints", f'endpointslices for {shown} have no addresses with port name "{label}"'
        return "", ""

    def _discover(self, spec: Object) -> tuple[str, str, Rows | None]:
        """What the server says it serves: (reason, message, None) or ("", "", rows)."""
        path = f"/apis/{spec['group']}/{spec['version']}"
        where = spec["service"]
        url = f"https://{where['name']}.{where['namespace']}.svc:{where.get('port') or 443}{path}"
        try:
            answer = self._ask(spec, "GET", path, {"X-Remote-User": "system:kube-aggregator"})
            if not 200 <= answer.status < 300:
                raise Unreachable(f"bad status from {url}: {answer.status}")
            rows = (orjson.loads(answer.body) or {}).get("resources") or []
        except (Unreachable, ValueError, AttributeError) as error:
            return "FailedDiscoveryCheck", f"failing or missing response from {url}: {error}", None
        return "", "", [row for row in rows if isinstance(row, dict) and row.get("name")]

    def _say(self, resource: Resource, service: Object, reason: str, message: str) -> None:
        status, reason, message = "False" if reason else "True", reason or "Passed", message or "all checks passed"
        old = ((service.get("status") or {}).get("conditions") or [{}])[0]
        if (old.get("status"), old.get("reason"), old.get("message")) == (status, reason, message):
            return
        since = old["lastTransitionTime"] if old.get("status") == status else self.loop.timestamp()
        condition = {"type": "Available", "status": status, "lastTransitionTime": since,
                     "reason": reason, "message": message}  # fmt: skip
        self.registry.rewrite(resource, {**service, "status": {"conditions": [condition]}})


def _plain(body: bytes) -> Response:
    return Response(503, body=body, content_type="text/plain; charset=utf-8")
