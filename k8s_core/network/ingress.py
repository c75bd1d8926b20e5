"""An Ingress controller: one HTTP server in front of many Services, chosen by host and path.

Stands for ingress-nginx (image registry.k8s.io/ingress-nginx/controller): it watches Ingresses of its class, reads the
Services' EndpointSlices and goes to the Pods directly, past the Services' addresses. Requests come over the simulated
network and go on over it, each with a flow of its own whose first step says which rule chose. What it may read depends
on its ServiceAccount, as in life. Left out: TLS itself (https is answered like http), annotations but rewrite-target,
ssl-redirect and force-ssl-redirect, default-backend Services.
"""

import hashlib
import re
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from k8s_core.api import Object
from k8s_core.api.errors import StatusError, ignoring, is_not_found
from k8s_core.client.informer import key_of
from k8s_core.client.workqueue import WorkQueue
from k8s_core.limits import INGRESS_PROXY_TIMEOUT
from k8s_core.network.serviceports import SERVICE_NAME
from k8s_core.shell.pipes import Wait
from k8s_core.shell.sockets import HTTP_REASONS, NetworkError, Request, Response

if TYPE_CHECKING:
    from k8s_core.client import Client
    from k8s_core.network.network import Network
    from k8s_core.shell.process import Process

MANIFEST = Path(__file__).parent / "data" / "ingress-nginx.yaml"
INGRESSES = "ingresses.networking.k8s.io"
CLASS_ANNOTATION = "kubernetes.io/ingress.class"
OWN = "nginx.ingress.kubernetes.io/"
SLICES = "endpointslices.discovery.k8s.io"


@dataclass(frozen=True, slots=True)
class Route:
    """One path of one rule; `host` is "" for all."""

    host: str
    path: str
    kind: str  # Exact, Prefix, ImplementationSpecific
    ingress: str  # namespace/name
    service: str
    port: int | str
    rewrite: str = ""
    redirect: bool = False

    def takes(self, path: str) -> bool:
        if self.kind == "Exact":
            return path == self.path
        if self.rewrite and self.kind == "ImplementationSpecific":
            return re.match(self.path, path) is not None
        return path == self.path or path.startswith(self.path.rstrip("/") + "/")

    @property
    def weight(self) -> tuple[bool, int]:
        """The heaviest that fits wins: exact paths, then long ones."""
        return self.kind == "Exact", len(self.path)

    def rewritten(self, path: str) -> str:
        if not self.rewrite:
            return path
        bare, _, query = path.partition("?")
        target = re.sub(r"\$(\d)", r"\\\1", self.rewrite)
        bare = re.sub(f"^{self.path}", target, bare) if self.kind == "ImplementationSpecific" else self.rewrite
        return (bare if bare.startswith("/") else f"/{bare}") + (f"?{query}" if query else "")


class IngressController:
    """One controller Pod's process."""

    def __init__(self, process: "Process", network: "Network", client: "Client") -> None:
        self.process, self.network, self.client = process, network, client
        self.flags = dict(re.findall(r"--([\w-]+)=(\S+)", " ".join(process.argv)))
        self.ingresses = client.informer(INGRESSES)
        self.classes = client.informer("ingressclasses.networking.k8s.io")
        self.services = client.informer("services")
        self.slices = client.informer(SLICES)
        self.recorder = client.recorder("nginx-ingress-controller")
        self.turns: dict[str, int] = {}
        """How many requests each backend has had."""
        self.count = 0
        self.queue = WorkQueue(client.loop, self.sync, name="ingress")
        self.ingresses.on(self.seen, lambda old, new: self.seen(new))
        self.services.on(self.service_changed, lambda old, new: self.service_changed(new))

    def stop(self) -> None:
        self.queue.stop()

    # --- objects --------------------------------------------------------------------------------------------
    def is_ours(self, ingress: Object) -> bool:
        name = ingress["spec"].get("ingressClassName")
        if name:
            found = self.classes.get(name)
            wanted = self.flags.get("controller-class", "k8s.io/ingress-nginx")
            return bool(found and found["spec"].get("controller") == wanted)
        annotation = (ingress["metadata"].get("annotations") or {}).get(CLASS_ANNOTATION)
        if annotation is not None:
            return bool(annotation == self.flags.get("ingress-class", "nginx"))
        return self.flags.get("watch-ingress-without-class") == "true"

    def seen(self, ingress: Object) -> None:
        self.queue.add(key_of(ingress))

    def service_changed(self, service: Object) -> None:
        if key_of(service) == self.flags.get("publish-service"):
            for ingress in self.ingresses.list():
                self.seen(ingress)

    def sync(self, key: str) -> None:
        """Tell where an Ingress can be reached."""
        ingress = self.ingresses.get_key(key)
        if ingress is None or not self.is_ours(ingress) or self.flags.get("update-status") == "false":
            return
        wanted = self.addresses()
        if ((ingress.get("status") or {}).get("loadBalancer") or {}).get("ingress", []) == wanted:
            return
        self.recorder.event(ingress, "Normal", "Sync", "Scheduled for sync")
        meta, status = ingress["metadata"], {"status": {"loadBalancer": {"ingress": wanted}}}
        with ignoring(is_not_found):
            self.client.patch(INGRESSES, meta["name"], meta["namespace"], status, subresource="status")

    def addresses(self) -> list[Object]:
        """Where this controller is reached: its published Service's addresses, else its node's."""
        service = self.services.get_key(self.flags.get("publish-service", ""))
        if service is None:
            host = self.network.hosts.get(self.process.machine.network.node)
            return [{"ip": host.address}] if host else []
        if service["spec"].get("type") == "LoadBalancer":
            given = ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or []
            return [{key: each[key] for key in ("ip", "hostname") if each.get(key)} for each in given]
        return [{"ip": ip} for ip in service["spec"].get("externalIPs") or [service["spec"]["clusterIP"]]]

    def routes(self) -> Iterator[Route]:
        """What all Ingresses of this class say; of two that say the same, the older one comes first."""
        mine = [i for i in self.ingresses.list() if self.is_ours(i)]
        for ingress in sorted(mine, key=lambda i: (i["metadata"]["creationTimestamp"], key_of(i))):
            spec, key = ingress["spec"], key_of(ingress)
            annotations = ingress["metadata"].get("annotations") or {}
            secure = {host for tls in spec.get("tls") or () for host in tls.get("hosts") or ()}
            rewrite = annotations.get(f"{OWN}rewrite-target", "")
            for rule in spec.get("rules") or ():
                host = rule.get("host", "")
                forced = annotations.get(f"{OWN}force-ssl-redirect") == "true"
                redirect = forced or (host in secure and annotations.get(f"{OWN}ssl-redirect") != "false")
                for path in (rule.get("http") or {}).get("paths") or ():
                    service = path["backend"].get("service")
                    if service:
                        port = service.get("port") or {}
                        number = port.get("number") or port.get("name", "")
                        kind, text = path["pathType"], path.get("path") or "/"
                        yield Route(host, text, kind, key, service["name"], number, rewrite, redirect)
            default = (spec.get("defaultBackend") or {}).get("service")
            if default:
                port = default.get("port") or {}
                yield Route("", "/", "Prefix", key, default["name"], port.get("number") or port.get("name", ""))

    def choose(self, host: str, path: str) -> Route | None:
        """The rule for a request: the server of its host, of a wildcard, or of all; in it the heaviest path."""
        routes = list(self.routes())
        wildcard = "*." + host.partition(".")[2]
        hosts = {route.host for route in routes}
        server = next((name for name in (host, wildcard, "") if name in hosts), "")
        found = [r for r in routes if r.host == server and r.takes(path)]
        return max(found, key=lambda route: route.weight, default=None)

    def endpoints(self, route: Route) -> list[tuple[str, int]]:
        """(address, port) of the ready Pods behind a route's Service."""
        namespace = route.ingress.partition("/")[0]
        service = self.services.get(route.service, namespace)
        ports = (service or {"spec": {}})["spec"].get("ports") or ()
        port = next((p for p in ports if route.port in (p["port"], p.get("name"))), None)
        if port is None:
            return []
        return sorted(
            {
                (endpoint["addresses"][0], number["port"])
                for piece in self.slices.list(namespace)
                if (piece["metadata"].get("labels") or {}).get(SERVICE_NAME) == route.service
                for number in piece.get("ports") or ()
                if (number.get("name") or "") == port.get("name", "")
                for endpoint in piece.get("endpoints") or ()
                if (endpoint.get("conditions") or {}).get("ready") is not False
            }
        )

    # --- requests -------------------------------------------------------------------------------------------
    def answer(self, request: Request, *, secure: bool = False) -> Generator[Wait, None, Response]:
        """Answer one request out of a Pod, or with an error page of nginx's."""
        host = request.headers.get("Host", "").partition(":")[0].lower()
        bare = request.path.partition("?")[0]
        route = self.choose(host, bare)
        self.count += 1
        upstream = ""
        if route is None:
            response = page(404)
        elif route.redirect and not secure:
            response = page(308)
            response.headers["Location"] = f"https://{host}{request.path}"
        else:
            found = self.endpoints(route)
            if not found:
                response = page(503)
            else:
                turn = self.turns[route.service] = self.turns.get(route.service, -1) + 1
                address, port = found[turn % len(found)]
                upstream = f"{address}:{port}"
                response = yield from self.forward(route, request, host, address, port, secure=secure)
        self.log(request, route, upstream, response)
        return response

    def forward(
        self, route: Route, request: Request, host: str, address: str, port: int, *, secure: bool
    ) -> Generator[Wait, None, Response]:
        scheme = "https" if secure else "http"
        shown = f"{host or 'any host'}{route.path} ({route.kind})"
        rule = f"Ingress {route.ingress}: {shown} leads to Service {route.service}"
        headers = {
            **request.headers,
            "X-Request-Id": hashlib.sha256(f"request {self.count}".encode()).hexdigest()[:32],
            "X-Real-Ip": request.source,
            "X-Forwarded-For": request.source,
            "X-Forwarded-Host": request.headers.get("Host", ""),
            "X-Forwarded-Port": "443" if secure else "80",
            "X-Forwarded-Proto": scheme,
            "X-Forwarded-Scheme": scheme,
            "X-Scheme": scheme,
        }
        onward = Request(request.method, route.rewritten(request.path), headers, request.body)
        namespace = self.process.machine.network
        self.network.because = (namespace.node, "ingress", "", rule, f"to {address}:{port}", upstream_of(request))
        try:
            response = yield from namespace.http(address, port, onward, INGRESS_PROXY_TIMEOUT)
        except NetworkError as error:
            return page(504 if error.kind == "timeout" else 502)
        return Response(response.status, response.body, {**response.headers})

    def log(self, request: Request, route: Route | None, upstream: str, response: Response) -> None:
        now = datetime.fromtimestamp(self.client.loop.now, UTC).strftime("%d/%b/%Y:%H:%M:%S +0000")
        name = "upstream-default-backend"
        if route:
            name = f"{route.ingress.replace('/', '-', 1).partition('-')[0]}-{route.service}-{route.port}"
        number = hashlib.sha256(f"request {self.count}".encode()).hexdigest()[:32]
        status = response.status if upstream else "-"
        self.process.out(
            f'{request.source} - - [{now}] "{request.method} {request.path} HTTP/1.1" {response.status} '
            f'{len(response.body)} "-" "{request.headers.get("User-Agent", "-")}" 78 0.001 [{name}] [] '
            f"{upstream or '-'} {len(response.body) if upstream else '-'} 0.001 {status} {number}\n"
        )


def upstream_of(request: Request) -> str:
    return f"{request.method} {request.headers.get('Host', '')}{request.path} from {request.source}"


def page(status: int) -> Response:
    """nginx's own page for a status."""
    title = f"{status} {HTTP_REASONS[status]}"
    body = (
        f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n"
        "<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
    )
    return Response(status, body.encode(), {"Content-Type": "text/html", "Content-Length": str(len(body))})


def begin(process: "Process", network: "Network", client: "Client") -> Any:
    """Start in a container; gives the controller, or a text that says why it cannot."""
    try:
        for resource in (INGRESSES, "services", SLICES):
            client.list(resource)
    except StatusError as error:
        return str(error.status["message"])
    controller = IngressController(process, network, client)
    for flag, default, secure in (("http-port", "80", False), ("https-port", "443", True)):
        number, handler = int(controller.flags.get(flag, default)), partial(controller.answer, secure=secure)
        if not process.machine.network.listen(number, process, handler, http=True):
            return f"port {number} is already in use. Please check the flag --{flag}"
    process.at_exit.append(controller.stop)
    return controller
