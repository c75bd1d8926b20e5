"""What hangs below an object: scale, binding, eviction, token, log, exec, attach and the rest.

`status` and `finalize` are ordinary updates and stand in registry.py. What needs the node goes through `dial`,
which gives the kubelet's server of a node, as the apiserver dials port 10250.
"""

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlencode

from k8s_core.api import Object, errors, field, jsonpath
from k8s_core.api.custom import with_value
from k8s_core.api.selectors import from_label_selector, from_labels
from k8s_core.apiserver import eviction, presentation
from k8s_core.apiserver.backends import Backends, passed_on
from k8s_core.apiserver.request import Request, Response
from k8s_core.apiserver.tokens import Tokens
from k8s_core.shell.sockets import Request as WebRequest
from k8s_core.shell.sockets import Response as WebResponse
from k8s_core.streams import Session, Stream

if TYPE_CHECKING:
    from k8s_core.apiserver.registry import Registry


class KubeletServer(Protocol):
    """What the apiserver asks of a kubelet."""

    def container_logs(
        self,
        namespace: str,
        pod: str,
        container: str,
        *,
        follow: bool,
        previous: bool,
        tail_lines: int | None,
        since_seconds: int | None,
        since_time: str | None,
        timestamps: bool,
        limit_bytes: int | None,
    ) -> Stream: ...
    def exec(
        self,
        namespace: str,
        pod: str,
        container: str,
        command: list[str],
        *,
        stdin: bool,
        stdout: bool,
        stderr: bool,
        tty: bool,
    ) -> Session: ...
    def attach(
        self, namespace: str, pod: str, container: str, *, stdin: bool, stdout: bool, stderr: bool, tty: bool
    ) -> Session: ...

    def port_forward(self, namespace: str, pod: str) -> Callable[..., Any]: ...
    def get(self, address: str, port: int, request: WebRequest, *, secure: bool, timeout: float) -> WebResponse: ...
    def answer(self, request: WebRequest) -> WebResponse: ...


KUBELET_PORT = 10250
Dial = Callable[[str], KubeletServer | None]


class Subresources:
    """Serves them; `handler(resource, subresource)` is None for what the registry does by itself."""

    def __init__(self, registry: "Registry", tokens: Tokens, backends: Backends):
        self.registry, self.tokens, self.backends, self.dial = registry, tokens, backends, backends.dial
        self._handlers: dict[tuple[str, str], Callable[[Request], Response]] = {
            ("pods", "binding"): self.bind,
            ("pods", "eviction"): self.evict,
            ("pods", "log"): self.log,
            ("pods", "exec"): self.exec,
            ("pods", "attach"): self.attach,
            ("pods", "portforward"): self.port_forward,
            ("pods", "proxy"): self.proxy,
            ("services", "proxy"): self.proxy,
            ("nodes", "proxy"): self.node_proxy,
            ("serviceaccounts", "token"): self.token,
        }

    def handler(self, request: Request) -> Callable[[Request], Response] | None:
        assert request.resource is not None
        if request.subresource == "scale":
            return self.scale
        return self._handlers.get((request.resource.group_resource, request.subresource))

    # --- scale ----------------------------------------------------------------------------------------------
    def scale(self, request: Request) -> Response:
        """GET, PUT and PATCH of the replica count as an autoscaling/v1 Scale."""
        resource = request.resource
        assert resource is not None
        obj = self.registry.get(resource, request.namespace, request.name)
        _scale_of = functools.partial(_scale, paths=(resource.custom and resource.custom.scale) or SCALE_PATHS)
        if request.verb == "get":
            return Response(object=self._shown(request, _scale_of(obj)))
        wanted = request.object
        if request.verb == "patch":
            from k8s_core.api import patch  # noqa: PLC0415

            type_ = self.registry.schema.kind("autoscaling", "v1", "Scale")
            wanted = patch.apply(patch_kind(request), _scale_of(obj), request.object, type_)
        replicas = (wanted.get("spec") or {}).get("replicas") or 0
        if not isinstance(replicas, int):
            raise errors.bad_request("spec.replicas must be an integer")
        if replicas < 0:
            problem = field.invalid("spec.replicas", replicas, "must be greater than or equal to 0")
            raise errors.invalid("Scale.autoscaling", request.name, [problem])
        revision = (wanted.get("metadata") or {}).get("resourceVersion")
        if revision and revision != obj["metadata"]["resourceVersion"]:
            raise errors.conflict(resource, request.name)

        def change(old: Object) -> Object:
            if resource.custom and resource.custom.scale:
                changed = with_value(old, resource.custom.scale["specReplicasPath"], replicas)
                return {**changed, "metadata": {**old["metadata"]}}
            return {**old, "metadata": {**old["metadata"]}, "spec": {**old["spec"], "replicas": replicas}}

        new, _ = self.registry.update(request, change)
        return Response(object=self._shown(request, _scale_of(new)))

    def _shown(self, request: Request, obj: Object) -> Object:
        """An answer in the form the client asked for: kubectl wants a Table."""
        return obj if request.in_process else presentation.one(request, obj, self.registry.loop)

    # --- pods -----------------------------------------------------------------------------------------------
    def bind(self, request: Request) -> Response:
        """The scheduler's last word: which node a Pod goes to."""
        binding = request.object
        node = (binding.get("target") or {}).get("name", "")
        if not node:
            problem = field.required("target.name")
            raise errors.invalid("Binding", request.name, [problem])
        resource = request.resource
        assert resource is not None
        pod = self.registry.get(resource, request.namespace, request.name)
        spec, meta, status = pod["spec"], {**pod["metadata"]}, pod.get("status", {})
        refused = ""
        if "deletionTimestamp" in meta:
            refused = f"pod {request.name} is being deleted, cannot be assigned to a host"
        elif spec.get("nodeName"):
            refused = f'pod {request.name} is already assigned to node "{spec["nodeName"]}"'
        elif spec.get("schedulingGates"):
            refused = f"pod {request.name} has non-empty .spec.schedulingGates"
        if refused:
            raise errors.conflict("pods/binding", request.name, refused)
        annotations = (binding.get("metadata") or {}).get("annotations")
        if annotations:
            meta["annotations"] = {**(meta.get("annotations") or {}), **annotations}
        scheduled = {
            "type": "PodScheduled",
            "status": "True",
            "lastProbeTime": None,
            "lastTransitionTime": self.registry.loop.timestamp(),
            "observedGeneration": meta.get("generation", 1),
        }
        others = [c for c in status.get("conditions", ()) if c["type"] != "PodScheduled"]
        if not request.dry_run:  # past the strategies, as upstream: no new generation, no field manager
            bound = {**pod, "metadata": meta, "spec": {**spec, "nodeName": node}}
            kept = {name: value for name, value in status.items() if name != "nominatedNodeName"}
            self.registry.rewrite(resource, {**bound, "status": {**kept, "conditions": [*others, scheduled]}})
        return Response(201, _success(201))

    def evict(self, request: Request) -> Response:
        """Delete a Pod unless a PodDisruptionBudget says that too few would be left."""
        eviction.evict(self.registry, request)
        return Response(201, _success(201))

    def log(self, request: Request) -> Response:
        pod, container = self._container(request)
        asked = {name: values for name, values in request.query.items() if name != "container"}
        query = f"?{urlencode(asked, doseq=True)}" if asked else ""
        path = f"containerLogs/{request.namespace}/{request.name}/{container}{query}"
        server = self._kubelet(request, pod, path)
        if server is None:
            return Response(body=b"", content_type="text/plain")
        stream = server.container_logs(
            request.namespace,
            request.name,
            container,
            follow=request.flag("follow"),
            previous=request.flag("previous"),
            timestamps=request.flag("timestamps"),
            tail_lines=request.number("tailLines"),
            since_seconds=request.number("sinceSeconds"),
            since_time=request.param("sinceTime") or None,
            limit_bytes=request.number("limitBytes"),
        )
        return Response(stream=stream, content_type="text/plain")

    def exec(self, request: Request) -> Response:
        command = request.query.get("command") or []
        if not command:
            raise errors.bad_request("you must specify at least one command for the container")
        pod, container = self._container(request)
        return self._attached(request, pod, container, command)

    def attach(self, request: Request) -> Response:
        pod, container = self._container(request)
        return self._attached(request, pod, container, None)

    def _attached(self, request: Request, pod: Object, container: str, command: list[str] | None) -> Response:
        server = self._kubelet(request, pod)
        if server is None:
            raise errors.bad_request(f"pod {request.name} does not have a host assigned")
        ends = {name: request.flag(name) for name in ("stdin", "stdout", "stderr", "tty")}
        namespace, name = request.namespace, request.name
        if command:
            session = server.exec(namespace, name, container, command, **ends)
        else:
            session = server.attach(namespace, name, container, **ends)
        return Response(101, session=session)

    def port_forward(self, request: Request) -> Response:
        assert request.resource is not None
        pod = self.registry.get(request.resource, request.namespace, request.name)
        server = self._kubelet(request, pod)
        if server is None or pod.get("status", {}).get("phase") != "Running":
            raise errors.bad_request(f"pod {request.name} is not running")
        return Response(101, connect=server.port_forward(request.namespace, request.name))

    def proxy(self, request: Request) -> Response:
        """Pass an HTTP request on to a Pod, or to one of a Service's ready endpoints (past its rules, as upstream)."""
        _, name, port = _proxied(request.name)
        assert request.resource is not None
        obj = self.registry.get(request.resource, request.namespace, name)
        if request.resource.name == "pods":
            ports = [p["containerPort"] for c in obj["spec"]["containers"] for p in c.get("ports") or ()]
            number = int(port) if port.isdigit() else next(iter(ports), 80)
            targets = [(obj.get("status", {}).get("podIP", ""), number)]
        else:
            named = [
                p for p in obj["spec"].get("ports") or () if not port or str(p["port"]) == port or p.get("name") == port
            ]
            if not named or (not port and len(obj["spec"]["ports"]) > 1 and all(p.get("name") for p in named)):
                raise errors.unavailable(f'no service port "{port}" found for service "{name}"')
            targets = self.backends.ready(request.namespace, name, named[0].get("name") or "")
            if not targets:
                raise errors.unavailable(f'no endpoints available for service "{request.name}"')
        return passed_on(self.backends.send(targets, _passed(request)))

    def node_proxy(self, request: Request) -> Response:
        """Pass an HTTP request on to a kubelet, or to whoever listens on another port of its node."""
        _, name, port = _proxied(request.name)
        assert request.resource is not None
        node = self.registry.get(request.resource, "", name)
        if port not in ("", str(KUBELET_PORT)):
            address = next((a["address"] for a in node["status"].get("addresses") or ()), "")
            return passed_on(self.backends.send([(address, int(port) if port.isdigit() else 0)], _passed(request)))
        pod = {"spec": {"nodeName": name}, "status": {"hostIP": node["status"]["addresses"][0]["address"]}}
        server = self._kubelet(request, pod, _passed(request).path[1:])
        assert server is not None
        return passed_on(server.answer(_passed(request)))

    def _container(self, request: Request) -> tuple[Object, str]:
        """The Pod and the container that is meant: the one named, or the only one."""
        assert request.resource is not None
        pod = self.registry.get(request.resource, request.namespace, request.name)
        spec = pod["spec"]
        lists = ("initContainers", "containers", "ephemeralContainers")
        names = [c["name"] for part in lists for c in spec.get(part) or ()]
        asked = request.param("container")
        if asked:
            if asked not in names:
                raise errors.bad_request(f"container {asked} is not valid for pod {request.name}")
            return pod, asked
        default = (pod["metadata"].get("annotations") or {}).get("kubectl.kubernetes.io/default-container")
        if default in names:
            return pod, str(default)
        plain = [c["name"] for c in spec["containers"]]
        if len(plain) == 1:
            return pod, plain[0]
        text = f"a container name must be specified for pod {request.name}, choose one of: [{' '.join(plain)}]"
        inits = [c["name"] for c in spec.get("initContainers") or ()]
        if inits:
            text += f" or one of the init containers: [{' '.join(inits)}]"
        raise errors.bad_request(text)

    def _kubelet(self, request: Request, pod: Object, path: str = "") -> KubeletServer | None:
        """The kubelet's server that has the Pod, None before it has a node. `path` is asked for, else dialled only."""
        node = pod["spec"].get("nodeName", "")
        if not node:
            return None
        server = self.dial(node)
        if server is None:
            address = f"{(pod.get('status') or {}).get('hostIP', node)}:10250"
            what = f'Get "https://{address}/{path}"' if path else "error dialing backend"
            raise errors.StatusError(500, "", f"{what}: dial tcp {address}: connect: connection refused")
        request.note("kubelet", f"asked the kubelet of {node}")
        return server

    # --- serviceaccounts ------------------------------------------------------------------------------------
    def token(self, request: Request) -> Response:
        return Response(201, self.tokens.request(request, request.object))


def _passed(request: Request) -> WebRequest:
    """A request as the one behind the proxy gets it."""
    path = "/" + request.param("path") + ("/" if request.path.endswith("/") and request.param("path") else "")
    query = urlencode([(key, value) for key, values in request.query.items() if key != "path" for value in values])
    headers = {name.title(): value for name, value in request.headers.items() if name != "authorization"}
    return WebRequest(request.method, f"{path}?{query}" if query else path, headers, request.body)


def _proxied(name: str) -> tuple[str, str, str]:
    """[scheme:]name[:port] of a proxied Pod or Service."""
    parts = name.split(":")
    return (parts[0], parts[1], parts[2]) if len(parts) == 3 else ("", parts[0], parts[1] if len(parts) > 1 else "")


def patch_kind(request: Request) -> str:
    """json, merge, strategic or apply, from the Content-Type; 415 for anything else."""
    media = request.headers.get("content-type", "").partition(";")[0].strip()
    custom = request.resource is not None and request.resource.custom is not None
    known = {kind: name for kind, name in PATCH_MEDIA.items() if kind != "strategic" or not custom}
    for kind, name in known.items():
        if media == name:
            return kind
    raise errors.unsupported_media_type(list(known.values()))


PATCH_MEDIA = {
    "json": "application/json-patch+json",
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "apply": "application/apply-patch+yaml",
}


def _success(code: int) -> Object:
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": code}


SCALE_PATHS = {
    "specReplicasPath": ".spec.replicas",
    "statusReplicasPath": ".status.replicas",
    "labelSelectorPath": ".spec.selector",
}


def _scale(obj: Object, paths: Object) -> Object:
    wanted, have, selector = (
        next(iter(jsonpath.find(obj, paths[name])), None) if paths.get(name) else None for name in SCALE_PATHS
    )
    meta = obj["metadata"]
    text = selector if isinstance(selector, str) else ""
    if isinstance(selector, dict) and selector:
        plain = not {"matchLabels", "matchExpressions"} & set(selector)
        text = str(from_labels(selector) if plain else from_label_selector(selector))
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    found: Object = {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {key: meta[key] for key in kept if key in meta},
        "spec": {"replicas": wanted} if wanted else {},
        "status": {"replicas": have or 0},
    }
    if text:
        found["status"]["selector"] = text
    return found
